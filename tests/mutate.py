"""Mutates the project one place at a time, and reports which mutations the tests notice.

    make mutants                                          # the rule book, metering and the marts
    python tests/mutate.py --of metering.metered_jobs     # of some models, or tables of the rule book
    python tests/mutate.py --sample 100 --seed 7          # some mutations, drawn
    python tests/mutate.py --remaining                    # what earlier runs have not seen noticed

A mutation is noticed by the comparison with the reference over random worlds, by a unit test, by a data test or by a
contract, or because the build stops or does not end. Mutations that are no valid SQL are left out. What survives
is either listed in tests/mutants/equivalent.csv, with the reason why no input can show it, or is a gap in the tests:
exit code 1. The figures go to target/mutants.json, from which docs/accuracy.md is made.

Decisions::

    docs/decisions/own-mutations.md
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from multiprocessing.connection import Connection, wait
from pathlib import Path

import duckdb
from dbt_forks import Forks
from mutants.mutations import Mutation, mutations_of_model, mutations_of_rules
from mutants.trial import INVALID, SURVIVED, CountedWorlds, UnitTests, Verdict
from reference.compiled import PROJECT, Project, UnitTest, Warehouse, read_unit_tests
from reference.contract_worlds import SMALL_TIERS, random_contract_world
from reference.proving import ADMINS, OPTIONS, PREFIXES, PROCESSES, Batch, compile_all, say
from reference.reference import APPS_CSV, Apps, Options
from reference.worlds import every_operation, merge_worlds

EQUIVALENT = Path(__file__).parent / "mutants" / "equivalent.csv"
RULES, METERING, MARTS = "rules", "metering", "marts"
# Columns of the rule book that no figure depends on.
WORDS_FOR_PEOPLE = {"rule", "source", "decision_records", "app_name", "title"}
CUT = date(2024, 4, 1)  # on which much happens in the random worlds


def main() -> int:
    """Mutation, try, print and write the figures; 1 where a mutation survives that is not known to be equivalent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--of", nargs="+", metavar="NAME", help=f"schema.name, or {RULES}, {METERING}, {MARTS}; default: everything"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="try only so many mutations")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument(
        "--remaining", action="store_true", help="mutations that an earlier run saw noticed, to the same SQL, stay so"
    )
    parser.add_argument("--figures", type=Path, default=PROJECT / "target" / "mutants.json")
    asked = parser.parse_args()

    begun = time.monotonic()
    with Forks() as forks, tempfile.TemporaryDirectory() as folder:
        projects = compile_all(forks)
        unit_tests, _ = read_unit_tests(Path(folder), forks, ADMINS)
    say("Looking for places to mutate")
    mutations = [
        mutation
        for target in targets(projects["default"])
        if not asked.of or {target, part_of(projects["default"], target)} & set(asked.of)
        for mutation in mutations_of(projects["default"], target)
    ]
    if asked.sample:
        mutations = random.Random(asked.seed).sample(mutations, min(asked.sample, len(mutations)))
    noticed = asked.figures.with_suffix(".csv")
    if not asked.remaining:
        noticed.unlink(missing_ok=True)
    known = noticed_before(noticed)
    verdicts = [Verdict(mutation, *known[key]) for mutation in mutations if (key := key_of(mutation)) in known]
    noticed_earlier = len(verdicts)
    mutations = [mutation for mutation in mutations if key_of(mutation) not in known]
    say(f"{len(mutations):,} mutations" + (f", and {noticed_earlier:,} that were noticed before" if known else ""))

    say("Counting the worlds unchanged")
    prepare(projects, unit_tests)
    random.Random(0).shuffle(mutations)  # so that shares take equally long
    for number, verdict in enumerate(tried(mutations), start=1):
        verdicts.append(verdict)
        if verdict.kind == SURVIVED:
            say(f"survived: {verdict.mutation.target}: {verdict.mutation.what}")
        else:
            note(verdict, noticed)
        if number % 100 == 0 or number == len(mutations):
            say(f"{number:,} of {len(mutations):,} tried")

    figures = summary(projects["default"], verdicts) | {
        "measured": str(date.today()),
        "seconds": round(time.monotonic() - begun),
        "processes": PROCESSES,
        "sample": asked.sample,
        "noticed_earlier": noticed_earlier,
    }
    asked.figures.parent.mkdir(exist_ok=True)
    asked.figures.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    print(report(figures))
    return int(bool(figures["unexplained"]))


# ------------------------------------------------------------------------------------------------------ earlier runs


def key_of(mutation: Mutation) -> str:
    """The same for the same mutation to the same SQL, or to the same row of the rule book."""
    return hashlib.sha256(f"{mutation.target}\n{mutation.sql}".encode()).hexdigest()


def note(verdict: Verdict, path: Path) -> None:
    """Write down at once that a mutation was noticed: a run may be stopped."""
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow((key_of(verdict.mutation), verdict.kind, verdict.by))


