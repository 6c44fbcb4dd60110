"""``make explain`` says why a job or a month counted: from the published file, without dbt, and ids are data."""

from __future__ import annotations

import csv
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from building import PROJECT, Build, run_make
from samples import sampled

# Neither shell, make nor SQL may read any of it.
HOSTILE = [
    "'; touch {file}; '",
    '"; touch {file}; "',
    "$(touch {file})",
    "`touch {file}`",
    "$(shell touch {file})",
    "$HOME $$ # \\ two  spaces ",
    "x' or 1 = 1 --",
    "getvariable('customer_id')",
    "--month=2026-08",
]


@pytest.fixture
def project(sample: Build, tmp_path: Path) -> Path:
    """A folder with no more than the command needs: script, analyses, names of figures, a published warehouse."""
    folder = tmp_path / "project"
    shutil.copytree(PROJECT / "analyses", folder / "analyses")
    shutil.copytree(PROJECT / "seeds" / "labels", folder / "seeds" / "labels")
    for path in ("scripts/explain.py", "plugins/asking.py", "plugins/labels.py"):
        (folder / path).parent.mkdir(exist_ok=True)
        shutil.copyfile(PROJECT / path, folder / path)
    (folder / "warehouse").mkdir()
    shutil.copyfile(sample.published, folder / "warehouse" / "usage.duckdb")
    return folder


def run(*arguments: str, project: Path = PROJECT, folder: Path | None = None, **environment: str):
    """Call the script in the current folder ``folder``, by default the project's."""
    return subprocess.run(
        [sys.executable, "-B", project / "scripts" / "explain.py", *arguments],  # as make explain
        cwd=folder or project,
        env={name: value for name, value in os.environ.items() if name != "WAREHOUSE_DIR"} | environment,
        capture_output=True,
        text=True,
    )


def make(target: str, *variables: str, warehouse: Path, **environment: str):
    """Call make as a user does, with the environment that runs the tests."""
    options = [f"--assume-old={sys.prefix}/run.stamp", f"VENV={sys.prefix}"]
    return run_make(target, *options, *variables, **({"WAREHOUSE_DIR": str(warehouse)} | environment))


def cells(line: str) -> list[str]:
    """A line's cells. Columns stand two spaces apart or more."""
    return re.split("  +", line.strip())


# ------------------------------------------------------------------------------------------------- what it says


def test_the_readme_shows_what_it_prints(sample):
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"```\n(Job j-example-14 .*?)```", readme, re.DOTALL)[1]
    printed = make("explain", "JOB=j-example-14", warehouse=sample.warehouse).stdout
    # In the README a cell may be cut by …, and a line of … stands for any lines.
    pattern = "\n".join(
        "(?s:.*)" if line == "…" else "\t".join(re.escape(cell).replace("…", ".*") for cell in cells(line))
        for line in shown.replace("… ", "…  ").splitlines()
    )
    assert re.fullmatch(pattern, "\n".join("\t".join(cells(line)) for line in printed.splitlines()))


def test_a_month_counts_what_the_walkthrough_counted_by_hand(sample):
    """docs/usage-metrics-tab.md: three jobs of a trigger, an e-mail and a log line; Logger is not eligible."""
    printed = make("explain", "CUSTOMER=1006", "MONTH=2026-09", warehouse=sample.warehouse).stdout.splitlines()
    assert printed[0].endswith(", 2026-09")
    assert printed[-1] == "  The month in marts.monthly_customer_usage: 6 business actions, 6 tasks"
    rows = [cells(line) for line in printed]
    assert ["steps", "6", "6 business actions", "S-ACTION"] in [row[:4] for row in rows]
    assert ["steps, as tasks", "6", "6 tasks"] in [row[:3] for row in rows]


