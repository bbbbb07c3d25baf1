"""Extraction: the reads of a BAM or CRAM file in pairs, as the sequencer gave them.

Belongs here: what such a file must be, and its reads. Does not belong here: what is done with them.

samtools brings mates together (collate) and writes them as FASTQ in turn. Alignments are thrown away; reads that were
aligned to the reverse strand get their letters back. Secondary and supplementary records are copies, and left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from opengenome_assets.intake.streams import StoredFile, StoredFiles
from opengenome_assets.kernels.fastq import Reads, read_fastq
from opengenome_assets.variants import tools
from opengenome_assets.variants.work import UnusableReadsError

BLOCK = 1 << 20
COPIES = "0x900"  # secondary and supplementary
SHOWN = 5


@dataclass(frozen=True)
class Target:
    """The reference that reads are to be aligned to.

    Attributes
    ----------
    fasta
        Its FASTA file.
    contigs
        Name, length, MD5 and other names of each contig.
    """

    fasta: str
    contigs: tuple[tuple[str, int, str, tuple[str, ...]], ...]


class Extraction:
    """The reads of a file, both mates in turn, to be iterated once.

    Parameters
    ----------
    file
        A BAM or CRAM file on this machine. Its bytes are compared with the catalogued checksum.
    target
        The reference. The contigs of the file must be its own.

    Attributes
    ----------
    unpaired : int
        Reads left out since their mate is not in the file; known at the end.

    Raises
    ------
    UnusableReadsError
        From the iteration, if the file is truncated, is no BAM or CRAM, is aligned to another reference, or has the
        same read twice.
    StreamError, ToolError
        From the iteration, if the file cannot be read.
    """

    def __init__(self, file: StoredFile, target: Target) -> None:
        self._file, self._target = file, target
        self.unpaired = 0

    def __iter__(self) -> Iterator[Reads]:
        path = self._file.uri
        refuse_truncated(self._file)
        refuse_other_reference(self._file, self._target)
        reference = ("--reference", self._target.fasta)
        taken = 0
        with tempfile.TemporaryDirectory() as folder:
            alone = [Path(folder, name) for name in ("single", "other")]
            with tools.reading(
                ("samtools", "collate", "--no-PG", *reference, "-u", "-O", "-", f"{folder}/collating"),
                ("samtools", "fastq", "-n", "-F", COPIES, "-s", str(alone[0]), "-0", str(alone[1]), "-"),
                feed=self._copy,
            ) as stream:
                for reads in read_fastq(stream.readinto, self._file.path):  # type: ignore[attr-defined]
                    taken += len(reads)
                    yield reads
            self.unpaired = sum(count(each) for each in alone if each.exists())
        with tools.reading(("samtools", "view", "-c", "-F", COPIES, *reference, path)) as stream:
            primary = int(stream.read())
        if primary != taken + self.unpaired:
            raise UnusableReadsError(
                f"{self._file.path}: {primary:,} primary reads, of which {primary - taken - self.unpaired:,} have the "
                "name and mate of another one. Expected each once. Give each read a name of its own, or remove the copy"
            )

    def _copy(self, stream: IO[bytes]) -> None:
        stored, buffer = StoredFiles((self._file,)), bytearray(BLOCK)
        try:
            while got := stored.readinto(buffer):
                stream.write(memoryview(buffer)[:got])
        finally:
            stored.close()


def count(path: Path) -> int:
    """Return the number of reads of a FASTQ file."""
    with path.open("rb") as file:
        return sum(len(reads) for reads in read_fastq(file.readinto, str(path)))


def refuse_truncated(file: StoredFile) -> None:
    """Refuse a file that does not end as its format ends.

    Raises
    ------
    UnusableReadsError
        The message has the words of ``samtools quickcheck``.
    """
    try:
        tools.run(("samtools", "quickcheck", file.uri))
    except tools.ToolError as error:
        raise UnusableReadsError(
            f"{file.path}: expected a whole BAM or CRAM file, found one that is truncated or of another format "
            f"({error}). Take it from its source again, and compare its checksum"
        ) from error


def refuse_other_reference(file: StoredFile, target: Target) -> None:
    """Refuse a file whose contigs have other lengths or letters than those of the reference.

    A contig that the reference does not have is no contradiction, as long as others are there.

    Raises
    ------
    UnusableReadsError
        The message names the contig, and says how to go on.
    """
    with tools.reading(("samtools", "head", file.uri)) as stream:
        header = stream.read().decode("utf-8", "replace")
    known = {
        name: (contig, length, md5) for contig, length, md5, aliases in target.contigs for name in (*aliases, contig)
    }
    advice = (
        "Name the reference that it was aligned to in OPENGENOME_REFERENCE, or give its reads as FASTQ: samtools "
        f"collate -Ou {file.path} | samtools fastq -1 1.fq.gz -2 2.fq.gz -0 /dev/null -s /dev/null"
    )
    contigs = list(_contigs(header))
    for fields in contigs:
        if fields.get("SN") not in known:
            continue
        name, length, md5 = known[fields["SN"]]
        for what, expected, found in (
            ("length", str(length), fields.get("LN")),
            ("MD5", md5, fields.get("M5", md5).lower()),
        ):
            if found != expected:
                raise UnusableReadsError(
                    f"{file.path}: it was aligned to another reference: contig {fields['SN']} has {what} {found}, "
                    f"expected {expected} as {name} of the reference. {advice}"
                )
    if contigs and not any(fields.get("SN") in known for fields in contigs):
        theirs, ours = _some(fields["SN"] for fields in contigs), _some(name for name, *_ in target.contigs)
        raise UnusableReadsError(
            f"{file.path}: it was aligned to another reference: its contigs are {theirs}, those of the reference are "
            f"{ours}. {advice}"
        )


def _contigs(header: str) -> Iterator[Mapping[str, str]]:
    """Yield the fields of each contig of a SAM header."""
    for line in header.splitlines():
        if line.startswith("@SQ\t"):
            yield {key: value for key, _, value in (each.partition(":") for each in line.split("\t")[1:])}


def _some(names: Iterator[str]) -> str:
    listed: Sequence[str] = list(names)
    return ", ".join(listed[:SHOWN]) + (" …" if len(listed) > SHOWN else "")
