"""Every file that was delivered is stored for good, once, as a Parquet file of a numbered load.

``take_in_deliveries(folder, store, contract) -> JSON`` takes in what is new in ``folder`` (``EXTRACTS_DIR``) and tells
what is stored; ``verify_store(store) -> text`` tells whether it is still as it was stored. The store::

    000001/manifest.json             what the load holds: {"load", "taken_in_at", "files": [{"extract", "path",
                                     "sha256", "bytes", "rows", "stored", "stored_sha256"}]}
    000001/jobs/2026/a.csv.parquet   the rows of EXTRACTS_DIR/jobs/2026/a.csv, in their order; ``stored`` above
    seen.json                        only saves reading: path -> [size, mtime_ns, ctime_ns, inode, sha256] of the files
                                     that lay in EXTRACTS_DIR at the last run, each of them stored
    .incoming/                       the load of a run that is under way, or was killed

A delivered file is known by its path below ``EXTRACTS_DIR`` and the SHA-256 of its bytes: other bytes under the same
path are a new delivery, beside the old one. Nothing that a load holds is ever changed.
"""

from __future__ import annotations

import csv
import functools
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import time
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from copying import copy_file
from progress import NO_PROGRESS, FileProgress, Progress, as_bytes, as_count
from swapping import sync_path

# Ending of a file name -> format. One format per folder; a format may come plain and gzipped.
FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".json": "json",
    ".json.gz": "json",
}
# Of each file in a manifest.
MANIFEST_KEYS = {"extract", "path", "sha256", "bytes", "rows", "stored", "stored_sha256"}

# Streamed jobs may stand in for these extracts.
STREAMED = ("jobs", "steps")

LONGEST_ROW = 67_108_864  # bytes of a CSV line or a JSON object; the buffer for CSV, which would be 16 times as large
STREAMED_JOBS_PER_ROW_GROUP = 8192  # a job can be large, and a row group is held in memory
WORKERS = 4  # files at a time; DuckDB reads a large one on all cores

# A file that changed within this time before a run may change again and look the same to a coarse clock.
SETTLED_NS = 2_000_000_000


class _Problem(Exception):
    """Something that the run can't go on with; the message is for the person who runs it."""


@dataclass(frozen=True)
class _Delivered:
    """A file of EXTRACTS_DIR. ``path``: below it, with /; ``look``: its size, mtime_ns, ctime_ns and inode."""

    extract: str
    path: str
    file: Path
    format: str
    look: list[int]


def take_in_deliveries(folder: str, store: str, contract: str, *, progress: Progress = NO_PROGRESS) -> str:
    """Store the files under ``folder`` that ``store`` does not hold yet, as its next load, and list what is stored.

    An empty ``folder``: only list. ``contract`` is JSON: extract name -> ``{"required": bool, "columns": [required
    column names], "all_columns": [column names, in order]}``. The answer is JSON: ``{"problem": null, "root": store,
    "ignored": [paths], "newest_load": 0 without any, "taken_in": number of new files, "files": {extract: [[load, path
    below the store, rows], ...]}}``, by load and path; the path that was delivered is the part after the load's folder,
    without ``.parquet``. Or ``{"problem": text}``, the first one found; then the store is as it was:

    - the folder is missing, is a file or is empty, or a part of it can't be read;
    - a required folder is missing, or is empty and nothing was ever stored of it;
    - formats are mixed; a new file can't be parsed or lacks a required column;
    - the store can't be written or read.
    """
    try:
        return json.dumps(_take_in(folder, Path(store), json.loads(contract), progress) | {"root": store})
    except _Problem as problem:
        return json.dumps({"problem": str(problem)})
    finally:
        progress.clear()


def verify_store(store: str, progress: Progress = NO_PROGRESS) -> str:
    """Name the first stored file that is missing or is not as it was stored; an empty text where all are."""
    try:
        loads = _read_loads(Path(store))
        stored = [Path(store, name, file["stored"]) for name, manifest in loads for file in manifest["files"]]
        size = sum(map(_size, stored))
        progress.line(f"Checking {_files(len(stored), 'stored ')}, {as_bytes(size)}, against their checksums")
        done = FileProgress(progress, "Checking", len(stored), size)
        for name, manifest in loads:
            expected = {Path(store, name, file["stored"]): file["stored_sha256"] for file in manifest["files"]}
            for path, found in zip(expected, _in_parallel(_sha256_or_error, list(expected)), strict=True):
                done.add(_size(path))
                if isinstance(found, FileNotFoundError):
                    return f"The stored file {path} is missing."
                if isinstance(found, OSError):
                    return f"The stored file {path} can't be read: {found.strerror}."
                if found != expected[path]:
                    return f"The stored file {path} is not as it was stored: its bytes have changed."
    except _Problem as problem:
        return str(problem)
    finally:
        progress.clear()
    return ""


