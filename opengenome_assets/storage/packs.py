"""Packs: many small parts in one Parquet file.

A corpus of ten thousand small files would give as many tiny Parquet files in each table. A pack holds the rows of such
parts one after another, each part in row groups of its own. It is written like a part, into the folder
``packs/<digest of its members' keys>``, and its manifest includes those of its members. So the members need no folders
of their own. A pack never changes. When one of its members is no longer wanted, the others are packed again.

Workers write packs when a run makes many small parts. Compaction packs those that came one by one.

Belongs here: writing packs, finding parts wherever they lie, and which files hold a given set of parts. Does not belong
here: commits (``tables.py``), and removing unneeded files (``vacuum.py``).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from types import TracebackType
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.fs as pafs

from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.parquet.file import DamagedFileError, open_parquet, open_row_groups
from opengenome_assets.storage.parts import DataFile, Part, PartWriter, find_part
from opengenome_assets.storage.record import digest

PACKS_FOLDER = "packs"
REQUESTS = 32  # at once, of a store or a file server

# A run that makes fewer small parts gives each a folder of its own: one that changes then costs no pack.
MANY_PARTS = 256
# A part is small if it is made from fewer bytes or letters, and its rows have fewer bytes in memory.
SMALL_INPUT, SMALL_ROWS = 1 << 20, 4 << 20
# What workers put into one pack.
PACK_PARTS, PACK_BYTES = 64, 64 << 20


@dataclass(frozen=True)
class Pack:
    """A finished pack: its Parquet file, None if no part has rows, and its parts in the order of their keys."""

    file: DataFile | None
    parts: tuple[Part, ...]


def is_pack(file: DataFile) -> bool:
    """Return whether a file of a table is a pack."""
    return file.path.startswith(f"{PACKS_FOLDER}/")


def find_pack(table_uri: str, key: str) -> Pack | None:
    """Return the pack in a table's folder ``key``; None if it or its file is missing or truncated."""
    found = find_part(table_uri, key)
    if found is None:
        return None
    return _pack(found)


def open_pack(table_uri: str, file: DataFile) -> Pack:
    """Return the pack that a version of a table names.

    Raises
    ------
    DamagedFileError
        If it is damaged.
    """
    folder = posixpath.dirname(file.path)
    pack = find_pack(table_uri, folder)
    if pack is None:
        raise DamagedFileError(
            f"{table_uri}/{folder} is damaged: its manifest is gone, or its file is gone or cut. Delete this folder "
            "and materialise that asset and what follows it again: only the content of this folder is made again"
        )
    return pack


def _pack(stored: Part) -> Pack:
    file = next(iter(stored.files), None)
    return Pack(file, tuple(_member(file, member) for member in stored.facts["parts"]))


def _member(pack: DataFile | None, member: dict[str, Any]) -> Part:
    files = tuple(
        DataFile(pack.path, file["size"], file["rows"], (file["first"], file["end"]), pack.content)
        for file in member["files"]
        if pack
    )
    return Part(member["key"], files, member["facts"])


def find_packs(table_uri: str) -> list[Pack]:
    """Return every pack of a table, sorted by path, whether a version names it or not."""
    fs, root = filesystem(f"{table_uri}/{PACKS_FOLDER}")
    infos = fs.get_file_info(pafs.FileSelector(root, allow_not_found=True))
    names = sorted(info.base_name for info in infos if info.type == pafs.FileType.Directory)
    return [pack for name in names if (pack := find_pack(table_uri, f"{PACKS_FOLDER}/{name}"))]


class PartIndex:
    """Finds the parts of a table, in packs or in folders of their own. The packs are looked up once."""

    def __init__(self, table_uri: str) -> None:
        self.table_uri = table_uri
        self._packed = {part.key: part for pack in find_packs(table_uri) for part in pack.parts}

    def find(self, key: str) -> Part | None:
        """Return the part with that key; None if it is missing, or any of its files is missing or truncated."""
        return self._packed.get(key) or find_part(self.table_uri, key)

    def find_all(self, keys: Iterable[str]) -> dict[str, Part]:
        """Return the parts that `find` returns, by key, in the order of the keys.

        A part costs two requests of a store or server, so many are asked for at once.
        """
        wanted = list(dict.fromkeys(keys))
        with ThreadPoolExecutor(REQUESTS) as threads:
            found = threads.map(self.find, wanted)
        return {key: part for key, part in zip(wanted, found, strict=True) if part}


