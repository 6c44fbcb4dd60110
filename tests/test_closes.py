"""A closed month keeps its figures; what changes it later is a restatement with its cause, worked out by hand."""

import hashlib
import itertools
import json
import shutil
import zipfile
from dataclasses import replace
from datetime import date

import pytest
from builders import (
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
from building import PROJECT, Workbench, close, forget, verify
from reference.files import write_world

JULY, LISTED, DELIVERED = "2026-07-10T12:00:00Z", "2026-07-31T22:00:00Z", "2026-08-02T06:00:00Z"
SKIPPED = step(*TRIGGER, status="skipped")
JIRA, NEW_APP = ("jira", "create_issue"), ("brand_new_app", "create")
OPTIONS = {"rule_overrides": True}
JIRA_IS_FREE = {
    "rule_id": "S-INELIGIBLE",
    "adapter_name": "jira",
    "app_name": "Jira",
    "app": "jira",
    "family": "third_party",
    "is_deprecated": "false",
    "effective_from": "1970-01-01",
    "reason": "a contract",
    "author": "Dana",
}
COPIES = itertools.count(1)


def ran(account, *lines, id="job", completed_at=JULY, extracted_at=DELIVERED, **columns):
    """A job of an account in July whose trigger counts nothing."""
    recipe_id = columns.pop("recipe_id", f"r-{account}")
    times = {"completed_at": completed_at, "extracted_at": extracted_at}
    return job(id, SKIPPED, *lines, account_id=account, recipe_id=recipe_id, **times, **columns)


def actions(count):
    return [step(*SALESFORCE)] * count


def listing(extracted_at=LISTED, recipe_type=None):
    """All customers and recipes. ``recipe_type``: of the recipe of listed; with it, that of called is an API proxy."""
    rows = [connection(extracted_at=extracted_at, user_id="late")]
    accounts = ("late", "replaced", "listed", "seats", "rule", "option", "code", "removed", "newest", "called", "empty")
    for account in accounts:
        rows.append(customer(account, created_at="2026-07-01T00:00:00Z", extracted_at=extracted_at))
        own = {"listed": recipe_type, "called": "api_proxy" if recipe_type else "api_recipe"}.get(account)
        rows.append(recipe(f"r-{account}", user_id=account, recipe_type=own, extracted_at=extracted_at))
    return rows


def ordered(count, extracted_at=LISTED):
    columns = {"product": "workato_go", "seats": count, "effective_from": "2026-07-01", "extracted_at": extracted_at}
    return seats("order", account_id="seats", **columns)


def priced(credits_per_unit, extracted_at=LISTED):
    """Business actions; 2 credits for a workflow task, 3 for an API call of newest and called, 1 for a proxied one."""
    columns = {"effective_from": "2020-01-01", "extracted_at": extracted_at}
    return [
        *ratio("business_actions", credits_per_unit=credits_per_unit, **columns),
        *ratio("workflow_tasks", credits_per_unit="2", **columns),
        *ratio("api_calls", credits_per_unit="3", account_id="newest", **columns),
        *ratio("api_calls", credits_per_unit="3", account_id="called", **columns),
        *ratio("api_calls", credits_per_unit="1", account_id="called", call_type="proxy", **columns),
    ]


LATER, LATEST = "2026-08-10T22:00:00Z", "2026-08-11T22:00:00Z"
CALL = {"account_id": "newest", "api_collection_id": "server", "requested_at": JULY, "extracted_at": LATER}

# Each account for one cause; the quantities below follow from these rows.
FIRST = world(
    *listing(),
    ordered(5),
    priced("0.5"),
    ran("late", *actions(1), id="april", completed_at="2026-04-30T12:00:00Z"),
    ran("late", *actions(1), id="june", completed_at="2026-06-30T12:00:00Z"),
    ran("late", *actions(1)),
    ran("replaced", *actions(1)),
    ran("listed", *actions(2)),
    ran("rule", step(*JIRA), step(*JIRA), step(*SALESFORCE)),
    ran("option", *[step(*NEW_APP)] * 3),
    ran("code", step(*PAGES, page_count=2)),
    ran("newest", *actions(1)),
    subscription(account_id="newest", terms="credits_2026"),
    collection("server", account_id="newest"),
    ran("called"),
    request("call", **CALL | {"account_id": "called", "job_id": "job", "extracted_at": DELIVERED}),
    subscription(account_id="called", terms="credits_2026"),
    collection("server", account_id="called"),
)
REMOVED = world(ran("removed", *actions(3)), with_required=False)
LATE = [
    *ran("late", *actions(2), id="late", extracted_at=LATER),
    *ran("newest", *actions(2), id="late", extracted_at=LATER),
    *request("late", **CALL),
    *ran("empty", *actions(1), id="late", completed_at="2026-05-10T12:00:00Z", extracted_at=LATER),
]
REPLACED = ran("replaced", *actions(4), extracted_at=LATER)

# cause -> {(account, metric): the figures before and after}; half a credit for a business action, then a quarter
DELIVERIES = {
    "removed_load": {
        ("removed", "business_actions"): (3, 0),
        ("removed", "tasks"): (3, 0),
        ("removed", "credits"): (1.5, 0),
    },
    "replaced_delivery": {
        ("replaced", "business_actions"): (1, 4),
        ("replaced", "tasks"): (1, 4),
        ("replaced", "credits"): (0.5, 2),
    },
    "late_delivery": {
        ("late", "business_actions"): (1, 3),
        ("late", "tasks"): (1, 3),
        ("late", "credits"): (0.5, 1.5),
        ("newest", "business_actions"): (1, 3),
        ("newest", "tasks"): (1, 3),
        ("newest", "mcp_calls"): (0, 1),
        ("newest", "credits"): (2, 9),  # 2 workflow tasks more, and an API call over MCP
        ("empty", "business_actions"): (0, 1),  # in May, which was closed without figures
        ("empty", "tasks"): (0, 1),
        ("empty", "credits"): (0, 0.5),
    },
    "listing_change": {
        ("listed", "business_actions"): (2, 0),
        ("listed", "api_calls"): (0, 1),
        ("listed", "credits"): (1, 0),
        ("called", "credits"): (3, 1),  # over MCP all the same
    },
}
SEATS = {("seats", "go_seats"): (5, 8)}
TERMS = {
    ("empty", "credits"): (0.5, 0.25),
    ("late", "credits"): (1.5, 0.75),
    ("replaced", "credits"): (2, 1),
    ("rule", "credits"): (1.5, 0.75),
    ("option", "credits"): (1.5, 0.75),
}
RULES = {
    "rule_change": {("rule", "business_actions"): (3, 1), ("rule", "credits"): (0.75, 0.25)},
    "option_change": {("option", "business_actions"): (3, 0), ("option", "credits"): (0.75, 0)},
    "code_change": {("code", "pages_processed"): (2, 4)},
}


class Months:
    """A warehouse over several runs, with a copy of the project."""

    def __init__(self, folder, forks):
        project = folder / "project"
        shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(".*", "target", "logs", "warehouse", "docs"))
        folder.mkdir(exist_ok=True)
        self.bench = Workbench(folder, forks, project)
        self.project = project
        self.options = dict(OPTIONS)
        self.last = None

    def run(self, name=None, *parts, **more):
        if name and parts:
            rows = parts[0] if parts and isinstance(parts[0], dict) else world(*parts, with_required=False)
            write_world(rows, self.bench.extracts, "csv", split=1, ragged=False, name=name)
        self.last = self.bench.build(self.bench.extracts, onto=self.last, vars=self.options, **more)
        assert self.last.exit_code == 0, self.last.output
        return self.last

    def copy(self):
        """The same months, to go on in another way."""
        other = Months(self.bench.folder.with_name(f"{self.bench.folder.name}-{next(COPIES)}"), self.bench.forks)
        shutil.copytree(self.bench.extracts, other.bench.extracts)
        warehouse = shutil.copytree(self.last.warehouse, other.bench.folder / "warehouse-before", symlinks=True)
        other.last = replace(self.last, warehouse=warehouse)
        return other

    def add_up(self):
        """The figure at the close and all restatements are the current figure."""
        assert not self.last.rows(
            "select usage_month, customer_id, metric, call_type, sum(quantity) from ("
            "select usage_month, customer_id, metric, call_type, quantity from marts.usage_closes "
            "union all select usage_month, customer_id, metric, call_type, restated_quantity - retracted_quantity "
            "from marts.usage_restatements union all "
            "select usage_month, customer_id, metric, call_type, -quantity from marts.monthly_figures "
            "where usage_month in (date '2026-05-01', date '2026-07-01')) group by all having sum(quantity) <> 0"
        )

    def restated(self):
        """{cause: {(account, metric): (before, after)}} of the last run."""
        found = {}
        for cause, account, metric, before, after in self.last.rows(
            "select cause, customer_id, metric, retracted_quantity, restated_quantity from marts.usage_restatements "
            "where run_id = (select run_id from run_state.watermark)"
        ):
            found.setdefault(cause, {})[account, metric] = (before, after)
        return found

    def change_rule(self):
        """Jira no longer counts as business actions."""
        book = self.project / "seeds" / "rules" / "overrides" / "override_app_eligibility.csv"
        header, row = book.read_text(encoding="utf-8").splitlines()[0].split(","), JIRA_IS_FREE
        book.write_text(f"{','.join(header)}\n{','.join(row.get(name, '') for name in header)}\n", encoding="utf-8")

    def change_option(self):
        self.options["unknown_app_is_eligible"] = False

    def change_code(self):
        """A page counts twice."""
        macro = self.project / "macros" / "rules" / "step_decisions.sql"
        text = macro.read_text(encoding="utf-8")
        changed = text.replace("then {{ counts }}.pages", "then 2 * {{ counts }}.pages")
        assert text != changed
        macro.write_text(changed, encoding="utf-8")

    def forget(self, load):
        forgotten = forget(self.last.warehouse, load)
        assert forgotten.returncode == 0, forgotten.stdout


