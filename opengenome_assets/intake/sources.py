"""Sources: from what the user names to a list of FASTA files.

Belongs here: finding files, and saying which source each belongs to. Does not belong here: reading or hashing them, and
which of them belong together (``containers.py``).
Every kind of place (the shipped sample, files, folders) gives the same :class:`SourceFile`, so that nothing behind
this module knows where a corpus came from.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

from opengenome_assets import __version__
from opengenome_assets.intake.containers import ContainerError, select, source_name, units
from opengenome_assets.intake.streams import FASTA_ENDINGS

if TYPE_CHECKING:
    from opengenome_assets.intake.hub.download import RemoteFile
    from opengenome_assets.intake.hub.listing import Hub, Specification

ALL = "all"
HUB_PREFIX = "hf://"
SAMPLE = "sample"


class SourceError(ValueError):
    """What the user named cannot be read as a corpus; a retry does not help, what the message says does."""


@dataclass(frozen=True)
class SourceFile:
    """A FASTA file, a part of one, or an archive of several, before anything of it was read.

    Attributes
    ----------
    source
        The corpus' division it belongs to: its folder's name, or its own without endings if it was named directly.
    path
        Its path below what was named; unique within its source.
    uri
        Where it lies: an absolute local path, or its address on the Hub.
    size
        Bytes, as stored.
    revision
        Version of the collection it comes from, if that has versions; else empty.
    remote
        How to fetch it, if it does not lie on this machine.
    """

    source: str
    path: str
    uri: str
    size: int
    revision: str = ""
    remote: RemoteFile | None = None


@dataclass(frozen=True)
class Listing:
    """What a source specification names: FASTA files, and the files beside them that were left out."""

    files: tuple[SourceFile, ...]
    skipped: tuple[str, ...]


def list_source(specification: str, *, sample: Path | None = None) -> Listing:
    """List the FASTA files that a specification names, sorted by source and path.

    Parameters
    ----------
    specification
        ``sample``, local files and folders, or places on the Hub
        (``hf://datasets/OWNER/NAME[@REVISION]/PATH-OR-GLOB``), separated by commas. Of a folder all files below it with
        a FASTA ending are taken, compressed or not, in parts or in tar archives; a local file named directly is taken
        whatever its name.
    sample
        The folder that the name ``sample`` stands for, if it stands for one.

    Raises
    ------
    SourceError
        If something named does not exist or cannot be read, no FASTA file is found, or a part of one is missing.
    HubError
        If the Hub cannot be reached, refuses, or has not what is named.
    """
    named = split(specification)
    if not named:
        raise SourceError("OPENGENOME_SOURCE is empty: name a FASTA file, a folder of them, or 'sample'")
    found: dict[str, tuple[PurePath, SourceFile]] = {}  # by address; with what names its source
    skipped: list[str] = []
    for name in named:
        for division, file in _find(name, sample, skipped):
            found.setdefault(file.uri, (division, file))
    if not found:
        beside = f"; left out: {', '.join(skipped[:5])}" if skipped else ""
        raise SourceError(
            f"{specification}: no FASTA file found. Looked for names ending in {' '.join(FASTA_ENDINGS)}, "
            f"plain or with .gz, .bz2 or .zst, or in .tar{beside}. A file with another name can be named directly"
        )
    _refuse_unreadable([Path(file.uri) for _, file in found.values() if file.remote is None])
    labels = unique_labels({division for division, _ in found.values()})
    if ALL in labels.values():
        raise SourceError(
            f"a source is called '{ALL}', which names the rows over all sources in every table. "
            "Rename that folder or file"
        )
    files = [replace(file, source=labels[division]) for division, file in found.values()]
    _refuse_incomplete(files)
    return Listing(tuple(sorted(files, key=lambda f: (f.source, f.path))), tuple(skipped))


def split(specification: str) -> list[str]:
    """Return the places that a specification names."""
    return [part.strip() for part in specification.split(",") if part.strip()]


def remote_places(specification: str) -> list[Specification]:
    """Return the places on the Hub that a specification names.

    Raises
    ------
    HubError
        If one of them has not the form of such a place.
    """
    return [_place(name) for name in split(specification) if name.startswith(HUB_PREFIX)]


def list_remote(place: Specification, hub: Hub) -> tuple[list[RemoteFile], list[str]]:
    """List what is FASTA in a place on the Hub at the commit that it is pinned to, and the paths that are left out."""
    files = {file.path: file for file in hub.list_files(place).files}
    taken, others = select(list(files))
    return [files[path] for path in taken], list(others)


def _place(name: str) -> Specification:
    from opengenome_assets.intake.hub.listing import Specification  # late: the Hub's client takes a while to import

    return Specification.parse(name)


def _find(name: str, sample: Path | None, skipped: list[str]) -> Iterator[tuple[PurePath, SourceFile]]:
    if name == SAMPLE and sample is not None:
        return _find_sample(sample)
    if name.startswith(HUB_PREFIX):
        return _find_remote(name, skipped)
    if "://" in name:
        raise SourceError(
            f"{name}: expected 'sample', a local file or folder, or hf://datasets/OWNER/NAME[@REVISION]/PATH-OR-GLOB. "
            "Files elsewhere have to be downloaded first"
        )
    return _find_local(name, skipped)


def _find_sample(folder: Path) -> Iterator[tuple[PurePath, SourceFile]]:
    for file in sorted(folder.glob("*.fasta.gz")):
        yield _local(file, folder / source_name(file.name), file.name, f"sample-{__version__}")


def _find_remote(name: str, skipped: list[str]) -> Iterator[tuple[PurePath, SourceFile]]:
    from opengenome_assets.intake.hub.listing import Hub

    place, hub = _place(name), Hub()
    pinned = place.at(hub.resolve(place))
    files, others = list_remote(pinned, hub)
    skipped += [f"{place.repo}/{path}" for path in others]
    for file in files:
        whole = PurePosixPath(place.repo, file.path)
        division = whole.parent / source_name(file.path) if file.path == place.path else whole.parent
        yield division, SourceFile("", file.path, file.url, file.size, str(pinned.revision), file)


def _find_local(name: str, skipped: list[str]) -> Iterator[tuple[PurePath, SourceFile]]:
    root = Path(name).expanduser().absolute()
    if not root.exists():
        raise SourceError(
            f"{name}: no such file or folder (looked for {root}). Check the name: that of the corpus is set by "
            "OPENGENOME_SOURCE, that of queries by OPENGENOME_QUERIES, or either by the run config"
        )
    if root.is_file():
        yield _local(root, root.parent / source_name(root.name), root.name)
        return
    unreadable: list[OSError] = []
    visited: set[str] = set()
    for parent, folders, names in os.walk(root, onerror=unreadable.append, followlinks=True):
        visited.add(os.path.realpath(parent))
        folders[:] = sorted(
            folder  # a link may lead back
            for folder in folders
            if not folder.startswith(".") and os.path.realpath(Path(parent, folder)) not in visited
        )
        taken, others = select([entry for entry in sorted(names) if not entry.startswith(".")])
        for entry in taken:
            file = Path(parent, entry)
            if file.exists() and not file.is_file():
                others = [*others, entry]  # a pipe, socket or device
                continue
            yield _local(file, file.parent, str(file.relative_to(root)))
        skipped += [str(Path(parent, entry)) for entry in others]
    if unreadable:
        raise SourceError(
            f"cannot list {', '.join(str(error.filename) for error in unreadable)}: "
            f"{unreadable[0].strerror}. Give yourself the right to read it, or name the folders to use"
        )


def _local(file: Path, division: PurePath, path: str, revision: str = "") -> tuple[PurePath, SourceFile]:
    try:
        str(file).encode()
    except UnicodeEncodeError:
        raise SourceError(
            f"{os.fsencode(file)!r}: expected a name in UTF-8. Rename it, or move it out of the folder"
        ) from None
    size = file.stat().st_size if file.exists() else 0  # a dangling link is refused with the other unreadable files
    return division, SourceFile("", path, str(file), size, revision)


def _refuse_unreadable(files: list[Path]) -> None:
    """Open every file once: better now than after hours of work on the others."""
    problems = []
    for file in files:
        try:
            with file.open("rb") as stream:
                stream.read(1)
        except OSError as error:
            problems.append(f"{file}: {error.strerror or error}")
    if problems:
        raise SourceError(
            f"{len(problems)} of {len(files)} files cannot be read: {'; '.join(problems[:10])}. "
            "Make them readable or move them out of the folder"
        )


def _refuse_incomplete(files: list[SourceFile]) -> None:
    """Ask for parts that are missing: better now than after hours of work on the others."""
    problems = []
    for source in sorted({file.source for file in files}):
        try:
            units([file.path for file in files if file.source == source])
        except ContainerError as error:
            problems.append(f"{source}: {error}")
    if problems:
        raise SourceError("; ".join(problems))


def unique_labels(divisions: set[PurePath]) -> dict[PurePath, str]:
    """Name each folder by its last component, or by as many as it takes to tell it from the others."""
    labels = {division: division.name for division in divisions}
    depth = 1
    while clashes := {label for label, count in Counter(labels.values()).items() if count > 1}:
        depth += 1
        for division, label in labels.items():
            if label in clashes:
                labels[division] = "/".join(division.parts[-depth:])
    return labels
