"""Reference implementation of the counting rules over extracts, to compare the models' decisions with.

Plain Python that shares no SQL and no constant with the models. Rule ids (G9, S-PAGES, J-FN-ORPHAN ...) stand where
the rule is applied. Where a rule admits two readings the one taken is marked [A<n>] and explained in README.md.

    result = compute(world, Options())

``world``: extract name -> list of dicts with the contract's columns. Values are str, int, float, bool or None, times
ISO texts; ``job_history`` holds the nested jobs as dicts. Nothing in it is changed.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

from . import reconciliation
from .tab import add_tab, month_of, next_month, share_of

# The platform's connectors with their published rulings: adapter_name, app_name, family, base_adapter_name,
# business_action_eligible (true, false or empty: unruled), basis, deprecated.
APPS_CSV = Path(__file__).with_name("apps.csv")


# -------------------------------------------------------------------------------------------------- options and result


@dataclass
class Options:
    """The counting options, by the names of the dbt vars and with their defaults."""

    reporting_timezone: str = "UTC"
    count_test_jobs: bool = True
    admin_account_ids: tuple = ()
    unruled_app_is_eligible: bool = False
    unknown_app_is_eligible: bool = True
    task_terms: str = "T3"  # T1: a trigger is 1 task, a call 0. T2 counts as T3 does.
    as_of_date: str | None = None  # 'YYYY-MM-DD'
    listing_tolerance_hours: float = 6
    unconfirmed_after_days: float = 90
    vendor_timezone: str | None = None  # None: the reporting zone
    vendor_task_terms: str | None = None  # None: those of task_terms
    default_terms: str = "credits_2025"  # of contracts.py, as is the next one
    prorate_allowances: bool = True


@dataclass
class Result:
    """The decision rows and figures as dicts by column name; ``flags`` are (what, customer, job).

    For restatements: ``readable``: extract -> its good rows as they came, streamed jobs among jobs and steps;
    ``deliveries``: unit (extract, customer, id) -> the rows of its current delivery, of a job its own and its steps';
    ``subscriptions`` and ``credit_ratios``: those that are terms. ``asset_contexts``: (account, job id) -> the billing
    context under C-MCP-ASSET. Credits, and the tables about contracts, are filled by ``contracts.compute``.
    """

    metered_steps: list = field(default_factory=list)
    metered_jobs: list = field(default_factory=list)
    metered_requests: list = field(default_factory=list)
    metered_seats: list = field(default_factory=list)
    usage_by_capability: list = field(default_factory=list)
    monthly_customer_usage: list = field(default_factory=list)
    monthly_tasks: list = field(default_factory=list)
    top_customers: list = field(default_factory=list)
    monthly_connections: list = field(default_factory=list)
    connection_trends: list = field(default_factory=list)
    top_apps: list = field(default_factory=list)
    monthly_customers: list = field(default_factory=list)
    customer_trends: list = field(default_factory=list)
    monthly_active_recipes: list = field(default_factory=list)
    active_recipe_trends: list = field(default_factory=list)
    top_recommended_recipes: list = field(default_factory=list)
    customer_details: list = field(default_factory=list)
    monthly_app_usage: list = field(default_factory=list)
    monthly_environment_usage: list = field(default_factory=list)
    monthly_recipe_usage: list = field(default_factory=list)
    usage_reconciliation: list = field(default_factory=list)
    job_reconciliation: list = field(default_factory=list)
    monthly_credits: list = field(default_factory=list)
    billing_periods: list = field(default_factory=list)
    contract_usage: list = field(default_factory=list)
    usage_thresholds: list = field(default_factory=list)
    high_volume_recipes: list = field(default_factory=list)
    quarantined: list = field(default_factory=list)
    ignored: int = 0  # events of the stream that are neither jobs nor logs of requests
    flags: list = field(default_factory=list)
    work: reconciliation.Work | None = None
    readable: dict = field(default_factory=dict)
    deliveries: dict = field(default_factory=dict)
    subscriptions: list = field(default_factory=list)
    credit_ratios: list = field(default_factory=list)
    asset_contexts: dict = field(default_factory=dict)
    newest_extract: datetime | None = None
    as_of: date | None = None

    @property
    def monthly_figures(self) -> list:
        """The figures that a close of each month keeps."""
        from .restatements import close

        months = sorted({month_of(row["usage_date"]) for row in self.usage_by_capability})
        figures = {(month, *key): quantity for month in months for key, quantity in close(self, month).items()}
        names = ("usage_month", "customer_id", "metric", "call_type", "quantity")
        return [dict(zip(names, (*key, quantity), strict=True)) for key, quantity in figures.items()]


# ----------------------------------------------------------------------------------- contract, section 2: the extracts

TERMS = "tasks_2024|credits_2025|credits_2026"

# column:type, '?' = may be absent or null. Types: id, text, name (free text), time, day, month (its first day), int,
# count, number, amount (not negative), cycle_day (1 to 31), bool, status, error, failure (whether it failed), one of
# (a|b).
EXTRACTS = {
    name: dict(c.rsplit(":", 1) for c in columns.split())
    for name, columns in {
        "customers": "id:id external_id?:text name:name plan_id?:text in_trial?:bool subscription_expired?:bool "
        "created_at:time extracted_at:time",
        "recipes": "id:id user_id:id name:name recipe_type?:text trigger_application:text trigger_operation?:text "
        "running:bool created_at:time stopped_at?:time last_run_at?:time project_id?:text project_name?:name "
        "parent_id?:text lifetime_task_count?:int extracted_at:time",
        "connections": "id:id user_id:id name?:name provider:text authorization_status?:success|failed|exception "
        "authorized_at?:time created_at:time extracted_at:time",
        "jobs": "id:id account_id:id environment_type?:text recipe_id:id status:status is_repeat?:bool "
        "repeat_count?:int master_job_id?:text calling_job_id?:text calling_recipe_id?:text root_job_id?:text "
        "root_recipe_id?:text is_test?:bool is_poll_error?:bool started_at:time completed_at?:time "
        "action_count?:int error_type?:text error?:error extracted_at:time",
        "steps": "account_id:id job_id:id line_index:count recipe_line_number:int adapter_name:text "
        "adapter_operation:text keyword?:text status?:status error?:error page_count?:soft_count "
        "message_count?:soft_count called_recipe_id?:text duration_seconds?:number extracted_at:time",
        "api_requests": "id:id account_id:id requested_at:time request_type:managed|proxy|proxy_transformation "
        "api_collection_id?:text recipe_id?:text job_id?:text http_status?:int gateway_code?:text "
        "internal_error?:failure extracted_at:time",
        "api_collections": "id:id account_id:id name?:name is_mcp_server:bool extracted_at:time",
        "event_stream_requests": "id:id account_id:id requested_at:time "
        "endpoint:publish|batch_publish|consume|batch_consume message_count:count status:status "
        "extracted_at:time",
        "genie_prompts": "id:id account_id:id genie_id?:text conversation_id?:text sender_type?:text sent_at:time "
        "status?:status extracted_at:time",
        "seats": "id:id account_id:id product:workato_go|workflow_apps app_id?:text seats:count effective_from:day "
        "effective_to?:day extracted_at?:time",
        "subscriptions": f"account_id:id recipe_metric?:business_actions|tasks terms?:{TERMS} "
        "included_credits?:amount task_limit?:amount allowance_per?:cycle|term unit_price?:amount currency?:text "
        "billing_cycle_day?:cycle_day effective_from:day effective_to?:day extracted_at?:time",  # [A74]
        "credit_ratios": f"account_id?:text terms?:{TERMS} metric:id call_type?:text credits_per_unit:number "
        "effective_from:day effective_to?:day extracted_at?:time",
        "recommended_recipes": "recipe_id:id name:name recommended_from?:day",
        "vendor_usage": "account_id:id usage_month:month tasks?:count business_actions?:count api_calls?:count "
        "pages_processed?:count events_processed?:count mcp_calls?:count genie_actions?:count jobs_succeeded?:count "
        "jobs_failed?:count extracted_at:time",
    }.items()
}

STATUS_WORDS = {
    "succeeded": "succeeded",
    "completed": "succeeded",
    "success": "succeeded",
    "failed": "failed",
    "error": "failed",
    "canceled": "canceled",
    "cancelled": "canceled",
    "pending": "pending",
    "processing": "pending",
    "skipped": "skipped",
}


class Unreadable(Exception):
    """The row is a bad row; the message is its reason."""


# What an export writes where it has no value, beside an empty text: the defaults of the var null_marks.
NULL_MARKS = {"\\n", "null", "none", "nil", "nan", "nat", "<na>", "n/a", "(null)", '""', "''", ""}

ISO_8601 = re.compile(
    r"(\d{4}-\d{2}-\d{2})([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)? ?(Z|[+-]((0\d|1[0-3])(:?[0-5]\d)?|14(:?00)?))?)?"
)


def read_time(text):
    """An instant in UTC; without offset it is UTC. ISO 8601 and nothing else."""
    text = str(text).strip()
    if not ISO_8601.fullmatch(text):
        raise Unreadable("unreadable time")
    try:
        moment = datetime.fromisoformat(text.replace(",", ".").replace(" ", "T", 1).replace(" ", ""))
    except ValueError:
        raise Unreadable("unreadable time") from None
    if not 1900 <= moment.year < 2200:
        raise Unreadable("unreadable time")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def read_day(text, zone):
    """A date as written; a full time is its date in the reporting time zone. [A22]"""
    text = str(text).strip()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise Unreadable("unreadable time") from None
    if re.fullmatch(r"\d{4}-\d{2}", text):
        return read_day(text + "-01", zone)
    return read_time(text).astimezone(zone).date()


def read_month(text, zone):
    day = read_day(text, zone)
    if day.day != 1:
        raise Unreadable("not the first day of a month")
    return day


def read_int(value):
    if isinstance(value, bool) or not re.fullmatch(r"\s*[+-]?\d+(\.0*)?\s*", str(value)):
        raise Unreadable("unreadable number")
    number = int(Decimal(str(value).strip()))
    if abs(number) > 10**12:
        raise Unreadable("unreadable number")
    return number


def read_count(value):
    number = read_int(value)
    if number < 0:
        raise Unreadable("unreadable number")
    return number


def read_number(value):
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise Unreadable("unreadable number") from None
    if isinstance(value, bool) or not number.is_finite():
        raise Unreadable("unreadable number")
    return number


def read_amount(value):
    number = read_number(value)
    if number < 0:
        raise Unreadable("negative number")
    return number


def read_cycle_day(value):
    day = read_int(value)
    if not 1 <= day <= 31:
        raise Unreadable("no day of a month")
    return day


FALSE_WORDS = ("false", "f", "0", "0.0", "no", "n", "off")
NO_ERROR = ("{}", "[]", "false")  # an error column that says so has no error


def read_bool(value):
    word = str(value).strip().lower()
    if word in ("true", "t", "1", "1.0", "yes", "y", "on"):
        return True
    if word in FALSE_WORDS:
        return False
    raise Unreadable("unreadable boolean")


def read_value(value, kind, zone):
    if kind in ("id", "text", "name"):
        return str(value)
    if kind == "error":
        return None if str(value).strip().lower() in NO_ERROR else str(value)
    if kind == "failure":  # any other text is an error
        return str(value).strip().lower() not in (*FALSE_WORDS, *NO_ERROR)
    if kind == "time":
        return read_time(value)
    if kind == "day":
        return read_day(value, zone)
    if kind == "month":
        return read_month(value, zone)
    if kind == "int":
        return read_int(value)
    if kind == "count":
        return read_count(value)
    if kind == "soft_count":  # "without a readable count keeps its rule ... with quantity 0"  [A2]
        try:
            return read_count(value)
        except Unreadable:
            return None
    if kind == "number":
        return read_number(value)
    if kind == "amount":
        return read_amount(value)
    if kind == "cycle_day":
        return read_cycle_day(value)
    if kind == "bool":
        return read_bool(value)
    if kind == "status":
        word = str(value).strip().lower()
        if word not in STATUS_WORDS:
            raise Unreadable("unknown status word")
        return STATUS_WORDS[word]
    if value not in kind.split("|"):
        raise Unreadable("unknown word")  # [A3]
    return value


def read_row(extract, raw, zone):
    """The row typed, every contract column present; an empty text is null. Raises Unreadable for a bad row."""
    row = {}
    for column, kind in EXTRACTS[extract].items():
        is_optional = column.endswith("?")
        column = column.rstrip("?")
        value = raw.get(column)
        if value is None or value == "" or (kind != "name" and str(value).strip().lower() in NULL_MARKS):
            if not is_optional and kind not in ("text", "name"):  # a required text such as a name may be empty [A1]
                raise Unreadable("missing id" if kind == "id" else f"missing {column}")
            row[column] = False if kind in ("bool", "failure") else None  # [A1]
        else:
            row[column] = read_value(value, kind, zone)
    if extract == "subscriptions":
        check_subscription(row)
    return row


def check_subscription(row):
    """Raises Unreadable where the columns of a term contradict each other. [A74]"""
    if row["terms"] is None and row["recipe_metric"] is None:
        raise Unreadable("missing terms")
    if row["unit_price"] is not None and row["currency"] is None:
        raise Unreadable("price without currency")
    if row["effective_to"] is not None and row["effective_to"] < row["effective_from"]:
        raise Unreadable("end before its begin")


def row_as_text(row):
    """ "The greater row as text" (G9): the columns in the contract's order. [A5]"""
    return "\x1f".join("" if v is None else str(v) for v in row.values())


