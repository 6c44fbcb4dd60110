"""Every delivered file is stored for good, once, with all its rows; or nothing is, and the message names the file."""

import csv
import gzip
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from building import PROJECT
from power_loss import Recorder
from reference.files import FORMATS, literal, write_parquet, write_text
from taking import COLUMNS, CONTRACT, JOBS, TEXT


def as_rows(rows):
    return [tuple(row[column] for column in COLUMNS) for row in rows]


# ------------------------------------------------------------------------------------------------- what a load holds


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_stored_file_has_the_rows_of_the_delivered_one_in_their_order(fmt, taking):
    (taking.extracts / "jobs/a.csv").unlink()
    taking.write(f"jobs/2026/part.{fmt}", JOBS)
    answer = taking.take_in()
    assert answer["files"]["jobs"] == [[1, "000001/jobs.parquet", f"jobs/2026/part.{fmt}", 20]]
    stored = taking.rows("000001/jobs.parquet")
    assert [(one, other, third or None) for one, other, third in stored] == as_rows(JOBS)
    assert taking.rows("000001/jobs.parquet", "distinct load_id, file_name") == [(1, f"jobs/2026/part.{fmt}")]


def test_the_order_is_kept_in_a_file_of_many_row_groups(taking):
    lines = "".join(f"{n},ok\n" for n in range(300_000))
    write_text(taking.extracts / "jobs/a.csv", f"id,status\n{lines}")
    taking.take_in()
    assert [row[0] for row in taking.rows("000001/jobs.parquet")] == [str(n) for n in range(300_000)]


def test_a_file_is_converted_to_the_columns_of_the_contract_and_loses_nothing(taking):
    """Whatever its columns' order, letter case and types are; what no column holds stands in ``extra``."""
    (taking.extracts / "jobs/a.csv").unlink()
    with duckdb.connect() as db:
        db.execute(
            "copy (select {'a': [1, null]} as Other, 5001.0::double as ID, true as status, 'many' as count) "
            f"to {literal(taking.extracts / 'jobs/a.parquet')} (format parquet)"
        )
    write_text(taking.extracts / "jobs/b.csv", 'Status , id,Unheard_Of,count\n 007,1e3,NULL,3\nnan,,"",\n')
    write_text(taking.extracts / "seats/a.json", '{"product": {"b": [1, 2]}, "Other": 1, "id": 1.0}\n{"id": null}\n')
    taking.take_in()
    assert taking.rows("000001/jobs.parquet", "id, status, error, count, extra") == [
        ("5001.0", "true", None, None, '{"other":{"a":[1,null]},"count":"many"}'),
        ("1e3", " 007", None, 3, '{"unheard_of":"NULL"}'),
        (None, "nan", None, None, None),
    ]
    assert taking.rows("000001/seats.parquet", "id, product, extra") == [
        ("1", '{"b":[1,2]}', '{"other":1}'),
        (None, None, None),
    ]


def test_numbers_and_times_that_came_as_bytes_are_read(taking):
    """As texts are, in a Parquet column without a type for texts; what cannot be read is in ``extra``."""
    (taking.extracts / "jobs/a.csv").unlink()
    (taking.extracts / "seats").mkdir()
    with duckdb.connect() as db:
        for file, rows in (
            ("jobs/a.parquet", "('1', 'ok', '7'), ('2', 'ok', 'many'), ('3', 'ok', null)) as t (id, status, count)"),
            ("seats/a.parquet", "('4', 'go', '2026-03-10 12:00:00')) as t (id, product, \"at\")"),
        ):
            columns = rows.rpartition("(")[2].rstrip(")").replace('"', "").split(", ")
            as_bytes = ", ".join(f'"{column}"::blob as "{column}"' for column in columns)
            target = literal(taking.extracts / file)
            db.execute(f"copy (select {as_bytes} from (values {rows}) to {target} (format parquet)")
    taking.take_in()
    assert taking.rows("000001/jobs.parquet", "id, count, extra") == [
        ("1", 7, None),
        ("2", None, '{"count":"many"}'),
        ("3", None, None),
    ]
    assert taking.rows("000001/seats.parquet", 'id, "at", extra') == [("4", datetime(2026, 3, 10, 12), None)]


def test_a_struct_in_place_of_a_text_is_named(taking):
    with duckdb.connect() as db:
        db.execute(f"copy (select '1' as id, {{'a': 1}} as status) to {literal(taking.extracts / 'jobs/b.parquet')}")
    taking.stops(f"{taking.extracts}/jobs/b.parquet", "its column status has nested values", "STRUCT(a INTEGER)")


@pytest.mark.parametrize("ending", ["json", "json.gz"])
def test_streamed_jobs_are_stored_as_json_one_row_each(ending, taking):
    write_text(taking.extracts / f"job_history/pretty.{ending}", json.dumps({"id": "1", "lines": [{}]}, indent=2))
    write_text(taking.extracts / f"job_history/two.{ending}", '{"id": "2"}\n{"logEntries": [{"id": "3"}]}\n')
    taking.take_in()
    pretty, two = (taking.rows("000001/job_history.parquet", "record", f"%{name}%") for name in ("pretty", "two"))
    assert [json.loads(record) for (record,) in pretty] == [{"id": "1", "lines": [{}]}]
    assert [json.loads(record) for (record,) in two] == [{"id": "2"}, {"logEntries": [{"id": "3"}]}]


def test_many_streamed_jobs_are_read_as_one_by_one(taking, monkeypatch):
    """Whatever their shapes: a list, one to a line, pretty-printed, wrapped."""
    shapes = [
        lambda n: json.dumps({"id": n}),
        lambda n: json.dumps({"id": n, "lines": [{}]}, indent=2),
        lambda n: f'{{"id": {n}}}\n{{"id": {-n}}}\n',
        lambda n: json.dumps([{"id": n}, {"id": -n}]),
        lambda n: "\n",
        lambda n: json.dumps({"logEntries": {"id": n}}),
    ]
    for number in range(60):
        write_text(taking.extracts / f"job_history/it's [{number}].json", shapes[number % 6](number))
    taking.take_in()
    together = taking.rows("000001/job_history.parquet", "file_name, record")
    counted = taking.manifest("000001")["files"]
    shutil.rmtree(taking.store)
    monkeypatch.setattr(taking.module, "AT_ONCE", 1)
    taking.take_in()
    assert sorted(together) == sorted(taking.rows("000001/job_history.parquet", "file_name, record"))
    assert len(together) == 70
    as_told = [
        sorted((file["path"], file["rows"]) for file in files)
        for files in (counted, taking.manifest("000001")["files"])
    ]
    assert as_told[0] == as_told[1]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"cuont": "3"},
        {"filename": "a column of that name"},
        {"count": "many"},  # unreadable
        {"unheard_of": "kept aside"},
    ],
    ids=["alike", "a column that resembles one", "a column named filename", "an unreadable value", "an unknown column"],
)
@pytest.mark.parametrize("of", ["all", "one"])
def test_many_parquet_files_are_read_as_one_by_one(of, odd, taking, monkeypatch):
    """Rows, numbers of rows, and what a person should look at: of the file that it is about."""
    for number in range(12):
        extra = odd if of == "all" or number == 7 else {}
        rows = [{"id": f"{number}-{n}", "status": "done", "error": None} | extra for n in range(number + 1)]
        taking.write(f"jobs/it's [{number}].parquet", rows)
    taking.write("jobs/day=2026-01-01/a.parquet", [{"id": "of a folder", "status": "done", "error": None}])
    taking.limits = {"least_rows": 5, "fail_share": 2, "warn_share": 0.1}

    def answers():
        found = taking.take_in()
        rows = taking.rows("000001/jobs.parquet", "file_name, id, status, error, count, extra")
        files = sorted((file["path"], file["rows"]) for file in taking.manifest("000001")["files"])
        shutil.rmtree(taking.store)
        return sorted(map(str, rows)), files, sorted(found["to_look_at"])

    together = answers()
    monkeypatch.setattr(taking.module, "AT_ONCE", 1)
    assert together == answers()
    assert len(together[0]) == 20 + 78 + 1


