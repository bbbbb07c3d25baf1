"""The pass behind query_hits: many queries against some parts of tfidf_index.

Belongs here: the workers' code. Does not belong here: dealing out the parts, and merging their hits
(``query_hits.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opengenome_assets.search.index import SearchIndex
from opengenome_assets.search.queries import Query
from opengenome_assets.search.rows import similar_rows
from opengenome_assets.search.tables import NUMBER


@dataclass(frozen=True)
class HitOptions:
    """Options of a search, with the meaning of the arguments of `SearchIndex.similar`."""

    top_n: int
    threshold: float
    source: str | None
    both_strands: bool


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
        The best hits in these parts for each query, with the query's number, from 1.
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
    by_query = index.similar(queries, **vars(options)) if known else [[] for _ in queries]
    numbers = np.repeat(np.arange(before + 1, before + 1 + len(queries)), [len(hits) for hits in by_query])
    hits = similar_rows(queries, by_query).add_column(0, NUMBER, pa.array(numbers))
    return PartHits(hits, index.sources)
