"""A forgotten customer is in no file of the warehouse's folder, and no figure of another customer changes."""

import gzip
import hashlib
import json
import re
import shutil
import sys

import duckdb
import pytest
from builders import (
    PAGES,
    SALESFORCE,
    TRIGGER,
    collection,
    connection,
    customer,
    job,
    prompt,
    publish,
    ratio,
    recipe,
    recommended,
    request,
    seats,
    step,
    subscription,
    vendor_usage,
    world,
)
from building import PROJECT, TESTS_DATA, Warehouse, close, forget_customer, verify

GONE, OTHER, THIRD = "4711-gone", "1001", "1002"
LISTED, DELIVERED, LATER = "2026-07-31T22:00:00Z", "2026-08-02T06:00:00Z", "2026-08-10T22:00:00Z"
JULY, AUGUST = "2026-07-10T12:00:00Z", "2026-08-09T12:00:00Z"
# Ids, names and texts that only the customer has; each is long enough to be looked for in the bytes of files.
TEXTS = {
    "Zephyrine Vanish",
    "ext-zephyrine",
    "vanish-recipe-771",
    "Vanishing orders",
    "vanish-connection-5",
    "vanish-job-1",
    "vanish-job-late",
    "vanish-streamed-1",
    "vanish-quarantined",
    "Zephyrine was not found",
    "vanish-request-1",
    "vanish-collection",
    "vanish-publish",
    "vanish-prompt",
    "vanish-genie",
    "vanish-order",
    "vanish_app",
    "zephyrine_connector",
    "vanish-project",
    "vanish-streamed-request",
    "/vanish-endpoint",
    "vanish-activity",
    "Vanish Person",
    GONE,
}


def of_account(account, text, *, extracted_at=LISTED):
    """Rows of every extract for an account. ``text``: makes an id or name of the account's own."""
    own = {"account_id": account, "extracted_at": DELIVERED}
    return [
        customer(account, name=text("name"), external_id=text("ext"), created_at=JULY, extracted_at=extracted_at),
        recipe(
            text("recipe"),
            user_id=account,
            name=text("recipe name"),
            project_id=text("project"),
            extracted_at=extracted_at,
        ),
        connection(text("connection"), user_id=account, extracted_at=extracted_at),
        job(
            text("job"),
            TRIGGER,
            SALESFORCE,
            step(text("adapter"), "do_it"),
            step(*PAGES, page_count=3),
            account_id=account,
            recipe_id=text("recipe"),
            completed_at=JULY,
            extracted_at=DELIVERED,
        ),
        job(text("quarantined"), TRIGGER, account_id=account, recipe_id=text("recipe"), status="exploded"),
        request(text("request"), **own, requested_at=JULY, api_collection_id=text("collection")),
        collection(text("collection"), account_id=account, extracted_at=extracted_at),
        publish(text("publish"), **own, requested_at=JULY),
        prompt(text("prompt"), **own, sent_at=JULY, genie_id=text("genie")),
        seats(text("order"), account_id=account, app_id=text("app"), effective_from="2026-07-01"),
        subscription(account_id=account, effective_from="2026-07-01", included_credits="100"),
        ratio(account_id=account, effective_from="2026-07-01"),
        vendor_usage(account_id=account, usage_month="2026-07-01", tasks=3, extracted_at=DELIVERED),
    ]


def vanishing(kind):
    return {
        "name": "Zephyrine Vanish",
        "ext": "ext-zephyrine",
        "recipe": "vanish-recipe-771",
        "recipe name": "Vanishing orders",
        "connection": "vanish-connection-5",
        "job": "vanish-job-1",
        "quarantined": "vanish-quarantined",
        "request": "vanish-request-1",
        "collection": "vanish-collection",
        "publish": "vanish-publish",
        "prompt": "vanish-prompt",
        "genie": "vanish-genie",
        "order": "vanish-order",
        "app": "vanish_app",
        "adapter": "zephyrine_connector",
        "project": "vanish-project",
    }[kind]


