"""Downloads what is new at s3://, gs:// and az:// addresses, through fsspec, to a folder beside the stored deliveries.

``fetch(places, ...) -> Fetched`` lists the objects of each place (streamed jobs: stream_listing.py) and downloads those
that the store does not know by path and version (the store's ETag, or generation). ``Fetched.finish()`` is called when
they are stored: it removes the downloads, and notes what was listed.

A download is written as ``….part`` and renamed when it has the listed size. Its name is a digest of the object's path
and version, so keys that differ only by letter case, or that no file system accepts, are files of their own, and a run
after a kill continues. Downloads are not synced to disk: those of a machine that has restarted since are discarded.

fsspec and the packages of each cloud are an extra (requirements-store.txt), and are imported only for such an address.

Decisions::

    docs/decisions/object-storage.md
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from conversion import Problem
from progress import FileProgress, Progress, as_bytes
from store import NO_ROOM, ending_of, printable, storing, unstorable
from stream_listing import Lookback, Stream, read_notes, write_notes

AT_ONCE = 16  # requests
IN_A_BATCH = 512  # downloads, after which progress is counted
TRIES = 3  # for each object, after those of the cloud's package
SMALL_OBJECT = 1_048_576  # bytes; smaller objects of S3 are read by signed addresses
PAGE = 1000  # objects that a list request returns at most
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Cloud:
    """``package``: what fsspec needs for it; ``credentials``, ``permissions``: what to set and to grant."""

    package: str
    credentials: str
    permissions: str
    options: dict[str, Any]


CLOUDS = {
    "s3": Cloud(
        "s3fs",
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; or run where a role is attached",
        "s3:ListBucket on the bucket and s3:GetObject on its objects",
        {"config_kwargs": {"signature_version": "s3v4"}},
    ),
    "gs": Cloud(
        "gcsfs",
        "GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account, or run gcloud auth application-default "
        "login; or run where a service account is attached",
        "storage.objects.list and storage.objects.get (role Storage Object Viewer)",
        {"token": "google_default"},
    ),
    "az": Cloud(
        "adlfs",
        "AZURE_STORAGE_CONNECTION_STRING; or AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY, "
        "AZURE_STORAGE_SAS_TOKEN or a login that DefaultAzureCredential finds",
        "the role Storage Blob Data Reader on the container",
        {"anon": False},
    ),
}
# Names of errors that packages raise if they find no credentials, or unusable ones.
NO_CREDENTIALS = re.compile(
    r"NoCredentials|PartialCredentials|CredentialRetrieval|ProfileNotFound|DefaultCredentials|RefreshError"
    r"|TokenRetrieval|SSOToken|UnauthorizedSSO|ClientAuthentication"
)
WRONG_CREDENTIALS = re.compile(
    r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|TokenRefreshRequired"
    r"|AWS Access Key Id|signature we calculated|token .{0,40}(expired|invalid|malformed)|AuthenticationFailed",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Address:
    """An address of ``variable``; ``prefix`` ends with / unless it is empty."""

    variable: str
    text: str
    protocol: str
    bucket: str
    prefix: str

    def __str__(self) -> str:
        return printable(f"{self.variable}={self.text}")


@dataclass(frozen=True)
class Object:
    """``key``: below the bucket; ``path``: below EXTRACTS_DIR, as the store names it."""

    key: str
    path: str
    size: int
    version: str

    @property
    def file_name(self) -> str:
        digest = hashlib.sha256(f"{self.path}\0{self.version}".encode()).hexdigest()
        return f"{digest[:40]}{ending_of(self.key)}"


@dataclass
class Fetched:
    """The new objects with their downloads; the extracts with any object; how many are known; what was not read."""

    store: Path
    new: list[tuple[Object, Path]] = field(default_factory=list)
    extracts: set[str] = field(default_factory=set)
    known: int = 0
    ignored: list[str] = field(default_factory=list)
    top: list[tuple[str, bool]] = field(default_factory=list)  # names at EXTRACTS_DIR, and whether each is a folder
    to_look_at: list[str] = field(default_factory=list)
    notes: dict[str, dict[str, object]] = field(default_factory=dict)  # of streams that were listed, by their address

    @property
    def folder(self) -> Path:
        return self.store / ".downloads"

    def finish(self) -> None:
        """Note what was listed, and remove the downloads. What cannot be removed is removed by a later run."""
        if self.notes:
            write_notes(self.store, read_notes(self.store) | self.notes)
        shutil.rmtree(self.folder, ignore_errors=True)


def is_address(text: str) -> bool:
    """Whether it is an address, and no local folder."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def parse_address(variable: str, text: str) -> Address:
    """Raises Problem if the address has another protocol, or no bucket."""
    protocol, _, rest = text.strip().partition("://")
    bucket, _, prefix = rest.strip("/").partition("/")
    if protocol.lower() not in CLOUDS or not bucket:
        raise Problem(
            f"{variable}={printable(text)} is neither a local folder nor an address such as s3://bucket/prefix "
            f"({', '.join(f'{name}://' for name in CLOUDS)})."
        )
    return Address(variable, text.strip(), protocol.lower(), bucket, f"{prefix}/" if prefix else "")


