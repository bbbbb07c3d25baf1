"""The pass behind query_hits: many queries against some parts of tfidf_index."""

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
class Asked:
    """Which hits are asked for; as `SearchIndex.similar` takes them."""

    top_n: int
    threshold: float
    source: str | None
    both_strands: bool


@dataclass(frozen=True)
class SearchTask:
    """Parts of a version of tfidf_index, by key, and how many sequences they hold."""

    home: str
    version: int
    parts: tuple[str, ...]
    sequences: int


@dataclass(frozen=True)
class Found:
    """What some parts hold.

    Attributes
    ----------
    hits
        The best of these parts for each query, with the query's number, from 1.
    sources
        The sources of their sequences.
    """

    hits: pa.Table
    sources: tuple[str, ...]


def search_parts(
    task: SearchTask,
    *,
    queries: Sequence[Query],
    before: int,
    idf: npt.NDArray[np.float64],
    asked: Asked,
) -> Found:
    """Search some parts of the index.

    Parameters
    ----------
    task
        The parts.
    queries, before
        Some of the queries, and how many there are before these.
    idf
        The weights of the whole index, shape (4096,), with which similarities are those of the whole.
    asked
        Which hits are asked for.
    """
    index = SearchIndex.open(task.home, version=task.version, threads=1, parts=task.parts, idf=idf)
    known = asked.source in (None, *index.sources)
    found = index.similar(queries, **vars(asked)) if known else [[] for _ in queries]
    numbers = np.repeat(np.arange(before + 1, before + 1 + len(queries)), [len(hits) for hits in found])
    hits = similar_rows(queries, found).add_column(0, NUMBER, pa.array(numbers))
    return Found(hits, index.sources)