def nested(account, id, completed_at=JULY):
    lines = [
        {"recipe_line_number": 0, "adapter_name": TRIGGER[0], "adapter_operation": TRIGGER[1]},
        {"recipe_line_number": 1, "adapter_name": "jira", "adapter_operation": "create", "error": f"{id} failed"},
    ]
    times = {"started_at": completed_at, "completed_at": completed_at}
    return {"id": id, "account_id": account, "recipe_id": "r", "status": "succeeded", **times, "lines": lines}


def log(account, id):
    return {
        "id": id, "workspace": {"id": account}, "timestamp": JULY, "request_type": "proxy", "http_status": 200,
        "endpoint": "/vanish-endpoint" if account == GONE else "/orders",
    }  # fmt: skip


def activity(account, id, **more):
    person = "Vanish Person" if account == GONE else "Other Person"
    return {
        "id": id, "timestamp": JULY, "event_type": "user_login", "workspace": {"id": account}, "user": {"name": person},
    } | more  # fmt: skip


FIRST = world(
    *of_account(GONE, vanishing),
    *of_account(OTHER, lambda kind: f"{kind} of {OTHER}"),
    *of_account(THIRD, lambda kind: f"{kind} of {THIRD}"),
    # the earliest job, and the newest rows, are the customer's: covered months and the as-of date depend on them
    job(
        "vanish-job-late",
        TRIGGER,
        step(*SALESFORCE, error="Zephyrine was not found", status="failed"),
        account_id=GONE,
        recipe_id="vanish-recipe-771",
        completed_at=AUGUST,
        extracted_at=LATER,
    ),
    job("vanish-job-1", account_id=GONE, completed_at="2026-06-28T12:00:00Z", extracted_at="2026-06-29T12:00:00Z"),
    recipe("clone", user_id=OTHER, parent_id="vanish-recipe-771", extracted_at=LISTED),
    recommended("vanish-recipe-771"),
    recommended("recipe of 1001"),
)
# Another delivery of everything, after the customer was forgotten.
AGAIN = world(
    *of_account(GONE, vanishing, extracted_at=LATER),
    *of_account(OTHER, lambda kind: f"{kind} of {OTHER}", extracted_at=LATER),
    *of_account(THIRD, lambda kind: f"{kind} of {THIRD}", extracted_at=LATER),
    with_required=False,
)


def stream(extracts, account, *jobs, name="s"):
    path = extracts / "job_history" / account / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in jobs), encoding="utf-8")
    return path


def others(build):
    """Every published table with rows by customer: the rows of others.

    Without what is of a run, the ranks among all customers, figures under a pseudonym, and the recipe from which one
    was cloned: it is the forgotten customer's.
    """
    found = {}
    tables = build.rows(
        "select table_schema || '.' || table_name, list(column_name order by column_name) "
        "from information_schema.columns where table_schema in ('marts', 'metering', 'audit') group by all order by all"
    )
    for table, columns in tables:
        if "customer_id" in columns and table not in ("marts.usage_closes", "marts.top_customers"):
            kept = ", ".join(
                column for column in columns if column not in ("run_id", "restated_at", "parent_recipe_id")
            )
            of_others = "customer_id <> ? and not starts_with(customer_id, 'erased-')"
            found[table] = build.rows(f"select {kept} from {table} where {of_others} order by all", GONE)
    assert len(found) > 20
    return found


