"""What is wrong with the input is said by file and column before anything is published; a bad row alone stops nothing.

A run that stops leaves the published file byte for byte as it was. A bad row stands in audit.quarantined_rows with its
extract, file, content and reason, and is used by itself once its cause is gone. Whatever a text says stays data.
"""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import jinja2
import pytest
import yaml
from builders import (
    NOON,
    TRIGGER,
    collection,
    connection,
    customer,
    job,
    only_steps,
    prompt,
    publish,
    ratio,
    recipe,
    recommended,
    request,
    seats,
    step,
    subscription,
    vendor_usage,
    without_steps,
    world,
)
from building import PROJECT
from reference.comparison import compare
from reference.files import as_csv, literal, write_nested_jobs, write_parquet, write_text, write_world
from reference.reference import Options

SMALL = world(customer(), job("j-1"), job("j-2"), job("j-3"))
PUBLISHED = b"what was published before"


@pytest.fixture
def stops(build) -> Callable[..., None]:
    """Asserts that a build over the folder stops with a message that holds all the texts, and publishes nothing."""

    def assert_stops(folder: Path | str, *texts: str, **arguments) -> None:
        stopped = build(
            folder, prepare=lambda warehouse: (warehouse / "usage.duckdb").write_bytes(PUBLISHED), **arguments
        )
        assert stopped.exit_code != 0, stopped.output
        for text in texts:
            assert text in stopped.output
        assert "Traceback" not in stopped.output
        assert stopped.published.read_bytes() == PUBLISHED
        assert [path.name for path in stopped.warehouse.glob("usage.*")] == ["usage.duckdb"]

    return assert_stops


@pytest.fixture
def refuses(build) -> Callable[..., None]:
    """Asserts that nothing of the folder is taken in, with a message that holds all the texts. A build begins so."""

    def assert_refuses(folder: Path | str, *texts: str) -> None:
        refused = build(folder, command=("run-operation", "take_in"))
        assert refused.exit_code != 0, refused.output
        for text in texts:
            assert text in refused.output
        assert "Traceback" not in refused.output
        assert not [*refused.warehouse.glob("deliveries/*")]

    return assert_refuses


# ----------------------------------------------------------------------------------------------------------- the folder


def test_a_folder_that_does_not_exist_is_named(refuses, tmp_path):
    refuses(tmp_path / "nowhere", str(tmp_path / "nowhere"), "does not exist")


def test_a_file_in_place_of_the_folder_is_named(refuses, tmp_path):
    write_text(tmp_path / "extracts.csv", "id\n")
    refuses(tmp_path / "extracts.csv", str(tmp_path / "extracts.csv"), "is a file")


def test_an_empty_folder_is_named(stops, extracts):
    extracts.mkdir()
    stops(extracts, str(extracts), "is empty")


@pytest.mark.parametrize("name", ["customers", "jobs", "steps"])
def test_a_required_folder_that_is_missing_is_named(name, refuses, extracts):
    write_world({extract: rows for extract, rows in SMALL.items() if extract != name}, extracts)
    refuses(extracts, str(extracts / name), "is missing")


def test_a_required_folder_without_a_file_is_named(refuses, extracts):
    write_world({extract: rows for extract, rows in SMALL.items() if extract != "jobs"}, extracts)
    write_text(extracts / "jobs/notes.txt", "no extract")
    refuses(extracts, str(extracts / "jobs"), "has no file")


def test_a_warehouse_that_is_a_file_is_named(build, extracts, tmp_path):
    write_world(SMALL, extracts)
    write_text(tmp_path / "warehouse", "a file")
    stopped = build(extracts, env={"WAREHOUSE_DIR": str(tmp_path / "warehouse")})
    assert stopped.exit_code != 0
    assert str(tmp_path / "warehouse") in stopped.output
    assert (tmp_path / "warehouse").read_text() == "a file"


def test_a_warehouse_that_cannot_be_written_is_named(build, extracts):
    """Such as one that another account made, or a disk that is mounted for reading."""
    write_world(SMALL, extracts)
    stopped = build(
        extracts,
        command=("run-operation", "take_in"),
        prepare=lambda warehouse: (warehouse / "build" / "lock").mkdir(parents=True),
    )
    assert stopped.exit_code != 0
    warehouse = stopped.warehouse.parent / "warehouse"
    assert f"WAREHOUSE_DIR={warehouse} cannot be written: [Errno 21] Is a directory: '{warehouse}/build/lock'." in (
        stopped.output
    )
    assert "Traceback" not in stopped.output


