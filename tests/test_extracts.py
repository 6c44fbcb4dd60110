"""The same extracts give the same rows, in whatever shape, order and number of files they arrive.

One small world, which uses every capability, is delivered in every format, as tables of a schema, and as streamed job
files. What is decided and published is compared row for row with the plain delivery: one CSV file an extract.
"""

import subprocess
import sys
from collections import Counter

import duckdb
import pytest
from builders import (
    API_REQUEST,
    BATCH_PUBLISH,
    CALL,
    CALL_ASYNC,
    FUNCTION,
    LOGGER,
    NOON,
    PAGES,
    PROXY_REQUEST,
    SALESFORCE,
    SCHEDULER,
    TRIGGER,
    collection,
    connection,
    customer,
    job,
    prompt,
    publish,
    ratio,
    recipe,
    recommended,
    request,
    seats,
    step,
    subscription,
    vendor_usage,
    world,
)
from reference.comparison import compare
from reference.files import nested_job, write_nested_jobs, write_text, write_world
from reference.reference import Options

LATER = "2026-03-12T04:00:00+02:00"
SCHEMAS = ("metering", "marts")

STORY = world(
    customer(external_id="x-1", plan_id="plan", in_trial=False, created_at="2026-01-15T09:30:00+01:00"),
    customer("other", name='Other, "Ltd"\nof two lines'),
    recipe("api", recipe_type="api_recipe", trigger_application="workato_api_platform"),
    recipe("function", trigger_application=FUNCTION[0], trigger_operation=FUNCTION[1]),
    recipe("recipe", parent_id="template", lifetime_task_count=12),
    connection(authorization_status="success", authorized_at=NOON),
    job("j-api", API_REQUEST, step(*CALL, called_recipe_id="function"), recipe_id="api"),
    job("j-function", FUNCTION, SALESFORCE, recipe_id="function", calling_job_id="j-api", root_recipe_id="api"),
    job(
        "j-async", API_REQUEST, step(*CALL_ASYNC, called_recipe_id="function"), recipe_id="api", environment_type="prod"
    ),
    job("j-late", FUNCTION, SALESFORCE, recipe_id="function", calling_job_id="j-async", is_test=True),
    job("j-mcp", API_REQUEST, SALESFORCE, recipe_id="api"),
    job("j-proxy", PROXY_REQUEST, ("workato_api_proxy", "forward_request"), SALESFORCE, recipe_id="unlisted"),
    job("j-pages", SCHEDULER, step(*PAGES, page_count=3), step(*BATCH_PUBLISH, message_count=4), LOGGER, (None, None)),
    job("j-failed", TRIGGER, SALESFORCE, step(*SALESFORCE, error="boom"), status="error", error_type="X", error="boom"),
    job("j-again", TRIGGER, status="failed", is_repeat=False, repeat_count=0),
    job("j-again", TRIGGER, SALESFORCE, SALESFORCE, extracted_at=LATER, repeat_count=1, action_count=2),
    job("j-other", account_id="other", completed_at="2026-02-28T23:30:00-08:00", is_poll_error=False),
    request("mcp", job_id="j-mcp", api_collection_id="collection", http_status=200, internal_error=False),
    request("proxy", request_type="proxy", recipe_id="recipe"),
    request("refused", gateway_code="401"),
    collection(),
    publish(endpoint="batch_publish", message_count=70),
    prompt(sender_type="user", status="succeeded"),
    seats(effective_to="2026-03-20"),
    subscription(included_credits=1000, billing_cycle_day=1, effective_to="2026-12-01"),
    ratio(),
    ratio("api_calls", call_type="managed", credits_per_unit="0.5"),
    recommended(recommended_from="2026-01-01"),
    vendor_usage(),
)


@pytest.fixture(scope="module")
def plain(build):
    """The story as one CSV file an extract, in a plain dbt build with every data test of the project."""
    return build(STORY, arguments=("--threads", "4"), with_tests=True)


def assert_same_rows(built, plain):
    ours, theirs = built.tables(*SCHEMAS), plain.tables(*SCHEMAS)
    assert ours.keys() == theirs.keys()
    for table, rows in theirs.items():
        assert ours[table] == rows, table


def jobs_with_steps(rows):
    """(job, its steps) of each delivery in the rows."""
    for row in rows["jobs"]:
        key = (row["account_id"], row["id"], row["extracted_at"])
        steps = [s for s in rows["steps"] if (s["account_id"], s["job_id"], s["extracted_at"]) == key]
        yield row, sorted(steps, key=lambda line: line["line_index"])


