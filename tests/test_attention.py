"""Oddities of a whole extract, which no row shows, are findings; what deserves attention is a warning of the run."""

import re
from datetime import date, timedelta
from types import SimpleNamespace

import duckdb
import jinja2
import pytest
from builders import (
    CALL,
    LOGGER,
    SALESFORCE,
    TRIGGER,
    connection,
    customer,
    job,
    only_steps,
    recipe,
    request,
    seats,
    step,
    streamed,
    subscription,
    without_steps,
    world,
)
from building import PROJECT
from reference.compiled import Warehouse


@pytest.fixture(scope="module")
def found(projects):
    """Makes the findings over rows in memory: (kind of finding, rows) -> their subjects, details and occurrences."""
    warehouse = Warehouse(projects["default"])

    def found(finding, *parts):
        warehouse.build(world(*parts), ("audit.findings",))
        query = "select subject, detail, occurrences from audit.findings where finding = ? order by all"
        return warehouse.connection.execute(query, [finding]).fetchall()

    return found


class TestIdsThatMatchNothing:
    """Ids of one column as floats, with leading zeros, in another letter case."""

    @pytest.mark.parametrize(
        "rows, subject, detail, values",
        [
            (
                [recipe("5001"), recipe("5002"), job("1", recipe_id="5001.0"), job("2", recipe_id="5002.0")],
                "jobs.recipe_id",
                "none of its values is in recipes.id, such as 5001.0; there it is like 5001",
                2,
            ),
            (
                [customer("42"), recipe(user_id="42"), connection(user_id="42"), job(account_id="0042")],
                "jobs.account_id",
                "none of its values is in customers.id, such as 0042; there it is like 42",
                1,
            ),
            (
                [without_steps(job("j-1")), only_steps(job("J-1"))],
                "steps.job_id",
                "none of its values is in jobs.id; there it is like j-1",
                1,
            ),
            (
                [job("abc"), request(job_id="ABC")],
                "api_requests.job_id",
                "none of its values is in jobs.id, such as ABC; there it is like abc",
                1,
            ),
            (
                [customer("acme"), seats(account_id="ACME")],
                "seats.account_id",
                "none of its values is in customers.id, such as ACME; there it is like acme",
                1,
            ),
            (
                [customer("acme"), subscription(account_id="*"), subscription(account_id="acme.0")],
                "subscriptions.account_id",
                "none of its values is in customers.id, such as acme.0; there it is like acme",
                1,
            ),
        ],
        ids=lambda value: value if isinstance(value, str) and "." in value and " " not in value else "",
    )
    def test_a_column_none_of_whose_values_is_one_of_its_counterpart(self, rows, subject, detail, values, found):
        assert found("id without counterpart", *rows) == [(subject, detail, values)]

    def test_not_where_one_value_matches(self, found):
        rows = [
            recipe("5001"),
            job("1", recipe_id="5001"),
            job("2", recipe_id="5002.0"),
            seats(),
            seats("b", account_id="B"),
        ]
        assert found("id without counterpart", *rows) == []

    def test_not_where_there_is_nothing_to_match(self, found):
        assert found("id without counterpart", request(job_id=None), subscription(account_id="*")) == []


class TestJobsThatSucceededWithoutAStepThatDid:
    """What marks an error in an extract may mean that there was none: then every step is read as failed."""

    def test_it_is_a_finding(self, found):
        failed = {"error": "-"}
        rows = [
            job("all failed", step(*TRIGGER, **failed), step(*SALESFORCE, **failed)),
            job("by status", step(*TRIGGER, status="failed")),
            job(
                "control and skipped", step(None, keyword="if"), step(*LOGGER, status="skipped"), step(*CALL, error="x")
            ),
            job("one succeeded", step(*TRIGGER), step(*SALESFORCE, **failed)),
            job("pages alone succeeded", step("workato_idp", "process_document"), step(*SALESFORCE, **failed)),
            job("failed itself", step(*TRIGGER, **failed), status="failed"),
            job("only skipped", step(*TRIGGER, status="skipped")),
            without_steps(job("no steps")),
        ]
        assert found("every step failed", *rows) == [
            ("all failed", "the job succeeded", 2),
            ("by status", "the job succeeded", 1),
            ("control and skipped", "the job succeeded", 1),
        ]


