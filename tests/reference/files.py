"""Writes a world as a folder of extracts, in every shape that the contract of the extracts allows.

``write_world`` and ``write_job_history`` return the world as delivered, which the reference reads the same.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
from collections import defaultdict
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from . import reference

FORMATS = ("csv", "csv.gz", "json", "json.gz", "parquet")
SUB_FOLDERS = (".", "2024/05", "late/deliveries of the week", "x")
PARQUET_TYPES = {
    "time": "TIMESTAMPTZ",
    "day": "DATE",
    "int": "BIGINT",
    "count": "BIGINT",
    "soft_count": "INTEGER",
    "number": "DECIMAL(18,6)",
    "amount": "DECIMAL(18,6)",
    "cycle_day": "BIGINT",
    "bool": "BOOLEAN",
}


def is_readable(extract, row):
    """Whether the row is a good row of the extract."""
    try:
        reference.read_row(extract, row, ZoneInfo("UTC"))
    except reference.Unreadable:
        return False
    return True


def drop_bad_rows(world):
    """The world without its bad rows, so that its Parquet columns can be typed; steps without a job stay."""
    return {
        extract: [row for row in rows if extract not in reference.EXTRACTS or is_readable(extract, row)]
        for extract, rows in world.items()
    }


# ------------------------------------------------------------------------------------------------------------- one file


def write_text(path, text):
    """Write the text as UTF-8, gzipped where the file's name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def as_csv(rows, columns):
    """The rows as CSV with a header; None is an empty field."""

    def field(value):
        return "" if value is None else str(value).lower() if isinstance(value, bool) else value

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([field(row.get(column)) for column in columns] for row in rows)
    return out.getvalue()


def as_json_lines(rows, columns, required, rng):
    """The rows as newline-delimited JSON; of the optional columns every other null is left out."""
    lines = []
    for row in rows:
        keys = [c for c in columns if c in required or row.get(c) is not None or rng.random() < 0.5]
        lines.append(json.dumps({column: row.get(column) for column in keys}, ensure_ascii=False) + "\n")
    return "".join(lines)


def parquet_type(extract, column, rows):
    """The contract's type of the column where each of its values is readable, else text."""
    kind = next((k for c, k in reference.EXTRACTS[extract].items() if c.rstrip("?") == column), "text")
    values = (row.get(column) for row in rows)
    try:
        for value in values:
            if value not in (None, ""):
                reference.read_value(value, "count" if kind == "soft_count" else kind, ZoneInfo("UTC"))
    except reference.Unreadable:
        return "VARCHAR"
    return PARQUET_TYPES.get(kind, "VARCHAR")


def literal(path):
    """The path as an SQL literal."""
    return "'" + str(path).replace("'", "''") + "'"


def identifier(name):
    return '"' + name.replace('"', '""') + '"'


def _cast(column, type_):
    match type_:
        case "VARCHAR":
            return column
        case "BLOB":
            return f"encode({column})"
    return f"cast(nullif({column}, '') as {type_})"


