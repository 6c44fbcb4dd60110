"""What is said of long work: a rewritten line on a terminal, plain lines in a log, nothing when quiet."""

import io
import json
import sys
from types import SimpleNamespace

import pytest
from builders import FIRST, customer, job, world
from conftest import PROJECT
from reference.files import write_text

sys.path.append(str(PROJECT / "plugins"))

import progress as said
from build_progress import MEASURED, Build, Watch, _ClearBefore
from deliveries import ingest_deliveries, verify_store

CLEAR = "\r\x1b[K"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Broken(io.StringIO):
    def write(self, text):
        raise OSError("no space left")


def in_log(**options):
    clock, lines = Clock(), []
    return said.Progress(lines.append, None, clock, **options), clock, lines


def on_terminal(stream=None):
    clock, lines, stream = Clock(), [], stream or io.StringIO()
    return said.Progress(lines.append, stream, clock), clock, lines, stream


# ------------------------------------------------------------------------------------------------------- when and where


def test_a_log_gets_a_line_after_two_seconds_and_then_every_ten():
    progress, clock, lines = in_log()
    for second in range(25):
        clock.now = 100 + second
        progress.show(f"at {second}")
    assert lines == ["at 2", "at 12", "at 22"]


def test_work_that_is_short_says_nothing_but_its_lines():
    progress, clock, lines = in_log()
    progress.line("begins")
    clock.now += 1.9
    progress.show("half")
    progress.line("ends")
    assert lines == ["begins", "ends"]


def test_the_patience_begins_anew_with_further_work():
    progress, clock, lines = in_log()
    clock.now += 60
    progress.begin()
    progress.show("at once")
    clock.now += 2
    progress.show("later")
    assert lines == ["later"]
    assert progress.elapsed == 2


def test_a_terminal_has_one_line_that_is_rewritten_at_most_five_times_a_second():
    progress, clock, lines, stream = on_terminal()
    for at in (102.0, 102.1, 102.25):
        clock.now = at
        progress.show(f"at {at}")
    assert stream.getvalue() == f"{CLEAR}at 102.0{CLEAR}at 102.25"
    assert lines == []


def test_the_status_line_is_gone_before_anything_else_is_written():
    progress, clock, lines, stream = on_terminal()
    clock.now = 102.0
    progress.show("half")
    progress.line("done")
    assert stream.getvalue() == f"{CLEAR}half{CLEAR}"
    assert lines == ["done"]
    clock.now = 105.0
    progress.clear()
    clock.now += said.GRACE / 2
    progress.show("too early, another thread may still be writing")
    assert stream.getvalue() == f"{CLEAR}half{CLEAR}"
    progress.clear()
    assert stream.getvalue() == f"{CLEAR}half{CLEAR}"


def test_the_status_line_is_never_wider_than_the_terminal():
    progress, clock, _, stream = on_terminal()
    clock.now += 2
    progress.show("x" * 200)
    assert stream.getvalue() == CLEAR + "x" * 79


def test_when_quiet_nothing_is_said():
    stream, clock = io.StringIO(), Clock()
    progress = said.Progress(None, stream, clock)
    progress.line("begins")
    clock.now += 60
    progress.show("half")
    progress.clear()
    assert stream.getvalue() == ""


def test_a_display_that_fails_stops_nothing():
    progress, clock, lines, _ = on_terminal(Broken())
    clock.now += 60
    progress.show("half")
    progress.line("ends")
    assert lines == []


# ----------------------------------------------------------------------------------------------------------------- what


@pytest.mark.parametrize(
    ("done", "elapsed", "expected", "left"),
    [
        (0.25, 30, None, 90),  # a quarter took 30 s, three more quarters
        (0.04, 30, None, None),  # too little done to tell
        (0.5, 1, None, None),  # too short to tell
        (0.0, 0, 200, 200),  # nothing done: the time of the last build
        (0.5, 200, 200, 150),  # half done in 200 s: by the pace 200 s are left, by the last build 100
        (1.0, 180, 200, 0),
    ],
)
def test_the_time_left_is_judged_by_the_pace_and_by_the_last_time(done, elapsed, expected, left):
    assert said.seconds_left(done, elapsed, expected) == left


