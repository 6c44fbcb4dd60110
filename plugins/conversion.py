"""Converts one delivered file to rows of its extract's contract, independently of all other files.

The rows have the contract's columns, with its order and types, followed by:

``extra``
    JSON text, null if it would be empty: the values of columns outside of the contract, by their names, and the
    original text of each value that cannot be read as its column's type (that column is then null). No delivered
    value is lost.
``load_id``, ``file_name``
    The load of the file, and its path below EXTRACTS_DIR.

The contract gives the SQL that reads ``{value}`` as a type (macros/intake/values.sql).

Decisions::

    docs/decisions/csv-headers.md
    docs/decisions/file-formats.md
    docs/decisions/reading-values.md
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import json
import math
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import duckdb

LONGEST_ROW = (
    67_108_864  # bytes of a CSV line or a JSON object; also the buffer for CSV, whose default is 16 times as large
)
LONGEST_HEADER = 1_048_576  # characters of a CSV header
STREAMED_JOBS_PER_ROW_GROUP = 8192  # a job can be large, and a row group must fit into memory
LONE_SURROGATES = re.compile("[\ud800-\udfff]")
UNREADABLE = "(unreadable)"  # the key for texts of a rewritten JSON object that UTF-8 cannot represent
FAILURES = {"status", "error"}  # columns that show whether a step failed
NO_VALUE_IN_PATH = "__HIVE_DEFAULT_PARTITION__"

csv.field_size_limit(LONGEST_ROW)


class Problem(Exception):
    """An error that stops the run; the message is for the user."""


class LacksColumn(Exception):
    """A required column is not in the file."""


class NotAlike(Exception):
    """The files must be converted one by one."""


@dataclass(frozen=True)
class Column:
    """A column of the contract. ``kind``: a key of the contract's types.

    A row cannot be used if ``must_have_one`` is set and it has no value, or if ``cannot_be`` is true: SQL over the
    stored {value} of the kind's type; null marks of texts are excluded before.
    """

    name: str
    kind: str
    is_required: bool
    may_be_unreadable: bool = False
    must_have_one: bool = False
    cannot_be: str | None = None


@dataclass(frozen=True)
class Contract:
    """An extract's columns; ``types``: kind -> {"as": type in Parquet, "read": SQL that reads {value}}."""

    extract: str
    columns: tuple[Column, ...]
    types: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Limits:
    """How many unusable rows a new file may have; ``null_marks`` are texts without a value.

    For a file of at least ``least_rows`` rows: from ``fail_share`` on it is refused, above ``warn_share`` it is a
    warning.
    """

    null_marks: tuple[str, ...] = ()
    least_rows: int = 100
    fail_share: float = 0.2
    warn_share: float = 0.01


# Any unreadable value is a warning.
NOTHING_UNREADABLE = Limits(least_rows=1, fail_share=math.inf, warn_share=0)


@dataclass
class _Source:
    """A file as a relation.

    ``delivered``: for each column its name in the file, its SQL over ``relation``, and SQL that keeps its type.
    """

    relation: str
    delivered: list[tuple[str, str, str]] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)  # by the file's names; empty: all are texts
    unread: Callable[[str], str] | None = None  # contract column -> SQL of a text that could not be read


def convert(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    file_format: str,
    name: str,
    load: int,
    contract: Contract,
    target: Path,
    scratch: Path,
) -> tuple[int, list[str]]:
    """Write the file's rows to the Parquet file ``target``; returns their number, and warnings.

    ``name``: its path below EXTRACTS_DIR, whose folders may be named ``column=value``; ``scratch``: path of a temporary
    file. Raises LacksColumn, csv.Error or ValueError if the file does not fit the contract; duckdb.Error, OSError or
    EOFError if the file cannot be read or the target cannot be written.
    """
    with _opened(connection, file, file_format, contract.extract, scratch) as source:
        rows = _rows(source, name, literal(name), load, contract)
        notes = _notes(source, contract)
        written = write_rows(connection, rows, target, contract.extract)
    return written, notes


def write_rows(connection: duckdb.DuckDBPyConnection, rows: str, target: Path, extract: str) -> int:
    """Write the rows of a query for an extract to the Parquet file ``target``; returns their number."""
    row_groups = f", row_group_size {STREAMED_JOBS_PER_ROW_GROUP}" if extract == "job_history" else ""
    options = f"format parquet, compression zstd{row_groups}"
    return connection.execute(f"copy ({rows}) to {literal(target)} ({options})").fetchone()[0]


