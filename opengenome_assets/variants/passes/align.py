"""The pass of alignments: a sample's reads, aligned, sorted, with duplicates marked, in one CRAM file.

Belongs here: the aligner, and reading the result back. Does not belong here: the pairs (``pairs.py``), removing
adapters (``trimming.py``), keys and places of files (``alignments.py``), and the index (``index.py``).

Reads are aligned in batches of ten million letters, each with its own distribution of insert sizes, as bwa mem does
with one thread. So the records do not depend on the machine.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from opengenome_assets.kernels.fastq import QualityCounter, read_fastq
from opengenome_assets.storage.parts import PartWriter
from opengenome_assets.variants import tools
from opengenome_assets.variants.passes import trimming
from opengenome_assets.variants.passes.extraction import Target
from opengenome_assets.variants.passes.pairs import LanePairs, LaneReads, Pair, batches
from opengenome_assets.variants.passes.quality import written
from opengenome_assets.variants.sums import refuse_changed, write_sums
from opengenome_assets.variants.tables import ALIGNMENTS, REFERENCE
from opengenome_assets.variants.work import UnusableReadsError

MAX_INSERT = 2_000


@dataclass(frozen=True)
class SampleReads:
    """A sample's lanes, and what they are aligned against.

    Attributes
    ----------
    sample, patient, sex
        Who it is.
    lanes
        Its lanes.
    target
        The reference; the aligner's index has the path of its FASTA.
    home, cram
        The home's folder, and the CRAM file to write below it.
    aligner
        The aligner and its version.
    trimming
        Options of cutadapt; empty if adapters stay.
    """

    sample: str
    patient: str
    sex: str
    lanes: tuple[LaneReads, ...]
    target: Target
    home: str
    cram: str
    aligner: str
    trimming: tuple[str, ...] = ()


@dataclass(frozen=True)
class Taken:
    """What became of a sample's reads before the aligner.

    Attributes
    ----------
    pairs
        Pairs that were aligned.
    unpaired
        Reads left out since their mate is not in the BAM or CRAM file.
    short
        Reads left out since they or their mates got too short.
    letters
        Letters that trimming removed, those of short reads included.
    """

    pairs: int = 0
    unpaired: int = 0
    short: int = 0
    letters: int = 0


def align(work: SampleReads, writer: PartWriter) -> dict[str, Any]:
    """Write a sample's CRAM file and its row."""
    refuse_changed(Path(work.target.fasta).parent, None, REFERENCE.name)
    target = Path(work.home, work.cram)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as folder:
        cram = Path(folder, target.name)
        taken = _write_cram(work, cram)
        if not taken.pairs:
            raise UnusableReadsError(_empty(work, taken))
        tools.run(("samtools", "index", str(cram)))
        facts = summarise(cram, work.target.fasta, Path(f"{cram}.stats"))
        digest = restored(cram, work.target.fasta)
        reports = [_report(lane) for lane in work.lanes] if work.trimming else []
        names = [f"{target.name}{ending}" for ending in (*reports, ".crai", ".stats", "")]
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
        "trimming": " ".join(("cutadapt", *work.trimming)) if work.trimming else "none",
        "trimmed_letters": taken.letters,
        "short_reads": taken.short,
        "unpaired_reads": taken.unpaired,
        "digest": digest,
        "path": work.cram,
        "bytes": target.stat().st_size,
        "sha256": sha256,
        "aligner": work.aligner,
    }
    writer.write(pa.Table.from_pylist([row], schema=ALIGNMENTS.schema))
    return {"cram": work.cram, "sums": str(Path(work.cram).with_name(sums.name))}


def _empty(work: SampleReads, taken: Taken) -> str:
    if taken.unpaired or taken.short:
        return (
            f"sample {work.sample}: expected pairs of reads, found none: {taken.unpaired:,} reads are without a mate, "
            f"and {taken.short:,} are shorter than {trimming.SHORTEST} letters without adapters"
        )
    return f"sample {work.sample}: its files hold no reads. Remove it from the sample sheet"


