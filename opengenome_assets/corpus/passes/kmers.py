"""The pass behind kmer_: exact counts of every k, for one shard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from opengenome_assets.corpus.tables import KMERS
from opengenome_assets.framework.shards import Shard, Writer, sequences
from opengenome_assets.kernels.kmers import MAX_K, KmerCounter, valid_windows


def count_kmers(shard: Shard, writer: Writer, *, ks: Sequence[int]) -> None:
    """Write one row for each k."""
    counter = KmerCounter(ks)
    windows = np.zeros(MAX_K, np.int64)
    for text in sequences(shard):
        counter.add(*text)
        windows += valid_windows(*text)
    for k, counts in counter.counts().items():
        row = [[shard.name], [shard.source], [k], [windows[k - 1]], pa.array([counts], pa.list_(pa.int64()))]
        writer.write(pa.table(row, schema=KMERS.schema))
