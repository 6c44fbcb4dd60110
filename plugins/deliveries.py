"""Every file that was delivered is stored for good, once, converted to the contract's columns, in a numbered load.

``take_in_deliveries(folder, store, contract) -> JSON`` takes in what is new in ``folder`` (``EXTRACTS_DIR``) and tells
what is stored. ``verify_store(store) -> text`` tells whether all of it is still as it was stored, ``verify_files(store,
paths) -> text`` whether some files are. The store::

    000001/manifest.json    what the load holds: {"format", "load", "id": random, never used twice, "taken_in_at",
                            "files": [{"extract", "path", "sha256", "bytes", "rows"}], each as it was delivered,
                            "stored": {extract: {"file", "sha256", "rows"}}}
    000001/jobs.parquet     the rows of all its files of jobs, converted (conversion.py), file by file in their order
    loads.json              the loads that were ever taken in and not forgotten: {number: id}
    seen.json               only saves reading: path -> [size, mtime_ns, ctime_ns, inode, sha256] of the files that lay
                            in EXTRACTS_DIR at the last run, each of them stored
    .incoming/              the load of a run that is under way, or was killed

A delivered file is known by its path below ``EXTRACTS_DIR`` and the SHA-256 of its bytes: other bytes under the same
path are a new delivery, beside the old one. Nothing that a load holds is ever changed.
"""

from __future__ import annotations

import csv
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import stat
import time
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from conversion import (
    Column,
    Contract,
    LacksColumn,
    Limits,
    Problem,
    convert,
    convert_streamed,
    merge,
    open_bytes,
    refuse_unreadable,
)
from progress import NO_PROGRESS, FileProgress, Progress, as_bytes, as_count
from swapping import sync_path

# Ending of a file name -> format. A format may come plain and gzipped.
FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".json": "json",
    ".json.gz": "json",
}
FORMAT = 2  # of the store
# Of each file in a manifest, and of each stored one.
FILE_KEYS = {"extract", "path", "sha256", "bytes", "rows"}
STORED_KEYS = {"file", "sha256", "rows"}

# Streamed jobs may stand in for these extracts.
STREAMED = ("jobs", "steps")

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of the disk that is written to

SMALL_FILE = 1_048_576  # bytes of a file of streamed jobs that is converted together with others
AT_ONCE = 500  # of them

LONGEST_WAIT = 60.0  # seconds for files that are still being written

WORKERS = 4  # files at a time; DuckDB reads a large one on all cores

# A file that changed within this time before a run may change again and look the same to a coarse clock.
SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class _Delivered:
    """A file of EXTRACTS_DIR. ``path``: below it, with /; ``look``: its size, mtime_ns, ctime_ns and inode."""

    extract: str
    path: str
    file: Path
    format: str
    look: tuple[int, ...]


def take_in_deliveries(folder: str, store: str, contract: str, *, progress: Progress = NO_PROGRESS) -> str:
    """Store the files under ``folder`` that ``store`` does not hold yet, as its next load, and list what is stored.

    An empty ``folder``: only list. ``contract`` is JSON: ``{"extracts": {name: {"required": bool, "columns": [[name,
    kind, whether it is required, whether it may be unreadable], ...]}}, "types": {kind: {"as": type in Parquet,
    "read": SQL that reads {value}}}, "settled": {id: number}, "settling_seconds": number, "is_whole": bool,
    "limits": of conversion.Limits}``; settled are the loads that a warehouse was computed from, is_whole says that
    everything stored will be read: then its checksums are looked at first.
    The answer is JSON: ``{"problem": null, "root": store, "ignored": [paths], "to_look_at": [texts],
    "newest_load": 0 without any, "taken_in": number of new files, "loads": {number: id}, "files": {extract: [[load,
    path of the stored file below the store, path that was delivered, rows], ...]}}``, by load and path. Or
    ``{"problem": text}``, the first one found; then the store is as it was:

    - the folder is missing, is a file or is empty, or a part of it can't be read;
    - a required folder is missing, or is empty and nothing was ever stored of it;
    - a new file can't be parsed, lacks a required column, or has one that is no plain value;
    - the store can't be written or read, or lacks a load that it once had.
    """
    try:
        return json.dumps(_take_in(folder, Path(store), json.loads(contract), progress) | {"root": store})
    except Problem as problem:
        return json.dumps({"problem": str(problem)})
    finally:
        progress.clear()


