"""What is left on a disk after a kill or a power cut at any step of a function.

``Recorder(root).points(act, target)`` runs ``act`` and writes, before each of its renames, links, removals, new folders
and fsyncs, and at its end, what ``root`` would look like: as a kill leaves it (everything that was done), and as power
cuts leave it. A file's content is on the disk once the file was synced. A change of names (a rename is one) is once its
folder was; before, a power cut may drop or keep it, whatever it does with others.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

CALLS = ("fsync", "rename", "replace", "symlink", "unlink", "mkdir", "rmdir")  # of os, which pathlib and shutil call

Entry = tuple[str, int | str]  # "folder" or "file" and its inode, or "link" and what it names
Names = dict[int, dict[str, Entry]]  # of each folder, by its inode
Change = dict[tuple[int, str], Entry | None]  # of names, by folder and name; None where it is gone


class Recorder:
    """Notes what is on the disk below ``root``: everything that is there at first, but ``unsynced`` files."""

    def __init__(self, root: Path, unsynced: tuple[str, ...] = ()) -> None:
        self.root = root
        self.contents: dict[int, bytes] = {}  # as synced, by inode
        self.held: list[int] = []  # open descriptors: the inode of what was synced is given to no other file
        self.names, self.now = self._scan(), self._scan()  # as synced, and as they are
        self.changes: list[Change] = []  # from the one to the other
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.relative_to(root).as_posix() not in unsynced:
                self._sync(path)

    def points(self, act: Callable[[], object], target: Path) -> list[Path]:
        """The folders that were written, in order."""
        points: list[Path] = []
        real = {name: getattr(os, name) for name in CALLS}
        is_busy = False

        def take(what: str) -> None:
            nonlocal is_busy
            is_busy = True
            self._note_changes(apart=True)
            variants = {
                "all lost": [],
                "names kept": self.changes,
                "only the last change of names kept": self.changes[-1:],
            }
            points.append(target / f"{len(points):03} before {what}, killed")
            shutil.copytree(self.root, points[-1], symlinks=True)
            for variant, kept in variants.items():
                points.append(target / f"{len(points):03} before {what}, {variant}")
                self._survive(kept, points[-1])
            is_busy = False

        def recorded(name: str) -> Callable[..., object]:
            def call(*arguments: object, **options: object) -> object:
                nonlocal is_busy
                if is_busy:
                    return real[name](*arguments, **options)
                path = self._path(arguments[0])
                take(f"{name} {path.name}")
                answer = real[name](*arguments, **options)
                is_busy = True
                self._note_changes(apart=False)
                if name == "fsync":
                    self._sync(path)
                is_busy = False
                return answer

            return call

        self.point = take
        try:
            for name in CALLS:
                setattr(os, name, recorded(name))
            act()
            take("the end")
        finally:
            for name, function in real.items():
                setattr(os, name, function)
            for descriptor in self.held:
                os.close(descriptor)
        return points

    @staticmethod
    def _path(argument: object) -> Path:
        return Path(f"/proc/self/fd/{argument}").readlink() if isinstance(argument, int) else Path(str(argument))

    def _scan(self) -> Names:
        found: Names = {}
        for folder in (self.root, *(path for path in self.root.rglob("*") if path.is_dir() and not path.is_symlink())):
            names = found.setdefault(folder.stat().st_ino, {})
            for path in folder.iterdir():
                if path.is_symlink():
                    names[path.name] = ("link", str(path.readlink()))
                else:
                    names[path.name] = ("folder" if path.is_dir() else "file", path.stat().st_ino)
        return found

    def _note_changes(self, apart: bool) -> None:
        """Note what changed since the last time, as one change, or each name apart (of files that were opened)."""
        now = self._scan()
        change: Change = {}
        for folder in now.keys() | self.now.keys():
            before, after = self.now.get(folder, {}), now.get(folder, {})
            for name in before.keys() | after.keys():
                if before.get(name) != after.get(name):
                    change[folder, name] = after.get(name)
        self.now = now
        if change:
            self.changes += [{key: entry} for key, entry in change.items()] if apart else [change]

    def _sync(self, path: Path) -> None:
        inode = path.stat().st_ino
        self.held.append(os.open(path, os.O_RDONLY))
        if stat.S_ISDIR(path.stat().st_mode):
            self.names[inode] = dict(self.now.get(inode, {}))
            self.changes = [
                left
                for change in self.changes
                if (left := {key: entry for key, entry in change.items() if key[0] != inode})
            ]
        else:
            self.contents[inode] = path.read_bytes()

    def _survive(self, kept: list[Change], target: Path) -> None:
        """Write what is on the disk, with these changes of names."""
        names = {folder: dict(entries) for folder, entries in self.names.items()}
        for change in kept:
            for (folder, name), entry in change.items():
                if entry:
                    names.setdefault(folder, {})[name] = entry
                else:
                    names.setdefault(folder, {}).pop(name, None)

        def write(inode: int, folder: Path) -> None:
            folder.mkdir(parents=True)
            for name, (kind, what) in names.get(inode, {}).items():
                if kind == "link":
                    (folder / name).symlink_to(what)
                elif kind == "file":
                    (folder / name).write_bytes(self.contents.get(what, b""))
                else:
                    write(what, folder / name)

        write(self.root.stat().st_ino, target)
