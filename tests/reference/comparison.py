"""Compares a warehouse with what the reference makes of the same world, row by row and without tolerance."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from . import contracts

# relation -> the columns that identify a row in a report
RELATIONS = {
    "metering.metered_steps": ("account_id", "job_id", "line_index"),
    "metering.metered_jobs": ("customer_id", "job_id"),
    "metering.metered_requests": ("customer_id", "request_id"),
    "metering.metered_seats": ("customer_id", "usage_date", "product"),
    "marts.usage_by_capability": ("customer_id", "usage_date", "environment_type", "recipe_id", "metric", "call_type"),
    "marts.monthly_customer_usage": ("customer_id", "usage_month"),
    "marts.monthly_tasks": ("usage_month",),
    "marts.top_customers": ("rank",),
    "marts.monthly_connections": ("usage_month",),
    "marts.connection_trends": ("usage_month",),
    "marts.top_apps": ("rank",),
    "marts.monthly_customers": ("usage_month",),
    "marts.customer_trends": ("usage_month",),
    "marts.monthly_active_recipes": ("usage_month",),
    "marts.active_recipe_trends": ("usage_month",),
    "marts.top_recommended_recipes": ("rank",),
    "marts.customer_details": ("customer_id",),
    "marts.monthly_app_usage": ("usage_month", "customer_id", "app"),
    "marts.monthly_environment_usage": ("usage_month", "customer_id", "environment_type"),
    "marts.monthly_recipe_usage": ("usage_month", "customer_id", "recipe_id"),
    "marts.monthly_figures": ("customer_id", "usage_month", "metric", "call_type"),
    "marts.usage_reconciliation": ("customer_id", "usage_month", "metric", "cause", "is_exact"),
    "audit.job_reconciliation": ("customer_id", "job_id"),
    "marts.monthly_credits": ("customer_id", "usage_month", "metric", "call_type"),
    "marts.billing_periods": ("customer_id", "period_from"),
    "marts.contract_usage": ("customer_id", "period_from", "metric", "call_type"),
    "marts.usage_thresholds": (
        "customer_id",
        "period_from",
        "account_id",
        "recipe_id",
        "threshold_kind",
        "threshold",
    ),
    "marts.high_volume_recipes": ("customer_id", "period_from", "account_id", "recipe_id"),
}
# A relation that shows more than the reference speaks of: what is compared of it.
PARTS = {
    "marts.monthly_credits": (
        "(select * replace (billed_quantity as quantity) from marts.monthly_credits where billed_quantity > 0)"
    ),
}
QUARANTINE, FINDINGS, TOTALS = "audit.quarantined_rows", "audit.findings", "intake.delivery_totals"
COMPARED = (*RELATIONS, QUARANTINE, FINDINGS, TOTALS)
FLAGS = ("function without caller", "mixed calls", "call cycle", "count missing", "request without its job")


@dataclass(frozen=True)
class Difference:
    """One row, count or flag that the two sides don't agree on; of which account and job, where it is of one."""

    relation: str
    text: str
    account: str | None = None
    job_id: str | None = None

    def __str__(self):
        return f"{self.relation} {self.text}"


@dataclass
class Comparison:
    """How many rows were compared, and what differs."""

    rows: Counter = field(default_factory=Counter)
    columns: dict = field(default_factory=dict)  # relation -> those that the reference speaks of
    differences: list = field(default_factory=list)

    @property
    def decisions(self):
        """How many decision rows were compared."""
        return sum(n for relation, n in self.rows.items() if relation.startswith("metering."))

    def report(self, limit=20):
        """The first differences as text."""
        return "\n".join([f"{len(self.differences)} differences", *map(str, self.differences[:limit])])