@pytest.fixture(scope="module")
def months(tmp_path_factory, forks):
    """July is closed, after two loads; and May, in which nothing was used."""
    months = Months(tmp_path_factory.mktemp("closes"), forks)
    months.bench.project = PROJECT  # of which the copy differs in nothing yet: these builds are kept
    months.run("first", FIRST)
    months.run("removed", REMOVED)
    months.bench.project = months.project
    for month, force in (("2026-07", ""), ("2026-05", "1")):
        closed = close(months.last.warehouse, month, months.project, force=force)
        assert closed.returncode == 0, closed.stdout
    return months


class TestACauseAlone:
    @pytest.fixture(scope="class")
    @classmethod
    def restated(cls, months):
        """What each run restated, one after the other."""
        months = months.copy()
        restated = {}

        def run(name, *parts):
            months.run(name, *parts)
            restated[name] = months.restated()
            months.add_up()

        run("nothing")
        run("late", LATE)
        run("replaced", REPLACED)
        run("listing", *listing(LATER, "api_recipe"))
        run("seats", ordered(8, LATER), priced("0.5", LATER))
        run("terms", ordered(8, LATEST), priced("0.25", LATEST))
        months.change_rule()
        run("rule")
        months.change_option()
        run("option")
        months.change_code()
        run("code")
        months.forget(2)
        run("removed again")
        return restated

    def test_a_run_that_changes_nothing_restates_nothing(self, restated):
        assert restated["nothing"] == {}

    @pytest.mark.parametrize(
        ("name", "cause"),
        [("late", "late_delivery"), ("replaced", "replaced_delivery"), ("listing", "listing_change")],
    )
    def test_a_delivery_restates_its_accounts_and_nothing_else(self, restated, name, cause):
        assert restated[name] == {cause: DELIVERIES[cause]}

    def test_a_changed_seat_order_is_a_change_of_terms(self, restated):
        assert restated["seats"] == {"seat_or_term_change": SEATS}

    def test_a_changed_ratio_restates_the_credits_of_all(self, restated):
        assert restated["terms"] == {"seat_or_term_change": TERMS | {("removed", "credits"): (1.5, 0.75)}}

    @pytest.mark.parametrize(
        ("name", "cause"), [("rule", "rule_change"), ("option", "option_change"), ("code", "code_change")]
    )
    def test_a_change_of_the_project_is_named(self, restated, name, cause):
        assert restated[name] == {cause: RULES[cause]}

    def test_a_removed_load_retracts_what_it_brought(self, restated):
        gone = DELIVERIES["removed_load"] | {("removed", "credits"): (0.75, 0)}
        assert restated["removed again"] == {"removed_load": gone}


