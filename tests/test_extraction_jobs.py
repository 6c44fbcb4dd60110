"""Jobs from the API come with their lines, each recipe by a cursor of its own: none is left out, few are read twice."""

import errno
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

sys.path.append(str(Path(__file__).parent / "extraction"))
from extracting import Killed, extracting, fetch_one_at_a_time
from fake_platform import BROKEN, FORBIDDEN, UNKNOWN, Answer, Contents

from extraction import jobs, state, writing

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
JOBS = "/api/managed_users/1/recipes/7/jobs"
PLACE = "1", "7"


def job(id, at, **fields):
    """A job that started at a moment and took a minute."""
    times = {
        "started_at": f"{at:%Y-%m-%dT%H:%M:%S.000Z}",
        "completed_at": f"{at + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}",
    }
    lines = [{"recipe_line_number": 0, "adapter_name": "slack", "adapter_operation": "post", "input": {"text": id}}]
    return {"id": id, "status": "succeeded", "lines": lines, "is_test": False} | times | fields


def pending(id, at, **fields):
    return job(id, at, status="pending", completed_at=None, **fields)


def hourly(count, until=NOON - timedelta(hours=5)):
    """Jobs j-1 (the newest), j-2 …, one an hour."""
    return [job(f"j-{n + 1}", until - timedelta(hours=n)) for n in range(count)]


@pytest.fixture
def extraction(tmp_path):
    world = Contents(now=NOON, customers=[{"id": 1}], recipes={"1": [{"id": 7}]}, jobs={PLACE: hourly(3)})
    with extracting(world, tmp_path / "extracts") as started:
        yield started


def arrive(extraction, *jobs, after=DAY):
    """Time passes, and the jobs are the newest of the recipe."""
    world = extraction.platform.contents
    world.now += after
    world.jobs[PLACE] = [*jobs, *world.jobs[PLACE]]


def replaced(extraction, changed):
    world = extraction.platform.contents
    world.jobs[PLACE] = [changed if job["id"] == changed["id"] else job for job in world.jobs[PLACE]]


def delivered(extraction):
    return [row["id"] for row in extraction.rows("job_history")]


def asked(extraction, since=0):
    """The jobs whose lines were asked for, since a number of requests."""
    return [a.path.split("/")[-1] for a in extraction.platform.asked[since:] if a.path.startswith(f"{JOBS}/")]


class TestReading:
    def test_without_extract_lines_no_job_is_asked_for(self, extraction):
        done = extraction.run(lines=False)
        assert done.exit_code == 0
        assert extraction.platform.count(".*/jobs.*") == 0
        assert "Not from the API: jobs and steps (streamed job files, or EXTRACT_LINES=1)" in done.text

    def test_a_job_is_one_row_with_its_lines(self, extraction):
        extraction.platform.contents.jobs[PLACE] = [job("j", NOON - DAY, calling_recipe_id=5, root_job_id=None)]
        assert extraction.run().exit_code == 0
        row = extraction.rows("job_history")[0]
        assert {name: value for name, value in row.items() if value is not None and name != "lines"} == {
            "id": "j",
            "account_id": "1",
            "recipe_id": "7",
            "status": "succeeded",
            "is_test": "false",
            "calling_recipe_id": "5",
            "started_at": "2026-03-09T12:00:00.000Z",
            "completed_at": "2026-03-09T12:01:00Z",
            "extracted_at": "2026-03-10T12:00:00Z",
        }
        assert json.loads(row["lines"]) == extraction.platform.contents.jobs[PLACE][0]["lines"]

    def test_a_short_page_in_the_middle_of_the_list_is_not_taken_for_the_last(self, extraction):
        jobs = hourly(25)
        extraction.platform.contents.jobs[PLACE] = jobs
        extraction.platform.page_size = 10

        def end_early(asked):
            if asked.path == JOBS and asked.params.get("offset_job_id") == jobs[9]["id"]:
                listed = [{name: value for name, value in job.items() if name != "lines"} for job in jobs[10:14]]
                return Answer(body=json.dumps({"items": listed, "job_count": 25}))
            return None

        extraction.platform.faults = end_early
        assert extraction.run().exit_code == 0
        assert sorted(delivered(extraction)) == sorted(job["id"] for job in jobs)

    def test_erased_jobs_are_skipped_and_counted(self, extraction):
        extraction.platform.contents.jobs[PLACE][1:] = [
            job("j-2", NOON - DAY, erased=True, lines=[]),
            job("j-3", NOON - DAY, erased=True, lines=[]),
        ]
        done = extraction.run()
        assert done.exit_code == 0
        assert "jobs: 1 with their lines of 1 of 1 recipes; skipped: 2 erased" in done.text
        assert delivered(extraction) == asked(extraction) == ["j-1"]

    def test_a_job_that_is_erased_or_deleted_before_its_lines_come_is_skipped(self, extraction):
        world = extraction.platform.contents

        def sweep(asked):
            if "/jobs/" in asked.path:
                world.jobs[PLACE] = [world.jobs[PLACE][0], job("j-2", NOON - DAY, erased=True, lines=[])]

        extraction.platform.faults = sweep
        done = extraction.run(threads=1)
        assert done.exit_code == 0
        assert "skipped: 1 erased, 1 deleted" in done.text
        assert delivered(extraction) == ["j-1"]


