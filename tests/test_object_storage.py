"""Extracts in a bucket, read through a real server of the S3 protocol: each object counts once, or the run stops."""

import dataclasses
import json
import os
import subprocess
import sys
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from building import PROJECT
from object_server import BUCKET, Server, denied, serving
from reference.files import account_of_event, nest, write_text, write_world
from reference.worlds import random_world
from taking import Taking
from werkzeug.wrappers import Response

ADDRESS = f"s3://{BUCKET}/extracts"


@pytest.fixture
def server(monkeypatch):
    with serving() as server:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def stored(taking: Taking, server: Server) -> Taking:
    """A store that takes in from a bucket with what is required; streamed jobs instead of jobs and steps."""
    server.put("extracts/customers/a.csv", "id\n1\n")
    taking.bucket = ADDRESS
    return taking


TODAY = datetime.now(UTC).date()


def day(ago: int) -> str:
    return f"{TODAY - timedelta(days=ago):%Y%m%d}"


def streamed(server: Server, job: str, account: str = "1", recipe: str = "7", ago: int = 0, **fields) -> str:
    """Put a one-job file, dated so many days ago; returns its path below EXTRACTS_DIR."""
    key = f"{account}/jobs/{recipe}/{day(ago)}/{job}/{account}-{recipe}-{job}.json"
    server.put(f"extracts/job_history/{key}", json.dumps({"id": job, **fields}))
    return f"job_history/{key}"


def records(taking: Taking) -> list[tuple[str, str]]:
    """(path, id) of all stored streamed jobs that count."""
    import duckdb

    files = taking.take_in("")["files"].get("job_history", [])
    found = []
    with duckdb.connect() as db:
        for stored in sorted({file[1] for file in files}):
            found += db.execute(f"select file_name, record ->> 'id' from '{taking.store / stored}'").fetchall()
    return sorted(found)


def paths(taking: Taking, extract: str = "job_history") -> list[str]:
    return [path for _, _, path, _ in taking.take_in("")["files"].get(extract, [])]


# ------------------------------------------------------------------------------------------------------------ downloads


