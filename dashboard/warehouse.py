"""What the dashboard reads: the published warehouse, read-only.

Decisions::

    docs/decisions/csv-formula-protection.md
    docs/decisions/csv-by-the-engine.md
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "plugins"))

from asking import is_month, no_warehouse  # noqa: E402, F401
from attempts import AttemptsProblem, show_attempts  # noqa: E402
from closes import CloseProblem, show_closes  # noqa: E402

Row = dict[str, Any]

# How many customers' texts are held in memory at a time.
BATCH = 250


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
    """There is no published warehouse, or none that can be read; the message says where and what to do."""


# A text that a spreadsheet would run as a formula gets an apostrophe in front, the spreadsheets' own mark of a text. It
# begins with = + - @, in full width too, or with a line feed or another control character.
_CSV_TEXT = """
create temp macro csv_text(value) as
    case
        when value is null then ''
        else chr(34)
            || case
                when ascii(value) in (61, 43, 45, 64, 65309, 65291, 65293, 65312) or ascii(value) between 1 and 31
                    then chr(39)
                else ''
            end
            || replace(value, chr(34), chr(34) || chr(34))
            || chr(34)
    end
"""

# What became of each unit of work, by recipe, and of each sum the ids of two jobs or requests as its examples. Those of
# steps are found by the numbers that stand for their words (metered_steps would join the words to each step first).
_DECISIONS = """
create or replace temp table decisions as

with

units as (
    select * from marts.monthly_decisions
    where usage_month is not null and customer_id in (select customer_id from asked)
),

jobs as (
    select
        job_hash, recipe_hash, job_class, rule_date, cast(date_trunc('month', usage_date) as date) as usage_month
    from metering.metered_jobs
    where
        usage_date <= (select as_of_date from window_of_months)
        and recipe_hash in (select recipe_hash from recipes_asked)
),

jobs_of_decisions as (
    select
        jobs.recipe_hash, jobs.usage_month, decisions.decision_id,
        min(job_hash) as first_job, max(job_hash) as last_job
    from facts.step_facts as facts
    inner join jobs using (job_hash)
    inner join facts.step_decisions as decisions
        on
            facts.profile_id = decisions.profile_id
            and jobs.job_class = decisions.job_class
            and decisions.effective_from <= jobs.rule_date
            and jobs.rule_date < coalesce(decisions.effective_to, date '9999-12-31')
    group by all
),

jobs_of_rules as (
    select
        recipes_asked.customer_id, recipes_asked.recipe_id, found.usage_month, found.first_job, found.last_job,
        decisions.metric, decisions.rule_id, decisions.rule_override, decisions.task_rule_id,
        decisions.task_rule_override
    from jobs_of_decisions as found
    inner join recipes_asked using (recipe_hash)
    inner join facts.step_decisions as decisions using (decision_id)
),

jobs_of_steps as (
    select
        'steps' as units, customer_id, usage_month, metric, rule_id, rule_override, recipe_id,
        min(first_job) as first_job, max(last_job) as last_job
    from jobs_of_rules
    group by all
    union all
    select
        'steps, as tasks', customer_id, usage_month, 'tasks', task_rule_id, task_rule_override, recipe_id,
        min(first_job), max(last_job)
    from jobs_of_rules
    group by all
),

examples as (
    select
        jobs_of_steps.* exclude (first_job, last_job),
        first_jobs.job_id as example, last_jobs.job_id as other_example
    from jobs_of_steps
    inner join metering.metered_jobs as first_jobs on jobs_of_steps.first_job = first_jobs.job_hash
    inner join metering.metered_jobs as last_jobs on jobs_of_steps.last_job = last_jobs.job_hash
    union all
    select
        'jobs', customer_id, cast(date_trunc('month', usage_date) as date), metric, rule_id, rule_override, recipe_id,
        min(job_id), max(job_id)
    from metering.metered_jobs
    where usage_date <= (select as_of_date from window_of_months) and customer_id in (select customer_id from asked)
    group by all
    union all
    select
        'requests', customer_id, cast(date_trunc('month', usage_date) as date), metric, rule_id, rule_override,
        recipe_id, min(request_id), max(request_id)
    from metering.metered_requests
    where usage_date <= (select as_of_date from window_of_months) and customer_id in (select customer_id from asked)
    group by all
    union all
    select
        'requests, as tasks', customer_id, cast(date_trunc('month', usage_date) as date), 'tasks', task_rule_id,
        task_rule_override, recipe_id, min(request_id), max(request_id)
    from metering.metered_requests
    where
        usage_date <= (select as_of_date from window_of_months) and task_rule_id is not null
        and customer_id in (select customer_id from asked)
    group by all
),

