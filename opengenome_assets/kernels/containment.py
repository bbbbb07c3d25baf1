"""Containment: the share of a query's distinct k-mers that a sequence holds, and the identity that it suggests.

k is odd and at most 31, so that a k-mer fits into 64 bits and is never its own reverse complement. A k-mer and its
reverse complement are one canonical k-mer, the smaller of their codes, as in Mash, sourmash and Jellyfish. Two bits
keep the forms that occur: 1 for the canonical one, 2 for its reverse complement.

Belongs here: the choice of k, sets of k-mers, looking them up in a sequence, and the formula of the identity. Does not
belong here: reading sequences, and the choice of those to compare (``search``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from opengenome_assets.kernels.bases import Letters, kernel_text, readonly
from opengenome_assets.kernels.runs import run_end, run_start, trailing_zeros

MAX_K = 31

# Letters of the longest sequence that k is specific for: the longest human chromosome has 248 million.
LONGEST = 2**28

# Bits of the filter per k-mer, at least, and slots of the table. Most look-ups find nothing: they end at a bit of 0.
_BITS, _SLOTS = 16, 2

# Odd constant of Fibonacci hashing, 2**64 divided by the golden ratio: products with it differ in their top bits.
_GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
_FREE = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def specific_k(length: int) -> int:
    """Return the k at which k-mers are specific for a query of this length.

    The smallest odd k at which a random query is expected to share less than one k-mer with a random sequence of
    `LONGEST` letters by chance: ``length * 2 * LONGEST < 4**k``, with both strands. The argument is that of Fofanov et
    al. (2004), from whom Mash has its choice of k (Ondov et al. 2016).

    Returns
    -------
    int
        From 15 to 31: 19 for a read of 150 letters, 21 for 1,500.
    """
    k = 1
    while length * 2 * LONGEST >= 4**k:
        k += 2
    return min(k, MAX_K)


def estimated_identity(containment: float, k: int) -> float | None:
    """Return the identity of the two sequences that a containment suggests, to 6 decimals.

    ``containment ** (1 / k)``: if letters differ independently with probability d, a k-mer is unchanged with
    probability ``(1 - d)**k``. The containment is that of Broder (1997) and Koslicki & Zabeti (2019). It becomes an
    average nucleotide identity as in sourmash (Hera et al. 2023); the Mash distance (Ondov et al. 2016) has the same
    model.

    Returns
    -------
    float or None
        In (0, 1]; None without a shared k-mer, since no identity can then be estimated.
    """
    return round(containment ** (1 / k), 6) if containment > 0 else None


class KmerSet:
    """Distinct canonical k-mers, to be looked up in sequences.

    Parameters
    ----------
    codes : uint64 array of shape (n,)
        Codes of the k-mers, ascending, from `distinct_kmers`.
    k : int
        Odd, at most `MAX_K`.
    """

    def __init__(self, codes: npt.NDArray[np.uint64], k: int) -> None:
        self.codes = codes
        self.k = k
        slots, bits = (max(64, each * len(codes) - 1).bit_length() for each in (_SLOTS, _BITS))
        self._keys = np.full(2**slots, _FREE)
        self._places = np.empty(2**slots, np.int32)
        self._filter = np.zeros(2**bits // 64, np.uint64)
        _insert(readonly(codes), self._keys, self._places, self._filter)

    def forms_in(self, sequence: Letters) -> npt.NDArray[np.uint8]:
        """Return the forms of each k-mer that occur in a sequence.

        Parameters
        ----------
        sequence : uint8 array
            Its letters, in either case. Windows with other letters than A, C, G, T hold no k-mer.

        Returns
        -------
        uint8 array of shape (n,)
            Bits: 1 for the canonical form, 2 for its reverse complement; 0 if the sequence holds neither.
        """
        data, _ = kernel_text(sequence, np.array([0, len(sequence)]))
        forms = np.zeros(len(self.codes), np.uint8)
        _look_up(data, self.k, *(readonly(each) for each in (self._keys, self._places, self._filter)), forms)
        return forms

    def occurrences(
        self, sequence: Letters, limit: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """Find where the k-mers occur in a sequence.

        Parameters
        ----------
        sequence : uint8 array
            Its letters, in either case.
        limit : int
            Maximum number to find.

        Returns
        -------
        places : int32 array of shape (found,)
            The place of each occurrence's k-mer in ``codes``.
        starts : int64 array of shape (found,)
            Where it begins, from 0, ascending.
        forms : uint8 array of shape (found,)
            1 for the canonical form, 2 for its reverse complement.
        """
        data, _ = kernel_text(sequence, np.array([0, len(sequence)]))
        most = max(0, min(limit, len(data) - self.k + 1))
        places, starts, forms = np.empty(most, np.int32), np.empty(most, np.int64), np.empty(most, np.uint8)
        table = (readonly(each) for each in (self._keys, self._places, self._filter))
        found = _locate(data, self.k, *table, places, starts, forms)
        return places[:found], starts[:found], forms[:found]


def distinct_kmers(sequence: Letters, k: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    """Return the distinct canonical k-mers of a sequence, and the forms that occur.

    Parameters
    ----------
    sequence : uint8 array
        Its letters, in either case.
    k : int
        Odd, at most `MAX_K`.

    Returns
    -------
    codes : uint64 array of shape (n,)
        Ascending; two bits per letter, A, C, G, T as 0 to 3, the first letter in the highest bits.
    forms : uint8 array of shape (n,)
        Bits: 1 for the canonical form, 2 for its reverse complement.

    Raises
    ------
    ValueError
        If k is even, or not from 1 to `MAX_K`.
    """
    if not 1 <= k <= MAX_K or k % 2 == 0:
        raise ValueError(f"expected an odd k from 1 to {MAX_K}, found {k}")
    data, _ = kernel_text(sequence, np.array([0, len(sequence)]))
    codes, forms = np.empty(max(0, len(data) - k + 1), np.uint64), np.empty(max(0, len(data) - k + 1), np.uint8)
    filled = _list(data, k, codes, forms)
    pairs = np.sort((codes[:filled] << np.uint64(2)) | forms[:filled])
    codes, forms = pairs >> np.uint64(2), (pairs & np.uint64(3)).astype(np.uint8)
    firsts = np.flatnonzero(np.diff(codes, prepend=_FREE))
    return codes[firsts], np.bitwise_or.reduceat(forms, firsts) if filled else forms


@njit(inline="always")
def _appended(data: Any, position: int, k: int, forward: Any, reverse: Any) -> Any:
    """Codes of the k letters up to a position, and of their reverse complement, from those one letter before."""
    letter = np.uint64(data[position])
    code = ((letter >> np.uint64(1)) ^ (letter >> np.uint64(2))) & np.uint64(3)
    mask = (np.uint64(1) << np.uint64(2 * k)) - np.uint64(1)
    forward = ((forward << np.uint64(2)) | code) & mask
    reverse = (reverse >> np.uint64(2)) | ((np.uint64(3) - code) << np.uint64(2 * k - 2))
    return forward, reverse


@njit(cache=True, nogil=True)
def _list(data: Any, k: int, codes: Any, forms: Any) -> int:
    """Write the canonical code and the form of every window; return their number."""
    filled = 0
    start = run_start(data, 0, data.size)
    while start < data.size:
        stop = run_end(data, start, data.size)
        forward = reverse = np.uint64(0)
        for position in range(start, stop):
            forward, reverse = _appended(data, position, k, forward, reverse)
            if position - start + 1 >= k:
                codes[filled] = min(forward, reverse)
                forms[filled] = 1 if forward < reverse else 2
                filled += 1
        start = run_start(data, stop, data.size)
    return filled


@njit(inline="always")
def _top_bits(size: int) -> Any:
    """Shift that leaves a hash below a power of two."""
    return np.uint64(64) - trailing_zeros(np.uint64(size))


@njit
def _slot(canonical: Any, slot: Any, keys: Any) -> Any:
    """Return the slot of a k-mer from that of its hash on, or the free one where it belongs."""
    mask = np.uint64(keys.size - 1)
    while keys[slot] != _FREE and keys[slot] != canonical:
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(cache=True, nogil=True)
def _insert(codes: Any, keys: Any, places: Any, bits: Any) -> None:
    slot_shift, bit_shift = _top_bits(keys.size), _top_bits(64 * bits.size)
    for place in range(codes.size):
        hashed = codes[place] * _GOLDEN
        bit = hashed >> bit_shift
        bits[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
        slot = _slot(codes[place], hashed >> slot_shift, keys)
        keys[slot] = codes[place]
        places[slot] = place


@njit(cache=True, nogil=True)
def _look_up(data: Any, k: int, keys: Any, places: Any, bits: Any, forms: Any) -> None:
    """Mark the form of every window whose k-mer is in the table."""
    slot_shift, bit_shift = _top_bits(keys.size), _top_bits(64 * bits.size)
    start = run_start(data, 0, data.size)
    while start < data.size:
        stop = run_end(data, start, data.size)
        forward = reverse = np.uint64(0)
        for position in range(start, min(stop, start + k - 1)):
            forward, reverse = _appended(data, position, k, forward, reverse)
        for position in range(start + k - 1, stop):
            forward, reverse = _appended(data, position, k, forward, reverse)
            canonical = min(forward, reverse)
            hashed = canonical * _GOLDEN
            bit = hashed >> bit_shift
            if (bits[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1):
                slot = _slot(canonical, hashed >> slot_shift, keys)
                if keys[slot] == canonical:
                    forms[places[slot]] |= np.uint8(1) if forward < reverse else np.uint8(2)
        start = run_start(data, stop, data.size)


@njit(cache=True, nogil=True)
def _locate(data: Any, k: int, keys: Any, table: Any, bits: Any, places: Any, starts: Any, forms: Any) -> int:
    """Write place, start and form of windows whose k-mer is in the table, while there is room; return their number."""
    slot_shift, bit_shift = _top_bits(keys.size), _top_bits(64 * bits.size)
    filled = 0
    start = run_start(data, 0, data.size)
    while start < data.size:
        stop = run_end(data, start, data.size)
        forward = reverse = np.uint64(0)
        for position in range(start, stop):
            forward, reverse = _appended(data, position, k, forward, reverse)
            if position - start + 1 < k:
                continue
            canonical = min(forward, reverse)
            hashed = canonical * _GOLDEN
            bit = hashed >> bit_shift
            if (bits[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1):
                slot = _slot(canonical, hashed >> slot_shift, keys)
                if keys[slot] == canonical:
                    if filled == places.size:
                        return filled
                    places[filled] = table[slot]
                    starts[filled] = position - k + 1
                    forms[filled] = 1 if forward < reverse else 2
                    filled += 1
        start = run_start(data, stop, data.size)
    return filled
