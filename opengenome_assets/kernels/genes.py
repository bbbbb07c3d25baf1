"""Genes: where a sequence codes for proteins, on both strands, and the proteins.

Belongs here: the choice of method, open reading frames (ORFs), Prodigal by way of pyrodigal, translation and the codon
counts of genes. Does not belong here: which genetic code fits a source. Genetic codes are Biopython's, by their NCBI
number.

No method here knows introns: of a spliced gene, each exon that is long enough is a gene or a part of one. A circular
sequence is read as a linear one, so a gene across its origin is found in two partial halves. Ribosomal and transfer RNA
are no genes here.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyrodigal
from Bio.Data import CodonTable
from numba import njit

from opengenome_assets.kernels.bases import Letters, kernel_text, kmer_strings, reverse_complement_codes
from opengenome_assets.kernels.codons import codon_families
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

TRAINED = "prodigal_single"
METAGENOMIC = "prodigal_meta"
ORF = "orf"

# Prodigal advises against training on less, and refuses sequences of more than MAX_TRAINED.
MIN_TRAINED, MAX_TRAINED = 100_000, 32_000_000
# Those of bacteria, archaea and plastids. Prodigal does not know introns, and so is no finder for others' genes.
TRAINED_CODES = (4, 11, 25)
METAGENOMIC_CODES = (4, 11)

_START, _STOP = 1, 2  # and 4, 8 for the codon read on the other strand


@dataclass(frozen=True)
class Genes:
    """The genes of one sequence, by begin, then end, then strand.

    Attributes
    ----------
    method : str
        ``prodigal_single``, ``prodigal_meta`` or ``orf``, see `choose_method`.
    genetic_code : int
        NCBI number of the translation table.
    begin, end : int64 array of shape (genes,)
        First and last base on the strand as given, from 1, both included. The stop codon is included. The length is a
        multiple of 3.
    strand : int8 array of shape (genes,)
        1, or -1 for the reverse complement.
    partial_5, partial_3 : bool array of shape (genes,)
        Whether start or stop lies beyond the edge of the sequence (for an ORF, also of a gap).
    proteins : pyarrow.LargeStringArray
        Translations without the stop codon. A start codon is M, and a codon with another letter than A, C, G, T is X.
    start_codons : pyarrow.StringArray
        The first codon of each gene, upper case, empty if ``partial_5``.
    codons : int64 array of shape (64,)
        Codons of all genes together, stops included, in lexicographic order; those with other letters are left out.
    """

    method: str
    genetic_code: int
    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    strand: npt.NDArray[np.int8]
    partial_5: npt.NDArray[np.bool_]
    partial_3: npt.NDArray[np.bool_]
    proteins: pa.LargeStringArray
    start_codons: pa.StringArray
    codons: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.begin)


def choose_method(length: int, genetic_code: int) -> str:
    """Say how genes are found in a sequence.

    Parameters
    ----------
    length : int
        Letters of the sequence.
    genetic_code : int
        NCBI number of the translation table.

    Returns
    -------
    str
        ``prodigal_single``: Prodigal, trained on the sequence itself, from 100,000 to 32,000,000 letters, by the codes
        of bacteria, archaea and plastids (11, 4, 25). ``prodigal_meta``: Prodigal with the best of its metagenomic
        models, which are of codes 11 and 4, for shorter sequences. ``orf``: open reading frames, for all others.
    """
    if MIN_TRAINED <= length <= MAX_TRAINED and genetic_code in TRAINED_CODES:
        return TRAINED
    if length < MIN_TRAINED and genetic_code in METAGENOMIC_CODES:
        return METAGENOMIC
    return ORF


def find_genes(sequence: Letters, genetic_code: int, *, method: str | None = None) -> Genes:
    """Find the genes of one sequence, on both strands.

    Parameters
    ----------
    sequence : uint8 array of shape (letters,)
        Contiguous. Lower case counts as upper case.
    genetic_code : int
        NCBI number of the translation table.
    method : str, optional
        Instead of that of `choose_method`.

    Raises
    ------
    ValueError
        If there is no such genetic code.

    References
    ----------
    Hyatt D, et al. Prodigal: prokaryotic gene recognition and translation initiation site identification. BMC
    Bioinformatics 11:119 (2010). Larralde M. Pyrodigal: Python bindings and interface to Prodigal. Journal of Open
    Source Software 7(72):4296 (2022).
    """
    _codon_classes(genetic_code)  # refuses an unknown code
    method = method or choose_method(len(sequence), genetic_code)
    found = open_reading_frames(sequence, genetic_code) if method == ORF else _prodigal(sequence, genetic_code, method)
    found = found[np.lexsort((found[:, 2], found[:, 1], found[:, 0]))]
    begin, end, strand, partial_5, partial_3 = found.T
    strand, partial_5, partial_3 = strand.astype(np.int8), partial_5.astype(np.bool_), partial_3.astype(np.bool_)
    proteins, start_codons, codons = _translate(sequence, genetic_code, begin, end, strand, partial_5, partial_3)
    return Genes(method, genetic_code, begin, end, strand, partial_5, partial_3, proteins, start_codons, codons)


@lru_cache(maxsize=4)
def _metagenomic_finder(genetic_code: int) -> Any:
    bins = pyrodigal.MetagenomicBins(
        [model for model in pyrodigal.METAGENOMIC_BINS if model.training_info.translation_table == genetic_code]
    )
    return pyrodigal.GeneFinder(meta=True, metagenomic_bins=bins, mask=True, min_mask=GAP)


def _prodigal(sequence: Letters, genetic_code: int, method: str) -> npt.NDArray[np.int64]:
    """Rows begin, end, strand, partial_5, partial_3 of Prodigal's genes."""
    if method == METAGENOMIC:
        finder = _metagenomic_finder(genetic_code)
    else:
        finder = pyrodigal.GeneFinder(mask=True, min_mask=GAP)
        finder.train(sequence, translation_table=genetic_code)  # type: ignore[call-overload]  # takes any buffer
    rows = [
        (gene.begin, gene.end, gene.strand, *(gene.partial_begin, gene.partial_end)[:: gene.strand])
        for gene in finder.find_genes(sequence)
    ]
    return np.array(rows, np.int64).reshape(-1, 5)


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
    if not 0 <= 2 * max_overlap < 3 * min_codons:
        raise ValueError(f"expected an overlap of 0 to {(3 * min_codons - 1) // 2} bases, found {max_overlap}")
    data, offsets = kernel_text(sequence, np.array([0, len(sequence)]))
    frames = _open_frames(data, offsets, _codon_classes(genetic_code), min_codons)
    order = np.lexsort((-frames[:, 2], frames[:, 0], frames[:, 0] - frames[:, 1]))
    kept: npt.NDArray[np.int64] = _without_overlap(frames[order], len(sequence), max_overlap)
    return kept


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
    data, offsets = kernel_text(sequence, np.array([0, len(sequence)]))
    others = tuple(sorted(set(kmer_strings(3).tolist()) - set(stops)))
    frames = _open_frames(data, offsets, _classes(others, stops), min_codons)
    order = np.lexsort((-frames[:, 2], frames[:, 0], frames[:, 0] - frames[:, 1]))
    kept = _without_overlap(frames[order], len(sequence), 0)
    return int((kept[:, 1] - kept[:, 0] + 1).sum())


