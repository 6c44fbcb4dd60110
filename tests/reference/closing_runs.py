"""Random worlds in several real runs: what is closed and restated is what the independent count says.

Months are closed between the runs, loads removed, options changed. After each run the closes, the restatements with
their causes, and the figures of all closed months are compared with restatements.py.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter, defaultdict
from itertools import count

from building import Workbench, close, forget

from .contract_worlds import random_contract_world
from .delivery_schedules import REQUIRED, Plan, Spread
from .files import write_world
from .reference import Options
from .restatements import LISTINGS, TERMS, UNITS, State, as_restated, restate
from .restatements import close as figures_of
from .worlds import merge_worlds

WORLDS, SIZE, RUNS = 5, 8, 4  # of a sequence of runs
OTHER_OPTIONS = [
    {"unknown_app_is_eligible": False},
    {"count_test_jobs": False},
    {"task_terms": "T1"},
    {"unruled_app_is_eligible": True},
    {"reporting_timezone": "Asia/Kolkata"},
]
KINDS = {"units": (*UNITS, "job_history"), "listings and terms": (*LISTINGS, *TERMS), "nothing": ()}


class Sequence:
    """What each run finds, and what else changes before it.

    One run gets units with listings and terms, and several changes at once, so that it makes runs in between. Each of
    the others gets one kind, and at most one other change.
    """

    def __init__(self, seed):
        self.rng = random.Random(f"closes-{seed}")
        plan = Plan(worlds=WORLDS, runs=RUNS, order="mixed", repeated=20)
        runs = [{} for _ in range(RUNS)]
        for number in range(seed * WORLDS, (seed + 1) * WORLDS):
            for run, rows in zip(runs, Spread(random_contract_world(number, SIZE), number, plan).runs, strict=True):
                run[f"w{number}-"] = rows
        merged, admins = zip(*(merge_worlds(run) for run in runs), strict=True)
        self.admins = admins[0]
        for extract in REQUIRED:  # the first run needs a row of each
            if not merged[0].get(extract):
                merged[0][extract] = [next(run[extract] for run in merged if run.get(extract)).pop()]
        several = self.rng.randrange(1, RUNS)
        self.runs = []
        for number, rows in enumerate(merged):
            if number in (0, several):
                kind, kept, changes = "all", rows.keys(), self.rng.choice([["load", "option"], ["load"], ["option"]])
            else:
                kind = self.rng.choice(list(KINDS))
                kept, changes = KINDS[kind], self.rng.choice([["option"], ["load"]] if kind == "nothing" else [[]])
            later = merged[number + 1] if number + 1 < RUNS else {}
            for extract in rows.keys() - set(kept):  # what this run leaves is delivered later
                later.setdefault(extract, []).extend(rows[extract])
            found = {extract: of_extract for extract, of_extract in rows.items() if extract in kept}
            self.runs.append((kind, found, changes if number else []))


class Runs:
    """The runs of a sequence over one warehouse, and what the reference says of each."""

    def __init__(self, sequence: Sequence, workbench: Workbench) -> None:
        self.rng, self.build = sequence.rng, workbench.build
        self.folder = workbench.clear_extracts()
        self.formats = {}
        self.loads = {}  # number -> {extract: rows}
        self.numbers = count(1)
        self.options = {"admin_account_ids": sequence.admins}
        self.built = self.state = None
        self.closed = {}  # month -> its figures at the close
        self.figures = {}  # month -> its figures now

    def deliver(self, rows):
        load = next(self.numbers) if rows else None
        for extract, of_extract in rows.items():
            fmt = self.formats.setdefault(extract, self.rng.choice(["csv", "json"]))
            write_world({extract: of_extract}, self.folder, fmt, split=1, ragged=False, name=f"load-{load}")
            place = {"_load": load, "_file": f"{extract}/load-{load}"}
            self.loads.setdefault(load, {})[extract] = [row | place for row in of_extract]

    def forget_a_load(self):
        """Remove a load, if the others have all that a run needs."""
        for load in self.rng.sample(sorted(self.loads), len(self.loads)):
            left = {extract for number, of_load in self.loads.items() if number != load for extract in of_load}
            if left >= set(REQUIRED):
                forgotten = forget(self.built.warehouse, load)
                assert forgotten.returncode == 0, forgotten.stdout
                del self.loads[load]
                return f"without load {load}"
        return "no load to remove"

    def change_an_option(self):
        changed = self.rng.choice([option for option in OTHER_OPTIONS if not option.items() <= self.options.items()])
        self.options |= changed
        return str(changed)

    def close_some(self):
        """Close some months with usage; what is closed has the figures of the published run."""
        used = self.built.column("select distinct usage_month from marts.monthly_figures order by all")
        still_open = [month for month in used if month not in self.closed]
        for month in self.rng.sample(still_open, (len(still_open) + 1) // 2):
            answer = close(self.built.warehouse, f"{month:%Y-%m}", force="1")
            assert answer.returncode == 0, answer.stdout + answer.stderr
            self.closed[month] = self.figures[month] = figures_of(self.state.result, month)

    def run(self):
        """Run; returns what the reference restates."""
        world = defaultdict(list)
        for of_load in self.loads.values():
            for extract, rows in of_load.items():
                world[extract] += rows
        options = {name: tuple(value) if isinstance(value, list) else value for name, value in self.options.items()}
        before, self.state = self.state, State(dict(world), Options(**options))
        expected = restate(before, self.state, self.figures) if self.figures else []
        self.figures = as_restated(self.figures, expected)
        earlier = self.built
        arguments = ("--full-refresh",) if earlier and self.rng.random() < 0.15 else ()
        self.built = self.build(self.folder, onto=earlier, vars=self.options, arguments=arguments, keep=False)
        assert self.built.exit_code == 0, self.built.output
        assert "could not be made" not in self.built.output, self.built.output
        if earlier:
            shutil.rmtree(earlier.warehouse)
        return expected

    def figures_in(self, table):
        """{month: {(customer, metric, call_type): figure}} of a table, of closed months."""
        found = {month: {} for month in self.closed}
        for month, *key, quantity in self.built.rows(
            f"select usage_month, customer_id, metric, call_type, quantity from {table} where quantity <> 0"
        ):
            if month in found:
                found[month][tuple(key)] = quantity
        return found

    def assert_same(self, expected):
        """Restatements of this run, closes and current figures are the reference's; returns how many rows."""
        found = self.built.rows(
            "select customer_id, usage_month, metric, call_type, cause, retracted_quantity, restated_quantity "
            "from marts.usage_restatements where run_id = (select run_id from run_state.watermark)"
        )
        ours, theirs = ({row[:5]: row[5:] for row in rows} for rows in (found, expected))
        assert (len(ours), len(theirs)) == (len(found), len(expected))
        differences = [
            f"{key}: {theirs.get(key)} expected, {ours.get(key)} found"
            for key in sorted(ours.keys() | theirs.keys(), key=str)
            if ours.get(key) != theirs.get(key)
        ]
        assert not differences, "\n".join([f"{len(differences)} of {len(expected)} differ", *differences[:30]])
        assert self.figures_in("marts.usage_closes") == self.closed
        assert self.figures_in("marts.monthly_figures") == self.figures
        added = (
            "(select usage_month, customer_id, metric, call_type, sum(quantity) as quantity from (select usage_month, "
            "customer_id, metric, call_type, quantity from marts.usage_closes union all select usage_month, "
            "customer_id, metric, call_type, restated_quantity - retracted_quantity from marts.usage_restatements) "
            "group by all)"
        )
        assert self.figures_in(added) == self.figures
        return len(expected) + 2 * sum(map(len, self.figures.values()))


def compare_runs(seed: int, workbench: Workbench) -> tuple[int, Counter[str]]:
    """Make the runs of a sequence: the number of rows compared, and of restatements by cause.

    Prints what each run does. Raises AssertionError at the first run that differs from the reference.
    """
    sequence = Sequence(seed)
    runs, rows, causes = Runs(sequence, workbench), 0, Counter()
    for number, (kind, delivered, changes) in enumerate(sequence.runs):
        if number:
            runs.close_some()
        changed = [runs.forget_a_load() if change == "load" else runs.change_an_option() for change in changes]
        runs.deliver(delivered)
        expected = runs.run()
        of_run = Counter(row.cause for row in expected)
        print(f"run {number} delivers {kind}", *changed, f"{len(runs.closed)} months closed", dict(of_run), sep="; ")
        rows += runs.assert_same(expected)
        causes += of_run
    print(f"{WORLDS} worlds in {RUNS} runs, {rows:,} rows compared, {causes.total()} restatements")
    return rows, causes
