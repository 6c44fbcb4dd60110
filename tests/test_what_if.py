"""``make what-if`` counts a month under other rules as a build under them would, and changes nothing published."""

import csv
import hashlib
import json
import shutil
import sys
from argparse import Namespace

import duckdb
import pytest
from building import PROJECT
from reference.compiled import Warehouse, compile_project
from reference.contract_worlds import random_contract_world
from reference.proving import ADMINS, PREFIXES
from reference.worlds import merge_worlds
from samples import sampled

RULES = PROJECT / "seeds" / "rules"
COUNTED = "marts.monthly_figures"
# What the published file needs for it, beside facts and rules.
ASKED = (COUNTED, "marts.monthly_decisions", "marts.monthly_credits", "facts.monthly_step_decisions")
OTHER = {
    "task_terms": "T1",
    "unknown_app_is_eligible": False,
    "unruled_app_is_eligible": True,
    "default_terms": "credits_2026",
    "rules_as_of": "2019-06-01",  # before the older rules of tasks ended
}
RATIOS = """metric,call_type,credits_per_unit,effective_from,effective_to,account_id,terms
business_actions,,0.25,2020-01-01,,,
api_calls,managed,1.5,2020-01-01,2024-04-01,,
api_calls,,2,2024-04-01,,,credits_2025
workflow_tasks,,0.125,2020-01-01,,,
pages_processed,,3.000000001,2020-01-01,,w0-c1,
"""


@pytest.fixture(scope="session")
def modules():
    """The plugins and the script as modules."""
    sys.path[:0] = [str(PROJECT / "plugins"), str(PROJECT / "scripts")]
    import deciding_models
    import recounting
    import what_if

    ask, parsed = deciding_models._dbt, []

    def parse_once(runner, command, *arguments):
        """The project that all of them compile is the same, whatever its options."""
        if command != "parse":
            return ask(runner, command, *arguments)
        if not parsed:
            parsed.append(ask(runner, command, *arguments))
        manifest = parsed[0]
        manifest.nodes = {name: node for name, node in manifest.nodes.items() if "inline_query" not in name}
        return manifest

    deciding_models._dbt = parse_once
    return Namespace(deciding_models=deciding_models, recounting=recounting, what_if=what_if)


@pytest.fixture(scope="session")
def options(sample):
    """All options, at their defaults, with the accounts of random worlds as the partner's own."""
    (inputs,) = sample.column("select inputs from run_state.committed_inputs")
    return json.loads(inputs)["options"] | {"admin_account_ids": ADMINS, "rule_overrides": True}


