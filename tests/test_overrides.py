"""A partner's changes of the rule book: rows of seeds/rules/overrides, which the published rule book does not know of.

What cannot be meant stops a run with a sentence; what can counts as if the published rows themselves had been changed,
and says so wherever a rule is shown. That a changed override recomputes what was loaded before: test_incremental.py.
"""

import csv
import re
import shutil
import sys
from datetime import date

import pytest
from building import PROJECT
from reference.compiled import Warehouse
from reference.proving import Batch
from samples import PART

PUBLISHED = PROJECT / "seeds" / "rules"
FOR_EVER = date(9999, 12, 31)


@pytest.fixture(scope="module")
def rule_book():
    sys.path.insert(0, str(PROJECT / "plugins"))
    import rule_book

    yield rule_book
    sys.path.remove(str(PROJECT / "plugins"))


def header(table):
    with (PUBLISHED / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def write(folder, table, *rows, columns=None):
    """An override_<table>.csv with rows given by column."""
    columns = columns or [*header(table), "reason", "author"]
    path = folder / f"override_{table}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(
            {"reason": "a contract", "author": "Dana", "effective_from": "1970-01-01"} | row for row in rows
        )
    return path


SLACK = {
    "rule_id": "S-INELIGIBLE",
    "adapter_name": "slack",
    "app_name": "Slack",
    "app": "slack",
    "family": "third_party",
    "is_deprecated": "false",
}
IN_AUGUST = {"effective_from": "2026-08-01", "effective_to": "2026-09-01"}
FROM_MID_AUGUST = {"effective_from": "2026-08-15"}
ACTION = {"task_terms": "T3", "rule_id": "T-ACTION", "unit_kind": "action", "tasks": "2"}
PUBLISH = {
    "rule_id": "S-EVENT",
    "adapter_name": "workato_pub_sub",
    "adapter_operation": "publish_to_topic",
    "metric": "events_processed",
    "quantity_from": "one",
}
ASYNC = {
    "rule_id": "J-FN-ASYNC",
    "caller_context": "agent",
    "call_mode": "async",
    "billing_context": "workflow",
}


# (table, rows, what the sentence about the last of them says)
REFUSED = {
    "without a reason": ("app_eligibility", [SLACK | {"reason": ""}], "it has no reason"),
    "a blank is no author": ("app_eligibility", [SLACK | {"author": " "}], "it has no author"),
    "without the key": ("app_eligibility", [SLACK | {"adapter_name": ""}], "it has no adapter_name"),
    "without a first day": ("app_eligibility", [SLACK | {"effective_from": ""}], "it has no effective_from"),
    "a date in another order": (
        "app_eligibility",
        [SLACK | {"effective_from": "01.08.2026"}],
        "effective_from is 01.08.2026: it must be a date, YYYY-MM-DD",
    ),
    "a date without hyphens": (
        "app_eligibility",
        [SLACK | {"effective_from": "20260801"}],
        "effective_from is 20260801: it must be a date, YYYY-MM-DD",
    ),
    "a last day for want of one": (
        "app_eligibility",
        [SLACK | {"effective_to": "9999-12-31"}],
        "effective_to is 9999-12-31: leave it empty if the row has no end",
    ),
    "another letter case": (
        "operation_metrics",
        [PUBLISH | {"adapter_operation": "Publish_To_Topic"}],
        "workato_pub_sub Publish_To_Topic has another letter case in operation_metrics: "
        "workato_pub_sub publish_to_topic",
    ),
    "a day that no month has": (
        "app_eligibility",
        [SLACK | {"effective_to": "2026-02-30"}],
        "effective_to is 2026-02-30: it must be a date, YYYY-MM-DD",
    ),
    "ends before it begins": (
        "app_eligibility",
        [SLACK | {"effective_from": "2026-08-01", "effective_to": "2026-08-01"}],
        "it ends on 2026-08-01, and begins on 2026-08-01",
    ),
    "overlaps another row": (
        "app_eligibility",
        [SLACK | IN_AUGUST, SLACK | FROM_MID_AUGUST],
        "another row of slack is in force on some of its days",
    ),
    "overlaps another row of two columns' key": (
        "operation_metrics",
        [PUBLISH | FROM_MID_AUGUST, PUBLISH | IN_AUGUST],
        "another row of workato_pub_sub publish_to_topic is in force on some of its days",
    ),
    "a rule that there is not": (
        "app_eligibility",
        [SLACK | {"rule_id": "S-FREE"}],
        "rule_id is S-FREE: it must be one of S-ACTION, S-INELIGIBLE, S-UNRULED",
    ),
    "a rule of something else": (
        "operation_metrics",
        [PUBLISH | {"rule_id": "R-PUBLISH"}],
        "rule_id is R-PUBLISH: it must be one of ",
    ),
    "a metric that there is not": (
        "operation_metrics",
        [PUBLISH | {"metric": "messages"}],
        "metric is messages: it must be one of ",
    ),
    "another spelling of a truth": (
        "app_eligibility",
        [SLACK | {"is_deprecated": "no"}],
        "is_deprecated is no: it must be one of false, true",
    ),
    "tasks in words": ("task_rules", [ACTION | {"tasks": "two"}], "tasks is two: it must be a whole number"),
    "an app that is not listed": (
        "app_eligibility",
        [SLACK | {"app": "slak"}],
        "app is slak, which app_eligibility does not list as an adapter_name",
    ),
    "blanks around a name": (
        "app_eligibility",
        [SLACK | {"adapter_name": "slack "}],
        "adapter_name has blanks around slack",
    ),
    "a key that the rules have no place for": (
        "billing_contexts_by_recipe_type",
        [
            {
                "rule_id": "J-AGENT",
                "recipe_type": "skill",
                "is_mcp": "true",
                "billing_context": "agent",
                "orphan_function_context": "workflow",
            }
        ],
        "billing_contexts_by_recipe_type has no skill true to override",
    ),
    "an asynchronous call that is covered": (
        "billing_contexts_by_call",
        [ASYNC | {"billing_context": "agent"}],
        "an asynchronous call is a workflow, whatever the caller",
    ),
}


