"""A newer release takes an older warehouse over by itself; an older one refuses a newer one, and changes nothing."""

import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import duckdb
import pytest
import yaml
from builders import FIRST, connection, customer, job, recipe, seats, world
from building import PROJECT
from dbt_common.exceptions import DbtRuntimeError
from reference.compiled import Warehouse
from reference.files import write_world

DATA = PROJECT / "tests" / "data"

# What the stores in tests/data were given: the first load as CSV, the second as JSON.
MONDAY = [
    *(customer(), customer("gone", name="Gone"), recipe(), connection(), seats()),
    *(job("j-1"), job("j-2", completed_at="2026-02-10T12:00:00Z")),
]
TUESDAY = [
    *(job("j-3"), job("j-1", completed_at="2026-02-20T12:00:00Z", extracted_at="2026-03-31T12:00:00Z")),
    recipe("second", name="Another"),
]
WEDNESDAY = [job("j-4")]


def test_release_numbers_agree():
    """The project's, dbt's and the last one of the changelog, which are in their order."""
    package = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["version"]
    headings = re.findall(r"^## (.*)$", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    found = [re.fullmatch(r"(\d+[.]\d+[.]\d+), (?:not released yet|\d{4}-\d\d-\d\d)", heading) for heading in headings]
    assert all(found), headings
    numbers = [tuple(map(int, heading[1].split("."))) for heading in found]
    assert numbers == sorted(set(numbers))
    assert package == project == found[-1][1]


def test_the_formats_are_those_that_the_page_tells_of(plugins):
    import publishing
    import store

    page = (PROJECT / "docs" / "upgrading.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+[.]\d+[.]\d+) \| (\d+) \| (\S+) \|", page, re.MULTILINE)
    package = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert rows[-1] == (package, str(store.FORMAT), str(publishing.BUILD_FORMAT))
    (macro,) = re.findall(
        r"macro build_format\(\).*?return\((\d+)\)",
        (PROJECT / "macros" / "intake" / "run_state.sql").read_text(),
        re.DOTALL,
    )
    assert int(macro) == publishing.BUILD_FORMAT


@pytest.fixture
def plugins(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "plugins")


# --------------------------------------------------------------------------------------------- an older warehouse


class TestOlderWarehouse:
    """Each release's, two loads long, whose source has dropped the files; a third load comes with the first run."""

    @pytest.fixture(scope="class")
    @classmethod
    def full(cls, projects):
        """The models, made in memory of all that was delivered."""
        warehouse = Warehouse(projects["default"])
        warehouse.build(world(*MONDAY, *TUESDAY, *WEDNESDAY))
        return warehouse

    @pytest.fixture(scope="class")
    @classmethod
    def upgrade(cls, build, workbench, tmp_path_factory):
        def upgrade(put_there, killed_before=None):
            """The first run of this release, and what one printed that was killed before it."""
            extracts = tmp_path_factory.mktemp("extracts")
            write_world(world(*WEDNESDAY, with_required=False), extracts, split=1, ragged=False)
            for name in ("customers", "recipes", "connections"):
                (extracts / name).mkdir()
            output = extracts.with_name("killed.txt")
            output.write_text("")

            def prepare(warehouse):
                put_there(warehouse)
                if killed_before:
                    command = workbench.start(extracts, output, env={"KILLED_BEFORE": killed_before})
                    assert command.wait() == -signal.SIGKILL, output.read_text()

            return build(extracts, prepare=prepare), output.read_text()

        return upgrade

    def test_format_1_is_converted_after_a_kill_too_and_its_history_is_kept(self, upgrade, full):
        """A warehouse with its published and its build database, as the release before wrote it."""

        def unpack(warehouse):
            with tarfile.open(DATA / "warehouse-1.tar.xz") as archive:
                archive.extractall(warehouse, filter="tar")

        # killed when the second load's converted files are about to take the place of the older ones
        built, killed = upgrade(unpack, killed_before="rename 000002")
        assert built.exit_code == 0, built.output
        assert "was written by an older release: converting its 2 loads" in killed
        assert "was written by another release. It is created again from the stored deliveries." in killed
        assert "was written by an older release: converting its 1 loads" in built.output
        assert built.tables("marts", "metering") == full.tables("marts", "metering")
        columns = "run_id, extracts_from, rows_read, ran_data_tests"
        told = built.rows(f"select {columns} from publication.runs order by started_at")
        assert told[:2] == [
            ("6d7503e9-5275-4839-9851-789b447aadad", "/data/extracts", 11, None),
            ("c097bf89-ef5f-49d7-ba4c-56d106287f01", "/data/extracts", 18, None),
        ]
        assert len(told) == 3
        loads = sorted(path.name for path in (built.warehouse / "deliveries").glob("0*"))
        assert loads == ["000001", "000002", "000003"]

    def test_format_2_is_read_as_it_is(self, upgrade, full):
        """Deliveries alone, as a backup has them."""
        store = DATA / "store-2"
        built, _ = upgrade(lambda warehouse: shutil.copytree(store, warehouse / "deliveries"))
        assert built.exit_code == 0, built.output
        assert "older release" not in built.output
        assert built.tables("marts", "metering") == full.tables("marts", "metering")
        assert built.column("select rows_read from publication.runs order by started_at") == [11, 18, 21]
        for path in store.glob("0*/*"):
            assert path.read_bytes() == (built.warehouse / "deliveries" / path.relative_to(store)).read_bytes()


# ---------------------------------------------------------------------------------------------- a newer warehouse


class TestNewerWarehouse:
    @pytest.mark.parametrize("command", [("build",), ("run",), ("compile",)], ids=" ".join)
    def test_a_newer_store_is_refused_and_nothing_is_changed(self, command, build):
        good = build(FIRST)

        def write_by_a_newer_release(warehouse):
            manifest = warehouse / "deliveries" / "000001" / "manifest.json"
            manifest.write_text(manifest.read_text().replace('"format": 4', '"format": 6'))
            (warehouse / "deliveries" / "runs.later.json").write_text("{}")
            seen.update(contents(warehouse))

        def contents(warehouse):
            paths = (path for path in warehouse.rglob("*") if path.is_file() and path.name != "lock")
            return {path.relative_to(warehouse): path.read_bytes() for path in paths}

        seen: dict[Path, bytes] = {}
        refused = build(world(job("j-2")), onto=good, prepare=write_by_a_newer_release, command=command)
        assert refused.exit_code != 0
        assert "/000001/manifest.json was written by a newer release (format 6; this one writes 5): run that" in (
            refused.output
        )
        assert contents(refused.warehouse) == seen

    @pytest.fixture
    def database(self, tmp_path, plugins):
        from publishing import BUILD_FORMAT

        path = tmp_path / "build" / "usage.duckdb"
        path.parent.mkdir()
        with duckdb.connect(path) as built:
            built.execute(f"create schema run_state; create table run_state.format as select {BUILD_FORMAT} as version")
        return path

    def test_a_newer_build_database_is_refused(self, database):
        from publishing import BUILD_FORMAT, require_build_format

        newer = BUILD_FORMAT + 1
        with duckdb.connect(database) as built:
            built.execute(f"update run_state.format set version = {newer}")
        before = database.read_bytes()
        with pytest.raises(
            DbtRuntimeError,
            match=rf"was written by a newer release \(format {newer}; this one writes {BUILD_FORMAT}\): run that",
        ):
            require_build_format(database)
        assert database.read_bytes() == before

    @pytest.mark.parametrize(
        "how",
        ["update run_state.format set version = 0", "drop table run_state.format", "drop schema run_state cascade"],
    )
    def test_an_older_build_database_is_removed_with_its_log(self, how, database):
        from publishing import require_build_format

        with duckdb.connect(database) as built:
            built.execute(how)
        log = database.with_name("usage.duckdb.wal")
        write = (
            "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('create table a (b int)'); os._exit(9)"
        )
        subprocess.run([sys.executable, "-c", write, database])
        assert log.exists()
        assert require_build_format(database).endswith(
            "was written by another release. It is created again from the stored deliveries."
        )
        assert not database.exists() and not log.exists()

    @pytest.mark.parametrize("table", ["watermark", "progress"])
    def test_a_published_file_of_either_format_says_which_run_it_is_of(self, table, tmp_path, plugins):
        from publishing import published_run

        published = tmp_path / "usage.duckdb"
        with duckdb.connect(published) as database:
            database.execute(f"create schema run_state; create table run_state.{table} as select 'a' as run_id")
        assert published_run(published) == "a"

    def test_one_of_this_release_stays(self, database):
        from publishing import require_build_format

        before = database.read_bytes()
        assert require_build_format(database) == ""
        assert database.read_bytes() == before
