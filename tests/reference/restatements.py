"""Closed months and their restatements: which cause of a run changed a closed figure, from what to what.

Written from the contract alone (section 3, usage_closes and usage_restatements). The figures of every state are those
of ``reference.compute``, with the credits of contracts.py. Readings are marked [A<n>] and explained in README.md.

    figures = {month: close(before.result, month)}
    rows = restate(before, after, figures)
    assert as_restated(figures, rows) == {month: close(after.result, month)}
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from . import contracts, reference
from .contracts import Prices
from .measures import CREDITS_2025, TASKS_2024, Unit, Uses, all_uses, seat_uses, uses_by_terms, uses_by_unit
from .reference import APPS_CSV, Options, Result
from .tab import Row, month_of

World = dict[str, list[Row]]
Key = tuple[str, str, str | None]  # (customer, metric, call_type)
Figures = dict[Key, Decimal]  # of one month; zeros are left out
Closed = dict[date, Figures]  # by the first day of the month

# The causes in the contract's order.
REMOVED, REPLACED, LATE, LISTING = "removed_load", "replaced_delivery", "late_delivery", "listing_change"
TERM, RULE, OPTION, CODE = "seat_or_term_change", "rule_change", "option_change", "code_change"
CAUSES = (REMOVED, REPLACED, LATE, LISTING, TERM, RULE, OPTION, CODE)

# The extracts by the cause that their deliveries have. Streamed jobs are among jobs and steps. [A64]
UNITS = ("jobs", "steps", "api_requests", "event_stream_requests", "genie_prompts")
LISTINGS = ("recipes", "api_collections", "customers", "connections")
TERMS = ("seats", "subscriptions", "credit_ratios")

NONE = Decimal(0)
SCALE = Decimal("1e-9")  # DECIMAL(38, 9)
NEVER_DOUBTED = 365_000  # days: for rows that are known to be readable [A54]


@dataclass(frozen=True, eq=False)
class State:
    """What a run counted: all deliveries that it knew, under its options and its rule book. [A64]"""

    world: World
    options: Options = field(default_factory=Options)
    apps_csv: Path = APPS_CSV

    @cached_property
    def result(self) -> Result:
        return compute(self.world, self.options, self.apps_csv)


def compute(world: World, options: Options, apps_csv: Path = APPS_CSV) -> Result:
    """``reference.compute`` with credits, and without the tables about billing periods."""
    result = reference.compute(world, options, apps_csv)
    if result.as_of is not None:
        contracts.add_credits(result, uses_by_terms(result), Prices.of(result, options))
    return result


class Restatement(NamedTuple):
    """A row of usage_restatements, its run aside: a figure before and after one cause."""

    customer_id: str
    usage_month: date
    metric: str
    call_type: str | None
    cause: str
    retracted_quantity: Decimal
    restated_quantity: Decimal


# ------------------------------------------------------------------------------------------------------------- figures


def close(result: Result, month: date) -> Figures:
    """The figures of the month that begins on this day: sums, peaks of seats, credits. [A65]"""
    return figures_of(result.usage_by_capability, result.monthly_credits, month)


def close_of_uses(uses: Uses, prices: Prices, month: date) -> Figures:
    """The same of any uses, by these terms and ratios."""
    return figures_of(usage_of(uses), contracts.monthly_credits(uses, prices), month)


def usage_of(uses: Uses) -> list[Row]:
    """Rows of usage_by_capability, whatever is billed: tasks are those of task terms, the rest that of credits_2025."""
    return [use._asdict() for terms in (TASKS_2024, CREDITS_2025) for use in uses[terms]]


def figures_of(usage: Iterable[Row], credits: Iterable[Row], month: date) -> Figures:
    """Of rows of usage_by_capability and of monthly_credits."""
    of_month = [row for row in usage if month_of(row["usage_date"]) == month]
    figures = Counter()
    for row in of_month:
        if row["metric"] not in reference.SEAT_METRICS.values():
            figures[row["customer_id"], row["metric"], row["call_type"]] += Decimal(row["quantity"])
    for (customer, metric, _), (peak, _) in reference.seat_peaks(of_month).items():
        figures[customer, metric, None] = Decimal(peak)
    for row in credits:
        if row["usage_month"] == month and row["credits"] is not None:
            figures[row["customer_id"], "credits", None] += row["credits"]
    rounded = {key: quantity.quantize(SCALE, ROUND_HALF_UP) for key, quantity in figures.items()}
    return {key: quantity for key, quantity in rounded.items() if quantity}


def as_restated(closed: Closed, rows: Iterable[Restatement]) -> Closed:
    """Closed + restatements: the figures after these rows."""
    figures = {month: Counter(of_month) for month, of_month in closed.items()}
    for row in rows:
        change = row.restated_quantity - row.retracted_quantity
        figures[row.usage_month][row.customer_id, row.metric, row.call_type] += change
    return {month: {key: n for key, n in of_month.items() if n} for month, of_month in figures.items()}


# ------------------------------------------------------------------------------------------------------- restatements


def restate(before: State, after: State, figures_before: Closed) -> list[Restatement]:
    """What the run from one state to the next changes in the months of ``figures_before``.

    These are the closed months with their figures before the run: as closed, and as restated since.
    """
    # The as-of date is no option: it moves with the deliveries. [A70]
    options = replace(before.options, as_of_date=after.options.as_of_date)
    delivered = State(after.world, options, before.apps_csv)
    if between := without_new_listings(before.result, delivered):
        first = restate(before, between, figures_before)
        return in_one_run([*first, *restate(between, after, as_restated(figures_before, first))], figures_before)
    rows = []
    recorded = {month: defaultdict(Decimal, figures) for month, figures in figures_before.items()}

    def note(cause: str, changes: dict[tuple[date, Key], Decimal]) -> None:
        for month, key in sorted(changes, key=str):
            retracted = recorded[month][key]
            recorded[month][key] += changes[month, key]
            rows.append(Restatement(key[0], month, *key[1:], cause, retracted, recorded[month][key]))

    steps = list(states_between(before, delivered, after, figures_before))
    for (_, was), (cause, now) in pairwise(steps):
        note(cause, changes_between(was, now))
    note(CODE, changes_between(recorded, steps[-1][1]))  # what is left [A72]
    return rows


def changes_between(was: Closed, now: Closed) -> dict[tuple[date, Key], Decimal]:
    """(month, key) -> change, without zeros."""
    return {
        (month, key): change
        for month in was
        for key in was[month] | now[month]
        if (change := now[month].get(key, NONE) - was[month].get(key, NONE))
    }


def states_between(
    before: State, delivered: State, after: State, months: Iterable[date]
) -> Iterator[tuple[str, Closed]]:
    """(cause, the figures once it and all earlier causes are applied), in the contract's order; first those before.

    ``delivered``: all deliveries of the state after, under the options and rules of the one before.
    """
    old, new = before.result, delivered.result

    def with_new(*extracts: str) -> Result:
        """The new deliveries of these extracts, and of all others what is left of the old ones. [A69]"""
        left = {extract: kept(new.readable[extract], old.readable[extract]) for extract in (*UNITS, *LISTINGS, *TERMS)}
        known = left | {name: new.readable[name] for name in extracts}
        return reference.compute(known, as_known(delivered), before.apps_csv)

    def closed(result: Result) -> Closed:
        return {month: close(result, month) for month in months}

    prices, seats = Prices.of(old, before.options), seat_uses(old)

    def priced_as_before(units: Iterable[Uses]) -> Closed:
        uses = all_uses([*units, seats])
        return {month: close_of_uses(uses, prices, month) for month in months}

    yield "before", closed(old)
    for cause, units in uses_unit_by_unit(old, with_new(*UNITS), arrived(old, new)):
        yield cause, priced_as_before(units)
    # with it, units that only other units changed [A68]
    yield LISTING, priced_as_before(uses_by_unit(with_new(*UNITS, *LISTINGS)).values())
    yield TERM, closed(new)
    yield RULE, closed(compute(after.world, delivered.options, after.apps_csv))
    yield OPTION, closed(after.result)


def as_known(delivered: State) -> Options:
    """The options of the state, for a part of the rows that it could read."""
    as_of = delivered.result.as_of
    return replace(delivered.options, as_of_date=as_of and str(as_of), unconfirmed_after_days=NEVER_DOUBTED)


def without_new_listings(old: Result, delivered: State) -> State | None:
    """The state with what is left of the old listings and terms; None unless rows are gone and others arrive. [A69]"""
    new = delivered.result
    is_removed = any(
        len(kept(old.readable[name], new.readable[name])) < len(old.readable[name]) for name in old.readable
    )
    left = {name: kept(new.readable[name], old.readable[name]) for name in (*LISTINGS, *TERMS)}
    if not is_removed or all(len(rows) == len(new.readable[name]) for name, rows in left.items()):
        return None
    return State(left | {name: new.readable[name] for name in UNITS}, as_known(delivered), delivered.apps_csv)


def kept(rows: list[Row], others: list[Row]) -> list[Row]:
    """The rows that are among the others, too: delivered by the same load."""
    known = {as_delivered(row) for row in others}
    return [row for row in rows if as_delivered(row) in known]


def as_delivered(row: Row) -> str:
    return str(sorted(row.items(), key=str))


def in_one_run(rows: Iterable[Restatement], figures_before: Closed) -> list[Restatement]:
    """Restatements of several runs as those of one: a row of each cause, in the contract's order."""
    changes = Counter()
    for row in rows:
        key = (row.usage_month, (row.customer_id, row.metric, row.call_type))
        changes[CAUSES.index(row.cause), key] += row.restated_quantity - row.retracted_quantity
    recorded = {month: defaultdict(Decimal, figures) for month, figures in figures_before.items()}
    found = []
    for cause, (month, key) in sorted((key for key, change in changes.items() if change), key=str):
        retracted = recorded[month][key]
        recorded[month][key] += changes[cause, (month, key)]
        found.append(Restatement(key[0], month, *key[1:], CAUSES[cause], retracted, recorded[month][key]))
    return found


