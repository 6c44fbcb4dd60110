"""Accounts that were erased (make forget): their rows in files of the store, and the names of these files.

    erased/key              a random key of this warehouse
    erased/accounts.json    {"format", "accounts": {HMAC: {"erased_at"}}, "recipes": [HMAC of their recipes]}
    erased/pending.json     the erasure that is not complete (forgetting.py)

An erased row keeps its place and extracted_at, and a job that counted its completion, so that no other customer's
figure changes: the as-of date, listings and covered months stay. Everything else is null, and its column extra is MARK.
In streamed files the event and each line of a job are such objects; that of an API log keeps its kind and time. A
delivered file of erased rows alone has a name made of an HMAC instead of its own.

Decisions::

    docs/decisions/erasure.md
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import duckdb
from conversion import Problem, as_pattern, literal, quoted, read_files, write_rows
from streamed_events import (
    ACCOUNTS,
    API_REQUEST,
    JOB,
    REQUEST_TIMES,
    SUBJECT,
    accounts_of,
    as_text,
    first_text,
    kind_of,
)
from swapping import replace_text

FORMAT = 1
FOLDER = "erased"
MARK = '{"ERASED":true}'  # as in macros/intake/quarantine.sql; names of delivered columns are in lower case
OWNERS = {"customers": "id", "recipes": "user_id", "connections": "user_id"}  # account_id for all others


@dataclass
class Erasures:
    """The keyed hashes of a warehouse. Asked for an account, it says whether it was erased.

    ``counted``: (id, completion) of the jobs that counted of the account that is being erased. Their days are days with
    jobs, so they keep the completion; jobs that arrive later do not.
    """

    folder: Path
    key: bytes
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    recipes: set[str] = field(default_factory=set)
    counted: set[tuple[str, datetime]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.digest = lru_cache(100_000)(self._digest)

    @cached_property
    def counted_ids(self) -> set[str]:
        return {job for job, _ in self.counted}

    def _digest(self, kind: str, text: str) -> str:
        return hmac.new(self.key, f"{kind}\0{text}".encode(errors="surrogatepass"), "sha256").hexdigest()

    def is_erased(self, account: str | None) -> bool:
        return account is not None and self.digest("account", account) in self.accounts

    def is_erased_recipe(self, recipe: str | None) -> bool:
        return recipe is not None and self.digest("recipe", recipe) in self.recipes

    def pseudonym(self, account: str) -> str:
        """The name of an erased customer in closes."""
        return f"erased-{self.digest('pseudonym', account)[:16]}"

    def alias(self, path: str) -> str:
        """The name of a delivered file of erased rows alone."""
        return f"{path.split('/')[0]}/erased/{self.digest('path', path)[:32]}{''.join(_endings(path))}"

    def names(self, path: str) -> list[str]:
        """The names under which a delivered file may be stored other than its own."""
        partial = self.without_accounts(path)
        return [self.alias(path), *([partial] if partial != path else [])]

    def without_accounts(self, path: str) -> str:
        """The path with an HMAC in place of each part that names an erased account."""
        extract, *parts = path.split("/")
        return "/".join([extract, *(self._hidden(part) if self._names_erased(part) else part for part in parts)])

    def mentions(self, path: str) -> bool:
        return any(map(self._names_erased, path.split("/")[1:]))

    def _hidden(self, part: str) -> str:
        return f"erased-{self.digest('path', part)[:16]}{''.join(_endings(part))}"

    def _names_erased(self, part: str) -> bool:
        return any(map(self.is_erased, words_of(part)))

    def save(self) -> None:
        self.folder.mkdir(exist_ok=True)
        told = {"format": FORMAT, "accounts": self.accounts, "recipes": sorted(self.recipes)}
        replace_text(self.folder / "accounts.json", json.dumps(told, indent=1))


def _endings(path: str) -> list[str]:
    name = path.rsplit("/", 1)[-1]
    return re.findall(r"\.(?:parquet|csv|json|gz)(?=$|\.)", name)[-2:]


def words_of(part: str) -> set[str]:
    """The texts of a file name or log line that may be an id."""
    stem = part[: len(part) - len("".join(_endings(part)))] if _endings(part) else part
    return {part, stem, stem.partition("=")[2], *re.findall(r"[^\W_]+", stem), *re.findall(r"[\w-]+", stem)} - {""}


def open_erasures(warehouse: Path) -> Erasures | None:
    """The erased accounts of a warehouse; None if there are none. Raises Problem."""
    folder = warehouse / FOLDER
    try:
        told = json.loads((folder / "accounts.json").read_bytes())
        if told["format"] > FORMAT:
            raise Problem(f"{folder / 'accounts.json'} was written by a newer release: run that release.")
        accounts, recipes = dict(told["accounts"]), set(told["recipes"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Problem(
            f"The list of erased accounts {folder / 'accounts.json'} cannot be read: {error!r}. Restore it from a "
            "backup. Without it, erased customers would be loaded again."
        ) from error
    try:
        key = (folder / "key").read_bytes()
    except OSError as error:
        raise Problem(
            f"The key of the list of erased accounts {folder / 'key'} cannot be read: {error.strerror}. Restore it "
            "from a backup. Without it, erased customers would be loaded again."
        ) from error
    return Erasures(folder, key, accounts, recipes)


def new_erasures(warehouse: Path) -> Erasures:
    """The erased accounts of a warehouse, with a new key if there is none. Raises Problem or OSError."""
    if found := open_erasures(warehouse):
        return found
    folder = warehouse / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / "key"
    if not path.exists() or not path.read_bytes():
        path.touch(mode=0o600)
        replace_text(path, secrets.token_hex(32))
        path.chmod(0o600)
    return Erasures(folder, path.read_bytes())


def pending_erasure(warehouse: Path) -> dict[str, Any] | None:
    """The erasure that is not complete: {"stage", "begun_at", …}. Raises Problem."""
    path = warehouse / FOLDER / "pending.json"
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Problem(f"The unfinished erasure {path} cannot be read: {error!r}. Restore it from a backup.") from error


def unfinished(warehouse: Path) -> str:
    """A sentence if the store and closes have a customer in part; then no run may begin. Empty if not."""
    try:
        pending = pending_erasure(warehouse)
    except Problem as problem:
        return str(problem)
    if pending is None or pending.get("stage") != "removing":
        return ""
    return (
        f"The erasure of a customer that began at {pending.get('begun_at')} was interrupted. Complete it with the same "
        "make forget CUSTOMER=… as before; until then no run begins. Nothing was changed."
    )


# -------------------------------------------------------------------------------------------------------- rows of files


def erase_rows(
    connection: duckdb.DuckDBPyConnection, source: Path, extract: str, erasures: Erasures, target: Path
) -> dict[str, tuple[int, int, int]] | None:
    """Write the rows of a stored or converted file without the content of erased accounts to ``target``.

    Returns {delivered file: (rows, erased rows, rows that are not erased alone)}, or None if the file has no row to
    erase; then nothing is written. Rows keep their order and number.
    """
    with connection.cursor() as cursor:
        select = _selection(cursor, source, extract, erasures)
        if select is None:
            return None
        write_rows(cursor, select, target, extract)
        return _count_rows(cursor, target, extract)


def _selection(connection: duckdb.DuckDBPyConnection, source: Path, extract: str, erasures: Erasures) -> str | None:
    files = read_files([source])
    columns = [row[0] for row in connection.execute(f"describe from {files}").fetchall()]
    if extract == "job_history":
        if not _has_streamed(connection, files, erasures):
            return None
        return _rewrite_streamed(connection, source, erasures)
    kind, owner = ("recipe", "recipe_id") if extract == "recommended_recipes" else ("account", owner_of(extract))
    value = _value(owner, columns)
    is_erased = erasures.is_erased_recipe if kind == "recipe" else erasures.is_erased
    erased = _chosen(connection, files, value, is_erased)
    nulled = {}
    if extract == "recipes":
        parent = _value("parent_id", columns)
        cloned = _chosen(connection, files, parent, erasures.is_erased_recipe) if "parent_id" in columns else []
        if cloned:
            nulled = {"parent_id": f"{parent} in ({', '.join(map(literal, cloned))})"}
    if not erased and not nulled:
        return None
    is_of_erased = f"coalesce({value} in ({', '.join(map(literal, erased))}), false)" if erased else "false"
    kept = {"load_id", "file_name", "extracted_at"}
    selected = []
    for column in columns:
        name = quoted(column)
        if column == "extra":
            selected.append(f"case when {is_of_erased} then {literal(MARK)} else extra end as extra")
        elif column in kept:
            selected.append(name)
        else:
            condition = f"{is_of_erased} or coalesce({nulled[column]}, false)" if column in nulled else is_of_erased
            if column == "completed_at" and erasures.counted:
                condition += f" and not ({_counted(connection, erasures)})"
            selected.append(f"case when not ({condition}) then {name} end as {name}")
    return f"select {', '.join(selected)} from {files}"


def _counted(connection: duckdb.DuckDBPyConnection, erasures: Erasures) -> str:
    """SQL: whether a row of jobs is one that counted, by a temporary table."""
    columns = [list(column) for column in zip(*sorted(erasures.counted), strict=True)]
    connection.execute(
        "create or replace temp table counted_jobs as "
        "select unnest(?::varchar[]) as id, unnest(?::timestamp[]) as completed_at",
        columns,
    )
    return "coalesce((id, completed_at) in (select (id, completed_at) from counted_jobs), false)"


def owner_of(extract: str) -> str:
    """The column with the account of a row."""
    return OWNERS.get(extract, "account_id")


def _value(column: str, columns: list[str]) -> str:
    """SQL of a column's text; a file that was stored before the contract had the column has it in extra."""
    if column in columns:
        return quoted(column)
    return f"json_extract_string(extra, '$.\"{column}\"')"