class Bucket:
    """The objects at an address. ``requests``: the list requests so far."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.requests = 0
        self._lock = threading.Lock()
        self.cloud = CLOUDS[address.protocol]
        try:
            fsspec = importlib.import_module("fsspec")
            importlib.import_module(self.cloud.package)
        except ImportError as error:
            raise Problem(
                f"{address} needs packages that are not installed ({error.name}). Install them with make store, or "
                "with pip install --require-hashes -r requirements-store.txt."
            ) from error
        with self.naming_errors():
            self._files = fsspec.filesystem(
                address.protocol, use_listings_cache=False, skip_instance_cache=True, **self.cloud.options
            )
        self._can_sign = address.protocol == "s3"

    # ------------------------------------------------------------------------------------------------------- listing

    def objects(self, prefix: str) -> Iterator[tuple[str, int, str]]:
        """(key below the address, size, version) of all objects whose keys begin with ``prefix``."""
        for page in self.pages(prefix):
            yield from page

    def pages(self, prefix: str) -> Iterator[list[tuple[str, int, str]]]:
        """The same, in pages: those of a request to S3, otherwise all in one."""
        with self.naming_errors():
            for page, _ in self._pages(prefix, ""):
                yield page

    def level(self, prefix: str) -> tuple[list[tuple[str, int, str]], list[str]]:
        """The objects directly below the folder ``prefix``, and the names of its folders."""
        found: list[tuple[str, int, str]] = []
        folders: list[str] = []
        with self.naming_errors():
            for page, names in self._pages(prefix, "/"):
                found += page
                folders += names
        return found, folders

    def _pages(self, prefix: str, delimiter: str) -> Iterator[tuple[list[tuple[str, int, str]], list[str]]]:
        if self.address.protocol == "s3":
            yield from self._pages_of_s3(prefix, delimiter)
            return
        # Other packages return a listing whole. The pages that they asked for are not visible: the least number counts.
        root = f"{self.address.bucket}/{self.address.prefix}"
        folder, _, begins = prefix.rpartition("/")
        base = f"{root}{folder}".rstrip("/")
        try:
            if delimiter:
                entries = {entry["name"]: entry for entry in self._files.ls(base, detail=True)}
            else:
                entries = self._files.find(base, detail=True, **({"prefix": begins} if begins else {}))
        except FileNotFoundError:
            if not prefix:
                raise
            entries = {}
        self._count(max(1, -(-len(entries) // PAGE)))
        objects, folders = [], []
        for name, entry in entries.items():
            below = name.lstrip("/").removeprefix(root)
            if entry["type"] == "directory":
                folders.append(below.rstrip("/").rpartition("/")[2])
            elif below.startswith(prefix):
                objects.append((below, entry["size"] or 0, version_of(entry)))
        yield objects, folders

    def _pages_of_s3(self, prefix: str, delimiter: str) -> Iterator[tuple[list[tuple[str, int, str]], list[str]]]:
        start = len(self.address.prefix)
        asked = {"Bucket": self.address.bucket, "Prefix": self.address.prefix + prefix, "Delimiter": delimiter}
        while True:
            page = self._files.call_s3("list_objects_v2", **asked)
            self._count(1)
            yield (
                [(entry["Key"][start:], entry["Size"], version_of(entry)) for entry in page.get("Contents", [])],
                [entry["Prefix"][start + len(prefix) :].rstrip("/") for entry in page.get("CommonPrefixes", [])],
            )
            if not page.get("IsTruncated"):
                return
            if page["NextContinuationToken"] == asked.get("ContinuationToken"):
                raise Problem(f"The listing of {self.address} repeats a page: run again.")
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _count(self, requests: int) -> None:
        with self._lock:
            self.requests += requests

    # -------------------------------------------------------------------------------------------------- downloading

    def download(self, objects: list[Object], folder: Path, done: Callable[[Object], None]) -> list[Object]:
        """Download the objects to their file names in the folder; returns those that no longer exist. Raises Problem.

        ``done`` is called for each object.
        """
        gone = []
        waiting = iter(objects)
        while batch := list(islice(waiting, IN_A_BATCH)):
            left = self._get_signed(batch, folder, done) if self._can_sign else batch
            for attempt in range(1, TRIES + 1):
                errors = self._get(left, folder)
                again = []
                for wanted, error in zip(left, errors, strict=True):
                    if isinstance(error, FileNotFoundError):
                        gone.append(wanted)
                    elif error or not self._keep(wanted, folder):
                        self._refuse(wanted, folder, error, is_last=attempt == TRIES)
                        again.append(wanted)
                        continue
                    done(wanted)
                left = again
        return gone

    def _path(self, wanted: Object) -> str:
        return f"{self.address.bucket}/{wanted.key}"

    def _get(self, objects: list[Object], folder: Path) -> list[BaseException | None]:
        """Download each object to its part; returns the error of each."""
        pairs = [(self._path(wanted), str(part_of(folder, wanted))) for wanted in objects]
        if not self._files.async_impl:
            return [attempt(self._files.get_file, *pair) for pair in pairs]
        limit = asyncio.Semaphore(AT_ONCE)

        async def get(source: str, target: str) -> None:
            async with limit:
                await self._files._get_file(source, target)

        async def get_all() -> list[BaseException | None]:
            return await asyncio.gather(*(get(*pair) for pair in pairs), return_exceptions=True)

        return importlib.import_module("fsspec.asyn").sync(self._files.loop, get_all)

    def _get_signed(self, objects: list[Object], folder: Path, done: Callable[[Object], None]) -> list[Object]:
        """Download small objects by signed addresses, which takes a third of the CPU time; returns those that are left.

        Nothing depends on it: what fails for any reason is left to the cloud's package, with its retries.
        """
        urllib3 = importlib.import_module("urllib3")
        pool = urllib3.PoolManager(maxsize=AT_ONCE, timeout=urllib3.Timeout(connect=2, read=30), retries=False)

        def get(wanted: Object) -> bool:
            if wanted.size >= SMALL_OBJECT or not self._can_sign:
                return False
            try:
                answer = pool.request("GET", self._files.sign(self._path(wanted), expiration=600))
                if answer.status == 200:
                    part_of(folder, wanted).write_bytes(answer.data)
                    return self._keep(wanted, folder)
                # an object may be missing; any other answer would be that of all objects
                self._can_sign = answer.status == 404
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise unstorable(folder.parent, error) from error
            except Exception:  # no credentials for a signature, a proxy, a certificate: the package knows
                self._can_sign = False
            return False

        left = []
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for wanted, is_there in zip(objects, threads.map(get, objects), strict=True):
                if is_there:
                    done(wanted)
                else:
                    left.append(wanted)
        return left

    def _keep(self, wanted: Object, folder: Path) -> bool:
        """Rename a complete download; False if it has another size than the listing said."""
        part = part_of(folder, wanted)
        if part.stat().st_size != wanted.size:
            return False
        part.replace(folder / wanted.file_name)
        return True

    def _refuse(self, wanted: Object, folder: Path, error: BaseException | None, is_last: bool) -> None:
        """Raise Problem for an error that another attempt does not mend, and after the last attempt."""
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise unstorable(folder.parent, error) from error
        name = printable(f"{self.address.protocol}://{self._path(wanted)}")
        if isinstance(error, PermissionError):
            raise Problem(f"{name} may not be read: grant {self.cloud.permissions}. {first_line(error)}") from error
        if is_last and error:
            raise Problem(
                f"{name} cannot be downloaded: {first_line(error)}. What is complete is kept: run again."
            ) from error
        if is_last:
            size = part_of(folder, wanted).stat().st_size
            raise Problem(
                f"{name} came {TRIES} times with {size:,} bytes instead of {wanted.size:,}: the download was "
                "interrupted, or the object was replaced after it was listed. What is complete is kept: run again."
            )

    # ------------------------------------------------------------------------------------------------------- errors

    @contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Turn errors of the cloud's package into Problem with what to do."""
        try:
            yield
        except Problem:
            raise
        except Exception as error:
            raise Problem(self._describe(error)) from error

    def _describe(self, error: Exception) -> str:
        causes = [error]
        while causes[-1].__cause__ is not None and len(causes) < 5:
            causes.append(causes[-1].__cause__)
        names = " ".join(base.__name__ for cause in causes for base in type(cause).__mro__)
        said = first_line(error)
        place = f"{self.address.protocol}://{self.address.bucket}"
        is_without = "credential" in said.lower() or "connection string" in said.lower()
        if NO_CREDENTIALS.search(names) or (isinstance(error, ValueError) and is_without):
            return f"{self.address}: there are no usable credentials. Set {self.cloud.credentials}. {said}"
        if WRONG_CREDENTIALS.search(" ".join([names, *map(str, causes)])):
            return f"{self.address}: the credentials are refused. Check {self.cloud.credentials}. {said}"
        if isinstance(error, FileNotFoundError):
            return f"{self.address}: {printable(place)} does not exist. Check its name, region and endpoint. {said}"
        if isinstance(error, PermissionError) or re.search(r"Forbidden|AccessDenied|\b403\b", said):
            return f"{self.address} may not be listed: grant {self.cloud.permissions}. {said}"
        return f"{self.address} cannot be listed: {said} Check the address, the region and the network, and run again."


