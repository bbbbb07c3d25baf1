"""Contents: what identifies the bytes of a Parquet file, so that another valid file in its place is refused.

The commit that adds a file to a table records its content: size, CRC-32 of all bytes, and SHA-256 of the footer. The
seal of the commit covers the record. A reader compares them once per file and process, before the first read.

Belongs here: taking and comparing contents. Does not belong here: damage within a page, which the page's own checksum
finds (``parquet``), and the log that holds the contents (``history.py``).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import lru_cache

import pyarrow.fs as pafs
from isal import isal_zlib

from opengenome_assets.storage.files import filesystem

_BLOCK = 1 << 19  # fits into a core's own cache
_TAIL = 8  # the footer's length, and Parquet's mark
_UNREAD = "-"


def content_of(uri: str) -> str:
    """Return a Parquet file's content: size, CRC-32 of its bytes, and SHA-256 of its footer, in hexadecimal digits.

    In an object store the CRC-32 would need the whole file, and is left out.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    fs, path = filesystem(uri)
    if isinstance(fs, pafs.LocalFileSystem):
        stat = os.stat(path)
        return _local(path, (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))
    (info,) = fs.get_file_info([path])
    return _remote(uri, (info.size, info.mtime_ns))


def refuse_other_content(uri: str, expected: str) -> None:
    """Refuse a file whose content is not the expected one. An empty one is unknown, and refuses nothing.

    Raises
    ------
    OSError
        If it differs, or the file cannot be read.
    """
    if not expected:
        return
    found = content_of(uri)
    pairs = zip(expected.split(" "), found.split(" "), strict=True)
    if any(one != other for one, other in pairs if _UNREAD not in (one, other)):
        raise OSError(
            f"it is another file than the one written there: expected {_words(expected)}, found {_words(found)}"
        )


def _words(content: str) -> str:
    size, crc, footer = content.split(" ")
    return f"{int(size):,} bytes, CRC-32 {crc}, footer {footer[:12]}"


@lru_cache(maxsize=1 << 16)
def _local(path: str, _: Sequence[int]) -> str:
    block = memoryview(bytearray(_BLOCK))
    crc = 0
    with open(path, "rb", buffering=0) as stream:
        while size := stream.readinto(block):
            crc = isal_zlib.crc32(block[:size], crc)
        end = stream.tell()
        footer = _footer(lambda count, offset: os.pread(stream.fileno(), count, offset), end)
    return f"{end} {crc:08x} {footer}"


@lru_cache(maxsize=1 << 16)
def _remote(uri: str, _: Sequence[int]) -> str:
    fs, path = filesystem(uri)
    with fs.open_input_file(path) as stream:
        return f"{stream.size()} {_UNREAD} {_footer(stream.read_at, stream.size())}"


def _footer(read_at: Callable[[int, int], bytes], end: int) -> str:
    tail = read_at(_TAIL, max(0, end - _TAIL))
    length = int.from_bytes(tail[:4], "little") if len(tail) == _TAIL else 0
    begin = max(0, end - _TAIL - length)
    return hashlib.sha256(read_at(end - begin, begin)).hexdigest()
