"""The scheduled run as an Airflow DAG: copy into the folder of DAGs.

The worker needs the project with its environment (``make build``) in EMBEDDED_USAGE_PROJECT, and the settings of
docs/scheduling.md in its environment or in the file EMBEDDED_USAGE_ENV. One task runs all steps: the run has its own
lock, log and notifications, and the next run continues what a failed one left. A run that published and failed in part
(exit code 1) is a failed task, too.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

PROJECT = os.environ.get("EMBEDDED_USAGE_PROJECT", "/opt/embedded-usage")
SETTINGS = os.environ.get("EMBEDDED_USAGE_ENV", "/etc/embedded-usage.env")

with DAG(
    dag_id="embedded_usage",
    description="Extraction, build, dashboard and statements of the embedded usage warehouse",
    schedule="30 4 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["embedded usage"],
) as dag:
    BashOperator(
        task_id="scheduled_run",
        bash_command=(
            'set -a; if [ -r "$EMBEDDED_USAGE_ENV" ]; then . "$EMBEDDED_USAGE_ENV"; fi; set +a; '
            "exec .venv/bin/python -m scheduled_run"
        ),
        env={"EMBEDDED_USAGE_ENV": SETTINGS},
        append_env=True,
        cwd=PROJECT,
        execution_timeout=timedelta(hours=6),
    )
