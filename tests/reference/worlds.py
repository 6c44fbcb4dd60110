"""Random worlds for the counting rules.

``random_world(seed)`` is the same world in every run: odd deliveries, call chains and cycles, bad rows, edges of months
and of the rules. ``merge_worlds`` makes many worlds one: account, recipe and request ids get a prefix, job ids stay
shared on purpose.
"""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from .reconciliation import METRICS
from .reference import Options, compute

LISTINGS = [
    datetime(2024, 3, 1, 0, 30, tzinfo=UTC),
    datetime(2024, 4, 1, tzinfo=UTC),  # a month's first midnight
    datetime(2024, 4, 30, 22, 0, tzinfo=UTC),
    datetime(2024, 5, 16, 6, 30, tzinfo=UTC),  # the evening of the 15th in the Americas
    datetime(2024, 6, 1, 5, 0, tzinfo=UTC),
]  # the same for all seeds: worlds can be merged
END = LISTINGS[-1]  # the newest extract; before midnight in the Americas
MIDDLE = datetime(2024, 4, 16, 12, tzinfo=UTC)
ADMIN = "adm"
EVERYONE = "*"  # the account of the partner's own contract
EDGES = [
    datetime(2020, 10, 1, tzinfo=UTC),
    datetime(2024, 3, 1, tzinfo=UTC),
    datetime(2024, 4, 1, tzinfo=UTC),
    datetime(2024, 5, 1, tzinfo=UTC),
    datetime(2024, 6, 1, tzinfo=UTC),
]
YEAR_EDGES = [datetime(2023, 6, 1, tzinfo=UTC), datetime(2023, 7, 1, tzinfo=UTC)]  # where twelve months begin
RECONSTRUCTED_EDGES = [
    datetime(2024, month, 1, hour, tzinfo=UTC) for month in (1, 2, 3) for hour in (0, 8)
]  # month's ends before the first listing, in UTC and in Los Angeles
INSTANT = timedelta(microseconds=1)
TOLERANCE = timedelta(hours=6)  # rows of one listing lie so far apart at most

ELIGIBLE = [
    ("salesforce", "create_object"),
    ("slack", "post_message_to_channel"),
    ("rest", "make_request_v2"),
    ("csv_parser", "parse_csv"),
    ("js_eval", "invoke"),
    ("workato_rpa", "run"),
    ("zendesk_secondary", "search"),
    ("sms_secondary", "send"),
    ("coda", "add_row"),
    ("connector_4me", "create_request"),
    ("file_connector", "read"),
    ("salesforce", "search_records_batch"),
    ("workato_smart_list", "query"),
    ("salesforce", None),
]
INELIGIBLE = [
    ("logger", "log_message"),
    ("lookup_table", "get_entry"),
    ("workato_variable", "declare_variable"),
    ("pgp", "encrypt"),
    ("workato_db_table", "add_record"),
    ("workato_files", "store_file"),
    ("workato_app", "start"),
    ("workato_idp", "list_models"),
    ("workato_service", "send_reply"),
    ("workato_service", "wait_for_async_jobs"),
    ("workato_recipe_function", "return_result"),
    ("workato_api_platform", "call_api"),
]
UNRULED = [
    ("slack_bot", "post"),
    ("byollm", "ask"),
    ("pdf_tools", "merge"),
    ("workato_list", "create_list"),
    ("workato_genie", "assign_task_to_genie"),
    ("mcp", "call_tool"),
    ("enterprise_context", "search_documents"),
    ("workato_skill", "workflow_return_result"),
    ("workato_new_thing", "go"),  # unlisted, by the platform
]
UNKNOWN = [("brand_new_app", "create"), ("foo_connector_12", "run"), ("workatonew", "go")]
CUSTOM = [
    ("acme_crm_connector_12345_1612345678", "upsert"),
    ("acme_crm_connector_99_1699999999", "upsert"),  # another connector of the same name
    ("a_connector_b_connector_7_1700000000", "sync"),
]
ODD_ADAPTERS = [
    ("asana_secondary", "get"),
    ("logger_secondary", "log"),
    ("brand_new_app_secondary", "create"),
    ("acme_crm_connector_12345_1612345678_secondary", "upsert"),
    ("workato_idp_secondary", "process_document"),
    ("workato_new_thing_secondary", "go"),
    ("workato_crm_connector_7_1700000000", "go"),
    ("Workato_new_thing", "go"),
    ("brand-secondary", "go"),
    ("Salesforce", "create_object"),
]
EVENTS = [
    ("workato_pub_sub", "publish_to_topic"),
    ("workato_pub_sub", "publish_to_topic_batch"),
    ("workato_pub_sub", "consume_messages"),
    ("workato_idp", "process_document"),
    ("workato_idp", "classify_document"),
]
WORKFLOW_TRIGGERS = [
    ("salesforce", "new_object"),
    ("clock", "scheduled_event"),
    ("workato_webhooks", "new_event"),
    ("workato_pub_sub", "subscribe_to_topic"),
    ("brand_new_app", "new_thing"),
    ("acme_crm_connector_12345_1612345678", "new_row"),
    ("workato_workflow_task", "new_requests_realtime"),
    ("workato_genie", "new_message"),
    ("workato_skill", "other_trigger"),
    ("workato_api_platform", "other_trigger"),
    ("slack_secondary", "new_event"),
]
TRIGGERS = {
    "api_recipe": [("workato_api_platform", "receive_request")],
    "api_proxy": [("workato_api_proxy", "receive_request")],
    "recipe_function": [("workato_recipe_function", "execute"), ("workato_service", "receive_request")],
    "skill": [("workato_genie", "start_workflow"), ("workato_skill", "start_workflow")],
}
CALLS = {
    "sync": [("workato_recipe_function", "call_recipe"), ("workato_service", "call_service")],
    "async": [("workato_recipe_function", "call_recipe_async"), ("workato_service", "call_service_async")],
}
KEYWORDS = ["if", "elsif", "else", "foreach", "repeat", "while_condition", "try", "catch", "stop"]
SUCCEEDED, FAILED = ["succeeded", "completed", "success"], ["failed", "error"]
CANCELED, PENDING = ["canceled", "cancelled"], ["pending", "processing"]
WORDS_FOR = {True: ["true", "True", "TRUE", "t", "1"], False: ["false", "False", "FALSE", "f", "0"]}
STATUSES = ["success", "success", "success", "failed", "exception", None]  # of a connection
TWIN_TASKS = 300  # more than any other account has
RECOMMENDED_NAMES = ["Sync accounts", "Sync accounts", "sync accounts", "Ablage", "Überweisung", "Zendesk", None]
TRUE_ZONES = [
    timedelta(0),
    timedelta(hours=2),
    timedelta(hours=-7),
    timedelta(hours=5, minutes=30),
    timedelta(hours=14),
    timedelta(hours=-11),
]