@pytest.fixture(scope="module")
def before(tmp_path_factory, forks):
    """A warehouse with a closed month, a dashboard, statements, logs of scheduled runs, and copies."""
    made = Warehouse(tmp_path_factory.mktemp("forgetting"), forks)
    made.deliver(FIRST, "first")
    events = log(GONE, "vanish-streamed-request"), activity(GONE, "vanish-activity")
    stream(made.extracts, GONE, nested(GONE, "vanish-streamed-1"), *events)
    mixed = {"logEntries": [nested(OTHER, "streamed-mixed"), nested(GONE, "vanish-streamed-3")]}
    about = activity(OTHER, "about", resource={"id": GONE, "name": "Zephyrine Vanish"})
    events = {"logEntries": [log(OTHER, "streamed-request"), activity(OTHER, "activity"), about]}
    stream(made.extracts, OTHER, nested(OTHER, "streamed-1"), mixed, events)
    broken = made.extracts / "jobs" / "broken.csv"
    broken.write_text(f'id,account_id\n"vanish-broken,{GONE}\n', encoding="utf-8")
    made.run(vars={"quarantine_files": True})
    closed = close(made.folder, "2026-07", force="1")
    assert closed.returncode == 0, closed.stdout
    # a second load, which restates the month; the path says whose the job is
    stream(made.extracts, GONE, nested(None, "vanish-streamed-2"), name="late")
    made.run(vars={"quarantine_files": True})
    assert made.last.column("select distinct customer_id from marts.usage_restatements") == [GONE]
    dress(made.folder)
    return made


def dress(warehouse):
    """Pages, logs and copies that name the customer."""
    sys.path.insert(0, str(PROJECT))
    from dashboard.site import write_site
    from dashboard.statement import write_statement

    write_site(warehouse)
    for account in (GONE, OTHER):
        write_statement(warehouse, account, "2026-07", None)
    runs = warehouse / "scheduled_runs"
    runs.mkdir()
    (runs / "2026-08-11T02-00-00Z.log").write_text(
        f"Wrote 3 statements\nCustomer {GONE} Zephyrine Vanish: written\nZephyrine was not found\n1001 is fine\n"
    )
    summary = {"run_id": "2026-08-11T02-00-00Z", "problems": [f"No month of {GONE}.", "none"], "rows": 4711}
    (runs / "2026-08-11T02-00-00Z.json").write_text(json.dumps(summary, indent=2))
    attempt = {"run_id": "2026-08-10", "started_at": "2026-08-10 02:00:00", "step": "statements", "is_published": True,
               "problem": "No statement for Zephyrine Vanish.", "exit_code": 1, "log": "x.log"}  # fmt: skip
    (warehouse / "attempts.json").write_text(json.dumps(attempt) + "\n")
    shutil.copy(warehouse / "usage.duckdb", warehouse / "usage-copy.duckdb")
    shutil.copy(warehouse / "usage.duckdb", warehouse / "usage.duckdb.left-over-wal")
    (warehouse / f"export-{GONE}.csv").write_text("tasks\n3\n")
    (warehouse / f"export.{GONE}.csv").write_text("tasks\n3\n")
    (warehouse / "old.log.gz").write_bytes(gzip.compress(b"Zephyrine Vanish: written"))
    (runs / "notified.json").write_text(json.dumps({hashlib.sha256(GONE.encode()).hexdigest()[:32]: "2026-08-10"}))


@pytest.fixture(scope="module")
def after(before, tmp_path_factory):
    """The same warehouse without the customer, and what the command said."""
    made = before.copy(tmp_path_factory.mktemp("forgotten"), "kept")
    made.certificate = made.bench.folder / "certificates" / "one.json"
    made.said = forget_customer(made.folder, GONE, certificate=str(made.certificate), **TESTS_DATA)
    assert made.said.returncode == 0, made.said.stdout + made.said.stderr
    return made


def found_in(warehouse):
    """Where a text of the customer is: whole values of tables, texts of files, names and bytes of files."""
    found = []
    for path in sorted(warehouse.rglob("*")):
        below = path.relative_to(warehouse).as_posix()
        found += [f"the name {below}" for text in TEXTS if text in below]
        if not path.is_file() or path.is_symlink():
            continue
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        found += [f"bytes of {below}: {text}" for text in TEXTS if text.encode() in content]
        if content[8:12] == b"DUCK":
            found += [f"{below}: {what}" for what in values_of_database(path)]
        elif content[:4] == b"PAR1":
            with duckdb.connect() as db:
                found += [f"{below}: {what}" for what in values_of_relation(db, f"read_parquet('{path}')")]
    return found


