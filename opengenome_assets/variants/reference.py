"""reference_contigs: the contigs that reads are aligned against, and the files that tools need of them.

Belongs here: reading the FASTA, names and ploidy of contigs, and the folder of the files. Does not belong here: the
format of the aligner's index (``index.py``).
"""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
from pydantic import Field

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making
from opengenome_assets.intake.containers import Unit
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.streams import StoredFile, StreamError
from opengenome_assets.settings import local_home
from opengenome_assets.storage.files import DamagedError
from opengenome_assets.storage.record import Provenance, digest
from opengenome_assets.storage.snapshot import MissingTableError
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants import index, sums
from opengenome_assets.variants.plans import whole_fasta_of
from opengenome_assets.variants.settings import SAMPLE, SAMPLE_FOLDER, VariantsSettings
from opengenome_assets.variants.tables import REFERENCE

CORPUS = "corpus:"
LINE = 60
VALID = np.zeros(256, bool)
VALID[[*b"ACGTRYSWKMBDHVN"]] = True

# MD5 of sequences that have several names, and their accessions.
MITOCHONDRIA = {
    "c68f52674c9fb33aef52dcf399755519": "NC_012920.1",  # rCRS, of GRCh37 with rCRS and GRCh38
    "d2ed829b8a1628d16cbeee88e88e39eb": "NC_001807.4",  # the chrM of hg19
}
OTHER_THAN_RCRS = "NC_001807.4"
# Names of mitochondrial genomes, and of the sex chromosomes of mammals.
MITOCHONDRIAL = {"M", "MT"}
VERTEBRATE_MITOCHONDRIAL = 2


class UnusableReferenceError(ValueError):
    """A reference cannot be used. The message names the file, and says what is expected."""


@dataclass(frozen=True)
class Contig:
    """A contig as read: its name, its description, and its letters in upper case."""

    name: str
    description: str
    letters: bytes


class ReferenceConfig(dg.Config):
    """Run config of reference_contigs."""

    reference: str | None = Field(
        default=None,
        description="The reference: a FASTA file, 'corpus:SEQ_ID', or 'sample'. Default: the environment variable "
        "OPENGENOME_REFERENCE.",
    )


def define(settings: VariantsSettings) -> list[Member]:
    """Return the table and its rule."""
    return [reference_asset(settings.reference), files_hold_the_contigs]