def test_of_many_parquet_files_the_broken_one_is_named(taking):
    for number in range(5):
        taking.write(f"jobs/{number}.parquet", [{"id": "1", "status": "done"}])
    write_text(taking.extracts / "jobs/3.parquet", "PAR1 and no more")
    taking.stops(f"{taking.extracts}/jobs/3.parquet cannot be parsed")


@pytest.mark.parametrize("broken", ['{"id": "1", ', '[{"id": "1"},\n'])
def test_of_many_streamed_files_the_broken_one_is_named(broken, taking):
    for number in range(5):
        write_text(taking.extracts / f"job_history/{number}.json", '{"id": "1"}')
    write_text(taking.extracts / "job_history/3.json", broken)
    taking.stops(f"{taking.extracts}/job_history/3.json cannot be parsed")


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "json", "json.gz", "parquet"])
def test_a_file_without_rows_is_stored_without_rows(ending, taking):
    (taking.extracts / "jobs/a.csv").unlink()
    file = taking.extracts / f"jobs/none.{ending}"
    if ending == "parquet":
        with duckdb.connect() as db:
            db.execute(f"copy (select '' as id, '' as status where false) to {literal(file)} (format parquet)")
    else:
        write_text(file, "id,status" if "csv" in ending else "")
    write_text(taking.extracts / "job_history/none.json", "")
    answer = taking.take_in()
    assert answer["files"]["jobs"] == [[1, "000001/jobs.parquet", f"jobs/none.{ending}", 0]]
    assert taking.rows("000001/jobs.parquet") == []
    assert taking.rows("000001/job_history.parquet", "record") == []


NAMES = [
    *("it's.csv", 'double "quoted".csv', "*.csv", "?.csv", "[a-z].csv", "a{b,c}.csv", "%41.csv", "back\\slash.csv"),
    *("day=2026-01-01/a.csv", "über/日本/ .csv", "new\nline.csv", "~/a.csv", "a.csv.parquet.csv", "$HOME.csv.gz"),
    *("folder.csv/b.csv", "-rf.csv", "manifest.json/a.csv", "jobs.parquet/a.csv"),
]


def test_a_file_may_have_any_name(taking):
    """Of files that a pattern would match together each is read by itself."""
    for number, name in enumerate(NAMES):
        taking.write(f"jobs/{name}", [{**JOBS[0], "id": f"in {number}"}])
    answer = taking.take_in()
    stored = {path.removeprefix("jobs/"): rows for _, _, path, rows in answer["files"]["jobs"]}
    assert stored == dict.fromkeys(NAMES, 1) | {"a.csv": 20}
    found = dict(taking.rows("000001/jobs.parquet", "file_name, id"))
    assert {name: found[f"jobs/{name}"] for name in NAMES} == {name: f"in {n}" for n, name in enumerate(NAMES)}
    assert taking.take_in()["taken_in"] == 0


def test_a_name_that_is_not_utf_8_is_named(taking):
    Path(os.fsdecode(bytes(taking.extracts / "jobs") + b"/caf\xe9.csv")).write_text("id,status\n")
    taking.stops("jobs/caf?.csv", "UTF-8")


def test_the_manifest_tells_what_was_delivered_and_what_is_stored(taking):
    file = taking.write("seats/2026/a.csv.gz", [{"id": "1"}, {"id": "2"}])
    taking.take_in()
    manifest = taking.manifest("000001")
    (entry,) = (entry for entry in manifest["files"] if entry["extract"] == "seats")
    assert (manifest["load"], manifest["taken_in_at"][-4:], len(manifest["files"])) == (1, " UTC", 4)
    assert entry == {
        "extract": "seats",
        "path": "seats/2026/a.csv.gz",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size,
        "rows": 2,
    }
    stored = taking.store / "000001/seats.parquet"
    assert manifest["stored"]["seats"] == {
        "file": "seats.parquet",
        "sha256": hashlib.sha256(stored.read_bytes()).hexdigest(),
        "rows": 2,
    }
    assert manifest["stored"].keys() == {"customers", "jobs", "steps", "seats"}


# ------------------------------------------------------------------------------------------------------- what is new


def test_what_was_taken_in_is_not_taken_in_again(taking):
    first = taking.take_in()
    assert (first["taken_in"], first["newest_load"], first["root"]) == (3, 1, str(taking.store))
    before = taking.contents()
    assert first["by_extract"] == "customers 1 rows in 1 file, jobs 20 rows in 1 file, steps 1 rows in 1 file"
    assert taking.take_in() == {**first, "taken_in": 0, "by_extract": ""}
    assert taking.contents() == before


def test_new_files_are_the_next_load(taking):
    taking.take_in()
    taking.write("jobs/b.csv", JOBS[:2])
    taking.write("seats/a.json", [{"id": "1"}])
    answer = taking.take_in()
    assert (answer["taken_in"], answer["newest_load"]) == (2, 2)
    assert answer["files"]["jobs"] == [
        [1, "000001/jobs.parquet", "jobs/a.csv", 20],
        [2, "000002/jobs.parquet", "jobs/b.csv", 2],
    ]
    assert answer["files"]["seats"] == [[2, "000002/seats.parquet", "seats/a.json", 1]]


def test_a_replaced_file_is_a_new_delivery_beside_the_old_one(taking):
    taking.take_in()
    taking.write("jobs/a.csv", JOBS[::-1])  # as many bytes as before
    assert taking.take_in()["taken_in"] == 1
    assert taking.jobs() == [(1, "jobs/a.csv"), (2, "jobs/a.csv")]
    assert taking.rows("000001/jobs.parquet")[0][0] == "0"
    assert taking.rows("000002/jobs.parquet")[0][0] == "19"


