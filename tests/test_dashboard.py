"""The dashboard in a real browser, opened from disk with the network off: its figures are the marts', whoever reads."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe
from builders import connection, customer, job, ratio, recipe, request, subscription, world
from building import PROJECT, Build, close
from playwright.sync_api import Browser, Page, sync_playwright
from reference.worlds import END, random_world

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Where make screenshots wants the pictures of the documentation.
SCREENSHOTS = os.environ.get("SCREENSHOTS")
CREDITS = Decimal("0.01")
NOTHING = "\N{EN DASH}"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium. Without one these tests are skipped; where CI is set they fail."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        reason = f"no browser ({', '.join(BROWSERS)}): make test installs chromium where it runs as root"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    # root's browser has no sandbox
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=arguments)
        yield launched
        launched.close()


class Site:
    """A written site and the warehouse it is of."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        self.root = folder / "dashboard"
        self.browser = browser
        self.warehouse = Build(0, "", folder)
        self.contexts = []

    def open(self, name: str = "index.html", width: int = 1280, dark: bool = False, **options: Any) -> Page:
        """Open a page as its only one, offline; its ``problems`` gather what should not happen."""
        while self.contexts:
            self.contexts.pop().close()
        context = self.browser.new_context(
            offline=True,
            viewport={"width": width, "height": 844 if width < 500 else 900},
            color_scheme="dark" if dark else "light",
            **options,
        )
        self.contexts.append(context)
        page = context.new_page()
        problems = page.problems = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.on("request", lambda asked: None if asked.url.startswith("file://") else problems.append(asked.url))
        self.go(page, name)
        return page

    def go(self, page: Page, name: str) -> None:
        name, _, fragment = name.partition("#")
        page.goto((self.root / name).absolute().as_uri() + (f"#{fragment}" if fragment else ""))
        page.wait_for_selector("html[data-ready]", state="attached")

    def page_of(self, customer_id: str) -> str:
        """The page of a customer, by the one file of usage that says it is of it."""
        (found,) = [
            path.with_name("index.html").relative_to(self.root).as_posix()
            for path in self.root.glob("customers/*/usage.csv")
            if any(row["customer_id"] == sql_text(customer_id) for row in rows_of(path))
        ]
        return found


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Call the dashboard as make does."""
    return subprocess.run(
        [sys.executable, "-m", "dashboard", *arguments],
        cwd=PROJECT,
        env=os.environ | {"WAREHOUSE_DIR": str(folder)},
        capture_output=True,
        text=True,
    )


def written_site(published: Path, folder: Path) -> Path:
    """The folder, with a copy of a published warehouse and its site in it."""
    folder.mkdir(exist_ok=True)
    shutil.copyfile(published, folder / "usage.duckdb")
    written = run("site", folder=folder)
    assert (written.returncode, written.stderr) == (0, "")
    return folder


# ---------------------------------------------------------------------------------- what the overview should say


def number(value: int) -> str:
    return f"{value:,}"


def month(day: date) -> str:
    return f"{day:%b %Y}"


def percent(share: Decimal | None) -> str:
    return "\N{EN DASH}" if share is None else f"{(share * 100).quantize(Decimal('0.1'), ROUND_HALF_UP):,}%"


def change(now: int, before: int | None, uncovered: str = "") -> str:
    """As the pages print a change: +12 (+4.1%); ``uncovered``: what it is compared with, where that is not covered."""
    if uncovered:
        return f"{uncovered} is not covered"
    if before is None:
        return "no earlier month"
    difference = now - before
    sign = "+" if difference > 0 else "\N{MINUS SIGN}" if difference else "±"
    share = f" ({sign}{percent(abs(Decimal(difference)) / before)})" if difference and before else ""
    return f"{sign}{number(abs(difference))}{share}"


def month_earlier(day: date, months: int = 1) -> date:
    position = day.year * 12 + day.month - 1 - months
    return date(position // 12, position % 12 + 1, 1)


def expected_overview(marts: Build) -> dict[str, list[list[str]]]:
    """Each table of the overview, by its id, from the marts."""
    (current,) = marts.column("select usage_month from marts.months where is_current_month")
    tasks_of = {
        (customer_id, usage_month): tasks
        for customer_id, usage_month, tasks in marts.rows(
            "select customer_id, usage_month, tasks from marts.monthly_customer_usage"
        )
    }

    uncovered = set(marts.column("select distinct usage_month from marts.monthly_customer_usage where not is_covered"))
    uncovered |= set(marts.column("select usage_month from marts.monthly_tasks where not is_covered"))

    def unless_covered(last: date, months: int = 1) -> str:
        """What a comparison with these months says when they are not all covered."""
        if not uncovered & {month_earlier(last, n) for n in range(months)}:
            return ""
        return month(last) if months == 1 else f"the {months} months to {month(last)}"

    def months_of_tasks() -> list[list[str]]:
        rows = marts.rows("select usage_month, tasks, active_customers from marts.monthly_tasks order by usage_month")
        shown = []
        for position, (usage_month, tasks, active) in enumerate(rows):
            before = rows[position - 1] if position else None
            figures = ["\N{EN DASH}"] * 2 if usage_month in uncovered and not tasks else [number(tasks), number(active)]
            compared = change(tasks, before and before[1], before and unless_covered(before[0]))
            shown.append([month(usage_month), figures[0], compared, figures[1]])
        return shown[::-1]

    def of_months(customer_id: str, last: date, months: int) -> int:
        return sum(tasks_of.get((customer_id, month_earlier(last, n)), 0) for n in range(months))

    def trend(query: str) -> list[list[str]]:
        rows = marts.rows(query)
        before = [None, *[row[1] for row in rows]]
        shown = [
            [month(row[0]), number(row[1]), change(row[1], earlier), *map(number, row[2:])]
            for row, earlier in zip(rows, before, strict=False)
        ]
        return shown[::-1]

    apps_before: dict[str, int] = {}
    for app, connections in marts.rows(
        "select app, connections from marts.monthly_app_connections where usage_month = ?", month_earlier(current)
    ):
        apps_before[app] = apps_before.get(app, 0) + connections

    (looked_at,) = marts.column(
        "select snapshot_at from marts.month_listings where extract_name = 'recipes' "
        "order by usage_month desc limit 1 offset 1"
    ) or [datetime.min]
    customers = set(marts.column("select customer_id from marts.customer_details"))
    clones_before: dict[str, set] = {}
    for parent, customer_id, recipe_id, first_listed in marts.rows(
        "select parent_recipe_id, customer_id, recipe_id, valid_from from marts.recipe_history"
    ):
        if customer_id in customers and first_listed <= looked_at:
            clones_before.setdefault(parent, set()).add((customer_id, recipe_id))

    return {
        "table-tasks": months_of_tasks(),
        "table-top-customers": [
            [
                str(rank),
                name or customer_id,
                number(tasks),
                change(
                    tasks,
                    of_months(customer_id, month_earlier(current), 12),
                    unless_covered(month_earlier(current), 12),
                ),
                number(of_months(customer_id, current, 1)),
                change(
                    of_months(customer_id, current, 1),
                    of_months(customer_id, month_earlier(current), 1),
                    unless_covered(month_earlier(current)),
                ),
            ]
            for rank, customer_id, name, tasks in marts.rows(
                "select rank, customer_id, customer_name, tasks from marts.top_customers order by rank"
            )
        ],
        "table-connections-trend": trend(
            "select usage_month, connections from marts.connection_trends order by usage_month"
        ),
        "table-top-apps": [
            [
                str(rank),
                name,
                number(connections),
                change(connections, apps_before.get(app, 0)),
                number(holders),
                percent(share),
            ]
            for rank, app, name, connections, holders, share in marts.rows("from marts.top_apps order by rank")
        ],
        "table-customers-trend": trend(
            "select usage_month, customers, new_customers, deleted_customers from marts.customer_trends "
            "order by usage_month"
        ),
        "table-customers": [
            [
                name or "no name",
                plan or "\N{EN DASH}",
                status,
                number(this_month),
                change(this_month, tasks_of.get((customer_id, month_earlier(current)), 0))
                if (customer_id, current) in tasks_of and not unless_covered(month_earlier(current))
                else "\N{EN DASH}",
                number(twelve_months),
                number(connections),
                number(recipes),
                percent(failed),
                f"{last_job.day} {last_job:%b %Y}" if last_job else "\N{EN DASH}",
            ]
            for customer_id, name, plan, status, this_month, twelve_months, (
                connections,
                recipes,
                failed,
                last_job,
            ) in (
                (*row[:6], row[6:])
                for row in marts.rows(
                    "select customer_id, customer_name, plan_id, status, tasks_this_month, tasks_last_12_months, "
                    "connections, active_recipes, failed_job_share_last_12_months, last_job_at "
                    "from marts.customer_details "
                    "order by tasks_last_12_months desc, customer_name nulls last, customer_id"
                )
            )
        ],
        "table-active_recipes-trend": trend(
            "select usage_month, active_recipes, recipes_started, recipes_stopped from marts.active_recipe_trends "
            "order by usage_month"
        ),
        "table-top-recipes": [
            [
                str(rank),
                name or recipe_id,
                number(clones),
                change(clones, len(clones_before.get(recipe_id, ()))),
                number(holders),
            ]
            for rank, recipe_id, name, clones, holders in marts.rows("from marts.top_recommended_recipes order by rank")
        ],
    }


READ_TABLE = """(table) => Array.from(table.tBodies[0].rows, (row) => Array.from(row.cells, (cell) => {
    const copy = cell.cloneNode(true);
    copy.querySelectorAll(".visually-hidden, .mark, .id").forEach((extra) => extra.remove());
    return copy.textContent.replace(/\\s+/g, " ").trim();
}))"""


def read(page: Page, table: str) -> list[list[str]]:
    """The rows of a table as text, those of its further pages too, without marks and ids."""
    rows = page.eval_on_selector(f"#{table}", READ_TABLE)
    more = page.locator(f"[data-table]:has(#{table}) .pager button", has_text="Next")
    while more.count() and more.is_enabled():
        more.click()
        rows += page.eval_on_selector(f"#{table}", READ_TABLE)
    return rows


def collapsed(tables: dict[str, list[list[str]]]) -> dict[str, list[list[str]]]:
    """The same with runs of blanks as one, as they are read from a page."""
    return {name: [[" ".join(cell.split()) for cell in row] for row in rows] for name, rows in tables.items()}


def assert_overview_is_the_marts(site: Site) -> None:
    page = site.open()
    expected = collapsed(expected_overview(site.warehouse))
    page.locator("[data-filter=status]").select_option("")
    assert {table: read(page, table) for table in expected} == expected
    headlines = {
        "tasks": expected["table-tasks"],
        "connections": expected["table-connections-trend"],
        "customers": expected["table-customers-trend"],
        "active_recipes": expected["table-active_recipes-trend"],
    }
    for figure, trend in headlines.items():
        card = page.locator(f"[data-figure={figure}]")
        assert card.locator(".figure-value").inner_text() == trend[0][1]
        assert trend[0][2] in card.locator(".change").inner_text()
    (as_of,) = site.warehouse.column("select as_of_date from publication.runs order by published_at desc limit 1")
    assert f"{as_of.day} {as_of:%b %Y}" in page.locator("main > .page-head").inner_text()
    assert page.problems == []


def assert_accessible(page: Page, what: str, **options: Any) -> None:
    # preload would ask for the style sheets, which pages opened from disk may not
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False} | options).response["violations"]
    serious = [
        (rule["id"], [node["html"][:200] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == [], what


def sql_text(value: Any) -> str:
    """A value as it stands in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def assert_csv_is(path: Path, warehouse: Build, query: str, *parameters: Any) -> None:
    found = warehouse.connection.execute(query, parameters)
    head = [column[0] for column in found.description]
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [head, *[[sql_text(value) for value in row] for row in found.fetchall()]]


