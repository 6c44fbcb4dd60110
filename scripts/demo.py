"""Shows everything on made-up data: a fake platform on loopback, its extraction, a build and an opened dashboard.

    make demo

The fake platform has the sample world, at the time of each of its listings, one after the other. What the platform's
API lacks is copied as files, as a person or another export would keep it. Writes target/demo only. Exit code 0 if the
dashboard was written, otherwise that of the command that failed.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import webbrowser
from datetime import datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT / name) for name in ("plugins", "tests", "tests/extraction")] + [str(PROJECT)]

from fake_platform import TOKEN, FakePlatform  # noqa: E402
from platform_worlds import PlatformWorld, listing_times  # noqa: E402
from progress import Progress, terminal  # noqa: E402
from reference.files import as_csv, write_text  # noqa: E402

from extraction.running import ALL, extract  # noqa: E402
from extraction.settings import Settings  # noqa: E402

OWN_ACCOUNT = "1008"  # the sample's account with genies, played by the own workspace
NO_LIMITS = {"fast": 0, "slow": 0, "agentic": 0}


def main() -> int:
    """Extract, build, write the dashboard, and open it if there is a browser; returns the exit code."""
    folder = Path(os.environ.get("DEMO_DIR") or PROJECT / "target" / "demo").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    extracts, warehouse = folder / "extracts", folder / "warehouse"
    progress = Progress(lambda text: print(text, flush=True), terminal())
    progress.line("A fake platform serves the sample world on loopback.")
    if failed := extract_sample(extracts, progress):
        return failed
    variables = {"EXTRACTS_DIR": str(extracts), "WAREHOUSE_DIR": str(warehouse), "AS_OF_DATE": ""}
    environment = {"DBT_EXCLUDE_RESOURCE_TYPES": "unit_test"} | os.environ | variables
    environment |= {
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DO_NOT_TRACK": "1",
    }
    progress.line("Building the warehouse, which takes less than a minute")
    for command in (
        [sys.executable, "-m", "dbt.cli.main", "--quiet", "build"],
        [sys.executable, "-m", "dashboard", "site"],
    ):
        done = subprocess.run(command, cwd=PROJECT, env=environment)
        if done.returncode:
            return done.returncode
    page = warehouse / "dashboard" / "index.html"
    is_opened = has_screen() and webbrowser.open(page.as_uri())
    print(f"{'Opened' if is_opened else 'Open in a browser:'} {page}")
    return 0


def extract_sample(extracts: Path, progress: Progress) -> int:
    """Extract the sample at the time of each of its listings; returns the exit code of the first that failed."""
    rows = sample_rows()
    moments = listing_times(rows)
    world = PlatformWorld(rows, moments, OWN_ACCOUNT)
    platform = FakePlatform(world.contents_at(moments[0]))
    with platform.serving() as url:
        settings = Settings(
            url=url, token=TOKEN, extracts=extracts, lines=True, own_account_id=OWN_ACCOUNT, limits=NO_LIMITS
        )
        for moment in moments:
            platform.contents = world.contents_at(moment)
            progress.line(f"{moment:%d %B %Y}:")
            if failed := extract(settings, progress, now=platform_clock(platform)):
                return failed
    progress.line(f"{len(platform.asked):,} requests. Copying what the API lacks.")
    for extract_name, of in world.kept_by_hand().items():
        write_text(extracts / extract_name / "by-hand.csv", as_csv(of, list(of[0])))
    streamed = "".join(f"{row['record']}\n" for row in rows["job_history"])
    write_text(extracts / "job_history" / "streamed.json", streamed)
    return ALL


def platform_clock(platform: FakePlatform):
    """A clock of this machine that agrees with the platform's."""

    def now() -> datetime:
        return platform.contents.now

    return now


def sample_rows() -> dict[str, list[dict[str, str]]]:
    """The rows of the sample seeds by extract."""
    csv.field_size_limit(1 << 24)
    rows = {}
    for path in sorted((PROJECT / "seeds" / "extracts").glob("raw_*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows[path.stem.removeprefix("raw_")] = list(csv.DictReader(file))
    return rows


def has_screen() -> bool:
    """Whether a browser could show a page: on Linux there must be a display."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main())
