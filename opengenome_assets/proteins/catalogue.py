"""Known mutations and the wild types that they are numbered on.

Belongs here: reading a catalogue, AMRFinderPlus' or an own one, and checking each entry against its reference. Does not
belong here: looking for the entries in a protein (`opengenome_assets.proteins.calls`).
"""

import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from opengenome_assets.intake.sources import split
from opengenome_assets.proteins.alignment import cleaned
from opengenome_assets.proteins.changes import Change, normal_form, nucleotide_name, three
from opengenome_assets.proteins.settings import SHIPPED as SHIPPED_NAME

SHIPPED = Path(__file__).parent / "catalogue_files"
DNA_MUTATIONS, DNA_REFERENCES = SHIPPED / "dna_mutations.tsv", SHIPPED / "dna_references.fasta"

PROTEIN, DNA = "protein", "dna"

# gene, letters of the reference, published position, what stands in their place
_SYMBOL = re.compile(r"(?P<gene>.+)_(?P<ref>[A-Z]+)(?P<position>-?\d+)(?P<alt>[A-Za-z]+(?:\d+.*)?)")
_FRAMESHIFT = re.compile(r"(?P<first>[A-Z])fsTer(?P<stop>\d+)(?:(?:ins|del)\d+)?")
_STOPS, _DELETIONS = ("STOP", "Ter", "*"), ("del", "DEL", "-")
_OWN = ("gene", "position", "ref", "alt")

# Columns of AMRFinderPlus' AMR_DNA tables, whose first line is an entry in the table of all organisms.
_DNA = ("reference", "position", "standard_symbol", "symbol", "drug_class", "drug", "name")


class CatalogueError(ValueError):
    """A catalogue cannot be read as a whole: the message names the file, the line, and what was expected."""


@dataclass(frozen=True)
class Reference:
    """A wild type: accession with version, gene, and sequence without a stop at the end.

    ``molecule`` is protein, or dna: ribosomal RNA and promoters.
    """

    accession: str
    gene: str
    sequence: str
    molecule: str = PROTEIN


@dataclass(frozen=True)
class Mutation:
    """An entry of the catalogue that agrees with its reference.

    Attributes
    ----------
    position : int
        1-based, on the reference.
    numbering : int
        As published; it may differ.
    alt : str
        ``*`` for a stop, empty for a deletion; of a frameshift the first changed letter.
    stop_after : int or None
        Of a frameshift: letters from the first changed one to the stop, both counted, as HGVS' fsTer.
    line : int
        In the catalogue's file.
    """

    reference: Reference
    organism: str
    symbol: str
    position: int
    numbering: int
    ref: str
    alt: str
    stop_after: int | None
    drug_class: str
    drug: str
    line: int

    @property
    def kind(self) -> str:
        """substitution, stop, insertion, deletion, indel, complex (several substitutions) or frameshift."""
        if self.stop_after is not None:
            return "frameshift"
        return self.changes[0].kind if len(self.changes) == 1 else "complex"

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """The normal form; of a frameshift its first change."""
        if self.alt == "*" or self.stop_after is not None:
            return (Change(self.position, self.ref[0], self.alt),)
        return normal_form(self.reference.sequence, self.position, self.ref, self.alt)

    @property
    def short(self) -> str:
        """On its reference, as S83L, WR65del or Y253CfsTer5; of DNA as A2058T."""
        after = f"fsTer{self.stop_after}" if self.stop_after is not None else ""
        return f"{self.ref}{self.position}{self.alt or 'del'}{after}"

    @property
    def hgvs(self) -> str:
        """HGVS name on its reference: p.Ser83Leu, p.Lys141Ter, p.Tyr253CysfsTer5, p.[Ser83Leu;Ser84Ala], n.2058A>T."""
        if self.stop_after is not None:
            return f"p.{three(self.ref[0])}{self.position}{three(self.alt)}fsTer{self.stop_after}"
        if self.reference.molecule == DNA:
            names = [nucleotide_name(change, self.reference.sequence) for change in self.changes]
        else:
            names = [change.hgvs(self.reference.sequence) for change in self.changes]
        prefix = names[0][:2]
        return names[0] if len(names) == 1 else f"{prefix}[{';'.join(name.removeprefix(prefix) for name in names)}]"

    def mutant(self) -> str:
        """The reference with this mutation put in; letters that a frameshift leaves open are X."""
        wild, start = self.reference.sequence, self.position - 1
        if self.alt == "*":
            return wild[:start]
        if self.stop_after is not None:
            return wild[:start] + self.alt + "X" * (self.stop_after - 2)
        return wild[:start] + self.alt + wild[start + len(self.ref) :]


