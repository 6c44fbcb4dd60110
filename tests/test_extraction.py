"""Listings from the API: complete or not written, whatever the platform answers."""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

sys.path.append(str(Path(__file__).parent / "extraction"))
from extracting import extracting
from fake_platform import BROKEN, FORBIDDEN, UNKNOWN, WEB_PAGE, Answer, Contents

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
CREATED = "2026-01-05T09:00:00.000-08:00"


def customer(id):
    return {"id": id, "name": f"Customer {id}", "created_at": CREATED}


def recipe(id, **fields):
    record = {"id": id, "name": f"Recipe {id}", "trigger_application": "salesforce", "running": True}
    return record | {"created_at": CREATED} | fields


def connection(id):
    return {"id": id, "provider": "slack", "authorization_status": "success", "created_at": CREATED}


def contents(customers=3, recipes=2, connections=1):
    """Customers 1, 2 …; customer 2 has the recipes 2000, 2001 … and the connections 2000, 2001 …"""
    ids = range(1, customers + 1)
    return Contents(
        now=NOON,
        customers=[customer(id) for id in ids],
        recipes={str(id): [recipe(1000 * id + n) for n in range(recipes)] for id in ids},
        connections={str(id): [connection(1000 * id + n) for n in range(connections)] for id in ids},
        jobs={("1", "1000"): [job("j-1")]},
    )


def job(id, **fields):
    record = {"id": id, "status": "succeeded", "started_at": "2026-03-10T10:00:00Z"}
    return record | {"completed_at": "2026-03-10T10:01:00Z", "lines": [{"recipe_line_number": 0}]} | fields


@pytest.fixture
def extraction(tmp_path):
    with extracting(contents(), tmp_path / "extracts") as started:
        yield started


def spoil(extraction, path, answer):
    """Answer requests for the path this way."""
    extraction.platform.faults = lambda asked: answer if asked.path == path else None


def extracts_of(extraction):
    """The extracts of which something was written."""
    return {path.split("/")[0] for path in extraction.files()}


ALL = {"customers", "recipes", "connections", "api_collections", "vendor_usage", "job_history"}


