"""Install pinned packages into a virtual environment, with uv, or with pip if uv cannot be used.

    python3.11 scripts/install.py .venv requirements.txt requirements-dev.txt
    python3.11 scripts/install.py .venv --compile pyproject.toml --output-file=requirements.txt

Creates the environment if there is none, and installs the pinned uv into it (requirements-uv.txt). uv and pip both
check the hashes. uv reads none of pip's configuration, so this script passes it on: index, certificates, proxy. A UV_
variable of the caller overrides it. Exit code 0 if all packages are installed, otherwise 1.

Uses the standard library only: it runs before anything is installed.

Decisions::

    docs/decisions/installing-with-uv.md
"""

from __future__ import annotations

import argparse
import ast
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
UV_REQUIREMENTS = PROJECT / "requirements-uv.txt"
SECONDS_BETWEEN_SIGNS = 20

# Python compiles each module at its first import, unless it must not write bytecode (PYTHONDONTWRITEBYTECODE, which
# many images set). Then each start of dbt would compile for a second, so everything is compiled once, here. Otherwise
# nothing is. Measured on two cores with requirements.txt: uv and a first `dbt parse` take 11 s (10 s of CPU),
# with --compile-bytecode 16 s (14 s of CPU). An environment that is read-only later: UV_COMPILE_BYTECODE=1 make build.
COMPILES = sys.dont_write_bytecode
PIP_INSTALL = ("-m", "pip", "install", "--disable-pip-version-check", "--require-hashes")
PIP_INSTALL += ("--compile",) if COMPILES else ("--no-compile",)


class CannotInstall(Exception):
    """The packages, or uv, cannot be installed; the message is one line."""


