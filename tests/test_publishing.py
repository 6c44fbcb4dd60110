"""What people open is replaced whole, by a run that succeeded whole; one run at a time; a killed run does no harm."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import duckdb
import jinja2
import pytest
from builders import connection, customer, job, recipe, world
from building import PROJECT
from reference.files import write_world
from samples import sampled

# How many runs to kill at random moments; the seed is printed.
KILLS = int(os.environ.get("KILLS") or sampled(8))

BEFORE = world(customer("old"), recipe("r", user_id="old"), connection("c", user_id="old"), job("j", account_id="old"))
AFTER = world(
    *(customer(f"new{n}") for n in range(3)),
    recipe("r", user_id="new0"),
    connection("c", user_id="new0", authorization_status="success"),
    *(job(f"j{n}", account_id=f"new{n % 3}") for n in range(50)),
    # delivered again, later, and completed in another month
    job("j", account_id="old", completed_at="2026-02-10T12:00:00Z", extracted_at="2026-03-31T12:00:00Z"),
)
HOLD = (
    "import sys, time; from pathlib import Path; from publishing import hold_warehouse; "
    "hold_warehouse(Path(sys.argv[1])); print('held', flush=True); time.sleep(600)"
)


def contents(published: Path) -> dict[str, list[tuple]]:
    """What readers see, by table: figures, decisions, and which run they are of."""
    with duckdb.connect(published, read_only=True) as connection:
        return {
            table: connection.execute(f"from {table} order by all").fetchall()
            for (table,) in connection.execute(
                "select table_schema || '.' || table_name from information_schema.tables "
                "where table_schema in ('marts', 'metering') order by all"
            ).fetchall()
        }


class TestRuns:
    """Two runs that succeeded; between them one that failed, one of a part, and one that could not be published."""

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, build):
        first = build(BEFORE, keep=False)  # whose path is told of
        assert first.exit_code == 0, first.output
        failed = build(AFTER, onto=first, vars={"task_terms": "T9"})
        part = build(AFTER, onto=failed, arguments=("--select", "+runs"))
        assert part.exit_code == 0, part.output
        empty = build(AFTER, onto=part, arguments=("--empty",))
        assert empty.exit_code == 0, empty.output
        in_the_way = "usage.duckdb.new"
        unpublished = build(AFTER, onto=empty, prepare=lambda warehouse: (warehouse / in_the_way).mkdir())
        assert "Not published: copying" in unpublished.output
        second = build(AFTER, onto=unpublished, prepare=lambda warehouse: (warehouse / in_the_way).rmdir())
        assert second.exit_code == 0, second.output
        return first, failed, part, empty, second

    def test_a_failed_run_leaves_the_last_good_one(self, runs):
        first, failed, *_ = runs
        assert failed.exit_code != 0
        assert failed.published.read_bytes() == first.published.read_bytes()
        assert (failed.warehouse / "parquet").readlink() == (first.warehouse / "parquet").readlink()

    def test_each_published_run_is_told_of_in_the_file(self, runs):
        *_, second = runs
        told = second.rows(
            "select extracts_from, as_of_date::varchar, rows_read, rows_used, rows_repeated, rows_quarantined, "
            "dbt_version like '1.11.%', published_at >= started_at from publication.runs order by started_at"
        )
        extracts = str(second.warehouse.parent / "extracts")
        assert told == [
            # a customer, a recipe, a connection, a job and its two steps; then these, and what came later
            (extracts, "2026-03-31", 6, 6, 0, 0, True, True),
            (extracts, "2026-03-31", 6 + 3 + 1 + 1 + 51 + 102, 6 + 3 + 1 + 1 + 50 + 100, 3, 0, True, True),
        ]

    def test_the_parquet_files_are_the_marts(self, runs):
        *_, second = runs
        tables = second.column("select table_name from information_schema.tables where table_schema = 'marts'")
        folder = second.warehouse / "parquet"
        assert {path.stem for path in folder.iterdir()} == {*tables, "runs"}
        for table in tables:
            file = f"read_parquet('{folder / table}.parquet')"
            for ours, theirs in ((f"marts.{table}", file), (file, f"marts.{table}")):
                assert second.rows(f"from (from {ours}) except all (from {theirs})") == []

    def test_the_folder_of_the_run_before_stays_for_its_readers(self, runs):
        first, *_, second = runs
        folders = {path.name for path in (second.warehouse / "parquet_runs").iterdir()}
        assert folders == {(run.warehouse / "parquet").readlink().name for run in (first, second)}

    def test_a_part_of_the_project_publishes_nothing(self, runs):
        first, _, part, *_ = runs
        assert "Not published: not a plain build of the whole project (--select)." in part.output
        assert part.published.read_bytes() == first.published.read_bytes()

    def test_an_empty_build_publishes_nothing_and_takes_nothing_from_the_next_run(self, runs):
        """The next run has the rows of the load that the empty one took in: test_each_published_run_is_told_of…"""
        first, *_, empty, _ = runs
        assert "Not published: not a plain build of the whole project (--empty)." in empty.output
        assert empty.published.read_bytes() == first.published.read_bytes()


class TestSampleAndOwnExtracts:
    """The sample first and one's own extracts then is how everybody begins; the other way round is a lost setting."""

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, build):
        sample = build(None)
        own = build(BEFORE, onto=sample)
        assert own.exit_code == 0, own.output
        return sample, own, build(None, onto=own)

    def test_own_extracts_take_the_place_of_the_sample(self, runs):
        _, own, _ = runs
        assert own.column("select customer_id from marts.customer_details") == ["old"]

    def test_the_sample_never_takes_the_place_of_own_extracts(self, runs):
        _, own, lost = runs
        assert lost.exit_code != 0
        assert "EXTRACTS_DIR is not set, and " in lost.output
        assert "the sample is not built over them" in lost.output
        assert lost.published.read_bytes() == own.published.read_bytes()


