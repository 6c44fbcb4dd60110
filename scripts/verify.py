"""Verify the stored history against the published warehouse: does recomputing everything give the same rows?

    make verify                                  # of WAREHOUSE_DIR
    make verify MONTH=2026-07                    # the close of a month
    python scripts/verify.py --vars '{reporting_timezone: Europe/Berlin}'    # the vars of the scheduled run

Reads every stored file against its checksum, builds a second warehouse from the stored deliveries alone, and compares
each table of marts, metering and audit. With a month it recomputes the closed month from the loads, rule book and
options of the close, by the models as they are now, and compares the figures of the close. Exit code 0 if all are
equal, 1 if something differs, 2 if it cannot be determined. Needs space for a second warehouse in WAREHOUSE_DIR while
it runs. Scheduled runs may continue, but a load that is stored after the start is a difference.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path

import duckdb
import yaml

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "plugins"))

import replaying  # noqa: E402
from asking import number, warehouse_folder  # noqa: E402
from closes import open_closes, project_files, unpack_project  # noqa: E402
from conversion import Problem, as_pattern, literal  # noqa: E402
from deliveries import verify_store  # noqa: E402
from progress import Progress, as_bytes, as_count, terminal  # noqa: E402
from publishing import project_digests  # noqa: E402
from replaying import BUILD, RunFailed, copy_store, environment_beside  # noqa: E402
from retention import loads_text  # noqa: E402
from store import Store, open_store  # noqa: E402

SCHEMAS = ("marts", "metering", "audit")
# What a run restated, which the next one does not again.
OF_ONE_RUN = ("marts.closed_month_figures", "audit.restated_units")


def main() -> int:
    """Check the store, recompute, compare, and print the differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vars", default="{}", help="the vars of the scheduled run, as YAML")
    parser.add_argument("--month", default="", help="a closed month, YYYY-MM")
    asked = parser.parse_args()
    options = read_vars(asked.vars)
    if options is None:
        print(f"The vars {asked.vars!r} are not a YAML mapping, such as '{{reporting_timezone: Europe/Berlin}}'.")
        return 2
    warehouse = warehouse_folder().resolve()
    if asked.month:
        return verify_close(warehouse, asked.month)
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


def verify_close(warehouse: Path, month: str) -> int:
    """Recompute a closed month, print what differs from its close, and return the exit code."""
    progress = Progress(lambda text: print(text, file=sys.stderr, flush=True), terminal())
    try:
        closes = open_closes(warehouse)
        close = closes.of_month(month)
        if close is None:
            print(f"{month} is not closed in {warehouse}: there is nothing to verify.")
            return 2
        if close["source"] == "tables":
            print(f"{month} was computed from tables (extracts_schema), which are not stored: it cannot be verified.")
            return 2
        if problem := verify_store(str(warehouse / "deliveries"), progress):
            print(problem)
            return 1
        with tempfile.TemporaryDirectory(prefix="verify-", dir=warehouse) as scratch:
            progress.line(f"Recomputing {month} from the loads, rule book and options of its close")
            missing, said = recompute_close(warehouse, close, Path(scratch))
            differing = differing_rows(warehouse / "closes" / close["folder"], Path(scratch), month)
            leave_out_erased(differing, close, closes.pseudonyms())
    except (Problem, RunFailed) as problem:
        print(problem)
        return 2
    except OSError as error:
        print(f"Cannot write beside the warehouse: {error.filename or warehouse}: {error.strerror or error}.")
        return 2
    print("".join(f"{line}\n" for line in said), end="")
    return report_close(close, differing, missing)


