"""Seals: what a commit says of itself, so that a log that was changed by hand is found and not used.

Each commit carries two digests: of the files that the table then consists of, and of what else the commit says of
them (the record of what made them). A change to either, in any entry of the log, no longer fits its digest. Commits of
other tools have no seal and are not judged: which of them to trust is for whoever made them to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from opengenome_assets.storage.files import read_bytes
from opengenome_assets.storage.parts import DataFile
from opengenome_assets.storage.record import digest

SEAL_KEY = "opengenome_seal"
OWN = "opengenome"  # how the names of our own entries in a commit begin


class DamagedTableError(OSError):
    """A table's log cannot be read, or is not as it was written; what the message says helps, a retry does not."""


def sealed(said: Mapping[str, str], files: Iterable[DataFile]) -> dict[str, str]:
    """Return what a commit says, with its seal; ``files`` are all that the table then consists of."""
    return {**said, SEAL_KEY: json.dumps({"said": digest(dict(said)), "files": _files(files)})}


def refuse_changed_words(uri: str, number: int, commit: Mapping[str, Any]) -> None:
    """Raise DamagedTableError if a commit does not say what it said when it was made."""
    said = {key: text for key, text in commit.items() if key.startswith(OWN) and key != SEAL_KEY}
    if SEAL_KEY in commit and json.loads(commit[SEAL_KEY])["said"] != digest(said):
        raise _damaged(uri, number, "its words on what made the table")


def refuse_changed_files(uri: str, number: int, files: Iterable[DataFile]) -> None:
    """Raise DamagedTableError if a version of a table does not consist of the files that it was sealed with."""
    # Not from the library's history, which goes by what is newest when it is asked.
    lines = (read_bytes(f"{uri.rstrip('/')}/_delta_log/{number:020}.json") or b"").splitlines()
    entries = [json.loads(line) for line in lines if b"commitInfo" in line]
    for seal in [entry["commitInfo"][SEAL_KEY] for entry in entries if SEAL_KEY in entry.get("commitInfo", {})]:
        if json.loads(seal)["files"] != _files(files):
            raise _damaged(uri, number, "the files it names, up to this version,")


def _files(files: Iterable[DataFile]) -> str:
    return digest(sorted([file.path, file.size, file.rows] for file in files))


def _damaged(uri: str, number: int, what: str) -> DamagedTableError:
    entry = f"{uri.rstrip('/')}/_delta_log/{number:020}.json"
    return DamagedTableError(
        f"{entry}: {what} were changed after they were written: expected what its seal stands for. Put the file back "
        "from a copy, or move the folder _delta_log away and materialise that asset again: its files are used again, "
        "its older versions are lost"
    )
