"""What else may happen to closed months: damage is found and named, and whatever is lost beside them changes nothing.

A close that is refused says why; FORCE=1 closes and records the reasons.
"""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from builders import (
    SALESFORCE,
    TRIGGER,
    connection,
    customer,
    job,
    recipe,
    request,
    vendor_usage,
    world,
)
from building import PROJECT, VARS, Workbench, close, forget, restore_all_but_deliveries, verify
from reference.files import write_world

MARCH, LISTED, LATER = "2026-03-10T12:00:00Z", "2026-03-31T22:00:00Z", "2026-04-02T22:00:00Z"
WORLD = world(customer(created_at=MARCH), job("march", extracted_at="2026-04-01T22:00:00Z"))
# A job of 2 business actions and a task, beside one of the same in March.
LATE = world(job("late", TRIGGER, SALESFORCE, extracted_at=LATER), with_required=False)
LATER_STILL = world(job("later", TRIGGER, SALESFORCE, extracted_at="2026-04-03T22:00:00Z"), with_required=False)


@pytest.fixture(scope="module")
def bench(tmp_path_factory, forks):
    return Workbench(tmp_path_factory.mktemp("damaged"), forks)


@pytest.fixture(scope="module")
def closed(bench):
    """March was closed with a job, and a late job restated it."""
    write_world(WORLD, bench.extracts, split=1, ragged=False, name="first")
    built = run(bench)
    answer = close(built.warehouse, "2026-03", force="1")
    assert answer.returncode == 0, answer.stdout
    write_world(LATE, bench.extracts, split=1, ragged=False, name="late")
    built = run(bench, onto=replace(built, key=None))
    assert sums(built) == {"business_actions": (2, 2), "tasks": (1, 1)}
    return built


def run(bench, onto=None, **more):
    built = bench.build(bench.extracts, onto=onto, keep=False, **more)
    assert built.exit_code == 0, built.output
    return built


def sums(built):
    """{metric: (the figure at the close, the sum of its restatements)}; both add up to the current one."""
    found = built.rows(
        "select metric, sum(closed)::int, sum(restated)::int, sum(figure)::int from ("
        "select metric, quantity as closed, 0 as restated, 0 as figure from marts.usage_closes union all "
        "select metric, 0, restated_quantity - retracted_quantity, 0 from marts.usage_restatements union all "
        "select metric, 0, 0, quantity from marts.monthly_figures "
        "where usage_month in (select usage_month from marts.usage_closes)) group by all"
    )
    assert all(at_close + restated == figure for _, at_close, restated, figure in found), found
    return {metric: (at_close, restated) for metric, at_close, restated, _ in found}


def records(warehouse):
    """Every file of the closes but the projects, with its bytes."""
    paths = (path for path in (warehouse / "closes").rglob("*") if path.is_file() and path.suffix != ".zip")
    return {path.relative_to(warehouse).as_posix(): path.read_bytes() for path in paths}


# -------------------------------------------------------------------------------------------------------------- damage


def folder_of(closes):
    (folder,) = closes.glob("2026-03-*")
    return folder


def edit(path, old, new):
    content = path.read_bytes()
    assert content.count(old) >= 1
    path.write_bytes(content.replace(old, new))
    return path


def append(path):
    path.write_bytes(path.read_bytes() + b" ")
    return path


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return path


def copy_as(path, name):
    shutil.copytree(path, path.with_name(name))
    return path


def second_close(closes):
    """A whole close of the same month, as two restored backups leave it."""
    folder = folder_of(closes)
    manifest = json.loads((folder / "manifest.json").read_text()) | {"closed_at": "2026-05-01T00:00:00Z"}
    written = json.dumps(manifest).encode()
    import hashlib

    other = folder.with_name(f"2026-03-{hashlib.sha256(written).hexdigest()}")
    shutil.copytree(folder, other)
    (other / "manifest.json").write_bytes(written)
    return closes


def newer(path):
    """The same, written by a release of the future: renamed as such a release would."""
    content = json.loads(path.read_text()) | {"format": 99}
    path.write_text(json.dumps(content))
    return path


def restatement(closes):
    (path,) = (closes / "restatements").iterdir()
    return path