class TestDownloads:
    def test_each_object_is_downloaded_once_and_is_a_delivery_under_its_key(self, stored, server):
        first = streamed(server, "j-1")
        stored.take_in(ADDRESS)
        assert records(stored) == [(first, "j-1")]
        assert sorted(server.downloaded) == ["extracts/customers/a.csv", f"extracts/{first}"]

        server.forget_requests()
        second = streamed(server, "j-2")
        server.forget_requests()
        assert stored.take_in(ADDRESS)["taken_in"] == 1
        assert server.downloaded == [f"extracts/{second}"]
        assert records(stored) == [(first, "j-1"), (second, "j-2")]

        server.forget_requests()
        assert stored.take_in(ADDRESS)["newest_load"] == 2
        assert server.downloaded == []
        assert not (stored.store / ".downloads").exists()

    def test_a_folder_with_the_same_files_gives_the_same_rows(self, stored, server, tmp_path, monkeypatch):
        for n in range(30):
            streamed(server, f"j-{n}", account=str(n % 3), recipe=str(n % 5))
        server.put("extracts/job_history/lines.json", "".join(f'{{"id": "line {n}"}}\n' for n in range(3)))
        server.put("extracts/seats/a.csv", "id,product\n1,workato_go\n")
        stored.take_in(ADDRESS)
        local = Taking(tmp_path / "local", stored.module)
        for extract in ("jobs", "steps"):
            (local.extracts / extract / "a.csv").unlink()
        for found in server.client.list_objects_v2(Bucket=BUCKET)["Contents"]:
            body = server.client.get_object(Bucket=BUCKET, Key=found["Key"])["Body"].read()
            write_text(local.extracts / found["Key"].removeprefix("extracts/"), body.decode())
        local.take_in()
        assert records(stored) == records(local)
        assert len(records(stored)) == 33
        assert stored.rows("000001/seats.parquet", "id, product, file_name") == [("1", "workato_go", "seats/a.csv")]

    def test_a_replaced_object_is_a_further_delivery_and_a_touched_one_is_not(self, stored, server):
        streamed(server, "j-1")
        path = streamed(server, "j-1", status="pending")
        stored.take_in(ADDRESS)
        streamed(server, "j-1", status="succeeded")
        assert stored.take_in(ADDRESS)["taken_in"] == 1
        assert records(stored) == [(path, "j-1"), (path, "j-1")]
        server.forget_requests()
        server.put_in_parts(f"extracts/{path}", json.dumps({"id": "j-1", "status": "succeeded"}))
        assert stored.take_in(ADDRESS)["taken_in"] == 0  # it has another ETag and the same content
        assert server.downloaded == [f"extracts/{path}"]
        for _ in range(2):
            server.forget_requests()
            assert stored.take_in(ADDRESS)["taken_in"] == 0
            assert server.downloaded == []

    def test_small_objects_are_converted_together(self, stored, server, monkeypatch):
        expected = sorted((streamed(server, f"j-{n}"), f"j-{n}") for n in range(20))
        one_by_one = []
        convert = stored.module._store_file
        monkeypatch.setattr(
            stored.module,
            "_store_file",
            lambda file, *others: (one_by_one.append(file.path), convert(file, *others))[1],
        )
        stored.take_in(ADDRESS)
        assert one_by_one == ["customers/a.csv"]
        assert records(stored) == expected

    def test_keys_that_are_no_file_names_are_deliveries_of_their_own(self, stored, server):
        keys = ["a/J.json", "a/j.json", "a b/50%.json", "a%20b/ä+&=.json", "a", "x" * 300 + ".json", "quote'[1]*?.json"]
        for n, key in enumerate(keys):
            server.put(f"extracts/job_history/{key}", json.dumps({"id": str(n)}))
        server.put("extracts/job_history/a/b/../c.json", "{}")
        answer = stored.take_in(ADDRESS)
        expected = sorted((f"job_history/{key}", str(n)) for n, key in enumerate(keys) if key != "a")
        assert records(stored) == expected
        assert len(answer["ignored"]) == 2  # without an ending, and no path
        server.forget_requests()
        assert stored.take_in(ADDRESS)["taken_in"] == 0
        assert server.downloaded == []

    def test_the_streamed_jobs_alone_may_be_in_a_bucket(self, taking, server):
        path = streamed(server, "j-1")
        taking.history = f"{ADDRESS}/job_history"
        taking.take_in()
        assert records(taking) == [(path, "j-1")]
        assert taking.jobs() == [(1, "jobs/a.csv")]
        taking.write("job_history/b.json", [{"id": "j-2"}])
        told = taking.take_in()["to_look_at"]
        assert [text for text in told if "is not read: JOB_HISTORY_DIR is s3://" in text]
        assert records(taking) == [(path, "j-1")]

    def test_or_in_another_local_folder(self, taking, tmp_path):
        write_text(tmp_path / "streams/1/jobs/7/20261120/j-1/a.json", '{"id": "j-1"}')
        taking.history = str(tmp_path / "streams")
        taking.take_in()
        assert records(taking) == [("job_history/1/jobs/7/20261120/j-1/a.json", "j-1")]
        taking.history = str(tmp_path / "nowhere")
        taking.stops("JOB_HISTORY_DIR=", "does not exist")

    def test_a_signed_address_that_is_refused_is_read_through_the_package(self, stored, server):
        path = streamed(server, "j-1")
        server.spoil = lambda request: denied(request) if "X-Amz-Signature" in request.args else None
        stored.take_in(ADDRESS)
        assert records(stored) == [(path, "j-1")]

    def test_importing_costs_nothing_without_an_address(self):
        code = "import sys; sys.path.insert(0, 'plugins'); import deliveries; print(*sys.modules)"
        loaded = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True).stdout
        assert "object_store" in loaded.split()
        assert not {"fsspec", "s3fs", "gcsfs", "adlfs", "boto3", "botocore", "urllib3"} & set(loaded.split())


# ---------------------------------------------------------------------------------------------------------------- kills

KILLED = """
import sys
sys.path[:0] = ["plugins", "tests"]
import deliveries
from taking import Taking
from pathlib import Path
Taking(Path(sys.argv[1]), deliveries).answer(sys.argv[2])
"""


