"""Changes: how two provenance records differ, from code and settings up to the source files.

Belongs here: comparing records, and the records of inputs that differ. Does not belong here: comparing rows
(``diff.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opengenome_assets.framework.environment import is_comparable
from opengenome_assets.framework.table import Role, Specs
from opengenome_assets.lineage.records import Record, find
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home


@dataclass(frozen=True)
class Change:
    """One difference between two records.

    Attributes
    ----------
    where
        The table that the records describe.
    what
        The field, such as ``code version``, ``setting k`` or ``library numpy``.
    before, after
        The two values; None where a record has none.
    """

    where: str
    what: str
    before: Any
    after: Any


@dataclass(frozen=True)
class FileChanges:
    """Source files that differ, as ``source: path``, sorted.

    Attributes
    ----------
    added, removed
        Files whose bytes only the later or only the earlier version has.
    changed
        Files with the same path and other bytes.
    moved
        Files with the same bytes and another path; both paths, with an arrow between.
    """

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Changes:
    """How two records differ.

    Attributes
    ----------
    determining
        Differences that decide the content: code versions and settings, of the table and of its inputs.
    circumstances
        Differences that should not: commits, code under the same code version, packages and libraries.
    files
        Differences between the source files.
    notes
        Reasons why something could not be compared.
    """

    determining: list[Change]
    circumstances: list[Change]
    files: FileChanges
    notes: list[str]


def compare(home: Home, specs: Specs, before: Record, after: Record) -> Changes:
    """Compare two records of a table, and the records of inputs that differ."""
    found = Changes([], [], FileChanges(), [])
    seen: set[tuple[str, int | None, int | None]] = set()
    waiting = [(before, after)]
    while waiting:
        old, new = waiting.pop(0)
        if (old.name, old.version, new.version) in seen:
            continue
        seen.add((old.name, old.version, new.version))
        found.determining.extend(code(old.provenance, new.provenance))
        if specs.role(old.name) is Role.CATALOGUE:  # its setting is the digest of its files
            _compare_files(home, old, new, found)
        else:
            found.determining.extend(settings(old.provenance, new.provenance))
        found.determining.extend(_versions(old.provenance, new.provenance))
        found.circumstances.extend(circumstances(old.provenance, new.provenance))
        inputs, others = old.provenance.inputs, new.provenance.inputs
        for name in inputs.keys() & others.keys():
            if inputs[name].data_version != others[name].data_version:
                try:
                    waiting.append((find(home, name, inputs[name].version), find(home, name, others[name].version)))
                except LookupError as error:
                    found.notes.append(str(error))
    return found


def code(before: Provenance, after: Provenance) -> Iterator[Change]:
    """Yield the difference if two records of a table name different code versions."""
    if before.code_version != after.code_version:
        yield Change(after.name, "code version", before.code_version, after.code_version)


def settings(before: Provenance, after: Provenance) -> Iterator[Change]:
    """Yield how two records of a table differ in their settings."""
    yield from _mapping(after.name, "setting", before.settings, after.settings)


def _versions(before: Provenance, after: Provenance) -> Iterator[Change]:
    versions = ({name: given.version for name, given in record.inputs.items()} for record in (before, after))
    yield from _mapping(after.name, "version of", *versions)


def circumstances(before: Provenance, after: Provenance) -> Iterator[Change]:
    """Yield the differences that should not decide the content: package, commit, code, libraries."""
    if before.package_version != after.package_version:
        yield Change(after.name, "opengenome-assets", before.package_version, after.package_version)
    if before.commit != after.commit:
        yield Change(after.name, "commit", before.commit or None, after.commit or None)
    # An old record may lack a field, or have digests that cannot be compared.
    if all(each.modules and is_comparable(each.package_version) for each in (before, after)):
        yield from _mapping(after.name, "code of", before.modules, after.modules)
    if before.libraries and after.libraries:
        yield from _mapping(after.name, "library", before.libraries, after.libraries)


def _mapping(where: str, what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Change(where, f"{what} {name}", before.get(name), after.get(name))


def _compare_files(home: Home, old: Record, new: Record, found: Changes) -> None:
    columns = ["source", "path", "sha256"]
    try:
        before, after = (
            {
                f"{row['source']}: {row['path']}": row["sha256"]
                for row in home.table(record.name).at(record.version).read(columns).to_pylist()
            }
            for record in (old, new)
        )
    except LookupError as error:
        found.notes.append(str(error))
        return
    gone = {sha256: name for name, sha256 in sorted(before.items()) if name not in after}
    for name in sorted(after.keys() - before.keys()):
        if was := gone.pop(after[name], None):
            found.files.moved.append(f"{was} -> {name}")
        else:
            found.files.added.append(name)
    stayed = {move.split(" -> ")[0] for move in found.files.moved}
    found.files.removed.extend(sorted(before.keys() - after.keys() - stayed))
    found.files.changed.extend(sorted(name for name in before.keys() & after.keys() if before[name] != after[name]))