class TestJobsWhoseTriggerHasNoAdapter:
    """As of an extract whose adapters stand under another name: all of its steps read as control, and none counts."""

    def test_it_is_a_finding(self, found):
        lines = [{"adapterName": "salesforce", "recipe_line_number": n} for n in range(2)]
        times = dict.fromkeys(("started_at", "completed_at"), "2026-03-10T12:00:00Z")
        nested = {"id": "streamed", "account_id": "acme", "recipe_id": "r", "status": "succeeded", **times}
        rows = [
            streamed([{**nested, "lines": lines}]),
            job("no adapter", step(None, None), step(None, None)),
            job("the first", step(None, None), step(*SALESFORCE)),
            job("control", step(*TRIGGER), step(None, None, keyword="if"), step(*SALESFORCE)),
            job("still running", step(None, None), status="pending", completed_at=None),
        ]
        said = "its first step names none, and reads as control"
        assert found("trigger without adapter", *rows) == [
            (name, said, 1) for name in ("no adapter", "streamed", "the first")
        ]


class TestJobsThatEndedWithoutATime:
    """As of an extract whose completed_at has another name: all of its jobs read as running, and nothing counts."""

    def test_it_is_a_finding(self, found):
        rows = [
            *(job(status, status=status, completed_at=None) for status in ("success", "failed", "canceled", "pending")),
            job("with a time"),
        ]
        assert found("completion time missing", *rows) == [
            ("failed", "failed, and not counted", 1),
            ("success", "succeeded, and not counted", 1),
        ]


