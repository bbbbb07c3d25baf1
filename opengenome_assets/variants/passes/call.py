"""The pass of variants_raw and genotypes: one region of one sample, called with bcftools.

Belongs here: the commands, and the rows of their records. Does not belong here: which regions there are
(``regions.py``).

Commands get the region with some letters more on both sides, so that an indel at its edge is seen whole. A record
belongs to the region that holds its position. So any cut into regions gives the same records.
"""

from __future__ import annotations

import gzip
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pysam

from opengenome_assets.storage.parts import PartWriter
from opengenome_assets.variants import tools
from opengenome_assets.variants.regions import Region
from opengenome_assets.variants.sums import refuse_changed
from opengenome_assets.variants.tables import ALIGNMENTS, GENOTYPES, REFERENCE, VARIANTS_RAW

PADDING = 1_000  # letters
DEPTH = 1_000  # reads per file that mpileup takes at most
MINIMUM_QUAL = 20.0
PASS, LOW, NEAR_N = "PASS", "LowQual", "NearN"
DEFINITION = re.compile("##(INFO|FORMAT|FILTER|ALT)=")
OPTIONS = {
    # The profile for Illumina turns on the model of indels that takes a consensus of the reads (--indels-cns).
    "mpileup": ["-X", "illumina", "-d", str(DEPTH), "-a", "FORMAT/AD,FORMAT/DP,FORMAT/SP"],
    "call": ["-m", "-v", "-a", "GQ"],
}


@dataclass(frozen=True)
class Calling:
    """A region of a sample.

    Attributes
    ----------
    sample
        The sample.
    region
        The region.
    cram, fasta
        Its reads, and the reference.
    ploidies
        Contig, first and last letter, and ploidy of stretches that are not diploid.
    """

    sample: str
    region: Region
    cram: str
    fasta: str
    ploidies: tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Record:
    """A line of a VCF file with one sample."""

    contig: str
    pos: int
    ref: str
    alt: str
    qual: float | None
    info: str
    format: str
    call: str

    @property
    def values(self) -> dict[str, str]:
        """The sample's values by name."""
        return dict(zip(self.format.split(":"), self.call.split(":"), strict=False))


def parse_vcf(path: Path) -> Iterator[Record]:
    """Yield the records of a VCF file with one sample, plain or packed with bgzip.

    It does not use htslib, so that checks can compare the two.
    """
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                contig, pos, _, ref, alt, qual, _, info, names, call = line.rstrip("\n").split("\t")
                yield Record(contig, int(pos), ref, alt, None if qual == "." else float(qual), info, names, call)


def call(work: Calling, raw: PartWriter, genotypes: PartWriter) -> dict[str, Any]:
    """Write the caller's records in a region, and the alleles in them. Return the definitions of the VCF's header."""
    refuse_changed_reads(work.cram, work.fasta)
    with tempfile.TemporaryDirectory() as folder:
        called, split = Path(folder, "called.vcf"), Path(folder, "split.vcf")
        ploidy = Path(folder, "ploidy")
        ploidy.write_text("".join(f"{c}\t{a}\t{b}\tF\t{n}\n" for c, a, b, n in work.ploidies) + "* * * F 2\n")
        sex = Path(folder, "sex")
        sex.write_text(f"{work.sample}\tF\n")  # the ploidies are those of the sample's sex
        here_and_around = Path(folder, "region")  # in a file, since the tool takes no name with a colon otherwise
        here_and_around.write_text(work.region.padded(PADDING))
        tools.run(
            (
                *("bcftools", "mpileup", "--no-version", *OPTIONS["mpileup"], "-Ou", "-f", work.fasta),
                *("-R", str(here_and_around), work.cram),
            ),
            (
                *("bcftools", "call", "--no-version", *OPTIONS["call"], "-Ov"),
                *("--ploidy-file", str(ploidy), "-S", str(sex), "-"),
            ),
            output=called,
        )
        tools.run(
            ("bcftools", "norm", "--no-version", "-m", "-any", "-f", work.fasta, "-c", "e", "-Ov", str(called)),
            output=split,
        )
        here = range(work.region.start, work.region.end + 1)
        rows = [raw_row(work.sample, record) for record in parse_vcf(called) if record.pos in here]
        raw.write(pa.Table.from_pylist(rows, schema=VARIANTS_RAW.schema))
        alleles = [row for record in parse_vcf(split) if record.pos in here and (row := allele(work.sample, record))]
        mark_near_n(alleles, work.fasta)
        genotypes.write(pa.Table.from_pylist(alleles, schema=GENOTYPES.schema))
        with called.open(encoding="utf-8") as file:
            return {"header": [line.rstrip("\n") for line in file if DEFINITION.match(line)]}


def refuse_changed_reads(cram: str, fasta: str) -> None:
    """Compare the CRAM file and the reference, and their indexes, with their sums. Raises DamagedError."""
    for path, index, table in ((Path(fasta), ".fai", REFERENCE), (Path(cram), ".crai", ALIGNMENTS)):
        refuse_changed(path.parent, [path.name, f"{path.name}{index}"], table.name)


def raw_row(sample: str, record: Record) -> dict[str, Any]:
    """Return a record as a row of variants_raw."""
    return {"sample": sample, **vars(record)}


def allele(sample: str, record: Record) -> dict[str, Any] | None:
    """Return a record with one allele as a row of genotypes; None if the sample does not have the allele."""
    values = record.values
    alleles = values["GT"].replace("|", "/").split("/")
    copies = alleles.count("1")
    if not copies:
        return None
    depths = _numbers(values.get("AD"))
    ad_ref, ad_alt = depths if len(depths) == 2 else (None, None)
    both = (ad_ref or 0) + (ad_alt or 0)
    return {
        "sample": sample,
        "contig": record.contig,
        "pos": record.pos,
        "ref": record.ref,
        "alt": record.alt,
        "variant_key": key(record.contig, record.pos, record.ref, record.alt),
        "qual": record.qual,
        "filter": PASS if (record.qual or 0) >= MINIMUM_QUAL else LOW,
        "gt": values["GT"],
        "ploidy": len(alleles),
        "copies": copies,
        "gq": _number(values, "GQ"),
        "dp": _number(values, "DP"),
        "ad_ref": ad_ref,
        "ad_alt": ad_alt,
        "vaf": (ad_alt or 0) / both if both else None,
        "strand_bias": _number(values, "SP"),
        "pl": values.get("PL"),
    }


def mark_near_n(rows: list[dict[str, Any]], fasta: str) -> None:
    """Set the filter of alleles that touch a letter of the reference other than A, C, G and T.

    The rCRS has an N at 3107 that keeps the old numbering: every sample seems to have a deletion there.
    """
    with pysam.FastaFile(fasta) as reference:
        for row in rows:
            first = row["pos"] - 1
            around = reference.fetch(row["contig"], max(0, first - 1), first + len(row["ref"]) + 1)
            if set(around) - set("ACGT"):
                row["filter"] = NEAR_N


def key(contig: str, pos: int, ref: str, alt: str) -> str:
    """Return the key of an allele."""
    return f"{contig}-{pos}-{ref}-{alt}"


def _numbers(text: str | None) -> list[int]:
    return [int(each) for each in (text or "").split(",") if each not in ("", ".")]


def _number(values: Mapping[str, str], name: str) -> int | None:
    numbers = _numbers(values.get(name))
    return numbers[0] if numbers else None