class TestNextTime:
    def test_only_new_jobs_are_asked_for(self, extraction):
        extraction.run()
        so_far = len(extraction.platform.asked)
        arrive(extraction, job("j-0", NOON + timedelta(hours=3)))
        assert extraction.run().exit_code == 0
        assert asked(extraction, so_far) == ["j-0"]
        assert sorted(delivered(extraction)) == ["j-0", "j-1", "j-2", "j-3"]

    def test_the_list_is_read_no_further_than_a_page_of_known_jobs(self, extraction):
        extraction.platform.contents.jobs[PLACE] = hourly(50)
        extraction.platform.page_size = 10
        extraction.run()
        arrive(extraction, job("j-0", NOON))
        before = extraction.platform.count(JOBS)
        extraction.run()
        assert extraction.platform.count(JOBS) - before == 2

    def test_a_pending_job_is_read_again_until_it_has_ended(self, extraction):
        waiting = pending("j-w", NOON - 3 * DAY)
        extraction.platform.contents.jobs[PLACE].append(waiting)
        for _ in range(2):
            extraction.run()
            arrive(extraction)
        replaced(extraction, waiting | {"status": "failed", "completed_at": f"{NOON:%Y-%m-%dT%H:%M:%SZ}"})
        for _ in range(3):
            arrive(extraction)
            extraction.run()
        rows = [
            (row["status"], row["extracted_at"][:10]) for row in extraction.rows("job_history") if row["id"] == "j-w"
        ]
        assert rows == [("pending", "2026-03-10"), ("pending", "2026-03-11"), ("failed", "2026-03-13")]

    def test_a_pending_job_that_is_deleted_is_not_asked_for_for_ever(self, extraction):
        extraction.platform.contents.jobs[PLACE] = [pending("j-w", NOON - 3 * DAY), job("j-1", NOON - 4 * DAY)]
        extraction.run()
        extraction.platform.contents.jobs[PLACE].pop(0)
        assert "1 deleted" in extraction.run().text
        so_far = len(extraction.platform.asked)
        assert extraction.run().exit_code == 0
        assert asked(extraction, so_far) == []

    def test_jobs_that_were_young_when_they_were_read_are_read_again(self, extraction):
        extraction.platform.contents.jobs[PLACE] = [
            job("j-young", NOON - timedelta(hours=1)),
            job("j-old", NOON - timedelta(hours=3)),
        ]
        extraction.run(safety_hours=2)
        so_far = len(extraction.platform.asked)
        arrive(extraction)
        extraction.run(safety_hours=2)
        assert asked(extraction, so_far) == ["j-young"]

    def test_a_job_that_the_list_shows_late_is_read(self, extraction):
        extraction.run()
        arrive(extraction)
        extraction.platform.contents.jobs[PLACE].insert(0, job("j-late", NOON - timedelta(hours=1)))
        extraction.run()
        assert delivered(extraction).count("j-late") == 1

    def test_a_long_job_is_read_when_it_ends_wherever_it_stands_in_the_list(self, extraction):
        """Whether the list is ordered by the start or the end of a job."""
        extraction.run()
        ended = job("j-long", NOON - 2 * DAY, completed_at=f"{NOON + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}")
        arrive(extraction, job("j-0", NOON + timedelta(hours=1)))
        extraction.platform.contents.jobs[PLACE].append(ended)
        extraction.run()
        assert delivered(extraction).count("j-long") == 1

    def test_recipes_have_cursors_of_their_own(self, extraction):
        extraction.run()
        world = extraction.platform.contents
        world.recipes["1"].append({"id": 8})
        world.jobs["1", "8"] = [job("j-other", NOON - 9 * DAY)]
        so_far = len(extraction.platform.asked)
        assert extraction.run().exit_code == 0
        paths = [asked.path for asked in extraction.platform.asked[so_far:] if "/jobs/" in asked.path]
        assert paths == ["/api/managed_users/1/recipes/8/jobs/j-other"]

    def test_the_recipe_that_waits_longest_comes_first(self, extraction):
        extraction.run()
        world = extraction.platform.contents
        world.now += DAY
        world.recipes["1"].append({"id": 8})
        world.jobs["1", "8"] = hourly(1)
        so_far = len(extraction.platform.asked)
        extraction.run(threads=1)
        lists = [asked.path for asked in extraction.platform.asked[so_far:] if asked.path.endswith("/jobs")]
        assert list(dict.fromkeys(lists)) == ["/api/managed_users/1/recipes/8/jobs", JOBS]


