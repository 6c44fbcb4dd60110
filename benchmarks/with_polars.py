"""The monthly totals as a partner would write them with Polars: lazily, streaming, with none of the safety.

python benchmarks/with_polars.py EXTRACTS OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

RULES = Path(__file__).resolve().parent.parent / "seeds" / "rules"
SUCCEEDED = ["succeeded", "completed"]
JOB = ["account_id", "job_id"]


def main(extracts: Path, output: Path) -> None:
    """Write monthly_totals.parquet: account_id, usage_month, metric, quantity."""

    def extract(name: str) -> pl.LazyFrame:
        return pl.scan_parquet(extracts / name / "*.parquet")

    def rules(name: str) -> pl.LazyFrame:
        return pl.scan_csv(RULES / f"{name}.csv", infer_schema=False)

    def newest(frame: pl.LazyFrame, *key: str) -> pl.LazyFrame:
        return frame.join(frame.group_by(key).agg(pl.max("extracted_at")), on=[*key, "extracted_at"])

    steps = extract("steps")
    recipes = (
        newest(extract("recipes").rename({"user_id": "account_id", "id": "recipe_id"}), "account_id", "recipe_id")
        .join(
            rules("recipe_types").select("trigger_adapter", "trigger_operation", by_trigger="recipe_type"),
            left_on=["trigger_application", "trigger_operation"],
            right_on=["trigger_adapter", "trigger_operation"],
            how="left",
        )
        .select("account_id", "recipe_id", recipe_type=pl.coalesce("recipe_type", "by_trigger", pl.lit("workflow")))
    )
    collections = newest(extract("api_collections"), "account_id", "id").select(
        "account_id", api_collection_id="id", is_mcp="is_mcp_server"
    )
    requests = (
        extract("api_requests")
        .join(collections, on=["account_id", "api_collection_id"], how="left")
        .with_columns(pl.col("is_mcp").fill_null(False))
    )
    asynchronous = (
        steps.filter(pl.col("called_recipe_id").is_not_null() & pl.col("adapter_operation").str.ends_with("_async"))
        .select("account_id", calling_job_id="job_id", recipe_id="called_recipe_id", is_asynchronous=pl.lit(True))
        .unique()
    )
    is_api = pl.col("recipe_type").str.starts_with("api")
    jobs = (
        newest(extract("jobs"), "account_id", "id")
        .rename({"id": "job_id"})
        .join(recipes, on=["account_id", "recipe_id"], how="left")
        .join(
            recipes.rename({"recipe_type": "root_type"}),
            left_on=["account_id", "root_recipe_id"],
            right_on=["account_id", "recipe_id"],
            how="left",
        )
        .join(asynchronous, on=["account_id", "calling_job_id", "recipe_id"], how="left")
        .join(requests.filter("is_mcp").select(*JOB, is_mcp=pl.lit(True)).unique(), on=JOB, how="left")
        .filter(pl.col("completed_at").is_not_null(), ~pl.col("is_poll_error"))
        .select(
            *JOB,
            "extracted_at",
            usage_month=pl.col("completed_at").dt.date().dt.truncate("1mo"),
            is_workflow=pl.when(pl.col("recipe_type") == "recipe_function")
            .then(pl.col("is_asynchronous").fill_null(False) | ~pl.col("root_type").str.starts_with("api"))
            .otherwise(~is_api & ~pl.col("recipe_type").is_in(["skill", "knowledge_base"]))
            .fill_null(True),
            call_metric=pl.when(is_api & pl.col("status").is_in(SUCCEEDED)).then(
                pl.when(pl.col("is_mcp")).then(pl.lit("mcp_calls")).otherwise(pl.lit("api_calls"))
            ),
        )
    )

    is_eligible = pl.col("app_rule").fill_null("S-ACTION") == "S-ACTION"  # custom and unknown connectors are
    decided = (
        steps.filter(
            pl.col("adapter_name").is_not_null(),
            ~pl.col("keyword").is_in(rules("control_keywords").collect()["keyword"].to_list()),
            pl.col("status").is_in(SUCCEEDED).fill_null(pl.col("error").is_null()),
        )
        .join(jobs, on=[*JOB, "extracted_at"])
        .join(rules("app_eligibility").select("adapter_name", app_rule="rule_id"), on="adapter_name", how="left")
        .join(
            rules("operation_metrics")
            .filter(pl.col("adapter_operation").is_not_null())
            .select("adapter_name", "adapter_operation", "metric", "quantity_from"),
            on=["adapter_name", "adapter_operation"],
            how="left",
        )
        .select(
            "account_id",
            "usage_month",
            metric=pl.coalesce("metric", pl.when(pl.col("is_workflow") & is_eligible).then(pl.lit("business_actions"))),
            quantity=pl.when(pl.col("quantity_from") == "page_count")
            .then(pl.col("page_count").fill_null(0))
            .when(pl.col("quantity_from") == "message_count")
            .then(pl.col("message_count").fill_null(0))
            .otherwise(1),
            tasks=(pl.col("line_index") > 0).cast(pl.Int64),
        )
        .group_by("account_id", "usage_month", "metric")
        .agg(pl.sum("quantity"), pl.sum("tasks"))
    )

    def month(column: str) -> pl.Expr:
        return pl.col(column).dt.date().dt.truncate("1mo")

    one, tasks = pl.lit(1, pl.Int64), pl.lit("tasks")
    plain = requests.filter(
        pl.col("job_id").is_null(), pl.col("gateway_code").is_null(), pl.col("internal_error") == "false"
    ).select(
        "account_id",
        usage_month=month("requested_at"),
        metric=pl.when("is_mcp").then(pl.lit("mcp_calls")).otherwise(pl.lit("api_calls")),
        quantity=one,
        is_proxied=pl.col("request_type") != "managed",
    )
    published = extract("event_stream_requests").filter(
        pl.col("status").is_in(SUCCEEDED), pl.col("endpoint").is_in(["publish", "batch_publish"])
    )
    prompts = extract("genie_prompts").filter(pl.col("status").is_in(SUCCEEDED).fill_null(True))
    key = ["account_id", "usage_month"]
    totals = (
        pl.concat(
            [
                decided.filter(pl.col("metric").is_not_null()).select(*key, "metric", "quantity"),
                decided.select(*key, metric=tasks, quantity="tasks"),
                jobs.filter(pl.col("call_metric").is_not_null()).select(*key, metric="call_metric", quantity=one),
                plain.select(*key, "metric", "quantity"),
                plain.filter("is_proxied").select(*key, metric=tasks, quantity=one),
                published.select(
                    "account_id",
                    usage_month=month("requested_at"),
                    metric=pl.lit("events_processed"),
                    quantity="message_count",
                ),
                prompts.select(
                    "account_id", usage_month=month("sent_at"), metric=pl.lit("genie_actions"), quantity=one
                ),
            ]
        )
        .group_by(*key, "metric")
        .agg(pl.sum("quantity"))
        .filter(pl.col("quantity") > 0)
    )
    output.mkdir(parents=True, exist_ok=True)
    totals.sink_parquet(output / "monthly_totals.parquet", engine="streaming")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
