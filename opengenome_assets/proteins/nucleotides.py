"""Known mutations of genes that code for no protein, and of promoters, called in contigs.

Belongs here: finding a reference of DNA in contigs, on both strands, aligning it, and its calls. Does not belong here:
reading the catalogue (`opengenome_assets.proteins.catalogue`), and proteins (`opengenome_assets.proteins.calls`).

A reference is found by 12-mers that it shares with a contig on diagonals near each other. It is then aligned to that
part of the contig by EDNAFULL, 10 and 0.5, as EMBOSS aligns DNA, and cut to the best-scoring part of the alignment.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from Bio.Align import substitution_matrices
from Bio.Seq import reverse_complement

from opengenome_assets.kernels.alignments import align_pairs
from opengenome_assets.proteins.alignment import Alignment, alignment_of
from opengenome_assets.proteins.calls import Call, known_changes
from opengenome_assets.proteins.catalogue import Catalogue, Mutation, Reference

K = 12
LEAST_KMERS = 8
"""Shared 12-mers from which on a place is aligned, such as 19 equal letters in a row."""

LEAST_IDENTITY = 0.9
"""Identity from which a copy is examined: below it, it is often another organism's gene."""
LEAST_COVERAGE = 0.3
"""Share of a reference from which a place is a copy of it."""

_APART = 64  # diagonals: a longer insertion or deletion parts a place into two, each with its alignment
_RELATED = 0.6  # identity; what chance makes is below
_CUT = 2  # times that a differing pair or a gap costs where the ends are cut: an identity below 0.62 scores nothing
_OPEN, _EXTEND = 20, 1  # doubled


@dataclass(frozen=True)
class Locus:
    """A reference of DNA found in a contig.

    Attributes
    ----------
    start, end : int
        The aligned part on the contig as given, 0-based, half-open.
    strand : int
        1, or -1 where the contig holds the reverse complement.
    alignment : Alignment
        Of the place, on the reference's strand, to the reference.
    reason : str
        Why nothing was called here; empty if the locus was examined.
    """

    contig: str
    start: int
    end: int
    strand: int
    reference: Reference
    alignment: Alignment
    calls: tuple[Call, ...]
    reason: str = ""


def call_nucleotides(
    contigs: Mapping[str, str],
    catalogue: Catalogue,
    *,
    organism: str | None = None,
    least_identity: float = LEAST_IDENTITY,
    least_coverage: float = LEAST_COVERAGE,
) -> list[Locus]:
    """Find each reference's copies in contigs, and call its mutations in each.

    Every copy is answered for itself: one mutated copy of a ribosomal gene beside four wild ones is a call and four
    loci without any. Two references of one gene are both answered. A reference that is in no contig has no locus, which
    is not the wild type.

    Parameters
    ----------
    contigs : mapping of str to str
        Sequences by name; lower case counts as upper case, U as T.
    catalogue : Catalogue
        Of DNA, from ``read_catalogue(DNA_MUTATIONS, DNA_REFERENCES)``.
    organism : str or None
        Only mutations known of it; None takes those of every organism.
    least_identity, least_coverage : float
        Share of equal columns, and of the reference. A place that covers less is passed over. One of less identity,
        down to 0.6, is a locus with a ``reason`` and without calls: often another organism's gene.

    Returns
    -------
    list of Locus
        By contig as given, then by start, then by reference as in the catalogue.

    Raises
    ------
    ValueError
        The catalogue knows no such organism.
    """
    chosen = catalogue.of(organism)
    by_reference: dict[str, list[Mutation]] = defaultdict(list)
    for mutation in chosen.mutations:
        by_reference[mutation.reference.accession].append(mutation)
    loci = []
    for locus in find_copies(contigs, chosen.references, least_coverage):
        if locus.alignment.identity < least_identity:
            identity = f"{locus.alignment.identity:.2f}, below {least_identity:g}"
            loci.append(replace(locus, reason=f"Diverged: its identity to {locus.reference.accession} is {identity}."))
        else:
            loci.append(replace(locus, calls=known_changes(locus.alignment, by_reference[locus.reference.accession])))
    return loci


