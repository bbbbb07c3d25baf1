"""The pass of alignments: a sample's reads, aligned, sorted, with duplicates marked, in one CRAM file.

Belongs here: pairing the reads of both files, the aligner, and reading the result back. Does not belong here: keys and
places of files (``alignments.py``), and the index (``index.py``).

Reads are aligned in batches of ten million letters, each with its own distribution of insert sizes, as bwa mem does
with one thread. So the records do not depend on the machine.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from opengenome_assets.intake.containers import Unit
from opengenome_assets.intake.kinds import FASTQ
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.kernels.fastq import QualityCounter, Reads, read_fastq
from opengenome_assets.storage.parts import PartWriter
from opengenome_assets.variants import tools
from opengenome_assets.variants.passes.quality import written
from opengenome_assets.variants.sums import refuse_changed, write_sums
from opengenome_assets.variants.tables import ALIGNMENTS, REFERENCE
from opengenome_assets.variants.work import UnusableReadsError

BATCH = 10_000_000  # letters
MAX_INSERT = 2_000
ADVICE = "Take both files from their source again, and compare their checksums"

Read = tuple[bytes, bytes, bytes]


@dataclass(frozen=True)
class LaneReads:
    """The two files of a lane."""

    lane: str
    files: tuple[StoredFile, StoredFile]


@dataclass(frozen=True)
class SampleReads:
    """A sample's lanes, and what they are aligned against.

    Attributes
    ----------
    sample, patient, sex
        Who it is.
    lanes
        Its lanes.
    fasta
        The reference's FASTA; the index has the same path.
    contigs
        Name, length and MD5 of each contig.
    home, cram
        The home's folder, and the CRAM file to write below it.
    aligner
        The aligner and its version.
    """

    sample: str
    patient: str
    sex: str
    lanes: tuple[LaneReads, ...]
    fasta: str
    contigs: tuple[tuple[str, int, str], ...]
    home: str
    cram: str
    aligner: str


def align(work: SampleReads, writer: PartWriter) -> dict[str, Any]:
    """Write a sample's CRAM file and its row."""
    refuse_changed(Path(work.fasta).parent, None, REFERENCE.name)
    target = Path(work.home, work.cram)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as folder:
        cram = Path(folder, target.name)
        paired = _write_cram(work, cram)
        if not paired:
            raise UnusableReadsError(f"sample {work.sample}: its files hold no reads. Remove it from the sample sheet")
        tools.run(("samtools", "index", str(cram)))
        facts = summarise(cram, work.fasta, Path(f"{cram}.stats"))
        digest = restored(cram, work.fasta)
        names = [f"{target.name}{ending}" for ending in (".crai", ".stats", "")]
        sums = write_sums(cram.parent, names)
        for name in (sums.name, *names):  # the file itself last: with it the rest is there
            os.replace(cram.parent / name, target.parent / name)
    with target.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    row = {
        "sample": work.sample,
        "patient": work.patient,
        "sex": work.sex,
        "lanes": [lane.lane for lane in work.lanes],
        **facts,
        "digest": digest,
        "path": work.cram,
        "bytes": target.stat().st_size,
        "sha256": sha256,
        "aligner": work.aligner,
    }
    writer.write(pa.Table.from_pylist([row], schema=ALIGNMENTS.schema))
    return {"cram": work.cram, "sums": str(Path(work.cram).with_name(sums.name))}


def _write_cram(work: SampleReads, cram: Path) -> int:
    """Align, sort and mark duplicates. Return the number of pairs."""
    pairs = 0

    def feed(stream: IO[bytes]) -> None:
        nonlocal pairs
        with quiet():
            pairs = _align(work, stream)

    tools.run(
        ("samtools", "fixmate", "--no-PG", "-u", "-m", "-", "-"),
        ("samtools", "sort", "--no-PG", "-u", "-m", "256M", "-T", f"{cram}.sorting", "-"),
        ("samtools", "markdup", "--no-PG", "-u", "-T", f"{cram}.marking", "-", "-"),
        (
            *("samtools", "view", "--no-PG", "-C", "--output-fmt-option", "version=3.1"),
            *("-T", work.fasta, "-o", f"{cram}.whole", "-"),
        ),
        feed=feed,
    )
    # htslib writes the reference's whole path into the header; the bytes must not depend on it.
    text = header(work).replace(b"SO:unsorted\tGO:query", b"SO:coordinate")
    Path(f"{cram}.header").write_bytes(text)
    tools.run(("samtools", "reheader", "-P", f"{cram}.header", f"{cram}.whole"), output=cram)
    return pairs


def header(work: SampleReads) -> bytes:
    """Return the SAM header."""
    name, _, version = work.aligner.partition(" ")
    lines = ["@HD\tVN:1.6\tSO:unsorted\tGO:query"]
    lines += [f"@SQ\tSN:{contig}\tLN:{length}\tM5:{md5}" for contig, length, md5 in work.contigs]
    lines += [
        f"@RG\tID:{group(work, lane)}\tSM:{work.sample}\tLB:{work.sample}\tPU:{lane.lane}\tPL:ILLUMINA"
        for lane in work.lanes
    ]
    lines.append(f"@PG\tID:{name}\tPN:{name}\tVN:{version}")
    return "".join(f"{line}\n" for line in lines).encode()