def verify_store(store: str, progress: Progress = NO_PROGRESS) -> str:
    """Name the first stored file that is missing or is not as it was stored; an empty text where all are."""
    try:
        loads = _read_loads(Path(store))
        _require_known_loads(Path(store), loads)
        _require_checksums(Path(store), loads, progress)
    except Problem as problem:
        return str(problem)
    finally:
        progress.clear()
    return ""


def newer_format(store: str) -> str:
    """Which load a newer release stored, before anything is done; an empty text where none. Reads little of each."""
    folder = Path(store)
    for name in _load_names(folder):
        with suppress(OSError), (folder / name / "manifest.json").open("rb") as manifest:
            found = re.match(rb'\s*\{\s*"format":\s*(\d+)', manifest.read(64))
            if found and int(found[1]) > FORMAT:
                return _newer(folder / name / "manifest.json", int(found[1]))
    return ""


def _newer(manifest: Path, written: int) -> str:
    return (
        f"The manifest {manifest} was written by a newer release (format {written}; this one writes {FORMAT}): run "
        "that one. Nothing was changed."
    )


def verify_files(store: str, paths: set[str], progress: Progress = NO_PROGRESS) -> str:
    """The same of the files at these paths below the store."""
    try:
        _require_checksums(Path(store), _read_loads(Path(store)), progress, paths)
    except Problem as problem:
        return str(problem)
    finally:
        progress.clear()
    return ""


def _take_in(folder: str, store: Path, contract: dict[str, Any], progress: Progress) -> dict[str, Any]:
    _take_over_older_loads(store, contract, progress)
    loads = _read_loads(store)
    _require_known_loads(store, loads, contract.get("settled", {}))
    if contract.get("is_whole"):
        _require_checksums(store, loads, progress)
    ignored: list[str] = []
    to_look_at: list[str] = []
    taken_in = 0
    if folder:
        root = Path(folder)
        extracts = contract["extracts"]
        found, ignored = _list_folder(root, extracts)
        _require_folders(root, extracts, {file.extract for file in found}, _extracts_of(loads))
        known = _identities(loads)
        seen = _read_seen(store)
        found = _wait_until_settled(found, seen, contract.get("settling_seconds", 0), progress)
        hashes = _hash_files(found, seen, known, progress)
        new = [file for file in found if (file.path, hashes[file.path]) not in known]
        shutil.rmtree(store / ".incoming", ignore_errors=True)
        if new:
            progress.line(f"Taking in {_files(len(new), 'new ')}, {as_bytes(sum(file.look[0] for file in new))}")
            *load, to_look_at = _store_load(new, hashes, store, contract, progress)
            loads.append(tuple(load))
            progress.line(_describe_load(loads[-1][1], progress.elapsed))
        else:
            progress.line(f"No new files: {_files(len(found))} in {_printable(root)}, stored already.")
        _write_seen(store, found, hashes)
        taken_in = len(new)
    if folder or os.environ.get("ACCEPT_MISSING_LOADS") == "1":
        _note_loads(store, loads)

    files: dict[str, list[tuple[int, str, str, int]]] = {}
    for name, manifest in loads:
        for file in sorted(manifest["files"], key=lambda file: file["path"]):
            stored = f"{name}/{manifest['stored'][file['extract']]['file']}"
            files.setdefault(file["extract"], []).append((int(name), stored, file["path"], file["rows"]))
    return {
        "problem": None,
        "ignored": ignored,
        "to_look_at": to_look_at,
        "newest_load": int(loads[-1][0]) if loads else 0,
        "taken_in": taken_in,
        "loads": {int(name): manifest["id"] for name, manifest in loads},
        "files": files,
    }


# ------------------------------------------------------------------------------------------------- what was delivered


def _list_folder(root: Path, contract: dict[str, Any]) -> tuple[list[_Delivered], list[str]]:
    """The files of each extract, in order, and the paths of what is none of them."""
    if not root.exists():
        raise Problem(f"EXTRACTS_DIR={root} does not exist.")
    if not root.is_dir():
        raise Problem(f"EXTRACTS_DIR={root} is a file, not a folder with one sub-folder per extract.")
    if not any(root.iterdir()):
        raise Problem(f"EXTRACTS_DIR={root} is empty: it needs one sub-folder per extract.")

    found: list[_Delivered] = []
    ignored = [path for path in sorted(root.iterdir()) if path.name not in contract]
    for extract in contract:
        for path in _walk(root / extract):
            ending = (
                None
                if _is_of_a_tool(path.relative_to(root))
                else next((e for e in FORMATS if path.name.endswith(e)), None)
            )
            look = _look(path) if ending else None
            if look is None:
                ignored.append(path)
            else:
                found.append(_Delivered(extract, _name_below(root, path), path, FORMATS[ending], look))
    return found, [_printable(path) for path in ignored]


