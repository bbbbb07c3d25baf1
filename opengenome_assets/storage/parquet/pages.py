"""Pages of text: how long sequences lie in Parquet, and how they are read one page at a time.

Arrow's writer passes Zstandard a compression level and nothing else. At level 1 Zstandard finds repeats of seven
letters all over a genome, which save nothing. Looking for them was most of the work of writing, and following them two
fifths of the work of reading. The saving comes from Huffman coding: four letters need two bits each. So pages are
compressed here, with settings that look for few repeats. Long ones, such as runs of N, are still found. Compared with
level 1, pages are written 2.6 to 2.9 times as fast and read 1.6 times as fast. They take 7 % less room for generated
bases and 3 % more for the shipped sample. docs/performance.md says how that was measured, and what else was tried.

The pages have version 2 and the encoding DELTA_LENGTH_BYTE_ARRAY: the lengths of the values, then their letters, as in
an Arrow array. Arrow, DuckDB, polars, delta-rs and Spark read them. The reader here returns one page at a time, which
fits into a core's cache and is not copied.

Belongs here: pages and their headers. Does not belong here: files and footers (``file.py``).
After https://parquet.apache.org/docs/file-format/data-pages/encodings/.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from backports.zstd import CompressionParameter, ZstdCompressor
from isal import isal_zlib

from opengenome_assets.storage.parquet.thrift import (
    Field,
    Struct,
    Type,
    i32,
    read_struct,
    read_varint,
    write_struct,
    write_varint,
)

MAGIC = b"PAR1"

# Letters per page, so that one fits into a core's own cache. A page of a single value may have more.
PAGE_BYTES = 1 << 20
_MAX_PAGE_BYTES = 2**31 - 1  # Parquet's limit

# ZSTD_c_literalCompressionMode, which the library does not name, and ZSTD_lcm_huffman. Without it, negative levels
# leave letters uncompressed.
_LITERAL_COMPRESSION, _HUFFMAN = 1002, 1
# A repeat of at least 7 letters is looked for at every 50th letter, among the last 512 looked at.
_ZSTD = {
    CompressionParameter.compression_level: -50,
    CompressionParameter.hash_log: 9,
    CompressionParameter.min_match: 7,
    _LITERAL_COMPRESSION: _HUFFMAN,
}


class Encoding(IntEnum):
    """Parquet's numbers of encodings."""

    RLE = 3
    DELTA_LENGTH_BYTE_ARRAY = 6


class PageType(IntEnum):
    """Parquet's numbers of page types."""

    DATA_PAGE_V2 = 3


class PageHeader(IntEnum):
    """Field numbers of the Thrift struct PageHeader."""

    TYPE = 1
    UNCOMPRESSED_PAGE_SIZE = 2
    COMPRESSED_PAGE_SIZE = 3
    CRC = 4
    DATA_PAGE_HEADER_V2 = 8


class DataPageHeaderV2(IntEnum):
    """Field numbers of the Thrift struct DataPageHeaderV2."""

    NUM_VALUES = 1
    NUM_NULLS = 2
    NUM_ROWS = 3
    ENCODING = 4
    DEFINITION_LEVELS_BYTE_LENGTH = 5
    REPETITION_LEVELS_BYTE_LENGTH = 6
    IS_COMPRESSED = 7


class Page(NamedTuple):
    """A page: its header with the levels, its compressed values, and the uncompressed bytes of both."""

    head: bytes
    body: bytes
    plain: int


