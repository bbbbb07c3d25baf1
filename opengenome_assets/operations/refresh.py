"""Refresh: which tables, figures and reports are stale, and which assets to materialise for them.

Stale means: made from other rows than the inputs have now.

Belongs here: following provenance records downstream. Does not belong here: materialising.
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
    """Return the names of stale tables, figures and reports, sorted.

    Parameters
    ----------
    home
        The home.
    changed
        Data versions that some tables are assumed to have.
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
    """How to refresh what is stale.

    Attributes
    ----------
    selection
        The assets to materialise, sorted.
    undefined
        By name, why something cannot be made with the current settings.
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
    """Return the assets to materialise so that nothing is stale.

    After a change of a list of numbers, such as k-mer lengths, some stale tables are no assets any more. Others need
    tables of the new numbers that do not exist yet.

    Parameters
    ----------
    home
        The home.
    specs
        The declarations of tables.
    parents
        The assets of the current settings, each with the assets that it is made from.
    stale
        The names of what is stale.
    versions
        Versions that some tables are assumed to have; others have their newest.
    outside
        From a table's name to the variable whose current value leaves it out; None for a table that is made.
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
    """Return the parents of a family's member that were made without its number."""
    found = specs.family(name)
    if found is None:
        return set()
    family, number = found

    def numbers(parent: str) -> Collection[int]:
        table = home.table(parent)
        return table.provenance(versions.get(parent)).settings[family.setting] if table.exists() else ()

    return {parent for parent in parents if number not in numbers(parent)}
