"""Closed months, and what changed them: files that no build, full refresh or repair changes.

    closes/2026-07-<digest>/manifest.json     {"format", "month", "closed_at", "run_id", "as_of_date", "reasons": why
                                              the month should not have been closed yet, "loads": {id: number},
                                              "options", "rules", "code", "project", "source", "versions", "files":
                                              {name: {"rows", "sha256"}}}; the folder is named by its SHA-256
                            figures.parquet   the figures: usage_month, customer_id, metric, call_type, quantity
                            deliveries.parquet    per customer and extract a digest of the content that was counted
    closes/restatements/<run_id>.parquet      what a run changed in closed months, one row per figure and cause
    closes/projects/<digest>.zip              models, rule book and options of a run, to recompute its figures
    closes/state.json                         the last run that compared the closed months: its loads, options, rules,
                                              code and project, the closes, and all restatements with their SHA-256
    closes/state.<run_id>.json                the same of the run that is being published
    closes/.incoming/                         files that are being written, or that a killed process left

A close is committed by the rename of its folder, and a restatement by the swap of the published file (publishing.py).

Decisions::

    docs/decisions/closed-months.md
"""

from __future__ import annotations

import glob
import hashlib
import json
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

FORMAT = 1  # of closes and of their state

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

    def of_month(self, month: str) -> dict[str, Any] | None:
        """The manifest of a month's close; None if the month is open."""
        return next((close for close in self.closes if close["month"] == month), None)

    def restatements(self) -> list[Path]:
        """The files of all restatements, oldest first."""
        return [self.root / "restatements" / f"{run['run_id']}.parquet" for run in self.state.get("restatements", [])]


def open_closes(warehouse: Path) -> Closes:
    """Read and verify all closes of a warehouse. Raises CloseProblem."""
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
    months = [close["month"] for close in found.closes]
    if twice := [month for month in months if months.count(month) > 1]:
        raise CloseProblem(f"{found.root} has two closes of {twice[0]}. Restore the folder from a backup.")
    for run, path in zip(found.state.get("restatements", []), found.restatements(), strict=True):
        _require_whole(path, run["sha256"])
    return found


def closed_months(closes: str) -> str:
    """The closes in a folder, for a run.

    JSON: ``{"problem": text or null, "state", "figures": [paths], "restatements": [paths]}``.
    """
    try:
        found = open_closes(Path(closes).parent)
    except CloseProblem as problem:
        return json.dumps({"problem": str(problem)})
    return json.dumps(
        {
            "problem": None,
            "state": found.state if found.closes else {},
            "figures": [str(found.root / close["folder"] / "figures.parquet") for close in found.closes],
            "restatements": [str(path) for path in found.restatements()],
        }
    )


def show_closes(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> None:
    """Create the temporary views closed_months and closed_figures in a connection to the published file.

    They are the closes of the published run, and the later ones. Raises CloseProblem, and duckdb.CatalogException if
    the file is of a release without closes.
    """
    published = {
        month
        for (month,) in connection.execute(
            "select distinct strftime(usage_month, '%Y-%m') from marts.usage_closes"
        ).fetchall()
    }
    later = [close for close in open_closes(warehouse).closes if close["month"] not in published]
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
    }
    write_state(closes.root / f"state.{run_id}.json", state)


def finish_closes(warehouse: Path, run_id: str | None) -> None:
    """Commit the state of the published run; remove what other runs and killed processes left."""
    root = warehouse / "closes"
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
    """Whether a run left a state that is not committed."""
    return any((warehouse / "closes").glob("state.*.json"))


# ------------------------------------------------------------------------------------------------------------- projects


def keep_project(root: Path, project: Path) -> str:
    """Keep the project's models, rule book and options under ``root``, once; returns the digest that names them."""
    files = project_files(project)
    digest = _project_digest((name, hashlib.sha256(path.read_bytes()).digest()) for name, path in files.items())
    target = root / "projects" / f"{digest}.zip"
    if not target.exists():
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
    path = root / "projects" / f"{digest}.zip"
    try:
        with zipfile.ZipFile(path) as archive:
            contents = ((name, hashlib.sha256(archive.read(name)).digest()) for name in archive.namelist())
            found = _project_digest(contents)
            if found == digest:
                archive.extractall(target)
    except (OSError, EOFError, RuntimeError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error
    if found != digest:
        raise _changed(path)


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