class TestKills:
    def test_killed_while_it_downloads_a_run_continues_and_each_object_counts_once(self, stored, server, tmp_path):
        """A real SIGKILL, after 30 of 200 objects were answered: what was complete is not downloaded again."""
        expected = sorted((streamed(server, f"j-{n}"), f"j-{n}") for n in range(200))
        server.forget_requests()

        def slowly(request):
            if request.method == "GET" and "/job_history/" in request.path:
                time.sleep(0.02)

        server.spoil = slowly
        run = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), ADDRESS], cwd=PROJECT)
        downloads = stored.store / ".downloads"
        while len(list(downloads.glob("*.json"))) < 30:
            assert run.poll() is None
            time.sleep(0.01)
        run.kill()
        run.wait()
        before = 0
        while before < len(server.asked):  # what the killed run had asked for
            before = len(server.asked)
            time.sleep(0.5)
        complete = len(list(downloads.glob("*.json")))
        assert 30 <= complete < 200
        assert not (stored.store / "000001").exists()

        server.spoil = lambda request: None
        server.forget_requests()
        stored.take_in(ADDRESS)
        again = [key for key in server.downloaded if "/job_history/" in key]
        assert len(again) == len(set(again)) == 200 - complete
        assert records(stored) == expected

    def test_killed_after_its_load_was_stored_nothing_counts_twice(self, stored, server, monkeypatch):
        expected = [(streamed(server, "j-1"), "j-1")]

        def die(self):
            raise KeyboardInterrupt

        import object_store

        with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
            killed.setattr(object_store.Fetched, "finish", die)
            stored.take_in(ADDRESS)
        server.forget_requests()
        assert stored.take_in(ADDRESS)["taken_in"] == 0
        assert server.downloaded == []
        assert records(stored) == expected

    def test_downloads_from_before_a_restart_of_the_machine_are_not_trusted(self, stored, server):
        path = streamed(server, "j-1")
        downloads = stored.store / ".downloads"
        server.spoil = lambda request: (
            denied(request) if "customers" in request.path and request.method == "GET" else None
        )
        stored.answer(ADDRESS)
        kept = next(downloads.glob("*.json"))
        kept.write_bytes(b"\0" * kept.stat().st_size)  # as a file system may after a power cut
        (downloads / "boot").write_text("another")
        server.spoil = lambda request: None
        stored.take_in(ADDRESS)
        assert records(stored) == [(path, "j-1")]


# -------------------------------------------------------------------------------------------------------------- listing


def asked_for(server: Server) -> list[str]:
    """The prefixes below job_history that were listed."""
    start = "extracts/job_history/"
    return sorted(prefix.removeprefix(start) for prefix in server.listed if prefix.startswith(start))


