"""The store of deliveries: its content, its verification, merging and removal of loads.

    000001/manifest.json    the content of the load: {"format", "load", "id": random, never used twice, "taken_in_at",
                            "files": [{"extract", "path", "sha256", "bytes", "rows"}], one for each delivered file;
                            of an object in a bucket also its "version",
                            "stored": {extract: {"file", "sha256", "rows"}},
                            "supersedes": [{"path", "sha256"}], contents of earlier loads that files here continue,
                            "compacted": {"at", "loads": those of the folder, "rows": {extract: of this load},
                            "bytes_before", "bytes_after": of the folder}, if its texts are gone (compacting.py),
                            "quarantined": [{"extract", "path", "sha256", "bytes", "reason", "erased": true if its
                            bytes are not kept}], quarantined files}
    000001/jobs.parquet     the rows of all its files of jobs, converted (conversion.py), in the order of the files
    merged-000001-000010-…/ the same for several loads: {"format", "loads": [their manifests], "stored", "replaces":
                            [merged folders]}. Other folders of these loads are obsolete; the next run removes them.
    quarantined/            the bytes of the quarantined files, named by their SHA-256
    forgotten/000002.json   the manifest of a load that the user removed: its files stay known
    reading.json            the stored files that this project cannot read, or that lack columns: {"project": a
                            digest of the contract and code for reading, "unreadable": {path below the store: reason},
                            "lacks": {path: [columns]}}
    listed.json             what of a bucket was listed when (stream_listing.py)
    loads.json              all loads that were stored and not forgotten: {number: id}
    seen.json               a cache that avoids reading files: path -> [size, mtime_ns, ctime_ns, inode, sha256] of the
                            files in EXTRACTS_DIR at the last run, all of them stored; [version, sha256] of objects
    .downloads/             objects that a run has downloaded and not yet stored
    .incoming/              files that a run is writing, or that a killed run left

Stored files never change. A folder is written under another name; its rename commits its content.

Decisions::

    docs/decisions/merged-loads.md
    docs/decisions/damaged-stored-files.md
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
import tempfile
import uuid
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from compacting import COMPACTED, Keeping, compact_file
from conversion import Column, Contract, LacksColumn, Problem, convert, merge, read_files, write_rows
from erasing import Erasures, erase_rows, names_of_files, rename_files
from progress import FileProgress, Progress, as_bytes
from swapping import replace_text, sync_path

# Ending of a file name -> format. A format may come plain and gzipped.
FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".json": "json",
    ".json.gz": "json",
}

# Of the store. 4: a load may have erased rows, which an older release would count and load again. 5: a load may be
# compacted, whose streamed jobs an older release would read without their pages and messages; other loads are of 4, so
# that the older release can still read a store without compacted loads.
FORMAT, FORMAT_UNCOMPACTED = 5, 4
OLDEST_READ = 2  # older formats are converted first
# The keys of each delivered, stored and quarantined file in a manifest.
FILE_KEYS = {"extract", "path", "sha256", "bytes", "rows"}
STORED_KEYS = {"file", "sha256", "rows"}
QUARANTINED_KEYS = {"extract", "path", "sha256", "bytes", "reason"}

MERGED = "merged-"  # begins the names of folders of merged loads
MERGE_AT_ONCE = (10, 100)  # the least and the largest number of pieces of similar size that are merged into one
LARGEST_MERGED = 268_435_456  # bytes; a piece larger than a tenth of it is not merged

WORKERS = 4  # files at a time
MOST_MEMORY = 4_294_967_296  # bytes of memory for reading, for all files together; beyond that DuckDB spills to disk

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # errors of a disk without space


@dataclass
class Piece:
    """A folder of the store with the rows of one load, or of several."""

    folder: str
    loads: list[dict[str, Any]]  # manifests
    stored: dict[str, dict[str, Any]]
    replaces: list[str] = field(default_factory=list)

    @property
    def first(self) -> int:
        return min((load["load"] for load in self.loads), default=0)


@dataclass
class Store:
    """The content of a store: its loads, oldest first, and the pieces that contain their rows."""

    root: Path
    pieces: list[Piece] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)  # folders whose rows are in a merged folder
    forgotten: list[dict[str, Any]] = field(default_factory=list)  # manifests
    noted: dict[str, int] = field(default_factory=dict)  # all loads that were stored, {id: number}, also missing ones

    @property
    def loads(self) -> list[dict[str, Any]]:
        """The manifests of the loads that count."""
        gone = {load["id"] for load in self.forgotten}
        held = (load for piece in self.pieces for load in piece.loads if load["id"] not in gone)
        return sorted(held, key=lambda load: load["load"])

    def is_half_forgotten(self) -> bool:
        """Whether a merged folder still has rows of a forgotten load."""
        gone = {load["id"] for load in self.forgotten}
        return any(load["id"] in gone for piece in self.pieces for load in piece.loads)

    def stored_files(self) -> dict[str, tuple[str, str]]:
        """{path below the store: (extract, SHA-256)} of the files with rows."""
        return {
            f"{piece.folder}/{stored['file']}": (extract, stored["sha256"])
            for piece in self.pieces
            for extract, stored in piece.stored.items()
        }

    def contents(self) -> dict[str, dict[str, int]]:
        """The contents that count or are quarantined: {path: {sha256: bytes}}."""
        return _contents(self.loads)

    def known(self) -> dict[str, dict[str, int]]:
        """All contents that were ever delivered, also forgotten ones: {path: {sha256: bytes}}."""
        return _contents([*self.loads, *self.forgotten])

    def versions(self) -> set[tuple[str, str]]:
        """(path, version) of all objects that were ever delivered."""
        return {
            (file["path"], file["version"])
            for load in [*self.loads, *self.forgotten]
            for file in [*load["files"], *load.get("quarantined", [])]
            if "version" in file
        }

    def superseded(self) -> set[tuple[str, str]]:
        """(path, sha256) of the contents that a later content continues."""
        return {(file["path"], file["sha256"]) for load in self.loads for file in load.get("supersedes", [])}

    def quarantined(self) -> list[tuple[int, dict[str, Any]]]:
        """(load, file) of the quarantined files that were not loaded later, and not erased."""
        used = {(file["path"], file["sha256"]) for load in self.loads for file in load["files"]}
        return [
            (load["load"], file)
            for load in self.loads
            for file in load.get("quarantined", [])
            if (file["path"], file["sha256"]) not in used and not file.get("erased")
        ]

    def extracts(self) -> set[str]:
        return {file["extract"] for load in self.loads for file in load["files"]}


def _contents(loads: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    contents: dict[str, dict[str, int]] = {}
    for load in loads:
        for file in [*load["files"], *load.get("quarantined", [])]:
            contents.setdefault(file["path"], {})[file["sha256"]] = file["bytes"]
    return contents


def open_store(root: Path) -> Store:
    """Read the manifests of the store, which may not exist yet. Raises Problem if one cannot be read."""
    store = Store(root, noted=_noted_loads(root))
    singles, merged = [], []
    for name in _names(root):
        path = root / name / "manifest.json"
        with _reading(path):
            try:
                written = path.read_bytes()
            except FileNotFoundError:
                continue
            manifest = json.loads(written)
            _require_format(path, manifest)
            if name.startswith(MERGED):
                for load in manifest["loads"]:
                    _require_facts(load)
                if not all(stored.keys() >= STORED_KEYS for stored in manifest["stored"].values()):
                    raise ValueError("an entry of a file is incomplete")
                merged.append(Piece(name, manifest["loads"], manifest["stored"], manifest["replaces"]))
            else:
                _require_facts(manifest)
                singles.append(Piece(name, [manifest], manifest["stored"]))
    for path in sorted(root.glob("forgotten/*.json")):
        with _reading(path, " of a forgotten load"):
            manifest = json.loads(path.read_bytes())
            _require_facts(manifest)
        store.forgotten.append(manifest)

    replaced = {name for piece in merged for name in piece.replaces}
    held = {load["id"] for piece in merged if piece.folder not in replaced for load in piece.loads}
    forgotten = {load["id"] for load in store.forgotten}
    for piece in singles + merged:
        is_left_over = piece.folder in replaced if piece in merged else piece.loads[0]["id"] in held | forgotten
        if is_left_over:
            store.leftovers.append(root / piece.folder)
        else:
            store.pieces.append(piece)
    store.pieces.sort(key=lambda piece: piece.first)
    return store


@contextmanager
def _reading(manifest: Path, of: str = "") -> Iterator[None]:
    """Turn errors of a manifest into a Problem that names it."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(f"The manifest {manifest}{of} cannot be read: {error!r}") from error


