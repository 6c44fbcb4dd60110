"""Every delivered file is stored for good, once, with all its rows; or nothing is, and the message names the file."""

import csv
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import duckdb
import pytest
from building import PROJECT
from reference.files import FORMATS, as_csv, literal, write_parquet, write_text

CONTRACT = {
    "customers": {"required": True, "columns": ["id"], "all_columns": ["id", "name"]},
    "jobs": {"required": True, "columns": ["id", "status"], "all_columns": ["id", "status", "error"]},
    "steps": {"required": True, "columns": ["id"], "all_columns": ["id"]},
    "job_history": {"required": False, "columns": [], "all_columns": ["record"]},
    "seats": {"required": False, "columns": ["id"], "all_columns": ["id", "product"]},
}
JOBS = [{"id": str(n), "status": f"status, {n}", "error": None if n % 3 else f'"{n}"\nmore'} for n in range(20)]
COLUMNS = ("id", "status", "error")


class Taking:
    """An EXTRACTS_DIR with what is required, and the store that takes it in."""

    def __init__(self, folder: Path, module) -> None:
        self.module = module
        self.extracts = folder / "extracts"
        self.store = folder / "deliveries"
        for extract in ("customers", "steps"):
            write_text(self.extracts / extract / "a.csv", "id\n1\n")
        self.write("jobs/a.csv", JOBS)

    def write(self, path: str, rows: list[dict]) -> Path:
        file = self.extracts / path
        if path.endswith(".parquet"):
            write_parquet(file, rows, dict.fromkeys(rows[0], "VARCHAR"))
        elif ".csv" in path:
            write_text(file, as_csv(rows, rows[0]))
        else:
            write_text(file, "".join(json.dumps(row) + "\n" for row in rows))
        return file

    def answer(self, folder: Path | str | None = None) -> dict:
        folder = self.extracts if folder is None else folder
        return json.loads(self.module.take_in_deliveries(str(folder), str(self.store), json.dumps(CONTRACT)))

    def take_in(self, folder: Path | str | None = None) -> dict:
        answer = self.answer(folder)
        assert answer["problem"] is None, answer["problem"]
        return answer

    def stops(self, *texts: str) -> None:
        """Asserts that nothing is taken in, with a message that holds the texts, and that the store is as it was."""
        before = self.contents()
        problem = self.answer()["problem"]
        assert problem
        for text in texts:
            assert str(text) in problem
        assert self.contents() == before

    def contents(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.store.rglob("*") if path.is_file()}

    def jobs(self) -> list[str]:
        return [path for _, path, _ in self.take_in("")["files"]["jobs"]]

    def rows(self, path: str) -> list[tuple]:
        pattern = self.module._escape_glob(self.store / path)
        with duckdb.connect() as db:
            return db.execute(f"from read_parquet({literal(pattern)}, hive_partitioning = false)").fetchall()

    def manifest(self, load: str) -> dict:
        return json.loads((self.store / load / "manifest.json").read_text())


@pytest.fixture
def taking(tmp_path, monkeypatch) -> Taking:
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    import deliveries

    return Taking(tmp_path, deliveries)


def as_rows(rows):
    return [tuple(row[column] for column in COLUMNS) for row in rows]


# ------------------------------------------------------------------------------------------------- what a load holds


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_stored_file_has_the_rows_of_the_delivered_one_in_their_order(fmt, taking):
    (taking.extracts / "jobs/a.csv").unlink()
    taking.write(f"jobs/2026/part.{fmt}", JOBS)
    answer = taking.take_in()
    assert answer["files"]["jobs"] == [[1, f"000001/jobs/2026/part.{fmt}.parquet", 20]]
    stored = taking.rows(f"000001/jobs/2026/part.{fmt}.parquet")
    assert [(one, other, third or None) for one, other, third in stored] == as_rows(JOBS)


def test_the_order_is_kept_in_a_file_of_many_row_groups(taking):
    lines = "".join(f"{n},ok\n" for n in range(300_000))
    write_text(taking.extracts / "jobs/a.csv", f"id,status\n{lines}")
    taking.take_in()
    assert [row[0] for row in taking.rows("000001/jobs/a.csv.parquet")] == [str(n) for n in range(300_000)]


