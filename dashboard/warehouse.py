"""What the dashboard reads: the published warehouse, read-only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

Row = dict[str, Any]

# How many customers are read, and held in memory, at a time.
BATCH = 100


@dataclass
class Table:
    """Columns and rows as the warehouse has them."""

    columns: list[str]
    rows: list[tuple]

    def __iter__(self) -> Iterator[Row]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class NoWarehouse(Exception):
    """There is no published warehouse where one was looked for; the message says where and what to do."""


# What became of each unit of work, by recipe. Steps are added up by the numbers that stand for their words
# (metered_steps would join the words to each step first); two jobs of each sum are its examples.
_DECISIONS = """
create temp table decisions as

with

steps as (
    select
        recipe_hash, ruling_hash, cast(date_trunc('month', usage_date) as date) as usage_month,
        count(*) as steps, sum(quantity) as quantity, min(job_hash) as first_job, max(job_hash) as last_job
    from staging.metered_step_keys
    where usage_date is not null and recipe_hash in (select recipe_hash from recipes_asked)
    group by all
),

named as (
    select
        recipes_asked.customer_id, recipes_asked.recipe_id, steps.* exclude (recipe_hash, ruling_hash),
        rulings.rule_id, rulings.metric, rulings.task_rule_id, rulings.tasks, rulings.is_default_applied
    from steps
    inner join recipes_asked using (recipe_hash)
    inner join staging.step_rulings as rulings using (ruling_hash)
),

step_units as (
    select
        'steps' as units, customer_id, usage_month, metric, rule_id, recipe_id,
        sum(steps) as decided, sum(quantity) as quantity, min(first_job) as first_job, max(last_job) as last_job
    from named
    group by all
    union all
    select
        'steps, as tasks', customer_id, usage_month, 'tasks', task_rule_id, recipe_id,
        sum(steps), sum(steps * tasks), min(first_job), max(last_job)
    from named
    group by all
),

other_units as (
    select
        'jobs' as units, customer_id, cast(date_trunc('month', usage_date) as date) as usage_month, metric, rule_id,
        recipe_id, count(*) as decided, sum(quantity) as quantity, min(job_id) as example, max(job_id) as other_example
    from metering.metered_jobs
    where usage_date is not null and customer_id in (select customer_id from asked)
    group by all
    union all
    select
        'requests', customer_id, cast(date_trunc('month', usage_date) as date), metric, rule_id,
        recipe_id, count(*), sum(quantity), min(request_id), max(request_id)
    from metering.metered_requests
    where usage_date is not null and customer_id in (select customer_id from asked)
    group by all
    union all
    select
        'requests, as tasks', customer_id, cast(date_trunc('month', usage_date) as date), 'tasks', task_rule_id,
        recipe_id, count(*), sum(tasks), min(request_id), max(request_id)
    from metering.metered_requests
    where usage_date is not null and task_rule_id is not null and customer_id in (select customer_id from asked)
    group by all
    union all
    -- seats are a level: their month is the peak
    select
        'days of seats', customer_id, cast(date_trunc('month', usage_date) as date), metric, rule_id,
        null, count(*), max(quantity), null, null
    from metering.metered_seats
    where customer_id in (select customer_id from asked)
    group by all
),

units as (
    select
        step_units.* exclude (first_job, last_job), first_jobs.job_id as example, last_jobs.job_id as other_example
    from step_units
    left join metering.metered_jobs as first_jobs on step_units.first_job = first_jobs.job_hash
    left join metering.metered_jobs as last_jobs on step_units.last_job = last_jobs.job_hash
    union all
    select * from other_units
)

select
    units.customer_id, units.usage_month, units.units, units.metric, units.rule_id,
    rules.rule, rules.source, rules.basis,
    units.recipe_id, recipes.recipe_name, cast(units.decided as bigint) as decided,
    cast(units.quantity as bigint) as quantity, units.example,
    nullif(units.other_example, units.example) as other_example
from units
inner join rules.decision_rules as rules using (rule_id)
left join recipe_names as recipes on units.customer_id = recipes.customer_id and units.recipe_id = recipes.recipe_id
where units.usage_month <= (select max(usage_month) from marts.months)
order by
    units.customer_id, units.usage_month, units.units in ('steps, as tasks', 'requests, as tasks'),
    units.metric nulls last, units.units, rules.decision_order, units.rule_id,
    units.quantity desc, units.decided desc, units.recipe_id nulls last
