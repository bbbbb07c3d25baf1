"""Occurrences of one k-mer against a look at every place, Biopython, re and EMBOSS."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from Bio.Seq import Seq
from hypothesis import given, settings
from hypothesis import strategies as st

from opengenome_assets.kernels.bases import arrow_text
from opengenome_assets.kernels.occurrences import count_occurrences, find_occurrences
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.kernels.texts import EDGES, Text, fasta, random_bases, sample, sample_text, text, texts

LONGEST = 31


def twin(sequence: bytes, kmer: bytes) -> list[int]:
    """Every place at which the k-mer stands, in whichever case."""
    return [start for start in range(len(sequence)) if sequence[start : start + len(kmer)].upper() == kmer]


def check(given_text: Text, kmer: bytes) -> None:
    expected = [twin(sequence, kmer) for sequence in given_text.sequences]
    counts = count_occurrences(given_text.data, given_text.offsets, kmer)
    assert counts.dtype == np.int64
    assert counts.tolist() == list(map(len, expected))
    for sequence, places in zip(given_text.sequences, expected, strict=True):
        starts = find_occurrences(np.frombuffer(sequence, np.uint8), kmer, len(sequence))
        assert starts.dtype == np.int64
        assert starts.tolist() == places


@st.composite
def searches(draw: st.DrawFn) -> tuple[Text, bytes]:
    """A text and a k-mer, which is mostly one that occurs in it."""
    given_text = draw(texts())
    every = [
        sequence[start : start + k].upper()
        for sequence in given_text.sequences
        for k in (draw(st.integers(1, LONGEST)),)
        for start in range(0, len(sequence) - k + 1, 7)
    ]
    valid = [kmer for kmer in every if set(kmer) <= set(b"ACGT")]
    anything = st.text("ACGT", min_size=1, max_size=LONGEST).map(str.encode)
    return given_text, draw(st.one_of(anything, st.sampled_from(valid)) if valid else anything)


@settings(max_examples=share(150))
@given(search=searches())
@pytest.mark.slow
def test_occurrences_are_those_that_a_look_at_every_place_finds(search: tuple[Text, bytes]) -> None:
    check(*search)


@pytest.mark.parametrize("kmer", [b"A", b"AA", b"ACA", b"ACACACACACACACACACACACACACACACA"])
def test_overlaps_count_in_runs_of_every_length(kmer: bytes) -> None:
    for letters in (b"A", b"AC"):
        for length in EDGES:
            for behind in (b"", b"ACAC" * 30):
                check(text([(letters * length)[:length], b"ca" * length, b""], after=behind), kmer)


def test_neither_other_sequences_nor_letters_around_them_are_looked_at() -> None:
    given_text = text([b"ACG", b"TAC", b"", b"GT", b"ACGT"], before=b"ACGT", after=b"ACGT" * 40)
    assert count_occurrences(given_text.data, given_text.offsets, b"ACGT").tolist() == [0, 0, 0, 0, 1]
    assert count_occurrences(given_text.data, given_text.offsets, b"TAC").tolist() == [0, 1, 0, 0, 0]


def test_other_letters_match_nothing() -> None:
    every = bytes(range(256))
    given_text = text([every * 2])
    for letter in b"ACGT":
        places = find_occurrences(given_text.data, bytes([letter]), 10)
        assert places.tolist() == [letter, letter | 0x20, 256 + letter, 256 + (letter | 0x20)]


@pytest.mark.parametrize("most", [0, 1, 63, 64, 65, 200])
def test_no_more_places_are_found_than_asked_for(most: int) -> None:
    assert find_occurrences(np.frombuffer(b"A" * 150, np.uint8), b"AA", most).tolist() == list(range(149))[:most]


@pytest.mark.parametrize("kmer", [b"", b"ACGN", b"acgt", b"ACGU", b"\xff"])
def test_other_kmers_are_refused(kmer: bytes) -> None:
    with pytest.raises(ValueError, match="expected a k-mer of the letters ACGT"):
        count_occurrences(np.zeros(3, np.uint8), np.array([0, 3]), kmer)


def test_a_slice_of_an_arrow_column() -> None:
    column = pa.array(["ACGACG", "ACG", "TTT", "CGACGA"], pa.large_string()).slice(1)
    assert count_occurrences(*arrow_text(column), b"ACG").tolist() == [1, 0, 1]


@pytest.mark.long
@pytest.mark.parametrize("source", ["mitochondria", "plastids"])
def test_the_sample_against_biopython_and_lookahead(source: str) -> None:
    given_text = sample_text(source)
    rng = np.random.default_rng(1)
    kmers = [random_bases(rng, k) for k in (1, 2, 3, 4, 5, 6, 8)]
    kmers += [given_text.sequences[0][1000 : 1000 + k] for k in (11, 15, 16, 20, 31)]
    for kmer in kmers:
        counts = count_occurrences(given_text.data, given_text.offsets, kmer).tolist()
        assert counts == [Seq(sequence).count_overlap(kmer) for sequence in given_text.sequences]
        for sequence, count in zip(given_text.sequences, counts, strict=True):
            starts = find_occurrences(np.frombuffer(sequence, np.uint8), kmer, 10**6).tolist()
            assert starts == [match.start() for match in re.finditer(b"(?=" + kmer + b")", sequence)]
            assert len(starts) == count


@pytest.mark.parametrize("kmer", [b"ATTTA", b"GAATTC", b"TATATATATA"])
def test_the_sample_against_fuzznuc(kmer: bytes, tool: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "sample.fasta").write_text(fasta(sample("mitochondria")))
    report = tmp_path / "report.tsv"
    command = [tool("fuzznuc"), "-sequence", str(tmp_path / "sample.fasta"), "-pattern", kmer.decode()]
    subprocess.run([*command, "-rformat", "excel", "-outfile", str(report)], check=True, capture_output=True)
    rows = [line.split("\t") for line in report.read_text().splitlines() if not line.startswith("SeqName")]
    found = sorted((row[0], int(row[1]) - 1) for row in rows)
    ours = [
        (name, int(start))
        for name, sequence in sample("mitochondria").items()
        for start in find_occurrences(np.frombuffer(sequence.encode(), np.uint8), kmer, 10**6)
    ]
    assert sorted(ours) == found
    assert found
