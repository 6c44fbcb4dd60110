"""Compacts the loads of a warehouse with old usage (make compact): texts go, figures stay.

    1. which loads    those whose newest usage is before the month that is KEEP_MONTHS months before the as-of month of
                      the published run
    2. the store      folder by folder (store.py), each completely or not at all
    3. publishing     a run computes everything from the stored deliveries and publishes it

A second call continues where the first one was interrupted. In between, every run works: it computes everything,
because other loads are compacted than those that it read before, and its figures are the same.

Decisions::

    docs/decisions/compaction.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from compacting import ERRORS, TEXT, Keeping, contract_columns
from conversion import Problem, literal, read_files
from erasing import unfinished
from progress import Progress, as_bytes, as_count
from publishing import finish_publishing, hold_warehouse, write_dashboard, writer_of
from recomputing import PROJECT, committed_inputs, given_as_of_date, recompute_and_publish, require_published_loads
from store import Store, compact_loads, is_compactable, open_store, require_checksums, require_known_loads

# The newest day with usage of each load, {load: day}; a quarantined row without a time of usage has that of its
# extraction. Usage of a job is that of its current delivery: one that arrived again later has its newest completion.
NEWEST_USAGE = """
with delivered as (
    select load_id, coalesce(jobs.usage_date, jobs.started_at::date, delivered.extracted_at::date) as usage_date
    from intake.delivered_jobs as delivered left join metering.metered_jobs as jobs using (job_hash)
    union all
    select load_id, coalesce(jobs.usage_date, jobs.started_at::date, delivered.newest_extracted_at::date)
    from intake.delivered_steps as delivered left join metering.metered_jobs as jobs using (job_hash)
    union all
    select load_id, coalesce(usage_date, extracted_at::date) from intake.delivered_requests
    union all
    select load_id, coalesce(
        try_cast(coalesce(
            content ->> 'completed_at', content ->> 'requested_at', content ->> 'sent_at', content ->> 'started_at'
        ) as timestamptz)::date,
        extracted_at::date
    )
    from (select *, case when json_valid(row_content) then row_content::json end as content from intake.rejected_rows)
    where extract_name in (
        'jobs', 'steps', 'job_history', 'job_history_lines', 'api_requests', 'event_stream_requests', 'genie_prompts'
    )
)
select load_id, max(usage_date) from delivered group by load_id
"""
# Ids of jobs whose deliveries with one extracted_at differ in an error, or those of a step do. A copy of a row in an
# older load may be compacted.
DIFFER = f"having count(distinct coalesce(error, '')) filter (error is distinct from {literal(TEXT)}) > 1"
CONTESTED_JOBS = f"""
select job_id from staging.repeated_jobs group by customer_id, job_id, extracted_at {DIFFER}
union
select job_id from staging.repeated_steps group by customer_id, job_id, line_index, extracted_at {DIFFER}
"""


@dataclass
class Compaction:
    """One compaction, with the options of the published run."""

    warehouse: Path
    months: int
    progress: Progress

    def run(self) -> list[str]:
        """Compact old loads; returns the lines to print. Raises Problem, DbtRuntimeError or OSError."""
        published, root = self.warehouse / "usage.duckdb", self.warehouse / "deliveries"
        (self.warehouse / "build").mkdir(exist_ok=True)
        hold_warehouse(self.warehouse / "build", "make compact")
        if problem := unfinished(self.warehouse):
            raise Problem(problem)
        said = finish_publishing(published)
        store = open_store(root)
        require_known_loads(store)
        require_published_loads(published, {load["id"]: load["load"] for load in store.loads})
        if writer := writer_of(published):
            raise Problem(f"Process {writer} has {published} open for writing: close it there, and try again.")
        inputs = committed_inputs(published)
        keep_from = first_kept_month(date.fromisoformat(inputs["as_of_date"]), self.months)
        with duckdb.connect(str(published), read_only=True) as database:
            database.execute("set TimeZone = 'UTC'")
            old = old_loads(store, dict(database.execute(NEWEST_USAGE).fetchall()), keep_from)
            contested = {job for (job,) in database.execute(CONTESTED_JOBS).fetchall()} if old else set()
            known = dict(database.execute("select load_id, compacted_at from run_state.compacted_loads").fetchall())
        notes = []
        if old:
            self.progress.line("Checking the stored deliveries")
            require_checksums(store, self.progress)
            contested_rows = {"jobs": contested, "api_requests": contested_requests(store)}
            keeping = Keeping(contract_columns(PROJECT), inputs["options"], contested_rows)
            self.progress.line(f"Compacting {loads_text(old)}")
            notes = compact_loads(root, set(old), keeping, self.progress)
        there = {load["load"]: load["compacted"]["at"] for load in open_store(root).loads if "compacted" in load}
        until = f"before {keep_from} ({self.months} months before the as-of date {inputs['as_of_date']})"
        if there == known:
            already = f" Loads compacted already: {len(there)}." if there else ""
            return [*said, f"Nothing to compact in {self.warehouse}: no other load has only usage {until}.{already}"]
        self._publish(inputs)
        return [*said, *describe(self.warehouse, notes, until), *self._write_dashboard()]

    def _publish(self, inputs: dict[str, Any]) -> None:
        self.progress.line("Computing everything from the compacted deliveries")
        as_of_date = given_as_of_date(inputs)
        failed = recompute_and_publish(self.warehouse, "make compact", inputs["options"], as_of_date)
        if failed:
            raise Problem(
                "\n".join(failed) + f"\nThe loads are compacted. {self.warehouse / 'usage.duckdb'} has the same "
                "figures, and still the texts, because the run that computes everything failed. Repair the cause; the "
                "next dbt build, or make compact again, publishes it."
            )

    def _write_dashboard(self) -> list[str]:
        if not (self.warehouse / "dashboard").exists():
            return []
        problem = write_dashboard(str(self.warehouse / "usage.duckdb"))
        return [f"The dashboard could not be written: {problem}"] if problem else []


def first_kept_month(as_of_date: date, months: int) -> date:
    """The first day of the oldest month that keeps its texts."""
    year, month = divmod(as_of_date.year * 12 + as_of_date.month - 1 - months, 12)
    return date(max(year, 1), month + 1, 1)


def old_loads(store: Store, newest: dict[int, date], keep_from: date) -> list[int]:
    """The loads to compact. One of which no usage is known, such as of superseded files, is as old as it is stored."""
    return [
        load["load"]
        for load in store.loads
        if is_compactable(load)
        and (newest.get(load["load"]) or date.fromisoformat(load["taken_in_at"][:10])) < keep_from
    ]


def contested_requests(store: Store) -> set[str]:
    """Ids of requests whose deliveries with one extracted_at differ in the error."""
    paths = [store.root / path for path, (extract, _) in store.stored_files().items() if extract == "api_requests"]
    if not paths:
        return set()
    error = ERRORS["api_requests"]
    rows = read_files(paths)[:-1] + ", union_by_name = true)"
    with duckdb.connect() as connection:
        query = (
            f"select id from (select id, account_id, extracted_at, {error} as error from {rows}) "
            "group by id, account_id, extracted_at having count(distinct coalesce(error, '')) > 1 and id is not null"
        )
        return {found for (found,) in connection.execute(query).fetchall()}


def loads_text(numbers: list[int]) -> str:
    """load 3, or 57 loads from 1 to 60."""
    if len(numbers) == 1:
        return f"load {numbers[0]}"
    return f"{len(numbers):,} loads from {min(numbers)} to {max(numbers)}"


def describe(warehouse: Path, notes: list[dict[str, Any]], until: str) -> list[str]:
    """What was compacted; without notes an earlier call did it."""
    if not notes:
        return [f"An earlier call compacted the loads of {warehouse}; now the result is published."]
    numbers = sorted(number for note in notes for number in note["loads"])
    rows: dict[str, int] = {}
    for note in notes:
        for name, count in note["rows"].items():
            rows[name] = rows.get(name, 0) + count
    counted = ", ".join(f"{name} {as_count(count)}" for name, count in sorted(rows.items()))
    before, after = (sum(note[key] for note in notes) for key in ("bytes_before", "bytes_after"))
    return [
        f"Compacted {loads_text(numbers)} of {warehouse}: their usage is {until}.",
        f"  Rows: {counted}. Stored: {as_bytes(before)} before, {as_bytes(after)} now.",
        "  Figures are the same. The texts of errors and other texts are gone; audit.findings says so.",
    ]
