"""The reference's closed months: what each cause restates, worked out by hand.

Then over random worlds that arrive in three runs: closed + restatements are the current figures, each cause is that of
what changed, and a run with several changes restates what runs with one change each restate.
"""

import csv
import random
from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from builders import (
    API_REQUEST,
    CALL,
    CUSTOMER,
    FUNCTION,
    LISTED,
    PAGES,
    SALESFORCE,
    TRIGGER,
    collection,
    job,
    only_steps,
    prompt,
    publish,
    ratio,
    recipe,
    request,
    seats,
    step,
    subscription,
    without_steps,
    world,
)
from reference import reference, restatements
from reference.contract_worlds import random_contract_world
from reference.delivery_schedules import Plan, Spread
from reference.measures import all_uses, seat_uses, uses_by_unit
from reference.reference import APPS_CSV, Options
from reference.restatements import (
    CAUSES,
    LISTINGS,
    TERMS,
    UNITS,
    State,
    as_restated,
    close,
    compute,
    restate,
    usage_of,
)
from reference.tab import month_of
from reference.worlds import ADMIN
from samples import sampled

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)
LATER = "2026-03-12T08:00:00Z"
LOGGER, SLACK = ("logger", "log_message"), ("slack", "post_message")


def state(*parts, apps_csv=APPS_CSV, **options):
    return State(world(*parts, with_required=False), Options(**{"as_of_date": "2026-04-30"} | options), apps_csv)


def closed(before, *months):
    return {month: close(before.result, month) for month in months or [MARCH]}


def restated(before, after, *months, figures=None):
    """{cause: {metric: (retracted, restated)}}, in another month than March with the month; a call type after a slash.

    ``figures``: what was closed, if it is not what the state before counts.
    """
    figures = figures or closed(before, *months)
    rows = restate(before, after, figures)
    assert_rows_lead_to_the_current_figures(figures, rows, after)
    causes = defaultdict(dict)
    for row in rows:
        assert row.customer_id == CUSTOMER
        metric = row.metric + (f"/{row.call_type}" if row.call_type else "")
        metric += f" in {row.usage_month:%B}" if row.usage_month != MARCH else ""
        causes[row.cause][metric] = (row.retracted_quantity, row.restated_quantity)
    return dict(causes)


def assert_rows_lead_to_the_current_figures(figures, rows, after):
    """Also: one row of each cause, in the contract's order, each from where the one before it ended."""
    grain = [(row.customer_id, row.usage_month, row.metric, row.call_type, row.cause) for row in rows]
    assert len(grain) == len(set(grain))
    assert [CAUSES.index(row.cause) for row in rows] == sorted(CAUSES.index(row.cause) for row in rows)
    reached = {month: dict(of_month) for month, of_month in figures.items()}
    for row in rows:
        key = row.customer_id, row.metric, row.call_type
        assert row.retracted_quantity == reached[row.usage_month].get(key, 0)
        assert row.retracted_quantity != row.restated_quantity
        reached[row.usage_month][key] = row.restated_quantity
    current = {month: close(after.result, month) for month in figures}
    assert {month: {key: n for key, n in of_month.items() if n} for month, of_month in reached.items()} == current
    assert as_restated(figures, rows) == current


# ------------------------------------------------------------------------------------------------------------- closing


def test_a_close_has_sums_peaks_and_credits_and_no_zeros():
    """Seats of two orders that overlap on one day; 2 actions at 1.5 and 7 seats at 2, and API calls without a ratio."""
    month = state(
        job(),
        request("m"),
        request("p", request_type="proxy"),
        seats("one"),
        seats("other", seats=2, effective_from="2026-03-10", effective_to="2026-03-11"),
        prompt(status="failed"),
        prompt("in April", sent_at="2026-04-01"),
        ratio(credits_per_unit="1.5"),
        ratio("go_seats", credits_per_unit="2"),
    )
    assert close(month.result, MARCH) == {
        (CUSTOMER, "business_actions", None): 2,
        (CUSTOMER, "tasks", None): 2,  # an action, a proxied request
        (CUSTOMER, "api_calls", "managed"): 1,
        (CUSTOMER, "api_calls", "proxy"): 1,
        (CUSTOMER, "go_seats", None): 7,
        (CUSTOMER, "credits", None): 2 * Decimal("1.5") + 7 * 2,
    }