class _Rows(NamedTuple):
    """A file of a part that goes into a pack: its bytes as a file of its own, if it was one, and its row groups."""

    size: int | None
    row_groups: Iterable[pa.Table]


class _Member(NamedTuple):
    """A part that goes into a pack."""

    key: str
    files: Iterable[_Rows]
    facts: dict[str, Any]


def write_pack(table_uri: str, parts: Iterable[Part]) -> DataFile:
    """Pack parts, of which some have rows, or find their existing pack, and return its file.

    Raises
    ------
    DamagedFileError
        If a part cannot be read. No pack is written then.
    """
    members = sorted(parts, key=lambda part: part.key)
    found = find_pack(table_uri, _key(members))
    if found and found.file:  # the parts' own files may be gone
        return found.file
    like = next(file for part in members for file in part.files)
    with open_parquet(f"{table_uri}/{like.path}", like.content) as opened:
        schema = opened.schema_arrow
        compression = opened.metadata.row_group(0).column(0).compression.lower()

    def read(file: DataFile) -> Iterator[pa.Table]:
        with open_row_groups(f"{table_uri}/{file.path}", file.row_groups, file.content) as (opened, groups):
            for group in groups:
                yield opened.read_row_group(group)

    stored = [_Member(part.key, (_Rows(file.size, read(file)) for file in part.files), part.facts) for part in members]
    file = _write(table_uri, schema, compression, stored).file
    assert file is not None, "some have rows"
    return file


def _key(members: Iterable[Part | _Member]) -> str:
    return f"{PACKS_FOLDER}/{digest([member.key for member in members])}"


def _write(table_uri: str, schema: pa.Schema, compression: str, members: Sequence[_Member]) -> Pack:
    """Write a pack of members in the order of their keys, or return the pack that there is."""
    key = _key(members)
    if found := find_pack(table_uri, key):
        return found
    with PartWriter(table_uri, key, schema, compression) as writer:
        manifests, end = [], 0
        for member in members:
            files = []
            for size, row_groups in member.files:
                first, before, rows = end, writer.size, 0
                for table in row_groups:
                    writer.write(table)
                    end, rows = end + 1, rows + table.num_rows
                own = writer.size - before if size is None else size
                files.append({"size": own, "rows": rows, "first": first, "end": end})
            manifests.append({"key": member.key, "files": files, "facts": member.facts})
        return _pack(writer.finish(parts=manifests))


def written_together(keys: Sequence[str], sizes: Sequence[int]) -> list[list[int]]:
    """Choose which new parts one worker writes together, into a pack: many small ones, in the order of their keys.

    Parameters
    ----------
    keys
        Keys of the parts.
    sizes
        Bytes or letters that each is made from.

    Returns
    -------
    list
        Places of parts. A part that is written alone gets a folder of its own.
    """
    small = sorted((place for place, size in enumerate(sizes) if size < SMALL_INPUT), key=keys.__getitem__)
    if len(small) < MANY_PARTS:
        return [[place] for place in range(len(keys))]
    packed = set(small)
    alone = [[place] for place in range(len(keys)) if place not in packed]
    return alone + [small[first : first + PACK_PARTS] for first in range(0, len(small), PACK_PARTS)]


class PackWriter:
    """Writes small parts of a table into packs, as `PartWriter` writes one part.

    Its parts exist after :meth:`finish`. They are those that a writer of their own would have made.

    Parameters
    ----------
    table_uri
        The table's folder.
    schema
        Arrow schema of the rows.
    compression
        Parquet codec: zstd, snappy, lz4 or gzip.
    """

    def __init__(self, table_uri: str, schema: pa.Schema, compression: str = "zstd") -> None:
        self.table_uri = table_uri
        self.schema = schema
        self.compression = compression
        self._waiting: list[_Member] = []
        self._bytes = 0
        self._parts: dict[str, Part] = {}

    def part(self, key: str) -> PackedPartWriter:
        """Return a writer of the part with that key, to use as a context manager."""
        return PackedPartWriter(self, key)

    def finish(self) -> dict[str, Part]:
        """Write what waits, and return the finished parts by key."""
        if self._waiting:
            members = sorted(self._waiting, key=lambda member: member.key)
            pack = _write(self.table_uri, self.schema, self.compression, members)
            self._parts.update((part.key, part) for part in pack.parts)
        self._waiting, self._bytes = [], 0
        return self._parts

    def _add(self, member: _Member, size: int) -> None:
        self._waiting.append(member)
        self._bytes += size
        if self._bytes >= PACK_BYTES:
            self.finish()


