"""The connection strings of docs/bi-tools.md open the warehouse, read it, and cannot write into it.

Each code block is run as it stands on the page, with the path of the page replaced by that of a copy of the sample
warehouse. (A copy, since the connections of one process to the same path must all be opened with the same settings.)
"""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy
from building import PROJECT, Build
from sqlalchemy.pool import NullPool

PAGE = PROJECT / "docs" / "bi-tools.md"
PATH_ON_THE_PAGE = "/data/warehouse/usage.duckdb"
CLI = Path(sys.executable).parent / "duckdb"

COUNT = "select count(*) from marts.monthly_customer_usage"
WRITES = {
    "create": "create table marts.notes as select 1 as note",
    "insert": "insert into marts.monthly_customer_usage from marts.monthly_customer_usage",
    "delete": "delete from marts.monthly_customer_usage",
    "drop": "drop table marts.monthly_customer_usage",
}
REFUSED = "read-only mode"


def code_blocks() -> list[tuple[str, str, str]]:
    """The page's code blocks: heading, language, code."""
    heading, blocks = "", []
    for title, language, code in re.findall(r"^## ([^\n]+)$|^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        heading = title or heading
        if language:
            blocks.append((heading, language, code))
    return blocks


def block(heading: str, language: str) -> str:
    (code,) = [code for *key, code in code_blocks() if key == [heading, language]]
    return code


@pytest.fixture
def warehouse(sample: Build, tmp_path: Path) -> Path:
    copied = tmp_path / "usage.duckdb"
    shutil.copyfile(sample.published, copied)
    return copied


@pytest.fixture
def run(warehouse: Path) -> Callable[[str], dict[str, Any]]:
    """Runs Python code of the page and hands over what it has named."""

    def run(code: str) -> dict[str, Any]:
        assert PATH_ON_THE_PAGE in code
        names: dict[str, Any] = {}
        exec(compile(code.replace(PATH_ON_THE_PAGE, str(warehouse)), PAGE.name, "exec"), names)
        return names

    return run


@pytest.fixture
def engine(run: Callable[[str], dict[str, Any]]) -> sqlalchemy.engine.Engine:
    return run(block("SQLAlchemy", "python"))["engine"]


def relations_of_marts(sample: Build, *types: str) -> list[str]:
    relations = sample.column(
        "select table_name from information_schema.tables "
        "where table_schema = 'marts' and list_contains(?, table_type) order by 1",
        list(types or ("BASE TABLE", "VIEW")),
    )
    assert "monthly_customer_usage" in relations
    return relations


def usage_of_this_month(sample: Build) -> set[tuple[str | None, int]]:
    """Customer, tasks."""
    usage = sample.rows("select customer_name, tasks from marts.monthly_customer_usage where is_current_month")
    assert usage
    return set(usage)


def row_count(sample: Build) -> int:
    return sample.column(COUNT)[0]


def test_every_code_block_of_the_page_is_looked_at():
    assert [(heading.split(":")[0], language) for heading, language, _ in code_blocks()] == [
        ("Command line", "sh"),
        ("Command line", "sql"),
        ("Python", "python"),
        ("SQLAlchemy", "python"),
        ("Superset", "text"),
        ("ADBC", "python"),
        ("ODBC", "ini"),  # the page says: not tried
    ]


# ----------------------------------------------------------------------------------------------- reads, never writes


class TestCommandLine:
    def duckdb(self, line: str, warehouse: Path) -> subprocess.CompletedProcess[str]:
        program, *arguments = shlex.split(line.replace(PATH_ON_THE_PAGE, str(warehouse)))
        assert (program, str(warehouse) in arguments) == ("duckdb", True)
        return subprocess.run([CLI, *arguments], capture_output=True, text=True)

    def test_it_lists_the_marts_and_reads_them(self, sample: Build, warehouse: Path):
        listing, reading = [
            self.duckdb(line.replace("duckdb ", "duckdb -csv ", 1), warehouse)
            for line in block("Command line", "sh").splitlines()
        ]
        assert (listing.returncode, listing.stderr) == (0, "")
        assert sorted(listing.stdout.splitlines()) == sorted(["name", *relations_of_marts(sample)])
        assert (reading.returncode, reading.stderr) == (0, "")
        assert len(reading.stdout.splitlines()) == 1 + len(usage_of_this_month(sample))

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
    def test_it_can_not_write(self, write: str, warehouse: Path):
        for line in block("Command line", "sh").splitlines():
            finished = self.duckdb(re.sub('".*"', f'"{write}"', line), warehouse)
            assert finished.returncode != 0
            assert REFUSED in finished.stderr

    def test_attached_to_a_database_of_ones_own_it_is_read_but_not_written(
        self, sample: Build, warehouse: Path, tmp_path: Path
    ):
        own = duckdb.connect(tmp_path / "own.duckdb")
        attach, select = block("Command line", "sql").replace(PATH_ON_THE_PAGE, str(warehouse)).split(";\n")[:2]
        own.execute(attach)
        assert len(own.execute(select).fetchall()) == len(usage_of_this_month(sample))
        own.execute(f"create table kept as {select}")
        for write in WRITES.values():
            with pytest.raises(duckdb.Error, match=REFUSED):
                own.execute(write.replace("marts.", "usage.marts."))


@pytest.mark.parametrize("heading", ["Python", "ADBC"])
class TestCursors:
    """DB-API and ADBC: the page's code leaves a connection ``usage`` and prints what it found."""

    def test_the_page_lists_the_marts_and_reads_them(self, heading, sample, run, capsys):
        usage = run(block(heading, "python"))["usage"]
        relations, customers = capsys.readouterr().out.splitlines()
        assert [name for (name,) in ast.literal_eval(relations)] == relations_of_marts(sample)
        assert set(ast.literal_eval(customers)) == usage_of_this_month(sample)

        cursor = usage.cursor()
        cursor.execute(COUNT)
        assert cursor.fetchall() == [(row_count(sample),)]
        cursor.close()
        usage.close()

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
    def test_it_can_not_write(self, heading, write, run):
        usage = run(block(heading, "python"))["usage"]
        cursor = usage.cursor()
        with pytest.raises(Exception, match=REFUSED):
            cursor.execute(write)
        cursor.close()
        usage.close()


class TestSQLAlchemy:
    def test_the_page_lists_the_marts_and_reads_them(self, sample, run, capsys):
        run(block("SQLAlchemy", "python"))
        tables, customers = capsys.readouterr().out.splitlines()
        assert sorted(ast.literal_eval(tables)) == relations_of_marts(sample, "BASE TABLE")
        assert set(ast.literal_eval(customers)) == usage_of_this_month(sample)

    def test_it_lists_every_table_and_column_of_the_marts(self, sample, engine):
        inspector = sqlalchemy.inspect(engine)
        relations = inspector.get_table_names(schema="marts") + inspector.get_view_names(schema="marts")
        assert sorted(relations) == relations_of_marts(sample)
        for relation in relations:
            columns = inspector.get_columns(relation, schema="marts")
            assert [column["name"] for column in columns] == sample.column(
                "select column_name from duckdb_columns() where schema_name = 'marts' and table_name = ? "
                "order by column_index",
                relation,
            )
            assert "NULL" not in [str(column["type"]) for column in columns], "SQLAlchemy does not know a type"

    @pytest.mark.filterwarnings("ignore:duckdb-engine doesn't yet support reflection on indices")
    def test_it_reflects_a_table_and_reads_it(self, sample, engine):
        usage = sqlalchemy.Table("monthly_customer_usage", sqlalchemy.MetaData(), schema="marts", autoload_with=engine)
        query = sqlalchemy.select(usage.c.customer_name, usage.c.tasks).where(usage.c.is_current_month)
        with engine.connect() as connection:
            assert {tuple(row) for row in connection.execute(query)} == usage_of_this_month(sample)

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
    def test_it_can_not_write(self, write, engine):
        with engine.connect() as connection, pytest.raises(sqlalchemy.exc.DBAPIError, match=REFUSED):
            connection.execute(sqlalchemy.text(write))

    def test_read_only_as_a_connect_argument_is_the_same(self, sample, warehouse):
        engine = sqlalchemy.create_engine(
            f"duckdb:///{warehouse}", poolclass=NullPool, connect_args={"read_only": True}
        )
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text(COUNT)).scalar() == row_count(sample)
            with pytest.raises(sqlalchemy.exc.DBAPIError, match=REFUSED):
                connection.execute(sqlalchemy.text(WRITES["create"]))

    def test_read_only_in_the_url_under_another_name_is_refused(self, warehouse):
        engine = sqlalchemy.create_engine(f"duckdb:///{warehouse}?read_only=true", poolclass=NullPool)
        with pytest.raises(sqlalchemy.exc.DBAPIError, match='unrecognized configuration parameter "read_only"'):
            engine.connect()

    def test_two_ways_to_open_it_in_one_process_are_refused(self, warehouse, engine):
        with (
            duckdb.connect(warehouse, read_only=True),
            pytest.raises(sqlalchemy.exc.DBAPIError, match="different configuration than existing connections"),
        ):
            engine.connect()


