"""Refresh: what was made from other rows than its inputs have now, and what to materialise to make it again.

Belongs here: following the records in tables, figures and reports downstream. Does not belong here: materialising.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass

from opengenome_assets.framework.table import Specs
from opengenome_assets.lineage.records import beside_tables
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home


def recorded(home: Home) -> dict[str, Provenance]:
    """Return the newest record of every table, figure and report, by name."""
    records = {name: home.table(name).provenance() for name in home.names()}
    return records | {record.name: record.provenance for record in beside_tables(home.uri)}


def outdated(home: Home, changed: Mapping[str, str] | None = None) -> list[str]:
    """Return the tables, figures and the report that were made from other rows than their inputs have now, sorted.

    Parameters
    ----------
    home
        The home.
    changed
        Data versions that tables are taken to have.
    """
    records = recorded(home)
    present = {name: record.data_version for name, record in records.items()} | dict(changed or {})
    found: set[str] = set()
    before = -1
    while len(found) > before:
        before = len(found)
        found |= {
            name
            for name, record in records.items()
            if name not in (changed or {})
            and any(given in found or present.get(given) != was.data_version for given, was in record.inputs.items())
        }
    return sorted(found)


@dataclass(frozen=True)
class Remedy:
    """How to make again what is outdated.

    Attributes
    ----------
    selection
        The assets to materialise, sorted.
    undefined
        What cannot be made again as the settings are, by name, with what it needs.
    """

    selection: list[str]
    undefined: dict[str, str]


def refreshing(
    home: Home,
    specs: Specs,
    parents: Mapping[str, Set[str]],
    stale: Collection[str],
    versions: Mapping[str, int],
    outside: Callable[[str], str | None],
) -> Remedy:
    """Return what to materialise so that what is outdated is made again.

    With another list of numbers than before (such as k-mer lengths), some of it is no asset any more, and some needs
    tables of these numbers that nobody has made yet.

    Parameters
    ----------
    home
        The home.
    specs
        The declarations of tables.
    parents
        The assets that there are with the present settings, each with those that it is made from.
    stale
        What is outdated.
    versions
        Versions that tables are taken to have; the others have their newest.
    outside
        From a table's name to the variable whose present value leaves it out; None for a table that is made.
    """
    records = recorded(home)
    undefined = {}
    for name in sorted(set(stale) - parents.keys()):
        undefined[name] = "this version of the package does not make it"
        for table in (name, *records[name].inputs):
            if (variable := outside(table)) and (found := specs.family(table)):
                undefined[name] = f"needs {variable} with {found[1]}"
    there, selected = set(home.names()), set(stale) & parents.keys()
    selected |= {parent for name in selected for parent in parents[name] - there if specs.family(parent)}
    if lacking := {parent for name in selected for parent in _lacking(home, specs, name, parents[name], versions)}:
        selected |= lacking
        while follows := {name for name, given in parents.items() if given & selected} - selected:
            selected |= follows
    return Remedy(sorted(selected), undefined)


def _lacking(home: Home, specs: Specs, name: str, parents: Set[str], versions: Mapping[str, int]) -> Set[str]:
    """Return the tables that a member of a family is made from, and that were made without its number."""
    found = specs.family(name)
    if found is None:
        return set()
    family, number = found

    def numbers(parent: str) -> Collection[int]:
        table = home.table(parent)
        return table.provenance(versions.get(parent)).settings[family.setting] if table.exists() else ()

    return {parent for parent in parents if number not in numbers(parent)}
