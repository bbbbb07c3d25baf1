"""Full tables of many queries against one reference, side by side in the lanes of SIMD registers.

Belongs here: the recurrence of `opengenome_assets.kernels.alignments` for 16 queries at once, in 16 bits (Rognes 2011,
BMC Bioinformatics 12:221, has sequences side by side too). Does not belong here: which pairs need the full table, and
those whose scores need more bits.

Cells of one place stand together: the cell of column j and lane l is at ``j * LANES + l``. So no loop depends on the
cell before, not even that of the insertions, which reaches back by a whole column.
"""

from typing import Any

import numpy as np
from numba import njit

LANES = 16
LEAST = 6
"""Queries below which one after the other is faster."""

MOST_SCORE = 1 << 14
"""Half of 16 bits: scores, and what gaps take from them, stay below it."""

_NEVER = -MOST_SCORE


@njit(cache=True, nogil=True)
def align_lanes(
    queries: Any,
    query_offsets: Any,
    references: Any,
    reference_offsets: Any,
    pairs: Any,
    order: Any,
    scores: Any,
    gap_open: int,
    gap_extend: int,
    out_scores: Any,
    starts: Any,
    ends: Any,
    counts: Any,
) -> Any:
    """Align the pairs numbered by ``order``, in which those of one reference stand together, by length of the query.

    Fills the rows of ``out_scores``, ``starts``, ``ends`` and ``counts`` (runs) of these pairs. Returns the runs, in
    the order of ``order``, each from its end to its start.
    """
    runs = np.empty(1 << 12, np.uint32)
    used = 0
    first = 0
    moves = np.empty(0, np.uint8)
    while first < len(order):
        number = pairs[order[first], 1]
        last = first
        while last < len(order) and last < first + LANES and pairs[order[last], 1] == number:
            last += 1
        reference = references[reference_offsets[number] : reference_offsets[number + 1]]
        lengths = np.zeros(LANES, np.int64)
        for lane in range(last - first):
            query = pairs[order[first + lane], 0]
            lengths[lane] = query_offsets[query + 1] - query_offsets[query]
        longest = lengths.max()
        width = longest * LANES
        profile = np.zeros((24, width), np.int16)
        for lane in range(last - first):
            begin = query_offsets[pairs[order[first + lane], 0]]
            for letter in range(24):
                for column in range(lengths[lane]):
                    profile[letter, column * LANES + lane] = scores[letter, queries[begin + column]]
        if len(moves) < width * len(reference):
            moves = np.empty(width * len(reference), np.uint8)
        best = np.zeros(LANES, np.int64)
        end_rows, end_columns = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
        _fill(reference, profile, lengths, gap_open, gap_extend, moves, best, end_rows, end_columns)
        for lane in range(last - first):
            pair = order[first + lane]
            row, column = end_rows[lane], end_columns[lane]
            if used + row + column > len(runs):
                larger = np.empty(2 * (used + row + column), np.uint32)
                larger[:used] = runs[:used]
                runs = larger
            out_scores[pair] = best[lane]
            ends[pair, 0], ends[pair, 1] = column, row
            begin = query_offsets[pairs[pair, 0]]
            before = used
            state = 0
            while row > 0 and column > 0:
                move = moves[width * (row - 1) + (column - 1) * LANES + lane]
                if state == 0 and move & 3:
                    state = move & 3
                if state == 0:
                    operation = 0 if queries[begin + column - 1] == reference[row - 1] else 1
                    row -= 1
                    column -= 1
                elif state == 1:
                    operation = 2
                    state = 1 if move & 4 else 0
                    column -= 1
                else:
                    operation = 3
                    state = 2 if move & 8 else 0
                    row -= 1
                if used > before and runs[used - 1] & 3 == operation:
                    runs[used - 1] += 4
                else:
                    runs[used] = 4 + operation
                    used += 1
            starts[pair, 0], starts[pair, 1] = column, row
            counts[pair] = used - before
        first = last
    return runs[:used]


