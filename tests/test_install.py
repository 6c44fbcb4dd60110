"""scripts/install.py: pip's configuration in uv's terms, and pip where uv cannot be used. Without a network."""

import importlib.util
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from building import PROJECT

SCRIPT = PROJECT / "scripts" / "install.py"
spec = importlib.util.spec_from_file_location("install", SCRIPT)
install = importlib.util.module_from_spec(spec)
spec.loader.exec_module(install)

BEST_MATCH = {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def handed_over(options: dict, environ: dict | None = None) -> dict:
    """uv's variables for pip's options, without the one that is always there."""
    variables, _ = install.uv_settings(options, environ or {})
    return {name: value for name, value in variables.items() if name not in BEST_MATCH}


class TestPipsConfiguration:
    def test_the_environment_overrides_install_and_that_overrides_global(self):
        listing = (
            ":env:.index-url='https://c.example/simple'\n"
            "global.cert='/etc/company.pem'\n"
            "global.index-url='https://a.example/simple'\n"
            "global.timeout='60'\n"
            "install.index-url='https://b.example/simple'\n"
            "install.timeout='90'\n"
        )
        assert install.pip_options(listing) == {
            "index-url": "https://c.example/simple",
            "cert": "/etc/company.pem",
            "timeout": "90",
        }

    def test_options_of_other_commands_are_left_out(self):
        assert install.pip_options("download.index-url='https://a.example'\nwheel.timeout='3'\n") == {}

    def test_an_empty_value_counts_as_none(self):
        assert install.pip_options("global.proxy='p:1'\n:env:.proxy=''\n") == {"proxy": "p:1"}

    def test_quotes_equals_signs_and_newlines_are_parts_of_a_value(self):
        listing = (
            "global.index-url='https://a.example/?x=1&y=2'\n"
            "global.extra-index-url='\\nhttps://b.example\\nhttps://c.example'\n"
            ':env:.proxy="http://it\'s:me@p.example"\n'
        )
        assert install.pip_options(listing) == {
            "index-url": "https://a.example/?x=1&y=2",
            "extra-index-url": "\nhttps://b.example\nhttps://c.example",
            "proxy": "http://it's:me@p.example",
        }

    def test_a_line_of_another_form_is_passed_over(self):
        assert install.pip_options("WARNING: something = odd\n\nglobal.cert=unquoted\nglobal.retries='2'\n") == {
            "retries": "2"
        }


class TestUvsVariables:
    def test_without_a_configuration_only_the_strategy_is_set(self):
        assert install.uv_settings({}, {}) == (BEST_MATCH, [])

    @pytest.mark.parametrize(
        ("option", "value", "variables"),
        [
            ("index-url", "https://a.example/simple", {"UV_DEFAULT_INDEX": "https://a.example/simple"}),
            ("extra-index-url", "https://b.example/simple", {"UV_INDEX": "https://b.example/simple"}),
            ("extra-index-url", "\nhttps://b.example\n  file:///c ", {"UV_INDEX": "https://b.example file:///c"}),
            (
                "find-links",
                "https://d.example/a https://d.example/b",
                {"UV_FIND_LINKS": "https://d.example/a,https://d.example/b"},
            ),
            ("find-links", "/no/such/folder file:///no/such/folder", {}),
            ("trusted-host", "e.example\nf.example:8080", {"UV_INSECURE_HOST": "e.example f.example:8080"}),
            ("timeout", "60", {"UV_HTTP_TIMEOUT": "60"}),
            ("default-timeout", "7.5", {"UV_HTTP_TIMEOUT": "8"}),
            ("timeout", "soon", {}),
            ("retries", "5", {"UV_HTTP_RETRIES": "5"}),
            ("no-cache-dir", "off", {"UV_NO_CACHE": "1"}),
            ("keyring-provider", "subprocess", {"UV_KEYRING_PROVIDER": "subprocess"}),
            ("keyring-provider", "import", {}),
            ("cert", "/etc/company.pem", {"SSL_CERT_FILE": "/etc/company.pem"}),
            ("client-cert", "/etc/me.pem", {"SSL_CLIENT_CERT": "/etc/me.pem"}),
            ("constraint", "/etc/constraints.txt", {}),
        ],
    )
    def test_each_option_has_its_variable(self, option, value, variables):
        assert handed_over({option: value}) == variables

    def test_a_proxy_is_for_both_protocols_and_needs_no_scheme(self):
        assert handed_over({"proxy": "p.example:3128"}) == {
            "HTTP_PROXY": "http://p.example:3128",
            "HTTPS_PROXY": "http://p.example:3128",
            "http_proxy": "http://p.example:3128",
            "https_proxy": "http://p.example:3128",
        }

    def test_folders_of_find_links_that_exist_are_kept(self, tmp_path):
        assert handed_over({"find-links": f"{tmp_path} file://{tmp_path} {tmp_path}/gone"}) == {
            "UV_FIND_LINKS": f"{tmp_path},file://{tmp_path}"
        }

    def test_certificates_in_a_folder(self, tmp_path):
        assert handed_over({"cert": str(tmp_path)}) == {"SSL_CERT_DIR": str(tmp_path)}

    def test_the_certificates_that_pip_takes_from_requests(self):
        assert handed_over({}, {"REQUESTS_CA_BUNDLE": "/r.pem", "CURL_CA_BUNDLE": "/c.pem"}) == {
            "SSL_CERT_FILE": "/r.pem"
        }
        assert handed_over({}, {"CURL_CA_BUNDLE": "/c.pem"}) == {"SSL_CERT_FILE": "/c.pem"}
        assert handed_over({}, {"CURL_CA_BUNDLE": "/c.pem", "SSL_CERT_FILE": "/s.pem"}) == {}
        assert handed_over({"cert": "/p.pem"}, {"SSL_CERT_FILE": "/s.pem"}) == {"SSL_CERT_FILE": "/p.pem"}

    @pytest.mark.parametrize("value", ["1", "true", "Yes", "on"])
    def test_no_index_is_a_flag(self, value):
        assert install.uv_settings({"no-index": value}, {}) == (BEST_MATCH, ["--no-index"])

    @pytest.mark.parametrize("value", ["0", "false", "no"])
    def test_no_index_may_be_off(self, value):
        assert install.uv_settings({"no-index": value}, {}) == (BEST_MATCH, [])

    @pytest.mark.parametrize(
        ("own", "option"),
        [
            ("UV_DEFAULT_INDEX", "index-url"),
            ("UV_INDEX_URL", "index-url"),
            ("UV_INDEX", "extra-index-url"),
            ("UV_EXTRA_INDEX_URL", "extra-index-url"),
            ("UV_INSECURE_HOST", "trusted-host"),
            ("UV_HTTP_TIMEOUT", "timeout"),
            ("UV_REQUEST_TIMEOUT", "timeout"),
            ("UV_HTTP_RETRIES", "retries"),
            ("UV_NO_CACHE", "no-cache-dir"),
        ],
    )
    def test_the_callers_own_variable_wins(self, own, option):
        assert handed_over({option: "5"}) != {}
        assert handed_over({option: "5"}, {own: "6"}) == {}

    def test_the_callers_own_strategy_and_index_win(self):
        environ = {"UV_INDEX_STRATEGY": "first-index", "UV_DEFAULT_INDEX": "https://a.example"}
        assert install.uv_settings({"no-index": "1"}, environ) == ({}, [])


class TestReasons:
    def test_uvs_error_with_its_causes_is_one_line(self):
        wrote = "Using Python 3.11.7\nerror: Failed to fetch: `x`\n  Caused by: timed out\n\nhint: try again\n"
        assert install.reason_of(wrote) == "Failed to fetch: `x` timed out"

    def test_pips_error_is_found_below_its_warnings(self):
        assert (
            install.reason_of("WARNING: Location is ignored\nERROR: No matching distribution\n")
            == "No matching distribution"
        )

    def test_without_an_error_the_last_line_is_the_reason(self):
        assert install.reason_of("a\nIllegal instruction\n") == "Illegal instruction"
        assert install.reason_of("") == "no message"


@pytest.fixture
def venv(tmp_path) -> Path:
    """An environment whose python and uv are scripts that write down how they were called."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "lib/python3.11/site-packages/old-1.dist-info").mkdir(parents=True)
    executable(
        folder / "bin/python",
        f"""
        case "$*" in
            -c*) echo {sys.version_info.major}.{sys.version_info.minor} ;;
            *"config list"*)
                echo "global.index-url='https://mirror.example/simple'"
                echo "global.extra-index-url='https://extra.example/simple'" ;;
            *requirements-uv.txt*) echo "pip installs uv" >> {tmp_path}/calls
                echo "WARNING: ignored" >&2; echo "ERROR: No matching distribution found for uv" >&2; exit 1 ;;
            *) echo "pip $*" >> {tmp_path}/calls
                mkdir -p {folder}/lib/python3.11/site-packages/new-1.dist-info; exit ${{PIP_RESULT:-0}} ;;
        esac
        """,
    )
    return folder


def executable(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def uv_that(venv: Path, does: str) -> None:
    version = install.UV_REQUIREMENTS.read_text().split("uv==")[1].split()[0]
    folder = venv.parent
    executable(
        venv / "bin/uv",
        f"""
        [ "$1" = --version ] && echo "uv {version} (fake)" && exit 0
        echo "uv $* $UV_DEFAULT_INDEX $UV_INDEX" >> {folder}/calls
        {does}
        """,
    )


def run(*arguments: str | Path, **environ: str) -> tuple[int, list[str], str, list[str]]:
    """Run the script on the Path, an environment: (exit code, lines without seconds, errors, calls of uv and pip)."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_", "PYTHON"))}
    own |= environ
    folder = next(argument for argument in arguments if isinstance(argument, Path)).parent
    command = [sys.executable, SCRIPT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=own, cwd=folder)
    calls = folder / "calls"
    return (
        done.returncode,
        re.sub(r"\d+ s\.", "… s.", done.stdout).splitlines(),
        done.stderr,
        calls.read_text().splitlines() if calls.exists() else [],
    )


