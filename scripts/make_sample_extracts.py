"""Write the sample extracts: a small invented world in which every counting rule decides something.

Run it from anywhere; it rewrites seeds/extracts/raw_<name>.csv, the same bytes every time:

    python scripts/make_sample_extracts.py

To change the world, change its story: each function below `Builders` tells one part of it, in
reading order, and adds rows through the builders (`customer`, `recipe`, `connection`, `job` ...).
A rule id (S-..., J-..., R-..., T-...) in a comment says which rule the rows are there for;
tests/sample_world.md lists what each story should come to.

How the world is laid out:
- It lasts from 2026-05 to 2026-11-18. Listings of customers, recipes and connections are taken at
  month ends from July on; a job is delivered at 04:00 UTC on the day after it completed.
- A recipe id is its customer's id and three digits, so `recipe_id // 1000` is the customer.
- Times without an offset are UTC here and are written with the offset of the customer's data
  centre. Times with an offset, and texts that are no times, are written as they stand.
- Company names, prices and volumes are invented; adapter and operation names are the platform's.
"""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

EXTRACTS_FOLDER = Path(__file__).resolve().parent.parent / "seeds" / "extracts"

COLUMNS = {
    extract: tuple(names.split())
    for extract, names in {
        "customers": """
            id external_id name plan_id in_trial subscription_expired created_at extracted_at""",
        "recipes": """
            id user_id name recipe_type trigger_application trigger_operation running created_at
            stopped_at last_run_at project_id project_name parent_id lifetime_task_count
            extracted_at""",
        "connections": """
            id user_id name provider authorization_status authorized_at created_at extracted_at""",
        "jobs": """
            id account_id environment_type recipe_id status is_repeat repeat_count master_job_id
            calling_job_id calling_recipe_id root_job_id root_recipe_id is_test is_poll_error
            started_at completed_at action_count error_type error extracted_at""",
        "steps": """
            account_id job_id line_index recipe_line_number adapter_name adapter_operation keyword
            status error page_count message_count called_recipe_id duration_seconds
            extracted_at""",
        "job_history": "record",
        "api_requests": """
            id account_id requested_at request_type api_collection_id recipe_id job_id http_status
            gateway_code internal_error extracted_at""",
        "api_collections": "id account_id name is_mcp_server extracted_at",
        "event_stream_requests": """
            id account_id requested_at endpoint message_count status extracted_at""",
        "genie_prompts": """
            id account_id genie_id conversation_id sender_type sent_at status extracted_at""",
        "seats": "id account_id product app_id seats effective_from effective_to extracted_at",
        "subscriptions": """
            account_id recipe_metric terms included_credits task_limit allowance_per unit_price currency
            billing_cycle_day effective_from effective_to extracted_at""",
        "credit_ratios": """
            metric call_type credits_per_unit effective_from effective_to account_id terms
            extracted_at""",
        "recommended_recipes": "recipe_id name recommended_from",
        "vendor_usage": """
            account_id usage_month tasks business_actions api_calls pages_processed events_processed
            mcp_calls genie_actions jobs_succeeded jobs_failed extracted_at""",
    }.items()
}

LISTING_DAYS = ("2026-07-31", "2026-08-31", "2026-09-30", "2026-10-31", "2026-11-18")
MONTHS = ("2026-05", "2026-06", "2026-07", "2026-08", "2026-09", "2026-10", "2026-11")
LAST_DAY_OF_NOVEMBER = 17  # the last day of which the newest extract holds whole jobs

# Customers, by what they are there for.
BIG = 1001
ON_TASKS = 1002
API_HEAVY = 1003
SMALL = 1004
TINY = 1005
IN_TRIAL = 1006
EXPIRED = 1007
EXAMPLES = 1008
DELETED = 1009
NEW = 1010
UNUSED = 1011
OLD = 1012
UNLISTED = 1099  # has usage; no listing knows it
ADMIN = 999000001  # the partner's own workspace; no platform account has such an id
FIRST_RECOMMENDED = ADMIN * 1000 + 101  # the first of the recipes that the partner recommends

DELETED_ON = {DELETED: "2026-09-17"}  # between two listings

# Offset in hours in summer and in winter, and when summer time ends in 2026 (UTC).
US_WEST = (-7, -8, datetime(2026, 11, 1, 9, tzinfo=UTC))
EUROPE = (2, 1, datetime(2026, 10, 25, 1, tzinfo=UTC))
EUROPEAN = {ON_TASKS, SMALL, DELETED, NEW}
ON_UTC = {EXAMPLES, ADMIN, UNLISTED}

# ----------------------------------------------------------------------------
# Builders
# ----------------------------------------------------------------------------

Step = dict[str, object]

world: dict[str, list[dict]] = {extract: [] for extract in COLUMNS}


def add(extract: str, **row: object) -> dict:
    """Add one row to an extract; what is not given is null."""
    if unknown := set(row) - set(COLUMNS[extract]):
        raise ValueError(f"{extract} has no column {sorted(unknown)}")
    world[extract].append(row)
    return row


def parsed(moment: str) -> datetime:
    """The moment in UTC; a text without an offset is UTC already."""
    time = datetime.fromisoformat(moment)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def written(moment: str | None, account_id: int) -> str | None:
    """The moment with its data centre's offset; what has an offset or is no time stays as it is."""
    try:
        time = datetime.fromisoformat(moment or "")
    except ValueError:
        return moment
    if time.tzinfo is not None:
        return moment
    time = time.replace(tzinfo=UTC)
    if account_id in ON_UTC:
        return time.isoformat()
    summer, winter, summer_ends = EUROPE if account_id in EUROPEAN else US_WEST
    hours = summer if time < summer_ends else winter
    return time.astimezone(timezone(timedelta(hours=hours))).isoformat()


def next_delivery(moment: str) -> str:
    """When the first delivery after this moment was extracted."""
    return f"{parsed(moment).date() + timedelta(days=1)}T04:00:00+00:00"


def listings(customer_id: int, created: str, deleted: str | None = None) -> Iterator[tuple[str, str]]:
    """Day and time of each listing that holds what was created and deleted on these days."""
    gone = min(filter(None, (deleted, DELETED_ON.get(customer_id))), default="9999")
    for day in LISTING_DAYS:
        if created <= day < gone:
            yield day, f"{day}T22:00:00+00:00"


def morning(day: str | None) -> str | None:
    return day and f"{day}T09:00:00+00:00"


def customer(
    customer_id: int,
    name: str,
    created: str,
    *,
    external_id: str | None = None,
    plan: str | None = None,
    in_trial: bool = False,
    expired: str | None = None,
) -> None:
    for day, extracted_at in listings(customer_id, created):
        add(
            "customers",
            id=customer_id,
            external_id=external_id,
            name=name,
            plan_id=plan,
            in_trial=in_trial,
            subscription_expired=expired is not None and expired <= day,
            created_at=morning(created),
            extracted_at=extracted_at,
        )


def recipe(
    recipe_id: int,
    name: str,
    trigger: Step,
    *,
    recipe_type: str | None = None,
    created: str = "2026-03-02",
    started: str | None = None,
    stopped: str | None = None,
    deleted: str | None = None,
    cloned_from: int | None = None,
    project: str | None = None,
) -> int:
    """A recipe that runs from the day it is started (when created, if not said) until stopped."""
    customer_id = recipe_id // 1000
    for day, extracted_at in listings(customer_id, created, deleted):
        is_stopped = stopped is not None and stopped <= day
        add(
            "recipes",
            id=recipe_id,
            user_id=customer_id,
            name=name,
            recipe_type=recipe_type,
            trigger_application=trigger["adapter_name"],
            trigger_operation=trigger["adapter_operation"],
            running=(started or created) <= day and not is_stopped,
            created_at=morning(created),
            stopped_at=morning(stopped) if is_stopped else None,
            project_id=project and customer_id * 10,
            project_name=project,
            parent_id=cloned_from,
            extracted_at=extracted_at,
        )
    return recipe_id


def connection(
    connection_id: int,
    provider: str,
    name: str | None = None,
    *,
    created: str = "2026-02-16",
    authorized: str | None = "when created",
    status: str | None = "success",
    lost: str | None = None,
    deleted: str | None = None,
) -> None:
    """A connection of customer `connection_id // 1000`; once lost, its status is exception."""
    customer_id = connection_id // 1000
    for day, extracted_at in listings(customer_id, created, deleted):
        add(
            "connections",
            id=connection_id,
            user_id=customer_id,
            name=name or f"{provider} of {customer_id}",
            provider=provider,
            authorization_status="exception" if lost and lost <= day else status,
            authorized_at=morning(created if authorized == "when created" else authorized),
            created_at=morning(created),
            extracted_at=extracted_at,
        )


def step_row(account_id: int, job_id: str | None, index: object, step: Step, extracted: str) -> dict:
    return add(
        "steps",
        **{
            "account_id": account_id,
            "job_id": job_id,
            "line_index": index,
            "recipe_line_number": index,
            "status": "succeeded",
            "duration_seconds": 1,
            "extracted_at": extracted,
            **step,
        },
    )


def job(
    job_id: str | None,
    recipe_id: int,
    completed_at: str | None,
    *steps: Step,
    status: str | None = None,
    started_at: str | None = None,
    extracted_at: str | None = None,
    **columns: object,
) -> str | None:
    """One delivery of a job with its steps, by default the first one after it completed.

    Unless its status is given, a job failed when its last step did, and else succeeded.
    """
    account_id = recipe_id // 1000
    if status is None:
        status = "failed" if steps and steps[-1].get("status") == "failed" else "succeeded"
    if started_at is None:
        started_at = (parsed(completed_at) - timedelta(seconds=90)).replace(tzinfo=None).isoformat()
    extracted_at = extracted_at or next_delivery(completed_at)
    add(
        "jobs",
        **{
            "id": job_id,
            "account_id": account_id,
            "environment_type": "prod",
            "recipe_id": recipe_id,
            "status": status,
            "is_repeat": False,
            "is_test": False,
            "is_poll_error": False,
            "started_at": written(started_at, account_id),
            "completed_at": written(completed_at, account_id),
            "action_count": sum(s["keyword"] == "action" for s in steps),
            "error": next((s["error"] for s in steps if s.get("error")), None)
            if status in ("failed", "error")
            else None,
            "extracted_at": extracted_at,
            **columns,
        },
    )
    for index, step in enumerate(steps):
        step_row(account_id, job_id, index, step, extracted_at)
    return job_id


def called_by(caller_job: str) -> dict[str, object]:
    """The columns of a job that says which job, told before it, called it."""
    caller = next(row for row in reversed(world["jobs"]) if row["id"] == caller_job)
    return {
        "calling_job_id": caller_job,
        "calling_recipe_id": caller["recipe_id"],
        "root_job_id": caller.get("root_job_id") or caller_job,
        "root_recipe_id": caller.get("root_recipe_id") or caller["recipe_id"],
    }


