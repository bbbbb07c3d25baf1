"""gene_models: the transcripts of a GFF3 file.

Belongs here: reading the file, with the forms of Ensembl, GENCODE and NCBI. Does not belong here: what variants do to
transcripts (``consequences.py``).

The form: https://github.com/The-Sequence-Ontology/Specifications/blob/master/gff3.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import dagster as dg
import pyarrow as pa

from opengenome_assets.framework.group import Member
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.variants.databases import MOST_MISMATCHES, DatabaseError, open_text, unique
from opengenome_assets.variants.settings import NONE, SAMPLE, SAMPLE_FOLDER, VariantsSettings
from opengenome_assets.variants.tables import GENE_MODELS, REFERENCE

SHIPPED = "rCRS.gff3"
CODING = "protein_coding"
PREFIXES = ("gene:", "gene-", "transcript:", "rna-", "mrna-")
BIOTYPES = ("biotype", "transcript_type", "transcript_biotype", "gene_biotype", "gene_type")


@dataclass
class Feature:
    """A gene or transcript of a file, with its exons and coding stretches: first and last letter, and phase."""

    contig: str
    kind: str
    start: int
    end: int
    strand: str
    attributes: dict[str, str]
    exons: list[tuple[int, int]] = field(default_factory=list)
    cds: list[tuple[int, int, int]] = field(default_factory=list)


def define(settings: VariantsSettings) -> list[Member]:
    """Return the table."""
    return [gene_models(settings.genes)]


def gene_models(named: str) -> dg.AssetsDefinition:
    """Return the asset, which reads the file ``named``."""

    @summary(GENE_MODELS, [REFERENCE])
    def asset(step: Step) -> Rows:
        if named == NONE:
            return Rows(GENE_MODELS.schema.empty_table(), {"file": NONE})
        path = SAMPLE_FOLDER / SHIPPED if named == SAMPLE else Path(named).expanduser().absolute()
        contigs = step[REFERENCE].read().to_pylist()
        names = {name: row for row in contigs for name in (row["contig"], *row["aliases"])}
        rows, elsewhere, outside = [], 0, []
        try:
            with open_text(path) as file:
                for row in read_gff3(file):
                    contig = names.get(row["contig"])
                    if contig is None:
                        elsewhere += 1
                    elif row["end"] > contig["length"]:  # as GFF3 has it of one across the origin of a circle
                        outside.append(f"{row['transcript']} ends at {row['contig']}:{row['end']:,}")
                    else:
                        rows.append({**row, "contig": contig["contig"]})
            if len(outside) > MOST_MISMATCHES * (len(rows) + len(outside)):
                raise DatabaseError(
                    f"{len(outside):,} transcripts are beyond the end of their contig, first {outside[0]}. The file is "
                    "of another assembly: name that of the reference's"
                )
            if elsewhere and not rows and named == SAMPLE:
                step.log.info(
                    f"{GENE_MODELS.name}: the shipped genes are on no contig of this reference, and are left out. Name "
                    "a GFF3 file of its genes in OPENGENOME_GENES for consequences"
                )
                return Rows(GENE_MODELS.schema.empty_table(), {"file": NONE})
            if elsewhere and not rows:
                raise DatabaseError(f"none of {elsewhere:,} transcripts is on a contig of the reference")
        except (DatabaseError, OSError, EOFError, UnicodeDecodeError) as error:
            raise dg.Failure(f"{GENE_MODELS.name}: {path}: {error}", allow_retries=False) from error
        for words in outside[:10]:
            step.log.warning(f"{GENE_MODELS.name}: left out: {words}, beyond the end of the contig")
        facts = {"transcripts": len(rows), "left_out": elsewhere + len(outside)}
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        table = pa.Table.from_pylist(unique(GENE_MODELS, rows), schema=GENE_MODELS.schema)
        return Rows(table, {"file": path.name, "sha256": sha256}, facts)

    return asset


def read_gff3(file: IO[str]) -> Iterator[dict[str, Any]]:
    """Yield the transcripts of a GFF3 file as rows of gene_models, in the order of the file.

    Raises
    ------
    DatabaseError
        If a line is no GFF3. The message names the line.
    """
    features: dict[str, Feature] = {}
    parts: list[tuple[int, str, str, int, int, int]] = []
    for number, line in enumerate(file, 1):
        if line.startswith("##FASTA"):
            break
        if line.startswith("#") or not line.strip():
            continue
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) != 9:
            raise DatabaseError(f"line {number:,}: expected 9 columns of GFF3, found {len(cells)}: {line[:60]!r}")
        contig, _, kind, first, last, _, strand, phase, text = cells
        start, end = (int(place) if place.isdecimal() else 0 for place in (first, last))
        if not 1 <= start <= end:
            raise DatabaseError(f"line {number:,}: expected a start from 1 to the end, found {first!r} and {last!r}")
        attributes = {
            name.strip(): unquote(value) for name, _, value in (e.partition("=") for e in text.split(";")) if value
        }
        if kind in ("exon", "CDS"):
            for parent in attributes.get("Parent", "").split(","):
                parts.append((number, kind, parent, start, end, int(phase) if phase in ("0", "1", "2") else 0))
        elif identity := attributes.get("ID"):
            # A feature of several lines is one, from its first letter to its last.
            feature = features.setdefault(identity, Feature(contig, kind, start, end, strand, attributes))
            feature.start, feature.end = min(feature.start, start), max(feature.end, end)
    for number, kind, parent, start, end, frame in parts:
        if (owner := features.get(parent)) is None:
            raise DatabaseError(f"line {number:,}: the {kind} has the parent {parent!r}, which is not in the file")
        if kind == "CDS":
            owner.cds.append((start, end, frame))
        else:
            owner.exons.append((start, end))
    yield from (row(each, features) for each in features.values() if each.exons or each.cds)


def row(feature: Feature, features: dict[str, Feature]) -> dict[str, Any]:
    """Return a transcript as a row."""
    own = feature.attributes
    gene = features.get(own.get("Parent", ""))
    above = gene.attributes if gene else own
    biotype = next((each[name] for each in (own, above) for name in BIOTYPES if name in each), "")
    cds = sorted(set(feature.cds))
    exons = sorted(set(feature.exons)) or [(start, end) for start, end, _ in cds]
    return {
        "contig": feature.contig,
        "start": feature.start,
        "end": feature.end,
        "strand": feature.strand if feature.strand in "+-" else "+",
        "gene": above.get("Name") or above.get("gene_name") or above.get("gene") or bare(above["ID"]),
        "transcript": own.get("transcript_id") or bare(own["ID"]),
        "biotype": biotype or (CODING if cds else feature.kind),
        "exon_starts": [start for start, _ in exons],
        "exon_ends": [end for _, end in exons],
        "cds_starts": [start for start, _, _ in cds],
        "cds_ends": [end for _, end, _ in cds],
        "cds_phases": [phase for _, _, phase in cds],
    }


def bare(identity: str) -> str:
    """Return an ID without the prefix of its kind, which Ensembl and NCBI write."""
    return next((identity.removeprefix(prefix) for prefix in PREFIXES if identity.startswith(prefix)), identity)
