"""Runs one build at a time, and replaces the published files in one step.

``hold_warehouse(folder)`` takes the build's lock, or raises an error that names its holder.
``publish_warehouse(built, published, run_id)`` replaces the published database and the folder of Parquet files beside
it, or raises PublishingFailed. ``finish_publishing(published)`` completes or removes what a killed run left. Beside the
published file::

    deliveries/runs.json         the published runs, one JSON object per line: publication.runs of the next run
    deliveries/runs.<id>.json    the same, including the run that is being published
    parquet_runs/<id>/           the Parquet files of a run; parquet is a link to those of the published run
    closes/                      closed months and restatements (closes.py)
    usage.duckdb.new             the copy that will become usage.duckdb
    usage.duckdb.wal.<id>        the write-ahead log of the file that the run replaces

Decisions::

    docs/decisions/build-database.md
    docs/decisions/commit-by-rename.md
    docs/decisions/one-run-at-a-time.md
    docs/decisions/parquet-symlink.md
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import duckdb
from asking import no_warehouse
from closes import CloseProblem, finish_closes, is_unfinished, prepare_state
from copying import missing_room
from dbt_common.exceptions import DbtRuntimeError
from locking import Held, take_lock
from swapping import ASIDE, point, sync_path, sync_tree

BUILD_FORMAT = 8  # of build/usage.duckdb; the same number as in macros/intake/run_state.sql

# Run as a child process: closing a descriptor of the live database file in this process would drop its locks.
COPYING = Path(__file__).with_name("copying.py")

# The locks of this process, by path. They are held until the process ends, even if connections open and close.
_held: dict[Path, IO[str]] = {}


def hold_warehouse(folder: Path, command: str = "") -> None:
    """Take the lock of the build database in ``folder``. Raises DbtRuntimeError if another process holds it.

    ``command``: what the holder runs, for others; by default a dbt command with its arguments.
    The system releases the lock when the process ends, for whatever reason.
    """
    path = (folder / "lock").resolve()
    if path in _held:
        return
    try:
        _held[path] = take_lock(path, command or " ".join(["dbt", *sys.argv[1:]]))
    except Held as holder:
        raise DbtRuntimeError(
            f"Another run uses {folder.parent}: {holder}. This run stops and has changed nothing."
        ) from None


def release_warehouse(folder: Path) -> None:
    """Release the lock of hold_warehouse(), for another process."""
    if lock := _held.pop((folder / "lock").resolve(), None):
        lock.close()


class PublishingFailed(Exception):
    """A publication failed or is incomplete: a sentence that says what failed, and whether readers see the run."""


def publish_warehouse(built: str, published: str, run_id: str, inputs: str = "") -> list[str]:
    """Replace the file ``published`` by a copy of ``built``, and ``parquet`` beside it by ``build/parquet``.

    Readers that have the old file open keep reading it; new connections see the new one. ``built`` must
    have been checkpointed, so that its write-ahead log is empty, and its run_state.watermark must contain ``run_id``.
    Permissions are kept. Returns warnings for the user; raises PublishingFailed. ``inputs``: what the run was made
    with, as JSON, if it compared the closed months; otherwise an empty text.

    The rename of the copy to ``published`` commits the run in one step. Before it, the list of runs, the restatements,
    the Parquet files and the copy are on disk under the id of the run. After it, finish_publishing() gives them their
    final names, in this process or at the start of the next run, and removes files under the id of another run.
    """
    target = Path(published)
    scratch = target.with_name(f"{target.name}.new")
    exported, runs, store = Path(built).parent / "parquet", target.parent / "parquet_runs", _store(target)
    if writer := writer_of(target):
        raise PublishingFailed(
            f"Not published: process {writer} has {target} open for writing: close it there, and run again"
        )
    problem = ""
    try:
        store.mkdir(exist_ok=True)
        pending = store / f"runs.{run_id}.json"
        shutil.copyfile(exported.with_name("runs.json"), pending)
        sync_path(pending)
        sync_path(store)
        if inputs:
            told, restated = json.loads(inputs), exported.with_name("restatements.parquet")
            prepare_state(target.parent, run_id, told, restated, Path(told["project"]))
        runs.mkdir(exist_ok=True)
        shutil.rmtree(runs / run_id, ignore_errors=True)
        exported.rename(runs / run_id)
        sync_tree(runs / run_id)
        sync_path(runs)
        copied = subprocess.run([sys.executable, COPYING, built, scratch], capture_output=True, text=True)
        if copied.returncode:
            said = copied.stderr.strip().splitlines() or [f"the copying process ended with {copied.returncode}"]
            problem = f"copying {built} failed: {said[-1]}"
        else:
            if target.exists():
                shutil.copymode(target, scratch)
            log = _log(target)
            if log.exists():  # it belongs to the old file, and DuckDB would replay it onto the new one
                log.rename(log.with_name(f"{log.name}.{run_id}"))
            sync_path(target.parent)
            scratch.replace(target)
    except CloseProblem as error:
        problem = str(error)
    except OSError as error:
        problem = f"replacing {published} failed: {error.strerror}"
    if problem:
        with suppress(OSError, DbtRuntimeError):
            finish_publishing(target)
        raise PublishingFailed(f"Not published: {problem}")
    try:
        sync_path(target.parent)
        return finish_publishing(target, run_id)
    except (OSError, DbtRuntimeError) as error:
        raise PublishingFailed(
            f"{published} is published, but the files beside it could not be replaced: {error}. "
            "The next run completes it."
        ) from error


def finish_publishing(published: Path, run_id: str | None = None) -> list[str]:
    """Complete the publication of the run in ``published``; remove files of a killed run. Returns warnings.

    ``run_id``: id of the run that was just committed; None: read from the file, if a run left anything. Raises
    DbtRuntimeError if the file or the list of runs cannot be read.
    """
    store, runs = _store(published), published.parent / "parquet_runs"
    told = store / "runs.json"
    said = []
    if not told.exists() and run_id is None:
        _take_over_list(published, told)
    pending = {path.name.split(".")[1]: path for path in store.glob("runs.*.json")}
    logs = {path.name.rpartition(".")[2]: path for path in published.parent.glob(f"{published.name}.wal.*")}
    if run_id is None and (pending or logs or is_unfinished(published.parent)):
        run_id = published_run(published)
    finish_closes(published.parent, run_id)
    for other, path in pending.items():
        if other == run_id:
            if told.exists():
                shutil.copymode(told, path)
            path.replace(told)
        else:
            path.unlink()
        sync_path(store)
    for other, path in logs.items():
        is_of_old_file = other == run_id or _log(published).exists()
        path.rename(published.with_name(f"{published.name}.left-over-wal") if is_of_old_file else _log(published))
        sync_path(published.parent)
        if other == run_id:
            said.append(
                f"A program wrote to {published} and did not close it. Its log is kept as {published}.left-over-wal; "
                "its changes are lost, except the tables of extracts_schema, which were copied. Do not store your "
                "own data in this file."
            )
    for left in (published.with_name(f"{published.name}.new"), told.with_name("runs.json.new")):
        if left.is_file():
            left.unlink()
    listed = _listed_runs(told)
    if listed and (aside := _point_parquet(published.parent / "parquet", runs / listed[-1])):
        said.append(f"{aside.parent.parent / 'parquet'} was not a link, as after some restores. It is kept as {aside}.")
    for folder in runs.iterdir() if listed and runs.is_dir() else ():
        if folder.name not in listed and not folder.name.startswith(ASIDE):
            shutil.rmtree(folder, ignore_errors=True)
    return said


def require_build_format(database: Path) -> str:
    """Remove a build database of another release: all its content is computed from the stored deliveries.

    Returns a message. Raises DbtRuntimeError if a newer release wrote it, which may have changed the store, too.
    """
    if not database.exists():
        return ""
    try:
        with duckdb.connect(str(database), read_only=True) as built:
            (found,) = built.execute("select version from run_state.format").fetchone()
    except duckdb.CatalogException:
        found = 0
    except duckdb.Error:
        return ""  # dbt will fail on it with DuckDB's own message
    if found > BUILD_FORMAT:
        raise DbtRuntimeError(
            f"{database} was written by a newer release (format {found}; this one writes {BUILD_FORMAT}): run that "
            f"release, or remove {database.parent} to recompute everything from the stored deliveries."
        )
    if found == BUILD_FORMAT:
        return ""
    database.unlink()
    _log(database).unlink(missing_ok=True)
    return f"{database} was written by another release. It is created again from the stored deliveries."


def require_room(database: Path) -> None:
    """Raise DbtRuntimeError before a run if the disk has no space for a copy of the build database."""
    if database.exists():
        missing = missing_room(database, database.parent.parent / "usage.duckdb.new")
        if missing:
            raise DbtRuntimeError(
                f"This run cannot be published: {missing}. Free some space and run again. Nothing was changed."
            )


def require_published(published: Path) -> None:
    """Raise DbtRuntimeError if dbt source freshness cannot read the published file: there is none, or an old one."""
    if not published.exists():
        raise DbtRuntimeError(no_warehouse(published))
    if _ask_published(published, "select count(*) from audit.extract_freshness") is None:
        raise DbtRuntimeError(f"{published} is of an older release, or cannot be read: run dbt build first.")


def published_run(published: Path) -> str | None:
    """The run id of a published database; None if there is no database or no id in it.

    Raises DbtRuntimeError if another process has it open for writing: then no other process can read it.
    """
    watermark = "select run_id from run_state.watermark"
    of_format_1 = "select run_id from run_state.progress"
    return _ask_published(published, watermark) or _ask_published(published, of_format_1)


def _point_parquet(parquet: Path, folder: Path) -> Path | None:
    """Point the link ``parquet`` to the folder of the published run, if the folder exists.

    Returns the new path of a folder or file that was in place of the link; None if there was none.
    """
    is_right = parquet.is_symlink() and parquet.resolve() == folder.resolve()
    return point(parquet, folder) if folder.is_dir() and not is_right else None


def _take_over_list(published: Path, told: Path) -> None:
    """Write the list of runs of an older release, which kept it only in the published file."""
    scratch = told.with_name("runs.json.new")
    runs = "from publication.runs where published_at is not null order by published_at, started_at"
    if _ask_published(published, "select count(*) from publication.runs"):
        told.parent.mkdir(exist_ok=True)
        _ask_published(published, f"copy ({runs}) to '{str(scratch).replace(chr(39), chr(39) * 2)}' (format json)")
        sync_path(scratch)
        scratch.replace(told)
        sync_path(told.parent)


def _ask_published(published: Path, query: str) -> Any:
    """The first value of a query on the published database; None if it cannot be read or has no such table."""
    if not published.exists():
        return None
    if writer := writer_of(published):
        raise DbtRuntimeError(f"Process {writer} has {published} open for writing: close it there, and run again.")
    try:
        with duckdb.connect(str(published), read_only=True) as database:
            return (database.execute(query).fetchone() or [None])[0]
    except duckdb.Error:
        return None


def _listed_runs(told: Path) -> list[str]:
    """The ids in the list of runs, in order."""
    if not told.exists():
        return []
    try:
        listed = [str(json.loads(line)["run_id"]) for line in told.read_bytes().splitlines()]
        if not listed:
            raise ValueError("it is empty")
        return listed
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DbtRuntimeError(
            f"The list of runs {told} cannot be read. Restore it from a backup; or remove it: no figure depends on it, "
            "and the next run takes the list from the published file."
        ) from error


def _store(published: Path) -> Path:
    """The folder of the list of runs: that of the deliveries, so that a backup of them contains it."""
    return published.parent / "deliveries"


def _log(published: Path) -> Path:
    return published.with_name(f"{published.name}.wal")


def writer_of(database: Path) -> int | None:
    """The id of the process that has a DuckDB file open for writing; None if there is no process or no file."""
    if not database.exists():
        return None
    asked = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)  # struct flock of 64-bit Linux
    with database.open("rb") as file:
        try:
            kind, _, _, _, process = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))
        except (OSError, ValueError, struct.error):  # a file system or operating system without this information
            return None
    return process if kind == fcntl.F_WRLCK else None


def write_dashboard(published: str) -> str:
    """Write the dashboard beside the published database, in a separate process. Returns the error, or an empty text."""
    written = subprocess.run(
        [sys.executable, "-m", "dashboard", "site", Path(published).parent.resolve()],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    if written.returncode:
        return (written.stderr.strip().splitlines() or [f"the process ended with {written.returncode}"])[-1]
    return ""


def empty_folder(folder: str) -> str:
    """Create the folder, empty even if an earlier run left files in it; returns its path."""
    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir(parents=True)
    return folder


def revision_of(project: str) -> str:
    """The git revision of the project, with a + if it has changes; an empty text if it is in no repository."""
    try:
        described = subprocess.run(
            ["git", "-C", project, "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
        )
    except OSError:
        return ""
    return described.stdout.strip() if described.returncode == 0 else ""


def project_digests(project: Path) -> dict[str, str]:
    """The digests ``rules`` and ``code`` of a project."""
    return json.loads(code_digests(str(project), "[]"))


def code_digests(project: str, rules_of_jobs: str) -> str:
    """Digests of the files that decide on figures, as JSON.

    facts: models, macros, the contract of the extracts, status words. jobs: the tables of the rule book that
    ``rules_of_jobs`` lists, as JSON. decisions: the rest of the rule book. rules: the rule book. code: all else, and
    the version of the engine.
    """
    root, of_jobs = Path(project), json.loads(rules_of_jobs)
    digests = {level: hashlib.sha256() for level in ("facts", "jobs", "decisions", "rules", "code")}
    digests["code"].update(duckdb.__version__.encode())
    for folder, pattern in (
        ("models", "*.sql"),
        ("models", "_extracts.yml"),
        ("macros", "*.sql"),
        ("seeds/rules", "*.csv"),
    ):
        for path in sorted((root / folder).rglob(pattern)):
            level = "facts"
            if path.suffix == ".csv":
                rules = path.stem.removeprefix("override_")
                level = "facts" if rules == "status_words" else "jobs" if rules in of_jobs else "decisions"
            content = path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0"
            digests[level].update(content)
            digests["rules" if path.suffix == ".csv" else "code"].update(content)
    return json.dumps({level: digest.hexdigest() for level, digest in digests.items()})
