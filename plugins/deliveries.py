"""Stores every delivered file once and permanently, converted to the contract's columns, in a numbered load.

``ingest_deliveries(folder, store, contract) -> JSON`` stores the new files of ``folder`` (``EXTRACTS_DIR``) and lists
all stored files. ``verify_store(store) -> text`` checks all stored files against their checksums, ``verify_files(store,
paths) -> text`` some of them. store.py describes the layout of the store.

``folder`` may be an address of object storage, and so may ``JOB_HISTORY_DIR``, the place of streamed jobs alone:
object_store.py downloads what is new there.

A delivered file is identified by its path below ``EXTRACTS_DIR`` and the SHA-256 of its bytes. Other bytes under the
same path are a new delivery, and the old one is kept. If the new bytes begin with the old ones, they supersede them.

Decisions::

    docs/decisions/stored-deliveries.md
    docs/decisions/superseded-files.md
    docs/decisions/required-folders.md
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
import stat
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
from conversion import (
    Contract,
    LacksColumn,
    Limits,
    NotAlike,
    Problem,
    convert,
    convert_alike,
    convert_streamed,
    open_bytes,
    read_files,
    refuse_unreadable,
    write_rows,
)
from erasing import Erasures, open_erasures, rename_files
from object_store import Address, Fetched, fetch, is_address, parse_address
from progress import NO_PROGRESS, FileProgress, Progress, as_bytes, as_count
from store import (
    Reading,
    Store,
    Unreadable,
    Unstorable,
    accepts_missing,
    connection,
    contracts_of,
    damaged_files,
    ending_of,
    erase_file,
    files_text,
    format_of,
    in_parallel,
    keep_content,
    kept_file,
    look_at_files,
    merge_loads,
    next_number,
    note_loads,
    note_reading,
    now,
    open_store,
    parsing,
    printable,
    require_checksums,
    require_known_loads,
    rows_by_extract,
    seal,
    sha256_of,
    storing,
    sync,
    take_over_older_loads,
    tidy,
    unparsable,
)
from stream_listing import Lookback, read_lookback

# Streamed jobs can replace these extracts.
STREAMED = ("jobs", "steps")

SMALL_FILE = 1_048_576  # bytes; smaller streamed jobs and Parquet files are converted together
AT_ONCE = 500  # files that are converted together

STATE_OF_THE_EXTRACTION = ".extraction"  # of EXTRACTS_DIR; no delivery, and nothing to name in each run

LONGEST_WAIT = 60.0  # seconds for files that are still being written

# A file that changed this shortly before a run may change again without a change of its times, if the clock is coarse.
SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class _Delivered:
    """A file of EXTRACTS_DIR. ``path``: below it, with /; ``look``: its size, mtime_ns, ctime_ns and inode.

    ``is_kept``: a quarantined file, whose bytes are in the store. ``version``: of the object whose download ``file``
    is; None: it is no object. ``delivered``: its path, if ``path`` is the name of a file with erased rows.
    """

    extract: str
    path: str
    file: Path
    format: str
    look: tuple[int, ...]
    is_kept: bool = False
    version: str | None = None
    delivered: str = ""

    @property
    def real_path(self) -> str:
        return self.delivered or self.path


def ingest_deliveries(folder: str, store: str, contract: str, *, progress: Progress = NO_PROGRESS) -> str:
    """Store the new files under ``folder`` as the next load of ``store``, and list all stored files.

    An empty ``folder``: only list. ``contract`` is JSON: ``{"extracts": {name: {"required": bool, "columns": [[name,
    kind, whether it is required, whether it may be unreadable], ...]}}, "types": {kind: {"as": type in Parquet,
    "read": SQL that reads {value}}}, "committed": {id: number}, "settling_seconds": number, "is_whole": bool,
    "limits": of conversion.Limits, "quarantine_files": bool, "job_history_dir": where streamed jobs are, empty: in
    ``folder``, "stream_lookback_days": number, "list_all": "1" or ""}``; committed are the loads that the last
    committed run read. is_whole: everything stored will be read, so all checksums are verified first, and quarantined
    files are tried again. With quarantine_files a file that cannot be loaded is quarantined, and the run continues. The
    answer is JSON: ``{"problem": null, "root": store, "folder": the folder as text for messages, "ignored": [paths],
    "to_look_at": [warnings], "newest_load": 0 if there is none, "taken_in": number of new files, "by_extract": summary
    of the new files as text for messages, "loads": {number: id}, "files": {extract: [[load, path of the stored file
    below the store, path that was delivered, rows], ...]}, "superseded": {extract: [[load, path that was delivered,
    rows], ...]}, "quarantined": [[extract, load, path, reason, whether it was replaced], ...],
    "lacks": {path of a stored file: [columns]}, "compacted": {load: when}}``, by load and path. Or
    ``{"problem": text}``, the first problem; then the store is unchanged:

    - the folder is missing, is a file or is empty, or a part of it cannot be read;
    - a required folder is missing, or it is empty and the store has no file of it;
    - a new file cannot be parsed, lacks a required column, or has a column of nested values;
    - the store cannot be written or read, or has lost a load.
    """
    try:
        return json.dumps(_take_in(folder, Path(store), json.loads(contract), progress) | {"root": store})
    except Problem as problem:
        return json.dumps({"problem": str(problem)})
    finally:
        progress.clear()


def verify_store(store: str, progress: Progress = NO_PROGRESS) -> str:
    """A message about the first stored file that is missing or has changed; an empty text if there is none."""
    return verify_files(store, None, progress)


def verify_files(store: str, paths: set[str] | None, progress: Progress = NO_PROGRESS) -> str:
    """The same for the files at these paths below the store. None: all files, and all loads that were ever stored."""
    try:
        found = open_store(Path(store))
        if paths is None:
            require_known_loads(found)
        damaged = damaged_files(found, progress, paths)
    except Problem as problem:
        return str(problem)
    finally:
        progress.clear()
    return f"{next(iter(damaged.values()))} Restore it from a backup." if damaged else ""


def unreadable_files(store: str, paths: list[str]) -> set[str]:
    """The stored Parquet files at these paths below the store that are missing or have no readable footer.

    The engine opens every file of a view and reads its footer.
    """
    unreadable = set()
    with duckdb.connect() as engine:
        for path in paths:
            try:
                engine.execute("select count(*) from parquet_file_metadata(?)", [str(Path(store) / path)])
            except duckdb.Error:
                unreadable.add(path)
    return unreadable


def _take_in(folder: str, root: Path, contract: dict[str, Any], progress: Progress) -> dict[str, Any]:
    take_over_older_loads(root, contract, progress)
    store = open_store(root)
    erasures = open_erasures(root.parent)
    require_known_loads(store, contract.get("committed", {}))
    if store.is_half_forgotten() and not folder:
        raise Problem(f"A forgotten load of {root} is not completely removed: make forget-load or a run completes it.")
    damaged = require_checksums(store, progress) if contract.get("is_whole") else None
    store = tidy(store, progress) if folder else store
    reading = look_at_files(store, contract, damaged)
    ignored: list[str] = []
    to_look_at: list[str] = []
    taken_in = 0
    by_extract = ""
    if folder:
        extracts = contract["extracts"]
        seen = _read_seen(root)
        sources = _sources(folder, contract.get("job_history_dir", ""))
        fetched = _fetch(sources, extracts, store, seen, read_lookback(contract), progress, erasures)
        found, ignored = _list_folders(sources, extracts)
        ignored += _some(fetched.ignored)
        there = {file.extract for file in found} | fetched.extracts
        _require_folders(sources, extracts, there, store.extracts(), fetched)
        found = _with_stored_names(found + _downloaded(fetched), store, erasures)
        found = _wait_until_settled(found, seen, contract.get("settling_seconds", 0), progress)
        hashes, continued = _hash_files(found, seen, store, progress)
        known = store.known()
        new = [file for file in found if hashes[file.path] not in known.get(file.path, {})]
        stored = fetched.known + len(found)
        if new:
            progress.line(f"Loading {files_text(len(new), 'new ')}, {as_bytes(sum(file.look[0] for file in new))}")
        else:
            progress.line(f"No new files: {files_text(stored)} in {printable(folder)}, stored already.")
        again = _set_aside_before(store, new, hashes) if contract.get("is_whole") else []
        load, to_look_at, names = _store_load(new + again, hashes, continued, store, contract, progress, erasures)
        found = [replace(file, path=names.get(file.path, file.path)) for file in found]
        hashes |= {name: hashes[path] for path, name in names.items() if path in hashes}
        if load:
            progress.line(_describe_load(load, progress.elapsed))
            store = open_store(root)
            taken_in = sum(not file.is_kept for file in new)
            by_extract = _by_extract(load)
        to_look_at += fetched.to_look_at + _unread_history(sources)
        to_look_at += chain.from_iterable(_misplaced(sources, extracts, fetched).values())
        _write_seen(root, found, hashes, seen, {file.path for file in new})
        fetched.finish()
    if folder or accepts_missing():
        note_loads(store)
    if folder:
        note_reading(store, reading)
        try:
            store = merge_loads(store, {*reading.unreadable, *reading.lacks}, progress)
        except Unstorable as problem:
            to_look_at.append(f"Loads are not merged. {problem}")
    told = {"ignored": ignored, "to_look_at": to_look_at, "taken_in": taken_in, "by_extract": by_extract}
    told["folder"] = printable(folder)
    return _answer(store, reading) | told


def _answer(store: Store, reading: Reading) -> dict[str, Any]:
    """The answer of ingest_deliveries(): which files are stored, and which of them are read."""
    files: dict[str, list[tuple[int, str, str, int]]] = {}
    superseded: dict[str, list[tuple[int, str, int]]] = {}
    newest = {file["path"]: load["load"] for load in store.loads for file in load["files"]}
    replaced = store.superseded()
    quarantined = [
        (file["extract"], load, file["path"], file["reason"], newest.get(file["path"], 0) > load)
        for load, file in store.quarantined()
    ]
    for piece in store.pieces:
        for load in piece.loads:
            for file in load["files"]:
                extract, path = file["extract"], file["path"]
                stored = f"{piece.folder}/{piece.stored[extract]['file']}"
                if stored in reading.unreadable:
                    quarantined.append((extract, load["load"], path, reading.unreadable[stored], False))
                    continue
                files.setdefault(extract, []).append((load["load"], stored, path, file["rows"]))
                if (path, file["sha256"]) in replaced:
                    superseded.setdefault(extract, []).append((load["load"], path, file["rows"]))
    return {
        "problem": None,
        "newest_load": store.loads[-1]["load"] if store.loads else 0,
        "loads": {load["load"]: load["id"] for load in store.loads},
        "files": {extract: sorted(of, key=lambda file: (file[0], file[2])) for extract, of in files.items()},
        "superseded": {extract: sorted(of) for extract, of in superseded.items()},
        "quarantined": sorted(quarantined),
        "lacks": reading.lacks,
        "compacted": {load["load"]: load["compacted"]["at"] for load in store.loads if "compacted" in load},
    }


# ----------------------------------------------------------------------------------------------------- delivered files


@dataclass(frozen=True)
class _Sources:
    """Where the extracts are: each a local folder or an address. ``history``: of streamed jobs; None: in ``folder``."""

    folder: Path | Address
    history: Path | Address | None = None

    def below(self, extract: str) -> Path | Address:
        """The local folder of an extract, or the address that it is at or below."""
        if extract == "job_history" and self.history:
            return self.history
        return self.folder / extract if isinstance(self.folder, Path) else self.folder

    @property
    def addresses(self) -> dict[str, Address]:
        places = {"": self.folder, "job_history": self.history}
        return {name: place for name, place in places.items() if isinstance(place, Address)}

    def text(self, extract: str) -> str:
        """The place of an extract as text for messages."""
        place = self.below(extract)
        return f"{place.text.rstrip('/')}/{extract}" if place is self.folder else getattr(place, "text", str(place))


def _sources(folder: str, history: str) -> _Sources:
    def place(variable: str, text: str) -> Path | Address:
        return parse_address(variable, text) if is_address(text) else Path(text)

    root = place("EXTRACTS_DIR", folder)
    if not history.strip():
        return _Sources(root)
    streamed = place("JOB_HISTORY_DIR", history.strip())
    if isinstance(streamed, Path) and not streamed.is_dir():
        state = "is a file, not a folder" if streamed.exists() else "does not exist"
        raise Problem(f"JOB_HISTORY_DIR={streamed} {state}.")
    is_default = isinstance(root, Path) and streamed == root / "job_history"
    return _Sources(root, None if is_default else streamed)


def _fetch(
    sources: _Sources,
    extracts: dict[str, Any],
    store: Store,
    seen: dict[str, list[Any]],
    lookback: Lookback,
    progress: Progress,
    erasures: Erasures | None,
) -> Fetched:
    """List and download the objects that are new, if a source is an address. Erased rows are known by another name."""
    if not sources.addresses:
        return Fetched(store.root)
    known, versions = store.known(), store.versions()

    erased_names = erasures.names if erasures else lambda path: ()
    if erasures:
        lookback = replace(lookback, is_erased=lambda recipe: erasures.mentions(f"job_history/{recipe}"))

    def is_stored(path: str, version: str) -> bool:
        noted = seen.get(path, [])
        is_noted = len(noted) == 2 and noted[0] == version and noted[1] in known.get(path, {})
        return is_noted or (path, version) in versions

    def is_known(path: str, version: str) -> bool:
        return is_stored(path, version) or any(is_stored(name, version) for name in erased_names(path))

    return fetch(sources.addresses, list(extracts), store.root, is_known, _is_read, lookback, progress)


def _downloaded(fetched: Fetched) -> list[_Delivered]:
    found = []
    for wanted, file in fetched.new:
        extract, look = wanted.path.split("/")[0], _look(file)
        if look is None:
            raise Problem(f"The download {printable(file)} has disappeared: run again.")
        found.append(_Delivered(extract, wanted.path, file, format_of(wanted.path), look, version=wanted.version))
    return found


def _list_folders(sources: _Sources, contract: dict[str, Any]) -> tuple[list[_Delivered], list[str]]:
    """The local files of each extract, in order, and the paths of all other files."""
    found: list[_Delivered] = []
    ignored: list[Path] = []
    if isinstance(root := sources.folder, Path):
        if not root.exists():
            raise Problem(f"EXTRACTS_DIR={root} does not exist.")
        if not root.is_dir():
            raise Problem(f"EXTRACTS_DIR={root} is a file, not a folder with one sub-folder per extract.")
        if not any(root.iterdir()):
            raise Problem(f"EXTRACTS_DIR={root} is empty: it needs one sub-folder per extract.")
        ignored = [path for path in sorted(root.iterdir()) if path.name not in (*contract, STATE_OF_THE_EXTRACTION)]
    for extract in contract:
        folder = sources.below(extract)
        if isinstance(folder, Address):
            continue
        for path in _walk(folder):
            name = f"{extract}/{path.relative_to(folder).as_posix()}"
            look = _look(path) if _is_read(name) else None
            if look is None:
                ignored.append(path)
            else:
                found.append(_Delivered(extract, _require_text(name, path), path, format_of(path.name), look))
    return found, [printable(path) for path in ignored]


def _some(names: list[str]) -> list[str]:
    """A few of many names as text, and how many more there are."""
    more = [f"{len(names) - 5:,} more objects of this kind"] if len(names) > 6 else names[5:6]
    return [printable(name) for name in names[:5]] + more


def _with_stored_names(found: list[_Delivered], store: Store, erasures: Erasures | None) -> list[_Delivered]:
    """The files with the names under which they are stored, if they have erased rows."""
    if not erasures:
        return found
    known = store.known()

    def stored_name(file: _Delivered) -> str:
        names = [] if file.path in known else erasures.names(file.path)
        return next((name for name in names if name in known), file.path)

    return [replace(file, path=stored_name(file), delivered=file.path) for file in found]


def _misplaced(sources: _Sources, contract: dict[str, Any], fetched: Fetched) -> dict[str, list[str]]:
    """{extract: sentences about folders and files beside the folders whose names resemble the extract's}."""
    problems: dict[str, list[str]] = {}
    if isinstance(root := sources.folder, Path):
        found = [(path.name, path.is_dir()) for path in sorted(root.iterdir())]
    else:
        found = sorted(fetched.top)
    for given, is_folder in found:
        if given in contract or _is_of_a_tool(given) or not (is_folder or ending_of(given)):
            continue
        name = (given if is_folder else given.split(".")[0]).lower().replace("-", "_").removeprefix("raw_")
        for meant in difflib.get_close_matches(name, sorted(contract), n=1, cutoff=0.8):
            kind = "folder" if is_folder else "file"
            problems.setdefault(meant, []).append(
                f"The {kind} {printable(sources.text(given))} is not read. If it contains {meant}, move it to "
                f"{sources.text(meant)}."
            )
    return problems


def _unread_history(sources: _Sources) -> list[str]:
    """A warning if streamed jobs are in EXTRACTS_DIR, and are to be read from another place."""
    if sources.history and isinstance(sources.folder, Path) and any(_walk(sources.folder / "job_history")):
        return [f"{sources.folder / 'job_history'} is not read: JOB_HISTORY_DIR is {sources.text('job_history')}."]
    return []


def _is_read(path: str) -> bool:
    """Whether a path below EXTRACTS_DIR is a delivery."""
    return bool(ending_of(path)) and not _is_of_a_tool(path)


def _is_of_a_tool(path: str) -> bool:
    """Whether a path below EXTRACTS_DIR is hidden, unfinished, or a tool's own file.

    As in Spark, Hive and Athena: names that begin with . or _, also of folders. ~$ is the lock of an open document, and
    .metadata.json the description of a table (Iceberg).
    """
    return any(part.startswith((".", "_", "~$")) for part in path.split("/")) or path.endswith(".metadata.json")


def _walk(folder: Path) -> list[Path]:
    """All files below the folder, at any depth. Links to folders are listed, not followed."""
    if not folder.is_dir():
        return []

    def stop(error: OSError) -> None:
        raise Problem(f"The folder {printable(error.filename)} cannot be read: {error.strerror}.") from error

    paths = []
    for parent, folders, files in os.walk(folder, onerror=stop):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]  # noqa: PTH114, PTH118
        paths += [Path(parent, name) for name in files + links]
    return sorted(paths)