# ------------------------------------------------------------------------------------------------- the sample's site


class TestSample:
    @pytest.fixture(scope="class")
    @classmethod
    def site(cls, sample, browser, tmp_path_factory) -> Site:
        return Site(written_site(sample.published, tmp_path_factory.mktemp("site")), browser)

    @pytest.fixture(scope="class")
    @classmethod
    def big(cls, site) -> str:
        """The page of the customer that has something of everything."""
        return site.page_of("1001")

    def test_every_figure_of_the_overview_is_the_marts(self, site):
        assert_overview_is_the_marts(site)

    def test_partial_and_reconstructed_months_are_marked(self, site):
        page = site.open()
        marked = page.locator("#table-customers-trend tr", has=page.locator(".mark"))
        assert marked.all_inner_texts()[0].startswith("Nov 2026 partial")
        assert marked.all_inner_texts()[1].startswith("Jun 2026 reconstructed")
        assert marked.count() == 2

    def test_hovering_shows_each_of_the_last_twelve_months(self, site):
        page = site.open()
        tasks = {
            month(usage_month): tasks
            for usage_month, tasks in site.warehouse.rows(
                "select usage_month, tasks from marts.monthly_tasks order by usage_month"
            )
        }
        page.locator("[data-chart=tasks]").scroll_into_view_if_needed()
        box = page.locator("[data-chart=tasks]").bounding_box()
        shown = {}
        for step in range(60):
            page.mouse.move(box["x"] + box["width"] * (step + 0.5) / 60, box["y"] + 120)
            tip = page.locator("[data-chart=tasks] .tip")
            if tip.count():
                label, value = re.fullmatch(r"(\w+ \d+)(?:, partial)?\s*Tasks: ([\d,]+)", tip.inner_text()).groups()
                shown[label] = int(value.replace(",", ""))
        assert shown == {label: tasks[label] for label in list(tasks)[-12:]}
        page.get_by_role("button", name="All", exact=True).click()
        first = page.locator("[data-chart=tasks] .tip", has_text="2020")
        for step in range(50):  # until the chart is drawn anew
            page.mouse.move(box["x"] + box["width"] * 0.06 + step % 2, box["y"] + 120)
            if first.count():
                break
            page.wait_for_timeout(100)
        assert first.is_visible()

    def test_arrow_keys_read_the_chart(self, site):
        page = site.open()
        page.locator("[data-chart=tasks]").focus()
        said = []
        for key in ("ArrowLeft", "ArrowLeft", "Home"):
            page.keyboard.press(key)
            said.append(page.locator("#chart-tasks .reading").inner_text())
        assert said == ["Nov 2026, partial: 75 tasks", "Oct 2026: 137 tasks", "Oct 2020: 2 tasks"]
        page.keyboard.press("Escape")
        page.locator("[data-chart=connections]").focus()
        page.keyboard.press("Home")
        assert page.locator("#chart-connections .reading").inner_text() == "Jun 2026, reconstructed: 39 connections"

    def test_the_keyboard_reaches_everything_and_shows_where_it_is(self, site):
        page = site.open()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        reached = set()
        for _ in range(90):
            reached.add(page.evaluate("(document.activeElement.textContent || document.activeElement.id).trim()"))
            page.keyboard.press("Tab")
        assert {"Harbourline Logistics", "Sleepy Hollow Books", "Tasks, 12 months", "24 months"} <= reached

    def test_searching_filtering_and_sorting_the_customers(self, site):
        page = site.open()

        def names() -> list[str]:
            return page.locator("#table-customers tbody .name").all_inner_texts()

        section = page.locator("#customers")
        count = page.locator("#customers [data-count]")
        assert count.inner_text() == "11 of 13"
        section.get_by_label("Search").fill("books")
        assert names() == ["Sleepy Hollow Books"]
        section.get_by_label("Search").fill("1003")
        assert names() == ["Kestrel Mutual Insurance"]
        section.get_by_label("Search").fill("no such customer")
        assert names() == []
        assert page.get_by_text("No customer matches.").is_visible()
        section.get_by_label("Search").fill("")
        page.get_by_label("Show").select_option("deleted")
        assert names() == ["Foxglove Travel"]
        page.get_by_label("Show").select_option("active trial expired")
        by_name = section.get_by_role("button", name="Customer", exact=True)
        by_name.focus()
        page.keyboard.press("Enter")
        assert names()[:2] == ["Alder & Finch Consulting", "Bramblewood Foods"]
        assert page.locator("#table-customers th[aria-sort]").get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Enter")
        assert names()[0] == "Tidewater Clinics"
        section.get_by_role("button", name="Connections", exact=True).click()
        column = [int(row[6]) for row in read(page, "table-customers")]
        assert column == sorted(column, reverse=True)

    def test_a_click_opens_a_customer_and_back_returns(self, site):
        page = site.open()
        page.locator("#table-customers").get_by_role("link", name="Kestrel Mutual Insurance").click()
        page.wait_for_selector("html[data-ready]", state="attached")
        assert page.locator("h1").inner_text() == "Kestrel Mutual Insurance"
        page.go_back()
        assert page.locator("h1").inner_text() == "Usage of all customers"
        page.locator("#table-top-customers").get_by_role("link").first.click()
        page.get_by_role("link", name="All customers").click()
        page.wait_for_selector("html[data-ready]", state="attached")
        assert page.locator("#table-customers").is_visible()
        assert page.problems == []

    def test_dark_mode_by_system_and_by_choice(self, site, big):
        def is_dark(page: Page) -> bool:
            return page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 20, 28)"

        assert is_dark(site.open(dark=True))
        page = site.open()
        assert not is_dark(page)
        drawn = page.locator("[data-chart=tasks] svg").inner_html()
        page.get_by_role("button", name="Dark theme").click()
        assert is_dark(page)
        assert page.locator("[data-chart=tasks] svg").inner_html() != drawn
        site.go(page, big)
        assert is_dark(page)
        assert page.get_by_role("button", name="Dark theme").get_attribute("aria-pressed") == "true"

    @pytest.mark.parametrize("width", [320, 390, 768, 1920])
    def test_no_page_scrolls_sideways(self, site, big, width):
        page = site.open(width=width)
        for name in ("index.html", big, "data.html"):
            site.go(page, name)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.problems == []

    def test_printed_pages_are_light_and_without_controls(self, site, big):
        page = site.open(big, dark=True)
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator(".top").is_visible()
        assert not page.locator(".download").first.is_visible()
        assert page.locator("#table-usage").is_visible()

    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    def test_axe_has_no_serious_finding(self, site, big, dark):
        page = site.open(dark=dark)
        for name in ("index.html", big, "data.html"):
            site.go(page, name)
            page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
            if name == big:
                page.locator("#why .opens").first.click()
            # the two themes differ in colours alone
            assert_accessible(page, name, **({"runOnly": ["color-contrast"]} if dark else {}))

    def test_a_customers_months_are_the_marts(self, site, big):
        page = site.open(big)
        metrics = (
            "tasks, business_actions, api_calls, managed_api_calls, proxy_api_calls, pages_processed, "
            "events_processed, mcp_calls, genie_actions, go_seats, workflow_app_seats, credits, jobs_succeeded, "
            "jobs_failed, failed_job_share"
        )
        rows = site.warehouse.rows(
            f"select usage_month, {metrics}, is_fully_priced, is_covered from marts.monthly_customer_usage "
            "where customer_id = '1001' order by usage_month desc"
        )
        expected = []
        for row in rows:
            *counts, credits, succeeded, failed, share, priced, covered = row[1:]
            shown = "\N{EN DASH}" if credits is None else f"{credits.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
            shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
            cells = [
                *map(number, counts),
                shown + ("" if priced else "*"),
                number(succeeded),
                number(failed),
                percent(share),
            ]
            if not covered:  # a 0 is not known, but that of seats is
                seats = (9, 10)
                cells = ["\N{EN DASH}" if cell == "0" and n not in seats else cell for n, cell in enumerate(cells)]
            expected.append([month(row[0]), *cells])
        assert read(page, "table-usage") == expected
        assert page.locator("[data-figure=credits] .figure-value").inner_text() == expected[0][12]

    def test_terms_and_billing_periods(self, site, big):
        """In September 1,689.4 of 6,000 credits, of 0.02 EUR each: 33.788 EUR."""
        page = site.open(big)
        included = "6,000 credits per cycle"
        assert read(page, "table-terms") == [
            ["From 1 Jan 2025", "business actions", included, "0.02 EUR per credit", "1"]
        ]
        periods = read(page, "table-periods")
        (of_september,) = (row for row in periods if row[0] == "1 Sep 2026 to 30 Sep 2026")
        used = ["1,689.4 credits", "", "6,000", "28.2%", "0", "\N{EN DASH}", "33.79 EUR", "0 EUR"]
        assert of_september[1:] == ["business actions", *used]
        ((projected,),) = site.warehouse.rows(
            "select projected_used from marts.billing_periods where customer_id = '1001' and projected_used is not null"
        )
        assert periods[0][3] == f"{projected.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"
        assert (
            len(periods)
            == site.warehouse.column("select count(*) from marts.billing_periods where customer_id = '1001'").pop()
        )

    def test_what_needs_attention_is_listed_with_a_link_to_its_reason(self, site):
        page = site.open()
        rows = read(page, "table-alerts")
        jumped = "39 events processed in the week to 15 Nov 2026, usual are at most 2"
        assert rows[0] == ["Harbourline Logistics", "Usage jumped", jumped]
        assert ["Foxglove Travel", "Went quiet", "no usage since 1 Sep 2026"] in rows
        assert len(rows) == site.warehouse.column("select count(*) from marts.usage_alerts").pop()
        page.locator("#table-alerts a").first.click()
        assert page.url.endswith("/customers/1001/index.html#usage")

    def test_why_adds_up_to_the_marts_in_every_month(self, site):
        counted = ("tasks", "business_actions", "api_calls", "pages_processed", "events_processed", "mcp_calls")
        counted += ("genie_actions", "go_seats", "workflow_app_seats")
        page = site.open()
        for customer_id in ("1001", "1003", "1008"):
            site.go(page, site.page_of(customer_id))
            months = page.locator("#why-month option").evaluate_all("options => options.map(option => option.value)")
            assert months
            for asked in months:
                page.locator("#why-month").select_option(asked)
                sums = dict.fromkeys(counted, 0)
                for metric, quantity in page.locator("#why-tables tr[data-rule]").evaluate_all(
                    "rows => rows.map(row => [row.dataset.metric, "
                    "Number(row.querySelector('[data-quantity]').dataset.quantity)])"
                ):
                    if metric:
                        sums[metric] += quantity
                (expected,) = site.warehouse.rows(
                    f"select {', '.join(counted)} from marts.monthly_customer_usage "
                    "where customer_id = ? and usage_month = ?",
                    customer_id,
                    f"{asked}-01",
                )
                assert tuple(sums.values()) == expected, (customer_id, asked)

    def test_why_goes_down_to_recipes_and_example_jobs(self, site):
        page = site.open(site.page_of("1008") + "#why=2026-08")
        rule = page.locator("#why-tables tr[data-rule=S-ACTION][data-units=steps]")
        steps, quantity = site.warehouse.rows(
            "select count(*), sum(quantity) from metering.metered_steps where customer_id = '1008' "
            "and rule_id = 'S-ACTION' and date_trunc('month', usage_date) = '2026-08-01'"
        )[0]
        assert rule.locator("td").all_inner_texts() == [
            "a trigger or action of an eligible app",
            f"{steps} steps",
            f"{quantity} business actions",
            "BA",
        ]
        rule.get_by_role("button").click()
        inner = page.locator("#why-tables tr.inner tbody tr")
        by_recipe = site.warehouse.rows(
            "select recipe_id, count(*), list(distinct job_id) from metering.metered_steps where customer_id = '1008' "
            "and rule_id = 'S-ACTION' and date_trunc('month', usage_date) = '2026-08-01' group by recipe_id"
        )
        assert inner.count() == len(by_recipe) > 5
        for recipe_id, decided, jobs in by_recipe:
            row = inner.filter(has=page.locator(".id", has_text=re.compile(f"^{recipe_id}$")))
            assert row.locator("td").first.inner_text() == f"{decided} step{'s' if decided > 1 else ''}"
            examples = row.locator("code").all_inner_texts()
            assert examples and set(examples) <= set(jobs)
        rule.get_by_role("button").click()
        assert inner.count() == 0

    def test_the_same_warehouse_gives_the_same_pages(self, site):
        """What a page has beside each rule is in an order, whichever the engine finds first."""
        several = 0
        for path in site.root.glob("customers/*/index.html"):
            data = re.search(r'id="why-data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
            for rule in json.loads(data[1])["decided"] if data else []:
                apps = [name for name, _ in rule.get("a", [])]
                recipes = [recipe["id"] for recipe in rule.get("p", [])]
                assert apps == sorted(apps)
                assert recipes == sorted(recipes, key=lambda id: (id is None, id))
                several += len(apps) > 1 and len(recipes) > 1
        assert several > 5

    def test_why_says_what_did_not_count_and_our_decisions(self, site):
        page = site.open(site.page_of("1008") + "#why=2026-08")
        not_counted = page.locator("table[data-group='Not counted']")
        rules = site.warehouse.column(
            "select distinct rule_id from ("
            "select customer_id, usage_date, rule_id, quantity from metering.metered_steps "
            "union all select customer_id, usage_date, rule_id, quantity from metering.metered_jobs) "
            "where customer_id = '1008' and date_trunc('month', usage_date) = '2026-08-01' "
            "group by rule_id having sum(quantity) = 0"
        )
        assert set(rules) <= set(not_counted.locator("tr[data-rule] code").all_inner_texts())
        unpublished = site.warehouse.column("select rule_id from rules.decision_rules where basis = 'D'")
        site.go(page, site.page_of("1001") + "#why=2026-07")
        for line in page.locator("#why-tables tr[data-rule]").all():
            is_ours = "our decision" in line.locator("td").last.inner_text()
            assert is_ours == (line.get_attribute("data-rule") in unpublished)

    def test_the_data_page_says_what_the_run_read_and_the_worst_comes_first(self, site):
        page = site.open("data.html")
        facts = "rows_read", "rows_used", "rows_repeated", "rows_quarantined", "findings"
        (expected,) = site.warehouse.rows(f"select {', '.join(facts)} from publication.runs")
        shown = [page.locator(f"[data-figure={fact}] .figure-value").inner_text() for fact in facts]
        assert shown == [number(value) for value in expected]
        weights = page.locator("#table-issues .weight").all_inner_texts()
        order = ["lost usage", "no price", "default", "look"]
        assert weights == sorted(weights, key=order.index)
        assert set(weights) == set(order)
        occurrences: dict[str, int] = {}
        for kind, rows in page.locator("#table-issues tbody tr").evaluate_all(
            "rows => rows.map(row => [row.dataset.issue, Number(row.cells[4].textContent)])"
        ):
            occurrences[kind] = occurrences.get(kind, 0) + rows
        expected_rows = dict(site.warehouse.rows("select finding, count(*) from audit.findings group by finding"))
        expected_rows["quarantined"] = site.warehouse.column("select count(*) from audit.quarantined_rows")[0]
        expected_rows["unlisted customer"] = site.warehouse.column("select count(*) from audit.unlisted_customers")[0]
        assert occurrences == expected_rows
        assert len(read(page, "table-findings")) == expected_rows_total(
            expected_rows, "quarantined", "unlisted customer"
        )
        assert len(read(page, "table-quarantine")) == expected_rows["quarantined"]
        counts = (
            "select extract_name, rows_read, rows_used, rows_repeated, rows_quarantined from audit.extract_row_counts"
        )
        assert sorted(row[1:] for row in read(page, "table-extracts")) == sorted(
            [number(value) for value in row[1:]] for row in site.warehouse.rows(counts)
        )

    def test_the_data_page_says_which_extracts_are_late(self, site):
        """By the days of the sample's deliveries; the as-of date begins on 18 November at 0:00."""
        page = site.open("data.html")
        shown = {name: row for name, *row in read(page, "table-freshness")}
        assert len(shown) == 15
        assert next(iter(shown)) == "job history"
        assert shown["job history"] == ["13 Oct 2026, 04:00 UTC", "2 days", "35 days 20 hours", "late"]
        assert shown["vendor usage"] == ["2 Nov 2026, 06:00 UTC", "31 days", "15 days 18 hours", "in time"]
        assert shown["customers"] == ["18 Nov 2026, 22:00 UTC", "31 days", "0 hours", "in time"]
        assert shown["seats"] == [NOTHING, NOTHING, NOTHING, "no times"]
        query = "from audit.extract_freshness order by is_late desc, extract_name"
        assert_csv_is(site.root / "csv" / "extract_freshness.csv", site.warehouse, query)

    def test_the_csv_files_are_the_marts(self, site):
        for mart, order in {
            "monthly_tasks": "usage_month",
            "top_customers": "rank",
            "connection_trends": "usage_month",
            "top_apps": "rank",
            "customer_trends": "usage_month",
            "customer_details": "tasks_last_12_months desc, customer_name nulls last, customer_id",
            "active_recipe_trends": "usage_month",
            "top_recommended_recipes": "rank",
        }.items():
            assert_csv_is(site.root / "csv" / f"{mart}.csv", site.warehouse, f"from marts.{mart} order by {order}")
        for customer_id in site.warehouse.column("select customer_id from marts.customer_details"):
            folder = (site.root / site.page_of(customer_id)).parent
            assert_csv_is(
                folder / "usage.csv",
                site.warehouse,
                "select customer_id, * exclude (customer_id, external_id, customer_name, plan_id) "
                "from marts.monthly_customer_usage where customer_id = ? order by usage_month",
                customer_id,
            )
        linked = {
            (path.parent / href).resolve()
            for path in site.root.resolve().rglob("*.html")
            for href in re.findall(r'href="([^"]+\.csv)"', path.read_text(encoding="utf-8"))
        }
        assert set(site.root.resolve().rglob("*.csv")) == linked

    def test_writing_again_swaps_the_folder_whole(self, site):
        before = site.root.readlink()
        assert run("site", folder=site.root.parent).returncode == 0
        assert site.root.readlink() != before
        assert (site.root.parent / before / "index.html").exists()  # for those who still read it
        assert run("site", folder=site.root.parent).returncode == 0
        assert not (site.root.parent / before).exists()

    def test_a_dashboard_that_can_not_be_written_leaves_the_last_one(self, site):
        before = site.root.readlink()
        in_the_way = site.root.with_name("dashboard.new")
        in_the_way.mkdir()
        failed = run("site", folder=site.root.parent)
        in_the_way.rmdir()
        assert failed.returncode != 0
        assert site.root.readlink() == before
        assert {path.name for path in (site.root.parent / "dashboard_runs").iterdir()} >= {before.name}

    @pytest.mark.parametrize(
        "picture", ["overview", "overview-dark", "overview-phone", "customer", "why", "data", "statement"]
    )
    def test_pictures_of_every_page(self, site, big, picture, tmp_path):
        folder = PROJECT / SCREENSHOTS if SCREENSHOTS else tmp_path
        folder.mkdir(parents=True, exist_ok=True)
        phone = picture.endswith("phone")
        page = site.open(width=390 if phone else 1280, dark=picture.endswith("dark"))
        height = 1140 if picture.startswith("overview") and not phone else 1500
        if picture in ("customer", "data"):
            site.go(page, big if picture == "customer" else "data.html")
        if picture == "why":
            site.go(page, site.page_of("1008") + "#why=2026-08")
            page.locator("#why-tables tr[data-rule=S-CONTINUES] .opens").click()
            page.add_style_tag(content=".top { position: static; }")
            box = page.locator("#why").bounding_box()
            top = box["y"] + page.evaluate("scrollY") - 24
            page.screenshot(
                path=folder / "why.png", clip={"x": 0, "y": top, "width": 1280, "height": 1500}, full_page=True
            )
        elif picture == "statement":
            assert (
                run(
                    "statement",
                    "--customer",
                    "1008",
                    "--month",
                    "2026-08",
                    "--output",
                    str(tmp_path / "s.html"),
                    folder=site.root.parent,
                ).returncode
                == 0
            )
            page.goto((tmp_path / "s.html").as_uri())
            page.screenshot(
                path=folder / "statement.png", clip={"x": 120, "y": 0, "width": 1040, "height": height}, full_page=True
            )
        else:
            width = 390 if phone else 1280
            page.screenshot(
                path=folder / f"{picture}.png", clip={"x": 0, "y": 0, "width": width, "height": height}, full_page=True
            )
        assert page.problems == []
        assert (folder / f"{picture}.png").stat().st_size > 20_000


def expected_rows_total(rows: dict[str, int], *but: str) -> int:
    return sum(count for kind, count in rows.items() if kind not in but)


# --------------------------------------------------------------------------------------------------- an odd world

# Each name holds a token of its own, so that it is found wherever it gets to.
ODD = [
    "<script>window.struck = 1</script>",
    '"><img src=x onerror="window.struck = 1">',
    "</script><script>window.struck = 1</script><!-- <script>",
    "{{ 7 * 7 }} {% raw %} ${7 * 7}",
    "\u202etxet sdrawkcab \u05d0\u05d1\u05d2 \u2066",
    "W" * 300,
    "very " * 60,
    '\N{FOX FACE}\N{FAMILY} Søn & O\'Rourke "quoted" &lt;b&gt;',
    '=HYPERLINK("file:///etc")',
    "' onmouseover='window.struck = 1' x='",
]
ODD_IDS = ["<b>id</b>", "../../up", "UPPER", "upper", "con", "a b&c=d#e?f%2e", "n" * 200, "é", "'\"", "=1+1"]


OPTIONS = {"admin_account_ids": ["adm"], "dashboard": True}


def token(n: int) -> str:
    return f"zq{n}zq"


def odd_world() -> dict[str, list[dict]]:
    """A random world, and customers whose every text is odd, with more tasks than any other, each another number."""
    world = {extract: list(rows) for extract, rows in random_world(11).items()}
    listed = END.isoformat()
    for n, (text, customer_id) in enumerate(zip(ODD, ODD_IDS, strict=True)):
        name = f"{token(n)} {text}" if n != 8 else f"{text} {token(n)}"
        own = {"extracted_at": listed, "created_at": "2024-02-01T00:00:00Z"}
        recipe_id, at = f"r{token(n)}", "2024-05-20T12:00:00Z"
        lines = [("salesforce", "new_object"), *[(name if step == 1 else "slack", "post") for step in range(300 + n)]]
        for rows in (
            customer(customer_id, name=name, external_id=name, plan_id=name, **own),
            recipe(recipe_id, user_id=customer_id, name=name, project_id=name, project_name=name, **own),
            connection(
                f"c{token(n)}",
                user_id=customer_id,
                name=name,
                provider=name,
                authorization_status="success",
                authorized_at="2024-02-01T00:00:00Z",
                **own,
            ),
            job(f"j {name}", *lines, account_id=customer_id, recipe_id=recipe_id, completed_at=at, extracted_at=listed),
            request(f"q {name}", account_id=customer_id, requested_at=at, extracted_at=listed, request_type="proxy"),
            # workflow tasks have no ratio: a finding with the customer's name
            subscription(account_id=customer_id, terms="credits_2026", included_credits=7, effective_from="2024-01-01"),
        ):
            for extract, row in rows:
                world.setdefault(extract, []).append(row)
    return world


SKELETON = """() => Array.from(document.querySelectorAll("*"), (element) => element.tagName + " " +
    Array.from(element.attributes, ({ name, value }) => ["title", "_echarts_instance_"].includes(name)
        ? name : name + "=" + value).join(" "))"""


NUMBER = re.compile(r"\d+(?:[.]\d+)?")


def assert_same_pixels(ours: list[str], theirs: list[str]) -> None:
    """Equal but for less than a pixel: a browser measures the same label a hundredth of one wider or narrower."""
    assert [NUMBER.sub("#", element) for element in ours] == [NUMBER.sub("#", element) for element in theirs]
    for element, other in zip(ours, theirs, strict=True):
        pairs = zip(NUMBER.findall(element), NUMBER.findall(other), strict=True)
        assert all(one == two or ("." in one + two and abs(float(one) - float(two)) < 1) for one, two in pairs), (
            f"{element} and {other}"
        )


class TestOddWorld:
    @pytest.fixture(scope="class")
    @classmethod
    def built(cls, build) -> Build:
        built = build(odd_world(), vars=OPTIONS)
        assert built.exit_code == 0, built.output
        return built

    @pytest.fixture(scope="class")
    @classmethod
    def site(cls, built, browser) -> Site:
        return Site(built.warehouse, browser)

    @pytest.fixture(scope="class")
    @classmethod
    def plain(cls, built, browser, tmp_path_factory) -> Site:
        """The same world with harmless names."""
        folder = tmp_path_factory.mktemp("plain")
        shutil.copyfile(built.published, folder / "usage.duckdb")
        with duckdb.connect(folder / "usage.duckdb") as warehouse:
            for table, column in warehouse.execute(
                "select table_name, column_name from duckdb_columns() where schema_name = 'marts' and column_name in "
                "('customer_name', 'external_id', 'plan_id', 'recipe_name', 'project_name', 'connection_name')"
            ).fetchall():
                for n in range(len(ODD)):
                    warehouse.execute(
                        f"update marts.{table} set {column} = ? where contains({column}, ?)",
                        [f"{token(n)} plain", token(n)],
                    )
        assert run("site", folder=folder).returncode == 0
        return Site(folder, browser)

    def test_the_build_wrote_the_dashboard(self, built):
        assert (built.warehouse / "dashboard").is_symlink()
        assert built.output.index("Published ") < built.output.index("Dashboard ")

    def test_a_dashboard_that_fails_is_loud_and_takes_nothing_back(self, built, workbench):
        """The run hook, called by itself on what was published."""
        folder = workbench.warehouse
        (folder / "dashboard.new").mkdir(parents=True)  # a folder in the place of the link that is to be renamed
        shutil.copyfile(built.published, folder / "usage.duckdb")
        output = workbench.folder / "output.txt"
        command = workbench.start(workbench.extracts, output, OPTIONS, command=("run-operation", "dashboard"))
        assert command.wait() != 0
        assert f"{folder}/usage.duckdb is published, but its dashboard is not written: " in output.read_text()
        assert (folder / "usage.duckdb").read_bytes() == built.published.read_bytes()
        assert list((folder / "dashboard_runs").iterdir()) == []

    def test_the_overview_has_this_worlds_figures(self, site):
        tasks = site.warehouse.column("select sum(tasks) from marts.monthly_tasks")[0]
        assert tasks > sum(300 + n for n in range(len(ODD)))
        assert_overview_is_the_marts(site)

    def test_a_customers_page_and_files_hold_no_other_customers_data(self, site):
        names = site.warehouse.rows("select customer_id, customer_name from marts.customer_details")
        assert len({folder.name.lower() for folder in (site.root / "customers").iterdir()}) == len(names) > len(ODD)
        own = dict(zip(ODD_IDS, map(token, range(len(ODD))), strict=True))
        found = 0
        for folder in (site.root / "customers").iterdir():
            text = "".join(path.read_text(encoding="utf-8") for path in folder.iterdir())
            held = [customer_id for customer_id, its in own.items() if its in text]
            assert len(held) <= 1, folder.name
            found += len(held)
            for path in folder.glob("*.csv"):
                whose = {row["customer_id"] for row in rows_of(path)}
                assert len(whose) <= 1
                assert not held or whose <= {sql_text(held[0])}
        assert found == len(ODD)

    def test_odd_names_are_shown_as_they_are_and_do_nothing(self, site):
        page = site.open()
        names = dict(site.warehouse.rows("select customer_id, customer_name from marts.customer_details"))
        pages = {}
        for n, customer_id in enumerate(ODD_IDS):
            page.locator("#customers [data-search]").fill(token(n))
            link = page.locator("#table-customers tbody a")
            assert link.text_content() == names[customer_id]
            pages[customer_id] = link.get_attribute("href")
        for customer_id, address in pages.items():
            name = names[customer_id]
            site.go(page, address)
            assert page.locator("h1 bdi").text_content() == name
            assert page.locator("dl.facts bdi").all_text_contents() == [customer_id, name, name]
            assert name in page.locator("#table-recipes bdi").all_text_contents()
            assert name in page.locator("#table-connections bdi").all_text_contents()
            page.locator("#why-tables tr[data-units=steps] .opens").first.click()
            assert f"j {name}" in page.locator("#why-tables .inner bdi").all_text_contents()
        for name in ("index.html", "data.html"):
            site.go(page, name)
        assert page.evaluate("window.struck") is None
        assert page.problems == []

    def test_odd_names_change_nothing_but_their_own_text(self, site, plain):
        ours, theirs = site.open(), plain.open()
        assert len(ours.evaluate(SKELETON)) > 500
        for name in ["index.html", "data.html", *[site.page_of(id) for id in ("UPPER", "con")]]:
            site.go(ours, name)
            plain.go(theirs, name)
            assert_same_pixels(ours.evaluate(SKELETON), theirs.evaluate(SKELETON))
            assert ours.content() != theirs.content()

    @pytest.mark.parametrize("width", [320, 1280])
    def test_long_names_break_no_page(self, site, width):
        page = site.open(width=width)
        for name in ["index.html", "data.html", site.page_of("upper"), site.page_of("n" * 200)]:
            site.go(page, name)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name

    def test_odd_pages_are_accessible(self, site):
        page = site.open(site.page_of("upper"))
        assert_accessible(page, "a customer with odd names")

    def test_spreadsheets_take_no_text_for_a_formula(self, site):
        cells = [cell for row in rows_of(site.root / "csv" / "customer_details.csv") for cell in row.values()]
        assert "'=1+1" in cells
        assert [cell for cell in cells if cell[:1] in ("=", "@", "+")] == []

    @pytest.mark.parametrize("first", [*"=+-@\uff1d\uff0b\uff0d\uff20", "\t=", "\r=", "\n=", "\v="])
    def test_in_a_csv_file_it_begins_with_an_apostrophe(self, first, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(PROJECT)
        from dashboard.warehouse import Warehouse

        text = f"{first}1"
        duckdb.connect(tmp_path / "usage.duckdb").close()
        warehouse = Warehouse(tmp_path)
        values = (text, f"a{text}", "", "'=1", "1")
        rows = ", ".join(f"({place}, '{value.replace(chr(39), chr(39) * 2)}')" for place, value in enumerate(values))
        written = warehouse.csv(f"select name, place from (values {rows}) as names (place, name) order by place")
        found = [row["name"] for row in csv.DictReader(io.StringIO(written, newline=""))]
        assert found == [f"'{text}", f"a{text}", "", "'=1", "1"]

    def test_a_statement_of_an_odd_customer(self, site, tmp_path):
        target = tmp_path / "statement.html"
        written = run(
            "statement",
            "--customer",
            "<b>id</b>",
            "--month",
            "2024-05",
            "--output",
            str(target),
            folder=site.root.parent,
        )
        assert written.returncode == 0, written.stderr
        page = site.browser.new_context(offline=True).new_page()
        page.goto(target.as_uri())
        assert page.evaluate("window.struck") is None
        assert page.locator("h1 bdi").text_content() == f"{token(0)} {ODD[0]}"
        (other,) = {its for its in map(token, range(len(ODD))) if its in target.read_text(encoding="utf-8")}
        assert other == token(0)


def test_allowances_come_first_and_the_partners_own_contract_has_no_page(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT)
    from dashboard import site
    from dashboard.warehouse import Table

    day = date(2026, 9, 20)
    columns = ["customer_id", "reason", "metric", "dated_on", "quantity", "bound"]
    rows = [
        ("a", "jumped", "tasks", day, Decimal(182), Decimal(150)),
        ("a", "will_exceed", "credits", day, Decimal("105.4"), Decimal(100)),
        ("*", "exceeded", "tasks", day, Decimal(1200), Decimal(1000)),
    ]
    assert [
        (alert["title"], alert["detail"], alert["is_own"], alert["href"])
        for alert in site._alerts(Table(columns, rows), {"a": "A"})
    ] == [
        ("Allowance exceeded", "on 20 Sep 2026: 1,200 of 1,000 tasks", True, ""),
        (
            "Allowance will be exceeded",
            "probably on 20 Sep 2026: 105 of 100 credits by the end of the period",
            False,
            "customers/a/index.html#plan",
        ),
        (
            "Usage jumped",
            "182 tasks in the week to 20 Sep 2026, usual are at most 150",
            False,
            "customers/a/index.html#usage",
        ),
    ]


def test_a_gauge_shows_what_is_projected_up_to_its_end(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT)
    from dashboard import site

    period = {
        "used": Decimal(30), "used_of_allowance": Decimal(80), "allowance": Decimal(100), "exceeded_on": None,
        "projected_used": Decimal(45), "projected_low": Decimal(40), "projected_high": Decimal("61.25"),
        "projected_exceeds_on": None,
    }  # fmt: skip
    assert site._projection(period) == {
        "projected": "45", "interval": "40 to 61.25", "added_width": 15.0, "will_exceed_on": "",
    }  # fmt: skip
    exceeding = period | {"projected_used": Decimal(60), "projected_exceeds_on": date(2026, 9, 29)}
    assert site._projection(exceeding)["added_width"] == 20.0
    assert site._projection(exceeding)["will_exceed_on"] == "29 Sep 2026"
    assert site._projection(period | {"allowance": None})["added_width"] == 0


def test_a_statement_compares_with_the_month_before(monkeypatch):
    """July had 75 tasks, June 50, May 100: 25 more, not 25 fewer."""
    monkeypatch.syspath_prepend(PROJECT)
    from dashboard import site, statement

    usage = {
        date(2026, month, 1): dict.fromkeys(site.METRICS, tasks)
        | {"is_current_month": False, "is_fully_priced": True, "is_covered": True}
        for month, tasks in ((5, 100), (6, 50), (7, 75))
    }
    details = {"customer_id": "acme", "customer_name": "Acme"}
    parts = {name: [] for name in statement._OF_MONTH}
    shown = statement._statement(details, usage, [], parts, date(2026, 7, 1), date(2026, 8, 3))
    assert {(m["change"]["before"], m["change"]["text"]) for m in shown["metrics"]} == {("50", "+25 (+50.0%)")}
    assert shown["month_before"] == "Jun 2026"


# ------------------------------------------------------------------------------------------ as of an earlier day

LATER = "2026-08-06T00:00:00Z"


def as_of_world() -> dict[str, list[dict]]:
    """Customers by the terms they have, as of 10 July; jobs from 15 June on, some after that day."""

    def jobs(account_id: str, *days: str) -> list:
        return [
            part
            for day in days
            for part in job(f"j-{day}", account_id=account_id, completed_at=f"{day}T12:00:00Z", extracted_at=LATER)
        ]

    def term(account_id: str, metric: str, first: str, end: str | None = None, **columns: Any) -> list:
        dates = {"effective_from": first, "effective_to": end}
        return subscription(account_id=account_id, recipe_metric=metric, **dates, **columns)

    listed = ("2026-07-10T20:00:00Z", LATER)
    accounts = ("never", "future", "ended", "changed", "resumed", "today", "soon", "termless", "later")
    return world(
        *(customer(id, created_at="2026-05-03T00:00:00Z", extracted_at=at) for id in accounts for at in listed),
        *(jobs(id, "2026-07-05") for id in accounts[:-1]),
        # cancelled at once; begins in ten days; has ended
        term("never", "business_actions", "2026-01-01"),
        term("never", "tasks", "2026-07-03", "2026-07-03"),
        term("future", "tasks", "2026-07-20"),
        term("ended", "tasks", "2026-01-01", "2026-07-02"),
        # changes within the month; is interrupted for June; begins on the as-of date; is replaced after it
        term("changed", "tasks", "2026-01-01", "2026-07-05", task_limit=10),
        term("changed", "business_actions", "2026-07-05", included_credits=8),
        jobs("changed", "2026-07-02", "2026-07-04"),
        term("resumed", "business_actions", "2026-01-01"),
        term("resumed", "tasks", "2026-06-01", "2026-07-01"),
        jobs("resumed", "2026-06-15", "2026-06-20"),
        term("today", "tasks", "2026-07-10"),
        jobs("today", "2026-07-10"),
        term("soon", "business_actions", "2026-01-01"),
        term("soon", "tasks", "2026-07-11"),
        # of these only one is up to the as-of date
        jobs("later", "2026-07-02", "2026-07-25", "2026-08-05"),
        job(
            "runs since August",
            account_id="later",
            started_at="2026-08-01T00:00:00Z",
            status="pending",
            completed_at=None,
            extracted_at=LATER,
        ),
        connection("gone since", user_id="later", extracted_at=listed[0]),
        connection("new since", user_id="later", extracted_at=LATER),
        ratio(),
        ratio("tasks"),
    )


def text_of(path: Path, part: str = ".*") -> str:
    """A page's text, or that of a part of its source, without its tags."""
    source = re.sub(r"<script.*?</script>|<style.*?</style>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    (found,) = re.findall(part, source, flags=re.DOTALL)[:1]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", found))).strip()