# --------------------------------------------------------------------------------------------------------- job_history


def as_object(value):
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def unwrap_history(entry):
    """Plain, or wrapped in `logEntries` (an object, a list, or either as text)."""
    if "logEntries" not in entry:
        return [entry]
    inside = entry["logEntries"]
    if isinstance(inside, str):
        inside = json.loads(inside)
    return inside if isinstance(inside, list) else [inside]


def flatten_history(entry):
    """One nested job -> (raw job row, raw step rows)."""
    job = {k: v for k, v in entry.items() if k != "lines"}
    if job.get("extracted_at") in (None, ""):
        job["extracted_at"] = job.get("completed_at")
    lines = entry.get("lines")
    if isinstance(lines, str):
        try:
            lines = json.loads(lines)  # a text that says the size limit was passed is no JSON
        except ValueError:
            lines = None
    if not isinstance(lines, list):
        lines = []
    steps = []
    for position, line in enumerate(lines):
        messages = as_object(line.get("input")).get("messages")
        error = line.get("error")
        steps.append(
            {
                "account_id": job.get("account_id"),
                "job_id": job.get("id"),
                "line_index": position,
                "recipe_line_number": line.get("recipe_line_number"),
                "adapter_name": line.get("adapter_name"),
                "adapter_operation": line.get("adapter_operation"),
                "keyword": line.get("keyword"),
                "status": line.get("status"),
                "error": error if error is None or isinstance(error, str) else json.dumps(error),
                "page_count": as_object(line.get("output")).get("page_count"),
                "message_count": len(messages) if isinstance(messages, list) else None,
                "called_recipe_id": as_object(line.get("input")).get("flow_id"),
                "duration_seconds": as_object(line.get("line_stat")).get("total"),
                "extracted_at": job.get("extracted_at"),
            }
        )
    return job, steps


