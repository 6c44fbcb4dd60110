"""The configuration of an extraction: what is missing or wrong is named with what to do, and no one sees the token."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from building import PROJECT

sys.path.append(str(PROJECT))
from extraction.endpoints import REGIONS
from extraction.settings import KEYS, SettingsProblem, read_settings

TOKEN = "wrkaus-a-token-that-nobody-may-see"
BASIC = {"WORKATO_TOKEN": TOKEN, "WORKATO_REGION": "eu", "EXTRACTS_DIR": "/data/extracts"}
NO_FILE = Path("/no such file")


@pytest.fixture
def file(tmp_path):
    """Writes extraction.toml."""

    def write(text):
        path = tmp_path / "extraction.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def test_three_variables_suffice():
    settings = read_settings(BASIC, NO_FILE)
    assert (settings.url, settings.token, settings.extracts) == (
        "https://app.eu.workato.com",
        TOKEN,
        Path("/data/extracts"),
    )
    assert (settings.lines, settings.minutes, settings.limits) == (
        False,
        None,
        {"fast": 1000, "slow": 60, "agentic": 600},
    )


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_has_its_address(region):
    url = read_settings(BASIC | {"WORKATO_REGION": region.upper()}, NO_FILE).url
    assert url == ("https://www.workato.com" if region == "us" else f"https://app.{region}.workato.com")


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://app.example.com/", "https://app.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_an_address_wins_over_a_region(url, read):
    assert read_settings(BASIC | {"WORKATO_URL": url}, NO_FILE).url == read


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WORKATO_TOKEN": ""}, "There is no token. Set WORKATO_TOKEN"),
        ({"WORKATO_TOKEN": "two words"}, "WORKATO_TOKEN is no token"),
        ({"WORKATO_TOKEN": "tökén"}, "WORKATO_TOKEN is no token"),
        ({"WORKATO_TOKEN": "a\nb"}, "WORKATO_TOKEN is no token"),
        ({"WORKATO_REGION": ""}, "Neither WORKATO_REGION nor WORKATO_URL is set. Set WORKATO_REGION to us, eu"),
        ({"WORKATO_REGION": "mars"}, "WORKATO_REGION=mars is unknown. Set WORKATO_REGION to us, eu"),
        ({"WORKATO_URL": "http://www.workato.com"}, "WORKATO_URL must be the base address"),
        ({"WORKATO_URL": "https://me:secret@www.workato.com"}, "neither path nor password"),
        ({"WORKATO_URL": "https://www.workato.com/api"}, "WORKATO_URL must be the base address"),
        ({"WORKATO_URL": "www.workato.com"}, "WORKATO_URL must be the base address"),
        ({"EXTRACTS_DIR": ""}, "EXTRACTS_DIR is not set"),
        ({"EXTRACTS_DIR": "s3://bucket/x"}, "EXTRACTS_DIR=s3://bucket/x is no local folder"),
        ({"EXTRACT_LINES": "1", "JOB_HISTORY_DIR": "s3://bucket/jobs"}, "Choose one source of jobs"),
        ({"EXTRACT_LINES": "maybe"}, "EXTRACT_LINES=maybe is neither 1 nor 0"),
        ({"EXTRACT_MINUTES": "soon"}, "EXTRACT_MINUTES=soon is no number"),
        ({"EXTRACT_MINUTES": "0"}, "EXTRACT_MINUTES=0 is no time budget"),
        ({"EXTRACT_MINUTES": "-5"}, "EXTRACT_MINUTES=-5 is no time budget"),
        ({"EXTRACT_MINUTES": "nan"}, "EXTRACT_MINUTES=nan is no time budget"),
        ({"EXTRACT_MINUTES": "inf"}, "EXTRACT_MINUTES=inf is no time budget"),
    ],
)
def test_a_wrong_variable_is_named_with_what_to_do(variables, said):
    with pytest.raises(SettingsProblem, match=re.escape(said)):
        read_settings(BASIC | variables, NO_FILE)


def test_the_file_has_everything_and_the_environment_wins(file):
    path = file(
        f"""
        token = "{TOKEN}"
        url = "https://platform.example"
        extracts_dir = "/data/of/file"
        lines = true
        minutes = 90
        leave_out = ["genie_prompts"]
        own_account_id = "12"
        expired_plan_ids = ["free"]
        safety_hours = 6
        threads = 2
        [limits]
        slow = 30
        """
    )
    settings = read_settings({}, path)
    assert {key for key in KEYS if key in path.read_text()} == set(KEYS) - {"region"}
    assert (settings.url, settings.token, settings.extracts) == (
        "https://platform.example",
        TOKEN,
        Path("/data/of/file"),
    )
    assert (settings.lines, settings.minutes, settings.safety_hours, settings.threads) == (True, 90, 6, 2)
    assert (settings.leave_out, settings.own_account_id, settings.expired_plan_ids) == (
        ("genie_prompts",),
        "12",
        ("free",),
    )
    assert settings.limits == {"fast": 1000, "slow": 30, "agentic": 600}
    assert settings.notes == ()

    other = read_settings(BASIC | {"EXTRACT_LINES": "0", "EXTRACT_MINUTES": "5"}, path)
    assert (other.url, other.extracts, other.lines, other.minutes) == (
        "https://app.eu.workato.com",
        Path("/data/extracts"),
        False,
        5,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("token = ", "cannot be read"),
        ("tokken = 'x'", "contains 'tokken', which is unknown. Do you mean token?"),
        ("lines = 'yes'", "lines in"),
        ("minutes = true", "must be a number"),
        ("threads = 1.5", "must be a whole number"),
        ("threads = true", "must be a whole number"),
        ("leave_out = ['conections']", "leave_out contains 'conections', which is unknown. Do you mean connections?"),
        ("leave_out = ['customers']", "which is unknown. It may contain: connections, api_collections"),
        ("safety_hours = -1", "safety_hours must be a number that is not negative"),
        ("[limits]\nquick = 1", "limits contains 'quick'"),
        ("[limits]\nslow = 'x'", "limits.slow must be a number"),
        ("[limits]\nslow = -1", "limits.slow must be a number that is not negative"),
    ],
)
def test_a_wrong_file_is_named_with_what_to_do(file, text, said):
    with pytest.raises(SettingsProblem, match=re.escape(said)):
        read_settings(BASIC, file(text))


def test_a_token_that_others_can_read_is_named(file):
    path = file(f"token = '{TOKEN}'")
    path.chmod(0o644)
    assert read_settings(BASIC, path).notes == (
        f"Other users of this machine can read the token in {path}: chmod 600 extraction.toml.",
    )


@pytest.mark.parametrize(
    "variables",
    [{"JOB_HISTORY_DIR": "s3://bucket/jobs"}, {"JOB_HISTORY_DIR": "/data/extracts/job_history", "EXTRACT_LINES": "1"}],
)
def test_streamed_files_may_be_elsewhere_if_the_api_gives_no_jobs(variables):
    assert read_settings(BASIC | variables, NO_FILE).url == "https://app.eu.workato.com"


def test_the_token_is_not_in_the_text_of_the_settings():
    assert TOKEN not in repr(read_settings(BASIC, NO_FILE))


def test_the_configuration_is_no_part_of_the_repository():
    ignored = subprocess.run(["git", "check-ignore", "-q", "extraction.toml"], cwd=PROJECT)
    assert ignored.returncode == 0


def test_importing_the_package_imports_no_library():
    code = "import sys, extraction; print([m for m in ('dlt', 'requests', 'duckdb', 'tomllib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_without_its_packages_the_extraction_says_how_to_install_them():
    code = "import sys; sys.modules['dlt'] = None; from extraction.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, env=os.environ | BASIC
    )
    assert (done.returncode, done.stderr) == (
        2,
        "The packages of the extraction are not installed: make extract installs them.\n",
    )