class TestWhatCantBeMeant:
    @pytest.mark.parametrize("case", REFUSED)
    def test_a_row_is_refused_with_a_sentence(self, rule_book, tmp_path, case):
        table, rows, sentence = REFUSED[case]
        path = write(tmp_path, table, *rows)
        problems = rule_book.override_problems(str(PROJECT), str(tmp_path)).splitlines()
        assert len(problems) == 1, problems
        assert problems[0].startswith(f"{path}, row {len(rows)}: {sentence}")
        assert problems[0].endswith(".")

    @pytest.mark.parametrize(
        "name",
        [
            "override_app_eligiblity.csv",
            "app_eligibility.csv",
            "override_status_words.csv",
            "override_app_eligibility.CSV",
        ],
    )
    def test_a_file_that_changes_no_table_is_named(self, rule_book, tmp_path, name):
        path = write(tmp_path, "app_eligibility", SLACK)
        path.rename(tmp_path / name)
        problems = rule_book.override_problems(str(PROJECT), str(tmp_path))
        assert problems.startswith(f"{tmp_path / name}: its name must be override_<table>.csv, with one of the tables ")

    def test_a_comma_that_is_not_quoted_is_named(self, rule_book, tmp_path):
        path = write(tmp_path, "control_keywords")
        with path.open("a", encoding="utf-8") as file:
            file.write("S-CONTROL,parallel,1970-01-01,,,,clause 4, all of it,Dana\n")
        assert rule_book.override_problems(str(PROJECT), str(tmp_path)) == (
            f"{path}, row 1: it has more values than columns: put a value that contains a comma in quotes."
        )

    def test_a_file_in_another_encoding_is_named(self, rule_book, tmp_path):
        path = write(tmp_path, "app_eligibility", SLACK | {"author": "J\u00f6rg"})
        path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))
        assert rule_book.override_problems(str(PROJECT), str(tmp_path)) == f"{path}: it is not UTF-8."

    @pytest.mark.parametrize("how", ["no reason", "a further column", "no header"])
    def test_other_columns_are_named(self, rule_book, tmp_path, how):
        wanted = [*header("control_keywords"), "reason", "author"]
        columns = {"no reason": [*wanted[:-2], "author"], "a further column": [*wanted, "since"], "no header": []}[how]
        path = write(tmp_path, "control_keywords", columns=columns or ["x"])
        if not columns:
            path.write_text("", encoding="utf-8")
        assert rule_book.override_problems(str(PROJECT), str(tmp_path)) == (
            f"{path}: its columns are {', '.join(columns)}; they must be {', '.join(wanted)}."
        )


