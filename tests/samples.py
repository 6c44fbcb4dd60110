"""How large the random samples are: ``make test`` draws a quarter of what ``.ci/run`` draws with TEST_SAMPLES=full.

Both try the same claims on the same kinds of worlds; no claim is tried by the full samples alone.
"""

from __future__ import annotations

import os

FULL = os.environ.get("TEST_SAMPLES") == "full"


def sampled(full: int) -> int:
    """So many of ``full``."""
    return full if FULL else -(-full // 4)
