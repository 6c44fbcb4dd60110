"""Every rule and every trouble that the sample world tells of comes out as worked by hand.

The ids are those of scripts/make_sample_extracts.py; the tables here say what each story comes to. Usage is written as
{metric or metric/call_type: quantity}; what is not named is 0.
"""

import csv
import importlib.util
from datetime import date

import pytest
from building import PROJECT

# ------------------------------------------------------------------------------------------------------ steps and jobs

# (claim, customer, job, the rule of each line)
RULES_OF_LINES = [
    ("a pending job waits", 1001, "j-still-pending", ["S-PENDING"] * 2),
    ("a poll error is no execution", 1001, "j-poll-error", ["S-TEST"] * 2),
    ("a test run counts", 1001, "j-test-run", ["S-ACTION"] * 2),
    ("keywords and empty adapters are control", 1001, "j-s-control", ["S-ACTION", *["S-CONTROL"] * 10, "S-ACTION"]),
    (
        "every status word is read, and without one the error says it",
        1001,
        "j-s-status-words",
        [*["S-ACTION"] * 4, *["S-FAILED"] * 6, "S-SKIPPED", "S-ACTION", "S-FAILED"],
    ),
    (
        "IDP operations count pages",
        1001,
        "j-s-pages",
        ["S-INELIGIBLE", "S-PAGES", "S-PAGES", "S-PAGES", "S-FAILED"],
    ),
    (
        "publishing counts events",
        1001,
        "j-s-events",
        ["S-INELIGIBLE", "S-EVENT", "S-EVENT-BATCH", "S-EVENT-BATCH"],
    ),
    ("consuming is free", 1001, "j-s-consumed", ["S-CONSUMED", "S-ACTION"]),
    ("consuming in batches is free", 1001, "j-s-consumed-batch", ["S-CONSUMED", "S-ACTION"]),
    ("an API call covers the steps", 1003, "j-api-succeeded", ["S-API"] * 3),
    ("an MCP call covers the steps", 1003, "j-mcp-recipe", ["S-MCP"] * 3),
    ("a genie action covers the steps", 1010, "j-agent-knowledge", ["S-AGENT"] * 3),
    ("a synchronous function of an API recipe continues its call", 1003, "j-fn-api-sync", ["S-CONTINUES"] * 3),
    ("utilities are not eligible", 1001, "j-s-ineligible", ["S-INELIGIBLE"] * 5),
    ("an app without ruling does not count", 1001, "j-s-unruled", ["S-INELIGIBLE", "S-UNRULED", "S-UNRULED"]),
    ("an unknown adapter counts", 1001, "j-s-unknown", ["S-UNKNOWN"] * 2),
    ("second connections and custom connectors count", 1001, "j-s-action", ["S-ACTION"] * 4),
    ("some tools by the platform count", 1001, "j-s-eligible-tools", ["S-INELIGIBLE", *["S-ACTION"] * 4]),
]

