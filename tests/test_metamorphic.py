"""What must not change a figure does not, and what must change one does: without saying what the figure is.

Over random worlds in memory; that a run in memory is what a build makes, and what only a build has (files, threads, the
machine's time zone), over real builds.
"""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from reference.comparison import RELATIONS
from reference.compiled import Warehouse
from reference.contract_worlds import random_contract_world
from reference.delivery_schedules import LISTED, TERMS, instant
from reference.files import is_readable, write_world
from reference.proving import ADMINS, PREFIXES, Batch
from reference.reference import Unreadable, read_time
from reference.terms import POOL
from reference.worlds import LISTINGS, TOLERANCE, merge_worlds, prefixed, random_world
from samples import sampled

SEEDS = range(700, 700 + sampled(12))
# What is counted, and no figure: where rows came from, how many there were.
DECISIONS = [relation for relation in RELATIONS if relation.startswith("metering.")]
FIGURES = [*RELATIONS, "marts.monthly_rule_usage", "marts.monthly_decisions", "marts.monthly_credits"]


def contents(warehouse, relations=FIGURES):
    """{relation: its rows as dicts}"""
    found = {}
    for relation in relations:
        rows = warehouse.connection.execute(f"from {relation}").fetchall()
        columns = [column[0] for column in warehouse.connection.description]
        found[relation] = [dict(zip(columns, row, strict=True)) for row in rows]
    return found


def multiset(rows, but=()):
    return Counter(tuple(sorted((k, v) for k, v in row.items() if k not in but)) for row in rows)


def assert_same(found, expected, but=()):
    for relation, rows in expected.items():
        ours, theirs = multiset(found[relation], but), multiset(rows, but)
        assert ours == theirs, (
            f"{relation}: {list((ours - theirs).elements())[:3]}, {list((theirs - ours).elements())[:3]}"
        )


@pytest.fixture(scope="module")
def count(projects):
    """Counts a world in memory, in one of some warehouses, and hands over its figures."""
    default = projects["default"]
    made = {}

    def count(world, relations=FIGURES, files=1, threads=1, prepare=None):
        key = threads, prepare
        if key not in made:
            made[key] = Warehouse(default, threads)
            if prepare:
                prepare(made[key])
        made[key].build(world, files=files)
        return contents(made[key], relations)

    return count


@pytest.fixture(scope="module")
def world():
    batch = Batch(tuple(SEEDS), 20, "default", is_streamed=False)
    return batch.as_delivered(batch.worlds())


@pytest.fixture(scope="module")
def figures(count, world):
    return count(world)


def is_of_a_listing(extract, row):
    """Whether the row stands in one of the listings that all worlds have, where its extract is one: in another, the
    customers of the other worlds would be missing."""
    if extract not in (*LISTED, *TERMS) or not (taken := instant(row)):
        return True
    return any(timedelta(0) <= listing - taken <= TOLERANCE for listing in LISTINGS)


