"""Snapshots: a table at one version, for reading.

Belongs here: opening a version, and reading its rows: all, by row group, by part, or a sample. Does not belong here:
changing a table (``tables.py``), its history (``history.py``), and reading a Parquet file (``parquet``).

Rows come in the order of their parts' keys, independent of the files that hold them.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.history import History
from opengenome_assets.storage.packs import is_pack, open_pack
from opengenome_assets.storage.parquet.file import ParquetFile, open_parquet, open_row_groups
from opengenome_assets.storage.parts import DataFile
from opengenome_assets.storage.record import Input, Provenance
from opengenome_assets.storage.seals import DamagedTableError, newest_noted, refuse_changed_files, refuse_lost_versions
from opengenome_assets.words import materialize


class MissingTableError(LookupError):
    """The requested table does not exist. Materialising it helps, a retry does not."""


class MissingVersionError(LookupError):
    """The table does not have the requested version, or no longer has it. A retry does not help."""


@dataclass(frozen=True)
class Snapshot:
    """A table at one version; it never changes.

    Attributes
    ----------
    name, uri
        The table, and its address.
    delta
        The Delta table to read: the newest version with these rows.
    newest
        The Delta table at its newest version, for the history.
    """

    name: str
    uri: str
    delta: DeltaTable
    newest: DeltaTable

    @cached_property
    def history(self) -> History:
        """The table's history."""
        return History(self.newest)

    @property
    def version(self) -> int:
        """The version that first held these rows, which lineage names."""
        return self.history.origin(self.delta.version()).number

    @property
    def provenance(self) -> Provenance:
        """The record of these rows' origin.

        Raises
        ------
        MissingTableError
            If no commit has one.
        """
        return recorded(self.uri, self.history, self.delta.version())

    @property
    def input(self) -> Input:
        """Version and data version, for the record of a step that reads the table."""
        return Input(version=self.version, data_version=self.provenance.data_version)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns."""
        return pa.schema(self.delta.schema())

    @cached_property
    def files(self) -> list[DataFile]:
        """The Parquet files, sorted by path."""
        return files_of(self.delta, self.history.contents)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of Parquet."""
        return sum(file.size for file in self.files)

    @cached_property
    def pieces(self) -> list[tuple[str, DataFile]]:
        """Keys of parts, each with a file or a range of a pack, sorted by key.

        Raises
        ------
        DamagedFileError
            If a pack is damaged.
        """
        found: list[tuple[str, str, DataFile]] = []
        for file in self.files:
            if is_pack(file):
                for part in open_pack(self.uri, file).parts:
                    pieces = (replace(piece, content=file.content) for piece in part.files)
                    found += [(part.key, f"{number:05d}", piece) for number, piece in enumerate(pieces)]
            else:
                key, _, number = file.path.rpartition("/")
                found.append((key, number, file))
        return [(key, file) for key, _, file in sorted(found, key=lambda piece: piece[:2])]

    @cached_property
    def parts(self) -> dict[str, list[DataFile]]:
        """The files of each part by its key, sorted by key. Raises the errors of `pieces`."""
        return {key: [file for _, file in run] for key, run in groupby(self.pieces, key=lambda piece: piece[0])}

    def open(self, file: DataFile) -> AbstractContextManager[tuple[ParquetFile, range]]:
        """Open a file, or a range of a pack, as a Parquet file with a range of its row groups."""
        return open_row_groups(f"{self.uri}/{file.path}", file.row_groups, file.content)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read all rows, or some of their columns, into memory."""
        schema = self.schema if columns is None else pa.schema([self.schema.field(column) for column in columns])
        pieces: dict[tuple[str, str], list[tuple[int, DataFile]]] = {}
        for place, (_, file) in enumerate(self.pieces):
            pieces.setdefault((file.path, file.content), []).append((place, file))
        read = [schema.empty_table()] * len(self.pieces)
        # Those in a pack are read together.
        for (path, content), own in pieces.items():
            own.sort(key=lambda piece: piece[1].row_groups or (0, 0))
            shared = own[0][1].row_groups is not None
            with open_parquet(f"{self.uri}/{path}", content, shared=shared) as opened:
                spans = (file.row_groups or (0, opened.num_row_groups) for _, file in own)
                groups = [group for span in spans for group in range(*span)]
                rows = opened.read_row_groups(groups, columns=schema.names).cast(schema)
            first = 0
            for place, file in own:
                read[place] = rows.slice(first, file.rows)
                first += file.rows
        return pa.concat_tables([schema.empty_table(), *read])

    def row_groups(
        self, columns: Sequence[str], where: tuple[str, Any] | None = None, parts: Container[str] | None = None
    ) -> Iterator[pa.Table]:
        """Yield some columns, row group by row group, so that memory holds one row group.

        Parameters
        ----------
        columns
            The columns.
        where
            A column and a value, for only the rows with that value. Row groups whose statistics exclude it are skipped.
        parts
            Keys of parts, for only their rows.
        """
        wanted = (file for key, file in self.pieces if parts is None or key in parts)
        # Neighbours in a pack are opened together.
        for (path, content), run in groupby(wanted, key=lambda file: (file.path, file.content)):
            spans = [file.row_groups for file in run]
            with open_parquet(f"{self.uri}/{path}", content, shared=spans[0] is not None) as opened:
                for group in chain.from_iterable(range(*(span or (0, opened.num_row_groups))) for span in spans):
                    if where is None:
                        yield opened.read_row_group(group, columns=list(columns))
                    elif _may_hold(opened, group, *where):
                        column, value = where
                        rows = opened.read_row_group(group, columns=list({*columns, column}))
                        matching = pc.equal(rows[column], value)
                        if not pc.all(matching).as_py():  # else it would copy all
                            rows = rows.filter(matching)
                        if rows.num_rows:
                            yield rows.select(columns)

    def by_part(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns, part by part, so that memory holds one part."""
        for files in self.parts.values():
            rows = []
            for file in files:
                with self.open(file) as (opened, groups):
                    rows.append(opened.read_row_groups(groups, columns=list(columns)))
            yield pa.concat_tables(rows)

    def spread(self, columns: Sequence[str], most: int) -> pa.Table:
        """Read up to ``most`` rows, evenly spaced; skip row groups that hold none of them."""
        return self.take(columns, np.linspace(0, self.rows - 1, min(most, self.rows)).astype(np.int64))

    def take(self, columns: Sequence[str], places: np.ndarray) -> pa.Table:
        """Read the rows at some places, int64 and ascending; skip row groups that hold none of them."""
        taken = [pa.schema([self.schema.field(column) for column in columns]).empty_table()]
        first = 0
        for _, file in self.pieces:
            group_first, first = first, first + file.rows
            if np.searchsorted(places, group_first) == np.searchsorted(places, first):
                continue
            with self.open(file) as (opened, groups):
                for group in groups:
                    end = group_first + opened.metadata.row_group(group).num_rows
                    here = places[np.searchsorted(places, group_first) : np.searchsorted(places, end)]
                    if len(here):
                        rows = opened.read_row_group(group, columns=list(columns))
                        taken.append(rows.take(pa.array(here - group_first)).cast(taken[0].schema))
                    group_first = end
        return pa.concat_tables(taken)


