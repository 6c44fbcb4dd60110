"""Measures this project against the shortest script, Polars and pandas, over generated extracts of some sizes.

    python benchmarks/run.py --steps 1000000 10000000 100000000 --runs 3 3 1    # writes RESULTS.md
    python benchmarks/run.py --steps 20000000 --days 730 --contenders full day --append    # adds a section to it
    python benchmarks/run.py --steps 1000000 --check                        # only: do all arrive at the same totals?

Each contender is a process of its own, in turn: A B C D E, A B C D E … Time is wall time; CPU time is that of the
process and its children; memory the peak of the resident set; written what the process gave the file system to write;
kept the size of what it left behind. A process that needs more memory than the limit is stopped and recorded so.
Spark's Java process counts in time and memory, not in CPU time and written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import distributions
from itertools import cycle
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
GIB = 1 << 30
CONTENDERS = ("full", "day", "rule", "spark", "floor", "polars", "pandas")
UNLESS_ASKED = [name for name in CONTENDERS if name != "spark"]  # which has an environment of its own


def main() -> int:
    """Measure, print and write the results; 1 when contenders disagree or one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[1_000_000], metavar="N")
    parser.add_argument(
        "--runs",
        type=int,
        nargs="+",
        default=[3],
        metavar="N",
        help="of which the median is taken, for all sizes or each of them (default 3)",
    )
    parser.add_argument(
        "--days", type=int, nargs="+", default=[365], metavar="N", help="of history, for all sizes or each of them"
    )
    parser.add_argument("--customers", type=int, metavar="N", help="for all sizes; default: more steps, more customers")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="run once and compare the totals; write no results")
    parser.add_argument(
        "--scratch", type=Path, default=PROJECT / "target" / "benchmarks", help="for extracts and outputs"
    )
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=UNLESS_ASKED)
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--append", action="store_true", help="add to the results instead of writing them anew")
    parser.add_argument("--memory-limit", type=float, help="GiB; default: nine tenths of the machine's memory")
    asked = parser.parse_args()
    limit = int(asked.memory_limit * GIB) if asked.memory_limit else machine_memory() * 9 // 10

    for option in ("runs", "days"):
        if len(getattr(asked, option)) not in (1, len(asked.steps)):
            parser.error(f"--{option} takes one number, or one for each of --steps")
    if {"day", "rule"} & {*asked.contenders} and "full" not in asked.contenders:
        parser.error("the contenders day and rule work on the warehouse of full: name it, too")

    before = asked.results.read_text().rstrip() + "\n\n" if asked.append else ""
    benches = []
    for steps, days, runs in zip(asked.steps, cycle(asked.days), cycle(asked.runs), strict=False):
        world = ["--steps", str(steps), "--days", str(days), "--seed", str(asked.seed)]
        if asked.customers:
            world += ["--customers", str(asked.customers)]
        bench = Bench(asked.scratch.resolve() / f"{steps}-{days}", steps, days, world, limit)
        bench.contenders = [getattr(bench, name) for name in CONTENDERS if name in asked.contenders]
        bench.generate()
        bench.run(1 if asked.check else runs, with_decisions=asked.check)
        bench.clear()
        benches.append(bench)
        print("\n" + bench.report() + "\n", flush=True)
        if not asked.check:
            asked.results.write_text(before + (sections(benches) if before else results(benches, limit)))
    return int(any(bench.is_wrong for bench in benches))


@dataclass
class Run:
    """What one process took. ``problem`` says why its figures don't count."""

    seconds: float
    cpu_seconds: float
    peak: int
    written: int
    kept: int = 0
    problem: str | None = None


@dataclass
class Contender:
    """One way to the totals: ``prepare`` and ``restore`` are called around the measured command."""

    title: str
    command: list[str]
    output: Path
    prepare: Callable[[], None]
    restore: Callable[[], None] = lambda: None
    is_compared: bool = True  # its totals with the floor's
    runs: list[Run] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        return any(run.problem for run in self.runs)

    @property
    def problem(self) -> str | None:
        """Why there are no figures."""
        return next((run.problem for run in self.runs if run.problem), None if self.runs else "not run")

    def median(self, figure: str) -> float:
        return statistics.median(getattr(run, figure) for run in self.runs)


