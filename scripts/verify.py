"""Verify the stored history against the published warehouse: does recomputing everything give the same rows?

    make verify                                  # of WAREHOUSE_DIR
    python scripts/verify.py --vars '{reporting_timezone: Europe/Berlin}'    # the vars of the scheduled run

Reads every stored file against its checksum, builds a second warehouse from the stored deliveries alone, and compares
each table of marts, metering and audit. Exit code 0 if all are equal, 1 if something differs, 2 if it cannot be
determined. Needs space for a second warehouse in WAREHOUSE_DIR while it runs. Scheduled runs may continue, but a load
that is stored after the start is a difference.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import yaml

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "plugins"))

from deliveries import verify_store  # noqa: E402
from progress import Progress, as_bytes, terminal  # noqa: E402

SCHEMAS = ("marts", "metering", "audit")


def main() -> int:
    """Check the store, recompute, compare, and print the differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vars", default="{}", help="the vars of the scheduled run, as YAML")
    asked = parser.parse_args()
    options = read_vars(asked.vars)
    if options is None:
        print(f"The vars {asked.vars!r} are not a YAML mapping, such as '{{reporting_timezone: Europe/Berlin}}'.")
        return 2
    warehouse = Path(os.environ.get("WAREHOUSE_DIR") or PROJECT / "warehouse").resolve()
    store, published = warehouse / "deliveries", warehouse / "usage.duckdb"
    if not published.exists() or not any(store.glob("*/manifest.json")):
        print(f"{warehouse} has no published warehouse with stored deliveries: there is nothing to verify.")
        return 2
    progress = Progress(lambda text: print(text, file=sys.stderr, flush=True), terminal())
    if problem := verify_store(str(store), progress):
        print(problem)
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="verify-", dir=warehouse) as scratch:
            return recompute_and_compare(warehouse, Path(scratch), options, progress)
    except OSError as error:  # a read-only folder, a full disk
        print(f"Cannot write beside the warehouse: {error.filename or warehouse}: {error.strerror or error}.")
        return 2


def recompute_and_compare(warehouse: Path, scratch: Path, options: dict, progress: Progress) -> int:
    """Recompute everything in ``scratch``, and print the differences from the published warehouse."""
    store, published = warehouse / "deliveries", warehouse / "usage.duckdb"
    again = scratch / "warehouse"
    (again / "deliveries").mkdir(parents=True)
    # the run reads the loads through links, but has a separate list of runs
    for path in store.iterdir():
        if not path.name.startswith("runs."):
            (again / "deliveries" / path.name).symlink_to(path)
    progress.line(f"Copying {as_bytes(published.stat().st_size)}, the published file, to {scratch}")
    shutil.copyfile(published, scratch / "usage.duckdb")
    if not recompute(again, scratch, options, progress):
        return 2
    return report(differences(scratch / "usage.duckdb", again / "usage.duckdb", progress))


def read_vars(text: str) -> dict | None:
    """The vars by name; {} for an empty text, None if the text is not a YAML mapping."""
    try:
        options = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        return None
    return options if isinstance(options, dict) else None


def recompute(warehouse: Path, scratch: Path, options: dict, progress: Progress) -> bool:
    """Build a warehouse from the stored deliveries only; False, and prints dbt's output, if that fails."""
    environment = os.environ | {
        "EXTRACTS_DIR": "",
        "WAREHOUSE_DIR": str(warehouse),
        "DBT_TARGET_PATH": str(scratch / "target"),
        "DBT_LOG_PATH": str(scratch / "logs"),
        "DBT_PROJECT_DIR": str(PROJECT),
    }
    if profiles := os.environ.get("DBT_PROFILES_DIR"):  # dbt runs in the project's folder
        environment["DBT_PROFILES_DIR"] = str(Path(profiles).absolute())
    command = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "build", "--exclude-resource-type", "unit_test"]
    variables = yaml.safe_dump(options | {"only_stored_deliveries": True})
    progress.line("Recomputing everything from the stored deliveries, beside the warehouse")
    progress.begin()
    said, stage = [], "reading the project"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([*command, "--vars", variables], cwd=PROJECT, env=environment, **pipes) as build:
        for line in build.stdout:
            said.append(line)
            if found := re.search(r"  (Stage \d+ of \d+, .*)", line):
                stage = found[1]
            elif (found := re.search(r"  (\d+ of \d+) (?:OK|PASS) (?!hook)", line)) and not stage.startswith("Stage"):
                stage = f"{found[1]} tables and tests"
            progress.show(f"Recomputing: {stage}")
    progress.clear()
    if build.returncode:
        print("".join(said))
    return build.returncode == 0


def differences(published: Path, recomputed: Path, progress: Progress) -> dict[str, tuple[int, int]]:
    """For each table of either file, its number of rows in both; -1 for both if the tables are equal.

    Tables are equal if they have the same columns, number of rows, and sum of the rows' hashes.
    """
    found = {}
    with duckdb.connect() as connection:
        connection.execute(f"attach '{_quoted(published)}' as published (read_only)")
        connection.execute(f"attach '{_quoted(recomputed)}' as recomputed (read_only)")
        columns: dict[str, dict[str, list[str]]] = {}
        for database, schema, table, column in connection.execute(
            "select table_catalog, table_schema, table_name, column_name from information_schema.columns "
            "where list_contains(?, table_schema) order by all",
            [list(SCHEMAS)],
        ).fetchall():
            columns.setdefault(f"{schema}.{table}", {}).setdefault(database, []).append(column)
        progress.line(f"Comparing {len(columns)} tables with the published ones")
        progress.begin()
        for number, (table, sides) in enumerate(sorted(columns.items()), start=1):
            progress.show(f"Comparing table {number} of {len(columns)}, {table}")
            sums = {}
            for database, names in sides.items():
                listed = ", ".join(f'"{name}"' for name in names)
                sums[database] = connection.execute(
                    f"select count(*), sum(cast(hash({listed}) as hugeint)) from {database}.{table}"
                ).fetchone()
            ours, theirs = (sums.get(database, (0, None)) for database in ("published", "recomputed"))
            agree = ours == theirs and sides.get("published") == sides.get("recomputed")
            found[table] = (-1, -1) if agree else (ours[0], theirs[0])
    progress.clear()
    return found


def report(found: dict[str, tuple[int, int]]) -> int:
    """Print the differences; returns the exit code."""
    wrong = {table: rows for table, rows in found.items() if rows != (-1, -1)}
    for table, (published, recomputed) in wrong.items():
        print(f"{table} differs: {published:,} rows published, {recomputed:,} recomputed from the stored deliveries")
    if wrong:
        print("Repair: dbt build --full-refresh, or one month: docs/operations.md.")
        return 1
    print(f"{len(found)} tables equal a recomputation from the stored deliveries.")
    return 0


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


if __name__ == "__main__":
    sys.exit(main())