def group(work: SampleReads, lane: LaneReads) -> str:
    """Return the read group of a lane."""
    return f"{work.sample}.{lane.lane}"


def _align(work: SampleReads, stream: IO[bytes]) -> int:
    """Write the records of all lanes as uncompressed BAM, in the order of the reads."""
    from bwa_mem3 import BwaIndex, MemOpts, ReadPair, align_batch

    text = header(work)
    stream.write(b"BAM\1" + struct.pack("<i", len(text)) + text + struct.pack("<i", len(work.contigs)))
    for contig, length, _ in work.contigs:
        name = contig.encode() + b"\0"
        stream.write(struct.pack("<i", len(name)) + name + struct.pack("<i", length))
    index, pairs = BwaIndex(work.fasta), 0
    for lane in work.lanes:
        options = MemOpts()
        options.set_pe(True)
        options.set_read_group_id(group(work, lane))
        for batch in batches(lane):
            records, _ = align_batch(
                index, options, [ReadPair(one[0], one[1], two[0], two[1], one[2], two[2]) for one, two in batch]
            )
            stream.write(b"".join(_framed(record.bytes) for record in records))
            pairs += len(batch)
    return pairs


def _framed(record: bytes) -> bytes:
    """Return a record with its length in front."""
    return record if struct.unpack_from("<i", record)[0] == len(record) - 4 else struct.pack("<i", len(record)) + record


def batches(lane: LaneReads, size: int = BATCH) -> Iterator[list[tuple[Read, Read]]]:
    """Yield the pairs of a lane, about ``size`` letters at a time.

    Raises
    ------
    FastqError, StreamError
        If a file cannot be read.
    UnusableReadsError
        If the files do not hold mates in the same order.
    """
    batch, letters = [], 0
    names = tuple(file.path for file in lane.files)
    for number, (one, two) in enumerate(zip_longest(*map(_reads, lane.files)), 1):
        if one is None or two is None:
            short, long = names if one is None else reversed(names)
            raise UnusableReadsError(
                f"{short} has {number - 1:,} reads, {long} has more. Expected as many in both. {ADVICE}"
            )
        if one[0] != two[0]:
            raise UnusableReadsError(
                f"record {number:,}, line {4 * number - 3:,}: {names[0]} has the read {_shown(one[0])}, {names[1]} has "
                f"{_shown(two[0])}. Expected mates in the same order. {ADVICE}"
            )
        batch.append((one, two))
        letters += len(one[1]) + len(two[1])
        if letters >= size:
            yield batch
            batch, letters = [], 0
    if batch:
        yield batch


def _shown(name: bytes) -> str:
    return repr(name.decode(errors="replace"))


def _reads(file: StoredFile) -> Iterator[Read]:
    with Unit(file.path, (file,), FASTQ) as unit:
        for name, stream in unit:
            for reads in read_fastq(stream.readinto, name):
                yield from pieces(reads)


def pieces(reads: Reads) -> Iterator[Read]:
    """Yield name, letters and qualities of each read."""
    data = reads.data.tobytes()
    for name, name_end, first, end, quality, quality_end in reads.spans.tolist():
        yield data[name:name_end], data[first:end], data[quality:quality_end]


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what the aligner prints about its index."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def summarise(cram: Path, fasta: str, report: Path) -> dict[str, Any]:
    """Return the counts of ``samtools stats``, whose report is kept for MultiQC."""
    tools.run(("samtools", "stats", "--reference", fasta, "-r", fasta, str(cram)), output=report)
    numbers: dict[str, int] = {}
    inserts = np.zeros(MAX_INSERT + 1, np.int64)
    for line in report.read_text().splitlines():
        kind, *cells = line.split("\t")
        if kind == "SN" and cells[1].strip().isdigit():
            numbers[cells[0].rstrip(":")] = int(cells[1])
        elif kind == "IS":
            inserts[min(int(cells[0]), MAX_INSERT)] += int(cells[1])
    return {
        "reads": numbers["raw total sequences"],
        "mapped": numbers["reads mapped"],
        "properly_paired": numbers["reads properly paired"],
        "duplicates": numbers["reads duplicated"],
        "secondary": numbers["non-primary alignments"] + numbers["supplementary alignments"],
        "mismatches": numbers["mismatches"],
        "mapped_letters": numbers["bases mapped (cigar)"],
        "insert_sizes": np.trim_zeros(inserts, "b").tolist(),
    }


def restored(cram: Path, fasta: str) -> str:
    """Return the digest of the reads in a CRAM file, written as FASTQ again by samtools."""
    counter = QualityCounter()
    with tools.reading(
        ("samtools", "fastq", "-n", "-F", "0x900", "--reference", fasta, str(cram)),
    ) as stream:
        for reads in read_fastq(stream.readinto, str(cram)):  # type: ignore[attr-defined]
            counter.add(reads)
    return written(counter.digest)
