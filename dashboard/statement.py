"""A statement: one customer's month in one file that needs nothing else, to send or to print."""

from __future__ import annotations

import re
from datetime import date
from itertools import groupby
from pathlib import Path

from dashboard import formats, site
from dashboard.warehouse import Row, Table, Warehouse


class Unknown(Exception):
    """No such customer or month; the message says what is there."""


def write_statement(folder: Path, customer_id: str, month: str, output: str | None = None) -> Path:
    """Write the statement of ``customer_id`` for ``month`` (YYYY-MM), of the warehouse in ``folder``; the file."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise Unknown(f"MONTH={month} is no month: write it as 2026-08.")
    warehouse = Warehouse(folder)
    details = next((row for row in warehouse.customers() if row["customer_id"] == customer_id), None)
    if details is None:
        raise Unknown(
            f"There is no customer {customer_id} in {folder / 'usage.duckdb'}: the dashboard's list has their ids."
        )
    first = date.fromisoformat(f"{month}-01")
    _, tables = next(warehouse.of_customers([customer_id]))
    usage = {row["usage_month"]: row for row in tables["usage"]}
    if first not in usage:
        there = f"{formats.month(min(usage))} to {formats.month(max(usage))}" if usage else "none"
        raise Unknown(f"Customer {customer_id} has no {formats.month(first)}: its months are {there}.")
    shared = site.shared_context(warehouse)
    warehouse.close()
    page = (
        site.templates()
        .get_template("statement.html")
        .render(
            shared
            | _statement(details, usage, tables, first)
            | {"style": (site.HERE / "static" / "statement.css").read_text()}
        )
    )
    target = Path(output) if output else folder / "statements" / f"{formats.folder_name(customer_id)}-{month}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return target


def _statement(details: Row, usage: dict[date, Row], tables: dict[str, Table], month: date) -> Row:
    now, before = usage[month], usage.get(site.months_before(month, 1))
    credits = [row for row in tables["credits"] if row["usage_month"] == month]
    terms = [
        row
        for row in tables["terms"]
        if row["effective_from"].replace(day=1) <= month and (not row["effective_to"] or row["effective_to"] > month)
    ]
    recipes = [row for row in tables["recipes"] if row["usage_month"] == month]
    return {
        "customer": details,
        "month": formats.month(month),
        "month_before": formats.month(site.months_before(month, 1)),
        "partial": now["is_current_month"],
        "billed_by": formats.words((terms[-1]["recipe_metric"] if terms else None) or "business_actions"),
        "metrics": [
            {
                "title": title,
                "value": formats.number(now[metric], 2),
                "change": formats.change(now[metric], before[metric] if before else None),
                "is_gap": metric == "credits" and not now["is_fully_priced"],
            }
            for metric, title in site.METRICS.items()
        ],
        "credits": credits,
        "recipes": sorted(recipes, key=lambda row: (-row["tasks"], -row["business_actions"], row["recipe_name"] or "")),
        "decisions": _decisions(tables["decisions"], month),
        "name": details["customer_name"] or f"Customer {details['customer_id']}",
    }


def _decisions(table: Table, month: date) -> list[Row]:
    """By unit of work, metric and rule: how many were decided so, what they count, and an example."""
    decided = []
    rows_of_month = [row for row in table if row["usage_month"] == month]
    for (units, metric, rule_id), rows in groupby(
        rows_of_month, key=lambda row: (row["units"], row["metric"], row["rule_id"])
    ):
        rows = list(rows)
        quantities = [row["quantity"] for row in rows]
        decided.append(
            {
                "units": units,
                "metric": formats.words(metric) if metric else None,
                "rule_id": rule_id,
                "rule": rows[0]["rule"],
                "published_in": site.published_in(rows[0]["source"], rows[0]["basis"]),
                "decided": sum(row["decided"] for row in rows),
                "quantity": max(quantities) if units == "days of seats" else sum(quantities),
                "example": rows[0]["example"],
            }
        )
    return decided
