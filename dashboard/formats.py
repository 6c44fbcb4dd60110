"""Formats figures, months and names as text for people. The CSV files contain the marts' unformatted values."""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_PLAIN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)")  # names that Windows reserves for devices


def number(value: int | Decimal | None, decimals: int = 0) -> str:
    """Digits in groups of three: 1,234. A decimal is rounded half up to ``decimals`` places, without final zeros."""
    if value is None:
        return NOTHING
    if isinstance(value, Decimal):
        value = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
        text = f"{value:,}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:,}"


def credits(value: Decimal | None) -> str:
    """Credits, rounded to two decimals."""
    return number(value, 2)


def money(value: Decimal | None, currency: str | None) -> str:
    """An amount with its currency: 1,234.50 EUR, 150 JPY."""
    if value is None:
        return NOTHING
    text = number(value, 4)
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<2} {currency}" if fraction else f"{text} {currency}"


def percent(share: Decimal | float | None) -> str:
    """A share from 0 to 1 as 16.3%."""
    if share is None:
        return NOTHING
    return f"{Decimal(share * 100).quantize(Decimal('0.1'), ROUND_HALF_UP):,}%"


def percent_reached(share: Decimal | None) -> str:
    """A share from 0 to 1, rounded down: 100% is all of it."""
    if share is None:
        return NOTHING
    return "100%" if share == 1 else f"{Decimal(share * 100).quantize(Decimal('0.1'), ROUND_DOWN)}%"


def month(day: date | None) -> str:
    """Mar 2026."""
    return f"{day:%b %Y}" if day else NOTHING


def day(value: date | None) -> str:
    """18 Nov 2026."""
    return f"{value.day} {value:%b %Y}" if value else NOTHING


def full_day(value: date | None) -> str:
    """3 August 2026."""
    return f"{value.day} {value:%B %Y}" if value else NOTHING


def time(value: datetime | None) -> str:
    """18 Nov 2026, 22:00 UTC."""
    return f"{value.day} {value:%b %Y, %H:%M} UTC" if value else NOTHING


def hours(value: int | None) -> str:
    """Full hours as days and hours: 2 days 20 hours, 1 day, 0 hours."""
    if value is None:
        return NOTHING
    parts = [(value // 24, "day"), (value % 24, "hour")]
    return " ".join(f"{number(count)} {unit}{'' if count == 1 else 's'}" for count, unit in parts if count) or "0 hours"


# What terms bill instead of the other measures of work.
_BILLED_BY = {"tasks_2024": "tasks", "credits_2025": "business actions", "credits_2026": "workflow tasks"}


def billed_by(terms: str) -> str:
    """The measure of work that the terms bill: tasks, business actions or workflow tasks."""
    return _BILLED_BY[terms]


def words(name: str) -> str:
    """A value of the warehouse as readable text: business_actions as business actions, api_calls as API calls."""
    replaced = {"api": "API", "mcp": "MCP", "go": "GO", "idp": "IDP"}
    return " ".join(replaced.get(word, word) for word in name.replace("_", " ").split(" "))


def sentence(name: str) -> str:
    """The same with an initial capital letter."""
    text = words(name)
    return text[:1].upper() + text[1:]


def units(name: str, count: int) -> str:
    """The unit that a rule decides on, with ``count``: 1 step, 2 steps. Tasks are decided on steps and requests."""
    name = name.split(",")[0]
    return (
        {"steps": "step", "jobs": "job", "requests": "request", "days of seats": "day of seats"}[name]
        if count == 1
        else name
    )


def change(now: Any, before: Any) -> dict[str, Any] | None:
    """The change from the previous month: {difference, direction, text, before}; None unless both values exist."""
    if now is None or before is None:
        return None
    difference = now - before
    share = percent(abs(Decimal(difference)) / abs(Decimal(before))) if before else None
    direction = "up" if difference > 0 else "down" if difference < 0 else "same"
    sign = {"up": "+", "down": MINUS, "same": "±"}[direction]
    return {
        "difference": difference,
        "direction": direction,
        "text": f"{sign}{number(abs(difference), 2)}" + (f" ({sign}{share})" if share and difference else ""),
        "before": number(before, 2),
    }


def folder_name(customer_id: str) -> str:
    """A unique folder name for any customer id and file system: the id, or its plain characters and a digest."""
    if _PLAIN_ID.fullmatch(customer_id) and not _RESERVED.fullmatch(customer_id):
        return customer_id
    plain = re.sub(r"[^a-z0-9]+", "-", customer_id.lower()).strip("-")[:40]
    return f"{plain or 'customer'}~{hashlib.sha256(customer_id.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}"
