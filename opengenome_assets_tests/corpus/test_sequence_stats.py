"""Statistics by source: edges of the histogram of lengths."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.corpus.sequence_stats import statistics
from opengenome_assets.corpus.tables import GC_BINS, SHARD_STATS


def shards(lengths: list[int]) -> pa.Table:
    distinct, counts = np.unique(lengths, return_counts=True)
    row = {
        "source": "a",
        "file": "a.fasta",
        "shard": "0",
        "sequences": len(lengths),
        "bases": sum(lengths),
        "lengths": distinct,
        "length_counts": counts,
        "acgt_bases": sum(lengths),
        "gc_bases": 0,
        "ambiguous_sequences": 0,
        "gc_histogram": [len(lengths)] + [0] * (GC_BINS - 1),
    }
    return pa.Table.from_pylist([row], SHARD_STATS.schema)


@given(st.lists(st.integers(1, 2**31 - 1), min_size=1))
def test_a_sequence_is_counted_in_the_bin_of_its_length(lengths: list[int]) -> None:
    found = statistics("a", shards(lengths))
    edges = found["length_edges"]
    assert edges[0] <= min(lengths) < edges[1]
    assert edges[-2] <= max(lengths) < edges[-1]
    counted = [sum(low <= length < high for length in lengths) for low, high in pairwise(edges)]
    assert list(found["length_histogram"]) == counted


def test_each_edge_is_the_number_nearest_to_a_tenth_of_a_decade() -> None:
    """And so the same on every processor."""
    edges = statistics("a", shards([1, 2**31 - 1]))["length_edges"].tolist()
    for tenths, edge in enumerate(edges):
        half = Fraction(math.ulp(edge)) / 2
        assert (Fraction(edge) - half) ** 10 < 10**tenths < (Fraction(edge) + half) ** 10
