"""Kernels on one core, on an Arrow buffer like those of a scan.

Each is compared with an independent count, and timed in turn with two limits of the same machine: a scan that only
reads the letters, and a plain rolling kernel.
"""

import gzip
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from benchmarks.corpus import organelle_lengths, sequences
from benchmarks.count import KS
from benchmarks.measure import ROUNDS, in_turn, must_equal, timed
from benchmarks.peers import codonw, prodigal
from benchmarks.report import Figure, Row, ratio
from opengenome_assets.corpus.settings import SAMPLE_FOLDER
from opengenome_assets.kernels.bases import Letters, Offsets, arrow_text
from opengenome_assets.kernels.codons import CodonCounter, effective_codons, gc3
from opengenome_assets.kernels.frames import open_reading_frames
from opengenome_assets.kernels.genes import Genes, find_genes
from opengenome_assets.kernels.kmers import KmerCounter
from opengenome_assets.kernels.profiles import sequence_kmers

MOST_BASES = 200_000_000
UNIT = " billion bases/s"
CODE = 11  # the genetic code of plastids
PRODIGAL_ROUNDS = 3
COPIES = 50  # of the genes, so that reading them outweighs the start of a process
# Targets: CPU time in readings of the letters, and speed in that of the plain rolling kernel.
READINGS = {"k-mers": 8.0, "codons": 6.0, "vectors": 9.0, "open reading frames": 100.0}
PLAIN = {"k-mers": 3.5, "codons": 5.0, "vectors": 1.9}
READING = "CPU / that of only reading the letters"

Counts = npt.NDArray[np.int64]
Text = tuple[Letters, Offsets]

CODES = np.full(256, 4, np.uint8)
for _code, _letter in enumerate(b"ACGT"):
    CODES[_letter] = _code
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


def kmer_row(bases: int, folder: Path) -> Row:
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
    return Row(
        "k = 6, 7 and 8 together, kernel on an Arrow buffer, one core",
        beside_limits("k-mers", text, fast, rolling, READINGS["k-mers"], PLAIN["k-mers"]),
        [about(text)],
    )


def codon_row(bases: int, folder: Path) -> Row:
    """Count codons and the 6-mers of each sequence, of up to 200 million bases."""
    text = arrow_text(shard_column(min(bases, MOST_BASES)))

    def codons() -> Counts:
        counter = CodonCounter()
        counter.add(*text)
        return counter.counts()

    def rolling_codons() -> Counts:
        counts = np.zeros((3, 64), np.int64)
        _roll_codons(*text, counts)
        return counts

    def rolling_vectors() -> Counts:
        counts, row = np.zeros(4**6, np.int64), np.zeros(4**6, np.int32)
        _roll_vectors(*text, row, counts)
        return counts

    must_equal("codons of the kernel and of the rolling kernel", codons(), rolling_codons())
    vectors = sequence_kmers(*text)
    summed = np.bincount(vectors.codes, vectors.counts, 4**6).astype(np.int64)
    must_equal("6-mers of the sequences and of the rolling kernel", summed, rolling_vectors())
    return Row(
        "codons, three frames; per-sequence 6-mer vectors, one core",
        [
            *beside_limits("codons", text, codons, rolling_codons, READINGS["codons"], PLAIN["codons"]),
            *beside_limits(
                "vectors", text, lambda: sequence_kmers(*text), rolling_vectors, READINGS["vectors"], PLAIN["vectors"]
            ),
        ],
        [about(text)],
    )


def gene_row(bases: int, folder: Path) -> Row:
    """Find genes and count their codons: up to 200 million bases, and the sample's plastids beside other tools."""
    data, offsets = arrow_text(shard_column(min(bases, MOST_BASES)))

    def frames() -> int:
        return sum(len(open_reading_frames(data[begin:end], 1)) for begin, end in pairwise(offsets))

    def rolling() -> None:
        _roll_codons(data, offsets, np.zeros((3, 64), np.int64))

    with gzip.open(SAMPLE_FOLDER / "plastids.fasta.gz", "rt") as lines:
        plastids = "".join(line.strip() for line in lines if not line.startswith(">"))
    letters = np.frombuffer(plastids.encode(), np.uint8)
    fasta = folder / "plastids.fasta"
    fasta.write_text(f">plastids\n{plastids}\n")
    _, theirs = prodigal(fasta)
    genes = find_genes(letters, CODE)
    must_equal("genes and Prodigal's", np.stack([genes.begin, genes.end, genes.strand], axis=1), theirs)
    # The peer is a process of its own, which reads and writes files: its start is a hundredth of it.
    own, peer = np.array(
        [(timed(lambda: find_genes(letters, CODE)), prodigal(fasta)[0].cpu) for _ in range(PRODIGAL_ROUNDS)]
    ).T
    usage, codonw_cpu, coding = usage_beside_codonw(plastids, genes, folder)
    return Row(
        "open reading frames of both strands; genes by Prodigal's models, and their codon usage, one core",
        [
            *beside_limits("open reading frames", (data, offsets), frames, rolling, READINGS["open reading frames"]),
            ratio("genes, CPU / Prodigal's", own, peer, 1.0),
            Figure("genes", len(letters) / 1e6 / float(np.median(own)), unit=" million bases/s"),
            ratio("codons, GC3s and Nc of genes, CPU / codonW's", usage, codonw_cpu, 0.1),
        ],
        [
            f"{about((data, offsets))} The plain kernel counts the codons of one strand. Prodigal's genes of "
            f"{len(letters):,} bases of plastids as one sequence, training included: by pyrodigal, with their "
            f"proteins, and by Debian's prodigal, which makes {len(letters) / 1e6 / float(np.median(peer)):.2f} "
            f"million bases/s. The {len(genes):,} genes are equal. The codon usage is that of these genes joined, "
            f"{COPIES} times over, {coding:,} bases: codonW is a process that reads them from a file, ours begins with "
            "the letters. GC3s and Nc are equal to the decimals that codonW prints.",
        ],
    )


