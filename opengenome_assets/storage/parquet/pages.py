"""Pages of text: how long sequences lie in Parquet, and how they are read one page at a time.

Arrow's writer calls Zstandard with a level and nothing else. At level 1 Zstandard finds repeats of seven letters all
over a genome, which save nothing: looking for them was most of the work of writing, and following them two fifths of
that of reading. What saves room is that four letters need two bits each. So pages are compressed here, with settings
that look for few repeats: long ones, as of N, are still found. Compared with level 1 they are written 2.6 to 2.9 times
as fast, read 1.6 times as fast, and take 7 % less room for generated bases and 3 % more for the shipped sample; how
that was measured, and what else was tried, stands in docs/performance.md.

The pages are of version 2, in Parquet's encoding DELTA_LENGTH_BYTE_ARRAY: the lengths of the values, then their
letters, one after the other, as in an Arrow array. Arrow, DuckDB, polars, delta-rs and Spark read them. Our own reader
hands out one page at a time, as it was decompressed: it fits into a core's cache and is not copied.

Belongs here: pages and their headers. Does not belong here: files and footers (``parquet.py``).
After https://parquet.apache.org/docs/file-format/data-pages/encodings/.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from backports.zstd import CompressionParameter, ZstdCompressor
from isal import isal_zlib

from opengenome_assets.storage.parquet.thrift import (
    I32,
    STRUCT,
    TRUE,
    Field,
    Struct,
    i32,
    read_struct,
    read_varint,
    write_struct,
    write_varint,
)

MAGIC = b"PAR1"

# Letters of a page: what a core's own cache holds. A single value may have more.
PAGE_BYTES = 1 << 20
_MOST_BYTES = 2**31 - 1  # that Parquet lets a page have

# ZSTD_c_literalCompressionMode, of which the library has no name, and ZSTD_lcm_huffman: negative levels leave letters
# as they are unless told so.
_LITERAL_COMPRESSION, _HUFFMAN = 1002, 1
# A repeat of at least 7 letters is looked for at every 50th letter, among the last 512 looked at.
_ZSTD = {
    CompressionParameter.compression_level: -50,
    CompressionParameter.hash_log: 9,
    CompressionParameter.min_match: 7,
    _LITERAL_COMPRESSION: _HUFFMAN,
}

# Parquet's numbers: of an encoding, of a kind of page, and of the fields of a page's header.
DELTA_LENGTH = 6
_DATA_PAGE_V2 = 3
_TYPE, _SIZE, _STORED_SIZE, _CHECKSUM, _DATA_PAGE_HEADER_V2 = 1, 2, 3, 4, 8
_VALUES, _NULLS, _ROWS, _ENCODING, _LEVELS, _REPETITIONS, _COMPRESSED = 1, 2, 3, 4, 5, 6, 7


class Page(NamedTuple):
    """A page: its header and the levels that follow, its compressed values, and what all three take uncompressed."""

    head: bytes
    body: bytes
    plain: int


def write_pages(array: pa.LargeStringArray, *, page_bytes: int = PAGE_BYTES) -> Iterator[Page]:
    """Encode text and compress it with Zstandard, page by page.

    Parameters
    ----------
    array
        Values without nulls, of a column that might have some.
    page_bytes
        Letters that a page has at most, unless a single value has more.

    Yields
    ------
    Page
        The pages, in order; together they hold all values.

    Raises
    ------
    ValueError
        If a value is null, or too long for a page: it may have 2**31 - 64 bytes.
    """
    if array.null_count:
        raise ValueError(f"{array.null_count} of {len(array)} texts are null; expected none")
    if len(array) == 0:  # Arrow lets an empty array go without buffers
        return
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    letters = memoryview(array.buffers()[2] or b"").cast("B")
    zstd = ZstdCompressor(options=_ZSTD)
    start = 0
    while start < len(array):
        end = max(start + 1, int(np.searchsorted(offsets, offsets[start] + page_bytes, side="right")) - 1)
        lengths = _encoded_lengths(np.diff(offsets[start : end + 1]))
        levels = write_varint(end - start << 1) + b"\1"  # a run, as long as the page, of values that are there
        text = letters[offsets[start] : offsets[end]]
        zstd.set_pledged_input_size(len(lengths) + len(text))
        body = zstd.compress(lengths) + zstd.compress(text, ZstdCompressor.FLUSH_FRAME)
        plain = len(levels) + len(lengths) + len(text)
        if plain > _MOST_BYTES:
            raise ValueError(f"a text of {len(text):,} bytes does not fit into a page of Parquet")
        checksum = isal_zlib.crc32(body, isal_zlib.crc32(levels))
        values = {
            _VALUES: i32(end - start),
            _NULLS: i32(0),
            _ROWS: i32(end - start),
            _ENCODING: i32(DELTA_LENGTH),
            _LEVELS: i32(len(levels)),
            _REPETITIONS: i32(0),
            _COMPRESSED: Field(TRUE, True),
        }
        header = write_struct(
            {
                _TYPE: i32(_DATA_PAGE_V2),
                _SIZE: i32(plain),
                _STORED_SIZE: i32(len(levels) + len(body)),
                _CHECKSUM: i32(checksum - (checksum >> 31 << 32)),  # as an integer with a sign
                _DATA_PAGE_HEADER_V2: Field(STRUCT, values),
            }
        )
        yield Page(header + levels, body, len(header) + plain)
        start = end


def read_pages(stored: pa.Buffer, lengths: npt.NDArray[np.int64]) -> Iterator[pa.LargeStringArray]:
    """Decompress pages that :func:`write_pages` made, one at a time.

    Parameters
    ----------
    stored
        The pages, one after the other.
    lengths
        Of all their values, in bytes, shape (values,).

    Yields
    ------
    pyarrow.LargeStringArray
        The values of each page.

    Raises
    ------
    OSError
        If a page is not as it was written, or its values do not have as many bytes together as is stated.
    """
    if len(lengths) and lengths.min() < 0:
        raise OSError("a length that is stated beside the pages of text is negative")
    data = memoryview(stored).cast("B")
    zstd = pa.Codec("zstd")
    position = row = 0
    while position < len(data):
        header = _read_header(data, position)
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
            raise OSError("a page of text does not hold values of the lengths that are stated beside it")
        yield pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), page.slice(begin))
        del page  # a page may be a record of a gigabase: not beside the next
        position, row = header.end, row + count
    if row != len(lengths):
        raise OSError(f"the pages of text hold {row:,} values, but {len(lengths):,} are stated beside them")


class _Header(NamedTuple):
    """What a page's header states: where the page lies, bytes of its levels and of its plain values, number of values.

    No checksum covers it. That it is right is seen when the values are decompressed and counted.
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
        values = _value(page, _DATA_PAGE_HEADER_V2, STRUCT)
        kind, size, stored, checksum = (_value(page, field) for field in (_TYPE, _SIZE, _STORED_SIZE, _CHECKSUM))
        count, encoding, levels = (_value(values, field) for field in (_VALUES, _ENCODING, _LEVELS))
    except (ValueError, LookupError) as error:
        raise OSError(f"the header of a page of text is damaged ({error!r})") from error
    header = _Header(start, start + stored, levels, size - levels, count, checksum % 2**32)
    right = (kind, encoding) == (_DATA_PAGE_V2, DELTA_LENGTH) and 0 <= header.plain <= _MOST_BYTES
    if not (right and start <= start + levels <= header.end <= len(data)):
        raise OSError(f"the header of a page of text is damaged ({header})")
    return header


def _value(struct: Struct, field: int, kind: int = I32) -> Any:
    if struct[field].kind != kind:
        raise ValueError(f"field {field} is of type {struct[field].kind}")
    return struct[field].value


def _encoded_lengths(lengths: npt.NDArray[np.int64]) -> bytes:
    """Return numbers below 2^31 in Parquet's encoding DELTA_BINARY_PACKED: what Arrow writes for a page of them."""
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
    encoded: bytes = file[start : start + header[_SIZE].value]
    return encoded


def _encoded_lengths_end(page: memoryview) -> tuple[int, int]:
    """Return how many lengths a page begins with, in DELTA_BINARY_PACKED, and where they end."""
    block, position = read_varint(page, 0)
    groups, position = read_varint(page, position)
    count, position = read_varint(page, position)
    _, position = read_varint(page, position)  # the first
    rest = count - 1
    while rest > 0:
        _, position = read_varint(page, position)  # the smallest difference of the block
        widths = page[position : position + groups]
        position += groups
        for width in widths:
            if rest > 0:  # groups without values are not stored
                position += block // groups * width // 8
                rest -= block // groups
    return count, position
