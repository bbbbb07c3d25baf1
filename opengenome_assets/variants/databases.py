"""clinvar and gnomad: what these databases state of alleles on the reference's contigs.

Belongs here: reading their files, and their alleles in the form that calls have. Does not belong here: joining them
with calls (``annotations.py``).

A file is VCF, or the table of the database's website. Words stay as they are stated.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

import dagster as dg
import pyarrow as pa
import pysam

from opengenome_assets.framework.group import Member
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.variants.passes.call import key
from opengenome_assets.variants.plans import whole_fasta_of
from opengenome_assets.variants.settings import NONE, SAMPLE, SAMPLE_FOLDER, VariantsSettings
from opengenome_assets.variants.tables import CLINVAR, GNOMAD, REFERENCE

SHIPPED = {CLINVAR.name: "clinvar_chrM_2022-05-25.txt.gz", GNOMAD.name: "gnomad_v3.1_chrM.tsv.gz"}
MOST_MISMATCHES = 0.05  # of the entries: with more, the file is of another assembly

# Stars of each review status: https://www.ncbi.nlm.nih.gov/clinvar/docs/review_status/
STARS = {
    "practice guideline": 4,
    "reviewed by expert panel": 3,
    "criteria provided, multiple submitters, no conflicts": 2,
    "criteria provided, conflicting interpretations": 1,
    "criteria provided, conflicting classifications": 1,
    "criteria provided, single submitter": 1,
    "no assertion criteria provided": 0,
    "no assertion provided": 0,
    "no classification provided": 0,
    "no classification for the single variant": 0,
    "no classifications from unflagged records": 0,
    "no interpretation for the single variant": 0,
}

Entry = dict[str, Any]


class DatabaseError(ValueError):
    """A database's file cannot be used. The message names the file and line, and says what is expected."""


@dataclass
class Tally:
    """What became of the entries of a file."""

    entries: int = 0
    elsewhere: int = 0
    mismatches: list[str] = field(default_factory=list)
    unknown_status: set[str] = field(default_factory=set)


def define(settings: VariantsSettings) -> list[Member]:
    """Return the two tables."""
    return [
        database(CLINVAR, settings.clinvar, {"VCF": clinvar_vcf, "Name\tGene(s)\t": clinvar_table}),
        database(GNOMAD, settings.gnomad, {"VCF": gnomad_vcf, "chromosome\tposition\tref\talt\t": gnomad_table}),
    ]


def database(spec: TableSpec, named: str, forms: Mapping[str, Callable[..., Iterator[Entry]]]) -> dg.AssetsDefinition:
    """Return the asset of a database, from its file and the readers of the forms that it may have."""

    @summary(spec, [REFERENCE])
    def asset(step: Step) -> Rows:
        if named == NONE:
            return Rows(spec.schema.empty_table(), {"file": NONE})
        path = SAMPLE_FOLDER / SHIPPED[spec.name] if named == SAMPLE else Path(named).expanduser().absolute()
        tally, fasta = Tally(), whole_fasta_of(step.home)
        try:
            rows = list(_located(step, path, fasta, forms, tally))
            refuse_other_assembly(path, tally)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        except (DatabaseError, OSError, EOFError) as error:
            raise dg.Failure(f"{spec.name}: {path}: {error}", allow_retries=False) from error
        for status in sorted(tally.unknown_status):
            step.log.warning(f"{spec.name}: unknown review status {status!r}: its entries have no stars")
        for words in tally.mismatches[:10]:
            step.log.warning(f"{spec.name}: left out: {words}")
        facts = {
            "entries": tally.entries,
            "other_contigs": tally.elsewhere,
            "other_ref": len(tally.mismatches),
            "unknown_review_status": sorted(tally.unknown_status),
        }
        table = pa.Table.from_pylist(unique(spec, rows), schema=spec.schema)
        return Rows(table, {"file": path.name, "sha256": sha256}, facts)

    return asset


