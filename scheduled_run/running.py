"""Runs the steps under a lock, and keeps a log, the list of failed attempts, and a summary."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

from locking import Held, take_lock

from scheduled_run import notifying, summary
from scheduled_run.attempt import AttemptOfRun
from scheduled_run.log import Log, forget_old_runs
from scheduled_run.settings import Settings
from scheduled_run.steps import Step

IS_ACTIVE, WRONG_SETTINGS = 4, 5
PATIENCE = 30  # seconds that a step gets to end after the run was told to


class Stopped(Exception):
    """The run was told to end by this signal."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


def end_on_signals() -> None:
    """Have SIGTERM and SIGINT end the step and then the run, as a failed attempt."""

    def stop(number: int, _: FrameType | None) -> NoReturn:
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, signal.SIG_IGN)  # the run is ending already
        raise Stopped(number)

    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, stop)


def run(settings: Settings, steps: list[Step], project: Path) -> int:
    """Run the steps in the project's folder, and return the exit code (see __main__.py)."""
    folder = settings.warehouse / "scheduled_runs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with take_lock(folder / "lock", "a scheduled run") as lock:
            started = datetime.now(UTC)
            path = _new_log(folder, started)
            with Log(path, settings.secrets) as log:
                exit_code = ScheduledRun(settings, project, path.stem, started, log, lock).run(steps)
            forget_old_runs(folder)
            return exit_code
    except Held as holder:
        problem = f"Another scheduled run uses {settings.warehouse}: {holder}. This run stops and has changed nothing."
        print(problem, file=sys.stderr)
        for result in notifying.send(settings, "Usage warehouse: a scheduled run was not started", problem):
            print(result["said"], file=sys.stderr)
        return IS_ACTIVE
    except OSError as error:
        print(f"WAREHOUSE_DIR={settings.warehouse} cannot be written: {error.strerror or error}.", file=sys.stderr)
        return WRONG_SETTINGS


def _new_log(folder: Path, started: datetime) -> Path:
    """The log of a run, named by its time; of several in one second each has a number."""
    name = started.strftime("%Y-%m-%dT%H-%M-%SZ")
    names = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next(path for name in names if not (path := folder / f"{name}.log").exists())