def noticed_before(path: Path) -> dict[str, tuple[str, str]]:
    """{key of a mutation that did not survive: (kind, by)}; none without an earlier run."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {key: (kind, by) for key, kind, by in csv.reader(file)}


# ------------------------------------------------------------------------------------------------------------- places


def part_of(project: Project, target: str) -> str | None:
    """Which part of the project a model or table belongs to; None: it is not mutated."""
    if target.startswith("rules."):
        return None if target in project.models else RULES
    return {"metering": METERING, "marts": MARTS}.get(project.models[target].path.split("/")[0])


def targets(project: Project) -> list[str]:
    """What can be mutated: tables of the rule book, models of metering and marts."""
    warehouse = Warehouse(project)
    tables = [
        f"rules.{table}"
        for (table,) in warehouse.connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'rules' "
            "and not starts_with(table_name, 'override_') order by table_name"
        ).fetchall()
    ]
    return [*tables, *(relation for relation in project.models if part_of(project, relation))]


def mutations_of(project: Project, target: str) -> Iterator[Mutation]:
    """Every mutation to a model or table, each with a name of its own."""
    if target.startswith("rules."):
        connection = Warehouse(project).connection
        rows = connection.execute(f"from {target} order by all").fetchall()
        columns = [column[0] for column in connection.description]
        words = {
            column: list(dict.fromkeys(row[n] for row in rows if row[n] is not None))
            for n, column in enumerate(columns)
        }
        mutations = mutations_of_rules(target, columns, rows, words, unread_columns(project, target, columns))
    else:
        mutations = (d for d in mutations_of_model(project.models[target]) if not is_of_an_option(d))
    names: Counter = Counter()
    for mutation in mutations:
        names[mutation.what] += 1
        number = names[mutation.what]
        yield replace(mutation, what=f"{mutation.what} ({number})") if number > 1 else mutation


def unread_columns(project: Project, table: str, columns: list[str]) -> set[str]:
    """Columns of a table of the rule book that no model reads, and those that are words for people."""
    in_force = table.replace("rules.", "rules.effective_")
    read = in_force if in_force in project.models else table
    readers = " ".join(model.sql for model in project.models.values() if read in model.parents)
    words = set(re.findall(r"\w+", readers))
    return {column for column in columns if column not in words} | WORDS_FOR_PEOPLE


def is_of_an_option(mutation: Mutation) -> bool:
    """Whether another account would be named as the partner's own: an option, and no code."""
    return any(f"{how}: '{account}'" in mutation.what for how in ("another text", "one more") for account in ADMINS)


# ------------------------------------------------------------------------------------ trying, in a process of its own

_tried_in: dict = {}


def prepare(projects: dict[str, Project], unit_tests: list[UnitTest]) -> None:
    """Count the worlds unchanged that each mutation is tried in: small ones first."""
    default = projects["default"]
    options = Options(admin_account_ids=tuple(ADMINS))
    few = {prefix: random_contract_world(seed, 8) for prefix, seed in zip(PREFIXES[1:7], range(6), strict=True)}
    first, _ = merge_worlds({"": every_operation(sorted(Apps(APPS_CSV).apps)), **few})
    batches = [Batch(tuple(range(100 * n, 100 * n + 20)), size, "default", n == 2) for n, size in ((1, 20), (2, 40))]
    second, third = (batch.as_delivered(batch.worlds()) for batch in batches)
    _tried_in.update(
        projects=projects,
        for_rules=[CountedWorlds(default, world, options) for world in (first, second)],
        # where a rule's dates are not looked at, two rows answer: one before and one after
        for_models=[CountedWorlds(default, world, options, CUT, SMALL_TIERS) for world in (first, second, third)],
        under_other_options={
            name: CountedWorlds(
                project, second, Options(**OPTIONS[name] | {"admin_account_ids": tuple(ADMINS)}), tiers=SMALL_TIERS
            )
            for name, project in projects.items()
            if name != "default"
        },
        mutations_under_other_options={},
    )
    asked = [test for test in unit_tests if test.relation in default.models and part_of(default, test.relation)]
    _tried_in["unit_tests"] = UnitTests(asked, _tried_in["for_rules"][0].warehouse)
    failing = _tried_in["unit_tests"].failing_unchanged()
    assert not failing, f"unit tests that fail unchanged: {failing}"


def tried(mutations: list[Mutation], share: int = 10) -> Iterator[Verdict]:
    """Try the mutations in processes that have the counted worlds from this one.

    A mutation on which a process dies is noticed: a build would die on it, too.
    """
    forking = multiprocessing.get_context("fork")
    waiting = deque(mutations[n : n + share] for n in range(0, len(mutations), share))
    at_work: dict = {}  # connection -> (process, what it has not answered yet)
    while waiting or at_work:
        while waiting and len(at_work) < PROCESSES:
            here, there = forking.Pipe(duplex=False)
            process = forking.Process(target=_try_share, args=(waiting[0], there))
            process.start()
            there.close()
            at_work[here] = process, deque(waiting.popleft())
        for connection in wait(list(at_work)):
            process, unanswered = at_work[connection]
            try:
                kind, by = connection.recv()
            except EOFError:
                del at_work[connection]
                process.join()
                if unanswered:
                    yield Verdict(unanswered.popleft(), "the build stops", f"exit code {process.exitcode}")
                if unanswered:
                    waiting.append(list(unanswered))
            else:
                yield Verdict(unanswered.popleft(), kind, by)


