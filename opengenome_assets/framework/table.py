"""The declaration of a table: one place for its columns, key, lineage, code version and words.

Belongs here: the class of declarations, families of tables that differ in a number, and looking declarations up. Does
not belong here: any declaration (``tables.py`` of each group), and Dagster: workers and ``opengenome info`` read
declarations too. ``assets.py`` makes Dagster assets of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import Enum
from functools import cached_property
from typing import Any

import pyarrow as pa

from opengenome_assets.storage.columns import column


class Role(Enum):
    """The role of a table for the platform.

    A *catalogue* lists source files: columns source, path, bytes, sha256, uri, revision. The other tables of a group
    describe its *basis*. They record its data version, and are out of date when it has another.
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
        The columns that it is computed from, as ``table.column``. Empty if source files, a setting or a fixed list
        give it.
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
        Its content, in sentences for Dagster's UI and the docs.
    columns
        Its columns, in order.
    key
        The columns that identify a row.
    code_version
        Version of the code that computes its rows, raised whenever the same inputs would give other rows.
    kinds
        Labels for Dagster's UI beside ``deltalake``.
    role
        Its role for the platform, if it has one.
    settings
        Settings of the group that its record holds under the same name.
    lenient
        Run config for making it again, of fields that decide only whether rows are published.
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
        """Return a column's name for the origins of others: ``table.column``."""
        return f"{self.name}.{self.column(name).name}"

    def column(self, name: str) -> Column:
        """Return a column.

        Raises
        ------
        LookupError
            If there is no column with that name.
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
        The group's setting with the list of numbers.
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
        """Return the number in a table's name; None if the table is no member."""
        before, _, after = self.template.name.partition(f"{{{self.parameter}}}")
        found = re.fullmatch(rf"{re.escape(before)}(\d+){re.escape(after)}", name)
        return int(found[1]) if found else None


class UnknownTableError(LookupError):
    """No group declares a table of this name. The message lists the declared ones."""


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
        """Yield every declaration, and the template of each family."""
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
        # A family is named by one of its members, as people type it.
        named = [each.name if isinstance(each, TableSpec) else each.member(6).name for each in self.declared]
        near = get_close_matches(name, named, 1)
        meant = f". Is {near[0]} meant?" if near else "."
        raise UnknownTableError(f"{name} is no table that is made here{meant} `opengenome info` lists the tables")

    def family(self, name: str) -> tuple[TableFamily, int] | None:
        """Return a table's family and its number there; None if it has no family."""
        families = (each for each in self.declared if isinstance(each, TableFamily))
        return next(((each, value) for each in families if (value := each.match(name)) is not None), None)

    def get(self, name: str) -> TableSpec | None:
        """Return the declaration of a table; None if no group declares it."""
        return self.find(name) if self.knows(name) else None

    def knows(self, name: str) -> bool:
        """Return whether a group declares a table of that name."""
        try:
            self.find(name)
        except UnknownTableError:
            return False
        return True

    def role(self, name: str) -> Role | None:
        """Return the role of a table; None if it has none, or no group declares it."""
        return self.find(name).role if self.knows(name) else None

    def named(self, role: Role) -> list[str]:
        """Return the names of the tables with a role."""
        return [spec.name for spec in self if spec.role is role]

    def trace_column(self, table: str, name: str) -> dict[str, Sequence[str]]:
        """Return the columns that a column was computed from, directly or not, each with its own origins.

        Returns
        -------
        dict
            By ``table.column``, the column itself first. Source files or a setting give a column without origins.

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
