"""The kinds of events in the platform's stream, and whose they are: for erasing and compacting the stored texts.

The models have the same in macros/intake/streamed_jobs.sql; tests/test_streamed_events.py compares both.

Decisions::

    docs/decisions/streamed-events.md
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

JOB, API_REQUEST, OTHER = "job", "api_request", "other"
API_LOG_FIELDS = (
    *("request_type", "gateway_code", "http_status", "status_code", "api_collection", "api_collection_id"),
    *("api_endpoint", "api_client", "endpoint"),
)
JOB_FIELDS = (
    *("recipe_id", "flow_id", "master_job_id", "calling_job_id", "calling_recipe_id", "root_job_id", "root_recipe_id"),
    *("is_repeat", "repeat_count", "is_test", "is_poll_error", "action_count", "error_type"),
)
EVENT_FIELDS = ("event_type", "event_name", "event", "activity", "activity_type", "action")
EVENT_DETAILS = ("timestamp", "user", "workspace", "resource", "resource_type")
# The first of these decides of which an event has a value; without any it is a job.
RULES = (
    (("lines",), JOB),
    (API_LOG_FIELDS, API_REQUEST),
    (("started_at", "completed_at"), JOB),
    (EVENT_FIELDS, OTHER),
    (JOB_FIELDS, JOB),
    (EVENT_DETAILS, OTHER),
)
ACCOUNTS = ("account_id", "workspace_id", "workspace.id")  # of a job only the first
SUBJECT = "resource.id"  # of an activity: a customer, or anything else
IDS = ("id", "request_id")
REQUEST_TIMES = ("requested_at", "timestamp", "date_time", "date", "time", "created_at")
# What is read of an API log (macros/intake/streamed_jobs.sql: api_log_fields), but its error.
READ_OF_API_LOG = (
    *IDS,
    *ACCOUNTS,
    *REQUEST_TIMES,
    *("request_type", "collection_type", "api_collection_id", "collection_id", "api_collection.id"),
    *("recipe_id", "flow_id", "job_id", "job.id", "http_status", "status_code", "code", "gateway_code"),
    *("extracted_at", "job_link", "job_url", "job_details"),
)
# Texts that mean no value.
NO_VALUE = {"", "\\n", "null", "none", "nil", "nan", "nat", "<na>", "n/a", "(null)", '""', "''"}


def kind_of(event: Any) -> str:
    """The kind of an event, the value of its JSON text: JOB, API_REQUEST or OTHER."""
    if isinstance(event, dict):
        for names, kind in RULES:
            if any(event.get(name) is not None for name in names):
                return kind
    return JOB


def kind_as_sql(event: str) -> str:
    """DuckDB's SQL of the kind of an event, whose JSON text is the SQL ``event``."""
    cases = []
    for names, kind in RULES:
        paths = ", ".join(f"'$.\"{name}\"'" for name in names)
        types = f"list_filter(json_type({event}, [{paths}]), lambda found: found <> 'NULL')"
        cases.append(f"when len({types}) > 0 then '{kind}'")
    return f"case {' '.join(cases)} else '{JOB}' end"


def account_of(event: Any, of_path: str | None) -> str | None:
    """The account of an event, as text: what it says, otherwise that of the file's path."""
    said = first_text(event, ACCOUNTS[:1] if kind_of(event) == JOB else ACCOUNTS) if isinstance(event, dict) else None
    return of_path if said is None else said


def accounts_of(event: Any, of_path: str | None) -> set[str]:
    """The accounts of whose content an event has some: an activity of the admin workspace may be about a customer."""
    about = first_text(event, [SUBJECT]) if kind_of(event) == OTHER else None
    return {account for account in (account_of(event, of_path), about) if account is not None}


def first_text(event: dict[str, Any], paths: Iterable[str]) -> str | None:
    """The first value at some dotted paths that does not mean "no value", as text."""
    for path in paths:
        value: Any = event
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        text = as_text(value)
        if text is not None and text.strip().lower() not in NO_VALUE:
            return text
    return None


def as_text(value: Any) -> str | None:
    """A value of a JSON text as text."""
    return value if value is None or isinstance(value, str) else json.dumps(value)
