"""Thousands of random worlds agree with the reference (make proof); here a hundred, and the proof itself: it sees.

A wrong rule is found among the first fifty worlds, and reported as a few rows. Worlds that once differed are looked at
again. A quick run draws a quarter of the worlds and a fifth of the wrong rules.
"""

import json

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from reference.comparison import COMPARED, QUARANTINE, TOTALS
from reference.proving import Batch, Prover, batches, kept_examples
from reference.reference import is_ignored, is_request
from reference.shrinking import reduce, size_of
from samples import PART, sampled

WORLDS = sampled(100)
BATCH = 10

# What is made wrong: the model, a piece of its SQL, and what stands there instead ...
WRONG_MODELS = {
    "G1: a step with an error counts where no status stands": (
        "facts.step_facts",
        "when coalesce(status = 'succeeded', error is null) then 'succeeded'",
        "when coalesce(status = 'succeeded', true) then 'succeeded'",
    ),
    "S-EVENT-BATCH: a batch is one event": (
        "metering.metered_steps",
        "when 'message_count' then facts.message_count",
        "when 'message_count' then 1",
    ),
    "J-API: an API job that failed is a call": (
        "metering.metered_jobs",
        "not is_excluded and is_successful and own_metric is not null",
        "not is_excluded and own_metric is not null",
    ),
    "G9: the first delivery wins": (
        "staging.repeated_jobs",
        "order by extracted_at desc,",
        "order by extracted_at asc,",
    ),
    "R-GO: seats are in force on the day that they end": (
        "metering.metered_seats",
        "seats.effective_to - interval '1' day",
        "seats.effective_to - interval '0' day",
    ),
}
# ... or a row of the rule book: what is done to it.
WRONG_ROWS = {
    "S-INELIGIBLE: Logger is eligible": (
        "update rules.app_eligibility set rule_id = 'S-ACTION' where adapter_name = 'logger'"
    ),
    "J-FN-AGENT: what an agent calls is covered": (
        "update rules.billing_contexts_by_call set billing_context = 'agent' where rule_id = 'J-FN-AGENT'"
    ),
    "T-START: tasks from 2020-09-30 on": (
        "update rules.task_rules set effective_from = effective_from - interval 1 day where rule_id <> 'T-START';"
        "update rules.task_rules set effective_to = effective_to - interval 1 day where rule_id = 'T-START'"
    ),
    "S-CONTROL: a catch is an action": "delete from rules.control_keywords where keyword = 'catch'",
}


def draw(prover, worlds, look, seed_=0):
    """Call ``look`` with batches of so many worlds in all."""

    @seed(seed_)
    @settings(
        max_examples=worlds // BATCH,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(batches(tuple(prover.projects), worlds=BATCH))
    def each(batch):
        look(batch)

    each()


class TestProof:
    def test_random_worlds_agree_with_the_reference(self, projects):
        prover = Prover(projects)
        found = []

        def agrees(batch):
            if prover.worlds < WORLDS and not found and (counterexample := prover.look_at(batch)):
                found.append(counterexample)

        draw(prover, 2 * WORLDS, agrees)  # Hypothesis may draw a world twice, and it counts once
        assert found == [], f"{found[0].report()}\nkept as {found[0].keep()}"
        print(f"{prover.worlds} worlds, {prover.rows.total():,} rows compared")
        assert prover.worlds >= WORLDS
        assert all(prover.rows[relation] for relation in COMPARED)

    def test_streamed_worlds_have_logs_and_other_events_and_agree(self, projects):
        batch = Batch(seeds=(1, 2, 3, 4), size=8, options="default", is_streamed=True)
        world = batch.as_delivered(batch.worlds())
        logs, ignored = (sum(map(is_kind, world["job_history"])) for is_kind in (is_request, is_ignored))
        assert (logs > 30, ignored > 5) == (True, True)
        default = projects["default"]
        assert Prover({"default": default}).compare(world, "default").differences == []
        relation = "base.base_streamed_events"
        sql = default.models[relation].sql
        wrong = default.with_sql(relation, sql.replace("then 'other'", "then 'job'"))
        found = Prover({"default": wrong}).compare(world, "default").differences
        assert {difference.relation for difference in found} >= {QUARANTINE, TOTALS}

    @pytest.mark.parametrize("wrong", [*WRONG_MODELS, *WRONG_ROWS][::PART])
    def test_a_wrong_rule_is_found_within_fifty_worlds(self, projects, wrong):
        default = projects["default"]
        if wrong in WRONG_MODELS:
            relation, right, instead = WRONG_MODELS[wrong]
            assert default.models[relation].sql.count(right) == 1
            prover = Prover(
                {"default": default.with_sql(relation, default.models[relation].sql.replace(right, instead))}
            )
        else:
            prover = Prover({"default": default})
            prover.warehouse("default").connection.execute(WRONG_ROWS[wrong])
        found = []

        def look(batch):
            if not found and (counterexample := prover.look_at(batch)):
                found.append((prover.worlds, counterexample))

        draw(prover, 50, look)
        assert found, "not found"
        (worlds, counterexample), *_ = found
        print(f"found within {worlds} worlds. {counterexample.report()}")
        assert size_of(counterexample.world) <= 10

    @pytest.mark.parametrize("path", kept_examples(), ids=lambda path: path.stem)
    def test_a_world_that_once_differed_agrees(self, projects, path):
        example = json.loads(path.read_text())
        comparison = Prover(projects).compare(example["world"], example["options"])
        assert comparison.differences == [], comparison.report()


class TestReduction:
    WORLD = {  # noqa: RUF012
        "jobs": [{"account_id": "a", "id": f"j{n}", "environment_type": "prod", "error": "x"} for n in range(20)],
        "steps": [{"account_id": "a", "job_id": f"j{n}", "keyword": "if", "error": "y"} for n in range(20)],
        "customers": [{"id": "a", "name": "A"}],
    }

    def test_rows_and_values_that_a_difference_does_not_need_are_left_out(self):
        def differs(world):
            return any(job["id"] == "j7" and job["error"] for job in world.get("jobs", [])) and any(
                step["job_id"] == "j11" for step in world.get("steps", [])
            )

        assert reduce(self.WORLD, lambda worlds: [differs(world) for world in worlds]) == {
            "jobs": [{"account_id": "a", "id": "j7", "environment_type": None, "error": "x"}],
            "steps": [{"account_id": "a", "job_id": "j11", "keyword": None, "error": None}],
        }

    def test_without_questions_the_world_stays_as_it_is(self):
        assert size_of(reduce(self.WORLD, lambda worlds: [True for _ in worlds], questions=0)) == size_of(self.WORLD)
