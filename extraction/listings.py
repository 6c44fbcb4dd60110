"""Reads the full listings: customers, recipes, connections, API collections; and the vendor's usage.

A listing is written only if every part of it came: a row that is missing would mean that the thing was deleted. All its
rows have one ``extracted_at``, the time of the first answer.
"""

from __future__ import annotations

import calendar
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from extraction import endpoints
from extraction.answers import Record
from extraction.client import Page, Platform
from extraction.endpoints import Endpoint, value_of
from extraction.problems import Failure, NoPermission
from extraction.writing import Row, text_of, time_text

# {column of the contract: field names}, with the columns that are not fields
CUSTOMER_COLUMNS = [*endpoints.CUSTOMER_FIELDS, "subscription_expired", "extracted_at"]
RECIPE_COLUMNS = [*endpoints.RECIPE_FIELDS, "user_id", "project_name", "folder_name", "extracted_at"]
CONNECTION_COLUMNS = [*endpoints.CONNECTION_FIELDS, "user_id", "extracted_at"]
COLLECTION_COLUMNS = [*endpoints.COLLECTION_FIELDS, "account_id", "is_mcp_server", "extracted_at"]
USAGE_COLUMNS = ["account_id", "usage_month", *endpoints.USAGE_FIELDS, "extracted_at"]


@dataclass(frozen=True)
class Part:
    """The rows of one customer, without extracted_at, and when its first page was sent.

    ``problem``: why it could not be read; then the rows are not complete. ``note``: what is missing in the rows.
    """

    rows: list[Row]
    taken_at: datetime | None = None
    problem: str = ""
    note: str = ""


def fields_of(record: Record, fields: dict[str, tuple[str, ...]]) -> Row:
    return {column: text_of(value_of(record, names)) for column, names in fields.items()}


def customer_rows(page: Page, expired_plan_ids: Iterable[str]) -> list[Row]:
    """The rows of the customers. subscription_expired is known only if plans are configured for it."""
    rows = [fields_of(record, endpoints.CUSTOMER_FIELDS) for record in page.records]
    plans = set(expired_plan_ids)
    for row in rows:
        row["subscription_expired"] = text_of(row["plan_id"] in plans) if plans else None
    return rows


def customers_part(read: Callable[[str], Part]) -> Callable[[str], Part]:
    """``read`` with a Failure as the part's problem, so that the other customers continue."""

    def read_or_say(customer: str) -> Part:
        try:
            return read(customer)
        except Failure as problem:
            return Part([], problem=str(problem))

    return read_or_say


def read_connections(platform: Platform, customer: str) -> Part:
    page = platform.list(endpoints.CONNECTIONS, customer=customer)
    rows = [fields_of(record, endpoints.CONNECTION_FIELDS) | {"user_id": customer} for record in page.records]
    return Part(rows, page.taken_at)


def read_recipes(platform: Platform, customer: str, with_names: bool) -> Part:
    """A customer's recipes with the names of their projects and folders.

    If the token may not read projects or folders, the recipes come without these names.
    """
    page = platform.list(endpoints.RECIPES, customer=customer)
    rows = [fields_of(record, endpoints.RECIPE_FIELDS) | {"user_id": customer} for record in page.records]
    names, folders, note = {}, {}, ""
    if with_names and any(row["project_id"] or row["folder_id"] for row in rows):
        try:
            projects = _by_id(platform, endpoints.PROJECTS, customer)
            folders = _by_id(platform, endpoints.FOLDERS, customer)
            names = projects
        except NoPermission as problem:
            note = f"Recipes have no project names. {problem}"
    for row in rows:
        row["project_id"] = row["project_id"] or _project_of(row["folder_id"], folders, names)
        row["project_name"] = text_of(names.get(row["project_id"] or "", {}).get("name"))
        row["folder_name"] = text_of(folders.get(row["folder_id"] or "", {}).get("name"))
    return Part(rows, page.taken_at, note=note)


def _by_id(platform: Platform, endpoint: Endpoint, customer: str) -> dict[str, Record]:
    return {str(record["id"]): record for record in platform.list(endpoint, customer=customer).records}


