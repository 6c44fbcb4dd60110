"""``make demo`` goes from the fake platform to a dashboard, with nothing but a clone."""

import csv

import duckdb
import pytest
from building import PROJECT, run_make, run_script


@pytest.fixture(scope="module")
def demo(forks, tmp_path_factory):
    """(folder, what the command printed)"""
    folder = tmp_path_factory.mktemp("demo")
    quick = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "DBT_EXCLUDE_RESOURCE_TYPES": "test unit_test"}
    done = run_script(PROJECT / "scripts" / "demo.py", DEMO_DIR=str(folder), **quick)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


class TestDemo:
    def test_it_ends_with_a_dashboard_and_says_where(self, demo):
        folder, printed = demo
        page = folder / "warehouse" / "dashboard" / "index.html"
        assert printed.splitlines()[-1] == f"Open in a browser: {page}"
        assert "Harbourline Logistics" in page.read_text(encoding="utf-8")

    def test_it_shows_the_samples_figures_of_months_that_the_api_still_has(self, demo):
        """Of October; the sample has 137 tasks, 2 of them of jobs whose recipe no listing has."""
        folder, _ = demo
        with duckdb.connect(str(folder / "warehouse" / "usage.duckdb"), read_only=True) as warehouse:
            found = warehouse.sql(
                "select sum(tasks), sum(api_calls), sum(pages_processed) from marts.monthly_customer_usage "
                "where usage_month = '2026-10-01'"
            )
            assert found.fetchall() == [(135, 18, 12)]
            rows = warehouse.sql("select count(*) from audit.quarantined_rows").fetchall()
            assert rows == [(0,)]

    def test_each_listing_of_the_sample_was_extracted(self, demo):
        folder, printed = demo
        assert printed.count("Extracted everything.") == 5
        names = sorted(path.stem for path in (folder / "extracts" / "recipes").iterdir())
        assert names == [
            "20260731T220000Z",
            "20260831T220000Z",
            "20260930T220000Z",
            "20261031T220000Z",
            "20261118T220000Z",
        ]

    def test_what_the_api_lacks_is_copied(self, demo):
        folder, _ = demo
        with (folder / "extracts" / "seats" / "by-hand.csv").open(encoding="utf-8") as file:
            assert len(list(csv.DictReader(file))) > 5


def test_make_demo_runs_it():
    planned = run_make("demo", "--dry-run", "BIN=bin", "VENV=.venv", "--assume-old=.venv/extract.stamp")
    assert planned.stdout.splitlines()[-1] == "bin/python -B scripts/demo.py"
