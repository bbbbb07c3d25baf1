"""read_depth, variants_raw and genotypes: depth and variants of each sample, by region.

Belongs here: regions of samples as units, and what must be true of the tables. Does not belong here: the work on a
region (``passes/depth.py``, ``passes/call.py``).
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.plans import plan_calls, plan_depth, whole_fasta_of
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets.variants.tables import ALIGNMENTS, GENOTYPES, READ_DEPTH, REFERENCE, VARIANTS_RAW
from opengenome_assets.variants.units import carry_out


class RegionsConfig(dg.Config):
    """Run config of read_depth and of the calls."""

    region_bases: int | None = Field(
        default=None,
        ge=1_000,
        multiple_of=1_000,
        description="Letters of a region, the unit of work. Any size gives the same records. Default: the environment "
        "variable OPENGENOME_REGION_BASES.",
    )


def define(settings: VariantsSettings) -> list[Member]:
    """Return the tables and their rules."""
    return [
        *by_region(settings.region_bases),
        windows_cover_the_contigs,
        ref_is_the_reference,
        no_record_twice,
        reads_of_alleles,
        samples_have_variants,
    ]


def by_region(default: int) -> list[dg.AssetsDefinition]:
    """Return the assets read_depth and genotypes. Regions have ``default`` letters unless run config says another."""

    @dg.multi_asset(pool=HOME_POOL, name=READ_DEPTH.name, specs=[asset_spec(READ_DEPTH, [ALIGNMENTS, REFERENCE])])
    def read_depth(
        context: dg.AssetExecutionContext,
        config: RegionsConfig,
        home: dg.ResourceParam[Home],
        engine: dg.ResourceParam[Engine],
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
        yield from carry_out(context, home, engine, plan_depth(home, config.region_bases or default))

    @dg.multi_asset(
        pool=HOME_POOL,
        name=GENOTYPES.name,
        can_subset=True,
        specs=[asset_spec(VARIANTS_RAW, [ALIGNMENTS, REFERENCE]), asset_spec(GENOTYPES, [ALIGNMENTS, REFERENCE])],
    )
    def genotypes(
        context: dg.AssetExecutionContext,
        config: RegionsConfig,
        home: dg.ResourceParam[Home],
        engine: dg.ResourceParam[Engine],
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
        yield from carry_out(context, home, engine, plan_calls(home, config.region_bases or default))

    return [read_depth, genotypes]


@rule(READ_DEPTH, "The windows of each sample add up to every contig's length")
def windows_cover_the_contigs(home: Home) -> Iterator[str]:
    """Compare the sum of windows with the reference."""
    lengths = dict(zip(*home.table(REFERENCE).read(["contig", "length"]).to_pydict().values(), strict=True))
    sums: Counter[tuple[str, str]] = Counter()
    for row in home.table(READ_DEPTH).read(["sample", "contig", "start", "end"]).to_pylist():
        sums[row["sample"], row["contig"]] += row["end"] - row["start"] + 1
    for sample in home.table(ALIGNMENTS).read(["sample"])["sample"].to_pylist():
        for contig, length in lengths.items():
            if sums[sample, contig] != length:
                yield f"sample {sample}, {contig}: windows of {sums[sample, contig]:,} letters, expected {length:,}"


@rule(GENOTYPES, "The reference, read by pysam, has the letters REF at the position of every record")
def ref_is_the_reference(home: Home) -> Iterator[str]:
    """Compare REF with the FASTA."""
    import pysam

    with pysam.FastaFile(whole_fasta_of(home)) as fasta:
        for table in (VARIANTS_RAW, GENOTYPES):
            for row in home.table(table).read(["sample", "contig", "pos", "ref"]).to_pylist():
                first = row["pos"] - 1
                letters = fasta.fetch(row["contig"], first, first + len(row["ref"]))
                if letters != row["ref"]:
                    yield f"{table.name}, sample {row['sample']}, {row['contig']}:{row['pos']:,}: REF is {row['ref']}, "
                    yield f"the reference has {letters}"


@rule(GENOTYPES, "No allele stands twice for a sample, and every record lies within its contig")
def no_record_twice(home: Home) -> Iterator[str]:
    """Look for records of two regions."""
    lengths = dict(zip(*home.table(REFERENCE).read(["contig", "length"]).to_pydict().values(), strict=True))
    for table, columns in ((VARIANTS_RAW, ["ref", "alt"]), (GENOTYPES, ["ref", "alt"])):
        names = ["sample", "contig", "pos", *columns]
        rows = [tuple(row.values()) for row in home.table(table).read(names).to_pylist()]
        for row, times in Counter(rows).items():
            if times > 1:
                yield f"{table.name}: {row} stands {times} times"
            if not 1 <= row[2] <= lengths.get(row[1], 0):
                yield f"{table.name}: {row} lies outside of its contig"


@rule(GENOTYPES, "Reads with either allele are no more than all reads, and fractions are in [0, 1]")
def reads_of_alleles(home: Home) -> Iterator[str]:
    """Look for impossible numbers."""
    columns = ["sample", "variant_key", "dp", "ad_ref", "ad_alt", "vaf", "copies", "ploidy"]
    for row in home.table(GENOTYPES).read(columns).to_pylist():
        reads = (row["ad_ref"] or 0) + (row["ad_alt"] or 0)
        if reads > (row["dp"] or 0) or not 0 <= (row["vaf"] or 0) <= 1 or not 0 < row["copies"] <= row["ploidy"]:
            yield ", ".join(f"{name} {value}" for name, value in row.items())


NO_VARIANT = "has no variant; compare its coverage, and its reference with that of its reads"


@rule(GENOTYPES, "Every sample has variants", blocking=False)
def samples_have_variants(home: Home) -> Iterator[str]:
    """Look for samples without any variant, which more often is a mistake than a finding."""
    having = set(home.table(GENOTYPES).read(["sample"])["sample"].to_pylist())
    for sample in home.table(ALIGNMENTS).read(["sample"])["sample"].to_pylist():
        if sample not in having:
            yield f"sample {sample} {NO_VARIANT}"
