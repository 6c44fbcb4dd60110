"""The reference's reconciliation: each cause of a difference to the vendor's figure, worked out by hand.

Then over random worlds: the causes add up, inferred ones explain no more than there is, and each of them occurs.
"""

from collections import Counter, defaultdict
from datetime import date

import pytest
from reference.reference import Options, compute
from reference.worlds import ADMIN, random_world

AT, TAKEN = "2024-05-10T12:00:00Z", "2024-06-02T00:00:00Z"
TRIGGER, ACTION, UTILITY = ("clock", "scheduled_event"), ("salesforce", "create_object"), ("logger", "log_message")
CALL, API = ("workato_recipe_function", "call_recipe"), ("workato_api_platform", "receive_request")
IDP, BATCH = ("workato_idp", "process_document"), ("workato_pub_sub", "publish_to_topic_batch")
UNRULED, UNKNOWN = ("slack_bot", "post"), ("brand_new_app", "create")


def job(id="j", at=AT, *lines, status="succeeded", **more):
    """A job with its lines, each (adapter, operation) or (adapter, operation, {columns}); without action_count."""
    place = {"account_id": "a", "extracted_at": TAKEN}
    row = place | {"id": id, "recipe_id": "r", "status": status, "started_at": AT, "completed_at": at}
    steps = [
        place
        | {"job_id": id, "line_index": n, "recipe_line_number": n, "adapter_name": adapter, "status": "succeeded"}
        | {"adapter_operation": operation}
        | (columns[0] if columns else {})
        for n, (adapter, operation, *columns) in enumerate(lines)
    ]
    return {"jobs": [row | more], "steps": steps}


def ran(id, tasks, at=AT, **more):
    """A job with so many tasks, and no other usage."""
    return job(id, at, TRIGGER, *[UTILITY] * tasks, **more)


def jobs(n, status="succeeded"):
    """So many jobs that counted nothing but themselves."""
    return together(*(ran(f"{status}-{i}", 0, status=status) for i in range(n)))


def request(id, **more):
    row = {"id": id, "account_id": "a", "requested_at": AT, "request_type": "managed", "extracted_at": TAKEN}
    return {"api_requests": [row | more]}


def requests(n):
    return together(*(request(f"counted-{i}") for i in range(n)))


def mcp_server():
    return {"api_collections": [{"id": "m", "account_id": "a", "is_mcp_server": True, "extracted_at": TAKEN}]}


def vendor(taken=TAKEN, month="2024-05-01", account="a", **figures):
    return {"vendor_usage": [{"account_id": account, "usage_month": month, "extracted_at": taken} | figures]}


def together(*worlds):
    rows = defaultdict(list)
    for world in worlds:
        for extract, more in world.items():
            rows[extract] += more
    return dict(rows)


def reconciled(*worlds, **options):
    """{metric: {cause: quantity}}, an exact cause with a mark; unexplained only where it is not 0."""
    result = compute(together(*worlds), Options(**options))
    assert not result.quarantined
    causes = defaultdict(dict)
    for row in result.usage_reconciliation:
        if row["cause"] != "unexplained" or row["quantity"]:
            causes[row["metric"]][row["cause"] + ("!" if row["is_exact"] else "")] = row["quantity"]
    assert_causes_add_up(result)
    return dict(causes)


def assert_causes_add_up(result):
    """Also: one row of each cause, none of 0, and always one that is unexplained."""
    sums, differences, unexplained = Counter(), {}, set()
    rows = [
        (row["customer_id"], row["usage_month"], row["metric"], row["cause"], row["is_exact"])
        for row in result.usage_reconciliation
    ]
    assert len(rows) == len(set(rows))
    for row in result.usage_reconciliation:
        key = row["customer_id"], row["usage_month"], row["metric"]
        sums[key] += row["quantity"]
        difference = row["our_quantity"] - row["vendor_quantity"]
        assert differences.setdefault(key, difference) == difference
        if row["cause"] == "unexplained":
            unexplained.add(key)
        else:
            assert row["quantity"] != 0
    assert sums == differences
    assert unexplained == set(differences)


# --------------------------------------------------------------------------------------------------------- each cause


