"""Summaries: tables made in one piece, in the step's own process, from other tables.

Belongs here: pinning the tables read, writing the rows with their record, and Dagster's metadata. Does not belong here:
tables made part by part (``scans.py``), and the rows of any table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pyarrow as pa

from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.making import Making
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.storage.record import Provenance, common_corpus
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home, Named


@dataclass(frozen=True)
class Step:
    """The inputs of a summary or a figure.

    Attributes
    ----------
    home
        The home.
    snapshots
        The tables read, by name, pinned at the version that the record names.
    config
        The run config, if the asset has one.
    log
        The run's log.
    """

    home: Home
    snapshots: Mapping[str, Snapshot]
    config: Any = None
    log: Any = None

    def __getitem__(self, table: Named) -> Snapshot:
        """Return a table that the step reads."""
        return self.snapshots[table.name]

    def provenance(self, name: str, code_version: str, settings: Mapping[str, Any]) -> Provenance:
        """Return the record of name, code version, settings and inputs."""
        records = {table: snapshot.provenance for table, snapshot in self.snapshots.items()}
        return Provenance(
            name=name,
            code_version=code_version,
            settings=dict(settings),
            inputs={table: snapshot.input for table, snapshot in self.snapshots.items()},
            corpus=common_corpus(records),
        )


def pinned(home: Home, reads: Sequence[Named]) -> dict[str, Snapshot]:
    """Open the newest version of each table."""
    return {each.name: home.table(each).at() for each in reads}


@dataclass(frozen=True)
class Rows:
    """The result of a summary.

    Attributes
    ----------
    table
        The rows, with the declared schema.
    settings
        Settings that decided the rows, for the record.
    metadata
        Further facts for Dagster's UI.
    """

    table: pa.Table
    settings: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


def summary(
    spec: TableSpec, reads: Sequence[TableSpec], config: type[dg.Config] | None = None
) -> Callable[[Callable[[Step], Rows]], dg.AssetsDefinition]:
    """Return a decorator that makes an asset of a function from a `Step` to `Rows`.

    Parameters
    ----------
    spec
        The table.
    reads
        The tables that the function reads, by ``step[TABLE]``.
    config
        The asset's run config, which the function gets as ``step.config``.
    """

    def decorate(function: Callable[[Step], Rows]) -> dg.AssetsDefinition:
        def make(context: dg.AssetExecutionContext, home: Home, configured: Any) -> dg.MaterializeResult[Any]:
            making = Making(context, function.__module__)
            step = Step(home, pinned(home, reads), configured, context.log)
            rows = function(step)
            provenance = making.recorded(step.provenance(spec.name, spec.code_version, rows.settings))
            commit = home.table(spec).write(rows.table.cast(spec.schema), provenance)
            return making.result(spec, commit, provenance, rows.metadata)

        decorated = dg.multi_asset(pool=HOME_POOL, name=spec.name, specs=[asset_spec(spec, reads)])
        if config is None:

            def asset(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult[Any]:
                return make(context, home, None)

            return decorated(asset)

        def asset_with_config(
            context: dg.AssetExecutionContext,
            config: config,  # type: ignore[valid-type]  # Dagster reads the class from here
            home: dg.ResourceParam[Home],
        ) -> dg.MaterializeResult[Any]:
            return make(context, home, config)

        return decorated(asset_with_config)

    return decorate