class TestListings:
    def test_everything_is_read(self, extraction):
        done = extraction.run()
        assert done.exit_code == 0, done.text
        assert extracts_of(extraction) == ALL
        assert [row["id"] for row in extraction.rows("customers")] == ["1", "2", "3"]
        assert [(row["id"], row["user_id"]) for row in extraction.rows("recipes")] == [
            ("1000", "1"),
            ("1001", "1"),
            ("2000", "2"),
            ("2001", "2"),
            ("3000", "3"),
            ("3001", "3"),
        ]
        assert extraction.rows("connections")[1] == {
            "id": "2000",
            "name": None,
            "provider": "slack",
            "authorization_status": "success",
            "authorized_at": None,
            "created_at": CREATED,
            "user_id": "2",
            "extracted_at": "2026-03-10T12:00:00Z",
        }

    def test_all_rows_of_a_listing_have_the_time_of_its_first_answer(self, extraction):
        def a_minute_passes(asked):
            extraction.platform.contents.now += timedelta(minutes=1)

        extraction.platform.faults = a_minute_passes
        assert extraction.run(threads=1).exit_code == 0
        times = {extract: {row["extracted_at"] for row in extraction.rows(extract)} for extract in ALL}
        assert times["customers"] == {"2026-03-10T12:01:00Z"}
        assert len(times["recipes"]) == len(times["connections"]) == 1
        assert min(times["recipes"]) > min(times["connections"]) > min(times["customers"])

    @pytest.mark.parametrize("wrapper", ["result", "items", "data", None])
    def test_a_list_comes_in_any_wrapper(self, extraction, wrapper):
        extraction.platform.wrap = lambda _: wrapper
        assert extraction.run().exit_code == 0
        assert len(extraction.rows("recipes")) == 6

    @pytest.mark.parametrize("size", [1, 2, 3, 100])
    def test_a_page_that_is_shorter_than_asked_for_is_not_taken_for_the_last(self, tmp_path, size):
        """Customer 1 has one recipe, 2 has two …: some lists end where a page ends."""
        world = contents(customers=7)
        world.recipes = {str(n): [recipe(1000 * n + i) for i in range(n)] for n in range(1, 8)}
        with extracting(world, tmp_path) as extraction:
            extraction.platform.page_size = size
            assert extraction.run(lines=False).exit_code == 0
            assert len(extraction.rows("customers")) == 7
            assert len(extraction.rows("recipes")) == 28

    def test_a_short_page_in_the_middle_of_a_list_is_not_taken_for_the_last(self, extraction):
        recipes = [recipe(1000 + n) for n in range(25)]
        extraction.platform.contents.recipes["1"] = recipes
        extraction.platform.page_size = 10

        def leave_one_out(asked):
            if asked.path == "/api/managed_users/1/recipes" and asked.params["page"] == "2":
                return Answer(body=json.dumps({"result": recipes[10:19]}))
            return None

        extraction.platform.faults = leave_one_out
        assert extraction.run(lines=False).exit_code == 0
        of_customer = [row["id"] for row in extraction.rows("recipes") if row["user_id"] == "1"]
        assert of_customer == [str(record["id"]) for record in recipes if record["id"] != 1019]

    def test_recipes_have_the_names_of_their_projects_and_folders(self, extraction):
        """A recipe without project has that of its folder, or of the nearest folder above."""
        world = extraction.platform.contents
        world.recipes = {"1": [recipe(1, project_id=5, folder_id=9), recipe(2, folder_id=9), recipe(3)]}
        world.projects = {"1": [{"id": 5, "name": "Finance", "folder_id": 8}]}
        world.folders = {"1": [{"id": 8, "name": "Root"}, {"id": 9, "name": "Invoices", "parent_id": 8}]}
        assert extraction.run(lines=False).exit_code == 0
        names = [
            (row["id"], row["project_id"], row["project_name"], row["folder_name"])
            for row in extraction.rows("recipes")
        ]
        assert names == [("1", "5", "Finance", "Invoices"), ("2", "5", "Finance", "Invoices"), ("3", None, None, None)]

    def test_older_field_names_are_read(self, extraction):
        world = extraction.platform.contents
        world.customers = [customer(1) | {"trial": True}]
        world.connections = {"1": [{"id": 7, "application": "slack", "created_at": CREATED}]}
        assert extraction.run().exit_code == 0
        assert extraction.rows("customers")[0]["in_trial"] == "true"
        assert extraction.rows("connections")[0]["provider"] == "slack"

    def test_plans_say_which_subscriptions_have_expired(self, extraction):
        extraction.platform.contents.customers = [customer(1) | {"plan_id": "free"}, customer(2) | {"plan_id": "pro"}]
        extraction.run(expired_plan_ids=("free",))
        assert [row["subscription_expired"] for row in extraction.rows("customers")] == ["true", "false"]

    def test_collections_are_mcp_servers_where_a_server_names_them(self, extraction):
        world = extraction.platform.contents
        world.api_collections = {"1": [{"id": 11}, {"id": 12}], "2": [{"id": 21, "is_mcp_server": True}]}
        world.mcp_servers = [{"id": "s", "api_collection": {"id": 12}}]
        assert extraction.run().exit_code == 0
        rows = {row["id"]: row["is_mcp_server"] for row in extraction.rows("api_collections")}
        assert rows == {"11": "false", "12": "true", "21": "true"}

    def test_what_is_left_out_is_not_asked_for(self, extraction):
        left_out = ("connections", "api_collections", "vendor_usage", "genie_prompts", "project_names")
        assert extraction.run(leave_out=left_out, lines=False).exit_code == 0
        assert extracts_of(extraction) == {"customers", "recipes"}
        assert {asked.path.split("/")[-1] for asked in extraction.platform.asked} == {"managed_users", "recipes"}

    def test_an_empty_listing_is_a_file_without_rows_and_is_named_if_there_were_rows(self, extraction):
        extraction.run()
        extraction.platform.contents = replace(
            extraction.platform.contents, connections={}, now=NOON + timedelta(days=1)
        )
        done = extraction.run()
        assert done.exit_code == 0
        assert "connections: the listing is empty, and the last one had 3 rows" in done.text
        newest = extraction.folder / "connections" / "20260311T120000Z.parquet"
        assert duckdb.sql(f"select count(*), count(id) from '{newest}'").fetchall() == [(0, 0)]