def _codon_classes(genetic_code: int) -> npt.NDArray[np.uint8]:
    stops = stop_codons(genetic_code)
    return _classes(tuple(CodonTable.unambiguous_dna_by_id[genetic_code].start_codons), stops)


@cache
def _classes(starts: tuple[str, ...], stops: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """For each codon, whether it is a start or a stop, forward and read on the other strand; uint8 of shape (64,)."""
    codons = kmer_strings(3)
    forward = _START * np.isin(codons, starts) | _STOP * np.isin(codons, stops)
    # Codes 27, 28, 31 have codons that are start or stop: the stop ends the frame.
    forward = np.where(forward & _STOP, _STOP, forward)
    classes = (forward | forward[reverse_complement_codes(3)] << 2).astype(np.uint8)
    classes.flags.writeable = False
    return classes


@njit(cache=True, nogil=True)
def _open_frames(data: Any, offsets: Any, classes: Any, min_codons: Any) -> Any:
    """Rows begin, end, strand, partial_5, partial_3 of all frames of ``min_codons`` or more, in one pass.

    The pass looks for stops alone. Start codons are looked for where two stops are far enough apart, which is rare. For
    each phase of a position, ``opened`` is where codons begin after the last forward stop. ``closed`` is where the last
    stop of the other strand lies. Both begin at the edge.
    """
    shortest = 3 * min_codons
    # Frames of one phase and strand do not overlap. Memory that no frame is written to is never touched.
    found = np.empty((6 * ((offsets[1] - offsets[0]) // shortest + 1), 5), np.int64)
    count = 0
    opened, edge_5 = np.empty(3, np.int64), np.empty(3, np.int64)
    closed, edge_3 = np.empty(3, np.int64), np.empty(3, np.int64)
    last = offsets[1]
    position = offsets[0]
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
def _without_overlap(frames: Any, length: Any, max_overlap: Any) -> Any:
    """Keep each of the frames, sorted by descending length, that shares few bases with the longer ones kept.

    A longer frame that shares more than ``max_overlap`` bases covers one of two bases, each so far from an end.
    """
    covered = np.zeros(length, np.bool_)
    kept = np.zeros(len(frames), np.bool_)
    for place in range(len(frames)):
        begin, end = frames[place, 0] - 1, frames[place, 1]
        if not (covered[begin + max_overlap] or covered[end - 1 - max_overlap]):
            kept[place] = True
            covered[begin:end] = True
    return frames[kept]


def _translate(
    sequence: Letters,
    genetic_code: int,
    begin: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    strand: npt.NDArray[np.int8],
    partial_5: npt.NDArray[np.bool_],
    partial_3: npt.NDArray[np.bool_],
) -> tuple[pa.LargeStringArray, pa.StringArray, npt.NDArray[np.int64]]:
    """Proteins, start codons, and the codon counts of all genes together."""
    data, _ = kernel_text(sequence, np.array([0, len(sequence)]))
    table = np.frombuffer("".join(codon_families(genetic_code)).encode(), np.uint8)
    offsets = np.zeros(len(begin) + 1, np.int64)
    np.cumsum((end - begin + 1) // 3 - ~partial_3, out=offsets[1:])
    letters = np.empty(offsets[-1], np.uint8)
    first = np.full(len(begin), -1, np.int64)
    codons = np.zeros(64, np.int64)
    _translate_genes(data, begin, end, strand, partial_5, table, offsets, letters, first, codons)
    proteins = pa.LargeStringArray.from_buffers(len(begin), pa.py_buffer(offsets), pa.py_buffer(letters))
    starts = kmer_strings(3)[first].astype(object)
    starts[first < 0] = ""
    return proteins, pa.array(starts, pa.string()), codons


@njit(cache=True, nogil=True)
def _translate_genes(
    data: Any,
    begin: Any,
    end: Any,
    strand: Any,
    partial_5: Any,
    table: Any,
    offsets: Any,
    letters: Any,
    first: Any,
    codons: Any,
) -> None:
    for gene in range(len(begin)):
        count = (end[gene] - begin[gene] + 1) // 3
        size = offsets[gene + 1] - offsets[gene]
        for place in range(count):
            code = 0
            valid = True
            for ahead in range(3):
                step = 3 * place + ahead
                letter = data[begin[gene] - 1 + step] if strand[gene] == 1 else data[end[gene] - 1 - step]
                valid = valid and IS_BASE[letter]
                base = ((letter >> 1) ^ (letter >> 2)) & 3
                code = (code << 2) | (base if strand[gene] == 1 else 3 - base)
            if valid:
                codons[code] += 1
            if place == 0 and not partial_5[gene] and valid:
                first[gene] = code
            if place < size:
                amino_acid = table[code] if valid else 88  # X
                if place == 0 and not partial_5[gene]:
                    amino_acid = 77  # M
                letters[offsets[gene] + place] = amino_acid
