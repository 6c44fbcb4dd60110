"""Sends requests to the platform, on dlt's RESTClient: its authentication, paginators and retries.

Added here: the limits of ``pacing``, the forms that an answer may have, a sentence for each error, and what shows that
a list is not complete.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

from dlt.common.configuration.specs import RuntimeConfiguration
from dlt.sources.helpers.requests import Client, Response
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.paginators import BasePaginator, SinglePagePaginator
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError,
    HTTPError,
    InvalidURL,
    RequestException,
    SSLError,
    Timeout,
)

from extraction.answers import Record, body_of, is_web_page, record_of, records_of, require_id, require_success
from extraction.endpoints import LIMITS, PER_PAGE, Endpoint
from extraction.pacing import Pace
from extraction.paging import OlderJobs, Pages
from extraction.problems import Failure, Fatal, Gone, NoPermission

ATTEMPTS = 6
TIMEOUTS = (10, 60)  # seconds to connect and to answer; the platform gives up after 40 s
LONGEST_PAUSE = 300  # seconds between two attempts
FAILURES_IN_A_ROW = 20  # requests that failed in every attempt, without one that succeeded between them


@dataclass(frozen=True)
class Page:
    """Records of one answer, and the platform's time when it was sent (its header Date)."""

    records: list[Record]
    taken_at: datetime


