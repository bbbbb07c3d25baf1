"""Seals: digests in each commit, so that a log changed by hand is noticed and not used.

Belongs here: writing and verifying the two digests of a commit. One covers the files of the table at that version, the
other the commit's own entries, such as the record. A change of either, in any entry of the log, breaks its digest.
In the table's folder lies the number of its newest version, so that the loss of the log's last entries is noticed too.
Does not belong here: commits of other tools. They have no seal and are not judged.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow.fs as pafs

from opengenome_assets.storage.files import DamagedError, filesystem, read_bytes, write_bytes
from opengenome_assets.storage.parts import DataFile
from opengenome_assets.storage.record import digest

SEAL_KEY = "opengenome_seal"
NOTE = ".newest"  # in a table's folder, the number of its newest version
OWN = "opengenome"  # prefix of this package's entries in a commit


class DamagedTableError(DamagedError):
    """A table's log cannot be read, or was changed. The message says what helps; a retry does not."""


def sealed(entries: Mapping[str, str], files: Iterable[DataFile]) -> dict[str, str]:
    """Return a commit's entries with their seal; ``files`` are all files of the table at that version."""
    named = ((file.path, file.size, file.rows) for file in files)
    return {**entries, SEAL_KEY: json.dumps({"said": digest(dict(entries)), "files": _files(named)})}


def refuse_changed_entries(uri: str, number: int, commit: Mapping[str, Any]) -> None:
    """Raise DamagedTableError if the entries of a commit do not match its seal."""
    entries = {key: text for key, text in commit.items() if key.startswith(OWN) and key != SEAL_KEY}
    if SEAL_KEY in commit and _seal(uri, number, commit[SEAL_KEY])["said"] != digest(entries):
        raise _damaged(uri, number, "its words on what made the table")


def refuse_changed_files(uri: str, number: int, files: Iterable[tuple[str, int, int]]) -> None:
    """Raise DamagedTableError if the files of a version do not match its seal.

    Parameters
    ----------
    uri
        The table's address.
    number
        The version.
    files
        Path, size and rows of each file that the log names up to this version.
    """
    # The library's history would describe the version that is newest at the time of the call.
    content = read_bytes(_entry(uri, number)) or b""
    try:
        entries = [json.loads(line) for line in lines_with(content, b"commitInfo")]
    except ValueError as error:
        raise _damaged(uri, number, "its lines") from error
    if not entries:  # cut to nothing, it would change no file and leave the version before
        raise _damaged(uri, number, "its lines")
    for seal in [entry["commitInfo"][SEAL_KEY] for entry in entries if SEAL_KEY in entry.get("commitInfo", {})]:
        if _seal(uri, number, seal)["files"] != _files(files):
            raise _damaged(uri, number, "the files it names, up to this version,")
    # A seal does not hold the number, which a commit learns last. Two entries are never equal: each has its time.
    fs, folder = filesystem(posixpath.dirname(_entry(uri, number)))
    for info in fs.get_file_info(pafs.FileSelector(folder)):
        other = info.base_name.removesuffix(".json")
        alike = info.size == len(content) and other.isdigit() and int(other) != number
        if alike and read_bytes(_entry(uri, int(other))) == content:
            raise _damaged(uri, number, f"its lines, which are those of entry {int(other)},")


def lines_with(content: bytes, word: bytes) -> Iterator[bytes]:
    """Yield the lines that hold a word. A log has a line per file, so all of them are not split apart."""
    place = content.find(word)
    while place >= 0:
        first, end = content.rfind(b"\n", 0, place) + 1, content.find(b"\n", place)
        end = len(content) if end < 0 else end
        yield content[first:end]
        place = content.find(word, end)


def _entry(uri: str, number: int) -> str:
    return f"{uri.rstrip('/')}/_delta_log/{number:020}.json"


def newest_noted(uri: str) -> int | None:
    """Return the number that the last commit noted as the table's newest version; None if there is none."""
    content = read_bytes(_note(uri))
    return int(content) if content and content.isdigit() else None  # a damaged note says nothing


def note_newest(uri: str, number: int) -> None:
    """Note the number of a table's newest version, after its commit."""
    write_bytes(_note(uri), str(number).encode())


def refuse_lost_versions(uri: str, newest: int | None, noted: int | None) -> None:
    """Raise DamagedTableError if the log ends before a version that was noted, or is gone.

    Parameters
    ----------
    uri
        The table's address.
    newest
        The log's newest version; None if there is no log.
    noted
        The noted number, read before the log: a writer may commit in between.
    """
    if noted is not None and (newest is None or newest < noted):
        found = "there is no log" if newest is None else f"the log ends with version {newest}"
        raise DamagedTableError(
            f"{uri.rstrip('/')}/_delta_log: expected entries up to version {noted}, but {found}. Put the missing "
            "entries back from a copy, or move the folder _delta_log away and materialise that asset again: its files "
            "are used again, its older versions are lost"
        )


def _note(uri: str) -> str:
    return f"{uri.rstrip('/')}/{NOTE}"


def _seal(uri: str, number: int, text: str) -> dict[str, str]:
    try:
        seal = json.loads(text)
        return {"said": seal["said"], "files": seal["files"]}
    except (ValueError, LookupError, TypeError) as error:
        raise _damaged(uri, number, "its seal") from error


def _files(named: Iterable[tuple[str, int, int]]) -> str:
    return digest(sorted(named))


def _damaged(uri: str, number: int, part: str) -> DamagedTableError:
    return DamagedTableError(
        f"{_entry(uri, number)}: {part} were changed after they were written: expected those of its seal. Put the file "
        "back from a copy, or move the folder _delta_log away and materialise that asset again: its files are used "
        "again, its older versions are lost"
    )
