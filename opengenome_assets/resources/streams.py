"""Opening sequence files: decompression, hashing and an independent record count, ahead of the reader.

Here belongs everything between a file's name and its plain bytes: which names count as FASTA, which
compression the content has, and the proof that the bytes read are the bytes catalogued. What the plain bytes
mean is not known here; that is `opengenome_assets.kernels.fasta`.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any, Protocol, Self, cast

import numpy as np
import pyarrow as pa
from isal import igzip
from isal.igzip_lib import IsalError
from pyarrow import fs

# .faa is left out: by custom it holds proteins.
FASTA_ENDINGS = (".fa", ".fasta", ".fna", ".ffn", ".frn", ".fas", ".fsa")
COMPRESSION_ENDINGS = (".gz", ".bgz", ".bz2", ".zst")

# The stubs of isal and igzip declare less than they have: the error as an instance, `open` without types.
_DECODING_ERRORS = (EOFError, OSError, cast(type[Exception], IsalError))
_BLOCK = 1 << 20
_BLOCKS_AHEAD = 4


class StreamError(ValueError):
    """A file could not be opened, read or decompressed; the message names the file and says what to do."""


class RawFile(Protocol):
    """An unbuffered binary file, of the local disk or of an object store."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Fill the buffer; 0 at the end of the file."""

    def close(self) -> None:
        """Close the file."""


def open_stream(path: str | os.PathLike[str]) -> DecompressedStream:
    """Open a plain, gzip, bgzip, bzip2 or Zstandard file, told apart by its first bytes and not by its name.

    Parameters
    ----------
    path
        A local path, or a URI that `pyarrow.fs` understands (``s3://…``, ``gs://…``, ``file://…``).

    Raises
    ------
    StreamError
        If the file cannot be opened. Errors of its content are raised by `DecompressedStream.readinto`.
    """
    name = os.fspath(path)
    try:
        if "://" in name:
            file_system, key = fs.FileSystem.from_uri(name)
            raw: RawFile = file_system.open_input_stream(key, compression=None)
        else:
            raw = io.FileIO(name)
    except (OSError, pa.ArrowInvalid) as error:
        raise StreamError(
            f"{name}: cannot be opened ({error}); check the path and that you may read the file"
        ) from error
    return DecompressedStream(raw, name=name)


def is_fasta_name(name: str) -> bool:
    """Whether a file of this name is taken for FASTA when a folder is searched, compressed or not."""
    return _without_ending(name, COMPRESSION_ENDINGS).lower().endswith(FASTA_ENDINGS)


def source_name(path: str | os.PathLike[str]) -> str:
    """Name of a file without folders, FASTA ending and compression ending: ``a/chr1.fa.gz`` is ``chr1``."""
    name = PurePosixPath(os.fspath(path)).name
    return _without_ending(_without_ending(name, COMPRESSION_ENDINGS), FASTA_ENDINGS)


def _without_ending(name: str, endings: tuple[str, ...]) -> str:
    for ending in endings:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


class DecompressedStream:
    """The plain bytes of one file, decompressed and hashed by a thread that reads ahead.

    The thread stays at most a few MiB ahead of the reader: decompression and parsing run on two cores, and
    memory stays constant. Its errors are raised by the `readinto` that would have delivered the bytes; the
    stream is closed then. Use the stream as a context manager: leaving early ends the thread.

    Parameters
    ----------
    raw
        The file as stored; the stream closes it.
    name
        What errors call the file.
    """

    def __init__(self, raw: RawFile, *, name: str) -> None:
        self.name = name
        self.decompressed_bytes = 0
        self._stored = _HashedFile(raw, name)
        self._header_lines = 0
        self._last_byte = ord("\n")
        self._at_end = False
        self._current = memoryview(b"")
        self._blocks = self._decompress()
        # One worker takes the blocks in order; a queue of futures carries its errors along with its results.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decompress")
        self._ahead: deque[Future[bytes]] = deque()
        for _ in range(_BLOCKS_AHEAD):
            self._read_ahead()

    @property
    def compressed_bytes(self) -> int:
        """Bytes of the file as stored that were read so far."""
        return self._stored.size

    @property
    def sha256(self) -> str:
        """Hex digest of the file as stored, every byte of it; known at the end of the stream."""
        self._require_end("the sha256")
        return self._stored.sha256.hexdigest()

    @property
    def header_lines(self) -> int:
        """Number of lines that start with '>'; known at the end of the stream.

        Counted on the plain bytes without the FASTA parser, so that a check can compare the two.
        """
        self._require_end("the number of header lines")
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
            If the file cannot be read on, ends early, or is not what its first bytes promise.
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

    def _require_end(self, what: str) -> None:
        if not self._at_end:
            raise StreamError(f"{self.name}: {what} is known once the stream was read to its end; do that first")

    def _read_ahead(self) -> None:
        self._ahead.append(self._thread.submit(next, self._blocks, b""))

    def _decompress(self) -> Generator[bytes, None, None]:
        """Yield the plain blocks; runs in the thread."""
        stored = io.BufferedReader(self._stored, _BLOCK)
        compression = _compression(stored.peek(4))
        try:
            plain = _plain_reader(stored, compression)
            while block := plain.read(_BLOCK):
                self._count_header_lines(block)
                self.decompressed_bytes += len(block)
                yield block
        except _DECODING_ERRORS as error:
            reached = f"{self.decompressed_bytes:,} decompressed bytes, {self.compressed_bytes:,} bytes of the file"
            if isinstance(error, EOFError) or str(error).startswith("Truncated"):
                problem = f"the {compression} stream ends early after {reached}"
            else:
                problem = f"the {compression} stream is damaged, or something follows it, after {reached} ({error})"
            raise StreamError(f"{self.name}: {problem}; fetch the file again") from error

    def _count_header_lines(self, block: bytes) -> None:
        data = np.frombuffer(block, np.uint8)
        marks = np.flatnonzero(data == ord(">"))
        before = np.where(marks > 0, data[marks - 1], self._last_byte)
        self._header_lines += int(np.count_nonzero(before == ord("\n")))
        self._last_byte = block[-1]


class _HashedFile(io.RawIOBase):
    """The file as stored; counts and hashes the bytes that pass."""

    def __init__(self, raw: RawFile, name: str) -> None:
        self._raw = raw
        self._name = name
        self.size = 0
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            size = self._raw.readinto(buffer) or 0
        except OSError as error:
            raise StreamError(
                f"{self._name}: cannot be read on after {self.size:,} bytes ({error}); "
                "check the disk or the connection and run again"
            ) from error
        self.sha256.update(buffer[:size])
        self.size += size
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _compression(head: bytes) -> str:
    """Name of the compression of a file that begins so."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"BZh"):
        return "bz2"
    # A Zstandard frame, or the skippable frame with which parallel writers begin.
    if re.match(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", head):
        return "zstd"
    return "plain"


def _plain_reader(stored: io.BufferedReader[_HashedFile], compression: str) -> _Readable:
    """Reader that accepts several members or frames in a row, and nothing else behind them."""
    reader: _Readable
    if compression == "plain":
        reader = stored
    elif compression == "gzip":
        reader = cast(Any, igzip).open(stored, "rb")
    else:
        reader = pa.CompressedInputStream(pa.PythonFile(stored, mode="r"), compression)
    return reader
