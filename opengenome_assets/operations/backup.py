"""Backup: a home and Dagster's records at another place, and the way back from nothing.

A place holds the tables laid out as in a home, so that a backup carries only the missing files. Beside them is a folder
``backups``: a dump of the records and a manifest for each backup, and the figures, reports and pins by their digests.
Records are dumped first, then tables are carried: so every materialisation in a dump has its table. The manifest is
written last, and a backup without it does not count.

Belongs here: the order, the manifest, verification and pruning. Does not belong here: carrying a table
(``storage/carry.py``), and the form of dumps (``records.py``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pyarrow.fs as pafs
from pydantic import BaseModel, ValidationError

from opengenome_assets import __version__
from opengenome_assets.operations import records
from opengenome_assets.storage.carry import carry, carry_file, carry_raw, missing, refuse_same
from opengenome_assets.storage.files import filesystem, read_bytes, write_bytes
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets.storage.tables import Home

FOLDER = "backups"
FORMAT = 1
STAMP = "%Y-%m-%dT%H-%M-%SZ"
# Folders of the home that are small, and have no history.
FILES = ("figures", "reports", "pins")
# In the home: what the scheduled backup says of itself.
NOTE = "backup.json"
ATTEMPTS = 3
GOING_ON = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


class BackupError(ValueError):
    """A backup is missing, damaged, or cannot be put back here. The message says what to do."""


class TableBackup(BaseModel):
    """A table at the time of the backup."""

    version: int
    rows: int


class Manifest(BaseModel):
    """What a backup holds.

    Attributes
    ----------
    stamp
        Its name: when it began, in UTC.
    kind, records
        Kind of the dump of Dagster's records, and its SHA-256.
    runs
        Number of runs in it.
    tables
        Newest version and rows of each table.
    files
        SHA-256 of each figure, report and pin, by its path in the home.
    """

    format: int = FORMAT
    stamp: str
    package: str
    kind: str
    records: str
    runs: int
    tables: dict[str, TableBackup]
    files: dict[str, str]


class Outcome(BaseModel):
    """What a backup or a restoration did: files and bytes of tables that were carried, and removed backups."""

    manifest: Manifest
    tables_files: int = 0
    tables_bytes: int = 0
    raw_files: int = 0
    removed: list[str] = []
    ended: list[str] = []


class Note(BaseModel):
    """What a scheduled backup says of itself.

    Attributes
    ----------
    place, every_hours
        Where backups are made, and how often.
    last
        When the newest began; none if there is none.
    error
        Why the last attempt failed; empty if it did not.
    """

    place: str
    every_hours: float
    last: datetime | None = None
    error: str = ""


def write_note(home: Home, note: Note) -> None:
    """Replace the home's note of its scheduled backup."""
    write_bytes(f"{home.uri}/{NOTE}", note.model_dump_json(indent=2).encode())


def read_note(home: Home) -> Note | None:
    """Return the note of the scheduled backup; none if no backup is scheduled.

    Raises
    ------
    BackupError
        If it cannot be read.
    """
    content = read_bytes(f"{home.uri}/{NOTE}")
    try:
        return Note.model_validate_json(content) if content is not None else None
    except ValidationError as error:
        raise BackupError(
            f"{home.uri}/{NOTE} is no note of a backup: {error.errors()[0]['msg']}. The next backup writes it again"
        ) from error


def back_up(
    home: Home,
    instance: dg.DagsterInstance,
    place: Home,
    *,
    keep: int = 14,
    raw: tuple[Sequence[str], str] = ((), ""),
) -> Outcome:
    """Make a backup, and remove old ones.

    Parameters
    ----------
    home, instance
        What is backed up.
    place
        Where to. One writer at a time.
    keep
        Number of newest backups whose records and files are kept. Tables keep every version that was carried.
    raw
        Catalogues whose source files are carried too, and the store that has them.

    Raises
    ------
    DamagedFileError, DivergedError, TransportError
        As :func:`~opengenome_assets.storage.carry.carry`.
    """
    refuse_same(home, place)
    stamp = _stamp(place)
    with TemporaryDirectory() as folder:
        file = Path(folder, "records.tar.gz")
        kind = records.dump(instance, file)
        digest = _digest(file)
        runs = instance.get_runs_count()  # for people; some may have begun meanwhile
        carry_file(str(file), f"{place.uri}/{FOLDER}/{stamp}.tar.gz", digest)
    outcome = Outcome(
        manifest=Manifest(stamp=stamp, package=__version__, kind=kind, records=digest, runs=runs, tables={}, files={})
    )
    manifest = outcome.manifest
    for name in home.names():
        files, size = _carry(home, place, name)
        outcome.tables_files += files
        outcome.tables_bytes += size
        arrived = place.table(name).at()
        manifest.tables[name] = TableBackup(version=arrived.history.newest, rows=arrived.rows)
    for catalogue in raw[0]:
        if catalogue in manifest.tables:
            outcome.raw_files += carry_raw(home, catalogue, raw[1], f"{place.uri}/raw")[0]
    for path in _files(home.uri, FILES):
        content = read_bytes(f"{home.uri}/{path}")
        if content is None:  # made again at this moment
            continue
        manifest.files[path] = sha256(content).hexdigest()
        kept = f"{place.uri}/{FOLDER}/files/{manifest.files[path]}"
        if read_bytes(kept) != content:
            write_bytes(kept, content)
    place.refuse_lost()
    write_bytes(f"{place.uri}/{FOLDER}/{stamp}.json", manifest.model_dump_json(indent=2).encode())
    outcome.removed = _prune(place, keep)
    return outcome