def test_all_causes_in_one_run_are_told_apart(months):
    months = months.copy()
    months.forget(2)
    months.change_rule()
    months.change_option()
    months.change_code()
    months.run("all", LATE, REPLACED, *listing(LATER, "api_recipe"), ordered(8, LATER), priced("0.25", LATER))
    assert months.restated() == DELIVERIES | {"seat_or_term_change": SEATS | TERMS} | RULES
    months.add_up()


def close_as_an_older_release(warehouse, table, options):
    """The warehouse with a close that has a rule table and options more, as an older release wrote it."""
    closes = warehouse / "closes"
    (folder,) = closes.glob("2026-07-*")
    close = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    kept = closes / "projects" / f"{close['project']}.zip"
    with zipfile.ZipFile(kept, "a") as archive:
        archive.writestr(f"seeds/rules/{table}.csv", "rule_id\n")
    with zipfile.ZipFile(kept) as archive:
        contents = b"".join(
            name.encode() + b"\0" + hashlib.sha256(archive.read(name)).digest() for name in archive.namelist()
        )
    close |= {"project": hashlib.sha256(contents).hexdigest(), "options": close["options"] | options}
    kept.rename(kept.with_stem(close["project"]))
    written = json.dumps(close).encode()
    (folder / "manifest.json").write_bytes(written)
    name = f"2026-07-{hashlib.sha256(written).hexdigest()}"
    folder.rename(closes / name)
    state = json.loads((closes / "state.json").read_text(encoding="utf-8")) | {"closes": [name]}
    del state["digest"]
    state["digest"] = hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
    (closes / "state.json").write_text(json.dumps(state), encoding="utf-8")
    return warehouse


