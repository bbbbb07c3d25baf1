"""The rows of a version of tfidf_index in blocks: mapped where the table has mapped files, in memory where not.

Belongs here: reading the rows, and where each lies. Does not belong here: scoring them (``index.py``), and making the
mapped files, which the table's own group does.

A row has two numbers. Its *row* is its place in the table, in the order of the parts' keys. Its *place* is where its
counts lie: block by block. Mapped files may hold rows of other versions too; these have a place and no row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.corpus.tables import MAPPED_NAMES
from opengenome_assets.kernels.batches import from_batch, pack_lists
from opengenome_assets.kernels.planes import Planes, add_document_frequency, concatenate
from opengenome_assets.kernels.profiles import KMERS
from opengenome_assets.search.ranking import NAMES
from opengenome_assets.storage.mapped import (
    MappedFile,
    MappedRows,
    can_map,
    facts_key,
    find_mapped,
    first_rows,
    part_rows,
    serving,
)
from opengenome_assets.storage.parts import DataFile
from opengenome_assets.storage.snapshot import Snapshot

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Block:
    """Counts of neighbouring places.

    Attributes
    ----------
    planes
        The counts. Use :meth:`checked`.
    batch
        The file and the record batch that they are mapped from; None if they are in memory.
    """

    planes: Planes
    batch: tuple[MappedFile, int] | None = None

    def checked(self) -> Planes:
        """Return the counts, compared with their checksum before the first use.

        Raises
        ------
        DamagedFileError
            If they differ from it.
        """
        if self.batch:
            file, number = self.batch
            file.check(number)
        return self.planes


@dataclass(frozen=True, eq=False)
class Loaded:
    """A part in memory: its counts and its names."""

    planes: Planes
    names: pa.Table


@dataclass(frozen=True, eq=False)
class IndexRows:
    """The rows of some parts of a version.

    Attributes
    ----------
    firsts
        The first row of each part, by key, in the order of the rows.
    blocks
        The counts, place by place.
    names
        Columns `NAMES` of each place.
    rows
        The row of each place, int64; -1 if it has none.
    mapped
        The mapped files in use, by their folder.
    loaded
        The parts in memory, by key.
    """

    firsts: dict[str, int]
    blocks: list[Block]
    names: pa.Table
    rows: Places
    mapped: dict[str, MappedRows]
    loaded: dict[str, Loaded]

    @cached_property
    def starts(self) -> Places:
        """The first place of each block, and the number of places."""
        return np.cumsum([0, *(block.planes.rows for block in self.blocks)])

    @cached_property
    def places(self) -> Places:
        """The place of each row."""
        live = np.flatnonzero(self.rows >= 0)
        places = np.empty(len(live), np.int64)
        places[self.rows[live]] = live
        return places

    @property
    def nbytes(self) -> int:
        """Bytes of this process's own memory. Mapped pages are the system's, which takes them back when it must."""
        own = sum(part.planes.nbytes + part.names.nbytes for part in self.loaded.values())
        offsets = sum(
            block.planes.whole_offsets.nbytes + block.planes.digit_offsets.nbytes
            for block in self.blocks
            if block.batch
        )
        return int(own + offsets + self.rows.nbytes)

    @property
    def mapped_bytes(self) -> int:
        """Bytes of the mapped files."""
        return sum(file.size for mapped in self.mapped.values() for file in mapped.part.files)

    def take(self, places: Places) -> pa.Table:
        """Return the names at some places."""
        return self.names.take(pa.array(places))

    def part_of(self, rows: Places) -> list[tuple[str, int]]:
        """Return the key of each row's part, and its place among the part's rows."""
        keys, firsts = list(self.firsts), np.array(list(self.firsts.values()), np.int64)
        numbers = np.searchsorted(firsts, rows, side="right") - 1
        within = (rows - firsts[numbers]).tolist()
        return [(keys[number], place) for number, place in zip(numbers.tolist(), within, strict=True)]

    def document_frequency(self) -> npt.NDArray[np.int64]:
        """Return the number of rows with each 6-mer, int64 of shape (4096,)."""
        frequency = np.zeros(KMERS, np.int64)
        for block, start in zip(self.blocks, self.starts.tolist(), strict=False):
            live = np.flatnonzero(self.rows[start : start + block.planes.rows] >= 0)
            add_document_frequency(block.checked(), live, frequency)
        return frequency


def open_rows(
    snapshot: Snapshot, parts: Collection[str] | None, previous: IndexRows | None, threads: Executor
) -> IndexRows:
    """Map or read the rows of a version.

    Parameters
    ----------
    snapshot
        The version of tfidf_index.
    parts
        Keys of the parts to read. Default: all. Only all are mapped.
    previous
        Rows of the same table: what both have is shared.
    threads
        Threads that read parts.

    Raises
    ------
    DamagedTableError, DamagedFileError
        If the table cannot be read.
    """
    files = snapshot.parts
    counts = {key: count for key, count in part_rows(snapshot).items() if parts is None or key in parts}
    firsts = first_rows(counts)
    served: dict[str, MappedRows] = {}
    if parts is None and can_map(snapshot.uri):
        served, _ = serving(snapshot, previous.mapped if previous else None)
    known = previous.loaded if previous else {}
    new = {key: threads.submit(_load, snapshot, files[key]) for key in counts if key not in served and key not in known}
    loaded = {key: new[key].result() if key in new else known[key] for key in counts if key not in served}
    blocks, names, rows = [], [MAPPED_NAMES.empty_table()], [np.empty(0, np.int64)]
    mapped = {by.key: by for by in served.values()}
    for by in mapped.values():
        planes, identities = by.files
        blocks += [Block(_planes(planes, number), (planes, number)) for number in range(len(planes.batches))]
        names.append(pa.Table.from_batches(identities.whole(), MAPPED_NAMES))
        rows.append(by.places({key: first for key, first in firsts.items() if served.get(key) is by}))
    for key, part in loaded.items():
        blocks.append(Block(part.planes))
        names.append(part.names)
        rows.append(np.arange(firsts[key], firsts[key] + counts[key]))
    return IndexRows(firsts, blocks, pa.concat_tables(names), np.concatenate(rows), mapped, loaded)


def _planes(file: MappedFile, number: int) -> Planes:
    """Return the planes of a record batch, whose pages are compared with their checksum when they are used.

    If it has no such form, they are compared at once, which names the file.
    """
    try:
        return from_batch(file.batches[number])
    except (ValueError, LookupError, TypeError):  # what Arrow raises too
        file.check(number)
        raise


def stored_weights(snapshot: Snapshot) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Return the weight of each 6-mer and the norm of each row of a version, from its mapped files.

    None if it has none.

    Raises
    ------
    DamagedFileError
        If they are damaged.
    """
    stored = find_mapped(snapshot.uri, facts_key(snapshot)) if can_map(snapshot.uri) else None
    if stored is None:
        return None
    idf, norms = (
        np.concatenate([np.empty(0), *(batch.column(0).to_numpy() for batch in file.whole())]) for file in stored.files
    )
    return idf, norms