# "Events of other kinds in the same stream are told apart by shape" [A93]
OF_A_REQUEST = {
    *("request_type", "gateway_code", "http_status", "status_code", "api_collection", "api_collection_id"),
    *("api_endpoint", "api_client", "endpoint"),
}
OF_A_JOB = {
    *("recipe_id", "flow_id", "master_job_id", "calling_job_id", "calling_recipe_id", "root_job_id", "root_recipe_id"),
    *("is_repeat", "repeat_count", "is_test", "is_poll_error", "action_count", "error_type"),
}
NAMES_AN_ACTIVITY = {"event_type", "event_name", "event", "activity", "activity_type", "action"}
DETAILS_AN_ACTIVITY = {"timestamp", "user", "workspace", "resource", "resource_type"}
COLLECTION_TYPES = {
    "recipe": "managed",
    "recipe collection": "managed",
    "recipe_collection": "managed",
    "proxy": "proxy",
    "proxy collection": "proxy",
    "proxy_collection": "proxy",
}


def is_request(event):
    """Whether a streamed event is the log of an API request."""
    said = {name for name, value in event.items() if value is not None}
    return "lines" not in said and bool(said & OF_A_REQUEST)


def is_ignored(event):
    """Whether a streamed event is neither a job nor the log of a request."""
    said = {name for name, value in event.items() if value is not None}
    if is_request(event) or said & {"lines", "started_at", "completed_at"}:
        return False
    return bool(said & NAMES_AN_ACTIVITY or (said & DETAILS_AN_ACTIVITY and not said & OF_A_JOB))


def flatten_log(event):
    """A log of a request -> (raw row of api_requests, whether its link names no job)."""

    def first(*paths):
        for path in paths:
            value = event
            for name in path.split("."):
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None and str(value).strip().lower() not in ("", *NULL_MARKS):
                return value
        return None

    row = {
        "id": first("id", "request_id"),
        "account_id": first("account_id", "workspace_id", "workspace.id"),
        "requested_at": first("requested_at", "timestamp", "date_time", "date", "time", "created_at"),
        "request_type": first("request_type", "collection_type"),
        "api_collection_id": first("api_collection_id", "collection_id", "api_collection.id"),
        "recipe_id": first("recipe_id", "flow_id"),
        "job_id": first("job_id", "job.id"),
        "http_status": first("http_status", "status_code", "code"),
        "gateway_code": first("gateway_code"),
        "internal_error": first("internal_error"),
    }
    row["extracted_at"] = first("extracted_at") or row["requested_at"]
    link = first("job_link", "job_url", "job_details")
    if row["job_id"] is None and link is not None:
        found = re.search("/jobs?/([^/?#]+)", link)
        row["job_id"] = found[1] if found else (None if "/" in link else link)
    kind = row["request_type"]
    row["request_type"] = COLLECTION_TYPES.get(str(kind).lower(), kind)
    if kind is None and row["job_id"] is not None:
        row["request_type"] = "managed"  # only a recipe has jobs
    place = {name: event[name] for name in ("_load", "_file") if name in event}
    return row | place, link is not None and row["job_id"] is None


# ------------------------------------------------------------------------------------------------ reading the extracts


def credible_until(world, nested, logs, days):
    """The latest extracted_at that is taken for true, or None. [A54]

    A row's file is its ``_file``, else the one file of its extract. Steps say what their job says.
    """
    said = defaultdict(set)  # file -> its times
    rows = [(name, row) for name in EXTRACTS if name != "steps" for row in world.get(name, [])]
    for name, row in rows + [("job_history", row) for row, _ in nested + logs]:
        try:
            if EXTRACTS[name if name != "job_history" else "jobs"].keys() & {"extracted_at", "extracted_at?"}:
                said[row.get("_file") or name].add(read_time(row.get("extracted_at")))
        except Unreadable:
            pass
    said = {file: times for file, times in said.items() if times}
    at_first = None
    while len(said) > 1:
        newest, second = sorted((max(times) for times in said.values()), reverse=True)[:2]
        at_first = at_first or second + days
        if newest <= second + days:
            return second + days
        # nobody confirms the newest ones, so they confirm nothing
        said = {file: {t for t in times if t <= second + days} for file, times in said.items()}
        said = {file: times for file, times in said.items() if times}
    return at_first


def read_extracts(world, zone, result, days=timedelta(days=90)):
    """Typed good rows per extract, every bad row in quarantine. Repeated rows are still repeated here."""
    rows = {name: [] for name in EXTRACTS}
    result.readable = {name: [] for name in EXTRACTS}
    events = [event for entry in world.get("job_history", []) for event in unwrap_history(entry)]
    logs = [flatten_log(event) for event in events if is_request(event)]
    result.ignored = sum(map(is_ignored, events))
    nested = [flatten_history(event) for event in events if not is_request(event) and not is_ignored(event)]
    credible = credible_until(world, nested, logs, days)

    def take(extract, source, raw, flaw=None):
        try:
            if flaw:
                raise Unreadable(flaw)
            row = read_row(extract, raw, zone)
            if row.get("extracted_at") and credible and row["extracted_at"] > credible:
                raise Unreadable("unconfirmed extracted_at")
            if row.get("extracted_at"):
                result.newest_extract = max(row["extracted_at"], result.newest_extract or row["extracted_at"])
            if extract == "steps" and (row["account_id"], row["job_id"]) not in known_jobs:
                raise Unreadable("step without job")
        except Unreadable as reason:
            result.quarantined.append({"extract": source, "reason": str(reason), "row": raw})
            return False
        if extract in TERM_KEYS:
            row["place"] = (int(raw.get("_load") or 0), raw.get("_file") or "")
        rows[extract].append(row)
        result.readable[extract].append(raw)
        return True

    for extract in EXTRACTS:
        if extract != "steps":
            for raw in world.get(extract, []):
                take(extract, extract, raw)
    for raw, names_no_job in logs:
        take("api_requests", "api_requests", raw, "unreadable job_id" if names_no_job else None)
    readable = [steps for job, steps in nested if take("jobs", "job_history", job)]  # a bad job keeps its lines [A27]

    known_jobs = {(job["account_id"], job["id"]) for job in rows["jobs"]}
    for raw in world.get("steps", []):
        take("steps", "steps", raw)
    for steps in readable:
        for raw in steps:
            take("steps", "job_history_lines", raw)
    return rows


def distinct(rows):
    """Files may overlap and repeat: the same row twice is one row."""
    return list({row_as_text(row): row for row in rows}.values())


def one_per(key, rows):
    """Of rows without a time of extraction, the greater as text for each key. [A5]"""
    return list({key(row): row for row in sorted(rows, key=row_as_text)}.values())


