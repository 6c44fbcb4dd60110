"""File operations of a run that SQL cannot do, as functions that SQL can call.

dbt-duckdb loads this module through ``plugins:`` in the profile and registers on the build's connection:

``ingest_deliveries(folder, store, contract) -> JSON``
    Of deliveries.py.
``verify_stored_files(store, paths, others) -> text``
    Of deliveries.py: a message about stored files that have changed. ``paths``: JSON list of files to verify;
    ``others``: JSON list of files whose footer is read only.
``watch_build(paths, tests, is_whole) -> empty text``
    From here on the run shows its progress (build_progress.py). ``paths``: JSON, the files of its models and seeds;
    ``tests``: their number; ``is_whole``: true or false.
``publish_warehouse(built, published, run_id, inputs) -> JSON``
    Of publishing.py: ``{"problem": null or text, "to_look_at": [texts]}``.
``published_run(published) -> text``, empty if there is none
    Of publishing.py.
``closed_months(closes) -> JSON``
    Of closes.py.
``replay_changes(plan) -> JSON``, ``forget_replay(built) -> empty text``
    Of replaying.py.
``write_dashboard(published)``, ``empty_folder(folder)``, ``revision_of(project)`` -> text
    Of publishing.py.
``code_digests(project, rules_of_jobs) -> JSON``
    Of publishing.py.

``override_problems(project, folder) -> text``
    Of rule_book.py.
``terms_problems(project) -> text``
    Of contract_terms.py.

They return an error text instead of raising an error: the calling macro stops the run with it.
"""

from __future__ import annotations

import gc
import json
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any

import deliveries
import duckdb
import publishing
from build_progress import Build, Watch
from closes import closed_months
from contract_terms import terms_problems
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags
from dbt_common.events.functions import fire_event
from dbt_common.events.types import Note
from dbt_common.exceptions import DbtRuntimeError
from erasing import unfinished
from progress import PATIENCE, Progress, as_bytes, terminal
from publishing import code_digests, hold_warehouse, revision_of
from replaying import forget_replays, replay_changes
from rule_book import override_problems
from store import newer_format

BUILD_IS_SHORT = 10.0  # seconds before a build shows its progress


