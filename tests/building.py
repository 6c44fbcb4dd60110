"""Real builds for tests: a ``Workbench`` runs ``dbt build`` over a world or a folder and hands over the warehouse.

Each build is a fork of a process that has parsed the project (dbt_forks.py). A finished build is kept in
target/test-builds under a digest of its inputs and of the code, so that another worker, or the next run of the tests,
takes it from there. TEST_BUILDS=fresh keeps and takes nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
from dbt_forks import ADDRESS, Command, Forks, parsing_key
from reference.files import write_nested_jobs, write_world

PROJECT = Path(__file__).resolve().parent.parent
# A test's files are whole when its build begins; it is about the published rule book, whatever a partner changed.
VARS = {"settling_seconds": 0, "rule_overrides": False}
THREADS = ("--threads", "1")  # of a build, of which several run at a time; a later --threads wins
KEPT_BUILDS = PROJECT / "target" / "test-builds"
CODE = (
    "dbt_project.yml",
    "profiles",
    "models",
    "seeds",
    "macros",
    "plugins",
    "dashboard",
    "analyses",
    "tests/data",
    "tests/dbt_forks.py",
)


@dataclass
class Build:
    """What a finished ``dbt build`` left behind."""

    exit_code: int
    output: str
    warehouse: Path
    key: str | None = None  # a digest of what it was made of; None where it has none
    project: Path | None = None  # whose seeds its warehouse has

    @property
    def published(self) -> Path:
        return self.warehouse / "usage.duckdb"

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        assert self.exit_code == 0, self.output
        return duckdb.connect(self.published, read_only=True)

    def rows(self, query: str, *parameters: Any) -> list[tuple]:
        """The query's rows in the published database."""
        return self.connection.execute(query, parameters).fetchall()

    def column(self, query: str, *parameters: Any) -> list:
        """The first column of the query's rows."""
        return [row[0] for row in self.rows(query, *parameters)]

    def tables(self, *schemas: str) -> dict[str, list[tuple]]:
        """Every table of the schemas with its rows, in an order of their own; the columns of a row by their names."""
        tables = self.rows(
            "select table_schema || '.' || table_name, string_agg(column_name, ', ' order by column_name) "
            "from information_schema.columns where list_contains(?, table_schema) group by all order by all",
            list(schemas),
        )
        assert tables, f"no tables in {schemas}"
        return {table: self.rows(f"select {columns} from {table} order by all") for table, columns in tables}


