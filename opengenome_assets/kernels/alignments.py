"""Alignment of proteins with affine gaps: exact, and with the proof that it is.

Belongs here: what proves an alignment, how pairs stand side by side, and the CIGARs. Does not belong here: the dynamic
programming (`opengenome_assets.kernels.lanes`), which pairs to align (`opengenome_assets.kernels.assignment`) and what
a difference means (``proteins``).

Gaps at the ends of either sequence are free, as in parasail's ``sg`` and EMBOSS' ``needle``: the alignment is
semi-global. A gap of n letters costs open + (n - 1) * extend (Gotoh 1982), as in EMBOSS. Scores are doubled, so that
EMBOSS' 10 and 0.5 are 20 and 1.

A pair takes the cheapest of three ways whose result is proved to be the optimum. A diagonal is the place in the query
minus the place in the reference. S is the shorter sequence's score if each of its letters met its best partner; m is
the smallest such score of one of its letters. The corridor holds the diagonals between 0 and the difference of the
lengths. A path that visits a diagonal e beyond the corridor leaves e letters of the shorter sequence unaligned, and so
scores at most S - e * m.

- `UNGAPPED`: a path with a gap scores at most S - open. A diagonal above that bound, and above every other diagonal, is
  the optimum. Other diagonals are left as soon as they cannot reach it.
- `BAND`: dynamic programming over the corridor and at least w diagonals on either side. A path that leaves the band has
  a gap and scores at most S - open - (w + 1) * m, or is an ungapped diagonal outside, which is looked at. w is the
  least with which all of them score less than the best alignment on the corridor's two edges with one gap between them.
- `FULL`: dynamic programming over everything. The proof is the recurrence.

Tie rule: of co-optimal alignments the one that ends first in the reference, then first in the query. From there
backwards, a pair of letters is preferred to a deletion, a deletion to an insertion, and a shorter gap to a longer one.
So gaps stand as far left as they can. The bounds above are strict: every co-optimal path lies inside the band, and the
three ways give the same alignment.

Local alignments (Smith & Waterman 1981), as EMBOSS' ``water`` has them, end and begin anywhere. They take the full way.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from opengenome_assets.kernels.bases import kernel_text, readonly
from opengenome_assets.kernels.lanes import LANES, align_lanes

UNGAPPED, BAND, FULL = 0, 1, 2
PROOFS = ("ungapped", "band", "full")

# Operations of a CIGAR (SAM specification, 1.4.6): a run is its length times 4 plus its place here. I is a letter of
# the query only, D one of the reference only.
OPERATIONS = "=XID"

# Cells of lanes whose moves are kept at once: 64 MB.
_CELLS = 1 << 23

# A band wider than this share of the query saves nothing over the full table.
_WIDEST = 0.6

# Pairs of one reference have a common profile. Fewer of them are faster beside pairs of other references.
_LEAST = 4

# Sequences of about as many letters stand side by side.
_ABOUT = 64

# Doubled scores and costs fit into 16 bits.
_MOST = (1 << 15) - 1


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

    def take(self, numbers: npt.NDArray[np.int64]) -> "Alignments":
        """Some of the pairs, by their numbers."""
        first, counts = self.run_offsets[:-1], np.diff(self.run_offsets)
        runs = _gathered(self.runs, first[numbers], counts[numbers])
        return Alignments(self.scores[numbers], self.proofs[numbers], self.starts[numbers], self.ends[numbers], *runs)


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
    local: bool = False,
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
        Doubled and symmetric, in 16 bits.
    gap_open, gap_extend : int
        Doubled costs of a gap's first letter and of each further one: ``32_767 >= gap_open >= gap_extend >= 0``.
    least_proof : int
        `BAND` leaves out the ungapped way, `FULL` the band too. The results are the same.
    local : bool
        Align the best parts of both sequences, instead of from end to end.
    """
    if not gap_open >= gap_extend >= 0:
        raise ValueError(f"A gap's first letter must cost at least as much as a further one: {gap_open}, {gap_extend}.")
    if max(gap_open, np.abs(scores).max()) > _MOST:
        raise ValueError(f"Doubled scores and costs must be {_MOST:,} or less.")
    count = len(pairs)
    found, proofs = np.empty(count, np.int32), np.full(count, FULL, np.uint8)
    starts, ends = np.empty((count, 2), np.int32), np.empty((count, 2), np.int32)
    places = np.zeros((count, 2), np.int64)
    best = np.maximum(scores.max(axis=1), 0).astype(np.int32)
    texts = *kernel_text(queries, query_offsets), *kernel_text(references, reference_offsets)
    pairs, scores = readonly(np.ascontiguousarray(pairs, np.int32)), readonly(np.ascontiguousarray(scores, np.int32))
    bands, wide = np.empty((count, 2), np.int64), np.empty(count, np.bool_)
    least = FULL if local else least_proof
    runs = _prove(
        *texts, pairs, scores, best, gap_open, gap_extend, least, found, proofs, starts, ends, places, bands, wide
    )
    order, groups = _side_by_side(
        np.diff(texts[1])[pairs[:, 0]], np.diff(texts[3])[pairs[:, 1]], pairs[:, 1], proofs, bands, wide, local
    )
    runs = align_lanes(
        *texts, pairs, scores, gap_open, gap_extend, local, _CELLS, order, groups, found, starts, ends, places, runs
    )
    return Alignments(found, proofs, starts, ends, *_gathered(runs, places[:, 0], places[:, 1] - places[:, 0]))