def _project_of(folder: str | None, folders: dict[str, Record], projects: dict[str, Record]) -> str | None:
    """The project of a folder: its own, or that of the nearest folder above."""
    of_folder = {text_of(value_of(project, endpoints.FOLDER_OF_PROJECT)): id for id, project in projects.items()}
    seen: set[str] = set()
    while folder and folder not in seen:
        seen.add(folder)
        record = folders.get(folder, {})
        project = text_of(value_of(record, endpoints.PROJECT_OF_FOLDER)) or of_folder.get(folder)
        if project:
            return project
        folder = text_of(record.get("parent_id"))
    return None


def read_servers(platform: Platform) -> set[str]:
    """The ids of the API collections that are MCP servers."""
    records = platform.list(endpoints.MCP_SERVERS).records
    return {text_of(value_of(record, endpoints.COLLECTION_OF_SERVER)) or "" for record in records}


def read_collections(platform: Platform, customer: str, servers: set[str] | None) -> Part:
    """A customer's API collections. ``servers``: None if they could not be read."""
    page = platform.list(endpoints.COLLECTIONS, customer=customer)
    rows = []
    for record in page.records:
        row = fields_of(record, endpoints.COLLECTION_FIELDS) | {"account_id": customer}
        said = value_of(record, endpoints.IS_MCP_SERVER)
        if said is None and servers is None:
            raise Failure(f"Whether the API collections of customer {customer} are MCP servers is not known.")
        row["is_mcp_server"] = text_of(row["id"] in (servers or ()) if said is None else said)
        rows.append(row)
    return Part(rows, page.taken_at)


def read_usage(platform: Platform) -> Part:
    """The vendor's tasks of all customers by month."""
    page = platform.list(endpoints.USAGE, identity=lambda record, _: json.dumps(record, sort_keys=True))
    return Part(usage_rows(page.records), page.taken_at)


def read_statistics(platform: Platform, customers: list[str], today: datetime) -> Part:
    """The vendor's tasks and jobs of the customers by month, of the last STATISTICS_MONTHS months."""
    months = today.year * 12 + today.month - endpoints.STATISTICS_MONTHS
    first = f"{months // 12:04}-{months % 12 + 1:02}-01"
    last = f"{today:%Y-%m}-{calendar.monthrange(today.year, today.month)[1]:02}"
    rows, taken_at = [], None
    for start in range(0, len(customers), endpoints.STATISTICS_CUSTOMERS):
        some = customers[start : start + endpoints.STATISTICS_CUSTOMERS]
        body = endpoints.statistics_request(some, first, last)
        page = platform.list(endpoints.STATISTICS, json=body, identity=lambda record, _: json.dumps(record))
        rows += usage_rows(page.records)
        taken_at = taken_at or page.taken_at
    return Part(rows, taken_at)


def usage_rows(records: Iterable[Record]) -> list[Row]:
    """A row for each customer and month. Raises Failure if a record names no customer or no month."""
    rows = []
    for record in records:
        months: Any = value_of(record, endpoints.USAGE_OF_ACCOUNT)
        for month in months if isinstance(months, list) else [record]:
            account = value_of(record, endpoints.USAGE_ACCOUNT)
            named = value_of(month, endpoints.USAGE_MONTH) if isinstance(month, dict) else None
            if account is None or named is None:
                raise Failure(
                    f"A usage record names no customer or no month, and its fields are: {', '.join(record)}. Correct "
                    "the names of USAGE_ACCOUNT and USAGE_MONTH in extraction/endpoints.py."
                )
            row = {"account_id": text_of(account), "usage_month": month_of(str(named))}
            rows.append(row | fields_of(month, endpoints.USAGE_FIELDS))
    return rows


def month_of(text: str) -> str:
    """The first day of a month that is given as 2026-07, a date or a time; another text as it is."""
    is_month = len(text) >= 7 and text[:4].isdigit() and text[4] == "-" and text[5:7].isdigit()
    return f"{text[:7]}-01" if is_month and text[7:8] in ("", "-") else text


def stamped(rows: Iterable[Row], taken_at: datetime) -> list[Row]:
    return [row | {"extracted_at": time_text(taken_at)} for row in rows]
