"""Vacuum: removing the files of tables that no kept version needs.

A vacuum keeps all versions that were the newest one within the retention, and a minimum number of newest versions. It
keeps every version that a kept record names as input, and so on upstream. Of versions with the same rows, it keeps the
newest. Files younger than the retention stay, since a failed run left finished parts that the next one uses. The
manifest of a part without rows stays, since nothing shows whether it is wanted.

Delta Lake's own vacuum takes the manifests of parts for strays, and does not know lineage.

Belongs here: what is kept, and removing the rest. Does not belong here: when that is done (``operations/upkeep.py``).
"""

from __future__ import annotations

import contextlib
import posixpath
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import pyarrow.fs as pafs

from opengenome_assets.storage.commits import LOG_FOLDER
from opengenome_assets.storage.files import DamagedError, filesystem
from opengenome_assets.storage.mapped import has_mapped, mapped_of
from opengenome_assets.storage.parts import DATA, MANIFEST, find_part
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.seals import NOTE
from opengenome_assets.storage.tables import Home, Table

REMOVALS_PER_CHECK = 100  # of the lease


@dataclass(frozen=True)
class Removal:
    """The effect of a vacuum on a table, done or in a dry run.

    Attributes
    ----------
    files
        Paths below the table's folder, in the order of removal.
    folders
        Paths of folders that become empty.
    size
        Total bytes of the files.
    readable
        Versions that stay readable, by the numbers that lineage names.
    lost
        Versions that were readable before and no longer are.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]
    size: int
    readable: tuple[int, ...]
    lost: tuple[int, ...]


def kept_versions(home: Home, since: datetime, others: Iterable[Provenance], newest: int = 1) -> dict[str, set[int]]:
    """Return the versions of each table to keep.

    Parameters
    ----------
    home
        The home.
    since
        A version that was the newest at this moment or later is kept.
    others
        Records of figures, reports and pins. The versions that they name are kept.
    newest
        Minimum number of versions to keep per table, without those that only rearrange files.
    """
    histories = {name: home.table(name).history() for name in home.names()}
    kept = {
        name: history.newest_since(since) | set(list(history.layouts().values())[-newest:])
        for name, history in histories.items()
    }
    records = [
        *others,
        *(r for name, versions in kept.items() for v in versions if (r := histories[name].provenance(v))),
    ]
    while records:
        for name, given in records.pop().inputs.items():
            history = histories.get(name)
            if history is None or given.version not in history.versions:
                continue
            layout = history.layout(given.version)
            if layout not in kept[name]:
                kept[name].add(layout)
                records += [record] if (record := history.provenance(layout)) else []
    return kept


def vacuum(table: Table, kept: Collection[int], since: datetime, *, dry_run: bool = False) -> Removal:
    """Remove a table's files that are older than ``since`` and that no version in ``kept`` needs.

    A killed vacuum has removed only files that the next one would have removed. A dry run removes nothing.

    Raises
    ------
    LostLeaseError
        If another holder has taken the lease on the home. A retry helps.
    """
    uri = table.uri
    fs, root = filesystem(uri)
    infos: list[pafs.FileInfo] = fs.get_file_info(pafs.FileSelector(root, recursive=True))
    there = {info.path.removeprefix(f"{root}/"): info for info in infos}
    there = {path: info for path, info in there.items() if not path.startswith(LOG_FOLDER) and path != NOTE}
    files = {path: info for path, info in there.items() if info.type == pafs.FileType.File}

    def named(version: int) -> set[str]:
        return {file.path for file in table.named(version)}

    needed = {path for version in kept for path in named(version)}
    needed |= _mapped(table, kept)
    gone = _strays(uri, files, needed | {path for path, info in files.items() if info.mtime >= since})
    left = files.keys() - set(gone)
    readable, lost = [], []
    for version, layout in table.history().layouts().items():
        paths = named(layout)
        if paths <= left:
            readable.append(version)
        elif paths <= files.keys():
            lost.append(version)
    removal = Removal(
        files=tuple(gone),
        folders=tuple(_emptied(there, gone, since)),
        size=sum(files[path].size for path in gone),
        readable=tuple(readable),
        lost=tuple(lost),
    )
    if not dry_run:
        for number, path in enumerate(removal.files):
            if number % REMOVALS_PER_CHECK == 0:
                table.home.refuse_lost()
            with contextlib.suppress(FileNotFoundError):
                fs.delete_file(f"{root}/{path}")
        for path in removal.folders:
            with contextlib.suppress(FileNotFoundError):
                fs.delete_dir(f"{root}/{path}")
    return removal


def _mapped(table: Table, kept: Iterable[int]) -> set[str]:
    """Return the paths of the mapped files that kept versions use; none if such a version cannot be read."""
    needed: set[str] = set()
    for version in kept if has_mapped(table.uri) else ():
        with contextlib.suppress(LookupError, DamagedError):
            needed |= mapped_of(table.at(version))
    return needed


def _strays(uri: str, files: Iterable[str], needed: Set[str]) -> list[str]:
    """Return the files to remove: unneeded ones, and manifests of parts without a needed file."""
    gone = []
    for folder, run in groupby(sorted(files), key=posixpath.dirname):
        paths = set(run)
        manifest = f"{folder}/{MANIFEST}"
        data = {path for path in paths if path.endswith(DATA)}
        strays = paths - needed
        if not data or data & needed:
            strays.discard(manifest)
            if strays & data and (part := find_part(uri, folder)):  # files of either of two attempts may be in use
                strays -= {file.path for file in part.files}
        # The manifest goes first, so that a killed vacuum leaves no part with missing files.
        gone += sorted(strays, key=lambda path: (path != manifest, path))
    return gone


def _emptied(there: Mapping[str, pafs.FileInfo], gone: Collection[str], since: datetime) -> list[str]:
    """Return the old folders that become empty, inner before outer. An object store has none."""
    removed = set(gone)
    content = Counter(posixpath.dirname(path) for path in there if path not in removed)
    folders = []
    for path, info in sorted(there.items(), reverse=True):
        is_old_folder = info.type == pafs.FileType.Directory and info.mtime is not None and info.mtime < since
        if is_old_folder and not content[path]:
            folders.append(path)
            content[posixpath.dirname(path)] -= 1
    return folders