# (claim, customer, job, usage of its steps and itself with tasks)
USAGE_OF_JOBS = [
    ("a test run counts", 1001, "j-test-run", {"business_actions": 2, "tasks": 1}),
    ("a poll error counts nothing", 1001, "j-poll-error", {}),
    ("a pending job counts nothing", 1001, "j-still-pending", {}),
    ("control steps count nothing", 1001, "j-s-control", {"business_actions": 2, "tasks": 1}),
    ("only what succeeded counts", 1001, "j-s-status-words", {"business_actions": 5, "tasks": 4}),
    ("a page count that is missing is 0", 1001, "j-s-pages", {"pages_processed": 5, "tasks": 3}),
    ("a message count that is missing is 0", 1001, "j-s-events", {"events_processed": 26, "tasks": 3}),
    ("consuming is free", 1001, "j-s-consumed", {"business_actions": 1, "tasks": 1}),
    ("consuming in batches is free", 1001, "j-s-consumed-batch", {"business_actions": 1, "tasks": 1}),
    ("utilities are tasks and no business actions", 1001, "j-s-ineligible", {"tasks": 4}),
    ("an app without ruling is a task", 1001, "j-s-unruled", {"tasks": 2}),
    ("an unknown adapter counts", 1001, "j-s-unknown", {"business_actions": 2, "tasks": 1}),
    ("a trigger of an eligible app counts", 1001, "j-s-action", {"business_actions": 4, "tasks": 3}),
    ("some tools by the platform count", 1001, "j-s-eligible-tools", {"business_actions": 4, "tasks": 4}),
    ("a canceled job keeps what succeeded before", 1001, "j-canceled", {"business_actions": 3, "tasks": 2}),
    ("a failed job keeps what succeeded before", 1001, "j-s-failed", {"business_actions": 2, "tasks": 1}),
    ("a job that failed counts", 1001, "j-rerun-first", {"business_actions": 2, "tasks": 1}),
    ("and its rerun counts again", 1001, "j-rerun-again", {"business_actions": 3, "tasks": 2}),
    ("the word completed", 1001, "j-status-completed", {"business_actions": 2, "tasks": 1}),
    ("the word success", 1001, "j-status-success", {"business_actions": 2, "tasks": 1}),
    ("the word error", 1001, "j-status-error", {"business_actions": 2, "tasks": 1}),
    ("the word cancelled", 1001, "j-status-cancelled", {"business_actions": 2, "tasks": 1}),
    ("calling a recipe is a task", 1002, "j-t-caller", {"business_actions": 2, "tasks": 3}),
    ("and the called job's actions are too", 1002, "j-t-called", {"business_actions": 1, "tasks": 1}),
    ("a call that failed is no task", 1002, "j-t-failed-call", {"business_actions": 1}),
    ("no tasks before October 2020", 1012, "j-2020-09", {"business_actions": 2}),
    ("tasks from October 2020 on", 1012, "j-2020-10", {"business_actions": 2, "tasks": 2}),
    ("a workflow app's recipe is a workflow", 1003, "j-type-workflow_app", {"business_actions": 1, "tasks": 1}),
    ("an API job is a call", 1003, "j-api-succeeded", {"api_calls/managed": 1, "tasks": 2}),
    ("an expected error is a success", 1003, "j-api-expected-404", {"api_calls/managed": 1, "tasks": 2}),
    ("a plain proxy job is a proxy call", 1003, "j-proxy-plain", {"api_calls/proxy": 1, "tasks": 2}),
    ("an MCP call replaces the API call", 1003, "j-mcp-recipe", {"mcp_calls": 1, "tasks": 2}),
    (
        "a skill's pages and events count",
        1010,
        "j-agent-extras",
        {"pages_processed": 6, "events_processed": 1, "tasks": 4},
    ),
    ("a knowledge base recipe counts nothing itself", 1010, "j-agent-knowledge", {"tasks": 2}),
    (
        "pages and events count in a continuation",
        1003,
        "j-fn-extras",
        {"pages_processed": 5, "events_processed": 1, "tasks": 3},
    ),
    (
        "streamed",
        1001,
        "j-history-plain",
        {"business_actions": 2, "pages_processed": 4, "events_processed": 3, "tasks": 4},
    ),
    ("streamed in a wrapping", 1001, "j-history-wrapped", {"business_actions": 2, "tasks": 1}),
    ("streamed as a list", 1001, "j-history-list", {"business_actions": 2, "tasks": 1}),
    ("streamed without lines", 1001, "j-history-no-lines", {"api_calls/managed": 1}),
    ("streamed lines too long", 1001, "j-history-too-long", {}),
    ("streamed lines empty", 1001, "j-history-empty", {}),
    ("streamed beside the extract", 1001, "j-history-beside", {"business_actions": 2, "tasks": 1}),
    ("a shared job id in one account", 1001, "j-shared-id", {"business_actions": 3, "tasks": 2}),
    ("a shared job id in the other", 1002, "j-shared-id", {"business_actions": 2, "tasks": 1}),
    ("a step delivered twice counts once", 1001, "j-step-repeated", {"business_actions": 3, "tasks": 2}),
    ("stray steps go to the only delivery", 1001, "j-steps-astray", {"business_actions": 3, "tasks": 2}),
    ("a delivery's own step wins over a stray one", 1001, "j-steps-collide", {"business_actions": 3, "tasks": 2}),
    ("bad steps leave the good ones", 1001, "j-bad-steps", {"business_actions": 2, "tasks": 1}),
    ("a job delivered twice counts once", 1001, "j-delivered-twice", {"business_actions": 3, "tasks": 2}),
]

