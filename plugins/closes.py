"""Closed months, and what changed them: files that no build, full refresh or repair changes.

    closes/2026-07-<digest>/manifest.json     {"format", "month", "closed_at", "run_id", "as_of_date", "reasons": why
                                              the month should not have been closed yet, "loads": {id: number},
                                              "options", "rules", "code", "project", "source", "versions", "files":
                                              {name: {"rows", "sha256"}}}; the folder is named by its SHA-256
                            figures.parquet   the figures: usage_month, customer_id, metric, call_type, quantity
                            deliveries.parquet    per customer and extract a digest of the content that was counted
    closes/restatements/<run_id>.parquet      what a run changed in closed months, one row per figure and cause
    closes/projects/<digest>.zip              models, rule book and options of a run, to recompute its figures
    closes/erasures.json                      the erased customers (make forget), a line each: {"number", "erased_at",
                                              "pseudonym", "is_kept": whether figures are kept under it, "closes":
                                              {folder before: folder now}, "restatements": {run: [SHA-256 before, now]},
                                              "previous": SHA-256 of the line before}. Only they rewrite closes: the
                                              manifest of a rewritten close names the digest that it had before
    closes/state.json                         the last run that compared the closed months: its loads, options, rules,
                                              code and project, the closes, and all restatements with their SHA-256
    closes/state.<run_id>.json                the same of the run that is being published
    closes/.incoming/                         files that are being written, or that a killed process left
    closes.erased/, closes.before/            closes/ after an erasure and before it, while one replaces the other

A close is committed by the rename of its folder, and a restatement by the swap of the published file (publishing.py).

Decisions::

    docs/decisions/closed-months.md
"""

from __future__ import annotations

import glob
import hashlib
import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from conversion import Problem
from store import sha256_of
from swapping import replace_text, sync_path, sync_tree

FORMAT = 2  # of closes and of their state; 2: erased customers

# What a project needs to compute its figures again.
PROJECT_FILES = (
    "dbt_project.yml",
    "profiles.yml",
    "profiles",
    "models",
    "macros",
    "plugins",
    "seeds",
    "tests/data/generic",
)
WITHOUT = ("_unit_tests.yml", "exposures.yml")  # dbt would only parse them
SAMPLE = "seeds/extracts/"


class CloseProblem(Problem):
    """A close or its state is damaged, missing or of a newer release: a sentence that names the file."""


@dataclass
class Closes:
    """The closed months of a warehouse, verified. ``state`` is empty if no month was ever closed."""

    root: Path
    closes: list[dict[str, Any]] = field(default_factory=list)  # manifests, with "folder" and "digest"
    state: dict[str, Any] = field(default_factory=dict)
    erasures: list[dict[str, Any]] = field(default_factory=list)  # the records, oldest first

    def pseudonyms(self) -> list[str]:
        """The names of the erased customers."""
        return sorted({record["pseudonym"] for record in self.erasures})

    def of_month(self, month: str) -> dict[str, Any] | None:
        """The manifest of a month's close; None if the month is open."""
        return next((close for close in self.closes if close["month"] == month), None)

    def restatements(self) -> list[Path]:
        """The files of all restatements, oldest first."""
        return [self.root / "restatements" / f"{run['run_id']}.parquet" for run in self.state.get("restatements", [])]


def open_closes(warehouse: Path) -> Closes:
    """Read and verify all closes of a warehouse; also that no published one is lost. Raises CloseProblem."""
    found = _read_closes(warehouse)
    _require_published_closes(found)
    return found