def test_figures_are_for_people():
    assert [said.as_bytes(size) for size in (0, 999, 1000, 30_900_000, 120_000_000, 2_300_000_000)] == [
        *("0 B", "999 B", "1.0 kB", "30.9 MB", "120 MB", "2.3 GB")
    ]
    assert [said.as_seconds(seconds) for seconds in (0.4, 62, 89, 91, 3000, 5400)] == [
        *("5 s", "60 s", "90 s", "2 min", "50 min", "1.5 h")
    ]
    assert [said.as_count(count) for count in (12, 999_999, 4_240_000)] == ["12", "999,999", "4.2 million"]
    assert said.as_time_left(None) == "no estimate yet"


def test_files_are_told_by_number_bytes_and_rows():
    progress, clock, lines = in_log()
    clock.now += 60  # of other work
    files = said.FileProgress(progress, "Taking in", 3, 4_000_000)
    files.add(1_000_000, 10)
    clock.now += 10
    files.add(1_000_000, 1_500_000)
    assert lines == ["Taking in: 2 of 3 files, 2.0 MB of 4.0 MB, 1.5 million rows, about 10 s left"]


# ----------------------------------------------------------------------------------------------------------- deliveries


@pytest.fixture
def take_in(tmp_path):
    for extract in ("jobs", "steps"):
        write_text(tmp_path / "extracts" / extract / "a.csv", "id\n1\n2\n")
    terms = {"required": True, "columns": [["id", "string", True]]}
    types = {"string": {"as": "varchar", "read": "{value}"}}
    contract = json.dumps({"extracts": {"jobs": terms, "steps": terms}, "types": types})

    def take_in():
        progress, _, lines = in_log()
        folder, store = str(tmp_path / "extracts"), str(tmp_path / "store")
        assert json.loads(ingest_deliveries(folder, store, contract, progress=progress))["problem"] is None
        return lines

    return take_in


def test_taking_in_says_what_it_reads_and_what_it_has_read(take_in, tmp_path):
    assert take_in() == [
        "Loading 2 new files, 14 B",
        "Loaded 2 files in 0 s: jobs 2 rows in 1 file, steps 2 rows in 1 file.",
    ]
    assert take_in() == [f"No new files: 2 files in {tmp_path / 'extracts'}, stored already."]


def test_verifying_says_how_much_it_checks(take_in, tmp_path):
    take_in()
    progress, _, lines = in_log()
    assert verify_store(str(tmp_path / "store"), progress) == ""
    (line,) = lines
    assert line.startswith("Checking 2 stored files, ")


# --------------------------------------------------------------------------------------------------------------- builds

PATHS = ["models/metering/m.sql", "seeds/rules/s.csv", "models/marts/usage/u.sql", "models/base/b.sql"]
# Half of the time of the last build went into m; twice the steps take m and u twice as long, and s and b as long.
LAST = {"steps": 1_000_000, "seconds": 20, "nodes": {"m": 10.0, "u": 9.6, "s": 0.2, "b": 0.2}}


def test_the_stages_are_the_folders_of_the_flow_in_its_order():
    build = Build(PATHS, 2, 0, None)
    seen = []
    for name, is_test in [("s", False), ("m", False), ("b", False), ("u", False), ("t", True), ("v", True)]:
        seen.append(build.describe(60, 60))
        build.finish(name, is_test)
    seen.append(build.describe(60, 60))
    build.publishing = "copying 2.3 GB to usage.duckdb"
    seen.append(build.describe(60, 60))
    assert seen == [
        "Stage 1 of 6, seeds: 0 of 1 tables",
        "Stage 2 of 6, base: 0 of 1 models",
        "Stage 2 of 6, base: 0 of 1 models",  # m is done, b is not
        "Stage 4 of 6, marts: 0 of 1 models",
        "Stage 5 of 6, tests: 0 of 2",
        "Stage 5 of 6, tests: 1 of 2",
        "Stage 6 of 6, publishing",
        "Stage 6 of 6, publishing: copying 2.3 GB to usage.duckdb",
    ]


def test_a_full_build_tells_rows_and_the_time_left():
    build = Build(PATHS, 0, 2_000_000, LAST)
    assert build.describe(0, 0) == "Stage 1 of 5, seeds: 0 of 1 tables, about 40 s left"  # 39.6 s
    build.finish("s")
    build.finish("b")
    build.start("m", 1)
    assert build.describe(5, 5).endswith("metering: 0 of 1 models, about 35 s left")  # 4.4 s of 39.6 are done
    assert build.describe(13, 13).endswith("metering: 0 of 1 models, m for 12 s, about 30 s left")  # 12.4 s
    build.finish("m", rows=6_100_000)
    # half done: 20.4 of 39.6 s. By the last build 19 s are left, by the pace 21.
    described = build.describe(22, 22)
    assert described == "Stage 4 of 5, marts: 0 of 1 models, 6.1 million rows from 2.0 million steps, about 20 s left"