class Bench:
    """The contenders over extracts of one size. Everything is below ``folder``."""

    def __init__(self, folder: Path, steps: int, days: int, world: list[str], limit: int) -> None:
        self.folder, self.steps, self.days, self.world, self.limit = folder, steps, days, world, limit
        self.extracts, self.next_day, self.warehouse = folder / "extracts", folder / "next_day", folder / "warehouse"
        self.generated = ""
        self.measured = date.today()
        self.agreements: list[str] = []
        self.is_wrong = False

        dbt = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "build"]
        self.full = Contender("(a) this project, full build", dbt, self.warehouse, self._clear(self.warehouse))
        # on the warehouse of the full build before it, and with the same paths, as a nightly run has
        self.day = Contender("(b) this project, one more day", dbt, self.warehouse, self._add_day, self._remove_day)
        # then on that of one more day, whose load stays stored; dbt parses anew for other vars than in the run before
        self.other_option = ["--vars", "{unknown_app_is_eligible: false}", "--target-path", str(folder / "target_rule")]
        self.rule = Contender(
            "(b) this project, an option of decisions changed",
            [*dbt, *self.other_option],
            self.warehouse,
            lambda: None,
        )
        self.rule.is_compared = False
        self.spark = Contender(
            "(e) this project on Spark, full build",
            [*dbt, "--target", "spark"],
            folder / "spark",
            self._clear(folder / "spark"),
        )
        self.floor = self._script("(c) the floor: DuckDB, decisions and totals", "floor.py")
        self.floor.is_compared = False
        self.polars = self._script("(d) Polars, totals only", "with_polars.py")
        self.pandas = self._script("(d) pandas, totals only", "with_pandas.py")
        self.contenders: list[Contender] = []

    def generate(self) -> None:
        """Write the extracts, and those of the next day beside them."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        say(f"{self.steps:,} steps: generating")
        begun = time.perf_counter()
        generator = [sys.executable, HERE / "generate.py"]
        written = subprocess.run(
            [*generator, self.extracts, *self.world], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        self.generated = (
            f"{written}; {megabytes(size_of(self.extracts))}, generated in {time.perf_counter() - begun:,.0f} s"
        )
        subprocess.run([*generator, self.next_day, "--extra-day", *self.world], check=True, stdout=subprocess.DEVNULL)
        say(self.generated)

    def run(self, runs: int, with_decisions: bool = False) -> None:
        """Measure every contender in turn, as often as asked, and compare the totals in the first round."""
        # parses the project, so that the first build is like the others
        parse = [sys.executable, "-m", "dbt.cli.main", "parse"]
        for option in ([], self.other_option) if self.rule in self.contenders else ([],):
            subprocess.run([*parse, *option], cwd=PROJECT, env=self._environment(), check=True, capture_output=True)
        for number in range(1, runs + 1):
            for contender in self.contenders:
                if contender.has_failed or (contender in (self.day, self.rule) and self.full.has_failed):
                    continue
                contender.prepare()
                log = self.folder / f"{contender.output.name}.log"
                run = measure(contender.command, self._environment(), log, self.limit)
                run.kept = size_of(contender.output)
                contender.runs.append(run)
                say(f"run {number}, {contender.title}: {run.problem or f'{run.seconds:,.1f} s'}, {megabytes(run.peak)}")
                if run.problem and "memory" not in run.problem:
                    self.is_wrong = True
                    print(log.read_text()[-2000:], flush=True)
                elif number == 1 and not run.problem and contender.is_compared:
                    self._compare(contender, with_decisions)
                contender.restore()

    def clear(self) -> None:
        """Remove extracts and outputs: at 100 million steps they are large."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def report(self) -> str:
        """The section of this size, in Markdown."""
        lines = [
            f"## {self.steps:,} steps in {self.days} days",
            "",
            f"{self.generated}. Runs: {max(len(contender.runs) for contender in self.contenders)}. "
            f"Measured on {self.measured}.",
            "",
            "| | seconds | to floor | lowest, highest | CPU seconds | peak memory | to floor | written | kept |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for contender in self.contenders:
            if contender.problem:
                lines.append(f"| {contender.title} | {contender.problem} | | | | | | | |")
                continue
            seconds = sorted(run.seconds for run in contender.runs)
            lines.append(
                f"| {contender.title} | {contender.median('seconds'):,.1f} | {self._ratio(contender, 'seconds')} "
                f"| {seconds[0]:,.1f}, {seconds[-1]:,.1f} | {contender.median('cpu_seconds'):,.1f} "
                f"| {megabytes(contender.median('peak'))} "
                f"| {self._ratio(contender, 'peak')} | {megabytes(contender.median('written'))} "
                f"| {megabytes(contender.median('kept'))} |"
            )
        return "\n".join([*lines, "", *(f"- {line}." for line in self.agreements)])

    def _ratio(self, contender: Contender, figure: str) -> str:
        if self.floor.problem:  # or it was not asked for
            return ""
        return f"{contender.median(figure) / self.floor.median(figure):.1f}"

    def _script(self, title: str, script: str) -> Contender:
        output = self.folder / script.removesuffix(".py")
        command = [sys.executable, str(HERE / script), str(self.extracts), str(output)]
        return Contender(title, command, output, self._clear(output))

    def _clear(self, path: Path) -> Callable[[], None]:
        return lambda: shutil.rmtree(path, ignore_errors=True)

    def _add_day(self) -> None:
        for path in self.next_day.rglob("*.parquet"):
            os.link(path, self.extracts / path.relative_to(self.next_day))

    def _remove_day(self) -> None:
        for path in self.next_day.rglob("*.parquet"):
            (self.extracts / path.relative_to(self.next_day)).unlink()

    def _environment(self) -> dict[str, str]:
        """The environment of a nightly run, with dbt's own files out of the project's way."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
        kept.pop("AS_OF_DATE", None)
        return kept | {
            "EXTRACTS_DIR": str(self.extracts),
            "WAREHOUSE_DIR": str(self.warehouse),
            "SPARK_WAREHOUSE_DIR": str(self.spark.output),
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
            "DO_NOT_TRACK": "1",
        }

    def _compare(self, contender: Contender, with_decisions: bool) -> None:
        """Hold a contender's totals against the floor's, over the extracts as they are now."""
        # in processes of their own: a child's peak is at least what its parent held when it started
        floor = self.folder / "expected" / ("next_day" if contender is self.day else "all") / "floor.duckdb"
        if not floor.exists():
            subprocess.run([sys.executable, HERE / "floor.py", self.extracts, floor.parent], check=True)
        is_ours = contender.output == self.warehouse
        if contender is self.spark:
            found = contender.output / "build_marts.db" / "monthly_customer_usage"
        else:
            found = contender.output / ("usage.duckdb" if is_ours else "monthly_totals.parquet")
        command = [sys.executable, HERE / "compare.py", floor, found]
        if is_ours and with_decisions:
            command.append("--decisions")
        compared = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        for what, (same, different) in compared.items():
            self.agreements.append(f"{contender.title}: {same:,} {what} agree with the floor, {different:,} differ")
            self.is_wrong |= different > 0
            say(self.agreements[-1])


def measure(command: list[str], environment: dict[str, str], log: Path, limit: int) -> Run:
    """Run a command to its end, or until it holds more memory than the limit (bytes)."""
    with log.open("w") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        finished, exceeded = threading.Event(), threading.Event()
        peak = 0

        def watch() -> None:
            nonlocal peak
            while not finished.wait(0.1):
                # a process that it started, such as Spark's, counts too
                peak = max(peak, sum(resident(int(child)) for child in [process.pid, *children(process.pid)]))
                if peak > limit:
                    exceeded.set()
                    os.kill(process.pid, signal.SIGKILL)
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        # wait4 knows the peak of this very process (and of those it waited for), unlike the sum over all children
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        finished.set()
        watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
    problem = None
    if exceeded.is_set():
        problem = f"out of memory: stopped after {seconds:,.0f} s above {limit / GIB:.1f} GiB"
    elif process.returncode == -signal.SIGKILL or "MemoryError" in log.read_text()[-2000:]:
        problem = f"out of memory after {seconds:,.0f} s"
    elif process.returncode:
        problem = f"failed with exit code {process.returncode}"
    return Run(
        seconds,
        usage.ru_utime + usage.ru_stime,
        max(peak, usage.ru_maxrss * 1024),
        usage.ru_oublock * 512,
        problem=problem,
    )


def children(pid: int) -> list[str]:
    """The processes that a process has started, as text; none when it has ended."""
    try:
        return " ".join(listing.read_text() for listing in Path(f"/proc/{pid}/task").glob("*/children")).split()
    except OSError:
        return []


def resident(pid: int) -> int:
    """The resident set of a process, bytes; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def results(benches: list[Bench], limit: int) -> str:
    """RESULTS.md."""
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    installed = {package.name: package.version for package in distributions()}
    named = ("duckdb", "dbt-core", "dbt-duckdb", "polars", "pandas", "pyarrow", "pyspark")
    packages = ", ".join(f"{name} {installed[name]}" for name in named if name in installed)
    head = f"""# Benchmark results

Written by `python benchmarks/run.py`. What is measured, and with which arguments: [README.md](README.md).

| | |
|---|---|
| processor | {processor()}, {os.cpu_count()} cores |
| memory | {machine_memory() / GIB:.1f} GiB; a contender that needs more than {limit / GIB:.1f} GiB is stopped |
| system | {system}, Linux {platform.release()}, Python {platform.python_version()} |
| packages | {packages} |
| figures | medians, the contenders in turn; files are in the page cache as the run before left them |

"""
    return head + sections(benches)


def sections(benches: list[Bench]) -> str:
    """One section for each size, in Markdown."""
    return "\n\n".join(bench.report() for bench in benches) + "\n"


def processor() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def machine_memory() -> int:
    """The machine's memory, bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def size_of(folder: Path) -> int:
    """The size of all files of a folder, bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def megabytes(size: float) -> str:
    """A size to be read."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def say(text: str) -> None:
    """A line of progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
