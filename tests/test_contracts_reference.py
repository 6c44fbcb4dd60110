"""The reference's contract terms: examples of section 9 worked by hand, and what must hold in every random world.

No build and no SQL: ``reference.contracts`` alone. Usage of any size on a day is a batch of published events, worth a
credit each.
"""

from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import builders
import pytest
from builders import (
    CALL,
    CALL_ASYNC,
    CUSTOMER,
    FUNCTION,
    LOGGER,
    PAGES,
    PROXY_REQUEST,
    SALESFORCE,
    SCHEDULER,
    collection,
    prompt,
    ratio,
    recipe,
    request,
    step,
    world,
)
from reference import reference
from reference.contract_worlds import SMALL_TIERS, random_contract_world
from reference.contracts import add_contracts, compute
from reference.measures import TERMS, Line, Tiers, places_of, rounded, shared_value
from reference.reference import Options
from reference.terms import cycle_of
from reference.worlds import merge_worlds, random_world

SEEN = "2024-12-31T12:00:00Z"  # when everything was extracted
SKILL = ("workato_genie", "start_workflow")
API = ("workato_api_platform", "receive_request")
THREE_ACTIONS = (SCHEDULER, SALESFORCE, SALESFORCE, LOGGER)  # 3 tasks, 2 business actions
EVENTS_AT_ONE = ratio("events_processed", effective_from="2024-01-01")


def customer(id=CUSTOMER, created="2024-03-01"):
    return builders.customer(id, created_at=f"{created}T00:00:00Z", extracted_at=SEEN)


def term(begin="2024-03-01", end=None, account=CUSTOMER, terms="credits_2025", **columns):
    row = {"account_id": account, "terms": terms, "effective_from": begin, "effective_to": end}
    return [("subscriptions", row | columns)]


def used(day, n, account=CUSTOMER):
    """So many credits on the day, at the ratio of EVENTS_AT_ONE."""
    place = {"account_id": account, "requested_at": f"{day}T12:00:00Z", "extracted_at": SEEN}
    return builders.publish(f"{account} {day} {n}", endpoint="batch_publish", message_count=n, **place)


def job(id, *lines, day="2024-03-10", account=CUSTOMER, **columns):
    return builders.job(id, *lines, account_id=account, completed_at=f"{day}T12:00:00Z", extracted_at=SEEN, **columns)


def seats(begin, n, end=None, id="order", account=CUSTOMER):
    return builders.seats(id, account_id=account, seats=n, effective_from=begin, effective_to=end)


def billed(*parts, as_of, tiers=None, **options):
    """What the reference computes of the parts; every row of them is readable."""
    delivered = world(EVENTS_AT_ONE, *parts, with_required=False)
    result = compute(delivered, Options(as_of_date=as_of, **options), tiers)
    assert not result.quarantined
    return result


def table(rows, columns, **where):
    """The columns of the rows, dates as texts and whole Decimals as numbers do in comparisons."""
    found = []
    for row in rows:
        if all(row[column] == value for column, value in where.items()):
            values = [row[column] for column in columns.split()]
            found.append(tuple(str(value) if isinstance(value, date) else value for value in values))
    return found


def lines(result, columns="metric call_type quantity credits", **where):
    return table(result.contract_usage, columns, **where)


def periods(result, columns, **where):
    return table(result.billing_periods, columns, **where)


def allowance_thresholds(result, **where):
    """(percent, day) as they were crossed."""
    return table(result.usage_thresholds, "threshold crossed_on", threshold_kind="allowance_percent", **where)


def percents(first, last, day):
    return [(percent, day) for percent in range(first, last + 1, 10)]


# ------------------------------------------------------------------------------------------------------ cycles, periods


def test_a_change_from_tasks_to_credits_on_the_15th_makes_two_periods_of_one_cycle():
    result = billed(
        customer(),
        term("2024-01-01", "2024-03-15", terms="tasks_2024", task_limit=62),
        term("2024-03-15", terms="credits_2025", included_credits=310),
        ratio(effective_from="2024-01-01"),
        job("before", *THREE_ACTIONS, day="2024-03-14"),
        job("after", *THREE_ACTIONS, day="2024-03-15"),
        as_of="2024-03-31",
    )
    # 62 tasks x 14 / 31 days = 28; 310 credits x 17 / 31 = 170
    assert periods(result, "term_from terms measure period_from period_to used allowance remaining") == [
        ("2024-01-01", "tasks_2024", "tasks", "2024-03-01", "2024-03-15", 3, 28, 25),
        ("2024-03-15", "credits_2025", "credits", "2024-03-15", "2024-04-01", 2, 170, 168),
    ]
    assert periods(result, "cycle_from cycle_to days_elapsed share_used") == [
        ("2024-03-01", "2024-04-01", 14, Decimal("0.107143")),  # 3 / 28
        ("2024-03-01", "2024-04-01", 17, Decimal("0.011765")),  # 2 / 170
    ]
    assert lines(result, "period_from metric quantity credits is_unpriced") == [
        ("2024-03-01", "tasks", 3, None, False),
        ("2024-03-15", "business_actions", 2, 2, False),
    ]


def test_a_cycle_from_the_31st_begins_on_the_last_day_of_shorter_months():
    leap_year = billed(customer(created="2024-02-01"), term("2024-01-01", billing_cycle_day=31), as_of="2024-04-29")
    assert periods(leap_year, "period_from period_to days_elapsed") == [
        ("2024-01-31", "2024-02-29", 29),
        ("2024-02-29", "2024-03-31", 31),
        ("2024-03-31", "2024-04-30", 30),
    ]
    autumn = billed(customer(created="2024-10-01"), term("2024-01-01", billing_cycle_day=31), as_of="2024-12-31")
    assert periods(autumn, "cycle_from cycle_to") == [
        ("2024-09-30", "2024-10-31"),
        ("2024-10-31", "2024-11-30"),
        ("2024-11-30", "2024-12-31"),
        ("2024-12-31", "2025-01-31"),
    ]


@pytest.mark.parametrize(
    ("day", "cycle_day", "begin", "end"),
    [
        (date(2023, 2, 28), 29, date(2023, 2, 28), date(2023, 3, 29)),
        (date(2024, 2, 28), 29, date(2024, 1, 29), date(2024, 2, 29)),
        (date(2024, 1, 14), 15, date(2023, 12, 15), date(2024, 1, 15)),
        (date(2024, 1, 15), 15, date(2024, 1, 15), date(2024, 2, 15)),
        (date(2024, 4, 30), 31, date(2024, 4, 30), date(2024, 5, 31)),
        (date(2024, 3, 1), 30, date(2024, 2, 29), date(2024, 3, 30)),
    ],
)
def test_a_day_is_in_the_cycle_that_began_last(day, cycle_day, begin, end):
    assert cycle_of(day, cycle_day) == (begin, end)