PLAIN = {
    "which": "build",
    "vars": {"task_terms": "T1"},
    "threads": 2,
    "full_refresh": True,
    "empty": False,
    "select": (),
    "selector": None,
    "log_level": "info",
    "require_resource_names_without_spaces": True,
}


@pytest.mark.parametrize(
    ("given", "forbidding"),
    [
        ({}, []),
        ({"exclude_resource_types": ("unit_test",)}, []),
        ({"exclude_resource_types": ("test", "unit_test"), "fail_fast": True, "quiet": True}, []),
        ({"exclude_resource_types": ("unit_test", "model")}, ["--exclude-resource-types"]),
        ({"resource_types": ("model",)}, ["--resource-types"]),
        ({"select": ("marts",), "exclude": ("audit",)}, ["--select", "--exclude"]),
        ({"selector": "nightly"}, ["--selector"]),
        ({"empty": True}, ["--empty"]),
        ({"sample": "3 days"}, ["--sample"]),
        ({"defer": True, "state": "artifacts", "favor_state": True}, ["--defer", "--state", "--favor-state"]),
        (
            {"event_time_start": "2026-01-01", "event_time_end": "2026-02-01"},
            ["--event-time-start", "--event-time-end"],
        ),
        ({"a_flag_of_a_later_dbt": True}, ["--a-flag-of-a-later-dbt"]),
    ],
    ids=lambda value: " ".join(value) or "none",
)
def test_only_a_plain_build_is_published(given, forbidding):
    """The macro alone, with the flags of a run as dbt hands them over."""
    answers = []
    macros = (PROJECT / "macros" / "publish.sql").read_text(encoding="utf-8")
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    context = {"invocation_args_dict": PLAIN | given, "return": answers.append}
    environment.from_string(macros, globals=context).module.flags_that_forbid_publishing()
    assert answers == [forbidding]


def test_of_the_runs_before_only_the_last_ones_files_are_kept(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    from publishing import publish_warehouse

    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "usage.duckdb").write_bytes(b"built")
    for run_id in ("first", "second", "third"):
        (tmp_path / "build" / "parquet").mkdir()
        assert publish_warehouse(tmp_path / "build" / "usage.duckdb", tmp_path / "usage.duckdb", run_id) == ""
        assert (tmp_path / "parquet").resolve() == tmp_path / "parquet_runs" / run_id
    assert {path.name for path in (tmp_path / "parquet_runs").iterdir()} == {"second", "third"}
    assert (tmp_path / "usage.duckdb").read_bytes() == b"built"


WRITE = """
import duckdb, os, signal, sys
database = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
if sys.argv[2] == "write and die":
    database.execute("set wal_autocheckpoint = '1TB'; create schema landing; update marts.figures set tasks = 1000")
    os.kill(os.getpid(), signal.SIGKILL)
print("open", flush=True)
sys.stdin.read()
"""


