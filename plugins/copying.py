"""Copying a file, by ``copy_file(source, target)`` or as a process of its own: ``python copying.py SOURCE TARGET``."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
from pathlib import Path
from typing import IO

FICLONE = 0x40049409  # of linux/fs.h


def copy_file(source: Path, target: Path) -> None:
    """Copy a file and sync it to disk.

    If the file system can clone a file, the copy is free; otherwise it runs at disk speed.
    """
    with source.open("rb") as original, target.open("wb") as copy:
        if not _clone(original, copy):
            if missing := _missing_room(source, target):
                raise OSError(errno.ENOSPC, missing)
            shutil.copyfileobj(original, copy, 1 << 24)
        copy.flush()
        os.fsync(copy.fileno())


def missing_room(source: Path, target: Path) -> str:
    """A sentence without period about missing space for a copy of a file; an empty text if there is enough."""
    missing = _missing_room(source, target)
    if missing:
        with source.open("rb") as original, target.open("wb") as copy:
            missing = "" if _clone(original, copy) else missing
        target.unlink()
    return missing


def _missing_room(source: Path, target: Path) -> str:
    needed, free = source.stat().st_size, shutil.disk_usage(target.parent).free
    return "" if free >= needed else f"{target.parent} has {free / 1e9:.2f} GB free and needs {needed / 1e9:.2f} GB"


def _clone(original: IO[bytes], copy: IO[bytes]) -> bool:
    """Clone the file; False if the file system cannot."""
    try:
        fcntl.ioctl(copy.fileno(), FICLONE, original.fileno())
    except OSError:
        return False
    return True


if __name__ == "__main__":
    try:
        copy_file(Path(sys.argv[1]), Path(sys.argv[2]))
    except OSError as error:
        sys.exit(error.strerror or str(error))
