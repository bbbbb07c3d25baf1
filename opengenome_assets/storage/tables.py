"""Homes and tables: Delta Lake tables whose rows come in parts.

Belongs here: a home, its tables, and committing parts as a version in one atomic transaction. Does not belong here: the
rows of any table (its group), reading a version (``snapshot.py``), writing parts (``parts.py``), which files they lie
in (``packs.py``), and removing files (``vacuum.py``).

A commit makes the table consist of exactly the given parts. Readers see the version before or the version after, and
every version stays readable until a vacuum removes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.fs as pafs
from deltalake import DeltaTable, Schema

from opengenome_assets.storage import commits
from opengenome_assets.storage.contents import content_of
from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.history import (
    CONTENTS_KEY,
    REARRANGED_KEY,
    RECORD_KEY,
    RESTORED_KEY,
    History,
    Restoration,
)
from opengenome_assets.storage.lease import Lease
from opengenome_assets.storage.packs import PackSizes, PartIndex, arrange, choose, write_pack
from opengenome_assets.storage.parts import DataFile, Part, find_part, write_part
from opengenome_assets.storage.record import Input, Provenance
from opengenome_assets.storage.seals import newest_noted, note_newest, refuse_lost_versions, sealed
from opengenome_assets.storage.snapshot import MissingVersionError, Snapshot, files_of, open_snapshot, recorded


@dataclass(frozen=True)
class Commit:
    """A table's state after a materialisation.

    Attributes
    ----------
    name, uri, version
        The table, its address, and the version that first held these rows, which lineage names.
    rows, size
        Rows, and bytes of Parquet, in that version.
    files, files_added, files_removed
        Parquet files in that version, and how many the commit added and removed. A commit without a change adds no
        version.
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
    """The number of Parquet files before and after a compaction, and the number of small parts packed."""

    files_before: int
    files_after: int
    parts_packed: int


class Named(Protocol):
    """The declaration of a table."""

    @property
    def name(self) -> str:
        """The table's name."""


@dataclass(frozen=True)
class Home:
    """Root of everything that the platform writes: a local folder, or a place in an object store.

    Parameters
    ----------
    uri
        An absolute path, or a URI.
    lease
        The run's lease on it; None for readers.
    """

    uri: str
    lease: Lease | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uri", self.uri.rstrip("/"))

    def refuse_lost(self) -> None:
        """Refuse to commit or remove anything after the lease on the home was lost. Without a lease, do nothing.

        Raises
        ------
        LostLeaseError
            If another holder has taken the lease. A retry of the whole work helps.
        OSError
            If the store refuses or does not answer. A retry can help.
        """
        if self.lease is not None:
            self.lease.refuse_lost()

    def table(self, table: str | Named) -> Table:
        """Return a handle on a table, by name or declaration. The table need not exist."""
        return Table(self, table if isinstance(table, str) else table.name)

    def names(self) -> list[str]:
        """Return the names of the tables that exist, sorted."""
        fs, root = filesystem(f"{self.uri}/tables")
        found = fs.get_file_info(pafs.FileSelector(root, allow_not_found=True))
        folders = (info.base_name for info in found if info.type == pafs.FileType.Directory)
        return sorted(name for name in folders if self.table(name).exists())


