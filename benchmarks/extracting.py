"""Measures an extraction of 500 customers, 10,000 recipes and 100,000 jobs from the fake platform, without any limits.

    . .venv/bin/activate && python benchmarks/extracting.py [--customers 500] [--recipes 20] [--jobs 10]

The platform runs in a process of its own. Prints seconds, CPU seconds and peak memory of the extraction.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests" / "extraction")]

from fake_platform import TOKEN, Contents, FakePlatform  # noqa: E402

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
COMMAND = (
    "from extraction import endpoints; endpoints.LIMITS.update(dict.fromkeys(endpoints.LIMITS, 0)); "
    "import runpy; runpy.run_module('extraction', run_name='__main__')"
)


def main() -> None:
    """Serve the platform in a child, extract in another one, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=500)
    parser.add_argument("--recipes", type=int, default=20, help="of each customer")
    parser.add_argument("--jobs", type=int, default=10, help="of each recipe, with 6 lines each")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked)
        return
    server = subprocess.Popen([sys.executable, __file__, "--serve", *sys.argv[1:]], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"WORKATO_TOKEN": TOKEN, "WORKATO_URL": url, "EXTRACT_LINES": "1"}
            environment |= {"EXTRACTS_DIR": folder}
            started = time.monotonic()
            done = subprocess.run([sys.executable, "-c", COMMAND], cwd=PROJECT, env=environment)
            seconds = time.monotonic() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        recipes = asked.customers * asked.recipes
        print(
            f"Exit code {done.returncode}. {recipes:,} recipes of {asked.customers:,} customers and "
            f"{recipes * asked.jobs:,} jobs in {seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU, "
            f"{used.ru_maxrss / 1024:.0f} MB of memory."
        )
    finally:
        server.terminate()


def serve(asked: argparse.Namespace) -> None:
    """Serve until the process ends; prints the address."""
    platform = FakePlatform(contents(asked))
    with platform.serving() as url:
        print(url, flush=True)
        while True:
            time.sleep(60)


def contents(asked: argparse.Namespace) -> Contents:
    """Customers with recipes, connections and jobs, all of them alike."""
    customers = [str(id) for id in range(1, asked.customers + 1)]
    created = "2026-01-01T00:00:00.000-08:00"
    recipe = {"name": "A recipe", "trigger_application": "salesforce", "running": True, "created_at": created}
    line = {"adapter_name": "salesforce", "adapter_operation": "create_object", "error": None}
    line |= {"input": {"name": "x" * 100}, "output": {"id": "y" * 18}, "line_stat": {"total": 0.25}}
    lines = [{"recipe_line_number": number} | line for number in range(6)]

    def job(number: int) -> dict:
        started = NOW - timedelta(hours=5 + number)
        times = {"started_at": started.isoformat(), "completed_at": (started + timedelta(minutes=1)).isoformat()}
        return {"id": f"j-{number}", "status": "succeeded", "is_test": False, "lines": lines} | times

    jobs = [job(number) for number in range(asked.jobs)]
    recipes = {c: [{"id": int(c) * 1000 + n} | recipe for n in range(asked.recipes)] for c in customers}
    return Contents(
        now=NOW,
        customers=[{"id": int(c), "name": f"Customer {c}", "created_at": created} for c in customers],
        recipes=recipes,
        connections={c: [{"id": int(c) * 1000, "provider": "slack", "created_at": created}] for c in customers},
        jobs={(c, str(recipe["id"])): jobs for c, of in recipes.items() for recipe in of},
    )


if __name__ == "__main__":
    main()
