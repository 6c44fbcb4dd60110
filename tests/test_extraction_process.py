"""The command itself: exit codes, real kills and signals, and a token that nobody sees."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from building import PROJECT

sys.path.append(str(Path(__file__).parent / "extraction"))
from extracting import extracting
from fake_platform import BROKEN, FORBIDDEN, TOKEN, WEB_PAGE, Contents

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
JOBS = 60


@pytest.fixture
def platform(tmp_path):
    """A platform with a recipe of 60 jobs; the command writes to ``extracts``."""
    job = {"status": "succeeded", "started_at": "2026-03-01T10:00:00Z", "completed_at": "2026-03-01T10:00:00Z"}
    world = Contents(
        now=NOON,
        customers=[{"id": 1}],
        recipes={"1": [{"id": 7}]},
        jobs={("1", "7"): [job | {"id": f"j-{n}", "lines": []} for n in range(JOBS)]},
    )
    with extracting(world, tmp_path / "extracts") as started:
        started.platform.home = tmp_path / "home"
        started.platform.home.mkdir()
        yield started


# The command without the platform's limits: tests of these are in test_extraction_pace.py.
UNLIMITED = "from extraction import endpoints; endpoints.LIMITS.update(dict.fromkeys(endpoints.LIMITS, 0)); "
COMMAND = "import runpy; runpy.run_module('extraction', run_name='__main__')"
SMALL_DISK = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
SMALL_DISK += "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "


def start(started, first="", **variables):
    """Start ``python -m extraction`` after some lines of code."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WORKATO", "EXTRACT"))}
    environment |= {"WORKATO_TOKEN": TOKEN, "WORKATO_URL": started.url, "EXTRACTS_DIR": str(started.folder)}
    environment |= {"EXTRACT_LINES": "1", "HOME": str(started.platform.home)} | variables
    command = [sys.executable, "-c", f"{first}{UNLIMITED}{COMMAND}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=PROJECT, env=environment, **pipes)


def run(started, first="", **variables):
    """(exit code, output) of a command."""
    process = start(started, first, **variables)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def jobs_of(started):
    return {row["id"] for row in started.rows("job_history")}


def signalled_at(started, path, number):
    """A fault that sends a signal to the process that asks for the path, once."""

    def send(asked):
        process = getattr(started, "process", None)
        if process and path in asked.path:
            started.process = None
            process.send_signal(number)
            if number == signal.SIGKILL:
                process.wait()

    started.platform.faults = send


class TestCommand:
    def test_everything_is_extracted_and_nothing_else_is_written(self, platform):
        code, output = run(platform)
        assert (code, output.splitlines()[-1]) == (0, "Extracted everything."), output
        assert jobs_of(platform) == {f"j-{n}" for n in range(JOBS)}
        assert list(platform.platform.home.iterdir()) == []

    def test_partly_and_nothing_have_exit_codes_of_their_own(self, platform):
        platform.platform.faults = lambda asked: FORBIDDEN if asked.path.endswith("/connections") else None
        assert run(platform)[0] == 1
        assert run(platform, WORKATO_TOKEN="another")[0] == 2
        code, output = run(platform, WORKATO_URL="", WORKATO_REGION="mars")
        assert (code, output) == (
            2,
            "WORKATO_REGION=mars is unknown. Set WORKATO_REGION to us, eu, jp, sg, au, in, il, or WORKATO_URL to the "
            "address in your browser's bar.\n",
        )

    def test_killed_twice_it_loses_nothing(self, platform):
        """SIGKILL while the listings are read, then while jobs are read."""
        for path in ("/recipes", "/jobs/j-3"):
            platform.process = None
            signalled_at(platform, path, signal.SIGKILL)
            process = start(platform)
            platform.process = process
            process.communicate(timeout=60)
            assert process.returncode == -signal.SIGKILL
        platform.platform.faults = lambda asked: None
        assert run(platform)[0] == 0
        assert jobs_of(platform) == {f"j-{n}" for n in range(JOBS)}

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_stops_it_cleanly(self, platform, number):
        """What came before is written, and the next extraction reads the rest."""
        signalled_at(platform, "/jobs/j-30", number)
        platform.process = process = start(platform)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 1, output
        assert f"Stopped by {number.name}." in output
        some = jobs_of(platform)
        assert len(some) < JOBS
        platform.platform.faults = lambda asked: None
        assert run(platform)[0] == 0
        assert some < jobs_of(platform) == {f"j-{n}" for n in range(JOBS)}

    def test_a_disk_that_takes_no_more_bytes_leaves_no_half_file(self, platform):
        """No file may be larger than 2,000 bytes: the first that is stops the extraction."""
        code, output = run(platform, SMALL_DISK)
        assert code == 1, output
        assert "cannot be written" in output
        for file in platform.files():
            duckdb.sql(f"from '{platform.folder / file}'").fetchall()
        assert run(platform)[0] == 0
        assert jobs_of(platform) == {f"j-{n}" for n in range(JOBS)}


class TestToken:
    @pytest.mark.parametrize("fault", [None, BROKEN, FORBIDDEN, WEB_PAGE])
    def test_no_line_and_no_file_has_the_token(self, platform, fault):
        platform.platform.faults = lambda asked: (
            fault if asked.path.endswith("/recipes") and asked.attempt < 2 else None
        )
        # every library says all it knows
        code, output = run(platform, RUNTIME__LOG_LEVEL="DEBUG", PYTHONWARNINGS="always")
        assert code in (0, 1)
        assert output.count("Extract") > 1
        assert TOKEN not in output
        files = [path for path in platform.folder.rglob("*") if path.is_file()]
        assert len(files) > 5
        assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
