"""Packs: many small parts in one Parquet file, the result of compaction.

A corpus of ten thousand small files would give as many tiny Parquet files in each table. A pack holds the rows of such
parts one after another, each part in row groups of its own. It is written like a part, into the folder
``packs/<digest of its members' keys>``, and its manifest includes those of its members. So the members' own folders are
no longer needed. A pack never changes. When one of its members is no longer wanted, the others are packed again.

Belongs here: writing packs, finding parts wherever they lie, and which files hold a given set of parts. Does not belong
here: commits (``tables.py``), and removing unneeded files (``vacuum.py``).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pyarrow.fs as pafs

from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.parquet.file import DamagedFileError, open_parquet, open_row_groups
from opengenome_assets.storage.parts import DataFile, Part, PartWriter, find_part
from opengenome_assets.storage.record import digest

PACKS_FOLDER = "packs"
REQUESTS = 32  # at once, of a store or a file server


@dataclass(frozen=True)
class Pack:
    """A finished pack: its Parquet file, and its parts in the order of their keys."""

    file: DataFile
    parts: tuple[Part, ...]


def is_pack(file: DataFile) -> bool:
    """Return whether a file of a table is a pack."""
    return file.path.startswith(f"{PACKS_FOLDER}/")


def find_pack(table_uri: str, key: str) -> Pack | None:
    """Return the pack in a table's folder ``key``; None if it or its file is missing or truncated."""
    found = find_part(table_uri, key)
    if found is None:
        return None
    (file,) = found.files
    return Pack(file, tuple(_member(file, member) for member in found.facts["parts"]))


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


def _member(pack: DataFile, member: dict[str, Any]) -> Part:
    files = tuple(
        DataFile(pack.path, file["size"], file["rows"], (file["first"], file["end"]), pack.content)
        for file in member["files"]
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


def write_pack(table_uri: str, parts: Iterable[Part]) -> Pack:
    """Pack parts that have rows, or return their existing pack.

    Raises
    ------
    DamagedFileError
        If a part cannot be read. No pack is written then.
    """
    members = sorted(parts, key=lambda part: part.key)
    key = f"{PACKS_FOLDER}/{digest([part.key for part in members])}"
    if found := find_pack(table_uri, key):
        return found
    like = members[0].files[0]
    with open_parquet(f"{table_uri}/{like.path}", like.content) as opened:
        schema = opened.schema_arrow
        compression = opened.metadata.row_group(0).column(0).compression.lower()
    with PartWriter(table_uri, key, schema, compression) as writer:
        manifests, end = [], 0
        for part in members:
            files = []
            for file in part.files:
                first = end
                with open_row_groups(f"{table_uri}/{file.path}", file.row_groups, file.content) as (opened, groups):
                    for group in groups:
                        writer.write(opened.read_row_group(group))
                end += len(groups)
                files.append({"size": file.size, "rows": file.rows, "first": first, "end": end})
            manifests.append({"key": part.key, "files": files, "facts": part.facts})
        (written,) = writer.finish(parts=manifests).files
    return open_pack(table_uri, written)


def arrange(table_uri: str, parts: Sequence[Part]) -> list[DataFile]:
    """Return the files that together hold exactly these parts.

    A pack is used if all its members are wanted. Wanted parts of other packs are packed again.
    """
    loose = {part.key: part for part in parts}
    files = []
    for pack in sorted(find_packs(table_uri), key=lambda pack: (-len(pack.parts), pack.file.path)):
        keys = {part.key for part in pack.parts}
        if keys <= loose.keys():
            files.append(pack.file)
            for key in keys:
                del loose[key]
    packed = [part for part in loose.values() if any(map(is_pack, part.files))]
    files += [file for part in loose.values() for file in part.files if not is_pack(file)]
    # One new pack per old one, so that none grows.
    for _, members in groupby(sorted(packed, key=_home), key=_home):
        files.append(write_pack(table_uri, members).file)
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
