"""Close a month: keep its figures in a record that no build, full refresh or repair changes.

    make close MONTH=2026-07            # of WAREHOUSE_DIR
    make close MONTH=2026-07 FORCE=1    # although reasons speak against it; the record names them

Reads the published warehouse. Refuses, with every reason, if the month is not over or not complete, if too much usage
is unexplained, or if the project has changed since the published run, which FORCE=1 does not override: the close keeps
the project. A month is closed only once: what changes it later is a restatement. Exit code 0 if the month is closed, 1
if it is refused, 2 if the question is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "plugins"))

from asking import is_month, no_warehouse, warehouse_folder  # noqa: E402
from closes import CloseProblem, Closes, keep_project, open_closes, require_projects, write_close  # noqa: E402
from dbt_common.exceptions import DbtRuntimeError  # noqa: E402
from publishing import finish_publishing, hold_warehouse, project_digests  # noqa: E402

ANALYSES = PROJECT / "analyses"


def main() -> int:
    """Close the month, or print why not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--month", default="", help="calendar month, YYYY-MM")
    parser.add_argument("--force", default="", help="1: close although reasons speak against it")
    asked = parser.parse_args()
    if not is_month(asked.month):
        print(f"MONTH={asked.month} is not a month: write it as 2026-07.")
        return 2
    if asked.force not in ("", "0", "1"):
        print(f"FORCE={asked.force} is not 1: FORCE=1 closes a month although reasons speak against it.")
        return 2
    warehouse = warehouse_folder()
    published = warehouse / "usage.duckdb"
    if not published.exists():
        print(no_warehouse(published))
        return 2
    try:
        (warehouse / "build").mkdir(exist_ok=True)
        hold_warehouse(warehouse / "build")
        finish_publishing(published)
        closes = open_closes(warehouse)
        require_projects(closes)
        code, lines = close_month(warehouse, closes, asked.month, is_forced=asked.force == "1")
    except (CloseProblem, DbtRuntimeError) as problem:
        print(problem)
        return 1
    except OSError as error:
        print(f"The close cannot be written below {warehouse}: {error.strerror or error}. Nothing was closed.")
        return 1
    except duckdb.Error as error:
        print(f"{published} cannot be read: {str(error).splitlines()[0]}")
        return 1
    print("\n".join(lines))
    return code


def close_month(warehouse: Path, closes: Closes, month: str, *, is_forced: bool) -> tuple[int, list[str]]:
    """Close the month of an open warehouse; returns the exit code, and what to say."""
    if closed := closes.of_month(month):
        since = closed["closed_at"]
        return 1, [f"{month} is closed since {since}. What changed it later is in marts.usage_restatements."]
    with duckdb.connect(str(warehouse / "usage.duckdb"), read_only=True) as published:
        run = run_of(published)
        if run is None:
            return 1, ["The published warehouse is of an older release: run dbt build first."]
        figures, customers = published.execute(
            "select count(*), count(distinct customer_id) from marts.monthly_figures where usage_month = ?",
            [f"{month}-01"],
        ).fetchone()
        known = published.execute(
            "select count(*) from marts.monthly_customer_usage where usage_month = ?", [f"{month}-01"]
        ).fetchone()[0]
        if not known:
            return 2, [f"The warehouse has no month {month}: it has no customer and no usage until then."]
        reasons = reasons_against(published, run, month)
        changed = project_change(run)  # the close would keep a project that did not compute its figures
        if changed or (reasons and not is_forced):
            listed = [f"  {reason}" for reason in [*reasons, *changed]]
            advice = "Mend what can be mended, or close it all the same with FORCE=1: the record names these reasons."
            if changed:
                advice = "Run make build first, then close: FORCE=1 does not override a changed project."
            return 1, [f"{month} is not closed:", *listed, advice]
        incoming = closes.root / ".incoming"
        incoming.mkdir(parents=True)
        closed_at = datetime.now(UTC).replace(microsecond=0)
        manifest = {
            "month": month,
            "closed_at": closed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "reasons": reasons,
            "files": write_content(published, month, closed_at, incoming),
            "project": keep_project(closes.root, PROJECT),
            "versions": {name: version(name) for name in ("dbt-core", "dbt-duckdb", "duckdb")},
        } | run
    name = write_close(closes, manifest, incoming)
    said = f"Closed {month}: {figures:,} figures of {customers} customers, in {closes.root / name}"
    return 0, [said, *[f"  In spite of {reason}" for reason in reasons]]


def run_of(published: duckdb.DuckDBPyConnection) -> dict[str, Any] | None:
    """The published run and what it was made with; None if an older release made it."""
    try:
        (run_id,) = published.execute("select run_id from run_state.watermark").fetchone()
        (inputs,) = published.execute("select inputs from run_state.committed_inputs").fetchone()
    except (duckdb.CatalogException, TypeError):
        return None
    return json.loads(inputs) | {"run_id": run_id}


def reasons_against(published: duckdb.DuckDBPyConnection, run: dict[str, Any], month: str) -> list[str]:
    """Why the month should not be closed, which FORCE=1 overrides: a sentence each."""
    reasons = [
        f"{obstacle}, {subject}: {detail}"
        for obstacle, subject, detail in published.execute(
            "select obstacle, subject, detail from audit.closing_obstacles where usage_month = ? order by all",
            [f"{month}-01"],
        ).fetchall()
    ]
    if run["newest_date"] > run["as_of_date"]:
        reasons.append(f"past as-of date: the published run shows {run['as_of_date']}, and deliveries are newer")
    return reasons


def project_change(run: dict[str, Any]) -> list[str]:
    """A sentence if the project has changed since the published run, which no close overrides."""
    digests = project_digests(PROJECT)
    if any(digests[name] != run[name] for name in ("rules", "code")):
        return ["project changed: the published run has other rules or models"]
    return []


def write_content(
    published: duckdb.DuckDBPyConnection, month: str, closed_at: datetime, folder: Path
) -> dict[str, dict[str, int]]:
    """Write the files of a close; returns the number of rows of each."""
    published.execute("set variable usage_month = ?", [f"{month}-01"])
    published.execute("set variable closed_at = ?", [closed_at.replace(tzinfo=None)])
    files = {}
    for name in ("figures", "deliveries"):
        query = (ANALYSES / f"close_{name}.sql").read_text(encoding="utf-8")
        target = str(folder / f"{name}.parquet").replace("'", "''")
        (rows,) = published.execute(f"copy ({query}) to '{target}' (format parquet, compression zstd)").fetchone()
        files[f"{name}.parquet"] = {"rows": rows}
    return files


if __name__ == "__main__":
    sys.exit(main())
