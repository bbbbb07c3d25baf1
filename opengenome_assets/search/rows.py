"""Hits in rows: their columns, the same in a file and in a table.

Belongs here: the columns and their content. Does not belong here: finding hits, and writing files.
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

# A table of many queries has two more columns before these: the file of each query, and its number.
SIMILAR_SCHEMA = pa.schema(list(QUERY_HITS.schema)[2:])

KMER_SCHEMA = pa.schema(
    [
        column("rank", pa.int64(), "1 for the sequence with most occurrences"),
        _SEQ_ID,
        _SOURCE,
        column("count", pa.int64(), "Occurrences on the strands searched, overlapping ones included"),
        column("reverse", pa.int64(), "Occurrences on the reverse strand"),
        _LENGTH,
        _DESCRIPTION,
        column(
            "occurrences",
            pa.list_(pa.struct([("start", pa.int64()), ("strand", pa.string())])),
            "The first of them, up to the number requested: the leftmost letter on the strand as stored, from 0, and "
            "the strand of the k-mer",
        ),
        _FILE,
    ]
)


def similar_rows(queries: Sequence[Query], found: Sequence[Sequence[Hit]]) -> pa.Table:
    """Return the hits of the queries, in the order of the queries and their ranks."""
    rows = [{"query": query.name, **asdict(hit)} for query, hits in zip(queries, found, strict=True) for hit in hits]
    return pa.Table.from_pylist(rows, SIMILAR_SCHEMA)


def kmer_rows(hits: Iterable[KmerHit]) -> pa.Table:
    """Return the hits of a k-mer, in their order."""
    return pa.Table.from_pylist([{"rank": rank, **asdict(hit)} for rank, hit in enumerate(hits, 1)], KMER_SCHEMA)
