"""Pairs: the reads of a lane in pairs, from two FASTQ files or from one BAM or CRAM file.

Belongs here: mates side by side, refusing those that do not fit, and batches. Does not belong here: taking reads out of
BAM and CRAM (``extraction.py``), and removing adapters (``trimming.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from zlib import crc32

from opengenome_assets.intake.containers import Unit
from opengenome_assets.intake.kinds import FASTQ
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.kernels.fastq import QualityCounter, Reads, read_fastq
from opengenome_assets.variants.passes.extraction import Extraction, Target
from opengenome_assets.variants.passes.quality import refuse_old_qualities
from opengenome_assets.variants.work import UnusableReadsError

BATCH = 10_000_000  # letters
MOST_NAMES = 1 << 19
ADVICE = "Take both files from their source again, and compare their checksums"

Read = tuple[bytes, bytes, bytes]  # name, letters, qualities
Pair = tuple[Read, Read]


@dataclass(frozen=True)
class LaneReads:
    """A lane, and its files: FASTQ of mates 1 and 2, or one BAM or CRAM file."""

    lane: str
    files: tuple[StoredFile, ...]


class LanePairs:
    """The pairs of a lane, to be iterated once.

    Parameters
    ----------
    lane
        The lane.
    target
        The reference that a BAM or CRAM file must be aligned to.

    Attributes
    ----------
    unpaired : int
        Reads of a BAM or CRAM file that are left out since their mate is not in it; known after the last pair.

    Raises
    ------
    FastqError, StreamError, ToolError
        From the iteration, if a file cannot be read.
    UnusableReadsError
        From the iteration, if there are no mates in the same order, or a file is aligned to another reference.
    """

    def __init__(self, lane: LaneReads, target: Target) -> None:
        self._lane, self._target = lane, target
        self.unpaired = 0

    def __iter__(self) -> Iterator[Pair]:
        if len(self._lane.files) == 2:
            yield from paired(self._lane)
            return
        extraction = Extraction(self._lane.files[0], self._target)
        reads = _checked(extraction, self._lane.files[0])
        yield from zip(reads, reads, strict=True)
        self.unpaired = extraction.unpaired


def paired(lane: LaneReads) -> Iterator[Pair]:
    """Yield the pairs of two FASTQ files.

    Raises
    ------
    FastqError, StreamError
        If a file cannot be read.
    UnusableReadsError
        If the files do not hold mates in the same order.
    """
    names = tuple(file.path for file in lane.files)
    seen = SeenNames()
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
        if seen.again(one[0]):
            raise UnusableReadsError(
                f"{names[0]}: record {number:,}, line {4 * number - 3:,}: the read name {_shown(one[0])} is there "
                "twice. Expected each once, since mates are told by it. Look whether files were joined twice"
            )
        yield one, two


class SeenNames:
    """The names of reads so far, to find one that is there twice.

    It is exact up to half a million names. Of more, it keeps every second, fourth, ... by their checksum. So a file
    that was joined to itself is still found, in bounded memory.
    """

    def __init__(self, most: int = MOST_NAMES) -> None:
        self._most, self._mask = most, 0
        self._hashes: set[int] = set()

    def again(self, name: bytes) -> bool:
        """Whether a name was there before; remember it."""
        check = crc32(name)  # it is the same in every run, and so is what is kept
        if check & self._mask:
            return False
        value = hash(name) >> 32 << 32 | check
        if value in self._hashes:
            return True
        self._hashes.add(value)
        if len(self._hashes) > self._most:
            self._mask = self._mask << 1 | 1
            self._hashes = {each for each in self._hashes if not each & self._mask}
        return False


def batches(pairs: Iterable[Pair], size: int = BATCH) -> Iterator[list[Pair]]:
    """Yield pairs, about ``size`` letters at a time."""
    batch, letters = [], 0
    for one, two in pairs:
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
            yield from _checked(read_fastq(stream.readinto, name), file)


def _checked(blocks: Iterable[Reads], file: StoredFile) -> Iterator[Read]:
    """Yield the reads of some blocks. The first shows if qualities have offset 64."""
    for number, reads in enumerate(blocks):
        if number == 0:
            counter = QualityCounter()
            counter.add(reads)
            refuse_old_qualities(counter, file.path)
        yield from pieces(reads)


def pieces(reads: Reads) -> Iterator[Read]:
    """Yield name, letters and qualities of each read."""
    data = reads.data.tobytes()
    for name, name_end, first, end, quality, quality_end in reads.spans.tolist():
        yield data[name:name_end], data[first:end], data[quality:quality_end]
