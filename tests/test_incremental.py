"""However many runs loaded the extracts, the rows are those of one build over everything that was ever delivered.

Several runs update one warehouse, each with new files. What a later run changes in the data of earlier runs is tested
claim by claim over small worlds, then over random worlds with random deliveries.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest
import yaml
from builders import (
    API_REQUEST,
    CALL,
    FIRST,
    FUNCTION,
    NOON,
    SALESFORCE,
    TRIGGER,
    collection,
    connection,
    customer,
    job,
    only_steps,
    recipe,
    request,
    step,
    subscription,
    without_steps,
    world,
)
from building import PROJECT, Workbench, restore_all_but_deliveries, verify
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from reference.delivery_schedules import ORDERS, REQUIRED, Plan, Source, scheduled_deliveries, ways_to_be_late
from reference.files import write_world
from samples import PART, sampled

# How many random sequences of runs to try, each over many worlds; failing sequences are reduced for some minutes.
EXAMPLES = int(os.environ.get("INCREMENTAL_EXAMPLES") or sampled(4))
WORLDS = 40
TOGETHER = WORLDS // min(PART, 2)

SCHEMAS = ("metering", "marts", "audit")
LATER = "2026-04-01T22:00:00Z"
ANEW = "Everything is recomputed"
JOBS_ANEW = "All decisions are recomputed, and the facts about steps are kept"
DECISIONS_ANEW = "The decisions on steps, requests and seats are recomputed, and facts and jobs are kept"


def succeeded(built):
    assert built.exit_code == 0, built.output
    return built


def add_files(folder, *parts, name="part"):
    write_world(world(*parts, with_required=False), folder, split=1, ragged=False, name=name)


def contents(built):
    """{table: ({column: type}, its rows)}; in which file a row stood is no part of it."""
    columns = {}
    for schema, table, column, type_ in built.rows(
        "select table_schema, table_name, column_name, data_type from information_schema.columns "
        "where list_contains(?, table_schema) and column_name <> 'file_name' order by all",
        list(SCHEMAS),
    ):
        columns.setdefault(f"{schema}.{table}", {})[column] = type_
    assert columns, f"no tables in {SCHEMAS}"
    return {
        table: (types, Counter(built.rows(f"select {', '.join(types)} from {table}")))
        for table, types in columns.items()
    }


def assert_same(built, full):
    """Every table of the schemas has the same columns and rows; returns how many rows."""
    ours, theirs = contents(built), contents(full)
    assert {name: types for name, (types, _) in ours.items()} == {name: types for name, (types, _) in theirs.items()}
    differences = []
    for name, (types, rows) in theirs.items():
        for found, where in ((ours[name][1] - rows, "only in the first"), (rows - ours[name][1], "only in the second")):
            if found:
                worlds = Counter(re.findall(r"\bw(\d+)-", str(list(found)))).most_common(5)
                differences.append(f"{name}: {found.total()} rows {where}, {worlds=}")
                differences += [f"    {dict(zip(types, row, strict=True))}" for row in sorted(found, key=str)[:5]]
    assert not differences, "\n".join(differences)
    return sum(rows.total() for _, rows in theirs.values())


SCOPED = {
    path: found[1]
    for path in sorted((PROJECT / "models").rglob("*.sql"))
    if (found := re.search(r"replaces\('(\w+)'\)", path.read_text(encoding="utf-8"))) and found[1] != "load"
}


@pytest.mark.parametrize("path", SCOPED, ids=[path.stem for path in SCOPED])
def test_uniqueness_is_tested_of_the_rows_that_a_run_replaces(path):
    """Of fewer it would miss some; of all it would read years of rows that stood before."""
    (model,) = yaml.safe_load(path.with_suffix(".yml").read_text(encoding="utf-8"))["models"]
    tests = [test["unique_grain"]["arguments"] for test in model.get("data_tests", []) if "unique_grain" in test]
    assert [arguments.get("of_changed") for arguments in tests] == [SCOPED[path]] * len(tests)


class TestLateness:
    """Three runs. The second and the third deliver rows that were missing before, or other versions of rows.

    The second has the as-of date 31 March, the others that of the newest extract, 1 April.
    """

    RUNS = (
        [
            customer(),
            connection(),
            recipe("api", trigger_application=API_REQUEST[0], trigger_operation=API_REQUEST[1]),
            recipe("function", trigger_application=FUNCTION[0], trigger_operation=FUNCTION[1]),
            recipe("changing"),
            job("j-grandchild", FUNCTION, SALESFORCE, recipe_id="function", calling_job_id="j-child"),
            only_steps(job("j-late")),
            request("of-late", job_id="j-late"),
            job("j-changing", recipe_id="changing"),
            job("j-orphan", FUNCTION, SALESFORCE, recipe_id="unlisted", root_recipe_id="changing"),
            job("j-called", API_REQUEST, SALESFORCE, recipe_id="api"),
            request("of-called", job_id="j-called", api_collection_id="collection"),
            request("of-none", api_collection_id="collection"),
            collection(is_mcp_server=False, extracted_at=NOON),
            collection("server"),
            job("j-freed", API_REQUEST, SALESFORCE, recipe_id="api"),
            request("of-another", job_id="j-freed", api_collection_id="server"),
            collection("leaving"),
            job("j-left", API_REQUEST, SALESFORCE, recipe_id="api"),
            request("of-left", job_id="j-left", api_collection_id="leaving"),
            request("of-none-left", api_collection_id="leaving"),
            job("j-moved", recipe_id="moved", completed_at="2026-03-05T12:00:00Z"),
            job("j-pending", status="pending", completed_at=None),
            job("j-shorter", TRIGGER, SALESFORCE, SALESFORCE),
            job("j-emptied"),
            customer("paged", extracted_at=LATER),
            job("j-april", recipe_id="april", completed_at="2026-04-01T00:00:00Z"),
            request("q-april", requested_at="2026-04-01T21:00:00Z"),
            job("j-billed", account_id="billed", completed_at="2025-09-10T12:00:00Z"),
            subscription(account_id="billed", effective_from="2025-06-01", extracted_at=NOON),
        ],
        [
            job(
                "j-child",
                FUNCTION,
                step(*CALL, called_recipe_id="function"),
                recipe_id="function",
                calling_job_id="j-parent",
            ),
            without_steps(job("j-late")),
            job("j-pending", extracted_at=LATER),
            customer(extracted_at="2026-04-01T21:59:00Z"),  # another page of the same listing
        ],
        [
            job("j-parent", API_REQUEST, step(*CALL, called_recipe_id="function"), recipe_id="api"),
            recipe("changing", recipe_type="api_recipe", extracted_at=LATER),
            collection(extracted_at=LATER),
            collection("leaving", is_mcp_server=False, extracted_at=LATER),
            request("of-another", job_id="j-late", api_collection_id="server", extracted_at=LATER),
            job("j-moved", recipe_id="moved", completed_at="2026-02-10T12:00:00Z", extracted_at=LATER),
            job("j-shorter", TRIGGER, extracted_at=LATER),
            without_steps(job("j-emptied", extracted_at=LATER)),
            subscription(account_id="billed", recipe_metric="tasks", effective_from="2025-06-01", extracted_at=LATER),
        ],
    )

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, workbench, build):
        folder, built = workbench.clear_extracts(), []
        for number, parts in enumerate(cls.RUNS):
            add_files(folder, *parts, name=f"run-{number}")
            env = {"AS_OF_DATE": "2026-03-31"} if number == 1 else {}
            built.append(succeeded(build(folder, onto=built[-1] if built else None, env=env)))
        return built

    def test_no_run_computes_everything_anew(self, runs):
        assert [ANEW in run.output for run in runs] == [False, False, False]

    def test_three_runs_are_one_build_over_all_files(self, runs, build):
        everything = world(*(part for parts in self.RUNS for part in parts))
        print(f"{assert_same(runs[-1], succeeded(build(everything)))} rows compared")

    def test_a_late_parent_changes_its_children(self, runs):
        contexts = [
            dict(run.rows("select job_id, context_rule_id from metering.metered_jobs where recipe_id = 'function'"))
            for run in runs
        ]
        assert contexts == [
            {"j-grandchild": "J-FN-ORPHAN"},
            {"j-child": "J-FN-ORPHAN", "j-grandchild": "J-FN-WORKFLOW"},
            {"j-child": "J-FN-SYNC-API", "j-grandchild": "J-FN-NESTED"},
        ]
        actions = (
            "select sum(quantity) from metering.metered_steps where job_id = 'j-grandchild' and metric is not null"
        )
        assert [run.column(actions) for run in runs] == [[1], [1], [None]]

    def test_a_subscription_that_says_other_terms_bills_the_usage_of_earlier_runs_by_them(self, runs):
        billed = (
            "select metric, sum(quantity) from marts.daily_contract_usage where customer_id = 'billed' group by all"
        )
        assert [run.rows(billed) for run in runs] == [
            [("business_actions", 2)],
            [("business_actions", 2)],
            [("tasks", 1)],
        ]

    def test_steps_wait_for_their_job_and_are_released(self, runs):
        waiting = "select count(*) from audit.quarantined_rows where reason = 'step without job'"
        assert [run.column(waiting) for run in runs] == [[2], [0], [0]]
        counted = "select count(*) from metering.metered_steps where job_id = 'j-late' and metric = 'business_actions'"
        assert [run.column(counted) for run in runs] == [[0], [2], [2]]

    def test_a_request_waits_for_its_job(self, runs):
        waiting = "select subject from audit.findings where finding = 'request without its job'"
        assert [run.column(waiting) for run in runs] == [["of-late"], [], []]

    def test_a_late_recipe_listing_that_says_another_type_changes_jobs_of_earlier_runs(self, runs):
        decided = "select recipe_type, context_rule_id, metric from metering.metered_jobs where job_id = 'j-changing'"
        workflow, api = ("workflow", "J-WORKFLOW", None), ("api_recipe", "J-API", "api_calls")
        assert [run.rows(decided) for run in runs] == [[workflow], [workflow], [api]]
        steps = "select distinct rule_id from metering.metered_steps where job_id = 'j-changing'"
        assert [run.column(steps) for run in runs] == [["S-ACTION"], ["S-ACTION"], ["S-API"]]
        orphan = "select billing_context from metering.metered_jobs where job_id = 'j-orphan'"
        assert [run.column(orphan) for run in runs] == [["workflow"], ["workflow"], ["continuation"]]

    def test_a_collection_that_becomes_an_mcp_server_changes_earlier_calls(self, runs):
        of_a_job = "select metric, quantity from metering.metered_jobs where job_id = 'j-called'"
        of_none = "select metric, quantity from metering.metered_requests where request_id = 'of-none'"
        for query in (of_a_job, of_none):
            assert [run.rows(query) for run in runs] == [
                [("api_calls", 1)],
                [("api_calls", 1)],
                [("mcp_calls", 1)],
            ]

    def test_a_collection_that_is_an_mcp_server_no_longer_changes_earlier_calls(self, runs):
        of_a_job = "select metric, quantity from metering.metered_jobs where job_id = 'j-left'"
        of_none = "select metric, quantity from metering.metered_requests where request_id = 'of-none-left'"
        for query in (of_a_job, of_none):
            assert [run.rows(query) for run in runs] == [
                [("mcp_calls", 1)],
                [("mcp_calls", 1)],
                [("api_calls", 1)],
            ]

    def test_a_request_that_names_another_job_later_frees_the_one_it_named(self, runs):
        decided = "select context_rule_id, metric from metering.metered_jobs where job_id = 'j-freed'"
        mcp, api = ("J-MCP", "mcp_calls"), ("J-API", "api_calls")
        assert [run.rows(decided) for run in runs] == [[mcp], [mcp], [api]]

    def test_a_job_delivered_again_with_another_completion_month_moves_its_usage(self, runs):
        usage = (
            "select usage_date::varchar, quantity from marts.usage_by_capability "
            "where recipe_id = 'moved' and metric = 'business_actions'"
        )
        march, february = ("2026-03-05", 2), ("2026-02-10", 2)
        assert [run.rows(usage) for run in runs] == [[march], [march], [february]]

    def test_usage_after_an_earlier_as_of_date_leaves_the_marts_and_comes_back_with_a_later_one(self, runs):
        """No file of the second and third run contains it."""
        for figure in (
            "select sum(quantity)::int from marts.usage_by_capability where recipe_id = 'april' and metric = 'tasks'",
            "select api_calls from marts.monthly_customer_usage where usage_month = '2026-04-01' and api_calls > 0",
            "select tasks from marts.monthly_recipe_usage where recipe_id = 'april'",
            "select steps from marts.monthly_rule_usage where usage_month = '2026-04-01' and metric is not null",
            "select decided from marts.monthly_decisions where usage_month = '2026-04-01' and units = 'steps'",
        ):
            shown = [run.column(figure) for run in runs]
            assert shown[0] == shown[2] and shown[0] not in ([], [None]) and shown[1] in ([], [None]), figure
        kept = "select sum(tasks)::int from metering.metered_steps where job_id = 'j-april'"
        assert [run.column(kept) for run in runs] == [[1], [1], [1]]

    def test_a_listing_may_come_in_pages_on_several_runs(self, runs):
        status = "select customer_id, status from marts.customer_details order by all"
        assert [dict(run.rows(status))["acme"] for run in runs] == ["deleted", "active", "active"]

    def test_a_pending_job_counts_once_it_is_finished(self, runs):
        rules = "select distinct rule_id from metering.metered_steps where job_id = 'j-pending'"
        assert [run.column(rules) for run in runs] == [["S-PENDING"], ["S-ACTION"], ["S-ACTION"]]

    def test_a_newer_delivery_has_only_its_own_steps(self, runs):
        steps = "select count(*) from metering.metered_steps where job_id = ?"
        assert [run.column(steps, "j-shorter") for run in runs] == [[3], [3], [1]]
        assert [run.column(steps, "j-emptied") for run in runs] == [[2], [2], [0]]


class TestFiles:
    """Four runs: the first, one over the same files, one with a file replaced, one without any file, from scratch."""

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, workbench, build):
        told = {"WITHOUT_NODE_EVENTS": ""}  # a line for each node
        first, folder = succeeded(build(FIRST, env=told)), workbench.extracts
        again = succeeded(build(folder, onto=first, env=told))
        cls.earlier = succeeded(build(folder, onto=again, env=told | {"AS_OF_DATE": "2026-02-28"}))
        add_files(folder, job("j-2"))
        replaced = succeeded(build(folder, onto=again, env=told))
        for extract in REQUIRED:
            (folder / extract / "part-0.csv").unlink()
        shutil.rmtree(folder / "api_requests")
        gone = succeeded(build(folder, onto=replaced, env=told, arguments=("--full-refresh",)))
        return first, again, replaced, gone

    def test_a_run_over_the_same_files_changes_nothing(self, runs):
        first, again, *_ = runs
        assert first.published.read_bytes() != again.published.read_bytes()
        assert_same(again, first)

    def test_only_a_run_over_the_same_files_and_as_of_the_same_date_keeps_tables_as_they_are(self, runs):
        first, again, replaced, gone = runs
        assert again.output.count("[KEPT in ") > 50
        assert not [run for run in (first, self.earlier, replaced, gone) if "[KEPT in " in run.output]
        jobs = "select sum(jobs_succeeded) from marts.monthly_customer_usage"
        assert [run.column(jobs) for run in (again, self.earlier)] == [[2], [None]]

    def test_a_replaced_file_is_a_new_delivery(self, runs):
        first, _, replaced, _ = runs
        jobs = "select job_id from metering.metered_jobs order by all"
        assert (first.column(jobs), replaced.column(jobs)) == (["j-1", "j-test"], ["j-1", "j-2", "j-test"])

    def test_what_was_loaded_stays_when_its_file_is_gone_with_full_refresh_too(self, runs):
        *_, replaced, gone = runs
        assert ANEW in gone.output
        assert_same(gone, replaced)


class TestOptions:
    """A counting option is changed; then it is as before and an override changes the rule book; then that is, too."""

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, tmp_path_factory, forks, build):
        """Runs over the same files, of a copy of the project whose rule book can be changed."""
        folder = tmp_path_factory.mktemp("options")
        project = folder / "project"
        shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(".*", "target", "logs", "warehouse", "docs"))
        bench = Workbench(folder, forks, project)
        book = project / "seeds" / "rules" / "overrides" / "override_app_eligibility.csv"
        rules = book.read_text(encoding="utf-8")
        row = (
            "S-INELIGIBLE,salesforce,Salesforce,salesforce,third_party,false,2026-03-01,2026-04-01,,,not in March,Dana"
        )
        with_overrides = {"rule_overrides": True}

        first = succeeded(build(FIRST))
        without_tests = succeeded(
            bench.build(FIRST, onto=first, vars={"count_test_jobs": False}, prepare=cls.mark_facts)
        )
        book.write_text(f"{rules}{row}\n", encoding="utf-8")
        ruled = succeeded(bench.build(FIRST, onto=without_tests, vars=with_overrides))
        book.write_text(rules, encoding="utf-8")
        last = succeeded(bench.build(FIRST, onto=ruled, vars=with_overrides))
        own = {"admin_account_ids": ["acme"]}
        cls.of_the_partner = succeeded(bench.build(FIRST, onto=last, vars=with_overrides | own))
        cls.unpublished = bench.build(
            FIRST,
            onto=last,
            vars=with_overrides | {"task_terms": "T1"},
            arguments=("--exclude", "rule_coverage"),
        )
        cls.after_it = succeeded(bench.build(FIRST, onto=cls.unpublished, vars=with_overrides))
        book.write_text(f"{rules}{row}\n{row}\n", encoding="utf-8")
        cls.refused = bench.build(FIRST, onto=last, vars=with_overrides)
        return first, without_tests, ruled, last

    @staticmethod
    def mark_facts(warehouse):
        """A mark that no figure depends on: no call of a function is among these steps."""
        with duckdb.connect(warehouse / "build" / "usage.duckdb") as build:
            build.execute("update facts.step_facts set called_recipe_id = 'marked'")

    @staticmethod
    def actions(run):
        """(business actions by job, of the month)"""
        by_job = run.rows("select job_id, count(metric) from metering.metered_steps group by job_id")
        (month,) = run.column("select business_actions from marts.monthly_customer_usage")
        return dict(by_job), month

    def test_an_option_that_changes_decides_on_what_was_loaded_before(self, runs):
        first, without_tests, *_ = runs
        assert self.actions(first) == ({"j-1": 2, "j-test": 2}, 4)
        assert self.actions(without_tests) == ({"j-1": 2, "j-test": 0}, 2)
        assert JOBS_ANEW in without_tests.output

    def test_a_customer_that_becomes_an_own_workspace_is_one_in_what_was_loaded_before(self, runs):
        *_, last = runs
        for run, is_admin in ((last, False), (self.of_the_partner, True)):
            for table in ("metering.metered_steps", "metering.metered_jobs", "facts.job_recipes", "facts.daily_usage"):
                assert run.column(f"select distinct is_admin from {table}") == [is_admin], table
            assert (run.rows("from marts.monthly_customer_usage") == []) == is_admin
        assert JOBS_ANEW in self.of_the_partner.output

    def test_a_rule_that_changes_decides_on_what_was_loaded_before(self, runs):
        _, _, ruled, _ = runs
        assert self.actions(ruled) == ({"j-1": 0, "j-test": 1}, 1)
        assert JOBS_ANEW in ruled.output

    def test_an_override_is_shown_wherever_a_rule_is(self, runs, explain):
        _, _, ruled, _ = runs
        said = "not in March (Dana)"
        shown = ruled.rows(
            "select job_id, line_index, rule_id from metering.metered_steps where rule_override = ?", said
        )
        assert sorted(shown) == [
            ("j-1", 0, "S-INELIGIBLE"),
            ("j-1", 1, "S-INELIGIBLE"),
            ("j-test", 0, "S-INELIGIBLE"),
        ]
        query = "select rule_id, decisions, quantity from audit.rule_coverage where rule_override = ?"
        assert ruled.rows(query, said) == [("S-INELIGIBLE", 3, 0)]
        query = "select effective_from::text from rules.effective_app_eligibility where adapter_name = ? order by 1"
        assert ruled.column(query, "salesforce") == ["1970-01-01", "2026-03-01", "2026-04-01"]
        for analysis, variables in (
            ("explain_job", {"job_id": "j-1", "customer_id": None}),
            ("explain_month", {"customer_id": "acme", "month": "2026-03"}),
        ):
            sources = {row["published_in"] for row in explain.ask(ruled.connection.cursor(), analysis, **variables)}
            assert f"override: {said}" in sources

    def test_an_override_that_cant_be_meant_stops_the_run_before_anything_is_computed(self, runs):
        *_, last = runs
        assert self.refused.exit_code != 0
        sentence = "override_app_eligibility.csv, row 2: another row of salesforce is in force on some of its days."
        assert sentence in self.refused.output
        assert "START" not in self.refused.output.partition(sentence)[2]
        assert self.refused.published.read_bytes() == last.published.read_bytes()

    def test_what_is_changed_back_gives_the_rows_of_before(self, runs):
        first, *_, last = runs
        assert_same(last, first)
        assert DECISIONS_ANEW in last.output

    def test_no_change_of_rules_or_counting_options_touches_the_facts(self, runs):
        marks = "select distinct called_recipe_id from facts.step_facts"
        assert [run.column(marks) for run in runs] == [[None], ["marked"], ["marked"], ["marked"]]

    def test_a_run_with_other_options_that_is_not_committed_is_followed_by_one_that_decides_again(self, runs):
        """The rows that it left were decided under options that the last committed run did not have."""
        *_, last = runs
        assert "Not published" in self.unpublished.output
        assert DECISIONS_ANEW in self.after_it.output
        assert_same(self.after_it, last)


class TestReaders:
    READERS = 4
    READS = sampled(100)
    # A process for each line that is asked, forked from one that has imported the driver.
    READ = """