def sources_of(names: pa.Table, rows: Places) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Return the code of each place's source, int32, and the sources of all that have a row, by code."""
    sources = names["source"].combine_chunks().dictionary_encode()
    codes, known = sources.indices.to_numpy(), sources.dictionary.to_pylist()
    seen = np.unique(codes[rows >= 0]).tolist()
    place = np.full(len(known), -1, np.int32)
    place[seen] = np.arange(len(seen))
    return place[codes], [known[code] for code in seen]


def matching(names: pa.Table, criteria: dict[str, str]) -> Places:
    """Return the places whose names have all these values, ascending."""
    found = None
    for name, value in criteria.items():
        here = pc.equal(names[name], value)
        found = here if found is None else pc.and_(found, here)
    return np.flatnonzero(found.to_numpy()) if found is not None else np.empty(0, np.int64)


def _load(snapshot: Snapshot, files: Iterable[DataFile]) -> Loaded:
    names, planes = [], []
    for file in files:
        with snapshot.open(file) as (opened, groups):
            for group in groups:
                rows = opened.read_row_group(group, columns=[*NAMES, "codes", "counts"], use_threads=False)
                rows = rows.combine_chunks()
                planes.append(pack_lists(rows["codes"].chunk(0), rows["counts"].chunk(0)))
                names.append(rows.select(NAMES))
    return Loaded(planes[0] if len(planes) == 1 else concatenate(planes), pa.concat_tables(names))