# (claim, job of customer 1003 unless it says another, its own metric: None counts nothing)
API_AND_MCP_JOBS = [
    (
        "a recipe's extra work counts beside the call",
        "j-api-extras",
        "api_calls/managed",
        {"pages_processed": 4, "events_processed": 1},
    ),
    ("a failed call keeps its extra work", "j-api-failed-extras", None, {"pages_processed": 4, "events_processed": 1}),
    ("an internal error is no call", "j-api-internal-error", None, {}),
    ("a canceled job is no call", "j-api-canceled", None, {}),
    ("a skipped step transforms nothing", "j-proxy-extra-skipped", "api_calls/proxy", {}),
    ("a control step transforms nothing", "j-proxy-control", "api_calls/proxy", {}),
    ("another step transforms", "j-proxy-transformed", "api_calls/proxy_transformation", {}),
    ("another step that failed transforms", "j-proxy-extra-failed", "api_calls/proxy_transformation", {}),
    ("an MCP proxy is an MCP call", "j-mcp-proxy", "mcp_calls", {}),
    ("an MCP proxy that transforms is an MCP call, too", "j-mcp-transformed", "mcp_calls", {}),
    ("the newest listing says what is MCP", "j-mcp-since-october", "mcp_calls", {}),
    ("a failed MCP call is none", "j-mcp-failed", None, {}),
]

# (claim, job of customer 1003, rule, context, business actions)
FUNCTIONS = [
    ("called by a workflow", "j-fn-workflow-sync", "J-FN-WORKFLOW", "workflow", 1),
    ("called by a workflow asynchronously", "j-fn-workflow-async", "J-FN-WORKFLOW", "workflow", 1),
    ("called by an API recipe", "j-fn-api-sync", "J-FN-SYNC-API", "continuation", 0),
    ("called by an MCP recipe", "j-fn-mcp-sync", "J-FN-SYNC-API", "continuation", 0),
    ("called by an API recipe asynchronously", "j-fn-api-async", "J-FN-ASYNC", "workflow", 1),
    ("called by an MCP recipe asynchronously", "j-fn-mcp-async", "J-FN-ASYNC", "workflow", 1),
    ("called by a continuation asynchronously", "j-fn-continuation-async", "J-FN-ASYNC", "workflow", 1),
    ("called by a step that failed", "j-fn-failed-call", "J-FN-ASYNC", "workflow", 1),
    ("called by a skill", "j-fn-agent-sync", "J-FN-AGENT", "workflow", 1),
    ("called by a skill asynchronously", "j-fn-agent-async", "J-FN-ASYNC", "workflow", 1),
    ("called by a continuation", "j-fn-continuation-sync", "J-FN-NESTED", "continuation", 0),
    ("two deep", "j-fn-deep-sync-2", "J-FN-NESTED", "continuation", 0),
    ("three deep", "j-fn-deep-sync-3", "J-FN-NESTED", "continuation", 0),
    ("above an asynchronous edge", "j-fn-deep-async-1", "J-FN-SYNC-API", "continuation", None),
    ("at an asynchronous edge", "j-fn-deep-async-2", "J-FN-ASYNC", "workflow", 1),
    ("below an asynchronous edge", "j-fn-deep-async-3", "J-FN-WORKFLOW", "workflow", 1),
    ("called in both ways", "j-fn-both-calls", "J-FN-SYNC-API", "continuation", 0),
    ("an orphan below an API recipe", "j-fn-orphan-root-api", "J-FN-ORPHAN", "continuation", 0),
    ("an orphan below a skill", "j-fn-orphan-root-skill", "J-FN-ORPHAN", "workflow", 1),
    ("an orphan below an unknown recipe", "j-fn-orphan-root-unknown", "J-FN-ORPHAN", "workflow", 1),
    ("a skipped call is none", "j-fn-skipped-call", "J-FN-ORPHAN", "workflow", 1),
    ("a caller that shows no call is none", "j-fn-no-call", "J-FN-ORPHAN", "workflow", 1),
    ("a caller of another account is none", "j-fn-elsewhere", "J-FN-ORPHAN", "workflow", 1),
    ("a quarantined caller is none", "j-fn-unread", "J-FN-ORPHAN", "workflow", 1),
    ("in a cycle", "j-fn-cycle-a", "J-FN-ORPHAN", "workflow", 1),
    ("in the same cycle", "j-fn-cycle-b", "J-FN-ORPHAN", "workflow", 1),
]
FLAGS = {
    "function without caller": {
        "j-fn-orphan-root-api",
        "j-fn-orphan-root-skill",
        "j-fn-orphan-root-unknown",
        "j-fn-skipped-call",
        "j-fn-no-call",
        "j-fn-elsewhere",
        "j-fn-unread",
    },
    "mixed calls": {"j-fn-both-calls"},
    "call cycle": {"j-fn-cycle-a", "j-fn-cycle-b"},
    "count missing": {"j-s-pages", "j-s-events"},
    "request without its job": {"rq-lost-job"},
    "contradictory delivery": {"j-same-stamp-finished", "j-same-stamp-later", "j-same-stamp-text"},
    "job without steps": {"j-history-no-lines", "j-history-too-long", "j-history-empty"},
}

