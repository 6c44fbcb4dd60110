"""``make bridge`` leads from the vendor's figure to ours, and from the close to now: lines worked out by hand."""

import os
import re
import shutil
import subprocess
import sys
from datetime import datetime

import duckdb
import pytest
from builders import SALESFORCE, TRIGGER, customer, job, ratio, recipe, request, step, vendor_usage, world
from building import PROJECT, close, run_make

JULY, LISTED, DELIVERED, LATER = (f"2026-{day}T12:00:00Z" for day in ("07-10", "07-31", "08-02", "08-10"))
ACCOUNTS = ("both", "ours", "calls", "vendor")


def ran(account, actions, id="job", completed_at=JULY, extracted_at=DELIVERED, **columns):
    """A job of an account whose trigger counts nothing."""
    lines = [step(*TRIGGER, status="skipped"), *[step(*SALESFORCE)] * actions]
    times = {"completed_at": completed_at, "extracted_at": extracted_at}
    return job(id, *lines, account_id=account, recipe_id=f"r-{account}", **times, **columns)


def told(account, **figures):
    row = {"account_id": account, "usage_month": "2026-07-01", "extracted_at": DELIVERED, "tasks": None}
    return vendor_usage(**row | figures)


def called(id, kind):
    return request(id, account_id="calls", request_type=kind, requested_at=JULY, extracted_at=DELIVERED)


FIRST = (
    *(customer(id, name=id.title(), created_at="2026-06-01T00:00:00Z", extracted_at=LISTED) for id in ACCOUNTS),
    *(recipe(f"r-{id}", user_id=id, extracted_at=LISTED) for id in ACCOUNTS),
    ratio("business_actions", credits_per_unit="0.5", effective_from="2020-01-01", extracted_at=LISTED),
    ran("ours", 1, id="june", completed_at="2026-06-30T12:00:00Z"),
    # the platform counted 4 actions, and the vendor says 5
    ran("both", 3, action_count=4),
    told("both", tasks=5, business_actions=3),
    ran("ours", 1, completed_at="2026-07-25T12:00:00Z"),
    called("q-1", "proxy"),
    called("q-2", "proxy"),
    called("q-3", "managed"),
    told("calls", api_calls=4),
    told("vendor", genie_actions=2),
)
LATE = ran("both", 2, id="late", extracted_at=LATER)

OPEN = """\
Customer both Both, 2026-07: open
  metric                                 quantity
  Tasks             the vendor's figure         5
                    platform_count             -1  exact
                    unexplained                -1
                    our figure now              3
  Business actions  the vendor's figure         3
                    our figure now              3
  Credits           our figure now            1.5
"""
CLOSED = """\
Customer both Both, 2026-07: closed on {closed}
  metric                                     quantity
  Tasks             the vendor's figure             5
                    platform_count                 -1  exact
                    unexplained                    -1
                    our figure now                  3
                    our figure at the close         3  {closed}
                    our figure now                  3
  Business actions  the vendor's figure             3
                    our figure now                  3
                    our figure at the close         3  {closed}
                    our figure now                  3
  Credits           our figure at the close       1.5  {closed}
                    our figure now                1.5
"""
# the late job has 2 actions, of half a credit each
RESTATED = """\
Customer both Both, 2026-07: closed on {closed}
  metric                                     quantity
  Tasks             the vendor's figure             5
                    platform_count                 -1  exact
                    unexplained                    +1
                    our figure now                  5
                    our figure at the close         3  {closed}
                    late_delivery                  +2  {restated}: 3 -> 5
                    our figure now                  5
  Business actions  the vendor's figure             3
                    unexplained                    +2
                    our figure now                  5
                    our figure at the close         3  {closed}
                    late_delivery                  +2  {restated}: 3 -> 5
                    our figure now                  5
  Credits           our figure at the close       1.5  {closed}
                    late_delivery                  +1  {restated}: 1.5 -> 2.5
                    our figure now                2.5
"""
# without a figure of the vendor: a job of 1 action, and two proxy calls, of which each is a task, too
ALL_CUSTOMERS = """\
All customers, 2026-07: closed on {closed}
  metric                                                   quantity
  Tasks               the vendor's figure                         5
                      platform_count                             -1  exact
                      unexplained                                +1
                      customers without a vendor's figure        +3
                      our figure now                              8
                      our figure at the close                     6  {closed}
                      late_delivery                              +2  {restated}: 6 -> 8
                      our figure now                              8
  Business actions    the vendor's figure                         3
                      unexplained                                +2
                      customers without a vendor's figure        +1
                      our figure now                              6
                      our figure at the close                     4  {closed}
                      late_delivery                              +2  {restated}: 4 -> 6
                      our figure now                              6
  API calls           the vendor's figure                         4
                      unexplained                                -1
                      our figure now                              3
  API calls, managed  our figure at the close                     1  {closed}
                      our figure now                              1
  API calls, proxy    our figure at the close                     2  {closed}
                      our figure now                              2
  Genie actions       the vendor's figure                         2
                      unexplained                                -2
                      our figure now                              0
  Credits             our figure at the close                     2  {closed}
                      late_delivery                              +1  {restated}: 2 -> 3
                      our figure now                              3
"""
# on 20 July the job of 25 July is not there yet
AS_OF_20_JULY = """\
Customer ours Ours, 2026-07: closed on {closed}
  metric                                                quantity
  Tasks             our figure at the close                    1  {closed}
                    days outside this run's as-of date        -1
                    our figure now                             0
  Business actions  our figure at the close                    1  {closed}
                    days outside this run's as-of date        -1
                    our figure now                             0
  Credits           our figure at the close                  0.5  {closed}
                    days outside this run's as-of date      -0.5
                    our figure now                             0
"""