def recompute_close(warehouse: Path, close: dict, scratch: Path) -> tuple[list[int], list[str]]:
    """Build the warehouse of a close in ``scratch``.

    Returns the numbers of its loads that are not stored any more, and lines about what this release and the loads have
    otherwise than at the close.
    """
    project, again = scratch / "project", scratch / "warehouse"
    is_sample = close["source"] == "the sample"
    for name, path in project_files(PROJECT, with_sample=is_sample).items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, project / name)
    unpack_project(warehouse / "closes", close["project"], scratch / "then")
    said = restore_rules(scratch / "then" / "seeds" / "rules", project / "seeds" / "rules")
    options, dropped = known_options(project, close["options"])
    said += [f"This release has no option {name}: the close had {value!r}." for name, value in dropped.items()]
    again.mkdir()
    missing = []
    if not is_sample:
        store = open_store(warehouse / "deliveries")
        copy_store(store, again / "deliveries", close["loads"])
        there = {load["id"] for load in store.loads}
        said += compacted_since(store, close)
        missing = sorted(number for identity, number in close["loads"].items() if identity not in there)
    replaying.recompute(project, again, options, close["as_of_date"], is_sample=is_sample)
    return missing, said


def compacted_since(store: Store, close: dict) -> list[str]:
    """Lines that say which loads of a close were compacted after it, by day, and how many of their rows."""
    closed_at = close["closed_at"].replace("T", " ")[:19]  # as the store writes times
    loads: dict[str, list[int]] = {}
    rows: dict[str, Counter] = {}
    for load in store.loads:
        note = load.get("compacted")
        if note and load["id"] in close["loads"] and note["at"][:19] >= closed_at:
            day = note["at"][:10]
            loads.setdefault(day, []).append(load["load"])
            rows.setdefault(day, Counter()).update(note["rows"])
    return [
        f"Compacted since (make compact) on {day}: {loads_text(numbers)}, "
        f"rows: {', '.join(f'{name} {as_count(count)}' for name, count in sorted(rows[day].items()))}."
        for day, numbers in sorted(loads.items())
    ]


def restore_rules(then: Path, now: Path) -> list[str]:
    """Put the rule tables of a close in place of those of this release.

    Tables that only this release has stay, because its models read them. Returns a line about those, and about those
    that it has no more.
    """
    old, new = ({path.relative_to(root).as_posix() for path in root.rglob("*.csv")} for root in (then, now))
    for name in old & new:
        shutil.copyfile(then / name, now / name)
    only_now, only_then = (", ".join(Path(name).stem for name in sorted(names)) for names in (new - old, old - new))
    said = []
    if only_now:
        said.append(f"Rule tables of this release that the close had not, used as they are now: {only_now}.")
    return said + ([f"Rule tables of the close that this release has no more: {only_then}."] if only_then else [])


def known_options(project: Path, options: dict) -> tuple[dict, dict]:
    """The options of a close that this release has, and the others."""
    names = yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8"))["vars"].keys()
    known = {name: value for name, value in options.items() if name in names}
    return known, {name: value for name, value in options.items() if name not in names}


def differing_rows(folder: Path, scratch: Path, month: str) -> dict[str, list[tuple]]:
    """The rows that differ, by file of the close: (key …, value at the close, value now), None where there is none."""
    found = {}
    with duckdb.connect(str(scratch / "warehouse" / "usage.duckdb"), read_only=True) as again:
        again.execute("set variable usage_month = ?", [f"{month}-01"])
        for name, key, value in (
            ("figures", ["customer_id", "metric", "call_type"], "quantity"),
            ("deliveries", ["customer_id", "extract_name"], "digest"),
        ):
            query = (PROJECT / "analyses" / f"close_{name}.sql").read_text(encoding="utf-8")
            columns = ", ".join(f"coalesce(kept.{column}, again.{column})" for column in key)
            same = " and ".join(f"kept.{column} is not distinct from again.{column}" for column in key)
            found[name] = again.execute(
                f"select {columns}, kept.{value}, again.{value} from read_parquet(?) as kept "
                f"full join ({query}) as again on {same} "
                f"where kept.{value} is distinct from again.{value} order by all",
                [as_pattern(folder / f"{name}.parquet")],
            ).fetchall()
    return found


