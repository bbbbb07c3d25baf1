"""The passes behind query_hits: many queries against some parts of tfidf_index, then against the sequences of hits.

Belongs here: the workers' code. Does not belong here: dealing out the parts, and merging their hits
(``query_hits.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opengenome_assets.corpus.tables import TFIDF_INDEX
from opengenome_assets.search.containment import IndexedSequences, Pair, contain
from opengenome_assets.search.index import SearchIndex
from opengenome_assets.search.options import Sort, Strand, candidates_of
from opengenome_assets.search.queries import Query
from opengenome_assets.search.rows import similar_rows
from opengenome_assets.search.tables import NUMBER, QUERY_HITS
from opengenome_assets.storage.tables import Home

# Place of a hit in the index, for the workers that read its sequence.
PART, ROW = "part", "row"

# Columns of the workers' hits: workers know the numbers of queries, not their files.
COMPARED = pa.schema([*list(QUERY_HITS.schema)[1:], (PART, pa.string()), (ROW, pa.int64())])

# Columns that are known once the hits' sequences are read.
HELD = pa.schema([QUERY_HITS.schema.field(name) for name in ("containment", "identity", "k", "strand")])


@dataclass(frozen=True)
class HitOptions:
    """Options of a search, with the meaning of the arguments of `SearchIndex.similar`."""

    top_n: int
    threshold: float
    source: str | None
    strand: Strand
    sort: Sort


@dataclass(frozen=True)
class SearchTask:
    """Parts of a version of tfidf_index, by key, and their number of sequences."""

    home: str
    version: int
    parts: tuple[str, ...]
    sequences: int


@dataclass(frozen=True)
class PartHits:
    """Hits in some parts of the index.

    Attributes
    ----------
    hits
        The most similar sequences in these parts for each query, with the query's number, from 1, and the part and row
        of each.
    sources
        The sources of the parts' sequences.
    """

    hits: pa.Table
    sources: tuple[str, ...]


def search_parts(
    task: SearchTask,
    *,
    queries: Sequence[Query],
    before: int,
    idf: npt.NDArray[np.float64],
    options: HitOptions,
) -> PartHits:
    """Search some parts of the index.

    Parameters
    ----------
    task
        The parts.
    queries, before
        Some of the queries, and the number of queries before these.
    idf
        Inverse document frequency over the whole index, float64, shape (4096,), so that similarities are those of the
        whole.
    options
        Options of the search.
    """
    index = SearchIndex.open(task.home, version=task.version, threads=1, parts=task.parts, idf=idf)
    known = options.source in (None, *index.sources)
    by_query = (
        index.by_cosine(
            queries,
            top_n=candidates_of(options.top_n, options.sort),
            threshold=options.threshold,
            source=options.source,
            strand=options.strand,
        )
        if known
        else [[] for _ in queries]
    )
    numbers = np.repeat(np.arange(before + 1, before + 1 + len(queries)), [len(hits) for hits in by_query])
    hits = similar_rows(queries, [[found.hit for found in some] for some in by_query])
    columns = {
        NUMBER: pa.array(numbers, pa.int64()),
        **dict(zip(hits.column_names, hits.columns, strict=True)),
        PART: pa.array([found.part for some in by_query for found in some], pa.string()),
        ROW: pa.array([found.row for some in by_query for found in some], pa.int64()),
    }
    return PartHits(pa.table(columns, schema=COMPARED), index.sources)


@dataclass(frozen=True)
class ContainmentTask:
    """Hits in some parts of a version of tfidf_index: their queries, by number, with the part and row of each."""

    home: str
    version: int
    hits: pa.Table
    bases: int


def contain_hits(task: ContainmentTask, *, queries: Sequence[Query], before: int, strand: Strand) -> pa.Table:
    """Compare hits with their queries, and return containment, identity, k and strand of each, in their order.

    Parameters
    ----------
    task
        The hits.
    queries, before
        As in `search_parts`.
    strand
        ``both`` or ``given``.
    """
    home = Home(task.home)
    sequences = IndexedSequences(home, home.table(TFIDF_INDEX).at(task.version).provenance)
    hits = task.hits.to_pydict()
    pairs = [
        Pair(number - before - 1, part, row)
        for number, part, row in zip(hits[NUMBER], hits[PART], hits[ROW], strict=True)
    ]
    found = contain(queries, pairs, sequences, strand=strand)
    held = [
        {**vars(each), "strand": each.strand or similar} for each, similar in zip(found, hits["strand"], strict=True)
    ]
    return pa.Table.from_pylist(held, HELD)