def test_admin_account():
    """The vendor's 7 are explained, and we have 0, whatever the account did."""
    worlds = ran("j", 3), vendor(tasks=7, jobs_failed=0)
    assert reconciled(*worlds, admin_account_ids=("a",)) == {"tasks": {"admin_account!": -7}}
    rows = compute(together(*worlds), Options(admin_account_ids=("a",))).usage_reconciliation
    assert {(row["metric"], row["our_quantity"]) for row in rows} == {("tasks", 0), ("jobs_failed", 0)}


def test_completed_after_figure():
    """4 of 9 tasks are of a job that completed after the figure; that of its very instant is in it."""
    taken = "2024-05-20T12:00:00Z"
    work = ran("before", 2), ran("at", 3, taken), ran("after", 4, "2024-05-20T12:00:00.000001Z")
    assert reconciled(*work, vendor(taken, tasks=5, jobs_succeeded=2)) == {
        "tasks": {"completed_after_figure!": 4},
        "jobs_succeeded": {"completed_after_figure!": 1},
    }


def test_completed_after_figure_may_overshoot():
    """Ours equals the vendor's, 4 of ours are later: -4 is left, and nothing is inferred, nor paired."""
    work = ran("after", 4, "2024-05-21"), jobs(1, "failed"), job("without lines"), ran("before", 1)
    assert reconciled(*work, vendor("2024-05-20", tasks=5, jobs_succeeded=3, jobs_failed=0)) == {
        "tasks": {"completed_after_figure!": 4, "unexplained": -4},
        "jobs_succeeded": {"completed_after_figure!": 1, "unexplained": -1},
        "jobs_failed": {"unexplained": 1},
    }


def test_time_zone():
    """In May we have 3 + 1 by UTC; by Los Angeles, where the 3 are of April and 2 of June's are May's: 2 + 1."""
    work = ran("april", 3, "2024-05-01T01:00:00Z"), ran("may", 1), ran("june", 2, "2024-06-01T01:00:00Z")
    figures = vendor(tasks=3)
    assert reconciled(*work, figures, vendor_timezone="America/Los_Angeles") == {"tasks": {"time_zone!": 4 - 3}}
    assert reconciled(*work, figures) == {"tasks": {"unexplained": 1}}
    # what is later than the figure is in neither: June's 2, and the vendor has 1
    early = vendor("2024-06-01T00:59:59Z", tasks=1)
    assert reconciled(*work, early, vendor_timezone="America/Los_Angeles") == {"tasks": {"time_zone!": 4 - 1}}


@pytest.mark.parametrize(
    ("lines", "ours", "t1"),
    [
        ([TRIGGER, UTILITY, UTILITY], 2, 3),  # T1: the trigger is one more
        ([TRIGGER, UTILITY, CALL, CALL], 3, 2),  # T1: the trigger is one more, the two calls are 0
        ([(*TRIGGER, {"status": "failed"}), (*CALL, {"status": "failed"})], 0, 0),
    ],
)
def test_task_rules(lines, ours, t1):
    """A job with the platform's count, and a proxied request, are the same under all rules."""
    work = job("j", AT, *lines), ran("counted", 2, action_count=2), request("proxied", request_type="proxy")
    figures = vendor(tasks=t1 + 2 + 1)
    expected = {"tasks": {"task_rules!": ours - t1}} if ours != t1 else {}
    assert reconciled(*work, figures, vendor_task_terms="T1") == expected
    assert reconciled(*work, vendor(tasks=ours + 3), vendor_task_terms="T2") == {}


def test_platform_count():
    """We have 2 and 3 tasks, the platform 5 and 1; test jobs do not count here, unless they count."""
    work = ran("j", 2, action_count=5), ran("k", 3, action_count=1), ran("test", 1, action_count=9, is_test=True)
    assert reconciled(*work, vendor(tasks=6), count_test_jobs=False) == {"tasks": {"platform_count!": -3 + 2}}
    assert reconciled(*work, vendor(tasks=15)) == {"tasks": {"platform_count!": -3 + 2 - 8}}


def test_jobs_without_lines_that_have_a_count():
    work = job("j", action_count=4), job("canceled", status="canceled", action_count=1), ran("k", 2)
    assert reconciled(*work, vendor(tasks=7)) == {"tasks": {"jobs_without_lines!": -5}}