class TestFailures:
    def test_a_job_that_cannot_be_read_is_read_the_next_time(self, extraction):
        extraction.platform.faults = lambda asked: BROKEN if asked.path.endswith("/j-2") else None
        done = extraction.run()
        assert done.exit_code == 1
        assert "0 recipes and 1 single jobs cannot be read; the next extraction reads them" in done.text
        assert delivered(extraction) == ["j-1", "j-3"]
        extraction.platform.faults = lambda asked: None
        so_far = len(extraction.platform.asked)
        arrive(extraction)
        assert extraction.run().exit_code == 0
        assert asked(extraction, so_far) == ["j-2"]
        assert sorted(delivered(extraction)) == ["j-1", "j-2", "j-3"]

    @pytest.mark.parametrize("answer", [BROKEN, FORBIDDEN, UNKNOWN])
    def test_a_recipe_that_cannot_be_read_stops_no_other(self, extraction, answer):
        world = extraction.platform.contents
        world.recipes["1"].append({"id": 8})
        world.jobs["1", "8"] = [job("j-other", NOON - DAY)]
        extraction.platform.faults = lambda asked: answer if asked.path == JOBS else None
        done = extraction.run()
        assert done.exit_code == 1
        assert "1 recipes and 0 single jobs cannot be read" in done.text
        assert delivered(extraction) == ["j-other"]
        extraction.platform.faults = lambda asked: None
        assert extraction.run().exit_code == 0
        assert sorted(delivered(extraction)) == ["j-1", "j-2", "j-3", "j-other"]

    def test_an_offset_that_the_platform_forgot(self, extraction):
        """The walk begins again from the newest job, and asks for no job twice."""
        extraction.platform.contents.jobs[PLACE] = hourly(30)
        extraction.platform.page_size = 10
        forgotten = []

        def forget_once(asked):
            if asked.params.get("offset_job_id") == "j-20" and not forgotten:
                forgotten.append(asked)
                return UNKNOWN

        extraction.platform.faults = forget_once
        assert extraction.run().exit_code == 0
        assert forgotten
        assert sorted(delivered(extraction)) == sorted(asked(extraction)) == sorted(f"j-{n}" for n in range(1, 31))

    def test_an_offset_that_is_never_known_ends_with_a_sentence(self, extraction):
        extraction.platform.contents.jobs[PLACE] = hourly(30)
        extraction.platform.page_size = 10
        extraction.platform.faults = lambda asked: UNKNOWN if "offset_job_id" in asked.params else None
        done = extraction.run()
        assert done.exit_code == 1
        assert "The platform does not know the jobs of recipe 7 of customer 1 (404)" in done.text
        assert sorted(delivered(extraction)) == sorted(f"j-{n}" for n in range(1, 11))

    def test_a_list_that_repeats_for_ever(self, extraction):
        first = {"result": [{"id": "j-1", "status": "succeeded"}]}
        extraction.platform.faults = lambda asked: Answer(body=json.dumps(first)) if asked.path == JOBS else None
        done = extraction.run()
        assert done.exit_code == 1
        assert "repeats earlier pages" in done.text
        assert extraction.platform.count(JOBS) == 2

    def test_a_job_without_id(self, extraction):
        extraction.platform.contents.jobs[PLACE].insert(1, {"status": "succeeded", "id": None})
        done = extraction.run()
        assert done.exit_code == 1
        assert "A record of the jobs of recipe 7 of customer 1 has no id" in done.text