def test_a_parquet_file_is_stored_byte_for_byte(taking):
    (taking.extracts / "jobs/a.csv").unlink()
    file = taking.extracts / "jobs/a.parquet"
    with duckdb.connect() as db:
        db.execute(
            "copy (select range as ID, now() as status, [range] as error, {'a': null} as other from range(3)) "
            f"to {literal(file)} (format parquet)"
        )
    taking.take_in()
    assert (taking.store / "000001/jobs/a.parquet.parquet").read_bytes() == file.read_bytes()


def test_texts_stay_as_they_were_delivered(taking):
    """No text is read as a number, a time or a null; of a JSON row the columns of the contract are kept."""
    write_text(taking.extracts / "jobs/a.csv", 'Status , id,Unheard_Of\n 007,1e3,NULL\nnan,,""\n')
    write_text(taking.extracts / "seats/a.json", '{"product": {"b": [1, 2]}, "other": 1, "id": 1.0}\n{"id": null}\n')
    taking.take_in()
    assert taking.rows("000001/jobs/a.csv.parquet") == [(" 007", "1e3", "NULL"), ("nan", None, None)]
    assert taking.rows("000001/seats/a.json.parquet") == [("1.0", '{"b":[1,2]}'), (None, None)]


@pytest.mark.parametrize("ending", ["json", "json.gz"])
def test_streamed_jobs_are_stored_as_json_one_row_each(ending, taking):
    write_text(taking.extracts / f"job_history/pretty.{ending}", json.dumps({"id": "1", "lines": [{}]}, indent=2))
    write_text(taking.extracts / f"job_history/two.{ending}", '{"id": "2"}\n{"logEntries": [{"id": "3"}]}\n')
    taking.take_in()
    pretty, two = (taking.rows(f"000001/job_history/{name}.{ending}.parquet") for name in ("pretty", "two"))
    assert [json.loads(record) for (record,) in pretty] == [{"id": "1", "lines": [{}]}]
    assert [json.loads(record) for (record,) in two] == [{"id": "2"}, {"logEntries": [{"id": "3"}]}]


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
    assert answer["files"]["jobs"] == [[1, f"000001/jobs/none.{ending}.parquet", 0]]
    assert taking.rows(f"000001/jobs/none.{ending}.parquet") == []
    assert taking.rows("000001/job_history/none.json.parquet") == []


NAMES = [
    *("it's.csv", 'double "quoted".csv', "*.csv", "?.csv", "[a-z].csv", "a{b,c}.csv", "%41.csv", "back\\slash.csv"),
    *(
        "day=2026-01-01/a.csv",
        "über/日本/ .csv",
        "new\nline.csv",
        "~/a.csv",
        "a.csv.parquet.csv",
        ".csv",
        "$HOME.csv.gz",
    ),
    *(".hidden/a.csv", "folder.csv/b.csv", "-rf.csv", "manifest.json/a.csv"),
]


def test_a_file_may_have_any_name(taking):
    """Of files that a pattern would match together each is read by itself."""
    for number, name in enumerate(NAMES):
        taking.write(f"jobs/{name}", [{**JOBS[0], "id": f"in {number}"}])
    answer = taking.take_in()
    stored = {path.removeprefix("000001/jobs/"): rows for _, path, rows in answer["files"]["jobs"]}
    assert stored == dict.fromkeys([f"{name}.parquet" for name in NAMES], 1) | {"a.csv.parquet": 20}
    for number, name in enumerate(NAMES):
        if "\\" not in name:  # nothing but a path without a pattern finds it
            (row,) = as_rows([{**JOBS[0], "id": f"in {number}"}])
            assert taking.rows(f"000001/jobs/{name}.parquet") == [row]
    assert taking.take_in()["taken_in"] == 0


def test_a_name_that_is_not_utf_8_is_named(taking):
    Path(os.fsdecode(bytes(taking.extracts / "jobs") + b"/caf\xe9.csv")).write_text("id,status\n")
    taking.stops("jobs/caf?.csv", "UTF-8")


