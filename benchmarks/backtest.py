"""How far the forecasts of marts.usage_forecasts are from what was used, beside simpler and other methods.

    python benchmarks/backtest.py            # measures, and writes the tables of docs/forecasts.md
    python benchmarks/backtest.py --print    # only prints them

Usage by day is made up from a fixed seed: customers of all sizes with a weekly pattern of their own, growth, a level
that drifts and jumps, outages of one customer and of all, late starts and ends. The forecast is the project's own SQL,
as dbt compiles it, over the tables that it reads; what it is compared with is a line of Python each. Every forecast is
made on the morning of a day of which nothing is known yet, and compared with the month's usage when it is over.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate
from pathlib import Path
from statistics import fmean, median

import duckdb

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs" / "forecasts.md"
BEGIN, END = "<!-- make backtest writes from here -->", "<!-- to here -->"
SEED, CUSTOMERS, DAYS = 27, 250, 546
FIRST_DAY = date(2025, 1, 6)  # a Monday; the last day is 5 July 2026
MONTHS = [date(2026, month, 1) for month in range(2, 7)]
KNOWN_DAYS = (0, 3, 7, 12, 17, 22, 27)  # full days of the month that are known
SIZES = ((0, 10, "fewer than 10"), (10, 100, "10 to 100"), (100, 1000, "100 to 1,000"), (1000, math.inf, "more"))
MONTHLY = 30.4


@dataclass(frozen=True)
class Series:
    """Units of each day since FIRST_DAY, and their running sum: ``total[n]`` is that of the first n days."""

    customer: str
    units: tuple[int, ...]
    total: tuple[int, ...]

    def between(self, first: int, end: int) -> int:
        return self.total[end] - self.total[first]


@dataclass(frozen=True)
class Forecast:
    """What was projected for a month of which ``known`` days were known, what it became, and units a day before it."""

    method: str
    known: int
    projected: float
    actual: int
    usual: float
    low: float = 0
    high: float = 0

    @property
    def error(self) -> float:
        """Of the month's usage; 1 at most, or a customer who left would outweigh all others."""
        return min(abs(self.projected - self.actual) / self.actual, 1)


# ------------------------------------------------------------------------------------------------------------ the usage


def customers(count: int = CUSTOMERS, seed: int = SEED) -> list[Series]:
    """Made-up customers; each is a function of the seed and its number."""
    outages_of_all = random.Random(seed)
    down_days = {day for day in range(DAYS) if outages_of_all.random() < 2 / 365}
    return [_customer(random.Random(f"{seed} {number}"), f"c{number:03}", down_days) for number in range(count)]


def _customer(draw: random.Random, name: str, down_days: set[int]) -> Series:
    usual = 10 ** draw.uniform(0.3, 4)  # units a day
    week = draw.choices([[1] * 5 + [draw.uniform(0.02, 0.4)] * 2, [1] * 7, [0.4] * 5 + [1.3] * 2], [70, 20, 10])[0]
    week = [share * draw.uniform(0.85, 1.15) for share in week]
    growth = draw.gauss(0.02, 0.04) / MONTHLY
    noise = draw.uniform(0.05, 0.5)
    begins = 0 if draw.random() < 0.75 else draw.randrange(DAYS)
    ends = DAYS if draw.random() < 0.95 else draw.randrange(DAYS)
    ramp = draw.uniform(0.2, 1) if begins else 1  # of the usual level, two months long
    level, down, units = 0.0, 0, []
    for day in range(DAYS):
        level += growth + draw.gauss(0, 0.008)
        if draw.random() < 1 / 365:
            level += draw.gauss(0, 0.5)
        down = down - 1 if down else draw.randint(1, 3) if draw.random() < 3 / 365 else 0
        expected = usual * week[day % 7] * math.exp(level + draw.gauss(-noise * noise / 2, noise))
        expected *= min(1, ramp + (1 - ramp) * max(day - begins, 0) / 60)
        if down or day in down_days:
            expected *= 0.05
        counted = _poisson(draw, expected)
        units.append(counted if begins <= day < ends else 0)
    return Series(name, tuple(units), tuple(accumulate(units, initial=0)))


def _poisson(draw: random.Random, expected: float) -> int:
    if expected > 50:
        return max(0, round(draw.gauss(expected, math.sqrt(expected))))
    number, product = 0, draw.random()
    while product > math.exp(-expected):
        number, product = number + 1, product * draw.random()
    return number


# ----------------------------------------------------------------------------------------------- what it is compared to

# (series, known days, remaining days) -> units of the remaining days
Method = Callable[[Series, int, int], float]