def project_of(closes):
    (path,) = (closes / "projects").iterdir()
    return path


CHANGED, MISSING = "has changed since it was written. Restore it from a backup.", "No such file or directory"
# what -> (how, which returns the path that the sentence names; what else the sentence says)
DAMAGES = {
    "manifest edited": (
        lambda closes: edit(folder_of(closes) / "manifest.json", b'"2026-03"', b'"2026-02"'),
        CHANGED,
    ),
    "reasons edited": (lambda closes: edit(folder_of(closes) / "manifest.json", b"reasons", b"Reasons"), CHANGED),
    "manifest cut": (lambda closes: (p := folder_of(closes) / "manifest.json", p.write_bytes(b'{"format"'))[0], "read"),
    "manifest a list": (lambda closes: (p := folder_of(closes) / "manifest.json", p.write_bytes(b"[]"))[0], "read"),
    "manifest removed": (lambda closes: remove(folder_of(closes) / "manifest.json"), MISSING),
    "figures edited": (lambda closes: append(folder_of(closes) / "figures.parquet"), CHANGED),
    "figures removed": (lambda closes: remove(folder_of(closes) / "figures.parquet"), MISSING),
    "deliveries edited": (lambda closes: append(folder_of(closes) / "deliveries.parquet"), CHANGED),
    "deliveries removed": (lambda closes: remove(folder_of(closes) / "deliveries.parquet"), MISSING),
    "folder removed": (
        lambda closes: (closes, remove(folder_of(closes)))[0],
        "has lost the close 2026-03-",
    ),
    "folder renamed": (
        lambda closes: folder_of(closes).rename(closes / f"2026-03-{64 * '0'}") / "manifest.json",
        CHANGED,
    ),
    "folder with another name": (
        lambda closes: (closes, folder_of(closes).rename(closes / "old-2026-03"))[0],
        "has lost the close 2026-03-",
    ),
    "all closes removed": (lambda closes: (closes, remove(folder_of(closes)))[0], "has lost the close"),
    "the whole folder removed": (lambda closes: remove(closes), "has lost the close of 2026-03, which "),
    "as before the first close": (
        lambda closes: (closes, remove(folder_of(closes)), remove(closes / "state.json"))[0],
        "To start over without it, remove ",
    ),
    "two closes": (second_close, "has two closes of 2026-03. Restore the folder from a backup."),
    "manifest of a newer format": (
        lambda closes: newer(folder_of(closes) / "manifest.json"),
        "was written by a newer release (format 99; this one reads 2): run that release. Nothing was changed.",
    ),
    "state edited": (lambda closes: edit(closes / "state.json", b'"loads"', b'"Loads"'), CHANGED),
    "state cut": (lambda closes: (p := closes / "state.json", p.write_bytes(b""))[0], "cannot be read"),
    "state removed": (lambda closes: remove(closes / "state.json"), "is missing. Restore it from a backup."),
    "state of a newer format": (
        lambda closes: newer(closes / "state.json"),
        "was written by a newer release (format 99; this one reads 2): run that release. Nothing was changed.",
    ),
    "restatement edited": (lambda closes: append(restatement(closes)), CHANGED),
    "restatement removed": (lambda closes: remove(restatement(closes)), MISSING),
    "restatements removed": (lambda closes: (restatement(closes), remove(closes / "restatements"))[0], MISSING),
    "rule book edited": (lambda closes: rewritten(project_of(closes)), CHANGED),
    "rule book damaged": (lambda closes: cut(project_of(closes)), "Restore it from a backup."),
}


