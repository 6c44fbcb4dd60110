"""Compacted loads have no texts of errors any more, and every figure, decision and count stays."""

import json
import re
import shutil
from datetime import UTC, datetime

import duckdb
import pytest
from builders import (
    BATCH_PUBLISH,
    PAGES,
    SALESFORCE,
    TRIGGER,
    connection,
    customer,
    job,
    only_steps,
    publish,
    recipe,
    request,
    step,
    world,
)
from building import PROJECT, TESTS_DATA, Build, Warehouse, close, compact, forget_customer, verify

OLD, LISTED_OLD, OLD_LATER = "2024-05-10T12:00:00Z", "2024-05-31T22:00:00Z", "2024-05-20T12:00:00Z"
NEW, LISTED_NEW = "2026-08-09T12:00:00Z", "2026-08-10T22:00:00Z"
VARS = {"settling_seconds": 0, "rule_overrides": False}
# Texts that only tell; each is long enough to be looked for in the bytes of files.
GONE = {
    "the order was not found",
    "the invoice is closed",
    "quarantined with a long message",
    "a step that lost its job",
    "gateway could not reach it",
    "streamed job failed because",
    "streamed line failed because",
    "a title of a line",
    "an input of a line",
    "a record that is no JSON",
    "somebody of 2024",
    "the gateway of a log failed",
    "a client of 2024",
    "a caller of 2024",
    "a collection of 2024",
}
KEPT = {
    "this year it failed",
    "a line of this year",
    "first of two errors",
    "second of two errors",
    "a copy in a newer load",
}


def listed(at):
    return [customer(extracted_at=at), recipe(extracted_at=at), connection(extracted_at=at)]


def failed(adapter, operation, error, **columns):
    return step(adapter, operation, status="failed", error=error, **columns)


# In both loads: the row of the newer one keeps its text.
COPIED = job(
    "copied", TRIGGER, failed(*SALESFORCE, "a copy in a newer load"), completed_at=OLD, extracted_at=OLD,
    status="failed", error="a copy in a newer load",
)  # fmt: skip
FIRST = world(
    COPIED,
    *listed(LISTED_OLD),
    job(
        "failed",
        {**step(*TRIGGER), "comment": "a title of a line", "duration_seconds": "1.5"},
        {**step(*SALESFORCE), "error": "the order was not found"},  # without a status: the error means that it failed
        {**step(*SALESFORCE), "error": "n/a"},
        {**step(*SALESFORCE), "error": "{}"},
        step(*PAGES, page_count=3),
        step(*BATCH_PUBLISH, message_count=7),
        completed_at=OLD,
        extracted_at=OLD,
        status="failed",
        error="the invoice is closed",
        error_type="Closed",
        action_count=5,
    ),
    job("exploded", completed_at=OLD, extracted_at=OLD, status="exploded", error="quarantined with a long message"),
    only_steps(job("lost", failed(*SALESFORCE, "a step that lost its job"), extracted_at=OLD)),
    # an unreadable duration quarantines its line
    job("slow", TRIGGER, {**step(*SALESFORCE), "duration_seconds": "slow"}, completed_at=OLD, extracted_at=OLD),
    # two deliveries of one time: of the steps the one with the greater error counts, which has fewer pages
    job("twice", step(*PAGES, status="succeeded", error="second of two errors", page_count=2), completed_at=OLD,
        extracted_at=OLD),
    only_steps(job("twice", step(*PAGES, status="succeeded", error="first of two errors", page_count=9),
                   extracted_at=OLD)),
    request("q-failed", requested_at=OLD, extracted_at=OLD, internal_error="gateway could not reach it"),
    request("q-fine", requested_at=OLD, extracted_at=OLD, internal_error="No"),
    publish(requested_at=OLD, extracted_at=OLD),
)  # fmt: skip
SECOND = world(
    COPIED,
    *listed(LISTED_NEW),
    job(
        "new", TRIGGER, failed(*SALESFORCE, "a line of this year"), completed_at=NEW, extracted_at=NEW,
        error="this year it failed",
    ),
    with_required=False,
)  # fmt: skip


