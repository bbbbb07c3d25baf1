"""Verification: files of the Hub are fetched, files of this machine are hashed, and each has its SHA-256 checksum.

Belongs here: from listed files to checksums, with as little reading as possible. Does not belong here: finding files
(``sources.py``), and reading their content.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import file_digest
from pathlib import Path
from typing import Any

from opengenome_assets.intake.hub.download import RemoteFile
from opengenome_assets.intake.hub.store import Store, Stored
from opengenome_assets.intake.sources import SourceFile
from opengenome_assets.settings import local_home
from opengenome_assets.storage.files import YOUNG_NANOSECONDS, read_bytes, stamp, write_bytes
from opengenome_assets.storage.record import digest


class Checksums:
    """SHA-256 checksums of files, cached by size and time stamps, so that unchanged files are not read again.

    Each entry proves itself by a digest. A damaged one is ignored, and its file is read again.

    Parameters
    ----------
    uri
        The JSON file of the cache.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.known = _known(read_bytes(uri) or b"")

    def remembered(self, uri: str) -> str | None:
        """Return the cached checksum of a file; None if the file is new or has changed."""
        entry = self.known.get(uri)
        return entry[-2] if entry and entry[:-2] == stamp(Path(uri)) else None

    def take(self, uri: str) -> str:
        """Read a file and return its checksum."""
        before, now = stamp(Path(uri)), time.time_ns()
        with open(uri, "rb") as stream:
            sha256 = file_digest(stream, "sha256").hexdigest()
        if before[2] < now - YOUNG_NANOSECONDS:
            self.known[uri] = [*before, sha256, _proof(uri, [*before, sha256])]
        return sha256

    def save(self) -> None:
        """Write the cache."""
        write_bytes(self.uri, json.dumps(self.known, indent=0).encode())


def _known(content: bytes) -> dict[str, list[Any]]:
    """Return the entries of a cache that are as they were written; the files of the others are read again."""
    try:
        entries = dict(json.loads(content))
    except (ValueError, TypeError):
        return {}
    return {
        uri: entry
        for uri, entry in entries.items()
        if isinstance(entry, list) and entry and entry[-1] == _proof(uri, entry[:-1])
    }


def _proof(uri: str, entry: list[Any]) -> str:
    return digest([uri, entry])[:16]


def fetch(files: Sequence[RemoteFile], home: str, log: Callable[[str], None]) -> list[Stored]:
    """Fetch files from the Hub into the store below a home, unless they are there.

    Raises
    ------
    RemoteError
        If a file cannot be fetched.
    """
    if not files:
        return []
    from opengenome_assets.intake.hub.listing import Hub  # late: the Hub's client takes a while to import

    return Store(local_home(home) / "raw").fetch(files, access=Hub().access, log=log)


def take_checksums(files: Sequence[SourceFile], memory: str) -> tuple[dict[str, str], list[int]]:
    """Return the SHA-256 of local files by address, and the sizes of those that were read for it."""
    checksums = Checksums(memory)
    known = {file.uri: checksums.remembered(file.uri) for file in files}
    new = [file for file in files if known[file.uri] is None]
    sha256 = {uri: value for uri, value in known.items() if value}
    try:
        with ThreadPoolExecutor() as threads:
            sha256.update(zip((f.uri for f in new), threads.map(lambda f: checksums.take(f.uri), new), strict=True))
    finally:
        if new:
            checksums.save()
    return sha256, [file.size for file in new]
