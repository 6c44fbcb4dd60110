"""The examples that the pages publish come out as printed, under their exact names.

Each example of the sample world has a day of August 2026 of its own, on which customer 1008 uses nothing else. That
day's total is what the page prints; beside it stand the tasks of the same work, worked by hand.
"""

from datetime import date

import pytest

EXAMPLES = {
    # name: (the day's total by metric or metric/call_type, its tasks)
    "API recipe": ({"api_calls/managed": 1}, 4),
    "API proxy": ({"api_calls/proxy": 1}, 1),
    "API proxy with transformation": ({"api_calls/proxy_transformation": 1}, 3),
    "IDP within a workflow": ({"business_actions": 1, "pages_processed": 3}, 2),
    "IDP within an API recipe": ({"api_calls/managed": 1, "pages_processed": 2}, 2),
    "Failed IDP operation": ({"pages_processed": 2}, 1),
    "Messages consumed": ({"business_actions": 1}, 1),
    "Messages published": ({"business_actions": 2, "events_processed": 1}, 2),
    "Failed event": ({"business_actions": 4}, 3),
    "Event streams API, consume": ({}, 0),
    "Event streams API, publish": ({"events_processed": 28}, 0),
    "Event streams API, batch publish": ({"events_processed": 266}, 0),
    "Workflow calls a function": ({"business_actions": 8}, 9),
    "API recipe calls a function synchronously": ({"api_calls/managed": 1}, 5),
    "API recipe calls a function asynchronously": ({"api_calls/managed": 1, "business_actions": 3}, 5),
    "MCP call from an API recipe": ({"mcp_calls": 1}, 2),
    "API proxy as an MCP server": ({"mcp_calls": 1}, 1),
    "API recipe with IDP as an MCP server": ({"mcp_calls": 1, "pages_processed": 2}, 2),
    "MCP with a synchronous function": ({"mcp_calls": 1}, 5),
    "Skill task": ({"genie_actions": 1}, 4),
    "Skill and reasoning": ({"genie_actions": 2}, 0),
    "Skill calls a function": ({"business_actions": 2}, 5),
    "Tasks, three actions": ({"business_actions": 3}, 3),
    "Tasks, failed job": ({"business_actions": 5}, 4),
    "Loop": ({"business_actions": 150}, 150),
    "Cached proxy response": ({"api_calls/proxy": 1}, 1),
    "Skill on the new connector": ({"genie_actions": 1}, 3),
}
DAYS = {name: date(2026, 8, day) for day, name in enumerate(EXAMPLES, start=1)}


def used_on(sample, day):
    """What customer 1008 used on the day: {metric or metric/call_type: quantity}."""
    return dict(
        sample.rows(
            "select concat_ws('/', metric, call_type), sum(quantity)::bigint from marts.usage_by_capability "
            "where customer_id = '1008' and usage_date = ? group by all",
            day,
        )
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_comes_out_as_published(name, sample):
    printed, tasks = EXAMPLES[name]
    assert used_on(sample, DAYS[name]) == printed | ({"tasks": tasks} if tasks else {})


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_is_in_the_extracts_on_its_day(name, sample):
    """No total of a day is right because its rows are not there."""
    jobs = sample.column(
        "select recipes.recipe_name from metering.metered_jobs as jobs "
        "join staging.stg_recipes as recipes using (customer_id, recipe_id) "
        "where recipes.is_current and jobs.customer_id = '1008' and jobs.usage_date = ?",
        DAYS[name],
    )
    requests = sample.column(
        "select request_id from metering.metered_requests where customer_id = '1008' and usage_date = ?", DAYS[name]
    )
    assert jobs or requests
    assert {job for job in jobs if job != f"Published example: {name}"} <= {f"Published example: {name} (function)"}


def test_nothing_but_the_examples_is_used_in_their_month(sample):
    (month,) = sample.rows(
        "select tasks, business_actions, api_calls, managed_api_calls, proxy_api_calls, pages_processed, "
        "events_processed, mcp_calls, genie_actions, go_seats, workflow_app_seats, jobs_succeeded, jobs_failed "
        "from marts.monthly_customer_usage where customer_id = '1008' and usage_month = date '2026-08-01'"
    )
    assert month == (218, 179, 7, 4, 3, 9, 295, 4, 4, 0, 0, 22, 3)
