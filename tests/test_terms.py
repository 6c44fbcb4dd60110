"""Seat orders, terms and ratios that are delivered again: which row counts, what a listing without them ends, and that
every correction of the past is a finding."""

import pytest
from builders import connection, customer, ratio, seats, subscription, world
from reference.compiled import Warehouse

# Three listings, and what came on the same days without any time of its own.
JUNE, JULY, AUGUST = "2026-06-30T22:00:00Z", "2026-07-31T22:00:00Z", "2026-08-31T22:00:00Z"
SECOND_LOAD = {"_load": 2}


@pytest.fixture(scope="module")
def made(projects):
    """Makes the models over rows in memory, under the options: (options, rows) -> query -> rows."""

    def made(*parts, options="default"):
        warehouse = Warehouse(projects[options])
        relations = ("marts.monthly_customer_usage", "audit.findings", "audit.extract_row_counts")
        newest = max(row.get("extracted_at") or "" for part in parts for _, row in part)
        confirming = connection(extracted_at=newest)  # a second file with this time, or it is not believed
        warehouse.build(world(confirming, *parts), relations)
        return lambda query: warehouse.connection.execute(query).fetchall()

    return made


def listed(builder, *when, account, **columns):
    """The same row in each of the listings."""
    return [part for time in when for part in builder(account_id=account, extracted_at=time, **columns)]


def order(id, *when, account, **columns):
    return listed(seats, *when, id=id, account=account, **{"effective_from": "2026-05-01", **columns})


def term(*when, account, **columns):
    return listed(subscription, *when, account=account, **columns)


SEATS = (
    "select seats, effective_from::varchar, effective_to::varchar from staging.stg_seats "
    "where customer_id = '{}' order by effective_from"
)
TERMS = (
    "select recipe_metric, effective_from::varchar, effective_to::varchar from staging.stg_subscriptions "
    "where customer_id = '{}' order by effective_from"
)
CORRECTIONS = (
    "select customer_id, subject from audit.findings where finding = 'correction of the past' "
    "and subject not like 'ratio%' order by all"
)