# ------------------------------------------------------------------------------------------------------------ the files


@pytest.mark.parametrize("fmt", ["csv", "json", "parquet"])
def test_a_required_column_missing_in_one_of_several_files_is_named_with_the_file(fmt, refuses, extracts):
    write_world(SMALL, extracts, fmt)
    lacking = [{column: value for column, value in SMALL["jobs"][0].items() if column != "recipe_id"}]
    path = extracts / "jobs" / f"lacking.{fmt}"
    if fmt == "parquet":
        write_parquet(path, lacking, dict.fromkeys(lacking[0], "VARCHAR"))
    else:
        write_text(path, as_csv(lacking, lacking[0]) if fmt == "csv" else json.dumps(lacking[0]))
    refuses(extracts, f"lacking.{fmt}", "recipe_id")


def csv_with_an_unclosed_quote(path):
    header = ",".join(SMALL["jobs"][0])
    write_text(path.with_suffix(".csv"), f'{header}\n"j-4,acme\n')


def csv_with_a_field_too_many(path):
    """After many good rows, all of which would be lost with it."""
    row = SMALL["jobs"][0]
    line = ",".join(map(str, row.values()))
    write_text(path.with_suffix(".csv"), f"{','.join(row)}\n" + f"{line}\n" * 100 + f"{line},one more\n")


def csv_with_a_field_too_few(path):
    row = SMALL["jobs"][0]
    line = ",".join(map(str, row.values()))
    write_text(path.with_suffix(".csv"), f"{','.join(row)}\n{line}\nj-4,acme\n")


def csv_that_is_no_utf_8(path):
    row = SMALL["jobs"][0]
    text = f"{','.join(row)}\n{','.join(map(str, row.values()))}\n"
    path.with_suffix(".csv").write_bytes(
        text.encode() + text.splitlines()[1].replace("j-1", "j-\xe9").encode("latin-1")
    )


def json_that_breaks_in_the_middle(path):
    good = json.dumps(SMALL["jobs"][0])
    write_text(path.with_suffix(".json"), f'{good}\n{good}\n{{"id": "j-4", "account_id": \n{good}\n')


def json_that_breaks_late(path):
    good = json.dumps(SMALL["jobs"][0])
    write_text(path.with_suffix(".json"), f"{good}\n" * 3000 + '{"id": "j-4", "account\n')


def parquet_of_garbage(path):
    path.with_suffix(".parquet").write_bytes(b"PAR1 and nothing that follows PAR1")


def parquet_cut_short(path):
    whole = path.with_suffix(".parquet")
    with duckdb.connect() as db:
        db.execute(f"copy (select range::varchar as id from range(10000)) to {literal(whole)} (format parquet)")
    whole.write_bytes(whole.read_bytes()[:-20])


