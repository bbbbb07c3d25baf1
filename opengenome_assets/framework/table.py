"""The declaration of a table: one place for its columns, key, lineage, code version and words.

Belongs here: what a declaration is, families of tables that differ in a number, and looking declarations up. Does not
belong here: any declaration (``tables.py`` of each group), and Dagster: workers and ``opengenome info`` read
declarations too (``assets.py`` turns them into Dagster's words).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any

import pyarrow as pa

from opengenome_assets.storage.columns import column


class Role(Enum):
    """What a table is to the platform, beside its rows.

    A *catalogue* lists source files: columns source, path, bytes, sha256, uri, revision. A *basis* is what other tables
    of its group describe: they carry its data version, and are out of date when it has another.
    """

    CATALOGUE = "catalogue"
    BASIS = "basis"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name, type, words
        Its name, Arrow type and description.
    origins
        The columns that it is worked out from, as ``table.column``. None if the source files themselves, a setting or
        a fixed list gives it.
    """

    name: str
    type: pa.DataType
    words: str
    origins: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableSpec:
    """A table, as its group declares it.

    Attributes
    ----------
    name
        The table, and the asset that makes it.
    description
        What it holds, in sentences for Dagster's UI and the docs.
    columns
        Its columns, in order.
    key
        The columns that identify a row.
    code_version
        Version of the code that computes its rows; raised whenever the same inputs would give other rows.
    kinds
        Labels for Dagster's UI beside ``deltalake``.
    role
        What it is to the platform, if it is more than a table.
    settings
        Settings of the group that its record holds under the same name.
    lenient
        Run config with which it is made again: what decides only whether rows are published, and not which.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    code_version: str = "1"
    kinds: frozenset[str] = frozenset()
    role: Role | None = None
    settings: tuple[str, ...] = ()
    lenient: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if missing := set(self.key) - set(self.schema.names):
            raise ValueError(f"{self.name}: the key names no column of the table: {', '.join(sorted(missing))}")

    @cached_property
    def schema(self) -> pa.Schema:
        """Arrow schema of the rows, each column with its description."""
        return pa.schema([column(each.name, each.type, each.words) for each in self.columns])

    def __getitem__(self, name: str) -> str:
        """Return a column as others name it among their origins: ``table.column``."""
        return f"{self.name}.{self.column(name).name}"

    def column(self, name: str) -> Column:
        """Return a column.

        Raises
        ------
        LookupError
            If there is none of that name.
        """
        for each in self.columns:
            if each.name == name:
                return each
        raise LookupError(f"{self.name} has no column {name!r}: expected {', '.join(self.schema.names)}")


@dataclass(frozen=True)
class TableFamily:
    """Tables that differ in one number, such as the k of k-mers.

    Attributes
    ----------
    parameter
        The number's name.
    setting
        The setting of the group that lists the numbers.
    template
        The declaration, with ``{parameter}`` in its name and its description.
    """

    parameter: str
    setting: str
    template: TableSpec

    def member(self, value: int) -> TableSpec:
        """Return the declaration of the table for a number."""
        name, description = (
            text.replace(f"{{{self.parameter}}}", str(value))
            for text in (self.template.name, self.template.description)
        )
        return replace(self.template, name=name, description=description)

    def match(self, name: str) -> int | None:
        """Return the number in a table's name, or None if the table is no member."""
        before, _, after = self.template.name.partition(f"{{{self.parameter}}}")
        found = re.fullmatch(rf"{re.escape(before)}(\d+){re.escape(after)}", name)
        return int(found[1]) if found else None


class UnknownTableError(LookupError):
    """A name that no group declares as a table; the message lists those that there are."""


class Specs:
    """The declarations of several groups, looked up by a table's name or role.

    Parameters
    ----------
    declared
        Tables and families.
    """

    def __init__(self, declared: Iterable[TableSpec | TableFamily]) -> None:
        self.declared = tuple(declared)

    def __iter__(self) -> Iterator[TableSpec]:
        """Yield every declaration; of a family its template."""
        return (each if isinstance(each, TableSpec) else each.template for each in self.declared)

    def find(self, name: str) -> TableSpec:
        """Return the declaration of a table.

        Raises
        ------
        UnknownTableError
            If no group declares it.
        """
        for each in self.declared:
            if isinstance(each, TableSpec):
                if each.name == name:
                    return each
            elif (value := each.match(name)) is not None:
                return each.member(value)
        raise UnknownTableError(
            f"{name} is no table that is made here: expected {', '.join(spec.name for spec in self)}"
        )

    def family(self, name: str) -> tuple[TableFamily, int] | None:
        """Return the family that a table belongs to, and its number there; None if it belongs to none."""
        families = (each for each in self.declared if isinstance(each, TableFamily))
        return next(((each, value) for each in families if (value := each.match(name)) is not None), None)

    def get(self, name: str) -> TableSpec | None:
        """Return the declaration of a table; None if no group declares it."""
        return self.find(name) if self.knows(name) else None

    def knows(self, name: str) -> bool:
        """Tell whether a group declares a table of that name."""
        try:
            self.find(name)
        except UnknownTableError:
            return False
        return True

    def role(self, name: str) -> Role | None:
        """Return the role of a table; None if it has none, or no group declares it."""
        return self.find(name).role if self.knows(name) else None

    def named(self, role: Role) -> list[str]:
        """Return the names of the tables in a role."""
        return [spec.name for spec in self if spec.role is role]

    def trace_column(self, table: str, name: str) -> dict[str, Sequence[str]]:
        """Return the columns that a column goes back to, each with its own origins.

        Returns
        -------
        dict
            By ``table.column``, the column itself first. A column without origins is given by the files or a setting.

        Raises
        ------
        LookupError
            If there is no such table or column.
        """
        found: dict[str, Sequence[str]] = {}
        waiting = [f"{table}.{name}"]
        while waiting:
            current = waiting.pop(0)
            if current not in found:
                owner, _, part = current.partition(".")
                found[current] = self.find(owner).column(part).origins
                waiting += found[current]
        return found