@dataclass(frozen=True)
class RejectedMutation:
    """An entry that is not used, with its line in the file and what to do about it."""

    line: int
    symbol: str
    reference: str
    reason: str
    expected: str = ""
    found: str = ""


@dataclass(frozen=True)
class Catalogue:
    """References, the mutations known on them, and the entries refused.

    ``version`` is the SHA-256 of both files' contents, 64 hexadecimal digits: the files hold no version of their own.
    """

    references: tuple[Reference, ...]
    mutations: tuple[Mutation, ...]
    rejected: tuple[RejectedMutation, ...]
    version: str
    organisms: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "organisms", tuple(sorted({entry.organism for entry in self.mutations} - {""})))

    def of(self, organism: str | None) -> "Catalogue":
        """The mutations of one organism and their references; all of them for None.

        Raises
        ------
        ValueError
            The catalogue knows no such organism: a wrong name must not look like the absence of mutations.
        """
        if organism is None:
            return self
        if organism not in self.organisms:
            known = ", ".join(self.organisms) or "none; its entries are of no organism"
            raise ValueError(f"The catalogue has no organism {organism!r}. Known: {known}.")
        mutations = tuple(entry for entry in self.mutations if entry.organism == organism)
        references = tuple(dict.fromkeys(entry.reference for entry in mutations))
        return Catalogue(references, mutations, self.rejected, self.version)


def read_catalogue(
    mutations: Path = SHIPPED / "mutations.tsv",
    references: Path = SHIPPED / "references.fasta",
    *,
    molecule: str = PROTEIN,
) -> Catalogue:
    """Read and check a catalogue; by default the one of proteins shipped.

    `DNA_MUTATIONS` and `DNA_REFERENCES` are the one of ribosomal RNA and promoters, for
    `opengenome_assets.proteins.nucleotides.call_nucleotides`.

    Parameters
    ----------
    mutations : Path
        AMRFinderPlus' ``AMRProt-mutation.tsv`` or ``AMR_DNA-mutation.tsv``, or a TSV with the columns gene, position,
        ref, alt and optionally organism, numbering, drug_class, drug, symbol.
    references : Path
        FASTA. Headers are AMRFinderPlus' (10 fields and ``|``, or of DNA ``ACCESSION@name@gene:start-stop``) or begin
        with the gene's name. A reference that has a
        mutation put in (``ACCESSION:position:symbol``) is passed over: alleles are found on the wild type.
    molecule : str
        ``protein`` or ``dna``. AMRFinderPlus' tables of DNA are known by their form.

    Returns
    -------
    Catalogue
        Entries that disagree with the reference are in ``rejected``; no row is dropped in silence.

    Raises
    ------
    CatalogueError
        The file's columns are others, or a reference is there twice, empty, or holds what is no letter.
    OSError
        A file cannot be read.
    """
    table, fasta = mutations.read_bytes(), references.read_bytes()
    by_accession: dict[str, Reference] = {}
    rows, molecule = list(_rows(mutations, table.decode())), DNA if _is_dna(_names(table.decode())) else molecule
    for line, header, sequence in _records(references, fasta.decode()):
        fields = header.split("|")
        accession = gene = header.split(maxsplit=1)[0]
        if len(fields) >= 10:
            accession, gene = fields[1], fields[4]
        elif accession.count("@") == 2:
            accession, gene = _locus(accession)
        if len(fields) >= 10 and ":" in accession:
            continue
        if accession in by_accession:
            raise CatalogueError(
                f"{references}, line {line}: {accession} is there a second time. Remove one of the two."
            )
        try:
            by_accession[accession] = Reference(accession, gene, cleaned(sequence), molecule)
        except ValueError as error:
            raise CatalogueError(f"{references}, line {line}: {accession}: {error}") from error
    known: list[Mutation] = []
    rejected: list[RejectedMutation] = []
    seen: dict[tuple[str, str, int, str, str], int] = {}
    for line, row in rows:
        entry = _entry(line, row, by_accession)
        if isinstance(entry, Mutation):
            key = (entry.organism, entry.reference.accession, entry.position, entry.ref, row["alt"])
            if key in seen:
                entry = RejectedMutation(line, entry.symbol, key[1], f"It is the entry of line {seen[key]} again.")
            else:
                seen[key] = line
        (known if isinstance(entry, Mutation) else rejected).append(entry)  # type: ignore[arg-type]
    version = hashlib.sha256(hashlib.sha256(table).digest() + hashlib.sha256(fasta).digest()).hexdigest()
    used = {entry.reference.accession for entry in known}
    wild_types = tuple(reference for name, reference in by_accession.items() if name in used)
    return Catalogue(wild_types, tuple(known), tuple(rejected), version)