def nested(id, **more):
    def line(number, adapter, operation, **fields):
        return {"recipe_line_number": number, "adapter_name": adapter, "adapter_operation": operation, **fields}

    lines = [
        line(0, *TRIGGER, title="a title of a line"),
        line(1, *PAGES, output={"page_count": 4, "text": "an input of a line"}, line_stat={"total": 1.25}),
        line(2, *BATCH_PUBLISH, input={"messages": [{"t": "an input of a line"}, {}, {}]}),
        line(3, "workato_recipe_function", "call_recipe", input={"flow_id": 77, "p": "an input of a line"}),
        line(4, *SALESFORCE, error={"message": "streamed line failed because"}),
        line(5, *SALESFORCE, line_stat={"total": "slow"}),
        "an input of a line",
    ]
    times = {"started_at": OLD, "completed_at": OLD}
    row = {"id": id, "account_id": "acme", "recipe_id": "recipe", "status": "succeeded", **times, "lines": lines}
    return row | more


STREAMED = [
    json.dumps(nested("streamed", error="streamed job failed because", title="a title of a line")),
    json.dumps({"logEntries": [nested("wrapped"), nested("no-status", status="exploded"), None]}),
    json.dumps({"logEntries": json.dumps([nested("text", lines=json.dumps(nested("x")["lines"]))])}),
    json.dumps(nested("large", lines="the size limit was passed: an input of a line")),
    json.dumps({"logEntries": "a record that is no JSON"}),
    # an API log counts a call, and an activity is ignored
    json.dumps(
        {
            "logEntries": [
                {
                    "id": "q-log",
                    "workspace": {"id": "acme"},
                    "timestamp": OLD,
                    "collection_type": "Proxy",
                    "code": 200,
                    "endpoint": "/orders",
                    "api_client": {"name": "a client of 2024"},
                    "ip": "a caller of 2024",
                },
                {
                    "request_id": "q-log-failed",
                    "account_id": "acme",
                    "date_time": OLD,
                    "collection_type": "Proxy",
                    "api_collection": {"id": 7, "name": "a collection of 2024"},
                    "internal_error": "the gateway of a log failed",
                },
                {
                    "timestamp": OLD,
                    "event_type": "recipe_started",
                    "recipe_id": 7,
                    "user": {"name": "somebody of 2024"},
                },
            ]
        }
    ),
]


@pytest.fixture(scope="module")
def before(tmp_path_factory, forks):
    """Two loads: one of May 2024, one of August 2026. May is closed."""
    made = Warehouse(tmp_path_factory.mktemp("compaction"), forks)
    made.deliver(FIRST, "first")
    path = made.extracts / "job_history" / "acme" / "old.json"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(STREAMED) + "\n", encoding="utf-8")
    made.run()
    made.deliver(SECOND, "second")
    made.run()
    closed = close(made.folder, "2024-05", force="1")
    assert closed.returncode == 0, closed.stdout
    made.run()  # publishes the close
    return made


@pytest.fixture(scope="module")
def after(before, tmp_path_factory):
    """The same warehouse after make compact, and what the command said."""
    made = before.copy(tmp_path_factory.mktemp("compacted"), "kept")
    made.said = compact(made.folder, **TESTS_DATA)
    assert made.said.returncode == 0, made.said.stdout + made.said.stderr
    return made


def texts_in(warehouse):
    """Which texts the stored deliveries, the published file and the Parquet files have."""
    found = {}
    for path in warehouse.rglob("*"):
        with duckdb.connect() as db:
            if path.suffix == ".parquet" and path.is_file() and "build" not in path.parts:
                found.setdefault("files", set()).update(texts_of(db, f"read_parquet('{path}')"))
            elif path.name == "usage.duckdb" and path.parent == warehouse:
                db.execute(f"attach '{path}' as it (read_only)")
                for (table,) in db.execute(
                    "select schema_name || '.' || table_name from duckdb_tables() where database_name = 'it'"
                ).fetchall():
                    found.setdefault("published", set()).update(texts_of(db, f"it.{table}"))
    return found


def texts_of(db, relation):
    columns = [name for name, kind, *_ in db.execute(f"describe from {relation}").fetchall() if kind == "VARCHAR"]
    if not columns:
        return set()
    whole = " || ' ' || ".join(f"coalesce({name}, '')" for name in (f'"{column}"' for column in columns))
    rows = db.execute(f"select {whole} from {relation}").fetchall()
    return {text for text in GONE | KEPT for (row,) in rows if text in row}