def values_of_database(path):
    with duckdb.connect() as db:
        db.execute(f"attach '{path}' as it (read_only)")
        tables = db.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'it' order by all"
        ).fetchall()
        assert tables
        for schema, table in tables:
            for what in values_of_relation(db, f'it."{schema}"."{table}"'):
                yield f"{schema}.{table} {what}"


def values_of_relation(db, relation):
    for name, kind, *_ in db.execute(f"describe from {relation}").fetchall():
        if kind == "VARCHAR":
            # a text of rows, files or JSON may have one within it, too
            pattern = "|".join(map(re.escape, sorted(TEXTS)))
            row = db.execute(f'select "{name}" from {relation} where regexp_matches("{name}", ?) limit 1', [pattern])
            if value := row.fetchone():
                yield f"{name}: {value[0][:200]}"


def test_the_customer_is_everywhere_before(before):
    found = found_in(before.folder)
    for what in ("the name statements", "usage.duckdb", "build/usage.duckdb", "scheduled_runs/", "dashboard_runs/",
                 "deliveries/", "closes/", "attempts.json", "usage-copy.duckdb", "parquet_runs/"):  # fmt: skip
        assert any(what in text for text in found), what


def test_nothing_of_the_customer_is_left(after):
    assert "\n".join(found_in(after.folder)) == ""
    assert not (after.folder / "scheduled_runs" / "notified.json").exists()  # digests of ids can be guessed


def test_the_figures_of_the_others_are_as_before(before, after):
    assert others(after.last) == others(before.last)


def test_the_certificate_counts_what_was_removed_and_names_nobody(after):
    text = after.certificate.read_text(encoding="utf-8")
    assert not [secret for secret in TEXTS if secret in text]
    told = json.loads(text)
    rows = told["rows_removed_from_stored_deliveries"]
    assert {name: rows[name] for name in ("customers", "jobs", "job_history", "seats")} == {
        "customers": 1, "jobs": 4, "job_history": 6, "seats": 1,
    }  # fmt: skip
    assert told["rows_removed_from_published_tables"]["marts.customer_details"] == 1
    assert told["files"]["statements removed"] == 1
    assert told["files"]["logs and other texts rewritten"] == 3


def test_rows_in_are_rows_used_repeated_quarantined_and_erased(before, after):
    query = (
        "select extract_name, rows_read, rows_used, rows_repeated, rows_quarantined, rows_erased, rows_ignored "
        "from audit.extract_row_counts order by all"
    )
    was, now = ({name: counts for name, *counts in made.last.rows(query)} for made in (before, after))
    assert {name: counts[0] for name, counts in now.items()} == {name: counts[0] for name, counts in was.items()}
    assert all(counts[0] == sum(counts[1:]) for counts in now.values())
    erased = {name: counts[4] for name, counts in now.items() if counts[4]}
    # 4 jobs and 3 streamed ones, and 2 activities; 4 + 1 + 2 + 2 steps, and 2 lines of each streamed job
    assert erased == {
        "customers": 1, "recipes": 1, "connections": 1, "jobs": 9, "steps": 15, "api_requests": 2, "api_collections": 1,
        "event_stream_requests": 1, "genie_prompts": 1, "seats": 1, "subscriptions": 1, "credit_ratios": 1,
        "vendor_usage": 1, "recommended_recipes": 1,
    }  # fmt: skip
    assert {counts[4] for counts in was.values()} == {0}
    assert [made["jobs"][5] for made in (was, now)] == [3, 1]  # of them one of another customer, not about this one


