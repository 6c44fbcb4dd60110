"""The rule book says what the published pages say: every ruling on an app, and the words and operations of the rules.

The lists here were taken from the pages by hand, and reference/apps.csv from the platform's list of connectors; neither
was made from the seeds. Changing any one ruling, or adding or losing a connector, fails.
"""

import csv
from collections import Counter
from datetime import date

import pytest
from building import PROJECT
from reference.reference import APPS_CSV


def words(text):
    return text.split()


# "Utilities and connectors by the platform" as the page on business actions rules them, by adapter.
ELIGIBLE = words("""
    csv_parser edi_parser email file_connector ftps ftps_secondary jdbc jdbc_secondary jms js_eval json_parser
    onprem_command_line_scripts onprem_files onprem_files_secondary open_ai_utility py_eval rest rest_secondary sftp
    sftp_secondary smb sms sms_secondary syslog workato_custom_code workato_rpa workato_smart_list
    workato_transformations xml_parser
""")
NOT_ELIGIBLE = words("""
    clock jwt logger lookup_table pgp workato_api_platform workato_app workato_db_table workato_files workato_idp
    workato_mapper workato_pub_sub workato_recipe_function workato_service workato_template workato_variable workflow
""")
UNRULED = words("""
    byollm cxml data_pipelines enterprise_context graphs_and_charts mcp pdf_tools rest_oauth skype_bot slack_bot soap
    teams_bot utility
    workato_api_proxy workato_decision_engine workato_edi workato_genie workato_genie_ms_teams workato_genie_slack
    workato_json_transformations workato_list workato_skill workato_webhooks workato_workflow_task workplace_bot
    yaml_parser
""")
RULE_OF_RULING = {"true": "S-ACTION", "false": "S-INELIGIBLE", "": "S-UNRULED"}


