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
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.making import Making, emitted, module_of
from opengenome_assets.framework.shards import Output, Pass, ScanTask, Shard, part_key, run_scans, shard_name
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.storage.packs import PartIndex, written_together
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home


@dataclass(frozen=True)
class BySource:
    """A setting of a pass that each source has a value of its own for. Only shards of a changed source are read again.

    Attributes
    ----------
    name
        Its name in run configs and records, where it is a mapping from source to value.
    argument
        The pass's keyword argument that gets the value.
    config
        The run config.
    values
        Function from the home, the run config and the sources to the value of each source.
    """

    name: str
    argument: str
    config: type[dg.Config]
    values: Callable[[Home, Any, Sequence[str], Any], Mapping[str, Any]]


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
    by_source
        The setting that each source has its own value of, if there is one.
    beside
        Function from the home with the new tables that keeps what follows from them beside them, if it is missing.
    """

    label: str
    compute: partial[None] | Pass
    over: TableSpec
    outputs: tuple[TableSpec, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    facts: Callable[[Home], Mapping[str, Any]] = lambda _: {}
    by_source: BySource | None = None
    beside: Callable[[Home], None] = lambda _: None

    @property
    def module(self) -> str:
        """The module of the pass."""
        return module_of(self.compute)

    @property
    def code_version(self) -> str:
        """Code version of the pass."""
        (version,) = {output.code_version for output in self.outputs}
        return version

    def key(self, shard: Shard, own: Mapping[str, Any] | None = None) -> str:
        """Return the key of this pass's parts for a shard; ``own`` has the arguments of the shard's source."""
        settings = {**self.settings, **(own or {})}
        return part_key((output.name for output in self.outputs), self.code_version, settings, shard.name)

    def asset(self) -> dg.AssetsDefinition:
        """Return the asset that makes the tables. Selecting one of several makes all."""
        decorated = dg.multi_asset(
            pool=HOME_POOL,
            name=self.outputs[0].name,
            specs=[asset_spec(output, [self.over]) for output in self.outputs],
            can_subset=len(self.outputs) > 1,
        )
        if self.by_source is None:

            def scan(
                context: dg.AssetExecutionContext, home: dg.ResourceParam[Home], engine: dg.ResourceParam[Engine]
            ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
                for result in self.run(context, home, engine):
                    yield emitted(context, home, result)

            return decorated(scan)

        def scan_with_config(
            context: dg.AssetExecutionContext,
            config: self.by_source.config,  # type: ignore[name-defined]  # Dagster reads the class from here
            home: dg.ResourceParam[Home],
            engine: dg.ResourceParam[Engine],
        ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
            for result in self.run(context, home, engine, config):
                yield emitted(context, home, result)

        return decorated(scan_with_config)

    def run(
        self, context: dg.AssetExecutionContext, home: Home, engine: Engine, config: Any = None
    ) -> Iterator[dg.MaterializeResult[Any]]:
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
        values: Mapping[str, Any] = {}
        if self.by_source:
            values = self.by_source.values(home, config, sorted({shard.source for shard in shards}), context.log)
        own = {source: {self.by_source.argument: value} for source, value in values.items()} if self.by_source else {}
        keys = {shard.name: self.key(shard, own.get(shard.source)) for shard in shards}
        finished = [index.find_all(keys.values()) for index in indexes]
        parts = {name: _present(finished, key) for name, key in keys.items()}
        new = [shard for shard in shards if not parts[shard.name]]
        together = [
            [new[place] for place in places]
            for places in written_together([keys[shard.name] for shard in new], [shard.bases for shard in new])
        ]
        results = engine.map(
            run_scans,
            [
                [ScanTask(self._compute(own.get(shard.source)), shard, keys[shard.name], outputs) for shard in some]
                for some in together
            ],
            weights=[sum(shard.bases for shard in some) for some in together],
            label=self.label,
            unit="bases",
            log=context.log,
        )
        for some, made in zip(together, results, strict=True):
            parts.update(zip((shard.name for shard in some), made, strict=True))

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
                    settings={**self.settings, **({self.by_source.name: dict(values)} if self.by_source else {})},
                    inputs={self.over.name: upstream.input},
                    corpus=upstream.provenance.data_version,
                )
            )
            pieces = [part[position] for part in parts.values()]
            committed.append((output, home.table(output).commit(output.schema, pieces, provenance), provenance))
        context.log.info(f"{self.label}: {len(new):,} shards scanned, {len(shards) - len(new):,} reused")
        self.beside(home)
        facts = self.facts(home)
        for output, commit, provenance in committed:
            yield making.result(output, commit, provenance, {**facts, **counts})

    def _compute(self, own: Mapping[str, Any] | None) -> partial[None] | Pass:
        return partial(self.compute, **own) if own else self.compute


def list_shards(snapshot: Snapshot) -> list[Shard]:
    """Return the shards of a version of a table, sorted by name."""
    parts = PartIndex(snapshot.uri).find_all(snapshot.parts)
    shards = []
    for key, files in snapshot.parts.items():
        part = parts.get(key)
        if part is None:
            raise dg.Failure(
                f"{snapshot.name}: files of {snapshot.uri}/{key} are missing or were changed by hand, though the table "
                f"names them. Materialise {snapshot.name} again: only those files are made again",
                allow_retries=False,
            )
        for number, file in enumerate(files):
            shards.append(
                Shard(
                    name=shard_name(key, number),
                    uri=f"{snapshot.uri}/{file.path}",
                    source=part.facts["source"],
                    bases=part.facts["shard_bases"][number],
                    row_groups=file.row_groups,
                    content=file.content,
                )
            )
    return shards


def _present(tables: Sequence[Mapping[str, Part]], key: str) -> list[Part]:
    """Return the part of each table with that key; none unless all are there."""
    parts = [table[key] for table in tables if key in table]
    return parts if len(parts) == len(tables) else []
