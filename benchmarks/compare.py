"""Compares a contender's totals, and this project's decisions, with those of the floor.

python benchmarks/compare.py FLOOR_DATABASE FOUND [--decisions]    # prints {"totals": [same, different], …} as JSON

FOUND is a usage.duckdb, a monthly_totals.parquet, or the folder in which Spark keeps monthly_customer_usage.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

METRICS = "tasks, business_actions, api_calls, mcp_calls, pages_processed, events_processed, genie_actions"
OUR_TOTALS = f"""
    select customer_id as account_id, usage_month, metric, quantity
    from (
        unpivot (select customer_id, usage_month, {METRICS} from {{usage}})
        on {METRICS} into name metric value quantity
    )
    where quantity > 0
"""
DECISION = ["rule_id", "usage_date", "metric", "quantity", "tasks"]


def compare(floor: Path, found: Path, with_decisions: bool = False) -> dict[str, list[int]]:
    """How many monthly totals, and decisions where asked for, are the same, and how many are not."""
    counted = "count(*) filter (where is_same), count(*) filter (where not is_same)"
    with duckdb.connect() as database:
        database.execute(f"attach '{floor}' as expected (read_only)")
        if found.suffix == ".duckdb":
            database.execute(f"attach '{found}' as found (read_only)")
            totals = OUR_TOTALS.format(usage="found.marts.monthly_customer_usage")
        elif found.is_dir():
            totals = OUR_TOTALS.format(usage=f"read_parquet('{found}/**/*.parquet', hive_partitioning = true)")
        else:
            totals = f"from '{found}'"
        answer = {
            "totals": f"""
                select {counted}
                from (
                    select totals.quantity is not distinct from expected.quantity as is_same
                    from ({totals}) as totals
                    full join expected.monthly_totals as expected using (account_id, usage_month, metric)
                )
            """
        }
        if with_decisions:
            ours, theirs = ([f"{alias}.{column}" for column in DECISION] for alias in ("steps", "decisions"))
            answer["decisions"] = f"""
                select {counted}
                from (
                    select row({", ".join(ours)}) is not distinct from row({", ".join(theirs)}) as is_same
                    from found.metering.metered_steps as steps
                    full join expected.decisions as decisions
                        on
                            steps.customer_id = decisions.account_id
                            and steps.job_id = decisions.job_id
                            and steps.line_index = decisions.line_index
                )
            """
        return {name: list(database.execute(query).fetchone()) for name, query in answer.items()}


if __name__ == "__main__":
    print(json.dumps(compare(Path(sys.argv[1]), Path(sys.argv[2]), "--decisions" in sys.argv)))
