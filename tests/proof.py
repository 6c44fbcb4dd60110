"""Compares thousands of random worlds with the reference, and says how many, under which rules, with which result.

    make proof                                    # at least 2,000 worlds and a million decisions on steps
    python tests/proof.py --worlds 200 --seed 7

Closes and restatements need runs: a sequence of real ones for each thousand worlds or part of them.

Exit code 1, and the smallest world that differs, where one does: it is kept in tests/reference/regressions, where each
test run looks at it again. The figures go to target/proof.json, from which docs/accuracy.md is made.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import random
import sys
import tempfile
import time
import traceback
import uuid
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path

from building import Workbench
from dbt_forks import Forks, address_for
from hypothesis import HealthCheck, Phase, given, seed, settings
from reference.closing_runs import compare_runs
from reference.compiled import PROJECT, Project
from reference.proving import PROCESSES, WORLDS, Batch, Counterexample, Prover, batches, compile_all, say


def main() -> int:
    """Compare, print and write the figures; 1 when a world differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--worlds",
        type=int,
        default=3000,
        metavar="N",
        help="draw so many; drawn twice, one counts once (default %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="default: another one each time")
    parser.add_argument("--figures", type=Path, default=PROJECT / "target" / "proof.json")
    asked = parser.parse_args()

    begun = time.monotonic()
    say(f"Seed {asked.seed}: compiling the project under each set of options")
    with Forks() as forks:
        projects = compile_all(forks)
    say("Comparing")
    shares = PROCESSES * 4  # finished shares are a sign of life
    worlds = -(-asked.worlds // (shares * WORLDS)) * WORLDS
    proved = Counter()
    compared, by_rule, by_options = Counter(), Counter(), Counter()
    found: list[Counterexample] = []
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        for prover, counterexample in pool.map(
            look, [projects] * shares, [worlds] * shares, range(asked.seed, asked.seed + shares)
        ):
            proved["worlds"] += prover.worlds
            compared += prover.rows
            by_rule.update(prover.by_rule)
            by_options += prover.worlds_by_options
            found += [counterexample] if counterexample else []
            say(f"{proved['worlds']:,} worlds, {compared['metering.metered_steps']:,} decisions on steps")

    sequences = -(-asked.worlds // 1000)
    say(f"Comparing closes and restatements in {sequences} sequence{'s' * (sequences > 1)} of real runs")
    restated = Counter()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        for rows, causes, difference in pool.map(run_sequence, range(asked.seed, asked.seed + sequences)):
            compared["restatements and closed months"] += rows
            restated += causes
            if difference:
                print(f"\n{difference}")
                proved["differing_sequences"] += 1
            say(f"{compared['restatements and closed months']:,} rows, {restated.total():,} restatements")

    figures = {
        "measured": str(date.today()),
        "seed": asked.seed,
        "seconds": round(time.monotonic() - begun),
        "processes": PROCESSES,
        "duckdb": version("duckdb"),
        "worlds": proved["worlds"],
        "worlds_by_options": dict(by_options),
        "compared": dict(compared),
        "by_rule": dict(sorted(by_rule.items())),
        "differing_worlds": len(found),
        "sequences": sequences,
        "restated": dict(restated),
        "differing_sequences": proved["differing_sequences"],
    }
    asked.figures.parent.mkdir(exist_ok=True)
    asked.figures.write_text(json.dumps(figures, indent=1) + "\n")
    decisions = {name: f"{compared[f'metering.metered_{name}']:,}" for name in ("steps", "jobs", "requests")}
    print(
        f"\n{proved['worlds']:,} worlds, {compared.total():,} rows compared, of them decisions on "
        f"{decisions['steps']} steps, {decisions['jobs']} jobs and {decisions['requests']} requests "
        f"by {len(by_rule)} rules, and {restated.total():,} restatements by {len(restated)} causes in {sequences} "
        f"sequences of runs, in {figures['seconds']} s; {len(found)} worlds and {proved['differing_sequences']} "
        "sequences differ"
    )
    for counterexample in found:
        print(f"\n{counterexample.report()}\nkept as {counterexample.keep().relative_to(PROJECT)}")
    return int(bool(found or proved["differing_sequences"]))


def look(projects: dict[str, Project], worlds: int, seed_: int) -> tuple[Prover, Counterexample | None]:
    """Compare as many worlds, in a process of its own; stops at the first that differs."""
    prover = Prover(projects)
    found: list[Counterexample] = []

    @seed(seed_)
    @settings(
        max_examples=worlds // WORLDS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(batches(share=seed_))
    def compare(batch: Batch) -> None:
        if not found and (counterexample := prover.look_at(batch)):
            found.append(counterexample)

    compare()
    return prover.figures(), next(iter(found), None)


def run_sequence(seed_: int) -> tuple[int, Counter[str], str]:
    """Compare closes and restatements over real runs, in a process of its own; the text says what differs, if any."""
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, Forks(address_for(uuid.uuid4().hex)) as forks:
        try:
            with contextlib.redirect_stdout(said):
                return *compare_runs(seed_, Workbench(Path(folder), forks)), ""
        except AssertionError:
            return 0, Counter(), f"Sequence {seed_}:\n{said.getvalue()}{traceback.format_exc(limit=1)}"


if __name__ == "__main__":
    sys.exit(main())
