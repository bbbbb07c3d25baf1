"""Dry run: the files that a source specification names, and the bytes still to fetch.

Belongs here: the files that a run would find, as plain values. Nothing is written or fetched; the Hub is asked for
listings only. Does not belong here: how they are shown (``cli``).
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
        As in `opengenome_assets.intake.sources.SourceFile`.
    bytes
        Size as stored.
    sha256
        None if the file must be read for it.
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
    """The files that a run would find.

    Attributes
    ----------
    source
        The specification.
    files, left_out
        The FASTA files, and the paths of other files.
    commits
        The commits of files from the Hub.
    bytes, bytes_to_fetch
        Size of all files, and bytes still to fetch.
    store, bytes_free
        The folder for files of the Hub, and the free bytes on its disk; None if no file is from the Hub.
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
        """Whether the disk has room for the bytes to fetch."""
        return self.bytes_free is None or self.bytes_to_fetch <= self.bytes_free


def preview(specification: str, home: str, *, sample: Path | None = None) -> Preview:
    """Return the files that a run with a source specification would find now.

    Parameters
    ----------
    specification
        A specification as in OPENGENOME_SOURCE.
    home
        Root of everything the platform writes.
    sample
        The folder that the name ``sample`` stands for.

    Raises
    ------
    SourceError, RemoteError
        If the run would stop before its first file: see `opengenome_assets.intake.sources.list_source`.
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
    """Return the free bytes on the disk of a folder, which need not exist."""
    return shutil.disk_usage(next(each for each in (folder, *folder.parents) if each.exists())).free
