"""Replaces a file or a folder in one step; readers of a folder use a link, which is pointed to another folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ASIDE = "before-"  # begins the new name of a folder that was in place of a link


def point(link: Path, folder: Path) -> Path | None:
    """Point ``link`` to ``folder`` in one step, with the permissions of its previous target.

    Of the folders beside ``folder``, only the previous target is kept. A folder or file in place of the link is first
    moved beside ``folder``. Returns its new path, otherwise None.
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
    """Remove a file or a folder, and ignore errors."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def keep_permissions(before: Path, folder: Path) -> None:
    """Give ``folder``, and each file in it, the permissions that it has in ``before``.

    A new file gets those of any file of ``before``. Does nothing if ``before`` does not exist.
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


def replace_text(path: Path, text: str) -> None:
    """Replace the content of a file in one step, and sync it to disk."""
    scratch = path.with_name(f"{path.name}.new")
    scratch.write_text(text, encoding="utf-8")
    sync_path(scratch)
    scratch.replace(path)
    sync_path(path.parent)


def sync_tree(folder: Path) -> None:
    """Sync a folder with its files and folders to disk. Otherwise a power cut could leave names without content."""
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync_path(Path(parent, name))
        sync_path(Path(parent))


def sync_path(path: Path) -> None:
    """Sync a file, or the names in a folder, to disk, so that a crash of the machine loses nothing."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