def test_without_an_earlier_build_the_estimate_waits():
    build = Build(PATHS, 0, 2_000_000, {})
    assert build.describe(60, 60).endswith("no estimate yet")
    build.finish("s")
    build.finish("m")
    assert build.describe(60, 60).endswith("about 60 s left")  # two of four models that are alike


def test_the_models_whose_time_was_measured_exist():
    assert MEASURED.keys() <= {path.stem for path in (PROJECT / "models").rglob("*.sql")}


def node(event, name, resource_type="model", materialized="table"):
    relation = SimpleNamespace(schema="metering", alias=name)
    info = {"node_name": name, "resource_type": resource_type, "materialized": materialized, "node_relation": relation}
    data = SimpleNamespace(node_info=SimpleNamespace(**info))
    return SimpleNamespace(info=SimpleNamespace(name=event, level="debug"), data=data)


def watch(**options):
    progress, clock, lines = in_log(patience=10)
    noted = []
    options = {"remember": lambda *measured: noted.append(measured)} | options
    return Watch(Build(PATHS, 1, 2_000_000, {}), progress, clock=clock, **options), clock, lines, noted


def test_a_build_of_less_than_ten_seconds_says_nothing():
    watching, clock, lines, _ = watch()
    for second in range(22):
        clock.now = 100 + second
        watching.tick()
    assert len(lines) == 2


def test_dbts_events_say_what_runs_and_what_it_took():
    watching, clock, lines, noted = watch(
        count_rows=lambda schema, name: 7 if (schema, name) == ("metering", "m") else 1 / 0
    )
    watching.hear(node("NodeStart", "m"))
    clock.now += 4
    watching.hear(node("NodeStart", "t", "test", "test"))  # from here on m and t share the time
    clock.now += 2
    watching.hear(node("NodeFinished", "m"))
    clock.now += 5
    watching.hear(node("NodeFinished", "t", "test", "test"))
    watching.tick()
    assert lines == ["Stage 1 of 6, seeds: 0 of 1 tables, 7 rows from 2.0 million steps, about 25 s left"]
    watching.published()
    assert noted == [(11.0, {"m": 5.0, "t": 6.0})]


@pytest.mark.parametrize("message", [None, SimpleNamespace(info=SimpleNamespace(name="NodeStart"), data=None)])
def test_an_event_that_is_not_understood_ends_the_display_and_not_the_run(message):
    watching, clock, lines, _ = watch()
    watching.hear(message)
    clock.now += 60
    watching.tick()
    assert lines == []


def test_nothing_is_remembered_where_it_cant_be_written():
    def fail(*_):
        raise OSError("read-only")

    watch(remember=fail)[0].published()


def test_the_status_line_makes_way_for_dbts_lines():
    progress, clock, _, stream = on_terminal()
    clock.now += 2
    progress.show("half")
    before = _ClearBefore(progress)
    assert not before.filter(SimpleNamespace(info=SimpleNamespace(level="debug")))
    assert stream.getvalue() == f"{CLEAR}half"
    assert not before.filter(SimpleNamespace(info=SimpleNamespace(level="info")))
    assert stream.getvalue() == f"{CLEAR}half{CLEAR}"


class TestRuns:
    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, build):
        first = build(FIRST, env={"WITHOUT_NODE_EVENTS": ""})
        quiet = build(world(customer(), job("k")), onto=first, arguments=("--quiet",))
        return first, quiet

    def test_a_run_says_what_it_takes_in_once(self, runs):
        first, quiet = runs
        assert first.output.count("Loaded ") == 1
        assert quiet.exit_code == 0
        assert not [line for line in quiet.output.splitlines() if "RuntimeWarning" not in line]

    def test_a_full_build_notes_what_it_took(self, runs):
        first, _ = runs
        noted = json.loads((first.warehouse / "build" / "last_full_build.json").read_text())
        assert noted["nodes"].keys() > {"metered_jobs", "usage_by_capability"}
        assert 0 < sum(noted["nodes"].values()) <= noted["seconds"]
