"""One build at a time, and what people open replaced in one step.

``hold_warehouse(folder)`` takes the build's lock, or raises with who holds it. ``publish_warehouse(built, published,
run_id) -> text`` replaces the published database and the folder of Parquet files beside it; it returns what went wrong,
or an empty text.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from dbt_common.exceptions import DbtRuntimeError
from swapping import point, sync_path, sync_tree

# Run as a child process: closing a descriptor of the live database file in this process would drop its locks.
COPYING = Path(__file__).with_name("copying.py")

# The locks of this process, by path: held until it ends, whatever opens and closes connections meanwhile.
_held: dict[Path, IO[str]] = {}


def hold_warehouse(folder: Path) -> None:
    """Take the lock of the build database in ``folder``; raises DbtRuntimeError when another process holds it.

    The system drops the lock with the process that holds it, however that ends.
    """
    path = (folder / "lock").resolve()
    if path in _held:
        return
    lock = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read()
        lock.close()
        raise DbtRuntimeError(
            f"Another run works on {folder.parent}: {_describe(holder)}. This one stops, and has changed nothing."
        ) from None
    lock.truncate(0)
    json.dump({"process": os.getpid(), "host": socket.gethostname(), "since": _now(), "command": sys.argv[1:]}, lock)
    lock.flush()
    _held[path] = lock


def _describe(holder: str) -> str:
    try:
        said = json.loads(holder)
        return f"process {said['process']} on {said['host']} since {said['since']} (dbt {' '.join(said['command'])})"
    except (ValueError, KeyError, TypeError):
        return "a process that has just begun"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def publish_warehouse(built: str, published: str, run_id: str) -> str:
    """Replace the file ``published`` by a copy of ``built``, and ``parquet`` beside it by ``build/parquet``.

    Readers that hold the old file open keep reading it; whoever connects afterwards sees the new one. ``built`` must
    have been checkpointed, so that nothing of it is in a write-ahead log. ``parquet`` is a link to a folder that
    is named after the run; the folder of the run before stays for those who still read it. Everything is on the disk
    before a name points to it, and permissions stay as they are.

    A write-ahead log beside ``published`` belongs to the old file, and DuckDB would replay it onto the new one: it is
    renamed before the swap. While another process has ``published`` open for writing nothing is replaced.
    """
    target = Path(published)
    scratch = target.with_name(f"{target.name}.new")
    exported, runs = Path(built).parent / "parquet", target.parent / "parquet_runs"
    parquet = target.parent / "parquet"
    try:
        if writer := writer_of(target):
            return f"process {writer} has {target} open for writing: close it there, and run again"
        copied = subprocess.run([sys.executable, COPYING, built, scratch], capture_output=True, text=True)
        if copied.returncode:
            if scratch.is_file():
                scratch.unlink()
            said = copied.stderr.strip().splitlines() or [f"the copying process ended with {copied.returncode}"]
            return f"copying {built} failed: {said[-1]}"
        runs.mkdir(exist_ok=True)
        shutil.rmtree(runs / run_id, ignore_errors=True)
        exported.rename(runs / run_id)
        if target.exists():
            shutil.copymode(target, scratch)
        sync_tree(runs / run_id)
        sync_path(runs)
        log = target.with_name(f"{target.name}.wal")
        if log.exists():
            log.rename(target.with_name(f"{target.name}.left-over-wal"))
            sync_path(target.parent)
        scratch.replace(target)
        sync_path(target.parent)
        point(parquet, runs / run_id)
        sync_path(target.parent)
    except OSError as error:
        return f"replacing {published} failed: {error.strerror}"
    return ""


def writer_of(database: Path) -> int | None:
    """The process that has a DuckDB file open for writing; None where there is none, or no such file."""
    if not database.exists():
        return None
    asked = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)  # struct flock of 64-bit Linux
    with database.open("rb") as file:
        try:
            kind, _, _, _, process = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))
        except (OSError, ValueError, struct.error):  # a file system, or a system, that doesn't tell
            return None
    return process if kind == fcntl.F_WRLCK else None


def write_dashboard(published: str) -> str:
    """Write the dashboard beside the published database, by a process of its own; what went wrong, or an empty text."""
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
    """Make the folder anew, without what an earlier run left in it; returns its path."""
    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir(parents=True)
    return folder


def revision_of(project: str) -> str:
    """The git revision of the project, with a + where it has changes; an empty text where it is in no repository."""
    try:
        described = subprocess.run(
            ["git", "-C", project, "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
        )
    except OSError:
        return ""
    return described.stdout.strip() if described.returncode == 0 else ""


def code_digest(project: str) -> str:
    """A digest of the code that decides on figures: models, macros, the contract of the extracts and the rule book."""
    digest = hashlib.sha256()
    deciding = (("models", "*.sql"), ("models", "_extracts.yml"), ("macros", "*.sql"), ("seeds/rules", "*.csv"))
    for folder, pattern in deciding:
        for path in sorted((Path(project) / folder).rglob(pattern)):
            digest.update(path.relative_to(project).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
