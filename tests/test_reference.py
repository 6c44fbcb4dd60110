"""The reference implementation itself: the published examples, single rules, and that comparing with it finds errors.

Worked by hand against reference.compute; no build, no SQL of the project.
"""

import csv
import gzip
import json
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from reference.comparison import RELATIONS, compare
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
    months = compute(world).monthly_customer_usage
    assert [
        (m["usage_month"], m["go_seats"], m["credits"], m["is_fully_priced"], m["is_current_month"]) for m in months
    ] == [(date(2024, 4, 1), 0, Decimal(0), True, False), (date(2024, 5, 1), 7, Decimal("10.5"), True, True)]


def test_the_plan_decides_what_is_billed():
    world = {
        "jobs": [job()],
        "steps": steps(WEBHOOK, ELIGIBLE, ("logger", "x")),
        "credit_ratios": [{"metric": "tasks", "credits_per_unit": 2, "effective_from": "2024-01-01"}],
    }
    month = compute(world).monthly_customer_usage[0]
    assert (month["credits"], month["is_fully_priced"]) == (None, False)
    world["subscriptions"] = [{"account_id": "a", "recipe_metric": "tasks", "effective_from": "2024-01-01"}]
    month = compute(world).monthly_customer_usage[0]
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


def merged_worlds(seeds=range(3)):
    world, admins = merge_worlds({f"w{seed}-": random_world(seed, 12) for seed in seeds})
    return world, Options(admin_account_ids=tuple(admins))


def decisions(world, options):
    """Every row of the result, and how many rows of each extract are bad."""
    result = compute(world, options)
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
    world, options = merged_worlds()
    rest = write_job_history(world, tmp_path, seed=2)
    files = [json.loads(path.read_text()) for path in Path(tmp_path, "job_history").rglob("*.json")]
    assert len(files) == len(rest["job_history"]) > 50
    assert decisions(rest, options)[0] == decisions(world, options)[0]
    assert decisions({**rest, "job_history": files}, options)[0] == decisions(world, options)[0]


def warehouse_of(result):
    """A database with the result as if models had computed it."""
    db = duckdb.connect()
    for relation in RELATIONS:
        rows = getattr(result, relation.split(".")[1])
        types = {int: "bigint", str: "varchar", bool: "boolean", date: "date", Decimal: "decimal(38, 9)"}
        columns = ", ".join(
            f"{name} {types[next((type(row[name]) for row in rows if row[name] is not None), str)]}" for name in rows[0]
        )
        db.execute(f"create schema if not exists {relation.split('.')[0]}")
        db.execute(f"create table {relation} ({columns})")
        db.executemany(
            f"insert into {relation} values ({', '.join('?' * len(rows[0]))})", [list(row.values()) for row in rows]
        )
    db.execute("create schema audit")
    db.execute("create table audit.quarantined_rows (extract_name varchar)")
    db.executemany("insert into audit.quarantined_rows values (?)", [[row["extract"]] for row in result.quarantined])
    db.execute("create table audit.findings (finding varchar, customer_id varchar, subject varchar)")
    db.executemany("insert into audit.findings values (?, ?, ?)", [list(flag) for flag in result.flags])
    return db


@pytest.mark.parametrize(
    "damage",
    [
        "update metering.metered_steps set quantity = quantity + 1 where rowid = 3",
        "update metering.metered_jobs set usage_date = null where rowid = 0",
        "delete from marts.usage_by_capability where rowid = 5",
        "insert into metering.metered_requests select * from metering.metered_requests where rowid = 1",
        "update marts.monthly_customer_usage set credits = credits + 0.000000001 where rowid = 2",
        "delete from audit.quarantined_rows where rowid = 0",
        "delete from audit.findings where rowid = 0",
    ],
)
def test_comparing_finds_what_was_damaged_and_nothing_else(damage):
    world, options = merged_worlds([1])
    warehouse = warehouse_of(compute(world, options))
    assert compare(warehouse, world, options).differences == []
    warehouse.execute(damage)
    assert len(compare(warehouse, world, options).differences) == 1


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
                if r["metric"] == metric
            )
            assert decided == sum(r["quantity"] for r in result.usage_by_capability if r["metric"] == metric)
        tasks = sum(r["tasks"] for r in result.metered_steps + result.metered_requests)
        assert tasks == sum(r["quantity"] for r in result.usage_by_capability if r["metric"] == "tasks")
        if "as_of_date" not in options:
            assert tasks == sum(r["tasks"] for r in result.monthly_customer_usage)
        for s in result.metered_steps:
            if s["metric"] == "business_actions":
                assert s["billing_context"] == "workflow" and s["step_kind"] != "control"
