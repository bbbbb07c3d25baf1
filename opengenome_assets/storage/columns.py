"""Columns with a description.

Belongs here: a column's description in the schema of its table, so that Dagster's UI, Delta Lake and the report show
the same words. Does not belong here: the columns of a table, which stand in its declaration.
"""

from __future__ import annotations

import pyarrow as pa


def column(name: str, kind: pa.DataType, description: str) -> pa.Field:
    """Return a column with its description."""
    return pa.field(name, kind, metadata={"comment": description})


def comment(field: pa.Field) -> str:
    """Return a column's description; empty if it has none."""
    return str((field.metadata or {}).get(b"comment", b"").decode())
