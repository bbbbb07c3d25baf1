"""The table of the search: hits of many queries.

Belongs here: its declaration. Does not belong here: how hits are found and written.
"""

from __future__ import annotations

import pyarrow as pa

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX, TFIDF_TERMS
from opengenome_assets.framework.table import Column, TableSpec

NUMBER = "query_number"

_WEIGHTS = (
    TFIDF_INDEX["codes"],
    TFIDF_INDEX["counts"],
    TFIDF_TERMS["document_frequency"],
    TFIDF_TERMS["sequences"],
)

_SEQUENCES = (SEQUENCE_SHARDS["sequence"],)

QUERY_HITS = TableSpec(
    name="query_hits",
    description="The most similar sequences of the corpus for each query in FASTA files, named by OPENGENOME_QUERIES "
    "or by the run config of the job search_queries. The hits are those of `opengenome search similar`, computed on "
    "Spark. Without queries the table is not made.",
    columns=(
        Column(
            "query_file",
            pa.string(),
            "Path of the query's FASTA file below what was named; in an archive, the member's below it",
        ),
        Column(
            NUMBER,
            pa.int64(),
            "The query's place among all records, from 1: by file, and by record in each",
        ),
        Column("query", pa.string(), "Name of the query: the first word of its header"),
        Column(
            "rank",
            pa.int64(),
            "1 for the query's first hit, in the order that was asked for",
            _WEIGHTS,
        ),
        Column("seq_id", pa.string(), "Identifier of the sequence found", (TFIDF_INDEX["seq_id"],)),
        Column("source", pa.string(), "Division of the corpus that it belongs to", (TFIDF_INDEX["source"],)),
        Column(
            "similarity",
            pa.float64(),
            "Cosine of the two TF-IDF vectors over 6-mers, in (0, 1], to 12 decimals: that of the more similar strand",
            _WEIGHTS,
        ),
        Column(
            "containment",
            pa.float64(),
            "Share of the query's distinct k-mers that the sequence holds, in [0, 1]; null if the query has no k-mer",
            _SEQUENCES,
        ),
        Column(
            "identity",
            pa.float64(),
            "Estimated identity of what it holds: containment ** (1 / k), to 6 decimals; null without a shared k-mer",
            _SEQUENCES,
        ),
        Column("k", pa.int64(), "Length of these k-mers: specific for the query's length, odd, 15 to 31"),
        Column("length", pa.int64(), "Its letters", (TFIDF_INDEX["length"],)),
        Column("description", pa.string(), "The rest of its header", (TFIDF_INDEX["description"],)),
        Column(
            "strand",
            pa.string(),
            "+, or - for the query's reverse complement: the strand of which the sequence holds more k-mers, else the "
            "more similar one",
            (*_SEQUENCES, *_WEIGHTS),
        ),
        Column("file", pa.string(), "Path of its FASTA file below the source that was named", (TFIDF_INDEX["file"],)),
    ),
    key=(NUMBER, "rank"),
    code_version="2",
    kinds=frozenset({"spark"}),
)

TABLES = (QUERY_HITS,)
