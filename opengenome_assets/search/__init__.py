"""Searching the corpus for similar sequences and k-mers: the library, the commands, and the asset for many queries.

Belongs here: reading tfidf_index and sequence_shards to answer queries. Does not belong here: making these tables
(``corpus``), arithmetic over counts and letters (``kernels``), and serving over HTTP (``service``). The library writes
nothing and imports no Dagster. A name is imported lazily, at its first use, since the index imports Numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opengenome_assets.search.explanation import Explanation, SharedKmer
    from opengenome_assets.search.index import SearchIndex
    from opengenome_assets.search.kmers import KmerHit, KmerMatches, Occurrence, find_kmer
    from opengenome_assets.search.queries import Query, QueryError, read_queries
    from opengenome_assets.search.ranking import Hit

_MODULES = {
    "Explanation": "explanation",
    "Hit": "ranking",
    "KmerHit": "kmers",
    "KmerMatches": "kmers",
    "Occurrence": "kmers",
    "Matches": "matches",
    "Query": "queries",
    "QueryError": "queries",
    "SearchIndex": "index",
    "SharedKmer": "explanation",
    "Stretch": "matches",
    "find_kmer": "kmers",
    "read_queries": "queries",
}

__all__ = [
    "Explanation",
    "Hit",
    "KmerHit",
    "KmerMatches",
    "Matches",
    "Occurrence",
    "Query",
    "QueryError",
    "SearchIndex",
    "SharedKmer",
    "Stretch",
    "find_kmer",
    "read_queries",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
