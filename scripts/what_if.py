"""Prints how a month's figures would differ under other rules, terms, ratios or options, and why.

    make what-if MONTH=2026-08 TERMS=credits_2026
    make what-if MONTH=2026-08 RULES=folder OUT=file.csv
    make explain CUSTOMER=1008 MONTH=2026-08 VARS='{task_terms: T1}'

RULES: a folder with tables of the rule book (app_eligibility.csv) or overrides (override_app_eligibility.csv).
TERMS: of every customer on every day. RATIOS: a CSV file in place of the extract credit_ratios. VARS: options.
RULES_AS_OF: a date whose rules apply. They can be combined. With a customer: both sides, rule by rule. Reads the
published warehouse, and writes only OUT. Exit code 0, or 1 with a sentence.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import yaml

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "plugins"))

from asking import is_month, no_warehouse, number, warehouse_folder  # noqa: E402
from conversion import Problem  # noqa: E402
from deciding_models import compile_models  # noqa: E402
from explain import print_table  # noqa: E402
from publishing import project_digests  # noqa: E402
from recounting import BUILD_INSTEAD, OPTIONS, Recount  # noqa: E402
from rule_tables import candidate_tables  # noqa: E402

CAUSES = 3  # of a figure, in the list of all customers


def main() -> int:
    """Parse the command line, recount, and print what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("month", "rules", "terms", "ratios", "vars", "rules_as_of", "out", "customer"):
        parser.add_argument(f"--{name.replace('_', '-')}", default="")
    asked = parser.parse_args()
    try:
        what_if(asked)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def what_if(asked: argparse.Namespace) -> None:
    """Recount the month and print both sides. Raises Problem."""
    if not is_month(asked.month):
        raise Problem(f"MONTH={asked.month} is not a month: write it as 2026-08.")
    if not any((asked.rules, asked.terms, asked.ratios, asked.vars, asked.rules_as_of)):
        raise Problem(
            "Say what would be different: RULES=folder, TERMS=id, RATIOS=file, VARS='{…}' or RULES_AS_OF=date."
        )
    if asked.out and not asked.out.endswith(".csv"):
        raise Problem(f"OUT={asked.out} must be the name of a CSV file, such as what-if.csv.")
    ratios = Path(asked.ratios) if asked.ratios else None
    if ratios and not ratios.is_file():
        raise Problem(f"RATIOS={ratios} is not a file.")
    published = warehouse_folder() / "usage.duckdb"
    if not published.exists():
        raise Problem(no_warehouse(published))
    with tempfile.TemporaryDirectory(prefix="what-if-") as scratch:
        with duckdb.connect(str(published), read_only=True) as warehouse:
            options = options_then(committed_options(warehouse), asked)
            refuse_unknown(warehouse, asked)
            tables = candidate_tables(Path(asked.rules), warehouse, Path(scratch)) if asked.rules else {}
        compiled = compile_models(PROJECT, options, with_ratios=ratios is not None)
        with Recount(published, compiled, asked.month, options) as recount:
            recount.make(tables, asked.terms or None, ratios)
            if asked.out:
                recount.write(Path(asked.out))
            if asked.customer:
                print_customer(recount, asked)
            else:
                print_differences(recount, asked)


