"""The ready files of deploy are read by their own tools, and what they start is the scheduled run with its settings.

Airflow, Dagster and the linter of Dockerfiles are in an environment of their own: tests/schedulers.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from building import PROJECT, run_make
from crontab import CronTab

sys.path.insert(0, str(PROJECT))
sys.path.insert(0, str(PROJECT / "plugins"))

from scheduled_run.settings import NOT_OF_STEPS, read_settings

DEPLOY = PROJECT / "deploy"
INSTALLED, SETTINGS = "/opt/embedded-usage", "/etc/embedded-usage.env"
STARTS = ".venv/bin/python -m scheduled_run"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder in place of the installed project, whose Python prints what it is given; and settings beside it."""
    python = tmp_path / "project" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$PWD: $* with $VARS" >&2\n')
    python.chmod(0o755)
    (tmp_path / "settings.env").write_text("VARS='{reporting_timezone: Europe/Berlin}'\n")
    return tmp_path / "project"


def placed(file: Path, installed: Path) -> str:
    """A ready file, for the folders of the test."""
    text = file.read_text(encoding="utf-8")
    return text.replace(INSTALLED, str(installed)).replace(SETTINGS, str(installed.with_name("settings.env")))


def systemd_says(*units: Path) -> str:
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    return verified.stdout + verified.stderr