"""

# By customer: each query's first column is the customer's id, by which it is in order.
_OF_CUSTOMERS = {
    "usage": """
        select * exclude (customer_id, external_id, customer_name, plan_id)
        from marts.monthly_customer_usage where {asked} order by customer_id, usage_month
    """,
    "credits": """
        select * exclude (customer_id) from marts.monthly_credits
        where {asked} order by customer_id, usage_month, metric, call_type nulls first
    """,
    "apps": """
        select * exclude (customer_id) from marts.monthly_app_usage
        where {asked} order by customer_id, usage_month, tasks desc, business_actions desc, app_name, app
    """,
    "recipes": """
        select * exclude (customer_id) from marts.monthly_recipe_usage
        where {asked} order by customer_id, usage_month, tasks desc, recipe_name nulls last, recipe_id nulls last
    """,
    "active_recipes": """
        select * exclude (customer_id) from marts.monthly_customer_recipes
        where {asked} order by customer_id, usage_month
    """,
    "app_connections": """
        select * exclude (customer_id) from marts.monthly_app_connections
        where {asked} order by customer_id, usage_month, connections desc, app_name nulls last, app nulls last
    """,
    "connections": """
        select
            connection_id, connection_name, history.adapter_name, names.app_name, authorization_status, authorized_at,
            created_at, valid_to is null as is_listed, valid_from, valid_to
        from marts.connection_history as history
        left join app_names as names on history.adapter_name = names.adapter_name
        where {asked}
        qualify row_number() over (partition by customer_id, connection_id order by valid_from desc) = 1
        order by customer_id, valid_to is not null, history.adapter_name nulls last, connection_id
    """,
    "terms": """
        select * exclude (customer_id) from staging.stg_subscriptions where {asked} order by customer_id, effective_from
    """,
    "decisions": "select * exclude (customer_id) from decisions where {asked} order by rowid",
    "rule_apps": """
        select
            usage_month, rule_id, metric, rule_usage.app, coalesce(names.app_name, rule_usage.app) as app_name,
            cast(sum(steps) as bigint) as steps
        from marts.monthly_rule_usage as rule_usage
        left join app_names as names on rule_usage.app = names.adapter_name
        where usage_month is not null and rule_usage.app is not null and {asked}
        group by customer_id, usage_month, rule_id, metric, rule_usage.app, names.app_name
        order by customer_id, usage_month, rule_id, metric, steps desc, app_name
    """,
    "unfinished": """
        select count(*) as jobs from metering.metered_jobs where not is_finished and {asked} group by customer_id
    """,
    "findings": """
        select finding, rule_id, subject, detail, occurrences
        from audit.findings where {asked} order by customer_id, finding, subject, detail
    """,
}


class Warehouse:
    """The published database of a warehouse folder, opened read-only."""

    def __init__(self, folder: Path) -> None:
        path = folder / "usage.duckdb"
        if not path.is_file():
            raise NoWarehouse(f"There is no warehouse at {path}: make build writes it.")
        self.connection = duckdb.connect(str(path), read_only=True)
        self.connection.execute("set timezone = 'UTC'")

    def close(self) -> None:
        self.connection.close()

    def table(self, query: str, parameters: Sequence[Any] = ()) -> Table:
        """The query's rows."""
        found = self.connection.execute(query, parameters)
        return Table([column[0] for column in found.description], found.fetchall())

    def value(self, query: str) -> Any:
        """The only value of the query's only row."""
        return self.connection.execute(query).fetchone()[0]

    def run(self) -> Row:
        """The run that was published last."""
        return next(iter(self.table("from publication.runs order by published_at desc, started_at desc limit 1")))

    def customers(self) -> list[Row]:
        """Every customer that has a page, those with most tasks first, with the tasks of the month before."""
        return list(
            self.table("""
                select
                    details.*, coalesce(before.tasks, 0) as tasks_month_before,
                    current.customer_id is not null as has_months
                from marts.customer_details as details
                left join marts.monthly_customer_usage as current
                    on details.customer_id = current.customer_id and current.is_current_month
                left join marts.monthly_customer_usage as before
                    on
                        details.customer_id = before.customer_id
                        and before.usage_month = current.usage_month - interval '1' month
                order by
                    details.tasks_last_12_months desc, details.customer_name asc nulls last, details.customer_id asc
            """)
        )

    def of_customers(self, customer_ids: list[str]) -> Iterator[tuple[str, dict[str, Table]]]:
        """Each customer's tables, by the names of _OF_CUSTOMERS, one customer after the other."""
        db = self.connection
        db.execute("create or replace temp table asked (customer_id varchar)")
        db.executemany("insert into asked values (?)", [[id] for id in customer_ids]) if customer_ids else None
        db.execute("""
            create or replace temp table recipes_asked as
            select customer_id, recipe_id, recipe_hash from staging.job_recipes
            where customer_id in (select customer_id from asked)
        """)
        db.execute("""
            create or replace temp table recipe_names as
            select customer_id, recipe_id, max_by(recipe_name, valid_from) as recipe_name from marts.recipe_history
            where customer_id in (select customer_id from asked) group by all
        """)
        db.execute("""
            create or replace temp table app_names as
            select adapter_name, max(app_name) as app_name from metering.apps group by adapter_name
        """)
        db.execute("drop table if exists decisions")
        db.execute(_DECISIONS)
        ordered = sorted(customer_ids)
        for start in range(0, len(ordered), BATCH):
            batch = ordered[start : start + BATCH]
            tables = {name: self._by_customer(query, batch) for name, query in _OF_CUSTOMERS.items()}
            for customer_id in batch:
                yield (
                    customer_id,
                    {name: Table(columns, found.get(customer_id, [])) for name, (columns, found) in tables.items()},
                )

    def _by_customer(self, query: str, customer_ids: list[str]) -> tuple[list[str], dict[str, list[tuple]]]:
        first = query.replace("select", "select customer_id,", 1)
        found = self.connection.execute(first.replace("{asked}", "list_contains(?, customer_id)"), [customer_ids])
        columns = [column[0] for column in found.description][1:]
        by_customer = groupby(found.fetchall(), key=lambda row: row[0])
        return columns, {customer_id: [row[1:] for row in rows] for customer_id, rows in by_customer}
