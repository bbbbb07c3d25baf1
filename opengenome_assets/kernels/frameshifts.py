"""Alignment of a protein to DNA that may leave its reading frame.

Belongs here: the local alignment with frameshifts, of one pair. Does not belong here: where to look for a gene, and
what a frameshift means (``proteins``).

The recurrence is that of Smith and Waterman with affine gaps over codons, and two moves more (Zhang, Pearson & Miller
1997, J Comput Biol 4:339): a codon that begins one base after, or one base before, the end of the codon before it. Both
cost the same. Scores and costs are doubled.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from opengenome_assets.kernels.bases import readonly

CODON, FORWARD, BACKWARD, DELETION, INSERTION = range(5)
"""Moves: a codon and a letter; the same after one base passed over; with one base read twice; a letter alone; a codon
alone."""

_LONGER_DELETION, _LONGER_INSERTION = 8, 16
_NEVER = -(1 << 29)


@dataclass(frozen=True)
class FrameAlignment:
    """A protein aligned to one strand of DNA.

    Attributes
    ----------
    score : int
        Doubled.
    moves : uint8 array of shape (columns,)
        From start to end.
    reference, base : int64 arrays of shape (columns,)
        Letter of the protein and first base of the codon of each column; of a letter alone the base that follows, of a
        codon alone the letter that follows. 0-based.
    """

    score: int
    moves: npt.NDArray[np.uint8]
    reference: npt.NDArray[np.int64]
    base: npt.NDArray[np.int64]


def align_frames(
    codons: npt.NDArray[np.uint8],
    reference: npt.NDArray[np.uint8],
    scores: npt.NDArray[np.int32],
    gap_open: int,
    gap_extend: int,
    frameshift: int,
) -> FrameAlignment:
    """Align a protein to DNA locally.

    Of alignments with the same score, the one that ends first on the protein, then first on the DNA.

    Parameters
    ----------
    codons : uint8 array of shape (bases - 2,)
        Code (`opengenome_assets.kernels.amino_acids`) of the codon that begins at each base.
    reference : uint8 array
        Codes of the protein.
    scores : int32 array of shape (24, 24)
        Doubled.
    gap_open, gap_extend, frameshift : int
        Doubled costs of a gap's first letter or codon, of each further one, and of one base more or less.
    """
    score, moves, letters, bases = _align(
        *(readonly(np.ascontiguousarray(codons)), readonly(np.ascontiguousarray(reference))),
        *(readonly(np.ascontiguousarray(scores, np.int32)), gap_open, gap_extend, frameshift),
    )
    return FrameAlignment(int(score), moves[::-1], letters[::-1], bases[::-1])


@njit(cache=True, nogil=True)
def _align(codons: Any, reference: Any, scores: Any, gap_open: int, gap_extend: int, frameshift: int) -> Any:
    """Fill the table, row by row, and go back from its best cell; columns stand from end to start."""
    length = len(codons) + 3  # cells: bases before the cell, 0 to all of them
    above, here = np.zeros(length, np.int32), np.zeros(length, np.int32)
    deletion, insertion = np.full(length, _NEVER, np.int32), np.empty(length, np.int32)
    moves = np.empty((len(reference) + 1, length), np.uint8)
    best, end_row, end_cell = 0, 0, 0
    for row in range(1, len(reference) + 1):
        letter = scores[reference[row - 1]]
        for cell in range(length):
            move, value = 5, 0  # 5: begins here
            begun, longer = above[cell] - gap_open, deletion[cell] - gap_extend
            deletion[cell] = max(begun, longer)
            flags = 8 if longer > begun else 0
            insertion[cell] = _NEVER
            if cell >= 3:
                pair = letter[codons[cell - 3]]
                if above[cell - 3] + pair > value:
                    move, value = 0, above[cell - 3] + pair
                if cell >= 4 and above[cell - 4] + pair - frameshift > value:
                    move, value = 1, above[cell - 4] + pair - frameshift
                if above[cell - 2] + pair - frameshift > value:
                    move, value = 2, above[cell - 2] + pair - frameshift
                begun, longer = here[cell - 3] - gap_open, insertion[cell - 3] - gap_extend
                insertion[cell] = max(begun, longer)
                flags |= 16 if longer > begun else 0
            if deletion[cell] > value:
                move, value = 3, deletion[cell]
            if insertion[cell] > value:
                move, value = 4, insertion[cell]
            here[cell] = value
            moves[row, cell] = move | flags
            if value > best:
                best, end_row, end_cell = value, row, cell
        above, here = here, above
    row, cell, columns, state = end_row, end_cell, 0, 0
    out = np.empty(len(reference) + length, np.uint8)
    letters, bases = np.empty(len(out), np.int64), np.empty(len(out), np.int64)
    while row > 0:
        move = moves[row, cell]
        step = state if state else move & 7
        if step == 5:
            break
        out[columns] = step
        if step == 3:
            row -= 1
            state = 3 if move & 8 else 0
        else:
            if step == 4:
                state = 4 if move & 16 else 0
            else:
                row -= 1
            letters[columns], bases[columns] = row, cell - 3
            cell -= 4 if step == 1 else (2 if step == 2 else 3)
        if step == 3:
            letters[columns], bases[columns] = row, cell
        columns += 1
        if cell < 0:
            break
    return best, out[:columns].copy(), letters[:columns].copy(), bases[:columns].copy()
