"""Vacuum: removing the files of tables that nothing kept needs.

Kept are the versions of a table that were the newest at some time within the retention, a number of the newest, and
every version that the record of something kept names as input, and so on upstream. Of versions that hold the same rows,
the newest stands for those named. Files younger than the retention stay, whoever wrote them: a run that failed left
finished parts that the next one uses. The manifest of a part without rows stays: nothing tells whether it is wanted,
and it takes no room.

Delta Lake's own vacuum cannot serve: it takes the manifests of parts for strays, and knows nothing of lineage.

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

from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.parts import MANIFEST, find_part
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home, Table

LOG = "_delta_log"
CHECKED = 100  # removals between two looks at the lease


@dataclass(frozen=True)
class Removal:
    """What a vacuum removed from a table, or would have removed.

    Attributes
    ----------
    files
        Paths below the table's folder, in the order of removal.
    folders
        Those that are empty then.
    size
        Bytes of these files together.
    readable
        The versions whose rows can be read then, by the numbers that lineage names.
    lost
        Those whose rows could be read before, and then cannot.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]
    size: int
    readable: tuple[int, ...]
    lost: tuple[int, ...]


def kept_versions(home: Home, since: datetime, made: Iterable[Provenance], newest: int = 1) -> dict[str, set[int]]:
    """Return the versions of each table that are to be kept.

    Parameters
    ----------
    home
        The home.
    since
        A version that was the newest at this moment or later is kept.
    made
        Records of what else there is (figures, reports, pins); the versions that they name are kept.
    newest
        So many versions of each table are kept however old, the newest ones; those that only rearrange do not count.
    """
    histories = {name: home.table(name).history() for name in home.names()}
    kept = {
        name: history.newest_since(since) | set(list(history.layouts().values())[-newest:])
        for name, history in histories.items()
    }
    records = [*made, *(r for name, versions in kept.items() for v in versions if (r := histories[name].provenance(v)))]
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

    A vacuum that is killed has removed only what the next one would have removed. A dry run removes nothing.

    Raises
    ------
    LostLeaseError
        If another holder has taken the lease on the home; a retry helps.
    """
    uri = table.uri
    fs, root = filesystem(uri)
    infos: list[pafs.FileInfo] = fs.get_file_info(pafs.FileSelector(root, recursive=True))
    there = {info.path.removeprefix(f"{root}/"): info for info in infos}
    there = {path: info for path, info in there.items() if not path.startswith(LOG)}
    files = {path: info for path, info in there.items() if info.type == pafs.FileType.File}

    def named(version: int) -> set[str]:
        return {file.path for file in table.named(version)}

    needed = {path for version in kept for path in named(version)}
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
            if number % CHECKED == 0:
                table.home.refuse_lost()
            with contextlib.suppress(FileNotFoundError):
                fs.delete_file(f"{root}/{path}")
        for path in removal.folders:
            with contextlib.suppress(FileNotFoundError):
                fs.delete_dir(f"{root}/{path}")
    return removal


def _strays(uri: str, files: Iterable[str], needed: Set[str]) -> list[str]:
    """Return the files that go: those not needed, and the manifests of parts none of whose files is needed."""
    gone = []
    for folder, run in groupby(sorted(files), key=posixpath.dirname):
        paths = set(run)
        manifest = f"{folder}/{MANIFEST}"
        data = {path for path in paths if path.endswith(".parquet")}
        strays = paths - needed
        if not data or data & needed:
            strays.discard(manifest)
            if strays & data and (part := find_part(uri, folder)):  # of two attempts, each may be in use
                strays -= {file.path for file in part.files}
        # The manifest first: what is left, if this is killed, is no part.
        gone += sorted(strays, key=lambda path: (path != manifest, path))
    return gone


def _emptied(there: Mapping[str, pafs.FileInfo], gone: Collection[str], since: datetime) -> list[str]:
    """Return the old folders, inner before outer, that hold nothing then; an object store has none."""
    removed = set(gone)
    content = Counter(posixpath.dirname(path) for path in there if path not in removed)
    folders = []
    for path, info in sorted(there.items(), reverse=True):
        is_old_folder = info.type == pafs.FileType.Directory and info.mtime is not None and info.mtime < since
        if is_old_folder and not content[path]:
            folders.append(path)
            content[posixpath.dirname(path)] -= 1
    return folders
