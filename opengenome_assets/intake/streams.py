"""Streams: the plain bytes of stored files, decompressed ahead of the reader and verified by checksum.

Belongs here: opening files, detecting their compression, decompression, backpressure between the thread and its reader,
checksums, and an independent count of header lines. Does not belong here: the meaning of the plain bytes (``kernels``),
archives (``containers.py``), and endings of names (``kinds.py``).
"""

from __future__ import annotations

import bz2
import hashlib
import io
import re
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol, Self, cast

import numpy as np
import pyarrow as pa
from isal import igzip
from isal.igzip_lib import IsalError
from pyarrow import fs

from opengenome_assets.intake.kinds import FileKind

# The stubs of isal and igzip are incomplete: the error is declared as an instance, `open` without types.
DECODING_ERRORS = (EOFError, OSError, pa.ArrowException, cast(type[Exception], IsalError))
_BLOCK = 1 << 20
_BLOCKS_AHEAD = 4


class StreamError(ValueError):
    """A file could not be opened, read or decompressed; the message names the file and says what to do."""


class ChangedError(StreamError):
    """A file has changed since it was catalogued; the message names the file and both checksums."""


class RawFile(Protocol):
    """An unbuffered binary file on the local disk or in an object store."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Fill the buffer; 0 at the end of the file."""

    def close(self) -> None:
        """Close the file."""


@dataclass(frozen=True)
class StoredFile:
    """A file as the catalogue describes it.

    Attributes
    ----------
    path
        Its published path, below the place that was named as source.
    uri
        Its address: a local path, or a URI that `pyarrow.fs` understands (``s3://…``, ``gs://…``, ``file://…``). A
        store may keep it under another name.
    sha256
        Expected SHA-256 in hexadecimal digits; None if unknown.
    """

    path: str
    uri: str
    sha256: str | None = None

    @property
    def name(self) -> str:
        """Its name in messages: its address, with its path if the address does not end in it."""
        known = PurePosixPath(self.uri).name == PurePosixPath(self.path).name
        return self.uri if known else f"{self.path} ({self.uri})"


def open_raw(file: StoredFile, start: int = 0) -> RawFile:
    """Open a file to read its bytes as stored, from a byte on.

    Raises
    ------
    StreamError
        If it cannot be opened.
    """
    try:
        if "://" in file.uri:
            file_system, key = fs.FileSystem.from_uri(file.uri)
            if start == 0:
                return cast(RawFile, file_system.open_input_stream(key, compression=None))
            opened = file_system.open_input_file(key)
        else:
            opened = io.FileIO(file.uri)
        opened.seek(start)
        return cast(RawFile, opened)
    except (OSError, pa.ArrowInvalid) as error:
        raise StreamError(
            f"{file.name}: cannot be opened ({error}); check the path and that you may read the file"
        ) from error


class StoredFiles(io.RawIOBase):
    """The bytes of one file, or of several in a row, as stored.

    The bytes are hashed while they are read. At the end of each file its SHA-256 is compared with the catalogue's.

    Parameters
    ----------
    files
        At least one.
    opener
        Function that opens a file.
    """

    def __init__(self, files: Sequence[StoredFile], opener: Callable[[StoredFile], RawFile] = open_raw) -> None:
        self._opener = opener
        self._rest = deque(files)
        self._passed = 0
        self._raw = cast(RawFile, io.BytesIO())  # which Python closes if the first file cannot be opened
        self._begin(self._rest.popleft())

    def _begin(self, file: StoredFile) -> None:
        self.current = file
        self._raw = self._opener(file)
        self._sha256 = hashlib.sha256()

    def readable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the number of bytes read so far, of all files."""
        return self._passed

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer with the next bytes; fewer only at the end of the last file.

        Raises
        ------
        ChangedError
            At the end of a file whose checksum is not the catalogue's.
        StreamError
            If a file cannot be opened or read.
        """
        view, filled = memoryview(buffer), 0
        while filled < len(view):
            try:
                size = self._raw.readinto(view[filled:]) or 0
            except OSError as error:
                raise StreamError(
                    f"{self.current.name}: cannot be read on after {self._passed:,} bytes ({error}); "
                    "check the disk or the connection and run again"
                ) from error
            self._sha256.update(view[filled : filled + size])
            self._passed += size
            filled += size
            if size == 0:
                refuse_changed(self.current, self._sha256.hexdigest())
                if not self._rest:
                    break
                self._raw.close()
                self._begin(self._rest.popleft())
        return filled

    def close(self) -> None:
        """Close the open file."""
        self._raw.close()
        super().close()


def refuse_changed(file: StoredFile, sha256: str) -> None:
    """Raise `ChangedError` if a file's expected SHA-256 is known and differs."""
    if file.sha256 not in (None, sha256):
        # The store names a file by its digest, and would take what is there again.
        damaged = f"/{file.sha256}" in file.uri
        raise ChangedError(
            f"{file.name}: changed since it was catalogued (sha256 {sha256[:16]}…, expected {file.sha256[:16]}…)"
            + (". It is damaged: delete it, so that it is fetched again" if damaged else "")
        )