@pytest.mark.parametrize(
    ("customer_id", "said"), [("1001", "3 business actions, 2 tasks"), ("1002", "2 business actions, 1 task")]
)
def test_a_job_id_that_two_customers_have_is_told_apart_by_the_customer(sample, customer_id, said):
    printed = run("--job", "j-shared-id", "--customer", customer_id, WAREHOUSE_DIR=str(sample.warehouse)).stdout
    assert printed.startswith(f"Job j-shared-id of customer {customer_id}: succeeded")
    assert f"  Sum: {said}\n" in printed


def test_every_jobs_lines_add_up_to_what_was_metered(sample, explain):
    metered: dict[tuple, Counter] = {}
    for job, metric, quantity in sample.rows(
        """
        select (customer_id, job_id), metric, quantity from metering.metered_jobs
        union all select (customer_id, job_id), metric, quantity from metering.metered_steps
        union all select (customer_id, job_id), 'tasks', tasks from metering.metered_steps
        """
    ):
        metered.setdefault(job, Counter())[metric] += quantity
    lines = Counter(sample.column("select (customer_id, job_id) from metering.metered_steps"))
    assert len(metered) > 400
    warehouse = sample.connection.cursor()
    for customer_id, job_id in random.Random(0).sample(list(metered), sampled(len(metered))):
        rows = explain.ask(warehouse, "explain_job", job_id=job_id, customer_id=customer_id)
        explained: dict[tuple, Counter] = {}
        for row in rows:
            sums = explained.setdefault((row["customer_id"], row["job_id"]), Counter())
            sums[row["metric"]] += row["quantity"]
            sums["tasks"] += row["tasks"]
        assert next(iter(explained)) == (customer_id, job_id)
        assert explained == {job: metered[job] for job in explained}
        assert len(rows) == sum(1 + lines[job] for job in explained)


def test_every_months_rules_add_up_to_the_mart(sample, explain):
    warehouse = sample.connection.cursor()
    metrics = [metric for metric in explain.UNITS if not metric.endswith("_seats")]
    months = sample.rows(
        f"select customer_id, strftime(usage_month, '%Y-%m'), {', '.join(metrics)} from marts.monthly_customer_usage"
    )
    assert len(months) > 200
    for customer_id, month, *expected in random.Random(0).sample(months, sampled(len(months))):
        sums = Counter()
        for row in explain.ask(warehouse, "explain_month", customer_id=customer_id, month=month):
            sums[row["metric"]] += row["quantity"]
        assert (customer_id, month, *[sums[metric] for metric in metrics]) == (customer_id, month, *expected)


def test_a_recipe_goes_by_the_name_of_its_latest_listing(sample):
    analysis = (PROJECT / "analyses" / "explain_job.sql").read_text(encoding="utf-8")
    recipes = re.search(r"\nrecipes as \((.*?)\n\),", analysis, re.DOTALL)[1]
    listings = duckdb.connect()
    listings.execute("create schema marts")
    listings.execute("""
        create table marts.recipe_history as
        select customer_id, recipe_id, recipe_name, cast(last_listed_at as timestamp) as last_listed_at
        from (values
            ('1', 'renamed', 'before', '2026-07-31'),
            ('1', 'renamed', 'after', '2026-08-31'),
            ('2', 'renamed', 'of another customer', '2026-07-31'),
            ('1', 'without a name at last', 'before', '2026-07-31'),
            ('1', 'without a name at last', null, '2026-08-31')
        ) as listed (customer_id, recipe_id, recipe_name, last_listed_at)
    """)
    assert listings.execute(f"from ({recipes}) order by all").fetchall() == [
        ("1", "renamed", "after"),
        ("1", "without a name at last", None),
        ("2", "renamed", "of another customer"),
    ]
    # In the sample that is what the listings themselves say last.
    listed = "select customer_id, recipe_id, recipe_name from staging.stg_recipes where is_current order by all"
    assert sample.rows(f"from ({recipes}) order by all") == sample.rows(listed)


