"""genes and gene_codons: the genes of each sequence, and their codons by shard.

Belongs here: which genetic code each source is read by, the pass over the shards, and the rules of both tables. Does
not belong here: finding genes (``kernels/genes.py``), and codon usage (``codons.py``).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from opengenome_assets import words
from opengenome_assets.corpus.passes.genes import call_genes
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.corpus.tables import GENE_CODONS, GENES, RAW_FASTA, SEQUENCE_SHARDS
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.scans import BySource, Scan
from opengenome_assets.kernels.frames import LONG_CODONS, codes_of_stops, stop_codons
from opengenome_assets.storage.examined import ExaminedParts
from opengenome_assets.storage.tables import Home

STANDARD_CODE = 1
# The shipped sample's sources: plastids by table 11, insects by 5, the human mitochondrion by 2.
SAMPLE_GENETIC_CODES = {"plastids": 11, "mitochondria": 5, "vertebrate_mitochondria": 2}
EXAMINATION = "1"  # version of `examine`
IDENTITY = ["source", "file", "seq_id"]
LEAST_LETTERS = 10_000  # of a source; in fewer, a frame or two by chance pass for another code
BETTER = 0.1  # of the letters, so much more in long frames: another code fits better


class GenesConfig(dg.Config):
    """Run config of genes and gene_codons."""

    genetic_codes: dict[str, int] | None = Field(
        default=None,
        description="NCBI genetic code table of each source, e.g. {plastids: 11}. A source not named has table 1; "
        "sources of the shipped sample have their own. Default: OPENGENOME_GENETIC_CODES.",
    )


def define(settings: CorpusSettings) -> list[Member]:
    """Return the two tables and their rules."""
    return [genes_asset(settings.genetic_codes), genes_in_sequences, codons_of_genes, genetic_code_fits]


def genes_asset(default: Mapping[str, int]) -> dg.AssetsDefinition:
    """Return the asset genes, which takes the genetic codes of ``default`` unless its run config has others."""

    def codes(home: Home, config: GenesConfig, sources: Sequence[str], log: Any) -> Mapping[str, int]:
        known = sample_codes(home)
        known.update(default if config.genetic_codes is None else config.genetic_codes)
        for unknown in sorted(set(known) - set(sources)):
            log.warning(f"a genetic code is set for {unknown!r}, which is no source of this corpus")
        chosen = {source: known.get(source, STANDARD_CODE) for source in sources}
        try:
            for code in chosen.values():
                stop_codons(code)
        except ValueError as error:  # an unknown genetic code
            raise dg.Failure(str(error), allow_retries=False) from error
        return chosen

    setting = BySource("genetic_codes", "genetic_code", GenesConfig, codes)
    outputs = (GENES, GENE_CODONS)
    return Scan("finding genes", call_genes, SEQUENCE_SHARDS, outputs, facts=facts, by_source=setting).asset()


def sample_codes(home: Home) -> dict[str, int]:
    """Return the genetic codes of the sources that the catalogue marks as the shipped sample's."""
    catalogue = home.table(RAW_FASTA).read(["source", "revision"]).to_pylist()
    sources = {row["source"] for row in catalogue if row["revision"].startswith("sample-")}
    return {source: SAMPLE_GENETIC_CODES[source.split("/")[-1]] for source in sources}


def facts(home: Home) -> dict[str, Any]:
    """Return the number of genes of each source, and of each method, for the UI."""
    totals = home.table(GENE_CODONS).read(["source", "genes", "genetic_code"]).to_pandas()
    by_source = totals.groupby("source")
    methods = home.table(GENES).read(["method"])["method"].value_counts().to_pylist()
    return {
        "genes": {str(source): int(number) for source, number in by_source["genes"].sum().items()},
        "methods": {each["values"]: each["counts"] for each in methods},
        "genetic_codes": {str(source): int(code) for source, code in by_source["genetic_code"].first().items()},
    }


@rule(
    GENES,
    "Each gene lies in its sequence, and its protein has a letter for each codon except the stop, and none for a stop. "
    "A shard's genes are read once: parts do not change",
)
def genes_in_sequences(home: Home) -> Iterator[str]:
    """Compare coordinates with the sequence's length, and lengths of proteins with coordinates."""
    yield from examine(home)[1]


@rule(GENE_CODONS, "Codons and genes add up to those of the coordinates of genes, by source")
def codons_of_genes(home: Home) -> Iterator[str]:
    """Compare the counted codons with the lengths of the genes, without the codons that have other letters."""
    counted: dict[str, np.ndarray] = {}
    for row in home.table(GENE_CODONS).read(["source", "genes", "counts"]).to_pylist():
        counted.setdefault(row["source"], np.zeros(2, np.int64))[:] += (row["genes"], sum(row["counts"]))
    listed = {source: np.zeros(2, np.int64) for source in counted}
    for sums in examine(home)[0]:
        for source, own in sums.items():
            listed.setdefault(source, np.zeros(2, np.int64))[:] += own
    for source, (number, codons) in sorted(listed.items()):
        if source not in counted:
            yield f"{source}: {number:,} genes, but no codons are counted"
        elif (counted[source] != (number, codons)).any():
            genes, total = counted[source]
            yield f"{source}: {genes:,} genes with {total:,} codons counted, but {number:,} with {codons:,} listed"