class TestDamage:
    @pytest.fixture
    def damaged(self, closed, tmp_path):
        """A warehouse with the closes of the run, and the published file by a link."""

        def damage(what):
            (tmp_path / "deliveries").mkdir()
            shutil.copy(closed.warehouse / "deliveries" / "runs.json", tmp_path / "deliveries")
            (tmp_path / "usage.duckdb").symlink_to(closed.published)
            shutil.copytree(closed.warehouse / "closes", tmp_path / "closes")
            how, said = DAMAGES[what]
            return tmp_path, how(tmp_path / "closes"), said

        return damage

    @pytest.mark.parametrize("what", DAMAGES)
    def test_is_named_by_a_run_and_by_make_close(self, what, damaged, monkeypatch):
        """A run asks closed_months(), and stops with what it answers."""
        monkeypatch.syspath_prepend(PROJECT / "plugins")
        import closes

        warehouse, path, said = damaged(what)
        before = records(warehouse)
        problem = json.loads(closes.closed_months(str(warehouse / "closes"))).get("problem")
        assert problem and problem.startswith(f"{path} "), problem
        assert said in problem
        for month in ("2026-03", "2026-04"):
            answer = close(warehouse, month, force="1")
            assert answer.returncode == 1
            assert answer.stdout == f"{problem}\n"
            assert answer.stderr == ""
        assert records(warehouse) == before

    def test_stops_a_run_before_anything_is_stored_or_published(self, closed, bench):
        how, _ = DAMAGES["figures edited"]
        damaged = {}

        def damage(warehouse):
            damaged["path"] = how(warehouse / "closes")

        write_world(LATER_STILL, bench.extracts, split=1, ragged=False, name="later")
        stopped = bench.build(bench.extracts, onto=replace(closed, key=None), prepare=damage)
        assert stopped.exit_code != 0
        assert str(damaged["path"]) in stopped.output
        assert stopped.published.read_bytes() == closed.published.read_bytes()
        assert {path.name for path in (stopped.warehouse / "deliveries").iterdir()} == {
            path.name for path in (closed.warehouse / "deliveries").iterdir()
        }


def cut(path):
    """A byte in the middle is another one: of a file's compressed content."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return path


def rewritten(path):
    """A project with another rule, under the old name."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["dbt_project.yml"] += b"\n# edited\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


