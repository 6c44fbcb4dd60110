"""Contracts (section 9 of the counting rules), from extracts to billing periods: figures worked out by hand, and what
makes a row of a contract a bad one."""

import csv
import shutil
from decimal import Decimal

import pytest
import yaml
from builders import (
    API_REQUEST,
    CALL,
    FUNCTION,
    PAGES,
    SALESFORCE,
    TRIGGER,
    collection,
    connection,
    customer,
    job,
    ratio,
    recipe,
    request,
    seats,
    step,
    subscription,
    world,
)
from building import PROJECT, Workbench
from reference.compiled import Warehouse

NEWEST = "2026-04-20T12:00:00Z"
THE_13TH = "2026-03-13T12:00:00Z"
SKILL = ("workato_skill", "start_workflow")
RELATIONS = (
    "marts.billing_periods",
    "marts.contract_usage",
    "marts.usage_thresholds",
    "marts.high_volume_recipes",
    "marts.monthly_customer_usage",
    "audit.findings",
    "audit.quarantined_rows",
)


@pytest.fixture(scope="module")
def made(projects):
    """Makes the models over rows in memory: rows -> query -> rows."""

    def made(*parts):
        warehouse = Warehouse(projects["default"])
        rows = world(connection(extracted_at=NEWEST), connection(extracted_at=NEWEST, id="another"), *parts)
        warehouse.build(rows, RELATIONS)
        return lambda query: warehouse.connection.execute(query).fetchall()

    return made


def contract(account="acme", **columns):
    return subscription(account_id=account, **{"recipe_metric": None, **columns})


def ran(id, day, *lines, account="acme", **columns):
    return job(id, *(lines or (TRIGGER, SALESFORCE)), account_id=account, completed_at=f"{day}T12:00:00Z", **columns)


