"""Alignments against dynamic programming cell by cell. EMBOSS' scores are compared in ``proteins/test_emboss.py``."""

import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.kernels import alignments
from opengenome_assets.kernels.alignments import BAND, FULL, UNGAPPED, Alignments, align_pairs
from opengenome_assets.kernels.amino_acids import LETTERS, doubled_scores, encode
from opengenome_assets_tests.kernels.proteins import mutant, packed, random_protein

BLOSUM62 = doubled_scores("BLOSUM62")


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Hypothesis holds compiling for a slow example."""
    align(["MK"], ["MK"])


def align(
    queries: list[str],
    references: list[str],
    least_proof: int = UNGAPPED,
    gap: tuple[int, int] = (20, 1),
    local: bool = False,
) -> Alignments:
    """Each query aligned to the reference of the same number."""
    pairs = np.repeat(np.arange(len(queries), dtype=np.int32)[:, None], 2, axis=1)
    texts = *packed(queries), *packed(references)
    return align_pairs(*texts, pairs, BLOSUM62, *gap, least_proof=least_proof, local=local)


def optimum(query: str, reference: str, gap: tuple[int, int], local: bool = False) -> int:
    """Gotoh's recurrence with free gaps at all ends, or Smith's and Waterman's."""
    q, r = encode(query), encode(reference)
    never = -(10**9)
    best = [[0] * (len(q) + 1) for _ in range(len(r) + 1)]
    insertion = [[never] * (len(q) + 1) for _ in range(len(r) + 1)]
    deletion = [[never] * (len(q) + 1) for _ in range(len(r) + 1)]
    for i in range(1, len(r) + 1):
        for j in range(1, len(q) + 1):
            insertion[i][j] = max(insertion[i][j - 1] - gap[1], best[i][j - 1] - gap[0])
            deletion[i][j] = max(deletion[i - 1][j] - gap[1], best[i - 1][j] - gap[0])
            pair = best[i - 1][j - 1] + int(BLOSUM62[q[j - 1], r[i - 1]])
            best[i][j] = max(pair, insertion[i][j], deletion[i][j], 0 if local else never)
    return max(map(max, best)) if local else max(*best[-1], *(row[-1] for row in best))


def rescored(
    found: Alignments, pair: int, query: str, reference: str, gap: tuple[int, int], local: bool = False
) -> int:
    """The score of a CIGAR, whose letters must be as it says and whose ends must be those of a sequence."""
    (j, i), (end_query, end_reference) = found.starts[pair].tolist(), found.ends[pair].tolist()
    whole = 0 in (i, j) and (end_query == len(query) or end_reference == len(reference))
    assert found.cigar(pair) == "" or whole or local
    score = 0
    for length, operation in re.findall(r"(\d+)([=XID])", found.cigar(pair)):
        if operation in "=X":
            for _ in range(int(length)):
                assert (encode(query[j])[0] == encode(reference[i])[0]) == (operation == "=")
                score += int(BLOSUM62[encode(query[j])[0], encode(reference[i])[0]])
                i, j = i + 1, j + 1
        else:
            score -= gap[0] + (int(length) - 1) * gap[1]
            i, j = (i + int(length), j) if operation == "D" else (i, j + int(length))
    assert (j, i) == (end_query, end_reference)
    return score