def routine(
    recipe_id: int,
    steps: list[Step],
    per_month: tuple[int, ...],
    *,
    hour: int = 9,
    fails_every: int = 0,
    **columns: object,
) -> list[tuple[str, str]]:
    """Everyday jobs, spread over each month; in every so many of them the last step fails."""
    ran = []
    for month, count in zip(MONTHS, per_month, strict=True):
        days = LAST_DAY_OF_NOVEMBER if month == MONTHS[-1] else 28
        for nth in range(count):
            run = len(ran) + 1
            job_id = f"j-{recipe_id}-{run:02}"
            completed_at = f"{month}-{1 + nth * days // count:02}T{hour:02}:{run % 60:02}"
            fails = fails_every and run % fails_every == 0
            ending = failed(steps[-1]) if fails else steps[-1]
            job(job_id, recipe_id, completed_at, *steps[:-1], ending, **columns)
            ran.append((job_id, completed_at))
    return ran


def request(
    request_id: str | None,
    account_id: int,
    requested_at: str,
    *,
    request_type: str = "managed",
    http_status: int | None = 200,
    extracted_at: str | None = None,
    **columns: object,
) -> None:
    add(
        "api_requests",
        id=request_id,
        account_id=account_id,
        requested_at=written(requested_at, account_id),
        request_type=request_type,
        http_status=http_status,
        internal_error=columns.pop("internal_error", False),
        extracted_at=extracted_at or next_delivery(requested_at),
        **columns,
    )


def event_stream_request(
    request_id: str,
    account_id: int,
    requested_at: str,
    endpoint: str,
    messages: int = 1,
    status: str = "succeeded",
) -> None:
    add(
        "event_stream_requests",
        id=request_id,
        account_id=account_id,
        requested_at=written(requested_at, account_id),
        endpoint=endpoint,
        message_count=messages,
        status=status,
        extracted_at=next_delivery(requested_at),
    )


def prompt(
    prompt_id: str,
    account_id: int,
    sent_at: str,
    *,
    sender: str | None = "user",
    status: str | None = "succeeded",
    genie: str = "genie-1",
    extracted_at: str | None = None,
) -> None:
    add(
        "genie_prompts",
        id=prompt_id,
        account_id=account_id,
        genie_id=genie,
        conversation_id=f"conversation-{account_id}-{sent_at[:10]}",
        sender_type=sender,
        sent_at=written(sent_at, account_id),
        status=status,
        extracted_at=extracted_at or next_delivery(sent_at),
    )


# ----------------------------------------------------------------------------
# Steps
# ----------------------------------------------------------------------------


def trigger(adapter: str, operation: str | None = None, **columns: object) -> Step:
    return {
        "adapter_name": adapter,
        "adapter_operation": operation,
        "keyword": "trigger",
        **columns,
    }


def action(adapter: str, operation: str, **columns: object) -> Step:
    return {"adapter_name": adapter, "adapter_operation": operation, "keyword": "action", **columns}


def control(keyword: str | None, **columns: object) -> Step:
    return {"keyword": keyword, **columns}


def failed(step: Step, error: str = "503 Service unavailable") -> Step:
    return {**step, "status": "failed", "error": error}


def skipped(step: Step) -> Step:
    return {**step, "status": "skipped"}


def loop(body: list[Step], times: int, first_line: int) -> list[Step]:
    """The lines of a loop's body, once per iteration, each with the same recipe line numbers."""
    return [{**step, "recipe_line_number": first_line + line} for _ in range(times) for line, step in enumerate(body)]


def process_document(pages: int | None) -> Step:
    return action("workato_idp", "process_document", page_count=pages)


def classify_document(pages: int | None) -> Step:
    return action("workato_idp", "classify_document", page_count=pages)


def publish_batch(messages: int | None) -> Step:
    return action("workato_pub_sub", "publish_to_topic_batch", message_count=messages)


def call_function(recipe_id: int, *, wait: bool = True) -> Step:
    operation = "call_recipe" if wait else "call_recipe_async"
    return action("workato_recipe_function", operation, called_recipe_id=recipe_id)


def call_service(recipe_id: int, *, wait: bool = True) -> Step:
    operation = "call_service" if wait else "call_service_async"
    return action("workato_service", operation, called_recipe_id=recipe_id)


# Eligible apps.
NEW_ORDER = trigger("salesforce", "new_custom_object")
NEW_ISSUE = trigger("jira", "new_issue")
NEW_CONTACT = trigger("hubspot", "new_contact_v2")
UPDATE_RECORD = action("salesforce", "update_sobject")
SEARCH_RECORDS = action("salesforce", "search_sobjects")
DOWNLOAD_FILE = action("salesforce", "get_attachment_body")
ADD_INVOICE = action("netsuite", "add_object")
CREATE_ISSUE = action("jira", "create_issue")
CREATE_DEAL = action("hubspot", "create_deal")
POST_MESSAGE = action("slack", "post_message_to_channel")
SEND_MAIL = action("email", "send_mail")
PARSE_CSV = action("csv_parser", "parse_csv")
PARSE_JSON = action("json_parser", "parse_json_v2")
RUN_PYTHON = action("py_eval", "invoke_custom_py_code")
# Apps that are not eligible.
ON_SCHEDULE = trigger("clock", "scheduled_event")
LOG = action("logger", "log_message")
SET_VARIABLE = action("workato_variable", "declare_variable")
LOOK_UP = action("lookup_table", "get_entry")
ADD_TABLE_ROW = action("workato_db_table", "add_record")
# The platform's own ways in and out of a recipe.
API_REQUEST = trigger("workato_api_platform", "receive_request")
API_RESPONSE = action("workato_api_platform", "return_response")
PROXY_REQUEST = trigger("workato_api_proxy", "receive_request")
FORWARD_REQUEST = action("workato_api_proxy", "forward_request")
PROXY_RESPONSE = action("workato_api_proxy", "return_response")
FUNCTION_START = trigger("workato_recipe_function", "execute")
FUNCTION_RESULT = action("workato_recipe_function", "return_result")
SERVICE_START = trigger("workato_service", "receive_request")
SERVICE_REPLY = action("workato_service", "send_reply")
SKILL_START = trigger("workato_genie", "start_workflow")
SKILL_RESULT = action("workato_genie", "workflow_return_result")
NEW_SKILL_START = trigger("workato_skill", "start_workflow")
NEW_SKILL_RESULT = action("workato_skill", "workflow_return_result")
MESSAGE_RECEIVED = trigger("workato_pub_sub", "subscribe_to_topic")
BATCH_RECEIVED = trigger("workato_pub_sub", "batch_subscribe_to_topic")
PUBLISH = action("workato_pub_sub", "publish_to_topic")
# Connectors that the rule book does not list.
CUSTOM_CONNECTOR = "route_planner_connector_48211_1716371004"
UNKNOWN_APP = "fleetwise_telematics"

# ----------------------------------------------------------------------------
# Who there is
# ----------------------------------------------------------------------------


def customers() -> None:
    customer(BIG, "Harbourline Logistics", "2024-02-12", external_id="HL-001", plan="enterprise")
    customer(ON_TASKS, "Bramblewood Foods", "2024-09-03", external_id="BF-002", plan="tasks-2023")
    customer(API_HEAVY, "Kestrel Mutual Insurance", "2025-01-20", external_id="KM-003", plan="growth")
    customer(SMALL, "Alder & Finch Consulting", "2025-06-11", plan="starter")
    # Nothing in a name may break a file, a page or a query.
    tricky_name = 'O\'Rourke, "Blake" & Søn 🦊; drop table customers; --'
    customer(TINY, tricky_name, "2025-10-30", external_id='E,"5"', plan="starter")
    customer(IN_TRIAL, "Tidewater Clinics", "2026-07-06", plan="trial", in_trial=True)
    customer(EXPIRED, "Quarry & Sons Builders", "2024-11-18", plan="starter", expired="2026-08-15")
    customer(EXAMPLES, "Published Examples Ltd", "2026-07-20")
    customer(DELETED, "Foxglove Travel", "2025-03-05", external_id="FT-009", plan="starter")
    customer(NEW, "Meridian Robotics", "2026-09-01", external_id="MR-010", plan="growth")
    customer(UNUSED, "Sleepy Hollow Books", "2025-12-01", plan="starter")
    customer(OLD, "Ferrous Steelworks", "2019-11-04", external_id="FS-012", plan="enterprise")

    # One listing holds a customer twice, and two rows that cannot be read.
    world["customers"].append(dict(world["customers"][0]))
    listed_at = "2026-08-31T22:00:00+00:00"
    add(
        "customers",
        name="Nameless Holdings",
        created_at=morning("2026-08-01"),
        extracted_at=listed_at,
    )
    add("customers", id=1013, name="Undated Ltd", created_at="last spring", extracted_at=listed_at)


def subscriptions() -> None:
    def term(account_id: object, recipe_metric: str | None, start: str, end: str | None = None, **more: object) -> None:
        row = {
            "account_id": account_id,
            "recipe_metric": recipe_metric,
            "billing_cycle_day": 1,
            "effective_from": start,
            "effective_to": end,
        }
        add("subscriptions", **row | more)

    # INVENTED prices, in several currencies; a cycle from the 15th on; an allowance for the whole term.
    term(BIG, "business_actions", "2025-01-01", included_credits=6000, unit_price="0.02", currency="EUR")
    term(ON_TASKS, "tasks", "2024-10-01", task_limit=150, unit_price="0.0125", currency="USD")
    term(API_HEAVY, "business_actions", "2025-02-01", included_credits=1200, billing_cycle_day=15)
    term(SMALL, "business_actions", "2025-07-01", included_credits=100, unit_price="3", currency="JPY")
    term(TINY, "business_actions", "2025-11-01", included_credits=100)
    term(EXPIRED, "business_actions", "2024-12-01", "2026-08-15", included_credits=100)
    term(DELETED, "tasks", "2025-04-01", task_limit=50)
    term(NEW, "business_actions", "2026-09-01", included_credits=500, allowance_per="term")
    # An old customer that changed from tasks to business actions.
    term(OLD, "tasks", "2019-12-01", "2026-09-01", task_limit=50)
    term(OLD, "business_actions", "2026-09-01", included_credits=300)
    # The partner's own contract, on the newest terms.
    own = {"terms": "credits_2026", "included_credits": 2000, "unit_price": "0.015", "currency": "EUR"}
    term("*", None, "2026-10-01", **own)