def _take_in(folder: str, store: Path, contract: dict[str, Any], progress: Progress) -> dict[str, Any]:
    loads = _read_loads(store)
    ignored: list[str] = []
    taken_in = 0
    if folder:
        root = Path(folder)
        found, ignored = _list_folder(root, contract)
        _require_folders(root, contract, {file.extract for file in found}, _extracts_of(loads))
        known = _identities(loads)
        hashes = _hash_files(found, _read_seen(store), known, progress)
        new = [file for file in found if (file.path, hashes[file.path]) not in known]
        shutil.rmtree(store / ".incoming", ignore_errors=True)
        if new:
            progress.line(f"Taking in {_files(len(new), 'new ')}, {as_bytes(sum(file.look[0] for file in new))}")
            loads.append(_store_load(new, hashes, store, contract, progress))
            progress.line(_describe_load(loads[-1][1], progress.elapsed))
        else:
            progress.line(f"No new files: {_files(len(found))} in {_printable(root)}, stored already.")
        _write_seen(store, found, hashes)
        taken_in = len(new)

    files: dict[str, list[tuple[int, str, int]]] = {}
    for name, manifest in loads:
        for file in sorted(manifest["files"], key=lambda file: file["path"]):
            files.setdefault(file["extract"], []).append((int(name), f"{name}/{file['stored']}", file["rows"]))
    return {
        "problem": None,
        "ignored": ignored,
        "newest_load": int(loads[-1][0]) if loads else 0,
        "taken_in": taken_in,
        "files": files,
    }


# ------------------------------------------------------------------------------------------------- what was delivered


def _list_folder(root: Path, contract: dict[str, Any]) -> tuple[list[_Delivered], list[str]]:
    """The files of each extract, in order, and the paths of what is none of them."""
    if not root.exists():
        raise _Problem(f"EXTRACTS_DIR={root} does not exist.")
    if not root.is_dir():
        raise _Problem(f"EXTRACTS_DIR={root} is a file, not a folder with one sub-folder per extract.")
    if not any(root.iterdir()):
        raise _Problem(f"EXTRACTS_DIR={root} is empty: it needs one sub-folder per extract.")

    found: list[_Delivered] = []
    ignored = [path for path in sorted(root.iterdir()) if path.name not in contract]
    for extract in contract:
        first_of: dict[str, Path] = {}
        for path in _walk(root / extract):
            ending = next((e for e in FORMATS if path.name.endswith(e)), None)
            look = _look(path) if ending else None
            if look is None:
                ignored.append(path)
            else:
                first_of.setdefault(ending, path)
                found.append(_Delivered(extract, _name_below(root, path), path, FORMATS[ending], look))
        if len({FORMATS[ending] for ending in first_of}) > 1:
            examples = " and ".join(map(_printable, first_of.values()))
            raise _Problem(f"The folder {root / extract} mixes formats, one is allowed: {examples}.")
    return found, [_printable(path) for path in ignored]


def _walk(folder: Path) -> list[Path]:
    """Everything below the folder but folders, at any depth; links to folders are not followed."""
    if not folder.is_dir():
        return []

    def stop(error: OSError) -> None:
        raise _Problem(f"The folder {_printable(error.filename)} can't be read: {error.strerror}.") from error

    paths = []
    for parent, folders, files in os.walk(folder, onerror=stop):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]  # noqa: PTH114, PTH118
        paths += [Path(parent, name) for name in files + links]
    return sorted(paths)