class TestRandomWorlds:
    """Each month's figures equal those of models that were all made under the other rules, row for row."""

    @pytest.fixture(scope="class")
    @classmethod
    def worlds(cls):
        seeds = range(8000, 8000 + sampled(20))
        return merge_worlds(
            {prefix: random_contract_world(seed) for prefix, seed in zip(PREFIXES, seeds, strict=False)}
        )[0]

    @pytest.fixture(scope="class")
    @classmethod
    def now(cls, projects, worlds):
        return made(projects["default"], worlds)

    def compare(self, modules, published, expected, compiled, options, tables=None, **changed):
        """``expected``: the figures that a build under the other rules has."""
        compared = differing = 0
        with duckdb.connect(published, read_only=True) as file:
            before = figures(file)
        for month in sorted({row[0] for row in expected | before}):
            with modules.recounting.Recount(published, compiled, f"{month:%Y-%m}", options) as recount:
                recount.make(tables or {}, **changed)
                counted = {row for row in figures(recount.connection) if row[0] == month}
                told = {(month, *row[:3]): row[3:] for row in recount.differences()}
            assert counted == {row for row in expected if row[0] == month}
            was, is_ = by_key(before, month), by_key(expected, month)
            assert told == {
                key: (was.get(key, 0), is_.get(key, 0), is_.get(key, 0) - was.get(key, 0))
                for key in was.keys() | is_.keys()
                if was.get(key) != is_.get(key)
            }
            compared += len(counted)
            differing += len(told)
        print(f"{compared:,} figures compared, of which {differing:,} differ from those as published")
        assert differing > 20

    def test_a_flipped_eligibility_row_and_other_ratios(self, modules, tmp_path, worlds, now, projects, options):
        path = tmp_path / "ratios.csv"
        path.write_text(RATIOS)
        rules = edited(tmp_path / "rules", "app_eligibility", adapter_name="salesforce", rule_id="S-INELIGIBLE")
        then = Warehouse(projects["default"])
        then.connection.execute(
            "update rules.app_eligibility set rule_id = 'S-INELIGIBLE' where adapter_name = 'salesforce'"
        )
        then.build(worlds | {"credit_ratios": list(csv.DictReader(RATIOS.splitlines()))})
        compiled = modules.deciding_models.compile_models(PROJECT, options, with_ratios=True)
        published = publish(now, compiled, tmp_path / "usage.duckdb")
        tables = {"app_eligibility": rules}
        self.compare(modules, published, figures(then.connection), compiled, options, tables, ratios=path)

    @pytest.fixture(scope="class")
    @classmethod
    def other(cls, modules, options):
        return modules.deciding_models.compile_models(PROJECT, options | OTHER)

    def test_other_terms_for_all_and_options_that_decide(self, modules, tmp_path, worlds, now, forks, options, other):
        project = compile_project(tmp_path / "then", OTHER | {"admin_account_ids": ADMINS}, forks)
        signed = [row | {"terms": "credits_2026", "recipe_metric": None} for row in worlds["subscriptions"]]
        then = made(project, worlds | {"subscriptions": signed})
        published = publish(now, other, tmp_path / "usage.duckdb")
        self.compare(modules, published, figures(then.connection), other, options | OTHER, terms="credits_2026")

    def test_the_rules_of_one_day_are_refused_where_those_of_jobs_changed(self, modules, tmp_path, now, options, other):
        published = publish(now, other, tmp_path / "usage.duckdb")
        with duckdb.connect(published) as file:
            for table in ("control_keywords", "effective_control_keywords"):
                file.execute(f"update rules.{table} set effective_from = '2024-03-15' where keyword = 'if'")
        with (
            modules.recounting.Recount(published, other, "2024-03", options | OTHER) as recount,
            pytest.raises(modules.recounting.Problem, match=r"Other rows of control_keywords, .* on 2024-03-15 than"),
        ):
            recount.make({})


def made(project, world):
    warehouse = Warehouse(project)
    warehouse.build(world)
    return warehouse


def publish(warehouse, compiled, path):
    """A file with the tables that a recount reads, as a run publishes them."""
    relations = {*compiled.facts, *compiled.rules, *compiled.fixed, *ASKED, "metering.metered_requests"}
    warehouse.connection.execute(f"attach '{path}' as published")
    for relation in sorted(relations):
        warehouse.connection.execute(f"create schema if not exists published.{relation.partition('.')[0]}")
        warehouse.connection.execute(f"create table published.{relation} as from {relation}")
    warehouse.connection.execute("detach published")
    return path


def figures(connection):
    return set(
        connection.execute(f"select usage_month, customer_id, metric, call_type, quantity from {COUNTED}").fetchall()
    )


def by_key(rows, month):
    return {row[:4]: row[4] for row in rows if row[0] == month}


