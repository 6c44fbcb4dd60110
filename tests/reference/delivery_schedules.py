"""Distributes random worlds over the deliveries of several runs, in every order in which real deliveries arrive.

``scheduled_deliveries(plan)`` returns the rows that each run finds. ``Source`` is a folder of extracts over several
runs: files are added, replaced under their name, removed, and come back; it records all files that it ever contained.
The schedule of a world depends only on its number and the plan, not on other worlds, so a plan can be reduced to fewer
worlds.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from . import reference
from .contract_worlds import random_contract_world
from .files import FORMATS, is_readable, nest, write_nested_jobs, write_oddly, write_world
from .worlds import END, LISTINGS, merge_worlds

REQUIRED = ("customers", "recipes", "connections", "jobs", "steps")
ORDERS = (
    "scattered",  # every row independently
    "whole deliveries",  # a delivery of a job with its steps
    "by time",  # as extracted
    "callers last",  # each caller a run after the job that it called
    "callers first",
    "jobs last",  # after their steps and requests
    "jobs first",
    "listings last",  # and nothing else with them
    "one run",
)
LATE = 0.08  # share of rows that arrive in any run, whatever the order
KEPT = 0.01  # share of its rows that the quiet last run keeps

# What a newer row of the same thing may say instead.
CHANGES = {
    "customers": {"name": ["Newly named", None], "in_trial": [True, False], "subscription_expired": [True, False]},
    "recipes": {
        "recipe_type": ["workflow", "api_recipe", "api_proxy", "recipe_function", "skill", "knowledge_base", None],
        "trigger_application": ["salesforce", "workato_api_platform", "workato_recipe_function", "workato_genie"],
        "running": [True, False],
        "project_name": ["Newly named", None],
    },
    "connections": {"authorization_status": ["success", "failed", None], "provider": ["slack", "jira"]},
    "jobs": {
        "status": ["succeeded", "failed", "canceled", "pending"],
        "environment_type": ["dev", "prod", None],
        "calling_job_id": ["j-1", "j-2", "j-missing", None],
        "is_test": [True, False],
        "recipe_id": ["c1-r0", "c1-r4", "c2-r9"],
    },
    "steps": {"adapter_name": ["logger", "slack"], "adapter_operation": ["create_object"], "page_count": [4, None]},
    "api_requests": {
        "job_id": ["j-1", "j-3", "j-missing", None],
        "request_type": ["managed", "proxy"],
        "gateway_code": ["429", None],
        "internal_error": [True, False],
    },
    "api_collections": {"is_mcp_server": [True, False]},
    "event_stream_requests": {"status": ["succeeded", "failed", "pending"], "message_count": [0, 250]},
    "genie_prompts": {"status": ["failed", "succeeded", None]},
    "seats": {"seats": [0, 50], "effective_to": ["2024-05-25", None]},
    "subscriptions": {"recipe_metric": ["business_actions", "tasks"]},
    "credit_ratios": {"credits_per_unit": ["0.5", "3"]},
    "recommended_recipes": {"name": ["Newly named", None]},
    "vendor_usage": {"tasks": [1, 99], "api_calls": [0, 7], "jobs_failed": [2, None]},
}
LISTED = ("customers", "recipes", "connections", "api_collections")
TERMS = ("seats", "subscriptions", "credit_ratios")  # listed where they have a time; else the last delivery decides


@dataclass(frozen=True)
class Plan:
    """The worlds and how they are delivered. ``runs``: the number of runs."""

    worlds: int
    runs: int
    order: str = "scattered"  # one of ORDERS, or "mixed": each world has its own
    quiet: bool = False  # the last run delivers few rows, so that most rows must stay unchanged
    repeated: int = 0  # percent of the rows that a later run delivers again, unchanged or newer
    formats: str = "one"  # for all extracts; or "own": each has one; or "changing" from run to run
    streamed: bool = False  # some runs deliver jobs as streamed job files
    replaced: bool = False  # some extracts have the same file names in each run
    odd: bool = False  # each file has its own spellings, types and columns
    gone: str = "no"  # which files of earlier runs are removed before the next one: no, some, all
    first_world: int = 0


# ---------------------------------------------------------------------------------------------- what arrives when


def scheduled_deliveries(plan):
    """([{extract: rows} of each run], admin account ids)."""
    runs = [{} for _ in range(plan.runs)]
    for number in range(plan.first_world, plan.first_world + plan.worlds):
        for run, rows in zip(runs, Spread(random_contract_world(number), number, plan).runs, strict=True):
            run[f"w{number}-"] = rows
    merged, admins = zip(*(merge_worlds(run) for run in runs), strict=True)
    for extract in REQUIRED:  # the first run needs a row of each
        if extract not in merged[0]:
            merged[0][extract] = [next(run[extract] for run in merged if run.get(extract)).pop()]
    return list(merged), admins[0]


def instant(row):
    """The row's extracted_at, or None."""
    try:
        return reference.read_time(row.get("extracted_at"))
    except reference.Unreadable:
        return None


