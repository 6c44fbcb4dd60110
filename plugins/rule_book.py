"""Checks the overrides of the rule book, a folder of files ``override_<table>.csv``, before a run uses them.

``override_problems(project, folder) -> text`` reads the published tables in ``project/seeds/rules`` and the overrides
in ``folder``, and returns one sentence per error; an empty text if there is none. An override has the columns of its
table and ``reason`` and ``author``; it replaces the published rows of its key between its dates. ``table_problems``
checks a file that replaces a whole table, for a what-if.

Decisions::

    docs/decisions/rule-book-overrides.md
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

Row = dict[str, str]

# The tables that can be overridden, with their keys. The others have no dates and no overrides.
KEYS = {
    "app_eligibility": ("adapter_name",),
    "operation_metrics": ("adapter_name", "adapter_operation"),
    "control_keywords": ("keyword",),
    "call_operations": ("adapter_name", "adapter_operation"),
    "recipe_types": ("trigger_adapter",),
    "proxy_operations": ("adapter_name", "adapter_operation"),
    "billing_contexts_by_recipe_type": ("recipe_type", "is_mcp"),
    "billing_contexts_by_call": ("caller_context", "call_mode"),
    "context_rules": ("billing_context",),
    "request_rules": ("extract_name", "request_type", "is_mcp"),
    "seat_rules": ("product",),
    "metrics": ("metric",),
    "task_rules": ("task_terms", "unit_kind"),
}
# An override may add a key to these tables. The other tables have a row for every possible key.
OPEN = {
    "app_eligibility",
    "operation_metrics",
    "control_keywords",
    "call_operations",
    "recipe_types",
    "proxy_operations",
}
# Columns with any value. Every other column accepts only words of published rows in a column of that name.
NAMES = {
    "adapter_name",
    "adapter_operation",
    "app_name",
    "keyword",
    "trigger_adapter",
    "trigger_operation",
    "unit",
    "source",
    "note",
}
ADDED = ("reason", "author")
OPEN_END = date.max


class RuleBook:
    """The published tables, and the accepted words of their columns."""

    def __init__(self, folder: Path) -> None:
        self.tables = {path.stem: _rows(path) for path in sorted(folder.glob("*.csv"))}
        self.headers = {path.stem: _header(path) for path in sorted(folder.glob("*.csv"))}
        self._words: dict[str, set[str]] = defaultdict(set)
        for table in KEYS:
            for row in self.tables[table]:
                for column, value in row.items():
                    self._words[column].add(value)
        self._decides = {row["rule_id"]: row["decides"] for row in self.tables["decision_rules"]}

    def words(self, table: str, column: str) -> set[str]:
        """The accepted words of a column of a table; with an empty text if a published row has no value."""
        own = {row[column] for row in self.tables[table]}
        if column != "rule_id":
            return {word for word in self._words[column] if word} | (own & {""})
        if table == "app_eligibility":
            return own
        decided = {self._decides[rule] for rule in own}
        return {rule for rule, decides in self._decides.items() if decides in decided}

    def is_without_value(self, table: str, column: str) -> bool:
        """Whether a published row of the table has no value in the column."""
        return column in ("effective_to", "source", "note") or any(not row[column] for row in self.tables[table])


def override_problems(project: str, folder: str) -> str:
    """The errors in the overrides in ``folder``, one sentence per line; an empty text if there are none."""
    book = RuleBook(Path(project, "seeds", "rules"))
    problems: list[str] = []
    found: dict[str, tuple[Path, list[Row]]] = {}
    for path in sorted(found for found in Path(folder).rglob("*") if found.suffix.lower() == ".csv"):
        table = path.stem.removeprefix("override_")
        if path.stem == table or table not in KEYS or path.suffix != ".csv":
            problems.append(f"{path}: its name must be override_<table>.csv, with one of the tables {', '.join(KEYS)}.")
            continue
        rows, problem = _rows_with(path, [*book.headers[table], *ADDED])
        if problem:
            problems.append(problem)
            continue
        found[table] = path, rows
    adapters = {row["adapter_name"] for row in book.tables["app_eligibility"]}
    adapters |= {row["adapter_name"] for row in found.get("app_eligibility", (None, []))[1]}
    for table, (path, rows) in found.items():
        periods: dict[tuple[str, ...], list[tuple[date, date]]] = defaultdict(list)
        for number, row in enumerate(rows, start=1):
            of_row = list(_problems_of_row(book, table, row, adapters))
            if not of_row:
                key = tuple(row[column] for column in KEYS[table])
                first, last = _day(row["effective_from"]), _day(row["effective_to"]) or OPEN_END
                if any(first < other_last and other_first < last for other_first, other_last in periods[key]):
                    of_row.append(f"another row of {' '.join(key)} is in force on some of its days")
                periods[key].append((first, last))
            problems += [f"{path}, row {number}: {problem}." for problem in of_row]
    return "\n".join(problems)


def table_problems(book: RuleBook, path: Path) -> list[str]:
    """The errors in a file that replaces a published table of its name, one sentence each.

    It has the columns of the table, and rows for all days on which the published rows of a key are in force. Only an
    open table may have other keys.
    """
    table = path.stem
    rows, problem = _rows_with(path, book.headers[table])
    if problem or table not in KEYS:
        return [problem] if problem else []
    adapters = {row["adapter_name"] for row in (rows if table == "app_eligibility" else book.tables["app_eligibility"])}
    problems = []
    for number, row in enumerate(rows, start=1):
        for problem in _problems_of_row(book, table, row, adapters, added=()):
            problems.append(f"{path}, row {number}: {problem}.")
    return problems or [f"{path}: {problem}." for problem in _problems_of_days(book.tables[table], table, rows)]


def _problems_of_days(published: list[Row], table: str, rows: list[Row]) -> Iterator[str]:
    wanted, found = _days_by_key(published, table), _days_by_key(rows, table)
    for key, days in found.items():
        name = " ".join(filter(None, key))
        for (_, last), (first, _) in pairwise(sorted(days)):
            if first < last:
                yield f"two rows of {name} are in force on {first}"
        for first, last in wanted.get(key, ()):
            if gap := _first_gap(first, last, days):
                yield f"no row of {name} is in force on {gap}: its dates have a gap"
    if table not in OPEN:
        for key in sorted(wanted.keys() - found.keys()):
            yield f"it has no row of {' '.join(filter(None, key))}"


def _days_by_key(rows: list[Row], table: str) -> dict[tuple[str, ...], list[tuple[date, date]]]:
    found = defaultdict(list)
    for row in rows:
        key = tuple(row[column] for column in KEYS[table])
        found[key].append((_day(row["effective_from"]), _day(row["effective_to"]) or OPEN_END))
    return found


def _first_gap(first: date, last: date, days: list[tuple[date, date]]) -> date | None:
    """The first day from ``first`` until before ``last`` that is in none of the intervals."""
    for begin, end in sorted(days):
        if begin <= first < end:
            first = end
    return first if first < last else None


def _problems_of_row(
    book: RuleBook, table: str, row: Row, adapters: set[str], added: tuple[str, ...] = ADDED
) -> Iterator[str]:
    if len(row) > len(book.headers[table]) + len(added):
        yield "it has more values than columns: put a value that contains a comma in quotes"
    for column in added:
        if not row[column].strip():
            yield f"it has no {column}"
    for column in book.headers[table]:
        value = row[column]
        if not value:
            if not book.is_without_value(table, column):
                yield f"it has no {column}"
        elif value != value.strip():
            yield f"{column} has blanks around {value.strip()}"
        elif column in ("effective_from", "effective_to"):
            if not _day(value):
                yield f"{column} is {value}: it must be a date, YYYY-MM-DD"
            elif value == OPEN_END.isoformat():
                yield f"{column} is {value}: leave it empty if the row has no end"
        elif column == "tasks":
            if not re.fullmatch("[0-9]{1,9}", value):
                yield f"tasks is {value}: it must be a whole number"
        elif column == "app":
            if value not in adapters:
                yield f"app is {value}, which app_eligibility does not list as an adapter_name"
        elif column not in NAMES and value not in (words := book.words(table, column)):
            yield f"{column} is {value}: it must be one of {', '.join(sorted(words - {''}))}"
    first, last = _day(row["effective_from"]), _day(row["effective_to"])
    if first and last and last <= first:
        yield f"it ends on {last}, and begins on {first}"
    key = [row[column] for column in KEYS[table]]
    known = [[published[column] for column in KEYS[table]] for published in book.tables[table]]
    if key not in known:
        if table not in OPEN:
            yield f"{table} has no {' '.join(key)}{' to override' if added else ''}"
        for other in known:
            if [word.lower() for word in key] == other:
                yield f"{' '.join(key)} has another letter case in {table}: {' '.join(other)}"
    if table == "billing_contexts_by_call" and row["call_mode"] == "async" and row["billing_context"] != "workflow":
        yield "an asynchronous call is a workflow, whatever the caller"


def _rows_with(path: Path, columns: list[str]) -> tuple[list[Row], str]:
    """The rows of a file that has these columns, and an empty text; no row and a sentence if it has others."""
    try:
        header, rows = _header(path), _rows(path)
    except UnicodeDecodeError:
        return [], f"{path}: it is not UTF-8."
    if sorted(header) != sorted(columns):
        return [], f"{path}: its columns are {', '.join(header)}; they must be {', '.join(columns)}."
    return rows, ""


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])


def _rows(path: Path) -> list[Row]:
    """The rows; a missing value is an empty text, values beyond the columns have the key None."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{column: value or "" for column, value in row.items()} for row in csv.DictReader(file)]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else None
    except ValueError:
        return None
