"""The benchmark's extracts are what they claim to be, and the floor counts on them what the project counts."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from building import PROJECT

BENCHMARKS = PROJECT / "benchmarks"
WORLD = ["--steps", "20000", "--days", "46", "--seed", "7"]


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, BENCHMARKS / script, *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def generate(folder: Path, *options: str) -> Path:
    run("generate.py", folder, *WORLD, *options)
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.parquet")}


class TestBenchmark:
    @pytest.fixture(scope="class")
    def generated(self, tmp_path_factory):
        return generate(tmp_path_factory.mktemp("benchmark") / "extracts")

    @pytest.fixture(scope="class")
    def built(self, build, generated):
        return build(generated)

    @pytest.fixture(scope="class")
    def deliveries(self, generated):
        """The jobs of the first half month, whose deliveries are complete: their number, late ones, repeated ones."""
        database = duckdb.connect()
        database.execute("set TimeZone = 'UTC'")
        return database.execute(f"""
            select
                count(*) filter (where nth = 1),
                count(*) filter (where nth = 1 and extracted_at > completed_day + interval 27 hours),
                count(*) filter (where nth > 1)
            from (
                select
                    extracted_at,
                    max(date_trunc('day', completed_at)) over job as completed_day,
                    row_number() over (job order by extracted_at) as nth
                from read_parquet('{generated}/jobs/*.parquet')
                window job as (partition by account_id, id)
            )
            where completed_day < timestamptz '2025-01-16 00:00:00+00'
        """).fetchone()

    def test_the_same_arguments_give_the_same_files(self, generated, tmp_path):
        assert contents(generate(tmp_path)) == contents(generated)

    def test_about_as_many_steps_as_asked_for_ten_a_job(self, generated):
        steps, jobs = (
            duckdb.execute(f"select count(*) from read_parquet('{generated}/{name}/*.parquet')").fetchone()[0]
            for name in ("steps", "jobs")
        )
        assert steps == pytest.approx(20_000, rel=0.1)
        assert 7 < steps / jobs < 13

    def test_one_percent_of_the_jobs_is_delivered_again(self, deliveries):
        jobs, _, again = deliveries
        assert 0.003 < again / jobs < 0.02

    def test_two_percent_of_the_jobs_are_delivered_late(self, deliveries):
        jobs, late, _ = deliveries
        assert 0.01 < late / jobs < 0.04

    def test_the_next_day_is_one_more_file_of_each_daily_extract(self, generated, tmp_path):
        daily = {"jobs", "steps", "api_requests", "event_stream_requests", "genie_prompts"}
        assert {str(path) for path in contents(generate(tmp_path, "--extra-day"))} == {
            f"{name}/2025-02-17.parquet" for name in daily
        }
        assert not (generated / "jobs" / "2025-02-17.parquet").exists()

    def test_every_row_can_be_used(self, built):
        assert built.rows("select * from audit.quarantined_rows") == []

    def test_every_rule_that_a_step_can_meet_is_met(self, built):
        rules = built.column("select distinct rule_id from metering.metered_steps")
        assert set(rules) == set(built.column("select rule_id from rules.decision_rules where decides = 'step'"))

    def test_the_floor_counts_every_step_and_every_month_alike(self, built, generated, tmp_path):
        run("floor.py", generated, tmp_path)
        compared = json.loads(run("compare.py", tmp_path / "floor.duckdb", built.published, "--decisions"))
        for what, (same, different) in compared.items():
            assert (same > 100, different) == (True, 0), what