@pytest.fixture
def units(installed: Path, tmp_path: Path) -> list[Path]:
    if not shutil.which("systemd-analyze"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no systemd-analyze: it is in Debian's package systemd")
    units = [tmp_path / f"embedded-usage.{kind}" for kind in ("service", "timer")]
    for unit in units:
        unit.write_text(placed(DEPLOY / "systemd" / unit.name, installed), encoding="utf-8")
    return units


class TestSystemd:
    def test_systemd_accepts_the_units(self, units):
        assert systemd_says(*units) == ""

    @pytest.mark.parametrize(
        ("right", "wrong", "said"),
        [
            ("KillMode=mixed", "KillMode=mixt", "Failed to parse kill mode"),
            ("WorkingDirectory=", "WorkingDir=", "Unknown key 'WorkingDir'"),
            ("bin/python", "bin/python4", "is not executable"),
            ("OnCalendar=*-*-* 04:30:00", "OnCalendar=every morning", "Failed to parse calendar specification"),
        ],
    )
    def test_systemd_would_name_a_mistake(self, units, right, wrong, said):
        for unit in units:
            unit.write_text(unit.read_text().replace(right, wrong))
        assert said in systemd_says(*units)

    def test_the_service_starts_the_run_in_the_projects_folder(self, units, installed):
        service = units[0].read_text()
        assert f"WorkingDirectory={installed}\n" in service
        assert f"ExecStart={installed}/{STARTS}\n" in service


class TestCron:
    def test_cron_reads_one_line_that_runs_every_morning(self):
        table = CronTab(tabfile=str(DEPLOY / "crontab"))
        (job,) = table
        assert job.is_valid()
        assert str(job.slices) == "30 4 * * *"
        assert job.env.all() == {"SHELL": "/bin/sh", "MAILTO": "data@example.com"}

    def test_its_command_starts_the_run_with_the_settings(self, installed, tmp_path):
        table = CronTab(tab=placed(DEPLOY / "crontab", installed))
        (job,) = table
        command = [job.env["SHELL"], "-c", job.command]
        ended = subprocess.run(command, cwd="/", env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
        assert (ended.returncode, ended.stdout) == (0, "")
        assert ended.stderr == f"{installed}: -m scheduled_run with {{reporting_timezone: Europe/Berlin}}\n"

    def test_a_line_with_a_mistake_would_not_be_valid(self, tmp_path):
        table = tmp_path / "crontab"
        table.write_text((DEPLOY / "crontab").read_text().replace("30 4 *", "30 25 *"))
        assert not any(job.is_valid() for job in CronTab(tabfile=str(table)))


class TestActions:
    WORKFLOW = DEPLOY / "github-actions" / "embedded-usage.yml"

    def check(self, workflow: Path) -> subprocess.CompletedProcess[str]:
        schema = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
        return subprocess.run([*schema, workflow], capture_output=True, text=True)

    def test_the_workflow_follows_the_schema_of_github(self, tmp_path):
        checked = self.check(self.WORKFLOW)
        assert checked.returncode == 0, checked.stdout
        wrong = tmp_path / "workflow.yml"
        wrong.write_text(self.WORKFLOW.read_text().replace("timeout-minutes", "timeout"))
        assert self.check(wrong).returncode == 1

    def test_it_starts_the_run_after_installing_what_is_pinned(self):
        (job,) = yaml.safe_load(self.WORKFLOW.read_text())["jobs"].values()
        assert [step["run"] for step in job["steps"] if "run" in step] == [
            "make .venv/run.stamp .venv/extract.stamp .venv/store.stamp",
            STARTS,
        ]

    def test_its_secrets_are_secrets(self):
        (job,) = yaml.safe_load(self.WORKFLOW.read_text())["jobs"].values()
        hidden = {name for name, value in job["env"].items() if "secrets." in str(value)}
        assert hidden == {name for name in job["env"] if re.search("TOKEN|WEBHOOK|PASSWORD", name)} != set()


def test_the_file_of_settings_is_read_by_the_shell_and_names_every_setting(tmp_path):
    text = (DEPLOY / "embedded-usage.env").read_text(encoding="utf-8")
    everything = tmp_path / "settings.env"
    everything.write_text(re.sub(r"^#(?=[A-Z])", "", text, flags=re.MULTILINE))
    read = ["sh", "-c", f"set -a; . {shlex.quote(str(everything))}; env -0"]
    printed = subprocess.run(read, env={}, capture_output=True, text=True, check=True).stdout
    given = dict(line.split("=", 1) for line in printed.split("\0") if "=" in line)
    settings = read_settings(given, tmp_path, tmp_path)
    assert settings.mail and settings.mail.recipients == ("finance@example.com", "data@example.com")
    assert (settings.usage_from, settings.findings_limit) == (80, 100)
    assert settings.variables == "{reporting_timezone: UTC}"
    not_shown = {"SMTP_PORT", "SMTP_SECURITY", "MAKEFLAGS", "MFLAGS"}  # they have defaults, or are of make
    assert {name for name in NOT_OF_STEPS if name not in given} == not_shown


@pytest.mark.parametrize(
    ("settings", "installs"),
    [
        ({}, set()),
        ({"WORKATO_TOKEN": "$(error a token) 'of any text'"}, {"requirements-extract.txt"}),
        ({"EXTRACTS_DIR": "/data", "JOB_HISTORY_DIR": "s3://bucket/prefix"}, {"requirements-store.txt"}),
        ({"WORKATO_TOKEN": "t", "EXTRACTS_DIR": "az://b"}, {"requirements-extract.txt", "requirements-store.txt"}),
    ],
)
def test_make_installs_what_the_settings_of_a_scheduled_run_need(settings, installs, tmp_path):
    (tmp_path / "run.stamp").touch()
    planned = run_make(
        "scheduled-run", "--dry-run", f"VENV={tmp_path}", f"--assume-old={tmp_path}/run.stamp", **settings
    )
    assert planned.returncode == 0, planned.stderr
    assert set(re.findall(r"requirements-\w+\.txt", planned.stdout)) == installs
    assert "-m scheduled_run" in planned.stdout


def test_the_page_on_scheduling_describes_every_setting_and_every_file():
    page = (PROJECT / "docs" / "scheduling.md").read_text(encoding="utf-8")
    settings = [name for name in NOT_OF_STEPS if not name.startswith(("MAKE", "MFLAGS"))]
    names = [*settings, "STATEMENTS_FOR", "VARS", "WORKATO_TOKEN", "EXTRACTS_DIR", "WAREHOUSE_DIR"]
    assert [name for name in names if f"| `{name}` |" not in page] == []
    files = [path.relative_to(PROJECT).as_posix() for path in DEPLOY.rglob("*") if path.is_file()]
    assert [name for name in files if f"({Path('..', name)})" not in page and not name.endswith("ignore")] == []


def test_the_container_runs_as_a_user_without_rights():
    lines = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["10001:10001"]
    assert lines[-1] == 'ENTRYPOINT ["/opt/embedded-usage/.venv/bin/python", "-m", "scheduled_run"]'
