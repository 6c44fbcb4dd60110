"""dbt's unit tests of the models pass: those of the default options in memory, the others by dbt.

dbt takes two minutes of CPU time for all of them, most of it to prepare each one. `.ci/run` has dbt run all.
"""

import re

import pytest
from mutants.trial import UnitTests
from reference.compiled import Warehouse, read_unit_tests
from reference.proving import ADMINS


@pytest.fixture(scope="module")
def warehouse(projects):
    made = Warehouse(projects["default"])
    made.build({})
    return made


@pytest.fixture(scope="module")
def unit_tests(warehouse, forks, tmp_path_factory):
    """(the unit tests that run in memory, the names of the others); the sample's seeds are not in memory."""
    tests, others = read_unit_tests(tmp_path_factory.mktemp("unit-tests"), forks, ADMINS)
    relations = warehouse.relations()
    in_memory = [t for t in tests if t.relation in warehouse.project.models and relations >= set(t.given)]
    return in_memory, [*others, *(test.name for test in tests if test not in in_memory)]


def test_those_of_the_default_options_pass(unit_tests, warehouse):
    in_memory, _ = unit_tests
    assert len(in_memory) > 200
    failing = UnitTests(in_memory, warehouse).failing_unchanged()
    assert not failing, f"dbt test --select {' '.join(failing)}"


def test_those_of_other_options_pass(unit_tests, sample, build):
    _, names = unit_tests
    ran = build(onto=sample, command=("test",), arguments=("--select", *names), with_tests=True)
    assert ran.exit_code == 0, ran.output
    hooks = int(re.search(r"(\d+) operations", ran.output)[1])  # which dbt counts with them
    assert f"PASS={len(names) + hooks} WARN=0 ERROR=0 SKIP=0" in ran.output
