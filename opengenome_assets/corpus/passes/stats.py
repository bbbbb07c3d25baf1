"""The pass behind shard_stats: counts that can be added up to describe any set of shards."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from opengenome_assets.corpus.tables import GC_BINS, SHARD_STATS
from opengenome_assets.framework.shards import Shard, Writer, sequences
from opengenome_assets.kernels.composition import composition


def gc_bin(gc_content: np.ndarray) -> np.ndarray:
    """Return the bin of each GC content in [0, 1]; 100 % falls into the last."""
    return np.minimum((gc_content * GC_BINS).astype(np.int64), GC_BINS - 1)


def summarise_shard(shard: Shard, writer: Writer) -> None:
    """Write the one row of the shard."""
    lengths = [np.zeros(0, np.int64)]
    histogram = np.zeros(GC_BINS, np.int64)
    acgt_bases = gc_bases = ambiguous = 0
    for data, offsets in sequences(shard):
        length = np.diff(offsets).astype(np.int64)
        acgt, gc = composition(data, offsets)
        known = acgt > 0
        lengths.append(length)
        acgt_bases += int(acgt.sum())
        gc_bases += int(gc.sum())
        ambiguous += int((acgt < length).sum())
        histogram += np.bincount(gc_bin(gc[known] / acgt[known]), minlength=GC_BINS)
    distinct, counts = np.unique(np.concatenate(lengths), return_counts=True)
    row = {
        "shard": shard.name,
        "source": shard.source,
        "sequences": int(counts.sum()),
        "bases": int((distinct * counts).sum()),
        "acgt_bases": acgt_bases,
        "gc_bases": gc_bases,
        "ambiguous_sequences": ambiguous,
        "lengths": distinct,
        "length_counts": counts,
        "gc_histogram": histogram,
    }
    writer.write(pa.Table.from_pylist([row], schema=SHARD_STATS.schema))