def latest(rows, key):
    """One row per key: the one extracted last (then the greater row as text)."""
    best = {}
    for row in rows:
        k = key(row)
        if k not in best or (row["extracted_at"], row_as_text(row)) > (best[k]["extracted_at"], row_as_text(best[k])):
            best[k] = row
    return best


# ------------------------------------------------------------------------------------------------------- full listings

LISTING_KEYS = {
    "customers": lambda row: row["id"],
    "recipes": lambda row: (row["user_id"], row["id"]),
    "connections": lambda row: (row["user_id"], row["id"]),
    "api_collections": lambda row: (row["account_id"], row["id"]),
}


def listings(rows, tolerance):
    """[(when it was taken, its rows)] from the newest on: what lies within the tolerance of the newest row is one."""
    found = []
    for row in sorted(rows, key=lambda row: row["extracted_at"], reverse=True):
        if not found or row["extracted_at"] < found[-1][0] - tolerance:
            found.append((row["extracted_at"], []))
        found[-1][1].append(row)
    return found


def as_listed(rows, key, tolerance):
    """Each thing once per listing, stamped with the time of the listing. [A30]"""
    return [
        {**row, "extracted_at": taken}
        for taken, listed in listings(rows, tolerance)
        for row in latest(listed, key).values()
    ]


# --------------------------------------------------------------------------------------------- orders, terms and ratios

# Contract, section 2: what tells them apart, what of them holds at a time, and what they say beside their dates.
TERM_KEYS = {
    "seats": ("account_id", "id"),
    "subscriptions": ("account_id", "effective_from"),
    "credit_ratios": ("account_id", "terms", "metric", "call_type", "effective_from"),
}
TERM_GROUPS = {
    "seats": ("account_id", "product", "app_id"),
    "subscriptions": ("account_id",),
    "credit_ratios": ("account_id", "terms", "metric", "call_type"),
}


def terms_in_force(extract, rows, tolerance, local_date):
    """Each order, term or ratio once, ended or taken back by the listings that lack it; what never was is left out."""

    def pick(row, columns):
        return tuple(row[column] for column in columns)

    def says(row):
        return {
            c: v for c, v in row.items() if c not in ("id", "effective_from", "effective_to", "extracted_at", "place")
        }

    def overlap(one, other):
        starts = one["effective_from"] < (other["effective_to"] or date.max)
        return starts and other["effective_from"] < (one["effective_to"] or date.max)

    def is_correction(row, instead):
        """Whether the other row stands in this one's place, with a corrected effective_from. [A53]"""
        if pick(row, TERM_GROUPS[extract]) != pick(instead, TERM_GROUPS[extract]) or not overlap(row, instead):
            return False
        if row["effective_from"] == instead["effective_from"]:
            return False
        comes_first = extract != "seats" and instead["effective_from"] < row["effective_from"]
        return says(row) == says(instead) or comes_first

    def key(row):
        return pick(row, TERM_KEYS[extract])

    undated = {}
    for row in sorted((r for r in rows if r["extracted_at"] is None), key=lambda r: (r["place"], row_as_text(r))):
        undated[key(row)] = row  # the one delivered last
    dated = [{**row, "place": None} for row in rows if row["extracted_at"] is not None]
    taken = [(when, latest(listed, key)) for when, listed in reversed(listings(dated, tolerance))]
    newest = {k: n for n, (_, listed) in enumerate(taken) for k in listed}  # the last listing that holds it
    found = [row for k, row in undated.items() if k not in newest]  # in no listing: none ends it [A52]
    for k, n in newest.items():
        row = taken[n][1][k]
        if n + 1 < len(taken):
            when, listed = taken[n + 1]
            brought = [other for other_key, other in listed.items() if other_key not in taken[n][1]]
            if any(is_correction(row, other) for other in brought):
                continue
            row = {**row, "effective_to": min(row["effective_to"] or date.max, local_date(when))}
        found.append(row)
    return found


# ------------------------------------------------------------------------------------------------------ jobs and steps


def is_finished(job):
    """G10. A job still running has no completion time. [A4]"""
    return job["completed_at"] is not None


DAWN = datetime.min.replace(tzinfo=UTC)


def latest_delivery_of(deliveries):
    """G9: the latest; of two with one extracted_at the finished, then the later completed, then the greater text."""
    return max(
        deliveries,
        key=lambda job: (job["extracted_at"], is_finished(job), job["completed_at"] or DAWN, row_as_text(job)),
    )


def steps_of_delivery(job, deliveries, steps):
    """The steps of the latest delivery by position: its own win over those whose extracted_at no delivery has."""
    delivered_at = {delivery["extracted_at"] for delivery in deliveries}
    own = [s for s in steps if s["extracted_at"] == job["extracted_at"]]
    homeless = [s for s in steps if s["extracted_at"] not in delivered_at]
    by_position = {}
    for group in (homeless, own):  # own last: own steps win
        for step in sorted(group, key=lambda s: (s["extracted_at"], row_as_text(s))):
            by_position[step["line_index"]] = step
    return [by_position[i] for i in sorted(by_position)]


CONTROL_KEYWORDS = {"if", "elsif", "else", "foreach", "repeat", "while_condition", "try", "catch", "stop"}


def step_kind(step):
    """Section 3. Empty adapter or control keyword: control. Line 0: trigger."""
    if step["adapter_name"] is None or (step["keyword"] or "").lower() in CONTROL_KEYWORDS:  # [A3b]
        return "control"
    return "trigger" if step["line_index"] == 0 else "action"


def step_succeeded(step):
    """Its status says so or, where the row has no status, its error is empty."""
    if step["status"] is not None:
        return step["status"] == "succeeded"
    return step["error"] is None


# -------------------------------------------------------------------------------------- section 4: the billing context

TRIGGERS = {
    ("workato_api_platform", "receive_request"): "api_recipe",
    ("workato_api_proxy", "receive_request"): "api_proxy",
    ("workato_recipe_function", "execute"): "recipe_function",
    ("workato_service", "receive_request"): "recipe_function",
    ("workato_genie", "start_workflow"): "skill",
    ("workato_skill", "start_workflow"): "skill",
}
TRIGGER_ADAPTERS = {adapter: kind for (adapter, _), kind in TRIGGERS.items()}


def type_of_trigger(adapter, operation):
    if operation is None:
        return TRIGGER_ADAPTERS.get(adapter, "workflow")  # without an operation the adapter alone decides
    return TRIGGERS.get((adapter, operation), "workflow")


AGENT_TYPES = ("skill", "knowledge_base")
RECIPE_TYPES = (
    "workflow",
    "workflow_app",
    "api_recipe",
    "api_proxy",
    "api_proxy_transformation",
    "recipe_function",
    *AGENT_TYPES,
)
API_TYPES = ("api_recipe", "api_proxy", "api_proxy_transformation")


def listed_type(recipe):
    """The type as far as the recipe extract knows it; None when it does not. [A8]"""
    if recipe is None:
        return None
    if recipe["recipe_type"] in RECIPE_TYPES:
        return recipe["recipe_type"]
    if recipe["trigger_application"] is not None:
        return type_of_trigger(recipe["trigger_application"], recipe["trigger_operation"])
    return None