class TestVerification:
    @pytest.fixture(scope="class")
    @classmethod
    def months(cls, months):
        """Since the close a job came late, and a rule changed."""
        months = months.copy()
        months.run("late", LATE)
        months.change_rule()
        return months

    def test_a_close_holds_whatever_came_later(self, months):
        said = verify(months.last.warehouse, month="2026-07", project=months.project)
        assert said.returncode == 0, said.stdout
        assert said.stdout.startswith("The close of 2026-07 holds: 26 figures and all digests of deliveries equal")

    def test_a_close_that_does_not_hold_is_explained(self, months):
        months = months.copy()
        months.forget(2)
        months.change_code()
        said = verify(months.last.warehouse, month="2026-07", project=months.project)
        assert said.returncode == 1
        assert said.stdout.splitlines() == [
            "The close of 2026-07 was computed from load 2, which was removed since.",
            f"The models changed since 2026-07 was closed on {date.today()}.",
            "  code  pages_processed: 2 at the close, 4 recomputed",
            "  removed  business_actions: 3 at the close, 0 recomputed",
            "  removed  credits: 1.5 at the close, 0 recomputed",
            "  removed  tasks: 3 at the close, 0 recomputed",
            "  removed  jobs: the content that was counted differs",
            "  removed  steps: the content that was counted differs",
            "The close of 2026-07 does not hold.",
        ]

    def test_a_later_release_is_explained(self, months):
        """It counts pages twice, has a rule table more and one less, and an option less."""
        months = months.copy()
        months.change_code()
        rules = months.project / "seeds" / "rules"
        (rules / "page_rules.csv").write_text("rule_id\nS-PAGE\n", encoding="utf-8")
        described = "seeds:\n  - name: page_rules\n    config:\n      column_types: {rule_id: string}\n"
        (rules / "page_rules.yml").write_text(described, encoding="utf-8")
        model = months.project / "models" / "staging" / "stg_jobs.sql"
        reading = "\n-- depends_on: {{ ref('page_rules') }}\n"
        model.write_text(model.read_text(encoding="utf-8") + reading, encoding="utf-8")
        warehouse = close_as_an_older_release(months.last.warehouse, "old_rules", {"old_option": 3})
        said = verify(warehouse, month="2026-07", project=months.project)
        assert said.stdout.splitlines() == [
            "Rule tables of this release that the close had not, used as they are now: page_rules.",
            "Rule tables of the close that this release has no more: old_rules.",
            "This release has no option old_option: the close had 3.",
            f"The models changed since 2026-07 was closed on {date.today()}: 1 figure differs by them.",
            "  code  pages_processed: 2 at the close, 4 recomputed",
            "The close of 2026-07 does not hold.",
        ]
        assert said.returncode == 1

    def test_a_month_that_is_not_closed_cannot_be_verified(self, months):
        said = verify(months.last.warehouse, month="2026-06", project=months.project)
        assert (said.returncode, said.stdout[:22]) == (2, "2026-06 is not closed ")
