"""Parquet files as the platform writes and reads them, local or in an object store.

Belongs here: the encoding of a file, and verifying its checksums on reading. Arrow does all of it, except the pages of
long text in Zstandard (``pages.py``). Arrow writes each such column with empty values. The true pages follow that row
group, and the footer is changed to name them. Does not belong here: which files there are, and their rows
(``parts.py``).
"""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from opengenome_assets.storage.contents import refuse_other_content
from opengenome_assets.storage.files import DamagedError, filesystem
from opengenome_assets.storage.parquet.pages import MAGIC, Encoding, read_pages, write_pages
from opengenome_assets.storage.parquet.thrift import Field, List, Struct, Type, i64, read_struct, write_struct

_LENGTH_BYTES = 4  # of the footer's length, which is followed by MAGIC


class FileMetaData(IntEnum):
    """Field numbers of the Thrift struct FileMetaData, the footer."""

    ROW_GROUPS = 4


class RowGroup(IntEnum):
    """Field numbers of the Thrift struct RowGroup."""

    COLUMNS = 1
    TOTAL_BYTE_SIZE = 2
    FILE_OFFSET = 5
    TOTAL_COMPRESSED_SIZE = 6


class ColumnChunk(IntEnum):
    """Field numbers of the Thrift struct ColumnChunk."""

    META_DATA = 3


class ColumnMetaData(IntEnum):
    """Field numbers of the Thrift struct ColumnMetaData."""

    ENCODINGS = 2
    PATH_IN_SCHEMA = 3
    TOTAL_UNCOMPRESSED_SIZE = 6
    TOTAL_COMPRESSED_SIZE = 7
    DATA_PAGE_OFFSET = 9
    STATISTICS = 12
    ENCODING_STATS = 13
    SIZE_STATISTICS = 16


# Arrow's figures about the empty values, which do not hold for the true pages.
_STALE = (ColumnMetaData.STATISTICS, ColumnMetaData.ENCODING_STATS, ColumnMetaData.SIZE_STATISTICS)


class DamagedFileError(DamagedError):
    """A Parquet file is not as it was written. Making its part again helps; reading the file again does not."""


# What Arrow raises on damaged pages, footers and schemas. Not want of memory, which is no damage.
_DAMAGE = (OSError, ValueError, LookupError, TypeError, OverflowError, pa.ArrowNotImplementedError)


class ParquetWriter:
    """Writes one Parquet file; every page has a checksum.

    Parameters
    ----------
    sink
        The open file; the caller closes it.
    schema
        Arrow schema of the rows. Columns of type large_string are long text, without nulls.
    compression
        Parquet codec: zstd, snappy, lz4 or gzip.
    """

    def __init__(self, sink: pa.NativeFile, schema: pa.Schema, compression: str) -> None:
        self._schema = schema = pa.schema([_stored(column) for column in schema])
        texts = [column.name for column in schema if pa.types.is_large_string(column.type)]
        self._texts = texts if compression == "zstd" else []
        self._file = sink
        self._sink = _Sink(sink)
        self._groups: list[dict[tuple[bytes, ...], _Chunk]] = []
        self._arrow = pq.ParquetWriter(
            self._sink if self._texts else sink,
            schema,
            compression=compression,
            compression_level=1 if compression == "zstd" else None,
            use_dictionary=False,
            # Half the size and CPU time of the index's rows.
            column_encoding={
                f"{column.name}.list.element": "DELTA_BINARY_PACKED"
                for column in schema
                if _is_integer_list(column.type)
            },
            # For numbers only: minimum and maximum of long sequences would be a second copy of them.
            write_statistics=[column.name for column in schema if pa.types.is_primitive(column.type)],
            write_page_checksum=True,
            data_page_version="2.0",
        )
        self._sink.kept = bytearray()

    def write(self, table: pa.Table) -> None:
        """Append rows as one row group."""
        table = table.cast(self._schema)
        empty = pa.repeat(pa.scalar("", pa.large_string()), table.num_rows)
        rest = table
        for name in self._texts:
            rest = rest.set_column(table.schema.get_field_index(name), self._schema.field(name), empty)
        self._sink.kept = None
        self._arrow.write_table(rest, row_group_size=max(1, table.num_rows))
        self._sink.kept = bytearray()
        self._groups.append({(name.encode(),): self._write_text(table.column(name)) for name in self._texts})

    def _write_text(self, column: pa.ChunkedArray) -> _Chunk:
        start, stored, plain = self._file.tell(), 0, 0
        for array in column.chunks:
            for page in write_pages(array):
                self._file.write(page.head)
                self._file.write(page.body)
                stored += len(page.head) + len(page.body)
                plain += page.plain
        return _Chunk(start, stored, plain)

    def close(self) -> None:
        """Write the footer, which completes the file. Call it once, and not after an exception."""
        self._arrow.close()
        end = self._sink.kept
        if not self._texts or end is None:
            return
        size = int.from_bytes(end[-_LENGTH_BYTES - len(MAGIC) : -len(MAGIC)], "little")
        begin = len(end) - size - _LENGTH_BYTES - len(MAGIC)
        footer, _ = read_struct(bytes(end), begin)
        before = 0
        for group, chunks in zip(footer[FileMetaData.ROW_GROUPS].value.values, self._groups, strict=True):
            _name_texts(group, chunks, before)
            before += sum(chunk.stored for chunk in chunks.values())
        changed = write_struct(footer)
        self._file.write(end[:begin] + changed + len(changed).to_bytes(_LENGTH_BYTES, "little") + MAGIC)

    def abandon(self) -> None:
        """End an unfinished file. If it holds text, it stays unreadable."""
        self._arrow.close()


