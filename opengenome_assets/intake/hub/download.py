"""Downloads: one file, fetched until its bytes are proven right.

Belongs here: resuming, trying again, verifying, and keeping others off the file meanwhile. Does not belong here: one
request (``transfer.py``), and where files lie and how many are fetched at once (``store.py``).
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

# Storage hosts refuse to give more than 50 GB in one answer.
LARGEST_RANGE = 10_000_000_000
# An attempt that brought less than this, or a hundredth of the file, failed in a row with the one before.
PROGRESS = 1 << 16
LOCK_POLL_SECONDS = 0.2
_BLOCK = 1 << 20


@dataclass(frozen=True)
class RemoteFile:
    """A file somewhere else, known by its content.

    Attributes
    ----------
    path
        What messages call it.
    size
        Bytes.
    url
        Where to ask for it.
    sha256
        SHA-256 of its bytes as 64 hexadecimal digits, or None if only the next is known.
    blob_id
        SHA-1 that git gives to its bytes, 40 hexadecimal digits; None where the SHA-256 is known.
    """

    path: str
    size: int
    url: str
    sha256: str | None = None
    blob_id: str | None = None

    def __post_init__(self) -> None:
        # Digests become file names: nothing else may.
        if not re.fullmatch(r"sha256-[0-9a-f]{64}|git-[0-9a-f]{40}", self.identity):
            raise ValueError(
                f"{self.path}: expected a SHA-256 or a git blob id in hexadecimal digits, found {self.identity!r}"
            )

    @property
    def identity(self) -> str:
        """Its digest, with the digest's kind: ``sha256-…`` or ``git-…``."""
        return f"git-{self.blob_id}" if self.sha256 is None else f"sha256-{self.sha256}"


class StoppedError(Exception):
    """Another file's failure, or the user, ended the work before this file was there."""


@dataclass
class Work:
    """What the downloads of one call share."""

    access: Access
    patience: Patience
    log: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)

    def go_on(self, after: float = 0.0) -> None:
        """Wait some seconds; raise `StoppedError` if the work is to end."""
        if self.stop.is_set() or (after and self.stop.wait(after)):
            raise StoppedError


class Download:
    """One file on its way into the store; its lock is held."""

    def __init__(self, file: RemoteFile, partial: io.FileIO, work: Work) -> None:
        self.file = file
        self.partial = partial
        self.work = work
        self.fetched = self.reused = 0

    def complete(self, *, anew: bool = False) -> str:
        """Receive what is missing, verify all, and return the SHA-256.

        Raises
        ------
        WrongContentError
            If the content is not what was asked for.
        TransferError
            If the network or the server stays unwilling.
        """
        size, patience = self.file.size, self.work.patience
        digests = self._begin(anew)
        place = furthest = self.partial.tell()
        failures = 0
        while place < size:
            try:
                stop = min(size, place + LARGEST_RANGE)
                with open_range(self.file.url, place, stop, size, self.work.access, patience) as transfer:
                    if transfer.start != place:
                        digests, place = self._begin(anew=True), 0
                    for piece in transfer:
                        _write(self.partial, piece)
                        digests.update(piece)
                        place += len(piece)
                        self.fetched += len(piece)
                        self.work.go_on()
            except TransferError as error:
                failures = 1 if place - furthest >= min(PROGRESS, 1 + size // 100) else failures + 1
                asked = error.wait or 0.0
                if not error.passing or failures >= patience.attempts or asked > patience.longest_asked:
                    raise
                # Spread out, lest several downloads that failed together come back together.
                seconds = random.uniform(0.5, 1) * min(patience.longest_wait, patience.first_wait * 2 ** (failures - 1))
                seconds = max(seconds, asked)
                self.work.log(
                    f"{self.file.path}: {error}; asking again in {seconds:,.1f} s ({failures} of {patience.attempts})"
                )
                self.work.go_on(seconds)
            # A server that ignores ranges starts over each time: only new ground is progress.
            furthest = max(furthest, place)
        digests.verify()
        return digests.sha256.hexdigest()

    def _begin(self, anew: bool) -> Digests:
        """Hash what is there already, or drop it."""
        digests = Digests(self.file)
        there = os.fstat(self.partial.fileno()).st_size
        if anew or there > self.file.size:
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
    while left:  # a nearly full disk takes a part
        left = left[partial.write(left) :]


@contextmanager
def locked(path: Path, file: RemoteFile, work: Work) -> Iterator[io.FileIO]:
    """Open a partial file as the only one to write it; waits while another process does."""
    waited = False
    while True:
        partial = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+")
        with partial:
            try:
                fcntl.flock(partial, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not waited:
                    work.log(f"{file.path}: another process is fetching it; waiting")
                waited = True
                partial.close()
                work.go_on(LOCK_POLL_SECONDS)
                continue
            # Published or removed between opening and locking: then the lock is on a file that the path names no more.
            if _names(path, partial):
                yield partial
                return


def _names(path: Path, partial: io.FileIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(partial.fileno()))
    except FileNotFoundError:
        return False


class Digests:
    """The digests of a file, taken as its bytes pass."""

    def __init__(self, file: RemoteFile) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()
        self._git = None if file.sha256 else hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self.sha256.update(data)
        if self._git is not None:
            self._git.update(data)

    def verify(self) -> None:
        """Raise `WrongContentError` unless the bytes were the file's."""
        kind, expected = self.file.identity.split("-")
        found = (self._git or self.sha256).hexdigest()
        if found != expected:
            raise WrongContentError(f"the bytes received have {kind} {found}, expected {expected}")
