"""What the store does with what it holds: contents that grow, files set aside, loads that are merged or forgotten."""

import copy
import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from builders import NOON, SALESFORCE, TRIGGER, connection, customer, job, only_steps, recipe, world
from building import PROJECT
from reference.files import as_csv, literal, write_text, write_world
from taking import CONTRACT, JOBS

HEADER = "status,error,id\n"
WHOLE = HEADER + "ok,,j-100\nok,,j-123\n"


def superseded(taking) -> list[tuple[int, str, int]]:
    return [tuple(file) for file in taking.take_in("")["superseded"].get("jobs", [])]


def set_aside(taking) -> list[tuple[str, int, str, bool]]:
    return [(extract, load, path, last) for extract, load, path, _, last in taking.take_in("")["quarantined"]]


# ------------------------------------------------------------------------------ a content that a later one continues


class TestGrownFiles:
    @pytest.mark.parametrize("cut", [len(WHOLE) - 2, len(HEADER), len(HEADER) + 5, len(WHOLE) - 1])
    def test_a_file_that_was_read_while_it_was_written_gives_way_to_the_whole_one(self, cut, taking):
        """Wherever it was cut; in the last id, behind the header, in a row that lacks its id, before its line end."""
        taking.limits = {"least_rows": 100}
        grown = taking.extracts / "jobs/grown.csv"
        write_text(grown, WHOLE[:cut] if cut != len(HEADER) + 5 else WHOLE[: len(HEADER) + 7])
        rows = [row for *_, path, row in taking.take_in()["files"]["jobs"] if path == "jobs/grown.csv"]
        write_text(grown, WHOLE)
        taking.take_in()
        assert superseded(taking) == [(1, "jobs/grown.csv", *rows)]
        assert taking.manifest("000002")["supersedes"] == [
            {
                "path": "jobs/grown.csv",
                "sha256": next(
                    f["sha256"] for f in taking.manifest("000001")["files"] if f["path"] == "jobs/grown.csv"
                ),
            }
        ]

    def test_so_it_is_as_often_as_it_grows(self, taking):
        lines = [f"ok,,{n}\n" for n in range(6)]
        for number in range(1, 6):
            write_text(taking.extracts / "jobs/a.csv", HEADER + "".join(lines[:number]))
            taking.take_in()
            taking.write(f"steps/{number}.csv", [{"id": "1"}])  # with loads between
            taking.take_in()
        assert superseded(taking) == [(load, "jobs/a.csv", rows) for rows, load in enumerate(range(1, 9, 2), 1)]

    @pytest.mark.parametrize(
        "other",
        [
            HEADER + "ok,,j-100\nok,,j-124\nok,,j-125\n",  # as long, and longer, with another row
            HEADER + "ok,,j-100\n",  # a beginning of the stored one, with other rows to come
            WHOLE.replace("\n", "\r\n"),
        ],
    )
    def test_other_bytes_are_a_delivery_beside_the_old_one(self, other, taking):
        write_text(taking.extracts / "jobs/a.csv", WHOLE)
        taking.take_in()
        write_text(taking.extracts / "jobs/a.csv", other)
        taking.take_in()
        assert superseded(taking) == []

    def test_the_same_beginning_under_another_name_stays(self, taking):
        write_text(taking.extracts / "jobs/a.csv", WHOLE)
        taking.take_in()
        write_text(taking.extracts / "jobs/b.csv", WHOLE + "ok,,j-3\n")
        taking.take_in()
        assert superseded(taking) == []

    def test_a_half_that_came_after_the_whole_gives_way_when_the_whole_is_back(self, taking):
        """The source writes the same file anew, and a run sees it half written."""
        write_text(taking.extracts / "jobs/a.csv", WHOLE)
        taking.take_in()
        write_text(taking.extracts / "jobs/a.csv", WHOLE[:-2])
        taking.take_in()
        assert superseded(taking) == []
        write_text(taking.extracts / "jobs/a.csv", WHOLE)
        assert taking.take_in()["taken_in"] == 0
        assert superseded(taking) == [(2, "jobs/a.csv", 2)]
        assert taking.take_in()["newest_load"] == 3  # which holds that note alone
        assert taking.module.verify_store(str(taking.store)) == ""

    def test_a_file_that_cannot_be_taken_in_continues_nothing(self, taking):
        taking.quarantines = True
        write_text(taking.extracts / "jobs/a.csv", WHOLE)
        taking.take_in()
        write_text(taking.extracts / "jobs/a.csv", WHOLE + 'ok,,"j')
        taking.take_in()
        assert superseded(taking) == []
        assert set_aside(taking) == [("jobs", 2, "jobs/a.csv", False)]

    @pytest.mark.parametrize("ending", ["json", "csv.gz"])
    def test_whatever_its_format(self, ending, taking):
        (taking.extracts / "jobs/a.csv").unlink()
        file = taking.extracts / f"jobs/a.{ending}"
        text = as_csv(JOBS[:3], JOBS[0]) if "csv" in ending else "".join(json.dumps(row) + "\n" for row in JOBS[:3])
        pack = gzip.compress if ending.endswith("gz") else lambda data: data
        file.write_bytes(pack(text.encode()))
        taking.take_in()
        more = "9,more,\n" if "csv" in ending else json.dumps(JOBS[4]) + "\n"
        file.write_bytes(file.read_bytes() + pack(more.encode()))
        taking.take_in()
        assert superseded(taking) == [(1, f"jobs/a.{ending}", 3)]


