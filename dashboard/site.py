"""Writes the site: the overview, a folder for each customer, the page about the data, and a CSV file of each table.

The site is written into a new folder. Then the link ``WAREHOUSE_DIR/dashboard`` is pointed to it in one step. Pages
contain no data of other pages, so each customer's folder can be shared or protected separately.

Decisions::

    docs/decisions/customer-folders.md
    docs/decisions/pages-hold-their-data.md
    docs/decisions/figure-changes.md
    docs/decisions/term-limit-usage.md
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from itertools import count, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from dashboard import formats
from dashboard.sources import pages_of
from dashboard.warehouse import Row, Table, Warehouse
from plugins.labels import BRIDGE_ITEMS, METRIC_LABELS
from plugins.swapping import point

HERE = Path(__file__).parent
# From this many customers on, one process per core writes the pages.
SHARED_FROM = 200
# Number of findings and quarantined rows on the page; the CSV files contain all.
SHOWN = 1000

METRICS = {metric: label.title for metric, label in METRIC_LABELS.items()}
RECIPE_METRICS = [
    "business_actions",
    "api_calls",
    "pages_processed",
    "events_processed",
    "mcp_calls",
    "genie_actions",
]

TOTALS = [metric for metric, label in METRIC_LABELS.items() if label.is_total]

# Seats come from orders, which are also known for months before the extracts of jobs.
SEATS = ("go_seats", "workflow_app_seats")

# The order of findings: lost usage, then prices, then defaults, then other things to check.
WEIGHTS = ("lost usage", "no price", "default", "look")


@cache
def templates() -> Environment:
    """The templates, compiled once; every value is escaped unless it is marked as safe here."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = "number", "credits", "percent", "percent_reached", "month", "day", "time", "hours", "words", "sentence"
    for name in filters:
        environment.filters[name] = getattr(formats, name)
    return environment


def write_site(folder: Path) -> tuple[Path, int]:
    """Write the site of the warehouse in ``folder`` and point ``folder/dashboard`` to it: (the link, customers)."""
    warehouse = Warehouse(folder)
    warehouse.show_closes()
    link = folder / "dashboard"
    with _one_writer(folder):
        runs = folder / "dashboard_runs"
        runs.mkdir(exist_ok=True)
        run_id = warehouse.run()["run_id"]
        target = next(path for n in count() if not (path := runs / f"{run_id}-{n}").exists())
        try:
            shutil.copytree(HERE / "static", target / "static")
            pages = _write_pages(warehouse, folder, target)
            point(link, target)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        finally:
            warehouse.close()
    return link, pages


