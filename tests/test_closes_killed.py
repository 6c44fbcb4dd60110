"""A close, or a run after one, may be killed or lose power at any moment: it happened wholly or not at all.

The next close and the next run work, and nothing is restated twice.
"""

import contextlib
import importlib.util
import io
import json
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from builders import SALESFORCE, TRIGGER, customer, job, world
from building import PROJECT, Workbench, close
from dbt_forks import ADDRESS
from power_loss import Recorder
from reference.files import write_world
from test_publishing import compute

FEBRUARY, MARCH = "2026-02-10T12:00:00Z", "2026-03-10T12:00:00Z"
LATER = "2026-04-02T22:00:00Z"
WORLD = world(
    customer(created_at=FEBRUARY),
    job("february", completed_at=FEBRUARY),
    job("march", extracted_at="2026-04-01T22:00:00Z"),
)
# A job of 2 business actions and a task, beside one of the same in March.
RESTATED = [("business_actions", "late_delivery", 2, 4), ("tasks", "late_delivery", 1, 2)]
LATE = world(job("late", TRIGGER, SALESFORCE, extracted_at=LATER), with_required=False)


@pytest.fixture(scope="module")
def closing():
    """scripts/close_month.py as a module."""
    specification = importlib.util.spec_from_file_location("close_month", PROJECT / "scripts" / "close_month.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def plugins(closing):
    import closes
    import publishing

    return SimpleNamespace(closes=closes, publishing=publishing)


def distinct(points):
    """The points without those that a power cut leaves as an earlier one: {point: others that are the same}."""
    found = {}
    for point in points:
        paths = sorted(point.rglob("*"))
        content = [
            (path.relative_to(point), path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes())
            for path in paths
        ]
        found.setdefault(str(content), []).append(point)
    return {same[0]: same for same in found.values()}


@pytest.fixture(scope="module")
def first(build):
    built = build(WORLD)
    assert built.exit_code == 0, built.output
    return built


class TestClose:
    """``make close`` in this process. The published file is a link, which nothing that closes a month changes."""

    @pytest.fixture
    def run_close(self, closing, tmp_path, monkeypatch):
        """Closes a month of a warehouse with a project of one file; returns the exit code and what is printed."""
        project = tmp_path / "project"
        project.mkdir()
        (project / "dbt_project.yml").write_text("name: small\n", encoding="utf-8")
        published = closing.project_digests(PROJECT)
        monkeypatch.setattr(closing, "PROJECT", project)
        monkeypatch.setattr(closing, "project_digests", lambda _: published)

        def run_close(warehouse, month):
            monkeypatch.setenv("WAREHOUSE_DIR", str(warehouse))
            monkeypatch.setattr(sys, "argv", ["close_month.py", f"--month={month}", "--force=1"])
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                code = closing.main()
            return code, printed.getvalue()

        return run_close

    @pytest.fixture
    def warehouse(self, first, tmp_path):
        warehouse = tmp_path / "warehouse"
        (warehouse / "deliveries").mkdir(parents=True)
        shutil.copy(first.warehouse / "deliveries" / "runs.json", warehouse / "deliveries")
        (warehouse / "usage.duckdb").symlink_to(first.published)
        return warehouse

    @pytest.mark.parametrize("earlier", [[], ["2026-02"]], ids=["the first", "one of two"])
    def test_is_there_wholly_or_not_at_all(self, earlier, warehouse, run_close, plugins, tmp_path):
        for month in earlier:
            assert run_close(warehouse, month)[0] == 0
        answers = []
        points = Recorder(warehouse).points(
            lambda: answers.append(run_close(warehouse, "2026-03")), tmp_path / "points"
        )
        assert answers[0][0] == 0, answers[0][1]
        seen = {}
        for point, same in distinct(points).items():
            seen |= dict.fromkeys(same, self.judge(point, earlier, run_close, plugins))
        assert len(points) >= 40
        assert {*seen.values()} == {False, True}
        at_the_end = [was_closed for point, was_closed in seen.items() if " the end" in point.name]
        assert at_the_end == [True] * 4  # killed, and three power cuts

    @staticmethod
    def judge(point, earlier, run_close, plugins):
        """Whether March was closed at this point; then it is closed, as what follows must be able to."""
        found = plugins.closes.open_closes(point)
        was_closed = found.of_month("2026-03") is not None
        assert [close["month"] for close in found.closes] == [*earlier, *(["2026-03"] if was_closed else [])], point
        code, printed = run_close(point, "2026-03")
        assert (code, "2026-03 is closed since" in printed) == ((1, True) if was_closed else (0, False)), point
        answer = json.loads(plugins.closes.closed_months(str(point / "closes")))
        assert answer["problem"] is None
        assert len(answer["figures"]) == len(earlier) + 1
        run = duckdb.connect(point / "usage.duckdb", read_only=True).execute("select run_id from run_state.watermark")
        assert answer["state"]["run_id"] == run.fetchone()[0]
        assert not any((point / "closes").glob("state.*.json"))
        return was_closed


def inputs(run, project, restated):
    return {
        "as_of_date": "2026-03-31",
        "loads": {"a": 1} | ({} if run == "first" else {run: 2}),
        "options": {},
        "rules": "r",
        "code": "c",
        "source": "deliveries",
        "restated": restated,
        "project": str(project),
    }


class TestPublication:
    """The function that publishes a run with a restatement of a closed month, killed or without power at any step."""

    @pytest.fixture
    def warehouse(self, tmp_path, plugins, monkeypatch):
        """One run is published and March is closed; the second run restates its figure from 1 to 2."""
        warehouse, project = tmp_path / "warehouse", tmp_path / "project"
        warehouse.mkdir()
        project.mkdir()
        (project / "dbt_project.yml").write_text("name: small\n", encoding="utf-8")

        def copy(command, **_):
            import copying

            copying.copy_file(*map(Path, command[2:]))
            return SimpleNamespace(returncode=0)

        monkeypatch.setattr(plugins.publishing, "subprocess", SimpleNamespace(run=copy))

        def prepare(folder, run, tasks):
            """What a run computes: a figure, and what it changes since the closed figure and all restatements."""
            compute(folder, run, tasks)
            known = 1 + sum(after - before for before, after in self.restated(folder, plugins))
            with duckdb.connect() as engine:
                rows = f"select {known} as retracted, {tasks} as restated where {known} <> {tasks}"
                engine.execute(f"copy ({rows}) to '{folder / 'build' / 'restatements.parquet'}'")
            return inputs(run, project, int(known != tasks))

        def publish(folder, run, told):
            target = folder / "usage.duckdb"
            return plugins.publishing.publish_warehouse(
                str(folder / "build" / "usage.duckdb"), str(target), run, json.dumps(told) if told else ""
            )

        compute(warehouse, "first", 1)
        publish(warehouse, "first", None)
        closes = plugins.closes.Closes(warehouse / "closes")
        incoming = closes.root / ".incoming"
        incoming.mkdir(parents=True)
        (incoming / "figures.parquet").write_bytes(b"1")
        told = inputs("first", project, 0)
        manifest = {"month": "2026-03", "closed_at": "", "run_id": "first", "files": {"figures.parquet": {"rows": 1}}}
        plugins.closes.write_close(closes, manifest | told, incoming)
        return SimpleNamespace(folder=warehouse, prepare=prepare, publish=publish)

    @staticmethod
    def restated(warehouse, plugins):
        """(before, after) of all restatements that count."""
        found = plugins.closes.open_closes(warehouse) if (warehouse / "closes").exists() else None
        files = found.restatements() if found else []
        return [row for file in files for row in duckdb.sql(f"from '{file}'").fetchall()]

    def test_restates_with_the_published_file_or_not_at_all(self, warehouse, plugins, tmp_path):
        told = warehouse.prepare(warehouse.folder, "second", 2)
        unsynced = ("build/parquet/figures.parquet", "build/runs.json", "build/restatements.parquet")
        points = Recorder(warehouse.folder, unsynced).points(
            lambda: warehouse.publish(warehouse.folder, "second", told), tmp_path / "points"
        )
        seen = [self.judge(point, warehouse, plugins) for point in distinct(points)]
        assert len(points) >= 60
        assert {*seen} == {1, 2}

    def judge(self, point, warehouse, plugins):
        """What the start of the next run, and that run, find; the published figure then."""
        (tasks,) = self.published(point, "select tasks from marts.figures")
        plugins.publishing.finish_publishing(point / "usage.duckdb")
        assert self.published(point, "select tasks from marts.figures") == (tasks,)
        self.assert_agrees(point, plugins, [(1, 2)] if tasks == 2 else [])
        warehouse.publish(point, "third", warehouse.prepare(point, "third", 2))
        self.assert_agrees(point, plugins, [(1, 2)])  # by the second run or the third, never by both
        warehouse.publish(point, "fourth", warehouse.prepare(point, "fourth", 5))
        self.assert_agrees(point, plugins, [(1, 2), (2, 5)])
        return tasks

    def assert_agrees(self, point, plugins, restated):
        """The published file, the state and the restatements are of one run, and nothing else is left."""
        closes = plugins.closes.open_closes(point)
        assert self.published(point, "select run_id from run_state.watermark") == (closes.state["run_id"],), point
        assert self.restated(point, plugins) == restated, point
        assert not any(closes.root.glob("state.*.json"))
        assert set(closes.root.glob("restatements/*")) == set(closes.restatements())

    @staticmethod
    def published(point, query):
        with duckdb.connect(point / "usage.duckdb", read_only=True) as published:
            return published.execute(query).fetchone()


def add_up(built):
    """The figure at the close and all restatements are the current figure."""
    assert not built.rows(
        "select usage_month, customer_id, metric, call_type from ("
        "select usage_month, customer_id, metric, call_type, quantity from marts.usage_closes union all "
        "select usage_month, customer_id, metric, call_type, restated_quantity - retracted_quantity "
        "from marts.usage_restatements union all "
        "select usage_month, customer_id, metric, call_type, -quantity from marts.monthly_figures "
        "where usage_month in (select usage_month from marts.usage_closes)) group by all having sum(quantity) <> 0"
    )


class TestRun:
    """Real runs that are killed beside the swap of the published file; then one in which runs in between are killed."""

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, tmp_path_factory, forks, first):
        bench = Workbench(tmp_path_factory.mktemp("killed"), forks)
        shutil.copytree(first.warehouse, bench.folder / "closed", symlinks=True)
        cls.closed = replace(first, warehouse=bench.folder / "closed", key=None)
        answer = close(cls.closed.warehouse, "2026-03", force="1")
        assert answer.returncode == 0, answer.stdout
        for name, rows in (("first", WORLD), ("late", LATE)):
            write_world(rows, bench.extracts, split=1, ragged=False, name=name)
        return bench

    def test_a_run_killed_beside_the_swap_restates_once(self, bench):
        restated = []

        def kill(warehouse):
            for moment in ("replace usage.duckdb", "replace state.json", "replace runs.json"):
                command = bench.start(bench.extracts, bench.folder / "output.txt", env={"KILLED_BEFORE": moment})
                assert command.wait() == -signal.SIGKILL, (bench.folder / "output.txt").read_text()
                with duckdb.connect(warehouse / "usage.duckdb", read_only=True) as published:
                    restated.append(published.execute("select count(*) from marts.usage_restatements").fetchone()[0])

        built = bench.build(bench.extracts, onto=self.closed, prepare=kill)
        assert built.exit_code == 0, built.output
        assert restated == [0, 2, 2]
        rows = "select metric, cause, retracted_quantity, restated_quantity from marts.usage_restatements order by all"
        assert built.rows(rows) == RESTATED
        add_up(built)
        state = json.loads((built.warehouse / "closes" / "state.json").read_text())
        assert [state["run_id"]] == built.column("select run_id from run_state.watermark")
        files = {path.stem for path in (built.warehouse / "closes" / "restatements").iterdir()}
        assert files == {run["run_id"] for run in state["restatements"]}
        assert len(files) == 1

    def test_a_run_in_between_that_is_killed_leaves_nothing_after_the_next_run(self, bench):
        options, left = {"task_terms": "T1"}, []

        def kill(warehouse):
            # the runs in between as users have them, in processes of their own
            command = bench.start(bench.extracts, bench.folder / "output.txt", options, {ADDRESS: ""})
            until = time.monotonic() + 120
            while not list(warehouse.glob("replaying-*/warehouse/build/usage.duckdb.wal")):
                assert time.monotonic() < until, (bench.folder / "output.txt").read_text()
                time.sleep(0.02)
            command.kill()
            left.extend(warehouse.glob("replaying-*"))

        built = bench.build(bench.extracts, onto=self.closed, vars=options, env={ADDRESS: ""}, prepare=kill)
        assert built.exit_code == 0, built.output
        assert len(left) == 1
        assert list(built.warehouse.glob("replaying-*")) == []
        causes = built.column("select distinct cause from marts.usage_restatements order by all")
        assert causes == ["late_delivery", "option_change"]
        add_up(built)