# ----------------------------------------------------------------------------------------------- this release's format


@pytest.mark.parametrize(("name", "compacted"), [("store-3", []), ("store-5", [1])])
def test_a_store_of_this_format_is_read(name, compacted, taking):
    """Two loads, merged; in store-5 the first is compacted."""
    import store

    shutil.copytree(PROJECT / "tests" / "data" / name, taking.store)
    found = store.open_store(taking.store)
    assert [load["load"] for load in found.loads] == [1, 2]
    assert {len(piece.loads) for piece in found.pieces} == {2}
    assert taking.module.verify_store(str(taking.store)) == ""
    answer = taking.take_in("")
    assert [(load, rows) for load, _, _, rows in answer["files"]["seats"]] == [(1, 1)]
    assert [int(load) for load in answer["compacted"]] == compacted


# ----------------------------------------------------------------------------------------------------- files set aside


BROKEN = {
    "cut.json": '[{"id": "1", "status": "ok"},\n',
    "lacking.csv": "id\n1\n",
    "twice.csv": "id,status,ID\n1,ok,1\n",
    "uneven.csv": "id,status\n1,ok\n2,ok,3\n",
    "binary.parquet": "no Parquet at all",
    "no-gzip.csv.gz": "id,status\n1,ok\n",
}


class TestFilesSetAside:
    @pytest.fixture
    def broken(self, taking):
        taking.quarantines = True
        for name, text in BROKEN.items():
            write_text(taking.extracts / "jobs" / Path(name).name, "")
            (taking.extracts / "jobs" / name).write_bytes(text.encode())
        with duckdb.connect() as db:
            db.execute(
                f"copy (select '1' as id, {{'a': 1}} as status) to {literal(taking.extracts / 'jobs/odd.parquet')}"
            )
        return taking

    def test_they_are_set_aside_whole_and_the_others_are_taken_in(self, broken):
        answer = broken.take_in()
        assert [path for *_, path, _ in answer["files"]["jobs"]] == ["jobs/a.csv"]
        told = {path: reason for _, _, path, reason, _ in answer["quarantined"]}
        assert told.keys() == {f"jobs/{name}" for name in [*BROKEN, "odd.parquet"]}
        assert "lacks the required column status" in told["jobs/lacking.csv"]
        assert "the file is incomplete" in told["jobs/cut.json"] or "cannot be parsed" in told["jobs/cut.json"]
        assert "its column status has nested values" in told["jobs/odd.parquet"]
        assert not [reason for reason in told.values() if str(broken.extracts) in reason]

    def test_their_bytes_are_kept_and_verified(self, broken):
        broken.take_in()
        kept = {path.read_bytes() for path in (broken.store / "quarantined").iterdir()}
        assert kept >= {text.encode() for text in BROKEN.values()}
        assert broken.module.verify_store(str(broken.store)) == ""
        path = next((broken.store / "quarantined").glob("*.json"))
        path.write_bytes(b"[]")
        assert f"{path} has changed since it was stored" in broken.module.verify_store(str(broken.store))

    def test_they_are_known_and_not_taken_in_again(self, broken):
        broken.take_in()
        assert broken.take_in()["taken_in"] == 0
        assert broken.take_in()["newest_load"] == 1

    def test_without_the_var_they_stop_the_run_and_nothing_is_stored(self, broken):
        broken.quarantines = False
        broken.stops(f"{broken.extracts}/jobs/")
        assert not [*broken.store.rglob("*")]

    def test_a_run_that_computes_everything_tries_them_again(self, broken):
        broken.take_in()
        broken.contract = copy.deepcopy(CONTRACT)
        broken.contract["extracts"]["jobs"]["columns"][1][2] = False  # status is no longer required
        shutil.rmtree(broken.extracts / "jobs")
        (broken.extracts / "jobs").mkdir()
        assert ("jobs", 1, "jobs/lacking.csv", False) in set_aside(broken)
        broken.whole = True
        answer = broken.take_in()
        assert [(load, path) for load, _, path, _ in answer["files"]["jobs"]] == [
            *((1, "jobs/a.csv"), (2, "jobs/lacking.csv"))
        ]
        assert len(answer["quarantined"]) == len(BROKEN)
        assert broken.rows("000002/jobs.parquet", "id, status, error") == [("1", None, None)]
        assert broken.take_in()["newest_load"] == 2

    def test_one_that_was_replaced_is_said_to_be(self, broken):
        broken.take_in()
        write_text(broken.extracts / "jobs/lacking.csv", "id,status\n1,ok\n")
        broken.take_in()
        replaced = {path: last for _, _, path, last in set_aside(broken)}
        assert replaced.pop("jobs/lacking.csv") is True
        assert not any(replaced.values())

    def test_a_file_most_of_which_cannot_be_read_is_one_of_them(self, taking):
        taking.quarantines = True
        write_text(taking.extracts / "jobs/b.csv", "id,status,count\n" + "1,ok,many\n" * 100)
        (told,) = taking.take_in()["quarantined"]
        assert told[3].endswith("100 of 100 rows have a count that cannot be read, such as 'many'")

    def test_a_file_that_changes_while_it_is_read_still_stops_the_run(self, taking, monkeypatch):
        taking.quarantines = True
        read = taking.module.sha256_of

        def read_and_append(path):
            sha256 = read(path)
            with path.open("a") as file:
                file.write("1\n")
            return sha256

        monkeypatch.setattr(taking.module, "sha256_of", read_and_append)
        taking.stops("it changed while it was read")


