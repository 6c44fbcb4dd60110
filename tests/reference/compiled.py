"""The project's SQL run in memory: compiled once by dbt, then over as many small worlds as one likes.

    with Forks() as forks:
        project = compile_project(folder, {"task_terms": "T1"}, forks)
    warehouse = Warehouse(project)
    warehouse.build(world)
    warehouse.connection.execute("from metering.metered_jobs")

It is the SQL of a whole run, without what stands around it: reading files, adding to tables, publishing. Those have
tests of their own, over real builds.

Decisions::

    docs/decisions/proof-in-memory.md
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import yaml
from dbt_forks import Forks, parsing_key

PROJECT = Path(__file__).resolve().parent.parent.parent
DATABASE = "usage"  # dbt's name for the database that it built in; compiled SQL names relations by it
LAYERS = ("rules", "base", "intake", "staging", "metering", "facts", "marts", "audit")
# What no model makes: the rule book, texts for readers, and what earlier runs noted (nothing).
KEPT = ("rules", "labels", "run_state")
PLACE = ("_load", "_file")  # of a row, beside the columns of the contract: where it was delivered

World = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Model:
    """One compiled model: ``relation`` is schema.name, ``parents`` are the relations that it reads."""

    name: str
    relation: str
    sql: str
    is_view: bool
    parents: tuple[str, ...]
    path: str


@dataclass(frozen=True)
class DataTest:
    """One compiled data test: its rows are failures."""

    name: str
    sql: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class UnitTest:
    """One of dbt's unit tests of a model: rows, or their SQL, by the relation that they stand in for; rows expected."""

    name: str
    relation: str
    given: dict[str, list[dict[str, Any]] | str]
    expected: list[dict[str, Any]] | str


@dataclass(frozen=True)
class Project:
    """What dbt compiled under some options. Models come parents first; ``rules`` is the file with the rule book, and
    with the views that read the extracts from tables of texts."""

    models: dict[str, Model]
    data_tests: tuple[DataTest, ...]
    contracts: dict[str, tuple[str, ...]]
    rules: Path

    def with_sql(self, relation: str, sql: str) -> Project:
        """The project with other SQL for one of its models."""
        return replace(self, models=self.models | {relation: replace(self.models[relation], sql=sql)})

    def ancestors(self, relations: Iterable[str]) -> set[str]:
        """The models that the relations are made of, themselves included."""
        found, open_ = set(), [relation for relation in relations if relation in self.models]
        while open_:
            relation = open_.pop()
            if relation not in found:
                found.add(relation)
                open_ += [parent for parent in self.models[relation].parents if parent in self.models]
        return found


# ------------------------------------------------------------------------------------------------------------ compiling


def compile_project(folder: Path, options: dict[str, Any] | None, forks: Forks) -> Project:
    """Have dbt compile the project under some counting options; what it writes goes to ``folder``.

    Raises RuntimeError with dbt's output where it doesn't compile.
    """
    chosen = {"extracts_schema": "delivered"} | (options or {})
    rules = folder / "build" / f"{DATABASE}.duckdb"
    rules.parent.mkdir(parents=True, exist_ok=True)
    contracts = _contracts()
    if not rules.exists():
        with duckdb.connect(rules) as database:
            # dbt lays its views over the tables of a schema before it does anything
            database.execute("create schema delivered")
            for extract, columns in contracts.items():
                database.execute(f"create table delivered.{extract} ({', '.join(f'{c} varchar' for c in columns)})")
    _dbt(forks, folder, "seed", chosen, "--select", "path:seeds/rules", "path:seeds/labels")
    return _read_manifest(_dbt(forks, folder, "compile", chosen), contracts, rules)