def seats() -> None:
    def order(order_id: str, account_id: int, product: str, count: object, *terms: str, **columns: object) -> None:
        start, end = (*terms, None)[:2]
        add(
            "seats",
            id=order_id,
            account_id=account_id,
            product=product,
            seats=count,
            effective_from=start,
            effective_to=end,
            **columns,
        )

    # R-GO: 50 seats stay, 20 more for two months: 70 at the peak, also in the months of the edges.
    order("seat-go-1", BIG, "workato_go", 50, "2026-05-01")
    order("seat-go-2", BIG, "workato_go", 20, "2026-08-15", "2026-10-15")
    # R-GO: ended before August; of a customer no longer listed; not in force yet.
    order("seat-go-3", EXPIRED, "workato_go", 8, "2026-03-01", "2026-08-01")
    order("seat-go-4", DELETED, "workato_go", 5, "2026-06-01")
    order("seat-go-5", ON_TASKS, "workato_go", 15, "2026-12-01")
    # R-APPSEAT: two orders that overlap, one open and one ended.
    order("seat-app-1", BIG, "workflow_apps", 30, "2026-06-10", app_id=77)
    order("seat-app-2", BIG, "workflow_apps", 10, "2026-07-01", "2026-09-01", app_id=78)
    order("seat-app-3", SMALL, "workflow_apps", 4, "2026-09-20", app_id=81)
    # An order delivered twice, and one that cannot be read.
    order("seat-app-3", SMALL, "workflow_apps", 4, "2026-09-20", app_id=81)
    order("seat-app-4", SMALL, "workflow_apps", "a dozen", "2026-10-01", app_id=81)


def credit_ratios() -> None:
    """INVENTED ratios: the real ones are in each partner's contract and are not published."""

    def ratio(metric: str, credits: str, start: str, end: str | None = None, call_type: str | None = None) -> None:
        add(
            "credit_ratios",
            metric=metric,
            call_type=call_type,
            credits_per_unit=credits,
            effective_from=start,
            effective_to=end,
        )

    ratio("business_actions", "1.00", "2020-01-01", "2026-09-01")
    ratio("business_actions", "0.90", "2026-09-01")  # a new price from a month's first day
    ratio("tasks", "0.80", "2020-01-01")
    ratio("workflow_tasks", "0.85", "2020-01-01")
    ratio("api_calls", "0.50", "2020-01-01", call_type="managed")
    ratio("api_calls", "0.10", "2020-01-01", call_type="proxy")
    ratio("api_calls", "0.20", "2020-01-01", call_type="proxy_transformation")
    ratio("pages_processed", "2.00", "2020-01-01")
    ratio("events_processed", "0.05", "2020-01-01")
    ratio("mcp_calls", "0.40", "2020-01-01")
    ratio("genie_actions", "5.00", "2026-10-01")  # prompts before October have no price: a visible gap
    ratio("go_seats", "20.00", "2020-01-01")
    ratio("workflow_app_seats", "8.00", "2020-01-01")


def connections() -> None:
    # (first created first; ids count up within the customer)
    held = {
        BIG: "salesforce netsuite slack jira docusign amazon_s3 snowflake sftp workday",
        ON_TASKS: "salesforce quickbooks slack shopify google_sheets",
        API_HEAVY: "salesforce postgresql slack jira snowflake docusign",
        SMALL: "hubspot slack google_sheets",
        TINY: "hubspot quickbooks",
        IN_TRIAL: "salesforce",
        EXPIRED: "quickbooks",
        DELETED: "salesforce stripe",
        OLD: "netsuite sap sftp",
        ADMIN: "salesforce slack jira",  # never counted: the partner's own
    }
    created = {IN_TRIAL: "2026-07-08"}
    for customer_id, providers in held.items():
        for nth, provider in enumerate(providers.split(), start=1):
            connection(customer_id * 1000 + nth, provider, created=created.get(customer_id, "2026-02-16"))
    for nth, provider in enumerate(["salesforce", "hubspot", "slack", "netsuite"], start=1):
        connection(NEW * 1000 + nth, provider, created=f"2026-09-{9 + nth:02}")
    # Growth before the first listing, which is reconstructed, and after it.
    connection(BIG * 1000 + 20, "hubspot", created="2026-06-15")
    connection(API_HEAVY * 1000 + 20, "zendesk", created="2026-08-12")
    connection(SMALL * 1000 + 20, "jira", created="2026-10-07")
    # Two connections of one app; a custom connector; an app that the rule book does not list.
    connection(BIG * 1000 + 21, "salesforce_secondary", "Salesforce, the sandbox")
    connection(ON_TASKS * 1000 + 21, "slack_secondary", 'Slack "escalations"')
    connection(BIG * 1000 + 22, CUSTOM_CONNECTOR)
    connection(ON_TASKS * 1000 + 22, CUSTOM_CONNECTOR)
    connection(SMALL * 1000 + 22, UNKNOWN_APP)
    # Every authorization status: failed, exception, none; authorized late; lost; deleted.
    connection(BIG * 1000 + 30, "netsuite", status="failed", authorized=None)
    connection(BIG * 1000 + 31, "zuora", status="exception", authorized="2026-03-01")
    connection(SMALL * 1000 + 30, "xero", status=None, authorized=None)
    connection(TINY * 1000 + 30, "slack", created="2026-05-05", authorized="2026-07-10")
    connection(OLD * 1000 + 30, "snowflake", lost="2026-09-20")
    connection(API_HEAVY * 1000 + 30, "stripe", deleted="2026-10-10")
    # One row that cannot be read.
    extracted_at = "2026-10-31T22:00:00+00:00"
    add(
        "connections",
        id=1004031,
        user_id=SMALL,
        provider="asana",
        created_at="31st of last month",
        extracted_at=extracted_at,
    )


def api_collections() -> None:
    def collection(collection_id: int, name: str, *, mcp_from: str | None = None) -> None:
        account_id = collection_id // 1000
        for day, extracted_at in listings(account_id, "2026-07-20"):
            add(
                "api_collections",
                id=collection_id,
                account_id=account_id,
                name=name,
                is_mcp_server=mcp_from is not None and mcp_from <= day,
                extracted_at=extracted_at,
            )

    collection(API_HEAVY * 1000 + 501, "Quotes")
    collection(API_HEAVY * 1000 + 502, "Claims for assistants", mcp_from="2026-01-01")
    # R-MCP: the newest listing says what is an MCP collection, for earlier requests too.
    collection(API_HEAVY * 1000 + 503, "Policies", mcp_from="2026-10-05")
    collection(EXAMPLES * 1000 + 501, "Examples")
    collection(EXAMPLES * 1000 + 502, "Examples as an MCP server", mcp_from="2026-01-01")


QUOTES_API = API_HEAVY * 1000 + 501
CLAIMS_MCP = API_HEAVY * 1000 + 502
POLICIES_API = API_HEAVY * 1000 + 503
EXAMPLES_API = EXAMPLES * 1000 + 501
EXAMPLES_MCP = EXAMPLES * 1000 + 502


def recommended_recipes() -> None:
    """Recipes that the partner recommends (TAB-CLONES), and what customers made of them."""
    first = FIRST_RECOMMENDED
    names = [
        "Orders to invoices",
        "New hire to accounts",
        "Tickets to issues",
        "Leads to chat",
        "Files to warehouse",
        "Invoices to ledger",
        "Nobody cloned this",
    ]
    recommended = dict(enumerate(names, start=first))
    for recipe_id, name in recommended.items():
        recipe(recipe_id, name, NEW_ORDER, created="2025-02-03")
        start = None if recipe_id == first + 5 else "2025-02-10"
        add("recommended_recipes", recipe_id=recipe_id, name=name, recommended_from=start)

    def clones(original: int, *recipe_ids: int) -> None:
        for recipe_id in recipe_ids:
            recipe(
                recipe_id,
                recommended[original],
                NEW_ORDER,
                cloned_from=original,
                created="2026-07-10",
                started="2026-12-31",
            )

    # 6 clones (the sixth is 1001001, in `everyday_usage`), 4, 3, 2, 2 and 1.
    clones(first, 1001801, 1002801, 1003801, 1004801, 1005801)
    clones(first + 1, 1001802, 1001803, 1002802, 1012801)
    clones(first + 2, 1003802, 1004802)
    clones(first + 3, 1001804, 1006801)
    clones(first + 4, 1002803, 1009801)  # one of a customer that is deleted: still counts
    clones(first + 5, 1012802)
    # A clone that is deleted still counts; a clone of a clone and the partner's own do not.
    recipe(1003803, "Tickets to issues, old", NEW_ISSUE, cloned_from=first + 2, deleted="2026-09-08")
    recipe(1004803, "Orders to invoices (copy)", NEW_ORDER, cloned_from=1004801, created="2026-08-03")
    recipe(first + 7, "Orders to invoices, draft", NEW_ORDER, cloned_from=first)


def recipes_that_come_and_go() -> None:
    """TAB-RECIPES: what is active at each month's end."""
    first = SMALL * 1000 + 10
    recipe(first, "Stopped before the first listing", NEW_ISSUE, stopped="2026-06-20")
    recipe(first + 1, "Stopped in September", NEW_ISSUE, stopped="2026-09-14")
    recipe(first + 2, "Started in September", NEW_ISSUE, created="2026-08-10", started="2026-09-05")
    recipe(first + 3, "Deleted in October", NEW_ISSUE, deleted="2026-10-12")
    recipe(first + 4, "Never started", NEW_ISSUE, started="2026-12-31")
    recipe(first + 5, 'Names, "quotes" and 🦊\'; drop table recipes; --', NEW_ISSUE)
    # One row without an id.
    add(
        "recipes",
        user_id=SMALL,
        name="No id",
        running=True,
        trigger_application="jira",
        created_at=morning("2026-08-20"),
        extracted_at="2026-08-31T22:00:00+00:00",
    )


# ----------------------------------------------------------------------------
# Everyday usage
# ----------------------------------------------------------------------------