def write_pages(array: pa.LargeStringArray, *, page_bytes: int = PAGE_BYTES) -> Iterator[Page]:
    """Encode text and compress it with Zstandard, page by page.

    Parameters
    ----------
    array
        Values without nulls, of a nullable column.
    page_bytes
        Maximum letters per page; a single longer value has a page of its own.

    Yields
    ------
    Page
        The pages, in order; together they hold all values.

    Raises
    ------
    ValueError
        If a value is null, or longer than 2**31 - 64 bytes.
    """
    if array.null_count:
        raise ValueError(f"{array.null_count} of {len(array)} texts are null; expected none")
    if len(array) == 0:  # an empty array of Arrow may lack buffers
        return
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    letters = memoryview(array.buffers()[2] or b"").cast("B")
    zstd = ZstdCompressor(options=_ZSTD)
    start = 0
    while start < len(array):
        end = max(start + 1, int(np.searchsorted(offsets, offsets[start] + page_bytes, side="right")) - 1)
        lengths = _encoded_lengths(np.diff(offsets[start : end + 1]))
        levels = write_varint((end - start) << 1) + b"\1"  # a run of values that are not null, as long as the page
        text = letters[offsets[start] : offsets[end]]
        zstd.set_pledged_input_size(len(lengths) + len(text))
        body = zstd.compress(lengths) + zstd.compress(text, ZstdCompressor.FLUSH_FRAME)
        plain = len(levels) + len(lengths) + len(text)
        if plain > _MAX_PAGE_BYTES:
            raise ValueError(f"a text of {len(text):,} bytes does not fit into a page of Parquet")
        checksum = isal_zlib.crc32(body, isal_zlib.crc32(levels))
        values: Struct = {
            DataPageHeaderV2.NUM_VALUES: i32(end - start),
            DataPageHeaderV2.NUM_NULLS: i32(0),
            DataPageHeaderV2.NUM_ROWS: i32(end - start),
            DataPageHeaderV2.ENCODING: i32(Encoding.DELTA_LENGTH_BYTE_ARRAY),
            DataPageHeaderV2.DEFINITION_LEVELS_BYTE_LENGTH: i32(len(levels)),
            DataPageHeaderV2.REPETITION_LEVELS_BYTE_LENGTH: i32(0),
            DataPageHeaderV2.IS_COMPRESSED: Field(Type.TRUE, True),
        }
        header = write_struct(
            {
                PageHeader.TYPE: i32(PageType.DATA_PAGE_V2),
                PageHeader.UNCOMPRESSED_PAGE_SIZE: i32(plain),
                PageHeader.COMPRESSED_PAGE_SIZE: i32(len(levels) + len(body)),
                PageHeader.CRC: i32(checksum - ((checksum >> 31) << 32)),  # as a signed integer
                PageHeader.DATA_PAGE_HEADER_V2: Field(Type.STRUCT, values),
            }
        )
        yield Page(header + levels, body, len(header) + plain)
        start = end


def read_pages(
    stored: pa.Buffer, lengths: npt.NDArray[np.int64], rows: Sequence[int] | None = None
) -> Iterator[tuple[int, pa.LargeStringArray]]:
    """Decompress pages that :func:`write_pages` made, one at a time.

    Parameters
    ----------
    stored
        The pages, one after the other.
    lengths
        Length of each value in bytes, int64, shape (values,).
    rows
        Places of some values, ascending. Pages without any of them are skipped, neither verified nor decompressed.

    Yields
    ------
    int, pyarrow.LargeStringArray
        The place of the first value of each page, and its values.

    Raises
    ------
    OSError
        If a page is damaged, or its values do not have the stated lengths.
    """
    if len(lengths) and lengths.min() < 0:
        raise OSError("a stated length of a text is negative")
    data = memoryview(stored).cast("B")
    zstd = pa.Codec("zstd")
    position = row = 0
    while position < len(data):
        header = _read_header(data, position)
        if rows is not None and bisect_left(rows, row) == bisect_left(rows, row + header.values):
            position, row = header.end, row + header.values
            continue
        if isal_zlib.crc32(data[header.start : header.end]) != header.checksum:
            raise OSError("a page of text does not have the checksum that its header states")
        start = header.start + header.levels
        page = zstd.decompress(stored.slice(start, header.end - start), header.plain)
        count, begin = _encoded_lengths_end(memoryview(page).cast("B"))
        if count != header.values or count > len(lengths) - row:
            raise OSError(
                f"a page of text holds {count:,} values; {header.values:,} and {len(lengths) - row:,} are stated"
            )
        offsets = np.zeros(count + 1, np.int64)
        np.cumsum(lengths[row : row + count], out=offsets[1:])
        if begin + offsets[-1] != header.plain:
            raise OSError("a page of text does not hold values of the stated lengths")
        yield row, pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), page.slice(begin))
        del page  # it may hold a gigabase: free it before the next one
        position, row = header.end, row + count
    if row != len(lengths):
        raise OSError(f"the pages of text hold {row:,} values, but {len(lengths):,} are stated")


