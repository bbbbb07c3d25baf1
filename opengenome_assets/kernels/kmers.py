"""Exact k-mer counts of any set of lengths from one pass, and the number of windows that they must add up to.

Belongs here: counts over all sequences together. Does not belong here: counts of each sequence (profiles.py).

One pass serves every k: a k-mer is the prefix of a (k + 1)-mer unless it ends its run of valid letters. So the counts
of k are those of k + 1 summed over the last letter, plus one for each run that ends with the k-mer. For k up to 8 the
pass counts (k + 1)-mers at every second position only: each holds two k-mers, its prefix and its suffix.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from opengenome_assets.kernels.bases import Letters, Offsets, kernel_text
from opengenome_assets.kernels.runs import last_letters, pack8, run_end, run_start

MAX_K = 12

_PAIRED_K = 8  # the table of 9-mers, 1 MiB, still fits a core's own cache; the next, 4 MiB, does not
_PIECE = 128  # letters
_UINT32_MAX = 2**32 - 1  # no counter overflows within this number of letters


class KmerCounter:
    """Exact counts of k-mers of several lengths, from one pass over the text.

    Parameters
    ----------
    ks : sequence of int
        Lengths to count, each from 1 to 12.
    flush_limit : int
        Letters after which the 32-bit tables are added to the 64-bit totals. A sequence is never split, so its
        maximum is 2**32 - 1 letters.

    Raises
    ------
    ValueError
        If ``ks`` is empty or holds another length.
    """

    def __init__(self, ks: Sequence[int], flush_limit: int = _UINT32_MAX) -> None:
        if not ks or not all(1 <= k <= MAX_K for k in ks):
            raise ValueError(f"expected k-mer lengths from 1 to {MAX_K}, found {list(ks)}")
        self.ks = tuple(sorted(set(ks)))
        self._flush_limit = flush_limit
        self._pending = 0  # letters counted since the last flush
        longest = self.ks[-1]
        self._k = _PAIRED_K if longest <= _PAIRED_K else longest
        self._pairs = np.zeros(4 ** (self._k + 1) if self._k == _PAIRED_K else 0, np.uint32)
        self._words = np.zeros(4**self._k, np.uint32)
        self._ends = np.zeros(2 * 4 ** (self._k - 1), np.uint32)
        self._word_totals = np.zeros(len(self._words), np.int64)
        self._end_totals = np.zeros(len(self._ends), np.int64)

    def add(self, data: Letters, offsets: Offsets) -> None:
        """Count the k-mers of some sequences.

        Parameters
        ----------
        data : uint8 array
            Letters of all sequences.
        offsets : int32 or int64 array of shape (sequences + 1,)
            Where each sequence begins and ends in ``data``.

        Raises
        ------
        ValueError
            If a sequence has more than 2**32 - 1 letters, or the offsets leave ``data``.
        """
        data, offsets = kernel_text(data, offsets)
        if len(offsets) > 1 and (longest := int(np.diff(offsets).max())) > _UINT32_MAX:
            raise ValueError(f"a sequence of {longest} letters is longer than the maximum of 2**32 - 1; split it")
        first, last = 0, len(offsets) - 1
        while first < last:
            room = offsets[first] + self._flush_limit - self._pending
            stop = min(int(np.searchsorted(offsets, room, side="right")) - 1, last)
            if stop <= first and self._pending:
                self._flush()
                continue
            stop = max(stop, first + 1)
            records = offsets[first : stop + 1]
            if self._k == _PAIRED_K:
                _count_paired(data, records, self._pairs, self._words, self._ends)
            else:
                _count_single(data, records, self._k, self._words, self._ends)
            self._pending += int(offsets[stop] - offsets[first])
            first = stop

    def counts(self) -> dict[int, npt.NDArray[np.int64]]:
        """Counts so far.

        Returns
        -------
        dict from k to int64 array of shape (4**k,)
            In lexicographic order of the k-mers, for each k asked for.
        """
        self._flush()
        counts = {}
        level, ends = self._word_totals, self._end_totals[4 ** (self._k - 1) :]
        for k in range(self._k, 0, -1):
            if k in self.ks:
                counts[k] = level.copy()
            if k > 1:
                level = _sums_of_four(level) + ends
                ends = ends.reshape(4, -1).sum(axis=0) + self._end_totals[4 ** (k - 2) : 2 * 4 ** (k - 2)]
        return dict(sorted(counts.items()))

    def _flush(self) -> None:
        if len(self._pairs):
            self._word_totals += fold_pairs(self._pairs)
        self._word_totals += self._words
        self._end_totals += self._ends
        for table in (self._pairs, self._words, self._ends):
            table[:] = 0
        self._pending = 0


def pair_counter(k: int) -> Any:
    """Make the inner loop of the fast count for a fixed k of up to 9, for use in compiled loops.

    The shifts must be constants: variables cost a fifth of the speed.

    Returns
    -------
    compiled function (data, position, stop, pairs) -> int
        Counts every second (k + 1)-mer from ``position`` on while 16 valid letters are left before ``stop``.
        Returns the start of the first k-mer that is in none of them. ``pairs`` is a uint32 table of shape
        (4**(k + 1),), which `fold_pairs` turns into k-mer counts.
    """
    mask = np.uint64(4 ** (k + 1) - 1)
    shift0, shift2, shift4, shift6 = (np.uint64(2 * (15 - k - ahead)) for ahead in (0, 2, 4, 6))

    @njit(inline="always")
    def count_pairs(data: Any, position: int, stop: int, pairs: Any) -> int:
        if position + 16 <= stop:
            near = pack8(data, position)
            while position + 16 <= stop:
                far = pack8(data, position + 8)
                word = (near << np.uint64(16)) | far
                pairs[(word >> shift0) & mask] += 1
                pairs[(word >> shift2) & mask] += 1
                pairs[(word >> shift4) & mask] += 1
                pairs[(word >> shift6) & mask] += 1
                near = far
                position += 8
        return position

    return count_pairs


def fold_pairs(pairs: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Counts of k-mers in a table of (k + 1)-mers: each is a prefix and a suffix.

    Parameters
    ----------
    pairs : uint32 array of shape (4**(k + 1),)

    Returns
    -------
    int64 array of shape (4**k,)
    """
    prefixes = _sums_of_four(pairs)
    suffixes: npt.NDArray[np.int64] = pairs.reshape(4, -1).sum(axis=0, dtype=np.int64)
    return prefixes + suffixes


