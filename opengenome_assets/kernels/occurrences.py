"""Where one k-mer occurs: how often in each sequence, and at which places.

Belongs here: exact matching of one k-mer. Does not belong here: counts of all k-mers (kmers.py, profiles.py).
Occurrences may overlap. The reverse complement is another k-mer: for both strands the caller asks twice.

64 starts are compared together, as SIMD vectors: one comparison per letter, and the next letter only while a start is
left. That is several times as fast as shards are decompressed.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from opengenome_assets.kernels.bases import LETTERS, Letters, Offsets, kernel_text
from opengenome_assets.kernels.runs import BLOCK, letter_mask, set_bits, trailing_zeros

_ALL_SET = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def count_occurrences(data: Letters, offsets: Offsets, kmer: bytes) -> npt.NDArray[np.int64]:
    """Count the occurrences of a k-mer in each sequence.

    Parameters
    ----------
    data : uint8 array
        Letters of all sequences.
    offsets : int32 or int64 array of shape (sequences + 1,)
        Where each sequence begins and ends in ``data``.
    kmer : bytes
        One or more of the letters A, C, G, T.

    Returns
    -------
    int64 array of shape (sequences,)
        Occurrences on the strand as given, overlapping ones included.

    Raises
    ------
    ValueError
        If the k-mer is empty or has another letter, or the offsets leave ``data``.
    """
    data, offsets = kernel_text(data, offsets)
    counts = np.zeros(len(offsets) - 1, np.int64)
    _count(data, offsets, _pattern(kmer), counts)
    return counts


def find_occurrences(sequence: Letters, kmer: bytes, limit: int) -> npt.NDArray[np.int64]:
    """Find the first occurrences of a k-mer in one sequence.

    Parameters
    ----------
    sequence : uint8 array
        Its letters.
    kmer : bytes
        One or more of the letters A, C, G, T.
    limit : int
        Maximum number to find.

    Returns
    -------
    int64 array of shape (found,)
        Where each begins, from 0, ascending.

    Raises
    ------
    ValueError
        If the k-mer is empty or has another letter.
    """
    data, _ = kernel_text(sequence, np.array([0, len(sequence)]))
    starts = np.empty(min(limit, len(data)), np.int64)
    return starts[: _find(data, _pattern(kmer), starts)]


def _pattern(kmer: bytes) -> Letters:
    if not kmer or not set(kmer) <= set(LETTERS.encode()):
        raise ValueError(f"expected a k-mer of the letters {LETTERS}, found {kmer!r}")
    return np.frombuffer(kmer, np.uint8)


@njit(inline="always")
def _starts(data: Any, position: int, end: int, kmer: Any) -> Any:
    """uint64 whose bit j is set when the k-mer is at ``position + j``; it must fit at least once before ``end``.

    Letters of the next sequence may be read, letters beyond the buffer are not.
    """
    room = min(end - len(kmer) - position + 1, BLOCK)
    if position + len(kmer) - 1 + BLOCK <= data.size:
        found = letter_mask(data, position, kmer[0]) & (_ALL_SET >> np.uint64(BLOCK - room))
        letter = 1
        while letter < len(kmer) and found != 0:
            found &= letter_mask(data, position + letter, kmer[letter])
            letter += 1
        return found
    found = np.uint64(0)
    for ahead in range(room):
        letter = 0
        while letter < len(kmer) and (data[position + ahead + letter] & 0xDF) == kmer[letter]:
            letter += 1
        found |= np.uint64(letter == len(kmer)) << np.uint64(ahead)
    return found


@njit(cache=True, nogil=True)
def _count(data: Any, offsets: Any, kmer: Any, counts: Any) -> None:
    for row in range(len(counts)):
        end = offsets[row + 1]
        for position in range(offsets[row], end - len(kmer) + 1, BLOCK):
            counts[row] += set_bits(_starts(data, position, end, kmer))


@njit(cache=True, nogil=True)
def _find(data: Any, kmer: Any, starts: Any) -> int:
    """Fill ``starts`` with the first occurrences; return their number."""
    filled = 0
    for position in range(0, data.size - len(kmer) + 1, BLOCK):
        found = _starts(data, position, data.size, kmer)
        while found != 0:
            if filled == len(starts):
                return filled
            starts[filled] = position + trailing_zeros(found)
            found &= found - np.uint64(1)
            filled += 1
    return filled
