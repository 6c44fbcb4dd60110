"""A world of extracts as the platform shows it at a moment, and as files that lack what the platform's API lacks.

``contents_at(moment)`` is for the fake platform, ``delivered()`` the same as rows of extracts at all moments. Both are
made here from the world; neither knows the extraction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from fake_platform import Contents, Record
from reference.files import drop_bad_rows
from reference.reference import Unreadable, read_time

World = dict[str, list[Record]]

NOT_IN_THE_API = (
    "api_requests",
    "event_stream_requests",
    "seats",
    "subscriptions",
    "credit_ratios",
    "recommended_recipes",
)
SAFETY = timedelta(hours=2)  # as the extraction has it by default
RETENTION = timedelta(days=60)  # jobs that ended earlier are erased
CUSTOMER = ("id", "external_id", "name", "plan_id", "in_trial", "created_at")
RECIPE = ("id", "name", "trigger_application", "running", "created_at", "stopped_at", "last_run_at", "project_id")
RECIPE += ("lifetime_task_count",)
CONNECTION = ("id", "name", "provider", "authorization_status", "authorized_at", "created_at")
JOB = ("id", "status", "started_at", "completed_at", "is_repeat", "is_test", "is_poll_error", "master_job_id", "error")
JOB += ("calling_job_id", "calling_recipe_id", "root_job_id", "root_recipe_id")
COUNTS = ("tasks", "jobs_succeeded", "jobs_failed")


def json_value(value: Any) -> Any:
    """A value of CSV as JSON has it."""
    return {"": None, "true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def picked(row: Record, columns: Iterable[str]) -> Record:
    return {column: json_value(row.get(column)) for column in columns}


def text_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


class PlatformWorld:
    """A world at the moments of its listings. ``own``: the account whose genies the own workspace has."""

    def __init__(self, world: World, moments: list[datetime], own: str) -> None:
        self.world = drop_bad_rows(world)
        self.moments = moments
        self.own = own
        self.jobs = self._final_jobs()

    # --------------------------------------------------------------------------------------------- at one moment

    def listed(self, extract: str, moment: datetime) -> list[Record]:
        """One row for each id of the listing that ends at the moment."""
        before = max(
            (earlier for earlier in self.moments if earlier < moment), default=datetime.min.replace(tzinfo=UTC)
        )
        found: dict[Any, Record] = {}
        for row in self.world.get(extract, []):
            if before < read_time(row["extracted_at"]) <= moment:
                place = row.get("user_id") or row.get("account_id"), row["id"]
                found[place] = max(found.get(place, row), row, key=lambda row: (row["extracted_at"], str(row)))
        return list(found.values())

    def customers(self, moment: datetime) -> list[Record]:
        return [picked(row, CUSTOMER) for row in self.listed("customers", moment)]

    def of_customers(self, extract: str, moment: datetime, owner: str) -> dict[str, list[Record]]:
        """The rows of the customers that are listed."""
        found: dict[str, list[Record]] = {row["id"]: [] for row in self.customers(moment)}
        for row in self.listed(extract, moment):
            if row[owner] in found:
                found[row[owner]].append(row)
        return found

    def project_names(self, moment: datetime) -> dict[tuple[str, str], str | None]:
        """(customer, project) -> its name."""
        names: dict[tuple[str, str], str | None] = {}
        for customer, rows in self.of_customers("recipes", moment, "user_id").items():
            for row in sorted(rows, key=lambda row: str(row.get("project_name") or "")):
                if json_value(row.get("project_id")):
                    names[customer, row["project_id"]] = json_value(row.get("project_name"))
        return names

    def servers(self, moment: datetime) -> set[str]:
        rows = self.of_customers("api_collections", moment, "account_id").values()
        return {row["id"] for of in rows for row in of if json_value(row["is_mcp_server"]) is True}

    def _final_jobs(self) -> dict[tuple[str, str], list[Record]]:
        """{(customer, recipe): its jobs as they ended, with their lines, from the newest}; of each id one delivery."""
        steps: defaultdict[tuple[str, str], dict[str, dict[int, Record]]] = defaultdict(lambda: defaultdict(dict))
        for row in self.world.get("steps", []):
            steps[row["account_id"], row["job_id"]][row["extracted_at"]][int(row["line_index"])] = row
        last: dict[tuple[str, str], Record] = {}
        for row in self.world.get("jobs", []):
            place = row["account_id"], row["id"]
            last[place] = max(last.get(place, row), row, key=lambda row: (row["extracted_at"], str(row)))
        jobs: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)
        for place, row in last.items():
            own = steps[place].get(row["extracted_at"], {})
            lines = [line_of(own[position]) for position in sorted(own)]
            jobs[row["account_id"], row["recipe_id"]].append(picked(row, JOB) | {"lines": lines})
        for of in jobs.values():
            of.sort(key=lambda job: (read_time(job["started_at"]), job["id"]), reverse=True)
        return jobs

    def jobs_at(self, moment: datetime) -> dict[tuple[str, str], list[Record]]:
        """The jobs of listed recipes as they are at the moment: begun, perhaps pending, perhaps erased."""
        found: dict[tuple[str, str], list[Record]] = {}
        for customer, recipes in self.of_customers("recipes", moment, "user_id").items():
            for recipe in recipes:
                jobs = self.jobs.get((customer, recipe["id"]), [])
                found[customer, recipe["id"]] = [
                    job_at(job, moment) for job in jobs if read_time(job["started_at"]) <= moment
                ]
        return found

    def prompts_at(self, moment: datetime) -> list[Record]:
        rows = {}
        for row in self.world.get("genie_prompts", []):
            if row["account_id"] == self.own and read_time(row["sent_at"]) <= moment:
                genie = row.get("genie_id") or "g-0"
                of = {"genie_id": genie, "conversation_id": f"{genie}, {row.get('conversation_id') or 'c-0'}"}
                rows[row["id"]] = picked(row, ("id", "sender_type", "sent_at")) | of
        return list(rows.values())

    def usage_at(self, moment: datetime) -> list[Record]:
        """The vendor's figures of listed customers and of months that have begun."""
        listed = {row["id"] for row in self.customers(moment)}
        found = {}
        for row in self.world.get("vendor_usage", []):
            if row["account_id"] in listed and row["usage_month"][:7] <= f"{moment:%Y-%m}":
                month = {"account_id": row["account_id"], "month": row["usage_month"][:7]}
                found[row["account_id"], row["usage_month"]] = month | picked(row, COUNTS)
        return list(found.values())

    def statistics_at(self, moment: datetime) -> list[Record]:
        """Of the current month and the two before."""
        months = moment.year * 12 + moment.month - 3
        first = f"{months // 12}-{months % 12 + 1:02}"
        return [row for row in self.usage_at(moment) if row["month"] >= first]

    def contents_at(self, moment: datetime) -> Contents:
        """What the platform answers at the moment."""
        names = self.project_names(moment)
        customers = self.customers(moment)
        recipes = self.of_customers("recipes", moment, "user_id")
        connections = self.of_customers("connections", moment, "user_id")
        collections = self.of_customers("api_collections", moment, "account_id")
        prompts = self.prompts_at(moment)
        of_genie: defaultdict[str, dict[str, Record]] = defaultdict(dict)
        events: defaultdict[str, list[Record]] = defaultdict(list)
        for row in prompts:
            id, sent_at = row["conversation_id"], row["sent_at"]
            newest = max(
                filter(None, [sent_at, of_genie[row["genie_id"]].get(id, {}).get("updated_at")]), key=read_time
            )
            of_genie[row["genie_id"]][id] = {"id": id, "updated_at": newest}
            event = {"id": row["id"], "type": "user_message", "date_time": sent_at}
            events[id] += [
                event | {"sender": {"type": row["sender_type"]}},
                {"id": f"{row['id']}-answer", "type": "reply"},
            ]
        return Contents(
            now=moment,
            customers=customers,
            recipes={
                customer: [picked(row, RECIPE) | {"user_id": customer, "copy_count": 1} for row in rows]
                for customer, rows in recipes.items()
            },
            projects={
                row["id"]: [{"id": id, "name": name} for (customer, id), name in names.items() if customer == row["id"]]
                for row in customers
            },
            connections={customer: [picked(row, CONNECTION) for row in rows] for customer, rows in connections.items()},
            api_collections={
                customer: [picked(row, ("id", "name")) for row in rows] for customer, rows in collections.items()
            },
            mcp_servers=[{"id": f"server-{id}", "api_collection": {"id": id}} for id in sorted(self.servers(moment))],
            jobs=self.jobs_at(moment),
            genies=[{"id": genie, "name": "A genie"} for genie in sorted(of_genie)],
            conversations={genie: list(of.values()) for genie, of in of_genie.items()},
            events=dict(events),
            usage=[
                {"managed_user_id": row["account_id"], "month": row["month"], "task_count": row["tasks"]}
                for row in self.usage_at(moment)
            ],
            statistics=[
                {"managed_user_id": row["account_id"], "month": row["month"], "task_count": row["tasks"]}
                | {"job_succeeded_count": row["jobs_succeeded"], "job_failed_count": row["jobs_failed"]}
                for row in self.statistics_at(moment)
            ],
        )

    # ------------------------------------------------------------------------------------------ as files of extracts

    def kept_by_hand(self) -> World:
        """What is a file on both sides: extracts without an endpoint, and the prompts of other accounts."""
        rows = {extract: self.world[extract] for extract in NOT_IN_THE_API if extract in self.world}
        prompts = [row for row in self.world.get("genie_prompts", []) if row["account_id"] != self.own]
        return rows | ({"genie_prompts": prompts} if prompts else {})

    def delivered(self) -> World:
        """The rows that extractions at all moments bring, and those kept by hand."""
        rows: defaultdict[str, list[Record]] = defaultdict(list)
        known: dict[tuple[str, str], tuple[datetime, set[str]]] = {}  # recipe: last read, jobs that were pending
        prompted: dict[str, datetime] = {}
        for moment in self.moments:
            at = {"extracted_at": text_time(moment)}
            names, servers = self.project_names(moment), self.servers(moment)
            rows["customers"] += [row | at for row in self.customers(moment)]
            for customer, of in self.of_customers("recipes", moment, "user_id").items():
                for row in of:
                    project = {"project_name": names.get((customer, row.get("project_id")))}
                    rows["recipes"].append(picked(row, RECIPE) | {"user_id": customer} | project | at)
            for customer, of in self.of_customers("connections", moment, "user_id").items():
                rows["connections"] += [picked(row, CONNECTION) | {"user_id": customer} | at for row in of]
            for customer, of in self.of_customers("api_collections", moment, "account_id").items():
                rows["api_collections"] += [
                    picked(row, ("id", "name")) | {"account_id": customer, "is_mcp_server": row["id"] in servers} | at
                    for row in of
                ]
            for row in self.usage_at(moment):
                month = {"account_id": row["account_id"], "usage_month": f"{row['month']}-01"}
                rows["vendor_usage"].append(month | {"tasks": row["tasks"]} | at)
                if row in self.statistics_at(moment):
                    rows["vendor_usage"].append(month | picked(row, COUNTS) | at)
            for row in self.prompts_at(moment):
                since = prompted.get(row["genie_id"])
                if since is None or read_time(row["sent_at"]) >= since - SAFETY:
                    rows["genie_prompts"].append(row | {"account_id": self.own} | at)
            prompted = {row["genie_id"]: moment for row in self.prompts_at(moment)} | dict.fromkeys(prompted, moment)
            known = self._deliver_jobs(moment, known, rows)
        for extract, of in self.kept_by_hand().items():
            rows[extract] += of
        return dict(rows)

    def _deliver_jobs(self, moment: datetime, known: dict, rows: defaultdict[str, list[Record]]) -> dict:
        """Add the jobs that are new, were pending, or were too young; returns what is known now."""
        at = {"extracted_at": text_time(moment)}
        known_now = {}
        for (customer, recipe), jobs in self.jobs_at(moment).items():
            read_to, pending = known.get((customer, recipe), (None, set()))
            still = set()
            for job in jobs:
                last = max(read_time(job[name]) for name in ("started_at", "completed_at") if job[name])
                is_new = read_to is None or last >= read_to - SAFETY or job["id"] in pending
                if not is_new or job.get("erased"):
                    continue
                if job["status"] in ("pending", "processing"):
                    still.add(job["id"])
                place = {"account_id": customer} | at
                rows["jobs"].append({name: job[name] for name in JOB} | {"recipe_id": recipe} | place)
                for position, line in enumerate(job["lines"]):
                    rows["steps"].append(step_of(line) | {"job_id": job["id"], "line_index": position} | place)
            known_now[customer, recipe] = ((moment if jobs else read_to), still)
        return known_now


