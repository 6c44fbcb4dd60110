"""Writes realistic extracts of any size: an EXTRACTS_DIR of Parquet files, a file per night for what arrives nightly.

    python benchmarks/generate.py FOLDER --steps 1000000 --days 365
    python benchmarks/generate.py FOLDER --steps 1000000 --days 365 --extra-day    # the next night, on top

The world is a function of the seed: every attribute of a job is a hash of the seed, its day and its number, so any
night can be written by itself, in any order, and the same arguments give the same files.

What is in it: customers by a power law; recipes of every type; about ten steps a job, with loops, handled errors,
skipped steps and control statements; functions, called synchronously and asynchronously; failed and canceled jobs, and
jobs that were still running when they were first delivered; 1 % of the jobs delivered again with all their steps, in
the same night or up to 30 nights later; 2 % delivered 1 to 30 nights late, functions and their callers each for
themselves; weekly listings; gateway requests of API jobs and of plain proxying, also through MCP servers; Event streams
calls and prompts.

What is not in it, so that simple scripts arrive at the same totals: functions that call functions, API recipes that no
listing knows, requests delivered twice, and rows that cannot be read.
"""

from __future__ import annotations

import argparse
import csv
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import duckdb

RULES = Path(__file__).resolve().parent.parent / "seeds" / "rules"
FIRST_DAY = date(2025, 1, 1)
LONGEST_DELAY = 30  # nights, for a late delivery and for a repeated one
STEPS_PER_CUSTOMER = 50_000
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

# The share of each kind of recipe, the operation of its trigger, and that of its last line. None: any app's.
KINDS = [
    ("workflow", 0.46, None, None),
    ("scheduled", 0.10, "clock.scheduled_event", None),
    ("webhook", 0.06, "workato_webhooks.new_event", None),
    ("consumer", 0.05, "workato_pub_sub.subscribe_to_topic", None),
    ("workflow_app", 0.03, "workato_workflow_task.new_requests_realtime", None),
    ("api_recipe", 0.13, "workato_api_platform.receive_request", "workato_api_platform.return_response"),
    ("api_proxy", 0.04, "workato_api_proxy.receive_request", "workato_api_proxy.return_response"),
    ("api_proxy_transformation", 0.04, "workato_api_proxy.receive_request", "workato_api_proxy.return_response"),
    ("skill", 0.07, "workato_genie.start_workflow", "workato_genie.workflow_return_result"),
    ("knowledge_base", 0.02, "clock.scheduled_event", "workato_genie.upsert_knowledge"),
    # two of each customer, called by its other recipes
    ("function", 0, "workato_recipe_function.execute", "workato_recipe_function.return_result"),
    ("callable", 0, "workato_service.receive_request", "workato_service.send_reply"),
]

# What a line in the middle of a recipe is, by share: the rest is an app of one of the pools below.
KEYWORDS = ["if", "if", "if", "elsif", "else", "try", "catch", "repeat", "while_condition", "stop"]
OPERATIONS = ["search_records", "create_record", "update_record", "get_record", "upsert_records_batch", "custom_action"]
POPULAR = ["salesforce", "netsuite", "slack", "jira", "hubspot", "google_sheets", "zendesk", "workday", "snowflake"]
INELIGIBLE = ["logger", "workato_variable", "lookup_table", "workato_db_table", "workato_mapper", "workato_files"]
UNRULED = ["workato_list", "pdf_tools", "slack_bot", "utility"]
UNKNOWN = ["fleetwise_telematics", "fleetwise_billing"]
CUSTOM = ["acme_erp", "route_planner", "tax_rates", "warehouse_scanner"]


