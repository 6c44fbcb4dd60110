"""Mutates outside the models, made by hand: each must be noticed by a test of ``make test``.

    python -m mutants.outside            # from tests/: every mutation of outside.csv
    python -m mutants.outside --only 3   # one of them, by its number

A row names the file, the right text, what stands there instead, and the tests that should notice, as arguments of
pytest. The tests run in a copy of the project; unchanged they pass there in ``make test``. Exit code 1 where a mutation
is not noticed, or its text is not found exactly once.
"""

from __future__ import annotations

import argparse
import csv
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
LEFT_OUT = (".git", ".venv*", "target", "logs", "warehouse", "*_cache", "__pycache__", ".hypothesis")


def main() -> int:
    """Try each mutation and print which were noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="numbers of mutations, from 1")
    asked = parser.parse_args()
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        mutations = list(csv.DictReader(file))
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        shutil.copytree(PROJECT, project, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for number, mutation in enumerate(mutations, start=1):
            if asked.only and number not in asked.only:
                continue
            started = time.monotonic()
            verdict = try_out(project, mutation)
            missed += verdict != "noticed"
            print(f"{number:2} {verdict}, {time.monotonic() - started:.0f} s: {mutation['mutation']}", flush=True)
    print(f"{missed} of {len(asked.only or mutations)} mutations were not noticed")
    return int(missed > 0)


def try_out(project: Path, mutation: dict[str, str]) -> str:
    """Mutation the copy, run the tests, and mend it."""
    path = project / mutation["file"]
    text = path.read_text(encoding="utf-8")
    if text.count(mutation["right"]) != 1:
        return "NOT FOUND exactly once"
    path.write_text(text.replace(mutation["right"], mutation["instead"]), encoding="utf-8")
    try:
        tried = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *shlex.split(mutation["tests"])],
            cwd=project,
            env=os.environ | {"EXTRACTS_DIR": "", "AS_OF_DATE": ""},
            capture_output=True,
            text=True,
        )
    finally:
        path.write_text(text, encoding="utf-8")
    # 1: a test failed. Anything else is no verdict, such as 5, no test chosen.
    return "noticed" if tried.returncode == 1 else f"NOT NOTICED (pytest ended with {tried.returncode})"


if __name__ == "__main__":
    sys.exit(main())
