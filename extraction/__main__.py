"""Reads the platform's Embedded API into EXTRACTS_DIR: ``python -m extraction``, as ``make extract`` does.

Configured by WORKATO_TOKEN, WORKATO_REGION or WORKATO_URL, EXTRACTS_DIR, EXTRACT_LINES and EXTRACT_MINUTES, or by
extraction.toml. Exit code 0: everything was extracted; 1: some of it, and a run can use what was written; 2: nothing.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "plugins"))


def main() -> int:
    """Run one extraction; returns the exit code."""
    if importlib.util.find_spec("dlt") is None:
        print("The packages of the extraction are not installed: make extract installs them.", file=sys.stderr)
        return 2
    # imported here: dlt takes a second
    from progress import Progress, terminal

    from extraction.pacing import Pace
    from extraction.running import extract
    from extraction.settings import FILE, SettingsProblem, read_settings

    try:
        settings = read_settings(os.environ, PROJECT / FILE)
    except SettingsProblem as problem:
        print(problem, file=sys.stderr)
        return 2
    pace = Pace(settings.limits, settings.minutes)

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends it at once
        pace.stop(f"Stopped by {signal.Signals(number).name}.")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return extract(settings, Progress(lambda text: print(text, flush=True), terminal()), pace)


if __name__ == "__main__":
    sys.exit(main())
