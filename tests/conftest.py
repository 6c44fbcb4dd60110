"""Real builds for tests: ``build`` runs ``dbt build`` over a world or a folder, ``sample`` is the sample world's build.

A build takes seconds, so tests that look at the same one stand in a class and share it through a class-scoped fixture.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest
from reference.compiled import Project
from reference.files import write_nested_jobs, write_world
from reference.proving import compile_all

PROJECT = Path(__file__).resolve().parent.parent


@dataclass
class Build:
    """What a finished ``dbt build`` left behind."""

    exit_code: int
    output: str
    warehouse: Path

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
        """Every table of the schemas with its rows, in an order of their own."""
        names = self.rows(
            "select table_schema, table_name from information_schema.tables "
            "where list_contains(?, table_schema) order by all",
            list(schemas),
        )
        assert names, f"no tables in {schemas}"
        return {f"{schema}.{name}": self.rows(f"from {schema}.{name} order by all") for schema, name in names}


class Workbench:
    """Runs builds one after the other, always in the same place, so that dbt need not parse the project each time."""

    def __init__(self, folder: Path, project: Path = PROJECT) -> None:
        self.folder = folder
        self.project = project
        self.finished = 0

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
    ) -> Build:
        """Run ``dbt build`` and hand over its warehouse.

        ``source``: a world {extract: rows}, written in the format ``fmt``; a folder of extracts; or None for the sample
        seeds. ``onto``: an earlier build whose warehouse this one continues. ``prepare`` is called with the warehouse
        folder before the run. dbt's own tests run only where ``with_tests`` says so: ``make test`` has run them all.
        """
        shutil.rmtree(self.warehouse, ignore_errors=True)
        if onto:
            shutil.copytree(onto.warehouse, self.warehouse, symlinks=True)
        self.warehouse.mkdir(parents=True, exist_ok=True)
        if isinstance(source, dict):
            self.clear_extracts()
            flat = {extract: rows for extract, rows in source.items() if extract != "job_history"}
            write_world(flat, self.extracts, fmt, split=1, ragged=False)
            write_nested_jobs(source.get("job_history", []), self.extracts)
            source = self.extracts
        if prepare:
            prepare(self.warehouse)

        options = ["--vars", json.dumps(vars)] if vars else []
        finished = subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "build", *options, *arguments],
            cwd=self.project,
            env=self.environment(source, with_tests) | (env or {}),
            capture_output=True,
            text=True,
        )
        self.finished += 1
        result = Build(finished.returncode, finished.stdout + finished.stderr, self.folder / f"build-{self.finished}")
        self.warehouse.rename(result.warehouse)
        return result

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


@pytest.fixture(scope="session")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench(tmp_path_factory.mktemp("builds"))


@pytest.fixture(scope="session")
def build(workbench: Workbench) -> Callable[..., Build]:
    return workbench.build


@pytest.fixture
def extracts(workbench: Workbench) -> Path:
    """An empty folder for extracts, always the same one: dbt parses the project anew when its path changes."""
    return workbench.clear_extracts()


@pytest.fixture(scope="session")
def sample(workbench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """The sample world: the warehouse of TEST_WAREHOUSE_DIR, or one that is built once for all workers."""
    if built := os.environ.get("TEST_WAREHOUSE_DIR"):
        yield Build(0, "", PROJECT / built)
        return
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "sample"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            result = workbench.build()
            assert result.exit_code == 0, result.output
            result.warehouse.rename(shared)
    yield Build(0, "", shared)


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Project]:
    """The project compiled under each set of options of the proof, once for all workers."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "compiled"
    kept = shared.with_suffix(".pickle")
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(compile_all(shared)))
    return pickle.loads(kept.read_bytes())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep the tests of a class on one worker: they share a build. All others go wherever there is time."""
    from xdist.scheduler import LoadScopeScheduling

    class LoadClasses(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module, *scopes = nodeid.split("::")
            return "::".join([module, *scopes[:1]]) if len(scopes) > 1 else nodeid

    return LoadClasses(config, log)