# --------------------------------------------------------------------------------------------------------------- units


def uses_unit_by_unit(old: Result, new: Result, arrived: set[Unit]) -> Iterator[tuple[str, list[Uses]]]:
    """(cause, the uses of units once it and the earlier ones are applied) of the causes by job or request. [A71]"""
    old_uses, new_uses = uses_by_unit(old), uses_by_unit(new)
    causes = causes_of_units(old, new, arrived)
    applied = set()
    for cause in (REMOVED, REPLACED, LATE):
        applied.add(cause)
        found = ((new_uses if causes[unit] in applied else old_uses).get(unit) for unit in causes)
        yield cause, [uses for uses in found if uses]


def causes_of_units(old: Result, new: Result, arrived: set[Unit]) -> dict[Unit, str]:
    """The one cause of whatever changed in a unit's usage. [A66] to [A70]"""
    was, now = contents(old.deliveries), contents(new.deliveries)
    old_uses, new_uses = uses_by_unit(old), uses_by_unit(new)

    def is_after(as_of: date, uses: Uses) -> bool:
        return any(use.usage_date > as_of for of_terms in uses.values() for use in of_terms)

    def cause_of(unit: Unit) -> str:
        if unit not in now:
            return REMOVED
        if unit not in was:
            return LATE
        if was[unit] != now[unit]:
            return REPLACED if unit in arrived else REMOVED
        if is_after(old.as_of, new_uses[unit]):
            return LATE
        if is_after(new.as_of, old_uses[unit]):
            return REMOVED
        return LISTING

    return {unit: cause_of(unit) for unit in was | now}


def contents(deliveries: dict[Unit, list[Row]]) -> dict[Unit, list[Row]]:
    """What the current deliveries say, whenever they were extracted. [A67]"""
    return {
        unit: [{column: value for column, value in row.items() if column != "extracted_at"} for row in rows]
        for unit, rows in deliveries.items()
    }


def arrived(old: Result, new: Result) -> set[Unit]:
    """The units of which a new load, or without loads a new row, delivers anything. [A69]"""
    found = set()
    for extract in UNITS:
        known = {as_delivered(row) for row in old.readable[extract]}
        for row in new.readable[extract]:
            if as_delivered(row) not in known:
                unit = reference.read_row(extract, row, UTC)  # of units no column depends on the zone
                is_of_job = extract in ("jobs", "steps")
                name = "jobs" if is_of_job else extract
                found.add((name, unit["account_id"], unit["job_id" if extract == "steps" else "id"]))
    return found