class TestVendorUsage:
    def test_tasks_and_jobs_of_two_reports(self, extraction):
        world = extraction.platform.contents
        world.usage = [{"managed_user_id": 1, "month": "2026-02", "task_count": 7}]
        world.statistics = [
            {"managed_user_id": 2, "month": month, "job_succeeded_count": 3, "job_failed_count": 0}
            for month in ("2025-12", "2026-01", "2026-03")
        ]
        assert extraction.run().exit_code == 0
        rows = [tuple(row.values())[:5] for row in extraction.rows("vendor_usage")]
        # the statistics are asked for three months
        assert sorted(rows, key=str) == [
            ("1", "2026-02-01", "7", None, None),
            ("2", "2026-01-01", None, "3", "0"),
            ("2", "2026-03-01", None, "3", "0"),
        ]

    def test_months_within_a_customers_record(self, extraction):
        months = [{"month": "2026-01-01T00:00:00.000-08:00", "tasks": 4}, {"month": "2026-02-01", "tasks": 5}]
        extraction.platform.contents.usage = [{"id": 1, "usage": months}]
        assert extraction.run().exit_code == 0
        rows = [(row["account_id"], row["usage_month"], row["tasks"]) for row in extraction.rows("vendor_usage")]
        assert rows == [("1", "2026-01-01", "4"), ("1", "2026-02-01", "5")]

    def test_a_report_of_another_form_is_named_and_stops_nothing(self, extraction):
        extraction.platform.contents.usage = [{"workspace": "x", "n": 1}]
        done = extraction.run()
        assert done.exit_code == 1
        assert "extraction/endpoints.py" in done.text
        assert extracts_of(extraction) == ALL  # the statistics are there


class TestPrompts:
    def genies(self, extraction, **genie):
        world = extraction.platform.contents
        world.genies = [{"id": "g"} | genie]
        world.conversations = {"g": [{"id": "c"}]}
        message = {"type": "user_message", "sender": {"type": "user"}}
        world.events = {
            "c": [message | {"id": "p-1", "date_time": "2026-03-01T08:00:00Z"}, {"id": "a-1", "type": "genie_message"}]
        }
        return world, message

    def test_the_prompts_are_the_messages_of_users(self, extraction):
        self.genies(extraction)
        assert extraction.run(own_account_id="9").exit_code == 0
        assert extraction.rows("genie_prompts") == [
            {
                "id": "p-1",
                "sender_type": "user",
                "sent_at": "2026-03-01T08:00:00Z",
                "status": None,
                "account_id": "9",
                "genie_id": "g",
                "conversation_id": "c",
                "extracted_at": "2026-03-10T12:00:00Z",
            }
        ]

    @pytest.mark.parametrize(
        ("sender", "read"),
        [
            ({"sender": {"type": "genie"}}, "genie"),
            ({"sender": {"type": None}}, None),
            ({"sender": "app_event"}, "app_event"),
        ],
    )
    def test_who_sent_a_prompt(self, extraction, sender, read):
        world, _ = self.genies(extraction)
        world.events["c"][0] |= sender
        extraction.run(own_account_id="9")
        assert [row["sender_type"] for row in extraction.rows("genie_prompts")] == [read]

    def test_a_later_extraction_brings_only_new_prompts(self, extraction):
        world, message = self.genies(extraction)
        extraction.run(own_account_id="9")
        world.now += timedelta(days=1)
        world.events["c"].append(message | {"id": "p-2", "date_time": "2026-03-11T08:00:00Z"})
        extraction.run(own_account_id="9")
        assert [row["id"] for row in extraction.rows("genie_prompts")] == ["p-1", "p-2"]

    def test_genies_of_an_unknown_account_are_named(self, extraction):
        self.genies(extraction)
        done = extraction.run()
        assert done.exit_code == 1
        assert "Set own_account_id in extraction.toml" in done.text
        assert "genie_prompts" not in extracts_of(extraction)