class TestNewerTerms:
    """What a request to an MCP collection names, and what a step counts otherwise, under the terms of two customers."""

    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls, made):
        parts, runs = [], (FUNCTION, SALESFORCE)
        for account, terms in (("old", "credits_2025"), ("new", "credits_2026")):
            own = {"account_id": account}
            listed = {"user_id": account}
            parts += [
                customer(account),
                contract(account, terms=terms, included_credits=2, unit_price="0.015", currency="EUR"),
                collection("mcp", **own),
                recipe("a skill", recipe_type="skill", **listed),
                recipe("an API recipe", recipe_type="api_recipe", **listed),
                recipe("a function", recipe_type="recipe_function", **listed),
                # a skill, and an API recipe that calls a function, both over MCP
                ran("j-1", "2026-03-10", SKILL, SALESFORCE, SALESFORCE, recipe_id="a skill", **{"account": account}),
                request("q-1", api_collection_id="mcp", job_id="j-1", **own),
                ran(
                    "j-2",
                    "2026-03-11",
                    API_REQUEST,
                    SALESFORCE,
                    step(*CALL, called_recipe_id="a function"),
                    recipe_id="an API recipe",
                    account=account,
                ),
                request("q-2", api_collection_id="mcp", job_id="j-2", **own),
                ran("j-3", "2026-03-11", *runs, recipe_id="a function", calling_job_id="j-2", account=account),
                # a function that is called over MCP itself
                ran("j-4", "2026-03-12", *runs, recipe_id="a function", account=account),
                request("q-4", api_collection_id="mcp", job_id="j-4", **own),
                # a proxied request over MCP without a job, and a workflow with a document
                request("q-5", api_collection_id="mcp", request_type="proxy", requested_at=THE_13TH, **own),
                ran("j-6", "2026-03-14", TRIGGER, SALESFORCE, step(*PAGES, page_count=3), account=account),
            ]
        for metric in ("business_actions", "workflow_tasks", "api_calls", "mcp_calls"):
            parts.append(ratio(metric, credits_per_unit="0.5"))
        parts.append(ratio("api_calls", credits_per_unit="2", terms="credits_2026", call_type="managed"))
        return made(*parts)

    LINES = (
        "select metric, call_type, quantity::int, credits, used_value from marts.contract_usage "
        "where customer_id = '{}' order by all"
    )

    def test_credits_2025_bills_mcp_calls_and_leaves_the_skill_covered(self, rows):
        # the function j-4 is an orphan, so a workflow; j-6 has an action and a trigger of an eligible app
        assert rows(self.LINES.format("old")) == [
            ("business_actions", None, 3, Decimal("1.5"), Decimal("0.02")),
            ("mcp_calls", None, 2, Decimal("1.0"), Decimal("0.02")),
            ("pages_processed", None, 3, None, None),
        ]

    def test_credits_2026_bills_what_the_calls_invoked_and_workflow_tasks(self, rows):
        # workflow tasks: 2 of the skill, 1 of the function over MCP, 1 of the workflow (not its document)
        assert rows(self.LINES.format("new")) == [
            ("api_calls", "managed", 1, Decimal("2.0"), Decimal("0.03")),
            ("api_calls", "proxy", 1, Decimal("0.5"), Decimal("0.01")),
            ("pages_processed", None, 3, None, None),
            ("workflow_tasks", None, 4, Decimal("2.0"), Decimal("0.03")),
        ]

    def test_the_period_says_what_it_is_worth(self, rows):
        query = (
            "select used, remaining, overage, used_value, overage_value, is_fully_priced, exceeded_on::varchar "
            "from marts.billing_periods where customer_id = 'new' and period_from = '2026-03-01'"
        )
        assert rows(query) == [
            (Decimal("4.5"), 0, Decimal("2.5"), Decimal("0.07"), Decimal("0.04"), False, "2026-03-11"),
        ]

    def test_thresholds_are_reached_by_day(self, rows):
        query = (
            "select crossed_on::varchar, max(threshold)::int from marts.usage_thresholds "
            "where customer_id = 'new' group by all order by all"
        )
        assert rows(query) == [("2026-03-10", 50), ("2026-03-11", 150), ("2026-03-12", 170), ("2026-03-13", 200)]

    def test_the_month_follows_the_terms_too(self, rows):
        query = (
            "select customer_id, credits, is_fully_priced from marts.monthly_customer_usage "
            "where usage_month = '2026-03-01' and customer_id in ('old', 'new') order by all"
        )
        assert rows(query) == [("new", Decimal("4.5"), False), ("old", Decimal("2.5"), False)]

    def test_the_skill_of_the_older_terms_is_a_finding(self, rows):
        query = "select customer_id, subject from audit.findings where finding = 'skill called over MCP'"
        assert rows(query) == [("old", "j-1")]


