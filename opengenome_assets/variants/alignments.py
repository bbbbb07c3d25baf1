"""read_alignments: each sample's reads on the reference, as CRAM.

Belongs here: samples as units, the place of their files, and what must be true of them. Does not belong here: aligning
(``passes/align.py``).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import table_of
from opengenome_assets.settings import local_home
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.passes.quality import added
from opengenome_assets.variants.plans import plan_alignments
from opengenome_assets.variants.settings import NONE, VariantsSettings
from opengenome_assets.variants.sums import NAME
from opengenome_assets.variants.tables import ALIGNMENTS, RAW_READS, READ_FILES, REFERENCE
from opengenome_assets.variants.units import carry_out

SHOWN = 50


def define(settings: VariantsSettings) -> list[Member]:
    """Return the table and its rules."""
    return [alignments_asset(settings.adapters), reads_are_conserved, files_exist, reads_have_mates]


def alignments_asset(adapters: tuple[str, str] | None) -> dg.AssetsDefinition:
    """Return the asset read_alignments, which removes ``adapters`` of mates 1 and 2 before, if there are any."""

    @dg.multi_asset(pool=HOME_POOL, name=ALIGNMENTS.name, specs=[asset_spec(ALIGNMENTS, [RAW_READS, REFERENCE])])
    def read_alignments(
        context: dg.AssetExecutionContext, home: dg.ResourceParam[Home], engine: dg.ResourceParam[Engine]
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
        plan = plan_alignments(home, adapters)
        yield from carry_out(context, home, engine, plan, lambda: {"samples": _listed(home)})

    return read_alignments


def _listed(home: Home) -> dg.TableMetadataValue:
    columns = ("sample", "reads", "mapped", "duplicates", "trimming", "short_reads", "unpaired_reads", "path")
    rows = home.table(ALIGNMENTS).read(columns).to_pylist()
    return table_of(columns, [[row[name] for name in columns] for row in rows[:SHOWN]])


@rule(
    ALIGNMENTS,
    "The CRAM file holds every read of the sample's files once, with the same name, letters and qualities: the sum of "
    "their hashes is the same. With adapters removed, reads and letters are as many as those given, without those that "
    "cutadapt counts",
)
def reads_are_conserved(home: Home) -> Iterator[str]:
    """Compare the reads of each CRAM file, written as FASTQ again, with those of the read files."""
    if not home.table(READ_FILES).exists():
        yield f"there is no table {READ_FILES.name} to compare with; materialise it"
        return
    files: dict[str, list[dict[str, Any]]] = {}
    for row in home.table(READ_FILES).read(["sample", "reads", "letters", "digest"]).to_pylist():
        files.setdefault(row["sample"], []).append(row)
    for row in home.table(ALIGNMENTS).read().to_pylist():
        given = files.get(row["sample"], [])
        for name, left_out in (("reads", row["short_reads"]), ("letters", row["trimmed_letters"])):
            there = sum(each[name] for each in given)
            if there != row[name] + left_out:
                yield (
                    f"sample {row['sample']}: {there:,} {name} in its files, {row[name]:,} in the CRAM file, and "
                    f"{left_out:,} removed before"
                )
                break
        else:
            if row["trimming"] == NONE and added([each["digest"] for each in given]) != row["digest"]:
                yield f"sample {row['sample']}: names, letters or qualities in the CRAM file are not those of its files"


@rule(ALIGNMENTS, "No read of a BAM or CRAM file was left out because its mate is not there", blocking=False)
def reads_have_mates(home: Home) -> Iterator[str]:
    """Look for reads without a mate."""
    for row in home.table(ALIGNMENTS).read(["sample", "reads", "unpaired_reads"]).to_pylist():
        for warning in left_out(row):
            yield f"sample {row['sample']}: {warning}"


def left_out(row: Mapping[Any, Any]) -> Iterator[str]:
    """Yield a warning if reads of a sample were left out, of its row of the table."""
    if row["unpaired_reads"]:
        yield (
            f"{row['unpaired_reads']:,} reads are left out, since the file has no mate of them; "
            f"{row['reads']:,} are aligned"
        )


@rule(ALIGNMENTS, "Each CRAM file, its index and their sums exist")
def files_exist(home: Home) -> Iterator[str]:
    """Look for the files."""
    for row in home.table(ALIGNMENTS).read(["sample", "path"]).to_pylist():
        folder = row["path"].rpartition("/")[0]
        for path in (row["path"], f"{row['path']}.crai", f"{folder}/{NAME}"):
            if not (local_home(home.uri) / path).exists():
                yield f"sample {row['sample']}: {path} is missing; materialise {ALIGNMENTS.name} again"