def open_snapshot(name: str, uri: str, version: int | None = None) -> Snapshot:
    """Open a table, by default at its newest version.

    Raises
    ------
    MissingTableError
        If it does not exist.
    MissingVersionError
        If there is no such version, or its files have been removed.
    DamagedTableError
        If its log cannot be read, or was changed.
    """
    noted = newest_noted(uri)
    try:
        table = newest = DeltaTable(uri)
        refuse_lost_versions(uri, newest.version(), noted)
        if version not in (None, newest.version()):
            history = History(newest)
            if version not in history.versions:
                raise MissingVersionError(
                    f"{name} has no version {version}; it has {min(history.versions)} to {history.newest}"
                )
            table = DeltaTable(uri, version=history.layout(version))
        found = Snapshot(name, uri, table, newest)
        refuse_changed_files(uri, table.version(), _named(table))
    except TableNotFoundError as error:
        refuse_lost_versions(uri, None, noted)
        raise MissingTableError(
            f"{name} has not been made yet: there is no table at {uri}. "
            f"Make it and what it needs: {materialize(f'*{name}')}"
        ) from error
    except (DeltaError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        words = (str(error).splitlines() or [repr(error)])[0]  # without the library's stack trace
        raise DamagedTableError(
            f"{name}: the log of the table at {uri} cannot be read ({words}). Move its folder "
            "_delta_log away and materialise it again: its files are used again"
        ) from error
    if table.version() != newest.version() and (gone := _gone(found)):
        more = f" and {len(gone) - 1:,} more of its files are" if len(gone) > 1 else " is"
        raise MissingVersionError(
            f"{name}: version {version} cannot be read any more: {uri}/{gone[0]}{more} gone. Upkeep removes the "
            "files of a version that has not been the newest for longer than its retention_days (30 by default), and "
            "prune those that it is told to, unless something kept was made from them. Read a newer version, put the "
            "file back from a copy, or make this version again from its inputs"
        )
    return found


def files_of(table: DeltaTable, contents: Mapping[str, str] | None = None) -> list[DataFile]:
    """Return the Parquet files of an open Delta table, sorted by path, with their contents by path if given."""
    known = contents or {}
    return [DataFile(*row, content=known.get(row[0], "")) for row in _named(table)]


def _named(table: DeltaTable) -> list[tuple[str, int, int]]:
    """Return path, size and rows of each Parquet file, sorted by path: a third of the cost of `files_of`."""
    # Not by pa.table, which imports pandas to ask whether this is one of its data frames.
    actions = pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all()
    columns = actions.select(["path", "size_bytes", "num_records"]).sort_by("path").columns
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def recorded(uri: str, history: History, version: int) -> Provenance:
    """Return the newest record up to a version.

    Raises
    ------
    MissingTableError
        If no commit has one.
    """
    record = history.provenance(version)
    if record is None:
        raise MissingTableError(f"{uri} is a Delta table, but nothing in its history says what made it")
    return record


def _gone(snapshot: Snapshot) -> list[str]:
    """Return the paths of missing files."""
    fs, root = filesystem(snapshot.uri)
    found = fs.get_file_info([f"{root}/{file.path}" for file in snapshot.files])
    pairs = zip(snapshot.files, found, strict=True)
    return [file.path for file, info in pairs if info.type != pafs.FileType.File]


def _may_hold(file: ParquetFile, group: int, column: str, value: Any) -> bool:
    """Return whether a row group may have a value in a column, by its statistics."""
    statistics = file.metadata.row_group(group).column(file.schema_arrow.names.index(column)).statistics
    return not (statistics and statistics.has_min_max) or statistics.min <= value <= statistics.max