def test_a_file_that_becomes_what_it_was_before_is_not_new(taking):
    taking.take_in()
    for rows, new in ((JOBS[:1], 1), (JOBS, 0), (JOBS[:1], 0)):
        taking.write("jobs/a.csv", rows)
        assert taking.take_in()["taken_in"] == new


def test_the_same_bytes_under_another_name_are_new(taking):
    taking.take_in()
    (taking.extracts / "jobs/a.csv").rename(taking.extracts / "jobs/renamed.csv")
    assert taking.take_in()["taken_in"] == 1
    assert taking.jobs() == [(1, "jobs/a.csv"), (2, "jobs/renamed.csv")]


def test_a_touched_file_is_not_new(taking):
    taking.take_in()
    os.utime(taking.extracts / "jobs/a.csv")
    assert taking.take_in()["taken_in"] == 0


def test_the_same_files_in_another_folder_are_not_new(taking, tmp_path):
    taking.take_in()
    shutil.copytree(taking.extracts, tmp_path / "elsewhere")
    assert taking.take_in(tmp_path / "elsewhere")["taken_in"] == 0


def test_the_store_needs_no_file_of_the_source_any_more(taking):
    answer = taking.take_in()
    shutil.rmtree(taking.extracts)
    assert taking.take_in("") == {**answer, "taken_in": 0, "by_extract": "", "folder": ""}
    assert len(taking.rows("000001/jobs.parquet")) == 20


def test_without_a_folder_and_a_store_nothing_is_stored(taking):
    answer = taking.take_in("")
    assert answer == {
        **{"problem": None, "root": str(taking.store), "ignored": [], "to_look_at": []},
        **{"newest_load": 0, "taken_in": 0, "by_extract": "", "folder": ""},
        **{"loads": {}, "files": {}, "superseded": {}, "quarantined": [], "lacks": {}, "compacted": {}},
    }
    assert not taking.store.exists()


def test_loads_are_listed_by_number(taking):
    taking.take_in()
    (taking.store / "000001").rename(taking.store / "999999")
    manifest = taking.store / "999999/manifest.json"
    manifest.write_text(manifest.read_text().replace('"load": 1,', '"load": 999999,'))
    (taking.store / "loads.json").unlink()
    taking.write("jobs/b.csv", JOBS[:1])
    assert taking.take_in()["newest_load"] == 1_000_000
    assert taking.jobs() == [(999_999, "jobs/a.csv"), (1_000_000, "jobs/b.csv")]


def test_an_id_of_a_load_is_never_used_twice(taking):
    taking.take_in()
    first = taking.take_in("")["loads"]
    shutil.rmtree(taking.store)
    assert taking.take_in()["loads"].keys() == first.keys()
    assert taking.take_in("")["loads"] != first


class TestLostLoads:
    """A load that was taken in once is missed, whatever became of it."""

    @pytest.fixture
    def lost(self, taking):
        taking.take_in()
        taking.write("jobs/b.csv", JOBS[:2])
        taking.take_in()
        shutil.rmtree(taking.store / "000001")
        return taking

    def test_nothing_is_taken_in_until_it_is_back(self, lost):
        lost.write("jobs/c.csv", JOBS[:1])
        lost.stops(f"{lost.store} has lost load 1.", "backup", "ACCEPT_MISSING_LOADS=1")
        assert "load 1." in lost.module.verify_store(str(lost.store))

    def test_a_manifest_alone_is_missed_too(self, taking):
        taking.take_in()
        (taking.store / "000001/manifest.json").unlink()
        taking.stops("load 1.")

    def test_another_load_under_its_number_is_not_taken_for_it(self, taking, tmp_path):
        taking.take_in()
        shutil.copytree(taking.store / "000001", tmp_path / "000001")
        shutil.rmtree(taking.store)
        taking.take_in()
        shutil.rmtree(taking.store / "000001")
        shutil.copytree(tmp_path / "000001", taking.store / "000001")
        taking.stops("load 1.")

    def test_so_is_one_that_only_the_warehouse_knows(self, taking):
        """As after a restore of an older backup: its number is free again, and is not given to another load."""
        taking.take_in()
        taking.committed = {**dict.fromkeys(taking.take_in("")["loads"].values(), 1), "of the last run": 2}
        taking.write("jobs/b.csv", JOBS[:2])
        taking.stops("load 2.")

    def test_one_may_go_on_without_it(self, lost, monkeypatch):
        monkeypatch.setenv("ACCEPT_MISSING_LOADS", "1")
        lost.committed = {"of the last run": 7}
        assert lost.take_in()["taken_in"] == 3  # the files still lie there
        lost.committed = {}
        monkeypatch.delenv("ACCEPT_MISSING_LOADS")
        assert lost.jobs() == [(2, "jobs/b.csv"), (8, "jobs/a.csv")]


def test_what_is_no_load_does_not_count_and_is_left_alone(taking):
    write_text(taking.store / "000007/kept.txt", "a folder without a manifest")
    write_text(taking.store / "notes/manifest.json", '{"files": []}')
    assert taking.take_in()["newest_load"] == 8
    assert taking.jobs() == [(8, "jobs/a.csv")]
    assert (taking.store / "000007/kept.txt").exists()


