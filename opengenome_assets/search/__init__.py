"""Searching the corpus: the library, and what serves it.

Belongs here: reading tfidf_index and sequence_shards to answer questions. Does not belong here: making these tables
(``corpus``), and arithmetic over counts and letters (``kernels``). Nothing here writes to the home.
"""

from opengenome_assets.search.index import Explanation, SearchIndex, SharedKmer
from opengenome_assets.search.kmers import KmerHit, KmerMatches, Occurrence, find_kmer
from opengenome_assets.search.queries import Query, QueryError, read_queries
from opengenome_assets.search.ranking import Hit

__all__ = [
    "Explanation",
    "Hit",
    "KmerHit",
    "KmerMatches",
    "Occurrence",
    "Query",
    "QueryError",
    "SearchIndex",
    "SharedKmer",
    "find_kmer",
    "read_queries",
]