class TestAsOfAGivenDate:
    """Pages and statements say what the marts say of 10 July: terms by day, and nothing of what came later."""

    @pytest.fixture(scope="class")
    @classmethod
    def built(cls, build) -> Build:
        built = build(as_of_world(), env={"AS_OF_DATE": "2026-07-10"}, vars={"dashboard": True})
        assert built.exit_code == 0, built.output
        return built

    @pytest.fixture(scope="class")
    @classmethod
    def statement(cls, built, tmp_path_factory) -> Callable[[str, str], Path]:
        folder = tmp_path_factory.mktemp("statements")
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(PROJECT)
            from dashboard.statement import write_statement
        return lambda customer_id, month: write_statement(
            built.warehouse, customer_id, month, str(folder / f"{customer_id}-{month}.html")
        )

    @staticmethod
    def page(built: Build, customer_id: str) -> Path:
        return built.warehouse / "dashboard" / "customers" / customer_id / "index.html"

    @pytest.mark.parametrize(
        ("customer_id", "asked", "billed_by"),
        [
            ("never", "2026-07", "business actions"),
            ("future", "2026-07", "business actions"),
            ("ended", "2026-07", "business actions"),
            ("changed", "2026-07", "business actions"),
            ("resumed", "2026-06", "tasks"),
            ("resumed", "2026-07", "business actions"),
            ("today", "2026-07", "tasks"),
            ("soon", "2026-07", "business actions"),
            ("termless", "2026-07", "business actions"),
        ],
    )
    def test_a_statement_names_the_measure_that_the_terms_in_force_bill(
        self, built, statement, customer_id, asked, billed_by
    ):
        text = text_of(statement(customer_id, asked))
        assert f"Billed by {billed_by} Data as of 10 Jul 2026" in text
        billed = built.column(
            "select distinct metric from marts.monthly_credits where customer_id = ? and usage_month = ? "
            "and billed_quantity > 0",
            customer_id,
            f"{asked}-01",
        )
        assert billed_by.replace(" ", "_") in billed
        changed = "The terms changed in this month: " in text
        assert changed == (customer_id in ("ended", "changed", "today"))

    def test_a_statement_says_when_the_terms_changed(self, statement):
        text = text_of(statement("changed", "2026-07"))
        assert "billed by tasks up to 4 Jul 2026, then by business actions." in text

    def test_the_terms_in_force_are_those_of_the_day(self, built):
        in_force = {}
        for customer_id in ("never", "future", "ended", "changed", "resumed", "today", "soon", "termless"):
            source = self.page(built, customer_id).read_text(encoding="utf-8")
            table = source[source.find('id="table-terms"') : source.find('id="table-periods"')]
            rows = re.findall(r'<tr( class="now")?><th scope="row">([^<]*)<', table)
            in_force[customer_id] = [period.strip() for now, period in rows if now]
        assert in_force == {
            "never": ["From 1 Jan 2026"],
            "future": [],
            "ended": [],
            "changed": ["From 5 Jul 2026"],
            "resumed": ["1 Jan 2026 to 31 May 2026, From 1 Jul 2026"],
            "today": ["From 10 Jul 2026"],
            "soon": ["1 Jan 2026 to 10 Jul 2026"],
            "termless": [],
        }

    def test_a_change_of_terms_makes_two_billing_periods(self, built, statement):
        """Two tasks by 4 July, of 10 * 4 / 31 = 1.29; then a job of 2 actions, of 8 * 27 / 31 = 6.97 credits.

        2 credits in six days are a third of a credit a day: 7 in the 21 days that remain, and 7 in all on 25 July.
        """
        table = '<table id="table-periods".*?</table>'
        page = text_of(self.page(built, "changed"), table).replace("\N{EN DASH}", "-")
        assert (
            "5 Jul 2026 to 31 Jul 2026 day 6 of 27 business actions 2 credits 9 6.97 28.7% 0 probably 25 Jul 2026 - -"
            in page
        )
        assert "1 Jul 2026 to 4 Jul 2026 tasks 2 tasks 1 200.0% 1 4 Jul 2026 - -" in page
        contract = text_of(statement("changed", "2026-07"), table).replace("\N{EN DASH}", "-")
        assert "1 Jul 2026 to 4 Jul 2026 tasks 2 tasks 1 2 0 1 - -" in contract
        assert "5 Jul 2026 to 31 Jul 2026 business actions 2 credits 6.97 2 4.97 0 - -" in contract

    def test_no_page_shows_what_came_later(self, built, statement):
        """Of the customer's jobs on 2 July, 25 July and 5 August only the first is known."""
        page = text_of(self.page(built, "later"))
        assert "Credits by metric in Jul 2026, so far" in page
        assert "Aug 2026" not in page
        assert "still run" not in page
        assert "gone since" in page
        assert "new since" not in page
        of_metrics = text_of(statement("later", "2026-07"), '<table id="table-metrics">.*?</table>')
        assert re.search(r"Tasks 1 ", of_metrics)
        assert re.search(r"Business actions 2 ", of_metrics)
        overview = text_of(built.warehouse / "dashboard" / "index.html")
        assert "Data as of 10 Jul 2026 · Jul 2026 is partial, up to that day" in overview
        tasks = built.column("select tasks from marts.monthly_tasks where usage_month = '2026-07-01'")[0]
        assert tasks == 12  # nine customers, of whom changed had two more jobs, and today one
        assert f"Tasks in Jul 2026 partial {tasks} " in overview
        for path in (built.warehouse / "dashboard").rglob("*.csv"):
            assert "2026-08-05" not in path.read_text(encoding="utf-8"), path
            if path.name not in ("billing_periods.csv", "usage_alerts.csv"):  # which look ahead
                assert "2026-07-25" not in path.read_text(encoding="utf-8"), path

    def test_an_explained_month_ends_with_the_as_of_date(self, built):
        found = subprocess.run(
            [sys.executable, PROJECT / "scripts" / "explain.py", "--customer", "later", "--month", "2026-07"],
            env=os.environ | {"WAREHOUSE_DIR": str(built.warehouse)},
            capture_output=True,
            text=True,
        )
        assert found.stdout.startswith("Customer later Acme, 2026-07, so far, as of 2026-07-10")
        assert "The month in marts.monthly_customer_usage: 2 business actions, 1 task" in found.stdout
        assert re.findall(r"^ *steps +(\d+) ", found.stdout, flags=re.MULTILINE) == ["2"]

    def test_a_comparison_of_the_partial_month_says_so(self, built, statement):
        """12 tasks up to 10 July against 2 in all of June."""
        dashboard = built.warehouse / "dashboard"
        overview = text_of(dashboard / "index.html")
        assert "+10 (+500.0%) so far, on all of Jun 2026" not in overview  # June is not covered
        assert "Change so far, on all of Jun 2026" in overview
        assert "Change on all of Jun 2026" in overview
        assert "Change so far, on all of Jun 2026" in text_of(statement("resumed", "2026-07"))
        assert "Change on May 2026" in text_of(statement("resumed", "2026-06"))

    def test_the_runs_closing_lines_compare_with_the_month_before_where_it_is_known(self, built):
        """What June has is known, and a 0 of it is not, but of seats."""
        assert "Usage of 9 customers in June 2026, and up to 10 July 2026:" in built.output
        for line in (r"2 +12 +tasks", r"not covered +0 +API calls", r"0 +0 +GO seats"):
            assert re.search(rf"^\S+ +{line}$", built.output, flags=re.MULTILINE), line

    def test_months_that_the_extracts_do_not_reach_are_not_known(self, built, statement):
        """The first job of any customer is of 15 June: May and June say nothing, July does."""
        covered = "select usage_month::varchar, is_covered from marts.monthly_customer_usage where customer_id = ? "
        assert built.rows(covered + "order by usage_month", "termless") == [
            ("2026-05-01", False),
            ("2026-06-01", False),
            ("2026-07-01", True),
        ]
        overview = text_of(built.warehouse / "dashboard" / "index.html")
        assert "Jobs are known from 15 Jun 2026 on: months that begin earlier are not covered" in overview
        assert "Jun 2026 is not covered" in overview
        may = statement("termless", "2026-05")
        assert "May 2026 not covered: jobs are known from 15 Jun 2026 on" in text_of(may)
        assert f"Tasks not covered {NOTHING}" in text_of(may, '<table id="table-metrics">.*?</table>')
        assert "GO seats 0 " in text_of(may, '<table id="table-metrics">.*?</table>')
        june = text_of(statement("resumed", "2026-06"), '<table id="table-metrics">.*?</table>')
        assert f"Tasks 2 {NOTHING}" in june  # what is known stays, and is compared with nothing
        july = text_of(statement("resumed", "2026-07"))
        assert "not covered" not in text_of(statement("resumed", "2026-07"), "<header>.*?</header>")
        assert f"Tasks 1 {NOTHING}" in july


