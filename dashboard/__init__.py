"""The dashboard: a static site over the published warehouse, and statements of one customer and month.

``warehouse`` reads, ``site`` and ``statement`` write, ``formats`` makes figures readable. ``python -m dashboard`` is
what ``make dashboard``, ``make statement`` and the end of a build call.

Decisions::

    docs/decisions/static-site.md
    docs/decisions/charts-by-echarts.md
    docs/decisions/vendored-assets.md
    docs/decisions/dashboard-failure.md
"""