@njit(nogil=True)
def _fill(
    reference: Any,
    profile: Any,
    lengths: Any,
    gap_open: int,
    gap_extend: int,
    moves: Any,
    best: Any,
    end_rows: Any,
    end_columns: Any,
) -> None:
    """Fill the table, and note each lane's first best end."""
    width = profile.shape[1]
    above, here = np.zeros(width + LANES, np.int16), np.zeros(width + LANES, np.int16)
    deletion = np.full(width, _NEVER, np.int16)
    insertion = np.full(width + LANES, _NEVER, np.int16)
    without = np.zeros(width + LANES, np.int16)
    lanes = np.int64(LANES)
    for row in range(len(reference)):
        out = moves[row * width : (row + 1) * width]
        _deletions(above[lanes:], gap_open, gap_extend, deletion, out)
        _pairs(above[:width], profile[reference[row]], deletion, without[lanes:], out)
        _insertions(without[:width], gap_open, gap_extend, insertion)
        _insertion_moves(without[:width], insertion, without[lanes:], gap_open, gap_extend, out)
        _maxima(without[lanes:], insertion[lanes:], here[lanes:])
        for lane in range(LANES):
            score = here[lengths[lane] * LANES + lane]
            if lengths[lane] and score > best[lane]:
                best[lane], end_rows[lane], end_columns[lane] = score, row + 1, lengths[lane]
        above, here = here, above
    for lane in range(LANES):
        for column in range(1, lengths[lane] + 1):
            score = above[column * LANES + lane]
            if score > best[lane]:
                best[lane], end_rows[lane], end_columns[lane] = score, len(reference), column


@njit(nogil=True)
def _deletions(above: Any, gap_open: Any, gap_extend: Any, deletion: Any, moves: Any) -> None:
    opened, extended = np.int16(gap_open), np.int16(gap_extend)
    for cell in range(len(moves)):
        begun = np.int16(above[cell] - opened)
        longer = np.int16(deletion[cell] - extended)
        deletion[cell] = max(longer, begun)
        moves[cell] = np.uint8(8) if longer > begun else np.uint8(0)


@njit(nogil=True)
def _pairs(diagonal: Any, scores: Any, deletion: Any, without: Any, moves: Any) -> None:
    for cell in range(len(moves)):
        pair = np.int16(diagonal[cell] + scores[cell])
        gap = deletion[cell]
        without[cell] = max(gap, pair)
        moves[cell] = np.uint8(moves[cell] | (np.uint8(2) if gap > pair else np.uint8(0)))


@njit(nogil=True)
def _insertions(without_left: Any, gap_open: Any, gap_extend: Any, insertion: Any) -> None:
    """Reaches back by a column, which is as long as a register: LLVM vectorises it."""
    opened, extended = np.int16(gap_open), np.int16(gap_extend)
    for cell in range(len(without_left)):
        insertion[cell + LANES] = max(np.int16(insertion[cell] - extended), np.int16(without_left[cell] - opened))


@njit(nogil=True)
def _insertion_moves(
    without_left: Any, insertion: Any, without: Any, gap_open: Any, gap_extend: Any, moves: Any
) -> None:
    opened, extended = np.int16(gap_open), np.int16(gap_extend)
    for cell in range(len(moves)):
        longer = np.int16(insertion[cell] - extended) > np.int16(without_left[cell] - opened)
        move = moves[cell]
        move = np.uint8((move & np.uint8(8)) | np.uint8(1)) if insertion[cell + LANES] > without[cell] else move
        moves[cell] = np.uint8(move | (np.uint8(4) if longer else np.uint8(0)))


@njit(nogil=True)
def _maxima(without: Any, insertion: Any, here: Any) -> None:
    for cell in range(len(here)):
        here[cell] = max(without[cell], insertion[cell])
