"""Containers: one file stored as several parts, and several files stored in one archive.

Belongs here: which stored files make one *unit* of parsing, and which files a unit holds. A unit is a plain or
compressed file, a compressed file or archive cut in parts (``x.fasta.gz.aa``, ``x.fasta.gz.ab``, …), or a tar archive.
Only the published paths decide this, never the names under which a store keeps the files. Does not belong here: bytes,
compression and checksums (``streams.py``), finding files (``sources.py``), and endings of names (``kinds.py``).
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import count, product
from pathlib import PurePosixPath
from string import ascii_lowercase, digits
from types import TracebackType
from typing import Any, Self, cast

import pyarrow as pa

from opengenome_assets.intake.kinds import ARCHIVE_ENDINGS, FileKind, is_archive_name, without_ending
from opengenome_assets.intake.streams import (
    ChangedError,
    DecompressedStream,
    StoredFile,
    StoredFiles,
    StreamError,
)
from opengenome_assets.kernels.bases import arrow_text
from opengenome_assets.kernels.fasta import header_text
from opengenome_assets.kernels.identifiers import SeenIdentifiers

SHOWN_MEMBERS = 5

_BLOCK = 1 << 16
_NAME_HEADERS = {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE}
_NAME_HEADERS |= {tarfile.SOLARIS_XHDTYPE}
_MAX_NAME_HEADER = 1 << 20
# tarfile raises this at the block of zeros that ends an archive; its stub leaves it out.
_EndOfArchiveError: type[tarfile.HeaderError] = cast(Any, tarfile).EOFHeaderError


class ContainerError(ValueError):
    """Parts do not make a file. The message names the missing or superfluous part, and says what to do."""


def source_name(path: str, kind: FileKind) -> str:
    """Return a file's name without folders and endings: ``a/chr1.fa.gz`` and ``chr1.fa.gz.aa`` are ``chr1``."""
    name = PurePosixPath(path).name
    whole, ending = _cut(name, kind)
    name = without_ending(whole if ending else name, kind.compression_endings)
    return without_ending(without_ending(name, ARCHIVE_ENDINGS), kind.endings)


def select(paths: Collection[str], kind: FileKind) -> tuple[list[str], list[str]]:
    """Divide the files of a folder or tree into those to use and the others.

    Used are files of the kind, tar archives, and parts of either.

    Returns
    -------
    taken, left_out : list of str
        In the order given.
    """
    parts = {part for cut in _splits(paths, kind).values() for part in cut}
    taken = {path for path in paths if path in parts or kind.has_name(path) or is_archive_name(path)}
    return [path for path in paths if path in taken], [path for path in paths if path not in taken]


def units(paths: Collection[str], kind: FileKind) -> dict[str, tuple[str, ...]]:
    """Return the units that files make.

    Parameters
    ----------
    paths
        The files of one source.
    kind
        Their kind.

    Returns
    -------
    dict
        From a unit's path to its files in order. The path of parts is theirs without the part's ending.

    Raises
    ------
    ContainerError
        If parts are missing, or a file exists both whole and in parts; the message names all of them.
    """
    splits = _splits(paths, kind)
    parts = {part for cut in splits.values() for part in cut}
    problems = [problem for whole, cut in splits.items() if (problem := _problem(whole, cut, whole in paths))]
    if problems:
        raise ContainerError("; ".join(problems))
    return {path: (path,) for path in paths if path not in parts} | {w: tuple(cut) for w, cut in splits.items()}


def _splits(paths: Iterable[str], kind: FileKind) -> dict[str, list[str]]:
    """Return the sorted parts of every file that was cut, by the path of the whole file."""
    paths = set(paths)
    cuts: dict[str, list[str]] = {}
    for path in sorted(paths):
        whole, ending = _cut(path, kind)
        if ending:
            cuts.setdefault(whole, []).append(ending)
    # Other files lie beside x.fa.gz: x.fa.gz.fai, .gzi, .sa, .tmp; and x.tar.gz beside x.tar. Only parts include one of
    # the first endings that split gives.
    first = {whole: r"a+|0+" if whole in paths else r"a+[a-z]|0+[0-9]" for whole in cuts}
    return {
        whole: [f"{whole}.{ending}" for ending in endings]
        for whole, endings in cuts.items()
        if any(re.fullmatch(first[whole], ending) for ending in endings)
    }