ACCEPTED = {
    "an app for a while, and from another day on": (
        "app_eligibility",
        [SLACK | IN_AUGUST, SLACK | {"effective_from": "2026-09-01"}],
    ),
    "an app that the rule book does not list": (
        "app_eligibility",
        [SLACK | {"adapter_name": "brand_new_app", "app": "brand_new_app"} | IN_AUGUST],
    ),
    "the other operations of an adapter": (
        "operation_metrics",
        [PUBLISH | {"adapter_operation": "", "rule_id": "S-CONSUMED", "metric": "", "quantity_from": "none"}],
    ),
    "a trigger that makes a workflow": (
        "recipe_types",
        [
            {
                "rule_id": "J-WORKFLOW",
                "trigger_adapter": "workato_skill",
                "trigger_operation": "start_workflow",
                "recipe_type": "workflow",
            }
        ],
    ),
    "a reason with commas, quotes and lines": (
        "task_rules",
        [ACTION | {"reason": 'clause 4, "actions",\nof the contract'}],
    ),
}


class TestWhatCanBeMeant:
    @pytest.mark.parametrize("case", ACCEPTED)
    def test_a_row_is_accepted(self, rule_book, tmp_path, case):
        table, rows = ACCEPTED[case]
        write(tmp_path / "august", table, *rows)
        assert rule_book.override_problems(str(PROJECT), str(tmp_path)) == ""

    def test_columns_come_in_any_order_and_after_a_byte_order_mark(self, rule_book, tmp_path):
        path = write(tmp_path, "app_eligibility", SLACK, columns=["author", *header("app_eligibility")[::-1], "reason"])
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert rule_book.override_problems(str(PROJECT), str(tmp_path)) == ""

    def test_the_guides_example_is_accepted(self, rule_book, tmp_path):
        guide = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        (row,) = re.findall(r"```csv\n(S-.*)\n```", guide)
        shipped = (PUBLISHED / "overrides" / "override_app_eligibility.csv").read_text(encoding="utf-8")
        (tmp_path / "override_app_eligibility.csv").write_text(f"{shipped}{row}\n", encoding="utf-8")
        assert rule_book.override_problems(str(PROJECT), str(tmp_path)) == ""

    def test_every_dated_table_can_be_overridden(self, rule_book):
        dated = {path.stem for path in PUBLISHED.glob("*.csv") if "effective_from" in header(path.stem)}
        assert set(rule_book.KEYS) == dated
        assert {path.stem for path in (PUBLISHED / "overrides").glob("*.csv")} == {f"override_{name}" for name in dated}
        for name in dated:
            with (PUBLISHED / "overrides" / f"override_{name}.csv").open(encoding="utf-8-sig", newline="") as file:
                assert set(next(csv.reader(file))) == {*header(name), "reason", "author"}

    def test_models_and_check_know_a_row_by_the_same_key(self, rule_book):
        models = {path.stem: path.read_text() for path in (PROJECT / "models" / "rules").glob("effective_*.sql")}
        keys = {
            name.removeprefix("effective_"): tuple(re.findall(r"'(\w+)'", re.search(r"key=\[(.*?)\]", sql)[1]))
            for name, sql in models.items()
            if "rules_in_force(" in sql  # terms have no dates, and no overrides
        }
        assert keys == rule_book.KEYS

    def test_every_published_row_would_be_accepted_as_an_override(self, rule_book, tmp_path):
        """So what is refused is never what the rule book says itself."""
        for table in rule_book.KEYS:
            with (PUBLISHED / f"{table}.csv").open(encoding="utf-8", newline="") as file:
                write(tmp_path, table, *csv.DictReader(file))
        assert rule_book.override_problems(str(PROJECT), str(tmp_path)) == ""

    def test_the_published_rule_book_is_not_asked_for_the_overrides(self, rule_book, tmp_path):
        """Words that only an override has are known to none."""
        book = tmp_path / "seeds" / "rules"
        shutil.copytree(PUBLISHED, book)
        shutil.rmtree(book / "overrides")
        write(tmp_path / "own", "operation_metrics", PUBLISH | {"metric": "messages"})
        write(tmp_path / "own", "metrics", {"metric": "messages", "capability": "idp", "unit": "messages"})
        problems = rule_book.override_problems(str(tmp_path), str(tmp_path / "own"))
        assert "metric is messages: it must be one of " in problems


