"""The monthly totals as a partner would write them with pandas: the columns that matter, in memory, no safety.

python benchmarks/with_pandas.py EXTRACTS OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

RULES = Path(__file__).resolve().parent.parent / "seeds" / "rules"
SUCCEEDED = ["succeeded", "completed"]
JOB = ["account_id", "job_id"]
KEY = ["account_id", "usage_month", "metric"]


def main(extracts: Path, output: Path) -> None:
    """Write monthly_totals.parquet: account_id, usage_month, metric, quantity."""

    def extract(name: str, *columns: str) -> pd.DataFrame:
        return pd.read_parquet(extracts / name, columns=list(columns), dtype_backend="pyarrow")

    def rules(name: str) -> pd.DataFrame:
        return pd.read_csv(RULES / f"{name}.csv", dtype="string[pyarrow]")

    def newest(frame: pd.DataFrame, *key: str) -> pd.DataFrame:
        return frame.sort_values("extracted_at").drop_duplicates(list(key), keep="last")

    def month(times: pd.Series) -> pd.Series:
        return times.dt.tz_localize(None).dt.strftime("%Y-%m-01")

    recipes = extract(
        "recipes", "user_id", "id", "recipe_type", "trigger_application", "trigger_operation", "extracted_at"
    )
    recipes = newest(recipes.rename(columns={"user_id": "account_id", "id": "recipe_id"}), "account_id", "recipe_id")
    triggers = rules("recipe_types")[["trigger_adapter", "trigger_operation", "recipe_type"]].set_axis(
        ["trigger_application", "trigger_operation", "by_trigger"], axis=1
    )
    recipes = recipes.merge(triggers, on=["trigger_application", "trigger_operation"], how="left")
    recipes["recipe_type"] = recipes["recipe_type"].fillna(recipes["by_trigger"]).fillna("workflow")
    recipes = recipes[["account_id", "recipe_id", "recipe_type"]]

    collections = newest(
        extract("api_collections", "account_id", "id", "is_mcp_server", "extracted_at"), "account_id", "id"
    )
    requests = extract(
        "api_requests", *JOB, "requested_at", "request_type", "api_collection_id", "gateway_code", "internal_error"
    ).merge(
        collections.rename(columns={"id": "api_collection_id", "is_mcp_server": "is_mcp"}),
        on=["account_id", "api_collection_id"],
        how="left",
    )
    requests["is_mcp"] = requests["is_mcp"].fillna(False).astype(bool)
    requests["metric"] = requests["is_mcp"].map({True: "mcp_calls", False: "api_calls"})
    mcp_jobs = requests.loc[requests["is_mcp"] & requests["job_id"].notna(), JOB].drop_duplicates().assign(is_mcp=True)

    steps = extract(
        "steps",
        *JOB,
        "line_index",
        "adapter_name",
        "adapter_operation",
        "keyword",
        "status",
        "error",
        "page_count",
        "message_count",
        "called_recipe_id",
        "extracted_at",
    )
    calls = steps.loc[steps["called_recipe_id"].notna(), [*JOB, "called_recipe_id", "adapter_operation"]]
    calls = calls[calls["adapter_operation"].str.endswith("_async")]
    calls = calls[[*JOB, "called_recipe_id"]].drop_duplicates()
    calls = calls.set_axis(["account_id", "calling_job_id", "recipe_id"], axis=1).assign(is_asynchronous=True)

    jobs = extract(
        "jobs",
        "account_id",
        "id",
        "recipe_id",
        "status",
        "calling_job_id",
        "root_recipe_id",
        "is_poll_error",
        "completed_at",
        "extracted_at",
    ).rename(columns={"id": "job_id"})
    jobs = newest(jobs, *JOB)
    jobs = jobs[jobs["completed_at"].notna() & ~jobs["is_poll_error"]]
    jobs = jobs.merge(recipes, on=["account_id", "recipe_id"], how="left")
    jobs = jobs.merge(recipes.set_axis(["account_id", "root_recipe_id", "root_type"], axis=1), how="left")
    jobs = jobs.merge(calls, on=["account_id", "calling_job_id", "recipe_id"], how="left")
    jobs = jobs.merge(mcp_jobs, on=JOB, how="left")
    jobs["usage_month"] = month(jobs["completed_at"])
    recipe_type = jobs["recipe_type"].fillna("workflow")
    is_function = recipe_type == "recipe_function"
    is_api = recipe_type.str.startswith("api")
    is_continuation = (
        is_function & jobs["is_asynchronous"].isna() & jobs["root_type"].str.startswith("api").fillna(False)
    )
    jobs["is_workflow"] = ~is_api & ~is_continuation & ~recipe_type.isin(["skill", "knowledge_base"])
    called = jobs[is_api & jobs["status"].isin(SUCCEEDED)]
    called = called.assign(metric=called["is_mcp"].notna().map({True: "mcp_calls", False: "api_calls"}), quantity=1)

    is_successful = steps["status"].isin(SUCCEEDED) | (steps["status"].isna() & steps["error"].isna())
    is_control = steps["adapter_name"].isna() | steps["keyword"].isin(rules("control_keywords")["keyword"])
    steps = steps[is_successful & ~is_control].drop(columns=["keyword", "status", "error", "called_recipe_id"])
    steps = steps.merge(jobs[[*JOB, "extracted_at", "usage_month", "is_workflow"]], on=[*JOB, "extracted_at"])
    steps = steps.drop(columns=["job_id", "extracted_at"])
    apps = rules("app_eligibility").set_index("adapter_name")["rule_id"]
    operations = rules("operation_metrics")[["adapter_name", "adapter_operation", "metric", "quantity_from"]]
    steps = steps.merge(operations.dropna(), on=["adapter_name", "adapter_operation"], how="left")
    # custom and unknown connectors are eligible
    is_eligible = steps["is_workflow"] & (steps["adapter_name"].map(apps).fillna("S-ACTION") == "S-ACTION")
    steps["metric"] = steps["metric"].mask(steps["metric"].isna() & is_eligible, "business_actions")
    steps["quantity"] = 1
    for count in ["page_count", "message_count"]:
        is_counted = (steps["quantity_from"] == count).fillna(False)
        steps["quantity"] = steps["quantity"].mask(is_counted, steps[count].fillna(0))
    steps["tasks"] = (steps["line_index"] > 0).astype(int)

    plain = requests[
        requests["job_id"].isna() & requests["gateway_code"].isna() & (requests["internal_error"] == "false")
    ]
    plain = plain.assign(usage_month=month(plain["requested_at"]), quantity=1)
    published = extract(
        "event_stream_requests", "account_id", "requested_at", "endpoint", "message_count", "status"
    ).rename(columns={"message_count": "quantity"})
    published = published[
        published["status"].isin(SUCCEEDED) & published["endpoint"].isin(["publish", "batch_publish"])
    ]
    published = published.assign(usage_month=month(published["requested_at"]), metric="events_processed")
    prompts = extract("genie_prompts", "account_id", "sent_at", "status")
    prompts = prompts[prompts["status"].isin([*SUCCEEDED]) | prompts["status"].isna()]
    prompts = prompts.assign(usage_month=month(prompts["sent_at"]), metric="genie_actions", quantity=1)
    parts = [
        steps[steps["metric"].notna()],
        steps.drop(columns="quantity").rename(columns={"tasks": "quantity"}).assign(metric="tasks"),
        called,
        plain,
        plain[plain["request_type"] != "managed"].assign(metric="tasks"),
        published,
        prompts,
    ]
    sums = [part.groupby(KEY, observed=True)["quantity"].sum().astype(int).reset_index() for part in parts]
    totals = pd.concat(sums).groupby(KEY)["quantity"].sum().reset_index()
    totals["usage_month"] = pd.to_datetime(totals["usage_month"]).dt.date
    output.mkdir(parents=True, exist_ok=True)
    totals[totals["quantity"] > 0].to_parquet(output / "monthly_totals.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
