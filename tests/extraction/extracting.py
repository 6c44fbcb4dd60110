"""Runs extractions in this process: against a fake platform, in time that passes as fast as it is waited for."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fake_platform import TOKEN, Answer, Asked, FakePlatform

PROJECT = Path(__file__).resolve().parents[2]
for folder in (PROJECT, PROJECT / "plugins"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

from progress import Progress  # noqa: E402

from extraction import client, jobs, running, writing  # noqa: E402
from extraction.pacing import Pace  # noqa: E402
from extraction.settings import Settings  # noqa: E402

UNLIMITED = {"fast": 0, "slow": 0, "agentic": 0}


class Killed(BaseException):
    """Nothing of this process happens after this moment."""


def fetch_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch jobs one after the other: the pauses of threads add up in Time, in which they would overlap otherwise."""
    for module in (jobs, running):
        monkeypatch.setattr(module, "AT_ONCE", 1)


@dataclass
class Time:
    """A clock that moves only while somebody sleeps."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.slept.append(seconds)
            self.seconds += seconds


@dataclass
class Extraction:
    """What an extraction returned and said."""

    exit_code: int
    lines: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Extracting:
    """Extractions from one platform into one folder."""

    def __init__(self, platform: FakePlatform, url: str, folder: Path) -> None:
        self.platform = platform
        self.url = url
        self.folder = folder
        self.time = Time()

    def run(self, now: datetime | None = None, **settings: Any) -> Extraction:
        """One extraction; ``now``: the time of this machine, otherwise the platform's."""
        asked: dict[str, Any] = {"limits": UNLIMITED, "lines": True, "threads": 4} | settings
        configured = Settings(url=self.url, token=TOKEN, extracts=self.folder, **asked)
        lines: list[str] = []
        pace = Pace(configured.limits, configured.minutes, self.time.clock, self.time.sleep)
        exit_code = running.extract(configured, Progress(lines.append), pace, lambda: now or self.platform.contents.now)
        return Extraction(exit_code, lines)

    def rows(self, extract: str) -> list[dict[str, Any]]:
        """The rows of all files of an extract, each file's after the other's."""
        found = []
        with duckdb.connect() as engine:
            for path in sorted((self.folder / extract).glob("*.parquet")):
                read = engine.execute("from read_parquet(?)", [str(path)])
                names = [column[0] for column in read.description]
                found += [dict(zip(names, row, strict=True)) for row in read.fetchall()]
        return found

    def files(self) -> set[str]:
        """The files that a run would read, by their paths."""
        return {
            path.relative_to(self.folder).as_posix()
            for path in self.folder.rglob("*")
            if path.is_file() and ".extraction" not in path.parts
        }


@contextmanager
def extracting(contents: Any, folder: Path) -> Iterator[Extracting]:
    platform = FakePlatform(contents)
    with platform.serving() as url:
        yield Extracting(platform, url, folder)


class Kill:
    """Ends everything before the n-th request or change of a file: all later ones fail, too."""

    def __init__(self, moment: int) -> None:
        self._left = moment
        self._lock = threading.Lock()
        self.happened = False

    def before(self, really: Callable[..., Any]) -> Callable[..., Any]:
        def or_killed(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                self._left -= 1
                self.happened = self.happened or self._left < 0
            if self.happened:
                raise Killed
            return really(*arguments, **options)

        return or_killed

    @contextmanager
    def armed(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda descriptor: None)  # a killed process loses nothing that it has written
            patch.setattr(client._Adapter, "send", self.before(client._Adapter.send))
            patch.setattr(Path, "rename", self.before(Path.rename))
            patch.setattr(Path, "replace", self.before(Path.replace))
            patch.setattr(Path, "unlink", self.before(Path.unlink))
            patch.setattr(jobs, "write_line", self.before(jobs.write_line))
            patch.setattr(writing, "sync_path", self.before(writing.sync_path))
            yield


class RandomFaults:
    """Spoils a share of the requests: 429, 500, no answer, and a body that is cut. The same request at most twice."""

    def __init__(self, seed: int, share: float) -> None:
        self._seed = seed
        self._share = share
        self.made: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Answer | None:
        rng = random.Random(f"{self._seed} {asked.path} {sorted(asked.params.items())} {asked.attempt}")
        if asked.attempt > 2 or rng.random() >= self._share:
            return None
        kind, fault = rng.choice(list(FAULTS.items()))
        with self._lock:
            self.made[kind] += 1
        return fault


FAULTS = {
    "429": Answer(429, '{"message": "Too many requests"}', (("Retry-After", "3"),)),
    "500": Answer(500, '{"message": "Server error"}'),
    "no answer": Answer(cut=None),
    "cut by the connection": Answer(200, '{"result": [{"id": 1}, {"id": 2}]}', cut=12),
    "cut by a proxy": Answer(200, '{"result": [{"id": 1'),
}
