"""Parquet files as the platform writes and reads them, local or in an object store.

Belongs here: how a file is encoded, and that what is read is what was written. Arrow does all of it, but for the pages
of long text in Zstandard (``pages.py``): it writes each such column with empty values, the true pages follow its row
group, and the footer is told of them. Does not belong here: which files there are, and what they hold (``parts.py``).
"""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.parquet.pages import DELTA_LENGTH, MAGIC, read_pages, write_pages
from opengenome_assets.storage.parquet.thrift import I32, LIST, Field, List, Struct, i64, read_struct, write_struct

_LENGTH_BYTES = 4  # of the footer's length, which is followed by MAGIC

# Parquet's numbers: of an encoding, and of the fields of a footer, of its row groups, and of their columns.
_RLE = 3
_ROW_GROUPS = 4
_COLUMNS, _GROUP_PLAIN, _GROUP_START, _GROUP_STORED = 1, 2, 5, 6
_METADATA = 3
_ENCODINGS, _PATH, _PLAIN, _STORED, _FIRST_PAGE = 2, 3, 6, 7, 9
_OF_EMPTY_VALUES = 12, 13, 16  # statistics, encodings by page, statistics of sizes


class DamagedFileError(OSError):
    """A Parquet file does not hold what was written to it; making its part again helps, reading it again does not."""


class ParquetWriter:
    """Writes one Parquet file; every page has a checksum.

    Parameters
    ----------
    sink
        The open file, which is not closed.
    schema
        Arrow schema of the rows. Columns of large_string are long text, and have no nulls.
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
            # Of numbers only: the smallest and the largest of long sequences would be a second copy of them.
            write_statistics=[column.name for column in schema if pa.types.is_primitive(column.type)],
            write_page_checksum=True,
            data_page_version="2.0",
        )
        self._sink.kept = bytearray()

    def write(self, table: pa.Table) -> None:
        """Append rows, as one row group."""
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
        """Write the footer; the file is complete then. To be called once, and not after an exception."""
        self._arrow.close()
        end = self._sink.kept
        if not self._texts or end is None:
            return
        size = int.from_bytes(end[-_LENGTH_BYTES - len(MAGIC) : -len(MAGIC)], "little")
        begin = len(end) - size - _LENGTH_BYTES - len(MAGIC)
        footer, _ = read_struct(bytes(end), begin)
        before = 0
        for group, chunks in zip(footer[_ROW_GROUPS].value.values, self._groups, strict=True):
            _tell_of_texts(group, chunks, before)
            before += sum(chunk.stored for chunk in chunks.values())
        told = write_struct(footer)
        self._file.write(end[:begin] + told + len(told).to_bytes(_LENGTH_BYTES, "little") + MAGIC)

    def abandon(self) -> None:
        """End an unfinished file, which cannot be read if it holds text."""
        self._arrow.close()


def _is_integer_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and pa.types.is_integer(kind.value_type))


def _stored(column: pa.Field) -> pa.Field:
    """Return a column as files hold it: lists of integers, and their entries, are never null.

    Without a mark at each entry that says so, they are read in three quarters of the CPU time, and written in four
    fifths.
    """
    if not _is_integer_list(column.type):
        return column
    element = column.type.value_field.with_name("element").with_nullable(False)
    return column.with_type(pa.list_(element)).with_nullable(False)


class _Chunk(NamedTuple):
    """Where the pages of a column lie, and their bytes as stored and before compression."""

    start: int
    stored: int
    plain: int


def _tell_of_texts(group: Struct, chunks: dict[tuple[bytes, ...], _Chunk], before: int) -> None:
    """Put the pages of text, by path, in the place of those that Arrow wrote with empty values.

    So many bytes of text lie ``before`` the row group: Arrow counts only what it has itself written.
    """
    _add(group, _GROUP_START, before)
    for column in group[_COLUMNS].value.values:
        facts: Struct = column[_METADATA].value
        chunk = chunks.get(tuple(facts[_PATH].value.values))
        if chunk is None or chunk.stored == 0:  # another column; or no rows, so no pages
            _add(facts, _FIRST_PAGE, before)
            continue
        _add(group, _GROUP_PLAIN, chunk.plain - facts[_PLAIN].value)
        _add(group, _GROUP_STORED, chunk.stored - facts[_STORED].value)
        for field in _OF_EMPTY_VALUES:
            facts.pop(field, None)
        facts[_ENCODINGS] = Field(LIST, List(I32, [_RLE, DELTA_LENGTH]))
        facts[_PLAIN], facts[_STORED] = i64(chunk.plain), i64(chunk.stored)
        facts[_FIRST_PAGE] = i64(chunk.start)


def _add(struct: Struct, field: int, number: int) -> None:
    struct[field] = i64(struct[field].value + number)


class _Sink(io.RawIOBase):
    """What Arrow writes to: the file while ``kept`` is None, else that.

    So Arrow's footer, which knows of empty values only, never gets into the file, however the writing ends.
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
    """Arrow's reader of a Parquet file, that can also read long text one page at a time.

    Parameters
    ----------
    stream
        The open file.
    metadata
        Its footer, if it is known.
    """

    def __init__(self, stream: pa.NativeFile, metadata: pq.FileMetaData | None = None) -> None:
        super().__init__(stream, metadata=metadata, page_checksum_verification=True)
        self._stream = stream

    def read_text(self, group: int, name: str, lengths: str) -> Iterator[pa.LargeStringArray]:
        """Yield the values of a column of text in a row group, as many at a time as lie together.

        Parameters
        ----------
        group
            The row group.
        name
            The column.
        lengths
            The column that holds the lengths of these values, in bytes.

        Raises
        ------
        OSError
            If the file is not as it was written.
        """
        paths = [self.schema.column(place).path for place in range(len(self.schema))]
        if not {name, lengths} <= set(paths):
            raise OSError(f"expected the columns {name} and {lengths}, found {', '.join(paths)}")
        # No other column's facts: of one that is damaged Arrow does not let go alive.
        chunk = self.metadata.row_group(group).column(paths.index(name))
        if "DELTA_LENGTH_BYTE_ARRAY" not in chunk.encodings:  # by Arrow: another codec, or before there was pages.py
            yield from self.read_row_group(group, columns=[name], use_threads=False)[name].chunks
            return
        stated = self.read_row_group(group, columns=[lengths], use_threads=False)[lengths]
        start, size = chunk.data_page_offset, chunk.total_compressed_size
        if stated.null_count or not 0 <= start <= start + size <= self._stream.size():
            raise OSError(f"lengths in {lengths} are missing, or the pages of {name} are not in the file")
        yield from read_pages(pa.py_buffer(self._stream.read_at(size, start)), stated.to_numpy())