def test_a_cycle_may_begin_before_the_subscription():
    result = billed(customer(), term("2024-03-20", billing_cycle_day=15, included_credits=31), as_of="2024-03-25")
    # The default until the 20th, in calendar months; then the 26 of the 31 days from the 15th that are left
    assert periods(result, "terms cycle_from cycle_to period_from period_to allowance") == [
        ("credits_2025", "2024-03-01", "2024-04-01", "2024-03-01", "2024-03-20", None),
        ("credits_2025", "2024-03-15", "2024-04-15", "2024-03-20", "2024-04-15", 26),
    ]


def test_terms_that_end_leave_the_default_which_has_no_allowance_price_or_currency():
    price = {"included_credits": 31, "unit_price": "2", "currency": "EUR"}
    result = billed(
        customer(),
        term("2024-01-01", "2024-03-11", **price),
        ratio("workflow_tasks", credits_per_unit="0.5", effective_from="2024-01-01"),
        job("before", *THREE_ACTIONS, day="2024-03-10"),
        job("after", *THREE_ACTIONS, day="2024-03-11"),
        as_of="2024-03-31",
        default_terms="credits_2026",
    )
    columns = "term_from terms period_to used allowance remaining unit_price currency used_value overage overage_value"
    assert periods(result, columns) == [
        # business actions have no ratio: nothing is priced
        ("2024-01-01", "credits_2025", "2024-03-11", 0, 10, 10, 2, "EUR", 0, 0, 0),
        (None, "credits_2026", "2024-04-01", Decimal("1.5"), None, None, None, None, None, 0, None),
    ]
    assert periods(result, "is_fully_priced") == [(False,), (True,)]
    assert lines(result, "metric quantity credits is_unpriced used_value") == [
        ("business_actions", 2, None, True, None),
        ("workflow_tasks", 3, Decimal("1.5"), False, None),
    ]


def test_a_subscription_inside_another_one_interrupts_it_and_its_allowance():
    result = billed(
        customer(),
        term("2024-01-01", allowance_per="term", included_credits=100),
        term("2024-03-10", "2024-03-20", included_credits=31),
        used("2024-03-09", 40),
        used("2024-03-10", 11),
        used("2024-03-20", 70),
        as_of="2024-03-31",
    )
    # The inner one has 31 x 10 / 31 = 10 credits; the outer one is not prorated, and the 11 are not its
    assert periods(result, "term_from period_from period_to used used_of_allowance allowance exceeded_on") == [
        ("2024-01-01", "2024-03-01", "2024-03-10", 40, 40, 100, None),
        ("2024-03-10", "2024-03-10", "2024-03-20", 11, 11, 10, "2024-03-10"),
        ("2024-01-01", "2024-03-20", "2024-04-01", 70, 110, 100, "2024-03-20"),
    ]
    assert allowance_thresholds(result, period_from=date(2024, 3, 20)) == percents(50, 110, "2024-03-20")


def test_a_change_that_is_known_ends_the_period_with_the_as_of_date():
    result = billed(customer(), term("2024-01-01"), term("2024-03-28", terms="tasks_2024"), as_of="2024-03-05")
    assert periods(result, "period_from period_to days_elapsed") == [("2024-03-01", "2024-03-28", 5)]


def test_recipe_metric_names_the_terms_where_terms_is_empty_and_gives_way_where_it_is_not():
    result = billed(
        customer("tasks"),
        customer("actions"),
        customer("newest"),
        term(account="tasks", terms=None, recipe_metric="tasks"),
        term(account="actions", terms=None, recipe_metric="business_actions"),
        term(account="newest", terms="credits_2026", recipe_metric="tasks"),
        as_of="2024-03-05",
    )
    assert periods(result, "customer_id terms") == [
        ("actions", "credits_2025"),
        ("newest", "credits_2026"),
        ("tasks", "tasks_2024"),
    ]


# ----------------------------------------------------------------------------------------------------------- allowances


def test_an_allowance_that_is_met_exactly_is_crossed_and_not_exceeded():
    met = [customer(), term(included_credits=100), used("2024-03-05", 30), used("2024-03-10", 70)]
    result = billed(*met, as_of="2024-03-31")
    columns = "used remaining share_used overage exceeded_on"
    assert periods(result, columns) == [(100, 0, 1, 0, None)]
    assert allowance_thresholds(result) == percents(10, 30, "2024-03-05") + percents(40, 100, "2024-03-10")
    exceeded = billed(*met, used("2024-03-11", 1), as_of="2024-03-31")
    assert periods(exceeded, columns) == [(101, 0, Decimal("1.01"), 1, "2024-03-11")]
    assert allowance_thresholds(exceeded) == allowance_thresholds(result)


def test_thresholds_begin_anew_with_the_next_period():
    result = billed(
        customer(), term(included_credits=10), used("2024-03-10", 12), used("2024-04-02", 3), as_of="2024-04-30"
    )
    assert allowance_thresholds(result, period_from=date(2024, 3, 1)) == percents(10, 120, "2024-03-10")
    assert allowance_thresholds(result, period_from=date(2024, 4, 1)) == percents(10, 30, "2024-04-02")
    assert periods(result, "overage exceeded_on") == [(2, "2024-03-10"), (0, None)]


def test_thresholds_end_at_200_percent():
    result = billed(customer(), term(included_credits=1), used("2024-03-10", 50), as_of="2024-03-31")
    assert allowance_thresholds(result) == percents(10, 200, "2024-03-10")


def test_an_allowance_for_the_whole_subscription_is_used_up_in_its_second_period():
    result = billed(
        customer(),
        term("2024-03-10", included_credits=150, allowance_per="term"),  # begins within a cycle: not prorated
        used("2024-03-09", 1000),  # the day before it
        used("2024-03-15", 100),
        used("2024-04-10", 100),
        as_of="2024-05-31",
    )
    columns = "period_from used allowance used_of_allowance remaining share_used overage exceeded_on"
    assert periods(result, columns, term_from=date(2024, 3, 10)) == [
        ("2024-03-10", 100, 150, 100, 50, Decimal("0.666667"), 0, None),
        ("2024-04-01", 100, 150, 200, 0, Decimal("1.333333"), 50, "2024-04-10"),
        ("2024-05-01", 0, 150, 200, 0, Decimal("1.333333"), 0, "2024-04-10"),
    ]
    assert table(result.usage_thresholds, "period_from threshold crossed_on") == [
        *[("2024-03-10", *crossed) for crossed in percents(10, 60, "2024-03-15")],
        *[("2024-04-01", *crossed) for crossed in percents(70, 130, "2024-04-10")],
    ]


