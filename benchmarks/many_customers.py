"""How long the dashboard takes for many customers: writing the site, opening its overview, using its list.

    python benchmarks/many_customers.py [--warehouse warehouse] [--customers 2000] [--months 24] [--runs 3]

Copies a published warehouse, fills its tables with as many made-up customers, months, recipes, jobs and steps, writes
the site, and opens its overview in the system's Chromium, from disk. Figures are made up by SQL: not consistent with
one another, but as many and as long as real ones.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
from playwright.sync_api import sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
RECIPES, JOBS, STEPS = 5, 4, 5  # recipes of a customer, jobs of a recipe and month, steps of a job
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Each statement fills one table; c, m, r, j, s and a are customers, months, recipes, jobs, steps and apps.
FILL = """
create temp table c as select 'cust-' || lpad(n::varchar, 5, '0') as id, n from range({customers}) t(n);
create temp table m as
    select usage_month, row_number() over (order by usage_month desc) as age from marts.months
    qualify age <= {months};
create temp table a as
    select app, any_value(app_name) as app_name, row_number() over (order by app) as n from metering.apps
    group by app qualify n <= 5;
create temp table profiles as
    select profile_id, row_number() over (order by rule_id, step_kind) - 1 as n from facts.step_decisions
    where
        job_class = 'workflow' and effective_to is null and not is_default_applied
        and (rule_id, step_kind) in (('S-ACTION', 'action'), ('S-ACTION', 'trigger'), ('S-INELIGIBLE', 'action'))
    qualify row_number() over (partition by rule_id, step_kind order by profile_id) = 1;
create temp table r as
    select c.id, c.n, k.k, 'recipe-' || c.n || '-' || k.k as recipe_id, hash(c.n, k.k) as recipe_hash
    from c cross join range({recipes}) k(k);

delete from marts.customer_details;
insert into marts.customer_details by name
    select
        id as customer_id, 'X-' || n as external_id, 'Customer number ' || n || ' of the benchmark' as customer_name,
        'plan ' || n % 7 as plan_id, ['active', 'active', 'trial', 'expired', 'deleted'][n % 5 + 1] as status,
        timestamp '2024-01-01' as created_at, n % 30 as connections, {recipes} as active_recipes, 5 as apps,
        hash(n) % 1000000 as tasks_last_12_months, hash(n) % 90000 as tasks_this_month,
        (hash(n) % 100) / 1000 as failed_job_share_last_12_months, timestamp '2026-11-01' as last_job_at
    from c;
delete from marts.monthly_customer_usage;
insert into marts.monthly_customer_usage by name
    select
        usage_month, id as customer_id, 'X-' || n as external_id, 'Customer number ' || n as customer_name,
        'plan ' || n % 7 as plan_id, hash(n, age) % 90000 as tasks, hash(n, age, 1) % 90000 as business_actions,
        n as api_calls, n as managed_api_calls, 0 as proxy_api_calls, n * age as pages_processed,
        age as events_processed, 0 as mcp_calls, 3 as genie_actions, 5 as go_seats, 7 as workflow_app_seats,
        hash(n, age, 2) % 100000 / 100 as credits, true as is_fully_priced, 1000 as jobs_succeeded, 10 as jobs_failed,
        0.0099 as failed_job_share, age = 1 as is_current_month, true as is_covered
    from c cross join m;
delete from marts.monthly_credits;
insert into marts.monthly_credits by name
    select
        usage_month, id as customer_id, metric, null as call_type, 100 as quantity, 100 as billed_quantity,
        0 as unpriced_quantity, 100 as credits, false as is_unpriced
    from c cross join m cross join (select unnest(['tasks', 'business_actions', 'pages_processed']) as metric);
delete from marts.monthly_app_usage;
insert into marts.monthly_app_usage by name
    select usage_month, id as customer_id, app, app_name, 1000 * a.n as tasks, 900 as business_actions
    from c cross join m cross join a;
delete from marts.monthly_app_connections;
insert into marts.monthly_app_connections by name
    select usage_month, id as customer_id, app, app_name, false as is_reconstructed, 2 as connections
    from c cross join m cross join a;
