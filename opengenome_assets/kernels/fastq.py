"""FASTQ: the records of four lines each, and the counts of their letters and qualities for quality control.

Belongs here: finding records in a stream of bytes, refusing broken ones, and counts over reads. Does not belong here:
decompression (``intake/streams.py``), and which shares of reads are good (the assets that read the counts).

Qualities are Phred scores written with offset 33 (Cock et al. 2010, doi:10.1093/nar/gkp1137).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

BLOCK = 4 << 20
MAX_READ = 10_000  # letters: reads of sequencers that this aligner is made for are shorter by far
QUALITIES = 94  # '!' to '~'
BASES = "ACGTN"
START = 32  # letters at a read's start, by which duplicates are recognised: two bits each fill a word
ADAPTERS = {
    # The first 12 letters of each, as FastQC 0.12 lists them.
    "Illumina universal": "AGATCGGAAGAG",
    "Illumina small RNA 3'": "TGGAATTCTCGG",
    "Illumina small RNA 5'": "GATCGTCGGACT",
    "Nextera transposase": "CTGTCTCTTATA",
    "poly-G": "GGGGGGGGGGGG",
    "poly-A": "AAAAAAAAAAAA",
}
_LENGTH = 12
_SLOTS = 64
_KEPT = 1 << 18  # read starts that the estimate of duplication keeps

_CODES = np.full(256, 255, np.uint8)  # 0 to 3 for A, C, G, T; 4 for other IUPAC letters, which aligners write as N
_CODES[[*b"RYSWKMBDHVNryswkmbdhvn."]] = 4
_CODES[[*b"ACGT"]] = _CODES[[*b"acgt"]] = range(4)

_EXPECTED = (
    "",
    "a line that starts with '@' and a name",
    "a line that starts with '+'",
    "as many qualities as letters",
    "IUPAC letters of DNA",
    "qualities from '!' to '~' (Phred, offset 33)",
    "a whole record of four lines; the file is truncated",
    f"1 to {MAX_READ:,} letters",
)
_LINE = (0, 0, 2, 3, 1, 3, 0, 1)  # within the record


class FastqError(ValueError):
    """A record is no FASTQ. The message names file, record and line, and says what was expected and found."""


@dataclass(frozen=True)
class Reads:
    """Some reads of a file.

    Attributes
    ----------
    data : uint8 array
        Their bytes.
    spans : int64 array of shape (reads, 6)
        Beginning and end in ``data`` of each read's name, letters and qualities. The name ends before a space or tab,
        and before ``/1`` or ``/2``.
    """

    data: npt.NDArray[np.uint8]
    spans: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.spans)


def read_fastq(readinto: Callable[[memoryview], int], name: str, block: int = BLOCK) -> Iterator[Reads]:
    """Yield the reads of a FASTQ file, some at a time, in order.

    Parameters
    ----------
    readinto
        Fills a buffer with the next bytes and returns their number; 0 at the end.
    name
        The file, for messages.
    block
        Bytes read at a time.

    Raises
    ------
    FastqError
        At the first record that is broken.
    """
    buffer, filled, before = np.empty(2 * block, np.uint8), 0, 0
    while True:
        got = readinto(memoryview(buffer.data)[filled : filled + block])
        filled += got
        spans = np.empty((filled // 8 + 1, 6), np.int64)  # no record is shorter than "@a\nA\n+\nI"
        count, consumed, problem = _find(buffer, filled, got == 0, spans)
        if problem:
            raise FastqError(_describe(buffer[consumed:filled].tobytes(), name, before + count, problem))
        if count:
            yield Reads(buffer[:consumed].copy(), spans[:count])
        before += count
        if got == 0:
            return
        filled -= consumed
        rest = buffer[consumed : consumed + filled].copy()
        if filled + block > len(buffer):
            buffer = np.empty(filled + 2 * block, np.uint8)
        buffer[:filled] = rest


def _describe(text: bytes, name: str, record: int, problem: int) -> str:
    lines = [line.rstrip(b"\r") for line in text.split(b"\n")[:4]]
    line = _LINE[problem]
    shown = lines[line][:60] if line < len(lines) else b""
    found = repr(shown.decode("ascii", "backslashreplace"))
    if problem == 3 and len(lines) > 3:
        found = f"{len(lines[1]):,} letters and {len(lines[3]):,} qualities"
    if problem == 7 and len(lines) > 1:
        found = f"{len(lines[1]):,} letters"
    return (
        f"{name}: record {record + 1:,}, line {4 * record + line + 1:,}: expected {_EXPECTED[problem]}, found {found}. "
        "Take the file from its source again, and compare its checksum"
    )


@njit(cache=True, nogil=True)
def _find(data: Any, end: int, final: bool, spans: Any) -> Any:
    """Fill in the spans of whole records. Return their number, the bytes they take, and the code of a problem."""
    at = count = 0
    while at < end:
        if data[at] == 10 or data[at] == 13:  # empty lines at the end
            rest = at
            while rest < end and (data[rest] == 10 or data[rest] == 13):
                rest += 1
            if rest == end:
                return count, end if final else at, 0
            return count, at, 1
        if data[at] != 64:
            return count, at, 1
        begin = at + 1
        for line in range(4):
            stop = begin
            while stop < end and data[stop] != 10:
                stop += 1
            if stop == end and (not final or line < 3):
                return count, at, 6 if final else 0
            last = stop - 1 if stop > begin and data[stop - 1] == 13 else stop
            if line == 0:
                name = begin
                while name < last and data[name] != 32 and data[name] != 9:
                    name += 1
                if name - begin > 2 and data[name - 2] == 47 and (data[name - 1] == 49 or data[name - 1] == 50):
                    name -= 2
                if name == begin:
                    return count, at, 1
                spans[count, 0], spans[count, 1] = begin, name
            elif line == 1:
                spans[count, 2], spans[count, 3] = begin, last
                if last == begin or last - begin > MAX_READ:
                    return count, at, 7
            elif line == 2:
                if last == begin or data[begin] != 43:
                    return count, at, 2
            else:
                spans[count, 4], spans[count, 5] = begin, last
                if last - begin != spans[count, 3] - spans[count, 2]:
                    return count, at, 3
            begin = stop + 1
        odd = np.uint8(0)
        for letter in data[spans[count, 2] : spans[count, 3]]:
            odd |= _CODES[letter]
        if odd & 128:
            return count, at, 4
        wide = np.uint8(0)
        for score in data[spans[count, 4] : spans[count, 5]]:
            wide |= np.uint8(score - np.uint8(33) > 93)
        if wide:
            return count, at, 5
        count += 1
        at = min(begin, end)
    return count, at, 0


class QualityCounter:
    """Counts over reads, for quality control.

    Attributes
    ----------
    reads, letters : int
        Reads, and letters in them.
    joint : int64 array of shape (cycles, 5, 128)
        Reads by letter (A, C, G, T, N) and quality at each cycle, the place in a read. Other IUPAC letters count as N.
    lengths : int64 array of shape (cycles + 1,)
        Reads by length.
    gc : int64 array of shape (101,)
        Reads by the percentage of G and C among A, C, G and T, rounded down.
    adapters : int64 array of shape (6, cycles)
        Reads by the cycle where the first 12 letters of an adapter begin, for the first one in a read; in the order of
        ``ADAPTERS``.
    digest : tuple of int
        Two sums, modulo 2**64, of hashes of name, letters and qualities of every read. They do not depend on the order
        of reads.
    """

    def __init__(self) -> None:
        self.reads = self.letters = 0
        self.joint = np.zeros((0, 5, 128), np.int64)
        self.lengths = np.zeros(1, np.int64)
        self.gc = np.zeros(101, np.int64)
        self.adapters = np.zeros((len(ADAPTERS), 0), np.int64)
        self._sums = np.zeros(2, np.uint64)
        self._starts: list[npt.NDArray[np.uint64]] = []
        self._sampled, self._started, self._mask = 0, 0, np.uint64(0)

    @property
    def bases(self) -> npt.NDArray[np.int64]:
        """Letters A, C, G, T and N of each cycle, of shape (cycles, 5)."""
        bases: npt.NDArray[np.int64] = self.joint.sum(2)
        return bases

    @property
    def qualities(self) -> npt.NDArray[np.int64]:
        """Reads by their quality at each cycle, of shape (cycles, 94)."""
        qualities: npt.NDArray[np.int64] = self.joint[:, :, :QUALITIES].sum(1)
        return qualities

    @property
    def digest(self) -> tuple[int, int]:
        """The order-free sums of hashes."""
        return int(self._sums[0]), int(self._sums[1])

    def add(self, reads: Reads) -> None:
        """Count some reads."""
        if not len(reads):
            return
        longest = int((reads.spans[:, 3] - reads.spans[:, 2]).max())
        if longest > len(self.joint):
            more = longest - len(self.joint)
            self.joint = np.pad(self.joint, ((0, more), (0, 0), (0, 0)))
            self.lengths = np.pad(self.lengths, (0, more))
            self.adapters = np.pad(self.adapters, ((0, 0), (0, more)))
        starts = np.empty(len(reads), np.uint64)
        letters, started = _count(
            reads.data,
            reads.spans,
            self.joint.reshape(-1),
            self.lengths,
            self.gc,
            self.adapters,
            self._sums,
            starts,
        )
        self.reads += len(reads)
        self.letters += int(letters)
        self._started += int(started)
        self._keep(starts[:started])

    def _keep(self, starts: npt.NDArray[np.uint64]) -> None:
        """Keep starts whose hash ends in enough zeros: all copies of a start, or none."""
        kept = starts[(_mixed(starts) & self._mask) == 0]
        self._starts.append(kept)
        self._sampled += len(kept)
        while self._sampled > _KEPT:
            self._mask = self._mask << np.uint64(1) | np.uint64(1)
            every = np.concatenate(self._starts)
            self._starts = [every[(_mixed(every) & self._mask) == 0]]
            self._sampled = len(self._starts[0])

    def duplication(self) -> float:
        """Return an estimate of the share of reads that repeat the first 32 letters of an earlier read, in [0, 1].

        Shorter reads are left out. The estimate is exact up to about 260,000 reads.
        """
        starts = np.concatenate([*self._starts, np.empty(0, np.uint64)])
        return 1 - len(np.unique(starts)) / len(starts) if len(starts) else 0.0

    def overrepresented(self, share: float = 0.001) -> list[tuple[str, float]]:
        """Return the first 32 letters shared by at least ``share`` of the reads, with their share, most frequent first.

        N is read as A.
        """
        if not self._started:
            return []
        values, counts = np.unique(np.concatenate(self._starts), return_counts=True)
        # A start is kept with all its copies, so counts need no scaling.
        shares = counts / self._started
        frequent = sorted(np.flatnonzero((shares >= share) & (counts > 1)), key=lambda at: (-counts[at], values[at]))
        return [(_spell(int(values[at])), float(shares[at])) for at in frequent]


def _spell(start: int) -> str:
    return "".join("ACGT"[start >> 2 * place & 3] for place in reversed(range(START)))


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return a hash of each value (the finaliser of MurmurHash3, by Austin Appleby, in the public domain)."""
    mixed: npt.NDArray[np.uint64] = values ^ (values >> np.uint64(33))
    mixed = mixed * np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    mixed = mixed * np.uint64(0xC4CEB9FE1A85EC53)
    mixed ^= mixed >> np.uint64(33)
    return mixed