def test_unpriced_credits_and_zero_credits_are_no_row():
    work = {(CUSTOMER, "business_actions", None), (CUSTOMER, "tasks", None)}
    assert close(state(job()).result, MARCH).keys() == work
    assert close(state(job(), ratio(credits_per_unit="0")).result, MARCH).keys() == work


def test_quantities_have_nine_decimals_rounded_half_away_from_zero():
    credits = close(state(job(), ratio(credits_per_unit="0.00000000125")).result, MARCH)[CUSTOMER, "credits", None]
    assert credits == Decimal("0.000000003")  # 2.5 of the last decimal


# ------------------------------------------------------------------------------------------------- each cause by itself


def test_nothing_new_restates_nothing():
    parts = job(), request(), seats(), ratio()
    assert restated(state(*parts), state(*parts)) == {}


def test_a_removed_load_takes_its_jobs_and_requests():
    """Each job has 2 business actions, worth a credit each, and 1 task."""
    kept = job("kept"), request("kept"), ratio()
    removed = job("gone"), request("gone"), publish(), prompt()
    assert restated(state(*kept, *removed), state(*kept)) == {
        "removed_load": {
            "business_actions": (4, 2),
            "tasks": (2, 1),
            "credits": (4, 2),
            "api_calls/managed": (2, 1),
            "events_processed": (1, 0),
            "genie_actions": (1, 0),
        }
    }


def test_a_job_that_falls_back_to_an_older_delivery_is_a_removed_load():
    older, newer = job("j", TRIGGER), job("j", extracted_at=LATER)
    assert restated(state(older, newer), state(older)) == {
        "removed_load": {"business_actions": (2, 1), "tasks": (1, 0)}
    }
    delivered_again = job("j", TRIGGER, status="completed", extracted_at="2026-03-10T14:00:00+02:00")
    assert restated(state(older, newer), state(delivered_again)) == {
        "replaced_delivery": {"business_actions": (2, 1), "tasks": (1, 0)}
    }
    refused, let_through = request(gateway_code="429"), request(extracted_at=LATER)
    assert restated(state(refused, let_through), state(refused)) == {"removed_load": {"api_calls/managed": (1, 0)}}


def test_a_job_that_loses_its_steps_is_a_removed_load():
    assert restated(state(job()), state(without_steps(job()))) == {
        "removed_load": {"business_actions": (2, 0), "tasks": (1, 0)}
    }


def test_a_job_that_is_delivered_again_with_other_content_is_a_replaced_delivery():
    first = job("j", TRIGGER), request(gateway_code="429"), publish(), prompt(status="failed")
    again = (
        job("j", TRIGGER, SALESFORCE, SALESFORCE, extracted_at=LATER),
        request(extracted_at=LATER),
        publish(endpoint="batch_publish", message_count=20, extracted_at=LATER),
        prompt(extracted_at=LATER),
    )
    assert restated(state(*first), state(*first, *again)) == {
        "replaced_delivery": {
            "business_actions": (1, 3),
            "tasks": (0, 2),
            "api_calls/managed": (0, 1),
            "events_processed": (1, 20),
            "genie_actions": (0, 1),
        }
    }


def test_a_job_that_was_running_and_finished_is_a_replaced_delivery():
    running = job("j", completed_at=None, status="pending")
    assert restated(state(running), state(running, job("j", extracted_at=LATER))) == {
        "replaced_delivery": {"business_actions": (0, 2), "tasks": (0, 1)}
    }


def test_steps_that_arrive_after_their_job_are_a_replaced_delivery():
    assert restated(state(without_steps(job())), state(job())) == {
        "replaced_delivery": {"business_actions": (0, 2), "tasks": (0, 1)}
    }


def test_a_load_that_is_replaced_by_another_is_a_replaced_delivery():
    """The first delivery is gone, but what counts now is new."""
    assert restated(state(job("j", TRIGGER)), state(job("j", extracted_at=LATER))) == {
        "replaced_delivery": {"business_actions": (1, 2), "tasks": (0, 1)}
    }