def ran_a_transforming_step(steps):
    """A step other than forward_request and return_response: any but the trigger, control and skipped ones."""
    for step in steps:
        if step["line_index"] == 0 or step_kind(step) == "control" or step["status"] == "skipped":
            continue
        if (step["adapter_name"], step["adapter_operation"]) not in (
            ("workato_api_proxy", "forward_request"),
            ("workato_api_proxy", "return_response"),
        ):
            return True
    return False


def recipe_type_of(recipe, steps):
    kind = listed_type(recipe)
    if kind is None:
        line_0 = next((s for s in steps if s["line_index"] == 0), None)
        kind = type_of_trigger(line_0["adapter_name"], line_0["adapter_operation"]) if line_0 else "workflow"
    extract_says = recipe is not None and recipe["recipe_type"] in RECIPE_TYPES
    if kind == "api_proxy" and not extract_says and ran_a_transforming_step(steps):  # [A7]
        return "api_proxy_transformation"
    return kind


SYNCHRONOUS_CALLS = {("workato_recipe_function", "call_recipe"), ("workato_service", "call_service")}
ASYNCHRONOUS_CALLS = {("workato_recipe_function", "call_recipe_async"), ("workato_service", "call_service_async")}


def how_called(caller_steps, recipe_id):
    """'sync', 'async', 'both' or None, from the caller's steps that name the recipe. A skipped call is no evidence."""
    calls = [
        (s["adapter_name"], s["adapter_operation"])
        for s in caller_steps
        if s["called_recipe_id"] == recipe_id and s["status"] != "skipped" and step_kind(s) != "control"
    ]
    sync = any(c in SYNCHRONOUS_CALLS for c in calls)
    asynchronous = any(c in ASYNCHRONOUS_CALLS for c in calls)
    return "both" if sync and asynchronous else "sync" if sync else "async" if asynchronous else None


def context_of_type(kind, is_mcp):
    """The context of everything that is not a function: (context, rule)."""
    if kind in API_TYPES:
        return ("mcp", "J-MCP") if is_mcp else ("api", "J-API")
    if kind in AGENT_TYPES:
        return "agent", "J-AGENT"
    return "workflow", "J-WORKFLOW"


def orphan_context(root_type):
    """J-FN-ORPHAN: the root recipe's type if that is known, else workflow. [A9]"""
    if root_type is None or root_type == "recipe_function":
        return "workflow"
    context, _ = context_of_type(root_type, is_mcp=False)
    return "continuation" if context == "api" else "workflow"  # as if that root had called it synchronously


def called_context(caller_context, call):
    """The context of a function whose caller shows the call. Where several rules say the same, the first. [A11]"""
    if caller_context == "workflow":
        return "workflow", "J-FN-WORKFLOW"
    if call in ("sync", "both") and caller_context in ("api", "mcp"):
        return "continuation", "J-FN-SYNC-API"
    if call == "async":
        return "workflow", "J-FN-ASYNC"
    if caller_context == "agent":
        return "workflow", "J-FN-AGENT"
    assert caller_context == "continuation"
    return "continuation", "J-FN-NESTED"


def billing_contexts(jobs, steps_by_job, types, mcp_jobs, recipes, result):
    """(account, job id) -> (context, rule): callers before what they call; cycles and what hangs below are orphans."""

    def root_type(job):  # [A10]
        if job["root_recipe_id"] is None:
            return None
        return listed_type(recipes.get((job["account_id"], job["root_recipe_id"])))

    mixed = set()  # called in both ways
    decided, waiting = {}, {}  # waiting: caller key -> [(function key, how called)]
    for key, job in jobs.items():
        if types[key] != "recipe_function":
            decided[key] = context_of_type(types[key], key in mcp_jobs)
            continue
        caller_key = (job["account_id"], job["calling_job_id"])  # one of another account is no caller
        call = how_called(steps_by_job[caller_key], job["recipe_id"]) if caller_key in jobs else None
        if call is None:
            decided[key] = orphan_context(root_type(job)), "J-FN-ORPHAN"
            result.flags.append(("function without caller", *key))
        else:
            waiting.setdefault(caller_key, []).append((key, call))
            if call == "both":
                mixed.add(key)

    def walk_down(frontier):
        while frontier:
            caller_key = frontier.pop()
            for key, call in waiting.pop(caller_key, []):
                decided[key] = called_context(decided[caller_key][0], call)
                frontier.append(key)

    walk_down(list(decided))
    # Only cycles, and what hangs below them, are left. Called asynchronously, a function is a workflow whatever the
    # caller (J-FN-ASYNC); the rest are cycles of synchronous calls: orphans. [A11b]
    left = [(caller_key, key, call) for caller_key, group in waiting.items() for key, call in group]
    for _, key, _ in left:
        result.flags.append(("call cycle", *key))
        mixed.discard(key)  # one flag is enough
    result.flags += [("mixed calls", *key) for key in sorted(mixed)]
    asynchronous = [(caller_key, key) for caller_key, key, call in left if call == "async"]
    for caller_key, key in asynchronous:
        waiting[caller_key].remove((key, "async"))
        decided[key] = "workflow", "J-FN-ASYNC"
    walk_down([key for _, key in asynchronous])
    for group in waiting.values():
        for key, _ in group:
            decided[key] = orphan_context(root_type(jobs[key])), "J-FN-ORPHAN"
    for caller_key, key in asynchronous:
        decided[key] = called_context(decided[caller_key][0], "async")
    return decided


def contexts_by_asset(jobs, steps_by_job, types, mcp_jobs, recipes):
    """C-MCP-ASSET: (account, job id) -> context, where a call through an MCP server counts as what it invoked. [A76]"""
    by_asset = {
        key: "workflow" if key in mcp_jobs and kind in ("skill", "recipe_function") else kind
        for key, kind in types.items()
    }
    decided = billing_contexts(jobs, steps_by_job, by_asset, set(), recipes, Result())
    return {key: context for key, (context, _) in decided.items()}


CALL_TYPES = {"api_recipe": "managed", "api_proxy": "proxy", "api_proxy_transformation": "proxy_transformation"}


def is_no_execution(job, options):
    """G11: poll errors never count; test jobs when the option says so."""
    return bool(job["is_poll_error"]) or (bool(job["is_test"]) and not options.count_test_jobs)


def job_usage(job, kind, context, options):
    """J-API, J-MCP: (metric, call_type, quantity); metric null when not counted. [A12, A13]"""
    if context not in ("api", "mcp") or kind not in API_TYPES:
        return None, None, 0
    if not is_finished(job) or is_no_execution(job, options) or job["status"] != "succeeded":
        return None, None, 0
    return ("mcp_calls", None, 1) if context == "mcp" else ("api_calls", CALL_TYPES[kind], 1)


# ------------------------------------------------------------------------------------------------- section 3: one step

CUSTOM_CONNECTOR = re.compile(r"(.+)_connector_\d+_\d+")