TRIGGERS = [
    # kind of trigger, recipe type, rule, business actions, call type
    ("api-recipe", "api_recipe", "J-API", 0, "managed"),
    ("api-proxy", "api_proxy", "J-API", 0, "proxy"),
    ("function", "recipe_function", "J-FN-ORPHAN", 1, None),
    ("service", "recipe_function", "J-FN-ORPHAN", 1, None),
    ("skill", "skill", "J-AGENT", 0, None),
    ("workflow", "workflow", "J-WORKFLOW", 2, None),
]

# --------------------------------------------------------------------------------------------------- requests and seats

# (claim, request, rule, usage with tasks)
REQUESTS = [
    ("a managed request without a job", "rq-no-job-managed", "R-PROXY", {"api_calls/managed": 1}),
    ("a proxied request without a job is a task too", "rq-no-job-proxy", "R-PROXY", {"api_calls/proxy": 1, "tasks": 1}),
    (
        "a transformed request without a job",
        "rq-no-job-proxy_transformation",
        "R-PROXY",
        {"api_calls/proxy_transformation": 1, "tasks": 1},
    ),
    ("a 404 of the backend", "rq-upstream-404", "R-PROXY", {"api_calls/proxy": 1, "tasks": 1}),
    ("a 401 of the backend", "rq-upstream-401", "R-PROXY", {"api_calls/proxy": 1, "tasks": 1}),
    ("refused for want of authentication", "rq-refused-401", "R-PROXY", {}),
    ("refused for want of permission", "rq-refused-403", "R-PROXY", {}),
    ("refused for too many requests", "rq-refused-429", "R-PROXY", {}),
    ("an internal error", "rq-internal-error", "R-PROXY", {}),
    ("a request with a job is counted through it", "rq-j-api-succeeded", "R-JOB", {}),
    ("a request whose job is in no extract", "rq-lost-job", "R-JOB", {}),
    ("an MCP request", "rq-mcp", "R-MCP", {"mcp_calls": 1}),
    ("a proxied MCP request is a task too", "rq-mcp-proxy", "R-MCP", {"mcp_calls": 1, "tasks": 1}),
    ("so is a transforming one", "rq-mcp-transformation", "R-MCP", {"mcp_calls": 1, "tasks": 1}),
    ("MCP by the newest listing only", "rq-mcp-since-october", "R-MCP", {"mcp_calls": 1}),
    ("an MCP request that was refused", "rq-mcp-refused", "R-MCP", {}),
    ("one message", "es-one", "R-PUBLISH", {"events_processed": 1}),
    ("a batch of messages", "es-batch", "R-PUBLISH", {"events_processed": 12}),
    ("reading messages", "es-read", "R-PUBLISH", {}),
    ("reading a batch", "es-read-batch", "R-PUBLISH", {}),
    ("a publish that failed", "es-failed", "R-PUBLISH", {}),
    ("a user's prompt", "prompt-by-user", "R-PROMPT", {"genie_actions": 1}),
    ("another genie's prompt", "prompt-by-genie", "R-PROMPT", {"genie_actions": 1}),
    ("an App event's prompt", "prompt-by-app_event", "R-PROMPT", {"genie_actions": 1}),
    ("a prompt without status", "prompt-no-status", "R-PROMPT", {"genie_actions": 1}),
    ("a failed prompt", "prompt-failed", "R-PROMPT", {}),
]

