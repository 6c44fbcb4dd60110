"""Cuts a world that shows a difference down to the few rows that still show it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import combinations
from typing import Any

from . import reference
from .compiled import World

Rows = list[tuple[str, dict[str, Any]]]


AT_ONCE = 20  # worlds that are asked about in one go
QUESTIONS = 40  # how often is asked at most: minutes; a count, so that a slow machine finds what a fast one finds


def reduce(world: World, differing: Callable[[list[World]], list[bool]], questions: int = QUESTIONS) -> World:
    """The smallest world found with so many questions that still differs.

    ``differing`` says of each of up to AT_ONCE worlds whether it does. Accounts, extracts, jobs and rows are left out
    as long as the difference stays, then what optional columns hold.
    """
    asked = 0

    def first_that_holds(candidates: list[Rows]) -> Rows | None:
        """The first of them that still differs."""
        nonlocal asked
        for start in range(0, len(candidates), AT_ONCE):
            some = candidates[start : start + AT_ONCE]
            if asked == questions:
                return None
            asked += 1
            for rows, differs in zip(some, differing([as_world(rows) for rows in some]), strict=True):
                if differs:
                    return rows
        return None

    rows = [(extract, row) for extract, listed in world.items() for row in listed]
    size = None
    while size != len(rows):  # what could not be left out before may be by now
        size = len(rows)
        for grouped_by in (_account, _extract, _job, _row):
            rows = _leave_out(rows, grouped_by, first_that_holds)
    for position in range(len(rows)):
        rows = first_that_holds(_with_blanks(rows, position)) or rows
    return as_world(rows)


def as_world(rows: Rows) -> World:
    world: World = {}
    for extract, row in rows:
        world.setdefault(extract, []).append(row)
    return world


def of_account(world: World, account: str) -> World:
    """The rows of one account."""
    return as_world([(e, row) for e, rows in world.items() for row in rows if _account(e, row) == account])


def of_job(world: World, account: str, job_id: str) -> World:
    """The rows of one job."""
    return as_world([(e, row) for e, rows in world.items() for row in rows if _job(e, row) == (account, job_id)])


def size_of(world: World) -> int:
    """How many rows a world has."""
    return sum(map(len, world.values()))


def readable(world: World) -> str:
    """The world's rows as lines, without what is empty."""
    return "\n".join(
        f"  {extract}: " + ", ".join(f"{column}={value!r}" for column, value in row.items() if value not in (None, ""))
        for extract, rows in world.items()
        for row in rows
    )


def _account(extract: str, row: dict[str, Any]) -> Hashable:
    return row.get("account_id") or row.get("user_id") or (row.get("id") if extract == "customers" else None)


def _extract(extract: str, row: dict[str, Any]) -> Hashable:
    return extract


def _job(extract: str, row: dict[str, Any]) -> Hashable:
    if extract in ("jobs", "job_history"):
        return row.get("account_id"), row.get("id")
    return (row.get("account_id"), row.get("job_id")) if extract == "steps" else (extract, id(row))


def _row(extract: str, row: dict[str, Any]) -> Hashable:
    return id(row)


def _leave_out(
    rows: Rows, group_of: Callable[[str, dict], Hashable], first_that_holds: Callable[[list[Rows]], Rows | None]
) -> Rows:
    """Leave out as many groups of rows as can be, in ever smaller shares of them."""
    share = len({group_of(*row) for row in rows})
    while share > 1:
        share = -(-share // 4)
        shrunk = True
        while shrunk:
            groups = list(dict.fromkeys(group_of(*row) for row in rows))
            shares = [set(groups[start : start + share]) for start in range(0, len(groups), share)]
            # what is left when all but one share go, then when one goes
            candidates = [[row for row in rows if group_of(*row) in kept] for kept in shares]
            candidates += [[row for row in rows if group_of(*row) not in gone] for gone in shares]
            shrunk = first_that_holds([rest for rest in candidates if rest and len(rest) < len(rows)])
            rows = shrunk or rows
    return rows


def _with_blanks(rows: Rows, position: int) -> list[Rows]:
    """The rows with the optional columns of one emptied: all of them, all but one, but two, or one alone."""
    extract, row = rows[position]
    optional = [c.rstrip("?") for c in reference.EXTRACTS.get(extract, {}) if c.endswith("?")]
    filled = [column for column in optional if row.get(column) not in (None, "")]
    kept = [(), *combinations(filled, 1), *combinations(filled, 2)]
    emptied = [[column for column in filled if column not in some] for some in kept]
    emptied += [[column] for column in filled]
    return [
        [*rows[:position], (extract, row | dict.fromkeys(columns)), *rows[position + 1 :]]
        for columns in emptied
        if columns
    ]