def _require_format(path: Path, manifest: dict[str, Any]) -> None:
    found = manifest.get("format", 1)
    if found > FORMAT:
        raise Problem(_newer(path, found))
    if found < OLDEST_READ and "files" in manifest:
        raise Problem(f"The load {path.parent} was stored by an older release: the next dbt build converts it.")


def newer_format(root: str) -> str:
    """A message if a newer release stored a load; an empty text if none. Reads only the start of each manifest."""
    folder = Path(root)
    for name in _names(folder):
        with suppress(OSError), (folder / name / "manifest.json").open("rb") as manifest:
            found = re.match(rb'\s*\{\s*"format":\s*(\d+)', manifest.read(64))
            if found and int(found[1]) > FORMAT:
                return _newer(folder / name / "manifest.json", int(found[1]))
    return ""


def _newer(manifest: Path, written: int) -> str:
    return (
        f"The manifest {manifest} was written by a newer release (format {written}; this one writes {FORMAT}): run "
        "that release. Nothing was changed."
    )


def _require_facts(load: dict[str, Any]) -> None:
    """Raises ValueError, KeyError, TypeError or AttributeError if a load's manifest is incomplete."""
    complete = (
        all(file.keys() >= FILE_KEYS for file in load["files"])
        and all(stored.keys() >= STORED_KEYS for stored in load["stored"].values())
        and all(file.keys() >= QUARANTINED_KEYS for file in load.get("quarantined", []))
        and all(file.keys() >= {"path", "sha256"} for file in load.get("supersedes", []))
    )
    if not complete or {file["extract"] for file in load["files"]} != load["stored"].keys():
        raise ValueError("an entry of a file is incomplete")
    if not isinstance(load["id"], str) or not isinstance(load["load"], int):
        raise ValueError("it has no id")


def _names(root: Path) -> list[str]:
    """The folders of loads, by number, and the merged folders."""
    try:
        found = [name for name in os.listdir(root) if name.isascii()]  # noqa: PTH208
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unstorable(root, error) from error
    return sorted(filter(str.isdigit, found), key=int) + sorted(name for name in found if name.startswith(MERGED))


def next_number(store: Store, *others: int) -> int:
    """A number that no load ever had."""
    numbers = [int(name) for name in _names(store.root) if name.isdigit()]
    numbers += [load["load"] for load in [*store.loads, *store.forgotten]]
    return max([*numbers, *store.noted.values(), *others], default=0) + 1