class TestUnreadable:
    """A large new file that cannot be read for the most part is refused; a little of it is said."""

    def write(self, taking, texts) -> None:
        write_text(taking.extracts / "jobs/b.csv", "id,status,count\n" + "".join(f"1,ok,{text}\n" for text in texts))

    def test_a_fifth_of_its_rows_stops_the_run_with_column_and_values(self, taking):
        self.write(taking, ["1"] * 80 + ["one"] * 10 + ["two"] * 10)
        taking.stops(
            "jobs/b.csv cannot be parsed: 20 of 100 rows have a count that cannot be read, such as 'one', 'two'"
        )

    def test_less_than_that_is_said(self, taking):
        self.write(taking, ["1"] * 81 + ["one"] * 19)
        assert taking.take_in()["to_look_at"] == [
            "jobs/b.csv: 19 of 100 rows have a count that cannot be read, such as 'one'."
        ]

    def test_a_hundredth_is_not_said(self, taking):
        self.write(taking, ["1"] * 99 + ["one"])
        assert taking.take_in()["to_look_at"] == []

    def test_a_small_file_is_taken_in(self, taking):
        self.write(taking, ["one"] * 99)
        assert taking.take_in()["taken_in"] == 4

    def test_marks_of_no_value_are_readable(self, taking):
        taking.limits = {"null_marks": ["NULL"]}
        self.write(taking, ["null "] * 100)
        assert taking.take_in()["to_look_at"] == []

    def test_no_value_where_one_must_be_and_words_that_nobody_knows_are_no_better(self, taking):
        """Of 120 rows 6 have no id, 6 another status, 12 no count that can be read: a fifth only together."""
        columns = [["id", TEXT, True, False, True], ["status", TEXT, True, False, True, "{value} not in ('ok', 'bad')"]]
        jobs = CONTRACT["extracts"]["jobs"]
        jobs = jobs | {"columns": columns + jobs["columns"][2:]}
        taking.contract = CONTRACT | {"extracts": CONTRACT["extracts"] | {"jobs": jobs}}
        taking.limits = {"null_marks": ["n/a"]}
        good = [["1", "ok", "1"]] * 96
        strange = [[" N/A ", "ok", "1"]] * 6 + [["1", "done", "1"]] * 6 + [["1", "ok", "x"]] * 12

        def write(rows):
            write_text(taking.extracts / "jobs/b.csv", "id,status,count\n" + "".join(",".join(r) + "\n" for r in rows))

        write(good + strange)
        taking.stops(
            "jobs/b.csv cannot be parsed: 24 of 120 rows cannot be used: 12 of 120 rows have a count that cannot be "
            "read, such as 'x'"
        )
        write([["1", "", "n/a"]] * 96 + good[:24])
        taking.stops("jobs/b.csv cannot be parsed: 96 of 120 rows have no status")
        write(good + good[:3] + strange[:-2])
        assert taking.take_in()["to_look_at"] == [
            "jobs/b.csv: 22 of 121 rows cannot be used: 10 of 121 rows have a count that cannot be read, such as 'x'.",
            "jobs/b.csv: 6 of 121 rows have a status that cannot be read, such as 'done'.",
            "jobs/b.csv: 6 of 121 rows have no id.",
        ]

    def test_a_column_under_a_slightly_different_name_is_said(self, taking):
        for name in ("b", "c"):
            write_text(taking.extracts / f"jobs/{name}.csv", "id,status,counts\n1,ok,3\n")
        said = "jobs/b.csv and 1 file more: the column counts is not read; the contract has a column count."
        assert taking.take_in()["to_look_at"] == [said]
        assert taking.take_in()["to_look_at"] == []


class TestSettling:
    """A file that has just changed may still be written: it is waited for."""

    def test_a_young_file_is_waited_for_and_taken_in_as_it_became(self, taking):
        file = taking.write("jobs/b.csv", JOBS[:1])
        taking.settling = 0.6
        grows = threading.Timer(0.3, lambda: taking.write("jobs/b.csv", JOBS[:3]))
        grows.start()
        answer = taking.take_in()
        assert time.time() - file.stat().st_mtime >= 0.6
        assert [1, "000001/jobs.parquet", "jobs/b.csv", 3] in answer["files"]["jobs"]

    def test_one_that_never_settles_is_named(self, taking, monkeypatch):
        monkeypatch.setattr(taking.module, "LONGEST_WAIT", 0.2)
        taking.settling = 30
        taking.stops("is still being written", "rename")

    def test_a_time_after_the_clock_counts_as_settled(self, taking):
        for path in taking.extracts.rglob("*.csv"):
            os.utime(path, (time.time() + 3600,) * 2)
        taking.settling = 30
        assert taking.take_in()["taken_in"] == 3


# --------------------------------------------------------------------------------------------------------- seen.json


@pytest.fixture
def settled(taking, monkeypatch):
    """As if every file had been written long ago."""
    monkeypatch.setattr(taking.module, "SETTLED_NS", -3_600_000_000_000)


def hashed(taking, monkeypatch) -> list[str]:
    """The names of the files that the next run reads to tell whether they are new."""
    read = taking.module.sha256_of
    names = []
    monkeypatch.setattr(taking.module, "sha256_of", lambda path: names.append(path.name) or read(path))
    assert taking.take_in()["taken_in"] == 0
    monkeypatch.setattr(taking.module, "sha256_of", read)
    return names


@pytest.mark.usefixtures("settled")
class TestSeenFiles:
    def test_a_file_that_looks_the_same_is_known_without_reading_it(self, taking, monkeypatch):
        taking.take_in()
        assert hashed(taking, monkeypatch) == []

    def test_a_touched_file_is_read_once(self, taking, monkeypatch):
        taking.take_in()
        os.utime(taking.extracts / "jobs/a.csv", ns=(0, 1))
        assert hashed(taking, monkeypatch) == ["a.csv"]
        assert hashed(taking, monkeypatch) == []

    def test_a_file_replaced_by_one_of_the_same_size_and_time_is_new(self, taking):
        taking.take_in()
        file = taking.extracts / "jobs/a.csv"
        found = file.stat()
        taking.write("jobs/a.csv", JOBS[::-1])
        os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert file.stat().st_size == found.st_size
        assert taking.take_in()["taken_in"] == 1

    @pytest.mark.parametrize(
        "damaged",
        [None, b"", b"[]", b"3", b"\xff\xfe", b'{"jobs/a.csv": 1, "steps/a.csv": [], "customers/a.csv": [null]}'],
    )
    def test_without_a_readable_list_the_files_are_read_again(self, damaged, taking, monkeypatch):
        taking.take_in()
        seen = taking.store / "seen.json"
        good = seen.read_bytes()
        seen.unlink() if damaged is None else seen.write_bytes(damaged)
        assert hashed(taking, monkeypatch) == ["a.csv"] * 3
        assert seen.read_bytes() == good

    def test_a_list_that_tells_of_a_file_that_is_not_stored_is_not_believed(self, taking):
        taking.take_in()
        stored = taking.manifest("000001")["files"]
        shutil.rmtree(taking.store / "000001")
        (taking.store / "loads.json").unlink()
        seen = json.loads((taking.store / "seen.json").read_bytes())
        told = {path: [*look, "0" * 64] for path, (*look, _) in seen.items()}
        (taking.store / "seen.json").write_text(json.dumps(told))
        assert taking.take_in()["taken_in"] == 3
        assert taking.manifest("000001")["files"] == stored

    def test_a_list_that_cannot_be_written_stops_nothing(self, taking):
        (taking.store / "seen.json.new").mkdir(parents=True)
        assert taking.take_in()["taken_in"] == 3
        assert taking.take_in()["taken_in"] == 0


def test_a_file_that_has_just_changed_is_read_again_by_the_next_run(taking, monkeypatch):
    taking.take_in()
    assert hashed(taking, monkeypatch) == ["a.csv"] * 3


# ----------------------------------------------------------------------------------------- all of a load, or nothing


def test_what_a_killed_run_left_is_removed(taking):
    write_text(taking.store / ".incoming/1.part", "half of it")
    write_text(taking.store / ".incoming/seats.parquet", "of a file that is gone")
    assert taking.take_in()["taken_in"] == 3
    assert not (taking.store / ".incoming").exists()
    assert {path.name for path in (taking.store / "000001").iterdir()} == {
        *("customers.parquet", "jobs.parquet", "steps.parquet", "manifest.json"),
    }
    write_text(taking.store / ".incoming/1.part", "half of it")
    taking.take_in()
    assert not (taking.store / ".incoming").exists()


