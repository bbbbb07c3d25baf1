"""k-mer search over sequence_shards, against DuckDB's text search in the same files, and its kernel on one core."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
from numba import njit

from benchmarks.corpus import organelle_lengths, write_fasta
from benchmarks.ingestion import parse_task
from benchmarks.kernels import CODES, READING, UNIT, Text, read_letters, shard_column
from benchmarks.measure import both_clocks, in_fresh_process, in_turn, must_equal
from benchmarks.report import Figure, Row, number, ratio, table
from opengenome_assets.corpus.passes.parse import parse_file
from opengenome_assets.corpus.tables import SEQUENCE_SHARDS
from opengenome_assets.framework.shards import Shard, sequences
from opengenome_assets.kernels.bases import arrow_text
from opengenome_assets.kernels.occurrences import count_occurrences
from opengenome_assets.kernels.warm import warm
from opengenome_assets.search import KmerMatches, find_kmer
from opengenome_assets.search.options import Strand
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home

SHARDS = "sequence_shards"
KERNEL_BASES = 200_000_000
LENGTHS = (1, 4, 6, 12, 31)
ROUNDS = 3
COLUMNS = ("clock", "cpu", "both", "alone", "duckdb")


def occurrences_row(bases: int, folder: Path) -> Row:
    """Measure searches for k-mers of several lengths over this number of bases."""
    text = arrow_text(shard_column(min(bases, KERNEL_BASES)))
    some = np.asarray(text[0][1000 : 1000 + LENGTHS[-1]]).tobytes()
    kernels = {k: kernel_seconds(text, some[:k]) for k in LENGTHS}
    speeds = [len(text[0]) / 1e9 / float(np.median(kernels[k][0])) for k in LENGTHS]
    in_fresh_process("benchmarks.occurrences", "make_shards", str(folder), bases)
    result, cost = in_fresh_process("benchmarks.occurrences", "measure", str(folder), some.decode())
    measured = {name: np.array(seconds) for name, seconds in result["seconds"].items()}
    medians = {name: np.median(seconds, axis=1) for name, seconds in measured.items()}
    slowest = LENGTHS[int(np.argmax([np.median(ours / reading) for ours, reading, _ in kernels.values()]))]
    closest = LENGTHS[int(np.argmin([np.median(plain / ours) for ours, _, plain in kernels.values()]))]
    worst = int(np.argmax(np.median(measured["cpu"] / measured["alone"], axis=1)))
    return Row(
        "k-mer search over zstd shards, two threads; its kernel, one core",
        [
            ratio(f"kernel, {READING}, of all k the most", kernels[slowest][0], kernels[slowest][1], 8.0),
            ratio(
                "kernel, speed / the plain rolling kernel's, of all k the least",
                kernels[closest][2],
                kernels[closest][0],
                2.5,
                least=True,
            ),
            ratio(
                "search, CPU / decompression and kernel in one process, of all k the most",
                measured["cpu"][worst],
                measured["alone"][worst],
                1.3,
            ),
            Figure("peak memory", cost.peak / 1e9, 1, " GB"),
            Figure("kernel, any k", min(speeds), unit=UNIT),
            Figure("search, any k", result["bases"] / 1e9 / max(medians["cpu"]), unit=" billion bases per CPU second"),
        ],
        [
            f"{result['bases']:,} bases; a k-mer that occurs, its first letters for the smaller k. {ROUNDS} rounds in "
            "turn, with the files in the page cache. DuckDB, with two threads too, says which sequences contain the "
            "k-mer and stops at the first occurrence in each; ours counts them all. Both find the same sequences.",
            table(
                (
                    "k",
                    "kernel, billion bases/s",
                    "search, s by the clock",
                    "search, CPU s",
                    "both strands, CPU s",
                    "decompression and kernel, CPU s",
                    "DuckDB's contains, CPU s",
                ),
                [
                    (str(k), *map(number, row))
                    for k, *row in zip(LENGTHS, speeds, *(medians[name] for name in COLUMNS), strict=True)
                ],
                figures=6,
            ),
        ],
    )


def kernel_seconds(text: Text, kmer: bytes) -> npt.NDArray[np.float64]:
    """Time the kernel, a scan that only reads the letters and the plain kernel; seconds, shape (3, rounds)."""
    code = functools.reduce(lambda code, letter: code << 2 | b"ACGT".index(letter), kmer, 0)
    counts = np.zeros(len(text[1]) - 1, np.int64)

    def plain() -> npt.NDArray[np.int64]:
        _roll_matches(*text, len(kmer), np.uint64(code), counts)
        return counts

    must_equal("occurrences by the kernel and by the plain kernel", count_occurrences(*text, kmer), plain())
    return in_turn(lambda: count_occurrences(*text, kmer), lambda: read_letters(text[0]), plain)


@njit(cache=True, nogil=True)
def _roll_matches(data: Any, offsets: Any, k: Any, kmer: Any, counts: Any) -> None:
    """Count one k-mer in each sequence the plain way: one letter after another."""
    mask = (np.uint64(1) << np.uint64(2 * k)) - np.uint64(1)
    for row in range(len(offsets) - 1):
        code, run, found = np.uint64(0), 0, 0
        for position in range(offsets[row], offsets[row + 1]):
            letter = CODES[data[position]]
            run = 0 if letter == 4 else run + 1
            code = (code << np.uint64(2) | np.uint64(letter & 3)) & mask
            if run >= k and code == kmer:
                found += 1
        counts[row] = found


def make_shards(home: str, bases: int) -> None:
    """Make sequence_shards of generated sequences."""
    file = Path(home, "corpus.fasta.gz")
    write_fasta(file, organelle_lengths(bases))
    tables = Home(home)
    part = parse_file(replace(parse_task(file, Path(home)), shards_uri=tables.table(SHARDS).uri)).accepted
    if part is None:
        raise RuntimeError(f"{file} was not parsed")
    tables.table(SHARDS).commit(SEQUENCE_SHARDS.schema, [part], Provenance(name=SHARDS, code_version="1"))


def measure(home: str, kmer: str) -> dict[str, object]:
    """Search for the first letters of a k-mer, and return bases, and seconds by length and round."""
    warm()
    files = [f"{home}/tables/{SHARDS}/{file.path}" for file in Home(home).table(SHARDS).at().files]
    duckdb.sql("SET threads = 2")

    def ours(k: int, strand: Strand = "given") -> KmerMatches:
        return find_kmer(kmer[:k], home=home, strand=strand, threads=2)

    def theirs(k: int) -> int:
        query = "SELECT count(*) FROM read_parquet($files) WHERE contains(sequence, $kmer)"
        row = duckdb.execute(query, {"files": files, "kmer": kmer[:k]}).fetchone()
        return int(row[0]) if row else 0

    for k in LENGTHS:
        must_equal(f"sequences that hold {kmer[:k]}, by ours and by DuckDB", ours(k).sequences, theirs(k))
    seconds: dict[str, list[list[float]]] = {name: [] for name in COLUMNS}
    for k in LENGTHS:
        works = partial(ours, k), partial(ours, k, "both"), partial(alone, files, kmer[:k].encode()), partial(theirs, k)
        search, both, one_process, duck = in_turn(*works, rounds=ROUNDS, clock=both_clocks)
        for name, each in zip(
            COLUMNS, (search[:, 0], search[:, 1], both[:, 1], one_process[:, 1], duck[:, 1]), strict=True
        ):
            seconds[name].append(each.tolist())
    return {"bases": ours(1).bases_searched, "seconds": seconds}


def alone(files: Sequence[str], kmer: bytes) -> int:
    """Decompress shards and count a k-mer, in this thread and with nothing else."""
    shards = (Shard(file, file, "generated", 0) for file in files)
    return sum(int(count_occurrences(*text, kmer).sum()) for shard in shards for text in sequences(shard))
