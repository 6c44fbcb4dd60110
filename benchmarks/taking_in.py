"""How much memory one large file takes, and whether many small loads make a run slower.

    python benchmarks/taking_in.py files [--formats plain.csv …] [--megabytes 100 400]
    python benchmarks/taking_in.py loads [--loads 20 500] [--files 1] [--runs 5]

``files`` takes in one file of jobs of each format and size, by `dbt run-operation take_in` into an empty store, and
prints the command's time and the peak of its resident memory. ``loads`` stores as many loads of some small files each,
computes everything, then measures scheduled runs with nothing new, in turn: medians and their ratio.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import duckdb
from dbt.cli.main import dbtRunner

PROJECT = Path(__file__).resolve().parent.parent
STARTED_AT, EXTRACTED_AT = "2026-03-10T12:00:00Z", "2026-03-11T02:00:00Z"
COLUMNS = ["id", "account_id", "recipe_id", "status", "started_at", "completed_at", "extracted_at", "error"]
QUIET = ["--quiet", "--log-level", "warn", "--log-level-file", "none"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    files = parts.add_parser("files")
    files.add_argument("--megabytes", type=int, nargs="+", default=[100, 400])
    files.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    loads = parts.add_parser("loads")
    loads.add_argument("--loads", type=int, nargs="+", default=[20, 500])
    loads.add_argument("--files", type=int, default=1, help="of each load")
    loads.add_argument("--runs", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if asked.part == "files":
            measure_files(Path(scratch), asked.formats, asked.megabytes)
        else:
            measure_loads(Path(scratch), asked.loads, asked.files, asked.runs)


def measure_files(scratch: Path, names: list[str], sizes: list[int]) -> None:
    print("| file of jobs | MB | seconds | CPU seconds | peak memory, MB |\n|---|--:|--:|--:|--:|")
    for name in names:
        for size in sizes:
            folder = scratch / "extracts"
            file = extracts(folder) / "jobs" / name
            FORMATS[name](file, size * 1_000_000)
            seconds, cpu, memory = take_in(folder, scratch / "warehouse")
            print(f"| {name} | {file.stat().st_size / 1e6:,.0f} | {seconds:.1f} | {cpu:.1f} | {memory / 1e6:,.0f} |")
            shutil.rmtree(folder)
            shutil.rmtree(scratch / "warehouse")


def measure_loads(scratch: Path, counts: list[int], files: int, runs: int) -> None:
    measured: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    for count in counts:
        print(f"storing {count} loads", file=sys.stderr, flush=True)
        storing = get_context("spawn").Process(
            target=store_loads,
            args=(extracts(scratch / f"{count} loads"), scratch / f"warehouse {count}", count, files),
        )
        storing.start()
        storing.join()
        build(scratch / f"{count} loads", scratch / f"warehouse {count}")
    for _ in range(runs):
        for count in counts:
            seconds, cpu, _ = build(scratch / f"{count} loads", scratch / f"warehouse {count}")
            measured[count].append((seconds, cpu))
    print("| loads | folders in the store | seconds | CPU seconds |\n|--:|--:|--:|--:|")
    medians = {}
    for count in counts:
        folders = len(list((scratch / f"warehouse {count}" / "deliveries").glob("*/manifest.json")))
        seconds, medians[count] = (statistics.median(column) for column in zip(*measured[count], strict=True))
        print(f"| {count} | {folders} | {seconds:.2f} | {medians[count]:.2f} |")
    first, last = counts[0], counts[-1]
    print(
        f"\n{last} loads take {medians[last] / medians[first]:.2f} times the CPU seconds of {first} ({runs} runs each)."
    )


def store_loads(folder: Path, warehouse: Path, count: int, files: int) -> None:
    """Take new files in so many times, by the operation that a run begins with, in a process that ends."""
    os.environ |= environment(folder, warehouse)
    manifest = dbtRunner().invoke(["parse", *QUIET]).result
    for number in range(count):
        for file in range(files):
            write_csv(folder / "jobs" / f"{number:04}-{file}.csv", 1000 // files, f"{number}-{file}-")
        result = dbtRunner(manifest=manifest).invoke(
            ["run-operation", "take_in", "--vars", "{settling_seconds: 0}", *QUIET]
        )
        if not result.success:
            raise SystemExit(f"load {number} was not taken in: {result.exception}")


def take_in(folder: Path, warehouse: Path) -> tuple[float, float, int]:
    """The seconds, the CPU seconds and the peak of resident memory (bytes) of taking in what is new."""
    return run(["run-operation", "take_in", "--vars", "{settling_seconds: 0}"], folder, warehouse)


def build(folder: Path, warehouse: Path) -> tuple[float, float, int]:
    """As take_in(), of a scheduled run."""
    return run(["build", "--exclude-resource-type", "unit_test"], folder, warehouse)


def run(command: list[str], folder: Path, warehouse: Path) -> tuple[float, float, int]:
    started = time.monotonic()
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("dbt")), *command, *QUIET], env=os.environ | environment(folder, warehouse)
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"dbt {' '.join(command)} failed")
    return time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def environment(folder: Path, warehouse: Path) -> dict[str, str]:
    return {
        "EXTRACTS_DIR": str(folder), "WAREHOUSE_DIR": str(warehouse), "DBT_TARGET_PATH": str(warehouse) + " target",
        "DBT_PROJECT_DIR": str(PROJECT), "DBT_PROFILES_DIR": str(PROJECT / "profiles"),
    }  # fmt: skip


def extracts(folder: Path) -> Path:
    """A folder with what is required, but jobs."""
    times = f"{STARTED_AT},{EXTRACTED_AT}\n"
    for name, content in {
        "customers": f"id,name,created_at,extracted_at\n1,A,{times}",
        "connections": f"id,user_id,provider,created_at,extracted_at\n1,1,salesforce,{times}",
        "recipes": "id,user_id,name,trigger_application,running,created_at,extracted_at\n"
        f"2,1,R,salesforce,true,{times}",
        "steps": "account_id,job_id,line_index,recipe_line_number,adapter_name,adapter_operation,extracted_at\n"
        f"1,0,0,0,salesforce,new_record,{EXTRACTED_AT}\n",
    }.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "a.csv").write_text(content)
    (folder / "jobs").mkdir()
    return folder


def rows(size: int, first: str, error: Callable[[int], str]) -> Iterator[list[str]]:
    """Jobs until they have about so many bytes."""
    number = 0
    while size > 0:
        row = [f"{first}{number}", "1", "2", "succeeded", STARTED_AT, STARTED_AT, EXTRACTED_AT, error(number)]
        size -= sum(map(len, row)) + len(row)
        number += 1
        yield row


def write_csv(file: Path, size: int, first: str = "", error: Callable[[int], str] = lambda n: f"text {n}") -> None:
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows(size, first, error))


def write_quoted_csv(file: Path, size: int) -> None:
    write_csv(file, size, error=lambda n: f'first line {n}\nsecond, with "quotes"\n')


def write_lines(file: Path, size: int) -> None:
    with gzip.open(file, "wt", compresslevel=1) if file.suffix == ".gz" else file.open("w") as opened:
        for row in rows(size, "", lambda n: f"text {n}"):
            opened.write(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n")


def write_array(file: Path, size: int) -> None:
    with file.open("w") as opened:
        for number, row in enumerate(rows(size, "", lambda n: f"text {n}")):
            opened.write(("," if number else "[") + json.dumps(dict(zip(COLUMNS, row, strict=True))))
        opened.write("]")


def write_parquet(file: Path, size: int) -> None:
    """As large as the texts that it holds would be as CSV."""
    write_csv(file.with_suffix(".scratch"), size)
    duckdb.sql(f"copy (from read_csv('{file.with_suffix('.scratch')}', all_varchar = true)) to '{file}'")
    file.with_suffix(".scratch").unlink()


FORMATS: dict[str, Callable[[Path, int], None]] = {
    "plain.csv": write_csv,
    "line ends within quotes.csv": write_quoted_csv,
    "lines.json": write_lines,
    "lines.json.gz": write_lines,
    "array.json": write_array,
    "texts.parquet": write_parquet,
}


if __name__ == "__main__":
    main()
