"""Builds the same extracts on DuckDB and on Spark, and compares every seed and table: python -m tests.spark

The sample with all data tests, engine_macros among them, and what readers see of it, also after a build of a part;
beside it random worlds over several runs: a full build, a run with late and repeated deliveries, a run with nothing
new, and two runs with a changed option. At the end one value is changed, which the comparisons have to find. With
``--only tables`` the sample's extracts are tables of a schema.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
from dbt.cli.main import dbtRunner
from pyspark.sql import SparkSession

from .comparison import Comparison

PROJECT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT / "tests"))

from reference.delivery_schedules import Plan, Source, scheduled_deliveries  # noqa: E402

NOTHING_NEW = "nothing new"  # a run that keeps the tables of the run before
PARTS = ("sample", "worlds")
ASKED_FOR = ("tables",)  # minutes that not every change needs


def choose(warehouse: Path, spark: Path, extracts: str) -> None:
    """Let both engines read and write there, and nowhere else: other parts run at the same time."""
    os.environ |= {
        "EXTRACTS_DIR": extracts,
        "WAREHOUSE_DIR": str(warehouse),
        "SPARK_WAREHOUSE_DIR": str(spark),
        "DBT_LOG_PATH": str(warehouse / "logs"),
        "DBT_TARGET_PATH": str(warehouse / "target-spark"),
        "DBT_WRITE_JSON": "true",  # the comparison reads the manifest
    }


def compare(
    title: str, warehouse: Path, spark: Path, extracts: str, options: dict, with_tests: bool = False
) -> tuple[Comparison, int]:
    """Build on both engines, with the data tests where asked for, and print what is not alike.

    Returns the comparison and the number of differences; raises RuntimeError where a build fails. Spark's session, and
    with it the catalog of its tables, lasts as long as this process: it runs dbt itself.
    """
    choose(warehouse, spark, extracts)
    without = ["unit_test"] if with_tests else ["unit_test", "test"]
    command = ["--quiet", "build", "--vars", json.dumps(options), "--exclude-resource-type", *without]
    began = time.monotonic()
    on_its_own = [sys.executable, "-m", "dbt.cli.main", *command, "--target-path", warehouse / "target-duckdb"]
    # DuckDB's comes first: it takes the files in, and Spark reads what is stored
    on_duckdb = subprocess.run(on_its_own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if on_duckdb.returncode:
        raise RuntimeError(f"the build on DuckDB failed:\n{on_duckdb.stdout}")
    result = dbtRunner().invoke([*command, "--target", "spark"])
    if not result.success:
        raise RuntimeError(f"the build on Spark failed: {result.exception or 'see above'}")
    seconds = time.monotonic() - began
    tests = sum(run.node.resource_type == "test" for run in result.result)
    kept = sum(run.message == "KEPT" for run in result.result)
    did = (f" with {tests} data tests" if with_tests else "") + (f", {kept} tables kept" if kept else "")

    manifest = warehouse / "target-spark" / "manifest.json"
    comparison = Comparison(manifest, warehouse / "build" / "usage.duckdb", spark)
    differences = comparison.differences()
    if (kept > 50) != (title.endswith(NOTHING_NEW)):
        differences.append(f"{kept} tables kept")
    print(
        f"{title}: built in {seconds:.0f} s{did}; {len(comparison.tables)} tables, "
        f"{comparison.rows:,} rows compared both ways, "
        f"{comparison.without_partner()} hashes without a partner, {len(differences)} differences",
        *differences,
        sep="\n  ",
        flush=True,
    )
    return comparison, len(differences)


def seen_by_readers() -> list[tuple]:
    """What Spark's views show: (run, number of rows of a mart) for each published run."""
    query = "select run_id, (select count(*) from marts.monthly_customer_usage) as months from publication.runs"
    command = ["--quiet", "show", "--inline", query, "--limit", "-1", "--target", "spark"]
    with contextlib.redirect_stdout(io.StringIO()):
        shown = dbtRunner().invoke(command)
    if not shown.success:
        raise RuntimeError(f"readers of Spark see nothing: {shown.exception or 'see above'}")
    return [tuple(row) for row in shown.result.results[0].agate_table.rows]


def check_publishing(comparison: Comparison) -> int:
    """Readers see what was built, and a build of a part leaves that as it is; returns the number of problems."""
    problems = comparison.unpublished()
    before = seen_by_readers()
    part = dbtRunner().invoke(["--quiet", "build", "--resource-type", "seed", "--target", "spark"])
    after = seen_by_readers()
    if not part.success or after != before:
        problems.append(f"a build of a part changed what readers see: {before}, then {after}")
    seen = f"{before[0][1]} rows of a mart are seen, also after a build of a part"
    print(f"Published: {seen}; {len(problems)} problems", *problems, sep="\n  ", flush=True)
    return len(problems)