# ------------------------------------------------------------------------------------- nothing there, and statements


class TestEmpty:
    def test_a_partner_without_customers_apis_or_events(self, sample, browser, tmp_path):
        shutil.copyfile(sample.published, tmp_path / "usage.duckdb")
        kept = (
            "months",
            "month_listings",
            "monthly_tasks",
            "connection_trends",
            "customer_trends",
            "active_recipe_trends",
        )
        with duckdb.connect(tmp_path / "usage.duckdb") as warehouse:
            for schema, table in warehouse.execute(
                "select schema_name, table_name from duckdb_tables() where schema_name in ('marts', 'audit')"
            ).fetchall():
                if table not in kept:
                    warehouse.execute(f"delete from {schema}.{table}")
        assert run("site", folder=tmp_path).returncode == 0
        page = Site(tmp_path, browser).open()
        for said in (
            "No customers yet.",
            "No connection is authenticated yet.",
            "No customer has tasks in these months.",
            "No customer has cloned a recommended recipe yet.",
        ):
            assert page.get_by_text(said).is_visible()
        assert_accessible(page, "an empty overview")
        Site(tmp_path, browser).go(page, "data.html")
        assert page.get_by_text("No findings.").is_visible()
        assert page.problems == []

    def test_data_of_before_october_2020_has_no_months_of_tasks(self, sample, browser, tmp_path):
        shutil.copyfile(sample.published, tmp_path / "usage.duckdb")
        with duckdb.connect(tmp_path / "usage.duckdb") as warehouse:
            warehouse.execute("delete from marts.monthly_tasks")
        written = run("site", folder=tmp_path)
        assert written.returncode == 0, written.stderr
        page = Site(tmp_path, browser).open()
        assert page.get_by_text("The tab counts tasks from October 2020 on").is_visible()
        assert page.problems == []

    def test_a_customer_without_anything(self, sample, browser, tmp_path):
        site = Site(written_site(sample.published, tmp_path / "site"), browser)
        page = site.open(site.page_of("1011"))
        for said in (
            "No contract term is known",
            "Nothing was decided: no jobs, requests or seats yet.",
            "No recipe was used in the last 12 months.",
            "No app was used in the last 12 months, and none is connected.",
            "No connection was ever listed.",
        ):
            assert page.get_by_text(said).is_visible()
        assert page.problems == []


