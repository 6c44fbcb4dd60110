"""Compares the models with the reference over thousands of random worlds, all in memory.

Hypothesis draws batches of worlds and the options to count them under. A batch is one merged world; where it differs
from the reference, the smallest world that differs is found and kept as an example for good.

Decisions::

    docs/decisions/random-worlds-by-seed.md
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import multiprocessing
import pickle
import re
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from building import PROJECT, code_digest
from dbt_forks import Forks
from hypothesis import strategies as st

from .comparison import COMPARED, RELATIONS, Comparison, compare
from .compiled import Project, Warehouse, World, compile_project
from .contract_worlds import SMALL_TIERS, random_contract_world
from .files import nest
from .measures import Tiers
from .reference import Options
from .shrinking import of_account, of_job, readable, reduce, size_of
from .worlds import ADMIN, merge_worlds

WORLDS = 20  # of a batch
PROCESSES = multiprocessing.cpu_count()
PREFIXES = [f"w{number}-" for number in range(WORLDS)]
COVERAGE = "audit.rule_coverage"
REGRESSIONS = Path(__file__).with_name("regressions")
COMPILED = PROJECT / "target" / "compiled"

# Every counting option at least once apart from its default. The partner's workspaces are those of merged worlds, and
# of a world alone.
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "Los Angeles, T1, opposite defaults": {
        "reporting_timezone": "America/Los_Angeles",
        "count_test_jobs": False,
        "unruled_app_is_eligible": True,
        "unknown_app_is_eligible": False,
        "task_terms": "T1",
        "as_of_date": "2024-05-15",
        "listing_tolerance_hours": 0.5,
        "vendor_timezone": "UTC",
        "vendor_task_terms": "T3",
        "default_terms": "credits_2026",
        "prorate_allowances": False,
    },
    "Kolkata, T2, as of the past": {
        "reporting_timezone": "Asia/Kolkata",
        "task_terms": "T2",
        "as_of_date": "2024-03-31",
        "vendor_timezone": "America/Los_Angeles",
        "vendor_task_terms": "T1",
        "default_terms": "tasks_2024",
    },
}
ADMINS = [ADMIN, *(f"{prefix}{ADMIN}" for prefix in PREFIXES), "999", "998"]  # the last two in unit tests


@dataclass(frozen=True)
class Batch:
    """Worlds by their seeds, of ``size`` jobs or so each; ``is_streamed``: jobs come nested where they can."""

    seeds: tuple[int, ...]
    size: int
    options: str
    is_streamed: bool

    def worlds(self) -> dict[str, World]:
        """Each world by the prefix of its ids."""
        return {
            prefix: random_contract_world(seed, self.size) for prefix, seed in zip(PREFIXES, self.seeds, strict=False)
        }

    def as_delivered(self, worlds: dict[str, World]) -> World:
        """The worlds as one."""
        merged, _ = merge_worlds(worlds)
        if self.is_streamed:
            nested, flat = nest(merged)
            return {**flat, "job_history": nested}
        return merged


@st.composite
def batches(draw: st.DrawFn, options: tuple[str, ...] = tuple(OPTIONS), worlds: int = WORLDS, share: int = 0) -> Batch:
    """Batches of different worlds, small and large ones; those of another ``share`` are others."""
    seeds = draw(st.lists(st.integers(0, 2**63), min_size=worlds, max_size=worlds, unique=True))
    return Batch(
        seeds=tuple((share << 64) + seed for seed in seeds),  # the simplest batch is drawn first, in every share
        size=draw(st.sampled_from([8, 20, 40])),
        options=draw(st.sampled_from(options)),
        is_streamed=draw(st.booleans()),
    )


def compile_all(forks: Forks) -> dict[str, Project]:
    """The project compiled under each set of options. The same code is compiled once, for whoever asks."""
    COMPILED.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(json.dumps([code_digest(), OPTIONS, ADMINS], sort_keys=True).encode()).hexdigest()
    with (COMPILED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = COMPILED / key / "projects.pickle"
        if not kept.exists():
            for earlier in COMPILED.iterdir():
                if earlier.is_dir():
                    shutil.rmtree(earlier)
            projects = {
                name: compile_project(kept.parent / folder_name(name), options | {"admin_account_ids": ADMINS}, forks)
                for name, options in OPTIONS.items()
            }
            kept.write_bytes(pickle.dumps(projects))
        return pickle.loads(kept.read_bytes())


def folder_name(name: str) -> str:
    """The name of a set of options as one of a folder."""
    return re.sub("[^a-z0-9]+", "_", name.lower())


@dataclass
class Counterexample:
    """The smallest world found on which models and reference differ, and how."""

    options: str
    world: World
    comparison: Comparison

    def report(self) -> str:
        rows = size_of(self.world)
        return (
            f"Options: {self.options}. The smallest world found, {rows} row{'s' * (rows != 1)}:\n"
            f"{readable(self.world)}\n"
            f"{self.comparison.report(limit=5)}"
        )

    def keep(self, folder: Path = REGRESSIONS) -> Path:
        """Write it as an example that each test run looks at again."""
        text = json.dumps({"options": self.options, "world": self.world}, indent=1, ensure_ascii=False) + "\n"
        path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
        folder.mkdir(exist_ok=True)
        path.write_text(text)
        return path


@dataclass
class Prover:
    """Compares worlds, and counts what was compared. ``projects``: by the name of their options."""

    projects: dict[str, Project]
    rows: Counter = field(default_factory=Counter)
    by_rule: Counter = field(default_factory=Counter)
    seen: dict[str, set[tuple[int, int]]] = field(default_factory=dict)  # worlds by options, as (seed, size)
    _warehouses: dict[str, Warehouse] = field(default_factory=dict)

    @property
    def worlds_by_options(self) -> Counter:
        """How many different worlds were compared."""
        return Counter({options: len(worlds) for options, worlds in self.seen.items()})

    @property
    def worlds(self) -> int:
        return self.worlds_by_options.total()

    def figures(self) -> Prover:
        """The same without its databases, to be handed to another process."""
        return replace(self, projects={}, _warehouses={})

    def warehouse(self, options: str) -> Warehouse:
        if options not in self._warehouses:
            self._warehouses[options] = warehouse = Warehouse(self.projects[options])
            use_tiers(warehouse, SMALL_TIERS)
        return self._warehouses[options]

    def compare(self, world: World, options: str, relations: tuple[str, ...] = COMPARED) -> Comparison:
        """Make the models over one world and compare them."""
        warehouse = self.warehouse(options)
        warehouse.build(world, relations)
        chosen = Options(**OPTIONS[options] | {"admin_account_ids": tuple(ADMINS)})
        return compare(warehouse.connection, world, chosen, relations, tiers=SMALL_TIERS)

    def look_at(self, batch: Batch) -> Counterexample | None:
        """Compare what is new in a batch; where it differs, find the smallest world that does."""
        seen = self.seen.setdefault(batch.options, set())
        batch = replace(batch, seeds=tuple(seed for seed in batch.seeds if (seed, batch.size) not in seen))
        if not batch.seeds:
            return None
        seen.update((seed, batch.size) for seed in batch.seeds)
        worlds = batch.worlds()
        delivered = batch.as_delivered(worlds)
        comparison = self.compare(delivered, batch.options)
        self.rows += comparison.rows
        self.by_rule.update(self.decisions_by_rule(batch.options))
        if not comparison.differences:
            return None
        return self.smallest(batch, worlds, comparison)

    def decisions_by_rule(self, options: str) -> dict[str, int]:
        """How much each rule decided in the world that was compared last."""
        warehouse = self.warehouse(options)
        warehouse.make(self.projects[options].models[COVERAGE])
        return dict(warehouse.connection.execute(f"select rule_id, decisions from {COVERAGE}").fetchall())

    def smallest(self, batch: Batch, worlds: dict[str, World], comparison: Comparison) -> Counterexample:
        """The rows that the first difference needs: of its job if they show it alone, else of its account or world."""
        first = comparison.differences[0]
        prefix = next((prefix for prefix in worlds if str(first.account).startswith(prefix)), None)
        candidates = [batch.as_delivered(worlds)]
        if prefix is not None:
            alone = batch.as_delivered({"": worlds[prefix]})
            account = first.account.removeprefix(prefix)
            candidates = [
                *([of_job(alone, account, first.job_id)] if first.job_id else []),
                of_account(alone, account),
                alone,
                *candidates,
            ]
        start = next(world for world in candidates if self.compare(world, batch.options, (first.relation,)).differences)
        world = reduce(start, lambda some: self.differing(some, batch.options, first.relation))
        return Counterexample(batch.options, world, self.compare(world, batch.options))

    def differing(self, worlds: list[World], options: str, relation: str) -> list[bool]:
        """Whether each of some worlds differs in a relation: together, where its rows are somebody's."""
        if not {"customer_id", "account_id"} & set(RELATIONS.get(relation, ())):
            return [bool(self.compare(world, options, (relation,)).differences) for world in worlds]
        merged, _ = merge_worlds(dict(zip(PREFIXES, worlds, strict=False)))
        differences = self.compare(merged, options, (relation,)).differences
        return [any(str(d.account).startswith(prefix) for d in differences) for prefix in PREFIXES[: len(worlds)]]


def use_tiers(warehouse: Warehouse, tiers: Tiers) -> None:
    """Recipes of small worlds are high-volume by small bounds."""
    connection = warehouse.connection
    for tier, bound in enumerate(tiers.bounds, start=1):
        connection.execute("update rules.recipe_tiers set more_than_tasks = ? where tier = ?", [bound, tier])
    connection.execute("delete from rules.threshold_steps where threshold_kind = 'recipe_tasks'")
    connection.execute(
        "insert into rules.threshold_steps (rule_id, threshold_kind, threshold) "
        "select 'C-HVR', 'recipe_tasks', unnest(?)",
        [list(tiers.thresholds)],
    )


def kept_examples(folder: Path = REGRESSIONS) -> list[Path]:
    """The worlds that once differed."""
    return sorted(folder.glob("*.json"))


def say(text: str) -> None:
    """A line of progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
