"""Open reading frames (ORFs): stretches of codons without a stop, on both strands.

Belongs here: starts and stops of the genetic codes, finding frames, and the longest of those that overlap. Does not
belong here: the choice between frames and Prodigal (``genes.py``), and translation (``translation.py``). Genetic codes
are Biopython's, by their NCBI number.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from Bio.Data import CodonTable
from numba import njit

from opengenome_assets.kernels.bases import Letters, Offsets, kernel_text, readonly, reverse_complement_codes
from opengenome_assets.kernels.codons import CODONS, codon_families
from opengenome_assets.kernels.runs import IS_BASE, run_end, run_start

MIN_CODONS = 60
"""An open reading frame of fewer codons, the stop left out, is no gene."""
MAX_OVERLAP = 60
"""Bases that an open reading frame may share with a longer one that is kept: Prodigal's limit on one strand.

Real genes overlap: without it ATP6, ND4L and ND3 of the human mitochondrion are lost.
"""
GAP = 50
"""Letters other than A, C, G, T in a row that make a gap, which no gene crosses: Prodigal's limit for masking."""

LONG_CODONS = 200
"""Codons without a stop in a row that are rare unless they code for a protein."""

_START, _STOP = 1, 2  # and 4, 8 for the codon read on the other strand


def open_reading_frames(
    sequence: Letters, genetic_code: int, *, min_codons: int = MIN_CODONS, max_overlap: int = MAX_OVERLAP
) -> npt.NDArray[np.int64]:
    """Find open reading frames: from the first start codon after a stop to the next stop, on both strands.

    The longest comes first. Another is kept unless it shares more than ``max_overlap`` bases with a longer one. At the
    edge of the sequence, or of a gap of 50 letters other than A, C, G, T, a frame is open: start or stop lies beyond.

    Parameters
    ----------
    sequence : uint8 array of shape (letters,)
        Contiguous.
    genetic_code : int
        NCBI number of the translation table, which gives starts and stops.
    min_codons : int
        Minimum length, the stop codon left out.
    max_overlap : int
        Below ``3 * min_codons / 2``.

    Returns
    -------
    int64 array of shape (genes, 5)
        Rows begin, end, strand, partial_5, partial_3, as `Genes` has them; the longest first.
    """
    whole, first = np.array([0, len(sequence)]), np.zeros(1, np.int64)
    return open_reading_frames_of_each(
        sequence, whole, first, genetic_code, min_codons=min_codons, max_overlap=max_overlap
    )[:, 1:]


def open_reading_frames_of_each(
    letters: Letters,
    offsets: Offsets,
    chosen: npt.NDArray[np.int64],
    genetic_code: int,
    *,
    min_codons: int = MIN_CODONS,
    max_overlap: int = MAX_OVERLAP,
) -> npt.NDArray[np.int64]:
    """Find the open reading frames of some of many sequences in one call, as `open_reading_frames` finds those of one.

    Parameters
    ----------
    letters : uint8 array
        Letters of all sequences, contiguous.
    offsets : int32 or int64 array of shape (sequences + 1,)
        Ascending positions in ``letters``.
    chosen : int64 array of shape (m,)
        Numbers of the sequences to look at.
    genetic_code, min_codons, max_overlap : int
        As for `open_reading_frames`.

    Returns
    -------
    int64 array of shape (genes, 6)
        The sequence's number, and the columns of `open_reading_frames`; sequence by sequence, the longest first.
    """
    if not 0 <= 2 * max_overlap < 3 * min_codons:
        raise ValueError(f"expected an overlap of 0 to {(3 * min_codons - 1) // 2} bases, found {max_overlap}")
    if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(offsets) - 1:
        raise IndexError(f"expected numbers of {len(offsets) - 1:,} sequences, found up to {chosen.max():,}")
    return _kept_frames(letters, offsets, chosen, _codon_classes(genetic_code), min_codons, max_overlap)


@cache
def stop_codons(genetic_code: int) -> tuple[str, ...]:
    """Stop codons of a genetic code, in alphabetical order, with those of codes 27, 28 and 31 that have two meanings.

    Raises
    ------
    ValueError
        If there is no such table.
    """
    codon_families(genetic_code)  # refuses an unknown code
    return tuple(sorted(CodonTable.unambiguous_dna_by_id[genetic_code].stop_codons))