class Workbench:
    """Runs builds one after the other, always in the same place. ``ran`` and ``taken`` count them."""

    def __init__(self, folder: Path, forks: Forks, project: Path = PROJECT) -> None:
        """``project``: this one, or a copy that a test may change."""
        self.folder = folder
        self.forks = forks
        self.project = project
        self.ran = 0
        self.taken = 0

    @property
    def extracts(self) -> Path:
        return self.folder / "extracts"

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse"

    def clear_extracts(self) -> Path:
        shutil.rmtree(self.extracts, ignore_errors=True)
        return self.extracts

    def build(
        self,
        source: dict[str, list[dict]] | Path | None = None,
        *,
        fmt: str = "csv",
        vars: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        onto: Build | None = None,
        arguments: tuple[str, ...] = (),
        with_tests: bool = False,
        prepare: Callable[[Path], object] | None = None,
        keep: bool = True,
        command: tuple[str, ...] = ("build",),
    ) -> Build:
        """Run ``dbt build``, or another command of dbt, and hand over its warehouse.

        ``source``: a world {extract: rows}, written in the format ``fmt``; a folder of extracts; or None for the sample
        seeds. ``onto``: an earlier build whose warehouse this one continues. ``prepare`` is called with the warehouse
        folder before the run. dbt's own tests run only where ``with_tests`` says so: ``make test`` has run them all.
        ``keep``: whether the same build of an earlier run may stand in; never with ``prepare``, whose effect has no
        digest.
        """
        if isinstance(source, dict):
            self.clear_extracts()
            flat = {extract: rows for extract, rows in source.items() if extract != "job_history"}
            write_world(flat, self.extracts, fmt, split=1, ragged=False)
            write_nested_jobs(source.get("job_history", []), self.extracts)
            source = self.extracts
        key = None
        if keep and not prepare and self.project == PROJECT and (onto is None or onto.key):
            inputs = [command, vars or {}, env or {}, arguments, with_tests, onto.key if onto else None]
            key = _digest(json.dumps([code_digest(), *inputs], sort_keys=True), self._digest_of_source(source))

        warehouse = self.folder / f"build-{self.ran + self.taken + 1}"
        with _kept(key) as kept:
            if kept and kept.exists():
                self.taken += 1
                _copy(kept / "warehouse", warehouse)
                (kept / "output.txt").touch()
                return Build(0, (kept / "output.txt").read_text(encoding="utf-8"), warehouse, key, self.project)

            shutil.rmtree(self.warehouse, ignore_errors=True)
            if onto:
                shutil.copytree(onto.warehouse, self.warehouse, symlinks=True)
            self.warehouse.mkdir(parents=True, exist_ok=True)
            if prepare:
                prepare(self.warehouse)
            output = self.folder / "output.txt"
            # this project's seeds don't change during a run of the tests; those of a copy may
            is_loaded = onto and onto.project == self.project == PROJECT and "--full-refresh" not in arguments
            more = (env or {}) | ({"SEEDS_ARE_LOADED": "1"} if is_loaded else {})
            exit_code = self.start(source, output, vars, more, arguments, with_tests, command).wait()
            self.ran += 1
            self.warehouse.rename(warehouse)
            if kept and exit_code == 0:
                scratch = kept.with_suffix(".new")
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir()
                _copy(warehouse, scratch / "warehouse")
                shutil.copy(output, scratch / "output.txt")
                scratch.rename(kept)
            return Build(exit_code, output.read_text(encoding="utf-8"), warehouse, key, self.project)

    def start(
        self,
        source: Path | None,
        output: Path,
        vars: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        with_tests: bool = False,
        command: tuple[str, ...] = ("build",),
    ) -> Command:
        """Start ``dbt build``, or another command, over a folder in the warehouse as it is: to wait for, or to kill."""
        return self.forks.start(
            ["--no-use-colors", *command, *THREADS, "--vars", json.dumps(VARS | (vars or {})), *arguments],
            # comments on tables and columns, which tests read in the sample's database
            self.environment(source, with_tests)
            | {"WITHOUT_COMMENTS": "" if is_sample(source, vars or {}) else "1", "WITHOUT_NODE_EVENTS": "1"}
            | (env or {}),
            self.project,
            output,
            self.manifest_key(source, vars or {}),
        )

    def _digest_of_source(self, source: Path | None) -> str:
        """Of the paths and bytes of the extracts; of the folder's own path, too, where a test has chosen one."""
        if source is None:
            return ""
        paths = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else []
        return _digest(
            "" if source == self.extracts else str(source),
            *(part for path in paths for part in (path.relative_to(source).as_posix(), path.read_bytes())),
        )

    def manifest_key(self, source: Path | None, vars: dict[str, Any]) -> str:
        """What parsing depends on: the code, and whether the sample is built. Compiling reads the other vars."""
        key = _own_parsing_key if self.project == PROJECT else partial(parsing_key, self.project)
        return key("sample" if is_sample(source, vars) else "extracts")

    def environment(self, source: Path | None, with_tests: bool = False) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
        inherited.pop("AS_OF_DATE", None)
        return inherited | {
            "EXTRACTS_DIR": str(source or ""),
            "WAREHOUSE_DIR": str(self.warehouse),
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
            "DBT_EXCLUDE_RESOURCE_TYPES": "" if with_tests else "test unit_test",
            "DO_NOT_TRACK": "1",
        }


class Warehouse:
    """One warehouse that runs continue, over its own folder of extracts."""

    def __init__(self, folder: Path, forks: Forks) -> None:
        folder.mkdir(exist_ok=True)
        self.bench = Workbench(folder, forks)
        self.extracts = self.bench.extracts
        self.last: Build | None = None

    def deliver(self, rows: dict[str, list[dict]], name: str) -> None:
        """Write the rows of each extract into a file of this name, for the next run."""
        write_world(rows, self.extracts, "csv", split=1, ragged=False, name=name)

    def run(self, **more: Any) -> Build:
        """``more``: what ``Workbench.build`` takes."""
        self.last = self.bench.build(self.extracts, onto=self.last, keep=False, **more)
        assert self.last.exit_code == 0, self.last.output
        return self.last

    def copy(self, folder: Path, name: str) -> Warehouse:
        """The same warehouse in ``folder / name``, with its extracts."""
        made = Warehouse(folder, self.bench.forks)
        shutil.copytree(self.extracts, made.extracts)
        copied = shutil.copytree(self.folder, folder / name, symlinks=True)
        made.last = Build(0, "", copied, project=self.last.project)
        return made

    @property
    def folder(self) -> Path:
        return self.last.warehouse

    @property
    def store(self) -> Path:
        return self.folder / "deliveries"


def is_sample(source: Path | None, vars: dict[str, Any]) -> bool:
    return source is None and not vars.get("extracts_schema") and not vars.get("only_stored_deliveries")


