"""shard_stats and sequence_stats: how much there is of what, by shard and by source.

Belongs here: from shards to sums, and from sums to the statistics that people quote. Does not belong here: k-mers and
codons.
"""

from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from opengenome_assets.corpus import GROUP
from opengenome_assets.corpus.passes.stats import GC_BINS, SCHEMA, summarise_shard
from opengenome_assets.engine.spark import Spark
from opengenome_assets.framework.making import Making, table_result
from opengenome_assets.framework.scans import SHARDS, Scan, scan_shards
from opengenome_assets.intake.sources import ALL
from opengenome_assets.storage.columns import SOURCE_OR_ALL, column
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Tables, describe

SHARD_VERSION = "1"
STATS_VERSION = "1"
LENGTH_BINS_PER_DECADE = 10

STATS_SCHEMA = pa.schema(
    [
        SOURCE_OR_ALL,
        column("sequences", pa.int64(), "Number of sequences"),
        column("bases", pa.int64(), "Letters in all sequences, ambiguous ones included"),
        column("acgt_bases", pa.int64(), "Letters A, C, G and T"),
        column("gc_bases", pa.int64(), "Letters G and C"),
        column("ambiguous_bases", pa.int64(), "Other letters than A, C, G, T"),
        column("ambiguous_share", pa.float64(), "Ambiguous letters divided by all letters, in [0, 1]"),
        column("ambiguous_sequences", pa.int64(), "Sequences with at least one ambiguous letter"),
        column("gc_content", pa.float64(), "G and C divided by A, C, G and T over all sequences, in [0, 1]"),
        column("gc_median", pa.float64(), "Median of the sequences' GC contents, to 0.1 %, in [0, 1]"),
        column("min_length", pa.int64(), "Shortest sequence, in bases"),
        column("max_length", pa.int64(), "Longest sequence, in bases"),
        column("mean_length", pa.float64(), "Mean length, in bases"),
        column("median_length", pa.float64(), "Median length, in bases"),
        column("n50", pa.int64(), "Half of all bases are in sequences at least this long"),
        column("l50", pa.int64(), "Number of the longest sequences that together hold half of all bases"),
        column("gc_histogram", pa.list_(pa.int64()), f"Sequences by GC content, in {GC_BINS} bins of 0.1 %"),
        column("length_edges", pa.list_(pa.float64()), "Edges of the bins of length_histogram, in bases"),
        column("length_histogram", pa.list_(pa.int64()), "Sequences by length, in bins of a tenth of a decade"),
    ]
)


@dg.asset(
    group_name=GROUP,
    deps=[SHARDS],
    code_version=SHARD_VERSION,
    kinds={"deltalake", "spark"},
    metadata={"dagster/column_schema": describe(SCHEMA)},
    description="For each shard what can be added up: sequences, bases, lengths, GC, counted anew from the sequences.",
)
def shard_stats(context: dg.AssetExecutionContext, tables: Tables, spark: Spark) -> dg.MaterializeResult[Any]:
    """Summarise the shards not summarised before."""
    scan = Scan("summarising sequences", summarise_shard, {"shard_stats": SCHEMA}, SHARD_VERSION)
    return scan_shards(context, tables, spark, scan)["shard_stats"]


@dg.asset(
    group_name=GROUP,
    deps=["shard_stats"],
    code_version=STATS_VERSION,
    kinds={"deltalake"},
    metadata={"dagster/column_schema": describe(STATS_SCHEMA)},
    description="Statistics of each source and over all sources: sequences, bases, lengths with N50, GC, ambiguity, "
    "and histograms of length and GC.",
)
def sequence_stats(context: dg.AssetExecutionContext, tables: Tables) -> dg.MaterializeResult[Any]:
    """Add the shards' sums up by source."""
    making = Making(context, __name__)
    upstream = tables.input("shard_stats")
    shards = tables.read("shard_stats", version=upstream.version)
    names = shards["source"].to_numpy(zero_copy_only=False)
    rows = [statistics(source, shards.filter(names == source)) for source in sorted(set(names))]
    if rows:
        rows.append(statistics(ALL, shards))
    provenance = making.recorded(
        Provenance(
            name="sequence_stats",
            code_version=STATS_VERSION,
            inputs={"shard_stats": upstream},
            corpus=tables.provenance("shard_stats", upstream.version).corpus,
        )
    )
    commit = tables.write("sequence_stats", pa.Table.from_pylist(rows, STATS_SCHEMA), provenance)
    overall = {key: rows[-1][key] for key in ("sequences", "bases", "gc_content", "n50")} if rows else {}
    return table_result(commit, provenance, making, **overall, sources=sorted(set(names)))


def statistics(source: str, shards: pa.Table) -> dict[str, Any]:
    """Return the statistics of some shards together, as one row.

    N50 as defined for assemblies (Miller, Koren & Sutton 2010): the length of the shortest sequence in the smallest
    set of longest sequences that holds at least half of all bases.

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
    """Return the median of values that occur so many times each; ascending values."""
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
    within = -(-(total - 2 * before) // (2 * length))  # sequences of that length it takes, rounded up
    return length, int(counts[::-1][:place].sum()) + within


def _length_edges(lengths: np.ndarray) -> np.ndarray:
    if not len(lengths):
        return np.array([1.0, 10.0])
    low = np.floor(np.log10(lengths[0]) * LENGTH_BINS_PER_DECADE)
    high = np.floor(np.log10(lengths[-1]) * LENGTH_BINS_PER_DECADE) + 1
    edges: np.ndarray = 10 ** (np.arange(low, high + 1) / LENGTH_BINS_PER_DECADE)
    # Rounding must not push the shortest or longest sequence out of the histogram.
    edges[0], edges[-1] = min(edges[0], lengths[0]), max(edges[-1], lengths[-1])
    return edges
