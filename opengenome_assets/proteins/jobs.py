"""Jobs of proteins: files of proteins or assemblies, sent to be compared with a catalogue.

Belongs here: the options, what is refused, and how the group's assets are made for a job. Does not belong here: reading
files (``passes/parse.py``), and the assets. A check reads each file as the asset does, into the job's home, so that the
job does not read it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.parquet as pq
from pydantic import Field, field_validator

from opengenome_assets import words
from opengenome_assets.engine import Engine
from opengenome_assets.framework.jobs import Checked, JobKind, Options, RefusedError, Sent, SentFile, make_tables
from opengenome_assets.intake.kinds import is_archive_name
from opengenome_assets.proteins.settings import LEVELS, SHIPPED, Level, ProteinsSettings, parse_levels
from opengenome_assets.proteins.tables import (
    ACCESSIONS,
    ALIGNMENTS,
    ASSIGNED_PROTEINS,
    DISRUPTIONS,
    DISTINCT_PROTEINS,
    MUTATION_CALLS,
    MUTATION_STATUS,
    NOVEL_SUBSTITUTIONS,
    NUCLEOTIDE_ALIGNMENTS,
    PROTEIN_FILES,
    PROTEINS,
    REJECTED_PROTEINS,
    SUBSTITUTIONS,
    WILD_TYPES,
)
from opengenome_assets.settings import SettingsError
from opengenome_assets.storage.tables import Home

FILES, SHEET, CATALOGUE = "proteins", "sheet", "catalogue"
MOST_REJECTED = 0.1  # share of refused records, as the asset's run config has it
NAMED = 20
OWN_SHEET = "samples.tsv"
RESULTS = (
    MUTATION_CALLS,
    MUTATION_STATUS,
    NOVEL_SUBSTITUTIONS,
    ASSIGNED_PROTEINS,
    SUBSTITUTIONS,
    ALIGNMENTS,
    DISRUPTIONS,
    REJECTED_PROTEINS,
)
STEPS = (
    PROTEIN_FILES,
    ACCESSIONS,
    WILD_TYPES,
    PROTEINS,
    DISTINCT_PROTEINS,
    ALIGNMENTS,
    NUCLEOTIDE_ALIGNMENTS,
    MUTATION_STATUS,
)


class ProteinOptions(Options):
    """Options of a job of proteins.

    Attributes
    ----------
    organism, genetic_code
        Of accessions that no sheet names.
    levels
        Borders of the levels.
    """

    organism: str = Field(
        default="",
        max_length=200,
        description="Organism of the accessions that no sheet names, in the catalogue's words, such as Escherichia.",
    )
    genetic_code: int = Field(
        default=11, description="NCBI's number of their genetic code, by which genes of contigs are read."
    )
    levels: str = Field(
        default="",
        max_length=200,
        description="Borders of the levels, such as HIGH=0.95/0.9/0.8,MEDIUM=0.8/0.7/0.5,LOW=0.6/0.5/0.3: least "
        "identity, coverage and score per letter. Default: those of the server.",
    )

    @field_validator("levels")
    @classmethod
    def _usable(cls, text: str) -> str:
        try:
            parse_levels(text or "HIGH=0.95/0.9/0.8,MEDIUM=0.8/0.7/0.5,LOW=0.6/0.5/0.3")
        except SettingsError as error:
            raise ValueError(str(error).replace("OPENGENOME_PROTEIN_LEVELS is", "found")) from error
        return text

    @field_validator("genetic_code")
    @classmethod
    def _known(cls, number: int) -> int:
        from Bio.Data import CodonTable

        if number not in CodonTable.unambiguous_dna_by_id:
            raise ValueError(f"expected a number of NCBI's genetic codes, such as 11, found {number}")
        return number


def check(sent: Sent) -> Checked:
    """Read everything that was sent.

    Raises
    ------
    RefusedError
        If a file cannot be used, or more than a tenth of the records is refused.
    """
    from opengenome_assets.proteins.catalogue import CatalogueError, open_catalogues
    from opengenome_assets.proteins.files import SheetError, organism_in, read_sheet

    options: ProteinOptions = sent.options
    files = sent.of(FILES)
    faults = list(_names(sent))
    if faults:
        raise RefusedError(faults)
    accessions = [_accession(file)[0] for file in files]
    try:
        sheets = [read_sheet(file.path) for file in sent.of(SHEET)]
        catalogues = open_catalogues(_catalogue(sent))
    except (SheetError, CatalogueError, OSError) as error:
        raise RefusedError([_without_folder(str(error), sent)]) from error
    organisms = dict.fromkeys(dict.fromkeys(accessions), options.organism)
    codes = dict.fromkeys(organisms, options.genetic_code)
    without_file = [accession for sheet in sheets for accession in sheet if accession not in organisms]
    for accession, row in (sheets[0] if sheets else {}).items():
        if accession in without_file:
            continue
        organisms[accession], codes[accession] = row.organism or options.organism, row.genetic_code
    known = tuple(sorted({name for each in catalogues.values() for name in each.organisms}))
    for name in sorted({name for name in organisms.values() if name and organism_in(name, known) is None}):
        faults.append(f"organism: expected one of the catalogue's, {words.listing(list(known), 100)}; found {name!r}")
    if faults:
        raise RefusedError(faults)
    proteins = _read(sent, codes)
    if sheets or options.organism or options.genetic_code != ProteinOptions().genetic_code:
        lines = [f"{name}\t{organisms[name]}\t{codes[name]}" for name in sorted(organisms)]
        (sent.folder / OWN_SHEET).write_text("\n".join(["accession\torganism\tgenetic_code", *lines, ""]))
    unnamed = sorted(name for name, organism in organisms.items() if not organism)
    notes = []
    if unnamed and all(entry.organism for each in catalogues.values() for entry in each.mutations):
        notes.append(
            f"No organism is named for {words.listing(unnamed, 10)}, so no mutation is called there. Send a sheet, or "
            "the option organism"
        )
    if without_file:
        notes.append(f"The sheet names accessions without a file: {words.listing(without_file, 10)}")
    if rejected := proteins["rejected"]:
        notes.append(
            f"{rejected:,} of {proteins['records']:,} records are left out; the table {REJECTED_PROTEINS.name} says why"
        )
    settings = {
        "organisms": organisms,
        "genetic_codes": codes,
        "levels": [list(level) for level in _levels(sent)],
        "catalogue": {molecule: each.version for molecule, each in catalogues.items()},
    }
    return Checked(proteins["accepted"], settings, tuple(notes))


def perform(sent: Sent, settings: Mapping[str, Any], engine: Engine) -> None:
    """Make the group's tables from the files."""
    from opengenome_assets.framework.group import assets_of
    from opengenome_assets.proteins.definitions import members

    sheet = sent.folder / OWN_SHEET
    section = ProteinsSettings.of(
        {
            "source": str(sent.of(FILES)[0].path.parent),
            "sheet": str(sheet) if sheet.exists() else "",
            "catalogue": _catalogue(sent),
            "levels": settings["levels"],
        }
    )
    make_tables(assets_of(members(section)), RESULTS, sent.home, engine)