def everyday_usage() -> None:
    big, tasks, api = BIG * 1000, ON_TASKS * 1000, API_HEAVY * 1000

    # Harbourline: the big one, growing.
    orders = recipe(big + 1, "Orders to invoices", NEW_ORDER, project="Order to cash", cloned_from=FIRST_RECOMMENDED)
    routine(
        orders,
        [NEW_ORDER, ADD_INVOICE, UPDATE_RECORD, POST_MESSAGE],
        (5, 5, 6, 6, 7, 8, 5),
        fails_every=12,
    )
    carriers = recipe(big + 2, "Carrier status", ON_SCHEDULE, project="Shipping")
    planner = action(CUSTOM_CONNECTOR, "plan_route")
    routine(carriers, [ON_SCHEDULE, planner, UPDATE_RECORD], (3, 3, 3, 4, 4, 5, 3), hour=5)
    documents = recipe(big + 3, "Delivery notes to records", ON_SCHEDULE, project="Shipping")
    routine(
        documents,
        [ON_SCHEDULE, process_document(2), UPDATE_RECORD, PUBLISH],
        (2, 2, 3, 3, 3, 4, 2),
        hour=13,
    )

    # Bramblewood: on a tasks plan, many utility steps.
    stock = recipe(tasks + 1, "Stock levels", ON_SCHEDULE, project="Warehouse")
    routine(
        stock,
        [ON_SCHEDULE, LOOK_UP, SET_VARIABLE, ADD_TABLE_ROW, LOG],
        (4, 4, 4, 5, 5, 5, 3),
        hour=2,
    )

    # Kestrel: an API recipe with its gateway requests (R-JOB), proxying (R-PROXY), a workflow.
    quotes = recipe(api + 1, "Quote a policy", API_REQUEST, recipe_type="api_recipe")
    quoted = routine(
        quotes,
        [API_REQUEST, SEARCH_RECORDS, RUN_PYTHON, API_RESPONSE],
        (3, 3, 4, 4, 5, 5, 3),
        hour=15,
    )
    for job_id, completed_at in quoted:
        request(
            f"rq{job_id[1:]}",
            API_HEAVY,
            completed_at,
            api_collection_id=QUOTES_API,
            recipe_id=quotes,
            job_id=job_id,
        )
    for month, count in zip(MONTHS, (3, 3, 4, 5, 5, 6, 3), strict=True):
        for nth in range(count):
            request(
                f"rq-proxied-{month}-{nth + 1}",
                API_HEAVY,
                f"{month}-{3 + nth * 2:02}T18:20",
                request_type="proxy",
                api_collection_id=QUOTES_API,
            )
    claims = recipe(api + 2, "Claims to issues", NEW_ORDER, project="Claims")
    routine(claims, [NEW_ORDER, CREATE_ISSUE, POST_MESSAGE], (2, 2, 2, 2, 3, 3, 2), fails_every=7)

    # The smaller ones: steady, tiny, in trial, expired, deleted, new, old.
    leads = [NEW_CONTACT, CREATE_DEAL, POST_MESSAGE]
    small = recipe(SMALL * 1000 + 1, "Leads to deals", NEW_CONTACT)
    routine(small, leads, (1, 1, 2, 1, 2, 2, 1), environment_type=None)
    tiny = recipe(TINY * 1000 + 1, "Mail me the leads", NEW_CONTACT)
    routine(tiny, [NEW_CONTACT, SEND_MAIL], (1, 1, 1, 1, 1, 1, 1))
    trial = recipe(IN_TRIAL * 1000 + 1, "Appointments", NEW_ORDER, created="2026-07-09")
    routine(trial, [NEW_ORDER, SEND_MAIL, LOG], (0, 0, 0, 2, 3, 3, 2), environment_type="dev")
    expired = recipe(EXPIRED * 1000 + 1, "Bids", ON_SCHEDULE, stopped="2026-08-15")
    routine(expired, [ON_SCHEDULE, PARSE_CSV, SEND_MAIL], (3, 3, 2, 1, 0, 0, 0))
    deleted = recipe(DELETED * 1000 + 1, "Bookings", NEW_ORDER)
    routine(deleted, [NEW_ORDER, UPDATE_RECORD, SEND_MAIL], (2, 2, 3, 2, 1, 0, 0))
    new = recipe(NEW * 1000 + 1, "Robot telemetry", ON_SCHEDULE, created="2026-09-01")
    routine(new, [ON_SCHEDULE, RUN_PYTHON, UPDATE_RECORD], (0, 0, 0, 0, 3, 5, 3), hour=20)
    old = recipe(OLD * 1000 + 1, "Mill orders", NEW_ORDER, created="2020-01-15")
    routine(old, [NEW_ORDER, ADD_INVOICE, PARSE_CSV, LOG], (2, 2, 2, 2, 2, 2, 1), hour=16)

    # An account that no listing knows (line 0 says what ran), and the partner's own workspace.
    routine(UNLISTED * 1000 + 1, [NEW_ORDER, POST_MESSAGE], (0, 0, 1, 1, 1, 1, 1))
    admin = recipe(ADMIN * 1000 + 1, "Onboard a customer", NEW_ORDER)
    routine(admin, [NEW_ORDER, CREATE_ISSUE, POST_MESSAGE], (1, 1, 1, 1, 1, 1, 1))


# ----------------------------------------------------------------------------
# The published examples: one day each, from 2026-08-01 on, all of one customer
# ----------------------------------------------------------------------------

EXAMPLE_NAMES = (
    "API recipe",
    "API proxy",
    "API proxy with transformation",
    "IDP within a workflow",
    "IDP within an API recipe",
    "Failed IDP operation",
    "Messages consumed",
    "Messages published",
    "Failed event",
    "Event streams API, consume",
    "Event streams API, publish",
    "Event streams API, batch publish",
    "Workflow calls a function",
    "API recipe calls a function synchronously",
    "API recipe calls a function asynchronously",
    "MCP call from an API recipe",
    "API proxy as an MCP server",
    "API recipe with IDP as an MCP server",
    "MCP with a synchronous function",
    "Skill task",
    "Skill and reasoning",
    "Skill calls a function",
    "Tasks, three actions",
    "Tasks, failed job",
    "Loop",
    "Cached proxy response",
    "Skill on the new connector",
)


def example_day(name: str) -> str:
    return f"2026-08-{EXAMPLE_NAMES.index(name) + 1:02}"


def example_recipe(name: str, trigger_step: Step, recipe_type: str | None = None) -> int:
    recipe_id = EXAMPLES * 1000 + EXAMPLE_NAMES.index(name) + 1
    return recipe(
        recipe_id,
        f"Published example: {name}",
        trigger_step,
        recipe_type=recipe_type,
        created="2026-07-20",
    )


def example(name: str, *steps: Step, request_type: str | None = None, through: int = EXAMPLES_API) -> None:
    """A job of the example's recipe at noon of its day, with a gateway request where it has one."""
    recipe_type = {"managed": "api_recipe", "proxy_transformation": "api_proxy_transformation"}.get(request_type)
    recipe_id = example_recipe(name, steps[0], recipe_type)
    noon = f"{example_day(name)}T12:00"
    job_id = job(f"j-example-{recipe_id % 100:02}", recipe_id, noon, *steps)
    if request_type:
        request(
            f"rq-example-{recipe_id % 100:02}",
            EXAMPLES,
            noon,
            request_type=request_type,
            api_collection_id=through,
            recipe_id=recipe_id,
            job_id=job_id,
        )


def example_function_id(name: str) -> int:
    return EXAMPLES * 1000 + 100 + EXAMPLE_NAMES.index(name) + 1


def example_function(name: str, *steps: Step) -> None:
    """The job of the function that the example's job called."""
    function_id = example_function_id(name)
    recipe(function_id, f"Published example: {name} (function)", FUNCTION_START, created="2026-07-20")
    caller = f"j-example-{function_id % 100:02}"
    job(
        f"{caller}-function",
        function_id,
        f"{example_day(name)}T12:01",
        FUNCTION_START,
        *steps,
        **called_by(caller),
    )


def published_examples() -> None:
    name = "API recipe"
    steps = [API_REQUEST, UPDATE_RECORD, CREATE_ISSUE, POST_MESSAGE, API_RESPONSE]
    example(name, *steps, request_type="managed")

    name = "API proxy"
    proxy = example_recipe(name, PROXY_REQUEST, "api_proxy")
    request(
        "proxy-request-1",
        EXAMPLES,
        f"{example_day(name)}T12:00",
        request_type="proxy",
        api_collection_id=EXAMPLES_API,
        recipe_id=proxy,
    )

    name = "API proxy with transformation"
    steps = [PROXY_REQUEST, FORWARD_REQUEST, PARSE_JSON, PROXY_RESPONSE]
    example(name, *steps, request_type="proxy_transformation")

    example("IDP within a workflow", ON_SCHEDULE, DOWNLOAD_FILE, process_document(3))

    steps = [API_REQUEST, process_document(2), API_RESPONSE]
    example("IDP within an API recipe", *steps, request_type="managed")

    steps = [ON_SCHEDULE, process_document(2), failed(classify_document(None))]
    example("Failed IDP operation", *steps)

    example("Messages consumed", MESSAGE_RECEIVED, UPDATE_RECORD)
    example("Messages published", NEW_ORDER, POST_MESSAGE, PUBLISH)
    steps = [NEW_ORDER, ADD_INVOICE, CREATE_ISSUE, POST_MESSAGE, failed(PUBLISH)]
    example("Failed event", *steps)

    day = example_day("Event streams API, consume")
    for nth in range(1, 36):
        event_stream_request(f"es-consume-{nth:02}", EXAMPLES, f"{day}T12:{nth:02}", "consume")
    event_stream_request("es-batch-consume-01", EXAMPLES, f"{day}T12:40", "batch_consume", 50)

    day = example_day("Event streams API, publish")
    for nth in range(1, 29):
        event_stream_request(f"es-publish-{nth:02}", EXAMPLES, f"{day}T12:{nth:02}", "publish")

    day = example_day("Event streams API, batch publish")
    for nth, messages in enumerate((100, 100, 66), start=1):
        at = f"{day}T12:{nth:02}"
        event_stream_request(f"es-batch-publish-{nth:02}", EXAMPLES, at, "batch_publish", messages)

    name = "Workflow calls a function"
    call = call_function(example_function_id(name))
    example(name, NEW_ORDER, UPDATE_RECORD, ADD_INVOICE, CREATE_ISSUE, POST_MESSAGE, call)
    example_function(name, SEARCH_RECORDS, UPDATE_RECORD, POST_MESSAGE, FUNCTION_RESULT)

    name = "API recipe calls a function synchronously"
    call = call_function(example_function_id(name))
    example(name, API_REQUEST, call, API_RESPONSE, request_type="managed")
    example_function(name, SEARCH_RECORDS, UPDATE_RECORD, FUNCTION_RESULT)

    name = "API recipe calls a function asynchronously"
    call = call_function(example_function_id(name), wait=False)
    example(name, API_REQUEST, call, API_RESPONSE, request_type="managed")
    example_function(name, SEARCH_RECORDS, UPDATE_RECORD, POST_MESSAGE)

    steps = [API_REQUEST, SEARCH_RECORDS, API_RESPONSE]
    example("MCP call from an API recipe", *steps, request_type="managed", through=EXAMPLES_MCP)

    name = "API proxy as an MCP server"
    proxy = example_recipe(name, PROXY_REQUEST, "api_proxy")
    request(
        "proxy-request-2",
        EXAMPLES,
        f"{example_day(name)}T12:00",
        request_type="proxy",
        api_collection_id=EXAMPLES_MCP,
        recipe_id=proxy,
    )

    steps = [API_REQUEST, process_document(2), API_RESPONSE]
    example("API recipe with IDP as an MCP server", *steps, request_type="managed", through=EXAMPLES_MCP)

    name = "MCP with a synchronous function"
    call = call_function(example_function_id(name))
    example(name, API_REQUEST, call, API_RESPONSE, request_type="managed", through=EXAMPLES_MCP)
    example_function(name, SEARCH_RECORDS, UPDATE_RECORD, FUNCTION_RESULT)

    name = "Skill task"
    prompt("prompt-skill-task-1", EXAMPLES, f"{example_day(name)}T11:59")
    example(name, SKILL_START, SEARCH_RECORDS, UPDATE_RECORD, POST_MESSAGE, SKILL_RESULT)

    day = example_day("Skill and reasoning")
    prompt("prompt-skill-and-reasoning-1", EXAMPLES, f"{day}T12:00")
    prompt("prompt-skill-and-reasoning-2", EXAMPLES, f"{day}T12:05")

    name = "Skill calls a function"
    example(name, SKILL_START, call_function(example_function_id(name)), SKILL_RESULT)
    example_function(name, SEARCH_RECORDS, UPDATE_RECORD, FUNCTION_RESULT)

    example("Tasks, three actions", NEW_ORDER, UPDATE_RECORD, POST_MESSAGE, LOG)
    steps = [NEW_ORDER, UPDATE_RECORD, ADD_INVOICE, CREATE_ISSUE, POST_MESSAGE, failed(SEND_MAIL)]
    example("Tasks, failed job", *steps)
    body = loop([UPDATE_RECORD, ADD_INVOICE, POST_MESSAGE], times=50, first_line=2)
    example("Loop", ON_SCHEDULE, control("foreach"), *body)

    name = "Cached proxy response"
    proxy = example_recipe(name, PROXY_REQUEST, "api_proxy")
    request(
        "proxy-request-cached",
        EXAMPLES,
        f"{example_day(name)}T12:00",
        request_type="proxy",
        api_collection_id=EXAMPLES_API,
        recipe_id=proxy,
    )

    name = "Skill on the new connector"
    prompt("prompt-skill-on-the-new-connector-1", EXAMPLES, f"{example_day(name)}T11:59")
    example(name, NEW_SKILL_START, SEARCH_RECORDS, UPDATE_RECORD, NEW_SKILL_RESULT)