def _report(lane: LaneReads) -> str:
    """Return the ending of cutadapt's report on a lane."""
    return f".{lane.lane}.cutadapt.json"


def _write_cram(work: SampleReads, cram: Path) -> Taken:
    """Align, sort and mark duplicates. Return what became of the reads."""
    taken = Taken()

    def feed(stream: IO[bytes]) -> None:
        nonlocal taken
        with quiet():
            taken = _align(work, stream, cram)

    tools.run(
        ("samtools", "fixmate", "--no-PG", "-u", "-m", "-", "-"),
        ("samtools", "sort", "--no-PG", "-u", "-m", "256M", "-T", f"{cram}.sorting", "-"),
        ("samtools", "markdup", "--no-PG", "-u", "-T", f"{cram}.marking", "-", "-"),
        (
            *("samtools", "view", "--no-PG", "-C", "--output-fmt-option", "version=3.1"),
            *("-T", work.target.fasta, "-o", f"{cram}.whole", "-"),
        ),
        feed=feed,
    )
    # htslib writes the reference's whole path into the header; the bytes must not depend on it.
    text = header(work).replace(b"SO:unsorted\tGO:query", b"SO:coordinate")
    Path(f"{cram}.header").write_bytes(text)
    tools.run(("samtools", "reheader", "-P", f"{cram}.header", f"{cram}.whole"), output=cram)
    return taken


def header(work: SampleReads) -> bytes:
    """Return the SAM header."""
    name, _, version = work.aligner.partition(" ")
    lines = ["@HD\tVN:1.6\tSO:unsorted\tGO:query"]
    lines += [f"@SQ\tSN:{contig}\tLN:{length}\tM5:{md5}" for contig, length, md5, _ in work.target.contigs]
    lines += [
        f"@RG\tID:{group(work, lane)}\tSM:{work.sample}\tLB:{work.sample}\tPU:{lane.lane}\tPL:ILLUMINA"
        for lane in work.lanes
    ]
    lines.append(f"@PG\tID:{name}\tPN:{name}\tVN:{version}")
    return "".join(f"{line}\n" for line in lines).encode()


def group(work: SampleReads, lane: LaneReads) -> str:
    """Return the read group of a lane."""
    return f"{work.sample}.{lane.lane}"


def _align(work: SampleReads, stream: IO[bytes], cram: Path) -> Taken:
    """Write the records of all lanes as uncompressed BAM, in the order of the reads."""
    from bwa_mem3 import BwaIndex, MemOpts, ReadPair, align_batch

    text = header(work)
    contigs = work.target.contigs
    stream.write(b"BAM\1" + struct.pack("<i", len(text)) + text + struct.pack("<i", len(contigs)))
    for contig, length, *_ in contigs:
        name = contig.encode() + b"\0"
        stream.write(struct.pack("<i", len(name)) + name + struct.pack("<i", length))
    index, taken = BwaIndex(work.target.fasta), Taken()
    for lane in work.lanes:
        options = MemOpts()
        options.set_pe(True)
        options.set_read_group_id(group(work, lane))
        given = LanePairs(lane, work.target)
        report = Path(f"{cram}{_report(lane)}")
        used: Iterable[Pair] = trimming.trimmed(given, work.trimming, report) if work.trimming else given
        pairs = 0
        for batch in batches(used):
            records, _ = align_batch(
                index, options, [ReadPair(one[0], one[1], two[0], two[1], one[2], two[2]) for one, two in batch]
            )
            stream.write(b"".join(_framed(record.bytes) for record in records))
            pairs += len(batch)
        lost = trimming.removed(report) if work.trimming else trimming.Removed(0, 0)
        taken = Taken(
            taken.pairs + pairs,
            taken.unpaired + given.unpaired,
            taken.short + 2 * lost.pairs,
            taken.letters + lost.letters,
        )
    return taken


def _framed(record: bytes) -> bytes:
    """Return a record with its length in front."""
    return record if struct.unpack_from("<i", record)[0] == len(record) - 4 else struct.pack("<i", len(record)) + record


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
        "letters": numbers["total length"],
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
