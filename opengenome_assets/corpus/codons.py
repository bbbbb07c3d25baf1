"""codon_counts and codon_rscu: codon usage in the forward reading frames, by shard and by source.

Belongs here: from shards to counts, from counts to relative synonymous codon usage (RSCU), and the rules of both. Does
not belong here: the counting and the formula (``kernels/codons.py``).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
from pydantic import Field

from opengenome_assets.corpus.passes.codons import count_codons
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.corpus.tables import CODON_COUNTS, CODON_RSCU, RAW_FASTA, SEQUENCE_SHARDS
from opengenome_assets.corpus.windows import windows_match
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.scans import Scan
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.intake.sources import ALL
from opengenome_assets.kernels.bases import kmer_strings
from opengenome_assets.kernels.codons import codon_families, rscu
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

STANDARD_CODE = 1
# The shipped sample's sources: plastids by table 11; of the 16 mitochondria 15 are insects (table 5).
SAMPLE_GENETIC_CODES = {"plastids": 11, "mitochondria": 5}


class CodonRscuConfig(dg.Config):
    """Run config of codon_rscu."""

    genetic_codes: dict[str, int] | None = Field(
        default=None,
        description="NCBI genetic code table of each source, e.g. {plastids: 11}. A source not named, and the rows "
        "over all sources ('all'), have table 1; sources of the shipped sample have their own. Default: "
        "OPENGENOME_GENETIC_CODES.",
    )


codon_counts = Scan("counting codons", count_codons, SEQUENCE_SHARDS, (CODON_COUNTS,)).asset()


def define(settings: CorpusSettings) -> list[Member]:
    """Return the two tables and their rules."""
    return [codon_counts, rscu_asset(settings.genetic_codes), sum_of_counts, totals_and_means]


def rscu_asset(default: Mapping[str, int]) -> dg.AssetsDefinition:
    """Return the asset codon_rscu, which takes the genetic codes of ``default`` unless its run config has others."""

    @summary(CODON_RSCU, reads=[CODON_COUNTS], config=CodonRscuConfig)
    def codon_rscu(step: Step) -> Rows:
        """Sum the counts by source and compute their relative synonymous codon usage."""
        counts = counts_by_source(step[CODON_COUNTS])
        configured = step.config.genetic_codes
        known = sample_codes(step.home)
        known.update(default if configured is None else configured)
        codes = {source: known.get(source, STANDARD_CODE) for source in counts}
        for unknown in sorted(set(known) - set(counts)):
            step.log.warning(f"a genetic code is set for {unknown!r}, which is no source of this corpus")
        try:
            pieces = [usage(source, counts[source], codes[source]) for source in counts]
        except ValueError as error:  # an unknown genetic code
            raise dg.Failure(str(error), allow_retries=False) from error
        return Rows(
            pa.concat_tables([CODON_RSCU.schema.empty_table(), *pieces]),
            settings={"genetic_codes": codes},
            metadata={
                "genetic_codes": codes,
                "codons": {source: int(by_frame[0].sum()) for source, by_frame in counts.items()},
            },
        )

    return codon_rscu


def sample_codes(home: Home) -> dict[str, int]:
    """Return the genetic codes of the sources that the catalogue marks as the shipped sample's."""
    catalogue = home.table(RAW_FASTA).read(["source", "revision"]).to_pylist()
    sources = {row["source"] for row in catalogue if row["revision"].startswith("sample-")}
    return {source: SAMPLE_GENETIC_CODES[source.split("/")[-1]] for source in sources}


def counts_by_source(codons: Snapshot) -> dict[str, np.ndarray]:
    """Return the codon counts of each source, by name, and of all together; arrays of shape (3, 64), int64."""
    sums: dict[str, np.ndarray] = {}
    for row in codons.read(["source", "frame", "counts"]).to_pylist():
        sums.setdefault(row["source"], np.zeros((3, 64), np.int64))[row["frame"]] += row["counts"]
    ordered = {source: sums[source] for source in sorted(sums)}
    if ordered:
        ordered[ALL] = sum(ordered.values(), np.zeros((3, 64), np.int64))
    return ordered


def usage(source: str, counts: np.ndarray, genetic_code: int) -> pa.Table:
    """Return one source's 192 rows, by frame and codon.

    Parameters
    ----------
    source
        The source's name.
    counts
        Counts by frame and codon in alphabetical order, shape (3, 64), int64.
    genetic_code
        NCBI number of the genetic code.

    Raises
    ------
    ValueError
        If there is no such genetic code.
    """
    families = codon_families(genetic_code)
    relative = rscu(counts, genetic_code).ravel()
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    columns: Mapping[str, Any] = {
        "source": pa.repeat(pa.scalar(source), 192),
        "frame": np.repeat(np.arange(3, dtype=np.int32), 64),
        "codon": pa.array(np.tile(kmer_strings(3), 3), pa.string()),
        "amino_acid": pa.array(families * 3, pa.string()),
        "count": counts.ravel(),
        "per_thousand": (1000 * counts / totals).ravel(),
        "rscu": pa.array(relative, mask=np.isnan(relative)),
        "genetic_code": np.full(192, genetic_code, np.int32),
    }
    return pa.table(columns, schema=CODON_RSCU.schema)


@rule(CODON_COUNTS, "For each shard the codons of the three frames add up to the number of valid windows of 3 letters")
def sum_of_counts(home: Home) -> Iterator[str]:
    """Compare the sum of counts over the frames with the number of valid windows, by shard."""
    return windows_match(home.table(CODON_COUNTS).at(), lambda rows: [3] * rows.num_rows)


@rule(
    CODON_RSCU,
    "Counts add up to those of codon_counts, per thousand to 1,000, and RSCU has the mean 1 within each amino acid "
    "that occurs",
)
def totals_and_means(home: Home) -> Iterator[str]:
    """Compare codon usage with the counts, and RSCU with its definition."""
    frame = home.table(CODON_RSCU).read().to_pandas()
    counted = counts_by_source(home.table(CODON_COUNTS).at())
    for (source, reading_frame), rows in frame.groupby(["source", "frame"]):
        total = int(counted[source][reading_frame].sum())
        if rows["count"].sum() != total:
            yield f"{source}, frame {reading_frame}: {rows['count'].sum():,} codons, but codon_counts holds {total:,}"
        if total and abs(rows["per_thousand"].sum() - 1000) > 1e-6:
            yield f"{source}, frame {reading_frame}: per thousand adds up to {rows['per_thousand'].sum()}"
        for amino_acid, family in rows.groupby("amino_acid"):
            occurs = family["count"].sum() > 0
            if occurs != family["rscu"].notna().all() or (occurs and abs(family["rscu"].mean() - 1) > 1e-9):
                yield f"{source}, frame {reading_frame}, {amino_acid}: mean RSCU {family['rscu'].mean()}"
    if missing := set(counted) - set(frame["source"]):
        yield f"no rows for {', '.join(sorted(missing))}"
