"""The reference implementation itself: the published examples, single rules, and that comparing with it finds errors.

Worked by hand against reference.compute; no build, no SQL of the project.
"""

import csv
import gzip
import json
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from reference import contracts
from reference.comparison import RELATIONS, compare
from reference.contract_worlds import SMALL_TIERS, random_contract_world
from reference.files import FORMATS, drop_bad_rows, write_job_history, write_world
from reference.reference import Options, compute
from reference.worlds import merge_worlds, random_world

AT = "2024-05-10T12:00:00Z"
API, PROXY = ("workato_api_platform", "receive_request"), ("workato_api_proxy", "receive_request")
FUNCTION, SKILL, WEBHOOK = (
    ("workato_recipe_function", "execute"),
    ("workato_genie", "start_workflow"),
    ("clock", "scheduled_event"),
)
ELIGIBLE = ("salesforce", "create_object")
SYNC, ASYNC = ("workato_recipe_function", "call_recipe"), ("workato_recipe_function", "call_recipe_async")


def job(id="j", recipe="r", status="succeeded", **more):
    return {
        "id": id,
        "account_id": "a",
        "recipe_id": recipe,
        "status": status,
        "started_at": AT,
        "completed_at": AT,
        "extracted_at": AT,
        **more,
    }


def steps(*lines, job="j", account="a", at=AT):
    """A line is (adapter, operation) or (adapter, operation, {columns})."""
    rows = []
    for i, (adapter, operation, *more) in enumerate(lines):
        rows.append(
            {
                "account_id": account,
                "job_id": job,
                "line_index": i,
                "recipe_line_number": i,
                "adapter_name": adapter,
                "adapter_operation": operation,
                "status": "succeeded",
                "extracted_at": at,
                **(more[0] if more else {}),
            }
        )
    return rows


def request(**more):
    return {"id": "q", "account_id": "a", "requested_at": AT, "request_type": "managed", "extracted_at": AT, **more}


def mcp():
    return [{"id": "m", "account_id": "a", "is_mcp_server": True, "extracted_at": AT}]


def usage(world, **options):
    result = compute(world, Options(**options))
    assert not result.quarantined
    totals = Counter()
    for row in result.usage_by_capability:
        totals[row["metric"] + (f"/{row['call_type']}" if row["call_type"] else "")] += row["quantity"]
    return dict(totals)


def but_tasks(world, **options):
    return {k: v for k, v in usage(world, **options).items() if k != "tasks"}


def publish(n, endpoint, count):
    return [
        {
            "id": f"{endpoint}{i}",
            "account_id": "a",
            "requested_at": AT,
            "endpoint": endpoint,
            "message_count": c,
            "status": "succeeded",
            "extracted_at": AT,
        }
        for i, c in enumerate([count] * n if isinstance(count, int) else count)
    ]


def prompts(n):
    return [{"id": f"p{i}", "account_id": "a", "sent_at": AT, "extracted_at": AT} for i in range(n)]


CALLED = {"called_recipe_id": "f"}
CHILD = job("c", "f", calling_job_id="j")
IDP, EVENT = ("workato_idp", "process_document"), ("workato_pub_sub", "publish_to_topic")

