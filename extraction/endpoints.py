"""The platform's API as this project reads it: addresses, paths, limits and field names.

What no public page shows is marked ``assumed``. If the platform answers otherwise, correct it here, and nowhere else.

A field is read from the first of its names that a record has; ``a.b`` is a field of a nested record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# One address per data centre; those of jp, sg, au, in and il are assumed to follow the pattern of eu.
REGIONS = {"us": "https://www.workato.com"} | {
    region: f"https://app.{region}.workato.com" for region in ("eu", "jp", "sg", "au", "in", "il")
}

# Requests per minute of all endpoints of a group together: the whole admin workspace shares them.
LIMITS = {"fast": 1000, "slow": 60, "agentic": 600}

PER_PAGE = 100
# A list is one of these, whatever the endpoint, or a bare array.
WRAPPERS = ("result", "items", "data")


@dataclass(frozen=True)
class Endpoint:
    """``group``: a key of LIMITS. ``what``: what it lists, for messages.

    ``may_ignore_pages``: assumed to return everything at once, whatever page it is asked for.
    """

    path: str
    group: str
    what: str
    params: dict[str, Any] = field(default_factory=dict)
    is_paged: bool = True
    may_ignore_pages: bool = False


CUSTOMERS = Endpoint("/api/managed_users", "slow", "the customers")
RECIPES = Endpoint("/api/managed_users/{customer}/recipes", "slow", "the recipes", {"exclude_code": "true"})
PROJECTS = Endpoint("/api/managed_users/{customer}/projects", "slow", "the projects")
FOLDERS = Endpoint("/api/managed_users/{customer}/folders", "slow", "the folders")
CONNECTIONS = Endpoint(
    "/api/managed_users/{customer}/connections",
    "fast",
    "the connections",
    may_ignore_pages=True,  # assumed
)
COLLECTIONS = Endpoint("/api/managed_users/{customer}/api_collections", "fast", "the API collections")
MCP_SERVERS = Endpoint("/api/mcp/mcp_servers", "slow", "the MCP servers")
JOBS = Endpoint("/api/managed_users/{customer}/recipes/{recipe}/jobs", "fast", "the jobs", {"prev": "false"})
JOB = Endpoint("/api/managed_users/{customer}/recipes/{recipe}/jobs/{job}", "fast", "a job")
GENIES = Endpoint("/api/agentic/genies", "agentic", "the genies")
CONVERSATIONS = Endpoint("/api/agentic/genies/{genie}/conversations", "agentic", "the conversations")
EVENTS = Endpoint("/api/agentic/conversations/{conversation}/events", "agentic", "the events of a conversation")
USAGE = Endpoint("/api/managed_users/usage", "fast", "the usage by month", may_ignore_pages=True)  # assumed
STATISTICS = Endpoint("/api/v2/managed_users/statistics/usage", "fast", "the usage statistics", is_paged=False)

# The jobs of a list are ordered from the newest to the oldest; the next page begins after this job.
OFFSET_JOB = "offset_job_id"

# {column of the contract: names of the field}
CUSTOMER_FIELDS = {
    "id": ("id",),
    "external_id": ("external_id",),
    "name": ("name",),
    "plan_id": ("plan_id",),
    "in_trial": ("in_trial", "trial"),
    "created_at": ("created_at",),
}
RECIPE_FIELDS = {
    "id": ("id",),
    "name": ("name",),
    "trigger_application": ("trigger_application",),
    "running": ("running",),
    "created_at": ("created_at",),
    "stopped_at": ("stopped_at",),
    "last_run_at": ("last_run_at",),
    "lifetime_task_count": ("lifetime_task_count",),
    "project_id": ("project_id",),
    "folder_id": ("folder_id",),
}
CONNECTION_FIELDS = {
    "id": ("id",),
    "name": ("name",),
    "provider": ("provider", "application"),
    "authorization_status": ("authorization_status",),
    "authorized_at": ("authorized_at",),
    "created_at": ("created_at",),
}
COLLECTION_FIELDS = {"id": ("id",), "name": ("name",)}
# Assumed: the list of a customer may say it; otherwise a collection is an MCP server if one names it.
IS_MCP_SERVER = ("is_mcp_server", "mcp_server")
COLLECTION_OF_SERVER = ("api_collection.id", "api_collection_id")
PROJECT_OF_FOLDER = ("project_id",)  # assumed
FOLDER_OF_PROJECT = ("folder_id",)

JOB_FIELDS = {
    "id": ("id",),
    "environment_type": ("environment_type",),  # assumed, as in streamed job files
    "status": ("status",),
    "is_repeat": ("is_repeat",),
    "repeat_count": ("repeat_count",),  # assumed, as in streamed job files
    "master_job_id": ("master_job_id",),
    "calling_job_id": ("calling_job_id",),
    "calling_recipe_id": ("calling_recipe_id",),
    "root_job_id": ("root_job_id",),
    "root_recipe_id": ("root_recipe_id",),
    "is_test": ("is_test",),
    "is_poll_error": ("is_poll_error",),
    "started_at": ("started_at",),
    "completed_at": ("completed_at",),
    "action_count": ("action_count",),  # assumed, as in streamed job files
    "error_type": ("error_type",),  # assumed, as in streamed job files
    "error": ("error",),
}
LINES = ("lines",)
IS_ERASED = ("erased",)
# Words of a job that is not over yet, and of one that is. A job with another word is read again until it completes.
PENDING_WORDS = ("pending", "processing")
FINAL_WORDS = ("succeeded", "completed", "success", "failed", "error", "canceled", "cancelled", "skipped")

IS_PROMPT = "user_message"  # the type of an event that is a prompt
EVENT_TYPE = ("type", "event_type")
PROMPT_FIELDS = {
    "id": ("id",),
    "sender_type": ("sender.type", "sender_type", "sender"),
    "sent_at": ("date_time",),
    "status": ("status",),  # assumed
}
# Assumed: a genie may name its account. Otherwise it belongs to the own workspace (own_account_id).
ACCOUNT_OF_GENIE = ("managed_user_id", "account_id", "workspace_id")
CHANGED_AT = ("updated_at",)  # of a conversation, assumed

# The usage endpoints: no page shows what they return, so all of this is assumed.
USAGE_ACCOUNT = ("managed_user_id", "account_id", "user_id", "id")
USAGE_MONTH = ("month", "usage_month", "period_start", "period", "date")
USAGE_OF_ACCOUNT = ("usage", "months", "statistics")  # a list of months within a customer's record
USAGE_FIELDS = {
    "tasks": ("task_count", "tasks", "tasks_count"),
    "jobs_succeeded": ("job_succeeded_count", "jobs_succeeded", "succeeded_jobs"),
    "jobs_failed": ("job_failed_count", "jobs_failed", "failed_jobs"),
}
STATISTICS_MONTHS = 3  # the current month and those before it
STATISTICS_CUSTOMERS = 100  # of one request


def statistics_request(customers: list[str], first_day: str, last_day: str) -> dict[str, Any]:
    """The body of a request to STATISTICS."""
    return {"managed_user_ids": customers, "start_date": first_day, "end_date": last_day, "interval": "month"}


def value_of(record: dict[str, Any], names: tuple[str, ...]) -> Any:
    """The first of the named fields that is not null; null if there is none."""
    for name in names:
        value: Any = record
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None