class TestIncomplete:
    """A listing of which a part is missing is written for nobody."""

    @pytest.mark.parametrize("answer", [BROKEN, FORBIDDEN, UNKNOWN, WEB_PAGE, Answer(cut=None)])
    def test_one_customer_fails_and_the_others_jobs_come(self, extraction, answer):
        spoil(extraction, "/api/managed_users/2/recipes", answer)
        done = extraction.run()
        assert done.exit_code == 1
        assert extracts_of(extraction) == ALL - {"recipes"}
        assert "recipes: 1 of 3 customers cannot be read" in done.text
        assert "of customer 2" in done.text
        assert [row["id"] for row in extraction.rows("job_history")] == ["j-1"]

    def test_without_permission_for_one_endpoint_all_others_are_read(self, extraction):
        extraction.platform.faults = lambda asked: FORBIDDEN if asked.path.endswith("/connections") else None
        done = extraction.run()
        assert done.exit_code == 1
        assert extracts_of(extraction) == ALL - {"connections"}
        assert "no permission for the connections of customer 1 (403). Add it to the API client's role" in done.text
        assert 'If you do not need it: leave_out = ["connections"] in extraction.toml.' in done.text

    def test_without_permission_for_projects_recipes_come_without_their_names(self, extraction):
        extraction.platform.contents.recipes["1"] = [recipe(1, project_id=5)]
        extraction.platform.faults = lambda asked: FORBIDDEN if asked.path.endswith("/projects") else None
        done = extraction.run(lines=False)
        assert done.exit_code == 1
        assert "Recipes have no project names" in done.text
        row = extraction.rows("recipes")[0]
        assert (row["project_id"], row["project_name"]) == ("5", None)

    def test_if_projects_fail_for_a_moment_no_recipe_loses_its_project(self, extraction):
        extraction.platform.contents.recipes["1"] = [recipe(1, project_id=5)]
        extraction.platform.faults = lambda asked: BROKEN if asked.path.endswith("/projects") else None
        assert extraction.run().exit_code == 1
        assert "recipes" not in extracts_of(extraction)

    def test_collections_are_not_guessed_without_the_mcp_servers(self, extraction):
        extraction.platform.contents.api_collections = {"1": [{"id": 11}]}
        spoil(extraction, "/api/mcp/mcp_servers", FORBIDDEN)
        done = extraction.run()
        assert done.exit_code == 1
        assert "api_collections" not in extracts_of(extraction)

    def test_a_page_that_repeats_for_ever(self, extraction):
        spoil(extraction, "/api/managed_users/2/recipes", Answer(body=json.dumps({"result": [recipe(1), recipe(2)]})))
        done = extraction.run()
        assert done.exit_code == 1
        assert "Page 2 of the recipes of customer 2 repeats earlier pages" in done.text
        assert "recipes" not in extracts_of(extraction)
        assert extraction.platform.count(".*/2/recipes") == 2

    def test_connections_that_are_not_paged_are_whole(self, extraction):
        everything = Answer(body=json.dumps({"result": [connection(1), connection(2)]}))
        spoil(extraction, "/api/managed_users/2/connections", everything)
        assert extraction.run().exit_code == 0
        assert len(extraction.rows("connections")) == 4

    @pytest.mark.parametrize("id", [None, "", [], True])
    def test_a_record_without_id(self, extraction, id):
        extraction.platform.contents.recipes["2"][1] = recipe(id)
        done = extraction.run()
        assert done.exit_code == 1
        assert "A record of the recipes of customer 2 has no id" in done.text
        assert "recipes" not in extracts_of(extraction)

    @pytest.mark.parametrize("body", ['{"message": "hello"}', '"text"', "[1, 2]", '{"result": [], "items": []}'])
    def test_an_answer_that_is_no_list(self, extraction, body):
        spoil(extraction, "/api/managed_users/2/recipes", Answer(body=body))
        done = extraction.run()
        assert done.exit_code == 1
        assert "The answer is no list" in done.text
        assert "recipes" not in extracts_of(extraction)


class TestNothing:
    """Without customers nothing can be read: exit code 2, a sentence, and no file."""

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (Answer(401, "{}"), "The platform refuses the token (401, asked for the customers). Check WORKATO_TOKEN"),
            (FORBIDDEN, "The token has no permission for the customers (403)"),
            (WEB_PAGE, "A web page came instead of JSON"),
            (Answer(200, "<html>", (("Content-Type", ""),)), "A web page came instead of JSON"),
            (Answer(302, "", (("Location", "https://login.example/"),)), "redirects to login.example"),
            (BROKEN, "The platform answered 500 to 6 requests for the customers"),
            (Answer(body='{"result": []}'), "lists no customers"),
            (Answer(body='{"result": [{"name": "no id"}]}'), "has no id"),
            (Answer(body='{"result": [{"id": 1}]}'), "repeats earlier pages"),
            (Answer(body='{"result": [{"id": 1'), "incomplete answers to 6 requests for the customers"),
            (Answer(cut=None), "cannot be reached for the customers"),
        ],
    )
    def test_a_sentence_says_what_to_do(self, extraction, answer, said):
        spoil(extraction, "/api/managed_users", answer)
        done = extraction.run()
        assert done.exit_code == 2
        assert said in done.text
        assert extraction.files() == set()

    def test_no_other_host_gets_the_token(self, extraction, tmp_path):
        with extracting(contents(), tmp_path / "elsewhere") as elsewhere:
            spoil(
                extraction, "/api/managed_users", Answer(302, "", (("Location", f"{elsewhere.url}/api/managed_users"),))
            )
            assert extraction.run().exit_code == 2
            assert elsewhere.platform.asked == []

    def test_a_host_that_does_not_answer(self, extraction):
        extraction.url = "http://127.0.0.1:9"
        done = extraction.run(now=NOON)
        assert done.exit_code == 2
        assert "127.0.0.1:9 cannot be reached for the customers: check WORKATO_REGION or WORKATO_URL" in done.text

    def test_a_token_that_is_revoked_ends_it_and_keeps_what_came(self, extraction):
        extraction.platform.faults = lambda asked: Answer(401, "{}") if asked.path.endswith("/recipes") else None
        done = extraction.run()
        assert done.exit_code == 1
        assert extracts_of(extraction) == ALL - {"recipes", "job_history"}
        assert extraction.platform.count(".*/jobs") == 0


