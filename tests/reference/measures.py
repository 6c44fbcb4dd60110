"""Which measures the terms of a contract bill, and what they are worth (sections 7 and 9 of the counting rules).

    uses = uses_by_terms(result)
    lines = lines_of(uses["credits_2025"], "acme", "credits_2025", Ratios(rows), share=Fraction(1))

Credits are exact fractions until the one rounding that a rule names. Readings are marked [A<n>] and explained in
README.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from math import floor
from typing import NamedTuple

from . import reference
from .tab import Row

TASKS_2024, CREDITS_2025, CREDITS_2026 = TERMS = tuple(reference.TERMS.split("|"))
LEVELS = tuple(reference.SEAT_METRICS.values())
PAGES_AND_EVENTS = ("pages_processed", "events_processed")
CALLS = ("api_calls", "mcp_calls")
NOT_DONE = ("S-PENDING", "S-TEST", "S-CONTROL", "S-SKIPPED", "S-FAILED")  # rules of steps that have no task
CREDIT_PLACES = 9

# ISO 4217: currencies whose minor unit is not a hundredth. [A89]
MINOR_UNITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


@dataclass(frozen=True)
class Tiers:
    """High-volume recipes: the bounds of the tiers, and the numbers of tasks that are thresholds besides them."""

    bounds: tuple[int, ...] = (4_000_000, 15_000_000, 30_000_000)
    thresholds: tuple[int, ...] = (1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000)

    def of(self, tasks: int) -> int:
        """0: not high-volume. A bound itself belongs to the tier below it."""
        return sum(tasks > bound for bound in self.bounds)


# -------------------------------------------------------------------------------------------------------------- numbers


def rounded(exact: Fraction | Decimal | int, places: int) -> Decimal:
    """Half away from zero."""
    scaled = abs(Fraction(exact)) * 10**places
    units = floor(scaled + Fraction(1, 2))
    return Decimal(units if exact >= 0 else -units).scaleb(-places)


def exact_decimal(number: Fraction) -> Decimal:
    """The same number: it has finitely many decimals. Raises decimal.Inexact where it has not."""
    context = Context(prec=60, traps=[Inexact])
    return context.divide(Decimal(number.numerator), Decimal(number.denominator))


def places_of(currency: str) -> int:
    return MINOR_UNITS.get(currency, 2)


# ------------------------------------------------------------------------------------------------------- what is billed


class Use(NamedTuple):
    """What a customer used on one day. ``recipe``: (account, recipe id) of a recipe's tasks under tasks_2024."""

    customer_id: str
    usage_date: date
    metric: str
    call_type: str | None
    quantity: int
    recipe: tuple[str, str] | None = None


Uses = dict[str, list[Use]]  # by the terms that bill them
Unit = tuple[str, str, str]  # (extract, customer, id) of a job with its steps, a request, a publish or a prompt


def uses_by_terms(result: reference.Result) -> Uses:
    """All uses, from the decisions of ``reference.compute``: up to the as-of date, without admin accounts."""
    return all_uses([*uses_by_unit(result).values(), seat_uses(result)])


def all_uses(parts: Iterable[Uses]) -> Uses:
    found = {terms: [] for terms in TERMS}
    for part in parts:
        for terms in TERMS:
            found[terms] += part[terms]
    return found


def seat_uses(result: reference.Result) -> Uses:
    """A use for each product and day, under all credit terms."""
    uses = [
        Use(seat["customer_id"], seat["usage_date"], seat["metric"], None, seat["quantity"])
        for seat in result.metered_seats
        if is_used(seat, seat["metric"], seat["quantity"], result.as_of)
    ]
    return {TASKS_2024: [], CREDITS_2025: uses, CREDITS_2026: uses}


def is_used(row: Row, metric: str | None, quantity: int, as_of: date) -> bool:
    day = row["usage_date"]
    return bool(metric and quantity and not row["is_admin"] and day is not None and day <= as_of)