def _gathered(
    runs: npt.NDArray[np.uint32], first: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Runs of each pair, pair after pair, and their offsets."""
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return runs[np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], counts)], offsets


def _side_by_side(
    columns: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    references: npt.NDArray[np.int32],
    proofs: npt.NDArray[np.uint8],
    bands: npt.NDArray[np.int64],
    wide: npt.NDArray[np.bool_],
    local: bool,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Order and groups for `align_lanes`: pairs of one reference, and then what is left, by their sizes."""
    size = np.where(proofs == BAND, bands[:, 1] - bands[:, 0], columns)
    left = np.flatnonzero(proofs != UNGAPPED)
    order, groups, ordered = [left[:0]], [np.empty((0, 5), np.int64)], 0
    for mixed in (False, True):
        if not left.size:
            break
        kind = proofs + 4 * wide
        left = left[np.lexsort((size[left], (rows // _ABOUT if mixed else references)[left], kind[left]))]
        key = np.stack([kind[left], np.zeros(len(left)) if mixed else references[left]])
        begins = np.flatnonzero(np.concatenate([[True], (key[:, 1:] != key[:, :-1]).any(axis=0)]))
        within = np.arange(len(left)) - np.repeat(begins, np.diff([*begins, len(left)]))
        first = np.flatnonzero(within % LANES == 0)
        last = np.append(first[1:], len(left))
        band = np.minimum.reduceat(bands[left, 0], first), np.maximum.reduceat(bands[left, 1], first)
        chosen = (last - first >= _LEAST) | mixed | local
        groups.append(np.stack([ordered + first, ordered + last, *band, wide[left[first]]], axis=1)[chosen])
        order.append(left)
        ordered += len(left)
        left = left[np.repeat(~chosen, last - first)]
    return np.concatenate(order), np.concatenate(groups)


@njit(cache=True, nogil=True)
def _prove(
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
    out_scores: Any,
    proofs: Any,
    starts: Any,
    ends: Any,
    places: Any,
    bands: Any,
    wide: Any,
) -> Any:
    """Align the pairs whose optimum has no gap, and return their runs. Fill the proof and the band of the others."""
    runs = np.empty(1 << 10, np.uint32)
    used = 0
    for pair in range(len(pairs)):
        query = queries[query_offsets[pairs[pair, 0]] : query_offsets[pairs[pair, 0] + 1]]
        reference = references[reference_offsets[pairs[pair, 1]] : reference_offsets[pairs[pair, 1] + 1]]
        short = query if len(query) <= len(reference) else reference
        total, least = _potential(short, best)
        diagonal, score, proved = 0, 0, False
        if least_proof == 0:
            diagonal, score, proved = _ungapped(query, reference, scores, best, gap_open, total, least)
        if proved:
            start_query, start_reference = max(0, diagonal), max(0, -diagonal)
            columns = min(len(query) - start_query, len(reference) - start_reference)
            if used + columns > len(runs):
                larger = np.empty(2 * (used + columns), np.uint32)
                larger[:used] = runs[:used]
                runs = larger
            places[pair, 0] = used
            for column in range(columns):
                same = query[start_query + column] == reference[start_reference + column]
                operation = 0 if same else 1
                if used > places[pair, 0] and runs[used - 1] & 3 == operation:
                    runs[used - 1] += 4
                else:
                    runs[used] = 4 + operation
                    used += 1
            places[pair, 1] = used
            proofs[pair] = 0
            out_scores[pair] = score
            starts[pair, 0], starts[pair, 1] = start_query, start_reference
            ends[pair, 0], ends[pair, 1] = start_query + columns, start_reference + columns
            continue
        wide[pair] = max(total, len(query), len(reference)) >= 1 << 15
        bands[pair, 0], bands[pair, 1] = -len(reference), len(query)
        if least_proof == 2:
            continue
        score = _one_gap(query, reference, scores, gap_open, gap_extend)
        width = _width(total, least, gap_open, score)
        low, high = min(0, len(query) - len(reference)), max(0, len(query) - len(reference))
        if width < 0 or high - low + 1 + 2 * width > _WIDEST * len(query):
            continue
        if not _outside(query, reference, scores, best, total, least, low, high, width, score):
            proofs[pair] = 1
            bands[pair, 0], bands[pair, 1] = low - width, high + width
    return runs[:used]


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
def _ungapped(query: Any, reference: Any, scores: Any, best: Any, gap_open: int, total: int, least: int) -> Any:
    """Best diagonal, its score, and whether it is proved to be the only optimum."""
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
def _one_gap(query: Any, reference: Any, scores: Any, gap_open: int, gap_extend: int) -> Any:
    """Best score of an alignment on the corridor's two edges with at most one gap, inside or at an end."""
    longer = len(query) - len(reference)
    shift_query, shift_reference = max(longer, 0), max(-longer, 0)
    first, second, lead = 0, 0, 0
    for column in range(min(len(query), len(reference))):
        first += scores[query[column], reference[column]]
        second += scores[query[column + shift_query], reference[column + shift_reference]]
        lead = max(lead, first - second)
    gap = gap_open + gap_extend * (abs(longer) - 1) if longer else 0
    return max(first, second, second + lead - gap)


@njit(nogil=True)
def _width(total: int, least: int, gap_open: int, score: int) -> Any:
    """Smallest width at which paths with a gap that leave the band score less than ``score``; -1 if there is none."""
    if score <= 0:
        return -1
    if total - gap_open < score:
        return 0
    return (total - gap_open - score) // least if least > 0 else -1


@njit(nogil=True)
def _outside(
    query: Any,
    reference: Any,
    scores: Any,
    best: Any,
    total: int,
    least: int,
    low: int,
    high: int,
    width: int,
    score: int,
) -> Any:
    """Whether an ungapped diagonal outside the band scores ``score`` or more."""
    beyond = width + 1
    while beyond < len(query) + len(reference) and total - least * beyond >= score:
        bound = total - least * beyond
        for diagonal in (high + beyond, low - beyond):
            exists = -len(reference) < diagonal < len(query)
            if exists and _diagonal(query, reference, scores, best, diagonal, bound, score - 1) >= score:
                return True
        beyond += 1
    return False