# ------------------------------------------------------------------------------------------------- what it cannot say


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--job", "nope"], "No job nope in the warehouse {path}. Is it in audit.quarantined_rows?"),
        (
            ["--job", "j-shared-id", "--customer", "1003"],
            "No job j-shared-id of customer 1003 in the warehouse {path}. Is it in audit.quarantined_rows?",
        ),
        (["--job", "j-shared-id"], "Several customers have a job j-shared-id: add CUSTOMER=, one of 1001, 1002."),
        (
            ["--customer", "1008", "--month", "1999-01"],
            "Customer 1008 has no 1999-01 in the warehouse {path}: no usage, and not a customer then. "
            "Its data is as of 2026-11-18.",
        ),
        (["--customer", "1008", "--month", "2026-13"], "MONTH=2026-13 is not a month: write it as 2026-08."),
        (["--customer", "1008", "--month", "2026-8"], "MONTH=2026-8 is not a month: write it as 2026-08."),
        (
            ["--customer", "1008"],
            "Say what to explain: make explain JOB=j-…, or make explain CUSTOMER=… MONTH=2026-08.",
        ),
        (
            ["--job=", "--customer=", "--month="],
            "Say what to explain: make explain JOB=j-…, or make explain CUSTOMER=… MONTH=2026-08.",
        ),
    ],
)
def test_a_question_without_an_answer_gets_a_sentence(sample, arguments, sentence):
    asked = run(*arguments, WAREHOUSE_DIR=str(sample.warehouse))
    assert (asked.returncode, asked.stdout) == (1, "")
    assert asked.stderr == sentence.format(path=sample.published) + "\n"


def test_a_missing_warehouse_is_named(tmp_path):
    asked = run("--job", "j-example-14", WAREHOUSE_DIR=str(tmp_path))
    assert (asked.returncode, asked.stdout) == (1, "")
    assert asked.stderr == f"There is no warehouse at {tmp_path}/usage.duckdb: make build writes it.\n"


# ------------------------------------------------------------------------------------------------- ids are data


def test_ids_reach_make_and_the_warehouse_as_they_were_typed(sample, tmp_path):
    file = tmp_path / "touched"
    for text in HOSTILE:
        value = text.format(file=file)
        sentence = f"No job {value} of customer {value} in the warehouse {sample.published}."
        for asked in (
            make("explain", f"JOB={value}", f"CUSTOMER={value}", warehouse=sample.warehouse),
            make("explain", JOB=value, CUSTOMER=value, warehouse=sample.warehouse),
        ):
            assert asked.stdout == "" and asked.stderr.startswith(sentence), (value, asked.stderr)
        asked = make("statement", f"CUSTOMER={value}", "MONTH=2026-08", warehouse=sample.warehouse)
        assert asked.stderr.startswith(f"There is no customer {value} in {sample.published}"), (value, asked.stderr)
        for month in (f"MONTH={value}", f"MONTH=2026-08{value}"):
            asked = make("explain", "CUSTOMER=1008", month, warehouse=sample.warehouse)
            assert asked.stderr.startswith(f"{month} is not a month"), (value, asked.stderr)
        assert not file.exists(), value


def test_vars_and_folders_reach_make_verify_as_they_were_typed(tmp_path):
    file = tmp_path / "touched"
    for number, text in enumerate(HOSTILE):
        value = text.format(file=file)
        given = ((f"VARS={value}",), {}) if number % 2 else ((), {"VARS": value})
        asked = make("verify", *given[0], warehouse=tmp_path, **given[1])
        sentence = f"The vars {value!r} are not a YAML mapping, such as '{{reporting_timezone: Europe/Berlin}}'."
        assert asked.stdout == f"{sentence}\n", (value, asked.stderr)
        asked = make("verify", f"WAREHOUSE_DIR=/nowhere/{value}", warehouse=tmp_path)
        assert asked.stdout.startswith(f"/nowhere/{value} has no published warehouse"), (value, asked.stderr)
        assert not file.exists(), value


