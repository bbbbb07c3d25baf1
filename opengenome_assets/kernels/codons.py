"""Codon counts in the three forward reading frames, relative synonymous codon usage (RSCU), and codon usage bias.

Belongs here: counting, and the formulas of RSCU, GC3 and the effective number of codons. Does not belong here: which
genetic code fits a source. Genetic codes are Biopython's, by their NCBI number.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from Bio.Data import CodonTable
from numba import njit

from opengenome_assets.kernels.bases import Letters, Offsets, kernel_text, kmer_strings, readonly
from opengenome_assets.kernels.runs import last_letters, pack8, run_end, run_start

CODONS = readonly(kmer_strings(3))
"""All codons in lexicographic order: str array of shape (64,)."""
STOP = "*"


class CodonCounter:
    """Exact counts of codons by reading frame.

    A codon's frame is its start position in its sequence modulo 3, on the strand as given. A codon counts
    only if its three letters are A, C, G, T in either case. Codons after another letter keep their frame.
    """

    def __init__(self) -> None:
        self._pentamers = np.zeros((3, 4**5), np.int64)
        self._codons = np.zeros((3, 4**3), np.int64)

    def add(self, data: Letters, offsets: Offsets) -> None:
        """Count the codons of some sequences.

        Parameters
        ----------
        data : uint8 array
            Letters of all sequences.
        offsets : int32 or int64 array of shape (sequences + 1,)
            Where each sequence begins and ends in ``data``.
        """
        _count_codons(*kernel_text(data, offsets), self._pentamers, self._codons)

    def counts(self) -> npt.NDArray[np.int64]:
        """Counts so far.

        Returns
        -------
        int64 array of shape (3, 64)
            By frame, then by codon in lexicographic order.
        """
        counts = self._codons.copy()
        for first_frame, pentamers in enumerate(self._pentamers.reshape(3, 4, 4, 4, 4, 4)):
            for ahead, other_letters in enumerate(((3, 4), (0, 4), (0, 1))):
                counts[(first_frame + ahead) % 3] += pentamers.sum(axis=other_letters).ravel()
        return counts


@njit(cache=True, nogil=True)
def _count_codons(data: Any, offsets: Any, pentamers: Any, codons: Any) -> None:
    """Count 5-mers at every third position; each holds a codon of every frame.

    ``pentamers`` is by the frame of the 5-mer's first codon, which is the same throughout a run. ``codons`` takes
    the codons at the end of a run that are in no 5-mer.
    """
    mask, codon_mask = np.uint64(4**5 - 1), np.uint64(4**3 - 1)
    for row in range(len(offsets) - 1):
        origin, end = offsets[row], offsets[row + 1]
        start = run_start(data, origin, end)
        while start < end:
            stop = run_end(data, start, end)
            table = pentamers[(start - origin) % 3]
            position = start
            while position + 16 <= stop:
                word = (pack8(data, position) << np.uint64(16)) | pack8(data, position + 8)
                table[(word >> np.uint64(22)) & mask] += 1
                table[(word >> np.uint64(16)) & mask] += 1
                table[(word >> np.uint64(10)) & mask] += 1
                table[(word >> np.uint64(4)) & mask] += 1
                position += 12
            tail = last_letters(data, start, stop)
            for codon_start in range(stop - 3, position - 1, -1):
                codons[(codon_start - origin) % 3, tail & codon_mask] += 1
                tail >>= np.uint64(2)
            start = run_start(data, stop, end)


@cache
def codon_families(genetic_code: int) -> tuple[str, ...]:
    """Amino acid of each codon.

    Three codes (27, 28, 31) have codons that end a protein in one context and are read as an amino acid in
    all others. They are given as the amino acid, their meaning inside a gene.

    Parameters
    ----------
    genetic_code : int
        NCBI number of the translation table.

    Returns
    -------
    tuple of 64 str
        One-letter amino acids in lexicographic order of the codons, ``*`` for stops.

    Raises
    ------
    ValueError
        If there is no such table.
    """
    tables = CodonTable.unambiguous_dna_by_id
    if genetic_code not in tables:
        known = ", ".join(map(str, sorted(tables)))
        raise ValueError(f"unknown genetic code {genetic_code}; the known ones are {known}")
    amino_acids = tables[genetic_code].forward_table
    return tuple(amino_acids.get(codon, STOP) for codon in CODONS.tolist())


def rscu(counts: npt.NDArray[np.int64], genetic_code: int) -> npt.NDArray[np.float64]:
    """Relative synonymous codon usage (RSCU): a codon's count over the mean count of its amino acid's codons.

    Parameters
    ----------
    counts : int64 array of shape (..., 64)
        Codons in lexicographic order.
    genetic_code : int
        NCBI number of the translation table, see `codon_families`. The stop codons are a family too.

    Returns
    -------
    float64 array of shape (..., 64)
        1 where all codons of a family are used equally; NaN where none of the family was seen.

    References
    ----------
    Sharp PM, Tuohy TMF, Mosurski KR. Codon usage in yeast: cluster analysis clearly differentiates highly and
    lowly expressed genes. Nucleic Acids Research 14:5125-5143 (1986).
    """
    families = np.array(codon_families(genetic_code))
    synonymous = families[:, np.newaxis] == families
    means = (counts @ synonymous) / synonymous.sum(axis=0)
    usage = np.full(counts.shape, np.nan)
    np.divide(counts, means, out=usage, where=means > 0)
    return usage


def gc3(counts: npt.NDArray[np.int64], genetic_code: int) -> tuple[float, float]:
    """GC content of third positions, over all codons and over those with synonyms (GC3s); stops are left out.

    Parameters
    ----------
    counts : int64 array of shape (64,)
        Codons in lexicographic order.
    genetic_code : int
        NCBI number of the translation table.

    Returns
    -------
    tuple of float
        Each in [0, 1], or NaN without codons.
    """
    families = np.array(codon_families(genetic_code))
    sense = families != STOP
    synonymous = sense & ((families[:, np.newaxis] == families).sum(axis=1) > 1)
    ends_in_gc = np.isin(np.arange(64) % 4, (1, 2))

    def share(codons: npt.NDArray[np.bool_]) -> float:
        total = counts[codons].sum()
        return float(counts[codons & ends_in_gc].sum() / total) if total else float("nan")

    return share(sense), share(synonymous)


def effective_codons(counts: npt.NDArray[np.int64], genetic_code: int) -> float:
    """Effective number of codons, Nc: the number that, used equally, would give the same homozygosity of codons.

    For an amino acid with n codons seen, of shares p, the homozygosity is ``F = (n * sum(p**2) - 1) / (n - 1)``. Nc is
    the sum over the classes of degeneracy: the number of amino acids over their mean F. An amino acid with one codon
    counts 1. If none with three codons is seen, their F is the mean of those of two and of four (Wright 1990).

    Parameters
    ----------
    counts : int64 array of shape (64,)
        Codons in lexicographic order.
    genetic_code : int
        NCBI number of the translation table.

    Returns
    -------
    float
        At most the number of sense codons; NaN if another class of amino acids is not seen.

    References
    ----------
    Wright F. The 'effective number of codons' used in a gene. Gene 87:23-29 (1990).
    """
    families = np.array(codon_families(genetic_code))
    homozygosity: dict[int, list[float]] = {}
    sizes: dict[int, int] = {}
    for amino_acid in sorted(set(families.tolist()) - {STOP}):
        own = counts[families == amino_acid].astype(np.float64)
        sizes[len(own)] = sizes.get(len(own), 0) + 1
        total = own.sum()
        if len(own) > 1 and total > 1:
            value = (total * ((own / total) ** 2).sum() - 1) / (total - 1)
            if value > 0:
                homozygosity.setdefault(len(own), []).append(value)
    means = {size: float(np.mean(values)) for size, values in homozygosity.items()}
    if 3 in sizes and 3 not in means and {2, 4} <= means.keys():
        means[3] = (means[2] + means[4]) / 2
    if set(sizes) - {1} - means.keys():
        return float("nan")
    number = sum(amount if size == 1 else amount / means[size] for size, amount in sizes.items())
    return float(min(number, (families != STOP).sum()))