def published(build):
    """All tables that people read, without what tells about a run, an error or a quarantined row."""
    tables = build.tables("marts", "metering", "audit")
    left_out = ("metering.metered_jobs", "audit.quarantined_rows", "audit.findings", "marts.usage_restatements")
    found = {name: rows for name, rows in tables.items() if name not in left_out}
    found["jobs"] = build.rows(
        "select * exclude (error), error is null from metering.metered_jobs order by customer_id, job_id"
    )
    found["quarantined"] = build.rows("select * exclude (row_content) from audit.quarantined_rows order by all")
    found["findings"] = build.rows("from audit.findings where finding <> 'compacted loads' order by all")
    assert len(found) > 40
    return found


def test_the_texts_are_there_before(before):
    found = texts_in(before.folder)
    assert found["files"] == GONE | KEPT
    assert found["published"] >= {"the invoice is closed", "quarantined with a long message", *KEPT} - {
        "a line of this year"
    }


def test_they_are_gone_afterwards_but_those_of_new_loads_and_those_that_decide(after):
    found = texts_in(after.folder)
    assert found["files"] == KEPT
    assert found["published"] & GONE == set()


def test_every_figure_decision_and_count_is_as_before(before, after):
    was, now = published(before.last), published(after.last)
    assert now.keys() == was.keys()
    for table, rows in was.items():
        assert now[table] == rows, table
    # the world has what a wrong compaction would change
    pages = "select sum(quantity)::int from metering.metered_steps where metric = ?"
    # 3 of the flat job, 2 of the contested one, 4 of each of three streamed jobs; 7 messages, and 3 of each
    assert now["quarantined"]
    assert [after.last.column(pages, metric) for metric in ("pages_processed", "events_processed")] == [[17], [16]]
    assert after.last.column("select count(*)::int from metering.metered_jobs where error = '(compacted)'") == [2]
    logs = "select request_id, metric from metering.metered_requests where request_type = 'proxy' order by all"
    assert after.last.rows(logs) == [("q-log", "api_calls"), ("q-log-failed", None)]
    assert after.last.column("select rows_ignored from audit.extract_row_counts where extract_name = 'jobs'") == [1]


def test_quarantined_rows_keep_what_counts_them(after):
    contents = dict(
        after.last.rows(
            "select distinct reason, row_content from audit.quarantined_rows where not row_content like '%size limit%'"
        )
    )
    assert contents["unreadable record"] == "(compacted)"
    lost = "select row_content ->> 'error' from audit.quarantined_rows where reason = 'step without job'"
    assert sorted(after.last.column(lost), key=str) == ["(compacted)", None, None]
    lines = "select row_content from audit.quarantined_rows where reason = 'unreadable duration_seconds' order by all"
    flat, *streamed = map(json.loads, sorted(set(after.last.column(lines)), reverse=True))
    assert {flat["duration_seconds"], *(line["duration_seconds"] for line in streamed)} == {"slow"}


def test_a_finding_says_which_loads_were_compacted(before, after):
    found = "select finding, subject, occurrences, detail from audit.findings where finding = 'compacted loads'"
    assert before.last.rows(found) == []
    ((finding, subject, count, detail),) = after.last.rows(found)
    assert (finding, subject, count) == ("compacted loads", "load 1", 1)
    assert re.match(r"facts are those of the day when they were compacted, the last on 20\d\d-\d\d-\d\d; ", detail)


