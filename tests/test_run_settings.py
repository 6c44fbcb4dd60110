"""The settings of a scheduled run: a wrong one is named, and each reaches the steps that need it, and no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from building import PROJECT, run_make
from run_place import PATH

from scheduled_run.settings import SettingsProblem, read_settings
from scheduled_run.steps import steps_of

MAIL = {"NOTIFY_EMAIL_TO": "a@example.com", "NOTIFY_EMAIL_FROM": "b@example.com", "SMTP_HOST": "mail"}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"NOTIFY_WEBHOOK": "hooks.example.com/SECRET"}, "NOTIFY_WEBHOOK is not a web address: write it as https://…."),
        ({"NOTIFY_WEBHOOK": "https://host:port/SECRET"}, "NOTIFY_WEBHOOK is not a web address: write it as https://…."),
        ({"NOTIFY_FINDINGS": "many"}, "NOTIFY_FINDINGS is 'many': it must be a whole number, such as 80."),
        ({"NOTIFY_USAGE_PERCENT": "80%"}, "NOTIFY_USAGE_PERCENT is '80%': it must be a whole number, such as 80."),
        (
            {"KEEP_MONTHS": "12"},
            "KEEP_MONTHS=12 must be a whole number of months from 13 to 1200, such as 25: the current month and the "
            "twelve before it keep their texts, because customers ask about them.",
        ),
        (MAIL | {"SMTP_HOST": ""}, "NOTIFY_EMAIL_TO is set, and SMTP_HOST is not: set it, too."),
        (MAIL | {"NOTIFY_EMAIL_FROM": ""}, "NOTIFY_EMAIL_TO is set, and NOTIFY_EMAIL_FROM is not: set it, too."),
        (
            MAIL | {"NOTIFY_EMAIL_TO": "a@example.com, nobody"},
            "NOTIFY_EMAIL_TO has 'nobody': write an e-mail address, such as data@example.com.",
        ),
        (MAIL | {"SMTP_SECURITY": "ssl"}, "SMTP_SECURITY is 'ssl': it must be starttls, tls or none."),
        (MAIL | {"SMTP_PASSWORD": "SECRET"}, "Set both SMTP_USER and SMTP_PASSWORD, or neither."),
        (
            MAIL | {"SMTP_USER": "me", "SMTP_PASSWORD": "SECRET", "SMTP_SECURITY": "none"},
            "SMTP_SECURITY=none would send SMTP_PASSWORD unencrypted: set starttls or tls.",
        ),
    ],
)
def test_a_wrong_setting_is_named_without_the_value_of_a_secret(environment, said, tmp_path):
    with pytest.raises(SettingsProblem) as problem:
        read_settings(environment, tmp_path, tmp_path)
    assert str(problem.value) == said


def command_line(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, PROJECT / "scheduled_run", *arguments]
    return subprocess.run(command, cwd=folder, env=PATH | environment, capture_output=True, text=True)


def test_with_a_wrong_setting_nothing_is_done(tmp_path):
    ended = command_line(tmp_path, WAREHOUSE_DIR="warehouse", NOTIFY_FINDINGS="-1")
    assert (ended.returncode, ended.stdout) == (5, "")
    assert ended.stderr == "NOTIFY_FINDINGS is '-1': it must be a whole number, such as 80.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_warehouse_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "warehouse").touch()
    ended = command_line(tmp_path, WAREHOUSE_DIR="warehouse")
    assert ended.returncode == 5
    assert ended.stderr.startswith(f"WAREHOUSE_DIR={tmp_path / 'warehouse'} cannot be written: ")


def test_an_argument_is_answered_with_the_exit_codes(tmp_path):
    asked, wrong = command_line(tmp_path, "--help"), command_line(tmp_path, "--force")
    assert (asked.returncode, wrong.returncode) == (0, 5)
    assert "4 another scheduled run is active" in asked.stdout == wrong.stdout


def test_the_steps_are_those_that_the_settings_ask_for(tmp_path):
    def commands(project: Path, **environment: str) -> list[list[str]]:
        steps = steps_of(read_settings(environment, project, tmp_path), project)
        return [[part for part in step.command[1:] if part != "--no-use-colors"] for step in steps]

    build = ["-m", "dbt.cli.main", "build", "--exclude-resource-type", "unit_test"]
    dashboard = ["-m", "dashboard", "site"]
    assert commands(tmp_path) == [build, dashboard]
    assert commands(tmp_path, KEEP_MONTHS="25") == [build, ["scripts/compact.py"], dashboard]
    assert commands(tmp_path, WORKATO_TOKEN="t", VARS="{a: $b}", STATEMENTS_FOR="list.txt") == [
        ["-m", "extraction"],
        [*build, "--vars", "{a: $b}"],
        dashboard,
        ["-m", "dashboard", "statements", "--listed-in", str(tmp_path / "list.txt")],
    ]
    (tmp_path / "extraction.toml").touch()
    assert commands(tmp_path)[0] == ["-m", "extraction"]


def test_relative_folders_are_those_of_the_folder_in_which_the_run_starts(tmp_path):
    given = {"EXTRACTS_DIR": "extracts", "JOB_HISTORY_DIR": "s3://bucket/jobs", "WAREHOUSE_DIR": "warehouse"}
    environment = read_settings(given, Path("/project"), tmp_path).environment
    assert {name: environment[name] for name in given} == {
        "EXTRACTS_DIR": str(tmp_path / "extracts"),
        "JOB_HISTORY_DIR": "s3://bucket/jobs",
        "WAREHOUSE_DIR": str(tmp_path / "warehouse"),
    }
    assert read_settings({}, Path("/project"), tmp_path).warehouse == Path("/project/warehouse")


def test_make_hands_over_each_setting_unchanged(tmp_path):
    """The command itself is replaced by one that prints its environment."""
    (tmp_path / "python").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "python").chmod(0o755)
    value = 'it\'s $(HOME) "$HOME" `id`'
    names = ["NOTIFY_WEBHOOK", "SMTP_PASSWORD", "NOTIFY_EMAIL_TO", "STATEMENTS_FOR", "VARS", "WAREHOUSE_DIR"]
    given = {f"{name}={value}" for name in names}
    ended = run_make("scheduled-run", "VENV=.venv", "--assume-old=.venv/run.stamp", f"BIN={tmp_path}", *given)
    assert {line for line in ended.stdout.splitlines() if line.split("=")[0] in names} == given
