"""Hits in rows: which columns they have wherever they are written, to a file or to a table.

Belongs here: the columns and what they hold. Does not belong here: finding hits, and the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import pyarrow as pa

from opengenome_assets.search.kmers import KmerHit
from opengenome_assets.search.queries import Query
from opengenome_assets.search.ranking import Hit
from opengenome_assets.storage.columns import SOURCE, column

_SEQ_ID = column("seq_id", pa.string(), "Identifier of the sequence found")
_LENGTH = column("length", pa.int64(), "Its letters")
_DESCRIPTION = column("description", pa.string(), "The rest of its header")
_FILE = column("file", pa.string(), "Path of its FASTA file below the source that was named")

SIMILAR_SCHEMA = pa.schema(
    [
        column("query", pa.string(), "Name of the query: the first word of its header"),
        column("rank", pa.int64(), "1 for the query's most similar sequence"),
        _SEQ_ID,
        SOURCE,
        column("similarity", pa.float64(), "Cosine of the two TF-IDF vectors over 6-mers, in (0, 1], to 12 decimals"),
        _LENGTH,
        _DESCRIPTION,
        column("strand", pa.string(), "+, or - if the query's reverse complement is more similar and was asked for"),
        _FILE,
    ]
)

KMER_SCHEMA = pa.schema(
    [
        column("rank", pa.int64(), "1 for the sequence with most occurrences"),
        _SEQ_ID,
        SOURCE,
        column("count", pa.int64(), "Occurrences on the strands searched, overlapping ones included"),
        column("reverse", pa.int64(), "How many of them are on the reverse strand"),
        _LENGTH,
        _DESCRIPTION,
        column(
            "occurrences",
            pa.list_(pa.struct([("start", pa.int64()), ("strand", pa.string())])),
            "The first of them, as many as were asked for: the leftmost letter on the strand as stored, from 0, and "
            "the strand that the k-mer is on",
        ),
        _FILE,
    ]
)


def similar_rows(queries: Sequence[Query], found: Sequence[Sequence[Hit]]) -> pa.Table:
    """Return the hits of some queries, in the order of the queries and their ranks."""
    rows = [{"query": query.name, **asdict(hit)} for query, hits in zip(queries, found, strict=True) for hit in hits]
    return pa.Table.from_pylist(rows, SIMILAR_SCHEMA)


def kmer_rows(hits: Iterable[KmerHit]) -> pa.Table:
    """Return the hits of a k-mer, in their order."""
    return pa.Table.from_pylist([{"rank": rank, **asdict(hit)} for rank, hit in enumerate(hits, 1)], KMER_SCHEMA)
