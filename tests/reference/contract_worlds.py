"""Random worlds with contract terms.

``random_contract_world(seed)`` is ``random_world(seed)`` with other subscriptions and more ratios. Terms overlap, leave
gaps, change within a cycle, end, and begin after the as-of date. Allowances are small, so that they are met, exceeded
and used up. ``SMALL_TIERS`` makes recipes of these worlds high-volume. The worlds can be merged, too.
"""

from __future__ import annotations

import random
from typing import Any

from .measures import TERMS, Tiers
from .terms import POOL
from .worlds import LISTINGS, Builder

SMALL_TIERS = Tiers(bounds=(4, 15, 30), thresholds=(1, 2, 3, 4, 5))

BEGINS = [
    "2019-01-01",
    "2023-05-31",
    "2024-01-31",
    "2024-02-10",
    "2024-02-29",
    "2024-03-01",
    "2024-03-15",
    "2024-04-01",
    "2024-04-17",
    "2024-04-30",
    "2024-05-05",
    "2024-05-20",
    "2024-05-31",
    "2024-06-01",
    "2024-06-12",
]
ENDS = [*BEGINS, "2024-06-30", "2025-01-01"]
CYCLE_DAYS = [None, 1, 15, 28, 29, 30, 31]
CREDITS = [None, "0", "0.5", 2, 5, "12.345", 40, "300.000001"]
TASKS = [None, 0, 1, 3, 8, 30]
PRICES = [(None, None), (None, "EUR"), ("0", "EUR"), ("1", "JPY"), ("0.333", "KWD"), ("1.005", "USD")]
PRICES += [("0.0049", "EUR"), ("149.995", "JPY"), ("2.00005", "CLF"), ("0.75", "XTS")]
DEFECTS = [
    {"terms": "credits_2027"},
    {"terms": None, "recipe_metric": None},
    {"included_credits": "-1"},
    {"task_limit": -5},
    {"task_limit": "few"},
    {"unit_price": "-0.5", "currency": "EUR"},
    {"unit_price": "1", "currency": None},
    {"billing_cycle_day": 0},
    {"billing_cycle_day": 32},
    {"billing_cycle_day": "last"},
    {"allowance_per": "year"},
    {"effective_from": "2024-03-02", "effective_to": "2024-03-01"},
    {"effective_from": None},
]
# Of all accounts: metric, call type, credits, from, to, account, terms. The same for all seeds.
RATIOS = [
    ("workflow_tasks", None, "0.8", "2019-01-01", "2024-05-10", None, None),
    ("workflow_tasks", None, "0.9", "2024-05-20", None, None, "credits_2026"),
    ("api_calls", "managed", "0.45", "2024-03-01", None, None, "credits_2026"),
    ("api_calls", None, "0.4", "2024-04-20", None, None, "credits_2025"),
    ("pages_processed", None, "2.5", "2024-04-15", None, None, "credits_2025"),
    ("go_seats", None, "7.777777", "2024-03-01", None, None, "credits_2026"),
    ("tasks", None, "0.1", "2024-02-01", "2024-04-10", None, "tasks_2024"),
    ("business_actions", None, "0.6", "2024-03-05", None, POOL, None),
    ("api_calls", None, "0.2", "2024-03-05", "2024-05-05", POOL, "credits_2026"),
    ("workflow_app_seats", None, "0.000001", "2024-02-01", None, POOL, None),
]
METRICS = [("business_actions", None), ("workflow_tasks", None), ("api_calls", None), ("api_calls", "managed")]
METRICS += [("api_calls", "proxy"), ("events_processed", None), ("genie_actions", None), ("mcp_calls", None)]
METRICS += [("go_seats", None), ("workflow_app_seats", None), ("tasks", None), ("pages_processed", None)]