def edited(folder, table, adapter_name, **values):
    """A copy of a table of the rule book with other values in the rows of an adapter; returns its path."""
    with (RULES / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["adapter_name"] == adapter_name:
            row |= values
    folder.mkdir(exist_ok=True)
    path = folder / f"{table}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


REFUSED = {
    "a month that is none": ({"month": "2026-13", "terms": "credits_2026"}, "MONTH=2026-13 is not a month"),
    "a month without usage": ({"month": "1999-01", "terms": "credits_2026"}, "No customer has usage in 1999-01."),
    "a customer without usage": ({"customer": "nobody", "terms": "credits_2026"}, "Customer nobody has no usage"),
    "no question": ({}, "Say what would be different: RULES=folder"),
    "a file that is no CSV": ({"terms": "credits_2026", "out": "usage.duckdb"}, "must be the name of a CSV file"),
    "terms that the rule book lacks": ({"terms": "credits_2027"}, "has no terms credits_2027: it has credits_2025"),
    "a var that does not exist": ({"vars": "{tasks: T1}"}, "There is no var tasks"),
    "a var with a wrong value": (
        {"vars": "{task_terms: T9}"},
        "The var task_terms is 'T9': it must be T1, T2 or T3.",
    ),
    "a var that reads anew": (
        {"vars": "{reporting_timezone: Asia/Tokyo}"},
        "Build with it into another WAREHOUSE_DIR",
    ),
    "vars that are no mapping": ({"vars": "[T1]"}, "is not a YAML mapping"),
    "a date that is none": ({"rules_as_of": "yesterday"}, "rules_as_of is 'yesterday': it must be a date"),
    "a folder that is none": ({"rules": "nowhere"}, "RULES=nowhere is not a folder."),
    "a file of ratios that is none": ({"ratios": "nowhere.csv"}, "RATIOS=nowhere.csv is not a file."),
}

TABLES = {
    "no table of the rule book": ("tiers", "a\n1\n", "the rule book has no table tiers"),
    "a missing column": (
        "seat_rules",
        "rule_id,product,metric\nR-GO,go,go_seats\n",
        "its columns are rule_id, product",
    ),
    "a gap in its dates": (
        "seat_rules",
        ("2024-01-01", "2024-02-01"),
        "no row of workato_go is in force on 2024-01-01: its dates have a gap",
    ),
    "two rows on one day": (
        "seat_rules",
        ("2024-02-01", "2024-01-01"),
        "two rows of workato_go are in force on 2024-01-01",
    ),
    "a word that no row has": ("seat_rules", "metric=go_seat", "row 1: metric is go_seat: it must be one of"),
    "rules by which jobs are read": (
        "control_keywords",
        "keyword=else_if",
        "control_keywords decides how jobs and steps are read. Build",
    ),
    "rules that change no month": (
        "threshold_steps",
        "threshold=5",
        "threshold_steps changes no figure of a month.",
    ),
    "an override without a reason": (
        "override_seat_rules",
        "override",
        "override_seat_rules.csv, row 1: it has no reason",
    ),
}

RATIO_FILES = {
    "no column metric": (
        "credits_per_unit,effective_from\n1,2020-01-01\n",
        "has no column metric, which every credit ratio needs",
    ),
    "a row without a metric": (
        "metric,credits_per_unit,effective_from\n,1,2020-01-01\n",
        'missing metric, in 1 rows. The first is {"metric":null',
    ),
    "a ratio that is no number": (
        "metric,credits_per_unit,effective_from\ntasks,one,2020-01-01\n",
        "unreadable credits_per_unit",
    ),
    "an unknown metric": ("metric,credits_per_unit,effective_from\nclicks,1,2020-01-01\n", "unknown metric"),
    "a column that ratios lack": (
        "metric,credits_per_unit,effective_from,price\ntasks,1,2020-01-01,3\n",
        "has a column price",
    ),
    "no row": ("metric,credits_per_unit,effective_from\n", "has no row"),
    "several listings": (
        "metric,credits_per_unit,effective_from,extracted_at\n"
        "tasks,1,2020-01-01,2026-01-01\ntasks,2,2020-01-01,2026-02-01\n",
        "rows of several listings",
    ),
}


def test_the_same_question_is_compiled_once_also_where_dbt_has_no_folder_yet(modules, tmp_path, monkeypatch):
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "not" / "yet"))
    compiled = modules.deciding_models.Compiled((), (), (), (), "", {})
    asked = []
    monkeypatch.setattr(modules.deciding_models, "_compile", lambda *_: asked.append(1) or compiled)
    first, second = (modules.deciding_models.compile_models(PROJECT, {"task_terms": "T1"}) for _ in range(2))
    assert asked == [1]
    assert first.models == second.models


