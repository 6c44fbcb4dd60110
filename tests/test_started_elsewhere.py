"""Every command works from any folder, over a project that nobody may write to, by dbt's command line or its runner.

One real build carries most of it: the project lies in a folder with a blank and a quote, is read-only and named through
a symbolic link; dbt is started in another folder, with relative paths, in another time zone and locale, in one thread.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from builders import FIRST
from building import PROJECT, VARS, Build
from dbt_forks import Forks
from reference.files import write_world

PARTS = ("dbt_project.yml", "profiles", "models", "seeds", "macros", "plugins", "dashboard", "analyses", "tests/data")
WITH_VARS = ("--vars", json.dumps(VARS))

RUNNER = """
import json, os, sys
from dbt.cli.main import dbtRunner

for arguments in json.loads(sys.argv[1]):
    result = dbtRunner().invoke(arguments)
    if not result.success:
        sys.exit(f"{arguments}: {result.exception}")
"""


class Place:
    """A copy of the project, another folder to start in, and commands started there."""

    def __init__(self, folder: Path, forks: Forks) -> None:
        self.forks = forks
        self.real = folder / "it's a project"
        self.link = folder / "link"
        self.start = folder / "started here"
        self.target = folder / "target"
        for part in PARTS:
            source, copy = PROJECT / part, self.real / part
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, copy)
        (self.real / "profiles.yml").symlink_to("profiles/profiles.yml")
        (self.real / "scripts").mkdir()
        shutil.copyfile(PROJECT / "scripts" / "explain.py", self.real / "scripts" / "explain.py")
        self.link.symlink_to(self.real.name)
        self.start.mkdir()

    def lay_extracts(self) -> None:
        """``extracts`` where commands start is a link to a folder of links to files."""
        write_world(FIRST, self.start / "delivered", "csv", split=1, ragged=False)
        for file in (self.start / "delivered").rglob("*.csv"):
            link = self.start / "linked" / file.relative_to(self.start / "delivered")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
        (self.start / "extracts").symlink_to("linked")

    def environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DBT_", "LC_")) and name not in ("WAREHOUSE_DIR", "EXTRACTS_DIR", "AS_OF_DATE")
        }
        own = {
            "EXTRACTS_DIR": "extracts",
            "DBT_TARGET_PATH": str(self.target),
            "DBT_LOG_PATH": str(self.target),
            "DO_NOT_TRACK": "1",
        }
        return inherited | own

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.start,
            env=self.environment() | environment,
            capture_output=True,
            text=True,
        )

    def dbt(self, *arguments: str | Path, folder: Path | None = None, **environment: str) -> str:
        """What a dbt command prints; its failure fails the test. A fork; the build alone starts as users do."""
        given = ["--no-use-colors", *map(str, arguments), *WITH_VARS]
        output = self.target.with_name("output.txt")
        command = self.forks.start(given, self.environment() | environment, folder or self.start, output)
        exit_code = command.wait()
        assert exit_code == 0, output.read_text()[-3000:]
        return output.read_text()

    def state(self) -> dict[Path, tuple]:
        """Each path of the project, with what changes when it is written to. Python's caches are nobody's doing."""
        files = [path for path in self.real.rglob("*") if "__pycache__" not in path.parts]
        stats = {path: path.lstat() for path in files}
        return {
            path: (stat.st_mode, None if path.is_dir() else (stat.st_size, stat.st_mtime_ns))
            for path, stat in stats.items()
        }

    def permit(self, writing: bool) -> None:
        """Take the right to write to the project, which binds everybody but root, or give it back."""
        for path in [self.real, *self.real.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o200 if writing else path.stat().st_mode & ~0o222)


@pytest.fixture(scope="class")
def place(tmp_path_factory, forks):
    place = Place(tmp_path_factory.mktemp("elsewhere"), forks)
    place.lay_extracts()
    place.permit(writing=False)
    yield place
    place.permit(writing=True)


class TestElsewhere:
    @pytest.fixture(scope="class")
    def before(self, place):
        return place.state()

    @pytest.fixture(scope="class")
    def built(self, place, before):
        arguments = ["--project-dir", "../link", "--profiles-dir", "../link", "--threads", "1"]
        leave_out = ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
        command = ["-m", "dbt.cli.main", "--no-use-colors", "build", *arguments, *leave_out, *WITH_VARS]
        done = place.run(*command, WAREHOUSE_DIR="my warehouse", TZ="Pacific/Kiritimati", LC_ALL="tr_TR.UTF-8")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return Build(0, done.stdout, place.start / "my warehouse")

    @pytest.fixture(scope="class")
    def plain(self, build):
        """The same world built in the project's folder."""
        return build(FIRST)

    def test_a_build_from_another_folder_gives_the_same_rows(self, built, plain):
        schemas = ("marts", "metering", "audit", "rules")
        assert built.tables(*schemas) == plain.tables(*schemas)

    def test_relative_paths_are_below_the_folder_where_the_command_starts(self, place, built):
        assert {path.name for path in place.start.iterdir()} == {"delivered", "linked", "extracts", "my warehouse"}
        assert "Published my warehouse/usage.duckdb" in built.output

    def test_the_next_run_sees_a_change_of_the_code_from_any_folder(self, built, plain):
        """It has looked at the project's code, and not at what happens to lie where it was started."""
        noted = []
        for warehouse in (built.warehouse, plain.warehouse):
            with duckdb.connect(warehouse / "build" / "usage.duckdb", read_only=True) as database:
                noted += database.execute("select facts_fingerprint from run_state.watermark").fetchall()
        assert noted[0] == noted[1]

    def test_explain_finds_the_same_relative_warehouse(self, place, built):
        explain = [place.link / "scripts" / "explain.py", "--job", "j-1"]
        asked = place.run("-B", *explain, WAREHOUSE_DIR="my warehouse")
        assert (asked.returncode, asked.stderr) == (0, "")
        assert "Sum: 2 business actions, 1 task" in asked.stdout

    @pytest.mark.parametrize(
        ("project", "profiles"),
        [("../it's a project", "../link/profiles"), ("{real}", "{link}")],
    )
    def test_the_plugin_is_found_beside_the_profile(self, place, built, project, profiles):
        project, profiles = (text.format(real=place.real, link=place.link) for text in (project, profiles))
        arguments = ["--project-dir", project, "--profiles-dir", profiles]
        assert "Connection test: [OK" in place.dbt("debug", "--connection", *arguments, WAREHOUSE_DIR="my warehouse")

    def test_environment_variables_name_the_project_as_well(self, place, built, tmp_path):
        """With a profile of one's own that lies elsewhere, too."""
        shutil.copyfile(place.real / "profiles" / "profiles.yml", tmp_path / "profiles.yml")
        for profiles in ("../link", str(tmp_path)):
            named = {"DBT_PROJECT_DIR": str(place.link), "DBT_PROFILES_DIR": profiles}
            assert "Connection test: [OK" in place.dbt("debug", "--connection", WAREHOUSE_DIR="my warehouse", **named)

    def test_the_runner_works_more_than_once_in_a_process(self, place, built):
        arguments = ["--project-dir", "../link", "--profiles-dir", "../link"]
        invocations = [["run-operation", "take_in", *arguments, *WITH_VARS], ["parse", *arguments, *WITH_VARS]]
        done = place.run("-c", RUNNER, json.dumps(invocations), WAREHOUSE_DIR="my warehouse")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "No new files" in done.stdout

    def test_nothing_of_this_wrote_to_the_project(self, place, before, built):
        """After the build and the other commands; those that come now may write."""
        assert place.state() == before

    @pytest.mark.parametrize(
        ("folder", "named"), [("started here", {}), ("it's a project/models", {"WAREHOUSE_DIR": ""})]
    )
    def test_without_a_name_the_warehouse_is_the_projects(self, place, built, folder, named):
        place.permit(writing=True)
        link = "../link" if folder == "started here" else place.link
        arguments = ["--project-dir", link, "--profiles-dir", link]
        (place.real / "models" / "extracts").symlink_to(place.start / "extracts")
        place.dbt("run-operation", "take_in", *arguments, folder=place.real.parent / folder, **named)
        assert {path.name for path in (place.real / "warehouse").iterdir()} == {"build", "deliveries"}
        assert {path.name for path in place.start.iterdir()} == {"delivered", "linked", "extracts", "my warehouse"}
        assert not (place.real / "models" / "warehouse").exists()
        shutil.rmtree(place.real / "warehouse")
        (place.real / "models" / "extracts").unlink()