def committed_options(warehouse: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The options of the published run. Raises Problem if other models made it."""
    (inputs,) = warehouse.execute("select inputs from run_state.committed_inputs").fetchone()
    inputs = json.loads(inputs)
    if inputs["code"] != project_digests(PROJECT)["code"]:
        raise Problem("Other models, or another DuckDB, built the published warehouse: run a build first.")
    return inputs["options"]


def options_then(published: dict[str, Any], asked: argparse.Namespace) -> dict[str, Any]:
    """The options of the published run with those asked for. Raises Problem for one that needs a build."""
    try:
        chosen = yaml.safe_load(asked.vars or "{}")
    except yaml.YAMLError:
        chosen = None
    if not isinstance(chosen, dict):
        raise Problem(f"VARS={asked.vars} is not a YAML mapping, such as '{{task_terms: T1}}'.")
    if asked.rules_as_of:
        chosen["rules_as_of"] = asked.rules_as_of
    for name, value in chosen.items():
        if name not in published:
            raise Problem(f"There is no var {name} that a what-if can change: it can change {', '.join(OPTIONS)}.")
        if name not in OPTIONS and value != published[name]:
            raise Problem(
                f"The var {name} decides what is read, how jobs are classified, or nothing about a month's figures: "
                f"a what-if can change {', '.join(OPTIONS)}. {BUILD_INSTEAD}."
            )
    if chosen.get("rules_as_of") is not None:
        chosen["rules_as_of"] = str(chosen["rules_as_of"])  # YAML reads it as a date
    if published["rules_as_of"] and chosen.get("rules_as_of", published["rules_as_of"]) != published["rules_as_of"]:
        raise Problem(
            f"The published warehouse applies the rules of {published['rules_as_of']} to all usage, so that its counts "
            f"don't know the rules of another day. {BUILD_INSTEAD}."
        )
    if asked.terms:
        chosen["default_terms"] = asked.terms
    return published | chosen


def refuse_unknown(warehouse: duckdb.DuckDBPyConnection, asked: argparse.Namespace) -> None:
    """Raise Problem if a month has no usage, the customer has none in it, or the rule book has no such terms."""
    month = f"{asked.month}-01"
    query = "select 1 from marts.monthly_figures where usage_month = cast(? as date)"
    if not warehouse.execute(query, [month]).fetchone():
        raise Problem(f"No customer has usage in {asked.month}.")
    if asked.customer and not warehouse.execute(f"{query} and customer_id = ?", [month, asked.customer]).fetchone():
        raise Problem(f"Customer {asked.customer} has no usage in {asked.month}.")
    known = [row[0] for row in warehouse.execute("select distinct terms from rules.terms order by 1").fetchall()]
    if asked.terms and asked.terms not in known:
        raise Problem(f"The rule book has no terms {asked.terms}: it has {', '.join(known)}.")


def print_differences(recount: Recount, asked: argparse.Namespace) -> None:
    """Print each figure that differs, with the rules that contribute most."""
    rows = recount.differences()
    print(f"{asked.month} as published, and with {said(asked)}:")
    if not rows:
        print("  No figure differs.")
        return
    causes = defaultdict(list)
    for customer, metric, rule, subject, now, then in recount.causes():
        causes[customer, metric].append((rule, subject, then - now))
    print_table(
        ("customer", "metric", "now", "then", "difference", "most of it by"),
        [
            (
                customer,
                metric + (f", {call_type.replace('_', ' ')}" if call_type else ""),
                number(now),
                number(then),
                signed(difference),
                "; ".join(
                    f"{' '.join(filter(None, (rule, subject)))} {signed(by)}"
                    for rule, subject, by in sorted(causes[customer, metric], key=lambda cause: -abs(cause[2]))[:CAUSES]
                ),
            )
            for customer, metric, call_type, now, then, difference in rows
        ],
    )
    customers = len({row[0] for row in rows})
    print(f"  {len(rows):,} figures of {customers:,} customers differ.")


def print_customer(recount: Recount, asked: argparse.Namespace) -> None:
    """Print rule by rule what counts for a customer, as published and then."""
    print(f"Customer {asked.customer}, {asked.month}, as published and with {said(asked)}:")
    print_table(
        ("metric", "rule", "of", "now", "then", "difference"),
        [
            (metric, rule or "", subject, number(now), number(then), signed(then - now) if then != now else "")
            for _, metric, rule, subject, now, then in recount.causes(asked.customer)
        ],
    )


def said(asked: argparse.Namespace) -> str:
    """What would be different, as it was asked for."""
    names = ("rules", "terms", "ratios", "vars", "rules_as_of")
    return ", ".join(f"{name.upper()}={getattr(asked, name)}" for name in names if getattr(asked, name))


def signed(value: Decimal) -> str:
    """A number with its sign."""
    return f"+{number(value)}" if value > 0 else number(value)


if __name__ == "__main__":
    sys.exit(main())
