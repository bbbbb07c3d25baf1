"""k-mer counts against a dictionary, jellyfish and KMC."""

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opengenome_assets.kernels.bases import arrow_text
from opengenome_assets.kernels.kmers import MAX_K, KmerCounter, valid_windows
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.kernels.texts import (
    EDGES,
    Text,
    by_kmer,
    fasta,
    random_bases,
    sample,
    sample_text,
    text,
    texts,
    windows,
)

KS = [(6, 7, 8), (1,), (8,), (1, 2, 3, 4, 5, 6, 7, 8), (5, 2), (3, 9), (9,), (1, 7, 10)]


def count(given_text: Text, ks: tuple[int, ...], **settings: int) -> dict[int, np.ndarray]:
    counter = KmerCounter(ks, **settings)
    counter.add(given_text.data, given_text.offsets)
    return counter.counts()


def twin(sequences: list[bytes], k: int) -> Counter[str]:
    return Counter(kmer for sequence in sequences for _, kmer in windows(sequence, k))


@pytest.mark.parametrize("ks", KS)
@settings(max_examples=share(40))
@given(given_text=texts())
def test_counts_equal_a_dictionary(ks: tuple[int, ...], given_text: Text) -> None:
    counts = count(given_text, ks)
    assert list(counts) == sorted(ks)
    for k in ks:
        assert counts[k].dtype == np.int64
        assert counts[k].shape == (4**k,)
        assert by_kmer(counts[k], k) == twin(given_text.sequences, k)


@pytest.mark.slow
def test_twelve_letters() -> None:
    rng = np.random.default_rng(12)
    given_text = text([random_bases(rng, size, b"ACGT" * 6 + b"N") for size in (0, 5, 11, 12, 900)])
    counts = count(given_text, (1, 11, 12))
    for k in (1, 11, 12):
        assert by_kmer(counts[k], k) == twin(given_text.sequences, k)


@pytest.mark.long
@pytest.mark.parametrize("ks", [(6, 7, 8), (3, 9)])
def test_every_length_of_run_at_every_place(ks: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(ks))
    for length in EDGES:
        run = random_bases(rng, length)
        for before in (0, 1, 15, 63):
            given_text = text([b"N" * before + run, run + b"N" * before, run, b"", run])
            counts = count(given_text, ks)
            for k in ks:
                assert by_kmer(counts[k], k) == twin(given_text.sequences, k), (length, before)


@settings(max_examples=share(40))
@given(given_text=texts(), cut=st.integers(0, 5))
def test_counts_add_up(given_text: Text, cut: int) -> None:
    cut = min(cut, len(given_text.sequences))
    counter = KmerCounter((4, 8))
    counter.add(given_text.data, given_text.offsets[: cut + 1])
    counter.counts()
    counter.add(given_text.data, given_text.offsets[cut:])
    together = count(given_text, (4, 8))
    for k, counts in counter.counts().items():
        np.testing.assert_array_equal(counts, together[k])


@settings(max_examples=share(40))
@given(given_text=texts(), limit=st.sampled_from([1, 7, 100, 300, 1000]))
def test_flushing_changes_nothing(given_text: Text, limit: int) -> None:
    flushed = count(given_text, (3, 8), flush_limit=limit)
    for k, counts in count(given_text, (3, 8)).items():
        np.testing.assert_array_equal(counts, flushed[k])


def test_tables_are_flushed_before_they_overflow() -> None:
    counter = KmerCounter((8,), flush_limit=1000)
    poly = text([b"A" * 300] * 10)
    for _ in range(5):
        counter.add(poly.data, poly.offsets)
        assert counter._pairs.sum() <= 1000
    # as if the table were about to overflow: what it holds must come out whole, beyond 32 bits
    counter._pairs[0] = 2**32 - 1
    counter._pending = 1000
    counter.add(poly.data, poly.offsets)
    assert counter.counts()[8][0] > 2 * (2**32 - 1)


@settings(max_examples=share(40))
@given(given_text=texts())
def test_windows_are_those_of_the_counts(given_text: Text) -> None:
    found = valid_windows(given_text.data, given_text.offsets)
    assert found.tolist() == [
        sum(len(windows(sequence, k)) for sequence in given_text.sequences) for k in range(1, MAX_K + 1)
    ]
    for k, counts in count(given_text, (1, 5, 8)).items():
        assert counts.sum() == found[k - 1]


@pytest.mark.parametrize("arrow_type", [pa.string(), pa.large_string()])
@pytest.mark.slow
def test_slices_of_arrow_arrays(arrow_type: pa.DataType) -> None:
    sequences = [b"ACGTACGTACGTAC", b"", b"GGGNGGGGGGGGG", b"CATCATCATCATCATCATCAT"]
    data, offsets = arrow_text(pa.array([sequence.decode() for sequence in sequences], arrow_type).slice(1, 2))
    counter = KmerCounter((2, 8))
    counter.add(data, offsets)
    for k, counts in counter.counts().items():
        assert by_kmer(counts, k) == twin(sequences[1:3], k)


@pytest.mark.parametrize("ks", [(), (0,), (6, 13), (-1,)])
def test_other_lengths_are_refused(ks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected k-mer lengths from 1 to 12"):
        KmerCounter(ks)


def test_a_sequence_that_could_overflow_is_refused() -> None:
    data = np.broadcast_to(np.uint8(65), (1,)).copy()
    huge = np.lib.stride_tricks.as_strided(data, (2**32,), (1,))  # never read: refused before
    with pytest.raises(ValueError, match="4294967296 letters is longer"):
        KmerCounter((6,)).add(huge, np.array([0, 2**32]))


@pytest.mark.parametrize("source", ["plastids", "mitochondria"])
@pytest.mark.parametrize("program", ["jellyfish", "kmc"])
def test_sample_equals_outside_counters(source: str, program: str, tool: Callable[[str], str], tmp_path: Path) -> None:
    dump = {"jellyfish": jellyfish, "kmc": kmc}[program]
    path = tmp_path / "sample.fasta"
    path.write_text(fasta(sample(source)))
    counts = count(sample_text(source), (6, 7, 8))
    for k in (6, 7, 8):
        assert by_kmer(counts[k], k) == dump(tool(program), path, k)


def jellyfish(program: str, path: Path, k: int) -> dict[str, int]:
    index = path.with_suffix(f".{k}.jf")
    subprocess.run([program, "count", "-m", str(k), "-s", "1M", "-o", index, path], check=True)
    dump = subprocess.run([program, "dump", "-c", index], check=True, capture_output=True, text=True).stdout
    return {kmer: int(number) for kmer, number in map(str.split, dump.splitlines())}


def kmc(program: str, path: Path, k: int) -> dict[str, int]:
    database, dump = path.with_suffix(f".{k}"), path.with_suffix(f".{k}.txt")
    keep_all = ["-ci1", "-cs4294967295", "-cx4294967295"]
    command = [program, "-hp", f"-k{k}", "-fm", "-b", *keep_all, "-m2", "-t1", path, database, path.parent]
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run([f"{program}_tools", "-hp", "transform", database, "dump", dump], check=True, capture_output=True)
    return {kmer: int(number) for kmer, number in map(str.split, dump.read_text().splitlines())}