def _notes(source: _Source, contract: Contract) -> list[str]:
    """Warnings about columns that resemble a missing one, and about steps without status and error."""
    known = {column.name for column in contract.columns}
    has = {normalized(name) for name, *_ in source.delivered}
    notes = []
    for name in sorted(has - known - {""}):
        for meant in difflib.get_close_matches(name, sorted(known - has), n=1, cutoff=0.8):
            notes.append(f"the column {name} is not read; the contract has a column {meant}")
    if contract.extract == "steps" and source.delivered and known & FAILURES and not has & FAILURES:
        notes.append("without status and error, all steps count as succeeded")
    return notes


def refuse_unreadable(
    connection: duckdb.DuckDBPyConnection, part: Path, rows: int, contract: Contract, limits: Limits
) -> list[str]:
    """Check the unusable rows of a converted file; returns warnings.

    Raises ValueError with the column and three of its values if there are too many.
    """
    flaws = [flaw for column in contract.columns for flaw in _flaws(column, contract, limits)]
    if rows < limits.least_rows or not flaws:
        return []
    asked = ["count(*) filter (" + " or ".join(f"({condition})" for condition, *_ in flaws) + ")"]
    for condition, _, value in flaws:
        asked += [f"count(*) filter ({condition})", f"list(distinct {value}) filter ({condition})"]
    query = f"select {', '.join(asked)} from read_parquet({literal(as_pattern(part))})"
    unusable, *found = connection.execute(query).fetchone()
    if unusable <= limits.warn_share * rows and unusable < limits.fail_share * rows:
        return []
    counted = sorted(zip(found[::2], flaws, found[1::2], strict=True), key=lambda flaw: -flaw[0])
    notes = [
        f"{count:,} of {rows:,} rows have {what}{', '.join(map(repr, sorted(filter(None, examples or []))[:3]))}"
        for count, (_, what, _), examples in counted
        if count > limits.warn_share * rows or count == counted[0][0]
    ]
    if unusable > counted[0][0]:
        notes[0] = f"{unusable:,} of {rows:,} rows cannot be used: {notes[0]}"
    if unusable >= limits.fail_share * rows:
        raise ValueError(notes[0])
    return notes


def _flaws(column: Column, contract: Contract, limits: Limits) -> Iterator[tuple[str, str, str]]:
    """Reasons why a stored row cannot be used: (SQL condition, description, SQL of the delivered value)."""
    marks = ", ".join(literal(mark.strip().lower()) for mark in ("", *limits.null_marks))
    stored = value = came = quoted(column.name)
    is_lost = "false"
    if contract.types[column.kind]["as"] == "varchar":
        value = f"(case when lower(trim({stored})) not in ({marks}) then {stored} end)"
    else:
        text = f"json_extract_string(extra, {literal(_json_path(column.name))})"
        is_lost = f"coalesce(extra is not null and {stored} is null and lower(trim({text})) not in ({marks}), false)"
        came = f"coalesce({text}, cast({stored} as varchar))"
    unusable = [is_lost] if is_lost != "false" and not column.may_be_unreadable else []
    if column.cannot_be:
        unusable.append(f"coalesce({column.cannot_be.replace('{value}', value)}, false)")
    if unusable:
        article = "an" if column.name.startswith(("a", "e", "i", "o")) else "a"
        yield " or ".join(unusable), f"{article} {column.name} that cannot be read, such as ", came
    if column.must_have_one:
        yield f"{value} is null and not {is_lost}", f"no {column.name}", "null"


def convert_streamed(
    connection: duckdb.DuckDBPyConnection, names: dict[Path, str], load: int, target: Path
) -> dict[str, int]:
    """Write the streamed jobs of many JSON files to ``target`` in one query; returns the rows of each file by its name.

    The platform writes one file per job, so a run has thousands. ``names``: {file: its path below EXTRACTS_DIR}. The
    result is that of ``convert``; raises duckdb.Error if a file needs the special cases of ``convert``.
    """
    rows = (
        "select cast(json as varchar) as record, cast(null as varchar) as extra, "
        f"cast({load} as bigint) as load_id, {_name_of(names)} as file_name "
        f"from {_json_objects(*names)}"
    )
    write_rows(connection, rows, target, "job_history")
    for file in names:
        _require_whole_list(file)
    return _rows_by_file(connection, names, target)