class TestLookback:
    @pytest.fixture
    def listed(self, stored, server):
        """Two recipes with a job of today and one of 40 days ago, taken in."""
        for recipe in ("7", "8"):
            streamed(server, f"today {recipe}", recipe=recipe)
            streamed(server, f"before {recipe}", recipe=recipe, ago=40)
        stored.take_in(ADDRESS)
        server.forget_requests()
        return stored

    def test_the_first_run_lists_everything(self, stored, server):
        streamed(server, "j-1", ago=400)
        server.forget_requests()
        stored.take_in(ADDRESS)
        assert asked_for(server) == [""]
        assert len(records(stored)) == 1

    def test_the_next_run_lists_the_last_days_of_known_recipes(self, listed, server):
        late = streamed(server, "late", ago=7)
        early = streamed(server, "early", ago=40)
        server.forget_requests()
        assert listed.take_in(ADDRESS)["taken_in"] == 1
        dates = sorted({day(ago)[:-1] for ago in range(-1, 8)})
        of_recipes = [f"1/jobs/{recipe}/{begins}" for recipe in "78" for begins in dates]
        assert asked_for(server) == ["", "1/", "1/jobs/", *of_recipes]
        assert late in paths(listed)
        assert early not in paths(listed)

        listed.list_all = "1"
        server.forget_requests()
        assert listed.take_in(ADDRESS)["taken_in"] == 1
        assert asked_for(server) == [""]
        assert early in paths(listed)

    def test_new_recipes_and_accounts_and_keys_of_another_form_are_listed_whole(self, listed, server):
        expected = [
            streamed(server, "old of a new recipe", recipe="9", ago=90),
            streamed(server, "old of a new account", account="2", ago=90),
        ]
        for key in ("more.json", "1/more.json", "1/jobs/more.json", "1/activity/7/20200101/a.json"):
            server.put(f"extracts/job_history/{key}", '{"id": "other"}')
            expected.append(f"job_history/{key}")
        assert listed.take_in(ADDRESS)["taken_in"] == len(expected)
        assert set(expected) < set(paths(listed))
        late = streamed(server, "late of a new recipe", recipe="9", ago=1)
        again = streamed(server, "old of a known recipe", recipe="9", ago=90)
        server.forget_requests()
        listed.take_in(ADDRESS)
        assert late in paths(listed)
        assert again not in paths(listed)

    def test_a_forgotten_account_is_not_named_and_its_objects_are_not_downloaded_again(self, listed, server):
        from erasing import new_erasures
        from progress import NO_PROGRESS
        from store import erase_accounts

        streamed(server, "gone", account="4711")
        listed.take_in(ADDRESS)
        (listed.store / ".downloads").mkdir()
        erasures = new_erasures(listed.store.parent)
        erasures.accounts[erasures.digest("account", "4711")] = {"erased_at": TODAY.isoformat()}
        erasures.save()
        erase_accounts(listed.store, erasures, lambda path: False, NO_PROGRESS)
        assert not [*listed.store.glob("listed.json"), *listed.store.glob(".downloads")]

        server.forget_requests()
        assert listed.take_in(ADDRESS)["taken_in"] == 0
        assert server.downloaded == []
        again = streamed(server, "again", account="4711")
        server.forget_requests()
        assert listed.take_in(ADDRESS)["taken_in"] == 1
        assert server.downloaded == [f"extracts/{again}"]
        named = [path for path in paths(listed) if "4711" in path]
        assert (named, "4711" in (listed.store / "listed.json").read_text()) == ([], False)
        assert [id for _, id in records(listed) if id] == ["before 7", "today 7", "before 8", "today 8"]

    @pytest.mark.parametrize(("listed_days_ago", "is_whole"), [(30, False), (80, True), (-30, True)])
    def test_the_look_back_begins_before_the_last_listing(self, listed, server, listed_days_ago, is_whole):
        """After a pause; after a long one, or one that was listed in the future, each recipe is listed whole."""
        note = json.loads((listed.store / "listed.json").read_text())
        ((address, of),) = note.items()
        assert (address, of["listed_at"]) == (f"{ADDRESS}/job_history/", TODAY.isoformat())
        of["listed_at"] = (TODAY - timedelta(days=listed_days_ago)).isoformat()
        (listed.store / "listed.json").write_text(json.dumps(note))
        within = streamed(server, "within", ago=listed_days_ago + 7 if listed_days_ago > 0 else 50)
        far = streamed(server, "far", ago=120)
        listed.take_in(ADDRESS)
        assert within in paths(listed)
        assert (far in paths(listed)) == is_whole

    def test_what_was_listed_is_noted_when_it_is_stored(self, listed, server):
        old = streamed(server, "old", recipe="9", ago=90)
        server.spoil = lambda request: denied(request) if request.path.endswith("old.json") else None
        listed.stops("may not be read")
        server.spoil = lambda request: None
        listed.take_in(ADDRESS)
        assert old in paths(listed)

    @pytest.mark.parametrize("note", ["", "[]", '{"s3": 3}', "lost", "\0"])
    def test_without_a_readable_note_everything_is_listed(self, listed, server, note):
        early = streamed(server, "early", ago=40)
        (listed.store / "listed.json").unlink() if note == "lost" else (listed.store / "listed.json").write_text(note)
        listed.take_in(ADDRESS)
        assert early in paths(listed)

    def test_the_number_of_days_is_an_option(self, listed, server):
        listed.lookback = 40
        early = streamed(server, "early", ago=39)
        listed.take_in(ADDRESS)
        assert early in paths(listed)
        listed.list_all = "perhaps"
        listed.stops("LIST_ALL=perhaps is neither 1 nor 0")

    def test_the_number_of_list_requests_is_told(self, listed, server):
        said = []
        from progress import Progress

        listed.module.ingest_deliveries(
            ADDRESS, str(listed.store), json.dumps(listed.terms()), progress=Progress(said.append)
        )
        assert f"Listed 3 objects in {ADDRESS}: {len(server.listed)} list requests, 0 new" in said
        assert len(server.listed) > 6