def test_a_removed_listing_is_gone_before_new_jobs_count():
    """It said skill, as the new one does. In between the new job, of 2 actions and 1 task, is a workflow's."""
    was, again = recipe("r", recipe_type="skill", _load=1), recipe("r", recipe_type="skill", _load=2)
    assert restated(state(was), state(again, job(recipe_id="r"))) == {
        "late_delivery": {"business_actions": (0, 2), "tasks": (0, 1)},
        "listing_change": {"business_actions": (2, 0)},
    }
    assert restated(state(was), state(was, again, job(recipe_id="r"))) == {"late_delivery": {"tasks": (0, 1)}}


def test_a_removed_ratio_is_gone_before_new_listings_count():
    """The 2 business actions of a skill were worth a credit each; the listing takes them once they have no ratio."""
    skill = recipe("r", recipe_type="skill", _load=2)
    assert restated(state(job(recipe_id="r"), ratio(_load=1)), state(job(recipe_id="r"), skill)) == {
        "listing_change": {"business_actions": (2, 0)},
        "seat_or_term_change": {"credits": (2, 0)},
    }


def test_an_older_delivery_that_takes_steps_along_is_a_replaced_delivery():
    """A step without a delivery of its own time belongs to the latest one, until its own delivery arrives."""
    latest, stray = job("j", TRIGGER, extracted_at=LATER), only_steps(job("j"))
    older = without_steps(job("j"))
    assert restated(state(latest, stray), state(latest, stray, older)) == {
        "replaced_delivery": {"business_actions": (2, 1), "tasks": (1, 0)}
    }


def test_the_same_content_extracted_later_restates_nothing():
    """Even in other words, and after the first load was removed."""
    again = job(status="completed", completed_at="2026-03-10T14:00:00+02:00", extracted_at=LATER)
    assert restated(state(job()), state(again)) == {}


def test_a_job_that_moves_to_another_month_is_restated_in_both():
    moved = job("j", completed_at="2026-04-02T00:00:00Z", extracted_at=LATER)
    assert restated(state(job("j")), state(job("j"), moved), MARCH, APRIL) == {
        "replaced_delivery": {
            "business_actions": (2, 0),
            "tasks": (1, 0),
            "business_actions in April": (0, 2),
            "tasks in April": (0, 1),
        }
    }


def test_months_that_are_not_closed_have_no_restatements():
    moved = job("j", completed_at="2026-04-02T00:00:00Z", extracted_at=LATER)
    rows = restate(state(job("j")), state(job("j"), moved), closed(state(), APRIL))
    assert {row.usage_month for row in rows} == {APRIL}
    assert restate(state(job("j")), state(job("j"), moved), {}) == []


def test_a_job_or_request_that_is_first_delivered_after_the_close_is_a_late_delivery():
    late = job("late"), request(), publish(), prompt()
    assert restated(state(job(), ratio()), state(job(), ratio(), *late)) == {
        "late_delivery": {
            "business_actions": (2, 4),
            "tasks": (1, 2),
            "credits": (2, 4),
            "api_calls/managed": (0, 1),
            "events_processed": (0, 1),
            "genie_actions": (0, 1),
        }
    }


def test_what_a_run_before_knew_is_not_late():
    """The job came after the close; it was late in that run, and is replaced in the next."""
    at_close, late = state(), state(job("j", TRIGGER))
    again = state(job("j", TRIGGER), job("j", extracted_at=LATER))
    assert restated(at_close, late) == {"late_delivery": {"business_actions": (0, 1)}}
    figures = as_restated(closed(at_close), restate(at_close, late, closed(at_close)))
    assert restated(late, again, figures=figures) == {
        "replaced_delivery": {"business_actions": (1, 2), "tasks": (0, 1)}
    }


def test_what_becomes_readable_is_late():
    """A time of extraction that the listing of the run confirms; a step, which is readable once its job is there."""
    doubted, confirms = request(extracted_at="2026-12-01"), recipe(extracted_at="2026-12-01")
    assert restated(state(job(), doubted), state(job(), doubted, confirms)) == {
        "late_delivery": {"api_calls/managed": (0, 1)}
    }
    assert restated(state(only_steps(job("j")), request()), state(job("j"), request())) == {
        "late_delivery": {"business_actions": (0, 2), "tasks": (0, 1)}
    }


