"""The scheduled run as a Dagster asset with a schedule: ``dagster dev -f deploy/dagster/definitions.py``.

The code location needs the project with its environment (``make build``) in EMBEDDED_USAGE_PROJECT, and the settings of
docs/scheduling.md in its environment. The asset's metadata are those of the run's summary.
"""

import json
import os
import subprocess
from pathlib import Path

import dagster as dg

PROJECT = Path(os.environ.get("EMBEDDED_USAGE_PROJECT", "/opt/embedded-usage"))


@dg.asset(group_name="embedded_usage", kinds={"dbt", "duckdb"})
def usage_warehouse(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The usage of every customer of the partner: usage.duckdb, the dashboard and the statements."""
    ended = subprocess.run([PROJECT / ".venv" / "bin" / "python", "-m", "scheduled_run"], cwd=PROJECT)
    if ended.returncode in (4, 5) or ended.returncode < 0:
        raise dg.Failure(f"Nothing was run, exit code {ended.returncode}: see what it printed.", allow_retries=False)
    warehouse = PROJECT / (os.environ.get("WAREHOUSE_DIR") or "warehouse")
    summary = json.loads((warehouse / "scheduled_runs" / "latest.json").read_text(encoding="utf-8"))
    metadata = {
        "result": summary["result"],
        "as of": (summary["published"] or {}).get("as_of_date"),
        "rows": (summary["published"] or {}).get("rows"),
        "findings": (summary["published"] or {}).get("findings"),
        "changes": summary["changes"],
        "log": dg.MetadataValue.path(summary["log"]),
    }
    if ended.returncode > 1:
        raise dg.Failure(" ".join(summary["problems"]), metadata=metadata)
    for problem in summary["problems"]:
        context.log.warning(problem)
    return dg.MaterializeResult(metadata=metadata)


definitions = dg.Definitions(
    assets=[usage_warehouse],
    schedules=[
        dg.ScheduleDefinition(
            name="every_morning",
            target=[usage_warehouse],
            cron_schedule="30 4 * * *",
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
    ],
)
