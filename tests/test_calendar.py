"""Usage belongs to the calendar date of the reporting time zone, whatever offset a time was written with.

Around edges of months, of the start of tasks and of both changes between summer and winter time, the dates below were
worked by hand. Summer time in Los Angeles: 2026-03-08 to 2026-11-01; in Auckland: to 2026-04-05, from 2026-09-27.
"""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from builders import (
    API_REQUEST,
    LISTED,
    PAGES,
    SALESFORCE,
    TRIGGER,
    connection,
    customer,
    job,
    prompt,
    publish,
    request,
    seats,
    step,
    subscription,
    world,
)
from reference.compiled import Warehouse, compile_project

ZONES = ("UTC", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Auckland")

# completed_at: (date in UTC, in Los Angeles, in Kolkata, in Auckland)
DATES = {
    # a month's edge, written with many offsets
    "2026-01-31T23:59:59Z": ("2026-01-31", "2026-01-31", "2026-02-01", "2026-02-01"),
    "2026-02-01T00:00:00Z": ("2026-02-01", "2026-01-31", "2026-02-01", "2026-02-01"),
    "2026-02-01T07:59:59+00:00": ("2026-02-01", "2026-01-31", "2026-02-01", "2026-02-01"),
    "2026-02-01T00:00:00-08:00": ("2026-02-01", "2026-02-01", "2026-02-01", "2026-02-01"),
    "2026-02-01T00:00:00+05:30": ("2026-01-31", "2026-01-31", "2026-02-01", "2026-02-01"),
    "2026-01-31T23:59:59+05:30": ("2026-01-31", "2026-01-31", "2026-01-31", "2026-02-01"),
    "2026-02-01T00:00:00+13:00": ("2026-01-31", "2026-01-31", "2026-01-31", "2026-02-01"),
    "2026-01-31T23:59:59+13:00": ("2026-01-31", "2026-01-31", "2026-01-31", "2026-01-31"),
    # without an offset a time is UTC
    "2026-02-28T23:30:00": ("2026-02-28", "2026-02-28", "2026-03-01", "2026-03-01"),
    # the last second of the day before, and of the day on which summer time begins in Los Angeles; the next day
    "2026-03-08T07:59:59Z": ("2026-03-08", "2026-03-07", "2026-03-08", "2026-03-08"),
    "2026-03-09T06:59:59Z": ("2026-03-09", "2026-03-08", "2026-03-09", "2026-03-09"),
    "2026-03-09T07:00:00Z": ("2026-03-09", "2026-03-09", "2026-03-09", "2026-03-09"),
    # the last second of October, and of the day on which summer time ends in Los Angeles
    "2026-11-01T06:59:59Z": ("2026-11-01", "2026-10-31", "2026-11-01", "2026-11-01"),
    "2026-11-02T07:59:59Z": ("2026-11-02", "2026-11-01", "2026-11-02", "2026-11-02"),
    # the day on which summer time ends in Auckland
    "2026-04-04T10:59:59Z": ("2026-04-04", "2026-04-04", "2026-04-04", "2026-04-04"),
    "2026-04-05T11:59:59Z": ("2026-04-05", "2026-04-05", "2026-04-05", "2026-04-05"),
    "2026-04-05T12:00:00Z": ("2026-04-05", "2026-04-05", "2026-04-05", "2026-04-06"),
    # and on which it begins there
    "2026-09-26T12:00:00Z": ("2026-09-26", "2026-09-26", "2026-09-26", "2026-09-27"),
    "2026-09-27T11:00:00Z": ("2026-09-27", "2026-09-27", "2026-09-27", "2026-09-28"),
    # the start of tasks
    "2020-09-30T23:59:59Z": ("2020-09-30", "2020-09-30", "2020-10-01", "2020-10-01"),
    "2020-10-01T00:00:00Z": ("2020-10-01", "2020-09-30", "2020-10-01", "2020-10-01"),
}
PAGE = step(*PAGES, page_count=1)
NEWEST_EXTRACT = "2026-11-30T20:00:00Z"  # December has begun in Kolkata and Auckland

CALENDAR = world(
    customer(extracted_at=NEWEST_EXTRACT),
    customer("quiet", created_at="2025-12-31T23:30:00Z", extracted_at=NEWEST_EXTRACT),
    connection(extracted_at=NEWEST_EXTRACT),  # a second file with this time, or it is not believed
    *(job(moment, TRIGGER, SALESFORCE, completed_at=moment, extracted_at=LISTED) for moment in DATES),
    prompt(sent_at="2026-02-01T00:00:00Z"),
    publish(requested_at="2026-02-01T00:00:00+05:30"),
    seats("open", account_id="quiet", effective_from="2026-11-29"),
    seats("ended", account_id="quiet", product="workflow_apps", effective_from="2026-05-30", effective_to="2026-06-02"),
)


RELATIONS = (
    *("metering.metered_jobs", "metering.metered_steps", "metering.metered_requests", "metering.metered_seats"),
    *("marts.monthly_customer_usage", "marts.customer_trends", "marts.months"),
)


class InMemory:
    """The models made in memory over rows whose times are read from texts: what a real build is asked, it answers."""

    def __init__(self, project, rows):
        warehouse = Warehouse(project)
        warehouse.build(rows, RELATIONS)
        self._connection = warehouse.connection

    def rows(self, query, *parameters):
        return self._connection.execute(query, parameters).fetchall()

    def column(self, query, *parameters):
        return [row[0] for row in self.rows(query, *parameters)]


class InZone:
    """What holds in each reporting time zone; each subclass below has ``built`` in some zones."""

    @pytest.fixture
    def position(self, zone):
        return ZONES.index(zone)

    @pytest.mark.parametrize("moment", DATES)
    def test_a_job_belongs_to_the_local_date_of_its_completion(self, moment, built, position):
        (row,) = built.rows("select usage_date::varchar from metering.metered_jobs where job_id = ?", moment)
        steps = built.column("select usage_date::varchar from metering.metered_steps where job_id = ?", moment)
        assert {*row, *steps} == {DATES[moment][position]}

    def test_tasks_exist_from_october_2020_on(self, built, position):
        tasks = dict(built.rows("select job_id, sum(tasks)::bigint from metering.metered_steps group by all"))
        assert tasks == {moment: int(dates[position] >= "2020-10-01") for moment, dates in DATES.items()}

    def test_a_prompt_and_a_publish_belong_to_their_own_time(self, built, position):
        rows = dict(built.rows("select extract_name, usage_date::varchar from metering.metered_requests"))
        assert rows == {
            "genie_prompts": DATES["2026-02-01T00:00:00Z"][position],
            "event_stream_requests": DATES["2026-02-01T00:00:00+05:30"][position],
        }

    def test_months_run_from_the_creation_to_the_as_of_date_and_none_is_missing(self, built, zone):
        months = built.column(
            "select usage_month from marts.monthly_customer_usage where customer_id = 'quiet' order by usage_month"
        )
        first, last = {
            "UTC": (date(2025, 12, 1), date(2026, 11, 1)),
            "America/Los_Angeles": (date(2025, 12, 1), date(2026, 11, 1)),
            "Asia/Kolkata": (date(2026, 1, 1), date(2026, 12, 1)),
            "Pacific/Auckland": (date(2026, 1, 1), date(2026, 12, 1)),
        }[zone]
        expected = [first]
        while expected[-1] < last:
            expected.append((expected[-1] + timedelta(days=31)).replace(day=1))
        assert months == expected

    def test_only_the_last_month_is_the_current_one(self, built):
        months = built.rows(
            "select distinct usage_month, is_current_month from marts.monthly_customer_usage order by all"
        )
        assert [is_current for _, is_current in months] == [False] * (len(months) - 1) + [True]

    def test_seats_are_in_force_until_their_end_or_the_as_of_date(self, built, zone):
        days = built.rows("select metric, usage_date::varchar from metering.metered_seats order by all")
        is_december = zone in ("Asia/Kolkata", "Pacific/Auckland")
        assert days == [
            ("go_seats", "2026-11-29"),
            ("go_seats", "2026-11-30"),
            *([("go_seats", "2026-12-01")] if is_december else []),
            ("workflow_app_seats", "2026-05-30"),
            ("workflow_app_seats", "2026-05-31"),
            ("workflow_app_seats", "2026-06-01"),
        ]

    def test_a_months_sums_are_those_of_its_days(self, built, position):
        by_month = dict(
            built.rows(
                "select strftime(usage_month, '%Y-%m'), tasks from marts.monthly_customer_usage "
                "where customer_id = 'acme' and tasks > 0"
            )
        )
        expected = {}
        for dates in DATES.values():
            if (day := dates[position]) >= "2020-10-01":
                expected[day[:7]] = expected.get(day[:7], 0) + 1
        assert by_month == expected


class TestInUtc(InZone):
    @pytest.fixture(scope="class")
    def zone(self):
        return "UTC"

    @pytest.fixture(scope="class")
    def built(self, projects):
        return InMemory(projects["default"], CALENDAR)


class TestInAuckland(InZone):
    """A real build, over files."""

    @pytest.fixture(scope="class")
    def zone(self):
        return "Pacific/Auckland"

    @pytest.fixture(scope="class")
    def built(self, build, zone):
        return build(CALENDAR, vars={"reporting_timezone": zone})


class TestInOtherZones(InZone):
    """The project is compiled once, since its SQL holds the zone's name as it was given."""

    @pytest.fixture(scope="class")
    @classmethod
    def compiled(cls, forks, tmp_path_factory):
        project = compile_project(tmp_path_factory.mktemp("zone"), {"reporting_timezone": "Asia/Kolkata"}, forks)

        def compiled(zone):
            models = {
                name: replace(model, sql=model.sql.replace("'Asia/Kolkata'", f"'{zone}'"))
                for name, model in project.models.items()
            }
            return replace(project, models=models)

        return compiled

    @pytest.fixture(scope="class", params=["America/Los_Angeles", "Asia/Kolkata"])
    def zone(self, request):
        return request.param

    @pytest.fixture(scope="class")
    def built(self, compiled, zone):
        return InMemory(compiled(zone), CALENDAR)

    def test_between_two_midnights_it_is_the_new_month(self, compiled):
        """In Havana clocks go back from 01:00 to 00:00 on 1 November 2026: it begins at the earlier one, 04:00Z."""
        new = {"created_at": "2026-11-01T04:15:00Z"}
        listings = ("2026-10-31T22:00:00Z", "2026-11-01T04:30:00Z", "2026-11-15T22:00:00Z")
        rows = world(
            *(customer("old", created_at="2026-01-10T00:00:00Z", extracted_at=at) for at in listings),
            *(customer("new", **new, extracted_at=at) for at in listings[1:]),
            job(account_id="new", completed_at="2026-11-01T04:20:00Z", extracted_at="2026-11-02T00:00:00Z"),
        )
        built = InMemory(compiled("America/Havana"), rows)
        trends = (
            "select usage_month::varchar, customers, new_customers from marts.customer_trends order by all desc limit 2"
        )
        assert built.rows(trends) == [("2026-11-01", 2, 1), ("2026-10-01", 1, 0)]
        first = "select min(usage_month)::varchar from marts.monthly_customer_usage where customer_id = 'new'"
        assert built.column(first) == ["2026-11-01"]
        listed = "select ends_at::varchar from marts.months where usage_month = '2026-10-01'"
        assert built.column(listed) == ["2026-11-01 04:00:00"]


class TestAsOfAGivenDate:
    """AS_OF_DATE says where usage ends: marts are cut after that day, whenever it was delivered; metering is not."""

    AFTER = "2026-05-31T00:00:00Z"
    UP_TO = "2026-05-30T23:59:59Z"

    @pytest.fixture(scope="class")
    @classmethod
    def built(cls, build):
        more = world(
            *(
                job(moment, API_REQUEST, SALESFORCE, PAGE, completed_at=moment, extracted_at=moment, recipe_id="edge")
                for moment in (cls.UP_TO, cls.AFTER)
            ),
            *(
                request(f"request {moment}", request_type="proxy", requested_at=moment, extracted_at=LISTED)
                for moment in (cls.UP_TO, cls.AFTER)
            ),
            prompt("prompt after", sent_at="2026-06-30T12:00:00Z"),
            subscription(effective_from="2026-05-31", recipe_metric="tasks"),
            with_required=False,
        )
        rows = {name: CALENDAR.get(name, []) + more.get(name, []) for name in CALENDAR | more}
        return build(rows, env={"AS_OF_DATE": "2026-05-30"})

    def test_there_is_one_as_of_date(self, built):
        assert built.rows("select as_of_date::varchar, as_of_month::varchar from intake.as_of") == [
            ("2026-05-30", "2026-05-01")
        ]

    def test_the_current_month_is_the_given_one(self, built):
        query = "select distinct usage_month::varchar from marts.monthly_customer_usage where is_current_month"
        assert built.column(query) == ["2026-05-01"]

    def test_seats_are_in_force_until_the_given_date(self, built):
        assert built.rows("select usage_date::varchar, quantity from metering.metered_seats order by all") == [
            ("2026-05-30", 5),
        ]

    def test_a_month_is_there_once(self, built):
        query = (
            "select count(*), count(distinct usage_month) from marts.monthly_customer_usage where customer_id = 'quiet'"
        )
        assert built.rows(query) == [(6, 6)]

    def test_no_mart_knows_a_later_day(self, built):
        """Whatever has a date or month of usage: the ones that are known end with the as-of date."""
        found = built.rows(
            "select table_name, column_name from duckdb_columns() where schema_name = 'marts' "
            "and column_name in ('usage_date', 'usage_month', 'last_job_at') order by all"
        )
        assert len(found) >= 12
        for table, column in found:
            (newest,) = built.column(f"select coalesce(max({column})::date::varchar, '') from marts.{table}")
            assert newest <= "2026-05-30", table

    @pytest.mark.parametrize(
        ("figure", "expected"),
        {
            "monthly_customer_usage": ("tasks, api_calls, pages_processed, jobs_succeeded", (3, 2, 1, 1)),
            "monthly_recipe_usage": ("sum(tasks)::int, sum(api_calls)::int", (2, 1)),
            "monthly_environment_usage": ("sum(tasks)::int, sum(api_calls)::int", (3, 2)),
            "monthly_app_usage": ("sum(tasks)::int, sum(business_actions)::int", (2, 0)),
            "monthly_rule_usage": ("sum(steps)::int, sum(tasks)::int", (3, 2)),
            "monthly_decisions": (
                "sum(decided) filter (where units = 'steps')::int, sum(quantity) filter (where metric = 'tasks')::int, "
                "sum(quantity) filter (where metric = 'api_calls')::int",
                (3, 3, 2),
            ),
            "monthly_credits": ("sum(quantity) filter (where metric = 'api_calls')::int", (2,)),
            "term_credits": ("sum(billed_quantity) filter (where metric = 'tasks')::int", (0,)),
        }.items(),
    )
    def test_the_as_of_month_is_cut_inside(self, built, figure, expected):
        columns, values = expected
        query = f"select {columns} from marts.{figure} where customer_id = 'acme' and usage_month = '2026-05-01'"
        assert built.rows(query) == [values]

    def test_the_last_job_is_that_of_the_as_of_date(self, built):
        last = "select last_job_at::varchar, tasks_this_month from marts.customer_details where customer_id = 'acme'"
        assert built.rows(last) == [("2026-05-30 23:59:59", 3)]

    def test_metering_is_not_cut(self, built):
        after = "select count(*)::int from metering.{} where usage_date > '2026-05-30'"
        of_jobs = sum(dates[0] > "2026-05-30" for dates in DATES.values()) + 1
        assert built.column(after.format("metered_jobs")) == [of_jobs]
        assert built.column(after.format("metered_steps")) == [2 * (of_jobs - 1) + 3]
        assert built.column(after.format("metered_requests")) == [2]