def compare_sample(folder: Path) -> int:
    """Compare the sample, and what of it readers see; returns the number of differences."""
    comparison, differences = compare("The sample", folder / "warehouse", folder / "spark", "", {}, with_tests=True)
    return differences + check_publishing(comparison)


def compare_tables(folder: Path) -> int:
    """Compare the sample's extracts as tables of texts in a schema; returns the number of differences."""
    warehouse, spark = folder / "warehouse", folder / "spark"
    choose(warehouse, spark, "")
    warehouse.mkdir()
    # starts the session, with the settings of a build
    dbtRunner().invoke(["--quiet", "debug", "--connection", "--target", "spark"])
    session = SparkSession.builder.getOrCreate()
    session.sql("create schema landing")
    with duckdb.connect(warehouse / "usage.duckdb") as published:
        published.execute("create schema landing")
        for path in sorted((PROJECT / "seeds" / "extracts").glob("*.csv")):
            landed = folder / f"{path.stem}.parquet"
            published.execute(f"create table landing.{path.stem} as from read_csv('{path}', all_varchar = true)")
            published.execute(f"copy landing.{path.stem} to '{landed}'")
            session.sql(f"create table landing.{path.stem} as select * from parquet.`{landed}`")
    return compare("The sample in tables", warehouse, spark, "", {"extracts_schema": "landing"})[1]


def compare_worlds(folder: Path, plan: Plan) -> int:
    """Compare random worlds after each run, and change one value; returns the number of differences."""
    warehouse, spark = folder / "warehouse", folder / "spark"
    deliveries, admins = scheduled_deliveries(plan)
    source, options = Source(folder / "extracts", plan), {"admin_account_ids": list(admins)}
    runs = [(f"run {number}", rows, {}) for number, rows in enumerate(deliveries, start=1)]
    runs += [(NOTHING_NEW, None, {})]
    # the first recomputes decisions on steps, the second those on jobs: docs/decisions/full-recompute-on-change.md
    runs += [(str(option), None, option) for option in ({"task_terms": "T1"}, {"count_test_jobs": False})]
    differences = 0
    for run, rows, changed in runs:
        if rows:
            source.deliver(rows)
        options |= changed
        title = f"{plan.worlds} random worlds, {run}"
        comparison, found = compare(title, warehouse, spark, str(source.folder), options)
        differences += found

    damaged = comparison.damage_one_value()
    comparisons = (comparison.differences(), comparison.unpublished())
    is_caught = all(any(found.startswith(damaged) for found in differing) for differing in comparisons)
    print(f"A value changed in {damaged}: {'found' if is_caught else 'NOT FOUND'}", flush=True)
    return differences + (not is_caught)


def main() -> int:
    """Returns 0 where all is alike and the changed value was found."""
    parser = argparse.ArgumentParser(prog="make test-spark")
    parser.add_argument("--worlds", type=int, default=20, help="number of random worlds (default %(default)s)")
    parser.add_argument("--runs", type=int, default=2, help="number of runs that deliver them (default %(default)s)")
    parser.add_argument("--first-world", type=int, default=0, metavar="SEED")
    parser.add_argument("--only", choices=PARTS + ASKED_FOR, help="one part: a server keeps its tables until it stops")
    arguments = parser.parse_args()
    os.chdir(PROJECT)

    if not arguments.only:
        # a process of its own is a session of its own, with a catalog that is empty; side by side they fill two cores
        command = [sys.executable, "-m", "tests.spark", *sys.argv[1:], "--only"]
        parts = [subprocess.Popen([*command, part]) for part in PARTS]
        return max(abs(part.wait()) for part in parts)  # a part that was killed ends below 0

    folder = PROJECT / "target" / "test-spark" / arguments.only
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if arguments.only == "sample":
        return int(compare_sample(folder) > 0)
    if arguments.only == "tables":
        return int(compare_tables(folder) > 0)
    plan = Plan(
        worlds=arguments.worlds, runs=arguments.runs, order="mixed", repeated=20, formats="own",
        streamed=True, first_world=arguments.first_world,
    )  # fmt: skip
    return int(compare_worlds(folder, plan) > 0)


if __name__ == "__main__":
    sys.exit(main())
