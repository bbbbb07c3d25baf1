"""The store: verified files on the local disk, content-addressed by the digest of their bytes.

Belongs here: which files are there, fetching those that are missing, and publishing them. Does not belong here: the
meaning of an address (``listing.py``), and the download of one file (``download.py``).

A file is published at ``objects/sha256/<2 digits>/<digest>`` by one atomic rename, after its digest was verified. It
never changes after that. A file known only by its git blob id also has a link at ``objects/git/<2 digits>/<id>``.
Incomplete files lie in ``partial/``; the process that holds the lock on such a file continues it.
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

from opengenome_assets.intake.hub.download import Batch, Download, RemoteFile, StoppedError, locked
from opengenome_assets.intake.hub.request import Access, Patience, RemoteError, TransferError, WrongContentError

REPORT_SECONDS = 30.0


@dataclass(frozen=True)
class Stored:
    """A file of the store.

    Attributes
    ----------
    file
        The remote file.
    path
        The local file with its bytes.
    sha256
        SHA-256 of the bytes.
    fetched, reused
        Bytes downloaded now, and bytes that were there before.
    seconds
        Seconds that the download took.
    """

    file: RemoteFile
    path: Path
    sha256: str
    fetched: int
    reused: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """The state of some files in the store, before fetching.

    Attributes
    ----------
    stored
        Files that are there.
    missing
        Files that are not, each content once.
    to_fetch
        Bytes still to download.
    """

    stored: tuple[Stored, ...]
    missing: tuple[RemoteFile, ...]
    to_fetch: int


class FetchError(RemoteError):
    """Files could not be fetched; the message names them."""


class Store:
    """A content-addressed store in a local folder. Any number of processes may share it.

    Parameters
    ----------
    root
        The folder, created with the first file.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def find(self, file: RemoteFile) -> Stored | None:
        """Return a file; None if it is not there."""
        path = self._address(file).resolve()
        try:
            there = path.stat().st_size == file.size
        except OSError:
            return None
        return Stored(file, path, path.name, 0, file.size, 0.0) if there else None

    def plan(self, files: Iterable[RemoteFile]) -> Plan:
        """Return which files are there, and the bytes still to download; changes nothing."""
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
        """Return files from the store, and fetch those that are missing.

        Bytes received before a failure, by this process or another, are not fetched again. A file with a wrong digest
        is fetched once more from its start, and never published with a wrong digest.

        Parameters
        ----------
        files
            The files; the same content may occur more than once.
        access
            Credentials for the server.
        log
            Called from several threads with progress, and with every failure before its retry.
        workers
            Number of files fetched at once.
        patience
            The retry policy.

        Returns
        -------
        list of Stored
            One per file, in the given order.

        Raises
        ------
        FetchError
            If the disk is too small or a file cannot be fetched. A full disk, or a server that refuses or does not
            answer, ends the batch. One bad file does not.
        """
        began = time.monotonic()
        plan = self.plan(files)
        self._refuse_small_disk(plan)
        batch = Batch(access or Access(), patience or Patience(), log)
        with ThreadPoolExecutor(workers, thread_name_prefix="fetch") as pool:
            try:
                futures = [pool.submit(self._fetch, file, batch) for file in plan.missing]
                while wait(futures, REPORT_SECONDS).not_done:
                    left = self.plan(plan.missing).to_fetch
                    rate = (plan.to_fetch - left) / (time.monotonic() - began) / 1e6
                    log(f"{left / 1e9:,.3f} of {plan.to_fetch / 1e9:,.3f} GB still to come, {rate:,.1f} MB/s")
            except BaseException:
                batch.stop.set()
                raise
        errors = [error for future in futures if (error := future.exception())]
        if failed := [error for error in errors if not isinstance(error, StoppedError)]:
            raise _together(failed)
        new = {future.result().file: future.result() for future in futures}
        return [new.get(file) or self._found(file) for file in files]

    def remove_all_but(self, needed: Collection[str], before: datetime, *, dry_run: bool = False) -> tuple[int, int]:
        """Remove files that came before a moment and whose SHA-256 is not needed.

        Returns
        -------
        tuple
            Number of files, and their bytes. A dry run only counts them.
        """
        gone = {
            path: path.stat().st_size
            for path in (self.root / "objects" / "sha256").glob("*/*")
            if path.name not in needed and path.stat().st_mtime < before.timestamp()
        }
        if not dry_run:
            # Links to removed files stay: `find` ignores them.
            for path in gone:
                path.unlink(missing_ok=True)
        return len(gone), sum(gone.values())

    def _fetch(self, file: RemoteFile, batch: Batch) -> Stored:
        try:
            batch.go_on()
            return self._fetch_locked(file, batch)
        except FetchError:
            raise
        except TransferError as error:
            # A missing file concerns that file alone; every other error concerns all files.
            if error.status not in (404, 410):
                batch.stop.set()
            advice = ". What was received is kept; run again to continue" if error.passing else ""
            raise FetchError(f"{file.path}: {error} ({file.url}){advice}", passing=error.passing) from None
        except OSError as error:
            batch.stop.set()
            raise FetchError(
                f"{file.path}: cannot be written below {self.root} ({error.strerror or error}). What was received is "
                "kept; make room or give yourself the right to write there, then run again",
                passing=False,
            ) from error

    def _fetch_locked(self, file: RemoteFile, batch: Batch) -> Stored:
        began = time.monotonic()
        path = self._partial(file)
        with locked(path, file, batch) as partial:
            if stored := self.find(file):  # by another process, while this one waited
                path.unlink(missing_ok=True)
                return stored
            download = Download(file, partial, batch)
            try:
                sha256 = download.complete()
            except WrongContentError as error:
                batch.log(f"{file.path}: {error}; fetching it again from its start")
                try:
                    sha256 = download.complete(restart=True)
                except WrongContentError as again:
                    path.unlink(missing_ok=True)
                    raise FetchError(
                        f"{file.path}: wrong content twice: {again} ({file.url}). Nothing of it was kept. "
                        "Run again later; if it stays so, its publisher must upload it again",
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
        """Return the path of the bytes with that digest, whether they are there or not."""
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
            # The file was published since the plan, or its download has not begun.
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
