"""Section 10 of the counting rules: what explains a difference to the vendor's figure.

``add_reconciliation`` appends to the lists of a Result that ``reference.compute`` has filled so far. Instants are in
UTC, months their first days. Readings are marked [A<n>] and explained in README.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from .tab import USAGE_METRICS, Row, month_of

METRICS = (*USAGE_METRICS, "jobs_succeeded", "jobs_failed")
OF_STEPS = ("tasks", "business_actions", "pages_processed", "events_processed")


# ---------------------------------------------------------------------------------------------------------- our figures


@dataclass(frozen=True)
class Unit:
    """A step, job, request, publish or prompt that counts: when it completed or happened, in how many units."""

    account: str
    at: datetime
    metric: str
    quantity: int


@dataclass(frozen=True)
class Step:
    """A step of a current delivery. ``vendor_tasks``: its tasks under the vendor's rules."""

    tasks: int
    vendor_tasks: int
    metric: str | None
    quantity: int
    is_default_applied: bool
    uncounted_metric: str | None  # pages_processed or events_processed where it has no readable count


@dataclass(frozen=True)
class Job:
    """A job by its current delivery. ``is_counted``: neither S-PENDING nor S-TEST decided; ``at``: its completion."""

    account: str
    id: str
    at: datetime | None
    is_counted: bool
    is_canceled_or_poll_error: bool
    action_count: int | None
    steps: tuple[Step, ...]

    def quantity(self, metric: str) -> int:
        if metric == "tasks":
            return sum(step.tasks for step in self.steps)
        return sum(step.quantity for step in self.steps if step.metric == metric)


@dataclass(frozen=True)
class WaitingRequest:
    """A request that was let through without internal error, and whose job is absent or pending. [A60]"""

    account: str
    at: datetime
    metric: str  # mcp_calls where its collection is an MCP server, else api_calls


@dataclass
class Work:
    """All of our own work in a world, of all accounts."""

    units: list[Unit] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    waiting_requests: list[WaitingRequest] = field(default_factory=list)
    newest_extract: datetime | None = None  # of jobs, streamed jobs, requests, publishes and prompts (B-NOT-YET)

    def until(self, is_within: Callable[[datetime], bool]) -> Work:
        """What marts hold: without what is dated after the as-of date. [A56]"""
        return Work(
            [unit for unit in self.units if is_within(unit.at)],
            [job for job in self.jobs if job.at is not None and is_within(job.at)],
            [request for request in self.waiting_requests if is_within(request.at)],
            self.newest_extract,
        )

    def by_account(self) -> dict[str, Work]:
        found: dict[str, Work] = defaultdict(lambda: Work(newest_extract=self.newest_extract))
        for unit in self.units:
            found[unit.account].units.append(unit)
        for job in self.jobs:
            found[job.account].jobs.append(job)
        for request in self.waiting_requests:
            found[request.account].waiting_requests.append(request)
        return found


# --------------------------------------------------------------------------------------------------- the vendor's rows


@dataclass(frozen=True)
class Figure:
    """The vendor's figure of a metric, and when it was taken."""

    quantity: int
    taken: datetime


def figures_of(rows: Iterable[Row], row_as_text: Callable[[Row], str]) -> dict[tuple[str, date], dict[str, Figure]]:
    """(account, month) -> metric -> the latest figure, metric by metric (then the greater row as text). [A55]"""
    found: dict[tuple[str, date], dict[str, Figure]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: (row["extracted_at"], row_as_text(row))):
        for metric in METRICS:
            if row[metric] is not None:
                figure = Figure(row[metric], row["extracted_at"])
                found[row["account_id"], month_of(row["usage_month"])][metric] = figure
    return found


# --------------------------------------------------------------------------------------------------------- the causes


