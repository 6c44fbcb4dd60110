"""A scheduled run: what its exit code says, what it keeps, and what becomes of one that is killed."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from receiving import Webhook, webhook
from run_place import Place, attempts

from scheduled_run import log as run_log
from scheduled_run import notifying, running
from scheduled_run.steps import Step


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.publish("first")
    return place


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as hook:
        yield hook


def wait_for(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


# ------------------------------------------------------------------------------------------------------- exit codes


def test_a_run_in_which_everything_succeeds_keeps_a_log_and_a_summary_and_no_attempt(place, capfd):
    assert place.run(place.steps(extract="print('100 jobs')")) == 0
    assert place.attempts() == []
    (log,) = place.runs.glob("*.log")
    text = log.read_text(encoding="utf-8")
    for line in ("100 jobs", "Step build succeeded", "dashboard", "Published the figures as of 2026-11-18."):
        assert line in text
    assert capfd.readouterr().out == text
    summary = place.summary()
    assert json.loads(log.with_suffix(".json").read_text(encoding="utf-8")) == summary
    assert [step["name"] for step in summary["steps"]] == ["extract", "build", "dashboard", "statements"]
    assert (summary["result"], summary["exit_code"], summary["is_published"]) == ("succeeded", 0, True)
    assert summary["published"]["current_month"] == {"usage_month": "2026-11", "tasks": 75, "active_customers": 8}


@pytest.mark.parametrize(
    ("failing", "exit_code", "steps", "problem"),
    [
        ({"extract": "sys.exit(1)"}, 1, "extract build dashboard statements", "The extraction is incomplete; the run"),
        ({"extract": "sys.exit(2)"}, 2, "extract", "Nothing was extracted, so nothing was built or published."),
        ({"extract": "os.abort()"}, 2, "extract", "Nothing was extracted, so nothing was built or published."),
        ({"build": "sys.exit(1)"}, 3, "build", "The build failed, and nothing was published."),
        ({"dashboard": "sys.exit(1)"}, 1, "build dashboard statements", "The dashboard was not written."),
        ({"statements": "sys.exit(1)"}, 1, "build dashboard statements", "Not all statements were written."),
    ],
)
def test_the_exit_code_and_the_attempt_say_what_failed(place, failing, exit_code, steps, problem):
    assert place.run(place.steps(**failing)) == exit_code
    assert [step["name"] for step in place.summary()["steps"]] == steps.split()
    is_published = exit_code == 1
    assert place.published.exists() == is_published == place.summary()["is_published"]
    (attempt,) = place.attempts()
    assert attempt[0] == next(iter(failing))
    assert attempt[1].startswith(problem)
    assert attempt[2:] == (is_published, exit_code)


def test_a_build_that_fails_after_it_published_is_no_failed_run(place):
    publish = place.steps()[0].command[-1].split("\n")[-1]
    assert place.run(place.steps(build=f"{publish}; sys.exit(1)")) == 1
    assert place.attempts() == [("build", "The step build published, and failed after that.", True, 1)]
    assert [step["name"] for step in place.summary()["steps"]] == ["build", "dashboard", "statements"]


def test_a_command_that_cannot_be_started_is_a_failed_step(place):
    (build, *others) = place.steps()
    assert place.run([Step(**(vars(build) | {"command": ("/nowhere/dbt",)})), *others]) == 3
    (log,) = place.runs.glob("*.log")
    assert "/nowhere/dbt cannot be started: No such file or directory" in log.read_text(encoding="utf-8")


def test_after_a_failure_the_dashboard_of_what_is_published_shows_it(place):
    assert place.run() == 0
    seen = place.folder / "seen.json"
    copy = f"import shutil; shutil.copy({str(place.warehouse / 'attempts.json')!r}, {str(seen)!r})"
    assert place.run(place.steps(extract="sys.exit(2)", dashboard=copy)) == 2
    assert [step["name"] for step in place.summary()["steps"]] == ["extract", "dashboard"]
    (attempt,) = map(json.loads, seen.read_text(encoding="utf-8").splitlines())
    assert attempt["problem"] == "Nothing was extracted, so nothing was built or published."


def test_a_dashboard_that_fails_after_a_failure_hides_none(place):
    assert place.run() == 0
    assert place.run(place.steps(build="sys.exit(1)", dashboard="sys.exit(1)")) == 3
    problem = "The build failed, and nothing was published. The dashboard was not written."
    assert place.attempts() == [("build", problem, False, 3)]


def test_the_newest_attempts_are_kept(place, monkeypatch):
    monkeypatch.setattr(attempts, "KEPT", 2)
    for code in (1, 2, 3):
        place.run(place.steps(extract=f"print({code}); sys.exit(2)"))
    assert [attempt["run_id"] for attempt in attempts.read_attempts(place.warehouse)] == sorted(
        path.stem for path in place.runs.glob("*.log")
    )[1:]


def test_a_later_success_keeps_the_attempts_that_failed(place):
    place.run(place.steps(build="sys.exit(1)"))
    assert place.run() == 0
    assert [attempt[0] for attempt in place.attempts()] == ["build"]


# -------------------------------------------------------------------------------------------------- locks and kills


def waiting(place: Place) -> tuple[str, Path, Path]:
    """A command that waits until a file exists, the file that says that it runs, and the one that it waits for."""
    begun, until = place.folder / "begun", place.folder / "until"
    return f"open({str(begun)!r}, 'w')\nwhile not os.path.exists({str(until)!r}): time.sleep(0.01)", begun, until


def test_a_second_run_says_who_holds_the_lock_and_changes_nothing(place, hook, capfd):
    command, begun, until = waiting(place)
    first = place.start(place.steps(build=command))
    wait_for(begun.exists)
    before = {path: path.read_bytes() for path in place.warehouse.rglob("*") if path.is_file()}
    assert place.run(NOTIFY_WEBHOOK=hook.address) == 4
    assert {path: path.read_bytes() for path in place.warehouse.rglob("*") if path.is_file()} == before
    said = f"Another scheduled run uses {place.warehouse}: process {first.pid} on"
    assert said in capfd.readouterr().err
    assert said in hook.texts[0]
    until.touch()
    assert first.wait() == 0


def test_a_killed_run_is_kept_as_a_failed_attempt_by_the_next_and_told(place, hook):
    """The lock is held until the last command of the killed run has ended, too."""
    command, begun, until = waiting(place)
    first = place.start(place.steps(build=command))
    wait_for(begun.exists)
    first.kill()
    first.wait()
    assert place.run() == 4
    assert place.attempts() == [("build", None, False, None)]
    until.touch()
    wait_for(lambda: place.run(NOTIFY_WEBHOOK=hook.address) == 0)
    assert place.attempts() == [("build", "The run was killed during the step build.", False, None)]
    assert hook.texts[-1].startswith("Usage warehouse: a scheduled run was killed\nThe run 20")
    assert "was killed during the step build." in place.summary()["killed_before"][0]
    place.publish("second")
    assert place.run(NOTIFY_WEBHOOK=hook.address) == 0
    assert len(place.attempts()) == 1
    assert place.summary()["killed_before"] == []


def test_a_run_that_is_told_to_end_ends_its_step_and_is_a_failed_attempt(place, hook):
    command, begun, _ = waiting(place)
    place.environment["NOTIFY_WEBHOOK"] = hook.address
    run = place.start(place.steps(build=command))
    wait_for(begun.exists)
    run.send_signal(signal.SIGTERM)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 143, output
    assert place.attempts() == [("build", "The run was ended by SIGTERM during the step build.", False, 143)]
    assert "ended by SIGTERM" in hook.texts[0]
    place.environment.pop("NOTIFY_WEBHOOK")
    assert place.run() == 0  # nothing holds the lock any more


def test_a_run_that_is_told_to_end_while_it_tells_is_a_failed_attempt(place, monkeypatch):
    def told_to_end(*_: object) -> None:
        raise running.Stopped(signal.SIGTERM)

    monkeypatch.setattr(notifying, "send", told_to_end)
    assert place.run(NOTIFY_FINDINGS="0") == 143
    assert place.attempts() == [("statements", "The run was ended by SIGTERM after its last step.", True, 143)]


# ---------------------------------------------------------------------------------------------------------- summary


def test_the_summary_has_the_differences_from_the_last_run_that_published(place):
    place.publish("first", rows=(100, 90, 7, 3), findings={"count missing": 2, "call cycle": 1})
    place.run()
    first = place.summary()
    place.run(place.steps(build="sys.exit(1)"))
    assert place.summary()["changes"] is None
    place.publish(
        "second",
        published_at="2026-11-19 05:00:00",
        rows=(130, 115, 10, 5),
        findings={"count missing": 2, "default applied": 4},
        quarantined={"jobs": 1, "steps": 4},
        late=("job_history",),
    )
    assert place.run() == 0
    summary = place.summary()
    assert (first["changes"], summary["changes"]) == (
        None,
        {
            "since": first["run_id"],
            "as_of_date": ["2026-11-18", "2026-11-18"],
            "rows": {"rows_read": 30, "rows_used": 25, "rows_repeated": 3, "rows_quarantined": 2},
            "findings": {"default applied": 4, "call cycle": -1},
            "quarantined": {"jobs": -2, "steps": 4},
        },
    )
    log = Path(summary["log"]).read_text(encoding="utf-8")
    assert "Rows: 130 read, 115 used, 10 repeated, 5 quarantined. 6 findings." in log
    assert "rows quarantined +2; findings: default applied +4, call cycle -1." in log
    assert "Late extracts: job_history." in log


def test_old_logs_are_removed_with_their_summaries(tmp_path, monkeypatch):
    monkeypatch.setattr(run_log, "KEPT_RUNS", 2)
    for name in ("2026-11-01T02-00-00Z", "2026-11-02T02-00-00Z", "2026-11-02T02-00-00Z-2", "2026-11-03T02-00-00Z"):
        for ending in (".log", ".json"):
            (tmp_path / f"{name}{ending}").touch()
    for name in ("latest.json", "notified.json", "lock"):
        (tmp_path / name).touch()
    run_log.forget_old_runs(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2026-11-02T02-00-00Z-2.json",
        "2026-11-02T02-00-00Z-2.log",
        "2026-11-03T02-00-00Z.json",
        "2026-11-03T02-00-00Z.log",
        "latest.json",
        "lock",
        "notified.json",
    ]


def test_a_list_of_attempts_that_cannot_be_read_is_set_aside_and_said(place, capfd):
    place.warehouse.mkdir(exist_ok=True)
    (place.warehouse / "attempts.json").write_text('{"run_id": "half a li')
    assert place.run(place.steps(build="sys.exit(1)")) == 3
    aside = place.warehouse / "attempts.unreadable.json"
    assert f"It is kept as {aside}." in capfd.readouterr().out
    assert aside.read_text() == '{"run_id": "half a li'
    assert len(place.attempts()) == 1


def test_attempts_that_another_release_wrote_are_kept(place):
    place.warehouse.mkdir(exist_ok=True)
    theirs = {"run_id": "theirs", "problem": "The build failed.", "host": "db-1"}
    (place.warehouse / "attempts.json").write_text(json.dumps(theirs) + "\n")
    assert place.run() == 0
    (attempt,) = attempts.read_attempts(place.warehouse)
    assert (attempt["run_id"], attempt["problem"], attempt["step"]) == ("theirs", "The build failed.", None)


def test_files_that_cannot_be_written_are_said_and_end_no_run(place, capfd):
    place.runs.mkdir(parents=True)
    for path in (place.warehouse / "attempts.json.new", place.runs / "latest.json.new"):
        path.mkdir()
    assert place.run() == 0
    printed = capfd.readouterr().out
    assert f"{place.warehouse / 'attempts.json'} cannot be written: Is a directory." in printed
    assert "The summary cannot be written: Is a directory." in printed
