"""Which terms are in force on a day, and the billing periods that they make (section 9: C-TERM, C-CYCLE, C-PERIOD).

    for period in periods_of("acme", subscriptions, date(2026, 1, 1), date(2026, 3, 31), "credits_2025"):
        print(period.period_from, period.period_to, period.terms)

Subscriptions are rows as ``reference.terms_in_force`` leaves them. Ends are exclusive. Readings are marked [A<n>] and
explained in README.md.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from .measures import CREDIT_PLACES, TASKS_2024, rounded
from .reference import Options
from .tab import Row, month_of, next_month

POOL = "*"  # C-POOL: the account of the partner's own contract
DAY = timedelta(days=1)
TERMS_OF_RECIPE_METRIC = {"tasks": "tasks_2024", "business_actions": "credits_2025"}


def term_in_force(terms: Iterable[Row], day: date) -> Row | None:
    """C-TERM: of overlapping ones the one that began last; an older one resumes when the newer ends first. [A73]"""
    current = [
        t for t in terms if t["effective_from"] <= day and (t["effective_to"] is None or day < t["effective_to"])
    ]
    return max(current, key=lambda term: term["effective_from"], default=None)


def name_of(term: Row | None, default: str) -> str:
    """tasks_2024, credits_2025 or credits_2026. C-TERM: ``terms`` wins over ``recipe_metric``."""
    return default if term is None else term["terms"] or TERMS_OF_RECIPE_METRIC[term["recipe_metric"]]


def cycle_of(day: date, cycle_day: int) -> tuple[date, date]:
    """C-CYCLE: the cycle with this day; 29 to 31 is the month's last day where it is shorter."""

    def begin(month: date) -> date:
        return month.replace(day=min(cycle_day, monthrange(month.year, month.month)[1]))

    this = month_of(day)
    if day >= begin(this):
        return begin(this), begin(next_month(this))
    return begin(month_of(this - DAY)), begin(this)


@dataclass(frozen=True, eq=False)
class Period:
    """C-PERIOD: a cycle, or the unbroken part of it in which one subscription, or the default, is in force."""

    customer_id: str
    term: Row | None
    terms: str
    cycle_from: date
    cycle_to: date
    period_from: date
    period_to: date

    @property
    def is_by_tasks(self) -> bool:
        return self.terms == TASKS_2024

    @property
    def share(self) -> Fraction:
        """Days of the period / days of its cycle."""
        return Fraction((self.period_to - self.period_from).days, (self.cycle_to - self.cycle_from).days)

    @property
    def is_per_term(self) -> bool:
        """Whether the allowance is for the whole subscription."""
        return self.term is not None and self.term["allowance_per"] == "term"

    def says(self, column: str) -> Decimal | str | date | None:
        """The column of the subscription; the default terms say nothing."""
        return None if self.term is None else self.term[column]

    def allowance(self, options: Options) -> Decimal | None:
        """C-ALLOWANCE, C-PRORATE. [A83]"""
        whole = self.says("task_limit" if self.is_by_tasks else "included_credits")
        if whole is None or self.is_per_term or not options.prorate_allowances:
            return whole
        return rounded(Fraction(whole) * self.share, 0 if self.is_by_tasks else CREDIT_PLACES)

    def key(self) -> Row:
        """What identifies the period in every table."""
        return {
            "customer_id": self.customer_id,
            "term_from": self.says("effective_from"),
            "period_from": self.period_from,
        }


def periods_of(customer: str, terms: Iterable[Row], first: date, last: date, default: str) -> Iterator[Period]:
    """The periods from the one with the first of these days to the one with the last. [A80, A81, A82]

    C-POOL: where no subscription of ``*`` is in force, the pool has no period.
    """
    terms = list(terms)
    day = first
    while day <= last:
        term = term_in_force(terms, day)
        if term is None and customer == POOL:
            day += DAY
            continue
        cycle_from, cycle_to = cycle_of(day, (term and term["billing_cycle_day"]) or 1)
        period_from = period_to = day
        while period_from > cycle_from and term_in_force(terms, period_from - DAY) is term:
            period_from -= DAY
        while period_to < cycle_to and term_in_force(terms, period_to) is term:
            period_to += DAY
        yield Period(customer, term, name_of(term, default), cycle_from, cycle_to, period_from, period_to)
        day = period_to