def convert_alike(
    connection: duckdb.DuckDBPyConnection, names: dict[Path, str], load: int, contract: Contract, target: Path
) -> dict[str, int]:
    """Write the rows of many Parquet files to ``target`` in one query; returns the rows of each file by its name.

    A query costs more than reading a small file. ``names``: {file: its path below EXTRACTS_DIR}. The result is that of
    ``convert``; raises NotAlike if the columns of the files differ or any file would have a warning; duckdb.Error if
    one cannot be read.
    """
    relation = f"read_parquet([{_listed(names)}], hive_partitioning = false, filename = true)"
    schemas: dict[str, list[Any]] = {}
    columns = "file_name, name, num_children, type, converted_type, logical_type"
    for file, *column in connection.execute(f"select {columns} from parquet_schema([{_listed(names)}])").fetchall():
        schemas.setdefault(file, []).append(tuple(column))
    first, *others = schemas.values()
    delivered = _top_names([(column[0], column[1]) for column in first])
    if (
        any(other[1:] != first[1:] for other in others)
        or contract.extract == "job_history"
        or any(True for name in names.values() for _ in _in_folders(name))
    ):
        raise NotAlike
    described = connection.execute(f"describe from {relation}").fetchall()[:-1]
    kinds = [(row[0], row[1]) for row in described]
    source = _source_of_rows(f"{relation} as delivered", delivered, kinds, contract.extract)
    if _notes(source, contract):
        raise NotAlike
    rows = _rows(source, next(iter(names.values())), _name_of(names), load, contract)
    written = write_rows(connection, rows, target, contract.extract)
    if refuse_unreadable(connection, target, written, contract, NOTHING_UNREADABLE):
        raise NotAlike
    return _rows_by_file(connection, names, target)


def _name_of(names: dict[Path, str]) -> str:
    """SQL of a file's path below EXTRACTS_DIR, for a relation with DuckDB's column filename."""
    files, paths = (", ".join(map(literal, of)) for of in (names, names.values()))
    return f"map([{files}], [{paths}])[filename]"


def _rows_by_file(connection: duckdb.DuckDBPyConnection, names: dict[Path, str], target: Path) -> dict[str, int]:
    """The number of rows in the Parquet file ``target`` for each file, by its path below EXTRACTS_DIR."""
    counted = connection.execute(
        f"select file_name, count(*) from read_parquet({literal(as_pattern(target))}) group by file_name"
    ).fetchall()
    return dict.fromkeys(names.values(), 0) | dict(counted)


def _rows(source: _Source, name: str, file_name: str, load: int, contract: Contract) -> str:
    """The query of a file's rows with the columns of the contract. ``file_name``: SQL of its name."""
    known = {column.name for column in contract.columns}
    sql_of: dict[str, str] = {}
    unknown: dict[str, str] = {}
    binary: set[str] = set()
    for position, (delivered, sql, natural) in enumerate(source.delivered, 1):
        column = normalized(delivered)
        if column not in known:
            kept = column or f"column_{position}"
            unknown[kept if kept not in unknown and kept not in known else f"{kept}_{position}"] = natural
        elif column in sql_of:
            raise ValueError(f"it has the column {column} twice")
        else:
            nested = source.types.get(delivered, "")
            if nested.startswith(("STRUCT", "MAP", "UNION")) or nested.endswith("]"):
                raise ValueError(f"its column {delivered} has nested values: {nested[:60]}")
            sql_of[column] = sql
            if nested == "BLOB":
                binary.add(column)
    if source.delivered or source.types:
        for column, value in _in_folders(name):
            if column in known and column not in sql_of:
                sql_of[column] = "cast(null as varchar)" if value is None else literal(value)
        missing = [column.name for column in contract.columns if column.is_required and column.name not in sql_of]
        if missing:
            raise LacksColumn(", ".join(missing))

    selected = []
    kept = [f"case when {sql} is not null then {_entry(column, sql)} end" for column, sql in unknown.items()]
    for column in contract.columns:
        terms = contract.types[column.kind]
        if column.name not in sql_of:
            selected.append(f"cast(null as {terms['as']}) as {quoted(column.name)}")
            continue
        value = sql_of[column.name]
        text = contract.types["string"]["read"].replace("{value}", value)
        # a number or a time that came as bytes is read from their text
        typed = f"({text})" if column.name in binary and terms["as"] != "varchar" else value
        read = terms["read"].replace("{value}", typed)
        selected.append(f"cast({read} as {terms['as']}) as {quoted(column.name)}")
        as_it_came = f"coalesce({text}, cast({value} as varchar))"
        if terms["as"].startswith("decimal"):  # a rounded value differs from the delivered one
            is_lost = f"({read}) is null or cast({read} as double) <> try_cast({typed} as double)"
        else:
            is_lost = f"({read}) is null"
        kept.append(f"case when ({is_lost}) and {as_it_came} <> '' then {_entry(column.name, as_it_came)} end")
        if source.unread:
            lost = source.unread(column.name)
            kept.append(f"case when {lost} is not null then {_entry(column.name, lost)} end")
    extra = f"nullif('{{' || concat_ws(',', {', '.join(kept)}) || '}}', '{{}}')" if kept else "cast(null as varchar)"
    return (
        f"select {', '.join(selected)}, {extra} as extra, cast({load} as bigint) as load_id, "
        f"{file_name} as file_name from {source.relation}"
    )


