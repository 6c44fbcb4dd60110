"""Exports spell the same thing in many ways: each account here has one oddity, and counts as if it had none.

Two runs, then a full build from the stored deliveries. Their vars are texts, as schedulers hand every var over. Every
account has one job of two tasks, unless its oddity says otherwise; the expected figures are worked out by hand from the
contract of the extracts.
"""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from builders import (
    LISTED,
    NOON,
    SALESFORCE,
    TRIGGER,
    customer,
    job,
    only_steps,
    request,
    step,
    without_steps,
    world,
)
from reference.files import as_csv, literal, write_text, write_world

PLAIN = "plain"


def usual(account: str, *steps, **columns):
    """A customer whose job has a trigger and two actions: two tasks (T3), and three business actions (S-APP)."""
    return customer(account), job(
        f"j-{account}", *(steps or (TRIGGER, SALESFORCE, SALESFORCE)), account_id=account, **columns
    )


def null_marked(account: str, mark: str):
    """Nothing is wrong with its steps: the mark says so in each way."""
    steps = [step(*line, error=mark, status=mark, page_count=mark) for line in (TRIGGER, SALESFORCE, SALESFORCE)]
    return usual(account, *steps, error=mark, is_test=mark, repeat_count=mark, calling_job_id=mark)


EARLY = job("j-early", TRIGGER, SALESFORCE, SALESFORCE, account_id="early")  # its steps come before the job
MARKS = ["\\N", "nan", "NULL", "None", "<NA>", "(null)", " ", "NaT"]
RUN_1 = world(
    *usual(PLAIN),
    *[part for number, mark in enumerate(MARKS) for part in null_marked(f"mark {number}", mark)],
    *usual(
        "empty errors",
        *(step(*line, error=e) for line, e in ((TRIGGER, "{}"), (SALESFORCE, "[]"), (SALESFORCE, "false"))),
    ),
    *usual("booleans", is_test="Yes", is_poll_error="0.0", is_repeat="F"),
    customer("streamed"),
    customer("Null", name="Null"),  # is a mark as an id, and a name as a name
    customer("calls"),
    *(
        request(f"call {n}", account_id="calls", request_type="proxy", internal_error=said)
        for n, said in enumerate(["false", "0", "0.0", "n", "{}", "timeout"])
    ),
    *(
        request(f"code {n}", account_id="calls", request_type="proxy", gateway_code=code)
        for n, code in enumerate(["0", "200", "204.0", "429", "\\N"])
    ),
    *usual("offset", completed_at="2026-03-10 12:00:00 -0700"),
    *usual("summer time", completed_at="2026-04-01 05:30:00 BST"),
    *usual("far offset", completed_at="2026-03-10T12:00:00+99:00"),
    *usual("a word", completed_at="epoch"),
    *usual("slashes", completed_at="2026/03/10 12:00:00"),
    customer("early"),
    only_steps(EARLY),
)
TASKS_AND_ACTIONS = (
    "select customer_id, cast(sum(tasks) as bigint), cast(sum(business_actions) as bigint) "
    "from marts.monthly_customer_usage group by all"
)


def write_jobs(folder: Path, name: str, job_rows, step_rows, job_types="", step_types="") -> None:
    """Parquet files of jobs and steps; the types are ``replace`` clauses over columns of texts."""
    for extract, rows, replaced in (("jobs", job_rows, job_types), ("steps", step_rows, step_types)):
        lines = folder / f"{extract}.scratch"
        write_text(
            lines, "".join(json.dumps({k: v if v is None else str(v) for k, v in row.items()}) + "\n" for row in rows)
        )
        (folder / extract).mkdir(exist_ok=True)
        with duckdb.connect() as db:
            columns = "{" + ", ".join(f"'{column}': 'VARCHAR'" for column in rows[0]) + "}"
            star = f"* replace ({replaced})" if replaced else "*"
            source = f"read_json({literal(lines)}, format = 'newline_delimited', columns = {columns})"
            db.execute(f"copy (select {star} from {source}) to {literal(folder / extract / name)} (format parquet)")
        lines.unlink()


def write_streamed(folder: Path) -> None:
    """Of the usual steps each says in another way that there was no error."""
    steps = zip((TRIGGER, SALESFORCE, SALESFORCE), ({}, [], False), strict=True)
    lines = [step(*line, recipe_line_number=n, error=error) for n, (line, error) in enumerate(steps)]
    nested = {"id": "j-streamed", "account_id": "streamed", "recipe_id": "r", "status": "succeeded", "error": {}}
    times = dict.fromkeys(("started_at", "completed_at"), NOON)
    write_text(folder / "job_history/streamed/j.json", json.dumps({**nested, **times, "lines": lines}))


