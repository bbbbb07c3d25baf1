"""The pass behind codon_counts: codons in the three forward reading frames, for one shard."""

from __future__ import annotations

import pyarrow as pa

from opengenome_assets.corpus.tables import CODON_COUNTS
from opengenome_assets.framework.shards import Shard, Writer, sequences
from opengenome_assets.kernels.codons import CodonCounter
from opengenome_assets.kernels.kmers import valid_windows


def count_codons(shard: Shard, writer: Writer) -> None:
    """Write one row for each frame."""
    counter = CodonCounter()
    windows = 0
    for text in sequences(shard):
        counter.add(*text)
        windows += int(valid_windows(*text)[2])
    counts = pa.array(list(counter.counts()), pa.list_(pa.int64()))
    columns = [[shard.name] * 3, [shard.source] * 3, [0, 1, 2], [windows] * 3, counts]
    writer.write(pa.table(columns, schema=CODON_COUNTS.schema))