def _read_closes(warehouse: Path) -> Closes:
    found = Closes(warehouse / "closes")
    if not found.root.is_dir():
        return found
    found.state = _read_state(found.root / "state.json")
    for folder in sorted(path for path in found.root.iterdir() if path.name[:1].isdigit()):
        found.closes.append(_read_close(folder))
    names = [close["folder"] for close in found.closes]
    if lost := [name for name in found.state.get("closes", []) if name not in names]:
        raise CloseProblem(f"{found.root} has lost the close {lost[0]}. Restore it from a backup.")
    if found.closes and not found.state:
        raise CloseProblem(f"{found.root / 'state.json'} is missing. Restore it from a backup.")
    found.erasures = _read_erasures(found)
    months = [close["month"] for close in found.closes]
    if twice := [month for month in months if months.count(month) > 1]:
        raise CloseProblem(f"{found.root} has two closes of {twice[0]}. Restore the folder from a backup.")
    for run, path in zip(found.state.get("restatements", []), found.restatements(), strict=True):
        _require_whole(path, run["sha256"])
    return found


def require_projects(closes: Closes) -> None:
    """Raise CloseProblem if a kept project is damaged. One that is missing is named where it is needed."""
    for digest in sorted({of["project"] for of in (*closes.closes, closes.state) if of}):
        path = closes.root / "projects" / f"{digest}.zip"
        if path.exists():
            _read_project(path, digest)


def _require_published_closes(closes: Closes) -> None:
    """Raise CloseProblem if the published file has the close of a month that is lost: state.json is, too."""
    published = closes.root.with_name("usage.duckdb")
    if not published.exists() or _is_being_erased(closes.root.parent):
        return
    try:
        with duckdb.connect(str(published), read_only=True) as database:
            months = database.execute(
                "select distinct strftime(usage_month, '%Y-%m') from marts.usage_closes order by all"
            ).fetchall()
    except duckdb.Error:  # of an older release, or open for writing: then no run publishes
        return
    known = {close["month"] for close in closes.closes}
    if lost := [month for (month,) in months if month not in known]:
        raise CloseProblem(
            f"{closes.root} has lost the close of {lost[0]}, which {published} has. Restore it from a backup. To start "
            f"over without it, remove {published}, too."
        )


def closed_months(closes: str) -> str:
    """The closes in a folder, for a run.

    JSON: ``{"problem": text or null, "state", "months": [first days], "erased": [pseudonyms], "figures": [paths],
    "restatements": [paths]}``.
    """
    try:
        found = open_closes(Path(closes).parent)
        require_projects(found)
    except CloseProblem as problem:
        return json.dumps({"problem": str(problem)})
    return json.dumps(
        {
            "problem": None,
            "state": found.state if found.closes else {},
            "months": [f"{close['month']}-01" for close in found.closes],
            "erased": found.pseudonyms(),
            "figures": [str(found.root / close["folder"] / "figures.parquet") for close in found.closes],
            "restatements": [str(path) for path in found.restatements()],
        }
    )


