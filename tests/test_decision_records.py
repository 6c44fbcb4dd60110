"""Each decision has a record in docs/decisions, and what it decides about links to the record.

A rule row links by its column decision_records, a model by its meta, other code by a comment or docstring.
"""

import csv
import re

import pytest
import yaml
from building import PROJECT

FOLDER = PROJECT / "docs" / "decisions"
RECORDS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
PARTS = ["Context", "Decision", "Rejected alternative", "Example"]
OPTIONAL_PART = "To choose otherwise"
RULE_ID = r"[A-Z]\d+|[A-Z]+(?:-[A-Z]+)+"
LINKING_FOLDERS = ("models", "macros", "plugins", "seeds", "dashboard", "extraction", "scripts", "tests", "profiles")
LINKING_FILES = ("dbt_project.yml", "pyproject.toml")

# The readings that the counting rules mark as our decision ("D"), as far as the models implement them: each record and
# its rule. Taken from the rules by hand.
DECIDED = {
    "g9-repeated-deliveries": "G9",
    "g10-running-jobs": "G10",
    "g11-test-jobs": "G11",
    "g12-usage-date": "G12",
    "g13-admin-and-unlisted-accounts": "G13",
    "s-event-batch": "S-EVENT-BATCH",
    "s-pages-missing-counts": "S-PAGES",
    "s-unruled": "S-UNRULED",
    "s-unknown": "S-UNKNOWN",
    "s-action-batch-actions": "S-ACTION",
    "j-fn-nested": "J-FN-NESTED",
    "j-fn-orphan": "J-FN-ORPHAN",
    "j-fn-both-call-modes": "J-FN-SYNC-API",
    "r-proxy-refused-requests": "R-PROXY",
    "trend-windows-and-ties": "TAB-TASKS",
    "app-names": "TAB-APPS",
    "tab-clones": "TAB-CLONES",
    "c-term-in-force": "C-TERM",
    "c-ratio-credits": "C-RATIO",
    "term-limit-usage": "C-ALLOWANCE",
    "c-terms-as-rows": "C-TASK-RULES",
    "c-workflow-task": "C-WORKFLOW-TASK-ADDITIVE",
    "c-mcp-asset": "C-MCP-ASSET",
    "c-period": "C-PERIOD",
    "c-allowance": "C-ALLOWANCE",
    "c-prorate": "C-PRORATE",
    "c-level": "C-LEVEL",
    "c-pool": "C-POOL",
    "c-hvr": "C-HVR",
    "c-value": "C-VALUE",
    "c-unpriced": "C-UNPRICED",
    "redelivered-terms-and-seats": "R-GO",
}


def rules_of(record):
    """The rule ids in a record's title: those before its colon."""
    title = record.read_text(encoding="utf-8").partition("\n")[0]
    return re.findall(rf"\b(?:{RULE_ID})(?![\w-])", title.partition(":")[0]) if ":" in title else []


def rule_rows():
    rows = []
    for seed in ("decision_rules", "contract_rules"):
        with (PROJECT / "seeds/rules" / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return rows


def records_of(row):
    """The paths that a rule row names."""
    return [path for path in row["decision_records"].split(", ") if path]


def links():
    """(path of a record, file) for each place outside docs that names a record."""
    paths = [PROJECT / name for name in LINKING_FILES]
    for folder in LINKING_FOLDERS:
        paths += [p for p in (PROJECT / folder).rglob("*") if p.suffix in (".sql", ".yml", ".csv", ".py", ".md")]
    return {
        (link, path.relative_to(PROJECT).as_posix())
        for path in paths
        for link in re.findall(r"docs/decisions/[\w-]+\.md", path.read_text(encoding="utf-8", errors="replace"))
    }


def test_everything_that_the_counting_rules_leave_to_us_has_a_record():
    recorded = {(record.stem, rule) for record in RECORDS for rule in rules_of(record)}
    assert set(DECIDED.items()) - recorded == set()


def test_every_rule_without_a_published_source_names_its_record():
    assert [row["rule_id"] for row in rule_rows() if row["basis"] == "D" and not records_of(row)] == []


def test_a_rule_row_and_its_records_name_each_other():
    for row in rule_rows():
        about = {f"docs/decisions/{record.name}" for record in RECORDS if row["rule_id"] in rules_of(record)}
        assert set(records_of(row)) == about, row["rule_id"]


def test_every_link_to_a_record_resolves():
    assert sorted((link, file) for link, file in links() if not (PROJECT / link).is_file()) == []


def test_every_record_is_linked_from_what_it_decides_about():
    linked = {link for link, _ in links()}
    assert [record.name for record in RECORDS if f"docs/decisions/{record.name}" not in linked] == []


def test_every_contract_rule_is_in_a_seed_a_model_and_a_unit_test():
    """A row of contract_rules names the model; the model, or its description, and a unit test name the rule."""
    with (PROJECT / "seeds/rules/contract_rules.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15
    for row in rows:
        rule = re.compile(rf"\b{row['rule_id']}(?![\w-])")
        (model,) = (PROJECT / "models").rglob(f"{row['model']}.sql")
        texts = model.read_text(encoding="utf-8") + model.with_suffix(".yml").read_text(encoding="utf-8")
        assert rule.search(texts), f"{row['rule_id']} is not in {model.name} or its description"
        tests = [path.read_text(encoding="utf-8") for path in (PROJECT / "models").rglob("*_unit_tests.yml")]
        assert any(rule.search(text) for text in tests), f"no unit test names {row['rule_id']}"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_every_record_has_the_same_parts(record):
    text = record.read_text(encoding="utf-8")
    title, *parts = re.findall(r"^#+ .*$", text, re.MULTILINE)
    assert title.startswith("# ")
    assert [part for part in parts if part != f"## {OPTIONAL_PART}"] == [f"## {part}" for part in PARTS]
    assert f"## {OPTIONAL_PART}" not in parts[:-1]
    assert all(part.strip() for part in re.split(r"^## .*$", text, flags=re.MULTILINE)), "an empty part"


def test_the_index_lists_every_record_with_its_rules():
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (.*?) ?\| \S.* \| \[([\w-]+)\]\(\2\.md\) \|$", index, re.MULTILINE)
    expected = [(", ".join(rules_of(record)), record.stem) for record in RECORDS]
    assert sorted((rules.strip(), name) for rules, name in listed) == sorted(expected)


def test_every_variable_that_a_record_names_is_an_option():
    """``variable `name``` and ``variable `name: value```; names in capitals are of the environment."""
    declared = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    named = {
        (name, record.stem)
        for record in RECORDS
        for name in re.findall(r"[Vv]ariables? `([a-z_]+)(?:: \w+)?`", record.read_text(encoding="utf-8"))
    }
    assert len(named) > 8
    assert sorted((name, record) for name, record in named if name not in declared) == []