@contextmanager
def _one_writer(folder: Path):
    """Wait until no other process writes the same dashboard."""
    with (folder / "dashboard.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write_pages(warehouse: Warehouse, folder: Path, target: Path) -> int:
    run = warehouse.run()
    customers = warehouse.customers()
    shared = shared_context(warehouse)
    (target / "csv").mkdir()
    _write(target / "index.html", "overview.html", shared | overview(warehouse, customers, shared, target / "csv"))
    _write(target / "data.html", "data.html", shared | data(warehouse, customers, run, target / "csv"))
    (target / "customers").mkdir()
    ids = [row["customer_id"] for row in customers]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if len(ids) < SHARED_FROM or cores == 1:
        write_customers(folder, target, ids)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(cores, mp_context=context) as pool:
            # customers with similar usage go to different processes, so that all have the same amount of work
            written = [pool.submit(write_customers, folder, target, ids[n::cores], 1) for n in range(cores)]
            for part in written:
                part.result()
    return len(ids)


def write_customers(folder: Path, target: Path, customer_ids: list[str], threads: int | None = None) -> None:
    """Write the folders of these customers: a page, and a CSV file of each table. ``threads``: of the engine."""
    warehouse = Warehouse(folder, threads)
    warehouse.show_closes()
    shared = shared_context(warehouse)
    details = {row["customer_id"]: row for row in warehouse.customers()}
    page = templates().get_template("customer.html")
    for customer_id, tables, files in warehouse.of_customers(customer_ids):
        place = target / "customers" / formats.folder_name(customer_id)
        place.mkdir()
        _write(place / "index.html", page, shared | {"root": "../../"} | customer(details[customer_id], tables, shared))
        for name, text in files.items():
            (place / f"{name}.csv").write_bytes(text.encode())
    warehouse.close()


def _write(path: Path, template: Any, context: Row) -> None:
    if isinstance(template, str):
        template = templates().get_template(template)
    path.write_text(template.render(context), encoding="utf-8")


def shared_context(warehouse: Warehouse) -> Row:
    """The data about the run on every page, and the current month."""
    run = warehouse.run()
    current = run["as_of_date"].replace(day=1) if run["as_of_date"] else None
    previous = months_before(current, 1) if current else None
    covered_from = warehouse.value("select min(usage_month) from marts.monthly_customer_usage where is_covered")
    first_job = warehouse.value("select min(usage_date) from metering.job_days")
    return {
        "root": "",
        "page": "",
        "as_of": formats.day(run["as_of_date"]),
        "as_of_date": run["as_of_date"],
        "covered_from": covered_from,
        "first_job": formats.day(first_job) if first_job else "",
        "rules": [
            row | {"published_in": published_in(row["source"], row["basis"])}
            for row in warehouse.table("select rule_id, rule, source, basis from rules.decision_rules order by rule_id")
        ],
        "published": formats.time(run["published_at"]),
        "extracts_from": run["extracts_from"],
        "run_id": run["run_id"],
        "revision": run["project_revision"],
        "current_month": current,
        "current": formats.month(current),
        "before": formats.month(previous),
        "before_is_covered": bool(covered_from and previous and covered_from <= previous),
        "closed_months": {
            row["usage_month"]: formats.full_day(row["closed_at"])
            for row in warehouse.table("select usage_month, closed_at from closed_months")
        },
    }


def months_before(month: date, count: int) -> date:
    """The first day of the month ``count`` months earlier."""
    index = month.year * 12 + month.month - 1 - count
    return date(index // 12, index % 12 + 1, 1)


def known(row: Row, metric: str) -> Any:
    """A month's figure; None if it is 0 only because the extracts of jobs do not cover the month."""
    return row[metric] if row[metric] or row["is_covered"] or metric in SEATS else None


def compared(row: Row, before: Row | None, metric: str) -> Row | None:
    """A month's change from the previous one; None without one, or if the extracts do not cover it."""
    if before is None or not (before["is_covered"] or metric in SEATS):
        return None
    return formats.change(row[metric], before[metric])


def amount(quantity: int, metric: str) -> str:
    """An amount of a metric in words: 3 pages, 1 API call."""
    label = METRIC_LABELS[metric]
    return f"{formats.number(quantity)} {label.unit if quantity == 1 else label.units}"


def published_in(source: str | None, basis: str) -> str:
    """Where a rule is published, or that it is our decision, as in make explain."""
    if basis == "D":
        return f"{source}, our decision" if source else "our decision"
    return source or formats.NOTHING


def _bars(rows: list[Row], key: str) -> list[Row]:
    """Each row with ``bar``: its figure as a percentage of the largest."""
    most = max((row[key] for row in rows), default=0)
    for row in rows:
        row["bar"] = round(100 * row[key] / most, 2) if most else 0
    return rows


# ---------------------------------------------------------------------------------------------------------- overview


def overview(warehouse: Warehouse, customers: list[Row], shared: Row, csv_folder: Path) -> Row:
    """The four sections of the tab, and the list of customers."""
    tables = {}
    for name, order in {
        "monthly_tasks": "usage_month",
        "top_customers": "rank",
        "connection_trends": "usage_month",
        "top_apps": "rank",
        "customer_trends": "usage_month",
        "customer_details": "tasks_last_12_months desc, customer_name nulls last, customer_id",
        "active_recipe_trends": "usage_month",
        "top_recommended_recipes": "rank",
    }.items():
        query = f"from marts.{name} order by {order}"
        tables[name] = warehouse.table(query)
        (csv_folder / f"{name}.csv").write_bytes(warehouse.csv(query).encode())
    alerts = "from marts.usage_alerts order by reason, dated_on, customer_id, metric"
    (csv_folder / "usage_alerts.csv").write_bytes(warehouse.csv(alerts).encode())
    to_look_at = warehouse.value(
        "select (select count(*) from audit.findings) + (select count(*) from audit.quarantined_rows)"
    )
    return {
        "page": "overview",
        "to_look_at": formats.number(to_look_at) if to_look_at else "",
        "alerts": _alerts(warehouse.table(alerts), {row["customer_id"]: row["customer_name"] for row in customers}),
        "tasks": _trend(tables["monthly_tasks"], "tasks", [("tasks", "Tasks")], bars=True, view=12),
        "top_customers": _top_customers(tables["top_customers"], warehouse, shared),
        "connections": _trend(tables["connection_trends"], "connections", [("connections", "Connections")]),
        "top_apps": {"rows": _top_apps(tables["top_apps"], warehouse)},
        "customers": _trend(tables["customer_trends"], "customers", [("customers", "Customers")]),
        "customer_list": [_listed(row, shared["before_is_covered"]) for row in customers],
        "recipes": _trend(tables["active_recipe_trends"], "active_recipes", [("active_recipes", "Active recipes")]),
        "top_recipes": {"rows": _top_recipes(tables["top_recommended_recipes"], warehouse)},
    }


# What needs attention, most urgent first, and the section of the customer's page with its reason.
_ALERTS = {
    "exceeded": ("Allowance exceeded", "plan"),
    "will_exceed": ("Allowance will be exceeded", "plan"),
    "jumped": ("Usage jumped", "usage"),
    "went_quiet": ("Went quiet", "usage"),
}


def _alerts(table: Table, names: dict[str, str | None]) -> list[Row]:
    """Rows of usage_alerts with their texts. The partner's own contract, *, has no page."""
    reasons = list(_ALERTS)
    alerts = []
    for row in sorted(table, key=lambda row: (reasons.index(row["reason"]), row["dated_on"])):
        is_own, (title, section) = row["customer_id"] == "*", _ALERTS[row["reason"]]
        unit = formats.words(row["metric"] or "")
        quantity, bound, day = (
            formats.number(row["quantity"]),
            formats.number(row["bound"]),
            formats.day(row["dated_on"]),
        )
        detail = {
            "exceeded": f"on {day}: {quantity} of {bound} {unit}",
            "will_exceed": f"probably on {day}: {quantity} of {bound} {unit} by the end of the period",
            "jumped": f"{quantity} {unit} in the week to {day}, usual are at most {bound}",
            "went_quiet": f"no usage since {day}",
        }[row["reason"]]
        alerts.append(
            {
                "title": title,
                "detail": detail,
                "is_own": is_own,
                "customer_name": names.get(row["customer_id"]),
                "customer_id": row["customer_id"],
                "href": "" if is_own else f"{page_of(row['customer_id'])}#{section}",
            }
        )
    return alerts


def _trend(table: Table, key: str, series: list[tuple[str, str]], bars: bool = False, view: int = 0) -> Row:
    """A figure by month: its rows with their changes, the newest row, and the chart."""
    rows = list(table)
    for position, row in enumerate(rows):
        before = rows[position - 1] if position else None
        row.setdefault("is_covered", True)  # months of listings have a flag whether they are reconstructed
        row["label"] = formats.month(row["usage_month"])
        row["before"] = before["label"] if before else ""
        row["before_is_covered"] = before is None or before["is_covered"]
        row["change"] = compared(row, before, key)
        row["is_current_month"] = position == len(rows) - 1
        row.setdefault("is_reconstructed", False)
    uncovered = [n for n, row in enumerate(rows) if not row["is_covered"]]
    for n in uncovered:
        rows[n] |= {name: known(rows[n], name) for name, _ in series}
    newest = rows[-1] if rows else {"is_reconstructed": False, "change": None}
    return {
        "rows": rows,
        "value": formats.number(newest.get(key)),
        "change": newest["change"],
        "reconstructed": newest["is_reconstructed"],
        "any_reconstructed": any(row["is_reconstructed"] for row in rows),
        "chart": {
            "kind": "bars" if bars else "line",
            "view": view,
            "labels": [row["label"] for row in rows],
            "partial": len(rows) - 1,
            "reconstructed": [n for n, row in enumerate(rows) if row["is_reconstructed"]],
            "uncovered": uncovered,
            "series": [{"name": title, "values": [row[name] for row in rows]} for name, title in series],
            "shown": 0,
        },
    }


def _top_customers(table: Table, warehouse: Warehouse, shared: Row) -> Row:
    rows = _bars(list(table), "tasks")
    found = warehouse.table(
        """
        select
            top.customer_id,
            sum(months.tasks) filter (where months.is_current_month) as this_month,
            sum(months.tasks) filter (where months.usage_month = top.months_to - interval '1' month) as month_before,
            sum(months.tasks) filter (
                where
                months.usage_month >= top.months_from - interval '1' month
                and months.usage_month < top.months_to
            ) as window_before
        from marts.top_customers as top
        inner join marts.monthly_customer_usage as months on top.customer_id = months.customer_id
        group by top.customer_id
        """
    )
    of_customer = {row["customer_id"]: row for row in found}
    for row in rows:
        more = of_customer[row["customer_id"]]
        row["tasks_this_month"] = more["this_month"] or 0
        row["change_this_month"] = (
            formats.change(more["this_month"] or 0, more["month_before"] or 0) if shared["before_is_covered"] else None
        )
        is_covered = shared["covered_from"] and shared["covered_from"] <= months_before(row["months_from"], 1)
        row["change"] = formats.change(row["tasks"], more["window_before"] or 0) if is_covered else None
        row["window_before_is_covered"] = bool(is_covered)
        row["href"] = page_of(row["customer_id"])
    period = f"{formats.month(rows[0]['months_from'])} to {formats.month(rows[0]['months_to'])}" if rows else ""
    return {"rows": rows, "period": period}


def _top_apps(table: Table, warehouse: Warehouse) -> list[Row]:
    before = dict(
        warehouse.table(
            """
            select app, sum(connections) from marts.monthly_app_connections
            where usage_month = (select max(usage_month) - interval '1' month from marts.months) group by app
            """
        ).rows
    )
    rows = _bars(list(table), "connections")
    for row in rows:
        row["change"] = formats.change(row["connections"], before.get(row["app"], 0))
    return rows


def _top_recipes(table: Table, warehouse: Warehouse) -> list[Row]:
    """The most cloned recipes, with the change of their clones since the end of the previous month."""
    before = dict(
        warehouse.table(
            """
            with first_listed as (
                select parent_recipe_id, customer_id, recipe_id, min(valid_from) as valid_from
                from marts.recipe_history
                where customer_id in (select customer_id from marts.customer_details)
                group by all
            )
            select parent_recipe_id, count(*) from first_listed
            where valid_from <= (
                select max(snapshot_at) from marts.month_listings
                where extract_name = 'recipes' and usage_month < (select max(usage_month) from marts.months)
            )
            group by parent_recipe_id
            """
        ).rows
    )
    rows = _bars(list(table), "clones")
    for row in rows:
        row["change"] = formats.change(row["clones"], before.get(row["recipe_id"], 0))
    return rows


def page_of(customer_id: str) -> str:
    """The address of a customer's page relative to the site's root; it needs no escaping."""
    return f"customers/{formats.folder_name(customer_id)}/index.html"


def _listed(row: Row, before_is_covered: bool) -> Row:
    change = formats.change(row["tasks_this_month"], row["tasks_month_before"])
    return row | {
        "href": page_of(row["customer_id"]),
        "change": change if row["has_months"] and before_is_covered else None,
        "last_job_order": row["last_job_at"].isoformat() if row["last_job_at"] else "",
    }


# ---------------------------------------------------------------------------------------------------------- customer


def customer(details: Row, tables: dict[str, Table], shared: Row) -> Row:
    """A customer's page, from its own tables only."""
    current = shared["current_month"]
    usage = list(tables["usage"])
    terms = list(tables["terms"])
    credits = list(tables["credits"])
    decided = next(iter(tables["decisions"]), {"months": [], "json": "[]"})
    return {
        "page": "customer",
        "customer": details,
        "month": shared["current"] if current else "",
        "figures": _customer_figures(details, tables, usage, current),
        "usage": _usage_rows(usage, set(decided["months"])),
        "columns": [{"title": title} for title in [*METRICS.values(), "Failed jobs"]],
        "gaps": any(not row["is_fully_priced"] for row in usage),
        "uncovered": any(not row["is_covered"] for row in usage),
        "chart": _usage_chart(usage, terms),
        "closes": _closes(tables["bridge"], shared["closed_months"]),
        "terms": _terms(terms),
        "periods": [billing_period(row) for row in tables["periods"]],
        "credits": credits,
        "credits_month": formats.month(credits[0]["usage_month"]) if credits else "",
        "credits_partial": bool(credits) and credits[0]["usage_month"] == current,
        "why": why(decided, tables["recipe_names"], usage, shared["rules"]),
        "unfinished": next((row["jobs"] for row in tables["unfinished"]), 0),
        "findings": list(tables["findings"]),
        **_recipes(tables["recipes"]),
        "apps": _apps(tables["apps"]),
        "connections": [_connection(row) for row in tables["connections"]],
    }


def _customer_figures(details: Row, tables: dict[str, Table], usage: list[Row], current: date | None) -> list[Row]:
    """The current month's figures with their change from the previous month."""
    before = months_before(current, 1) if current else None
    of_month = {row["usage_month"]: row for row in usage}
    now, then = of_month.get(current), of_month.get(before)
    levels = {row["usage_month"]: row for row in tables["levels"]}
    earlier = levels.get(before, {"connections": 0, "active_recipes": 0})
    read_back = levels.get(current, {"is_reconstructed": False})["is_reconstructed"]
    figures = [
        {
            "id": metric,
            "label": METRICS[metric],
            "value": formats.number(known(now, metric), 2) if now else formats.NOTHING,
            "change": compared(now, then, metric) if now else None,
            "before_is_covered": then is None or then["is_covered"],
            "partial": True,
            "reconstructed": False,
        }
        for metric in ("tasks", "business_actions", "credits")
    ]
    return [
        *figures,
        {
            "id": "connections",
            "label": "Connections",
            "value": formats.number(details["connections"]),
            "change": formats.change(details["connections"], earlier["connections"]),
            "before_is_covered": True,
            "partial": False,
            "reconstructed": read_back,
        },
        {
            "id": "active_recipes",
            "label": "Active recipes",
            "value": formats.number(details["active_recipes"]),
            "change": formats.change(details["active_recipes"], earlier["active_recipes"]),
            "before_is_covered": True,
            "partial": False,
            "reconstructed": read_back,
        },
    ]


def _usage_rows(usage: list[Row], decided: set[date]) -> list[Row]:
    number, percent = formats.number, formats.percent
    return [
        {
            "month": row["usage_month"].isoformat(),
            "usage_month": row["usage_month"],
            "label": formats.month(row["usage_month"]),
            "partial": row["is_current_month"],
            "covered": row["is_covered"],
            "why": row["usage_month"] in decided,
            "cells": _cells(
                number(known(row, metric), 2) + ("*" if metric == "credits" and not row["is_fully_priced"] else "")
                for metric in METRICS
            )
            + _cells([percent(row["failed_job_share"])]),
        }
        for row in reversed(usage)
    ]


def _cells(figures: Iterable[str]) -> Markup:
    """Table cells of formatted figures, which need no escaping. A loop over the cells in a template would be slow."""
    return Markup(
        "".join(
            '<td class="num zero">0</td>' if figure == "0" else f'<td class="num">{figure}</td>' for figure in figures
        )
    )


def _usage_chart(usage: list[Row], terms: list[Row]) -> Row:
    terms_now = next((term["terms"] for term in terms if term["in_force"]), "credits_2025")
    billed = "tasks" if terms_now != "credits_2025" else "business_actions"
    figures = {metric: [known(row, metric) for row in usage] for metric in METRICS}
    series = [
        {
            "name": title,
            "values": [float(value) if isinstance(value, Decimal) else value for value in figures[metric]],
        }
        for metric, title in METRICS.items()
    ]
    order = [list(METRICS).index(billed), *range(len(METRICS))]
    shown = next((n for n in order if any(series[n]["values"])), order[0])
    return {
        "kind": "bars",
        "view": 12,
        "labels": [formats.month(row["usage_month"]) for row in usage],
        "partial": len(usage) - 1 if usage and usage[-1]["is_current_month"] else -1,
        "reconstructed": [],
        "uncovered": [n for n, row in enumerate(usage) if not row["is_covered"]],
        "series": series,
        "shown": shown,
    }


def _closes(table: Table, closed_months: dict[date, str]) -> list[Row]:
    """The closed months, newest first: the lines of their bridge, and the chart of each metric."""
    months = []
    for month, of_month in groupby(table, key=itemgetter("usage_month")):
        lines = [bridge_line(line) for line in of_month]
        by_metric = {title: list(of_metric) for title, of_metric in groupby(lines, key=itemgetter("title"))}
        restated = [n for n, of in enumerate(by_metric.values()) if any(line["item"] == "restatement" for line in of)]
        series = [
            {
                "name": title,
                "labels": [line["label"] for line in of_metric],
                "texts": [line["quantity_text"] for line in of_metric],
                "before": [float(line["figure_before"]) for line in of_metric],
                "after": [float(line["figure_after"]) for line in of_metric],
                "totals": [line["is_total"] for line in of_metric],
            }
            for title, of_metric in by_metric.items()
        ]
        months.append(
            {
                "id": f"{month:%Y-%m}",
                "label": formats.month(month),
                "closed": closed_months[month],
                "lines": lines,
                "is_restated": bool(restated),
                "chart": {"kind": "waterfall", "view": 0, "series": series, "shown": (restated or [0])[0]},
            }
        )
    return months[::-1]


def bridge_line(line: Row) -> Row:
    """A line of a bridge with its texts: what it is about, its name, its quantity (a step with its sign), a note."""
    item, quantity = line["item"], line["quantity"]
    name = formats.sentence(line["cause"]) if line["cause"] else formats.sentence(BRIDGE_ITEMS[item])
    note = formats.day(line["happened_at"]) if line["happened_at"] else ""
    if item == "cause" and line["cause"] != "unexplained":
        note = "exact" if line["is_exact"] else "inferred"
    sign = "" if line["is_total"] else "+" if quantity > 0 else formats.MINUS if quantity < 0 else "±"
    return line | {
        "title": line["title"] + (f", {formats.words(line['call_type'])}" if line["call_type"] else ""),
        "name": name,
        "label": f"{name}, {note}" if item == "restatement" else name,
        "note": note,
        "quantity_text": f"{sign}{formats.number(abs(quantity), 2)}",
    }


def _terms(rows: list[Row]) -> list[Row]:
    """Past, current and future contract terms, newest first.

    ``rows``: the periods of customer_terms; a term that a newer one interrupts has several.
    """
    by_term: dict[date, list[Row]] = defaultdict(list)
    for row in rows:
        if row["term_from"]:
            by_term[row["term_from"]].append(row)
    terms = []
    for _, intervals in sorted(by_term.items(), reverse=True):
        row = intervals[0]
        unit = "task" if row["terms"] == "tasks_2024" else "credit"
        limit = row["task_limit"] if unit == "task" else row["included_credits"]
        per = "for the whole term" if row["allowance_per"] == "term" else "per cycle"
        terms.append(
            {
                "period": ", ".join(map(_period, intervals)),
                "in_force": any(interval["in_force"] for interval in intervals),
                "billed_by": formats.billed_by(row["terms"]),
                "included": f"{formats.number(limit, 2)} {unit}s {per}" if limit is not None else formats.NOTHING,
                "price": f"{formats.money(row['unit_price'], row['currency'])} per {unit}"
                if row["unit_price"] is not None
                else formats.NOTHING,
                "cycle_day": row["billing_cycle_day"] or 1,
            }
        )
    return terms


def billing_period(row: Row) -> Row:
    """A row of billing_periods with its texts, and the width of its gauge in percent."""
    share = row["share_used"]
    return {
        "period": _period({"effective_from": row["period_from"], "effective_to": row["period_to"]}),
        "is_current": row["is_current"],
        "days": f"day {row['days_elapsed']} of {(row['period_to'] - row['period_from']).days}",
        "billed_by": formats.billed_by(row["terms"]),
        "unit": row["measure"],
        "used": formats.number(row["used"], 2),
        "is_gap": not row["is_fully_priced"],
        "allowance": formats.number(row["allowance"], 2),
        "used_of_allowance": formats.number(row["used_of_allowance"], 2),
        "remaining": formats.number(row["remaining"], 2),
        "share": share,
        "width": min(100, round(float(share) * 100, 2)) if share is not None else 0,
        "overage": formats.number(row["overage"], 2),
        "used_value": formats.money(row["used_value"], row["currency"]),
        "overage_value": formats.money(row["overage_value"], row["currency"]),
        "exceeded_on": formats.day(row["exceeded_on"]),
        **_projection(row),
    }


def _projection(row: Row) -> Row:
    """What is projected of a current billing period: texts, and how much of the gauge it adds, in percent."""
    if row["projected_used"] is None:
        return {"projected": "", "interval": "", "added_width": 0, "will_exceed_on": ""}
    added = row["projected_used"] - row["used"]
    width = 0.0
    if row["allowance"]:
        used = min(100, float(row["used_of_allowance"] / row["allowance"]) * 100)
        width = round(min(100 - used, float(added / row["allowance"]) * 100), 2)
    return {
        "projected": formats.number(row["projected_used"], 2),
        "interval": f"{formats.number(row['projected_low'], 2)} to {formats.number(row['projected_high'], 2)}",
        "added_width": width,
        "will_exceed_on": ""
        if row["exceeded_on"] or not row["projected_exceeds_on"]
        else formats.day(row["projected_exceeds_on"]),
    }


def _period(interval: Row) -> str:
    """A period in words; its end in the warehouse is the first day after it."""
    start, end = interval["effective_from"], interval["effective_to"]
    return f"{formats.day(start)} to {formats.day(end - timedelta(days=1))}" if end else f"From {formats.day(start)}"


def _recipes(table: Table) -> Row:
    """Recipes by their usage of twelve months; columns that are 0 for all recipes are left out."""
    rows = list(table)
    shown = [metric for metric in RECIPE_METRICS if metric == "business_actions" or any(row[metric] for row in rows)]
    for row in rows:
        row["values"] = [row[name] for name in ("tasks", *shown, "this_month")]
    return {"recipes": _bars(rows, "tasks"), "recipe_columns": [METRICS[metric] for metric in shown]}


def _apps(table: Table) -> list[Row]:
    rows = list(table)
    for row in rows:
        row["values"] = [row[name] for name in ("tasks", "business_actions", "this_month", "connections")]
    return _bars(rows, "tasks")


def _connection(row: Row) -> Row:
    state = "deleted" if not row["is_listed"] else "active" if row["authorization_status"] == "success" else "expired"
    label = (
        "gone"
        if state == "deleted"
        else "connected"
        if state == "active"
        else row["authorization_status"] or "not authorized"
    )
    return row | {
        "state": state,
        "state_label": label,
        "authorized_order": row["authorized_at"].isoformat() if row["authorized_at"] else "",
        "created_order": row["created_at"].isoformat() if row["created_at"] else "",
    }


def why(decided: Row, recipe_names: Table, usage: list[Row], rules: list[Row]) -> Row:
    """The decisions of each month as JSON for the page's script, the months to choose from, and the sources of rules.

    {months: [{id, label}], sources: [(key, page)], json}; the warehouse creates the JSON of the decisions.
    """
    totals = {
        row["usage_month"].isoformat()[:7]: [amount(row[metric], metric) for metric in TOTALS if row[metric]]
        for row in usage
    }
    beside = {
        "metrics": METRICS,
        "rules": {row["rule_id"]: [row["rule"], row["published_in"]] for row in rules},
        "recipes": dict(recipe_names.rows),
        "totals": totals,
    }
    packed = htmlsafe_json_dumps(beside, separators=(",", ":"), ensure_ascii=False)
    # as in Jinja: no text in the JSON can end the script element
    rows = Markup(decided["json"].replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
    return {
        "months": [{"id": month.isoformat()[:7], "label": formats.month(month)} for month in sorted(decided["months"])],
        "sources": pages_of(row["source"] for row in rules),
        "json": packed[:-1] + Markup(',"decided":') + rows + Markup("}"),
    }


# -------------------------------------------------------------------------------------------------------------- data


# The days after a month's end by which the arrived share is shown; a day that is not over has none.
ARRIVAL_DAYS = (0, 1, 2, 3, 5, 10, 20, 30)
_ARRIVED_BY = """
    case
        when last_day(usage_month) + {day} <= as_of_date
            then coalesce(max(share_arrived) filter (where days_after_month_end <= {day}), 0)
    end
"""
_ARRIVAL = f"""
    select
        usage_month, metric, max(days_after_month_end) as last_arrival,
        [{", ".join(_ARRIVED_BY.format(day=day) for day in ARRIVAL_DAYS)}] as shares
    from marts.usage_arrival
    cross join (select last_date as as_of_date from marts.months where is_current_month)
    where metric in ('tasks', 'business_actions') and last_day(usage_month) < as_of_date
    group by usage_month, metric, as_of_date
    order by usage_month desc, metric desc
"""


def data(warehouse: Warehouse, customers: list[Row], run: Row, csv_folder: Path) -> Row:
    """The page about the data of the last run."""
    warehouse.show_attempts()
    tables = {
        "findings": "from audit.findings order by finding, customer_id, subject, detail",
        "quarantined_rows": "from audit.quarantined_rows order by extract_name, reason, file_name, row_content",
        "extract_row_counts": "from audit.extract_row_counts order by rows_quarantined desc, extract_name",
        "extract_freshness": "from audit.extract_freshness order by is_late desc, extract_name",
        "rule_coverage": "select * from (select coverage.*, rules.basis, rules.decision_order "
        "from audit.rule_coverage as coverage inner join rules.decision_rules as rules using (rule_id)) "
        "order by decides, decision_order, rule_id, rule_override nulls first",
        "unlisted_customers": "from audit.unlisted_customers order by customer_id",
        "usage_arrival": "from marts.usage_arrival order by usage_month, metric, days_after_month_end",
        "runs": "from publication.runs order by published_at desc, started_at desc",
        "attempts": "from attempts order by started_at desc, run_id desc",
    }
    read = {name: warehouse.table(query) for name, query in tables.items()}
    for name, query in tables.items():
        if read[name].rows or name not in ("unlisted_customers", "attempts"):
            (csv_folder / f"{name}.csv").write_bytes(warehouse.csv(query).encode())
    names = {row["customer_id"]: row["customer_name"] for row in customers}
    runs = list(read["runs"])
    before = runs[1] if len(runs) > 1 else {}
    labels = {
        "rows_read": "Rows read",
        "rows_used": "Used",
        "rows_repeated": "Repeated",
        "rows_quarantined": "Quarantined",
    }
    types = {row["finding"]: row for row in warehouse.table("from labels.finding_types")}
    weights = {finding: WEIGHTS.index(row["weight"]) for finding, row in types.items()}
    findings = sorted(read["findings"], key=lambda row: (weights[row["finding"]], -row["occurrences"]))
    return {
        "page": "data",
        "figures": [
            {
                "id": key,
                "label": label,
                "value": formats.number(run[key]),
                "change": formats.change(run[key], before.get(key)),
            }
            for key, label in (labels | {"findings": "Findings"}).items()
        ],
        "issues": _issues(read, types),
        "sources": pages_of(row["source"] for row in read["rule_coverage"]),
        "unlisted": len(read["unlisted_customers"]),
        "findings": [
            row
            | {
                "href": page_of(row["customer_id"]) if row["customer_id"] in names else "",
                "customer_name": names.get(row["customer_id"]),
            }
            for row in findings[:SHOWN]
        ],
        "findings_total": len(findings),
        "quarantined": [
            row | {"content": _shortened(row["row_content"])} for row in list(read["quarantined_rows"])[:SHOWN]
        ],
        "quarantined_total": len(read["quarantined_rows"]),
        "extracts": list(read["extract_row_counts"]),
        "any_erased": any(row.get("rows_erased") for row in read["extract_row_counts"]),
        "any_ignored": any(row.get("rows_ignored") for row in read["extract_row_counts"]),
        "freshness": [row | {"state": _state_of_extract(row)} for row in read["extract_freshness"]],
        "rules": [
            row
            | {
                "published_in": f"override: {row['rule_override']}"
                if row["rule_override"]
                else published_in(row["source"], row["basis"])
            }
            for row in read["rule_coverage"]
        ],
        "arrival_days": ARRIVAL_DAYS,
        "arrivals": [row | {"title": METRICS[row["metric"]]} for row in warehouse.table(_ARRIVAL)],
        "rules_total": len({row["rule_id"] for row in read["rule_coverage"]}),
        "rules_used": len({row["rule_id"] for row in read["rule_coverage"] if row["decisions"]}),
        "runs": runs,
        "attempts": list(read["attempts"]),
    }


def _state_of_extract(row: Row) -> str:
    if not row["is_delivered"]:
        return "never delivered"
    if row["newest_at"] is None:
        return "no times"
    if row["usual_interval_hours"] is None:
        return "on one day only"
    return "late" if row["is_late"] else "in time"


def _shortened(text: str | None, length: int = 400) -> str:
    return formats.NOTHING if text is None else text if len(text) <= length else f"{text[:length]}…"


def _issues(read: dict[str, Table], types: dict[str, Row]) -> list[Row]:
    """Kinds of problems with how often they occur: by weight, then by occurrences."""
    found: dict[tuple[str, str, str | None], Row] = {}

    def add(
        kind: str,
        title: str,
        rule_id: str | None,
        customer_id: str | None,
        occurrences: int,
        rows: int = 1,
        reason: str = "",
    ) -> None:
        row = found.setdefault(
            (kind, title, rule_id),
            types[kind]
            | {"kind": kind, "title": title, "rule_id": rule_id}
            | {"who": set(), "rows": 0, "occurrences": 0, "reasons": []},
        )
        row["who"] |= {customer_id} - {None}
        row["rows"] += rows
        row["reasons"] += [(reason, rows)] if reason else []
        row["occurrences"] += occurrences

    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for row in read["quarantined_rows"]:
        reasons[row["extract_name"]][row["reason"]] += 1
    for extract, counted in reasons.items():
        for reason, rows in counted.items():
            what = f"{formats.words(extract)}: {reason}"
            add("quarantined", "quarantined rows", None, None, rows, rows, what)
    for row in read["findings"]:
        add(row["finding"], row["finding"], row["rule_id"], row["customer_id"], row["occurrences"])
    for row in read["unlisted_customers"]:
        add("unlisted customer", "unlisted customer", None, row["customer_id"], row["jobs"] + row["requests"])
    for row in found.values():
        row["customers"] = len(row.pop("who"))
        row["reasons"].sort(key=lambda counted: (-counted[1], counted[0]))
    return sorted(found.values(), key=lambda row: (WEIGHTS.index(row["weight"]), -row["occurrences"], row["title"]))


def say_written(link: Path, pages: int) -> str:
    """The message after the site is written."""
    return f"Wrote {link}/index.html and the pages of {pages:,} customers."