delete from marts.monthly_customer_recipes;
insert into marts.monthly_customer_recipes by name
    select
        usage_month, id as customer_id, false as is_reconstructed, {recipes} as active_recipes, 0 as recipes_started,
        0 as recipes_stopped
    from c cross join m;
delete from marts.monthly_recipe_usage;
insert into marts.monthly_recipe_usage by name
    select
        usage_month, id as customer_id, recipe_id, 'Orders to invoices, number ' || k as recipe_name,
        'project ' || k % 3 as project_id, 'Project ' || k % 3 as project_name, 1000 as tasks, 900 as business_actions,
        k as api_calls, 0 as pages_processed, 0 as events_processed, 0 as mcp_calls, 0 as genie_actions
    from r cross join m;
delete from marts.recipe_history;
insert into marts.recipe_history by name
    select
        id as customer_id, false as is_admin, recipe_id, 'Orders to invoices, number ' || k as recipe_name,
        true as is_running,
        timestamp '2024-01-01' as created_at, timestamp '2024-02-01' as valid_from,
        timestamp '2026-11-01' as last_listed_at, 'first seen' as start_reason
    from r;
delete from marts.connection_history;
insert into marts.connection_history by name
    select
        id as customer_id, false as is_admin, 'conn-' || n || '-' || k as connection_id,
        'Salesforce of ' || n as connection_name,
        'salesforce' as adapter_name, 'success' as authorization_status, timestamp '2024-01-01' as authorized_at,
        timestamp '2024-01-01' as created_at, timestamp '2024-02-01' as valid_from,
        timestamp '2026-11-01' as last_listed_at, 'first seen' as start_reason
    from r;
delete from marts.monthly_rule_usage;
insert into marts.monthly_rule_usage by name
    select
        id as customer_id, false as is_admin, app, app as adapter_name, 'S-ACTION' as rule_id,
        'business_actions' as metric, 'T-ACTION' as task_rule_id, false as is_default_applied, usage_month,
        9 as quantity, 9 as tasks, 9 as steps
    from c cross join m cross join a;
delete from facts.monthly_unit_decisions;
insert into facts.monthly_unit_decisions by name
    select
        usage_month, id as customer_id, false as is_admin,
        unnest(['steps', 'steps', 'steps, as tasks', 'jobs']) as units,
        unnest(['business_actions', null, 'tasks', null]) as metric,
        unnest(['S-ACTION', 'S-INELIGIBLE', 'T-ACTION', 'J-WORKFLOW']) as rule_id, recipe_id, {jobs} as decided,
        unnest([{jobs}, 0, {jobs}, 0]) as quantity
    from r cross join m;
delete from staging.stg_subscriptions;
insert into staging.stg_subscriptions by name
    select
        id as customer_id, 'business_actions' as recipe_metric, 10000 as included_credits,
        date '2025-01-01' as effective_from
    from c;
delete from facts.job_recipes;
insert into facts.job_recipes by name
    select recipe_hash, id as customer_id, false as is_admin, recipe_id, 'prod' as environment_type from r;
delete from metering.metered_jobs;
insert into metering.metered_jobs by name
    select
        hash(r.recipe_hash, usage_month, j) as job_hash, r.recipe_hash, id as customer_id,
        false as is_admin, 'j-' || hash(r.recipe_hash, usage_month, j) as job_id, recipe_id, 'prod' as environment_type,
        'workflow' as recipe_type, 'workflow' as billing_context, 'J-WORKFLOW' as context_rule_id,
        'workflow' as job_class, 0 as quantity,
        'J-WORKFLOW' as rule_id, 'succeeded' as status, false as is_repeat, false as is_test, false as is_poll_error,
        true as is_finished, false as is_excluded, usage_month::timestamp as started_at,
        usage_month::timestamp as completed_at, usage_month as usage_date, usage_month as rule_date
    from r cross join m cross join range({jobs}) j(j);
delete from facts.step_facts;
insert into facts.step_facts by name
    select jobs.job_hash, s as line_index, jobs.usage_date, profiles.profile_id
    from metering.metered_jobs as jobs cross join range({steps}) s(s) inner join profiles on profiles.n = s % 3;
delete from audit.findings;
insert into audit.findings by name
    select
        'default applied' as finding, 'S-UNKNOWN' as rule_id, id as customer_id, 'adapter_' || n as subject,
        'counted by default' as detail, n as occurrences
    from c;
