"""Section 6 of the counting rules, the Usage metrics tab, and the models that show it.

``add_tab`` appends to the lists of a Result that ``reference.compute`` has filled so far. Times are instants in UTC,
months their first days; shares are Decimals of six decimals. Readings are marked [A<n>] and explained in README.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]

FIRST_TASKS_MONTH = date(2020, 10, 1)  # TAB-TASKS
USAGE_METRICS = (
    "tasks",
    "business_actions",
    "api_calls",
    "pages_processed",
    "events_processed",
    "mcp_calls",
    "genie_actions",
)


# ------------------------------------------------------------------------------------------------ months, shares, ranks


def month_of(day: date) -> date:
    """The first day of the day's month."""
    return day.replace(day=1)


def next_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def months_before(month: date, n: int) -> date:
    for _ in range(n):
        month = (month - timedelta(days=1)).replace(day=1)
    return month


def months_between(first: date, last: date) -> Iterable[date]:
    """Every month from the first to the last, both included."""
    while first <= last:
        yield first
        first = next_month(first)


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The instant the day is over in the zone: the next day's midnight. [A28]"""
    return datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)


def in_utc(moment: datetime | None) -> datetime | None:
    """The instant as the marts hold it: in UTC, without a zone."""
    return moment and moment.astimezone(UTC).replace(tzinfo=None)