def reference_asset(default: str) -> dg.AssetsDefinition:
    """Return the asset reference_contigs, which reads ``default`` unless its run config names another."""
    reads = [SEQUENCE_SHARDS] if default.startswith(CORPUS) else []

    @dg.multi_asset(pool=HOME_POOL, name=REFERENCE.name, specs=[asset_spec(REFERENCE, reads)])
    def reference(
        context: dg.AssetExecutionContext, config: ReferenceConfig, home: dg.ResourceParam[Home]
    ) -> dg.MaterializeResult[Any]:
        making = Making(context, __name__)
        named = config.reference or default
        try:
            contigs = list(read_reference(home, named))
            refuse_unusable(contigs, named)
            folder, built = keep(contigs, local_home(home.uri))
        except (UnusableReferenceError, StreamError, MissingTableError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        rows = [row(contig, number, folder) for number, contig in enumerate(contigs)]
        settings = {"contigs": digest([[each["contig"], each["md5"]] for each in rows]), "index": index.VERSION}
        provenance = making.recorded(
            Provenance(name=REFERENCE.name, code_version=REFERENCE.code_version, settings=settings)
        )
        table = pa.Table.from_pylist(rows, schema=REFERENCE.schema)
        commit = home.table(REFERENCE).write(table, provenance, key=digest(rows))
        facts = {
            "reference": named,
            "contigs": len(rows),
            "letters": sum(each["length"] for each in rows),
            "index_built": built,
        }
        return making.result(REFERENCE, commit, provenance, facts)

    return reference


def read_reference(home: Home, named: str) -> Iterator[Contig]:
    """Yield the contigs of a FASTA file, or a sequence of the corpus.

    Raises
    ------
    UnusableReferenceError, StreamError, MissingTableError
        If it cannot be read.
    """
    if named.startswith(CORPUS):
        yield _of_corpus(home, named.removeprefix(CORPUS))
        return
    path = SAMPLE_FOLDER / "rCRS.fasta" if named == SAMPLE else Path(named).expanduser().absolute()
    with Unit(path.name, (StoredFile(path.name, str(path)),), FASTA) as unit:
        for _, stream in unit:
            text = stream.read()
    if not text.startswith(b">"):
        raise UnusableReferenceError(f"{path}: expected FASTA, which starts with '>', found {text[:20]!r}")
    for record in text[1:].split(b"\n>"):
        header, _, body = record.partition(b"\n")
        name, _, description = header.decode("utf-8", "replace").strip().partition(" ")
        yield Contig(name, description, b"".join(body.split()).upper())


def _of_corpus(home: Home, seq_id: str) -> Contig:
    columns = ["seq_id", "description", "sequence"]
    for rows in home.table(SEQUENCE_SHARDS).row_groups(columns, where=("seq_id", seq_id)):
        found = rows.to_pylist()[0]
        return Contig(seq_id, found["description"] or "", found["sequence"].upper().encode())
    raise UnusableReferenceError(
        f"{CORPUS}{seq_id}: the corpus has no sequence of this name. `opengenome search` finds names; or name a FASTA "
        "file in OPENGENOME_REFERENCE"
    )


def refuse_unusable(contigs: list[Contig], named: str) -> None:
    """Refuse a reference that tools could not use.

    Raises
    ------
    UnusableReferenceError
        The message names the contig.
    """
    seen: set[str] = set()
    for number, contig in enumerate(contigs, 1):
        where = f"{named}: contig {number:,}, {contig.name!r}"
        # The names that SAM allows (SAM specification 1.2.1).
        if not re.fullmatch(r"[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]*", contig.name):
            raise UnusableReferenceError(
                f"{where}: expected a name that SAM allows, without commas, brackets and quotes"
            )
        if contig.name in seen:
            raise UnusableReferenceError(f"{where}: this name is there twice. Rename one of them")
        seen.add(contig.name)
        if not contig.letters:
            raise UnusableReferenceError(f"{where}: expected letters, found none")
        letters = np.frombuffer(contig.letters, np.uint8)
        if len(wrong := np.flatnonzero(~VALID[letters])):
            at = int(wrong[0])
            raise UnusableReferenceError(
                f"{where}: letter {at + 1:,} is {chr(letters[at])!r}. Expected IUPAC letters of DNA"
            )
    need = index.BYTES_PER_LETTER * 2 * sum(len(contig.letters) for contig in contigs)
    have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if need > have:
        raise UnusableReferenceError(
            f"{named}: its index needs about {need / 1e9:,.0f} GB of memory once, and this machine has "
            f"{have / 1e9:,.0f} GB. Build it on a larger machine and copy the folder references/ of the home"
        )


def row(contig: Contig, number: int, folder: str) -> dict[str, Any]:
    """Return the row of a contig."""
    md5 = hashlib.md5(contig.letters, usedforsecurity=False).hexdigest()
    short = contig.name.removeprefix("chr")
    mitochondrial = md5 in MITOCHONDRIA or short in MITOCHONDRIAL
    names = {short, f"chr{short}"} if re.fullmatch(r"(chr)?([0-9]{1,2}|[XYM]|MT)", contig.name) else set()
    if mitochondrial:
        names |= {"M", "MT", "chrM", "chrMT"}
    if accession := MITOCHONDRIA.get(md5):
        # Databases mean the rCRS by MT, so the chrM of hg19 must not have that name.
        names = {accession} if accession == OTHER_THAN_RCRS else {*names, accession}
    male = 1 if mitochondrial or short in ("X", "Y") else 2
    female = 0 if short == "Y" else 1 if mitochondrial else 2
    letters = np.bincount(np.frombuffer(contig.letters, np.uint8), minlength=256)
    return {
        "contig": contig.name,
        "number": number,
        "length": len(contig.letters),
        "md5": md5,
        "aliases": sorted(names - {contig.name}),
        "circular": mitochondrial or "circular" in contig.description.lower(),
        "genetic_code": VERTEBRATE_MITOCHONDRIAL if md5 in MITOCHONDRIA else 1,
        "ploidy_female": female,
        "ploidy_male": male,
        "unknown": len(contig.letters) - int(letters[[*b"ACGT"]].sum()),
        "folder": folder,
    }


def keep(contigs: list[Contig], home: Path) -> tuple[str, bool]:
    """Write the files for tools into a folder named by their content, unless it exists.

    Return the folder, below the home, and whether it was built.
    """
    content = hashlib.sha256(index.VERSION.encode())
    for contig in contigs:
        content.update(b">" + contig.name.encode() + b"\n" + contig.letters)
    path = f"references/{content.hexdigest()}"
    folder = home / path
    if (folder / sums.NAME).exists():
        return path, False
    shutil.rmtree(folder, ignore_errors=True)  # it has no sums: tools cannot rely on it
    aside = folder.parent / f"{folder.name[:16]}.{uuid.uuid4().hex[:8]}.new"
    aside.mkdir(parents=True)
    try:
        offset, lines = 0, []
        with (aside / index.NAME).open("wb") as file:
            for contig in contigs:
                offset += file.write(b">" + contig.name.encode() + b"\n")
                lines.append(f"{contig.name}\t{len(contig.letters)}\t{offset}\t{LINE}\t{LINE + 1}\n")
                for first in range(0, len(contig.letters), LINE):
                    offset += file.write(contig.letters[first : first + LINE] + b"\n")
        (aside / f"{index.NAME}.fai").write_text("".join(lines))
        index.build([(contig.name, contig.letters) for contig in contigs], aside / index.NAME)
        sums.write_sums(aside, [path.name for path in aside.iterdir()])
        aside.rename(folder)
    except OSError:
        if not (folder / sums.NAME).exists():  # another run may have been faster
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return path, True


@rule(REFERENCE, "The FASTA for tools, read by pysam, has the contigs with their lengths and MD5")
def files_hold_the_contigs(home: Home) -> Iterator[str]:
    """Compare the table with the FASTA file."""
    import pysam

    rows = home.table(REFERENCE).read().to_pylist()
    try:
        path = whole_fasta_of(home)
    except DamagedError as error:
        yield str(error)
        return
    with pysam.FastaFile(path) as fasta:
        if list(fasta.references) != [each["contig"] for each in rows]:
            yield f"contigs of the file: {', '.join(fasta.references[:5])}"
            return
        for each in rows:
            letters = fasta.fetch(each["contig"]).encode()
            if hashlib.md5(letters, usedforsecurity=False).hexdigest() != each["md5"]:
                yield f"{each['contig']}: other letters than those of MD5 {each['md5']}"