class TestStoredFilesThatCannotBeRead:
    """The project changes, and what is stored stays as it is."""

    @pytest.fixture
    def stored(self, taking):
        write_text(taking.extracts / "jobs/a.csv", "id,status,count,later\n1,ok,3,x\n")
        taking.take_in()
        taking.whole = True
        return taking

    def changed(self, *columns):
        contract = copy.deepcopy(CONTRACT)
        contract["extracts"]["jobs"]["columns"] = [*contract["extracts"]["jobs"]["columns"][:3], *columns]
        return contract

    def test_one_with_other_types_is_set_aside_until_the_project_can_read_it(self, stored):
        stored.contract = self.changed(["count", "timestamp", False])
        answer = stored.take_in()
        assert "jobs" not in answer["files"]
        assert answer["quarantined"] == [
            *[["jobs", 1, "jobs/a.csv", "it was stored with other types: count is BIGINT, not TIMESTAMP", False]]
        ]
        stored.whole = False
        write_text(stored.extracts / "jobs/b.csv", "id,status,count\n1,ok,2026-01-01\n")
        assert [path for *_, path, _ in stored.take_in()["files"]["jobs"]] == ["jobs/b.csv"]
        stored.contract, stored.whole = CONTRACT, True
        answer = stored.take_in()
        assert [path for *_, path, _ in answer["files"]["jobs"]] == ["jobs/a.csv"]
        assert [path for _, _, path, *_ in answer["quarantined"]] == ["jobs/b.csv"]

    def test_that_is_noticed_by_a_run_that_reads_only_what_is_new(self, stored):
        stored.whole = False
        stored.take_in()
        stored.contract = self.changed(["count", "timestamp", False])
        assert [path for _, _, path, *_ in stored.take_in()["quarantined"]] == ["jobs/a.csv"]

    def test_one_that_lacks_a_new_column_is_read_without_it(self, stored):
        stored.contract = self.changed(["count", "bigint", False], ["later", "string", False])
        answer = stored.take_in()
        assert answer["lacks"] == {"000001/jobs.parquet": ["later"]}
        assert [path for *_, path, _ in answer["files"]["jobs"]] == ["jobs/a.csv"]
        stored.whole = False
        assert stored.take_in()["lacks"] == {"000001/jobs.parquet": ["later"]}

    def test_one_that_is_lost_stops_the_run_or_is_set_aside_when_that_is_accepted(self, stored, monkeypatch):
        (stored.store / "000001/jobs.parquet").unlink()
        stored.stops("jobs.parquet is missing", "ACCEPT_MISSING_LOADS=1")
        monkeypatch.setenv("ACCEPT_MISSING_LOADS", "1")
        assert set_aside(stored) == [("jobs", 1, "jobs/a.csv", False)]


