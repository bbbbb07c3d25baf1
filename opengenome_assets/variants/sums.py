"""Sums: the SHA-256 of files for tools, which lie beside the tables, in the folder's file SHA256SUMS.

htslib and the aligner read such files, and many a changed byte of a reference or an index changes what they answer
without an error. So a pass compares the files that it reads with their sums first. A process reads each file for this
only once, until its size or time changes.

Belongs here: writing and comparing sums, in the form that ``sha256sum --check`` reads. Does not belong here: what the
files hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from opengenome_assets.storage.files import DamagedError

NAME = "SHA256SUMS"


def write_sums(folder: Path, names: Sequence[str]) -> Path:
    """Write the sums of some files of a folder; return their file."""
    sums = folder / NAME
    sums.write_text("".join(f"{_sha256(folder / name)}  {name}\n" for name in sorted(names)))
    return sums


def refuse_changed(folder: Path, names: Sequence[str] | None, table: str) -> None:
    """Compare files of a folder with their sums.

    Parameters
    ----------
    folder
        The folder.
    names
        The files that are read. Default: all that have a sum.
    table
        The asset that makes the folder.

    Raises
    ------
    DamagedError
        If a file or its sum is missing or differs. The message names the table, the file and what helps.
    """
    remedy = f"Remove the folder {folder} and materialise {table} again"
    try:
        lines = (folder / NAME).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedError(f"{table}: {folder / NAME} cannot be read ({error}). {remedy}") from error
    sums = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
    for name in sorted(sums) if names is None else names:
        path = folder / name
        try:
            stat = path.stat()
            found = _remembered(str(path), stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise DamagedError(f"{table}: {path} cannot be read ({error}). {remedy}") from error
        if found != sums.get(name):
            raise DamagedError(
                f"{table}: {path} was changed: expected SHA-256 {sums.get(name, 'in ' + NAME)}, found {found}. {remedy}"
            )


@lru_cache(maxsize=10_000)
def _remembered(path: str, size: int, modified: int) -> str:
    return _sha256(Path(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
