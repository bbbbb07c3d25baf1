"""Diff: how two versions of a table differ, in their provenance and in their rows.

Parts are content-addressed, so only parts that are not in both versions are read. Memory holds their rows, with digests
in place of lists and long texts.

Belongs here: comparing rows. Does not belong here: comparing records (``changes.py``), and the columns that identify a
row, which stand in the table's declaration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.framework.table import Specs
from opengenome_assets.lineage.changes import Changes, compare
from opengenome_assets.lineage.records import find
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

MEASURE = "frequency"
LONG_TEXT = 64
DIGEST_BYTES = 16


class AmbiguousRowsError(ValueError):
    """Two rows have the same key, so rows cannot be matched; a retry does not help."""


@dataclass(frozen=True)
class Side:
    """One of the two versions: its number, time of commit (ISO 8601), data version and number of rows."""

    version: int
    made: str
    data_version: str
    rows: int


@dataclass(frozen=True)
class Content:
    """How the rows differ.

    Attributes
    ----------
    identical
        Whether all rows are the same.
    parts_read
        Number of parts that were read, of both versions; 0 if both have the same parts.
    added, removed, changed
        Number of rows whose key only the later or only the earlier version has, and of rows with other values.
    columns
        Number of changed rows per column, for columns of both versions.
    columns_added, columns_removed
        Columns that only one version has.
    first_added, first_removed, first_changed
        Keys of the first of these rows, in order.
    first_changes
        Of each row of ``first_changed``, the columns that changed, with both values. Lists and long texts are digests.
    largest
        The rows whose frequency changed most, with both frequencies; a missing row has 0. Empty for tables without
        frequencies.
    """

    identical: bool
    parts_read: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    columns: dict[str, int] = field(default_factory=dict)
    columns_added: list[str] = field(default_factory=list)
    columns_removed: list[str] = field(default_factory=list)
    first_added: list[dict[str, Any]] = field(default_factory=list)
    first_removed: list[dict[str, Any]] = field(default_factory=list)
    first_changed: list[dict[str, Any]] = field(default_factory=list)
    first_changes: list[dict[str, tuple[Any, Any]]] = field(default_factory=list)
    largest: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Difference:
    """How two versions of a table differ."""

    table: str
    before: Side
    after: Side
    made: Changes
    content: Content


def diff(home: Home, specs: Specs, name: str, before: int, after: int, most: int = 10) -> Difference:
    """Compare two versions of a table.

    Parameters
    ----------
    home
        The home that holds the table.
    specs
        The declarations of tables; the key of this table identifies its rows.
    name
        The table.
    before, after
        The versions.
    most
        Maximum number of rows named per kind.

    Raises
    ------
    UnknownNameError, MissingVersionError, MissingTableError, UnknownTableError
        If the table or version does not exist, its files were removed, or no group declares the table.
    AmbiguousRowsError
        If two rows of a version have the same key.
    """
    records = find(home, name, before), find(home, name, after)
    opened = [home.table(name).at(version) for version in (before, after)]
    sides = [
        Side(
            version,
            record.made.isoformat(timespec="seconds") if record.made else "",
            record.provenance.data_version,
            snapshot.rows,
        )
        for version, record, snapshot in zip((before, after), records, opened, strict=True)
    ]
    content = _compare(opened, specs.find(name).key, most)
    return Difference(name, sides[0], sides[1], compare(home, specs, *records), content)


def versions(home: Home, name: str, before: int | None, after: int | None) -> tuple[int, int]:
    """Return the versions to compare: by default the newest, and the last one before it with another data version.

    Raises
    ------
    UnknownNameError, MissingVersionError
        If there is no such table or version.
    LookupError
        If there is no version before.
    """
    if before is not None and after is not None:
        return before, after
    find(home, name, after if home.table(name).exists() else 0)  # of what is no table, it says what there is
    history = home.table(name).history()
    made = {number: history.provenance(number) for number in sorted(history.layouts())}
    last = max(made) if after is None else after
    if before is not None:
        return before, last
    earlier = [number for number in made if number < last]
    if not earlier:
        raise LookupError(f"{name} has no version before {last}: there is nothing to compare it with")
    newest = made.get(last)
    other = [n for n in earlier if (record := made[n]) and newest and record.data_version != newest.data_version]
    return (other or earlier)[-1], last


def _compare(opened: Sequence[Snapshot], key: Sequence[str], most: int) -> Content:
    schemas = [snapshot.schema for snapshot in opened]
    keys = [snapshot.parts.keys() for snapshot in opened]
    added, removed = ([field.name for field in b if field.name not in a.names] for a, b in (schemas, schemas[::-1]))
    parts = len(keys[0] ^ keys[1])
    shared = [field.name for field in schemas[0] if field.name in schemas[1].names]
    if not parts:
        return Content(not (added or removed), columns_added=added, columns_removed=removed)
    rows = [_read(snapshot, keys[0] ^ keys[1], shared, key) for snapshot in opened]
    old, new = (table.append_column("present", pa.repeat(True, table.num_rows)) for table in rows)
    joined = old.join(new, list(key), join_type="full outer", right_suffix=" after").sort_by(
        [(column, "ascending") for column in key]
    )
    there, then = (pc.is_valid(joined[column]).to_numpy() for column in ("present", "present after"))
    differs = {
        column: there & then & _differ(joined[column], joined[f"{column} after"])
        for column in shared
        if column not in key
    }
    changed = np.logical_or.reduce([*differs.values(), np.zeros(joined.num_rows, bool)])
    named = [joined.select(list(key)).filter(pa.array(mask)) for mask in (then & ~there, there & ~then, changed)]
    return Content(
        identical=not (any(rows.num_rows for rows in named) or added or removed),
        parts_read=parts,
        added=named[0].num_rows,
        removed=named[1].num_rows,
        changed=named[2].num_rows,
        columns={column: int(mask.sum()) for column, mask in differs.items() if mask.any()},
        columns_added=added,
        columns_removed=removed,
        first_added=named[0].slice(0, most).to_pylist(),
        first_removed=named[1].slice(0, most).to_pylist(),
        first_changed=named[2].slice(0, most).to_pylist(),
        first_changes=[
            {name: (row[name], row[f"{name} after"]) for name in differs if row[name] != row[f"{name} after"]}
            for row in joined.filter(pa.array(changed)).slice(0, most).to_pylist()
        ],
        largest=_largest(joined, key, most) if MEASURE in shared else [],
    )


def _read(snapshot: Snapshot, parts: Set[str], columns: Sequence[str], key: Sequence[str]) -> pa.Table:
    """Read the rows of some parts, with digests in place of lists and long texts."""
    pieces = [
        pa.table({name: _digested(rows[name].combine_chunks()) for name in columns})
        for rows in snapshot.row_groups(columns, parts=parts)
    ]
    empty = {name: _digested(pa.array([], snapshot.schema.field(name).type)) for name in columns}
    found = pa.concat_tables([pa.table(empty), *pieces], promote_options="permissive")
    distinct = found.group_by(list(key)).aggregate([]).num_rows
    if distinct != found.num_rows:
        raise AmbiguousRowsError(
            f"{snapshot.uri}: expected one row per {', '.join(key)}, found {found.num_rows:,} rows with {distinct:,} "
            "distinct keys. The table's declaration must name columns that identify a row"
        )
    return found


def _digested(column: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pa.array([None if row is None else _digest(row.tobytes()) for row in _lists(column)], pa.string())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        longest = pc.max(pc.binary_length(column)).as_py() or 0
        if longest > LONG_TEXT:
            return pa.array([_short(text) for text in column], pa.string())
        return column.cast(pa.string())
    return column


def _short(text: pa.Scalar) -> str | None:
    content = text.as_buffer()
    return text.as_py() if content is None or content.size <= LONG_TEXT else _digest(content)


def _lists(column: pa.Array) -> Sequence[np.ndarray | None]:
    values = column.values.to_numpy(zero_copy_only=False)
    offsets = column.offsets.to_numpy()
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    return [values[offsets[i] : offsets[i + 1]] if valid[i] else None for i in range(len(column))]


def _digest(content: bytes | pa.Buffer) -> str:
    return f"digest {hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()}"


def _differ(before: pa.ChunkedArray, after: pa.ChunkedArray) -> np.ndarray:
    """Return where values differ; two empty values are equal."""
    equal = pc.fill_null(pc.equal(before, after), False)
    empty = pc.and_(pc.is_null(before), pc.is_null(after))
    different: np.ndarray = pc.invert(pc.or_(equal, empty)).to_numpy()
    return different


def _largest(joined: pa.Table, key: Sequence[str], most: int) -> list[dict[str, Any]]:
    before, after = (pc.fill_null(joined[name], 0.0).to_numpy() for name in (MEASURE, f"{MEASURE} after"))
    change = after - before
    order = np.argsort(-np.abs(change), kind="stable")[:most]
    order = order[change[order] != 0]
    values = zip(before[order], after[order], change[order], strict=True)
    return [
        {**row, "before": float(old), "after": float(new), "change": float(delta)}
        for row, (old, new, delta) in zip(joined.select(list(key)).take(order).to_pylist(), values, strict=True)
    ]
