"""Genes: where a sequence codes for proteins, on both strands, and the proteins.

Belongs here: the choice of method, and Prodigal by way of pyrodigal. Does not belong here: open reading frames
(``frames.py``), translation (``translation.py``), and which genetic code fits a source. Genetic codes are Biopython's,
by their NCBI number.

No method here knows introns: of a spliced gene, each exon that is long enough is a gene or a part of one. A circular
sequence is read as a linear one, so a gene across its origin is found in two partial halves. Ribosomal and transfer RNA
are no genes here.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyrodigal

from opengenome_assets.kernels.bases import Letters, Offsets
from opengenome_assets.kernels.frames import GAP, open_reading_frames_of_each, stop_codons
from opengenome_assets.kernels.translation import translate

TRAINED = "prodigal_single"
METAGENOMIC = "prodigal_meta"
ORF = "orf"

# Prodigal advises against training on less, and refuses sequences of more than MAX_TRAINED.
MIN_TRAINED, MAX_TRAINED = 100_000, 32_000_000
# Those of bacteria, archaea and plastids. Prodigal does not know introns, and so is no finder for others' genes.
TRAINED_CODES = (4, 11, 25)
METAGENOMIC_CODES = (4, 11)


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


class GenePlaces(NamedTuple):
    """Where the genes of some sequences are, sequence by sequence, by begin, then end, then strand.

    Attributes
    ----------
    sequence : int64 array of shape (genes,)
        Number of each gene's sequence.
    begin, end, strand, partial_5, partial_3 : arrays of shape (genes,)
        As in `Genes`, on its sequence.
    methods : list of str
        How the genes of each sequence were found.
    """

    sequence: npt.NDArray[np.int64]
    begin: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    strand: npt.NDArray[np.int8]
    partial_5: npt.NDArray[np.bool_]
    partial_3: npt.NDArray[np.bool_]
    methods: list[str]


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
    """
    places = place_genes(sequence, np.array([0, len(sequence)]), genetic_code, method=method)
    return Genes(places.methods[0], genetic_code, *places[1:6], *translate(sequence, genetic_code, *places[1:6]))


def place_genes(letters: Letters, offsets: Offsets, genetic_code: int, *, method: str | None = None) -> GenePlaces:
    """Find where the genes of each of some sequences are, on both strands.

    Parameters
    ----------
    letters : uint8 array
        Letters of all sequences, contiguous. Lower case counts as upper case.
    offsets : int32 or int64 array of shape (sequences + 1,)
        Ascending positions in ``letters``.
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
    stop_codons(genetic_code)  # refuses an unknown code
    methods = [method or choose_method(length, genetic_code) for length in np.diff(offsets).tolist()]
    by_frames = np.array([each == ORF for each in methods], np.bool_)
    found = [open_reading_frames_of_each(letters, offsets, np.flatnonzero(by_frames), genetic_code)]
    for number in np.flatnonzero(~by_frames).tolist():
        rows = _prodigal(letters[offsets[number] : offsets[number + 1]], genetic_code, methods[number])
        found.append(np.insert(rows, 0, number, axis=1))
    genes = np.concatenate(found)
    # The last key rules: sorted by the first four columns, in their order.
    sequence, begin, end, strand, partial_5, partial_3 = genes[np.lexsort(genes[:, 3::-1].T)].T
    strand, partial_5, partial_3 = strand.astype(np.int8), partial_5.astype(np.bool_), partial_3.astype(np.bool_)
    return GenePlaces(sequence, begin, end, strand, partial_5, partial_3, methods)


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