class TestProjects:
    """The models of the last run are needed only where a run makes runs in between, and for make verify MONTH."""

    def test_a_lost_one_is_a_warning_of_the_run_that_needs_it(self, closed, bench):
        def damage(warehouse):
            project_of(warehouse / "closes").unlink()

        write_world(LATER_STILL, bench.extracts, split=1, ragged=False, name="later")
        options = {"unknown_app_is_eligible": False}
        built = bench.build(bench.extracts, onto=replace(closed, key=None), vars=options, prepare=damage)
        assert built.exit_code == 0, built.output
        (project,) = {path.name for path in (closed.warehouse / "closes" / "projects").iterdir()}
        said = " ".join(built.output.split())
        assert "Several things changed at once, and the runs in between could not be made" in said
        assert project in said
        assert built.column(
            "select distinct cause from marts.usage_restatements "
            "where run_id = (select run_id from run_state.watermark)"
        ) == ["option_change"]
        assert sums(built) == {"business_actions": (2, 4), "tasks": (1, 2)}
        assert not list(built.warehouse.glob("replaying-*"))

    @pytest.mark.parametrize("how", [Path.unlink, cut, rewritten, lambda path: path.write_bytes(b"")])
    def test_it_is_named_and_not_unpacked(self, how, closed, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(PROJECT / "plugins")
        import closes

        shutil.copytree(closed.warehouse / "closes" / "projects", tmp_path / "projects")
        (path,) = (tmp_path / "projects").iterdir()
        how(path)
        with pytest.raises(closes.CloseProblem, match=path.stem):
            closes.unpack_project(tmp_path, path.stem, tmp_path / "unpacked")
        assert not (tmp_path / "unpacked").exists()

    def test_no_damaged_byte_goes_unnoticed(self, tmp_path, monkeypatch):
        """What is unpacked, if anything, is what was kept."""
        monkeypatch.syspath_prepend(PROJECT / "plugins")
        import closes

        project = tmp_path / "project"
        (project / "models").mkdir(parents=True)
        for name in ("dbt_project.yml", "models/a.sql", "models/b.sql"):
            (project / name).write_text(f"select '{name}'\n" * 20, encoding="utf-8")
        digest = closes.keep_project(tmp_path, project)
        path = tmp_path / "projects" / f"{digest}.zip"
        kept, problems = path.read_bytes(), Counter()
        for position in range(len(kept)):
            path.write_bytes(kept[:position] + bytes([kept[position] ^ 0x41]) + kept[position + 1 :])
            target = tmp_path / "unpacked"
            shutil.rmtree(target, ignore_errors=True)
            try:
                closes.unpack_project(tmp_path, digest, target)
            except closes.CloseProblem as problem:
                assert str(problem).startswith(f"{path} ")
                assert not target.exists()
                problems["found"] += 1
            else:
                names = [path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()]
                assert sorted(names) == ["dbt_project.yml", "models/a.sql", "models/b.sql"]
                assert all((target / name).read_bytes() == (project / name).read_bytes() for name in names)
        assert problems["found"] > len(kept) // 2

    def test_a_lost_one_is_named_by_the_verification_of_its_month(self, closed, tmp_path):
        warehouse = shutil.copytree(closed.warehouse, tmp_path / "warehouse", symlinks=True)
        path = project_of(warehouse / "closes")
        path.unlink()
        said = verify(warehouse, month="2026-03")
        assert (said.returncode, said.stdout) == (
            2,
            f"{path} cannot be read: {MISSING}. Restore it from a backup.\n",
        )

    def test_a_damaged_one_that_no_close_names_is_written_again(self, tmp_path, monkeypatch):
        """By the next run of the same project."""
        monkeypatch.syspath_prepend(PROJECT / "plugins")
        import closes

        project = tmp_path / "project"
        project.mkdir()
        (project / "dbt_project.yml").write_text("name: small\n", encoding="utf-8")
        digest = closes.keep_project(tmp_path, project)
        project_of(tmp_path).write_bytes(b"")
        assert closes.keep_project(tmp_path, project) == digest
        closes.unpack_project(tmp_path, digest, tmp_path / "unpacked")
        assert (tmp_path / "unpacked" / "dbt_project.yml").read_text(encoding="utf-8") == "name: small\n"

    def test_is_not_needed_by_a_run_that_brings_deliveries_alone(self, closed, bench):
        write_world(LATER_STILL, bench.extracts, split=1, ragged=False, name="later")
        built = bench.build(
            bench.extracts,
            onto=replace(closed, key=None),
            prepare=lambda warehouse: shutil.rmtree(warehouse / "closes" / "projects"),
        )
        assert built.exit_code == 0, built.output
        assert "could not be made" not in built.output
        assert sums(built) == {"business_actions": (2, 4), "tasks": (1, 2)}


# ------------------------------------------------------------------------------------------------ what is lost beside


class TestLosses:
    def nothing_is_restated(self, built, closed):
        assert sums(built) == sums(closed)
        for table in ("usage_closes", "usage_restatements"):
            assert built.rows(f"from marts.{table} order by all") == closed.rows(f"from marts.{table} order by all")
        ours, before = records(built.warehouse), records(closed.warehouse)
        assert {name for name in ours if ours[name] != before.get(name)} == {"closes/state.json"}  # of this run
        assert ours.keys() == before.keys()

    @pytest.fixture(autouse=True)
    def as_delivered(self, bench):
        for path in bench.extracts.rglob("later-*"):
            path.unlink()

    def test_a_full_refresh_restates_nothing(self, closed, bench):
        built = run(bench, onto=replace(closed, key=None), arguments=("--full-refresh",))
        self.nothing_is_restated(built, closed)

    def test_a_lost_build_database_restates_nothing(self, closed, bench):
        built = run(bench, onto=replace(closed, key=None), prepare=lambda warehouse: shutil.rmtree(warehouse / "build"))
        self.nothing_is_restated(built, closed)

    def test_a_restored_backup_of_deliveries_and_closes_restates_nothing(self, closed, bench):
        built = run(bench, onto=replace(closed, key=None), prepare=restore_all_but_deliveries)
        self.nothing_is_restated(built, closed)

    def test_a_restored_backup_and_new_deliveries_restate_what_is_new(self, closed, bench):
        """The published file of the last run is gone: that run is made again first."""
        write_world(LATER_STILL, bench.extracts, split=1, ragged=False, name="later")
        built = run(bench, onto=replace(closed, key=None), prepare=restore_all_but_deliveries)
        assert sums(built) == {"business_actions": (2, 4), "tasks": (1, 2)}
        rows = "select metric, cause, retracted_quantity, restated_quantity from marts.usage_restatements "
        latest = "where run_id = (select run_id from run_state.watermark) order by all"
        assert built.rows(rows + latest) == [
            ("business_actions", "late_delivery", 4, 6),
            ("tasks", "late_delivery", 2, 3),
        ]

    def test_a_load_that_is_removed_from_a_restored_backup_is_the_cause(self, closed, bench):
        def restore_and_forget(warehouse):
            restore_all_but_deliveries(warehouse)
            assert forget(warehouse, 2).returncode == 0

        built = run(bench, onto=replace(closed, key=None), prepare=restore_and_forget)
        rows = "select metric, cause, retracted_quantity, restated_quantity from marts.usage_restatements "
        latest = "where run_id = (select run_id from run_state.watermark) order by all"
        assert built.rows(rows + latest) == [
            ("business_actions", "removed_load", 4, 2),
            ("tasks", "removed_load", 2, 1),
        ]

    def test_make_verify_finds_no_difference(self, closed):
        """It reads the closes, and changes none."""
        before = records(closed.warehouse)
        verified = verify(closed.warehouse, VARS)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert records(closed.warehouse) == before


class TestPast:
    def test_a_run_of_the_past_neither_writes_nor_compares(self, closed, bench):
        """It takes a late job in, which the next run restates as if the run of the past had not been."""
        write_world(LATER_STILL, bench.extracts, split=1, ragged=False, name="later")
        past = run(bench, onto=replace(closed, key=None), env={"AS_OF_DATE": "2026-03-20"})
        assert records(past.warehouse) == records(closed.warehouse)
        for table in ("usage_closes", "usage_restatements"):
            assert past.rows(f"from marts.{table} order by all") == closed.rows(f"from marts.{table} order by all")
        refused = close(past.warehouse, "2026-02")
        assert refused.returncode != 0
        built = run(bench, onto=replace(past, key=None))
        rows = "select metric, cause, retracted_quantity, restated_quantity from marts.usage_restatements "
        latest = "where run_id = (select run_id from run_state.watermark) order by all"
        assert built.rows(rows + latest) == [
            ("business_actions", "late_delivery", 4, 6),
            ("tasks", "late_delivery", 2, 3),
        ]
        assert sums(built) == {"business_actions": (2, 4), "tasks": (1, 2)}


# ---------------------------------------------------------------------------------------------- why a close is refused


def worked(name, day, extracted_at="2026-05-02T00:00:00Z", **columns):
    return job(name, completed_at=f"{day}T12:00:00Z", extracted_at=extracted_at, **columns)


LISTINGS = [
    build(created_at="2026-01-01T00:00:00Z", extracted_at=at)
    for at in ("2026-02-20T00:00:00Z", "2026-05-01T00:00:00Z")
    for build in (customer, recipe, connection)
]
# Each month for one reason, or more where one cannot be without the other.
OBSTACLES = world(
    *LISTINGS,
    worked("first", "2026-01-15"),  # January is not covered, and its end is before the first listing
    worked("february", "2026-02-15"),
    *(worked(f"v{n}", f"2026-03-{n + 1:02}") for n in range(15)),
    vendor_usage(usage_month="2026-03-01", tasks=0, business_actions=30, extracted_at="2026-04-02T00:00:00Z"),
    worked("april", "2026-04-15"),
    job("unreadable", completed_at=None, status="pending", extracted_at="2026-04-16T12:00:00Z"),
    worked("unreadable", "2026-04-16", status="who knows"),
    request("may", requested_at="2026-05-15T12:00:00Z", extracted_at="2026-07-02T00:00:00Z"),
    request("june", requested_at="2026-06-15T12:00:00Z", extracted_at="2026-07-02T00:00:00Z"),
    request("july", requested_at="2026-07-01T12:00:00Z", extracted_at="2026-07-02T00:00:00Z"),
)
REASONS = {
    "2026-01": {"month not covered", "listing missing"},
    "2026-02": set(),
    "2026-03": {"unexplained usage"},
    "2026-04": {"rows in quarantine"},
    "2026-06": {"extract missing", "listing missing"},
    "2026-07": {"month not over", "extract missing", "listing missing"},
}


class TestRefusals:
    @pytest.fixture(scope="class")
    @classmethod
    def built(cls, tmp_path_factory, forks):
        cls.bench = Workbench(tmp_path_factory.mktemp("refused"), forks)
        write_world(OBSTACLES, cls.bench.extracts, split=1, ragged=False, name="all")
        return run(cls.bench)

    @pytest.fixture
    def warehouse(self, built, tmp_path):
        """The published file by a link, and no close."""
        (tmp_path / "deliveries").mkdir()
        shutil.copy(built.warehouse / "deliveries" / "runs.json", tmp_path / "deliveries")
        (tmp_path / "usage.duckdb").symlink_to(built.published)
        return tmp_path

    @staticmethod
    def reasons(printed):
        """The reasons that are printed, without their subjects."""
        return {line.strip().split(", ")[0].split(": ")[0] for line in printed.splitlines() if line.startswith("  ")}

    @pytest.mark.parametrize("month", [month for month, reasons in REASONS.items() if reasons])
    def test_names_each_reason_and_a_forced_close_records_them(self, month, warehouse):
        refused = close(warehouse, month)
        assert refused.returncode == 1
        assert refused.stdout.startswith(f"{month} is not closed:\n")
        assert self.reasons(refused.stdout) == REASONS[month]
        assert not (warehouse / "closes").exists()
        forced = close(warehouse, month, force="1")
        assert forced.returncode == 0, forced.stdout
        (manifest,) = (warehouse / "closes").glob(f"{month}-*/manifest.json")
        recorded = json.loads(manifest.read_text())["reasons"]
        assert {reason.split(",")[0] for reason in recorded} == REASONS[month]
        assert [f"  In spite of {reason}" in forced.stdout for reason in recorded] == [True] * len(recorded)

    def test_a_month_without_obstacles_is_closed_once(self, warehouse):
        assert close(warehouse, "2026-02").returncode == 0
        (manifest,) = (warehouse / "closes").glob("*/manifest.json")
        assert json.loads(manifest.read_text())["reasons"] == []
        for force in ("", "1"):
            again = close(warehouse, "2026-02", force=force)
            assert again.returncode == 1
            assert again.stdout.startswith("2026-02 is closed since 20")
        assert len(list((warehouse / "closes").glob("2026-*"))) == 1

    def test_another_project_than_the_published_one(self, warehouse, tmp_path):
        project = tmp_path / "project"
        shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(".*", "target", "logs", "warehouse", "docs"))
        model = project / "models" / "staging" / "stg_jobs.sql"
        model.write_text(model.read_text(encoding="utf-8") + "-- edited\n", encoding="utf-8")
        for month, reasons in (("2026-02", set()), ("2026-04", {"rows in quarantine"})):
            for force in ("", "1"):  # the close would keep another rule book than that of its figures
                refused = close(warehouse, month, project, force=force)
                assert (refused.returncode, self.reasons(refused.stdout)) == (1, {"project changed", *reasons})
                assert "Run make build first, then close" in refused.stdout
        assert not (warehouse / "closes").exists()

    def test_a_published_run_of_the_past(self, built):
        past = run(self.bench, onto=replace(built, key=None), env={"AS_OF_DATE": "2026-06-30"})
        refused = close(past.warehouse, "2026-02")
        assert (refused.returncode, self.reasons(refused.stdout)) == (1, {"past as-of date"})
        assert close(past.warehouse, "2026-02", force="1").returncode == 0
        (manifest,) = (past.warehouse / "closes").glob("*/manifest.json")
        (reason,) = json.loads(manifest.read_text())["reasons"]
        assert reason.startswith("past as-of date: the published run shows 2026-06-30")
        built = run(self.bench, onto=replace(past, key=None))
        assert built.column("select count(*) from marts.usage_restatements") == [0]

    @pytest.mark.parametrize(
        ("month", "options", "said"),
        [
            ("2026-13", {}, "MONTH=2026-13 is not a month"),
            ("2025-12", {}, "The warehouse has no month 2025-12"),
            ("2026-02", {"force": "yes"}, "FORCE=yes is not 1"),
        ],
    )
    def test_a_question_that_has_no_answer(self, month, options, said, warehouse):
        answer = close(warehouse, month, **options)
        assert answer.returncode == 2
        assert answer.stdout.startswith(said)
        assert not (warehouse / "closes").exists()
