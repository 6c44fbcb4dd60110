"""Counts a month again under other rules, in a database in memory beside the published warehouse.

``Recount`` makes the models that decide (deciding_models.py) over the published facts of a month: jobs, requests, seats
and daily counts of steps, never steps. It reads the published file only. What reads steps or classifies jobs stays as
it was published; rules that would change it are refused.

Decisions::

    docs/decisions/what-if.md
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb
from conversion import Problem, as_pattern, literal
from deciding_models import DATABASE, RATIO_TEXTS, Compiled

# The facts of a month.
DATED = ("facts.daily_step_counts", "metering.metered_jobs")
REQUESTS = ("staging.stg_api_requests", "staging.stg_event_stream_requests", "staging.stg_genie_prompts")
SIDES = ("published", DATABASE)
KEY = ("customer_id", "metric", "call_type")  # of a figure within a month
# The options that decide on facts. Every other option needs a build.
OPTIONS = (
    "unruled_app_is_eligible",
    "unknown_app_is_eligible",
    "task_terms",
    "default_terms",
    "rule_overrides",
    "rules_as_of",
)
BUILD_INSTEAD = "Build with it into another WAREHOUSE_DIR, and compare the two (docs/what-if.md)"


class Recount:
    """The models over the published facts of one month. ``rows`` asks both sides: ``published.…`` and ``usage.…``."""

    def __init__(self, published: Path, compiled: Compiled, month: str, options: dict[str, Any]) -> None:
        """``month``: YYYY-MM; ``options``: those of the models, complete."""
        self.compiled, self.options = compiled, options
        self.first = f"{month}-01"
        self.scratch = tempfile.TemporaryDirectory(prefix="what-if-")
        self.connection = duckdb.connect()
        self.connection.execute(
            # as in profiles.yml: the models name the larger side of a join first
            "set timezone = 'UTC'; set disabled_optimizers = 'build_side_probe_side';"
            f"set temp_directory = {literal(self.scratch.name)};"
            f"attach {literal(published)} as published (read_only); attach ':memory:' as {DATABASE}; use {DATABASE}"
        )
        schemas = {relation.partition(".")[0] for relation in (*compiled.facts, *compiled.rules)}
        for schema in sorted(schemas | {model.relation.partition(".")[0] for model in compiled.models}):
            self.connection.execute(f"create schema {schema}")
        self.connection.execute("create schema what_if; create schema sample; create schema extracts")

    def __enter__(self) -> Recount:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.scratch.cleanup()

    def make(self, tables: dict[str, Path], terms: str | None = None, ratios: Path | None = None) -> None:
        """Make the models.

        ``tables``: files with all rows of tables of the rule book, by table. ``terms``: of every customer on every day.
        ``ratios``: a file that replaces the extract credit_ratios. Raises Problem for rows that cannot be used, and for
        rules that need a build.
        """
        for relation in self.compiled.rules:
            name = relation.partition(".")[2]
            if name in tables:
                self._load_rules(relation, tables[name])
            else:
                self.connection.execute(f"create view {relation} as from published.{relation}")
        for name, path in tables.items():
            if f"rules.{name}" not in self.compiled.rules:
                self._load_rules(f"rules.{name}", path)
                if self._differ(f"rules.{name}"):
                    raise Problem(f"{path}: {name} changes no figure of a month. {BUILD_INSTEAD}.")
        for relation in self.compiled.facts:
            self.connection.execute(f"create view {relation} as {self._facts(relation, terms)}")
        if ratios:
            self._load_ratios(ratios)
        for model in self.compiled.models:
            kind = "view" if model.is_view else "table"
            self.connection.execute(f"create {kind} {model.relation} as {model.sql}")
            if ratios and model.relation == "base.base_credit_ratios":
                self._refuse_quarantined(ratios)
        for relation in self.compiled.fixed:
            self._refuse_changed(relation)
            if day := self.options.get("rules_as_of"):
                self._refuse_dated(relation, day)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, parameters).fetchall()

    def differences(self) -> list[tuple[Any, ...]]:
        """(customer_id, metric, call_type, quantity_now, quantity_then, difference) of each figure that differs."""
        return self.rows(f"select * exclude (usage_month) from ({self._differences()}) order by all")

    def write(self, path: Path) -> None:
        """Write the differences as CSV, with the column usage_month first. Raises Problem."""
        beside = path.with_name(f".{path.name}.new")
        try:
            self.connection.execute(f"copy ({self._differences()} order by all) to {literal(beside)} (header)")
            beside.replace(path)
        except (duckdb.Error, OSError) as error:
            beside.unlink(missing_ok=True)
            raise Problem(f"OUT={path} cannot be written: {str(error).splitlines()[0]}") from None

    def _differences(self) -> str:
        sides = [f"(from {base}.marts.monthly_figures where usage_month = date '{self.first}')" for base in SIDES]
        same = " and ".join(f"now.{column} is not distinct from later.{column}" for column in KEY)
        keys = ", ".join(f"coalesce(now.{column}, later.{column}) as {column}" for column in KEY)
        return (
            f"select date '{self.first}' as usage_month, {keys}, coalesce(now.quantity, 0) as quantity_now, "
            "coalesce(later.quantity, 0) as quantity_then, quantity_then - quantity_now as difference "
            f"from {sides[0]} as now full join {sides[1]} as later on {same} "
            "where now.quantity is distinct from later.quantity"
        )

    def causes(self, customer_id: str | None = None) -> list[tuple[Any, ...]]:
        """(customer_id, metric, rule_id, subject, quantity_now, quantity_then), largest difference first.

        Those that differ, of all customers, or all of one. The subject is the app of steps, the kind of other units, or
        the metric that credits pay for.
        """
        sides = " union all ".join(
            f"select *, {now} as now, {later} as later from ({self._contributions(base)})"
            for base, now, later in zip(SIDES, ("quantity", "0"), ("0", "quantity"), strict=True)
        )
        asked = "customer_id = ?" if customer_id else "? is null"
        having = "true" if customer_id else "sum(now) is distinct from sum(later)"
        return self.rows(
            "select customer_id, metric, rule_id, subject, cast(sum(now) as decimal(38, 9)), "
            f"cast(sum(later) as decimal(38, 9)) from ({sides}) where {asked} group by all having {having} "
            "order by customer_id, metric, abs(sum(later) - sum(now)) desc, rule_id, subject",
            customer_id,
        )

    def _contributions(self, base: str) -> str:
        """A query for what each rule contributes to the month's figures on one side."""
        in_month = f"usage_month = date '{self.first}'"
        steps = f"{base}.facts.monthly_step_decisions inner join {base}.facts.job_recipes using (recipe_hash)"
        return f"""
            select customer_id, metric, rule_id, coalesce(app, 'steps without an app') as subject, quantity
            from {steps} where {in_month} and not is_admin and metric is not null
            union all
            select customer_id, 'tasks', task_rule_id, coalesce(app, 'steps without an app'), tasks
            from {steps} where {in_month} and not is_admin and tasks > 0
            union all
            select customer_id, metric, rule_id, units, quantity from {base}.marts.monthly_decisions
            where {in_month} and not is_admin and metric is not null and not starts_with(units, 'steps')
            union all
            select customer_id, 'credits', null, metric || coalesce(', ' || call_type, ''), credits
            from {base}.marts.monthly_credits where {in_month} and credits is not null
        """

    def _facts(self, relation: str, terms: str | None) -> str:
        """A query for the facts of the month. Facts that are few are not limited to it."""
        query = f"from published.{relation}"
        is_in_month = f"usage_date >= date '{self.first}' and usage_date < date '{self.first}' + interval 1 month"
        if relation in DATED:
            query += f" where {is_in_month}"
            if day := self.options.get("rules_as_of"):
                query = f"select * replace (date {literal(day)} as rule_date) {query}"
        elif relation in REQUESTS:
            query += (
                " where request_hash in "
                f"(select request_hash from published.metering.metered_requests where {is_in_month})"
            )
        elif relation == "staging.stg_subscriptions" and terms:
            query = f"select * replace ({literal(terms)} as terms, cast(null as varchar) as recipe_metric) {query}"
        return query

    def _load_rules(self, relation: str, path: Path) -> None:
        columns = self.rows(f"select column_name, column_type from (describe published.{relation})")
        values = ", ".join(f'cast(nullif("{name}", \'\') as {kind}) as "{name}"' for name, kind in columns)
        self._read(path, f"create table {relation} as select {values} from {_texts(path)}")

    def _load_ratios(self, path: Path) -> None:
        """The rows of a file as the only credit ratios, whenever they were extracted."""
        columns = self.compiled.ratio_columns
        self._read(path, f"create table what_if.given as from {_texts(path)}")
        given = [row[0] for row in self.rows("select column_name from (describe what_if.given)")]
        for name in given:
            if name not in columns:
                raise Problem(f"{path} has a column {name}: the columns of credit_ratios are {', '.join(columns)}.")
        for name, is_required in columns.items():
            if is_required and name not in given:
                raise Problem(f"{path} has no column {name}, which every credit ratio needs.")
        if not self.rows("select 1 from what_if.given limit 1"):
            raise Problem(f"{path} has no row.")
        if "extracted_at" in given and len(self.rows("select distinct extracted_at from what_if.given")) > 1:
            raise Problem(f"{path} has rows of several listings: keep the rows of one extracted_at.")
        read = [name for name in given if name != "extracted_at"]
        values = ", ".join(name if name in read else f"cast(null as varchar) as {name}" for name in columns)
        self.connection.execute(
            f"create table {RATIO_TEXTS} as select {values} from what_if.given;"
            f"create view sample.raw_credit_ratios as from {RATIO_TEXTS};"
            f"create view extracts.credit_ratios as {self.compiled.ratios}"
        )

    def _refuse_quarantined(self, path: Path) -> None:
        rejected = self.rows(
            "select quarantine_reason, row_content from base.base_credit_ratios where quarantine_reason is not null"
        )
        if rejected:
            reason, content = rejected[0]
            raise Problem(f"{path}: {reason}, in {len(rejected)} rows. The first is {content}.")

    def _refuse_changed(self, relation: str) -> None:
        """Raise Problem if a table by which the facts were made has other rows than in the published warehouse."""
        if self._differ(relation):
            name = relation.partition(".")[2].removeprefix("effective_")
            raise Problem(f"{name} decides how jobs and steps are read. {BUILD_INSTEAD}.")

    def _differ(self, relation: str) -> bool:
        columns = ", ".join(row[0] for row in self.rows(f"select column_name from (describe published.{relation})"))
        published, then = (f"select {columns} from {side}.{relation}" for side in SIDES)
        return bool(self.rows(f"({published} except all {then}) union all ({then} except all {published}) limit 1"))

    def _refuse_dated(self, relation: str, day: str) -> None:
        """Raise Problem if the rows of a rule table in force on ``day`` were not in force since the first usage."""
        columns = [row[0] for row in self.rows(f"select column_name from (describe {relation})")]
        if "effective_to" not in columns:
            return
        others = ", ".join(name for name in columns if name not in ("effective_from", "effective_to"))
        in_force = "effective_from <= {0} and {0} < coalesce(effective_to, date '9999-12-31')"
        chosen = f"select {others} from {relation} where {in_force.format(f'date {literal(day)}')}"
        first = "(select min(usage_date) from published.metering.metered_jobs)"
        days = f"select {first} as day" + "".join(
            f" union select {column} from {relation}" for column in ("effective_from", "effective_to")
        )
        for (changes,) in self.rows(f"select day from ({days}) where day >= {first} and day is not null order by day"):
            then = f"select {others} from {relation} where {in_force.format(f'date {literal(str(changes))}')}"
            if self.rows(f"({chosen} except {then}) union all ({then} except {chosen}) limit 1"):
                name = relation.partition(".")[2].removeprefix("effective_")
                raise Problem(
                    f"Other rows of {name}, which decides how jobs and steps are read, were in force on {changes} than "
                    f"on {day}. {BUILD_INSTEAD}."
                )

    def _read(self, path: Path, statement: str) -> None:
        try:
            self.connection.execute(statement)
        except duckdb.Error as error:
            raise Problem(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def _texts(path: Path) -> str:
    return f"read_csv({literal(as_pattern(path))}, header = true, all_varchar = true, delim = ',', quote = '\"')"