def last_four_weeks(series: Series, now: int, remaining: int) -> float:
    """The mean of the last 28 days."""
    return series.between(now - 28, now) / 28 * remaining


def same_weekday_mean(series: Series, now: int, remaining: int) -> float:
    """The mean of the last four same weekdays."""
    return _weeks_like([sum(days) / 4 for days in _weekdays(series, now)], remaining)


def same_weekday_median(series: Series, now: int, remaining: int) -> float:
    """The median of the last four same weekdays."""
    return _weeks_like([sum(sorted(days)[1:3]) / 2 for days in _weekdays(series, now)], remaining)


def seasonal_naive(series: Series, now: int, remaining: int) -> float:
    """The last week again."""
    return _weeks_like(series.units[now - 7 : now], remaining)


def seasonal_naive_with_drift(series: Series, now: int, remaining: int) -> float:
    """The last week again, each week by as much more as the last eight have grown a week."""
    drift = (series.between(now - 7, now) - series.between(now - 56, now - 49)) / 49
    return max(0, seasonal_naive(series, now, remaining) + drift * sum(1 + ahead // 7 for ahead in range(remaining)))


def _weekdays(series: Series, now: int) -> list[tuple[int, ...]]:
    """For each of the next seven days the last four same weekdays."""
    return [series.units[now + ahead - 28 : now + ahead : 7] for ahead in range(7)]


def _weeks_like(week: Sequence[float], remaining: int) -> float:
    """The sum of so many days, if every week is like this one."""
    return remaining // 7 * sum(week) + sum(week[: remaining % 7])


METHODS: dict[str, Method] = {
    "mean of the last 28 days": last_four_weeks,
    "mean of the last 4 same weekdays": same_weekday_mean,
    "median of the last 4 same weekdays": same_weekday_median,
    "last week again (seasonal naive)": seasonal_naive,
    "last week again, with drift": seasonal_naive_with_drift,
}
RUN_RATE = "run rate of the month"
OURS = "`weekday_mean`: weighted mean of the last 4 same weekdays"


# ---------------------------------------------------------------------------------------------------------- measurement


def compiled_sql() -> str:
    """The SQL of marts.usage_forecasts, as dbt compiles it."""
    with tempfile.TemporaryDirectory() as folder:
        sample = {"EXTRACTS_DIR": "", "AS_OF_DATE": "", "WAREHOUSE_DIR": folder, "DBT_TARGET_PATH": f"{folder}/target"}
        command = [Path(sys.executable).with_name("dbt"), "--quiet", "compile", "--select", "usage_forecasts"]
        subprocess.run(command, cwd=PROJECT, env=os.environ | sample, check=True, stdout=subprocess.DEVNULL)
        (compiled,) = Path(folder, "target", "compiled").rglob("usage_forecasts.sql")
        return compiled.read_text(encoding="utf-8")


def measure(sql: str, world: list[Series], threads: int = 1) -> list[Forecast]:
    """The forecasts of all methods at all cut-offs, for customers with usage in the month and before."""
    database = _database(world, threads)
    found = []
    for month in MONTHS:
        first = (month - FIRST_DAY).days
        end = ((month + timedelta(31)).replace(day=1) - FIRST_DAY).days
        for known in KNOWN_DAYS:
            now = first + known
            projected = _projected(database, sql, FIRST_DAY + timedelta(now))
            for series in world:
                actual = series.between(first, end)
                if series.customer in projected and actual:
                    found += _forecasts(series, now, end, known, actual, projected[series.customer])
    return found


def _forecasts(
    series: Series, now: int, end: int, known: int, actual: int, ours: tuple[float, float, float, str]
) -> Iterable[Forecast]:
    usual = series.between(now - 28, now) / 28
    projected, low, high, method = ours
    yield Forecast(OURS if method == "weekday_mean" else method, known, projected, actual, usual, low, high)
    if method == "weekday_mean":
        used = series.between(now - known, now)
        # On the first day of a month there is no rate yet: that of the last week.
        rate = used / known if known else series.between(now - 7, now) / 7
        yield Forecast(RUN_RATE, known, used + rate * (end - now), actual, usual)
        for name, other in METHODS.items():
            yield Forecast(name, known, used + other(series, now, end - now), actual, usual)


def _database(world: list[Series], threads: int) -> duckdb.DuckDBPyConnection:
    """The tables that usage_forecasts reads, under their names. The day's usage is a view that ends with yesterday."""
    database = duckdb.connect(config={"threads": threads})
    database.execute("""
        attach ':memory:' as usage;
        create schema usage.marts;
        create schema usage.rules;
        create schema usage.intake;
        create table usage.rules.effective_metrics as
            select 'tasks' as metric, 'sum' as month_aggregation, date '1970-01-01' as effective_from,
                cast(null as date) as effective_to;
        create table usage.marts.contract_periods (customer_id varchar, period_from date, period_to date);  -- none
        create table usage.intake.as_of (as_of_date date, as_of_month date, last_full_date date);
        create table usage.main.days (customer_id varchar, units varchar);
    """)
    # as text: DuckDB looks at each element of a list
    rows = [(series.customer, str(list(series.units))) for series in world]
    database.executemany("insert into usage.main.days values (?, ?)", rows)
    database.execute(f"""
        create table usage.main.all_days as
            select
                customer_id, date '{FIRST_DAY}' + cast(unnest(range({DAYS})) as integer) as usage_date,
                'tasks' as metric, unnest(cast(units as bigint[])) as quantity
            from usage.main.days;
        create view usage.marts.daily_customer_usage as
            from usage.main.all_days
            where quantity > 0 and usage_date < (select as_of_date from usage.intake.as_of);
    """)
    return database


def _projected(
    database: duckdb.DuckDBPyConnection, sql: str, today: date
) -> dict[str, tuple[float, float, float, str]]:
    database.execute("delete from usage.intake.as_of")
    database.execute("insert into usage.intake.as_of select $1, date_trunc('month', $1), $1 - 1", [today])
    rows = database.execute(f"select customer_id, projected, projected_low, projected_high, method from ({sql})")
    return {customer: tuple(figures) for customer, *figures in rows.fetchall()}


# --------------------------------------------------------------------------------------------------------------- tables


def tables(found: list[Forecast]) -> str:
    """The tables of docs/forecasts.md."""
    return "\n\n".join([_errors(found), _coverage(found), _sizes(found), _new_customers(found)])


def _errors(found: list[Forecast]) -> str:
    rows = []
    for method in (RUN_RATE, *METHODS, OURS):
        of_method = [forecast for forecast in found if forecast.method == method]
        by_known = [fmean(f.error for f in of_method if f.known == known) for known in KNOWN_DAYS]
        errors = [f.error for f in of_method]
        rows.append([method, *by_known, fmean(errors), median(errors)])
    title = (
        "Error of the month's usage, in percent: mean by the days of the month that are known, and of all forecasts."
    )
    return title + "\n\n" + _table(["method", *map(str, KNOWN_DAYS), "mean", "median"], rows)


def _coverage(found: list[Forecast]) -> str:
    ours = [f for f in found if f.method == OURS]
    rows = [_covered(str(known), [f for f in ours if f.known == known]) for known in KNOWN_DAYS]
    title = "Months of which the usage was within the 80 % interval of `weekday_mean`, below and above it, in percent."
    return title + "\n\n" + _table(COVERED, [*rows, _covered("all", ours)])


def _sizes(found: list[Forecast]) -> str:
    ours = [f for f in found if f.method == OURS]
    rows = [_covered(name, [f for f in ours if least <= f.usual < most]) for least, most, name in SIZES]
    return "The same by units a day.\n\n" + _table(["units a day", *COVERED[1:]], rows)


def _new_customers(found: list[Forecast]) -> str:
    of_method = [f for f in found if f.method == "daily_mean"]
    errors = [f.error for f in of_method]
    row = [*_covered("all", of_method), fmean(errors), median(errors)]
    title = "Customers with less than four weeks of usage (`daily_mean`)."
    return title + "\n\n" + _table([*COVERED, "mean error", "median error"], [row])


COVERED = ["days known", "forecasts", "within", "below", "above", "width"]


def _covered(name: str, of_these: list[Forecast]) -> list[str | int | float]:
    """Width: half of the interval, of the projection; its median."""
    below = fmean(f.actual < f.low for f in of_these)
    above = fmean(f.actual > f.high for f in of_these)
    width = median((f.high - f.low) / 2 / max(f.projected, 1) for f in of_these)
    return [name, len(of_these), 1 - below - above, below, above, width]


def _table(titles: list[str], rows: list[list[str | int | float]]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "|---|" + "--:|" * (len(titles) - 1)]
    for row in rows:
        lines.append("| " + " | ".join(map(_cell, row)) + " |")
    return "\n".join(lines)


def _cell(value: str | int | float) -> str:
    """Shares in percent, and counts."""
    return f"{100 * value:.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def shown(page: str) -> str:
    """The tables of the page."""
    return page.split(BEGIN)[1].split(END)[0].strip()


def main() -> None:
    """Measure, and print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="only print the tables")
    asked = parser.parse_args()
    measured = tables(measure(compiled_sql(), customers()))
    print(measured)
    if not asked.print:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
