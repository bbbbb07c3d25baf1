"""Kernels on one core, on an Arrow buffer like those of a scan.

Each is compared with an independent count, and timed by the CPU time of its thread.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from benchmarks.corpus import organelle_lengths, sequences
from benchmarks.count import KS
from benchmarks.measure import best_cpu, must_equal
from benchmarks.report import Row, Target
from opengenome_assets.kernels.bases import arrow_text
from opengenome_assets.kernels.codons import CodonCounter
from opengenome_assets.kernels.kmers import KmerCounter
from opengenome_assets.kernels.profiles import sequence_kmers

MOST_BASES = 200_000_000
UNIT = " billion bases/s"

Counts = npt.NDArray[np.int64]

_CODES = np.full(256, 4, np.uint8)
for _code, _letter in enumerate(b"ACGT"):
    _CODES[_letter] = _code


def kmer_row(bases: int) -> Row:
    """Count k-mers, k = 6, 7 and 8, of up to 200 million bases."""
    text = arrow_text(shard_column(min(bases, MOST_BASES)))

    def fast() -> dict[int, Counts]:
        counter = KmerCounter(KS)
        counter.add(*text)
        return counter.counts()

    def rolling() -> dict[int, Counts]:
        tables = {k: np.zeros(4**k, np.int64) for k in KS}
        _roll(*text, *tables.values())
        return tables

    must_equal("k-mer counts of the kernel and of the rolling kernel", fast(), rolling())
    speed, plain = (len(text[0]) / 1e9 / best_cpu(work) for work in (fast, rolling))
    return Row(
        "k = 6, 7 and 8 together, kernel on an Arrow buffer, one core",
        [Target("k-mers", speed, 3.0, UNIT, least=True)],
        [
            f"{len(text[0]):,} bases; best of several rounds by the thread's CPU time. A plain rolling kernel, also "
            f"compiled, makes {plain:.2f} billion bases/s: ours is {speed / plain:.1f} times as fast."
        ],
    )


def codon_row(bases: int) -> Row:
    """Count codons and the 6-mers of each sequence, of up to 200 million bases."""
    text = arrow_text(shard_column(min(bases, MOST_BASES)))

    def codons() -> Counts:
        counter = CodonCounter()
        counter.add(*text)
        return counter.counts()

    counter = KmerCounter((3, 6))
    counter.add(*text)
    counts = counter.counts()
    must_equal("codons of the three frames and 3-mers", codons().sum(axis=0), counts[3])
    vectors = sequence_kmers(*text)
    summed = np.bincount(vectors.codes, vectors.counts, 4**6).astype(np.int64)
    must_equal("6-mers of the sequences and of the corpus", summed, counts[6])
    codon_speed, vector_speed = (
        len(text[0]) / 1e9 / best_cpu(work) for work in (codons, lambda: sequence_kmers(*text))
    )
    return Row(
        "codons, three frames; per-sequence 6-mer vectors, one core",
        [
            Target("codons", codon_speed, 4.0, UNIT, least=True),
            Target("vectors", vector_speed, 3.0, UNIT, least=True),
        ],
    )


def shard_column(bases: int) -> pa.LargeStringArray:
    """Return generated sequences in upper case, as the column of a shard holds them."""
    lengths = organelle_lengths(bases)
    letters = np.concatenate([part & 0xDF for part, _ in sequences(lengths)])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.LargeStringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(letters))


@njit(cache=True, nogil=True)
def _roll(data: Any, offsets: Any, sixes: Any, sevens: Any, eights: Any) -> None:
    """Count k-mers the plain way: one letter after another, into one table per length."""
    for row in range(len(offsets) - 1):
        code = run = 0
        for position in range(offsets[row], offsets[row + 1]):
            letter = _CODES[data[position]]
            if letter == 4:
                run = 0
                continue
            run += 1
            code = (code << 2 | letter) & 0xFFFF
            if run >= 8:
                eights[code] += 1
            if run >= 7:
                sevens[code & 0x3FFF] += 1
            if run >= 6:
                sixes[code & 0xFFF] += 1