@pytest.mark.parametrize("last_step", ["Path.mkdir", "os.fsync", "Path.rename", "Path.replace"])
def test_a_run_that_dies_at_any_step_leaves_all_of_a_load_or_nothing(last_step, taking):
    taking.take_in()
    before = taking.contents()
    taking.write("jobs/b.csv", JOBS)
    dies = (
        "import os, sys; from pathlib import Path; import deliveries; deliveries.SETTLED_NS = -(1 << 60); "
        f"{last_step} = lambda *_, **__: os._exit(9); deliveries.ingest_deliveries(*sys.argv[1:])"
    )
    died = subprocess.run(
        [sys.executable, "-c", dies, taking.extracts, taking.store, json.dumps(CONTRACT)],
        env=os.environ | {"PYTHONPATH": str(PROJECT / "plugins")},
    )
    assert died.returncode == 9
    renamed = last_step == "Path.replace"  # of loads.json and seen.json, after the load
    assert taking.contents().items() >= before.items()
    assert len(taking.jobs()) == (2 if renamed else 1)
    assert taking.take_in()["taken_in"] == (0 if renamed else 1)
    assert taking.jobs() == [(1, "jobs/a.csv"), (2, "jobs/b.csv")]
    assert taking.module.verify_store(str(taking.store)) == ""


def test_a_load_is_on_the_disk_before_it_has_its_name(taking, monkeypatch):
    taking.write("jobs/b.csv", JOBS)
    events = []
    sync, rename = os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda fd: events.append(Path(f"/proc/self/fd/{fd}").readlink()) or sync(fd))
    monkeypatch.setattr(Path, "rename", lambda path, to: events.append("renamed") or rename(path, to))
    taking.take_in()
    incoming = taking.store / ".incoming"
    written = {path.relative_to(taking.store / "000001") for path in (taking.store / "000001").rglob("*")}
    at = events.index("renamed")
    assert {*events[:at]} == {incoming, *(incoming / path for path in written)}
    notes = {taking.store / f"{name}.json.new" for name in ("loads", "reading")}
    assert {*events[at + 1 :]} == {taking.store, taking.store.parent, *notes}


def broken_csv(path):
    write_text(path, "id,status\n" + "1,ok\n" * 10_000 + "1,ok,one more\n")


def broken_csv_gz(path):
    """Cut short after a whole row, as if it held only half of its rows."""
    compressor = zlib.compressobj(wbits=31)
    half = compressor.compress(b"id,status\n" + b"1,ok\n" * 10_000)
    path.write_bytes(half + compressor.flush(zlib.Z_FULL_FLUSH))


def broken_json(path):
    write_text(path, '{"id": "1", "status": "ok"}\n' * 3000 + '{"id": "1", "sta\n')


def broken_json_gz(path):
    path.write_bytes(b'{"id": "1", "status": "ok"}\n')


def broken_parquet(path):
    """In its rows; the footer, which tells its columns and the number of its rows, is whole."""
    with duckdb.connect() as db:
        db.execute(
            "copy (select uuid()::varchar as id, 'ok' as status from range(300_000)) "
            f"to {literal(path)} (format parquet, compression zstd)"
        )
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    path.write_bytes(data)


def broken_header(path):
    write_text(path, "id,status,ID\n1,ok,1\n")


@pytest.mark.parametrize(
    "spoil", [broken_csv, broken_csv_gz, broken_json, broken_json_gz, broken_parquet, broken_header]
)
def test_a_file_that_cannot_be_parsed_is_named_and_the_store_stays_as_it_was(spoil, taking):
    taking.take_in()
    taking.write("customers/b.csv", [{"id": "2"}])
    shutil.rmtree(taking.extracts / "jobs")
    (taking.extracts / "jobs").mkdir()
    ending = spoil.__name__.removeprefix("broken_").replace("_", ".").replace("header", "csv")
    for name in ("a", "c"):
        taking.write(f"jobs/{name}.{ending}", JOBS[:5])
    spoil(taking.extracts / f"jobs/b.{ending}")
    said = "it has the column id twice" if spoil is broken_header else ""
    taking.stops(f"The file {taking.extracts}/jobs/b.{ending} cannot be parsed: {said}")
    (taking.extracts / f"jobs/b.{ending}").unlink()
    assert taking.take_in()["taken_in"] == 3
    assert taking.take_in()["newest_load"] == 2


def test_a_parquet_file_that_is_replaced_is_read_anew_though_it_looks_the_same(taking):
    (taking.extracts / "jobs/a.csv").unlink()
    file = taking.write("jobs/a.parquet", JOBS)
    taking.take_in()
    found, data = file.stat(), file.read_bytes()
    file.write_bytes(bytes(len(data)))
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    taking.stops(f"The file {file} cannot be parsed: ", "No magic bytes")


def test_a_file_that_changes_while_it_is_read_is_named(taking, monkeypatch):
    file = taking.extracts / "jobs/a.csv"
    read = taking.module.sha256_of

    def read_and_append(path):
        try:
            return read(path)
        finally:
            if path == file:
                with path.open("a") as more:
                    more.write("21,late,\n")

    monkeypatch.setattr(taking.module, "sha256_of", read_and_append)
    taking.stops(f"The file {file} cannot be parsed: it changed while it was read")