def codes_of_stops() -> dict[tuple[str, ...], list[int]]:
    """Genetic codes by their stop codons."""
    codes: dict[tuple[str, ...], list[int]] = {}
    for genetic_code in sorted(CodonTable.unambiguous_dna_by_id):
        codes.setdefault(stop_codons(genetic_code), []).append(genetic_code)
    return codes


def long_frames(sequence: Letters, stops: tuple[str, ...], *, min_codons: int = LONG_CODONS) -> int:
    """Bases in long stretches without a stop in one frame of either strand; of overlapping ones the longest counts.

    Parameters
    ----------
    sequence : uint8 array of shape (letters,)
        Contiguous.
    stops : tuple of str
        The stop codons.
    min_codons : int
        Minimum length of a stretch. In random letters with the three usual stops, one in 15,000 codons begins
        such a stretch of 200.
    """
    others = tuple(sorted(set(CODONS.tolist()) - set(stops)))
    whole, first = np.array([0, len(sequence)]), np.zeros(1, np.int64)
    kept = _kept_frames(sequence, whole, first, _classes(others, stops), min_codons, 0)
    return int((kept[:, 2] - kept[:, 1] + 1).sum())


def _kept_frames(
    letters: Letters,
    offsets: Offsets,
    chosen: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    min_codons: int,
    max_overlap: int,
) -> npt.NDArray[np.int64]:
    """Rows of `open_reading_frames_of_each`."""
    data, places = kernel_text(letters, offsets)
    found = _open_frames_of_each(data, places, readonly(chosen), classes, min_codons)
    sequence, begin, end, strand = found.T[:4]
    order = np.lexsort((-strand, begin, begin - end, sequence))
    kept: npt.NDArray[np.int64] = _without_overlap(found[order], places, max_overlap)
    return kept


def _codon_classes(genetic_code: int) -> npt.NDArray[np.uint8]:
    stops = stop_codons(genetic_code)
    return _classes(tuple(CodonTable.unambiguous_dna_by_id[genetic_code].start_codons), stops)


