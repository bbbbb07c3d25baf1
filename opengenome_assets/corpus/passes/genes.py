"""The pass behind genes and gene_codons: the genes of each sequence, and their codons, for one shard."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.corpus.tables import GENE_CODONS, GENES
from opengenome_assets.framework.shards import Shard, Writer, read_shard
from opengenome_assets.kernels.bases import Letters, Offsets, arrow_text
from opengenome_assets.kernels.frames import codes_of_stops, long_frames
from opengenome_assets.kernels.genes import ORF, GenePlaces, place_genes
from opengenome_assets.kernels.translation import translate

EXAMINED = 1_000_000
"""Letters of a shard, from its beginning, whose long frames are measured for every set of stop codons."""


def call_genes(shard: Shard, genes: Writer, codons: Writer, *, genetic_code: int) -> None:
    """Write one row for each gene, and the shard's one row of codon counts."""
    counts = np.zeros(64, np.int64)
    number = open_frames = examined = 0
    stop_sets = list(codes_of_stops())
    frames, reverse_frames = np.zeros(len(stop_sets), np.int64), np.zeros(len(stop_sets), np.int64)
    for rows in read_shard(shard, ["source", "file", "seq_id", "sequence"]):
        rows = rows.combine_chunks()
        data, offsets = arrow_text(rows.column("sequence").chunk(0))
        places = place_genes(data, offsets, genetic_code)
        table, own = _rows(rows, data, offsets, places, genetic_code)
        genes.write(table)
        counts += own
        number += table.num_rows
        open_frames += pc.sum(pc.equal(table["method"], ORF)).as_py() or 0
        for begin, end in pairwise(offsets):
            head = min(end - begin, EXAMINED - examined)
            text = data[begin : begin + head]
            backwards = np.ascontiguousarray(text[::-1])
            frames += [long_frames(text, stops) for stops in stop_sets]
            reverse_frames += [long_frames(backwards, stops) for stops in stop_sets]
            examined += head
            if examined == EXAMINED:
                break
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


def _rows(
    sequences: pa.Table, letters: Letters, offsets: Offsets, places: GenePlaces, genetic_code: int
) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Return the rows of all genes of some sequences in one piece, and their codons.

    Each sequence's own would have pages of its own. Genes are translated on the letters of all sequences at once.
    """
    first = np.asarray(offsets, np.int64)[places.sequence]
    proteins, start_codons, codons = translate(
        letters, genetic_code, places.begin + first, places.end + first, *places[3:6]
    )
    numbers = pa.array(places.sequence)
    columns = [
        *(sequences[name].chunk(0).take(numbers) for name in ("source", "file", "seq_id")),
        *places[1:6],
        start_codons,
        pa.array(places.methods, pa.string()).take(numbers),
        pa.repeat(pa.scalar(genetic_code, pa.int32()), len(first)),
        proteins,
    ]
    return pa.table(columns, schema=GENES.schema), codons