def test_closed_figures_are_kept_under_a_pseudonym_and_the_record_ties_the_digests(before, after):
    query = "select customer_id, metric, call_type, quantity from marts.usage_closes order by all"
    was, now = before.last.rows(query), after.last.rows(query)
    (pseudonym,) = {row[0] for row in now} - {OTHER, THIRD}
    assert re.fullmatch("erased-[0-9a-f]{16}", pseudonym)
    assert sorted((pseudonym if row[0] == GONE else row[0], *row[1:]) for row in was if row) == sorted(
        tuple(row) for row in now
    )
    (record,) = map(json.loads, (after.folder / "closes" / "erasures.json").read_text().splitlines())
    assert record["pseudonym"] == pseudonym
    (old,), (new,) = record["closes"], record["closes"].values()
    assert (before.folder / "closes" / old).is_dir()
    assert (after.folder / "closes" / new).is_dir()
    assert after.last.column("select distinct manifest_digest from marts.usage_closes") == [new.rpartition("-")[2]]
    assert after.last.rows("from audit.restated_units") == []
    restated = "select metric, cause, retracted_quantity, restated_quantity from marts.usage_restatements order by all"
    assert after.last.rows(restated) == before.last.rows(restated) != []
    assert after.last.column("select distinct customer_id from marts.usage_restatements") == [pseudonym]


def test_dbts_data_tests_ran_on_what_is_left(after):
    ran = "select ran_data_tests from publication.runs order by published_at desc limit 1"
    with duckdb.connect(after.folder / "usage.duckdb", read_only=True) as db:
        assert db.execute(ran).fetchall() == [(True,)]


def test_the_warehouse_and_the_close_are_verified(after):
    said = verify(after.folder, {"settling_seconds": 0, "rule_overrides": False, "quarantine_files": True})
    assert said.returncode == 0, said.stdout
    said = verify(after.folder, month="2026-07")
    assert said.returncode == 0, said.stdout
    assert "Customers were erased since" in said.stdout


class TestLaterDeliveries:
    @pytest.fixture(scope="class")
    @classmethod
    def again(cls, after):
        """Three runs after the erasure: over the same files, over new ones of the customer, and over all at once."""
        made = after.copy(after.bench.folder.with_name("again"), "kept")
        made.same = made.run(vars={"quarantine_files": True})
        made.deliver(AGAIN, "again")
        events = log(GONE, "vanish-streamed-request"), activity(GONE, "vanish-activity")
        stream(made.extracts, GONE, nested(GONE, "vanish-streamed-1"), *events, name="later")
        made.new = made.run(vars={"quarantine_files": True})
        return made

    def test_files_that_are_still_there_are_not_loaded_again(self, again):
        assert "No new files" in again.same.output
        assert "Everything is recomputed" not in again.same.output

    def test_new_files_bring_nothing_back_and_count_as_erased(self, after, again):
        assert found_in(again.new.warehouse) == []
        query = "select extract_name, rows_erased from audit.extract_row_counts"
        was, now = dict(after.last.rows(query)), dict(again.new.rows(query))
        assert {name: now[name] - was[name] for name in ("customers", "jobs", "steps", "api_requests")} == {
            "customers": 1, "jobs": 4, "steps": 7, "api_requests": 2,
        }  # fmt: skip

    def test_an_incremental_run_equals_a_full_one(self, again):
        said = verify(again.new.warehouse, {"settling_seconds": 0, "rule_overrides": False, "quarantine_files": True})
        assert said.returncode == 0, said.stdout


# ------------------------------------------------------------------------------------------------ bad calls, and kills


@pytest.fixture
def copy(before, tmp_path, monkeypatch):
    """A copy of the warehouse, and the plugins."""
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    return shutil.copytree(before.folder, tmp_path / "warehouse", symlinks=True)


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("customer", "more", "code", "said"),
    [
        ("", {}, 2, "CUSTOMER is missing"),
        ("*", {}, 2, "CUSTOMER is missing"),
        ("471", {}, 2, "No customer 471 in "),
        (GONE, {"closes": "perhaps"}, 2, "CLOSES=perhaps is neither keep nor remove"),
        (GONE, {"certificate": "{warehouse}/certificate.json"}, 1, "is inside WAREHOUSE_DIR="),
        (GONE, {"certificate": "{warehouse}/../output.txt"}, 1, "exists: name a new file"),
        ("999000001", {}, 2, "is an account of your own (admin_account_ids)"),
    ],
)
def test_a_wrong_call_changes_nothing(before, customer, more, code, said):
    was = contents(before.folder)
    more = {name: value.format(warehouse=before.folder) for name, value in more.items()}
    found = forget_customer(before.folder, customer, **more)
    assert (found.returncode, said in found.stdout) == (code, True), found.stdout + found.stderr
    assert contents(before.folder) == was


