"""What an answer of the platform contains, in any of the forms that it may have. Raises Failure for all others."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from requests import Response

from extraction.endpoints import WRAPPERS
from extraction.problems import Failure

Record = dict[str, Any]


def require_success(response: Response) -> None:
    """Raise HTTPError for an error, and Failure for a redirect: the token must not follow it to another host."""
    response.raise_for_status()
    if 300 <= response.status_code < 400:
        to = urlsplit(response.headers.get("Location", "")).netloc
        raise Failure(
            f"The platform redirects{f' to {to}' if to else ''}, which is not followed, since the token would go with "
            "it. Set WORKATO_URL to the address of the data centre."
        )


def body_of(response: Response) -> Any:
    """The answer's JSON. Raises Failure for a web page."""
    try:
        return response.body
    except AttributeError:
        raise Failure(
            "A web page came instead of JSON: a proxy or a login page answers in place of the platform. Check "
            "WORKATO_URL and the proxy."
        ) from None


def records_of(body: Any) -> list[Record]:
    """The records of a list in any of its wrappers."""
    records = body
    if isinstance(body, dict):
        wrapped = [body[key] for key in WRAPPERS if isinstance(body.get(key), list | dict)]
        if len(wrapped) == 1 and isinstance(wrapped[0], dict):
            return records_of(wrapped[0])
        records = wrapped[0] if len(wrapped) == 1 else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise Failure(f"The answer is no list in {', '.join(WRAPPERS)}, and no bare list.")
    return records


def record_of(body: Any) -> Record:
    """One record, wrapped or not."""
    if isinstance(body, dict) and "id" not in body:
        body = next((body[key] for key in WRAPPERS if isinstance(body.get(key), dict)), body)
    if not isinstance(body, dict):
        raise Failure("The answer is no record.")
    return body


def require_id(record: Record, what: str) -> str:
    """The record's id as text. Raises Failure if it has none: a list with such a record cannot be compared."""
    id = record.get("id")
    if id is None or id == "" or isinstance(id, bool | dict | list):
        raise Failure(f"A record of {what} has no id, so the list cannot be used. Its fields: {', '.join(record)}.")
    return str(id)


def is_web_page(response: Response) -> bool:
    return "html" in response.headers.get("Content-Type", "").lower() or response.content.lstrip()[:1] == b"<"
