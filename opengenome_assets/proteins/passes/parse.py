"""Reading one file of proteins or contigs into proteins and refused records.

Belongs here: which records are accepted, the reasons to refuse others, and the rows. Does not belong here:
decompression (``intake/streams.py``), the FASTA parser and genes (``kernels``), and the decision to publish
(``raw_proteins.py``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pyarrow as pa

from opengenome_assets.framework.parsing import Parsed, attempt
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.intake.containers import Unit
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.kernels.fasta import FastaBatch, read_records, refusals
from opengenome_assets.kernels.genes import find_genes
from opengenome_assets.proteins.files import CONTIGS, KIND
from opengenome_assets.proteins.headers import read_header
from opengenome_assets.proteins.tables import PROTEIN_FILES, PROTEINS, REJECTED_PROTEINS
from opengenome_assets.storage.parts import PartWriter
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home

MAX_HEADER = 1000
MAX_LENGTH = 1_000_000  # titin has 35,000 letters; a longer record is no protein, and would take hours to align
NUCLEOTIDES = 50  # letters, all of them A, C, G, T, N or U, that are no protein
PROTEIN_ONLY = "EFILPQefilpq"  # amino acids without a meaning as bases
IF_PROTEINS = ". If the file holds proteins, name it ACCESSION_proteins.fasta or ACCESSION.faa"
_WRONG = re.compile(rb"[^A-Z*]")
_NUCLEOTIDES = re.compile(rb"[ACGTNU]+")
_ROWS = 20_000  # of a row group


@dataclass(frozen=True)
class ParseTask:
    """One file to read, and where its rows go."""

    accession: str
    kind: str
    file: StoredFile
    genetic_code: int
    proteins_key: str
    rejected_key: str
    proteins_uri: str
    rejected_uri: str


def parse_task(home: Home, row: dict[str, Any], genetic_code: int) -> ParseTask:
    """Return the task of a file of the catalogue, with the keys of its parts."""
    code = genetic_code if row["kind"] == CONTIGS else 0  # proteins are read by no genetic code

    def key(spec: TableSpec) -> str:
        return digest([spec.code_version, row["accession"], row["kind"], row["path"], row["sha256"], code])

    return ParseTask(
        accession=row["accession"],
        kind=row["kind"],
        file=StoredFile(row["path"], row["uri"], row["sha256"]),
        genetic_code=code,
        proteins_key=key(PROTEINS),
        rejected_key=key(REJECTED_PROTEINS),
        proteins_uri=home.table(PROTEINS).uri,
        rejected_uri=home.table(REJECTED_PROTEINS).uri,
    )


def parse_file(task: ParseTask) -> Parsed:
    """Read one file. A faulty file is a result, not an exception."""
    return attempt(_parse, task, PROTEIN_FILES)


def _parse(task: ParseTask) -> Parsed:
    tally: Counter[str] = Counter(records=0, accepted=0, rejected=0, letters=0)
    with (
        Unit(task.file.path, (task.file,), KIND) as unit,
        PartWriter(task.proteins_uri, task.proteins_key, PROTEINS.schema) as proteins,
        PartWriter(task.rejected_uri, task.rejected_key, REJECTED_PROTEINS.schema) as rejected,
    ):
        seen: set[str] = set()
        for _, stream in unit:
            for batch in read_records(stream.readinto, name=stream.name):
                rows: list[dict[str, Any]] = []
                refused: list[dict[str, Any]] = []
                for row in (_genes if task.kind == CONTIGS else _proteins)(batch, task, seen):
                    (refused if "reason" in row else rows).append(row)
                common = {"accession": task.accession, "file": task.file.path}
                for first in range(0, len(rows), _ROWS):
                    chunk = [{**row, **common} for row in rows[first : first + _ROWS]]
                    proteins.write(pa.Table.from_pylist(chunk, schema=PROTEINS.schema))
                if refused:
                    table = [{**row, **common} for row in refused]
                    rejected.write(pa.Table.from_pylist(table, schema=REJECTED_PROTEINS.schema))
                tally.update(
                    records=len(batch),
                    accepted=len(rows),
                    rejected=len(refused),
                    letters=sum(row["length"] for row in rows),
                )
            tally["header_lines"] = stream.header_lines
        facts = {"source": task.accession, "file": task.file.path, "kind": task.kind, **tally}
        # The proteins come last: if they are there, the refused records are too.
        return Parsed(rejected=rejected.finish(**facts), accepted=proteins.finish(**facts))


def _proteins(batch: FastaBatch, task: ParseTask, seen: set[str]) -> Iterator[dict[str, Any]]:
    """Yield a row of raw_proteins, or of refused records, for each record. A stop and its rest are left out."""
    text = batch.data.tobytes().upper()
    for place in range(len(batch)):
        header = batch.header(place)
        letters = text[batch.offsets[place] : batch.offsets[place + 1]]
        name = header.split(maxsplit=1)[0] if header.strip() and not header[0].isspace() else ""
        before, stop, after = letters.partition(b"*")
        if not name:
            yield _refusal(batch, place, "no identifier", "no identifier after >")
        elif name in seen:
            reason = f"identifier {name!r} stands on an earlier record of this file; expected unique identifiers"
            yield _refusal(batch, place, "repeated identifier", reason)
        elif not letters:
            yield _refusal(batch, place, "empty sequence", "empty sequence")
        elif wrong := _WRONG.search(letters):
            byte = wrong.group()[0]
            shown = repr(chr(byte)) if 32 <= byte < 127 else f"(byte 0x{byte:02x})"
            reason = f"illegal letter {shown} at position {wrong.start() + 1:,}; expected letters A to Z and *"
            if shown in ("'-'", "'.'"):
                reason += ": gaps of an alignment must be removed"
            yield _refusal(batch, place, f"illegal letter {shown}", reason, shown, wrong.start() + 1)
        elif not before:
            reason = "the record begins with a stop; a protein has at least one letter before it"
            yield _refusal(batch, place, "begins with a stop", reason, "*", 1)
        elif len(before) > MAX_LENGTH:
            yield _refusal(batch, place, "too long", f"longer than {MAX_LENGTH:,} letters: {len(before):,}")
        elif len(before) >= NUCLEOTIDES and _NUCLEOTIDES.fullmatch(before):
            reason = (
                f"{len(before):,} letters, all of them A, C, G, T, N or U: nucleotides, no protein. Name a file of "
                "contigs ACCESSION.fna, and each gene is found in it"
            )
            yield _refusal(batch, place, "nucleotides", reason)
        else:
            seen.add(name)
            stated = read_header(header)
            # A stop shows that the end is there, whatever the header says.
            yield {
                **stated._asdict(),
                "partial_3": False if stop else stated.partial_3,
                "protein_id": name,
                "header": _cut(header),
                "start_codon": "",
                "method": "file",
                "length": len(before),
                "letters_after_stop": len(after.strip(b"*")),
                "protein_sha256": sha256(before).hexdigest(),
                "sequence": before.decode(),
            }


def _genes(batch: FastaBatch, task: ParseTask, seen: set[str]) -> Iterator[dict[str, Any]]:
    """Yield a row of raw_proteins for each gene of each contig, and a row of refused records for each bad contig."""
    refused = refusals(batch)
    for place in range(len(batch)):
        header = batch.header(place)
        contig = header.split(maxsplit=1)[0] if place not in refused else ""
        if refusal := refused.get(place):
            byte = int(batch.illegal[place])
            letter = chr(byte) if 32 <= byte < 127 else ""
            position = int(batch.illegal_position[place]) + 1 if letter else None
            reason = refusal.reason + (IF_PROTEINS if letter and letter in PROTEIN_ONLY else "")
            yield _refusal(batch, place, refusal.kind, reason, letter, position)
            continue
        if contig in seen:
            reason = f"identifier {contig!r} stands on an earlier record of this file; expected unique identifiers"
            yield _refusal(batch, place, "repeated identifier", reason)
            continue
        seen.add(contig)
        genes = find_genes(batch.data[batch.offsets[place] : batch.offsets[place + 1]], task.genetic_code)
        for number, protein in enumerate(genes.proteins.to_pylist()):
            letters = protein.partition("*")[0]
            if not letters:
                continue
            yield {
                "protein_id": f"{contig}_{number + 1}",
                "header": _cut(header),
                "gene": "",
                "contig": contig,
                "start": int(genes.begin[number]),
                "end": int(genes.end[number]),
                "strand": int(genes.strand[number]),
                "partial_5": bool(genes.partial_5[number]),
                "partial_3": bool(genes.partial_3[number]),
                "start_codon": genes.start_codons[number].as_py(),
                "method": genes.method,
                "length": len(letters),
                "letters_after_stop": len(protein) - len(letters),
                "protein_sha256": sha256(letters.encode()).hexdigest(),
                "sequence": letters,
            }


def _refusal(
    batch: FastaBatch, place: int, kind: str, reason: str, letter: str = "", position: int | None = None
) -> dict[str, Any]:
    return {
        "record": int(batch.record[place]),
        "line": int(batch.line[place]),
        "header": _cut(batch.header(place)),
        "kind": kind,
        "reason": reason,
        "letter": letter.strip("'"),
        "position": position,
    }


def _cut(header: str) -> str:
    return header if len(header) <= MAX_HEADER else f"{header[:MAX_HEADER]}… ({len(header):,} characters)"