class TestOverrides:
    """Of the sample's copy in which an override decided on triggers of eligible apps, and a rule on all other steps."""

    REASON = "clause 4 </script><b>of</b> our contract (Dana)"

    @pytest.fixture(scope="class")
    @classmethod
    def site(cls, sample, browser, tmp_path_factory) -> Site:
        folder = tmp_path_factory.mktemp("overrides")
        shutil.copyfile(sample.published, folder / "usage.duckdb")
        with duckdb.connect(folder / "usage.duckdb") as connection:
            for table in ("facts.step_decisions", "marts.monthly_rule_usage"):
                connection.execute(
                    f"update {table} set rule_override = ? where rule_id = 'S-ACTION' and task_rule_id = 'T-TRIGGER'",
                    [cls.REASON],
                )
            added_up = "facts.monthly_unit_decisions"
            connection.execute(f"delete from {added_up} where units = 'steps' and rule_id = 'S-ACTION'")
            connection.execute(
                f"insert into {added_up} by name "
                "select date_trunc('month', usage_date) as usage_month, customer_id, 'steps' as units, metric, "
                "rule_id, rule_override, recipe_id, count(*) as decided, sum(quantity) as quantity "
                "from metering.metered_steps where rule_id = 'S-ACTION' group by all"
            )
            connection.execute(
                "insert into audit.rule_coverage by name "
                "select rule_id, ? as rule_override, decides, source, rule, 3 as quantity, 5 as decisions "
                "from rules.decision_rules where rule_id = 'S-ACTION'",
                [cls.REASON],
            )
        assert run("site", folder=folder).returncode == 0
        return Site(folder, browser)

    @staticmethod
    def decided(site, customer_id, first_day):
        """(steps, quantity) by reason and author of an override, or None for the rule as published."""
        found = site.warehouse.rows(
            "select rule_override, count(*), sum(quantity) from metering.metered_steps where customer_id = ? "
            "and rule_id = 'S-ACTION' and date_trunc('month', usage_date) = ? group by rule_override",
            customer_id,
            first_day,
        )
        assert len(found) == 2
        return {override: (steps, quantity) for override, steps, quantity in found}

    def test_why_says_what_a_rule_decided_and_what_an_override_of_it(self, site):
        page = site.open(site.page_of("1008") + "#why=2026-08")
        lines = page.locator("#why-tables tr[data-rule=S-ACTION][data-units=steps]")
        assert {tuple(line.locator("td").all_inner_texts()[1:]) for line in lines.all()} == {
            (f"{steps} steps", f"{quantity} business actions", f"override: {override}" if override else "BA")
            for override, (steps, quantity) in self.decided(site, "1008", "2026-08-01").items()
        }
        for line in lines.all():
            line.get_by_role("button").click()
            recipes = line.locator("xpath=following-sibling::tr[1]").locator("tbody td:nth-child(2)").all_inner_texts()
            steps = int(line.locator("td").nth(1).inner_text().split()[0])
            assert sum(int(text.split()[0]) for text in recipes) == steps
        assert page.problems == []

    def test_the_data_page_lists_it_beside_its_rule(self, site):
        page = site.open("data.html")
        rows = page.locator("#table-rules tbody tr").filter(has=page.get_by_text("S-ACTION", exact=True))
        shown = [row.locator("td").all_text_contents() for row in rows.all()]
        assert [row[2] for row in shown] == ["BA", f"override: {self.REASON}"]
        assert shown[1][3:] == ["5", "3"]
        rules, used = site.warehouse.rows(
            "select count(*), count(*) filter (where rule_id in (select rule_id from audit.rule_coverage "
            "where decisions > 0)) from rules.decision_rules"
        )[0]
        assert page.locator("#rules summary").text_content() == f"{rules} rules, {used} of them used"
        assert page.problems == []

    def test_a_statement_says_so_too(self, site):
        target = site.root.parent / "statement.html"
        written = run(
            "statement", "--customer", "1008", "--month", "2026-08", "--output", str(target), folder=site.root.parent
        )
        assert written.returncode == 0, written.stderr
        page = site.browser.new_context(offline=True).new_page()
        page.goto(target.as_uri())
        assert {tuple(row[2:5]) for row in read(page, "table-why") if row[0] == "S-ACTION"} == {
            (f"override: {override}" if override else "BA", f"{steps} steps", f"{quantity} business actions")
            for override, (steps, quantity) in self.decided(site, "1008", "2026-08-01").items()
        }


