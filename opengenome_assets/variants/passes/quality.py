"""The pass of read_quality and read_files: one read file, counted; of BAM and CRAM both mates.

Belongs here: shares and means of the kernel's counts. Does not belong here: the counts (``kernels/fastq.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from opengenome_assets.intake.containers import Unit
from opengenome_assets.intake.kinds import FASTQ
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.kernels.fastq import ADAPTERS, QUALITIES, FastqError, QualityCounter, Reads, read_fastq
from opengenome_assets.storage.parts import PartWriter
from opengenome_assets.variants.passes.extraction import Extraction, Target
from opengenome_assets.variants.tables import READ_FILES, READ_QUALITY

# Phred scores with offset 64 read with offset 33: none below 26 (Solexa's -5), and some above 47.
OLD_LOWEST, OLD_HIGHEST = 26, 47


@dataclass(frozen=True)
class ReadFile:
    """A read file, and the sample, lane and mate that it is of.

    Attributes
    ----------
    sample, lane, mate
        As the catalogue has them; the mate is 0 for BAM and CRAM.
    file
        The file.
    target
        The reference that a BAM or CRAM file must be aligned to; None for FASTQ.
    """

    sample: str
    lane: str
    mate: int
    file: StoredFile
    target: Target | None = None


def count(file: StoredFile) -> QualityCounter:
    """Count the reads of a file.

    Raises
    ------
    FastqError, StreamError
        If it is no FASTQ, cannot be read, or has qualities of offset 64.
    """
    counter = QualityCounter()
    with Unit(file.path, (file,), FASTQ) as unit:
        for name, stream in unit:
            for reads in read_fastq(stream.readinto, name):
                counter.add(reads)
    refuse_old_qualities(counter, file.path)
    return counter


def count_both(file: StoredFile, target: Target) -> tuple[QualityCounter, QualityCounter]:
    """Count the reads of a BAM or CRAM file, by mate.

    Raises
    ------
    FastqError, StreamError, ToolError, UnusableReadsError
        If it cannot be read, is not of this reference, or has qualities of offset 64.
    """
    counters = QualityCounter(), QualityCounter()
    place = 0
    for reads in Extraction(file, target):
        for mate, counter in enumerate(counters):
            counter.add(Reads(reads.data, np.ascontiguousarray(reads.spans[(mate - place) % 2 :: 2])))
        place += len(reads)
    for counter in counters:
        refuse_old_qualities(counter, file.path)
    return counters


def refuse_old_qualities(counter: QualityCounter, name: str) -> None:
    """Refuse qualities with offset 64, of Illumina 1.3 to 1.7.

    Raises
    ------
    FastqError
        If no quality is low and some are impossibly high.
    """
    scores = np.flatnonzero(counter.qualities.sum(0))
    if len(scores) and scores[0] >= OLD_LOWEST and scores[-1] > OLD_HIGHEST:
        raise FastqError(
            f"{name}: qualities are from {chr(33 + scores[0])!r} to {chr(33 + scores[-1])!r}. Expected Phred scores "
            "with offset 33; these have offset 64, of Illumina 1.3 to 1.7. Write them again with: seqtk seq -VQ64 "
            f"{name}"
        )


def measure(read_file: ReadFile, quality: PartWriter, files: PartWriter) -> None:
    """Write the rows of a file: one per cycle, and one of the whole; of BAM and CRAM for each mate."""
    if read_file.target:
        for mate, counter in enumerate(count_both(read_file.file, read_file.target), 1):
            _write(replace(read_file, mate=mate), counter, quality, files)
    else:
        _write(read_file, count(read_file.file), quality, files)


def _write(read_file: ReadFile, counter: QualityCounter, quality: PartWriter, files: PartWriter) -> None:
    who = {"sample": read_file.sample, "lane": read_file.lane, "mate": read_file.mate}
    bases, qualities = counter.bases, counter.qualities
    reads = bases.sum(1)
    scores = np.arange(QUALITIES)
    adapters = counter.adapters.sum(0)
    rows = [
        {
            **who,
            "cycle": cycle + 1,
            "reads": int(reads[cycle]),
            **dict(zip("acgtn", bases[cycle].tolist(), strict=True)),
            "qualities": qualities[cycle].tolist(),
            "mean_quality": float(qualities[cycle] @ scores / reads[cycle]),
            "adapters": int(adapters[cycle]),
        }
        for cycle in range(len(bases))
    ]
    quality.write(pa.Table.from_pylist(rows, schema=READ_QUALITY.schema))
    letters, total = bases.sum(0), max(counter.letters, 1)
    by_score = qualities.sum(0)
    lengths = np.flatnonzero(counter.lengths)
    row = {
        **who,
        "reads": counter.reads,
        "letters": counter.letters,
        "shortest": int(lengths[0]) if len(lengths) else 0,
        "longest": int(lengths[-1]) if len(lengths) else 0,
        "q20": float(by_score[20:].sum() / total),
        "q30": float(by_score[30:].sum() / total),
        "mean_quality": float(by_score @ scores / total),
        "gc": float(letters[1:3].sum() / max(letters[:4].sum(), 1)),
        "n": float(letters[4] / total),
        "gc_histogram": counter.gc.tolist(),
        "duplication": counter.duplication(),
        "adapters": list(zip(ADAPTERS, counter.adapters.sum(1).tolist(), strict=True)),
        "overrepresented": counter.overrepresented(),
        "digest": written(counter.digest),
    }
    files.write(pa.Table.from_pylist([row], schema=READ_FILES.schema))


def written(digest: tuple[int, int]) -> str:
    """Return a digest as 32 hexadecimal digits."""
    return f"{digest[0]:016x}{digest[1]:016x}"


def added(digests: list[str]) -> str:
    """Return the digest of the reads of several files together."""
    halves = [(int(digest[:16], 16), int(digest[16:], 16)) for digest in digests]
    return written((sum(first for first, _ in halves) % 2**64, sum(second for _, second in halves) % 2**64))