def bridge(warehouse, month="2026-07", customer="", folder=PROJECT):
    """Call the script as make does."""
    return subprocess.run(
        [sys.executable, "-B", PROJECT / "scripts" / "bridge.py", f"--month={month}", f"--customer={customer}"],
        cwd=folder,
        env=os.environ | {"WAREHOUSE_DIR": str(warehouse)},
        capture_output=True,
        text=True,
    )


def printed(warehouse, **asked):
    found = bridge(warehouse, **asked)
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Months:
    """The published warehouses of one world: open, closed since, restated by a run, and as of an earlier day."""

    def __init__(self, folder, workbench):
        first = workbench.build(world(*FIRST))
        assert first.exit_code == 0, first.output
        self.open = self.copy(first, folder / "open")
        closed = close(first.warehouse, "2026-07", force="1")
        assert closed.returncode == 0, closed.stdout
        self.closed = self.copy(first, folder / "closed")
        second = workbench.build(world(*FIRST, LATE), onto=first, keep=False)
        assert second.exit_code == 0, second.output
        self.restated = self.copy(second, folder / "restated")
        third = workbench.build(onto=second, source=workbench.extracts, keep=False, env={"AS_OF_DATE": "2026-07-20"})
        assert third.exit_code == 0, third.output
        self.as_of = self.copy(third, folder / "as of")
        self.days = {
            "closed": self.day(second.column("select distinct closed_at from marts.usage_closes")),
            "restated": self.day(second.column("select distinct restated_at from marts.usage_restatements")),
        }

    @staticmethod
    def copy(build, folder):
        folder.mkdir()
        shutil.copyfile(build.published, folder / "usage.duckdb")
        if (build.warehouse / "closes").exists():
            shutil.copytree(build.warehouse / "closes", folder / "closes")
        return folder

    @staticmethod
    def day(times: list[datetime]) -> str:
        (time,) = times
        return f"{time.day} {time:%B %Y}"


@pytest.fixture(scope="module")
def months(workbench, tmp_path_factory):
    return Months(tmp_path_factory.mktemp("bridge"), workbench)


@pytest.mark.parametrize(
    ("warehouse", "customer_id", "expected"),
    [
        ("open", "both", OPEN),
        ("closed", "both", CLOSED),
        ("restated", "both", RESTATED),
        ("restated", "", ALL_CUSTOMERS),
        ("as_of", "ours", AS_OF_20_JULY),
    ],
    ids=["open", "closed after the last run", "restated", "all customers", "an earlier as-of date"],
)
def test_a_bridge_is_as_worked_out_by_hand(months, warehouse, customer_id, expected):
    assert printed(getattr(months, warehouse), customer=customer_id) == expected.format(**months.days)


def test_it_works_from_any_folder_and_writes_nothing(months, tmp_path):
    before = contents(months.restated)
    assert printed(months.restated, customer="both", folder=tmp_path) == RESTATED.format(**months.days)
    assert contents(months.restated) == before
    assert list(tmp_path.iterdir()) == []


def test_without_the_closes_folder_it_shows_those_of_the_published_run(months, tmp_path):
    shutil.copyfile(months.restated / "usage.duckdb", tmp_path / "usage.duckdb")
    assert printed(tmp_path, customer="both") == RESTATED.format(**months.days)


def test_every_part_adds_up_to_our_figure_of_the_marts(sample, tmp_path):
    """Of every customer and all together, in every month of the sample; July is closed."""
    shutil.copyfile(sample.published, tmp_path / "usage.duckdb")
    assert close(tmp_path, "2026-07", force="1").returncode == 0
    sys.path.insert(0, str(PROJECT / "plugins"))
    from closes import show_closes

    query = (PROJECT / "analyses" / "bridge.sql").read_text(encoding="utf-8")
    with duckdb.connect(tmp_path / "usage.duckdb", read_only=True) as warehouse:
        show_closes(warehouse, tmp_path)
        warehouse.execute(
            "set variable usage_months = (select list(distinct usage_month) from marts.monthly_customer_usage)"
        )
        counted = []
        for customers in ("(select list(customer_id) from marts.customer_details)", "null"):
            warehouse.execute(f"set variable customer_ids = {customers}")
            warehouse.execute(f"create or replace temp table bridge as {query}")
            assert warehouse.execute("""
                select usage_month, customer_id, metric, call_type, part from bridge
                group by all
                having
                    (count(*) > 1 and sum(if(item = 'figure_now', -quantity, quantity)) <> 0)
                    or count(*) filter (where item = 'figure_now') <> 1
                    or max_by(item, line_number) <> 'figure_now'
                    or count(*) filter (where item = 'other_as_of_date') > 0
            """).fetchall() == []  # fmt: skip
            counted += warehouse.execute(
                "select count(distinct part), count(*) filter (where item = 'figure_at_close') from bridge"
            ).fetchall()
            assert warehouse.execute("""
                select metric, sum(quantity) as quantity from (
                    select distinct usage_month, customer_id, metric, call_type, quantity from bridge
                    where item = 'figure_now' and metric not like 'jobs_%' and (metric <> 'api_calls' or part = 'close')
                )
                group by all order by all
            """).fetchall() == warehouse.execute("""
                select metric, sum(quantity) as quantity from marts.monthly_figures group by all order by all
            """).fetchall()  # fmt: skip
    assert counted == [(2, 36), (2, 10)]


