"""Tables: Delta Lake tables whose rows come in parts.

Belongs here: committing parts as a table version in one transaction, and reading tables back with the record of what
made them. Does not belong here: what any table holds (its module under ``corpus``), and writing parts (``parts.py``,
which Spark workers use).

A commit makes the table's files exactly those of the given parts. Readers see the version before or the version after,
and every version stays readable until a vacuum removes it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions
from pydantic import PrivateAttr

from opengenome_assets.provenance import Input, Provenance
from opengenome_assets.resources.files import filesystem
from opengenome_assets.resources.parts import DataFile, Part, find_part, open_parquet, write_part
from opengenome_assets.resources.schemas import comment

COMMIT_KEY = "opengenome"
LOCK_POLL_SECONDS = 0.5
# Lineage is in the commits, so the log is kept.
CONFIGURATION: dict[str, str | None] = {"delta.logRetentionDuration": "interval 36500 days"}


class MissingTableError(LookupError):
    """A table was asked for that nobody has made yet; materialising it helps, a retry does not."""


class DamagedTableError(OSError):
    """A table's log cannot be read; what the message says helps, a retry does not."""


@dataclass(frozen=True)
class Commit:
    """A table's state after a materialisation.

    Attributes
    ----------
    name, uri, version
        The table, where it lies, and its Delta version.
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


class Tables(dg.ConfigurableResource["Tables"]):
    """The tables under one root.

    Parameters
    ----------
    home
        Root of everything the platform writes; tables lie at ``home/tables/<name>``.
    """

    home: str
    _lock: int | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Wait until no other run writes to the same home: each shall build on what it made itself."""
        if "://" in self.home or context.run is None:
            return
        Path(self.home).mkdir(parents=True, exist_ok=True)
        # The system releases the lock if this process dies.
        self._lock = os.open(Path(self.home, ".lock"), os.O_RDWR | os.O_CREAT)
        told = False
        while not _locked(self._lock):
            if context.log and not told:
                holder = os.pread(self._lock, 100, 0).decode()
                context.log.info(f"{self.home} is in use: waiting for run {holder} to end")
            told = True
            time.sleep(LOCK_POLL_SECONDS)
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, context.run.run_id.encode(), 0)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Let the next run in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

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
        """Open a table, at its newest version unless told.

        Raises
        ------
        MissingTableError
            If it has not been made yet.
        """
        try:
            return DeltaTable(self.uri(name), version=version)
        except TableNotFoundError as error:
            raise MissingTableError(
                f"{name} has not been made yet: there is no table at {self.uri(name)}. "
                f"Make it and what it needs: dagster asset materialize --select '*{name}'"
            ) from error
        except DeltaError as error:
            words = str(error).splitlines()[0]  # a stack trace of the library's follows
            raise DamagedTableError(
                f"{name}: the log of the table at {self.uri(name)} cannot be read ({words}). Move its folder "
                "_delta_log away and materialise it again: its files are used again"
            ) from error

    def read(self, name: str, columns: Sequence[str] | None = None, version: int | None = None) -> pa.Table:
        """Read a table, or some of its columns, into memory, file by file in the order of their paths."""
        table = self.open(name, version)
        schema = pa.schema(table.schema())
        if columns is not None:
            schema = pa.schema([schema.field(column) for column in columns])
        pieces = []
        for file in self.files(table):
            with open_parquet(f"{self.uri(name)}/{file.path}") as opened:
                pieces.append(opened.read(columns=schema.names).cast(schema))
        return pa.concat_tables([schema.empty_table(), *pieces])

    def row_groups(
        self,
        name: str,
        columns: Sequence[str],
        version: int | None = None,
        where: tuple[str, Any] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield some columns of a table, row group by row group, so that memory holds one of them.

        With ``where``, a column and a value, only the rows with that value, and of other row groups only that column
        is read.
        """
        for file in self.files(self.open(name, version)):
            with open_parquet(f"{self.uri(name)}/{file.path}") as opened:
                for group in range(opened.num_row_groups):
                    if where is None:
                        yield opened.read_row_group(group, columns=list(columns))
                        continue
                    column, value = where
                    wanted = pc.equal(opened.read_row_group(group, columns=[column])[column], value)
                    if pc.any(wanted).as_py():
                        yield opened.read_row_group(group, columns=list(columns)).filter(wanted)

    def files(self, table: DeltaTable) -> list[DataFile]:
        """Return the files of an open table, sorted by path."""
        actions = pa.table(table.get_add_actions(flatten=True))
        rows = zip(*(actions[column].to_pylist() for column in ("path", "size_bytes", "num_records")), strict=True)
        return sorted((DataFile(*row) for row in rows), key=lambda file: file.path)

    def provenance(self, name: str, version: int | None = None) -> Provenance:
        """Return the record of what made a table.

        Raises
        ------
        MissingTableError
            If there is no such table, or none of its commits carries a record.
        """
        table = self.open(name)  # the newest: delta-rs numbers the history of an older version wrongly
        for commit in table.history():
            if COMMIT_KEY in commit and (version is None or commit["version"] <= version):
                return Provenance.model_validate_json(commit[COMMIT_KEY])
        raise MissingTableError(f"{self.uri(name)} is a Delta table, but nothing in its history says what made it")

    def input(self, name: str) -> Input:
        """Return what a step records of a table that it reads; reading that version, it reads what it recorded."""
        version = self.open(name).version()
        return Input(version=version, data_version=self.provenance(name, version).data_version)

    def commit(self, name: str, schema: pa.Schema, parts: Iterable[Part], provenance: Provenance) -> Commit:
        """Make a table consist of exactly these parts, in one transaction.

        If the table already consists of them, and was made with the same code, inputs and settings, no version is
        added. If somebody else commits at the same time, the difference is worked out again on top of their version.
        """
        wanted = {file.path: file for part in parts for file in part.files}
        attempts = 10
        for attempt in range(attempts):
            try:
                return self._commit_once(name, schema, wanted, provenance)
            except (CommitFailedError, TableExistsError):
                if attempt == attempts - 1:
                    raise
                time.sleep(0.05 * 2**attempt)
        raise AssertionError("unreachable")

    def write(self, name: str, rows: pa.Table, provenance: Provenance, key: str | None = None) -> Commit:
        """Make a table hold exactly these rows: for tables small enough to be made in one piece.

        The part's key is the provenance's data version, unless another is given.
        """
        key = key or provenance.data_version
        part = find_part(self.uri(name), key) or write_part(self.uri(name), key, rows)
        return self.commit(name, rows.schema, [part], provenance)

    def _commit_once(self, name: str, schema: pa.Schema, wanted: dict[str, DataFile], provenance: Provenance) -> Commit:
        uri = self.uri(name)
        properties = CommitProperties(
            custom_metadata={COMMIT_KEY: provenance.model_dump_json()},
            max_commit_retries=0,  # a blind retry would add a part twice: the difference has to be taken again
        )
        table = DeltaTable(uri) if DeltaTable.is_deltatable(uri) else None
        present = {file.path: file for file in self.files(table)} if table else {}
        added = [file for path, file in wanted.items() if path not in present]
        removed = [file for path, file in present.items() if path not in wanted]
        now = int(time.time() * 1000)

        if table is None or Schema.from_arrow(schema) != table.schema():
            fs, root = filesystem(uri)
            fs.create_dir(root, recursive=True)
            try:
                create_table_with_add_actions(
                    uri,
                    Schema.from_arrow(schema),
                    [_add(file, now) for file in wanted.values()],
                    mode="error" if table is None else "overwrite",
                    name=name,
                    configuration=CONFIGURATION,
                    commit_properties=properties,
                )
            except DeltaError as error:
                if table is None and DeltaTable.is_deltatable(uri):
                    raise TableExistsError(name) from error
                raise
        elif added or removed or self.provenance(name).data_version != provenance.data_version:
            table.create_write_transaction(
                [_add(file, now) for file in added] + [_remove(file, now) for file in removed],
                mode="append",
                schema=table.schema(),
                commit_properties=properties,
            )
        return Commit(
            name=name,
            uri=uri,
            version=DeltaTable(uri).version(),
            rows=sum(file.rows for file in wanted.values()),
            size=sum(file.size for file in wanted.values()),
            files=len(wanted),
            files_added=len(added),
            files_removed=len(removed),
        )


class TableExistsError(RuntimeError):
    """Somebody else created the table in the meantime."""


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _add(file: DataFile, now: int) -> AddAction:
    return AddAction(file.path, file.size, {}, now, True, json.dumps({"numRecords": file.rows}))


def _remove(file: DataFile, now: int) -> RemoveAction:
    return RemoveAction(file.path, True, now, size=file.size, partition_values={})


def describe(schema: pa.Schema) -> dg.TableSchema:
    """Return a table's columns, types and descriptions in Dagster's form."""
    return dg.TableSchema(
        columns=[dg.TableColumn(field.name, str(field.type), description=comment(field)) for field in schema]
    )
