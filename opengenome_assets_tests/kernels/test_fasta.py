"""The FASTA reader against a slow, obvious reader, against Biopython, and on broken files."""

import io
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pytest
from Bio.SeqIO.FastaIO import SimpleFastaParser
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.kernels import fasta
from opengenome_assets.kernels.fasta import (
    FastaBatch,
    FastaError,
    header_text,
    read_records,
    refusals,
    split_headers,
)

BLANKS = b" \t\r"
LEGAL = b"ACGTRYSWKMBDHVN"


@dataclass
class SlowRecord:
    """One record as a loop over lines and letters sees it."""

    line: int
    header: bytes
    sequence: bytearray = field(default_factory=bytearray)
    illegal: tuple[int, int, int] = (-1, -1, -1)

    def add(self, letters: bytes, line: int) -> None:
        for letter in letters:
            if letter not in LEGAL + LEGAL.lower() and self.illegal[0] < 0:
                self.illegal = letter, len(self.sequence), line
            if letter not in BLANKS:
                self.sequence += bytes([letter]).upper()


def slow_records(text: bytes) -> list[SlowRecord]:
    records: list[SlowRecord] = []
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.startswith(b">"):
            records.append(SlowRecord(number, line[1:].rstrip(BLANKS)))
            if b"\r" in records[-1].header:
                raise FastaError(number)
        elif records:
            records[-1].add(line.rstrip(BLANKS), number)
        elif line.strip(BLANKS):
            raise FastaError(number)
    if not records:
        raise FastaError("empty")
    return records


def in_pieces(text: bytes, sizes: list[int]) -> Callable[[memoryview], int]:
    """A `readinto` that gives pieces of these sizes in turn, so that blocks end anywhere."""
    stream = io.BytesIO(text)
    turns = 0

    def readinto(buffer: memoryview) -> int:
        nonlocal turns
        turns += 1
        return stream.readinto(buffer[: sizes[turns % len(sizes)]])

    return readinto


def read(text: bytes, **settings: int) -> list[FastaBatch]:
    return list(read_records(io.BytesIO(text).readinto, name="x.fa", **settings))


def reason(text: bytes, **settings: int) -> dict[int, str]:
    (batch,) = read(text, **settings)
    return {index: refusal.reason for index, refusal in refusals(batch).items()}


def sequences(batches: list[FastaBatch]) -> list[bytes]:
    return [
        batch.data[start:stop].tobytes()
        for batch in batches
        for start, stop in zip(batch.offsets[:-1], batch.offsets[1:], strict=True)
    ]


def assert_same(text: bytes, batches: list[FastaBatch], max_length: int) -> None:
    """Compare every array of the batches with the slow reader."""
    expected = slow_records(text)
    kept = [bytes(record.sequence) if len(record.sequence) <= max_length else b"" for record in expected]
    assert sequences(batches) == kept
    records = [(batch, index) for batch in batches for index in range(len(batch))]
    assert len(records) == len(expected)
    for ordinal, ((batch, index), twin) in enumerate(zip(records, expected, strict=True), 1):
        assert batch.record[index] == ordinal
        assert batch.line[index] == twin.line
        assert batch.header(index) == header_text(twin.header)
        assert batch.length[index] == len(twin.sequence)
        assert batch.acgt_bases[index] == sum(twin.sequence.count(letter) for letter in b"ACGT")
        assert batch.gc_bases[index] == sum(twin.sequence.count(letter) for letter in b"GC")
        found = batch.illegal[index], batch.illegal_position[index], batch.illegal_line[index]
        assert found == twin.illegal
        assert batch.too_long[index] == (len(twin.sequence) > max_length)
        in_order = twin.header and twin.header[0] not in BLANKS and twin.sequence and twin.illegal[0] < 0
        assert (index in refusals(batch)) == (not in_order or batch.too_long[index])


line_of_sequence = st.one_of(
    st.text("ACGTacgt", max_size=200),
    st.text("ACGTNRYKacgtnryk", max_size=200),
    st.text("ACGT \t*-U1>", max_size=80),
    st.sampled_from(
        ["", " ", "\t ", "ACGT  ", " ACGT", "AC GT", "A" * 63, "A" * 64, "A" * 65, " " * 70, "\x00", "AC\x0bGT\x1f"]
    ),
)
line_of_header = st.text("ab |.>é\t", max_size=90).map(">".__add__)
line_end = st.sampled_from(["\n", "\r\n", " \n", "\n\n"])


