"""The settings of a scheduled run, from the environment. docs/scheduling.md describes each variable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from pathlib import Path
from urllib.parse import urlsplit

from asking import read_months

# Of notifications alone: the steps do not get them. Those of make may repeat them.
NOT_OF_STEPS = (
    "MAKEFLAGS",
    "MFLAGS",
    "NOTIFY_WEBHOOK",
    "NOTIFY_EMAIL_TO",
    "NOTIFY_EMAIL_FROM",
    "NOTIFY_FINDINGS",
    "NOTIFY_USAGE_PERCENT",
    "SMTP_HOST",
    "SMTP_PORT",
    "SMTP_USER",
    "SMTP_PASSWORD",
    "SMTP_SECURITY",
)
PORTS = {"starttls": 587, "tls": 465, "none": 25}
FOLDERS = ("EXTRACTS_DIR", "JOB_HISTORY_DIR")
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|WEBHOOK|ACCESS_KEY|ACCOUNT_KEY|CONNECTION_STRING|CREDENTIAL|SAS")
SHORTEST_SECRET = 4  # a shorter value would also occur in words


class SettingsProblem(Exception):
    """A setting is wrong: a sentence that names it, and not the value of a secret."""


@dataclass(frozen=True)
class Mail:
    """How to send an e-mail, and to whom."""

    host: str
    port: int
    security: str
    user: str
    password: str = field(repr=False)
    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """``findings_limit`` and ``usage_from``: None if no notification is wanted."""

    warehouse: Path
    environment: dict[str, str] = field(repr=False)  # of the steps
    variables: str = ""
    statements_for: str = ""
    keeps_months: bool = False
    webhook: str = field(default="", repr=False)
    mail: Mail | None = None
    findings_limit: int | None = None
    usage_from: int | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


def read_settings(environment: Mapping[str, str], project: Path, folder: Path) -> Settings:
    """Settings from an environment. ``folder``: the one in which the command was started; relative paths are below it.

    Raises SettingsProblem.
    """
    given = {name: value.strip() for name, value in environment.items()}
    warehouse = folder / (given.get("WAREHOUSE_DIR") or project / "warehouse")
    of_steps = {name: value for name, value in environment.items() if name not in NOT_OF_STEPS}
    of_steps |= {"WAREHOUSE_DIR": str(warehouse), "PYTHONUNBUFFERED": "1"}
    for name in FOLDERS:
        if given.get(name) and "://" not in given[name]:
            of_steps[name] = str(folder / given[name])
    webhook = given.get("NOTIFY_WEBHOOK", "")
    if webhook and not _is_web_address(webhook):
        raise SettingsProblem("NOTIFY_WEBHOOK is not a web address: write it as https://….")
    statements_for = given.get("STATEMENTS_FOR", "")
    return Settings(
        warehouse=warehouse,
        environment=of_steps,
        variables=given.get("VARS", ""),
        statements_for=str(folder / statements_for) if statements_for else "",
        keeps_months=_keeps_months(given.get("KEEP_MONTHS", "")),
        webhook=webhook,
        mail=_mail(given),
        findings_limit=_number(given, "NOTIFY_FINDINGS"),
        usage_from=_number(given, "NOTIFY_USAGE_PERCENT"),
        secrets=secrets_of(environment),
    )


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values that no log may contain, the longest first."""
    found = {value for name, value in environment.items() if _SECRET.search(name.upper())}
    lines = {line.strip() for value in found for line in (value, *value.splitlines())}
    return tuple(sorted((line for line in lines if len(line) >= SHORTEST_SECRET), key=len, reverse=True))


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _keeps_months(text: str) -> bool:
    """Whether old loads are compacted; the step reads how old."""
    try:
        return bool(text and read_months(text))
    except ValueError as problem:
        raise SettingsProblem(str(problem)) from None


def _number(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name, "")
    if text and not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise SettingsProblem(f"{name} is {text!r}: it must be a whole number, such as 80.")
    return int(text) if text else None


def _mail(given: Mapping[str, str]) -> Mail | None:
    recipients = tuple(part.strip() for part in given.get("NOTIFY_EMAIL_TO", "").split(",") if part.strip())
    if not recipients:
        return None
    sender, host = given.get("NOTIFY_EMAIL_FROM", ""), given.get("SMTP_HOST", "")
    for name, value in (("NOTIFY_EMAIL_FROM", sender), ("SMTP_HOST", host)):
        if not value:
            raise SettingsProblem(f"NOTIFY_EMAIL_TO is set, and {name} is not: set it, too.")
    for name, addresses in (("NOTIFY_EMAIL_TO", recipients), ("NOTIFY_EMAIL_FROM", (sender,))):
        for address in addresses:
            if not _is_mail_address(address):
                raise SettingsProblem(f"{name} has {address!r}: write an e-mail address, such as data@example.com.")
    security = given.get("SMTP_SECURITY", "").lower() or "starttls"
    if security not in PORTS:
        raise SettingsProblem(f"SMTP_SECURITY is {security!r}: it must be starttls, tls or none.")
    user, password = given.get("SMTP_USER", ""), given.get("SMTP_PASSWORD", "")
    if bool(user) != bool(password):
        raise SettingsProblem("Set both SMTP_USER and SMTP_PASSWORD, or neither.")
    if password and security == "none":
        raise SettingsProblem("SMTP_SECURITY=none would send SMTP_PASSWORD unencrypted: set starttls or tls.")
    port = _number(given, "SMTP_PORT")
    return Mail(host, PORTS[security] if port is None else port, security, user, password, sender, recipients)


def _is_mail_address(text: str) -> bool:
    try:
        address = Address(addr_spec=text)
        return bool(address.username and address.domain)
    except (ValueError, IndexError, UnicodeError):
        return False