def _names(sent: Sent) -> Iterator[str]:
    """Yield the faults of the files' names and numbers."""
    from opengenome_assets.proteins.files import KIND

    owners: dict[tuple[str, str], str] = {}
    if not sent.of(FILES):
        yield f"expected a file of proteins or contigs ({', '.join(KIND.endings)}), found none"
    for file in sent.of(FILES):
        if is_archive_name(file.name):
            yield f"{file.name}: expected FASTA, found an archive. Send each of its files"
        elif not KIND.has_name(file.name):
            yield f"{file.name}: expected a name that ends in {', '.join(KIND.endings)}, compressed or not"
        else:
            accession, kind = pair = _accession(file)
            if (first := owners.setdefault(pair, file.name)) != file.name:
                yield f"{first} and {file.name} are both the {kind} of the accession {accession}: rename one of them"
    if len(sent.of(SHEET)) > 1:
        yield f"expected one sheet, found {words.listing([file.name for file in sent.of(SHEET)], 10)}"
    if len(sent.of(CATALOGUE)) not in (0, 2, 4):
        yield (
            "expected two files of a catalogue, mutations (TSV) and references (FASTA), in this order, or four with "
            f"those of DNA after them; found {len(sent.of(CATALOGUE))}"
        )


def _accession(file: SentFile) -> tuple[str, str]:
    from opengenome_assets.proteins.files import accession_and_kind

    return accession_and_kind(file.name)