def examine(home: Home) -> tuple[list[Mapping[str, Sequence[int]]], list[str]]:
    """Read the genes of parts that are new, and return what is in all parts, and what is wrong.

    Returns
    -------
    list of dict of str to (int, int)
        For each part, the number of its genes and of their codons without other letters, by source.
    list of str
        A sentence for each gene that is not what it should be. Parts are read again until there is none.

    Notes
    -----
    A part's key names the shard that its genes were found in, so the lengths of its sequences do not change either.
    """
    parts = ExaminedParts(home.table(GENES).at(), "genes", EXAMINATION)
    read: dict[str, Mapping[str, Sequence[int]]] = {}
    problems: list[str] = []
    edges: list[pa.Table] = []
    for key, row_groups in parts.unread([*IDENTITY, "begin", "end", "partial_3", "protein"]):
        sums: dict[str, np.ndarray] = {}
        for rows in row_groups:
            edges.append(rows.group_by(IDENTITY).aggregate([("begin", "min"), ("end", "max")]))
            problems += odd_proteins(rows)
            for source, *own in codons_by_source(rows):
                sums.setdefault(source, np.zeros(2, np.int64))[:] += own
        read[key] = {source: own.tolist() for source, own in sums.items()}
    if edges:
        problems += outside(pa.concat_tables(edges), home.table(SEQUENCE_SHARDS).read([*IDENTITY, "length"]))
    if not problems:
        parts.keep(read)
    return [*{**parts.found, **read}.values()], problems


def odd_proteins(genes: pa.Table) -> Iterator[str]:
    """Yield a sentence for each gene whose length is not its protein's, or whose protein has a stop."""
    span = pc.add(pc.subtract(genes["end"], genes["begin"]), 1)
    codons = pc.subtract(pc.divide(span, 3), pc.if_else(genes["partial_3"], 0, 1))
    fits = pc.and_(
        pc.equal(pc.multiply(pc.divide(span, 3), 3), span), pc.equal(pc.utf8_length(genes["protein"]), codons)
    )
    good = pc.and_(fits, pc.invert(pc.match_substring(genes["protein"], "*")))
    for row in genes.filter(pc.invert(pc.fill_null(good, False))).to_pylist():
        yield (
            f"{row['source']}, {row['file']}, {row['seq_id']}: a gene from {row['begin']:,} to {row['end']:,} has "
            f"a protein of {words.plural(len(row['protein']), 'letter')}, with "
            f"{words.plural(row['protein'].count('*'), 'stop')}"
        )


def outside(edges: pa.Table, lengths: pa.Table) -> Iterator[str]:
    """Yield a sentence for each sequence whose genes begin before it or end after it."""
    found = edges.join(lengths, IDENTITY, join_type="left outer")
    inside = pc.and_kleene(pc.greater(found["begin_min"], 0), pc.less_equal(found["end_max"], found["length"]))
    for row in found.filter(pc.invert(pc.fill_null(inside, False))).to_pylist():
        yield (
            f"{row['source']}, {row['file']}, {row['seq_id']}: genes from {row['begin_min']:,} to "
            f"{row['end_max']:,}, in a sequence of {row['length'] or 0:,}"
        )


def codons_by_source(genes: pa.Table) -> Iterator[tuple[str, int, int]]:
    """Yield each source, the number of its genes, and of their codons without those that have other letters."""
    span = pc.add(pc.subtract(genes["end"], genes["begin"]), 1)
    codons = pc.subtract(pc.divide(span, 3), pc.count_substring(genes["protein"], "X"))
    sums = genes.select(["source"]).append_column("codons", codons).group_by("source")
    for own in sums.aggregate([("codons", "count"), ("codons", "sum")]).to_pylist():
        yield own["source"], own["codons_count"], own["codons_sum"]


@rule(
    GENE_CODONS,
    f"No other genetic code's stops leave many more long frames (of {LONG_CODONS} codons or more) than those of the "
    f"source's code. Sources of fewer than {LEAST_LETTERS:,} letters are not judged",
    blocking=False,
)
def genetic_code_fits(home: Home) -> Iterator[str]:
    """Compare the stops of each source's code with those of every other code.

    Long frames hold most of a coding sequence if the stops are right. A wrong stop interrupts them. By chance there are
    as many in the same letters written backwards, so their difference counts.
    """
    rows = home.table(GENE_CODONS).read().to_pandas()
    codes = codes_of_stops()
    for source, own in rows.groupby("source"):
        examined = own["examined"].sum()
        if examined < LEAST_LETTERS:
            continue
        sets = [tuple(stops.split()) for stops in own["stop_codons"].iloc[0]]
        excess = (np.stack(own["long_frames"]).sum(axis=0) - np.stack(own["backward_frames"]).sum(axis=0)) / examined
        shares = dict(zip(sets, excess.tolist(), strict=True))
        code = int(own["genetic_code"].iloc[0])
        used, best = stop_codons(code), max(shares, key=lambda stops: shares[stops])
        if shares[best] > shares[used] + BETTER:
            numbers = words.listing([str(number) for number in codes[best]], 20)
            yield (
                f"{source}: by genetic code {code} (stops {' '.join(used)}) long frames hold "
                f"{max(shares[used], 0):.0%} of the letters more than chance; with the stops {' '.join(best)}, of "
                f"{'codes' if len(codes[best]) > 1 else 'code'} {numbers}, {shares[best]:.0%}. The code is probably "
                f"wrong: set OPENGENOME_GENETIC_CODES={source}=NUMBER and materialise genes again"
            )