def open_catalogues(specification: str) -> dict[str, Catalogue]:
    """Read the catalogue of proteins and that of DNA, by molecule: the shipped ones, or those of two or four files.

    Raises
    ------
    CatalogueError
        If not two or four files are named, they cannot be read as a catalogue, or both have a reference of one name.
    OSError
        If a file cannot be read.
    """
    if specification == SHIPPED_NAME:
        return {PROTEIN: read_catalogue(), DNA: read_catalogue(DNA_MUTATIONS, DNA_REFERENCES)}
    files = [Path(name).expanduser() for name in split(specification)]
    if len(files) not in (2, 4):
        raise CatalogueError(
            f"OPENGENOME_CATALOGUE is {specification!r}: expected 'shipped', or a TSV of mutations and a FASTA of "
            "references, separated by a comma; after them the same of DNA, if wanted"
        )
    found = {PROTEIN: read_catalogue(*files[:2])}
    if files[2:]:
        found[DNA] = read_catalogue(*files[2:], molecule=DNA)
        names = {each.accession for each in found[DNA].references}
        if both := sorted(names.intersection(each.accession for each in found[PROTEIN].references)):
            raise CatalogueError(
                f"{files[1]} and {files[3]} both have a reference {both[0]}. Rename it in one of them: a reference of "
                "DNA may be named as gene_promoter"
            )
    return found


