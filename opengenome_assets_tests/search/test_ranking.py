"""The rows that may be among the best, by scores with an error, hold the best by exact similarities."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.kernels.planes import LARGEST_SUM, LARGEST_WEIGHT
from opengenome_assets.kernels.profiles import KMERS
from opengenome_assets.search.ranking import candidates, query_weights, whole_weights

SHAPES = st.sampled_from(["few", "flat", "one is large", "any"])


def drawn(shape: str, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Draw the counts of two queries, the weights of 6-mers, and the counts of 50 rows."""
    random = np.random.default_rng(seed)
    idf = random.uniform(1, 14, KMERS)
    rows = random.poisson(random.gamma(1, 3, (50, 1)), (50, KMERS))
    rows[:3] = np.eye(3, KMERS, dtype=np.int64)
    rows[~rows.any(axis=1), 3] = 1  # a row without 6-mers has no norm to divide by
    counts = {
        "few": random.poisson(0.01, (2, KMERS)),
        "flat": np.full((2, KMERS), 9),
        "one is large": random.poisson(0.2, (2, KMERS)),
        "any": random.poisson(random.gamma(0.3, 50, KMERS), (2, KMERS)),
    }[shape]
    counts[:, 17] += 10**6 if shape == "one is large" else 1
    return counts, idf, rows


@given(SHAPES, st.integers(0, 2**32 - 1))
@pytest.mark.long
def test_similarities_from_whole_weights_are_within_their_margin(shape: str, seed: int) -> None:
    counts, idf, rows = drawn(shape, seed)
    weights = query_weights(counts, idf)
    whole, steps, margin = whole_weights(weights, idf)
    assert whole.dtype == np.int16
    assert 0 <= whole.min() <= whole.max() <= LARGEST_WEIGHT
    assert whole.sum(axis=1, dtype=np.int64).max() <= LARGEST_SUM
    np.testing.assert_array_equal(whole > 0, weights > 0)
    norms = np.linalg.norm(rows * idf, axis=1)
    exact = weights @ rows.T / norms
    scores = (whole.astype(np.int64) @ rows.T * steps[:, None]).astype(np.float32) * (1 / norms).astype(np.float32)
    assert np.abs(scores - exact).max() <= margin
    np.testing.assert_array_equal(scores > 0, exact > 0)
    if shape != "one is large":
        assert margin < 1e-3


@given(st.integers(1, 60), st.floats(0, 1), st.floats(0, 0.1), st.integers(0, 2**32 - 1))
def test_candidates_hold_the_best(top_n: int, threshold: float, margin: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    exact = np.round(random.uniform(0, 1, 50), 2) * (random.random(50) < 0.9)
    scores = (exact + (exact > 0) * random.uniform(-margin, margin, 50)).astype(np.float32)
    scores = np.where(exact > 0, np.maximum(scores, 1e-6), 0).astype(np.float32)
    found = candidates(scores, top_n, threshold, margin + 1e-6)
    passing = np.flatnonzero((exact > 0) & (exact >= threshold))
    best = passing[np.argsort(-exact[passing], kind="stable")][:top_n]
    assert set(best.tolist()) <= set(found.tolist())
    if top_n < len(exact):
        assert exact[found].min(initial=1) >= min(np.sort(exact)[-top_n], threshold) - 4 * margin - 1e-5


@given(st.integers(0, 2**32 - 1), st.integers(1, 500), st.sampled_from([3, 1000]), st.data())
def test_without_an_error_candidates_are_those_as_large_as_the_last_of_the_best(
    seed: int, size: int, values: int, data: st.DataObject
) -> None:
    """Of sizes with and without groups, and with many equal scores."""
    scores = (np.random.default_rng(seed).integers(1, values, size) / values).astype(np.float32)
    top_n = data.draw(st.integers(1, size))
    last = np.sort(scores)[::-1][top_n - 1]
    assert candidates(scores, top_n, 0.0, 0.0).tolist() == np.flatnonzero(scores >= last).tolist()
