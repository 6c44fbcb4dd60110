"""dbt's unit tests of the models pass: those of the default options in memory, the others by dbt.

By dbt all of them take two minutes of CPU time, since each has a context and fixtures of its own; so `.ci/run` runs
them.
"""

import re

import pytest
from mutants.trial import UnitTests
from reference.compiled import Warehouse, read_unit_tests
from reference.proving import ADMINS


@pytest.fixture(scope="module")
def unit_tests(forks, tmp_path_factory):
    return read_unit_tests(tmp_path_factory.mktemp("unit-tests"), forks, ADMINS)


@pytest.fixture(scope="module")
def warehouse(projects):
    made = Warehouse(projects["default"])
    made.build({})
    return made


def can_run_in(warehouse, test):
    """Whether the warehouse has the model and what the fixtures stand in for; it has none of the sample's seeds."""
    return test.relation in warehouse.project.models and warehouse.relations() >= set(test.given)


def test_those_of_the_default_options_pass(unit_tests, warehouse):
    in_memory = [test for test in unit_tests[0] if can_run_in(warehouse, test)]
    assert len(in_memory) > 200
    failing = UnitTests(in_memory, warehouse).failing_unchanged()
    assert not failing, f"dbt test --select {' '.join(failing)}"


def test_those_of_other_options_pass(unit_tests, warehouse, sample, build):
    tests, others = unit_tests
    names = [*others, *(test.name for test in tests if not can_run_in(warehouse, test))]
    ran = build(onto=sample, command=("test",), arguments=("--select", *names), with_tests=True)
    assert ran.exit_code == 0, ran.output
    hooks = int(re.search(r"(\d+) operations", ran.output)[1])  # which dbt counts with them
    assert f"PASS={len(names) + hooks} WARN=0 ERROR=0 SKIP=0" in ran.output