@dataclass(frozen=True)
class Table:
    """A handle on a table of a home, to read it, commit to it and restore it. It holds nothing open."""

    home: Home
    name: str

    @property
    def uri(self) -> str:
        """The table's address."""
        return f"{self.home.uri}/tables/{self.name}"

    def exists(self) -> bool:
        """Return whether the table exists."""
        return bool(DeltaTable.is_deltatable(self.uri))

    def at(self, version: int | None = None) -> Snapshot:
        """Open a version, by default the newest. Raises the errors of `open_snapshot`."""
        return open_snapshot(self.name, self.uri, version)

    def history(self) -> History:
        """Return the table's history. Raises the errors of `at`."""
        return self.at().history

    def provenance(self, version: int | None = None) -> Provenance:
        """Return the record of a version's origin, by default of the newest. Its files may be gone.

        Raises
        ------
        MissingTableError
            If there is no such table, or none of its commits has a record.
        """
        history = self.history()
        return recorded(self.uri, history, history.newest if version is None else version)

    def input(self) -> Input:
        """Return the newest version and data version, which a step that reads the table records."""
        return self.at().input

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the newest version: `Snapshot.read`."""
        return self.at().read(columns)

    def row_groups(self, columns: Sequence[str], where: tuple[str, Any] | None = None) -> Iterator[pa.Table]:
        """Read the newest version, row group by row group: `Snapshot.row_groups`."""
        return self.at().row_groups(columns, where)

    def named(self, version: int) -> list[DataFile]:
        """Return the Parquet files that the log names at a version, sorted by path. They may be gone."""
        return files_of(DeltaTable(self.uri, version=version))

    def parts(self) -> PartIndex:
        """Return an index of the finished parts, whether a version names them or not."""
        return PartIndex(self.uri)

    def commit(self, schema: pa.Schema, parts: Iterable[Part], provenance: Provenance) -> Commit:
        """Make the table consist of exactly these parts, in one atomic transaction.

        If it already does, with the same code, inputs and settings, no version is added. If another writer commits at
        the same time, the difference is taken again from that version.
        """
        wanted, entries = arrange(self.uri, list(parts)), {RECORD_KEY: provenance.model_dump_json()}
        return commits.until_committed(lambda: self._commit_once(schema, wanted, entries))

    def write(self, rows: pa.Table, provenance: Provenance, key: str | None = None) -> Commit:
        """Make the table hold exactly these rows, for small tables made in one piece.

        The part's key is the provenance's data version, unless another is given.
        """
        key = key or provenance.data_version
        part = find_part(self.uri, key) or write_part(self.uri, key, rows)
        return self.commit(rows.schema, [part], provenance)

    def restore(self, version: int, run_id: str) -> Commit:
        """Make the table hold the rows of an earlier version, with that version's record. No version is lost.

        If it already does, no version is added.

        Parameters
        ----------
        version
            The version to restore.
        run_id
            The run that restores it, for the commit.

        Raises
        ------
        MissingVersionError
            If there is no such version, or its files have been removed.
        """
        then = self.at(version)
        origin = then.history.origin(version)
        if origin.record is None:
            raise MissingVersionError(
                f"{self.name}: nothing says what made version {version}, so it cannot be restored"
            )
        entries = {RECORD_KEY: origin.record, RESTORED_KEY: json.dumps(asdict(Restoration(origin.number, run_id)))}
        return commits.until_committed(lambda: self._commit_once(then.schema, then.files, entries))

    def adopt(self, snapshot: Snapshot, provenance: Provenance) -> None:
        """Create the table from a snapshot of another home, whose files are already here."""
        entries = {RECORD_KEY: provenance.model_dump_json()}
        entries |= self._contents(snapshot.files)
        commits.create(self.uri, snapshot.schema, snapshot.files, sealed(entries, snapshot.files))
        note_newest(self.uri, self.history().newest)

    def compact(self, sizes: PackSizes, *, dry_run: bool = False) -> Compaction:
        """Compact small parts into packs. Rows and records stay the same. A dry run changes nothing."""
        return commits.until_committed(lambda: self._compact_once(sizes, dry_run))

    def _commit_once(self, schema: pa.Schema, wanted: Sequence[DataFile], entries: Mapping[str, str]) -> Commit:
        uri = self.uri
        data_version = Provenance.model_validate_json(entries[RECORD_KEY]).data_version
        noted = newest_noted(uri)
        table = DeltaTable(uri) if DeltaTable.is_deltatable(uri) else None
        if table:
            refuse_lost_versions(uri, table.version(), noted)
        present = files_of(table) if table else []
        before = History(table).provenance(table.version()) if table else None
        added, removed = _without(wanted, present), _without(present, wanted)
        self.home.refuse_lost()
        if table is None or Schema.from_arrow(schema) != table.schema():
            commits.create(uri, schema, wanted, sealed({**entries, **self._contents(wanted)}, wanted))
        elif added or removed or before is None or before.data_version != data_version:
            commits.replace(table, removed, added, sealed({**entries, **self._contents(added)}, wanted))
        history = History(DeltaTable(uri))
        note_newest(uri, history.newest)
        return Commit(
            name=self.name,
            uri=uri,
            version=history.current.number,
            rows=sum(file.rows for file in wanted),
            size=sum(file.size for file in wanted),
            files=len(wanted),
            files_added=len(added),
            files_removed=len(removed),
        )

    def _contents(self, files: Sequence[DataFile]) -> dict[str, str]:
        """Return the entry with the contents of files. Those that an older package wrote are read for it."""
        contents = {file.path: file.content or content_of(f"{self.uri}/{file.path}") for file in files}
        return {CONTENTS_KEY: json.dumps(contents)}

    def _compact_once(self, sizes: PackSizes, dry_run: bool) -> Compaction:
        now = self.at()
        files = now.files
        groups = choose(self.uri, files, sizes)
        packed = {file.path for group in groups for part in group for file in part.files}
        if groups and not dry_run:
            removed = [file for file in files if file.path in packed]
            added = [write_pack(self.uri, group) for group in groups]
            entries = {REARRANGED_KEY: f"{len(removed)} files put into {len(added)}", **self._contents(added)}
            metadata = sealed(entries, [*_without(files, removed), *added])
            self.home.refuse_lost()
            commits.replace(now.delta, removed, added, metadata, rearranged=True)
            note_newest(self.uri, self.history().newest)
        return Compaction(len(files), len(files) - len(packed) + len(groups), sum(map(len, groups)))


def _without(files: Sequence[DataFile], others: Sequence[DataFile]) -> list[DataFile]:
    paths = {file.path for file in others}
    return [file for file in files if file.path not in paths]