@pytest.mark.parametrize("lock", ["build/lock", "scheduled_runs/lock"])
def test_a_running_build_or_scheduled_run_is_named(before, lock, monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    from locking import take_lock

    was = contents(before.folder)
    with take_lock(before.folder / lock, "dbt build --of another"):
        said = forget_customer(before.folder, GONE)
    assert said.returncode == 1
    assert "dbt build --of another" in said.stdout
    assert contents(before.folder) == was


class Killed(Exception):
    pass


@pytest.mark.parametrize("place", ["_erase_from_piece", "erase_from_closes", "_write_manifest"])
def test_an_erasure_that_was_killed_is_completed_by_a_second_call(place, before, copy, monkeypatch, forks):
    """Killed in the middle of the store or before the closes: no run begins, and what is published stays."""
    import forgetting
    import publishing
    import store
    from progress import NO_PROGRESS

    module = forgetting if place == "erase_from_closes" else store
    published = (copy / "usage.duckdb").read_bytes()
    original, calls = getattr(module, place), []

    def dies(*arguments, **options):
        calls.append(place)
        if place == "erase_from_closes" or len(calls) > 1:
            raise Killed
        return original(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(module, place, dies)
        with pytest.raises(Killed):
            forgetting.Forgetting(copy, forgetting.Order(GONE), NO_PROGRESS).run()
    publishing.release_warehouse(copy / "build")
    assert (copy / "usage.duckdb").read_bytes() == published
    made = Warehouse(copy.parent / "bench", forks)
    refused = made.bench.build(before.extracts, onto=type(before.last)(0, "", copy), keep=False)
    assert refused.exit_code != 0
    assert "was interrupted. Complete it with the same make forget" in refused.output
    other = forget_customer(copy, OTHER)
    assert (other.returncode, "The erasure of another customer" in other.stdout) == (1, True)
    if place != "erase_from_closes":
        return
    said = forget_customer(copy, GONE, closes="remove")
    assert said.returncode == 0, said.stdout + said.stderr
    assert found_in(copy) == []
    again = forget_customer(copy, GONE)
    assert (again.returncode, "was erased at" in again.stdout) == (0, True)


def test_closed_figures_can_be_removed(before, copy):
    """The closes alone, without the run after it."""
    from closes import erase_from_closes, open_closes

    found = erase_from_closes(copy, GONE, "erased-1", "2026-11-30", is_kept=False, has_ratios=True)
    assert found["closes"] > 0
    closes = open_closes(copy)
    (close,) = closes.closes
    with duckdb.connect() as db:
        rows = db.execute(f"from '{closes.root / close['folder'] / 'figures.parquet'}'").fetchall()
    assert {row[1] for row in rows} == {OTHER, THIRD}
    assert close["erasures"][0]["not_verifiable"] == ["credit_ratios"]


@pytest.mark.parametrize("damage", ["another record", "no record", "no close"])
def test_a_damaged_record_of_an_erasure_is_found(damage, copy):
    from closes import CloseProblem, erase_from_closes, open_closes

    erase_from_closes(copy, GONE, "erased-1", "2026-11-30", is_kept=True, has_ratios=True)
    erase_from_closes(copy, THIRD, "erased-2", "2026-11-30", is_kept=True, has_ratios=True)
    assert open_closes(copy).pseudonyms() == ["erased-1", "erased-2"]
    path = copy / "closes" / "erasures.json"
    if damage == "another record":
        path.write_text(path.read_text().replace("erased-1", "erased-3"))
    elif damage == "no record":
        path.unlink()
    else:
        shutil.rmtree(next((copy / "closes").glob("2026-07-*")))
    with pytest.raises(CloseProblem, match="Restore it from a backup"):
        open_closes(copy)


@pytest.mark.parametrize("moment", ["before", "between"])
def test_the_swap_of_closes_is_completed_after_a_kill(moment, copy):
    from closes import finish_closes, open_closes

    was = open_closes(copy).state
    (copy / "closes").rename(copy / "closes.before")
    shutil.copytree(copy / "closes.before", copy / "closes.erased")
    if moment == "before":
        (copy / "closes.before").rename(copy / "closes")
    finish_closes(copy, None)
    assert open_closes(copy).state == was
    assert not [path for path in copy.iterdir() if path.name.startswith("closes.")]


def test_a_text_is_hidden_as_a_whole_word_and_a_short_number_only_where_it_is_named(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    from forgetting import Traces

    traces = Traces("12", {"words": ["12", "acme", "Acme & Sons (EU)", "r_1"]})
    assert traces.hide("12 files, customer 12, account_id=12, acmeville, acme-2026: Acme & Sons (EU), r_1, r_12") == (
        "12 files, customer [erased], account_id=[erased], acmeville, [erased]-2026: [erased], [erased], r_12"
    )


@pytest.mark.parametrize(
    ("record", "path", "left"),
    [
        ('{"id": "a", "account_id": "x"}', "job_history/y/a.json", '{"id": "a", "account_id": "x"}'),
        ('{"id": "a"}', "job_history/gone/a.json", '{"ERASED":true}'),
        ('{"id": "a", "account_id": "n/a"}', "job_history/gone/a.json", '{"ERASED":true}'),
        ("not json", "job_history/gone/a.json", '{"ERASED":true}'),
        ("not json", "job_history/y/a.json", "not json"),
        ('[{"account_id": "gone"}, {"account_id": "x", "n": 1.50}]', "job_history/a.json",
         '[{"account_id": "x", "n": 1.50},{"ERASED":true}]'),
        ('{"logEntries": "[{\\"account_id\\": \\"gone\\", \\"lines\\": [1, 2]}]"}', "job_history/a.json",
         '[{"ERASED":true,"lines":[{"ERASED":true},{"ERASED":true}]}]'),
        ('{"account_id": "gone", "completed_at": "2026-07-01"}', "job_history/a.json",
         '{"ERASED":true,"extracted_at":"2026-07-01"}'),
        ('{"workspace": {"id": "gone"}, "http_status": 200, "date": "2026-07-01"}', "job_history/y/a.json",
         '{"ERASED":true,"kind":"api_request","extracted_at":"2026-07-01"}'),
        ('{"http_status": 200, "date": "2026-07-01", "extracted_at": "2026-07-02"}', "job_history/gone/a.json",
         '{"ERASED":true,"kind":"api_request","extracted_at":"2026-07-02"}'),
        ('{"event_type": "login", "workspace_id": "gone", "timestamp": "2026-07-01"}', "job_history/y/a.json",
         '{"ERASED":true}'),
        ('{"event_type": "login", "resource": {"id": "gone"}}', "job_history/y/a.json", '{"ERASED":true}'),
        ('{"http_status": 200, "resource": {"id": "gone"}}', "job_history/y/a.json",
         '{"http_status": 200, "resource": {"id": "gone"}}'),
        ('{"lines": [], "workspace": {"id": "gone"}}', "job_history/y/a.json",
         '{"lines": [], "workspace": {"id": "gone"}}'),
    ],
)  # fmt: skip
def test_a_streamed_record_keeps_the_text_of_others(record, path, left, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    from erasing import Erasures, erase_record

    erasures = Erasures(tmp_path, b"key")
    erasures.accounts[erasures.digest("account", "gone")] = {}
    assert erase_record(record, path, erasures) == left
