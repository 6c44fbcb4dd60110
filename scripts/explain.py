"""Prints why usage counted: line by line for a job and the jobs that it called, or rule by rule for a customer's month.

    make explain JOB=j-example-14
    make explain CUSTOMER=1008 MONTH=2026-08

Sets the variables of analyses/explain_job.sql and analyses/explain_month.sql, and runs them on the published warehouse,
read-only. It needs no dbt, works from any folder and writes no file.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "plugins"))

from asking import is_month, no_warehouse, warehouse_folder  # noqa: E402
from labels import METRIC_LABELS  # noqa: E402

# In sums, metrics billed by capability come before tasks.
UNITS = {
    metric: (label.unit, label.units)
    for metric, label in sorted(METRIC_LABELS.items(), key=lambda item: item[0] == "tasks")
    if label.is_total
}

Row = dict[str, Any]


def main() -> None:
    """Parse the command line, run the analysis and print its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", help="id of a job")
    parser.add_argument("--customer", help="account id of a customer")
    parser.add_argument("--month", help="calendar month, YYYY-MM")
    asked = parser.parse_args()
    if asked.job:
        explain_job(asked.job, asked.customer)
    elif asked.customer and asked.month:
        if not is_month(asked.month):
            sys.exit(f"MONTH={asked.month} is not a month: write it as 2026-08.")
        explain_month(asked.customer, asked.month)
    else:
        sys.exit("Say what to explain: make explain JOB=j-…, or make explain CUSTOMER=… MONTH=2026-08.")


def explain_job(job_id: str, customer_id: str | None) -> None:
    """Print every line of a job and of the jobs that it called, and the sum."""
    with open_warehouse() as warehouse:
        rows = ask(warehouse, "explain_job", job_id=job_id, customer_id=customer_id or None)
    customers = sorted({row["customer_id"] for row in rows})
    if not rows:
        of_customer = f" of customer {customer_id}" if customer_id else ""
        sys.exit(f"No job {job_id}{of_customer} in the warehouse {warehouse_path()}. Is it in audit.quarantined_rows?")
    if len(customers) > 1:
        sys.exit(f"Several customers have a job {job_id}: add CUSTOMER=, one of {', '.join(customers)}.")

    jobs = [list(lines) for _, lines in groupby(rows, key=lambda row: row["job_id"])]
    for lines in jobs:
        print_job(lines)
    if len(jobs) > 1:
        print(f"All {len(jobs)} jobs together: {total(rows)}")


def print_job(lines: list[Row]) -> None:
    """Print one job: its description, a table of its lines, and its sum."""
    job = lines[0]
    print(f"Job {job['job_id']} of customer {job['customer_id']}: {job['status']}", end="")
    print(f", completed {job['completed_at']:%Y-%m-%d %H:%M:%S} UTC" if job["completed_at"] else ", not finished")
    print(f"  recipe {job['recipe_id']} {job['recipe_name'] or '(not listed)'}")
    called = f", called by {job['calling_job_id']} ({job['call_mode']})" if job["calling_job_id"] else ""
    print(f"  billed as {job['billing_context']} by {job['context_rule_id']}{called}")
    print_table(
        ("line", "step", "kind", "counts as", "tasks", "rule", "because", "source"),
        [
            (
                "" if line["line_index"] is None else line["line_index"],
                line["unit"],
                line["unit_kind"],
                amount(line["metric"], line["quantity"]),
                line["tasks"] or "-",
                line["rule_id"],
                line["rule"],
                line["published_in"],
            )
            for line in lines
        ],
    )
    print(f"  Sum: {total(lines)}")
    if job["platform_count"] is not None:
        print(f"  The platform counts {amount('tasks', job['platform_count'])}, {differs_by(job)}")
    print()


def differs_by(job: Row) -> str:
    """How our tasks differ from the platform's count, and why: the cause of audit.job_reconciliation."""
    if not job["difference"]:
        return "as we do"
    words = "less than we do" if job["difference"] > 0 else "more than we do"
    return f"{abs(job['difference']):,} {words}: {job['cause']}"


def explain_month(customer_id: str, month: str) -> None:
    """Print a customer's month rule by rule, and the totals of the mart."""
    with open_warehouse() as warehouse:
        rows = ask(warehouse, "explain_month", customer_id=customer_id, month=month)
        (as_of,) = warehouse.execute("select max(last_date) from marts.months").fetchone()
        totals = rows_of(
            warehouse.execute(
                "select * from marts.monthly_customer_usage where customer_id = ? and usage_month = cast(? as date)",
                [customer_id, f"{month}-01"],
            )
        )
    if not totals and not rows:
        sys.exit(
            f"Customer {customer_id} has no {month} in the warehouse {warehouse_path()}: "
            f"no usage, and not a customer then. Its data is as of {as_of}."
        )

    usage = totals[0] if totals else {}
    partial = f", so far, as of {as_of}" if usage.get("is_current_month") else ""
    if usage and not usage["is_covered"]:
        partial += ", not covered: the extracts of jobs begin later"
    print(f"Customer {customer_id} {usage.get('customer_name') or '(not listed)'}, {month}{partial}")
    print_table(
        ("units", "decided", "count as", "rule", "because", "source"),
        [
            (
                row["units"],
                f"{row['decided']:,}",
                amount(row["metric"], row["quantity"]),
                row["rule_id"],
                row["rule"],
                row["published_in"],
            )
            for row in rows
        ],
    )
    if usage:
        print(f"  The month in marts.monthly_customer_usage: {total_of(Counter({m: usage[m] for m in UNITS}))}")
    else:
        print("  In no customer figure: it is an admin workspace.")


def ask(warehouse: duckdb.DuckDBPyConnection, analysis: str, **variables: str | None) -> list[Row]:
    """Set the variables of an analysis, as bound values, and return its rows; None unsets a variable."""
    for name, value in variables.items():
        warehouse.execute(f"set variable {name} = ?", [value])
    return rows_of(warehouse.execute((PROJECT / "analyses" / f"{analysis}.sql").read_text(encoding="utf-8")))


def rows_of(found: duckdb.DuckDBPyConnection) -> list[Row]:
    """The rows of an executed query by column name."""
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def open_warehouse() -> duckdb.DuckDBPyConnection:
    """The published warehouse, read-only; a sentence on standard error if there is none."""
    if not warehouse_path().exists():
        sys.exit(no_warehouse(warehouse_path()))
    return duckdb.connect(str(warehouse_path()), read_only=True)


def warehouse_path() -> Path:
    """The path of usage.duckdb in WAREHOUSE_DIR, or in the project's warehouse, as for dbt build."""
    return warehouse_folder() / "usage.duckdb"


def amount(metric: str | None, quantity: int) -> str:
    """An amount of a metric in words: '3 pages', or '-' if nothing counts."""
    if metric is None:
        return "-"
    return f"{quantity:,} {UNITS[metric][quantity != 1]}"


def total(rows: list[Row]) -> str:
    """The sum of decision rows in words, tasks last."""
    sums: Counter[str] = Counter()
    for row in rows:
        if row["metric"]:
            sums[row["metric"]] += row["quantity"]
        sums["tasks"] += row["tasks"]
    return total_of(sums)


def total_of(sums: Counter[str]) -> str:
    """Amounts by metric in words: '2 business actions, 3 tasks'."""
    return ", ".join(amount(metric, sums[metric]) for metric in UNITS if sums[metric]) or "nothing"


def print_table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print rows in columns as wide as their widest value."""
    cells = [head, *[tuple(str(value) for value in row) for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        print("  " + "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
