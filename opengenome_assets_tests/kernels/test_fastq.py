"""FASTQ: records and counts against slow twins, and broken records."""

import io
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opengenome_assets.kernels.fastq import ADAPTERS, FastqError, QualityCounter, read_fastq
from opengenome_assets_tests.examples import share

NAMES = st.text("abcXYZ019:.#-", min_size=1, max_size=12).filter(lambda name: name[0] not in "#")


@st.composite
def reads(draw):
    """Draw name, comment, letters and qualities of some reads."""
    found = []
    for _ in range(draw(st.integers(0, 12))):
        letters = draw(st.text("ACGTNacgtnRY", min_size=1, max_size=90))
        if draw(st.booleans()):
            letters = letters[:30] + draw(st.sampled_from(list(ADAPTERS.values()))) + letters[30:]
        low, high = sorted(draw(st.tuples(st.integers(33, 126), st.integers(33, 126))))
        scores = draw(st.lists(st.integers(low, high), min_size=len(letters), max_size=len(letters)))
        comment = draw(st.sampled_from(["", "/1", "/2", " 1:N:0:ACGT", "\tx"]))
        found.append((draw(NAMES), comment, letters, "".join(map(chr, scores))))
    return found


def text(records, end="\n", last=True):
    whole = "".join(f"@{n}{c}{end}{s}{end}+{end}{q}{end}" for n, c, s, q in records)
    return (whole if last else whole.removesuffix(end)).encode()


def parsed(content, block=4096):
    return [
        tuple(bytes(batch.data[a:b]).decode() for a, b in zip(row[::2], row[1::2], strict=True))
        for batch in read_fastq(io.BytesIO(content).readinto, "x.fq", block)
        for row in batch.spans
    ]


def counted(content, block=4096):
    counter = QualityCounter()
    for batch in read_fastq(io.BytesIO(content).readinto, "x.fq", block):
        counter.add(batch)
    return counter


@settings(max_examples=share(60), deadline=None)
@given(reads(), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 300))
def test_records_are_found_wherever_blocks_end(records, end, last, block):
    assert parsed(text(records, end, last), block) == [(n, s, q) for n, _, s, q in records]


@settings(max_examples=share(60), deadline=None)
@given(reads(), st.integers(20, 300))
def test_counts_are_those_of_a_slow_twin(records, block):
    counter = counted(text(records), block)
    longest = max((len(s) for _, _, s, _ in records), default=0)
    bases, qualities = np.zeros((longest, 5), int), np.zeros((longest, 94), int)
    lengths, gc, adapters = np.zeros(longest + 1, int), np.zeros(101, int), np.zeros((6, longest), int)
    for _, _, letters, scores in records:
        upper = letters.upper()
        for cycle, (letter, score) in enumerate(zip(upper, scores, strict=True)):
            bases[cycle, "ACGTN".index(letter if letter in "ACGT" else "N")] += 1
            qualities[cycle, ord(score) - 33] += 1
        lengths[len(letters)] += 1
        known = sum(map(upper.count, "ACGT"))
        if known:
            gc[100 * (upper.count("G") + upper.count("C")) // known] += 1
        places = {number: upper.find(adapter) for number, adapter in enumerate(ADAPTERS.values())}
        hits = [(place, number) for number, place in places.items() if place >= 0]
        if hits:
            place, number = min(hits)
            adapters[number, place] += 1
    assert (counter.reads, counter.letters) == (len(records), lengths @ np.arange(longest + 1))
    for found, expected in (
        (counter.bases, bases),
        (counter.qualities, qualities),
        (counter.lengths, lengths),
        (counter.gc, gc),
        (counter.adapters, adapters),
    ):
        np.testing.assert_array_equal(found, expected)
    starts = [s[:32].upper().translate(str.maketrans("NRY", "AAA")) for _, _, s, _ in records if len(s) >= 32]
    assert counter.duplication() == pytest.approx(1 - len(set(starts)) / len(starts) if starts else 0)
    expected = {start: n / len(starts) for start, n in Counter(starts).items() if n > 1}
    assert dict(counter.overrepresented()) == pytest.approx(expected)


@settings(max_examples=share(60), deadline=None)
@given(reads(), st.randoms())
def test_the_digest_depends_on_content_and_not_on_order_names_of_mates_or_case(records, random):
    digest = counted(text(records)).digest
    shuffled = random.sample(records, len(records))
    assert counted(text([(n, " other", s.lower(), q) for n, _, s, q in shuffled])).digest == digest
    if records:
        name, comment, letters, scores = records[0]
        for changed in (
            (f"{name}x", comment, letters, scores),
            (name, comment, letters.translate(str.maketrans("ACGTNRYacgtn", "CGTAACCcgtaa")), scores),
            (name, comment, letters, "".join("!" if score != "!" else "I" for score in scores)),
        ):
            assert counted(text([changed, *records[1:]])).digest != digest
        assert counted(text([*records, records[0]])).digest != digest


@pytest.mark.long
def test_a_sample_of_starts_gives_the_duplication_of_many_reads():
    random = np.random.default_rng(1)
    distinct = np.frombuffer(b"ACGT", np.uint8)[random.integers(0, 4, (200_000, 32))]
    counter = QualityCounter()
    for copies in (distinct, distinct):
        content = b"".join(b"@r\n%s\n+\n%s\n" % (row.tobytes(), b"I" * 32) for row in copies)
        for batch in read_fastq(io.BytesIO(content).readinto, "x.fq"):
            counter.add(batch)
    assert counter.duplication() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("@a\nAC\n+\nII\nb\nA\n+\nI\n", r"x.fq: record 2, line 5: expected a line that starts with '@'.*found 'b'"),
        ("@a\nAC\nII\n@b\n", "record 1, line 3: expected a line that starts with '\\+', found 'II'"),
        (
            "@a\nAC\n+\nI\n@b\nA\n+\nI\n",
            "record 1, line 4: expected as many qualities as letters, found 2 letters and 1",
        ),
        ("@a\nAC!\n+\nIII\n", "record 1, line 2: expected IUPAC letters of DNA, found 'AC!'"),
        ("@a\nAC\n+\nI\x1f\n", "record 1, line 4: expected qualities from '!' to '~'"),
        ("@a\nAC\n+\nII\n@b\nAC\n+", "record 2, line 5: expected a whole record of four lines; the file is truncated"),
        ("@a\nAC\n+\nII\n@b\nACGT\n+\nII", "record 2, line 8: expected as many qualities as letters"),
        ("@a\n\n+\n\n", "record 1, line 2: expected 1 to 10,000 letters, found 0 letters"),
        (f"@a\n{'A' * 10_001}\n+\n{'I' * 10_001}\n", "expected 1 to 10,000 letters, found 10,001"),
        ("@ a\nA\n+\nI\n", "record 1, line 1: expected a line that starts with '@' and a name"),
        ("\n@a\nA\n+\nI\n", "record 1, line 1"),
    ],
)
@pytest.mark.parametrize("block", [16, 1 << 20])
def test_a_broken_record_is_named_with_its_line(content, message, block):
    with pytest.raises(FastqError, match=message) as refusal:
        parsed(content.encode(), block)
    assert "Take the file from its source again" in str(refusal.value)


def test_empty_files_and_empty_lines_at_the_end_are_no_reads():
    assert parsed(b"") == parsed(b"\n\r\n") == []
    assert parsed(b"@a\nA\n+\nI\n\n\n") == [("a", "A", "I")]
    counter = counted(b"")
    assert (counter.reads, counter.duplication(), counter.overrepresented()) == (0, 0.0, [])