def find_copies(
    contigs: Mapping[str, str], references: Sequence[Reference], least_coverage: float = LEAST_COVERAGE
) -> list[Locus]:
    """Find and align each reference's copies in contigs, without calls. As for `call_nucleotides`."""
    seeds = _Seeds([reference.sequence for reference in references])
    loci = []
    for name, given in contigs.items():
        forward = given.upper().replace("U", "T")
        found: list[tuple[int, int, Locus]] = []
        for strand in (1, -1):
            contig = forward if strand == 1 else reverse_complement(forward)  # type: ignore[no-untyped-call]
            for number, first, last in seeds.places(_codes(contig)):
                reference = references[number]
                start, stop = max(0, first - _APART), min(len(contig), last + len(reference.sequence) + _APART)
                alignment = _best_part(align_nucleotides(contig[start:stop], reference.sequence))
                if alignment is None or alignment.coverage_reference < least_coverage or alignment.identity < _RELATED:
                    continue
                begin, end = start + alignment.query_start, start + alignment.query_end
                if strand == -1:
                    begin, end = len(contig) - end, len(contig) - begin
                found.append((begin, number, Locus(name, begin, end, strand, reference, alignment, ())))
        loci += [locus for _, _, locus in sorted(_apart(found), key=lambda one: one[:2])]
    return loci


def alignment_in(row: Mapping[str, Any], reference: str) -> Alignment:
    """Return the alignment that a row of nucleotide_alignments holds; its query is the copy alone."""
    copy = row["sequence"]
    ends = 0, len(copy), row["reference_start"] - 1, row["reference_end"]
    return Alignment(copy, reference, row["score"], row["cigar"], *ends, "full")


@dataclass
class Copy:
    """A copy of a reference of DNA in an accession: its row of nucleotide_alignments, and what was called in it."""

    row: Mapping[str, Any]
    alignment: Alignment
    calls: list[tuple[Mutation, str]] = field(default_factory=list)

    @property
    def near(self) -> bool:
        """Whether it is near enough to be examined."""
        return bool(self.row["identity"] >= LEAST_IDENTITY)

    @property
    def name(self) -> str:
        """Its place, as contig:start-end."""
        return f"{self.row['contig']}:{self.row['start']}-{self.row['end']}"


def _apart(found: list[tuple[int, int, Locus]]) -> list[tuple[int, int, Locus]]:
    """Of loci of one reference that overlap, the one with the highest score: a repeat inside it finds others."""
    kept: list[tuple[int, int, Locus]] = []
    for begin, number, locus in sorted(found, key=lambda one: -one[2].alignment.score):
        if not any(number == other and begin < rival.end and rival.start < locus.end for _, other, rival in kept):
            kept.append((begin, number, locus))
    return kept


def align_nucleotides(query: str, reference: str) -> Alignment:
    """Align DNA, upper case: semi-global, EDNAFULL with gaps of 10 and 0.5, the optimum."""
    scores, letters = _scoring()
    codes = [letters[np.frombuffer(text.encode("latin-1", "replace"), np.uint8)] for text in (query, reference)]
    found = align_pairs(
        *(codes[0], np.array([0, len(query)]), codes[1], np.array([0, len(reference)])),
        *(np.zeros((1, 2), np.int32), scores, _OPEN, _EXTEND),
    )
    return alignment_of(found, 0, query, reference)