def _packed(letters: str) -> int:
    code = 0
    for letter in letters:
        code = code << 2 | "ACGT".index(letter)
    return code


def _adapter_slots() -> tuple[np.uint64, npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return a multiplier that puts every adapter's code into a slot of its own, and the codes and numbers by slot."""
    codes = [_packed(adapter) for adapter in ADAPTERS.values()]
    for multiplier in range(1, 1 << 16, 2):
        slots = [(code * multiplier & 0xFFFFFF) >> 18 for code in codes]
        if len(set(slots)) == len(codes):
            by_slot, numbers = np.full(_SLOTS, 1 << 24, np.uint64), np.zeros(_SLOTS, np.int64)
            by_slot[slots], numbers[slots] = codes, range(len(codes))
            return np.uint64(multiplier), by_slot, numbers
    raise AssertionError("no multiplier separates the adapters")


_MULTIPLIER, _BY_SLOT, _NUMBERS = _adapter_slots()
ROW = 5 * 128  # counts of a cycle
_FNV = np.uint64(0x100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xFF51AFD7ED558CCD)
_M2 = np.uint64(0xC4CEB9FE1A85EC53)
_33 = np.uint64(33)


@njit(cache=True, nogil=True)
def _count(
    data: Any,
    spans: Any,
    joint: Any,
    lengths: Any,
    gc: Any,
    adapters: Any,
    sums: Any,
    starts: Any,
) -> Any:
    total = started = 0
    for read in range(len(spans)):
        hashed = _BASIS  # FNV-1a
        for place in range(spans[read, 0], spans[read, 1]):
            hashed = (hashed ^ np.uint64(data[place])) * _FNV
        length = spans[read, 3] - spans[read, 2]
        letters = data[spans[read, 2] : spans[read, 3]]
        scores = data[spans[read, 4] : spans[read, 4] + length]
        run, strong, unknown, adapted = np.uint32(0), np.uint32(0), np.uint32(0), False
        code = np.uint64(0)
        row = np.uint64(0)
        for cycle in range(length):
            base = np.uint64(_CODES[letters[cycle]])
            both = (base << np.uint64(7)) | np.uint64(scores[cycle] - np.uint8(33))
            joint[row + both] += 1
            hashed = (hashed ^ both) * _FNV
            code = (code << np.uint64(2)) | (base & np.uint64(3))
            known = np.uint32(base != 4)
            run = (run + np.uint32(1)) * known
            unknown += np.uint32(1) - known
            strong += np.uint32(base - np.uint64(1) < np.uint64(2))
            if cycle == START - 1:
                starts[started] = code
                started += 1
            twelve = code & np.uint64(0xFFFFFF)
            slot = ((twelve * _MULTIPLIER) & np.uint64(0xFFFFFF)) >> np.uint64(18)
            if _BY_SLOT[slot] == twelve and run >= _LENGTH and not adapted:
                adapters[_NUMBERS[slot], cycle - _LENGTH + 1] += 1
                adapted = True
            row += np.uint64(ROW)
        lengths[length] += 1
        if length > unknown:
            gc[100 * strong // (length - unknown)] += 1
        for half in range(2):
            mixed = hashed + np.uint64(half) * _GOLDEN
            mixed = (mixed ^ (mixed >> _33)) * _M1
            mixed = (mixed ^ (mixed >> _33)) * _M2
            sums[half] += mixed ^ (mixed >> _33)
        total += length
    return total, started