def _look(path: Path) -> tuple[int, ...] | None:
    """Attributes that show without reading whether a file has changed; None if there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unparsable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _require_text(name: str, path: Path) -> str:
    if name != name.encode(errors="replace").decode():
        raise unparsable(path, "its name is not UTF-8")
    return name


def _require_folders(
    sources: _Sources, contract: dict[str, Any], found: set[str], stored: set[str], fetched: Fetched
) -> None:
    """Raise Problem unless each required extract has a file, or has stored files and still its folder.

    Object storage has no empty folders: there an extract with stored files needs nothing.
    """

    def is_there(extract: str) -> bool:
        folder = sources.below(extract)
        return folder.is_dir() if isinstance(folder, Path) else extract in stored

    streamed = "job_history" in found or ("job_history" in stored and is_there("job_history"))
    if isinstance(sources.history, Address) and "job_history" not in found | stored:
        raise Problem(f"{sources.history} has no streamed job files. Check the address.")
    for name, terms in contract.items():
        may_be_streamed = name in STREAMED
        if not terms["required"] or name in found or (may_be_streamed and streamed):
            continue
        if is_there(name) and (name in stored or (may_be_streamed and "job_history" in stored)):
            continue
        is_empty = isinstance(sources.below(name), Path) and is_there(name)
        state = "has no file to read" if is_empty else "is missing"
        instead = " (job_history can replace it)" if may_be_streamed else ""
        hints = "".join(f" {text}" for text in _misplaced(sources, contract, fetched).get(name, []))
        raise Problem(f"The required folder {sources.text(name)} {state}{instead}.{hints}")


def _wait_until_settled(
    found: list[_Delivered], seen: dict[str, list[Any]], seconds: float, progress: Progress
) -> list[_Delivered]:
    """Wait until no new file has changed for so many seconds; returns the files with their new attributes.

    A time in the future counts as settled. Raises Problem with the file's name if one still changes after a minute.
    """

    def is_known(file: _Delivered) -> bool:
        return file.version is not None or [*file.look] == (seen.get(file.path) or [None])[:-1]

    until = time.monotonic() + LONGEST_WAIT
    while True:
        looked = [file if is_known(file) else replace(file, look=_look(file.file) or file.look) for file in found]
        ages = {file: time.time() - file.look[1] / 1e9 for file in looked if not is_known(file)}
        young = [file for file, age in ages.items() if 0 <= age < seconds]
        if not young:
            return looked
        if time.monotonic() > until:
            raise Problem(
                f"The file {printable(young[0].file)} is still being written: it changed {ages[young[0]]:.1f} s ago. "
                "Write files elsewhere and rename them, or wait until they are complete."
            )
        progress.show(f"Waiting for {printable(young[0].file)}, which has just changed")
        time.sleep(min(seconds - min(ages[file] for file in young), 0.5) + 0.01)


def _hash_files(
    found: list[_Delivered], seen: dict[str, list[Any]], store: Store, progress: Progress
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The SHA-256 of each file by path: from ``seen`` if the file is unchanged and stored, otherwise of its bytes.

    And for each file that was read, the SHA-256 of the stored contents under its path that it continues.
    """
    known, used = store.known(), store.contents()
    hashes: dict[str, str] = {}
    for file in found:
        *look, sha256 = seen.get(file.path) or [None]
        if tuple(look) == file.look and sha256 in known.get(file.path, {}):
            hashes[file.path] = sha256

    unseen = [file for file in found if file.path not in hashes]
    done = FileProgress(progress, "Looking for new files", len(unseen), sum(file.look[0] for file in unseen))

    def read(file: _Delivered) -> tuple[str, str, list[str]]:
        shorter = {size: sha256 for sha256, size in used.get(file.path, {}).items() if 0 < size < file.look[0]}
        with parsing(file.file):
            begins = _sha256_of_beginnings(file.file, sorted(shorter)) if shorter else {}
            sha256 = sha256_of(file.file)
        done.add(file.look[0])
        return file.path, sha256, [shorter[size] for size, beginning in begins.items() if beginning == shorter[size]]

    read_now = list(in_parallel(read, unseen))
    hashes |= {path: sha256 for path, sha256, _ in read_now}
    return hashes, {path: continued for path, _, continued in read_now if continued}