# ----------------------------------------------------------------------------
# Rules that decide steps
# ----------------------------------------------------------------------------


def step_rules() -> None:
    cases = recipe(BIG * 1000 + 100, "Step rules", NEW_ORDER)

    # S-CONTROL: every keyword (repeat with an adapter all the same) and an empty adapter.
    keywords = "if elsif else foreach repeat while_condition try catch stop"
    controls = [
        control(keyword, adapter_name="workato_list" if keyword == "repeat" else None) for keyword in keywords.split()
    ]
    job("j-s-control", cases, "2026-06-02T10:00", NEW_ORDER, *controls, control(None), POST_MESSAGE)

    # S-SKIPPED and S-FAILED: every status word of a step, and steps without one.
    words = "succeeded completed success failed error canceled cancelled pending processing skipped"
    worded = [{**UPDATE_RECORD, "status": word} for word in words.split()]
    silent = [{**UPDATE_RECORD, "status": None}, {**failed(UPDATE_RECORD), "status": None}]
    job("j-s-status-words", cases, "2026-06-03T10:00", NEW_ORDER, *worded, *silent)
    # Every status word of a job (pending and processing: see `deliveries`).
    for nth, word in enumerate(("completed", "success", "error", "cancelled"), start=4):
        job(
            f"j-status-{word}",
            cases,
            f"2026-06-{nth:02}T10:00",
            NEW_ORDER,
            POST_MESSAGE,
            status=word,
        )
    # G3: a canceled job and a failed one; what succeeded before counts.
    job(
        "j-canceled",
        cases,
        "2026-06-08T10:00",
        NEW_ORDER,
        UPDATE_RECORD,
        ADD_INVOICE,
        status="canceled",
    )
    job("j-s-failed", cases, "2026-06-09T10:00", NEW_ORDER, UPDATE_RECORD, failed(ADD_INVOICE))

    # S-PAGES: both operations; one that failed; one whose page count is missing.
    pages = [process_document(3), classify_document(2), process_document(None)]
    job("j-s-pages", cases, "2026-06-10T10:00", ON_SCHEDULE, *pages, failed(classify_document(7)))
    # S-EVENT, S-EVENT-BATCH: one event, 25, and a batch whose message count is missing.
    job(
        "j-s-events",
        cases,
        "2026-06-11T10:00",
        ON_SCHEDULE,
        PUBLISH,
        publish_batch(25),
        publish_batch(None),
    )
    # S-CONSUMED: both triggers.
    job("j-s-consumed", cases, "2026-06-12T10:00", MESSAGE_RECEIVED, POST_MESSAGE)
    job("j-s-consumed-batch", cases, "2026-06-13T10:00", BATCH_RECEIVED, POST_MESSAGE)

    # S-INELIGIBLE: the platform's tools that never count; S-ACTION: those that do.
    job(
        "j-s-ineligible",
        cases,
        "2026-06-15T10:00",
        ON_SCHEDULE,
        LOG,
        SET_VARIABLE,
        LOOK_UP,
        ADD_TABLE_ROW,
    )
    job(
        "j-s-eligible-tools",
        cases,
        "2026-06-16T10:00",
        ON_SCHEDULE,
        PARSE_CSV,
        PARSE_JSON,
        RUN_PYTHON,
        SEND_MAIL,
    )
    # S-ACTION: an eligible trigger, a second connection, a custom connector, a batch action.
    job(
        "j-s-action",
        cases,
        "2026-06-17T10:00",
        NEW_ORDER,
        action("salesforce_secondary", "update_sobject"),
        action(CUSTOM_CONNECTOR, "plan_route"),
        action("netsuite", "add_standard_batch_job"),
    )
    # S-UNRULED: apps of the platform without a published ruling. S-UNKNOWN: an app nobody listed.
    job(
        "j-s-unruled",
        cases,
        "2026-06-18T10:00",
        ON_SCHEDULE,
        action("workato_list", "create_list"),
        action("workato_decision_engine", "execute_model"),
    )
    job(
        "j-s-unknown",
        cases,
        "2026-06-19T10:00",
        trigger(UNKNOWN_APP, "vehicle_moved"),
        action(UNKNOWN_APP, "locate_vehicle"),
    )

    # S-TEST: a poll error never counts; a test job does, unless count_test_jobs says otherwise.
    job(
        "j-poll-error",
        cases,
        "2026-06-20T10:00",
        failed(NEW_ORDER),
        UPDATE_RECORD,
        status="failed",
        is_poll_error=True,
    )
    job(
        "j-test-run",
        cases,
        "2026-06-21T10:00",
        NEW_ORDER,
        UPDATE_RECORD,
        is_test=True,
        environment_type="test",
    )

    # G4: a rerun is a job of its own; what succeeded in both counts in both.
    job("j-rerun-first", cases, "2026-06-22T10:00", NEW_ORDER, UPDATE_RECORD, failed(ADD_INVOICE))
    job(
        "j-rerun-again",
        cases,
        "2026-06-22T11:00",
        NEW_ORDER,
        UPDATE_RECORD,
        ADD_INVOICE,
        is_repeat=True,
        repeat_count=1,
        master_job_id="j-rerun-first",
    )


def task_rules() -> None:
    # T-START: an old account's jobs, brought along in 2026; tasks exist from 2020-10-01 on.
    mill_orders = OLD * 1000 + 1
    for month in ("2020-09", "2020-10"):
        job(
            f"j-{month}",
            mill_orders,
            f"{month}-15T16:00",
            NEW_ORDER,
            UPDATE_RECORD,
            LOG,
            extracted_at="2026-05-02T04:00:00+00:00",
        )

    # T-ACTION, T-TRIGGER, T-CONTROL, T-CALL: three actions (a utility, a call, an app) are 3 tasks.
    tasks = recipe(ON_TASKS * 1000 + 10, "Task rules", NEW_ORDER)
    function = recipe(ON_TASKS * 1000 + 11, "Round the total", FUNCTION_START)
    job(
        "j-t-caller",
        tasks,
        "2026-07-06T08:00",
        NEW_ORDER,
        control("if"),
        LOG,
        call_function(function),
        UPDATE_RECORD,
    )
    job(
        "j-t-called",
        function,
        "2026-07-06T08:00:30",
        FUNCTION_START,
        RUN_PYTHON,
        **called_by("j-t-caller"),
    )
    # T-CALL: a call that failed is no task.
    job("j-t-failed-call", tasks, "2026-07-07T08:00", NEW_ORDER, failed(call_function(function)))


# ----------------------------------------------------------------------------
# Rules that decide jobs
# ----------------------------------------------------------------------------


def recipe_types() -> None:
    """Section 4's first table: the recipe extract's own word, then the trigger, then line 0."""
    # The extract's word.
    by_word = {
        "workflow": [NEW_ORDER, UPDATE_RECORD],
        "workflow_app": [trigger("workato_workflow_task", "new_requests_realtime"), UPDATE_RECORD],
        "api_recipe": [API_REQUEST, UPDATE_RECORD, API_RESPONSE],
        "api_proxy": [PROXY_REQUEST, FORWARD_REQUEST, PROXY_RESPONSE],
        "api_proxy_transformation": [PROXY_REQUEST, FORWARD_REQUEST, PROXY_RESPONSE],
        "recipe_function": [FUNCTION_START, UPDATE_RECORD, FUNCTION_RESULT],
        "skill": [SKILL_START, UPDATE_RECORD, SKILL_RESULT],
        "knowledge_base": [ON_SCHEDULE, UPDATE_RECORD, action("workato_genie", "upsert_knowledge")],
    }
    for nth, (word, steps) in enumerate(by_word.items(), start=1):
        recipe_id = API_HEAVY * 1000 + 100 + nth
        recipe(recipe_id, f"Says that it is a {word}", steps[0], recipe_type=word)
        job(f"j-type-{word}", recipe_id, f"2026-07-{nth:02}T17:00", *steps)

    # The trigger, with its operation and without; of a recipe that is listed, and (line 0) of one
    # that is not.
    by_trigger = {
        "api-recipe": (API_REQUEST, UPDATE_RECORD),
        "api-proxy": (PROXY_REQUEST, FORWARD_REQUEST),
        "function": (FUNCTION_START, UPDATE_RECORD),
        "service": (SERVICE_START, UPDATE_RECORD),
        "skill": (SKILL_START, UPDATE_RECORD),
        "workflow": (NEW_ORDER, UPDATE_RECORD),
    }
    for nth, (kind, (start, then)) in enumerate(by_trigger.items(), start=1):
        for offset, start_step, known_by in (
            (0, start, "operation"),
            (10, {**start, "adapter_operation": None}, "adapter"),
        ):
            listed = API_HEAVY * 1000 + 200 + offset + nth
            recipe(listed, f"Started by {kind}, known by its {known_by}", start_step)
            unlisted = API_HEAVY * 1000 + 300 + offset + nth
            hour = 10 + offset // 10
            job(
                f"j-listed-{kind}-by-{known_by}",
                listed,
                f"2026-07-{10 + nth}T{hour}:00",
                start_step,
                then,
            )
            job(
                f"j-line-0-{kind}-by-{known_by}",
                unlisted,
                f"2026-07-{20 + nth}T{hour}:00",
                start_step,
                then,
            )


