"""A hash set of the names seen before, which stays small over millions of records.

Belongs here: the set. Does not belong here: the meaning of a repeated name for a record.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from opengenome_assets.kernels.bases import kernel_text

_FIRST_SLOTS = 1 << 12
_C1 = np.uint64(0x87C37B91114253D5)
_C2 = np.uint64(0x4CF5AD432745937F)


class SeenIdentifiers:
    """Set of the identifiers of one file, kept as 128-bit hashes.

    A hash table with open addressing, up to 2/3 full, of 16 bytes per slot. So an identifier of any length takes 24
    to 48 bytes, and half as much again while the table grows. Among n different identifiers, two share a hash with a
    probability of about n**2 / 2**129: 1e-21 for a billion. The hash (MurmurHash3) does not resist names made to
    collide.
    """

    def __init__(self) -> None:
        self._slots = np.zeros((_FIRST_SLOTS, 2), np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.signedinteger[Any]]) -> npt.NDArray[np.bool_]:
        """Add identifiers.

        Parameters
        ----------
        data, offsets
            Identifiers as text: uint8 letters, and int32 or int64 positions of shape (n + 1,).

        Returns
        -------
        bool array of shape (n,)
            True where the identifier was added before, in an earlier call or earlier in this one.
        """
        data, offsets = kernel_text(data, offsets)
        slots = len(self._slots)
        while 2 * slots < 3 * (self._count + len(offsets) - 1):
            slots *= 2
        if slots > len(self._slots):
            grown = np.zeros((slots, 2), np.uint64)
            _move(self._slots, grown)
            self._slots = grown
        seen = np.empty(len(offsets) - 1, np.bool_)
        self._count += _add(data, offsets, self._slots, seen)
        return seen


@njit
def _rotated(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@njit
def _mixed(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    word = (word ^ (word >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return word ^ (word >> np.uint64(33))


@njit
def _word(data: Any, start: int, stop: int) -> np.uint64:
    """Up to 8 bytes as a little-endian number."""
    word = np.uint64(0)
    for position in range(min(stop, start + 8) - 1, start - 1, -1):
        word = (word << np.uint64(8)) | np.uint64(data[position])
    return word


@njit(cache=True)
def murmur3_128(data: Any, start: int, stop: int) -> tuple[np.uint64, np.uint64]:
    """MurmurHash3_x64_128 with seed 0 of ``data[start:stop]`` (Austin Appleby, public domain).

    Returns
    -------
    low, high : uint64
    """
    low = high = np.uint64(0)
    position = start
    while position < stop:
        first = _rotated(_word(data, position, stop) * _C1, 31) * _C2
        second = _rotated(_word(data, position + 8, stop) * _C2, 33) * _C1
        is_block = position + 16 <= stop  # fewer bytes at the end are mixed in differently
        low ^= first
        if is_block:
            low = (_rotated(low, 27) + high) * np.uint64(5) + np.uint64(0x52DCE729)
        high ^= second
        if is_block:
            high = (_rotated(high, 31) + low) * np.uint64(5) + np.uint64(0x38495AB5)
        position += 16
    length = np.uint64(stop - start)
    low ^= length
    high ^= length
    low += high
    high += low
    low = _mixed(low)
    high = _mixed(high)
    low += high
    return low, high + low


@njit
def _insert(slots: Any, low: np.uint64, high: np.uint64) -> bool:
    """Put a hash into the table; False if it is there already. A slot of two zeros is free."""
    mask = np.uint64(slots.shape[0] - 1)
    slot = low & mask
    while slots[slot, 0] | slots[slot, 1]:
        if slots[slot, 0] == low and slots[slot, 1] == high:
            return False
        slot = (slot + np.uint64(1)) & mask
    slots[slot, 0] = low
    slots[slot, 1] = high
    return True


@njit(nogil=True, cache=True)
def _add(data: Any, offsets: Any, slots: Any, seen: Any) -> int:
    added = 0
    for index in range(offsets.size - 1):
        low, high = murmur3_128(data, offsets[index], offsets[index + 1])
        if low | high == 0:  # a hash of zeros would look like a free slot
            high = np.uint64(1)
        is_new = _insert(slots, low, high)
        seen[index] = not is_new
        added += is_new
    return added


@njit(nogil=True, cache=True)
def _move(old: Any, new: Any) -> None:
    for slot in range(old.shape[0]):
        if old[slot, 0] | old[slot, 1]:
            _insert(new, old[slot, 0], old[slot, 1])