def test_what_is_over_an_allowance_of_the_whole_subscription_is_never_more_than_the_period_used():
    result = billed(
        customer(),
        term(included_credits=10, allowance_per="term", unit_price="3", currency="USD"),
        used("2024-03-15", 25),
        used("2024-04-10", 5),
        as_of="2024-04-30",
    )
    assert periods(result, "used overage used_value overage_value") == [(25, 15, 75, 45), (5, 5, 15, 15)]


def test_a_late_delivery_moves_the_day_on_which_an_allowance_was_crossed():
    parts = [customer(), term(included_credits=100), used("2024-03-05", 60), used("2024-03-20", 60)]
    before = billed(*parts, as_of="2024-03-31")
    assert periods(before, "used exceeded_on") == [(120, "2024-03-20")]
    assert allowance_thresholds(before) == percents(10, 60, "2024-03-05") + percents(70, 120, "2024-03-20")
    after = billed(*parts, used("2024-03-10", 45), as_of="2024-03-31")
    assert periods(after, "used exceeded_on") == [(165, "2024-03-10")]
    assert allowance_thresholds(after) == (
        percents(10, 60, "2024-03-05") + percents(70, 100, "2024-03-10") + percents(110, 160, "2024-03-20")
    )


def test_an_allowance_of_nothing_is_exceeded_by_the_first_use_and_has_no_percents():
    result = billed(customer(), term(included_credits=0), used("2024-03-07", 2), as_of="2024-03-31")
    assert periods(result, "allowance remaining share_used overage exceeded_on") == [(0, 0, None, 2, "2024-03-07")]
    assert result.usage_thresholds == []


def test_without_an_allowance_nothing_is_over_it():
    result = billed(customer(), term(unit_price="1", currency="EUR"), used("2024-03-07", 2), as_of="2024-03-31")
    columns = "allowance used_of_allowance remaining share_used overage overage_value exceeded_on"
    assert periods(result, columns) == [(None, 2, None, None, 0, 0, None)]
    assert result.usage_thresholds == []


def test_a_part_of_a_cycle_has_its_part_of_the_allowance_unless_the_option_says_otherwise():
    parts = [
        customer(),
        term("2024-03-01", "2024-03-11", included_credits=100),
        term("2024-03-11", terms="tasks_2024", task_limit=100),
    ]
    prorated = billed(*parts, as_of="2024-03-31")
    # 100 x 10 / 31 = 32.2580645161...; 100 x 21 / 31 = 67.74...
    assert periods(prorated, "allowance") == [(Decimal("32.258064516"),), (68,)]
    whole = billed(*parts, as_of="2024-03-31", prorate_allowances=False)
    assert periods(whole, "allowance") == [(100,), (100,)]


# ------------------------------------------------------------------------------------------------------- what is billed


def test_seats_over_a_change_of_terms_are_billed_once():
    result = billed(
        customer(),
        term("2024-03-01", "2024-03-15", terms="credits_2025"),
        term("2024-03-15", terms="credits_2026"),
        seats("2024-03-01", 10),
        ratio("go_seats", credits_per_unit="31", effective_from="2024-01-01"),
        as_of="2024-03-20",
    )
    # 310 x 14 / 31 and 310 x 17 / 31; the whole period counts, although only its first days are over
    assert lines(result, "period_from metric quantity credits") == [
        ("2024-03-01", "go_seats", 10, 140),
        ("2024-03-15", "go_seats", 10, 170),
    ]
    assert [row["credits"] for row in result.monthly_customer_usage] == [310]


def test_seats_are_billed_by_their_peak_at_the_ratio_of_its_first_day():
    result = billed(
        customer(),
        term("2024-03-01", "2024-03-08", included_credits="2.5"),
        term("2024-03-08", terms="tasks_2024", task_limit=5),
        seats("2024-03-01", 3),
        seats("2024-03-04", 2, "2024-03-05", id="for a day"),
        seats("2024-03-08", 50, id="later"),
        ratio("go_seats", credits_per_unit="1", effective_from="2024-01-01", effective_to="2024-03-04"),
        ratio("go_seats", credits_per_unit="4", effective_from="2024-03-04", effective_to="2024-03-05"),
        as_of="2024-03-31",
    )
    # 5 x 4 x 7 / 31 = 4.516129032258...; until the 4th 3 x 1 x 7 / 31 = 0.677419354...
    assert lines(result, "metric quantity credits") == [("go_seats", 5, Decimal("4.516129032"))]
    # of 2.5 x 7 / 31 = 0.564516129, exceeded from the first day on; task terms bill no seats
    assert periods(result, "used allowance exceeded_on") == [
        (Decimal("4.516129032"), Decimal("0.564516129"), "2024-03-01"),
        (0, 4, None),
    ]
    # 0.677419354 / 0.564516129 = 1.2 (0.67741935448387 rounds to ...355)
    assert allowance_thresholds(result) == percents(10, 120, "2024-03-01") + percents(130, 200, "2024-03-04")


def test_a_ratio_that_changes_during_the_peak_changes_nothing():
    result = billed(
        customer(),
        term(),
        seats("2024-03-04", 3),
        ratio("go_seats", credits_per_unit="2", effective_from="2024-01-01", effective_to="2024-03-10"),
        ratio("go_seats", credits_per_unit="9", effective_from="2024-03-10"),
        as_of="2024-03-31",
    )
    assert lines(result, "metric quantity credits") == [("go_seats", 3, 6)]
    assert table(result.monthly_credits, "metric quantity credits") == [("go_seats", 3, 6)]


def test_task_terms_bill_no_seats_in_a_month_either():
    parts = [customer(), term(terms="tasks_2024"), seats("2024-03-04", 3), ratio("go_seats")]
    result = billed(*parts, as_of="2024-03-31")
    assert (result.contract_usage, result.monthly_credits) == ([], [])
    assert [(row["credits"], row["is_fully_priced"]) for row in result.monthly_customer_usage] == [(0, True)]


def test_workflow_tasks_begin_in_october_2020():
    jobs = [job(day, *THREE_ACTIONS, day=day) for day in ("2020-09-30", "2020-10-01")]
    result = billed(customer(), *jobs, as_of="2020-10-31", default_terms="credits_2026")
    assert lines(result, "period_from metric quantity") == [("2020-10-01", "workflow_tasks", 3)]