@pytest.fixture
def full_disk():
    """No file may grow beyond some bytes: for whoever writes it is what a full disk is."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield fill
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_full_disk_is_told_from_a_broken_file_and_the_store_stays_as_it_was(fmt, taking, full_disk):
    (taking.extracts / "jobs/a.csv").unlink()
    rows = [{"id": hashlib.sha256(b"%d" % n).hexdigest(), "status": "ok"} for n in range(5000)]
    taking.write(f"jobs/large.{fmt}", rows)
    full_disk(50_000)
    taking.stops(f"The deliveries cannot be stored under {taking.store}: ")
    full_disk(1 << 30)
    assert taking.take_in()["taken_in"] == 3


@pytest.mark.parametrize("step", ["Path.mkdir", "Path.write_text", "os.fsync", "Path.rename"])
def test_an_error_of_the_disk_at_any_step_leaves_the_store_as_it_was(step, taking, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    taking.take_in()
    taking.write("jobs/b.csv", JOBS)
    owner, name = step.split(".")
    monkeypatch.setattr(Path if owner == "Path" else os, name, fail)
    taking.stops(f"The deliveries cannot be stored under {taking.store}: No space left on device")
    assert not (taking.store / ".incoming").exists()


def test_a_store_that_is_a_file_is_named(taking):
    write_text(taking.store, "a file")
    assert f"The deliveries cannot be stored under {taking.store}: " in taking.answer()["problem"]
    assert taking.store.read_text() == "a file"


# ----------------------------------------------------------------------------------------- what is wrong with a folder


def test_a_folder_that_is_missing_a_file_or_empty_is_named(taking, tmp_path):
    write_text(tmp_path / "file", "")
    (tmp_path / "empty").mkdir()
    for name, said in (("nowhere", "does not exist"), ("file", "is a file"), ("empty", "is empty")):
        assert f"EXTRACTS_DIR={tmp_path / name} {said}" in taking.answer(tmp_path / name)["problem"]


def test_formats_may_be_mixed_in_a_folder(taking):
    for fmt in FORMATS:
        taking.write(f"jobs/{fmt.replace('.', '-')}.{fmt}", [{**JOBS[0], "id": fmt}])
    assert taking.take_in()["taken_in"] == 3 + len(FORMATS)
    found = taking.rows("000001/jobs.parquet", "id, status", "%-%") + taking.rows("000001/jobs.parquet", "id, status")
    assert {("parquet", "status, 0"), ("json.gz", "status, 0"), ("csv.gz", "status, 0"), ("0", "status, 0")} < {*found}


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_required_column_that_a_new_file_lacks_is_named(fmt, taking):
    (taking.extracts / "jobs/a.csv").unlink()
    taking.write(f"jobs/a.{fmt}", JOBS)
    taking.take_in()
    taking.write(f"jobs/b.{fmt}", [{"id": row["id"]} for row in JOBS])
    taking.stops(f"The file {taking.extracts}/jobs/b.{fmt} lacks the required column status.")


def test_a_required_column_may_first_occur_late_in_a_json_file(taking):
    (taking.extracts / "jobs/a.csv").unlink()
    taking.write("jobs/a.json", [*({"id": "1"} for _ in range(500)), JOBS[0]])
    assert taking.take_in()["files"]["jobs"] == [[1, "000001/jobs.parquet", "jobs/a.json", 501]]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("seat/a.csv", "seats"),
        ("Seats/a.csv", "seats"),
        ("raw_seats/a.csv", "seats"),
        ("Job-History/a.json", "job_history"),
        ("seats.csv.gz", "seats"),
        ("jobs.parquet", "jobs"),
        ("archive/a.csv", None),
        ("_seats/a.csv", None),
        ("seats.txt", None),
    ],
)
def test_a_folder_or_file_beside_its_place_is_named(path, meant, taking):
    """A misspelt folder of an optional extract is no usage at all."""
    misplaced = taking.extracts / path
    misplaced.parent.mkdir(exist_ok=True)
    misplaced.write_bytes(b"id\n1\n")
    named = misplaced if misplaced.parent == taking.extracts else misplaced.parent
    kind = "file" if named == misplaced else "folder"
    told = f"The {kind} {named} is not read. If it contains {meant}, move it to {taking.extracts / str(meant)}."
    for _ in range(2):  # as long as it is there
        assert taking.take_in()["to_look_at"] == ([told] if meant else [])


def test_a_required_folder_that_is_missing_is_looked_for_under_a_name_like_it(taking):
    (taking.extracts / "customers").rename(taking.extracts / "Customer")
    taking.stops("The required folder ", f"The folder {taking.extracts / 'Customer'} is not read.")


def test_what_is_no_extract_is_ignored_and_named(taking, tmp_path):
    write_text(taking.extracts / "jobs/README.md", "")
    write_text(taking.extracts / "unheard_of/a.csv", "id\n")
    (taking.extracts / "jobs/nowhere.csv").symlink_to(tmp_path / "nowhere")
    (taking.extracts / "jobs/linked").symlink_to(taking.extracts / "steps")
    answer = taking.take_in()
    names = ("jobs/README.md", "jobs/linked", "jobs/nowhere.csv", "unheard_of")
    assert sorted(answer["ignored"]) == [str(taking.extracts / name) for name in names]
    assert answer["taken_in"] == 3


def test_the_state_of_the_extraction_is_not_named(taking):
    write_text(taking.extracts / ".extraction" / "state.json", "{}")
    assert taking.take_in()["ignored"] == []


def test_a_linked_file_is_stored_with_its_rows(taking, tmp_path):
    (taking.extracts / "jobs/a.csv").rename(tmp_path / "a.csv")
    (taking.extracts / "jobs/a.csv").symlink_to(tmp_path / "a.csv")
    taking.take_in()
    (tmp_path / "a.csv").unlink()
    assert len(taking.rows("000001/jobs.parquet")) == 20


@pytest.mark.parametrize(
    "name",
    [
        *("._a.csv", ".part-1.csv", "~$a.csv", "_temporary/0/a.csv", "__MACOSX/a.csv", ".hidden/a.csv"),
        *("_delta_log/0.json", "metadata/v1.metadata.json", "_SUCCESS.json"),
    ],
)
def test_files_of_tools_are_ignored_and_named(name, taking):
    write_text(taking.extracts / "jobs" / name, "no extract")
    assert taking.take_in()["ignored"] == [str(taking.extracts / "jobs" / name)]


def clear(folder):
    """Take the files out of the folder, which stays."""
    shutil.rmtree(folder)
    folder.mkdir()


class TestRequiredFolders:
    """The folder must be there; it may be empty once a file of it is stored."""

    def test_an_empty_one_is_named_before_anything_is_stored_of_it(self, taking):
        clear(taking.extracts / "customers")
        taking.stops(f"The required folder {taking.extracts / 'customers'} has no file to read.")

    def test_it_may_be_empty_when_something_is_stored_of_it(self, taking):
        taking.take_in()
        for name in ("customers", "jobs", "steps"):
            clear(taking.extracts / name)
        assert taking.take_in()["taken_in"] == 0

    @pytest.mark.parametrize("name", ["customers", "jobs", "steps"])
    def test_a_missing_one_is_named_whatever_is_stored(self, name, taking):
        taking.take_in()
        shutil.rmtree(taking.extracts / name)
        taking.stops(f"The required folder {taking.extracts / name} is missing")

    def test_streamed_jobs_may_stand_in_for_jobs_and_steps_and_be_stored_too(self, taking):
        for name in ("jobs", "steps"):
            shutil.rmtree(taking.extracts / name)
        taking.stops("jobs is missing (job_history can replace it).")
        taking.write("job_history/a.json", [{"id": "1"}])
        taking.take_in()
        clear(taking.extracts / "job_history")
        assert taking.take_in()["taken_in"] == 0
        shutil.rmtree(taking.extracts / "job_history")
        taking.stops("jobs is missing (job_history can replace it).")
        for name in ("jobs", "steps"):
            (taking.extracts / name).mkdir()
        assert taking.take_in()["taken_in"] == 0

    def test_streamed_jobs_do_not_stand_in_for_customers(self, taking):
        taking.write("job_history/a.json", [{"id": "1"}])
        clear(taking.extracts / "customers")
        taking.stops("customers has no file to read.")


# -------------------------------------------------------------------------------------------------- verifying a store


def test_a_good_store_is_verified(taking):
    assert taking.module.verify_store(str(taking.store)) == ""
    taking.take_in()
    taking.write("jobs/b.csv", JOBS)
    taking.take_in()
    assert taking.module.verify_store(str(taking.store)) == ""


def test_the_first_stored_file_that_has_changed_or_is_missing_is_named(taking):
    taking.take_in()
    taking.write("jobs/b.csv", JOBS)
    taking.take_in()
    file = taking.store / "000002/jobs.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert taking.module.verify_store(str(taking.store)) == (
        f"The stored file {file} has changed since it was stored. Restore it from a backup."
    )
    taking.whole = True  # a run that reads everything looks first
    taking.stops(f"The stored file {file} has changed since it was stored")
    file.unlink()
    taking.stops(f"The stored file {file} is missing.")
    taking.whole = False
    assert f"The stored file {file} is missing." in taking.module.verify_store(str(taking.store))
    file = taking.store / "000001/jobs.parquet"
    file.write_bytes(b"")
    assert str(file) in taking.module.verify_store(str(taking.store))


@pytest.mark.parametrize(
    "damaged", [b"", b"[]", b'{"format": 2}', b'{"format": 2, "id": "x", "stored": {}, "files": [{"path": "a"}]}']
)
def test_a_manifest_that_cannot_be_read_is_named(damaged, taking):
    taking.take_in()
    manifest = taking.store / "000001/manifest.json"
    manifest.write_bytes(damaged)
    taking.stops(f"The manifest {manifest} cannot be read")
    assert f"The manifest {manifest} cannot be read" in taking.module.verify_store(str(taking.store))


def test_the_functions_registered_in_sql_give_text(taking):
    """As a run calls it: in a query, on a thread of DuckDB's."""
    with duckdb.connect() as db:

        def ingest_deliveries(folder, store, contract):
            return taking.module.ingest_deliveries(folder, store, contract)

        db.create_function(ingest_deliveries.__name__, ingest_deliveries, ["VARCHAR"] * 3, "VARCHAR", side_effects=True)
        ((text,),) = db.execute(
            "select ingest_deliveries(?, ?, ?)", [str(taking.extracts), str(taking.store), json.dumps(CONTRACT)]
        ).fetchall()
    assert json.loads(text)["taken_in"] == 3