class Reconciled:
    """One customer and month. ``left`` is what the causes so far have left of ours minus the vendor's, by metric."""

    def __init__(self, work: Work, figures: dict[str, Figure], month: date, zone: ZoneInfo, vendor_zone: ZoneInfo):
        self.work, self.figures, self.month = work, figures, month
        self.vendor_zone = vendor_zone
        self.in_our_month = [unit for unit in work.units if _month(unit.at, zone) == month]
        self.in_vendors_month = [unit for unit in work.units if self.is_in_vendors_month(unit.at)]
        self.ours = Counter()
        for unit in self.in_our_month:
            self.ours[unit.metric] += unit.quantity
        self.left = {metric: self.ours[metric] - figure.quantity for metric, figure in figures.items()}
        self.differs = {metric for metric, left in self.left.items() if left}
        self.causes: list[tuple[str, str, int, bool]] = []  # (metric, cause, quantity, is_exact)

    def is_in_vendors_month(self, at: datetime) -> bool:
        return _month(at, self.vendor_zone) == self.month

    def is_left(self, metric: str, at: datetime) -> bool:
        """Whether it is in the month by the vendor's zone, and not later than the figure (B-LATER, B-ZONE)."""
        return at <= self.figures[metric].taken and self.is_in_vendors_month(at)

    def jobs_left(self, metric: str) -> list[Job]:
        """ "Jobs of what is left" """
        return [job for job in self.work.jobs if job.is_counted and self.is_left(metric, job.at)]

    def largest(self, metric: str) -> int:
        return max((job.quantity(metric) for job in self.jobs_left(metric)), default=0)

    def metrics(self, *metrics: str) -> list[str]:
        """Those of them that the vendor has a figure for."""
        return [metric for metric in metrics if metric in self.figures]

    def are_of_one_instant(self, *metrics: str) -> bool:
        """ "Figures of different instants are not paired" """
        return all(metric in self.figures for metric in metrics) and (
            len({self.figures[metric].taken for metric in metrics}) == 1
        )

    def explain(self, metric: str, cause: str, quantity: int, is_exact: bool) -> None:
        """A cause of 0 is left out."""
        if quantity:
            self.left[metric] -= quantity
            self.causes.append((metric, cause, quantity, is_exact))

    def infer(self, metric: str, cause: str, most: int | None = None) -> int:
        """Where the vendor has more: at most so many (None: all) of what is left; returns how many. [A57]"""
        if metric not in self.differs or self.left[metric] >= 0:
            return 0
        amount = -self.left[metric] if most is None else max(0, min(most, -self.left[metric]))
        self.explain(metric, cause, -amount, False)
        return amount

    # -------------------------------------------------------------------------------------------------- exact causes

    def completed_after_figure(self) -> None:
        """B-LATER"""
        for metric, figure in self.figures.items():
            later = sum(u.quantity for u in self.in_our_month if u.metric == metric and u.at > figure.taken)
            self.explain(metric, "completed_after_figure", later, True)

    def time_zone(self) -> None:
        """B-ZONE"""
        for metric, figure in self.figures.items():
            ours, theirs = (
                sum(u.quantity for u in units if u.metric == metric and u.at <= figure.taken)
                for units in (self.in_our_month, self.in_vendors_month)
            )
            self.explain(metric, "time_zone", ours - theirs, True)

    def task_rules(self) -> None:
        """B-TASK-RULES. Proxied requests are the same under all rules."""
        for metric in self.metrics("tasks"):
            steps = [s for job in self.jobs_left(metric) if job.action_count is None for s in job.steps]
            self.explain(metric, "task_rules", sum(s.tasks - s.vendor_tasks for s in steps), True)

    def platform_count(self) -> None:
        """B-ACTION-COUNT"""
        for metric in self.metrics("tasks"):
            jobs = [job for job in self.jobs_left(metric) if job.action_count is not None and job.steps]
            difference = sum(job.quantity("tasks") - job.action_count for job in jobs)
            self.explain(metric, "platform_count", difference, True)

    def jobs_without_lines(self) -> None:
        """B-NO-LINES"""
        for metric in self.metrics("tasks"):
            jobs = [job for job in self.jobs_left(metric) if job.action_count is not None and not job.steps]
            self.explain(metric, "jobs_without_lines", -sum(job.action_count for job in jobs), True)

    # ----------------------------------------------------------------------------------------------- inferred causes

    def opposite(self, one: str, other: str, cause: str) -> None:
        """B-STATUS, B-CALL-KIND: left with opposite signs: the smaller amount, in both. [A57]"""
        if not self.are_of_one_instant(one, other) or not {one, other} <= self.differs:
            return
        left = self.left[one], self.left[other]
        if left[0] * left[1] < 0:
            amount = min(map(abs, left))
            for metric, amount_left in zip((one, other), left, strict=True):
                self.explain(metric, cause, amount if amount_left > 0 else -amount, False)

    def jobs_without_lines_or_count(self) -> None:
        """B-NO-LINES-NO-COUNT"""
        for metric in self.metrics(*OF_STEPS):
            jobs = [job for job in self.jobs_left(metric) if not job.steps]
            if metric == "tasks":
                jobs = [job for job in jobs if job.action_count is None]
            self.infer(metric, "jobs_without_lines", len(jobs) * self.largest(metric))

    def count_missing(self) -> None:
        """B-NO-COUNT"""
        for metric in self.metrics("pages_processed", "events_processed"):
            if any(s.uncounted_metric == metric for job in self.jobs_left(metric) for s in job.steps):
                self.infer(metric, "count_missing")

    def not_yet_delivered(self) -> None:
        """B-NOT-YET: the month is the vendor's. [A59]"""
        newest = self.work.newest_extract
        if newest is None or _month(newest, self.vendor_zone) > self.month:
            return
        for metric, figure in self.figures.items():
            if figure.taken > newest:
                self.infer(metric, "not_yet_delivered")

    def request_job_missing(self) -> Counter:
        """B-REQUEST; how much it explained of each metric."""
        explained = Counter()
        for metric in self.metrics("api_calls", "mcp_calls"):
            waiting = [r for r in self.work.waiting_requests if r.metric == metric and self.is_left(metric, r.at)]
            explained[metric] = self.infer(metric, "request_job_missing", len(waiting))
        return explained

    def canceled_or_poll_error(self) -> None:
        """B-NOT-COUNTED. [A61]"""
        for metric in self.metrics("jobs_failed"):
            jobs = [job for job in self.work.jobs if job.is_canceled_or_poll_error and self.is_left(metric, job.at)]
            self.infer(metric, "canceled_or_poll_error", len(jobs))

    def jobs_missing(self, explained_by_request: Counter) -> None:
        """B-MISSING. Of jobs and units whose figures are of one instant. [A58]"""
        missing = Counter()
        for metric in self.metrics("jobs_succeeded", "jobs_failed"):
            missing[metric] = self.infer(metric, "jobs_missing")
        for metric in self.metrics(*OF_STEPS):
            n = sum(amount for jobs, amount in missing.items() if self.are_of_one_instant(jobs, metric))
            self.infer(metric, "jobs_missing", n * self.largest(metric))
        calls = [m for m in ("api_calls", "mcp_calls") if self.are_of_one_instant("jobs_succeeded", m)]
        unused = missing["jobs_succeeded"] - sum(explained_by_request[metric] for metric in calls)
        for metric in calls:
            unused -= self.infer(metric, "jobs_missing", unused)

    def decided_by_default(self) -> None:
        """B-DEFAULT"""
        for metric in self.metrics("business_actions"):
            steps = [s for job in self.jobs_left(metric) for s in job.steps if s.is_default_applied]
            counted = sum(step.metric is not None for step in steps)
            if metric in self.differs and self.left[metric] > 0:
                self.explain(metric, "decided_by_default", min(counted, self.left[metric]), False)
            else:
                self.infer(metric, "decided_by_default", len(steps) - counted)

    def of_a_customer(self) -> None:
        self.completed_after_figure()
        self.time_zone()
        self.task_rules()
        self.platform_count()
        self.jobs_without_lines()
        self.opposite("jobs_succeeded", "jobs_failed", "job_status_differs")
        self.opposite("api_calls", "mcp_calls", "api_or_mcp")
        self.jobs_without_lines_or_count()
        self.count_missing()
        self.not_yet_delivered()
        explained = self.request_job_missing()
        self.canceled_or_poll_error()
        self.jobs_missing(explained)
        self.decided_by_default()

    def of_the_partner(self) -> None:
        """B-ADMIN: ours is 0."""
        for metric, figure in self.figures.items():
            self.explain(metric, "admin_account", -figure.quantity, True)

    def rows(self, account: str) -> Iterable[Row]:
        unexplained = [(metric, "unexplained", left, False) for metric, left in self.left.items()]
        for metric, cause, quantity, is_exact in [*self.causes, *unexplained]:
            yield {
                "usage_month": self.month,
                "customer_id": account,
                "metric": metric,
                "cause": cause,
                "quantity": quantity,
                "is_exact": is_exact,
                "our_quantity": self.ours[metric],
                "vendor_quantity": self.figures[metric].quantity,
            }


