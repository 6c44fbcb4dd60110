"""Copying a file, by ``copy_file(source, target)`` or as a process of its own: ``python copying.py SOURCE TARGET``."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from pathlib import Path

FICLONE = 0x40049409  # of linux/fs.h


def copy_file(source: Path, target: Path) -> None:
    """Where the file system can clone a file the copy costs nothing; elsewhere it runs at the disk's speed."""
    with source.open("rb") as original, target.open("wb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), FICLONE, original.fileno())
        except OSError:
            shutil.copyfileobj(original, copy, 1 << 24)


if __name__ == "__main__":
    copy_file(Path(sys.argv[1]), Path(sys.argv[2]))
    with Path(sys.argv[2]).open("rb") as copied:
        os.fsync(copied.fileno())