def api_and_mcp_jobs() -> None:
    def api_job(
        job_id: str,
        recipe_id: int,
        at: str,
        steps: list[Step],
        *,
        through: int = QUOTES_API,
        status: str = "succeeded",
        http_status: int = 200,
        request_type: str = "managed",
    ) -> None:
        job(job_id, recipe_id, at, *steps, status=status)
        request(
            f"rq-{job_id}",
            API_HEAVY,
            at,
            request_type=request_type,
            api_collection_id=through,
            recipe_id=recipe_id,
            job_id=job_id,
            http_status=http_status,
        )

    policy = recipe(API_HEAVY * 1000 + 10, "Read a policy", API_REQUEST, recipe_type="api_recipe")
    steps = [API_REQUEST, SEARCH_RECORDS, API_RESPONSE]
    # J-API: 1 call; also with an expected 404; none on an internal error or when canceled.
    api_job("j-api-succeeded", policy, "2026-08-03T17:00", steps)
    api_job("j-api-expected-404", policy, "2026-08-04T17:00", steps, http_status=404)
    api_job(
        "j-api-internal-error",
        policy,
        "2026-08-05T17:00",
        [API_REQUEST, failed(SEARCH_RECORDS)],
        status="failed",
        http_status=500,
    )
    api_job(
        "j-api-canceled",
        policy,
        "2026-08-06T17:00",
        [API_REQUEST, SEARCH_RECORDS],
        status="canceled",
        http_status=504,
    )
    # G6: pages and events count on top, also when the call does not.
    extras = [API_REQUEST, process_document(4), PUBLISH]
    api_job("j-api-extras", policy, "2026-08-07T17:00", [*extras, API_RESPONSE])
    api_job(
        "j-api-failed-extras",
        policy,
        "2026-08-08T17:00",
        [*extras, failed(UPDATE_RECORD)],
        status="failed",
        http_status=500,
    )

    # J-API: a proxy's call type follows the steps that ran beside forwarding and returning.
    proxy = recipe(API_HEAVY * 1000 + 11, "Proxy to the rating engine", PROXY_REQUEST)
    extra_steps = {
        "j-proxy-plain": [],
        "j-proxy-transformed": [PARSE_JSON],
        "j-proxy-extra-skipped": [skipped(PARSE_JSON)],
        "j-proxy-extra-failed": [control("try"), failed(PARSE_JSON), control("catch")],
        "j-proxy-control": [control("if")],
    }
    for nth, (job_id, extra) in enumerate(extra_steps.items(), start=10):
        api_job(
            job_id,
            proxy,
            f"2026-08-{nth}T17:00",
            [PROXY_REQUEST, FORWARD_REQUEST, *extra, PROXY_RESPONSE],
            request_type="proxy",
        )

    # J-MCP: the same recipe through an MCP collection; a proxy, plain and transforming; a failure; a
    # collection that became an MCP server later.
    api_job("j-mcp-recipe", policy, "2026-08-17T17:00", steps, through=CLAIMS_MCP)
    proxied = [PROXY_REQUEST, FORWARD_REQUEST, PROXY_RESPONSE]
    api_job("j-mcp-proxy", proxy, "2026-08-18T17:00", proxied, through=CLAIMS_MCP, request_type="proxy")
    transformed = [PROXY_REQUEST, FORWARD_REQUEST, PARSE_JSON, PROXY_RESPONSE]
    api_job("j-mcp-transformed", proxy, "2026-08-21T17:00", transformed, through=CLAIMS_MCP, request_type="proxy")
    api_job(
        "j-mcp-failed",
        policy,
        "2026-08-19T17:00",
        [API_REQUEST, failed(SEARCH_RECORDS)],
        through=CLAIMS_MCP,
        status="failed",
        http_status=500,
    )
    api_job("j-mcp-since-october", policy, "2026-08-20T17:00", steps, through=POLICIES_API)


def agent_jobs() -> None:
    # J-AGENT: no business actions; pages and events count (G6).
    skill = recipe(NEW * 1000 + 10, "Read a manual", SKILL_START, created="2026-09-01")
    job(
        "j-agent-extras",
        skill,
        "2026-09-08T14:00",
        SKILL_START,
        UPDATE_RECORD,
        process_document(6),
        PUBLISH,
        SKILL_RESULT,
    )
    # J-AGENT: a knowledge base is one, whatever its trigger.
    knowledge = recipe(
        NEW * 1000 + 11,
        "Keep manuals at hand",
        ON_SCHEDULE,
        recipe_type="knowledge_base",
        created="2026-09-01",
    )
    job(
        "j-agent-knowledge",
        knowledge,
        "2026-09-09T14:00",
        ON_SCHEDULE,
        SEARCH_RECORDS,
        action("workato_genie", "upsert_knowledge"),
    )


def functions() -> None:
    """Every way to call a function, and every way to lose track of who did."""
    first = API_HEAVY * 1000 + 400
    workflow = recipe(first + 1, "Renewals", NEW_ORDER)
    api_recipe = recipe(first + 2, "Price a risk", API_REQUEST, recipe_type="api_recipe")
    skill = recipe(first + 3, "Explain a premium", SKILL_START)
    function = recipe(first + 4, "Score a risk", FUNCTION_START)
    service = recipe(first + 5, "Score a risk, the old way", SERVICE_START)
    relay = recipe(first + 6, "Prepare a score", FUNCTION_START)
    function_steps = [FUNCTION_START, UPDATE_RECORD, FUNCTION_RESULT]

    def caller(job_id: str, at: str, context: str, *steps: Step) -> str:
        """A job in this billing context that runs these steps."""
        start, recipe_id = {
            "workflow": (NEW_ORDER, workflow),
            "api": (API_REQUEST, api_recipe),
            "mcp": (API_REQUEST, api_recipe),
            "agent": (SKILL_START, skill),
        }[context]
        job(job_id, recipe_id, at, start, *steps)
        if context == "mcp":
            request(
                f"rq-{job_id}",
                API_HEAVY,
                at,
                api_collection_id=CLAIMS_MCP,
                recipe_id=recipe_id,
                job_id=job_id,
            )
        return job_id

    def called(
        job_id: str,
        at: str,
        by: str,
        *,
        recipe_id: int = function,
        steps: list[Step] = function_steps,
    ) -> str:
        return job(job_id, recipe_id, at, *steps, **called_by(by))

    # J-FN-WORKFLOW, J-FN-SYNC-API, J-FN-ASYNC, J-FN-AGENT: caller's context by call mode, by both
    # connectors.
    service_steps = [SERVICE_START, UPDATE_RECORD, SERVICE_REPLY]
    for nth, context in enumerate(("workflow", "api", "mcp", "agent"), start=1):
        for hour, mode in ((10, "sync"), (11, "async")):
            at = f"2026-09-{nth:02}T{hour}:00"
            if context in ("workflow", "mcp"):
                call, target, steps = (
                    call_service(service, wait=mode == "sync"),
                    service,
                    service_steps,
                )
            else:
                call, target, steps = (
                    call_function(function, wait=mode == "sync"),
                    function,
                    function_steps,
                )
            by = caller(f"j-fn-{context}-{mode}-caller", at, context, call)
            called(f"j-fn-{context}-{mode}", at, by, recipe_id=target, steps=steps)
    # J-FN-NESTED (synchronous) and J-FN-ASYNC: called from a continuation.
    for hour, mode in ((10, "sync"), (11, "async")):
        at = f"2026-09-05T{hour}:00"
        by = caller(f"j-fn-continuation-{mode}-root", at, "api", call_function(relay))
        relayed = [FUNCTION_START, call_function(function, wait=mode == "sync"), FUNCTION_RESULT]
        by = called(f"j-fn-continuation-{mode}-caller", at, by, recipe_id=relay, steps=relayed)
        called(f"j-fn-continuation-{mode}", at, by)

    # J-FN-NESTED: three deep below an API recipe, all synchronous; and with an asynchronous second
    # call, below which everything is workflow.
    deeper = recipe(first + 7, "Prepare the preparation", FUNCTION_START)
    for hour, mode in ((10, "sync"), (11, "async")):
        at = f"2026-09-06T{hour}:00"
        by = caller(f"j-fn-deep-{mode}-0", at, "api", call_function(deeper))
        steps = [FUNCTION_START, call_function(relay, wait=mode == "sync"), UPDATE_RECORD]
        by = called(f"j-fn-deep-{mode}-1", at, by, recipe_id=deeper, steps=steps)
        steps = [FUNCTION_START, call_function(function), UPDATE_RECORD]
        by = called(f"j-fn-deep-{mode}-2", at, by, recipe_id=relay, steps=steps)
        called(f"j-fn-deep-{mode}-3", at, by)

    # The step says how it was called, also when it failed; both kinds of calls read as synchronous.
    by = caller(
        "j-fn-failed-call-caller",
        "2026-09-08T10:00",
        "api",
        failed(call_function(function, wait=False)),
    )
    called("j-fn-failed-call", "2026-09-08T10:00", by)
    by = caller(
        "j-fn-both-calls-caller",
        "2026-09-09T10:00",
        "api",
        call_function(function, wait=False),
        call_function(function),
    )
    called("j-fn-both-calls", "2026-09-09T10:00", by)
    # G6: pages and events count in a continuation, too.
    by = caller("j-fn-extras-caller", "2026-09-10T10:00", "api", call_function(function))
    extras = [FUNCTION_START, process_document(5), PUBLISH, UPDATE_RECORD]
    called("j-fn-extras", "2026-09-10T10:00", by, steps=extras)

    # J-FN-ORPHAN: the caller is in no extract; the root recipe decides where it is known.
    for day, root_name, root_recipe in (
        (14, "api", api_recipe),
        (15, "skill", skill),
        (16, "unknown", 77),
    ):
        at = f"2026-09-{day}T10:00"
        job(
            f"j-fn-orphan-root-{root_name}",
            function,
            at,
            *function_steps,
            calling_job_id="j-fn-lost",
            root_job_id="j-fn-lost",
            root_recipe_id=root_recipe,
        )

    def orphan(job_id: str, at: str, calling_job_id: str | None) -> None:
        """A function whose root nobody names."""
        job(job_id, function, at, *function_steps, calling_job_id=calling_job_id)

    # J-FN-ORPHAN: the caller's only call was skipped; it shows no call; it is another account's; it
    # cannot be read.
    caller("j-fn-skipped-call-caller", "2026-09-17T10:00", "api", skipped(call_function(function)))
    orphan("j-fn-skipped-call", "2026-09-17T10:00", "j-fn-skipped-call-caller")
    caller("j-fn-no-call-caller", "2026-09-18T10:00", "api", UPDATE_RECORD)
    orphan("j-fn-no-call", "2026-09-18T10:00", "j-fn-no-call-caller")
    job(
        "j-fn-elsewhere-caller",
        OLD * 1000 + 1,
        "2026-09-19T10:00",
        NEW_ORDER,
        call_function(function),
    )
    orphan("j-fn-elsewhere", "2026-09-19T10:00", "j-fn-elsewhere-caller")
    job(
        "j-fn-unread-caller",
        api_recipe,
        "2026-09-20T10:00",
        API_REQUEST,
        call_function(function),
        status="sleeping",
    )
    orphan("j-fn-unread", "2026-09-20T10:00", "j-fn-unread-caller")
    # J-FN-ORPHAN: two jobs that call each other.
    for job_id, recipe_id, other, target in (
        ("j-fn-cycle-a", function, "j-fn-cycle-b", relay),
        ("j-fn-cycle-b", relay, "j-fn-cycle-a", function),
    ):
        steps = [FUNCTION_START, call_function(target), UPDATE_RECORD]
        job(
            job_id,
            recipe_id,
            "2026-09-21T10:00",
            *steps,
            calling_job_id=other,
            calling_recipe_id=target,
        )


