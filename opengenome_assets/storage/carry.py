"""Transport: carrying tables with their whole history to another home and back.

The other home is a folder or an object store. All missing parts and entries of the log travel; neither ever changes. A
file gets its name only after its SHA-256 checksum was compared with that of the sent bytes. A part's files travel
before its manifest, and the log travels last and in order. So a reader never sees a version without its files, and the
next transport continues an interrupted one.

Belongs here: what is missing, and carrying it. Does not belong here: figures and reports, which are made again from the
tables.
"""

from __future__ import annotations

import os
import posixpath
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import file_digest, sha256
from itertools import groupby
from typing import TypeVar

import pyarrow.fs as pafs

from opengenome_assets.storage.commits import LOG_FOLDER
from opengenome_assets.storage.files import filesystem, read_bytes, write_bytes
from opengenome_assets.storage.parquet.file import DamagedFileError, refuse_damaged_pages
from opengenome_assets.storage.parts import DATA, MANIFEST, find_part
from opengenome_assets.storage.seals import note_newest
from opengenome_assets.storage.tables import Home

ENTRY = re.compile(r"\d{20}\.json")
BLOCK = 8 * 2**20
AT_ONCE = 8

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class DivergedError(ValueError):
    """Both sides have a version that the other lacks. A retry does not help, a decision does."""


class TransportError(OSError):
    """The bytes that arrived differ from those sent. Nothing of the file was kept, and a retry can help."""


@dataclass(frozen=True)
class Freight:
    """The parts of a table that the target lacks.

    Attributes
    ----------
    name
        The table.
    versions
        Versions that the target lacks.
    readable, unreadable
        Versions of the source that the target can read after the transport, and those whose files are gone on both
        sides. Versions that only rearrange files are left out.
    ahead
        Number of versions that only the target has; then it lacks none.
    files
        Parquet files and manifests to carry, in order, by their paths below the table's folder.
    size
        Total bytes of the files.
    """

    name: str
    versions: tuple[int, ...]
    readable: tuple[int, ...]
    unreadable: tuple[int, ...]
    ahead: int
    files: tuple[str, ...]
    size: int


def missing(source: Home, target: Home, name: str) -> Freight:
    """Return the freight of a table from source to target; changes nothing.

    Raises
    ------
    MissingTableError
        If the source has no such table.
    DamagedTableError, DamagedFileError
        If the source's log was changed, or a file of its newest version is missing or truncated.
    DivergedError
        If both sides have a version that the other lacks.
    """
    layouts = source.table(name).history().layouts()  # refuses a log that was changed
    here, there = (_entries(tables.table(name).uri) for tables in (source, target))
    common = sorted(here.keys() & there.keys())
    for number in common:
        if here[number] != there[number]:
            raise _diverged(source, target, name, number)
    new = sorted(here.keys() - there.keys())
    mine, theirs = (_files(tables.table(name).uri) for tables in (source, target))
    for file in source.table(name).at().files:
        if mine.get(file.path) != file.size or f"{posixpath.dirname(file.path)}/{MANIFEST}" not in mine:
            raise DamagedFileError(
                f"{source.table(name).uri}/{file.path}, of the newest version, is gone or was cut, or its manifest is "
                f"gone: expected {file.size:,} bytes, found {mine.get(file.path, 0):,}. Delete its folder and "
                f"materialise {name} again. Nothing was carried"
            )
    named = {version: {file.path for file in source.table(name).named(layout)} for version, layout in layouts.items()}
    used = set[str]().union(*named.values())
    travelling: list[str] = []
    for folder, run in groupby(sorted(mine), key=posixpath.dirname):
        manifest, paths = f"{folder}/{MANIFEST}", set(run)
        if manifest in paths:  # without a manifest it is no finished part
            data = {path for path in paths if path.endswith(DATA)}
            # A killed attempt's file, perhaps cut, may lie beside those of the attempt that finished the part.
            if data - used and (part := find_part(source.table(name).uri, folder)):
                data &= used | {file.path for file in part.files}
            travelling += [path for path in [*sorted(data), manifest] if mine[path] != theirs.get(path)]
    arriving = theirs.keys() | set(travelling)
    whole = {version: paths <= arriving for version, paths in named.items()}
    return Freight(
        name=name,
        versions=tuple(new),
        readable=tuple(version for version, is_whole in whole.items() if is_whole),
        unreadable=tuple(version for version, is_whole in whole.items() if not is_whole),
        ahead=len(there.keys() - here.keys()),
        files=tuple(travelling),
        size=sum(mine[path] for path in travelling),
    )