def test_the_manifest_tells_what_was_delivered_and_what_is_stored(taking):
    file = taking.write("seats/2026/a.csv.gz", [{"id": "1"}, {"id": "2"}])
    taking.take_in()
    manifest = taking.manifest("000001")
    (entry,) = (entry for entry in manifest["files"] if entry["extract"] == "seats")
    stored = taking.store / "000001" / entry["stored"]
    assert (manifest["load"], manifest["taken_in_at"][-4:], len(manifest["files"])) == (1, " UTC", 4)
    assert entry == {
        "extract": "seats",
        "path": "seats/2026/a.csv.gz",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size,
        "rows": 2,
        "stored": "seats/2026/a.csv.gz.parquet",
        "stored_sha256": hashlib.sha256(stored.read_bytes()).hexdigest(),
    }


# ------------------------------------------------------------------------------------------------------- what is new


def test_what_was_taken_in_is_not_taken_in_again(taking):
    first = taking.take_in()
    assert (first["taken_in"], first["newest_load"], first["root"]) == (3, 1, str(taking.store))
    before = taking.contents()
    assert taking.take_in() == {**first, "taken_in": 0}
    assert taking.contents() == before


def test_new_files_are_the_next_load(taking):
    taking.take_in()
    taking.write("jobs/b.csv", JOBS[:2])
    taking.write("seats/a.json", [{"id": "1"}])
    answer = taking.take_in()
    assert (answer["taken_in"], answer["newest_load"]) == (2, 2)
    assert answer["files"]["jobs"] == [[1, "000001/jobs/a.csv.parquet", 20], [2, "000002/jobs/b.csv.parquet", 2]]
    assert answer["files"]["seats"] == [[2, "000002/seats/a.json.parquet", 1]]


def test_a_replaced_file_is_a_new_delivery_beside_the_old_one(taking):
    taking.take_in()
    taking.write("jobs/a.csv", JOBS[::-1])  # as many bytes as before
    assert taking.take_in()["taken_in"] == 1
    assert taking.jobs() == ["000001/jobs/a.csv.parquet", "000002/jobs/a.csv.parquet"]
    assert taking.rows("000001/jobs/a.csv.parquet")[0][0] == "0"
    assert taking.rows("000002/jobs/a.csv.parquet")[0][0] == "19"


def test_a_file_that_becomes_what_it_was_before_is_not_new(taking):
    taking.take_in()
    for rows, new in ((JOBS[:1], 1), (JOBS, 0), (JOBS[:1], 0)):
        taking.write("jobs/a.csv", rows)
        assert taking.take_in()["taken_in"] == new


def test_the_same_bytes_under_another_name_are_new(taking):
    taking.take_in()
    (taking.extracts / "jobs/a.csv").rename(taking.extracts / "jobs/renamed.csv")
    assert taking.take_in()["taken_in"] == 1
    assert taking.jobs() == ["000001/jobs/a.csv.parquet", "000002/jobs/renamed.csv.parquet"]


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
    assert taking.take_in("") == {**answer, "taken_in": 0}
    assert len(taking.rows("000001/jobs/a.csv.parquet")) == 20


def test_without_a_folder_and_a_store_nothing_is_stored(taking):
    answer = taking.take_in("")
    assert answer == {
        **{"problem": None, "root": str(taking.store), "ignored": [], "newest_load": 0, "taken_in": 0},
        "files": {},
    }
    assert not taking.store.exists()


def test_loads_are_listed_by_number(taking):
    taking.take_in()
    (taking.store / "000001").rename(taking.store / "999999")
    taking.write("jobs/b.csv", JOBS[:1])
    assert taking.take_in()["newest_load"] == 1_000_000
    assert taking.jobs() == ["999999/jobs/a.csv.parquet", "1000000/jobs/b.csv.parquet"]


def test_what_is_no_load_does_not_count_and_is_left_alone(taking):
    write_text(taking.store / "000007/kept.txt", "a folder without a manifest")
    write_text(taking.store / "notes/manifest.json", '{"files": []}')
    assert taking.take_in()["newest_load"] == 8
    assert taking.jobs() == ["000008/jobs/a.csv.parquet"]
    assert (taking.store / "000007/kept.txt").exists()


# --------------------------------------------------------------------------------------------------------- seen.json


