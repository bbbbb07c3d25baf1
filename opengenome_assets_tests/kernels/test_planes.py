"""Packed counts against the counts themselves, and sums over them against NumPy in 64 bits."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from opengenome_assets.kernels.batches import from_batch, to_batch
from opengenome_assets.kernels.planes import (
    LARGEST_SUM,
    LARGEST_WEIGHT,
    Planes,
    add_document_frequency,
    concatenate,
    dot,
    norms,
    pack,
    score,
    unpack,
)
from opengenome_assets.kernels.profiles import KMERS, SequenceKmers

LARGEST = 2**31 - 1


def kmers(counts: npt.NDArray[np.int64]) -> SequenceKmers:
    """Write rows of all counts, shape (n, 4096), as kernels take them."""
    seen = counts != 0
    offsets = np.concatenate([[0], np.cumsum(seen.sum(axis=1))]).astype(np.int64)
    codes = np.broadcast_to(np.arange(KMERS, dtype=np.int16), counts.shape)[seen]
    return SequenceKmers(offsets, codes, counts[seen].astype(np.int32), counts.sum(axis=1))


def rows(seed: int = 0) -> npt.NDArray[np.int64]:
    """Counts of all the kinds that are stored differently, in a mixed order."""
    random = np.random.default_rng(seed)
    kinds = [
        random.poisson(0.02, (7, KMERS)),  # short sequences
        random.poisson(20, (7, KMERS)),  # one whole plane
        random.poisson(random.gamma(0.3, 800, KMERS), (7, KMERS)),  # a plane whole, the next in single digits
        random.poisson(1000, (7, KMERS)),  # two whole planes
        random.integers(0, LARGEST, (3, KMERS), endpoint=True),  # all four
        256 * random.poisson(1, (3, KMERS)),  # low digits that are all 0
        np.zeros((3, KMERS), np.int64),
    ]
    return random.permutation(np.concatenate(kinds))


@given(
    hnp.arrays(
        np.int64,
        (3, KMERS),
        elements=st.one_of(st.integers(0, LARGEST), st.sampled_from([0, 1, 255, 256, 257, 65535, 65536, LARGEST])),
        fill=st.sampled_from([0, 1, 256, LARGEST]),
    )
)
@pytest.mark.slow
def test_any_counts_come_back(counts: npt.NDArray[np.int64]) -> None:
    planes = pack(kmers(counts))
    for row, expected in enumerate(counts):
        np.testing.assert_array_equal(unpack(planes, row), expected)


@pytest.mark.slow
def test_rows_of_every_kind_come_back_and_take_little_room() -> None:
    counts = rows()
    planes = pack(kmers(counts))
    assert planes.rows == len(counts)
    for row, expected in enumerate(counts):
        np.testing.assert_array_equal(unpack(planes, row), expected)
    short = pack(kmers(np.random.default_rng(1).permuted(np.eye(100, KMERS, dtype=np.int64).repeat(95, 0), axis=1)))
    assert short.nbytes < 300 * short.rows
    assert pack(kmers(counts[counts.sum(axis=1) == 0])).whole.size == 0


@pytest.mark.parametrize("seen", [511, 512, 513])
def test_planes_are_whole_above_512_digits(seen: int) -> None:
    planes = pack(kmers(np.array([np.arange(KMERS) < seen], np.int64)))
    assert (len(planes.whole), len(planes.digits)) == ((0, seen) if seen <= 512 else (1, 0))


@pytest.mark.slow
def test_sums_with_whole_weights_are_exact() -> None:
    counts = rows(2)
    counts[0], counts[1] = LARGEST, 255
    planes = pack(kmers(counts))
    random = np.random.default_rng(3)
    weights = random.integers(0, 2000, (4, KMERS)).astype(np.int16)
    weights[:, ::7] = 0
    weights[2], weights[3] = LARGEST_SUM // KMERS, 0
    weights[3, random.choice(KMERS, LARGEST_SUM // LARGEST_WEIGHT, replace=False)] = LARGEST_WEIGHT
    for some in (weights, weights[1:], weights[:1], weights[:0]):
        expected = some.astype(np.int64) @ counts.T
        found = np.concatenate([score(planes, some, 0, 11), score(planes, some, 11, len(counts))], axis=1)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_dots_and_norms_are_exact() -> None:
    counts = rows(2)
    planes = pack(kmers(counts))
    weights = np.random.default_rng(3).gamma(0.5, 1, (3, KMERS))
    weights[:, ::7] = 0
    expected = weights @ counts.T
    chosen = np.array([5, 0, 17, 5])
    for own, exact in zip(weights, expected, strict=True):
        np.testing.assert_allclose(dot(planes, own, chosen), exact[chosen], rtol=1e-13)
    lengths = np.full(len(counts), np.nan)
    norms(planes, weights[0], 2, len(counts), lengths)
    assert np.isnan(lengths[:2]).all()
    np.testing.assert_allclose(lengths[2:], np.linalg.norm(counts[2:] * weights[0], axis=1), rtol=1e-13)


def test_rows_join() -> None:
    counts = rows(4)
    joined = concatenate([pack(kmers(part)) for part in (counts[:0], counts[:9], counts[9:10], counts[10:])])
    for found, expected in zip(joined, pack(kmers(counts)), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_what_would_be_read_outside_is_refused() -> None:
    good = kmers(rows())
    with pytest.raises(ValueError, match="codes from 0 to 4,095, found -3 to"):
        pack(good._replace(codes=np.array([-3, *good.codes[1:]], np.int16)))
    with pytest.raises(ValueError, match="counts of at least 1, found 0"):
        pack(good._replace(counts=np.array([0, *good.counts[1:]], np.int32)))
    with pytest.raises(ValueError, match="as many counts as codes"):
        pack(good._replace(counts=good.counts[1:]))
    planes: Planes = pack(good)
    with pytest.raises(IndexError, match="rows from 0 to 36, found 0 to 37"):
        dot(planes, np.ones(KMERS), np.array([0, planes.rows]))
    with pytest.raises(IndexError, match="rows from 0 to 37, found 3 to 38"):
        score(planes, np.ones((1, KMERS), np.int16), 3, 38)
    with pytest.raises(ValueError, match="sum of at most 8,421,504"):
        score(planes, np.full((1, KMERS), 1 + LARGEST_SUM // KMERS, np.int16), 0, 1)
    with pytest.raises(ValueError, match="weights from 0"):
        score(planes, np.full((1, KMERS), -1, np.int16), 0, 1)


def test_document_frequencies_are_those_of_the_counts() -> None:
    counts = rows()
    chosen = np.arange(0, len(counts), 2)
    frequency = np.ones(KMERS, np.int64)
    add_document_frequency(pack(kmers(counts)), chosen, frequency)
    np.testing.assert_array_equal(frequency, 1 + (counts[chosen] > 0).sum(axis=0))
    with pytest.raises(IndexError, match="expected rows from 0 to 36, found 0 to 37"):
        add_document_frequency(pack(kmers(counts)), np.array([0, 37]), frequency)


def test_planes_come_back_from_a_record_batch() -> None:
    planes = pack(kmers(rows()))
    for one, other in zip(from_batch(to_batch(planes)), planes, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