def _cut(path: str, kind: FileKind) -> tuple[str, str]:
    """Return a path without the ending of a part, and that ending; the ending is empty if it cannot be a part."""
    found = re.fullmatch(r"(.+)\.([a-z]{2,}|[0-9]{2,})", path, re.DOTALL)
    if found:
        whole, ending = found.groups()
        # A plain file's content does not show its end, so that a missing last part would go unnoticed.
        if is_archive_name(whole) or (kind.has_name(whole) and whole.lower().endswith(kind.compression_endings)):
            return whole, ending
    return path, ""


def _problem(whole: str, parts: Sequence[str], is_there: bool) -> str:
    """Return the problem with a file's parts; empty if there is none."""
    if is_there:
        return f"{whole} is there whole and in parts ({parts[0]}): remove the one or the other"
    endings = [part.removeprefix(f"{whole}.") for part in parts]
    for expected, found in zip(_endings_in_order(endings), endings, strict=False):
        if found != expected:
            return (
                f"{whole}.{expected} is missing: the next part there is {whole}.{found}. Fetch it; parts must be named "
                "and numbered as GNU split does, from the first on"
            )
    return ""


def _endings_in_order(endings: Sequence[str]) -> Iterator[str]:
    """Yield endings as GNU split gives them, with one width or a growing one (…, yy, yz, zaaa, zaab, …)."""
    alphabet = digits if endings[0].isdigit() else ascii_lowercase
    width = len(endings[0])
    if all(len(ending) == width for ending in endings):
        yield from map("".join, product(alphabet, repeat=width))
        return
    for more in count():
        for ending in product(alphabet[:-1], *[alphabet] * (1 + more)):
            yield alphabet[-1] * more + "".join(ending)


class Unit:
    """An open unit: iterate once over the files it holds, each with its plain bytes.

    An iteration that reaches its end has verified every catalogued byte. Use the unit as a context manager.

    Parameters
    ----------
    path
        Path of the unit, as `units` returns it.
    files
        Its stored files, in order.
    kind
        The kind of the files in it.

    Attributes
    ----------
    is_archive
        Whether it is a tar archive.
    members
        Number of files of the kind found so far.
    left_out, left_out_first
        Number of files in an archive that are hidden or have another name, so far, and the first of them.

    Raises
    ------
    StreamError
        From here, from the iteration, and from the streams.
    """

    def __init__(self, path: str, files: Sequence[StoredFile], kind: FileKind) -> None:
        self.path = path
        self.kind = kind
        self.is_archive = is_archive_name(path)
        self.is_cut = files[0].path != path
        self.members = self.left_out = 0
        self.left_out_first: list[str] = []
        first, last = files[0], files[-1]
        if_cut = "fetch the file again"
        self.name = first.name
        if self.is_cut:
            ending = first.path.removeprefix(path)
            self.name = first.uri.removesuffix(ending) if first.name == first.uri else path
            if_cut = (
                f"a last part may be missing: the last one there is {last.name}. Fetch what follows it, or it again"
            )
        self._files = files
        self._stored = StoredFiles(files)
        self._stream = DecompressedStream(self._stored, kind, name=self.name, if_cut=if_cut)
        self._member: DecompressedStream | None = None

    def __iter__(self) -> Iterator[tuple[str, DecompressedStream]]:
        """Yield the path of each file, in an archive ``archive.tar/member/path.fa``, and its stream.

        Read each stream to its end before asking for the next.
        """
        if self.is_archive:
            yield from self._archive_members()
            return
        self.members = 1
        yield self.path, self._stream
        if self.is_cut and self._stream.compression == "plain":
            raise StreamError(
                f"{self.name}: expected a compressed file in parts, found plain text, whose end cannot be told: a last "
                "part may be missing. Join the parts to one file with cat"
            )

    def refuse_changed(self) -> None:
        """Read all stored files once more and verify their checksums, for a caller that did not read to the end.

        Raises
        ------
        ChangedError
            If the bytes are not those that were catalogued.
        """
        _read_through(StoredFiles(self._files))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._member:
            self._member.close()
        self._stream.close()
        if self.is_cut and isinstance(error, ValueError) and not isinstance(error, ChangedError):
            # Damage in a part shows before its checksum, which is known at its end. Name the part to fetch.
            _read_through(StoredFiles([self._stored.current]))

    def _archive_members(self) -> Iterator[tuple[str, DecompressedStream]]:
        archive, seen = _Archive(self._stream), SeenIdentifiers()
        while info := archive.next():
            path = self._checked_path(info)
            if info.isdir():
                continue
            name = f"{self.name}/{path}"
            if any(part.startswith(".") for part in path.parts) or not self.kind.has_name(path.name):
                self.left_out += 1
                if self.left_out <= SHOWN_MEMBERS:
                    self.left_out_first.append(str(path))
                continue
            if seen.add(*arrow_text(pa.array([str(path)])))[0]:
                raise StreamError(f"{name}: this member occurs twice in the archive; expected different paths")
            self.members += 1
            with DecompressedStream(archive.open(info, name), self.kind, name=name) as self._member:
                yield f"{self.path}/{path}", self._member
        archive.refuse_rest()
        if not self.members:
            others = f"{self.left_out:,} other files: {', '.join(self.left_out_first)}"
            raise StreamError(
                f"{self.name}: expected an archive of {self.kind.name} files ({' '.join(self.kind.endings)}, also "
                f"compressed), found {others if self.left_out else 'an empty one'}; leave the archive out"
            )

    def _checked_path(self, info: tarfile.TarInfo) -> PurePosixPath:
        """Return a member's path; refuse links, devices and paths that lead out of the archive."""
        path = header_text(info.name.encode("utf-8", "surrogateescape"))
        problem = ""
        if path.startswith("/"):
            problem = "has an absolute path"
        elif ".." in path.split("/"):
            problem = "has a path with '..'"
        elif info.issym() or info.islnk():
            problem = f"is a link to {info.linkname!r}"
        elif info.issparse() or not (info.isreg() or info.isdir()):
            problem = f"is a device, a pipe or of another special type ({info.type!r})"
        if problem:
            raise StreamError(
                f"{self.name}: member {path!r} {problem}; expected files and folders within the archive. Pack it again "
                "without that member"
            )
        return PurePosixPath(path)


