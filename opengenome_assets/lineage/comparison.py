"""Comparison: are two tables the same, row by row and byte by byte.

Belongs here: looking at rows and files of two tables. Does not belong here: comparing records (``changes.py``), and
making one of them again (``operations/reproduce.py``). Rows are compared in order and a row group at a time, so that
memory holds no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from typing import Any

import pyarrow as pa

from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.snapshot import Snapshot

SHOWN = 80


@dataclass(frozen=True)
class Comparison:
    """What was found when two tables were compared.

    Attributes
    ----------
    rows
        Rows of the first.
    differences
        Statements on columns and rows that are not the same; none if all are, in the same order, bit for bit.
    files
        ``identical`` if each Parquet file of the first has the same bytes in the second, ``different`` if one has
        not, ``packed`` if upkeep has since put the first's rows into other files.
    """

    rows: int
    differences: list[str]
    files: str

    @property
    def identical(self) -> bool:
        """Whether the rows are the same."""
        return not self.differences


def compare_rows(table: Snapshot, again: Snapshot) -> Comparison:
    """Compare a version of a table with one of the table of that name in another home.

    Raises
    ------
    DamagedFileError
        If a file of either is not as it was written.
    """
    schema, other = table.schema, again.schema
    if not schema.equals(other):  # descriptions aside, which are words about the same rows
        return Comparison(table.rows, [f"columns: expected {_columns(schema)}; found {_columns(other)}"], "different")
    found: dict[str, str] = {}
    row = 0
    for expected, made in _aligned(_rows(table, schema), _rows(again, schema)):
        for column in schema.names:
            if column not in found and not expected[column].equals(made[column]):
                found[column] = f"column {column}: {_first(expected[column], made[column], row)}"
        row += expected.num_rows
    differences = list(found.values())
    if again.rows != table.rows:
        differences.insert(0, f"rows: expected {table.rows:,}, found {again.rows:,}")
    return Comparison(table.rows, differences, _files(table, again))


def _rows(table: Snapshot, schema: pa.Schema) -> Iterator[pa.Table]:
    return (group.cast(schema) for group in table.row_groups(schema.names))


def _aligned(first: Iterator[pa.Table], second: Iterator[pa.Table]) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield the rows of both in pieces of equal length, as far as both go."""
    left = right = None
    while True:
        left = left if left is not None and left.num_rows else next(first, None)
        right = right if right is not None and right.num_rows else next(second, None)
        if left is None or right is None:
            return
        length = min(left.num_rows, right.num_rows)
        yield left.slice(0, length), right.slice(0, length)
        left, right = left.slice(length), right.slice(length)


def _first(expected: pa.ChunkedArray, made: pa.ChunkedArray, offset: int) -> str:
    """Say where two columns of equal length first differ, and how."""
    low, high = 0, len(expected)
    while high - low > 1:
        middle = (low + high) // 2
        if expected.slice(low, middle - low).equals(made.slice(low, middle - low)):
            low = middle
        else:
            high = middle
    return f"row {offset + low:,}: expected {_shown(expected[low])}, found {_shown(made[low])}"


def _shown(value: Any) -> str:
    text = repr(value.as_py())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _files(table: Snapshot, again: Snapshot) -> str:
    mine = _hashed(table)
    if mine is None:
        return "packed"
    return "identical" if mine == _hashed(again) else "different"


def _hashed(table: Snapshot) -> list[list[str]] | None:
    """Return the SHA-256 of the files of each part, by key; None if any part shares its file with others."""
    if any(file.row_groups for _, file in table.pieces):
        return None
    fs, root = filesystem(table.uri)
    hashed: list[list[str]] = []
    for files in table.parts.values():
        hashed.append([])
        for file in files:
            with fs.open_input_file(f"{root}/{file.path}") as stream:
                hashed[-1].append(file_digest(stream, "sha256").hexdigest())
    return hashed
