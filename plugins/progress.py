"""Saying how far long work is: one line that is rewritten on a terminal, plain lines elsewhere, nothing when quiet.

``Progress`` decides when something is said and where; ``seconds_left`` and the ``as_*`` functions decide what. A
display never stops the work: what goes wrong in it switches it off.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any

PATIENCE = 2.0  # seconds of work before the first progress is said
LINES_EVERY = 10.0  # seconds between two plain lines
REWRITE_EVERY = 0.2  # seconds between two states of the status line
# Seconds after other output in which no status line is drawn: another thread may still be writing.
GRACE = 0.1
# An estimate from the pace so far needs this share of the work, and this many seconds, behind it.
ENOUGH_DONE, ENOUGH_SECONDS = 0.05, 2.0


class Progress:
    """Says lines that always appear (``line``) and states of work that appear when it takes long (``show``).

    ``say`` writes one plain line; None: quiet, nothing is said at all. ``terminal`` is the stream of the status line;
    None: the states become plain lines, one every ``LINES_EVERY`` seconds. ``clock`` gives seconds. May be called from
    several threads at a time.
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
        """Work begins now: ``elapsed`` and the patience count from here."""
        self._began_at = self._said_at = self._clock()

    @property
    def elapsed(self) -> float:
        return self._clock() - self._began_at

    def line(self, text: str) -> None:
        """Say a line, whatever the time."""
        self._swallow(self._line, text)

    def show(self, text: str) -> None:
        """Say how far the work is, if it is time to."""
        self._swallow(self._show, text)

    def clear(self) -> None:
        """Take the status line away, since something else is about to be written."""
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
            # The first line comes as soon as the patience is over, and no other within LINES_EVERY.
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
        except Exception:  # a closed stream, a full disk: the work goes on in silence
            self._say = self._terminal = None


NO_PROGRESS = Progress(None)


class FileProgress:
    """Progress of work on files: how many, their bytes and rows so far, and the time left, judged by bytes."""

    def __init__(self, progress: Progress, what: str, files: int, size: int) -> None:
        self._progress = progress
        self._what = what
        self._total = (files, size)
        self._files = self._size = self._rows = 0
        self._lock = threading.Lock()
        progress.begin()

    def add(self, size: int, rows: int = 0, files: int = 1) -> None:
        """So many more files are done."""
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
    """How long the rest takes; None where nothing is known. ``done``: the share of the work that is done, 0 to 1.

    By the pace so far; by ``expected`` seconds for the whole, too, where an earlier time is known: at first by that
    alone, at last by the pace alone.
    """
    if expected is not None:
        return (1 - done) * ((1 - done) * expected + elapsed)
    if done < ENOUGH_DONE or elapsed < ENOUGH_SECONDS:
        return None
    return elapsed * (1 - done) / done


def as_time_left(seconds: float | None) -> str:
    return "no estimate yet" if seconds is None else f"about {as_seconds(seconds)} left"


def as_seconds(seconds: float) -> str:
    """Seconds in steps of 5, minutes from a minute and a half on, hours from an hour and a half on."""
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
    """The stream for a status line. None where output goes on through a pipe: a line can't be taken back from it."""
    try:
        return sys.stderr if sys.stderr.isatty() and sys.stdout.isatty() else None
    except (AttributeError, ValueError):  # no stream, or a closed one
        return None


def _width(stream: IO[str]) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
