"""Reads jobs with their lines, by customer and recipe, each with a cursor of its own.

A recipe's jobs are listed from the newest to the oldest, and each job that was not read before is fetched with its
lines. A job and its lines are one row of job_history, so that a later delivery never replaces lines by nothing. What is
read again: jobs that were pending, and jobs that were newer than the safety window when they were read, since a list
may show a job late.

A cursor knows the list by ids and by times, not by the platform's offsets: an offset may be forgotten by the platform.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from extraction import endpoints
from extraction.answers import Record
from extraction.client import Platform
from extraction.endpoints import value_of
from extraction.listings import fields_of
from extraction.problems import Failure, Gone, NoPermission
from extraction.state import State
from extraction.writing import Files, Row, stamp_of, text_of, time_text, write_line

COLUMNS = dict.fromkeys((*endpoints.JOB_FIELDS, "account_id", "recipe_id", "extracted_at"), "varchar")
# JSON, so that the lines are an array again where a run composes the job's record
COLUMNS["lines"] = "json"

AT_ONCE = 8  # jobs of a recipe that are fetched at the same time
RESTARTS = 3  # walks through a list whose offsets the platform forgets
# A file is written after so many jobs, bytes or seconds; at most so much is read again after a kill.
JOBS_PER_FILE, BYTES_PER_FILE, SECONDS_PER_FILE = 5000, 64_000_000, 120.0


@dataclass
class Zone:
    """A part of a recipe's list that was read: from the job ``top`` down to the job ``bottom``, from ``began`` on."""

    top: str
    bottom: str
    began: str


@dataclass
class Cursor:
    """How far the jobs of a recipe were read.

    ``read_to``: when the last walk that reached the end began; all jobs before it were read. ``zones``: what later
    walks read, none of which reached the end. ``pending``: jobs to read again.
    """

    read_to: str | None = None
    pending: list[str] = field(default_factory=list)
    zones: list[Zone] = field(default_factory=list)

    @classmethod
    def of(cls, content: Any) -> Cursor:
        content = content or {}
        zones = [Zone(*zone) for zone in content.get("zones", [])]
        return cls(content.get("read_to"), list(content.get("pending", [])), zones)

    def as_json(self) -> Any:
        zones = [[zone.top, zone.bottom, zone.began] for zone in self.zones]
        return {"read_to": self.read_to, "pending": list(self.pending)} | ({"zones": zones} if zones else {})