delete from marts.monthly_tasks;
insert into marts.monthly_tasks by name
    select
        usage_month, cast(sum(tasks) as bigint) as tasks, count(*) as active_customers, true as is_covered
    from marts.monthly_customer_usage group by usage_month;
delete from marts.top_customers;
insert into marts.top_customers by name
    select
        row_number() over (order by tasks_last_12_months desc, customer_id) as rank, customer_id, customer_name,
        tasks_last_12_months as tasks, date '2025-12-01' as months_from, date '2026-11-01' as months_to
    from marts.customer_details qualify rank <= 3;
checkpoint;
"""


def main() -> None:
    """Make the warehouse, measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warehouse", type=Path, default=Path(os.environ.get("WAREHOUSE_DIR") or "warehouse"))
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dashboard-") as scratch:
        folder = Path(scratch)
        shutil.copyfile(asked.warehouse / "usage.duckdb", folder / "usage.duckdb")
        fill(folder / "usage.duckdb", asked.customers, asked.months)
        seconds = [write(folder) for _ in range(asked.runs)]
        site = (folder / "dashboard").resolve()
        files = [path for path in site.rglob("*") if path.is_file()]
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        print(f"site written      {min(seconds):6.1f} s  (of {asked.runs}; {len(files):,} files, {megabytes:,.0f} MB)")
        print(f"overview, gzipped {gzipped(site) / 1e6:6.2f} MB with its scripts, styles and font")
        for what, taken in browse(site, asked.runs).items():
            print(f"{what:17} {taken:6.2f} s")


def fill(path: Path, customers: int, months: int) -> None:
    """Replace the rows of the warehouse by made-up ones."""
    with duckdb.connect(path) as warehouse:
        for statement in FILL.format(customers=customers, months=months, recipes=RECIPES, jobs=JOBS, steps=STEPS).split(
            ";"
        ):
            warehouse.execute(statement)
        jobs, steps = warehouse.execute(
            "select (select count(*) from metering.metered_jobs), (select count(*) from facts.step_facts)"
        ).fetchone()
    print(f"{customers:,} customers x {months} months, {jobs:,} jobs, {steps:,} steps, {os.cpu_count()} cores")


def write(folder: Path) -> float:
    """Seconds that make dashboard takes, its start included."""
    begun = time.perf_counter()
    environment = os.environ | {"WAREHOUSE_DIR": str(folder)}
    subprocess.run(
        [sys.executable, "-m", "dashboard", "site"], cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - begun


def gzipped(site: Path) -> int:
    """Bytes of the overview and of what it loads, each compressed as a web server would."""
    page = (site / "index.html").read_text(encoding="utf-8")
    loaded = {site / "index.html", *(site / found for found in re.findall(r'(?:src|href)="(static/[^"]+)"', page))}
    loaded |= set((site / "static" / "vendor").glob("*.woff2"))
    return sum(len(gzip.compress(path.read_bytes())) for path in loaded)


def browse(site: Path, runs: int) -> dict[str, float]:
    """Median seconds until the overview is drawn, a search has its rows, and a sort has."""
    path = next(found for name in BROWSERS if (found := shutil.which(name)))
    taken: dict[str, list[float]] = {"overview drawn": [], "list searched": [], "list sorted": []}
    acting = """(act) => {
        const begun = performance.now();
        eval(act);
        document.body.offsetHeight;
        return performance.now() - begun;
    }"""
    search = """
        const field = document.querySelector('#customers [data-search]');
        field.value = '77';
        field.dispatchEvent(new Event('input'));
    """
    sort = "document.querySelector('#table-customers th button').click()"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        for _ in range(runs):
            page = browser.new_context(offline=True).new_page()
            begun = time.perf_counter()
            page.goto((site / "index.html").as_uri())
            page.wait_for_selector("html[data-ready]", state="attached")
            taken["overview drawn"].append(time.perf_counter() - begun)
            taken["list searched"].append(page.evaluate(acting, search) / 1000)
            taken["list sorted"].append(page.evaluate(acting, sort) / 1000)
            page.context.close()
        browser.close()
    return {what: statistics.median(seconds) for what, seconds in taken.items()}


if __name__ == "__main__":
    main()
