"""The file operations of a run that SQL cannot do, as functions that SQL can call.

dbt-duckdb loads this module through ``plugins:`` in the profile and registers on the build's connection:

``take_in_deliveries(folder, store, contract) -> JSON``
    Of deliveries.py.
``publish_warehouse(built, published, run_id)``, ``write_dashboard(published)``, ``empty_folder(folder)``,
``revision_of(project)``, ``code_digest(project)`` -> text
    Of publishing.py.

They return what went wrong instead of raising: the calling macro stops the run with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError
from deliveries import take_in_deliveries
from publishing import (
    code_digest,
    empty_folder,
    hold_warehouse,
    publish_warehouse,
    revision_of,
    write_dashboard,
)


class Plugin(BasePlugin):
    """Registers the functions; creates the warehouse folder, and locks it, before DuckDB opens its file there."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        folder = Path(self.creds.path).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise DbtRuntimeError(f"WAREHOUSE_DIR={folder.parent} can't be used: a file is in its place.") from error
        except OSError as error:
            raise DbtRuntimeError(f"WAREHOUSE_DIR={folder.parent} can't be written: {error.strerror}.") from error
        hold_warehouse(folder)

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        # Half of what DuckDB would take of its own accord: beyond that it spills to disk, and Python needs some, too.
        if "memory_limit" not in (self.creds.settings or {}):
            amount, unit = duckdb.connect().execute("select current_setting('memory_limit')").fetchone()[0].split()
            conn.execute(f"set memory_limit = '{float(amount) / 2:.1f} {unit}'")
        for function in (
            take_in_deliveries,
            code_digest,
            publish_warehouse,
            write_dashboard,
            empty_folder,
            revision_of,
        ):
            arguments = ["VARCHAR"] * function.__code__.co_argcount
            conn.create_function(function.__name__, function, arguments, "VARCHAR", side_effects=True)
