"""truth_variants and truth_regions: known alleles of samples, and where all of them are known.

Belongs here: reading a truth VCF, and the BED of its confident regions. Does not belong here: the comparison with calls
(``comparison.py``, ``benchmark.py``), and databases of alleles without samples (``databases.py``).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import dagster as dg
import pyarrow as pa
import pysam

from opengenome_assets.framework.group import Member
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.variants.databases import DatabaseError, Tally, left_aligned, open_text, refuse_other_assembly
from opengenome_assets.variants.passes.call import key
from opengenome_assets.variants.plans import fasta_of
from opengenome_assets.variants.settings import NONE, VariantsSettings
from opengenome_assets.variants.tables import REFERENCE, TRUTH_REGIONS, TRUTH_VARIANTS

FIXED = 9  # columns of VCF before the samples'
PASSED = ("PASS", ".")


def define(settings: VariantsSettings) -> list[Member]:
    """Return the two tables."""
    return [truth_variants(settings.truth), truth_regions(settings.truth, settings.truth_regions)]


def truth_variants(named: str) -> dg.AssetsDefinition:
    """Return the asset of known alleles, from the VCF file ``named``."""

    @summary(TRUTH_VARIANTS, [REFERENCE])
    def asset(step: Step) -> Rows:
        if named == NONE:
            return Rows(TRUTH_VARIANTS.schema.empty_table(), {"file": NONE})
        path, tally = Path(named).expanduser().absolute(), Tally()
        contigs = _names(step)
        try:
            with pysam.FastaFile(fasta_of(step.home)) as fasta, open_text(path) as file:
                rows = list(read_truth(file, contigs, fasta, tally))
            refuse_other_assembly(path, tally)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        except (DatabaseError, OSError, EOFError, UnicodeDecodeError) as error:
            raise dg.Failure(f"{TRUTH_VARIANTS.name}: {path}: {error}", allow_retries=False) from error
        for words in tally.mismatches[:10]:
            step.log.warning(f"{TRUTH_VARIANTS.name}: left out: {words}")
        facts = {"alleles": len(rows), "other_contigs": tally.elsewhere, "other_ref": len(tally.mismatches)}
        return Rows(
            pa.Table.from_pylist(rows, schema=TRUTH_VARIANTS.schema), {"file": path.name, "sha256": sha256}, facts
        )

    return asset


def _names(step: Step) -> dict[str, dict[str, Any]]:
    """Return the reference's contigs by each of their names."""
    contigs = step[REFERENCE].read().to_pylist()
    return {name: row for row in contigs for name in (row["contig"], *row["aliases"])}


def read_truth(
    file: IO[str], contigs: Mapping[str, Mapping[str, Any]], fasta: pysam.FastaFile, tally: Tally
) -> Iterator[dict[str, Any]]:
    """Yield the alleles of each sample of a VCF file, left-aligned, as rows of truth_variants.

    Left out are records with another FILTER than PASS or none, genotypes that are missing, and symbolic alleles.

    Raises
    ------
    DatabaseError
        If a line is no VCF with genotypes. The message names the line.
    """
    samples: list[str] | None = None
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(file, 1):
        cells = line.rstrip("\n").split("\t")
        if number == 1 and not line.startswith("##fileformat=VCF"):
            raise DatabaseError(f"line 1: expected ##fileformat=VCF, found {line[:60]!r}")
        if line.startswith("##"):
            continue
        if line.startswith("#"):
            samples = cells[FIXED:]
            if not samples:
                raise DatabaseError(f"line {number:,}: expected samples with genotypes, found none")
            continue
        if samples is None or len(cells) != FIXED + len(samples) or not cells[1].isdigit():
            raise DatabaseError(f"line {number:,}: expected VCF with the columns of its header, found {line[:60]!r}")
        if cells[6] not in PASSED:
            continue
        tally.entries += 1
        contig = contigs.get(cells[0])
        if contig is None:
            tally.elsewhere += 1
            continue
        name, pos, ref = contig["contig"], int(cells[1]), cells[3].upper()
        found = fasta.fetch(name, pos - 1, pos - 1 + len(ref))
        if found != ref:
            tally.mismatches.append(f"line {number:,}, {name}:{pos:,}: REF is {ref}, the reference has {found}")
            continue
        alleles = [ref, *cells[4].upper().split(",")]
        for sample, call in zip(samples, cells[FIXED:], strict=True):
            copies = genotype(call.partition(":")[0], len(alleles), number)
            for place, count in copies.items():
                alt = alleles[place]
                if place == 0 or set(alt) - set("ACGTN"):
                    continue
                place_, ref_, alt_ = left_aligned(partial(_letter, fasta, name), pos, ref, alt)
                variant = key(name, place_, ref_, alt_)
                if (sample, variant) not in seen:
                    seen.add((sample, variant))
                    yield {
                        "sample": sample,
                        "contig": name,
                        "pos": place_,
                        "ref": ref_,
                        "alt": alt_,
                        "variant_key": variant,
                        "copies": count,
                        "ploidy": copies.total(),
                    }


