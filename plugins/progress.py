"""Shows the progress of long work: a line that is rewritten on a terminal, plain lines elsewhere, nothing if quiet.

``Progress`` decides when and where something is shown; ``seconds_left`` and the ``as_*`` functions compute the text. An
error in the display switches it off and never stops the work.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any

PATIENCE = 2.0  # seconds of work before the first progress is shown
LINES_EVERY = 10.0  # seconds between two plain lines
REWRITE_EVERY = 0.2  # seconds between two updates of the status line
# Seconds after other output without a status line, because another thread may still be writing.
GRACE = 0.1
# An estimate from the pace so far needs this share of the work and this many seconds to be done.
ENOUGH_DONE, ENOUGH_SECONDS = 0.05, 2.0


class Progress:
    """Shows lines that always appear (``line``), and states of work that appear if it takes long (``show``).

    ``say`` writes one plain line; None: quiet, nothing is shown. ``terminal`` is the stream of the status line; None:
    the states become plain lines, one every ``LINES_EVERY`` seconds. ``clock`` returns seconds. Thread-safe.
    """

    def __init__(
        self,
        say: Callable[[str], Any] | None,
        terminal: IO[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        self._say = say
        self._terminal = terminal
        self._clock = clock
        self._patience = patience
        self._lock = threading.RLock()
        self._is_drawn = False
        self._drawn_at = self._cleared_at = -1e9
        self.begin()

    @property
    def is_quiet(self) -> bool:
        return self._say is None

    def begin(self) -> None:
        """Start of the work: ``elapsed`` and PATIENCE count from here."""
        self._began_at = self._said_at = self._clock()

    @property
    def elapsed(self) -> float:
        return self._clock() - self._began_at

    def line(self, text: str) -> None:
        """Show a line immediately."""
        self._swallow(self._line, text)

    def show(self, text: str) -> None:
        """Show the state of the work, if the last state is old enough."""
        self._swallow(self._show, text)

    def clear(self) -> None:
        """Remove the status line before other output."""
        self._swallow(self._clear)

    def _line(self, text: str) -> None:
        self._clear()
        if self._say:
            self._say(text)

    def _show(self, text: str) -> None:
        now = self._clock()
        if not self._say or now - self._began_at < self._patience:
            return
        if not self._terminal:
            # The first line is shown after PATIENCE, each further one after LINES_EVERY.
            if self._said_at == self._began_at or now - self._said_at >= LINES_EVERY:
                self._said_at = now
                self._say(text)
        elif now - self._drawn_at >= REWRITE_EVERY and now - self._cleared_at >= GRACE:
            self._terminal.write(f"\r\x1b[K{text[: _width(self._terminal) - 1]}")
            self._terminal.flush()
            self._is_drawn, self._drawn_at = True, now

    def _clear(self) -> None:
        if self._terminal:
            if self._is_drawn:
                self._terminal.write("\r\x1b[K")
                self._terminal.flush()
            self._is_drawn, self._cleared_at = False, self._clock()

    def _swallow(self, write: Callable[..., None], *arguments: str) -> None:
        try:
            with self._lock:
                write(*arguments)
        except Exception:  # a closed stream or a full disk: the work continues without progress
            self._say = self._terminal = None


NO_PROGRESS = Progress(None)


class FileProgress:
    """Progress of work on files: their number, bytes and rows so far, and the time left, estimated by bytes."""

    def __init__(self, progress: Progress, what: str, files: int, size: int) -> None:
        self._progress = progress
        self._what = what
        self._total = (files, size)
        self._files = self._size = self._rows = 0
        self._lock = threading.Lock()
        progress.begin()

    def add(self, size: int, rows: int = 0, files: int = 1) -> None:
        """Add finished files."""
        with self._lock:
            self._files += files
            self._size += size
            self._rows += rows
            files, all_bytes = self._total
            parts = [f"{self._files:,} of {files:,} files", f"{as_bytes(self._size)} of {as_bytes(all_bytes)}"]
            if self._rows:
                parts.append(f"{as_count(self._rows)} rows")
            parts.append(as_time_left(seconds_left(self._size / (all_bytes or 1), self._progress.elapsed)))
        self._progress.show(f"{self._what}: {', '.join(parts)}")


def seconds_left(done: float, elapsed: float, expected: float | None = None) -> float | None:
    """The seconds left; None if there is no estimate. ``done``: the finished share of the work, 0 to 1.

    Estimated by the pace so far and by ``expected``, the seconds of the complete work if an earlier time is known: at
    the start by ``expected`` alone, at the end by the pace alone.
    """
    if expected is not None:
        return (1 - done) * ((1 - done) * expected + elapsed)
    if done < ENOUGH_DONE or elapsed < ENOUGH_SECONDS:
        return None
    return elapsed * (1 - done) / done


def as_time_left(seconds: float | None) -> str:
    return "no estimate yet" if seconds is None else f"about {as_seconds(seconds)} left"


def as_seconds(seconds: float) -> str:
    """Seconds in steps of 5; minutes from 1.5 minutes on; hours from 1.5 hours on."""
    if seconds < 90:
        return f"{max(5, round(seconds / 5) * 5)} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def as_bytes(size: int) -> str:
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def as_count(count: float) -> str:
    return f"{count / 1e6:.1f} million" if count >= 1_000_000 else f"{count:,.0f}"


def terminal() -> IO[str] | None:
    """The stream for a status line. None if the output is a pipe, where a line cannot be removed."""
    try:
        return sys.stderr if sys.stderr.isatty() and sys.stdout.isatty() else None
    except (AttributeError, ValueError):  # no stream, or a closed stream
        return None


def _width(stream: IO[str]) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