class TestRowsWithoutATime:
    """The case of the issue: orders and a ratio that the second load corrects, in a file of the same name."""

    ORDERS = (  # account, what the first load says of the order, what the second does
        ("10-to-9", {"seats": 10}, {"seats": 9}),
        ("9-to-10", {"seats": 9}, {"seats": 10}),
        ("20-to-10", {"seats": 20}, {"seats": 10}),
        ("ended-earlier", {"effective_to": "2027-01-01"}, {"effective_to": "2026-07-01"}),
        ("not-ended", {"effective_to": "2026-07-01"}, {}),
        ("renewed", {"effective_to": "2026-07-01"}, {"seats": 12, "effective_from": "2026-07-01"}),
        ("as-it-was", {}, {}),
        ("end-announced", {}, {"effective_to": "2026-12-31"}),
        ("another-path", {"_file": "seats/b.csv"}, {"seats": 11, "_load": 1, "_file": "seats/c.csv"}),
        ("an-earlier-path", {"_file": "seats/b.csv"}, {"seats": 99, "_load": 1, "_file": "seats/a.csv"}),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls, made):
        place, from_may = {"_load": 1, "_file": "seats/orders.csv"}, {"seats": 10, "effective_from": "2026-05-01"}
        parts = [customer("anybody", extracted_at="2026-08-10T22:00:00Z", _load=1)]
        for account, first, second in cls.ORDERS:
            parts.append(seats("X", account_id=account, **from_may | place | first))
            parts.append(seats("X", account_id=account, **from_may | place | SECOND_LOAD | second))
        for load, credits in ((1, "2"), (2, "1.5")):
            parts.append(ratio("go_seats", credits_per_unit=credits, _load=load))
        return made(*parts)

    def test_the_one_delivered_last_counts_by_load_and_path(self, rows):
        months = (
            "select customer_id, list(go_seats order by usage_month) from marts.monthly_customer_usage "
            "where usage_month between '2026-05-01' and '2026-08-01' and customer_id not in ('acme', 'anybody') "
            "group by customer_id order by all"
        )
        assert dict(rows(months)) == {
            "10-to-9": [9, 9, 9, 9],
            "9-to-10": [10, 10, 10, 10],
            "20-to-10": [10, 10, 10, 10],
            "ended-earlier": [10, 10, 0, 0],
            "not-ended": [10, 10, 10, 10],
            "renewed": [12, 12],  # no month before its first one
            "as-it-was": [10, 10, 10, 10],
            "end-announced": [10, 10, 10, 10],
            "another-path": [11, 11, 11, 11],
            "an-earlier-path": [10, 10, 10, 10],
        }
        price = "select credits from marts.monthly_customer_usage where customer_id = '10-to-9' and is_current_month"
        assert rows(price) == [(13.5,)]  # 9 seats at 1.5

    def test_every_correction_of_the_past_is_a_finding_and_nothing_else_is(self, rows):
        corrected = [a for a, *_ in self.ORDERS if a not in ("as-it-was", "end-announced")]
        assert rows(CORRECTIONS) == sorted((account, "seat order X") for account in corrected)
        said = "select detail from audit.findings where finding = 'correction of the past' and customer_id = '{}'"
        assert rows(said.format("10-to-9")) == [
            (
                "said on 2026-08-10, of days from 2026-05-01 on: product workato_go, seats 10, from 2026-05-01 "
                "became product workato_go, seats 9, from 2026-05-01",
            )
        ]
        assert rows("select subject from audit.findings where subject like 'ratio%'") == [
            ("ratio of go_seats from 2026-01-01",)
        ]

    def test_what_was_delivered_again_is_a_repeated_row(self, rows):
        counts = "select rows_read, rows_used, rows_repeated from audit.extract_row_counts where extract_name = 'seats'"
        assert rows(counts) == [(20, 10, 10)]