EXAMPLES = {
    "API recipe": ({"jobs": [job()], "steps": steps(API, ELIGIBLE, ELIGIBLE)}, {"api_calls/managed": 1}),
    "API proxy": ({"api_requests": [request(request_type="proxy")]}, {"api_calls/proxy": 1}),
    "API proxy, as a job": (
        {
            "jobs": [job()],
            "steps": steps(PROXY, ("workato_api_proxy", "forward_request"), ("workato_api_proxy", "return_response")),
        },
        {"api_calls/proxy": 1},
    ),
    "API proxy with transformation": (
        {"jobs": [job()], "steps": steps(PROXY, ELIGIBLE, ("workato_api_proxy", "forward_request"))},
        {"api_calls/proxy_transformation": 1},
    ),
    "IDP within a workflow": (
        {"jobs": [job()], "steps": steps(WEBHOOK, ELIGIBLE, (*IDP, {"page_count": 3}))},
        {"business_actions": 1, "pages_processed": 3},
    ),
    "IDP within an API recipe": (
        {"jobs": [job()], "steps": steps(API, (*IDP, {"page_count": 2}))},
        {"api_calls/managed": 1, "pages_processed": 2},
    ),
    "Failed IDP operation": (
        {
            "jobs": [job(status="failed")],
            "steps": steps(WEBHOOK, (*IDP, {"page_count": 2}), (*IDP, {"page_count": 5, "status": "failed"})),
        },
        {"pages_processed": 2},
    ),
    "Messages consumed": (
        {"jobs": [job()], "steps": steps(("workato_pub_sub", "subscribe_to_topic"), ELIGIBLE)},
        {"business_actions": 1},
    ),
    "Messages published": (
        {"jobs": [job()], "steps": steps(ELIGIBLE, ELIGIBLE, EVENT)},
        {"business_actions": 2, "events_processed": 1},
    ),
    "Failed event": (
        {"jobs": [job(status="failed")], "steps": steps(*[ELIGIBLE] * 4, (*EVENT, {"status": "failed"}))},
        {"business_actions": 4},
    ),
    "Event streams API, consume": (
        {"event_stream_requests": publish(35, "consume", 1) + publish(1, "batch_consume", 50)},
        {},
    ),
    "Event streams API, publish": ({"event_stream_requests": publish(28, "publish", 1)}, {"events_processed": 28}),
    "Event streams API, batch publish": (
        {"event_stream_requests": publish(3, "batch_publish", [100, 100, 66])},
        {"events_processed": 266},
    ),
    "Workflow calls a function": (
        {
            "jobs": [job(), CHILD],
            "steps": steps(*[ELIGIBLE] * 5, (*SYNC, CALLED)) + steps(FUNCTION, *[ELIGIBLE] * 3, job="c"),
        },
        {"business_actions": 8},
    ),
    "API recipe calls a function synchronously": (
        {"jobs": [job(), CHILD], "steps": steps(API, (*SYNC, CALLED)) + steps(FUNCTION, *[ELIGIBLE] * 3, job="c")},
        {"api_calls/managed": 1},
    ),
    "API recipe calls a function asynchronously": (
        {"jobs": [job(), CHILD], "steps": steps(API, (*ASYNC, CALLED)) + steps(FUNCTION, *[ELIGIBLE] * 3, job="c")},
        {"api_calls/managed": 1, "business_actions": 3},
    ),
    "MCP call from an API recipe": (
        {
            "jobs": [job()],
            "steps": steps(API, ELIGIBLE),
            "api_collections": mcp(),
            "api_requests": [request(job_id="j", api_collection_id="m")],
        },
        {"mcp_calls": 1},
    ),
    "API proxy as an MCP server": (
        {"api_collections": mcp(), "api_requests": [request(request_type="proxy", api_collection_id="m")]},
        {"mcp_calls": 1},
    ),
    "API recipe with IDP as an MCP server": (
        {
            "jobs": [job()],
            "steps": steps(API, (*IDP, {"page_count": 2})),
            "api_collections": mcp(),
            "api_requests": [request(job_id="j", api_collection_id="m")],
        },
        {"mcp_calls": 1, "pages_processed": 2},
    ),
    "MCP with a synchronous function": (
        {
            "jobs": [job(), CHILD],
            "steps": steps(API, (*SYNC, CALLED)) + steps(FUNCTION, ELIGIBLE, job="c"),
            "api_collections": mcp(),
            "api_requests": [request(job_id="j", api_collection_id="m")],
        },
        {"mcp_calls": 1},
    ),
    "Skill task": (
        {"genie_prompts": prompts(1), "jobs": [job()], "steps": steps(SKILL, *[ELIGIBLE] * 3)},
        {"genie_actions": 1},
    ),
    "Skill and reasoning": ({"genie_prompts": prompts(2)}, {"genie_actions": 2}),
    "Skill calls a function": (
        {"jobs": [job(), CHILD], "steps": steps(SKILL, (*SYNC, CALLED)) + steps(FUNCTION, ELIGIBLE, ELIGIBLE, job="c")},
        {"business_actions": 2},
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_published_example(name):
    world, expected = EXAMPLES[name]
    assert but_tasks(world) == expected


def test_tasks_three_actions():
    world = {"jobs": [job()], "steps": steps(WEBHOOK, ("logger", "log_message"), ELIGIBLE, ("pgp", "encrypt"))}
    assert usage(world)["tasks"] == 3
    assert usage(world, task_terms="T1")["tasks"] == 4


def test_tasks_failed_job():
    assert (
        usage(
            {
                "jobs": [job(status="failed")],
                "steps": steps(WEBHOOK, *[ELIGIBLE] * 4, (*ELIGIBLE, {"status": None, "error": "boom"})),
            }
        )["tasks"]
        == 4
    )


def test_loop():
    world = {"jobs": [job()], "steps": steps(WEBHOOK, *[ELIGIBLE] * 150)}
    for i, step in enumerate(world["steps"][1:]):
        step["recipe_line_number"] = 2 + i % 3
    assert usage(world) == {"tasks": 150, "business_actions": 150}


def test_t_call_and_t1():
    world, _ = EXAMPLES["Workflow calls a function"]
    assert usage(world)["tasks"] == 4 + 1 + 3
    assert usage(world, task_terms="T1")["tasks"] == 1 + 4 + 0 + 1 + 3


def test_t_proxy_and_refusals():
    assert usage({"api_requests": [request(request_type="proxy")]}) == {"api_calls/proxy": 1, "tasks": 1}
    assert usage({"api_requests": [request(request_type="proxy", gateway_code="429")]}) == {}
    assert usage({"api_requests": [request(request_type="proxy", internal_error=True)]}) == {}
    assert usage({"api_requests": [request(job_id="nowhere")]}) == {}


def test_a_nested_chain_stays_a_continuation_until_an_asynchronous_edge():
    def chain(how):
        return {
            "jobs": [job(), CHILD, job("d", "g", calling_job_id="c"), job("e", "h", calling_job_id="d")],
            "steps": steps(API, (*SYNC, CALLED))
            + steps(FUNCTION, (*how, {"called_recipe_id": "g"}), job="c")
            + steps(FUNCTION, ELIGIBLE, (*SYNC, {"called_recipe_id": "h"}), job="d")
            + steps(FUNCTION, ELIGIBLE, job="e"),
        }

    assert but_tasks(chain(SYNC)) == {"api_calls/managed": 1}
    assert but_tasks(chain(ASYNC)) == {"api_calls/managed": 1, "business_actions": 2}
    rules = {j["job_id"]: j["context_rule_id"] for j in compute(chain(SYNC)).metered_jobs}
    assert rules == {"j": "J-API", "c": "J-FN-SYNC-API", "d": "J-FN-NESTED", "e": "J-FN-NESTED"}


def test_the_members_of_a_cycle_are_orphans_and_what_they_call_asynchronously_is_a_workflow():
    world = {
        "jobs": [
            job("c", "f", calling_job_id="d"),
            job("d", "g", calling_job_id="c"),
            job("e", "h", calling_job_id="d"),
        ],
        "steps": steps(FUNCTION, (*SYNC, {"called_recipe_id": "g"}), job="c")
        + steps(FUNCTION, (*SYNC, CALLED), (*ASYNC, {"called_recipe_id": "h"}), job="d")
        + steps(FUNCTION, ELIGIBLE, job="e"),
    }
    rules = {job["job_id"]: job["context_rule_id"] for job in compute(world).metered_jobs}
    assert rules == {"c": "J-FN-ORPHAN", "d": "J-FN-ORPHAN", "e": "J-FN-WORKFLOW"}


def test_the_latest_delivery_wins_whole_and_homeless_steps_join_it():
    later = "2024-05-11T00:00:00+02:00"
    world = {
        "jobs": [job(status="pending", completed_at=None), job(extracted_at=later)],
        "steps": steps(WEBHOOK, ELIGIBLE, ELIGIBLE, ELIGIBLE)
        + steps(WEBHOOK, ("logger", "x"), at="2024-05-10T22:00:00")
        + steps(*[ELIGIBLE] * 3, at="2024-05-10T23:59:00Z"),
    }
    result = compute(world)
    assert [s["adapter_name"] for s in result.metered_steps] == ["clock", "logger", "salesforce"]


def test_dates_follow_the_reporting_time_zone():
    world = {"jobs": [job(completed_at="2024-06-01T01:00:00+00:00")], "steps": steps(ELIGIBLE)}
    assert compute(world).metered_jobs[0]["usage_date"] == date(2024, 6, 1)
    assert compute(world, Options(reporting_timezone="America/New_York")).metered_jobs[0]["usage_date"] == date(
        2024, 5, 31
    )


def test_seats_take_the_peak_and_its_first_days_ratio():
    world = {
        "customers": [
            {"id": "a", "name": "A", "created_at": "2024-04-20T00:00:00Z", "extracted_at": "2024-05-31T12:00:00Z"}
        ],
        "seats": [
            {"id": 1, "account_id": "a", "product": "workato_go", "seats": 5, "effective_from": "2024-05-01"},
            {
                "id": 2,
                "account_id": "a",
                "product": "workato_go",
                "seats": 2,
                "effective_from": "2024-05-10",
                "effective_to": "2024-05-20",
            },
        ],
        "credit_ratios": [
            {
                "metric": "go_seats",
                "credits_per_unit": "1",
                "effective_from": "2024-01-01",
                "effective_to": "2024-05-05",
            },
            {"metric": "go_seats", "credits_per_unit": "1.5", "effective_from": "2024-05-05", "effective_to": None},
        ],
    }
    months = contracts.compute(world).monthly_customer_usage
    assert [
        (m["usage_month"], m["go_seats"], m["credits"], m["is_fully_priced"], m["is_current_month"]) for m in months
    ] == [(date(2024, 4, 1), 0, Decimal(0), True, False), (date(2024, 5, 1), 7, Decimal("10.5"), True, True)]


def test_the_plan_decides_what_is_billed():
    world = {
        "jobs": [job()],
        "steps": steps(WEBHOOK, ELIGIBLE, ("logger", "x")),
        "credit_ratios": [{"metric": "tasks", "credits_per_unit": 2, "effective_from": "2024-01-01"}],
    }
    month = contracts.compute(world).monthly_customer_usage[0]
    assert (month["credits"], month["is_fully_priced"]) == (None, False)
    world["subscriptions"] = [{"account_id": "a", "recipe_metric": "tasks", "effective_from": "2024-01-01"}]
    month = contracts.compute(world).monthly_customer_usage[0]
    assert (month["credits"], month["is_fully_priced"], month["tasks"], month["business_actions"]) == (4, True, 2, 1)


def test_bad_rows_stand_in_quarantine():
    world = {
        "jobs": [job(), job("k", status="exploded"), job("l", completed_at="soon"), job(None)],
        "steps": steps(WEBHOOK, ELIGIBLE) + steps(WEBHOOK, job="k") + steps(WEBHOOK, account="b"),
    }
    result = compute(world)
    assert [(q["extract"], q["reason"]) for q in result.quarantined] == [
        ("jobs", "unknown status word"),
        ("jobs", "unreadable time"),
        ("jobs", "missing id"),
        ("steps", "step without job"),
        ("steps", "step without job"),
    ]
    assert len(result.metered_steps) == 2


# ------------------------------------------------------------------------------------------- the Usage metrics tab


def customer(id="a", at=AT, **more):
    return {"id": id, "name": f"Customer {id}", "created_at": "2023-01-01", "extracted_at": at, **more}


def connection(id, at=AT, **more):
    row = {"id": id, "user_id": "a", "provider": "salesforce", "authorization_status": "success"}
    return {**row, "authorized_at": "2024-01-02", "created_at": "2024-01-01", "extracted_at": at, **more}


def recipe(id, at=AT, **more):
    row = {"id": id, "user_id": "a", "name": f"Recipe {id}", "trigger_application": "salesforce", "running": True}
    return {**row, "created_at": "2024-01-01", "extracted_at": at, **more}


def worked(account, tasks, id="j", recipe="r", at=AT, status="succeeded"):
    """A job that ran so many actions, and nothing else that counts."""
    lines = steps(WEBHOOK, *[("logger", "log_message")] * tasks, job=id, account=account, at=at)
    return {"jobs": [job(id, recipe, status, account_id=account, completed_at=at, extracted_at=at)], "steps": lines}


def together(*worlds):
    rows = {}
    for world in worlds:
        for extract, more in world.items():
            rows.setdefault(extract, []).extend(more)
    return rows


def table(rows, *columns):
    return [tuple(str(v) if isinstance(v, date) else v for v in (row[c] for c in columns)) for row in rows]


def test_a_month_end_uses_the_last_listing_at_or_before_it():
    """The first listing stands at the very end of February; the second loses the connection, the third is April's."""
    world = {
        "connections": [
            connection("k", "2024-03-01T00:00:00Z"),
            connection("k", "2024-03-20T00:00:00Z", authorization_status="exception"),
            connection("other", "2024-03-20T00:00:00Z", authorization_status=None),
            connection("k", "2024-04-10T00:00:00Z"),
            connection("other", "2024-04-10T00:00:00Z"),
        ]
    }
    assert table(compute(world).connection_trends, "usage_month", "connections", "is_reconstructed") == [
        ("2023-11-01", 0, True),
        ("2023-12-01", 0, True),
        ("2024-01-01", 1, True),  # authorized on January 2
        ("2024-02-01", 1, False),
        ("2024-03-01", 0, False),
        ("2024-04-01", 2, False),
    ]


def test_authorized_at_the_very_end_of_a_month_is_not_before_it():
    world = {
        "connections": [
            connection("at it", authorized_at="2024-02-01T00:00:00Z"),
            connection("before", authorized_at="2024-01-31T23:59:59.999999Z"),
            connection("never said", authorized_at=None),
            connection("lost", authorization_status="failed", authorized_at="2023-01-01"),
        ]
    }

    def months(**options):
        return [row["connections"] for row in compute(world, Options(**options)).connection_trends]

    # December to May; only the listing of May knows the connection without a time
    assert months() == [0, 1, 2, 2, 2, 3]
    # the month ends at 08:00 UTC there, so both were before it
    assert months(reporting_timezone="America/Los_Angeles") == [0, 2, 2, 2, 2, 3]


def test_a_month_without_listing_holds_recipes_that_run_or_were_not_stopped_before_its_end():
    world = {
        "recipes": [
            recipe("created at the end of January", created_at="2024-02-01"),
            recipe("stopped at the end of February", running=False, stopped_at="2024-03-01"),
            recipe("stopped before it", running=False, stopped_at="2024-02-29T23:59:59Z"),
            recipe("stopped, nobody knows when", running=False),
            recipe("runs again", stopped_at="2024-01-05"),
        ]
    }
    columns = ("usage_month", "active_recipes", "recipes_started", "recipes_stopped", "is_reconstructed")
    assert table(compute(world).active_recipe_trends, *columns) == [
        ("2023-12-01", 0, 0, 0, True),
        ("2024-01-01", 3, 3, 0, True),  # both that stopped later, and the one that runs again
        ("2024-02-01", 3, 1, 1, True),
        ("2024-03-01", 2, 0, 1, True),
        ("2024-04-01", 2, 0, 0, True),
        ("2024-05-01", 2, 0, 0, False),
    ]


def test_customers_are_new_or_deleted_from_one_months_end_to_the_next():
    march, april, may = "2024-03-31T12:00:00Z", "2024-04-30T12:00:00Z", AT
    world = {
        "customers": [
            customer("stays", march, created_at="2024-02-10"),
            customer("stays", april, subscription_expired=True, created_at="2024-02-10"),
            customer("stays", may, created_at="2024-02-10"),
            customer("comes back", march),
            customer("comes back", may),
            customer("comes and goes", "2024-04-02T00:00:00Z", created_at="2024-04-01"),
            customer("goes", march),
            customer("the partner", may),
        ]
    }
    columns = ("usage_month", "customers", "new_customers", "deleted_customers", "is_reconstructed")
    assert table(compute(world, Options(admin_account_ids=("the partner",))).customer_trends, *columns) == [
        ("2023-12-01", 2, 0, 0, True),
        ("2024-01-01", 2, 0, 0, True),
        ("2024-02-01", 3, 1, 0, True),
        ("2024-03-01", 3, 0, 0, False),
        ("2024-04-01", 1, 0, 2, False),
        ("2024-05-01", 2, 1, 0, False),
    ]


def test_a_running_recipe_that_is_deleted_has_stopped():
    world = {"recipes": [recipe("r", "2024-04-30T00:00:00Z"), recipe("s", AT, created_at="2024-05-02")]}
    columns = ("active_recipes", "recipes_started", "recipes_stopped")
    assert table(compute(world).active_recipe_trends, *columns)[-2:] == [(1, 0, 0), (1, 1, 1)]


def test_a_listing_later_than_the_as_of_date_is_not_looked_at():
    world = {
        "customers": [customer("a", "2024-05-01T00:00:00Z"), customer("a", AT), customer("b", AT)],
        "recipes": [recipe("r", "2024-05-09T23:00:00Z", parent_id="x"), recipe("s", AT, parent_id="x")],
        "connections": [connection("k", "2024-05-10T06:00:00Z"), connection("l", "2024-05-10T14:00:00Z")],
        "recommended_recipes": [{"recipe_id": "x", "name": "X"}],
    }
    result = compute(world, Options(as_of_date="2024-05-09", reporting_timezone="America/Los_Angeles"))
    assert table(result.customer_trends, "usage_month", "customers")[-1] == ("2024-05-01", 1)
    assert table(result.active_recipe_trends, "active_recipes", "is_reconstructed")[-1] == (1, False)
    assert table(result.connection_trends, "connections", "is_reconstructed")[-1] == (1, False)  # 23:00 on the 9th
    assert table(result.customer_details, "customer_id", "status", "active_recipes") == [
        ("a", "active", 1),
        ("b", "unlisted", 0),
    ]
    assert table(result.top_recommended_recipes, "recipe_id", "clones") == [("x", 1)]


def test_before_the_first_listing_even_the_current_month_is_reconstructed_but_not_the_clones():
    world = {
        "customers": [customer("a"), customer("b", created_at="2024-04-02")],
        "recipes": [recipe("r", parent_id="x")],
        "recommended_recipes": [{"recipe_id": "x", "name": "X"}],
    }
    result = compute(world, Options(as_of_date="2024-04-01"))
    assert table(result.customer_trends, "customers", "is_reconstructed")[-1] == (1, True)
    assert table(result.customer_details, "customer_id", "active_recipes") == [("a", 1), ("b", 0)]
    assert result.top_recommended_recipes == []


def test_after_the_last_listing_it_still_holds():
    world = {"customers": [customer("a", "2024-05-01T00:00:00Z")], "connections": [connection("k")]}
    result = compute(world, Options(as_of_date="2024-07-20"))
    assert table(result.connection_trends, "usage_month", "connections", "is_reconstructed")[-3:] == [
        ("2024-05-01", 1, False),
        ("2024-06-01", 1, False),
        ("2024-07-01", 1, False),
    ]
    assert [row["customer_id"] for row in result.customer_details] == ["a"]


def test_history_begins_with_the_first_creation_even_one_in_an_admin_account():
    world = {
        "customers": [customer("a", created_at="2023-08-20")],
        "recipes": [recipe("r", user_id="the partner", created_at="2023-07-01T01:00:00Z")],
        "connections": [connection("k", created_at="soon")],
    }
    result = compute(world, Options(admin_account_ids=("the partner",)))
    first = [rows[0]["usage_month"] for rows in (result.monthly_customers, result.monthly_connections)]
    assert first == [date(2023, 7, 1)] * 2
    assert [row["customers"] for row in result.monthly_customers] == [0] + [1] * 10
    assert {row["active_recipes"] for row in result.monthly_active_recipes} == {0}
    west = compute(world, Options(admin_account_ids=("the partner",), reporting_timezone="America/Los_Angeles"))
    assert west.monthly_customers[0]["usage_month"] == date(2023, 6, 1)
    assert result.customer_trends == result.monthly_customers[-6:]
    assert len(compute({"customers": [customer(created_at=AT)]}).monthly_active_recipes) == 6


def test_the_three_customers_with_most_tasks_in_twelve_months_ties_by_the_bytes_of_their_names():
    world = together(
        *(worked(account, tasks) for account, tasks in [("1", 3), ("2", 3), ("3", 3), ("4", 3), ("5", 2), ("6", 0)]),
        worked("5", 2, "k", at="2023-06-01T00:00:00Z"),  # in the first of the twelve months
        worked("6", 9, at="2023-05-31T23:59:59Z", id="l"),  # a month too early
        worked("the partner", 50),
        {
            "customers": [
                customer("1", name="ä"),
                customer("2", name="a"),
                customer("3", name="B"),
                customer("5", name=""),
                customer("6"),
            ]
        },
    )
    columns = ("rank", "customer_id", "customer_name", "tasks", "months_from", "months_to")
    options = {"admin_account_ids": ("the partner",)}
    assert table(compute(world, Options(**options)).top_customers, *columns) == [
        (1, "5", None, 4, "2023-06-01", "2024-05-01"),
        (2, "3", "B", 3, "2023-06-01", "2024-05-01"),
        (3, "2", "a", 3, "2023-06-01", "2024-05-01"),
    ]
    later = compute(world, Options(**options, as_of_date="2024-06-01")).top_customers
    assert table(later, "customer_name", "tasks") == [("B", 3), ("a", 3), ("ä", 3)]  # before the nameless fourth
    nameless = {**world, "customers": world["customers"][3:]}
    assert [row["customer_id"] for row in compute(nameless, Options(**options)).top_customers] == ["5", "1", "2"]
    assert compute(world, Options(**options, as_of_date="2025-05-01")).top_customers == []


def test_monthly_tasks_begin_in_october_2020_and_leave_no_month_out():
    world = together(
        worked("a", 2, at="2020-09-30T23:00:00Z"),
        worked("a", 3, "k", at="2020-10-01T00:00:00Z"),
        worked("b", 4, "l", at="2020-12-24T00:00:00Z"),
        worked("c", 0, "m", at="2020-12-24T00:00:00Z"),
        worked("a", 1, "n", at="2020-12-25T00:00:00Z"),
        worked("the partner", 1, "o", at="2020-11-25T00:00:00Z"),
    )
    result = compute(world, Options(admin_account_ids=("the partner",)))
    assert table(result.monthly_tasks, "usage_month", "tasks", "active_customers") == [
        ("2020-10-01", 3, 1),
        ("2020-11-01", 0, 0),
        ("2020-12-01", 5, 2),
    ]
    assert compute(world, Options(as_of_date="2020-09-30")).monthly_tasks == []


def test_the_apps_with_most_connections_fold_second_ones_and_name_custom_ones_by_their_slug():
    custom = "my_CRM_connector_7_1700000000"
    providers = ["slack", "slack_secondary", "asana_secondary", custom, f"{custom}_secondary", "brand_new", None]
    world = {
        "connections": [
            *(connection(i, provider=provider) for i, provider in enumerate(providers)),
            connection("of an unlisted account", provider="slack", user_id="b"),
            connection("failed", provider="asana", authorization_status="failed"),
            connection("of the partner", provider="asana", user_id="the partner"),
        ]
    }
    result = compute(world, Options(admin_account_ids=("the partner",)))
    assert result.connection_trends[-1]["connections"] == 8
    assert table(result.top_apps, "rank", "app", "app_name", "connections", "customers", "share") == [
        (1, "slack", "Slack", 3, 2, Decimal("0.375")),
        (2, custom, "My CRM", 2, 1, Decimal("0.25")),
        (3, "asana", "Asana", 1, 1, Decimal("0.125")),
        (4, "brand_new", "brand_new", 1, 1, Decimal("0.125")),
    ]


def test_only_ten_apps_are_ranked_and_two_of_one_name_by_their_adapters():
    twins = ["crm_connector_9_1", "crm_connector_10_1"]
    apps = [f"z{i:02}" for i in range(9)] + twins
    result = compute({"connections": [connection(app, provider=app) for app in apps]})
    assert [row["app"] for row in result.top_apps] == [*reversed(twins), *apps[:8]]
    assert {row["share"] for row in result.top_apps} == {Decimal("0.090909")}


def test_clones_of_a_recommended_recipe_are_its_customers_recipes_in_any_listing_not_clones_of_clones():
    before = "2024-04-01T00:00:00Z"
    world = {
        "recipes": [
            recipe("deleted since", before, parent_id="x"),
            recipe("kept", before, parent_id="x"),
            recipe("kept", AT, parent_id="x"),
            recipe("parent forgotten", before, parent_id="x"),
            recipe("parent forgotten", AT),
            recipe("stopped, of an unlisted account", AT, parent_id="x", user_id="b", running=False),
            recipe("clone of a clone", AT, parent_id="kept"),
            recipe("of the partner", AT, parent_id="x", user_id="the partner"),
            recipe("once x, now y", before, parent_id="x"),
            recipe("once x, now y", AT, parent_id="y"),
        ],
        "recommended_recipes": [
            {"recipe_id": "x", "name": "Ordinary", "recommended_from": "2030-01-01"},
            {"recipe_id": "y", "name": "Young"},
            {"recipe_id": "never cloned", "name": "Alone"},
        ],
    }
    options = Options(admin_account_ids=("the partner",))
    columns = ("rank", "recipe_id", "recipe_name", "clones", "customers")
    assert table(compute(world, options).top_recommended_recipes, *columns) == [
        (1, "x", "Ordinary", 5, 2),
        (2, "y", "Young", 1, 1),
    ]
    world["recommended_recipes"].append({"recipe_id": "kept", "name": "Also Young"})
    assert table(compute(world, options).top_recommended_recipes, *columns)[1:] == [
        (2, "kept", "Also Young", 1, 1),
        (3, "y", "Young", 1, 1),
    ]


def test_only_five_recommended_recipes_are_ranked_of_one_name_by_their_ids():
    ids = ["x10", "x9", "x8", "x7", "x6", "x5"]
    world = {
        "recipes": [recipe(f"clone of {id}", parent_id=id) for id in ids],
        "recommended_recipes": [{"recipe_id": id, "name": "Sync"} for id in ids],
    }
    assert [row["recipe_id"] for row in compute(world).top_recommended_recipes] == ["x10", "x5", "x6", "x7", "x8"]


def test_each_customer_opens_its_detail():
    world = together(
        worked("a", 4, recipe="r"),
        worked("a", 2, "k", at="2024-01-31T22:30:00+02:00", status="failed"),
        worked("a", 7, "l", at="2023-05-31T00:00:00Z"),
        {"jobs": [job("poll", account_id="a", is_poll_error=True, completed_at="2024-05-10T13:00:00Z")]},
        {
            "customers": [
                customer("a", "2024-05-01T00:00:00Z", name="Old", in_trial=True),
                customer("a", name="New", plan_id="p", external_id="e", subscription_expired=True, in_trial=True),
                customer("idle", in_trial=True, created_at="2024-05-10T01:00:00+02:00"),
                customer("plain"),
                customer("deleted", "2024-05-01T00:00:00Z"),
                customer("the partner"),
            ],
            "connections": [
                connection("k"),
                connection("l", provider="salesforce_secondary"),
                connection("m", provider="slack"),
                connection("n", provider=None),
                connection("o", provider="asana", authorization_status=None),
                connection("p", user_id="deleted"),
            ],
            "recipes": [recipe("r"), recipe("s", running=False), recipe("t", user_id="nobody")],
        },
    )
    result = compute(world, Options(admin_account_ids=("the partner",)))
    first, deleted, idle, nobody, plain = result.customer_details
    assert first == {
        "customer_id": "a",
        "external_id": "e",
        "customer_name": "New",
        "plan_id": "p",
        "status": "expired",
        "created_at": datetime(2023, 1, 1),
        "connections": 4,
        "active_recipes": 1,
        "apps": 2,
        "tasks_last_12_months": 6,
        "tasks_this_month": 4,
        "failed_job_share_last_12_months": Decimal("0.5"),  # k of j and k; the poll error is no job
        "last_job_at": datetime(2024, 5, 10, 12),
    }
    assert (idle["status"], idle["created_at"], idle["last_job_at"]) == ("trial", datetime(2024, 5, 9, 23), None)
    assert idle["failed_job_share_last_12_months"] is None
    assert (deleted["status"], deleted["connections"], deleted["apps"]) == ("deleted", 1, 1)
    assert (nobody["status"], nobody["customer_name"], nobody["active_recipes"]) == ("unlisted", None, 1)
    assert (plain["status"], plain["connections"], plain["apps"], plain["tasks_last_12_months"]) == ("active", 0, 0, 0)
    assert result.connection_trends[-1]["connections"] == 5  # the deleted customer's among them
    assert result.active_recipe_trends[-1]["active_recipes"] == 2


def test_usage_by_app_environment_and_recipe():
    world = together(
        {
            "jobs": [job(environment_type="prod"), job("k", environment_type="dev"), job("p", account_id="partner")],
            "steps": steps(("slack_secondary", "new_event"), ("slack", "post"), ("logger", "x"), (None, None))
            + steps(WEBHOOK, ELIGIBLE, (*IDP, {"page_count": 2}), job="k")
            + steps(WEBHOOK, ELIGIBLE, job="p", account="partner"),
            "api_requests": [request(request_type="proxy", recipe_id="s")],
            "genie_prompts": prompts(3),
            "seats": [
                {"id": 1, "account_id": "a", "product": "workato_go", "seats": 5, "effective_from": "2024-05-01"}
            ],
            "recipes": [
                recipe("r", "2024-05-01T00:00:00Z", name="Old", project_id="o", project_name="Old project"),
                recipe("r", name="New", project_id="p", project_name="New project"),
                recipe("s", user_id="another"),
            ],
        },
    )
    result = compute(world, Options(admin_account_ids=("partner",)))
    assert sorted(
        table(result.monthly_app_usage, "usage_month", "customer_id", "app", "tasks", "business_actions")
    ) == [
        ("2024-05-01", "a", "logger", 1, 0),
        ("2024-05-01", "a", "salesforce", 1, 1),
        ("2024-05-01", "a", "slack", 1, 2),
        ("2024-05-01", "a", "workato_idp", 1, 0),
    ]
    metrics = (
        "tasks",
        "business_actions",
        "api_calls",
        "pages_processed",
        "events_processed",
        "mcp_calls",
        "genie_actions",
    )
    assert sorted(table(result.monthly_environment_usage, "environment_type", *metrics), key=str) == [
        ("dev", 2, 1, 0, 2, 0, 0, 0),
        ("prod", 2, 2, 0, 0, 0, 0, 0),
        (None, 1, 0, 1, 0, 0, 0, 3),
    ]
    assert table(result.monthly_recipe_usage, "recipe_id", "recipe_name", "project_id", "project_name", *metrics) == [
        ("r", "New", "p", "New project", 4, 3, 0, 2, 0, 0, 0),
        ("s", None, None, None, 1, 0, 1, 0, 0, 0, 0),
    ]
    before = compute(world, Options(as_of_date="2024-04-30"))
    assert before.monthly_app_usage == before.monthly_environment_usage == before.monthly_recipe_usage == []


@pytest.mark.parametrize(
    ("succeeded", "failed", "share"),
    [(2, 1, "0.333333"), (1, 2, "0.666667"), (127, 1, "0.007813"), (0, 3, "1"), (3, 0, "0"), (0, 0, None)],
)
def test_the_failed_share_is_of_the_jobs_that_succeeded_or_failed(succeeded, failed, share):
    statuses = ["succeeded"] * succeeded + ["failed"] * failed + ["canceled"]
    world = {"customers": [customer(created_at=AT)], "jobs": [job(f"j{n}", status=s) for n, s in enumerate(statuses)]}
    (month,) = compute(world).monthly_customer_usage
    assert month["failed_job_share"] == (share and Decimal(share))


def merged_worlds(seeds=range(3)):
    world, admins = merge_worlds({f"w{seed}-": random_world(seed, 12) for seed in seeds})
    return world, Options(admin_account_ids=tuple(admins))


def decisions(world, options):
    """Every row of the result, and how many rows of each extract are bad."""
    result = contracts.compute(world, options)
    rows = {
        relation: Counter(tuple(row.items()) for row in getattr(result, relation.split(".")[1]))
        for relation in RELATIONS
    }
    return rows, Counter(row["extract"] for row in result.quarantined)


def read_back(folder, extract, fmt):
    """The rows of an extract's files, without any of the project's code."""
    for path in sorted(Path(folder, extract).rglob(f"*.{fmt}")):
        if fmt == "parquet":
            with duckdb.connect() as db:
                found = db.execute("set timezone = 'Asia/Kolkata'").execute(f"select columns(*)::varchar from '{path}'")
                names = [column[0] for column in found.description]
                yield from (dict(zip(names, row, strict=True)) for row in found.fetchall())
            continue
        with gzip.open(path, "rt") if fmt.endswith("gz") else path.open(newline="") as file:
            yield from csv.DictReader(file) if fmt.startswith("csv") else map(json.loads, file)


def test_a_seed_is_a_world():
    assert random_world(5) == random_world(5)


def test_repeated_rows_and_their_order_change_nothing(tmp_path):
    world, options = merged_worlds()
    delivered = write_world(world, tmp_path, split=4, seed=3)
    assert sum(map(len, delivered.values())) > sum(map(len, world.values()))
    assert decisions(delivered, options)[0] == decisions(world, options)[0]


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_is_written_reads_the_same(tmp_path, fmt):
    world, options = merged_worlds()
    delivered = write_world(drop_bad_rows(world) if fmt == "parquet" else world, tmp_path, fmt, split=4)
    again = {extract: list(read_back(tmp_path, extract, fmt)) for extract in delivered}
    assert decisions(again, options) == decisions(delivered, options)


def test_nested_jobs_say_the_same_as_flat_ones(tmp_path):
    world, options = merged_worlds(range(4))
    rest = write_job_history(world, tmp_path, seed=2)
    files = [json.loads(path.read_text()) for path in Path(tmp_path, "job_history").rglob("*.json")]
    assert len(files) == len(rest["job_history"]) > 50
    assert decisions(rest, options)[0] == decisions(world, options)[0]
    assert decisions({**rest, "job_history": files}, options)[0] == decisions(world, options)[0]


def warehouse_of(result, relations=tuple(RELATIONS)):
    """A database with the result as if models had computed it."""
    db = duckdb.connect()
    for relation in relations:
        rows = getattr(result, relation.split(".")[1])
        if relation == "marts.monthly_credits":  # which shows what is not billed, too
            rows = [row | {"billed_quantity": row["quantity"]} for row in rows]
        types = {int: "bigint", str: "varchar", bool: "boolean", date: "date", Decimal: "decimal(38, 9)"}
        types[datetime] = "timestamp"
        columns = ", ".join(
            f"{name} {types[next((type(row[name]) for row in rows if row[name] is not None), str)]}" for name in rows[0]
        )
        db.execute(f"create schema if not exists {relation.split('.')[0]}")
        db.execute(f"create table {relation} ({columns})")
        db.executemany(
            f"insert into {relation} values ({', '.join('?' * len(rows[0]))})", [list(row.values()) for row in rows]
        )
    db.execute("create schema if not exists audit")
    db.execute("create table audit.quarantined_rows (extract_name varchar)")
    db.executemany("insert into audit.quarantined_rows values (?)", [[row["extract"]] for row in result.quarantined])
    db.execute("create schema if not exists intake")
    db.execute("create table intake.delivery_totals as select ? as rows_ignored", [result.ignored])
    db.execute("create table audit.findings (finding varchar, customer_id varchar, subject varchar)")
    db.executemany("insert into audit.findings values (?, ?, ?)", [list(flag) for flag in result.flags])
    return db


@pytest.fixture(scope="module")
def computed():
    """(a world, its options, what the reference computes, a database with that)"""
    world, admins = merge_worlds({f"w{seed}-": random_contract_world(seed, 12) for seed in (1, 2)})
    options = Options(admin_account_ids=tuple(admins))
    result = contracts.compute(world, options, SMALL_TIERS)
    return world, options, result, warehouse_of(result)


def test_comparing_with_the_same_finds_nothing(computed):
    world, options, result, warehouse = computed
    assert compare(warehouse, world, options, tiers=SMALL_TIERS).differences == []
    assert compare(warehouse, world, options, result=result).differences == []


@pytest.mark.parametrize(
    "damage",
    [
        "update metering.metered_steps set quantity = quantity + 1 where rowid = 3",
        "update metering.metered_jobs set usage_date = null "
        "where rowid = (select min(rowid) from metering.metered_jobs where usage_date is not null)",
        "delete from marts.usage_by_capability where rowid = 5",
        "insert into metering.metered_requests select * from metering.metered_requests where rowid = 1",
        "update marts.monthly_customer_usage set credits = credits + 0.000000001 where rowid = 2",
        "update marts.monthly_customer_usage set failed_job_share = 0.5 where rowid = 1",
        "update marts.monthly_tasks set active_customers = active_customers + 1 where usage_month = '2024-03-01'",
        "update marts.top_customers set customer_name = 'Another' where rank = 2",
        "delete from marts.monthly_connections where usage_month = '2020-11-01'",
        "update marts.connection_trends set is_reconstructed = not is_reconstructed where usage_month = '2024-02-01'",
        "update marts.top_apps set share = share + 0.000001 where rank = 1",
        "update marts.customer_trends set deleted_customers = null where usage_month = '2024-06-01'",
        "update marts.top_recommended_recipes set clones = clones + 1 where rank = 1",
        "update marts.customer_details set last_job_at = last_job_at + interval 1 microsecond where rowid = 0",
        "delete from marts.monthly_app_usage where rowid = 2",
        "update marts.monthly_environment_usage set pages_processed = pages_processed + 1 where rowid = 0",
        "update marts.monthly_recipe_usage set project_name = 'Another' where rowid = 0",
        "update marts.monthly_figures set quantity = quantity + 0.000000001 where rowid = 3",
        "update marts.monthly_credits set billed_quantity = billed_quantity + 1 where rowid = 1",
        "update marts.monthly_credits set is_unpriced = not is_unpriced where rowid = 2",
        "update marts.billing_periods set used = used + 0.000000001 where rowid = 3",
        "update marts.billing_periods set exceeded_on = null "
        "where rowid = (select min(rowid) from marts.billing_periods where exceeded_on is not null)",
        "delete from marts.contract_usage where rowid = 2",
        "update marts.usage_thresholds set crossed_on = crossed_on - 1 where rowid = 1",
        "update marts.high_volume_recipes set tier = tier + 1 where rowid = 0",
        "update marts.usage_reconciliation set quantity = quantity + 1 where rowid = 0",
        "update marts.usage_reconciliation set our_quantity = our_quantity - 1 where rowid = 2",
        "delete from marts.usage_reconciliation where rowid = 4",
        "update audit.job_reconciliation set cause = null "
        "where rowid = (select min(rowid) from audit.job_reconciliation where cause = 'platform_count')",
        "delete from audit.quarantined_rows where rowid = 0",
        "delete from audit.findings where rowid = 0",
    ],
)
def test_comparing_finds_what_was_damaged_and_nothing_else(damage, computed):
    world, options, result, warehouse = computed
    warehouse.execute("begin")
    warehouse.execute(damage)
    differences = compare(warehouse, world, options, result=result).differences
    warehouse.execute("rollback")
    assert len(differences) == 1


def test_worlds_reach_every_rule():
    seen = Counter()
    for seed in range(25):
        result = compute(random_world(seed, 20), Options(admin_account_ids=("adm",)))
        for row in result.metered_steps + result.metered_requests:
            seen[row["rule_id"]] += 1
        for row in result.metered_jobs:
            seen[row["context_rule_id"]] += 1
            seen[row["recipe_type"]] += 1
        for row in result.usage_by_capability:
            seen[row["metric"], row["call_type"]] += 1
    assert len([k for k in seen if str(k).startswith("S-")]) == 17
    assert {k for k in seen if str(k).startswith("J-")} == {
        "J-WORKFLOW",
        "J-API",
        "J-MCP",
        "J-AGENT",
        "J-FN-WORKFLOW",
        "J-FN-SYNC-API",
        "J-FN-ASYNC",
        "J-FN-AGENT",
        "J-FN-NESTED",
        "J-FN-ORPHAN",
    }
    assert {k for k in seen if str(k).startswith("R-")} == {"R-PROXY", "R-JOB", "R-MCP", "R-PUBLISH", "R-PROMPT"}
    assert {"go_seats", "workflow_app_seats", "tasks", "genie_actions", "mcp_calls"} <= {
        k[0] for k in seen if isinstance(k, tuple)
    }
    assert {c for m, c in (k for k in seen if isinstance(k, tuple)) if m == "api_calls"} == {
        "managed",
        "proxy",
        "proxy_transformation",
    }


def test_worlds_reach_the_tab():
    """Each kind of clone, tie, and change between listings, in a few worlds."""
    seen, admins = Counter(), ("adm",)
    for seed in range(40):
        world = random_world(seed, 10)
        result = compute(world, Options(admin_account_ids=admins))
        for relation in ("top_customers", "top_apps", "top_recommended_recipes"):
            rows = [tuple(row.values()) for row in getattr(result, relation)]
            seen[f"ties of {relation}"] += sum(a[3] == b[3] for a, b in pairwise(rows))
        for row in result.monthly_customers:
            seen["deleted"] += row["deleted_customers"]
        parents = {row["id"]: row["parent_id"] for row in world["recipes"] if row["parent_id"]}
        recommended = {row["recipe_id"] for row in world["recommended_recipes"]}
        listed = {row["id"] for row in world.get("customers", [])}
        for row in world["recipes"]:
            if row["parent_id"] in recommended:
                seen["clone of the partner" if row["user_id"] in admins else "clone"] += 1
                seen["clone in an unlisted account"] += row["user_id"] not in listed
            elif row["parent_id"] in parents:
                seen["clone of a clone"] += 1
        for row in world["connections"]:
            seen["no provider"] += not row["provider"]
            seen["no time"] += row["authorization_status"] == "success" and not row["authorized_at"]
            seen["unlisted account"] += row["user_id"] not in listed
        statuses = {(row["id"], row["authorization_status"]) for row in world["connections"]}
        seen["status changes"] += len(statuses) - len({id for id, _ in statuses})
        seen["recipe in a project"] += any(row["project_name"] for row in result.monthly_recipe_usage)
    assert len(seen) == 13
    assert min(seen.values()) >= 3, seen


def test_additions_hold_for_every_option():
    """Each daily figure is the sum of its decision rows, and nothing counts twice, by sums of their own."""
    for n, options in enumerate(
        [
            {},
            {"reporting_timezone": "America/Los_Angeles"},
            {"count_test_jobs": False},
            {"task_terms": "T1"},
            {"unruled_app_is_eligible": True, "unknown_app_is_eligible": False},
            {"as_of_date": "2024-05-15"},
        ]
    ):
        result = compute(random_world(100 + n, 30), Options(**options))
        for metric in (
            "business_actions",
            "pages_processed",
            "events_processed",
            "api_calls",
            "mcp_calls",
            "genie_actions",
        ):
            decided = sum(
                r["quantity"]
                for r in result.metered_steps + result.metered_jobs + result.metered_requests
                if r["metric"] == metric and r["usage_date"] <= result.as_of
            )
            assert decided == sum(r["quantity"] for r in result.usage_by_capability if r["metric"] == metric)
        tasks = sum(
            r["tasks"]
            for r in result.metered_steps + result.metered_requests
            if r["usage_date"] and r["usage_date"] <= result.as_of
        )
        assert tasks == sum(r["quantity"] for r in result.usage_by_capability if r["metric"] == "tasks")
        assert tasks == sum(r["tasks"] for r in result.monthly_customer_usage)
        for s in result.metered_steps:
            if s["metric"] == "business_actions":
                assert s["billing_context"] == "workflow" and s["step_kind"] != "control"
