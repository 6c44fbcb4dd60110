"""What a run does beside counting: it writes artifacts only when asked to, and keeps the database's comments right."""

import json
import shutil

import duckdb
import pytest
import yaml
from builders import customer, job, world
from building import PROJECT, Workbench

WORLD = world(customer(), job())


class TestRuns:
    """A plain run, and one after it that asks for artifacts and finds things other than the first one left them.

    Tools that read dbt's artifacts ask for them by dbt's own variables; a plain run doesn't pay for them.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def runs(cls, build, workbench):
        """The two runs, and the files that dbt wrote beside the warehouse in each."""
        runs, written = [], []
        for env in ({}, {"DBT_WRITE_JSON": "true", "DBT_LOG_LEVEL_FILE": "debug"}):
            for name in ("target", "logs"):
                shutil.rmtree(workbench.folder / name, ignore_errors=True)
            before = {"onto": runs[0], "prepare": cls.change} if runs else {}
            runs.append(build(WORLD, env=env | {"WITHOUT_COMMENTS": ""}, keep=False, **before))
            assert runs[-1].exit_code == 0, runs[-1].output
            folders = (workbench.folder / name for name in ("target", "logs"))
            written.append({path.name for folder in folders for path in folder.glob("*")})
        return runs, written

    @staticmethod
    def change(warehouse):
        """Damaged comments; a list of runs that was written before one of its columns existed."""
        with duckdb.connect(warehouse / "build" / "usage.duckdb") as database:
            database.execute("comment on table metering.metered_jobs is null")
            database.execute("comment on column metering.metered_jobs.job_id is 'wrong'")
            database.execute("comment on view metering.metered_steps is 'wrong'")
        told = warehouse / "deliveries" / "runs.json"
        (run,) = map(json.loads, told.read_text(encoding="utf-8").splitlines())
        del run["ran_data_tests"]
        told.write_text(json.dumps(run) + "\n", encoding="utf-8")

    @staticmethod
    def comments(built):
        return built.rows(
            "select schema_name, table_name, '', comment from duckdb_tables() union all "
            "select schema_name, view_name, '', comment from duckdb_views() where not internal union all "
            "select schema_name, table_name, column_name, comment from duckdb_columns() where not internal order by all"
        )

    def test_a_plain_run_writes_neither_artifacts_nor_a_log(self, runs):
        _, (plain, _) = runs
        assert plain & {"manifest.json", "run_results.json", "dbt.log"} == set()

    def test_a_run_that_is_asked_to_writes_them(self, runs):
        _, (_, asked) = runs
        assert {"manifest.json", "run_results.json", "dbt.log"} <= asked

    def test_a_comment_that_is_gone_or_wrong_is_written_again_by_the_next_run(self, runs):
        (first, again), _ = runs
        assert self.comments(again) == self.comments(first)
        assert sum(comment is not None for *_, comment in self.comments(first)) > 500

    def test_the_list_of_runs_gets_a_column_that_a_newer_release_has(self, runs):
        (first, again), _ = runs
        assert again.column("select ran_data_tests from publication.runs order by started_at") == [None, False]
        others = "select * exclude (ran_data_tests) from publication.runs order by started_at limit 1"
        assert again.rows(others) == first.rows(others)


def test_a_column_of_a_seed_without_a_type_is_an_error_that_names_it(tmp_path, forks):
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns(".*", "target", "logs", "warehouse", "docs"))
    seed = project / "seeds" / "rules" / "status_words.csv"
    header, *rows = seed.read_text(encoding="utf-8").splitlines()
    seed.write_text("\n".join([f"{header},unit_price", *(f"{row},1" for row in rows)]) + "\n", encoding="utf-8")
    bench = Workbench(tmp_path, forks, project)
    stopped = bench.build(arguments=("--select", "status_words"))
    assert stopped.exit_code != 0
    assert "The seed status_words has a column unit_price without a type: add it to column_types." in stopped.output


def test_the_settings_that_each_node_sets_anew_are_of_its_session_alone():
    """One that all sessions share would be written while other threads plan by it: a run then may never end."""
    profile = yaml.safe_load((PROJECT / "profiles" / "profiles.yml").read_text(encoding="utf-8"))
    settings = profile["embedded_usage"]["outputs"]["duckdb"]["settings"]
    other = {"TimeZone": "Asia/Kolkata"}
    assert settings.keys() == other.keys()
    with duckdb.connect() as database:
        one, another = database.cursor(), database.cursor()
        for name, value in other.items():
            before = another.execute("select current_setting(?)", [name]).fetchone()
            one.execute(f"set {name} = '{value}'")
            assert one.execute("select current_setting(?)", [name]).fetchone() == (value,)
            assert another.execute("select current_setting(?)", [name]).fetchone() == before != (value,)