def _located(
    step: Step, path: Path, reference: str, forms: Mapping[str, Callable[..., Iterator[Entry]]], tally: Tally
) -> Iterator[Entry]:
    """Yield the entries on the reference's contigs, left-aligned."""
    contigs = step[REFERENCE].read().to_pylist()
    names = {name: row["contig"] for row in contigs for name in (row["contig"], *row["aliases"])}
    with pysam.FastaFile(reference) as fasta, open_text(path) as file:
        head = file.readline()
        form = "VCF" if head.startswith("##fileformat=VCF") else next((f for f in forms if head.startswith(f)), None)
        if form is None:
            raise DatabaseError(f"line 1: expected VCF, or {' or '.join(repr(f) for f in forms if f != 'VCF')}")
        for entry in forms[form](head, file, tally):
            tally.entries += 1
            contig = names.get(entry["contig"])
            if contig is None:
                tally.elsewhere += 1
                continue
            entry["contig"] = contig
            if any(set(entry[name]) - set("ACGTN") for name in ("ref", "alt")):
                tally.elsewhere += 1
                continue
            first = entry["pos"] - 1
            letters = fasta.fetch(contig, first, first + len(entry["ref"]))
            if letters != entry["ref"]:
                where = key(contig, entry["pos"], entry["ref"], entry["alt"])
                tally.mismatches.append(f"{where}: the reference has {letters or 'no letter'} there")
                continue
            letter = partial(_letter, fasta, contig)
            entry["pos"], entry["ref"], entry["alt"] = left_aligned(letter, entry["pos"], entry["ref"], entry["alt"])
            yield entry


def _letter(fasta: pysam.FastaFile, contig: str, pos: int) -> str:
    return str(fasta.fetch(contig, pos - 1, pos))


def left_aligned(letter: Callable[[int], str], pos: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Return an allele in its leftmost and shortest form (Tan et al. 2015, doi:10.1093/bioinformatics/btv112).

    Parameters
    ----------
    letter
        Function from a position, from 1, to the reference's letter.
    pos, ref, alt
        The allele. One of the two texts may be empty, as in SPDI.
    """
    while ref != alt and (not ref or not alt or ref[-1] == alt[-1]):
        if ref and alt and (len(ref) > 1 or len(alt) > 1):
            ref, alt = ref[:-1], alt[:-1]
        elif not ref or not alt:
            if pos == 1:  # there is no letter before: VCF has the next one
                after = letter(1 + len(ref))
                ref, alt = ref + after, alt + after
                break
            pos -= 1
            ref, alt = letter(pos) + ref, letter(pos) + alt
        else:
            break
    while len(ref) > 1 and len(alt) > 1 and ref[0] == alt[0]:
        pos, ref, alt = pos + 1, ref[1:], alt[1:]
    return pos, ref, alt


def refuse_other_assembly(path: Path, tally: Tally) -> None:
    """Refuse a file most of whose entries do not fit.

    Raises
    ------
    DatabaseError
        If too many have another REF, or none is on the reference's contigs.
    """
    here = tally.entries - tally.elsewhere
    if here and len(tally.mismatches) > MOST_MISMATCHES * here:
        raise DatabaseError(
            f"REF of {len(tally.mismatches):,} of {here:,} entries is not in the reference, first "
            f"{tally.mismatches[0]}. The file is of another assembly: name that of the reference's"
        )
    if tally.entries and not here:
        raise DatabaseError(f"none of {tally.entries:,} entries is on a contig of the reference")


def unique(spec: TableSpec, rows: list[Entry]) -> list[Entry]:
    """Return rows without repeated keys, sorted by them."""
    by_key = {tuple(row[name] for name in spec.key): row for row in rows}
    return [by_key[each] for each in sorted(by_key)]


def open_text(path: Path) -> IO[str]:
    """Open a text file, plain or packed with gzip."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8") if packed else path.open(encoding="utf-8")


