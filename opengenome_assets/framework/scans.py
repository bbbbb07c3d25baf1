"""Scans: a pass over each shard of a table, idempotent since finished parts are found again.

Belongs here: listing the shards, finding their finished parts, mapping the pass over the rest with the engine, and the
commit. Does not belong here: the computation of a pass (``passes`` of each group), and code in a worker
(``shards.py``).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dagster as dg

from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import asset_spec
from opengenome_assets.framework.making import Making, emitted, module_of
from opengenome_assets.framework.shards import Output, Pass, ScanTask, Shard, part_key, run_scan, shard_name
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home


@dataclass(frozen=True)
class Scan:
    """A pass over the shards of a table, and the tables that it makes.

    Attributes
    ----------
    label
        Name of the pass, for logs and the engine's UI.
    compute
        The pass, importable by workers.
    over
        The table of the shards. The facts of its parts give their source and their shards' bases.
    outputs
        The tables it makes, all with one code version, in the order of the pass's writers.
    settings
        Settings that change the rows.
    facts
        Function from the home with the new tables to further metadata for Dagster.
    """

    label: str
    compute: partial[None] | Pass
    over: TableSpec
    outputs: tuple[TableSpec, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    facts: Callable[[Home], Mapping[str, Any]] = lambda _: {}

    @property
    def module(self) -> str:
        """The module of the pass."""
        return module_of(self.compute)

    @property
    def code_version(self) -> str:
        """Code version of the pass."""
        (version,) = {output.code_version for output in self.outputs}
        return version

    def key(self, shard: Shard) -> str:
        """Return the key of this pass's parts for a shard."""
        return part_key((output.name for output in self.outputs), self.code_version, self.settings, shard.name)

    def asset(self) -> dg.AssetsDefinition:
        """Return the asset that makes the tables. Selecting one of several makes all."""

        @dg.multi_asset(
            name=self.outputs[0].name,
            specs=[asset_spec(output, [self.over]) for output in self.outputs],
            can_subset=len(self.outputs) > 1,
        )
        def scan(
            context: dg.AssetExecutionContext, home: dg.ResourceParam[Home], engine: dg.ResourceParam[Engine]
        ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
            for result in self.run(context, home, engine):
                yield emitted(context, home, result)

        return scan

    def run(self, context: dg.AssetExecutionContext, home: Home, engine: Engine) -> Iterator[dg.MaterializeResult[Any]]:
        """Run the pass over every shard without finished parts, and commit the tables.

        Yields
        ------
        dagster.MaterializeResult
            The result of each table.

        Raises
        ------
        MissingTableError
            If the table of shards does not exist.
        """
        making = Making(context, self.module)
        upstream = home.table(self.over).at()
        shards = list_shards(upstream)
        outputs = tuple(Output(home.table(output).uri, output.schema) for output in self.outputs)
        indexes = [PartIndex(output.uri) for output in outputs]
        parts = {shard.name: _present(indexes, self.key(shard)) for shard in shards}
        new = [shard for shard in shards if not parts[shard.name]]
        results = engine.map(
            run_scan,
            [ScanTask(self.compute, shard, self.key(shard), outputs) for shard in new],
            weights=[shard.bases for shard in new],
            label=self.label,
            unit="bases",
            log=context.log,
        )
        parts.update(zip((shard.name for shard in new), results, strict=True))

        counts = {
            "shards": len(shards),
            "shards_reused": len(shards) - len(new),
            "bases_scanned": sum(shard.bases for shard in new),
            "bases_reused": sum(shard.bases for shard in shards) - sum(shard.bases for shard in new),
        }
        committed = []
        for position, output in enumerate(self.outputs):
            provenance = making.recorded(
                Provenance(
                    name=output.name,
                    code_version=self.code_version,
                    settings=self.settings,
                    inputs={self.over.name: upstream.input},
                    corpus=upstream.provenance.data_version,
                )
            )
            pieces = [part[position] for part in parts.values()]
            committed.append((output, home.table(output).commit(output.schema, pieces, provenance), provenance))
        context.log.info(f"{self.label}: {len(new):,} shards scanned, {len(shards) - len(new):,} reused")
        facts = self.facts(home)
        for output, commit, provenance in committed:
            yield making.result(output, commit, provenance, {**facts, **counts})


def list_shards(snapshot: Snapshot) -> list[Shard]:
    """Return the shards of a version of a table, sorted by name."""
    index = PartIndex(snapshot.uri)
    shards = []
    for key in snapshot.parts:
        part = index.find(key)
        if part is None:
            raise dg.Failure(
                f"{snapshot.name}: files of {snapshot.uri}/{key} are missing or were changed by hand, though the table "
                f"names them. Materialise {snapshot.name} again: only those files are made again",
                allow_retries=False,
            )
        for number, file in enumerate(part.files):
            shards.append(
                Shard(
                    name=shard_name(key, number),
                    uri=f"{snapshot.uri}/{file.path}",
                    source=part.facts["source"],
                    bases=part.facts["shard_bases"][number],
                    row_groups=file.row_groups,
                )
            )
    return shards


def _present(indexes: Sequence[PartIndex], key: str) -> list[Part]:
    """Return the part of each table with that key; none unless all are there."""
    parts = [part for index in indexes if (part := index.find(key))]
    return parts if len(parts) == len(indexes) else []
