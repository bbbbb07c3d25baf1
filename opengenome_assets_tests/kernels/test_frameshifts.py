"""Alignment with frameshifts against the recurrence as a recursion over all moves."""

import random
from functools import cache

import numpy as np
import pytest

from opengenome_assets.kernels.amino_acids import doubled_scores, encode
from opengenome_assets.kernels.frameshifts import BACKWARD, CODON, DELETION, FORWARD, align_frames
from opengenome_assets_tests.kernels.proteins import random_protein

BLOSUM62 = doubled_scores("BLOSUM62")


def optimum(codons: np.ndarray, reference: np.ndarray, costs: tuple[int, int, int]) -> int:
    """Best score of all alignments, each found from its end."""
    gap_open, gap_extend, shift = costs

    @cache
    def ending(row: int, base: int, state: int) -> int:
        """Best with ``row`` letters and ``base`` bases before it: 0 in a pair or nothing, 3 and 4 within a gap."""
        if row < 0 or base < 0:
            return -(10**9)
        if state == DELETION:
            return max(best(row - 1, base) - gap_open, ending(row - 1, base, state) - gap_extend) if row else -(10**9)
        if state:
            return max(best(row, base - 3) - gap_open, ending(row, base - 3, state) - gap_extend)
        if row == 0 or base < 3:
            return 0
        pair = int(BLOSUM62[codons[base - 3], reference[row - 1]])
        return max(0, *(best(row - 1, base - step) + pair - (shift if step != 3 else 0) for step in (2, 3, 4)))

    @cache
    def best(row: int, base: int) -> int:
        if row < 0 or base < 0:
            return -(10**9)
        return max(ending(row, base, state) for state in (0, 3, 4))

    return max(best(row, base) for row in range(len(reference) + 1) for base in range(len(codons) + 3))


@pytest.mark.parametrize("costs", [(22, 2, 30), (8, 2, 4)])
def test_the_score_is_the_optimum_and_the_columns_make_it(costs: tuple[int, int, int]) -> None:
    chance = random.Random(1)
    seen = set()
    for _ in range(40):
        reference = encode(random_protein(chance, chance.randrange(1, 14), "AWKR"))
        codons = encode(random_protein(chance, chance.randrange(1, 36), "AWKR*"))
        shift = chance.choice([1, -1, 3, -3])
        for letter in range(len(reference)):  # homologous, with a break
            codons[min(len(codons) - 1, 3 * letter + shift * (letter > 4))] = reference[letter]
        found = align_frames(codons, reference, BLOSUM62, *costs)
        assert found.score == optimum(codons, reference, costs)
        score, before = 0, None
        for column, move in enumerate(found.moves.tolist()):
            seen.add(move)
            if move in (CODON, FORWARD, BACKWARD):
                score += int(BLOSUM62[codons[found.base[column]], reference[found.reference[column]]])
                score -= costs[2] if move != CODON else 0
            else:
                score -= costs[1] if before == move else costs[0]
            before = move
        assert score == found.score
    assert seen >= ({CODON, FORWARD, BACKWARD, DELETION} if costs[2] == 4 else {CODON})


def test_nothing_in_common() -> None:
    found = align_frames(encode("PPPP"), encode("WW"), BLOSUM62, 22, 2, 30)
    assert (found.score, len(found.moves)) == (0, 0)
    assert align_frames(np.empty(0, np.uint8), encode("W"), BLOSUM62, 22, 2, 30).score == 0