def compare(connection, world, options, relations=COMPARED, result=None, tiers=None):
    """Compare every decision, figure, quarantined row and flag of the warehouse with the reference's.

    ``relations``: only these of COMPARED. ``result``: what contracts.compute computes, where that is known already;
    ``tiers``: the bounds of high-volume recipes in the warehouse.
    """
    result = result or contracts.compute(world, options, tiers)
    comparison = Comparison()
    for relation, key in RELATIONS.items():
        if relation in relations:
            expected = getattr(result, relation.split(".")[1])
            comparison.rows[relation] = len(expected)
            compare_rows(connection, relation, key, expected, world, comparison)
    if QUARANTINE in relations:
        compare_quarantine(connection, result, comparison)
    if FINDINGS in relations:
        compare_flags(connection, result, comparison)
    if TOTALS in relations:
        compare_ignored(connection, result, comparison)
    return comparison


def compare_rows(connection, relation, key, expected, world, comparison):
    """Add a difference for each row that only one side has; rows are compared as multisets, nulls as equal."""
    columns = comparison.columns[relation] = list(expected[0] if expected else key)
    quoted = ", ".join(f'"{column}"' for column in columns)
    found = Counter(connection.execute(f"select {quoted} from {PARTS.get(relation, relation)}").fetchall())
    wanted = Counter(tuple(row[column] for column in columns) for row in expected)

    def by_key(rows):
        return {tuple(row[columns.index(c)] for c in key): row for row in rows}

    missing, unexpected = by_key(wanted - found), by_key(found - wanted)
    for identity in sorted(missing.keys() | unexpected.keys(), key=str):
        ours, theirs = missing.get(identity), unexpected.get(identity)
        name = dict(zip(key, identity, strict=True))
        if ours and theirs:
            changed = {c: (a, b) for c, a, b in zip(columns, ours, theirs, strict=True) if a != b}
            text = f"{name}: (expected, found) {changed}"
        else:
            what = "is missing" if ours else "is unexpected"
            text = f"{name}: {what}: {dict(zip(columns, ours or theirs, strict=True))}"
        if "job_id" in key:
            text += "".join(input_of_job(world, *identity[:2]))
        account = name.get("account_id", name.get("customer_id"))
        comparison.differences.append(Difference(relation, text, account, name.get("job_id")))


def input_of_job(world, account, job_id):
    """The input rows of one job, as lines of a report."""
    for extract, column in (("jobs", "id"), ("job_history", "id"), ("steps", "job_id"), ("api_requests", "job_id")):
        for row in world.get(extract, []):
            if row.get("account_id") == account and row.get(column) == job_id:
                yield f"\n    {extract}: {json.dumps({k: v for k, v in row.items() if v is not None})}"


def compare_quarantine(connection, result, comparison):
    """As many rows of each extract must stand in the quarantine."""
    wanted = Counter(row["extract"] for row in result.quarantined)
    found = dict(
        connection.execute("select extract_name, count(*) from audit.quarantined_rows group by extract_name").fetchall()
    )
    comparison.rows[QUARANTINE] = wanted.total()
    for extract in sorted(wanted.keys() | found.keys()):
        if wanted[extract] != found.get(extract, 0):
            text = f"of {extract}: {wanted[extract]} expected, {found.get(extract, 0)} found"
            comparison.differences.append(Difference(QUARANTINE, text))


def compare_ignored(connection, result, comparison):
    """As many streamed events must be ignored."""
    (found,) = connection.execute(f"select coalesce(sum(rows_ignored), 0) from {TOTALS}").fetchone()
    comparison.rows[TOTALS] = 1
    if found != result.ignored:
        comparison.differences.append(Difference(TOTALS, f"ignored: {result.ignored} expected, {found} found"))


def compare_flags(connection, result, comparison):
    """What the rules call flagged must stand in the findings, about the same jobs and requests."""
    wanted = set(result.flags)
    found = set(
        connection.execute(
            "select distinct finding, customer_id, subject from audit.findings where list_contains(?, finding)",
            [list(FLAGS)],
        ).fetchall()
    )
    comparison.rows[FINDINGS] = len(wanted)
    for flags, what in ((wanted - found, "lacks"), (found - wanted, "has an unexpected")):
        comparison.differences += [Difference(FINDINGS, f"{what} {flag}", flag[1]) for flag in sorted(flags)]
