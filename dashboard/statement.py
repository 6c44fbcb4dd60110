"""A statement: one customer's month in one self-contained file, to send or to print."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

from dashboard import formats, site
from dashboard.sources import pages_of
from dashboard.warehouse import Row, Table, Warehouse, is_month

# For a customer and month, after Warehouse.of_customers has collected the decisions.
_OF_MONTH = {
    "credits": """
        from marts.monthly_credits where customer_id = ? and usage_month = ? order by metric, call_type nulls first
    """,
    "periods": """
        select *, false as is_current from marts.billing_periods
        where
            customer_id = ? and ? between date_trunc('month', period_from) and period_to - 1
            and term_from is not null
        order by period_from
    """,
    "recipes": """
        from marts.monthly_recipe_usage where customer_id = ? and usage_month = ?
        order by tasks desc, business_actions desc, recipe_name nulls last, recipe_id nulls last
    """,
    "restatements": """
        from bridge where customer_id = ? and usage_month = ? and item = 'restatement' order by place
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
    if not is_month(month):
        raise Unknown(f"MONTH={month} is not a month: write it as 2026-08.")
    warehouse = Warehouse(folder)
    warehouse.show_closes()
    details = next((row for row in warehouse.customers() if row["customer_id"] == customer_id), None)
    if details is None:
        raise Unknown(
            f"There is no customer {customer_id} in {folder / 'usage.duckdb'}: the dashboard's list has their ids."
        )
    first = date.fromisoformat(f"{month}-01")
    _, tables, _ = next(warehouse.of_customers([customer_id]))
    months = [row["usage_month"] for row in tables["usage"]]
    if first not in months:
        there = f"{formats.month(min(months))} to {formats.month(max(months))}" if months else "none"
        raise Unknown(
            f"Customer {customer_id} has no {formats.month(first)} in {folder / 'usage.duckdb'}: "
            f"its months are {there}."
        )
    target = Path(output) if output else _target(folder, customer_id, first)
    _write(warehouse, site.shared_context(warehouse), details, tables, first, target)
    warehouse.close()
    return target


def write_statements(folder: Path, listed: Path) -> tuple[int, list[str], list[str]]:
    """Write the statements of the last full month for the customers that a file lists.

    The file has an account id per line; ``*`` is every customer; empty lines and those that begin with # are ignored.
    Returns the number of statements, a sentence for each customer who has no such month, and one for each unknown one.
    """
    try:
        lines = [line.strip() for line in listed.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise Unknown(f"The list of statements {listed} cannot be read: {reason}.") from error
    warehouse = Warehouse(folder)
    warehouse.show_closes()
    details = {row["customer_id"]: row for row in warehouse.customers()}
    asked = [line for line in lines if line and not line.startswith("#")]
    asked = list(dict.fromkeys(id for line in asked for id in (sorted(details) if line == "*" else [line])))
    unknown = [f"{listed} lists {id}, and there is no such customer: correct it." for id in asked if id not in details]
    shared = site.shared_context(warehouse)
    last = site.months_before(shared["current_month"], 1) if shared["current_month"] else None
    written, left_out = 0, []
    for customer_id, tables, _ in warehouse.of_customers([id for id in asked if id in details]):
        if last in [row["usage_month"] for row in tables["usage"]]:
            _write(warehouse, shared, details[customer_id], tables, last, _target(folder, customer_id, last))
            written += 1
        else:
            left_out.append(f"Customer {customer_id} has no {formats.month(last)}: no statement.")
    warehouse.close()
    return written, left_out, unknown


def _target(folder: Path, customer_id: str, month: date) -> Path:
    return folder / "statements" / f"{formats.folder_name(customer_id)}-{month:%Y-%m}.html"


def _write(
    warehouse: Warehouse, shared: Row, details: Row, tables: dict[str, Table], month: date, target: Path
) -> None:
    """Write a statement; ``tables``: those of the customer, from the batch that the warehouse has collected."""
    key = [details["customer_id"], month]
    of_month = {name: list(warehouse.table(query, key)) for name, query in _OF_MONTH.items()}
    usage = {row["usage_month"]: row for row in tables["usage"]}
    page = (
        site.templates()
        .get_template("statement.html")
        .render(
            shared
            | _statement(details, usage, list(tables["terms"]), of_month, month, shared["as_of_date"])
            | {"closed": shared["closed_months"].get(month)}
            | {"style": (site.HERE / "static" / "statement.css").read_text()}
        )
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")


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
        "periods": [site.billing_period(row) for row in of_month["periods"]],
        "restatements": [site.bridge_line(line) for line in of_month["restatements"]],
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
    stretches = [list(rows) for _, rows in groupby(of_month, key=lambda row: row["terms"])]
    measures = [formats.billed_by(rows[0]["terms"]) for rows in stretches]
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
