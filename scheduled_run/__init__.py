"""The scheduled run: extraction, build, retention, dashboard and statements, with a log, a summary and notifications.

``settings`` reads the environment, ``steps`` lists the commands, ``running`` runs them under a lock, ``summary`` reads
what was published, ``notifying`` sends messages. ``make scheduled-run`` and schedulers call it by
``python -m scheduled_run``.
Beside usage.duckdb::

    scheduled_runs/<run id>.log     what the run and its commands printed, without the values of secrets
    scheduled_runs/<run id>.json    the summary of the run; latest.json is a copy of the newest one
    scheduled_runs/notified.json    the usage thresholds that were notified
    scheduled_runs/lock             one run at a time
    attempts.json                   runs that failed or were killed (plugins/attempts.py)

Decisions::

    docs/decisions/scheduled-run.md
"""
