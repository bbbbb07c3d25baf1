"""Records: one sequence of the corpus by its identifier, and its letters.

Belongs here: looking up a record in sequence_shards at one exact version. Does not belong here: any other search.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS
from opengenome_assets.storage.parquet.file import open_row_groups
from opengenome_assets.storage.parts import DataFile
from opengenome_assets.storage.tables import Home

_FACTS = ("seq_id", "source", "file", "description", "length", "gc_content")


@dataclass(frozen=True)
class SequenceRecord:
    """A record of sequence_shards without its letters.

    Attributes
    ----------
    seq_id, source, file, description, length, gc_content
        As in the table.
    place
        Parquet file, row group and row of the record, in the version that was read.
    """

    seq_id: str
    source: str
    file: str
    description: str
    length: int
    gc_content: float | None
    place: tuple[DataFile, int, int]


def find_records(home: Home, version: int, seq_id: str) -> list[SequenceRecord]:
    """Return the records with an identifier, in the order of the table; it is unique only within a file.

    Raises
    ------
    MissingTableError, MissingVersionError, DamagedTableError, DamagedFileError
        If sequence_shards cannot be read at that version.
    """
    return list(_find(home, version, seq_id))


def _find(home: Home, version: int, seq_id: str) -> Iterator[SequenceRecord]:
    shards = home.table(SEQUENCE_SHARDS).at(version)
    for _, file in shards.pieces:
        with shards.open(file) as (opened, groups):
            for group in groups:
                identifiers = opened.read_row_group(group, columns=["seq_id"])["seq_id"]
                rows = pc.indices_nonzero(pc.equal(identifiers, pa.scalar(seq_id, identifiers.type)))
                if len(rows):
                    facts = opened.read_row_group(group, columns=list(_FACTS)).take(rows)
                    for row, values in zip(rows.to_pylist(), facts.to_pylist(), strict=True):
                        yield SequenceRecord(**values, place=(file, group, row))


def read_letters(home: Home, record: SequenceRecord, start: int = 0, end: int | None = None) -> str:
    """Return the letters of a record from ``start`` up to ``end``, counted from 0, ``end`` not included.

    The whole record is read into memory, with the others of its Parquet page; other pages stay compressed.

    Raises
    ------
    DamagedFileError
        If its file is missing or damaged.
    """
    file, group, row = record.place
    uri = f"{home.table(SEQUENCE_SHARDS).uri}/{file.path}"
    with open_row_groups(uri, file.row_groups, file.content) as (opened, _):
        ((_, letters),) = opened.read_values(group, "sequence", "length", [row])
        return letters[start:end].tobytes().decode("ascii")