def _is_of_a_tool(path: Path) -> bool:
    """Whether a path below EXTRACTS_DIR is hidden, unfinished, or what a tool keeps beside the data.

    As Spark, Hive and Athena have it: what begins with . or _, also a folder. ~$ is an open document's lock, and
    .metadata.json a table's description (Iceberg).
    """
    return any(part.startswith((".", "_", "~$")) for part in path.parts) or path.name.endswith(".metadata.json")


def _walk(folder: Path) -> list[Path]:
    """Everything below the folder but folders, at any depth; links to folders are not followed."""
    if not folder.is_dir():
        return []

    def stop(error: OSError) -> None:
        raise Problem(f"The folder {_printable(error.filename)} can't be read: {error.strerror}.") from error

    paths = []
    for parent, folders, files in os.walk(folder, onerror=stop):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]  # noqa: PTH114, PTH118
        paths += [Path(parent, name) for name in files + links]
    return sorted(paths)


def _look(path: Path) -> tuple[int, ...] | None:
    """What tells without reading whether a file is the one that was seen; None where there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unparsable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _name_below(root: Path, path: Path) -> str:
    name = path.relative_to(root).as_posix()
    if name != name.encode(errors="replace").decode():
        raise _unparsable(path, "its name is not UTF-8")
    return name


def _printable(path: Path | str) -> str:
    """The path without what a terminal would take for a command."""
    text = str(path).encode(errors="replace").decode()
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _require_folders(root: Path, contract: dict[str, Any], found: set[str], stored: set[str]) -> None:
    """Each required extract has a file; or had one before, and still has its folder."""
    streamed = "job_history" in found or ("job_history" in stored and (root / "job_history").is_dir())
    for name, terms in contract.items():
        may_be_streamed = name in STREAMED
        if not terms["required"] or name in found or (may_be_streamed and streamed):
            continue
        is_there = (root / name).is_dir()
        if is_there and (name in stored or (may_be_streamed and "job_history" in stored)):
            continue
        state = "has no file to read" if is_there else "is missing"
        instead = " (job_history may stand in for it)" if may_be_streamed else ""
        raise Problem(f"The required folder {root / name} {state}{instead}.")


def _wait_until_settled(
    found: list[_Delivered], seen: dict[str, list[Any]], seconds: float, progress: Progress
) -> list[_Delivered]:
    """The files as they look once none of those that were not seen before changed within so many seconds.

    A time after the clock counts as settled. Raises Problem, naming the file, where one still changes after a minute.
    """

    def is_known(file: _Delivered) -> bool:
        return [*file.look] == (seen.get(file.path) or [None])[:-1]

    until = time.monotonic() + LONGEST_WAIT
    while True:
        looked = [file if is_known(file) else replace(file, look=_look(file.file) or file.look) for file in found]
        ages = {file: time.time() - file.look[1] / 1e9 for file in looked if not is_known(file)}
        young = [file for file, age in ages.items() if 0 <= age < seconds]
        if not young:
            return looked
        if time.monotonic() > until:
            raise Problem(
                f"The file {_printable(young[0].file)} is still being written: it changed {ages[young[0]]:.1f} s ago. "
                "Write files elsewhere and rename them, or wait until they are whole."
            )
        progress.show(f"Waiting for {_printable(young[0].file)}, which has just changed")
        time.sleep(min(seconds - min(ages[file] for file in young), 0.5) + 0.01)


def _hash_files(
    found: list[_Delivered], seen: dict[str, list[Any]], known: set[tuple[str, str]], progress: Progress
) -> dict[str, str]:
    """The SHA-256 of each file by path, of ``seen`` where the file looks the same and is stored, else of its bytes."""
    hashes: dict[str, str] = {}
    for file in found:
        *look, sha256 = seen.get(file.path) or [None]
        if tuple(look) == file.look and (file.path, sha256) in known:
            hashes[file.path] = sha256

    unseen = [file for file in found if file.path not in hashes]
    done = FileProgress(progress, "Looking for new files", len(unseen), sum(file.look[0] for file in unseen))

    def read(file: _Delivered) -> tuple[str, str]:
        with _parsing(file.file):
            sha256 = _sha256(file.file)
        done.add(file.look[0])
        return file.path, sha256

    return hashes | dict(_in_parallel(read, unseen))


# ------------------------------------------------------------------------------------------------------ what is stored


def _read_loads(store: Path) -> list[tuple[str, dict[str, Any]]]:
    """(folder name, manifest) of each load, oldest first."""
    loads = []
    for name in sorted(_load_names(store), key=int):
        path = store / name / "manifest.json"
        try:
            manifest = json.loads(path.read_bytes())
            if manifest.get("format", 1) > FORMAT:
                raise Problem(_newer(path, manifest["format"]))
            if manifest.get("format", 1) < FORMAT and "files" in manifest:
                raise Problem(
                    f"The load {path.parent} was stored by an older release: the next dbt build takes it over."
                )
            complete = all(file.keys() >= FILE_KEYS for file in manifest["files"]) and all(
                stored.keys() >= STORED_KEYS for stored in manifest["stored"].values()
            )
            if not complete or {file["extract"] for file in manifest["files"]} != manifest["stored"].keys():
                raise ValueError("a file lacks one of its facts")
            if not isinstance(manifest["id"], str):
                raise ValueError("it has no id")
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise Problem(f"The manifest {path} can't be read: {error!r}") from error
        loads.append((name, manifest))
    return loads


def _require_known_loads(
    store: Path, loads: list[tuple[str, dict[str, Any]]], settled: dict[str, int] | None = None
) -> None:
    """Stop where a load that was taken in once is not there, or another one stands in its place."""
    there = {manifest["id"] for _, manifest in loads}
    lost = {number for identity, number in (_noted_loads(store) | (settled or {})).items() if identity not in there}
    if lost and os.environ.get("ACCEPT_MISSING_LOADS") != "1":
        raise Problem(
            f"{store} lacks what it once held: load {', '.join(map(str, sorted(lost)))}. Put it back from a backup of "
            f"{store}; or run once with ACCEPT_MISSING_LOADS=1 in the environment to compute everything without it."
        )


def _require_checksums(
    store: Path, loads: list[tuple[str, dict[str, Any]]], progress: Progress, paths: set[str] | None = None
) -> None:
    """Stop at the first stored file that is missing or is not as it was stored: of all, or of those at ``paths``."""
    expected = {
        Path(store, name, stored["file"]): stored["sha256"]
        for name, manifest in loads
        for stored in manifest["stored"].values()
        if paths is None or f"{name}/{stored['file']}" in paths
    }
    size = sum(map(_size, expected))
    if expected and paths is None:
        progress.line(f"Checking {_files(len(expected), 'stored ')}, {as_bytes(size)}, against their checksums")
    done = FileProgress(progress, "Checking", len(expected), size)
    cure = "Put it back from a backup."
    for path, found in zip(expected, _in_parallel(_sha256_or_error, list(expected)), strict=True):
        done.add(_size(path))
        if isinstance(found, FileNotFoundError):
            raise Problem(f"The stored file {path} is missing. {cure}")
        if isinstance(found, OSError):
            raise Problem(f"The stored file {path} can't be read: {found.strerror}.")
        if found != expected[path]:
            raise Problem(f"The stored file {path} is not as it was stored: its bytes have changed. {cure}")


def _noted_loads(store: Path) -> dict[str, int]:
    """The loads that were taken in, {id: number}, whether they are still there or not."""
    try:
        return {identity: int(name) for name, identity in json.loads((store / "loads.json").read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise Problem(f"The list of loads {store / 'loads.json'} can't be read: {error!r}") from error


def _note_loads(store: Path, loads: list[tuple[str, dict[str, Any]]]) -> None:
    """Note which loads there are, so that a lost one is missed."""
    text = json.dumps({name: manifest["id"] for name, manifest in loads})
    path = store / "loads.json"
    if loads and not (path.exists() and path.read_text(encoding="utf-8") == text):
        with _storing(store):
            scratch = store / "loads.json.new"
            scratch.write_text(text, encoding="utf-8")
            _sync([scratch])
            scratch.replace(path)
            _sync([store])


def _load_names(store: Path) -> list[str]:
    try:
        return [name for name in os.listdir(store) if name.isascii() and name.isdigit()]  # noqa: PTH208
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unstorable(store, error) from error


def _identities(loads: list[tuple[str, dict[str, Any]]]) -> set[tuple[str, str]]:
    return {(file["path"], file["sha256"]) for _, manifest in loads for file in manifest["files"]}


def _extracts_of(loads: list[tuple[str, dict[str, Any]]]) -> set[str]:
    return {file["extract"] for _, manifest in loads for file in manifest["files"]}


def _store_load(
    new: list[_Delivered], hashes: dict[str, str], store: Path, contract: dict[str, Any], progress: Progress
) -> tuple[str, dict[str, Any], list[str]]:
    """Write the files as the next load, all or none; returns its folder's name, its manifest, and what to look at."""
    used = {*map(int, _load_names(store)), *_noted_loads(store).values(), *contract.get("settled", {}).values()}
    number = max(used, default=0) + 1
    name = f"{number:06}"
    incoming = store / ".incoming"
    contracts = _contracts(contract)
    limits = Limits(**contract.get("limits", {}))
    notes: dict[tuple[str, str], list[str]] = {}
    done = FileProgress(progress, "Taking in", len(new), sum(file.look[0] for file in new))

    def keep(numbered: tuple[int, list[_Delivered]]) -> tuple[list[dict[str, Any]], list[Path]]:
        """The files' entries in the manifest, and the converted parts."""
        position, files = numbered
        part = incoming / f"{position}.part"
        entries = _store_streamed(files, hashes, number, part) if len(files) > 1 else None
        parts = [part]
        if entries is None:
            parts = [part.with_suffix(f".{n}.part") for n in range(len(files))]
            entries = []
            for file, one in zip(files, parts, strict=True):
                entry, found = _store_file(file, hashes[file.path], store, number, contracts[file.extract], one, limits)
                entries.append(entry)
                for note in found:
                    notes.setdefault((file.extract, note), []).append(file.path)
        done.add(sum(entry["bytes"] for entry in entries), sum(entry["rows"] for entry in entries), len(files))
        return entries, parts

    try:
        with _storing(store):
            store.mkdir(parents=True, exist_ok=True)
            incoming.mkdir()
        kept = list(_in_parallel(keep, list(enumerate(_together(new)))))
        parts: dict[str, list[Path]] = {}
        for entries, converted in kept:
            parts.setdefault(entries[0]["extract"], []).extend(converted)
        manifest = _seal(store, number, _now(), [entry for entries, _ in kept for entry in entries], parts)
        with _storing(store):
            incoming.rename(store / name)
            _sync([store, store.parent])
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    to_look_at = [
        f"{sorted(paths)[0]}{f' and {_files(len(paths) - 1)} more' if len(paths) > 1 else ''}: {note}."
        for (_, note), paths in sorted(notes.items())
    ]
    return name, manifest, to_look_at


