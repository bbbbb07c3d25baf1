"""Ranking: from queries to weights, and from similarities to hits.

Belongs here: the weights of queries, the rows that can be among the best, and the rank of hits. Does not belong here:
the rows of the index, and scoring them (``index.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.corpus.tables import INDEX_NAMES
from opengenome_assets.kernels.planes import LARGEST_SUM, LARGEST_WEIGHT
from opengenome_assets.kernels.profiles import KMERS, sequence_kmers
from opengenome_assets.search.queries import Query, QueryError, without_kmers

NAMES = INDEX_NAMES

# Decimals of a similarity; equal similarities rank by the sequences' names.
DECIMALS = 12

# Error of a score by rounding: of the sum, the row's inverse norm and their product to 32 bits, and of the sums in 64
# bits before. A score is hardly above 1.
_ROUNDING = 8 * 2.0**-24

# Scores of which only the largest is looked at first.
_GROUP = 32


@dataclass(frozen=True)
class Hit:
    """A sequence similar to a query.

    Attributes
    ----------
    rank
        From 1.
    seq_id, source, file
        Identity of the sequence.
    similarity
        Cosine similarity of the two TF-IDF vectors, in (0, 1], to 12 decimals: that of the more similar strand.
    containment
        Share of the query's distinct k-mers that the sequence holds, in [0, 1]; None if the query has no k-mer, or if
        the sequence was not read.
    identity
        Identity that the containment suggests, in (0, 1]; None without a shared k-mer.
    k
        Length of these k-mers, which is specific for the query's length; None if the sequence was not read.
    length
        Number of letters.
    description
        The rest of its header.
    strand
        ``+``, or ``-`` for the query's reverse complement: the strand of which the sequence holds more k-mers. If it
        holds none, the more similar strand.
    """

    rank: int
    seq_id: str
    source: str
    file: str
    similarity: float
    length: int
    description: str
    strand: str
    containment: float | None = None
    identity: float | None = None
    k: int | None = None


def query_counts(queries: Sequence[Query]) -> npt.NDArray[np.int64]:
    """Return the 6-mer counts of queries, shape (queries, 4096).

    Raises
    ------
    QueryError
        If one of them has no 6 letters in a row that are all A, C, G or T.
    TypeError
        If one of them is not a query.
    """
    for query in queries:
        if not isinstance(query, Query):
            raise TypeError(
                f"expected queries, as read_queries(text) returns them, found {type(query).__name__} {query!r:.40}"
            )
    offsets = np.cumsum([0, *(len(query.sequence) for query in queries)])
    kmers = sequence_kmers(np.frombuffer(b"".join(query.sequence for query in queries), np.uint8), offsets)
    for query, windows in zip(queries, kmers.windows, strict=True):
        if windows == 0:
            raise QueryError(without_kmers(query))
    counts = np.zeros((len(queries), KMERS), np.int64)
    counts[np.repeat(np.arange(len(queries)), np.diff(kmers.row_offsets)), kmers.codes] = kmers.counts
    return counts


def query_weights(counts: npt.NDArray[np.int64], idf: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the factors for counts of the corpus, in the shape of the query's counts.

    The dot product, divided by the Euclidean norm of the corpus's weighted row, is the cosine similarity.
    """
    return unit(counts * idf) * idf


def whole_weights(
    weights: npt.NDArray[np.float64], idf: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float64], float]:
    """Return weights as multiples of a step, for `kernels.planes.score`.

    Parameters
    ----------
    weights : float64 array of shape (q, 4096)
        From `query_weights`.
    idf : float64 array of shape (4096,)
        Weight of each 6-mer in the corpus.

    Returns
    -------
    int16 array of shape (q, 4096)
        At least 1 where a weight is not 0: a row has the sum 0 if it shares no 6-mer, and only then.
    float64 array of shape (q,)
        The steps.
    float
        How far at most a similarity from these is from the exact one. For a row of counts c the two differ by
        (sum of c * error) / norm(c * idf), which by the Cauchy-Schwarz inequality is at most norm(error / idf).
    """
    # Rounding, up to 1 at least, adds less than 1 to each of the weights.
    largest, total = weights.max(axis=1, keepdims=True), weights.sum(axis=1, keepdims=True)
    steps = np.maximum(largest / LARGEST_WEIGHT, total / (LARGEST_SUM - KMERS))
    whole = np.maximum(np.rint(weights / steps), weights > 0)
    margin = np.linalg.norm((whole * steps - weights) / idf, axis=1).max()
    return whole.astype(np.int16), steps[:, 0], float(margin) + _ROUNDING


def rank(
    similarity: npt.NDArray[np.float64], strand: npt.NDArray[np.int64], names: pa.Table, top_n: int, threshold: float
) -> tuple[list[Hit], npt.NDArray[np.int64]]:
    """Return the best of some sequences as hits, in their order, and their places among the sequences.

    Parameters
    ----------
    similarity : float64 array of shape (m,)
        Rounded to `DECIMALS`.
    strand : int64 array of shape (m,)
        0 for the query as given, 1 for its reverse complement.
    names : pyarrow.Table of m rows
        Their seq_id, source, file, length and description.
    """
    best = np.flatnonzero((similarity > 0) & (similarity >= threshold))
    if len(best) > top_n:
        # By Arrow, since there may be a million equal ones.
        found = names.take(pa.array(best)).append_column("similarity", pa.array(similarity[best]))
        keys = [("similarity", "descending"), *((name, "ascending") for name in NAMES[:3])]
        best = best[pc.sort_indices(found, sort_keys=keys)[:top_n].to_numpy()]
    rows = (names if len(best) == len(names) else names.take(pa.array(best))).to_pylist()
    values, strands = similarity[best].tolist(), np.array(["+", "-"])[strand[best]].tolist()
    order = sorted(range(len(rows)), key=lambda place: (-values[place], *(rows[place][name] for name in NAMES[:3])))
    hits = [
        Hit(rank=number, similarity=values[place], strand=strands[place], **rows[place])
        for number, place in enumerate(order, 1)
    ]
    return hits, best[order]


def by_containment(hit: Hit) -> tuple[float, float, str, str, str]:
    """Return the sort key of hits by containment: then by similarity, seq_id, source and file."""
    held = -1.0 if hit.containment is None else hit.containment
    return -held, -hit.similarity, hit.seq_id, hit.source, hit.file


def candidates(scores: npt.NDArray[np.float32], top_n: int, threshold: float, margin: float) -> npt.NDArray[np.int64]:
    """Return the rows, ascending, that may be among the best, given scores with an error up to ``margin``."""
    least = threshold - margin
    if top_n < len(scores):
        least = max(least, _nth_largest(scores, top_n) - 2 * margin)
    # Rounding to DECIMALS lets similarities pass that are just below the threshold.
    least -= 10.0**-DECIMALS
    return np.flatnonzero((scores > 0) & (scores >= least))


def _nth_largest(scores: npt.NDArray[np.float32], number: int) -> float:
    """Return the score of this number from the largest, 1 for the largest itself, of at least as many."""
    groups = len(scores) // _GROUP
    if groups >= number:
        # That many groups have a score of at least this, so the wanted one is no smaller.
        largest = scores[: groups * _GROUP].reshape(_GROUP, groups).max(axis=0)
        scores = scores[scores >= np.partition(largest, groups - number)[groups - number]]
    return float(np.partition(scores, len(scores) - number)[len(scores) - number])


def unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return vectors, the rows of an array, scaled to the Euclidean length 1."""
    scaled: npt.NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled
