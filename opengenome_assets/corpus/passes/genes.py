"""The pass behind genes and gene_codons: the genes of each sequence, and their codons, for one shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from opengenome_assets.corpus.tables import GENE_CODONS, GENES
from opengenome_assets.framework.shards import Shard, read_shard
from opengenome_assets.kernels.bases import Letters, arrow_text
from opengenome_assets.kernels.frames import codes_of_stops, long_frames
from opengenome_assets.kernels.genes import ORF, Genes, find_genes
from opengenome_assets.storage.parts import PartWriter

EXAMINED = 1_000_000
"""Letters of a shard, from its beginning, whose long frames are measured for every set of stop codons."""


def call_genes(shard: Shard, genes: PartWriter, codons: PartWriter, *, genetic_code: int) -> None:
    """Write one row for each gene, and the shard's one row of codon counts."""
    counts = np.zeros(64, np.int64)
    number = open_frames = examined = 0
    stop_sets = list(codes_of_stops())
    frames, reverse_frames = np.zeros(len(stop_sets), np.int64), np.zeros(len(stop_sets), np.int64)
    for rows in read_shard(shard, ["source", "file", "seq_id", "sequence"]):
        rows = rows.combine_chunks()
        found = []
        for sequence in _sequences(rows):
            called = find_genes(sequence, genetic_code)
            counts += called.codons
            number += len(called)
            open_frames += len(called) * (called.method == ORF)
            found.append(called)
            if head := min(len(sequence), EXAMINED - examined):
                text = sequence[:head]
                backwards = np.ascontiguousarray(text[::-1])
                frames += [long_frames(text, stops) for stops in stop_sets]
                reverse_frames += [long_frames(backwards, stops) for stops in stop_sets]
                examined += head
        genes.write(_rows(rows, found) if found else GENES.schema.empty_table())
    summary = {
        "shard": shard.name,
        "source": shard.source,
        "genetic_code": genetic_code,
        "genes": number,
        "open_frames": open_frames,
        "counts": counts,
        "examined": examined,
        "stop_codons": [" ".join(stops) for stops in stop_sets],
        "long_frames": frames,
        "backward_frames": reverse_frames,
    }
    codons.write(pa.Table.from_pylist([summary], schema=GENE_CODONS.schema))


def _sequences(rows: pa.Table) -> Iterator[Letters]:
    data, offsets = arrow_text(rows.column("sequence").chunk(0))
    for begin, end in pairwise(offsets):
        yield data[begin:end]


def _rows(sequences: pa.Table, genes: Sequence[Genes]) -> pa.Table:
    """Return the rows of all genes of some sequences: in one piece, since each would have pages of its own."""
    places = pa.array(np.repeat(np.arange(len(genes)), [len(each) for each in genes]))
    columns = [
        *(sequences[name].chunk(0).take(places) for name in ("source", "file", "seq_id")),
        *(
            np.concatenate([getattr(each, name) for each in genes])
            for name in ("begin", "end", "strand", "partial_5", "partial_3")
        ),
        pa.concat_arrays([each.start_codons for each in genes]),
        pa.array([each.method for each in genes]).take(places),
        pa.array([each.genetic_code for each in genes], pa.int32()).take(places),
        pa.concat_arrays([each.proteins for each in genes]),
    ]
    return pa.table(columns, schema=GENES.schema)
