"""How long a run takes that takes in many new one-job objects from a bucket, on a local server of the S3 protocol.

    python benchmarks/object_storage.py [--objects 10000] [--recipes 200] [--lines 20]

Starts the server of the tests in a process of its own, with the objects. The first run is over a bucket without them,
the second is measured: a whole `dbt build`, with its list requests.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from taking_in import PROJECT, extracts

HELPER = PROJECT / "tests" / "object_server.py"
TIME = "2026-03-10T12:00:00Z"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--recipes", type=int, default=200)
    parser.add_argument("--lines", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = extracts(Path(scratch, "extracts"))
        shutil.rmtree(folder / "jobs")
        shutil.rmtree(folder / "steps")
        write_jobs(Path(scratch, "few"), 2 * asked.recipes, asked.recipes, asked.lines, "before")
        shutil.copytree(Path(scratch, "few"), Path(scratch, "all"))
        size = write_jobs(Path(scratch, "all"), asked.objects, asked.recipes, asked.lines, "new")
        for name in ("few", "all"):
            seconds, cpu, said, of_server = build(Path(scratch, name), folder, Path(scratch, "warehouse"))
        print("\n".join(line for line in said.splitlines() if "s3://" in line or "ownload" in line or "Loaded" in line))
        print(
            f"\n{asked.objects:,} new objects, {size / 1e6:.0f} MB: {seconds:.1f} s, {cpu:.1f} CPU seconds of dbt, "
            f"{of_server:.1f} of the server."
        )


def write_jobs(folder: Path, count: int, recipes: int, lines: int, name: str) -> int:
    """Write one-job files at the platform's keys; returns their bytes."""
    day, size = datetime.now(UTC).strftime("%Y%m%d"), 0
    line = {
        "adapter_name": "salesforce", "adapter_operation": "new_record", "line_stat": {"total": 0.2},
        "input": {"name": "x" * 100}, "output": {"id": "y" * 100},
    }  # fmt: skip
    for number in range(count):
        job, recipe = f"{name}-{number}", number % recipes
        record = {
            "id": job, "recipe_id": str(recipe), "status": "succeeded", "started_at": TIME, "completed_at": TIME,
            "lines": [line | {"recipe_line_number": position} for position in range(lines)],
        }  # fmt: skip
        file = folder / f"1/jobs/{recipe}/{day}/{job}/1-{recipe}-{job}.json"
        file.parent.mkdir(parents=True)
        size += file.write_text(json.dumps(record))
    return size


def build(objects: Path, folder: Path, warehouse: Path) -> tuple[float, float, str, float]:
    """The seconds and CPU seconds of a run over a bucket with these objects, what it says, and the server's CPU."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(HELPER), str(port), str(objects)], stdout=subprocess.PIPE)
    server.stdout.readline()
    before = cpu_of(server.pid)
    environment = os.environ | ENVIRONMENT | {
        "EXTRACTS_DIR": str(folder), "JOB_HISTORY_DIR": "s3://deliveries", "WAREHOUSE_DIR": str(warehouse),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "DBT_TARGET_PATH": f"{warehouse} target",
        "DBT_PROJECT_DIR": str(PROJECT), "DBT_PROFILES_DIR": str(PROJECT / "profiles"),
    }  # fmt: skip
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "build"]
    started = time.monotonic()
    run = subprocess.Popen(
        [*command, "--exclude-resource-type", "unit_test"], env=environment, stdout=subprocess.PIPE, text=True
    )
    said = run.stdout.read()
    _, status, used = os.wait4(run.pid, 0)
    seconds, of_server = time.monotonic() - started, cpu_of(server.pid) - before
    server.kill()
    server.wait()
    if status:
        raise SystemExit(said)
    return seconds, used.ru_utime + used.ru_stime, said, of_server


def cpu_of(process: int) -> float:
    times = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
