"""Versions: a table's history, and which of its versions hold the same rows.

A materialisation commits a version with the record of what made it; that version is what lineage names. Upkeep commits
versions that only rearrange files: they hold the rows of the version before, so whoever asks for one gets the newest
of those that hold the same.

Belongs here: reading the history. Does not belong here: opening tables and writing to them (``tables.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate

from deltalake import DeltaTable

from opengenome_assets.provenance import Provenance

# Entries of a commit's metadata: the record of what made the rows; a rearrangement that made none.
RECORD_KEY = "opengenome"
REARRANGED_KEY = "opengenome_rearranged"


@dataclass(frozen=True)
class Version:
    """A commit: its version, when it was made, its record if it has one, and whether it only rearranged files."""

    number: int
    made: datetime
    record: str | None
    rearranged: bool


class History:
    """The versions of a table, by number, oldest first.

    Parameters
    ----------
    table
        The table at its newest version: delta-rs numbers the history of an older one wrongly.
    """

    def __init__(self, table: DeltaTable) -> None:
        self.versions = {
            commit["version"]: Version(
                commit["version"],
                datetime.fromtimestamp(commit["timestamp"] / 1000, UTC),
                commit.get(RECORD_KEY),
                REARRANGED_KEY in commit,
            )
            for commit in reversed(table.history())
        }
        self.newest = table.version()

    def origin(self, number: int) -> Version:
        """Return the version that first held the rows of this one."""
        while self.versions[number].rearranged and number - 1 in self.versions:
            number -= 1
        return self.versions[number]

    @property
    def current(self) -> Version:
        """The version that first held the rows of the newest."""
        return self.origin(self.newest)

    def layout(self, number: int) -> int:
        """Return the newest version that holds the rows of this one."""
        while number + 1 in self.versions and self.versions[number + 1].rearranged:
            number += 1
        return number

    def layouts(self) -> dict[int, int]:
        """Return the versions that made rows, each with the newest version that holds them."""
        return {number: self.layout(number) for number, version in self.versions.items() if not version.rearranged}

    def provenance(self, number: int) -> Provenance | None:
        """Return the newest record up to a version, or None if there is none."""
        records = [version.record for version in self.versions.values() if version.record and version.number <= number]
        return Provenance.model_validate_json(records[-1]) if records else None

    def newest_since(self, moment: datetime) -> set[int]:
        """Return the versions that were the newest at that moment or later."""
        # A clock that went backwards must make nothing look older than it is.
        latest = list(accumulate((version.made for version in self.versions.values()), max))
        numbers = list(self.versions)
        superseded = zip(numbers, latest[1:], strict=False)
        return {number for number, made in superseded if made >= moment} | {self.newest}