class TestPublishedFile:
    """What stands beside the published file, who has it open, and what a crash leaves. The function alone, no build."""

    @pytest.fixture
    def publish(self, tmp_path, monkeypatch):
        """Publishes a database with one figure and one Parquet file, and returns what went wrong."""
        monkeypatch.syspath_prepend(PROJECT / "plugins")
        import publishing

        def publish(run_id, tasks, file="figures"):
            folder = tmp_path / "build" / "parquet"
            folder.mkdir(parents=True)
            (tmp_path / "build" / "usage.duckdb").unlink(missing_ok=True)
            with duckdb.connect(tmp_path / "build" / "usage.duckdb") as built:
                built.execute(f"create schema marts; create table marts.figures as select {tasks} as tasks")
                built.execute(f"copy marts.figures to '{folder / file}.parquet'")
            return publishing.publish_warehouse(
                str(tmp_path / "build" / "usage.duckdb"), str(tmp_path / "usage.duckdb"), run_id
            )

        assert publish("first", 1) == ""
        return publish

    @pytest.fixture
    def opened(self, tmp_path):
        """Starts a process that has the published file open."""
        processes = []

        def start(how):
            command = [sys.executable, "-c", WRITE, tmp_path / "usage.duckdb", how]
            processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            assert processes[-1].stdout.readline() in ("open\n", "")
            return processes[-1]

        yield start
        for process in processes:
            process.communicate()

    @staticmethod
    def schemas(folder):
        with duckdb.connect(folder / "usage.duckdb", read_only=True) as published:
            (tasks,) = published.execute("select tasks from marts.figures").fetchone()
            found = published.execute("select schema_name from duckdb_schemas() where not internal").fetchall()
        return tasks, {name for (name,) in found if name != "main"}

    def test_a_log_that_a_killed_writer_left_is_not_replayed_onto_the_new_file(self, publish, opened, tmp_path):
        opened("write and die").wait()
        assert (tmp_path / "usage.duckdb.wal").exists()
        assert publish("second", 2) == ""
        assert self.schemas(tmp_path) == (2, {"marts"})
        assert (tmp_path / "usage.duckdb.left-over-wal").exists()

    def test_nothing_is_replaced_while_another_process_writes_to_it(self, publish, opened, tmp_path):
        writer = opened("write")
        before = (tmp_path / "usage.duckdb").read_bytes()
        assert publish("second", 2) == (
            f"process {writer.pid} has {tmp_path / 'usage.duckdb'} open for writing: close it there, and run again"
        )
        assert (tmp_path / "usage.duckdb").read_bytes() == before
        assert not (tmp_path / "usage.duckdb.new").exists()

    def test_readers_are_no_hindrance(self, publish, opened, tmp_path):
        opened("read")
        assert publish("second", 2) == ""
        assert self.schemas(tmp_path) == (2, {"marts"})

    def test_permissions_stay_as_they_were_set(self, publish, tmp_path):
        for path, mode in (("usage.duckdb", 0o600), ("parquet", 0o710), ("parquet/figures.parquet", 0o640)):
            (tmp_path / path).chmod(mode)

        def modes(*paths):
            return [oct((tmp_path / path).stat().st_mode & 0o777) for path in paths]

        assert publish("second", 2) == ""
        assert modes("usage.duckdb", "parquet", "parquet/figures.parquet") == ["0o600", "0o710", "0o640"]
        assert publish("third", 3, file="more") == ""
        assert modes("parquet", "parquet/more.parquet") == ["0o710", "0o640"]

    def test_what_a_run_left_that_was_killed_while_it_copied_is_removed(self, publish, tmp_path):
        (tmp_path / "usage.duckdb.new").write_bytes(b"half a copy")
        assert publish("second", 2) == ""
        assert sorted(path.name for path in tmp_path.glob("usage.*")) == ["usage.duckdb"]

    def test_a_copying_process_that_is_killed_is_said_and_leaves_nothing(self, publish, tmp_path, monkeypatch):
        import publishing

        killed = tmp_path / "killed.py"
        killed.write_text(
            "import os, sys; open(sys.argv[2], 'w').write('half'); os.kill(os.getpid(), 9)", encoding="utf-8"
        )
        monkeypatch.setattr(publishing, "COPYING", killed)
        assert publish("second", 2).endswith("failed: the copying process ended with -9")
        assert sorted(path.name for path in tmp_path.glob("usage.*")) == ["usage.duckdb"]
        assert self.schemas(tmp_path) == (1, {"marts"})

    def test_a_disk_without_room_is_said_before_anything_is_copied(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(PROJECT / "plugins")
        import copying

        def cannot_clone(*_):
            raise OSError

        monkeypatch.setattr(copying.fcntl, "ioctl", cannot_clone)
        monkeypatch.setattr(copying.shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000_000))
        (tmp_path / "large").write_bytes(bytes(30_000_000))
        with pytest.raises(OSError, match=r"has 0\.02 GB free and needs 0\.03 GB"):
            copying.copy_file(tmp_path / "large", tmp_path / "copy")
        assert (tmp_path / "copy").stat().st_size == 0

    def test_everything_is_on_the_disk_before_a_name_points_to_it(self, publish, tmp_path, monkeypatch):
        """In the order of the calls: the files of a folder, the folder, and the swap that makes them seen."""
        done = []
        sync, replace = os.fsync, Path.replace

        def recorded_sync(descriptor):
            done.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path).as_posix()))
            sync(descriptor)

        def recorded_replace(path, target):
            done.append(("replace", Path(target).relative_to(tmp_path).as_posix()))
            return replace(path, target)

        monkeypatch.setattr(os, "fsync", recorded_sync)
        monkeypatch.setattr(Path, "replace", recorded_replace)
        assert publish("second", 2) == ""
        assert done == [
            ("sync", "parquet_runs/second/figures.parquet"),
            ("sync", "parquet_runs/second"),
            ("sync", "parquet_runs"),
            ("replace", "usage.duckdb"),
            ("sync", "."),
            ("replace", "parquet"),
            ("sync", "."),
        ]


