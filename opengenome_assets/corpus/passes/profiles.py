"""The pass behind tfidf_index and tfidf_terms: 6-mer counts of each sequence, and document frequencies of one shard."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from opengenome_assets.corpus.tables import TFIDF_TERMS
from opengenome_assets.framework.shards import Shard, Writer, read_shard
from opengenome_assets.kernels.bases import arrow_text
from opengenome_assets.kernels.profiles import document_frequency, row_sums, sequence_kmers


def profile_sequences(shard: Shard, index: Writer, terms: Writer) -> None:
    """Write one row per sequence to the index, and the shard's one row of document frequencies."""
    frequency = np.zeros(4096, np.int64)
    total = 0
    for rows in read_shard(shard, ["source", "file", "seq_id", "description", "length", "sequence"]):
        rows = rows.combine_chunks()
        kmers = sequence_kmers(*arrow_text(rows.column("sequence").chunk(0)))
        for place in np.flatnonzero(row_sums(kmers.counts, kmers.row_offsets) != kmers.windows):
            raise ArithmeticError(
                f"{rows['file'][place]}, {rows['seq_id'][place]}: the counts of its 6-mers do not add up to its "
                f"{kmers.windows[place]:,} windows, which follow from its runs of A, C, G and T. A retry does not "
                "help: report it, with the sequence"
            )
        frequency += document_frequency(kmers)
        total += rows.num_rows
        offsets = pa.array(kmers.row_offsets.astype(np.int32))
        index.write(
            rows.drop_columns(["sequence"])
            .append_column("kmers", pa.array(kmers.windows))
            .append_column("codes", pa.ListArray.from_arrays(offsets, pa.array(kmers.codes)))
            .append_column("counts", pa.ListArray.from_arrays(offsets, pa.array(kmers.counts)))
        )
    terms.write(
        pa.table(
            [[shard.name], [shard.source], [total], pa.array([frequency], pa.list_(pa.int64()))],
            schema=TFIDF_TERMS.schema,
        )
    )