def test_a_recipe_type_is_a_changed_listing():
    """The steps of a skill are no business actions, but tasks."""
    assert restated(state(job(), ratio()), state(job(), ratio(), recipe(recipe_type="skill"))) == {
        "listing_change": {"business_actions": (2, 0), "credits": (2, 0)}
    }


def test_an_mcp_collection_is_a_changed_listing():
    call = request(api_collection_id="collection")
    assert restated(state(call), state(call, collection())) == {
        "listing_change": {"api_calls/managed": (1, 0), "mcp_calls": (0, 1)}
    }


def function(**columns):
    """1 business action and 1 task, unless an API recipe calls it."""
    return job("f", FUNCTION, SALESFORCE, recipe_id="f", calling_job_id="caller", **columns)


def caller(**columns):
    """1 API call and 1 task."""
    return job("caller", API_REQUEST, step(*CALL, called_recipe_id="f"), recipe_id="api", **columns)


def test_a_caller_that_arrives_changes_its_function_as_a_listing_does():
    """The caller itself is late."""
    assert restated(state(function()), state(function(), caller())) == {
        "late_delivery": {"api_calls/managed": (0, 1), "tasks": (1, 2)},
        "listing_change": {"business_actions": (1, 0)},
    }


def test_a_caller_changes_a_function_that_is_delivered_again_unchanged():
    again = function(status="completed", completed_at="2026-03-10T14:00:00+02:00", extracted_at=LATER)
    assert restated(state(function()), state(again, caller())) == {
        "late_delivery": {"api_calls/managed": (0, 1), "tasks": (1, 2)},
        "listing_change": {"business_actions": (1, 0)},
    }


def test_a_replaced_or_removed_caller_changes_its_function_too():
    other = job("caller", API_REQUEST, extracted_at=LATER, recipe_id="api")
    assert restated(state(function(), caller()), state(function(), caller(), other)) == {
        "replaced_delivery": {"tasks": (2, 1)},
        "listing_change": {"business_actions": (0, 1)},
    }
    assert restated(state(function(), caller()), state(function())) == {
        "removed_load": {"api_calls/managed": (1, 0), "tasks": (2, 1)},
        "listing_change": {"business_actions": (0, 1)},
    }


def test_a_request_that_arrives_changes_the_job_it_names():
    api = job("api", API_REQUEST), collection()
    assert restated(state(*api), state(*api, request(job_id="api", api_collection_id="collection"))) == {
        "listing_change": {"api_calls/managed": (1, 0), "mcp_calls": (0, 1)}
    }


def test_a_caller_and_a_listing_of_one_run_are_one_row():
    """The function's action and the two of what turned out to be a skill."""
    before = function(), job("j")
    assert restated(state(*before), state(*before, caller(), recipe(recipe_type="skill"))) == {
        "late_delivery": {"api_calls/managed": (0, 1), "tasks": (2, 3)},
        "listing_change": {"business_actions": (3, 0)},
    }


def test_a_late_job_is_late_by_the_listing_of_the_run_before():
    """2 business actions late, and both taken back by the listing that came with it."""
    assert restated(state(), state(job("late"), recipe(recipe_type="skill"))) == {
        "late_delivery": {"business_actions": (0, 2), "tasks": (0, 1)},
        "listing_change": {"business_actions": (2, 0)},
    }


def test_a_seat_order_is_a_change_of_seats_or_terms():
    """Raised, and priced: 5 seats at 2, then 7."""
    order, raised, price = seats(), seats(seats=7, _load=2), ratio("go_seats", credits_per_unit="2")
    assert restated(state(order, price), state(order, raised, price)) == {
        "seat_or_term_change": {"go_seats": (5, 7), "credits": (10, 14)}
    }
    # a listing without it ends it: on the 31st, as on the days before, it was in force
    listed, other = seats(extracted_at="2026-03-05"), seats("other", seats=1, extracted_at=LISTED)
    assert restated(state(listed), state(listed, other)) == {"seat_or_term_change": {"go_seats": (5, 6)}}