def test_jobs_without_lines_that_have_no_count():
    """Two of them, the largest job has 3 tasks and 2 business actions: at most 6 tasks. A third one has a count of 0,
    so at most 3 x 2 business actions."""
    largest = job("j", AT, TRIGGER, UTILITY, ACTION, (*ACTION, {"status": "failed"}), ACTION)
    work = largest, job("k"), job("l", status="failed"), job("m", action_count=0)
    assert reconciled(*work, vendor(tasks=3 + 10, business_actions=2 + 5)) == {
        "tasks": {"jobs_without_lines": -6, "unexplained": -4},
        "business_actions": {"jobs_without_lines": -5},
    }
    assert reconciled(*work, vendor(tasks=1, business_actions=1)) == {
        "tasks": {"unexplained": 2},
        "business_actions": {"unexplained": 1},
    }


def test_job_status_differs():
    """We have 2 more that succeeded, the vendor 1 more that failed: one job ended otherwise."""
    work = jobs(3), jobs(1, "failed")
    assert reconciled(*work, vendor(jobs_succeeded=1, jobs_failed=2)) == {
        "jobs_succeeded": {"job_status_differs": 1, "unexplained": 1},
        "jobs_failed": {"job_status_differs": -1},
    }
    # figures of two instants are not paired
    assert reconciled(*work, vendor(jobs_succeeded=1), vendor("2024-06-01", jobs_failed=2)) == {
        "jobs_succeeded": {"unexplained": 2},
        "jobs_failed": {"jobs_missing": -1},
    }


def test_api_or_mcp():
    """We have 3 more API calls, the vendor 2 more MCP calls."""
    assert reconciled(requests(4), vendor(api_calls=1, mcp_calls=2)) == {
        "api_calls": {"api_or_mcp": 2, "unexplained": 1},
        "mcp_calls": {"api_or_mcp": -2},
    }


def test_count_missing():
    """A batch without a readable count explains whatever the vendor has more, of events alone."""
    work = job("j", AT, TRIGGER, (*BATCH, {"message_count": "n/a"}), (*IDP, {"page_count": 3}))
    assert reconciled(work, vendor(events_processed=100, pages_processed=4)) == {
        "events_processed": {"count_missing": -100},
        "pages_processed": {"unexplained": -1},
    }
    assert reconciled(work, vendor("2024-05-09", events_processed=100)) == {"events_processed": {"unexplained": -100}}


def test_not_yet_delivered():
    """Our newest work was extracted on May 10; a figure that is later than that has what we do not have yet."""
    work = together(ran("j", 2))
    for row in (*work["jobs"], *work["steps"]):
        row["extracted_at"] = "2024-05-10T13:00:00Z"
    more = {"tasks": 5, "genie_actions": 1, "jobs_succeeded": 0}
    assert reconciled(work, vendor("2024-05-10T13:00:00.000001Z", **more)) == {
        "tasks": {"not_yet_delivered": -3},
        "genie_actions": {"not_yet_delivered": -1},
        "jobs_succeeded": {"unexplained": 1},
    }
    assert "not_yet_delivered" not in str(reconciled(work, vendor("2024-05-10T13:00:00Z", **more)))
    assert "not_yet_delivered" not in str(reconciled(work, vendor(month="2024-04-01", **more)))


def test_request_job_missing():
    """Two requests wait for jobs; one that the gateway refused, one that broke and one whose job is there do not."""
    work = (
        request("lost", job_id="nowhere"),
        request("waits", job_id="pending"),
        job("pending", None, status="pending"),
        request("refused", job_id="nowhere", gateway_code="429"),
        request("broken", job_id="nowhere", internal_error=True),
        request("there", job_id="k"),
        job("k"),
        request("later", job_id="nowhere", requested_at="2024-06-01"),
    )
    assert reconciled(*work, vendor(api_calls=3)) == {"api_calls": {"request_job_missing": -2, "unexplained": -1}}
    # through an MCP server, it would be an MCP call
    mcp = request("of a model", job_id="nowhere", api_collection_id="m"), mcp_server()
    assert reconciled(*work, *mcp, vendor(api_calls=1, mcp_calls=2)) == {
        "api_calls": {"request_job_missing": -1},
        "mcp_calls": {"request_job_missing": -1, "unexplained": -1},
    }