def test_newest_terms_count_a_call_over_mcp_as_what_it_invoked():
    over_mcp = {"api_collection_id": "mcp", "requested_at": "2024-03-10T12:00:00Z", "extracted_at": SEEN}
    parts = [
        customer(),
        collection("mcp", extracted_at=SEEN),
        recipe("skill", recipe_type="skill", extracted_at=SEEN),
        recipe("api", recipe_type="api_recipe", extracted_at=SEEN),
        job("skill over MCP", SKILL, SALESFORCE, LOGGER, recipe_id="skill"),
        request("1", job_id="skill over MCP", **over_mcp),
        job("API recipe over MCP", API, SALESFORCE, SALESFORCE, LOGGER, recipe_id="api"),
        request("2", job_id="API recipe over MCP", **over_mcp),
        request("3", request_type="proxy", **over_mcp),
        job("skill of a genie", SKILL, SALESFORCE, LOGGER, recipe_id="skill"),
        job("API recipe", API, SALESFORCE, recipe_id="api"),
    ]
    newest = billed(*parts, term(terms="credits_2026"), as_of="2024-03-31")
    assert lines(newest, "metric call_type quantity") == [
        ("api_calls", "managed", 2),  # both API recipes
        ("api_calls", "proxy", 1),
        ("workflow_tasks", None, 2),  # those of the skill over MCP
    ]
    earlier = billed(*parts, term(terms="credits_2025"), as_of="2024-03-31")
    assert lines(earlier, "metric call_type quantity") == [("api_calls", "managed", 1), ("mcp_calls", None, 2)]
    tasks = billed(*parts, term(terms="tasks_2024"), as_of="2024-03-31")
    assert lines(tasks, "metric call_type quantity") == [("tasks", None, 2 + 3 + 1 + 2 + 1)]


def test_functions_that_are_called_over_mcp_are_workflows_under_the_newest_terms():
    """And what they call; the same function in a continuation without such a request stays covered by the call."""
    call = step(*CALL, called_recipe_id="f")
    parts = [
        customer(),
        collection("mcp", extracted_at=SEEN),
        recipe("api", recipe_type="api_recipe", extracted_at=SEEN),
        recipe("f", recipe_type="recipe_function", extracted_at=SEEN),
        job("api job", API, call, recipe_id="api"),
        job("called", FUNCTION, call, SALESFORCE, recipe_id="f", calling_job_id="api job"),
        job("called by it", FUNCTION, SALESFORCE, recipe_id="f", calling_job_id="called"),
        term(terms="credits_2026"),
    ]
    covered = billed(*parts, as_of="2024-03-31")
    assert lines(covered, "metric call_type quantity") == [("api_calls", "managed", 1)]
    named = request("r", job_id="called", api_collection_id="mcp", extracted_at=SEEN)
    over_mcp = billed(*parts, named, as_of="2024-03-31")
    assert lines(over_mcp, "metric call_type quantity") == [
        ("api_calls", "managed", 1),
        ("workflow_tasks", None, 3),  # the call, its action, and that of the function that it calls
    ]


def test_workflow_tasks_are_tasks_of_workflows_without_pages_events_and_proxied_requests():
    """Under T3, whatever task_terms says; pages and events count in every context."""
    publish_nothing = step("workato_pub_sub", "publish_to_topic_batch", message_count=0)
    asynchronous = step(*CALL_ASYNC, called_recipe_id="f")
    parts = [
        customer(),
        recipe("api", recipe_type="api_recipe", extracted_at=SEEN),
        recipe("f", recipe_type="recipe_function", extracted_at=SEEN),
        job("workflow", ("salesforce", "new_object"), LOGGER, step(*PAGES, page_count=4), publish_nothing),
        job("api job", API, LOGGER, step(*PAGES, page_count=2), asynchronous, recipe_id="api"),
        job("asynchronous", FUNCTION, LOGGER, SALESFORCE, recipe_id="f", calling_job_id="api job"),
        job("proxied", PROXY_REQUEST, ("workato_api_proxy", "forward_request"), recipe_id="p"),
        request("r", request_type="proxy", requested_at="2024-03-10T12:00:00Z", extracted_at=SEEN),
        prompt("p", sent_at="2024-03-10T12:00:00Z", extracted_at=SEEN),
        term(terms="credits_2026"),
    ]
    for task_terms in ("T1", "T3"):
        result = billed(*parts, as_of="2024-03-31", task_terms=task_terms)
        assert lines(result, "metric call_type quantity") == [
            ("api_calls", "managed", 1),
            ("api_calls", "proxy", 2),
            ("genie_actions", None, 1),
            ("pages_processed", None, 6),
            ("workflow_tasks", None, 3),  # the first logger, and both actions of the asynchronous function
        ]


def test_task_terms_follow_the_task_rules_of_the_option():
    parts = [customer(), term(terms="tasks_2024"), job("j", *THREE_ACTIONS)]
    assert periods(billed(*parts, as_of="2024-03-31", task_terms="T3"), "used") == [(3,)]
    assert periods(billed(*parts, as_of="2024-03-31", task_terms="T1"), "used") == [(4,)]  # and the trigger


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        # each ratio is worth more than all before it; all are in force
        (0, 1),  # of the metric as a whole, that began first
        (1, 2),  # began later
        (2, 4),  # of the call type
        (3, 8),  # of the terms
        (4, 16),  # of the account
        (5, 32),  # of the account and the terms
        (6, 32),  # of other terms, another account and another call type
    ],
)
def test_the_most_specific_ratio_counts_account_before_terms_before_call_type_before_begin(order, expected):
    of_account = {"account_id": CUSTOMER}
    ratios = [
        ratio("api_calls", credits_per_unit="1", effective_from="2024-02-01"),
        ratio("api_calls", credits_per_unit="2", effective_from="2024-03-02"),
        ratio("api_calls", credits_per_unit="4", effective_from="2024-01-01", call_type="managed"),
        ratio("api_calls", credits_per_unit="8", effective_from="2024-01-01", terms="credits_2026"),
        ratio("api_calls", credits_per_unit="16", effective_from="2024-01-01", **of_account),
        ratio("api_calls", credits_per_unit="32", effective_from="2024-01-01", terms="credits_2026", **of_account),
        ratio("api_calls", credits_per_unit="64", effective_from="2024-03-09", terms="credits_2025", **of_account)
        + ratio("api_calls", credits_per_unit="128", effective_from="2024-03-09", account_id="other")
        + ratio("api_calls", credits_per_unit="256", effective_from="2024-03-09", account_id="*")
        + ratio("api_calls", credits_per_unit="512", effective_from="2024-03-09", call_type="proxy", **of_account),
    ]
    result = billed(
        customer(),
        term(terms="credits_2026"),
        request("r", requested_at="2024-03-10T12:00:00Z", extracted_at=SEEN),
        *ratios[: order + 1],
        as_of="2024-03-31",
    )
    assert lines(result) == [("api_calls", "managed", 1, expected)]
    assert [row["credits"] for row in result.monthly_customer_usage] == [expected]


