"""Prints a bridge: from the vendor's figure to ours, and from our figure at the close to the one now.

    make bridge MONTH=2026-07 CUSTOMER=1001
    make bridge MONTH=2026-07                # all customers added up

Each part of a metric adds up to its last line, our figure now. Sets the variables of analyses/bridge.sql and runs it on
the published warehouse, read-only. It needs no dbt, works from any folder and writes no file. Exit code 0 if the bridge
is printed, 1 if the warehouse or a close cannot be read, 2 if the question is wrong.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "plugins"))

from asking import is_month, no_warehouse, number, warehouse_folder  # noqa: E402
from closes import CloseProblem, show_closes  # noqa: E402
from labels import BRIDGE_ITEMS  # noqa: E402

BRIDGE = PROJECT / "analyses" / "bridge.sql"

Row = dict[str, Any]


class WrongQuestion(Exception):
    """There is no such month, customer or warehouse: a sentence."""


def main() -> int:
    """Print the bridge of a month, or why there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--month", default="", help="calendar month, YYYY-MM")
    parser.add_argument("--customer", default="", help="account id of a customer; otherwise all are added up")
    asked = parser.parse_args()
    path = warehouse_folder() / "usage.duckdb"
    try:
        if not is_month(asked.month):
            raise WrongQuestion(f"MONTH={asked.month} is not a month: write it as 2026-07.")
        if not path.exists():
            raise WrongQuestion(no_warehouse(path))
        with duckdb.connect(str(path), read_only=True) as warehouse:
            print_bridge(warehouse, path, asked.month, asked.customer)
    except WrongQuestion as problem:
        print(problem)
        return 2
    except (duckdb.CatalogException, duckdb.BinderException):
        print(f"{path} is of an older release: run dbt build first.")
        return 2
    except CloseProblem as problem:
        print(problem)
        return 1
    except duckdb.Error as error:
        print(f"{path} cannot be read: {str(error).splitlines()[0]}")
        return 1
    return 0


def print_bridge(warehouse: duckdb.DuckDBPyConnection, path: Path, month: str, customer_id: str) -> None:
    """Print the bridge of a month of one customer, or of all."""
    show_closes(warehouse, path.parent)
    warehouse.execute("set variable usage_months = ?", [[f"{month}-01"]])
    warehouse.execute("set variable customer_ids = ?", [[customer_id] if customer_id else None])
    found = warehouse.execute(BRIDGE.read_text(encoding="utf-8"))
    names = [column[0] for column in found.description]
    lines = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    whose = name_of(warehouse, path, month, customer_id, bool(lines))
    closed = warehouse.execute("select closed_at from closed_months where usage_month = ?", [f"{month}-01"]).fetchone()
    head = f"{whose}, {month}: {f'closed on {day(closed[0])}' if closed else 'open'}"
    if not lines:
        print(f"{head}\n  No figure, neither ours nor the vendor's.")
        return
    rows, title = [("metric", "", "quantity", "")], ""
    for line in lines:
        rows.append((title_of(line) if title_of(line) != title else "", *cells(line)))
        title = title_of(line)
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    table = [
        f"  {title:<{widths[0]}}  {name:<{widths[1]}}  {quantity:>{widths[2]}}  {note}".rstrip()
        for title, name, quantity, note in rows
    ]
    print("\n".join([head, *table]))  # at once: a reader such as head may stop after the first lines


def name_of(warehouse: duckdb.DuckDBPyConnection, path: Path, month: str, customer_id: str, has_figures: bool) -> str:
    """Whose bridge it is. Raises WrongQuestion if the month or the customer is unknown."""
    first, last, has_month = warehouse.execute(
        "select min(usage_month), max(usage_month), coalesce(bool_or(usage_month = ?), false) "
        "from marts.monthly_customer_usage",
        [f"{month}-01"],
    ).fetchone()
    if not has_month and not has_figures:
        months = f"its months are {first:%Y-%m} to {last:%Y-%m}" if first else "it has no months"
        raise WrongQuestion(f"There is no month {month} in {path}: {months}.")
    if not customer_id:
        return "All customers"
    known = warehouse.execute(
        "select max_by(customer_name, usage_month), coalesce(bool_or(usage_month = ?), false) "
        "from marts.monthly_customer_usage where customer_id = ? having count(*) > 0",
        [f"{month}-01", customer_id],
    ).fetchone()
    if not known and not has_figures:
        raise WrongQuestion(f"There is no customer {customer_id} in {path}.")
    if known and not known[1] and not has_figures:
        raise WrongQuestion(f"Customer {customer_id} has no {month} in {path}: no usage, and not a customer then.")
    return f"Customer {customer_id} {(known and known[0]) or '(not listed)'}"


def title_of(line: Row) -> str:
    """The metric that a line is about, and its call type."""
    return line["title"] + (f", {line['call_type'].replace('_', ' ')}" if line["call_type"] else "")


def cells(line: Row) -> tuple[str, str, str]:
    """A line's name, its quantity (a step with its sign), and a note."""
    item, quantity = line["item"], number(line["quantity"])
    if item in ("vendor_figure", "figure_now"):
        return BRIDGE_ITEMS[item], quantity, ""
    if item == "figure_at_close":
        return BRIDGE_ITEMS[item], quantity, day(line["happened_at"])
    if line["quantity"] > 0:
        quantity = f"+{quantity}"
    if item == "cause":
        known = "exact" if line["is_exact"] else "inferred"
        return line["cause"], quantity, "" if line["cause"] == "unexplained" else known
    if item == "restatement":
        change = f"{number(line['figure_before'])} -> {number(line['figure_after'])}"
        return line["cause"], quantity, f"{day(line['happened_at'])}: {change}"
    return BRIDGE_ITEMS[item], quantity, ""


def day(time: datetime) -> str:
    """A day in UTC: 3 August 2026."""
    return f"{time.day} {time:%B %Y}"


if __name__ == "__main__":
    sys.exit(main())