def _chosen(
    connection: duckdb.DuckDBPyConnection, files: str, value: str, is_chosen: Callable[[str], bool]
) -> list[str]:
    values = connection.execute(f"select distinct {value} as v from {files} where v is not null").fetchall()
    return sorted(text for (text,) in values if is_chosen(text))


def _count_rows(connection: duckdb.DuckDBPyConnection, file: Path, extract: str) -> dict[str, tuple[int, int, int]]:
    begins = MARK[:-1]
    if extract == "job_history":
        erased = f"contains(record, {literal(begins)})"
        alone = f"(starts_with(record, {literal(begins)}) or starts_with(record, {literal('[' + begins)}))"
    else:
        erased = alone = f"extra = {literal(MARK)}"
    return {
        name: (rows, of_erased, others)
        for name, rows, of_erased, others in connection.execute(
            f"select file_name, count(*), count(*) filter (coalesce({erased}, false)), "
            f"count(*) filter (not coalesce({alone}, false)) "
            f"from read_parquet({literal(as_pattern(file))}, hive_partitioning = false) group by file_name"
        ).fetchall()
    }


def rename_files(source: str, names: dict[str, str]) -> str:
    """A query of the rows of a query with other names of delivered files: {name: new name}."""
    whens = " ".join(f"when {literal(old)} then {literal(new)}" for old, new in names.items())
    return f"select * replace (case file_name {whens} else file_name end as file_name) from ({source})"