# -------------------------------------------------------------------------------------------------- what they change

MIDDLE = date(2024, 4, 16)
# The columns that name the override of a decision end so.
SAYS_SO = "_override"
# These have a row for each override that decided: {relation: {column: what it is without them}}.
ADDED_UP = {
    "marts.monthly_rule_usage": {"quantity": "sum(quantity)", "tasks": "sum(tasks)", "steps": "sum(steps)"},
    "marts.monthly_decisions": {
        "decided": "sum(decided)",
        "quantity": "if(any_value(units) = 'days of seats', max(quantity), sum(quantity))",
    },
}

# What is changed: (table, key, other values, first day, day after the last); each changes usage of the random worlds.
CHANGES = {
    "an app for some weeks": (
        "app_eligibility",
        {"adapter_name": "slack"},
        {"rule_id": "S-INELIGIBLE"},
        MIDDLE,
        date(2024, 5, 1),
    ),
    "an app without a ruling for good": (
        "app_eligibility",
        {"adapter_name": "pdf_tools"},
        {"rule_id": "S-ACTION"},
        date(1970, 1, 1),
        None,
    ),
    "the other operations of an adapter": (
        "operation_metrics",
        {"adapter_name": "workato_pub_sub", "adapter_operation": None},
        {"metric": "events_processed", "quantity_from": "one"},
        MIDDLE,
        None,
    ),
    "a trigger's recipe type": (
        "recipe_types",
        {"trigger_adapter": "workato_skill"},
        {"rule_id": "J-WORKFLOW", "recipe_type": "workflow"},
        MIDDLE,
        None,
    ),
    "what an agent calls": (
        "billing_contexts_by_call",
        {"caller_context": "agent", "call_mode": "sync"},
        {"billing_context": "agent"},
        MIDDLE,
        None,
    ),
    "the context of a recipe type": (
        "billing_contexts_by_recipe_type",
        {"recipe_type": "workflow", "is_mcp": False},
        {"billing_context": "agent"},
        MIDDLE,
        date(2024, 5, 10),
    ),
    "what a context covers, always": (
        "context_rules",
        {"billing_context": "agent"},
        {"rule_id": "S-API"},
        date(1900, 1, 1),
        None,
    ),
    "what a kind of request counts as": (
        "request_rules",
        {"extract_name": "api_requests", "request_type": "proxy", "is_mcp": False},
        {"metric": None},
        MIDDLE,
        None,
    ),
    "a call that is another one": (
        "call_operations",
        {"adapter_name": "workato_service", "adapter_operation": "call_service"},
        {"call_mode": "async"},
        MIDDLE,
        None,
    ),
    "what a proxy may run": (
        "proxy_operations",
        {"adapter_name": "workato_api_proxy", "adapter_operation": "forward_request"},
        {"note": "as it was"},
        MIDDLE,
        None,
    ),
    "seats": ("seat_rules", {"product": "workato_go"}, {"metric": "workflow_app_seats"}, MIDDLE, None),
    "tasks across the start of tasks": (
        "task_rules",
        {"task_terms": "T3", "unit_kind": "action"},
        {"rule_id": "T-ACTION", "tasks": 3},
        date(2020, 9, 30),
        MIDDLE,
    ),
    "what is billed": (
        "metrics",
        {"metric": "pages_processed"},
        {"is_billed_by_business_actions": False},
        date(2024, 4, 1),
        None,
    ),
}
SAID = "a contract (Dana)"
SHOWN = [
    ("metering.metered_steps", "rule_override"),
    ("metering.metered_steps", "task_rule_override"),
    ("metering.metered_jobs", "rule_override"),
    ("metering.metered_requests", "rule_override"),
    ("metering.metered_seats", "rule_override"),
]
# No decision on a unit of work is made by these rows.
SHOWN_NOWHERE = {"what is billed"}