def leave_out_erased(differing: dict[str, list[tuple]], close: dict, pseudonyms: list[str]) -> None:
    """Remove what a close cannot say any more of the erased customers: their figures and contents."""
    not_verifiable = {name for erasure in close.get("erasures", []) for name in erasure.get("not_verifiable", [])}
    differing["figures"] = [row for row in differing["figures"] if row[0] not in pseudonyms]
    differing["deliveries"] = [row for row in differing["deliveries"] if row[1] not in not_verifiable]


def report_close(close: dict, differing: dict[str, list[tuple]], missing: list[int]) -> int:
    """Print whether a close holds, and what differs; returns the exit code."""
    month, figures = close["month"], differing["figures"]
    if missing:
        print(f"The close of {month} was computed from load {', '.join(map(str, missing))}, which was removed since.")
    if project_digests(PROJECT)["code"] != close["code"]:
        count = "1 figure differs" if len(figures) == 1 else f"{len(figures) or 'no'} figures differ"
        moved = f"{count} by them"
        moved = "" if missing else f": {moved}"
        print(f"The models changed since {month} was closed on {close['closed_at'][:10]}{moved}.")
    for customer, metric, call_type, kept, again in figures:
        name = f"{metric} ({call_type})" if call_type else metric
        print(
            f"  {customer}  {name}: {number(kept or Decimal(0))} at the close, {number(again or Decimal(0))} recomputed"
        )
    for customer, extract, *_ in differing["deliveries"]:
        print(f"  {customer}  {extract}: the content that was counted differs")
    if figures or differing["deliveries"]:
        print(f"The close of {month} does not hold.")
        return 1
    rows = close["files"]["figures.parquet"]["rows"]
    if close.get("erasures"):
        print(f"Customers were erased since (make forget): {len(close['erasures'])}. Their figures are not compared.")
    print(f"The close of {month} holds: {rows:,} figures and all digests of deliveries equal a recomputation.")
    print(f"Manifest {close['digest']}")
    return 0


def recompute_and_compare(warehouse: Path, scratch: Path, options: dict, progress: Progress) -> int:
    """Recompute everything in ``scratch``, and print the differences from the published warehouse."""
    store, published = warehouse / "deliveries", warehouse / "usage.duckdb"
    again = scratch / "warehouse"
    (again / "deliveries").mkdir(parents=True)
    # the run reads the loads through links, but has a separate list of runs
    for path in store.iterdir():
        if not path.name.startswith("runs."):
            (again / "deliveries" / path.name).symlink_to(path)
    if (warehouse / "closes").is_dir():  # the run writes there, too
        shutil.copytree(warehouse / "closes", again / "closes")
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
    environment = os.environ | environment_beside(PROJECT, warehouse, scratch)
    if profiles := os.environ.get("DBT_PROFILES_DIR"):  # dbt runs in the project's folder
        environment["DBT_PROFILES_DIR"] = str(Path(profiles).absolute())
    variables = yaml.safe_dump(options | {"only_stored_deliveries": True})
    progress.line("Recomputing everything from the stored deliveries, beside the warehouse")
    progress.begin()
    said, stage = [], "reading the project"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([*BUILD, "--vars", variables], cwd=PROJECT, env=environment, **pipes) as build:
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
        connection.execute(f"attach {literal(published)} as published (read_only)")
        connection.execute(f"attach {literal(recomputed)} as recomputed (read_only)")
        columns: dict[str, dict[str, list[str]]] = {}
        for database, schema, table, column in connection.execute(
            "select table_catalog, table_schema, table_name, column_name from information_schema.columns "
            "where list_contains(?, table_schema) order by all",
            [list(SCHEMAS)],
        ).fetchall():
            if f"{schema}.{table}" not in OF_ONE_RUN:
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


if __name__ == "__main__":
    sys.exit(main())