def part_of(folder: Path, wanted: Object) -> Path:
    return folder / f"{wanted.file_name}.part"


def attempt(work: Callable[..., object], *arguments: object) -> BaseException | None:
    try:
        work(*arguments)
    except Exception as error:
        return error
    return None


def first_line(error: BaseException) -> str:
    text = printable(next(iter(str(error).strip().splitlines()), "") or type(error).__name__)[:300]
    return text if text.endswith(".") else f"{text}."


def version_of(entry: dict[str, Any]) -> str:
    """What changes when an object is replaced."""
    for name in ("ETag", "generation", "etag"):
        if entry.get(name):
            return str(entry[name]).strip('"')
    times = [entry[name] for name in ("LastModified", "last_modified", "mtime", "created") if entry.get(name)]
    return f"{entry.get('size')} {times[0] if times else ''}"


def is_unnameable(key: str) -> bool:
    """Whether a key is no path of folders and a file."""
    return any(part in ("", ".", "..") for part in key.split("/"))


# ----------------------------------------------------------------------------------------------------------- all of it


def fetch(
    places: dict[str, Address],
    extracts: list[str],
    store: Path,
    is_known: Callable[[str, str], bool],
    is_read: Callable[[str], bool],
    lookback: Lookback,
    progress: Progress,
) -> Fetched:
    """List the places, download what is new. Raises Problem; what is complete by then is kept for the next run.

    ``places``: {"": the address of EXTRACTS_DIR, "job_history": an address of this extract alone}. ``is_known``:
    whether the store has a path and version; ``is_read``: whether a path below EXTRACTS_DIR is read.
    """
    fetched = Fetched(store)
    notes = read_notes(store)
    for name, address in places.items():
        bucket, wanted, listed = Bucket(address), [], 0

        def show(bucket: Bucket = bucket) -> None:
            progress.show(f"Listing {printable(bucket.address.text)}: {bucket.requests:,} list requests so far")

        elsewhere = places.keys() - {""} if not name else ()
        pages = _pages(bucket, name, [one for one in extracts if one not in elsewhere], notes, lookback, fetched, show)
        for extract, prefix, page in pages:
            listed += len(page)
            for key, size, version in page:
                path = f"{extract}/{key.removeprefix(prefix)}"
                if key.endswith("/") and not size:  # the marker of a folder
                    continue
                if is_unnameable(path) or not is_read(path):
                    fetched.ignored.append(f"{address.protocol}://{address.bucket}/{address.prefix}{key}")
                    continue
                fetched.extracts.add(extract)
                if is_known(path, version):  # only counted, so that memory is bounded by what is new
                    fetched.known += 1
                else:
                    wanted.append(Object(address.prefix + key, path, size, version))
        requests = f"{bucket.requests:,} list request{'' if bucket.requests == 1 else 's'}"
        progress.line(f"Listed {listed:,} objects in {printable(address.text)}: {requests}, {len(wanted):,} new")
        _download(bucket, wanted, fetched, progress)
    return fetched