def uses_by_unit(result: reference.Result) -> dict[Unit, Uses]:
    """What each unit adds to the uses. Every unit of ``result.deliveries`` is there."""
    uses = {unit: {terms: [] for terms in TERMS} for unit in result.deliveries}

    def use(row: Row, terms: str, metric: str | None, call_type: str | None, quantity: int, recipe=None) -> None:
        if not is_used(row, metric, quantity, result.as_of):
            return
        customer = row["account_id"] if "account_id" in row else row["customer_id"]
        extract, name = (row["extract_name"], "request_id") if "request_id" in row else ("jobs", "job_id")
        used = Use(customer, row["usage_date"], metric, call_type, quantity, recipe)
        uses[extract, customer, row[name]][terms].append(used)

    for job in result.metered_jobs:
        use(job, CREDITS_2025, job["metric"], job["call_type"], job["quantity"])
        if job["metric"] in CALLS:  # C-MCP-ASSET: the call type follows the recipe type
            use(job, CREDITS_2026, "api_calls", reference.CALL_TYPES[job["recipe_type"]], job["quantity"])
    for step in result.metered_steps:
        use(step, TASKS_2024, "tasks", None, step["tasks"], (step["account_id"], step["recipe_id"]))
        use(step, CREDITS_2025, step["metric"], None, step["quantity"])
        if step["metric"] in PAGES_AND_EVENTS:  # C-WORKFLOW-TASK-ADDITIVE
            use(step, CREDITS_2026, step["metric"], None, step["quantity"])
        elif result.asset_contexts[step["account_id"], step["job_id"]] == "workflow":  # C-WORKFLOW-TASK
            use(step, CREDITS_2026, "workflow_tasks", None, newest_tasks(step))
    for request in result.metered_requests:
        use(request, TASKS_2024, "tasks", None, request["tasks"])  # T-PROXY: no recipe's [A78]
        use(request, CREDITS_2025, request["metric"], request["call_type"], request["quantity"])
        if request["metric"] in CALLS:  # C-MCP-ASSET: the call type is the request's
            (row,) = result.deliveries["api_requests", request["customer_id"], request["request_id"]]
            use(request, CREDITS_2026, "api_calls", row["request_type"], request["quantity"])
        else:
            use(request, CREDITS_2026, request["metric"], request["call_type"], request["quantity"])
    return uses


def newest_tasks(step: Row) -> int:
    """C-TASK-RULES: the tasks of the step under T3, whatever ``task_terms`` is. [A77]"""
    is_done = step["step_kind"] == "action" and step["rule_id"] not in NOT_DONE
    return int(is_done and step["usage_date"] >= reference.TASKS_START)


# --------------------------------------------------------------------------------------------------------------- ratios


class Ratios:
    """C-RATIO: credits per unit, by day."""

    def __init__(self, rows: Iterable[Row]):
        self.by_metric = defaultdict(list)
        for row in rows:
            self.by_metric[row["metric"]].append(row)
        self.known = {}

    def of(self, customer: str, terms: str, metric: str, call_type: str | None, day: date) -> Decimal | None:
        """None where no ratio is in force. Ratios for all accounts are of the partner's own contract, too. [A79]"""
        key = (customer, terms, metric, call_type, day)
        if key not in self.known:
            candidates = [
                row
                for row in self.by_metric[metric]
                if row["account_id"] in (None, customer)
                and row["terms"] in (None, terms)
                and row["call_type"] in (None, call_type)
                and row["effective_from"] <= day
                and (row["effective_to"] is None or day < row["effective_to"])
            ]
            best = max(candidates, key=how_specific, default=None)
            self.known[key] = None if best is None else best["credits_per_unit"]
        return self.known[key]


def how_specific(ratio: Row) -> tuple:
    """Of the account, then of the terms, then of the call type, then the one that began last."""
    named = (ratio[column] is not None for column in ("account_id", "terms", "call_type"))
    return (*named, ratio["effective_from"])


# ---------------------------------------------------------------------------------------------------------------- lines


