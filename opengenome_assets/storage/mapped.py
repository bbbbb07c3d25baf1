"""Mapped files: what a table's parts hold, in a form that readers map into memory and need not decode.

They are parts of their own, in the folder ``mapped`` of a table: Arrow IPC files, uncompressed, and a manifest, which
has the CRC-32 of every record batch, and of all else in a file. They follow from the table's parts and are no rows of
it. So a commit does not name them, a reader does without them, and they can be made again at any time. Like parts they
are named by what determines them, never change, and a vacuum removes those that no kept version uses.

Belongs here: writing, finding, mapping and checking them, and which of them serve a version. Does not belong here: the
form of their rows, which the group of the table chooses. An object store cannot be mapped: there they only lie.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.fs as pafs
from isal import isal_zlib

from opengenome_assets.storage.files import filesystem, unwritable
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets.storage.parts import DataFile, Part, find_part, write_manifest
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.snapshot import Snapshot

MAPPED_FOLDER = "mapped"
SUFFIX = ".arrow"

# Raised when the form of mapped files changes: older ones are then no longer found.
FORM = 2

_ROWS, _FACTS = "rows", "facts"
_PARTS, _CHECKS, _FRAMES = "parts", "checks", "frames"


def can_map(table_uri: str) -> bool:
    """Return whether a table's files can be mapped into memory: they are local."""
    return isinstance(filesystem(table_uri)[0], pafs.LocalFileSystem)


def has_mapped(table_uri: str) -> bool:
    """Return whether a table has mapped files."""
    fs, root = filesystem(f"{table_uri}/{MAPPED_FOLDER}")
    return any(True for _ in fs.get_file_info(pafs.FileSelector(root, allow_not_found=True)))


@dataclass(frozen=True, eq=False)
class MappedFile:
    """An Arrow IPC file, mapped into memory. Its pages are read when they are touched.

    Attributes
    ----------
    path
        Where it lies.
    checks
        First byte, the one after the last, and CRC-32 of each record batch.
    frame
        CRC-32 of all other bytes: the schema, and the places of the record batches.
    """

    path: str
    checks: Sequence[Sequence[int]]
    frame: int

    @cached_property
    def _bytes(self) -> pa.Buffer:
        with pa.memory_map(self.path) as mapped:
            return mapped.read_buffer()

    @cached_property
    def _checked(self) -> set[int]:
        return set()

    @cached_property
    def batches(self) -> list[pa.RecordBatch]:
        """The record batches, unchecked, without a copy.

        Raises
        ------
        DamagedFileError
            If the file has another form.
        """
        if (found := _frame(self._bytes, self.checks)) != self.frame:
            raise self._damaged(f"beside its record batches: expected CRC-32 {self.frame:08x}, found {found:08x}")
        try:
            reader = pa.ipc.open_file(pa.BufferReader(self._bytes))
            batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(f"it is no Arrow file ({str(error).splitlines()[0]})") from error
        if len(batches) != len(self.checks):
            raise self._damaged(f"expected {len(self.checks):,} record batches, found {len(batches):,}")
        return batches

    def check(self, number: int) -> None:
        """Compare a record batch with its checksum, once per mapping. Any number of threads may.

        Raises
        ------
        DamagedFileError
            If they differ.
        """
        if number not in self._checked:
            begin, end, expected = self.checks[number]
            found = isal_zlib.crc32(memoryview(self._bytes)[begin:end])
            if found != expected:
                raise self._damaged(
                    f"record batch {number}, bytes {begin:,} to {end:,}: expected CRC-32 {expected:08x}, "
                    f"found {found:08x}"
                )
            self._checked.add(number)

    def whole(self) -> list[pa.RecordBatch]:
        """Return all record batches, each checked. Raises the errors of `check`."""
        for number in range(len(self.batches)):
            self.check(number)
        return self.batches

    def _damaged(self, finding: str) -> DamagedFileError:
        return DamagedFileError(
            f"{self.path} is damaged: {finding}. Delete its folder: what it held is read from the table's parts until "
            "the table is materialised again, which makes it again"
        )


@dataclass(frozen=True, eq=False)
class MappedRows:
    """Rows of some parts in mapped files.

    Attributes
    ----------
    part
        Its manifest.
    files
        Its files; the group of the table says what each holds.
    """

    part: Part
    files: tuple[MappedFile, ...]

    @property
    def key(self) -> str:
        """Its folder in the table's folder."""
        return self.part.key

    @cached_property
    def parts(self) -> dict[str, int]:
        """Keys of the table's parts whose rows it holds one after another, and the number of rows of each."""
        return dict(self.part.facts[_PARTS])

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.parts.values())

    def places(self, firsts: Mapping[str, int]) -> npt.NDArray[np.int64]:
        """Return each row's place, int64 of shape (rows,), given the place of each part's first row.

        Rows of other parts have the place -1.
        """
        counts = np.array(list(self.parts.values()), np.int64)
        starts = np.array([firsts.get(key, -1) for key in self.parts], np.int64)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        first = np.repeat(starts, counts)
        found: npt.NDArray[np.int64] = np.where(first < 0, -1, first + within)
        return found