def test_the_page_shows_what_it_prints(sample, tmp_path):
    page = (PROJECT / "docs" / "closing-months.md").read_text(encoding="utf-8")
    shown = re.search(r"make bridge MONTH=(\S+) CUSTOMER=(\S+)\n```\n+```text\n(.*?)```", page, re.DOTALL)
    shutil.copyfile(sample.published, tmp_path / "usage.duckdb")
    assert close(tmp_path, shown[1], force="1").returncode == 0
    undated = re.compile(r"\b\d+ [A-Z][a-z]+ \d{4}\b")
    assert undated.sub("…", printed(tmp_path, month=shown[1], customer=shown[2])) == undated.sub("…", shown[3])


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"month": "2026-13"}, "MONTH=2026-13 is not a month: write it as 2026-07."),
        ({"month": ""}, "MONTH= is not a month: write it as 2026-07."),
        ({"month": "2019-01"}, "There is no month 2019-01 in {path}: its months are 2026-06 to 2026-08."),
        ({"customer": "4711"}, "There is no customer 4711 in {path}."),
        ({"customer": "x' or 1 = 1 --"}, "There is no customer x' or 1 = 1 -- in {path}."),
        ({"month": "2026-05", "customer": "both"}, "There is no month 2026-05 in {path}: its months are"),
    ],
)
def test_a_wrong_question_is_answered_by_a_sentence(months, asked, sentence):
    found = bridge(months.restated, **asked)
    assert (found.returncode, found.stderr, found.stdout.count("\n")) == (2, "", 1)
    assert found.stdout.startswith(sentence.format(path=months.restated / "usage.duckdb"))


def test_make_hands_over_month_and_customer_unchanged(months):
    asked = ["MONTH=2026-07", "CUSTOMER=$(shell echo both) '; `x`"]
    options = ["--silent", f"--assume-old={sys.prefix}/run.stamp", f"VENV={sys.prefix}"]
    found = run_make("bridge", *options, *asked, WAREHOUSE_DIR=str(months.restated))
    assert found.stdout == f"There is no customer $(shell echo both) '; `x` in {months.restated / 'usage.duckdb'}.\n"


def test_without_a_warehouse_it_says_how_to_make_one(tmp_path):
    found = bridge(tmp_path)
    assert (found.returncode, found.stderr) == (2, "")
    assert found.stdout == f"There is no warehouse at {tmp_path}/usage.duckdb: make build writes it.\n"


def test_a_warehouse_of_an_older_release_is_named(months, tmp_path):
    shutil.copyfile(months.open / "usage.duckdb", tmp_path / "usage.duckdb")
    with duckdb.connect(tmp_path / "usage.duckdb") as warehouse:
        warehouse.execute("drop table marts.usage_closes")
    found = bridge(tmp_path)
    assert (found.returncode, found.stderr) == (2, "")
    assert found.stdout == f"{tmp_path}/usage.duckdb is of an older release: run dbt build first.\n"


def test_a_damaged_close_is_named(months, tmp_path):
    shutil.copytree(months.closed, tmp_path / "warehouse")
    (figures,) = (tmp_path / "warehouse" / "closes").glob("*/figures.parquet")
    figures.write_bytes(figures.read_bytes() + b"x")
    found = bridge(tmp_path / "warehouse")
    assert (found.returncode, found.stderr) == (1, "")
    assert found.stdout == f"{figures} has changed since it was written. Restore it from a backup.\n"


def test_the_bridge_has_the_causes_in_the_order_in_which_a_run_attributes_them():
    """The macro and the analysis, which is plain SQL, have a list each."""
    lists = [
        re.search(pattern, (PROJECT / path).read_text(encoding="utf-8"), re.DOTALL)[1]
        for path, pattern in (
            ("macros/closing/closes.sql", r"macro causes_of_restatements\(\).*?\[(.*?)\]"),
            ("analyses/bridge.sql", r"list_position\(\s*\[(.*?)\]"),
        )
    ]
    in_macro, in_analysis = (re.findall("'(.*?)'", text) for text in lists)
    assert in_macro == in_analysis
    assert len(in_macro) == 8
