"""The configuration: environment variables, otherwise ``extraction.toml`` in the project's folder."""

from __future__ import annotations

import difflib
import ipaddress
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from extraction.endpoints import LIMITS, REGIONS

FILE = "extraction.toml"
# {key of extraction.toml: (its type, the environment variable that wins over it)}
KEYS: dict[str, tuple[type, str | None]] = {
    "token": (str, "WORKATO_TOKEN"),
    "region": (str, "WORKATO_REGION"),
    "url": (str, "WORKATO_URL"),
    "extracts_dir": (str, "EXTRACTS_DIR"),
    "lines": (bool, "EXTRACT_LINES"),
    "minutes": (float, "EXTRACT_MINUTES"),
    "leave_out": (list, None),
    "own_account_id": (str, None),
    "expired_plan_ids": (list, None),
    "safety_hours": (float, None),
    "threads": (int, None),
    "limits": (dict, None),
}
# What leave_out may contain: extracts, and the names of projects that recipes take from two more endpoints.
PARTS = ("connections", "api_collections", "vendor_usage", "genie_prompts", "project_names")
WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
TEXTS = {
    str: "a text",
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    list: "a list",
    dict: "a table",
}


class SettingsProblem(Exception):
    """The configuration cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """``minutes``: the time budget, None: no end. ``limits``: {group: requests per minute}, 0: no limit.

    ``lines``: whether jobs are read, with their lines. ``safety_hours``: jobs that were newer than so many hours when
    they were read are read again. ``expired_plan_ids``: plans of customers whose subscription has expired.
    """

    url: str
    token: str = field(repr=False)
    extracts: Path
    lines: bool = False
    minutes: float | None = None
    leave_out: tuple[str, ...] = ()
    own_account_id: str | None = None
    expired_plan_ids: tuple[str, ...] = ()
    safety_hours: float = 2.0
    threads: int = 8
    limits: Mapping[str, float] = field(default_factory=lambda: dict(LIMITS))
    notes: tuple[str, ...] = ()


def read_settings(environment: Mapping[str, str], file: Path) -> Settings:
    """The settings of the environment and the file, which may be missing. Raises SettingsProblem."""
    given, notes = _read_file(file)
    for key, (kind, variable) in KEYS.items():
        text = environment.get(variable or "", "").strip()
        if text:
            given[key] = _of_text(text, kind, variable)
    if environment.get("WORKATO_REGION", "").strip() and not environment.get("WORKATO_URL", "").strip():
        given.pop("url", None)
    token = given.get("token", "")
    if not token:
        raise SettingsProblem(
            "There is no token. Set WORKATO_TOKEN to the token of an API client of your admin workspace (admin "
            "console, API clients)."
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsProblem("WORKATO_TOKEN is no token: it has spaces or other characters that no token has.")
    if not given.get("extracts_dir"):
        raise SettingsProblem("EXTRACTS_DIR is not set. Set it to the folder that the extracts are written to.")
    if "://" in given["extracts_dir"]:
        raise SettingsProblem(
            f"EXTRACTS_DIR={given['extracts_dir']} is no local folder, and an extraction writes to one. Streamed job "
            "files may stay where they are: JOB_HISTORY_DIR."
        )
    history = environment.get("JOB_HISTORY_DIR", "").strip()
    own = Path(given["extracts_dir"], "job_history").absolute()
    if given.get("lines") and history and Path(history).absolute() != own:
        raise SettingsProblem(
            f"EXTRACT_LINES=1 writes jobs to {own}, and a run reads them from JOB_HISTORY_DIR={history}. Choose one "
            "source of jobs: of two deliveries of a job the later one counts."
        )
    minutes = given.get("minutes")
    if minutes is not None and not 0 < minutes < float("inf"):
        raise SettingsProblem(f"EXTRACT_MINUTES={minutes:g} is no time budget. Set a number of minutes, such as 90.")
    return Settings(
        url=_address(given),
        token=token,
        extracts=Path(given["extracts_dir"]).absolute(),
        lines=given.get("lines", False),
        minutes=minutes,
        leave_out=_known(given.get("leave_out", []), PARTS, "leave_out"),
        own_account_id=given.get("own_account_id"),
        expired_plan_ids=tuple(map(str, given.get("expired_plan_ids", []))),
        safety_hours=_not_negative(given.get("safety_hours", 2.0), "safety_hours"),
        threads=max(1, given.get("threads", 8)),
        limits=dict(LIMITS) | _limits(given.get("limits", {})),
        notes=notes,
    )


def _read_file(file: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
        mode = file.stat().st_mode
    except FileNotFoundError:
        return {}, ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsProblem(f"{file} cannot be read: {error}.") from error
    _known(list(given), tuple(KEYS), FILE)
    for key, value in given.items():
        kind = KEYS[key][0]
        is_number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if is_number:
            given[key] = float(value)
        elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise SettingsProblem(f"{key} in {file} must be {TEXTS[kind]}.")
    is_open = "token" in given and mode & (stat.S_IRGRP | stat.S_IROTH)
    note = f"Other users of this machine can read the token in {file}: chmod 600 {FILE}."
    return given, (note,) if is_open else ()


def _of_text(text: str, kind: type, variable: str) -> Any:
    if kind is bool:
        if text.lower() not in WORDS:
            raise SettingsProblem(f"{variable}={text} is neither 1 nor 0.")
        return WORDS[text.lower()]
    if kind is float:
        try:
            return float(text)
        except ValueError:
            raise SettingsProblem(f"{variable}={text} is no number.") from None
    return text


def _address(given: Mapping[str, Any]) -> str:
    """The base address of the data centre, without a slash at its end."""
    if given.get("url"):
        parts = urlsplit(given["url"])
        is_plain = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
        if not is_plain or not parts.hostname or parts.username or parts.query or parts.path.strip("/"):
            raise SettingsProblem(
                "WORKATO_URL must be the base address of a data centre, such as https://www.workato.com: https, and "
                "neither path nor password."
            )
        return f"{parts.scheme}://{parts.netloc}"
    region = str(given.get("region", "")).lower()
    if region not in REGIONS:
        said = f"WORKATO_REGION={region} is unknown" if region else "Neither WORKATO_REGION nor WORKATO_URL is set"
        raise SettingsProblem(
            f"{said}. Set WORKATO_REGION to {', '.join(REGIONS)}, or WORKATO_URL to the address in your browser's bar."
        )
    return REGIONS[region]


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _known(names: list[Any], known: tuple[str, ...], where: str) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            meant = f" Do you mean {close[0]}?" if close else f" It may contain: {', '.join(known)}."
            raise SettingsProblem(f"{where} contains {name!r}, which is unknown.{meant}")
    return tuple(names)


def _limits(given: Mapping[str, Any]) -> dict[str, float]:
    _known(list(given), tuple(LIMITS), "limits")
    for name, limit in given.items():
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            raise SettingsProblem(f"limits.{name} must be a number of requests per minute.")
        _not_negative(limit, f"limits.{name}")
    return dict(given)


def _not_negative(number: float, name: str) -> float:
    if not 0 <= number < float("inf"):
        raise SettingsProblem(f"{name} must be a number that is not negative.")
    return number