class Platform:
    """Reads lists and single records. Thread-safe.

    ``say`` writes a line; ``now`` is the time of an answer without a readable header Date. Raises Failure if something
    cannot be read, Fatal if nothing can be read any more, OutOfTime if there is no time left.
    """

    def __init__(
        self, url: str, token: str, pace: Pace, say: Callable[[str], object], now: Callable[[], datetime]
    ) -> None:
        self._url = url
        self._auth = BearerTokenAuth(token=token)
        self._pace = pace
        self._say = say
        self._now = now
        self._local = threading.local()
        self._lock = threading.Lock()
        self._longest: dict[str, int] = {}
        self._failed_in_a_row = 0
        self._has_dates = True
        self._adapters = {group: _Adapter(pace, group) for group in LIMITS}
        self._clients = {
            group: Client(
                request_timeout=TIMEOUTS,
                raise_for_status=False,
                request_max_attempts=ATTEMPTS,
                request_backoff_factor=1,
                request_max_retry_delay=LONGEST_PAUSE,
            )
            for group in LIMITS
        }

    def list(
        self,
        endpoint: Endpoint,
        json: Record | None = None,
        identity: Callable[[Record, str], str] = require_id,
        **ids: str,
    ) -> Page:
        """All records of a list, each once by its identity, and the time of its first page."""
        found: dict[str, Record] = {}
        taken_at = None
        what = self._describe(endpoint, ids)
        for number, page in enumerate(self.pages(endpoint, self._paginator(endpoint), json, **ids), 1):
            taken_at = taken_at or page.taken_at
            ids_of_page = [identity(record, what) for record in page.records]
            if ids_of_page and found.keys() >= set(ids_of_page):
                # a list that is not paged is whole in each answer; one of PER_PAGE records may continue
                if endpoint.may_ignore_pages and len(found) != PER_PAGE:
                    break
                raise Failure(
                    f"Page {number} of {what} repeats earlier pages, so the list has no end and cannot be complete. "
                    "If the platform does not page it, set is_paged=False in extraction/endpoints.py."
                )
            found |= zip(ids_of_page, page.records, strict=True)
        return Page(list(found.values()), taken_at)

    def jobs(self, endpoint: Endpoint, **ids: str) -> Iterator[Page]:
        """The pages of a recipe's jobs, from the newest. Gone: the platform lost its place, so begin again."""
        what = self._describe(endpoint, ids)
        seen: set[str] = set()
        for page in self.pages(endpoint, OlderJobs(self._is_short(endpoint)), **ids):
            ids_of_page = {require_id(record, what) for record in page.records}
            if ids_of_page and ids_of_page <= seen:
                raise Failure(f"A page of {what} repeats earlier pages, so the list has no end.")
            seen |= ids_of_page
            yield page

    def pages(
        self, endpoint: Endpoint, paginator: BasePaginator, json: Record | None = None, **ids: str
    ) -> Iterator[Page]:
        params = endpoint.params | ({"per_page": PER_PAGE} if endpoint.is_paged else {})
        pages = self._session(endpoint).paginate(
            self._path(endpoint, ids),
            method="POST" if json is not None else "GET",
            params=dict(params),
            json=json,
            paginator=paginator,
            data_selector="$",
            allow_redirects=False,
        )
        while True:
            page = self._attempt(lambda: next(pages, None), endpoint, ids)
            if page is None:
                return
            yield Page(list(page), self._date_of(page.response))

    def record(self, endpoint: Endpoint, **ids: str) -> tuple[Record, datetime]:
        """One record, and when it was sent."""

        def read() -> tuple[Record, Response]:
            response = self._session(endpoint).get(self._path(endpoint, ids), allow_redirects=False)
            require_success(response)
            return record_of(body_of(response)), response

        record, response = self._attempt(read, endpoint, ids)
        return record, self._date_of(response)

    def _session(self, endpoint: Endpoint) -> RESTClient:
        """The client of this thread and of the endpoint's group."""
        clients = self._local.__dict__
        if endpoint.group not in clients:
            session = self._clients[endpoint.group].session
            session.mount(self._url, self._adapters[endpoint.group])
            session.send.retry.sleep = self._pace.rest
            clients[endpoint.group] = _Client(
                self._url, auth=self._auth, session=session, config=RuntimeConfiguration()
            )
        return clients[endpoint.group]

    def _paginator(self, endpoint: Endpoint) -> BasePaginator:
        if not endpoint.is_paged:
            return SinglePagePaginator()
        # the only page of customers is not known to be the last before an empty one came
        return Pages(self._is_short(endpoint) if "{" in endpoint.path else lambda records: False)

    def _is_short(self, endpoint: Endpoint) -> Callable[[list[Record]], bool]:
        """Whether a page is shorter than the longest one of its endpoint so far: more rows would have fitted."""

        def is_short(records: list[Record]) -> bool:
            with self._lock:
                longest = self._longest[endpoint.path] = max(self._longest.get(endpoint.path, 0), len(records))
            return len(records) < longest

        return is_short

    @staticmethod
    def _path(endpoint: Endpoint, ids: dict[str, str]) -> str:
        return endpoint.path.format(**{name: quote(id, safe="") for name, id in ids.items()})

    @staticmethod
    def _describe(endpoint: Endpoint, ids: dict[str, str]) -> str:
        return " ".join([endpoint.what, *(f"of {name} {id}" for name, id in reversed(ids.items()))])

    def _attempt(self, read: Callable[[], Any], endpoint: Endpoint, ids: dict[str, str]) -> Any:
        """What ``read`` returns; its errors as Failure or Fatal."""
        try:
            result = read()
        except (RequestException, Failure) as error:
            problem = self._problem(error, endpoint, ids)
            if isinstance(error, Timeout | ChunkedEncodingError | ConnectionError) or _status_of(error) >= 500:
                with self._lock:
                    self._failed_in_a_row += 1
                    if self._failed_in_a_row >= FAILURES_IN_A_ROW:
                        raise Fatal(f"{FAILURES_IN_A_ROW} requests in a row failed. The last one: {problem}") from error
            raise problem from error
        with self._lock:
            self._failed_in_a_row = 0
        return result

    def _problem(self, error: Exception, endpoint: Endpoint, ids: dict[str, str]) -> Failure | Fatal:
        what = self._describe(endpoint, ids)
        if isinstance(error, Failure):
            return type(error)(f"{what[0].upper()}{what[1:]} cannot be read. {error}")
        host = urlsplit(self._url).netloc
        if isinstance(error, SSLError):
            return Failure(
                f"{what[0].upper()}{what[1:]} cannot be read: the certificate of {host} cannot be verified. Behind a "
                "proxy, set REQUESTS_CA_BUNDLE to its certificates."
            )
        if isinstance(error, Timeout):
            return Failure(f"{host} did not answer in time to {ATTEMPTS} requests for {what}.")
        if isinstance(error, ChunkedEncodingError):
            return Failure(f"{host} sent incomplete answers to {ATTEMPTS} requests for {what}.")
        if isinstance(error, InvalidURL):
            return Fatal(f"{self._url} is no address of a data centre: check WORKATO_URL.")
        status = _status_of(error)
        if status == 401:
            return Fatal(
                f"The platform refuses the token (401, asked for {what}). Check WORKATO_TOKEN, and that it belongs to "
                f"the data centre {self._url}: each has its own tokens."
            )
        if status == 403:
            return NoPermission(
                f"The token has no permission for {what} (403). Add it to the API client's role in the admin console."
            )
        if status in (400, 404, 410, 422):
            return Gone(f"The platform does not know {what} ({status}).")
        if status:
            return Failure(f"The platform answered {status} to {ATTEMPTS} requests for {what}.")
        return Failure(
            f"{host} cannot be reached for {what}: check WORKATO_REGION or WORKATO_URL, the network and the proxy."
        )

    def _date_of(self, response: Response) -> datetime:
        try:
            return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
        except (KeyError, ValueError, TypeError):
            if self._has_dates:
                self._has_dates = False
                self._say("The platform's answers say no time (header Date): rows take the time of this machine.")
            return self._now()


class _Client(RESTClient):
    def extract_response(self, response: Response, data_selector: Any) -> list[Record]:
        require_success(response)
        return records_of(body_of(response))


class _Adapter(HTTPAdapter):
    """Sends each attempt when its group may send, and reads the answer, so that a cut one is tried again."""

    def __init__(self, pace: Pace, group: str) -> None:
        super().__init__(pool_maxsize=50)
        self._pace = pace
        self._group = group

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        self._pace.take(self._group)
        response = super().send(request, *arguments, **options)
        content = response.content
        if response.status_code == 429:
            self._pace.hold(self._group, _seconds_of(response.headers.get("Retry-After")))
        elif response.status_code < 300:
            try:
                response.body = json.loads(content)
            except ValueError as error:
                if not is_web_page(response):
                    raise ChunkedEncodingError("The answer is cut off.", response=response) from error
        return response


def _status_of(error: Exception) -> int:
    response = error.response if isinstance(error, HTTPError) else None
    return response.status_code if response is not None else 0


def _seconds_of(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.strip().isdigit() else 1.0
