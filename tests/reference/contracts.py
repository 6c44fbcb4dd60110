"""Contract terms: billing periods, their allowances, lines and thresholds, and the credits of months.

Written from section 9 of the counting rules and sections 2 and 3 of the contract alone. Readings are marked [A<n>] and
explained in README.md.

    result = compute(world, Options(default_terms="credits_2026"))
    result.billing_periods, result.contract_usage, result.usage_thresholds, result.high_volume_recipes
    result.monthly_credits  # the credits of monthly_customer_usage are their sums
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from . import reference
from .measures import (
    CREDITS_2025,
    LEVELS,
    TASKS_2024,
    Line,
    Ratios,
    Tiers,
    Use,
    Uses,
    exact_decimal,
    lines_of,
    peaks,
    places_of,
    rounded,
    shared_value,
    tasks_by_recipe,
    used_of,
    uses_by_terms,
)
from .reference import APPS_CSV, Options, Result
from .tab import Row, month_of
from .terms import DAY, POOL, Period, name_of, periods_of, term_in_force

PERCENTS = range(10, 201, 10)
SHARE_PLACES = 6  # [A88]
UsesByDay = dict[date, list[Use]]


def compute(
    world: dict, options: Options | None = None, tiers: Tiers | None = None, apps_csv: Path = APPS_CSV
) -> Result:
    """``reference.compute`` with contract terms: the tables about them, and credits.

    ``tiers``: the bounds of high-volume recipes.
    """
    options = options or Options()
    result = reference.compute(world, options, apps_csv)
    if result.as_of is not None:
        add_contracts(result, options, tiers or Tiers())
    return result


def add_contracts(result: Result, options: Options, tiers: Tiers) -> None:
    """Fill the tables about contracts, and the credits of monthly_customer_usage."""
    uses, prices = uses_by_terms(result), Prices.of(result, options)
    add_tables(result, uses, prices, options, tiers)
    add_credits(result, uses, prices)


@dataclass(frozen=True)
class Prices:
    """The terms and ratios of a run, by which usage is worth credits."""

    subscriptions: dict[str, list[Row]]  # by account
    ratios: Ratios
    default_terms: str

    @classmethod
    def of(cls, result: Result, options: Options) -> Prices:
        subscriptions = defaultdict(list)
        for row in result.subscriptions:
            subscriptions[row["account_id"]].append(row)
        return cls(dict(subscriptions), Ratios(result.credit_ratios), options.default_terms)

    def terms_on(self, customer: str, day: date) -> str:
        return name_of(term_in_force(self.subscriptions.get(customer, []), day), self.default_terms)


# ------------------------------------------------------------------------------------------------- one period's figures


@dataclass
class Consumption:
    """How far an allowance is used up; it starts anew with each period, or lasts for the whole subscription."""

    used: Fraction = Fraction(0)
    exceeded_on: date | None = None
    crossed: set[int] = field(default_factory=set)  # percents


@dataclass
class Book:
    """What the figures of a period need besides it. ``uses``: of the period, by day, up to the as-of date."""

    uses: UsesByDay
    ratios: Ratios
    options: Options
    tiers: Tiers
    as_of: date

    def lines(self, period: Period, last: date) -> list[Line]:
        """The lines as they are at the end of a day: later days are left out. C-LEVEL, C-HVR [A87]"""
        uses = [use for day in self.uses if day <= last for use in self.uses[day]]
        return lines_of(uses, period.customer_id, period.terms, self.ratios, period.share, self.tiers)


def crossings(period: Period, book: Book, consumption: Consumption) -> list[tuple[int, date]]:
    """(percent, first day at whose end it was reached) of the allowance; notes it in the consumption. [A85, A86]"""
    allowance, crossed = period.allowance(book.options), []
    if allowance is None:
        return []
    for day in sorted(book.uses):
        used = consumption.used + used_of(book.lines(period, day))
        if used > allowance and consumption.exceeded_on is None:
            consumption.exceeded_on = day
        for percent in PERCENTS:
            if allowance and percent not in consumption.crossed and used * 100 >= Fraction(allowance) * percent:
                consumption.crossed.add(percent)
                crossed.append((percent, day))
    return crossed


def recipe_crossings(period: Period, book: Book) -> list[tuple[tuple[str, str], int, date]]:
    """(recipe, number of tasks, first day at whose end it was reached); under tasks_2024 only. [A92]"""
    if not period.is_by_tasks:
        return []
    tasks, crossed = Counter(), []
    for day in sorted(book.uses):
        before, tasks = tasks, tasks + tasks_by_recipe(book.uses[day])
        for recipe in tasks.keys() - {None}:
            for threshold in {*book.tiers.thresholds, *book.tiers.bounds}:
                if before[recipe] < threshold <= tasks[recipe]:
                    crossed.append((recipe, threshold, day))
    return crossed


def add_period(result: Result, period: Period, book: Book, consumption: Consumption) -> None:
    """Add the rows of one period, and what it uses to the consumption of its allowance."""
    crossed = crossings(period, book, consumption)
    lines = book.lines(period, book.as_of)
    used = used_of(lines)
    consumption.used += used  # [A84]
    allowance = period.allowance(book.options)
    over = Fraction(0) if allowance is None else max(Fraction(0), consumption.used - Fraction(allowance))
    overage = min(used, over)
    price, currency = period.says("unit_price"), period.says("currency")
    places = 0 if currency is None else places_of(currency)

    def value(amount: Fraction) -> Decimal | None:
        return None if price is None else rounded(amount * Fraction(price), places)

    result.billing_periods.append(
        {
            "customer_id": period.customer_id,
            "term_from": period.says("effective_from"),
            "terms": period.terms,
            "cycle_from": period.cycle_from,
            "cycle_to": period.cycle_to,
            "period_from": period.period_from,
            "period_to": period.period_to,
            "measure": "tasks" if period.is_by_tasks else "credits",
            "used": exact_decimal(used),
            "allowance": allowance,
            "used_of_allowance": exact_decimal(consumption.used),
            "remaining": None if allowance is None else max(Decimal(0), allowance - exact_decimal(consumption.used)),
            "share_used": rounded(consumption.used / Fraction(allowance), SHARE_PLACES) if allowance else None,
            "overage": exact_decimal(overage),
            "unit_price": price,
            "currency": currency,
            "used_value": value(used),
            "overage_value": value(overage),
            "is_fully_priced": not any(line.is_unpriced for line in lines),
            "days_elapsed": (min(book.as_of + DAY, period.period_to) - period.period_from).days,
            "exceeded_on": consumption.exceeded_on,
        }
    )
    values = [None] * len(lines) if price is None else shared_value(value(used), lines, places)
    for line, line_value in zip(lines, values, strict=True):
        result.contract_usage.append(
            period.key()
            | {
                "metric": line.metric,
                "call_type": line.call_type,
                "quantity": line.quantity,
                "credits": None if line.credits is None else exact_decimal(line.credits),
                "is_unpriced": line.is_unpriced,
                "used_value": line_value,
            }
        )
    reached = [("allowance_percent", (None, None), percent, day) for percent, day in crossed]
    reached += [("recipe_tasks", recipe, threshold, day) for recipe, threshold, day in recipe_crossings(period, book)]
    for kind, (owner, recipe_id), threshold, day in reached:
        result.usage_thresholds.append(
            period.key()
            | {
                "account_id": owner,
                "recipe_id": recipe_id,
                "threshold_kind": kind,
                "threshold": threshold,
                "crossed_on": day,
            }
        )
    if period.is_by_tasks:
        tasks = tasks_by_recipe(use for uses in book.uses.values() for use in uses if use.recipe)
        for (owner, recipe_id), n in sorted(tasks.items()):
            if tier := book.tiers.of(n):
                result.high_volume_recipes.append(
                    period.key() | {"account_id": owner, "recipe_id": recipe_id, "tasks": n, "tier": tier}
                )


def add_tables(result: Result, uses: Uses, prices: Prices, options: Options, tiers: Tiers) -> None:
    """The four tables, of every customer with a month in monthly_customer_usage and of the pool."""
    first = {}
    for row in result.monthly_customer_usage:
        first[row["customer_id"]] = min(row["usage_month"], first.get(row["customer_id"], row["usage_month"]))
    if first:
        first[POOL] = min(first.values())
    by_customer = defaultdict(lambda: defaultdict(list))  # (terms, customer) -> day -> uses
    for terms, found in uses.items():
        for use in found:
            for customer in (use.customer_id, POOL):
                by_customer[terms, customer][use.usage_date].append(use)

    for customer in sorted(first):
        subscriptions = prices.subscriptions.get(customer, [])
        per_term = defaultdict(Consumption)  # by the subscription's first day
        for period in periods_of(customer, subscriptions, first[customer], result.as_of, options.default_terms):
            of_days = by_customer[period.terms, customer]
            in_period = {day: of_days[day] for day in of_days if period.period_from <= day < period.period_to}
            consumption = per_term[period.says("effective_from")] if period.is_per_term else Consumption()
            add_period(result, period, Book(in_period, prices.ratios, options, tiers, result.as_of), consumption)


# ------------------------------------------------------------------------------------------------------ calendar months


def monthly_credits(uses: Uses, prices: Prices) -> list[Row]:
    """What each calendar month bills, by the terms of each day; seats by the terms of the first day of their peak.

    All tasks are converted under task terms, those of high-volume recipes too. [A90, A91]
    """
    lines = {}  # (customer, month) -> {(metric, call_type): line}

    def bill(terms: str, use: Use) -> None:
        of_month = lines.setdefault((use.customer_id, month_of(use.usage_date)), {})
        line = of_month.setdefault((use.metric, use.call_type), Line(use.metric, use.call_type))
        ratio = prices.ratios.of(use.customer_id, terms, use.metric, use.call_type, use.usage_date)
        line.add(use.quantity, None if ratio is None else use.quantity * Fraction(ratio))

    levels = defaultdict(list)  # (customer, month) -> uses of levels
    for terms, found in uses.items():
        for use in found:
            if use.metric not in LEVELS and prices.terms_on(use.customer_id, use.usage_date) == terms:
                bill(terms, use)
            if use.metric in LEVELS and terms == CREDITS_2025:  # the same under all credit terms
                levels[use.customer_id, month_of(use.usage_date)].append(use)
    for (customer, _), found in levels.items():
        for metric, (peak, day) in peaks(found).items():
            if (terms := prices.terms_on(customer, day)) != TASKS_2024:
                bill(terms, Use(customer, day, metric, None, peak))
    return [
        {
            "usage_month": month,
            "customer_id": customer,
            "metric": line.metric,
            "call_type": line.call_type,
            "quantity": line.quantity,
            "credits": None if line.credits is None else exact_decimal(line.credits),
            "is_unpriced": line.is_unpriced and line.metric != "tasks",  # C-UNPRICED
        }
        for (customer, month), of_month in sorted(lines.items())
        for line in sorted(of_month.values(), key=lambda line: line.order)
    ]


def add_credits(result: Result, uses: Uses, prices: Prices) -> None:
    """monthly_credits; their sums are credits and is_fully_priced of monthly_customer_usage. [A24]"""
    result.monthly_credits = monthly_credits(uses, prices)
    billed = defaultdict(list)
    for row in result.monthly_credits:
        billed[row["customer_id"], row["usage_month"]].append(row)
    for row in result.monthly_customer_usage:
        lines = billed[row["customer_id"], row["usage_month"]]
        priced = [line["credits"] for line in lines if line["credits"] is not None]
        row["credits"] = None if lines and not priced else sum(priced, Decimal(0))
        row["is_fully_priced"] = not any(line["is_unpriced"] for line in lines)
