"""Examined parts: what was found in each part of a table, so that no part is read again for the same question.

Belongs here: keeping what was found, and which parts are still to be read. Does not belong here: what is looked for,
which stands with the check that asks.

A part never changes, and what is found in one does not depend on others. So a run reads the parts that are new. What
was found lies in the table's folder, in ``.<name>.json``. Nothing depends on that file: without it, every part is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from opengenome_assets.storage.files import read_bytes, write_bytes
from opengenome_assets.storage.parts import DataFile
from opengenome_assets.storage.record import digest, sealed, unsealed
from opengenome_assets.storage.snapshot import Snapshot


class ExaminedParts:
    """What was found in the parts of a version.

    Parameters
    ----------
    snapshot
        The version.
    name
        Name of the question.
    code_version
        The question's: what was found by another one does not count.

    Attributes
    ----------
    found : dict of str to Any
        What was found before in parts of this version, by their keys, as JSON holds it.
    """

    def __init__(self, snapshot: Snapshot, name: str, code_version: str) -> None:
        self._snapshot, self._code_version = snapshot, code_version
        self._uri = f"{snapshot.uri}/.{name}.json"
        self._before = _read(self._uri)
        known = {key: self._before.get(self._name_of(key, files)) for key, files in snapshot.parts.items()}
        self.found: dict[str, Any] = {key: found for key, found in known.items() if found is not None}

    def unread(self, columns: Sequence[str]) -> Iterator[tuple[str, Iterator[pa.Table]]]:
        """Yield the key of each part that is to be read, and some columns of its rows, row group by row group."""
        for key, files in self._snapshot.parts.items():
            if key not in self.found:
                yield key, self._row_groups(files, columns)

    def keep(self, found: Mapping[str, Any]) -> None:
        """Keep what was found in parts that were read, and forget parts that this version does not have.

        Parameters
        ----------
        found
            By the parts' keys, as JSON takes it; not None.
        """
        self.found.update(found)
        parts = self._snapshot.parts
        kept = {self._name_of(key, parts[key]): value for key, value in self.found.items()}
        if kept != self._before:
            with suppress(OSError):  # a home that can only be read; the parts are then read again
                write_bytes(self._uri, sealed({"parts": kept}))

    def _name_of(self, key: str, files: Sequence[DataFile]) -> str:
        """Return what names a part with its question. Files keep their sizes when they are packed."""
        return digest([self._code_version, key, *([file.size, file.rows] for file in files)])

    def _row_groups(self, files: Sequence[DataFile], columns: Sequence[str]) -> Iterator[pa.Table]:
        for file in files:
            with self._snapshot.open(file) as (opened, groups):
                for group in groups:
                    yield opened.read_row_group(group, columns=list(columns))


def _read(uri: str) -> dict[str, Any]:
    try:
        kept = unsealed(read_bytes(uri) or b"")["parts"]
    except (OSError, ValueError, LookupError):  # missing, damaged or not to be read
        return {}
    return kept if isinstance(kept, dict) else {}
