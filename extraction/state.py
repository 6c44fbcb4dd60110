"""What an extraction leaves to the next one, in EXTRACTS_DIR/.extraction: how far jobs and prompts were read.

The file is replaced atomically, after the rows that it speaks of were written. So after a kill it is behind the rows,
never ahead: some rows are read again, which counts nothing twice, and none is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from locking import Held, take_lock
from swapping import replace_text

from extraction.problems import Fatal

FOLDER = ".extraction"  # hidden, so a run does not read it
FORMAT = 1


class State:
    """``newest_at``: the newest time of an extracted row, ISO 8601. ``recipes``: {customer/recipe: a jobs.Cursor}.

    ``genies``: {genie: the time up to which its prompts were read}. ``listed``: {extract: rows of its last listing}.
    """

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self._file = folder / "state.json"
        self.url: str = content["url"]
        self.newest_at: str = content.get("newest_at", "")
        self.recipes: dict[str, Any] = content.get("recipes", {})
        self.genies: dict[str, str] = content.get("genies", {})
        self.listed: dict[str, int] = content.get("listed", {})

    def save(self) -> None:
        content = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        replace_text(self._file, json.dumps({"format": FORMAT} | content))


def read_state(folder: Path, url: str) -> tuple[State, str]:
    """The state of a folder, and a note if it was damaged: then everything is read again.

    Raises Fatal if the folder has the extracts of another data centre, or of a newer version.
    """
    file = folder / "state.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        state, written_by = State(folder, content), content["format"]
    except FileNotFoundError:
        return State(folder, {"url": url}), ""
    except (ValueError, KeyError, TypeError):
        damaged = file.with_name("state.damaged.json")
        file.replace(damaged)
        return State(folder, {"url": url}), (
            f"{file} was damaged and is now {damaged.name}. All jobs are read again, which counts nothing twice."
        )
    if written_by != FORMAT:
        raise Fatal(f"{file} was written by a newer version of this project. Update it.")
    if state.url != url:
        raise Fatal(
            f"{folder.parent} has the extracts of {state.url}, and this extraction would add those of {url}. Accounts "
            "of one data centre would look deleted to the other. Set another EXTRACTS_DIR."
        )
    return state, ""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other extractions. Raises Fatal if one holds it."""
    try:
        lock = take_lock(folder / "lock", "python -m extraction")
    except Held as holder:
        raise Fatal(f"Another extraction ({holder}) writes to {folder.parent}.") from None
    with lock:
        yield