class TestSuperset:
    """Superset opens the URI through SQLAlchemy, with a connection for each query."""

    @pytest.fixture
    def engine(self, warehouse: Path) -> sqlalchemy.engine.Engine:
        uri = block("Superset", "text").strip().replace(PATH_ON_THE_PAGE, str(warehouse))
        assert str(warehouse) in uri
        return sqlalchemy.create_engine(uri, poolclass=NullPool)

    def test_its_uri_lists_the_schema_and_reads_it(self, sample, engine):
        inspector = sqlalchemy.inspect(engine)
        assert "usage.marts" in inspector.get_schema_names()
        assert "monthly_customer_usage" in inspector.get_table_names(schema="usage.marts")
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text(COUNT)).scalar() == row_count(sample)

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
    def test_its_uri_is_read_only(self, write, engine):
        with engine.connect() as connection, pytest.raises(sqlalchemy.exc.DBAPIError, match=REFUSED):
            connection.execute(sqlalchemy.text(write))

    def test_its_uri_takes_another_folder_to_spill_into(self, warehouse, tmp_path):
        (uri,) = re.findall(r"`(duckdb:////\S+temp_directory=\S+)`", PAGE.read_text())
        engine = sqlalchemy.create_engine(uri.replace(PATH_ON_THE_PAGE, str(warehouse)), poolclass=NullPool)
        with engine.connect() as connection:
            query = "select current_setting('temp_directory'), lower(current_setting('access_mode'))"
            assert connection.execute(sqlalchemy.text(query)).one() == ("/tmp/duckdb", "read_only")


