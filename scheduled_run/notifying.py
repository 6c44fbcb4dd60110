"""Messages by webhook and e-mail: on failures, on findings above a limit, and on usage thresholds.

Nothing is sent unless it is configured. A message that cannot be sent is said, and changes nothing else.
"""

from __future__ import annotations

import hashlib
import json
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import date, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from swapping import replace_text

from scheduled_run.settings import Mail, Settings

TIMEOUT = 20  # seconds, for each answer of a server
SHOWN = 20  # thresholds in a message
REMEMBERED = timedelta(days=100)  # after which a threshold is forgotten; no older one is read


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected message would be sent as a question, without its text."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def send(settings: Settings, subject: str, text: str) -> list[dict[str, str]]:
    """Send a message by each configured way. Returns for each: {"by", "result": sent or failed, "said": a sentence}."""
    ways = []
    if settings.webhook:
        ways.append(("webhook", urlsplit(settings.webhook).hostname, lambda: _post(settings.webhook, subject, text)))
    if mail := settings.mail:
        ways.append(("e-mail", mail.host, lambda: _mail(mail, subject, text)))
    results = []
    for by, host, way in ways:
        problem = way()
        said = f"Notification by {by} through {host} " + (f"failed: {problem}." if problem else "sent.")
        results.append({"by": by, "result": "failed" if problem else "sent", "said": said})
    return results


def _post(address: str, subject: str, text: str) -> str:
    """Post a message as Slack-compatible JSON. Returns what failed, or an empty text; never the address, a secret."""
    escaped = f"{subject}\n{text}".replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = json.dumps({"text": escaped}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json; charset=utf-8"})
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=TIMEOUT):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"the server answered {error.code}"
    except urllib.error.URLError as error:
        return _reason(error.reason)
    except (OSError, HTTPException, ValueError) as error:
        return _reason(error)


def _mail(mail: Mail, subject: str, text: str) -> str:
    """Send a message by SMTP. Returns what failed, or an empty text."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = mail.sender, ", ".join(mail.recipients), subject
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(domain=mail.sender.rpartition("@")[2])
    message.set_content(text + "\n")
    try:
        if mail.security == "tls":
            server = smtplib.SMTP_SSL(mail.host, mail.port, timeout=TIMEOUT, context=ssl.create_default_context())
        else:
            server = smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT)
        with server:
            if mail.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if mail.user:
                server.login(mail.user, mail.password)
            refused = server.send_message(message)
            return f"the server refused {', '.join(refused)}" if refused else ""
    except smtplib.SMTPAuthenticationError as error:
        return f"the server refused SMTP_USER and SMTP_PASSWORD (code {error.smtp_code})"
    except smtplib.SMTPResponseException as error:
        return f"the server answered {error.smtp_code}"
    except smtplib.SMTPRecipientsRefused as error:
        return f"the server refused {', '.join(error.recipients)}"
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return _reason(error)


def _reason(error: Any) -> str:
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "__context__", None), TimeoutError):
        return f"no answer within {TIMEOUT} seconds"
    return str(getattr(error, "strerror", None) or error or type(error).__name__).rstrip(".")


# ------------------------------------------------------------------------------------------------------- the message


def compose(
    summary: dict[str, Any], sentences: list[str], said: list[str], thresholds: list[dict[str, Any]], limit: int | None
) -> tuple[str, str] | None:
    """Subject and text of the message about a run; None if there is nothing to tell.

    ``said``: the last lines of the step that failed. ``thresholds``: those that were not told yet. ``limit``: of
    findings and quarantined rows, above which they are told.
    """
    subjects = []
    if summary["exit_code"]:
        subjects.append("scheduled run failed" if summary["exit_code"] > 1 else "scheduled run had problems")
    elif summary["killed_before"]:
        subjects.append("a scheduled run was killed")
    now = summary["published"] if summary["is_published"] else None
    found = sum(now["findings"].values()) + now["rows"]["rows_quarantined"] if now else 0
    if limit is not None and found > limit:
        subjects.append(f"{found:,} findings and quarantined rows")
    if thresholds:
        subjects.append(f"{len(thresholds):,} usage threshold{'' if len(thresholds) == 1 else 's'} reached")
    if not subjects:
        return None
    lines = [*summary["killed_before"], *summary["problems"], *sentences]
    if limit is not None and found > limit:
        lines.append(f"{found:,} findings and quarantined rows, more than {limit:,}: see the dashboard's data page.")
    lines += [_threshold(row) for row in thresholds[:SHOWN]]
    if len(thresholds) > SHOWN:
        lines.append(f"and {len(thresholds) - SHOWN:,} more: marts.usage_thresholds")
    if said:
        lines += ["", f"The last lines of the step {summary['step']}:", *said]
    lines += ["", f"Run {summary['run_id']} on {socket.gethostname()}, log {summary['log']}"]
    return f"Usage warehouse: {', '.join(subjects)}", "\n".join(lines)


def _threshold(row: dict[str, Any]) -> str:
    account = row["account_id"] or row["customer_id"]
    who = "All customers" if account == "*" else f"{row['customer_name'] or 'Customer'} ({account})"
    reached = (
        f"{row['threshold']} % of the allowance"
        if row["threshold_kind"] == "allowance_percent"
        else f"{row['threshold']:,} tasks of recipe {row['recipe_id']}"
    )
    return f"{who}: {reached} on {row['crossed_on']}, in the billing period from {row['period_from']}"


# ---------------------------------------------------------------------------------------- which thresholds were told


def untold(folder: Path, reached: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The thresholds that no message has told yet; of an allowance or recipe and period, the highest only."""
    told = _told(folder)
    highest: dict[tuple, dict[str, Any]] = {}
    for row in reached:
        what = tuple(row[name] for name in ("customer_id", "period_from", "account_id", "recipe_id", "threshold_kind"))
        if _key(row) not in told and (what not in highest or highest[what]["threshold"] < row["threshold"]):
            highest[what] = row
    return list(highest.values())


def remember(folder: Path, reached: list[dict[str, Any]]) -> None:
    """Note that these thresholds were told, as digests: the file names no customer. Raises OSError."""
    told = _told(folder) | {_key(row): str(row["crossed_on"]) for row in reached}
    newest = max((date.fromisoformat(day) for day in told.values()), default=date.min)
    kept = {key: day for key, day in told.items() if newest - date.fromisoformat(day) <= REMEMBERED}
    replace_text(folder / "notified.json", json.dumps(kept, indent=0, sort_keys=True) + "\n")


def _told(folder: Path) -> dict[str, str]:
    with suppress(OSError, ValueError, TypeError, AttributeError):  # none yet, or not ours: tell them again
        found = json.loads((folder / "notified.json").read_text(encoding="utf-8"))
        return {str(key): str(date.fromisoformat(day)) for key, day in found.items()}
    return {}


def _key(row: dict[str, Any]) -> str:
    names = ("customer_id", "period_from", "account_id", "recipe_id", "threshold_kind", "threshold")
    return hashlib.sha256(json.dumps([str(row[name]) for name in names]).encode()).hexdigest()[:32]