class TestDaysWithoutJobs:
    """Days without a job of any customer read as 0 usage: a gap in the extracts where such days usually have some."""

    AS_OF = "2026-07-03T22:00:00Z"  # a Friday, which is not over
    DAILY = tuple(date(2026, 5, 4) + timedelta(days=n) for n in range(60))  # Monday 4 May to Thursday 2 July
    WORKDAYS = tuple(day for day in DAILY if day.weekday() < 5)
    MONDAYS = tuple(day for day in DAILY if day.weekday() == 0)

    @pytest.fixture(scope="class")
    @classmethod
    def gaps(cls, projects):
        """The finding over days with jobs, in the tables that models make of the jobs: (days) -> as ``found``."""
        warehouse = Warehouse(projects["default"])
        warehouse.build(world(*cls.rows(cls.DAILY)), ("audit.findings",))

        def gaps(days):
            warehouse.connection.execute(
                "create or replace table metering.job_days as "
                "select unnest(?::date[]) as usage_date, 1::bigint as jobs, 1::bigint as customers",
                [list(days)],
            )
            for relation in ("audit.coverage_gaps", "audit.findings"):
                warehouse.make(warehouse.project.models[relation])
            query = "select subject, detail, occurrences from audit.findings where finding = 'days without jobs'"
            return warehouse.connection.execute(query).fetchall()

        return gaps

    @staticmethod
    def rows(days, as_of=AS_OF):
        listed = {"extracted_at": as_of}
        jobs = [job(f"j-{day}", completed_at=f"{day}T12:00:00Z", **listed) for day in days]
        return [customer(**listed), recipe(**listed), connection(**listed), *jobs]

    @pytest.mark.parametrize(
        ("days", "subject", "missing"),
        {
            "a Wednesday": ([day for day in DAILY if day != date(2026, 6, 3)], "2026-06-03 to 2026-06-03", 1),
            "a week of workdays": (
                [day for day in WORKDAYS if not date(2026, 6, 8) <= day <= date(2026, 6, 12)],
                "2026-06-08 to 2026-06-12",
                5,
            ),
            "two weeks of workdays, whose weekends are none": (
                [day for day in WORKDAYS if not date(2026, 6, 8) <= day <= date(2026, 6, 19)],
                "2026-06-08 to 2026-06-19",
                10,
            ),
            "a month": ([day for day in DAILY if day.month != 6], "2026-06-01 to 2026-06-30", 30),
            "one of the Mondays": ([day for day in MONDAYS if day != date(2026, 6, 1)], "2026-06-01 to 2026-06-01", 1),
            "all since": ([day for day in DAILY if day <= date(2026, 6, 20)], "2026-06-21 on", 12),
        }.values(),
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_days_that_usually_have_jobs_and_have_none_are_a_finding(self, days, subject, missing, gaps):
        detail = f"no customer has a job on {missing} of these days, which usually have some"
        assert gaps(days) == [(subject, detail, missing)]

    @pytest.mark.parametrize(
        "days",
        [
            DAILY,
            WORKDAYS,  # weekends never have any
            MONDAYS,
            MONDAYS[::2],  # every other Monday
            DAILY[::9],  # now and then
            DAILY[3:],  # the first week begins with its first job
            DAILY[:1],
            (DAILY[0], DAILY[3]),  # one week: nothing to compare with
        ],
    )
    def test_days_that_usually_have_none_are_not(self, days, gaps):
        assert gaps(days) == []

    def test_one_week_does_not_say_what_is_usual(self, found):
        """Monday 4 May has a job, the 11th has none: too little to go by."""
        assert found("days without jobs", *self.rows(self.DAILY[:1], "2026-05-12T22:00:00Z")) == []
        two_weeks = self.rows((self.DAILY[0], self.DAILY[7]), "2026-05-20T22:00:00Z")
        assert [subject for subject, *_ in found("days without jobs", *two_weeks)] == ["2026-05-18 on"]

    def test_two_gaps_are_two_findings(self, found):
        days = [day for day in self.DAILY if day not in (date(2026, 6, 3), date(2026, 6, 5), date(2026, 6, 6))]
        gaps = found("days without jobs", *self.rows(days))
        assert [(subject, missing) for subject, _, missing in gaps] == [
            ("2026-06-03 to 2026-06-03", 1),
            ("2026-06-05 to 2026-06-06", 2),
        ]

    def test_months_that_customers_have_before_the_first_job_are_one(self, found):
        """The customer was created on 10 March. A job of 1 March covers that month; one of 4 May none before June."""
        finding = "months before the first job"
        assert found(finding, *self.rows(self.DAILY)) == [
            ("2026-03-01 to 2026-05-01", "customers are known from then on, jobs from 2026-05-04 on", 3)
        ]
        assert found(finding, *self.rows([date(2026, 3, 1)])) == []
        assert found(finding, *self.rows([]), without_steps(job(status="pending", completed_at=None))) == [
            ("2026-03-01 to 2026-07-01", "customers are known from then on, and no job", 5)
        ]


@pytest.mark.parametrize(
    ("given", "months", "said"),
    [
        ("", 0, []),
        ("2026-03-31", 3, []),
        ("2026-06-29", 3, []),  # 90 days after the newest
        (
            "2026-06-30",
            3,
            [
                "AS_OF_DATE is 2026-06-30, and the newest extracted_at is of 2026-03-31: "
                "up to that date usage is shown as 0."
            ],
        ),
        ("1926-03-31", 0, ["AS_OF_DATE is 1926-03-31, before the first customer: the marts are empty."]),
    ],
)
def test_a_date_as_of_far_from_the_extracts_is_a_warning(given, months, said):
    """The macro alone, over two tables."""
    answers = []
    with duckdb.connect() as db:
        db.execute("create schema intake; create schema marts")
        db.execute("create table intake.delivery_totals as select timestamp '2026-03-31 22:00:00' newest_extracted_at")
        db.execute("create table marts.monthly_customer_usage as from range(?)", [months])
        context = {
            "as_of_option": lambda: given,
            "var": {"unconfirmed_after_days": 90}.get,
            "literal": "'{}'".format,
            "working_schema": str,
            "run_query": lambda query: SimpleNamespace(rows=db.execute(query).fetchall()),
            "return": answers.append,
        }
        macros = (PROJECT / "macros" / "publishing" / "warnings.sql").read_text(encoding="utf-8")
        environment = jinja2.Environment(extensions=["jinja2.ext.do"])
        environment.from_string(macros, globals=context).module.warnings_of_as_of_date()
    assert answers == [said]


class TestWarnings:
    """One run that has something of each kind, and a run without anything new after it, beside misplaced files.

    Each Tuesday from 3 to 24 March 2026 has a job, but the 17th, and none since has.
    """

    WORLD = world(
        customer(extracted_at="2150-01-31T22:00:00Z"),
        connection(extracted_at="2150-01-31T22:00:00Z"),
        recipe(),
        job("failed", step(*TRIGGER, error="-")),
        job("timeless", completed_at=None),
        job("week before", completed_at="2026-03-03T12:00:00Z"),
        job("two weeks after", completed_at="2026-03-24T12:00:00Z"),
        request("far", job_id="FAILED", extracted_at="2199-01-01T00:00:00Z"),
        request("near", job_id="FAILED"),
        seats(),
        seats(seats=7),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, build):
        first = build(cls.WORLD)
        folder = first.warehouse.parent / "extracts"
        (folder / "credit-ratio").mkdir()
        for path in (folder / "credit-ratio" / "a.csv", folder / "subscriptions.csv", folder / "notes.txt"):
            path.write_text("account_id\n", encoding="utf-8")
        return first, build(folder, onto=first)

    LASTING = (
        "The newest extracted_at of connections, 2150-01-31 22:00:00 UTC, is later than this machine's clock.",
        "1 rows are quarantined, such as one of api_requests/part-0.csv: their extracted_at (2199-01-01 00:00:00) is "
        "more than 90 days after those of all other files.",
        "audit.findings has 1 of 'every step failed', such as failed: the job succeeded.",
        "audit.findings has 1 of 'completion time missing', such as timeless: succeeded, and not counted.",
        "audit.findings has 1 of 'id without counterpart', such as api_requests.job_id: none of its values is in",
    )

    def test_the_run_says_what_deserves_attention(self, runs):
        said = " ".join(runs[0].output.split())
        for text in self.LASTING:
            assert text in said
        assert "1 corrections of the past change earlier figures, such as seat order order: product workato_go" in said

    def test_a_correction_is_said_once_and_what_lasts_each_time(self, runs):
        said = " ".join(runs[1].output.split())
        for text in self.LASTING:
            assert text in said
        assert "corrections of the past" not in said

    def test_days_without_jobs_are_said_and_an_old_gap_only_once(self, runs):
        since = (date(2150, 1, 30) - date(2026, 3, 31)).days // 7 + 1  # Tuesdays
        for run, missing in zip(runs, (since + 1, since), strict=True):
            text = f"No customer has a job on {missing} days that usually have some, the last of them 2150-01-27."
            assert text in " ".join(run.output.split())

    def test_the_closing_lines_say_what_was_read_and_what_was_not(self, runs):
        first, second = (run.output[run.output.index("Published ") :].replace("\n", " ") for run in runs)
        folder = runs[0].warehouse.parent / "extracts"
        assert f"Read from {folder}: customers 1 rows in 1 file, " in first
        assert "jobs 4 rows in 1 file, " in first
        assert "Ignored" not in first
        assert f"No new files in {folder}: all are stored already." in second
        assert f"Ignored 3 paths, the first {folder}/credit-ratio." in second
        for said in (first, second):
            assert "1 rows in audit.quarantined_rows: 1 of api_requests (unconfirmed extracted_at)" in said

    def test_the_closing_lines_have_the_last_full_month_beside_the_current_one(self, runs):
        said = runs[0].output
        assert "Usage of 1 customers in December 2149, and up to 31 January 2150:" in said
        assert re.search(r"^\S+ +0 +0 +tasks$", said, flags=re.MULTILINE)
        assert re.search(r"^\S+ +7 +7 +GO seats$", said, flags=re.MULTILINE)

    def test_what_lies_nearly_in_an_extracts_place_is_a_warning(self, runs):
        folder = runs[0].warehouse.parent / "extracts"
        said = " ".join(runs[1].output.split())
        assert f"The folder {folder}/credit-ratio is not read. If it contains credit_ratios, move it to" in said
        assert f"The file {folder}/subscriptions.csv is not read. If it contains subscriptions, move it to" in said
        assert "notes.txt is not read" not in said
        assert "is not read" not in runs[0].output

    def test_no_figure_depends_on_the_clock(self, runs):
        assert runs[0].column("select max(usage_month)::varchar from marts.monthly_customer_usage") == ["2150-01-01"]