def gzip_cut_short(path):
    """Its header can still be read."""
    row = SMALL["jobs"][0]
    lines = "".join(",".join(map(str, {**row, "id": f"j-{n}"}.values())) + "\n" for n in range(5000))
    data = gzip.compress(f"{','.join(row)}\n{lines}".encode())
    path.with_suffix(".csv.gz").write_bytes(data[: len(data) // 2])


def gzip_that_is_none(path):
    path.with_suffix(".json.gz").write_bytes(b'{"id": "j-4"}\n')


@pytest.mark.parametrize(
    "spoil",
    [
        csv_with_an_unclosed_quote,
        csv_with_a_field_too_many,
        csv_with_a_field_too_few,
        csv_that_is_no_utf_8,
        json_that_breaks_in_the_middle,
        json_that_breaks_late,
        parquet_of_garbage,
        parquet_cut_short,
        gzip_cut_short,
        gzip_that_is_none,
    ],
)
def test_a_file_that_cannot_be_parsed_is_named(spoil, refuses, extracts):
    fmt = spoil.__name__.split("_")[0]
    write_world(SMALL, extracts, {"gzip": "json" if "none" in spoil.__name__ else "csv"}.get(fmt, fmt))
    spoil(extracts / "jobs" / "broken")
    refuses(extracts, "broken.")


@pytest.mark.parametrize(
    ("extract", "row", "said"),
    [
        ("jobs", without_steps(job("j", status="done"))[0][1], "have a status that cannot be read, such as 'done'"),
        ("steps", {**only_steps(job())[0][1], "job_id": None}, "have no job_id"),
        ("seats", seats(effective_from="01.03.2026")[0][1], "have an effective_from that cannot be read"),
        ("api_requests", request(request_type="REST")[0][1], "have a request_type that cannot be read, such as 'REST'"),
    ],
    ids=["a status word", "an id", "a date", "a word"],
)
def test_a_large_file_no_row_of_which_can_be_used_is_named(extract, row, said, refuses, extracts):
    """Its rows would all be quarantined, and the run would end as if nothing were wrong."""
    write_world({**SMALL, extract: [row] * 120}, extracts, split=1, ragged=False)
    refuses(extracts, f"{extract}/part-0.csv cannot be parsed: 120 of 120 rows {said}")


def test_a_streamed_file_that_cannot_be_parsed_is_named(stops, extracts):
    write_world({**SMALL, "jobs": [], "steps": []}, extracts)
    write_text(extracts / "job_history/acme/broken.json", '{"id": "j-1", "lines": [{"adapter_name": "sales')
    stops(extracts, "broken.json")


# ---------------------------------------------------------------------------------------------------------- the options


@pytest.mark.parametrize(
    ("variables", "environment", "texts"),
    [
        ({"reporting_timezone": "Mars/Olympus"}, {}, ("reporting_timezone", "Mars/Olympus")),
        ({"task_terms": "T9"}, {}, ("task_terms", "T9")),
        ({"default_terms": "gold"}, {}, ("default_terms", "gold", "credits_2026")),
        ({"prorate_allowances": "perhaps"}, {}, ("prorate_allowances", "perhaps", "true or false")),
        ({"admin_account_ids": "acme"}, {}, ("admin_account_ids", "list")),
        ({}, {"AS_OF_DATE": "the day before yesterday"}, ("AS_OF_DATE", "the day before yesterday")),
        ({"extracts_schema": "landing"}, {}, ("EXTRACTS_DIR", "extracts_schema")),
        ({"reporting_timezon": "Europe/Berlin"}, {}, ("There is no var reporting_timezon", "reporting_timezone")),
        ({"only_stored_deliveries": "perhaps"}, {}, ("only_stored_deliveries", "perhaps", "true or false")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_an_option_that_cannot_be_meant_is_named(variables, environment, texts, stops, extracts):
    write_world(SMALL, extracts)
    stops(extracts, *texts, vars=variables, env=environment)


def test_the_vars_that_are_known_are_those_of_the_project():
    declared = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    answers = []
    macros = (PROJECT / "macros" / "intake" / "options.sql").read_text(encoding="utf-8")
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    environment.from_string(macros, globals={"return": answers.append}).module.known_options()
    (known,) = answers
    assert known.keys() == declared.keys()
    assert {name for name, kind in known.items() if kind == "boolean"} == {
        name for name, value in declared.items() if isinstance(value, bool)
    }


# ----------------------------------------------------------------------------------------------------------- quarantine


def bad(rows):
    return rows[0][1]


# (extract, a bad row, its reason names the column): beside one good row of each extract
BAD_ROWS = [
    ("customers", bad(customer(None)), "missing id"),
    ("customers", bad(customer("bad", created_at="last spring")), "unreadable created_at"),
    ("customers", bad(customer("bad", in_trial="perhaps")), "unreadable in_trial"),
    ("recipes", bad(recipe("bad", user_id="")), "missing user_id"),
    ("recipes", bad(recipe("bad", running="often")), "unreadable running"),
    ("connections", bad(connection("bad", extracted_at="2026-02-30T00:00:00Z")), "unreadable extracted_at"),
    ("connections", bad(connection("bad", authorization_status="lost")), "unknown authorization_status"),
    ("jobs", bad(job("bad", status="sleeping")), "unknown status"),
    ("jobs", bad(job("bad", status=None)), "missing status"),
    ("jobs", bad(job("bad", started_at=NOON, completed_at="soon")), "unreadable completed_at"),
    ("jobs", bad(job("bad", repeat_count="twice")), "unreadable repeat_count"),
    ("jobs", bad(job(None)), "missing id"),
    ("jobs", bad(job("bad", account_id=None)), "missing account_id"),
    ("jobs", bad(job("bad", recipe_id="")), "missing recipe_id"),
    ("steps", bad(only_steps(job("job-without-row"))), "step without job"),
    ("steps", {**bad(only_steps(job())), "line_index": "first"}, "unreadable line_index"),
    ("steps", {**bad(only_steps(job())), "line_index": -1}, "negative line_index"),
    ("steps", {**bad(only_steps(job())), "status": "exploded"}, "unknown status"),
    ("steps", {**bad(only_steps(job())), "job_id": None}, "missing job_id"),
    ("steps", {**bad(only_steps(job())), "duration_seconds": "long"}, "unreadable duration_seconds"),
    ("api_requests", bad(request("bad", requested_at="half past seven")), "unreadable requested_at"),
    ("api_requests", bad(request("bad", request_type="telepathy")), "unknown request_type"),
    ("api_collections", bad(collection("bad", is_mcp_server="unsure")), "unreadable is_mcp_server"),
    ("event_stream_requests", bad(publish("bad", message_count="a few")), "unreadable message_count"),
    ("event_stream_requests", bad(publish("bad", endpoint="shout")), "unknown endpoint"),
    ("genie_prompts", bad(prompt("bad", sent_at=None)), "missing sent_at"),
    ("seats", bad(seats("bad", seats="a dozen")), "unreadable seats"),
    ("seats", bad(seats("bad", seats=-1)), "negative seats"),
    ("seats", bad(seats("bad", product="chairs")), "unknown product"),
    ("subscriptions", bad(subscription(effective_from="someday")), "unreadable effective_from"),
    ("credit_ratios", bad(ratio(credits_per_unit="cheap")), "unreadable credits_per_unit"),
    ("recommended_recipes", bad(recommended(None)), "missing recipe_id"),
    ("vendor_usage", bad(vendor_usage(tasks="many")), "unreadable tasks"),
    ("vendor_usage", bad(vendor_usage(jobs_failed=-1)), "negative jobs_failed"),
    ("vendor_usage", bad(vendor_usage(usage_month="2026-03-02")), "not the first day of a month: usage_month"),
]
GOOD_ROWS = world(
    *(customer(), recipe(), connection(), job(), request(), collection(), publish(), prompt(), seats(), subscription()),
    *(ratio(), recommended(), vendor_usage()),
)


class TestQuarantine:
    """One build over a good row and the bad rows of every extract; each row is delivered twice."""

    @pytest.fixture(scope="class")
    def rows(self):
        mixed = {extract: list(rows) for extract, rows in GOOD_ROWS.items()}
        for extract, row, _ in BAD_ROWS:
            mixed[extract].append(row)
        mixed["job_history"] = [{**bad(job("streamed", status="sleeping")), "lines": []}]
        return {extract: rows if extract == "job_history" else rows * 2 for extract, rows in mixed.items()}

    @pytest.fixture(scope="class")
    def built(self, build, rows):
        return build(rows)

    @pytest.mark.parametrize(
        ("extract", "row", "reason"), BAD_ROWS, ids=[f"{extract}: {reason}" for extract, _, reason in BAD_ROWS]
    )
    def test_a_bad_row_stands_in_quarantine_with_its_file_and_content(self, extract, row, reason, built):
        found = built.rows(
            "select file_name, row_content from audit.quarantined_rows where extract_name = ? and reason = ?",
            extract,
            reason,
        )
        written = {column: str(value) for column, value in row.items() if value not in (None, "", True)}
        if reason == "step without job":  # its columns are named as the models name them
            written = {"job_id": row["job_id"]}
        matching = [content for _, content in found if holds(as_texts(json.loads(content)), written)]
        assert len(matching) == 2
        assert {file_name for file_name, _ in found} == {f"{extract}/part-0.csv"}

    def test_a_bad_streamed_job_stands_there_too(self, built):
        ((file_name, reason, content),) = built.rows(
            "select file_name, reason, row_content from audit.quarantined_rows where extract_name = 'job_history'"
        )
        assert file_name.startswith("job_history/acme/")
        assert (reason, json.loads(content)["id"]) == ("unknown status", "streamed")

    def test_nothing_else_stands_there(self, built):
        assert built.column("select count(*) from audit.quarantined_rows") == [2 * len(BAD_ROWS) + 1]

    def test_the_good_rows_are_used_as_if_they_were_alone(self, built, rows):
        assert compare(built.connection, rows, Options()).differences == []
        assert built.column("select count(*) from metering.metered_steps") == [2]

    @pytest.mark.parametrize("extract", GOOD_ROWS)
    def test_rows_in_are_rows_used_repeated_and_quarantined(self, extract, built, rows):
        streamed_rows = len(rows["job_history"]) if extract == "jobs" else 0
        bad_rows = 2 * sum(name == extract for name, _, _ in BAD_ROWS) + streamed_rows
        good_rows = len(GOOD_ROWS[extract])
        assert built.rows("from audit.extract_row_counts where extract_name = ?", extract) == [
            (
                extract,
                len(rows[extract]) + streamed_rows,
                good_rows,
                good_rows,
                bad_rows,
                0,
                0,
            )  # none is erased or ignored
        ]


def holds(content, written):
    """Whether a row's content has all that was written: a time that could be read as an instant in UTC."""
    return all(content.get(column) in (text, as_instant(text)) for column, text in written.items())


def as_instant(text):
    return re.sub(r"^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})Z$", r"\1 \2", text)


def as_texts(content):
    return {column: str(value) for column, value in content.items() if value is not None}


# ---------------------------------------------------------------------------------------------------- malicious content

NASTY = {
    "a statement": "'); drop schema marts cascade; --",
    "a template": "{{ run_query('drop schema marts') }} {% raw %}",
    "an expression": "${EXTRACTS_DIR} $(id) `id` %s {0}",
    "quotes": "\"double\" 'single' \\backslash",
    "control characters": "bell \x07 escape \x1b[31m tab \t end",
    "new lines": "one\ntwo\r\nthree",
    "right to left": "\u202eright\u202c \u05d0\u05d1",
    "emoji and wide letters": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u6f22 \U00020000",
    "a formula": "=cmd|' /C calc'!A0",
    "the word undefined": "undefined",
}
MEGABYTE = "x" * 1_000_000


class TestNastyTexts:
    """Names, ids and adapters of every nasty kind, from CSV and from JSON; one job comes streamed.

    The ids in JSON end with a full stop more. The folder's own name is nasty, too.
    """

    STREAMED = "streamed'); drop schema marts cascade; --"
    FORMATS = {"csv": "", "json": "."}  # noqa: RUF012

    @pytest.fixture(scope="class")
    @classmethod
    def built(cls, build, tmp_path_factory):
        folder = tmp_path_factory.mktemp("nasty") / 'it\'s [a] *folder* ? {x} "y" %20'
        for fmt, more in cls.FORMATS.items():
            texts = [(text, text + more) for text in NASTY.values()]
            rows = world(
                *(customer(id, name=text, external_id=text) for text, id in texts),
                *(job(id, TRIGGER, step(text, text), account_id=id, error=text) for text, id in texts),
                customer(f"wordy{more}", name=MEGABYTE),
                job(f"wordy{more}", TRIGGER, step(MEGABYTE), account_id=f"wordy{more}"),
            )
            write_world(rows, folder, fmt, split=2)
        nested = {**bad(job(cls.STREAMED)), "lines": [{"recipe_line_number": 0, "adapter_name": cls.STREAMED}]}
        write_nested_jobs([nested], folder)
        return build(folder)

    @pytest.mark.parametrize("fmt", FORMATS)
    @pytest.mark.parametrize("kind", NASTY)
    def test_it_stays_data(self, kind, fmt, built):
        text = NASTY[kind]
        id = text + self.FORMATS[fmt]
        query = "select customer_name, external_id from marts.monthly_customer_usage where customer_id = ?"
        assert set(built.rows(query, id)) == {(text, text)}
        query = (
            "select adapter_name, operation, rule_id from metering.metered_steps where job_id = ? and line_index = 1"
        )
        assert built.rows(query, id) == [(text, text, "S-UNKNOWN")]

    @pytest.mark.parametrize("fmt", FORMATS)
    def test_a_megabyte_stays_data(self, fmt, built):
        wordy = f"wordy{self.FORMATS[fmt]}"
        query = "select distinct customer_name from marts.monthly_customer_usage where customer_id = ?"
        assert built.column(query, wordy) == [MEGABYTE]
        query = "select adapter_name from metering.metered_steps where job_id = ? and line_index = 1"
        assert built.column(query, wordy) == [MEGABYTE]

    def test_all_of_it_is_used(self, built):
        assert built.column("select count(*) from audit.quarantined_rows") == [0]
        assert built.column("select count(*) from metering.metered_jobs") == [2 * (len(NASTY) + 1) + 1]

    def test_file_names_stay_those_below_the_folder(self, built):
        files = built.column("select file_name from run_state.stored_files where extract_name = 'jobs' order by all")
        assert files == [f"jobs/{name}.{fmt}" for name in ("2024/05/part-1", "part-0") for fmt in self.FORMATS]

    def test_a_streamed_job_is_data_too(self, built):
        query = "select adapter_name from metering.metered_steps where job_id = ?"
        assert built.column(query, self.STREAMED) == [self.STREAMED]
        query = "select completed_at::varchar from metering.metered_jobs where job_id = ?"
        assert built.column(query, self.STREAMED) == [NOON[:10] + " 12:00:00"]