# ----------------------------------------------------------------------------
# Work that is no job
# ----------------------------------------------------------------------------


def requests_without_jobs() -> None:
    # R-PROXY: one call of each type; an upstream's own 404 and 401 count.
    for nth, request_type in enumerate(("managed", "proxy", "proxy_transformation"), start=1):
        request(
            f"rq-no-job-{request_type}",
            API_HEAVY,
            f"2026-10-{nth:02}T19:00",
            request_type=request_type,
            api_collection_id=QUOTES_API,
        )
    for nth, upstream in enumerate((404, 401), start=4):
        request(
            f"rq-upstream-{upstream}",
            API_HEAVY,
            f"2026-10-{nth:02}T19:00",
            request_type="proxy",
            api_collection_id=QUOTES_API,
            http_status=upstream,
        )
    # R-PROXY: nothing when the gateway refused, or on an internal error.
    for nth, code in enumerate((401, 403, 429), start=6):
        request(
            f"rq-refused-{code}",
            API_HEAVY,
            f"2026-10-{nth:02}T19:00",
            request_type="proxy",
            api_collection_id=QUOTES_API,
            http_status=code,
            gateway_code=code,
        )
    request(
        "rq-internal-error",
        API_HEAVY,
        "2026-10-09T19:00",
        request_type="proxy",
        api_collection_id=QUOTES_API,
        http_status=500,
        internal_error=True,
    )
    # R-JOB: its job is in no extract; 0, and in audit. (With their jobs: `api_and_mcp_jobs`.)
    request(
        "rq-lost-job",
        API_HEAVY,
        "2026-10-10T19:00",
        api_collection_id=QUOTES_API,
        job_id="j-nobody-delivered",
    )
    # R-MCP: one call; refused; T-PROXY: a proxied one is a task too; a collection that became MCP.
    request("rq-mcp", API_HEAVY, "2026-10-12T19:00", api_collection_id=CLAIMS_MCP)
    request(
        "rq-mcp-refused",
        API_HEAVY,
        "2026-10-13T19:00",
        api_collection_id=CLAIMS_MCP,
        http_status=403,
        gateway_code=403,
    )
    request(
        "rq-mcp-proxy",
        API_HEAVY,
        "2026-10-14T19:00",
        request_type="proxy",
        api_collection_id=CLAIMS_MCP,
    )
    request(
        "rq-mcp-transformation",
        API_HEAVY,
        "2026-10-14T20:00",
        request_type="proxy_transformation",
        api_collection_id=CLAIMS_MCP,
    )
    request("rq-mcp-since-october", API_HEAVY, "2026-09-14T19:00", api_collection_id=POLICIES_API)
    # Delivered twice; no id; no readable time.
    for _ in range(2):
        request("rq-delivered-twice", API_HEAVY, "2026-10-15T19:00", request_type="proxy")
    request(None, API_HEAVY, "2026-10-16T19:00", request_type="proxy")
    request(
        "rq-unreadable-time",
        API_HEAVY,
        "half past seven",
        request_type="proxy",
        extracted_at="2026-10-17T04:00:00+00:00",
    )


def event_streams() -> None:
    # R-PUBLISH: everyday events of the big customer, and every endpoint once.
    for month, messages in zip(MONTHS, (40, 42, 47, 55, 61, 70, 38), strict=True):
        event_stream_request(f"es-daily-{month}", BIG, f"{month}-10T06:00", "batch_publish", messages)
    event_stream_request("es-one", BIG, "2026-07-14T06:00", "publish", status="completed")
    event_stream_request("es-batch", BIG, "2026-07-15T06:00", "batch_publish", 12, status="success")
    event_stream_request("es-read", BIG, "2026-07-16T06:00", "consume")
    event_stream_request("es-read-batch", BIG, "2026-07-17T06:00", "batch_consume", 9)
    event_stream_request("es-failed", BIG, "2026-07-18T06:00", "batch_publish", 9, status="failed")
    event_stream_request("es-unknown-status", BIG, "2026-07-19T06:00", "publish", status="perhaps")


def genie_prompts() -> None:
    # R-PROMPT: everyday prompts of the new customer.
    for month, count in (("2026-09", 4), ("2026-10", 6), ("2026-11", 4)):
        for nth in range(1, count + 1):
            prompt(f"prompt-{month}-{nth}", NEW, f"{month}-{nth + 9:02}T08:30")
    # R-PROMPT: every kind of sender; a failed one is 0, one without status counts.
    for nth, sender in enumerate(("user", "genie", "app_event"), start=1):
        prompt(f"prompt-by-{sender}", NEW, f"2026-10-2{nth}T08:30", sender=sender)
    prompt("prompt-failed", NEW, "2026-10-24T08:30", status="failed")
    prompt("prompt-no-status", NEW, "2026-10-26T08:30", status=None)
    # Delivered twice; no readable time.
    for _ in range(2):
        prompt("prompt-delivered-twice", NEW, "2026-10-27T08:30")
    prompt("prompt-unreadable-time", NEW, "tea time", extracted_at="2026-10-28T04:00:00+00:00")


# ----------------------------------------------------------------------------
# Trouble with deliveries, rows and times
# ----------------------------------------------------------------------------


def deliveries() -> None:
    cases = recipe(BIG * 1000 + 110, "Deliveries", NEW_ORDER)
    steps = [NEW_ORDER, UPDATE_RECORD, POST_MESSAGE]

    # G9: the same delivery twice.
    for _ in range(2):
        job("j-delivered-twice", cases, "2026-07-01T10:00", *steps)
    # G9: delivered again, completed on another day, with other steps: the later one wins whole.
    job("j-redelivered", cases, "2026-07-02T10:00", *steps[:2], failed(POST_MESSAGE))
    job("j-redelivered", cases, "2026-07-03T10:00", *steps, LOG)
    # G9: two with the same extracted_at that differ: the finished one, then the later completion,
    # then the greater row; the steps are delivered once.
    stamp = "2026-07-06T04:00:00+00:00"
    job(
        "j-same-stamp-finished",
        cases,
        None,
        status="pending",
        started_at="2026-07-05T09:50",
        extracted_at=stamp,
    )
    job("j-same-stamp-finished", cases, "2026-07-05T10:00", *steps, extracted_at=stamp)
    job("j-same-stamp-later", cases, "2026-07-05T10:00", extracted_at=stamp)
    job("j-same-stamp-later", cases, "2026-07-06T02:00", *steps, extracted_at=stamp)
    job("j-same-stamp-text", cases, "2026-07-05T12:00", extracted_at=stamp, action_count=1)
    job("j-same-stamp-text", cases, "2026-07-05T12:00", *steps, extracted_at=stamp, action_count=2)
    # G10: pending, then finished; and one that is pending still.
    job(
        "j-pending-then-finished",
        cases,
        None,
        *steps[:2],
        status="pending",
        started_at="2026-07-07T23:50",
        extracted_at="2026-07-08T04:00:00+00:00",
    )
    job("j-pending-then-finished", cases, "2026-07-08T06:00", *steps)
    job(
        "j-still-pending",
        cases,
        None,
        *steps[:2],
        status="processing",
        started_at="2026-11-17T23:00",
        extracted_at="2026-11-18T04:00:00+00:00",
    )

    # A step delivered twice; a step of no job.
    job("j-step-repeated", cases, "2026-07-09T10:00", *steps)
    world["steps"].append(dict(world["steps"][-1]))
    step_row(BIG, "j-no-such-job", 1, UPDATE_RECORD, "2026-07-11T04:00:00+00:00")
    # Steps whose extracted_at no delivery has go to the latest one; its own steps win.
    job("j-steps-astray", cases, "2026-07-10T10:00")
    for index, step in enumerate(steps):
        step_row(BIG, "j-steps-astray", index, step, "2026-07-11T05:00:00+00:00")
    job("j-steps-collide", cases, "2026-07-11T10:00", *steps[:2])
    step_row(BIG, "j-steps-collide", 1, LOG, "2026-07-12T05:00:00+00:00")
    step_row(BIG, "j-steps-collide", 2, POST_MESSAGE, "2026-07-12T05:00:00+00:00")

    # The same job id in two accounts: two jobs.
    job("j-shared-id", cases, "2026-07-13T10:00", *steps)
    job("j-shared-id", ON_TASKS * 1000 + 10, "2026-07-13T10:00", NEW_ORDER, UPDATE_RECORD)


def bad_rows() -> None:
    cases = BIG * 1000 + 110
    # Jobs that cannot be read; their steps stand in quarantine with them.
    delivered = "2026-07-16T04:00:00+00:00"
    job(
        "j-unreadable-time",
        cases,
        "yesterday evening",
        NEW_ORDER,
        extracted_at=delivered,
        started_at="2026-07-15T10:00",
    )
    job("j-unreadable-number", cases, "2026-07-15T10:00", NEW_ORDER, repeat_count="twice")
    job(None, cases, "2026-07-15T11:00")
    # (An unknown status word: j-fn-unread-caller in `functions`.)
    # Steps that cannot be read; the rest of their job counts.
    job("j-bad-steps", cases, "2026-07-15T12:00", NEW_ORDER, UPDATE_RECORD)
    step_row(BIG, "j-bad-steps", 2, {**POST_MESSAGE, "status": "perhaps"}, delivered)
    step_row(BIG, "j-bad-steps", "third", POST_MESSAGE, delivered)
    step_row(BIG, None, 4, POST_MESSAGE, delivered)


def edges_of_days() -> None:
    # G12: these complete in July and November in UTC, in June and October at the data centre.
    cases = recipe(BIG * 1000 + 120, "Edges of days", NEW_ORDER)
    steps = [NEW_ORDER, UPDATE_RECORD]
    job("j-edge-june", cases, "2026-06-30T23:30:00-07:00", *steps)
    job("j-edge-october", cases, "2026-10-31T23:30:00-07:00", *steps)
    # America: 01:30 comes twice on 2026-11-01.
    job("j-dst-us-before", cases, "2026-11-01T01:30:00-07:00", *steps)
    job("j-dst-us-after", cases, "2026-11-01T01:30:00-08:00", *steps)
    # Europe: 02:30 comes twice on 2026-10-25; and 00:30 there is still the day before in UTC.
    europe = recipe(SMALL * 1000 + 20, "Edges of days, Europe", NEW_ORDER)
    job("j-dst-eu-midnight", europe, "2026-10-25T00:30:00+02:00", *steps)
    job("j-dst-eu-before", europe, "2026-10-25T02:30:00+02:00", *steps)
    job("j-dst-eu-after", europe, "2026-10-25T02:30:00+01:00", *steps)


# ----------------------------------------------------------------------------
# The streamed job file
# ----------------------------------------------------------------------------


