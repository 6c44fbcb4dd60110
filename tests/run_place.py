"""A place for scheduled runs whose steps are small commands: a warehouse, settings, and what the runs left there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from building import PROJECT
from published import write_published

sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

import attempts  # noqa: E402

from scheduled_run import running  # noqa: E402
from scheduled_run.settings import read_settings  # noqa: E402
from scheduled_run.steps import Step, steps_of  # noqa: E402

PATH = {"PATH": os.environ["PATH"]}


class Place:
    """A warehouse, the settings of its runs, and commands that stand for the steps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = folder / "warehouse"
        self.next = folder / "next.duckdb"  # what the step build publishes
        self.environment = PATH | {"WAREHOUSE_DIR": str(self.warehouse)}

    def command(self, text: str) -> tuple[str, ...]:
        return sys.executable, "-S", "-c", f"import os, sys, time\n{text}"

    def steps(self, extract: str | None = None, **commands: str) -> list[Step]:
        """The steps of a real run, each with a command of its own: by default all succeed, and the build publishes."""
        environment = self.environment | {"STATEMENTS_FOR": "listed.txt"}
        environment |= {"WORKATO_TOKEN": "token"} if extract is not None else {}
        publish = f"os.replace({str(self.next)!r}, {str(self.published)!r})"
        standing = {"build": publish, "dashboard": "print('dashboard')", "statements": "", **commands}
        if extract is not None:
            standing["extract"] = extract
        real = steps_of(read_settings(environment, self.folder, self.folder), self.folder)
        return [Step(**(vars(step) | {"command": self.command(standing[step.name])})) for step in real]

    @property
    def published(self) -> Path:
        return self.warehouse / "usage.duckdb"

    def run(self, steps: list[Step] | None = None, **environment: str) -> int:
        settings = read_settings(self.environment | environment, PROJECT, self.folder)
        return running.run(settings, self.steps() if steps is None else steps, self.folder)

    def publish(self, run_id: str, **figures: Any) -> None:
        """Have the next build publish this."""
        self.warehouse.mkdir(exist_ok=True)
        write_published(self.next, run_id, **figures)

    @property
    def runs(self) -> Path:
        return self.warehouse / "scheduled_runs"

    def summary(self) -> dict[str, Any]:
        return json.loads((self.runs / "latest.json").read_text(encoding="utf-8"))

    def attempts(self) -> list[tuple]:
        names = ("step", "problem", "is_published", "exit_code")
        return [tuple(attempt[name] for name in names) for attempt in attempts.read_attempts(self.warehouse)]

    def start(self, steps: list[Step]) -> subprocess.Popen[str]:
        """Start a run as a process of its own, as schedulers do, with these steps."""
        script = (
            f"import sys; sys.path[:0] = [{str(PROJECT)!r}, {str(PROJECT / 'plugins')!r}]\n"
            "from pathlib import Path\n"
            "from scheduled_run.running import end_on_signals, run\n"
            "from scheduled_run.settings import read_settings\n"
            "from scheduled_run.steps import Step\n"
            "import os\n"
            f"folder = Path({str(self.folder)!r})\n"
            f"steps = [Step(**step) for step in {[vars(step) for step in steps]!r}]\n"
            "end_on_signals()\n"
            "sys.exit(run(read_settings(os.environ, folder, folder), steps, folder))\n"
        )
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([sys.executable, "-c", script], env=self.environment, **pipes)
