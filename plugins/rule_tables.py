"""Reads a folder of rule tables for a what-if, and checks them against the published ones.

``candidate_tables(folder, warehouse, scratch)`` returns the files by table.

Decisions::

    docs/decisions/what-if.md
"""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
from contract_terms import terms_problems
from conversion import Problem, literal
from rule_book import RuleBook, override_problems, table_problems


def candidate_tables(folder: Path, warehouse: duckdb.DuckDBPyConnection, scratch: Path) -> dict[str, Path]:
    """The files of ``folder`` by table of the rule book: ``<table>.csv`` or ``override_<table>.csv``.

    ``scratch``: an empty folder, which receives the rule book that results. Raises Problem with a sentence per error,
    also in the tables that are not in the folder but do not fit those that are.
    """
    if not folder.is_dir():
        raise Problem(f"RULES={folder} is not a folder.")
    files = {path.stem: path for path in sorted(folder.rglob("*.csv"))}
    if not files:
        raise Problem(f"RULES={folder} has no file of the rule book, such as app_eligibility.csv.")
    rules, overrides = scratch / "seeds" / "rules", scratch / "seeds" / "rules" / "overrides"
    overrides.mkdir(parents=True)
    tables = [
        row[0]
        for row in warehouse.execute(
            "select table_name from duckdb_tables() where schema_name = 'rules' and table_name not like 'effective%' "
            "order by all"
        ).fetchall()
    ]
    if unknown := [name for name in files if name not in tables]:
        raise Problem(f"{files[unknown[0]]}: the rule book has no table {unknown[0]}. Its tables: {', '.join(tables)}.")
    for table in tables:
        target = (overrides if table.startswith("override_") else rules) / f"{table}.csv"
        warehouse.execute(f"copy rules.{table} to {literal(target)} (header, delimiter ',')")
    published = RuleBook(rules)
    problems = [
        problem
        for name, path in files.items()
        if name in published.tables
        for problem in table_problems(published, path)
    ]
    if not problems:
        for name, path in files.items():
            shutil.copyfile(path, (overrides if name.startswith("override_") else rules) / path.name)
        said = "\n".join(filter(None, (override_problems(str(scratch), str(overrides)), terms_problems(str(scratch)))))
        for name, path in files.items():
            said = said.replace(str((overrides if name.startswith("override_") else rules) / path.name), str(path))
        problems = [said] if said else []
    if problems:
        raise Problem("\n".join(problems))
    return files
