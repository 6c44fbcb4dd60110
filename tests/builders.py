"""Builders of small worlds: every column a test doesn't care about has a default.

A builder returns (extract, row) pairs; ``world`` gathers them into {extract: rows}, ready to be built or computed:

    world(recipe("r", recipe_type="api_recipe"), job("j", ("workato_api_platform", "receive_request"), recipe_id="r"))
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]
Rows = list[tuple[str, Row]]

CUSTOMER = "acme"
NOON = "2026-03-10T12:00:00Z"
LISTED = "2026-03-31T22:00:00Z"

SALESFORCE = ("salesforce", "create_object")
LOGGER = ("logger", "log_message")
TRIGGER = ("salesforce", "new_object")  # of an eligible app
SCHEDULER = ("clock", "scheduled_event")  # a trigger that is not eligible
API_REQUEST = ("workato_api_platform", "receive_request")
PROXY_REQUEST = ("workato_api_proxy", "receive_request")
FUNCTION = ("workato_recipe_function", "execute")
CALL = ("workato_recipe_function", "call_recipe")
CALL_ASYNC = ("workato_recipe_function", "call_recipe_async")
PAGES = ("workato_idp", "process_document")
BATCH_PUBLISH = ("workato_pub_sub", "publish_to_topic_batch")


def world(*parts: Rows, with_required: bool = True) -> dict[str, list[Row]]:
    """The rows of the parts by extract; what is required and not there gets one harmless row."""
    rows: dict[str, list[Row]] = {}
    for part in parts:
        for extract, row in part:
            rows.setdefault(extract, []).append(row)
    if with_required:
        for builder in (customer, recipe, connection, job):
            for extract, row in builder():
                if extract not in rows and not (extract in ("jobs", "steps") and "job_history" in rows):
                    rows[extract] = [row]
    return rows


def customer(id: str | None = CUSTOMER, **columns: Any) -> Rows:
    return [("customers", {"id": id, "name": "Acme", "created_at": NOON, "extracted_at": LISTED, **columns})]


def recipe(id: str | None = "recipe", **columns: Any) -> Rows:
    row = {
        "id": id,
        "user_id": CUSTOMER,
        "name": "A recipe",
        "trigger_application": None,
        "running": True,
        "created_at": NOON,
        "extracted_at": LISTED,
    }
    return [("recipes", {**row, **columns})]


def connection(id: str | None = "connection", **columns: Any) -> Rows:
    row = {"id": id, "user_id": CUSTOMER, "provider": "salesforce", "created_at": NOON, "extracted_at": LISTED}
    return [("connections", {**row, **columns})]


def step(adapter: str | None, operation: str | None = None, **columns: Any) -> Row:
    """One line; ``job`` gives it its position."""
    return {"adapter_name": adapter, "adapter_operation": operation, **columns}


def job(
    id: str | None = "job",
    *lines: tuple[str | None, str | None] | Row,
    account_id: str | None = CUSTOMER,
    extracted_at: str | None = NOON,
    **columns: Any,
) -> Rows:
    """One delivery of a succeeded job with its lines; without lines it ran an eligible trigger and action."""
    delivery = {"account_id": account_id, "extracted_at": extracted_at}
    times = {"started_at": columns.get("completed_at") or NOON, "completed_at": NOON}
    rows: Rows = [("jobs", {"id": id, "recipe_id": "recipe", "status": "succeeded", **delivery, **times, **columns})]
    for position, line in enumerate(lines or (TRIGGER, SALESFORCE)):
        place = {"job_id": id, "line_index": position, "recipe_line_number": position, **delivery}
        rows.append(("steps", {**place, **(line if isinstance(line, dict) else step(*line))}))
    return rows


def without_steps(rows: Rows) -> Rows:
    return [(extract, row) for extract, row in rows if extract != "steps"]


def only_steps(rows: Rows) -> Rows:
    return [(extract, row) for extract, row in rows if extract == "steps"]


def streamed(nested: Iterable[Row]) -> Rows:
    return [("job_history", row) for row in nested]


def request(id: str | None = "request", **columns: Any) -> Rows:
    row = {"id": id, "account_id": CUSTOMER, "requested_at": NOON, "request_type": "managed", "extracted_at": NOON}
    return [("api_requests", {**row, **columns})]


def collection(id: str | None = "collection", **columns: Any) -> Rows:
    row = {"id": id, "account_id": CUSTOMER, "is_mcp_server": True, "extracted_at": LISTED}
    return [("api_collections", {**row, **columns})]


def publish(id: str | None = "publish", **columns: Any) -> Rows:
    row = {
        "id": id,
        "account_id": CUSTOMER,
        "requested_at": NOON,
        "endpoint": "publish",
        "message_count": 1,
        "status": "succeeded",
        "extracted_at": NOON,
    }
    return [("event_stream_requests", {**row, **columns})]


def prompt(id: str | None = "prompt", **columns: Any) -> Rows:
    return [("genie_prompts", {"id": id, "account_id": CUSTOMER, "sent_at": NOON, "extracted_at": NOON, **columns})]


def seats(id: str | None = "order", **columns: Any) -> Rows:
    row = {"id": id, "account_id": CUSTOMER, "product": "workato_go", "seats": 5, "effective_from": "2026-03-01"}
    return [("seats", {**row, **columns})]


def subscription(**columns: Any) -> Rows:
    row = {"account_id": CUSTOMER, "recipe_metric": "business_actions", "effective_from": "2026-01-01"}
    return [("subscriptions", {**row, **columns})]


def ratio(metric: str | None = "business_actions", **columns: Any) -> Rows:
    return [("credit_ratios", {"metric": metric, "credits_per_unit": "1", "effective_from": "2026-01-01", **columns})]


def recommended(recipe_id: str | None = "template", **columns: Any) -> Rows:
    return [("recommended_recipes", {"recipe_id": recipe_id, "name": "A template", **columns})]


def vendor_usage(**columns: Any) -> Rows:
    row = {"account_id": CUSTOMER, "usage_month": "2026-03-01", "tasks": 1, "extracted_at": NOON}
    return [("vendor_usage", {**row, **columns})]


# What several classes deliver in their first run: one build for all of them (building.py).
FIRST = world(
    customer(),
    recipe(),
    connection(),
    job("j-1"),
    job("j-test", TRIGGER, ("slack", "post_message"), is_test=True),
    request("q-1"),
)
