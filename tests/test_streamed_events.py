"""Events of the platform's stream are told apart by shape: API logs are requests, and other events are ignored.

One build, and a second one over one more file. The figures are worked out by hand.
"""

from __future__ import annotations

import json
import re

import duckdb
import pytest
import yaml
from builders import (
    API_REQUEST,
    CUSTOMER,
    NOON,
    SALESFORCE,
    collection,
    customer,
    job,
    request,
    streamed,
    without_steps,
    world,
)
from building import PROJECT, verify
from reference.files import write_text, write_world

MACROS = (PROJECT / "macros/intake/streamed_jobs.sql").read_text(encoding="utf-8")
FOLDER = f"job_history/{CUSTOMER}"
LATER = "2026-03-10T13:00:00Z"


def log(id: str | None, **fields) -> dict:
    """A log of a proxied request, as the platform may write it."""
    return {
        "id": id, "workspace": {"id": CUSTOMER}, "timestamp": NOON, "collection_type": "Proxy", "code": 200,
        "endpoint": "/orders", "client": "Shop",
    } | fields  # fmt: skip


def activity(id: int, **fields) -> dict:
    return {
        "id": id, "timestamp": NOON, "event_type": "recipe_started", "workspace": {"id": CUSTOMER, "name": "Acme"},
        "user": {"id": 5, "name": "Ada"}, "details": {"activity": "started"}, "resource": {"id": 7, "type": "Flow"},
    } | fields  # fmt: skip


def nested(id: str | None, *lines, **fields) -> dict:
    ((_, row),) = without_steps(job(id, **fields))
    parts = [{"recipe_line_number": n, "adapter_name": a, "adapter_operation": o} for n, (a, o) in enumerate(lines)]
    return {**row, "lines": parts}


FILES = {
    "jobs.json": [
        nested("called", API_REQUEST, SALESFORCE),
        # as a job that lacks its id; it is no event of another kind
        {"account_id": CUSTOMER, "recipe_id": "recipe", "status": "succeeded", "started_at": NOON},
    ],
    "logs.json": [
        log("proxied"),
        log("refused", code=401, gateway_code=4011),
        log("linked", collection_type="Recipe", job_details="https://app.workato.com/recipes/7/job/called"),
        log("in both"),
        log("tool", collection_type="Recipe", api_collection={"id": "collection", "name": "Tools"}),
        # unusable ones
        log("without time", timestamp="noon"),
        log(None),
        log("without type", collection_type=None),
        log("without job", job_details="https://app.workato.com/recipes/7"),
    ],
    # the same request again, and activities among the jobs of a wrapper
    "more.json": [{"logEntries": [log("proxied"), activity(1), nested("also", SALESFORCE)]}, activity(2)],
    "activity.json": [activity(3), {"event": "login", "user": {"id": 5}}],
}
LAST = {"late.json": [log("late", timestamp=LATER), activity(4)]}