def homologues(seed: int, count: int, longest: int) -> tuple[list[str], list[str]]:
    """Mutants, a third of them without one end, and the proteins that they come from."""
    chance = random.Random(seed)
    references = [
        random_protein(chance, chance.randrange(1, longest), chance.choice([LETTERS[:20], "AL", "GSA", LETTERS]))
        for _ in range(count)
    ]
    queries = [mutant(chance, reference, chance.choice([0, 1, 1, 2, 5, 9])) for reference in references]
    queries = [query[chance.choice([0, 0, len(query) // 3]) :] or "M" for query in queries]
    return queries, references


@pytest.mark.parametrize("gap", [(20, 1), (6, 6), (2, 0)])
def test_all_ways_find_the_optimum_and_the_same_alignment(
    gap: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shortcuts only with a proof; the last way is the full table block by block, from checkpoints."""
    queries, references = homologues(1, 150, 60)
    ways = [align(queries, references, least, gap) for least in (UNGAPPED, BAND, FULL)]
    monkeypatch.setattr(alignments, "_CELLS", 1)
    ways.append(align(queries, references, FULL, gap))
    for pair, (query, reference) in enumerate(zip(queries, references, strict=True)):
        best = optimum(query, reference, gap)
        assert [int(way.scores[pair]) for way in ways] == [best] * 4, (query, reference)
        assert rescored(ways[0], pair, query, reference, gap) == best
        assert len({(way.cigar(pair), *way.starts[pair].tolist()) for way in ways}) == 1, (query, reference)
    if gap == (20, 1):
        assert np.bincount(ways[0].proofs).min() >= 10  # every way is taken


@given(st.text("ARNDX*", min_size=1, max_size=12), st.text("ARNDX*", min_size=1, max_size=12))
def test_any_two_short_proteins(query: str, reference: str) -> None:
    found = align([query], [reference])
    assert int(found.scores[0]) == optimum(query, reference, (20, 1)) == rescored(found, 0, query, reference, (20, 1))


@pytest.mark.parametrize("gap", [(20, 1), (2, 0)])
def test_local_alignments_are_the_optimum(gap: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """In ordinary memory, and block by block from checkpoints."""
    queries, references = homologues(7, 100, 50)
    ways = [align(queries, references, UNGAPPED, gap, local=True)]
    monkeypatch.setattr(alignments, "_CELLS", 1)
    ways.append(align(queries, references, UNGAPPED, gap, local=True))
    for pair, (query, reference) in enumerate(zip(queries, references, strict=True)):
        best = optimum(query, reference, gap, local=True)
        assert rescored(ways[0], pair, query, reference, gap, local=True) == best == ways[0].scores[pair]
        assert ways[0].cigar(pair) == ways[1].cigar(pair)


def test_of_equal_local_alignments_the_first_in_the_reference() -> None:
    found = align(["CWWWC"], ["AWWWGGWWWA"], local=True)
    assert (found.starts.tolist(), found.ends.tolist(), found.cigar(0)) == ([[1, 1]], [[4, 4]], "3=")


def test_a_gap_in_a_repeat_stands_as_far_left_as_it_can() -> None:
    assert align(["MKWDDDDDYTRH"], ["MKWDDDDYTRH"]).cigar(0) == "3=1I8="
    assert align(["MKWHPDDDYTRH"], ["MKWHPDDDDYTRH"]).cigar(0) == "5=1D7="


def test_more_queries_than_one_and_the_same_query_again() -> None:
    """The query profile and the arrays are used again between pairs, also by a longer pair."""
    queries, references = homologues(2, 12, 80)
    pairs = np.array([(q, r) for r in range(12) for q in (r, 11 - r, r)], np.int32)
    together = align_pairs(*packed(queries), *packed(references), pairs, BLOSUM62, 20, 1)
    for number, (query, reference) in enumerate(pairs.tolist()):
        alone = align([queries[query]], [references[reference]])
        assert (together.cigar(number), together.scores[number]) == (alone.cigar(0), alone.scores[0])


@pytest.mark.parametrize("gap", [(20, 1), (6, 6), (2, 0)])
def test_side_by_side_is_the_same_as_one_after_the_other(gap: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries of several lengths, more than there are lanes, beside references with too few for lanes."""
    queries, references = homologues(5, 40, 70)
    pairs = np.array([(q, 0) for q in range(40)] + [(q, q) for q in range(40)] + [(q, 7) for q in range(9)], np.int32)
    arguments = (*packed(queries), *packed(references), pairs, BLOSUM62, *gap)
    together = align_pairs(*arguments, least_proof=FULL)
    mixed = align_pairs(*arguments)
    monkeypatch.setattr(alignments, "_LEAST", 10**6)
    alone = align_pairs(*arguments, least_proof=FULL)
    for way in (together, mixed):
        assert way.scores.tolist() == alone.scores.tolist()
        assert way.starts.tolist() == alone.starts.tolist()
        assert way.ends.tolist() == alone.ends.tolist()
        assert [way.cigar(pair) for pair in range(len(pairs))] == [alone.cigar(pair) for pair in range(len(pairs))]
    assert set(together.proofs.tolist()) == {FULL}


@pytest.mark.parametrize("length", [1_489, 1_490])
@pytest.mark.parametrize("local", [False, True])
def test_the_largest_score_of_16_bits_and_one_beyond(length: int, local: bool) -> None:
    found = align(["W" * length], ["W" * 1_600], FULL, local=local)
    assert (found.scores.tolist(), found.cigar(0)) == ([22 * length], f"{length}=")


def test_a_gap_whose_first_letter_is_cheaper_is_refused() -> None:
    with pytest.raises(ValueError, match="at least as much"):
        align(["MK"], ["MK"], gap=(1, 2))


def test_costs_beyond_16_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="32,767 or less"):
        align(["MK"], ["MK"], gap=(40_000, 1))


def test_letters_as_encode() -> None:
    assert encode("acJUO?\u20ac").tolist() == [0, 4] + [LETTERS.index("X")] * 5


def test_matrices_by_name() -> None:
    assert doubled_scores("BLOSUM62")[LETTERS.index("W"), LETTERS.index("W")] == 22
    assert doubled_scores("PAM250")[LETTERS.index("W"), LETTERS.index("W")] == 34
    with pytest.raises(ValueError, match=r"Known: .*BLOSUM62"):
        doubled_scores("BLOSUM63")
    with pytest.raises(ValueError, match="no matrix for proteins"):
        doubled_scores("NUC.4.4")
