"""Texts for readers are rows of seeds/labels, one for each thing that they name."""

import pytest
import yaml
from building import PROJECT


@pytest.fixture
def labels(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "plugins")
    import labels

    return labels.METRIC_LABELS


def test_each_figure_of_a_customer_s_month_has_a_label(labels):
    path = PROJECT / "models" / "marts" / "usage" / "monthly_customer_usage.yml"
    (model,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    figures = [c["name"] for c in model["columns"] if c["data_type"] in ("bigint", "decimal(38, 9)")]
    assert "tasks" in figures and "credits" in figures
    assert sorted(labels) == sorted(figures)


def test_calls_by_type_and_what_is_no_usage_are_in_no_total(labels):
    assert {metric for metric, label in labels.items() if not label.is_total} == {
        "managed_api_calls",
        "proxy_api_calls",
        "credits",
        "jobs_succeeded",
        "jobs_failed",
    }
