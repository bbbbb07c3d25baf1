"""Reindex: telling Dagster again what was made, from what tables, figures and report remember.

After Dagster's database was lost, moved or pruned, or a process died between a table's commit and Dagster's event, the
UI knows less than the tables. Each version of a table that no event tells of gets one, without a run, with its record
and the tags by which Dagster knows whether it is stale.

Belongs here: which events are missing, and reporting them. Does not belong here: runs, which cannot be made again;
their ids stand in the records.
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
    """What was told of an asset: versions of a table, oldest first; None for a figure or the report."""

    asset: str
    versions: Sequence[int | None]


def reindex(
    instance: dg.DagsterInstance, home: Home, specs: Specs, dependencies: Mapping[str, set[str]]
) -> Iterator[Reindexed]:
    """Report to Dagster what it does not know; doing so twice tells nothing twice.

    Parameters
    ----------
    instance
        Where events are kept, in whichever database.
    home
        The tables; figures and report lie beside them.
    specs
        The declarations of tables.
    dependencies
        What Dagster knows each asset to depend on.

    Yields
    ------
    Reindexed
        Each asset of which something was told.
    """
    for name in home.names():
        if told := list(_reindex_table(instance, home.table(name), specs.get(name), dependencies.get(name, set()))):
            yield Reindexed(name, told)
    for record in beside_tables(home.uri):
        made = record.provenance
        known = list(_known(instance, record.name))
        if known and known[0][1] == made.data_version:
            continue
        if record.kind == "figure":
            saved = load_figure(home, record.name)
            if saved is None:  # not what was saved: it is drawn anew by the next run
                continue
            metadata = figure_metadata(saved)
        else:
            metadata = report_metadata(home.uri, made)
        _report(instance, record.name, metadata, made, dependencies.get(record.name, set()))
        yield Reindexed(record.name, [None])


def _reindex_table(
    instance: dg.DagsterInstance, table: Table, spec: TableSpec | None, dependencies: set[str]
) -> Iterator[int]:
    name, history = table.name, table.history()
    made = {
        number: record
        for number, version in history.versions.items()
        if version.record and not version.rearranged and (record := history.provenance(number))
    }
    known = list(_known(instance, name))
    told = set(known)
    missing = [number for number, record in made.items() if (number, record.data_version) not in told]
    current = history.current.number
    # The last event is what Dagster takes for the present state.
    last = missing[-1] if missing else (known[0][0] if known else None)
    if current in made and last != current:
        missing.append(current)
    for number in missing:
        metadata = _version(table, spec, history.versions[number]) | lineage(made[number])
        _report(instance, name, metadata, made[number], dependencies)
        yield number


def _known(instance: dg.DagsterInstance, name: str) -> Iterator[tuple[int | None, str]]:
    """Yield the version and the data version that each event of an asset tells of, newest first."""
    cursor = None
    while True:
        page = instance.fetch_materializations(dg.AssetKey(name), limit=PAGE, cursor=cursor)
        for record in page.records:
            told = record.asset_materialization
            if told is not None:
                version = told.metadata.get("table_version")
                number = version.value if isinstance(version, dg.IntMetadataValue) else None
                yield number, (told.tags or {}).get(DATA_VERSION_TAG, "")
        if not page.has_more:
            return
        cursor = page.cursor


def _version(table: Table, spec: TableSpec | None, version: Version) -> dict[str, Any]:
    """Return what is known of a version from the table's log; its files may have been removed since."""
    files = table.named(version.number)
    sums = sum(file.rows for file in files), sum(file.size for file in files)
    return {
        **version_metadata(spec, table.uri, version.number, *sums, len(files)),
        "committed": dg.MetadataValue.timestamp(version.made),
        "reindexed": True,
    }


def _report(
    instance: dg.DagsterInstance, name: str, metadata: dict[str, Any], made: Provenance, dependencies: set[str]
) -> None:
    numbers = {"seconds": made.seconds, "driver_cpu_seconds": made.cpu_seconds}
    metadata |= {name: value for name, value in numbers.items() if value is not None}
    tags = version_tags(made, dependencies)
    instance.report_runless_asset_event(dg.AssetMaterialization(name, metadata=metadata, tags=tags))