def main() -> None:
    """Parse the command line and write the extracts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=1_000_000, help="about as many steps (default 1000000)")
    parser.add_argument("--days", type=int, default=365, help="days in which jobs complete (default 365)")
    parser.add_argument("--customers", type=int, help=f"default: one per {STEPS_PER_CUSTOMER:,} steps, at least 20")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--extra-day", action="store_true", help="write the night after the last one, and only that")
    asked = parser.parse_args()
    world = World(asked.steps, asked.days, asked.customers, asked.seed)
    if asked.extra_day:
        world.write_nights(asked.folder, [asked.days + 1])
    else:
        world.write_orders(asked.folder)
        world.write_nights(asked.folder, range(1, asked.days + 1))
    print(world.summary(asked.folder))


class World:
    """The extracts of a partner, by the night in which they were taken.

    Day 0 is FIRST_DAY; night 1, at two in the morning of the day after, is the first to deliver what completed on it.
    """

    def __init__(self, steps: int, days: int, customers: int | None = None, seed: int = 1) -> None:
        self.days = days
        self.seed = seed
        self.customers = customers or max(20, steps // STEPS_PER_CUSTOMER)
        # one thread a query keeps rows in order; nights are written beside one another
        self.database = duckdb.connect(config={"threads": 1})
        self._create_macros()
        self._create_apps()
        self._create_customers()
        self._create_recipes()
        self._create_days(steps)

    def write_nights(self, folder: Path, nights: range | list[int]) -> None:
        """Write the files of some nights, as many at a time as there are cores."""
        self._create_irregular(min(nights) - 1 - 2 * LONGEST_DELAY, max(nights))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for written in [pool.submit(self._write_night, folder, night) for night in nights]:
                written.result()

    def write_orders(self, folder: Path) -> None:
        """Write what is not taken nightly: seat orders, contract terms, credit ratios, recommended recipes."""
        first, changed = f"date '{FIRST_DAY}'", f"date '{FIRST_DAY + timedelta(self.days // 2)}'"
        copy(
            self.database,
            folder / "seats" / "all.parquet",
            f"""
            select
                'seat-' || product || '-' || account_id as id,
                account_id,
                product,
                case when product = 'workflow_apps' then 'app-' || account_id end as app_id,
                5 + pick(hash(k, product), 'seats', 200) as seats,
                {first} as effective_from,
                case when draw(k, 'ends') < 0.1 then {changed} end as effective_to
            from customers, (values ('workato_go'), ('workflow_apps')) as products (product)
            where draw(hash(k, product), 'orders') < 0.3
            """,
        )
        copy(
            self.database,
            folder / "subscriptions" / "all.parquet",
            f"""
            select
                account_id,
                case when draw(k, 'plan') < 0.3 then 'tasks' else 'business_actions' end as recipe_metric,
                10000 as included_credits,
                100000 as task_limit,
                1 as billing_cycle_day,
                {first} as effective_from,
                cast(null as date) as effective_to
            from customers
            """,
        )
        copy(
            self.database,
            folder / "credit_ratios" / "all.parquet",
            f"""
            select metric, call_type, credits_per_unit, {first} as effective_from, cast(null as date) as effective_to
            from (values
                ('business_actions', null, 1.0), ('tasks', null, 0.5), ('api_calls', 'managed', 0.6),
                ('api_calls', 'proxy', 0.1), ('api_calls', 'proxy_transformation', 0.3), ('mcp_calls', null, 0.6),
                ('pages_processed', null, 5.0), ('events_processed', null, 0.05), ('genie_actions', null, 4.0),
                ('go_seats', null, 100.0), ('workflow_app_seats', null, 50.0)
            ) as ratios (metric, call_type, credits_per_unit)
            """,
        )
        copy(
            self.database,
            folder / "recommended_recipes" / "all.parquet",
            f"""
            select
                cast(9000001 + n as varchar) as recipe_id,
                'Recommended recipe ' || n as name,
                {first} as recommended_from
            from range(10) as numbers (n)
            """,
        )

    def summary(self, folder: Path) -> str:
        """How many rows the folder holds."""
        names = ["steps", "jobs", "api_requests", "recipes"]
        count = "select sum(num_rows) from parquet_file_metadata(?)"
        rows = [
            f"{self.database.execute(count, [f'{folder / name}/*.parquet']).fetchone()[0]:,} {name}"
            for name in names
            if (folder / name).is_dir()
        ]
        return f"{', '.join(rows)} in {sum(1 for _ in folder.rglob('*.parquet')):,} files"

    def _create_macros(self) -> None:
        """Shares, numbers and names that depend on a key and a purpose; mixed twice, or those of two would be alike."""
        letters = " || ".join(f"substr('{LETTERS}', 1 + cast((h >> {6 * n}) % 62 as int), 1)" for n in range(8))
        last = " || ".join(f"substr('{LETTERS}', 1 + cast((h >> {6 * n}) % 62 as int), 1)" for n in range(6))
        first_second = (FIRST_DAY - date(1970, 1, 1)).days * 86400
        self.database.execute(f"""
            create macro mixed(key, purpose) as hash(hash(key, purpose));
            create macro draw(key, purpose) as (mixed(key, purpose) >> 11) / 9007199254740992.0;
            create macro spread(key, purpose, n) as (draw(key, purpose) + n * 0.6180339887498949::double) % 1;
            create macro pick(key, purpose, n) as cast(floor(draw(key, purpose) * n) as bigint);
            create macro letters8(h) as {letters};
            create macro letters6(h) as {last};
            create macro job_name(key) as 'j-' || letters8(mixed(key, 'id')) || '-' || letters6(mixed(key, 'id 2'));
            create macro request_name(key, prefix) as
                prefix || '-' || letters8(mixed(key, prefix)) || letters6(mixed(key, prefix || ' 2'));
            create macro moment(day, seconds) as to_timestamp({first_second} + day * 86400 + seconds);
        """)

    def _create_apps(self) -> None:
        """The apps of lines, by pool, from the rule book: a recipe takes the first ones of a pool most often."""
        with (RULES / "app_eligibility.csv").open() as file:
            listed = [(row["adapter_name"], row["rule_id"], row["family"]) for row in csv.DictReader(file)]
        pools = {
            "third_party": [name for name, _, family in listed if family == "third_party" and name not in POPULAR],
            "utility": [name for name, rule, family in listed if family == "utility" and rule == "S-ACTION"],
            "ineligible": INELIGIBLE,
            "unruled": UNRULED,
            "unknown": UNKNOWN,
        }
        pools["third_party"] = POPULAR + pools["third_party"]
        rows = [(pool, number, name) for pool, names in pools.items() for number, name in enumerate(names)]
        self.database.execute("create table apps (pool varchar, number bigint, adapter_name varchar)")
        self.database.executemany("insert into apps values (?, ?, ?)", rows)
        self.pool_sizes = {pool: len(names) for pool, names in pools.items()}

    def _create_customers(self) -> None:
        """Customers, the largest first. A fifth began during the time, one in fifty of the others left during it."""
        self.last_listing = 1 + 7 * ((self.days - 1) // 7)
        self.database.execute(f"""
            create table customers as
            with numbered as (
                select
                    c,
                    hash({self.seed}, 'customer', c) as k,
                    c >= 0.8 * {self.customers} as is_new,
                    c % 50 = 49 and c < 0.8 * {self.customers} as is_leaving
                from range({self.customers}) as customers (c)
            )
            select
                c,
                k,
                cast(1000001 + c as varchar) as account_id,
                case when is_new then pick(k, 'created', {self.last_listing}) else -1 - pick(k, 'created', 900) end
                    as created_day,
                case when is_leaving then 1 + pick(k, 'deleted', {self.days}) end as deleted_day,
                is_leaving,
                4 + cast(floor(36 * power(1 - c / {self.customers}, 4)) as bigint) as n_recipes
            from numbered
        """)

    def _create_recipes(self) -> None:
        """Recipes with their lines. Each customer's last two are functions, which its other recipes call."""
        shares, below = [], 0.0
        for kind, share, _, _ in KINDS:
            below += share
            shares.append(f"when spread(hash({self.seed}, c), 'kind', slot) < {below:.4f} then '{kind}'")
        kinds = ", ".join(f"('{kind}', {literal(first)}, {literal(last)})" for kind, _, first, last in KINDS)
        self.database.execute(f"""
            create table recipes as
            with slots as (
                select
                    row_number() over (order by c, slot) - 1 as r,
                    *,
                    hash({self.seed}, 'recipe', c, slot) as k
                from (select * exclude (k), unnest(range(n_recipes + 2)) as slot from customers)
            ),
            kinds as (
                select
                    *,
                    case
                        when slot = n_recipes then 'function'
                        when slot = n_recipes + 1 then 'callable'
                        {" ".join(shares)}
                    end as kind
                from slots
            ),
            shaped as (
                select
                    *,
                    case when kind = 'api_proxy' then 3 else 6 + pick(k, 'lines', 5) end as n_lines,
                    kind <> 'api_proxy' and draw(k, 'loop') < 0.3 as has_loop,
                    kind in ('workflow', 'scheduled', 'webhook', 'consumer', 'api_recipe', 'skill')
                        and spread(hash({self.seed}, c), 'call', slot * slot) < 0.3 as has_call,
                    draw(k, 'asynchronous') < 0.3 as is_asynchronous,
                    draw(k, 'callable') < 0.4 as calls_callable
                from kinds
            )
            select
                r,
                c,
                k,
                account_id,
                cast(2000001 + r as varchar) as recipe_id,
                kind,
                n_lines,
                case when has_loop then 2 end as loop_line,
                case when has_loop then 1 + pick(k, 'body', 2) + cast(n_lines > 8 as bigint) else 0 end as loop_body,
                is_asynchronous,
                calls_callable,
                -- the recipe that line 1 calls
                case when has_call then r - slot + n_recipes + cast(calls_callable as bigint) end as called_r,
                case when draw(k, 'environment') < 0.8 then 'prod' when draw(k, 'environment') < 0.92 then 'test'
                    else 'dev' end as environment_type,
                -- a type that the trigger doesn't tell is always said, others by every other listing
                case
                    when kind in ('knowledge_base', 'workflow_app') then kind
                    when draw(k, 'says its type') < 0.5 then null
                    when kind in ('function', 'callable') then 'recipe_function'
                    when kind in ('scheduled', 'webhook', 'consumer') then 'workflow'
                    else kind
                end as recipe_type,
                case
                    when is_leaving or created_day < 0 and draw(k, 'created') < 0.8
                        then least(created_day, -1) - pick(k, 'created before', 300)
                    else greatest(created_day, 0)
                        + pick(k, 'created', {self.last_listing} - greatest(created_day, 0))
                end as created_day,
                deleted_day,
                case when draw(k, 'stops') < 0.1 then pick(k, 'stopped', {self.days}) end as stopped_day,
                kind = 'workflow' and not has_call and draw(k, 'unlisted') < 0.02 as is_unlisted
            from shaped;

            create table lines as
            with kinds (kind, trigger_operation, last_operation) as (values {kinds}),
            positions as (
                select *, hash(k, line) as l, draw(l, 'what') as what
                from (select *, unnest(range(n_lines)) as line from recipes)
            ),
            roles as (
                select
                    positions.*,
                    case
                        when line = 0 then trigger_operation
                        when line = 1 and called_r is not null then
                            case when calls_callable then 'workato_service.call_service'
                                else 'workato_recipe_function.call_recipe' end
                            || case when is_asynchronous then '_async' else '' end
                        when line = 1 and kind like 'api_proxy%' then 'workato_api_proxy.forward_request'
                        when line = n_lines - 1 then last_operation
                        when what < 0.02 then 'workato_idp.process_document'
                        when what < 0.025 then 'workato_idp.classify_document'
                        when what < 0.045 then 'workato_pub_sub.publish_to_topic'
                        when what < 0.05 then 'workato_pub_sub.publish_to_topic_batch'
                    end as own_operation,
                    case
                        when line = loop_line then 'foreach'
                        when line = 1 or line = n_lines - 1 or line = 0 then null
                        when what between 0.05 and 0.13
                            then {KEYWORDS}[1 + pick(l, 'keyword', {len(KEYWORDS)})]
                    end as control_keyword,
                    case
                        when line = 0 then 'third_party'
                        when what < 0.3 then 'ineligible'
                        when what < 0.35 then 'unruled'
                        when what < 0.36 then 'unknown'
                        when what < 0.5 then 'utility'
                        else 'third_party'
                    end as pool,
                    what >= 0.93 and line > 0 as is_custom
                from positions
                inner join kinds using (kind)
            ),
            numbered as (
                select
                    *,
                    cast(floor(power(draw(l, 'app'), 2) * case pool {
            " ".join(f"when '{pool}' then {size}" for pool, size in self.pool_sizes.items())
        } end) as bigint) as number
                from roles
            )
            select
                r * 1000 + line as line_key,
                line,
                case
                    when control_keyword is not null then case when draw(l, 'list') < 0.1 then 'workato_list' end
                    when own_operation is not null then split_part(own_operation, '.', 1)
                    when is_custom then {CUSTOM}[1 + pick(l, 'custom', {len(CUSTOM)})] || '_connector_'
                        || numbered.account_id || '_' || cast(1600000000 + c as varchar)
                    else app_name
                end as adapter_name,
                case
                    when control_keyword is not null then null
                    when own_operation is not null then split_part(own_operation, '.', 2)
                    when line = 0 then 'new_record'
                    else {OPERATIONS}[1 + pick(l, 'operation', {len(OPERATIONS)})]
                end as adapter_operation,
                coalesce(control_keyword, case when line = 0 then 'trigger' else 'action' end) as keyword,
                adapter_name = 'workato_idp' as has_pages,
                adapter_operation = 'publish_to_topic_batch' as has_messages,
                case when line = 1 then cast(2000001 + called_r as varchar) end as called_recipe_id
            from numbered
            left join (select pool, number, adapter_name as app_name from apps) as apps using (pool, number)
            order by line_key;

            create table customer_recipes as select c, min(r) as first_r from recipes group by c
        """)

    def _create_days(self, steps: int) -> None:
        """How many jobs that no job called complete on each day: fewer at weekends, and as many steps as asked for."""
        sample = 20_000
        self.database.execute(f"""
            create temp table sampled as
            select
                -1 as day, i, false as is_function, false as is_running, false as is_slow, moment(0, 0) as extracted_at
            from range({sample}) as jobs (i);
            create temp table roots as {self._roots("sampled")}
        """)
        per_job = self.database.execute(f"""
            select sum(n_steps) / {sample}
            from (select n_steps from roots union all select n_steps from ({self._functions("roots")}))
        """).fetchone()[0]
        self.database.execute("drop table sampled; drop table roots")
        weights = [0.5 if (FIRST_DAY + timedelta(day)).weekday() >= 5 else 1.2 for day in range(self.days + 1)]
        jobs = steps / per_job / sum(weights[: self.days])
        self.database.execute("create table days (day bigint, jobs bigint)")
        self.database.executemany(
            "insert into days values (?, ?)",
            [(day, max(1, round(jobs * weight))) for day, weight in enumerate(weights)],
        )

    def _create_irregular(self, first_day: int, last_day: int) -> None:
        """Jobs that are delivered late or again: their nights, and whether they were still running at first."""
        self.database.execute(f"""
            create table irregular as
            with parts as (
                select day, unnest(range(jobs)) as i, is_function
                from days, (values (false), (true)) as parts (is_function)
                where day between {first_day} and {last_day}
            ),
            drawn as (
                select
                    *,
                    {self._job_key("day", "i")} as h,
                    draw(case when is_function then mixed(h, 'function') else h end, 'delivery') as delivery
                from parts
            ),
            -- delivered again 1 %, late 2 %; of 1 % again half in the same night
            irregular as (
                select
                    *,
                    delivery < 0.01 as is_repeated,
                    delivery between 0.0025 and 0.005 and not is_function as is_running_at_first,
                    case when delivery between 0.009 and 0.029 then 1 + pick(h, 'late', {LONGEST_DELAY}) else 0 end
                        as nights_late,
                    case when delivery < 0.005 then 1 + pick(h, 'again', {LONGEST_DELAY}) else 0 end as nights_between
                from drawn
                where delivery < 0.029
            )
            select
                day,
                i,
                is_function,
                is_running_at_first,
                day + 1 + nights_late as first_night,
                case when is_repeated then day + 1 + nights_late + nights_between end as second_night
            from irregular
        """)

    def _write_night(self, folder: Path, night: int) -> None:
        """Write what was taken in a night."""
        cursor = self.database.cursor()
        day = FIRST_DAY + timedelta(night)
        # what completed the day before, unless it comes late or again; and of earlier days what comes now
        cursor.execute(f"""
            create temp table delivered as
            select day, i, is_function, false as is_running, false as is_slow, moment({night}, 7200) as extracted_at
            from (
                select day, unnest(range(jobs)) as i, is_function
                from days, (values (false), (true)) as parts (is_function)
                where day = {night - 1}
            )
            anti join irregular using (day, i, is_function)
            union all
            select day, i, is_function, is_running_at_first, is_running_at_first, moment({night}, 7200)
            from irregular where first_night = {night}
            union all
            select day, i, is_function, false, is_running_at_first, moment({night}, 9600)
            from irregular where second_night = {night};

            create temp table roots as {self._roots("delivered")};

            create temp table jobs as
            select * from roots where not is_function
            union all by name
            ({self._functions("(select * from roots where is_function)")})
        """)
        copy(
            cursor,
            folder / "jobs" / f"{day}.parquet",
            """
            select
                job_id as id,
                account_id,
                environment_type,
                recipe_id,
                case when is_old_words then case status when 'succeeded' then 'completed' when 'failed' then 'error'
                    else status end else status end as status,
                draw(h, 'rerun') < 0.01 as is_repeat,
                case when is_repeat then 1 end as repeat_count,
                case when is_repeat then job_name(mixed(h, 'master')) end as master_job_id,
                calling_job_id,
                calling_recipe_id,
                calling_job_id as root_job_id,
                calling_recipe_id as root_recipe_id,
                draw(h, 'test') < 0.01 as is_test,
                is_poll_error,
                started_at,
                case when not is_running then completed_at end as completed_at,
                n_steps - 1 as action_count,
                case when status = 'failed' then 'Error calling adapter' end as error_type,
                case when status = 'failed' then 'The app answered with an error.' end as error,
                extracted_at
            from jobs
            """,
        )
        copy(
            cursor,
            folder / "steps" / f"{day}.parquet",
            """
            with positions as (
                select
                    *,
                    hash(h, line_index) as s,
                    draw(s, 'status') as what,
                    case
                        when loop_body = 0 or line_index <= loop_line then line_index
                        when line_index <= loop_line + iterations * loop_body
                            then loop_line + 1 + (line_index - loop_line - 1) % loop_body
                        else line_index - (iterations - 1) * loop_body
                    end as recipe_line
                from (select *, unnest(range(n_steps)) as line_index from jobs)
            ),
            stated as (
                select
                    *,
                    case
                        when line_index = failed_line then 'failed'
                        when line_index < 2 or lines.keyword not in ('trigger', 'action') then 'succeeded'
                        when what < 0.03 then 'skipped'
                        when what < 0.04 then 'failed'
                        else 'succeeded'
                    end as state
                from positions
                inner join lines on positions.r * 1000 + positions.recipe_line = lines.line_key
            )
            select
                account_id,
                job_id,
                line_index,
                recipe_line as recipe_line_number,
                adapter_name,
                adapter_operation,
                keyword,
                -- some rows have no status: an error says that they failed
                case
                    when what > 0.95 and state <> 'skipped' then null
                    when is_old_words and state = 'succeeded' then 'completed'
                    when is_old_words and state = 'failed' then 'error'
                    else state
                end as status,
                case when state = 'failed' then 'The app answered with an error.' end as error,
                case when has_pages and draw(s, 'no count') > 0.002 then 1 + pick(s, 'pages', 12) end as page_count,
                case when has_messages and draw(s, 'no count') > 0.002 then 1 + pick(s, 'messages', 200) end
                    as message_count,
                called_recipe_id,
                round(draw(s, 'duration') * 3, 3) as duration_seconds,
                extracted_at
            from stated
            """,
        )
        self._write_requests(cursor, folder, night, day)
        if night % 7 == 1:
            self._write_listings(cursor, folder, night, day)
        cursor.close()

    def _write_requests(self, cursor: duckdb.DuckDBPyConnection, folder: Path, night: int, day: date) -> None:
        """Write the requests of the day before: of API jobs, which may come later, of plain proxying, and prompts."""
        number = night - 1
        cursor.execute(f"""
            create temp table day_jobs as
            select day, unnest(range(jobs)) as i, false as is_function, false as is_running, false as is_slow,
                moment({night}, 7200) as extracted_at
            from days where day = {number};

            create temp table plain as
            select
                customers.account_id,
                h,
                moment({number}, pick(h, 'time', 86400)) as requested_at,
                moment({night}, 7200) as extracted_at
            from (
                select hash({self.seed}, 'request', {number}, i) as h
                from days, unnest(range(1 + jobs // 50)) as requests (i)
                where day = {number}
            )
            inner join customers
                on customers.c = cast(floor({self.customers} * power(draw(h, 'customer'), 3)) as bigint)
        """)
        copy(
            cursor,
            folder / "api_requests" / f"{day}.parquet",
            f"""
            select
                request_name(h, 'rq') as id,
                account_id,
                started_at as requested_at,
                case when kind = 'api_recipe' then 'managed' when kind = 'api_proxy' then 'proxy'
                    else 'proxy_transformation' end as request_type,
                case when draw(recipe_key, 'collection') < 0.2 then 'mcp-' else 'api-' end || account_id
                    as api_collection_id,
                recipe_id,
                job_id,
                case when status = 'failed' then 500 else 200 end as http_status,
                cast(null as varchar) as gateway_code,
                case when status = 'failed' then 'true' else 'false' end as internal_error,
                extracted_at
            from ({self._roots("day_jobs")})
            where kind like 'api%'
            union all
            select
                request_name(h, 'rq'),
                account_id,
                requested_at,
                case when draw(h, 'type') < 0.9 then 'proxy' else 'proxy_transformation' end,
                case when draw(h, 'collection') < 0.1 then 'mcp-' else 'api-' end || account_id,
                null,
                null,
                case when draw(h, 'refused') < 0.05 then 429 else 200 end,
                case when draw(h, 'refused') < 0.05 then '429' end,
                case when draw(h, 'error') < 0.01 then 'true' else 'false' end,
                extracted_at
            from plain
            """,
        )
        copy(
            cursor,
            folder / "event_stream_requests" / f"{day}.parquet",
            """
            select
                request_name(h, 'es') as id,
                account_id,
                requested_at,
                ['publish', 'batch_publish', 'consume', 'batch_consume'][1 + pick(h, 'endpoint', 4)] as endpoint,
                case when endpoint like 'batch%' then 1 + pick(h, 'messages', 100) else 1 end as message_count,
                case when draw(h, 'failed') < 0.03 then 'failed' else 'succeeded' end as status,
                extracted_at
            from plain
            where draw(h, 'event') < 0.5
            """,
        )
        copy(
            cursor,
            folder / "genie_prompts" / f"{day}.parquet",
            """
            select
                request_name(h, 'prompt') as id,
                account_id,
                'genie-' || account_id as genie_id,
                'conversation-' || letters8(mixed(h, 'conversation')) as conversation_id,
                'user' as sender_type,
                requested_at as sent_at,
                case when draw(h, 'failed prompt') < 0.02 then 'failed' when draw(h, 'failed prompt') < 0.9
                    then 'succeeded' end as status,
                extracted_at
            from plain
            where draw(h, 'prompt') < 0.5
            """,
        )

    def _write_listings(self, cursor: duckdb.DuckDBPyConnection, folder: Path, night: int, day: date) -> None:
        """Write the full listings of a night."""
        listed = f"created_day < {night} and coalesce(deleted_day >= {night}, true)"
        copy(
            cursor,
            folder / "customers" / f"{day}.parquet",
            f"""
            select
                account_id as id,
                'external-' || account_id as external_id,
                'Customer ' || account_id as name,
                ['starter', 'growth', 'enterprise'][1 + pick(k, 'plan id', 3)] as plan_id,
                created_day > {night} - 30 as in_trial,
                draw(k, 'expired') < 0.03 as subscription_expired,
                moment(created_day, pick(k, 'created at', 86400)) as created_at,
                moment({night}, 3600) as extracted_at
            from customers
            where {listed}
            """,
        )
        copy(
            cursor,
            folder / "recipes" / f"{day}.parquet",
            f"""
            select
                recipe_id as id,
                account_id as user_id,
                'Recipe ' || recipe_id as name,
                recipe_type,
                lines.adapter_name as trigger_application,
                lines.adapter_operation as trigger_operation,
                coalesce(stopped_day >= {night}, true) as running,
                moment(created_day, pick(k, 'created at', 86400)) as created_at,
                case when not running then moment(stopped_day, 43200) end as stopped_at,
                moment({night}, 0) as last_run_at,
                'project-' || account_id || '-' || (r % 3) as project_id,
                ['Sales', 'Finance', 'Operations'][1 + r % 3] as project_name,
                case when draw(k, 'clone') < 0.1 then cast(9000001 + pick(k, 'parent', 10) as varchar) end as parent_id,
                {night} * 100 as lifetime_task_count,
                moment({night}, 3600) as extracted_at
            from recipes
            inner join lines on recipes.r * 1000 = lines.line_key
            where {listed} and not is_unlisted
            order by r
            """,
        )
        copy(
            cursor,
            folder / "connections" / f"{day}.parquet",
            f"""
            select
                'connection-' || account_id || '-' || n as id,
                account_id as user_id,
                apps.adapter_name || ' connection' as name,
                apps.adapter_name as provider,
                case when draw(x, 'status') < 0.9 then 'success' when draw(x, 'status') < 0.97 then 'failed' end
                    as authorization_status,
                case when authorization_status = 'success' then moment(created_day, 50000) end as authorized_at,
                moment(created_day, 43200) as created_at,
                moment({night}, 3600) as extracted_at
            from (
                select *, hash(k, 'connection', n) as x
                from customers, unnest(range(3 + pick(k, 'connections', 10))) as connections (n)
            )
            inner join apps on apps.pool = 'third_party'
                and apps.number = cast(floor(power(draw(x, 'app'), 2) * {self.pool_sizes["third_party"]}) as bigint)
            where {listed}
            order by c, n
            """,
        )
        copy(
            cursor,
            folder / "api_collections" / f"{day}.parquet",
            f"""
            select
                prefix || account_id as id,
                account_id,
                prefix || 'collection' as name,
                prefix = 'mcp-' as is_mcp_server,
                moment({night}, 3600) as extracted_at
            from customers, (values ('api-'), ('mcp-')) as prefixes (prefix)
            """,
        )

    def _job_key(self, day: str, number: str) -> str:
        return f"hash(hash({self.seed}, {day}, {number}))"

    def _roots(self, deliveries: str) -> str:
        """The jobs that no job called, from their days and numbers: a customer by a power law, one of its recipes."""
        return self._shaped(f"""
            with drawn as (
                select
                    *,
                    {self._job_key("day", "i")} as h,
                    cast(floor({self.customers} * power(draw(h, 'customer'), 3)) as bigint) as drawn_c
                from {deliveries}
            ),
            -- instead of a customer that has not begun, or has left, another one
            begun as (
                select drawn.*, case when created_day > day then drawn_c // 2 else drawn_c end as begun_c
                from drawn inner join customers on drawn.drawn_c = customers.c
            )
            select
                begun.* exclude (drawn_c, begun_c),
                pick(h, 'seconds', 86400) as seconds,
                first_r + cast(floor(n_recipes * power(draw(h, 'recipe'), 2)) as bigint) as r,
                cast(null as varchar) as calling_job_id,
                cast(null as varchar) as calling_recipe_id
            from begun
            inner join customers as here on begun.begun_c = here.c
            inner join customer_recipes
                on here.c - cast(coalesce(here.deleted_day <= day, false) as bigint) = customer_recipes.c
        """)

    def _functions(self, roots: str) -> str:
        """The functions that jobs called, where these came further than their call."""
        return self._shaped(f"""
            select
                day,
                i,
                is_function,
                is_running,
                is_slow,
                extracted_at,
                mixed(h, 'function') as h,
                seconds - 1 as seconds,
                called_r as r,
                job_id as calling_job_id,
                recipe_id as calling_recipe_id
            from {roots}
            where called_r is not null and n_steps > 2
        """)

    def _shaped(self, jobs: str) -> str:
        """Jobs with what became of them: how often a loop turned, how many steps they came, and when they completed."""
        return f"""
            with looped as (
                select
                    jobs.*,
                    recipes.account_id,
                    recipes.recipe_id,
                    recipes.k as recipe_key,
                    kind,
                    environment_type,
                    called_r,
                    loop_line,
                    loop_body,
                    c % 10 = 3 as is_old_words,
                    cast(1 + floor(-4 * ln(1 - draw(h, 'turns'))) as bigint)
                        * case when draw(h, 'many turns') < 0.001 then 50 else 1 end as iterations,
                    n_lines + (iterations - 1) * loop_body as n_full,
                    draw(h, 'outcome') as outcome,
                    outcome > 0.995 and kind in ('workflow', 'consumer') as is_poll_error
                from ({jobs}) as jobs
                inner join recipes on jobs.r = recipes.r
            ),
            ended as (
                select
                    *,
                    case
                        when is_poll_error then 0
                        when outcome < 0.04 then 1 + pick(h, 'failed at', n_full - 1)
                    end as last_failed_line,
                    case
                        when last_failed_line is not null then last_failed_line + 1
                        when outcome < 0.045 then 1 + pick(h, 'canceled at', n_full)
                        else n_full
                    end as n_final
                from looped
            )
            select
                *,
                job_name(h) as job_id,
                case when is_running then 1 + pick(h, 'reached', n_final) else n_final end as n_steps,
                case when not is_running then last_failed_line end as failed_line,
                case
                    when is_running then 'processing'
                    when last_failed_line is not null then 'failed'
                    when outcome < 0.045 then 'canceled'
                    else 'succeeded'
                end as status,
                moment(day, seconds - 1 - pick(h, 'duration', 600)) as started_at,
                moment(day, seconds + case when is_slow then 86400 else 0 end) as completed_at
            from ended
        """


def copy(database: duckdb.DuckDBPyConnection, path: Path, query: str) -> None:
    """Write a query's rows into a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database.execute(f"copy ({query}) to {literal(path)} (format parquet)")


def literal(value: object) -> str:
    """A value as an SQL literal."""
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"


if __name__ == "__main__":
    main()
