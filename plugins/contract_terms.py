"""Checks the seeds of contracts in ``project/seeds/rules`` before a run uses them.

``terms_problems(project) -> text`` returns one sentence per error in ``terms.csv`` and ``recipe_tiers.csv``; an empty
text if there is none. The data tests of both seeds say the same after they were loaded, on Spark, too.

Decisions::

    docs/decisions/c-terms-as-rows.md
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

Row = dict[str, str]

# The words of each column of terms.csv; an empty text may stand where it is one of them.
TERMS = ("tasks_2024", "credits_2025", "credits_2026")
COUNTING_TASKS = ("tasks", "workflow_tasks")
METRICS = (
    *COUNTING_TASKS,
    "business_actions",
    "api_calls",
    "pages_processed",
    "events_processed",
    "mcp_calls",
    "genie_actions",
    "go_seats",
    "workflow_app_seats",
)
WORDS = {
    "terms": TERMS,
    "recipe_metric": ("tasks", "business_actions", ""),
    "measure": ("tasks", "credits"),
    "mcp_calls_count_as": ("mcp_call", "invoked_asset"),
    "metric": METRICS,
    "task_rules": ("T1", "T2", "T3", "task_terms", ""),
}
OF_ALL_ROWS = ("recipe_metric", "measure", "mcp_calls_count_as")


def terms_problems(project: str) -> str:
    """The errors in the seeds of contracts, one sentence per line; an empty text if there are none."""
    folder = Path(project, "seeds", "rules")
    return "\n".join(
        [
            *_problems(folder / "terms.csv", _problems_of_terms),
            *_problems(folder / "recipe_tiers.csv", _problems_of_tiers),
        ]
    )


def _problems(path: Path, check) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [{column: value or "" for column, value in row.items()} for row in csv.DictReader(file)]
    for number, problem in check(rows):
        yield f"{path}{f', row {number}' if number else ''}: {problem}."


def _problems_of_terms(rows: list[Row]) -> Iterator[tuple[int, str]]:
    seen: dict[str, dict[str, str]] = defaultdict(dict)
    for number, row in enumerate(rows, start=1):
        yield from ((number, problem) for problem in _unknown_words(row, WORDS))
        terms, metric = row.get("terms", ""), row.get("metric", "")
        if (metric in COUNTING_TASKS) != bool(row.get("task_rules")):
            yield number, f"task_rules belong to {' and '.join(COUNTING_TASKS)}, and to no other metric"
        if (metric == "tasks") != (row.get("measure") == "tasks"):
            yield number, "terms with the measure tasks bill tasks, and nothing else"
        if metric == "workflow_tasks" and row.get("mcp_calls_count_as") != "invoked_asset":
            yield (
                number,
                "terms with workflow_tasks bill what a call over MCP invoked: mcp_calls_count_as is invoked_asset",
            )
        if metric in seen[terms]:
            yield number, f"{terms} has {metric} twice"
        for column in OF_ALL_ROWS:
            if seen[terms].setdefault(column, row.get(column, "")) != row.get(column, ""):
                yield number, f"{terms} has another {column} in an earlier row"
        seen[terms][metric] = metric
    for terms in TERMS:
        if terms not in seen:
            yield 0, f"{terms} has no row"
    for recipe_metric in ("tasks", "business_actions"):
        named = [terms for terms in seen if seen[terms].get("recipe_metric") == recipe_metric]
        if len(named) != 1:
            yield 0, f"recipe_metric {recipe_metric} must stand for one of the terms, and stands for {len(named)}"


def _problems_of_tiers(rows: list[Row]) -> Iterator[tuple[int, str]]:
    last: dict[str, int] = {}
    tiers: dict[str, int] = defaultdict(int)
    for number, row in enumerate(rows, start=1):
        yield from ((number, problem) for problem in _unknown_words(row, {"terms": ("tasks_2024",)}))
        terms, bound = row.get("terms", ""), row.get("more_than_tasks", "")
        tiers[terms] += 1
        if row.get("tier") != str(tiers[terms]):
            yield number, f"tier is {row.get('tier') or 'empty'}: the tiers of {terms} are 1, 2, 3 in this order"
        if not re.fullmatch("[0-9]{1,12}", bound):
            yield number, f"more_than_tasks is {bound or 'empty'}: it must be a whole number"
        elif int(bound) <= last.get(terms, -1):
            yield number, f"more_than_tasks is {bound}, which is not more than that of the tier before"
        else:
            last[terms] = int(bound)
    if not rows:
        yield 0, "it has no tier"


def _unknown_words(row: Row, words: dict[str, tuple[str, ...]]) -> Iterator[str]:
    for column, known in words.items():
        value = row.get(column, "")
        if value not in known:
            said = f"{column} is {value}" if value else f"it has no {column}"
            yield f"{said}: it must be one of {', '.join(word for word in known if word)}"
