"""6-mer counts of each sequence against a dictionary."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opengenome_assets.kernels.kmers import KmerCounter
from opengenome_assets.kernels.profiles import SequenceKmers, document_frequency, row_sums, sequence_kmers
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.kernels.texts import (
    EDGES,
    Text,
    random_bases,
    sample_text,
    sequences,
    spell,
    text,
    texts,
    windows,
)


def rows(kmers: SequenceKmers) -> list[dict[str, int]]:
    found = []
    for a, b in zip(kmers.row_offsets[:-1], kmers.row_offsets[1:], strict=True):
        codes = kmers.codes[a:b].tolist()
        assert codes == sorted(set(codes))
        found.append(dict(zip((spell(code, 6) for code in codes), kmers.counts[a:b].tolist(), strict=True)))
    return found


def assert_equal(given_text: Text) -> None:
    kmers = sequence_kmers(given_text.data, given_text.offsets)
    assert [array.dtype for array in kmers] == [np.int64, np.int16, np.int32, np.int64]
    assert len(kmers.codes) == len(kmers.counts) == kmers.row_offsets[-1]
    expected = [Counter(kmer for _, kmer in windows(sequence, 6)) for sequence in given_text.sequences]
    assert rows(kmers) == expected
    assert kmers.windows.tolist() == [row.total() for row in expected]
    occurs = Counter(kmer for row in expected for kmer in row)
    assert {spell(code, 6): n for code, n in enumerate(document_frequency(kmers).tolist()) if n} == occurs


@settings(max_examples=share(60))
@given(given_text=texts())
@pytest.mark.slow
def test_short_sequences_equal_a_dictionary(given_text: Text) -> None:
    assert_equal(given_text)


@settings(max_examples=share(15))
@given(pieces=st.lists(st.lists(sequences(), min_size=1, max_size=12), max_size=4), short=sequences())
@pytest.mark.slow
def test_long_sequences_equal_a_dictionary(pieces: list[list[bytes]], short: bytes) -> None:
    """Long and short ones take turns in the same tables."""
    joined = [b"".join(piece) for piece in pieces]
    long = [one * (10_000 // max(len(one), 1)) for one in joined]
    assert_equal(text([short, *(sequence for one in long for sequence in (one, short))]))


@pytest.mark.parametrize(
    "total", [1023, 5000, *(pytest.param(total, marks=pytest.mark.long) for total in (8191, 8192, 8193))]
)
def test_every_length_of_run(total: int) -> None:
    rng = np.random.default_rng(total)
    for length in EDGES:
        run = random_bases(rng, length) + b"N"
        assert_equal(text([(run * total)[:total], run]))


def test_long_sequences_leave_nothing_behind() -> None:
    rng = np.random.default_rng(6)
    assert_equal(text([random_bases(rng, length) for length in (30_000, 15_000, 200, 8192, 8, 8191, 20_000)]))


def test_rows_that_fill_all_the_room_there_is() -> None:
    """No window occurs twice, so every place that was made for the counts is used."""
    sequence, seen = b"TTTTT", set()
    for _ in range(1500):  # the first letter that makes a new 6-mer: a de Bruijn sequence
        sequence += next(letter for letter in (b"A", b"C", b"G", b"T") if sequence[-5:] + letter not in seen)
        seen.add(sequence[-6:])
    assert_equal(text([sequence]))
    assert_equal(text([sequence, b"ACGTAC", sequence]))


def test_every_kmer_seen() -> None:
    rng = np.random.default_rng(5)
    sequence = random_bases(rng, 60_000)
    kmers = sequence_kmers(*text([sequence, b"", sequence])[1:])
    assert kmers.row_offsets.tolist() == [0, 4096, 4096, 8192]
    assert kmers.codes[:4096].tolist() == list(range(4096))


@pytest.mark.parametrize("source", ["plastids", "mitochondria"])
def test_rows_of_the_sample_add_up_to_the_table(source: str) -> None:
    given_text = sample_text(source)
    kmers = sequence_kmers(given_text.data, given_text.offsets)
    counter = KmerCounter((6,))
    counter.add(given_text.data, given_text.offsets)
    total = np.bincount(kmers.codes, weights=kmers.counts, minlength=4096)
    np.testing.assert_array_equal(total, counter.counts()[6])


def test_a_sequence_too_long_for_its_counts_is_refused() -> None:
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (2**31,), (1,))  # never read: refused before
    with pytest.raises(ValueError, match="2147483648 letters is longer"):
        sequence_kmers(huge, np.array([0, 2**31]))


def test_row_sums_of_full_and_empty_rows() -> None:
    values, offsets = np.array([5, 1, 2, 4], np.int32), np.array([0, 0, 1, 4, 4])
    assert row_sums(values, offsets).tolist() == [0, 5, 7, 0]
    assert row_sums(values[:0], np.zeros(3, np.int64)).tolist() == [0, 0]
    assert row_sums(np.full(3, 2**31 - 1, np.int32), np.array([0, 3])).tolist() == [3 * (2**31 - 1)]