class _Header(NamedTuple):
    """A page's header: the page's offsets, bytes of levels and of uncompressed values, number of values, checksum.

    No checksum covers the header itself. Decompressing and counting the values verifies it.
    """

    start: int
    end: int
    levels: int
    plain: int
    values: int
    checksum: int


def _read_header(data: memoryview, position: int) -> _Header:
    try:
        page, start = read_struct(data, position)
        kind = _value(page, PageHeader.TYPE)
        size = _value(page, PageHeader.UNCOMPRESSED_PAGE_SIZE)
        stored = _value(page, PageHeader.COMPRESSED_PAGE_SIZE)
        checksum = _value(page, PageHeader.CRC)
        values = _value(page, PageHeader.DATA_PAGE_HEADER_V2, Type.STRUCT)
        count = _value(values, DataPageHeaderV2.NUM_VALUES)
        encoding = _value(values, DataPageHeaderV2.ENCODING)
        levels = _value(values, DataPageHeaderV2.DEFINITION_LEVELS_BYTE_LENGTH)
    except (ValueError, LookupError) as error:
        raise OSError(f"the header of a page of text is damaged ({error!r})") from error
    header = _Header(start, start + stored, levels, size - levels, count, checksum % 2**32)
    is_text = (kind, encoding) == (PageType.DATA_PAGE_V2, Encoding.DELTA_LENGTH_BYTE_ARRAY)
    fits = 0 <= header.plain <= _MAX_PAGE_BYTES
    if not (is_text and fits and start <= start + levels <= header.end <= len(data)):
        raise OSError(f"the header of a page of text is damaged ({header})")
    return header


def _value(struct: Struct, field: int, kind: int = Type.I32) -> Any:
    if struct[field].kind != kind:
        raise ValueError(f"field {field} is of type {struct[field].kind}, expected {kind}")
    return struct[field].value


def _encoded_lengths(lengths: npt.NDArray[np.int64]) -> bytes:
    """Return numbers below 2^31 in Parquet's encoding DELTA_BINARY_PACKED, as Arrow writes a page of them."""
    schema = pa.schema([pa.field("length", pa.int32(), nullable=False)])
    written = pa.BufferOutputStream()
    pq.write_table(
        pa.table([pa.array(lengths, pa.int32())], schema=schema),
        written,
        row_group_size=len(lengths),
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        store_schema=False,
        column_encoding={"length": "DELTA_BINARY_PACKED"},
        data_page_version="2.0",
        data_page_size=2**30,
        max_rows_per_page=len(lengths),
    )
    file = written.getvalue().to_pybytes()
    header, start = read_struct(file, len(MAGIC))
    encoded: bytes = file[start : start + header[PageHeader.UNCOMPRESSED_PAGE_SIZE].value]
    return encoded


def _encoded_lengths_end(page: memoryview) -> tuple[int, int]:
    """Return the number of lengths at a page's start, in DELTA_BINARY_PACKED, and the offset after them."""
    block, position = read_varint(page, 0)
    groups, position = read_varint(page, position)
    count, position = read_varint(page, position)
    _, position = read_varint(page, position)  # the first
    rest = count - 1
    while rest > 0:
        _, position = read_varint(page, position)  # the block's smallest difference
        widths = page[position : position + groups]
        position += groups
        for width in widths:
            if rest > 0:  # groups without values are not stored
                position += block // groups * width // 8
                rest -= block // groups
    return count, position