@st.composite
def fasta_text(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(st.one_of(line_of_sequence, line_of_header), max_size=12))
    text = "".join(line + draw(line_end) for line in [draw(line_of_header), *lines])
    return (text if draw(st.booleans()) else text.rstrip("\r\n")).encode()


@given(
    text=st.one_of(fasta_text(), st.text(">\n\r \tACGTNacgt*U\x00ÿ@", max_size=80).map(str.encode)),
    sizes=st.lists(st.integers(1, 150), min_size=1, max_size=5),
    batch_bases=st.integers(1, 300),
    max_length=st.integers(1, 500),
)
def test_equals_the_slow_reader(text: bytes, sizes: list[int], batch_bases: int, max_length: int) -> None:
    def batches() -> Iterator[FastaBatch]:
        return read_records(in_pieces(text, sizes), name="x.fa", batch_bases=batch_bases, max_length=max_length)

    try:
        slow_records(text)
    except FastaError:
        with pytest.raises(FastaError):
            list(batches())
    else:
        assert_same(text, list(batches()), max_length)


@given(
    text=fasta_text(),
    batch_bases=st.integers(1, 300),
    max_length=st.integers(1, 500),
    text_bytes=st.integers(1, 150),
)
def test_batches_are_the_same_without_letters_and_from_the_place_of_one_on(
    text: bytes, batch_bases: int, max_length: int, text_bytes: int
) -> None:
    def batches(start: int = 0, **settings: Any) -> Iterator[FastaBatch]:
        # Blocks end at the same bytes of the file; `in_pieces` begins with its second size.
        sizes = [text_bytes, text_bytes - start % text_bytes, *[text_bytes] * len(text)]
        return read_records(
            in_pieces(text[start:], sizes),
            name="x.fa",
            batch_bases=batch_bases,
            max_length=max_length,
            **settings,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fasta, "_HEADER_BYTES", 100)
        patch.setattr(fasta, "_BATCH_RECORDS", 4)
        try:
            whole = list(batches())
        except FastaError:
            return
        assert_equal(list(batches(letters=False)), whole, letters=False)
        for number, batch in enumerate(whole):
            assert text[batch.start[0] : batch.start[0] + 1] == b">"
            assert_equal(list(batches(batch.place.start, first=batch.place)), whole[number:])