def write_parquet(path, rows, types):
    """Write the rows as Parquet; ``types`` is {column: DuckDB type}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".scratch")
    with scratch.open("w", encoding="utf-8") as file:
        for row in rows:
            written = {column: None if row.get(column) is None else str(row[column]) for column in types}
            file.write(json.dumps(written) + "\n")
    texts = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in types)
    casts = ", ".join(f"{_cast(identifier(column), type_)} as {identifier(column)}" for column, type_ in types.items())
    with duckdb.connect() as db:
        db.execute("set timezone = 'UTC'; set threads = 1")
        lines = f"read_json({literal(scratch)}, format = 'newline_delimited', columns = {{{texts}}})"
        db.execute(f"copy (select {casts} from {lines}) to {literal(path)} (format parquet)")
    scratch.unlink()


# --------------------------------------------------------------------------------------------------------- whole worlds


def write_world(world, folder, fmt="csv", split=3, seed=0, ragged=True, overlap=0.05, typed=True, name="part"):
    """Write <folder>/<extract>/** and return the world as delivered.

    Rows are shuffled over ``split`` files in sub-folders, ``overlap`` is the share of rows that the next file repeats.
    ``ragged``: columns come in another order in each file, and optional ones without a value are absent. ``typed``:
    Parquet columns carry the contract's type where every value is readable; otherwise all are text. ``name``: what the
    files are called, before their number.
    """
    rng = random.Random(f"write-{seed}")
    delivered = {}
    for extract in sorted(set(world) & set(reference.EXTRACTS)):
        rows = list(world[extract])
        rng.shuffle(rows)
        files = [rows[i :: min(split, len(rows))] for i in range(min(split, len(rows)))]
        if len(files) > 1:
            for part, previous in zip(files, [files[-1][:200], *(part[:200] for part in files)], strict=False):
                part += [dict(row) for row in previous if rng.random() < overlap]
        delivered[extract] = [row for part in files for row in part]

        required = {column for column in reference.EXTRACTS[extract] if not column.endswith("?")}
        known = [column.rstrip("?") for column in reference.EXTRACTS[extract]]
        extra = sorted({column for row in rows for column in row} - set(known))
        types = {c: parquet_type(extract, c, rows) if typed else "VARCHAR" for c in known + extra}
        for number, part in enumerate(files):
            columns = list(types)
            if ragged:
                columns = [c for c in columns if c in required or any(r.get(c) not in (None, "") for r in part)]
                rng.shuffle(columns)
            path = Path(folder, extract, SUB_FOLDERS[number % len(SUB_FOLDERS)], f"{name}-{number}.{fmt}")
            if fmt.startswith("csv"):
                write_text(path, as_csv(part, columns))
            elif fmt.startswith("json"):
                write_text(path, as_json_lines(part, columns, required, rng))
            else:
                write_parquet(path, part, {column: types[column] for column in columns})
    return delivered


def nested_job(job, steps):
    """The job and its steps, ordered by line_index, as one streamed job."""
    lines = []
    for step in steps:
        line = {
            "recipe_line_number": step["recipe_line_number"],
            "adapter_name": step.get("adapter_name"),
            "adapter_operation": step.get("adapter_operation"),
            "input": {},
            "output": {},
            "error": step.get("error"),
            "line_stat": {"total": step.get("duration_seconds")},
        }
        if step.get("message_count") is not None:
            line["input"]["messages"] = [{"n": n} for n in range(step["message_count"])]
        if step.get("called_recipe_id") is not None:
            line["input"]["flow_id"] = step["called_recipe_id"]
        if step.get("page_count") is not None:
            line["output"]["page_count"] = step["page_count"]
        lines.append(line)
    return {**job, "lines": lines}


def can_be_nested(jobs, steps):
    """Whether the nested form can say all that these rows of one delivery say."""
    return (
        len({json.dumps(job, sort_keys=True) for job in jobs}) == 1
        and is_readable("jobs", jobs[0])
        and all(is_readable("steps", step) for step in steps)
        and all(step.get("status") is None and step.get("keyword") is None for step in steps)
        and all(isinstance(step.get("message_count"), int | None) for step in steps)
    )


# How a log of an API request may name the columns of api_requests.
LOG_NAMES = {
    "id": ["id", "request_id"],
    "account_id": ["account_id", "workspace_id", "workspace.id"],
    "requested_at": ["requested_at", "timestamp", "date", "time", "date_time", "created_at"],
    "api_collection_id": ["api_collection_id", "collection_id", "api_collection.id"],
    "recipe_id": ["recipe_id", "flow_id"],
    "http_status": ["http_status", "status_code", "code"],
}
COLLECTION_WORDS = {"managed": ["Recipe", "Recipe collection"], "proxy": ["Proxy", "proxy_collection"]}


def streamed_log(row, rng):
    """A readable row of api_requests as an event of the stream, in one of its spellings."""
    event = {"endpoint": "/orders", "client": "A client"}

    def put(path, value):
        name, _, member = path.partition(".")
        event[name] = {member: value, "name": "A name"} if member else value

    for column, value in row.items():
        if value is None and rng.random() < 0.7:
            continue
        if column == "extracted_at" and value == row["requested_at"] and rng.random() < 0.7:
            continue
        if column == "request_type" and value in COLLECTION_WORDS and rng.random() < 0.3:
            put("collection_type", rng.choice(COLLECTION_WORDS[value]))
        elif column == "job_id" and value and re.fullmatch(r"[\w-]+", value) and rng.random() < 0.5:
            link = rng.choice(["https://app.example/recipes/7/job/{}", "https://app.example/jobs/{}?from=logs", "{}"])
            put(rng.choice(["job_link", "job_url", "job_details"]), link.format(value))
        else:
            put(rng.choice(LOG_NAMES.get(column, [column])), value)
    without = {name: value for name, value in event.items() if name != "endpoint"}
    return without if rng.random() < 0.5 and reference.is_request(without) else event


def streamed_activity(account, time, rng):
    """An event that is no usage."""
    event = {"id": rng.randint(1, 9), "timestamp": time, "workspace": {"id": account}, "user": {"id": 5, "name": "A"}}
    event |= {"event_type": "recipe_started", "recipe_id": 7} if rng.random() < 0.5 else {"resource": {"id": 7}}
    return event | ({"details": {"request": {"ip_address": "10.0.0.1"}}} if rng.random() < 0.5 else {})


def account_of_event(event):
    """The account of a streamed event, as its path has it."""
    return event.get("account_id") or event.get("workspace_id") or event.get("workspace", {}).get("id")


def nest(world, seed=0):
    """(nested jobs and other events of the stream, the world with what cannot be nested as flat rows).

    Here and there a null is left out, a line lacks its input, and where extracted_at is the completion it is absent.
    Half of the readable requests are streamed logs, and some events are no usage.
    """
    rng = random.Random(f"nest-{seed}")

    def instant(row):
        try:
            return reference.read_time(row["extracted_at"])
        except reference.Unreadable:
            return None

    steps_of, jobs_of = defaultdict(list), defaultdict(list)
    for row in world["steps"]:
        steps_of[row["account_id"], row["job_id"], instant(row)].append(row)
    for row in world["jobs"]:
        jobs_of[row["account_id"], row["id"], instant(row)].append(row)

    nested, flat_jobs = [], []
    for key, jobs in jobs_of.items():
        steps = steps_of.get(key, [])
        lines = []
        nestable = can_be_nested(jobs, steps)
        if nestable:
            typed = {reference.row_as_text(reference.read_row("steps", s, ZoneInfo("UTC"))): s for s in steps}
            lines = sorted(typed.values(), key=lambda step: int(step["line_index"]))
            nestable = [int(step["line_index"]) for step in lines] == list(range(len(lines)))
        if not nestable or rng.random() < 0.05:
            flat_jobs += jobs
            continue
        steps_of.pop(key, None)
        for job in jobs:
            entry = nested_job({k: v for k, v in job.items() if v is not None or rng.random() < 0.5}, lines)
            if job["extracted_at"] == job["completed_at"] and rng.random() < 0.7:
                del entry["extracted_at"]
            for line in entry["lines"]:
                if not line["input"] and rng.random() < 0.3:
                    del line["input"]
            if not lines:
                entry["lines"] = rng.choice([None, [], "Job data exceeds the size limit."])
                if entry["lines"] is None and rng.random() < 0.5:
                    del entry["lines"]
            nested.append(entry)
    rest = {**world, "jobs": flat_jobs, "steps": [step for steps in steps_of.values() for step in steps]}
    if requests := world.get("api_requests"):
        drawn = [(row, is_readable("api_requests", row) and rng.random() < 0.5) for row in requests]
        nested += [streamed_log(row, rng) for row, is_streamed in drawn if is_streamed]
        rest["api_requests"] = [row for row, is_streamed in drawn if not is_streamed]
        times = [(row["account_id"], row["requested_at"]) for row, is_streamed in drawn if is_streamed]
        nested += [streamed_activity(*of, rng) for of in times if rng.random() < 0.3]
    return nested, rest


def write_nested_jobs(nested, folder, seed=0, ending="json"):
    """Write <folder>/job_history/<account id>/<date>/**: plain, pretty-printed, wrapped alone or as a list."""
    rng = random.Random(f"history-{seed}")
    for number, job in enumerate(nested):
        content = rng.choice([job, job, {"logEntries": job}, {"logEntries": [job]}])
        text = json.dumps(content, indent=rng.choice([None, 2]), ensure_ascii=False)
        said = job.get("completed_at") or job.get("started_at")
        day = reference.read_time(said).date() if said else "other"
        path = Path(folder, "job_history", account_of_event(job), str(day), f"{number}.{ending}")
        write_text(path, text + "\n")


def write_job_history(world, folder, seed=0, ending="json", name="part"):
    """Write what can be nested as streamed job files, the rest as JSON beside it; returns the world as delivered."""
    nested, rest = nest(world, seed)
    write_nested_jobs(nested, folder, seed, ending)
    return {**write_world(rest, folder, "json", seed=seed, name=name), "job_history": nested}


# ------------------------------------------------------------------------------------------- one file, spelled oddly

UNKNOWN_COLUMNS = ("filename", "file_name", "load_id", "Extra", "unread_column", "größe", "a column, of theirs")
NOTHING = ("", "\\N", "NULL", "nan", "None", "<NA>", "N/A")
BOOLEANS = {True: ("true", "TRUE", "t", "Yes", "1", "1.0"), False: ("false", "False", "f", "no", "0", "0.0")}
TIMES = ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f+00:00", "%Y-%m-%d %H:%M:%S.%f +0000")
ODD_TYPES = {  # by the type that a Parquet column has elsewhere
    "VARCHAR": ("VARCHAR", "BLOB"),
    "TIMESTAMPTZ": ("TIMESTAMPTZ", "TIMESTAMP", "VARCHAR"),
    "BIGINT": ("BIGINT", "DOUBLE", "DECIMAL(20,2)", "VARCHAR"),
    "INTEGER": ("INTEGER", "DOUBLE", "VARCHAR"),
    "BOOLEAN": ("BOOLEAN", "TINYINT", "VARCHAR"),
}


def write_oddly(extract, rows, path, rng):
    """Write readable rows so that they say the same in other words.

    What differs: letter case and blanks of column names, columns that nobody knows, what stands for no value, spellings
    of booleans, numbers and times, types of Parquet columns.
    """
    kinds = {column.rstrip("?"): kind for column, kind in reference.EXTRACTS[extract].items()}
    optional = {column.rstrip("?") for column in reference.EXTRACTS[extract] if column.endswith("?")}
    columns = [c for c in kinds if c not in optional or any(row.get(c) not in (None, "") for row in rows)]
    rng.shuffle(columns)
    is_csv, is_parquet = ".csv" in path.name, path.suffix == ".parquet"
    names = {c: rng.choice([c, c, c.upper(), c.title(), f" {c}" if is_csv else c]) for c in columns}
    unknown = rng.sample(UNKNOWN_COLUMNS, rng.choice([0, 1, 3]))
    types = dict.fromkeys(unknown, "VARCHAR")
    for c in columns:
        types[names[c]] = rng.choice(ODD_TYPES.get(usual := parquet_type(extract, c, rows), (usual,)))
    written = [
        {names[c]: _oddly(row.get(c), kinds[c], types[names[c]] if is_parquet else None, rng) for c in columns}
        | {c: rng.choice(["theirs", "17", None]) for c in unknown}
        for row in rows
    ]
    if is_parquet:
        write_parquet(path, written, types)
    elif is_csv:
        text = as_csv(written, types).replace("\n", rng.choice(["\n", "\r\n"]))
        write_text(path, rng.choice(["", "\ufeff"]) + text)
    else:
        write_text(path, as_json_lines(written, types, {names[c] for c in columns if c not in optional}, rng))


def _oddly(value, kind, type_, rng):
    """A value in other words, as a Parquet column of the type takes them; None: of any other file."""
    is_text = type_ in (None, "VARCHAR", "BLOB")
    if value in (None, ""):
        has_marks = is_text and kind not in ("id", "text", "name")  # where empty texts are texts of their own
        return rng.choice([None, *NOTHING]) if has_marks else None if type_ else value
    kind = "count" if kind == "soft_count" else kind
    if kind not in ("bool", "time", "int", "count"):
        return value
    try:
        value_read = reference.read_value(value, kind, ZoneInfo("UTC"))
    except reference.Unreadable:  # a soft count
        return value
    if kind == "bool":
        return rng.choice(BOOLEANS[value_read]) if is_text else str(int(value_read))
    if kind == "time":
        return value_read.strftime(rng.choice(TIMES) if is_text else TIMES[0])
    return f"{value_read}.0" if rng.random() < 0.3 else str(value_read)
