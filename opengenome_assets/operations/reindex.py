"""Reindex: reporting to Dagster the versions that only the tables, figures and report record.

Dagster misses events after its database was lost, moved or pruned, or a process died between a commit and its event.
Each version without an event gets a runless one, with its provenance and the tags for Dagster's staleness. Reindexing
is idempotent.

Belongs here: finding and reporting missing events. Does not belong here: runs, which cannot be restored; their ids
stand in the records.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from opengenome_assets.framework.figures import figure_metadata, load_figure
from opengenome_assets.framework.making import lineage, version_metadata, version_tags
from opengenome_assets.framework.private import DATA_VERSION_TAG
from opengenome_assets.framework.report import report_metadata
from opengenome_assets.framework.table import Specs, TableSpec
from opengenome_assets.lineage.records import beside_tables
from opengenome_assets.storage.history import Version
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home, Table

PAGE = 1000


@dataclass(frozen=True)
class Reindexed:
    """The versions of an asset that were reported, oldest first; None for a figure or the report."""

    asset: str
    versions: Sequence[int | None]


def reindex(
    instance: dg.DagsterInstance, home: Home, specs: Specs, dependencies: Mapping[str, set[str]]
) -> Iterator[Reindexed]:
    """Report to Dagster the versions that it does not know; a second call reports nothing.

    Parameters
    ----------
    instance
        Dagster's instance, with any database.
    home
        The home, with tables, figures and report.
    specs
        The declarations of tables.
    dependencies
        The dependencies of each asset in Dagster.

    Yields
    ------
    Reindexed
        Each asset with reported versions.
    """
    for name in home.names():
        if versions := list(_reindex_table(instance, home.table(name), specs.get(name), dependencies.get(name, set()))):
            yield Reindexed(name, versions)
    for record in beside_tables(home.uri):
        provenance = record.provenance
        known = list(_known(instance, record.name))
        if known and known[0][1] == provenance.data_version:
            continue
        if record.kind == "figure":
            saved = load_figure(home, record.name)
            if saved is None:  # damaged or changed: the next run draws it again
                continue
            metadata = figure_metadata(saved)
        else:
            metadata = report_metadata(home.uri, provenance)
        _report(instance, record.name, metadata, provenance, dependencies.get(record.name, set()))
        yield Reindexed(record.name, [None])


def _reindex_table(
    instance: dg.DagsterInstance, table: Table, spec: TableSpec | None, dependencies: set[str]
) -> Iterator[int]:
    name, history = table.name, table.history()
    records = {
        number: record
        for number, version in history.versions.items()
        if version.record and not version.rearranged and (record := history.provenance(number))
    }
    known = list(_known(instance, name))
    reported = set(known)
    missing = [number for number, record in records.items() if (number, record.data_version) not in reported]
    current = history.current.number
    # Dagster takes the last event for the current state.
    last = missing[-1] if missing else (known[0][0] if known else None)
    if current in records and last != current:
        missing.append(current)
    for number in missing:
        metadata = _version(table, spec, history.versions[number]) | lineage(records[number])
        _report(instance, name, metadata, records[number], dependencies)
        yield number


def _known(instance: dg.DagsterInstance, name: str) -> Iterator[tuple[int | None, str]]:
    """Yield the version and the data version of each event of an asset, newest first."""
    cursor = None
    while True:
        page = instance.fetch_materializations(dg.AssetKey(name), limit=PAGE, cursor=cursor)
        for record in page.records:
            event = record.asset_materialization
            if event is not None:
                version = event.metadata.get("table_version")
                number = version.value if isinstance(version, dg.IntMetadataValue) else None
                yield number, (event.tags or {}).get(DATA_VERSION_TAG, "")
        if not page.has_more:
            return
        cursor = page.cursor


def _version(table: Table, spec: TableSpec | None, version: Version) -> dict[str, Any]:
    """Return the metadata of a version from the table's log alone, since its files may be gone."""
    files = table.named(version.number)
    sums = sum(file.rows for file in files), sum(file.size for file in files)
    return {
        **version_metadata(spec, table.uri, version.number, *sums, len(files)),
        "committed": dg.MetadataValue.timestamp(version.made),
        "reindexed": True,
    }


def _report(
    instance: dg.DagsterInstance, name: str, metadata: dict[str, Any], provenance: Provenance, dependencies: set[str]
) -> None:
    numbers = {"seconds": provenance.seconds, "driver_cpu_seconds": provenance.cpu_seconds}
    metadata |= {name: value for name, value in numbers.items() if value is not None}
    tags = version_tags(provenance, dependencies)
    instance.report_runless_asset_event(dg.AssetMaterialization(name, metadata=metadata, tags=tags))
