"""Which rows are one full listing, and what listings give away of themselves: one that was cut short, connections
without an authorization time."""

import pytest
from builders import collection, connection, customer, recipe, world
from reference.compiled import Warehouse

LISTED = ["2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z", "2026-05-31T22:00:00Z"]

SHRINKING = world(
    *(customer(f"c{n}", extracted_at=LISTED[0]) for n in range(5)),
    *(customer(f"c{n}", extracted_at=LISTED[1]) for n in range(2)),  # 2 of 5: less than half
    *(customer(f"c{n}", extracted_at=LISTED[2]) for n in range(1)),  # 1 of 2: half
    connection("timed", authorization_status="success", authorized_at="2026-03-10T12:00:00Z", extracted_at=LISTED[0]),
    connection("untimed", authorization_status="success", extracted_at=LISTED[0]),
    connection("untimed", authorization_status="success", name="renamed since", extracted_at=LISTED[1]),
    connection("failed", authorization_status="failed", extracted_at=LISTED[0]),
    connection("untimed later", authorization_status="success", extracted_at=LISTED[1]),
)


class TestFindings:
    @pytest.fixture(scope="class")
    def rows(self, projects):
        """Makes the models over them in memory: query -> rows."""
        warehouse = Warehouse(projects["default"])
        warehouse.build(SHRINKING, ("audit.findings", "marts.connection_trends"))
        return lambda query: warehouse.connection.execute(query).fetchall()

    def test_a_listing_that_shrank_to_less_than_half_is_found(self, rows):
        found = rows(
            "select subject, detail, occurrences from audit.findings where finding = 'listing less than half as long'"
        )
        assert found == [("customers of 2026-04-30 22:00:00", "holds 2, the one before 5", 3)]

    def test_a_connection_of_the_first_listing_without_authorization_time_is_found(self, rows):
        found = rows("select subject from audit.findings where finding = 'authorization time missing'")
        assert found == [("untimed",)]

    def test_and_counts_from_that_listing_on(self, rows):
        assert rows("select usage_month::varchar, connections from marts.connection_trends order by 1") == [
            ("2025-12-01", 0),
            ("2026-01-01", 0),
            ("2026-02-01", 0),
            ("2026-03-01", 2),
            ("2026-04-01", 2),
            ("2026-05-01", 2),  # no listing of connections in May: April's still holds
        ]


# ----------------------------------------------------------------------------------- which rows are one full listing


@pytest.fixture(scope="module")
def listed(projects):
    """Makes the models over rows in memory: (a query, the rows, under which options) -> the query's rows."""
    warehouses = {}

    def listed(query, *parts, options="default"):
        if options not in warehouses:
            warehouses[options] = Warehouse(projects[options])
        relations = ("marts.customer_details", "marts.customer_trends", "audit.extract_row_counts")
        warehouses[options].build(world(*parts), (*relations, "metering.recipe_types_listed"))
        return warehouses[options].connection.execute(query).fetchall()

    return listed


STATUS = "select customer_id, status from marts.customer_details order by all"
LISTINGS = "select customer_id, extracted_at::varchar from staging.stg_customers order by all"


class TestWhichRowsAreOneListing:
    def test_rows_that_carry_the_second_at_which_each_was_fetched_are_one(self, listed):
        rows = [customer(f"c{n}", extracted_at=f"2026-03-31T22:00:0{n}Z") for n in range(3)]
        assert listed(STATUS, *rows) == [("acme", "unlisted"), *((f"c{n}", "active") for n in range(3))]
        assert listed(LISTINGS, *rows) == [(f"c{n}", "2026-03-31 22:00:02") for n in range(3)]
        trend = "select customers, deleted_customers from marts.customer_trends order by usage_month desc limit 1"
        assert listed(trend, *rows) == [(3, 0)]

    def test_so_are_rows_that_lie_exactly_the_tolerance_apart_and_no_others(self, listed):
        rows = [
            customer("newest", extracted_at="2026-03-31T22:00:00Z"),
            customer("within", extracted_at="2026-03-31T16:00:00Z"),
            customer("before", extracted_at="2026-03-31T15:59:59.999999Z"),
        ]
        assert listed(STATUS, *rows)[1:] == [("before", "deleted"), ("newest", "active"), ("within", "active")]

    def test_a_listing_begins_at_its_newest_row_and_not_where_a_pause_is(self, listed):
        """Every five hours, ten rows: from the newest one backwards two are a listing each time."""
        rows = [customer(f"c{n}", extracted_at=f"2026-03-{30 + n * 5 // 24}T{n * 5 % 24:02}:00:00Z") for n in range(9)]
        taken = [(f"c{n}", when) for n, (_, when) in enumerate(listed(LISTINGS, *rows))]
        assert [when[8:13] for _, when in taken] == [
            "30 00", "30 10", "30 10", "30 20", "30 20", "31 06", "31 06", "31 16", "31 16",
        ]  # fmt: skip

    def test_the_tolerance_is_a_variable(self, listed):
        rows = [
            customer("newest", extracted_at="2026-03-31T22:00:00Z"),
            customer("half an hour", extracted_at="2026-03-31T21:30:00Z"),
            customer("an hour", extracted_at="2026-03-31T21:00:00Z"),
        ]
        shorter = "Los Angeles, T1, opposite defaults"
        assert [when[11:] for _, when in listed(LISTINGS, *rows, options=shorter)] == [
            "21:00:00",
            "22:00:00",
            "22:00:00",
        ]

    def test_whatever_loads_and_files_its_rows_came_in(self, listed):
        rows = [
            customer("second page", extracted_at="2026-03-31T22:00:09Z", _load=1, _file="customers/2.csv"),
            customer("first page", extracted_at="2026-03-31T22:00:01Z", _load=2, _file="customers/1.csv"),
        ]
        assert {when for _, when in listed(LISTINGS, *rows)} == {"2026-03-31 22:00:09"}

    def test_each_extract_has_listings_of_its_own(self, listed):
        rows = [
            customer("c", extracted_at="2026-03-31T22:00:00Z"),
            recipe("r", extracted_at="2026-03-31T20:00:00Z"),
            collection("col", extracted_at="2026-03-31T21:00:00Z"),
        ]
        times = "select extract_name, listed_at::varchar from intake.listing_times order by all"
        assert [(name, when[11:13]) for name, when in listed(times, *rows)] == [
            ("api_collections", "21"),
            ("connections", "22"),
            ("customers", "22"),
            ("recipes", "20"),
        ]

    def test_what_stands_in_one_listing_twice_is_as_its_later_row_says(self, listed):
        rows = [
            recipe("r", recipe_type="api_recipe", extracted_at="2026-03-31T22:00:00Z"),
            recipe("r", recipe_type="workflow", extracted_at="2026-03-31T21:00:00Z"),
            recipe("other", extracted_at="2026-03-31T22:30:00Z"),
        ]
        types = "select recipe_id, recipe_type from metering.recipe_types_listed order by all"
        assert listed(types, *rows) == [("other", None), ("r", "api_recipe")]
        counts = "select rows_used, rows_repeated from audit.extract_row_counts where extract_name = 'recipes'"
        assert listed(counts, *rows) == [(2, 1)]

    def test_a_row_that_cannot_be_used_is_in_no_listing(self, listed):
        rows = [
            customer("good", extracted_at="2026-03-31T22:00:00Z"),
            customer("bad", created_at="someday", extracted_at="2026-03-31T23:00:00Z"),
        ]
        assert listed(LISTINGS, *rows) == [("good", "2026-03-31 22:00:00")]