def _entry(name: str, sql: str) -> str:
    return f"{literal(json.dumps(name, ensure_ascii=False) + ':')} || cast(to_json({sql}) as varchar)"


def _in_folders(name: str) -> Iterator[tuple[str, str | None]]:
    """(column, value) of each folder named column=value, as Hive and Spark write partitions."""
    for part in name.split("/")[1:-1]:
        column, found, value = part.partition("=")
        if found:
            yield normalized(column), None if value == NO_VALUE_IN_PATH else unquote(value)


def normalized(name: str) -> str:
    """A column's name as in the contract: without letter case, surrounding blanks and byte order mark."""
    return name.strip("\ufeff \t\r\n\u00a0").lower()


# -------------------------------------------------------------------------------------------------------- the formats


@contextmanager
def _opened(
    connection: duckdb.DuckDBPyConnection, file: Path, file_format: str, extract: str, scratch: Path
) -> Iterator[_Source]:
    try:
        if file.stat().st_size == 0:
            yield _Source("(select 1 where false) as empty")
        elif file_format == "parquet":
            yield _open_parquet(connection, file, extract)
        elif file_format == "csv":
            yield _open_csv(connection, file, extract, scratch)
        else:
            yield _open_json(connection, file, extract, scratch)
    finally:
        scratch.unlink(missing_ok=True)


def _open_parquet(connection: duckdb.DuckDBPyConnection, file: Path, extract: str) -> _Source:
    relation = f"read_parquet({literal(as_pattern(file))}, hive_partitioning = false)"
    described = connection.execute(f"describe from {relation}").fetchall()
    names = _top_names(
        connection.execute("select name, num_children from parquet_schema(?)", [as_pattern(file)]).fetchall()
    )
    return _source_of_rows(f"{relation} as delivered", names, [(row[0], row[1]) for row in described], extract)


def _top_names(schema: list[tuple[str, int | None]]) -> list[str]:
    """The names of a Parquet file's columns as written in it: DuckDB renames names that differ only in letter case."""
    names, inner = [], []
    for name, children in schema[1:]:
        while inner and not inner[-1]:
            inner.pop()
        if inner:
            inner[-1] -= 1
        else:
            names.append(name)
        if children:
            inner.append(children)
    return names


def _source_of_rows(relation: str, names: list[str], described: list[tuple[str, str]], extract: str) -> _Source:
    """The source for a relation with columns. Streamed jobs with fields as columns become JSON objects again."""
    if extract == "job_history" and "record" not in map(normalized, names):
        return _Source(relation, [("record", *["cast(to_json(delivered) as varchar)"] * 2)])
    delivered = [(name, *[quoted(column)] * 2) for name, (column, _) in zip(names, described, strict=True)]
    return _Source(relation, delivered, dict(zip(names, (kind for _, kind in described), strict=True)))


