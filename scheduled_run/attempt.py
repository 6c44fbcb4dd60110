"""The line of the active run in the list of failed attempts."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from attempts import Attempt, AttemptsProblem, attempts_file, read_attempts, write_attempts

from scheduled_run.log import Log


class AttemptOfRun:
    """The run's problems so far. An error of the list itself is logged, and ends no run."""

    def __init__(self, warehouse: Path, run_id: str, started: datetime, log: Log) -> None:
        self.run_id = run_id
        self.step = ""  # the current one, or the first one that failed
        self.problems: list[str] = []
        self.killed_before: list[str] = []  # sentences about earlier runs, which did not live to say it
        self.is_published = False
        self.exit_code = 0
        self._warehouse, self._started, self._log = warehouse, started, log
        self._has_ended = False

    def begin(self) -> None:
        """Note that the run is active, and which runs were killed while they were."""
        attempts = self._others()
        for attempt in attempts:
            if attempt["problem"] is None:
                during = f" during the step {attempt['step']}" if attempt["step"] else ""
                attempt["problem"] = f"The run was killed{during}."
                self.killed_before.append(f"The run {attempt['run_id']} was killed{during}.")
                self._log.line(self.killed_before[-1])
        self._keep([*attempts, self._line()])

    def enter(self, step: str) -> None:
        """Note the step that begins."""
        if not self.problems:
            self.step = step
            self._keep([*self._others(), self._line()])

    def fail(self, problem: str, exit_code: int) -> None:
        """Note a problem; the run ends with the largest exit code."""
        if problem not in self.problems:
            self.problems.append(problem)
        self.exit_code = max(self.exit_code, exit_code)
        self._keep([*self._others(), self._line()])

    def end(self) -> None:
        """Note the end; a run in which everything succeeded has no line."""
        self._has_ended = True
        self._keep([*self._others(), *([self._line()] if self.problems else [])])

    def _line(self) -> Attempt:
        return {
            "run_id": self.run_id,
            "started_at": f"{self._started:%Y-%m-%d %H:%M:%S}",
            "step": self.step,
            "problem": " ".join(self.problems) or None,
            "is_published": self.is_published,
            "exit_code": self.exit_code if self._has_ended else None,
            "log": f"{self.run_id}.log",
        }

    def _others(self) -> list[Attempt]:
        try:
            return [attempt for attempt in read_attempts(self._warehouse) if attempt["run_id"] != self.run_id]
        except AttemptsProblem as problem:
            path = attempts_file(self._warehouse)
            aside = path.with_name("attempts.unreadable.json")
            path.replace(aside)
            self._log.line(f"{problem} It is kept as {aside}.")
            return []

    def _keep(self, attempts: list[Attempt]) -> None:
        try:
            write_attempts(self._warehouse, attempts)
        except OSError as error:
            self._log.line(f"{attempts_file(self._warehouse)} cannot be written: {error.strerror}.")
