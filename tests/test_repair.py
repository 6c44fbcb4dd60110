"""The stored history can be verified, one month of it computed again, and all of it copied as one folder."""

import shutil
import sys
from itertools import groupby
from pathlib import Path

import duckdb
import pytest
from builders import (
    CALL,
    FIRST,
    FUNCTION,
    PAGES,
    SALESFORCE,
    TRIGGER,
    connection,
    customer,
    job,
    recipe,
    step,
    without_steps,
    world,
)
from building import PROJECT, restore_all_but_deliveries, verify
from dbt_forks import ADDRESS

AUGUST, SEPTEMBER = "2026-08-10T12:00:00Z", "2026-09-10T12:00:00Z"
LISTED = "2026-09-30T22:00:00Z"  # usage dated later would be in no mart
WORLD = world(
    customer(extracted_at=LISTED),
    recipe("r"),
    recipe("f", recipe_type="recipe_function"),
    connection(extracted_at=LISTED),
    job("august", TRIGGER, SALESFORCE, step(*CALL, called_recipe_id="f"), recipe_id="r", completed_at=AUGUST),
    job("called", FUNCTION, SALESFORCE, recipe_id="f", calling_job_id="august", completed_at=AUGUST),
    job("september", TRIGGER, PAGES, recipe_id="r", completed_at=SEPTEMBER),
)
STORED_ONLY = {"only_stored_deliveries": True}


def damage(warehouse: Path) -> None:
    """August as a fault of memory or a hand could leave it: a figure changed, a row gone, another one twice."""
    with duckdb.connect(warehouse / "build" / "usage.duckdb") as build:
        build.execute("update facts.step_facts set page_count = 7, profile_id = 1 where usage_date = date '2026-08-10'")
        build.execute("delete from metering.metered_jobs where job_id = 'called'")
        build.execute("delete from facts.daily_usage where usage_date = date '2026-08-10' and metric = 'tasks'")
        build.execute(
            "insert into metering.job_billing_contexts from metering.job_billing_contexts where job_id = 'august'"
        )


class TestRepair:
    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, build):
        good = build(WORLD)
        assert good.exit_code == 0, good.output
        # the damage goes unseen by a run that has nothing to do: it publishes what is there
        damaged = build(None, onto=good, prepare=damage, vars=STORED_ONLY)
        assert damaged.exit_code == 0, damaged.output
        repaired = build(None, onto=damaged, vars=STORED_ONLY | {"recompute_month": "2026-08"})
        assert repaired.exit_code == 0, repaired.output
        return good, damaged, repaired

    def test_a_month_is_computed_again_from_what_is_stored(self, runs):
        good, damaged, repaired = runs
        assert damaged.tables("marts", "metering") != good.tables("marts", "metering")
        assert repaired.tables("marts", "metering", "audit") == good.tables("marts", "metering", "audit")

    def test_only_that_month_is_looked_at(self, runs):
        *_, repaired = runs
        assert repaired.column("select count(*) from intake.units_this_run where unit_kind = 'job'") == [2]

    def test_verifying_a_good_warehouse_says_its_steps_and_that_all_tables_agree(self, runs):
        """The build is a process of its own, as users have it."""
        good, *_ = runs
        found = verify(good.warehouse, **{ADDRESS: ""})
        assert (found.returncode, found.stdout.count("\n")) == (0, 1)
        assert found.stdout.endswith(" tables equal a recomputation from the stored deliveries.\n")
        steps = [line.split()[0] for line in found.stderr.splitlines() if not line.startswith("Recomputing: ")]
        # a step that takes long says so more than once
        assert [step for step, _ in groupby(steps)] == ["Checking", "Copying", "Recomputing", "Comparing"]

    def test_verifying_says_which_tables_are_damaged(self, runs):
        *_, damaged, _ = runs
        found = verify(damaged.warehouse)
        assert found.returncode == 1
        for table in ("metering.metered_jobs", "metering.metered_steps", "marts.usage_by_capability"):
            assert f"{table} differs: " in found.stdout
        assert "marts.customer_history differs" not in found.stdout

    def test_verifying_says_which_stored_file_is_damaged(self, runs, tmp_path):
        copy = tmp_path / "copy"
        shutil.copytree(runs[0].warehouse, copy, symlinks=True)
        stored = copy / "deliveries" / "000001" / "jobs.parquet"
        stored.write_bytes(stored.read_bytes()[:-1])
        found = verify(copy)
        assert found.returncode == 1
        assert stored.name in found.stdout

    def test_verifying_where_nothing_can_be_written_says_so(self, runs, monkeypatch, capsys):
        monkeypatch.syspath_prepend(PROJECT / "scripts")
        import verify as script

        def refuse(**where):
            raise OSError(30, "Read-only file system", str(where["dir"]))

        monkeypatch.setattr(script.tempfile, "TemporaryDirectory", refuse)
        monkeypatch.setattr(sys, "argv", ["verify.py"])
        monkeypatch.setenv("WAREHOUSE_DIR", str(runs[0].warehouse))
        assert script.main() == 2
        said = f"Cannot write beside the warehouse: {runs[0].warehouse}: Read-only file system.\n"
        assert capsys.readouterr().out == said

    def test_there_may_be_nothing_to_verify(self, tmp_path):
        assert verify(tmp_path).returncode == 2

    def test_a_month_that_is_none_stops_the_run(self, build):
        stopped = build(None, vars={"recompute_month": "August"})
        assert stopped.exit_code != 0
        assert "recompute_month is 'August': it must be a month, YYYY-MM." in stopped.output


