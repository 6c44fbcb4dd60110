"""What the commands share: the warehouse that they read, the month that they are asked for, how they print numbers."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


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


def number(value: Decimal) -> str:
    """1,234.5, without final zeros."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
