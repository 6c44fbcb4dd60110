"""What a run changed: figures of the published warehouse, and the differences from the run before, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from swapping import replace_text

Facts = dict[str, Any]

_NEWEST_RUN = "from publication.runs order by published_at desc, started_at desc limit 1"
_ROWS = ("rows_read", "rows_used", "rows_repeated", "rows_quarantined")
_FINDINGS = "select finding, count(*) from audit.findings group by finding order by finding"
_QUARANTINED = """
    select extract_name, rows_quarantined from audit.extract_row_counts where rows_quarantined > 0 order by extract_name
"""
_LATE = "select extract_name from audit.extract_freshness where is_late order by extract_name"
_TASKS = """
    select strftime(usage_month, '%Y-%m') as usage_month, tasks, active_customers
    from marts.monthly_tasks order by usage_month desc limit 1
"""
# Thresholds of the last weeks. Of those of one allowance or recipe that are new, the highest is told.
_REACHED = """
    select
        thresholds.customer_id, names.customer_name, thresholds.period_from, thresholds.account_id,
        thresholds.recipe_id, thresholds.threshold_kind, thresholds.threshold, thresholds.crossed_on
    from marts.usage_thresholds as thresholds
    left join marts.customer_details as names
        on names.customer_id = coalesce(thresholds.account_id, thresholds.customer_id)
    where
        (thresholds.threshold_kind <> 'allowance_percent' or thresholds.threshold >= ?)
        and thresholds.crossed_on >= (select as_of_date - 35 from intake.as_of)
    order by all
"""


def published_run(warehouse: Path) -> str | None:
    """The id of the published run; None if nothing is published, or the file cannot be read."""
    with suppress(duckdb.Error), _opened(warehouse) as database:
        return (database.execute(f"select run_id {_NEWEST_RUN}").fetchone() or [None])[0]
    return None


def published_facts(warehouse: Path) -> Facts | None:
    """Figures of the published warehouse; None if nothing is published, or the file cannot be read."""
    with suppress(duckdb.Error), _opened(warehouse) as database:
        run_id, as_of_date, *rows = database.execute(
            f"select run_id, as_of_date, {', '.join(_ROWS)} {_NEWEST_RUN}"
        ).fetchone()
        tasks = database.execute(_TASKS)
        month = dict(zip([column[0] for column in tasks.description], tasks.fetchone() or (), strict=False))
        return {
            "run_id": run_id,
            "as_of_date": str(as_of_date),
            "rows": dict(zip(_ROWS, rows, strict=True)),
            "findings": dict(database.execute(_FINDINGS).fetchall()),
            "quarantined": dict(database.execute(_QUARANTINED).fetchall()),
            "current_month": month,
            "late_extracts": [name for (name,) in database.execute(_LATE).fetchall()],
        }
    return None


def reached_thresholds(warehouse: Path, usage_from: int) -> list[dict[str, Any]]:
    """The usage thresholds that were reached in the last 35 days: of allowances from ``usage_from`` percent on."""
    with suppress(duckdb.Error), _opened(warehouse) as database:
        found = database.execute(_REACHED, [usage_from])
        columns = [column[0] for column in found.description]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    return []


def _opened(warehouse: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(warehouse / "usage.duckdb"), read_only=True)


def changes(now: Facts, folder: Path) -> dict[str, Any] | None:
    """What differs from the last scheduled run that published, without what is equal; None without such a run."""
    if (last := _last_published(folder)) is None:
        return None
    before = last["published"]
    return {
        "since": last["run_id"],
        "as_of_date": [before["as_of_date"], now["as_of_date"]],
        **{name: _differences(now[name], before[name]) for name in ("rows", "findings", "quarantined")},
    }


def _differences(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    names = [*now, *(name for name in before if name not in now)]
    found = {name: now.get(name, 0) - before.get(name, 0) for name in names}
    return {name: difference for name, difference in found.items() if difference}


def _last_published(folder: Path) -> dict[str, Any] | None:
    """The summary of the last scheduled run that published; None if there is none that can be read."""
    for path in sorted(folder.glob("*Z*.json"), key=lambda path: path.stem, reverse=True):
        with suppress(OSError, ValueError, KeyError, TypeError):
            summary = json.loads(path.read_text(encoding="utf-8"))
            if summary["is_published"] and summary["published"]["rows"] is not None:
                return summary
    return None


def keep(summary: dict[str, Any], folder: Path) -> None:
    """Write the summary of a run, and a copy as latest.json. Raises OSError."""
    text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    for name in (summary["run_id"], "latest"):
        replace_text(folder / f"{name}.json", text)


def sentences(summary: dict[str, Any]) -> list[str]:
    """What was published, and what changed, for the log and for notifications."""
    now, told = summary["published"], []
    if now is None:
        return told
    rows = ", ".join(f"{count:,} {name.removeprefix('rows_')}" for name, count in now["rows"].items())
    findings = f"{sum(now['findings'].values()):,} findings"
    if summary["is_published"]:
        told.append(f"Published the figures as of {now['as_of_date']}. Rows: {rows}. {findings}.")
    else:
        told.append(f"Readers see the figures as of {now['as_of_date']}, as before.")
    if changed := summary["changes"]:
        rows = _signed(changed["rows"]) or "the same number of rows"
        findings = _signed(changed["findings"]) or "the same"
        told.append(f"Since the run {changed['since']}: {rows}; findings: {findings}.")
    if now["late_extracts"]:
        told.append(f"Late extracts: {', '.join(now['late_extracts'])}.")
    return told


def _signed(differences: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {difference:+,}" for name, difference in differences.items())
