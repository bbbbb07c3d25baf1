"""Semi-global alignment of proteins with affine gaps: exact, and with the proof that it is.

Belongs here: the alignment of pairs and its CIGAR. Does not belong here: which pairs to align
(`opengenome_assets.kernels.assignment`) and what a difference means (``proteins``).

Gaps at the ends of either sequence are free, as in parasail's ``sg``. A gap of n letters costs open + (n - 1) * extend
(Gotoh 1982), as in EMBOSS. Scores are doubled, so that EMBOSS' 10 and 0.5 are 20 and 1.

A pair takes the cheapest of three ways whose result is proved to be the optimum. A diagonal is the place in the query
minus the place in the reference. S is the shorter sequence's score if each of its letters met its best partner; m is
the smallest such score of one of its letters. The corridor holds the diagonals between 0 and the difference of the
lengths. A path that visits a diagonal e beyond the corridor leaves e letters of the shorter sequence unaligned, and so
scores at most S - e * m.

- `UNGAPPED`: a path with a gap scores at most S - open. A diagonal above that bound, and above every other diagonal, is
  the optimum. Other diagonals are left as soon as they cannot reach it.
- `BAND`: dynamic programming over the corridor and w diagonals on either side. A path that leaves the band has a gap
  and scores at most S - open - (w + 1) * m, or is an ungapped diagonal outside, which is looked at. When all of them
  score less than the best path of the band, that one is the optimum.
- `FULL`: dynamic programming over everything. The proof is the recurrence. Queries of one reference are worked on side
  by side (`opengenome_assets.kernels.lanes`).

Tie rule: of co-optimal alignments the one that ends first in the reference, then first in the query. From there
backwards, a pair of letters is preferred to a deletion, a deletion to an insertion, and a shorter gap to a longer one.
So gaps stand as far left as they can. The bounds above are strict: every co-optimal path lies inside the band, and the
three ways give the same alignment.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from opengenome_assets.kernels.bases import kernel_text, readonly
from opengenome_assets.kernels.lanes import LANES, LEAST, MOST_SCORE, align_lanes

UNGAPPED, BAND, FULL = 0, 1, 2
PROOFS = ("ungapped", "band", "full")

# Operations of a CIGAR (SAM specification, 1.4.6): a run is its length times 4 plus its place here. I is a letter of
# the query only, D one of the reference only.
OPERATIONS = "=XID"
_SAME, _OTHER, _INSERTION, _DELETION = 0, 1, 2, 3

# Mark of a pair whose full table is left to `align_lanes`.
_LEFT = 255

# Cells whose moves are kept at once. Beyond, rows are kept as checkpoints, and moves are worked out again block by
# block: two proteins of 35,000 letters take 100 MB instead of 1.2 GB, and twice the time.
_CELLS = 1 << 24

# A band wider than this share of the query saves nothing over the full table.
_WIDEST = 0.6

# A width up to here is tried at once.
_TRUSTED = 64

# Far below every score of a path and far above int32's smallest number.
_NEVER = -(1 << 29)

# Bits of a move. The first two say where a cell's score comes from; a pair of letters is 0.
_FROM_INSERTION, _FROM_DELETION, _LONGER_INSERTION, _LONGER_DELETION = 1, 2, 4, 8


@dataclass(frozen=True)
class Alignments:
    """Alignments of pairs, one element a pair.

    Attributes
    ----------
    scores : int32 array of shape (pairs,)
        Doubled.
    proofs : uint8 array of shape (pairs,)
        Place in `PROOFS`.
    starts, ends : int32 arrays of shape (pairs, 2)
        Aligned part of the query and of the reference, 0-based, half-open.
    runs : uint32 array
        CIGARs of all pairs, from start to end: ``length * 4 + operation``.
    run_offsets : int64 array of shape (pairs + 1,)
        Where each pair's runs begin and end.
    """

    scores: npt.NDArray[np.int32]
    proofs: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    runs: npt.NDArray[np.uint32]
    run_offsets: npt.NDArray[np.int64]

    def cigar(self, pair: int) -> str:
        """CIGAR of one pair, such as ``82=1X793=``; empty when no letters are aligned."""
        runs = self.runs[self.run_offsets[pair] : self.run_offsets[pair + 1]].tolist()
        return "".join(f"{run >> 2}{OPERATIONS[run & 3]}" for run in runs)


def align_pairs(
    queries: npt.NDArray[np.uint8],
    query_offsets: npt.NDArray[np.int64],
    references: npt.NDArray[np.uint8],
    reference_offsets: npt.NDArray[np.int64],
    pairs: npt.NDArray[np.int32],
    scores: npt.NDArray[np.int32],
    gap_open: int,
    gap_extend: int,
    *,
    least_proof: int = UNGAPPED,
) -> Alignments:
    """Align pairs of proteins. Releases the GIL: threads may share the pairs.

    Parameters
    ----------
    queries, references : uint8 arrays
        Codes of all letters (`opengenome_assets.kernels.amino_acids`), in [0, 24).
    query_offsets, reference_offsets : int64 arrays of shape (sequences + 1,)
        Where each sequence begins and ends. No sequence is empty.
    pairs : int32 array of shape (pairs, 2)
        Numbers of the query and of the reference.
    scores : int32 array of shape (24, 24)
        Doubled and symmetric.
    gap_open, gap_extend : int
        Doubled costs of a gap's first letter and of each further one: ``gap_open >= gap_extend >= 0``.
    least_proof : int
        `BAND` leaves out the ungapped way, `FULL` the band too. The results are the same.
    """
    if not gap_open >= gap_extend >= 0:
        raise ValueError(f"A gap's first letter must cost at least as much as a further one: {gap_open}, {gap_extend}.")
    count = len(pairs)
    found, proofs = np.empty(count, np.int32), np.empty(count, np.uint8)
    starts, ends = np.empty((count, 2), np.int32), np.empty((count, 2), np.int32)
    best = np.maximum(scores.max(axis=1), 0).astype(np.int32)
    pairs = np.ascontiguousarray(pairs, np.int32)
    together = _together(pairs)
    runs, offsets = _align_pairs(
        *(*kernel_text(queries, query_offsets), *kernel_text(references, reference_offsets)),
        *(readonly(pairs), readonly(np.ascontiguousarray(scores, np.int32)), best),
        *(gap_open, gap_extend, least_proof, _CELLS, together, found, proofs, starts, ends),
    )
    if (left := np.flatnonzero(proofs == _LEFT)).size:
        lengths = np.diff(query_offsets)[pairs[left, 0]]
        order = left[np.lexsort((lengths, pairs[left, 1]))]
        counts = np.diff(offsets)
        more = align_lanes(
            *(*kernel_text(queries, query_offsets), *kernel_text(references, reference_offsets)),
            *(readonly(pairs), order, readonly(np.ascontiguousarray(scores, np.int32)), gap_open, gap_extend),
            *(found, starts, ends, counts),
        )
        proofs[left] = FULL
        runs, offsets = _merged(runs, offsets, more[::-1], order[::-1], counts)
    return Alignments(found, proofs, starts, ends, runs, offsets)


def _together(pairs: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Whether a pair's reference has so many pairs that they may fill lanes."""
    if not len(pairs):
        return np.zeros(0, np.bool_)
    enough: npt.NDArray[np.bool_] = np.bincount(pairs[:, 1])[pairs[:, 1]] >= LEAST
    return enough


