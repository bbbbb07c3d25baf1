"""The pass behind codon_counts: codons in the three forward reading frames, for one shard."""

from __future__ import annotations

import pyarrow as pa

from opengenome_assets.framework.shards import Shard, sequences
from opengenome_assets.kernels.codons import CodonCounter
from opengenome_assets.kernels.kmers import valid_windows
from opengenome_assets.storage.columns import SHARD, SOURCE, column
from opengenome_assets.storage.parts import PartWriter

SCHEMA = pa.schema(
    [
        SHARD,
        SOURCE,
        column("frame", pa.int32(), "Reading frame: position of the first codon's first letter, 0, 1 or 2"),
        column(
            "windows",
            pa.int64(),
            "Windows of 3 letters all in A, C, G, T in the shard, worked out from the lengths of the runs of such "
            "letters alone: what the counts of the three frames together must add up to",
        ),
        column(
            "counts",
            pa.list_(pa.int64()),
            "Occurrences of each of the 64 codons, in alphabetical order; codons with other letters than A, C, G, T "
            "are not counted and leave the frame as it is",
        ),
    ]
)


def count_codons(shard: Shard, writer: PartWriter) -> None:
    """Write one row for each frame."""
    counter = CodonCounter()
    windows = 0
    for text in sequences(shard):
        counter.add(*text)
        windows += int(valid_windows(*text)[2])
    counts = pa.array(list(counter.counts()), pa.list_(pa.int64()))
    columns = [[shard.name] * 3, [shard.source] * 3, [0, 1, 2], [windows] * 3, counts]
    writer.write(pa.table(columns, schema=SCHEMA))