class DecompressedStream:
    """The plain bytes of a plain, gzip, bgzip, bzip2 or Zstandard file, decompressed by a thread that reads ahead.

    The first bytes decide the compression, not the name.

    Decompression and parsing run on two cores. Backpressure keeps the thread at most a few MiB ahead of the reader, so
    that memory stays constant. The thread's errors are raised by the `readinto` that would have delivered the bytes,
    and close the stream. Use the stream as a context manager: leaving early ends the thread.

    Parameters
    ----------
    stored
        The file as stored; the stream closes it.
    kind
        The file's kind, for the count of header lines.
    name
        The file's name in messages.
    if_cut
        Advice in the message if the file ends early.
    """

    def __init__(
        self, stored: io.RawIOBase, kind: FileKind, *, name: str, if_cut: str = "fetch the file again"
    ) -> None:
        self._mark = ord(kind.mark)
        self.name = name
        self.if_cut = if_cut
        self.compression = ""
        self.decompressed_bytes = 0
        self._stored = stored
        self._header_lines = 0
        self._last_byte = ord("\n")
        self._at_end = False
        self._current = memoryview(b"")
        self._blocks = self._decompress()
        # One worker takes the blocks in order. The queue of futures carries errors along with results.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decompress")
        self._ahead: deque[Future[bytes]] = deque()
        for _ in range(_BLOCKS_AHEAD):
            self._read_ahead()

    @property
    def header_lines(self) -> int:
        """Number of lines that start with the kind's mark; known at the end of the stream.

        The count does not use the parser, so that a check can compare the two.
        """
        if not self._at_end:
            raise StreamError(
                f"{self.name}: the number of header lines is known once the stream was read to its end; do that first"
            )
        return self._header_lines

    def readinto(self, buffer: memoryview) -> int:
        """Copy the next plain bytes to a buffer.

        Parameters
        ----------
        buffer
            Writable bytes, at least one.

        Returns
        -------
        int
            Bytes written: at least 1, or 0 at the end of the stream.

        Raises
        ------
        StreamError
            If the file cannot be read, ends early, or is not of the compression that its first bytes state.
        """
        if not self._current and not self._at_end:
            if not self._ahead:
                raise StreamError(f"{self.name}: the stream is closed; open the file again to read it")
            try:
                self._current = memoryview(self._ahead.popleft().result())
            except StreamError:
                self.close()
                raise
            self._read_ahead()
            self._at_end = not self._current
        size = min(len(buffer), len(self._current))
        buffer[:size] = self._current[:size]
        self._current = self._current[size:]
        return size

    def read(self) -> bytes:
        """Return all remaining plain bytes. Raises the errors of `readinto`."""
        plain, buffer = io.BytesIO(), memoryview(bytearray(_BLOCK))
        while size := self.readinto(buffer):
            plain.write(buffer[:size])
        return plain.getvalue()

    def close(self) -> None:
        """End the thread and close the file; closing twice is harmless."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._ahead.clear()
        self._current = memoryview(b"")
        self._blocks.close()
        self._stored.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_ahead(self) -> None:
        self._ahead.append(self._thread.submit(next, self._blocks, b""))

    def _decompress(self) -> Generator[bytes, None, None]:
        """Yield the plain blocks; runs in the thread."""
        stored = io.BufferedReader(self._stored, _BLOCK)
        self.compression = compression_of(stored.peek(4))
        try:
            plain = _plain_reader(stored, self.compression)
            while block := plain.read(_BLOCK):
                self._count_header_lines(block)
                self.decompressed_bytes += len(block)
                yield block
            if stored.read(1):
                raise OSError("more data behind the end")
        except DECODING_ERRORS as error:
            reached = f"{self._stored.tell():,} bytes of the file"
            if self.decompressed_bytes:
                reached += f" and more than {self.decompressed_bytes:,} decompressed ones"
            if isinstance(error, EOFError) or str(error).startswith("Truncated"):
                raise StreamError(
                    f"{self.name}: the {self.compression} stream ends early after {reached}; {self.if_cut}"
                ) from error
            raise StreamError(
                f"{self.name}: the {self.compression} stream is damaged, or something follows it, after {reached} "
                f"({error}); fetch the file again"
            ) from error

    def _count_header_lines(self, block: bytes) -> None:
        data = np.frombuffer(block, np.uint8)
        marks = np.flatnonzero(data == self._mark)
        before = np.where(marks > 0, data[marks - 1], self._last_byte)
        self._header_lines += int(np.count_nonzero(before == ord("\n")))
        self._last_byte = block[-1]


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Bzip2:
    """The plain bytes of bzip2 streams in a row, empty ones too. Python's own reader passes over what follows them."""

    def __init__(self, stored: _Readable) -> None:
        self._stored = stored
        self._stream = bz2.BZ2Decompressor()

    def read(self, size: int, /) -> bytes:
        plain = b""
        while not plain:
            more = b""
            if self._stream.eof:
                more = self._stream.unused_data or self._stored.read(_BLOCK)
                if not more:
                    break
                self._stream = bz2.BZ2Decompressor()
            elif self._stream.needs_input:
                more = self._stored.read(_BLOCK)
                if not more:
                    raise EOFError
            plain = self._stream.decompress(more, size)
        return plain


def compression_of(head: bytes) -> str:
    """Return the name of a file's compression, by its first bytes."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"BZh"):
        return "bz2"
    # A Zstandard frame, or the skippable frame that parallel writers begin with.
    if re.match(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", head):
        return "zstd"
    return "plain"


def _plain_reader(stored: io.BufferedReader[io.RawIOBase], compression: str) -> _Readable:
    """Return a reader that accepts several members or frames in a row, and nothing else after them."""
    reader: _Readable
    if compression == "plain":
        reader = stored
    elif compression == "gzip":
        reader = cast(Any, igzip).open(stored, "rb")
    elif compression == "bz2":
        reader = _Bzip2(stored)
    else:
        reader = pa.CompressedInputStream(pa.PythonFile(stored, mode="r"), compression)
    return reader