def run_script(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the project as a fork; a dbt build that it waits for is one, too, unless ADDRESS is empty."""
    address = os.environ.get(ADDRESS)
    with Forks(Path(address) if address else None) as forks:
        return forks.run_script(script, arguments, os.environ | environment)


def run_make(target: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Call make as a user does, whatever make called the tests: its environment says how the outer make was called."""
    outer = {name: value for name, value in os.environ.items() if not re.match("MAKE|MFLAGS", name)}
    command = ["make", target, *options]
    return subprocess.run(command, cwd=PROJECT, env=outer | environment, capture_output=True, text=True)


# A build that a script starts leaves out dbt's data tests. One test of each script has them run: with TESTS_DATA, or
# where make verify is no fork.
QUICK = {"AS_OF_DATE": "", "DBT_EXCLUDE_RESOURCE_TYPES": "test"}
TESTS_DATA = {"DBT_EXCLUDE_RESOURCE_TYPES": ""}


def verify(
    warehouse: Path, vars: dict[str, Any] | None = None, month: str = "", project: Path = PROJECT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What ``make verify`` runs, over a warehouse that was built with the vars."""
    options = f"--vars={json.dumps(vars or {})}", f"--month={month}"
    environment = QUICK | environment | {"WAREHOUSE_DIR": str(warehouse)}
    return run_script(project / "scripts" / "verify.py", *options, **environment)


def close(warehouse: Path, month: str, project: Path = PROJECT, **more: str) -> subprocess.CompletedProcess[str]:
    """What ``make close`` runs."""
    options = [f"--{name}={value}" for name, value in {"month": month, **more}.items()]
    return run_script(project / "scripts" / "close_month.py", *options, WAREHOUSE_DIR=str(warehouse), AS_OF_DATE="")


def forget(warehouse: Path, load: int | str) -> subprocess.CompletedProcess[str]:
    """What ``make forget-load`` runs."""
    return run_script(PROJECT / "scripts" / "forget_load.py", f"--load={load}", WAREHOUSE_DIR=str(warehouse))


def forget_customer(warehouse: Path, customer: str, **more: str) -> subprocess.CompletedProcess[str]:
    """What ``make forget`` runs. More: closes, certificate; names in capital letters are of the environment."""
    options = [f"--{name}={value}" for name, value in {"customer": customer, **more}.items() if name.islower()]
    environment = {name: value for name, value in more.items() if name.isupper()} | {"WAREHOUSE_DIR": str(warehouse)}
    return run_script(PROJECT / "scripts" / "forget_customer.py", *options, **QUICK | environment)


def compact(warehouse: Path, months: int | str = 25, **environment: str) -> subprocess.CompletedProcess[str]:
    """What ``make compact`` runs."""
    environment = QUICK | environment | {"WAREHOUSE_DIR": str(warehouse)}
    return run_script(PROJECT / "scripts" / "compact.py", f"--keep-months={months}", **environment)


def restore_all_but_deliveries(warehouse: Path, backup: Path | None = None) -> None:
    """Put all of a warehouse but its deliveries and closes back from a backup; None: remove it."""
    for folder, command in ((warehouse, ["rm", "-r"]), (backup, ["cp", "-a", "-t", warehouse])):
        if folder:
            paths = [path for path in folder.iterdir() if path.name not in ("deliveries", "closes")]
            subprocess.run([*command, *paths], check=True)


# ---------------------------------------------------------------------------------------------------------- kept builds


_own_parsing_key = cache(partial(parsing_key, PROJECT))


@cache
def code_digest() -> str:
    """Of every file of the project that a build depends on, and of the versions of dbt and DuckDB."""
    paths = [
        path
        for name in CODE
        for path in ([PROJECT / name] if (PROJECT / name).is_file() else sorted((PROJECT / name).rglob("*")))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    versions = [version(package) for package in ("dbt-core", "dbt-duckdb", "duckdb")]
    return _digest(*versions, *(p for path in paths for p in (str(path.relative_to(PROJECT)), path.read_bytes())))


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


@contextmanager
def _kept(key: str | None) -> Iterator[Path | None]:
    """The folder of the build with this key, held against the other workers; None where builds aren't kept."""
    if key is None or os.environ.get("TEST_BUILDS") == "fresh":
        yield None
        return
    KEPT_BUILDS.mkdir(parents=True, exist_ok=True)
    with (KEPT_BUILDS / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield KEPT_BUILDS / key


def forget_old_builds(days: int = 2) -> None:
    """Remove the builds that no run of the tests has used for some days."""
    for output in KEPT_BUILDS.glob("*/output.txt"):
        if time.time() - output.stat().st_mtime > days * 86_400:
            shutil.rmtree(output.parent, ignore_errors=True)
            output.parent.with_suffix(".lock").unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder without the empty pages of its database files, which are most of a small one."""
    sparse = ["--sparse=always"] if sys.platform == "linux" else []
    subprocess.run(["cp", "-R", "-P", *sparse, source, target], check=True)