def _sha256_of_beginnings(path: Path, sizes: list[int]) -> dict[int, str]:
    """The SHA-256 of the file's first bytes, for each of these lengths, in order."""
    digest, at, found = hashlib.sha256(), 0, {}
    with path.open("rb") as file:
        for size in sizes:
            while at < size and (block := file.read(min(1 << 20, size - at))):
                digest.update(block)
                at += len(block)
            found[size] = digest.copy().hexdigest()
    return found


# -------------------------------------------------------------------------------------------------------- stored files


def _set_aside_before(store: Store, new: list[_Delivered], hashes: dict[str, str]) -> list[_Delivered]:
    """The quarantined files, to be tried again. Adds their SHA-256 to ``hashes``.

    A file whose path is delivered in this run is left out, because a load contains a path only once.
    """
    taken = {file.path for file in new}
    again = []
    for _, file in store.quarantined():
        kept = kept_file(store.root, file)
        look = _look(kept)
        if file["path"] not in taken and look:
            again.append(_Delivered(file["extract"], file["path"], kept, format_of(file["path"]), look, is_kept=True))
            taken.add(file["path"])
    return again


def _store_load(
    new: list[_Delivered],
    hashes: dict[str, str],
    continued: dict[str, list[str]],
    store: Store,
    contract: dict[str, Any],
    progress: Progress,
    erasures: Erasures | None,
) -> tuple[dict[str, Any] | None, list[str], dict[str, str]]:
    """Write the files as the next load, all or none; returns its manifest, warnings, and new names of files.

    Rows of erased accounts are stored without content. The manifest is None if the load would be empty: no rows, no
    quarantined file and no superseded file.
    """
    root = store.root
    number = next_number(store, *contract.get("committed", {}).values())
    incoming = root / ".incoming"
    contracts = contracts_of(contract)
    limits = Limits(**contract.get("limits", {}))
    quarantined: list[dict[str, Any]] = []
    notes: dict[tuple[str, str], list[str]] = {}
    names: dict[str, str] = {}
    done = FileProgress(progress, "Taking in", len(new), sum(file.look[0] for file in new))
    hashes = hashes | {file.path: file.file.name.split(".")[0] for file in new if file.is_kept}

    def keep(numbered: tuple[int, list[_Delivered]]) -> tuple[list[dict[str, Any]], list[Path]]:
        """The files' entries in the manifest, and the converted parts."""
        position, files = numbered
        part = incoming / f"{position}.part"
        entries = None
        if len(files) > 1:
            entries = _store_together(files, hashes, number, contracts[files[0].extract], part)
        parts = [part]
        if entries is None:
            parts, entries = [], []
            for n, file in enumerate(files):
                one = part.with_suffix(f".{n}.part")
                try:
                    entry, found = _store_file(
                        file, hashes[file.path], root, number, contracts[file.extract], one, limits
                    )
                except Unreadable as problem:
                    one.unlink(missing_ok=True)
                    if file.version is not None:  # a download's name says nothing
                        problem = Unreadable(str(problem).replace(printable(file.file), printable(file.path)))
                    if not (file.is_kept or contract.get("quarantine_files")):
                        raise problem
                    if not file.is_kept:
                        quarantined.append(_set_aside(file, hashes[file.path], root, str(problem), erasures))
                    continue
                parts.append(one)
                entries.append(entry)
                for note in found:
                    notes.setdefault((file.extract, note), []).append(file.path)
        if erasures:
            with storing(root):
                renamed = _erase(parts, files, entries, erasures)
            names.update(renamed)
            entries = [entry | {"path": renamed.get(entry["path"], entry["path"])} for entry in entries]
        done.add(sum(file.look[0] for file in files), sum(entry["rows"] for entry in entries), len(files))
        return entries, parts

    try:
        with storing(root):
            root.mkdir(parents=True, exist_ok=True)
            incoming.mkdir()
        kept = list(in_parallel(keep, list(enumerate(_together(new)))))
        parts: dict[str, list[Path]] = {}
        for entries, converted in kept:
            if entries:
                parts.setdefault(entries[0]["extract"], []).extend(converted)
        files = [entry for entries, _ in kept for entry in entries]
        supersedes = _supersedes(files, hashes, continued, store)
        if not (files or quarantined or supersedes):
            return None, [], names
        manifest = {"load": number, "taken_in_at": now(), "files": files}
        if supersedes:
            manifest["supersedes"] = supersedes
        if quarantined:
            manifest["quarantined"] = sorted(quarantined, key=lambda file: file["path"])
        manifest = seal(root, manifest, parts)
        with storing(root):
            incoming.rename(root / f"{number:06}")
            sync([root, root.parent])
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return (
        manifest,
        [
            f"{sorted(paths)[0]}{f' and {files_text(len(paths) - 1)} more' if len(paths) > 1 else ''}: {note}."
            for (_, note), paths in sorted(notes.items())
            if not (erasures and any(map(erasures.mentions, paths)))
        ],
        names,
    )