def _pages(
    bucket: Bucket,
    name: str,
    extracts: list[str],
    notes: dict[str, dict[str, object]],
    lookback: Lookback,
    fetched: Fetched,
    show: Callable[[], None],
) -> Iterator[tuple[str, str, list[tuple[str, int, str]]]]:
    """(extract, prefix of its keys, a page of its objects) of a place, for all its extracts."""
    address = bucket.address
    prefixes = {name: ""}
    if not name:
        files, folders = bucket.level("")
        fetched.top = [(folder, True) for folder in folders] + [(key, False) for key, *_ in files if key]
        prefixes = {extract: f"{extract}/" for extract in extracts if extract in folders}
        if not fetched.top:
            raise Problem(f"{address} has no objects: it needs one folder per extract.")
    for extract, prefix in prefixes.items():
        if extract != "job_history":
            for page in bucket.pages(prefix):
                yield extract, prefix, page
            continue
        place = f"{address.protocol}://{address.bucket}/{address.prefix}{prefix}"
        stream = Stream(bucket, prefix, notes.get(place, {}), lookback, show)
        for page in stream.pages():
            yield extract, prefix, page
        fetched.notes[place] = stream.note


def _download(bucket: Bucket, wanted: list[Object], fetched: Fetched, progress: Progress) -> None:
    folder = fetched.folder
    if not wanted:
        return
    with storing(folder.parent):
        _open_folder(folder)
        there = {file.name: file.stat().st_size for file in folder.iterdir()}
    missing = [one for one in wanted if there.get(one.file_name) != one.size]
    size = sum(one.size for one in missing)
    earlier = f", {len(wanted) - len(missing):,} more are there" if len(missing) < len(wanted) else ""
    progress.line(f"Downloading {len(missing):,} objects, {as_bytes(size)}{earlier}")
    done = FileProgress(progress, "Downloading", len(missing), size)
    gone = bucket.download(missing, folder, lambda one: done.add(one.size))
    if gone:
        fetched.to_look_at.append(
            f"{len(gone):,} object{'' if len(gone) == 1 else 's'} of {bucket.address} disappeared after the listing, "
            f"and nothing of them is read: {printable(gone[0].key)}{' and others' if len(gone) > 1 else ''}."
        )
    lost = set(gone)
    fetched.new += [(one, folder / one.file_name) for one in wanted if one not in lost]


def _open_folder(folder: Path) -> None:
    """Empty the folder of downloads if they are of another start of the machine."""
    boot = folder / "boot"
    with suppress(OSError):
        if BOOT.read_text() == boot.read_text():
            return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        boot.write_text(BOOT.read_text())