def rows_of(account: str, job_id: str):
    rows = world(job(job_id, TRIGGER, SALESFORCE, SALESFORCE, account_id=account), with_required=False)
    return rows["jobs"], rows["steps"]


def write_recipe(folder: Path, run: str, running: str) -> None:
    """A Parquet file with a recipe, whose column ``running`` has a type of its own."""
    with duckdb.connect() as db:
        db.execute(
            f"copy (select '{run}' as id, '{PLAIN}' as user_id, 'R' as name, 'salesforce' as trigger_application, "
            f"{running} as running, timestamptz '{NOON}' as created_at, timestamptz '{LISTED}' as extracted_at) "
            f"to {literal(folder / f'recipes/{run}.parquet')} (format parquet)"
        )


def deliver_first_run(folder: Path) -> None:
    write_world(RUN_1, folder, "csv", split=1, ragged=False)
    write_streamed(folder)
    # 64-bit ids, beyond what a float can tell apart
    write_jobs(
        folder, "n1.parquet", *rows_of("33359", "9007199254740993"),
        "cast(account_id as bigint) as account_id, cast(id as bigint) as id",
        "cast(account_id as bigint) as account_id, cast(job_id as bigint) as job_id",
    )  # fmt: skip
    write_text(folder / "customers/more.csv", f"filename,id,name,created_at,extracted_at\nx,33359,Ids,{NOON},{NOON}\n")
    # facts that stand in the folders' names
    for number, folders in enumerate(("environment_type=prod", "is_poll_error=true", "Environment_Type=dev")):
        jobs, steps = rows_of("folders", f"j-{number}")
        write_text(folder / "jobs" / folders / "a.csv", as_csv(jobs, jobs[0]))
        write_text(folder / f"steps/{number}.csv", as_csv(steps, steps[0]))
    # an order of the first of March, as a date
    with duckdb.connect() as db:
        (folder / "seats").mkdir()
        db.execute(
            f"copy (select 'order' as id, '{PLAIN}' as account_id, 'workato_go' as product, 5 as seats, "
            f"date '2026-03-01' as effective_from) to {literal(folder / 'seats/n1.parquet')} (format parquet)"
        )
    write_recipe(folder, "n1", "true")
    # numbers that no sum could hold
    columns = "id,account_id,requested_at,endpoint,message_count,status,extracted_at"
    lines = [f"e-{count},{PLAIN},{NOON},batch_publish,{count},succeeded,{NOON}" for count in (9223372036854775807, 1)]
    write_text(folder / "event_stream_requests/a.csv", "\n".join([columns, *lines]) + "\n")


def deliver_second_run(folder: Path) -> None:
    # as floats, since one row lacks its id
    jobs, steps = rows_of("33359", "1001")
    write_jobs(
        folder, "n2.parquet", [*jobs, {**jobs[0], "id": None}], steps,
        "cast(account_id as double) as account_id, cast(id as double) as id",
        "cast(account_id as double) as account_id, cast(job_id as double) as job_id",
    )  # fmt: skip
    with duckdb.connect() as db:
        db.execute(
            f"copy (select 'other' as id, '{PLAIN}' as account_id, 'workato_go' as product, 1 as seats, "
            "timestamptz '2026-05-01 12:00:00+00' as effective_from) "
            f"to {literal(folder / 'seats/n2.parquet')} (format parquet)"
        )
    write_recipe(folder, "n2", "1.0::double")
    write_world(world(without_steps(EARLY), with_required=False), folder, "csv", split=1, ragged=False, name="early")
    # the repaired file; the one with the column filename stays stored
    write_text(folder / "customers/more.csv", f"id,name,created_at,extracted_at\n33359,Ids,{NOON},{NOON}\n")


