"""The file operations of a run that SQL cannot do, as functions that SQL can call.

dbt-duckdb loads this module through ``plugins:`` in the profile and registers on the build's connection:

``list_extracts(folder, contract) -> JSON``
    What lies under ``EXTRACTS_DIR``: for each extract its format, files and columns, and what is wrong with it.
``publish_warehouse(built, published, run_id)``, ``empty_folder(folder)``, ``revision_of(project)`` -> text
    Of publishing.py.

They return what went wrong instead of raising: the calling macro stops the run with it.
"""

from __future__ import annotations

import csv
import functools
import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError
from publishing import empty_folder, hold_warehouse, publish_warehouse, revision_of

# Ending of a file name -> format. One format per folder; a format may come plain and gzipped.
FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".json": "json",
    ".json.gz": "json",
}


class Plugin(BasePlugin):
    """Registers the functions; creates the warehouse folder, and locks it, before DuckDB opens its file there."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        folder = Path(self.creds.path).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise DbtRuntimeError(f"WAREHOUSE_DIR={folder.parent} can't be used: a file is in its place.") from error
        except OSError as error:
            raise DbtRuntimeError(f"WAREHOUSE_DIR={folder.parent} can't be written: {error.strerror}.") from error
        hold_warehouse(folder)

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        for function in (list_extracts, publish_warehouse, empty_folder, revision_of):
            arguments = ["VARCHAR"] * function.__code__.co_argcount
            conn.create_function(function.__name__, function, arguments, "VARCHAR", side_effects=True)


def list_extracts(folder: str, contract: str) -> str:
    """List the files of each extract under ``folder``.

    ``contract`` is JSON: extract name -> ``{"required": bool, "columns": [required column names]}``. The answer is
    JSON: ``{"problem": text or null, "root": the folder, "ignored": [paths], "extracts": {name: {"format": ...,
    "reads": [{"patterns": [glob patterns for DuckDB], "columns": [CSV header] or null}]}}}``, with a read for each
    header that a CSV folder holds: headers are read here, since DuckDB's sniffer may take a broken row for one. The
    first problem found is reported: the folder is missing, is a file or is empty; a required folder is missing or
    empty; formats are mixed; a file can't be parsed; a file lacks a required column.
    """
    try:
        return json.dumps(_list_extracts(folder, json.loads(contract)))
    except _Problem as problem:
        return json.dumps({"problem": str(problem)})


class _Problem(Exception):
    """Something in the extracts that the run can't go on with; the message is for the person who runs it."""


def _list_extracts(folder: str, contract: dict[str, Any]) -> dict[str, Any]:
    root = Path(folder)
    if not root.exists():
        raise _Problem(f"EXTRACTS_DIR={folder} does not exist.")
    if not root.is_dir():
        raise _Problem(f"EXTRACTS_DIR={folder} is a file, not a folder with one sub-folder per extract.")
    if not any(root.iterdir()):
        raise _Problem(f"EXTRACTS_DIR={folder} is empty: it needs one sub-folder per extract.")

    extracts: dict[str, Any] = {}
    ignored = [str(path) for path in sorted(root.iterdir()) if path.name not in contract]
    for name in contract:
        files: dict[str, list[Path]] = {}
        for path in sorted((root / name).rglob("*")):
            if path.is_file():
                ending = next((e for e in FORMATS if path.name.endswith(e)), None)
                if ending is None:
                    ignored.append(str(path))
                else:
                    files.setdefault(ending, []).append(path)
        formats = sorted({FORMATS[ending] for ending in files})
        if len(formats) > 1:
            examples = " and ".join(str(paths[0]) for paths in files.values())
            raise _Problem(f"The folder {root / name} mixes formats, one is allowed: {examples}.")
        if formats:
            extracts[name] = {"format": formats[0], "files": files}

    _require_folders(root, contract, extracts)
    for name, found in extracts.items():
        files = found.pop("files")
        headers: dict[tuple[str, ...] | None, list[Path]] = {}
        for path in (path for paths in files.values() for path in paths):
            columns = _check_file(path, found["format"], contract[name]["columns"])
            headers.setdefault(columns if found["format"] == "csv" else None, []).append(path)
        if len(headers) == 1:
            patterns = [[f"{_escape_glob(root / name)}/**/*{ending}" for ending in sorted(files)]]
        else:
            patterns = [[_escape_glob(path) for path in paths] for paths in headers.values()]
        found["reads"] = [
            {"patterns": pattern, "columns": header} for header, pattern in zip(headers, patterns, strict=True)
        ]
    return {"problem": None, "root": str(root), "ignored": ignored, "extracts": extracts}


def _require_folders(root: Path, contract: dict[str, Any], extracts: dict[str, Any]) -> None:
    for name, terms in contract.items():
        streamed = name in ("jobs", "steps") and "job_history" in extracts
        if terms["required"] and name not in extracts and not streamed:
            state = "has no file to read" if (root / name).is_dir() else "is missing"
            instead = " (job_history may stand in for it)" if name in ("jobs", "steps") else ""
            raise _Problem(f"The required folder {root / name} {state}{instead}.")


def _check_file(path: Path, file_format: str, required: list[str]) -> tuple[str, ...] | None:
    """The columns of the file; raises a problem when it can't be parsed or lacks a required column."""
    try:
        if path.name.endswith(".gz"):
            _read_to_the_end(path)
        columns = READERS[file_format](path, required)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error, duckdb.Error) as error:
        raise _Problem(f"The file {path} can't be parsed: {error}") from error
    # None: a JSON file without rows has no columns to miss.
    missing = [] if columns is None else [name for name in required if name not in columns]
    if missing:
        raise _Problem(f"The file {path} lacks the required column {', '.join(missing)}.")
    return columns


def _read_to_the_end(path: Path) -> None:
    """Raise when a gzipped file was cut short: DuckDB 1.5 reads such a file without an error, as far as it goes."""
    with gzip.open(path) as file:
        while file.read(1 << 20):
            pass


def _csv_columns(path: Path, _: list[str]) -> tuple[str, ...]:
    open_binary = gzip.open if path.name.endswith(".gz") else open
    with open_binary(path, "rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        columns = tuple(name.strip().lower() for name in next(csv.reader(text), []))
    repeated = {name for name in columns if columns.count(name) > 1}
    if repeated:
        raise csv.Error(f"its header names {', '.join(sorted(repeated))!r} twice")
    return columns


def _parquet_columns(path: Path, _: list[str]) -> tuple[str, ...]:
    rows = _connection().execute("select name from parquet_schema(?)", [_escape_glob(path)])
    return tuple(name.lower() for (name,) in rows.fetchall())


def _json_columns(path: Path, required: list[str]) -> tuple[str, ...] | None:
    """The keys that occur in any row, or None without rows. Reads on only until every required key was seen."""
    if not required:
        return None
    for limit in ("limit 100", ""):
        keys = _connection().execute(
            "select distinct unnest(json_keys(json)) from ("
            "select json from read_json_objects(?, format = 'newline_delimited', "
            f"maximum_object_size = 67108864) {limit})",
            [_escape_glob(path)],
        )
        columns = tuple(key for (key,) in keys.fetchall())
        if set(required).issubset(columns):
            break
    return columns or None


@functools.cache
def _connection() -> duckdb.DuckDBPyConnection:
    """A database of its own to look at files with, once for all of them: opening one takes longer than looking."""
    return duckdb.connect()


READERS = {"csv": _csv_columns, "parquet": _parquet_columns, "json": _json_columns}


def _escape_glob(path: Path) -> str:
    """The path as a pattern that matches only itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
