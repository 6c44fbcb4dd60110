"""Shows the progress of a build, from dbt's events: stage, models, longest running statement, time left.

``Build`` computes the progress; ``Watch`` passes dbt's events to it and shows the result with a ``Progress``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from progress import Progress, as_count, as_time_left, seconds_left

TICK = 0.5
WORTH_NAMING = 5.0  # seconds after which the longest running model is named
# The folders in the order of the data flow; other folders come after them.
FLOW = ["seeds", "base", "intake", "staging", "metering", "marts", "audit", "publication"]

# Seconds of the models in a full build, for a warehouse without an earlier full build: 2 million steps, two cores, four
# threads (benchmarks/generate.py --steps 2000000 --days 120, DuckDB 1.5.6), as in last_full_build.json: nodes that run
# at the same time share the time. Only the proportions matter.
MEASURED_STEPS = 2_000_000
MEASURED = {
    "step_facts": 3.0,
    "daily_step_counts": 2.0,
    "job_recipe_types": 4.5,
    "metered_jobs": 3.9,
    "job_billing_contexts": 3.9,
    "function_calls": 3.7,
    "repeated_steps": 2.7,
    "rejected_rows": 1.8,
    "delivered_steps": 1.4,
    "stg_steps_without_job": 0.8,
    "usage_by_capability": 0.5,
    "monthly_step_decisions": 0.5,
    "delivered_jobs": 0.5,
    "step_profiles": 0.8,
    "repeated_jobs": 0.4,
}
OTHER_MODEL, TEST = 0.18, 0.06
# The time of a node that took at least this long grows with the steps; other nodes take the same time.
GROWS_FROM = 0.4
NEARLY_DONE = 0.9  # the share of a node that runs for longer than expected


class Build:
    """The state of the running build, updated with the starts and ends of nodes.

    ``paths``: paths of the run's models and seeds below the project; ``tests``: number of tests; ``steps``: number of
    steps that the run reads, 0 if unknown; ``last``: the last full build, {"steps", "seconds", "nodes": {name:
    seconds}}, empty if there was none; None: this is not a full build, and there is no estimate.
    """

    def __init__(self, paths: list[str], tests: int, steps: int, last: dict[str, Any] | None) -> None:
        self.steps = steps
        self.publishing = ""  # the current step of publishing
        self.running: dict[str, float] = {}  # name -> start time
        self._rows = 0
        self._finished: set[str] = set()
        self._stages: dict[str, list[str]] = {}
        for path in paths:
            parts = PurePosixPath(path).parts
            stage = "seeds" if parts[0] == "seeds" else parts[1]
            self._stages.setdefault(stage, []).append(PurePosixPath(path).stem)
        known = [stage for stage in FLOW if stage in self._stages]
        self._order = known + [stage for stage in self._stages if stage not in known]
        self._tests = tests
        self._tests_finished = 0
        self.is_full = last is not None
        self._weights, self._expected = self._weigh(last or {})

    def start(self, name: str, now: float) -> None:
        self.running[name] = now

    def finish(self, name: str, is_test: bool = False, rows: int = 0) -> None:
        self.running.pop(name, None)
        self._rows += rows
        if is_test:
            self._tests_finished += 1
        elif name in self._weights:
            self._finished.add(name)

    def describe(self, elapsed: float, now: float) -> str:
        """Stage 3 of 8, metering: 4 of 15 models, metered_jobs for 12 s, 6.1 million rows from 2.0 million steps, …"""
        stage, detail = self._stage()
        parts = [detail] if detail else []
        models = [name for name in self.running if name in self._weights]
        longest = min(models, key=lambda name: self.running[name], default=None)
        if longest and now - self.running[longest] >= WORTH_NAMING:
            parts.append(f"{longest} for {now - self.running[longest]:.0f} s")
        if self._rows:
            parts.append(f"{as_count(self._rows)} rows{f' from {as_count(self.steps)} steps' if self.steps else ''}")
        if self.is_full and stage != "publishing":
            parts.append(as_time_left(seconds_left(self._done(now), elapsed, self._expected)))
        stages = [*self._order, *(["tests"] if self._tests else []), "publishing"]
        described = f"Stage {stages.index(stage) + 1} of {len(stages)}, {stage}"
        return f"{described}: {', '.join(parts)}" if parts else described

    def _stage(self) -> tuple[str, str]:
        """The first stage that is not finished, and its progress."""
        if self.publishing:
            return "publishing", self.publishing
        for stage in self._order:
            names = self._stages[stage]
            done = sum(name in self._finished for name in names)
            if done < len(names):
                return stage, f"{done} of {len(names)} {'tables' if stage == 'seeds' else 'models'}"
        if self._tests_finished < self._tests:
            return "tests", f"{self._tests_finished} of {self._tests}"
        return "publishing", ""

    def _weigh(self, last: dict[str, Any]) -> tuple[dict[str, float], float | None]:
        """The expected seconds of each node, while others run; and the expected total, if it can be estimated."""
        seconds = last.get("nodes") or MEASURED
        growth = self.steps / (last.get("steps") or MEASURED_STEPS) if self.steps else 1
        names = [name for stage in self._order for name in self._stages[stage]]

        def expect(taken: float) -> float:
            return taken * growth if taken >= GROWS_FROM else taken

        weights = {name: expect(seconds.get(name, OTHER_MODEL)) for name in names}
        if not last:
            return weights, None
        before = sum(seconds.get(name, OTHER_MODEL) for name in names) + TEST * self._tests
        return weights, last["seconds"] * (sum(weights.values()) + TEST * self._tests) / before

    def _done(self, now: float) -> float:
        """The finished share. A running node counts by its time so far, at most with NEARLY_DONE."""
        done = sum(self._weights[name] for name in self._finished) + TEST * self._tests_finished
        for name, since in self.running.items():
            done += min((now - since) / len(self.running), NEARLY_DONE * self._weights.get(name, 0))
        return min(1.0, done / ((sum(self._weights.values()) + TEST * self._tests) or 1))


class Watch:
    """Receives dbt's events and shows the progress of the build.

    ``remember``: called with (seconds, {node: seconds}) when the build is published. ``count_rows``: returns the rows
    of a table, by schema and name.
    """

    def __init__(
        self,
        build: Build,
        progress: Progress,
        remember: Callable[[float, dict[str, float]], None],
        count_rows: Callable[[str, str], int] = lambda schema, name: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.build = build
        self.progress = progress
        self._remember = remember
        self._count_rows = count_rows
        self._clock = clock
        self._began_at = self._heard_at = clock()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.seconds: dict[str, float] = {}  # node -> its share of the run's time

    def attach(self) -> None:
        """Register for this run's events; dbt removes callbacks and loggers when the process starts the next run."""
        from dbt_common.events.event_manager_client import get_event_manager

        manager = get_event_manager()
        manager.callbacks.append(self.hear)
        manager.loggers.insert(0, _ClearBefore(self.progress))
        threading.Thread(target=self._keep_saying, name="progress", daemon=True).start()

    def hear(self, message: Any) -> None:
        """dbt's callback."""
        try:
            name = message.info.name
            if name in ("NodeStart", "NodeFinished"):
                self._hear_node(name, message.data)
            elif name in ("EndOfRunSummary", "CommandCompleted"):
                self.end()
        except Exception:  # an error of the display must not stop the work
            self.end()

    def _hear_node(self, event: str, data: Any) -> None:
        node = data.node_info
        is_test = node.resource_type in ("test", "unit_test")
        if not is_test and node.resource_type not in ("model", "seed"):
            return
        is_table = event == "NodeFinished" and node.materialized in ("table", "incremental", "seed")
        rows = self._count_rows(node.node_relation.schema, node.node_relation.alias) if is_table else 0
        now = self._clock()
        with self._lock:
            self._share_time(now)
            if event == "NodeStart":
                self.build.start(node.node_name, now)
            else:
                self.build.finish(node.node_name, is_test, rows)

    def _share_time(self, now: float) -> None:
        """Divide the time since the last event among the nodes that ran, so that their sum is the time of the run."""
        for name in self.build.running:
            self.seconds[name] = self.seconds.get(name, 0) + (now - self._heard_at) / len(self.build.running)
        self._heard_at = now

    def tell_publishing(self, what: str) -> None:
        with self._lock:
            self.build.publishing = what

    def end(self) -> None:
        if not self._ended.is_set():
            self._ended.set()
            self.progress.clear()

    def published(self) -> None:
        """Save the times of this build for the estimates of the next one."""
        with suppress(Exception):
            self._remember(
                self._clock() - self._began_at, {name: round(took, 2) for name, took in self.seconds.items()}
            )

    def tick(self) -> None:
        with self._lock:
            text = self.build.describe(self.progress.elapsed, self._clock())
        if not self._ended.is_set():
            self.progress.show(text)

    def _keep_saying(self) -> None:
        try:
            while not self._ended.wait(TICK):
                self.tick()
        except Exception:  # an error of the display must not stop the work
            self.end()


class _ClearBefore:
    """A logger before dbt's loggers that removes the status line before they write. It writes nothing itself."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def filter(self, message: Any) -> bool:
        if message.info.level != "debug":
            self._progress.clear()
        return False

    def write_line(self, message: Any) -> None:
        pass

    def flush(self) -> None:
        pass