def _dbt(forks: Forks, folder: Path, command: str, options: dict[str, Any], *arguments: str) -> dict[str, Any]:
    """Run a dbt command and return its manifest."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
    environment |= {
        "EXTRACTS_DIR": "",
        "AS_OF_DATE": "",
        "WAREHOUSE_DIR": str(folder),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_WRITE_JSON": "true",
        "DO_NOT_TRACK": "1",
    }
    output = folder / "output.txt"
    started = forks.start(
        ["--no-use-colors", "--quiet", command, "--vars", json.dumps(options), *arguments],
        environment,
        PROJECT,
        output,
        parsing_key(PROJECT, "extracts") if "extracts_schema" in options else None,
    )
    if started.wait():
        raise RuntimeError(f"dbt {command} failed:\n{output.read_text()}")
    return json.loads((folder / "target" / "manifest.json").read_text())


def _contracts() -> dict[str, tuple[str, ...]]:
    """Extract -> its columns."""
    sources = yaml.safe_load((PROJECT / "models" / "_sources" / "_extracts.yml").read_text())["sources"]
    return {
        table["name"]: tuple(column["name"] for column in table["columns"])
        for source in sources
        for table in source["tables"]
    }


def _read_manifest(manifest: dict[str, Any], contracts: dict[str, tuple[str, ...]], rules: Path) -> Project:
    nodes = manifest["nodes"] | manifest["sources"]

    def relation(unique_id: str) -> str:
        return f"{nodes[unique_id]['schema']}.{nodes[unique_id].get('alias') or nodes[unique_id]['name']}"

    def parents(node: dict[str, Any]) -> tuple[str, ...]:
        return tuple(relation(parent) for parent in node["depends_on"]["nodes"] if parent in nodes)

    models, data_tests = {}, []
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] == "model" and node["schema"] in LAYERS:
            is_view = node["config"]["materialized"] == "view"
            models[relation(unique_id)] = Model(
                node["name"], relation(unique_id), node["compiled_code"], is_view, parents(node), node["path"]
            )
        elif node["resource_type"] == "test":
            data_tests.append(DataTest(node["name"], node["compiled_code"], parents(node)))
    order = TopologicalSorter({name: set(model.parents) & set(models) for name, model in models.items()}).static_order()
    return Project(
        models={name: models[name] for name in order},
        data_tests=tuple(
            test for test in data_tests if not any(parent.startswith("publication.") for parent in test.parents)
        ),
        contracts=contracts,
        rules=rules,
    )


def read_unit_tests(folder: Path, forks: Forks, accounts: Collection[str] = ()) -> tuple[list[UnitTest], list[str]]:
    """The unit tests of what was compiled under the default options, with these accounts as the partner's own; and the
    names of the others, whose own options need other SQL."""
    manifest = _dbt(forks, folder, "parse", {})  # dbt leaves them out of a run over real extracts
    relations = {
        (node["resource_type"] == "source", node["name"]): f"{node['schema']}.{node['name']}"
        for node in (manifest["nodes"] | manifest["sources"]).values()
        if node["resource_type"] in ("model", "seed", "source")
    }

    def relation(given: str) -> str:
        """Of ref('model') or source('schema', 'table')."""
        return relations[given.startswith("source"), given.split("'")[-2]]

    tests, others = [], []
    for test in manifest["unit_tests"].values():
        options = {name: value for name, value in (test["overrides"] or {}).items() if value}
        if options and not _names_accounts(options, accounts):
            others.append(test["name"])
            continue
        given = {
            relation(given["input"]): given["rows"]
            for given in test["given"]
            if given["rows"] is not None  # else it is the seed itself
        }
        tests.append(UnitTest(test["name"], relations[False, test["model"]], given, test["expect"]["rows"]))
    return tests, others


def _names_accounts(options: dict[str, Any], accounts: Collection[str]) -> bool:
    """Whether all that a unit test overrides is the partner's own accounts, and they are among these."""
    own = options.get("vars", {}).get("admin_account_ids")
    return bool(own) and options == {"vars": {"admin_account_ids": own}} and set(own) <= set(accounts)


# ----------------------------------------------------------------------------------------------------------- in memory