class Plugin(BasePlugin):
    """Registers the functions; creates the warehouse folder, and locks it, before DuckDB opens its file there."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        # dbt holds the parsed project until it ends: looking for cycles in it took a tenth of a small run.
        gc.freeze()
        gc.set_threshold(100_000, 20, 20)
        self._watch: Watch | None = None
        self._steps = 0
        self._verified: set[str] = set()  # stored files that this run has verified
        self._connection: Callable[[], duckdb.DuckDBPyConnection | None] = lambda: None
        if not os.environ.get("WAREHOUSE_DIR"):  # the project's folder, wherever dbt was started
            project = getattr(get_flags(), "PROJECT_DIR", None) or Path(__file__).parent.parent
            self.creds.path = str(Path(project).absolute() / self.creds.path)
        folder = Path(self.creds.path).parent
        if "freshness" in (getattr(get_flags(), "WHICH", None) or ""):
            self._open_published(folder.parent / "usage.duckdb")
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise DbtRuntimeError(f"WAREHOUSE_DIR={folder.parent} cannot be used: a file is in its place.") from error
        except OSError as error:
            raise DbtRuntimeError(f"WAREHOUSE_DIR={folder.parent} cannot be written: {error.strerror}.") from error
        try:
            hold_warehouse(folder)
            if problem := unfinished(folder.parent):
                raise DbtRuntimeError(problem)
            if newer := newer_format(str(folder.parent / "deliveries")):
                raise DbtRuntimeError(newer)
            said = publishing.finish_publishing(folder.parent / "usage.duckdb")
            if getattr(get_flags(), "WHICH", None) in ("build", "run"):
                said.append(publishing.require_build_format(Path(self.creds.path)))
            if getattr(get_flags(), "WHICH", None) == "build":
                publishing.require_room(Path(self.creds.path))
        except OSError as error:
            raise DbtRuntimeError(f"WAREHOUSE_DIR={folder.parent} cannot be written: {error}.") from error
        for text in filter(None, said):
            fire_event(Note(msg=text))

    def _open_published(self, published: Path) -> None:
        """Have dbt source freshness read the published file: it needs neither the build database nor its lock."""
        publishing.require_published(published)
        self.creds.path = str(published)
        self.creds.config_options = (self.creds.config_options or {}) | {"access_mode": "read_only"}

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        # Half of DuckDB's default, because Python needs memory, too. Beyond the limit DuckDB spills to disk.
        if "memory_limit" not in (self.creds.settings or {}):
            amount, unit = duckdb.connect().execute("select current_setting('memory_limit')").fetchone()[0].split()
            conn.execute(f"set memory_limit = '{float(amount) / 2:.1f} {unit}'")
        # weak, because the connection references this object's functions and would never be closed
        self._connection = weakref.ref(conn)
        for function in (
            self.ingest_deliveries,
            self.verify_stored_files,
            self.watch_build,
            self.empty_folder,
            self.publish_warehouse,
            self.write_dashboard,
            self.published_run,
            self.replay_changes,
            self.forget_replay,
            closed_months,
            code_digests,
            override_problems,
            terms_problems,
            revision_of,
        ):
            arguments = ["VARCHAR"] * len(signature(function).parameters)
            conn.create_function(function.__name__, function, arguments, "VARCHAR", side_effects=True)

    def ingest_deliveries(self, folder: str, store: str, contract: str) -> str:
        answer = deliveries.ingest_deliveries(folder, store, contract, progress=_progress())
        self._steps = _stored_steps(answer)
        if json.loads(contract).get("is_whole"):
            stored = json.loads(answer).get("files", {}).values()
            self._verified.update(path for files in stored for _, path, *_ in files)
        return answer

    def verify_stored_files(self, store: str, paths: str, others: str) -> str:
        unverified = (set(json.loads(paths)) | deliveries.unreadable_files(store, json.loads(others))) - self._verified
        problem = deliveries.verify_files(store, unverified, _progress()) if unverified else ""
        if not problem:
            self._verified |= unverified
        return problem

    def watch_build(self, paths: str, tests: str, is_whole: str) -> str:
        with suppress(Exception):  # an error of the display must not stop the work
            notes = Path(self.creds.path).with_name("last_full_build.json")

            def remember(seconds: float, nodes: dict[str, float]) -> None:
                if is_whole == "true":
                    measured = {"steps": self._steps, "seconds": round(seconds, 1), "nodes": nodes}
                    notes.write_text(json.dumps(measured), encoding="utf-8")

            if is_whole == "true":
                last = json.loads(notes.read_bytes()) if notes.exists() else {}
                build = Build(json.loads(paths), int(tests), self._steps, last)
            else:  # the number of affected jobs is not known before
                build = Build(json.loads(paths), int(tests), 0, None)
            self._watch = Watch(build, _progress(BUILD_IS_SHORT), remember, self._count_rows)
            self._watch.attach()
        return ""

    def empty_folder(self, folder: str) -> str:
        self._tell(lambda: f"writing the marts to {folder}")
        return publishing.empty_folder(folder)

    def published_run(self, published: str) -> str:
        return publishing.published_run(Path(published)) or ""

    def replay_changes(self, plan: str) -> str:
        return replay_changes(plan, _progress())

    def forget_replay(self, built: str) -> str:
        forget_replays(Path(built).parent.parent)
        return ""

    def publish_warehouse(self, built: str, published: str, run_id: str, inputs: str) -> str:
        self._tell(lambda: f"copying {as_bytes(Path(built).stat().st_size)} to {published}")
        try:
            to_look_at = publishing.publish_warehouse(built, published, run_id, inputs)
        except publishing.PublishingFailed as error:
            return json.dumps({"problem": str(error), "to_look_at": []})
        if self._watch:
            self._watch.published()
        return json.dumps({"problem": None, "to_look_at": to_look_at})

    def write_dashboard(self, published: str) -> str:
        self._tell(lambda: "writing the dashboard")
        return publishing.write_dashboard(published)

    def _count_rows(self, schema: str, name: str) -> int:
        """The number of rows in DuckDB's catalog; 0 if unknown, or if the run only adds rows."""
        connection = self._connection()
        with suppress(duckdb.Error):
            if connection and self._watch and self._watch.build.is_full and not self._watch.progress.is_quiet:
                with connection.cursor() as cursor:
                    size = "select sum(estimated_size) from duckdb_tables() where schema_name = ? and table_name = ?"
                    return int(cursor.execute(size, [schema, name]).fetchone()[0] or 0)
        return 0

    def _tell(self, describe: Callable[[], str]) -> None:
        with suppress(Exception):  # an error of the display must not stop the work
            if self._watch:
                self._watch.tell_publishing(describe())


def _progress(patience: float = PATIENCE) -> Progress:
    """Logs a line like dbt: in its log and format, and not if dbt is quiet."""
    flags = get_flags()
    if getattr(flags, "QUIET", False) or getattr(flags, "LOG_LEVEL", "info") not in ("debug", "info"):
        return Progress(None)
    is_text = getattr(flags, "LOG_FORMAT", "default") != "json"
    return Progress(lambda text: fire_event(Note(msg=text)), terminal() if is_text else None, patience=patience)


def _stored_steps(answer: str) -> int:
    """The number of stored steps; 0 if some are in streamed jobs, because those are not counted."""
    files = json.loads(answer).get("files", {})
    return 0 if "job_history" in files else sum(rows for *_, rows in files.get("steps", []))
