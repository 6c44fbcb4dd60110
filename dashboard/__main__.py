"""Writes the dashboard, or a statement.

python -m dashboard site [WAREHOUSE_DIR]
python -m dashboard statement --customer 1008 --month 2026-08 [--output FILE]
python -m dashboard statements --listed-in FILE
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dashboard.site import say_written, write_site
from dashboard.statement import Unknown, write_statement, write_statements
from dashboard.warehouse import NoWarehouse

PROJECT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Parse the command line and write the site or statement; on an error a sentence and exit code 1."""
    parser = argparse.ArgumentParser(
        prog="dashboard", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    site = commands.add_parser("site", help="the static site, WAREHOUSE_DIR/dashboard")
    site.add_argument("folder", nargs="?", help="the warehouse's folder, else WAREHOUSE_DIR")
    statement = commands.add_parser("statement", help="one customer and month in a file of its own")
    statement.add_argument("--customer", required=True, help="account id of the customer")
    statement.add_argument("--month", required=True, help="calendar month, YYYY-MM")
    statement.add_argument("--output", help="the file to write, else WAREHOUSE_DIR/statements/…")
    statements = commands.add_parser("statements", help="the last full month of each customer that a file lists")
    statements.add_argument("--listed-in", required=True, help="the file: an account id per line; * for all customers")
    asked = parser.parse_args()
    folder = Path(getattr(asked, "folder", None) or os.environ.get("WAREHOUSE_DIR") or PROJECT / "warehouse")
    try:
        if asked.command == "site":
            print(say_written(*write_site(folder)))
        elif asked.command == "statements":
            written, left_out, problems = write_statements(folder, Path(asked.listed_in))
            for text in (*left_out, f"Wrote {written} statements to {folder / 'statements'}."):
                print(text)
            if problems:
                sys.exit("\n".join(problems))
        else:
            print(f"Wrote {write_statement(folder, asked.customer, asked.month, asked.output)}")
    except (NoWarehouse, Unknown) as problem:
        sys.exit(str(problem))
    except OSError as error:  # a read-only folder, a full disk
        sys.exit(f"{error.filename or folder} cannot be written: {error.strerror or error}.")


if __name__ == "__main__":
    main()
