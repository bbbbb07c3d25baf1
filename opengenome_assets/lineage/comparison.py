"""Comparison: are two tables the same, row by row and byte by byte, and on what their records do not agree.

Belongs here: looking at rows, files and records of two tables. Does not belong here: making one of them again
(``reproduce.py``). Rows are compared in order and a row group at a time, so that memory holds no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from itertools import groupby
from typing import Any

import pyarrow as pa

from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Tables

# What is no cause of a difference: who made it, when and how long it took, and which versions inputs had in a home.
CIRCUMSTANCES = {"format", "run_id", "started", "seconds", "cpu_seconds", "inputs"}
# What older records do not say.
LATER = {"commit", "modules", "libraries"}
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


@dataclass(frozen=True)
class Change:
    """Something that two records do not agree on."""

    what: str
    before: str
    after: str


def compare(tables: Tables, name: str, version: int, again: Tables) -> Comparison:
    """Compare a version of a table with the newest version of the one of that name in another home.

    Raises
    ------
    DamagedFileError
        If a file of either is not as it was written.
    """
    table = tables.open(name, version)
    schema, other = pa.schema(table.schema()), pa.schema(again.open(name).schema())
    rows = sum(file.rows for file in tables.files(table))
    if not schema.equals(other, check_metadata=True):
        return Comparison(rows, [f"columns: expected {_columns(schema)}; found {_columns(other)}"], "different")
    found: dict[str, str] = {}
    row = 0
    for expected, made in _aligned(_rows(tables, name, version, schema), _rows(again, name, None, schema)):
        for column in schema.names:
            if column not in found and not expected[column].equals(made[column]):
                found[column] = f"column {column}: {_first(expected[column], made[column], row)}"
        row += expected.num_rows
    differences = list(found.values())
    rows_again = sum(file.rows for file in again.files(again.open(name)))
    if rows_again != rows:
        differences.insert(0, f"rows: expected {rows:,}, found {rows_again:,}")
    return Comparison(rows, differences, _files(tables, name, version, again))


def _rows(tables: Tables, name: str, version: int | None, schema: pa.Schema) -> Iterator[pa.Table]:
    return (group.cast(schema) for group in tables.row_groups(name, schema.names, version))


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


def _files(tables: Tables, name: str, version: int, again: Tables) -> str:
    mine = _hashed(tables, name, version)
    if mine is None:
        return "packed"
    return "identical" if mine == _hashed(again, name, None) else "different"


def _hashed(tables: Tables, name: str, version: int | None) -> list[list[str]] | None:
    """Return the SHA-256 of the files of each part, by key; None if any part shares its file with others."""
    pieces = tables.pieces(name, tables.open(name, version))
    if any(file.row_groups for _, file in pieces):
        return None
    fs, root = filesystem(tables.uri(name))
    hashed: list[list[str]] = []
    for _, files in groupby(pieces, key=lambda piece: piece[0]):
        hashed.append([])
        for _, file in files:
            with fs.open_input_file(f"{root}/{file.path}") as stream:
                hashed[-1].append(file_digest(stream, "sha256").hexdigest())
    return hashed


def changes(before: Provenance, after: Provenance) -> list[Change]:
    """Return what two records of the same table do not agree on, apart from who made it when."""
    first, second = (record.model_dump(mode="json", exclude=CIRCUMSTANCES) for record in (before, after))
    found = []
    for field, value in first.items():
        other = second[field]
        if field in LATER and not (value and other):
            continue
        pairs = [(field, value, other)]
        if isinstance(value, dict):
            pairs = [(f"{field}: {name}", value.get(name), other.get(name)) for name in sorted({*value, *other})]
        found += [Change(what, str(old), str(new)) for what, old, new in pairs if old != new]
    for name, given in before.inputs.items():
        again = after.inputs.get(name)
        if again is None or again.data_version != given.data_version:
            found.append(Change(f"inputs: {name}", given.data_version, again.data_version if again else "none"))
    return found