class TestCommand:
    """Over the sample: in August 2026 hubspot has 2 of the 3 business actions of 1004, and 1 of the 2 of 1005."""

    @pytest.fixture
    def ask(self, modules, sample, tmp_path, monkeypatch, capsys):
        """Runs the command over a copy of the sample; returns its exit code, and what it printed."""
        warehouse = tmp_path / "warehouse"
        warehouse.mkdir()
        shutil.copyfile(sample.published, warehouse / "usage.duckdb")
        monkeypatch.setenv("WAREHOUSE_DIR", str(warehouse))
        monkeypatch.setenv("EXTRACTS_DIR", "")

        def ask(**asked):
            given = {"month": "2026-08"} | asked
            arguments = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
            monkeypatch.setattr(sys, "argv", ["what_if.py", *arguments])
            before = digests(warehouse)
            code = modules.what_if.main()
            assert digests(warehouse) == before
            out, err = capsys.readouterr()
            return code, out + err

        return ask

    def test_a_flipped_row_is_told_with_its_rule_and_app_and_written_as_csv(self, ask, tmp_path):
        edited(tmp_path / "rules", "app_eligibility", adapter_name="hubspot", rule_id="S-INELIGIBLE")
        code, said = ask(rules=tmp_path / "rules", out=tmp_path / "out.csv")
        assert code == 0
        assert "1004      business_actions  3    1     -2          S-ACTION hubspot -2" in said
        assert "4 figures of 2 customers differ" in said
        assert (tmp_path / "out.csv").read_text().splitlines() == [
            "usage_month,customer_id,metric,call_type,quantity_now,quantity_then,difference",
            "2026-08-01,1004,business_actions,,3.000000000,1.000000000,-2.000000000",
            "2026-08-01,1004,credits,,3.000000000,1.000000000,-2.000000000",
            "2026-08-01,1005,business_actions,,2.000000000,1.000000000,-1.000000000",
            "2026-08-01,1005,credits,,2.000000000,1.000000000,-1.000000000",
        ]

    def test_both_sides_of_one_customer_are_told_rule_by_rule(self, ask):
        code, said = ask(terms="tasks_2024", customer="1004")
        assert code == 0
        # 2 tasks at 0.8 credits each in place of 3 business actions at 1 credit each
        lines = [" ".join(line.split()) for line in said.splitlines()]
        assert "credits business_actions 3 0 -3" in lines
        assert "credits tasks 0 1.6 +1.6" in lines
        assert "business_actions S-ACTION hubspot 2 2" in lines

    def test_published_rules_given_as_a_folder_change_nothing(self, ask, modules, compiled, monkeypatch):
        monkeypatch.setattr(modules.what_if, "compile_models", compiled)
        assert ask(rules=RULES) == (0, f"2026-08 as published, and with RULES={RULES}:\n  No figure differs.\n")

    @pytest.fixture(scope="class")
    @classmethod
    def compiled(cls, modules):
        """What dbt compiles, once for all questions that change no option."""
        kept = {}

        def compile_once(project, options, *, with_ratios):
            key = json.dumps([options, with_ratios], sort_keys=True)
            if key not in kept:
                kept[key] = compile_models(project, options, with_ratios=with_ratios)
            return kept[key]

        compile_models = modules.deciding_models.compile_models
        return compile_once

    @pytest.mark.parametrize("case", REFUSED)
    def test_refused(self, ask, case):
        asked, told = REFUSED[case]
        code, said = ask(**asked)
        assert code == 1
        assert told in said, said

    @pytest.mark.parametrize("case", TABLES)
    def test_refused_tables(self, ask, case, tmp_path, modules, compiled, monkeypatch):
        monkeypatch.setattr(modules.what_if, "compile_models", compiled)
        table, change, told = TABLES[case]
        write_table(tmp_path / "rules", table, change)
        code, said = ask(rules=tmp_path / "rules")
        assert code == 1
        assert told in said, said

    @pytest.mark.parametrize("case", RATIO_FILES)
    def test_refused_ratios(self, ask, case, tmp_path, modules, compiled, monkeypatch):
        monkeypatch.setattr(modules.what_if, "compile_models", compiled)
        text, told = RATIO_FILES[case]
        (tmp_path / "ratios.csv").write_text(text)
        code, said = ask(ratios=tmp_path / "ratios.csv")
        assert code == 1
        assert told in said, said

    def test_facts_of_other_models_are_refused(self, ask, modules, monkeypatch):
        monkeypatch.setattr(modules.what_if, "project_digests", lambda project: {"code": "another"})
        assert ask(terms="credits_2026") == (
            1,
            "Other models, or another DuckDB, built the published warehouse: run a build first.\n",
        )

    def test_another_day_of_rules_is_refused_where_the_counts_know_one_day_only(self, modules, options):
        asked = Namespace(vars="", rules_as_of="2025-01-01", terms="")
        with pytest.raises(modules.recounting.Problem, match="applies the rules of 2026-01-01 to all usage"):
            modules.what_if.options_then(options | {"rules_as_of": "2026-01-01"}, asked)
        assert modules.what_if.options_then(options, asked) == options | {"rules_as_of": "2025-01-01"}


def write_table(folder, table, change):
    """A file of a rule table: a text as it is, a value changed in the first row, or two periods of the first row."""
    folder.mkdir()
    path = folder / f"{table}.csv"
    if isinstance(change, str) and "\n" in change:
        path.write_text(change)
        return
    with (RULES / f"{table.removeprefix('override_')}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if change == "override":
        rows = [rows[0] | {"reason": "", "author": "somebody"}]
    elif isinstance(change, tuple):
        ends, begins = change
        rows[:1] = [rows[0] | {"effective_to": ends}, rows[0] | {"effective_from": begins}]
    else:
        column, _, value = change.partition("=")
        rows[0][column] = value
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def digests(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}