def share_of(part: int, whole: int) -> Decimal | None:
    """Part of whole, rounded half up to six decimals; None where there is no whole."""
    if whole == 0:
        return None
    return Decimal((2 * part * 10**6 + whole) // (2 * whole)).scaleb(-6)


def top(n: int, scores: dict[str, int], names: dict[str, str | None]) -> list[tuple[int, str, str | None]]:
    """(rank, id, name) of the n highest scores. Ties: by name as UTF-8 bytes, without a name last, then id. [A38]

    ``scores`` holds nobody with 0: who has none is in no ranking [A37].
    """

    def place(id: str) -> tuple:
        name = names.get(id)
        return -scores[id], name is None, (name or "").encode(), id.encode()

    return [(rank, id, names.get(id)) for rank, id in enumerate(sorted(scores, key=place)[:n], start=1)]


# ------------------------------------------------------------------------------------------------ history from listings


class History:
    """The full listings of one extract: what the last one at or before a point holds, or what the first one tells.

    ``rows``: one per listing and thing, of all accounts. ``key``: row -> the thing's identity, which begins with its
    account. ``counts``: (row, before) -> whether a listed thing counts; ``before`` is the point to reconstruct, None
    where the listing itself says.
    """

    def __init__(self, rows: list[Row], key, counts, admins: set[str]) -> None:
        self.listings: dict[datetime, list[Row]] = defaultdict(list)  # a listing of admin rows alone is one too
        for row in rows:
            self.listings[row["extracted_at"]].append(row)
        self.key, self.counts, self.admins = key, counts, admins

    def is_reconstructed(self, point: datetime) -> bool:
        """Whether no listing is as old as the point. [A30]"""
        return not any(listed_at <= point for listed_at in self.listings)

    def listing_of(self, point: datetime) -> datetime | None:
        """When the listing was taken that the point looks at: the last one until then, else the first one."""
        return max((t for t in self.listings if t <= point), default=min(self.listings, default=None))

    def at(self, point: datetime) -> dict[tuple, Row]:
        """What counts at the point, by identity; G13: nothing of the partner's own workspaces."""
        if not self.listings:
            return {}
        is_reconstructed = self.is_reconstructed(point)
        return {
            self.key(row): row
            for row in self.listings[self.listing_of(point)]
            if self.key(row)[0] not in self.admins and self.counts(row, point if is_reconstructed else None)
        }


def is_customer(row: Row, before: datetime | None) -> bool:
    """TAB-CUSTOMERS: whoever is listed, expired or not. Reconstructed: whoever was created before the point."""
    return before is None or row["created_at"] < before


def is_authenticated(row: Row, before: datetime | None) -> bool:
    """TAB-CONNECTIONS: status success. Reconstructed: and authorized before the point. [A31]"""
    if row["authorization_status"] != "success":
        return False
    return before is None or (row["authorized_at"] is not None and row["authorized_at"] < before)


def is_active(row: Row, before: datetime | None) -> bool:
    """TAB-RECIPES: running. Reconstructed: created before the point and running, or not stopped before it. [A32]"""
    if before is None:
        return row["running"]
    not_stopped = row["stopped_at"] is not None and row["stopped_at"] >= before
    return row["created_at"] < before and (row["running"] or not_stopped)


def trend(history: History, points: list[tuple[date, datetime, datetime]], columns: tuple[str, ...]) -> list[Row]:
    """A row per month: how many count, how many that did not a month before, how many that did and do no more. [A33]

    ``points``: (month, its point, the point before); ``columns`` names as many of the three figures as are wanted.
    """
    rows = []
    for month, point, point_before in points:
        now, before = history.at(point).keys(), history.at(point_before).keys()
        figures = (len(now), len(now - before), len(before - now))
        rows.append(
            {
                "usage_month": month,
                **dict(zip(columns, figures, strict=False)),
                "is_reconstructed": history.is_reconstructed(point),
            }
        )
    return rows


def status_of(row: Row | None, listing: datetime | None) -> str:
    """A customer's status by its newest row up to the listing looked at; what is not said is not so. [A44]"""
    if row is None:
        return "unlisted"
    if row["extracted_at"] != listing:
        return "deleted"
    return "expired" if row["subscription_expired"] else "trial" if row["in_trial"] else "active"


# -------------------------------------------------------------------------------------------------------- the whole tab


def add_tab(
    result,
    listed: dict[str, list[Row]],
    customers: dict[str, Row],
    recipes: dict[tuple[str, str], Row],
    recommended: dict[str, Row],
    executed: list[tuple[str, datetime]],
    apps,
    zone: ZoneInfo,
    admins: set[str],
) -> None:
    """Add the tab and the monthly tables around it to the result.

    ``listed``: customers, recipes and connections with one row per listing and id; ``customers`` and ``recipes``: the
    latest row of each; ``recommended``: one row per recipe id; ``executed``: (account, completed at) of finished jobs.
    """
    this_month = month_of(result.as_of)
    twelve_months_from = months_before(this_month, 11)  # the current, partial month is the last one
    as_of_point = end_of_day(result.as_of, zone)

    def point_of(month: date) -> datetime:
        """The month's end, or the as-of date's if that comes first. [A28]"""
        return min(end_of_day(next_month(month) - timedelta(days=1), zone), as_of_point)

    # G13: a connection or recipe counts whether a customer listing has its account or not [A34]
    people = History(listed["customers"], lambda r: (r["id"],), is_customer, admins)
    connections = History(listed["connections"], lambda r: (r["user_id"], r["id"]), is_authenticated, admins)
    running = History(listed["recipes"], lambda r: (r["user_id"], r["id"]), is_active, admins)  # [A35]

    # ---- TAB-CONNECTIONS, TAB-CUSTOMERS, TAB-RECIPES: from the first creation that any listing tells of [A29]
    created = [row["created_at"].astimezone(zone).date() for rows in listed.values() for row in rows]
    first_month = min([months_before(this_month, 5), *map(month_of, created)])
    points = [
        (month, point_of(month), point_of(months_before(month, 1))) for month in months_between(first_month, this_month)
    ]
    result.monthly_connections += trend(connections, points, ("connections",))
    result.monthly_customers += trend(people, points, ("customers", "new_customers", "deleted_customers"))
    result.monthly_active_recipes += trend(running, points, ("active_recipes", "recipes_started", "recipes_stopped"))
    result.connection_trends += result.monthly_connections[-6:]
    result.customer_trends += result.monthly_customers[-6:]
    result.active_recipe_trends += result.monthly_active_recipes[-6:]

    # ---- TAB-APPS: the connections of the trend's last point
    connections_now = connections.at(as_of_point)
    connections_of_app, accounts_of_app = Counter(), defaultdict(set)
    for (account, _), row in connections_now.items():
        app, _ = apps.of(row["provider"])
        if app is not None:  # without a provider it is a connection, of no app [A36]
            connections_of_app[app] += 1
            accounts_of_app[app].add(account)
    for rank, app, name in top(10, connections_of_app, {app: apps.name_of(app) for app in connections_of_app}):
        result.top_apps.append(
            {
                "rank": rank,
                "app": app,
                "app_name": name,
                "connections": connections_of_app[app],
                "customers": len(accounts_of_app[app]),
                "share": share_of(connections_of_app[app], len(connections_now)),
            }
        )

    # ---- TAB-CLONES: recipes of customers in any listing up to the as-of date, deleted since or not [A39, A40]
    clones = defaultdict(set)
    for row in listed["recipes"]:
        if row["extracted_at"] <= as_of_point and row["user_id"] not in admins and row["parent_id"] in recommended:
            clones[row["parent_id"]].add((row["user_id"], row["id"]))
    names = {id: row["name"] for id, row in recommended.items()}
    for rank, id, name in top(5, {id: len(found) for id, found in clones.items()}, names):
        result.top_recommended_recipes.append(
            {
                "rank": rank,
                "recipe_id": id,
                "recipe_name": name,
                "clones": len(clones[id]),
                "customers": len({account for account, _ in clones[id]}),
            }
        )

    # ---- usage by month; usage_by_capability ends with the as-of date [A41]
    tasks = Counter()  # (customer, month) -> tasks
    for row in result.usage_by_capability:
        if row["metric"] == "tasks":
            tasks[row["customer_id"], month_of(row["usage_date"])] += row["quantity"]

    # ---- TAB-TASKS
    for month in months_between(FIRST_TASKS_MONTH, this_month):
        of_month = [quantity for (_, usage_month), quantity in tasks.items() if usage_month == month]
        result.monthly_tasks.append(
            {"usage_month": month, "tasks": sum(of_month), "active_customers": len(of_month)}  # [A42]
        )

    # ---- TAB-TOP-CUSTOMERS: any account with tasks, listed or not [A46]
    tasks_of_year = Counter()
    for (customer, month), quantity in tasks.items():
        if month >= twelve_months_from:
            tasks_of_year[customer] += quantity
    for rank, customer, name in top(3, tasks_of_year, {id: row["name"] for id, row in customers.items()}):
        result.top_customers.append(
            {
                "rank": rank,
                "customer_id": customer,
                "customer_name": name,
                "tasks": tasks_of_year[customer],
                "months_from": twelve_months_from,
                "months_to": this_month,
            }
        )

    running_now = Counter(account for account, _ in running.at(as_of_point))
    last_job_at = {}
    for account, completed_at in executed:
        if completed_at.astimezone(zone).date() <= result.as_of:
            last_job_at[account] = max(completed_at, last_job_at.get(account, completed_at))

    failed, run = Counter(), Counter()  # jobs of twelve months
    for row in result.monthly_customer_usage:
        if twelve_months_from <= row["usage_month"] <= this_month:
            failed[row["customer_id"]] += row["jobs_failed"]
            run[row["customer_id"]] += row["jobs_failed"] + row["jobs_succeeded"]

    # ---- TAB-CUSTOMERS, "each opens its own detail": every account that was ever listed or used something [A43]
    known = {row["customer_id"] for row in result.monthly_customer_usage} | set(customers)
    known |= {row["user_id"] for extract in ("recipes", "connections") for row in listed[extract]}
    listing = people.listing_of(as_of_point)
    seen = {}  # customer -> its newest row up to the listing looked at
    for row in sorted(listed["customers"], key=lambda row: row["extracted_at"]):
        if row["extracted_at"] <= listing:
            seen[row["id"]] = row
    for customer in sorted(known - admins):
        own = [row for (account, _), row in connections_now.items() if account == customer]
        newest = customers.get(customer, {})  # [A46]
        result.customer_details.append(
            {
                "customer_id": customer,
                "external_id": newest.get("external_id"),
                "customer_name": newest.get("name"),
                "plan_id": newest.get("plan_id"),
                "status": status_of(seen.get(customer), listing),
                "created_at": in_utc(newest.get("created_at")),
                "connections": len(own),
                "active_recipes": running_now[customer],
                "apps": len({apps.of(row["provider"])[0] for row in own} - {None}),  # [A47]
                "tasks_last_12_months": tasks_of_year[customer],
                "tasks_this_month": tasks[customer, this_month],
                "failed_job_share_last_12_months": share_of(failed[customer], run[customer]),
                "last_job_at": in_utc(last_job_at.get(customer)),  # [A45]
            }
        )

    # ---- beside the tab: usage by app, environment and recipe
    by_app = defaultdict(Counter)
    for step in result.metered_steps:
        if step["account_id"] not in admins and step["usage_date"] and step["usage_date"] <= result.as_of:
            figures = by_app[month_of(step["usage_date"]), step["account_id"], step["app"]]
            figures["tasks"] += step["tasks"]
            if step["metric"] == "business_actions":
                figures["business_actions"] += step["quantity"]
    for (month, customer, app), figures in by_app.items():
        if any(figures.values()):
            result.monthly_app_usage.append(
                {
                    "usage_month": month,
                    "customer_id": customer,
                    "app": app,
                    "tasks": figures["tasks"],
                    "business_actions": figures["business_actions"],
                }
            )

    by_environment, by_recipe = defaultdict(Counter), defaultdict(Counter)
    for row in result.usage_by_capability:
        if row["metric"] in USAGE_METRICS:  # all but seats
            month, customer = month_of(row["usage_date"]), row["customer_id"]
            by_environment[month, customer, row["environment_type"]][row["metric"]] += row["quantity"]
            if row["recipe_id"] is not None:
                by_recipe[month, customer, row["recipe_id"]][row["metric"]] += row["quantity"]
    for (month, customer, environment), figures in by_environment.items():
        result.monthly_environment_usage.append(
            {
                "usage_month": month,
                "customer_id": customer,
                "environment_type": environment,
                **{metric: figures[metric] for metric in USAGE_METRICS},
            }
        )
    for (month, customer, recipe_id), figures in by_recipe.items():
        recipe = recipes.get((customer, recipe_id), {})
        result.monthly_recipe_usage.append(
            {
                "usage_month": month,
                "customer_id": customer,
                "recipe_id": recipe_id,
                "recipe_name": recipe.get("name"),  # [A49]
                "project_id": recipe.get("project_id"),
                "project_name": recipe.get("project_name"),
                **{metric: figures[metric] for metric in USAGE_METRICS},
            }
        )