def test_the_plain_delivery_is_what_the_reference_says(plain):
    assert compare(plain.connection, STORY, Options(admin_account_ids=("999000001",))).differences == []


SHAPES = [("csv", False), ("csv.gz", True), ("json", True), ("json.gz", False), ("parquet", True), ("parquet", False)]


def test_files_of_every_format_split_overlapping_shuffled_and_ragged_give_the_same_rows(build, plain, extracts):
    """Of each extract every format holds a part. Files stand in sub-folders, with columns in any order, unknown ones
    among them, and optional ones absent. One thread here, four in the plain delivery."""
    with_unknown = {
        extract: [{**row, "Unheard_Of": f"value {n}"} for n, row in enumerate(rows)] for extract, rows in STORY.items()
    }
    delivered = Counter()
    for number, (fmt, typed) in enumerate(SHAPES):
        # the first row goes to another format in each extract, since some have one row
        part = {
            extract: [row for n, row in enumerate(rows, start=first) if n % len(SHAPES) == number]
            for first, (extract, rows) in enumerate(with_unknown.items())
        }
        name = f"{fmt}-{typed}"
        written = write_world(part, extracts, fmt, split=2, seed=7, overlap=0.5, typed=typed, name=name)
        delivered += Counter({extract: len(rows) for extract, rows in written.items()})
    assert delivered.total() > sum(map(len, STORY.values()))
    write_text(extracts / "jobs/README.md", "not an extract")
    write_text(extracts / "unheard_of/file.csv", "id\n1\n")
    built = build(extracts)
    assert "README.md" in built.output
    assert_same_rows(built, plain)


def test_optional_columns_and_folders_may_be_absent(build, extracts):
    required = {extract: STORY[extract] for extract in ("customers", "recipes", "connections", "jobs", "steps")}
    optional = {
        "customers": {"external_id", "plan_id", "in_trial"},
        "recipes": {"recipe_type", "trigger_operation", "parent_id", "lifetime_task_count"},
        "connections": {"authorization_status", "authorized_at"},
        "jobs": {
            *("environment_type", "is_repeat", "repeat_count", "calling_job_id", "root_recipe_id", "is_test"),
            *("is_poll_error", "action_count", "error_type", "error", "completed_at"),
        },
        "steps": {"error", "page_count", "message_count", "called_recipe_id"},
    }
    bare = {
        extract: [{column: value for column, value in row.items() if column not in optional[extract]} for row in rows]
        for extract, rows in required.items()
    }
    delivered = write_world(bare, extracts, "json", split=2)
    built = build(extracts)
    assert compare(built.connection, delivered, Options()).differences == []
    # without completed_at no job has finished
    assert set(built.column("select rule_id from metering.metered_steps")) == {"S-PENDING"}


