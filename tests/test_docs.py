"""What the documentation shows is what a reader gets who tries it."""

import copy
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from building import PROJECT, run_make
from column_gate import HOW_TO_ADD, untested_columns

WALKTHROUGH = (PROJECT / "docs" / "usage-metrics-tab.md").read_text(encoding="utf-8")
TRIED = re.findall(r"```sh\n(.*?)```\n+```text\n(.*?)```", WALKTHROUGH, re.DOTALL)


def test_every_command_of_the_walkthrough_shows_what_it_prints():
    assert len(TRIED) == WALKTHROUGH.count("```sh\n") > 5


@pytest.mark.parametrize(("command", "printed"), TRIED)
def test_the_walkthrough_prints_what_it_shows(command, printed):
    shown = subprocess.run(["bash", "-c", command], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert shown.stdout == printed


# The figures that the walkthrough names, counted by hand from the seeds (tests/sample_world.md).
FIGURES = {
    "customer_trends": ("usage_month = '2026-09-01'", "customers, new_customers, deleted_customers", (11, 1, 1)),
    "connection_trends": ("usage_month = '2026-09-01'", "connections, is_reconstructed", (43, False)),
    "active_recipe_trends": (
        "usage_month = '2026-09-01'",
        "active_recipes, recipes_started, recipes_stopped",
        (83, 4, 3),
    ),
    "monthly_tasks": ("usage_month = '2026-09-01'", "tasks, active_customers", (193, 10)),
    "top_apps": ("rank = 1", "app, app_name, connections, cast(share as varchar)", ("slack", "Slack", 7, "0.162791")),
    "top_recommended_recipes": ("rank = 1", "recipe_id, clones, customers", ("999000001101", 6, 5)),
    "top_customers": ("rank = 1", "customer_id, tasks", ("1001", 302)),
}


@pytest.mark.parametrize("mart", FIGURES)
def test_the_walkthroughs_figures_are_the_marts(mart, sample):
    where, columns, expected = FIGURES[mart]
    assert sample.rows(f"select {columns} from marts.{mart} where {where}") == [expected]


def make_docs(*variables, **environment):
    """What ``make docs`` of this environment prints."""
    made = run_make("docs", "VENV=.venv", "--assume-old=.venv/run.stamp", *variables, **environment)
    assert made.returncode == 0, made.stderr
    return made.stdout


def contents(folder):
    """Every file but those of the build database, which no reader opens."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "build" not in path.parts}


def test_make_docs_takes_nothing_in_and_publishes_nothing(sample, tmp_path):
    warehouse, extracts = tmp_path / "warehouse", tmp_path / "extracts"
    shutil.copytree(sample.warehouse, warehouse, symlinks=True)
    for extract in ("customers", "jobs", "steps"):
        (extracts / extract).mkdir(parents=True)
        (extracts / extract / "new.csv").write_text("id\n1\n")
    before = contents(warehouse)
    printed = make_docs(
        f"BIN={Path(sys.executable).parent}",
        **{"EXTRACTS_DIR": str(extracts), "WAREHOUSE_DIR": str(warehouse), "DBT_TARGET_PATH": str(tmp_path / "target")},
    )
    assert "nothing is taken in, computed or published" in printed
    assert " START " not in printed
    assert contents(warehouse) == before
    assert (tmp_path / "target" / "static_index.html").exists()


def test_make_docs_builds_first_where_nothing_is_built():
    planned = make_docs("BIN=echo bin", WAREHOUSE_DIR="nowhere")
    commands = ["There is no nowhere/build/usage.duckdb yet", "/dbt build", "/dbt docs generate"]
    assert sorted(commands, key=planned.index) == commands


@pytest.fixture(scope="module")
def documentation(sample, workbench, tmp_path_factory):
    """What the command of ``make docs`` writes: (manifest, catalog, page)."""
    target = tmp_path_factory.mktemp("docs")
    environment = {"WAREHOUSE_DIR": str(sample.warehouse), "DBT_TARGET_PATH": str(target), "DBT_WRITE_JSON": "true"}
    command = workbench.start(
        None,
        target / "output.txt",
        env=environment,
        arguments=("--static",),
        with_tests=True,
        command=("docs", "generate"),
    )
    assert command.wait() == 0, (target / "output.txt").read_text()
    manifest, catalog = (json.loads((target / f"{name}.json").read_text()) for name in ("manifest", "catalog"))
    return manifest, catalog, (target / "static_index.html").read_text(encoding="utf-8")


class TestDocumentation:
    def test_everything_that_holds_rows_is_described(self, documentation):
        manifest, catalog, _ = documentation
        described = {**manifest["nodes"], **manifest["sources"]}
        holding_rows = [n for n in described.values() if n["resource_type"] in ("model", "seed", "source")]
        undescribed = [n["name"] for n in [*holding_rows, *manifest["exposures"].values()] if not n["description"]]
        for name, found in catalog["nodes"].items():
            columns = described[name]["columns"]
            undescribed += [f"{name}.{c}" for c in found["columns"] if not columns.get(c, {}).get("description")]
        assert len(catalog["nodes"]) > 90
        assert undescribed == []

    def test_the_descriptions_are_the_comments_of_the_published_file(self, documentation, sample):
        manifest, *_ = documentation
        nodes = [
            n
            for n in manifest["nodes"].values()
            if n["resource_type"] in ("model", "seed") and n["config"]["persist_docs"].get("relation")
        ]
        described = {(n["schema"], n["name"], ""): n["description"] for n in nodes} | {
            (n["schema"], n["name"], column): terms["description"]
            for n in nodes
            for column, terms in n["columns"].items()
        }
        found = sample.rows(
            "select schema_name, table_name, '', comment from duckdb_tables() union all "
            "select schema_name, view_name, '', comment from duckdb_views() union all "
            "select schema_name, table_name, column_name, comment from duckdb_columns()"
        )
        assert len(described) > 500
        assert {row[:3]: row[3] for row in found if row[3]} == described

    def test_the_constraints_of_contracts_are_those_of_the_tables(self, documentation, sample):
        manifest, *_ = documentation
        promised = {
            (node["schema"], node["name"], column)
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model" and node["config"]["materialized"] in ("table", "incremental")
            for column, terms in node["columns"].items()
            if any(constraint["type"] == "not_null" for constraint in terms["constraints"])
        }
        kept = sample.rows("select schema_name, table_name, column_name from duckdb_columns() where not is_nullable")
        assert len(promised) > 30
        assert promised == set(kept)

    def test_each_description_starts_with_the_grain(self, documentation):
        manifest, *_ = documentation
        models = [n for n in manifest["nodes"].values() if n["resource_type"] == "model"]
        assert [n["name"] for n in models if not n["description"].startswith("One row")] == []

    def test_every_mart_answers_to_an_owner_a_tag_and_a_contract(self, documentation):
        manifest, *_ = documentation
        marts = [n for n in manifest["nodes"].values() if n["resource_type"] == "model" and n["schema"] == "marts"]
        assert len(marts) > 20
        assert [n["name"] for n in marts if not (n["group"] and n["tags"] and n["contract"]["enforced"])] == []

    def test_every_column_of_a_mart_is_covered_by_a_test(self, documentation):
        manifest, *_ = documentation
        untested = untested_columns(manifest)
        assert untested == [], HOW_TO_ADD.format(columns="\n  ".join(untested))

    def test_a_new_column_is_untested_until_a_test_states_its_value(self, documentation):
        manifest = copy.deepcopy(documentation[0])
        mart = manifest["nodes"]["model.embedded_usage.months"]
        mart["columns"]["quarter"] = {"name": "quarter"}
        assert "months.quarter" in untested_columns(manifest)

        unit_test = manifest["unit_tests"]["unit_test.embedded_usage.months.months_are_six_at_least"]
        unit_test["expect"]["rows"][0]["quarter"] = None
        manifest["nodes"]["a data test"] = data_test = {
            "resource_type": "test",
            "attached_node": "model.embedded_usage.months",
            "column_name": "quarter",
            "test_metadata": {"name": "not_null"},
        }
        assert "months.quarter" in untested_columns(manifest)

        data_test["test_metadata"]["name"] = "accepted_values"
        assert "months.quarter" not in untested_columns(manifest)
        del manifest["nodes"]["a data test"]
        unit_test["expect"]["rows"][0]["quarter"] = "2025-Q3"
        assert "months.quarter" not in untested_columns(manifest)

    def test_every_mart_is_in_the_lineage_of_an_exposure(self, documentation):
        manifest, *_ = documentation
        seen, reached = [name for exposure in manifest["exposures"] for name in manifest["parent_map"][exposure]], set()
        while seen:
            name = seen.pop()
            if name not in reached:
                reached.add(name)
                seen += manifest["parent_map"].get(name, [])
        marts = {
            name for name, n in manifest["nodes"].items() if n["schema"] == "marts" and n["resource_type"] == "model"
        }
        assert marts - reached == set()

    def test_the_page_opens_from_disk_and_holds_every_description(self, documentation):
        manifest, _, page = documentation
        assert re.findall(r"<(?:script|link)[^>]+(?:src|href)=[\"']?(?:https?:)?//[^\"' >]+", page) == []
        missing = [
            n["name"]
            for n in manifest["nodes"].values()
            if n["resource_type"] in ("model", "seed") and json.dumps(n["description"]).strip('"') not in page
        ]
        assert missing == []


def test_what_several_models_say_of_a_column_is_written_once():
    """In models/_columns.md, named by doc(): so one text cannot be changed in one model and stay in the next."""
    files = [yaml.safe_load(p.read_text()) for f in ("models", "seeds/rules") for p in (PROJECT / f).rglob("*.yml")]
    models = [model for file in files for kind in ("models", "seeds") for model in file.get(kind, [])]
    columns = [(m["name"], c["name"], " ".join(c["description"].split())) for m in models for c in m.get("columns", [])]
    texts = Counter((column, text) for _, column, text in columns)
    assert [text for text, models in texts.items() if models > 1 and "doc(" not in text[1]] == []

    blocks = re.findall(r"{% docs (\w+) %}", (PROJECT / "models" / "_columns.md").read_text())
    named = Counter(name for *_, text in columns for name in re.findall(r"doc\('(\w+)'\)", text))
    assert [name for name in blocks if named[name] < 2] == []


GUIDES = ("CONTRIBUTING.md", "tests/README.md")


def code_of(guide):
    """Every word that a guide sets as code, in backticks or in a block."""
    text = (PROJECT / guide).read_text(encoding="utf-8")
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [*blocks, *inline]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_path_that_a_guide_names_exists(guide):
    """A path has a slash or the ending of a source file; what make and dbt write is not in the repository."""
    folder = (PROJECT / guide).parent
    words = {word.strip("(),:;") for code in code_of(guide) for word in code.split()}
    written = (".venv/", "target/", "warehouse/")
    paths = {
        word
        for word in words
        if re.fullmatch(r"[\w.][\w./*-]*", word)
        and ("/" in word or re.search(r"\.(py|sql|ya?ml|csv|md|toml|txt|jinja)$", word))
        and not word.startswith(written)
    }
    assert len(paths) > 5
    assert [path for path in sorted(paths) if not any(folder.glob(path)) and not any(PROJECT.glob(path))] == []


@pytest.mark.parametrize("guide", [*GUIDES, "README.md"])
def test_every_make_command_that_a_guide_names_is_a_target(guide):
    targets = set(re.findall(r"^([a-z][\w-]*):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for code in code_of(guide) for name in re.findall(r"\bmake ([a-z][\w-]*)", code)}
    assert named - targets == set()


PAGES = [
    *PROJECT.glob("*.md"),
    *(path for folder in ("docs", "benchmarks", "tests", "dashboard") for path in (PROJECT / folder).rglob("*.md")),
]


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_between_pages_resolves():
    broken = []
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            target, _, anchor = link.partition("#")
            if "://" in link:
                continue
            path = page.parent / target if target else page
            if not path.exists() or (anchor and anchor not in anchors(path)):
                broken.append(f"{page.relative_to(PROJECT)}: {link}")
    assert len(PAGES) > 80
    assert broken == []


def test_every_test_file_is_listed_with_its_claim():
    """In a row of a table of tests/README.md: the file, and what it protects."""
    folder = PROJECT / "tests"
    rows = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    listed = [row[1] for line in rows if (row := re.fullmatch(r"\| `([\w/.]+)` \| \S.* \|", line))]
    files = [*folder.glob("test_*.py"), *folder.glob("data/**/*.sql")]
    assert sorted(listed) == sorted(path.relative_to(folder).as_posix() for path in files)


def test_engine_differences_live_in_as_many_macros_as_the_page_says_and_in_no_model():
    macros = "".join(path.read_text() for path in (PROJECT / "macros").rglob("*.sql"))
    on_spark = len(re.findall(r"\{% macro spark__", macros))
    assert f"{on_spark} of Spark's, and one materialization" in (PROJECT / "docs" / "growing-up.md").read_text()
    models = {path: path.read_text().lower() for path in (PROJECT / "models").rglob("*.sql")}
    assert len(models) > 90
    assert [path.name for path, text in models.items() if re.search("spark|duckdb|target[.]type", text)] == []
