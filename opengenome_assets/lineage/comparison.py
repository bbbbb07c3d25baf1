"""Comparison: whether two tables are identical, row by row and byte by byte.

Belongs here: comparing rows and files of two tables. Does not belong here: comparing records (``changes.py``), and
making a table again (``operations/reproduce.py``). Memory holds one row group of each table at a time.
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
    """The result of comparing two tables.

    Attributes
    ----------
    rows
        Number of rows of the first.
    differences
        One sentence per column or row count that differs; none if all rows are the same, in order, bit for bit.
    files
        ``identical`` if all Parquet files have the same bytes, else ``different``. ``packed`` if compaction has moved
        the first's rows into other files, so that files cannot be compared.
    """

    rows: int
    differences: list[str]
    files: str

    @property
    def identical(self) -> bool:
        """Whether the rows are the same."""
        return not self.differences


def compare_rows(table: Snapshot, again: Snapshot) -> Comparison:
    """Compare a version of a table with a version of the same table in another home.

    Raises
    ------
    DamagedFileError
        If a file of either is not as it was written.
    """
    schema, other = table.schema, again.schema
    if not schema.equals(other):  # descriptions of columns do not count
        return Comparison(table.rows, [f"columns: expected {_columns(schema)}; found {_columns(other)}"], "different")
    found: dict[str, str] = {}
    row = 0
    for expected, actual in _aligned(_rows(table, schema), _rows(again, schema)):
        for column in schema.names:
            if column not in found and not expected[column].equals(actual[column]):
                found[column] = f"column {column}: {_first(expected[column], actual[column], row)}"
        row += expected.num_rows
    differences = list(found.values())
    if again.rows != table.rows:
        differences.insert(0, f"rows: expected {table.rows:,}, found {again.rows:,}")
    return Comparison(table.rows, differences, _files(table, again))


def _rows(table: Snapshot, schema: pa.Schema) -> Iterator[pa.Table]:
    return (group.cast(schema) for group in table.row_groups(schema.names))


def _aligned(first: Iterator[pa.Table], second: Iterator[pa.Table]) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield the rows of both in pieces of equal length, until one ends."""
    left = right = None
    while True:
        left = left if left is not None and left.num_rows else next(first, None)
        right = right if right is not None and right.num_rows else next(second, None)
        if left is None or right is None:
            return
        length = min(left.num_rows, right.num_rows)
        yield left.slice(0, length), right.slice(0, length)
        left, right = left.slice(length), right.slice(length)


def _first(expected: pa.ChunkedArray, actual: pa.ChunkedArray, offset: int) -> str:
    """Return the first difference between two columns of equal length, in words."""
    low, high = 0, len(expected)
    while high - low > 1:
        middle = (low + high) // 2
        if expected.slice(low, middle - low).equals(actual.slice(low, middle - low)):
            low = middle
        else:
            high = middle
    return f"row {offset + low:,}: expected {_shown(expected[low])}, found {_shown(actual[low])}"


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
    """Return the SHA-256 of each part's files, in the order of keys; None if a part lies in a pack."""
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