def _look(path: Path) -> list[int] | None:
    """What tells without reading whether a file is the one that was seen; None where there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unparsable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _name_below(root: Path, path: Path) -> str:
    name = path.relative_to(root).as_posix()
    if _printable(name) != name:
        raise _unparsable(path, "its name is not UTF-8")
    return name


def _printable(path: Path | str) -> str:
    return str(path).encode(errors="replace").decode()


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
        raise _Problem(f"The required folder {root / name} {state}{instead}.")


def _hash_files(
    found: list[_Delivered], seen: dict[str, list[Any]], known: set[tuple[str, str]], progress: Progress
) -> dict[str, str]:
    """The SHA-256 of each file by path, of ``seen`` where the file looks the same and is stored, else of its bytes."""
    hashes: dict[str, str] = {}
    for file in found:
        *look, sha256 = seen.get(file.path) or [None]
        if look == file.look and (file.path, sha256) in known:
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
            if not all(file.keys() >= MANIFEST_KEYS for file in manifest["files"]):
                raise ValueError("a file lacks one of its facts")
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _Problem(f"The manifest {path} can't be read: {error!r}") from error
        loads.append((name, manifest))
    return loads


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
) -> tuple[str, dict[str, Any]]:
    """Write the files as the next load, all or none; returns its folder's name and manifest."""
    number = max(map(int, _load_names(store)), default=0) + 1
    name = f"{number:06}"
    incoming = store / ".incoming"
    done = FileProgress(progress, "Taking in", len(new), sum(file.look[0] for file in new))

    def keep(file: _Delivered) -> dict[str, Any]:
        entry = _store_file(file, hashes[file.path], store, contract[file.extract])
        done.add(entry["bytes"], entry["rows"])
        return entry

    try:
        with _storing(store):
            store.mkdir(parents=True, exist_ok=True)
            incoming.mkdir()
            for folder in {(incoming / file.path).parent for file in new}:
                folder.mkdir(parents=True, exist_ok=True)
        manifest = {"load": number, "taken_in_at": _now(), "files": list(_in_parallel(keep, new))}
        with _storing(store):
            (incoming / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            _sync([Path(parent, file) for parent, _, files in os.walk(incoming) for file in files])
            _sync([Path(parent) for parent, _, _ in os.walk(incoming)])
            incoming.rename(store / name)
            _sync([store, store.parent])
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return name, manifest


def _describe_load(manifest: dict[str, Any], seconds: float) -> str:
    """What a load took in, for a person: its files and rows by extract."""
    rows: dict[str, list[int]] = {}
    for file in manifest["files"]:
        rows.setdefault(file["extract"], []).append(file["rows"])
    by_extract = ", ".join(f"{name} {as_count(sum(of))} rows in {_files(len(of))}" for name, of in rows.items())
    return f"Took in {_files(len(manifest['files']))} in {seconds:.0f} s: {by_extract}."


def _files(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}file{'' if count == 1 else 's'}"


def _store_file(file: _Delivered, sha256: str, store: Path, terms: dict[str, Any]) -> dict[str, Any]:
    """Check the file and write it to the incoming load; returns its entry in the manifest."""
    stored = f"{file.path}.parquet"
    target = store / ".incoming" / stored
    with _parsing(file.file):
        if file.file.name.endswith(".gz"):
            _read_to_the_end(file.file)
        rows = STORE_AS[file.format](file, target, store, terms)
    if _look(file.file) != file.look:
        raise _unparsable(file.file, "it changed while it was read")
    with _storing(store):
        stored_sha256 = _sha256(target)
    return {
        "extract": file.extract,
        "path": file.path,
        "sha256": sha256,
        "bytes": file.look[0],
        "rows": rows,
        "stored": stored,
        "stored_sha256": stored_sha256,
    }


def _store_parquet(file: _Delivered, target: Path, store: Path, terms: dict[str, Any]) -> int:
    """Copy the file as it is, once every value of it could be read; returns the number of its rows."""
    pattern = _escape_glob(file.file)
    names = _fetch("select name from parquet_schema(?)", [pattern])
    _require_columns(file.file, [name.lower() for (name,) in names], terms)
    ((rows, *_),) = _fetch(
        "select count(*), bit_xor(hash(columns(*))) from read_parquet(?, hive_partitioning = false)", [pattern]
    )
    with _storing(store):
        copy_file(file.file, target)
    return rows


def _store_csv(file: _Delivered, target: Path, store: Path, terms: dict[str, Any]) -> int:
    """Nothing is sniffed: a broken row must be an error, never a guess at the header."""
    columns = _csv_columns(file.file)
    _require_columns(file.file, columns, terms)
    rows = (
        f"from read_csv({_literal(_escape_glob(file.file))}, auto_detect = false, header = true, "
        f"columns = {_as_texts(columns)}, delim = ',', quote = '\"', escape = '\"', comment = '', strict_mode = true, "
        f"max_line_size = {LONGEST_ROW}, buffer_size = {LONGEST_ROW}, "
        "hive_partitioning = false)"
    )
    return _write_parquet(rows, target, store)


def _store_json(file: _Delivered, target: Path, store: Path, terms: dict[str, Any]) -> int:
    path = _literal(_escape_glob(file.file))
    options = f"maximum_object_size = {LONGEST_ROW}, hive_partitioning = false"
    if file.extract == "job_history":
        return _write_parquet(
            f"select cast(json as varchar) as record from read_json_objects({path}, format = 'auto', {options})",
            *(target, store, f", row_group_size {STREAMED_JOBS_PER_ROW_GROUP}"),
        )
    keys = _json_keys(file.file, terms["columns"])
    if keys:  # a file without rows has no columns to miss
        _require_columns(file.file, keys, terms)
    columns = _as_texts(terms["all_columns"])
    return _write_parquet(
        f"from read_json({path}, format = 'newline_delimited', columns = {columns}, {options})", target, store
    )


STORE_AS = {"csv": _store_csv, "parquet": _store_parquet, "json": _store_json}


def _require_columns(path: Path, columns: Iterable[str], terms: dict[str, Any]) -> None:
    missing = [name for name in terms["columns"] if name not in columns]
    if missing:
        raise _Problem(f"The file {path} lacks the required column {', '.join(missing)}.")


def _read_to_the_end(path: Path) -> None:
    """Raise when a gzipped file was cut short: DuckDB 1.5 reads such a file without an error, as far as it goes."""
    with gzip.open(path) as file:
        while file.read(1 << 20):
            pass


def _csv_columns(path: Path) -> list[str]:
    """The names in the header, which are read here: DuckDB's sniffer may take a broken row for one."""
    open_binary = gzip.open if path.name.endswith(".gz") else open
    with open_binary(path, "rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        columns = [name.strip().lower() for name in next(csv.reader(text), [])]
    repeated = {name for name in columns if columns.count(name) > 1}
    if repeated:
        raise csv.Error(f"its header names {', '.join(sorted(repeated))!r} twice")
    return columns


def _json_keys(path: Path, required: list[str]) -> set[str]:
    """The keys that occur in any row. Reads on only until every required key was seen."""
    keys: set[str] = set()
    for limit in ("limit 100", ""):
        found = _fetch(
            "select distinct unnest(json_keys(json)) from (select json from read_json_objects(?, "
            f"format = 'newline_delimited', maximum_object_size = {LONGEST_ROW}, hive_partitioning = false) {limit})",
            [_escape_glob(path)],
        )
        keys = {key for (key,) in found}
        if keys.issuperset(required):
            break
    return keys


def _write_parquet(rows: str, target: Path, store: Path, options: str = "") -> int:
    """Write the rows of the query to ``target``; returns their number."""
    try:
        ((written,),) = _fetch(f"copy ({rows}) to {_literal(target)} (format parquet, compression zstd{options})")
    except duckdb.IOException as error:
        if str(target) in str(error):
            raise _unstorable(store, error) from error
        raise
    return written


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
def _parsing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error, duckdb.Error) as error:
        raise _unparsable(path, error) from error


@contextmanager
def _storing(store: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unstorable(store, error) from error


def _unparsable(path: Path, reason: object) -> _Problem:
    return _Problem(f"The file {_printable(path)} can't be parsed: {reason}")


def _unstorable(store: Path, error: Exception) -> _Problem:
    return _Problem(f"The deliveries can't be stored under {store}: {getattr(error, 'strerror', None) or error}")


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


def _fetch(query: str, arguments: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """The rows of the query; may be called from several threads at a time."""
    with _connection().cursor() as cursor:
        return cursor.execute(query, arguments).fetchall()


@functools.cache
def _connection() -> duckdb.DuckDBPyConnection:
    """A database of its own to read files with, once for all of them: opening one takes longer than reading one."""
    connection = duckdb.connect()
    connection.execute("set global TimeZone = 'UTC'; set global enable_external_file_cache = false")
    return connection


def _as_texts(columns: Iterable[str]) -> str:
    """The columns argument of DuckDB's readers, every column a text."""
    return "{" + ", ".join(f"{_literal(name)}: 'varchar'" for name in columns) + "}"


def _literal(text: Path | str) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _escape_glob(path: Path) -> str:
    """The path as a pattern that matches only itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
