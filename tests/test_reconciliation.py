"""What explains a difference to the vendor's figure: one customer per cause, worked out by hand, in one real build."""

import pytest
from builders import (
    API_REQUEST,
    CALL,
    LISTED,
    PAGES,
    SALESFORCE,
    TRIGGER,
    customer,
    job,
    recipe,
    request,
    step,
    vendor_usage,
    without_steps,
    world,
)

TAKEN = "2026-04-02T06:00:00Z"
ADMIN = "999000001"
SKIPPED = step(*TRIGGER, status="skipped")  # a trigger that is no task, under T1 either
OPTIONS = {"vendor_timezone": "America/Los_Angeles", "vendor_task_terms": "T1", "admin_account_ids": [ADMIN]}


def ran(account, actions, id="job", **columns):
    return job(id, SKIPPED, *[step(*SALESFORCE)] * actions, account_id=account, recipe_id=f"r-{account}", **columns)


def empty(account, id="job", **columns):
    return without_steps(job(id, account_id=account, recipe_id=f"r-{account}", **columns))


def said(account, usage_month="2026-03-01", extracted_at=TAKEN, **figures):
    row = {"account_id": account, "usage_month": usage_month, "extracted_at": extracted_at, "tasks": None}
    return vendor_usage(**row | figures)


# what each account did, what the vendor says, and what explains the difference: (metric, cause, is_exact) -> quantity
CAUSES = {
    ADMIN: ((ran(ADMIN, 2), said(ADMIN, tasks=7)), {("tasks", "admin_account", True): -7}),
    # 2 of 3 tasks come after the figure
    "later": (
        (
            ran("later", 1),
            ran("later", 2, "late", completed_at="2026-03-20T12:00:00Z"),
            said("later", tasks=1, extracted_at="2026-03-15T00:00:00Z"),
        ),
        {("tasks", "completed_after_figure", True): 2},
    ),
    # in Los Angeles the job of April 1, 01:00 UTC, is of March: 1 - 3
    "zone": (
        (
            ran("zone", 1),
            ran("zone", 2, "edge", completed_at="2026-04-01T01:00:00Z", extracted_at="2026-04-01T08:00:00Z"),
            said("zone", tasks=3),
        ),
        {("tasks", "time_zone", True): -2},
    ),
    # under T1 the trigger is a task, and the call is none: 3 - 3; without the call 2 - 3
    "rules": (
        (
            job("job", TRIGGER, SALESFORCE, SALESFORCE, account_id="rules", recipe_id="r-rules"),
            job("calls", TRIGGER, SALESFORCE, SALESFORCE, CALL, account_id="rules", recipe_id="r-rules"),
            said("rules", tasks=6),
        ),
        {("tasks", "task_rules", True): -1},
    ),
    "platform": (
        (ran("platform", 2, action_count=5), said("platform", tasks=5)),
        {("tasks", "platform_count", True): -3},
    ),
    "counted": (
        (empty("counted", action_count=4), said("counted", tasks=4)),
        {("tasks", "jobs_without_lines", True): -4},
    ),
    "status": (
        (ran("status", 1), said("status", jobs_succeeded=0, jobs_failed=1)),
        {("jobs_succeeded", "job_status_differs", False): 1, ("jobs_failed", "job_status_differs", False): -1},
    ),
    "kind": (
        (
            recipe("r-kind", user_id="kind", recipe_type="api_recipe"),
            job("job", API_REQUEST, account_id="kind", recipe_id="r-kind"),
            said("kind", api_calls=0, mcp_calls=1),
        ),
        {("api_calls", "api_or_mcp", False): 1, ("mcp_calls", "api_or_mcp", False): -1},
    ),
    # one job without lines, and the largest has 2 tasks
    "unknown": (
        (ran("unknown", 2), empty("unknown", "bare"), said("unknown", tasks=4)),
        {("tasks", "jobs_without_lines", False): -2},
    ),
    "pages": (
        (job("job", SKIPPED, PAGES, account_id="pages", recipe_id="r-pages"), said("pages", pages_processed=6)),
        {("pages_processed", "count_missing", False): -6},
    ),
    # the newest job is of April 1, the figure of April 20
    "not yet": (
        (said("not yet", "2026-04-01", "2026-04-20T00:00:00Z", genie_actions=9),),
        {("genie_actions", "not_yet_delivered", False): -9},
    ),
    "request": (
        (request("request", account_id="request", job_id="lost"), said("request", api_calls=1)),
        {("api_calls", "request_job_missing", False): -1},
    ),
    "canceled": (
        (ran("canceled", 0, status="canceled"), said("canceled", jobs_failed=1)),
        {("jobs_failed", "canceled_or_poll_error", False): -1},
    ),
    # one job more, of at most 2 tasks
    "missing": (
        (ran("missing", 2), said("missing", jobs_succeeded=2, tasks=4)),
        {("jobs_succeeded", "jobs_missing", False): -1, ("tasks", "jobs_missing", False): -2},
    ),
    "default": (
        (
            job("job", SKIPPED, ("unheard_of", "do"), account_id="default", recipe_id="r-default"),
            said("default", business_actions=0),
        ),
        {("business_actions", "decided_by_default", False): 1},
    ),
    "planted": ((ran("planted", 1), said("planted", tasks=16)), {("tasks", "unexplained", False): -15}),
}
OTHER_REPORTS = (
    *said("planted", extracted_at="2026-04-01T06:00:00Z", tasks=3),  # an earlier report
    *said("nobody", tasks=1),
    *said("later", "2026-09-01", tasks=0),
)
SILENT = ran("silent", 1)  # usage of which the vendor says nothing


