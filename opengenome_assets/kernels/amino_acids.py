"""Letters of proteins as codes, and the scores of pairs of them.

Belongs here: the alphabet and substitution matrices, by the names under which Biopython holds them. Does not belong
here: alignments (`opengenome_assets.kernels.alignments`).

A code is a letter's place in `LETTERS`, NCBI's order for BLOSUM62. Lower case counts as upper case. J, U and O have no
row in BLOSUM62 and count as X, and so does every other character.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
from Bio.Align import substitution_matrices

LETTERS = "ARNDCQEGHILKMFPSTWYVBZX*"
STANDARD = 20  # codes below are the amino acids of the standard genetic code
_UNKNOWN = LETTERS.index("X")

Codes = npt.NDArray[np.uint8]


def _codes() -> Codes:
    table = np.full(256, _UNKNOWN, np.uint8)
    for code, letter in enumerate(LETTERS):
        table[ord(letter)] = table[ord(letter.lower())] = code
    return table


CODES = _codes()


def encode(sequence: str) -> Codes:
    """Codes of a protein's letters, uint8 array of shape (letters,)."""
    return CODES[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]


@cache
def doubled_scores(name: str) -> npt.NDArray[np.int32]:
    """Twice the scores of a substitution matrix, so that half points of gaps are whole numbers.

    Parameters
    ----------
    name : str
        BLOSUM62, BLOSUM45, PAM250, or another of `Bio.Align.substitution_matrices`.

    Returns
    -------
    int32 array of shape (24, 24), read-only
        By codes. A letter that the matrix does not know scores as its X.

    Raises
    ------
    ValueError
        There is no matrix of that name, it is not one of whole numbers for proteins, or it is not symmetric.
    """
    known = substitution_matrices.load()  # type: ignore[no-untyped-call]
    if name not in known:
        raise ValueError(f"No substitution matrix is named {name!r}. Known: {', '.join(known)}.")
    matrix = substitution_matrices.load(name)  # type: ignore[no-untyped-call]
    alphabet = str(matrix.alphabet)
    if missing := set(LETTERS[:STANDARD]) - set(alphabet):
        raise ValueError(f"{name} is no matrix for proteins: it has no {', '.join(sorted(missing))}.")
    rows = [alphabet.index(letter) if letter in alphabet else alphabet.index("X") for letter in LETTERS]
    table = np.asarray(matrix)[np.ix_(rows, rows)]
    scores: npt.NDArray[np.int32] = np.rint(2 * table).astype(np.int32)
    if not np.array_equal(scores, 2 * table) or not np.array_equal(scores, scores.T):
        raise ValueError(f"{name} is not a symmetric matrix of whole numbers.")
    scores.flags.writeable = False
    return scores