@cache
def _scoring() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Doubled scores of codes, and codes of characters; a letter that EDNAFULL does not know is N."""
    matrix = substitution_matrices.load("NUC.4.4")  # type: ignore[no-untyped-call]
    alphabet = str(matrix.alphabet)
    scores = np.zeros((24, 24), np.int32)
    scores[: len(alphabet), : len(alphabet)] = 2 * np.asarray(matrix)
    letters = np.full(256, alphabet.index("N"), np.uint8)
    letters[np.frombuffer(alphabet.encode(), np.uint8)] = np.arange(len(alphabet))
    return scores, letters


def _best_part(alignment: Alignment) -> Alignment | None:
    """The run of columns with the highest score, as a local alignment has it; None if nothing is aligned.

    What differs costs `_CUT` times as much here: by EDNAFULL, letters beyond the copy's end that are paired by chance
    score more than nothing.
    """
    score, start = 0.0, 0
    best, part = 0.0, (0, 0)
    runs = alignment._runs
    for number, (length, operation) in enumerate(runs):
        if score <= 0:
            score, start = 0.0, number
        score += _column_scores(length, operation, _CUT)
        if score > best:
            best, part = score, (start, number + 1)
    if not best:
        return None
    before = runs[: part[0]]
    kept = runs[part[0] : part[1]]
    query_start = alignment.query_start + _letters(before, "D")
    reference_start = alignment.reference_start + _letters(before, "I")
    query_end, reference_end = query_start + _letters(kept, "D"), reference_start + _letters(kept, "I")
    cigar = "".join(f"{length}{operation}" for length, operation in kept)
    query, reference, proof = alignment.query, alignment.reference, alignment.proof
    best = sum(_column_scores(length, operation) for length, operation in kept)
    return Alignment(query, reference, best, cigar, query_start, query_end, reference_start, reference_end, proof)


def _column_scores(length: int, operation: str, factor: int = 1) -> float:
    if operation in "ID":
        return -factor * (10 + 0.5 * (length - 1))
    return (5.0 if operation == "=" else -4.0 * factor) * length


def _letters(runs: list[tuple[int, str]], without: str) -> int:
    return sum(length for length, operation in runs if operation != without)


def _codes(sequence: str) -> npt.NDArray[np.int32]:
    """The 12-mer that begins at each place, -1 if it holds another letter than A, C, G, T; shape (places,)."""
    table = np.full(256, 4, np.int32)
    table[np.frombuffer(b"ACGT", np.uint8)] = np.arange(4)
    bases = table[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
    places = max(0, len(bases) - K + 1)
    codes, bad = np.zeros(places, np.int32), np.zeros(places, np.bool_)
    for offset in range(K):
        window = bases[offset : offset + places]
        codes *= 4
        codes += window & 3
        bad |= window == 4
    codes[bad] = -1
    return codes


class _Seeds:
    """The 12-mers of references, and where each stands."""

    def __init__(self, references: list[str]) -> None:
        codes = [_codes(reference) for reference in references]
        self._kmers = np.concatenate(codes) if codes else np.empty(0, np.int32)
        numbers = np.repeat(np.arange(len(codes)), [len(one) for one in codes])
        places = np.concatenate([np.arange(len(one)) for one in codes]) if codes else np.empty(0, np.int64)
        order = np.argsort(self._kmers, kind="stable")
        order = order[np.searchsorted(self._kmers[order], 0) :]
        self._kmers, self._numbers, self._places = self._kmers[order], numbers[order], places[order]
        self._known = np.zeros(4**K, np.bool_)
        self._known[self._kmers] = True

    def places(self, contig: npt.NDArray[np.int32]) -> Iterator[tuple[int, int, int]]:
        """Number of a reference, and the lowest and highest diagonal of a place where it may be.

        A diagonal is the place in the contig minus the place in the reference.
        """
        at = np.flatnonzero(self._known[np.maximum(contig, 0)] & (contig >= 0))
        first = np.searchsorted(self._kmers, contig[at])
        counts = np.searchsorted(self._kmers, contig[at], "right") - first
        hits = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        numbers, diagonals = self._numbers[hits], np.repeat(at, counts) - self._places[hits]
        order = np.lexsort((diagonals, numbers))
        numbers, diagonals = numbers[order], diagonals[order]
        new = (np.diff(numbers, prepend=-1) != 0) | (np.diff(diagonals, prepend=0) > _APART)
        starts = np.flatnonzero(new)
        for start, stop in pairwise([*starts, len(numbers)]):
            if stop - start >= LEAST_KMERS:
                yield int(numbers[start]), int(diagonals[start]), int(diagonals[stop - 1])