class TestClosedMonths:
    """Of the sample's copy: July is closed and restated in the marts, June was closed after the last run."""

    @pytest.fixture(scope="class")
    @classmethod
    def site(cls, sample, browser, tmp_path_factory) -> Site:
        folder = tmp_path_factory.mktemp("closed")
        shutil.copyfile(sample.published, folder / "usage.duckdb")
        closed = close(folder, "2026-06", force="1")
        assert closed.returncode == 0, closed.stdout
        with duckdb.connect(folder / "usage.duckdb") as warehouse:
            # two runs added 2 tasks and took 5 from what customer 1001 had at the close
            warehouse.execute("""
                insert into marts.usage_closes by name
                select
                    * exclude (quantity), timestamp '2026-08-03 06:00:00' as closed_at, 'ab12' as manifest_digest,
                    quantity + case when customer_id = '1001' and metric = 'tasks' then 3 else 0 end as quantity
                from marts.monthly_figures where usage_month = date '2026-07-01'
            """)
            warehouse.execute("""
                insert into marts.usage_restatements by name
                select
                    date '2026-07-01' as usage_month, '1001' as customer_id, 'tasks' as metric, run_id, cause,
                    restated_at, retracted_quantity, restated_quantity
                from (values
                    ('late_delivery', 'run-2', timestamp '2026-08-05 06:00:00', 58, 60),
                    ('rule_change', 'run-1', timestamp '2026-09-01 06:00:00', 60, 55)
                ) as restated (cause, run_id, restated_at, retracted_quantity, restated_quantity)
            """)
            warehouse.execute("delete from marts.usage_arrival where metric in ('tasks', 'business_actions')")
            warehouse.execute("""
                insert into marts.usage_arrival values
                (date '2026-11-01', 'tasks', 0, 9, 1),
                (date '2026-10-01', 'tasks', 0, 1, 0.25), (date '2026-10-01', 'tasks', 2, 4, 1),
                (date '2026-10-01', 'business_actions', 4, 7, 1),
                (date '2026-09-01', 'tasks', 1, 19999, 0.99995), (date '2026-09-01', 'tasks', 25, 20000, 1),
                (date '2020-10-01', 'tasks', 2009, 2, 1)
            """)
        written = run("site", folder=folder)
        assert (written.returncode, written.stderr) == (0, "")
        return Site(folder, browser)

    def test_a_closed_month_has_the_figures_of_the_marts(self, site):
        """Tasks line by line; every other metric at the close and now, and the vendor's."""
        rows = read(site.open(site.page_of("1001")), "table-closed-2026-07")
        assert [row for row in rows if row[0] == "Tasks"] == [
            ["Tasks", "The vendor's figure", "53", "53", ""],
            ["Tasks", "Platform count", "+2", "55", "exact"],
            ["Tasks", "Our figure now", "55", "55", ""],
            ["Tasks", "Our figure at the close", "58", "58", "3 Aug 2026"],
            ["Tasks", "Late delivery", "+2", "60", "5 Aug 2026"],
            ["Tasks", "Rule change", "\N{MINUS SIGN}5", "55", "1 Sep 2026"],
            ["Tasks", "Our figure now", "55", "55", ""],
        ]
        titles = dict(site.warehouse.rows("select metric, title from labels.metric_labels"))
        of_customer = "where customer_id = '1001' and usage_month = date '2026-07-01' and metric <> 'tasks'"
        shown = {(title, line): quantity.replace(",", "") for title, line, quantity, *_ in rows if title != "Tasks"}
        figures = site.warehouse.rows(f"select metric, quantity from marts.usage_closes {of_customer}")
        vendor = site.warehouse.rows(
            f"select distinct metric, vendor_quantity from marts.usage_reconciliation {of_customer} "
            "and vendor_quantity > 0"
        )
        assert {line for _, line in shown} == {"The vendor's figure", "Our figure at the close", "Our figure now"}
        assert len(figures) == 6
        assert {key: Decimal(quantity) for key, quantity in shown.items() if key[1] != "Our figure now"} == {
            (titles[metric], "Our figure at the close"): quantity for metric, quantity in figures
        } | {(titles[metric], "The vendor's figure"): quantity for metric, quantity in vendor}
        assert {shown[title, "Our figure now"] == shown[title, line] for title, line in shown} == {True}

    def test_its_chart_leads_from_line_to_line(self, site):
        page = site.open(site.page_of("1001"))
        assert page.locator("#closed-2026-07 select option:checked").inner_text() == "Tasks"
        drawn = page.locator("[data-chart='closed-2026-07'] svg").text_content()
        for text in ("Platform count", "Late delivery, 5 Aug 2026", "+2", "Rule change, 1 Sep 2026", "\N{MINUS SIGN}5"):
            assert text in drawn
        page.locator("[data-chart='closed-2026-07']").focus()
        said = []
        for key in ("End", "ArrowLeft", "Home"):
            page.keyboard.press(key)
            said.append(page.locator("#chart-closed-2026-07 .reading").inner_text())
        assert said == [
            "Our figure now: 55 tasks",
            "Rule change, 1 Sep 2026: \N{MINUS SIGN}5 tasks",
            "The vendor's figure: 53 tasks",
        ]
        page.locator("#closed-2026-07 select").select_option(label="Credits")
        assert "Platform count" not in page.locator("[data-chart='closed-2026-07'] svg").text_content()
        assert page.problems == []

    def test_an_earlier_month_is_drawn_when_it_is_opened(self, site):
        """It was closed after the last run: its figures are in no mart yet."""
        page = site.open(site.page_of("1001"))
        chart = page.locator("[data-chart='closed-2026-06'] svg")
        assert chart.count() == 0
        page.locator("#closed-2026-06 summary").click()
        chart.wait_for()
        assert chart.bounding_box()["width"] > 500
        assert ["Tasks", "Our figure at the close", "65", "65"] in [
            row[:4] for row in read(page, "table-closed-2026-06")
        ]
        assert page.problems == []

    def test_each_month_says_whether_it_is_closed(self, site):
        page = site.open(site.page_of("1001"))

        def marks(table: str) -> dict[str, str]:
            rows = page.locator(f"#{table} tbody tr").evaluate_all(
                "rows => rows.map(row => row.cells[0].textContent.replace(/\\s+/g, ' ').trim())"
            )
            return {row[:8]: row[8:].removeprefix(" partial").strip() for row in rows}

        (today,) = re.findall(r"Jun 2026, closed on (\d+ \w+ \d{4})", page.locator("#closes").text_content())
        expected = {"Aug 2026": "open", "Jul 2026": "closed on 3 August 2026", "Jun 2026": f"closed on {today}"}
        assert expected.items() <= marks("table-usage").items()
        assert page.locator("#closes summary").all_inner_texts() == [
            "Jul 2026, closed on 3 August 2026, restated since",
            f"Jun 2026, closed on {today}",
        ]
        site.go(page, "index.html")
        page.locator("#tasks summary").click()
        assert expected.items() <= marks("table-tasks").items()
        assert set(marks("table-tasks").values()) == set(expected.values())

    def test_where_no_month_is_closed_no_page_speaks_of_it(self, sample, tmp_path):
        root = written_site(sample.published, tmp_path / "site") / "dashboard"
        for path in (root / "index.html", *root.glob("customers/*/index.html")):
            assert not re.search("closed on|>open<", path.read_text(encoding="utf-8"))
        assert list(root.glob("customers/*/closes.csv")) == []

    def test_the_arrival_table_is_the_mart(self, site):
        """The data ends on 18 November: day 20 of October is not over, and November neither. 99.995 % are not 100 %."""
        page = site.open("data.html")
        heads = page.locator("#table-arrival thead th").all_inner_texts()
        assert heads[2:] == [f"Day {day}" for day in (0, 1, 2, 3, 5, 10, 20, 30)] + ["Last arrival"]
        late = ["99.9%"] * 6 + ["100%"]
        assert read(page, "table-arrival") == [
            ["Oct 2026", "Tasks", "25.0%", "25.0%", *["100%"] * 4, NOTHING, NOTHING, "day 2"],
            ["Oct 2026", "Business actions", *["0.0%"] * 4, "100%", "100%", NOTHING, NOTHING, "day 4"],
            ["Sep 2026", "Tasks", "0.0%", *late, "day 25"],
            ["Oct 2020", "Tasks", *["0.0%"] * 8, "day 2,009"],
        ]
        assert page.problems == []

    def test_a_statement_says_whether_the_month_is_closed_and_what_changed_since(self, site, tmp_path):
        def statement(month: str) -> Path:
            target = tmp_path / f"{month}.html"
            asked = ("--customer", "1001", "--month", month, "--output", str(target))
            assert run("statement", *asked, folder=site.root.parent).returncode == 0
            return target

        july, august = statement("2026-07"), statement("2026-08")
        header = "<header>.*?</header>"
        assert "Jul 2026 closed on 3 August 2026 Customer 1001" in text_of(july, header)
        assert "Aug 2026 open Customer 1001" in text_of(august, header)
        changes = text_of(july, '<table id="table-restatements">.*?</table>')
        assert changes.endswith(
            "Tasks 5 Aug 2026 Late delivery 58 +2 60 Tasks 1 Sep 2026 Rule change 60 \N{MINUS SIGN}5 55"
        )
        assert "Changes since the close" not in text_of(august)

    def test_its_csv_file_has_the_lines(self, site):
        rows = rows_of((site.root / site.page_of("1001")).with_name("closes.csv"))
        tasks = [row for row in rows if (row["usage_month"], row["metric"]) == ("2026-07-01", "tasks")]
        assert [(row["item"], row["cause"], Decimal(row["quantity"])) for row in tasks] == [
            ("vendor_figure", "", 53),
            ("cause", "platform_count", 2),
            ("figure_now", "", 55),
            ("figure_at_close", "", 58),
            ("restatement", "late_delivery", 2),
            ("restatement", "rule_change", -5),
            ("figure_now", "", 55),
        ]
        assert {row["usage_month"] for row in rows} == {"2026-07-01", "2026-06-01"}

    @pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
    def test_axe_has_no_serious_finding(self, site, dark):
        page = site.open(site.page_of("1001"), dark=dark)
        page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        assert_accessible(page, "closed months", **({"runOnly": ["color-contrast"]} if dark else {}))
        site.go(page, "data.html")
        assert_accessible(page, "arrival", **({"runOnly": ["color-contrast"]} if dark else {}))

    def test_no_page_scrolls_sideways(self, site):
        page = site.open(site.page_of("1001"), width=320)
        page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        assert page.problems == []

    def test_pictures_of_a_closed_month(self, site, tmp_path):
        folder = PROJECT / SCREENSHOTS if SCREENSHOTS else tmp_path
        page = site.open(site.page_of("1001"))
        page.add_style_tag(content=".top { position: static; }")
        top = page.locator("#closes").bounding_box()["y"] + page.evaluate("scrollY") - 24
        page.screenshot(
            path=folder / "closes.png", clip={"x": 0, "y": top, "width": 1280, "height": 900}, full_page=True
        )
        assert page.problems == []
        assert (folder / "closes.png").stat().st_size > 20_000

    @pytest.mark.parametrize("command", [("site",), ("statement", "--customer", "1001", "--month", "2026-07")])
    def test_a_warehouse_of_an_older_release_is_named(self, sample, command, tmp_path):
        shutil.copyfile(sample.published, tmp_path / "usage.duckdb")
        with duckdb.connect(tmp_path / "usage.duckdb") as warehouse:
            warehouse.execute("drop table marts.usage_closes")
        failed = run(*command, folder=tmp_path)
        assert failed.returncode == 1
        assert failed.stderr == f"{tmp_path}/usage.duckdb is of an older release: run dbt build first.\n"
        assert [path.name for path in tmp_path.iterdir()] == ["usage.duckdb"]


