"""TF-IDF weights of 6-mer counts: term frequency times inverse document frequency.

Belongs here: the formulas. Does not belong here: storing and searching the weighted rows.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from opengenome_assets.kernels.bases import readonly
from opengenome_assets.kernels.profiles import KMERS, SequenceKmers


def total_frequency(terms: pa.Table) -> tuple[npt.NDArray[np.int64], int]:
    """Number of sequences in which each 6-mer occurs over all shards, and the number of sequences.

    Parameters
    ----------
    terms : pyarrow.Table
        One row per shard: ``document_frequency``, a list of 4,096 int64, and ``sequences``, int64.

    Returns
    -------
    int64 array of shape (4096,), int
        The arguments of `inverse_document_frequency`.
    """
    frequency = np.zeros(KMERS, np.int64)
    for row in terms["document_frequency"]:
        frequency += row.values.to_numpy()
    return frequency, sum(terms["sequences"].to_pylist())


def inverse_document_frequency(document_frequency: npt.NDArray[np.int64], sequences: int) -> npt.NDArray[np.float64]:
    """Inverse document frequency: the weight of each 6-mer by its rarity, ln((N + 1) / (df + 1)) + 1.

    Parameters
    ----------
    document_frequency : int64 array of shape (4096,)
        Number of sequences in which each 6-mer occurs.
    sequences : int
        Number of sequences, N.

    Returns
    -------
    float64 array of shape (4096,)
        At least 1; as scikit-learn's TfidfTransformer with ``smooth_idf=True``.
    """
    # Not by NumPy's logarithm, which is another number in the last digit on processors with other vectors.
    return np.array([math.log(share) + 1 for share in ((sequences + 1) / (document_frequency + 1)).tolist()])


def tfidf(kmers: SequenceKmers, idf: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weight the counts and scale each sequence's row to the Euclidean length 1.

    The term frequency is count / total, but the total cancels when the row is scaled, so counts are enough. The
    result is that of scikit-learn's ``TfidfVectorizer(analyzer="char", ngram_range=(6, 6), lowercase=False)`` for
    upper-case sequences of A, C, G, T. For other letters it needs the vocabulary of the 4,096 6-mers, or it counts
    n-grams with them too.

    Parameters
    ----------
    kmers : SequenceKmers
        Counts.
    idf : float64 array of shape (4096,)
        From `inverse_document_frequency`.

    Returns
    -------
    float64 array of the shape of ``kmers.codes``
        Values of the sparse matrix whose rows and columns ``kmers`` gives. The dot product of two rows is their
        cosine similarity. A sequence without any 6-mer has an empty row.

    Raises
    ------
    ValueError
        If the numbers of counts and codes differ, or a code has no weight.
    """
    places = len(kmers.codes)
    if not len(kmers.counts) == places == kmers.row_offsets[-1]:
        raise ValueError(f"expected as many counts as codes, found {len(kmers.counts):,} and {places:,}")
    if places and not 0 <= kmers.codes.min() <= kmers.codes.max() < len(idf):
        raise ValueError(
            f"expected codes from 0 to {len(idf) - 1:,}, found {kmers.codes.min():,} to {kmers.codes.max():,}"
        )
    weights = np.empty(places)
    _weigh(*(readonly(np.ascontiguousarray(array)) for array in (*kmers[:3], idf)), weights)
    return weights


@njit(cache=True, nogil=True)
def _weigh(row_offsets: Any, codes: Any, counts: Any, idf: Any, weights: Any) -> None:
    for row in range(len(row_offsets) - 1):
        squares = 0.0
        for place in range(row_offsets[row], row_offsets[row + 1]):
            weights[place] = counts[place] * idf[codes[place]]
            squares += weights[place] ** 2
        if squares > 0:
            length = np.sqrt(squares)
            for place in range(row_offsets[row], row_offsets[row + 1]):
                weights[place] /= length
