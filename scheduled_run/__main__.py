"""Extracts, builds, and writes the dashboard and the statements: one run for a scheduler.

    python -m scheduled_run        in the project's folder, or make scheduled-run

Exit codes: 0 published, and everything succeeded; 1 published, but a part failed; 2 nothing was extracted; 3 the build
failed; 4 another scheduled run is active; 5 a setting is wrong, or WAREHOUSE_DIR cannot be written; 128 + n: ended by
signal n. From 2 on nothing was published. make reports each failure as 2. docs/scheduling.md describes the settings.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

from scheduled_run.running import WRONG_SETTINGS, Stopped, end_on_signals, run  # noqa: E402
from scheduled_run.settings import SettingsProblem, read_settings  # noqa: E402
from scheduled_run.steps import steps_of  # noqa: E402


def main() -> int:
    """Run with the settings of the environment, and return the exit code."""
    if len(sys.argv) > 1:
        print(__doc__)
        return 0 if sys.argv[1:] in (["--help"], ["-h"]) else WRONG_SETTINGS
    try:
        settings = read_settings(os.environ, PROJECT, Path.cwd())
    except SettingsProblem as problem:
        print(problem, file=sys.stderr)
        return WRONG_SETTINGS
    end_on_signals()
    try:
        return run(settings, steps_of(settings, PROJECT), PROJECT)
    except Stopped as signalled:  # before the first step, or after the last
        return 128 + signalled.number


if __name__ == "__main__":
    sys.exit(main())