def published_row(connection, table, key):
    condition = " and ".join(f"{column} is not distinct from ?" for column in key)
    found = connection.execute(
        f"from rules.{table} where {condition} order by effective_from desc limit 1", list(key.values())
    )
    names = [column[0] for column in found.description]
    return dict(zip(names, found.fetchone(), strict=True))


def insert(connection, table, row):
    marks = ", ".join("?" for _ in row)
    connection.execute(f"insert into rules.{table} ({', '.join(row)}) values ({marks})", list(row.values()))


def override(connection, table, key, values, first, last):
    row = published_row(connection, table, key) | values | {"effective_from": first, "effective_to": last}
    insert(connection, f"override_{table}", row | {"reason": "a contract", "author": "Dana"})


def edit(connection, table, key, values, first, last):
    """The same by hand: the published rows of the key are cut where the new one begins and ends."""
    row = published_row(connection, table, key) | values | {"effective_from": first, "effective_to": last}
    condition = " and ".join(f"{column} is not distinct from ?" for column in key)
    found = connection.execute(f"from rules.{table} where {condition}", list(key.values()))
    names = [column[0] for column in found.description]
    before = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    connection.execute(f"delete from rules.{table} where {condition}", list(key.values()))
    insert(connection, table, row)
    for old in before:
        old_last = old["effective_to"] or FOR_EVER
        for begin, end in (
            (old["effective_from"], min(old_last, first)),
            (max(old["effective_from"], last or FOR_EVER), old_last),
        ):
            if begin < end:
                end = None if end == FOR_EVER else end
                insert(connection, table, old | {"effective_from": begin, "effective_to": end})


class TestWhatTheyChange:
    @pytest.fixture(scope="class")
    @classmethod
    def world(cls):
        batch = Batch(tuple(range(900, 904)), 20, "default", is_streamed=False)
        return batch.as_delivered(batch.worlds())

    @pytest.fixture(scope="class")
    @classmethod
    def count(cls, projects, world):
        def count(prepare=None):
            warehouse = Warehouse(projects["default"])
            if prepare:
                prepare(warehouse.connection)
            warehouse.build(world)
            return warehouse

        return count

    @pytest.fixture(scope="class")
    @classmethod
    def as_published(cls, count):
        return figures(count())

    @pytest.mark.parametrize("change", list(CHANGES)[::PART])
    def test_an_override_counts_as_an_edit_of_the_rule_book_and_says_so(self, count, as_published, change):
        by_override = count(lambda connection: override(connection, *CHANGES[change]))
        by_hand = count(lambda connection: edit(connection, *CHANGES[change]))
        assert figures(by_override) == figures(by_hand)
        if change != "what a proxy may run":
            assert figures(by_override) != as_published
        decisions = sum(
            by_override.connection.execute(f"select count(*) from {relation} where {column} = ?", [SAID]).fetchone()[0]
            for relation, column in SHOWN
        )
        assert (decisions > 0) == (change not in SHOWN_NOWHERE)
        covered = by_override.connection.execute(
            "select coalesce(sum(decisions), 0) from audit.rule_coverage where rule_override = ?", [SAID]
        ).fetchone()[0]
        assert (covered > 0) == (change not in SHOWN_NOWHERE)
        assert by_override.failing_data_tests() == []


def figures(warehouse):
    """The rows of metering and of the marts, without what says whether an override decided."""
    found = {}
    for relation in warehouse.project.models:
        if relation.startswith(("metering.", "marts.")):
            columns = ", ".join(name for name in columns_of(warehouse, relation) if not name.endswith(SAYS_SO))
            query = f"select {columns} from {relation}"
            if relation in ADDED_UP:
                sums = ", ".join(f"{how} as {column}" for column, how in ADDED_UP[relation].items())
                query = f"select * replace ({sums}) from ({query}) group by all"
            found[relation] = sorted(warehouse.connection.execute(query).fetchall(), key=repr)
    return found


def columns_of(warehouse, relation):
    return [column[0] for column in warehouse.connection.execute(f"from {relation} limit 0").description]
