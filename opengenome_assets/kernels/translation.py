"""Translation: the proteins of genes, their start codons, and the codons that they use.

Belongs here: from coordinates on a sequence to letters and counts. Does not belong here: finding genes (``genes.py``,
``frames.py``), and statistics of codons (``codons.py``).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from opengenome_assets.kernels.bases import Letters, kernel_text
from opengenome_assets.kernels.codons import CODONS, codon_families
from opengenome_assets.kernels.runs import IS_BASE


def translate(
    sequence: Letters,
    genetic_code: int,
    begin: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    strand: npt.NDArray[np.int8],
    partial_5: npt.NDArray[np.bool_],
    partial_3: npt.NDArray[np.bool_],
) -> tuple[pa.LargeStringArray, pa.StringArray, npt.NDArray[np.int64]]:
    """Return proteins, start codons, and the codon counts of all genes together.

    Parameters
    ----------
    sequence : uint8 array of shape (letters,)
        Contiguous. Lower case counts as upper case.
    genetic_code : int
        NCBI number of the translation table.
    begin, end, strand, partial_5, partial_3 : arrays of shape (genes,)
        As in `genes.Genes`.

    Returns
    -------
    tuple
        ``proteins``, ``start_codons`` and ``codons``, as in `genes.Genes`.

    Raises
    ------
    ValueError
        If there is no such genetic code.
    """
    data, _ = kernel_text(sequence, np.array([0, len(sequence)]))
    table = np.frombuffer("".join(codon_families(genetic_code)).encode(), np.uint8)
    offsets = np.zeros(len(begin) + 1, np.int64)
    np.cumsum((end - begin + 1) // 3 - ~partial_3, out=offsets[1:])
    letters = np.empty(offsets[-1], np.uint8)
    first = np.full(len(begin), -1, np.int64)
    codons = np.zeros(64, np.int64)
    _translate_genes(data, begin, end, strand, partial_5, table, offsets, letters, first, codons)
    proteins = pa.LargeStringArray.from_buffers(len(begin), pa.py_buffer(offsets), pa.py_buffer(letters))
    starts = CODONS[first].astype(object)
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