# (customer, metric, the peaks of May to November 2026)
SEATS = [
    (1001, "go_seats", [50, 50, 50, 70, 70, 70, 50]),
    (1001, "workflow_app_seats", [0, 30, 40, 40, 30, 30, 30]),
    (1002, "go_seats", [0, 0, 0, 0, 0, 0, 0]),
    (1004, "workflow_app_seats", [0, 0, 0, 0, 4, 4, 4]),
    (1007, "go_seats", [8, 8, 8, 0, 0, 0, 0]),
    (1009, "go_seats", [0, 5, 5, 5, 5, 5, 5]),
]

# ------------------------------------------------------------------------------------------------- deliveries and times

# (claim, job of 1001, status, usage date, business actions)
DELIVERIES = [
    ("delivered again and changed, the later one wins", "j-redelivered", "succeeded", date(2026, 7, 3), 3),
    ("of two with one stamp the finished one wins", "j-same-stamp-finished", "succeeded", date(2026, 7, 5), 3),
    ("of two finished the later completion wins", "j-same-stamp-later", "succeeded", date(2026, 7, 6), 3),
    ("of two complete the greater row wins", "j-same-stamp-text", "succeeded", date(2026, 7, 5), 3),
    ("pending first, then finished", "j-pending-then-finished", "succeeded", date(2026, 7, 8), 3),
    ("a month's edge in summer", "j-edge-june", "succeeded", date(2026, 7, 1), 2),
    ("a month's edge in autumn", "j-edge-october", "succeeded", date(2026, 11, 1), 2),
]

# extract: rows in, used, repeated, quarantined; jobs and steps hold the stream's too
ROW_COUNTS = {
    "customers": (58, 55, 1, 2),
    "recipes": (552, 551, 0, 1),
    "connections": (246, 245, 0, 1),
    "jobs": (422 + 7, 418, 7, 4),
    "steps": (1545 + 12, 1537, 12, 8),
    "api_requests": (104, 101, 1, 2),
    "event_stream_requests": (80, 79, 0, 1),
    "genie_prompts": (26, 24, 1, 1),
    "seats": (10, 8, 1, 1),
    "api_collections": (25, 25, 0, 0),
    "subscriptions": (11, 11, 0, 0),
    "credit_ratios": (13, 13, 0, 0),
    "recommended_recipes": (7, 7, 0, 0),
    "vendor_usage": (55, 55, 0, 0),
}


def ids(table):
    """The claim of each row, with the id it is about."""
    return [" - ".join([row[0], *(part for part in row[1:3] if isinstance(part, str))]) for row in table]


def usage_of_job(sample, customer, job):
    """All that one job and its steps count, tasks included."""
    return dict(
        sample.rows(
            """
            with counted as (
                select metric, null as call_type, quantity from metering.metered_steps
                where account_id = $1 and job_id = $2
                union all
                select 'tasks', null, tasks from metering.metered_steps where account_id = $1 and job_id = $2
                union all
                select metric, call_type, quantity from metering.metered_jobs where customer_id = $1 and job_id = $2
            )
            select concat_ws('/', metric, call_type), sum(quantity)::bigint
            from counted group by all having sum(quantity) > 0
            """,
            str(customer),
            job,
        )
    )


def one(rows):
    (row,) = rows
    return row


