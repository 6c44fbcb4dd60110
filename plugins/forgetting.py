"""Removes a customer from a warehouse (make forget): stored deliveries, closes, databases, pages, logs.

    1. traces     what identifies the customer, counted and kept in erased/pending.json until the erasure is complete
    2. removing   the stored deliveries, piece by piece (store.py), and the closes in one step (closes.py). No run
                  begins while these are half done: ``unfinished`` of erasing.py
    3. publishing the build database is removed, and a run computes everything from the stored deliveries and publishes
    4. cleaning   older copies, pages and statements, logs, and other files of the folder
    5. the certificate, outside of the warehouse's folder

A second call continues at the stage in which the first one was interrupted. Each step may be repeated.

Decisions::

    docs/decisions/erasure.md
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from closes import erase_from_closes, open_closes
from compacting import TEXT as COMPACTED
from conversion import Problem, as_pattern, literal, quoted
from erasing import FOLDER, events_of_record, new_erasures, open_erasures, owner_of, pending_erasure
from locking import Held, take_lock
from progress import Progress
from publishing import finish_publishing, hold_warehouse, published_run, write_dashboard, writer_of
from recomputing import PROJECT, committed_inputs, given_as_of_date, recompute_and_publish
from replaying import SCRATCH
from store import Store, erase_accounts, open_store, require_checksums, require_known_loads
from streamed_events import API_REQUEST, IDS, JOB, OTHER, accounts_of, kind_of
from swapping import replace_text, sync_path

FORMAT = 1  # of certificates
HIDDEN = "[erased]"
KEPT, REMOVED = "kept under the pseudonym", "removed"

# Texts of an extract's rows that are the customer's alone, if no other customer has them.
TEXTS = {
    "customers": ["id", "external_id", "name"],
    "recipes": ["id", "name", "project_id", "project_name"],
    "connections": ["id", "name", "provider"],
    "jobs": ["id", "error"],
    "steps": ["error", "adapter_name"],
    "api_requests": ["id"],
    "api_collections": ["id", "name"],
    "event_stream_requests": ["id"],
    "genie_prompts": ["id", "genie_id", "conversation_id"],
    "seats": ["id", "app_id"],
    "subscriptions": [],
    "credit_ratios": [],
    "vendor_usage": [],
}
TEXTS_OF_EVENTS = {JOB: ("id", "error"), API_REQUEST: IDS}
OWNING_COLUMNS = ("customer_id", "account_id", "user_id")  # of tables of a warehouse
SHORT_NUMBER = re.compile(r"\d{1,3}|(?:19|20)\d\d")  # an id that in a log is more often a count or a part of a time

# What an erasure handles otherwise, or what names nobody.
OF_THE_PROJECT = ("deliveries", "closes", "build", "usage.duckdb", "parquet", "parquet_runs", "dashboard_runs", FOLDER)
RULES = PROJECT / "seeds" / "rules"


@dataclass
class Order:
    """What the user asked for. ``certificate``: None for the default."""

    customer: str
    keeps_closes: bool = True
    certificate: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)  # vars of the scheduled run that differ from the last one's


class Forgetting:
    """One erasure. ``run`` returns the lines to print."""

    def __init__(self, warehouse: Path, order: Order, progress: Progress) -> None:
        self.warehouse, self.order, self.progress = warehouse, order, progress
        self.published = warehouse / "usage.duckdb"
        self.pending_file = warehouse / FOLDER / "pending.json"

    def run(self) -> list[str]:
        """Erase the customer. Raises Problem, DbtRuntimeError or OSError; a second call then continues."""
        scheduled = self.warehouse / "scheduled_runs"
        if not scheduled.is_dir():
            return self._run()
        try:
            with take_lock(scheduled / "lock", "make forget"):
                return self._run()
        except Held as holder:
            raise Problem(
                f"A scheduled run uses {self.warehouse}: {holder}. Nothing was changed; try again when it has ended."
            ) from None

    def _run(self) -> list[str]:
        build = self.warehouse / "build"
        build.mkdir(exist_ok=True)
        hold_warehouse(build, "make forget")
        said = finish_publishing(self.published)
        pending = pending_erasure(self.warehouse)
        if pending and pending["customer"] != self.order.customer:
            raise Problem(
                f"The erasure of another customer that began at {pending['begun_at']} is not complete: call make "
                "forget for that customer first. Nothing was changed."
            )
        pending = pending or self._begin()
        if pending["stage"] == "removing":
            self._remove(pending)
        if pending["stage"] == "publishing":
            self._publish(pending)
        traces = Traces(pending["customer"], pending["texts"])
        files = self._clean(traces, pending["has_dashboard"])
        for kind, names in files.items():
            pending["files"][kind] = pending["files"].get(kind, 0) + len(names)
        self._require_gone()
        certificate = self._write_certificate(pending)
        self.pending_file.unlink()
        sync_path(self.pending_file.parent)
        return [*said, *self._describe(pending, certificate, files)]

    # ------------------------------------------------------------------------------------------------------- 1: traces

    def _begin(self) -> dict[str, Any]:
        """Look for the customer, and note what identifies it. Nothing is removed before."""
        customer = self.order.customer
        target = self._certificate_path()
        store = open_store(self.warehouse / "deliveries")
        if not store.loads:
            raise NotThere(
                f"{self.warehouse} has no stored deliveries: there is nothing to forget. (Customers of the sample, "
                "and of tables of a schema, are removed at their source.)"
            )
        require_known_loads(store)
        self.progress.line("Checking the stored deliveries")
        require_checksums(store, self.progress)
        inputs = committed_inputs(self.published)
        options = inputs.get("options", {}) | self.order.options
        if customer in options.get("admin_account_ids", []):
            raise NotThere(
                f"{customer} is an account of your own (admin_account_ids), not a customer: nothing was done."
            )
        tables = self._count_in_published()
        rows, texts, has_ratios = find_traces(store, customer)
        closes = open_closes(self.warehouse)
        in_closes = any(_has_customer(path, customer) for path in closes.root.glob("*/*.parquet"))
        erasures = open_erasures(self.warehouse)
        if not (any(rows.values()) or tables or in_closes):
            if erasures and erasures.is_erased(customer):
                when = erasures.accounts[erasures.digest("account", customer)]["erased_at"]
                raise Done(f"This customer was erased at {when}: nothing of it is stored.")
            raise NotThere(
                f"No customer {customer} in {self.warehouse}: nothing was removed. CUSTOMER is the account id, as in "
                "marts.customer_details."
            )
        if writer := writer_of(self.published):
            raise Problem(f"Process {writer} has {self.published} open for writing: close it there, and try again.")
        pending = {
            "format": FORMAT,
            "stage": "removing",
            "begun_at": _now(),
            "customer": customer,
            "keeps_closes": self.order.keeps_closes,
            "texts": texts,
            "has_ratios": has_ratios,
            "rows": rows,
            "tables": tables,
            "closes": {},
            "files": {},
            "options": options,
            "as_of_date": given_as_of_date(inputs),
            "published_run": published_run(self.published),
            "has_dashboard": (self.warehouse / "dashboard").exists(),
            "certificate": str(target),
        }
        pending["pseudonym"] = new_erasures(self.warehouse).pseudonym(customer)
        self._note(pending)
        return pending

    def _note(self, pending: dict[str, Any]) -> None:
        if not self.pending_file.exists():
            self.pending_file.touch(mode=0o600)
        replace_text(self.pending_file, json.dumps(pending))
        self.pending_file.chmod(0o600)

    def _count_in_published(self) -> dict[str, int]:
        """{table: rows of the customer} of the published file."""
        found = {}
        if self.published.exists():
            with duckdb.connect(str(self.published), read_only=True) as published:
                for table, columns in _tables_with_owner(published).items():
                    asked = " or ".join(f"{column}::varchar = $customer" for column in columns)
                    query = f"select count(*) from {table} where {asked}"
                    with suppress(duckdb.BinderException, duckdb.CatalogException):  # views over files
                        (rows,) = published.execute(query, {"customer": self.order.customer}).fetchone()
                        found |= {table.replace('"', ""): rows} if rows else {}
        return found

    def _counted_jobs(self) -> set[tuple[str, datetime]]:
        """(id, completion) of the customer's jobs on whose days there are jobs (model job_days)."""
        query = (
            "select job_id, completed_at from metering.metered_jobs where customer_id = ? and is_finished "
            "and completed_at is not null"
        )
        with suppress(duckdb.Error), duckdb.connect(str(self.published), read_only=True) as published:
            return set(published.execute(query, [self.order.customer]).fetchall())
        return set()

    def _certificate_path(self) -> Path:
        """Where the certificate will be. Raises Problem if it cannot be written there."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        beside = self.warehouse.with_name(f"{self.warehouse.name}-erasures")
        target = (self.order.certificate or beside / f"erasure-{now}.json").resolve()
        if target == self.warehouse or self.warehouse in target.parents:
            raise Problem(
                f"CERTIFICATE={target} is inside WAREHOUSE_DIR={self.warehouse}: name a file outside of it. Nothing "
                "was changed."
            )
        if target.exists():
            raise Problem(f"CERTIFICATE={target} exists: name a new file. Nothing was changed.")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=target.parent):
                pass
        except OSError as error:
            raise Problem(f"CERTIFICATE={target} cannot be written: {error.strerror}. Nothing was changed.") from error
        return target

    # ------------------------------------------------------------------------------------------------------ 2: removing

    def _remove(self, pending: dict[str, Any]) -> None:
        erasures = new_erasures(self.warehouse)
        customer = pending["customer"]
        if not erasures.is_erased(customer):  # an interrupted call may have put it on the list
            erasures.accounts[erasures.digest("account", customer)] = {"erased_at": pending["begun_at"]}
        erasures.recipes |= {erasures.digest("recipe", recipe) for recipe in pending["texts"]["recipes"]}
        erasures.save()
        erasures.counted = self._counted_jobs()
        self.progress.line("Removing the customer from the stored deliveries")
        traces = Traces(customer, pending["texts"])
        erase_accounts(self.warehouse / "deliveries", erasures, traces.are_in_bytes_of, self.progress)
        self.progress.line("Removing the customer from closed months")
        found = erase_from_closes(
            self.warehouse,
            customer,
            pending["pseudonym"],
            pending["begun_at"],
            is_kept=pending["keeps_closes"],
            has_ratios=pending["has_ratios"],
        )
        if any(found.values()):
            pending["closes"] = found
        for path in (self.warehouse / "build").iterdir():
            if path.name not in ("lock", "last_full_build.json"):
                _remove(path)
        pending["stage"] = "publishing"
        self._note(pending)

    # ---------------------------------------------------------------------------------------------------- 3: publishing

    def _publish(self, pending: dict[str, Any]) -> None:
        """Compute everything without the customer. Skipped if another run did that since the removal."""
        if not self.published.exists():
            pending["stage"] = "cleaning"
            return
        if published_run(self.published) == pending["published_run"]:
            self._build(pending)
        pending["stage"] = "cleaning"
        self._note(pending)

    def _build(self, pending: dict[str, Any]) -> None:
        self.progress.line("Computing everything without the customer")
        said = recompute_and_publish(self.warehouse, "make forget", pending["options"], pending["as_of_date"])
        if said:
            raise Problem(
                "\n".join(said)
                + f"\nThe customer is removed from the stored deliveries and closes. {self.published} still has it, "
                "because the run that computes everything without it failed. Repair the cause, and call make forget "
                "again."
            )

    # ------------------------------------------------------------------------------------------------------ 4: cleaning

    def _clean(self, traces: Traces, has_dashboard: bool) -> dict[str, list[str]]:
        """Remove the customer from all other files; returns {what was done: names of files}."""
        self.progress.line("Removing the customer from pages, logs and older copies")
        done: dict[str, list[str]] = {}
        self._remove_copies(done)
        for path in _files_below(self.warehouse):
            below = path.relative_to(self.warehouse)
            if below.parts[0] in OF_THE_PROJECT or below.name in ("lock", "dashboard.lock"):
                continue
            if what := _clean_file(path, below, traces):
                done.setdefault(what, []).append(below.as_posix())
        self._write_dashboard(has_dashboard, done)  # its page about the data shows failed runs
        return done

    def _remove_copies(self, done: dict[str, list[str]]) -> None:
        """Remove older publications, logs of databases, and what killed processes left."""
        parquet = self.warehouse / "parquet"
        current = parquet.resolve() if parquet.is_symlink() else None
        runs = self.warehouse / "parquet_runs"
        obsolete = [path for path in runs.iterdir() if path.resolve() != current] if runs.is_dir() else []
        for pattern in ("usage.duckdb.new", "usage.duckdb.*wal*", f"{SCRATCH}*", "verify-*", "recomputing-*"):
            obsolete += self.warehouse.glob(pattern)
        obsolete += (self.warehouse / "closes").glob(".incoming")
        for path in obsolete:
            _remove(path)
            done.setdefault("older copies removed", []).append(path.name)

    def _write_dashboard(self, has_one: bool, done: dict[str, list[str]]) -> None:
        """Write the dashboard again if there was one, and remove the pages before."""
        link, runs = self.warehouse / "dashboard", self.warehouse / "dashboard_runs"
        if not (has_one or runs.is_dir()):
            return
        pages = sum(path.is_file() for path in runs.rglob("*")) if runs.is_dir() else 0
        if link.is_symlink():
            link.unlink()
        _remove(runs)
        done.setdefault("pages of the dashboard replaced", []).extend(["page"] * pages)
        if has_one and (problem := write_dashboard(str(self.published))):
            done.setdefault(f"The dashboard was removed, and could not be written: {problem}", [])

    def _require_gone(self) -> None:
        """Raise Problem if a table or a stored delivery still has the customer."""
        rows, _, _ = find_traces(open_store(self.warehouse / "deliveries"), self.order.customer)
        left = [*self._count_in_published(), *(extract for extract, count in rows.items() if count)]
        if left:
            raise Problem(
                f"{', '.join(left[:3])} still have rows of the customer: another process may have written them. Call "
                "make forget again."
            )

    # --------------------------------------------------------------------------------------------------- 5: certificate

    def _write_certificate(self, pending: dict[str, Any]) -> Path:
        target = Path(pending["certificate"])
        closes = pending["closes"]
        told = {
            "format": FORMAT,
            "what": "A customer was removed from a usage warehouse. This certificate names no person and no customer.",
            "begun_at": pending["begun_at"],
            "completed_at": _now(),
            "pseudonym": pending["pseudonym"],
            "rows_removed_from_stored_deliveries": {name: rows for name, rows in pending["rows"].items() if rows},
            "rows_removed_from_published_tables": pending["tables"],
            "closed_figures": {
                "rows": closes.get("closes", 0),
                "restatements": closes.get("restatements", 0),
                "result": KEPT if pending["keeps_closes"] else REMOVED,
                "records": len(open_closes(self.warehouse).erasures),
            },
            "files": {what: count for what, count in sorted(pending["files"].items()) if count},
            "published_run": published_run(self.published),
        }
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_text(target, json.dumps(told, indent=2) + "\n")
        return target

    def _describe(self, pending: dict[str, Any], certificate: Path, files: dict[str, list[str]]) -> list[str]:
        rows = ", ".join(f"{count:,} of {name}" for name, count in pending["rows"].items() if count)
        lines = [f"Erased the customer from {self.warehouse}: {rows or 'no stored rows'}."]
        if closes := pending["closes"]:
            result = KEPT + f" {pending['pseudonym']}" if pending["keeps_closes"] else REMOVED
            lines.append(
                f"Closed months: {closes['closes']:,} figures {result}, {closes['restatements']:,} restatements."
            )
        for what, names in sorted(files.items()):
            shown = {name for name in names if name != "page"}
            lines.append(f"{what[:1].upper()}{what[1:]}{': ' + f'{len(names):,} files' if names else ''}")
            lines += [f"  {name}" for name in sorted(shown)[:20] if "could not" in what]
        lines.append(f"The certificate is {certificate}.")
        lines.append(
            "Not part of WAREHOUSE_DIR, and not changed: EXTRACTS_DIR and the platform, backups, published copies "
            "elsewhere. Rows that they bring again are dropped and counted (audit.extract_row_counts)."
        )
        return lines


class NotThere(Problem):
    """The question is wrong: there is no such customer."""


class Done(Problem):
    """The customer was erased before."""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _has_customer(file: Path, customer: str) -> bool:
    with duckdb.connect() as connection:
        query = f"select 1 from read_parquet({literal(as_pattern(file))}) where customer_id = ? limit 1"
        return connection.execute(query, [customer]).fetchone() is not None


def _tables_with_owner(database: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """{table: its columns with an account} of a database."""
    found: dict[str, list[str]] = {}
    for schema, table, column in database.execute(
        "select schema_name, table_name, column_name from duckdb_columns() "
        "where not internal and list_contains(?, column_name) order by all",
        [list(OWNING_COLUMNS)],
    ).fetchall():
        found.setdefault(f"{quoted(schema)}.{quoted(table)}", []).append(quoted(column))
    return found


# --------------------------------------------------------------------------------------------------------------- traces


def find_traces(store: Store, customer: str) -> tuple[dict[str, int], dict[str, list[str]], bool]:
    """What the stored deliveries have of a customer: {extract: rows}, its texts by kind, whether it has credit ratios.

    Texts: {"words": ids and names, "recipes": ids of its recipes}; only those that no other customer's row has.
    """
    rows: dict[str, int] = {}
    texts: dict[str, set[str]] = {"words": set(), "recipes": set()}
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        files: dict[str, list[Path]] = {}
        for path, (extract, _) in store.stored_files().items():
            files.setdefault(extract, []).append(store.root / path)
        for extract, paths in files.items():
            listed = ", ".join(literal(as_pattern(path)) for path in paths)
            relation = f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true)"
            if extract == "job_history":
                rows[extract] = _traces_of_streamed(connection, relation, customer, texts["words"])
                continue
            if extract not in TEXTS:
                continue
            columns = {row[0] for row in connection.execute(f"describe from {relation}").fetchall()}
            owner = quoted(owner_of(extract))
            if owner_of(extract) not in columns:
                owner = f"json_extract_string(extra, '$.\"{owner_of(extract)}\"')"
            theirs, others = f"{owner} = {literal(customer)}", f"{owner} is distinct from {literal(customer)}"
            (rows[extract],) = connection.execute(f"select count(*) from {relation} where {theirs}").fetchone()
            for column in TEXTS[extract] if rows[extract] else ():
                if column not in columns:
                    continue
                found = {
                    text
                    for (text,) in connection.execute(
                        f"select distinct {column} from {relation} where {theirs} and {column} is not null "
                        f"except select distinct {column} from {relation} where {others}"
                    ).fetchall()
                }
                texts["words"] |= found
                if extract == "recipes" and column == "id":
                    texts["recipes"] |= found
    texts["words"] = texts["words"] - words_of_rule_book() - {COMPACTED} | {customer}
    return rows, {kind: sorted(found) for kind, found in texts.items()}, bool(rows.get("credit_ratios"))


def words_of_rule_book() -> set[str]:
    """All texts of the rule book: they name no customer, even if only one has such an app."""
    with duckdb.connect() as connection:
        tables = [connection.read_csv(str(path), all_varchar=True) for path in RULES.glob("*.csv")]
        return {text for table in tables for row in table.fetchall() for text in row if text}


def _traces_of_streamed(connection: duckdb.DuckDBPyConnection, relation: str, customer: str, words: set[str]) -> int:
    """The number of streamed events of a customer; adds the ids of jobs and requests, and errors, to the words."""
    found = 0
    query = f"select record, file_name from {relation} where contains(record, ?) or file_name like ?"
    cursor = connection.execute(query, [customer, "job_history/%/%"])
    while batch := cursor.fetchmany(10_000):
        for record, file_name in batch:
            of_path = file_name.split("/")[1] if file_name.count("/") > 1 else None
            for event in events_of_record(record):
                if not isinstance(event, dict) or event.get("ERASED") or customer not in accounts_of(event, of_path):
                    continue
                found += 1
                kind = kind_of(event)
                if kind == OTHER:  # nothing of it is in a table
                    continue
                words |= {str(event[name]) for name in TEXTS_OF_EVENTS[kind] if event.get(name) is not None}
                lines = event.get("lines")
                for line in lines if isinstance(lines, list) else ():
                    if isinstance(line, dict) and line.get("error") is not None:
                        words.add(str(line["error"]))
    return found


@dataclass
class Traces:
    """What identifies a customer in a text: its id, and ids and names that are its alone."""

    customer: str
    texts: dict[str, list[str]]

    def __post_init__(self) -> None:
        words = {word for word in self.texts["words"] if word.strip()}
        self.every = words
        self.words = {word for word in words if re.fullmatch(r"[^\W_]+", word) and not SHORT_NUMBER.fullmatch(word)}
        self.quoted = {word for word in words if SHORT_NUMBER.fullmatch(word)}
        self.phrases: dict[str, list[str]] = {}  # by their longest word
        for phrase in words - self.words - self.quoted:
            parts = re.findall(r"[^\W_]+", phrase)
            self.phrases.setdefault(max(parts, key=len) if parts else "", []).append(phrase)
        short = "|".join(sorted(self.quoted))
        self._short = re.compile(rf"((?i:customer|account)\w*[\s:=\"']*|[\"'])(?:{short})(?![\w-])")

    def hide(self, text: str) -> str:
        """The text with [erased] in place of what identifies the customer."""
        if text in self.every:
            return HIDDEN
        there = set(re.findall(r"[^\W_]+", text))
        found = [phrase for word in ({*there, ""} & self.phrases.keys()) for phrase in self.phrases[word]]
        for phrase in sorted(found, key=len, reverse=True):
            if phrase in text:
                text = re.sub(rf"(?<![^\W_]){re.escape(phrase)}(?![^\W_])", HIDDEN, text)
        if there & self.words:
            text = re.sub(r"[^\W_]+", lambda word: HIDDEN if word[0] in self.words else word[0], text)
        return self._short.sub(lambda found: f"{found[1]}{HIDDEN}", text) if self.quoted else text

    def are_in(self, text: str) -> bool:
        return self.hide(text) != text

    def are_in_name(self, below: Path) -> bool:
        """Whether a file below the warehouse's folder, or its folder, is named after the customer."""
        if below.parts[0] == "scheduled_runs":
            return False
        for name in below.parts:
            first, *others = name.split(".")  # a short number may be of anything, such as the last one of a log
            if any(map(self.are_in, (first, *(word for word in others if not SHORT_NUMBER.fullmatch(word))))):
                return True
        return False

    def are_in_bytes_of(self, path: Path) -> bool:
        """Whether a file of any format names the customer; a compressed one is unpacked as far as possible."""
        content = path.read_bytes()
        if path.name.endswith(".gz"):
            with suppress(zlib.error):
                content += zlib.decompressobj(31).decompress(content)
        return self.are_in(content.decode("utf-8", "replace"))


