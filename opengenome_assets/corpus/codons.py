"""codon_counts and codon_rscu: codon usage in the forward reading frames, by shard and by source.

Belongs here: from shards to counts, and from counts to relative synonymous codon usage. Does not belong here: the
counting and the formula (``kernels/codons.py``).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
from pydantic import Field

from opengenome_assets.corpus import GROUP
from opengenome_assets.corpus.passes.codons import SCHEMA, count_codons
from opengenome_assets.engine.spark import Spark
from opengenome_assets.framework.making import Making, table_result
from opengenome_assets.framework.scans import SHARDS, Scan, scan_shards
from opengenome_assets.intake.sources import ALL
from opengenome_assets.kernels.bases import kmer_strings
from opengenome_assets.kernels.codons import codon_families, rscu
from opengenome_assets.settings import Settings
from opengenome_assets.storage.columns import SOURCE_OR_ALL, column
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Tables, describe

COUNTS_VERSION = "1"
RSCU_VERSION = "1"
STANDARD_CODE = 1
# The shipped sample's sources: plastids by table 11; of the 16 mitochondria 15 are insects (table 5).
SAMPLE_GENETIC_CODES = {"plastids": 11, "mitochondria": 5}

RSCU_SCHEMA = pa.schema(
    [
        SOURCE_OR_ALL,
        column("frame", pa.int32(), "Reading frame: position of the first codon's first letter, 0, 1 or 2"),
        column("codon", pa.string(), "The codon"),
        column("amino_acid", pa.string(), "What it codes for by the genetic code, one letter; * is a stop"),
        column("count", pa.int64(), "Occurrences in that frame of the whole sequences, genes or not"),
        column("per_thousand", pa.float64(), "Count per thousand codons of that source and frame"),
        column(
            "rscu",
            pa.float64(),
            "Relative synonymous codon usage: count divided by the mean count of the codons for the same amino acid "
            "(Sharp & Li 1987); empty where none of them occurs",
        ),
        column("genetic_code", pa.int32(), "NCBI number of the genetic code used for that source"),
    ]
)


class CodonRscuConfig(dg.Config):
    """Run config of codon_rscu."""

    genetic_codes: dict[str, int] | None = Field(
        default=None,
        description="NCBI genetic code table of each source, e.g. {plastids: 11}; a source not named has table 1 (the "
        "shipped sample's have theirs), and so have the rows over all sources, unless 'all' is named. Default: "
        "OPENGENOME_GENETIC_CODES.",
    )


@dg.asset(
    group_name=GROUP,
    deps=[SHARDS],
    code_version=COUNTS_VERSION,
    kinds={"deltalake", "spark"},
    metadata={"dagster/column_schema": describe(SCHEMA)},
    description="Exact counts of all 64 codons in the three forward reading frames, for each shard, from one pass over "
    "the sequences.",
)
def codon_counts(context: dg.AssetExecutionContext, tables: Tables, spark: Spark) -> dg.MaterializeResult[Any]:
    """Count the codons of the shards not counted before."""
    scan = Scan("counting codons", count_codons, {"codon_counts": SCHEMA}, COUNTS_VERSION)
    return scan_shards(context, tables, spark, scan)["codon_counts"]


@dg.asset(
    group_name=GROUP,
    deps=["codon_counts"],
    code_version=RSCU_VERSION,
    kinds={"deltalake"},
    metadata={"dagster/column_schema": describe(RSCU_SCHEMA)},
    description="Codon usage by source and over all sources: counts, per thousand, and relative synonymous usage. "
    "Codons are those of a reading frame of the whole sequence, not of annotated genes.",
)
def codon_rscu(context: dg.AssetExecutionContext, config: CodonRscuConfig, tables: Tables) -> dg.MaterializeResult[Any]:
    """Sum the counts by source and relate them to their synonymous codons."""
    making = Making(context, __name__)
    upstream = tables.input("codon_counts")
    counts = counts_by_source(tables, upstream.version)
    configured = config.genetic_codes
    known = sample_codes(tables)
    known.update(Settings.from_environment().genetic_codes if configured is None else configured)
    codes = {source: known.get(source, STANDARD_CODE) for source in counts}
    for unknown in sorted(set(known) - set(counts)):
        context.log.warning(f"a genetic code is set for {unknown!r}, which is no source of this corpus")
    try:
        pieces = [usage(source, counts[source], codes[source]) for source in counts]
    except ValueError as error:  # an unknown genetic code
        raise dg.Failure(str(error), allow_retries=False) from error
    rows = pa.concat_tables([RSCU_SCHEMA.empty_table(), *pieces])
    provenance = making.recorded(
        Provenance(
            name="codon_rscu",
            code_version=RSCU_VERSION,
            settings={"genetic_codes": codes},
            inputs={"codon_counts": upstream},
            corpus=tables.provenance("codon_counts", upstream.version).corpus,
        )
    )
    commit = tables.write("codon_rscu", rows, provenance)
    return table_result(
        commit,
        provenance,
        making,
        genetic_codes=codes,
        codons={source: int(by_frame[0].sum()) for source, by_frame in counts.items()},
    )


def sample_codes(tables: Tables) -> dict[str, int]:
    """Return the genetic codes of those sources that are the shipped sample's, by the catalogue's word."""
    catalogue = tables.read("raw_fasta", ["source", "revision"]).to_pylist()
    sources = {row["source"] for row in catalogue if row["revision"].startswith("sample-")}
    return {source: SAMPLE_GENETIC_CODES[source.split("/")[-1]] for source in sources}


def counts_by_source(tables: Tables, version: int | None = None) -> dict[str, np.ndarray]:
    """Return the codon counts of each source, by name, and of all together; arrays of shape (3, 64), int64."""
    table = tables.read("codon_counts", ["source", "frame", "counts"], version)
    sums: dict[str, np.ndarray] = {}
    for row in table.to_pylist():
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
    return pa.table(columns, schema=RSCU_SCHEMA)