def main(arguments: list[str] | None = None) -> int:
    """Install the files, or run ``uv pip compile``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("venv", type=Path, help="folder of the virtual environment")
    parser.add_argument("requirements", nargs="*", help="files of pinned packages with hashes")
    parser.add_argument("--no-deps", action="store_true", help="install the named packages alone; comes before VENV")
    parser.add_argument("--compile", nargs=argparse.REMAINDER, metavar="…", help="arguments of uv pip compile")
    asked = parser.parse_args(arguments)
    if bool(asked.requirements) == bool(asked.compile):
        parser.error("name the files to install, or --compile with its arguments")
    try:
        return compile_pins(asked.venv, asked.compile) if asked.compile else install(asked)
    except CannotInstall as reason:
        print(f"Not installed: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def install(asked: argparse.Namespace) -> int:
    """Install the files with uv, otherwise with pip; print a line before and after."""
    started = time.monotonic()
    say(f"Installing {', '.join(asked.requirements)} into {asked.venv}, hashes checked ...")
    python = environment(asked.venv)
    wanted = [f"--requirement={name}" for name in asked.requirements] + ["--no-deps"] * asked.no_deps
    tool, before = "uv", set()
    try:
        uv = pinned_uv(python)
        before = installed(asked.venv)
        variables, flags = uv_settings(pip_options(pip_configuration(python)), os.environ)
        command = [uv, "pip", "install", "--quiet", f"--python={python}", "--require-hashes", *flags, *wanted]
        command += ["--compile-bytecode"] * COMPILES
        done = run_with_signs(command, os.environ | variables, capture=True)
        if done.returncode:
            raise CannotInstall(reason_of(done.stderr))
    except CannotInstall as reason:
        say(f"uv cannot be used ({reason}). Continuing with pip, which takes a minute or two ...")
        tool, before = "pip", before or installed(asked.venv)
        # -qq hides warnings (a line for each package that an extra index lacks); errors are printed
        if run_with_signs([python, *PIP_INSTALL, "-qq", *wanted], os.environ).returncode:
            raise CannotInstall("pip failed as well, its message is above") from None
    count = len(installed(asked.venv) - before)
    packages = {0: "nothing new", 1: "1 package"}.get(count, f"{count} packages")
    say(f"Installed {packages} with {tool} in {time.monotonic() - started:.0f} s.")
    return 0


def compile_pins(venv: Path, arguments: list[str]) -> int:
    """Run ``uv pip compile`` with pip's main index only.

    The pins contain the hashes of all platforms' files. uv uses the files of the first index that has the version, and
    an extra index or folder may contain those of one platform only.
    """
    python = environment(venv)
    uv = pinned_uv(python)
    variables, flags = uv_settings(pip_options(pip_configuration(python)), os.environ)
    for name in ("UV_INDEX", "UV_FIND_LINKS"):
        variables.pop(name, None)
    command = [uv, "pip", "compile", f"--python={python}", *flags, *arguments]
    return subprocess.run(command, env=os.environ | variables).returncode


def environment(venv: Path) -> Path:
    """The interpreter of the environment; creates the environment if it is missing or no longer runs."""
    python = venv / "bin" / "python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    check = [python, "-c", "import pip, sys; print('%d.%d' % sys.version_info[:2])"]
    if python.exists() and attempt(check).stdout.strip() == version:
        return python
    clear = ["--clear"] if (venv / "pyvenv.cfg").exists() else []
    created = attempt([sys.executable, "-m", "venv", *clear, venv])
    if created.returncode:
        # Debian prints the package to install on standard output
        raise CannotInstall(f"{venv} cannot be created.\n{(created.stdout + created.stderr).strip()}")
    return python


def pinned_uv(python: Path) -> Path:
    """uv of the pinned version in the environment; installs it with pip if it is missing."""
    uv = python.parent / "uv"
    pinned = re.search(r"^uv==(\S+)", UV_REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)[1]
    if attempt([uv, "--version"]).stdout.split()[:2] == ["uv", pinned]:
        return uv
    got = attempt([python, *PIP_INSTALL, "--quiet", "--no-input", f"--requirement={UV_REQUIREMENTS}"])
    if got.returncode:
        raise CannotInstall(f"pip cannot install it: {reason_of(got.stderr)}")
    started = attempt([uv, "--version"])
    if started.returncode:
        raise CannotInstall(f"it does not start: {reason_of(started.stderr)}")
    return uv


def pip_configuration(python: Path) -> str:
    """The output of ``pip config list``: the files of all levels and the PIP_ variables."""
    listed = attempt([python, "-m", "pip", "config", "list", "--disable-pip-version-check"])
    if listed.returncode:
        raise CannotInstall(f"pip's configuration cannot be read: {reason_of(listed.stderr)}")
    return listed.stdout


def pip_options(listing: str) -> dict[str, str]:
    """The options that ``pip install`` takes from its configuration: option without dashes -> value.

    ``listing`` has a line ``section.option='value'`` for each, the value as a Python literal. As in pip, the
    environment overrides the section install, which overrides the section global, and an empty value counts as none.
    """
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        name, separator, literal = line.partition("=")
        section, _, option = name.strip().rpartition(".")
        if not separator or section not in sections:
            continue
        try:
            value = ast.literal_eval(literal.strip())
        except (SyntaxError, ValueError):
            continue
        if isinstance(value, str) and value:
            sections[section][option] = value
    return sections["global"] | sections["install"] | sections[":env:"]


def uv_settings(options: Mapping[str, str], environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """uv's variables for pip's options, and flags if there is no variable; the caller's UV_ variables are kept.

    Names as in uv's reference of environment variables. pip's constraint is not passed on: uv requires a hash of each
    constraint, too, and all versions are pinned anyway.
    """
    variables: dict[str, str] = {}

    def hand_over(value: str | None, name: str, *same: str) -> None:
        if value and not any(environ.get(other) for other in (name, *same)):
            variables[name] = value

    hand_over(options.get("index-url"), "UV_DEFAULT_INDEX", "UV_INDEX_URL")
    hand_over(" ".join(options.get("extra-index-url", "").split()), "UV_INDEX", "UV_EXTRA_INDEX_URL")
    hand_over(",".join(readable_links(options.get("find-links", ""))), "UV_FIND_LINKS")
    hand_over(" ".join(options.get("trusted-host", "").split()), "UV_INSECURE_HOST")
    # pip asks all indexes, uv stops at the first that has the package in any version. The difference protects from a
    # stranger's package of the same name; here the hashes do.
    hand_over("unsafe-best-match", "UV_INDEX_STRATEGY")
    timeout = options.get("timeout") or options.get("default-timeout")
    hand_over(whole_seconds(timeout), "UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT")
    hand_over(options.get("retries"), "UV_HTTP_RETRIES")
    # pip treats any value as yes
    hand_over("1" if options.get("no-cache-dir") else None, "UV_NO_CACHE")
    if options.get("keyring-provider") == "subprocess":  # the only value that uv knows
        hand_over("subprocess", "UV_KEYRING_PROVIDER")

    # Not uv's own variables: settings of pip are more specific than settings of all programs.
    certificates = options.get("cert") or environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
    if certificates and (options.get("cert") or not environ.get("SSL_CERT_FILE")):
        variables["SSL_CERT_DIR" if Path(certificates).is_dir() else "SSL_CERT_FILE"] = certificates
    if options.get("client-cert"):
        variables["SSL_CLIENT_CERT"] = options["client-cert"]
    if options.get("proxy"):
        proxy = options["proxy"] if "://" in options["proxy"] else f"http://{options['proxy']}"
        variables |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy)

    own_index = any(environ.get(f"UV_{name}") for name in ("DEFAULT_INDEX", "INDEX_URL", "INDEX", "EXTRA_INDEX_URL"))
    no_index = options.get("no-index", "").lower() in ("y", "yes", "t", "true", "on", "1") and not own_index
    return variables, ["--no-index"] * no_index


def readable_links(find_links: str) -> list[str]:
    """The find-links that exist: pip ignores a missing folder, uv fails."""
    places = [str(Path(place).expanduser()) if place.startswith("~") else place for place in find_links.split()]
    return [place for place in places if re.match("https?:", place) or Path(place.removeprefix("file://")).is_dir()]


def whole_seconds(timeout: str | None) -> str | None:
    """pip's timeout may have decimals, uv's may not."""
    try:
        return str(math.ceil(float(timeout))) if timeout else None
    except ValueError:
        return None


def reason_of(stderr: str) -> str:
    """One line from the output of uv or pip: the error with its causes."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if re.match("(error|cause|caused by):", line, re.IGNORECASE)] or lines[-1:]
    said = " ".join(re.sub("^(error|cause|caused by): *", "", line, flags=re.IGNORECASE) for line in errors)
    return (said if len(said) <= 300 else f"{said[:300]}…").rstrip(".") or "no message"


def installed(venv: Path) -> set[str]:
    """Each installed package with its version, from the name of its metadata folder."""
    return {found.name for found in venv.glob("lib/python*/site-packages/*.dist-info")}


def attempt(command: list) -> subprocess.CompletedProcess[str]:
    """Run the command and capture its output. A command that cannot be started counts as failed."""
    try:
        return subprocess.run(command, capture_output=True, text=True)
    except OSError as problem:
        return subprocess.CompletedProcess(command, 127, "", str(problem))


def run_with_signs(command: list, env: Mapping[str, str], capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command, and regularly print a line that it is still running."""
    started = time.monotonic()
    stderr = subprocess.PIPE if capture else None
    try:
        process = subprocess.Popen(command, env=env, stderr=stderr, text=True)
    except OSError as problem:
        return subprocess.CompletedProcess(command, 127, "", str(problem))
    with process:
        while True:
            try:
                _, wrote = process.communicate(timeout=SECONDS_BETWEEN_SIGNS)
                return subprocess.CompletedProcess(command, process.returncode, "", wrote or "")
            except subprocess.TimeoutExpired:
                say(f"... still installing after {time.monotonic() - started:.0f} s")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
