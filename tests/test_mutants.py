"""What ``make mutants`` and its hand-made list mutate is there."""

import csv

import pytest
from building import PROJECT

with (PROJECT / "tests" / "mutants" / "outside.csv").open(encoding="utf-8", newline="") as file:
    OUTSIDE = list(csv.DictReader(file))


@pytest.mark.parametrize("row", OUTSIDE, ids=[row["mutation"] for row in OUTSIDE])
def test_each_hand_made_mutation_has_exactly_one_place(row):
    text = (PROJECT / row["file"]).read_text(encoding="utf-8")
    assert text.count(row["right"]) == 1
    assert row["instead"] != row["right"]