# ------------------------------------------------------------------------------------------------------------- merging


@pytest.fixture
def small_loads(taking, monkeypatch):
    """Three loads become one."""
    import store

    monkeypatch.setattr(store, "MERGE_AT_ONCE", (3, 9))

    def deliver(count: int, first: int = 1) -> None:
        for number in range(first, first + count):
            taking.write(f"jobs/{number}.csv", [JOBS[number % 20] | {"id": str(number)}])
            taking.take_in()

    return deliver


def pieces(taking) -> list[str]:
    """The folders that are read, by the first word of their names."""
    return sorted({stored.split("/")[0][:20] for _, stored, *_ in taking.take_in("")["files"]["jobs"]})


def all_rows(taking) -> list[tuple]:
    rows = []
    for stored in {stored for _, stored, *_ in taking.take_in("")["files"]["jobs"]}:
        rows += taking.rows(stored, "load_id, file_name, id, status, error")
    return sorted(rows, key=lambda row: row[:2])


class TestMerging:
    def test_small_loads_become_one_piece_with_the_same_rows(self, taking, small_loads):
        (taking.extracts / "jobs/a.csv").unlink()
        small_loads(2)
        before, manifests = all_rows(taking), [taking.manifest("000001"), taking.manifest("000002")]
        assert pieces(taking) == ["000001", "000002"]
        small_loads(1, first=3)
        assert pieces(taking) == ["merged-000001-000003"]
        rows = all_rows(taking)
        assert [row for row in rows if row[0] < 3] == before
        assert [row[:3] for row in rows] == [(n, f"jobs/{n}.csv", str(n)) for n in (1, 2, 3)]
        (merged,) = taking.store.glob("merged-*/manifest.json")
        assert json.loads(merged.read_text())["loads"][:2] == manifests
        assert taking.module.verify_store(str(taking.store)) == ""

    def test_so_there_are_few_pieces_however_many_loads(self, taking, small_loads):
        small_loads(40)
        assert len(pieces(taking)) <= 8
        answer = taking.take_in("")
        assert [load for load, *_ in answer["files"]["jobs"]] == [1, *range(1, 41)]
        assert answer["loads"].keys() == {str(n) for n in range(1, 41)}
        assert [row[0] for row in all_rows(taking) if row[1] != "jobs/a.csv"] == [*range(1, 41)]

    def test_ids_stay_so_the_loads_are_still_known_to_the_warehouse(self, taking, small_loads):
        small_loads(2)
        before = taking.take_in("")["loads"]
        taking.committed = {identity: int(number) for number, identity in before.items()}
        small_loads(1, first=3)
        assert taking.take_in("")["loads"].items() > before.items()

    def test_what_was_taken_in_is_still_known(self, taking, small_loads):
        small_loads(4)
        (taking.store / "seen.json").unlink(missing_ok=True)
        assert taking.take_in()["taken_in"] == 0

    def test_the_loads_are_there_for_those_who_read_them_until_the_next_run(self, taking, small_loads):
        small_loads(3)
        assert (taking.store / "000001/jobs.parquet").exists()
        taking.take_in()
        assert not (taking.store / "000001").exists()
        assert taking.take_in("")["newest_load"] == 3

    def test_a_number_is_not_used_again_when_its_folder_is_gone(self, taking, small_loads):
        small_loads(3)
        taking.take_in()
        (taking.store / "loads.json").unlink()
        small_loads(1, first=4)
        assert taking.take_in("")["newest_load"] == 4

    def test_a_large_load_stays_as_it_is(self, taking, small_loads, monkeypatch):
        import store

        monkeypatch.setattr(store, "LARGEST_MERGED", 3)
        small_loads(4)
        assert pieces(taking) == ["000001", "000002", "000003", "000004"]

    def test_loads_with_other_columns_are_not_mixed(self, taking, small_loads):
        small_loads(2)
        taking.contract = copy.deepcopy(CONTRACT)
        taking.contract["extracts"]["jobs"]["columns"].append(["later", "string", False])
        taking.whole = True
        small_loads(3, first=3)
        assert pieces(taking) == ["000001", "000002", "merged-000003-000005"]

    def test_nor_are_those_with_a_column_that_the_contract_had(self, taking, small_loads):
        """The rows of the first two keep it."""
        taking.contract = copy.deepcopy(CONTRACT)
        taking.contract["extracts"]["jobs"]["columns"].append(["former", "string", False])
        small_loads(2)
        taking.contract = CONTRACT
        small_loads(3, first=3)
        assert pieces(taking) == ["000001", "000002", "merged-000003-000005"]
        assert len(all_rows(taking)) == 25

    def test_what_is_no_longer_as_it_was_stored_is_not_merged(self, taking, small_loads):
        small_loads(2)
        file = taking.store / "000001/jobs.parquet"
        data = bytearray(file.read_bytes())
        data[20] ^= 1
        file.write_bytes(data)
        taking.write("jobs/3.csv", JOBS[:1])
        assert f"{file} is missing or has changed" in taking.answer()["problem"]
        assert not [*taking.store.glob("merged-*")]
        assert (taking.store / "000003").exists()

    def test_a_full_disk_stops_the_merging_and_not_the_run(self, taking, small_loads, monkeypatch):
        import store

        small_loads(2)
        write = store.write_rows

        def full(*arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(store, "write_rows", full)
        taking.write("jobs/3.csv", JOBS[:1])
        assert "No space left on device" in taking.take_in()["to_look_at"][0]
        monkeypatch.setattr(store, "write_rows", write)
        taking.take_in()
        assert pieces(taking) == ["merged-000001-000003"]

    def test_a_continued_content_stays_superseded(self, taking, small_loads):
        write_text(taking.extracts / "jobs/a.csv", WHOLE[:-2])
        small_loads(1)
        write_text(taking.extracts / "jobs/a.csv", WHOLE)
        small_loads(2, first=2)
        assert pieces(taking) == ["merged-000001-000003"]
        assert superseded(taking) == [(1, "jobs/a.csv", 2)]

    @pytest.mark.parametrize("step", range(1, 12))
    def test_a_kill_at_any_moment_loses_nothing(self, step, taking, small_loads):
        """Of storing the load, merging it with two others, and the next run's removing what is left over."""
        small_loads(2)
        taking.write("jobs/3.csv", [JOBS[3] | {"id": "3"}])
        expected = [(n, f"jobs/{n}.csv", str(n)) for n in (1, 2, 3)]
        dies = (
            "import os, sys, shutil; from pathlib import Path; import deliveries, store; store.MERGE_AT_ONCE = (3, 9)\n"
            f"count = iter(range(1, 99)); at = {step}\n"
            "def dying(function):\n"
            "    return lambda *a, **k: os._exit(9) if next(count) == at else function(*a, **k)\n"
            "Path.rename, Path.replace, Path.mkdir = map(dying, (Path.rename, Path.replace, Path.mkdir))\n"
            "os.unlink, os.rmdir = dying(os.unlink), dying(os.rmdir)\n"
            "[deliveries.ingest_deliveries(*sys.argv[1:]) for _ in range(2)]"
        )
        subprocess.run(
            [sys.executable, "-c", dies, taking.extracts, taking.store, json.dumps(CONTRACT)],
            env=os.environ | {"PYTHONPATH": str(PROJECT / "plugins")},
        )
        taking.take_in()
        assert [row[:3] for row in all_rows(taking) if row[1] != "jobs/a.csv"] == expected
        assert taking.module.verify_store(str(taking.store)) == ""
        taking.take_in()
        assert {path.name[:6] for path in taking.store.iterdir() if path.is_dir()} == {"merged"}


# ---------------------------------------------------------------------------------------------------------- forgetting


def forget(taking, load: str) -> tuple[int, str]:
    """What make forget-load does; its exit code, and what it said."""
    done = subprocess.run(
        [sys.executable, PROJECT / "scripts/forget_load.py", f"--load={load}"],
        env=os.environ | {"WAREHOUSE_DIR": str(taking.store.parent)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


class TestForgetting:
    @pytest.fixture
    def three(self, taking, small_loads):
        (taking.extracts / "jobs/a.csv").unlink()
        small_loads(2)
        return taking

    def test_it_says_what_goes_and_what_to_do(self, three):
        code, said = forget(three, "2")
        assert code == 0
        assert "load 2" in said
        assert "jobs: 1 row in 1 file" in said
        assert "dbt build" in said

    def test_its_rows_are_gone_and_its_files_stay_known(self, three):
        forget(three, "2")
        assert [row[0] for row in all_rows(three)] == [1]
        assert not (three.store / "000002").exists()
        three.committed = {}
        assert three.take_in()["taken_in"] == 0
        three.write("jobs/new.csv", JOBS[:1])
        assert three.take_in()["newest_load"] == 3  # its number is not given again
        assert three.module.verify_store(str(three.store)) == ""

    def test_nobody_misses_it(self, three):
        """Neither the store nor a warehouse that was computed from it."""
        loads = three.take_in("")["loads"]
        forget(three, "2")
        three.committed = {identity: int(number) for number, identity in loads.items()}
        assert three.take_in()["loads"] == {"1": loads["1"]}

    def test_one_of_merged_loads_goes_too(self, three, small_loads):
        small_loads(2, first=3)
        assert pieces(three) == ["000004", "merged-000001-000003"]
        assert forget(three, "2")[0] == 0
        assert [row[0] for row in all_rows(three)] == [1, 3, 4]
        three.take_in()
        assert len([*three.store.glob("merged-*")]) == 1
        assert three.module.verify_store(str(three.store)) == ""

    def test_a_content_that_it_continued_counts_again(self, three):
        write_text(three.extracts / "jobs/a.csv", WHOLE[:-2])
        three.take_in()
        write_text(three.extracts / "jobs/a.csv", WHOLE)
        three.take_in()
        assert superseded(three) == [(3, "jobs/a.csv", 2)]
        newest = three.take_in("")["newest_load"]
        forget(three, str(newest))
        assert superseded(three) == []

    def test_a_file_that_was_set_aside_goes_with_it(self, three):
        three.quarantines = True
        write_text(three.extracts / "jobs/b.csv", "id\n1\n")
        three.take_in()
        forget(three, str(three.take_in("")["newest_load"]))
        assert set_aside(three) == []
        assert not [*(three.store / "quarantined").iterdir()]
        assert three.take_in()["taken_in"] == 0

    @pytest.mark.parametrize(
        ("load", "said"), [("9", "has no load 9"), ("x", "is not the number"), ("", "is not the number")]
    )
    def test_a_load_that_is_not_there_is_named(self, load, said, three):
        code, output = forget(three, load)
        assert code != 0
        assert said in output
        assert "Traceback" not in output
        assert len(all_rows(three)) == 2

    def test_twice_is_said(self, three):
        forget(three, "2")
        code, said = forget(three, "2")
        assert code != 0
        assert "forgotten already" in said

    @pytest.mark.parametrize("step", range(1, 8))
    def test_a_kill_at_any_moment_leaves_all_of_it_or_nothing(self, step, three, small_loads):
        small_loads(2, first=3)
        dies = (
            "import os, sys; from pathlib import Path; import store; from progress import NO_PROGRESS\n"
            f"count = iter(range(1, 99)); at = {step}\n"
            "def dying(function):\n"
            "    return lambda *a, **k: os._exit(9) if next(count) == at else function(*a, **k)\n"
            "Path.rename, Path.replace = map(dying, (Path.rename, Path.replace))\n"
            "os.unlink, os.rmdir = dying(os.unlink), dying(os.rmdir)\n"
            "store.forget_load(Path(sys.argv[1]), 2, NO_PROGRESS)"
        )
        subprocess.run(
            [sys.executable, "-c", dies, three.store], env=os.environ | {"PYTHONPATH": str(PROJECT / "plugins")}
        )
        answer = three.take_in()
        assert answer["taken_in"] == 0
        assert [row[0] for row in all_rows(three)] in ([1, 3, 4], [1, 2, 3, 4])
        assert three.module.verify_store(str(three.store)) == ""
        is_noted = (three.store / "forgotten/000002.json").exists()
        assert ([row[0] for row in all_rows(three)] == [1, 3, 4]) == is_noted


# ------------------------------------------------------------------------------------ what a warehouse makes of it


ACME = world(
    customer("acme"),
    recipe("recipe", user_id="acme", recipe_type="api_recipe"),
    connection(user_id="acme"),
    *(
        only_steps(job(id, TRIGGER, SALESFORCE, account_id="acme", recipe_id="recipe"))
        for id in ("j-100", "j-123", "j-7")
    ),
)
JOB = f"acme,recipe,succeeded,{NOON},{NOON},{NOON},"
GROWN = f"account_id,recipe_id,status,started_at,completed_at,extracted_at,id\n{JOB}j-100\n{JOB}j-123\n"
ORDERS = "id,account_id,product,effective_from,seats\norder,acme,workato_go,2026-03-01,15\n"
COUNTS = (
    "select rows_read, rows_used, rows_repeated, rows_quarantined from audit.extract_row_counts where extract_name = ?"
)


def merge(warehouse: Path) -> None:
    """The loads of a warehouse as a run would merge more of them."""
    import store
    from progress import NO_PROGRESS

    least, store.MERGE_AT_ONCE = store.MERGE_AT_ONCE, (2, 100)
    try:
        store.merge_loads(store.open_store(warehouse / "deliveries"), set(), NO_PROGRESS)
    finally:
        store.MERGE_AT_ONCE = least


def forget_third(warehouse: Path) -> None:
    said = subprocess.run(
        [sys.executable, PROJECT / "scripts/forget_load.py", "--load=3"],
        env=os.environ | {"WAREHOUSE_DIR": str(warehouse)},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stdout + said.stderr


class TestWarehouse:
    """A job and an order that a run saw cut; then they are whole; then one more job; which is forgotten."""

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, build, workbench):
        sys.path.insert(0, str(PROJECT / "plugins"))
        folder = workbench.clear_extracts()
        options = {"vars": {"quarantine_files": True}}
        write_world(ACME, folder, "csv", split=1, ragged=False)
        shutil.rmtree(folder / "jobs", ignore_errors=True)
        write_text(folder / "jobs/a.csv", GROWN[:-2])
        write_text(folder / "seats/a.csv", ORDERS[:-2])
        write_text(folder / "connections/broken.csv", "id\n1\n")
        first = build(folder, **options)
        write_text(folder / "jobs/a.csv", GROWN)
        write_text(folder / "seats/a.csv", ORDERS)
        second = build(folder, onto=first, **options)
        write_text(folder / "jobs/b.csv", GROWN.splitlines()[0] + f"\n{JOB}j-7\n")
        third = build(folder, onto=second, prepare=merge, **options)
        fourth = build(folder, onto=third, prepare=forget_third, **options)
        for run in (first, second, third, fourth):
            assert run.exit_code == 0, run.output
        return first, second, third, fourth

    def test_a_half_row_counts_until_the_whole_one_comes(self, runs):
        figures = (
            "select sum(api_calls)::int, sum(jobs_succeeded)::int, max(go_seats)::int from marts.monthly_customer_usage"
        )
        assert [run.rows(figures) for run in runs] == [[(2, 2, 1)], [(2, 2, 15)], [(3, 3, 15)], [(2, 2, 15)]]
        assert runs[0].column("select job_id from metering.metered_jobs order by all") == ["j-100", "j-12"]
        assert runs[1].column("select job_id from metering.metered_jobs order by all") == ["j-100", "j-123"]

    def test_what_was_continued_counts_as_repeated(self, runs):
        assert [run.rows(COUNTS, "jobs") for run in runs] == [
            *([(2, 2, 0, 0)], [(4, 2, 2, 0)], [(5, 3, 2, 0)], [(4, 2, 2, 0)])
        ]
        assert [run.rows(COUNTS, "seats") for run in runs[:2]] == [[(1, 1, 0, 0)], [(2, 1, 1, 0)]]

    def test_a_file_set_aside_is_named_by_a_warning_and_in_its_table(self, runs):
        asked = "select extract_name, file_name, reason, load_id from audit.quarantined_files"
        reason = (
            "The file connections/broken.csv lacks the required column user_id, provider, created_at, extracted_at."
        )
        for run in runs:
            assert run.rows(asked) == [("connections", "connections/broken.csv", reason, 1)]
            assert "1 file is quarantined" in run.output
            assert "connections/broken.csv" in run.output

    def test_only_what_changed_settled_figures_computes_everything(self, runs):
        said = ["Everything is recomputed" in run.output for run in runs]
        assert said == [False, True, False, True]
        assert "new files continue jobs/a.csv and 1 more" in runs[1].output

    def test_without_the_forgotten_load_all_is_as_before_it(self, runs):
        _, second, _, fourth = runs
        assert fourth.tables("marts", "metering", "audit") == second.tables("marts", "metering", "audit")
