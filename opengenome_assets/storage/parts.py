"""Parts: immutable, content-addressed pieces of tables.

A part is the contribution of one unit of work (a source file, a shard) to a table: some Parquet files and a manifest.
Its folder is named by its *key*, the digest of everything that determines its content. A part exists once its manifest
does, and never changes after that:

* finished work is found again by its key, in the next run or after a crash;
* a killed or repeated attempt leaves files that no manifest names and nobody reads.

Belongs here: writing and finding a part. Does not belong here: the atomic commit that makes parts visible to readers
(``tables.py``), storing many small parts together (``packs.py``), Spark and Dagster: workers import this module.
"""

from __future__ import annotations

import errno
import json
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from opengenome_assets.storage.contents import content_of
from opengenome_assets.storage.files import filesystem, read_bytes, unwritable, write_bytes
from opengenome_assets.storage.parquet.file import ParquetWriter
from opengenome_assets.storage.record import digest

MANIFEST = "_manifest.json"
DATA = (".parquet", ".arrow")  # endings of files that manifests name; the second are mapped files
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


Made = TypeVar("Made", covariant=True)


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a part.

    Attributes
    ----------
    path
        Its path below the table's folder.
    size
        Bytes. For a part in a shared file, the bytes of its earlier own file.
    rows
        Number of rows.
    row_groups
        First row group and the one after the last, in a file shared with other parts; None if it is not shared.
    content
        What identifies the file's bytes (`contents.content_of`); empty if unknown.
    """

    path: str
    size: int
    rows: int
    row_groups: tuple[int, int] | None = None
    content: str = field(default="", compare=False)


@dataclass(frozen=True)
class Part:
    """A finished part.

    Attributes
    ----------
    key
        Digest of everything that determines the content.
    files
        Its Parquet files, in order; none if the work gave no rows.
    facts
        Small figures about the work, for readers that do not open the files.
    """

    key: str
    files: tuple[DataFile, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows in all its files."""
        return sum(file.rows for file in self.files)


def find_part(table_uri: str, key: str) -> Part | None:
    """Return the part with that key; None if it is missing, or any of its files is missing or truncated.

    A manifest that lies in the folder of another key is none.
    """
    content = read_bytes(f"{table_uri}/{key}/{MANIFEST}")
    try:
        manifest = json.loads(content or b"")
        stated = manifest.pop("digest", None)  # older manifests have no digest
        contents = manifest.get("contents") or [""] * len(manifest["files"])  # older manifests have none
        pairs = zip(manifest["files"], contents, strict=True)
        files = tuple(DataFile(**file, content=content) for file, content in pairs)
    except (ValueError, LookupError, TypeError, AttributeError):  # missing or damaged: the part is made again
        return None
    # Older manifests do not name their key, but their files do.
    own = manifest.get("key", key) == key and all(file.path.startswith(f"{key}/") for file in files)
    if stated not in (None, digest(manifest)) or not own:
        return None
    fs, root = filesystem(table_uri)
    found: list[pafs.FileInfo] = fs.get_file_info([f"{root}/{file.path}" for file in files])
    whole = all(info.size == file.size for info, file in zip(found, files, strict=True))
    return Part(key, files, manifest["facts"]) if whole else None


class RowWriter(Protocol[Made]):
    """What writes the rows of one part: `PartWriter` or that of a pack. ``finish`` returns what it made."""

    def write(self, table: pa.Table) -> None:
        """Append rows to the current file as one row group."""
        ...

    def close_file(self) -> None:
        """End the current file, if there is one. The next rows open another."""
        ...

    def finish(self, **facts: Any) -> Made:
        """End the part."""
        ...


class PartWriter:
    """Writes one part: any number of Parquet files, then the manifest.

    Use it as a context manager. The part exists after :meth:`finish`, and does not exist after an exception.

    Parameters
    ----------
    table_uri
        The table's folder.
    key
        The part's key.
    schema
        Arrow schema of the rows.
    compression
        Parquet codec: zstd, snappy, lz4 or gzip.
    first
        Number of its first file, if several writers write the files of one part. Then each ends with `close_file`, and
        `write_manifest` ends the part.
    """

    def __init__(self, table_uri: str, key: str, schema: pa.Schema, compression: str = "zstd", first: int = 0) -> None:
        self.table_uri = table_uri
        self.fs, self.root = filesystem(table_uri)
        self.key = key
        self.schema = schema
        self.compression = compression
        self.first = first
        self.files: list[DataFile] = []
        # Two attempts at the same part (a retried or speculative task) must not write the same file.
        self._attempt = uuid.uuid4().hex[:8]
        self._writer: ParquetWriter | None = None
        self._sink: Any = None
        self._rows = 0

    def __enter__(self) -> Self:
        try:
            self.fs.create_dir(f"{self.root}/{self.key}", recursive=True)
        except OSError as error:
            raise unwritable(f"{self.table_uri}/{self.key}", error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:  # only after an exception, since finish() closes the last file
            with suppress(OSError):  # of the disk that the exception may be about
                self._writer.abandon()
            with suppress(OSError):
                self._sink.close()
        if isinstance(error, OSError) and error.errno in _UNWRITABLE:
            raise unwritable(f"{self.table_uri}/{self.key}", error) from error

    @property
    def size(self) -> int:
        """Bytes of the current file so far."""
        return self._sink.tell() if self._writer else 0

    @property
    def _path(self) -> str:
        return f"{self.key}/{self.first + len(self.files):05d}-{self._attempt}.parquet"

    def write(self, table: pa.Table) -> None:
        """Append rows to the current file as one row group."""
        if self._writer is None:
            self._sink = self.fs.open_output_stream(f"{self.root}/{self._path}")
            self._writer = ParquetWriter(self._sink, self.schema, self.compression)
        self._writer.write(table)
        self._rows += table.num_rows

    def close_file(self) -> None:
        """End the current file, if there is one. The next rows open another."""
        if self._writer is None:
            return
        self._writer.close()
        size = self._sink.tell()
        self._sink.close()
        content = content_of(f"{self.table_uri}/{self._path}")
        self.files.append(DataFile(self._path, size, self._rows, content=content))
        self._writer, self._sink, self._rows = None, None, 0

    def finish(self, **facts: Any) -> Part:
        """Write the manifest. The part exists from then on."""
        self.close_file()
        return write_manifest(self.table_uri, Part(self.key, tuple(self.files), facts))


def write_manifest(table_uri: str, part: Part) -> Part:
    """Write the manifest of a part whose files are written. The part exists from then on."""
    files = [{"path": file.path, "size": file.size, "rows": file.rows} for file in part.files]
    manifest = {"key": part.key, "files": files, "contents": [file.content for file in part.files], "facts": part.facts}
    content = json.dumps({**manifest, "digest": digest(manifest)})  # a manifest changed by hand is invalid
    write_bytes(f"{table_uri}/{part.key}/{MANIFEST}", content.encode())
    return part


def write_part(table_uri: str, key: str, table: pa.Table, **facts: Any) -> Part:
    """Write a table in memory as a part of one file."""
    with PartWriter(table_uri, key, table.schema) as writer:
        writer.write(table)
        return writer.finish(**facts)