def _together(new: list[_Delivered]) -> list[list[_Delivered]]:
    """The files, those of small streamed jobs together, as many as are converted at once."""
    alone, small = [], {}
    for file in new:
        if file.extract == "job_history" and file.format == "json" and 0 < file.look[0] < SMALL_FILE:
            small.setdefault(file.file.suffix, []).append(file)
        else:
            alone.append([file])
    return alone + [files[at : at + AT_ONCE] for files in small.values() for at in range(0, len(files), AT_ONCE)]


def _store_streamed(
    files: list[_Delivered], hashes: dict[str, str], load: int, part: Path
) -> list[dict[str, Any]] | None:
    """Convert streamed jobs to ``part``; their entries in the manifest, or None: they must be looked at one by one."""
    root = Path(str(files[0].file).removesuffix(files[0].path))
    try:
        for file in files:
            if file.file.name.endswith(".gz"):
                _read_to_the_end(file.file)
        with _connection().cursor() as cursor:
            rows = convert_streamed(cursor, [file.file for file in files], root, load, part)
    except (OSError, EOFError, zlib.error, ValueError, duckdb.Error):
        part.unlink(missing_ok=True)
        return None
    if rows.keys() != {file.path for file in files} or any(_look(file.file) != file.look for file in files):
        part.unlink(missing_ok=True)
        return None
    return [_entry(file, hashes[file.path], rows[file.path]) for file in files]