class ContractBuilder(Builder):
    """Grows a world as Builder does, and then, with choices of its own, its contracts."""

    def __init__(self, seed: int, size: int):
        super().__init__(seed, size)
        self.contract_rng = random.Random(f"contract-{seed}")

    def build(self) -> dict[str, list[dict[str, Any]]]:
        super().build()
        self.rng = self.contract_rng
        kept = {account for account in self.accounts if self.chance(0.15)}  # those with recipe_metric alone
        terms = self.world["subscriptions"]
        terms[:] = [row for row in terms if row["account_id"] in kept]
        for account in [*self.accounts, *([POOL] * self.chance(0.7))]:
            if account not in kept and self.chance(0.9):
                for begin in self.rng.sample(BEGINS, self.rng.choice([1, 1, 2, 2, 3, 4])):
                    self.sign(account, begin)
            if account != POOL:
                self.price(account)
        if terms:
            bad = [dict(self.pick(terms)) | self.pick(DEFECTS) for _ in range(self.rng.choice([0, 1, 1, 2]))]
            terms += [row | {"account_id": self.pick([row["account_id"], "c1"])} for row in bad]
        terms += [dict(row) for row in terms if self.chance(0.04)]
        self.rng.shuffle(terms)
        for metric, call_type, credits, begin, end, account, of_terms in RATIOS:
            self.add_ratio(metric, call_type, credits, begin, end, account, of_terms)
        if self.chance(0.3):
            bad = {"account_id": "c1", "terms": "credits_2027"}
            self.world["credit_ratios"].append(dict(self.world["credit_ratios"][0]) | bad)
        return {name: rows for name, rows in self.world.items() if rows}

    def what_is_agreed(self) -> dict[str, Any]:
        """The columns of a subscription besides its account and its days."""
        terms = self.pick([*TERMS, None])
        recipe_metric = self.pick(["business_actions", "tasks"])
        price, currency = self.pick(PRICES)
        return {
            "recipe_metric": self.pick([None, recipe_metric]) if terms else recipe_metric,
            "terms": terms,
            "included_credits": self.pick(CREDITS),
            "task_limit": self.pick(TASKS),
            "allowance_per": self.pick([None, "cycle", "term", "term"]),
            "unit_price": price,
            "currency": currency,
            "billing_cycle_day": self.pick(CYCLE_DAYS),
        }

    def sign(self, account: str, begin: str) -> None:
        """A subscription from this day on: without a time, or in listings that may change or lose it."""
        later = [day for day in ENDS if day >= begin]
        ends = [None, None, self.pick(later), self.pick(later[:5])]
        days = {"effective_from": begin, "effective_to": self.pick(ends)}
        term = {"account_id": account} | self.what_is_agreed() | days
        if self.chance(0.5):
            self.world["subscriptions"].append(term)
            return
        corrections = [
            self.what_is_agreed(),
            {"included_credits": 5, "task_limit": 3},
            {"effective_to": None},
            {"effective_to": self.pick(later)},
            {"billing_cycle_day": self.pick(CYCLE_DAYS)},
            {"unit_price": "0.1", "currency": "BHD"},
        ]
        self.list_term("subscriptions", term, corrections)

    def price(self, account: str) -> None:
        """Ratios of one account, some of certain terms only."""
        for metric, call_type in self.rng.sample(METRICS, self.rng.choice([0, 0, 1, 3])):
            begin = self.pick(BEGINS)
            end = self.pick([None, None, self.pick([day for day in ENDS if day > begin])])
            credits = self.pick(["0", "0.25", "1", "3.333333"])
            self.add_ratio(metric, call_type, credits, begin, end, account, self.pick([None, *TERMS]))

    def add_ratio(self, metric, call_type, credits, begin, end, account, terms) -> None:
        listed = None
        if account not in (None, POOL) and self.chance(0.25):
            listed = self.pick(LISTINGS[1:3]).isoformat()  # those that other ratios have
        self.world["credit_ratios"].append(
            {
                "account_id": account,
                "terms": terms,
                "metric": metric,
                "call_type": call_type,
                "credits_per_unit": credits,
                "effective_from": begin,
                "effective_to": end,
                "extracted_at": listed,
            }
        )


def random_contract_world(seed: int, size: int = 20) -> dict[str, list[dict[str, Any]]]:
    """``random_world(seed, size)`` with contract terms."""
    return ContractBuilder(seed, size).build()