class TestWhatChangesNothing:
    def test_the_order_of_rows(self, count, world, figures):
        rng = random.Random(1)
        assert_same(count({extract: rng.sample(rows, len(rows)) for extract, rows in world.items()}), figures)

    def test_rows_delivered_again(self, count, world, figures):
        rng = random.Random(2)
        again = {extract: [*rows, *rng.sample(rows, len(rows) // 2)] for extract, rows in world.items()}
        assert_same(count(again), figures)

    def test_into_how_many_files_rows_are_split(self, count, world, figures):
        assert_same(count(world, files=7), figures)

    def test_the_number_of_threads(self, count, world, figures):
        assert_same(count(world, threads=4), figures)

    def test_a_rule_cut_in_two_periods(self, count, world, figures):
        """Of figures: by which row of the rule book a rule decided is none."""
        assert_same(count(world, prepare=cut_rules), figures)

    def test_a_rule_that_is_not_in_force(self, count, world, figures):
        assert_same(count(world, prepare=add_rules_of_other_times), figures)

    def test_other_ids(self, count):
        """Ids that are put in the same order: a prefix for each."""
        alone = random_world(SEEDS[0])
        before = count(prefixed(alone, PREFIXES[0]))
        after = count(prefixed(alone, PREFIXES[1]))
        assert multiset(before["metering.metered_steps"]) != multiset(after["metering.metered_steps"])
        renamed = {
            relation: [
                {k: v.replace(PREFIXES[0], PREFIXES[1], 1) if is_id(k, v) else v for k, v in row.items()}
                for row in rows
            ]
            for relation, rows in before.items()
        }
        # hashes are of ids
        assert_same(after, renamed, but=("job_hash", "recipe_hash", "request_hash"))

    def test_a_customer_more_changes_no_other_one(self, count, world, figures):
        """But the partner's own contract, which is over all customers."""
        other = prefixed(random_contract_world(SEEDS[-1] + 1), PREFIXES[-1])
        other.pop("credit_ratios")
        other = {extract: [row for row in rows if is_of_a_listing(extract, row)] for extract, rows in other.items()}
        both = count({extract: [*world.get(extract, []), *other.get(extract, [])] for extract in {*world, *other}})
        of_some = [
            relation
            for relation, rows in figures.items()
            if rows and {"customer_id", "account_id"} & set(rows[0]) and "rank" not in rows[0]
        ]
        assert len(of_some) >= 9

        def without(rows, *beginnings):
            """The rows of other accounts, without projections: those learn from the past errors of all customers."""
            return [
                {name: value for name, value in row.items() if not name.startswith("projected_")}
                for row in rows
                if not str(account_of(row)).startswith(beginnings)
            ]

        for relation in of_some:
            others = without(figures[relation], POOL)
            assert_same({relation: without(both[relation], POOL, PREFIXES[-1])}, {relation: others})
            assert len(without(both[relation], POOL)) > len(others), relation

    def test_what_comes_after_a_month_changes_no_usage_in_it(self, count, world, figures):
        end = datetime(2024, 4, 1, tzinfo=UTC)
        cut = without_work_after(world, end)
        assert len(cut["jobs"]) < len(world["jobs"])

        def until(rows):
            return {"marts.usage_by_capability": [row for row in rows if row["usage_date"] < end.date()]}

        after = count(cut)["marts.usage_by_capability"]
        assert_same(until(after), until(figures["marts.usage_by_capability"]))
        assert len(after) < len(figures["marts.usage_by_capability"])


class TestWhatChangesSomething:
    def test_a_step_more_is_a_decision_more_and_no_count_falls(self, count, world, figures):
        """An action of an eligible app that succeeded, at the end of each job that was delivered once."""
        delivered = Counter((job["account_id"], job["id"]) for job in world["jobs"])
        lines = {}
        for step in world["steps"]:
            lines.setdefault((step["account_id"], step["job_id"]), []).append(step)
        more = []
        for job in world["jobs"]:
            key = job["account_id"], job["id"]
            positions = [step["line_index"] for step in lines.get(key, [])]
            if delivered[key] == 1 and is_readable("jobs", job) and all(map(is_index, positions)):
                place = {"account_id": key[0], "job_id": key[1], "extracted_at": job["extracted_at"]}
                action = {"adapter_name": "salesforce", "adapter_operation": "create_object", "status": "success"}
                position = 1 + max(map(int, positions), default=0)
                more.append(place | action | {"line_index": position, "recipe_line_number": 1})
        after = count({**world, "steps": [*world["steps"], *more]})

        before, now = (found["metering.metered_steps"] for found in (figures, after))
        assert len(now) - len(before) == len(more) > 8 * len(SEEDS)
        assert_counts_rose(figures, after, but_rose={"tasks", "business_actions"})

    def test_an_app_ruled_otherwise_changes_its_steps_alone(self, count, world, figures):
        after = count(world, prepare=rule_slack_out)["metering.metered_steps"]
        before = figures["metering.metered_steps"]
        decided = ("rule_id", "metric", "quantity")
        assert multiset(before, but=decided) == multiset(after, but=decided)
        gone, come = multiset(before) - multiset(after), multiset(after) - multiset(before)
        assert gone.total() == come.total() >= len(SEEDS)
        assert {dict(row)["app"] for row in gone} == {"slack"}
        assert {dict(row)["rule_id"] for row in gone} == {"S-ACTION"}
        assert {dict(row)["rule_id"] for row in come} == {"S-INELIGIBLE"}


def cut_rules(warehouse):
    warehouse.split_rules(date(2024, 4, 16))


def add_rules_of_other_times(warehouse):
    warehouse.add_rules_of_other_times()


def rule_slack_out(warehouse):
    warehouse.connection.execute(
        "update rules.app_eligibility set rule_id = 'S-INELIGIBLE' where adapter_name = 'slack'"
    )


def is_id(column, value):
    return isinstance(value, str) and value.startswith(PREFIXES[0])


def account_of(row):
    return row.get("customer_id", row.get("account_id"))


def is_index(value):
    try:
        return int(value) >= 0
    except (TypeError, ValueError):
        return False


def moment(row, column):
    try:
        return read_time(row[column])
    except Unreadable:
        return None


def without_work_after(world, end):
    """Without jobs, requests, publishes and prompts at or after the end, but with what a job that stays refers to."""

    def is_after(row, column):
        at = moment(row, column) if row.get(column) else None
        return at is not None and at >= end

    # a job's deliveries stay together, and so does a family of callers and called
    family = {}

    def root(key):
        while family.get(key, key) != key:
            key = family[key]
        return key

    for job in world["jobs"]:
        if job.get("calling_job_id"):
            family[root((job["account_id"], job["id"]))] = root((job["account_id"], job["calling_job_id"]))
    stays = {root((job["account_id"], job["id"])) for job in world["jobs"] if not is_after(job, "completed_at")}
    gone = {
        (job["account_id"], job["id"]) for job in world["jobs"] if root((job["account_id"], job["id"])) not in stays
    }
    return {
        **world,
        "jobs": [job for job in world["jobs"] if (job["account_id"], job["id"]) not in gone],
        "steps": [step for step in world["steps"] if (step["account_id"], step["job_id"]) not in gone],
        "api_requests": [row for row in world["api_requests"] if not is_after(row, "requested_at") or row["job_id"]],
        "event_stream_requests": [row for row in world["event_stream_requests"] if not is_after(row, "requested_at")],
        "genie_prompts": [row for row in world["genie_prompts"] if not is_after(row, "sent_at")],
    }


def assert_counts_rose(before, after, but_rose):
    """No count of a customer's month is less than it was, and some are more."""
    counts = (
        "tasks", "business_actions", "api_calls", "pages_processed", "events_processed", "mcp_calls", "genie_actions",
        "go_seats", "workflow_app_seats", "jobs_succeeded", "jobs_failed",
    )  # fmt: skip
    months = {(row["customer_id"], row["usage_month"]): row for row in after["marts.monthly_customer_usage"]}
    rose = Counter()
    for row in before["marts.monthly_customer_usage"]:
        now = months[row["customer_id"], row["usage_month"]]
        for column in counts:
            assert now[column] >= row[column], (row["customer_id"], row["usage_month"], column)
            rose[column] += now[column] - row[column]
    assert {column for column, more in rose.items() if more} == but_rose


class TestBuilds:
    """The same worlds in a build of other files, with all of dbt's threads and another time zone of the machine."""

    OPTIONS = {"admin_account_ids": ADMINS}  # noqa: RUF012

    @pytest.fixture(scope="class")
    def delivered(self):
        merged, _ = merge_worlds(
            {prefix: random_world(seed, 10) for prefix, seed in zip(PREFIXES, SEEDS, strict=False)}
        )
        return merged

    @pytest.fixture(scope="class")
    def built(self, build, workbench, delivered):
        folder = workbench.clear_extracts()
        write_world(delivered, folder, "json", split=5, seed=1, overlap=0.3, name="other")
        env = {"TZ": "Pacific/Auckland"}
        return build(folder, vars=self.OPTIONS, env=env, arguments=("--threads", "4"))

    def test_files_threads_and_the_machines_time_zone_change_nothing(self, built, count, delivered):
        assert_same(contents(built), count(delivered))

    def test_a_run_in_memory_makes_what_a_build_makes(self, built, count, delivered, projects):
        relations = [
            relation
            for relation, model in projects["default"].models.items()
            if relation.startswith(("metering.", "marts."))
        ]
        assert len(relations) > 30
        in_memory = count(delivered, relations)
        assert_same(in_memory, contents(built, relations))
