"""Compares what two engines built of the same extracts: every seed and table, and every view that people read, both
ways, types included.

``Comparison(manifest, duckdb_file, spark_folder)`` loads both; ``differences()`` names what is not alike. Spark's
tables are read from their Parquet files, by DuckDB: no row goes through the engine that wrote it. Of a view, these are
the files of its published copy.

The 64-bit hashes that join a warehouse's tables are each engine's own. They are compared up to a renaming: rows that
agree in everything else pair their hashes, a hash must have one partner in all tables, and by these partners the rows
must agree.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

WORKING = "build_"  # what Spark's schemas begin with while a run works
READ = ("marts", "metering", "audit", "rules", "publication")  # the schemas that are published
# What tells one run from another, and not what was counted.
OF_THE_RUN = {"runs": {"run_id", "started_at", "published_at", "extracts_from", "project_revision", "engine_version"}}
# An engine's own type -> the one that stands for it on the other.
UNSIGNED = "UBIGINT"
SIGNED = {UNSIGNED: "BIGINT"}


@dataclass
class Table:
    """One relation that both engines should have; ``columns`` is {name: DuckDB type}."""

    schema: str
    name: str
    partition: str | None
    is_view: bool = False
    columns: dict[str, str] = field(default_factory=dict)
    rows: int = 0

    @property
    def hashes(self) -> list[str]:
        return [column for column, type_ in self.columns.items() if type_ == UNSIGNED and column.endswith("_hash")]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


class Comparison:
    """Both warehouses in one database in memory: ``on_duckdb.<table>`` and ``on_spark.<table>``."""

    def __init__(self, manifest: Path, duckdb_file: Path, spark_folder: Path) -> None:
        self.spark_folder = spark_folder
        self.connection = duckdb.connect()
        self.connection.execute(
            # views name the database that they were built in
            f"set timezone = 'UTC'; attach '{duckdb_file}' as usage (read_only);"
            "create schema on_duckdb; create schema on_spark;"
            "create table partners (on_duckdb ubigint, on_spark bigint)"
        )
        self.found: list[str] = []
        self.tables = [table for table in self._tables(json.loads(manifest.read_text())) if self._load(table)]
        self.connection.execute("detach usage")  # the next build wants it for itself
        self._pair_hashes()

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @staticmethod
    def _tables(manifest: dict) -> list[Table]:
        """From Spark's manifest: seeds, models that are tables on both engines, and views that people read."""
        tables = []
        for node in manifest["nodes"].values():
            if node["resource_type"] not in ("seed", "model"):
                continue
            schema, name = node["schema"].removeprefix(WORKING), node["name"]
            is_view = node["config"]["materialized"] == "view"
            is_view_on_duckdb = name.startswith("base_") or name in ("stg_jobs", "stg_steps")
            if schema in READ if is_view else not is_view_on_duckdb:
                tables.append(Table(schema, name, node["config"].get("partition_by"), is_view))
        return sorted(tables, key=str)

    def _load(self, table: Table) -> bool:
        """Copy the table of both engines; False, and a difference noted, where one lacks it or their columns differ."""
        described = self.connection.execute(
            "select column_name, data_type from duckdb_columns() "
            "where database_name = 'usage' and schema_name = ? and table_name = ?",
            [table.schema, table.name],
        ).fetchall()
        if not described:
            self.found.append(f"{table} is missing on DuckDB")
            return False
        table.columns = {n: t for n, t in described if n not in OF_THE_RUN.get(table.name, ())}
        built = self.spark_folder / f"{WORKING}{table.schema}.db" / table.name
        folder = self._published(table) if table.is_view else built
        files = sorted(str(path) for path in folder.rglob("*.parquet"))
        names = ", ".join(f'"{column}"' for column in table.columns)
        self.connection.execute(
            f'create table on_duckdb."{table.name}" as select {names} from usage."{table.schema}"."{table.name}"'
        )
        if not files:
            if not folder.is_dir():
                self.found.append(f"{table} is missing on Spark")
                return False
            # a table with partitions has no file, and so no types, where it has no rows
            types = ", ".join(f'"{column}" {SIGNED.get(type_, type_)}' for column, type_ in table.columns.items())
            self.connection.execute(f'create table on_spark."{table.name}" ({types})')
        else:
            partitions = ""
            if table.partition:
                type_ = table.columns[table.partition]
                partitions = f", hive_partitioning = true, hive_types = {{'{table.partition}': {type_}}}"
            source = f"read_parquet({files!r}{partitions or ', hive_partitioning = false'})"
            on_spark = dict(row[:2] for row in self.connection.execute(f"describe select * from {source}").fetchall())
            expected = {column: SIGNED.get(type_, type_) for column, type_ in table.columns.items()}
            on_spark = {n: t for n, t in on_spark.items() if n not in OF_THE_RUN.get(table.name, ())}
            if on_spark != expected:
                odd = dict(set(on_spark.items()) ^ set(expected.items()))
                self.found.append(f"{table} has other columns or types: {sorted(odd)} ({on_spark}, {expected})")
                return False
            self.connection.execute(f'create table on_spark."{table.name}" as select {names} from {source}')
        ((table.rows,),) = self.connection.execute(f'select count(*) from on_duckdb."{table.name}"').fetchall()
        return True

    def _pair_hashes(self) -> None:
        """Find each hash's partner, by rows that agree in all else, until no more are found."""
        known = -1
        while known != (known := self._partners):
            for table in self.tables:
                for column in table.hashes:
                    others = [c for c in table.columns if c != column]
                    if not others:
                        continue
                    self.connection.execute(
                        "insert into partners select distinct ours.hash, theirs.hash from "
                        f"{self._only_ones(table, 'on_duckdb', column, others)} as ours inner join "
                        f"{self._only_ones(table, 'on_spark', column, others)} as theirs on ours.key = theirs.key "
                        "except select * from partners"
                    )
        if self.connection.execute(
            "select coalesce(max(n), 1) from (select count(distinct on_spark) as n from partners group by on_duckdb "
            "union all select count(distinct on_duckdb) as n from partners group by on_spark)"
        ).fetchone() != (1,):
            self.found.append("a hash of one engine has two partners on the other")

    @property
    def _partners(self) -> int:
        ((number,),) = self.connection.execute("select count(*) from partners").fetchall()
        return number

    def _only_ones(self, table: Table, engine: str, column: str, others: list[str]) -> str:
        key = ", ".join(self._readable(table, engine, other) for other in others)
        return (
            f'(select cast(row({key}) as varchar) as key, any_value("{column}") as hash from {engine}."{table.name}" '
            f'group by key having count(distinct "{column}") = 1 and count(*) = count("{column}"))'
        )

    def _readable(self, table: Table, engine: str, column: str) -> str:
        """The column as it is compared: a hash by its partner, bits with the sign that Spark gives them."""
        quoted = f'"{table.name}"."{column}"'
        if column in table.hashes:
            unknown = f"case when {quoted} is not null then 'without a partner' end"
            return (
                f"coalesce((select cast(min(on_spark) as varchar) from partners where partners.{engine} = {quoted}), "
                f"{unknown})"
            )
        if table.columns[column] == UNSIGNED and engine == "on_duckdb":
            # the highest bit is the sign, there
            wide, half = f"cast({quoted} as hugeint)", "(1::hugeint << 63)"
            return f"cast(case when {wide} >= {half} then {wide} - 2 * {half} else {wide} end as bigint)"
        return quoted

    def differences(self) -> list[str]:
        """What is not alike, a line each; none where everything is."""
        found = list(self.found)
        for table in self.tables:
            rows = {
                engine: f"select {', '.join(self._readable(table, engine, c) for c in table.columns)} "
                f'from {engine}."{table.name}"'
                for engine in ("on_duckdb", "on_spark")
            }
            found += self._unlike(table, rows["on_duckdb"], rows["on_spark"], "on duckdb", "on spark")
        return found

    def unpublished(self) -> list[str]:
        """Which of the tables that people read are not, row for row, in the newest schema that Spark published."""
        found = []
        for table in self.tables:
            if table.schema not in READ or table.is_view:
                continue
            files = sorted(str(path) for path in self._published(table).rglob("*.parquet"))
            if not files:
                found.append(f"{table} was not published")
                continue
            names = ", ".join(f'"{column}"' for column in table.columns)
            built = f'select {names} from on_spark."{table.name}"'
            published = f"select {names} from read_parquet({files!r}, hive_partitioning = false)"
            found += self._unlike(table, built, published, "as built", "as published")
        return found

    def _published(self, table: Table) -> Path:
        """The folder of the copy in the newest schema that Spark published."""
        newest = max(self.spark_folder.glob("published_*.db"), default=self.spark_folder / "published.db")
        return newest / f"{WORKING}{table.schema}__{table.name}"

    def _unlike(self, table: Table, one: str, other: str, name: str, other_name: str) -> list[str]:
        """Two queries' rows compared both ways: a line for each that has rows which the other lacks."""
        found = []
        for query, against, only in ((one, other, name), (other, one, other_name)):
            if surplus := self.connection.execute(f"{query} except all {against}").fetchall():
                found.append(f"{table}: {len(surplus)} rows only {only}, such as {surplus[0]}")
        return found

    def without_partner(self) -> int:
        """How many different hashes of DuckDB found no partner; their rows are compared without them."""
        missing = " union ".join(
            f'select "{column}" as hash from on_duckdb."{table.name}" where "{column}" is not null'
            for table in self.tables
            for column in table.hashes
        )
        ((number,),) = self.connection.execute(
            f"select count(*) from ({missing}) where hash not in (select on_duckdb from partners)"
        ).fetchall()
        return number

    def damage_one_value(self) -> str:
        """Change one figure on Spark's side, for the comparison to find; returns what was changed."""
        self.connection.execute(
            "update on_spark.monthly_customer_usage set tasks = tasks + 1 where rowid = "
            "(select min(rowid) from on_spark.monthly_customer_usage)"
        )
        return "marts.monthly_customer_usage"
