"""Which files are proteins and which are assemblies, whose they are, and the sample sheet.

Belongs here: names of files and rows of the sheet. Does not belong here: listing folders (``intake``), and reading
sequences (``passes/parse.py``).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from Bio.Data import CodonTable

from opengenome_assets.intake.kinds import FASTA, FileKind, without_ending
from opengenome_assets.intake.sources import SAMPLE, split
from opengenome_assets.proteins.settings import SAMPLE_FOLDER

PROTEIN_ENDINGS = (".faa", ".pep")
KIND = FileKind("FASTA", (*FASTA.endings, *PROTEIN_ENDINGS), b">")
PROTEINS, CONTIGS = "proteins", "contigs"
BACTERIAL_CODE = 11
SHEET = "samples.tsv"
_COLUMNS = ("accession", "organism", "genetic_code")


class SheetError(ValueError):
    """A sample sheet cannot be used: the message names file, line, what was expected and what was found."""


@dataclass(frozen=True)
class Row:
    """An accession of the sample sheet."""

    organism: str
    genetic_code: int


def accession_and_kind(path: str) -> tuple[str, str]:
    """Return the accession that a file's name gives, and whether it holds proteins or contigs.

    Examples
    --------
    >>> accession_and_kind("run1/GCF_000009085.1_proteins.fasta.gz")
    ('GCF_000009085.1', 'proteins')
    >>> accession_and_kind("GCF_000009085.1.fna")
    ('GCF_000009085.1', 'contigs')
    """
    name = without_ending(path.rpartition("/")[2], KIND.compression_endings)
    is_protein = name.lower().endswith(PROTEIN_ENDINGS)
    stem = without_ending(name, KIND.endings)
    if stem.lower().endswith("_proteins") and len(stem) > len("_proteins"):
        return stem[: -len("_proteins")], PROTEINS
    return stem, PROTEINS if is_protein else CONTIGS


def find_sheet(named: str, source: str) -> Path | None:
    """Return the sample sheet that is named, or ``samples.tsv`` in a folder of the source; None if there is none.

    Raises
    ------
    SheetError
        If several folders have one.
    """
    if named:
        return Path(named).expanduser()
    folders = [SAMPLE_FOLDER if place == SAMPLE else Path(place).expanduser() for place in split(source)]
    found = [folder / SHEET for folder in folders if (folder / SHEET).is_file()]
    if len(found) > 1:
        raise SheetError(
            f"{found[0]} and {found[1]} are both a sample sheet. Join them to one and set OPENGENOME_PROTEINS_SHEET"
        )
    return found[0] if found else None


def read_sheet(path: Path) -> Mapping[str, Row]:
    """Read a sample sheet: a TSV with the columns accession, organism and, if wanted, genetic_code.

    Raises
    ------
    SheetError
        If it cannot be read, a column is missing or unknown, or a row cannot be used.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SheetError(
            f"{path}: the sample sheet cannot be read ({error}). Name a TSV file in OPENGENOME_PROTEINS_SHEET"
        ) from error
    header = [name.strip() for name in lines[0].split("\t")] if lines else []
    if set(header) - set(_COLUMNS) or not {"accession", "organism"} <= set(header) or len(set(header)) < len(header):
        raise SheetError(
            f"{path}, line 1: expected the columns accession, organism and, if wanted, genetic_code, separated by "
            f"tabs; found {', '.join(map(repr, header)) or 'an empty file'}"
        )
    rows: dict[str, Row] = {}
    for number, cells in enumerate(csv.reader(lines[1:], delimiter="\t", quoting=csv.QUOTE_NONE), 2):
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{path}, line {number}"
        if len(cells) != len(header):
            raise SheetError(f"{where}: expected {len(header)} values separated by tabs, found {len(cells)}")
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        accession, code = row["accession"], row.get("genetic_code") or str(BACTERIAL_CODE)
        if not accession or accession in rows:
            raise SheetError(f"{where}: expected an accession that no other line has, found {accession!r}")
        if not code.isdecimal() or int(code) not in CodonTable.unambiguous_dna_by_id:
            raise SheetError(
                f"{where}: genetic_code is {code!r}: expected a number of NCBI's genetic codes, such as 11"
            )
        rows[accession] = Row(row["organism"], int(code))
    return rows


def organism_in(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str | None:
    """Return an organism in the catalogue's words, which are a genus or a species; None if it has none.

    Examples
    --------
    >>> organism_in("Escherichia coli", ("Escherichia", "Staphylococcus_aureus"))
    'Escherichia'
    >>> organism_in("Staphylococcus aureus", ("Escherichia", "Staphylococcus_aureus"))
    'Staphylococcus_aureus'
    """
    words = name.replace("_", " ").split()
    by_name = {each.replace("_", " ").lower(): each for each in known if each}
    for length in (len(words), 2, 1):
        if words and (found := by_name.get(" ".join(words[:length]).lower())):
            return found
    return None
