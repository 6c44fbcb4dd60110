"""The dashboard: a static site of the published warehouse, and statements of one customer and month.

``warehouse`` reads, ``site`` and ``statement`` write, ``formats`` formats figures. ``make dashboard``, ``make
statement`` and the end of a build call ``python -m dashboard``.

Decisions::

    docs/decisions/static-site.md
    docs/decisions/charts-by-echarts.md
    docs/decisions/vendored-assets.md
    docs/decisions/dashboard-failure.md
"""