def test_a_line_is_unpriced_by_the_part_that_has_no_ratio():
    result = billed(
        customer(),
        term(unit_price="0.10", currency="EUR"),
        ratio("genie_actions", credits_per_unit="2", effective_from="2024-03-10", effective_to="2024-03-11"),
        prompt("a", sent_at="2024-03-09T12:00:00Z", extracted_at=SEEN),
        prompt("b", sent_at="2024-03-10T12:00:00Z", extracted_at=SEEN),
        job("j", *THREE_ACTIONS),
        as_of="2024-03-31",
    )
    assert lines(result, "metric quantity credits is_unpriced used_value") == [
        ("business_actions", 2, None, True, None),
        ("genie_actions", 2, 2, True, Decimal("0.20")),
    ]
    assert periods(result, "used is_fully_priced used_value") == [(2, False, Decimal("0.20"))]


def test_months_convert_tasks_where_they_have_a_ratio_and_are_priced_anyhow():
    parts = [customer(created="2024-02-01"), term("2024-01-01", terms="tasks_2024")]
    parts += [job("j", *THREE_ACTIONS, day="2024-02-10"), job("k", *THREE_ACTIONS, day="2024-03-10")]
    tasks = ratio("tasks", credits_per_unit="0.5", effective_from="2024-03-01")
    result = billed(*parts, tasks, ratio(effective_from="2024-01-01"), as_of="2024-04-30")
    assert [
        (row["usage_month"].month, row["credits"], row["is_fully_priced"]) for row in result.monthly_customer_usage
    ] == [(2, None, True), (3, Decimal("1.5"), True), (4, 0, True)]
    assert table(result.monthly_credits, "usage_month metric quantity credits is_unpriced") == [
        ("2024-02-01", "tasks", 3, None, False),
        ("2024-03-01", "tasks", 3, Decimal("1.5"), False),
    ]
    assert {row["credits"] for row in result.contract_usage} == {None}


# --------------------------------------------------------------------------------------------------------------- values


def test_each_subscription_is_worth_money_in_its_own_currency():
    result = billed(
        customer(),
        term("2024-03-01", "2024-03-11", unit_price="0.335", currency="EUR", included_credits="3.1"),
        term("2024-03-11", "2024-03-21", unit_price="0.5", currency="JPY"),
        term("2024-03-21", unit_price="0.3335", currency="KWD"),
        used("2024-03-05", 3),
        used("2024-03-15", 5),
        used("2024-03-25", 1),
        as_of="2024-03-31",
    )
    # 3 x 0.335 = 1.005; over 3.1 x 10 / 31 = 1 credit are 2 x 0.335 = 0.67. 5 x 0.5 = 2.5. 0.3335.
    assert periods(result, "currency unit_price used used_value overage_value") == [
        ("EUR", Decimal("0.335"), 3, Decimal("1.01"), Decimal("0.67")),
        ("JPY", Decimal("0.5"), 5, 3, 0),
        ("KWD", Decimal("0.3335"), 1, Decimal("0.334"), 0),
    ]


def test_lines_share_the_rounded_value_and_the_largest_fractions_get_the_missing_units():
    result = billed(
        customer(),
        term(terms="credits_2026", unit_price="0.335", currency="EUR"),
        ratio("genie_actions", effective_from="2024-01-01"),
        ratio("api_calls", effective_from="2024-01-01"),
        used("2024-03-05", 1),
        prompt("p", sent_at="2024-03-05T12:00:00Z", extracted_at=SEEN),
        request("r", requested_at="2024-03-05T12:00:00Z", extracted_at=SEEN),
        as_of="2024-03-31",
    )
    # 3 x 0.335 = 1.005 is 1.01; a third is 0.33666..., so two of three lines get a cent more, in their order
    assert lines(result, "metric credits used_value") == [
        ("api_calls", 1, Decimal("0.34")),
        ("events_processed", 1, Decimal("0.34")),
        ("genie_actions", 1, Decimal("0.33")),
    ]


def test_the_largest_fraction_comes_before_the_order_of_lines():
    lines = [Line("a", None, 1, Fraction(1)), Line("b", None, 1, Fraction(5)), Line("c", None, 1, None, True)]
    # 100 units: a sixth is 16.67, five sixths are 83.33
    assert shared_value(Decimal(100), lines, 0) == [17, 83, None]
    lines = [Line("a", "proxy", 1, Fraction(1)), Line("a", None, 1, Fraction(1)), Line("Z", "x", 1, Fraction(0))]
    # the same fraction: the empty call type is first
    assert shared_value(Decimal("0.01"), lines, 2) == [0, Decimal("0.01"), 0]


def test_under_task_terms_the_value_is_that_of_the_tasks():
    result = billed(
        customer(),
        term(terms="tasks_2024", unit_price="0.015", currency="USD", task_limit=1),
        job("j", *THREE_ACTIONS),
        as_of="2024-03-31",
    )
    # 3 x 0.015 = 0.045 is 0.05; 2 x 0.015 = 0.03
    assert periods(result, "used overage used_value overage_value") == [(3, 2, Decimal("0.05"), Decimal("0.03"))]
    assert lines(result, "metric credits used_value is_unpriced") == [("tasks", None, Decimal("0.05"), False)]


def test_minor_units_are_those_of_iso_4217():
    assert [places_of(c) for c in ("EUR", "JPY", "KRW", "KWD", "TND", "CLF", "unheard of")] == [2, 0, 0, 3, 3, 4, 2]


@pytest.mark.parametrize(
    ("exact", "places", "expected"),
    [("0.5", 0, 1), ("-0.5", 0, -1), ("1.4999", 0, 1), ("2.0050", 2, "2.01"), ("2.675", 2, "2.68")],
)
def test_halves_are_rounded_away_from_zero(exact, places, expected):
    assert rounded(Decimal(exact), places) == Decimal(expected)


# -------------------------------------------------------------------------------------------------- high-volume recipes


def with_tasks(parts, tasks, as_of="2024-03-31", tiers=None):
    """As billed, where the first action of each of these jobs is so many tasks."""
    options = Options(as_of_date=as_of)
    result = reference.compute(world(*parts, with_required=False), options)
    for row in result.metered_steps:
        if row["line_index"] == 1:
            row["tasks"] = tasks[row["job_id"]]
    add_contracts(result, options, tiers or Tiers())
    return result


