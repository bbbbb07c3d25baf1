"""The aligner's index: files as those of bwa, and reads found by the aligner."""

import subprocess

import numpy as np
import pytest

from opengenome_assets.variants import index
from opengenome_assets.variants.passes.align import quiet

RANDOM = np.random.default_rng(3)


def letters(length):
    return bytes(np.frombuffer(b"ACGT", np.uint8)[RANDOM.integers(0, 4, length)])


CONTIGS = [
    ("one", b"NN" + letters(401) + b"NNRNNN" + letters(300)),
    ("HLA:two", letters(500) + b"N"),
    ("short", b"A"),
]


@pytest.mark.peer
def test_names_holes_and_letters_are_those_of_bwa(tool, tmp_path):
    fasta = tmp_path / "x.fa"
    fasta.write_bytes(b"".join(b">%s\n%s\n" % (name.encode(), text) for name, text in CONTIGS))
    subprocess.run([tool("bwa"), "index", "-p", tmp_path / "bwa", fasta], check=True, capture_output=True)
    index.build(CONTIGS, tmp_path / "ours")
    for ending in ("pac", "ann", "amb"):
        assert (tmp_path / f"ours.{ending}").read_bytes() == (tmp_path / f"bwa.{ending}").read_bytes(), ending


def test_the_transform_is_that_of_the_sorted_rotations(tmp_path):
    text = letters(70)
    index.build([("x", text)], tmp_path / "x")
    both = text + text[::-1].translate(bytes.maketrans(b"ACGT", b"TGCA"))
    assert (tmp_path / "x.0123").read_bytes() == bytes(b"ACGT".index(letter) for letter in both)
    ends = both + b"$"
    suffixes = sorted(range(len(ends)), key=lambda place: ends[place:])
    stored = (tmp_path / "x.bwt.2bit.64").read_bytes()
    assert np.frombuffer(stored, np.int64, 1)[0] == len(ends)
    counts = np.frombuffer(stored, np.int64, 5, 8)
    assert counts.tolist() == [0, *np.cumsum([both.count(letter) for letter in b"ACGT"])]
    blocks = np.frombuffer(stored, np.uint64, 8 * (len(ends) // 64 + 1), 48).reshape(-1, 8)
    last = [ends[place - 1] for place in suffixes]
    for place, letter in enumerate(last):
        for base, other in enumerate(b"ACGT"):
            bit = int(blocks[place // 64, 4 + base]) >> (63 - place % 64) & 1
            assert bit == (letter == other)
            assert blocks[place // 64, base] == last[: place // 64 * 64].count(other)
    rest = 48 + blocks.nbytes
    sampled = suffixes[::8]
    assert np.frombuffer(stored, np.uint32, len(sampled), rest + len(sampled)).tolist() == sampled
    assert np.frombuffer(stored, np.int64, 1, len(stored) - 8)[0] == suffixes.index(0)


def test_the_aligner_reads_it_and_finds_reads(tmp_path):
    from bwa_mem3 import BwaIndex, MemOpts, ReadPair, align_batch

    index.build(CONTIGS, tmp_path / "x")
    with quiet():
        opened = BwaIndex(str(tmp_path / "x"))
        assert opened.contigs() == [(name, len(text)) for name, text in CONTIGS]
        options = MemOpts()
        options.set_pe(True)
        one, two = CONTIGS[1][1][10:110], CONTIGS[1][1][200:300][::-1].translate(bytes.maketrans(b"ACGT", b"TGCA"))
        records, _ = align_batch(opened, options, [ReadPair(b"r", one, b"r", two, b"I" * 100, b"I" * 100)])
    words = [np.frombuffer(record.bytes[:12], np.int32) for record in records]
    framed = [first[0] == len(record.bytes) - 4 for first, record in zip(words, records, strict=True)]
    assert sorted(first[1 + whole] for first, whole in zip(words, framed, strict=True)) == [10, 200]
