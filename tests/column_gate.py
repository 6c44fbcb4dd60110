"""Which columns of the marts no test covers.

A column is covered where a test states what its value should be:

- a dbt unit test of the mart expects a value in it,
- or the reference implementation computes it, and the comparison with the reference compares it,
- or a dbt data test on the column checks its values, such as accepted_values or relationships.

A test of uniqueness or of nulls states no value and is not enough; neither is a unit test that expects only nulls.
Tests in tests/data/*.sql are not read: the manifest does not say which columns they compare.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from reference.comparison import RELATIONS
from reference.contracts import compute
from reference.reference import Options
from reference.worlds import merge_worlds, random_world

STATES_NO_VALUE = {"unique", "not_null", "unique_grain", "never_null"}

HOW_TO_ADD = """
No test covers these columns of marts:
  {columns}
Add one of these for each column:
  - a row with a value of the column in the expect block of a unit test, in <model>_unit_tests.yml beside the model;
  - the column in the reference (tests/reference/reference.py or tab.py), in plain Python: every random world
    then compares it;
  - a data test of its values under the column in the model's YAML, such as accepted_values or relationships.
CONTRIBUTING.md, "Add a column to a mart", has an example."""


def untested_columns(manifest: dict[str, Any]) -> list[str]:
    """The columns of marts that no test covers, as mart.column, in dbt's order. ``manifest``: dbt's, parsed."""
    marts = {
        unique_id: node
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["schema"] == "marts"
    }
    covered = set(compared_with_the_reference())
    for test in manifest["unit_tests"].values():
        rows = test["expect"]["rows"]
        for row in rows if isinstance(rows, list) else []:  # rows given as SQL name no columns
            covered |= {f"{test['model']}.{column}" for column, value in row.items() if value is not None}
    for node in manifest["nodes"].values():
        mart = marts.get(node.get("attached_node"))
        if mart and node["column_name"] and node["test_metadata"]["name"] not in STATES_NO_VALUE:
            covered.add(f"{mart['name']}.{node['column_name']}")
    every_column = [f"{mart['name']}.{column}" for mart in marts.values() for column in mart["columns"]]
    return [column for column in every_column if column not in covered]


@cache
def compared_with_the_reference() -> frozenset[str]:
    """mart.column for what the reference computes and is compared, with a value in some of a few random worlds."""
    world, admins = merge_worlds({f"w{seed}-": random_world(seed) for seed in range(20)})
    result = compute(world, Options(admin_account_ids=tuple(admins)))
    marts = [relation.removeprefix("marts.") for relation in RELATIONS if relation.startswith("marts.")]
    return frozenset(
        f"{mart}.{column}"
        for mart in marts
        for row in getattr(result, mart)
        for column, value in row.items()
        if value is not None
    )