def refuse_same(source: Home, target: Home) -> None:
    """Refuse to carry a home onto itself.

    Raises
    ------
    ValueError
        If both are the same place.
    """
    if _place(source.uri) == _place(target.uri):
        raise ValueError(f"{target.uri} is the home itself: name another folder or address")


def carry(source: Home, target: Home, freight: Freight) -> None:
    """Carry a table's missing files and versions.

    Raises
    ------
    TransportError, DamagedFileError
        If a file did not arrive as it was sent, or is damaged at the source. The target then has no new version, and a
        retry does not carry again what arrived.
    DivergedError
        If another writer has committed to the target meanwhile.
    LostLeaseError
        If another holder has taken the target's lease. A retry helps.
    """
    name = freight.name
    target.refuse_lost()
    here, there = source.table(name).uri, target.table(name).uri
    contents = source.table(name).history().contents
    folders = [list(run) for _, run in groupby(freight.files, key=posixpath.dirname)]

    def carry_folder(paths: Sequence[str]) -> None:
        for path in paths:
            carry_file(f"{here}/{path}", f"{there}/{path}", content=contents.get(path, ""))

    _each(carry_folder, folders)
    entries = _entries(here)
    target.refuse_lost()  # carrying the files may have taken hours
    for number in freight.versions:
        entry = f"{there}/{LOG_FOLDER}/{number:020}.json"
        present = read_bytes(entry)
        if present not in (None, entries[number]):
            raise _diverged(source, target, name, number)
        write_bytes(entry, entries[number])
    if freight.ahead == 0:
        for path in _checkpoints(here):
            content = read_bytes(f"{here}/{LOG_FOLDER}/{path}") or b""
            if content != read_bytes(f"{there}/{LOG_FOLDER}/{path}"):
                write_bytes(f"{there}/{LOG_FOLDER}/{path}", content)
    if freight.versions:
        note_newest(there, freight.versions[-1])
    target.table(name).at()  # verifies the seal


def carry_file(source: str, target: str, digest: str | None = None, content: str = "") -> None:
    """Copy a file. It gets its name at the target only after its checksum was verified.

    Parameters
    ----------
    source, target
        Its address, and its new address.
    digest
        Expected SHA-256, if known. Pages of Parquet files are always verified against their checksums.
    content
        Expected content of a Parquet file, as its table's log has it; empty if unknown.
    """
    here, path = filesystem(source)
    there, goal = filesystem(target)
    if path.endswith(".parquet"):
        refuse_damaged_pages(
            source,
            "It was not carried. Delete its folder and materialise the asset again, or take the folder from a place "
            "where it is whole",
            content,
        )
    there.create_dir(posixpath.dirname(goal), recursive=True)
    aside, sent = f"{goal}.{uuid.uuid4().hex[:8]}.new", sha256()
    try:
        with (
            here.open_input_stream(path, compression=None) as stream,
            there.open_output_stream(aside, compression=None) as sink,
        ):
            while block := stream.read(BLOCK):
                sent.update(block)
                sink.write(block)
        with there.open_input_file(aside) as stream:
            arrived = file_digest(stream, "sha256").hexdigest()
        if arrived != sent.hexdigest():
            raise TransportError(
                f"{target}: SHA-256 {arrived[:16]}… arrived, {sent.hexdigest()[:16]}… was sent. Run it again"
            )
        if digest not in (None, arrived):
            raise DamagedFileError(f"{source} is damaged: expected SHA-256 {digest}, found {arrived}. Put it back")
        there.move(aside, goal)
    except BaseException:
        if there.get_file_info(aside).type == pafs.FileType.File:
            there.delete_file(aside)
        raise