@cache
def _classes(starts: tuple[str, ...], stops: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """For each codon, whether it is a start or a stop, forward and read on the other strand; uint8 of shape (64,)."""
    forward = _START * np.isin(CODONS, starts) | _STOP * np.isin(CODONS, stops)
    # Codes 27, 28, 31 have codons that are start or stop: the stop ends the frame.
    forward = np.where(forward & _STOP, _STOP, forward)
    classes = (forward | forward[reverse_complement_codes(3)] << 2).astype(np.uint8)
    classes.flags.writeable = False
    return classes


@njit(nogil=True)
def _open_frames(data: Any, position: Any, last: Any, classes: Any, min_codons: Any) -> Any:
    """Rows begin, end, strand, partial_5, partial_3 of a sequence's frames of ``min_codons`` or more, in one pass.

    The pass looks for stops alone. Start codons are looked for where two stops are far enough apart, which is rare. For
    each phase of a position, ``opened`` is where codons begin after the last forward stop. ``closed`` is where the last
    stop of the other strand lies. Both begin at the edge.
    """
    shortest = 3 * min_codons
    # Frames of one phase and strand do not overlap. Memory that no frame is written to is never touched.
    found = np.empty((6 * ((last - position) // shortest + 1), 5), np.int64)
    count = 0
    opened, edge_5 = np.empty(3, np.int64), np.empty(3, np.int64)
    closed, edge_3 = np.empty(3, np.int64), np.empty(3, np.int64)
    while position < last:
        # A segment: up to the next gap, from its first base to its last.
        first = run_start(data, position, last)
        stop = position = first
        while position < last:
            stop = run_end(data, position, last)
            position = run_start(data, stop, last)
            if position - stop >= GAP:
                break
        for phase in range(3):
            place = first + (phase - first) % 3
            opened[phase], edge_5[phase] = place, 1
            closed[phase], edge_3[phase] = place, 1
        run = first
        while run < stop:
            end = run_end(data, run, stop)
            code = 0
            for at in range(run, end):
                letter = data[at]
                code = ((code << 2) | (((letter >> 1) ^ (letter >> 2)) & 3)) & 63
                if classes[code] & 10 == 0 or at < run + 2:
                    continue
                kind = classes[code]
                begin = at - 2
                phase = begin % 3
                if kind & 2:
                    if begin - opened[phase] >= shortest:
                        start = opened[phase] if edge_5[phase] else _first_start(data, opened[phase], begin, classes)
                        if begin - start >= shortest:
                            count = _write(found, count, start + 1, at + 1, 1, edge_5[phase], 0)
                    opened[phase], edge_5[phase] = begin + 3, 0
                if kind & 8:
                    sense = closed[phase] if edge_3[phase] else closed[phase] + 3
                    if begin - sense >= shortest:
                        start = _last_start(data, sense, begin, classes)
                        if start - sense >= shortest:
                            count = _write(found, count, closed[phase] + 1, start, -1, 0, edge_3[phase])
                    closed[phase], edge_3[phase] = begin, 0
            run = run_start(data, end, stop)
        for phase in range(3):
            end = stop - (stop - phase) % 3
            start = opened[phase] if edge_5[phase] else _first_start(data, opened[phase], end, classes)
            if end - start >= shortest:
                count = _write(found, count, start + 1, end, 1, edge_5[phase], 1)
            sense = closed[phase] if edge_3[phase] else closed[phase] + 3
            if end - sense >= shortest:
                count = _write(found, count, closed[phase] + 1, end, -1, 1, edge_3[phase])
    return found[:count]


@njit(inline="always")
def _write(found: Any, row: Any, begin: Any, end: Any, strand: Any, partial_5: Any, partial_3: Any) -> Any:
    """Write a row, number by number: a tuple would become an array first. Return the number of the next row."""
    found[row, 0] = begin
    found[row, 1] = end
    found[row, 2] = strand
    found[row, 3] = partial_5
    found[row, 4] = partial_3
    return row + 1


@njit(inline="always")
def _class_at(data: Any, place: Any, classes: Any) -> Any:
    """Class of the codon at a place, 0 if it has another letter than A, C, G, T."""
    code = 0
    for at in range(place, place + 3):
        letter = data[at]
        if not IS_BASE[letter]:
            return 0
        code = (code << 2) | (((letter >> 1) ^ (letter >> 2)) & 3)
    return np.int64(classes[code])


@njit(inline="always")
def _first_start(data: Any, begin: Any, end: Any, classes: Any) -> Any:
    """Where the first start codon of a forward frame begins, or ``end``."""
    for place in range(begin, end - 2, 3):
        if _class_at(data, place, classes) & 1:
            return place
    return end


@njit(inline="always")
def _last_start(data: Any, begin: Any, end: Any, classes: Any) -> Any:
    """Where the last start codon of a frame on the other strand ends, or ``begin``."""
    for place in range(end - 3, begin - 1, -3):
        if _class_at(data, place, classes) & 4:
            return place + 3
    return begin


@njit(cache=True, nogil=True)
def _open_frames_of_each(data: Any, offsets: Any, chosen: Any, classes: Any, min_codons: Any) -> Any:
    """Sequence, and the columns of `_open_frames`, with begin and end on the sequence."""
    found, rows = np.empty((len(chosen), 6), np.int64), 0
    for sequence in chosen:
        begin = offsets[sequence]
        frames = _open_frames(data, begin, offsets[sequence + 1], classes, min_codons)
        if rows + len(frames) > len(found):
            found = np.concatenate((found[:rows], np.empty((rows + 2 * len(frames), 6), np.int64)))
        for frame in range(len(frames)):
            found[rows, 0] = sequence
            found[rows, 1] = frames[frame, 0] - begin
            found[rows, 2] = frames[frame, 1] - begin
            for column in range(2, 5):  # a slice takes Numba seconds to compile
                found[rows, 1 + column] = frames[frame, column]
            rows += 1
    return found[:rows]


@njit(cache=True, nogil=True)
def _without_overlap(frames: Any, offsets: Any, max_overlap: Any) -> Any:
    """Keep each frame that shares few bases with the longer ones kept; frames sorted by sequence, the longest first.

    A longer frame that shares more than ``max_overlap`` bases covers one of two bases, each so far from an end.
    """
    kept = np.zeros(len(frames), np.bool_)
    covered = np.zeros(0, np.bool_)
    for place in range(len(frames)):
        sequence = frames[place, 0]
        if place == 0 or sequence != frames[place - 1, 0]:
            covered = np.zeros(offsets[sequence + 1] - offsets[sequence], np.bool_)
        begin, end = frames[place, 1] - 1, frames[place, 2]
        if not (covered[begin + max_overlap] or covered[end - 1 - max_overlap]):
            kept[place] = True
            covered[begin:end] = True
    return frames[kept]
