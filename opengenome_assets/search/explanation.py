"""Explanations: why a hit ranks.

Belongs here: the shares of single 6-mers in a similarity. Does not belong here: finding hits (``index.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opengenome_assets.kernels.bases import kmer_strings, reverse_complement_codes
from opengenome_assets.kernels.profiles import KMERS, K
from opengenome_assets.search.ranking import DECIMALS, unit


@dataclass(frozen=True)
class SharedKmer:
    """A 6-mer of both query and hit: its occurrences in each, and its share of their similarity, in (0, 1]."""

    kmer: str
    query_count: int
    hit_count: int
    share: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a hit ranks.

    Attributes
    ----------
    strand
        ``+``, or ``-`` if the reverse complement of the query is more similar than the query.
    terms
        The shared 6-mers with the largest share, in descending order; the query's occurrences are those on this strand.
    shared
        Number of all shared 6-mers.
    query_profile, hit_profile
        The TF-IDF vectors of length 1, of 4,096 float64 in alphabetical order; the query's on this strand.
    """

    strand: str
    terms: list[SharedKmer]
    shared: int
    query_profile: npt.NDArray[np.float64]
    hit_profile: npt.NDArray[np.float64]


def explained(
    given: npt.NDArray[np.int64],
    hit_counts: npt.NDArray[np.int64],
    idf: npt.NDArray[np.float64],
    most: int,
    *,
    both: bool,
) -> Explanation:
    """Return why a hit is similar to a query: on both strands, of the more similar one.

    Parameters
    ----------
    given, hit_counts
        6-mer counts of the query as given, and of the hit, each of shape (4096,).
    idf
        Weight of each 6-mer, shape (4096,).
    most
        Maximum number of shared 6-mers.
    both
        Compare the query's reverse complement too.
    """
    hit_profile = unit(hit_counts * idf)
    strands = [given, given[reverse_complement_codes(K)]] if both else [given]
    profiles = [unit(counts * idf) for counts in strands]
    similarities = [round(float(profile @ hit_profile), DECIMALS) for profile in profiles]
    best = similarities.index(max(similarities))
    counts, query_profile = strands[best], profiles[best]
    products = query_profile * hit_profile
    heaviest = np.lexsort((np.arange(KMERS), -products))[:most]
    shares = (products[heaviest] / products.sum()).tolist()
    kmers = kmer_strings(K)
    terms = [
        SharedKmer(str(kmers[code]), int(counts[code]), int(hit_counts[code]), share)
        for code, share in zip(heaviest.tolist(), shares, strict=True)
        if share > 0
    ]
    return Explanation("+-"[best], terms, int(np.count_nonzero(products)), query_profile, hit_profile)
