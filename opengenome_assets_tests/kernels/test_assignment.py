"""Shared k-mers against counters of strings, and the bound against mutants."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.kernels.assignment import Index
from opengenome_assets_tests.kernels.proteins import AMINO_ACIDS, packed, random_protein


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Hypothesis holds compiling for a slow example."""
    Index(*packed(["MK"])).candidates(*packed(["MK"]))


PROTEINS = st.lists(st.text("ARNX*", min_size=1, max_size=20), min_size=1, max_size=5)


def shared_kmers(query: str, reference: str, k: int) -> int:
    kmers = Counter(reference[start : start + k] for start in range(len(reference) - k + 1))
    return sum(
        kmers[kmer] for start in range(len(query) - k + 1) if set(kmer := query[start : start + k]) <= set(AMINO_ACIDS)
    )


@given(PROTEINS, PROTEINS, st.sampled_from([3, 4, 5]))
def test_every_pair_with_enough_shared_kmers_is_found(queries: list[str], references: list[str], k: int) -> None:
    index = Index(*packed(references), k=k, identity=1, coverage=1)
    pairs, shared = index.candidates(*packed(queries))
    expected = {}
    for q, query in enumerate(queries):
        for r, reference in enumerate(references):
            if (count := shared_kmers(query, reference, k)) >= max(1, len(reference) - k + 1):
                expected[q, r] = count
    assert list(map(tuple, pairs.tolist())) == sorted(expected)
    assert dict(zip(map(tuple, pairs.tolist()), shared.tolist(), strict=True)) == expected


def test_no_pair_above_the_bound_is_left_out() -> None:
    """A part of 30 % of each reference and every fifth letter of it changed: the worst case."""
    chance = random.Random(5)
    references = [random_protein(chance, length) for length in range(200, 500, 3)]
    index = Index(*packed(references), identity=0.8, coverage=0.3)
    assert index.guaranteed.all()
    queries = []
    for reference in references:
        columns = -(-3 * len(reference) // 10)
        start = chance.randrange(len(reference) - columns)
        part = list(reference[start : start + columns])
        for place in range(4, columns, 5):
            part[place] = "X"
        queries.append("".join(part))
    pairs, _ = index.candidates(*packed(queries))
    assert {(number, number) for number in range(len(queries))} <= set(map(tuple, pairs.tolist()))


def test_short_references_are_not_guaranteed() -> None:
    """At k = 4, an identity of 0.8 and a coverage of 0.3, 0.06 * R - 3 is above 0 from 51 letters on."""
    assert Index(*packed(["M" * 50, "M" * 51])).guaranteed.tolist() == [False, True]


@pytest.mark.parametrize("wrong", [{"k": 6}, {"identity": 0}, {"coverage": 1.1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be 3 to 5|are shares"):
        Index(np.zeros(9, np.uint8), np.array([0, 9]), **wrong)  # type: ignore[arg-type]