class TestRottenBytes:
    """A bit of a stored file turns, which the file's own format doesn't notice."""

    @pytest.fixture(scope="class")
    @classmethod
    def good(cls, build):
        return build(FIRST)

    @pytest.mark.parametrize(
        ("extract", "arrives", "args"),
        [
            ("customers", job("j-3"), ()),  # listings are read whole each time
            ("steps", job("j-1", extracted_at="2026-03-31T12:00:00Z"), ()),  # a job that came before
            ("jobs", without_steps(job("j-test", extracted_at="2026-03-31T12:00:00Z")), ()),
            ("steps", job("j-3"), ("--full-refresh",)),
        ],
        ids=["listing", "steps of a job that comes again", "its job", "full refresh"],
    )
    def test_a_run_that_reads_it_again_stops_and_names_it(self, extract, arrives, args, build, good):
        def turn_a_bit(warehouse):
            stored = warehouse / "deliveries" / "000001" / f"{extract}.parquet"
            data = bytearray(stored.read_bytes())
            data[len(data) // 2] ^= 1
            stored.write_bytes(data)

        stopped = build(world(arrives), onto=good, prepare=turn_a_bit, arguments=args)
        assert stopped.exit_code != 0
        assert f"000001/{extract}.parquet has changed since it was stored." in stopped.output
        assert "Restore it from a backup." in stopped.output
        assert stopped.published.read_bytes() == good.published.read_bytes()


class TestRestoredDeliveries:
    """``deliveries/`` is put back from an older backup and ``build/`` is not: a load that was counted is missing."""

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, build):
        monday = build(FIRST)
        tuesday = build(world(customer(), job("j-2")), onto=monday)
        assert tuesday.exit_code == 0, tuesday.output
        return monday, tuesday

    @pytest.fixture(scope="class")
    @classmethod
    def restore(cls, runs):
        def restore(warehouse):
            shutil.rmtree(warehouse / "deliveries")
            shutil.copytree(runs[0].warehouse / "deliveries", warehouse / "deliveries")

        return restore

    def test_the_run_stops_and_says_which_load_is_missing(self, build, runs, restore):
        stopped = build(world(customer(), job("j-3")), onto=runs[1], prepare=restore)
        assert stopped.exit_code != 0
        assert "has lost load 2." in stopped.output
        assert sorted(path.name for path in (stopped.warehouse / "deliveries").glob("0*")) == ["000001"]

    @pytest.mark.parametrize("restored", ["deliveries alone", "all but deliveries"])
    def test_a_backup_of_another_day_gives_the_figures_of_all_deliveries(self, restored, build, runs):
        """All but the deliveries is of Monday; or there is nothing else."""
        monday, tuesday = runs

        def restore(warehouse):
            restore_all_but_deliveries(warehouse, monday.warehouse if restored == "all but deliveries" else None)

        built = build(None, onto=tuesday, prepare=restore, vars=STORED_ONLY)
        assert built.exit_code == 0, built.output
        assert built.tables("marts", "metering", "audit") == tuesday.tables("marts", "metering", "audit")
        runs = "select run_id from publication.runs order by started_at"
        assert built.column(runs)[:-1] == tuesday.column(runs)

    def test_going_on_without_it_computes_everything_anew(self, build, runs, restore):
        rows = world(customer(), job("j-3"), job("j-4"))
        env = {"ACCEPT_MISSING_LOADS": "1"}
        built = build(rows, onto=runs[1], prepare=restore, env=env)
        assert built.exit_code == 0, built.output
        assert "Everything is recomputed from the stored deliveries: " in built.output
        assert built.column("select job_id from metering.metered_jobs order by all") == ["j-1", "j-3", "j-4", "j-test"]
        again = build(rows, onto=built)
        assert again.exit_code == 0, again.output
        assert "recomputed" not in again.output
        assert again.tables("metering") == built.tables("metering")
