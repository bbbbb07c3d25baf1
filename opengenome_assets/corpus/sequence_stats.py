"""shard_stats and sequence_stats: sequences, bases, lengths with N50, and GC content, by shard and by source.

Belongs here: from shards to sums, from sums to statistics, and the rules of both. Does not belong here: k-mers and
codons.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.corpus.passes.stats import summarise_shard
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.corpus.tables import GC_BINS, SEQUENCE_SHARDS, SEQUENCE_STATS, SHARD_STATS
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.scans import Scan
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.intake.sources import ALL
from opengenome_assets.storage.tables import Home

LENGTH_BINS_PER_DECADE = 10

shard_stats = Scan("summarising sequences", summarise_shard, SEQUENCE_SHARDS, (SHARD_STATS,)).asset()


@summary(SEQUENCE_STATS, reads=[SHARD_STATS])
def sequence_stats(step: Step) -> Rows:
    """Add the shards' sums up by source."""
    shards = step[SHARD_STATS].read()
    names = shards["source"].to_numpy(zero_copy_only=False)
    rows = [statistics(source, shards.filter(names == source)) for source in sorted(set(names))]
    if rows:
        rows.append(statistics(ALL, shards))
    overall = {key: rows[-1][key] for key in ("sequences", "bases", "gc_content", "n50")} if rows else {}
    return Rows(pa.Table.from_pylist(rows, SEQUENCE_STATS.schema), metadata={**overall, "sources": sorted(set(names))})


def statistics(source: str, shards: pa.Table) -> dict[str, Any]:
    """Return the statistics of some shards together, as one row.

    N50 is defined as for assemblies (Miller, Koren & Sutton 2010). The longest sequences are taken until they hold at
    least half of all bases; N50 is the length of the last of them.

    Parameters
    ----------
    source
        The row's name.
    shards
        Rows of shard_stats.
    """
    lengths, counts = _lengths(shards)
    sequences, bases = int(counts.sum()), int((lengths * counts).sum())
    acgt, gc = (sum(shards[name].to_pylist()) for name in ("acgt_bases", "gc_bases"))
    gc_histogram = np.sum([h.values.to_numpy() for h in shards["gc_histogram"]], axis=0)
    n50, l50 = _n50(lengths, counts)
    edges = _length_edges(lengths)
    return {
        "source": source,
        "sequences": sequences,
        "bases": bases,
        "acgt_bases": acgt,
        "gc_bases": gc,
        "ambiguous_bases": bases - acgt,
        "ambiguous_share": (bases - acgt) / bases if bases else None,
        "ambiguous_sequences": sum(shards["ambiguous_sequences"].to_pylist()),
        "gc_content": gc / acgt if acgt else None,
        "gc_median": _median((np.arange(GC_BINS) + 0.5) / GC_BINS, gc_histogram),
        "min_length": int(lengths[0]) if sequences else None,
        "max_length": int(lengths[-1]) if sequences else None,
        "mean_length": bases / sequences if sequences else None,
        "median_length": _median(lengths, counts),
        "n50": n50,
        "l50": l50,
        "gc_histogram": gc_histogram,
        "length_edges": edges,
        "length_histogram": np.histogram(lengths, edges, weights=counts)[0].astype(np.int64),
    }