def show_closes(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> None:
    """Create the temporary views closed_months, closed_figures and closed_restatements in a connection to the published
    file.

    They are the closes of the published run, and the later ones; without the figures of erased customers, to which no
    current figure corresponds. Raises CloseProblem, and duckdb.CatalogException if
    the file is of a release without closes.
    """
    published = {
        month
        for (month,) in connection.execute(
            "select distinct strftime(usage_month, '%Y-%m') from marts.usage_closes"
        ).fetchall()
    }
    closes = _read_closes(warehouse)  # a copy of the published file may be read alone
    later = [close for close in closes.closes if close["month"] not in published]
    connection.execute(
        "create or replace temp table erased_pseudonyms as select unnest(?::varchar[]) as customer_id",
        [closes.pseudonyms()],
    )
    connection.execute("create or replace temp table later_months (usage_month date, closed_at timestamp)")
    connection.execute("create or replace temp table later_figures as from marts.usage_closes limit 0")
    for close in later:
        path = warehouse / "closes" / close["folder"] / "figures.parquet"
        connection.execute(
            "insert into later_months values (?, ?)", [f"{close['month']}-01", close["closed_at"].removesuffix("Z")]
        )
        connection.execute(
            "insert into later_figures by name select * from read_parquet(?, hive_partitioning = false)",
            [glob.escape(str(path))],
        )
    connection.execute("""
        create or replace temp view closed_months as
        select distinct usage_month, closed_at from marts.usage_closes union all from later_months
    """)
    connection.execute("""
        create or replace temp view closed_figures as
        select usage_month, customer_id, metric, call_type, quantity
        from (from marts.usage_closes union all from later_figures)
        where customer_id not in (select customer_id from erased_pseudonyms)
    """)
    connection.execute("""
        create or replace temp view closed_restatements as
        from marts.usage_restatements where customer_id not in (select customer_id from erased_pseudonyms)
    """)


def _read_close(folder: Path) -> dict[str, Any]:
    manifest = folder / "manifest.json"
    try:
        written = manifest.read_bytes()
    except OSError as error:
        raise _unreadable(manifest, error) from error
    month, _, digest = folder.name.rpartition("-")
    close = _parse(manifest, written)
    if hashlib.sha256(written).hexdigest() != digest or close.get("month") != month:
        raise _changed(manifest)
    for name, file in close["files"].items():
        _require_whole(folder / name, file["sha256"])
    return close | {"folder": folder.name, "digest": digest}


def _read_state(path: Path) -> dict[str, Any]:
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(path, error) from error
    state = _parse(path, written)
    digest = state.pop("digest", None)
    if digest != _digest_of(state):
        raise _changed(path)
    return state


def _parse(path: Path, written: bytes) -> dict[str, Any]:
    try:
        found = json.loads(written)
        written_by = int(found["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error
    if written_by > FORMAT:
        raise CloseProblem(
            f"{path} was written by a newer release (format {written_by}; this one reads {FORMAT}): run that release. "
            "Nothing was changed."
        )
    return found


def _require_whole(path: Path, sha256: str) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    if found != sha256:
        raise _changed(path)


def _unreadable(path: Path, error: Exception) -> CloseProblem:
    return CloseProblem(
        f"{path} cannot be read: {getattr(error, 'strerror', None) or error}. Restore it from a backup."
    )


def _changed(path: Path) -> CloseProblem:
    return CloseProblem(f"{path} has changed since it was written. Restore it from a backup.")


def _digest_of(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# ---------------------------------------------------------------------------------------------------------------- state


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state with its digest, in one step."""
    state = {"format": FORMAT} | state
    replace_text(path, json.dumps(state | {"digest": _digest_of(state)}, indent=1))


def state_of(inputs: dict[str, Any], run_id: str, project: str) -> dict[str, Any]:
    """The inputs of a run, as a state and a close keep them. ``inputs``: of run_state.committed_inputs."""
    kept = ("as_of_date", "loads", "options", "rules", "code", "source")
    return {"run_id": run_id, "project": project} | {name: inputs[name] for name in kept}


def prepare_state(warehouse: Path, run_id: str, inputs: dict[str, Any], restated: Path, project: Path) -> None:
    """Write the state after a run, and its restatements, under the id of the run. Nothing without closed months.

    ``restated``: a Parquet file of the run's restatements, which may have no row; ``project``: the project's folder.
    finish_closes() commits or removes both. Raises CloseProblem or OSError.
    """
    closes = open_closes(warehouse)
    if not closes.closes:
        return
    restatements = list(closes.state.get("restatements", []))
    if inputs["restated"]:
        target = closes.root / "restatements" / f"{run_id}.parquet"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(restated, target)
        sync_path(target)
        sync_path(target.parent)
        restatements.append({"run_id": run_id, "rows": inputs["restated"], "sha256": sha256_of(target)})
    state = state_of(inputs, run_id, keep_project(closes.root, project)) | {
        "closes": [close["folder"] for close in closes.closes],
        "restatements": restatements,
        "erasures": closes.state.get("erasures"),
    }
    write_state(closes.root / f"state.{run_id}.json", state)


def finish_closes(warehouse: Path, run_id: str | None) -> None:
    """Commit the state of the published run; remove what other runs and killed processes left."""
    root = warehouse / "closes"
    _finish_erasure(warehouse)
    if not root.is_dir():
        return
    for path in root.glob("state.*.json"):
        if path.name == f"state.{run_id}.json":
            path.replace(root / "state.json")
        else:
            path.unlink()
        sync_path(root)
    shutil.rmtree(root / ".incoming", ignore_errors=True)
    written = list((root / "restatements").glob("*.parquet"))
    if not written or not (state := _read_state(root / "state.json")):
        return  # without a state, open_closes() stops the run, and nobody knows which of them count
    known = {run["run_id"] for run in state["restatements"]}
    for path in written:
        if path.stem not in known:
            path.unlink()


def is_unfinished(warehouse: Path) -> bool:
    """Whether a run or an erasure left a state that is not committed."""
    return _is_being_erased(warehouse) or any((warehouse / "closes").glob("state.*.json"))


def _is_being_erased(warehouse: Path) -> bool:
    return (warehouse / "closes.erased").exists() or (warehouse / "closes.before").exists()


# ----------------------------------------------------------------------------------------------------- erased customers


def erase_from_closes(
    warehouse: Path, customer: str, pseudonym: str, erased_at: str, *, is_kept: bool, has_ratios: bool
) -> dict[str, int]:
    """Rewrite the closes and restatements of a customer under a pseudonym, or without the figures.

    This is the only rewriting of a close; a record in erasures.json ties the digests before and after together. Returns
    {"closes": rows, "restatements": rows} of the customer; nothing is written if there are none. ``has_ratios``:
    whether the customer had credit ratios, whose digest is of all customers and cannot be kept. All of it happens in
    one step. Raises CloseProblem or OSError.
    """
    closes = open_closes(warehouse)
    target = warehouse / "closes.new"
    shutil.rmtree(target, ignore_errors=True)
    if not closes.closes:
        return {"closes": 0, "restatements": 0}
    shutil.copytree(closes.root, target, ignore=shutil.ignore_patterns(".incoming", "state.*.json"))
    try:
        rewriting = _Rewriting(customer, pseudonym if is_kept else None)
        record = {
            "number": len(closes.erasures) + 1,
            "erased_at": erased_at,
            "pseudonym": pseudonym,
            "is_kept": is_kept,
            "closes": {},
            "restatements": {},
        }
        names = []
        for close in closes.closes:
            name = rewriting.rewrite_close(target / close["folder"], close, record, has_ratios)
            names.append(name)
            if name != close["folder"]:
                record["closes"][close["folder"]] = name
        restatements = []
        for run in closes.state.get("restatements", []):
            path = target / "restatements" / f"{run['run_id']}.parquet"
            rows = rewriting.rewrite(path, "restatements")
            now = run if rows is None else run | {"rows": rows, "sha256": sha256_of(path)}
            if now != run:
                record["restatements"][run["run_id"]] = [run["sha256"], now["sha256"]]
            restatements.append(now)
        if not record["closes"] and not record["restatements"]:
            return rewriting.found
        path = target / "erasures.json"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        record["previous"] = hashlib.sha256(lines[-1].encode()).hexdigest() if lines else None
        path.write_text("".join(f"{line}\n" for line in [*lines, json.dumps(record)]), encoding="utf-8")
        write_state(
            target / "state.json",
            closes.state | {"closes": names, "restatements": restatements, "erasures": sha256_of(path)},
        )
        sync_tree(target)
        target.rename(warehouse / "closes.erased")
        sync_path(warehouse)
        _finish_erasure(warehouse)
        return rewriting.found
    finally:
        shutil.rmtree(target, ignore_errors=True)


class _Rewriting:
    """Rewrites files of closes for a customer. ``name``: the new one; None: the rows are removed."""

    def __init__(self, customer: str, name: str | None) -> None:
        self.customer, self.name = customer, name
        self.found = {"closes": 0, "restatements": 0}

    def rewrite_close(self, folder: Path, close: dict[str, Any], record: dict[str, Any], has_ratios: bool) -> str:
        """Rewrite the files and the manifest of a close in a folder, which gets the new name; returns it."""
        files = {}
        figures = self.rewrite(folder / "figures.parquet", "closes")
        deliveries = self.rewrite(folder / "deliveries.parquet", None, has_ratios=has_ratios)
        for name, rows in (("figures.parquet", figures), ("deliveries.parquet", deliveries)):
            if rows is not None:
                files[name] = close["files"][name] | {"rows": rows, "sha256": sha256_of(folder / name)}
        hidden = hide_words(close["reasons"], {self.customer}, record["pseudonym"])
        if not files and hidden == close["reasons"]:
            return folder.name
        manifest = {name: value for name, value in close.items() if name not in ("folder", "digest")}
        erasure = {"number": record["number"], "was": close["digest"]}
        if has_ratios:
            erasure["not_verifiable"] = ["credit_ratios"]
        manifest |= {
            "format": FORMAT,
            "files": close["files"] | files,
            "reasons": hidden,
            "erasures": [*close.get("erasures", []), erasure],
        }
        written = json.dumps(manifest, indent=1, sort_keys=True).encode()
        (folder / "manifest.json").write_bytes(written)
        name = f"{close['month']}-{hashlib.sha256(written).hexdigest()}"
        folder.rename(folder.with_name(name))
        return name

    def rewrite(self, path: Path, kind: str | None, *, has_ratios: bool = False) -> int | None:
        """Rewrite a Parquet file with the column customer_id. Returns its new number of rows; None: it is as before.

        Without ``kind`` it has digests of deliveries, of which nothing is kept.
        """
        with duckdb.connect() as connection:
            file = f"read_parquet({_as_literal(glob.escape(str(path)))}, hive_partitioning = false)"
            is_theirs = f"customer_id = {_as_literal(self.customer)}"
            if has_ratios and not kind:
                is_theirs = f"({is_theirs} or extract_name = 'credit_ratios')"
            (rows,) = connection.execute(f"select count(*) from {file} where {is_theirs}").fetchone()
            if not rows:
                return None
            if kind:
                self.found[kind] += rows
            query = f"select * from {file} where not {is_theirs}"
            if kind and self.name:
                named = f"case when {is_theirs} then {_as_literal(self.name)} else customer_id end"
                query = f"select * replace ({named} as customer_id) from {file}"
            scratch = path.with_name(f"{path.name}.new")
            (left,) = connection.execute(
                f"copy ({query}) to {_as_literal(str(scratch))} (format parquet, compression zstd)"
            ).fetchone()
        scratch.replace(path)
        return left


def hide_words(texts: list[str], words: set[str], instead: str) -> list[str]:
    """The texts with another text in place of whole words."""
    pattern = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return [re.sub(rf"(?<![\w-])(?:{pattern})(?![\w-])", lambda _: instead, text) for text in texts]


def _as_literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _finish_erasure(warehouse: Path) -> None:
    """Put the closes after an erasure in the place of those before it."""
    root, erased, before = warehouse / "closes", warehouse / "closes.erased", warehouse / "closes.before"
    if erased.is_dir():
        if root.is_dir() and not before.exists():
            root.rename(before)
        erased.rename(root)
        sync_path(warehouse)
    if before.is_dir():
        shutil.rmtree(before)
        sync_path(warehouse)


def _read_erasures(closes: Closes) -> list[dict[str, Any]]:
    """The records of erased customers, each tied to the one before. Raises CloseProblem."""
    path, noted = closes.root / "erasures.json", closes.state.get("erasures")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        if noted:
            _require_whole(path, noted)
        previous = None
        for line, record in zip(lines, records, strict=True):
            if record["previous"] != previous:
                raise _changed(path)
            previous = hashlib.sha256(line.encode()).hexdigest()
    except FileNotFoundError:
        records = []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error
    became = {old: new for record in records for old, new in record["closes"].items()}
    for close in closes.closes:
        for erasure in close.get("erasures", []):
            old = f"{close['month']}-{erasure['was']}"
            if old not in became:
                raise CloseProblem(f"{path} lacks the record of a rewritten close, {old}. Restore it from a backup.")
            old = became[old]
    names = {close["folder"] for close in closes.closes}
    for name in became.values():
        if name not in became and name not in names:
            raise CloseProblem(f"{closes.root} has lost the close {name}. Restore it from a backup.")
    return records


# ------------------------------------------------------------------------------------------------------------- projects


def keep_project(root: Path, project: Path) -> str:
    """Keep the project's models, rule book and options under ``root``, once; returns the digest that names them."""
    files = project_files(project)
    digest = _project_digest((name, hashlib.sha256(path.read_bytes()).digest()) for name, path in files.items())
    target = root / "projects" / f"{digest}.zip"
    if not _is_whole_project(target, digest):
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.new")
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in files.items():
                archive.write(path, name)
        sync_path(scratch)
        scratch.replace(target)
        sync_path(target.parent)
    return digest


def project_files(project: Path, *, with_sample: bool = False) -> dict[str, Path]:
    """{path below the project: file} of what its figures depend on, in order; also the sample's rows if asked."""
    found = {}
    for name in PROJECT_FILES:
        top = project / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            below = path.relative_to(project).as_posix()
            is_left_out = below.endswith(WITHOUT) or (below.startswith(SAMPLE) and not with_sample)
            if path.is_file() and "__pycache__" not in below and not is_left_out:
                found[below] = path
    return found


def unpack_project(root: Path, digest: str, target: Path) -> None:
    """Write the project of a run to the folder ``target``. Raises CloseProblem if it is missing or damaged."""
    _read_project(root / "projects" / f"{digest}.zip", digest, target)


def _read_project(path: Path, digest: str, target: Path | None = None) -> None:
    """Verify a kept project; unpack it to the folder ``target``, if there is one. Raises CloseProblem."""
    try:
        with zipfile.ZipFile(path) as archive:
            contents = ((name, hashlib.sha256(archive.read(name)).digest()) for name in archive.namelist())
            found = _project_digest(contents)
            if found == digest and target:
                archive.extractall(target)
    except (OSError, EOFError, RuntimeError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    if found != digest:
        raise _changed(path)


def _is_whole_project(path: Path, digest: str) -> bool:
    try:
        _read_project(path, digest)
    except CloseProblem:
        return False
    return True


def _project_digest(contents: Iterable[tuple[str, bytes]]) -> str:
    """A digest of a project: of (path, SHA-256 of the content) of its files."""
    digest = hashlib.sha256()
    for name, sha256 in contents:
        digest.update(name.encode() + b"\0" + sha256)
    return digest.hexdigest()


# ------------------------------------------------------------------------------------------------------------ new close


def write_close(closes: Closes, manifest: dict[str, Any], files: Path) -> str:
    """Write a month's close from the files in the folder ``files``; returns the name of its folder.

    The folder is complete under another name before its rename, which commits the close. Raises OSError.
    """
    root = closes.root
    manifest = {"format": FORMAT} | manifest
    for path in sorted(files.iterdir()):
        manifest["files"][path.name]["sha256"] = sha256_of(path)
    written = json.dumps(manifest, indent=1, sort_keys=True).encode()
    (files / "manifest.json").write_bytes(written)
    sync_tree(files)
    name = f"{manifest['month']}-{hashlib.sha256(written).hexdigest()}"
    state = closes.state
    if not state:  # harmless without a close; a close is never without a state
        state = state_of(manifest, manifest["run_id"], manifest["project"]) | {"closes": [], "restatements": []}
        write_state(root / "state.json", state)
        sync_path(root.parent)
    files.rename(root / name)
    sync_path(root)
    with suppress(OSError):  # the next run completes it
        write_state(root / "state.json", state | {"closes": [*state["closes"], name]})
    return name