@pytest.fixture
def settled(taking, monkeypatch):
    """As if every file had been written long ago."""
    monkeypatch.setattr(taking.module, "SETTLED_NS", -3_600_000_000_000)


def hashed(taking, monkeypatch) -> list[str]:
    """The names of the files that the next run reads to tell whether they are new."""
    read = taking.module._sha256
    names = []
    monkeypatch.setattr(taking.module, "_sha256", lambda path: names.append(path.name) or read(path))
    assert taking.take_in()["taken_in"] == 0
    monkeypatch.setattr(taking.module, "_sha256", read)
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
    write_text(taking.store / ".incoming/jobs/a.csv.parquet", "half of it")
    write_text(taking.store / ".incoming/jobs/other.csv.parquet", "of a file that is gone")
    assert taking.take_in()["taken_in"] == 3
    assert not (taking.store / ".incoming").exists()
    assert {path.name for path in (taking.store / "000001/jobs").iterdir()} == {"a.csv.parquet"}
    write_text(taking.store / ".incoming/jobs/a.csv.parquet", "half of it")
    taking.take_in()
    assert not (taking.store / ".incoming").exists()


@pytest.mark.parametrize("last_step", ["Path.mkdir", "os.fsync", "Path.rename", "Path.replace"])
def test_a_run_that_dies_at_any_step_leaves_all_of_a_load_or_nothing(last_step, taking):
    taking.take_in()
    before = taking.contents()
    taking.write("jobs/b.csv", JOBS)
    dies = (
        "import os, sys; from pathlib import Path; import deliveries; deliveries.SETTLED_NS = -(1 << 60); "
        f"{last_step} = lambda *_, **__: os._exit(9); deliveries.take_in_deliveries(*sys.argv[1:])"
    )
    died = subprocess.run(
        [sys.executable, "-c", dies, taking.extracts, taking.store, json.dumps(CONTRACT)],
        env=os.environ | {"PYTHONPATH": str(PROJECT / "plugins")},
    )
    assert died.returncode == 9
    renamed = last_step == "Path.replace"  # of seen.json, after the load
    assert taking.contents().items() >= before.items()
    assert len(taking.jobs()) == (2 if renamed else 1)
    assert taking.take_in()["taken_in"] == (0 if renamed else 1)
    assert taking.jobs() == ["000001/jobs/a.csv.parquet", "000002/jobs/b.csv.parquet"]
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
    assert {*events[at + 1 :]} == {taking.store, taking.store.parent}


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
    said = "its header names 'id' twice" if spoil is broken_header else ""
    taking.stops(f"The file {taking.extracts}/jobs/b.{ending} can't be parsed: {said}")
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
    taking.stops(f"The file {file} can't be parsed: ", "No magic bytes")


def test_a_file_that_changes_while_it_is_read_is_named(taking, monkeypatch):
    file = taking.extracts / "jobs/a.csv"
    read = taking.module._sha256

    def read_and_append(path):
        try:
            return read(path)
        finally:
            if path == file:
                with path.open("a") as more:
                    more.write("21,late,\n")

    monkeypatch.setattr(taking.module, "_sha256", read_and_append)
    taking.stops(f"The file {file} can't be parsed: it changed while it was read")


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
    taking.stops(f"The deliveries can't be stored under {taking.store}: ")
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
    taking.stops(f"The deliveries can't be stored under {taking.store}: No space left on device")
    assert not (taking.store / ".incoming").exists()


def test_a_store_that_is_a_file_is_named(taking):
    write_text(taking.store, "a file")
    assert f"The deliveries can't be stored under {taking.store}: " in taking.answer()["problem"]
    assert taking.store.read_text() == "a file"


# ----------------------------------------------------------------------------------------- what is wrong with a folder


def test_a_folder_that_is_missing_a_file_or_empty_is_named(taking, tmp_path):
    write_text(tmp_path / "file", "")
    (tmp_path / "empty").mkdir()
    for name, said in (("nowhere", "does not exist"), ("file", "is a file"), ("empty", "is empty")):
        assert f"EXTRACTS_DIR={tmp_path / name} {said}" in taking.answer(tmp_path / name)["problem"]