class TestListedOrders:
    """Orders in three listings, on the last days of June, July and August."""

    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls, made):
        return made(*cls.parts())

    @staticmethod
    def parts():
        return [
            order("o", JUNE, JULY, AUGUST, account="always"),
            [*order("o", JUNE, account="raised"), *order("o", JULY, AUGUST, account="raised", seats=7)],
            [
                *order("o", JULY, AUGUST, account="older row later", seats=7),
                *order("o", JUNE, account="older row later"),
            ],
            order("o", JUNE, account="gone in July"),
            order("o", JUNE, JULY, account="gone in August"),
            order("o", JUNE, account="ended itself", effective_to="2026-07-10"),
            order("o", JUNE, JULY, account="not begun", effective_from="2026-10-01"),
            order("o", JUNE, AUGUST, account="listed again"),
            order("o", "2026-06-30T19:00:00Z", JULY, AUGUST, account="on another page"),
            order("o", JUNE, account="on no page of August", _load=2),
            [
                *order("a", JUNE, account="corrected to later"),
                *order("b", JULY, AUGUST, account="corrected to later", effective_from="2026-06-01"),
            ],
            [
                *order("a", JUNE, account="corrected to earlier"),
                *order("b", JULY, AUGUST, account="corrected to earlier", effective_from="2026-04-01"),
            ],
            [
                *order("a", JUNE, account="renewed", effective_to="2026-07-15"),
                *order("b", JULY, AUGUST, account="renewed", effective_from="2026-07-15"),
            ],
            [
                *order("a", JUNE, account="another order"),
                *order("b", JULY, AUGUST, account="another order", seats=8, effective_from="2026-06-01"),
            ],
            [
                *order("a", JUNE, account="another product"),
                *order(
                    "b", JULY, AUGUST, account="another product", product="workflow_apps", effective_from="2026-06-01"
                ),
            ],
            [
                *order("a", JUNE, account="another one all the time"),
                *order("b", JUNE, JULY, AUGUST, account="another one all the time", effective_from="2026-06-01"),
            ],
            [
                *order("o", JUNE, account="end announced"),
                *order("o", JULY, AUGUST, account="end announced", effective_to="2026-12-31"),
            ],
            order("o", JULY, AUGUST, account="new in July", effective_from="2026-07-10"),
            order("o", JULY, AUGUST, account="new and backdated", effective_from="2026-06-10"),
            order("o", None, account="in no listing"),
        ]

    @pytest.mark.parametrize(
        "account, expected",
        {
            "always": [(5, "2026-05-01", None)],
            "raised": [(7, "2026-05-01", None)],
            "older row later": [(7, "2026-05-01", None)],
            "gone in July": [(5, "2026-05-01", "2026-07-31")],
            "gone in August": [(5, "2026-05-01", "2026-08-31")],
            "ended itself": [(5, "2026-05-01", "2026-07-10")],
            "not begun": [(5, "2026-10-01", "2026-10-01")],
            "listed again": [(5, "2026-05-01", None)],
            "on another page": [(5, "2026-05-01", None)],
            "on no page of August": [(5, "2026-05-01", "2026-07-31")],
            "corrected to later": [(5, "2026-05-01", "2026-05-01"), (5, "2026-06-01", None)],
            "corrected to earlier": [(5, "2026-04-01", None), (5, "2026-05-01", "2026-05-01")],
            "renewed": [(5, "2026-05-01", "2026-07-15"), (5, "2026-07-15", None)],
            "another order": [(5, "2026-05-01", "2026-07-31"), (8, "2026-06-01", None)],
            "another product": [(5, "2026-05-01", "2026-07-31"), (5, "2026-06-01", None)],
            "another one all the time": [(5, "2026-05-01", "2026-07-31"), (5, "2026-06-01", None)],
            "in no listing": [(5, "2026-05-01", None)],
        }.items(),
    )
    def test_an_order_counts_as_its_latest_row_and_until_a_listing_lacks_it(self, account, expected, rows):
        assert rows(SEATS.format(account)) == expected

    def test_corrections_of_the_past_are_findings_and_nothing_else_is(self, rows):
        assert rows(CORRECTIONS) == [
            ("another order", "seat order b"),  # is new, and begins before the listing of June
            ("another product", "seat order b"),
            ("corrected to earlier", "seat order a"),  # never was
            ("corrected to earlier", "seat order b"),
            ("corrected to later", "seat order a"),
            ("corrected to later", "seat order b"),
            ("listed again", "seat order o"),
            ("new and backdated", "seat order o"),
            ("older row later", "seat order o"),
            ("raised", "seat order o"),
        ]

    def test_so_is_a_row_that_no_listing_can_end(self, rows):
        found = "select customer_id, subject, occurrences from audit.findings where finding = 'in no listing'"
        assert rows(found) == [("in no listing", "seats", 1)]

    def test_rows_in_are_rows_used_and_repeated(self, rows):
        counts = (
            "select rows_read, rows_used + rows_repeated from audit.extract_row_counts where extract_name = 'seats'"
        )
        ((read, accounted_for),) = rows(counts)
        assert read == accounted_for == sum(len(part) for part in self.parts())

    def test_the_date_of_a_listing_is_that_of_the_reporting_time_zone(self, made):
        rows = made(*self.parts(), options="Kolkata, T2, as of the past")  # half past three on the next day
        assert rows(SEATS.format("gone in July")) == [(5, "2026-05-01", "2026-08-01")]


