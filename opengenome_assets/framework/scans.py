"""Working through the shards: each one once, and only those not worked through before.

Belongs here: which shards there are, which parts are there already, sending the rest to Spark and committing the whole.
Does not belong here: what a pass computes (``tasks``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dagster as dg
import pyarrow as pa

from opengenome_assets.engine.spark import Spark
from opengenome_assets.framework.making import Making, table_result
from opengenome_assets.framework.shards import Output, Pass, ScanTask, Shard, run_scan
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Provenance, digest
from opengenome_assets.storage.tables import Tables

SHARDS = "sequence_shards"


@dataclass(frozen=True)
class Scan:
    """A pass over the shards and the tables that it makes.

    Attributes
    ----------
    label
        What is done, for logs and Spark's UI.
    compute
        The pass, importable by Spark's workers.
    outputs
        Schema of each table it makes; in the order of the pass's writers.
    code_version
        Raised whenever the pass would give other rows for the same shard.
    settings
        Settings that change the rows.
    """

    label: str
    compute: partial[None] | Pass
    outputs: Mapping[str, pa.Schema]
    code_version: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """The module of the pass."""
        return (self.compute.func if isinstance(self.compute, partial) else self.compute).__module__

    def key(self, shard: Shard) -> str:
        """Return the key of the parts that this pass makes of a shard."""
        return digest([sorted(self.outputs), self.code_version, self.settings, shard.name])


def list_shards(tables: Tables, version: int) -> list[Shard]:
    """Return the shards of a version of sequence_shards, sorted by name."""
    uri = tables.uri(SHARDS)
    index = PartIndex(uri)
    shards = []
    for key in dict.fromkeys(key for key, _ in tables.pieces(SHARDS, tables.open(SHARDS, version))):
        part = index.find(key)
        if part is None:
            raise dg.Failure(
                f"sequence_shards: files of {uri}/{key} are missing or were changed by hand, though the table names "
                "them. Materialise sequence_shards again: it parses just those files anew",
                allow_retries=False,
            )
        for number, file in enumerate(part.files):
            shards.append(
                Shard(
                    name=f"{key[:32]}/{number:05d}",
                    uri=f"{uri}/{file.path}",
                    source=part.facts["source"],
                    bases=part.facts["shard_bases"][number],
                    row_groups=file.row_groups,
                )
            )
    return shards


def scan_shards(
    context: dg.AssetExecutionContext, tables: Tables, spark: Spark, scan: Scan
) -> dict[str, dg.MaterializeResult[Any]]:
    """Run a pass over every shard that it has not been run over before, and commit its tables.

    Returns
    -------
    dict
        The result of each table's materialisation, by its name.

    Raises
    ------
    MissingTableError
        If sequence_shards has not been made.
    """
    making = Making(context, scan.module)
    upstream = tables.input(SHARDS)
    shards = list_shards(tables, upstream.version)
    outputs = tuple(Output(tables.uri(name), schema) for name, schema in scan.outputs.items())
    indexes = [PartIndex(output.uri) for output in outputs]
    parts = {shard.name: _present(indexes, scan.key(shard)) for shard in shards}
    new = [shard for shard in shards if not parts[shard.name]]
    made = spark.map(
        run_scan,
        [ScanTask(scan.compute, shard, scan.key(shard), outputs) for shard in new],
        weights=[shard.bases for shard in new],
        label=scan.label,
        unit="bases",
        log=context.log,
    )
    parts.update(zip((shard.name for shard in new), made, strict=True))

    facts = {
        "shards": len(shards),
        "shards_reused": len(shards) - len(new),
        "bases_scanned": sum(shard.bases for shard in new),
        "bases_reused": sum(shard.bases for shard in shards) - sum(shard.bases for shard in new),
    }
    results: dict[str, dg.MaterializeResult[Any]] = {}
    for position, (name, schema) in enumerate(scan.outputs.items()):
        provenance = making.recorded(
            Provenance(
                name=name,
                code_version=scan.code_version,
                settings=scan.settings,
                inputs={SHARDS: upstream},
                corpus=upstream.data_version,
            )
        )
        commit = tables.commit(name, schema, [part[position] for part in parts.values()], provenance)
        results[name] = table_result(commit, provenance, making, asset_key=name, **facts)
    context.log.info(f"{scan.label}: {len(new):,} shards scanned, {len(shards) - len(new):,} reused")
    return results


def _present(indexes: Sequence[PartIndex], key: str) -> list[Part]:
    """Return the part of each table with that key if all are there, else none."""
    parts = [part for index in indexes if (part := index.find(key))]
    return parts if len(parts) == len(indexes) else []