def _erase(
    parts: list[Path], files: list[_Delivered], entries: list[dict[str, Any]], erasures: Erasures
) -> dict[str, str]:
    """Erase the content of erased accounts from converted parts; returns the new names of files."""
    names: dict[str, str] = {}
    known = {file.real_path: file.path for file in files}
    rows = {entry["path"]: entry["rows"] for entry in entries}
    delivered = {path: rows[name] for path, name in known.items() if name in rows}
    for part in parts:
        erased = part.with_suffix(".erased")
        found, is_changed = erase_file(part, files[0].extract, erasures, erased, delivered)
        if is_changed:
            erased.replace(part)
        names |= {known[path]: name for path, name in found.items() if known[path] == path}
        if stored := {path: name for path, name in known.items() if name != path}:
            query = rename_files(f"from {read_files([part])}", stored)
            write_rows(connection().cursor(), query, erased, files[0].extract)
            erased.replace(part)
    return names


def _supersedes(
    files: list[dict[str, Any]], hashes: dict[str, str], continued: dict[str, list[str]], store: Store
) -> list[dict[str, str]]:
    """The stored contents that other stored contents continue."""
    whole = {(file["path"], file["sha256"]) for file in [*files, *(file for of in store.loads for file in of["files"])]}
    noted = store.superseded()
    return [
        {"path": path, "sha256": sha256}
        for path, beginnings in sorted(continued.items())
        for sha256 in beginnings
        if (path, hashes[path]) in whole and (path, sha256) not in noted
    ]


