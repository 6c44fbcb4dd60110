"""Runs floor.sql over a folder of extracts, into the database floor.duckdb of another folder.

python benchmarks/floor.py EXTRACTS OUTPUT
"""

import sys
from pathlib import Path

import duckdb

HERE = Path(__file__).resolve().parent


def run(extracts: Path, output: Path) -> Path:
    """Write the tables decisions and monthly_totals; return the database that holds them."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / "floor.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(path) as database:
        database.execute("set variable extracts = ?", [str(extracts)])
        database.execute("set variable rules = ?", [str(HERE.parent / "seeds" / "rules")])
        database.execute((HERE / "floor.sql").read_text())
    return path


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