class TestListedTermsAndRatios:
    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls, made):
        tasks = {"recipe_metric": "tasks"}
        return made(
            term(JUNE, JULY, AUGUST, account="always"),
            term(JUNE, account="gone in July"),
            [*term(JUNE, account="later"), *term(JULY, AUGUST, account="later", effective_from="2026-02-01")],
            [*term(JUNE, account="earlier"), *term(JULY, AUGUST, account="earlier", effective_from="2025-12-01")],
            [
                *term(JUNE, account="covered by another"),
                *term(JULY, AUGUST, account="covered by another", effective_from="2025-12-01", **tasks),
            ],
            [
                *term(JUNE, account="changed contract"),
                *term(JULY, AUGUST, account="changed contract", effective_from="2026-06-01", **tasks),
            ],
            [
                *term(JUNE, account="renewed", effective_to="2026-07-01"),
                *term(JULY, AUGUST, account="renewed", effective_from="2026-07-01", effective_to="2027-07-01"),
            ],
            [*term(JUNE, account="tasks since ever"), *term(JULY, AUGUST, account="tasks since ever", **tasks)],
            ratio("tasks", credits_per_unit="2", extracted_at=JUNE),
            ratio("tasks", credits_per_unit="1.5", extracted_at=JULY),
            ratio("tasks", credits_per_unit="9", account_id="a", extracted_at=JUNE),
            ratio("tasks", credits_per_unit="8", account_id="a", terms="tasks_2024", extracted_at=JULY),
            ratio("api_calls", credits_per_unit="1", call_type="managed", extracted_at=JUNE),
            ratio("api_calls", credits_per_unit="1", call_type="proxy", effective_from="2026-03-01", extracted_at=JULY),
            ratio("mcp_calls", credits_per_unit="1", extracted_at=JUNE),
            ratio("mcp_calls", credits_per_unit="1", effective_from="2026-03-01", extracted_at=JULY),
        )

    @pytest.mark.parametrize(
        "account, expected",
        {
            "always": [("business_actions", "2026-01-01", None)],
            "gone in July": [("business_actions", "2026-01-01", "2026-07-31")],
            "later": [("business_actions", "2026-01-01", "2026-01-01"), ("business_actions", "2026-02-01", None)],
            "earlier": [("business_actions", "2025-12-01", None), ("business_actions", "2026-01-01", "2026-01-01")],
            "covered by another": [("tasks", "2025-12-01", None), ("business_actions", "2026-01-01", "2026-01-01")],
            "changed contract": [("business_actions", "2026-01-01", "2026-07-31"), ("tasks", "2026-06-01", None)],
            "renewed": [
                ("business_actions", "2026-01-01", "2026-07-01"),
                ("business_actions", "2026-07-01", "2027-07-01"),
            ],
            "tasks since ever": [("tasks", "2026-01-01", None)],
        }.items(),
    )
    def test_a_term_is_known_by_its_customer_and_first_day(self, account, expected, rows):
        assert rows(TERMS.format(account)) == expected

    def test_a_ratio_is_known_by_account_terms_metric_call_type_and_first_day(self, rows):
        ratios = (
            "select customer_id, terms, metric, call_type, credits_per_unit, effective_from::varchar, "
            "effective_to::varchar from staging.stg_credit_ratios order by metric, call_type, credits_per_unit, 6"
        )
        begin, march, july = "2026-01-01", "2026-03-01", "2026-07-31"
        assert rows(ratios) == [
            (None, None, "api_calls", "managed", 1, begin, july),
            (None, None, "api_calls", "proxy", 1, march, None),
            (None, None, "mcp_calls", None, 1, begin, begin),  # never was
            (None, None, "mcp_calls", None, 1, march, None),
            (None, None, "tasks", None, 1.5, begin, None),
            ("a", "tasks_2024", "tasks", None, 8, begin, None),
            ("a", None, "tasks", None, 9, begin, july),
        ]

    def test_what_never_was_overlaps_with_nothing(self, rows):
        overlapping = "select customer_id from audit.findings where finding = 'overlapping subscriptions' order by all"
        assert rows(overlapping) == [("changed contract",)]
        assert rows("select subject from audit.findings where finding = 'overlapping credit ratios'") == []
