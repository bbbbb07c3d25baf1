"""codon_counts, codon_rscu and codon_bias: codon usage in genes and in the forward reading frames.

Belongs here: from shards to counts, from counts to relative synonymous codon usage (RSCU) and the effective number of
codons, and the rules of all. Does not belong here: the counting and the formulas (``kernels/codons.py``), and genes
(``genes.py``).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from opengenome_assets.corpus.genes import STANDARD_CODE
from opengenome_assets.corpus.passes.codons import count_codons
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.corpus.tables import CODON_BIAS, CODON_COUNTS, CODON_RSCU, GENE_CODONS, SEQUENCE_SHARDS
from opengenome_assets.corpus.windows import windows_match
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.scans import Scan
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.intake.sources import ALL
from opengenome_assets.kernels.codons import CODONS, codon_families, effective_codons, gc3, rscu
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

IN_GENES, IN_FRAMES = "genes", "frames"

codon_counts = Scan("counting codons", count_codons, SEQUENCE_SHARDS, (CODON_COUNTS,)).asset()


def define(_: CorpusSettings) -> list[Member]:
    """Return the tables and their rules."""
    return [codon_counts, codon_rscu, codon_bias, sum_of_counts, totals_and_means, bias_in_range]


@summary(CODON_RSCU, reads=[CODON_COUNTS, GENE_CODONS])
def codon_rscu(step: Step) -> Rows:
    """Sum the counts by source and compute their relative synonymous codon usage."""
    in_genes, in_frames = counts_of_genes(step[GENE_CODONS]), counts_by_source(step[CODON_COUNTS])
    codes = codes_by_source(step[GENE_CODONS])
    pieces = [usage(source, in_genes[source], in_frames[source], codes[source]) for source in codes]
    return Rows(
        pa.concat_tables([CODON_RSCU.schema.empty_table(), *pieces]),
        metadata={
            "genetic_codes": codes,
            "codons_in_genes": {source: int(counts.sum()) for source, counts in in_genes.items()},
            "codons_in_frame_0": {source: int(by_frame[0].sum()) for source, by_frame in in_frames.items()},
        },
    )


@summary(CODON_BIAS, reads=[GENE_CODONS])
def codon_bias(step: Step) -> Rows:
    """Measure the codon usage bias of each source."""
    codes = codes_by_source(step[GENE_CODONS])
    counts = counts_of_genes(step[GENE_CODONS])
    genes = _sums(step[GENE_CODONS], "genes", lambda row: np.array([row["genes"], row["open_frames"]]), "open_frames")
    rows = []
    for source, code in codes.items():
        every, synonymous = gc3(counts[source], code)
        number = effective_codons(counts[source], code)
        rows.append(
            {
                "source": source,
                "genetic_code": code,
                "genes": int(genes[source][0]),
                "open_frames": int(genes[source][1]),
                "codons": int(counts[source].sum()),
                "gc3": None if np.isnan(every) else every,
                "gc3s": None if np.isnan(synonymous) else synonymous,
                "effective_codons": None if np.isnan(number) else number,
            }
        )
    return Rows(pa.Table.from_pylist(rows, schema=CODON_BIAS.schema))


def codes_by_source(genes: Snapshot) -> dict[str, int]:
    """Return the genetic code of each source, by name, and of all together: the one they share, else the standard."""
    rows = genes.read(["source", "genetic_code"]).to_pylist()
    codes = dict(sorted((row["source"], row["genetic_code"]) for row in rows))
    if codes:
        codes[ALL] = next(iter(codes.values())) if len(set(codes.values())) == 1 else STANDARD_CODE
    return codes


def counts_by_source(codons: Snapshot) -> dict[str, np.ndarray]:
    """Return the codon counts of each source, by name, and of all together; arrays of shape (3, 64), int64."""

    def by_frame(row: Mapping[str, Any]) -> np.ndarray:
        counts = np.zeros((3, 64), np.int64)
        counts[row["frame"]] = row["counts"]
        return counts

    return _sums(codons, "frame", by_frame, "counts")


def counts_of_genes(genes: Snapshot) -> dict[str, np.ndarray]:
    """Return the codon counts in the genes of each source, and of all together; arrays of shape (64,), int64."""
    return _sums(genes, "counts", lambda row: np.array(row["counts"], np.int64))


def _sums(
    table: Snapshot, column: str, value: Callable[[Mapping[str, Any]], np.ndarray], *more: str
) -> dict[str, np.ndarray]:
    sums: dict[str, np.ndarray] = {}
    for row in table.read(["source", column, *more]).to_pylist():
        own = value(row)
        sums[row["source"]] = sums[row["source"]] + own if row["source"] in sums else own
    ordered = {source: sums[source] for source in sorted(sums)}
    if ordered:
        ordered[ALL] = np.sum(list(ordered.values()), axis=0)
    return ordered


def usage(source: str, in_genes: np.ndarray, in_frames: np.ndarray, genetic_code: int) -> pa.Table:
    """Return one source's 256 rows: those of its genes, then those of each frame, by codon.

    Parameters
    ----------
    source
        The source's name.
    in_genes
        Counts in genes by codon in alphabetical order, shape (64,), int64.
    in_frames
        Counts by frame and codon, shape (3, 64), int64.
    genetic_code
        NCBI number of the genetic code.

    Raises
    ------
    ValueError
        If there is no such genetic code.
    """
    counts = np.vstack([in_genes, in_frames])
    relative = rscu(counts, genetic_code).ravel()
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    frames = np.repeat(np.arange(-1, 3, dtype=np.int32), 64)
    columns: Mapping[str, Any] = {
        "source": pa.repeat(pa.scalar(source), 256),
        "basis": pa.array([IN_GENES] * 64 + [IN_FRAMES] * 192),
        "frame": pa.array(frames, mask=frames < 0),
        "codon": pa.array(np.tile(CODONS, 4), pa.string()),
        "amino_acid": pa.array(codon_families(genetic_code) * 4, pa.string()),
        "count": counts.ravel(),
        "per_thousand": (1000 * counts / totals).ravel(),
        "rscu": pa.array(relative, mask=np.isnan(relative)),
        "genetic_code": np.full(256, genetic_code, np.int32),
    }
    return pa.table(columns, schema=CODON_RSCU.schema)


@rule(CODON_COUNTS, "For each shard the codons of the three frames add up to the number of valid windows of 3 letters")
def sum_of_counts(home: Home) -> Iterator[str]:
    """Compare the sum of counts over the frames with the number of valid windows, by shard."""
    return windows_match(home.table(CODON_COUNTS).at(), lambda rows: [3] * rows.num_rows)


@rule(
    CODON_RSCU,
    "Counts add up to those of codon_counts and gene_codons, per thousand to 1,000, and RSCU has the mean 1 within "
    "each amino acid that occurs",
)
def totals_and_means(home: Home) -> Iterator[str]:
    """Compare codon usage with the counts, and RSCU with its definition."""
    frame = home.table(CODON_RSCU).read().to_pandas()
    in_frames = counts_by_source(home.table(CODON_COUNTS).at())
    in_genes = counts_of_genes(home.table(GENE_CODONS).at())
    for (source, basis, number), rows in frame.groupby(["source", "basis", "frame"], dropna=False):
        place = f"{source}, genes" if basis == IN_GENES else f"{source}, frame {number:.0f}"
        counted = in_genes if basis == IN_GENES else in_frames
        table = GENE_CODONS if basis == IN_GENES else CODON_COUNTS
        counts = counted.get(source, np.zeros((3, 64), np.int64))
        total = int((counts if basis == IN_GENES else counts[int(number)]).sum())
        if rows["count"].sum() != total:
            yield f"{place}: {rows['count'].sum():,} codons, but {table.name} holds {total:,}"
        if total and abs(rows["per_thousand"].sum() - 1000) > 1e-6:
            yield f"{place}: per thousand adds up to {rows['per_thousand'].sum()}"
        for amino_acid, family in rows.groupby("amino_acid"):
            occurs = family["count"].sum() > 0
            if occurs != family["rscu"].notna().all() or (occurs and abs(family["rscu"].mean() - 1) > 1e-9):
                yield f"{place}, {amino_acid}: mean RSCU {family['rscu'].mean()}"
    if missing := set(in_frames) - set(frame["source"]):
        yield f"no rows for {', '.join(sorted(missing))}"


@rule(CODON_BIAS, "GC of third positions is in [0, 1], and the effective number of codons from 20 to 64")
def bias_in_range(home: Home) -> Iterator[str]:
    """Look for values that no codon usage has."""
    for row in home.table(CODON_BIAS).read().to_pylist():
        for name, least, most in (("gc3", 0, 1), ("gc3s", 0, 1), ("effective_codons", 20, 64)):
            if row[name] is not None and not least <= row[name] <= most:
                yield f"{row['source']}: {name} is {row[name]}, expected {least} to {most}"