def test_a_term_or_ratio_is_a_change_of_seats_or_terms():
    """Of credits alone: 2 business actions, or 1 task."""
    work = job(), ratio(), ratio("tasks", credits_per_unit="0.25")
    assert restated(state(*work), state(*work, subscription(recipe_metric="tasks"))) == {
        "seat_or_term_change": {"credits": (2, Decimal("0.25"))}
    }
    assert restated(state(*work), state(*work, ratio(credits_per_unit="3", _load=2))) == {
        "seat_or_term_change": {"credits": (2, 6)}
    }
    assert restated(state(job()), state(job(), ratio())) == {"seat_or_term_change": {"credits": (0, 2)}}


# 0.5 credits for a workflow task, 3 for an API call
NEWEST = subscription(terms="credits_2026"), ratio("workflow_tasks", credits_per_unit="0.5")
NEWEST += (ratio("api_calls", credits_per_unit="3"),)


def test_credits_under_credits_2026_have_the_cause_of_the_job_whose_workflow_tasks_they_are():
    """The new job has 3 tasks; that of the pages is no workflow task."""
    late = job("late", TRIGGER, SALESFORCE, SALESFORCE, step(*PAGES, page_count=2))
    assert restated(state(*NEWEST, job()), state(*NEWEST, job(), late)) == {
        "late_delivery": {
            "business_actions": (2, 5),
            "tasks": (1, 4),
            "pages_processed": (0, 2),
            "credits": (Decimal("0.5"), Decimal("1.5")),
        }
    }
    assert restated(state(*NEWEST, job()), state(*NEWEST, job(), recipe(recipe_type="skill"))) == {
        "listing_change": {"business_actions": (2, 0), "credits": (Decimal("0.5"), 0)}
    }


def test_a_call_over_mcp_is_priced_by_what_it_invoked():
    server, call = collection(), request(api_collection_id="collection")
    assert restated(state(*NEWEST, server), state(*NEWEST, server, call)) == {
        "late_delivery": {"mcp_calls": (0, 1), "credits": (0, 3)}
    }
    api = job("api", API_REQUEST, LOGGER, recipe_id="api")
    named = request(job_id="api", api_collection_id="collection")
    assert restated(state(*NEWEST, server, api), state(*NEWEST, server, api, named)) == {
        "listing_change": {"api_calls/managed": (1, 0), "mcp_calls": (0, 1)}
    }
    assert closed(state(*NEWEST, server, api, named))[MARCH][CUSTOMER, "credits", None] == 3  # as before


def test_a_request_that_names_a_skill_makes_its_tasks_workflow_tasks():
    skill = collection(), recipe("r", recipe_type="skill"), job("j", recipe_id="r")
    call = request(job_id="j", api_collection_id="collection")
    assert restated(state(*NEWEST, *skill), state(*NEWEST, *skill, call)) == {
        "listing_change": {"credits": (0, Decimal("0.5"))}
    }


def test_late_jobs_are_priced_by_the_terms_of_before():
    """2 jobs with a workflow task each; then their 4 business actions at a credit."""
    before, after = (*NEWEST, ratio(), job()), subscription(terms="credits_2025", effective_from="2026-03-02", _load=2)
    assert restated(state(*before), state(*before, after, job("late"))) == {
        "late_delivery": {"business_actions": (2, 4), "tasks": (1, 2), "credits": (Decimal("0.5"), 1)},
        "seat_or_term_change": {"credits": (1, 4)},
    }


@pytest.fixture
def other_apps(tmp_path):
    """The rule book, in which Slack is not eligible."""
    path = tmp_path / "apps.csv"
    with APPS_CSV.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(
            row | ({"business_action_eligible": "false"} if row["adapter_name"] == "slack" else {}) for row in rows
        )
    return path


def test_another_rule_is_a_rule_change(other_apps):
    work = job("j", TRIGGER, SLACK), ratio()
    assert restated(state(*work), state(*work, apps_csv=other_apps)) == {
        "rule_change": {"business_actions": (2, 1), "credits": (2, 1)}
    }


