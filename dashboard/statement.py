"""A statement: one customer's month in one self-contained file, to send or to print."""

from __future__ import annotations

import re
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

from dashboard import formats, site
from dashboard.sources import pages_of
from dashboard.warehouse import Row, Warehouse

# For a customer and month, after Warehouse.of_customers has collected the decisions.
_OF_MONTH = {
    "credits": """
        from marts.monthly_credits where customer_id = ? and usage_month = ? order by metric, call_type nulls first
    """,
    "recipes": """
        from marts.monthly_recipe_usage where customer_id = ? and usage_month = ?
        order by tasks desc, business_actions desc, recipe_name nulls last, recipe_id nulls last
    """,
    "decisions": """
        select decisions.*, rules.rule from decisions
        inner join rules.decision_rules as rules using (rule_id)
        where customer_id = ? and usage_month = ? order by place, quantity desc, decided desc, recipe_id nulls last
    """,
}


class Unknown(Exception):
    """No such customer or month; the message lists the existing ones."""


def write_statement(folder: Path, customer_id: str, month: str, output: str | None = None) -> Path:
    """Write the statement of ``customer_id`` for ``month`` (YYYY-MM) from the warehouse in ``folder``."""
    if not customer_id:
        raise Unknown("Say whose month: make statement CUSTOMER=1008 MONTH=2026-08.")
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise Unknown(f"MONTH={month} is not a month: write it as 2026-08.")
    warehouse = Warehouse(folder)
    details = next((row for row in warehouse.customers() if row["customer_id"] == customer_id), None)
    if details is None:
        raise Unknown(
            f"There is no customer {customer_id} in {folder / 'usage.duckdb'}: the dashboard's list has their ids."
        )
    first = date.fromisoformat(f"{month}-01")
    _, tables, _ = next(warehouse.of_customers([customer_id]))
    usage = {row["usage_month"]: row for row in tables["usage"]}
    if first not in usage:
        there = f"{formats.month(min(usage))} to {formats.month(max(usage))}" if usage else "none"
        raise Unknown(
            f"Customer {customer_id} has no {formats.month(first)} in {folder / 'usage.duckdb'}: "
            f"its months are {there}."
        )
    shared = site.shared_context(warehouse)
    of_month = {name: list(warehouse.table(query, [customer_id, first])) for name, query in _OF_MONTH.items()}
    warehouse.close()
    page = (
        site.templates()
        .get_template("statement.html")
        .render(
            shared
            | _statement(details, usage, list(tables["terms"]), of_month, first, shared["as_of_date"])
            | {"style": (site.HERE / "static" / "statement.css").read_text()}
        )
    )
    target = Path(output) if output else folder / "statements" / f"{formats.folder_name(customer_id)}-{month}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return target


def _statement(
    details: Row, usage: dict[date, Row], terms: list[Row], of_month: dict[str, list[Row]], month: date, as_of: date
) -> Row:
    now, before = usage[month], usage.get(site.months_before(month, 1))
    billed_by, change_of_terms = _billed_by(terms, month, min(as_of, site.months_before(month, -1) - timedelta(days=1)))
    return {
        "customer": details,
        "month": formats.month(month),
        "month_before": formats.month(site.months_before(month, 1)),
        "partial": now["is_current_month"],
        "is_covered": now["is_covered"],
        "billed_by": billed_by,
        "change_of_terms": change_of_terms,
        "metrics": [
            {
                "title": title,
                "value": "not covered"
                if now[metric] == 0 and site.known(now, metric) is None
                else formats.number(now[metric], 2),
                "change": site.compared(now, before, metric),
                "is_gap": metric == "credits" and not now["is_fully_priced"],
            }
            for metric, title in site.METRICS.items()
        ],
        "credits": of_month["credits"],
        "recipes": of_month["recipes"],
        "decisions": _decisions(of_month["decisions"]),
        "sources": pages_of(row["published_in"] for row in of_month["decisions"]),
        "name": details["customer_name"] or f"Customer {details['customer_id']}",
    }


def _billed_by(terms: list[Row], first: date, last: date) -> tuple[str, str]:
    """The measure that the terms on the month's last day bill, and a sentence if other days have another measure."""
    of_month = [
        row
        for row in terms
        if row["effective_from"] <= last and (not row["effective_to"] or row["effective_to"] > first)
    ]
    stretches = [list(rows) for _, rows in groupby(of_month, key=lambda row: row["recipe_metric"])]
    measures = [formats.words(rows[0]["recipe_metric"]) for rows in stretches]
    if len(measures) < 2:
        return (measures or ["business actions"])[0], ""
    until = [
        f"{measure} up to {formats.day(rows[-1]['effective_to'] - timedelta(days=1))}"
        for measure, rows in zip(measures[:-1], stretches[:-1], strict=True)
    ]
    return measures[-1], f"The terms changed in this month: billed by {', by '.join(until)}, then by {measures[-1]}."


def _decisions(rows_of_month: list[Row]) -> list[Row]:
    """By unit of work, metric, and rule or override: the number of decisions, their quantity, an example."""
    decided = []
    for (units, metric, rule_id, published_in), rows in groupby(
        rows_of_month, key=lambda row: (row["units"], row["metric"], row["rule_id"], row["published_in"])
    ):
        rows = list(rows)
        quantity = sum(row["quantity"] for row in rows)  # of seats it is one row, the month's peak
        decided.append(
            {
                "units": formats.units(units, sum(row["decided"] for row in rows)),
                "rule_id": rule_id,
                "rule": rows[0]["rule"],
                "published_in": published_in,
                "decided": sum(row["decided"] for row in rows),
                "quantity": quantity,
                "amount": site.amount(quantity, metric) if metric and quantity else "nothing",
                "example": rows[0]["example"],
            }
        )
    return decided
