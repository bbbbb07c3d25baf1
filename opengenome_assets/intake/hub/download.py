"""Downloads: one file, fetched and resumed until its checksum is right.

Belongs here: resuming, the retry policy with exponential backoff and jitter, verification, and the lock that keeps
other processes off the file. Does not belong here: a single request (``request.py``), the place of files, and how many
are fetched at once (``store.py``).
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from opengenome_assets.intake.hub.request import Access, Patience, TransferError, WrongContentError, open_range

# Storage hosts send at most 50 GB per response.
LARGEST_RANGE = 10_000_000_000
# An attempt with fewer bytes than this, or than a hundredth of the file, counts as no progress.
PROGRESS = 1 << 16
LOCK_POLL_SECONDS = 0.2
_BLOCK = 1 << 20


@dataclass(frozen=True)
class RemoteFile:
    """A remote file, identified by a digest of its content.

    Attributes
    ----------
    path
        Its name in messages.
    size
        Bytes.
    url
        Its address.
    sha256
        SHA-256 of its bytes, 64 hexadecimal digits; None if only ``blob_id`` is known.
    blob_id
        Git's SHA-1 of its bytes, 40 hexadecimal digits; None if the SHA-256 is known.
    """

    path: str
    size: int
    url: str
    sha256: str | None = None
    blob_id: str | None = None

    def __post_init__(self) -> None:
        # Digests become file names, so nothing else is accepted.
        if not re.fullmatch(r"sha256-[0-9a-f]{64}|git-[0-9a-f]{40}", self.identity):
            raise ValueError(
                f"{self.path}: expected a SHA-256 or a git blob id in hexadecimal digits, found {self.identity!r}"
            )

    @property
    def identity(self) -> str:
        """Its digest with the kind of digest: ``sha256-…`` or ``git-…``."""
        return f"git-{self.blob_id}" if self.sha256 is None else f"sha256-{self.sha256}"


class StoppedError(Exception):
    """Another file's failure, or the user, ended the batch before this file was complete."""


@dataclass
class Batch:
    """The access, retry policy, log and stop signal that the downloads of one call share."""

    access: Access
    patience: Patience
    log: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)

    def go_on(self, after: float = 0.0) -> None:
        """Wait some seconds; raise `StoppedError` if the batch has to end."""
        if self.stop.is_set() or (after and self.stop.wait(after)):
            raise StoppedError


class Download:
    """The download of one file into the store; the caller holds its lock."""

    def __init__(self, file: RemoteFile, partial: io.FileIO, batch: Batch) -> None:
        self.file = file
        self.partial = partial
        self.batch = batch
        self.fetched = self.reused = 0

    def complete(self, *, restart: bool = False) -> str:
        """Receive the missing bytes, verify all, and return the SHA-256.

        Raises
        ------
        WrongContentError
            If the content has another digest than expected.
        TransferError
            If requests keep failing, or an error is not transient.
        """
        size, patience = self.file.size, self.batch.patience
        digests = self._begin(restart)
        place = furthest = self.partial.tell()
        failures = 0
        while place < size:
            try:
                stop = min(size, place + LARGEST_RANGE)
                with open_range(self.file.url, place, stop, size, self.batch.access, patience) as transfer:
                    if transfer.start != place:
                        digests, place = self._begin(restart=True), 0
                    for piece in transfer:
                        _write(self.partial, piece)
                        digests.update(piece)
                        place += len(piece)
                        self.fetched += len(piece)
                        self.batch.go_on()
            except TransferError as error:
                failures = 1 if place - furthest >= min(PROGRESS, 1 + size // 100) else failures + 1
                asked = error.wait or 0.0
                if not error.passing or failures >= patience.attempts or asked > patience.longest_asked:
                    raise
                # Jitter, so that downloads that failed together do not return together.
                seconds = random.uniform(0.5, 1) * min(patience.longest_wait, patience.first_wait * 2 ** (failures - 1))
                seconds = max(seconds, asked)
                self.batch.log(
                    f"{self.file.path}: {error}; asking again in {seconds:,.1f} s ({failures} of {patience.attempts})"
                )
                self.batch.go_on(seconds)
            # A server that ignores ranges starts again each time, so only bytes beyond the furthest are progress.
            furthest = max(furthest, place)
        digests.verify()
        return digests.sha256.hexdigest()

    def _begin(self, restart: bool) -> Digests:
        """Hash the bytes received earlier, or drop them."""
        digests = Digests(self.file)
        there = os.fstat(self.partial.fileno()).st_size
        if restart or there > self.file.size:
            self.partial.truncate(0)
            there = 0
        self.reused = there
        self.partial.seek(0)
        block = memoryview(bytearray(min(_BLOCK, there)))
        while there and (count := self.partial.readinto(block)):
            digests.update(block[:count])
        return digests


def _write(partial: io.FileIO, piece: bytes) -> None:
    left = memoryview(piece)
    while left:  # a nearly full disk writes only a part
        left = left[partial.write(left) :]


@contextmanager
def locked(path: Path, file: RemoteFile, batch: Batch) -> Iterator[io.FileIO]:
    """Open a partial file with an exclusive lock; wait while another process holds it."""
    waited = False
    while True:
        partial = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+")
        with partial:
            try:
                fcntl.flock(partial, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not waited:
                    batch.log(f"{file.path}: another process is fetching it; waiting")
                waited = True
                partial.close()
                batch.go_on(LOCK_POLL_SECONDS)
                continue
            # If the file was published or removed between opening and locking, the path names another file now.
            if _names(path, partial):
                yield partial
                return


def _names(path: Path, partial: io.FileIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(partial.fileno()))
    except FileNotFoundError:
        return False


class Digests:
    """The digests of a file, updated while its bytes arrive."""

    def __init__(self, file: RemoteFile) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()
        self._git = None if file.sha256 else hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)

    def update(self, data: bytes | memoryview) -> None:
        """Add the next bytes."""
        self.sha256.update(data)
        if self._git is not None:
            self._git.update(data)

    def verify(self) -> None:
        """Raise `WrongContentError` if the digest is not the file's."""
        kind, expected = self.file.identity.split("-")
        found = (self._git or self.sha256).hexdigest()
        if found != expected:
            raise WrongContentError(f"the bytes received have {kind} {found}, expected {expected}")
