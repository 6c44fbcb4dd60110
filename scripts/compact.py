"""Reduce loads with old usage to what decides figures: texts of errors, names of lines and other texts go.

    make compact KEEP_MONTHS=25        # of WAREHOUSE_DIR

Compacts each load whose newest usage is before the month that is KEEP_MONTHS months before the as-of month of the
published run, computes everything again from the stored deliveries, and publishes it. Every figure stays. A call that
was interrupted is continued by the same call. Exit code 0 if all such loads are compacted, 1 if not, 2 if the
question is wrong. docs/retention.md
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "plugins"))

from asking import no_warehouse, read_months, warehouse_folder  # noqa: E402
from progress import Progress, terminal  # noqa: E402
from recomputing import run_and_print  # noqa: E402
from retention import Compaction  # noqa: E402


def main() -> int:
    """Compact old loads, and print what this changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep-months", default=os.environ.get("KEEP_MONTHS", ""), help="by default KEEP_MONTHS")
    asked = parser.parse_args()
    if not asked.keep_months.strip():
        print("KEEP_MONTHS is missing: say how many months keep their texts, as in make compact KEEP_MONTHS=25.")
        return 2
    try:
        months = read_months(asked.keep_months)
    except ValueError as problem:
        print(problem)
        return 2
    warehouse = warehouse_folder().resolve()
    if not (warehouse / "usage.duckdb").exists():
        print(no_warehouse(warehouse / "usage.duckdb"))
        return 2
    if not any((warehouse / "deliveries").glob("*/manifest.json")):
        print(f"{warehouse} has no stored deliveries: there is nothing to compact.")
        return 2
    progress = Progress(lambda text: print(text, file=sys.stderr, flush=True), terminal())
    return run_and_print(Compaction(warehouse, months, progress).run, warehouse, progress)


if __name__ == "__main__":
    sys.exit(main())