-- In which order rules are shown: what counts, what doesn't, the same work as tasks.
ruled as (
    select
        found.units, found.metric, found.rule_id, found.rule_override,
        coalesce('override: ' || found.rule_override, {published_in}) as published_in,
        row_number() over (
            order by
                found.units in ('steps, as tasks', 'requests, as tasks'), found.metric nulls last, found.units,
                rules.decision_order, found.rule_id, found.rule_override nulls first
        ) as place
    from (select distinct units, metric, rule_id, rule_override from units) as found
    inner join rules.decision_rules as rules using (rule_id)
)

select
    units.customer_id, units.usage_month, units.units, units.metric, units.rule_id,
    units.rule_override, ruled.published_in, units.recipe_id, recipes.recipe_name,
    units.decided, units.quantity,
    examples.example, nullif(examples.other_example, examples.example) as other_example,
    date_diff('month', date '1900-01-01', units.usage_month) * 1000 + ruled.place as place
from units
inner join ruled
    on
        units.units = ruled.units
        and units.metric is not distinct from ruled.metric
        and units.rule_id = ruled.rule_id
        and units.rule_override is not distinct from ruled.rule_override
left join examples
    on
        units.units = examples.units
        and units.customer_id = examples.customer_id
        and units.usage_month = examples.usage_month
        and units.metric is not distinct from examples.metric
        and units.rule_id = examples.rule_id
        and units.rule_override is not distinct from examples.rule_override
        and units.recipe_id is not distinct from examples.recipe_id
left join recipe_names as recipes on units.customer_id = recipes.customer_id and units.recipe_id = recipes.recipe_id
"""

# Where a rule is published, or that it is our decision.
_PUBLISHED_IN = """
    case when rules.basis = 'D' then coalesce(rules.source || ', ', '') || 'our decision' else rules.source end
