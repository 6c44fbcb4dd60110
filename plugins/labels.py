"""The names of figures for readers, as the seed metric_labels has them (seeds/labels)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

# The lines of a bridge (analyses/bridge.sql) other than causes.
BRIDGE_ITEMS = {
    "vendor_figure": "the vendor's figure",
    "without_vendor_figure": "customers without a vendor's figure",
    "figure_at_close": "our figure at the close",
    "other_as_of_date": "days outside this run's as-of date",
    "figure_now": "our figure now",
}

SEED = Path(__file__).parent.parent / "seeds" / "labels" / "metric_labels.csv"


@dataclass(frozen=True)
class MetricLabel:
    """The names of one figure: ``title`` above it, ``unit`` and ``units`` in a sentence after 1 and after several."""

    metric: str
    title: str
    unit: str
    units: str
    is_total: bool


def _read() -> dict[str, MetricLabel]:
    with SEED.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["position"]))
    return {
        row["metric"]: MetricLabel(row["metric"], row["title"], row["unit"], row["units"], row["is_total"] == "true")
        for row in rows
    }


METRIC_LABELS = _read()