def test_a_byte_order_mark_is_no_part_of_the_first_column(taking):
    (taking.extracts / "jobs/a.csv").write_bytes(b"\xef\xbb\xbfid,status\n1,ok\n")
    taking.take_in()
    assert taking.rows("000001/jobs.parquet", "id, status") == [("1", "ok")]


def test_a_long_header_is_read_whole(taking):
    columns = ["id", "status", *(f"column {n}" for n in range(1500))]
    with (taking.extracts / "jobs/a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, columns])
    taking.take_in()
    ((one, other, extra),) = taking.rows("000001/jobs.parquet", "id, status, extra")
    assert (one, other, json.loads(extra)) == ("id", "status", {name: name for name in columns[2:]})


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_a_header_that_has_no_end_is_refused_without_reading_all_of_it(ending, taking):
    """Such as a file of zeros, which a crash of the writer leaves."""
    zeros = bytes(60_000_000)
    file = taking.extracts / f"jobs/b.{ending}"
    file.write_bytes(zeros if ending == "csv" else gzip.compress(zeros, 1))
    tracemalloc.start()
    taking.stops(f"jobs/b.{ending} cannot be parsed: its header is longer than 1,048,576 characters")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


# ----------------------------------------------------------------------------------------------- what exports look like


def test_columns_without_a_name_unknown_and_repeated_ones_are_kept_aside(taking):
    write_text(taking.extracts / "jobs/b.csv", ",id,notes,status,notes,\n0,1,a,ok,b,\n")
    taking.take_in()
    ((one, status, extra),) = taking.rows("000001/jobs.parquet", "id, status, extra", "jobs/b%")
    assert (one, status) == ("1", "ok")
    assert json.loads(extra) == {"column_1": "0", "notes": "a", "notes_5": "b"}


@pytest.mark.parametrize("name", ["filename", "load_id", "file_name", "extra", "json", "delivered", "c0"])
def test_a_column_may_be_called_like_one_of_ours(name, taking):
    write_text(taking.extracts / "jobs/b.csv", f"id,status,{name}\n1,ok,x\n")
    write_text(taking.extracts / "jobs/c.json", json.dumps({"id": "1", "status": "ok", name: "x"}))
    write_parquet(
        taking.extracts / "jobs/d.parquet",
        [{"id": "1", "status": "ok", name: "x"}],
        dict.fromkeys(("id", "status", name), "VARCHAR"),
    )
    taking.take_in()
    taking.take_in()
    for file in ("b.csv", "c.json", "d.parquet"):
        assert taking.rows("000001/jobs.parquet", "id, extra", f"jobs/{file}") == [
            ("1", json.dumps({name: "x"}, separators=(",", ":")))
        ]


@pytest.mark.parametrize("ends", ["\n|\r\n", "\r\n|\n", "\r|\n"])
def test_mixed_line_ends_are_read(ends, taking):
    first, then = ends.split("|")
    write_text(taking.extracts / "jobs/b.csv", f'id,status{first}1,"a{then}b"{then}2,c{first}')
    taking.take_in()
    assert taking.rows("000001/jobs.parquet", "id, status", "jobs/b%") == [("1", f"a{then}b"), ("2", "c")]


@pytest.mark.parametrize("text", ['first line {n}\nsecond, with "quotes"\n,\n,\n', "{n}\n{n}\n", '"\n"\n'])
def test_a_csv_larger_than_its_buffer_may_have_line_ends_within_quotes(text, taking, monkeypatch):
    """A reader that begins in the middle cannot tell whether it is within quotes."""
    import conversion

    monkeypatch.setattr(conversion, "LONGEST_ROW", 100_000)
    jobs = [{"id": str(n), "status": text.format(n=n) + "x" * (n % 60)} for n in range(20_000)]
    taking.write("jobs/b.csv", jobs)
    taking.take_in()
    found = taking.rows("000001/jobs.parquet", "id, status", "jobs/b%")
    assert sorted(found) == sorted((job["id"], job["status"]) for job in jobs)


def test_mixed_line_ends_excuse_no_broken_row(taking):
    write_text(taking.extracts / "jobs/b.csv", "id,status\n1,a\r\n2\r\n")
    taking.stops("jobs/b.csv cannot be parsed: line 3 has 1 columns, its header 2")


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "json", "json.gz", "parquet"])
def test_an_empty_file_has_no_rows(ending, taking):
    (taking.extracts / f"jobs/none.{ending}").write_bytes(b"")
    assert [1, "000001/jobs.parquet", f"jobs/none.{ending}", 0] in taking.take_in()["files"]["jobs"]


def test_a_byte_order_mark_is_skipped_in_json_too(taking):
    (taking.extracts / "jobs/b.json").write_bytes(b'\xef\xbb\xbf{"id": "1", "status": "ok"}\n')
    taking.take_in()
    assert taking.rows("000001/jobs.parquet", "id, status", "jobs/b%") == [("1", "ok")]