def test_canceled_or_poll_error():
    """One canceled job and one poll error; of 3 that the vendor has more the third is missing."""
    work = job("j", status="canceled"), job("k", status="failed", is_poll_error=True)
    work += (job("l", "2024-06-01", status="canceled"),)
    assert reconciled(*work, vendor(jobs_failed=3)) == {
        "jobs_failed": {"canceled_or_poll_error": -2, "jobs_missing": -1}
    }


def test_jobs_missing():
    """2 + 1 jobs that we lack may have 3 x 2 tasks, and the two that succeeded were calls: one waits already, so at
    most one more, an API call before an MCP call."""
    work = ran("j", 2), request("lost", job_id="nowhere")
    figures = {"jobs_succeeded": 3, "jobs_failed": 1, "tasks": 10, "api_calls": 2, "mcp_calls": 1, "genie_actions": 1}
    assert reconciled(work[0], work[1], vendor(**figures)) == {
        "jobs_succeeded": {"jobs_missing": -2},
        "jobs_failed": {"jobs_missing": -1},
        "tasks": {"jobs_missing": -6, "unexplained": -2},
        "api_calls": {"request_job_missing": -1, "jobs_missing": -1},
        "mcp_calls": {"unexplained": -1},
        "genie_actions": {"unexplained": -1},
    }


def test_jobs_missing_pairs_figures_of_one_instant():
    """Only the job that failed is missing at the instant of the tasks: 1 x 2."""
    figures = vendor(jobs_failed=1, tasks=10, api_calls=5), vendor("2024-06-01", jobs_succeeded=3)
    assert reconciled(ran("j", 2), *figures) == {
        "jobs_succeeded": {"jobs_missing": -2},
        "jobs_failed": {"jobs_missing": -1},
        "tasks": {"jobs_missing": -2, "unexplained": -6},
        "api_calls": {"unexplained": -5},
    }


def test_decided_by_default():
    """Two steps of an unknown app counted, three of an app without ruling did not."""
    work = job("j", AT, TRIGGER, ACTION, *[UNKNOWN] * 2, *[UNRULED] * 3)
    assert reconciled(work, vendor(business_actions=0)) == {
        "business_actions": {"decided_by_default": 2, "unexplained": 1}
    }
    assert reconciled(work, vendor(business_actions=7)) == {
        "business_actions": {"decided_by_default": -3, "unexplained": -1}
    }


def test_unexplained_is_always_a_row():
    rows = compute(together(ran("j", 2), vendor(tasks=2, genie_actions=1))).usage_reconciliation
    assert [(row["metric"], row["cause"], row["quantity"]) for row in rows] == [
        ("tasks", "unexplained", 0),
        ("genie_actions", "unexplained", -1),
    ]


# --------------------------------------------------------------------------------------------------------- the figures


def test_the_latest_figure_wins_metric_by_metric_then_the_greater_row_as_text():
    rows = compute(
        together(
            ran("j", 2),
            vendor("2024-05-20", tasks=1, jobs_failed=5, genie_actions=6),
            vendor("2024-05-21", tasks=9, genie_actions=3),  # as text 9 is greater than 10
            vendor("2024-05-21T02:00:00+02:00", tasks=10, genie_actions=4),
            vendor("2024-05-21", month="2024-04-01", tasks=3),
            vendor("2024-05-21", account="nobody", tasks=8),
        )
    ).usage_reconciliation
    figures = {(r["customer_id"], str(r["usage_month"]), r["metric"]): r["vendor_quantity"] for r in rows}
    assert figures == {
        ("a", "2024-05-01", "tasks"): 9,
        ("a", "2024-05-01", "jobs_failed"): 5,
        ("a", "2024-05-01", "genie_actions"): 3,
        ("a", "2024-04-01", "tasks"): 3,
        ("nobody", "2024-05-01", "tasks"): 8,
    }


def test_usage_after_the_as_of_date_is_not_ours():
    work = ran("j", 2), ran("k", 3, "2024-05-11T00:00:00Z", action_count=9), vendor(tasks=2)
    assert reconciled(*work, as_of_date="2024-05-10") == {}


