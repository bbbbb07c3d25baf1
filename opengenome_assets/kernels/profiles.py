"""6-mer profile of each sequence: its counts as a row of a sparse matrix (CSR), as the search index stores them.

Belongs here: counts of each sequence. Does not belong here: weights (tfidf.py), and counts over all sequences
together (kmers.py).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from opengenome_assets.kernels.bases import Letters, Offsets, kernel_text, readonly
from opengenome_assets.kernels.kmers import pair_counter
from opengenome_assets.kernels.runs import (
    BLOCK,
    last_letters,
    nonzero_mask,
    pack8,
    run_end,
    run_start,
    set_bits,
    trailing_zeros,
)

K = 6
KMERS = 4**K

# From this length on, counting pairs and folding their table costs less than counting 6-mers one by one.
_LONG = 8192

# If more of 64 6-mers were seen than this, looking at all 64 costs less than at each of those seen.
_CROWDED = 24


class SequenceKmers(NamedTuple):
    """6-mer counts of n sequences, the rows of a sparse matrix.

    Attributes
    ----------
    row_offsets : int64 array of shape (n + 1,)
        Row i is ``codes[row_offsets[i]:row_offsets[i + 1]]`` and the counts beside it.
    codes : int16 array of shape (row_offsets[n],)
        6-mers seen, ascending in each row.
    counts : int32 array of the same shape
        Occurrences of each.
    windows : int64 array of shape (n,)
        Sum of each row: the windows of 6 valid letters.
    """

    row_offsets: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int16]
    counts: npt.NDArray[np.int32]
    windows: npt.NDArray[np.int64]


def sequence_kmers(data: Letters, offsets: Offsets) -> SequenceKmers:
    """Count the 6-mers of each sequence.

    Parameters
    ----------
    data : uint8 array
        Letters of all sequences; the maximum of each is 2**31 - 1.
    offsets : int32 or int64 array of shape (sequences + 1,)
        Where each sequence begins and ends in ``data``.

    Returns
    -------
    SequenceKmers
        One row per sequence.

    Raises
    ------
    ValueError
        If a sequence is too long for int32 counts, or the offsets leave ``data``.
    """
    data, offsets = kernel_text(data, offsets)
    lengths = np.diff(offsets)
    if len(lengths) and (longest := int(lengths.max())) > np.iinfo(np.int32).max:
        raise ValueError(f"a sequence of {longest} letters is longer than the maximum of 2**31 - 1; split it")
    room = int(np.clip(lengths - K + 1, 0, KMERS).sum()) + 1
    codes, counts = np.empty(room, np.int16), np.empty(room, np.int32)
    row_offsets, windows = np.zeros(len(offsets), np.int64), np.zeros(len(lengths), np.int64)
    _count_rows(data, offsets, row_offsets, codes, counts, windows)
    filled = row_offsets[-1]
    return SequenceKmers(row_offsets, codes[:filled], counts[:filled], windows)


def row_sums(values: npt.NDArray[Any], row_offsets: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Sum of the values of each row.

    Parameters
    ----------
    values : integer or float64 array of shape (row_offsets[n],)
        Floats are of about the same size: their sums are differences of one running sum.
    row_offsets : int64 array of shape (n + 1,)

    Returns
    -------
    int64 or float64 array of shape (n,)
        0 for a row without values.
    """
    if np.issubdtype(values.dtype, np.integer):
        whole = np.zeros(len(row_offsets) - 1, np.int64)
        full = np.flatnonzero(np.diff(row_offsets))
        if len(full):
            whole[full] = np.add.reduceat(values, row_offsets[full], dtype=np.int64)
        return whole
    total = np.concatenate([[0], np.cumsum(values)])
    sums: npt.NDArray[Any] = np.diff(total[row_offsets])
    return sums


def document_frequency(kmers: SequenceKmers) -> npt.NDArray[np.int64]:
    """Number of sequences in which each 6-mer occurs.

    Returns
    -------
    int64 array of shape (4096,)
        In lexicographic order; sums over batches of sequences.

    Raises
    ------
    ValueError
        If a code is not that of a 6-mer.
    """
    if len(kmers.codes) and not 0 <= kmers.codes.min() <= kmers.codes.max() < KMERS:
        raise ValueError(f"expected codes from 0 to 4,095, found {kmers.codes.min():,} to {kmers.codes.max():,}")
    frequency = np.zeros(KMERS, np.int64)
    _tally(readonly(kmers.codes), frequency)
    return frequency


@njit(cache=True, nogil=True)
def _tally(codes: Any, frequency: Any) -> None:
    for code in codes:
        frequency[np.uint16(code)] += 1


_count_pairs = pair_counter(K)


@njit(inline="always")
def _fold_pairs(pairs: Any, table: Any) -> None:
    """Add a table of 7-mers to one of 6-mers, and clear it: `kmers.fold_pairs` in place."""
    for code in range(KMERS):
        table[code] += pairs[4 * code] + pairs[4 * code + 1] + pairs[4 * code + 2] + pairs[4 * code + 3]
    for code in range(KMERS):
        suffixes = pairs[code] + pairs[KMERS + code] + pairs[2 * KMERS + code] + pairs[3 * KMERS + code]
        table[code] += suffixes
    pairs[:] = 0


@njit(nogil=True)
def _count_singly(data: Any, position: int, stop: int, table: Any) -> int:
    """Count every 6-mer from ``position`` on while 16 letters are left; return the start of the first one left out."""
    mask = np.uint64(KMERS - 1)
    while position + 16 <= stop:
        word = (pack8(data, position) << np.uint64(16)) | pack8(data, position + 8)
        for ahead in range(8):
            table[(word >> np.uint64(2 * (10 - ahead))) & mask] += 1
        position += 8
    return position


@njit(nogil=True)
def _take(table: Any, codes: Any, counts: Any, filled: int) -> int:
    """Append the 6-mers that a table has to the rows, and clear it; return the start of the next row.

    64 counts are looked at together, since a short sequence leaves most of them empty and a long one hardly any.
    """
    for first in range(0, KMERS, BLOCK):
        seen = nonzero_mask(table, first)
        if set_bits(seen) > _CROWDED:
            for code in range(first, first + BLOCK):  # without a branch: the next entry overwrites one that is 0
                codes[filled], counts[filled] = code, table[code]
                filled += table[code] != 0
        else:
            while seen != 0:
                code = first + trailing_zeros(seen)
                seen &= seen - np.uint64(1)
                codes[filled], counts[filled] = code, table[code]
                filled += 1
    table[:] = 0
    return filled


@njit(cache=True, nogil=True)
def _count_rows(data: Any, offsets: Any, row_offsets: Any, codes: Any, counts: Any, windows: Any) -> None:
    """Fill the rows in order."""
    mask = np.uint64(KMERS - 1)
    pairs = np.zeros(4 * KMERS, np.uint32)
    table = np.zeros(KMERS, np.uint32)
    filled = 0
    for row in range(len(offsets) - 1):
        end = offsets[row + 1]
        long = end - offsets[row] >= _LONG
        start = run_start(data, offsets[row], end)
        while start < end:
            stop = run_end(data, start, end)
            position = _count_pairs(data, start, stop, pairs) if long else _count_singly(data, start, stop, table)
            tail = last_letters(data, start, stop)
            for _ in range(stop - position - K + 1):
                table[tail & mask] += 1
                tail >>= np.uint64(2)
            windows[row] += max(stop - start - K + 1, 0)
            start = run_start(data, stop, end)
        if long:
            _fold_pairs(pairs, table)
        filled = _take(table, codes, counts, filled)
        row_offsets[row + 1] = filled