@pytest.mark.parametrize(("claim", "customer", "job", "rules"), RULES_OF_LINES, ids=ids(RULES_OF_LINES))
def test_each_line_is_decided_by_its_rule(claim, customer, job, rules, sample):
    query = "select rule_id from metering.metered_steps where account_id = ? and job_id = ? order by line_index"
    assert sample.column(query, str(customer), job) == rules


@pytest.mark.parametrize(("claim", "customer", "job", "usage"), USAGE_OF_JOBS, ids=ids(USAGE_OF_JOBS))
def test_a_job_counts_what_its_story_says(claim, customer, job, usage, sample):
    assert usage_of_job(sample, customer, job) == usage
    assert sample.column(
        "select count(*) from metering.metered_jobs where customer_id = ? and job_id = ?", str(customer), job
    ) == [1]


@pytest.mark.parametrize(("claim", "job", "call", "extras"), API_AND_MCP_JOBS, ids=ids(API_AND_MCP_JOBS))
def test_a_job_behind_the_gateway_is_at_most_one_call(claim, job, call, extras, sample):
    usage = usage_of_job(sample, 1003, job)
    usage.pop("tasks", None)
    assert usage == extras | ({call: 1} if call else {})


@pytest.mark.parametrize(("claim", "job", "rule", "context", "actions"), FUNCTIONS, ids=ids(FUNCTIONS))
def test_a_function_takes_the_context_of_its_call(claim, job, rule, context, actions, sample):
    query = (
        "select context_rule_id, billing_context, recipe_type, quantity from metering.metered_jobs "
        "where job_id = ? and customer_id in ('1003', '1010')"
    )
    assert one(sample.rows(query, job)) == (rule, context, "recipe_function", 0)
    if actions is not None:
        assert usage_of_job(sample, 1003, job).get("business_actions", 0) == actions


@pytest.mark.parametrize("finding", FLAGS)
def test_what_is_unsure_is_flagged(finding, sample):
    found = set(sample.column("select subject from audit.findings where finding = ?", finding))
    assert found >= FLAGS[finding]
    # orphans without a story of their own: functions that are only there for their recipe type
    assert {
        subject for subject in found - FLAGS[finding] if not subject.startswith(("j-listed-", "j-line-0-", "j-type-"))
    } == set()


@pytest.mark.parametrize(
    "how", ["j-listed-{}-by-operation", "j-listed-{}-by-adapter", "j-line-0-{}-by-operation", "j-line-0-{}-by-adapter"]
)
@pytest.mark.parametrize(
    ("kind", "recipe_type", "rule", "actions", "call_type"), TRIGGERS, ids=[row[0] for row in TRIGGERS]
)
def test_a_trigger_says_what_kind_of_recipe_ran(how, kind, recipe_type, rule, actions, call_type, sample):
    job = how.format(kind)
    query = "select recipe_type, context_rule_id, call_type from metering.metered_jobs where job_id = ?"
    assert one(sample.rows(query, job)) == (recipe_type, rule, call_type)
    usage = usage_of_job(sample, 1003, job)
    assert (usage.get("business_actions", 0), usage.get("tasks", 0)) == (actions, 1)


@pytest.mark.parametrize(
    "word",
    [
        "workflow",
        "workflow_app",
        "api_recipe",
        "api_proxy",
        "api_proxy_transformation",
        "recipe_function",
        "skill",
        "knowledge_base",
    ],
)
def test_the_recipe_extract_knows_the_type_better_than_the_trigger(word, sample):
    query = "select recipe_type from metering.metered_jobs where job_id = ?"
    assert sample.column(query, f"j-type-{word}") == [word]


@pytest.mark.parametrize(("claim", "request_id", "rule", "usage"), REQUESTS, ids=ids(REQUESTS))
def test_a_request_counts_what_its_story_says(claim, request_id, rule, usage, sample):
    rule_id, metric, call_type, quantity, tasks = one(
        sample.rows(
            "select rule_id, metric, call_type, quantity, tasks from metering.metered_requests where request_id = ?",
            request_id,
        )
    )
    counted = {"/".join(filter(None, (metric, call_type))): quantity} if metric else {}
    assert (rule_id, counted | ({"tasks": tasks} if tasks else {})) == (rule, usage)
    assert metric or quantity == 0