def _entry(file: _Delivered, sha256: str, rows: int) -> dict[str, Any]:
    return {"extract": file.extract, "path": file.path, "sha256": sha256, "bytes": file.look[0], "rows": rows}


def _take_over_older_loads(store: Path, contract: dict[str, Any], progress: Progress) -> None:
    """Convert the loads that a release before format 2 stored, one after the other, each whole or not at all.

    Its number, the time it was taken in and the checksums of the delivered files stay; its stored files were a Parquet
    file for each delivered one, beside one another, texts or typed as they came.
    """
    for aside in store.glob(".older-*"):  # of a run that was killed between two renames
        name = aside.name.removeprefix(".older-")
        if (store / name).exists():
            shutil.rmtree(aside)
        else:
            aside.rename(store / name)
    older = [name for name in sorted(_load_names(store), key=int) if _format_of(store / name) == 1]
    if not older:
        return
    progress.line(f"{_printable(store)} was written by an older release: converting its {len(older)} loads")
    contracts = _contracts(contract)
    for name in older:
        manifest = json.loads((store / name / "manifest.json").read_bytes())
        delivered = []
        for file in manifest["files"]:
            stored = store / name / file["stored"]
            if _sha256_or_error(stored) != file["stored_sha256"]:
                raise Problem(
                    f"The stored file {stored} is missing or not as it was stored: put it back from a backup."
                )
            delivered.append((stored, file))

        def keep(numbered: tuple[int, tuple[Path, dict[str, Any]]], name: str = name) -> dict[str, Any]:
            position, (stored, file) = numbered
            with _parsing(stored), _connection().cursor() as cursor:
                part = store / ".incoming" / f"{position}.part"
                arguments = (file["path"], int(name), contracts[file["extract"]], part, part.with_suffix(".scratch"))
                rows, _ = convert(cursor, stored, "parquet", *arguments)
            return {key: file[key] for key in ("extract", "path", "sha256", "bytes")} | {"rows": rows}

        try:
            with _storing(store):
                shutil.rmtree(store / ".incoming", ignore_errors=True)
                (store / ".incoming").mkdir()
            files = list(_in_parallel(keep, list(enumerate(delivered))))
            parts: dict[str, list[Path]] = {}
            for position, file in enumerate(files):
                parts.setdefault(file["extract"], []).append(store / ".incoming" / f"{position}.part")
            _seal(store, int(name), manifest["taken_in_at"], files, parts)
            with _storing(store):
                (store / name).rename(store / f".older-{name}")
                (store / ".incoming").rename(store / name)
                _sync([store])
                shutil.rmtree(store / f".older-{name}")
        finally:
            shutil.rmtree(store / ".incoming", ignore_errors=True)