class ScheduledRun:
    """One run: its steps and their results."""

    def __init__(
        self, settings: Settings, project: Path, run_id: str, started: datetime, log: Log, lock: IO[str]
    ) -> None:
        self.settings, self.project, self.log, self.lock = settings, project, log, lock
        self.folder = settings.warehouse / "scheduled_runs"
        self.started, self._begun = started, time.monotonic()
        self.attempt = AttemptOfRun(settings.warehouse, run_id, started, log)
        self.steps: list[dict[str, Any]] = []
        self.said: list[str] = []  # the last lines of the step that failed first

    def run(self, steps: list[Step]) -> int:
        """Run the steps, report their results, and return the exit code."""
        self.log.line(f"Scheduled run {self.attempt.run_id} of {self.settings.warehouse}")
        self.attempt.begin()
        self._published_before = summary.published_run(self.settings.warehouse)
        try:
            for step in steps:
                has_ended = self.attempt.exit_code > 1
                if not has_ended or (step.shows_failures and self._published_before):
                    self._run_step(step)
        except Stopped as signalled:
            during = f" during the step {self.attempt.step}" if self.attempt.step else ""
            self.attempt.fail(f"The run was ended by {signalled}{during}.", 128 + signalled.number)
        try:
            self._tell()
        except Stopped as signalled:
            self.attempt.fail(f"The run was ended by {signalled} after its last step.", 128 + signalled.number)
        return self.attempt.exit_code

    def _run_step(self, step: Step) -> None:
        self.attempt.enter(step.name)
        self.log.line(f"Step {step.name}: {' '.join(step.command)}")
        begun = time.monotonic()
        code = self._execute(step)
        published = summary.published_run(self.settings.warehouse)
        self.attempt.is_published = published not in (None, self._published_before)
        incomplete_code, incomplete = step.incomplete or (None, "")
        result = "succeeded" if code == 0 else "incomplete" if code == incomplete_code else "failed"
        seconds = round(time.monotonic() - begun, 1)
        self.steps.append({"name": step.name, "result": result, "exit_code": code, "seconds": seconds})
        self.log.line(f"Step {step.name} {result} after {seconds:,.1f} s" + (f", exit code {code}" if code else ""))
        if code == 0:
            return
        if not self.attempt.problems:
            self.said = self.log.last_lines()
        if result == "incomplete":
            self.attempt.fail(incomplete, 1)
        elif step.ends_run and self.attempt.is_published:  # it failed after the replacement of usage.duckdb
            self.attempt.fail(f"The step {step.name} published, and failed after that.", 1)
        else:
            self.attempt.fail(step.problem, step.exit_code)

    def _execute(self, step: Step) -> int:
        """Run the command of a step, and log what it prints. Returns its exit code; 127 if it cannot be started."""
        self.log.begin_step()
        try:
            # The command inherits the lock: while it runs, no other run begins, even if this one is killed.
            with subprocess.Popen(
                step.command,
                cwd=self.project,
                env=self.settings.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                pass_fds=[self.lock.fileno()],
            ) as process:
                try:
                    for line in process.stdout:
                        self.log.output(line)
                except Stopped:
                    _end(process)
                    raise
            return process.returncode
        except OSError as error:
            self.log.output(f"{step.command[0]} cannot be started: {error.strerror}\n")
            return 127

    def _tell(self) -> None:
        """Log what was published, send the notifications, and keep the summary."""
        settings, attempt = self.settings, self.attempt
        attempt.end()
        facts = summary.published_facts(settings.warehouse)
        told = {
            "run_id": attempt.run_id,
            "started_at": f"{self.started:%Y-%m-%dT%H:%M:%SZ}",
            "duration_seconds": round(time.monotonic() - self._begun, 1),
            "result": {0: "succeeded", 1: "published with problems"}.get(attempt.exit_code, "failed"),
            "exit_code": attempt.exit_code,
            "problems": attempt.problems,
            "killed_before": attempt.killed_before,
            "step": attempt.step if attempt.problems else None,
            "steps": self.steps,
            "is_published": attempt.is_published,
            "published": facts,
            "changes": summary.changes(facts, self.folder) if facts and attempt.is_published else None,
            "log": str(self.folder / f"{attempt.run_id}.log"),
        }
        sentences = summary.sentences(told)
        for line in (*attempt.problems, *sentences):
            self.log.line(line)
        told["thresholds_reached"], told["notifications"] = self._notify(told, sentences)
        self.log.line(f"{told['result'].capitalize()} after {told['duration_seconds']:,.1f} s")
        try:
            summary.keep(told, self.folder)
        except OSError as error:
            self.log.line(f"The summary cannot be written: {error.strerror}.")

    def _notify(self, told: dict[str, Any], sentences: list[str]) -> tuple[int, list[dict[str, str]]]:
        """Send what is to be told. Returns the number of usage thresholds that are new, and what was sent."""
        settings = self.settings
        reached = []
        if settings.usage_from is not None and told["is_published"]:
            reached = summary.reached_thresholds(settings.warehouse, settings.usage_from)
        new = notifying.untold(self.folder, reached)
        message = notifying.compose(told, sentences, self.said, new, settings.findings_limit)
        sent = notifying.send(settings, *message) if message else []
        for result in sent:
            result["said"] = self.log.without_secrets(result["said"])
            self.log.line(result["said"])
        if new and any(result["result"] == "sent" for result in sent):
            try:
                notifying.remember(self.folder, reached)
            except OSError as error:
                self.log.line(f"{self.folder / 'notified.json'} cannot be written: {error.strerror}.")
        return len(new), sent


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
