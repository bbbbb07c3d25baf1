"""Queries: sequences to search with, read from pasted text or from a file.

Belongs here: reading and refusing them. Does not belong here: limits on their number and length, which the server sets
(``service/settings.py``).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from opengenome_assets.intake.containers import ContainerError, Unit
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.streams import StoredFile, StreamError
from opengenome_assets.kernels.fasta import (
    BYTE_ORDER_MARKS,
    FastaBatch,
    FastaError,
    read_records,
    refusals,
    split_headers,
)
from opengenome_assets.kernels.profiles import K

# Name of a sequence without a header.
UNNAMED = "query"

_BLANKS = b" \t"
_KMER = re.compile(rb"[ACGT]{%d}" % K)
_LINE_WITH_BLANKS = re.compile(rb"^(?![ \t]*>)[^\n \t]*+[ \t][^\n]*", re.MULTILINE)


class QueryError(ValueError):
    """A query that cannot be used; the message says which and why. A retry does not help."""


@dataclass(frozen=True)
class Query:
    """A sequence to search with.

    Attributes
    ----------
    name
        The first word of its header, or ``query``.
    sequence
        Its letters in upper case: IUPAC DNA, without blanks.
    """

    name: str
    sequence: bytes

    @property
    def called(self) -> str:
        """Name of the query in messages."""
        return "the query" if self.name == UNNAMED else f"query {self.name}"


@dataclass(frozen=True)
class RefusedQuery:
    """A record that cannot be searched with.

    Attributes
    ----------
    name
        The first word of its header, ``query`` without a header, and empty if the header has none.
    record, line
        Its place among the records, and the line of its header, both from 1.
    reason
        What is wrong with it, with its name.
    """

    name: str
    record: int
    line: int
    reason: str


@dataclass(frozen=True)
class Refused:
    """A record, or all that was given in one place, that cannot be searched with.

    Attributes
    ----------
    given
        What holds it: a file, a file in an archive, or how else it was given.
    record, line
        Its place among the records there, and the line of its header, from 1; 0 if the whole cannot be read.
    reason
        What is wrong with it, with its name.
    """

    given: str
    record: int
    line: int
    reason: str

    def __str__(self) -> str:
        place = f", record {self.record:,}, line {self.line:,}" if self.record else ""
        return f"{self.given}{place}: {self.reason}"


class GivenQuery(NamedTuple):
    """A query, the file that holds it, and its place among all records of the files, from 1."""

    file: str
    number: int
    query: Query


def sort_files(files: Iterable[tuple[str, Sequence[StoredFile]]]) -> tuple[list[GivenQuery], list[Refused]]:
    """Read FASTA files and archives, and sort their records into those that can be searched with, and the others.

    Parameters
    ----------
    files
        Paths, each with its file, or with the parts of it. A file in an archive is called by its path in it.
    """
    queries: list[GivenQuery] = []
    refused: list[Refused] = []
    before = 0
    for path, parts in files:
        member = path
        try:
            with Unit(path, parts, FASTA) as unit:
                for member, stream in unit:
                    text = stream.read()
                    try:
                        good, bad = sort_queries(text)
                    except QueryError as error:
                        refused.append(Refused(member, 0, 0, str(error)))
                        continue
                    queries += (GivenQuery(member, before + place, query) for place, query in good.items())
                    refused += (Refused(member, each.record, each.line, each.reason) for each in bad)
                    before += len(good) + len(bad)
        except (ContainerError, StreamError) as error:
            refused.append(Refused(member, 0, 0, str(error).removeprefix(f"{member}: ")))
    return queries, refused


def read_queries(text: str | bytes) -> list[Query]:
    """Read FASTA, or a single sequence without a header.

    Sequences may span lines and contain blanks.

    Raises
    ------
    QueryError
        If the text is empty, or a record is empty, has no name, or has a letter that is not IUPAC DNA.
    """
    queries = []
    for record in _read(text):
        if record.fault:
            raise QueryError(record.fault)
        queries.append(record.query)
    return queries


def sort_queries(text: str | bytes) -> tuple[dict[int, Query], list[RefusedQuery]]:
    """Read the same, and sort the records into those that can be searched with, by their place from 1, and the others.

    A record is also refused if it has no 6-mer to compare.

    Raises
    ------
    QueryError
        If the text is empty or no FASTA.
    """
    good: dict[int, Query] = {}
    refused = []
    for place, (query, line, fault) in enumerate(_read(text), 1):
        if reason := fault or without_kmers(query):
            refused.append(RefusedQuery(query.name, place, line, reason))
        else:
            good[place] = query
    return good, refused


def without_kmers(query: Query) -> str | None:
    """Return why a query cannot be compared, if it has no 6-mer."""
    if _KMER.search(query.sequence):
        return None
    return (
        f"{query.called}: no {K} letters in a row are all A, C, G or T, among {len(query.sequence):,}; "
        f"a search compares {K}-mers, so give it a longer sequence, or one with fewer ambiguous letters"
    )


class _Record(NamedTuple):
    """A record, the line of its header, and what is wrong with it."""

    query: Query
    line: int
    fault: str | None


def _read(text: str | bytes) -> Iterator[_Record]:
    given = _without_mark(text.encode() if isinstance(text, str) else text)
    content = given.strip()
    if not content:
        raise QueryError("expected a sequence or FASTA, found nothing")
    if content.startswith(b"@"):
        raise QueryError(
            "expected a sequence or FASTA, found '@' at the start, as in FASTQ; convert it first: "
            "sed -n '1~4s/^@/>/p; 2~4p' READS.fastq > READS.fasta"
        )
    # Empty lines before it count, as those of the file do.
    before = given[: given.index(content)].count(b"\n") * b"\n"
    if content.startswith(b">"):
        content = before + _LINE_WITH_BLANKS.sub(lambda line: line[0].translate(None, _BLANKS), content)
        yield from _records(_batches(content))
        return
    bare = b">" + UNNAMED.encode() + b"\n" + before + content.translate(None, _BLANKS)
    # Lines are counted from the sequence's first, without the header added before it.
    yield from _records(replace(batch, illegal_line=batch.illegal_line - 1) for batch in _batches(bare))


def _without_mark(content: bytes) -> bytes:
    """Return text without the UTF-8 byte-order mark that editors may put before it."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            if encoding == "UTF-8":
                return content.removeprefix(mark)
            raise QueryError(f"expected text in ASCII or UTF-8, found {encoding}; save it as UTF-8 first")
    return content


def _batches(content: bytes) -> Iterator[FastaBatch]:
    try:
        yield from read_records(
            io.BytesIO(content).readinto, name="query", batch_bases=max(1, min(len(content), 1 << 24))
        )
    except FastaError as error:
        raise QueryError(str(error)) from error


def _records(batches: Iterable[FastaBatch]) -> Iterator[_Record]:
    place = 0
    for batch in batches:
        names, _ = split_headers(batch)
        refused = refusals(batch)
        for index, name in enumerate(names.to_pylist()):
            place += 1
            query = Query(name, batch.data[batch.offsets[index] : batch.offsets[index + 1]].tobytes())
            called = query.called if name else f"record {place}"
            fault = f"{called}: {refused[index].reason}" if index in refused else None
            yield _Record(query, int(batch.line[index]), fault)
