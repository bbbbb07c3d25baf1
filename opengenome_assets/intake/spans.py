"""Spans: the plain bytes between two places of a plain or bgzip file, without what stands before them.

A reader of the whole file takes an `Index` of it. A reader of a span finds its bytes by the index, and compares each
chunk that it reads with the checksum there: it reads the bytes that the first reader read, or none.

Belongs here: checksums of chunks, the blocks of bgzip (the specification of SAM names them BGZF), and random access by
them. Does not belong here: other compressions, which can only be read from the front (``streams.py``), and where a
record begins (``kernels/fasta.py``).
"""

from __future__ import annotations

import io
import os
import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

from isal import igzip, isal_zlib

from opengenome_assets.intake.kinds import FileKind
from opengenome_assets.intake.streams import (
    DECODING_ERRORS,
    ChangedError,
    DecompressedStream,
    StoredFile,
    StoredFiles,
    StreamError,
    compression_of,
    open_raw,
)

CHUNK = 1 << 20  # bytes as stored

# The header of a block as bgzip and htslib write it: its only extra field has the block's size.
_BLOCK_HEADER = re.compile(rb"\x1f\x8b\x08\x04.{6}\x06\x00BC\x02\x00(..)", re.DOTALL)
_BLOCK_HEADER_BYTES = 18
_PLAIN_SIZE_BYTES = 4  # at the end of a block

_MOST_THREADS = 8  # they decompress as fast as one reads
_GROUP = 1 << 22  # plain bytes that a thread decompresses at a time


class NoSpansError(StreamError):
    """A file can only be read from its front."""


class Extent(NamedTuple):
    """A span of plain bytes, and how to read it.

    Attributes
    ----------
    start, size
        Its first plain byte, and its plain bytes.
    stored, end
        The stored bytes that hold it: the first, and the one behind the last.
    skipped
        Plain bytes before it in those.
    checksums
        CRC-32 of the chunks that hold those.
    """

    start: int
    size: int
    stored: int
    end: int
    skipped: int
    checksums: tuple[int, ...]


