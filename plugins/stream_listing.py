"""Which streamed job files may be new: the list requests for them, and the note that they depend on.

The platform's keys are ``<account>/jobs/<recipe>/<YYYYMMDD>/<job>/<file>``, and stores list by key. So a run lists, for
each recipe that was listed before, the prefixes that cover the dates since then and ``stream_lookback_days`` more; new
recipes, and keys of any other form, it lists whole. A prefix is a date without its last digit: two or three requests
cover a look-back of a week, where one for each date would be nine.

``WAREHOUSE_DIR/deliveries/listed.json`` notes, by address, when it was listed, and which recipes there were. It is
written after everything that was found is stored. Without it, everything is listed.

Decisions::

    docs/decisions/object-storage.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from conversion import Problem
from store import storing
from swapping import replace_text

if TYPE_CHECKING:
    from object_store import Bucket

AT_ONCE = 16  # list requests
LONGEST = 62  # days; a recipe is listed whole rather than by the prefixes of more days
KEY = re.compile(r"([^/]+/jobs/[^/]+)/\d{8}/")
YES, NO = ("1", "true", "yes"), ("", "0", "false", "no")

Entry = tuple[str, int, str]  # key below the address, size, version


@dataclass
class Lookback:
    """How far back a run lists. ``today``: a date in UTC; ``is_erased``: whether the note must not name this recipe."""

    days: int = 7
    lists_all: bool = False
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    is_erased: Callable[[str], bool] = lambda recipe: False

    def prefixes(self, listed_at: str) -> list[str]:
        """What the dates begin with, from the look-back before the last listing on to tomorrow; [""]: any."""
        try:
            last = date.fromisoformat(listed_at)
        except ValueError:
            return [""]
        first = last - timedelta(days=self.days)
        span = (self.today - first).days + 2
        if self.today < last or span > LONGEST:  # a clock that was or is wrong, or a long pause
            return [""]
        return sorted({f"{first + timedelta(days=n):%Y%m%d}"[:-1] for n in range(span)})


def read_lookback(contract: dict[str, object]) -> Lookback:
    """Of the run's options. Raises Problem."""
    said = str(contract.get("list_all", "")).strip().lower()
    if said not in YES + NO:
        raise Problem(f"LIST_ALL={said} is neither 1 nor 0.")
    return Lookback(int(float(str(contract.get("stream_lookback_days", 7)))), said in YES)


@dataclass
class Stream:
    """A listing of streamed files below ``prefix`` of the bucket; after it, ``note`` is that of the next one."""

    bucket: Bucket
    prefix: str
    note: dict[str, object]
    lookback: Lookback
    show: Callable[[], None]

    def pages(self) -> Iterator[list[Entry]]:
        """The objects that may be new, in pages of at most a thousand, or those of one prefix."""
        known = self.note.get("recipes", [])
        recipes = set(known if isinstance(known, list) else [])
        listed_at = str(self.note.get("listed_at", ""))
        is_whole = self.lookback.lists_all or not recipes
        pages = self.bucket.pages(self.prefix) if is_whole else self._new_pages(recipes, listed_at)
        for page in pages:
            for key, *_ in page:
                if found := KEY.match(key, len(self.prefix)):
                    recipes.add(found[1])
            yield page
            self.show()
        named = sorted(recipe for recipe in recipes if not self.lookback.is_erased(recipe))
        self.note = {"listed_at": self.lookback.today.isoformat(), "recipes": named}

    def _new_pages(self, recipes: set[str], listed_at: str) -> Iterator[list[Entry]]:
        known_accounts = {recipe.split("/")[0] for recipe in recipes}
        known = frozenset(recipes)
        dates = self.lookback.prefixes(listed_at)
        whole: list[str] = []  # prefixes of which everything is listed
        page, accounts = self.bucket.level(self.prefix)
        yield page
        looked_into = [account for account in accounts if account in known_accounts]
        whole += [f"{self.prefix}{account}/" for account in accounts if account not in known_accounts]

        def level(place: str) -> tuple[str, tuple[list[Entry], list[str]]]:
            return place, self.bucket.level(place)

        with ThreadPoolExecutor(AT_ONCE) as threads:
            of_jobs = []
            for place, (page, kinds) in threads.map(level, [f"{self.prefix}{account}/" for account in looked_into]):
                yield page
                of_jobs += [f"{place}jobs/" for kind in kinds if kind == "jobs"]
                whole += [f"{place}{kind}/" for kind in kinds if kind != "jobs"]
            parts = []
            for place, (page, names) in threads.map(level, of_jobs):
                yield page
                for name in names:
                    is_known = f"{place.removeprefix(self.prefix)}{name}" in known
                    parts += [f"{place}{name}/{begins}" for begins in (dates if is_known else [""])]
            # in groups, because map() reads all its items at once
            for first in range(0, len(parts), 1000):
                yield from threads.map(lambda part: [*self.bucket.objects(part)], parts[first : first + 1000])
        for place in whole:
            yield from self.bucket.pages(place)


def read_notes(store: Path) -> dict[str, dict[str, object]]:
    """The notes of all addresses; empty if there is none, or if they cannot be read."""
    with suppress(OSError, ValueError, AttributeError):
        notes = json.loads((store / "listed.json").read_bytes())
        return {address: note for address, note in notes.items() if isinstance(note, dict)}
    return {}


def write_notes(store: Path, notes: dict[str, dict[str, object]]) -> None:
    if notes != read_notes(store):
        with storing(store):
            replace_text(store / "listed.json", json.dumps(notes, indent=1))
