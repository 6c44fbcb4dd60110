"""Reads the prompts of genies: events of their conversations. Each run reads what is newer than the last one read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from extraction import endpoints
from extraction.answers import Record
from extraction.client import Platform
from extraction.endpoints import value_of
from extraction.jobs import read_time
from extraction.listings import fields_of
from extraction.problems import Failure
from extraction.writing import Row, text_of, time_text

COLUMNS = [*endpoints.PROMPT_FIELDS, "account_id", "genie_id", "conversation_id", "extracted_at"]


@dataclass(frozen=True)
class Genie:
    """``account``: whose prompts they are."""

    id: str
    account: str


def read_genies(platform: Platform, own_account_id: str | None) -> list[Genie]:
    """The genies of the workspace. Raises Failure if it is not known whose they are."""
    genies = []
    for record in platform.list(endpoints.GENIES).records:
        account = text_of(value_of(record, endpoints.ACCOUNT_OF_GENIE)) or own_account_id
        if not account:
            raise Failure(
                "The platform does not say to which account its genies belong. Set own_account_id in extraction.toml "
                'to the account id of your workspace, or leave_out = ["genie_prompts"].'
            )
        genies.append(Genie(str(record["id"]), account))
    return genies


def read_prompts(
    platform: Platform, genie: Genie, read_to: str | None, safety_hours: float
) -> tuple[list[Row], str | None]:
    """The prompts since ``read_to``, and the time up to which they are read now."""
    since = read_time(read_to) - timedelta(hours=safety_hours) if read_to else None
    page = platform.list(endpoints.CONVERSATIONS, genie=genie.id)
    rows: list[Row] = []
    for conversation in page.records:
        if not _is_since(value_of(conversation, endpoints.CHANGED_AT), since):
            continue
        id = str(conversation["id"])
        events = platform.list(endpoints.EVENTS, conversation=id)
        for event in events.records:
            if _is_prompt(event) and _is_since(value_of(event, endpoints.PROMPT_FIELDS["sent_at"]), since):
                of = {"account_id": genie.account, "genie_id": genie.id, "conversation_id": id}
                at = {"extracted_at": time_text(events.taken_at)}
                rows.append(fields_of(event, endpoints.PROMPT_FIELDS) | {"sender_type": _sender_of(event)} | of | at)
    return rows, time_text(page.taken_at)


def _is_prompt(event: Record) -> bool:
    return value_of(event, endpoints.EVENT_TYPE) == endpoints.IS_PROMPT


def _sender_of(event: Record) -> str | None:
    """Who sent a prompt; null if its sender is a record without a type."""
    sender = value_of(event, endpoints.PROMPT_FIELDS["sender_type"])
    return None if isinstance(sender, dict) else text_of(sender)


def _is_since(text: object, since: datetime | None) -> bool:
    """Whether a time is not before ``since``, or not known."""
    moment = read_time(text_of(text))
    return since is None or moment is None or moment >= since
