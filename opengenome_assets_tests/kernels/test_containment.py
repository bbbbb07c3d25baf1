"""Distinct k-mers and containment against sets of strings, and against sourmash."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opengenome_assets.kernels.containment import (
    LONGEST,
    MAX_K,
    KmerSet,
    distinct_kmers,
    estimated_identity,
    specific_k,
)
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.kernels.texts import random_bases, sample, sequences, spell, windows

COMPLEMENT = str.maketrans("ACGT", "TGCA")
ODD = st.sampled_from(range(1, MAX_K + 1, 2))


def forms(sequence: bytes, k: int) -> dict[str, int]:
    """The forms of each canonical k-mer: a set of strings, letter by letter."""
    found: dict[str, int] = {}
    for _, kmer in windows(sequence, k):
        reverse = kmer[::-1].translate(COMPLEMENT)
        found[min(kmer, reverse)] = found.get(min(kmer, reverse), 0) | (1 if kmer < reverse else 2)
    return found


def letters(sequence: bytes) -> Any:
    return np.frombuffer(sequence, np.uint8)


@settings(max_examples=share(50))
@given(sequences(), ODD)
def test_distinct_kmers_are_those_of_a_set_of_strings(sequence: bytes, k: int) -> None:
    codes, found = distinct_kmers(letters(sequence), k)
    assert (codes.dtype, found.dtype) == (np.uint64, np.uint8)
    assert codes.tolist() == sorted(codes.tolist())
    assert {spell(code, k): form for code, form in zip(codes.tolist(), found.tolist(), strict=True)} == forms(
        sequence, k
    )


@settings(max_examples=share(50))
@given(sequences(), sequences(), ODD, st.integers(0, 200), st.booleans())
def test_look_ups_are_those_in_a_set_of_strings(query: bytes, other: bytes, k: int, cut: int, backward: bool) -> None:
    piece = query[:cut]
    if backward:
        piece = piece.upper().translate(bytes.maketrans(b"ACGT", b"TGCA"))[::-1]
    sequence = other + piece
    codes, _ = distinct_kmers(letters(query), k)
    expected = forms(sequence, k)
    assert KmerSet(codes, k).forms_in(letters(sequence)).tolist() == [
        expected.get(spell(code, k), 0) for code in codes.tolist()
    ]


@pytest.mark.slow
def test_many_kmers_are_each_found() -> None:
    random = np.random.default_rng(5)
    query = random_bases(random, 300_000)
    codes, own = distinct_kmers(letters(query), 25)
    kmers = KmerSet(codes, 25)
    np.testing.assert_array_equal(kmers.forms_in(letters(random_bases(random, 500) + query)), own)
    assert not kmers.forms_in(letters(random_bases(random, 300_000))).any()
    assert KmerSet(codes[:0], 25).forms_in(letters(query)).size == 0


@pytest.mark.parametrize("k", [0, 2, 32, 33])
def test_an_even_k_or_one_of_more_than_31_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"odd k from 1 to 31, found {k}"):
        distinct_kmers(letters(b"ACGT"), k)


@given(st.integers(1, 2**31))
def test_k_is_the_smallest_odd_one_with_less_than_one_kmer_by_chance(length: int) -> None:
    k = specific_k(length)
    assert k % 2 == 1
    assert k <= MAX_K
    assert length * 2 * LONGEST / 4**k < 1 <= length * 2 * LONGEST / 4 ** (k - 2)


def test_k_of_usual_queries() -> None:
    assert [specific_k(length) for length in (17, 150, 1_500, 16_569, 150_000, 4_600_000)] == [17, 19, 21, 23, 25, 27]


def test_identity_follows_from_substitutions() -> None:
    assert estimated_identity(1.0, 21) == 1.0
    assert estimated_identity(0.0, 21) is None
    random = np.random.default_rng(7)
    genome = letters(random_bases(random, 200_000))
    for divergence in (0.01, 0.05, 0.1):
        changed = np.where(random.random(len(genome)) < divergence, letters(b"TGCA")[(genome >> 1) & 3], genome)
        codes, _ = distinct_kmers(genome, 21)
        held = KmerSet(codes, 21).forms_in(changed.astype(np.uint8)) != 0
        identity = estimated_identity(float(held.mean()), 21)
        assert identity == pytest.approx(1 - divergence, abs=0.002)


# Runs in sourmash's own environment: every hash is kept (scaled=1), so that its containment is exact.
SOURMASH = """
import json, sys
from sourmash import MinHash
k, query, sequences = json.load(sys.stdin)
def sketch(sequence):
    kept = MinHash(n=0, ksize=k, scaled=1)
    kept.add_sequence(sequence, force=True)
    return kept
own = sketch(query)
answers = []
for sequence in sequences:
    other = sketch(sequence)
    answers.append([own.contained_by(other), own.containment_ani(other).ani])
print(json.dumps([len(own), answers]))
"""


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.parametrize("length", [150, 1500])
def test_containment_and_identity_are_those_of_sourmash(length: int, tool: Callable[[str], str]) -> None:
    genomes = list(sample("mitochondria").values())[:4] + list(sample("plastids").values())[:2]
    query = genomes[0][2000 : 2000 + length - 40] + genomes[4][50_000:50_040]
    k = specific_k(length)
    with open(tool("sourmash")) as script:
        python = script.readline().removeprefix("#!").strip()
    told = subprocess.run(
        [python, "-c", SOURMASH], input=json.dumps([k, query, genomes]), check=True, capture_output=True, text=True
    )
    distinct, answers = json.loads(told.stdout)
    codes, _ = distinct_kmers(letters(query.encode()), k)
    assert len(codes) == distinct
    kmers = KmerSet(codes, k)
    contained = [float((kmers.forms_in(letters(genome.encode())) != 0).mean()) for genome in genomes]
    assert contained == pytest.approx([containment for containment, _ in answers], abs=0)
    assert contained[0] > 0.5 > contained[4] > 0
    for containment, (_, ani) in zip(contained, answers, strict=True):
        assert estimated_identity(containment, k) == (pytest.approx(ani, abs=1e-6) if containment else None)
