"""One extraction: which extracts are read in which order, what is written, and what is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from typing import Any

from progress import Progress, as_time_left, seconds_left

from extraction import endpoints, listings, prompts
from extraction.client import Platform
from extraction.jobs import AT_ONCE, JobReader, JobWriter, read_time
from extraction.listings import Part
from extraction.pacing import Pace
from extraction.problems import Failure, Fatal, OutOfTime
from extraction.prompts import read_genies, read_prompts
from extraction.settings import PARTS, Settings
from extraction.state import FOLDER, locked, read_state
from extraction.writing import Files, Row, of_os_error, stamp_of, time_text

ALL, PARTLY, NOTHING = 0, 1, 2  # exit codes
# The platform's time may be so far behind the last one, since several servers answer.
CLOCK_TOLERANCE = timedelta(hours=1)
CLOCK_AHEAD = timedelta(days=1)
NOT_IN_THE_API = "api_requests, event_stream_requests, seats, subscriptions, credit_ratios, recommended_recipes"


def extract(
    settings: Settings,
    progress: Progress,
    pace: Pace | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> int:
    """Run one extraction; returns ALL, PARTLY or NOTHING. ``now``: the time of this machine."""
    pace = pace or Pace(settings.limits, settings.minutes)
    for note in settings.notes:
        progress.line(note)
    try:
        scratch = settings.extracts / FOLDER
        scratch.mkdir(parents=True, exist_ok=True)
        with locked(scratch):
            return _Extraction(settings, progress, pace, now).run()
    except Fatal as problem:
        progress.line(str(problem))
        return NOTHING
    except OSError as error:
        progress.line(str(of_os_error(error)))
        return NOTHING
    finally:
        progress.clear()


class _Extraction:
    def __init__(self, settings: Settings, progress: Progress, pace: Pace, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._progress = progress
        self._pace = pace
        self._now = now
        scratch = settings.extracts / FOLDER
        self._files = Files(settings.extracts, scratch)
        self._files.tidy()
        self._state, note = read_state(scratch, settings.url)
        if note:
            progress.line(note)
        self._platform = Platform(settings.url, settings.token, pace, progress.line, now)
        self._is_complete = True

    def run(self) -> int:
        progress = self._progress
        progress.line(f"Extracting from {self._settings.url} into {self._settings.extracts}")
        try:
            customers = self._read_customers()
            self._read_listings(customers)
        except (Failure, OutOfTime, Fatal) as problem:
            self._fail(str(problem))
        except OSError as error:
            self._fail(str(of_os_error(error)))
        if not self._files.written:
            progress.line("Nothing was extracted.")
            return NOTHING
        self._say_what_the_api_lacks()
        progress.line(
            "Extracted everything." if self._is_complete else "Extracted partly: what is named above is missing."
        )
        return ALL if self._is_complete else PARTLY

    # ---------------------------------------------------------------------------------------------------- listings

    def _read_customers(self) -> list[str]:
        page = self._platform.list(endpoints.CUSTOMERS)
        self._require_credible_time(page.taken_at)
        rows = listings.customer_rows(page, self._settings.expired_plan_ids)
        if not rows:
            raise Fatal(
                "The platform lists no customers. Use the token of an API client of the Embedded admin workspace."
            )
        self._write("customers", listings.CUSTOMER_COLUMNS, rows, page.taken_at)
        return [row["id"] for row in rows]

    def _read_listings(self, customers: list[str]) -> None:
        settings, platform = self._settings, self._platform
        if "vendor_usage" not in settings.leave_out:
            self._read_usage(customers)
        if "connections" not in settings.leave_out:
            parts = self._of_each("connections", customers, lambda id: listings.read_connections(platform, id))
            self._write_parts("connections", listings.CONNECTION_COLUMNS, parts)
        if "api_collections" not in settings.leave_out:
            servers = self._try("api_collections", lambda: listings.read_servers(platform))
            parts = self._of_each(
                "api_collections", customers, lambda id: listings.read_collections(platform, id, servers)
            )
            self._write_parts("api_collections", listings.COLLECTION_COLUMNS, parts)
        with_names = "project_names" not in settings.leave_out
        parts = self._of_each("recipes", customers, lambda id: listings.read_recipes(platform, id, with_names))
        self._write_parts("recipes", listings.RECIPE_COLUMNS, parts)
        if "genie_prompts" not in settings.leave_out:
            self._read_prompts()
        if settings.lines:
            self._read_jobs(parts)

    def _of_each(self, extract: str, customers: list[str], read: Callable[[str], Part]) -> dict[str, Part]:
        """The part of each customer, in the order of the customers."""
        parts: dict[str, Part] = {}
        began, rows = time.monotonic(), 0
        try:
            for customer, part in self._in_parallel(listings.customers_part(read), [(id,) for id in customers]):
                parts[customer[0]] = part
                rows += len(part.rows)
                left = as_time_left(seconds_left(len(parts) / len(customers), time.monotonic() - began))
                self._progress.show(f"{extract}: {len(parts):,} of {len(customers):,} customers, {rows:,} rows, {left}")
        except OutOfTime as problem:
            raise OutOfTime(
                f"{problem} {extract}: {len(parts):,} of {len(customers):,} customers were read. A listing is written "
                "whole or not at all, so the next extraction begins it anew and needs more time."
            ) from problem
        return {customer: parts[customer] for customer in customers}

    def _write_parts(self, extract: str, columns: Iterable[str], parts: dict[str, Part]) -> None:
        """Write a listing if it is complete."""
        failed = {customer: part for customer, part in parts.items() if part.problem}
        for note in sorted({part.note for part in parts.values() if part.note})[:1]:
            self._fail(note)
        if failed:
            first = next(iter(failed.values())).problem
            self._fail(
                f"{extract}: {len(failed):,} of {len(parts):,} customers cannot be read, so the listing is incomplete "
                "and is not written; its missing rows would look deleted. "
                f"The first: {first}{_how_to_leave_out(extract)}"
            )
            return
        rows = [row for part in parts.values() for row in part.rows]
        taken_at = min(part.taken_at for part in parts.values())
        before = self._state.listed.get(extract, 0)
        if not rows and before:
            self._progress.line(
                f"{extract}: the listing is empty, and the last one had {before:,} rows. An empty listing has no time, "
                "so these rows keep their last state."
            )
        self._write(extract, columns, rows, taken_at, f" of {len(parts):,} customers")

    def _write(self, extract: str, columns: Iterable[str], rows: list[Row], taken_at: datetime, of: str = "") -> None:
        at = time_text(taken_at)
        self._files.write(extract, stamp_of(at), columns, listings.stamped(rows, taken_at))
        self._state.listed[extract] = len(rows)
        self._state.newest_at = max(self._state.newest_at, at)
        self._state.save()
        self._progress.line(f"{extract}: {len(rows):,} rows{of}")

    def _read_usage(self, customers: list[str]) -> None:
        """Two reports, each of which is written alone if the other one cannot be read."""
        readers = {
            "usage": lambda: listings.read_usage(self._platform),
            "statistics": lambda: listings.read_statistics(self._platform, customers, read_time(self._state.newest_at)),
        }
        for name, read in readers.items():
            part = self._try("vendor_usage", read)
            if part:
                at = time_text(part.taken_at)
                rows = listings.stamped(part.rows, part.taken_at)
                self._files.write("vendor_usage", f"{stamp_of(at)}-{name}", listings.USAGE_COLUMNS, rows)
                self._progress.line(f"vendor_usage: {len(rows):,} rows of the {name}")

    # ------------------------------------------------------------------------------------------- prompts and jobs

    def _read_prompts(self) -> None:
        genies = self._try("genie_prompts", lambda: read_genies(self._platform, self._settings.own_account_id))
        rows: list[Row] = []
        read_to: dict[str, str] = {}
        hours = self._settings.safety_hours
        for (genie,), found in self._in_parallel(
            lambda genie: self._try(
                "genie_prompts",
                lambda: read_prompts(self._platform, genie, self._state.genies.get(genie.id), hours),
            ),
            [(genie,) for genie in genies or []],
        ):
            if found:
                rows += found[0]
                read_to[genie.id] = found[1]
            self._progress.show(f"genie_prompts: {len(rows):,} new rows")
        if rows:
            rows.sort(key=lambda row: (row["genie_id"], row["conversation_id"], row["id"] or ""))
            newest = max(row["extracted_at"] for row in rows)
            name = self._files.free_name("genie_prompts", stamp_of(newest))
            self._files.write("genie_prompts", name, prompts.COLUMNS, rows)
        self._state.genies |= read_to
        self._state.save()
        if genies:
            self._progress.line(f"genie_prompts: {len(rows):,} new rows of {len(genies):,} genies")

    def _read_jobs(self, parts: dict[str, Part]) -> None:
        """Read the jobs of the recipes of all customers whose recipes were listed."""
        listed = [(customer, row["id"]) for customer, part in parts.items() for row in part.rows]
        # what was read longest ago comes first, so that several extractions with a short time budget reach every recipe
        listed.sort(key=lambda recipe: (self._state.recipes.get("/".join(recipe)) or {}).get("read_to") or "")
        if not any(part.problem for part in parts.values()):
            keys = {"/".join(recipe) for recipe in listed}
            self._state.recipes = {key: cursor for key, cursor in self._state.recipes.items() if key in keys}
        writer = JobWriter(self._files, self._state)
        began, done, failed, problems = time.monotonic(), 0, 0, []
        with ThreadPoolExecutor(AT_ONCE) as fetching:
            reader = JobReader(self._platform, self._state, writer, fetching, self._settings.safety_hours)

            def read(customer: str, recipe: str) -> list[str] | Failure:
                try:
                    return reader.read(customer, recipe)
                except Failure as problem:
                    return problem

            try:
                for _, found in self._in_parallel(read, listed):
                    done += 1
                    failed += isinstance(found, Failure)
                    problems += [str(found)] if isinstance(found, Failure) else found
                    left = as_time_left(seconds_left(done / len(listed), time.monotonic() - began))
                    self._progress.show(
                        f"jobs: {done:,} of {len(listed):,} recipes, {writer.counts['jobs']:,} jobs, {left}"
                    )
            finally:
                writer.flush()
                counts = writer.counts
                skipped = [f"{counts[kind]:,} {kind}" for kind in ("erased", "deleted") if counts[kind]]
                self._progress.line(
                    f"jobs: {counts['jobs']:,} with their lines of {done:,} of {len(listed):,} recipes"
                    + (f"; skipped: {', '.join(skipped)}" if skipped else "")
                )
        if problems:
            single = len(problems) - failed
            self._fail(
                f"jobs: {failed:,} recipes and {single:,} single jobs cannot be read; the next extraction reads them. "
                f"The first: {problems[0]}"
            )

    # ---------------------------------------------------------------------------------------------------- helpers

    def _in_parallel(
        self, work: Callable[..., Any], items: Iterable[tuple[Any, ...]]
    ) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """(item, what ``work`` returns), as they are finished. An exception stops all others."""
        with ThreadPoolExecutor(self._settings.threads) as pool:
            waiting = {pool.submit(work, *item): item for item in items}
            try:
                for future in as_completed(waiting):
                    yield waiting[future], future.result()
            except BaseException as error:
                self._pace.stop(str(error))
                for future in waiting:
                    future.cancel()
                raise

    def _try(self, extract: str, read: Callable[[], Any]) -> Any:
        """What ``read`` returns; None if it fails, which is said."""
        try:
            return read()
        except Failure as problem:
            self._fail(f"{extract}: {problem}{_how_to_leave_out(extract)}")
            return None

    def _fail(self, text: str) -> None:
        self._is_complete = False
        self._progress.line(text)

    def _require_credible_time(self, taken_at: datetime) -> None:
        """Raise Fatal if the platform's clock or this one is wrong: a wrong time would order deliveries wrongly."""
        ours, newest = self._now(), read_time(self._state.newest_at or None)
        if taken_at > ours + CLOCK_AHEAD:
            raise Fatal(
                f"The platform's answer is of {taken_at:%Y-%m-%d %H:%M} UTC, and this machine's clock says "
                f"{ours:%Y-%m-%d %H:%M}. One of them is wrong. Correct this clock; if it is right, a proxy answers."
            )
        if newest and taken_at < newest - CLOCK_TOLERANCE:
            raise Fatal(
                f"The platform's answer is of {taken_at:%Y-%m-%d %H:%M} UTC, before the last extraction "
                f"({newest:%Y-%m-%d %H:%M}): its rows would count as older. If the last extraction had the wrong time, "
                "use a new EXTRACTS_DIR and WAREHOUSE_DIR."
            )

    def _say_what_the_api_lacks(self) -> None:
        lines = "" if self._settings.lines else "jobs and steps (streamed job files, or EXTRACT_LINES=1), "
        self._progress.line(f"Not from the API: {lines}{NOT_IN_THE_API}. docs/getting-extracts.md says from where.")


def _how_to_leave_out(extract: str) -> str:
    """What to do if an extract that cannot be read is not needed."""
    return f' If you do not need it: leave_out = ["{extract}"] in extraction.toml.' if extract in PARTS else ""