class PackedPartWriter:
    """Writes one part of a pack. Nothing is in the pack before :meth:`finish`, nor after an exception.

    A part that becomes large gets a folder of its own.
    """

    def __init__(self, pack: PackWriter, key: str) -> None:
        self._pack = pack
        self._key = key
        self._files: list[list[pa.Table]] = [[]]
        self._bytes = 0
        self._own: PartWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own:
            self._own.__exit__(kind, error, trace)

    def write(self, table: pa.Table) -> None:
        """Append rows to the current file as one row group."""
        if self._own:
            self._own.write(table)
            return
        self._files[-1].append(table)
        self._bytes += table.nbytes
        if self._bytes >= SMALL_ROWS:
            pack = self._pack
            self._own = PartWriter(pack.table_uri, self._key, pack.schema, pack.compression).__enter__()
            for number, tables in enumerate(self._files):
                if number:
                    self._own.close_file()
                for each in tables:
                    self._own.write(each)
            self._files = []

    def close_file(self) -> None:
        """End the current file, if there is one. The next rows open another."""
        if self._own:
            self._own.close_file()
        elif self._files[-1]:
            self._files.append([])

    def finish(self, **facts: Any) -> None:
        """Give the part to the pack, or end its own folder."""
        if self._own:
            self._pack._parts[self._key] = self._own.finish(**facts)
        else:
            files = [_Rows(None, tables) for tables in self._files if tables]
            self._pack._add(_Member(self._key, files, facts), self._bytes)


def arrange(table_uri: str, parts: Sequence[Part]) -> list[DataFile]:
    """Return the files that together hold exactly these parts.

    A pack is used if all its members are wanted. Wanted parts of other packs are packed again.
    """
    loose = {part.key: part for part in parts}
    files: list[DataFile] = []
    without_rows: dict[str, list[Part]] = {}
    packs = [(pack.file, pack.parts) for pack in find_packs(table_uri) if pack.file]
    for file, members in sorted(packs, key=lambda pack: (-len(pack[1]), pack[0].path)):
        wanted = [part for part in members if part.key in loose]
        if len(wanted) == len(members):
            files.append(file)
            for part in members:
                del loose[part.key]
        without_rows[file.path] = [part for part in wanted if not part.files]
    packed = [part for part in loose.values() if any(map(is_pack, part.files))]
    files += [file for part in loose.values() for file in part.files if not is_pack(file)]
    # One new pack per old one, so that none grows.
    for path, run in groupby(sorted(packed, key=_home), key=_home):
        files.append(write_pack(table_uri, [*run, *without_rows.get(path, ())]))
    return files


def _home(part: Part) -> str:
    return part.files[0].path


@dataclass(frozen=True)
class PackSizes:
    """Limits of packs. A pack is written again if any of its members changes.

    Attributes
    ----------
    small
        Parts and packs below this size in bytes are packed together.
    size, parts
        Maximum bytes, and maximum parts, per new pack.
    """

    small: int
    size: int
    parts: int


def choose(table_uri: str, files: Iterable[DataFile], sizes: PackSizes) -> list[list[Part]]:
    """Choose which parts of a table to pack together.

    Parameters
    ----------
    table_uri
        The table's folder.
    files
        The table's files, sorted by path.
    sizes
        The limits.

    Returns
    -------
    list
        The members of each new pack. A part without a companion stays as it is.
    """
    groups: list[_Group] = []
    for folder, run in groupby(files, key=lambda file: posixpath.dirname(file.path)):
        stored = list(run)
        size = sum(file.size for file in stored)
        if size < sizes.small and (parts := _parts(table_uri, folder, stored)):
            fitting = (g for g in groups if g.size + size <= sizes.size and len(g.parts) + len(parts) <= sizes.parts)
            group = next(fitting, None)
            if group is None:
                groups.append(group := _Group())
            group.folders += 1
            group.size += size
            group.parts += parts
    return [group.parts for group in groups if group.folders > 1]


@dataclass
class _Group:
    folders: int = 0
    size: int = 0
    parts: list[Part] = field(default_factory=list)


def _parts(table_uri: str, folder: str, stored: list[DataFile]) -> tuple[Part, ...]:
    """Return a version's parts in a folder; none if they do not match their manifest or have no rows."""
    if is_pack(stored[0]):
        return open_pack(table_uri, stored[0]).parts
    part = find_part(table_uri, folder)
    return (part,) if part and part.rows and set(part.files) == set(stored) else ()