def job_history() -> None:
    """Jobs as the platform streams them, lines nested, in every wrapping."""
    recipe_id = recipe(BIG * 1000 + 130, "Streamed", NEW_ORDER)
    function = recipe(BIG * 1000 + 131, "Streamed function", FUNCTION_START)
    api_recipe = recipe(BIG * 1000 + 132, "Streamed API", API_REQUEST, recipe_type="api_recipe")

    def line(number: int, step: Step, *, error: str | None = None, **details: object) -> dict:
        return {
            "recipe_line_number": number,
            "adapter_name": step["adapter_name"],
            "adapter_operation": step["adapter_operation"],
            "input": details.get("input", {}),
            "output": details.get("output", {}),
            "error": error,
            "line_stat": {"total": 0.25},
        }

    def streamed(job_id: str, at: str, recipe_id: int = recipe_id, **fields: object) -> dict:
        return {
            "id": job_id,
            "account_id": recipe_id // 1000,
            "recipe_id": recipe_id,
            "environment_type": "prod",
            "status": "succeeded",
            "is_repeat": False,
            "is_test": False,
            "is_poll_error": False,
            "started_at": written(at, recipe_id // 1000),
            "completed_at": written(at, recipe_id // 1000),
            "extracted_at": next_delivery(at),
            **fields,
        }

    order, message = line(0, NEW_ORDER), line(1, POST_MESSAGE)
    # Plain: 2 business actions, 4 pages, 3 events, and the call that started j-history-called.
    plain = streamed(
        "j-history-plain",
        "2026-10-05T10:00",
        lines=[
            order,
            message,
            line(2, process_document(None), output={"page_count": 4}),
            line(3, publish_batch(None), input={"messages": [{"n": 1}, {"n": 2}, {"n": 3}]}),
            line(4, call_function(function, wait=False), input={"flow_id": function}),
        ],
    )
    job(
        "j-history-called",
        function,
        "2026-10-05T10:01",
        FUNCTION_START,
        UPDATE_RECORD,
        calling_job_id="j-history-plain",
        calling_recipe_id=recipe_id,
        root_job_id="j-history-plain",
        root_recipe_id=recipe_id,
    )
    # Wrapped, and wrapped as a list, which has no extracted_at: then completed_at stands for it.
    wrapped = streamed("j-history-wrapped", "2026-10-06T10:00", lines=[order, message])
    in_list = streamed(
        "j-history-list",
        "2026-10-07T10:00",
        status="failed",
        error="404 Not found",
        lines=[order, message, line(2, UPDATE_RECORD, error="404 Not found")],
    )
    del in_list["extracted_at"]
    # Without lines an API recipe is still 1 call; a workflow shows nothing to count.
    no_lines = streamed("j-history-no-lines", "2026-10-08T10:00", api_recipe)
    too_long = streamed(
        "j-history-too-long",
        "2026-10-09T10:00",
        action_count=812,
        lines="Log lines exceed size limit",
    )
    empty = streamed("j-history-empty", "2026-10-10T10:00", lines=[])
    # Pending in the jobs extract, then finished in the stream: the later delivery wins.
    job(
        "j-history-beside",
        recipe_id,
        None,
        NEW_ORDER,
        UPDATE_RECORD,
        status="pending",
        started_at="2026-10-11T23:50",
        extracted_at="2026-10-12T04:00:00+00:00",
    )
    beside = streamed("j-history-beside", "2026-10-12T10:00", lines=[order, message])

    for record in (
        plain,
        {"logEntries": wrapped},
        {"logEntries": [in_list]},
        no_lines,
        too_long,
        empty,
        beside,
    ):
        add("job_history", record=json.dumps(record))


# ----------------------------------------------------------------------------
# What the platform's own report says
# ----------------------------------------------------------------------------

# The platform's monthly report: account, month, then tasks, business actions, API calls, pages, events, MCP calls,
# genie actions, jobs succeeded and jobs failed. Tasks are the platform's own counts (October has the 812 of
# the big one's job that was too long to stream). In three months the report says something else: a job that failed here
# succeeded there (BIG), a job and its API call are missing here (API_HEAVY), and nothing explains 12 business actions
# (ON_TASKS).
VENDOR_USAGE = (
    (BIG, "2026-05", 27, 28, 0, 4, 42, 0, 0, 10, 0),
    (BIG, "2026-06", 76, 67, 0, 9, 70, 0, 0, 25, 3),
    (BIG, "2026-07", 53, 66, 0, 6, 63, 0, 0, 23, 1),
    (BIG, "2026-08", 35, 35, 0, 6, 58, 0, 0, 13, 0),
    (BIG, "2026-09", 38, 38, 0, 6, 64, 0, 0, 13, 1),
    (BIG, "2026-10", 866, 54, 1, 12, 77, 0, 0, 23, 2),
    (ON_TASKS, "2026-05", 16, 0, 0, 0, 0, 0, 0, 4, 0),
    (ON_TASKS, "2026-06", 16, 0, 0, 0, 0, 0, 0, 4, 0),
    (ON_TASKS, "2026-07", 22, 18, 0, 0, 0, 0, 0, 7, 1),
    (ON_TASKS, "2026-08", 20, 0, 0, 0, 0, 0, 0, 5, 0),
    (ON_TASKS, "2026-09", 20, 0, 0, 0, 0, 0, 0, 5, 0),
    (ON_TASKS, "2026-10", 20, 0, 0, 0, 0, 0, 0, 5, 0),
    (API_HEAVY, "2026-05", 16, 6, 6, 0, 0, 0, 0, 5, 0),
    (API_HEAVY, "2026-06", 16, 6, 6, 0, 0, 0, 0, 5, 0),
    (API_HEAVY, "2026-07", 58, 26, 19, 0, 0, 0, 0, 38, 0),
    (API_HEAVY, "2026-08", 56, 5, 17, 8, 2, 4, 0, 17, 4),
    (API_HEAVY, "2026-09", 108, 29, 21, 5, 1, 3, 0, 55, 1),
    (API_HEAVY, "2026-10", 34, 8, 17, 0, 0, 3, 0, 7, 1),
    (SMALL, "2026-05", 2, 3, 0, 0, 0, 0, 0, 1, 0),
    (SMALL, "2026-06", 2, 3, 0, 0, 0, 0, 0, 1, 0),
    (SMALL, "2026-07", 4, 6, 0, 0, 0, 0, 0, 2, 0),
    (SMALL, "2026-08", 2, 3, 0, 0, 0, 0, 0, 1, 0),
    (SMALL, "2026-09", 4, 6, 0, 0, 0, 0, 0, 2, 0),
    (SMALL, "2026-10", 7, 12, 0, 0, 0, 0, 0, 5, 0),
    (TINY, "2026-05", 1, 2, 0, 0, 0, 0, 0, 1, 0),
    (TINY, "2026-06", 1, 2, 0, 0, 0, 0, 0, 1, 0),
    (TINY, "2026-07", 1, 2, 0, 0, 0, 0, 0, 1, 0),
    (TINY, "2026-08", 1, 2, 0, 0, 0, 0, 0, 1, 0),
    (TINY, "2026-09", 1, 2, 0, 0, 0, 0, 0, 1, 0),
    (TINY, "2026-10", 1, 2, 0, 0, 0, 0, 0, 1, 0),
    (IN_TRIAL, "2026-08", 4, 4, 0, 0, 0, 0, 0, 2, 0),
    (IN_TRIAL, "2026-09", 6, 6, 0, 0, 0, 0, 0, 3, 0),
    (IN_TRIAL, "2026-10", 6, 6, 0, 0, 0, 0, 0, 3, 0),
    (EXPIRED, "2026-05", 6, 6, 0, 0, 0, 0, 0, 3, 0),
    (EXPIRED, "2026-06", 6, 6, 0, 0, 0, 0, 0, 3, 0),
    (EXPIRED, "2026-07", 4, 4, 0, 0, 0, 0, 0, 2, 0),
    (EXPIRED, "2026-08", 2, 2, 0, 0, 0, 0, 0, 1, 0),
    (EXAMPLES, "2026-08", 221, 179, 7, 9, 295, 4, 4, 22, 3),
    (DELETED, "2026-05", 4, 6, 0, 0, 0, 0, 0, 2, 0),
    (DELETED, "2026-06", 4, 6, 0, 0, 0, 0, 0, 2, 0),
    (DELETED, "2026-07", 6, 9, 0, 0, 0, 0, 0, 3, 0),
    (DELETED, "2026-08", 4, 6, 0, 0, 0, 0, 0, 2, 0),
    (DELETED, "2026-09", 2, 3, 0, 0, 0, 0, 0, 1, 0),
    (NEW, "2026-09", 12, 6, 0, 6, 1, 0, 4, 5, 0),
    (NEW, "2026-10", 10, 10, 0, 0, 0, 0, 11, 5, 0),
    (OLD, "2026-05", 6, 6, 0, 0, 0, 0, 0, 2, 0),
    (OLD, "2026-06", 6, 6, 0, 0, 0, 0, 0, 2, 0),
    (OLD, "2026-07", 6, 6, 0, 0, 0, 0, 0, 2, 0),
    (OLD, "2026-08", 6, 6, 0, 0, 0, 0, 0, 2, 0),
    (OLD, "2026-09", 7, 7, 0, 0, 0, 0, 0, 3, 0),
    (OLD, "2026-10", 6, 6, 0, 0, 0, 0, 0, 2, 0),
    (UNLISTED, "2026-07", 1, 2, 0, 0, 0, 0, 0, 1, 0),
    (UNLISTED, "2026-08", 1, 2, 0, 0, 0, 0, 0, 1, 0),
    (UNLISTED, "2026-09", 1, 2, 0, 0, 0, 0, 0, 1, 0),
    (UNLISTED, "2026-10", 1, 2, 0, 0, 0, 0, 0, 1, 0),
)


def vendor_usage() -> None:
    for account_id, month, *figures in VENDOR_USAGE:
        year, number = map(int, month.split("-"))
        reported = date(year + number // 12, number % 12 + 1, 2)
        add(
            "vendor_usage",
            account_id=account_id,
            usage_month=f"{month}-01",
            **dict(zip(COLUMNS["vendor_usage"][2:-1], figures, strict=True)),
            extracted_at=f"{reported}T06:00:00+00:00",
        )


# ----------------------------------------------------------------------------


def as_text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_extracts() -> None:
    EXTRACTS_FOLDER.mkdir(parents=True, exist_ok=True)
    for extract, columns in COLUMNS.items():
        path = EXTRACTS_FOLDER / f"raw_{extract}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            for row in world[extract]:
                writer.writerow(as_text(row.get(column)) for column in columns)


def main() -> None:
    customers()
    subscriptions()
    seats()
    credit_ratios()
    connections()
    api_collections()
    recommended_recipes()
    recipes_that_come_and_go()
    everyday_usage()
    published_examples()
    step_rules()
    task_rules()
    recipe_types()
    api_and_mcp_jobs()
    agent_jobs()
    functions()
    requests_without_jobs()
    event_streams()
    genie_prompts()
    deliveries()
    bad_rows()
    edges_of_days()
    job_history()
    vendor_usage()
    write_extracts()


if __name__ == "__main__":
    main()
