"""Small files at a local path or an object-store URI, read whole and written atomically.

Belongs here: the file system of an address, whole files, and what changes when a local one does. Does not belong here:
Parquet (``parquet``), and conditional writes (``conditional.py``).
"""

from __future__ import annotations

import contextlib
import posixpath
import uuid
from pathlib import Path

import pyarrow.fs as pafs

# A file can change twice within one tick of the clock, so younger time stamps are not trusted.
YOUNG_NANOSECONDS = 2_000_000_000


def filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return the file system of a URI or local path, and the path in it."""
    if "://" in uri:
        found: tuple[pafs.FileSystem, str] = pafs.FileSystem.from_uri(uri)
        return found
    return pafs.LocalFileSystem(), uri


def read_bytes(uri: str) -> bytes | None:
    """Return a file's content; None if there is no such file."""
    fs, path = filesystem(uri)
    try:
        with fs.open_input_stream(path, compression=None) as stream:
            return bytes(stream.read())
    except (FileNotFoundError, NotADirectoryError):
        return None


class DamagedError(OSError):
    """Stored data is not as it was written. The message names the file and says what helps; a retry does not."""


def stamp(file: Path) -> list[int]:
    """Return the size of a file in bytes, and the times of the last change of its content and of anything about it.

    Both are in nanoseconds since 1970. The second (ctime) cannot be set back.
    """
    found = file.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def unwritable(place: object, error: OSError) -> OSError:
    """Return an error that names a place that could not be written, and says what helps."""
    return OSError(
        f"{place} could not be written ({error}). Free space there, give yourself the right to write, or set "
        "OPENGENOME_HOME to another place"
    )


def exists(uri: str) -> bool:
    """Return whether there is such a file."""
    fs, path = filesystem(uri)
    return bool(fs.get_file_info(path).type == pafs.FileType.File)


def write_bytes(uri: str, content: bytes) -> None:
    """Write a file atomically: readers see the old content or the new, also if this process is killed."""
    fs, path = filesystem(uri)
    aside = f"{path}.{uuid.uuid4().hex[:8]}.new"
    try:
        fs.create_dir(posixpath.dirname(path), recursive=True)
        with fs.open_output_stream(aside, compression=None) as stream:
            stream.write(content)
        fs.move(aside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fs.delete_file(aside)
        raise unwritable(uri, error) from error