class Builder:
    """Grows one world; every choice comes from the seed."""

    def __init__(self, seed, size):
        self.rng = random.Random(f"world-{seed}")
        # of reconciliation: choices that change none of the others
        self.own_rng = random.Random(f"vendor-{seed}")
        self.size = size
        self.world = defaultdict(list)
        self.counter = 0
        self.recipes = defaultdict(list)  # account -> recipe dicts
        self.next_job = defaultdict(int)

    # ------------------------------------------------------------------------------------------------ small things
    def chance(self, p):
        return self.rng.random() < p

    def pick(self, options):
        return self.rng.choice(options)

    def number(self, prefix):
        self.counter += 1
        return f"{prefix}-{self.counter}"

    def time(self, moment):
        """ISO text of an instant with one of many offsets, or none (= UTC)."""
        if moment is None:
            return None
        if self.chance(0.15):
            return moment.astimezone(UTC).replace(tzinfo=None).isoformat()
        if self.chance(0.3):
            return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
        return moment.astimezone(timezone(self.pick(TRUE_ZONES))).isoformat()

    def moment(self, last=END - timedelta(hours=1)):
        """Somewhere in the window, often near a month's edge, sometimes around the start of tasks."""
        if self.chance(0.06):
            moment = EDGES[0] + timedelta(minutes=self.rng.randint(-1500, 1500))
        elif self.chance(0.03):
            moment = self.pick(YEAR_EDGES) + timedelta(minutes=self.rng.randint(-900, 900))
        elif self.chance(0.35):
            moment = self.pick(EDGES[1:]) + timedelta(minutes=self.rng.randint(-900, 900))
        else:
            moment = datetime(2024, 2, 1, tzinfo=UTC) + timedelta(minutes=self.rng.randint(0, 120 * 1440))
        if self.chance(0.1):
            moment += timedelta(microseconds=self.rng.choice([1000, 999999, 123456]))
        return min(moment, last)

    def past(self, last):
        """When something was created, authorized or stopped: any time, or on the edge of a month without listing."""
        if self.chance(0.35):
            return min(self.pick(RECONSTRUCTED_EDGES) + self.pick([-INSTANT, timedelta(0), INSTANT]), last)
        moment = self.moment(last)
        return moment if moment < last else last - timedelta(minutes=self.rng.randint(0, 90 * 1440))

    def listed_at(self):
        """The listings that hold a thing: all, from or up to one, or all but one: deleted, then listed again."""
        n = self.rng.randint(1, len(LISTINGS) - 1)
        but_one = [listing for i, listing in enumerate(LISTINGS) if i != n]
        return self.pick([LISTINGS, LISTINGS, LISTINGS, LISTINGS[n:], LISTINGS[:n], but_one])

    def fetched(self, listing):
        """When a row of the listing was fetched: a listing takes hours. Too early by an instant is a listing itself."""
        if self.chance(0.7):
            return listing
        before = [timedelta(seconds=self.rng.randint(1, 21_599)), TOLERANCE]
        return listing - self.pick(before * 20 + [TOLERANCE + INSTANT])

    # ------------------------------------------------------------------------------------------ customers, recipes
    def customers(self):
        self.accounts = [f"c{i}" for i in range(1, self.rng.randint(2, 4) + 1)]
        for account in self.accounts + ([ADMIN] if self.chance(0.5) else []):
            created = self.pick(
                [
                    datetime(2023, 12, 31, 23, 30, tzinfo=UTC),
                    datetime(2024, 1, 15, tzinfo=UTC),
                    datetime(2024, 3, 1, 0, 10, tzinfo=UTC),
                    datetime(2024, 4, 1, 3, tzinfo=UTC),
                    datetime(2024, 5, 10, tzinfo=UTC),
                    self.past(LISTINGS[0] - INSTANT),
                    self.past(LISTINGS[0] - INSTANT),
                ]
            )
            names = [f"Customer {account}"] * 3 + ["Same Ltd", "Same Ltd", "same ltd", "Ångström AB"]
            self.list_customer(account, None if self.chance(0.03) else self.pick(names), created)
        if self.chance(0.5):
            self.accounts.append("u1")  # in no customer listing
        self.accounts.append(ADMIN)  # listed or not

    def list_customer(self, account, name, created):
        created_text = self.time(created)
        for listing in self.listed_at():
            if listing < created:
                continue
            renamed = name and listing == LISTINGS[-1] and self.chance(0.3)
            self.world["customers"].append(
                {
                    "id": account,
                    "external_id": self.pick([None, f"x-{account}"]),
                    "name": f"{name} renamed" if renamed else name,
                    "plan_id": self.pick([None, "p1", "p2"]),
                    "in_trial": self.pick([None, True, False]),
                    "subscription_expired": self.pick([None, True, False]),
                    "created_at": created_text,
                    "extracted_at": self.time(self.fetched(listing)),
                }
            )

    def recommend(self):
        """Recommended recipes: of nobody, of the partner's workspace, and a customer's that may be a clone itself."""
        ids = [f"rec-{n}" for n in range(1, self.rng.randint(3, 8))]
        if self.chance(0.3):
            ids.append("c1-r0")
        self.recommended = ids
        self.clones = []  # the recipes that have a parent, for clones of clones
        for id in ids:
            self.world["recommended_recipes"].append(
                {
                    "recipe_id": id,
                    "name": self.pick(RECOMMENDED_NAMES),
                    "recommended_from": self.pick([None, "2024-01-01", "2024-04-15"]),
                }
            )

    def parent(self):
        """What a recipe was cloned from, if it was."""
        if self.chance(0.3):
            return self.pick(self.recommended)
        if self.clones and self.chance(0.15):
            return self.pick(self.clones)
        return self.pick([None] * 20 + ["rec-nobody-recommends", ADMIN + "-r0"])

    def list_recipe(self, account, id, name, typed, adapter, operation):
        listings = self.listed_at()
        created, stopped = self.past(listings[0] - timedelta(minutes=1)), None
        running = self.chance(0.6)
        parent = self.parent()
        if parent:
            self.clones.append(id)
        project = self.pick([(None, None), ("p1", "Finance"), ("p2", "Sales")])
        for i, listing in enumerate(listings):
            row_type = typed
            if i < len(listings) - 1 and self.chance(0.1):
                row_type = self.pick(["workflow", "api_recipe", "skill"])  # an older listing said something else
            if self.chance(0.35):
                running = not running
            if i == 0 or self.chance(0.3):
                stopped = self.pick([None, None, self.past(END), self.moment()])
            if self.chance(0.1):
                project = self.pick([(None, None), ("p1", "Finance and more"), ("p3", None)])
            self.world["recipes"].append(
                {
                    "id": id,
                    "user_id": account,
                    "name": f"{name}, renamed" if self.chance(0.05) else name,
                    "recipe_type": row_type,
                    "trigger_application": adapter,
                    "trigger_operation": operation,
                    "running": running,
                    "created_at": self.time(created),
                    "stopped_at": self.time(stopped),
                    "last_run_at": None,
                    "project_id": project[0],
                    "project_name": project[1],
                    "parent_id": self.pick([None, self.parent()]) if self.chance(0.08) else parent,
                    "lifetime_task_count": self.pick([None, 5]),
                    "extracted_at": self.time(self.fetched(listing)),
                }
            )

    def make_recipes(self, account):
        kinds = ["workflow"] * 4 + ["api_recipe"] * 2 + ["api_proxy"] * 2 + ["recipe_function"] * 4 + ["skill"] * 2
        kinds += ["knowledge_base", "workflow_app"]
        for n, kind in enumerate(kinds):
            trigger = self.pick(TRIGGERS.get(kind, WORKFLOW_TRIGGERS))
            recipe = {
                "id": f"{account}-r{n}",
                "kind": kind,
                "trigger": trigger,
                "listed": self.pick(["typed", "trigger", "trigger", "adapter", "unlisted", "unlisted"]),
            }
            if kind in ("knowledge_base", "workflow_app"):
                recipe["listed"] = "typed"
            self.recipes[account].append(recipe)
            if recipe["listed"] == "unlisted":
                continue
            adapter, operation = trigger
            typed = None
            if recipe["listed"] == "typed":
                typed = kind
                if kind == "api_proxy" and self.chance(0.5):
                    typed = "api_proxy_transformation"
                if kind == "workflow" and self.chance(0.15):  # the extract knows better than the trigger
                    adapter, operation = "workato_api_platform", "receive_request"
                if kind == "api_recipe" and self.chance(0.15):
                    adapter, operation = "salesforce", "new_object"
            elif recipe["listed"] == "adapter":
                operation = None
            self.list_recipe(account, recipe["id"], f"Recipe {n}", typed, adapter, operation)

    def connections(self, account):
        """Connections that are authorized sooner or later, lose that again, or have no time or no provider."""
        for _ in range(self.rng.randint(1, 6)):
            id = self.number("con")
            provider = self.pick([*ELIGIBLE, *INELIGIBLE[:2], *UNRULED[:2], *UNKNOWN, *CUSTOM, *ODD_ADAPTERS])[0]
            if self.chance(0.04):
                provider = None
            listings = self.listed_at()
            created = self.past(listings[0] - timedelta(minutes=1))
            status, authorized = self.pick(STATUSES), None
            for listing in listings:
                if self.chance(0.2):
                    status = self.pick(STATUSES)
                if status == "success" and (authorized is None or self.chance(0.1)):
                    later = max(created, self.past(listing - timedelta(minutes=1)))
                    authorized = self.pick([created + timedelta(minutes=5), later, later])
                has_time = self.chance(0.93 if status == "success" else 0.5)
                self.world["connections"].append(
                    {
                        "id": id,
                        "user_id": account,
                        "name": None,
                        "provider": provider,
                        "authorization_status": status,
                        "authorized_at": self.time(authorized) if has_time else None,
                        "created_at": self.time(created),
                        "extracted_at": self.time(self.fetched(listing)),
                    }
                )

    def twins(self):
        """Two accounts with equally many tasks in one long job each, the most of all: names, then ids break the tie."""
        tasks = TWIN_TASKS + self.chance(0.15)
        for account in ("t1", "t2"):
            if self.chance(0.8):  # else in no customer listing
                created = datetime(2024, 1, 15, tzinfo=UTC)
                self.list_customer(account, self.pick(["Twin", "Twin", "twin", "Çelik", None]), created)
            completed = self.pick(EDGES[1:4] + YEAR_EDGES) + timedelta(days=self.rng.randint(1, 12))
            row = {
                "id": "j-1",
                "account_id": account,
                "environment_type": None,
                "recipe_id": f"{account}-r0",
                "status": "succeeded",
                "started_at": self.time(completed),
                "completed_at": self.time(completed),
                "extracted_at": self.time(completed),
            }
            self.world["jobs"].append(dict.fromkeys(self.world["jobs"][0]) | row)
            for position in range(tasks + 1):
                step = self.step(position, *self.pick(CUSTOM + UNKNOWN), "status")
                if position == 0:
                    step = self.step(0, None, None, "bare")  # neither a trigger nor a task, under any terms
                place = {"line_index": position, "account_id": account, "job_id": "j-1"}
                self.world["steps"].append({**step, **place, "extracted_at": self.time(completed)})

    # ------------------------------------------------------------------------------------------------------- steps
    def action(self, kind):
        pools = [
            (ELIGIBLE, 8),
            (INELIGIBLE, 3),
            (UNRULED, 2),
            (UNKNOWN, 2),
            (CUSTOM, 2),
            (EVENTS, 4),
            (ODD_ADAPTERS, 1),
        ]
        if kind == "api_proxy":
            # mostly a plain proxy: forward and return, failed, skipped and control steps among them
            pools = [
                ([("workato_api_proxy", "forward_request"), ("workato_api_proxy", "return_response")], 12),
                (ELIGIBLE, 1),
                (EVENTS, 1),
                (INELIGIBLE, 1),
            ]
            pools.append(([("workato_api_platform", "return_response")], 1))
        pool = self.rng.choices([p for p, _ in pools], [w for _, w in pools])[0]
        return self.pick(pool)

    def step(self, recipe_line, adapter, operation, style, outcome="succeeded"):
        """One step. style: bare (neither status nor keyword), status or mixed; outcome: a canonical status word."""
        step = {
            "recipe_line_number": recipe_line,
            "adapter_name": adapter,
            "adapter_operation": operation,
            "keyword": None,
            "status": None,
            "error": None,
            "page_count": None,
            "message_count": None,
            "called_recipe_id": None,
            "duration_seconds": self.pick([None, 0.25, 1]),
        }
        if style == "bare" or (style == "mixed" and self.chance(0.5) and outcome in ("succeeded", "failed")):
            step["error"] = "boom" if outcome != "succeeded" else self.pick([None, None, ""])
        else:
            words = {"succeeded": SUCCEEDED, "failed": FAILED, "canceled": CANCELED, "pending": PENDING}
            step["status"] = self.pick(words.get(outcome, [outcome]))
            step["error"] = (
                self.pick(["boom", None]) if outcome == "failed" else "404 by design" if self.chance(0.05) else None
            )
        if adapter == "workato_idp" and not self.chance(0.15):
            step["page_count"] = self.rng.randint(0, 9)
        elif adapter == "workato_idp" and self.chance(0.5):
            step["page_count"] = self.pick(["many", -2, "3.0", 2.5])
        if operation == "publish_to_topic_batch" and not self.chance(0.15):
            step["message_count"] = self.rng.randint(0, 12)
        elif operation == "publish_to_topic_batch" and self.chance(0.5):
            step["message_count"] = self.pick(["n/a", -1])
        if self.chance(0.03):
            step["page_count"] = 7  # a count on a step that is no such operation
        if style != "bare" and self.chance(0.02):
            step["keyword"] = "action"  # a keyword that is no control keyword
        return step

    def make_steps(self, recipe, style, calls, fails):
        """calls: list of (how, function recipe, skipped)."""
        kind = recipe["kind"]
        adapter, operation = recipe["trigger"]
        line_zero_status = "succeeded" if not self.chance(0.03) else "failed"
        steps = [self.step(0, adapter, operation, style, line_zero_status)]
        if self.chance(0.02):
            steps[0]["adapter_name"], steps[0]["adapter_operation"] = None, None
        if recipe["listed"] == "unlisted" and self.chance(0.3):
            steps[0]["adapter_operation"] = None  # the adapter alone decides
        body = [("action", *self.action(kind)) for _ in range(self.rng.choice([0, 1, 2, 3, 4, 6]))]
        body += [("call", how, function, skipped) for how, function, skipped in calls]
        if self.chance(0.4):
            body.append(("control",))
        self.rng.shuffle(body)
        for line, item in enumerate(body, start=1):
            outcome = "skipped" if style != "bare" and self.chance(0.08) else "succeeded"
            if style != "bare" and self.chance(0.03):
                outcome = self.pick(["canceled", "pending", "failed"])
            elif self.chance(0.04):
                outcome = "failed"  # handled by the recipe; the job goes on
            if item[0] == "control":
                if style == "bare" or self.chance(0.5):
                    step = self.step(line, self.pick([None, ""]), None, style)
                    step["keyword"] = None if style == "bare" else self.pick(KEYWORDS)
                else:
                    step = self.step(
                        line,
                        self.pick(["salesforce", "workato_idp", "logger"]),
                        self.pick(["create_object", "process_document", None]),
                        style,
                    )
                    step["keyword"] = self.pick(KEYWORDS)
                    if calls and self.chance(0.3):  # a control statement calls nothing, whatever stands in its row
                        step["adapter_name"], step["adapter_operation"] = self.pick(CALLS["sync"] + CALLS["async"])
                        step["called_recipe_id"] = calls[0][1]["id"]
                steps.append(step)
                for _ in range(self.rng.choice([0, 0, 2, 3])):  # a loop: the same lines again
                    inner = self.action(kind)
                    steps.append(self.step(line + 1, *inner, style))
                    line_again = self.step(line, None, None, style)
                    steps.append(line_again)
            elif item[0] == "call":
                _, how, function, skipped = item
                style_here = "status" if skipped and style == "bare" else style
                step = self.step(
                    line,
                    *self.pick(CALLS[how]),
                    style_here,
                    "skipped" if skipped else ("failed" if self.chance(0.1) else "succeeded"),
                )
                step["called_recipe_id"] = function["id"]
                steps.append(step)
            else:
                steps.append(self.step(line, *item[1:], style, outcome))
        if fails and len(steps) > 1:
            steps = steps[: self.rng.randint(1, len(steps))]
            last = self.step(
                steps[-1]["recipe_line_number"],
                steps[-1]["adapter_name"],
                steps[-1]["adapter_operation"],
                style,
                "failed",
            )
            last["called_recipe_id"] = steps[-1]["called_recipe_id"]
            if len(steps) > 1:
                steps[-1] = last
        for i, step in enumerate(steps):
            step["line_index"] = i
        if self.chance(0.01):
            del steps[0]  # line 0 never arrived
        return steps

    # -------------------------------------------------------------------------------------------------------- jobs
    def job_id(self, account):
        self.next_job[account] += 1
        return f"j-{self.next_job[account]}"  # unique within the account only

    def job(self, account, recipe, caller=None, depth=0, job_id=None, extra_calls=()):
        job_id = job_id or self.job_id(account)
        functions = [r for r in self.recipes[account] if r["kind"] == "recipe_function"]
        calls = list(extra_calls)
        for _ in range(
            self.rng.choices(
                [0, 1, 2],
                [4, 4, 2]
                if recipe["kind"] in ("api_recipe", "skill")
                else [6, 3, 1]
                if recipe["kind"] != "api_proxy"
                else [8, 1, 0],
            )[0]
            if depth < 5
            else 0
        ):
            function = self.pick(functions)
            calls.append((self.pick(["sync", "sync", "async"]), function, self.chance(0.08)))
            if self.chance(0.1):
                calls.append((self.pick(["sync", "async"]), function, self.chance(0.3)))  # both kinds, perhaps
        style = self.pick(["bare", "bare", "status", "mixed"])
        if any(skipped for *_, skipped in calls):
            style = "status"
        status = self.rng.choices(["succeeded", "failed", "canceled", "pending"], [12, 3, 1, 1])[0]
        completed = self.moment()
        words = {"succeeded": SUCCEEDED, "failed": FAILED, "canceled": CANCELED, "pending": PENDING}
        steps = self.make_steps(recipe, style, calls, status == "failed" or (status == "canceled" and self.chance(0.5)))
        row = {
            "id": job_id,
            "account_id": account,
            "environment_type": self.pick([None, "dev", "prod", "prod"]),
            "recipe_id": recipe["id"],
            "status": self.pick(words[status]),
            "is_repeat": self.chance(0.1),
            "repeat_count": self.pick([None, 1]),
            "master_job_id": self.pick([None, "j-1"]) if self.chance(0.1) else None,
            "calling_job_id": None,
            "calling_recipe_id": None,
            "root_job_id": None,
            "root_recipe_id": None,
            "is_test": True if self.chance(0.08) else self.pick([None, False]),
            "is_poll_error": True if self.chance(0.03) else self.pick([None, False]),
            "started_at": self.time(completed - timedelta(minutes=self.rng.randint(0, 90))),
            "completed_at": self.time(completed) if status != "pending" else None,
            "action_count": self.own_rng.choice([None, None, None, len(steps) - 1, len(steps), 0, 3]),
            "error_type": None,
            "error": "it broke" if status == "failed" else None,
            "extracted_at": None,
        }
        if caller:
            row["calling_job_id"], row["calling_recipe_id"] = caller
            row["root_recipe_id"] = self.known_recipe(account) if self.chance(0.3) else None
        elif recipe["kind"] == "recipe_function" and self.chance(0.7):
            row["root_recipe_id"] = self.known_recipe(account)  # an orphan with a root
        self.deliver(account, row, steps, completed, style)
        if self.chance(0.05) and status in ("failed", "succeeded"):  # a rerun is a job of its own
            again = dict(row, id=self.job_id(account), is_repeat=True, master_job_id=job_id)
            self.deliver(account, again, steps, completed, style)

        if depth < 5:
            for _, function, _ in calls:
                if self.chance(0.75):
                    self.job(account, function, (job_id, recipe["id"]), depth + 1)
            if self.chance(0.08):  # says it was called, but the caller shows no call to it
                self.job(account, self.pick(functions), (job_id, recipe["id"]), depth + 2)
        return job_id

    def known_recipe(self, account):
        """A recipe of the account, one nobody knows, or none."""
        return self.pick([*(recipe["id"] for recipe in self.recipes[account]), f"{account}-nowhere", None])

    def other_values(self, row):
        """Another content for some columns of a job; empty ones, too: which text is greater decides."""
        values = {
            "environment_type": [None, "a", "prod", "~"],
            "status": SUCCEEDED + FAILED + CANCELED,
            "is_repeat": [None, False, True],
            "repeat_count": [None, 2, 10],
            "master_job_id": [None, "j-2"],
            "root_recipe_id": [None, self.known_recipe(row["account_id"])],
            "is_test": [None, False, True],
            "error": [None, "it broke", "~"],
        }
        return {column: self.pick(values[column]) for column in self.rng.sample(sorted(values), self.rng.randint(1, 3))}

    def deliver(self, account, row, steps, completed, style):
        """The deliveries of one job: one, or a pending one first, a repetition, a correction, homeless steps ..."""
        at = min(completed + timedelta(minutes=self.rng.randint(1, 3000)), END - timedelta(minutes=30))
        later = min(at + timedelta(minutes=self.rng.randint(1, 2000)), END)
        if later <= at:
            later = at + timedelta(seconds=1)

        def put(row, steps, moment):
            self.world["jobs"].append(dict(row, extracted_at=self.time(moment)))
            for step in steps:
                self.world["steps"].append(
                    dict(step, account_id=account, job_id=row["id"], extracted_at=self.time(moment))
                )

        pending = dict(row, status=self.pick(PENDING), completed_at=None, error=None)
        changed = [dict(s) for s in steps if not self.chance(0.2)]
        for step in changed:
            if self.chance(0.3):
                step["adapter_name"], step["adapter_operation"] = (
                    self.pick(ELIGIBLE + INELIGIBLE) if step["adapter_name"] else (None, None)
                )
                step["called_recipe_id"] = None
        corrected = dict(
            row,
            status=self.pick(SUCCEEDED + FAILED),
            environment_type="prod",
            completed_at=self.time(min(completed + timedelta(minutes=self.rng.randint(0, 20)), END)),
        )
        case = self.rng.choices(
            [
                "once",
                "stamped",
                "pending first",
                "again",
                "corrected",
                "same stamp",
                "tied",
                "later completion",
                "pending last",
                "no steps",
                "homeless",
                "colliding",
                "homeless only",
            ],
            [60, 6, 8, 6, 6, 3, 3, 2, 1, 1, 3, 3, 1],
        )[0]
        if case == "stamped" and row["completed_at"]:  # extracted_at = completed_at: a streamed file may leave it out
            self.world["jobs"].append(dict(row, extracted_at=row["completed_at"]))
            for step in steps:
                self.world["steps"].append(
                    dict(step, account_id=account, job_id=row["id"], extracted_at=row["completed_at"])
                )
        elif case == "pending first":
            put(pending, steps[: self.rng.randint(0, len(steps))], at)
            put(row, steps, later)
        elif case == "again":
            put(row, steps, at)
            put(row, steps, later)
        elif case == "corrected":
            put(row, steps, at)
            put(corrected, changed, later)
        elif case == "same stamp":
            self.world["jobs"].append(dict(pending, extracted_at=self.time(at)))
            put(row, steps, at)
        elif case == "tied":  # of one instant, finished alike: the greater row as text
            put(row, steps, at)
            put(dict(row, **self.other_values(row)), changed if self.chance(0.5) else [], at)
        elif case == "later completion" and row["completed_at"]:
            earlier = dict(row, completed_at=self.time(completed - timedelta(days=40)), status=self.pick(FAILED))
            self.world["jobs"].append(dict(earlier, extracted_at=self.time(at)))
            put(row, steps, at)
        elif case == "pending last":
            put(row, steps, at)
            put(pending, steps, later)
        elif case == "no steps":
            put(row, steps, at)
            put(corrected, [], later)
        elif case == "homeless":  # some steps carry a time of their own
            own = [s for s in steps if self.chance(0.5)]
            put(row, own, at)
            for step in steps:
                if step not in own:
                    self.world["steps"].append(
                        dict(
                            step, account_id=account, job_id=row["id"], extracted_at=self.time(at - timedelta(hours=1))
                        )
                    )
        elif case == "colliding":  # homeless steps at taken positions, and at new ones
            put(row, steps, at)
            for step in changed:
                self.world["steps"].append(
                    dict(step, account_id=account, job_id=row["id"], extracted_at=self.time(at - timedelta(minutes=7)))
                )
            extra = self.step(90, *self.pick(ELIGIBLE), style)
            self.world["steps"].append(
                dict(
                    extra,
                    line_index=len(steps) + 3,
                    account_id=account,
                    job_id=row["id"],
                    extracted_at=self.time(min(at + timedelta(minutes=3), END)),
                )
            )
        elif case == "homeless only":  # two homeless times: the later one at each position
            self.world["jobs"].append(dict(row, extracted_at=self.time(at)))
            for hours, some in ((3, steps), (2, changed)):
                for step in some:
                    self.world["steps"].append(
                        dict(
                            step,
                            account_id=account,
                            job_id=row["id"],
                            extracted_at=self.time(at - timedelta(hours=hours)),
                        )
                    )
        else:
            put(row, steps, at)

    def oddities_of_calls(self):
        """Missing callers, callers in another account, cycles."""
        for account in self.accounts:
            functions = [r for r in self.recipes[account] if r["kind"] == "recipe_function"]
            if self.chance(0.4):
                self.job(account, self.pick(functions), ("j-missing", None), 3)
            other = self.pick(self.accounts)
            if other != account and self.chance(0.5):
                function, their = self.pick(functions), self.pick(self.recipes[other])
                alien = f"j-only-{other}-{self.number('x')}"  # a caller only another account has
                self.job(other, their, job_id=alien, depth=6, extra_calls=[("sync", function, False)])
                self.job(account, function, (alien, their["id"]), 4)
            if self.chance(0.5):  # a cycle of one to three, and a chain below it
                ring = [self.job_id(account) for _ in range(self.rng.randint(1, 3))]
                kinds = [self.pick(functions) for _ in ring]
                for i, id in enumerate(ring):
                    called = [(self.pick(["sync", "async"]), kinds[(i + 1) % len(ring)], False)]
                    below = self.pick(functions)
                    called.append((self.pick(["sync", "async"]), below, False))
                    self.job(
                        account, kinds[i], (ring[i - 1], kinds[i - 1]["id"]), depth=5, job_id=id, extra_calls=called
                    )
                    if self.chance(0.6):
                        self.job(account, below, (id, kinds[i]["id"]), depth=self.pick([2, 4]))

    # --------------------------------------------------------------------------------------------- work that is no job
    def collections(self, account):
        self.collection_ids = getattr(self, "collection_ids", defaultdict(list))
        for _ in range(3):
            id = self.number("col")
            self.collection_ids[account].append(id)
            listings = self.pick([LISTINGS, LISTINGS, LISTINGS[1:], LISTINGS[:1], LISTINGS[:2]])
            mcp = self.chance(0.5)
            for i, listing in enumerate(listings):
                self.world["api_collections"].append(
                    {
                        "id": id,
                        "account_id": account,
                        "name": None,
                        "is_mcp_server": mcp if i == len(listings) - 1 or self.chance(0.7) else not mcp,
                        "extracted_at": self.time(self.fetched(listing)),
                    }
                )

    def requests(self, account, job_ids):
        for _ in range(self.size // 3 + 1):
            requested = self.moment()
            code = self.pick([401, 403, 429])
            refused, broken = self.chance(0.15), self.chance(0.1)
            row = {
                "id": self.number("req"),
                "account_id": account,
                "requested_at": self.time(requested),
                "request_type": self.pick(["managed", "proxy", "proxy", "proxy_transformation"]),
                "api_collection_id": self.pick(self.collection_ids[account] + [None, "col-unknown"]),
                "recipe_id": self.pick([None, self.pick(self.recipes[account])["id"]]),
                "job_id": None,
                "http_status": code if refused else self.pick([None, 200, 200, 404, 500 if broken else 422]),
                "gateway_code": str(code) if refused else None,
                "internal_error": True if broken else self.pick([None, False]),
                "extracted_at": self.time(min(requested + timedelta(hours=2), END)),
            }
            if self.chance(0.1):
                row["http_status"], row["gateway_code"] = code, None
            self.world["api_requests"].append(row)
            if self.chance(0.1):  # delivered again with other content
                self.world["api_requests"].append(
                    dict(
                        row,
                        internal_error=not row["internal_error"],
                        request_type="managed",
                        extracted_at=self.time(END - timedelta(minutes=1)),
                    )
                )
            if self.chance(0.04):  # twice at one instant
                self.world["api_requests"].append(
                    dict(
                        row,
                        request_type=self.pick(["managed", "proxy", "proxy_transformation"]),
                        api_collection_id=self.pick([*self.collection_ids[account], None]),
                        gateway_code=self.pick([None, "429"]),
                    )
                )
        for job_id, kind in job_ids:
            if self.chance(0.75 if kind.startswith("api") else 0.05):
                requested = self.moment()
                self.world["api_requests"].append(
                    {
                        "id": self.number("req"),
                        "account_id": account,
                        "requested_at": self.time(requested),
                        "request_type": self.pick(["managed", "proxy"]),
                        "api_collection_id": self.pick(self.collection_ids[account] + [None]),
                        "recipe_id": None,
                        "job_id": job_id,
                        "http_status": self.pick([200, 500, 404]),
                        "gateway_code": None,
                        "internal_error": self.pick([None, True]),
                        "extracted_at": self.time(min(requested + timedelta(hours=2), END)),
                    }
                )
        if self.chance(0.5):  # its job is in no extract; or only in another account
            requested = self.moment()
            self.world["api_requests"].append(
                {
                    "id": self.number("req"),
                    "account_id": account,
                    "requested_at": self.time(requested),
                    "request_type": "proxy",
                    "api_collection_id": self.pick(self.collection_ids[account]),
                    "recipe_id": None,
                    "job_id": self.pick(["j-missing", "j-999"]),
                    "http_status": 200,
                    "gateway_code": None,
                    "internal_error": None,
                    "extracted_at": self.time(END - timedelta(hours=1)),
                }
            )

    def events_and_prompts(self, account):
        for _ in range(self.size // 6 + 1):
            at = self.moment()
            row = {
                "id": self.number("es"),
                "account_id": account,
                "requested_at": self.time(at),
                "endpoint": self.pick(["publish", "batch_publish", "consume", "batch_consume"]),
                "message_count": self.rng.randint(0, 120),
                "status": self.pick(SUCCEEDED * 3 + FAILED + PENDING[:1] + CANCELED[:1]),
                "extracted_at": self.time(min(at + timedelta(hours=1), END)),
            }
            self.world["event_stream_requests"].append(row)
            if self.chance(0.1):
                self.world["event_stream_requests"].append(
                    dict(
                        row,
                        status=self.pick(SUCCEEDED + FAILED),
                        message_count=3,
                        extracted_at=self.pick([row["extracted_at"], self.time(END - timedelta(minutes=1))]),
                    )
                )
        for _ in range(self.size // 6 + 1):
            at = self.moment()
            row = {
                "id": self.number("gp"),
                "account_id": account,
                "genie_id": self.pick([None, "g1"]),
                "conversation_id": None,
                "sender_type": self.pick(["user", "genie", "app_event", None]),
                "sent_at": self.time(at),
                "status": self.pick([*SUCCEEDED, None, None, *FAILED, *CANCELED]),
                "extracted_at": self.time(min(at + timedelta(hours=1), END)),
            }
            self.world["genie_prompts"].append(row)
            if self.chance(0.1):
                self.world["genie_prompts"].append(
                    dict(
                        row,
                        status=self.pick([None, "failed"]),
                        sender_type=self.pick([row["sender_type"], None]),
                        extracted_at=self.pick([row["extracted_at"], self.time(END - timedelta(minutes=1))]),
                    )
                )

    def seats_and_terms(self, account):
        days = [
            "2023-11-15",
            "2024-01-01",
            "2024-02-29",
            "2024-03-01",
            "2024-03-17",
            "2024-04-30",
            "2024-05-01",
            "2024-05-20",
            "2024-06-01",
            "2024-07-01",
        ]
        for _ in range(self.rng.randint(0, 3)):
            start, end = sorted(self.rng.sample(days, 2))
            self.list_term(
                "seats",
                {
                    "id": self.number("seat"),
                    "account_id": account,
                    "product": self.pick(["workato_go", "workflow_apps"]),
                    "app_id": None,
                    "seats": self.rng.randint(1, 9),
                    "effective_from": start,
                    "effective_to": self.pick([None, end, end]),
                },
                [
                    {"seats": 10},
                    {"app_id": "app"},
                    {"effective_to": None},
                    {"effective_to": "2024-05-25"},
                    {"product": "workflow_apps", "effective_from": "2024-03-03"},
                    {"id": self.number("seat"), "effective_from": "2024-02-02"},  # the same under another id
                    {"id": self.number("seat"), "effective_from": "2024-03-05", "seats": 3},
                ],
            )
        if self.chance(0.6):
            metric = self.pick(["business_actions", "tasks"])
            split = self.pick(["2024-03-10", "2024-04-01", None])
            common = {
                "account_id": account,
                "included_credits": self.pick([None, 1000]),
                "task_limit": self.pick([None, 500]),
                "billing_cycle_day": self.pick([None, 1]),
            }
            terms = [dict(common, recipe_metric=metric, effective_from="2019-01-01", effective_to=split)]
            if split and self.chance(0.7):
                metric = self.pick(["business_actions", "tasks"])
                terms.append(dict(common, recipe_metric=metric, effective_from=split, effective_to=None))
            for term in terms:
                corrections = [
                    {"recipe_metric": "tasks"},
                    {"included_credits": None},
                    {"effective_to": None},
                    {"effective_from": self.pick(["2018-01-01", "2024-03-20", "2024-04-17"])},
                    {"effective_from": self.pick(["2018-01-01", "2024-03-20"]), "recipe_metric": "tasks"},
                ]
                self.list_term("subscriptions", term, corrections)

    def list_term(self, extract, term, corrections):
        """An order or term without a time, or in listings, which may correct it, lose it or find it again."""
        if self.chance(0.25):
            self.world[extract].append(term)
            return
        for listing in self.listed_at():
            if self.chance(0.2):
                term = {**term, **self.pick(corrections)}
            self.world[extract].append({**term, "extracted_at": self.time(self.fetched(listing))})
            if self.chance(0.03):  # two rows in one listing
                self.world[extract].append({**self.world[extract][-1], **self.pick(corrections)})

    def globals(self):
        """The same for all seeds: ratios that change, begin late, end, or are missing."""
        rows = [
            ("business_actions", None, "1", "2019-01-01", "2024-04-01"),
            ("business_actions", None, "1.25", "2024-04-01", None),
            ("api_calls", "managed", "0.5", "2019-01-01", None),
            ("api_calls", "proxy", "0.125", "2024-03-01", None),
            ("pages_processed", None, "3", "2019-01-01", "2024-05-01"),
            ("events_processed", None, "0.01", "2019-01-01", None),
            ("mcp_calls", None, "0.75", "2024-03-15", None),
            ("go_seats", None, "10", "2019-01-01", "2024-04-15"),
            ("go_seats", None, "12.5", "2024-04-15", None),
            ("workflow_app_seats", None, "2", "2024-03-01", None),
            ("tasks", None, "0.2", "2019-01-01", "2024-05-15"),
            ("api_calls", None, "0.3", "2024-04-15", None),
            (None, None, "9", "2019-01-01", None),  # of no metric
        ]
        # of one listing or of two: corrected, taken back, ended, begun otherwise
        rows += [
            ("genie_actions", None, "3", "2019-01-01", "2024-01-01", LISTINGS[1]),
            ("genie_actions", None, "4", "2019-01-01", None, LISTINGS[2]),
            ("tasks", None, "0.7", "2024-05-20", None, LISTINGS[1]),
            ("tasks", None, "0.7", "2024-05-25", None, LISTINGS[2]),
            ("mcp_calls", None, "0.5", "2024-04-02", None, LISTINGS[1]),
            ("business_actions", None, "2", "2024-05-20", None, LISTINGS[2]),
        ]
        for metric, call_type, credits, start, end, *listed in rows:
            self.world["credit_ratios"].append(
                {
                    "metric": metric,
                    "call_type": call_type,
                    "credits_per_unit": credits,
                    "effective_from": start,
                    "effective_to": end,
                    "extracted_at": listed[0].isoformat() if listed else None,
                }
            )
        self.world["vendor_usage"].append(
            {
                "account_id": "c1",
                "usage_month": "2024-05-01",
                "tasks": 12,
                "jobs_succeeded": 3,
                "jobs_failed": None,
                "extracted_at": self.time(LISTINGS[0]),
            }
        )

    # ---------------------------------------------------------------------------------------------------- bad rows
    def bad_rows(self):
        w, bad_times = self.world, ["yesterday", "2024-13-45T00:00:00Z", "not a time", None]
        for extract, time_column in [
            ("customers", "created_at"),
            ("recipes", "extracted_at"),
            ("connections", "created_at"),
            ("api_requests", "requested_at"),
            ("api_collections", "extracted_at"),
            ("event_stream_requests", "requested_at"),
            ("genie_prompts", "sent_at"),
        ]:
            if not w[extract]:
                continue
            for _ in range(self.rng.randint(0, 2)):
                row = dict(self.pick(w[extract]))
                row["id"] = self.number("bad")
                if self.chance(0.4):
                    row["id"] = self.pick([None, ""])
                else:
                    row[time_column] = self.pick(bad_times)
                w[extract].append(row)
        if w["seats"] and self.chance(0.5):
            w["seats"].append(
                dict(
                    self.pick(w["seats"]),
                    id="bad-seat",
                    **self.pick([{"seats": "lots"}, {"effective_from": "soon"}, {"account_id": None}]),
                )
            )
        if self.chance(0.3):
            defect = self.pick([{"recipe_id": None}, {"recommended_from": "soon"}])
            w["recommended_recipes"].append(dict(self.pick(w["recommended_recipes"])) | defect)
        if w["subscriptions"] and self.chance(0.3):
            w["subscriptions"].append(dict(self.pick(w["subscriptions"]), effective_from="someday"))
        if w["event_stream_requests"] and self.chance(0.5):
            w["event_stream_requests"].append(
                dict(
                    self.pick(w["event_stream_requests"]),
                    id=self.number("bad"),
                    **self.pick([{"status": "exploded"}, {"message_count": "a few"}]),
                )
            )
        if w["genie_prompts"] and self.chance(0.3):
            w["genie_prompts"].append(dict(self.pick(w["genie_prompts"]), id=self.number("bad"), status="exploded"))
        good_jobs = list(w["jobs"])
        for _ in range(max(1, self.size // 12)):
            job = dict(self.pick(good_jobs))
            steps = [dict(s) for s in w["steps"] if (s["account_id"], s["job_id"]) == (job["account_id"], job["id"])]
            defect = self.pick(
                [
                    {"status": "exploded"},
                    {"status": None},
                    {"completed_at": "whenever"},
                    {"started_at": None},
                    {"extracted_at": "2024-02-30T00:00:00Z"},
                    {"id": None},
                    {"account_id": None},
                    {"recipe_id": ""},
                    {"repeat_count": "twice"},
                ]
            )
            bad = dict(job, extracted_at=self.time(END - timedelta(minutes=self.rng.randint(1, 9))))
            bad.update(defect)
            if self.chance(0.5):  # a bad delivery of a good job
                w["jobs"].append(bad)
            else:  # a job whose only delivery is bad; its steps have no job, nor has what calls it a caller
                id = f"j-bad-{self.number('x')}"
                w["jobs"].append(dict(bad, **({} if "id" in defect else {"id": id})))
                for step in steps:
                    w["steps"].append(dict(step, job_id=id))
                function = next((s["called_recipe_id"] for s in steps if s["called_recipe_id"]), None)
                recipe = next((r for r in self.recipes[job["account_id"]] if r["id"] == function), None)
                if recipe and job["account_id"]:
                    self.job(job["account_id"], recipe, (id, job["recipe_id"]), 5)
        good_steps = list(w["steps"])
        for _ in range(max(1, self.size // 8)):
            step = dict(self.pick(good_steps))
            step.update(
                self.pick(
                    [
                        {"job_id": "j-nowhere"},
                        {"job_id": None},
                        {"account_id": None},
                        {"line_index": None},
                        {"line_index": "first"},
                        {"recipe_line_number": "x"},
                        {"status": "exploded"},
                        {"extracted_at": "never"},
                        {"account_id": "nobody"},
                        {"duration_seconds": "long"},
                    ]
                )
            )
            w["steps"].append(step)

    # ------------------------------------------------------------------------------------------ the vendor's figures
    def jobs_without_lines(self, account):
        """Of a workflow or an API recipe; with the platform's count of their actions or without."""
        for _ in range(self.rng.randint(1, 3)):
            recipe = self.pick([r for r in self.recipes[account] if r["kind"] in ("workflow", "api_recipe")])
            status = self.pick(["succeeded", "succeeded", "failed", "canceled", "pending"])
            completed = self.moment()
            times = {"started_at": self.time(completed - timedelta(minutes=3)), "completed_at": self.time(completed)}
            row = dict.fromkeys(self.world["jobs"][0]) | {"id": self.job_id(account), "account_id": account}
            row |= {"recipe_id": recipe["id"], "status": status, **times}
            row |= {"is_test": self.pick([None, None, True]), "is_poll_error": self.pick([None, None, None, True])}
            row["action_count"] = self.pick([None, None, 0, 1, 4])
            if status == "pending":
                row["completed_at"] = None
            self.deliver(account, row, [], completed, "bare")

    def requests_that_wait(self, account):
        """Requests whose job is in no extract, is pending, or is there."""
        pending = [job["id"] for job in self.world["jobs"] if job["account_id"] == account and not job["completed_at"]]
        for _ in range(self.rng.randint(1, 4)):
            requested = self.moment()
            row = {"id": self.number("req"), "account_id": account, "requested_at": self.time(requested)}
            row |= {"request_type": self.pick(["managed", "managed", "proxy"])}
            row |= {"api_collection_id": self.pick([*self.collection_ids[account], None]), "recipe_id": None}
            row |= {"job_id": self.pick(["j-lost", "j-lost", "j-lost-too", "j-1", *pending]), "http_status": 200}
            row |= {"gateway_code": self.pick([None] * 5 + ["429"]), "internal_error": self.pick([None] * 5 + [True])}
            row |= {"extracted_at": self.time(min(requested + timedelta(hours=2), END))}
            self.world["api_requests"].append(row)

    def figure_taken(self, month, completions):
        """When the vendor's figure was taken: within the month, at its end, at a completion, last, or after all."""
        after_all = [END, END + INSTANT, END + timedelta(minutes=self.rng.randint(1, 110))]  # on the same date anywhere
        first = datetime(month.year, month.month, 1, tzinfo=UTC)
        moments = [
            first + timedelta(minutes=self.rng.randint(-300, 31 * 1440)),
            first + timedelta(days=self.rng.randint(20, 45)),
            first + timedelta(days=31, hours=self.pick([0, 7, 8])),
            self.pick(completions) if completions else first,
            *after_all,
            self.pick(after_all),
        ]
        return min(self.pick(moments), after_all[-1])

    def vendors_count(self, work, account, month, taken, zone):
        """What the vendor should report: by its zone and the platform's counts, as of the time it was taken."""

        def is_of_month(at):
            return at is not None and at <= taken and at.astimezone(zone).date().replace(day=1) == month

        count = defaultdict(int)
        for unit in work.units:
            if unit.account == account and is_of_month(unit.at):
                count[unit.metric] += unit.quantity
        for job in work.jobs:
            if job.account == account and job.is_counted and is_of_month(job.at):
                by_rules = sum(step.vendor_tasks for step in job.steps)
                count["tasks"] += (by_rules if job.action_count is None else job.action_count) - job.quantity("tasks")
        return count

    def shifts(self):
        """How the vendor's figures are off, by metric."""
        few, some, many = self.rng.randint(1, 2), self.rng.randint(1, 6), self.rng.randint(5, 60)
        off = dict.fromkeys(METRICS, 0)
        return off | self.pick(
            [
                {},
                {},
                {metric: self.pick([0, 0, few, -few, some, -some, many]) for metric in METRICS},
                {"jobs_succeeded": few, "jobs_failed": -some},
                {"jobs_succeeded": -some, "jobs_failed": few},
                {"api_calls": few, "mcp_calls": -few},
                {"api_calls": -some, "mcp_calls": few},
                {"api_calls": some, "mcp_calls": some},
                {"tasks": many, "business_actions": many, "pages_processed": some, "events_processed": many},
                {"business_actions": few},
                {"business_actions": -few},
                {"jobs_failed": few},
                {"jobs_succeeded": some, "jobs_failed": few, "tasks": many, "business_actions": some}
                | {"pages_processed": few, "events_processed": some, "api_calls": few, "mcp_calls": few},
                {"genie_actions": self.pick([few, -few]), "tasks": self.pick([few, -few, -some])},
            ]
        )

    def vendor(self):
        """The vendor's figures, near ours, and some work that explains differences.

        Comes last and with separate choices: all else in a world is as it would be without.
        """
        self.rng = self.own_rng
        places = {name: len(rows) for name, rows in self.world.items()}
        for account in self.accounts:
            if self.chance(0.6):
                self.jobs_without_lines(account)
            if self.chance(0.6):
                self.requests_that_wait(account)
        # the newest work has the same time in all worlds: they can be merged
        newest = dict.fromkeys(self.world["genie_prompts"][0]) | {"id": self.number("gp")}
        newest |= {"account_id": self.pick(self.accounts), "sent_at": self.time(self.moment())}
        self.world["genie_prompts"].append(newest | {"extracted_at": self.time(END)})
        for extract in ("jobs", "steps", "api_requests", "genie_prompts"):
            for row in self.world[extract][places.get(extract, 0) :]:
                if self.chance(0.04):
                    self.world[extract].append(dict(row))

        zone, terms = self.pick(["UTC", "UTC", "America/Los_Angeles"]), self.pick([None, None, "T1"])
        read = ("recipes", "jobs", "steps", "api_collections", "api_requests", "event_stream_requests", "genie_prompts")
        work = compute(
            {extract: self.world[extract] for extract in read if extract in self.world},
            Options(reporting_timezone=zone, vendor_task_terms=terms),
            with_marts=False,
        ).work
        for account in [*self.accounts, *self.pick([[], ["v1"]])]:  # the last is in no other extract
            completions = [job.at for job in work.jobs if job.account == account and job.at]
            months = [date(2024, month, 1) for month in (2, 3, 4, 5, 6)]
            months += [date(2020, 9, 1), date(2020, 10, 1), date(2023, 6, 1), date(2022, 1, 1), date(2024, 7, 1)]
            months += [at.date().replace(day=1) for at in completions]
            for month in sorted(set(self.rng.choices(months, k=self.rng.randint(1, 4)))):
                self.report(account, month, completions, work, ZoneInfo(zone))
        rows = self.world["vendor_usage"]
        for _ in range(self.rng.randint(0, 2)):
            defect = self.pick(
                [
                    {"tasks": "many"},
                    {"usage_month": "soon"},
                    {"usage_month": "2024-05-02"},
                    {"tasks": -1},
                    {"account_id": None},
                    {"extracted_at": None},
                    {"api_calls": 1.5},
                ]
            )
            rows.append(dict(self.pick(rows)) | defect)
        rows += [dict(row) for row in rows if self.chance(0.05)]
        self.rng.shuffle(rows)

    def report(self, account, month, completions, work, zone):
        """One to three rows of the vendor's of one customer and month: several times, of several metrics, tied."""
        times = [self.figure_taken(month, completions) for _ in range(self.rng.choice([1, 1, 1, 2, 3]))]
        if len(times) > 1 and self.chance(0.3):
            times[1] = times[0]
        for taken in times:
            count, off = self.vendors_count(work, account, month, taken, zone), self.shifts()
            share = self.pick([1, 1, 1, 0.6])
            row = {"account_id": account, "usage_month": month.isoformat()}
            for metric in METRICS:
                row[metric] = max(0, count[metric] + off[metric]) if self.chance(share) else None
            self.world["vendor_usage"].append(row | {"extracted_at": self.time(taken)})

    def build(self):
        self.customers()
        self.recommend()
        for account in self.accounts:
            self.make_recipes(account)
            self.connections(account)
            self.collections(account)
        if self.chance(0.3):  # an account that only the listings of recipes and connections hold
            self.make_recipes("x1")
            self.connections("x1")
        if self.chance(0.5):  # what is recommended may itself be listed
            self.list_recipe(ADMIN, "rec-1", "A recommended recipe", None, "salesforce", "new_object")
        for _ in range(self.size):
            account = self.pick(self.accounts + self.accounts[:2] * 2)
            kind = self.rng.choices(
                ["workflow", "api_recipe", "api_proxy", "skill", "recipe_function", None], [5, 5, 3, 3, 1, 1]
            )[0]
            self.job(account, self.pick([r for r in self.recipes[account] if kind in (None, r["kind"])]))
        self.oddities_of_calls()
        kinds = {(a, r["id"]): r["kind"] for a in self.accounts for r in self.recipes[a]}
        for account in self.accounts:
            ids = sorted(
                {(j["id"], kinds[account, j["recipe_id"]]) for j in self.world["jobs"] if j["account_id"] == account}
            )
            self.requests(account, ids)
            self.events_and_prompts(account)
            self.seats_and_terms(account)
        if self.chance(0.12):
            self.twins()
        self.globals()
        self.bad_rows()
        for request in self.world["api_requests"]:
            if request["internal_error"] is not None and self.chance(0.3):
                request["internal_error"] = self.pick(WORDS_FOR[request["internal_error"]])
        for extract, rows in self.world.items():  # the same row delivered twice
            if extract == "credit_ratios":
                continue
            rows += [dict(row) for row in rows if self.chance(0.04)]
            if self.chance(0.5):
                self.rng.shuffle(rows)
        self.vendor()
        return {name: rows for name, rows in self.world.items() if rows}


def random_world(seed, size=20):
    """A world of two to seven accounts and about twice ``size`` jobs, as {extract: rows}."""
    return Builder(seed, size).build()


def every_operation(adapters):
    """A world in which each adapter ran once as an action, and each control keyword once, on either side of MIDDLE."""
    builder = Builder("every operation", 1)
    world, account = builder.world, "e1"
    builder.list_customer(account, "Everything", datetime(2024, 1, 15, tzinfo=UTC))
    lines = [("salesforce", "new_object", None), *((adapter, "do", None) for adapter in adapters)]
    lines += [(adapter, operation, None) for pool in (EVENTS, *CALLS.values()) for adapter, operation in pool]
    lines += [("salesforce", "create_object", keyword) for keyword in [*KEYWORDS, "action", "IF"]]
    for number, completed in enumerate((MIDDLE - timedelta(days=20), MIDDLE + timedelta(days=20))):
        place = {"account_id": account, "extracted_at": builder.time(completed + timedelta(hours=1))}
        times = {"started_at": builder.time(completed), "completed_at": builder.time(completed)}
        job = {"id": f"j-{number}", "recipe_id": "e1-r0", "status": "succeeded"}
        world["jobs"].append(job | times | place)
        for position, (adapter, operation, keyword) in enumerate(lines):
            step = builder.step(position, adapter, operation, "status")
            step |= {"keyword": keyword, "line_index": position, "job_id": f"j-{number}"}
            world["steps"].append(step | place)
        for status in [*SUCCEEDED, *FAILED, *CANCELED, *PENDING, "skipped"]:
            step = builder.step(0, "salesforce", "create_object", "status") | {"status": status, "line_index": 0}
            world["jobs"].append(job | times | place | {"id": f"{status}-{number}", "status": status})
            world["steps"].append(step | {"job_id": f"{status}-{number}"} | place)
    for adapter in adapters:
        row = {"id": f"con-{adapter}", "user_id": account, "provider": adapter, "authorization_status": "success"}
        world["connections"].append(row | {"created_at": "2024-01-20", "extracted_at": builder.time(END)})
    return dict(world)


# ------------------------------------------------------------------------------------------------------- merging

PREFIXED = {
    "account_id",
    "user_id",
    "recipe_id",
    "calling_recipe_id",
    "root_recipe_id",
    "called_recipe_id",
    "parent_id",
    "api_collection_id",
}


def prefixed(world, prefix):
    """The world with a prefix on every id but those of jobs, in streamed jobs too."""
    renamed = {}
    for extract, rows in world.items():
        columns = PREFIXED | (set() if extract in ("jobs", "job_history") else {"id"})
        renamed[extract] = [
            {k: f"{prefix}{v}" if k in columns and v not in (None, "", EVERYONE) else v for k, v in row.items()}
            for row in rows
        ]
    for row in renamed.get("job_history", []):
        if isinstance(row.get("lines"), list):
            row["lines"] = [_with_prefixed_call(line, prefix) for line in row["lines"]]
    return renamed


def _with_prefixed_call(line, prefix):
    if "flow_id" not in line.get("input", {}):
        return line
    return line | {"input": line["input"] | {"flow_id": f"{prefix}{line['input']['flow_id']}"}}


def is_of_everyone(extract, row):
    """Whether the row is the partner's own, or a ratio for all accounts."""
    if extract == "credit_ratios":
        return row.get("account_id") in (None, "", EVERYONE)
    return extract == "subscriptions" and row.get("account_id") == EVERYONE


def merge_worlds(worlds):
    """{prefix: world} -> (one world, admin account ids). Job ids stay shared.

    Ratios for all accounts, and the partner's own contract and ratios, are those of the first world.
    """
    merged, admins = defaultdict(list), []
    for n, (prefix, world) in enumerate(worlds.items()):
        admins.append(f"{prefix}{ADMIN}")
        for extract, rows in prefixed(world, prefix).items():
            merged[extract] += [row for row in rows if n == 0 or not is_of_everyone(extract, row)]
    return dict(merged), admins
