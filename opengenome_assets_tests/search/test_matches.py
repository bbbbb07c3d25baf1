"""Where a hit matches: stretches of shared k-mers against a slow twin, and the pieces that a sequence was made of."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opengenome_assets.kernels.containment import KmerSet, distinct_kmers, specific_k
from opengenome_assets.search import matches
from opengenome_assets.search.matches import MOST_PLACES, Stretch, find_matches
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.kernels.texts import spell, windows

COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")


def bases(number: int, seed: int) -> bytes:
    return bytes(random.Random(seed).choices(b"ACGT", k=number))


def reverse(sequence: bytes) -> bytes:
    return sequence.translate(COMPLEMENT)[::-1]


def letters(sequence: bytes) -> np.ndarray:
    return np.frombuffer(sequence, np.uint8)


def found(query: bytes, hit: bytes, **options) -> list[Stretch]:
    return find_matches(letters(query), letters(hit), **options).stretches


@settings(max_examples=share(50))
@given(st.text("ACGTNa", max_size=60), st.text("ACGTNa", max_size=60), st.sampled_from([1, 3, 5]), st.integers(0, 40))
def test_occurrences_are_those_of_a_loop(query: str, other: str, k: int, limit: int) -> None:
    codes, _ = distinct_kmers(letters(query.encode()), k)
    known = {spell(code, k): place for place, code in enumerate(codes.tolist())}
    expected = []
    for start, kmer in windows((other + query[:20]).encode(), k):
        canonical = min(kmer, reverse(kmer.encode()).decode())
        if canonical in known:
            expected.append((known[canonical], start, 1 if kmer == canonical else 2))
    occurrences = KmerSet(codes, k).occurrences(letters((other + query[:20]).encode()), limit)
    assert [*zip(*(each.tolist() for each in occurrences), strict=True)] == expected[:limit]


def test_pieces_are_found_where_they_were_put_on_the_strand_they_were_put_on() -> None:
    query = bases(900, 1)
    hit = bases(300, 2) + query[100:400] + bases(77, 3) + reverse(query[500:800]) + bases(50, 4)
    k = specific_k(900)
    matches = find_matches(letters(query), letters(hit))
    first, second = sorted(matches.stretches, key=lambda each: each.hit_start)
    for stretch, wanted in ((first, (100, 400, 300, 600)), (second, (500, 800, 677, 977))):
        found_at = stretch.query_start, stretch.query_end, stretch.hit_start, stretch.hit_end
        assert np.abs(np.subtract(found_at, wanted)).max() <= 3  # letters beside a piece may match by chance
        assert stretch.kmers == stretch.query_end - stretch.query_start - k + 1
    assert (first.strand, second.strand, matches.k, matches.total) == ("+", "-", k, 2)
    assert matches.covered == pytest.approx(600 / 900, abs=0.01)
    assert {each.strand for each in found(query, hit, strand="given")} == {"+"}


def test_a_substitution_does_not_end_a_stretch_and_an_insertion_does() -> None:
    query = bases(600, 5)
    other = b"A" if query[200:201] != b"A" else b"C"
    (stretch,) = found(query, query[:200] + other + query[201:])
    assert (stretch.query_start, stretch.query_end) == (stretch.hit_start, stretch.hit_end) == (0, 600)
    k = specific_k(600)
    assert stretch.kmers == 600 - k + 1 - k
    first, second = sorted(found(query, query[:200] + bases(40, 6) + query[200:]), key=lambda each: each.query_start)
    assert second.hit_start - second.query_start == 40 + first.hit_start - first.query_start


def test_the_longest_come_first_and_repeats_are_left_out() -> None:
    unit, query = bases(40, 7), bases(400, 8)
    hit = query[:100] + bases(30, 9) + query[150:400] + unit * (MOST_PLACES + 5)
    stretches = found(query + bases(30, 12) + unit, hit)
    assert [each.query_end - each.query_start for each in stretches] == [pytest.approx(n, abs=3) for n in (250, 100)]
    assert len(found(query, hit, most=1)) == 1


def test_nothing_in_common_is_no_stretch() -> None:
    nothing = find_matches(letters(bases(300, 10)), letters(bases(300, 11)))
    assert (nothing.stretches, nothing.total, nothing.covered) == ([], 0, 0.0)
    assert find_matches(letters(b"ACGT"), letters(b"ACGT")).stretches == []


def test_a_hit_with_too_many_places_is_looked_through_in_part_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    query = bases(400, 13)
    hit = query + bases(500, 14) + query
    whole = find_matches(letters(query), letters(hit))
    assert (whole.searched, whole.total) == (len(hit), 2)
    monkeypatch.setattr(matches, "MOST_OCCURRENCES", 300)
    part = find_matches(letters(query), letters(hit))
    (stretch,) = part.stretches
    assert part.searched == stretch.hit_end == 300 + part.k - 1
