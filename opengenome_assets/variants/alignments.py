"""alignments: each sample's reads on the reference, as CRAM.

Belongs here: samples as units, the place of their files, and what must be true of them. Does not belong here: aligning
(``passes/align.py``).
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import dagster as dg

from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making, table_of
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.settings import local_home
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants import tools
from opengenome_assets.variants.passes.align import LaneReads, SampleReads, align
from opengenome_assets.variants.passes.quality import added
from opengenome_assets.variants.reference import fasta_of
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets.variants.tables import ALIGNMENTS, RAW_READS, READ_FILES, REFERENCE
from opengenome_assets.variants.units import UnitPass
from opengenome_assets.variants.work import Unit

SHOWN = 50


def define(_: VariantsSettings) -> list[Member]:
    """Return the table and its rules."""
    return [alignments, reads_are_conserved, files_exist]


@dg.multi_asset(name=ALIGNMENTS.name, specs=[asset_spec(ALIGNMENTS, [RAW_READS, REFERENCE])])
def alignments(
    context: dg.AssetExecutionContext, home: dg.ResourceParam[Home], engine: dg.ResourceParam[Engine]
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
    """Align the samples that were not aligned before."""
    making = Making(context, align.__module__)
    versions = tools.versions()
    aligner = f"bwa-mem3 {versions['bwa-mem3']}"
    settings = {"aligner": aligner, "samtools": versions["samtools"]}
    units = list(_units(home, aligner, settings))
    aligning = UnitPass("aligning reads", align, (ALIGNMENTS,), settings, file="cram")
    yield from aligning.make(
        context, home, engine, making, [RAW_READS, REFERENCE], units, lambda: {"samples": _listed(home)}
    )


def _units(home: Home, aligner: str, settings: dict[str, str]) -> Iterator[Unit]:
    reference = home.table(REFERENCE).read().sort_by("number").to_pylist()
    contigs = tuple((row["contig"], row["length"], row["md5"]) for row in reference)
    rows = home.table(RAW_READS).read().sort_by([(n, "ascending") for n in ("source", "lane", "mate")]).to_pylist()
    for sample, run in groupby(rows, key=lambda row: row["source"]):
        files = list(run)
        content = [sample, files[0]["patient"], files[0]["sex"], contigs, settings]
        content.append([[row[name] for name in ("lane", "mate", "sha256")] for row in files])
        folder = f"alignments/{digest([ALIGNMENTS.code_version, content])[:32]}"
        work = SampleReads(
            sample=sample,
            patient=files[0]["patient"],
            sex=files[0]["sex"],
            lanes=tuple(_lanes(files)),
            fasta=fasta_of(home),
            contigs=contigs,
            home=str(local_home(home.uri)),
            cram=f"{folder}/{sample}.cram",
            aligner=aligner,
        )
        yield Unit(sample, content, sum(row["bytes"] for row in files), work)


def _lanes(files: Sequence[dict[str, Any]]) -> Iterator[LaneReads]:
    for lane, run in groupby(files, key=lambda row: row["lane"]):
        one, two = (StoredFile(row["path"], row["uri"], row["sha256"]) for row in run)
        yield LaneReads(lane, (one, two))


def _listed(home: Home) -> dg.TableMetadataValue:
    columns = ("sample", "reads", "mapped", "properly_paired", "duplicates", "path")
    rows = home.table(ALIGNMENTS).read(columns).to_pylist()
    return table_of(columns, [[row[name] for name in columns] for row in rows[:SHOWN]])


@rule(
    ALIGNMENTS,
    "The CRAM file holds every read of the sample's files once, with the same name, letters and qualities: the sum of "
    "their hashes is the same, and so is their number",
)
def reads_are_conserved(home: Home) -> Iterator[str]:
    """Compare the reads of each CRAM file, written as FASTQ again, with those of the read files."""
    if not home.table(READ_FILES).exists():
        yield f"there is no table {READ_FILES.name} to compare with; materialise it"
        return
    files: dict[str, list[dict[str, Any]]] = {}
    for row in home.table(READ_FILES).read(["sample", "reads", "digest"]).to_pylist():
        files.setdefault(row["sample"], []).append(row)
    for row in home.table(ALIGNMENTS).read(["sample", "reads", "digest"]).to_pylist():
        given = files.get(row["sample"], [])
        reads = sum(each["reads"] for each in given)
        if reads != row["reads"]:
            yield f"sample {row['sample']}: {reads:,} reads in its files, {row['reads']:,} in the CRAM file"
        elif added([each["digest"] for each in given]) != row["digest"]:
            yield f"sample {row['sample']}: names, letters or qualities in the CRAM file are not those of its files"


@rule(ALIGNMENTS, "Each CRAM file and its index exist")
def files_exist(home: Home) -> Iterator[str]:
    """Look for the files."""
    for row in home.table(ALIGNMENTS).read(["sample", "path"]).to_pylist():
        for path in (row["path"], f"{row['path']}.crai"):
            if not (local_home(home.uri) / path).exists():
                yield f"sample {row['sample']}: {path} is missing; materialise {ALIGNMENTS.name} again"
