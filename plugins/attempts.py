"""Scheduled runs that did not succeed: WAREHOUSE_DIR/attempts.json, one JSON object per line, the oldest first.

    {"run_id", "started_at": UTC, "step": the current one, or the first that failed, "problem": a sentence, null while
    there is none, "is_published": whether the run published, "exit_code": null until it has ended, "log": its file}

A run writes its line when it starts, and removes it when everything has succeeded. So a line without a problem is of
the active run, or of one that was killed. The dashboard's page about the data shows the lines with a problem.

Decisions::

    docs/decisions/scheduled-run.md
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
from swapping import replace_text

Attempt = dict[str, Any]

COLUMNS = {
    "run_id": "varchar",
    "started_at": "timestamp",
    "step": "varchar",
    "problem": "varchar",
    "is_published": "boolean",
    "exit_code": "integer",
    "log": "varchar",
}
KEPT = 1000  # the newest


class AttemptsProblem(Exception):
    """The file cannot be read: a sentence that says what to do."""


def attempts_file(warehouse: Path) -> Path:
    """Where the attempts of a warehouse are."""
    return warehouse / "attempts.json"


def read_attempts(warehouse: Path) -> list[Attempt]:
    """The attempts, the oldest first. Raises AttemptsProblem."""
    path = attempts_file(warehouse)
    try:
        attempts = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        # another release may write other columns
        return [{"run_id": attempt["run_id"]} | {name: attempt.get(name) for name in COLUMNS} for attempt in attempts]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise AttemptsProblem(
            f"The list of failed runs {path} cannot be read. No figure depends on it: remove it, or restore it from a "
            "backup."
        ) from error


def write_attempts(warehouse: Path, attempts: list[Attempt]) -> None:
    """Replace the file in one step. Raises OSError."""
    lines = [json.dumps(attempt, ensure_ascii=False) + "\n" for attempt in attempts[-KEPT:]]
    replace_text(attempts_file(warehouse), "".join(lines))


def show_attempts(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> None:
    """Create the temporary table ``attempts`` of the attempts with a problem. Raises AttemptsProblem."""
    columns = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
    connection.execute(f"create or replace temp table attempts ({columns})")
    rows = [list(attempt.values()) for attempt in read_attempts(warehouse) if attempt["problem"]]
    if rows:
        places = ", ".join("?" for _ in COLUMNS)
        connection.executemany(f"insert into attempts values ({places})", rows)
