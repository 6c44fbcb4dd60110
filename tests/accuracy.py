"""Writes docs/accuracy.md from the figures that `make proof` and `make mutants` left in target/."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import jinja2
from reference.compiled import PROJECT
from test_published_examples import EXAMPLES

HERE = Path(__file__).parent
PAGE = PROJECT / "docs" / "accuracy.md"
TITLES = {"rules": "the rule book", "metering": "metering", "marts": "marts"}
KINDS = ("comparison with the reference", "unit test", "data test", "contract", "the build stops", "does not end")


def main() -> int:
    """Write the page; 1 where a figure is missing, or is of a part only."""
    figures = {}
    for name in ("proof", "mutants"):
        path = PROJECT / "target" / f"{name}.json"
        if not path.exists():
            print(f"{path.relative_to(PROJECT)} is not there: run make {name} first.")
            return 1
        figures[name] = json.loads(path.read_text())
    if figures["mutants"]["sample"]:
        print("target/mutants.json is of a sample only: run make mutants without --sample.")
        return 1
    PAGE.write_text(page(**figures))
    return 0


def page(proof: dict, mutants: dict) -> str:
    """The page in Markdown."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.filters |= {"n": "{:,}".format, "share": "{:.1%}".format}
    with (HERE / "reference" / "found.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    decisions = ("metering.metered_steps", "metering.metered_jobs", "metering.metered_requests")
    return environment.get_template("accuracy.md.jinja").render(
        proof=proof,
        mutants=mutants,
        found=found,
        titles=TITLES,
        kinds=KINDS,
        examples=len(EXAMPLES),
        other_rows=sum(n for relation, n in proof["compared"].items() if relation not in decisions),
    )


if __name__ == "__main__":
    sys.exit(main())