def carry_raw(source: Home, catalogue: str, source_raw: str, target_raw: str) -> tuple[int, int]:
    """Carry the source files that readable versions of a catalogue name into a content-addressed store.

    Parameters
    ----------
    source
        The home of the catalogue.
    catalogue
        A table with the columns sha256, uri and bytes.
    source_raw, target_raw
        The stores. A file that the first lacks is taken from its address in the catalogue.

    Returns
    -------
    tuple
        Number of files carried, and their bytes.

    Raises
    ------
    DamagedFileError
        If a file is gone or has changed since it was catalogued.
    """
    wanted: dict[str, tuple[str, int]] = {}
    for version in source.table(catalogue).history().layouts():
        try:
            rows = source.table(catalogue).at(version).read(["sha256", "uri", "bytes"])
        except LookupError:  # removed by upkeep
            continue
        wanted.update({row["sha256"]: (row["uri"], row["bytes"]) for row in rows.to_pylist()})

    def carry_one(file: tuple[str, tuple[str, int]]) -> int:
        digest, (uri, size) = file
        place = f"objects/sha256/{digest[:2]}/{digest}"
        if _size(f"{target_raw}/{place}") == size:
            return 0
        stored = f"{source_raw}/{place}"
        origin = stored if _size(stored) == size else uri
        if _size(origin) != size:
            raise DamagedFileError(f"{origin} is gone or was changed: {catalogue} names it with {size:,} bytes")
        carry_file(origin, f"{target_raw}/{place}", digest)
        return size

    carried = [size for size in _each(carry_one, wanted.items()) if size]
    return len(carried), sum(carried)


def _each(do: Callable[[Item], Outcome], items: Iterable[Item]) -> list[Outcome]:
    """Call a function on all items, several at once. After the first failure start no more."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        try:
            return list(threads.map(do, items))
        except BaseException:
            threads.shutdown(wait=True, cancel_futures=True)
            raise


def _place(home: str) -> str:
    fs, path = filesystem(home)
    return os.path.realpath(path) if isinstance(fs, pafs.LocalFileSystem) else home.rstrip("/")


def _size(uri: str) -> int | None:
    fs, path = filesystem(uri)
    size: int | None = fs.get_file_info(path).size
    return size


def _entries(uri: str) -> dict[int, bytes]:
    """Return the entries of a table's log by ascending version; none if there is no table."""
    names = sorted(name for name in _log(uri) if ENTRY.fullmatch(name))
    return {int(name.partition(".")[0]): read_bytes(f"{uri}/{LOG_FOLDER}/{name}") or b"" for name in names}


def _checkpoints(uri: str) -> list[str]:
    """Return the checkpoints of a log, and last the file that names the newest checkpoint."""
    return sorted((name for name in _log(uri) if "checkpoint" in name), key=lambda name: (name[0] == "_", name))


def _log(uri: str) -> list[str]:
    fs, root = filesystem(f"{uri}/{LOG_FOLDER}")
    return [info.base_name for info in fs.get_file_info(pafs.FileSelector(root, allow_not_found=True))]


def _files(uri: str) -> dict[str, int]:
    """Return the size of every file below a table's folder, by its path there."""
    fs, root = filesystem(uri)
    found = fs.get_file_info(pafs.FileSelector(root, recursive=True, allow_not_found=True))
    return {info.path.removeprefix(f"{root}/"): info.size for info in found if info.type == pafs.FileType.File}


def _diverged(source: Home, target: Home, name: str, number: int) -> DivergedError:
    return DivergedError(
        f"{name}: version {number} of {source.table(name).uri} and version {number} of {target.table(name).uri} are "
        "not the same: both sides were written to since they were last equal. Nothing was carried. Decide which to "
        "keep, move the other's folder away and carry the table again; or carry to another place, which keeps both"
    )
