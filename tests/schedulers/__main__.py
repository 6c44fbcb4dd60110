"""The ready files of deploy, read by the tools that they are for: Airflow, Dagster, and a linter of Dockerfiles.

``make test-schedulers`` runs it in an environment of its own, in which the tools are installed. Two real runs over the
sample: one by Airflow's operator, one by Dagster's asset. The other files are read in tests/test_ready_files.py.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
DEPLOY = PROJECT / "deploy"
WRONG = {"NOTIFY_FINDINGS": "many"}  # a setting with which a run ends at once, with exit code 5


@contextmanager
def environment(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def raises(action: Callable[[], object]) -> Exception:
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def latest(warehouse: Path) -> dict[str, Any]:
    return json.loads((warehouse / "scheduled_runs" / "latest.json").read_text(encoding="utf-8"))


def load(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location("definitions", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


# --------------------------------------------------------------------------------------------------------- Dockerfile


def hadolint(dockerfile: Path) -> str:
    linted = subprocess.run([BIN / "hadolint", "--no-color", dockerfile], capture_output=True, text=True)
    return linted.stdout + linted.stderr


def the_linter_of_dockerfiles_finds_nothing_and_would_find_a_last_user_with_rights(folder: Path) -> None:
    dockerfile = DEPLOY / "docker" / "Dockerfile"
    assert hadolint(dockerfile) == "", hadolint(dockerfile)
    (folder / "Dockerfile").write_text(dockerfile.read_text().replace("USER 10001:10001", "USER root"))
    assert "Last USER should not be root" in hadolint(folder / "Dockerfile")


# ------------------------------------------------------------------------------------------------------------ Airflow


def airflow_loads_one_dag_that_runs_one_at_a_time_and_leaves_the_past_alone(folder: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    broken = folder / "broken"
    broken.mkdir()
    shutil.copy(DEPLOY / "airflow" / "embedded_usage.py", broken)
    (broken / "embedded_usage.py").open("a").write("BashOperator()\n")
    assert len(DagBag(dag_folder=str(broken)).import_errors) == 1
    bag = DagBag(dag_folder=str(DEPLOY / "airflow"))
    assert bag.import_errors == {}
    (dag,) = bag.dags.values()
    assert (dag.dag_id, dag.max_active_runs, dag.catchup) == ("embedded_usage", 1, False)
    assert dag.schedule == "30 4 * * *"
    assert [task.task_id for task in dag.tasks] == ["scheduled_run"]


def airflows_task_publishes_with_the_settings_of_the_file_and_fails_with_the_run(folder: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    warehouse, settings = folder / "of airflow", folder / "settings.env"
    settings.write_text(f"WAREHOUSE_DIR='{warehouse}'\nDBT_TARGET_PATH='{folder / 'target'}'\n")
    with environment(EMBEDDED_USAGE_PROJECT=str(PROJECT), EMBEDDED_USAGE_ENV=str(settings)):
        (dag,) = DagBag(dag_folder=str(DEPLOY / "airflow")).dags.values()
        task = dag.get_task("scheduled_run")
        task.execute({})
        assert latest(warehouse)["result"] == "succeeded"
        with environment(**WRONG):
            assert "exit code 5" in str(raises(lambda: task.execute({})))


# ------------------------------------------------------------------------------------------------------------ Dagster


def dagster_validates_the_definitions_and_would_refuse_a_wrong_schedule(folder: Path) -> None:
    definitions = DEPLOY / "dagster" / "definitions.py"
    wrong = folder / "definitions.py"
    wrong.write_text(definitions.read_text().replace("30 4 * * *", "30 4 * *"))
    for path, code in ((definitions, 0), (wrong, 1)):
        validate = [BIN / "dagster", "definitions", "validate", "--python-file", path]
        validated = subprocess.run(validate, capture_output=True, text=True, cwd=folder)
        assert validated.returncode == code, validated.stdout + validated.stderr


def dagsters_asset_has_the_summary_of_the_run_and_warns_of_a_part_that_failed(folder: Path) -> None:
    import dagster as dg

    warehouse = folder / "of dagster"
    settings = {"EMBEDDED_USAGE_PROJECT": str(PROJECT), "WAREHOUSE_DIR": str(warehouse)}
    settings |= {"DBT_TARGET_PATH": str(folder / "target"), "STATEMENTS_FOR": str(folder / "no list")}
    with environment(**settings):
        module = load(DEPLOY / "dagster" / "definitions.py")
        result = dg.materialize([module.usage_warehouse])
        assert result.success
        (materialized,) = result.asset_materializations_for_node("usage_warehouse")
        metadata = {name: value.value for name, value in materialized.metadata.items()}
        assert metadata["result"] == latest(warehouse)["result"] == "published with problems"
        assert metadata["rows"] == latest(warehouse)["published"]["rows"]
        assert metadata["as of"] == "2026-11-18"
        with environment(**WRONG):
            failed = dg.materialize([module.usage_warehouse], raise_on_error=False)
            assert not failed.success
            (step,) = (event for event in failed.all_events if event.is_step_failure)
            assert "Nothing was run, exit code 5" in str(step.event_specific_data.user_failure_data.description)


CLAIMS = (
    the_linter_of_dockerfiles_finds_nothing_and_would_find_a_last_user_with_rights,
    airflow_loads_one_dag_that_runs_one_at_a_time_and_leaves_the_past_alone,
    airflows_task_publishes_with_the_settings_of_the_file_and_fails_with_the_run,
    dagster_validates_the_definitions_and_would_refuse_a_wrong_schedule,
    dagsters_asset_has_the_summary_of_the_run_and_warns_of_a_part_that_failed,
)


def main() -> None:
    """Try each claim; the first one that does not hold ends the program with its traceback."""
    if (PROJECT / "extraction.toml").exists():
        sys.exit("There is an extraction.toml: these runs would extract. Move it away for the time of this test.")
    names = [name for name in os.environ if name.startswith(("WORKATO_", "NOTIFY_"))]
    quiet = {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "DAGSTER_DISABLE_TELEMETRY": "1"} | dict.fromkeys(names, "")
    with (
        tempfile.TemporaryDirectory(prefix="schedulers-") as scratch,
        environment(AIRFLOW_HOME=scratch, **quiet),
    ):
        for number, claim in enumerate(CLAIMS):
            folder = Path(scratch, str(number))
            folder.mkdir()
            claim(folder)
            print(f"holds: {claim.__name__.replace('_', ' ')}", flush=True)
    print(f"{len(CLAIMS)} passed, 0 failed")


if __name__ == "__main__":
    main()