def genotype(text: str, alleles: int, line: int) -> Counter[int]:
    """Return the copies of each allele by its number; none of a genotype that is missing or half missing."""
    numbers = text.replace("|", "/").split("/")
    if "." in numbers:
        return Counter()
    if not all(each.isdigit() and int(each) < alleles for each in numbers):
        raise DatabaseError(f"line {line:,}: expected a genotype of {alleles} alleles, found {text!r}")
    return Counter(map(int, numbers))


def _letter(fasta: pysam.FastaFile, contig: str, pos: int) -> str:
    return str(fasta.fetch(contig, pos - 1, pos))


def truth_regions(truth: str, named: str) -> dg.AssetsDefinition:
    """Return the asset of confident regions, from the BED file ``named``; whole contigs without one."""

    @summary(TRUTH_REGIONS, [REFERENCE])
    def asset(step: Step) -> Rows:
        if truth == NONE:
            return Rows(TRUTH_REGIONS.schema.empty_table(), {"file": NONE})
        contigs = _names(step)
        if named == NONE:
            rows = [
                {"contig": row["contig"], "start": 1, "end": row["length"]}
                for row in step[REFERENCE].read().to_pylist()
            ]
            return Rows(pa.Table.from_pylist(rows, schema=TRUTH_REGIONS.schema), {"file": NONE})
        path = Path(named).expanduser().absolute()
        try:
            with open_text(path) as file:
                rows = list(read_bed(file, contigs))
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        except (DatabaseError, OSError, EOFError, UnicodeDecodeError) as error:
            raise dg.Failure(f"{TRUTH_REGIONS.name}: {path}: {error}", allow_retries=False) from error
        return Rows(pa.Table.from_pylist(rows, schema=TRUTH_REGIONS.schema), {"file": path.name, "sha256": sha256})

    return asset


def read_bed(file: IO[str], contigs: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the regions of a BED file on the reference's contigs, sorted and merged.

    Raises
    ------
    DatabaseError
        If a line is no BED, or no region is on a contig of the reference.
    """
    regions, lines = [], 0
    for number, line in enumerate(file, 1):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        cells = line.rstrip("\n").split("\t")
        if len(cells) < 3 or not cells[1].isdigit() or not cells[2].isdigit() or int(cells[1]) > int(cells[2]):
            raise DatabaseError(f"line {number:,}: expected contig, start and end of BED, found {line[:60]!r}")
        lines += 1
        contig = contigs.get(cells[0])
        if contig and int(cells[1]) < contig["length"]:
            regions.append((contig["contig"], int(cells[1]) + 1, min(int(cells[2]), contig["length"])))
    if lines and not regions:
        raise DatabaseError(f"none of {lines:,} regions is on a contig of the reference")
    merged: list[tuple[str, int, int]] = []
    for contig_name, start, end in sorted(regions):
        if merged and merged[-1][0] == contig_name and start <= merged[-1][2] + 1:
            merged[-1] = (contig_name, merged[-1][1], max(end, merged[-1][2]))
        else:
            merged.append((contig_name, start, end))
    for contig_name, start, end in merged:
        yield {"contig": contig_name, "start": start, "end": end}