WORLD = world(
    *(customer(account, extracted_at=LISTED) for account in (*CAUSES, "silent")),
    *(part for did, _ in CAUSES.values() for part in did),
    list(OTHER_REPORTS),
    SILENT,
)


def causes_of(run, *accounts):
    rows = run.rows(
        "select customer_id, metric, cause, quantity from marts.usage_reconciliation "
        "where list_contains(?, customer_id) and (cause <> 'unexplained' or quantity <> 0) order by all",
        list(accounts),
    )
    return [tuple(row) for row in rows]


@pytest.fixture(scope="module")
def built(build):
    return build(WORLD, vars=OPTIONS)


class TestOneOfEveryCause:
    """The world under the vendor's options, built once."""

    @pytest.mark.parametrize("account", CAUSES)
    def test_the_cause_is_named_and_nothing_else(self, built, account):
        rows = built.rows(
            "select metric, cause, is_exact, quantity from marts.usage_reconciliation where customer_id = ? "
            "and usage_month < date '2026-09-01' and (cause <> 'unexplained' or quantity <> 0)",
            account,
        )
        assert {tuple(key): quantity for *key, quantity in rows} == CAUSES[account][1]

    def test_every_cause_of_the_rules_is_there(self, built):
        causes = built.rows("select distinct cause, is_exact from marts.usage_reconciliation")
        assert len(causes) == 16

    def test_what_is_unexplained_warns(self, built):
        assert "'unexplained usage', such as tasks of 2026-03: " in built.output

    def test_findings_about_the_vendors_figures(self, built):
        findings = built.rows(
            "select finding, customer_id, subject from audit.findings where finding in (select finding from "
            "audit.reconciliation_findings union select finding from audit.vendor_figure_findings) order by all"
        )
        assert findings == [
            ("figure after the as-of date", "later", "2026-09"),
            ("figure of an unknown customer", "nobody", "2026-03"),
            ("figures of the vendor differ", "planted", "tasks of 2026-03"),
            ("no figure of the vendor", "silent", "2026-03"),
            ("no figure of the vendor", "zone", "2026-04"),
            ("unexplained usage", "planted", "tasks of 2026-03"),
            ("unexplained usage", None, "tasks of 2026-03"),
        ]

    def test_jobs_with_a_count_of_the_platform(self, built):
        assert built.rows("select * exclude (usage_month) from audit.job_reconciliation order by all") == [
            ("counted", "job", 0, 4, -4, "jobs_without_lines"),
            ("platform", "job", 2, 5, -3, "platform_count"),
        ]

    @pytest.mark.parametrize(("limit", "exit_code"), [(0.95, 0), (0.9, 1)])
    def test_a_build_fails_above_the_limit_that_is_set(self, build, built, limit, exit_code):
        """15 of 16 units of one customer are unexplained: 0.94."""
        test = ("test", "--select", "unexplained_usage_is_below_the_limit")
        limits = OPTIONS | {"unexplained_fail_share": limit}
        run = build(None, vars=limits, onto=built, command=test, with_tests=True, keep=False)
        assert run.exit_code == exit_code, run.output


def test_a_later_report_and_other_vendor_options_count_without_new_work(build, built):
    """A report alone makes its month be compared anew: 2 - 9 tasks, of which the platform counts 3 more. Without the
    vendor's time zone the job of April 1 is in April, and with our terms the trigger is no task."""
    report = said("platform", tasks=9, extracted_at="2026-04-05T00:00:00Z")
    later = world(*(list(rows) for rows in ([(name, row) for name, rows in WORLD.items() for row in rows], report)))
    reported = build(later, vars=OPTIONS, onto=built)
    assert causes_of(reported, "platform", "zone") == [
        ("platform", "tasks", "platform_count", -3),
        ("platform", "tasks", "unexplained", -4),
        ("zone", "tasks", "time_zone", -2),
    ]
    ours = OPTIONS | {"vendor_timezone": None, "vendor_task_terms": None}
    changed = build(later, vars=ours, onto=reported)
    assert "decisions on steps, requests and seats are recomputed" in changed.output
    assert causes_of(changed, "platform", "zone", "rules") == [
        ("platform", "tasks", "platform_count", -3),
        ("platform", "tasks", "unexplained", -4),
        ("rules", "tasks", "unexplained", -1),
        ("zone", "tasks", "unexplained", -2),
    ]