# ---------------------------------------------------------------------------------------------------------- other files


def _clean_file(path: Path, below: Path, traces: Traces) -> str:
    """Remove the customer from a file, or the file; returns what was done, an empty text if nothing."""
    name = below.name
    if below.parts == ("scheduled_runs", "notified.json"):  # has digests of ids, which can be guessed
        path.unlink()
        return "lists of told thresholds removed"
    is_page = below.parts[0] == "statements" or path.suffix == ".html"
    if _is_statement_of(path, below, traces) or traces.are_in_name(below):
        path.unlink()
        return "statements removed" if is_page else "files named after the customer removed"
    with path.open("rb") as file:
        start = file.read(16)
    if start[8:12] == b"DUCK":
        return "databases rewritten" if _rewrite_database(path, traces) else ""
    if start[:4] == b"PAR1":
        return "Parquet files rewritten" if _rewrite_parquet(path, traces) else ""
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        if traces.are_in_bytes_of(path):
            path.unlink()
            return "other files removed"
        return ""
    hidden = _hide_in_json(text, traces) if name.endswith(".json") else traces.hide(text)
    if hidden == text:
        return ""
    if is_page:
        path.unlink()
        return "statements removed"
    mode = path.stat().st_mode
    replace_text(path, hidden)
    path.chmod(mode)
    return "logs and other texts rewritten"


