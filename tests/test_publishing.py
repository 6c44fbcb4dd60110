"""What people open is replaced whole, by a run that succeeded whole; one run at a time; a killed run does no harm."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import duckdb
import jinja2
import pytest
from builders import CUSTOMER, FIRST, connection, customer, job, recipe, world
from building import PROJECT
from dbt_common.exceptions import DbtRuntimeError
from power_loss import Recorder
from reference.files import write_world
from samples import sampled

# How many runs to kill at random moments; the seed is printed.
KILLS = int(os.environ.get("KILLS") or sampled(8))

AFTER = world(
    *(customer(f"new{n}") for n in range(3)),
    recipe("r", user_id="new0"),
    connection("c", user_id="new0", authorization_status="success"),
    *(job(f"j{n}", account_id=f"new{n % 3}") for n in range(50)),
    # delivered again, later, and completed in another month
    job("j-1", account_id=CUSTOMER, completed_at="2026-02-10T12:00:00Z", extracted_at="2026-03-31T12:00:00Z"),
)
TOLD = "select run_id from publication.runs order by started_at"
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
        first = build(FIRST, keep=False)  # whose path is told of
        assert first.exit_code == 0, first.output
        failed = build(AFTER, onto=first, vars={"task_terms": "T9"})
        part = build(AFTER, onto=failed, arguments=("--select", "runs"))
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
            # a customer, a recipe, a connection, a request, two jobs and their steps; then these, and what came later
            (extracts, "2026-03-31", 10, 10, 0, 0, True, True),
            (extracts, "2026-03-31", 10 + 3 + 1 + 1 + 51 + 102, 10 + 3 + 1 + 1 + 50 + 100, 3, 0, True, True),
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
    def runs(cls, build, sample):
        own = build(FIRST, onto=sample)
        assert own.exit_code == 0, own.output
        return sample, own, build(None, onto=own)

    def test_own_extracts_take_the_place_of_the_sample(self, runs):
        _, own, _ = runs
        assert own.column("select customer_id from marts.customer_details") == [CUSTOMER]

    def test_the_sample_never_takes_the_place_of_own_extracts(self, runs):
        _, own, lost = runs
        assert lost.exit_code != 0
        assert "EXTRACTS_DIR is not set, and " in lost.output
        assert "the sample would replace their figures" in lost.output
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
        ({"selector": "scheduled"}, ["--selector"]),
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
    assert answer_of("flags_that_forbid_publishing", invocation_args_dict=PLAIN | given) == forbidding


@pytest.mark.parametrize(
    ("ran", "forbidding"),
    [
        (["model.a", "model.b", "seed.c", "test.d", "operation.e"], []),
        (["model.a", "model.b", "seed.c"], []),  # tests may be left out
        (["model.b", "seed.c", "test.d"], ["1 models and seeds did not run, such as a"]),
        ([], ["3 models and seeds did not run, such as a"]),
    ],
)
def test_a_run_that_left_a_model_out_is_not_published_whatever_its_flags_say(ran, forbidding):
    """``dbt retry`` looks like a build: it took new files in, ran what had failed before, and was published."""
    nodes = {
        name: {"unique_id": name, "name": name[-1], "resource_type": name[:-2]}
        for name in ("model.a", "model.b", "seed.c", "test.d")
    }
    results = [SimpleNamespace(node=SimpleNamespace(unique_id=name)) for name in ran]
    assert answer_of("nodes_left_out", results, graph={"nodes": nodes}) == forbidding


def answer_of(macro, *arguments, **context):
    """What a macro of publishing returns, without dbt."""
    answers = []
    macros = (PROJECT / "macros" / "publishing" / "publish.sql").read_text(encoding="utf-8")
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    module = environment.from_string(macros, globals=context | {"return": answers.append}).module
    getattr(module, macro)(*arguments)
    return answers[0]


@pytest.mark.parametrize(
    ("changed", "decides"),
    [
        ("models/staging/stg_jobs.sql", "facts"),
        ("models/_sources/_extracts.yml", "facts"),  # the contract says what is quarantined
        ("macros/materializations/table.sql", "facts"),
        ("seeds/rules/status_words.csv", "facts"),
        ("seeds/rules/recipe_types.csv", "jobs"),
        ("seeds/rules/overrides/override_recipe_types.csv", "jobs"),
        ("seeds/rules/task_rules.csv", "decisions"),
        ("seeds/rules/overrides/override_metrics.csv", "decisions"),
        ("models/staging/stg_jobs.yml", None),
        ("seeds/extracts/raw_jobs.csv", None),
        ("docs/upgrading.md", None),
    ],
)
def test_a_run_sees_that_the_code_changed_which_decides_on_figures(changed, decides, publishing, tmp_path):
    """And of which decisions. A new file is a change, too."""
    digests = [json.loads(publishing.code_digests(str(tmp_path), '["recipe_types"]'))]
    path = tmp_path / changed
    path.parent.mkdir(parents=True)
    for text in ("one", "two"):
        path.write_text(text, encoding="utf-8")
        digests.append(json.loads(publishing.code_digests(str(tmp_path), '["recipe_types"]')))
    for level in ("facts", "jobs", "decisions"):
        assert len({digest[level] for digest in digests}) == (3 if decides == level else 1), level


WRITE = """
import duckdb, os, signal, sys
database = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
if sys.argv[2] == "write and die":
    database.execute("set wal_autocheckpoint = '1TB'; create schema landing; update marts.figures set tasks = 1000")
    os.kill(os.getpid(), signal.SIGKILL)
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def publishing(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    import publishing

    return publishing


def compute(warehouse: Path, run_id: str, tasks: int, file: str = "figures") -> None:
    """A build database with one figure, and what a run writes beside it before it publishes."""
    told = warehouse / "deliveries" / "runs.json"
    listed = [json.loads(line)["run_id"] for line in told.read_text().splitlines()] if told.exists() else []
    build = warehouse / "build"
    shutil.rmtree(build, ignore_errors=True)
    (build / "parquet").mkdir(parents=True)
    with duckdb.connect(build / "usage.duckdb", config={"default_block_size": "16384"}) as built:
        built.execute("create schema marts; create schema run_state; create schema publication")
        built.execute("create table marts.figures as select ? as tasks", [tasks])
        built.execute("create table run_state.watermark as select ? as run_id", [run_id])
        built.execute(
            "create table publication.runs as select unnest(?) as run_id, now() as published_at, now() as started_at",
            [[*listed, run_id]],
        )
        built.execute(f"copy marts.figures to '{build / 'parquet' / file}.parquet'")
        built.execute(f"copy publication.runs to '{build / 'runs.json'}' (format json)")


def readers_see(warehouse: Path) -> tuple[int, list[str]]:
    """The figure, and the runs that the published file tells of."""
    with duckdb.connect(warehouse / "usage.duckdb", read_only=True) as published:
        (tasks,) = published.execute("select tasks from marts.figures").fetchone()
        return tasks, [run_id for (run_id,) in published.execute("select run_id from publication.runs").fetchall()]


class TestPublishedFile:
    """What stands beside the published file, who has it open, and what a crash leaves. The function alone, no build."""

    @pytest.fixture
    def publish(self, tmp_path, publishing):
        """Publishes a database with one figure and one Parquet file, and returns what is said."""

        def publish(run_id, tasks, file="figures"):
            compute(tmp_path, run_id, tasks, file)
            return publishing.publish_warehouse(
                str(tmp_path / "build" / "usage.duckdb"), str(tmp_path / "usage.duckdb"), run_id
            )

        assert publish("first", 1) == []
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

    def test_a_log_that_a_killed_writer_left_is_not_replayed_onto_the_new_file(self, publish, opened, tmp_path):
        opened("write and die").wait()
        assert (tmp_path / "usage.duckdb.wal").exists()
        (said,) = publish("second", 2)
        assert said.startswith(f"A program wrote to {tmp_path / 'usage.duckdb'} and did not close it. Its log is ")
        assert readers_see(tmp_path) == (2, ["first", "second"])
        assert (tmp_path / "usage.duckdb.left-over-wal").exists()
        assert publish("third", 3) == []
        assert readers_see(tmp_path) == (3, ["first", "second", "third"])

    def test_nothing_is_replaced_while_another_process_writes_to_it(self, publish, publishing, opened, tmp_path):
        writer = opened("write")
        before = (tmp_path / "usage.duckdb").read_bytes()
        with pytest.raises(publishing.PublishingFailed) as failed:
            publish("second", 2)
        assert str(failed.value) == (
            f"Not published: process {writer.pid} has {tmp_path / 'usage.duckdb'} open for writing: close it there, "
            "and run again"
        )
        assert (tmp_path / "usage.duckdb").read_bytes() == before
        assert not (tmp_path / "usage.duckdb.new").exists()

    def test_readers_are_no_hindrance(self, publish, opened, tmp_path):
        opened("read")
        assert publish("second", 2) == []
        assert readers_see(tmp_path) == (2, ["first", "second"])

    def test_of_the_runs_before_only_the_last_ones_files_are_kept(self, publish, tmp_path):
        for run_id, tasks in (("second", 2), ("third", 3)):
            assert publish(run_id, tasks) == []
            assert (tmp_path / "parquet").resolve() == tmp_path / "parquet_runs" / run_id
        assert {path.name for path in (tmp_path / "parquet_runs").iterdir()} == {"second", "third"}

    def test_permissions_stay_as_they_were_set(self, publish, tmp_path):
        for path, mode in (("usage.duckdb", 0o600), ("parquet", 0o710), ("parquet/figures.parquet", 0o640)):
            (tmp_path / path).chmod(mode)

        def modes(*paths):
            return [oct((tmp_path / path).stat().st_mode & 0o777) for path in paths]

        assert publish("second", 2) == []
        assert modes("usage.duckdb", "parquet", "parquet/figures.parquet") == ["0o600", "0o710", "0o640"]
        assert publish("third", 3, file="more") == []
        assert modes("parquet", "parquet/more.parquet") == ["0o710", "0o640"]

    def test_what_a_run_left_that_was_killed_while_it_copied_is_removed(self, publish, tmp_path):
        (tmp_path / "usage.duckdb.new").write_bytes(b"half a copy")
        assert publish("second", 2) == []
        assert sorted(path.name for path in tmp_path.glob("usage.*")) == ["usage.duckdb"]

    def test_a_copying_process_that_is_killed_is_said_and_leaves_nothing(
        self, publish, publishing, tmp_path, monkeypatch
    ):
        killed = tmp_path / "killed.py"
        killed.write_text(
            "import os, sys; open(sys.argv[2], 'w').write('half'); os.kill(os.getpid(), 9)", encoding="utf-8"
        )
        monkeypatch.setattr(publishing, "COPYING", killed)
        with pytest.raises(publishing.PublishingFailed, match=r"^Not published: .* process ended with -9$"):
            publish("second", 2)
        assert sorted(path.name for path in tmp_path.glob("usage.*")) == ["usage.duckdb"]
        assert [path.name for path in (tmp_path / "parquet_runs").iterdir()] == ["first"]
        assert [path.name for path in (tmp_path / "deliveries").iterdir()] == ["runs.json"]
        assert readers_see(tmp_path) == (1, ["first"])

    @pytest.fixture
    def large(self, tmp_path):
        """A build database, sparse, and the place of its copy."""
        (tmp_path / "build").mkdir()
        with (tmp_path / "build" / "usage.duckdb").open("wb") as file:
            file.truncate(30_000_000)
        return tmp_path / "build" / "usage.duckdb", tmp_path / "usage.duckdb.new"

    @pytest.fixture
    def full_disk(self, publishing, monkeypatch):
        """Lets the disk seem nearly full, on a file system that clones no file."""
        import copying

        def cannot_clone(*_):
            raise OSError

        def fill():
            monkeypatch.setattr(copying.fcntl, "ioctl", cannot_clone)
            monkeypatch.setattr(copying.shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000_000))

        return fill

    def test_a_disk_without_room_is_said_before_anything_is_copied(self, publishing, full_disk, large):
        import copying

        copying.copy_file(*large)
        full_disk()
        with pytest.raises(OSError, match=r"has 0\.02 GB free and needs 0\.03 GB"):
            copying.copy_file(*large)
        assert large[1].stat().st_size == 0

    def test_a_run_does_not_begin_where_it_could_not_be_published(self, publishing, full_disk, large, tmp_path):
        """Otherwise the engine would fill the disk, and the next run could not even start."""
        publishing.require_room(large[0])
        publishing.require_room(tmp_path / "nothing built yet" / "usage.duckdb")
        full_disk()
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(DbtRuntimeError) as refused:
            publishing.require_room(large[0])
        assert refused.value.msg == (
            f"This run cannot be published: {tmp_path} has 0.02 GB free and needs 0.03 GB. Free some space and run "
            "again. Nothing was changed."
        )
        assert sorted(tmp_path.rglob("*")) == before

    def test_where_a_file_is_cloned_a_copy_needs_no_room(self, publishing, full_disk, large, monkeypatch):
        full_disk()
        monkeypatch.setattr("copying.fcntl.ioctl", lambda *_: 0)
        publishing.require_room(large[0])
        assert not large[1].exists()

    @pytest.mark.parametrize("what", ["folder", "file", "link to nowhere", "nothing"])
    def test_parquet_may_be_anything_after_a_restore(self, what, publish, publishing, tmp_path):
        """It becomes a link again, and the run is published: it was said that it isn't, though it was."""
        parquet = tmp_path / "parquet"
        target = parquet.readlink()
        parquet.unlink()
        if what == "folder":
            shutil.copytree(tmp_path / target, parquet)
        elif what == "file":
            parquet.write_text("../parquet_runs/first")
        elif what == "link to nowhere":
            parquet.symlink_to("/nowhere/parquet_runs/first")
        said = publish("second", 2)
        assert bool(said) == (what in ("folder", "file"))
        assert all(
            text.startswith(f"{parquet} was not a link, as after some restores. It is kept as ") for text in said
        )
        assert parquet.readlink() == Path("parquet_runs/second")
        assert readers_see(tmp_path) == (2, ["first", "second"])
        publish("third", 3)
        assert {path.name for path in (tmp_path / "parquet_runs").iterdir()} == {"second", "third"}

    def test_what_goes_wrong_after_the_replacement_is_not_said_to_be_unpublished(
        self, publish, publishing, tmp_path, monkeypatch
    ):
        def full(*_):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(publishing, "point", full)
            with pytest.raises(publishing.PublishingFailed) as failed:
                publish("second", 2)
        assert str(failed.value) == (
            f"{tmp_path / 'usage.duckdb'} is published, but the files beside it could not be replaced: [Errno 28] No "
            "space left on device. The next run completes it."
        )
        assert readers_see(tmp_path) == (2, ["first", "second"])
        assert publishing.finish_publishing(tmp_path / "usage.duckdb") == []
        assert (tmp_path / "parquet").readlink() == Path("parquet_runs/second")