class TestInstalling:
    def test_uv_installs_from_the_index_that_pip_is_configured_with(self, venv):
        uv_that(venv, f"mkdir {venv}/lib/python3.11/site-packages/new-2.dist-info")
        code, printed, errors, calls = run(venv, "pinned.txt")
        assert (code, errors) == (0, "")
        assert printed == [
            f"Installing pinned.txt into {venv}, hashes checked ...",
            "Installed 1 package with uv in … s.",
        ]
        assert calls == [
            f"uv pip install --quiet --python={venv}/bin/python --require-hashes --requirement=pinned.txt "
            "https://mirror.example/simple https://extra.example/simple"
        ]

    def test_the_callers_own_index_reaches_uv(self, venv):
        uv_that(venv, "")
        _, printed, _, calls = run(venv, "pinned.txt", UV_DEFAULT_INDEX="https://own.example")
        assert [call.split()[-2:] for call in calls] == [["https://own.example", "https://extra.example/simple"]]
        assert printed[-1] == "Installed nothing new with uv in … s."

    def test_bytecode_is_written_at_once_where_python_must_not_write_it_later(self, venv):
        uv_that(venv, "")
        for environ in ({}, {"PYTHONDONTWRITEBYTECODE": "1"}):
            run(venv, "pinned.txt", **environ)
        uv_that(venv, "exit 2")
        *_, calls = run(venv, "pinned.txt", PYTHONDONTWRITEBYTECODE="1")
        plainly, at_once, _, with_pip = (call.split() for call in calls)
        assert ("--compile-bytecode" in plainly, "--compile-bytecode" in at_once) == (False, True)
        assert ("--compile" in with_pip, "--no-compile" in with_pip) == (True, False)

    def test_pip_goes_on_where_uv_can_not_be_installed(self, venv):
        code, printed, _, calls = run("--no-deps", venv, "one.txt", "two.txt")
        assert code == 0
        assert printed == [
            f"Installing one.txt, two.txt into {venv}, hashes checked ...",
            "uv cannot be used (pip cannot install it: No matching distribution found for uv). "
            "Continuing with pip, which takes a minute or two ...",
            "Installed 1 package with pip in … s.",
        ]
        assert calls == [
            "pip installs uv",
            "pip -m pip install --disable-pip-version-check --require-hashes --no-compile -qq "
            "--requirement=one.txt --requirement=two.txt --no-deps",
        ]

    def test_pip_goes_on_where_uv_fails(self, venv):
        uv_that(venv, "echo 'error: certificate unknown' >&2; exit 2")
        code, printed, _, calls = run(venv, "one.txt")
        assert code == 0
        assert printed[1].startswith("uv cannot be used (certificate unknown). Continuing with pip")
        assert [call.split()[0] for call in calls] == ["uv", "pip"]

    def test_when_pip_fails_too_the_exit_code_says_so(self, venv):
        uv_that(venv, "exit 2")
        code, printed, errors, _ = run(venv, "one.txt", PIP_RESULT="1")
        assert (code, len(printed)) == (1, 2)
        assert errors == "Not installed: pip failed as well, its message is above\n"

    def test_a_uv_of_another_version_is_not_used(self, venv):
        executable(venv / "bin/uv", 'echo "uv 0.0.1"')
        _, _, _, calls = run(venv, "one.txt")
        assert [call.split()[0] for call in calls] == ["pip", "pip"]

    def test_a_long_installation_says_that_it_is_running(self, venv, monkeypatch, capsys):
        monkeypatch.setattr(install, "SECONDS_BETWEEN_SIGNS", 0.2)
        done = install.run_with_signs(["sleep", "0.7"], os.environ)
        assert done.returncode == 0
        assert re.match(r"[.]{3} still installing after \d+ s\n", capsys.readouterr().out)

    def test_pins_are_compiled_from_the_main_index_alone(self, venv):
        uv_that(venv, "")
        code, _, _, calls = run(venv, "--compile", "pyproject.toml", "--upgrade")
        assert code == 0
        assert calls == [
            f"uv pip compile --python={venv}/bin/python pyproject.toml --upgrade https://mirror.example/simple "
        ]

    def test_a_folder_that_can_not_be_an_environment_is_named(self, tmp_path):
        (tmp_path / "file").write_text("")
        code, _, errors, _ = run(tmp_path / "file", "one.txt")
        assert code == 1
        assert f"{tmp_path / 'file'} cannot be created" in errors
