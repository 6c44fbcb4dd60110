"""The runs in between: a run that changes several things is made again beside the warehouse, one change at a time.

``replay_changes(plan) -> JSON`` makes these runs for the model restated_units; ``recompute()`` makes one, also for make
verify. Each run is a dbt build over the stored deliveries in a scratch warehouse that begins as a copy of the published
one, by the project of the last run (closes.py keeps it). It writes its restatements, and the next one continues.

Decisions::

    docs/decisions/restatements.md
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from closes import open_closes, unpack_project
from conversion import Problem
from copying import copy_file
from progress import NO_PROGRESS, Progress
from store import Part, Store, note_loads, open_store, write_parts

SCRATCH = "replaying-"  # begins the names of the folders with scratch warehouses

BUILD = (sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "build", "--exclude-resource-type", "unit_test")

LISTINGS = {"customers", "recipes", "connections", "api_collections", "seats", "subscriptions", "credit_ratios"}


def replay_changes(plan: str, progress: Progress = NO_PROGRESS) -> str:
    """Apply the changes of a run one after the other, all but the last.

    ``plan`` is JSON: ``{"stages", "state", "inputs": of this run, "is_published": whether the published file is of the
    state's run, "project", "published"}``. Stages: base (the run before, if it must be computed again), units
    (deliveries without new listings and terms), deliveries, rule_change, option_change. The answer is JSON:
    ``{"problem": null or text, "before": the scratch warehouse's published file, "restatements": [paths]}``.
    """
    told = json.loads(plan)
    try:
        return json.dumps(_Replay(told, progress).run() | {"problem": None})
    except (Problem, OSError, RunFailed) as problem:
        return json.dumps({"problem": str(problem)})
    finally:
        progress.clear()


def forget_replays(warehouse: Path) -> None:
    """Remove the scratch warehouses of this run and of killed ones."""
    for folder in warehouse.glob(f"{SCRATCH}*"):
        shutil.rmtree(folder, ignore_errors=True)


class RunFailed(Exception):
    """A dbt build failed: the last line that it said."""


class _Replay:
    """The scratch warehouse of a plan."""

    def __init__(self, plan: dict[str, Any], progress: Progress) -> None:
        self.plan, self.progress = plan, progress
        self.warehouse = Path(plan["published"]).parent
        self.folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=self.warehouse))
        self.scratch = self.folder / "warehouse"
        self.project = self.folder / "project"
        self.options = plan["state"]["options"]

    def run(self) -> dict[str, Any]:
        state, inputs = self.plan["state"], self.plan["inputs"]
        closes = open_closes(self.warehouse)
        unpack_project(closes.root, state["project"], self.project)
        shutil.copytree(closes.root, self.scratch / "closes")
        known = {run["run_id"] for run in closes.state["restatements"]}
        store = open_store(self.warehouse / "deliveries")
        old = set(state["loads"]) & set(inputs["loads"])
        if self.plan["is_published"]:
            (self.scratch / "build").mkdir()
            copy_file(self.warehouse / "usage.duckdb", self.scratch / "usage.duckdb")
            copy_file(self.warehouse / "usage.duckdb", self.scratch / "build" / "usage.duckdb")
        split: set[str] = set()  # loads whose listings are loads of their own
        for number, stage in enumerate(self.plan["stages"], start=1):
            self.progress.line(f"A run in between, {number} of {len(self.plan['stages'])}: {stage.replace('_', ' ')}")
            as_of_date = inputs["as_of_date"]
            if stage == "base":
                copy_store(store, self.scratch / "deliveries", old)
                as_of_date = state["as_of_date"]
            elif stage == "units":
                split = set(inputs["loads"]) - old
                copy_store(store, self.scratch / "deliveries", inputs["loads"], split)
            else:
                copy_store(store, self.scratch / "deliveries", inputs["loads"], split, with_listings=True)
            if stage == "rule_change":
                shutil.rmtree(self.project / "seeds" / "rules")
                shutil.copytree(Path(self.plan["project"]) / "seeds" / "rules", self.project / "seeds" / "rules")
            elif stage == "option_change":
                # the project of the last run refuses options that a newer release added
                self.options = {name: inputs["options"].get(name, value) for name, value in self.options.items()}
            recompute(self.project, self.scratch, self.options, as_of_date)
        added = [path for path in open_closes(self.scratch).restatements() if path.stem not in known]
        return {"before": str(self.scratch / "usage.duckdb"), "restatements": [str(path) for path in added]}


def recompute(
    project: Path, warehouse: Path, options: dict[str, Any], as_of_date: str, *, is_sample: bool = False
) -> None:
    """Run ``dbt build`` of a project without data tests over the stored deliveries of a warehouse, or over the sample.

    Raises RunFailed with the last lines of dbt's output.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
    environment |= environment_beside(project, warehouse, warehouse.parent)
    environment |= {"AS_OF_DATE": as_of_date, "DBT_PROFILES_DIR": str(project), "DO_NOT_TRACK": "1"}
    variables = json.dumps(options | ({} if is_sample else {"only_stored_deliveries": True}))
    command = [*BUILD, "--exclude-resource-type", "test", "--vars", variables]
    ran = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    if ran.returncode:
        said = [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
        raise RunFailed(" ".join(said[-3:])[-1000:] or f"dbt ended with {ran.returncode}")


def environment_beside(project: Path, warehouse: Path, scratch: Path) -> dict[str, str]:
    """The environment of a build of a project in another warehouse; ``scratch``: the folder for dbt's own files."""
    return {
        "EXTRACTS_DIR": "",
        "WAREHOUSE_DIR": str(warehouse),
        "REPLAYS_CHANGES": "1",  # no runs in between, whatever is found
        "DBT_PROJECT_DIR": str(project),
        "DBT_TARGET_PATH": str(scratch / "target"),
        "DBT_LOG_PATH": str(scratch / "logs"),
    }


def copy_store(
    store: Store, target: Path, loads: Collection[str], split: Collection[str] = (), *, with_listings: bool = False
) -> None:
    """Write a store with some of the loads, by id: links to the stored files where a piece is kept whole.

    ``split``: the loads without their listings and terms; ``with_listings``: those are loads of their own, after all
    others. Raises Problem or OSError.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if (store.root / "forgotten").is_dir():
        (target / "forgotten").symlink_to((store.root / "forgotten").absolute())
    after = store.loads[-1]["load"] if store.loads else 0
    for piece in store.pieces:
        kept = [load for load in piece.loads if load["id"] in loads]
        parts, listings = [], []
        for load in kept:
            extracts = frozenset(load["stored"])
            units = extracts - LISTINGS if load["id"] in split else extracts
            parts.append(Part(load, units, load["load"], load["id"]))
            if with_listings and units < extracts:
                listings.append(Part(load, extracts & LISTINGS, after + load["load"], f"{load['id']}-listings"))
        for of_piece in filter(None, (parts, listings)):
            write_parts(store, piece, target, of_piece)
    note_loads(open_store(target))