class TestListOfRuns:
    """It is kept with the deliveries. Beside it only the id of the published run is read back."""

    @pytest.fixture
    def publish(self, tmp_path, publishing):
        def publish(run_id, tasks):
            publishing.finish_publishing(tmp_path / "usage.duckdb")
            compute(tmp_path, run_id, tasks)
            return publishing.publish_warehouse(
                str(tmp_path / "build" / "usage.duckdb"), str(tmp_path / "usage.duckdb"), run_id
            )

        assert publish("first", 1) == []
        return publish

    @pytest.mark.parametrize("damaged", ["parquet/figures.parquet", "parquet/runs.parquet", "usage.duckdb"])
    def test_nothing_else_that_was_published_is_read(self, damaged, publish, tmp_path):
        """An empty file after a power cut stopped every later run."""
        (tmp_path / damaged).write_bytes(b"")
        assert publish("second", 2) == []
        assert readers_see(tmp_path) == (2, ["first", "second"])

    def test_a_backup_of_the_deliveries_has_it(self, publish, tmp_path):
        for path in tmp_path.iterdir():
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.name != "deliveries":
                shutil.rmtree(path)
        assert publish("second", 2) == []
        assert readers_see(tmp_path) == (2, ["first", "second"])

    @pytest.mark.parametrize("damaged", [b"", b"{", b"[]\n", b'{"run": 1}\n', b"\xff"])
    def test_one_that_cannot_be_read_stops_the_run_and_says_what_to_do(self, damaged, publish, tmp_path):
        told = tmp_path / "deliveries" / "runs.json"
        told.write_bytes(damaged)
        with pytest.raises(DbtRuntimeError, match=r"The list of runs .*runs\.json cannot be read\. Restore it"):
            publish("second", 2)
        told.unlink()  # as it says
        assert publish("second", 2) == []
        assert readers_see(tmp_path) == (2, ["first", "second"])

    def test_a_writer_of_the_published_file_is_asked_to_leave_only_where_a_run_was_killed(
        self, publish, publishing, tmp_path
    ):
        command = [sys.executable, "-c", WRITE, tmp_path / "usage.duckdb", "write"]
        writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "open\n"
        assert publishing.finish_publishing(tmp_path / "usage.duckdb") == []
        pending = tmp_path / "deliveries" / "runs.second.json"
        pending.write_text('{"run_id": "second"}\n')
        with pytest.raises(DbtRuntimeError, match=f"Process {writer.pid} has .* open for writing: close it there"):
            publishing.finish_publishing(tmp_path / "usage.duckdb")
        assert pending.exists()
        writer.communicate()
        assert publish("third", 3) == []
        assert readers_see(tmp_path) == (3, ["first", "third"])