@dataclass(frozen=True)
class Index:
    """The content of a file when it was read from front to end.

    Attributes
    ----------
    checksums
        CRC-32 of each chunk of `CHUNK` bytes as stored; the last may be shorter.
    stored, plain
        For each block of bgzip, ascending, its first byte as stored and its first plain byte, and at last those behind
        the last block; empty for a plain file.
    """

    checksums: tuple[int, ...]
    stored: tuple[int, ...]
    plain: tuple[int, ...]

    def extent(self, start: int, size: int) -> Extent:
        """Return how to read this number of plain bytes, at least one, from one on."""
        stored, end, skipped = start, start + size, 0
        if self.plain:
            first, behind = bisect_right(self.plain, start) - 1, bisect_left(self.plain, start + size)
            stored, end, skipped = self.stored[first], self.stored[behind], start - self.plain[first]
        chunks = self.checksums[stored // CHUNK : -(-end // CHUNK)]
        return Extent(start, size, stored, end, skipped, chunks)


class _Chunks(io.RawIOBase):
    """The bytes of a file as stored, or those of an extent, in chunks that are compared with their checksums.

    Raises
    ------
    ChangedError
        If a chunk of the extent differs.
    """

    def __init__(self, file: StoredFile, extent: Extent | None = None) -> None:
        self._file = file
        self._expected = None if extent is None else iter(extent.checksums)
        self._end: int | None = extent.end if extent else None
        start = extent.stored if extent else 0
        self._skip = start % CHUNK
        self._raw = open_raw(file, start - self._skip)
        self._chunk = memoryview(bytearray(CHUNK))
        self._current = self._chunk[:0]
        self._passed = start

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._passed

    def readinto(self, buffer: Any, /) -> int:
        view, filled = memoryview(buffer), 0
        if self._end is not None:
            view = view[: self._end - self._passed]
        while filled < len(view):  # the first bytes that a reader looks at must not be too few
            self._current = self._current or self._next()
            size = min(len(view) - filled, len(self._current))
            if size == 0:
                break
            view[filled : filled + size] = self._current[:size]
            self._current = self._current[size:]
            filled += size
        self._passed += filled
        return filled

    def _next(self) -> memoryview:
        filled = 0
        try:
            while size := self._raw.readinto(self._chunk[filled:]) or 0:
                filled += size
        except OSError as error:
            raise StreamError(f"{self._file.name}: cannot be read on after {self._passed:,} bytes ({error})") from error
        chunk = self._chunk[:filled]
        if filled:
            self.take(isal_zlib.crc32(chunk))
        chunk, self._skip = chunk[self._skip :], 0
        return chunk

    def take(self, checksum: int) -> None:
        """Compare the checksum of a chunk."""
        if self._expected is not None and next(self._expected, None) != checksum:
            raise ChangedError(f"{self._file.name}: changed while it was read")

    def close(self) -> None:
        self._raw.close()
        super().close()


class IndexedFile(_Chunks):
    """The plain bytes of a whole plain or bgzip file, which is indexed while it is read.

    Blocks of bgzip do not depend on each other, so several threads decompress them, on all cores of the machine. Each
    has some mebibytes at a time, and as many wait for it or its reader (backpressure).

    Raises
    ------
    NoSpansError
        Where the file is seen to be neither plain nor bgzip.
    StreamError
        If the file cannot be read, or is damaged.
    """

    def __init__(self, file: StoredFile) -> None:
        super().__init__(file)
        self._checksums: list[int] = []
        self._stored: list[int] = []
        self._plain: list[int] = []
        self._is_plain = False
        self._groups: Iterator[bytes] = iter(())
        self._count = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="decompress")
        self._ahead: deque[Future[bytes]] = deque()

    def take(self, checksum: int) -> None:
        """Keep the checksum of a chunk."""
        self._checksums.append(checksum)

    def _next(self) -> memoryview:
        if not self._checksums:
            chunk = super()._next()
            self._is_plain = compression_of(bytes(chunk[:4])) == "plain"
            if self._is_plain:
                return chunk
            self._groups = self._blocks(chunk)
        return super()._next() if self._is_plain else memoryview(self._decompressed())

    def _decompressed(self) -> bytes:
        """Return the next plain bytes of a bgzip file; none at the end."""
        plain = b""
        while not plain:
            while len(self._ahead) < 2 * self._count and (group := next(self._groups, b"")):
                self._ahead.append(self._threads.submit(igzip.decompress, group))
            if not self._ahead:
                break
            try:
                plain = self._ahead.popleft().result()
            except DECODING_ERRORS as error:
                raise StreamError(f"{self._file.name}: a block of bgzip is damaged ({error})") from error
        return plain

    def _blocks(self, chunk: memoryview) -> Iterator[bytes]:
        """Yield the blocks of bgzip from the first chunk on, some at a time, and put them into the index."""
        rest, stored, plain = b"", 0, 0
        while chunk:
            text, first, start, begun = rest + chunk, 0, 0, plain
            while found := _BLOCK_HEADER.match(text, start):
                end = start + 1 + int.from_bytes(found[1], "little")
                if not start + _BLOCK_HEADER_BYTES <= end <= len(text):
                    break
                self._stored.append(stored)
                self._plain.append(plain)
                stored += end - start
                plain += int.from_bytes(text[end - _PLAIN_SIZE_BYTES : end], "little")
                start = end
                if plain - begun >= _GROUP:
                    yield text[first:start]
                    first, begun = start, plain
            if first < start:
                yield text[first:start]
            rest = text[start:]
            if len(rest) >= _BLOCK_HEADER_BYTES and not _BLOCK_HEADER.match(rest):
                raise NoSpansError(f"{self._file.name}: expected plain text or blocks of bgzip, found something else")
            chunk = super()._next()
        if rest:
            raise StreamError(f"{self._file.name}: the last block of bgzip is cut")
        self._stored.append(stored)
        self._plain.append(plain)

    def index(self) -> Index:
        """Return the index of the file, which has been read to its end."""
        return Index(tuple(self._checksums), tuple(self._stored), tuple(self._plain))

    def close(self) -> None:
        """End the threads and close the file."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        super().close()


class Span:
    """The plain bytes of a file from one on. Use it as a context manager.

    Parameters
    ----------
    file
        The file.
    kind
        Its kind.
    extent
        What to read.
    multiple
        Each `readinto` ends at a multiple of this number of bytes of the file, or at the end of the span.
    """

    def __init__(self, file: StoredFile, kind: FileKind, extent: Extent, multiple: int) -> None:
        self.name = file.name
        self._multiple = multiple
        self._at, self._end = extent.start, extent.start + extent.size
        self._stream = DecompressedStream(_Chunks(file, extent), kind, name=file.name)
        self._fill(memoryview(bytearray(extent.skipped)))

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer up to the next multiple or the end of the span; 0 at the end.

        Raises
        ------
        StreamError
            As of `DecompressedStream`, or if the file has changed since it was indexed.
        """
        room = min(self._multiple - self._at % self._multiple, self._end - self._at, len(buffer))
        size = self._fill(buffer[:room])
        self._at += size
        return size

    def _fill(self, buffer: memoryview) -> int:
        filled = 0
        while filled < len(buffer) and (size := self._stream.readinto(buffer[filled:])):
            filled += size
        return filled

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()


def verify(file: StoredFile, checksums: Sequence[int]) -> None:
    """Read a file, and verify that its bytes are those that were catalogued, and those that were indexed.

    Raises
    ------
    ChangedError
        If they are not.
    """
    chunk = memoryview(bytearray(CHUNK))
    with StoredFiles([file]) as stored:
        found = [isal_zlib.crc32(chunk[:size]) for size in iter(lambda: stored.readinto(chunk), 0)]
    if found != list(checksums):
        raise ChangedError(f"{file.name}: changed while it was read")