def job_at(job: Record, moment: datetime) -> Record:
    completed = read_time(job["completed_at"]) if job["completed_at"] else None
    if completed and completed > moment:
        half = job["lines"][: len(job["lines"]) // 2]
        return job | {"status": "pending", "completed_at": None, "error": None, "lines": half}
    if completed and completed < moment - RETENTION:
        return job | {"erased": True, "lines": [], "error": None}
    return job


def line_of(step: Record) -> Record:
    """A step as a line of a job's details: without keyword and status."""
    line: Record = picked(step, ("recipe_line_number", "adapter_name", "adapter_operation", "error"))
    line |= {"input": {}, "output": {}, "line_stat": {"total": json_value(step.get("duration_seconds"))}}
    messages = str(step.get("message_count") or "")
    if messages.isdigit():
        line["input"]["messages"] = [{"n": n} for n in range(int(messages))]
    if json_value(step.get("called_recipe_id")) is not None:
        line["input"]["flow_id"] = step["called_recipe_id"]
    if json_value(step.get("page_count")) is not None:
        line["output"]["page_count"] = step["page_count"]
    return line


def step_of(line: Record) -> Record:
    """The line as a row of steps."""
    row = {name: line[name] for name in ("recipe_line_number", "adapter_name", "adapter_operation", "error")}
    messages = line["input"].get("messages")
    return row | {
        "page_count": line["output"].get("page_count"),
        "message_count": None if messages is None else len(messages),
        "called_recipe_id": line["input"].get("flow_id"),
        "duration_seconds": line["line_stat"]["total"],
    }


def listing_times(world: World) -> list[datetime]:
    """The times of the customers' listings."""
    times = set()
    for row in world["customers"]:
        try:
            times.add(read_time(row["extracted_at"]))
        except Unreadable:
            continue
    return sorted(times)