class _Archive:
    """A tar archive read from front to back by `tarfile`, which must not take a damaged header for the end."""

    def __init__(self, stream: DecompressedStream) -> None:
        self._stream = stream
        self._members = 0
        self._tar: Any = None  # the stub of TarFile lacks some of its members

    def next(self) -> tarfile.TarInfo | None:
        """Return the next member of any type; None after the last."""
        try:
            if self._tar is None:
                self._tar = _open_tar(self._stream)
            info: tarfile.TarInfo | None = self._tar.next()
        except StreamError:
            raise
        # tarfile raises these at damaged numbers and endless chains of headers.
        except (tarfile.TarError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise self._damaged(f"after {self._members:,} members", error) from error
        self._tar.members.clear()  # tarfile keeps all members
        self._members += 1
        return info

    def open(self, info: tarfile.TarInfo, name: str) -> _MemberFile:
        """Return the stored bytes of the member that `next` returned last."""
        return _MemberFile(self._tar.extractfile(info), lambda error: self._damaged(f"within the member {name}", error))

    def refuse_rest(self) -> None:
        """Read on to the end of the file, and refuse anything but padding."""
        while block := self._tar.fileobj.read(_BLOCK):
            if block.count(0) < len(block):
                raise StreamError(
                    f"{self._stream.name}: something follows the end of the tar archive after {self._members - 1:,} "
                    "members, such as a second archive; give each archive a file of its own, or fetch the file again"
                )

    def _damaged(self, where: str, error: Exception) -> StreamError:
        if re.search("end of data|empty|truncated", str(error)):
            return StreamError(f"{self._stream.name}: the tar archive ends early {where}; {self._stream.if_cut}")
        return StreamError(
            f"{self._stream.name}: no tar archive, or a damaged one, {where} ({error}); fetch the file again"
        )


def _open_tar(stream: DecompressedStream) -> tarfile.TarFile:
    return tarfile.open(mode="r|", fileobj=_Plain(stream), bufsize=_BLOCK, tarinfo=_Header, encoding="utf-8")


class _Header(tarfile.TarInfo):
    """A member's header. `tarfile` stops in silence at a damaged one; here that is an error."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except _EndOfArchiveError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.type in _NAME_HEADERS and header.size > _MAX_NAME_HEADER):
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header


class _Plain(io.RawIOBase):
    """The bytes of a stream, as a file."""

    def __init__(self, stream: DecompressedStream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._stream.readinto(buffer)


class _MemberFile(io.RawIOBase):
    """The stored bytes of an archive's member."""

    def __init__(self, file: Any, damaged: Callable[[Exception], StreamError]) -> None:
        self._file = file
        self._damaged = damaged

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any, /) -> int:
        try:
            return int(self._file.readinto(buffer))
        except tarfile.TarError as error:
            raise self._damaged(error) from error


def _read_through(stored: StoredFiles) -> None:
    with stored:
        block = bytearray(_BLOCK)
        while stored.readinto(block):
            pass