class TestClocks:
    def test_a_platform_that_is_a_day_ahead_is_not_believed(self, extraction):
        done = extraction.run(now=NOON - timedelta(days=2))
        assert done.exit_code == 2
        assert "this machine's clock says 2026-03-08 12:00. One of them is wrong" in done.text
        assert extraction.files() == set()

    def test_a_machine_that_is_ahead_changes_nothing(self, extraction):
        assert extraction.run(now=NOON + timedelta(days=400)).exit_code == 0
        assert extraction.rows("customers")[0]["extracted_at"] == "2026-03-10T12:00:00Z"

    def test_a_time_before_the_last_extraction_is_refused(self, extraction):
        extraction.run()
        before = extraction.files()
        extraction.platform.contents.now = NOON - timedelta(minutes=59)
        assert extraction.run().exit_code == 0
        extraction.platform.contents.now = NOON - timedelta(minutes=61)
        written = extraction.files()
        done = extraction.run()
        assert done.exit_code == 2
        assert "before the last extraction (2026-03-10 12:00)" in done.text
        assert extraction.files() == written > before

    def test_without_a_date_rows_take_the_time_of_this_machine(self, extraction):
        without = (("Date", ""),)
        spoil(extraction, "/api/managed_users", Answer(body=json.dumps({"result": []}), headers=without))
        body = json.dumps({"result": [customer(1)]})
        first, empty = Answer(body=body, headers=without), Answer(body='{"result": []}', headers=without)
        extraction.platform.faults = lambda asked: (
            None if asked.path != "/api/managed_users" else first if asked.params["page"] == "1" else empty
        )
        done = extraction.run(now=NOON + timedelta(seconds=9))
        assert done.exit_code == 0, done.text
        assert "The platform's answers say no time" in done.text
        assert extraction.rows("customers")[0]["extracted_at"] == "2026-03-10T12:00:09Z"


class TestFolder:
    def test_extracts_of_another_data_centre_are_not_mixed(self, extraction):
        extraction.run()
        extraction.url = extraction.url.replace("127.0.0.1", "localhost")
        done = extraction.run()
        assert done.exit_code == 2
        assert "Set another EXTRACTS_DIR" in done.text

    def test_two_extractions_do_not_write_at_the_same_time(self, extraction):
        said = []

        def extract_again(asked):
            extraction.platform.faults = lambda asked: None
            said.append(extraction.run())

        extraction.platform.faults = extract_again
        assert extraction.run().exit_code == 0
        assert said[0].exit_code == 2
        assert "Another extraction (process " in said[0].text

    @pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"format": 1}'])
    def test_a_damaged_state_is_set_aside_and_jobs_are_read_again(self, extraction, damage):
        extraction.run()
        (extraction.folder / ".extraction" / "state.json").write_text(damage)
        done = extraction.run()
        assert done.exit_code == 0
        assert "was damaged and is now state.damaged.json" in done.text
        rows = extraction.rows("job_history")
        assert len(rows) == 2 and rows[0] == rows[1]

    def test_a_state_of_a_newer_version_is_left_alone(self, extraction):
        extraction.run()
        file = extraction.folder / ".extraction" / "state.json"
        newer = file.read_text().replace('"format": 1', '"format": 2')
        file.write_text(newer)
        assert extraction.run().exit_code == 2
        assert file.read_text() == newer

    def test_a_folder_that_cannot_be_written(self, extraction, tmp_path):
        (tmp_path / "file").touch()
        extraction.folder = tmp_path / "file" / "extracts"
        done = extraction.run()
        assert done.exit_code == 2
        assert "cannot be written: Not a directory" in done.text