class TestPowerLoss:
    """Killed, or without power, between any two steps: readers see one whole run, and the next run is right."""

    @pytest.fixture
    def warehouse(self, tmp_path, publishing, monkeypatch):
        """One run was published; another one is computed. Copying is no process of its own here, and has two halves."""
        warehouse = tmp_path / "warehouse"
        warehouse.mkdir()
        recorders = []

        def copy(command, **_):
            import copying

            source, target = map(Path, command[2:])
            if recorders:
                target.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
                recorders[0].point("the second half of the copy")
            copying.copy_file(source, target)
            return SimpleNamespace(returncode=0)

        monkeypatch.setattr(publishing, "subprocess", SimpleNamespace(run=copy))

        def publish(run_id, warehouse=warehouse):
            return publishing.publish_warehouse(
                str(warehouse / "build" / "usage.duckdb"), str(warehouse / "usage.duckdb"), run_id
            )

        def points(run_id):
            unsynced = ("build/parquet/figures.parquet", "build/runs.json")  # DuckDB writes them and syncs nothing
            recorders.append(Recorder(warehouse, unsynced))
            found = recorders[0].points(lambda: publish(run_id), tmp_path / "points")
            recorders.clear()
            return found

        compute(warehouse, "first", 1)
        publish("first")
        compute(warehouse, "second", 2)
        return SimpleNamespace(folder=warehouse, publish=publish, points=points)

    @staticmethod
    def judge(point, publishing, publish):
        """Everything that a reader, the start of the next run, and that run itself find at a point; the figure then."""
        before = {1: ["first"], 1000: ["first"], 2: ["first", "second"]}
        tasks, runs = readers_see(point)
        assert runs == before[tasks]
        parquet = point / "parquet" / "figures.parquet"
        if (point / "parquet").exists():
            assert duckdb.sql(f"from '{parquet}'").fetchone()[0] in (1, 2)

        publishing.finish_publishing(point / "usage.duckdb")
        tasks, _ = now = readers_see(point)
        assert now == (tasks, runs)
        assert duckdb.sql(f"from '{parquet}'").fetchone() == (len(runs),)
        told = (point / "deliveries" / "runs.json").read_text().splitlines()
        assert [json.loads(line)["run_id"] for line in told] == runs
        left = {path.name for path in point.iterdir() if not path.name.startswith("usage.duckdb.")}
        assert left == {"build", "deliveries", "parquet", "parquet_runs", "usage.duckdb"}
        logs = {path.name for path in point.glob("usage.duckdb.*")}
        assert logs in {1: [set()], 1000: [{"usage.duckdb.wal"}], 2: [set(), {"usage.duckdb.left-over-wal"}]}[tasks]
        assert [path.name for path in (point / "deliveries").iterdir()] == ["runs.json"]
        assert {path.name for path in (point / "parquet_runs").iterdir() if "before-" not in path.name} <= {*runs}

        compute(point, "third", 3)
        publish("third", point)
        assert readers_see(point) == (3, [*runs, "third"])
        assert duckdb.sql(f"from '{parquet}'").fetchone() == (3,)
        assert not (point / "usage.duckdb.wal").exists()
        return tasks

    def test_at_every_step_of_publishing(self, warehouse, publishing):
        points = warehouse.points("second")
        seen = [self.judge(point, publishing, warehouse.publish) for point in points]
        assert len(points) >= 50
        assert {*seen} == {1, 2}

    def test_where_parquet_is_a_folder_and_a_killed_writer_left_its_log(self, warehouse, publishing):
        """The log stays with the file that it belongs to, or is put aside: what it holds is never in the new file."""
        parquet = warehouse.folder / "parquet"
        target = parquet.readlink()
        parquet.unlink()
        shutil.copytree(warehouse.folder / target, parquet)
        writing = subprocess.run([sys.executable, "-c", WRITE, warehouse.folder / "usage.duckdb", "write and die"])
        assert writing.returncode == -9
        seen = [self.judge(point, publishing, warehouse.publish) for point in warehouse.points("second")]
        assert {*seen} == {1000, 2}


