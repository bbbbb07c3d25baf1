"""The options that the command line, the page, the API, the asset and Python share.

Belongs here: their values, without any import that takes long. Does not belong here: what they do, and limits of the
server (``service/settings.py``).
"""

from __future__ import annotations

from typing import Literal

# The strands of a query that a search compares: as given and its reverse complement, or only as given.
Strand = Literal["both", "given"]

# The order of hits.
Sort = Literal["similarity", "containment"]

# To sort by containment, this many times as many of the most similar sequences are read as hits are listed.
CANDIDATES = 10

# Maximum number of hits that one search reads and compares with their queries, over all queries: about a gigabyte.
MAX_COMPARISONS = 1_000_000


def candidates_of(top_n: int, sort: Sort) -> int:
    """Return how many of the most similar sequences are compared, for the best ``top_n`` in an order."""
    return top_n * CANDIDATES if sort == "containment" else top_n
