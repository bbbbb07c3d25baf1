"""Proteins for the tests of alignments: random ones and their mutants."""

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from opengenome_assets.kernels.amino_acids import LETTERS, encode

AMINO_ACIDS = LETTERS[:20]


def packed(proteins: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Codes of all letters, and where each protein begins and ends."""
    return encode("".join(proteins)), np.cumsum([0, *map(len, proteins)])


def random_protein(chance: random.Random, length: int, letters: str = AMINO_ACIDS) -> str:
    return "".join(chance.choices(letters, k=length))


def mutant(chance: random.Random, protein: str, changes: int) -> str:
    """The protein with some substitutions, insertions and deletions of up to 8 letters."""
    letters = list(protein)
    for _ in range(changes):
        place, kind = chance.randrange(len(letters)), chance.random()
        if kind < 0.6 or len(letters) < 20:
            letters[place] = chance.choice(AMINO_ACIDS)
        elif kind < 0.8:
            del letters[place : place + chance.randrange(1, 9)]
        else:
            letters[place:place] = random_protein(chance, chance.randrange(1, 9))
    return "".join(letters)