class Apps:
    """Eligibility by app, from apps.csv."""

    def __init__(self, path):
        with Path(path).open(encoding="utf-8", newline="") as file:
            self.apps = {row["adapter_name"]: row for row in csv.DictReader(file)}

    def of(self, adapter):
        """(app, ruling); ruling: eligible, ineligible, unruled, unknown. None for a control step without adapter."""
        if adapter is None:
            return None, None
        if adapter in self.apps:
            row = self.apps[adapter]
            ruling = {"true": "eligible", "false": "ineligible", "": "unruled"}[row["business_action_eligible"]]
            return row["base_adapter_name"], ruling
        if CUSTOM_CONNECTOR.fullmatch(adapter):
            return adapter, "eligible"
        if adapter.endswith("_secondary"):  # a second connection of the same app folds onto it [A14]
            return self.of(adapter.removesuffix("_secondary"))
        if adapter.startswith("workato_"):  # S-UNKNOWN: a native app without a ruling
            return adapter, "unruled"
        return adapter, "unknown"

    def name_of(self, app):
        """An app's name: as listed; a custom connector's slug, spaced and capitalised; else its adapter name. [A48]"""
        if app in self.apps:
            return self.apps[app]["app_name"]
        if custom := CUSTOM_CONNECTOR.fullmatch(app):
            slug = custom[1].replace("_", " ")
            return slug[0].upper() + slug[1:]
        return app


def decide_step(step, job, context, ruling, options):
    """(rule_id, metric, quantity, is_default_applied): the first rule that applies decides."""
    kind = step_kind(step)
    operation = (step["adapter_name"], step["adapter_operation"])
    if not is_finished(job):
        return "S-PENDING", None, 0, False
    if is_no_execution(job, options):
        return "S-TEST", None, 0, False
    if kind == "control":
        return "S-CONTROL", None, 0, False
    if step["status"] == "skipped":
        return "S-SKIPPED", None, 0, False
    if not step_succeeded(step):
        return "S-FAILED", None, 0, False
    if operation in (("workato_idp", "process_document"), ("workato_idp", "classify_document")):
        return "S-PAGES", "pages_processed", step["page_count"] or 0, False
    if operation == ("workato_pub_sub", "publish_to_topic"):
        return "S-EVENT", "events_processed", 1, False
    if operation == ("workato_pub_sub", "publish_to_topic_batch"):
        return "S-EVENT-BATCH", "events_processed", step["message_count"] or 0, False
    if step["adapter_name"] == "workato_pub_sub":
        return "S-CONSUMED", None, 0, False
    if context == "api":
        return "S-API", None, 0, False
    if context == "mcp":
        return "S-MCP", None, 0, False
    if context == "agent":
        return "S-AGENT", None, 0, False
    if context == "continuation":
        return "S-CONTINUES", None, 0, False
    if ruling == "ineligible":
        return "S-INELIGIBLE", None, 0, False
    if ruling == "unruled":
        return (
            ("S-UNRULED", "business_actions", 1, True)
            if options.unruled_app_is_eligible
            else ("S-UNRULED", None, 0, True)
        )
    if ruling == "unknown":
        return (
            ("S-UNKNOWN", "business_actions", 1, True)
            if options.unknown_app_is_eligible
            else ("S-UNKNOWN", None, 0, True)
        )
    return "S-ACTION", "business_actions", 1, False


TASKS_START = date(2020, 10, 1)


def step_tasks(step, rule_id, day, options):
    """(tasks, the rule that says so): the rule is that of the step's kind, whether it succeeded or not [A15e]."""
    kind = step_kind(step)
    if kind == "control":
        task_rule, worth = "T-CONTROL", 0
    elif kind == "trigger":
        task_rule, worth = "T-TRIGGER", 1 if options.task_terms == "T1" else 0
    elif (step["adapter_name"], step["adapter_operation"]) in SYNCHRONOUS_CALLS | ASYNCHRONOUS_CALLS:
        task_rule, worth = "T-CALL", 0 if options.task_terms == "T1" else 1
    else:
        task_rule, worth = "T-ACTION", 1
    if worth and day < TASKS_START:  # [A15]
        task_rule, worth = "T-START", 0
    if rule_id in ("S-PENDING", "S-TEST") or not step_succeeded(step):  # T-ACTION, last sentence
        worth = 0
    return worth, task_rule


# -------------------------------------------------------------------------------------- section 5: work that is no job


def passed_the_gateway(request):
    """Whether the gateway let the request through, and no internal error occurred."""
    # "set when the gateway refused" [A16]; 0 and 2xx refuse nothing
    let_through = not request["gateway_code"] or bool(
        re.fullmatch(r"(0|2\d\d)(\.0*)?", request["gateway_code"].strip())
    )
    return let_through and not request["internal_error"]


def decide_request(request, is_mcp_collection):
    """(rule_id, metric, call_type, quantity, tasks, rule of the tasks but for T-START) of an API request."""
    if request["job_id"] is not None:
        return "R-JOB", None, None, 0, 0, None
    task_rule = "T-PROXY" if request["request_type"] in ("proxy", "proxy_transformation") else None
    counts = passed_the_gateway(request)
    rule = "R-MCP" if is_mcp_collection else "R-PROXY"
    if not counts:
        return rule, None, None, 0, 0, task_rule
    tasks = 1 if task_rule else 0
    if is_mcp_collection:
        return rule, "mcp_calls", None, 1, tasks, task_rule
    return rule, "api_calls", request["request_type"], 1, tasks, task_rule


def decide_publish(request):
    if request["status"] != "succeeded":
        return "R-PUBLISH", None, 0
    if request["endpoint"] == "publish":
        return "R-PUBLISH", "events_processed", 1
    if request["endpoint"] == "batch_publish":
        return "R-PUBLISH", "events_processed", request["message_count"]
    return "R-PUBLISH", None, 0


def decide_prompt(prompt):
    if prompt["status"] in (None, "succeeded"):
        return "R-PROMPT", "genie_actions", 1
    return "R-PROMPT", None, 0


CAPABILITIES = {
    "business_actions": "workflows",
    "api_calls": "api_platform",
    "pages_processed": "idp",
    "events_processed": "event_streams",
    "mcp_calls": "mcp",
    "genie_actions": "agent_studio",
    "go_seats": "workato_go",
    "workflow_app_seats": "workflow_apps",
    "tasks": "tasks",
}
SEAT_METRICS = {"workato_go": "go_seats", "workflow_apps": "workflow_app_seats"}
SEAT_RULES = {"workato_go": "R-GO", "workflow_apps": "R-APPSEAT"}


# ------------------------------------------------------------------------------------------------------------- compute


