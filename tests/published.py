"""Small published databases: only what a scheduled run reads of one, with the figures that a test wants."""

from __future__ import annotations

from pathlib import Path

import duckdb


def write_published(
    path: Path,
    run_id: str,
    *,
    published_at: str = "2026-11-18 05:00:00",
    rows: tuple[int, int, int, int] = (100, 90, 7, 3),
    findings: dict[str, int] | None = None,
    quarantined: dict[str, int] | None = None,
    late: tuple[str, ...] = (),
    thresholds: tuple[tuple, ...] = (),
) -> None:
    """Write a database with one published run, as of 18 November 2026.

    ``rows``: read, used, repeated, quarantined. ``thresholds``: rows of marts.usage_thresholds without term_from.
    """
    path.unlink(missing_ok=True)
    findings = {"count missing": 2} if findings is None else findings
    quarantined = {"jobs": rows[3]} if quarantined is None else quarantined
    with duckdb.connect(str(path)) as database:
        database.execute(
            """
            create schema publication; create schema audit; create schema marts; create schema intake;
            create table publication.runs (
                run_id varchar, started_at timestamp, published_at timestamp, as_of_date date, rows_read bigint,
                rows_used bigint, rows_repeated bigint, rows_quarantined bigint
            );
            create table audit.findings (finding varchar);
            create table audit.extract_row_counts (extract_name varchar, rows_quarantined bigint);
            create table audit.extract_freshness (extract_name varchar, is_late boolean);
            create table marts.monthly_tasks (usage_month date, tasks bigint, active_customers bigint);
            create table marts.customer_details (customer_id varchar, customer_name varchar);
            create table marts.usage_thresholds (
                customer_id varchar, period_from date, account_id varchar, recipe_id varchar, threshold_kind varchar,
                threshold bigint, crossed_on date
            );
            create table intake.as_of as select date '2026-11-18' as as_of_date;
            insert into marts.monthly_tasks values ('2026-10-01', 137, 9), ('2026-11-01', 75, 8);
            insert into marts.customer_details values ('1008', 'Acme & <Sons>');
            """
        )
        values = [run_id, published_at, published_at, "2026-11-18", *rows]
        database.execute("insert into publication.runs values (?, ?, ?, ?, ?, ?, ?, ?)", values)
        for finding, count in findings.items():
            database.execute("insert into audit.findings select ? from range(?)", [finding, count])
        for extract, count in quarantined.items():
            database.execute("insert into audit.extract_row_counts values (?, ?)", [extract, count])
        for extract in ("customers", *late):
            database.execute("insert into audit.extract_freshness values (?, ?)", [extract, extract in late])
        for row in thresholds:
            database.execute("insert into marts.usage_thresholds values (?, ?, ?, ?, ?, ?, ?)", list(row))