class MappedWriter:
    """Writes mapped files, then their manifest. Use it as a context manager.

    They exist after :meth:`finish`, and do not exist after an exception.

    Parameters
    ----------
    table_uri
        The table's folder, which is local.
    key
        Their folder there.
    """

    def __init__(self, table_uri: str, key: str) -> None:
        self._uri, self._key = table_uri, key
        self._root = Path(filesystem(table_uri)[1])
        self._attempt = uuid.uuid4().hex[:8]
        self._files: list[DataFile] = []
        self._checks: list[list[tuple[int, int, int]]] = []
        self._frames: list[int] = []
        self._folder = self._root / key

    def __enter__(self) -> MappedWriter:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            for file in self._files:
                with suppress(OSError):
                    (self._root / file.path).unlink(missing_ok=True)
            if isinstance(error, OSError) and not isinstance(error, DamagedFileError):
                raise unwritable(self._folder, error) from error

    def write(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Write record batches to a file of their own."""
        path = f"{self._key}/{len(self._files):05d}-{self._attempt}{SUFFIX}"
        self._files.append(DataFile(path, 0, 0))  # removed after an exception
        ends, rows = [], 0
        with pa.OSFile(str(self._root / path), "wb") as sink:
            with pa.ipc.new_file(sink, schema) as writer:
                for batch in batches:
                    begin = sink.tell()
                    writer.write_batch(batch)
                    ends.append((begin, sink.tell()))
                    rows += batch.num_rows
            size = sink.tell()
        with pa.memory_map(str(self._root / path)) as mapped:
            content = memoryview(mapped.read_buffer())
            self._checks.append([(begin, end, isal_zlib.crc32(content[begin:end])) for begin, end in ends])
            self._frames.append(_frame(content, ends))
        self._files[-1] = DataFile(path, size, rows)

    def finish(self, **facts: Any) -> Part:
        """Write the manifest."""
        facts = {**facts, _CHECKS: self._checks, _FRAMES: self._frames}
        return write_manifest(self._uri, Part(self._key, tuple(self._files), facts))


def _frame(content: pa.Buffer | memoryview, batches: Sequence[Sequence[int]]) -> int:
    """Return the CRC-32 of the bytes before and after the record batches."""
    bytes_ = memoryview(content)
    first, last = (batches[0][0], batches[-1][1]) if batches else (0, 0)
    return int(isal_zlib.crc32(bytes_[last:], isal_zlib.crc32(bytes_[:first])))


def rows_key(rows: Mapping[str, int]) -> str:
    """Return the folder of the mapped rows of these parts, given by key with their numbers of rows."""
    return f"{MAPPED_FOLDER}/{_ROWS}-{digest([FORM, list(rows.items())])}"


def facts_key(snapshot: Snapshot) -> str:
    """Return the folder of what follows from all rows of a version; versions with the same rows share it."""
    return f"{MAPPED_FOLDER}/{_FACTS}-{digest([FORM, list(part_rows(snapshot).items())])}"


def part_rows(snapshot: Snapshot) -> dict[str, int]:
    """Return the number of rows of each part of a version, sorted by key; parts without rows are left out."""
    counted = {key: sum(file.rows for file in files) for key, files in snapshot.parts.items()}
    return {key: rows for key, rows in counted.items() if rows}


def first_rows(rows: Mapping[str, int]) -> dict[str, int]:
    """Return the place of each part's first row among the rows of all, given by key with their numbers of rows."""
    ends = np.cumsum(list(rows.values())).tolist()
    return {key: end - count for (key, count), end in zip(rows.items(), ends, strict=True)}


def parts_of(rows: Mapping[str, int]) -> dict[str, Any]:
    """Return the entry of a manifest that says which parts' rows the mapped files hold."""
    return {_PARTS: list(rows.items())}


def find_mapped(table_uri: str, key: str) -> MappedRows | None:
    """Return mapped files by their folder; None if they are missing or truncated."""
    part = find_part(table_uri, key)
    if part is None or len(part.facts.get(_FRAMES, ())) != len(part.files):  # an older form has no frames
        return None
    root = filesystem(table_uri)[1]
    each = zip(part.files, part.facts[_CHECKS], part.facts[_FRAMES], strict=True)
    return MappedRows(part, tuple(MappedFile(f"{root}/{file.path}", checks, frame) for file, checks, frame in each))


def serving(
    snapshot: Snapshot, known: Mapping[str, MappedRows] | None = None
) -> tuple[dict[str, MappedRows], list[MappedRows]]:
    """Return which mapped rows serve the parts of a version.

    Parameters
    ----------
    snapshot
        The version.
    known
        Mapped rows that are open already, by folder.

    Returns
    -------
    served : dict
        The mapped rows that hold a part, by the part's key. Of several that do, those with most rows serve it.
    there : list
        All mapped rows of the table, by descending number of rows.
    """
    uri, rows, known = snapshot.uri, part_rows(snapshot), known or {}
    fs, root = filesystem(f"{uri}/{MAPPED_FOLDER}")
    names = [info.base_name for info in fs.get_file_info(pafs.FileSelector(root, allow_not_found=True))]
    keys = [f"{MAPPED_FOLDER}/{name}" for name in names if name.startswith(f"{_ROWS}-")]
    found = [mapped for key in keys if (mapped := known.get(key) or find_mapped(uri, key))]
    there = sorted(
        (mapped for mapped in found if mapped.key == rows_key(mapped.parts)),
        key=lambda mapped: (-mapped.rows, mapped.key),
    )
    served: dict[str, MappedRows] = {}
    for mapped in there:
        for key, count in mapped.parts.items():
            if rows.get(key) == count:
                served.setdefault(key, mapped)
    return served, there


def mapped_of(snapshot: Snapshot) -> set[str]:
    """Return the paths below the table's folder of the mapped files that serve a version."""
    served, _ = serving(snapshot)
    facts = find_part(snapshot.uri, facts_key(snapshot))
    parts = [*{mapped.key: mapped.part for mapped in served.values()}.values(), *([facts] if facts else [])]
    return {file.path for part in parts for file in part.files}
