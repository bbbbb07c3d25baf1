"""The pass behind query_hits: many queries against some parts of tfidf_index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    from opengenome_assets.search.queries import Query

NUMBER = "query_number"

# Queries that are weighed at once: 100 KiB or so each.
_BLOCK = 256


@dataclass(frozen=True)
class SearchSettings:
    """Which hits are asked for; as `SearchIndex.similar` takes them."""

    top_n: int
    threshold: float
    source: str | None
    both_strands: bool


@dataclass(frozen=True)
class SearchTask:
    """Parts of a version of tfidf_index, by key."""

    home: str
    version: int
    parts: tuple[str, ...]


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
    task: SearchTask, *, queries: Sequence[Query], idf: npt.NDArray[np.float64], settings: SearchSettings
) -> Found:
    """Search some parts of the index with the weights of the whole, so that similarities are those of the whole."""
    # It imports Dagster, for which no other pass's workers shall wait.
    from opengenome_assets.search.index import SearchIndex
    from opengenome_assets.search.rows import SIMILAR_SCHEMA, similar_rows

    index = SearchIndex.open(task.home, version=task.version, threads=1, parts=task.parts, idf=idf)
    tables = [SIMILAR_SCHEMA.insert(0, pa.field(NUMBER, pa.int64())).empty_table()]
    if settings.source in (None, *index.sources):
        for first in range(0, len(queries), _BLOCK):
            some = queries[first : first + _BLOCK]
            found = index.similar(some, **vars(settings))
            numbers = np.repeat(np.arange(first + 1, first + 1 + len(some)), [len(hits) for hits in found])
            tables.append(similar_rows(some, found).add_column(0, tables[0].field(0), pa.array(numbers)))
    return Found(pa.concat_tables(tables), index.sources)