def _set_aside(file: _Delivered, sha256: str, root: Path, problem: str, erasures: Erasures | None) -> dict[str, Any]:
    """Keep the bytes of a file that cannot be loaded, unless its name says that it is of an erased account; returns
    its entry in the manifest."""
    if erasures and erasures.mentions(file.real_path):
        entry = _entry(file, sha256, 0)
        return entry | {"path": erasures.alias(file.real_path), "reason": "erased", "erased": True}
    try:
        keep_content(root, file.file, file.path, sha256)
    except OSError as error:
        raise unparsable(file.file, error) from error
    reason = " ".join(problem.replace(printable(file.file), file.path).split())
    return _entry(file, sha256, 0) | {"reason": reason[:1000]}


def _together(new: list[_Delivered]) -> list[list[_Delivered]]:
    """The files in lists that are converted together: small streamed jobs, and small Parquet files of one extract."""
    together: list[list[_Delivered]] = []
    open_lists: dict[tuple[str, str], list[_Delivered]] = {}
    for file in new:
        is_streamed = file.extract == "job_history" and file.format == "json"
        # a folder may be named column=value
        is_parquet = file.extract != "job_history" and file.format == "parquet" and "=" not in file.real_path
        kind = (file.extract, file.file.suffix)
        if not (is_streamed or is_parquet) or file.is_kept or not 0 < file.look[0] < SMALL_FILE:
            together.append([file])
        elif kind in open_lists and len(open_lists[kind]) < AT_ONCE:
            open_lists[kind].append(file)
        else:
            open_lists[kind] = [file]
            together.append(open_lists[kind])
    return together


