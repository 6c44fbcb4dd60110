"""The forecasts are as good as their page says, by the project's own SQL, and no simpler method is better.

The page's tables are those of ``make backtest``, over usage that is made up from a fixed seed.
"""

import sys
from statistics import fmean

import pytest
from building import PROJECT

sys.path.insert(0, str(PROJECT / "benchmarks"))
import backtest


@pytest.fixture(scope="module")
def sql(projects):
    return projects["default"].models["marts.usage_forecasts"].sql


@pytest.fixture(scope="module")
def measured(sql):
    return backtest.measure(sql, backtest.customers())


@pytest.fixture(scope="module")
def ours(measured):
    return [forecast for forecast in measured if forecast.method == backtest.OURS]


def test_the_page_shows_what_the_command_computes(measured):
    assert backtest.shown(backtest.PAGE.read_text(encoding="utf-8")) == backtest.tables(measured)


def test_four_months_in_five_end_within_the_interval_whatever_is_known_of_them(ours):
    for known in backtest.KNOWN_DAYS:
        within = fmean(f.low <= f.actual <= f.high for f in ours if f.known == known)
        assert 0.75 < within < 0.85, known


def test_the_interval_is_as_good_for_small_customers_as_for_large_ones(ours):
    for least, most, name in backtest.SIZES:
        assert 0.75 < fmean(f.low <= f.actual <= f.high for f in ours if least <= f.usual < most) < 0.85, name


def test_no_simpler_method_is_better(measured, ours):
    error = fmean(forecast.error for forecast in ours)
    for method in (backtest.RUN_RATE, *backtest.METHODS):
        assert error <= fmean(forecast.error for forecast in measured if forecast.method == method) + 0.0005, method


def test_neither_threads_nor_the_order_of_rows_change_a_forecast(sql, monkeypatch):
    monkeypatch.setattr(backtest, "MONTHS", backtest.MONTHS[-1:])
    world = backtest.customers(60)
    turned = backtest.measure(sql, world[::-1], threads=4)
    assert sorted(map(str, turned)) == sorted(map(str, backtest.measure(sql, world)))
