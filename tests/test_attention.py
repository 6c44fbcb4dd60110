"""Oddities of a whole extract, which no row shows, are findings; what deserves attention is a warning of the run."""

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
    subscription,
    without_steps,
    world,
)
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


class TestWarnings:
    """One run that has something of each kind, and a run without anything new after it."""

    WORLD = world(
        customer(extracted_at="2150-01-31T22:00:00Z"),
        connection(extracted_at="2150-01-31T22:00:00Z"),
        recipe(),
        job("failed", step(*TRIGGER, error="-")),
        request("far", job_id="FAILED", extracted_at="2199-01-01T00:00:00Z"),
        request("near", job_id="FAILED"),
        seats(),
        seats(seats=7),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, build):
        first = build(cls.WORLD)
        return first, build(first.warehouse.parent / "extracts", onto=first)

    LASTING = (
        "The newest extracted_at of connections, 2150-01-31 22:00:00 UTC, is later than this machine's clock.",
        "1 rows are quarantined, such as one of api_requests/part-0.csv: their extracted_at (2199-01-01 00:00:00) is "
        "more than 90 days after those of all other files.",
        "audit.findings has 1 of 'every step failed', such as failed: the job succeeded.",
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

    def test_no_figure_depends_on_the_clock(self, runs):
        assert runs[0].column("select max(usage_month)::varchar from marts.monthly_customer_usage") == ["2150-01-01"]