def _is_statement_of(path: Path, below: Path, traces: Traces) -> bool:
    """Whether the dashboard named a statement after the customer."""
    digest = hashlib.sha256(traces.customer.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    stem = re.sub(r"-\d{4}-\d{2}$", "", path.stem)
    return below.parts[0] == "statements" and (stem == traces.customer or stem.endswith(f"~{digest}"))


def _hide_in_json(text: str, traces: Traces) -> str:
    """A JSON file, or one with a JSON value per line, with its texts hidden. Numbers stay."""

    def hide(value: Any) -> Any:
        if isinstance(value, str):
            return traces.hide(value)
        if isinstance(value, list):
            return [hide(item) for item in value]
        if isinstance(value, dict):
            return {traces.hide(name): hide(item) for name, item in value.items()}
        return value

    try:
        value = json.loads(text)
        hidden = hide(value)
        return text if hidden == value else json.dumps(hidden, indent=2, ensure_ascii=False) + "\n"
    except ValueError:
        pass
    lines = []
    for line in text.splitlines(keepends=True):
        try:
            value = json.loads(line)
            hidden = hide(value)
            lines.append(line if hidden == value else json.dumps(hidden, ensure_ascii=False) + "\n")
        except ValueError:
            lines.append(traces.hide(line))
    return "".join(lines)


def _rewrite_database(path: Path, traces: Traces) -> bool:
    """Copy a database without rows that have a text of the customer into a new file. Views are copied if possible."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    try:
        with duckdb.connect() as connection:
            connection.execute(f"attach {literal(path)} as old (read_only)")
            connection.execute(f"attach {literal(scratch)} as new (storage_version 'v1.2.0')")
            is_found = _copy_tables(connection, traces)
            if is_found:
                for schema, sql in connection.execute(
                    "select schema_name, sql from duckdb_views() where database_name = 'old' and not internal"
                ).fetchall():
                    with suppress(duckdb.Error):
                        connection.execute(f"use new.{quoted(schema)}; {sql}")
                connection.execute("use memory")
    except duckdb.Error as error:
        raise Problem(
            f"The database {path} cannot be read: {error}. Remove it, or call make forget again later."
        ) from error
    if is_found:
        shutil.copymode(path, scratch)
        scratch.replace(path)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
    scratch.unlink(missing_ok=True)
    scratch.with_name(f"{scratch.name}.wal").unlink(missing_ok=True)
    return is_found


def _copy_tables(connection: duckdb.DuckDBPyConnection, traces: Traces) -> bool:
    """Copy the tables of the database old to new without rows of the customer; whether there were any."""
    is_found = False
    connection.execute("create temp table traces as select unnest(?::varchar[]) as text", [sorted(traces.every)])
    columns: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for schema, table, column, kind in connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where database_name = 'old' and not internal "
        "and (schema_name, table_name) in (select (schema_name, table_name) from duckdb_tables() "
        "where database_name = 'old') order by schema_name, table_name, column_index"
    ).fetchall():
        columns.setdefault((schema, table), []).append((column, kind))
    for (schema, table), of in columns.items():
        name = f"{quoted(schema)}.{quoted(table)}"
        theirs = _rows_of_customer(f"old.{name}", "rowid", of, traces)
        connection.execute(f"create schema if not exists new.{quoted(schema)}")
        connection.execute(f"create table new.{name} as from old.{name} where rowid not in ({theirs})")
        (before,) = connection.execute(f"select count(*) from old.{name}").fetchone()
        (after,) = connection.execute(f"select count(*) from new.{name}").fetchone()
        is_found = is_found or before != after
    return is_found


def _rows_of_customer(relation: str, row: str, columns: list[tuple[str, str]], traces: Traces) -> str:
    """SQL: the rows, by ``row``, that have a text of the customer, or its id within a longer text, such as a path."""
    texts = ", ".join(quoted(column) for column, kind in columns if kind == "VARCHAR")
    within = literal(rf"(?:^|[^\pL\pN]){re.escape(traces.customer)}(?:$|[^\pL\pN])")
    return (
        f"select {row} from (select {row}, unnest([{texts}]::varchar[]) as text from {relation}) "
        f"where text in (from traces) or contains(text, {literal(traces.customer)}) "
        f"and (text like '%_/_%' or text like '{{%') and regexp_matches(text, {within})"
    )


def _rewrite_parquet(path: Path, traces: Traces) -> bool:
    """Rewrite a Parquet file without rows that have a text of the customer."""
    scratch = path.with_name(f".{path.name}.new")
    with duckdb.connect() as connection:
        connection.execute("create temp table traces as select unnest(?::varchar[]) as text", [sorted(traces.every)])
        file = f"read_parquet({literal(as_pattern(path))}, hive_partitioning = false, file_row_number = true)"
        kinds = [(name, kind) for name, kind, *_ in connection.execute(f"describe from {file}").fetchall()]
        theirs = _rows_of_customer(file, "file_row_number", kinds, traces)
        if not connection.execute(f"{theirs} limit 1").fetchone():
            return False
        kept = f"select * exclude (file_row_number) from {file} where file_row_number not in ({theirs})"
        connection.execute(f"copy ({kept}) to {literal(scratch)} (format parquet)")
    shutil.copymode(path, scratch)
    scratch.replace(path)
    return True
