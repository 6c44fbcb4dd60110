"""Quick check of a change: lint, unit tests of changed models, and whether everything compiles.

    make check               # changes since the last commit; directly after a commit, the changes of that commit
    make check SINCE=main    # changes since a branch or commit

Does not build the sample: the unit tests only need tables with the right columns, which an empty build creates once.
Exit code 1 if a step fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
WAREHOUSE = PROJECT / "target" / "check-warehouse"
ENVIRONMENT = {
    "EXTRACTS_DIR": "",
    "AS_OF_DATE": "",
    "WAREHOUSE_DIR": str(WAREHOUSE),
    "DBT_TARGET_PATH": str(PROJECT / "target" / "check"),
    "DO_NOT_TRACK": "1",
}


def main() -> int:
    """Run every step, the other tools in parallel with dbt; returns 1 if one failed."""
    os.chdir(PROJECT)
    os.environ.update(ENVIRONMENT)
    started = time.monotonic()
    changed = changed_files(os.environ.get("SINCE", ""))
    shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
    say(f"{len(changed)} files changed: {shown}" if changed else "Nothing changed.")
    with ThreadPoolExecutor(1) as beside:
        tools = [beside.submit(run, *command) for command in commands(changed)]
        results = {"dbt: parse, compile, unit tests": check_models(changed)}
        for tool in tools:
            name, passed, output = tool.result()
            print(output, end="" if passed else "\n")
            results[name] = passed
    failed = [name for name, passed in results.items() if not passed]
    seconds = f"in {time.monotonic() - started:.0f} s"
    say(f"Failed {seconds}: {'; '.join(failed)}" if failed else f"Passed {seconds}. Next: make test")
    return int(bool(failed))


def commands(changed: list[str]) -> list[list[str]]:
    """The commands in parallel with dbt: ruff for all files, sqlfluff for changed SQL, tests of changed modules."""
    sql = [path for path in changed if path.endswith(".sql") and path.startswith(("models/", "analyses/", "tests/"))]
    tests = python_tests_of(changed, [path.name for path in (PROJECT / "tests").glob("test_*.py")])
    return [
        ["ruff", "check", "--quiet", "."],
        ["ruff", "format", "--check", "--quiet", "."],
        *([["sqlfluff", "lint", "--disable-progress-bar", *sql]] if sql else []),
        *([["pytest", "--without-builds", "--durations=0", *tests]] if tests else []),
    ]


def changed_files(since: str) -> list[str]:
    """Paths, relative to the project, of changed and new files. Deleted files are left out.

    Without ``since``: changes since the last commit, or those of the last commit if there are none.
    """

    def differing(commit: str) -> list[str]:
        return _git("diff", "--name-only", "--diff-filter=d", commit)

    new = _git("ls-files", "--others", "--exclude-standard")
    return sorted({*new, *(differing(since) if since else differing("HEAD") or (new or differing("HEAD~1")))})


def _git(*arguments: str) -> list[str]:
    listed = subprocess.run(["git", *arguments, "-z"], capture_output=True, text=True)
    return [path for path in listed.stdout.split("\0") if path]


def unit_tests_of(changed: Iterable[str], manifest: Any) -> list[str]:
    """The names of dbt's unit tests of models that changed, or whose seeds or macros changed; all unit tests if
    dbt_project.yml changed.

    ``changed``: paths below the project; ``manifest``: dbt's.
    """
    changed = set(changed)
    macros = {name for name, macro in manifest.macros.items() if macro.original_file_path in changed}
    while more := {n for n, m in manifest.macros.items() if macros.intersection(m.depends_on.macros)} - macros:
        macros |= more
    nodes = {
        name
        for name, node in manifest.nodes.items()
        if node.original_file_path in changed or macros.intersection(node.depends_on.macros)
    }
    seeds = {name for name in nodes if name.startswith("seed.")}  # a fixture may read the seed itself
    nodes |= {
        name for name, node in manifest.nodes.items() if seeds.intersection(getattr(node.depends_on, "nodes", ()))
    }
    return [
        test.name
        for test in manifest.unit_tests.values()
        if "dbt_project.yml" in changed
        or test.original_file_path in changed
        or nodes.intersection(test.depends_on.nodes)
    ]


def python_tests_of(changed: Iterable[str], tests: Iterable[str]) -> list[str]:
    """The test files that changed, or that belong to a changed module or package.

    test_progress.py belongs to plugins/progress.py, test_extraction_jobs.py and test_extraction.py to extraction/.
    """
    modules = [Path(path) for path in changed if path.endswith(".py")]
    names = {module.stem.removeprefix("test_") for module in modules}
    packages = {module.parts[0] for module in modules}

    def belongs(name: str) -> bool:
        about = Path(name).stem.removeprefix("test_")
        return about in names | packages or any(about.startswith(f"{package}_") for package in packages)

    return sorted(f"tests/{name}" for name in tests if belongs(name))


def check_models(changed: list[str]) -> bool:
    """Whether the project parses without a warning and compiles, and the unit tests of changed models pass."""
    from dbt.cli.main import dbtRunner

    parsed = dbtRunner().invoke(["--quiet", "--warn-error", "parse", "--no-partial-parse"])
    if not parsed.success:
        return False

    def dbt(*arguments: str) -> bool:
        return dbtRunner(manifest=parsed.result).invoke(["--quiet", *arguments]).success

    names = unit_tests_of(changed, parsed.result)
    has_tables = (WAREHOUSE / "build" / "usage.duckdb").exists()
    if names or not has_tables:  # their columns may have changed
        has_tables = dbt("build", "--empty", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    if not has_tables or not dbt("compile"):
        return False
    say(f"{len(names)} of {len(parsed.result.unit_tests)} unit tests belong to what changed")
    return not names or dbt("test", "--select", *names)


def run(name: str, *arguments: str) -> tuple[str, bool, str]:
    """Run a tool; returns (its name, whether it succeeded, its output)."""
    environment = os.environ | {  # sqlfluff uses a separate warehouse, because that of this check is locked
        "WAREHOUSE_DIR": str(PROJECT / "target" / "lint-warehouse"),
        "DBT_TARGET_PATH": str(PROJECT / "target" / "lint"),
    }
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run([BIN / name, *arguments], env=environment, **pipes)
    return name, done.returncode in (0, 5 if name == "pytest" else 0), done.stdout  # 5: every test needs a build


def say(text: str) -> None:
    """Print a line with a prefix that distinguishes it from the tools' output."""
    print(f"check: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