# ------------------------------------------------------------------------------------------- is it all there, and whole


def require_known_loads(store: Store, committed: dict[str, int] | None = None) -> None:
    """Raise Problem if a stored load is missing, or another load has its number."""
    there = {load["id"] for load in [*store.loads, *store.forgotten]}
    lost = {number for identity, number in (store.noted | (committed or {})).items() if identity not in there}
    if lost and not accepts_missing():
        raise Problem(
            f"{store.root} has lost load {', '.join(map(str, sorted(lost)))}. Restore it from a "
            f"backup of {store.root}; or run once with ACCEPT_MISSING_LOADS=1 in the environment to compute "
            "everything without it."
        )


def accepts_missing() -> bool:
    """Whether the run may continue without lost or damaged files."""
    return os.environ.get("ACCEPT_MISSING_LOADS") == "1"


def damaged_files(store: Store, progress: Progress, paths: set[str] | None = None) -> dict[Path, str]:
    """The stored files that are missing or have changed, with the reason: {path: sentence}.

    Checks all files, also quarantined ones, or only those at ``paths`` below the store.
    """
    expected = {
        store.root / path: sha256
        for path, (_, sha256) in store.stored_files().items()
        if paths is None or path in paths
    }
    if paths is None:
        expected |= {kept_file(store.root, file): file["sha256"] for _, file in store.quarantined()}
    size = sum(map(size_of, expected))
    if expected and paths is None:
        progress.line(f"Checking {files_text(len(expected), 'stored ')}, {as_bytes(size)}, against their checksums")
    done = FileProgress(progress, "Checking", len(expected), size)
    damaged = {}
    for path, found in zip(expected, in_parallel(sha256_or_error, list(expected)), strict=True):
        done.add(size_of(path))
        if isinstance(found, FileNotFoundError):
            damaged[path] = f"The stored file {path} is missing."
        elif isinstance(found, OSError):
            damaged[path] = f"The stored file {path} cannot be read: {found.strerror}."
        elif found != expected[path]:
            damaged[path] = f"The stored file {path} has changed since it was stored."
    return damaged


def require_checksums(store: Store, progress: Progress) -> dict[str, str]:
    """Raise Problem for the first stored file that is missing or has changed. If the run may continue without them,
    returns them: {path below the store: reason}."""
    damaged = damaged_files(store, progress)
    if damaged and not accepts_missing():
        raise Problem(
            f"{next(iter(damaged.values()))} Restore it from a backup. Or run once with ACCEPT_MISSING_LOADS=1 in the "
            "environment to quarantine it and compute everything without it."
        )
    return {path.relative_to(store.root).as_posix(): reason for path, reason in damaged.items()}


def _require_as_stored(file: Path, sha256: str) -> None:
    """Raise Problem if a stored file that will be rewritten is missing or has changed."""
    if sha256_or_error(file) != sha256:
        raise Problem(f"The stored file {file} is missing or has changed: restore it from a backup.")


@dataclass
class Reading:
    """The stored files that this project cannot read, with the reason, and the columns that stored files lack."""

    project: str = ""  # a digest of the contract and the code for reading
    unreadable: dict[str, str] = field(default_factory=dict)
    lacks: dict[str, list[str]] = field(default_factory=dict)


def look_at_files(store: Store, contract: dict[str, Any], damaged: dict[str, str] | None) -> Reading:
    """The stored files that this project cannot read. ``damaged``: of require_checksums(); None: not checked.

    All files are checked if the project has changed since the last check, or if everything is recomputed. A file that
    was stored since then has the columns of the project.
    """
    columns = {name: _columns(terms, contract["types"]) for name, terms in contract["extracts"].items()}
    project = hashlib.sha256(json.dumps([columns, duckdb.__version__], sort_keys=True).encode()).hexdigest()
    stored = store.stored_files()
    noted = _noted_reading(store.root)
    if damaged is None:
        noted = Reading(
            noted.project,
            {name: reason for name, reason in noted.unreadable.items() if name in stored},
            {name: lacking for name, lacking in noted.lacks.items() if name in stored},
        )
        if noted.project == project:
            return noted
    reading = Reading(project, dict(noted.unreadable if damaged is None else damaged))
    for name, (extract, _) in stored.items():
        if name in reading.unreadable or extract not in columns:
            continue
        found = columns_of(store.root / name)
        if isinstance(found, str):
            reading.unreadable[name] = found
            continue
        has = dict(found)
        others = [f"{c} is {has[c]}, not {kind}" for c, kind in columns[extract].items() if has.get(c, kind) != kind]
        if others:
            reading.unreadable[name] = f"it was stored with other types: {', '.join(others)}"
        elif lacking := [column for column in columns[extract] if column not in has]:
            reading.lacks[name] = lacking
    return reading


