"""Conditions on rows, as a person writes them: ``count >= 5``, ``source = plastids``, ``reason ~ truncated``.

Belongs here: reading a condition, and the rows of an Arrow table that fit it. Does not belong here: reading the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

OPERATORS: dict[str, Callable[..., pa.ChunkedArray]] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
    "~": lambda column, value: pc.match_substring(column, value.as_py()),
}
FORM = re.compile(r"\s*(\w+)\s*(!=|<=|>=|==?|<|>|~)\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """A comparison of a column with a value of the column's type. A row without a value there does not fit."""

    column: str
    operator: str
    value: pa.Scalar

    @property
    def equals(self) -> tuple[str, Any] | None:
        """The column and the value, if the condition is that they are equal."""
        return (self.column, self.value.as_py()) if self.operator == "=" else None

    def rows(self, table: pa.Table) -> pa.Table:
        """Return the rows that fit."""
        return table.filter(OPERATORS[self.operator](table[self.column], self.value))


def read_condition(text: str, schema: pa.Schema) -> Condition:
    """Read a condition on a table with a schema.

    Raises
    ------
    ValueError
        If it has another form, names no column, or its value does not fit the column's type.
    """
    found = FORM.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no condition: expected a column, one of {' '.join(OPERATORS)}, and a value, as 'count >= 5'"
        )
    column, operator, value = found.groups()
    operator = {"==": "="}.get(operator, operator)  # as programs have it
    if column not in schema.names:
        raise ValueError(f"{text!r}: there is no column {column}; there are {', '.join(schema.names)}")
    of = schema.field(column).type
    if pa.types.is_nested(of) or pa.types.is_binary(of):
        raise ValueError(f"{text!r}: {column} is of type {of}, which is compared with no value")
    if operator == "~" and not pa.types.is_string(of):
        raise ValueError(f"{text!r}: ~ looks for text within text, and {column} is of type {of}")
    try:
        return Condition(column, operator, pa.scalar(value).cast(of))
    except pa.ArrowException as error:
        raise ValueError(f"{text!r}: {column} is of type {of}, and {value!r} is not") from error