@pytest.mark.parametrize(
    ("customer", "metric", "peaks"), SEATS, ids=[f"{metric} of {customer}" for customer, metric, _ in SEATS]
)
def test_seats_are_the_months_peak(customer, metric, peaks, sample):
    query = (
        f"select {metric} from marts.monthly_customer_usage "
        "where customer_id = ? and usage_month >= date '2026-05-01' order by usage_month"
    )
    assert sample.column(query, str(customer)) == peaks


@pytest.mark.parametrize(("claim", "job", "status", "day", "actions"), DELIVERIES, ids=ids(DELIVERIES))
def test_the_right_delivery_counts_on_the_right_day(claim, job, status, day, actions, sample):
    query = "select status, usage_date from metering.metered_jobs where customer_id = '1001' and job_id = ?"
    assert one(sample.rows(query, job)) == (status, day)
    assert usage_of_job(sample, 1001, job)["business_actions"] == actions


@pytest.mark.parametrize(
    ("job", "completed_at"),
    [
        ("j-dst-us-before", "2026-11-01 08:30:00"),
        ("j-dst-us-after", "2026-11-01 09:30:00"),
        ("j-dst-eu-midnight", "2026-10-24 22:30:00"),
        ("j-dst-eu-before", "2026-10-25 00:30:00"),
        ("j-dst-eu-after", "2026-10-25 01:30:00"),
    ],
)
def test_the_end_of_summer_time_moves_no_job(job, completed_at, sample):
    query = "select completed_at::varchar from metering.metered_jobs where job_id = ?"
    assert sample.column(query, job) == [completed_at]


@pytest.mark.parametrize("extract", ROW_COUNTS)
def test_rows_in_are_rows_used_repeated_and_quarantined(extract, sample):
    counts = one(
        sample.rows(
            "select rows_read, rows_used, rows_repeated, rows_quarantined from audit.extract_row_counts "
            "where extract_name = ?",
            extract,
        )
    )
    assert counts == ROW_COUNTS[extract]
    assert counts[0] == sum(counts[1:])


def test_an_unlisted_account_keeps_its_usage_without_a_name(sample):
    months = sample.rows(
        "select customer_name, business_actions, tasks from marts.monthly_customer_usage "
        "where customer_id = '1099' order by usage_month"
    )
    assert set(months) == {(None, 2, 1)}
    assert sample.column("select customer_id from audit.unlisted_customers") == ["1099"]


def test_a_listed_customer_without_usage_has_months_of_zeros(sample):
    months = sample.rows(
        "select tasks, business_actions, api_calls, jobs_succeeded, credits from marts.monthly_customer_usage "
        "where customer_id = '1011'"
    )
    assert len(months) > 1
    assert set(months) == {(0, 0, 0, 0, 0)}


def test_the_partners_own_workspace_is_in_no_figure(sample):
    assert sample.column("select count(*) > 0 from metering.metered_jobs where customer_id = '999000001'") == [True]
    for mart in ("usage_by_capability", "monthly_customer_usage", "monthly_credits"):
        assert sample.column(f"select count(*) from marts.{mart} where customer_id = '999000001'") == [0]


def test_names_come_through_unchanged(sample):
    with (PROJECT / "seeds/extracts/raw_customers.csv").open(encoding="utf-8", newline="") as file:
        names = {row["name"] for row in csv.DictReader(file) if row["id"] == "1005"}
    query = "select distinct customer_name from marts.monthly_customer_usage where customer_id = '1005'"
    assert set(sample.column(query)) == names


def test_usage_without_a_ratio_is_a_gap_and_not_zero_credits(sample):
    query = "select customer_id, occurrences from audit.findings where finding = 'unpriced metric' order by all"
    assert sample.rows(query) == [("1008", 4), ("1010", 4)]
    query = "select is_fully_priced from marts.monthly_customer_usage where customer_id = ? and usage_month = ?"
    assert sample.column(query, "1008", date(2026, 8, 1)) == [False]
    assert sample.column(query, "1010", date(2026, 9, 1)) == [False]