@dataclass
class Line:
    """What is billed of one metric and call type. ``credits``: None where nothing is priced, or tasks are billed."""

    metric: str
    call_type: str | None
    quantity: int = 0
    credits: Fraction | None = None
    is_unpriced: bool = False

    def add(self, quantity: int, credits: Fraction | None) -> None:
        """Add a quantity that is worth so many credits; None: it has no ratio."""
        self.quantity += quantity
        if credits is None:
            self.is_unpriced = True
        else:
            self.credits = (self.credits or Fraction(0)) + credits

    @property
    def used(self) -> Fraction | None:
        """In credits or, under task terms, in tasks."""
        return Fraction(self.quantity) if self.metric == "tasks" else self.credits

    @property
    def order(self) -> tuple[bytes, bytes]:
        """Metric, then call type, empty first, in UTF-8 order."""
        return self.metric.encode(), (self.call_type or "").encode()


def lines_of(
    uses: Iterable[Use], customer: str, terms: str, ratios: Ratios, share: Fraction, tiers: Tiers | None = None
) -> list[Line]:
    """The lines of the uses of one period. ``share``: days of the period / days of its cycle, for seats (C-LEVEL)."""
    if terms == TASKS_2024:
        tasks = billed_tasks(uses, tiers or Tiers())
        return [Line("tasks", None, tasks)] if tasks else []
    lines, uses = {}, list(uses)
    for use in uses:
        if use.metric not in LEVELS:
            line = lines.setdefault((use.metric, use.call_type), Line(use.metric, use.call_type))
            ratio = ratios.of(customer, terms, use.metric, use.call_type, use.usage_date)
            line.add(use.quantity, None if ratio is None else use.quantity * Fraction(ratio))
    for metric, (peak, day) in peaks(uses).items():
        line = lines.setdefault((metric, None), Line(metric, None))
        ratio = ratios.of(customer, terms, metric, None, day)
        credits = None if ratio is None else Fraction(rounded(peak * Fraction(ratio) * share, CREDIT_PLACES))
        line.add(peak, credits)
    return sorted(lines.values(), key=lambda line: line.order)


def peaks(uses: Iterable[Use]) -> dict[str, tuple[int, date]]:
    """Level -> (its peak, the peak's first day): seats of a day are added up before the peak."""
    of_day = Counter()
    for use in uses:
        if use.metric in LEVELS:
            of_day[use.metric, use.usage_date] += use.quantity
    found = {}
    for (metric, day), quantity in sorted(of_day.items()):
        if metric not in found or quantity > found[metric][0]:
            found[metric] = (quantity, day)
    return found


def tasks_by_recipe(uses: Iterable[Use]) -> Counter:
    """(account, recipe id) -> tasks; None: those of requests, which are no recipe's."""
    tasks = Counter()
    for use in uses:
        tasks[use.recipe] += use.quantity
    return tasks


def billed_tasks(uses: Iterable[Use], tiers: Tiers) -> int:
    """C-HVR: none of the tasks of a high-volume recipe are billed."""
    return sum(n for recipe, n in tasks_by_recipe(uses).items() if recipe is None or not tiers.of(n))


def used_of(lines: Iterable[Line]) -> Fraction:
    """0 where nothing is priced."""
    return sum((line.used for line in lines if line.used is not None), Fraction(0))


def shared_value(value: Decimal, lines: Iterable[Line], places: int) -> list[Decimal | None]:
    """C-VALUE: the value of each line; they add up to the whole value. None: a line without credits. [A89]"""
    lines = list(lines)
    used, units = used_of(lines), Fraction(value) * 10**places
    exact = {
        n: units * line.used / used if used else Fraction(0) for n, line in enumerate(lines) if line.used is not None
    }
    found = {n: floor(share) for n, share in exact.items()}
    missing = int(units) - sum(found.values())
    by_fraction = sorted(exact, key=lambda n: (found[n] - exact[n], lines[n].order))
    for n in by_fraction[:missing]:
        found[n] += 1
    return [Decimal(found[n]).scaleb(-places) if n in found else None for n in range(len(lines))]
