"""The models that decide on a month's figures, compiled by dbt under some options: what a what-if makes again.

``compile_models(project, options)`` finds them in dbt's graph: the ancestors of the figures up to the published facts.

Decisions::

    docs/decisions/what-if.md
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from conversion import Problem
from publishing import project_digests
from swapping import replace_text

DATABASE = "usage"  # of which compiled SQL names the relations
TARGETS = ("monthly_figures", "monthly_decisions", "monthly_credits", "monthly_step_decisions")
# What stays as published: the models of these folders, and two more.
FOLDERS_OF_FACTS = ("base", "intake", "staging", "metering/jobs", "marts/history")
FACTS = ("daily_step_counts", "job_recipes")
OF_RATIOS = ("base_credit_ratios", "stg_credit_ratios")  # not with other ratios
RATIO_TEXTS = "what_if.ratios"
PARSED = "partial_parse.msgpack"


@dataclass(frozen=True)
class Model:
    """A compiled model that decides. ``relation``: schema.name."""

    relation: str
    sql: str
    is_view: bool


@dataclass(frozen=True)
class Compiled:
    """``models``: parents first. ``facts`` and ``rules``: the relations that they read as published. ``fixed``: the
    relations of the rule book by which the facts were made. ``ratios``: SQL that reads the ratios in RATIO_TEXTS;
    ``ratio_columns``: the columns of the extract, and whether each is required."""

    models: tuple[Model, ...]
    facts: tuple[str, ...]
    rules: tuple[str, ...]
    fixed: tuple[str, ...]
    ratios: str
    ratio_columns: dict[str, bool]


def compile_models(project: Path, options: dict[str, Any], *, with_ratios: bool = False) -> Compiled:
    """What dbt compiles of the models that decide, under these options: from an earlier time, or in some seconds.

    ``with_ratios``: the models of credit ratios, too, which then read RATIO_TEXTS. Raises Problem with dbt's words, for
    example if an option has no such value.
    """
    asked = json.dumps([options, with_ratios], sort_keys=True)
    folder = _target_folder(project) / f"what-if-{project_digests(project)['code'][:16]}"
    kept = folder / f"{hashlib.sha256(asked.encode()).hexdigest()[:16]}.json"
    if kept.exists():
        return _as_compiled(json.loads(kept.read_text(encoding="utf-8")))
    compiled = _compile(project, options, with_ratios)
    with contextlib.suppress(OSError):  # the user may not be allowed to write in the project
        for earlier in folder.parent.glob("what-if-*"):
            if earlier.is_dir() and earlier != folder:
                shutil.rmtree(earlier, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(kept, json.dumps(asdict(compiled)))
    return compiled


def _as_compiled(kept: dict[str, Any]) -> Compiled:
    return Compiled(**kept | {"models": tuple(Model(**model) for model in kept["models"])})


def _compile(project: Path, options: dict[str, Any], with_ratios: bool) -> Compiled:
    from dbt.cli.main import dbtRunner  # a second, which nothing else here needs

    with tempfile.TemporaryDirectory(prefix="what-if-") as scratch:
        target = Path(scratch, "target")
        common = ["--project-dir", str(project), "--target-path", str(target)]
        common += ["--profiles-dir", os.environ.get("DBT_PROFILES_DIR") or str(project)]
        with _parsed_before(project, target / PARSED):
            manifest = _dbt(dbtRunner(), "parse", *common)
        graph = _Graph(manifest, OF_RATIOS if with_ratios else ())
        contract = manifest.sources["source.embedded_usage.extracts.credit_ratios"]
        # compiling opens the database of a build; that of the warehouse belongs to the scheduled run
        with _environment(WAREHOUSE_DIR=scratch, AS_OF_DATE=""):
            runner, variables = dbtRunner(manifest=manifest), ["--vars", json.dumps(options)]
            inline = (
                f"{{{{ check_options() }}}}{{{{ extract_of_texts('credit_ratios', '{RATIO_TEXTS}', \"'RATIOS'\") }}}}"
            )
            (texts,) = _dbt(runner, "compile", *common, *variables, "--inline", inline)
            names = [manifest.nodes[node].name for node in graph.decided]
            nodes = {node.unique_id: node for node in _dbt(runner, "compile", *common, *variables, "--select", *names)}
    return Compiled(
        models=tuple(
            Model(graph.relation(node), nodes[node].compiled_code, manifest.nodes[node].config.materialized == "view")
            for node in graph.decided
        ),
        facts=tuple(map(graph.relation, graph.facts)),
        rules=tuple(map(graph.relation, graph.seeds)),
        fixed=tuple(map(graph.relation, graph.fixed)),
        ratios=texts.compiled_code,
        ratio_columns={name: bool(column.config.meta.get("required")) for name, column in contract.columns.items()},
    )


class _Graph:
    """Which nodes are made again: the ancestors of the targets up to the facts, and the rules in force."""

    def __init__(self, manifest: Any, decided: tuple[str, ...]) -> None:
        self.nodes, self._decided = manifest.nodes, decided
        made: dict[str, set[str]] = {}
        facts: set[str] = set()
        open_ = [node for node in self.nodes.values() if node.name in TARGETS and node.resource_type == "model"]
        while open_:
            node = open_.pop()
            if node.unique_id in made or node.unique_id in facts or node.resource_type == "seed":
                continue
            if self._is_fact(node):
                facts.add(node.unique_id)
                continue
            made[node.unique_id] = set(self._parents(node))
            open_ += [self.nodes[parent] for parent in self._parents(node)]
        fixed, behind = set(), set(facts)
        open_ = list(facts)
        while open_:
            for parent in self._parents(self.nodes[open_.pop()]):
                if self.nodes[parent].schema == "rules":
                    fixed.add(parent)
                elif parent not in behind:
                    behind.add(parent)
                    open_.append(parent)
        # the rules in force by which the facts were made are compared, so they are made again, too
        for node in fixed:
            if self.nodes[node].resource_type == "model":
                made[node] = set(self._parents(self.nodes[node]))
        parents = set().union(*made.values()) | fixed
        self.facts = sorted(facts)
        self.fixed = sorted(fixed)
        self.seeds = sorted(node for node in parents if self.nodes[node].resource_type == "seed")
        self.decided = [node for node in TopologicalSorter(made).static_order() if node in made]

    def relation(self, node: str) -> str:
        return f"{self.nodes[node].schema}.{self.nodes[node].name}"

    def _is_fact(self, node: Any) -> bool:
        folder = node.original_file_path.removeprefix("models/")
        return node.name not in self._decided and (node.name in FACTS or folder.startswith(FOLDERS_OF_FACTS))

    def _parents(self, node: Any) -> list[str]:
        return [parent for parent in node.depends_on.nodes if parent in self.nodes and not _is_sample(parent)]


def _is_sample(node: str) -> bool:
    return ".raw_" in node


def _target_folder(project: Path) -> Path:
    """Where dbt keeps what it has parsed."""
    return Path(os.environ.get("DBT_TARGET_PATH") or project / "target")


@contextlib.contextmanager
def _parsed_before(project: Path, path: Path) -> Iterator[None]:
    """Give dbt what an earlier what-if or a run has parsed at ``path``, and keep what it writes there."""
    of_runs = _target_folder(project)
    kept = of_runs / f"what-if-{PARSED}"
    path.parent.mkdir()
    for earlier in (kept, of_runs / PARSED):
        if earlier.exists():
            shutil.copyfile(earlier, path)
            break
    yield
    with contextlib.suppress(OSError):  # the user may not be allowed to write in the project
        beside = kept.with_name(f"{kept.name}.{os.getpid()}")
        shutil.copyfile(path, beside)
        beside.replace(kept)


def _dbt(runner: Any, command: str, *arguments: str) -> Any:
    """The result of a dbt command, without what it prints. Raises Problem with dbt's error."""
    with contextlib.redirect_stdout(io.StringIO()):
        ran = runner.invoke(["--quiet", "--no-write-json", command, *arguments])
    if ran.success:
        return ran.result if command == "parse" else [result.node for result in ran.result.results]
    told = ran.exception or next(result.message for result in ran.result.results if result.status == "error")
    lines = [line.strip() for line in str(told).splitlines() if line.strip()]
    # the first line says where, as the lines from the first > on do
    raise Problem(" ".join(line for line in lines[1:] if not line.startswith("> ")) or lines[0])


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