def _vcf(file: IO[str]) -> Iterator[tuple[Entry, int, dict[str, str], str, str]]:
    """Yield place, number (from 0), INFO, ID and FILTER of each allele of a VCF file."""
    for line_number, line in enumerate(file, 2):
        if line.startswith("#"):
            continue
        cells = line.rstrip("\n").split("\t")
        if len(cells) < 8 or not cells[1].isdigit():
            raise DatabaseError(f"line {line_number:,}: expected 8 columns of VCF, found {line[:60]!r}")
        info = dict(each.partition("=")[::2] for each in cells[7].split(";"))
        for place, alt in enumerate(cells[4].split(",")):
            yield (
                {"contig": cells[0], "pos": int(cells[1]), "ref": cells[3], "alt": alt},
                place,
                info,
                cells[2],
                cells[6],
            )


def stars(status: str, tally: Tally) -> int | None:
    """Return the stars of a review status; None, and a note in the tally, if it is unknown."""
    found = STARS.get(status.strip().lower())
    if found is None:
        tally.unknown_status.add(status)
    return found


def clinvar_vcf(head: str, file: IO[str], tally: Tally) -> Iterator[Entry]:
    """Yield the entries of ClinVar's VCF."""
    for place, _, info, name, __ in _vcf(file):
        status = info.get("CLNREVSTAT", "").replace("_", " ")
        yield {
            **place,
            "accession": name,
            "significance": info.get("CLNSIG", "not provided").replace("_", " "),
            "stars": stars(status, tally),
            "review_status": status,
            "conflicts": info.get("CLNSIGCONF", "").replace("_", " ") or None,
            "condition": info.get("CLNDN", "").replace("_", " ") or None,
            "evaluated": None,
        }


def clinvar_table(head: str, file: IO[str], tally: Tally) -> Iterator[Entry]:
    """Yield the entries of the table that ClinVar's website gives for download."""
    columns = head.rstrip("\n").split("\t")
    for number, row in enumerate(csv.DictReader(file, columns, delimiter="\t", quoting=csv.QUOTE_NONE), 2):
        spdi = (row["Canonical SPDI"] or "").split(":")
        if len(spdi) != 4 or not spdi[1].isdigit():
            tally.entries += 1
            tally.elsewhere += 1
            continue
        found = re.fullmatch(r"(.*?)(?:\(Last reviewed: (.*)\))?", row["Clinical significance (Last reviewed)"] or "")
        if found is None:
            raise DatabaseError(f"line {number:,}: expected a clinical significance")
        yield {
            "contig": spdi[0],
            "pos": int(spdi[1]) + 1,
            "ref": spdi[2],
            "alt": spdi[3],
            "accession": row["Accession"],
            "significance": found[1].strip(),
            "stars": stars(row["Review status"], tally),
            "review_status": row["Review status"],
            "conflicts": None,
            "condition": (row["Condition(s)"] or "").replace("|", "; ") or None,
            "evaluated": found[2],
        }


def gnomad_vcf(head: str, file: IO[str], tally: Tally) -> Iterator[Entry]:
    """Yield the alleles of gnomAD's VCF."""
    for place, number, info, _, filters in _vcf(file):
        yield {
            **place,
            "ac": _int(_value(info, number, "AC_hom", "AC")),
            "an": _int(info.get("AN")),
            "af": _float(_value(info, number, "AF_hom", "AF")),
            "af_heteroplasmic": _float(_value(info, number, "AF_het")),
            "filters": filters,
        }


def gnomad_table(head: str, file: IO[str], tally: Tally) -> Iterator[Entry]:
    """Yield the alleles of gnomAD's table of mitochondrial variants."""
    columns = head.rstrip("\n").split("\t")
    for row in csv.DictReader(file, columns, delimiter="\t"):
        yield {
            "contig": row["chromosome"],
            "pos": int(row["position"]),
            "ref": row["ref"],
            "alt": row["alt"],
            "ac": _int(row["AC_hom"]),
            "an": _int(row["AN"]),
            "af": _float(row["AF_hom"]),
            "af_heteroplasmic": _float(row["AF_het"]),
            "filters": row["filters"],
        }


def _value(info: Mapping[str, str], number: int, *names: str) -> str | None:
    """Return an allele's value of the first field that there is."""
    return next((info[name].split(",")[number] for name in names if name in info), None)


def _int(text: str | None) -> int | None:
    return int(text) if text and text != "." else None


def _float(text: str | None) -> float | None:
    return float(text) if text and text != "." else None
