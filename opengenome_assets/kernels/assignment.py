"""Which references a protein is aligned to: those with which it shares enough k-mers.

Belongs here: the inverted index of references' k-mers, counting, and the bound. Does not belong here: the alignment
(`opengenome_assets.kernels.alignments`).

The bound is the q-gram lemma (Jokinen & Ukkonen 1991). An alignment of n columns with e edits (substitutions and
letters inserted or deleted) has at least ``n - k + 1 - k * e`` k-mers in common, since each edit changes at most k. An
alignment that covers the share c of a reference of R letters at an identity of p or more has ``n >= c * R`` and
``e <= (1 - p) * n``. So it shares at least ``(1 - k * (1 - p)) * c * R - (k - 1)`` k-mers. No such pair is left out
while this number is 1 or more. `Index.guaranteed` says for which references it is.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from opengenome_assets.kernels.amino_acids import STANDARD
from opengenome_assets.kernels.bases import kernel_text


class Index:
    """References by their k-mers.

    Parameters
    ----------
    references : uint8 array
        Codes of the letters of all references (`opengenome_assets.kernels.amino_acids`).
    offsets : int64 array of shape (references + 1,)
        Where each reference begins and ends.
    k : int
        Letters of a k-mer, 3 to 5. A k-mer with another letter than the standard 20 is passed over.
    identity, coverage : float
        In (0, 1]: the least identity, and share of the reference, of a pair that must not be left out.
    """

    def __init__(
        self,
        references: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        *,
        k: int = 4,
        identity: float = 0.8,
        coverage: float = 0.3,
    ) -> None:
        if not 3 <= k <= 5:
            raise ValueError(f"k must be 3 to 5, not {k}: larger indexes do not fit into the processor's cache.")
        if not (0 < identity <= 1 and 0 < coverage <= 1):
            raise ValueError(f"Identity and coverage are shares above 0, up to 1: {identity}, {coverage}.")
        self.k = k
        lengths = np.diff(offsets)
        # Whole numbers of k-mers; the small number keeps 7.000000001 from becoming 8.
        bounds = np.ceil((1 - k * (1 - identity)) * coverage * lengths - (k - 1) - 1e-9)
        self.guaranteed: npt.NDArray[np.bool_] = bounds >= 1
        self._needed = np.maximum(bounds, 1).astype(np.int64)
        self._starts, self._postings = _index(*kernel_text(references, offsets), k)

    def candidates(
        self, queries: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Pairs that share enough k-mers.

        Parameters
        ----------
        queries, offsets
            As the references.

        Returns
        -------
        int32 array of shape (pairs, 2)
            Numbers of the query and of the reference, ascending by query, then by reference.
        int32 array of shape (pairs,)
            Shared k-mers: for each k-mer of the query, how often it occurs in the reference.
        """
        return _candidates(*kernel_text(queries, offsets), self.k, self._starts, self._postings, self._needed)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _index(data: Any, offsets: Any, k: int) -> Any:
    """Starts by k-mer, and the numbers of the references by k-mer: a counting sort in two passes."""
    kmers = STANDARD**k
    starts = np.zeros(kmers + 1, np.int64)
    postings = np.empty(0, np.int32)
    for writes in range(2):
        if writes == 1:
            for kmer in range(kmers, 0, -1):
                starts[kmer] = starts[kmer - 1]
            starts[0] = 0
            for kmer in range(kmers):
                starts[kmer + 1] += starts[kmer]
            postings = np.empty(starts[kmers], np.int32)
        for number in range(len(offsets) - 1):
            code, run = 0, 0
            for place in range(offsets[number], offsets[number + 1]):
                letter = data[place]
                if letter >= STANDARD:
                    run = 0
                    continue
                code = (code * STANDARD + letter) % kmers
                run += 1
                if run >= k:
                    if writes == 1:
                        postings[starts[code]] = number
                    starts[code] += 1
    for kmer in range(kmers, 0, -1):
        starts[kmer] = starts[kmer - 1]
    starts[0] = 0
    return starts, postings


@njit(cache=True, nogil=True)
def _candidates(data: Any, offsets: Any, k: int, starts: Any, postings: Any, needed: Any) -> Any:
    """Count the k-mers that each query shares with each reference, and keep the pairs that share enough."""
    kmers = STANDARD**k
    counts = np.zeros(len(needed), np.int32)
    touched = np.empty(len(needed), np.int32)
    pairs = np.empty((64, 2), np.int32)
    shared = np.empty(64, np.int32)
    used = 0
    for number in range(len(offsets) - 1):
        code, run, found = 0, 0, 0
        for place in range(offsets[number], offsets[number + 1]):
            letter = data[place]
            if letter >= STANDARD:
                run = 0
                continue
            code = (code * STANDARD + letter) % kmers
            run += 1
            if run >= k:
                for posting in range(starts[code], starts[code + 1]):
                    reference = postings[posting]
                    if counts[reference] == 0:
                        touched[found] = reference
                        found += 1
                    counts[reference] += 1
        if used + found > len(pairs):
            more = np.empty((2 * (used + found), 2), np.int32)
            more[:used] = pairs[:used]
            pairs = more
            longer = np.empty(2 * (used + found), np.int32)
            longer[:used] = shared[:used]
            shared = longer
        reached = 0
        for place in range(found):
            reference = touched[place]
            if counts[reference] >= needed[reference]:
                touched[reached] = reference
                reached += 1
            else:
                counts[reference] = 0
        for reference in np.sort(touched[:reached]):
            pairs[used, 0], pairs[used, 1] = number, reference
            shared[used] = counts[reference]
            counts[reference] = 0
            used += 1
    return pairs[:used].copy(), shared[:used].copy()
