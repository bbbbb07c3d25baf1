"""kmer_ and kmer_freq_k*: exact k-mer counts, by shard and by source.

Belongs here: from shards to counts (one pass for every k), and from counts to the tables that people read. Does not
belong here: counting itself (``kernels/kmers.py``, sent to the workers by ``corpus/passes/kmers.py``).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from opengenome_assets.corpus import GROUP
from opengenome_assets.corpus.passes.kmers import SCHEMA, count_kmers
from opengenome_assets.engine.spark import Spark
from opengenome_assets.framework.making import Making, table_result
from opengenome_assets.framework.scans import SHARDS, Scan, scan_shards
from opengenome_assets.intake.sources import ALL
from opengenome_assets.kernels.bases import kmer_strings, reverse_complement_codes
from opengenome_assets.storage.columns import SOURCE_OR_ALL, column
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Tables, describe

COUNTS_VERSION = "1"
FREQUENCIES_VERSION = "1"

FREQUENCY_SCHEMA = pa.schema(
    [
        SOURCE_OR_ALL,
        column("kmer", pa.string(), "The k-mer; only k-mers that occur have a row"),
        column("count", pa.int64(), "Occurrences on the strand as given, overlapping ones included"),
        column("frequency", pa.float64(), "Count divided by the sum of the source's counts, in [0, 1]"),
        column("rank", pa.int64(), "1 for the source's most frequent k-mer; equal counts in alphabetical order"),
        column("canonical", pa.string(), "The k-mer or its reverse complement, whichever comes first in the alphabet"),
        column("canonical_count", pa.int64(), "Occurrences of the k-mer on both strands, by its canonical form"),
    ]
)


def counts_asset(ks: Sequence[int]) -> dg.AssetsDefinition:
    """Return the asset kmer_, which counts every given k in one pass."""
    listed = ", ".join(str(k) for k in ks)

    @dg.asset(
        name="kmer_",
        group_name=GROUP,
        deps=[SHARDS],
        code_version=COUNTS_VERSION,
        kinds={"deltalake", "spark"},
        metadata={"dagster/column_schema": describe(SCHEMA)},
        description=f"Exact counts of all k-mers, k = {listed}, for each shard, from one pass over the sequences. "
        "The name is short on purpose: Dagster reads `--select kmer_*` as 'kmer_ and everything downstream of it', "
        "which is every k-mer table and what is drawn from them. Set the list of k with OPENGENOME_KS (1 to 12).",
    )
    def kmer_(context: dg.AssetExecutionContext, tables: Tables, spark: Spark) -> dg.MaterializeResult[Any]:
        scan = Scan(
            label=f"counting k-mers (k = {listed})",
            compute=partial(count_kmers, ks=tuple(ks)),
            outputs={"kmer_": SCHEMA},
            code_version=COUNTS_VERSION,
            settings={"ks": list(ks)},
        )
        return scan_shards(context, tables, spark, scan)["kmer_"]

    return kmer_


def frequency_asset(k: int) -> dg.AssetsDefinition:
    """Return the asset kmer_freq_k<k>."""
    name = f"kmer_freq_k{k}"

    @dg.asset(
        name=name,
        group_name=GROUP,
        deps=["kmer_"],
        code_version=FREQUENCIES_VERSION,
        kinds={"deltalake"},
        metadata={"dagster/column_schema": describe(FREQUENCY_SCHEMA)},
        description=f"Counts, frequencies and ranks of all {k}-mers, by source and over all sources. Windows with "
        "other letters than A, C, G, T are not counted. The strand is as given; the canonical columns merge both.",
    )
    def kmer_freq(context: dg.AssetExecutionContext, tables: Tables) -> dg.MaterializeResult[Any]:
        making = Making(context, __name__)
        upstream = tables.input("kmer_")
        counted = tables.provenance("kmer_", upstream.version)
        if k not in counted.settings["ks"]:
            raise dg.Failure(
                f"kmer_ was made with other settings: expected counts for k = {k}, found them for k = "
                f"{', '.join(map(str, counted.settings['ks']))} (version {upstream.version}). Refresh: dagster asset "
                "materialize --select 'kmer_*'",
                allow_retries=False,
            )
        counts = counts_by_source(tables, k, upstream.version)
        rows = pa.concat_tables(
            [FREQUENCY_SCHEMA.empty_table(), *(frequencies(source, c, k) for source, c in counts.items())]
        )
        provenance = making.recorded(
            Provenance(
                name=name,
                code_version=FREQUENCIES_VERSION,
                settings={"k": k},
                inputs={"kmer_": upstream},
                corpus=counted.corpus,
            )
        )
        commit = tables.write(name, rows, provenance)
        return table_result(
            commit,
            provenance,
            making,
            k=k,
            windows=int(counts[ALL].sum()) if ALL in counts else 0,
            distinct_kmers=int(np.count_nonzero(counts[ALL])) if ALL in counts else 0,
            possible_kmers=4**k,
            most_frequent=dg.MetadataValue.md(top_markdown(rows)),
        )

    return kmer_freq


def counts_by_source(tables: Tables, k: int, version: int | None = None) -> dict[str, np.ndarray]:
    """Return the k-mer counts of each source, by name, and of all together; arrays of shape (4**k,), int64."""
    sums: dict[str, np.ndarray] = {}
    for source, counts in _counts(tables, k, version):
        sums[source] = sums[source] + counts if source in sums else counts
    ordered = {source: sums[source] for source in sorted(sums)}
    if ordered:
        ordered[ALL] = sum(ordered.values(), np.zeros(4**k, np.int64))
    return ordered


def _counts(tables: Tables, k: int, version: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield source and counts of the rows for one k, one at a time: a row for k = 12 takes 134 MB."""
    for rows in tables.row_groups("kmer_", ["source", "k", "counts"], version, where=("k", k)):
        for source, counts in zip(rows["source"].to_pylist(), rows["counts"], strict=True):
            yield source, counts.values.to_numpy()


def frequencies(source: str, counts: np.ndarray, k: int) -> pa.Table:
    """Return one source's rows, from the most frequent k-mer to the least.

    Parameters
    ----------
    source
        The source's name.
    counts
        Counts of the k-mers in alphabetical order, shape (4**k,), int64.
    k
        Length of the k-mers.
    """
    order = np.argsort(-counts, kind="stable")
    order = order[: np.count_nonzero(counts)]
    complement = reverse_complement_codes(k)
    codes = np.arange(4**k)
    merged = np.where(complement == codes, counts, counts + counts[complement])
    names = kmer_strings(k)
    return pa.table(
        [
            pa.repeat(pa.scalar(source), len(order)),
            pa.array(names[order], pa.string()),
            counts[order],
            counts[order] / max(int(counts.sum()), 1),
            np.arange(1, len(order) + 1),
            pa.array(names[np.minimum(codes, complement)[order]], pa.string()),
            merged[order],
        ],
        schema=FREQUENCY_SCHEMA,
    )


def top_markdown(rows: pa.Table, top: int = 10) -> str:
    """Return the most frequent k-mers over all sources as a Markdown table."""
    lines = ["| k-mer | count | frequency |", "|---|---:|---:|"]
    for row in rows.filter(rows["source"].to_numpy(zero_copy_only=False) == ALL).slice(0, top).to_pylist():
        lines.append(f"| `{row['kmer']}` | {row['count']:,} | {row['frequency']:.4%} |")
    return "\n".join(lines)
