"""dbt source freshness compares the newest published time of each extract with the clock, and nothing else does."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from pathlib import Path

import pytest
from builders import NOON, customer, job, recipe, request, seats, subscription, world
from building import PROJECT, VARS, Build, Workbench

# Listings and jobs of March 2026, long ago; contracts, one of which has no time; no prompts.
WORLD = world(customer(), recipe(), job(), request(), seats(), subscription(extracted_at=NOON))
DELIVERED = {"customers", "recipes", "connections", "jobs", "steps", "api_requests"}
EXTRACTS = DELIVERED | {
    *("job_history", "api_collections", "event_stream_requests", "genie_prompts"),
    *("seats", "subscriptions", "credit_ratios", "recommended_recipes", "vendor_usage"),
}


def source_freshness(
    workbench: Workbench, warehouse: Path, own_parse: Path | None = None, **limits: int
) -> tuple[int, str]:
    """Exit code and output. ``own_parse``: parse the project in this folder, as a command with other limits needs."""
    output = workbench.folder / "freshness.txt"
    environment = workbench.environment(None) | {"WAREHOUSE_DIR": str(warehouse)}
    key = workbench.manifest_key(None, {})
    if own_parse:
        environment["DBT_TARGET_PATH"] = str(own_parse)
        key = None
    arguments = ["--no-use-colors", "source", "freshness", "--threads", "1", "--vars", json.dumps(VARS | limits)]
    code = workbench.forks.start(arguments, environment, PROJECT, output, key).wait()
    return code, output.read_text(encoding="utf-8")


def states(output: str) -> dict[str, str]:
    found = re.findall(r"\d+ (PASS|WARN|ERROR STALE) freshness of extracts\.(\w+)", output)
    return {name: state for state, name in found}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestSourceFreshness:
    @pytest.fixture(scope="class")
    @classmethod
    def built(cls, build) -> Build:
        return build(WORLD)

    def test_an_extract_that_is_too_old_fails_and_one_that_was_never_delivered_passes(self, built, workbench):
        code, output = source_freshness(workbench, built.warehouse)
        assert code == 1, output
        found = states(output)
        assert found.pop("subscriptions") in ("PASS", "WARN")  # by the clock: contracts may be a year old
        assert found == {name: "ERROR STALE" if name in DELIVERED else "PASS" for name in EXTRACTS - {"subscriptions"}}

    def test_the_limits_are_variables(self, built, workbench, tmp_path):
        limits = {"freshness_warn_hours": 1, "freshness_error_hours": 9_000_000, "freshness_kept_warn_hours": 1}
        code, output = source_freshness(workbench, built.warehouse, tmp_path, **limits)
        assert code == 0, output
        warned = DELIVERED | {"subscriptions"}
        assert states(output) == {name: "WARN" if name in warned else "PASS" for name in EXTRACTS}

    def test_it_changes_nothing_and_needs_no_lock(self, built, workbench, tmp_path):
        warehouse = tmp_path / "warehouse"
        shutil.copytree(built.warehouse, warehouse, symlinks=True)
        with (warehouse / "build" / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = contents(warehouse)
            code, output = source_freshness(workbench, warehouse)
            assert (code, len(states(output))) == (1, len(EXTRACTS)), output
            assert contents(warehouse) == before

    def test_without_a_warehouse_it_says_so_and_makes_none(self, workbench, tmp_path):
        code, output = source_freshness(workbench, tmp_path / "none")
        assert code != 0
        assert f"There is no warehouse at {tmp_path / 'none' / 'usage.duckdb'}: make build writes it." in output
        assert list(tmp_path.iterdir()) == []