def assert_equal(found: list[FastaBatch], expected: list[FastaBatch], *, letters: bool = True) -> None:
    """Compare every array of batches; ``letters`` says whether those found have any."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for each in fields(FastaBatch):
            if each.name != "data":
                np.testing.assert_array_equal(getattr(one, each.name), getattr(other, each.name), each.name)
        assert one.data.tobytes() == (other.data.tobytes() if letters else b"")


@given(
    records=st.lists(
        st.tuples(st.text("abc |.", max_size=30), st.text("ACGTNacgtn", max_size=300)), min_size=1, max_size=6
    ),
    width=st.integers(1, 130),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_equals_biopython(records: list[tuple[str, str]], width: int, end: str) -> None:
    text = "".join(
        f">{header}{end}" + "".join(sequence[i : i + width] + end for i in range(0, len(sequence), width))
        for header, sequence in records
    )
    batches = read(text.encode(), batch_bases=256)
    ours = [batch.header(index) for batch in batches for index in range(len(batch))]
    theirs = list(SimpleFastaParser(io.StringIO(text.replace("\r\n", "\n"))))
    assert ours == [header for header, _ in theirs]
    assert sequences(batches) == [sequence.upper().encode() for _, sequence in theirs]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n", "\n\n \n"])
def test_accepts_what_people_write(line_end: str, last: str) -> None:
    text = f"\n \n>a first\nAcgt  \n\nnnRY\t\n>b\nGG{last}".replace("\n", line_end).encode()
    batches = read(text)
    assert sequences(batches) == [b"ACGTNNRY", b"GG"]
    assert [list(batch.line) for batch in batches] == [[3, 7]]
    assert reason(text) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b">\nACGT\n", "no identifier after >"),
        (b"> a\nACGT\n", "no identifier after >"),
        (b">a\n", "empty sequence"),
        (b">a", "empty sequence"),
        (b">a\n\n \n>b\nA\n", "empty sequence"),
        (
            b">a\nACGT\nACG*A*\n",
            "illegal letter '*' at base 8 (line 3); expected IUPAC DNA letters ACGTRYSWKMBDHVN",
        ),
        (b">a\nAC-GT\n", "illegal letter '-' at base 3 (line 2)"),
        (b">a\nACGT1\n", "illegal letter '1' at base 5 (line 2)"),
        (b">a\nAC GT\n", "illegal letter ' ' at base 3 (line 2)"),
        (b">a\nAC\rGT\n", "illegal letter '\\r' at base 3 (line 2)"),
        (b">a\nAC>GT\n", "illegal letter '>' at base 3 (line 2)"),
        (b">a\nMKLV\n", "illegal letter 'L' at base 3 (line 2)"),
        (b">a\nAC\x00GT\n", "illegal letter '\\x00' at base 3 (line 2)"),
        (b">a\n\x1a\n>b\nACGT\n", "illegal letter '\\x1a' at base 1 (line 2)"),
        (b">a\nAC\xffGT\n", "illegal letter (byte 0xff) at base 3 (line 2)"),
        (b">a\nACGU\n", "illegal letter 'U' at base 4 (line 2): U is RNA; convert U to T first"),
        (b">a\nacgu\n", "illegal letter 'u' at base 4 (line 2): U is RNA; convert U to T first"),
        (b">a\n" + b"ACGTACGTAC\n" * 3, "longer than 20 bases: 30"),
    ],
)
def test_refuses_a_record_with_its_reason(text: bytes, expected: str) -> None:
    reasons = reason(text, max_length=20)
    assert list(reasons) == [0]
    assert reasons[0].startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "an empty file or only blank lines"),
        (b"\n \r\n\n", "an empty file or only blank lines"),
        (b"\nACGT\n>a\nACGT\n", "line 2: expected a line starting with '>', found 'ACGT'"),
        (b"  >a\nACGT\n", "line 1: expected a line starting with '>', found '>a'"),
        (b"@read1\nACGT\n+\nIIII\n", "found '@read1', as in FASTQ; convert it first"),
        (b"x" * 100, "found '" + "x" * 40 + "'"),
        (b"\x7fELF\x02\x01\x00\x00", "found binary data"),
        (b"\xff\xfe>\x00a\x00", "line 1: expected a line starting with '>', found a byte-order mark (UTF-16)"),
        (b"\xfe\xff\x00>\x00a", "found a byte-order mark (UTF-16)"),
        (b"\xef\xbb\xbf>a\nACGT\n", "found a byte-order mark (UTF-8): save the file without it"),
        (b">a\rACGT\r>b\rGG\r", "line 1: carriage return inside a header: line ends are CR only (old Mac)"),
        (b">a\r\nAC\n>\n>b c\rACGT\n>d\n", "x.fa, line 4: carriage return inside a header"),
        (b">a\n" + b"ACGT" * 20 + b"\n>\rACGT", "x.fa, line 3: carriage return inside a header"),
    ],
)
def test_refuses_a_file_that_is_not_fasta(text: bytes, expected: str) -> None:
    with pytest.raises(FastaError) as caught:
        read(text)
    assert str(caught.value).startswith("x.fa")
    assert expected in str(caught.value)


def test_a_batch_holds_about_batch_bases_and_stays_valid() -> None:
    short = b"".join(b">r%d\n%s\n" % (i, b"ACGTN" * (i % 40)) for i in range(400))
    text = short + b">long\n" + b"AC" * 5000 + b"\n" + short
    batches = read(text, batch_bases=1000)
    assert len(batches) > 60
    assert all(len(batch.data) < 1000 + 64 or len(batch) == 1 for batch in batches)
    assert_same(text, batches, 2**31 - 1)


def test_a_record_of_max_length_is_kept_and_a_longer_one_not() -> None:
    (batch,) = read(b">a\n" + b"ACGTA\n" * 20 + b">b\n" + b"ACGTA\n" * 20 + b"C\n>c\nGG", max_length=100)
    assert sequences([batch]) == [b"ACGTA" * 20, b"", b"GG"]
    assert batch.length.tolist() == [100, 101, 2]
    assert batch.gc_bases.tolist() == [40, 41, 2]
    assert refusals(batch) == {1: ("too long", "longer than 100 bases: 101")}


def test_many_short_records_fill_several_batches() -> None:
    text = b"".join(b">r%d\nA\n" % i for i in range(100_000))
    batches = read(text)
    assert len(batches) == 2
    assert np.array_equal(np.concatenate([batch.record for batch in batches]), np.arange(1, 100_001))
    assert batches[1].header(len(batches[1]) - 1) == "r99999"


def test_sequences_are_arrow_strings() -> None:
    (batch,) = read(b">a\nacgt\n>b\n>c\nNN\n")
    array = batch.sequences()
    array.validate(full=True)
    assert array.to_pylist() == ["ACGT", "", "NN"]


@pytest.mark.parametrize(("setting", "value"), [("max_length", 2**31), ("batch_bases", 0)])
def test_settings_out_of_range(setting: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"expected {setting} of 1 to"):
        read(b">a\nA\n", **{setting: value})


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_headers_are_split_at_the_first_blanks(encoding: str) -> None:
    description = "plain words" if encoding == "ascii" else "Überträger aus Köln"
    headers = ["a", f"b\t {description}", "c  two  blanks ", "", " leading"]
    (batch,) = read("".join(f">{header}\nA\n" for header in headers).encode(encoding))
    names, descriptions = split_headers(batch)
    names.validate(full=True)
    descriptions.validate(full=True)
    assert names.to_pylist() == ["a", "b", "c", "", ""]
    assert descriptions.to_pylist() == ["", description, "two  blanks", "", "leading"]


def repeated(first: bytes, block: bytes, times: int) -> Callable[[memoryview], int]:
    """A `readinto` over a text that never lies in memory as a whole."""
    left = [first + block] + [block] * (times - 1)

    def readinto(buffer: memoryview) -> int:
        if not left:
            return 0
        piece = left.pop(0)
        size = min(len(buffer), len(piece))
        buffer[:size] = piece[:size]
        if size < len(piece):
            left.insert(0, piece[size:])
        return size

    return readinto


@pytest.mark.long
def test_a_long_header_is_read_and_a_giant_one_refused() -> None:
    block = b"x" * (1 << 18)
    (batch,) = read_records(repeated(b">", block, 40), name="x.fa")
    assert len(batch.header(0)) == 40 << 18
    with pytest.raises(FastaError, match=r"x.fa, line 1: expected a header of at most 64 MiB"):
        list(read_records(repeated(b">", block, 300), name="x.fa"))


def peak_of(batches: Iterator[FastaBatch]) -> tuple[int, int]:
    """Bases counted, and the most bytes that were allocated at a time."""
    tracemalloc.start()
    try:
        bases = sum(int(batch.length.sum()) for batch in batches)
        return bases, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file() -> None:
    record = b">record\n" + (b"ACGT" * 20 + b"\n") * 12_500
    bases, peak = peak_of(read_records(repeated(b"", record, 200), name="x.fa"))
    assert bases == 200_000_000
    assert peak < 100 << 20


def test_memory_does_not_grow_with_a_record_that_is_too_long() -> None:
    lines = (b"ACGT" * 20 + b"\n") * 12_500
    source = repeated(b">long\n", lines, 200)
    bases, peak = peak_of(read_records(source, name="x.fa", batch_bases=1 << 20, max_length=1 << 22))
    assert bases == 200_000_000
    assert peak < 30 << 20


def test_a_large_file_of_old_mac_lines_is_refused_for_its_line_ends() -> None:
    lines = (b"ACGT" * 20 + b"\r") * 12_500
    with pytest.raises(FastaError, match=r"x.fa, line 1: carriage return inside a header"):
        list(read_records(repeated(b">a\r", lines, 200), name="x.fa"))


def test_blanks_at_the_end_of_a_long_header_are_no_old_mac_lines() -> None:
    header = b">" + b"x" * (4 << 20) + b"\r" * 200
    (batch,) = read(header + b"\nACGT\n")
    assert len(batch.header(0)) == 4 << 20