# ------------------------------------------------------------------------------------------------------- a new run


def publish_another_run(warehouse: Path, rows: int) -> None:
    """Replaces the file as the run does: by a rename."""
    built = warehouse.with_name("built.duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{built}' as built (storage_version 'v1.2.0')")
        connection.execute("create schema built.marts")
        connection.execute(f"create table built.marts.monthly_customer_usage as from range({rows})")
    built.replace(warehouse)


def count(connection: sqlalchemy.engine.Connection) -> int:
    return connection.execute(sqlalchemy.text(COUNT)).scalar()


def count_in_another_process(warehouse: Path) -> int:
    command = [CLI, "-readonly", "-csv", "-noheader", warehouse, COUNT]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


class TestANewRun:
    def test_a_reader_keeps_the_old_file_and_sees_the_new_one_on_reconnect(self, sample, warehouse, engine):
        old = engine.connect()
        assert count(old) == row_count(sample)
        publish_another_run(warehouse, rows=7)
        assert count(old) == row_count(sample)
        days = "from marts.usage_by_capability order by all"
        assert old.execute(sqlalchemy.text(days)).fetchall() == sample.rows(days)
        assert count_in_another_process(warehouse) == 7
        old.close()
        with engine.connect() as new:
            assert count(new) == 7

    def test_connections_of_a_process_share_the_old_file_until_the_last_is_closed(self, sample, warehouse, engine):
        old = engine.connect()
        publish_another_run(warehouse, rows=7)
        with engine.connect() as second:
            assert count(second) == row_count(sample)
        old.close()
        with engine.connect() as third:
            assert count(third) == 7

    def test_a_pool_keeps_the_old_file_until_it_is_disposed_of(self, sample, warehouse, engine):
        pooled = sqlalchemy.create_engine(engine.url)
        with pooled.connect() as connection:
            assert count(connection) == row_count(sample)
        publish_another_run(warehouse, rows=7)
        with pooled.connect() as connection:
            assert count(connection) == row_count(sample)
        pooled.dispose()
        with pooled.connect() as connection:
            assert count(connection) == 7
        pooled.dispose()

    def test_a_connection_that_may_write_locks_readers_out(self, warehouse):
        with duckdb.connect(warehouse):
            command = [CLI, "-readonly", warehouse, COUNT]
            reader = subprocess.run(command, capture_output=True, text=True)
        assert reader.returncode != 0
        assert "Could not set lock on file" in reader.stderr


# ---------------------------------------------------------------------------------------------- the file, described


def test_drivers_of_duckdb_1_2_and_later_can_open_it(sample: Build):
    tags = sample.column("select tags['storage_version'] from duckdb_databases() where database_name = 'usage'")
    assert tags == ["v1.2.0+"]


class TestDescriptions:
    """Every table and column of the marts has one, and it is shown where the page says."""

    def test_comments_are_shown_by_sql(self, sample):
        tables = sample.rows(
            "select table_name, comment from duckdb_tables() where schema_name = 'marts' "
            "union all select view_name, comment from duckdb_views() where schema_name = 'marts' order by all"
        )
        assert [table for table, _ in tables] == relations_of_marts(sample)
        columns = sample.rows(
            "select table_name, column_name, comment from duckdb_columns() where schema_name = 'marts'"
        )
        assert [row for row in tables + columns if not (row[-1] or "").strip()] == []

    def test_comments_are_shown_by_sqlalchemy(self, sample, engine):
        inspector = sqlalchemy.inspect(engine)
        for relation in relations_of_marts(sample):
            comments = {relation: inspector.get_table_comment(relation, schema="marts")["text"]}
            comments |= {c["name"]: c["comment"] for c in inspector.get_columns(relation, schema="marts")}
            assert [name for name, comment in comments.items() if not (comment or "").strip()] == [], relation

    def test_comments_on_columns_are_shown_by_adbc(self, sample, run):
        usage = run(block("ADBC", "python"))["usage"]
        (catalog,) = usage.adbc_get_objects(db_schema_filter="marts", catalog_filter="usage").read_all().to_pylist()
        (marts,) = catalog["catalog_db_schemas"]
        tables = marts["db_schema_tables"]
        assert sorted(table["table_name"] for table in tables) == relations_of_marts(sample)
        remarks = [
            (table["table_name"], column["column_name"], column["remarks"])
            for table in tables
            for column in table["table_columns"]
        ]
        assert remarks
        assert [row for row in remarks if not (row[-1] or "").strip()] == []
        usage.close()