def _sums_of_four(counts: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """Sum of each four neighbours, int64. NumPy takes several times as long along so short an axis."""
    a, b, c, d = counts.reshape(-1, 4).T
    sums: npt.NDArray[np.int64] = a.astype(np.int64)
    for each in (b, c, d):
        sums += each
    return sums


_count_pairs = pair_counter(_PAIRED_K)


@njit(inline="always")
def _end_slot(tail: np.uint64, length: int, longest: int) -> np.uint64:
    """Place in the table of ends for a run: its last ``longest`` letters, or all if it has fewer.

    A leading 1 bit tells the lengths apart, so one table of 2 * 4**longest holds them all.
    """
    bit = np.uint64(1) << np.uint64(2 * min(longest, length))
    return (tail & (bit - np.uint64(1))) | bit


@njit(nogil=True)
def _count_run(data: Any, start: int, end: int, pairs: Any) -> tuple[int, int]:
    """Count the 9-mers of the run from ``start`` on; return the start of the first 8-mer in none, and the run's end.

    It is a separate function because the code for the ends of runs would take its registers: 4 % of the speed.
    """
    position = stop = reach = start
    # Each piece is validated and then counted while it is in the cache. Counting waits for the table, so that it
    # overlaps with validating, which does not wait.
    while stop == reach and stop < end:
        reach = min(stop + _PIECE, end)
        stop = run_end(data, stop, reach)
        position = _count_pairs(data, position, stop, pairs)
    return position, stop


@njit(cache=True, nogil=True)
def _count_paired(data: Any, offsets: Any, pairs: Any, words: Any, ends: Any) -> None:
    """Count 8-mers: as 9-mers at every second position in ``pairs``, and the last of an odd number in ``words``."""
    word_mask, pair_mask = np.uint64(4**_PAIRED_K - 1), np.uint64(4 ** (_PAIRED_K + 1) - 1)
    for row in range(len(offsets) - 1):
        end = offsets[row + 1]
        start = run_start(data, offsets[row], end)
        while start < end:
            position, stop = _count_run(data, start, end, pairs)
            tail = last_letters(data, start, stop)
            ends[_end_slot(tail, stop - start, _PAIRED_K - 1)] += 1
            windows = stop - position - _PAIRED_K + 1
            while windows >= 2:
                pairs[tail & pair_mask] += 1
                tail >>= np.uint64(4)
                windows -= 2
            if windows == 1:
                words[tail & word_mask] += 1
            start = run_start(data, stop, end)


@njit(cache=True, nogil=True)
def _count_single(data: Any, offsets: Any, k: int, words: Any, ends: Any) -> None:
    """Count k-mers one by one, k up to 13."""
    mask, spare = np.uint64(4**k - 1), np.uint64(2 * (13 - k))
    for row in range(len(offsets) - 1):
        end = offsets[row + 1]
        start = run_start(data, offsets[row], end)
        while start < end:
            stop = run_end(data, start, end)
            position = start
            while position + 16 <= stop:
                word = ((pack8(data, position) << np.uint64(16)) | pack8(data, position + 8)) >> spare
                words[(word >> np.uint64(6)) & mask] += 1
                words[(word >> np.uint64(4)) & mask] += 1
                words[(word >> np.uint64(2)) & mask] += 1
                words[word & mask] += 1
                position += 4
            tail = last_letters(data, start, stop)
            ends[_end_slot(tail, stop - start, k - 1)] += 1
            for _ in range(stop - position - k + 1):
                words[tail & mask] += 1
                tail >>= np.uint64(2)
            start = run_start(data, stop, end)


@njit(cache=True, nogil=True)
def _count_windows(data: Any, offsets: Any, windows: Any) -> None:
    for row in range(len(offsets) - 1):
        end = offsets[row + 1]
        start = run_start(data, offsets[row], end)
        while start < end:
            stop = run_end(data, start, end)
            for k in range(1, min(stop - start, len(windows)) + 1):
                windows[k - 1] += stop - start - k + 1
            start = run_start(data, stop, end)


def valid_windows(data: Letters, offsets: Offsets) -> npt.NDArray[np.int64]:
    """Number of windows of k valid letters, from the lengths of the runs alone.

    The counts of `KmerCounter` must add up to it. No k-mer is counted here, so that the two are independent.

    Parameters
    ----------
    data : uint8 array
        Letters of all sequences.
    offsets : int32 or int64 array of shape (sequences + 1,)
        Where each sequence begins and ends in ``data``.

    Returns
    -------
    int64 array of shape (12,)
        For k from 1 to 12: the sum of length - k + 1 over the runs of at least k valid letters.
    """
    windows = np.zeros(MAX_K, np.int64)
    _count_windows(*kernel_text(data, offsets), windows)
    return windows