def compute(world, options=None, apps_csv=APPS_CSV, with_marts=True) -> Result:
    """Decide every unit of the world and add it up; ``apps_csv`` has the columns of APPS_CSV.

    ``with_marts``: False leaves out all but the decisions, ``work`` and the quarantine.
    """
    options = options or Options()
    zone = ZoneInfo(options.reporting_timezone)
    apps = Apps(apps_csv)
    result = Result()
    rows = read_extracts(world, zone, result, timedelta(days=options.unconfirmed_after_days))
    tolerance = timedelta(hours=options.listing_tolerance_hours)
    for extract, key in LISTING_KEYS.items():
        rows[extract] = as_listed(rows[extract], key, tolerance)

    def local_date(moment):  # G12
        return moment.astimezone(zone).date()

    for extract in TERM_KEYS:
        rows[extract] = terms_in_force(extract, rows[extract], tolerance, local_date)

    # "As of" is the newest extract, never the clock, unless given. [A17]
    if options.as_of_date:
        result.as_of = date.fromisoformat(str(options.as_of_date))
    elif result.newest_extract:
        result.as_of = local_date(result.newest_extract)

    # ---- G9: one job per customer and job id, whole, with its own steps
    deliveries, all_steps = defaultdict(list), defaultdict(list)
    for job in distinct(rows["jobs"]):
        deliveries[job["account_id"], job["id"]].append(job)
    for step in distinct(rows["steps"]):
        all_steps[step["account_id"], step["job_id"]].append(step)
    jobs = {key: latest_delivery_of(deliveries[key]) for key in sorted(deliveries)}
    steps_by_job = {key: steps_of_delivery(job, deliveries[key], all_steps[key]) for key, job in jobs.items()}
    result.deliveries = {("jobs", *key): [job, *steps_by_job[key]] for key, job in jobs.items()}
    result.subscriptions, result.credit_ratios = rows["subscriptions"], rows["credit_ratios"]

    # ---- section 4
    recipes = latest(rows["recipes"], lambda r: (r["user_id"], r["id"]))
    types = {
        key: recipe_type_of(recipes.get((key[0], job["recipe_id"])), steps_by_job[key]) for key, job in jobs.items()
    }

    collections = latest(rows["api_collections"], lambda r: (r["account_id"], r["id"]))

    def is_mcp_collection(account, collection):
        row = collections.get((account, collection))  # [A6]
        return row is not None and row["is_mcp_server"]

    requests = latest(rows["api_requests"], lambda r: (r["account_id"], r["id"]))
    mcp_jobs = {
        (r["account_id"], r["job_id"])
        for r in requests.values()
        if r["job_id"] is not None and is_mcp_collection(r["account_id"], r["api_collection_id"])
    }

    contexts = billing_contexts(jobs, steps_by_job, types, mcp_jobs, recipes, result)
    result.asset_contexts = contexts_by_asset(jobs, steps_by_job, types, mcp_jobs, recipes)

    usage = Counter()  # (customer, date, environment, recipe, metric, call_type) -> quantity

    def use(customer, day, environment, recipe, metric, call_type, quantity):
        if quantity:
            usage[customer, day, environment, recipe, metric, call_type] += quantity

    # Section 10: what is compared with the vendor's figures
    result.work = work = reconciliation.Work(newest_extract=newest_work(rows))
    under_vendor_terms = replace(options, task_terms=options.vendor_task_terms or options.task_terms)

    def work_done(account, at, **quantities):
        units = (reconciliation.Unit(account, at, metric, n) for metric, n in quantities.items() if n)
        work.units.extend(units)

    # G13: the partner's own workspaces are metered, but are in no customer figure
    admins = {str(a) for a in options.admin_account_ids}

    for key, job in jobs.items():
        account, job_id = key
        context, context_rule = contexts[key]
        usage_date = local_date(job["completed_at"]) if is_finished(job) else None  # [A18]
        metric, call_type, quantity = job_usage(job, types[key], context, options)
        result.metered_jobs.append(
            {
                "customer_id": account,
                "is_admin": account in admins,
                "job_id": job_id,
                "recipe_id": job["recipe_id"],
                "recipe_type": types[key],
                "billing_context": context,
                "context_rule_id": context_rule,
                "rule_id": "G10" if not is_finished(job) else "G11" if is_no_execution(job, options) else context_rule,
                "metric": metric,
                "call_type": call_type,
                "quantity": quantity,
                "status": job["status"],
                "is_repeat": bool(job["is_repeat"]),
                "is_test": bool(job["is_test"]),
                "usage_date": usage_date,
            }
        )
        use(account, usage_date, job["environment_type"], job["recipe_id"], metric, call_type, quantity)
        is_counted = is_finished(job) and not is_no_execution(job, options)
        if metric:
            work_done(account, job["completed_at"], **{metric: quantity})
        if is_counted and job["status"] in ("succeeded", "failed"):
            work_done(account, job["completed_at"], **{f"jobs_{job['status']}": 1})

        reconciled_steps = []
        for step in steps_by_job[key]:
            app, ruling = apps.of(step["adapter_name"])
            rule_id, metric, quantity, is_default = decide_step(step, job, context, ruling, options)
            tasks, task_rule = step_tasks(step, rule_id, usage_date or local_date(job["started_at"]), options)
            lacks_count = (rule_id == "S-PAGES" and step["page_count"] is None) or (
                rule_id == "S-EVENT-BATCH" and step["message_count"] is None
            )
            if lacks_count:
                result.flags.append(("count missing", account, job_id))
            vendor_tasks, _ = step_tasks(step, rule_id, usage_date or local_date(job["started_at"]), under_vendor_terms)
            reconciled_steps.append(
                reconciliation.Step(tasks, vendor_tasks, metric, quantity, is_default, metric if lacks_count else None)
            )
            if is_counted:
                work_done(account, job["completed_at"], tasks=tasks, **({metric: quantity} if metric else {}))
            result.metered_steps.append(
                {
                    "account_id": account,
                    "is_admin": account in admins,
                    "job_id": job_id,
                    "line_index": step["line_index"],
                    "recipe_id": job["recipe_id"],
                    "usage_date": usage_date,
                    "adapter_name": step["adapter_name"],
                    "app": app,
                    "operation": step["adapter_operation"],
                    "step_kind": step_kind(step),
                    "billing_context": context,
                    "metric": metric,
                    "quantity": quantity,
                    "tasks": tasks,
                    "task_rule_id": task_rule,
                    "rule_id": rule_id,
                    "is_default_applied": is_default,
                }
            )
            use(account, usage_date, job["environment_type"], job["recipe_id"], metric, None, quantity)
            use(account, usage_date, job["environment_type"], job["recipe_id"], "tasks", None, tasks)
        work.jobs.append(
            reconciliation.Job(
                account=account,
                id=job_id,
                at=job["completed_at"],
                is_counted=is_counted,
                is_canceled_or_poll_error=is_finished(job) and (job["status"] == "canceled" or job["is_poll_error"]),
                action_count=job["action_count"],
                steps=tuple(reconciled_steps),
            )
        )

    # ---- section 5
    def metered_request(kind, row, usage_date, rule_id, metric, call_type, quantity, tasks=0, task_rule=None):
        result.deliveries[kind, row["account_id"], row["id"]] = [row]
        if task_rule and usage_date < TASKS_START:
            tasks, task_rule = 0, "T-START"
        result.metered_requests.append(
            {
                "extract_name": kind,
                "customer_id": row["account_id"],
                "is_admin": row["account_id"] in admins,
                "request_id": row["id"],
                "metric": metric,
                "call_type": call_type,
                "quantity": quantity,
                "tasks": tasks,
                "task_rule_id": task_rule,
                "rule_id": rule_id,
                "usage_date": usage_date,
            }
        )
        recipe_id = row.get("recipe_id")
        use(row["account_id"], usage_date, None, recipe_id, metric, call_type, quantity)
        use(row["account_id"], usage_date, None, recipe_id, "tasks", None, tasks)
        at = row["sent_at"] if kind == "genie_prompts" else row["requested_at"]
        work_done(row["account_id"], at, tasks=tasks, **({metric: quantity} if metric else {}))

    for _, r in sorted(requests.items()):
        decision = decide_request(r, is_mcp_collection(r["account_id"], r["api_collection_id"]))
        usage_date = local_date(r["requested_at"])
        if r["job_id"] is not None:
            job = jobs.get((r["account_id"], r["job_id"]))
            if job is None:
                result.flags.append(("request without its job", r["account_id"], r["id"]))
            else:  # [A18]
                usage_date = local_date(job["completed_at"]) if is_finished(job) else None
            if passed_the_gateway(r) and (job is None or not is_finished(job)):  # B-REQUEST
                is_mcp = is_mcp_collection(r["account_id"], r["api_collection_id"])
                work.waiting_requests.append(
                    reconciliation.WaitingRequest(
                        r["account_id"], r["requested_at"], "mcp_calls" if is_mcp else "api_calls"
                    )
                )
        metered_request("api_requests", r, usage_date, *decision)
    for _, r in sorted(latest(rows["event_stream_requests"], lambda r: (r["account_id"], r["id"])).items()):
        rule_id, metric, quantity = decide_publish(r)
        metered_request("event_stream_requests", r, local_date(r["requested_at"]), rule_id, metric, None, quantity)
    for _, r in sorted(latest(rows["genie_prompts"], lambda r: (r["account_id"], r["id"])).items()):
        rule_id, metric, quantity = decide_prompt(r)
        metered_request("genie_prompts", r, local_date(r["sent_at"]), rule_id, metric, None, quantity)

    if not with_marts:
        return result

    # R-GO, R-APPSEAT: in force on the day, overlapping orders add up, until effective_to or the as-of date
    seats = Counter()  # (customer, product, date)
    if result.as_of is not None:
        for order in rows["seats"]:
            day = order["effective_from"]
            while day <= result.as_of and (order["effective_to"] is None or day < order["effective_to"]):
                seats[order["account_id"], order["product"], day] += order["seats"]
                day += timedelta(days=1)
    for (account, product, day), quantity in seats.items():
        metric = SEAT_METRICS[product]
        result.metered_seats.append(
            {
                "customer_id": account,
                "is_admin": account in admins,
                "usage_date": day,
                "product": product,
                "metric": metric,
                "quantity": quantity,
                "rule_id": SEAT_RULES[product],
            }
        )
        use(account, day, None, None, metric, None, quantity)

    # ---- usage_by_capability
    for (customer, day, environment, recipe, metric, call_type), quantity in usage.items():
        if customer not in admins and result.as_of is not None and day <= result.as_of:  # [A17]
            result.usage_by_capability.append(
                {
                    "customer_id": customer,
                    "usage_date": day,
                    "environment_type": environment,
                    "recipe_id": recipe,
                    "capability": CAPABILITIES[metric],
                    "metric": metric,
                    "call_type": call_type,
                    "quantity": quantity,
                }
            )

    if result.as_of is not None:
        monthly(result, rows, jobs, local_date, admins, options)

        # ---- section 6
        recommended = one_per(lambda r: r["recipe_id"], rows["recommended_recipes"])
        executed = [job for job in jobs.values() if is_finished(job) and not is_no_execution(job, options)]
        add_tab(
            result,
            listed={extract: rows[extract] for extract in ("customers", "recipes", "connections")},
            customers=latest(rows["customers"], lambda r: r["id"]),
            recipes=recipes,
            recommended={row["recipe_id"]: row for row in recommended},
            executed=[(job["account_id"], job["completed_at"]) for job in executed],  # [A45]
            apps=apps,
            zone=zone,
            admins=admins,
        )

        # ---- section 10
        reconciliation.add_reconciliation(
            result,
            work,
            reconciliation.figures_of(rows["vendor_usage"], row_as_text),
            zone,
            ZoneInfo(options.vendor_timezone or options.reporting_timezone),
            admins,
        )
    return result