def test_formats_may_not_be_mixed_in_a_folder_but_may_change_between_loads(taking):
    taking.take_in()
    taking.write("jobs/b.json", JOBS)
    taking.stops("mixes formats", taking.extracts / "jobs/a.csv", taking.extracts / "jobs/b.json")
    (taking.extracts / "jobs/a.csv").unlink()
    assert taking.take_in()["taken_in"] == 1


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
    assert taking.take_in()["files"]["jobs"] == [[1, "000001/jobs/a.json.parquet", 501]]


def test_what_is_no_extract_is_ignored_and_named(taking, tmp_path):
    write_text(taking.extracts / "jobs/README.md", "")
    write_text(taking.extracts / "unheard_of/a.csv", "id\n")
    (taking.extracts / "jobs/nowhere.csv").symlink_to(tmp_path / "nowhere")
    (taking.extracts / "jobs/linked").symlink_to(taking.extracts / "steps")
    answer = taking.take_in()
    names = ("jobs/README.md", "jobs/linked", "jobs/nowhere.csv", "unheard_of")
    assert sorted(answer["ignored"]) == [str(taking.extracts / name) for name in names]
    assert answer["taken_in"] == 3


def test_a_linked_file_is_stored_with_its_rows(taking, tmp_path):
    (taking.extracts / "jobs/a.csv").rename(tmp_path / "a.csv")
    (taking.extracts / "jobs/a.csv").symlink_to(tmp_path / "a.csv")
    taking.take_in()
    (tmp_path / "a.csv").unlink()
    assert len(taking.rows("000001/jobs/a.csv.parquet")) == 20


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
        taking.stops("jobs is missing (job_history may stand in for it).")
        taking.write("job_history/a.json", [{"id": "1"}])
        taking.take_in()
        clear(taking.extracts / "job_history")
        assert taking.take_in()["taken_in"] == 0
        shutil.rmtree(taking.extracts / "job_history")
        taking.stops("jobs is missing (job_history may stand in for it).")
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
    file = taking.store / "000002/jobs/b.csv.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert taking.module.verify_store(str(taking.store)) == (
        f"The stored file {file} is not as it was stored: its bytes have changed."
    )
    file.unlink()
    assert taking.module.verify_store(str(taking.store)) == f"The stored file {file} is missing."
    file = taking.store / "000001/jobs/a.csv.parquet"
    file.write_bytes(b"")
    assert str(file) in taking.module.verify_store(str(taking.store))


@pytest.mark.parametrize("damaged", [b"", b"[]", b'{"load": 1}', b'{"files": [{"path": "a"}]}'])
def test_a_manifest_that_cannot_be_read_is_named(damaged, taking):
    taking.take_in()
    manifest = taking.store / "000001/manifest.json"
    manifest.write_bytes(damaged)
    taking.stops(f"The manifest {manifest} can't be read")
    assert f"The manifest {manifest} can't be read" in taking.module.verify_store(str(taking.store))


def test_the_functions_registered_in_sql_give_text(taking):
    """As a run calls it: in a query, on a thread of DuckDB's."""
    with duckdb.connect() as db:

        def take_in_deliveries(folder, store, contract):
            return taking.module.take_in_deliveries(folder, store, contract)

        db.create_function(
            take_in_deliveries.__name__, take_in_deliveries, ["VARCHAR"] * 3, "VARCHAR", side_effects=True
        )
        ((text,),) = db.execute(
            "select take_in_deliveries(?, ?, ?)", [str(taking.extracts), str(taking.store), json.dumps(CONTRACT)]
        ).fetchall()
    assert json.loads(text)["taken_in"] == 3


def test_a_byte_order_mark_is_no_part_of_the_first_column(taking):
    (taking.extracts / "jobs/a.csv").write_bytes(b"\xef\xbb\xbfid,status\n1,ok\n")
    taking.take_in()
    assert taking.rows("000001/jobs/a.csv.parquet") == [("1", "ok")]


def test_a_long_header_is_read_whole(taking):
    columns = ["id", "status", *(f"column {n}" for n in range(1500))]
    with (taking.extracts / "jobs/a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, columns])
    taking.take_in()
    assert taking.rows("000001/jobs/a.csv.parquet") == [tuple(columns)]