def _format_of(load: Path) -> int:
    """The store's format that a load is written in; 0 where it can't be told."""
    try:
        manifest = json.loads((load / "manifest.json").read_bytes())
        return int(manifest.get("format", 1 if {"load", "files"} <= manifest.keys() else 0))
    except (OSError, ValueError, AttributeError):
        return 0


def _seal(
    store: Path, number: int, taken_in_at: str, files: list[dict[str, Any]], parts: dict[str, list[Path]]
) -> dict[str, Any]:
    """Merge the converted files of the incoming load, write its manifest, and have it all on the disk."""
    incoming = store / ".incoming"
    stored = {}
    with _storing(store):
        for extract, converted in parts.items():
            target = incoming / f"{extract}.parquet"
            merge(_connection(), converted, target, extract)
            rows = sum(file["rows"] for file in files if file["extract"] == extract)
            stored[extract] = {"file": target.name, "sha256": _sha256(target), "rows": rows}
        manifest = {
            "format": FORMAT,
            "load": number,
            "id": uuid.uuid4().hex,
            "taken_in_at": taken_in_at,
            "files": files,
            "stored": stored,
        }
        (incoming / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        _sync([Path(parent, file) for parent, _, names in os.walk(incoming) for file in names])
        _sync([Path(parent) for parent, _, _ in os.walk(incoming)])
    return manifest


def _contracts(contract: dict[str, Any]) -> dict[str, Contract]:
    return {
        name: Contract(name, tuple(Column(*column) for column in terms["columns"]), contract["types"])
        for name, terms in contract["extracts"].items()
    }


def _describe_load(manifest: dict[str, Any], seconds: float) -> str:
    """What a load took in, for a person: its files and rows by extract."""
    rows: dict[str, list[int]] = {}
    for file in manifest["files"]:
        rows.setdefault(file["extract"], []).append(file["rows"])
    by_extract = ", ".join(f"{name} {as_count(sum(of))} rows in {_files(len(of))}" for name, of in rows.items())
    return f"Took in {_files(len(manifest['files']))} in {seconds:.0f} s: {by_extract}."


def _files(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}file{'' if count == 1 else 's'}"


def _store_file(
    file: _Delivered, sha256: str, store: Path, load: int, contract: Contract, part: Path, limits: Limits
) -> tuple[dict[str, Any], list[str]]:
    """Convert the file to ``part`` of the incoming load; returns its entry in the manifest, and what to look at."""
    with _parsing(file.file, store, part):
        if file.file.name.endswith(".gz"):
            _read_to_the_end(file.file)
        with _connection().cursor() as cursor:
            scratch = part.with_suffix(".scratch")
            rows, notes = convert(cursor, file.file, file.format, file.path, load, contract, part, scratch)
            notes += refuse_unreadable(cursor, part, rows, contract, limits)
    if _look(file.file) != file.look:
        raise _unparsable(file.file, "it changed while it was read")
    return _entry(file, sha256, rows), notes


def _read_to_the_end(path: Path) -> None:
    """Raise when a gzipped file was cut short: DuckDB 1.5 reads such a file without an error, as far as it goes."""
    if path.stat().st_size:
        with open_bytes(path) as file:
            while file.read(1 << 20):
                pass


# ------------------------------------------------------------------------------------------------ what was seen before


def _read_seen(store: Path) -> dict[str, list[Any]]:
    try:
        seen = json.loads((store / "seen.json").read_bytes())
        return {path: entry for path, entry in seen.items() if isinstance(entry, list)}
    except (OSError, ValueError, AttributeError):
        return {}


def _write_seen(store: Path, found: list[_Delivered], hashes: dict[str, str]) -> None:
    """Note how the files look, all of which are stored by now. Without the note they are only read again."""
    settled = time.time_ns() - SETTLED_NS
    seen = {file.path: [*file.look, hashes[file.path]] for file in found if max(file.look[1:3]) < settled}
    scratch = store / "seen.json.new"
    with suppress(OSError):
        if seen != _read_seen(store):
            scratch.write_text(json.dumps(seen), encoding="utf-8")
            scratch.replace(store / "seen.json")


# -------------------------------------------------------------------------------------------------------------- helpers


@contextmanager
def _parsing(path: Path, store: Path | None = None, part: Path | None = None) -> Iterator[None]:
    """Say which file it is that can't be read; and of an error that names ``part``, that the store can't be written."""
    try:
        yield
    except LacksColumn as error:
        raise Problem(f"The file {_printable(path)} lacks the required column {error}.") from error
    except (OSError, EOFError, zlib.error, ValueError, csv.Error, duckdb.Error) as error:
        if part and (
            str(part) in str(error) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        ):
            raise _unstorable(store, error) from error
        raise _unparsable(path, error) from error


@contextmanager
def _storing(store: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.Error) as error:
        raise _unstorable(store, error) from error


def _unparsable(path: Path, reason: object) -> Problem:
    return Problem(f"The file {_printable(path)} can't be parsed: {reason}")


def _unstorable(store: Path, error: Exception) -> Problem:
    return Problem(f"The deliveries can't be stored under {store}: {getattr(error, 'strerror', None) or error}")


def _in_parallel(work: Any, items: list[Any]) -> Iterator[Any]:
    """The results in the order of the items; after an error no further item is begun."""
    with ThreadPoolExecutor(WORKERS) as pool:
        yield from pool.map(work, items)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_or_error(path: Path) -> str | OSError:
    try:
        return _sha256(path)
    except OSError as error:
        return error


def _size(path: Path) -> int:
    """0 where the file can't be seen."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _sync(paths: list[Path]) -> None:
    """Have the files or folders on the disk."""
    for _ in _in_parallel(sync_path, paths):
        pass


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@functools.cache
def _connection() -> duckdb.DuckDBPyConnection:
    """A database of its own to read files with, once for all of them: opening one takes longer than reading one."""
    connection = duckdb.connect()
    connection.execute("set global TimeZone = 'UTC'; set global enable_external_file_cache = false")
    return connection
