"""Kernels on one core, on an Arrow buffer like those of a scan.

Each is compared with an independent count, and timed by the CPU time of its thread.
"""

import gzip
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from benchmarks.corpus import organelle_lengths, sequences
from benchmarks.count import KS
from benchmarks.measure import best_cpu, must_equal
from benchmarks.peers import prodigal
from benchmarks.report import Row, Target
from opengenome_assets.corpus.settings import SAMPLE_FOLDER
from opengenome_assets.kernels.bases import arrow_text
from opengenome_assets.kernels.codons import CodonCounter
from opengenome_assets.kernels.frames import open_reading_frames
from opengenome_assets.kernels.genes import find_genes
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


def gene_row(bases: int, folder: Path) -> Row:
    """Find genes: open reading frames of up to 200 million bases, and Prodigal's of the sample's plastids."""
    data, offsets = arrow_text(shard_column(min(bases, MOST_BASES)))

    def frames() -> int:
        return sum(len(open_reading_frames(data[begin:end], 1)) for begin, end in pairwise(offsets))

    with gzip.open(SAMPLE_FOLDER / "plastids.fasta.gz", "rt") as lines:
        plastids = "".join(line.strip() for line in lines if not line.startswith(">"))
    letters = np.frombuffer(plastids.encode(), np.uint8)
    (folder / "plastids.fasta").write_text(f">plastids\n{plastids}\n")
    cost, theirs = prodigal(folder / "plastids.fasta")
    genes = find_genes(letters, 11)
    must_equal("genes and Prodigal's", np.stack([genes.begin, genes.end, genes.strand], axis=1), theirs)
    speed, own = len(data) / 1e9 / best_cpu(frames), best_cpu(lambda: find_genes(letters, 11))
    return Row(
        "open reading frames of both strands; genes by Prodigal's models, one core",
        [
            Target("open reading frames", speed, 0.1, UNIT, least=True),
            Target("CPU / Prodigal's", own / cost.cpu, 1.0),
        ],
        [
            f"{len(data):,} bases of open reading frames. Prodigal's genes of {len(letters):,} bases of plastids as "
            f"one sequence, training included: {len(letters) / 1e6 / own:.2f} million bases/s by pyrodigal, with their "
            f"proteins; {len(letters) / 1e6 / cost.cpu:.2f} by Debian's prodigal. The {len(genes):,} genes are equal."
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
