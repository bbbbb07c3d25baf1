"""The group's table."""

import pyarrow as pa

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS
from opengenome_assets.framework.table import Column, TableSpec

GC_SKEW = TableSpec(
    name="gc_skew",
    description="G and C of each shard, and their skew (G - C) / (G + C).",
    columns=(
        Column("shard", pa.string(), "The shard", (SEQUENCE_SHARDS["file"],)),
        Column("source", pa.string(), "Its source", (SEQUENCE_SHARDS["source"],)),
        Column("g", pa.int64(), "Letters G", (SEQUENCE_SHARDS["sequence"],)),
        Column("c", pa.int64(), "Letters C", (SEQUENCE_SHARDS["sequence"],)),
        Column("skew", pa.float64(), "(G - C) / (G + C), in [-1, 1]", (SEQUENCE_SHARDS["sequence"],)),
    ),
    key=("shard",),
)
