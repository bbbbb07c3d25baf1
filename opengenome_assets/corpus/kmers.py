"""kmer_ and kmer_freq_k*: exact k-mer counts, by shard and by source.

Belongs here: from shards to counts (one pass for every k), from counts to frequency tables, and the rules of both. Does
not belong here: counting itself (``kernels/kmers.py``, sent to the workers by ``passes/kmers.py``).
"""

from collections.abc import Iterator, Sequence
from functools import partial

import dagster as dg
import numpy as np
import pyarrow as pa

from opengenome_assets.corpus.passes.kmers import count_kmers
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.corpus.tables import KMER_FREQUENCIES, KMERS, SEQUENCE_SHARDS
from opengenome_assets.corpus.windows import windows_match
from opengenome_assets.framework.checks import Rule, rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import table_of
from opengenome_assets.framework.scans import Scan
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.intake.sources import ALL
from opengenome_assets.kernels.bases import kmer_strings, reverse_complement_codes
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

TOP = 10


def define(settings: CorpusSettings) -> list[Member]:
    """Return the counts, a frequency table for each k, and their rules."""
    return [
        counts_scan(settings.ks).asset(),
        *(frequency_asset(k) for k in settings.ks),
        sum_of_counts,
        *(counts_and_ranks(k) for k in settings.ks),
    ]


def counts_scan(ks: Sequence[int]) -> Scan:
    """Return the scan behind kmer_, which counts every given k in one pass."""
    return Scan(
        label=f"counting k-mers (k = {', '.join(map(str, ks))})",
        compute=partial(count_kmers, ks=tuple(ks)),
        over=SEQUENCE_SHARDS,
        outputs=(KMERS,),
        settings={"ks": list(ks)},
    )


def frequency_asset(k: int) -> dg.AssetsDefinition:
    """Return the asset kmer_freq_k<k>."""
    spec = KMER_FREQUENCIES.member(k)

    @summary(spec, reads=[KMERS])
    def kmer_freq(step: Step) -> Rows:
        counted = step[KMERS].provenance.settings["ks"]
        if k not in counted:
            raise dg.Failure(
                f"kmer_ was made with other settings: expected counts for k = {k}, found them for k = "
                f"{', '.join(map(str, counted))} (version {step[KMERS].version}). "
                "Refresh: dagster asset materialize --select 'kmer_*'",
                allow_retries=False,
            )
        counts = counts_by_source(step[KMERS], k)
        rows = pa.concat_tables(
            [spec.schema.empty_table(), *(frequencies(source, c, k) for source, c in counts.items())]
        )
        return Rows(
            rows,
            settings={"k": k},
            metadata={
                "k": k,
                "windows": int(counts[ALL].sum()) if ALL in counts else 0,
                "distinct_kmers": int(np.count_nonzero(counts[ALL])) if ALL in counts else 0,
                "possible_kmers": 4**k,
                "most_frequent": most_frequent(rows),
            },
        )

    return kmer_freq


def counts_by_source(kmers: Snapshot, k: int) -> dict[str, np.ndarray]:
    """Return the k-mer counts of each source, by name, and of all together; arrays of shape (4**k,), int64."""
    sums: dict[str, np.ndarray] = {}
    for source, counts in _counts(kmers, k):
        if source in sums:
            sums[source] += counts
        else:
            sums[source] = counts.copy()
    ordered = {source: sums[source] for source in sorted(sums)}
    if ordered:
        ordered[ALL] = sum(ordered.values(), np.zeros(4**k, np.int64))
    return ordered


def _counts(kmers: Snapshot, k: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield source and counts of the rows for one k, one row at a time: a row for k = 12 takes 134 MB."""
    for rows in kmers.row_groups(["source", "k", "counts"], where=("k", k)):
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
        schema=KMER_FREQUENCIES.template.schema,
    )


def most_frequent(rows: pa.Table) -> dg.TableMetadataValue:
    """Return the most frequent k-mers over all sources as a table for the UI."""
    overall = rows.filter(rows["source"].to_numpy(zero_copy_only=False) == ALL).slice(0, TOP).to_pylist()
    shown = [(row["kmer"], row["count"], f"{row['frequency']:.4%}") for row in overall]
    return table_of(("kmer", "count", "frequency"), shown)


@rule(
    KMERS,
    "For each shard and k the counts add up to the number of valid windows, worked out from runs of A, C, G, T",
)
def sum_of_counts(home: Home) -> Iterator[str]:
    """Compare the sum of counts with the number of valid windows, by shard and k."""
    return windows_match(home.table(KMERS).at(), lambda rows: rows["k"].to_pylist(), ["k"])


def counts_and_ranks(k: int) -> Rule:
    """Return the rule of a frequency table."""
    spec = KMER_FREQUENCIES.member(k)

    @rule(spec, "By source the counts add up to those of kmer_, frequencies to 1, and ranks follow the counts")
    def counts_and_ranks(home: Home) -> Iterator[str]:
        table = home.table(spec).read(["source", "count", "frequency", "rank"])
        names = table["source"].to_numpy(zero_copy_only=False)
        for source, counts in counts_by_source(home.table(KMERS).at(), k).items():
            rows = table.filter(names == source)
            count, rank = rows["count"].to_numpy(), rows["rank"].to_numpy()
            if count.sum() != counts.sum():
                yield f"{source}: counts add up to {count.sum():,}, but kmer_ holds {counts.sum():,}"
            if len(count) and abs(rows["frequency"].to_numpy().sum() - 1) > 1e-9:
                yield f"{source}: frequencies add up to {rows['frequency'].to_numpy().sum()}"
            by_rank = count[np.argsort(rank)]
            if not np.array_equal(np.sort(rank), np.arange(1, len(rank) + 1)) or (np.diff(by_rank) > 0).any():
                yield f"{source}: ranks do not follow the counts"

    return counts_and_ranks
