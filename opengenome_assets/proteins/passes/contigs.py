"""The pass behind nucleotide_alignments, coding_sequences and disruptions: one file of contigs.

Belongs here: reading the contigs once, and the rows of the three tables. Does not belong here: the search for copies
(``nucleotides.py``) and for broken genes (``contigs.py``), and which parts are new (``nucleotide_alignments.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from Bio.Seq import reverse_complement

from opengenome_assets.framework.shards import Shard, read_shard
from opengenome_assets.intake.containers import Unit
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.kernels.fasta import read_records, refusals
from opengenome_assets.proteins.catalogue import DNA, Reference
from opengenome_assets.proteins.contigs import Placed, find_disruptions
from opengenome_assets.proteins.files import KIND
from opengenome_assets.proteins.nucleotides import find_copies
from opengenome_assets.proteins.tables import CODING_SEQUENCES, DISRUPTIONS, NUCLEOTIDE_ALIGNMENTS
from opengenome_assets.storage.parts import Part, PartWriter


@dataclass(frozen=True)
class Gene:
    """A gene found in the file, from 1, both ends included, with the reference of its protein by name.

    ``coverage`` is the share of the reference that is covered; 0 if the DNA around is to be looked at in any case.
    """

    protein_id: str
    contig: str
    start: int
    end: int
    strand: int
    reference: str
    coverage: float


@dataclass(frozen=True)
class ContigTask:
    """A file of contigs, and what is wanted of it.

    Attributes
    ----------
    references
        Name, SHA-256 and sequence of each reference of DNA whose copies are to be found.
    before, kept
        Files of an earlier part of nucleotide_alignments, and the references whose rows are copied from them.
    genes
        The genes whose proteins have a reference.
    wild_types
        Gene and sequence of each of these references, by name.
    keys
        Keys of the parts to write, by table; a table without one is not made.
    facts
        Facts of the part of nucleotide_alignments.
    """

    accession: str
    file: StoredFile
    genetic_code: int
    references: tuple[tuple[str, str, str], ...]
    before: tuple[Shard, ...]
    kept: tuple[str, ...]
    genes: tuple[Gene, ...]
    wild_types: Mapping[str, tuple[str, str]]
    keys: Mapping[str, str]
    uris: Mapping[str, str]
    facts: Mapping[str, Any]


def read_contigs(task: ContigTask) -> dict[str, Part]:
    """Read a file of contigs, and write the parts wanted."""
    aligning = NUCLEOTIDE_ALIGNMENTS.name in task.keys and bool(task.references)
    wanted = None if aligning else {gene.contig for gene in task.genes}
    contigs = dict(_contigs(task.file, wanted)) if aligning or task.genes else {}
    parts = {}
    for spec, rows in (
        (NUCLEOTIDE_ALIGNMENTS, _copies(task, contigs)),
        (CODING_SEQUENCES, _coding_sequences(task, contigs)),
        (DISRUPTIONS, _disruptions(task, contigs)),
    ):
        if spec.name not in task.keys:
            continue
        common = {"accession": task.accession, "file": task.file.path}
        table = pa.Table.from_pylist([{**common, **row} for row in rows], schema=spec.schema)
        if spec is NUCLEOTIDE_ALIGNMENTS:
            table = pa.concat_tables([*_copied(task), table])
        table = table.sort_by([(name, "ascending") for name in spec.key])
        with PartWriter(task.uris[spec.name], task.keys[spec.name], spec.schema) as writer:
            if table.num_rows:
                writer.write(table)
            parts[spec.name] = writer.finish(**(task.facts if spec is NUCLEOTIDE_ALIGNMENTS else {}))
    return parts


def _contigs(file: StoredFile, wanted: set[str] | None) -> Iterator[tuple[str, str]]:
    """Yield name and bases of the contigs in which genes are found: those that raw_proteins accepts."""
    seen: set[str] = set()
    with Unit(file.path, (file,), KIND) as unit:
        for _, stream in unit:
            for batch in read_records(stream.readinto, name=stream.name):
                refused = refusals(batch)
                for place in range(len(batch)):
                    name = batch.header(place).split(maxsplit=1)[0] if place not in refused else ""
                    if not name or name in seen:
                        continue
                    seen.add(name)
                    if wanted is None or name in wanted:
                        letters = batch.data[batch.offsets[place] : batch.offsets[place + 1]]
                        yield name, letters.tobytes().decode("ascii").upper().replace("U", "T")


def _copied(task: ContigTask) -> Iterator[pa.Table]:
    """Yield the rows of an earlier part whose references are the same now."""
    kept = pa.array(task.kept, pa.string())
    for shard in task.before:
        for rows in read_shard(shard, NUCLEOTIDE_ALIGNMENTS.schema.names):
            yield rows.filter(pc.is_in(rows["reference"], kept)).cast(NUCLEOTIDE_ALIGNMENTS.schema)


def _copies(task: ContigTask, contigs: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    references = [Reference(name, "", sequence, DNA) for name, _, sequence in task.references]
    checksums = {name: checksum for name, checksum, _ in task.references}
    for copy in find_copies(contigs, references):
        found = copy.alignment
        yield {
            "contig": copy.contig,
            "start": copy.start + 1,
            "end": copy.end,
            "strand": copy.strand,
            "contig_length": len(contigs[copy.contig]),
            "reference": copy.reference.accession,
            "reference_sha256": checksums[copy.reference.accession],
            "score": found.score,
            "identity": found.identity,
            "coverage_reference": found.coverage_reference,
            "reference_length": len(found.reference),
            "reference_start": found.reference_start + 1,
            "reference_end": found.reference_end,
            "cigar": found.cigar,
            "sequence": found.query[found.query_start : found.query_end],
        }


def _coding_sequences(task: ContigTask, contigs: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for gene in task.genes:
        bases = contigs[gene.contig][gene.start - 1 : gene.end]
        yield {
            **{name: getattr(gene, name) for name in ("protein_id", "contig", "start", "end", "strand")},
            "sequence": bases if gene.strand == 1 else reverse_complement(bases),  # type: ignore[no-untyped-call]
        }


def _disruptions(task: ContigTask, contigs: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    placed = [
        Placed(
            *(gene.contig, gene.start - 1, gene.end, gene.strand),
            *(Reference(gene.reference, *task.wild_types[gene.reference]), gene.coverage),
        )
        for gene in task.genes
    ]
    for found in find_disruptions(contigs, placed, task.genetic_code):
        yield {
            **{name: getattr(found, name) for name in ("contig", "end", "strand", "kind", "position", "name")},
            "start": found.start + 1,
            "gene": found.reference.gene,
            "reference": found.reference.accession,
        }