class TestStatement:
    @pytest.fixture(scope="class")
    @classmethod
    def statement(cls, sample, tmp_path_factory) -> Path:
        folder = tmp_path_factory.mktemp("statement")
        shutil.copyfile(sample.published, folder / "usage.duckdb")
        written = run("statement", "--customer", "1003", "--month", "2026-09", folder=folder)
        assert written.returncode == 0, written.stderr
        assert written.stdout == f"Wrote {folder}/statements/1003-2026-09.html\n"
        return folder / "statements" / "1003-2026-09.html"

    def test_it_needs_nothing_else(self, statement):
        text = statement.read_text(encoding="utf-8")
        assert re.findall(r"(?:src|href|action)=|url\(|@import|<script|<link", text) == []

    def test_its_figures_are_the_marts(self, statement, sample, browser):
        page = browser.new_context(offline=True).new_page()
        page.goto(statement.as_uri())
        shown = {row[0]: row[1] for row in read(page, "table-metrics")}
        metrics = "tasks, business_actions, api_calls, pages_processed, events_processed, mcp_calls, genie_actions"
        (expected,) = sample.rows(
            f"select {metrics} from marts.monthly_customer_usage "
            "where customer_id = '1003' and usage_month = '2026-09-01'"
        )
        titles = ("Tasks", "Business actions", "API calls", "Pages", "Events", "MCP calls", "Genie actions")
        assert [shown[title] for title in titles] == [number(value) for value in expected]
        recipes = sample.rows(
            "select tasks from marts.monthly_recipe_usage where customer_id = '1003' and usage_month = '2026-09-01'"
        )
        assert sum(int(row[2]) for row in read(page, "table-recipes")) == sum(tasks for (tasks,) in recipes)
        decided = [row for row in read(page, "table-why") if row[4].endswith("business actions")]
        assert sum(int(row[4].split()[0]) for row in decided) == expected[1]
        assert_accessible(page, "a statement")
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390

    @pytest.mark.parametrize(
        ("customer_id", "asked", "said"),
        [
            ("4711", "2026-08", "There is no customer 4711"),
            ("", "2026-08", "Say whose month: make statement CUSTOMER=1008 MONTH=2026-08."),
            ("1003", "2026-13", "MONTH=2026-13 is not a month: write it as 2026-08."),
            ("1003", "", "MONTH= is not a month"),
            ("1003", "2019-01", "Customer 1003 has no Jan 2019 in {path}: its months are Jan 2025 to Nov 2026."),
        ],
    )
    def test_what_is_not_there_is_said_in_a_sentence(self, statement, customer_id, asked, said):
        failed = run("statement", "--customer", customer_id, "--month", asked, folder=statement.parent.parent)
        assert failed.returncode == 1
        assert failed.stderr.startswith(said.format(path=statement.parent.parent / "usage.duckdb"))
        assert failed.stderr.count("\n") == 1

    @pytest.mark.parametrize(
        ("command", "in_the_way", "why"),
        [
            (("statement", "--customer", "1001", "--month", "2026-08"), "statements", "File exists"),
            (("site",), "dashboard.lock/", "Is a directory"),
        ],
        ids=["statement", "site"],
    )
    def test_where_it_can_not_be_written_it_says_so(self, sample, command, in_the_way, why, tmp_path):
        shutil.copyfile(sample.published, tmp_path / "usage.duckdb")
        path = tmp_path / in_the_way
        path.mkdir() if in_the_way.endswith("/") else path.touch()
        written = run(*command, folder=tmp_path)
        assert (written.returncode, written.stderr) == (1, f"{path} cannot be written: {why}.\n")

    @pytest.mark.parametrize("command", [("site",), ("statement", "--customer", "1003", "--month", "2026-08")])
    def test_without_a_warehouse_it_says_how_to_make_one(self, command, tmp_path):
        failed = run(*command, folder=tmp_path)
        assert failed.returncode == 1
        assert failed.stderr == f"There is no warehouse at {tmp_path}/usage.duckdb: make build writes it.\n"
        assert list(tmp_path.iterdir()) == []


def test_vendored_files_are_the_ones_named():
    folder = PROJECT / "dashboard" / "static" / "vendor"
    named = dict(line.split()[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert named == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in {path.name for path in folder.iterdir()} - {"SHA256SUMS", "README.md"}
    }


def test_pages_name_no_host():
    for path in (PROJECT / "dashboard").rglob("*.html"):
        assert "//" not in re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL), path
