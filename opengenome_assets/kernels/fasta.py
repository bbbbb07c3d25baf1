"""FASTA parser: batches of whole records from a stream of bytes, in constant memory.

Belongs here: the format, its errors, and the reasons to refuse a record. Does not belong here: the origin of the bytes
(files, compression), and the compiled loop (fasta_scan.py).

FASTA is accepted as people write it: lines of any width, LF or CRLF, blank lines, blanks at the end of a line, no
newline at the end of the file. A record's name is its header up to the first space or tab.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opengenome_assets.kernels import fasta_scan
from opengenome_assets.kernels.fasta_scan import IUPAC_DNA
from opengenome_assets.kernels.runs import BLOCK

MAX_LENGTH = 2**31 - 1  # maximum of an offset of an Arrow string
MAX_BATCH_BASES = 2**30

TEXT_BYTES = 1 << 18  # read at once: fits a core's own cache
_HEADER_BYTES = 1 << 22
_MAX_HEADER_BYTES = 1 << 26
_BATCH_RECORDS = 1 << 16
_FOUND = 40
_CARRIAGE_RETURN = ord("\r")
BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "UTF-8"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


class FastaError(ValueError):
    """A file is not FASTA; the message names file and line, what was expected and found, and what to do."""


class Place(NamedTuple):
    """Place of a record in a file: the byte of its '>' in the plain text, from 0, its ordinal and its line, from 1."""

    start: int = 0
    record: int = 1
    line: int = 1


BEGINNING = Place()


@dataclass(frozen=True, slots=True, eq=False)
class FastaBatch:
    """Whole records of one file, in its order. The arrays belong to the batch and stay valid.

    Attributes
    ----------
    header_data, header_offsets : uint8 array; int64 array of shape (n + 1,)
        Headers without '>' and without blanks at the end; see `split_headers`.
    data, offsets : uint8 array; int64 array of shape (n + 1,)
        Sequences in upper case, together up to 2**31 - 1 letters. Illegal letters are kept as they are, except
        blanks, which are left out. Empty where ``too_long``. Without letters, ``data`` is empty.
    start, record, line : int64 arrays of shape (n,)
        `Place` of each record in its file.
    length, acgt_bases, gc_bases : int64 arrays of shape (n,)
        Letters of the record in the file, letters A, C, G or T, and letters G or C.
    illegal, illegal_position, illegal_line : int64 arrays of shape (n,)
        First letter (byte) that is not IUPAC DNA, the number of letters of the record before it, and its line; -1 if
        there is none.
    max_length : int
        Maximum number of letters of a record that is kept.
    """

    header_data: npt.NDArray[np.uint8]
    header_offsets: npt.NDArray[np.int64]
    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    record: npt.NDArray[np.int64]
    line: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    acgt_bases: npt.NDArray[np.int64]
    gc_bases: npt.NDArray[np.int64]
    illegal: npt.NDArray[np.int64]
    illegal_position: npt.NDArray[np.int64]
    illegal_line: npt.NDArray[np.int64]
    max_length: int

    def __len__(self) -> int:
        return len(self.record)

    @property
    def too_long(self) -> npt.NDArray[np.bool_]:
        """Mask of the records that exceed ``max_length`` and have no letters here; shape (n,)."""
        return self.length > self.max_length

    @property
    def place(self) -> Place:
        """Place of the first record."""
        return Place(int(self.start[0]), int(self.record[0]), int(self.line[0]))

    def header(self, index: int) -> str:
        """Whole header of one record of the batch."""
        return header_text(self.header_data[self.header_offsets[index] : self.header_offsets[index + 1]].tobytes())

    def sequences(self) -> pa.StringArray:
        """Sequences as Arrow strings that share the batch's memory.

        Records with an illegal letter may not be text at all: leave them out (`refusals`).
        """
        return _strings(self.data, self.offsets.astype(np.int32))


def read_records(
    readinto: Callable[[memoryview], int],
    *,
    name: str,
    batch_bases: int = 1 << 24,
    max_length: int = MAX_LENGTH,
    first: Place = BEGINNING,
    letters: bool = True,
) -> Iterator[FastaBatch]:
    """Read FASTA in batches of whole records.

    A file that is read again from the first record of a batch on gives the same batches, if ``readinto`` ends its
    blocks at the same bytes of the file, multiples of ``TEXT_BYTES``.

    Memory does not grow with the file. It is a few times ``batch_bases``, or a few times the longest record of up to
    ``max_length`` if that is more.

    Parameters
    ----------
    readinto
        Fills a buffer with the next bytes and returns how many: at least one, or 0 at the end.
    name
        Name of the file in errors.
    batch_bases
        Approximate number of letters of a batch; one longer record is a batch too.
    max_length
        A record of more letters comes without them.
    first
        Place of the first record; another than the first of a file must be there.
    letters
        Whether batches have their letters. Without, the same batches are read in a tenth of the time.

    Yields
    ------
    FastaBatch
        At least one record. Refused records are among them: see `refusals`.

    Raises
    ------
    FastaError
        If there is text before the first header, no record at all, a carriage return inside a header, or a header
        of more than 64 MiB.
    """
    for setting, value, limit in (
        ("batch_bases", batch_bases, MAX_BATCH_BASES),
        ("max_length", max_length, MAX_LENGTH),
    ):
        if not 0 < value <= limit:
            raise ValueError(f"expected {setting} of 1 to {limit:,}, found {value:,}")
    text = np.empty(TEXT_BYTES + BLOCK, np.uint8)
    readable = text.data[:TEXT_BYTES]
    state = np.zeros(1, fasta_scan.STATE)
    state["line"] = first.line
    state["before"] = first.start
    buffers, most = _Buffers.allocate(_HEADER_BYTES, batch_bases, letters), max(batch_bases, max_length) + BLOCK
    records_before = first.record - 1
    at_end = False
    while not at_end:
        start, stop = 0, readinto(readable)
        if stop == 0:
            # One more line end, since the last line may have none.
            at_end, stop, text[0] = True, 1, ord("\n")
        while start < stop:
            start, status = buffers.scan(text, start, stop, state, batch_bases, max_length)
            if status == fasta_scan.NOT_FASTA:
                raise _not_fasta(name, int(state["line"][0]), text[start : min(stop, start + _FOUND)].tobytes())
            if status == fasta_scan.NEED_TEXT:
                continue
            count = int(state["records"][0])
            whole = count if status == fasta_scan.BATCH_FULL else count - 1
            if whole:
                full, buffers = buffers, buffers.rest(whole, count, batch_bases, most)
                state["records"] = count - whole
                yield _with_line_ends(name, full.batch(whole, records_before, max_length))
                del full
                records_before += whole
            elif status == fasta_scan.HEADERS_FULL:
                line = int(state["line"][0])
                begun = fasta_scan.without_blanks(buffers.headers, 0, buffers.header_offsets[1])
                if np.any(buffers.headers[:begun] == _CARRIAGE_RETURN):
                    raise _old_mac(name, line)
                if len(buffers.headers) > _MAX_HEADER_BYTES:
                    raise FastaError(
                        f"{name}, line {line:,}: expected a header of at most "
                        f"{_MAX_HEADER_BYTES >> 20} MiB, found no end of the line; "
                        "check that this is a FASTA file"
                    )
                buffers.headers = _grown(buffers.headers, 2 * len(buffers.headers))
            else:
                buffers.grow(most)
        state["before"] += stop
    count = int(state["records"][0])
    if count == 0:
        raise FastaError(
            f"{name}: expected a line starting with '>', found an empty file or only blank lines; "
            "fetch or write the file again, or leave it out"
        )
    yield _with_line_ends(name, buffers.batch(count, records_before, max_length))


class Refusal(NamedTuple):
    """Why a record cannot be used: the kind, in the same words for every such record, and the reason with its place."""

    kind: str
    reason: str


def refusals(batch: FastaBatch) -> dict[int, Refusal]:
    """Reasons why records cannot be used, in words for their owner.

    Returns
    -------
    dict
        From the index in the batch to the refusal, ascending; good records are not in it.
    """
    starts = batch.header_offsets[:-1]
    nameless = starts == batch.header_offsets[1:]
    named = np.flatnonzero(~nameless)
    nameless[named] = np.isin(batch.header_data[starts[named]], (ord(" "), ord("\t"), ord("\r")))
    refused = nameless | (batch.length == 0) | (batch.illegal >= 0) | batch.too_long
    return {index: _refusal(batch, index, nameless[index]) for index in np.flatnonzero(refused).tolist()}


def split_headers(batch: FastaBatch) -> tuple[pa.StringArray, pa.StringArray]:
    """Names of the records, and their descriptions: the header after the first blanks.

    Returns
    -------
    names, descriptions : pyarrow.StringArray of length n
        Empty strings where there is none.
    """
    size, count = batch.header_data.size, len(batch)
    names, descriptions = np.empty(size, np.uint8), np.empty(size, np.uint8)
    name_offsets, description_offsets = np.empty(count + 1, np.int32), np.empty(count + 1, np.int32)
    is_ascii = fasta_scan.split_at_blank(
        batch.header_data, batch.header_offsets, names, name_offsets, descriptions, description_offsets
    )
    split = (names, name_offsets), (descriptions, description_offsets)
    if is_ascii:
        return _strings(*split[0]), _strings(*split[1])
    decoded_names, decoded_descriptions = (
        pa.array([header_text(data[start:stop].tobytes()) for start, stop in pairwise(offsets)], pa.string())
        for data, offsets in split
    )
    return decoded_names, decoded_descriptions


def header_text(header: bytes) -> str:
    """Header as text: UTF-8, or else Latin-1, which can read any bytes."""
    try:
        return header.decode()
    except UnicodeDecodeError:
        return header.decode("latin-1")


@dataclass(slots=True)
class _Buffers:
    """Buffers that the compiled loop fills and batches are cut from."""

    headers: npt.NDArray[np.uint8]
    header_offsets: npt.NDArray[np.int64]
    sequences: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    records: npt.NDArray[Any]
    room: int  # letters, whether they are kept or not
    keeps: bool

    @classmethod
    def allocate(cls, header_bytes: int, bases: int, keeps: bool) -> _Buffers:
        """Empty buffers; memory is used only where it is written."""
        buffers = cls(
            headers=np.empty(header_bytes + BLOCK, np.uint8),
            header_offsets=np.empty(_BATCH_RECORDS + 1, np.int64),
            sequences=np.empty(bases + BLOCK if keeps else BLOCK, np.uint8),
            offsets=np.empty(_BATCH_RECORDS + 1, np.int64),
            records=np.empty(_BATCH_RECORDS, fasta_scan.RECORD),
            room=bases + BLOCK,
            keeps=keeps,
        )
        buffers.header_offsets[0] = buffers.offsets[0] = 0
        return buffers

    def scan(
        self,
        text: npt.NDArray[np.uint8],
        start: int,
        stop: int,
        state: npt.NDArray[Any],
        enough: int,
        longest: int,
    ) -> tuple[int, int]:
        """Fill the buffers from a block of text; position reached and status."""
        position, status = fasta_scan.scan(
            text,
            start,
            stop,
            self.headers,
            self.header_offsets,
            self.sequences,
            self.offsets,
            self.records,
            state,
            enough,
            longest,
            self.room,
            self.keeps,
        )
        return position, status

    def grow(self, most: int) -> None:
        """Make room for twice the letters, up to a maximum."""
        self.room = min(2 * self.room, most)
        if self.keeps:
            self.sequences = _grown(self.sequences, self.room)

    def rest(self, whole: int, count: int, bases: int, most: int) -> _Buffers:
        """New buffers that begin with the unfinished record after the whole ones, if there is one.

        They are as large as if the file had begun with that record.
        """
        header = self.headers[self.header_offsets[whole] : self.header_offsets[count]]
        begun = int(self.offsets[count] - self.offsets[whole])
        rest = _Buffers.allocate(_HEADER_BYTES, bases, self.keeps)
        while len(header) + BLOCK > len(rest.headers):
            rest.headers = _grown(rest.headers, 2 * len(rest.headers))
        while begun + BLOCK > rest.room:
            rest.grow(most)
        rest.headers[: len(header)] = header
        if self.keeps:
            rest.sequences[:begun] = self.sequences[self.offsets[whole] : self.offsets[count]]
        if whole < count:
            rest.records[0] = self.records[whole]
            rest.header_offsets[1], rest.offsets[1] = len(header), begun
        return rest

    def batch(self, count: int, records_before: int, max_length: int) -> FastaBatch:
        """The first records as a batch, which takes over the buffers."""
        fields = {field: np.ascontiguousarray(self.records[field][:count]) for field in fasta_scan.RECORD_FIELDS}
        return FastaBatch(
            header_data=self.headers[: self.header_offsets[count]],
            header_offsets=self.header_offsets[: count + 1],
            data=self.sequences[: self.offsets[count] if self.keeps else 0],
            offsets=self.offsets[: count + 1],
            record=np.arange(records_before + 1, records_before + 1 + count),
            max_length=max_length,
            **fields,
        )


def _grown(buffer: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    grown = np.empty(size, np.uint8)
    grown[: len(buffer)] = buffer
    return grown


def _strings(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int32]) -> pa.StringArray:
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def _with_line_ends(name: str, batch: FastaBatch) -> FastaBatch:
    """The batch, if no header has a carriage return: sequences would be lost in such a header."""
    found = np.flatnonzero(batch.header_data == _CARRIAGE_RETURN)
    if len(found):
        raise _old_mac(name, int(batch.line[np.searchsorted(batch.header_offsets, found[0], side="right") - 1]))
    return batch


def _old_mac(name: str, line: int) -> FastaError:
    return FastaError(
        f"{name}, line {line:,}: carriage return inside a header: line ends are CR only (old Mac); "
        "expected LF or CRLF: convert them with tr '\\r' '\\n' < FILE > NEW"
    )


def _not_fasta(name: str, line: int, found: bytes) -> FastaError:
    for mark, encoding in BYTE_ORDER_MARKS:
        if found.startswith(mark):
            return FastaError(
                f"{name}, line {line:,}: expected a line starting with '>', found a byte-order mark ({encoding}): "
                "save the file without it, as plain text in ASCII or UTF-8"
            )
    is_binary = any(byte < 32 and byte not in b"\t\n\r" for byte in found)
    shown = "binary data" if is_binary else repr(header_text(found.splitlines()[0]))
    if found.startswith(b"@"):
        return FastaError(
            f"{name}, line {line:,}: expected a line starting with '>', found {shown}, as in FASTQ; convert it first: "
            "sed -n '1~4s/^@/>/p; 2~4p' READS.fastq > READS.fasta"
        )
    return FastaError(
        f"{name}, line {line:,}: expected a line starting with '>', found {shown}; "
        "check that this is a FASTA file, plain or compressed with gzip, bzip2 or Zstandard"
    )


def _refusal(batch: FastaBatch, index: int, nameless: np.bool_) -> Refusal:
    if nameless:
        return Refusal("no identifier", "no identifier after >")
    if batch.length[index] == 0:
        return Refusal("empty sequence", "empty sequence")
    if batch.illegal[index] < 0:
        return Refusal("too long", f"longer than {batch.max_length:,} bases: {batch.length[index]:,}")
    byte = int(batch.illegal[index])
    letter = repr(chr(byte)) if byte < 127 else f"(byte 0x{byte:02x})"
    place = f"at base {batch.illegal_position[index] + 1:,} (line {batch.illegal_line[index]:,})"
    if letter in ("'U'", "'u'"):
        reason = f"illegal letter {letter} {place}: U is RNA; convert U to T first"
    else:
        reason = f"illegal letter {letter} {place}; expected IUPAC DNA letters {IUPAC_DNA}"
    return Refusal(f"illegal letter {letter}", reason)