def _records(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    """Line, header and sequence of each record."""
    first, header = 0, ""
    parts: list[str] = []
    for line, content in enumerate(text.splitlines(), 1):
        if content.startswith(">"):
            if first:
                yield first, header, "".join(parts)
            first, header, parts = line, content[1:], []
            if not header.strip():
                raise CatalogueError(f"{path}, line {line}: a header must name its reference.")
        elif content.strip():
            if not first:
                raise CatalogueError(f"{path}, line {line}: a FASTA file must begin with '>'.")
            parts.append(content.strip())
    if first:
        yield first, header, "".join(parts)


def _names(text: str) -> list[str]:
    """The columns of the first line, or of AMRFinderPlus' headless table its first entry."""
    return text.partition("\n")[0].rstrip("\r").lstrip("#").split("\t")


def _is_dna(names: list[str]) -> bool:
    return len(names) == len(_DNA) and names[0].count("@") == 2


def _rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and fields of each row, under the names of an own catalogue; ``reference`` names the reference."""
    lines = text.splitlines()
    names = _names(text) if lines else []
    theirs, dna = names[:2] == ["taxgroup", "accession_version"], _is_dna(names)
    if not (theirs or dna) and (missing := [name for name in _OWN if name not in names]):
        raise CatalogueError(
            f"{path}, line 1: no column {', '.join(missing)}. Expected AMRFinderPlus' AMRProt-mutation.tsv or "
            f"AMR_DNA-mutation.tsv, or a TSV with the columns {', '.join(_OWN)}. "
            f"Found: {', '.join(names) or 'an empty file'}."
        )
    headless = dna and len(names) > 1 and names[1].isdecimal()
    body = lines if headless else lines[1:]
    for line, fields in enumerate(csv.reader(body, delimiter="\t", quoting=csv.QUOTE_NONE), 1 if headless else 2):
        if not any(fields):
            continue
        row = dict(zip(_DNA if dna else names, fields, strict=False))
        if theirs:
            symbol = row.get("standard_mutation_symbol", "")
            parsed = _SYMBOL.fullmatch(symbol)
            row = {
                "organism": row["taxgroup"],
                "reference": row.get("accession_version", ""),
                "symbol": symbol,
                "position": row.get("mutation_position", ""),
                "numbering": parsed["position"] if parsed else "",
                "ref": parsed["ref"] if parsed else "",
                "alt": parsed["alt"] if parsed else "",
                "drug_class": row.get("class", ""),
                "drug": row.get("subclass", ""),
            }
        elif dna:
            parsed = _SYMBOL.fullmatch(row.get("standard_symbol", ""))
            # The organism has no column: it is what precedes the drug in Escherichia_linezolid_resistant_23S.
            organism, resistant, _ = row.get("name", "").partition(f"_{row.get('drug', '').lower()}_resistant_")
            row |= {
                "reference": _locus(row["reference"])[0],
                "organism": organism if resistant else "",
                "numbering": (_SYMBOL.fullmatch(row["symbol"]) or parsed or {"position": ""})["position"],
                "ref": parsed["ref"] if parsed else "",
                "alt": parsed["alt"] if parsed else "",
            }
        else:
            row.setdefault(
                "symbol", f"{row.get('gene')}_{row.get('ref')}{row.get('position')}{row.get('alt') or 'del'}"
            )
            row["reference"] = row.get("gene", "")
        yield line, row


def _locus(name: str) -> tuple[str, str]:
    """ACCESSION:start-stop and the gene of ``ACCESSION@name@gene:start-stop``; the name itself if it is none."""
    accession, _, place = name.partition("@")
    gene, _, span = place.rpartition("@")[2].rpartition(":")
    return (f"{accession}:{span}", gene) if span and gene else (name, name)


def _entry(line: int, row: dict[str, str], references: dict[str, Reference]) -> Mutation | RejectedMutation:
    """The entry of a row, or why it is refused."""
    symbol, accession = row["symbol"], row["reference"]
    reference = references.get(accession)
    ref, alt = row.get("ref", "").upper(), row.get("alt", "")
    if reference is None:
        return RejectedMutation(line, symbol, accession, f"There is no reference {accession!r} in the FASTA file.")
    if not row.get("position", "").isdecimal() or not ref.isalpha():
        return RejectedMutation(line, symbol, accession, "Expected letters of the reference and a position, as S83L.")
    position = int(row["position"])
    found = reference.sequence[max(0, position - 1) : position - 1 + len(ref)] if position else ""
    if found != ref:
        reason = f"The reference has {found or 'nothing'} at {position}, not {ref}."
        return RejectedMutation(line, symbol, accession, reason, ref, found)
    stop_after = None
    if frameshift := _FRAMESHIFT.fullmatch(alt):
        alt, stop_after = frameshift["first"], int(frameshift["stop"])
    elif alt in _STOPS:
        alt = "*"
    elif alt in (*_DELETIONS, ""):
        alt = ""
    elif not (alt.isalpha() and alt.isupper()):
        return RejectedMutation(line, symbol, accession, f"{alt!r} is no allele: letters, del, STOP or an fsTer.")
    if alt == ref or (stop_after is not None and stop_after < 2):
        return RejectedMutation(line, symbol, accession, "It changes nothing, or its stop stands before its change.")
    numbering = row.get("numbering") or row["position"]
    return Mutation(
        *(reference, row.get("organism", ""), symbol, position, int(numbering), ref, alt, stop_after),
        *(row.get("drug_class", ""), row.get("drug", ""), line),
    )
