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
from opengenome_assets.search.tables import QUERY_HITS
from opengenome_assets.storage.columns import column

_SEQ_ID, _SOURCE, _LENGTH, _DESCRIPTION, _FILE = (
    QUERY_HITS.schema.field(name) for name in ("seq_id", "source", "length", "description", "file")
)

# Beside the columns of a table of many queries: from which file each query is, and its place there.
SIMILAR_SCHEMA = pa.schema(list(QUERY_HITS.schema)[2:])

KMER_SCHEMA = pa.schema(
    [
        column("rank", pa.int64(), "1 for the sequence with most occurrences"),
        _SEQ_ID,
        _SOURCE,
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