def seed(name):
    with (PROJECT / "seeds/rules" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def connectors():
    with APPS_CSV.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rulings(rows):
    """(adapter, rule) of each row of the rule book, and (adapter, app, name, family) of what it says the adapter is."""
    return {(row["adapter_name"], row["rule_id"]) for row in rows}


def published_rulings():
    third_party = [row["adapter_name"] for row in connectors() if row["family"] == "third_party"]
    return (
        {(adapter, "S-ACTION") for adapter in [*ELIGIBLE, *third_party]}
        | {(adapter, "S-INELIGIBLE") for adapter in NOT_ELIGIBLE}
        | {(adapter, "S-UNRULED") for adapter in UNRULED}
    )


def test_every_ruling_is_the_published_one():
    assert rulings(seed("app_eligibility")) == published_rulings()


def test_changing_any_one_ruling_would_be_seen():
    rows = seed("app_eligibility")
    for row in rows:
        published = row["rule_id"]
        for other in set(RULE_OF_RULING.values()) - {published}:
            row["rule_id"] = other
            assert rulings(rows) != published_rulings(), row["adapter_name"]
        row["rule_id"] = published


def test_every_row_says_what_the_platforms_list_of_connectors_says():
    def described(rows, *columns):
        return sorted(tuple(row[column] for column in columns) for row in rows)

    listed = [
        {**row, "rule_id": RULE_OF_RULING[row["business_action_eligible"]], "deprecated": row["deprecated"].lower()}
        for row in connectors()
    ]
    assert described(
        seed("app_eligibility"), "adapter_name", "rule_id", "app_name", "app", "family", "is_deprecated"
    ) == described(listed, "adapter_name", "rule_id", "app_name", "base_adapter_name", "family", "deprecated")


def test_every_third_party_connector_is_eligible():
    rows = [row for row in seed("app_eligibility") if row["family"] == "third_party"]
    assert len(rows) == 246
    assert {row["rule_id"] for row in rows} == {"S-ACTION"}


def test_an_app_that_is_not_eligible_is_never_third_party():
    families = {row["adapter_name"]: row["family"] for row in seed("app_eligibility")}
    assert {families[adapter] for adapter in NOT_ELIGIBLE + UNRULED} == {"utility", "platform"}


def test_a_second_connection_folds_onto_an_app_of_the_rule_book():
    """All but sms_secondary, which is an app of its own: the successor of the deprecated one."""
    apps = {row["adapter_name"]: row["app"] for row in seed("app_eligibility")}
    for adapter, app in apps.items():
        base = adapter.removesuffix("_secondary")
        assert app == (adapter if adapter == "sms_secondary" else base)
        assert app in apps


def test_the_rulings_are_in_force_since_ever():
    assert {(row["effective_from"], row["effective_to"]) for row in seed("app_eligibility")} == {("1970-01-01", "")}


def test_the_control_statements_are_the_nine_of_the_page():
    keywords = words("if elsif else foreach repeat while_condition try catch stop")
    assert sorted(row["keyword"] for row in seed("control_keywords")) == sorted(keywords)


def test_the_status_words_are_those_of_the_contract():
    assert {row["raw_status"]: row["status"] for row in seed("status_words")} == {
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


def test_the_operations_with_a_metric_of_their_own_are_those_of_the_pages():
    rows = seed("operation_metrics")
    assert sorted(tuple(row.values())[:5] for row in rows) == [
        ("S-CONSUMED", "workato_pub_sub", "", "", "none"),
        ("S-EVENT", "workato_pub_sub", "publish_to_topic", "events_processed", "one"),
        ("S-EVENT-BATCH", "workato_pub_sub", "publish_to_topic_batch", "events_processed", "message_count"),
        ("S-PAGES", "workato_idp", "classify_document", "pages_processed", "page_count"),
        ("S-PAGES", "workato_idp", "process_document", "pages_processed", "page_count"),
    ]


def test_the_calls_are_two_synchronous_and_two_asynchronous_ones():
    assert {(row["adapter_name"], row["adapter_operation"], row["call_mode"]) for row in seed("call_operations")} == {
        ("workato_recipe_function", "call_recipe", "sync"),
        ("workato_recipe_function", "call_recipe_async", "async"),
        ("workato_service", "call_service", "sync"),
        ("workato_service", "call_service_async", "async"),
    }


def test_the_triggers_say_the_recipe_types_of_the_page():
    assert {(row["trigger_adapter"], row["trigger_operation"], row["recipe_type"]) for row in seed("recipe_types")} == {
        ("workato_api_platform", "receive_request", "api_recipe"),
        ("workato_api_proxy", "receive_request", "api_proxy"),
        ("workato_recipe_function", "execute", "recipe_function"),
        ("workato_service", "receive_request", "recipe_function"),
        ("workato_genie", "start_workflow", "skill"),
        ("workato_skill", "start_workflow", "skill"),
    }


def test_a_trigger_adapter_says_its_type_alone():
    """Without an operation the adapter decides, so it may not stand for two types."""
    adapters = Counter(row["trigger_adapter"] for row in seed("recipe_types"))
    assert set(adapters.values()) == {1}


def test_the_context_of_a_call_is_that_of_the_rules():
    contexts = {
        (row["caller_context"], row["call_mode"]): row["billing_context"] for row in seed("billing_contexts_by_call")
    }
    assert contexts == {
        ("workflow", "sync"): "workflow",
        ("workflow", "async"): "workflow",
        ("api", "sync"): "continuation",
        ("api", "async"): "workflow",
        ("mcp", "sync"): "continuation",
        ("mcp", "async"): "workflow",
        ("agent", "sync"): "workflow",
        ("agent", "async"): "workflow",
        ("continuation", "sync"): "continuation",
        ("continuation", "async"): "workflow",
    }


def test_an_asynchronous_call_leads_to_a_workflow_whatever_the_caller():
    """What the billing contexts take for granted when they settle asynchronous calls without asking the caller."""
    rows = [row for row in seed("billing_contexts_by_call") if row["call_mode"] == "async"]
    assert {row["billing_context"] for row in rows} == {"workflow"}


@pytest.mark.parametrize(
    ("terms", "trigger", "call"),
    [("T1", "1", "0"), ("T2", "0", "1"), ("T3", "0", "1")],
)
def test_the_terms_differ_in_triggers_and_calls_alone(terms, trigger, call):
    rows = [row for row in seed("task_rules") if row["task_terms"] == terms and row["rule_id"] != "T-START"]
    assert {row["unit_kind"]: row["tasks"] for row in rows} == {
        "action": "1",
        "trigger": trigger,
        "control": "0",
        "call": call,
        "proxy_request": "1",
    }


def test_no_terms_have_tasks_before_october_2020():
    for row in seed("task_rules"):
        assert row["tasks"] == "0" or date.fromisoformat(row["effective_from"]) >= date(2020, 10, 1)


def test_no_published_rule_has_a_day_without_it_or_with_two():
    keys = {  # of each table: in which columns no two rows of one day agree
        "app_eligibility": ["adapter_name"],
        "operation_metrics": ["adapter_name", "adapter_operation"],
        "control_keywords": ["keyword"],
        "call_operations": ["adapter_name", "adapter_operation"],
        "recipe_types": ["trigger_adapter"],
        "proxy_operations": ["adapter_name", "adapter_operation"],
        "billing_contexts_by_recipe_type": ["recipe_type", "is_mcp"],
        "billing_contexts_by_call": ["caller_context", "call_mode"],
        "context_rules": ["billing_context"],
        "request_rules": ["extract_name", "request_type", "is_mcp"],
        "seat_rules": ["product"],
        "metrics": ["metric"],
        "task_rules": ["task_terms", "unit_kind"],
    }
    for table, columns in keys.items():
        periods: dict[tuple, list[tuple[str, str]]] = {}
        for row in seed(table):
            of_key = periods.setdefault(tuple(row[column] for column in columns), [])
            of_key.append((row["effective_from"], row["effective_to"]))
        for key, found in periods.items():
            begins, ends = zip(*sorted(found), strict=True)
            assert begins == ("1970-01-01", *ends[:-1]), (table, key)
            assert ends[-1] == "", (table, key)


def test_every_metric_is_billed_by_tasks_or_by_business_actions_and_never_by_both():
    billed = {
        row["metric"]: (row["is_billed_by_business_actions"], row["is_billed_by_tasks"]) for row in seed("metrics")
    }
    assert billed.pop("tasks") == ("false", "true")
    assert set(billed.values()) == {("true", "false")}


def test_only_seats_are_a_level():
    levels = {row["metric"] for row in seed("metrics") if row["month_aggregation"] == "peak"}
    assert levels == {"go_seats", "workflow_app_seats"}


def test_every_rule_that_a_seed_names_is_a_rule():
    known = {row["rule_id"] for row in [*seed("decision_rules"), *seed("contract_rules")]}
    for path in (PROJECT / "seeds/rules").glob("*.csv"):
        named = {row["rule_id"] for row in seed(path.stem) if "rule_id" in row}
        assert named <= known, path.name


def test_the_rules_of_a_step_stand_in_the_order_of_the_page():
    order = sorted(
        (int(row["decision_order"]), row["rule_id"]) for row in seed("decision_rules") if row["decides"] == "step"
    )
    assert [rule for _, rule in order] == [
        "S-PENDING",
        "S-TEST",
        "S-CONTROL",
        "S-SKIPPED",
        "S-FAILED",
        "S-PAGES",
        "S-EVENT",
        "S-EVENT-BATCH",
        "S-CONSUMED",
        "S-API",
        "S-MCP",
        "S-AGENT",
        "S-CONTINUES",
        "S-INELIGIBLE",
        "S-UNRULED",
        "S-UNKNOWN",
        "S-ACTION",
    ]