def test_the_command_and_the_manifests_say_what_was_done(after):
    assert re.search(
        r"^Compacted load 1 of .*: their usage is before 2024-07-01 \(25 months before the as-of date 2026-08-10\)\.\n"
        r"  Rows: api_requests 2, event_stream_requests 1, job_history 6, jobs 5, steps 15\. "
        r"Stored: [\d.]+ kB before, [\d.]+ kB now\.$",
        after.said.stdout,
        re.MULTILINE,
    ), after.said.stdout
    (manifest,) = (json.loads(p.read_text()) for p in after.store.glob("merged-000001-000001-*/manifest.json"))
    (load,) = manifest["loads"]
    note = load["compacted"]
    assert (manifest["format"], note["loads"]) == (5, [1])
    assert note["rows"] == {"api_requests": 2, "event_stream_requests": 1, "job_history": 6, "jobs": 5, "steps": 15}
    assert note["bytes_before"] > note["bytes_after"] > 0
    assert json.loads((after.store / "000002" / "manifest.json").read_text())["format"] == 4
    assert sorted(path.name for path in after.store.iterdir() if path.is_dir()) == [
        "000002",
        next(after.store.glob("merged-*")).name,
    ]


def test_a_second_call_does_nothing(after):
    was = contents(after.folder)
    said = compact(after.folder)
    assert said.returncode == 0
    assert "Nothing to compact in" in said.stdout
    assert "Loads compacted already: 1." in said.stdout
    assert contents(after.folder) == was


def test_dbts_data_tests_ran_on_what_is_left(after):
    ran = "select ran_data_tests from publication.runs order by published_at desc limit 1"
    with duckdb.connect(after.folder / "usage.duckdb", read_only=True) as db:
        assert db.execute(ran).fetchall() == [(True,)]


def test_the_warehouse_and_the_close_are_verified(after):
    said = verify(after.folder, VARS)
    assert said.returncode == 0, said.stdout
    said = verify(after.folder, month="2024-05")
    assert said.returncode == 0, said.stdout
    compacted, holds, _ = said.stdout.splitlines()
    assert compacted == (
        f"Compacted since (make compact) on {datetime.now(UTC).date()}: load 1, rows: api_requests 2, "
        "event_stream_requests 1, job_history 6, jobs 5, steps 15."
    )
    assert holds.startswith("The close of 2024-05 holds: ")


class TestLaterRuns:
    @pytest.fixture(scope="class")
    @classmethod
    def later(cls, after, tmp_path_factory):
        """A run over the same files, and one over a job that calls one of the compacted load."""
        made = after.copy(tmp_path_factory.mktemp("later"), "kept")
        made.same = made.run()
        again = job("failed", TRIGGER, completed_at=OLD, extracted_at=OLD_LATER, error="late and in full")
        made.deliver(world(again, with_required=False), "third")
        made.new = made.run()
        return made

    def test_nothing_is_computed_anew_without_news(self, later):
        assert "No new files" in later.same.output
        assert "Everything is recomputed" not in later.same.output

    def test_a_later_delivery_of_an_old_job_counts_as_usual(self, later):
        assert "Everything is recomputed" not in later.new.output
        assert later.new.column("select error from metering.metered_jobs where job_id = 'failed'") == [
            "late and in full"
        ]
        said = verify(later.new.warehouse, VARS)
        assert said.returncode == 0, said.stdout

    def test_a_changed_path_does_not_reach_compacted_lines(self, later):
        """The option would otherwise read no pages at all."""
        changed = later.run(vars={"job_history_page_count_path": "output.no_such_place"})
        assert "Everything is recomputed" in changed.output
        assert changed.column(
            "select sum(quantity)::int from metering.metered_steps where metric = 'pages_processed' and job_id in "
            "('streamed', 'wrapped', 'text')"
        ) == [12]

    def test_the_customer_can_still_be_forgotten(self, later):
        later.last.connection.close()  # DuckDB would go on reading the replaced file
        said = forget_customer(later.folder, "acme")
        assert said.returncode == 0, said.stdout + said.stderr
        counts = "select rows_read = rows_erased + rows_quarantined from audit.extract_row_counts"
        assert set(Build(0, "", later.folder).column(counts + " where extract_name in ('jobs', 'steps')")) == {True}


# ------------------------------------------------------------------------------------------------ rows of files


KEEPING = {
    "null_marks": ["n/a"],
    "job_history_page_count_path": "output.pages",
    "job_history_messages_path": "input.batch",
    "job_history_called_recipe_path": "input.flow_id",
}


