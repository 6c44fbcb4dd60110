"""Computes a warehouse again from its stored deliveries, and publishes it, after a command has rewritten them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from conversion import Problem
from dbt_common.exceptions import DbtRuntimeError
from progress import Progress
from publishing import hold_warehouse, published_run, release_warehouse
from replaying import BUILD, environment_beside

PROJECT = Path(__file__).resolve().parent.parent
SCRATCH = "recomputing-"  # begins the name of the folder for dbt's own files


def run_and_print(
    run: Callable[[], list[str]], warehouse: Path, progress: Progress, codes: Mapping[type, int] | None = None
) -> int:
    """Print the lines that a command returns, or its problem; returns the exit code: 0, or 1 for a problem.

    ``codes``: other exit codes, by the class of the problem.
    """
    try:
        lines = run()
    except (Problem, DbtRuntimeError) as problem:
        print(problem)
        return (codes or {}).get(type(problem), 1)
    except OSError as error:  # a read-only folder, a full disk
        print(
            f"{error.filename or warehouse} cannot be written: {error.strerror or error}. Repair this, and try again."
        )
        return 1
    finally:
        progress.clear()
    print("\n".join(lines))
    return 0


def committed_inputs(published: Path) -> dict[str, Any]:
    """What the published run was made with; {} if nothing is published."""
    with suppress(duckdb.Error), duckdb.connect(str(published), read_only=True) as database:
        return json.loads(database.execute("select inputs from run_state.committed_inputs").fetchone()[0])
    return {}


def given_as_of_date(inputs: dict[str, Any]) -> str:
    """The as-of date that the run was given; an empty text if it is that of the newest delivery."""
    return inputs["as_of_date"] if inputs and inputs["as_of_date"] < inputs["newest_date"] else ""


def recompute_and_publish(warehouse: Path, command: str, options: dict[str, Any], as_of_date: str) -> list[str]:
    """Run dbt build over the stored deliveries. Returns the last lines of its output if it did not publish, else [].

    ``command``: holds the warehouse, except during the build. Raises DbtRuntimeError if another process took it.
    """
    before = published_run(warehouse / "usage.duckdb")
    for left in warehouse.glob(f"{SCRATCH}*"):  # by a killed call
        shutil.rmtree(left, ignore_errors=True)
    variables = options | {"only_stored_deliveries": True, "dashboard": False}
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=warehouse) as scratch:
        environment = os.environ | environment_beside(PROJECT, warehouse, Path(scratch))
        if profiles := os.environ.get("DBT_PROFILES_DIR"):  # dbt runs in the project's folder
            environment["DBT_PROFILES_DIR"] = str(Path(profiles).absolute())
        environment |= {"AS_OF_DATE": as_of_date, "REPLAYS_CHANGES": ""}
        release_warehouse(warehouse / "build")
        built = subprocess.run(
            [*BUILD, "--vars", json.dumps(variables)], cwd=PROJECT, env=environment, capture_output=True, text=True
        )
        hold_warehouse(warehouse / "build", command)
    if built.returncode == 0 and published_run(warehouse / "usage.duckdb") != before:
        return []
    said = [line for line in (built.stdout + built.stderr).splitlines() if line.strip()]
    return said[-15:] or [f"dbt ended with {built.returncode}."]


def require_published_loads(published: Path, loads: dict[str, int]) -> None:
    """Raise Problem unless the published run was computed from exactly these loads, {id: number}."""
    inputs = committed_inputs(published)
    if not inputs:
        raise Problem(
            f"{published} is of an older release, or cannot be read: run dbt build first. Nothing was changed."
        )
    if inputs["source"] != "deliveries":
        raise Problem(
            f"{published} was computed from {inputs['source']}, not from stored deliveries: nothing was changed."
        )
    if inputs["loads"].keys() != loads.keys():
        raise Problem(
            f"The stored deliveries have loads that {published} was not computed from, or lack some: run dbt build "
            "first. Nothing was changed."
        )
