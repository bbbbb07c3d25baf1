"""The alignment of a protein to its wild type, as people use it.

Belongs here: one pair, its measures and its level. Does not belong here: the compiled work
(`opengenome_assets.kernels.alignments`) and many proteins (`opengenome_assets.proteins.calls`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from opengenome_assets.kernels.alignments import PROOFS, Alignments, align_pairs
from opengenome_assets.kernels.amino_acids import doubled_scores, encode
from opengenome_assets.proteins.changes import Change, changes_of
from opengenome_assets.proteins.settings import LEVELS, level_of


@dataclass(frozen=True)
class Scoring:
    """A substitution matrix by name, and the costs of a gap's first letter and of each further one."""

    matrix: str = "BLOSUM62"
    gap_open: float = 10
    gap_extend: float = 0.5

    def doubled_gaps(self) -> tuple[int, int]:
        """Costs in half points; ValueError if they are no whole number of them."""
        costs = 2 * self.gap_open, 2 * self.gap_extend
        if any(cost != int(cost) for cost in costs):
            raise ValueError(f"Costs of gaps must be multiples of 0.5: {self.gap_open}, {self.gap_extend}.")
        return int(costs[0]), int(costs[1])


@dataclass(frozen=True)
class Mark:
    """A name for letters of the reference, from ``first`` to ``last`` (1-based), and for letters inserted there."""

    name: str
    first: int
    last: int

    def line(self, places: Sequence[int]) -> str:
        """The line of the mark below a block whose columns have these places; empty if it is not there."""
        under = "".join("^" if self.first <= place <= self.last else " " for place in places).rstrip()
        return f"{under} {self.name}" if under else ""


@dataclass(frozen=True)
class Alignment:
    """A protein aligned to a reference.

    Attributes
    ----------
    query, reference : str
        Upper case, without a stop at the end.
    score : float
        As EMBOSS writes it.
    cigar : str
        With ``=``, ``X``, ``I`` (letter of the query only) and ``D`` (of the reference only).
    query_start, query_end, reference_start, reference_end : int
        Aligned parts, 0-based, half-open.
    proof : str
        ungapped, band or full: how the optimum is proved (`opengenome_assets.kernels.alignments`).
    """

    query: str
    reference: str
    score: float
    cigar: str
    query_start: int
    query_end: int
    reference_start: int
    reference_end: int
    proof: str

    @cached_property
    def _runs(self) -> list[tuple[int, str]]:
        return [(int(length), operation) for length, operation in re.findall(r"(\d+)([=XID])", self.cigar)]

    @property
    def columns(self) -> int:
        """Columns of the alignment, gaps included, free ends not."""
        return sum(length for length, _ in self._runs)

    @property
    def identity(self) -> float:
        """Share of the columns with the same letter twice; 0 if nothing is aligned."""
        same = sum(length for length, operation in self._runs if operation == "=")
        return same / self.columns if same else 0.0

    @property
    def coverage_query(self) -> float:
        """Share of the query between the first and the last column."""
        return (self.query_end - self.query_start) / len(self.query)

    @property
    def coverage_reference(self) -> float:
        """Share of the reference between the first and the last column."""
        return (self.reference_end - self.reference_start) / len(self.reference)

    @property
    def level(self) -> str:
        """HIGH, MEDIUM, LOW or FAILED by `LEVELS`."""
        coverage = min(self.coverage_query, self.coverage_reference)
        per_letter = self.score / max(len(self.query), len(self.reference))
        return level_of(LEVELS, self.identity, coverage, per_letter)

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """Every change between the first and the last column, ascending by position."""
        return changes_of(self.reference, self.query, self.cigar, self.reference_start, self.query_start)

    def text(self, width: int = 60, marks: Sequence[Mark] = ()) -> str:
        """The alignment for people to read: the reference, a line of signs, the query; positions are 1-based.

        Below a block stands a line for each mark in it: ``^`` under its letters, and its name.
        """
        i, j = self.reference_start, self.query_start
        above, signs, below = "", "", ""
        places: list[int] = []  # on the reference; of an insertion that of the letter before
        for length, operation in self._runs:
            above += self.reference[i : i + length] if operation != "I" else "-" * length
            below += self.query[j : j + length] if operation != "D" else "-" * length
            signs += {"=": "|", "X": "."}.get(operation, " ") * length
            places += [i] * length if operation == "I" else range(i + 1, i + length + 1)
            i += length if operation != "I" else 0
            j += length if operation != "D" else 0
        places.append(i + 1)  # where a protein ends before its reference does
        blocks = []
        i, j = self.reference_start, self.query_start
        for start in range(0, len(signs), width):
            top, bottom = above[start : start + width], below[start : start + width]
            ends = i + len(top.replace("-", "")), j + len(bottom.replace("-", ""))
            middle = signs[start : start + width].rstrip()
            lines = (
                f"reference {i + 1:>6} {top} {ends[0]}",
                f"{'':17}{middle}".rstrip(),
                f"query     {j + 1:>6} {bottom} {ends[1]}",
            )
            below_block = (mark.line(places[start : start + width + (start + width >= len(signs))]) for mark in marks)
            blocks.append("\n".join([*lines, *(f"{'':17}{line}" for line in below_block if line)]))
            i, j = ends
        return "\n\n".join(blocks) + "\n"


def cleaned(sequence: str) -> str:
    """Upper case and without the stop at the end; ValueError for an empty protein or a character that is no letter."""
    protein = sequence.upper().removesuffix("*")
    if not protein:
        raise ValueError("A protein has no letters.")
    if wrong := re.search(r"[^A-Z*]", protein):
        raise ValueError(f"{wrong.group()!r} at position {wrong.start() + 1} is no letter of a protein.")
    return protein


def alignment_of(found: Alignments, pair: int, query: str, reference: str) -> Alignment:
    """One of many pairs."""
    (query_start, reference_start), (query_end, reference_end) = found.starts[pair].tolist(), found.ends[pair].tolist()
    score, proof = int(found.scores[pair]) / 2, PROOFS[found.proofs[pair]]
    cigar = found.cigar(pair)
    return Alignment(query, reference, score, cigar, query_start, query_end, reference_start, reference_end, proof)


def align(query: str, reference: str, scoring: Scoring | None = None, *, local: bool = False) -> Alignment:
    """Align a protein to a reference: affine gaps, the optimum.

    The alignment is semi-global, as EMBOSS' needle has it: gaps at the ends are free, and changes near an end are seen.
    A ``local`` one, as water has it, is the best part, and ends before a change near an end.

    Examples
    --------
    >>> found = align("MKWHPLDYTRH", "MKWHPSDYTRH")
    >>> found.cigar, found.changes[0].short(), found.changes[0].hgvs(found.reference)
    ('5=1X5=', 'S6L', 'p.Ser6Leu')
    >>> align("MKWHPLDYTRH", "CCWHPSDYTGG", local=True).cigar
    '3=1X3='

    Raises
    ------
    ValueError
        A sequence is empty or holds something else than letters and ``*``; a matrix or cost cannot be used.
    """
    scoring = scoring or Scoring()
    query, reference = cleaned(query), cleaned(reference)
    found = align_pairs(
        *(encode(query), np.array([0, len(query)]), encode(reference), np.array([0, len(reference)])),
        *(np.zeros((1, 2), np.int32), doubled_scores(scoring.matrix), *scoring.doubled_gaps()),
        local=local,
    )
    return alignment_of(found, 0, query, reference)
