"""Rows of stored files without their texts (make compact): what decides a figure stays, what only tells goes.

A message of an error becomes TEXT, so that "it failed" stays. Of ``extra`` the columns of the contract stay: they say
why a row is quarantined. A streamed job keeps the fields that are read, and its lines the facts, which have names of
their own and begin with MARK, because an option says where the platform has them. A streamed API log keeps the fields
that are read, and of those that tell it from a job that they are there; another event keeps that it is one. Rows keep
their number and order.

A text stays where it says "no error", and where it decides: of two deliveries with one extracted_at the greater row
as text counts, so their errors stay if they differ (``Keeping.contested``).

Decisions::

    docs/decisions/compaction.md
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import yaml
from conversion import literal, quoted, read_files, write_rows
from erasing import MARK as ERASED
from streamed_events import API_LOG_FIELDS, API_REQUEST, EVENT_FIELDS, IDS, OTHER, READ_OF_API_LOG, kind_as_sql

TEXT = "(compacted)"  # not JSON, and no text that means no error
MARK = '{"COMPACTED":true'  # as in macros/intake/quarantine.sql; names of delivered fields are in lower case
ERRORS = {"jobs": "error", "steps": "error", "job_history": "error", "api_requests": "internal_error"}
# The extracts with usage. Listings, contracts and what a person keeps stay as they are.
COMPACTED = (*ERRORS, "event_stream_requests", "genie_prompts")

# As in macros/intake/values.sql (error_text), and, of requests, macros/engine/booleans.sql (false_words).
NO_ERROR = ("", "{}", "[]", "false")
NO_INTERNAL_ERROR = (*NO_ERROR, "f", "no", "n", "off", "0", "0.0")

LINE_FIELDS = ("recipe_line_number", "adapter_name", "adapter_operation", "keyword", "status")
PLAIN_NUMBER = r"-?\d{1,11}(\.\d{1,9})?"  # a duration that can be read; another one quarantines its line


@dataclass(frozen=True)
class Keeping:
    """What decides which texts stay.

    ``columns``: the contract's columns by extract. ``options``: those of the published run. ``contested``: ids of jobs
    and requests whose deliveries with one extracted_at differ in an error.
    """

    columns: dict[str, list[str]]
    options: dict[str, Any]
    contested: dict[str, set[str]] = field(default_factory=dict)

    def says_nothing(self, extract: str, text: str) -> str:
        """SQL: whether an error is a text that means no error."""
        words = NO_INTERNAL_ERROR if extract == "api_requests" else NO_ERROR
        marks = (str(mark).strip().lower() for mark in self.options["null_marks"])
        return f"lower(trim({text})) in ({_literals((*words, *marks))})"

    def error(self, extract: str, text: str, row_id: str) -> str:
        """SQL of what is left of an error."""
        of = "api_requests" if extract == "api_requests" else "jobs"
        stays = self.says_nothing(extract, text)
        if contested := self.contested.get(of):
            stays += f" or {row_id} in ({_literals(sorted(contested))})"
        return f"case when {text} is null or {stays} then {text} else {literal(TEXT)} end"


def contract_columns(project: Path) -> dict[str, list[str]]:
    """The columns of each extract, by the contract."""
    contract = yaml.safe_load((project / "models" / "_sources" / "_extracts.yml").read_text(encoding="utf-8"))
    (source,) = (source for source in contract["sources"] if source["name"] == "extracts")
    return {table["name"]: [column["name"] for column in table["columns"]] for table in source["tables"]}


def compact_file(
    connection: duckdb.DuckDBPyConnection,
    source: Path,
    extract: str,
    loads: Iterable[int],
    keeping: Keeping,
    target: Path,
) -> int:
    """Write a stored file with the rows of some loads compacted to ``target``; returns the number of its rows."""
    files = read_files([source])
    with connection.cursor() as cursor:
        columns = [row[0] for row in cursor.execute(f"describe from {files}").fetchall()]
        of_load = f"load_id in ({', '.join(map(str, loads))})"
        if extract == "job_history":
            _define_macros(cursor, keeping)
            values = {"record": "compacted_record(record)", "extra": "cast(null as varchar)"}
        else:
            values = _values(extract, columns, keeping)
        selected = [
            f"case when {of_load} and extra is distinct from {literal(ERASED)} then {values[column]} "
            f"else {quoted(column)} end as {quoted(column)}"
            if column in values
            else quoted(column)
            for column in columns
        ]
        return write_rows(cursor, f"select {', '.join(selected)} from {files}", target, extract)


def _values(extract: str, columns: list[str], keeping: Keeping) -> dict[str, str]:
    """{column: SQL of what is left of it}, where it is not all."""
    row_id = quoted("job_id" if extract == "steps" else "id")
    values = {}
    kept_aside = {column: _member("extra", column) for column in keeping.columns[extract]}
    if error := ERRORS.get(extract):
        if error in columns:
            values[error] = keeping.error(extract, quoted(error), row_id)
        text = f"json_extract_string(extra, {_path(error)})"  # of a file that was stored before the contract had it
        kept_aside[error] = f"to_json({keeping.error(extract, text, row_id)})"
    if extract == "steps":
        values["duration_seconds"] = "null"
    values["extra"] = f"nullif({_object(kept_aside)}, '{{}}')"
    return values


# -------------------------------------------------------------------------------------------------------- streamed jobs


def _define_macros(connection: duckdb.DuckDBPyConnection, keeping: Keeping) -> None:
    """SQL macros from the JSON text of a line, a job and a record to what is left of it.

    They read it as macros/intake/streamed_jobs.sql and models/base/base_streamed_steps.sql do. A value that is
    no JSON stays one that is not, an element that is no object stays an element.
    """
    options, fields = keeping.options, [name for name in keeping.columns["jobs"] if name != "error"]
    paths = {
        **{name: name for name in LINE_FIELDS},
        "error": "error",
        "page_count": options["job_history_page_count_path"],
        "called_recipe_id": options["job_history_called_recipe_path"],
        "messages": options["job_history_messages_path"],
        "duration_seconds": "line_stat.total",
    }
    values = {name: f"f[{number}]" for number, name in enumerate(paths, start=1)}
    messages, duration = values.pop("messages"), values["duration_seconds"]
    values["error"] = _error_of(values["error"], "job_id", keeping)
    values["message_count"] = f"case when json_type({messages}) = 'ARRAY' then json_array_length({messages}) end"
    values["duration_seconds"] = (
        f"case when not regexp_full_match(cast({duration} as varchar), {literal(PLAIN_NUMBER)}) then {duration} end"
    )
    connection.execute(
        "create or replace temp macro compacted_line(line, job_id) as case when line is null then 'null' "
        f"when starts_with(line, {literal(ERASED[:-1])}) then line when json_type(line) <> 'OBJECT' then {_TEXT} "
        f"else list_transform([json_extract(line, {_paths(paths.values())})], "
        f"lambda f: {_object(values, begins=MARK)})[1] end"
    )
    values = {name: f"v[{number}]" for number, name in enumerate(fields, start=1)}
    error, lines = f"v[{len(fields) + 1}]", f"json_extract_string(v[{len(fields) + 2}], '$')"
    job_id = f"json_extract_string({values['id']}, '$')"
    values["error"] = _error_of(error, job_id, keeping)
    values["lines"] = f"compacted_lines({lines}, {job_id})"
    elements = "from_json({0}, '[\"JSON\"]')"
    is_array = "case when json_valid({0}) then json_type({0}) = 'ARRAY' else false end"
    connection.execute(
        f"create or replace temp macro compacted_lines(lines, job_id) as case when {is_array.format('lines')} then "
        f"'[' || array_to_string(list_transform({elements.format('lines')}, "
        "lambda line: compacted_line(cast(line as varchar), job_id)), ',') || ']' end"
    )
    connection.execute(
        "create or replace temp macro compacted_job(job) as case when job is null then 'null' "
        f"when not json_valid(job) then {literal(TEXT)} when starts_with(job, {literal(ERASED[:-1])}) then job "
        f"when json_type(job) <> 'OBJECT' then {_TEXT} "
        f"when {kind_as_sql('job')} = '{API_REQUEST}' then {_api_log('job', keeping)} "
        f"when {kind_as_sql('job')} = '{OTHER}' then {literal(_OTHER)} "
        f"else list_transform([json_extract(job, {_paths([*fields, 'error', 'lines'])})], "
        f"lambda v: {_object(values)})[1] end"
    )
    connection.execute(
        "create or replace temp macro compacted_jobs(jobs) as "
        f"case when {is_array.format('jobs')} then '[' || array_to_string(list_transform({elements.format('jobs')}, "
        "lambda job: compacted_job(cast(job as varchar))), ',') || ']' else compacted_job(jobs) end"
    )
    connection.execute(
        "create or replace temp macro compacted_record(record) as case when record is null then null "
        f"when not json_valid(record) then {literal(TEXT)} "
        "else compacted_jobs(coalesce(json_extract_string(record, '$.\"logEntries\"'), record)) end"
    )


_OTHER = f'{{"{EVENT_FIELDS[0]}":"{TEXT}"}}'
_TEXT = literal(f'"{TEXT}"')  # as JSON


def _api_log(event: str, keeping: Keeping) -> str:
    """SQL of what is left of an API log, whose JSON text is the SQL ``event``."""
    paths = [*dict.fromkeys([*READ_OF_API_LOG, *API_LOG_FIELDS]), "internal_error"]
    found = {path: f"v[{number}]" for number, path in enumerate(paths, start=1)}
    values = {path: found[path] for path in READ_OF_API_LOG if "." not in path}
    for path in API_LOG_FIELDS:
        if path not in values:
            values[path] = _where_there(found[path], _TEXT)
    for name, member in (path.split(".") for path in READ_OF_API_LOG if "." in path):
        value = found[f"{name}.{member}"]
        nested = _where_there(value, f"concat('{{\"{member}\":', cast({value} as varchar), '}}')")
        values[name] = f"coalesce({nested}, {values[name]})" if name in values else nested
    log_id = f"coalesce({', '.join(_as_text(found[name]) for name in IDS)})"
    values["internal_error"] = _error_of(found["internal_error"], log_id, keeping, "api_requests")
    return f"list_transform([json_extract({event}, {_paths(paths)})], lambda v: {_object(values)})[1]"


def _where_there(value: str, instead: str) -> str:
    return f"case when cast({value} as varchar) <> 'null' then {instead} end"


def _as_text(value: str) -> str:
    return f"json_extract_string({value}, '$')"


def _error_of(value: str, row_id: str, keeping: Keeping, extract: str = "job_history") -> str:
    return f"to_json({keeping.error(extract, _as_text(value), row_id)})"


def _object(values: dict[str, str], begins: str = "{") -> str:
    """SQL of the text of a JSON object with the values, {name: SQL of JSON}, that are there."""
    members = [
        f"case when cast({value} as varchar) <> 'null' then ',\"{name}\":' || cast({value} as varchar) end"
        for name, value in values.items()
    ]
    text = f"concat({', '.join(members)})"
    if begins == "{":
        text = f"substr({text}, 2)"
    return f"({literal(begins)} || {text} || '}}')"


def _member(column: str, name: str) -> str:
    return f"json_extract({column}, {_path(name)})"


def _path(path: str) -> str:
    """SQL of a JSON path, as macros/engine/json.sql writes it."""
    return literal('$."' + '"."'.join(str(path).split(".")) + '"')


def _paths(paths: Iterable[str]) -> str:
    return f"[{', '.join(map(_path, paths))}]"


def _literals(texts: Iterable[str]) -> str:
    return ", ".join(map(literal, texts))
