"""The marts of a world that the API delivered are those of the same world as files, whatever happens on the way."""

import json
import random
import shutil
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest
from reference.files import write_world
from reference.worlds import ADMIN, LISTINGS, random_world
from samples import sampled

sys.path.append(str(Path(__file__).parent / "extraction"))
from extracting import FAULTS, Kill, Killed, RandomFaults, extracting
from platform_worlds import PlatformWorld

WORLD = PlatformWorld(random_world("extraction", size=90), LISTINGS, ADMIN)
VARS = {"admin_account_ids": [ADMIN]}
WRAPPERS = ("result", "items", "data", None)


def keep_by_hand(folder):
    """Write the extracts without an endpoint, which are files on both sides."""
    write_world(WORLD.kept_by_hand(), folder, split=1, ragged=False, name="by hand")


def extract_world(folder, kills=0, faults=None, seed=0):
    """Extract the world at each of its listings; returns the kills that happened."""
    rng = random.Random(f"extract {seed}")
    happened = 0
    with extracting(None, folder) as extractions:
        platform = extractions.platform
        platform.wrap = lambda wrapper: rng.choice(WRAPPERS)
        platform.page_size = 7
        if faults:
            platform.faults = faults
        for number, moment in enumerate(LISTINGS, 1):
            platform.contents = WORLD.contents_at(moment)
            while happened < kills * number // len(LISTINGS):
                with suppress(Killed), Kill(rng.randint(1, 110)).armed():
                    extractions.run(own_account_id=ADMIN)
                    continue
                happened += 1
            done = extractions.run(own_account_id=ADMIN)
            assert done.exit_code == 0, done.text
    keep_by_hand(folder)
    return happened


def distinct_rows(folder):
    """{extract: its rows, each once}, of the Parquet files of a folder."""
    with duckdb.connect() as engine:
        return {
            path.name: set(engine.execute(f"from read_parquet('{path}/*.parquet')").fetchall())
            for path in sorted(folder.iterdir())
            if list(path.glob("*.parquet"))
        }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    extract_world(folder)
    return folder


@pytest.fixture(scope="module")
def marts_of(build, workbench):
    """Builds a folder of extracts, and returns its tables."""

    def build_folder(folder):
        shutil.copytree(folder, workbench.clear_extracts())
        return build(workbench.extracts, vars=VARS).tables("marts", "metering")

    return build_folder


class TestMarts:
    def test_the_marts_are_those_of_the_same_world_as_files(self, build, marts_of, undisturbed):
        delivered = build(WORLD.delivered(), vars=VARS).tables("marts", "metering")
        extracted = marts_of(undisturbed)
        assert len(delivered["metering.metered_jobs"]) > 50
        assert sum(map(len, delivered.values())) > 3000
        assert [name for name, rows in delivered.items() if extracted[name] != rows] == []

    def test_twenty_kills_and_spoiled_answers_change_no_row_of_a_mart(self, marts_of, undisturbed, tmp_path):
        faults = RandomFaults(seed=1, share=0.15)
        assert extract_world(tmp_path, kills=20, faults=faults, seed=1) == 20
        assert set(faults.made) == set(FAULTS)
        assert distinct_rows(tmp_path) == distinct_rows(undisturbed)
        assert marts_of(tmp_path) == marts_of(undisturbed)

    @pytest.mark.parametrize("seed", range(2, 2 + sampled(8)))
    def test_kills_lose_no_row_and_invent_none(self, undisturbed, tmp_path, seed):
        assert extract_world(tmp_path, kills=10, seed=seed) == 10
        assert distinct_rows(tmp_path) == distinct_rows(undisturbed)


LISTED = ("customers", "recipes", "connections", "api_collections", "vendor_usage", "genie_prompts")


def as_text(value):
    """A value as the extraction writes it."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("seed", range(sampled(12)))
def test_the_rows_of_any_world_are_those_of_its_files(tmp_path, seed):
    """Without a build: of each extract its rows, and of each job when it was delivered and with which lines."""
    world = PlatformWorld(random_world(f"extracted {seed}", size=40), LISTINGS, ADMIN)
    world.moments = [
        moment for moment in LISTINGS if world.customers(moment)
    ]  # without a customer nothing is extracted
    with extracting(None, tmp_path) as extractions:
        extractions.platform.page_size = 1 + seed
        for moment in world.moments:
            extractions.platform.contents = world.contents_at(moment)
            assert extractions.run(own_account_id=ADMIN).exit_code == 0
        delivered, by_hand = world.delivered(), world.kept_by_hand()
        for extract in LISTED:
            rows = [row for row in delivered.get(extract, []) if row not in by_hand.get(extract, [])]
            columns = sorted({column for row in rows for column in row})
            expected = {tuple(as_text(row.get(column)) for column in columns) for row in rows}
            found = {tuple(row[column] for column in columns) for row in extractions.rows(extract)}
            assert found == expected, extract
        jobs = {(row["account_id"], row["id"], row["extracted_at"], row["status"]) for row in delivered["jobs"]}
        steps = Counter((row["account_id"], row["job_id"], row["extracted_at"]) for row in delivered["steps"])
        found = extractions.rows("job_history")
        assert {(row["account_id"], row["id"], row["extracted_at"], row["status"]) for row in found} == jobs
        assert len(jobs) > 10
        assert {
            (row["account_id"], row["id"], row["extracted_at"]): len(json.loads(row["lines"])) for row in found
        } == {job[:3]: steps[job[:3]] for job in jobs}
