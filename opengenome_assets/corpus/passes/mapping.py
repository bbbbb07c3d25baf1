"""Mapping tfidf_index: its rows as byte planes in mapped files, with the weights and norms of a version.

A search maps them instead of decoding the table. The rows of new parts go into new mapped files, together with those
of files that have fewer rows. So each file is more than twice as large as the next, there are few of them, and a row is
written a few times at most. Weights and norms follow from all rows, so each version with other rows has its own.

Belongs here: which rows go together, and the form of these files (`Mapped`). Does not belong here: the files
themselves (``storage/mapped.py``), and reading them (``search/blocks.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opengenome_assets.corpus.tables import INDEX_NAMES, MAPPED_NAMES, MAPPED_VALUE, TFIDF_INDEX
from opengenome_assets.kernels.batches import BATCH_ROWS, SCHEMA, from_batch, pack_lists, to_batch
from opengenome_assets.kernels.planes import add_document_frequency, norms
from opengenome_assets.kernels.profiles import KMERS
from opengenome_assets.kernels.tfidf import inverse_document_frequency
from opengenome_assets.storage.mapped import (
    MappedRows,
    MappedWriter,
    can_map,
    facts_key,
    find_mapped,
    first_rows,
    part_rows,
    parts_of,
    rows_key,
    serving,
)
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

# Rows of a record batch of names, and of norms.
_LONG_BATCH = 65_536


def map_index(home: Home) -> None:
    """Make the mapped files of the newest version of tfidf_index that are missing. An object store gets none.

    Raises
    ------
    MissingTableError, DamagedTableError, DamagedFileError
        If the table cannot be read.
    LostLeaseError
        If another holder has taken the lease on the home.
    """
    snapshot = home.table(TFIDF_INDEX).at()
    if not can_map(snapshot.uri):
        return
    home.refuse_lost()
    rows = part_rows(snapshot)
    served, there = serving(snapshot)
    new = {key: count for key, count in rows.items() if key not in served}
    for mapped in reversed(there):
        own = {key: rows[key] for key, by in served.items() if by is mapped}
        live = sum(own.values())
        if new and (live <= sum(new.values()) or 2 * live < mapped.rows):
            new |= own
    if new:
        _write_rows(snapshot, {key: new[key] for key in rows if key in new})
    if not find_mapped(snapshot.uri, facts_key(snapshot)):
        served, _ = serving(snapshot)
        _write_facts(snapshot, rows, served)


def _write_rows(snapshot: Snapshot, rows: dict[str, int]) -> None:
    key, names = rows_key(rows), []
    with MappedWriter(snapshot.uri, key) as writer:

        def batches() -> Iterator[pa.RecordBatch]:
            for some in _by_length(snapshot, set(rows)):
                names.append(some.select(INDEX_NAMES))
                yield to_batch(pack_lists(some["codes"].chunk(0), some["counts"].chunk(0)))

        writer.write(SCHEMA, batches())
        writer.write(MAPPED_NAMES, pa.concat_tables(names).combine_chunks().to_batches(_LONG_BATCH))
        writer.finish(**parts_of(rows))


def _by_length(snapshot: Snapshot, parts: set[str]) -> Iterator[pa.Table]:
    """Yield the rows of parts, `BATCH_ROWS` at a time, each column in one chunk."""
    waiting: list[pa.Table] = []
    count = 0
    for rows in snapshot.row_groups([*INDEX_NAMES, "codes", "counts"], parts=parts):
        while rows.num_rows:
            some = rows.slice(0, BATCH_ROWS - count)
            rows = rows.slice(some.num_rows)
            waiting.append(some)
            count += some.num_rows
            if count == BATCH_ROWS:
                yield pa.concat_tables(waiting).combine_chunks()
                waiting, count = [], 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _write_facts(snapshot: Snapshot, rows: dict[str, int], served: dict[str, MappedRows]) -> None:
    """Write the weight of each 6-mer, and the norm of each row in the order of the table's rows."""
    places = {}
    for mapped in {by.key: by for by in served.values()}.values():
        firsts = {key: first for key, first in first_rows(rows).items() if served[key].key == mapped.key}
        places[mapped.key] = (mapped, mapped.places(firsts))
    frequency = np.zeros(KMERS, np.int64)
    for mapped, at in places.values():
        for number, batch in enumerate(mapped.files[0].whole()):
            live = np.flatnonzero(at[number * BATCH_ROWS :][: batch.num_rows] >= 0)
            add_document_frequency(from_batch(batch), live, frequency)
    idf = inverse_document_frequency(frequency, sum(rows.values()))
    result = np.empty(sum(rows.values()))
    for mapped, at in places.values():
        for number, batch in enumerate(mapped.files[0].batches):
            here = at[number * BATCH_ROWS :][: batch.num_rows]
            found = np.empty(batch.num_rows)
            norms(from_batch(batch), idf, 0, batch.num_rows, found)
            result[here[here >= 0]] = found[here >= 0]
    with MappedWriter(snapshot.uri, facts_key(snapshot)) as writer:
        for values in (idf, result):
            writer.write(MAPPED_VALUE, _batches(values))
        writer.finish()


def _batches(values: npt.NDArray[np.float64]) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = pa.table([pa.array(values)], schema=MAPPED_VALUE).to_batches(_LONG_BATCH)
    return batches