class Warehouse:
    """A database in memory with the rule book, in which a project's models are made over one world after another."""

    def __init__(self, project: Project, threads: int = 1) -> None:
        self.project = project
        self.connection = duckdb.connect()
        self.connection.execute(
            f"set threads = {threads}; set timezone = 'UTC'; set disabled_optimizers = 'build_side_probe_side';"
            f"set temp_directory = '{tempfile.gettempdir()}/compiled-project';"
            f"attach ':memory:' as {DATABASE}; use {DATABASE};"
            f"attach '{project.rules}' as compiled (read_only)"
        )
        for schema in dict.fromkeys((*LAYERS, *KEPT, "extracts", "delivered")):
            self.connection.execute(f"create schema {schema}")
        for schema, table in self.connection.execute(
            "select schema_name, table_name from duckdb_tables() "
            "where database_name = 'compiled' and list_contains(?, schema_name)",
            [list(KEPT)],
        ).fetchall():
            # the published rule book: overrides are what a test adds
            rows = "where false" if table.startswith("override_") else ""
            self.connection.execute(f"create table {schema}.{table} as from compiled.{schema}.{table} {rows}")
        self._views = dict(
            self.connection.execute(
                "select view_name, regexp_extract(sql, '(?is)^create view .*? as (.*?);?$', 1) from duckdb_views() "
                "where database_name = 'compiled' and schema_name = 'extracts'"
            ).fetchall()
        )
        self.connection.execute("detach compiled")

    def build(self, world: World, relations: Iterable[str] | None = None, files: int = 1) -> None:
        """Lay the world in as extracts and make all models, or those that ``relations`` are made of."""
        self.load(world, files)
        wanted = self.project.models if relations is None else self.project.ancestors(relations)
        for name, model in self.project.models.items():
            if name in wanted:
                self.make(model)

    def relations(self) -> set[str]:
        """What the warehouse has: schema.name of every table and view."""
        found = self.connection.execute("select table_schema || '.' || table_name from information_schema.tables")
        return {relation for (relation,) in found.fetchall()}

    def make(self, model: Model) -> None:
        kind = "view" if model.is_view else "table"
        self.connection.execute(f"create or replace {kind} {model.relation} as {model.sql}")

    def tables(self, *schemas: str) -> dict[str, list[tuple[Any, ...]]]:
        """Every model of the schemas with its rows, as a build's ``tables``; its contract orders columns otherwise."""
        found = {}
        for relation in self.project.models:
            if relation.partition(".")[0] in schemas:
                columns = sorted(row[0] for row in self.connection.execute(f"describe {relation}").fetchall())
                rows = self.connection.execute(f"select {', '.join(columns)} from {relation} order by all")
                found[relation] = rows.fetchall()
        return found

    def load(self, world: World, files: int = 1) -> None:
        """The world's rows as text, as a run reads them from the tables of a schema, or as from so many files.

        A row's own ``_load`` and ``_file`` say the number of its load and the name of its file.
        """
        with tempfile.TemporaryDirectory() as folder:
            for extract, columns in self.project.contracts.items():
                rows = world.get(extract, [])
                if extract == "job_history":
                    rows = [{"record": json.dumps(_but_place(row)), **_place(row)} for row in rows]
                columns = (*columns, *PLACE)
                path = Path(folder, f"{extract}.json")
                with path.open("w", encoding="utf-8") as file:
                    for row in rows:
                        file.write(json.dumps({c: _text(row.get(c)) for c in columns}, ensure_ascii=False) + "\n")
                types = ", ".join(f"{column}: 'VARCHAR'" for column in columns)
                source = (
                    f"read_json('{path}', format = 'newline_delimited', columns = {{{types}}}, "
                    "maximum_object_size = 100000000)"
                )
                place = ", ".join(PLACE)
                self.connection.execute(f"create or replace table places as select {place} from {source}")
                self.connection.execute(
                    f"create or replace table delivered.{extract} as select * exclude ({place}) from {source}"
                )
                self.connection.execute(
                    f"create or replace table extracts.{extract} as "
                    f"select * exclude ({place}) replace ("
                    f"coalesce(cast(_load as bigint), row_number() over () % {files} + 1) as load_id, "
                    f"coalesce(_file, 'delivered.{extract}-' || row_number() over () % {files}) as file_name) "
                    f"from ({self._views[extract]}) as delivered positional join places"
                )

    def _dated_rules(self) -> list[str]:
        """The published tables of the rule book whose rows have dates."""
        found = self.connection.execute(
            "select table_name from duckdb_columns() where schema_name = 'rules' and column_name = 'effective_to' "
            "and not regexp_matches(table_name, '^(override|effective)_')"
        )
        return [f"rules.{name}" for (name,) in found.fetchall()]

    def split_rules(self, at: date) -> None:
        """Cut each row of the rule book in two, one in force before the date and one from it on: nothing changes."""
        for table in self._dated_rules():
            is_cut = f"effective_from < date '{at}' and coalesce(effective_to, date '9999-12-31') > date '{at}'"
            self.connection.execute(
                f"create or replace table {table} as "
                f"select * replace (case when {is_cut} then date '{at}' else effective_to end as effective_to) "
                f"from {table} union all by name "
                f"select * replace (date '{at}' as effective_from) from {table} where {is_cut}"
            )

    def add_rules_of_other_times(self) -> None:
        """Rows that would change much, were they in force: they ended in 1901 or begin in 2199, so nothing changes."""
        wrong = {
            "rules.control_keywords": "'action' as keyword",
            "rules.proxy_operations": "'salesforce' as adapter_name, 'create_object' as adapter_operation",
            "rules.call_operations": "case call_mode when 'sync' then 'async' else 'sync' end as call_mode",
            "rules.recipe_types": "'workflow' as recipe_type",
        }
        for table in self._dated_rules():
            for year in (1901, 2199):
                dates = f"date '{year}-01-01' as effective_from, date '{year}-02-01' as effective_to"
                others = f"{wrong[table]}, {dates}" if table in wrong else dates
                self.connection.execute(
                    f"insert into {table} by name select * replace ({others}) from {table} "
                    "where effective_from between date '1950-01-01' and date '2100-01-01'"
                )

    def failing_data_tests(self) -> list[str]:
        """The names of the data tests that have failures."""
        return [
            test.name
            for test in self.project.data_tests
            if self.connection.execute(f"select count(*) from ({test.sql}) as failures").fetchone() != (0,)
        ]


def _place(row: dict[str, Any]) -> dict[str, Any]:
    return {column: row.get(column) for column in PLACE}


def _but_place(row: dict[str, Any]) -> dict[str, Any]:
    return {column: value for column, value in row.items() if column not in PLACE}


def _text(value: Any) -> str | None:
    """A value as a CSV file would hold it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
