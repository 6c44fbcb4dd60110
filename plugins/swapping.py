"""Replacing a folder in one step: a link names it, and is pointed to another one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ASIDE = "before-"  # begins the name of a folder that stood where a link belongs


def point(link: Path, folder: Path) -> Path | None:
    """Let ``link`` name ``folder``, in one step, with the permissions of what it named before.

    Of the folders beside ``folder`` only the one that the link named before is kept. A folder or file in place of the
    link is put beside ``folder`` first: where to, else None.
    """
    keep_permissions(link, folder)
    before = link.parent / link.readlink() if link.is_symlink() else None
    aside = None
    if before is None and link.exists():
        before = aside = folder.with_name(f"{ASIDE}{folder.name}")
        _remove(aside)
        link.rename(aside)
        sync_path(folder.parent)
    scratch = link.with_name(f"{link.name}.new")
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(folder.relative_to(link.parent), target_is_directory=True)
    scratch.replace(link)
    sync_path(link.parent)
    for run in folder.parent.iterdir():
        if run not in (folder, before):
            _remove(run)
    return aside


def _remove(path: Path) -> None:
    """Remove a file or a folder, as far as that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def keep_permissions(before: Path, folder: Path) -> None:
    """Give ``folder``, and each file in it that ``before`` had too, the permissions it has there.

    A new file gets those of any file of ``before``. Nothing happens where there is no ``before``.
    """
    if not before.is_dir():
        return
    had = {path.relative_to(before): path for path in before.rglob("*")}
    any_file = next((path for path in had.values() if path.is_file()), None)
    any_folder = next((path for path in had.values() if path.is_dir()), before)
    for path in folder.rglob("*"):
        model = had.get(path.relative_to(folder)) or (any_folder if path.is_dir() else any_file)
        if model:
            shutil.copymode(model, path)
    shutil.copymode(before, folder)


def sync_tree(folder: Path) -> None:
    """Have the files and folders of a folder on the disk: without it a power cut leaves names without content."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync_path(Path(parent, name))
        sync_path(Path(parent))


def sync_path(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk, whatever happens to the machine from now on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