class TestSpellings:
    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, build, workbench):
        folder = workbench.clear_extracts()
        options = {
            "reporting_timezone": "America/Los_Angeles",
            "count_test_jobs": "False",
            "only_stored_deliveries": "false",
            "dashboard": "FALSE",
        }
        deliver_first_run(folder)
        first = build(folder, vars=options)
        assert first.exit_code == 0, first.output
        deliver_second_run(folder)
        second = build(folder, vars=options, onto=first)
        again = build(folder, vars=options, onto=second, arguments=("--full-refresh",))
        return first, second, again

    @pytest.fixture(scope="class")
    @classmethod
    def figures(cls, runs):
        return {customer_id: figures for customer_id, *figures in runs[1].rows(TASKS_AND_ACTIONS)}

    @pytest.mark.parametrize(
        "account", [PLAIN, *(f"mark {n}" for n in range(len(MARKS))), *("empty errors", "streamed", "offset")]
    )
    def test_an_oddity_counts_as_if_there_were_none(self, account, figures):
        assert figures[account] == [2, 3]

    @pytest.mark.parametrize("account", ["summer time", "far offset", "a word", "slashes"])
    def test_what_is_no_iso_8601_time_is_not_guessed(self, account, figures, runs):
        assert figures[account] == [0, 0]
        query = "select reason from audit.quarantined_rows where extract_name = 'jobs' and row_content like ?"
        assert runs[1].column(query, f'%"j-{account}"%') == ["unreadable started_at"]

    def test_booleans_are_read_in_every_usual_spelling(self, runs):
        query = "select is_test, is_repeat, metric from metering.metered_jobs where customer_id = 'booleans'"
        assert runs[1].rows(query) == [(True, False, None)]

    def test_a_text_that_means_a_boolean_is_read_as_one(self, runs):
        for built in runs:
            rules = "select distinct rule_id from metering.metered_steps where job_id = 'j-booleans'"
            assert built.column(rules) == ["S-TEST"]
            assert not (built.warehouse / "dashboard").exists()

    def test_a_step_that_came_too_early_is_used_once_its_job_arrives(self, runs):
        waiting, arrived, _ = runs
        bad = "select reason from audit.quarantined_rows where extract_name = 'steps' and row_content like '%j-early%'"
        assert waiting.column(bad) == ["step without job"] * 3
        used = "select count(*), sum(tasks)::bigint from metering.metered_steps where job_id = 'j-early'"
        assert waiting.rows(used) == [(0, None)]
        assert arrived.column(bad) == []
        assert arrived.rows(used) == [(3, 2)]

    def test_a_mark_is_null_but_in_a_name(self, runs):
        query = "select reason, row_content from audit.quarantined_rows where extract_name = 'customers'"
        ((reason, content),) = runs[1].rows(query)
        assert (reason, json.loads(content)["name"]) == ("missing id", "Null")

    def test_calls_that_did_not_fail_are_counted(self, runs):
        """False in five spellings, three codes that refused nothing; not the time-out, not the 429."""
        query = "select request_id, quantity from metering.metered_requests where customer_id = 'calls' order by all"
        counted = [request_id for request_id, quantity in runs[1].rows(query) if quantity]
        assert counted == [*(f"call {n}" for n in range(5)), "code 0", "code 1", "code 2", "code 4"]

    def test_ids_are_those_that_each_file_has(self, runs):
        query = "select job_id from metering.metered_jobs where customer_id like '33359%' order by all"
        assert runs[0].column(query) == ["9007199254740993"]
        assert runs[1].column(query) == ["1001", "9007199254740993"]
        assert runs[1].column("select reason from audit.quarantined_rows where file_name = 'jobs/n2.parquet'") == [
            "missing id"
        ]

    def test_folders_say_what_the_files_lack(self, runs, figures):
        query = "select job_id, environment_type from metering.metered_jobs where customer_id = 'folders' order by all"
        assert runs[1].rows(query) == [("j-0", "prod"), ("j-1", None), ("j-2", "dev")]
        assert figures["folders"] == [4, 6]  # the poll error counts nothing

    def test_an_order_stays_in_its_month(self, runs):
        query = (
            "select usage_month::varchar, go_seats from marts.monthly_customer_usage where customer_id = ? "
            "and usage_month between '2026-02-01' and '2026-03-01' order by all"
        )
        assert runs[1].rows(query, PLAIN) == [("2026-03-01", 5)]

    def test_a_boolean_may_be_a_number_in_another_file(self, runs):
        query = "select recipe_id, is_running from marts.recipe_history where recipe_id in ('n1', 'n2') order by all"
        assert runs[1].rows(query) == [("n1", True), ("n2", True)]

    def test_a_count_that_no_sum_can_hold_is_quarantined(self, runs):
        query = "select reason from audit.quarantined_rows where extract_name = 'event_stream_requests'"
        assert runs[1].column(query) == ["unreadable message_count"]
        query = "select cast(sum(events_processed) as bigint) from marts.monthly_customer_usage"
        assert runs[1].column(query) == [1]

    def test_everything_anew_gives_the_same_rows(self, runs):
        _, second, again = runs
        assert again.tables("marts", "metering", "audit") == second.tables("marts", "metering", "audit")
