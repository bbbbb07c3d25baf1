"""Queries: sequences to search with, read from pasted text or from a file.

Belongs here: reading and refusing them. Does not belong here: limits on their number and length, which the server sets
(``service/settings.py``).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from opengenome_assets.kernels.fasta import (
    BYTE_ORDER_MARKS,
    FastaBatch,
    FastaError,
    read_records,
    refusals,
    split_headers,
)

# Name of a sequence without a header.
UNNAMED = "query"

_BLANKS = b" \t"
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


def read_queries(text: str | bytes) -> list[Query]:
    """Read FASTA, or a single sequence without a header.

    Sequences may span lines and contain blanks.

    Raises
    ------
    QueryError
        If the text is empty, or a record is empty, has no name, or has a letter that is not IUPAC DNA.
    """
    content = text.encode() if isinstance(text, str) else text
    content = _without_mark(content).strip()
    if not content:
        raise QueryError("expected a sequence or FASTA, found nothing")
    if content.startswith(b"@"):
        raise QueryError(
            "expected a sequence or FASTA, found '@' at the start, as in FASTQ; convert it first: "
            "sed -n '1~4s/^@/>/p; 2~4p' READS.fastq > READS.fasta"
        )
    if content.startswith(b">"):
        content = _LINE_WITH_BLANKS.sub(lambda line: line[0].translate(None, _BLANKS), content)
        return [query for batch in _batches(content) for query in _queries(batch)]
    bare = b">" + UNNAMED.encode() + b"\n" + content.translate(None, _BLANKS)
    # Lines are counted from the sequence's first, without the header added before it.
    return [
        query for batch in _batches(bare) for query in _queries(replace(batch, illegal_line=batch.illegal_line - 1))
    ]


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


def _queries(batch: FastaBatch) -> Iterator[Query]:
    names, _ = split_headers(batch)
    refused = refusals(batch)
    for index, name in enumerate(names.to_pylist()):
        query = Query(name, batch.data[batch.offsets[index] : batch.offsets[index + 1]].tobytes())
        if index in refused:
            raise QueryError(f"{query.called if name else f'record {batch.record[index]}'}: {refused[index].reason}")
        yield query
