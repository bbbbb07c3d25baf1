"""The inbox: files that were sent, content-addressed, each kept once under its SHA-256.

Belongs here: receiving bytes, bounded and resumable. Does not belong here: jobs (``store.py``), and what a file means.

A file that has not arrived whole lies beside the others with the ending ``.part``. Its length says where its sender
goes on. It gets its name when its bytes have the SHA-256 that was stated.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from opengenome_assets.storage.files import unwritable

CHUNK = 1 << 20
SHA256 = re.compile("[0-9a-f]{64}")


class UploadError(ValueError):
    """Bytes cannot be received. The message says what was expected and what was found."""


class TooLargeError(UploadError):
    """A file is larger than allowed."""


class OffsetError(UploadError):
    """A sender goes on at another place than where the file ends.

    Attributes
    ----------
    length
        Bytes that are there.
    """

    def __init__(self, message: str, length: int) -> None:
        super().__init__(message)
        self.length = length


@dataclass(frozen=True)
class Blob:
    """A file of the inbox."""

    path: Path
    sha256: str
    bytes: int


class Inbox:
    """The files in a folder.

    Parameters
    ----------
    folder
        The folder. It is made when the first file arrives.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, sha256: str) -> Blob | None:
        """Return a file that is there as a whole."""
        path = self.folder / sha256
        return Blob(path, sha256, path.stat().st_size) if SHA256.fullmatch(sha256) and path.is_file() else None

    def length(self, sha256: str) -> int:
        """Return how many bytes of a file have arrived."""
        if blob := self.find(sha256):
            return blob.bytes
        part = self._part(sha256)
        return part.stat().st_size if part.is_file() else 0

    def keep(self, path: Path, most: int | None = None) -> Blob:
        """Copy a local file into the inbox.

        Raises
        ------
        TooLargeError
            If it has more bytes than allowed.
        OSError
            If it cannot be read, or the inbox cannot be written to.
        """
        with path.open("rb") as source, self.receiving(most) as receiver:
            while chunk := source.read(CHUNK):
                receiver.write(chunk)
            return receiver.finish()

    @contextmanager
    def receiving(self, most: int | None = None) -> Iterator[Receiver]:
        """Receive a file whose SHA-256 is not known before. What has arrived is dropped if it does not arrive whole."""
        path = self.folder / f"{uuid4().hex}.new"
        with _writing(path, "xb") as stream:
            try:
                yield Receiver(stream, path, most)
            finally:
                path.unlink(missing_ok=True)

    @contextmanager
    def resuming(self, sha256: str, offset: int, most: int | None = None) -> Iterator[Receiver]:
        """Receive a file with a stated SHA-256, or the rest of it. What has arrived is kept.

        Raises
        ------
        OffsetError
            If the file ends elsewhere, or another sender is at it.
        """
        part = self._part(sha256)
        with _writing(part, "ab") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OffsetError(f"{sha256} is being received from another sender: wait for it", 0) from None
            length = os.fstat(stream.fileno()).st_size
            if offset != length:
                raise OffsetError(f"{sha256}: expected to go on at byte {length:,}, found {offset:,}", length)
            yield Receiver(stream, part, most, sha256)

    def _part(self, sha256: str) -> Path:
        if not SHA256.fullmatch(sha256):
            raise UploadError(f"expected a SHA-256 of 64 hexadecimal digits in small letters, found {sha256[:80]!r}")
        return self.folder / f"{sha256}.part"


class Receiver:
    """A file that is arriving."""

    def __init__(self, stream: BinaryIO, path: Path, most: int | None, sha256: str = "") -> None:
        self.stream, self.path, self.most, self.sha256 = stream, path, most, sha256
        self.digest = hashlib.sha256()
        self.length = 0
        self._is_new = not sha256

    def _catch_up(self) -> None:
        """Read what arrived before."""
        if not self._is_new:
            self._is_new = True
            with self.path.open("rb") as there:
                while chunk := there.read(CHUNK):
                    self.digest.update(chunk)
                    self.length += len(chunk)

    def write(self, chunk: bytes) -> None:
        """Write the next bytes.

        Raises
        ------
        TooLargeError
            If the file becomes larger than allowed.
        """
        self._catch_up()
        if self.most is not None and self.length + len(chunk) > self.most:
            raise TooLargeError(
                f"expected a file of at most {self.most:,} bytes, found more. Compress it, or send it in several jobs"
            )
        self.stream.write(chunk)
        self.digest.update(chunk)
        self.length += len(chunk)

    def finish(self) -> Blob:
        """Give the file its name, when it is on the disk.

        Raises
        ------
        UploadError
            If it has another SHA-256 than was stated. Its bytes are dropped.
        """
        self._catch_up()
        found = self.digest.hexdigest()
        if self.sha256 and found != self.sha256:
            self.path.unlink()
            raise UploadError(f"expected bytes with the SHA-256 {self.sha256}, found {found}. Send them again")
        self.stream.flush()
        os.fsync(self.stream.fileno())
        target = self.path.with_name(found)
        self.path.rename(target)
        return Blob(target, found, self.length)


@contextmanager
def _writing(path: Path, mode: str) -> Iterator[BinaryIO]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open(mode)
    except OSError as error:
        raise unwritable(path, error) from error
    with stream:
        yield stream  # type: ignore[misc]