"""

# What stands beside the decisions, once for all customers that are asked for.
_PREPARED = [
    """
    create or replace temp table window_of_months as
    select
        as_of_date,
        as_of_month as current_month,
        cast(as_of_month - interval '1' month as date) as month_before,
        cast(as_of_month - interval '11' month as date) as first_of_twelve
    from intake.as_of
    """,
    # the listings that the as-of date looks at
    """
    create or replace temp table listings_now as
    select extract_name, snapshot_at
    from marts.month_listings inner join window_of_months on usage_month = current_month
    """,
    """
    create or replace temp table recipes_asked as
    select customer_id, recipe_id, recipe_hash from facts.job_recipes
    where customer_id in (select customer_id from asked)
    """,
    """
    create or replace temp table recipe_names as
    select customer_id, recipe_id, max_by(recipe_name, valid_from) as recipe_name from marts.recipe_history
    where customer_id in (select customer_id from asked) group by all
    """,
    """
    create or replace temp table app_names as
    select adapter_name, max(app_name) as app_name from metering.apps group by adapter_name
    """,
    _DECISIONS.replace("{published_in}", _PUBLISHED_IN),
]

# From the vendor's figure and the close to now, for all closed months.
_BRIDGE = (PROJECT / "analyses" / "bridge.sql").read_text(encoding="utf-8")

# What a page shows. Each query's first column is the customer's id, by which its rows are in order.
_SHOWN = {
    "usage": """
        select customer_id, * exclude (customer_id, external_id, customer_name, plan_id)
        from marts.monthly_customer_usage where {asked} order by customer_id, usage_month
    """,
    "credits": """
        select customer_id, * exclude (customer_id) from marts.monthly_credits
        where {asked}
        qualify usage_month = max(usage_month) over (partition by customer_id)
        order by customer_id, metric, call_type nulls first
    """,
    "recipes": """
        select
            customer_id, recipe_id, max(recipe_name) as recipe_name, max(project_name) as project_name,
            sum(tasks) as tasks, sum(business_actions) as business_actions, sum(api_calls) as api_calls,
            sum(pages_processed) as pages_processed, sum(events_processed) as events_processed,
            sum(mcp_calls) as mcp_calls, sum(genie_actions) as genie_actions,
            coalesce(sum(tasks) filter (where usage_month = current_month), 0) as this_month
        from marts.monthly_recipe_usage cross join window_of_months
        where usage_month >= first_of_twelve and {asked}
        group by customer_id, recipe_id
        order by customer_id, tasks desc, business_actions desc, recipe_name nulls last, recipe_id nulls last
    """,
    "apps": """
        with parts as (
            select
                customer_id, app, app_name, tasks, business_actions,
                case when usage_month = current_month then tasks else 0 end as this_month, 0 as connections
            from marts.monthly_app_usage cross join window_of_months
            where usage_month >= first_of_twelve and {asked}
            union all
            select customer_id, app, app_name, 0, 0, 0, connections
            from marts.monthly_app_connections inner join window_of_months on usage_month = current_month
            where {asked}
        )
        select
            customer_id, app, max(app_name) as app_name, sum(tasks) as tasks, sum(business_actions) as business_actions,
            sum(this_month) as this_month, sum(connections) as connections
        from parts
        group by customer_id, app
        order by customer_id, tasks desc, business_actions desc, connections desc, app_name nulls last, app
    """,
    "levels": """
        select
            customer_id, usage_month, sum(connections) as connections, sum(active_recipes) as active_recipes,
            bool_or(is_reconstructed) as is_reconstructed
        from (
            select customer_id, usage_month, connections, 0 as active_recipes, is_reconstructed
            from marts.monthly_app_connections
            union all
            select customer_id, usage_month, 0, active_recipes, is_reconstructed
            from marts.monthly_customer_recipes
        ) cross join window_of_months
        where usage_month in (current_month, month_before) and {asked}
        group by customer_id, usage_month order by customer_id, usage_month
    """,
    "connections": """
        select
            customer_id, connection_id, connection_name, history.adapter_name, names.app_name, authorization_status,
            authorized_at, created_at, coalesce(valid_to > snapshot_at, true) as is_listed, valid_from, valid_to
        from marts.connection_history as history
        inner join listings_now on listings_now.extract_name = 'connections' and history.valid_from <= snapshot_at
        left join app_names as names on history.adapter_name = names.adapter_name
        where {asked}
        qualify row_number() over (partition by customer_id, connection_id order by valid_from desc) = 1
        order by customer_id, is_listed desc, history.adapter_name nulls last, connection_id
    """,
    # Which term is in force when.
    "terms": """
        select
            terms.customer_id, terms.* exclude (customer_id),
            as_of_date >= effective_from and coalesce(as_of_date < effective_to, true) as in_force
        from marts.customer_terms as terms
        cross join window_of_months
        where {asked}
        order by customer_id, effective_from
    """,
    "periods": """
        select customer_id, * exclude (customer_id), as_of_date < period_to as is_current
        from marts.billing_periods cross join window_of_months
        where {asked} order by customer_id, period_from desc
    """,
    "unfinished": """
        select customer_id, count(*) as jobs from metering.metered_jobs
        where not is_finished and {asked} and started_at < (select ends_at from marts.months where is_current_month)
        group by customer_id order by customer_id
    """,
    "bridge": """
        select customer_id, * exclude (customer_id, place) from bridge where {asked} order by customer_id, place
    """,
    "findings": """
        select customer_id, finding, rule_id, subject, detail, occurrences
        from audit.findings where {asked} order by customer_id, finding, subject, detail
    """,
    "recipe_names": """
        select customer_id, recipe_id, recipe_name from recipe_names
        where recipe_name is not null and {asked} order by customer_id, recipe_id
    """,
    # The decisions as JSON: [{t: month, u: units, m: metric, r: rule, n: decided, q: quantity, a: apps with steps,
    # p: recipes, each {id, n, q, e: examples}}]. The page's script sorts apps and recipes. They are many, and
    # lists of structs took the engine ten times as long as texts.
    "decisions": """
        with apps as (
            select
                customer_id, usage_month, rule_id, rule_override, metric,
                string_agg('[' || to_json(app_name) || ',' || steps || ']', ',' order by app_name) as apps
            from (
                select
                    customer_id, usage_month, rule_id, rule_override, metric, sum(steps) as steps,
                    coalesce(names.app_name, rule_usage.app, 'no app') as app_name
                from marts.monthly_rule_usage as rule_usage
                left join app_names as names on rule_usage.app = names.adapter_name
                where usage_month is not null and {asked}
                group by all
            )
            group by all
        ),
        by_rule as (
            select
                customer_id, usage_month, units, metric, rule_id, rule_override,
                min(place) as place, sum(decided) as decided,
                case when units = 'days of seats' then max(quantity) else sum(quantity) end as quantity,
                string_agg(
                    '{{"id":' || coalesce(cast(to_json(recipe_id) as varchar), 'null') || ',"n":' || decided
                    || ',"q":' || quantity || ',"e":['
                    || concat_ws(',', cast(to_json(example) as varchar), cast(to_json(other_example) as varchar))
                    || ']}}',
                    ',' order by recipe_id nulls last
                ) filter (where units <> 'days of seats') as recipes
            from decisions
            where {asked}
            group by customer_id, usage_month, units, metric, rule_id, rule_override
        )
        select
            by_rule.customer_id, list(distinct by_rule.usage_month) as months,
            '[' || string_agg(
                '{{"t":"' || strftime(by_rule.usage_month, '%Y-%m') || '","u":"' || units || '","m":'
                || coalesce('"' || by_rule.metric || '"', 'null') || ',"r":"' || by_rule.rule_id || '","n":' || decided
                || ',"q":' || quantity || coalesce(',"o":' || cast(to_json(by_rule.rule_override) as varchar), '')
                || coalesce(',"a":[' || apps.apps || ']', '')
                || coalesce(',"p":[' || recipes || ']', '') || '}}',
                ',' order by place
            ) || ']' as json
        from by_rule
        left join apps
            on
                by_rule.customer_id = apps.customer_id
                and by_rule.usage_month = apps.usage_month
                and by_rule.rule_id = apps.rule_id
                and by_rule.rule_override is not distinct from apps.rule_override
                and by_rule.metric is not distinct from apps.metric
                and by_rule.units = 'steps'
        group by by_rule.customer_id order by by_rule.customer_id
    """,
}

# The files beside a page: {file: (query, whether it is written without rows, too)}.
_FILES = {
    "usage": (
        "select customer_id, * exclude (customer_id, external_id, customer_name, plan_id) "
        "from marts.monthly_customer_usage where {asked} order by usage_month",
        True,
    ),
    "recipes": (
        "select customer_id, * exclude (customer_id) from marts.monthly_recipe_usage where {asked} "
        "order by usage_month, tasks desc, recipe_name nulls last, recipe_id nulls last",
        True,
    ),
    "apps": (
        "select customer_id, usage_month, app, app_name, tasks, business_actions, connections, is_reconstructed "
        "from (select * from marts.monthly_app_usage where {asked}) as usage "
        "full join (select * from marts.monthly_app_connections where {asked}) as connections "
        "using (customer_id, usage_month, app, app_name) "
        "order by usage_month, tasks desc nulls last, app_name nulls last, app nulls last",
        True,
    ),
    "connections": (
        "select customer_id, * exclude (customer_id, is_admin) from marts.connection_history where {asked} "
        "and valid_from <= (select snapshot_at from listings_now where extract_name = 'connections') "
        "order by connection_id, valid_from",
        True,
    ),
    "terms": (
        "select customer_id, * exclude (customer_id) from marts.customer_terms "
        "where {asked} and term_from is not null order by effective_from",
        False,
    ),
    "billing_periods": (
        "select customer_id, * exclude (customer_id) from marts.billing_periods where {asked} order by period_from",
        True,
    ),
    "contract_usage": (
        "select customer_id, * exclude (customer_id) from marts.contract_usage where {asked} "
        "order by period_from, metric, call_type nulls first",
        True,
    ),
    "credits": (
        "select customer_id, * exclude (customer_id) from marts.monthly_credits where {asked} "
        "order by usage_month, metric, call_type nulls first",
        False,
    ),
    "closes": (
        "select customer_id, * exclude (customer_id, title, metric_order, is_total) from bridge "
        "where {asked} order by place",
        False,
    ),
    "why": ("select * from decisions where {asked} order by place, recipe_id nulls last", False),
    "findings": (
        "select customer_id, finding, rule_id, subject, detail, occurrences from audit.findings where {asked} "
        "order by finding, subject, detail",
        False,
    ),
}


class Warehouse:
    """The published database of a warehouse folder, opened read-only."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        path = folder / "usage.duckdb"
        if not path.is_file():
            raise NoWarehouse(no_warehouse(path))
        self.folder = folder
        self.connection = duckdb.connect(str(path), read_only=True)
        self.connection.execute("set timezone = 'UTC'")
        if threads:
            self.connection.execute(f"set threads = {threads}")
        self.connection.execute(_CSV_TEXT)

    def close(self) -> None:
        self.connection.close()

    def show_closes(self) -> None:
        """Create the temporary views of closed months. Raises NoWarehouse if they cannot be read."""
        try:
            show_closes(self.connection, self.folder)
        except duckdb.CatalogException as error:
            path = self.folder / "usage.duckdb"
            raise NoWarehouse(f"{path} is of an older release: run dbt build first.") from error
        except CloseProblem as problem:
            raise NoWarehouse(str(problem)) from problem

    def show_attempts(self) -> None:
        """Create the temporary table of the scheduled runs that failed. Raises NoWarehouse if it cannot be read."""
        try:
            show_attempts(self.connection, self.folder)
        except AttemptsProblem as problem:
            raise NoWarehouse(str(problem)) from problem

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

    def prepare(self, customer_ids: list[str]) -> None:
        """Gather the decisions on these customers' usage, which ``of_customers`` reads."""
        self._ask(customer_ids)
        for statement in _PREPARED:
            self.connection.execute(statement)
        self.connection.execute("set variable usage_months = (select list(usage_month) from closed_months)")
        self.connection.execute("set variable customer_ids = ?", [customer_ids])
        self.connection.execute(
            f"create or replace temp table bridge as select *, row_number() over () as place from ({_BRIDGE})"
        )

    def of_customers(self, customer_ids: list[str]) -> Iterator[tuple[str, dict[str, Table], dict[str, str]]]:
        """Each customer with what its page shows, by the names of _SHOWN, and its CSV files, by those of _FILES."""
        self.prepare(customer_ids)
        ordered = sorted(customer_ids)
        for start in range(0, len(ordered), BATCH):
            batch = ordered[start : start + BATCH]
            self._ask(batch)
            shown = {name: self._by_customer(query) for name, query in _SHOWN.items()}
            files = {name: self._csv_by_customer(*asked) for name, asked in _FILES.items()}
            for customer_id in batch:
                yield (
                    customer_id,
                    {name: Table(columns, found.get(customer_id, [])) for name, (columns, found) in shown.items()},
                    {name: text for name, found in files.items() if (text := found(customer_id))},
                )

    def _ask(self, customer_ids: list[str]) -> None:
        self.connection.execute(
            "create or replace temp table asked as select unnest(?::varchar[]) as customer_id", [customer_ids]
        )

    def _by_customer(self, query: str) -> tuple[list[str], dict[str, list[tuple]]]:
        found = self.connection.execute(query.format(asked=_ASKED))
        columns = [column[0] for column in found.description][1:]
        by_customer = groupby(found.fetchall(), key=lambda row: row[0])
        return columns, {customer_id: [row[1:] for row in rows] for customer_id, rows in by_customer}

    def csv(self, query: str) -> str:
        """The rows of a query with an order as CSV with a header: values unrounded, dates as in SQL, null empty."""
        head, line = self._csv_line(query)
        rows, _, order = query.partition(" order by ")
        return head + (self.value(f"select string_agg({line}, '' order by {order}) from ({rows})") or "")

    def _csv_by_customer(self, query: str, without_rows: bool) -> Callable[[str], str]:
        """The same by customer, as a function of its id; an empty text where there are no rows and none is wanted."""
        query = query.format(asked=_ASKED)
        head, line = self._csv_line(query)
        rows, _, order = query.partition(" order by ")
        lines = dict(
            self.connection.execute(
                f"select customer_id, string_agg({line}, '' order by {order}) from ({rows}) group by customer_id"
            ).fetchall()
        )
        return lambda id: head + lines.get(id, "") if without_rows or id in lines else ""

    def _csv_line(self, query: str) -> tuple[str, str]:
        """The header of the query's rows, and the expression that makes a line of one: texts are in quotes."""
        columns = [row[:2] for row in self.connection.execute(f"describe {query}").fetchall() if row[0] != "place"]
        values = [
            f"csv_text({_quoted(name)})" if type == "VARCHAR" else f"coalesce(cast({_quoted(name)} as varchar), '')"
            for name, type in columns
        ]
        head = ",".join(name for name, _ in columns)
        return f"{head}\r\n", f"{' || chr(44) || '.join(values)} || chr(13) || chr(10)"


_ASKED = "customer_id in (select customer_id from asked)"


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
