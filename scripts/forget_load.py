"""Remove a load from the stored deliveries permanently.

    make forget-load LOAD=3        # of WAREHOUSE_DIR

Prints what is removed. The files of the load stay known: no run loads them again unless their bytes change. The next
run recomputes everything without them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "plugins"))

from asking import warehouse_folder  # noqa: E402
from conversion import Problem  # noqa: E402
from dbt_common.exceptions import DbtRuntimeError  # noqa: E402
from progress import Progress, as_count, terminal  # noqa: E402
from publishing import hold_warehouse  # noqa: E402
from store import files_text, forget_load, printable, rows_by_extract  # noqa: E402


def main() -> int:
    """Remove the load, and print what this changes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", required=True, help="the number of the load, as audit tables and folders have it")
    asked = parser.parse_args()
    warehouse = warehouse_folder().resolve()
    if not (asked.load.isascii() and asked.load.isdigit()):
        print(f"LOAD={printable(asked.load)!r} is not the number of a load, such as 3.")
        return 2
    store = warehouse / "deliveries"
    if not store.is_dir():
        print(f"{warehouse} has no stored deliveries.")
        return 2
    try:
        (warehouse / "build").mkdir(exist_ok=True)
        hold_warehouse(warehouse / "build")
        progress = Progress(lambda text: print(text, file=sys.stderr, flush=True), terminal())
        manifest = forget_load(store, int(asked.load), progress)
    except (Problem, DbtRuntimeError, OSError) as problem:
        print(problem)
        return 1
    print(describe(manifest, store))
    return 0


def describe(load: dict[str, Any], store: Path) -> str:
    """What was removed with the load, and what happens next."""
    lines = [f"Forgot load {load['load']} of {store}, stored at {load['taken_in_at']}:"]
    for extract, of in rows_by_extract(load).items():
        count = sum(of)
        lines.append(f"  {extract}: {as_count(count)} row{'' if count == 1 else 's'} in {files_text(len(of))}")
    if aside := load.get("quarantined"):
        lines.append(f"  {files_text(len(aside))} that were quarantined")
    if continued := load.get("supersedes"):
        lines.append(
            f"  {files_text(len(continued))} of earlier loads count again: files of this load had superseded them"
        )
    lines.append("Every figure that counted these rows changes: the next dbt build computes everything without them.")
    lines.append("The files stay known: a run loads them again only if their content changes.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
