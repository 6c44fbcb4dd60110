"""A time of extraction far after those of all other files is not believed until another file confirms it."""

import pytest
from builders import connection, customer, job, only_steps, recipe, request, seats, streamed, world
from reference.comparison import compare
from reference.compiled import Warehouse
from reference.files import write_world
from reference.reference import Options

FAR = "2062-03-10T12:00:00Z"
UNCONFIRMED = (
    "select extract_name, count(*) from audit.quarantined_rows where reason = 'unconfirmed extracted_at' "
    "group by extract_name order by all"
)
MONTH = "select max(usage_month)::varchar from marts.monthly_customer_usage"


@pytest.fixture(scope="module")
def made(projects):
    """Makes the models over rows in memory, and compares them with the reference: rows -> query -> rows."""
    warehouse = Warehouse(projects["default"])

    def made(*parts, with_required=True):
        rows = world(*parts, with_required=with_required)
        warehouse.build(rows)
        comparison = compare(warehouse.connection, rows, Options())
        assert comparison.differences == [], comparison.report()
        return lambda query: warehouse.connection.execute(query).fetchall()

    return made


class TestWhatIsQuarantined:
    def test_a_job_of_2062_and_its_steps_which_say_the_same(self, made):
        """The case of the issue: without it the current month was March 2062."""
        rows = made(job("j-1"), job("j-2", extracted_at=FAR))
        assert rows(UNCONFIRMED) == [("jobs", 1), ("steps", 2)]
        assert rows(MONTH) == [("2026-03-01",)]

    @pytest.mark.parametrize(
        "far, extract",
        [
            (customer("far", extracted_at=FAR), "customers"),
            (request("far", extracted_at=FAR), "api_requests"),
            (seats("far", extracted_at=FAR), "seats"),
            (only_steps(job("job", extracted_at=FAR)), "steps"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_row_of_any_extract(self, far, extract, made):
        rows = made(customer(), seats(), request(), job(), far)
        assert [name for name, _ in rows(UNCONFIRMED)] == [extract]
        assert rows(MONTH) == [("2026-03-01",)]

    def test_a_streamed_job_which_has_a_file_of_its_own(self, made):
        far = {"id": "far", "account_id": "acme", "recipe_id": "r", "status": "succeeded", "started_at": FAR}
        rows = made(job(), streamed([{**far, "completed_at": FAR, "lines": [], "_file": "job_history/acme/far.json"}]))
        assert rows(UNCONFIRMED) == [("job_history", 1)]

    def test_two_files_with_different_wrong_years(self, made):
        rows = made(job("j-1"), job("j-2", extracted_at=FAR), customer(), customer("far", extracted_at="2099-01-01"))
        assert rows(UNCONFIRMED) == [("customers", 1), ("jobs", 1), ("steps", 2)]
        assert rows(MONTH) == [("2026-03-01",)]

    def test_more_than_ninety_days_after_the_newest_of_all_other_files_and_not_less(self, made):
        last = "2026-06-29T22:00:00Z"  # 90 days after LISTED
        rows = made(request("last", extracted_at=last), request("later", extracted_at="2026-06-29T22:00:00.000001Z"))
        assert rows(UNCONFIRMED) == [("api_requests", 1)]
        assert rows("select as_of_date::varchar from intake.as_of") == [("2026-06-29",)]

    def test_a_file_of_the_same_path_confirms_nothing(self, made):
        far = request("far", extracted_at=FAR, _file="api_requests/all.csv", _load=1)
        rows = made(far, request("far, too", extracted_at=FAR, _file="api_requests/all.csv", _load=2))
        assert rows(UNCONFIRMED) == [("api_requests", 2)]

    def test_where_no_two_files_agree_only_what_the_newest_says(self, made):
        rows = made(
            customer(created_at="2025-12-01T00:00:00Z", extracted_at="2026-01-01T00:00:00Z"),
            recipe(extracted_at="2026-06-01T00:00:00Z"),
            request(extracted_at="2026-12-01T00:00:00Z"),
            with_required=False,
        )
        assert rows(UNCONFIRMED) == [("api_requests", 1)]


class TestWhatConfirmsIt:
    @pytest.mark.parametrize(
        "other",
        [
            request("other", extracted_at=FAR, _file="api_requests/b.csv"),
            customer("other", extracted_at=FAR),
            job("other", extracted_at=FAR),
            request("other", extracted_at="2061-12-10T12:00:00Z", _file="api_requests/b.csv"),  # 90 days before
        ],
        ids=["a file of its extract", "a file of another extract", "a job", "not quite as late"],
    )
    def test_another_file(self, other, made):
        rows = made(request("far", extracted_at=FAR), other)
        assert rows(UNCONFIRMED) == []
        assert rows(MONTH) == [("2062-03-01",)]

    def test_the_only_file_is_believed(self, made):
        rows = made(request("far", extracted_at=FAR), request("near"), with_required=False)
        assert rows(UNCONFIRMED) == []

    def test_all_other_files_may_be_older(self, made):
        rows = made(job("j-1", extracted_at="2020-11-01T00:00:00Z", completed_at="2020-11-01T00:00:00Z"))
        assert rows(UNCONFIRMED) == []


class TestFromRunToRun:
    """A row of another year comes first, a file that says the same in the third run; then everything is recomputed."""

    RUNS = (
        [customer(), recipe(), connection(), job("j-1"), job("j-2", extracted_at="2027-03-10T12:00:00Z")],
        [job("j-3", extracted_at="2026-04-20T12:00:00Z")],
        [customer("later", extracted_at="2027-03-11T12:00:00Z")],
    )

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, workbench, build):
        folder, built = workbench.clear_extracts(), []
        for number, parts in enumerate(cls.RUNS):
            rows = world(*parts, with_required=False)
            write_world(rows, folder, split=1, ragged=False, name=f"run-{number}")
            built.append(build(folder, onto=built[-1] if built else None))
        return built

    def test_it_counts_from_the_run_on_that_confirms_it(self, runs):
        jobs = "select job_id from metering.metered_jobs order by all"
        assert [run.column(jobs) for run in runs] == [["j-1"], ["j-1", "j-3"], ["j-1", "j-2", "j-3"]]
        assert [run.rows(UNCONFIRMED) for run in runs] == [[("jobs", 1), ("steps", 2)]] * 2 + [[]]
        assert [run.column(MONTH)[0] for run in runs] == ["2026-03-01", "2026-04-01", "2027-03-01"]

    def test_only_that_run_computes_everything_anew(self, runs):
        said = "new files change which extracted_at are confirmed"
        assert [said in run.output for run in runs] == [False, False, True]

    def test_and_is_what_one_run_over_all_files_makes(self, runs, projects):
        warehouse = Warehouse(projects["default"])
        placed = [
            (extract, row | {"_load": number, "_file": f"{extract}/run-{number}-0.csv"})
            for number, parts in enumerate(self.RUNS, start=1)
            for part in parts
            for extract, row in part
        ]
        warehouse.build(world(placed, with_required=False))
        schemas = ("metering", "marts", "audit")
        assert runs[-1].tables(*schemas) == warehouse.tables(*schemas)
