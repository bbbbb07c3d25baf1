"""The pass behind kmer_: exact counts of every k, for one shard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from opengenome_assets.framework.shards import Shard, sequences
from opengenome_assets.kernels.kmers import KmerCounter, valid_windows
from opengenome_assets.settings import MAX_K
from opengenome_assets.storage.columns import SHARD, SOURCE, column
from opengenome_assets.storage.parts import PartWriter

SCHEMA = pa.schema(
    [
        SHARD,
        SOURCE,
        column("k", pa.int32(), "Length of the k-mers counted in this row"),
        column(
            "windows",
            pa.int64(),
            "Windows of k letters all in A, C, G, T, worked out from the lengths of the runs of such letters alone: "
            "what the counts must add up to",
        ),
        column(
            "counts",
            pa.list_(pa.int64()),
            "Occurrences of each of the 4^k k-mers, in alphabetical order; windows with other letters than A, C, G, T "
            "are not counted, and the strand is as given",
        ),
    ]
)


def count_kmers(shard: Shard, writer: PartWriter, *, ks: Sequence[int]) -> None:
    """Write one row for each k."""
    counter = KmerCounter(ks)
    windows = np.zeros(MAX_K, np.int64)
    for text in sequences(shard):
        counter.add(*text)
        windows += valid_windows(*text)
    for k, counts in counter.counts().items():
        row = [[shard.name], [shard.source], [k], [windows[k - 1]], pa.array([counts], pa.list_(pa.int64()))]
        writer.write(pa.table(row, schema=SCHEMA))