def newest_work(rows):
    """B-NOT-YET: the newest extracted_at of jobs, job_history, requests, publishes and prompts, of all accounts."""
    extracts = ("jobs", "api_requests", "event_stream_requests", "genie_prompts")  # streamed jobs are among the jobs
    return max((row["extracted_at"] for extract in extracts for row in rows[extract]), default=None)


# -------------------------------------------------------------------------------------------------- months and credits


def seat_peaks(usage):
    """(customer, metric, month) -> (quantity, its first day): seats are a level, the month's is the peak."""
    seats_on = Counter()
    for row in usage:
        if row["metric"] in SEAT_METRICS.values():
            seats_on[row["customer_id"], row["metric"], row["usage_date"]] += row["quantity"]
    peaks = {}
    for (customer, metric, day), quantity in sorted(seats_on.items()):
        best = peaks.get((customer, metric, month_of(day)))
        if best is None or quantity > best[0]:
            peaks[customer, metric, month_of(day)] = (quantity, day)
    return peaks


def monthly(result, rows, jobs, local_date, admins, options):
    customers = latest(rows["customers"], lambda r: r["id"])
    sums = Counter()  # (customer, month, column) -> quantity
    first = {}  # customer -> first day of its spine

    def begins(customer, day):
        first[customer] = min(day, first.get(customer, day))

    for row in result.usage_by_capability:
        customer, day, metric, call_type = row["customer_id"], row["usage_date"], row["metric"], row["call_type"]
        begins(customer, day)
        if metric in SEAT_METRICS.values():
            continue
        sums[customer, month_of(day), metric] += row["quantity"]
        if metric == "api_calls":  # proxy_api_calls holds both proxy types [A23]
            sums[customer, month_of(day), "managed_api_calls" if call_type == "managed" else "proxy_api_calls"] += row[
                "quantity"
            ]
    for (customer, metric, month), (quantity, _) in seat_peaks(result.usage_by_capability).items():
        sums[customer, month, metric] = quantity

    for (account, _), job in jobs.items():
        if account in admins or not is_finished(job) or is_no_execution(job, options):
            continue
        if job["status"] in ("succeeded", "failed"):
            day = local_date(job["completed_at"])
            if day > result.as_of:  # [A17]
                continue
            sums[account, month_of(day), "jobs_" + job["status"]] += 1
            begins(account, day)  # [A21]

    for customer, row in customers.items():
        if customer not in admins:
            begins(customer, local_date(row["created_at"]))

    # section 3 of the contract: the earliest completed job of any customer, in whatever state [A51]
    completed = [
        local_date(job["completed_at"])
        for (account, _), job in jobs.items()
        if account not in admins and is_finished(job)
    ]
    covered_from = min(completed, default=date.max)

    current = month_of(result.as_of)
    for customer in sorted(first):
        row = customers.get(customer, {})
        month = month_of(first[customer])
        while month <= current:
            result.monthly_customer_usage.append(
                {
                    "usage_month": month,
                    "customer_id": customer,
                    "external_id": row.get("external_id"),
                    "customer_name": row.get("name"),
                    "plan_id": row.get("plan_id"),
                    **{
                        c: sums[customer, month, c]
                        for c in (
                            "tasks",
                            "business_actions",
                            "api_calls",
                            "managed_api_calls",
                            "proxy_api_calls",
                            "pages_processed",
                            "events_processed",
                            "mcp_calls",
                            "genie_actions",
                            "go_seats",
                            "workflow_app_seats",
                        )
                    },
                    "credits": None,  # as is_fully_priced, of contracts.py
                    "is_fully_priced": None,
                    "jobs_succeeded": sums[customer, month, "jobs_succeeded"],
                    "jobs_failed": sums[customer, month, "jobs_failed"],
                    "failed_job_share": share_of(
                        sums[customer, month, "jobs_failed"],
                        sums[customer, month, "jobs_succeeded"] + sums[customer, month, "jobs_failed"],
                    ),
                    "is_current_month": month == current,
                    "is_covered": covered_from <= month,
                }
            )
            month = next_month(month)