class TestChangesOfTerms:
    """From tasks to credits on the 15th, with seats; an allowance for the whole term; the partner's own contract."""

    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls, made):
        actions = [ran(f"j-{n}", f"2026-03-{n:02}", account="changes") for n in (2, 14, 15, 31)]
        return made(
            customer("changes"),
            contract("changes", terms="tasks_2024", task_limit=31, effective_to="2026-03-15"),
            contract("changes", terms="credits_2025", included_credits=31, effective_from="2026-03-15"),
            *actions,
            seats("o", account_id="changes", seats=31, effective_from="2026-03-10"),
            seats("p", account_id="changes", seats=31, effective_from="2026-03-20", effective_to="2026-03-21"),
            customer("per term", created_at="2026-02-10T00:00:00Z"),
            contract("per term", terms="tasks_2024", task_limit=3, allowance_per="term", billing_cycle_day=20),
            *(ran(f"t-{n}", day, account="per term") for n, day in enumerate(("2026-02-21", "2026-03-19"))),
            *(ran(f"u-{n}", f"2026-{day}", account="per term") for n, day in enumerate(("03-20", "03-21", "04-20"))),
            customer("no contract"),
            contract("*", terms="credits_2025", effective_from="2026-03-10", effective_to="2026-04-01"),
            ratio("business_actions", credits_per_unit="1"),
            ratio("go_seats", credits_per_unit="1"),
            ratio("go_seats", credits_per_unit="2", account_id="*"),
        )

    PERIODS = (
        "select period_from::varchar, period_to::varchar, measure, used, allowance, used_of_allowance, overage, "
        "exceeded_on::varchar from marts.billing_periods where customer_id = '{}' order by all"
    )

    def test_a_change_within_a_cycle_makes_two_periods(self, rows):
        # 31 tasks * 14 / 31; 4 business actions and 62 seats * 17 / 31; then 31 seats of a whole cycle
        assert rows(self.PERIODS.format("changes")) == [
            ("2026-03-01", "2026-03-15", "tasks", 2, 14, 2, 0, None),
            ("2026-03-15", "2026-04-01", "credits", 38, 17, 38, 21, "2026-03-15"),
            ("2026-04-01", "2026-05-01", "credits", 31, 31, 31, 0, None),
        ]

    def test_an_allowance_for_the_term_is_used_up_over_its_periods(self, rows):
        assert rows(self.PERIODS.format("per term")) == [
            ("2026-01-20", "2026-02-20", "tasks", 0, 3, 0, 0, None),
            ("2026-02-20", "2026-03-20", "tasks", 2, 3, 2, 0, None),
            ("2026-03-20", "2026-04-20", "tasks", 2, 3, 4, 1, "2026-03-21"),
            ("2026-04-20", "2026-05-20", "tasks", 1, 3, 5, 1, "2026-03-21"),
        ]

    def test_the_partners_contract_adds_up_all_customers_where_it_is_in_force(self, rows):
        # business actions of the 14th, 15th and 31st (two each) and of three jobs of the other; 62 seats * 2 * 22 / 31
        assert rows(self.PERIODS.format("*")) == [
            ("2026-03-10", "2026-04-01", "credits", Decimal(12 + 88), None, Decimal(100), 0, None),
        ]

    def test_no_subscription_has_the_default_terms(self, rows):
        query = "select distinct terms, term_from from marts.billing_periods where customer_id = 'no contract'"
        assert rows(query) == [("credits_2025", None)]


BAD_ROWS = [  # what is wrong with a subscription, and its reason
    ({"terms": "gold"}, "unknown terms"),
    ({"recipe_metric": None}, "missing recipe_metric"),
    ({"included_credits": -1}, "negative included_credits"),
    ({"task_limit": -1}, "negative task_limit"),
    ({"unit_price": "-0.01", "currency": "EUR"}, "negative unit_price"),
    ({"unit_price": "0.01"}, "unit_price without currency"),
    ({"billing_cycle_day": 0}, "no day of a month: billing_cycle_day"),
    ({"billing_cycle_day": 32}, "no day of a month: billing_cycle_day"),
    ({"allowance_per": "month"}, "unknown allowance_per"),
    ({"effective_to": "2025-12-31"}, "effective_to before effective_from"),
]