def _lengths(shards: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct lengths, ascending, and how many sequences have each."""
    pairs = [
        (row["lengths"].values.to_numpy(), row["length_counts"].values.to_numpy())
        for row in ({name: shards[name][i] for name in ("lengths", "length_counts")} for i in range(shards.num_rows))
    ]
    lengths, place = np.unique(
        np.concatenate([np.zeros(0, np.int64), *(pair[0] for pair in pairs)]), return_inverse=True
    )
    counts = np.zeros(len(lengths), np.int64)
    np.add.at(counts, place, np.concatenate([np.zeros(0, np.int64), *(pair[1] for pair in pairs)]))
    return lengths, counts


def _median(values: np.ndarray, counts: np.ndarray) -> float | None:
    """Return the median of ascending values, each of which occurs ``counts`` times."""
    total = int(counts.sum())
    if total == 0:
        return None
    ends = np.cumsum(counts)
    low, high = (values[np.searchsorted(ends, rank, side="right")] for rank in ((total - 1) // 2, total // 2))
    return float(low + high) / 2


def _n50(lengths: np.ndarray, counts: np.ndarray) -> tuple[int | None, int | None]:
    bases = lengths[::-1] * counts[::-1]
    total = int(bases.sum())
    if total == 0:
        return None, None
    held = np.cumsum(bases)
    place = int(np.searchsorted(2 * held, total))
    length = int(lengths[::-1][place])
    before = int(held[place] - bases[place])
    within = -(-(total - 2 * before) // (2 * length))  # sequences of that length needed, rounded up
    return length, int(counts[::-1][:place].sum()) + within


@cache
def _grid() -> np.ndarray:
    """Return ten edges a decade from 1 to 10**19, beyond any length, float64, each the number nearest to 10**(n / 10).

    Not by NumPy's power, which is another number in the last digits on processors with other vectors.
    """
    bins = range(19 * LENGTH_BINS_PER_DECADE + 1)
    return np.array([float(Decimal(10) ** (Decimal(n) / LENGTH_BINS_PER_DECADE)) for n in bins])


def _length_edges(lengths: np.ndarray) -> np.ndarray:
    if not len(lengths):
        return np.array([1.0, 10.0])
    first, last = np.searchsorted(_grid(), [lengths[0], lengths[-1]], side="right")
    return _grid()[first - 1 : last + 1]


@rule(
    SHARD_STATS,
    "Sequences, letters and A, C, G, T counted again from the sequences agree with the columns of sequence_shards",
)
def columns_match_sequences(home: Home) -> Iterator[str]:
    """Compare sums over the narrow columns of the shards with counts of the sequences."""
    counted = home.table(SHARD_STATS).read(["sequences", "bases", "acgt_bases"])
    columns = home.table(SEQUENCE_SHARDS).read(["length", "acgt_bases"])
    expected = {
        "sequences": columns.num_rows,
        "bases": pc.sum(columns["length"]).as_py() or 0,
        "acgt_bases": pc.sum(columns["acgt_bases"]).as_py() or 0,
    }
    for name, value in expected.items():
        found = pc.sum(counted[name]).as_py() or 0
        if found != value:
            yield f"{name}: {found:,} counted from the sequences, but {value:,} by the columns of sequence_shards"


@rule(SEQUENCE_STATS, "The sources add up to 'all', and statistics are in their range")
def totals(home: Home) -> Iterator[str]:
    """Compare the row over all sources with the sum of the others, and look for impossible numbers."""
    rows = home.table(SEQUENCE_STATS).read().to_pylist()
    overall = [row for row in rows if row["source"] == ALL]
    for name in ("sequences", "bases", "acgt_bases", "gc_bases"):
        by_source = sum(row[name] for row in rows if row["source"] != ALL)
        if overall and overall[0][name] != by_source:
            yield f"{name}: {by_source:,} over the sources, {overall[0][name]:,} in the row 'all'"
    for row in rows:
        if not row["min_length"] <= row["n50"] <= row["max_length"]:
            yield f"{row['source']}: N50 {row['n50']:,} is outside {row['min_length']:,} to {row['max_length']:,}"
        if row["gc_content"] is not None and not 0 <= row["gc_content"] <= 1:
            yield f"{row['source']}: GC content {row['gc_content']}"
        for name in ("gc_histogram", "length_histogram"):
            if sum(row[name]) > row["sequences"] or (name == "length_histogram" and sum(row[name]) < row["sequences"]):
                yield f"{row['source']}: {name} holds {sum(row[name]):,} of {row['sequences']:,} sequences"


def define(_: CorpusSettings) -> list[Member]:
    """Return the two tables and their rules."""
    return [shard_stats, sequence_stats, columns_match_sequences, totals]