def _store_together(
    files: list[_Delivered], hashes: dict[str, str], load: int, contract: Contract, part: Path
) -> list[dict[str, Any]] | None:
    """Convert files to ``part``; their entries in the manifest, or None: they must be converted one by one."""
    names = {file.file: file.real_path for file in files}
    try:
        for file in files:
            if file.file.name.endswith(".gz"):
                _read_to_the_end(file.file)
        with connection().cursor() as cursor:
            if contract.extract == "job_history":
                rows = convert_streamed(cursor, names, load, part)
            else:
                rows = convert_alike(cursor, names, load, contract, part)
    except (OSError, EOFError, zlib.error, ValueError, LacksColumn, NotAlike, duckdb.Error):
        part.unlink(missing_ok=True)
        return None
    if rows.keys() != {file.real_path for file in files} or any(_look(file.file) != file.look for file in files):
        part.unlink(missing_ok=True)
        return None
    return [_entry(file, hashes[file.path], rows[file.real_path]) for file in files]


def _entry(file: _Delivered, sha256: str, rows: int) -> dict[str, Any]:
    entry = {"extract": file.extract, "path": file.path, "sha256": sha256, "bytes": file.look[0], "rows": rows}
    return entry if file.version is None else entry | {"version": file.version}


def _describe_load(manifest: dict[str, Any], seconds: float) -> str:
    """The files and rows of a load by extract, as text for messages."""
    return f"Loaded {files_text(len(manifest['files']))} in {seconds:.0f} s: {_by_extract(manifest)}."