def test_a_recipe_of_4_000_001_tasks_is_high_volume_and_one_of_4_000_000_is_not():
    ran = (SCHEDULER, SALESFORCE)
    parts = [
        customer(),
        term(terms="tasks_2024", task_limit=5_000_000),
        job("at the bound", *ran, day="2024-03-10", recipe_id="x"),
        job("in y", *ran, day="2024-03-12", recipe_id="y"),
        job("in y, later", *ran, day="2024-03-20", recipe_id="y"),
        request("r", request_type="proxy", requested_at="2024-03-10T12:00:00Z", recipe_id="y", extracted_at=SEEN),
    ]
    result = with_tasks(parts, {"at the bound": 4_000_000, "in y": 3_000_000, "in y, later": 1_000_001})
    assert table(result.high_volume_recipes, "account_id recipe_id tasks tier") == [(CUSTOMER, "y", 4_000_001, 1)]
    # 7,000,001 tasks with the request's on the 12th; on the 20th those of y are billed no more
    assert periods(result, "used overage exceeded_on") == [(4_000_001, 0, "2024-03-12")]
    assert lines(result, "metric quantity") == [("tasks", 4_000_001)]
    assert allowance_thresholds(result) == percents(10, 80, "2024-03-10") + percents(90, 140, "2024-03-12")
    millions = table(result.usage_thresholds, "recipe_id threshold crossed_on", threshold_kind="recipe_tasks")
    assert sorted(millions) == [
        *[("x", n * 1_000_000, "2024-03-10") for n in (1, 2, 3, 4)],
        *[("y", n * 1_000_000, "2024-03-12") for n in (1, 2, 3)],
        ("y", 4_000_000, "2024-03-20"),
    ]


def test_tiers_end_at_15_and_30_million_tasks():
    numbers = (4_000_000, 4_000_001, 15_000_000, 15_000_001, 30_000_000, 30_000_001)
    assert [Tiers().of(n) for n in numbers] == [0, 1, 1, 2, 2, 3]
    parts = [customer(), term(terms="tasks_2024"), job("j", SCHEDULER, SALESFORCE)]
    result = with_tasks(parts, {"j": 30_000_001})
    assert table(result.high_volume_recipes, "tasks tier") == [(30_000_001, 3)]
    reached = sorted(row["threshold"] // 1_000_000 for row in result.usage_thresholds)
    assert reached == [1, 2, 3, 4, 5, 15, 30]


def test_proxied_requests_are_no_recipes_and_stay_billed():
    at = {"requested_at": "2024-03-10T12:00:00Z", "recipe_id": "r", "extracted_at": SEEN}
    requests = [request(f"{n}", request_type="proxy", **at) for n in range(6)]
    result = billed(customer(), term(terms="tasks_2024"), *requests, as_of="2024-03-31", tiers=SMALL_TIERS)
    assert periods(result, "used") == [(6,)]
    assert (result.high_volume_recipes, result.usage_thresholds) == ([], [])


def test_high_volume_recipes_are_those_of_one_period_and_of_task_terms_only():
    parts = [
        customer(),
        term("2024-03-01", "2024-03-11", terms="tasks_2024"),
        term("2024-03-11", "2024-03-21", terms="tasks_2024"),
        term("2024-03-21", terms="credits_2026"),
        *(job(day, *THREE_ACTIONS, day=f"2024-03-{day}") for day in ("09", "12", "19", "22", "23")),
    ]
    # 3, 6 and 6 tasks of one recipe; bounds are not prorated
    result = billed(*parts, as_of="2024-03-31", tiers=SMALL_TIERS)
    assert periods(result, "used") == [(3,), (0,), (0,)]
    assert table(result.high_volume_recipes, "period_from tasks tier") == [("2024-03-11", 6, 1)]
    # months convert all tasks [A90]
    assert [row["quantity"] for row in result.monthly_credits if row["metric"] == "tasks"] == [9]


# ------------------------------------------------------------------------------------------ the partner's own contract


def test_the_partners_own_contract_is_over_all_customers_whatever_their_terms_are():
    result = billed(
        customer("a", created="2024-02-15"),
        customer("b", created="2024-03-20"),
        term("2024-03-11", "2024-04-15", account="*", included_credits=310, billing_cycle_day=31, currency="EUR"),
        term("2024-03-01", account="a", terms="tasks_2024"),
        ratio("go_seats", credits_per_unit="10", effective_from="2024-01-01"),
        ratio("go_seats", credits_per_unit="2", effective_from="2024-01-01", account_id="*"),
        ratio("events_processed", credits_per_unit="100", effective_from="2024-01-01", account_id="a"),
        used("2024-03-10", 1000, account="a"),  # before it
        used("2024-03-11", 100, account="a"),
        used("2024-04-02", 5, account="b"),
        used("2024-04-02", 500, account="admin"),
        seats("2024-03-12", 4, "2024-03-20", account="a"),
        seats("2024-03-19", 3, account="b", id="another"),  # 7 together on the 19th alone
        as_of="2024-05-31",
        admin_account_ids=("admin",),
    )
    # Its cycles are 29 February to 31 March (31 days, 20 of them its own) and to 30 April (15 of 30 days)
    pool = {"customer_id": "*"}
    assert periods(result, "term_from terms cycle_from period_from period_to allowance", **pool) == [
        ("2024-03-11", "credits_2025", "2024-02-29", "2024-03-11", "2024-03-31", 200),
        ("2024-03-11", "credits_2025", "2024-03-31", "2024-03-31", "2024-04-15", 155),
    ]
    # 7 x 2 x 20 / 31 = 9.0322580645...; 3 x 2 x 15 / 30 = 3
    assert lines(result, "period_from metric quantity credits", **pool) == [
        ("2024-03-11", "events_processed", 100, 100),
        ("2024-03-11", "go_seats", 7, Decimal("9.032258065")),
        ("2024-03-31", "events_processed", 5, 5),
        ("2024-03-31", "go_seats", 3, 3),
    ]
    # of 200: 100 on the 11th; 4 x 2 x 20 / 31 = 5.16 more on the 12th, 9.03 on the 19th
    crossed = allowance_thresholds(result, period_from=date(2024, 3, 11), **pool)
    assert crossed == percents(10, 50, "2024-03-11")
    # a's own terms are other ones, and its months begin in February
    assert periods(result, "terms", customer_id="a") == [("credits_2025",)] + [("tasks_2024",)] * 3
    assert {row["customer_id"] for row in result.monthly_customer_usage} == {"a", "b"}
    # nor are its ratios theirs
    assert lines(result, "metric credits", customer_id="b", period_from=date(2024, 3, 1)) == [("go_seats", 30)]


def test_the_partners_own_contract_has_periods_from_the_first_month_of_any_customer_on():
    since_ever = term("2019-01-01", account="*", billing_cycle_day=20)
    customers = [customer("a", created="2024-03-05"), customer("b", created="2024-02-15")]
    result = billed(*customers, since_ever, as_of="2024-03-25")
    assert periods(result, "period_from days_elapsed", customer_id="*") == [
        ("2024-01-20", 31),  # with 1 February
        ("2024-02-20", 29),
        ("2024-03-20", 6),
    ]
    nobody = billed(since_ever, as_of="2024-02-25")
    assert nobody.billing_periods == []


def test_the_partners_own_contract_in_tasks_has_its_customers_high_volume_recipes():
    result = billed(
        customer("a"),
        customer("b"),
        term("2024-01-01", account="*", terms="tasks_2024", task_limit=10),
        *(job(f"{day}", *THREE_ACTIONS, day=f"2024-03-{day}", account="a") for day in (10, 11)),
        job("of b", *THREE_ACTIONS, day="2024-03-12", account="b"),
        as_of="2024-03-31",
        tiers=SMALL_TIERS,
    )
    assert periods(result, "used", customer_id="*") == [(3,)]
    assert table(result.high_volume_recipes, "customer_id account_id recipe_id tasks") == [("*", "a", "recipe", 6)]
    assert {row["customer_id"] for row in result.usage_thresholds} == {"*"}  # the default bills credits


# ------------------------------------------------------------------------------------------------------------- bad rows


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"terms": "credits_2027"}, "unknown word"),
        ({"terms": None}, "missing terms"),
        ({"included_credits": "-0.1"}, "negative number"),
        ({"task_limit": -1}, "negative number"),
        ({"unit_price": -1, "currency": "EUR"}, "negative number"),
        ({"unit_price": 1}, "price without currency"),
        ({"billing_cycle_day": 0}, "no day of a month"),
        ({"billing_cycle_day": 32}, "no day of a month"),
        ({"allowance_per": "month"}, "unknown word"),
        ({"effective_to": "2024-02-29"}, "end before its begin"),
    ],
)
def test_a_subscription_that_says_nothing_sensible_is_quarantined(columns, reason):
    result = compute(world(customer(), [("subscriptions", term()[0][1] | columns)], with_required=False))
    assert [(row["extract"], row["reason"]) for row in result.quarantined] == [("subscriptions", reason)]
    assert periods(result, "term_from")[0] == (None,)


