"""A dry run: which files a source specification names, and what of them would have to be fetched.

Belongs here: what a run that lists source files would find and do, as plain values. Does not belong here: doing it.
Nothing is written and no file is fetched; of the Hub only listings are asked for. How it is shown is the command line's
business (``cli``).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from opengenome_assets.intake.hub.store import Plan, Store
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import list_source
from opengenome_assets.intake.verification import Checksums
from opengenome_assets.settings import local_home

LOCAL, STORED, MISSING = "local", "stored", "to fetch"


@dataclass(frozen=True)
class File:
    """A file that the specification names.

    Attributes
    ----------
    source, path, uri, revision
        As `opengenome_assets.intake.sources.SourceFile` has them.
    bytes
        Size as stored.
    sha256
        If it is known without reading the file.
    state
        ``local`` if it lies on this machine, ``stored`` if it was fetched before, else ``to fetch``.
    """

    source: str
    path: str
    uri: str
    bytes: int
    revision: str
    sha256: str | None
    state: str


@dataclass(frozen=True)
class Preview:
    """What a run would find.

    Attributes
    ----------
    source
        The specification.
    files, left_out
        The FASTA files, and the paths beside them that are none.
    commits
        Those of the Hub that the files are of.
    bytes, bytes_to_fetch
        Size of all files, and bytes still to fetch.
    store, bytes_free
        Where files of the Hub are kept, and the room on that disk; None if no file is of the Hub.
    """

    source: str
    files: list[File]
    left_out: list[str]
    commits: list[str]
    bytes: int
    bytes_to_fetch: int
    store: str | None
    bytes_free: int | None

    @property
    def fits(self) -> bool:
        """Whether the disk has room for what is to be fetched."""
        return self.bytes_free is None or self.bytes_to_fetch <= self.bytes_free


def preview(specification: str, home: str, *, sample: Path | None = None) -> Preview:
    """Say what a run with a source specification would find, as things are now.

    Parameters
    ----------
    specification
        As OPENGENOME_SOURCE takes it.
    home
        Root of everything the platform writes.
    sample
        The folder that the name ``sample`` stands for.

    Raises
    ------
    SourceError, RemoteError
        What would stop the run before its first file: see `opengenome_assets.intake.sources.list_source`.
    """
    listing = list_source(specification, FASTA, sample=sample)
    remote = [file.remote for file in listing.files if file.remote]
    store = Store(local_home(home) / "raw")
    plan = store.plan(remote) if remote else Plan((), (), 0)
    stored = {found.file.url: found.sha256 for found in plan.stored}
    checksums = Checksums(str(local_home(home) / "raw" / "checksums.json"))
    files = []
    for file in listing.files:
        if file.remote:
            sha256 = file.remote.sha256 or stored.get(file.uri)
            state = STORED if file.uri in stored else MISSING
        else:
            sha256, state = checksums.remembered(file.uri), LOCAL
        files.append(File(file.source, file.path, file.uri, file.size, file.revision, sha256, state))
    return Preview(
        source=specification,
        files=files,
        left_out=list(listing.skipped),
        commits=sorted({file.revision for file in listing.files if file.remote}),
        bytes=sum(file.size for file in listing.files),
        bytes_to_fetch=plan.to_fetch,
        store=str(store.root) if remote else None,
        bytes_free=_free(store.root) if remote else None,
    )


def _free(folder: Path) -> int:
    """Return the room on the disk that a folder is on, or will be."""
    return shutil.disk_usage(next(each for each in (folder, *folder.parents) if each.exists())).free
