"""Writes rows as Parquet files of the contract, aside and then renamed, so that a run never sees half a file.

All columns are texts, as the platform sent them: a value that cannot be read is quarantined by the run, not lost here.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import duckdb
from conversion import literal
from swapping import sync_path

from extraction.problems import Fatal

Row = dict[str, Any]

LARGEST_RECORD = 16_777_216  # bytes of a line, if none is longer: the default of DuckDB


def text_of(value: Any) -> str | None:
    """A value of JSON as text: true, 5, or the JSON of what is nested."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def time_text(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


class Files:
    """The files of EXTRACTS_DIR. ``folder``: that folder; ``scratch``: a folder in it that no run reads."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder = folder
        self.scratch = scratch
        self.written: list[Path] = []

    def tidy(self) -> None:
        """Remove what a killed extraction left."""
        for path in [*self.scratch.glob("*.json.part"), *self.scratch.glob("*.parquet.part")]:
            path.unlink()

    def spool(self, extract: str) -> Path:
        return self.scratch / f"{extract}.json.part"

    def write(self, extract: str, name: str, columns: Iterable[str], rows: Iterable[Row]) -> Path:
        """Write the rows to EXTRACTS_DIR/extract/name.parquet; returns its path."""
        spool = self.spool(extract)
        longest = 0
        with spool.open("wb") as file:
            for row in rows:
                longest = max(longest, write_line(file, row))
        path = self.convert(extract, name, dict.fromkeys(columns, "varchar"), longest)
        spool.unlink()
        return path

    def convert(self, extract: str, name: str, columns: Mapping[str, str], longest: int) -> Path:
        """Write the rows of the spool; ``columns``: {name: type}, ``longest``: bytes of its longest line."""
        target = self.folder / extract / f"{name}.parquet"
        part = self.scratch / f"{extract}.parquet.part"
        size = max(LARGEST_RECORD, 2 * longest)
        typed = ", ".join(f"{literal(column)}: {literal(kind)}" for column, kind in columns.items())
        read = (
            f"read_json({literal(self.spool(extract))}, format = 'newline_delimited', columns = {{{typed}}}, "
            f"maximum_object_size = {size}, compression = 'uncompressed')"
        )
        try:
            target.parent.mkdir(exist_ok=True)
            with duckdb.connect(config={"threads": 1, "preserve_insertion_order": True}) as engine:
                engine.execute(f"copy (from {read}) to {literal(part)} (format parquet, compression zstd)")
            sync_path(part)
            part.rename(target)
            sync_path(target.parent)
            sync_path(self.folder)
        except duckdb.Error as error:
            raise cannot_write(target, str(error).splitlines()[0]) from error
        self.written.append(target)
        return target

    def free_name(self, extract: str, stamp: str) -> str:
        """A name that no file of the extract has yet."""
        number = 1
        while (self.folder / extract / f"{stamp}-{number}.parquet").exists():
            number += 1
        return f"{stamp}-{number}"


def write_line(file: IO[bytes], row: Row) -> int:
    """Write a row as a line of JSON; returns its bytes. Half a surrogate pair, which no file can hold, becomes ?."""
    line = json.dumps(row, ensure_ascii=False).encode(errors="replace") + b"\n"
    file.write(line)
    return len(line)


def cannot_write(path: Path, reason: str) -> Fatal:
    is_full = "space left" in reason or "quota" in reason.lower()
    advice = " Free some space, and start again: what was written before is complete." if is_full else ""
    return Fatal(f"{path} cannot be written: {reason.rstrip('.')}.{advice}")


def of_os_error(error: OSError) -> Fatal:
    """The sentence for an error of the file system."""
    reason = (
        "no space left on the disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
    )
    return cannot_write(Path(error.filename or "EXTRACTS_DIR"), reason)


def stamp_of(at: str) -> str:
    """A time of time_text as part of a file's name."""
    return at.replace("-", "").replace(":", "")
