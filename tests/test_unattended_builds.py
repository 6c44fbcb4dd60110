"""Scheduled runs over real extracts: what they publish, write and tell, and that a broken file changes nothing."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from builders import FIRST, job, subscription, world
from building import PROJECT, VARS
from receiving import webhook
from run_place import Place

APRIL = "2026-04-02T12:00:00Z"
OF_PARTNERS = ("WORKATO_", "NOTIFY_", "SMTP_")  # settings of whoever runs the tests


class TestRealRuns:
    """What make scheduled-run starts, over real extracts: a first run, one with new files, and one with a broken file.

    A task limit of 1 is used by two tasks in March, and by one in April. The last full month is February, then March.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def place(cls, forks, tmp_path_factory) -> Place:
        """Three runs, each: (exit code, output, summary, texts of the webhook). ``forks`` is the server of builds."""
        if (PROJECT / "extraction.toml").exists():
            pytest.skip("the runs would extract by extraction.toml")
        place = Place(tmp_path_factory.mktemp("real"))
        extracts, listed = place.folder / "extracts", place.folder / "listed.txt"
        listed.write_text("# those who asked\nacme\n", encoding="utf-8")
        contract = subscription(recipe_metric="tasks", task_limit=1)
        place.results, place.lists_attempts, place.before_the_last = [], [], b""
        with webhook() as hook:
            for name, delivered in {
                "first": FIRST | world(contract, with_required=False),
                "second": world(job("j-2", completed_at=APRIL, extracted_at=APRIL), with_required=False),
                "broken": {"jobs": [{"id": "j-3", "account_id": "acme"}]},
            }.items():
                for extract, rows in delivered.items():
                    write_rows(extracts / extract / f"{name}.csv", rows)
                place.before_the_last = place.published.read_bytes() if place.published.exists() else b""
                hook.received.clear()
                inherited = {name: value for name, value in os.environ.items() if not name.startswith(OF_PARTNERS)}
                environment = inherited | {
                    "WAREHOUSE_DIR": str(place.warehouse),
                    "EXTRACTS_DIR": str(extracts),
                    "AS_OF_DATE": "",
                    "VARS": json.dumps(VARS),
                    "STATEMENTS_FOR": str(listed),
                    "NOTIFY_WEBHOOK": hook.address,
                    "NOTIFY_USAGE_PERCENT": "80",
                    "DBT_TARGET_PATH": str(place.folder / "target"),
                    "DBT_LOG_PATH": str(place.folder / "target"),
                    "DBT_EXCLUDE_RESOURCE_TYPES": "test",
                }
                ended = forks.run_script(PROJECT / "scheduled_run" / "__main__.py", [], environment)
                place.results.append((ended.returncode, ended.stdout, place.summary(), hook.texts))
                place.lists_attempts.append((place.warehouse / "dashboard" / "csv" / "attempts.csv").exists())
        return place

    def test_two_runs_publish_and_the_second_says_what_it_changed(self, place):
        (first, said, *_), (second, said_again, summary, _), _ = place.results
        assert (first, second) == (0, 0), said + said_again
        assert summary["changes"]["rows"] == {"rows_read": 3, "rows_used": 3}  # a job with two steps
        assert summary["published"]["as_of_date"] == "2026-04-02"
        assert (place.warehouse / "dashboard" / "index.html").exists()

    def test_statements_are_those_of_the_last_full_month(self, place):
        (_, first, *_), *_ = place.results
        assert "Customer acme has no Feb 2026: no statement." in first
        (statement,) = (place.warehouse / "statements").iterdir()
        assert statement.name == "acme-2026-03.html"

    def test_thresholds_of_the_contract_are_told(self, place):
        (*_, first), (*_, second), _ = place.results
        period = "in the billing period from 2026-0"
        assert f"Acme (acme): 200 % of the allowance on 2026-03-10, {period}3-01" in first[0].splitlines()
        assert f"Acme (acme): 100 % of the allowance on 2026-04-02, {period}4-01" in second[0].splitlines()

    def test_a_file_that_cannot_be_read_fails_the_run_is_told_and_shown_and_changes_nothing(self, place):
        *_, (code, _, summary, texts) = place.results
        assert (code, summary["is_published"]) == (3, False)
        assert place.published.read_bytes() == place.before_the_last != b""
        assert "broken.csv" in texts[0]  # in the last lines of the build
        (row,) = rows_of(place.warehouse / "dashboard" / "csv" / "attempts.csv")
        assert (row["step"], row["problem"]) == ("build", "The build failed, and nothing was published.")
        assert place.lists_attempts == [False, False, True]
        assert row["problem"] in (place.warehouse / "dashboard" / "data.html").read_text(encoding="utf-8")


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestStatements:
    @pytest.fixture
    def folder(self, sample, tmp_path) -> Path:
        (tmp_path / "usage.duckdb").symlink_to(sample.published.absolute())
        return tmp_path

    def write(self, folder: Path, listed: str | bytes) -> subprocess.CompletedProcess[str]:
        path = folder / "listed.txt"
        path.write_bytes(listed if isinstance(listed, bytes) else listed.encode())
        return self.dashboard(folder, "statements", "--listed-in", str(path))

    def dashboard(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"WAREHOUSE_DIR": str(folder)}
        command = [sys.executable, "-m", "dashboard", *arguments]
        return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)

    def test_a_list_writes_what_make_statement_writes(self, folder):
        """The sample ends in November 2026; 1008 and 1001 have an October."""
        ended = self.write(folder, "\ufeff# who asks\n1008\n\n  1001 \n1008\n")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == f"Wrote 2 statements to {folder / 'statements'}.\n"
        for customer in ("1001", "1008"):
            alone = folder / "alone.html"
            asked = "--customer", customer, "--month", "2026-10", "--output", str(alone)
            assert self.dashboard(folder, "statement", *asked).returncode == 0
            assert (folder / "statements" / f"{customer}-2026-10.html").read_text() == alone.read_text()

    def test_a_star_is_every_customer_and_an_unknown_one_is_named(self, folder, sample):
        with_october = sample.column(
            "select customer_id from marts.monthly_customer_usage where usage_month = '2026-10-01' order by all"
        )
        ended = self.write(folder, "*\nnobody\n")
        assert ended.returncode == 1
        assert ended.stderr == f"{folder / 'listed.txt'} lists nobody, and there is no such customer: correct it.\n"
        written = sorted(path.name for path in (folder / "statements").iterdir())
        assert written == sorted(f"{customer}-2026-10.html" for customer in with_october)
        others = sample.column("select count(*) from marts.customer_details")[0] - len(with_october)
        assert ended.stdout.count("has no Oct 2026: no statement.") == others

    @pytest.mark.parametrize("listed", [b"\xff\xfe1", None])
    def test_a_list_that_cannot_be_read_is_named(self, folder, listed):
        path = folder / "listed.txt"
        ended = self.write(folder, listed) if listed else self.dashboard(folder, "statements", "--listed-in", str(path))
        assert ended.returncode == 1
        reason = "it is not UTF-8" if listed else "No such file or directory"
        assert ended.stderr == f"The list of statements {path} cannot be read: {reason}.\n"


def test_a_dashboard_says_which_list_of_failed_runs_it_cannot_read(sample, tmp_path):
    (tmp_path / "usage.duckdb").symlink_to(sample.published.absolute())
    (tmp_path / "attempts.json").write_text("[]\n")
    command = [sys.executable, "-m", "dashboard", "site", str(tmp_path)]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"The list of failed runs {tmp_path / 'attempts.json'} cannot be read.")