def _open_csv(connection: duckdb.DuckDBPyConnection, file: Path, extract: str, scratch: Path) -> _Source:
    """DuckDB detects nothing by itself: a broken row must be an error and not change the header."""
    names = _csv_header(file)
    columns = [f"c{position}" for position in range(len(names))]
    if extract == "job_history":  # their JSON uses the names of the file
        columns = [name or f"column_{position}" for position, name in enumerate(names, 1)]
    typed = "{" + ", ".join(f"{literal(column)}: 'varchar'" for column in columns) + "}"

    lines = _look_through(file)
    is_rewritten = len(lines.ends) > 1
    # if quotes may contain line ends, a thread that starts at the second buffer cannot find the start of a row
    is_parallel = not (lines.has_quotes and lines.size > LONGEST_ROW // 2) and not is_rewritten

    def relation(path: Path) -> str:
        return (
            f"read_csv({literal(as_pattern(path))}, auto_detect = false, header = true, columns = {typed}, "
            "delim = ',', quote = '\"', escape = '\"', comment = '', strict_mode = true, "
            f"max_line_size = {LONGEST_ROW}, buffer_size = {LONGEST_ROW}, "
            f"parallel = {str(is_parallel).lower()}, hive_partitioning = false)"
        )

    path = file
    if is_rewritten:
        _rewrite_csv(file, scratch, len(names))
        path = scratch
    return _source_of_rows(
        f"{relation(path)} as delivered", names, [(column, "VARCHAR") for column in columns], extract
    )


def _csv_header(path: Path) -> list[str]:
    """The names in the header. They are read here, because DuckDB's sniffer may use a broken row as the header."""
    with _open_text(path) as text:
        lines = io.StringIO(text.read(LONGEST_HEADER + 1), newline="")
        header = next(csv.reader(lines), [])
        if lines.tell() > LONGEST_HEADER:
            raise csv.Error(f"its header is longer than {LONGEST_HEADER:,} characters")
    return header


@dataclass
class _Lines:
    """Properties of the lines of a CSV file. ``ends``: its line ends, several if they are mixed, also within quotes."""

    ends: set[bytes] = field(default_factory=set)
    size: int = 0
    has_quotes: bool = False


def _look_through(path: Path) -> _Lines:
    lines = _Lines()
    with open_bytes(path) as raw:
        last = b""
        while block := raw.read(1 << 20):
            lines.size += len(block)
            lines.has_quotes = lines.has_quotes or b'"' in block
            whole = last + block
            last = whole[-1:] if whole.endswith(b"\r") else b""
            returns, feeds, both = whole.count(b"\r"), whole.count(b"\n"), whole.count(b"\r\n")
            if both:
                lines.ends.add(b"\r\n")
            if feeds > both:
                lines.ends.add(b"\n")
            if returns - bool(last) > both:
                lines.ends.add(b"\r")
    return lines


def _rewrite_csv(path: Path, scratch: Path, columns: int) -> None:
    """Write the file with one kind of line end, because DuckDB reads no other."""
    with _open_text(path) as text, scratch.open("w", encoding="utf-8", newline="") as rewritten:
        writer = csv.writer(rewritten, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        reader = csv.reader(text, strict=True)
        for row in reader:
            if row and len(row) != columns:
                raise csv.Error(f"line {reader.line_num} has {len(row)} columns, its header {columns}")
            writer.writerow(row)


def _open_json(connection: duckdb.DuckDBPyConnection, file: Path, extract: str, scratch: Path) -> _Source:
    """JSON objects: one per line, as a list, or pretty-printed."""
    is_streamed = extract == "job_history"  # any value is a record: the models check whether it is a job
    look = _read_through if is_streamed else _json_keys
    path = file
    try:
        keys = look(connection, path)
    except duckdb.Error as error:
        if "surrogate" not in str(error) or not _rewrite_json(file, scratch, is_streamed):
            raise
        path = scratch
        keys = look(connection, path)
    if path == file:
        _require_whole_list(file)
    if is_streamed:
        record = f"coalesce(json_extract_string(json, {literal(_json_path(UNREADABLE))}), cast(json as varchar))"
        return _Source(f"{_json_objects(path)} as delivered", [("record", record, record)])
    names = [key for key in keys if key != UNREADABLE]
    paths = ", ".join(literal(_json_path(key)) for key in names)
    # a JSON null is no value; a whole number stays one, also if it is written with decimals
    columns = ["json"]
    for n in range(1, len(names) + 1):
        whole = _whole(f"cast(found[{n}] as varchar)")
        kind = f"json_type(found[{n}])"
        columns.append(
            f"case {kind} when 'NULL' then null when 'DOUBLE' then {whole} else found[{n}] ->> '$' end as t{n}"
        )
        columns.append(f"case when {kind} <> 'NULL' then found[{n}] end as n{n}")
    # as columns, because expressions would be repeated wherever the query names them
    found = f"(select json, json_extract(json, [{paths}]) as found from {_json_objects(path)}) as extracted"
    relation = f"(select {', '.join(columns)} from {found}) as delivered"
    delivered = [(name, f"t{n}", f"n{n}") for n, name in enumerate(names, 1)]

    def unread(column: str) -> str:
        return f"json_extract_string(json, {literal(_json_path(UNREADABLE, column))})"

    return _Source(relation, delivered, unread=unread if UNREADABLE in keys else None)


def _whole(text: str) -> str:
    """The text of a number without a point that is followed only by zeros."""
    return f"case when regexp_full_match({text}, '-?[0-9]+[.]0+') then split_part({text}, '.', 1) else {text} end"


def _json_objects(*paths: Path) -> str:
    """The values of the files as column ``json``, with ``filename``."""
    return (
        f"read_json_objects([{_listed(paths)}], format = 'auto', maximum_object_size = {LONGEST_ROW}, filename = true, "
        "hive_partitioning = false)"
    )


def _json_keys(connection: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    """The keys of all rows, in order. Raises ValueError if a row is not an object."""
    found = connection.execute(
        "select distinct unnest(case json_type(json) when 'OBJECT' then json_keys(json) else [null] end) "
        f"from {_json_objects(path)}"
    ).fetchall()
    if (None,) in found:
        raise ValueError("it contains a value that is not a JSON object")
    return sorted(key for (key,) in found)


def _read_through(connection: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    connection.execute(f"select max(length(json)) from {_json_objects(path)}")
    return []


def _json_path(*keys: str) -> str:
    return "$" + "".join("." + json.dumps(key, ensure_ascii=False) for key in keys)


def _require_whole_list(path: Path) -> None:
    """Raise ValueError for a list that ends after a comma: DuckDB accepts it as complete."""
    with open_bytes(path) as raw:
        start = raw.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
        if not start.startswith(b"["):
            return
        last = start.rstrip()[-1:]
        while block := raw.read(1 << 20):
            last = block.rstrip()[-1:] or last
    if last != b"]":
        raise ValueError("its list has no end: the file is incomplete")


def _rewrite_json(path: Path, scratch: Path, is_streamed: bool) -> bool:
    """Write the objects, one per line, without texts that UTF-8 cannot represent, and list those texts.

    A streamed job with such a text becomes a text that is not JSON, which the models quarantine. False if the file is
    not a list of JSON objects, one object per line, or one object.
    """
    try:
        with scratch.open("w", encoding="utf-8") as rewritten:
            for text in _json_texts(path):
                row = json.loads(text)
                if not isinstance(row, dict):
                    return False
                if LONE_SURROGATES.search(json.dumps(row, ensure_ascii=False)):
                    row = {UNREADABLE: text.strip()} if is_streamed else _without_surrogates(row)
                rewritten.write(json.dumps(row) + "\n")
    except ValueError:
        return False
    return True


def _json_texts(path: Path) -> Iterator[str]:
    """The texts of the objects: the lines, or the complete file if it is one pretty-printed object."""
    with _open_text(path) as text:
        first = text.readline(LONGEST_ROW)
        try:
            json.loads(first)
        except ValueError:
            yield first + text.read(LONGEST_ROW)
            return
        yield first
        yield from filter(str.strip, text)


def _without_surrogates(row: dict[str, Any]) -> dict[str, Any]:
    lost = {
        normalized(key): json.dumps(value)
        for key, value in row.items()
        if LONE_SURROGATES.search(json.dumps([key, value], ensure_ascii=False))
    }
    kept = {key: value for key, value in row.items() if normalized(key) not in lost}
    return kept | dict.fromkeys(lost) | {UNREADABLE: lost}


# -------------------------------------------------------------------------------------------------------------- helpers


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked if it is gzipped."""
    return gzip.open(path) if path.name.endswith(".gz") else path.open("rb")


@contextmanager
def _open_text(path: Path) -> Iterator[io.TextIOWrapper]:
    with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        yield text


def merge(connection: duckdb.DuckDBPyConnection, parts: list[Path], target: Path, extract: str) -> None:
    """Write the rows of converted files, one after the other, to the Parquet file ``target``; removes the parts."""
    if len(parts) == 1:
        shutil.move(parts[0], target)
        return
    write_rows(connection, f"from {read_files(parts)}", target, extract)
    for part in parts:
        part.unlink()


def read_files(paths: Iterable[Path]) -> str:
    """Stored files as a relation."""
    return f"read_parquet([{_listed(paths)}], hive_partitioning = false)"


def _listed(paths: Iterable[Path]) -> str:
    """The paths as SQL literals, as patterns that match only these paths."""
    return ", ".join(literal(as_pattern(path)) for path in paths)


def literal(text: Path | str) -> str:
    """The text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def as_pattern(path: Path) -> str:
    """The path as a pattern that matches only itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
