"""Builds the same extracts on DuckDB and on Spark, and compares every seed and table: python -m tests.spark

The sample with all data tests, engine_macros among them; then random worlds over several nights: a full build, a night
with late and repeated deliveries, a night with nothing new. At the end one value is changed, which the comparison has
to find. With ``--only tables`` the sample's extracts are tables of a schema.
"""

from __future__ import annotations

import argparse
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

from reference.nights import Plan, Source, nightly_deliveries  # noqa: E402

PARTS = ("sample", "worlds")
ASKED_FOR = ("tables",)  # minutes that not every change needs


def choose(warehouse: Path, spark: Path, extracts: str) -> None:
    """Let both engines read and write there."""
    os.environ |= {"EXTRACTS_DIR": extracts, "WAREHOUSE_DIR": str(warehouse), "SPARK_WAREHOUSE_DIR": str(spark)}


def build(warehouse: Path, spark: Path, extracts: str, options: dict, with_tests: bool = False) -> Comparison:
    """Build on both engines, with the data tests where asked for; raises RuntimeError where one of them fails.

    Spark's session, and with it the catalog of its tables, lasts as long as this process: it runs dbt itself.
    """
    choose(warehouse, spark, extracts)
    without = ["unit_test"] if with_tests else ["unit_test", "test"]
    command = ["--quiet", "build", "--vars", json.dumps(options), "--exclude-resource-type", *without]
    began = time.monotonic()
    finished = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", *command], cwd=PROJECT, capture_output=True, text=True
    )
    if finished.returncode:
        raise RuntimeError(f"the build on DuckDB failed:\n{finished.stdout}{finished.stderr}")
    on_duckdb = time.monotonic()
    target = warehouse / "target-spark"
    result = dbtRunner().invoke([*command, "--target", "spark", "--target-path", str(target)])
    if not result.success:
        raise RuntimeError(f"the build on Spark failed: {result.exception or 'see above'}")
    tested = f", {sum(run.node.resource_type == 'test' for run in result.result)} data tests" if with_tests else ""
    print(f"  built in {on_duckdb - began:.0f} s and {time.monotonic() - on_duckdb:.0f} s{tested}", flush=True)
    return Comparison(target / "manifest.json", warehouse / "build" / "usage.duckdb", spark)


def report(title: str, comparison: Comparison) -> int:
    """Print what was compared, and what differs; returns the number of differences."""
    differences = comparison.differences()
    print(
        f"{title}: {len(comparison.tables)} tables, {comparison.rows:,} rows compared both ways, "
        f"{comparison.without_partner()} hashes without a partner, {len(differences)} differences",
        flush=True,
    )
    for difference in differences:
        print(f"  {difference}")
    return len(differences)


def compare_sample(folder: Path) -> int:
    """Compare the sample; returns the number of differences."""
    return report("The sample", build(folder / "warehouse", folder / "spark", "", {}, with_tests=True))


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
    return report("The sample in tables", build(warehouse, spark, "", {"extracts_schema": "landing"}))


def compare_worlds(folder: Path, plan: Plan) -> int:
    """Compare random worlds after each night, and change one value; returns the number of differences."""
    warehouse, spark = folder / "warehouse", folder / "spark"
    nights, admins = nightly_deliveries(plan)
    source, options = Source(folder / "extracts", plan), {"admin_account_ids": list(admins)}
    differences = 0
    for number, rows in enumerate(nights, start=1):
        source.deliver(rows)
        comparison = build(warehouse, spark, str(source.folder), options)
        differences += report(f"{plan.worlds} random worlds, night {number}", comparison)
    comparison = build(warehouse, spark, str(source.folder), options)
    differences += report(f"{plan.worlds} random worlds, nothing new", comparison)

    damaged = comparison.damage_one_value()
    is_caught = any(difference.startswith(damaged) for difference in comparison.differences())
    print(f"A value changed in {damaged}: {'found' if is_caught else 'NOT FOUND'}", flush=True)
    return differences + (not is_caught)


def main() -> int:
    """Returns 0 where all is alike and the changed value was found."""
    parser = argparse.ArgumentParser(prog="make test-spark")
    parser.add_argument("--worlds", type=int, default=20, help="number of random worlds (default %(default)s)")
    parser.add_argument("--nights", type=int, default=2, help="nights over which they come (default %(default)s)")
    parser.add_argument("--first-world", type=int, default=0, metavar="SEED")
    parser.add_argument("--only", choices=PARTS + ASKED_FOR, help="one part: a server keeps its tables until it stops")
    arguments = parser.parse_args()
    os.chdir(PROJECT)

    if not arguments.only:
        # a process of its own is a session of its own, with a catalog that is empty
        command = [sys.executable, "-m", "tests.spark", *sys.argv[1:], "--only"]
        return max(subprocess.run([*command, part]).returncode for part in PARTS)

    folder = PROJECT / "target" / "test-spark" / arguments.only
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if arguments.only == "sample":
        return int(compare_sample(folder) > 0)
    if arguments.only == "tables":
        return int(compare_tables(folder) > 0)
    plan = Plan(
        worlds=arguments.worlds, nights=arguments.nights, order="mixed", repeated=20, formats="own",
        streamed=True, first_world=arguments.first_world,
    )  # fmt: skip
    return int(compare_worlds(folder, plan) > 0)


if __name__ == "__main__":
    sys.exit(main())
