"""Matches: where a hit's sequence holds k-mers of a query.

Belongs here: the stretches that shared k-mers line up to, for a dot plot or a map. Does not belong here: the share of
the k-mers that a hit holds (``containment.py``), and alignments: a stretch has no gaps, and its letters may differ
between its k-mers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opengenome_assets.kernels.bases import Letters
from opengenome_assets.kernels.containment import KmerSet, distinct_kmers, specific_k
from opengenome_assets.search.options import Strand

MOST_OCCURRENCES = 1_000_000  # of k-mers of the query in the hit, which bounds the memory
# A k-mer with more places than this in the query or in the hit is of a repeat: its pairs say nothing about where.
MOST_PLACES = 20


@dataclass(frozen=True)
class Stretch:
    """A stretch of query and hit on which shared k-mers line up.

    Attributes
    ----------
    query_start, query_end, hit_start, hit_end
        Its letters in the query as given and in the hit, each counted from 0, the end not included. Both have the same
        length.
    strand
        ``-`` if the hit holds the reverse complement of the query's stretch, else ``+``.
    kmers
        Number of shared k-mers in it.
    """

    query_start: int
    query_end: int
    hit_start: int
    hit_end: int
    strand: str
    kmers: int


@dataclass(frozen=True)
class Matches:
    """Where a hit matches a query.

    Attributes
    ----------
    k
        Length of the k-mers, specific for the query's length, as for the containment.
    stretches
        Those with the most shared k-mers, in descending order.
    total
        Number of all stretches.
    covered
        Share of the query's letters that lie in shared k-mers, in [0, 1], repeats not counted.
    searched
        Letters of the hit that were looked through, from its first: all, or those up to the millionth place that holds
        a k-mer of the query.
    """

    k: int
    stretches: list[Stretch]
    total: int
    covered: float
    searched: int


def find_matches(query: Letters, hit: Letters, *, strand: Strand = "both", most: int = 50) -> Matches:
    """Find the stretches that the shared k-mers of a query and a hit line up to.

    Shared k-mers on one diagonal belong to one stretch if they begin at most ``2 k`` letters apart: a substitution
    interrupts k of them.

    Parameters
    ----------
    query, hit : uint8 arrays
        Letters, in either case.
    strand
        ``both``, or ``given`` for the query as given only.
    most
        Maximum number of stretches.

    Returns
    -------
    Matches
        The stretches, and how much of query and hit they speak of.
    """
    k = specific_k(len(query))
    kmers = KmerSet(distinct_kmers(query, k)[0], k)
    own, starts, forms = _rare(*kmers.occurrences(query, len(query)))
    found_in_hit = kmers.occurrences(hit, MOST_OCCURRENCES)
    in_order = found_in_hit[1]
    searched = int(in_order[-1]) + k if len(in_order) == MOST_OCCURRENCES else len(hit)
    held, places, held_forms = _rare(*found_in_hit)
    order = np.argsort(own, kind="stable")
    own, starts, forms = own[order], starts[order], forms[order]
    first, last = np.searchsorted(own, held, "left"), np.searchsorted(own, held, "right")
    times = last - first
    each = np.repeat(np.arange(len(held)), times)
    partner = np.arange(len(each)) - np.repeat(np.cumsum(times) - times, times) + np.repeat(first, times)
    queries, hits = starts[partner], places[each]
    turned = forms[partner] != held_forms[each]
    if strand == "given":
        queries, hits, turned = queries[~turned], hits[~turned], turned[~turned]
    found = _stretches(queries, hits, turned, k)
    covered = np.zeros(len(query) + 1, np.int64)
    np.add.at(covered, queries, 1)
    np.add.at(covered, queries + k, -1)
    share = float(np.count_nonzero(np.cumsum(covered)[:-1])) / max(1, len(query))
    ranked = sorted(found, key=lambda stretch: (-stretch.kmers, stretch.query_start, stretch.hit_start))
    return Matches(k, ranked[:most], len(ranked), round(share, 6), searched)


def _rare(
    kmers: npt.NDArray[np.int32], starts: npt.NDArray[np.int64], forms: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Leave out the occurrences of k-mers that have too many."""
    kept = np.bincount(kmers)[kmers] <= MOST_PLACES if len(kmers) else np.zeros(0, bool)
    return kmers[kept], starts[kept], forms[kept]


def _stretches(
    queries: npt.NDArray[np.int64], hits: npt.NDArray[np.int64], turned: npt.NDArray[np.bool_], k: int
) -> list[Stretch]:
    if not len(queries):
        return []
    diagonals = np.where(turned, hits + queries, hits - queries)
    order = np.lexsort((queries, diagonals, turned))
    queries, hits, turned, diagonals = queries[order], hits[order], turned[order], diagonals[order]
    breaks = (np.diff(turned) != 0) | (np.diff(diagonals) != 0) | (np.diff(queries) > 2 * k)
    firsts = np.flatnonzero(np.concatenate([[True], breaks]))
    lasts = np.append(firsts[1:], len(queries)) - 1
    found = []
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        low, high = sorted((int(hits[first]), int(hits[last])))
        strand = "-" if turned[first] else "+"
        found.append(Stretch(int(queries[first]), int(queries[last]) + k, low, high + k, strand, last - first + 1))
    return found