def _noted_reading(root: Path) -> Reading:
    try:
        return Reading(**json.loads((root / "reading.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return Reading()


def note_reading(store: Store, reading: Reading) -> None:
    """Save which stored files cannot be read, so that the next run does not check all of them."""
    if store.loads and reading != _noted_reading(store.root):
        _replace(store.root / "reading.json", json.dumps(asdict(reading), indent=1))


def _columns(terms: dict[str, Any], types: dict[str, dict[str, str]]) -> dict[str, str]:
    """The columns of a stored file with DuckDB's names of their types."""
    names = {name: types[kind]["as"].upper().replace(" ", "") for name, kind, *_ in terms["columns"]}
    return names | {"extra": "VARCHAR", "load_id": "BIGINT", "file_name": "VARCHAR"}


def _noted_loads(root: Path) -> dict[str, int]:
    try:
        return {identity: int(name) for name, identity in json.loads((root / "loads.json").read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise Problem(f"The list of loads {root / 'loads.json'} cannot be read: {error!r}") from error


def note_loads(store: Store) -> None:
    """Save the list of loads, so that a lost load is noticed."""
    text = json.dumps({f"{load['load']:06}": load["id"] for load in store.loads})
    path = store.root / "loads.json"
    if store.loads and not (path.exists() and path.read_text(encoding="utf-8") == text):
        _replace(path, text)


def _replace(path: Path, text: str) -> None:
    """Replace the content of the file in one step."""
    with storing(path.parent):
        replace_text(path, text)


# ----------------------------------------------------------------------------------------------------------- a new load


def seal(root: Path, manifest: dict[str, Any], parts: dict[str, list[Path]]) -> dict[str, Any]:
    """Merge the converted files of the incoming load by extract, write its manifest, and sync all to disk.

    ``manifest``: its entries so far; returns the complete manifest.
    """
    incoming = root / ".incoming"
    stored = {}
    with storing(root):
        for extract, converted in parts.items():
            target = incoming / f"{extract}.parquet"
            merge(connection(), converted, target, extract)
            rows = sum(file["rows"] for file in manifest["files"] if file["extract"] == extract)
            stored[extract] = {"file": target.name, "sha256": sha256_of(target), "rows": rows}
        manifest = {"format": FORMAT_UNCOMPACTED, "id": uuid.uuid4().hex} | manifest | {"stored": stored}
        kept = [kept_file(root, file) for file in manifest.get("quarantined", [])]
        sync([*kept, *{path.parent for path in kept}])
        _write_manifest(incoming, manifest)
    return manifest


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    sync([Path(parent, file) for parent, _, names in os.walk(folder) for file in names])
    sync([Path(parent) for parent, _, _ in os.walk(folder)])


# ------------------------------------------------------------------------------------------------ quarantined files


def keep_content(root: Path, file: Path, path: str, sha256: str) -> None:
    """Keep the bytes of a delivered file that cannot be loaded. Raises Problem if they have changed since."""
    kept = kept_file(root, {"path": path, "sha256": sha256})
    with storing(root):
        kept.parent.mkdir(parents=True, exist_ok=True)
        scratch = kept.with_name(f"{kept.name}.new")
        shutil.copyfile(file, scratch)
        if sha256_of(scratch) != sha256:
            scratch.unlink()
            raise Problem(f"The file {printable(file)} cannot be parsed: it changed while it was read")
        scratch.replace(kept)


def kept_file(root: Path, file: dict[str, Any]) -> Path:
    """The path of the bytes of a quarantined file."""
    return root / "quarantined" / f"{file['sha256']}{ending_of(file['path'])}"


# ------------------------------------------------------------------------------------------------- fewer, larger pieces


def tidy(store: Store, progress: Progress) -> Store:
    """Remove obsolete files of merged and forgotten loads and of killed runs; returns the store."""
    incoming = store.root / ".incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    with storing(store.root):
        for path in store.leftovers:
            path.rename(incoming)  # in one step, because a half-removed folder would be read
            shutil.rmtree(incoming)
    if store.is_half_forgotten():
        gone = {load["id"] for load in store.forgotten}
        for piece in store.pieces:
            if any(load["id"] in gone for load in piece.loads):
                progress.line(f"Removing a forgotten load's rows from {printable(store.root / piece.folder)}")
                _write_merged(store.root, [piece], gone)
        return tidy(open_store(store.root), progress)
    return open_store(store.root) if store.leftovers else store


def merge_loads(store: Store, leave: set[str], progress: Progress) -> Store:
    """Merge many small loads into few pieces, because a run opens each piece. Returns the store.

    ``leave``: stored files that are not merged, by their paths below the store.
    """
    while pieces := _mergeable(store, leave):
        count = sum(len(piece.loads) for piece in pieces)
        progress.line(f"Merging {count:,} small loads in {printable(store.root)}")
        _write_merged(store.root, pieces)
        store = open_store(store.root)
    return store


def _mergeable(store: Store, leave: set[str]) -> list[Piece]:
    """The oldest small pieces with a similar number of loads, if there are enough of them."""
    least, most = MERGE_AT_ONCE
    levels: dict[int, list[Piece]] = {}
    for piece in store.pieces:
        level = 0
        while len(piece.loads) >= least ** (level + 1):
            level += 1
        levels.setdefault(level, []).append(piece)
    for _, pieces in sorted(levels.items()):
        if len(pieces) < least:
            continue
        alike: list[_Alike] = []
        for piece in pieces:
            files = {extract: f"{piece.folder}/{stored['file']}" for extract, stored in piece.stored.items()}
            size = sum(size_of(store.root / path) for path in files.values())
            if size > LARGEST_MERGED // least or leave & {*files.values()}:
                continue
            columns = {extract: columns_of(store.root / path) for extract, path in files.items()}
            fitting = next((group for group in alike if group.fits(columns, size)), None)
            if not fitting:
                alike.append(fitting := _Alike())
            fitting.pieces.append(piece)
            fitting.columns |= columns
            fitting.size += size
        chosen = next((group.pieces for group in alike if len(group.pieces) >= least), [])
        if chosen:
            return chosen[:most]
    return []


@dataclass
class _Alike:
    """Pieces that can be merged: the files of each extract have the same columns."""

    pieces: list[Piece] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)
    size: int = 0

    def fits(self, columns: dict[str, Any], size: int) -> bool:
        return self.size + size <= LARGEST_MERGED and all(
            self.columns.get(extract, has) == has for extract, has in columns.items()
        )


def columns_of(file: Path) -> list[tuple[str, str]] | str:
    """(name, type) of each column of a stored file, in order; or the reason why the file cannot be read."""
    try:
        return [row[:2] for row in connection().cursor().execute(f"describe from {read_files([file])}").fetchall()]
    except duckdb.Error as error:
        return f"it cannot be read: {str(error).splitlines()[0]}"


def _write_merged(root: Path, pieces: list[Piece], without: set[str] | frozenset[str] = frozenset()) -> None:
    """Write the rows of the pieces, except of the loads with the ids ``without``, as one piece that replaces them.

    Raises Problem if a file has changed since it was stored. The pieces stay until the next run, for their readers.
    """
    loads = [load for piece in pieces for load in piece.loads]
    kept = sorted((load for load in loads if load["id"] not in without), key=lambda load: load["load"])
    dropped = [load["load"] for load in loads if load["id"] in without]
    incoming = root / ".incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    stored = {}
    with storing(root):
        incoming.mkdir()
    try:
        for extract in sorted({extract for load in kept for extract in load["stored"]}):
            sources = []
            for piece in pieces:
                if extract in piece.stored:
                    source = root / piece.folder / piece.stored[extract]["file"]
                    _require_as_stored(source, piece.stored[extract]["sha256"])
                    sources.append(source)
            rows = sum(load["stored"][extract]["rows"] for load in kept if extract in load["stored"])
            condition = f" where load_id not in ({', '.join(map(str, dropped))})" if dropped else ""
            target = incoming / f"{extract}.parquet"
            with storing(root):
                written = write_rows(connection().cursor(), f"from {read_files(sources)}{condition}", target, extract)
                if written != rows:
                    raise Problem(f"Merging {rows:,} rows of {extract} gave {written:,} rows: nothing was changed.")
                stored[extract] = {"file": target.name, "sha256": sha256_of(target), "rows": rows}
        _replace_pieces(root, pieces, incoming, kept, stored)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _replace_pieces(
    root: Path, pieces: list[Piece], incoming: Path, loads: list[dict[str, Any]], stored: dict[str, dict[str, Any]]
) -> None:
    """Give written files their manifest and their name: from then on they stand in place of the pieces."""
    replaces = [piece.folder for piece in pieces if piece.folder.startswith(MERGED)]
    replaces += [name for piece in pieces for name in piece.replaces if (root / name).exists()]
    numbers = [load["load"] for piece in pieces for load in piece.loads]
    manifest = _merged_manifest(loads, stored, replaces)
    with storing(root):
        _write_manifest(incoming, manifest)
        incoming.rename(root / f"{MERGED}{min(numbers):06}-{max(numbers):06}-{uuid.uuid4().hex[:8]}")
        sync([root])


def _merged_manifest(
    loads: list[dict[str, Any]], stored: dict[str, dict[str, Any]], replaces: list[str]
) -> dict[str, Any]:
    written = FORMAT if any("compacted" in load for load in loads) else FORMAT_UNCOMPACTED
    return {"format": written, "merged_at": now(), "loads": loads, "stored": stored, "replaces": replaces}


@dataclass(frozen=True)
class Part:
    """A part of a stored load for another store: some of its extracts, under a number and an id."""

    load: dict[str, Any]  # its manifest
    extracts: frozenset[str]
    number: int
    id: str

    @property
    def is_whole(self) -> bool:
        return self.extracts >= self.load["stored"].keys() and self.id == self.load["id"]

    def manifest(self) -> dict[str, Any]:
        files = [file for file in self.load["files"] if file["extract"] in self.extracts]
        stored = {extract: of for extract, of in self.load["stored"].items() if extract in self.extracts}
        return self.load | {"load": self.number, "id": self.id, "files": files, "stored": stored}


def write_parts(store: Store, piece: Piece, target: Path, parts: list[Part]) -> None:
    """Write parts of the loads of a piece to another store, as one piece. A whole piece is a link."""
    if len(parts) == len(piece.loads) and all(part.is_whole for part in parts):
        (target / piece.folder).symlink_to((store.root / piece.folder).absolute())
        return
    folder, stored = target / f"{MERGED}{uuid.uuid4().hex}", {}
    folder.mkdir()
    for extract in sorted({extract for part in parts for extract in part.manifest()["stored"]}):
        source = store.root / piece.folder / piece.stored[extract]["file"]
        _require_as_stored(source, piece.stored[extract]["sha256"])
        numbers = {part.load["load"]: part.number for part in parts if extract in part.extracts}
        renumbered = " ".join(f"when {old} then {new}" for old, new in numbers.items())
        query = (
            f"select * replace (cast(case load_id {renumbered} end as bigint) as load_id) from {read_files([source])} "
            f"where load_id in ({', '.join(map(str, numbers))})"
        )
        written = folder / f"{extract}.parquet"
        rows = write_rows(connection().cursor(), query, written, extract)
        stored[extract] = {"file": written.name, "sha256": sha256_of(written), "rows": rows}
    loads = [part.manifest() for part in parts]
    _write_manifest(folder, _merged_manifest(loads, stored, []))


def forget_load(root: Path, number: int, progress: Progress) -> dict[str, Any]:
    """Remove a load permanently; returns its manifest. Its files stay known. Raises Problem.

    The file in ``forgotten/`` commits the removal: from then on the load does not count. Its rows are removed here or
    by the next run.
    """
    store = tidy(open_store(root), progress)
    load = next((load for load in store.loads if load["load"] == number), None)
    if load is None:
        if number in {load["load"] for load in store.forgotten}:
            raise Problem(f"Load {number} of {root} was forgotten already.")
        there = ", ".join(str(load["load"]) for load in store.loads[-10:]) or "none"
        raise Problem(f"{root} has no load {number}. Its newest loads: {there}.")
    with storing(root):
        (root / "forgotten").mkdir(exist_ok=True)
    _replace(root / "forgotten" / f"{number:06}.json", json.dumps(load | {"forgotten_at": now()}, indent=1))
    with storing(root):
        sync([root])
    store = tidy(open_store(root), progress)
    needed = {file["sha256"] for load in store.loads for file in load.get("quarantined", [])}
    with storing(root):
        for file in load.get("quarantined", []):
            if file["sha256"] not in needed:
                kept_file(root, file).unlink(missing_ok=True)
    note_loads(store)
    return load


# ------------------------------------------------------------------------------------------------ erased accounts


def erase_accounts(root: Path, erasures: Erasures, is_named_in: Callable[[Path], bool], progress: Progress) -> None:
    """Remove the content of erased accounts from all stored files, piece by piece, and from the names of files.

    ``is_named_in``: whether the bytes of a quarantined file are of an erased account; then they are not kept. A second
    call completes a first one that was interrupted. Raises Problem if a stored file cannot be read.
    """
    store = tidy(open_store(root), progress)
    for name in ("seen.json", "listed.json"):
        (root / name).unlink(missing_ok=True)
    shutil.rmtree(root / ".downloads", ignore_errors=True)
    for number, piece in enumerate(store.pieces, start=1):
        progress.show(f"Erasing: folder {number} of {len(store.pieces)} of the stored deliveries")
        _erase_from_piece(root, piece, erasures, is_named_in)
    for path in sorted(root.glob("forgotten/*.json")):
        manifest = json.loads(path.read_bytes())
        renamed = _with_names(manifest, lambda file: _hidden(file["path"], erasures))
        if renamed != manifest:
            _replace(path, json.dumps(renamed, indent=1))
    store = tidy(open_store(root), progress)
    _follow_superseded(store, erasures)
    needed = {kept_file(root, file) for _, file in store.quarantined()}
    for load in store.loads:
        for file in load.get("quarantined", []):
            if file.get("erased") and kept_file(root, file) not in needed:
                with storing(root):
                    kept_file(root, file).unlink(missing_ok=True)


def _erase_from_piece(root: Path, piece: Piece, erasures: Erasures, is_named_in: Callable[[Path], bool]) -> None:
    """Write a piece without the content of erased accounts, which replaces it, if it has any."""
    names: dict[str, str] = {}

    def erase(extract: str, source: Path, target: Path) -> bool:
        paths = {of["path"]: of["rows"] for load in piece.loads for of in load["files"] if of["extract"] == extract}
        renamed, is_changed = erase_file(source, extract, erasures, target, paths)
        names.update(renamed)
        return is_changed

    def described(_: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        loads = []
        for load in piece.loads:
            load = _with_names(load, lambda file: names.get(file["path"], file["path"]), ("files",))
            aside = []
            for file in load.get("quarantined", []):
                if not file.get("erased"):
                    kept = kept_file(root, file)
                    if erasures.mentions(file["path"]) or (kept.exists() and is_named_in(kept)):
                        file = file | {"path": erasures.alias(file["path"]), "reason": "erased", "erased": True}
                aside.append(file)
            loads.append(load | ({"quarantined": aside} if aside else {}))
        return loads

    _rewrite_piece(root, piece, erase, described)


def _rewrite_piece(
    root: Path,
    piece: Piece,
    rewrite: Callable[[str, Path, Path], bool],
    described: Callable[[dict[str, dict[str, Any]]], list[dict[str, Any]]],
) -> None:
    """Write a piece with other content of its rows, which replaces it.

    ``rewrite``: (extract, stored file, target) -> whether the target was written; otherwise the file stays as it is.
    ``described``: files that were written -> manifests of the loads. If nothing differs, the piece stays.
    """
    incoming, stored = root / ".incoming", {}
    with storing(root):
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
    try:
        for extract, file in piece.stored.items():
            source, target = root / piece.folder / file["file"], incoming / f"{extract}.parquet"
            _require_as_stored(source, file["sha256"])
            with storing(root):
                if rewrite(extract, source, target):
                    stored[extract] = {"file": target.name, "sha256": sha256_of(target), "rows": file["rows"]}
        loads = described(stored)
        if not stored and loads == piece.loads:
            return
        with storing(root):
            for extract, file in piece.stored.items():
                if extract not in stored:
                    target = incoming / f"{extract}.parquet"
                    os.link(root / piece.folder / file["file"], target)
                    stored[extract] = file | {"file": target.name}
        _replace_pieces(root, [piece], incoming, loads, stored)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def erase_file(
    source: Path, extract: str, erasures: Erasures, target: Path, paths: dict[str, int]
) -> tuple[dict[str, str], bool]:
    """Write a stored or converted file without the content of erased accounts to ``target``.

    ``paths``: {delivered file: rows}. Returns their new names, where they have one, and whether there was anything
    to erase; if not, ``target`` is not written.
    """
    counts = erase_rows(connection(), source, extract, erasures, target)
    names = names_of_files(counts or {}, paths, erasures)
    if of_rows := {old: new for old, new in names.items() if old in (counts or {})}:
        scratch = target.with_suffix(".renamed")
        write_rows(connection().cursor(), rename_files(f"from {read_files([target])}", of_rows), scratch, extract)
        scratch.replace(target)
    return names, counts is not None


def _with_names(
    load: dict[str, Any],
    name_of: Callable[[dict[str, Any]], str],
    of: tuple[str, ...] = ("files", "quarantined", "supersedes"),
) -> dict[str, Any]:
    """A manifest with other names of its files."""
    return load | {key: [file | {"path": name_of(file)} for file in load[key]] for key in of if key in load}


def _hidden(path: str, erasures: Erasures) -> str:
    return erasures.alias(path) if erasures.mentions(path) else path


def _follow_superseded(store: Store, erasures: Erasures) -> None:
    """Give superseded contents the names that their files have now."""
    stored = {(file["path"], file["sha256"]) for load in store.loads for file in load["files"]}

    def name_of(file: dict[str, Any]) -> str:
        names = [file["path"], *erasures.names(file["path"])]
        return next((name for name in names if (name, file["sha256"]) in stored), names[0])

    for piece in store.pieces:
        loads = [_with_names(load, name_of, ("supersedes",)) for load in piece.loads]
        if loads != piece.loads:
            path = store.root / piece.folder / "manifest.json"
            manifest = json.loads(path.read_bytes())
            is_merged = piece.folder.startswith(MERGED)
            _replace(path, json.dumps(manifest | ({"loads": loads} if is_merged else loads[0]), indent=1))


# ------------------------------------------------------------------------------------------------- compacted loads


def compact_loads(root: Path, numbers: set[int], keeping: Keeping, progress: Progress) -> list[dict[str, Any]]:
    """Reduce the rows of loads to what decides figures, folder by folder; returns the notes of the folders.

    A second call continues a first one that was interrupted: a load that is compacted stays as it is. Raises Problem.
    """
    store = tidy(open_store(root), progress)
    pieces = [(piece, _to_compact(piece, numbers)) for piece in store.pieces]
    notes = []
    for number, (piece, loads) in enumerate(pieces, start=1):
        if loads:
            progress.show(f"Compacting: folder {number} of {len(pieces)} of the stored deliveries")
            notes.append(_compact_piece(root, piece, loads, keeping))
    tidy(open_store(root), progress)
    return notes


def is_compactable(load: dict[str, Any]) -> bool:
    """Whether a load has usage and is not compacted."""
    return "compacted" not in load and not load["stored"].keys().isdisjoint(COMPACTED)


def _to_compact(piece: Piece, numbers: set[int]) -> list[int]:
    return sorted(load["load"] for load in piece.loads if load["load"] in numbers and is_compactable(load))


def _compact_piece(root: Path, piece: Piece, numbers: list[int], keeping: Keeping) -> dict[str, Any]:
    """Write a piece with compacted rows of the loads, which replaces it; returns the note of its manifests."""
    note: dict[str, Any] = {"at": now(), "loads": numbers}
    rows_of = {
        load["load"]: {name: of["rows"] for name, of in load["stored"].items() if name in COMPACTED}
        for load in piece.loads
        if load["load"] in numbers
    }
    total = {name: sum(rows.get(name, 0) for rows in rows_of.values()) for rows in rows_of.values() for name in rows}

    def rewrite(extract: str, source: Path, target: Path) -> bool:
        if extract not in total:
            return False
        written, rows = compact_file(connection(), source, extract, numbers, keeping, target), piece.stored[extract]
        if written != rows["rows"]:
            raise Problem(f"Compacting {rows['rows']:,} rows of {source} gave {written:,} rows: it was not changed.")
        return True

    def described(stored: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        note["bytes_before"] = sum(size_of(root / piece.folder / piece.stored[name]["file"]) for name in stored)
        note["bytes_after"] = sum(size_of(root / ".incoming" / file["file"]) for file in stored.values())
        return [
            load | ({"compacted": note | {"rows": rows_of[load["load"]]}} if load["load"] in rows_of else {})
            for load in piece.loads
        ]

    _rewrite_piece(root, piece, rewrite, described)
    return note | {"rows": total}


# ------------------------------------------------------------------------------------------ stores of older releases


def store_format(load: Path) -> int:
    """The store's format in which a load is written; 0 if it cannot be read."""
    try:
        manifest = json.loads((load / "manifest.json").read_bytes())
        return int(manifest.get("format", 1 if {"load", "files"} <= manifest.keys() else 0))
    except (OSError, ValueError, AttributeError):
        return 0


def take_over_older_loads(store: Path, contract: dict[str, Any], progress: Progress) -> None:
    """Convert the loads of format 1, one after the other, each completely or not at all.

    Their numbers, times and checksums of delivered files are kept. Format 1 had one Parquet file for each delivered
    file, with the types of that file.
    """
    for aside in store.glob(".older-*"):  # left by a run that was killed between two renames
        name = aside.name.removeprefix(".older-")
        if (store / name).exists():
            shutil.rmtree(aside)
        else:
            aside.rename(store / name)
    older = [name for name in _names(store) if name.isdigit() and store_format(store / name) == 1]
    if not older:
        return
    progress.line(f"{printable(store)} was written by an older release: converting its {len(older)} loads")
    by_extract = contracts_of(contract)
    for name in older:
        manifest = json.loads((store / name / "manifest.json").read_bytes())
        delivered = []
        for file in manifest["files"]:
            stored = store / name / file["stored"]
            _require_as_stored(stored, file["stored_sha256"])
            delivered.append((stored, file))

        def keep(numbered: tuple[int, tuple[Path, dict[str, Any]]], name: str = name) -> dict[str, Any]:
            position, (stored, file) = numbered
            with parsing(stored), connection().cursor() as cursor:
                part = store / ".incoming" / f"{position}.part"
                arguments = (file["path"], int(name), by_extract[file["extract"]], part, part.with_suffix(".scratch"))
                rows, _ = convert(cursor, stored, "parquet", *arguments)
            return {key: file[key] for key in ("extract", "path", "sha256", "bytes")} | {"rows": rows}

        try:
            with storing(store):
                shutil.rmtree(store / ".incoming", ignore_errors=True)
                (store / ".incoming").mkdir()
            files = list(in_parallel(keep, list(enumerate(delivered))))
            parts: dict[str, list[Path]] = {}
            for position, file in enumerate(files):
                parts.setdefault(file["extract"], []).append(store / ".incoming" / f"{position}.part")
            seal(store, {"load": int(name), "taken_in_at": manifest["taken_in_at"], "files": files}, parts)
            with storing(store):
                (store / name).rename(store / f".older-{name}")
                (store / ".incoming").rename(store / name)
                sync([store])
                shutil.rmtree(store / f".older-{name}")
        finally:
            shutil.rmtree(store / ".incoming", ignore_errors=True)


def contracts_of(contract: dict[str, Any]) -> dict[str, Contract]:
    return {
        name: Contract(name, tuple(Column(*column) for column in terms["columns"]), contract["types"])
        for name, terms in contract["extracts"].items()
    }


# -------------------------------------------------------------------------------------------------------------- helpers


def ending_of(name: str) -> str:
    """The ending of a file name that is read, which determines the format; an empty text for any other."""
    return next((ending for ending in FORMATS if name.endswith(ending)), "")


def format_of(name: str) -> str:
    """The format for the ending of a file name."""
    return FORMATS[ending_of(name)]


def files_text(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}file{'' if count == 1 else 's'}"


def rows_by_extract(manifest: dict[str, Any]) -> dict[str, list[int]]:
    """{extract: [rows of each file]} of a load."""
    rows: dict[str, list[int]] = {}
    for file in manifest["files"]:
        rows.setdefault(file["extract"], []).append(file["rows"])
    return rows


def printable(path: Path | str) -> str:
    """The path without characters that a terminal could interpret as a command."""
    text = str(path).encode(errors="replace").decode()
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


@contextmanager
def parsing(path: Path, store: Path | None = None, part: Path | None = None) -> Iterator[None]:
    """Turn errors into Unreadable with the file's name, and errors about ``part`` into Unstorable."""
    try:
        yield
    except LacksColumn as error:
        raise Unreadable(f"The file {printable(path)} lacks the required column {error}.") from error
    except (MemoryError, duckdb.OutOfMemoryException) as error:
        raise unparsable(path, f"one of its rows does not fit into the memory for reading: {error}") from error
    except (OSError, EOFError, zlib.error, ValueError, csv.Error, duckdb.Error) as error:
        if part and (str(part) in str(error) or getattr(error, "errno", None) in NO_ROOM):
            raise unstorable(store, error) from error
        raise unparsable(path, error) from error


@contextmanager
def storing(store: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, duckdb.Error) as error:
        raise unstorable(store, error) from error


class Unreadable(Problem):
    """A delivered file cannot be read as a file of its extract."""


def unparsable(path: Path, reason: object) -> Problem:
    return Unreadable(f"The file {printable(path)} cannot be parsed: {reason}")


class Unstorable(Problem):
    """The store cannot be written."""


def unstorable(store: Path, error: Exception) -> Problem:
    return Unstorable(f"The deliveries cannot be stored under {store}: {getattr(error, 'strerror', None) or error}")


def in_parallel(work: Any, items: list[Any]) -> Iterator[Any]:
    """The results in the order of the items; after an error no further item is started."""
    with ThreadPoolExecutor(WORKERS) as pool:
        yield from pool.map(work, items)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_or_error(path: Path) -> str | OSError:
    try:
        return sha256_of(path)
    except OSError as error:
        return error


def size_of(path: Path) -> int:
    """The size in bytes; 0 if the file is not accessible."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def sync(paths: list[Path]) -> None:
    """Sync the files or folders to disk."""
    for _ in in_parallel(sync_path, paths):
        pass


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@functools.cache
def connection() -> duckdb.DuckDBPyConnection:
    """One separate database for reading all files, because opening a database takes longer than reading a file."""
    connection = duckdb.connect()
    # One thread per file: with more threads, rows wait in memory for earlier rows, without a limit.
    connection.execute("set global TimeZone = 'UTC'; set global enable_external_file_cache = false")
    connection.execute("set threads = 1; set enable_progress_bar = false")
    amount, unit = connection.execute("select current_setting('memory_limit')").fetchone()[0].split()
    there_is = float(amount) * 1024 ** (1 + "KMGT".index(unit[0]))
    connection.execute(f"set memory_limit = '{int(min(MOST_MEMORY, there_is / 2))}B'")
    connection.execute(f"set temp_directory = '{tempfile.gettempdir()}/taking-in-{os.getpid()}'")
    return connection
