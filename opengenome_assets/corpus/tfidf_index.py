"""tfidf_index and tfidf_terms: the tables that similarity search reads.

Belongs here: every sequence's 6-mer counts, the document frequency of each 6-mer, and the rule of the index. Does not
belong here: searching, and the formula of TF-IDF (``kernels/tfidf.py``). Neither table holds a weight that depends on
the whole corpus, so a new file adds rows and changes none.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from opengenome_assets.corpus.passes.mapping import map_index
from opengenome_assets.corpus.passes.profiles import profile_sequences
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX, TFIDF_TERMS
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.scans import Scan
from opengenome_assets.kernels.profiles import SequenceKmers, row_sums
from opengenome_assets.kernels.tfidf import inverse_document_frequency, tfidf, total_frequency
from opengenome_assets.storage.tables import Home

VECTORS = 10


def weights(home: Home) -> dict[str, Any]:
    """Return facts for the UI about the weights, which follow from the terms."""
    frequency, sequences = total_frequency(home.table(TFIDF_TERMS).read())
    idf = inverse_document_frequency(frequency, sequences)
    return {
        "sequences": sequences,
        "terms_seen": int(np.count_nonzero(frequency)),
        "idf_range": f"{idf.min():.4f} to {idf.max():.4f}",
    }


tfidf_index = Scan(
    "indexing sequences",
    profile_sequences,
    SEQUENCE_SHARDS,
    (TFIDF_INDEX, TFIDF_TERMS),
    facts=weights,
    beside=map_index,
).asset()


def define(_: CorpusSettings) -> list[Member]:
    """Return the two tables and their rule."""
    return [tfidf_index, norms]


@rule(
    TFIDF_INDEX,
    "Sequences with a valid window have a TF-IDF vector of norm 1, and their counts add up to their windows. Checked "
    f"for {VECTORS} of them, evenly spread, since reading all in every run would cost as much as making them. The "
    "counts of every sequence are added up when they are made",
)
def norms(home: Home) -> Iterator[str]:
    """Make TF-IDF vectors of sequences evenly spread over the index, and compute their norms."""
    idf = inverse_document_frequency(*total_frequency(home.table(TFIDF_TERMS).read()))
    rows = home.table(TFIDF_INDEX).at().spread(["file", "seq_id", "kmers", "codes", "counts"], VECTORS)
    vectors = sequence_kmers_of(rows)
    weights = tfidf(vectors, idf)
    norm = np.sqrt(row_sums(weights**2, vectors.row_offsets))
    total = row_sums(vectors.counts, vectors.row_offsets)
    wrong = (np.abs(norm - (vectors.windows > 0)) > 1e-6) | (total != vectors.windows)
    for place in np.flatnonzero(wrong):
        name = f"{rows['file'][place]} {rows['seq_id'][place]}"
        yield f"{name}: norm {norm[place]}, {total[place]:,} windows counted"


def sequence_kmers_of(index: pa.Table) -> SequenceKmers:
    """Return rows of tfidf_index in the form of the kernels."""
    codes, counts = (index[name].combine_chunks() for name in ("codes", "counts"))
    return SequenceKmers(
        row_offsets=codes.offsets.to_numpy().astype(np.int64) - codes.offsets[0].as_py(),
        codes=codes.flatten().to_numpy(),
        counts=counts.flatten().to_numpy(),
        windows=index["kmers"].to_numpy(),
    )
