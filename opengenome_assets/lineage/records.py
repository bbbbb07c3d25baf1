"""Records: finding the provenance record of a table, figure or report.

Belongs here: from a name to its record. Does not belong here: following a record upstream (``tree.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

import pyarrow.fs as pafs
from pydantic import BaseModel

from opengenome_assets.storage.files import filesystem, read_bytes
from opengenome_assets.storage.history import History
from opengenome_assets.storage.record import Provenance, unsealed
from opengenome_assets.storage.snapshot import MissingTableError, MissingVersionError
from opengenome_assets.storage.tables import Home

Kind = Literal["table", "figure", "report"]
FOLDERS: dict[str, Kind] = {"figures": "figure", "reports": "report"}


class UnknownNameError(LookupError):
    """No table, figure or report has that name; the message lists the names that exist."""


class _Recorded(BaseModel):
    """A file beside a figure or report that holds its provenance."""

    provenance: Provenance


@dataclass(frozen=True)
class Record:
    """The provenance of a table, figure or report.

    Attributes
    ----------
    name, kind
        Its name, and whether it is a table, a figure or the report.
    version
        The table's version that first held these rows; None for a figure and the report, which keep their last state.
    made
        The time of the commit; for a figure or the report the start of its making, if recorded.
    provenance
        The record itself.
    """

    name: str
    kind: Kind
    version: int | None
    made: datetime | None
    provenance: Provenance


class Records:
    """The records of one home; each history is read once.

    Parameters
    ----------
    home
        The home, with tables, figures and report.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self._histories: dict[str, History | None] = {}

    @cached_property
    def beside(self) -> dict[str, Record]:
        """The records of the figures and the report, by name."""
        return {record.name: record for record in beside_tables(self.home.uri)}

    def history(self, name: str) -> History | None:
        """Return the history of a table, or None if there is no such table."""
        if name not in self._histories:
            self._histories[name] = self.home.table(name).history() if self.home.table(name).exists() else None
        return self._histories[name]

    def find(self, name: str, version: int | None = None) -> Record:
        """Return the record of a table (at its newest version if None), of a figure or of the report.

        Raises
        ------
        UnknownNameError
            If nothing has that name.
        MissingVersionError
            If the table has no such version, or the name is not that of a table.
        MissingTableError
            If it is a Delta table without a provenance record.
        """
        history = self.history(name)
        if history is None:
            return self._find_beside(name, version)
        number = history.newest if version is None else version
        if number not in history.versions:
            raise MissingVersionError(
                f"{name} has no version {number}; it has {min(history.versions)} to {history.newest}"
            )
        origin = history.origin(number)
        provenance = history.provenance(number)
        if provenance is None:
            raise MissingTableError(
                f"{self.home.table(name).uri} is a Delta table, but nothing in its history says what made it"
            )
        return Record(name, "table", origin.number, origin.made, provenance)

    def _find_beside(self, name: str, version: int | None) -> Record:
        if name not in self.beside:
            raise UnknownNameError(
                f"nothing at {self.home.uri} is called {name!r}. There are: "
                f"{', '.join([*self.home.names(), *sorted(self.beside)]) or 'no tables yet; make run'}"
            )
        found = self.beside[name]
        if version is not None:
            raise MissingVersionError(
                f"{name} is a {found.kind}, of which only the last is kept: it has no versions, the tables that it was "
                "made from have"
            )
        return found


def find(home: Home, name: str, version: int | None = None) -> Record:
    """Return one record, as :meth:`Records.find` does."""
    return Records(home).find(name, version)


def beside_tables(home: str) -> Iterator[Record]:
    """Yield the records of the figures and the report; a damaged one is skipped, since a run makes it again.

    Raises
    ------
    NewerRecordError
        If a newer package wrote a record.
    """
    for folder, kind in FOLDERS.items():
        place = f"{home.rstrip('/')}/{folder}"
        fs, root = filesystem(place)
        for info in sorted(fs.get_file_info(pafs.FileSelector(root, allow_not_found=True)), key=lambda info: info.path):
            if info.path.endswith(".json"):
                try:
                    content = unsealed(read_bytes(f"{place}/{info.base_name}") or b"")
                    provenance = _Recorded.model_validate(content).provenance
                except ValueError:
                    continue
                yield Record(provenance.name, kind, None, provenance.started, provenance)