def _is_integer_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and pa.types.is_integer(kind.value_type))


def _stored(column: pa.Field) -> pa.Field:
    """Return a column as files hold it: lists of integers and their elements are never null.

    Without definition levels they are read in three quarters of the CPU time, and written in four fifths.
    """
    if not _is_integer_list(column.type):
        return column
    element = column.type.value_field.with_name("element").with_nullable(False)
    return column.with_type(pa.list_(element)).with_nullable(False)


class _Chunk(NamedTuple):
    """The pages of a column: their offset, and their bytes as stored and before compression."""

    start: int
    stored: int
    plain: int


def _name_texts(group: Struct, chunks: dict[tuple[bytes, ...], _Chunk], before: int) -> None:
    """Make a row group of the footer name the pages of text, by column path, instead of Arrow's empty ones.

    Arrow counts only the bytes that it wrote itself; ``before`` are the bytes of text before the row group.
    """
    _add(group, RowGroup.FILE_OFFSET, before)
    for column in group[RowGroup.COLUMNS].value.values:
        facts: Struct = column[ColumnChunk.META_DATA].value
        chunk = chunks.get(tuple(facts[ColumnMetaData.PATH_IN_SCHEMA].value.values))
        if chunk is None or chunk.stored == 0:  # another column, or no rows and so no pages
            _add(facts, ColumnMetaData.DATA_PAGE_OFFSET, before)
            continue
        _add(group, RowGroup.TOTAL_BYTE_SIZE, chunk.plain - facts[ColumnMetaData.TOTAL_UNCOMPRESSED_SIZE].value)
        _add(group, RowGroup.TOTAL_COMPRESSED_SIZE, chunk.stored - facts[ColumnMetaData.TOTAL_COMPRESSED_SIZE].value)
        for field in _STALE:
            facts.pop(field, None)
        encodings = [Encoding.RLE, Encoding.DELTA_LENGTH_BYTE_ARRAY]
        facts[ColumnMetaData.ENCODINGS] = Field(Type.LIST, List(Type.I32, encodings))
        facts[ColumnMetaData.TOTAL_UNCOMPRESSED_SIZE] = i64(chunk.plain)
        facts[ColumnMetaData.TOTAL_COMPRESSED_SIZE] = i64(chunk.stored)
        facts[ColumnMetaData.DATA_PAGE_OFFSET] = i64(chunk.start)


def _add(struct: Struct, field: int, number: int) -> None:
    struct[field] = i64(struct[field].value + number)


class _Sink(io.RawIOBase):
    """Arrow's sink: the file while ``kept`` is None, else the buffer ``kept``.

    Arrow's own footer describes the empty values. It goes into the buffer, never into the file.
    """

    def __init__(self, file: pa.NativeFile) -> None:
        self._file = file
        self.kept: bytearray | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        if self.kept is None:
            self._file.write(data)
        else:
            self.kept += data
        return len(data)


