"""What became of calls between two versions of mutation_calls: gained, lost, renamed, and why.

Belongs here: comparing calls, and finding the cause in the tables that they were made from. Does not belong here: the
differences of any table, which ``opengenome diff`` shows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opengenome_assets.proteins.tables import (
    ACCESSIONS,
    ALIGNMENTS,
    KNOWN_MUTATIONS,
    MUTATION_CALLS,
    PROTEIN_FILES,
    PROTEINS,
    WILD_TYPES,
)
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home, Named, Table

NO_EARLIER = "There is no earlier version of the calls to compare with."
Key = tuple[str, str, str, str, int, str, str]
_FILE = ("accession", "path", "sha256")
_PLACE = ("accession", "file", "protein_id", "reference", "position", "ref_aa", "alt_aa")


@dataclass(frozen=True)
class CallChange:
    """A call that only one of two versions has, or that has another name or level in each.

    ``change`` is gained, lost, renamed or level; ``before`` and ``after`` are symbols, with levels if these differ.
    ``cause`` is one of `CAUSES`, and ``reason`` says it of this call.
    """

    change: str
    accession: str
    protein_id: str
    before: str
    after: str
    cause: str
    reason: str


CAUSES = (
    *("accession added", "accession removed", "protein added", "protein removed", "protein changed"),
    *("organism changed", "reference added", "reference removed", "reference changed"),
    *("entry added", "entry removed", "entry renamed", "entry changed", "settings changed", "other"),
)
"""What a difference can come from: files, the sample sheet, the catalogue, settings, or the code."""


def earlier(table: Table, snapshot: Snapshot) -> int | None:
    """Return the newest version before a snapshot that has other rows and can still be read; None if there is none."""
    for number in range(snapshot.version - 1, -1, -1):
        try:
            before = table.at(number)
        except LookupError:
            return None
        if before.provenance.data_version != snapshot.provenance.data_version:
            return number
    return None


def call_changes(home: Home, before: int, after: int) -> list[CallChange]:
    """Return the calls that differ, by accession and symbol.

    Raises
    ------
    MissingVersionError
        If a version, or a table that it was made from, cannot be read any more.
    """
    old, new = (_Version(home, number) for number in (before, after))
    changes = []
    for key in old.calls.keys() | new.calls.keys():
        first, second = old.calls.get(key), new.calls.get(key)
        if first and second:
            if first["symbol"] != second["symbol"]:
                why = "entry renamed", f"The catalogue names the entry {second['symbol']} now."
                changes.append(CallChange("renamed", key[0], key[2], first["symbol"], second["symbol"], *why))
            if first["level"] != second["level"]:
                was, now = (f"{row['symbol']} {row['level']}" for row in (first, second))
                changes.append(CallChange("level", key[0], key[2], was, now, *new.relevels(first, second, old)))
        elif second:
            changes.append(CallChange("gained", key[0], key[2], "", second["symbol"], *old.lacks(second, new)))
        elif first:
            changes.append(CallChange("lost", key[0], key[2], first["symbol"], "", *new.lacks(first, old)))
    return sorted(changes, key=lambda each: (each.accession, each.change, each.after or each.before, each.protein_id))


class _Version:
    """The calls of a version, and the tables that they were made from."""

    def __init__(self, home: Home, number: int) -> None:
        snapshot = home.table(MUTATION_CALLS).at(number)
        self.calls: dict[Key, Mapping[str, Any]] = {
            tuple(row[name] for name in _PLACE): row for row in snapshot.read().to_pylist()
        }
        given = snapshot.provenance.inputs

        def read(table: Named, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
            if table.name not in given:  # the version is older than the table
                return iter(())
            found = home.table(table).at(given[table.name].version)
            columns = [name for name in columns if name in found.schema.names]
            rows = found.read(columns)
            return zip(*(rows[name].to_pylist() for name in columns), strict=True)

        self.number = number
        self.levels = snapshot.provenance.settings["levels"]
        self.scoring = home.table(ALIGNMENTS).at(given[ALIGNMENTS.name].version).provenance.settings
        entries = read(KNOWN_MUTATIONS, ("reference", "position", "ref_aa", "alt_aa", "organism", "symbol"))
        self.entries = {each[:5]: each[5] for each in entries}
        self.references = dict(read(WILD_TYPES, ("reference", "sha256")))
        self.organisms = dict(read(ACCESSIONS, ("accession", "organism")))
        self.files = {(accession, file): checksum for accession, file, checksum in read(PROTEIN_FILES, _FILE)}
        self.proteins = {each[:3]: each[3] for each in read(PROTEINS, (*_PLACE[:3], "protein_sha256"))}

    def relevels(self, before: Mapping[str, Any], after: Mapping[str, Any], there: "_Version") -> tuple[str, str]:
        """Return cause and reason why a call has another level in this version than in another."""
        if before["protein_sha256"] != after["protein_sha256"]:
            return "protein changed", "The protein has another sequence."
        if self.levels != there.levels:
            return "settings changed", "OPENGENOME_PROTEIN_LEVELS has other borders."
        return "other", "Its alignment is another."

    def lacks(self, row: Mapping[str, Any], there: "_Version") -> tuple[str, str]:
        """Return cause and reason why another version has a call and this one has not."""
        later = self.number > there.number
        changed = "removed" if later else "added"
        when, version = ("any more" if later else "yet"), f"version {self.number}"
        accession, reference = row["accession"], row["reference"]
        file, place = (accession, row["file"]), (accession, row["file"], row["protein_id"])
        entry = reference, row["position"], row["ref_aa"], row["alt_aa"]
        if accession not in self.organisms:
            return f"accession {changed}", f"{version.capitalize()} does not have the accession {when}."
        if file not in self.files or (place in there.proteins and place not in self.proteins):
            return f"protein {changed}", f"{version.capitalize()} does not have its file or protein {when}."
        if place in there.proteins and self.proteins[place] != there.proteins[place]:
            return "protein changed", "The protein has another sequence."
        if self.organisms[accession] != there.organisms[accession]:
            names = " and ".join(f"{each.organisms[accession]!r} in version {each.number}" for each in (self, there))
            return "organism changed", f"The sample sheet names another organism: {names}."
        if reference not in self.references:
            return f"reference {changed}", f"The catalogue of {version} does not have the reference {reference} {when}."
        if self.references[reference] != there.references[reference]:
            return "reference changed", f"The reference {reference} has another sequence."
        own = {each[:4] for each in self.entries}
        if entry not in own:
            symbols = (key for key, symbol in self.entries.items() if key[0] == reference and symbol == row["symbol"])
            if other := next(symbols, None):
                stated = f"{other[2]}{other[1]}{other[3] or 'del'}"
                return "entry changed", f"In the catalogue of {version} the entry is {stated}, not {row['short']}."
            return f"entry {changed}", f"The catalogue of {version} does not have the entry {when}."
        if (*entry, row["organism"]) not in self.entries and (*entry, "") not in self.entries:
            return "entry changed", f"In the catalogue of {version} the entry is of another organism."
        if file in self.files and self.files[file] != there.files[file] and not row["protein_sha256"]:
            return "protein changed", "The contigs of the file are others."
        if self.scoring != there.scoring:
            return "settings changed", f"Alignments of {version} have other settings: {self.scoring}."
        return "other", "Another reference of the catalogue fits better, or the code has changed."
