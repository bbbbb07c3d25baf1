"""Pile-ups: the reads of a sample around a variant, letter by letter.

Belongs here: reading them from the CRAM file. Does not belong here: drawing them (``plots/pileups.py``), and which
variants are shown (``report.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pysam

FLANK = 30  # letters shown on each side
MOST_READS = 40
UNUSED = 0x704  # unmapped, secondary, failed, duplicate: mpileup leaves these out
GAP, NOTHING = "-", " "


@dataclass(frozen=True)
class Line:
    """A read's part of a pile-up.

    Attributes
    ----------
    letters
        Its letter at each position: ``-`` where it has a deletion, a space where it does not reach.
    inserted
        Number of letters that it has after a position and the reference has not, by place from 0.
    reverse
        Whether it is of the reverse strand.
    """

    letters: str
    inserted: dict[int, int]
    reverse: bool


@dataclass(frozen=True)
class Pileup:
    """Reads around a variant.

    Attributes
    ----------
    contig, start
        The contig, and the first position shown, from 1.
    reference
        Letters of the reference.
    lines
        Reads, by their beginning; of many, some that are evenly spaced.
    reads
        How many reads there are.
    """

    contig: str
    start: int
    reference: str
    lines: list[Line]
    reads: int


def pile_up(cram: str, fasta: str, contig: str, pos: int, length: int) -> Pileup:
    """Return the reads that reach a variant.

    Parameters
    ----------
    cram, fasta
        The reads, and their reference.
    contig, pos, length
        Place of the variant from 1, and number of letters of its REF.
    """
    with pysam.FastaFile(fasta) as file:
        first = max(0, pos - 1 - FLANK)
        letters = file.fetch(contig, first, pos - 1 + length + FLANK)
    with pysam.AlignmentFile(cram, reference_filename=fasta) as alignments:
        reads = [read for read in alignments.fetch(contig, pos - 1, pos - 1 + length) if not read.flag & UNUSED]
    chosen = {round(at) for at in np.linspace(0, len(reads) - 1, min(MOST_READS, len(reads)))}
    lines = [_line(reads[at], first, len(letters)) for at in sorted(chosen)]
    return Pileup(contig, first + 1, letters, lines, len(reads))


def _line(read: pysam.AlignedSegment, first: int, length: int) -> Line:
    letters, inserted = [NOTHING] * length, {}
    text, here, there = read.query_sequence or "", 0, read.reference_start - first
    for operation, count in read.cigartuples or ():
        if operation in (0, 7, 8):  # M, =, X
            for step in range(max(0, -there), min(count, length - there)):
                letters[there + step] = text[here + step]
        elif operation in (2, 3):  # D, N
            for step in range(max(0, -there), min(count, length - there)):
                letters[there + step] = GAP
        elif operation == 1 and 0 < there <= length:  # I
            inserted[there - 1] = count
        here += count if operation in (0, 1, 4, 7, 8) else 0
        there += count if operation in (0, 2, 3, 7, 8) else 0
    return Line("".join(letters), inserted, read.is_reverse)
