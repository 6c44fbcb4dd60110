"""What full listings give away of themselves: one that was cut short, connections without an authorization time."""

import pytest
from builders import connection, customer, world

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
    def built(self, build):
        return build(SHRINKING)

    def test_a_listing_that_shrank_to_less_than_half_is_found(self, built):
        found = built.rows(
            "select subject, detail, occurrences from audit.findings where finding = 'listing less than half as long'"
        )
        assert found == [("customers of 2026-04-30 22:00:00", "holds 2, the one before 5", 3)]

    def test_a_connection_of_the_first_listing_without_authorization_time_is_found(self, built):
        found = built.rows("select subject from audit.findings where finding = 'authorization time missing'")
        assert found == [("untimed",)]

    def test_and_counts_from_that_listing_on(self, built):
        assert built.rows("select usage_month::varchar, connections from marts.connection_trends order by 1") == [
            ("2025-12-01", 0),
            ("2026-01-01", 0),
            ("2026-02-01", 0),
            ("2026-03-01", 2),
            ("2026-04-01", 2),
            ("2026-05-01", 2),  # no listing of connections in May: April's still holds
        ]