# ------------------------------------------------------------------------------------------------------ streamed events


def _has_streamed(connection: duckdb.DuckDBPyConnection, files: str, erasures: Erasures) -> bool:
    """Whether a file of streamed events may have an erased account; a text within the JSON is looked at, too."""
    paths = [f"{place}.{path}" for place in ("", ".logEntries") for path in (*ACCOUNTS, SUBJECT)]
    single = f"json_extract_string(record, [{', '.join(literal(f'${path}') for path in paths)}])"
    listed = [
        f"json_extract_string(record, '${place}[*].{path}')"
        for place in ("", ".logEntries")
        for path in (*ACCOUNTS, SUBJECT)
    ]
    found = connection.execute(
        "select distinct unnest(list_concat("
        f"  case when json_valid(record) then flatten([{single}, {', '.join(listed)}]) else [] end,"
        "  [split_part(file_name, '/', 2)])) as account "
        f"from {files}"
    ).fetchall()
    if any(erasures.is_erased(account) for (account,) in found):
        return True
    return bool(
        connection.execute(
            f"select 1 from {files} where json_valid(record) and json_type(record, '$.logEntries') = 'VARCHAR' limit 1"
        ).fetchone()
    )


def _rewrite_streamed(connection: duckdb.DuckDBPyConnection, source: Path, erasures: Erasures) -> str | None:
    """A query of the rows of a file of streamed events, with the changed ones of a temporary table; or None."""
    numbered = f"read_parquet([{literal(as_pattern(source))}], hive_partitioning = false, file_row_number = true)"
    connection.execute("create or replace temp table erased_records (number bigint, record varchar)")
    found = False
    with connection.cursor() as reading:
        rows = reading.execute(f"select file_row_number, record, file_name from {numbered}")
        while batch := rows.fetchmany(10_000):
            changed = [
                (number, rewritten)
                for number, record, file_name in batch
                if (rewritten := erase_record(record, file_name, erasures)) != record
            ]
            if changed:
                found = True
                connection.execute(
                    "insert into erased_records select unnest(?::bigint[]), unnest(?::varchar[])",
                    [list(column) for column in zip(*changed, strict=True)],
                )
    if not found:
        return None
    return (
        "select stored.* exclude (file_row_number) replace (coalesce(erased.record, stored.record) as record, "
        "case when erased.record is null then extra end as extra) "
        f"from {numbered} as stored left join erased_records as erased on stored.file_row_number = erased.number "
        "order by stored.file_row_number"
    )


