"""Tables: Delta Lake tables whose rows come in parts.

Belongs here: committing parts as a table version in one transaction, and reading tables back with the record of what
made them. Does not belong here: what any table holds (its module under ``corpus``), writing parts (``parts.py``, which
Spark workers use), in which files they lie (``packs.py``), and what is removed when (``vacuum.py``).

A commit makes the table consist of exactly the given parts. Readers see the version before or the version after, and
every version stays readable until a vacuum removes it. Rows come in the order of their parts' keys, in whichever files
they lie.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError, TableNotFoundError
from pydantic import PrivateAttr

from opengenome_assets.storage import commits
from opengenome_assets.storage.columns import comment
from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.history import REARRANGED_KEY, RECORD_KEY, RESTORED_KEY, History, Restoration
from opengenome_assets.storage.lease import Lease
from opengenome_assets.storage.lock import only_writer
from opengenome_assets.storage.packs import PackSizes, arrange, choose, is_pack, open_pack, write_pack
from opengenome_assets.storage.parquet.file import open_parquet, open_row_groups
from opengenome_assets.storage.parts import DataFile, Part, find_part, write_part
from opengenome_assets.storage.record import Input, Provenance
from opengenome_assets.storage.seals import DamagedTableError, refuse_changed_files, sealed
from opengenome_assets.words import materialize


class MissingTableError(LookupError):
    """A table was asked for that nobody has made yet; materialising it helps, a retry does not."""


class MissingVersionError(LookupError):
    """A version was asked for that a table does not have, or has no longer; a retry does not help."""


@dataclass(frozen=True)
class Commit:
    """A table's state after a materialisation.

    Attributes
    ----------
    name, uri, version
        The table, where it lies, and the version that first held these rows: the one that lineage names.
    rows, size
        Rows, and bytes of Parquet, in that version.
    files, files_added, files_removed
        Parquet files in that version, and how the commit changed them; a commit that would have changed nothing
        leaves the version as it was, and both are 0.
    """

    name: str
    uri: str
    version: int
    rows: int
    size: int
    files: int
    files_added: int
    files_removed: int


@dataclass(frozen=True)
class Compaction:
    """Parquet files of a table before and after small parts were packed, and the number of these parts."""

    files_before: int
    files_after: int
    parts_packed: int


class Tables(dg.ConfigurableResource["Tables"]):
    """The tables under one root.

    Parameters
    ----------
    home
        Root of everything the platform writes; tables lie at ``home/tables/<name>``.
    """

    home: str
    _lease: Lease | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Tables]:
        """Wait until no other run writes to the same home, and keep others out while this one lasts."""
        if context.run is None:
            yield self
            return
        tell = context.log.info if context.log else lambda _: None
        with only_writer(self.home, f"run {context.run.run_id}", tell) as self._lease:
            try:
                yield self
            finally:
                self._lease = None

    def refuse_lost(self) -> None:
        """Refuse to commit or remove anything after the lease on the home was lost; without a run there is none.

        Raises
        ------
        LostLeaseError
            If another holder has taken the lease; a retry of the whole work helps.
        OSError
            If the store refuses or does not answer; a retry can help.
        """
        if self._lease is not None:
            self._lease.refuse_lost()

    def uri(self, name: str) -> str:
        """Return where a table lies."""
        return f"{self.home.rstrip('/')}/tables/{name}"

    def names(self) -> list[str]:
        """Return the names of the tables that exist, sorted."""
        fs, root = filesystem(f"{self.home.rstrip('/')}/tables")
        found = fs.get_file_info(pafs.FileSelector(root, allow_not_found=True))
        folders = (info.base_name for info in found if info.type == pafs.FileType.Directory)
        return sorted(name for name in folders if self.exists(name))

    def exists(self, name: str) -> bool:
        """Tell whether a table has been made."""
        return bool(DeltaTable.is_deltatable(self.uri(name)))

    def open(self, name: str, version: int | None = None) -> DeltaTable:
        """Open a table, at its newest version unless told; of versions that hold the same rows at the newest of them.

        Raises
        ------
        MissingTableError
            If it has not been made yet.
        MissingVersionError
            If there is no such version, or its files have been removed.
        """
        uri = self.uri(name)
        try:
            table = DeltaTable(uri)
            number = newest = table.version()
            if version not in (None, newest):
                history = History(table)
                if version not in history.versions:
                    raise MissingVersionError(
                        f"{name} has no version {version}; it has {min(history.versions)} to {history.newest}"
                    )
                number = history.layout(version)
                table = DeltaTable(uri, version=number)
            refuse_changed_files(uri, number, self.files(table))
        except TableNotFoundError as error:
            raise MissingTableError(
                f"{name} has not been made yet: there is no table at {uri}. "
                f"Make it and what it needs: {materialize(f'*{name}')}"
            ) from error
        except DeltaError as error:
            words = str(error).splitlines()[0]  # a stack trace of the library's follows
            raise DamagedTableError(
                f"{name}: the log of the table at {uri} cannot be read ({words}). Move its folder "
                "_delta_log away and materialise it again: its files are used again"
            ) from error
        if number != newest and (gone := self._gone(name, table)):
            more = f" and {len(gone) - 1:,} more of its files are" if len(gone) > 1 else " is"
            raise MissingVersionError(
                f"{name}: version {version} cannot be read any more: {uri}/{gone[0]}{more} gone. Upkeep removes the "
                "files of a version that has not been the newest for longer than its retention_days (30 unless set "
                "otherwise), and prune those it is told to, if nothing that is kept was made from it; if neither did, "
                "somebody else has. Read a newer version, put the file back from a copy, or make this version again "
                "from its inputs"
            )
        return table

    def _gone(self, name: str, table: DeltaTable) -> list[str]:
        """Return the paths of an open table's files that are not there."""
        fs, root = filesystem(self.uri(name))
        paths = [file.path for file in self.files(table)]
        found = fs.get_file_info([f"{root}/{path}" for path in paths])
        return [path for path, info in zip(paths, found, strict=True) if info.type != pafs.FileType.File]

    def read(self, name: str, columns: Sequence[str] | None = None, version: int | None = None) -> pa.Table:
        """Read a table, or some of its columns, into memory, in the order of its parts' keys."""
        table = self.open(name, version)
        schema = pa.schema(table.schema())
        if columns is not None:
            schema = pa.schema([schema.field(column) for column in columns])
        pieces = []
        # Neighbours in a pack are read at once.
        for path, run in groupby((file for _, file in self.pieces(name, table)), key=lambda file: file.path):
            spans = [file.row_groups for file in run]
            with open_parquet(f"{self.uri(name)}/{path}", shared=spans[0] is not None) as opened:
                groups = [group for span in spans for group in range(*(span or (0, opened.num_row_groups)))]
                pieces.append(opened.read_row_groups(groups, columns=schema.names).cast(schema))
        return pa.concat_tables([schema.empty_table(), *pieces])

    def row_groups(
        self,
        name: str,
        columns: Sequence[str],
        version: int | None = None,
        where: tuple[str, Any] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield some columns of a table, row group by row group, so that memory holds one of them.

        With ``where``, a column and a value, only the rows with that value; row groups that by their statistics have
        none are not read.
        """
        for _, file in self.pieces(name, self.open(name, version)):
            with open_row_groups(f"{self.uri(name)}/{file.path}", file.row_groups) as (opened, groups):
                for group in groups:
                    if where is None:
                        yield opened.read_row_group(group, columns=list(columns))
                    elif _may_hold(opened, group, *where):
                        column, value = where
                        rows = opened.read_row_group(group, columns=list({*columns, column}))
                        rows = rows.filter(pc.equal(rows[column], value))
                        if rows.num_rows:
                            yield rows.select(columns)

    def spread(self, name: str, columns: Sequence[str], most: int) -> pa.Table:
        """Read some columns of at most so many rows, evenly spread over a table, and no row groups without them."""
        table = self.open(name)
        total = sum(file.rows for file in self.files(table))
        places = np.linspace(0, total - 1, min(most, total)).astype(np.int64)
        taken = [pa.schema([pa.schema(table.schema()).field(column) for column in columns]).empty_table()]
        first = 0
        for _, file in self.pieces(name, table):
            group_first, first = first, first + file.rows
            if np.searchsorted(places, group_first) == np.searchsorted(places, first):
                continue
            with open_row_groups(f"{self.uri(name)}/{file.path}", file.row_groups) as (opened, groups):
                for group in groups:
                    end = group_first + opened.metadata.row_group(group).num_rows
                    here = places[np.searchsorted(places, group_first) : np.searchsorted(places, end)]
                    if len(here):
                        rows = opened.read_row_group(group, columns=list(columns))
                        taken.append(rows.take(pa.array(here - group_first)).cast(taken[0].schema))
                    group_first = end
        return pa.concat_tables(taken)

    def files(self, table: DeltaTable) -> list[DataFile]:
        """Return the Parquet files of an open table, sorted by path."""
        actions = pa.table(table.get_add_actions(flatten=True))
        rows = zip(*(actions[column].to_pylist() for column in ("path", "size_bytes", "num_records")), strict=True)
        return sorted((DataFile(*row) for row in rows), key=lambda file: file.path)

    def pieces(self, name: str, table: DeltaTable) -> list[tuple[str, DataFile]]:
        """Return what an open table consists of: keys of parts, and their files or ranges of packs, sorted by key.

        Raises
        ------
        DamagedFileError
            If a pack is not as it was written.
        """
        found: list[tuple[str, str, DataFile]] = []
        for file in self.files(table):
            if is_pack(file):
                for part in open_pack(self.uri(name), file).parts:
                    found += [(part.key, f"{number:05d}", piece) for number, piece in enumerate(part.files)]
            else:
                key, _, number = file.path.rpartition("/")
                found.append((key, number, file))
        return [(key, file) for key, _, file in sorted(found, key=lambda piece: piece[:2])]

    def history(self, name: str) -> History:
        """Return the history of a table."""
        return History(self.open(name))

    def provenance(self, name: str, version: int | None = None) -> Provenance:
        """Return the record of what made a table.

        Raises
        ------
        MissingTableError
            If there is no such table, or none of its commits carries a record.
        """
        history = self.history(name)
        record = history.provenance(history.newest if version is None else version)
        if record is None:
            raise MissingTableError(f"{self.uri(name)} is a Delta table, but nothing in its history says what made it")
        return record

    def input(self, name: str) -> Input:
        """Return what a step records of a table that it reads; reading that version, it reads what it recorded."""
        version = self.history(name).current.number
        return Input(version=version, data_version=self.provenance(name, version).data_version)

    def commit(self, name: str, schema: pa.Schema, parts: Iterable[Part], provenance: Provenance) -> Commit:
        """Make a table consist of exactly these parts, in one transaction.

        If the table already consists of them, and was made with the same code, inputs and settings, no version is
        added. If somebody else commits at the same time, the difference is worked out again on top of their version.
        """
        wanted, said = arrange(self.uri(name), list(parts)), {RECORD_KEY: provenance.model_dump_json()}
        return commits.until_committed(lambda: self._commit_once(name, schema, wanted, said))

    def write(self, name: str, rows: pa.Table, provenance: Provenance, key: str | None = None) -> Commit:
        """Make a table hold exactly these rows: for tables small enough to be made in one piece.

        The part's key is the provenance's data version, unless another is given.
        """
        key = key or provenance.data_version
        part = find_part(self.uri(name), key) or write_part(self.uri(name), key, rows)
        return self.commit(name, rows.schema, [part], provenance)

    def restore(self, name: str, version: int, run_id: str) -> Commit:
        """Make a table consist of what an earlier version holds, with that version's record; nothing is lost.

        Adds no version if the table holds and says just that already.

        Parameters
        ----------
        name, version
            The table, and the version whose rows it shall have.
        run_id
            The run that restores it, for the commit.

        Raises
        ------
        MissingVersionError
            If there is no such version, or its files have been removed.
        """
        table = self.open(name, version)
        wanted, schema = self.files(table), pa.schema(table.schema())
        origin = self.history(name).origin(version)
        if origin.record is None:
            raise MissingVersionError(f"{name}: nothing says what made version {version}, so it cannot be restored")
        said = {RECORD_KEY: origin.record, RESTORED_KEY: json.dumps(asdict(Restoration(origin.number, run_id)))}
        return commits.until_committed(lambda: self._commit_once(name, schema, wanted, said))

    def compact(self, name: str, sizes: PackSizes, *, dry_run: bool = False) -> Compaction:
        """Pack small parts together; the rows and what is said of them stay as they are. A dry run changes nothing."""
        return commits.until_committed(lambda: self._compact_once(name, sizes, dry_run))

    def _commit_once(self, name: str, schema: pa.Schema, wanted: Sequence[DataFile], said: Mapping[str, str]) -> Commit:
        uri, metadata = self.uri(name), sealed(said, wanted)
        made = Provenance.model_validate_json(said[RECORD_KEY]).data_version
        table = DeltaTable(uri) if DeltaTable.is_deltatable(uri) else None
        present = self.files(table) if table else []
        recorded = History(table).provenance(table.version()) if table else None
        added, removed = _without(wanted, present), _without(present, wanted)
        self.refuse_lost()
        if table is None or Schema.from_arrow(schema) != table.schema():
            commits.create(uri, schema, wanted, metadata)
        elif added or removed or recorded is None or recorded.data_version != made:
            commits.replace(table, removed, added, metadata)
        return Commit(
            name=name,
            uri=uri,
            version=self.history(name).current.number,
            rows=sum(file.rows for file in wanted),
            size=sum(file.size for file in wanted),
            files=len(wanted),
            files_added=len(added),
            files_removed=len(removed),
        )

    def _compact_once(self, name: str, sizes: PackSizes, dry_run: bool) -> Compaction:
        uri, table = self.uri(name), self.open(name)
        files = self.files(table)
        groups = choose(uri, files, sizes)
        packed = {file.path for group in groups for part in group for file in part.files}
        if groups and not dry_run:
            removed = [file for file in files if file.path in packed]
            added = [write_pack(uri, group).file for group in groups]
            said = {REARRANGED_KEY: f"{len(removed)} files put into {len(added)}"}
            metadata = sealed(said, [*_without(files, removed), *added])
            self.refuse_lost()
            commits.replace(table, removed, added, metadata, rearranged=True)
        return Compaction(len(files), len(files) - len(packed) + len(groups), sum(map(len, groups)))


def _without(files: Sequence[DataFile], others: Sequence[DataFile]) -> list[DataFile]:
    paths = {file.path for file in others}
    return [file for file in files if file.path not in paths]


def _may_hold(file: pq.ParquetFile, group: int, column: str, value: Any) -> bool:
    """Tell whether a row group can have a value in a column, as far as its statistics say."""
    statistics = file.metadata.row_group(group).column(file.schema_arrow.names.index(column)).statistics
    return not (statistics and statistics.has_min_max) or statistics.min <= value <= statistics.max


def describe(schema: pa.Schema) -> dg.TableSchema:
    """Return a table's columns, types and descriptions in Dagster's form."""
    return dg.TableSchema(
        columns=[dg.TableColumn(field.name, str(field.type), description=comment(field)) for field in schema]
    )