def test_a_ratio_of_unknown_terms_is_quarantined_and_an_empty_subscription_is_not():
    never = term("2024-03-05", "2024-03-05")
    result = compute(world(customer(), never, ratio(terms="credits_2027"), with_required=False))
    assert [(row["extract"], row["reason"]) for row in result.quarantined] == [("credit_ratios", "unknown word")]
    assert {row["term_from"] for row in result.billing_periods} == {None}


# -------------------------------------------------------------------------------------------------------- random worlds

VARIANTS = [
    {},
    {"default_terms": "credits_2026", "prorate_allowances": False},
    {"default_terms": "tasks_2024", "task_terms": "T1", "reporting_timezone": "America/Los_Angeles"},
    {"as_of_date": "2024-04-20", "count_test_jobs": False},
]


@pytest.fixture(scope="module")
def worlds():
    """(world, options, what the reference computes) of each of some worlds."""
    found = []
    for seed in range(24):
        some = random_contract_world(seed, 20)
        options = Options(admin_account_ids=("adm",), **VARIANTS[seed % len(VARIANTS)])
        found.append((some, options, compute(some, options, SMALL_TIERS)))
    return found


def first_months(result):
    first = {}
    for row in result.monthly_customer_usage:
        first[row["customer_id"]] = min(row["usage_month"], first.get(row["customer_id"], row["usage_month"]))
    return first


def days_between(begin, end):
    return [begin + timedelta(days=n) for n in range((end - begin).days)]


def key_of(row):
    return row["customer_id"], row["period_from"]


def test_every_day_of_a_customer_is_in_exactly_one_period(worlds):
    for _, _, result in worlds:
        first = first_months(result)
        covered = defaultdict(Counter)
        for row in result.billing_periods:
            assert row["cycle_from"] <= row["period_from"] < row["period_to"] <= row["cycle_to"]
            covered[row["customer_id"]].update(days_between(row["period_from"], row["period_to"]))
        assert covered.keys() - {"*"} == first.keys()
        for customer_id, days in covered.items():
            assert set(days.values()) == {1}
            if customer_id != "*":
                assert set(days_between(first[customer_id], result.as_of + timedelta(days=1))) <= days.keys()


def test_lines_add_up_to_their_periods(worlds):
    for _, _, result in worlds:
        of_period = defaultdict(list)
        for line in result.contract_usage:
            of_period[key_of(line)].append(line)
        for row in result.billing_periods:
            found = of_period.pop(key_of(row), [])
            measure = "quantity" if row["measure"] == "tasks" else "credits"
            assert sum(line[measure] or 0 for line in found) == row["used"]
            assert row["is_fully_priced"] == (not any(line["is_unpriced"] for line in found))
            if row["unit_price"] is None:
                assert {line["used_value"] for line in found} <= {None} and row["used_value"] is None
            elif any(line["used_value"] is not None for line in found):
                assert sum(line["used_value"] or 0 for line in found) == row["used_value"]
            else:
                assert row["used_value"] == 0
        assert not of_period


def test_periods_of_calendar_months_without_a_change_bill_what_months_show(worlds):
    """Under credit terms; months convert tasks, which contracts don't."""
    compared = Counter()
    for _, _, result in worlds:
        months = defaultdict(set)
        columns = ("metric", "call_type", "quantity", "credits", "is_unpriced")
        for row in result.monthly_credits:
            months[row["customer_id"], row["usage_month"]].add(tuple(row[c] for c in columns))
        lines_of = defaultdict(set)
        for row in result.contract_usage:
            lines_of[key_of(row)].add(tuple(row[c] for c in columns))
        credits = {(row["customer_id"], row["usage_month"]): row for row in result.monthly_customer_usage}
        for row in result.billing_periods:
            is_month = row["period_from"].day == row["period_to"].day == 1 and row["customer_id"] != "*"
            if is_month and row["measure"] == "credits":
                assert lines_of[key_of(row)] == months[key_of(row)]
                if key_of(row) in credits:
                    month = credits[key_of(row)]
                    assert (month["credits"] or 0) == row["used"]
                    assert month["is_fully_priced"] == row["is_fully_priced"]
                compared[row["terms"]] += bool(lines_of[key_of(row)])
    assert min(compared[terms] for terms in TERMS[1:]) > 20