def erase_record(record: str | None, file_name: str | None, erasures: Erasures) -> str | None:
    """The JSON text of streamed events without the content of erased accounts. Others keep their text."""
    parts = (file_name or "").split("/")
    of_path = parts[1] if len(parts) > 2 and parts[0] == "job_history" else None
    try:
        entries, is_list = _entries(record)
    except (ValueError, RecursionError, TypeError):
        return MARK if record is not None and erasures.is_erased(of_path) else record
    counted = erasures.counted_ids
    kept, erased = [], []
    for text, event in entries:
        is_erased = any(map(erasures.is_erased, accounts_of(event, of_path)))
        (erased.append(_skeleton(event, counted)) if is_erased else kept.append(text))
    if not erased:
        return record
    return f"[{','.join(erased + kept if not kept else kept + erased)}]" if is_list else erased[0]


def events_of_record(record: str | None) -> list[Any]:
    """The events in the JSON text of a streamed record; none if it cannot be read."""
    try:
        return [event for _, event in _entries(record)[0]]
    except (ValueError, RecursionError, TypeError):
        return []


def _entries(record: str | None) -> tuple[list[tuple[str, Any]], bool]:
    """(JSON text, value) of each event of a record, and whether they are in a list."""
    if record is None:
        raise ValueError("no record")
    value = json.loads(record)
    text = record
    if isinstance(value, dict) and value.get("logEntries") is not None:
        payload = value["logEntries"]
        text = payload if isinstance(payload, str) else _member(record, "logEntries")
        value = json.loads(text)
    if isinstance(value, list):
        return list(_elements(text)), True
    return [(text, value)], False


def _elements(text: str) -> Iterator[tuple[str, Any]]:
    """(JSON text, value) of each element of a JSON array."""
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    while True:
        at = _skip(text, at)
        if text[at] == "]":
            return
        value, end = decoder.raw_decode(text, at)
        yield text[at:end], value
        at = _skip(text, end)
        if text[at] == ",":
            at += 1


def _member(text: str, name: str) -> str:
    """The JSON text of a member of a JSON object."""
    decoder, at, found = json.JSONDecoder(), text.index("{") + 1, ""
    while True:
        at = _skip(text, at)
        if text[at] == "}":
            return found
        key, at = decoder.raw_decode(text, at)
        at = _skip(text, text.index(":", at) + 1)
        _, end = decoder.raw_decode(text, at)
        if key == name:
            found = text[at:end]
        at = _skip(text, end)
        if text[at] == ",":
            at += 1


def _skip(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _skeleton(event: Any, counted: set[str]) -> str:
    """What is left of an erased event: of a job its times, and the number of its lines; of an API log kind and time."""
    told: dict[str, Any] = {"ERASED": True}
    times: dict[str, str | None] = {}
    kind = kind_of(event)
    if kind == API_REQUEST:
        told["kind"] = API_REQUEST
        times["extracted_at"] = first_text(event, ("extracted_at", *REQUEST_TIMES))
    elif kind == JOB and isinstance(event, dict):
        times = {name: as_text(event.get(name)) for name in ("extracted_at", "completed_at")}
        times["extracted_at"] = times["extracted_at"] or times["completed_at"]
        if as_text(event.get("id")) not in counted:
            del times["completed_at"]
    told |= {name: time for name, time in times.items() if time and len(time) < 64}
    lines = event.get("lines") if isinstance(event, dict) else None
    if isinstance(lines, list):
        told["lines"] = [{"ERASED": True}] * len(lines)
    return json.dumps(told, separators=(",", ":"))


# --------------------------------------------------------------------------------------------------- files of the store


def names_of_files(
    counts: dict[str, tuple[int, int, int]], delivered: dict[str, int], erasures: Erasures
) -> dict[str, str]:
    """{name: new name} of delivered files with erased rows, whose names may say whose they are.

    ``counts``: of erase_rows(); ``delivered``: {name: rows} of all files, also of those without erased rows.
    """
    renamed = {}
    for name, rows in delivered.items():
        _, erased, others = counts.get(name, (rows, 0, rows))
        if not others and (erased or erasures.mentions(name)):
            renamed[name] = erasures.alias(name)
        elif erased and erasures.mentions(name):
            renamed[name] = erasures.without_accounts(name)
    return renamed
