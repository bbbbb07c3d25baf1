"""variant_files: the calls as VCF files for other tools.

Belongs here: which files there are, and that they hold the table's records. Does not belong here: writing one
(``passes/vcf.py``).
"""

import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg

from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.settings import local_home
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants import tools
from opengenome_assets.variants.passes.call import parse_vcf
from opengenome_assets.variants.passes.vcf import Writing, write
from opengenome_assets.variants.plans import Plan
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets.variants.tables import ALIGNMENTS, REFERENCE, VARIANT_FILES, VARIANTS_RAW
from opengenome_assets.variants.units import carry_out
from opengenome_assets.variants.work import Unit

ALL = "all"
COMPARED = ("contig", "pos", "ref", "alt", "format", "call")
READS = (ALIGNMENTS, REFERENCE, VARIANTS_RAW)


def define(_: VariantsSettings) -> list[Member]:
    """Return the table and its rules."""
    return [variant_files, files_have_the_records, files_read_back]


@dg.multi_asset(pool=HOME_POOL, name=VARIANT_FILES.name, specs=[asset_spec(VARIANT_FILES, READS)])
def variant_files(
    context: dg.AssetExecutionContext, home: dg.ResourceParam[Home], engine: dg.ResourceParam[Engine]
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
    """Write the files whose records have changed."""
    settings = {"bcftools": tools.versions()["bcftools"]}
    units = tuple(_units(home, settings))
    plan = Plan("writing VCF", write, READS, (VARIANT_FILES,), units, settings, "genotypes", 1e-4, ("vcf",))
    yield from carry_out(context, home, engine, plan)


def _units(home: Home, settings: dict[str, str]) -> Iterator[Unit]:
    contigs = tuple(
        (row["contig"], row["length"]) for row in home.table(REFERENCE).read().sort_by("number").to_pylist()
    )
    raw = home.table(VARIANTS_RAW).at()
    index = home.table(VARIANTS_RAW).parts()
    found = (index.find(key) for key in raw.parts)
    header = tuple(sorted({line for part in found if part for line in part.facts["header"]}))
    samples: dict[str, list[dict[str, Any]]] = {
        sample: [] for sample in sorted(home.table(ALIGNMENTS).read(["sample"])["sample"].to_pylist())
    }
    for row in raw.read().to_pylist():
        samples.setdefault(row["sample"], []).append(row)
    several = {ALL: samples} if len(samples) > 1 else {}
    for name, chosen in {**{sample: {sample: rows} for sample, rows in samples.items()}, **several}.items():
        content = [name, {sample: digest(rows) for sample, rows in chosen.items()}, header, contigs, settings]
        target = f"variants/{digest([VARIANT_FILES.code_version, content])[:32]}/{name}.vcf.gz"
        weight = max(1, sum(map(len, chosen.values())))
        yield Unit(
            name, name, content, weight, Writing(name, chosen, header, contigs, str(local_home(home.uri)), target)
        )


@rule(VARIANT_FILES, "bcftools counts as many records in each sample's file as the table has")
def files_have_the_records(home: Home) -> Iterator[str]:
    """Compare the files with variants_raw."""
    rows = Counter(home.table(VARIANTS_RAW).read(["sample"])["sample"].to_pylist())
    for file in home.table(VARIANT_FILES).read(["sample", "records"]).to_pylist():
        known = rows[file["sample"]]
        if file["sample"] != ALL and file["records"] != known:
            yield f"sample {file['sample']}: {file['records']} records in the file, {known:,} in the table"


@rule(VARIANT_FILES, "Each sample's file, read by the package's own parser, has the rows of variants_raw")
def files_read_back(home: Home) -> Iterator[str]:
    """Compare the lines of the files with variants_raw, without htslib, which wrote them."""
    rows: dict[str, Counter[tuple[Any, ...]]] = {}
    for row in home.table(VARIANTS_RAW).read(["sample", *COMPARED]).to_pylist():
        rows.setdefault(row["sample"], Counter())[tuple(row[name] for name in COMPARED)] += 1
    for file in home.table(VARIANT_FILES).read(["sample", "path"]).to_pylist():
        if file["sample"] == ALL:
            continue
        path = local_home(home.uri) / file["path"]
        try:
            found = Counter(tuple(getattr(record, name) for name in COMPARED) for record in parse_vcf(path))
        except (OSError, EOFError, zlib.error, ValueError) as error:
            yield f"sample {file['sample']}: {path}: {error}; materialise {VARIANT_FILES.name} again"
            continue
        known = rows.get(file["sample"], Counter())
        for record, times in ((known - found) | (found - known)).items():
            where = "the table" if known[record] > found[record] else "the file"
            contig, pos, ref, alt, *_ = record
            yield f"sample {file['sample']}: {contig}:{pos:,} {ref}>{alt} is only in {where} ({times})"