def _catalogue(sent: Sent) -> str:
    """Return the catalogue that was sent, else the server's."""
    own = ",".join(str(file.path) for file in sent.of(CATALOGUE))
    return own or sent.platform.section(ProteinsSettings).catalogue or SHIPPED


def _levels(sent: Sent) -> tuple[Level, ...]:
    if sent.options.levels:
        return parse_levels(sent.options.levels)
    return sent.platform.section(ProteinsSettings).levels or LEVELS


def _without_folder(words: str, sent: Sent) -> str:
    for file in sent.files:
        words = words.replace(str(file.path), file.name)
    return words


def _read(sent: Sent, codes: Mapping[str, int]) -> Counter[str]:
    """Read the records of all files, and count them.

    Raises
    ------
    RefusedError
        If a file cannot be read, or too many records are refused; it names the first of them.
    """
    from opengenome_assets.proteins.passes.parse import parse_file, parse_task

    tally: Counter[str] = Counter(records=0, accepted=0, rejected=0)
    faults: list[str] = []
    refused: list[dict[str, Any]] = []
    for file in sent.of(FILES):
        accession, kind = _accession(file)
        row = {"accession": accession, "kind": kind, "path": file.name, "uri": str(file.path), "sha256": file.sha256}
        parsed = parse_file(parse_task(sent.home, row, codes[accession]))
        if parsed.error or parsed.accepted is None or parsed.rejected is None:
            faults.append(_without_folder(parsed.error or f"{file.name}: not read", sent))
            continue
        tally.update({name: parsed.accepted.facts[name] for name in tally})
        for part in parsed.rejected.files if len(refused) < NAMED else ():
            place = f"{sent.home.table(REJECTED_PROTEINS).uri}/{part.path}"
            refused += pq.read_table(place, columns=["file", "record", "line", "reason"]).to_pylist()
    listed = [f"{row['file']}, record {row['record']}, line {row['line']}: {row['reason']}" for row in refused[:NAMED]]
    if tally["rejected"] > MOST_REJECTED * tally["records"]:
        share = f"{tally['rejected']:,} of {tally['records']:,} records cannot be used"
        faults += [f"{share}, more than {MOST_REJECTED:.0%}: mend or remove them", *listed]
    elif not faults and not tally["accepted"]:
        faults += ["expected at least one protein, or a contig with a gene; found none", *listed]
    if faults:
        raise RefusedError(faults)
    return tally


def hamronized(home: Home) -> str:
    """Return the calls as hAMRonization's TSV."""
    from opengenome_assets.proteins.exports import HAMRONIZATION, as_tsv
    from opengenome_assets.proteins.exports import hamronized as rows_of

    return as_tsv(HAMRONIZATION, rows_of(home))


KIND = JobKind(
    name="proteins",
    path="alignments/batch",
    description="Proteins, or genes found in contigs, against a catalogue of known mutations.",
    unit="protein",
    roles={
        FILES: "FASTA of proteins ({accession}_proteins.fasta, .faa) or of contigs (.fna, .fasta)",
        SHEET: "sample sheet: a TSV with accession, organism and genetic_code",
        CATALOGUE: "an own catalogue: mutations (TSV), references (FASTA); then the same of DNA, if wanted",
    },
    options=ProteinOptions,
    results=RESULTS,
    steps=STEPS,
    check=check,
    perform=perform,
    forms={"hamronization": ("text/tab-separated-values", hamronized)},
    role_by_name=lambda name: SHEET if name.lower().endswith(".tsv") else FILES,
)