@contextmanager
def open_parquet(uri: str, *, shared: bool = False) -> Iterator[ParquetFile]:
    """Open a Parquet file, whose pages are compared with their checksums as they are read.

    The footer of a file that is ``shared`` by many parts is kept in memory: it is long, and opened again and again.

    Raises
    ------
    DamagedFileError
        From here or while reading, if the file is not readable or a page has changed.
    """
    fs, path = filesystem(uri)
    try:
        with (
            fs.open_input_file(path) as stream,
            ParquetFile(stream, _footer(uri) if shared else None) as file,
        ):
            yield file
    except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:
        raise DamagedFileError(
            f"{uri} is damaged or missing ({error}). Delete the folder {posixpath.dirname(uri)} and materialise that "
            "asset and what follows it again: only what is in this folder is made anew"
        ) from error


def refuse_damaged_pages(uri: str, remedy: str) -> None:
    """Read a Parquet file, row group by row group, and compare its pages with their checksums.

    Parameters
    ----------
    uri
        The file.
    remedy
        What was not done for its sake, and what to do: the end of the message.

    Raises
    ------
    DamagedFileError
        If it is not readable or a page has changed.
    """
    fs, path = filesystem(uri)
    try:
        with fs.open_input_file(path) as stream, ParquetFile(stream) as file:
            for group in range(file.num_row_groups):
                file.read_row_group(group)
    except (OSError, pa.ArrowException) as error:
        raise DamagedFileError(f"{uri} is damaged or missing ({error}). {remedy}") from error


@lru_cache(maxsize=8)
def _footer(uri: str) -> pq.FileMetaData:
    fs, path = filesystem(uri)
    with fs.open_input_file(path) as stream:
        return pq.read_metadata(stream)


@contextmanager
def open_row_groups(uri: str, row_groups: tuple[int, int] | None) -> Iterator[tuple[ParquetFile, range]]:
    """Open a Parquet file and say which of its row groups are meant: those given, or all.

    Raises
    ------
    DamagedFileError
        As :func:`open_parquet`.
    """
    with open_parquet(uri, shared=row_groups is not None) as file:
        yield file, range(*(row_groups or (0, file.num_row_groups)))