def test_options_reach_a_command_split_and_nothing_in_them_is_run(tmp_path):
    """Of the targets for developers, as make hands them over."""
    file = tmp_path / "touched"
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        "if sys.argv[1] == 'scripts/with_options.py':\n    os.execv(sys.executable, sys.argv)\nprint(sys.argv[2:])\n"
    )
    python.chmod(0o755)
    given = [f"VENV={tmp_path}", *(f"--assume-old={tmp_path}/{stamp}.stamp" for stamp in ("dev", "run")), "--silent"]
    for target, name in (("proof", "PROOF"), ("mutants", "MUTANTS")):
        for text in ("--of 'a b' --sample 3", *HOSTILE):
            value = text.format(file=file)
            typed = make(target, *given, f"{name}={value}", warehouse=tmp_path)
            inherited = make(target, *given, warehouse=tmp_path, **{name: value})
            if value.count("'") % 2:
                refused = f"{name}={value} cannot be split into options: No closing quotation"
                assert all(asked.stderr.startswith(refused) for asked in (typed, inherited))
            else:
                assert typed.stdout == inherited.stdout == f"{shlex.split(value)}\n", (value, typed.stderr)
            assert not file.exists(), value


# ------------------------------------------------------------------------------------------------- what it needs


def test_it_works_without_dbt_from_any_folder_and_writes_no_file(project, tmp_path):
    def files() -> dict[Path, tuple]:
        stats = {path: path.stat() for path in [project, *project.rglob("*")]}
        return {path: (stat.st_size, stat.st_mtime_ns, stat.st_ino) for path, stat in stats.items()}

    before = files()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for arguments in (["--job", "j-example-14"], ["--customer", "1008", "--month", "2026-08"]):
        here, there = [run(*arguments, project=project, folder=folder) for folder in (project, elsewhere)]
        assert (here.returncode, here.stderr) == (0, "")
        assert (there.returncode, there.stdout) == (0, here.stdout)
    # A relative WAREHOUSE_DIR is below the folder where it is asked, as for dbt build; the sentence says which file.
    missing = run("--job", "x", project=project, folder=elsewhere, WAREHOUSE_DIR="other")
    assert missing.stderr == f"There is no warehouse at {elsewhere}/other/usage.duckdb: make build writes it.\n"
    assert files() == before
    assert list(elsewhere.iterdir()) == []


def test_it_imports_neither_dbt_nor_what_is_slow(sample):
    asked = subprocess.run(
        [sys.executable, "-X", "importtime", PROJECT / "scripts" / "explain.py", "--job", "j-example-14"],
        env=os.environ | {"WAREHOUSE_DIR": str(sample.warehouse)},
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in asked.stderr.splitlines()}
    assert "duckdb" in imported
    assert imported & {"dbt", "dashboard", "jinja2", "numpy", "pyarrow"} == set()


@pytest.mark.parametrize(
    ("analysis", "variables"),
    [
        ("explain_job", {"job_id": "j-example-14", "customer_id": None}),
        ("explain_month", {"customer_id": "1008", "month": "2026-08"}),
    ],
)
def test_the_command_in_an_analysis_head_gives_its_rows(sample, explain, project, analysis, variables):
    head, _, query = (PROJECT / "analyses" / f"{analysis}.sql").read_text(encoding="utf-8").partition("*/")
    command = re.search(r"\n\n    (duckdb .*?)\n(?:\n|$)", head, re.DOTALL)[1]
    asked = subprocess.run(
        ["bash", "-c", command],
        cwd=project,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert (asked.returncode, asked.stderr) == (0, "")
    expected = explain.ask(sample.connection.cursor(), analysis, **variables)
    as_text = [{name: "NULL" if value is None else str(value) for name, value in row.items()} for row in expected]
    assert list(csv.DictReader(asked.stdout.splitlines())) == as_text
    assert len(as_text) > 5
    # Plain SQL over published schemas: no Jinja, and not the schema staging.
    assert re.findall(r"[{][{%]", query) == []
    assert set(re.findall(r"\b(?:from|join) (\w+)[.]", query)) <= {"marts", "metering", "audit", "rules"}