def write(extracts, files) -> None:
    for name, rows in files.items():
        write_text(extracts / FOLDER / name, "".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def built(workbench):
    extracts = workbench.clear_extracts()
    flat = world(customer(), collection(), request("in both", request_type="proxy"), streamed([{}]))
    flat.pop("job_history")
    write_world(flat, extracts, "csv", split=1, ragged=False)
    write(extracts, FILES)
    return workbench.build(extracts)


@pytest.fixture(scope="module")
def again(workbench, built):
    write(workbench.extracts, LAST)
    return workbench.build(workbench.extracts, onto=built)


def test_api_logs_are_requests_and_count_once(built):
    found = built.rows(
        "select request_id, request_type, is_mcp, job_id, is_job_known, is_successful, rule_id, metric, quantity "
        "from metering.metered_requests order by request_id"
    )
    assert found == [
        ("in both", "proxy", False, None, False, True, "R-PROXY", "api_calls", 1),
        ("linked", "managed", False, "called", True, True, "R-JOB", None, 0),
        ("proxied", "proxy", False, None, False, True, "R-PROXY", "api_calls", 1),
        ("refused", "proxy", False, None, False, False, "R-PROXY", None, 0),
        ("tool", "managed", True, None, False, True, "R-MCP", "mcp_calls", 1),
    ]
    usage = "select api_calls, mcp_calls from marts.monthly_customer_usage where usage_month = '2026-03-01'"
    assert built.rows(usage) == [(3, 1)]  # two proxied ones, and the job that the linked one called


def test_unusable_logs_are_quarantined_with_their_file_and_content(built):
    found = built.rows(
        "select extract_name, file_name, reason, row_content from audit.quarantined_rows order by reason, extract_name"
    )
    assert [row[:3] for row in found] == [
        ("api_requests", f"{FOLDER}/logs.json", "missing id"),
        ("job_history", f"{FOLDER}/jobs.json", "missing id"),
        ("api_requests", f"{FOLDER}/logs.json", "missing request_type"),
        ("api_requests", f"{FOLDER}/logs.json", "unreadable job_id"),
        ("api_requests", f"{FOLDER}/logs.json", "unreadable requested_at"),
    ]
    content = json.loads(found[-1][3])
    assert (content["id"], content["account_id"]) == ("without time", CUSTOMER)
    assert json.loads(content["entry"]) == log("without time", timestamp="noon")


def test_other_events_are_ignored_and_counted(built):
    counts = {
        name: tuple(counts)
        for name, *counts in built.rows(
            "select extract_name, rows_read, rows_used, rows_repeated, rows_quarantined, rows_erased, rows_ignored "
            "from audit.extract_row_counts"
        )
    }
    # three jobs and four other events
    assert counts["jobs"] == (7, 2, 0, 1, 0, 4)
    # nine logs and one of them again, and a row of the extract itself
    assert counts["api_requests"] == (11, 5, 2, 4, 0, 0)
    assert {name for name, row in counts.items() if row[5]} == {"jobs"}
    assert built.rows("select rows_ignored from publication.runs") == [(4,)]
    assert "4 streamed events are ignored: neither jobs nor API logs (rows_ignored of audit.ext" in built.output


def test_the_data_page_shows_them(built, monkeypatch):
    monkeypatch.syspath_prepend(PROJECT)
    from dashboard.site import write_site

    write_site(built.warehouse)
    page = (built.warehouse / "dashboard" / "data.html").read_text(encoding="utf-8")
    assert "Rows read = used + repeated + quarantined + ignored, for each" in page
    assert ">Ignored</th>" in page


def test_a_later_run_adds_what_is_new_and_equals_a_full_build(again):
    assert "Everything is recomputed" not in again.output
    assert again.rows(
        "select extract_name, rows_read, rows_used, rows_ignored from audit.extract_row_counts "
        "where extract_name in ('jobs', 'api_requests') order by all"
    ) == [("api_requests", 12, 6, 0), ("jobs", 8, 2, 5)]
    usage = "select api_calls from marts.monthly_customer_usage where usage_month = '2026-03-01'"
    assert again.rows(usage) == [(4,)]
    said = verify(again.warehouse, {"settling_seconds": 0, "rule_overrides": False})
    assert said.returncode == 0, said.stdout


# ------------------------------------------------------------------------------- erasing and compacting know the same


def cases() -> list[tuple[str, str]]:
    """The examples of the model's unit test: text and kind of an event."""
    told = yaml.safe_load((PROJECT / "models/base/base_streamed_events_unit_tests.yml").read_text(encoding="utf-8"))
    return [(row["entry"], row["event_kind"]) for row in told["unit_tests"][0]["expect"]["rows"]]


@pytest.fixture
def events(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    import streamed_events

    return streamed_events


@pytest.mark.parametrize(("entry", "kind"), [case for case in cases() if not case[0].startswith('{"ERASED"')])
def test_erasing_and_compacting_tell_events_apart_as_the_models_do(entry, kind, events):
    try:
        value = json.loads(entry)
    except ValueError:
        value = None
    assert events.kind_of(value) == kind
    if value is not None:
        assert duckdb.execute(f"select {events.kind_as_sql('$1')}", [entry]).fetchone() == (kind,)


def test_erasing_reads_the_fields_that_the_models_read(events):
    def listed(name: str) -> tuple[str, ...]:
        return tuple(re.findall(r"'([\w.]+)'", re.search(rf"'{name}': \[(.*?)\]", MACROS, re.DOTALL)[1]))

    assert (
        listed("api_log"), listed("job"), listed("event"), listed("event_detail"),
        listed("account_id"), listed("id"), listed("requested_at"),
    ) == (
        events.API_LOG_FIELDS, events.JOB_FIELDS, events.EVENT_FIELDS, events.EVENT_DETAILS,
        events.ACCOUNTS, events.IDS, events.REQUEST_TIMES,
    )  # fmt: skip
    api_log_fields = MACROS.split("macro api_log_fields()")[1].split("endmacro")[0]
    paths = {path for paths in re.findall(r"\[(.*?)\]", api_log_fields) for path in re.findall(r"'([\w.]+)'", paths)}
    assert paths == {*events.READ_OF_API_LOG, "internal_error"}
