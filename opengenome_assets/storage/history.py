"""History: the versions of a table, and which of them hold the same rows.

A materialisation commits a version with the record of its origin. Lineage names that version. Compaction commits
versions that only rearrange files and hold the rows of the version before. A reader who asks for a version gets the
newest one with the same rows.

Belongs here: reading the history. Does not belong here: opening tables and writing to them (``tables.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import accumulate
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.seals import DamagedTableError, refuse_changed_entries

# Entries of a commit's metadata: the record of the rows; a rearrangement without new rows; a restoration of the rows of
# an earlier version; the contents of the files that it added, by path.
RECORD_KEY = "opengenome"
REARRANGED_KEY = "opengenome_rearranged"
RESTORED_KEY = "opengenome_restored"
CONTENTS_KEY = "opengenome_contents"


@dataclass(frozen=True)
class Restoration:
    """The origin of restored rows: the version that first held them, and the run that restored them."""

    version: int
    run_id: str


@dataclass(frozen=True)
class Version:
    """A commit: a version of a table.

    Attributes
    ----------
    number, made
        Its version number, and the time of the commit.
    record
        The record of its rows' origin, as JSON; None if it has none.
    rearranged
        Whether it only rearranged files.
    restored
        The origin of restored rows; None if it restored none. The record is that of the first making.
    """

    number: int
    made: datetime
    record: str | None
    rearranged: bool
    restored: Restoration | None = None


class History:
    """The versions of a table, by number, oldest first.

    Parameters
    ----------
    table
        The table at its newest version, since delta-rs numbers the history of an older one wrongly.

    Raises
    ------
    DamagedTableError
        If a commit was changed after it was written.
    """

    def __init__(self, table: DeltaTable) -> None:
        self.versions: dict[int, Version] = {}
        self.newest = table.version()
        self._uri = table.table_uri.rstrip("/")
        self._contents: list[str] = []
        try:
            for commit in reversed(table.history()):
                self._add(table.table_uri, commit)
        except (DeltaError, ValueError, LookupError, TypeError, OverflowError) as error:
            raise self._unreadable(error) from error

    def _add(self, uri: str, commit: dict[str, Any]) -> None:
        number = commit["version"]
        refuse_changed_entries(uri, number, commit)
        if CONTENTS_KEY in commit:
            self._contents.append(commit[CONTENTS_KEY])
        self.versions[number] = Version(
            number=number,
            made=datetime.fromtimestamp(commit["timestamp"] / 1000, UTC),
            record=commit.get(RECORD_KEY),
            rearranged=REARRANGED_KEY in commit,
            restored=Restoration(**json.loads(commit[RESTORED_KEY])) if RESTORED_KEY in commit else None,
        )

    def _unreadable(self, error: Exception) -> DamagedTableError:
        return DamagedTableError(
            f"{self._uri}/_delta_log: an entry up to version {self.newest} cannot be read ({error!r}). Put the log "
            "back from a copy, or move the folder _delta_log away and materialise that asset again: its files are used "
            "again, its older versions are lost"
        )

    @cached_property
    def contents(self) -> dict[str, str]:
        """What identifies the bytes of each file, by its path. Files that older packages added have none.

        Raises
        ------
        DamagedTableError
            If an entry cannot be read.
        """
        found: dict[str, str] = {}
        try:
            for text in self._contents:
                found |= json.loads(text)
        except (ValueError, TypeError) as error:
            raise self._unreadable(error) from error
        return found

    def origin(self, number: int) -> Version:
        """Return the version that first held the rows of a version."""
        while self.versions[number].rearranged and number - 1 in self.versions:
            number -= 1
        return self.versions[number]

    @property
    def current(self) -> Version:
        """The version that first held the rows of the newest."""
        return self.origin(self.newest)

    def layout(self, number: int) -> int:
        """Return the newest version with the rows of a version."""
        while number + 1 in self.versions and self.versions[number + 1].rearranged:
            number += 1
        return number

    def layouts(self) -> dict[int, int]:
        """Return each version that made rows, with the newest version that holds them."""
        return {number: self.layout(number) for number, version in self.versions.items() if not version.rearranged}

    def provenance(self, number: int) -> Provenance | None:
        """Return the newest record up to a version; None if there is none."""
        records = [version.record for version in self.versions.values() if version.record and version.number <= number]
        return Provenance.model_validate_json(records[-1]) if records else None

    def newest_since(self, moment: datetime) -> set[int]:
        """Return the versions that were the newest one at that moment or later."""
        # A clock that went backwards must not make a version look older than it is.
        latest = list(accumulate((version.made for version in self.versions.values()), max))
        numbers = list(self.versions)
        superseded = zip(numbers, latest[1:], strict=False)
        return {number for number, made in superseded if made >= moment} | {self.newest}

    def newest_at(self, moment: datetime) -> int | None:
        """Return the version that was the newest at that moment; None if there was none."""
        latest = accumulate((version.made for version in self.versions.values()), max)
        numbers = [number for number, made in zip(self.versions, latest, strict=True) if made <= moment]
        return numbers[-1] if numbers else None

    def made_by(self) -> dict[int, str]:
        """Return the run of each version that names one, oldest first."""
        runs: dict[int, str] = {}
        for number, version in self.versions.items():
            if version.restored is not None:
                runs[number] = version.restored.run_id
            elif version.record:
                runs[number] = json.loads(version.record)["run_id"]
        return runs