def put_back(place: Home, home: Home, instance: dg.DagsterInstance, stamp: str = "", raw: str = "") -> Outcome:
    """Restore a backup into a home without runs; an interrupted restoration goes on.

    Parameters
    ----------
    place
        Where backups are.
    home, instance
        What is restored.
    stamp
        The backup; the newest if empty. Tables come with their whole history, newer versions included.
    raw
        Store for the source files of the backup; none are restored if empty.

    Raises
    ------
    BackupError, RecordsError
        If there is no such backup, something of it is damaged, or there are runs already.
    """
    refuse_same(home, place)
    stamps = backups(place)
    if not stamps or (stamp and stamp not in stamps):
        known = f"There are: {', '.join(stamps)}" if stamps else "There is none"
        raise BackupError(f"there is no backup {stamp} at {place.uri}. {known}".replace("  ", " "))
    manifest = _manifest(place, stamp or stamps[-1])
    if instance.get_runs_count():
        raise records.RecordsError(
            f"Dagster's records here have {instance.get_runs_count():,} runs already. Restore into an empty home, or "
            "move these aside first"
        )
    outcome = Outcome(manifest=manifest)
    for name, expected in manifest.tables.items():
        files, size = _carry(place, home, name)
        outcome.tables_files += files
        outcome.tables_bytes += size
        rows = home.table(name).at(expected.version).rows
        if rows != expected.rows:
            raise BackupError(f"{name} has {rows:,} rows in version {expected.version}, expected {expected.rows:,}")
    if raw:
        for path in _files(place.uri, ["raw"]):
            carry_file(f"{place.uri}/{path}", f"{raw}/{path.removeprefix('raw/')}", Path(path).name)
            outcome.raw_files += 1
    for path, digest in manifest.files.items():
        content = read_bytes(f"{place.uri}/{FOLDER}/files/{digest}")
        if content is None or sha256(content).hexdigest() != digest:
            raise BackupError(f"{path} is missing from the backup, or damaged: expected SHA-256 {digest}")
        write_bytes(f"{home.uri}/{path}", content)
    # Last, so that a home with runs is a whole one.
    with TemporaryDirectory() as folder:
        file = Path(folder, "records.tar.gz")
        try:
            carry_file(f"{place.uri}/{FOLDER}/{manifest.stamp}.tar.gz", str(file), manifest.records)
        except (DamagedFileError, FileNotFoundError) as error:
            raise BackupError(
                f"the records of {manifest.stamp} cannot be read: {error}. Name another backup"
            ) from error
        records.put_back(instance, file, manifest.kind)
    for run in instance.get_runs(dg.RunsFilter(statuses=GOING_ON)):
        instance.report_run_failed(run, "It went on when the backup was made. Start it again")
        outcome.ended.append(run.run_id)
    return outcome


def backups(place: Home) -> list[str]:
    """Return the names of the finished backups, oldest first."""
    names = (Path(path).name for path in _files(place.uri, [FOLDER]) if path.count("/") == 1)
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def began(stamp: str) -> datetime:
    """Return when a backup began, from its name."""
    return datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)


def _stamp(place: Home) -> str:
    """Return a name that no backup has, one a second."""
    while True:
        stamp = datetime.now(UTC).strftime(STAMP)
        if stamp not in backups(place):
            return stamp
        time.sleep(0.2)


def _carry(source: Home, target: Home, name: str) -> tuple[int, int]:
    """Carry a table's missing files; return their number and bytes.

    A run or an upkeep may change the table meanwhile, so what is missing is listed again after a failure.
    """
    for attempt in range(ATTEMPTS):
        freight = missing(source, target, name)
        try:
            carry(source, target, freight)
            return len(freight.files), freight.size
        except (FileNotFoundError, DamagedFileError):
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


def _prune(place: Home, keep: int) -> list[str]:
    """Remove the records of all but the newest backups, and the files that only they have."""
    stamps = backups(place)
    old = stamps[:-keep]
    fs, root = filesystem(place.uri)
    for stamp in old:
        for ending in (".json", ".tar.gz"):  # the manifest first: without it the backup does not count
            fs.delete_file(f"{root}/{FOLDER}/{stamp}{ending}")
    needed = {digest for stamp in stamps[-keep:] for digest in _manifest(place, stamp).files.values()}
    for path in _files(place.uri, [f"{FOLDER}/files"]):
        if Path(path).name not in needed:
            fs.delete_file(f"{root}/{path}")
    return old


def _manifest(place: Home, stamp: str) -> Manifest:
    address = f"{place.uri}/{FOLDER}/{stamp}.json"
    try:
        manifest = Manifest.model_validate_json(read_bytes(address) or b"")
    except ValidationError as error:
        raise BackupError(f"{address} is no manifest of a backup: {error.errors()[0]['msg']}") from error
    if manifest.format > FORMAT:
        raise BackupError(f"{address} was written by a newer version, {manifest.package}: install that one")
    return manifest


def _files(uri: str, folders: Sequence[str]) -> Iterator[str]:
    """Yield the paths of the files in some folders of a place, relative to it, sorted."""
    fs, root = filesystem(uri)
    for folder in folders:
        selector = pafs.FileSelector(f"{root}/{folder}", recursive=True, allow_not_found=True)
        paths = sorted(info.path for info in fs.get_file_info(selector) if info.type == pafs.FileType.File)
        yield from (path.removeprefix(f"{root.rstrip('/')}/") for path in paths if not path.endswith(".new"))


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
