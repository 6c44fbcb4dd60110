"""Replacing a folder in one step: a link names it, and is pointed to another one."""

from __future__ import annotations

import shutil
from pathlib import Path


def point(link: Path, folder: Path) -> None:
    """Let ``link`` name ``folder``, in one step; of the folders beside it only the one it named before is kept."""
    before = link.parent / link.readlink() if link.is_symlink() else None
    scratch = link.with_name(f"{link.name}.new")
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(folder.relative_to(link.parent), target_is_directory=True)
    scratch.replace(link)
    for run in folder.parent.iterdir():
        if run not in (folder, before):
            shutil.rmtree(run, ignore_errors=True)