def test_letter_case_of_json_keys_says_nothing(taking):
    write_text(taking.extracts / "jobs/b.json", '{"ID": "1", "Status": "ok", "COUNT": 3.0}\n')
    taking.take_in()
    assert taking.rows("000001/jobs.parquet", "id, status, count", "jobs/b%") == [("1", "ok", 3)]


def test_a_list_that_was_cut_short_is_named(taking):
    write_text(taking.extracts / "jobs/b.json", '[{"id": "1", "status": "ok"},\n{"id": "2", "status": "ok"},\n')
    taking.stops("jobs/b.json cannot be parsed: its list has no end")
    write_text(taking.extracts / "jobs/b.json", '[{"id": "1", "status": "ok"},\n{"id": "2", "status": "ok"}]\n')
    assert taking.take_in()["taken_in"] == 4


def test_a_text_that_no_utf_8_can_hold_costs_its_value_and_not_the_file(taking):
    write_text(taking.extracts / "jobs/b.json", '{"id": "a\\ud800b", "status": "ok"}\n{"id": "2", "status": "ok"}\n')
    write_text(taking.extracts / "job_history/a.json", '{"id": "a\\ud800b"}\n{"id": "2"}\n')
    taking.take_in()
    assert taking.rows("000001/jobs.parquet", "id, status, extra", "jobs/b%") == [
        (None, "ok", json.dumps({"id": '"a\\ud800b"'}, separators=(",", ":"))),
        ("2", "ok", None),
    ]
    (broken,), (whole,) = taking.rows("000001/job_history.parquet", "record")
    assert (broken, json.loads(whole)) == ('{"id": "a\\ud800b"}', {"id": "2"})


def test_a_folder_may_say_what_a_column_would(taking):
    """As Hive, Spark and pyarrow write partitions; where the file has the column, too, the file says it."""
    write_text(taking.extracts / "jobs/status=not%20ok/ERROR=x/a.csv", "id\n1\n")
    write_text(taking.extracts / "jobs/status=no/error=__HIVE_DEFAULT_PARTITION__/day=3/b.csv", "id,status\n2,yes\n")
    taking.take_in()
    found = taking.rows("000001/jobs.parquet", of="%=%")
    assert sorted(found) == [("1", "not ok", "x"), ("2", "yes", None)]


def test_the_files_that_a_run_reads_again_are_verified_and_no_others(taking):
    taking.take_in()
    taking.write("jobs/b.csv", JOBS)
    taking.take_in()
    rotten = taking.store / "000001/jobs.parquet"
    rotten.write_bytes(rotten.read_bytes()[::-1])
    verify = taking.module.verify_files
    assert verify(str(taking.store), {"000001/steps.parquet", "000002/jobs.parquet"}) == ""
    assert f"The stored file {rotten} has changed since it was stored" in verify(
        str(taking.store), {"000001/jobs.parquet"}
    )
    rotten.unlink()
    assert f"The stored file {rotten} is missing" in verify(str(taking.store), {"000001/jobs.parquet"})


def test_killed_or_without_power_at_any_step_a_load_is_there_whole_or_comes_again(taking, tmp_path, monkeypatch):
    """After each point the next run has every row once, and each stored file as it was stored."""
    warehouse = tmp_path / "warehouse"
    warehouse.mkdir()
    taking.store = warehouse / "deliveries"
    monkeypatch.setattr("store.WORKERS", 1)
    taking.take_in()
    taking.write("jobs/b.csv", JOBS[:3])
    points = Recorder(warehouse).points(taking.take_in, tmp_path / "points")
    loads = []
    for point in points:
        taking.store = point / "deliveries"
        loads.append(len([*taking.store.glob("0*")]))
        answer = taking.take_in()
        assert [(load, rows) for load, _, _, rows in answer["files"]["jobs"]] == [(1, 20), (2, 3)]
        assert taking.module.verify_store(str(taking.store)) == ""
        assert not [*taking.store.glob(".*")]
    assert (loads[0], loads[-1]) == (1, 2)
    assert len(points) >= 50


# ------------------------------------------------------------------------------------------ a store of a release before


class TestOlderStore:
    """Format 1 had a Parquet file for each delivered one, as it came. That release wrote tests/data/store-1."""

    @pytest.fixture
    def older(self, taking):
        shutil.copytree(PROJECT / "tests" / "data" / "store-1", taking.store)
        return taking

    def test_it_is_converted_and_keeps_what_it_knew(self, older):
        was = {name: older.manifest(name) for name in ("000001", "000002")}
        answer = older.take_in("")
        assert answer["problem"] is None
        for name, manifest in was.items():
            now = older.manifest(name)
            assert (now["format"], now["load"], now["taken_in_at"]) == (4, manifest["load"], manifest["taken_in_at"])
            assert [
                {k: f[k] for k in ("extract", "path", "sha256", "bytes", "rows")} for f in manifest["files"]
            ] == now["files"]
        assert older.rows("000001/jobs.parquet", "id, status, load_id, file_name") == [
            ("1", "ok", 1, "jobs/2026/a.csv"),
            ("2", "ok", 1, "jobs/2026/a.csv"),
        ]
        assert older.rows("000002/jobs.parquet", "id, status, extra") == [("3.0", "ok", '{"other":7}')]
        assert older.module.verify_store(str(older.store)) == ""

    def test_killed_or_without_power_at_any_step_nothing_is_lost(self, older, tmp_path, monkeypatch):
        warehouse = tmp_path / "warehouse"
        warehouse.mkdir()
        older.store = older.store.rename(warehouse / "deliveries")
        monkeypatch.setattr("store.WORKERS", 1)
        points = Recorder(warehouse).points(lambda: older.take_in(""), tmp_path / "points")
        from store import store_format

        formats = []
        for point in [*points[:-1:3], points[-1]]:
            older.store = point / "deliveries"
            formats.append([store_format(load) for load in sorted(older.store.glob("0*"))])
            assert [rows for *_, rows in older.take_in("")["files"]["jobs"]] == [2, 1]
            assert older.module.verify_store(str(older.store)) == ""
            assert not [*older.store.glob(".*")]
        assert (formats[0], formats[-1]) == ([1, 1], [4, 4])
        assert len(formats) >= 50

    def test_a_rotten_file_stops_it(self, older):
        stored = older.store / "000001/jobs/2026/a.csv.parquet"
        stored.write_bytes(stored.read_bytes()[::-1])
        older.stops(f"The stored file {stored} is missing or has changed")

    def test_verifying_says_that_the_next_run_takes_it_over(self, older):
        assert "older release" in older.module.verify_store(str(older.store))

    def test_a_newer_store_is_refused(self, taking):
        taking.take_in()
        manifest = taking.store / "000001/manifest.json"
        manifest.write_text(manifest.read_text().replace('"format": 4', '"format": 6'))
        taking.stops("written by a newer release (format 6; this one writes 5): run that release.")
