"""What the commands share: the warehouse that they read, the month that they are asked for, how they print numbers."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# The current month and the twelve before it: what the marts look back to, and a contract's term of a year.
FEWEST_MONTHS, MOST_MONTHS = 13, 1200


def warehouse_folder() -> Path:
    """WAREHOUSE_DIR, or the project's warehouse, as for dbt build."""
    return Path(os.environ.get("WAREHOUSE_DIR") or PROJECT / "warehouse").absolute()


def no_warehouse(published: Path) -> str:
    """A sentence: there is no such file."""
    unset = "" if os.environ.get("WAREHOUSE_DIR") else " WAREHOUSE_DIR is not set."
    return f"There is no warehouse at {published}: make build writes it.{unset}"


def is_month(text: str) -> bool:
    """Whether a text is a calendar month, such as 2026-07."""
    return bool(re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text))


def read_months(text: str) -> int:
    """KEEP_MONTHS as a number. Raises ValueError with a sentence."""
    months = int(text) if re.fullmatch(r"[0-9]{1,4}", text.strip(), re.ASCII) else 0
    if not FEWEST_MONTHS <= months <= MOST_MONTHS:
        raise ValueError(
            f"KEEP_MONTHS={text} must be a whole number of months from {FEWEST_MONTHS} to {MOST_MONTHS}, such as 25: "
            "the current month and the twelve before it keep their texts, because customers ask about them."
        )
    return months


def number(value: Decimal) -> str:
    """1,234.5, without final zeros."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