def test_what_is_billed_is_what_was_used_on_days_of_these_terms(worlds):
    """By sums of their own, of the daily usage that customers see."""
    for _, _, result in worlds:
        terms_on, expected, found = {}, Counter(), Counter()
        for row in result.billing_periods:
            for day in days_between(row["period_from"], row["period_to"]):
                terms_on[row["customer_id"], day] = row["terms"]
        for row in result.usage_by_capability:
            terms, metric = terms_on[row["customer_id"], row["usage_date"]], row["metric"]
            if metric in ("go_seats", "workflow_app_seats") or (terms == "tasks_2024") != (metric == "tasks"):
                continue
            if terms == "credits_2026":
                if metric == "business_actions":
                    continue
                metric = "calls" if metric in ("api_calls", "mcp_calls") else metric
            expected[row["customer_id"], terms, metric] += row["quantity"]
        terms_of = {key_of(row): row["terms"] for row in result.billing_periods}
        for row in result.contract_usage:
            terms, metric = terms_of[key_of(row)], row["metric"]
            if row["customer_id"] == "*" or metric in ("go_seats", "workflow_app_seats", "workflow_tasks"):
                continue
            metric = "calls" if terms == "credits_2026" and metric == "api_calls" else metric
            found[row["customer_id"], terms, metric] += row["quantity"]
        for row in result.high_volume_recipes:
            if row["customer_id"] != "*":
                found[row["customer_id"], "tasks_2024", "tasks"] += row["tasks"]
        assert found == expected


def test_the_pool_bills_what_all_customers_used(worlds):
    seen = 0
    for _, _, result in worlds:
        of_period = {key_of(row): row for row in result.contract_usage if row["metric"] == "business_actions"}
        for period in result.billing_periods:
            if period["customer_id"] == "*" and period["terms"] == "credits_2025":
                used_by_all = sum(
                    row["quantity"]
                    for row in result.usage_by_capability
                    if period["period_from"] <= row["usage_date"] < period["period_to"]
                    and row["metric"] == "business_actions"
                )
                line = of_period.get(key_of(period), {"quantity": 0})
                assert line["quantity"] == used_by_all
                seen += used_by_all > 0
    assert seen > 5


def test_days_are_the_first_at_whose_end_it_was_so(worlds):
    """Computed again as of that day, it is so; as of the day before, it is not yet."""
    checked = Counter()
    for some, options, result in worlds[::3]:
        as_of = {}

        def period_as_of(key, day, some=some, options=options, as_of=as_of):
            if day not in as_of:
                again = Options(**{**vars(options), "as_of_date": str(day)})
                as_of[day] = {key_of(row): row for row in compute(some, again, SMALL_TIERS).billing_periods}
            return as_of[day].get(key)

        exceeded = {(row["customer_id"], row["term_from"], row["exceeded_on"]): row for row in result.billing_periods}
        moments = [(key_of(row), row["exceeded_on"], None) for row in exceeded.values() if row["exceeded_on"]]
        for row in result.usage_thresholds:
            if row["threshold_kind"] == "allowance_percent" and row["threshold"] in (10, 100, 200):
                moments.append((key_of(row), row["crossed_on"], row["threshold"]))
        for key, day, percent in moments[:40]:
            on, before = period_as_of(key, day), period_as_of(key, day - timedelta(days=1))
            if on is None or not on["period_from"] <= day < on["period_to"]:
                continue  # a later period of the same subscription that repeats the day
            if percent is None:
                assert on["used_of_allowance"] > on["allowance"]
                assert on["exceeded_on"] == day
                assert before is None or before["exceeded_on"] is None
            else:
                assert on["used_of_allowance"] * 100 >= on["allowance"] * percent
                assert before is None or before["used_of_allowance"] * 100 < before["allowance"] * percent
            checked["exceeded" if percent is None else "percent"] += 1
    assert min(checked[kind] for kind in ("exceeded", "percent")) > 20, checked


def test_random_worlds_reach_every_rule_of_contracts(worlds):
    seen = Counter()
    for _, _, result in worlds:
        seen["quarantined"] += sum(row["extract"] == "subscriptions" for row in result.quarantined)
        for row in result.billing_periods:
            seen[row["terms"]] += row["used"] > 0
            seen["of the pool"] += row["customer_id"] == "*" and row["used"] > 0
            seen["a part of a cycle"] += (row["cycle_from"], row["cycle_to"]) != (row["period_from"], row["period_to"])
            seen["exceeded"] += row["exceeded_on"] is not None
            seen["repeated"] += row["exceeded_on"] is not None and row["exceeded_on"] < row["period_from"]
            seen["value"] += bool(row["used_value"])
            seen["overage"] += bool(row["overage_value"])
            seen["not fully priced"] += not row["is_fully_priced"]
            seen[row["currency"]] += bool(row["used_value"])
        for row in result.contract_usage:
            seen["workflow tasks"] += row["metric"] == "workflow_tasks"
        for row in result.usage_thresholds:
            seen[row["threshold_kind"]] += 1
        seen["high-volume"] += len(result.high_volume_recipes)
    assert min(seen[currency] for currency in ("EUR", "USD", "KWD", "JPY")) > 0
    assert min(n for what, n in seen.items() if what not in (None, "CLF", "XTS", "BHD")) >= 3, seen


def test_only_terms_and_ratios_of_a_world_change():
    """So what is compared without contracts stays the same."""
    of_contracts = ("subscriptions", "credit_ratios")
    for seed in range(5):
        some, plain = random_contract_world(seed, 8), random_world(seed, 8)
        assert some["subscriptions"] != plain.get("subscriptions")
        assert [name for name in some | plain if name not in of_contracts and some[name] != plain[name]] == []


def test_merged_worlds_have_one_partner_and_ratios_of_their_own():
    some, admins = merge_worlds({f"w{seed}-": random_contract_world(seed, 20) for seed in range(30, 34)})
    result = compute(some, Options(admin_account_ids=tuple(admins)), SMALL_TIERS)
    assert {row["account_id"][:1] for row in some["subscriptions"]} == {"*", "w"}
    assert {row["customer_id"] for row in result.billing_periods if row["customer_id"][:1] != "w"} == {"*"}
    of_accounts = {row.get("account_id") for row in some["credit_ratios"]} - {None, "*"}
    assert len({account.split("-")[0] for account in of_accounts}) > 1