class TestLock:
    @pytest.fixture
    def holder(self):
        """A process that holds the lock of a warehouse."""

        def start(warehouse: Path) -> None:
            (warehouse / "build").mkdir(parents=True, exist_ok=True)
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", HOLD, warehouse / "build"],
                    env=os.environ | {"PYTHONPATH": str(PROJECT / "plugins")},
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            assert processes[-1].stdout.readline() == "held\n"

        processes = []
        yield start, processes
        for process in processes:
            process.kill()
            process.wait()

    def test_the_second_run_says_who_holds_it_and_stops(self, build, holder):
        start, processes = holder
        stopped = build(FIRST, prepare=start)
        assert stopped.exit_code != 0
        assert f"Another run uses {stopped.warehouse.parent / 'warehouse'}: process {processes[0].pid} on" in (
            stopped.output
        )
        assert "This run stops and has changed nothing." in stopped.output
        assert not stopped.published.exists()

    def test_a_killed_holder_holds_nothing(self, holder, tmp_path):
        start, processes = holder
        start(tmp_path)
        processes[0].kill()
        processes[0].wait()
        start(tmp_path)


class TestKills:
    """Runs that bring a warehouse up to date are killed, some at random moments and then two beside the swap; one ends.

    They are compared with a run that nobody disturbed.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, workbench, build, tmp_path_factory):
        folder = tmp_path_factory.mktemp("after")
        output = folder.with_name("output.txt")
        write_world(AFTER, folder, split=1, ragged=False)
        first = build(FIRST)
        before = contents(first.published)
        started = time.monotonic()
        undisturbed = build(folder, onto=first, keep=False)
        longest = time.monotonic() - started
        cls.beside_the_swap, cls.at_random = [], []
        seed = random.randrange(1 << 32)
        print(f"{KILLS} kills, seed {seed}")
        moments = random.Random(seed)

        def kill_many(warehouse):
            for _ in range(KILLS):
                command = workbench.start(folder, output)
                time.sleep(moments.uniform(0, 1.1) * longest)
                command.kill()
                cls.at_random.append(contents(warehouse / "usage.duckdb"))
                if cls.at_random[-1] != before:
                    shutil.rmtree(warehouse)
                    shutil.copytree(first.warehouse, warehouse, symlinks=True)
            for moment in ("replace usage.duckdb", "replace runs.json"):
                command = workbench.start(folder, output, env={"KILLED_BEFORE": moment})
                assert command.wait() == -signal.SIGKILL
                with duckdb.connect(warehouse / "usage.duckdb", read_only=True) as published:
                    cls.beside_the_swap.append(published.execute(TOLD).fetchall())
            cls.after_the_swap = contents(warehouse / "usage.duckdb")

        last = build(folder, onto=first, prepare=kill_many)
        assert last.exit_code == 0, last.output
        return first, undisturbed, last

    def test_what_is_published_is_whole_whenever_a_run_is_killed(self, runs):
        first, undisturbed, _ = runs
        whole = [contents(run.published) for run in (first, undisturbed)]
        assert len(self.at_random) == KILLS
        assert [seen for seen in self.at_random if seen not in whole] == []

    def test_the_next_run_is_right_and_nothing_is_left_over(self, runs):
        _, undisturbed, last = runs
        assert self.after_the_swap == contents(last.published) == contents(undisturbed.published)
        left = sorted(path.name for path in last.warehouse.iterdir())
        assert left == ["build", "deliveries", "parquet", "parquet_runs", "usage.duckdb"]
        assert last.column("select count(*) from metering.metered_jobs") == [52]

    def test_a_run_that_is_killed_beside_the_swap_is_told_of_if_readers_saw_it(self, runs):
        """Just before it the run is as if it had never been, just after it the run was published."""
        *_, last = runs
        assert [len(told) for told in self.beside_the_swap] == [1, 2]
        assert last.rows(TOLD)[:2] == self.beside_the_swap[1]
        assert len(last.rows(TOLD)) == 3
        assert last.column(f"select run_id from '{last.warehouse}/parquet/runs.parquet' order by started_at") == (
            last.column(TOLD)
        )