class JobWriter:
    """Collects jobs, and writes them together with the cursors that they belong to. Thread-safe."""

    def __init__(self, files: Files, state: State, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._state = state
        self._clock = clock
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._clear()
        self.counts: Counter[str] = Counter()

    def add(self, key: str, cursor: Cursor, row: Row | None = None, counted: str = "") -> None:
        """Add a job, and how far its recipe was read with it."""
        with self._lock, self._unbroken():
            if row:
                self._spool = self._spool or self._files.spool("job_history").open("wb")
                size = write_line(self._spool, row)
                self._rows, self._bytes, self._longest = self._rows + 1, self._bytes + size, max(self._longest, size)
                self._newest_at = max(self._newest_at, row["extracted_at"])
            if counted:
                self.counts[counted] += 1
            self._cursors[key] = cursor.as_json()
            is_old = self._clock() - self._began_at >= SECONDS_PER_FILE
            if self._rows >= JOBS_PER_FILE or self._bytes >= BYTES_PER_FILE or (is_old and self._rows):
                self._flush()

    def flush(self) -> None:
        """Write what was collected."""
        with self._lock, self._unbroken():
            self._flush()

    @contextmanager
    def _unbroken(self) -> Iterator[None]:
        """After an error nothing more is written: the spool may end in half a line."""
        if self._error:
            raise self._error
        try:
            yield
        except BaseException as error:
            self._error = error
            raise

    def _flush(self) -> None:
        if self._rows:
            self._spool.close()
            name = self._files.free_name("job_history", stamp_of(self._newest_at))
            self._files.convert("job_history", name, COLUMNS, self._longest)
            self._files.spool("job_history").unlink()
            self._state.newest_at = max(self._state.newest_at, self._newest_at)
        if self._cursors:
            self._state.recipes |= self._cursors
            self._state.save()
        self._clear()

    def _clear(self) -> None:
        self._spool: IO[bytes] | None = None
        self._rows = self._bytes = self._longest = 0
        self._newest_at = ""
        self._cursors: dict[str, Any] = {}
        self._began_at = self._clock()


class JobReader:
    """Reads the jobs of one recipe after the other. ``fetching``: threads that fetch the jobs of a page."""

    def __init__(
        self, platform: Platform, state: State, writer: JobWriter, fetching: Executor, safety_hours: float
    ) -> None:
        self._platform = platform
        self._state = state
        self._writer = writer
        self._fetching = fetching
        self._window = timedelta(hours=safety_hours)

    def read(self, customer: str, recipe: str) -> list[str]:
        """Read what is new of a recipe; returns the problems of single jobs, which are read again next time.

        Raises Failure if the recipe cannot be read; what was read of it stays.
        """
        return _Walk(self, customer, recipe).read()


class _Walk:
    def __init__(self, reader: JobReader, customer: str, recipe: str) -> None:
        self._platform, self._writer, self._fetching = reader._platform, reader._writer, reader._fetching
        self._window = reader._window
        self._customer, self._recipe = customer, recipe
        self._key = f"{customer}/{recipe}"
        self._cursor = Cursor.of(reader._state.recipes.get(self._key))
        self._read: set[str] = set()
        self._problems: list[str] = []

    def read(self) -> list[str]:
        for restart in itertools.count():
            try:
                began = self._through_the_list()
                break
            except Gone:
                # a forgotten offset: what was read of the list is a zone by now
                if restart == RESTARTS or not self._cursor.zones:
                    raise
        for jobs in _batches([id for id in self._cursor.pending if id not in self._read]):
            for _ in self._fetch(jobs, {}):
                pass
        self._cursor = Cursor(began or self._cursor.read_to, self._cursor.pending)
        self._writer.add(self._key, self._cursor)
        return self._problems

    def _through_the_list(self) -> str | None:
        """Read the jobs of the list that are not known yet; returns when the walk began."""
        earlier = list(self._cursor.zones)
        passed: list[Zone] = []  # zones whose top was passed, and whose bottom was not
        own: Zone | None = None
        bound = self._bound(self._cursor.read_to)
        for page in self._platform.jobs(endpoints.JOBS, customer=self._customer, recipe=self._recipe):
            wanted: list[Record] = []
            for job in page.records:
                id = str(job["id"])
                passed += [zone for zone in earlier if zone.top == id]
                known = self._bound(max(zone.began for zone in passed)) if passed else bound
                ended = [zone for zone in passed if zone.bottom == id]
                passed = [zone for zone in passed if zone not in ended]
                earlier = [zone for zone in earlier if zone not in ended]
                if id in self._read:
                    continue
                if value_of(job, endpoints.IS_ERASED) is True:
                    self._read.add(id)
                    self._forget(id)
                    self._writer.add(self._key, self._cursor, counted="erased")
                elif self._is_new(job, known):
                    wanted.append(job)
            if page.records:
                top = str(page.records[0]["id"])
                own = own or Zone(top, top, time_text(page.taken_at))
            for jobs in _batches(wanted):
                for id in self._fetch([str(job["id"]) for job in jobs], {str(job["id"]): job for job in jobs}):
                    # all jobs above this one were read, now or before
                    own.bottom, self._cursor.zones = id, [own, *earlier]
            if page.records:
                own.bottom, self._cursor.zones = str(page.records[-1]["id"]), [own, *earlier]
                self._writer.add(self._key, self._cursor)
            if page.records and not passed and not any(self._is_new(job, bound) for job in page.records):
                break
        # a recipe that never ran has no job to start from
        return own.began if own else None

    def _fetch(self, ids: list[str], listed: dict[str, Record]) -> Iterator[str]:
        """Fetch jobs with their lines at the same time, and add them in order; yields the id of each before."""
        for id, (job, taken_at, problem) in zip(ids, self._fetching.map(self._record, ids), strict=True):
            self._read.add(id)
            self._forget(id)
            yield id
            if problem:
                self._problems.append(problem)
                self._cursor.pending.append(id)
                self._writer.add(self._key, self._cursor)
            elif job is None or value_of(job, endpoints.IS_ERASED) is True:
                self._writer.add(self._key, self._cursor, counted="erased" if job else "deleted")
            else:
                job = listed.get(id, {}) | {name: value for name, value in job.items() if value is not None}
                if _is_pending(job):
                    self._cursor.pending.append(id)
                self._writer.add(self._key, self._cursor, self._row(job, id, taken_at), "jobs")

    def _record(self, id: str) -> tuple[Record | None, datetime | None, str]:
        try:
            ids = {"customer": self._customer, "recipe": self._recipe, "job": id}
            job, taken_at = self._platform.record(endpoints.JOB, **ids)
        except NoPermission:
            raise
        except Gone:
            return None, None, ""
        except Failure as problem:
            return None, None, str(problem)
        return job, taken_at, ""

    def _row(self, job: Record, id: str, taken_at: datetime) -> Row:
        lines = value_of(job, endpoints.LINES)
        place = {"id": id, "account_id": self._customer, "recipe_id": self._recipe, "lines": lines}
        return fields_of(job, endpoints.JOB_FIELDS) | place | {"extracted_at": time_text(taken_at)}

    def _forget(self, id: str) -> None:
        if id in self._cursor.pending:
            self._cursor.pending.remove(id)

    def _bound(self, at: str | None) -> datetime | None:
        return None if at is None else read_time(at) - self._window

    @staticmethod
    def _is_new(job: Record, bound: datetime | None) -> bool:
        """Whether a job started or completed after the bound, or does not say when."""
        times = [read_time(text_of(value_of(job, (name,)))) for name in ("started_at", "completed_at")]
        known = [moment for moment in times if moment]
        return bound is None or not known or max(known) >= bound


def _is_pending(job: Record) -> bool:
    status = str(value_of(job, endpoints.JOB_FIELDS["status"])).lower()
    is_over = value_of(job, endpoints.JOB_FIELDS["completed_at"]) is not None or status in endpoints.FINAL_WORDS
    return status in endpoints.PENDING_WORDS or not is_over


def read_time(text: str | None) -> datetime | None:
    """A time of the platform; None if there is none or it cannot be read. Without offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, AT_ONCE)):
        yield batch