# ------------------------------------------------------------------------------------------------------------ bad input


def not_found(request):
    text = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
    return Response(text, status=404, content_type="application/xml")


def is_read_of(request, text: str) -> bool:
    return request.method == "GET" and "list-type" not in request.args and text in request.path


class TestBadInput:
    @pytest.mark.parametrize(
        ("address", "texts"),
        [
            ("s3://nowhere/x", ["EXTRACTS_DIR=s3://nowhere/x", "s3://nowhere does not exist"]),
            (f"s3://{BUCKET}/empty", ["has no objects: it needs one folder per extract"]),
            ("s3://", ["neither a local folder nor an address such as s3://bucket/prefix"]),
            ("ftp://host/x", ["neither a local folder nor an address", "s3://, gs://, az://"]),
        ],
    )
    def test_an_address_that_leads_nowhere_is_named(self, address, texts, stored, server):
        stored.bucket = address
        stored.stops(*texts)

    def test_streamed_jobs_that_are_not_there_are_named(self, taking, server):
        taking.history = f"s3://{BUCKET}/wrong"
        taking.stops("JOB_HISTORY_DIR=", "has no streamed job files")

    def test_without_credentials_it_says_what_to_set(self, stored, server, monkeypatch, tmp_path):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        stored.stops(f"EXTRACTS_DIR={ADDRESS}", "no usable credentials", "Set AWS_ACCESS_KEY_ID", "AWS_PROFILE")
        monkeypatch.setenv("AWS_PROFILE", "unknown")
        stored.stops("no usable credentials", "unknown")

    @pytest.mark.parametrize(
        ("code", "text"),
        [("AccessDenied", "may not be listed: grant s3:ListBucket"), ("InvalidAccessKeyId", "credentials are refused")],
    )
    def test_without_permission_it_says_what_to_grant(self, code, text, stored, server):
        answer = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        server.spoil = lambda request: Response(answer, status=403, content_type="application/xml")
        stored.stops(text, ADDRESS)

    def test_an_object_that_may_not_be_read_is_named(self, stored, server):
        path = streamed(server, "j-1")
        server.spoil = lambda request: denied(request) if is_read_of(request, "j-1") else None
        stored.stops(f"s3://{BUCKET}/extracts/{path} may not be read: grant s3:ListBucket")
        server.spoil = lambda request: None
        stored.take_in()
        assert records(stored) == [(path, "j-1")]

    def test_missing_packages_are_named_with_the_command_that_installs_them(self, stored, server, monkeypatch):
        monkeypatch.setitem(sys.modules, "s3fs", None)
        stored.stops("needs packages that are not installed (s3fs)", "make store", "requirements-store.txt")

    def test_an_object_deleted_after_it_was_listed_is_told_and_stops_nothing(self, stored, server):
        kept, gone = streamed(server, "kept"), streamed(server, "gone")
        server.spoil = lambda request: not_found(request) if is_read_of(request, "gone") else None
        told = stored.take_in()["to_look_at"]
        assert [text for text in told if "1 object of" in text and "disappeared after the listing" in text]
        assert records(stored) == [(kept, "kept")]
        server.spoil = lambda request: None  # it is there again
        stored.take_in()
        assert records(stored) == sorted([(kept, "kept"), (gone, "gone")])

    @pytest.mark.parametrize("length", ["said", "true"])
    def test_an_interrupted_download_is_no_delivery(self, stored, server, length):
        """The connection ends early, or a proxy delivers less and says so."""
        whole, path = streamed(server, "whole"), streamed(server, "cut", error="x" * 1000)

        def cut(request):
            if not is_read_of(request, "cut"):
                return None
            answer = Response(json.dumps({"id": "cut", "error": "x" * 500})[:-3])
            if length == "said":
                answer.headers["Content-Length"] = "1030"
            return answer

        server.spoil = cut
        stored.stops("cut", "run again")
        assert paths(stored) == []
        server.spoil = lambda request: None
        server.forget_requests()
        stored.take_in()
        assert f"extracts/{whole}" not in server.downloaded
        assert records(stored) == sorted([(path, "cut"), (whole, "whole")])

    def test_an_interruption_that_passes_stops_nothing(self, stored, server):
        path, failures = streamed(server, "j-1"), iter([500, 503])

        def fail(request):
            status = next(failures, None) if is_read_of(request, "j-1") else None
            return Response("", status=status) if status else None

        server.spoil = fail
        stored.take_in()
        assert records(stored) == [(path, "j-1")]

    @pytest.mark.parametrize("size", [50_000, 3_000_000])
    def test_a_full_disk_is_named(self, stored, server, tmp_path, size):
        """No file may be larger than 20 kB: small and large objects are written by different code."""
        path = streamed(server, "large", error="x" * size)
        code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)){KILLED}"
        code = code.replace("Taking(Path(sys.argv[1]), deliveries)", "answer = Taking(Path(sys.argv[1]), deliveries)")
        code += "print(answer['problem'])"
        run = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), ADDRESS], cwd=PROJECT, capture_output=True, text=True
        )
        assert "The deliveries cannot be stored under" in run.stdout, run.stderr
        assert "File too large" in run.stdout
        stored.take_in()
        assert records(stored) == [(path, "large")]

    def test_a_file_that_cannot_be_parsed_is_named_by_its_key_and_can_be_quarantined(self, stored, server):
        path = streamed(server, "j-1")
        server.put(f"extracts/{path}", '{"id": ')
        stored.stops(f"The file {path} cannot be parsed")
        stored.quarantines = True
        answer = stored.take_in()
        assert [(load, name) for _, load, name, _, _ in answer["quarantined"]] == [(1, path)]
        server.forget_requests()
        stored.take_in()
        assert server.downloaded == []

    def test_a_hundred_thousand_objects_are_listed_in_pages(self, stored, server, monkeypatch):
        """Of known objects nothing stays in memory."""
        import object_store
        from progress import Progress
        from stream_listing import Lookback

        def page(files, method, **asked):
            number = int(asked.get("ContinuationToken", "0"))
            keys = [f"h/1/jobs/7/20260101/j{number:03}{n:03}/a.json" for n in range(1000)]
            more = {"IsTruncated": True, "NextContinuationToken": str(number + 1)} if number < 99 else {}
            return {"Contents": [{"Key": key, "Size": 9, "ETag": f"{key} as it is"} for key in keys]} | more

        import s3fs

        monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", page)
        places = {"job_history": object_store.parse_address("JOB_HISTORY_DIR", f"s3://{BUCKET}/h")}
        said = []
        tracemalloc.start()
        fetched = object_store.fetch(
            places,
            ["job_history"],
            stored.store,
            lambda *of: True,
            lambda path: True,
            Lookback(),
            Progress(said.append),
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert fetched.known == 100_000
        assert said[-1:] == [f"Listed 100,000 objects in s3://{BUCKET}/h: 100 list requests, 0 new"]
        assert peak < 15_000_000


# --------------------------------------------------------------------------------------------------- the other clouds


class TestOtherClouds:
    """Google Cloud Storage and Azure, as far as fsspec's interface goes: a file system in memory is in their place."""

    @pytest.fixture
    def memory(self, taking, monkeypatch):
        import fsspec
        import object_store
        from fsspec.implementations.memory import MemoryFileSystem

        files = MemoryFileSystem()
        files.store.clear()
        files.pseudo_dirs[:] = [""]
        clouds = {
            name: dataclasses.replace(of, package="fsspec", options={}) for name, of in object_store.CLOUDS.items()
        }
        monkeypatch.setattr(object_store, "CLOUDS", clouds)
        monkeypatch.setattr(fsspec, "filesystem", lambda protocol, **options: files)
        files.pipe("/box/extracts/customers/a.csv", b"id\n1\n")
        return files

    @pytest.mark.parametrize("protocol", ["gs", "az"])
    def test_objects_are_listed_and_downloaded_through_fsspec(self, protocol, taking, memory):
        taking.bucket = f"{protocol}://box/extracts"
        for recipe, ago in (("7", 0), ("7", 40), ("8", 90)):
            memory.pipe(
                f"/box/extracts/job_history/1/jobs/{recipe}/{day(ago)}/j/{ago}.json", f'{{"id": "{ago}"}}'.encode()
            )
        taking.take_in()
        assert sorted(number for _, number in records(taking)) == ["0", "40", "90"]
        assert taking.take_in()["taken_in"] == 0
        memory.pipe(f"/box/extracts/job_history/1/jobs/7/{day(3)}/j/3.json", b'{"id": "3"}')
        memory.pipe(f"/box/extracts/job_history/1/jobs/7/{day(60)}/j/60.json", b'{"id": "60"}')
        assert taking.take_in()["taken_in"] == 1
        taking.list_all = "1"
        assert taking.take_in()["taken_in"] == 1

    def test_a_container_that_is_not_there_is_named(self, taking, memory):
        taking.bucket = "gs://elsewhere/x"
        taking.stops("EXTRACTS_DIR=gs://elsewhere/x", "does not exist")

    @pytest.mark.parametrize(
        ("protocol", "texts"),
        [
            ("gs", ["no usable credentials", "Set GOOGLE_APPLICATION_CREDENTIALS"]),
            ("az", ["no usable credentials", "Set AZURE_STORAGE_CONNECTION_STRING"]),
        ],
    )
    def test_without_credentials_the_real_packages_say_so(self, protocol, texts, taking, monkeypatch, tmp_path):
        for name in [name for name in os.environ if name.startswith(("AZURE_", "GOOGLE_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        taking.bucket = f"{protocol}://box/extracts"
        taking.stops(*texts)


# ---------------------------------------------------------------------------------------------------------- real builds


def write_as_the_platform(world, folder: Path, seed: str) -> None:
    """What can be nested as streamed files, at the platform's keys of today; the rest beside it."""
    nested, rest = nest(world, seed)
    write_world(rest, folder, "json", seed=seed)
    for number, job in enumerate(nested):
        is_job = "lines" in job or "started_at" in job
        place = f"jobs/{job['recipe_id']}/{day(0)}/{number}" if is_job else f"events/{day(0)}"
        place = f"{account_of_event(job)}/{place}"
        wrapped = {"source": "stream", "logEntries": job} if number % 2 else job
        write_text(folder / "job_history" / place / f"{number}.json", json.dumps(wrapped))


class TestMarts:
    def test_a_world_in_a_bucket_has_the_marts_of_the_same_world_as_files(self, build, workbench, server):
        """And the second run, with new objects, downloads these alone."""
        folder = workbench.clear_extracts()
        write_as_the_platform(random_world("object storage", size=60), folder, "object storage")
        local = build(folder)
        for path in folder.rglob("*"):
            if path.is_file():
                server.put(f"extracts/{path.relative_to(folder).as_posix()}", path.read_bytes())
        kept_back = [key for key in server.all_keys() if "/job_history/" in key][::3]
        assert len(kept_back) > 10
        contents = {key: server.get(key) for key in kept_back}
        for key in kept_back:
            server.delete(key)
        environment = server.environment | {"EXTRACTS_DIR": ADDRESS}
        first = build(folder, env=environment, keep=False)
        assert first.exit_code == 0, first.output
        for key, content in contents.items():
            server.put(key, content)
        server.forget_requests()
        second = build(folder, env=environment, onto=first, keep=False)
        assert sorted(server.downloaded) == sorted(kept_back)
        queries = [query for _, _, query in server.asked if query.get("prefix") == "extracts/job_history/"]
        assert [query["delimiter"] for query in queries] == ["/"]  # the accounts, and not everything
        assert f"in {ADDRESS}: {len(server.listed)} list requests, {len(kept_back)} new" in second.output
        expected, found = (built.tables("marts", "metering") for built in (local, second))
        assert sum(map(len, expected.values())) > 3000
        assert [table for table, rows in expected.items() if found[table] != rows] == []
