"""The log of a run: a file, and the same lines on standard output, without the values of secrets."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

KEPT_RUNS = 400  # runs of which log and summary are kept
SHOWN_LINES = 15  # of a failed step, in notifications
HIDDEN = "***"


class Log:
    """Writes lines to ``path`` and standard output. A full disk ends neither the log nor the run."""

    def __init__(self, path: Path, secrets: tuple[str, ...]) -> None:
        """Raises OSError if the file cannot be created."""
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._secrets = secrets
        self._last: deque[str] = deque(maxlen=SHOWN_LINES)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.close()

    def line(self, text: str) -> None:
        """A line of the run itself, with the time in UTC."""
        self._write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {text}\n")

    def output(self, text: str) -> None:
        """A line that a step printed, with its line end."""
        self._write(text)
        if text.strip():
            self._last.append(self.without_secrets(text.rstrip()))

    def begin_step(self) -> None:
        """Forget the last lines of the step before."""
        self._last.clear()

    def last_lines(self) -> list[str]:
        """The last lines that the step printed."""
        return list(self._last)

    def without_secrets(self, text: str) -> str:
        """The text, with *** in place of each secret."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _write(self, text: str) -> None:
        text = self.without_secrets(text)
        for stream in (self._file, sys.stdout):
            with suppress(OSError):
                stream.write(text)
                stream.flush()


def forget_old_runs(folder: Path) -> None:
    """Remove logs and summaries of runs, except the newest."""
    logs = sorted(folder.glob("*Z*.log"), key=lambda path: path.stem)
    for log in logs[:-KEPT_RUNS]:
        for path in (log, log.with_suffix(".json")):
            with suppress(OSError):
                path.unlink()
