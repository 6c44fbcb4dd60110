"""A fake of the platform's Embedded API on loopback: its paths, paging, wrappers, limits and errors.

Written from the description of the API, not from the extraction. ``FakePlatform(contents)`` serves ``Contents``; tests
replace ``contents`` to let time pass, and set ``faults`` to spoil answers.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Record = dict[str, Any]

TOKEN = "wrkaus-a-token-that-nobody-may-see"


@dataclass
class Contents:
    """What the platform knows at a moment. Lists of a customer are by its id, jobs by customer and recipe.

    Jobs are from the newest to the oldest and have their ``lines``.
    """

    now: datetime
    customers: list[Record] = field(default_factory=list)
    recipes: dict[str, list[Record]] = field(default_factory=dict)
    projects: dict[str, list[Record]] = field(default_factory=dict)
    folders: dict[str, list[Record]] = field(default_factory=dict)
    connections: dict[str, list[Record]] = field(default_factory=dict)
    api_collections: dict[str, list[Record]] = field(default_factory=dict)
    jobs: dict[tuple[str, str], list[Record]] = field(default_factory=dict)
    mcp_servers: list[Record] = field(default_factory=list)
    genies: list[Record] = field(default_factory=list)
    conversations: dict[str, list[Record]] = field(default_factory=dict)
    events: dict[str, list[Record]] = field(default_factory=dict)
    usage: list[Record] = field(default_factory=list)  # of customer and month
    statistics: list[Record] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """A request: ``number`` counts all of them from 1, ``attempt`` those with this path and parameters."""

    method: str
    path: str
    params: dict[str, str]
    number: int
    attempt: int


@dataclass(frozen=True)
class Answer:
    """An answer in place of the right one. ``cut``: so many bytes of the body are sent; None: nothing is answered."""

    status: int = 200
    body: str = "{}"
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = -1


ENOUGH = Answer(429, '{"message": "Too many requests"}', (("Retry-After", "7"),))
BROKEN = Answer(500, '{"message": "Server error"}')
SILENT = Answer(cut=None)
WEB_PAGE = Answer(200, "<!DOCTYPE html><title>Sign in</title>", (("Content-Type", "text/html"),))
FORBIDDEN = Answer(403, '{"message": "Forbidden"}')
UNKNOWN = Answer(404, '{"message": "Not found"}')

# A list and its wrapper, as each endpoint has it. None: a bare array.
WRAPPERS = {"result": ("result",), "items": ("items",), "data": ("data",), "bare": (None,)}
OF_CUSTOMER = {
    "recipes": ("slow", "result"),
    "projects": ("slow", "result"),
    "folders": ("slow", "result"),
    "connections": ("fast", "result"),
    "api_collections": ("fast", None),
}


class FakePlatform:
    """``limits``: {group: requests per minute}, by ``clock``. ``page_size``: the most that a page has.

    ``wrap``: called with the wrapper of an endpoint, returns another one. ``asked``: all requests so far.
    """

    def __init__(self, contents: Contents, token: str = TOKEN) -> None:
        self.contents = contents
        self.token = token
        self.page_size = 100
        self.limits: dict[str, int] = {}
        self.clock: Callable[[], float] = time.monotonic
        self.wrap: Callable[[str | None], str | None] = lambda wrapper: wrapper
        self.faults: Callable[[Asked], Answer | None] = lambda asked: None
        self.asked: list[Asked] = []
        self.refused = 0
        self._attempts: Counter[str] = Counter()
        self._sent: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[str]:
        """Serve on loopback; the value is the address."""
        server = _Server(("127.0.0.1", port), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()

    def count(self, pattern: str) -> int:
        """How many requests had a path that matches."""
        return sum(re.fullmatch(pattern, asked.path) is not None for asked in self.asked)

    def answer(self, method: str, path: str, params: dict[str, str], token: str, body: Any) -> Answer:
        with self._lock:
            self._attempts[f"{path}{params}"] += 1
            asked = Asked(method, path, params, len(self.asked) + 1, self._attempts[f"{path}{params}"])
            self.asked.append(asked)
        if token != f"Bearer {self.token}":
            return Answer(401, '{"message": "Unauthorized"}')
        fault = self.faults(asked)
        if fault:
            return fault
        group, found = self._find(method, [unquote(part) for part in path.strip("/").split("/")], params, body)
        if found is None:
            return UNKNOWN
        wait = self._over_the_limit(group)
        if wait:
            self.refused += 1
            return Answer(429, '{"message": "Too many requests"}', (("Retry-After", str(wait)),))
        return Answer(body=json.dumps(found))

    def _find(self, method: str, parts: list[str], params: dict[str, str], body: Any) -> tuple[str, Any]:
        """The limit's group, and the answer; None: not found."""
        has = self.contents
        match (method, *parts):
            case ("GET", "api", "managed_users"):
                return "slow", self._page(has.customers, params, "result")
            case ("GET", "api", "managed_users", "usage"):
                return "fast", self._wrapped(has.usage, "result")
            case ("POST", "api", "v2", "managed_users", "statistics", "usage"):
                return "fast", self._wrapped(self._statistics(body), "result")
            case ("GET", "api", "managed_users", customer, kind) if kind in OF_CUSTOMER:
                group, wrapper = OF_CUSTOMER[kind]
                is_known = any(str(record["id"]) == customer for record in has.customers)
                records = getattr(has, kind).get(customer, [])
                return group, self._page(records, params, wrapper) if is_known else None
            case ("GET", "api", "managed_users", customer, "recipes", recipe, "jobs"):
                return "fast", self._jobs(customer, recipe, params)
            case ("GET", "api", "managed_users", customer, "recipes", recipe, "jobs", job):
                found = [record for record in has.jobs.get((customer, recipe), []) if record["id"] == job]
                return "fast", found[0] if found else None
            case ("GET", "api", "mcp", "mcp_servers"):
                return "slow", self._page(has.mcp_servers, params, "items")
            case ("GET", "api", "agentic", "genies"):
                return "agentic", self._page(has.genies, params, "data")
            case ("GET", "api", "agentic", "genies", genie, "conversations"):
                return "agentic", self._page(has.conversations.get(genie, []), params, "data")
            case ("GET", "api", "agentic", "conversations", conversation, "events"):
                return "agentic", self._page(has.events.get(conversation, []), params, "data")
        return "slow", None

    def _page(self, records: list[Record], params: dict[str, str], wrapper: str | None) -> Any:
        size = min(int(params.get("per_page", 10)), self.page_size)
        start = (int(params.get("page", 1)) - 1) * size
        return self._wrapped(records[start : start + size], wrapper)

    def _jobs(self, customer: str, recipe: str, params: dict[str, str]) -> Any:
        """The jobs after the offset, without what only a single job shows."""
        jobs = self.contents.jobs.get((customer, recipe))
        is_listed = any(str(record["id"]) == recipe for record in self.contents.recipes.get(customer, []))
        if jobs is None and not is_listed:
            return None
        start = 0
        if "offset_job_id" in params:
            places = [place for place, job in enumerate(jobs or []) if job["id"] == params["offset_job_id"]]
            if not places:
                return None
            start = places[0] + 1
        size = min(int(params.get("per_page", 10)), self.page_size)
        listed = [
            {name: value for name, value in job.items() if name not in ("lines", "is_repeat", "is_test")}
            for job in (jobs or [])[start : start + size]
        ]
        wrapped = self._wrapped(listed, "items")
        return wrapped | {"job_count": len(jobs or [])} if isinstance(wrapped, dict) else wrapped

    def _statistics(self, body: Any) -> list[Record]:
        first, last = body["start_date"][:7], body["end_date"][:7]
        wanted = set(map(str, body["managed_user_ids"]))
        return [
            record
            for record in self.contents.statistics
            if str(record["managed_user_id"]) in wanted and first <= record["month"] <= last
        ]

    def _wrapped(self, records: list[Record], wrapper: str | None) -> Any:
        wrapper = self.wrap(wrapper)
        return records if wrapper is None else {wrapper: records}

    def _over_the_limit(self, group: str) -> int:
        """Seconds to wait, if the group has had all its requests of the last minute."""
        if group not in self.limits:
            return 0
        with self._lock:
            now, sent = self.clock(), self._sent[group]
            while sent and sent[0] <= now - 60:
                sent.popleft()
            if len(sent) >= self.limits[group]:
                return max(1, round(sent[0] + 60 - now))
            sent.append(now)
            return 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""


def _handler(platform: FakePlatform) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            params = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("Authorization", "")
            self.send(platform.answer(self.command, parts.path, params, token, body))

        do_POST = do_GET

        def send(self, answer: Answer) -> None:
            if answer.cut is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            data = answer.body.encode()
            headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(data))}
            headers |= {"Date": format_datetime(platform.contents.now, usegmt=True)} | dict(answer.headers)
            lines = [f"HTTP/1.1 {answer.status} It", *(f"{name}: {value}" for name, value in headers.items() if value)]
            sent = data if answer.cut == -1 else data[: answer.cut]
            self.wfile.write("\r\n".join([*lines, "", ""]).encode() + sent)
            self.close_connection = sent is not data

        def log_message(self, *arguments: Any) -> None:
            """Nothing: the requests are in ``asked``."""

    return Handler
