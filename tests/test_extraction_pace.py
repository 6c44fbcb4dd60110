"""Requests keep the platform's limits, and are tried again as it asks. Time passes only while somebody waits."""

import re
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "extraction"))
from extracting import FAULTS, RandomFaults, Time, extracting, fetch_one_at_a_time
from fake_platform import BROKEN, ENOUGH, SILENT, Answer, Contents

from extraction.endpoints import LIMITS
from extraction.pacing import Pace
from extraction.problems import OutOfTime

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
JOB = {"status": "succeeded", "started_at": "2026-03-10T10:00:00Z", "completed_at": "2026-03-10T10:00:00Z", "lines": []}


def contents(customers, jobs=0):
    """Customer 1 … with recipe 1 each, and so many jobs."""
    ids = [str(n) for n in range(1, customers + 1)]
    return Contents(
        now=NOON,
        customers=[{"id": id} for id in ids],
        recipes={id: [{"id": 1}] for id in ids},
        jobs={(id, "1"): [JOB | {"id": f"j-{n}"} for n in range(jobs)] for id in ids},
    )


class TestLimits:
    def test_no_minute_has_more_requests_than_the_platform_allows(self, tmp_path, monkeypatch):
        """The fake platform refuses a request too many within any 60 seconds."""
        fetch_one_at_a_time(monkeypatch)
        with extracting(contents(130, jobs=20), tmp_path) as extraction:
            extraction.platform.clock = extraction.time.clock
            extraction.platform.limits = LIMITS
            done = extraction.run(limits=LIMITS, threads=1)
            assert done.exit_code == 0, done.text
            assert extraction.platform.refused == 0
            # pauses of 1.02 s: 2 between 3 pages of customers, 259 between 2 pages of recipes of each customer; of
            # 0.0612 s: 262 between 3 reports and 130 lists of connections and collections each, 2,859 between 260 lists
            # of jobs and 2,600 jobs
            assert extraction.time.seconds == pytest.approx(261 * 1.02 + 3121 * 0.0612)

    @pytest.mark.parametrize(("group", "path"), [("slow", ".*/recipes"), ("fast", ".*/connections")])
    def test_a_limit_that_is_shared_with_others_is_waited_for(self, tmp_path, group, path):
        """The platform allows half of what is asked: it refuses, and each request comes in the end."""
        with extracting(contents(90), tmp_path) as extraction:
            extraction.platform.clock = extraction.time.clock
            extraction.platform.limits = {group: 30}
            done = extraction.run(limits={"slow": 60, "fast": 60, "agentic": 60}, lines=False, threads=1)
            assert done.exit_code == 0, done.text
            assert extraction.platform.refused > 0
            assert len(extraction.rows("recipes")) == 90

    def test_requests_of_many_threads_are_spaced_evenly(self):
        time = Time()
        pace = Pace({"slow": 60}, clock=time.clock, sleep=lambda seconds: None)
        waited = []
        lock = threading.Lock()

        def sleep(seconds):
            with lock:
                waited.append(round(seconds, 2))

        pace._sleep = sleep
        threads = [threading.Thread(target=pace.take, args=("slow",)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(waited) == [1.02, 2.04, 3.06, 4.08]


class TestRetries:
    @pytest.fixture
    def extraction(self, tmp_path):
        with extracting(contents(1), tmp_path) as started:
            yield started

    def spoil(self, extraction, answer, times):
        path = "/api/managed_users/1/recipes"
        extraction.platform.faults = lambda asked: answer if asked.path == path and asked.attempt <= times else None

    @pytest.mark.parametrize("fault", FAULTS)
    def test_each_fault_is_tried_again(self, extraction, fault):
        self.spoil(extraction, FAULTS[fault], times=5)
        done = extraction.run(lines=False)
        assert done.exit_code == 0, done.text
        assert [row["id"] for row in extraction.rows("recipes")] == ["1"]

    def test_the_platform_says_how_long_to_wait(self, extraction):
        self.spoil(extraction, ENOUGH, times=1)
        extraction.run(lines=False)
        assert 7 in extraction.time.slept
        assert extraction.time.seconds >= 7

    def test_after_a_429_the_whole_group_waits(self, extraction):
        pace = Pace({"slow": 0, "fast": 0}, clock=extraction.time.clock, sleep=extraction.time.sleep)
        pace.hold("slow", 9)
        pace.take("fast")
        assert extraction.time.seconds == 0
        pace.take("slow")
        assert extraction.time.seconds == 9

    def test_pauses_between_attempts_grow(self, extraction):
        self.spoil(extraction, BROKEN, times=5)
        extraction.run(lines=False)
        assert extraction.time.slept == 2 * [1, 2, 4, 8, 16]  # of the recipes, and of the empty page after them

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (BROKEN, "The platform answered 500 to 6 requests for the recipes of customer 1"),
            (ENOUGH, "The platform answered 429 to 6 requests for the recipes of customer 1"),
            (Answer(body='{"result": ['), "sent incomplete answers to 6 requests for the recipes of customer 1"),
            (SILENT, "cannot be reached for the recipes of customer 1"),
        ],
    )
    def test_after_six_attempts_a_sentence_says_what_failed(self, extraction, answer, said):
        self.spoil(extraction, answer, times=6)
        done = extraction.run(lines=False)
        assert done.exit_code == 1
        assert said in done.text
        assert extraction.platform.count(".*/recipes") == 6

    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    def test_a_refusal_is_not_tried_again(self, extraction, status):
        self.spoil(extraction, Answer(status, "{}"), times=6)
        assert extraction.run(lines=False).exit_code == 1
        assert extraction.platform.count(".*/recipes") == 1

    def test_a_platform_that_is_down_is_not_asked_for_every_customer(self, tmp_path):
        with extracting(contents(200), tmp_path) as extraction:
            extraction.platform.faults = lambda asked: BROKEN if asked.path.endswith("/recipes") else None
            done = extraction.run(lines=False)
            assert done.exit_code == 1
            assert "20 requests in a row failed. The last one: The platform answered 500" in done.text
            assert extraction.platform.count(".*/recipes") < 25 * 6

    def test_random_faults_lose_no_row(self, tmp_path):
        with extracting(contents(20, jobs=10), tmp_path) as extraction:
            extraction.platform.faults = faults = RandomFaults(seed=1, share=0.2)
            assert extraction.run().exit_code == 0
            assert set(faults.made) == set(FAULTS)
            assert len(extraction.rows("job_history")) == 200


class TestTimeBudget:
    def test_a_pause_that_ends_after_the_budget_is_not_begun(self):
        time = Time()
        pace = Pace({"slow": 1}, minutes=0.5, clock=time.clock, sleep=time.sleep)
        pace.take("slow")
        with pytest.raises(OutOfTime, match=re.escape("EXTRACT_MINUTES=0.5")):
            pace.take("slow")
        assert time.seconds == 0

    def test_who_is_asked_to_stop_sends_no_more(self):
        pace = Pace({"slow": 0})
        pace.stop("Stopped by SIGTERM.")
        with pytest.raises(OutOfTime, match="SIGTERM"):
            pace.take("slow")