@pytest.fixture
def compacting(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    import compacting

    return compacting


def test_of_a_folder_with_several_loads_only_the_old_ones_change(compacting, tmp_path):
    """Also where a file was stored before the contract had the column error, and where a customer was forgotten."""
    rows = [
        ("a", 1, '{"error":"it failed","title":"a name","duration_seconds":"slow"}'),
        ("b", 1, '{"error":"N/A ","title":"a name"}'),
        ("c", 1, '{"title":"a name"}'),
        (None, 1, '{"ERASED":true}'),
        ("d", 1, '{"error":"a contested one"}'),
        ("e", 2, '{"error":"it failed","title":"a name"}'),
    ]
    source, target = tmp_path / "steps.parquet", tmp_path / "new.parquet"
    with duckdb.connect() as db:
        db.execute(
            "create table steps (job_id varchar, load_id bigint, extra varchar, duration_seconds decimal(18, 6))"
        )
        db.executemany("insert into steps values (?, ?, ?, 1.5)", rows)
        db.execute(f"copy steps to '{source}'")
        keeping = compacting.Keeping({"steps": ["error", "duration_seconds"]}, KEEPING, {"jobs": {"d"}})
        assert compacting.compact_file(db, source, "steps", [1], keeping, target) == 6
        assert [(row[0], *row[2:]) for row in db.execute(f"from '{target}'").fetchall()] == [
            ("a", '{"error":"(compacted)","duration_seconds":"slow"}', None),
            ("b", '{"error":"N/A "}', None),
            ("c", None, None),
            (None, '{"ERASED":true}', 1.5),
            ("d", '{"error":"a contested one"}', None),
            ("e", '{"error":"it failed","title":"a name"}', 1.5),
        ]


LINE = {"recipe_line_number": 1, "adapter_name": "idp", "title": "t", "output": {"pages": 4}, "line_stat": {"total": 2}}
SHORT = '{"COMPACTED":true,"recipe_line_number":1,"adapter_name":"idp","page_count":4}'


@pytest.mark.parametrize(
    ("record", "left"),
    [
        ({"id": "a", "title": "t", "error": None, "lines": [LINE]}, f'{{"id":"a","lines":[{SHORT}]}}'),
        ([{"id": "a", "error": "e"}, None, 7], '[{"id":"a","error":"(compacted)"},null,"(compacted)"]'),
        ({"logEntries": json.dumps([{"id": "a", "lines": json.dumps([LINE])}])}, f'[{{"id":"a","lines":[{SHORT}]}}]'),
        ({"id": "contested", "error": "e", "lines": [{"error": "f"}]},
         '{"id":"contested","error":"e","lines":[{"COMPACTED":true,"error":"f"}]}'),
        ({"id": "a", "error": {}, "lines": "too large"}, '{"id":"a","error":"{}"}'),
        ({"id": "a", "lines": [None, "text", {"ERASED": True}]},
         '{"id":"a","lines":[null,"(compacted)",{"ERASED":true}]}'),
        ({"id": "a", "lines": [{"line_stat": {"total": "slow"}, "input": {"batch": [1, 2], "flow_id": "7"}}]},
         '{"id":"a","lines":[{"COMPACTED":true,"called_recipe_id":"7","duration_seconds":"slow","message_count":2}]}'),
        ({"logEntries": "no JSON"}, "(compacted)"),
        ("a text", '"(compacted)"'),
        ([], "[]"),
    ],
)  # fmt: skip
def test_a_streamed_record_keeps_its_jobs_and_lines_and_their_facts(record, left, compacting):
    keeping = compacting.Keeping(compacting.contract_columns(PROJECT), KEEPING, {"jobs": {"contested"}})
    with duckdb.connect() as db:
        compacting._define_macros(db, keeping)
        for text in (json.dumps(record), json.dumps(record, separators=(",", ":"))):
            assert db.execute("select compacted_record(?)", [text]).fetchone() == (left,)
        assert db.execute("select compacted_record('no JSON'), compacted_record(null)").fetchone() == (
            "(compacted)",
            None,
        )


# ------------------------------------------------------------------------------------------------ bad calls, and kills


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.fixture
def copy(before, tmp_path, monkeypatch):
    """A copy of the warehouse, and the plugins."""
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    return shutil.copytree(before.folder, tmp_path / "warehouse", symlinks=True)


@pytest.mark.parametrize(
    ("months", "said"),
    [
        ("", "KEEP_MONTHS is missing: say how many months"),
        ("abc", "KEEP_MONTHS=abc must be a whole number of months from 13 to 1200"),
        ("0", "KEEP_MONTHS=0 must be"),
        ("-5", "KEEP_MONTHS=-5 must be"),
        ("12", "KEEP_MONTHS=12 must be"),
        ("25.5", "KEEP_MONTHS=25.5 must be"),
        ("٢٥", "must be a whole number of months"),
    ],
)
def test_a_wrong_number_changes_nothing(before, months, said):
    was = contents(before.folder)
    found = compact(before.folder, months)
    assert (found.returncode, said in found.stdout) == (2, True), found.stdout + found.stderr
    assert contents(before.folder) == was


def test_a_load_with_newer_usage_stays(before):
    """30 months before August 2026: February 2024 is before all usage."""
    was = contents(before.folder)
    found = compact(before.folder, 30)
    assert (found.returncode, "Nothing to compact" in found.stdout) == (0, True), found.stdout + found.stderr
    assert contents(before.folder) == was


def test_without_a_warehouse_or_deliveries_it_says_so(tmp_path):
    found = compact(tmp_path / "none")
    assert (found.returncode, "There is no warehouse at" in found.stdout) == (2, True)
    (tmp_path / "usage.duckdb").touch()
    found = compact(tmp_path)
    assert (found.returncode, "has no stored deliveries" in found.stdout) == (2, True)


def test_a_running_build_is_named(before, monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    from locking import take_lock

    was = contents(before.folder)
    with take_lock(before.folder / "build" / "lock", "dbt build --of another"):
        said = compact(before.folder)
    assert (said.returncode, "dbt build --of another" in said.stdout) == (1, True)
    assert contents(before.folder) == was


def test_loads_that_no_run_has_published_stop_it(copy):
    path = next(copy.glob("deliveries/000002/manifest.json"))
    path.write_text(path.read_text().replace(json.loads(path.read_text())["id"], "f" * 32))
    (copy / "deliveries" / "loads.json").unlink()
    said = compact(copy)
    assert (said.returncode, "run dbt build first" in said.stdout) == (1, True), said.stdout + said.stderr


def test_a_damaged_file_stops_it(copy):
    path = next(copy.glob("deliveries/000001/steps.parquet"))
    path.write_bytes(path.read_bytes()[::-1])
    said = compact(copy)
    assert (said.returncode, f"{path} has changed since it was stored" in said.stdout) == (1, True)
    assert not list(copy.glob("deliveries/merged-*"))


class Killed(Exception):
    pass


@pytest.mark.parametrize("error", [Killed("killed"), OSError(28, "No space left on device")])
def test_a_folder_is_compacted_whole_or_not_at_all(error, copy, monkeypatch):
    """Killed, or without space, when the manifest is written."""
    import publishing
    import retention
    import store
    from progress import NO_PROGRESS

    was = contents(copy)

    def dies(*_):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(store, "_write_manifest", dies)
        with pytest.raises((Killed, store.Problem), match=r"killed|No space left on device"):
            retention.Compaction(copy, 25, NO_PROGRESS).run()
    publishing.release_warehouse(copy / "build")
    assert contents(copy) == was


def test_a_compaction_that_was_killed_before_it_was_published_is_completed(copy, before, forks, monkeypatch):
    """By the next run, which computes everything; or by the same call."""
    import publishing
    import retention
    from progress import NO_PROGRESS

    published_before = (copy / "usage.duckdb").read_bytes()

    def dies(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(retention, "recompute_and_publish", dies)
        with pytest.raises(Killed):
            retention.Compaction(copy, 25, NO_PROGRESS).run()
    publishing.release_warehouse(copy / "build")
    assert (copy / "usage.duckdb").read_bytes() == published_before
    run = Warehouse(copy.parent / "bench", forks).bench.build(before.extracts, onto=Build(0, "", copy), keep=False)
    assert "Everything is recomputed from the stored deliveries: loads of" in run.output
    assert published(run) == published(before.last)
    said = compact(copy)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "An earlier call compacted the loads" in said.stdout
    assert published(Build(0, "", copy)) == published(before.last)
