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
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from opengenome_assets import __version__
from opengenome_assets.resources.containers import ContainerError, select, source_name, units
from opengenome_assets.resources.streams import FASTA_ENDINGS
from opengenome_assets.settings import SAMPLE

ALL = "all"


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
        Where it lies: an absolute local path.
    size
        Bytes, as stored.
    revision
        Version of the collection it comes from, if that has versions; else empty.
    """

    source: str
    path: str
    uri: str
    size: int
    revision: str = ""


@dataclass(frozen=True)
class Listing:
    """What a source specification names: FASTA files, and the files beside them that were left out."""

    files: tuple[SourceFile, ...]
    skipped: tuple[str, ...]


def list_source(specification: str) -> Listing:
    """List the FASTA files that a specification names, sorted by source and path.

    Parameters
    ----------
    specification
        ``sample``, or local files and folders separated by commas. Of a folder all files below it with a FASTA
        ending are taken, compressed or not, in parts or in tar archives; a file named directly is taken whatever its
        name.

    Raises
    ------
    SourceError
        If something named does not exist or cannot be read, no FASTA file is found, or a part of one is missing.
    """
    named = [part.strip() for part in specification.split(",") if part.strip()]
    if not named:
        raise SourceError("OPENGENOME_SOURCE is empty: name a FASTA file, a folder of them, or 'sample'")
    found: dict[Path, tuple[Path, str, str]] = {}  # file -> what names its source, path below what was named, revision
    skipped: list[str] = []
    for name in named:
        for file, division, path, revision in _walk(name, skipped):
            found.setdefault(file, (division, path, revision))
    if not found:
        beside = f"; left out: {', '.join(skipped[:5])}" if skipped else ""
        raise SourceError(
            f"{specification}: no FASTA file found. Looked for names ending in {' '.join(FASTA_ENDINGS)}, "
            f"plain or with .gz, .bz2 or .zst, or in .tar{beside}. A file with another name can be named directly"
        )
    _refuse_unreadable(list(found))
    labels = unique_labels({division for division, _, _ in found.values()})
    if ALL in labels.values():
        raise SourceError(
            f"a source is called '{ALL}', which names the rows over all sources in every table. "
            "Rename that folder or file"
        )
    files = [
        SourceFile(labels[division], path, str(file), file.stat().st_size, revision)
        for file, (division, path, revision) in found.items()
    ]
    _refuse_incomplete(files)
    return Listing(tuple(sorted(files, key=lambda f: (f.source, f.path))), tuple(skipped))


def _walk(name: str, skipped: list[str]) -> Iterator[tuple[Path, Path, str, str]]:
    if name == SAMPLE:
        folder = Path(str(package_files("opengenome_assets").joinpath("sample")))
        for file in sorted(folder.glob("*.fasta.gz")):
            yield file, folder / source_name(file.name), file.name, f"sample-{__version__}"
        return
    if "://" in name:
        raise SourceError(
            f"{name}: this version reads local files and folders only. "
            "Download the files and name the folder they lie in"
        )
    root = Path(name).expanduser().absolute()
    if not root.exists():
        raise SourceError(f"{name}: no such file or folder (looked for {root}). Check OPENGENOME_SOURCE")
    if root.is_file():
        yield root, root.parent / source_name(root.name), root.name, ""
        return
    unreadable: list[OSError] = []
    for parent, folders, names in os.walk(root, onerror=unreadable.append):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        taken, others = select([entry for entry in sorted(names) if not entry.startswith(".")])
        for entry in taken:
            file = Path(parent, entry)
            yield file, file.parent, str(file.relative_to(root)), ""
        skipped += [str(Path(parent, entry)) for entry in others]
    if unreadable:
        raise SourceError(
            f"cannot list {', '.join(str(error.filename) for error in unreadable)}: "
            f"{unreadable[0].strerror}. Give yourself the right to read it, or name the folders to use"
        )


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


def unique_labels(divisions: set[Path]) -> dict[Path, str]:
    """Name each folder by its last component, or by as many as it takes to tell it from the others."""
    labels = {division: division.name for division in divisions}
    depth = 1
    while clashes := {label for label, count in Counter(labels.values()).items() if count > 1}:
        depth += 1
        for division, label in labels.items():
            if label in clashes:
                labels[division] = "/".join(division.parts[-depth:])
    return labels
