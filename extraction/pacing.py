"""When the next request may be sent: limits of the platform, pauses after an error, and the time budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from extraction.problems import OutOfTime

# A sliding minute of the platform may begin between two of our requests.
MARGIN = 1.02


class Pace:
    """Spaces the requests of each group evenly. Thread-safe.

    ``limits``: {group: requests per minute}, 0: no limit. ``minutes``: the time budget from now on, None: no end.
    ``clock`` returns seconds; ``sleep`` waits for seconds, and returns early if ``stop`` is called.
    """

    def __init__(
        self,
        limits: Mapping[str, float],
        minutes: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._seconds = {group: 60 / limit * MARGIN if limit else 0.0 for group, limit in limits.items()}
        self._next = dict.fromkeys(limits, clock())
        self._clock = clock
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._lock = threading.Lock()
        self._ends_at = None if minutes is None else clock() + 60 * minutes
        self._reason = f"The time budget is used up: EXTRACT_MINUTES={minutes:g}." if minutes is not None else ""

    def take(self, group: str) -> None:
        """Wait until a request of the group may be sent; raises OutOfTime if there is no time left for it."""
        with self._lock:
            now = self._clock()
            at = max(now, self._next[group])
            self._next[group] = at + self._seconds[group]
        self.rest(at - now)

    def hold(self, group: str, seconds: float) -> None:
        """Send no request of the group for so long: the platform said that it is too much."""
        with self._lock:
            self._next[group] = max(self._next[group], self._clock() + seconds)

    def rest(self, seconds: float) -> None:
        """Wait; raises OutOfTime at once if the time ends before."""
        self._require_time(seconds)
        if seconds > 0:
            self._sleep(seconds)
            self._require_time(0)

    def stop(self, reason: str) -> None:
        """Let every later request raise OutOfTime with this reason."""
        if not self._stopped.is_set():
            self._reason = reason
            self._stopped.set()

    def _require_time(self, seconds: float) -> None:
        if self._stopped.is_set() or (self._ends_at is not None and self._clock() + seconds > self._ends_at):
            raise OutOfTime(self._reason)
