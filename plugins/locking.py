"""Locks of files: one process at a time; a second one is told which process holds the lock."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import IO


class Held(Exception):
    """Another process holds the lock: who, since when, and what it runs."""


def take_lock(path: Path, command: str) -> IO[str]:
    """Take the lock ``path``, and write into it who holds it. Raises Held, or OSError if it cannot be written.

    The system releases the lock when the file is closed in this process and in all that inherited it, for whatever
    reason they end.
    """
    lock = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = _describe(lock.read())
        lock.close()
        raise Held(holder) from None
    lock.truncate(0)
    json.dump({"process": os.getpid(), "host": socket.gethostname(), "since": _now(), "command": command}, lock)
    lock.flush()
    return lock


def _describe(holder: str) -> str:
    try:
        said = json.loads(holder)
        return f"process {said['process']} on {said['host']} since {said['since']} ({said['command']})"
    except (ValueError, KeyError, TypeError):
        return "a process that has just started"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