def test_another_option_is_an_option_change():
    work = job("test", is_test=True), job("j"), ratio()
    assert restated(state(*work), state(*work, count_test_jobs=False)) == {
        "option_change": {"business_actions": (4, 2), "tasks": (2, 1), "credits": (4, 2)}
    }
    assert restated(state(*work), state(*work, admin_account_ids=(CUSTOMER,))) == {
        "option_change": {"business_actions": (4, 0), "tasks": (2, 0), "credits": (4, 0)}
    }
    doubted = request(extracted_at="2026-12-01")
    assert restated(state(job(), doubted), state(job(), doubted, unconfirmed_after_days=365)) == {
        "option_change": {"api_calls/managed": (0, 1)}
    }
    edge = request(requested_at="2026-03-31T22:00:00Z")
    assert restated(state(edge), state(edge, reporting_timezone="Europe/Berlin"), MARCH, APRIL) == {
        "option_change": {"api_calls/managed": (1, 0), "api_calls/managed in April": (0, 1)}
    }


def test_what_nothing_else_changed_is_a_code_change():
    """The code that closed the month counted no triggers."""
    figures = {MARCH: {(CUSTOMER, "business_actions", None): Decimal(1), (CUSTOMER, "tasks", None): Decimal(1)}}
    assert restated(state(job()), state(job()), figures=figures) == {"code_change": {"business_actions": (1, 2)}}


# ---------------------------------------------------------------------------------------------------- the as-of date


def test_usage_that_a_later_as_of_date_shows_is_late():
    """The job; and 2 more seats from the 15th on, which are no job or request."""
    work = job("j", completed_at="2026-03-20T12:00:00Z"), seats(), seats("o", seats=2, effective_from="2026-03-15")
    assert restated(state(*work, as_of_date="2026-03-14"), state(*work)) == {
        "late_delivery": {"business_actions": (0, 2), "tasks": (0, 1)},
        "seat_or_term_change": {"go_seats": (5, 7)},
    }
    # so does an extract of anything that is newer, without AS_OF_DATE
    work = job("j", completed_at="2026-03-20T12:00:00Z", extracted_at=LATER)
    listed = state(work, recipe(), as_of_date=None)
    assert restated(state(work, as_of_date=None), listed) == {
        "late_delivery": {"business_actions": (0, 2), "tasks": (0, 1)}
    }


def test_usage_that_an_earlier_as_of_date_hides_is_removed():
    work = job("j", completed_at="2026-03-20T12:00:00Z"), seats(), seats("o", seats=2, effective_from="2026-03-15")
    assert restated(state(*work), state(*work, as_of_date="2026-03-14")) == {
        "removed_load": {"business_actions": (2, 0), "tasks": (1, 0)},
        "seat_or_term_change": {"go_seats": (7, 5)},
    }


# ------------------------------------------------------------------------------------------------ all causes in one run


def test_each_cause_has_its_part_of_a_run_with_all_of_them(other_apps):
    """Business actions, each a credit, by job: gone 2, again 1, skill 2, f 1, chat 2, test 2, in all 10; closed were 9.

    Tasks: gone 1, again 0, the other four 1 each: 5.
    """
    skill = job("skill", recipe_id="skill")
    kept = job("again", TRIGGER), skill, function(), job("chat", TRIGGER, SLACK), job("test", is_test=True)
    before = state(*kept, job("gone"), ratio(), seats())
    after = state(
        *kept,
        job("again", TRIGGER, SALESFORCE, SALESFORCE, extracted_at=LATER),
        job("new"),
        caller(),
        recipe("skill", recipe_type="skill"),
        ratio(),
        ratio(credits_per_unit="2", _load=2),
        seats(),
        seats(seats=7, _load=2),
        apps_csv=other_apps,
        count_test_jobs=False,
    )
    figures = closed(before)
    assert figures[MARCH][CUSTOMER, "business_actions", None] == figures[MARCH][CUSTOMER, "credits", None] == 10
    figures[MARCH][CUSTOMER, "business_actions", None] -= 1
    figures[MARCH][CUSTOMER, "credits", None] -= 1
    assert restated(before, after, figures=figures) == {
        "removed_load": {"business_actions": (9, 7), "tasks": (5, 4), "credits": (9, 7)},
        "replaced_delivery": {"business_actions": (7, 9), "tasks": (4, 6), "credits": (7, 9)},
        "late_delivery": {
            "business_actions": (9, 11),
            "tasks": (6, 8),  # the new job's and the caller's
            "credits": (9, 11),
            "api_calls/managed": (0, 1),
        },
        "listing_change": {"business_actions": (11, 8), "credits": (11, 8)},  # the skill's 2, the function's 1
        "seat_or_term_change": {"go_seats": (5, 7), "credits": (8, 17)},  # 9 actions by the code of today
        "rule_change": {"business_actions": (8, 7), "credits": (17, 15)},
        "option_change": {"business_actions": (7, 5), "tasks": (8, 7), "credits": (15, 11)},
        "code_change": {"business_actions": (5, 6), "credits": (11, 12)},
    }