def usage_beside_codonw(
    plastids: str, genes: Genes, folder: Path
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int]:
    """Return our CPU seconds for the codon usage of all genes, codonW's, both shape (rounds,), and the letters."""
    coding = []
    for begin, end, strand in zip(genes.begin, genes.end, genes.strand, strict=True):
        letters = plastids[begin - 1 : end]
        forward = letters if strand == 1 else letters.translate(_COMPLEMENT)[::-1]
        if set(forward) <= set("ACGT"):
            coding.append(forward[: len(forward) // 3 * 3])
    text = "".join(coding) * COPIES
    data = np.frombuffer(text.encode(), np.uint8)
    _, theirs = codonw(text, folder)
    for name, own, printed, digits in zip(("GC3s", "Nc"), usage_of(data), theirs, (3, 2), strict=True):
        must_equal(f"{name} of all genes and codonW's", abs(own - printed) < 0.51 / 10**digits, True)
    own, peer = np.array(
        [(timed(lambda: usage_of(data)), codonw(text, folder)[0].cpu) for _ in range(ROUNDS)], np.float64
    ).T
    return own, peer, len(text)


def usage_of(gene: Letters) -> tuple[float, float]:
    """Return GC3s and Nc of genes, one after another."""
    counter = CodonCounter()
    counter.add(gene, np.array([0, len(gene)]))
    counts = counter.counts()[0]
    return gc3(counts, CODE)[1], effective_codons(counts, CODE)


def beside_limits(
    name: str,
    text: Text,
    work: Callable[[], object],
    plain: Callable[[], object],
    most_readings: float,
    least_plain: float | None = None,
) -> list[Figure]:
    """Time a kernel, a scan that only reads the letters and a plain rolling kernel in turn.

    Parameters
    ----------
    name
        What the kernel makes.
    text
        The letters.
    work, plain
        The kernel, and the plain one.
    most_readings, least_plain
        The targets: CPU time in readings of the letters, and speed in that of the plain kernel.
    """
    seconds, reading, rolling = in_turn(work, lambda: read_letters(text[0]), plain)
    return [
        ratio(f"{name}, {READING}", seconds, reading, most_readings),
        ratio(f"{name}, speed / the plain rolling kernel's", rolling, seconds, least_plain, least=True),
        Figure(name, len(text[0]) / 1e9 / float(np.median(seconds)), unit=UNIT),
    ]


def about(text: Text) -> str:
    """Return how kernels are timed, in words."""
    reading = float(np.median(in_turn(lambda: read_letters(text[0]))))
    return (
        f"{len(text[0]):,} bases; the CPU time of one thread, {ROUNDS} rounds in turn. A scan that only reads the "
        f"letters, eight at a time, makes {len(text[0]) / 1e9 / reading:.3g} billion bases/s. The plain rolling "
        "kernel takes one letter after another, and is compiled too."
    )


def read_letters(data: Letters) -> int:
    """Read letters and do nothing else: the limit of every kernel."""
    return int(_read(data[: len(data) // 8 * 8].view(np.uint64)))


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
            letter = CODES[data[position]]
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


@njit(cache=True, nogil=True)
def _roll_codons(data: Any, offsets: Any, counts: Any) -> None:
    """Count the codons of three frames the plain way."""
    for row in range(len(offsets) - 1):
        code = run = 0
        for position in range(offsets[row], offsets[row + 1]):
            letter = CODES[data[position]]
            if letter == 4:
                run = 0
                continue
            run += 1
            code = (code << 2 | letter) & 0x3F
            if run >= 3:
                counts[(position - 2 - offsets[row]) % 3, code] += 1


@njit(cache=True, nogil=True)
def _roll_vectors(data: Any, offsets: Any, counts: Any, total: Any) -> None:
    """Count the 6-mers of each sequence the plain way, and add them up."""
    for row in range(len(offsets) - 1):
        counts[:] = 0
        code = run = 0
        for position in range(offsets[row], offsets[row + 1]):
            letter = CODES[data[position]]
            if letter == 4:
                run = 0
                continue
            run += 1
            code = (code << 2 | letter) & 0xFFF
            if run >= 6:
                counts[code] += 1
        for place in range(len(counts)):
            total[place] += counts[place]


@njit(cache=True, nogil=True)
def _read(words: Any) -> Any:
    """Return the exclusive or of all words."""
    found = np.uint64(0)
    for place in range(len(words)):
        found ^= words[place]
    return found
