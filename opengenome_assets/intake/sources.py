"""Sources: from a source specification to a list of files.

Belongs here: finding files, and saying which source each belongs to. Does not belong here: reading or hashing them, and
which of them belong together (``containers.py``). Every kind of place (the shipped sample, files, folders, the Hub)
gives the same :class:`SourceFile`, so that no other module depends on the place.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

from opengenome_assets import __version__
from opengenome_assets.intake.containers import ContainerError, select, source_name, units
from opengenome_assets.intake.kinds import FileKind

if TYPE_CHECKING:
    from opengenome_assets.intake.hub.download import RemoteFile
    from opengenome_assets.intake.hub.listing import Hub, Specification

ALL = "all"
HUB_PREFIX = "hf://"
SAMPLE = "sample"


class SourceError(ValueError):
    """A source cannot be read as a corpus. A retry does not help; the message says what does."""


@dataclass(frozen=True)
class SourceFile:
    """A file, a part of one, or an archive of several, before it is read.

    Attributes
    ----------
    source
        Its division of the corpus: its folder's name, or its own name without endings if it was named directly.
    path
        Its path below the named place; unique within its source.
    uri
        Its address: an absolute local path, or an address on the Hub.
    size
        Bytes, as stored.
    revision
        Version of its collection; empty if the collection has no versions.
    remote
        How to fetch it; None if it lies on this machine.
    """

    source: str
    path: str
    uri: str
    size: int
    revision: str = ""
    remote: RemoteFile | None = None


@dataclass(frozen=True)
class Listing:
    """The files that a source specification names, and the files beside them that were left out."""

    files: tuple[SourceFile, ...]
    skipped: tuple[str, ...]


def list_source(specification: str, kind: FileKind, *, sample: Path | None = None) -> Listing:
    r"""List the files of a kind that a specification names, sorted by source and path.

    Parameters
    ----------
    specification
        ``sample``, local files and folders, or places on the Hub
        (``hf://datasets/OWNER/NAME[@REVISION]/PATH-OR-GLOB``), separated by commas; a comma in a name is written
        ``\,``. A folder gives all files below it with the kind's endings, compressed or not, in parts or in tar
        archives. A local file named directly may have any name.
    kind
        The kind of the files.
    sample
        The folder that the name ``sample`` stands for; None if the name has no meaning.

    Raises
    ------
    SourceError
        If a place does not exist or cannot be read, no file is found, a part of one is missing, or two files have the
        same source and path.
    HubError
        If the Hub cannot be reached, refuses, or does not have the place.
    """
    named = split(specification)
    if not named:
        raise SourceError(f"OPENGENOME_SOURCE is empty: name a {kind.name} file, a folder of them, or 'sample'")
    found: dict[str, tuple[PurePath, SourceFile]] = {}  # by address, with the folder or file that names the source
    skipped: list[str] = []
    visited: set[str] = set()
    for name in named:
        for division, file in _find(name, kind, sample, skipped, visited):
            found.setdefault(file.uri, (division, file))
    if not found:
        beside = f"; left out: {', '.join(skipped[:5])}" if skipped else ""
        raise SourceError(
            f"{specification}: no {kind.name} file found. Looked for names ending in {' '.join(kind.endings)}, "
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
    _refuse_homonyms(files)
    _refuse_incomplete(files, kind)
    return Listing(tuple(sorted(files, key=lambda f: (f.source, f.path))), tuple(skipped))


def split(specification: str) -> list[str]:
    r"""Return the places that a specification names: separated by commas, with ``\,`` for a comma in a name."""
    parts = re.findall(r"(?:\\,|[^,])+", specification)
    return [part.strip().replace(r"\,", ",") for part in parts if part.strip()]


def refuse_missing(specification: str, *, sample: Path | None = None) -> None:
    """Refuse a specification with a local place that does not exist. Nothing is listed.

    Raises
    ------
    SourceError
        If there is one.
    """
    for name in split(specification):
        if not (name.startswith(HUB_PREFIX) or (name == SAMPLE and sample is not None)):
            existing(name)


def places(specification: str, *, sample: Path | None = None) -> Iterator[str]:
    """Yield the places that a specification names: local paths, and places on the Hub with their present commit.

    Raises
    ------
    SourceError
        If a local place does not exist.
    HubError
        If the Hub cannot be reached, refuses, or does not have the place.
    """
    for name in split(specification):
        if name == SAMPLE and sample is not None:
            yield str(sample)
        elif name.startswith(HUB_PREFIX):
            from opengenome_assets.intake.hub.listing import Hub

            yield f"{name} {Hub().resolve(_place(name))}"
        else:
            yield str(existing(name))


def existing(name: str) -> Path:
    """Return the path of a local place.

    Raises
    ------
    SourceError
        If there is none.
    """
    if "://" in name:
        raise SourceError(
            f"{name}: expected 'sample', a local file or folder, or hf://datasets/OWNER/NAME[@REVISION]/PATH-OR-GLOB. "
            "Download files from elsewhere first"
        )
    root = Path(name).expanduser().absolute()
    if not root.exists():
        raise SourceError(
            f"{name}: no such file or folder (looked for {root}). Check the name, in the environment variable (of "
            "the corpus: OPENGENOME_SOURCE) or the run config that gives it. Commas separate names; a comma in a name "
            r"is written \,"
        )
    return root


def remote_places(specification: str) -> list[Specification]:
    """Return the places on the Hub that a specification names.

    Raises
    ------
    HubError
        If one of them is malformed.
    """
    return [_place(name) for name in split(specification) if name.startswith(HUB_PREFIX)]


def list_remote(place: Specification, hub: Hub, kind: FileKind) -> tuple[list[RemoteFile], list[str]]:
    """List the files of a kind in a place on the Hub at its pinned commit, and the paths that are left out."""
    files = {file.path: file for file in hub.list_files(place).files}
    taken, others = select(list(files), kind)
    return [files[path] for path in taken], list(others)


def _place(name: str) -> Specification:
    from opengenome_assets.intake.hub.listing import Specification  # late: the Hub's client takes a while to import

    return Specification.parse(name)


def _find(
    name: str, kind: FileKind, sample: Path | None, skipped: list[str], visited: set[str]
) -> Iterator[tuple[PurePath, SourceFile]]:
    if name == SAMPLE and sample is not None:
        return _find_sample(sample, kind)
    if name.startswith(HUB_PREFIX):
        return _find_remote(name, kind, skipped)
    return _find_local(name, kind, skipped, visited)


def _find_sample(folder: Path, kind: FileKind) -> Iterator[tuple[PurePath, SourceFile]]:
    for file in sorted(folder.iterdir()):
        if kind.has_name(file.name):
            yield _local(file, folder / source_name(file.name, kind), file.name, f"sample-{__version__}")


def _find_remote(name: str, kind: FileKind, skipped: list[str]) -> Iterator[tuple[PurePath, SourceFile]]:
    from opengenome_assets.intake.hub.listing import Hub

    place, hub = _place(name), Hub()
    pinned = place.at(hub.resolve(place))
    files, others = list_remote(pinned, hub, kind)
    skipped += [f"{place.repo}/{path}" for path in others]
    for file in files:
        whole = PurePosixPath(place.repo, file.path)
        division = whole.parent / source_name(file.path, kind) if file.path == place.path else whole.parent
        yield division, SourceFile("", file.path, file.url, file.size, str(pinned.revision), file)


def _find_local(
    name: str, kind: FileKind, skipped: list[str], visited: set[str]
) -> Iterator[tuple[PurePath, SourceFile]]:
    """Yield a file, or those below a folder. ``visited`` has the real folders visited so far, and gets the others."""
    root = existing(name)
    if root.is_file():
        yield _local(root, root.parent / source_name(root.name, kind), root.name)
        return
    unreadable: list[OSError] = []
    for parent, folders, names in os.walk(root, onerror=unreadable.append, followlinks=True):
        folder = os.path.realpath(parent)
        if folder in visited:  # by another link, or a link leads back
            folders.clear()
            continue
        visited.add(folder)
        # A folder comes before links to it, so that its files have its name.
        links = {entry for entry in folders if os.path.islink(os.path.join(parent, entry))}
        shown = sorted(entry for entry in folders if not entry.startswith("."))
        folders[:] = [entry for entry in shown if entry not in links] + [entry for entry in shown if entry in links]
        taken, others = select([entry for entry in sorted(names) if not entry.startswith(".")], kind)
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
    """Open every file once, so that an unreadable file fails now and not after hours of work on the others."""
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


def _refuse_homonyms(files: list[SourceFile]) -> None:
    """Refuse files that no table could tell apart, since source and path are a file's key."""
    named: dict[tuple[str, str], list[str]] = {}
    for file in files:
        named.setdefault((file.source, file.path), []).append(file.uri)
    problems = [
        f"{' and '.join(uris)} are both the file {path} of the source {source}"
        for (source, path), uris in named.items()
        if len(uris) > 1
    ]
    if problems:
        raise SourceError(
            f"{'; '.join(problems[:10])}. A file named directly has its own name as source, one in a folder the "
            "folder's: rename one of them, or name the folder that holds both"
        )


def _refuse_incomplete(files: list[SourceFile], kind: FileKind) -> None:
    """Look for missing parts, so that they fail now and not after hours of work on the others."""
    problems = []
    for source in sorted({file.source for file in files}):
        try:
            units([file.path for file in files if file.source == source], kind)
        except ContainerError as error:
            problems.append(f"{source}: {error}")
    if problems:
        raise SourceError("; ".join(problems))


def unique_labels(divisions: set[PurePath]) -> dict[PurePath, str]:
    """Name each folder by its last component, or by as many as make the name unique."""
    labels = {division: division.name for division in divisions}
    depth = 1
    while clashes := {label for label, count in Counter(labels.values()).items() if count > 1}:
        depth += 1
        for division, label in labels.items():
            if label in clashes:
                labels[division] = "/".join(division.parts[-depth:])
    return labels