def _by_extract(manifest: dict[str, Any]) -> str:
    rows = rows_by_extract(manifest).items()
    return ", ".join(f"{name} {as_count(sum(of))} rows in {files_text(len(of))}" for name, of in rows)


def _store_file(
    file: _Delivered, sha256: str, store: Path, load: int, contract: Contract, part: Path, limits: Limits
) -> tuple[dict[str, Any], list[str]]:
    """Convert the file to ``part`` of the incoming load; returns its entry in the manifest, and warnings."""
    with parsing(file.file, store, part):
        if file.file.name.endswith(".gz"):
            _read_to_the_end(file.file)
        with connection().cursor() as cursor:
            scratch = part.with_suffix(".scratch")
            rows, notes = convert(cursor, file.file, file.format, file.real_path, load, contract, part, scratch)
            notes += refuse_unreadable(cursor, part, rows, contract, limits)
    if _look(file.file) != file.look:
        raise Problem(f"The file {printable(file.file)} cannot be parsed: it changed while it was read")
    return _entry(file, sha256, rows), notes


def _read_to_the_end(path: Path) -> None:
    """Raise an error for an incomplete gzipped file: DuckDB 1.5 reads such a file without an error."""
    if path.stat().st_size:
        with open_bytes(path) as file:
            while file.read(1 << 20):
                pass


# ---------------------------------------------------------------------------------------------------------- seen files


def _read_seen(store: Path) -> dict[str, list[Any]]:
    try:
        seen = json.loads((store / "seen.json").read_bytes())
        return {path: entry for path, entry in seen.items() if isinstance(entry, list)}
    except (OSError, ValueError, AttributeError):
        return {}


def _write_seen(
    store: Path, found: list[_Delivered], hashes: dict[str, str], noted: dict[str, list[Any]], new: set[str]
) -> None:
    """Save the attributes of the files, all of which are stored. Without this cache the files are read again.

    Of an object whose content is not new, its version: that is in no manifest.
    """
    settled = time.time_ns() - SETTLED_NS
    local = [file for file in found if file.version is None]
    seen = {path: entry for path, entry in noted.items() if len(entry) == 2}
    seen |= {
        file.path: [file.version, hashes[file.path]]
        for file in found
        if file.version is not None and file.path not in new
    }
    seen |= {file.path: [*file.look, hashes[file.path]] for file in local if max(file.look[1:3]) < settled}
    scratch = store / "seen.json.new"
    with suppress(OSError):
        if seen != noted:
            scratch.write_text(json.dumps(seen), encoding="utf-8")
            scratch.replace(store / "seen.json")
