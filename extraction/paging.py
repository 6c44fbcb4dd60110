"""How the next page of a list is asked for, and which page is the last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlt.sources.helpers.rest_client.paginators import BasePaginator, PageNumberPaginator
from requests import Request, Response

from extraction.answers import Record
from extraction.endpoints import OFFSET_JOB


class Pages(PageNumberPaginator):
    """Pages from 1, until one is empty, or the first one is short: a later one may be short in the middle of a list."""

    def __init__(self, is_short: Callable[[list[Record]], bool]) -> None:
        super().__init__(base_page=1, total_path=None)
        self._is_short = is_short
        self._is_first = True

    def update_state(self, response: Response, data: list[Record] | None = None) -> None:
        super().update_state(response, data)
        if self._is_short(data or []) and self._is_first:
            self._has_next_page = False
        self._is_first = False


class OlderJobs(BasePaginator):
    """Each page begins after the last job of the one before. The last page is known as that of Pages."""

    def __init__(self, is_short: Callable[[list[Record]], bool]) -> None:
        super().__init__()
        self._is_short = is_short
        self._after: Any = None

    def update_state(self, response: Response, data: list[Record] | None = None) -> None:
        is_first = self._after is None
        self._has_next_page = bool(data) and not (self._is_short(data) and is_first)
        self._after = data[-1].get("id") if data and isinstance(data[-1], dict) else None

    def update_request(self, request: Request) -> None:
        if self._after is not None:
            request.params[OFFSET_JOB] = self._after