# -------------------------------------------------------------------------------------------- what the sample must hold


def test_the_script_writes_the_committed_extracts_byte_for_byte(tmp_path):
    specification = importlib.util.spec_from_file_location(
        "make_sample_extracts", PROJECT / "scripts/make_sample_extracts.py"
    )
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    script.EXTRACTS_FOLDER = tmp_path
    script.main()
    committed = {path.name: path.read_bytes() for path in (PROJECT / "seeds/extracts").glob("*.csv")}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == committed


def test_every_rule_decides_something_in_the_sample(sample):
    assert sample.column("select rule_id from audit.rule_coverage where decisions = 0") == []
    assert sample.column("select count(*) from audit.rule_coverage") == sample.column(
        "select count(*) from rules.decision_rules"
    )


# rule-book seed: its rows that no row of the sample uses
UNUSED_RULES = {
    "control_keywords": """
        select keyword from rules.control_keywords
        where keyword not in (select lower(keyword) from staging.stg_steps where keyword is not null)""",
    "call_operations": """
        select adapter_name, adapter_operation from rules.call_operations
        anti join staging.stg_steps using (adapter_name, adapter_operation)""",
    "operation_metrics": """
        select adapter_name, adapter_operation from rules.operation_metrics as rule
        where not exists (
            select 1 from metering.metered_steps as step
            where step.rule_id = rule.rule_id and step.adapter_name = rule.adapter_name
                and (step.operation = rule.adapter_operation or rule.adapter_operation is null))""",
    "proxy_operations": """
        select adapter_name, adapter_operation from rules.proxy_operations
        anti join staging.stg_steps using (adapter_name, adapter_operation)""",
    "recipe_types": """
        select trigger_adapter, trigger_operation from rules.recipe_types as rule
        where not exists (
            select 1 from staging.stg_steps as step
            join metering.job_recipe_types as job using (customer_id, job_id)
            where step.line_index = 0 and job.recipe_type = rule.recipe_type
                and step.adapter_name = rule.trigger_adapter and step.adapter_operation = rule.trigger_operation)""",
    "billing_contexts_by_recipe_type": """
        select recipe_type, rule_id from rules.billing_contexts_by_recipe_type as rule
        where not exists (
            select 1 from metering.metered_jobs as job
            where job.recipe_type = rule.recipe_type and job.context_rule_id = rule.rule_id)""",
    "billing_contexts_by_call": """
        select caller_context, call_mode from rules.billing_contexts_by_call
        anti join metering.job_billing_contexts using (caller_context, call_mode)""",
    "context_rules": """
        select rule_id from rules.context_rules anti join metering.metered_steps using (rule_id)""",
    "request_rules": """
        select rule_id, request_type, is_mcp from rules.request_rules
        anti join metering.metered_requests using (rule_id, extract_name, request_type, is_mcp)""",
    "seat_rules": "select rule_id from rules.seat_rules anti join metering.metered_seats using (rule_id, product)",
    "metrics": "select metric from rules.metrics anti join marts.usage_by_capability using (metric)",
    "task_rules": """
        select rule_id, unit_kind from rules.task_rules
        where task_terms = 'T3' and rule_id not in (
            select task_rule_id from metering.metered_steps where task_rule_id is not null
            union select task_rule_id from metering.metered_requests where task_rule_id is not null)""",
    "status_words": """
        select raw_status from rules.status_words
        where raw_status not in (
            select lower(status) from sample.raw_jobs
            union select lower(status) from sample.raw_steps where status is not null)""",
    "app_eligibility": """
        select distinct rule_id from rules.app_eligibility
        where rule_id not in (select rule_id from metering.metered_steps where adapter_name in (
            select adapter_name from rules.app_eligibility))""",
}


@pytest.mark.parametrize("seed", UNUSED_RULES)
def test_every_row_of_the_rule_book_is_used_by_the_sample(seed, sample):
    assert sample.rows(UNUSED_RULES[seed]) == []