class TestLock:
    @pytest.fixture
    def holder(self, workbench):
        """A process that holds the lock of the workbench's warehouse."""

        def start(warehouse: Path) -> None:
            (warehouse / "build").mkdir(parents=True)
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", HOLD, warehouse / "build"],
                    env=os.environ | {"PYTHONPATH": str(PROJECT / "plugins")},
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            assert processes[0].stdout.readline() == "held\n"

        processes = []
        yield start, processes
        for process in processes:
            process.kill()
            process.wait()

    def test_the_second_run_says_who_holds_it_and_stops(self, build, holder):
        start, processes = holder
        stopped = build(BEFORE, prepare=start)
        assert stopped.exit_code != 0
        assert f"Another run works on {stopped.warehouse.parent / 'warehouse'}: process {processes[0].pid} on" in (
            stopped.output
        )
        assert "This one stops, and has changed nothing." in stopped.output
        assert not stopped.published.exists()

    def test_a_killed_holder_holds_nothing(self, build, holder):
        start, processes = holder

        def start_and_kill(warehouse: Path) -> None:
            start(warehouse)
            processes[0].kill()
            processes[0].wait()

        built = build(BEFORE, prepare=start_and_kill)
        assert built.exit_code == 0, built.output


class TestKills:
    def test_what_is_published_is_whole_whenever_a_run_is_killed_and_the_next_run_is_right(
        self, workbench, build, tmp_path
    ):
        """Runs that bring a warehouse up to date are killed at random moments; some get as far as publishing."""
        seed = random.randrange(1 << 32)
        print(f"{KILLS} kills, seed {seed}")
        moments = random.Random(seed)
        folders = [tmp_path / "before", tmp_path / "after"]
        for rows, folder in zip((BEFORE, AFTER), folders, strict=True):
            write_world(rows, folder, split=1, ragged=False)
        first = build(folders[0])
        started = time.monotonic()
        second = build(folders[1], onto=first, keep=False)
        longest = time.monotonic() - started
        whole = [contents(run.published) for run in (first, second)]

        def run_and_kill_many(warehouse: Path) -> None:
            for _ in range(KILLS):
                command = workbench.start(folders[1], tmp_path / "output.txt")
                time.sleep(moments.uniform(0, 1.1) * longest)
                command.kill()
                seen = contents(warehouse / "usage.duckdb")
                assert seen in whole
                if seen == whole[1]:
                    shutil.rmtree(warehouse)
                    shutil.copytree(first.warehouse, warehouse, symlinks=True)

        last = build(folders[1], onto=first, prepare=run_and_kill_many)
        assert last.exit_code == 0, last.output
        assert contents(last.published) == whole[1]
        left = sorted(path.name for path in last.warehouse.iterdir())
        assert left == ["build", "deliveries", "parquet", "parquet_runs", "usage.duckdb"]