def _merged(
    runs: npt.NDArray[np.uint32],
    offsets: npt.NDArray[np.int64],
    more: npt.NDArray[np.uint32],
    order: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Runs of all pairs in their order, from those of some and those, ``more``, of the others."""
    merged_offsets = np.concatenate([[0], np.cumsum(counts)])
    merged = np.empty(merged_offsets[-1], np.uint32)
    for source, numbers in ((runs, np.flatnonzero(np.diff(offsets))), (more, order)):
        sizes = counts[numbers]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        merged[np.repeat(merged_offsets[numbers], sizes) + within] = source
    return merged, merged_offsets


@njit(cache=True, nogil=True)
def _align_pairs(
    queries: Any,
    query_offsets: Any,
    references: Any,
    reference_offsets: Any,
    pairs: Any,
    scores: Any,
    best: Any,
    gap_open: int,
    gap_extend: int,
    least_proof: int,
    most_cells: int,
    together: Any,
    out_scores: Any,
    out_proofs: Any,
    starts: Any,
    ends: Any,
) -> Any:
    """Align every pair into the ``out`` arrays; return runs and their offsets."""
    longest = 0
    for pair in range(len(pairs)):
        longest = max(longest, query_offsets[pairs[pair, 0] + 1] - query_offsets[pairs[pair, 0]])
    rows = np.empty((5, longest + 2), np.int32)
    profile = np.empty((24, longest + 1), np.int32)
    moves = np.empty(1 << 16, np.uint8)
    runs = np.empty(1 << 10, np.uint32)
    offsets = np.zeros(len(pairs) + 1, np.int64)
    profiled = -1
    for pair in range(len(pairs)):
        number = pairs[pair, 0]
        query = queries[query_offsets[number] : query_offsets[number + 1]]
        reference = references[reference_offsets[pairs[pair, 1]] : reference_offsets[pairs[pair, 1] + 1]]
        room = len(query) + len(reference)
        used = offsets[pair]
        if used + room > len(runs):
            larger = np.empty(2 * (used + room), np.uint32)
            larger[:used] = runs[:used]
            runs = larger
        diagonal, score = 0, 0
        proved = False
        if least_proof == 0:
            diagonal, score, proved = _ungapped(query, reference, scores, best, gap_open)
        if proved:
            start_query, start_reference = max(0, diagonal), max(0, -diagonal)
            columns = min(len(query) - start_query, len(reference) - start_reference)
            first = used
            for column in range(columns):
                same = query[start_query + column] == reference[start_reference + column]
                used = _add_run(runs, first, used, 0 if same else 1)
            out_proofs[pair] = 0
            out_scores[pair] = score
            starts[pair, 0], starts[pair, 1] = start_query, start_reference
            ends[pair, 0], ends[pair, 1] = start_query + columns, start_reference + columns
            offsets[pair + 1] = used
            continue
        if number != profiled:
            for letter in range(24):
                for place in range(len(query)):
                    profile[letter, place] = scores[letter, query[place]]
            profiled = number
        low, high = min(0, len(query) - len(reference)), max(0, len(query) - len(reference))
        proof, width = 2, 0
        if least_proof < 2:
            width = _width(query, reference, scores, best, gap_open)
            for _ in range(2):
                if width < 0 or high - low + 1 + 2 * width > _WIDEST * len(query):
                    break
                score, end_reference, end_query, moves = _table(
                    query, reference, profile, low - width, high + width, gap_open, gap_extend, most_cells, rows, moves
                )
                if score <= 0:
                    break
                needed = _proving_width(query, reference, scores, best, gap_open, score)
                if needed <= width and not _outside(query, reference, scores, best, low, high, width, score):
                    proof = 1
                    break
                width = max(needed, 2 * width) if needed >= 0 else -1
        if proof == 2 and together[pair] and _fits(query, reference, best, gap_open, gap_extend, most_cells):
            out_proofs[pair] = 255
            offsets[pair + 1] = used
            continue
        below, above = low - width, high + width
        if proof == 2:
            below, above = -len(reference), len(query)
            score, end_reference, end_query, moves = _table(
                query, reference, profile, below, above, gap_open, gap_extend, most_cells, rows, moves
            )
        first = used
        used, start_reference, start_query = _trace(
            *(query, reference, profile, below, above, gap_open, gap_extend, most_cells, rows, moves),
            *(end_reference, end_query, runs, first),
        )
        for place in range((used - first) // 2):
            runs[first + place], runs[used - 1 - place] = runs[used - 1 - place], runs[first + place]
        out_proofs[pair] = proof
        out_scores[pair] = score
        starts[pair, 0], starts[pair, 1] = start_query, start_reference
        ends[pair, 0], ends[pair, 1] = end_query, end_reference
        offsets[pair + 1] = used
    return runs[: offsets[-1]].copy(), offsets


@njit(nogil=True)
def _fits(query: Any, reference: Any, best: Any, gap_open: int, gap_extend: int, most_cells: int) -> Any:
    """Whether scores fit into 16 bits, and the moves of all lanes into memory."""
    total, _ = _potential(query if len(query) <= len(reference) else reference, best)
    gaps = 2 * gap_open + gap_extend * (len(query) + len(reference))
    small = len(query) * len(reference) * LANES <= 4 * most_cells
    return small and total < MOST_SCORE and gaps < MOST_SCORE // 2


@njit(nogil=True)
def _add_run(runs: Any, first: int, used: int, operation: int) -> Any:
    """Lengthen the last run or begin one; return how many runs there are."""
    if used > first and runs[used - 1] & 3 == operation:
        runs[used - 1] += 4
        return used
    runs[used] = 4 + operation
    return used + 1


@njit(nogil=True)
def _potential(short: Any, best: Any) -> Any:
    """S and m of the module's bound."""
    total, least = 0, 1 << 20
    for letter in short:
        total += best[letter]
        least = min(least, best[letter])
    return total, least


@njit(nogil=True)
def _diagonal(query: Any, reference: Any, scores: Any, best: Any, diagonal: int, bound: int, goal: int) -> Any:
    """Score of an ungapped diagonal, or ``goal`` or less as soon as it cannot be above ``goal``.

    ``bound`` is what it could score at most. Each pair takes from it what its letter of the shorter sequence loses.
    """
    start_query, start_reference = max(0, diagonal), max(0, -diagonal)
    columns = min(len(query) - start_query, len(reference) - start_reference)
    by_query = len(query) <= len(reference)
    score = 0
    for column in range(columns):
        letter, other = query[start_query + column], reference[start_reference + column]
        pair = scores[letter, other]
        score += pair
        bound -= (best[letter] if by_query else best[other]) - pair
        if bound <= goal:
            return goal
    return score


@njit(nogil=True)
def _ungapped(query: Any, reference: Any, scores: Any, best: Any, gap_open: int) -> Any:
    """Best diagonal, its score, and whether it is proved to be the only optimum."""
    total, least = _potential(query if len(query) <= len(reference) else reference, best)
    low, high = min(0, len(query) - len(reference)), max(0, len(query) - len(reference))
    beyond = gap_open // least if least > 0 else len(query) + len(reference)
    goal = max(0, total - gap_open)
    found, where, twice = goal, 0, False
    for diagonal in range(max(low - beyond, 1 - len(reference)), min(high + beyond, len(query) - 1) + 1):
        bound = total - least * max(low - diagonal, diagonal - high, 0)
        score = _diagonal(query, reference, scores, best, diagonal, bound, found - 1)
        if score > found:
            found, where, twice = score, diagonal, False
        elif score == found:
            twice = True
    return where, found, found > goal and not twice


@njit(nogil=True)
def _proving_width(query: Any, reference: Any, scores: Any, best: Any, gap_open: int, score: int) -> Any:
    """Smallest width at which paths with a gap that leave the band score less than ``score``; -1 if there is none."""
    total, least = _potential(query if len(query) <= len(reference) else reference, best)
    if total - gap_open < score:
        return 0
    if least == 0:
        return -1
    return max(0, (total - gap_open - score) // least)


@njit(nogil=True)
def _width(query: Any, reference: Any, scores: Any, best: Any, gap_open: int) -> Any:
    """Width to begin with: the one that the better of the corridor's two edges would need, as a guess."""
    score = 0
    for diagonal in (0, len(query) - len(reference)):
        score = max(score, _diagonal(query, reference, scores, best, diagonal, 1 << 30, -(1 << 30)))
    needed = _proving_width(query, reference, scores, best, gap_open, score)
    # Without an insertion or deletion the edge is the alignment, and the width is right at once. With one, most of the
    # score is hidden from either edge, and a narrow band finds it.
    return min(needed, 16) if needed > _TRUSTED else needed


@njit(nogil=True)
def _outside(query: Any, reference: Any, scores: Any, best: Any, low: int, high: int, width: int, score: int) -> Any:
    """Whether an ungapped diagonal outside the band scores ``score`` or more."""
    total, least = _potential(query if len(query) <= len(reference) else reference, best)
    beyond = width + 1
    while beyond < len(query) + len(reference) and total - least * beyond >= score:
        bound = total - least * beyond
        for diagonal in (high + beyond, low - beyond):
            exists = -len(reference) < diagonal < len(query)
            if exists and _diagonal(query, reference, scores, best, diagonal, bound, score - 1) >= score:
                return True
        beyond += 1
    return False


@njit(nogil=True)
def _row(
    scores: Any,
    row: int,
    low: int,
    high: int,
    length: int,
    gap_open: Any,
    gap_extend: Any,
    above: Any,
    here: Any,
    rows: Any,
    moves: Any,
) -> Any:
    """Work out one row of the table; return the columns it begins and ends at, half-open.

    The scan of Daily (2016, parasail): a pass without insertions, the running maximum that gives the insertions, and
    a pass that joins them. The first and last have no dependency between columns. ``scores`` are
    the row of the query profile; ``above`` and ``here`` are scores of the row above and of this one. ``rows`` has
    deletions, insertions, and scores without insertions from its third row on. ``moves`` gets a byte per column from
    ``row + low`` on.
    """
    deletion, insertion, without = rows[2], rows[3], rows[4]
    first, last = max(1, row + low), min(length, row + high)
    if row + high <= length:  # the column enters the band with this row
        above[last] = _NEVER if row > 1 else 0
        deletion[last] = _NEVER
    edge = _NEVER if row + low > 0 else 0
    without[first - 1] = edge
    here[first - 1] = edge
    insertion[first - 1] = _NEVER
    moves = moves[first - row - low : last + 1 - row - low]
    cells, left = slice(first, last + 1), slice(first - 1, last)
    _deletions(above[cells], gap_open, gap_extend, deletion[cells], moves)
    _pairs(above[left], scores[left], deletion[cells], without[cells], moves)
    _insertions(without[left], gap_open, gap_extend, insertion[cells])
    _insertion_moves(without[left], insertion[left], without[cells], insertion[cells], gap_open, gap_extend, moves)
    _maxima(without[cells], insertion[cells], here[cells])
    return first, last + 1


# The loops of a row. Each has so few arrays that LLVM checks at run time that none overlaps one that is written, and
# vectorises the loop. All but `_insertions` run in SIMD.


@njit(nogil=True)
def _deletions(above: Any, gap_open: Any, gap_extend: Any, deletion: Any, moves: Any) -> None:
    """Best scores that end with a deletion."""
    opened, extended = np.int32(gap_open), np.int32(gap_extend)
    for column in range(len(moves)):
        begun = np.int32(above[column] - opened)
        longer = np.int32(deletion[column] - extended)
        deletion[column] = max(longer, begun)
        moves[column] = np.uint8(8) if longer > begun else np.uint8(0)


@njit(nogil=True)
def _pairs(diagonal: Any, scores: Any, deletion: Any, without: Any, moves: Any) -> None:
    """Best scores that end with a pair of letters or a deletion."""
    for column in range(len(moves)):
        pair = np.int32(diagonal[column] + scores[column])
        gap = deletion[column]
        without[column] = max(gap, pair)
        moves[column] = np.uint8(moves[column] | (np.uint8(2) if gap > pair else np.uint8(0)))


@njit(nogil=True)
def _insertions(without_left: Any, gap_open: Any, gap_extend: Any, insertion: Any) -> None:
    """Best scores that end with an insertion: a running maximum along the row."""
    opened, extended = np.int32(gap_open), np.int32(gap_extend)
    running = np.int32(_NEVER)
    for column in range(len(insertion)):
        running = max(np.int32(running - extended), np.int32(without_left[column] - opened))
        insertion[column] = running


@njit(nogil=True)
def _insertion_moves(
    without_left: Any, left: Any, without: Any, insertion: Any, gap_open: Any, gap_extend: Any, moves: Any
) -> None:
    """The share of the insertions in the moves."""
    opened, extended = np.int32(gap_open), np.int32(gap_extend)
    for column in range(len(moves)):
        longer = np.int32(left[column] - extended) > np.int32(without_left[column] - opened)
        move = moves[column]
        move = np.uint8((move & np.uint8(8)) | np.uint8(1)) if insertion[column] > without[column] else move
        moves[column] = np.uint8(move | (np.uint8(4) if longer else np.uint8(0)))


@njit(nogil=True)
def _maxima(without: Any, insertion: Any, here: Any) -> None:
    """Best scores of the cells."""
    for column in range(len(here)):
        here[column] = max(without[column], insertion[column])


@njit(nogil=True)
def _table(
    query: Any,
    reference: Any,
    profile: Any,
    low: int,
    high: int,
    gap_open: int,
    gap_extend: int,
    most_cells: int,
    rows: Any,
    moves: Any,
) -> Any:
    """Best score on the diagonals ``low`` to ``high``, the row and column of its end, and the moves."""
    width = min(high - low + 1, len(query) + len(reference) + 1)
    kept = width * (len(reference) + 1) <= most_cells
    needed = width * (len(reference) + 1) if kept else width
    if len(moves) < needed:
        moves = np.empty(needed + needed // 4, np.uint8)
    _begin(rows, len(query))
    score, end_row, end_column = 0, 0, 0
    for row in range(1, len(reference) + 1):
        if row + low > len(query):
            break
        place = width * row if kept else 0
        above, here = rows[1 - row % 2], rows[row % 2]
        first, last = _row(
            *(profile[reference[row - 1]], row, low, high, len(query), gap_open, gap_extend),
            *(above, here, rows),
            moves[place : place + width],
        )
        if last == len(query) + 1 and here[len(query)] > score:
            score, end_row, end_column = here[len(query)], row, len(query)
        if row == len(reference):
            for column in range(first, last):
                if here[column] > score:
                    score, end_row, end_column = here[column], row, column
    return score, end_row, end_column, moves


@njit(nogil=True)
def _begin(rows: Any, length: int) -> None:
    """Set the row above the first: the query's free gap."""
    for column in range(length + 1):
        rows[0, column] = 0
        rows[2, column] = _NEVER


@njit(nogil=True)
def _trace(
    query: Any,
    reference: Any,
    profile: Any,
    low: int,
    high: int,
    gap_open: int,
    gap_extend: int,
    most_cells: int,
    rows: Any,
    moves: Any,
    row: int,
    column: int,
    runs: Any,
    first: int,
) -> Any:
    """Write the runs from the end backwards; return how many there are, and the row and column of the start."""
    width = min(high - low + 1, len(query) + len(reference) + 1)
    used = first
    if row == 0:
        return used, 0, 0
    block = row + 1
    checkpoints = np.empty((0, 2, 0), np.int32)
    if width * (len(reference) + 1) > most_cells:
        block = int(np.sqrt(row)) + 1
        checkpoints = np.empty((row // block + 1, 2, len(query) + 1), np.int32)
        scratch = np.empty(width, np.uint8)
        _begin(rows, len(query))
        for above in range(row):
            if above % block == 0:
                checkpoints[above // block, 0] = rows[above % 2, : len(query) + 1]
                checkpoints[above // block, 1] = rows[2, : len(query) + 1]
            _row(
                *(profile[reference[above]], above + 1, low, high, len(query), gap_open, gap_extend),
                *(rows[above % 2], rows[1 - above % 2], rows, scratch),
            )
        moves = np.empty(width * (block + 1), np.uint8)
    base = row + 1 if len(checkpoints) else 0  # rows above `base` have their moves in `moves`
    state = 0
    while row > 0 and column > 0:
        if row <= base and len(checkpoints):
            number = (row - 1) // block
            base = number * block
            rows[base % 2, : len(query) + 1] = checkpoints[number, 0]
            rows[2, : len(query) + 1] = checkpoints[number, 1]
            for below in range(base, row):
                place = width * (below - base + 1)
                _row(
                    *(profile[reference[below]], below + 1, low, high, len(query), gap_open, gap_extend),
                    *(rows[below % 2], rows[1 - below % 2], rows, moves[place : place + width]),
                )
        move = moves[width * (row - base) + column - row - low]
        if state == 0:
            if move & 3 == 0:
                same = query[column - 1] == reference[row - 1]
                used = _add_run(runs, first, used, 0 if same else 1)
                row -= 1
                column -= 1
            else:
                state = move & 3
        elif state == 1:
            used = _add_run(runs, first, used, 2)
            state = 1 if move & 4 else 0
            column -= 1
        else:
            used = _add_run(runs, first, used, 3)
            state = 2 if move & 8 else 0
            row -= 1
    return used, row, column