class ParquetFile(pq.ParquetFile):  # type: ignore[misc]  # pyarrow has no types
    """Arrow's reader of a Parquet file, which also reads long text one page at a time.

    Parameters
    ----------
    stream
        The open file.
    metadata
        The file's footer, if the caller has it.
    """

    def __init__(self, stream: pa.NativeFile, metadata: pq.FileMetaData | None = None) -> None:
        super().__init__(stream, metadata=metadata, page_checksum_verification=True)
        self._stream = stream

    def read_text(self, group: int, name: str, lengths: str) -> Iterator[pa.LargeStringArray]:
        """Yield the values of a text column in a row group, page by page.

        Parameters
        ----------
        group
            The row group.
        name
            The column.
        lengths
            The column with the lengths of these values, in bytes.

        Raises
        ------
        OSError
            If the file is damaged.
        """
        yield from (values for _, values in self._pages(group, name, lengths))

    def read_values(
        self, group: int, name: str, lengths: str, rows: Sequence[int]
    ) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yield some values of a text column in a row group, with their rows; other pages stay compressed.

        Parameters
        ----------
        group, name, lengths
            As in `read_text`.
        rows
            Rows of the group, ascending.

        Yields
        ------
        int, uint8 array
            A row, and the letters of its value, read-only.

        Raises
        ------
        OSError
            If the file is damaged.
        """
        from opengenome_assets.kernels.bases import arrow_text  # late: Numba is slow to import

        wanted = iter(rows)
        row = next(wanted, None)
        for first, values in self._pages(group, name, lengths, rows):
            data, offsets = arrow_text(values)
            while row is not None and row < first + len(values):
                yield row, data[offsets[row - first] : offsets[row - first + 1]]
                row = next(wanted, None)
            if row is None:
                return

    def _pages(
        self, group: int, name: str, lengths: str, rows: Sequence[int] | None = None
    ) -> Iterator[tuple[int, pa.LargeStringArray]]:
        """Yield the first row of each page and its values; with ``rows``, pages without any of them may be left out."""
        paths = [self.schema.column(place).path for place in range(len(self.schema))]
        if not {name, lengths} <= set(paths):
            raise OSError(f"expected the columns {name} and {lengths}, found {', '.join(paths)}")
        # Arrow crashes on the metadata of a damaged column, so that of other columns is not read.
        chunk = self.metadata.row_group(group).column(paths.index(name))
        if "DELTA_LENGTH_BYTE_ARRAY" not in chunk.encodings:  # written by Arrow: another codec, or an older package
            first = 0
            for values in self.read_row_group(group, columns=[name], use_threads=False)[name].chunks:
                yield first, values
                first += len(values)
            return
        stated = self.read_row_group(group, columns=[lengths], use_threads=False)[lengths]
        start, size = chunk.data_page_offset, chunk.total_compressed_size
        if stated.null_count or not 0 <= start <= start + size <= self._stream.size():
            raise OSError(f"lengths in {lengths} are missing, or the pages of {name} are outside the file")
        yield from read_pages(pa.py_buffer(self._stream.read_at(size, start)), stated.to_numpy(), rows)


@contextmanager
def open_parquet(uri: str, content: str = "", *, shared: bool = False) -> Iterator[ParquetFile]:
    """Open a Parquet file, whose pages are verified against their checksums while reading.

    Parameters
    ----------
    uri
        The file.
    content
        Its content when it was written; empty if unknown.
    shared
        Whether many parts share it: it is opened often, and its long footer is kept in memory.

    Raises
    ------
    DamagedFileError
        From here or while reading, if the file is not readable, is another than the one written there, or a page has
        changed.
    """
    fs, path = filesystem(uri)
    try:
        refuse_other_content(uri, content)
        with (
            fs.open_input_file(path) as stream,
            ParquetFile(stream, _footer(uri) if shared else None) as file,
        ):
            yield file
    except _DAMAGE as error:
        raise DamagedFileError(
            f"{uri} is damaged or missing ({error}). Delete the folder {posixpath.dirname(uri)} and materialise that "
            "asset and what follows it again: only the content of this folder is made again"
        ) from error


def refuse_damaged_pages(uri: str, remedy: str, content: str = "") -> None:
    """Read a Parquet file, row group by row group, and verify its pages against their checksums.

    Parameters
    ----------
    uri
        The file.
    remedy
        The end of the message: what was not done because of the damage, and what to do.
    content
        The file's content when it was written; empty if unknown.

    Raises
    ------
    DamagedFileError
        If it is not readable, is another than the one written there, or a page has changed.
    """
    fs, path = filesystem(uri)
    try:
        refuse_other_content(uri, content)
        with fs.open_input_file(path) as stream, ParquetFile(stream) as file:
            for group in range(file.num_row_groups):
                file.read_row_group(group)
    except _DAMAGE as error:
        raise DamagedFileError(f"{uri} is damaged or missing ({error}). {remedy}") from error


@lru_cache(maxsize=256)  # a worker's shards lie in many packs
def _footer(uri: str) -> pq.FileMetaData:
    fs, path = filesystem(uri)
    with fs.open_input_file(path) as stream:
        return pq.read_metadata(stream)


@contextmanager
def open_row_groups(
    uri: str, row_groups: tuple[int, int] | None, content: str = ""
) -> Iterator[tuple[ParquetFile, range]]:
    """Open a Parquet file and return it with a range of its row groups: those given, or all.

    Raises
    ------
    DamagedFileError
        As :func:`open_parquet`.
    """
    with open_parquet(uri, content, shared=row_groups is not None) as file:
        yield file, range(*(row_groups or (0, file.num_row_groups)))