def _try_share(mutations: list[Mutation], connection: Connection) -> None:
    for mutation in mutations:
        try:
            verdict = _verdict(mutation)
        except duckdb.FatalException:  # the engine gave up its database, and the next mutation would not find it
            os._exit(1)
        connection.send((verdict.kind, verdict.by))
    connection.close()
    os._exit(0)  # without the databases' farewell, which is the parent's


def _verdict(mutation: Mutation) -> Verdict:
    """By the first test that notices, quick ones first."""
    first, *others = _tried_in["for_rules" if mutation.is_of_rules else "for_models"]
    verdict = first.try_out(mutation, with_data_tests=True)
    if verdict.kind != SURVIVED:
        return verdict
    default = _tried_in["projects"]["default"]
    if not mutation.is_of_rules:
        model = replace(default.models[mutation.target], sql=mutation.sql)
        for name in _tried_in["unit_tests"].failing(model):
            return Verdict(mutation, "unit test", name)
    for counted in others:
        verdict = counted.try_out(mutation)
        if verdict.kind != SURVIVED:
            return verdict
    for name, counted in _tried_in["under_other_options"].items():
        if same := _under_options(name, mutation):
            other = counted.try_out(same)
            if other.kind not in (SURVIVED, INVALID):
                return replace(other, mutation=mutation)
    return verdict


def _under_options(name: str, mutation: Mutation) -> Mutation | None:
    """The same mutation under these options, where the SQL has that place; a truth may be an option."""
    if mutation.is_of_rules:
        return mutation
    known = _tried_in["mutations_under_other_options"]
    if (name, mutation.target) not in known:
        known[name, mutation.target] = found = {
            d.what: d for d in mutations_of(_tried_in["projects"][name], mutation.target)
        }
        for what in list(found):
            found.setdefault(_whatever_the_truth(what), found[what])
    found = known[name, mutation.target]
    return found.get(mutation.what) or found.get(_whatever_the_truth(mutation.what))


def _whatever_the_truth(what: str) -> str:
    return re.sub(r"\b(TRUE|FALSE)\b", "a truth", what)


# ------------------------------------------------------------------------------------------------------------- figures


def summary(project: Project, verdicts: list[Verdict]) -> dict:
    """How many mutations of each part were noticed, by what, and what survived."""
    with EQUIVALENT.open(encoding="utf-8", newline="") as file:
        reasons = {(row["target"], row["mutation"]): row["reason"] for row in csv.DictReader(file)}
    parts: dict[str, Counter] = {}
    targets_: dict[str, Counter] = {}
    explained, unexplained = [], []
    for verdict in sorted(verdicts, key=lambda v: (v.mutation.target, v.mutation.what)):
        mutation = verdict.mutation
        for counter in (
            parts.setdefault(part_of(project, mutation.target), Counter()),
            targets_.setdefault(mutation.target, Counter()),
        ):
            counter[verdict.kind] += 1
        if verdict.kind == SURVIVED:
            survivor = {"target": mutation.target, "mutation": mutation.what, "changed": verdict.by}
            if reason := reasons.get((mutation.target, mutation.what)):
                explained.append(survivor | {"reason": reason})
            else:
                unexplained.append(survivor)
    return {
        "parts": {part: score(kinds) for part, kinds in sorted(parts.items())},
        "targets": {target: score(kinds) for target, kinds in sorted(targets_.items())},
        "explained": explained,
        "unexplained": unexplained,
    }


def score(kinds: Counter) -> dict:
    """``score``: noticed mutations of all that are valid, those that are equivalent among them."""
    tried = kinds.total() - kinds[INVALID]
    noticed = tried - kinds[SURVIVED]
    return {"mutations": tried, "noticed": noticed, "score": round(noticed / tried, 4) if tried else None} | dict(kinds)


def report(figures: dict) -> str:
    """The figures as lines."""
    lines = [
        f"{part}: {found['noticed']:,} of {found['mutations']:,} mutations noticed, {found['score'] or 0:.1%}; "
        + ", ".join(f"{kind} {n:,}" for kind, n in found.items() if kind not in ("mutations", "noticed", "score"))
        for part, found in figures["parts"].items()
    ]
    lines.append(f"{len(figures['explained'])} survivors are equivalent, {len(figures['unexplained'])} unexplained")
    lines += [
        f"  {s['target']}: {s['mutation']}" + (f"   [changes {s['changed']}]" if s["changed"] else "")
        for s in figures["unexplained"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
