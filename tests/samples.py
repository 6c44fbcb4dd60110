"""How large the random samples are: ``make test`` draws a quarter, with TEST_SAMPLES=half a half, with full all.

All try the same claims on the same kinds of worlds; no claim is tried by the larger samples alone.
"""

from __future__ import annotations

import os

PARTS = {"quick": 4, "half": 2, "full": 1}
# One in how many is drawn.
PART = PARTS[os.environ.get("TEST_SAMPLES") or "quick"]


def sampled(full: int) -> int:
    """So many of ``full``."""
    return -(-full // PART)