def test_every_job_with_a_count_stands_beside_it():
    work = together(
        ran("equal", 2, action_count=2),
        ran("fewer", 2, action_count=5),
        job("without lines", action_count=1),
        job("empty", action_count=0),
        ran("not counted", 2, is_poll_error=True, action_count=1),
        ran("pending", 2, None, status="pending", action_count=2),
        ran("without count", 2),
        ran("in May there", 1, "2024-06-01", action_count=0),
    )
    rows = compute(work, Options(reporting_timezone="America/Los_Angeles")).job_reconciliation
    may = date(2024, 5, 1)
    assert sorted(tuple(row.values())[1:] for row in rows) == sorted(
        [
            ("equal", may, 2, 2, 0, None),
            ("fewer", may, 2, 5, -3, "platform_count"),
            ("without lines", may, 0, 1, -1, "jobs_without_lines"),
            ("empty", may, 0, 0, 0, None),
            ("not counted", may, 0, 1, -1, "unexplained"),
            ("pending", None, 0, 2, -2, "unexplained"),
            ("in May there", may, 1, 0, 1, "platform_count"),
        ]
    )


# ------------------------------------------------------------------------------------------------------- random worlds

CAUSES = {
    ("admin_account", True),
    ("completed_after_figure", True),
    ("time_zone", True),
    ("task_rules", True),
    ("platform_count", True),
    ("jobs_without_lines", True),
    ("job_status_differs", False),
    ("api_or_mcp", False),
    ("jobs_without_lines", False),
    ("count_missing", False),
    ("not_yet_delivered", False),
    ("request_job_missing", False),
    ("canceled_or_poll_error", False),
    ("jobs_missing", False),
    ("decided_by_default", False),
    ("unexplained", False),
}
OPTIONS = [
    {},
    {"vendor_timezone": "America/Los_Angeles", "vendor_task_terms": "T1"},
    {"reporting_timezone": "Asia/Kolkata", "vendor_timezone": "UTC", "task_terms": "T1", "vendor_task_terms": "T3"},
    {"count_test_jobs": False, "unruled_app_is_eligible": True, "as_of_date": "2024-05-15"},
]
WORLDS = 60


def assert_inferred_causes_never_have_the_other_sign(result):
    """An inferred cause has the sign of what the exact ones left, and they leave nothing of the other sign."""
    groups = defaultdict(list)
    for row in result.usage_reconciliation:
        groups[row["customer_id"], row["usage_month"], row["metric"]].append(row)
    for rows in groups.values():
        left = rows[0]["our_quantity"] - rows[0]["vendor_quantity"]
        inferred = [row["quantity"] for row in rows if not row["is_exact"]]
        if left == 0:
            assert [row["cause"] for row in rows if not row["is_exact"]] == ["unexplained"]
        left -= sum(row["quantity"] for row in rows if row["is_exact"])
        assert all(quantity * left >= 0 for quantity in inferred)
        assert sum(inferred) == left


def assert_ours_are_the_months_figures(result):
    months = {(row["customer_id"], row["usage_month"]): row for row in result.monthly_customer_usage}
    for row in result.usage_reconciliation:
        month = months.get((row["customer_id"], row["usage_month"]), {})
        assert row["our_quantity"] == month.get(row["metric"], 0)


def test_random_worlds_reach_every_cause_and_add_up():
    seen, of_jobs = Counter(), Counter()
    for seed in range(WORLDS):
        options = OPTIONS[seed % len(OPTIONS)]
        result = compute(random_world(seed), Options(admin_account_ids=(ADMIN,), **options))
        assert_causes_add_up(result)
        assert_inferred_causes_never_have_the_other_sign(result)
        assert_ours_are_the_months_figures(result)
        seen.update((row["cause"], row["is_exact"]) for row in result.usage_reconciliation if row["quantity"])
        of_jobs.update(row["cause"] for row in result.job_reconciliation)
    print(f"{WORLDS} worlds:", *(f"\n{seen[cause]:6} {cause[0]}" + " (exact)" * cause[1] for cause in sorted(seen)))
    assert set(seen) == CAUSES
    assert min(seen.values()) >= 3
    assert set(of_jobs) == {None, "platform_count", "jobs_without_lines", "unexplained"}