class TestBadRows:
    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls, made):
        good = [
            subscription(account_id="good", terms="Credits_2026", allowance_per="Term", billing_cycle_day=31),
            subscription(account_id="good", effective_from="2026-02-01", effective_to="2026-02-01"),
            subscription(account_id="good", effective_from="2026-03-01", unit_price="0.01", currency="eur"),
            subscription(account_id="good", effective_from="2026-04-01", included_credits=0, currency="EUR"),
        ]
        bad = [subscription(account_id=str(number), **columns) for number, (columns, _) in enumerate(BAD_ROWS)]
        return made(customer("good"), *good, *bad, ratio("tasks", terms="gold"), ratio("workflow_tasks"))

    @pytest.mark.parametrize("number", range(len(BAD_ROWS)), ids=[reason for _, reason in BAD_ROWS])
    def test_a_bad_row_of_a_contract_is_quarantined_with_its_reason(self, number, rows):
        query = (
            "select reason from audit.quarantined_rows where extract_name = 'subscriptions' "
            f"and json_extract_string(row_content, 'account_id') = '{number}'"
        )
        assert rows(query) == [(BAD_ROWS[number][1],)]

    def test_nothing_else_is_quarantined_but_a_ratio_of_unknown_terms(self, rows):
        assert rows("select count(*) from audit.quarantined_rows") == [(len(BAD_ROWS) + 1,)]
        query = "select reason from audit.quarantined_rows where extract_name = 'credit_ratios'"
        assert rows(query) == [("unknown terms",)]

    def test_words_and_currencies_are_read_in_any_letter_case(self, rows):
        query = (
            "select effective_from::varchar, terms, allowance_per, currency from marts.customer_terms "
            "where customer_id = 'good' and term_from is not null order by all"
        )
        assert rows(query) == [
            ("2026-01-01", "credits_2026", "term", None),
            ("2026-03-01", "credits_2025", "cycle", "EUR"),
            ("2026-04-01", "credits_2025", "cycle", "EUR"),
        ]


SEEDS = PROJECT / "seeds/rules"
REFUSED = {  # (file, what a row says, what it says instead, the problem)
    "unknown terms": ("terms", "tasks_2024,tasks,tasks", "gold,tasks,tasks", "row 1: terms is gold: it must be one of"),
    "an unknown metric": ("terms", "mcp_calls,,MCP", "mcp_cals,,MCP", "row 6: metric is mcp_cals: it must be one of"),
    "no metric": (
        "terms",
        "mcp_calls,,MCP",
        ",,MCP",
        "row 6: it has no metric: it must be one of tasks, workflow_tasks",
    ),
    "no measure": ("terms", "tasks_2024,tasks,tasks", "tasks_2024,tasks,", "row 1: it has no measure"),
    "no task rules": (
        "terms",
        "workflow_tasks,T3",
        "workflow_tasks,",
        "row 10: task_rules belong to tasks and workflow_tasks",
    ),
    "unknown task rules": (
        "terms",
        "workflow_tasks,T3",
        "workflow_tasks,T4",
        "row 10: task_rules is T4: it must be one of",
    ),
    "two measures": (
        "terms",
        "credits_2025,business_actions,credits,mcp_call,mcp",
        "credits_2025,tasks,credits,mcp_call,mcp",
        "row 6: credits_2025 has another recipe_metric in an earlier row",
    ),
    "a metric twice": ("terms", "mcp_calls,,MCP", "api_calls,,MCP", "row 6: credits_2025 has api_calls twice"),
    "an order of tiers": (
        "recipe_tiers",
        "2,15000000",
        "2,4000000",
        "row 2: more_than_tasks is 4000000, which is not more",
    ),
    "a bound": ("recipe_tiers", "2,15000000", "2,many", "row 2: more_than_tasks is many: it must be a whole number"),
    "no bound": ("recipe_tiers", "2,15000000", "2,", "row 2: more_than_tasks is empty: it must be a whole number"),
    "tiers of other terms": (
        "recipe_tiers",
        "C-HVR,tasks_2024,2",
        "C-HVR,credits_2025,2",
        "row 2: terms is credits_2025",
    ),
}


