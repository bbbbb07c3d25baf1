"""What became of calls between two versions of mutation_calls: gained, lost, renamed, and why.

Belongs here: comparing calls, and finding the cause in the tables that they were made from. Does not belong here: the
differences of any table, which ``opengenome diff`` shows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opengenome_assets.proteins.tables import ACCESSIONS, KNOWN_MUTATIONS, MUTATION_CALLS, PROTEINS, WILD_TYPES
from opengenome_assets.storage.tables import Home

Key = tuple[str, str, str, str, int, str, str]
_PLACE = ("accession", "file", "protein_id", "reference", "position", "ref_aa", "alt_aa")


@dataclass(frozen=True)
class CallChange:
    """A call that only one of two versions has, or that has another name in each.

    ``change`` is gained, lost or renamed; ``before`` and ``after`` are symbols.
    """

    change: str
    accession: str
    protein_id: str
    before: str
    after: str
    reason: str


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
                reason = f"The catalogue names the entry {second['symbol']} now."
                changes.append(CallChange("renamed", *(key[0], key[2], first["symbol"], second["symbol"], reason)))
        elif second:
            changes.append(
                CallChange("gained", key[0], key[2], "", second["symbol"], _why(second, there=new, gone=old))
            )
        elif first:
            changes.append(CallChange("lost", key[0], key[2], first["symbol"], "", _why(first, there=old, gone=new)))
    return sorted(changes, key=lambda each: (each.accession, each.change, each.after or each.before, each.protein_id))


class _Version:
    """The calls of a version, and the tables that they were made from."""

    def __init__(self, home: Home, number: int) -> None:
        snapshot = home.table(MUTATION_CALLS).at(number)
        self.calls: dict[Key, Mapping[str, Any]] = {
            tuple(row[name] for name in _PLACE): row for row in snapshot.read().to_pylist()
        }
        given = snapshot.provenance.inputs

        def read(table: Any, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
            rows = home.table(table).at(given[table.name].version).read(list(columns))
            return zip(*(rows[name].to_pylist() for name in columns), strict=True)

        self.number = number
        self.entries = set(read(KNOWN_MUTATIONS, ("reference", "position", "ref_aa", "alt_aa", "organism")))
        self.references = dict(read(WILD_TYPES, ("reference", "sha256")))
        self.organisms = dict(read(ACCESSIONS, ("accession", "organism")))
        self.proteins = {(a, f, p): s for a, f, p, s in read(PROTEINS, (*_PLACE[:3], "protein_sha256"))}


def _why(row: Mapping[str, Any], *, there: _Version, gone: _Version) -> str:
    """Return why one version has a call and the other has not. ``there`` has it."""
    accession, reference = row["accession"], row["reference"]
    place = accession, row["file"], row["protein_id"]
    entry = reference, row["position"], row["ref_aa"], row["alt_aa"]
    when = "yet" if gone.number < there.number else "any more"
    known = {each[:4] for each in gone.entries}
    if accession not in gone.organisms:
        return f"Version {gone.number} does not have the accession {when}."
    if place not in gone.proteins:
        return f"Version {gone.number} does not have the protein {when}."
    if gone.proteins[place] != there.proteins[place]:
        return "The protein has another sequence."
    if gone.organisms[accession] != there.organisms[accession]:
        names = [repr(version.organisms[accession]) for version in (gone, there)]
        return f"The sample sheet names another organism: {names[0]} in version {gone.number}, {names[1]} here."
    if reference not in gone.references:
        return f"The catalogue of version {gone.number} does not have the reference {reference} {when}."
    if gone.references[reference] != there.references[reference]:
        return f"The reference {reference} has another sequence."
    if entry not in known:
        return f"The catalogue of version {gone.number} does not have the entry {when}."
    return "Another reference of the catalogue fits the protein better, or the code has changed."
