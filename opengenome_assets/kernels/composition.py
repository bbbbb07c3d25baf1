"""Base composition of each sequence: how many letters are bases, and how many are G or C (GC content).

Belongs here: these two counts. Does not belong here: k-mers and codons.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from opengenome_assets.kernels.bases import Letters, Offsets, kernel_text
from opengenome_assets.kernels.runs import BLOCK, IS_BASE, acgt_mask, gc_mask, set_bits


def composition(data: Letters, offsets: Offsets) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count the bases of each sequence.

    Parameters
    ----------
    data : uint8 array
        Letters of all sequences.
    offsets : int32 or int64 array of shape (sequences + 1,)
        Where each sequence begins and ends in ``data``.

    Returns
    -------
    acgt : int64 array of shape (sequences,)
        Letters that are A, C, G or T, in either case.
    gc : int64 array of shape (sequences,)
        Letters that are G or C, in either case.
    """
    data, offsets = kernel_text(data, offsets)
    acgt, gc = np.zeros(len(offsets) - 1, np.int64), np.zeros(len(offsets) - 1, np.int64)
    _count_bases(data, offsets, acgt, gc)
    return acgt, gc


@njit(cache=True, nogil=True)
def _count_bases(data: Any, offsets: Any, acgt: Any, gc: Any) -> None:
    for row in range(len(offsets) - 1):
        position, end = offsets[row], offsets[row + 1]
        bases = strong = 0
        while position < end and position + BLOCK <= data.size:
            # Where this sequence ends within the block, the letters of the next are shifted out.
            beyond = np.uint64(max(position + BLOCK - end, 0))
            bases += set_bits(acgt_mask(data, position) << beyond)
            strong += set_bits(gc_mask(data, position) << beyond)
            position += BLOCK
        while position < end:  # the last letters of the buffer
            letter = data[position]
            bases += IS_BASE[letter]
            strong += (letter & 0xDB) == ord("C")
            position += 1
        acgt[row], gc[row] = bases, strong
