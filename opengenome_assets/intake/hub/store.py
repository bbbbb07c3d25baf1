"""The store: verified files on the local disk, each known by the digest of its bytes.

Belongs here: which files are there, fetching those that are not, and publishing what arrived.
Does not belong here: what a file's address means (``hub.py``) and the way of one file here (``download.py``).

A file is published at ``objects/sha256/<2 digits>/<digest>`` by one rename, after its digest was found right, and never
changed after that. A file known by its git blob id only has a link to it at ``objects/git/<2 digits>/<id>``. What was
received of the others lies in ``partial/``; whoever holds the lock on such a file is the one to continue it.
"""

from __future__ import annotations

import io
import os
import shutil
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from opengenome_assets.intake.hub.download import Download, RemoteFile, StoppedError, Work, locked
from opengenome_assets.intake.hub.request import Access, Patience, RemoteError, TransferError, WrongContentError

REPORT_SECONDS = 30.0


@dataclass(frozen=True)
class Stored:
    """A file of the store.

    Attributes
    ----------
    file
        The file it was asked for.
    path
        Where its bytes lie.
    sha256
        Their SHA-256.
    fetched, reused
        Bytes that came over the network, and bytes that were there before.
    seconds
        Time it took.
    """

    file: RemoteFile
    path: Path
    sha256: str
    fetched: int
    reused: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What fetching some files would mean.

    Attributes
    ----------
    stored
        Those that are there.
    missing
        Those that are not, each content once.
    to_fetch
        Bytes still to come, without what was already received of them.
    """

    stored: tuple[Stored, ...]
    missing: tuple[RemoteFile, ...]
    to_fetch: int


class FetchError(RemoteError):
    """Files could not be fetched; the message names them."""


class Store:
    """A content-addressed store in a local folder, which any number of processes may share.

    Parameters
    ----------
    root
        The folder; made when the first file comes.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def find(self, file: RemoteFile) -> Stored | None:
        """Return a file if it is there."""
        path = self._address(file).resolve()
        try:
            there = path.stat().st_size == file.size
        except OSError:
            return None
        return Stored(file, path, path.name, 0, file.size, 0.0) if there else None

    def plan(self, files: Iterable[RemoteFile]) -> Plan:
        """Say what is there and what fetching the rest would cost; changes nothing."""
        stored: list[Stored] = []
        missing: dict[str, RemoteFile] = {}
        for file in files:
            if found := self.find(file):
                stored.append(found)
            else:
                missing.setdefault(file.identity, file)
        to_fetch = sum(file.size - min(file.size, self._received(file)) for file in missing.values())
        return Plan(tuple(stored), tuple(missing.values()), to_fetch)

    def fetch(
        self,
        files: Sequence[RemoteFile],
        *,
        access: Access | None = None,
        log: Callable[[str], None] = lambda _: None,
        workers: int = 4,
        patience: Patience | None = None,
    ) -> list[Stored]:
        """Make files available, fetching those that are not there.

        What was received before a failure, in this process or another, is not fetched again. A file whose content
        turns out wrong is fetched a second time from its start, and never published while it is wrong.

        Parameters
        ----------
        files
            The files; the same content may stand there more than once.
        access
            How to ask the server.
        log
            Called with progress and with every failure that is tried again; from several threads.
        workers
            Files fetched at once.
        patience
            How long to bear with the network.

        Returns
        -------
        list of Stored
            One a file, in the order given.

        Raises
        ------
        FetchError
            If the disk is too small or a file cannot be had. One bad file does not keep others from being fetched;
            a server that refuses or is not reached, and a full disk, do.
        """
        began = time.monotonic()
        plan = self.plan(files)
        self._refuse_small_disk(plan)
        work = Work(access or Access(), patience or Patience(), log)
        with ThreadPoolExecutor(workers, thread_name_prefix="fetch") as pool:
            try:
                futures = [pool.submit(self._fetch, file, work) for file in plan.missing]
                while wait(futures, REPORT_SECONDS).not_done:
                    left = self.plan(plan.missing).to_fetch
                    rate = (plan.to_fetch - left) / (time.monotonic() - began) / 1e6
                    log(f"{left / 1e9:,.3f} of {plan.to_fetch / 1e9:,.3f} GB still to come, {rate:,.1f} MB/s")
            except BaseException:
                work.stop.set()
                raise
        errors = [error for future in futures if (error := future.exception())]
        if failed := [error for error in errors if not isinstance(error, StoppedError)]:
            raise _together(failed)
        new = {future.result().file: future.result() for future in futures}
        return [new.get(file) or self._found(file) for file in files]

    def remove_all_but(self, needed: Collection[str], before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        """Remove the files whose SHA-256 is none of those needed and that came before a moment.

        Returns
        -------
        tuple
            Number of files, and their bytes. A dry run removes none.
        """
        gone = {
            path: path.stat().st_size
            for path in (self.root / "objects" / "sha256").glob("*/*")
            if path.name not in needed and path.stat().st_mtime < before.timestamp()
        }
        if not dry_run:
            # A link that leads nowhere is no file of the store.
            for path in gone:
                path.unlink(missing_ok=True)
        return len(gone), sum(gone.values())

    def _fetch(self, file: RemoteFile, work: Work) -> Stored:
        try:
            work.go_on()
            return self._fetch_locked(file, work)
        except FetchError:
            raise
        except TransferError as error:
            # Another file of the same server may exist where this one does not; all else concerns every file.
            if error.status not in (404, 410):
                work.stop.set()
            advice = ". What was received is kept; run again to continue" if error.passing else ""
            raise FetchError(f"{file.path}: {error} ({file.url}){advice}", passing=error.passing) from None
        except OSError as error:
            work.stop.set()
            raise FetchError(
                f"{file.path}: cannot be written below {self.root} ({error.strerror or error}). What was received is "
                "kept; make room or give yourself the right to write there, then run again",
                passing=False,
            ) from error

    def _fetch_locked(self, file: RemoteFile, work: Work) -> Stored:
        began = time.monotonic()
        path = self._partial(file)
        with locked(path, file, work) as partial:
            if stored := self.find(file):  # by another process, while this one waited
                path.unlink(missing_ok=True)
                return stored
            download = Download(file, partial, work)
            try:
                sha256 = download.complete()
            except WrongContentError as error:
                work.log(f"{file.path}: {error}; fetching it again from its start")
                try:
                    sha256 = download.complete(anew=True)
                except WrongContentError as again:
                    path.unlink(missing_ok=True)
                    raise FetchError(
                        f"{file.path}: wrong content twice: {again} ({file.url}). Nothing of it was kept. "
                        "Run again later; if it stays so, its publisher has to upload it again",
                        passing=False,
                    ) from None
            self._publish(file, path, sha256, partial)
        address = self.address(sha256)
        return Stored(file, address, sha256, download.fetched, download.reused, time.monotonic() - began)

    def _publish(self, file: RemoteFile, path: Path, sha256: str, partial: io.FileIO) -> None:
        os.fsync(partial.fileno())
        address = self.address(sha256)
        address.parent.mkdir(parents=True, exist_ok=True)
        path.replace(address)
        os.fchmod(partial.fileno(), 0o444)
        if file.sha256 is None:
            link, aside = self._address(file), self.root / "partial" / f"{uuid.uuid4().hex}.link"
            link.parent.mkdir(parents=True, exist_ok=True)
            aside.symlink_to(os.path.relpath(address, link.parent))
            aside.replace(link)

    def _found(self, file: RemoteFile) -> Stored:
        stored = self.find(file)
        if stored is None:
            raise FetchError(f"{file.path}: was removed from {self.root} meanwhile; run again", passing=True)
        return stored

    def address(self, sha256: str) -> Path:
        """Return where the bytes with that digest lie, or would."""
        return self.root / "objects" / "sha256" / sha256[:2] / sha256

    def _address(self, file: RemoteFile) -> Path:
        kind, digest = file.identity.split("-")
        return self.root / "objects" / kind / digest[:2] / digest

    def _partial(self, file: RemoteFile) -> Path:
        return self.root / "partial" / file.identity

    def _received(self, file: RemoteFile) -> int:
        try:
            return self._partial(file).stat().st_size
        except OSError:
            # Published since it was listed as missing, or not begun.
            return file.size if self.find(file) else 0

    def _refuse_small_disk(self, plan: Plan) -> None:
        if not plan.missing:
            return
        try:
            (self.root / "partial").mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.root).free
        except OSError as error:
            raise FetchError(f"{self.root}: cannot be used as store ({error.strerror})", passing=False) from error
        if free < plan.to_fetch:
            raise FetchError(
                f"{len(plan.missing):,} files to fetch need {plan.to_fetch:,} bytes, but the disk of {self.root} has "
                f"{free:,} free. Free at least {plan.to_fetch - free:,} bytes, choose fewer files, or put the store on "
                "a larger disk",
                passing=False,
            )


def _together(errors: list[BaseException]) -> BaseException:
    """Return one error that names all files that failed."""
    unexpected = [error for error in errors if not isinstance(error, FetchError)]
    if unexpected or len(errors) == 1:
        return (unexpected or errors)[0]
    more = f"\n… and {len(errors) - 10:,} more" if len(errors) > 10 else ""
    return FetchError(
        f"{len(errors):,} files could not be fetched:\n" + "\n".join(str(error) for error in errors[:10]) + more,
        passing=any(isinstance(error, FetchError) and error.passing for error in errors),
    )