class Spread:
    """The rows of one world by run."""

    def __init__(self, world, number, plan):
        self.rng = random.Random(f"nights-{number}")  # another seed would draw other schedules
        order = self.rng.choice(ORDERS)
        self.order = order if plan.order == "mixed" else plan.order
        self.last = plan.runs - 1
        self.quiet = plan.quiet
        self.only = self.rng.randint(0, self.last)
        self.run_of = {}  # delivery -> its run, for rows that arrive together
        self.callers = {(job["account_id"], job["id"]): job["calling_job_id"] for job in world["jobs"]}
        times = sorted(time for rows in world.values() for row in rows if (time := instant(row)))
        self.ends = [times[len(times) * run // plan.runs] for run in range(1, plan.runs)]
        self.steps = defaultdict(list)
        for step in world["steps"]:
            self.steps[step["account_id"], step["job_id"]].append(step)

        self.runs = [defaultdict(list) for _ in range(plan.runs)]
        for extract, rows in world.items():
            for row in rows:
                run = self.place(extract, row)
                self.add(run, extract, row)
                may_repeat = self.order != "listings last" or extract in LISTED
                if may_repeat and self.rng.random() < plan.repeated / 100:
                    self.repeat(extract, row, run)

    def place(self, extract, row):
        """The run in which the row arrives."""
        rng, last = self.rng, self.last
        anywhere = rng.randint(0, last)
        if self.order == "listings last":
            return last if extract in LISTED else rng.randint(0, max(last - 1, 0))
        if rng.random() < LATE:
            return anywhere
        is_of_job = extract in ("jobs", "steps")
        match self.order:
            case "whole deliveries" if is_of_job:
                delivery = (row["account_id"], row["id" if extract == "jobs" else "job_id"], instant(row))
                return self.run_of.setdefault(delivery, anywhere)
            case "by time" if time := instant(row):
                return sum(time >= end for end in self.ends)
            case "callers last" if is_of_job:
                return max(last - self.depth(extract, row), 0)
            case "callers first" if is_of_job:
                return min(self.depth(extract, row), last)
            case "jobs last" if is_of_job or extract == "api_requests":
                return last if extract == "jobs" else rng.randint(0, max(last - 1, 0))
            case "jobs first" if is_of_job or extract == "api_requests":
                return 0 if extract == "jobs" else rng.randint(min(1, last), last)
            case "one run":
                return self.only
        return anywhere

    def add(self, run, extract, row):
        if self.quiet and run == self.last and self.rng.random() >= KEPT:
            run = self.rng.randint(0, max(run - 1, 0))
        self.runs[run][extract].append(row)

    def depth(self, extract, row):
        """The number of callers above the job, up to the number of runs; so cycles end, too."""
        account, job, depth = row["account_id"], row["id" if extract == "jobs" else "job_id"], 0
        while depth < self.last and self.callers.get((account, job)):
            job = self.callers[account, job]
            depth += 1
        return depth

    def repeat(self, extract, row, run):
        """Deliver the row again in a later run, unchanged or newer; a job with some, all or none of its steps."""
        rng = self.rng
        later = rng.randint(run, self.last)
        row, time = dict(row), instant(row)
        changes = CHANGES.get(extract)
        is_undated = extract in TERMS and not time
        if changes is None or is_undated or rng.random() < 0.35:
            self.add(later, extract, row)
            return
        for column in rng.sample(list(changes), rng.randint(1, min(2, len(changes)))):
            row[column] = rng.choice(changes[column])
        if extract in (*LISTED, *TERMS):
            row["extracted_at"] = rng.choice(LISTINGS).isoformat()
        elif extract != "steps" and time and rng.random() < 0.8:
            row["extracted_at"] = min(time + timedelta(minutes=rng.randint(1, 4000)), END).isoformat()
        if extract == "jobs":
            if row["status"] == "pending":
                row["completed_at"] = None
            elif rng.random() < 0.4:
                row["completed_at"] = rng.choice(
                    ["2024-03-31T23:59:59Z", "2024-04-01T00:00:00Z", "2024-05-20T12:00:00Z"]
                )
            kept = rng.choice([0, 0.5, 1, 1])
            for step in self.steps[row["account_id"], row["id"]]:
                if rng.random() < kept:
                    with_its_job = rng.random() < 0.7
                    run = later if with_its_job else rng.randint(0, self.last)
                    self.add(run, "steps", {**step, "extracted_at": row["extracted_at"]})
        self.add(later, extract, row)


def ways_to_be_late(runs):
    """How often each kind of dependency between the deliveries of two runs occurs."""
    ways = Counter()

    def rows(extract):
        return [(run, row) for run, delivered in enumerate(runs) for row in delivered.get(extract, [])]

    def again(extract):
        """Pairs of rows of the same entity, the second from a later run; both have a time."""
        things = defaultdict(list)
        for run, row in rows(extract):
            if instant(row):
                things[row.get("account_id") or row.get("user_id"), row["id"]].append((run, row))
        for deliveries in things.values():
            for (run, row), (later, other) in itertools.combinations(deliveries, 2):
                if run < later:
                    yield row, other, instant(other) > instant(row)

    arrived, callers = {}, defaultdict(set)
    for run, row in rows("jobs"):
        arrived.setdefault((row["account_id"], row["id"]), run)
        if row["calling_job_id"]:
            callers[row["account_id"], row["id"]].add((row["account_id"], row["calling_job_id"]))
    for job, run in arrived.items():
        late = [caller for caller in callers[job] if run < arrived.get(caller, -1)]
        ways["caller after its job"] += bool(late)
        ways["chain of three, each caller a run later"] += any(
            arrived[caller] < arrived.get(above, -1) for caller in late for above in callers[caller]
        )
    for extract in ("steps", "api_requests"):
        for run, row in rows(extract):
            ways[f"{extract} before their job"] += run < arrived.get((row["account_id"], row["job_id"]), -1)

    steps = Counter((row["account_id"], row["job_id"], instant(row)) for _, row in rows("steps"))
    for job, other, is_newer in again("jobs"):
        before, after = (steps[row["account_id"], row["id"], instant(row)] for row in (job, other))
        ways["a job as it was"] += job == other
        ways["older delivery of a job"] += instant(other) < instant(job)
        ways["pending job finished"] += bool(is_newer and not job["completed_at"] and other["completed_at"])
        ways["newer delivery with fewer steps"] += is_newer and 0 < after < before
        ways["newer delivery without steps"] += is_newer and after == 0 < before
        months = [str(row["completed_at"])[:7] for row in (job, other)]
        ways["another completion month"] += is_newer and months[0] != months[1]
    for extract in LISTED:
        ways[f"older listing of {extract}"] += sum(instant(other) < instant(row) for row, other, _ in again(extract))
    for recipe, other, is_newer in again("recipes"):
        ways["another recipe type"] += is_newer and recipe["recipe_type"] != other["recipe_type"]
    for collection, other, is_newer in again("api_collections"):
        ways["another word on MCP"] += is_newer and collection["is_mcp_server"] != other["is_mcp_server"]
    return ways


# ----------------------------------------------------------------------------------------- the folder of extracts


class Source:
    """A folder of extracts over several runs, and all files that it ever contained."""

    def __init__(self, folder, plan):
        self.folder = Path(folder)
        self.plan = plan
        self.rng = random.Random(f"files-{plan.first_world}")
        self.delivered = {}  # (path, content) -> the rows; None for a streamed job
        self.formats = {}
        self.gone = []  # [(path, content)]
        self.run = 0
        self.replaced = 0
        self.returned = 0

    def deliver(self, rows):
        """Deliver the files of a run: some files are removed, others are added, some come back."""
        if self.run:
            self._lose(self.plan.gone)
        streams = self.plan.streamed and (self.plan.runs <= 2 or self.rng.random() < 0.6)
        if streams:
            nested, rows = nest({"jobs": [], "steps": [], **rows}, seed=self.run)
            self._stream(nested)
        for extract in sorted(set(rows) & set(reference.EXTRACTS)):
            self._write(extract, rows[extract])
        self._return()
        for extract in REQUIRED:
            (self.folder / extract).mkdir(parents=True, exist_ok=True)
        self.run += 1

    def write_all(self, folder, fmt):
        """Write every version of every file that was ever delivered, as one delivery in one format."""
        rows = defaultdict(list)
        for number, ((path, content), part) in enumerate(self.delivered.items()):
            if part is None:
                self._put(Path(folder, path.with_name(f"{number}-{path.name}")), content)
            else:
                rows[path.parts[0]] += part
        write_world(rows, folder, fmt, overlap=0)

    def _write(self, extract, rows):
        fmt = self._format(extract)
        name = "latest" if self._keeps_names(extract) else f"run-{self.run}"
        parts = self.rng.choice([1, 1, 2, 3])
        for number in range(parts):
            part = rows[number::parts]
            if not part:
                continue
            # the quarantine contains a bad row as it was written: as text
            typed = all(is_readable(extract, row) for row in part)
            written = part if typed or fmt != "parquet" else [as_text(row) for row in part]
            folder = self.folder.with_name("written")
            if self.plan.odd and typed:
                write_oddly(extract, part, folder / extract / f"part-0.{fmt}", self.rng)
            else:
                write_world({extract: written}, folder, fmt, split=1, seed=self.run, typed=typed, overlap=0)
            self._take(Path(extract, f"part-0.{fmt}"), Path(extract, str(number), f"{name}.{fmt}"), part)

    def _stream(self, nested):
        folder = self.folder.with_name("written")
        write_nested_jobs(nested, folder, seed=self.run)
        for file in sorted((folder / "job_history").rglob("*.json")):
            path = file.relative_to(folder)
            name = path.name if self._keeps_names("job_history") else f"{self.run}-{path.name}"
            self._take(path, path.with_name(name), None)

    def _take(self, written, path, rows):
        """Move the written file into the folder of extracts."""
        written = self.folder.with_name("written") / written
        content = written.read_bytes()
        written.unlink()
        self.replaced += (self.folder / path).exists()
        self._put(self.folder / path, content)
        self.delivered.setdefault((path, content), rows)

    def _put(self, path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def _keeps_names(self, extract):
        return self.plan.replaced and random.Random(f"{extract}-{self.plan.first_world}").random() < 0.5

    def _format(self, extract):
        """The format of the extract's new files; a folder contains only one, so files of others are removed."""
        drawn, changes = self.rng.choice(FORMATS), self.rng.random() < 0.5
        before = self.formats.get(extract)
        if self.plan.formats == "one":
            drawn = "csv"
        elif before and not (changes and self.plan.formats == "changing"):
            drawn = before
        if before and family(before) != family(drawn):
            self._lose("all", extract)
        self.formats[extract] = drawn
        return drawn

    def _lose(self, which, extract="."):
        """Remove files; a file that is replaced under its name stays until then."""
        for file in sorted((self.folder / extract).rglob("*")):
            path = file.relative_to(self.folder)
            if not file.is_file() or (extract == "." and self._keeps_names(path.parts[0])):
                continue
            if which == "all" or (which == "some" and self.rng.random() < 0.4):
                self.gone.append((path, file.read_bytes()))
                file.unlink()

    def _return(self):
        """Sometimes a removed file comes back, which was loaded long ago."""
        for path, content in self.gone:
            extract = path.parts[0]
            if self.rng.random() < 0.1 and not (self.folder / path).exists():
                others = [file for file in (self.folder / extract).rglob("*") if file.is_file()]
                if all(family(file.name) == family(path.name) for file in others):
                    self._put(self.folder / path, content)
                    self.returned += 1


def family(name):
    """csv, json or parquet: of a format, or of a file's name."""
    return name.removesuffix(".gz").rsplit(".", 1)[-1]


def as_text(row):
    """The row with its booleans as every format writes them."""
    return {column: str(value).lower() if isinstance(value, bool) else value for column, value in row.items()}
