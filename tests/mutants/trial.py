"""Tries mutations: which test notices, if any does.

Random worlds that were counted unchanged, and agree with the reference, are counted again with the mutation. Only what
a mutation changes is made again, and only the columns that the reference speaks of count as noticed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

import duckdb
from reference.comparison import COMPARED, FINDINGS, FLAGS, QUARANTINE, compare
from reference.compiled import DATABASE, Model, Project, UnitTest, Warehouse, World
from reference.measures import Tiers
from reference.proving import use_tiers
from reference.reference import Options

from .mutations import Mutation

SECONDS = 8  # a mutation that takes longer does not end: unchanged, it is one or two

INVALID = "not valid SQL"
SURVIVED = "survived"
# Errors that the engine raises before it reads a row: such a mutation is no program, and says nothing about the tests.
INVALID_ERRORS = (
    duckdb.BinderException,
    duckdb.ParserException,
    duckdb.CatalogException,
    duckdb.NotImplementedException,
)


@dataclass(frozen=True)
class Verdict:
    """What became of a mutation: by which kind of test it was noticed, which one, or that it survived."""

    mutation: Mutation
    kind: str
    by: str = ""


class CountedWorlds:
    """Some worlds, counted unchanged."""

    def __init__(
        self,
        project: Project,
        world: World,
        options: Options,
        split_rules_at: date | None = None,
        tiers: Tiers | None = None,
    ) -> None:
        self.project = project
        self.warehouse = Warehouse(project)
        self.connection = self.warehouse.connection
        self.connection.execute("set memory_limit = '3GB'; set enable_progress_bar = false")
        if tiers:
            use_tiers(self.warehouse, tiers)
        if split_rules_at:
            self.warehouse.split_rules(split_rules_at)
            self.warehouse.add_rules_of_other_times()
        self.warehouse.build(world)
        comparison = compare(self.connection, world, options, tiers=tiers)
        assert comparison.differences == [], comparison.report()
        self.compared = comparison.columns
        self.types = {relation: self._types(relation) for relation in project.models}
        self.rows = {relation: self._rows(relation) for relation in project.models}
        self.noticeable = {relation: self._noticeable(relation) for relation in COMPARED}
        # of a rule book with rows of other times the tests of its periods fail, and they alone
        failing = self.warehouse.failing_data_tests()
        assert not failing or split_rules_at, failing
        self.data_tests = [test for test in project.data_tests if test.name not in failing]

    def try_out(self, mutation: Mutation, with_data_tests: bool = False) -> Verdict:
        """Make what the mutation changes again, until a test notices; leaves everything as it was."""
        with self._undone(), _interrupted(self.connection):
            try:
                return self._try_out(mutation, with_data_tests)
            except INVALID_ERRORS as error:
                return Verdict(mutation, INVALID, str(error).splitlines()[0])
            except duckdb.InterruptException:
                return Verdict(mutation, "does not end")
            except duckdb.Error as error:
                return Verdict(mutation, "the build stops", str(error).splitlines()[0])

    def _try_out(self, mutation: Mutation, with_data_tests: bool) -> Verdict:
        changed = set()
        if mutation.is_of_rules:
            self.connection.execute(mutation.sql)
            changed.add(mutation.target)
        for relation, model in self.project.models.items():
            if relation == mutation.target:
                model = replace(model, sql=mutation.sql)
            elif not changed.intersection(model.parents):
                continue
            self.warehouse.make(model)
            if (
                relation.split(".")[0] in ("metering", "marts", "audit")
                and self._types(relation) != self.types[relation]
            ):
                return Verdict(mutation, "contract", relation)
            if self._rows(relation) == self.rows[relation]:
                continue
            changed.add(relation)
            if relation in self.noticeable and self._noticeable(relation) != self.noticeable[relation]:
                return Verdict(mutation, "comparison with the reference", relation)
        for test in self.data_tests:
            if with_data_tests and changed.intersection(test.parents):
                failures = self.connection.execute(f"select count(*) from ({test.sql}) as failures").fetchone()
                if failures != (0,):
                    return Verdict(mutation, "data test", test.name)
        return Verdict(mutation, SURVIVED, ", ".join(sorted(changed - {mutation.target})))

    def _types(self, relation: str) -> list[tuple]:
        schema, table = relation.split(".")
        return self.connection.execute(
            "select column_name, data_type from duckdb_columns() "
            "where database_name = ? and schema_name = ? and table_name = ? order by column_index",
            [DATABASE, schema, table],
        ).fetchall()

    def _rows(self, relation: str, row: str = "row") -> tuple:
        """How many rows there are, and what they add up to: alike for the same rows in any order."""
        return self.connection.execute(
            f"select count(*), sum(cast(hash({row}) as hugeint)) from {relation} as row"
        ).fetchone()

    def _noticeable(self, relation: str) -> tuple | None:
        """What the comparison with the reference sees of a relation."""
        if relation == QUARANTINE:
            return self._rows(relation, "extract_name")
        if relation == FINDINGS:
            flags = ", ".join(f"'{flag}'" for flag in FLAGS)
            flagged = f"(select distinct finding, customer_id, subject from {relation} where finding in ({flags}))"
            return self._rows(flagged)
        if relation in self.compared:
            return self._rows(relation, f"({', '.join(self.compared[relation])})")
        return None

    @contextmanager
    def _undone(self) -> Iterator[None]:
        self.connection.execute("begin")
        try:
            yield
        finally:
            self.connection.execute("rollback")


class UnitTests:
    """The unit tests, run in memory: fixtures are tables of the columns' real types."""

    def __init__(self, tests: list[UnitTest], warehouse: Warehouse) -> None:
        """``warehouse``: with all models, whose columns give the fixtures' types."""
        self.connection = warehouse.connection
        self.models = warehouse.project.models
        self.prepared: dict[str, list[tuple[UnitTest, str]]] = {}
        for number, test in enumerate(tests):
            schema = f"fixture_{number}"
            self.connection.execute(f"create schema {schema}")
            for relation, rows in test.given.items():
                self._fill(f"{schema}.{relation.replace('.', '_')}", relation, rows)
            self._fill(f"{schema}.expected", test.relation, test.expected)
            self.prepared.setdefault(test.relation, []).append((test, schema))

    def failing_unchanged(self) -> list[str]:
        """The names of all unit tests that fail."""
        return [name for relation in self.prepared for name in self.failing(self.models[relation])]

    def failing(self, model: Model) -> Iterator[str]:
        """The names of the model's unit tests that fail, errors included."""
        for test, schema in self.prepared.get(model.relation, []):
            sql = model.sql
            for relation in test.given:
                schema_, table = relation.split(".")
                quoted = f'(?<![\\w.])("?{DATABASE}"?\\.)?"?{schema_}"?\\."?{table}"?(?![a-z_"])'
                sql = re.sub(quoted, f"{DATABASE}.{schema}.{relation.replace('.', '_')}", sql)
            listed = ", ".join(f'"{column}"' for column in self._expected_columns(test, schema)) or "1"
            found, wanted = f"select {listed} from ({sql}) as found", f"select {listed} from {schema}.expected"
            try:
                with _interrupted(self.connection):
                    differences = self.connection.execute(
                        f"select count(*) from (({found} except all {wanted}) union all ({wanted} except all {found}))"
                    ).fetchone()
            except duckdb.Error:
                yield test.name
                continue
            if differences != (0,):
                yield test.name

    def _expected_columns(self, test: UnitTest, schema: str) -> list[str]:
        if isinstance(test.expected, str):
            return [column[0] for column in self.connection.execute(f"from {schema}.expected limit 0").description]
        return list(dict.fromkeys(column for row in test.expected for column in row))

    def _fill(self, table: str, relation: str, rows: list[dict] | str) -> None:
        if isinstance(rows, str):
            self.connection.execute(f"create table {table} as {rows}")
            return
        self.connection.execute(f"create table {table} as from {relation} limit 0")
        for row in rows:
            columns = ", ".join(f'"{column}"' for column in row)
            marks = ", ".join("?" * len(row))
            self.connection.execute(f"insert into {table} ({columns}) values ({marks})", list(row.values()))


@contextmanager
def _interrupted(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Interrupt what takes too long."""
    timer = threading.Timer(SECONDS, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