# ------------------------------------------------------------------------------------------------------- random worlds

WORLDS, SPLIT = sampled(60), sampled(12)
SIZE, RUNS = 6, 3
OTHER_OPTIONS = [
    {"count_test_jobs": False},
    {"unruled_app_is_eligible": True},
    {"unknown_app_is_eligible": False},
    {"reporting_timezone": "Asia/Kolkata"},
    {"task_terms": "T1"},
    {"admin_account_ids": (ADMIN, "c1")},
    {"listing_tolerance_hours": 0},
]


class History:
    """A world that arrives in some runs, with now and then a removed load, other options, rules, and as-of dates."""

    def __init__(self, seed, other_apps):
        self.rng = random.Random(f"restatements-{seed}")
        plan = Plan(worlds=1, runs=RUNS, order="mixed", repeated=25)
        self.states = []
        loads = {}  # (run, extract) -> rows
        options, apps_csv = Options(admin_account_ids=(ADMIN,)), APPS_CSV
        for run, rows in enumerate(Spread(random_contract_world(seed, SIZE), seed, plan).runs):
            if run and self.chance(0.35):
                del loads[self.rng.choice(sorted(loads))]
            loads |= {(run, extract): [{**row, "_load": run} for row in rows[extract]] for extract in rows}
            if run and self.chance(0.4):
                options = Options(**vars(options) | self.rng.choice(OTHER_OPTIONS))
            if self.chance(0.25):
                options = Options(**vars(options) | {"as_of_date": self.rng.choice(["2024-04-20", "2024-05-15", None])})
            if run and self.chance(0.6):
                apps_csv = other_apps if apps_csv == APPS_CSV else APPS_CSV
            delivered = defaultdict(list)
            for (_, extract), of_load in loads.items():
                delivered[extract] += of_load
            self.states.append(State(dict(delivered), options, apps_csv))

    def chance(self, p):
        return self.rng.random() < p

    def months(self):
        """Some of those that have usage in any run."""
        used = {month_of(row["usage_date"]) for s in self.states for row in s.result.usage_by_capability}
        return self.rng.sample(sorted(used), (len(used) + 1) // 2)


def rows_of(state, extracts):
    """What the state has of these extracts, as a multiset."""
    return Counter(str(sorted(row.items(), key=str)) for name in extracts for row in state.world.get(name, []))


def possible_causes(before, after, is_other_code):
    """The causes that a run with these changes may have."""
    units, listings, terms = ((rows_of(before, e), rows_of(after, e)) for e in (UNITS, LISTINGS, TERMS))
    moves = before.result.as_of, after.result.as_of
    found = set()
    if units[0] - units[1] or moves[1] < moves[0]:
        found.add("removed_load")
    if units[1] - units[0]:
        found |= {"replaced_delivery", "late_delivery"}
    if moves[0] < moves[1]:
        found.add("late_delivery")
    if units[0] != units[1] or listings[0] != listings[1]:
        found.add("listing_change")
    if terms[0] != terms[1]:
        found.add("seat_or_term_change")
    if before.apps_csv != after.apps_csv:
        found.add("rule_change")
    if vars(before.options) != vars(after.options):
        found.add("option_change")
    if is_other_code:
        found.add("code_change")
    return found


def assert_close_has_the_figures_of_marts(result):
    """Sums and credits are those of monthly_customer_usage."""
    for row in result.monthly_customer_usage:
        figures = Counter()
        for (customer, metric, _), quantity in close(result, row["usage_month"]).items():
            figures[metric] += quantity if customer == row["customer_id"] else 0
        for metric in reference.CAPABILITIES:
            assert figures[metric] == row[metric]
        assert figures["credits"] == (row["credits"] or 0)


def assert_units_and_seats_are_all_usage(result):
    def totals(rows):
        found = Counter()
        for row in rows:
            found[row["customer_id"], row["usage_date"], row["metric"], row["call_type"]] += row["quantity"]
        return found

    uses = all_uses([*uses_by_unit(result).values(), seat_uses(result)])
    assert totals(usage_of(uses)) == totals(result.usage_by_capability)


def test_random_worlds_reach_every_cause_and_add_up(monkeypatch, other_apps):
    """In some runs the code that closed the months counted prompts twice."""
    seen = Counter()
    for seed in range(WORLDS):
        history = History(seed, other_apps)
        figures = {}
        for before, after in pairwise(history.states):
            assert_close_has_the_figures_of_marts(before.result)
            assert_units_and_seats_are_all_usage(after.result)
            is_other_code = history.chance(0.2)
            with monkeypatch.context() as older:
                if is_other_code:
                    older.setattr(reference, "decide_prompt", lambda _: ("R-PROMPT", "genie_actions", 2))
                at_close = compute(before.world, before.options, before.apps_csv) if is_other_code else before.result
            for month in history.months():
                figures.setdefault(month, close(at_close, month))
            rows = restate(before, after, figures)
            assert_rows_lead_to_the_current_figures(figures, rows, after)
            assert {row.cause for row in rows} <= possible_causes(before, after, is_other_code)
            assert is_other_code or all(row.restated_quantity >= 0 for row in rows)
            seen.update(row.cause for row in rows)
            figures = as_restated(figures, rows)
    print(f"{WORLDS} worlds:", *(f"\n{seen[cause]:6} {cause}" for cause in CAUSES))
    assert set(seen) == set(CAUSES)
    assert min(seen.values()) >= 3


def one_change_a_run(before, after):
    """States on the way, each with one change more: units with the as-of date, listings, terms, rules, options.

    Removed loads are gone in the first: new units count by what is left of the listings. [A69]
    """
    options = Options(**vars(before.options) | {"as_of_date": after.options.as_of_date})
    as_of = compute(after.world, options, before.apps_csv).as_of
    held = Options(**vars(options) | {"as_of_date": str(as_of)})

    def with_new(*extracts):
        worlds = {name: after.world.get(name, []) for name in reference.EXTRACTS}
        left = {name: restatements.kept(before.world.get(name, []), rows) for name, rows in worlds.items()}
        return left | {name: worlds[name] for name in extracts}

    yield before
    yield State(with_new(*UNITS), held, before.apps_csv)
    yield State(with_new(*UNITS, *LISTINGS), held, before.apps_csv)
    yield State(after.world, held, before.apps_csv)
    yield State(after.world, held, after.apps_csv)
    yield after


def changes_by_cause(rows):
    changes = Counter()
    for row in rows:
        key = row.customer_id, row.usage_month, row.metric, row.call_type, row.cause
        changes[key] += row.restated_quantity - row.retracted_quantity
    return {key: change for key, change in changes.items() if change}


def test_a_run_with_several_changes_restates_what_runs_with_one_each_restate(other_apps):
    """ "Apply one, note the difference, apply the other" """
    runs_with_several = 0
    for seed in range(1000, 1000 + SPLIT):
        history = History(seed, other_apps)
        before, *_, after = history.states  # two runs at once, so much is new
        figures = {month: close(before.result, month) for month in history.months()}
        at_once = restate(before, after, figures)
        one_by_one = []
        for earlier, later in pairwise(one_change_a_run(before, after)):
            rows = restate(earlier, later, as_restated(figures, one_by_one))
            assert len({row.cause for row in rows} - {"listing_change", *CAUSES[:3]}) <= 1
            one_by_one += rows
        assert changes_by_cause(one_by_one) == changes_by_cause(at_once)
        runs_with_several += len({row.cause for row in at_once}) > 3
    assert runs_with_several >= SPLIT // 2