def _month(at: datetime, zone: ZoneInfo) -> date:
    return month_of(at.astimezone(zone).date())


# ----------------------------------------------------------------------------------------------------------- the tables


def add_reconciliation(
    result: Any,
    work: Work,
    figures: dict[tuple[str, date], dict[str, Figure]],
    zone: ZoneInfo,
    vendor_zone: ZoneInfo,
    admins: Collection[str],
) -> None:
    """usage_reconciliation and job_reconciliation."""
    of_accounts = work.until(lambda at: at.astimezone(zone).date() <= result.as_of).by_account()
    nothing = Work(newest_extract=work.newest_extract)
    for (account, month), of_month in sorted(figures.items()):
        ours = nothing if account in admins else of_accounts.get(account, nothing)
        ordered = {metric: of_month[metric] for metric in METRICS if metric in of_month}
        reconciled = Reconciled(ours, ordered, month, zone, vendor_zone)
        if account in admins:
            reconciled.of_the_partner()
        else:
            reconciled.of_a_customer()
        result.usage_reconciliation += reconciled.rows(account)
    result.job_reconciliation += (
        row_of_job(job, None if job.at is None else _month(job.at, zone))
        for job in work.jobs
        if job.action_count is not None
    )


def row_of_job(job: Job, month: date | None) -> Row:
    """A job beside the platform's count of its actions. [A62]"""
    tasks = job.quantity("tasks")
    difference = tasks - job.action_count
    cause = None
    if difference:
        cause = "unexplained" if not job.is_counted else "platform_count" if job.steps else "jobs_without_lines"
    return {
        "customer_id": job.account,
        "job_id": job.id,
        "usage_month": month,
        "our_tasks": tasks,
        "platform_count": job.action_count,
        "difference": difference,
        "cause": cause,
    }