import os, sys, duckdb, _duckdb

def read():
    with duckdb.connect(sys.argv[1], read_only=True) as published:
        for figure in (
            "select count(*) from publication.runs",
            "select sum(tasks) from marts.monthly_customer_usage",
            "select sum(tasks) from marts.monthly_tasks",
        ):
            yield published.execute(figure).fetchall()[0][0]

for _ in sys.stdin:
    reader = os.fork()
    if not reader:
        try:
            print(*read(), flush=True)
        except BaseException as error:
            print(repr(error), flush=True)
        os._exit(0)
    os.waitpid(reader, 0)
"""

    def test_no_reader_fails_or_sees_two_runs_mixed_while_two_runs_follow_each_other(self, workbench, build):
        """Each read is a separate process; the first run has two jobs of one task each, the others add some."""
        first, folder = succeeded(build(FIRST)), workbench.extracts
        shutil.rmtree(workbench.warehouse, ignore_errors=True)  # another test may have left one
        shutil.copytree(first.warehouse, workbench.warehouse, symlinks=True)
        published = workbench.warehouse / "usage.duckdb"
        reads, runs_are_over = [], threading.Event()

        def read(reader):
            reader.stdin.write("read\n")
            reader.stdin.flush()
            said = reader.stdout.readline().strip()
            reads.append(tuple(map(int, said.split())) if re.fullmatch(r"[\d ]+", said) else said)

        def keep_reading():
            command = [sys.executable, "-c", self.READ, published]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
                while not runs_are_over.is_set() or len(reads) < self.READS:
                    read(reader)
                    time.sleep(0.5)  # or the runs would hardly get on
                read(reader)

        with ThreadPoolExecutor(self.READERS) as readers:
            reading = [readers.submit(keep_reading) for _ in range(self.READERS)]
            try:
                for name, jobs in (("second", 20), ("third", 30)):
                    add_files(folder, *(job(f"{name}-{n}") for n in range(jobs)), name=name)
                    assert workbench.start(folder, workbench.folder / "output.txt").wait() == 0
            finally:
                runs_are_over.set()
        for finished in reading:
            finished.result()
        print(f"{len(reads)} reads: {Counter(reads)}")
        assert len(reads) >= self.READS
        assert set(reads) == {(1, 2, 2), (2, 22, 22), (3, 52, 52)}


# -------------------------------------------------------------------------------------------------- random runs

# The first value of each is the simplest; a failing plan is cut down towards it.
PLANS = st.builds(
    Plan,
    worlds=st.sampled_from([1, 5, 10, 20, *[TOGETHER] * 12]),
    runs=st.sampled_from([1, 2, 3, 3, 4, 4, 4]),
    order=st.sampled_from([*ORDERS, *["mixed"] * 24]),
    quiet=st.booleans(),
    repeated=st.sampled_from([0, 5, 15, 15]),
    formats=st.sampled_from(["one", "own", "changing", "changing"]),
    streamed=st.booleans(),
    replaced=st.booleans(),
    odd=st.booleans(),
    gone=st.sampled_from(["no", "some", "some", "all"]),
    first_world=st.integers(0, 9_999),
)
# What becomes of the last run but one. With other options: what it and, after it, the last one recompute.
OTHER_OPTIONS = {
    "another time zone": ({"reporting_timezone": "Asia/Tokyo"}, ANEW),
    "other options of jobs": ({"count_test_jobs": False, "admin_account_ids": []}, JOBS_ANEW),
    "other options of decisions": ({"task_terms": "T1", "unknown_app_is_eligible": False}, DECISIONS_ANEW),
}
TURNS = st.sampled_from(
    [
        *["good", "good", "full refresh", "not published", "stopped", "killed", "restored", "verified"],
        *[*OTHER_OPTIONS, "killed with other options"],
    ]
)
# The as-of dates of the runs, in turn; "": the newest extract.
AS_OF_DATES = st.lists(st.sampled_from(["", "", "2024-05-20", "2024-04-10"]), min_size=1, max_size=4)


def test_random_runs_are_late_in_every_way():
    runs, _ = scheduled_deliveries(Plan(worlds=WORLDS, runs=3, order="mixed", repeated=5))
    ways = ways_to_be_late(runs)
    print("\n".join(f"{count:6} {way}" for way, count in ways.items()))
    assert min(ways.values()) > 0


def run_schedule(plan, turn, as_of_dates, workbench, build):
    """Execute all runs, then one build over all their files; returns the number of equal rows."""
    runs, admins = scheduled_deliveries(plan)
    options = {"admin_account_ids": admins}
    source, built = Source(workbench.clear_extracts(), plan), None
    for number, rows in enumerate(runs):
        source.deliver(rows)
        before = built
        env = {"AS_OF_DATE": as_of_dates[number % len(as_of_dates)]}
        if number == plan.runs - 2:
            built = turned_run(turn, options, before, workbench, build)
        else:
            built = succeeded(build(source.folder, onto=before, vars=options, env=env, prepare=clear_the_way))
            # otherwise nothing is tested: only a changed option causes it
            _, reason = OTHER_OPTIONS.get(turn, (None, None)) if number == plan.runs - 1 else (None, None)
            assert [said for said in (ANEW, JOBS_ANEW, DECISIONS_ANEW) if said in built.output] == (
                [reason] if reason else []
            )
        if before:
            shutil.rmtree(before.warehouse)
    source.write_all(workbench.clear_extracts(), "csv" if plan.first_world % 2 else "json")
    full = succeeded(build(workbench.extracts, vars=options, env=env, keep=False))
    rows = assert_same(built, full)
    for finished in (built, full):
        shutil.rmtree(finished.warehouse)
    print(
        f"{plan}, last run but one {turn}, as of {as_of_dates}: {source.replaced} files replaced, "
        f"{len(source.gone)} gone, {source.returned} back again; {rows:,} rows compared"
    )
    return rows


IN_THE_WAY = "usage.duckdb.new"


def clear_the_way(warehouse):
    if (warehouse / IN_THE_WAY).exists():
        (warehouse / IN_THE_WAY).rmdir()


def turned_run(turn, options, before, workbench, build):
    """A run that goes another way than others do; what cannot be read, or is killed, is run again."""

    def run(**arguments):
        return build(workbench.extracts, **{"onto": before, "vars": options, "keep": False, **arguments})

    def start(options):
        return workbench.start(workbench.extracts, workbench.folder / "turned.txt", options)

    def stop(_):
        """Nothing is loaded where a file lacks its columns."""
        unreadable = workbench.extracts / "customers" / "unreadable.csv"
        unreadable.write_text("id\n1\n", encoding="utf-8")
        try:
            assert start(options).wait() != 0
        finally:
            unreadable.unlink()

    def kill(_, options=options):
        command = start(options)
        moment = random.Random().uniform(0, 8)  # Hypothesis seeds the module's own
        print(f"killed after {moment:.1f} s")
        time.sleep(moment)
        command.kill()

    match turn:
        case "good":
            return succeeded(run())
        case _ if turn in OTHER_OPTIONS:
            return succeeded(run(vars=options | OTHER_OPTIONS[turn][0]))
        case "full refresh":
            return succeeded(run(arguments=("--full-refresh",)))
        case "not published":
            unpublished = run(prepare=lambda warehouse: (warehouse / IN_THE_WAY).mkdir())
            assert "Not published: copying" in unpublished.output, unpublished.output
            return unpublished
        case "stopped":
            return succeeded(run(prepare=stop))
        case "killed":
            return succeeded(run(prepare=kill))
        case "killed with other options":
            others = options | OTHER_OPTIONS["other options of decisions"][0]
            return succeeded(run(prepare=lambda warehouse: kill(warehouse, others)))
        case "restored":
            return succeeded(
                run(
                    onto=succeeded(run()),
                    prepare=lambda warehouse: restore_all_but_deliveries(warehouse, before and before.warehouse),
                )
            )
        case "verified":
            verified = succeeded(run())
            recomputed = verify(verified.warehouse, options)
            assert recomputed.returncode == 0, recomputed.stdout + recomputed.stderr
            return verified


def test_after_random_runs_the_rows_are_those_of_one_build_over_all_files(workbench, build):
    tried = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(PLANS, TURNS, AS_OF_DATES)
    def the_rows_are_the_same(plan, turn, as_of_dates):
        assume(plan.runs > 1)
        rows = run_schedule(plan, turn, as_of_dates, workbench, build)
        tried.update(worlds=plan.worlds, sequences=1, rows=rows)

    the_rows_are_the_same()
    print(f"{tried['worlds']} worlds in {tried['sequences']} sequences of runs, {tried['rows']:,} rows compared")