class TestTimeBudget:
    @pytest.fixture(autouse=True)
    def one_at_a_time(self, monkeypatch):
        fetch_one_at_a_time(monkeypatch)

    def test_it_stops_cleanly_and_the_next_extraction_continues(self, extraction):
        """A request a second: 40 jobs and their lists take longer than half a minute."""
        extraction.platform.contents.jobs[PLACE] = hourly(40)
        extraction.platform.page_size = 10
        limits = {"fast": 60, "slow": 0, "agentic": 0}
        done = extraction.run(minutes=0.5, limits=limits, threads=1)
        assert done.exit_code == 1
        assert "The time budget is used up: EXTRACT_MINUTES=0.5." in done.text
        some = delivered(extraction)
        assert len(some) == 23  # of 30 requests: 2 reports, connections, collections, 3 pages of jobs
        so_far = len(extraction.platform.asked)
        assert extraction.run(limits=limits).exit_code == 0
        assert sorted(delivered(extraction)) == sorted(f"j-{n}" for n in range(1, 41))
        assert set(asked(extraction, so_far)).isdisjoint(some)

    def test_several_interruptions_with_new_jobs_between_them_lose_none(self, extraction):
        limits = {"fast": 60, "slow": 0, "agentic": 0}
        extraction.platform.page_size = 4
        extraction.platform.contents.jobs[PLACE] = hourly(60, until=NOON - DAY)
        for number, minutes in enumerate((0.4, 0.25, 0.45, 0.3, 0.5, None), 1):
            extraction.run(minutes=minutes, limits=limits, threads=1)
            arrive(extraction, *(job(f"n-{number}-{n}", extraction.platform.contents.now) for n in (1, 2)))
        assert extraction.run().exit_code == 0
        expected = {f"j-{n}" for n in range(1, 61)} | {f"n-{n}-{i}" for n in range(1, 7) for i in (1, 2)}
        assert set(delivered(extraction)) == expected
        assert len(delivered(extraction)) < 1.5 * len(expected)

    def test_a_listing_that_the_time_does_not_suffice_for_is_not_written(self, extraction):
        extraction.platform.contents.customers = [{"id": n} for n in range(1, 9)]
        done = extraction.run(minutes=0.1, limits={"fast": 0, "slow": 60, "agentic": 0}, lines=False)
        assert done.exit_code == 1
        assert "recipes" not in {path.split("/")[0] for path in extraction.files()}
        (said,) = re.findall(r"recipes: (\d) of 8 customers were read\. A listing is written whole", done.text)
        assert int(said) < 8


class TestWriting:
    def test_a_kill_between_the_rows_and_the_cursor_delivers_jobs_twice_and_none_never(self, extraction, monkeypatch):
        """The later delivery of a job wins, so that it counts once."""

        def killed(path, text):
            raise Killed

        monkeypatch.setattr(state.State, "save", lambda self: killed(None, None) if self.recipes else None)
        with pytest.raises(Killed):
            extraction.run()
        monkeypatch.undo()
        assert delivered(extraction) == ["j-1", "j-2", "j-3"]
        assert extraction.run().exit_code == 0
        assert delivered(extraction) == ["j-1", "j-2", "j-3"] * 2

    def test_rows_are_written_before_all_jobs_were_read(self, extraction, monkeypatch):
        monkeypatch.setattr(jobs, "JOBS_PER_FILE", 16)
        extraction.platform.contents.jobs[PLACE] = hourly(50)
        assert extraction.run().exit_code == 0
        files = [path for path in sorted(extraction.files()) if path.startswith("job_history")]
        assert files == [f"job_history/20260310T120000Z-{n}.parquet" for n in (1, 2, 3, 4)]
        assert sorted(delivered(extraction)) == sorted(f"j-{n}" for n in range(1, 51))

    def test_at_no_moment_there_is_half_a_file(self, extraction, monkeypatch):
        """A run may look at any moment: every file is complete as soon as it has its name."""
        seen = []

        def look(path):
            for file in extraction.files():
                duckdb.sql(f"from '{extraction.folder / file}'").fetchall()
                seen.append(file)

        monkeypatch.setattr(writing, "sync_path", look)
        assert extraction.run().exit_code == 0
        assert set(seen) == extraction.files()
        assert all(path.endswith(".parquet") for path in seen)

    def test_a_full_disk_stops_it_and_the_next_extraction_continues(self, extraction, monkeypatch):
        def full(file, row):
            raise OSError(errno.ENOSPC, "No space left on device", "spool")

        monkeypatch.setattr(jobs, "write_line", full)
        done = extraction.run()
        assert done.exit_code == 1
        assert "no space left on the disk. Free some space, and start again" in done.text
        assert delivered(extraction) == []
        monkeypatch.undo()
        assert extraction.run().exit_code == 0
        assert delivered(extraction) == ["j-1", "j-2", "j-3"]

    def test_what_a_killed_extraction_left_is_removed(self, extraction, monkeypatch):
        scratch = extraction.folder / ".extraction"

        def write_half_a_line(file, row):
            file.write(b'{"id": ')
            raise Killed

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(jobs, "write_line", write_half_a_line)
            extraction.run()
        assert [path.name for path in scratch.glob("*.part")] == ["job_history.json.part"]
        assert extraction.run().exit_code == 0
        assert sorted(path.name for path in scratch.iterdir()) == ["lock", "state.json"]

    def test_large_lines_and_any_text_are_kept(self, extraction):
        text = "ü\u2028'\"\\\n\x00" + "x" * 20_000_000
        extraction.platform.contents.jobs[PLACE] = [job("j", NOON - DAY, lines=[{"output": text}], error="\ud800 half")]
        assert extraction.run().exit_code == 0
        row = extraction.rows("job_history")[0]
        assert json.loads(row["lines"]) == [{"output": text}]
        assert row["error"] == "? half"