class TestTablesOfASchema:
    """Extracts as tables of the warehouse: half of them named <name>, half raw_<name>; half typed, half texts."""

    @pytest.fixture(scope="class")
    def landed(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("landing")
        write_world(STORY, folder / "typed", "parquet", split=1, ragged=False)
        write_world(STORY, folder / "texts", "parquet", split=1, ragged=False, typed=False)

        def create_tables(warehouse):
            with duckdb.connect(warehouse / "usage.duckdb") as db:
                db.execute("create schema landing")
                for number, extract in enumerate(sorted(STORY)):
                    name, kind = (extract, "typed") if number % 2 else (f"raw_{extract}", "texts")
                    db.execute(f"create table landing.{name} as from '{folder}/{kind}/{extract}/*.parquet'")

        return create_tables

    @pytest.fixture(scope="class")
    def built(self, build, landed):
        return build(None, vars={"extracts_schema": "landing"}, prepare=landed)

    def test_they_give_the_same_rows_as_files(self, built, plain):
        assert_same_rows(built, plain)

    def test_they_are_still_there_for_the_next_run_with_what_a_killed_loader_wrote(self, built, build, plain):
        """It wrote a table more, which is in the log of the published file alone."""
        write = (
            "import duckdb, os, sys; db = duckdb.connect(sys.argv[1]); db.execute(\"set wal_autocheckpoint = '1TB'\"); "
            "db.execute('create table landing.more as select 1 as a'); os._exit(9)"
        )

        def load_and_die(warehouse):
            assert subprocess.run([sys.executable, "-c", write, warehouse / "usage.duckdb"]).returncode == 9
            assert (warehouse / "usage.duckdb.wal").exists()

        again = build(None, vars={"extracts_schema": "landing"}, onto=built, prepare=load_and_die)
        assert again.exit_code == 0, again.output
        assert not (again.warehouse / "usage.duckdb.wal").exists()
        landing = again.tables("landing")
        assert (len(landing), landing["landing.more"]) == (len(STORY) + 1, [(1,)])
        assert_same_rows(again, plain)


class TestStreamedJobs:
    """Streamed job files, plain, pretty-printed, wrapped and as lists, say the same as the flat extracts."""

    @pytest.fixture(scope="class")
    def flat(self):
        return {extract: rows for extract, rows in STORY.items() if extract not in ("jobs", "steps")}

    def test_alone_they_stand_in_for_jobs_and_steps(self, flat, build, plain, extracts):
        write_world(flat, extracts, "parquet")
        write_nested_jobs(
            [nested_job(job_row, steps) for job_row, steps in jobs_with_steps(STORY)], extracts, 1, "json.gz"
        )
        assert_same_rows(build(extracts), plain)

    def test_beside_the_flat_extracts_each_may_hold_what_the_other_lacks_or_the_same(
        self, flat, build, plain, extracts
    ):
        deliveries = list(jobs_with_steps(STORY))
        streamed_too, flat_too = deliveries[:8], deliveries[5:]
        jobs = [job_row for job_row, _ in flat_too]
        write_world({**flat, "jobs": jobs, "steps": [s for _, steps in flat_too for s in steps]}, extracts, "csv")
        write_nested_jobs([nested_job(job_row, steps) for job_row, steps in streamed_too], extracts, 2)
        assert_same_rows(build(extracts), plain)

    @pytest.fixture(scope="class")
    def built(self, flat, build, workbench):
        """Jobs without lines and without a time of their own; one whose pages, messages and recipe stand elsewhere."""
        extracts = workbench.clear_extracts()
        (_, bare), *_ = job(recipe_id="api")
        lines = {
            "missing": {},
            "none given": {"lines": None},
            "empty": {"lines": []},
            "text": {"lines": "Job data exceeds the size limit."},
        }
        nested = [{**bare, "id": how, **lines} for how, lines in lines.items()]
        for job_row in nested:
            del job_row["extracted_at"]  # then it is the completion
        (job_row, steps), *_ = jobs_with_steps(world(job("j", TRIGGER, PAGES, BATCH_PUBLISH, CALL)))
        nested.append(nested_job(job_row, steps))
        for line in nested[-1]["lines"]:
            line["output"] = {"document": {"pages": 6}}
            line["input"] = {"batch": [1, 2, 3], "called": {"recipe": "elsewhere"}}
        write_world(flat, extracts)
        write_nested_jobs(nested, extracts)
        paths = {
            "job_history_page_count_path": "output.document.pages",
            "job_history_messages_path": "input.batch",
            "job_history_called_recipe_path": "input.called.recipe",
        }
        return build(extracts, vars=paths)

    def test_without_lines_a_job_has_no_steps(self, built):
        assert set(built.column("select job_id from metering.metered_steps")) == {"j"}
        jobs = "select job_id, metric, quantity from metering.metered_jobs where job_id <> 'j' order by all"
        assert built.rows(jobs) == [
            ("empty", "api_calls", 1),
            ("missing", "api_calls", 1),
            ("none given", "api_calls", 1),
            ("text", "api_calls", 1),
        ]
        assert built.column("select count(*) from audit.findings where finding = 'job without steps'") == [4]
        assert built.column("select distinct extracted_at::varchar from intake.delivered_jobs") == [
            "2026-03-10 12:00:00"
        ]

    def test_where_three_facts_stand_can_be_said_by_vars(self, built):
        counted = built.rows("select metric, quantity from metering.metered_steps where quantity > 1 order by all")
        assert counted == [("events_processed", 3), ("pages_processed", 6)]
        assert built.column("select called_recipe_id from metering.function_calls") == ["elsewhere"]


def test_the_scheduled_run_proves_itself_over_extracts_of_ones_own(plain):
    assert plain.exit_code == 0, plain.output
    assert "Published" in plain.output
    assert plain.column("select ran_data_tests from publication.runs") == [True]
