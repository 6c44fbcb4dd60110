"""Random worlds in several real runs: what is closed and restated is what the independent count says (make proof)."""

import os

import pytest
from reference.closing_runs import compare_runs
from reference.restatements import CAUSES
from samples import sampled

SEEDS = range(*map(int, os.environ.get("CLOSES_SEEDS", f"0:{sampled(4)}").split(":")))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_real_runs_restate_is_what_the_reference_restates(seed, workbench):
    _, causes = compare_runs(seed, workbench)
    assert set(causes) < set(CAUSES)
    assert len(causes) >= 4
