"""The steps of a scheduled run: commands, and what their exit codes mean for the run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from scheduled_run.settings import Settings


@dataclass(frozen=True)
class Step:
    """A command of a scheduled run.

    ``problem``: a sentence for the case that the command fails. ``exit_code``: of the run then. ``ends_run``: whether
    the steps after it are left out. ``incomplete``: the command's exit code that says that a part failed, with its
    sentence: the run continues, and ends with 1. ``shows_failures``: the command also runs after a failure.
    """

    name: str
    command: tuple[str, ...]
    problem: str
    exit_code: int = 1
    ends_run: bool = False
    incomplete: tuple[int, str] | None = None
    shows_failures: bool = False


def steps_of(settings: Settings, project: Path) -> list[Step]:
    """The steps of a scheduled run with these settings."""
    python = sys.executable
    steps = []
    if settings.environment.get("WORKATO_TOKEN") or (project / "extraction.toml").exists():
        steps.append(
            Step(
                "extract",
                (python, "-m", "extraction"),
                "Nothing was extracted, so nothing was built or published.",
                exit_code=2,
                ends_run=True,
                incomplete=(1, "The extraction is incomplete; the run builds with what there is."),
            )
        )
    build = (python, "-m", "dbt.cli.main", "--no-use-colors", "build", "--exclude-resource-type", "unit_test")
    steps.append(
        Step(
            "build",
            (*build, "--vars", settings.variables) if settings.variables else build,
            "The build failed, and nothing was published.",
            exit_code=3,
            ends_run=True,
        )
    )
    if settings.keeps_months:
        steps.append(
            Step("retention", (python, "scripts/compact.py"), "Old loads were not compacted, or that is not published.")
        )
    steps.append(
        Step("dashboard", (python, "-m", "dashboard", "site"), "The dashboard was not written.", shows_failures=True)
    )
    if settings.statements_for:
        steps.append(
            Step(
                "statements",
                (python, "-m", "dashboard", "statements", "--listed-in", settings.statements_for),
                "Not all statements were written.",
            )
        )
    return steps