class TestTermsOfTheRuleBook:
    @pytest.fixture
    def problems(self, tmp_path, monkeypatch):
        """Says what is wrong with a copy of a seed in which one text is another: (name, text, other) -> sentences."""
        monkeypatch.syspath_prepend(PROJECT / "plugins")
        import contract_terms

        folder = tmp_path / "seeds/rules"
        folder.mkdir(parents=True)

        def problems(changed=None, text="", other=""):
            for name in ("terms", "recipe_tiers"):
                rows = (SEEDS / f"{name}.csv").read_text(encoding="utf-8")
                assert name != changed or rows.count(text) == 1
                rows = rows.replace(text, other) if name == changed else rows
                (folder / f"{name}.csv").write_text(rows, encoding="utf-8")
            return contract_terms.terms_problems(str(tmp_path))

        return problems

    def test_the_published_rows_are_accepted(self, problems):
        assert problems() == ""

    @pytest.mark.parametrize("case", REFUSED)
    def test_a_missing_or_unknown_value_is_refused_with_a_sentence(self, problems, case):
        name, text, other, sentence = REFUSED[case]
        found = problems(name, text, other)
        assert f"seeds/rules/{name}.csv, {sentence}" in found
        assert all(line.endswith(".") for line in found.splitlines())

    def test_terms_without_a_row_are_named(self, problems):
        (row,) = [row for row in (SEEDS / "terms.csv").read_text().splitlines() if row.startswith("tasks_2024")]
        found = problems("terms", f"{row}\n", "")
        assert "terms.csv: tasks_2024 has no row." in found
        assert "recipe_metric tasks must stand for one of the terms, and stands for 0." in found


def test_a_run_over_invalid_terms_stops_with_the_sentence(forks, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(".*", "target", "logs", "warehouse", "docs"))
    seed = project / "seeds/rules/terms.csv"
    seed.write_text(
        seed.read_text(encoding="utf-8").replace("workflow_tasks,T3", "workflow_tasks,T4"), encoding="utf-8"
    )
    stopped = Workbench(tmp_path, forks, project).build(world(customer()))
    assert stopped.exit_code != 0
    assert "The rule book's terms are invalid" in stopped.output
    assert "row 10: task_rules is T4" in stopped.output


def test_the_terms_bill_what_the_pages_say():
    with (SEEDS / "terms.csv").open(encoding="utf-8", newline="") as file:
        billed = {}
        for row in csv.DictReader(file):
            billed.setdefault(row["terms"], set()).add(row["metric"])
    everywhere = {"api_calls", "pages_processed", "events_processed", "genie_actions", "go_seats", "workflow_app_seats"}
    assert billed == {
        "tasks_2024": {"tasks"},
        "credits_2025": everywhere | {"business_actions", "mcp_calls"},
        "credits_2026": everywhere | {"workflow_tasks"},
    }


def words(text):
    return set(text.split())


def test_a_currency_has_the_decimals_of_iso_4217():
    with (SEEDS / "currency_minor_units.csv").open(encoding="utf-8", newline="") as file:
        decimals = {row["currency"]: int(row["minor_units"]) for row in csv.DictReader(file)}
    assert {code for code, number in decimals.items() if number == 3} == words("BHD IQD JOD KWD LYD OMR TND")
    assert {code for code, number in decimals.items() if number == 4} == {"CLF", "UYW"}
    assert {code for code, number in decimals.items() if number == 0} == words(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
    )
    assert set(decimals.values()) == {0, 3, 4}


def test_the_terms_of_the_extracts_are_those_of_the_rule_book():
    with (PROJECT / "seeds/rules/terms.csv").open(encoding="utf-8", newline="") as file:
        terms = {row["terms"] for row in csv.DictReader(file)}
    (source,) = yaml.safe_load((PROJECT / "models/_sources/_extracts.yml").read_text(encoding="utf-8"))["sources"]
    for table in source["tables"]:
        for column in table["columns"]:
            if column["name"] == "terms":
                assert set(column["config"]["meta"]["accepted_values"]) == terms, table["name"]
    assert all(name in (PROJECT / "macros/intake/options.sql").read_text(encoding="utf-8") for name in terms)


def test_terms_and_metrics_say_the_same_of_the_two_older_terms():
    """monthly_credits goes by the columns of metrics, which an override may change; contract_usage goes by terms."""

    def seed(name):
        with (PROJECT / "seeds/rules" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    for metric in ("tasks", "business_actions"):
        billed = {row["metric"] for row in seed("metrics") if row[f"is_billed_by_{metric}"] == "true"}
        assert billed == {row["metric"] for row in seed("terms") if row["recipe_metric"] == metric}
