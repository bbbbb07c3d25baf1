"""k-mer search over sequence_shards, against DuckDB's text search in the same files, and its kernel on one core."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import duckdb
import numpy as np

from benchmarks.corpus import organelle_lengths, write_fasta
from benchmarks.ingestion import parse_task
from benchmarks.kernels import UNIT, shard_column
from benchmarks.measure import best_cpu, in_fresh_process, must_equal
from benchmarks.report import Row, Target, number, table
from opengenome_assets.corpus.passes.parse import parse_file
from opengenome_assets.corpus.tables import SEQUENCE_SHARDS
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


def occurrences_row(bases: int, folder: Path) -> Row:
    """Measure searches for k-mers of several lengths over this number of bases."""
    text = arrow_text(shard_column(min(bases, KERNEL_BASES)))
    some = np.asarray(text[0][1000 : 1000 + LENGTHS[-1]]).tobytes()
    kernel = [len(text[0]) / 1e9 / best_cpu(partial(count_occurrences, *text, some[:k])) for k in LENGTHS]
    in_fresh_process("benchmarks.occurrences", "make_shards", str(folder), bases)
    result, cost = in_fresh_process("benchmarks.occurrences", "measure", str(folder), some.decode())
    columns = [result[name] for name in ("clock", "ours", "both", "duckdb")]
    return Row(
        "k-mer search over zstd shards, two threads; its kernel, one core",
        [
            Target("kernel, any k", min(kernel), 1.5, UNIT, least=True),
            Target(
                "search, any k",
                result["bases"] / 1e9 / max(result["ours"]),
                0.75,
                " billion bases per CPU second",
                least=True,
            ),
            Target("peak memory", cost.peak / 1e9, 1, " GB"),
        ],
        [
            f"{result['bases']:,} bases; a k-mer that occurs, its first letters for the smaller k. The least of "
            f"{ROUNDS} rounds, with the files in the page cache. DuckDB, with two threads too, says which sequences "
            "contain the k-mer and stops at the first occurrence in each; ours counts them all. Both find the same "
            "sequences.",
            table(
                (
                    "k",
                    "kernel, billion bases/s",
                    "search, s by the clock",
                    "search, CPU s",
                    "both strands, CPU s",
                    "DuckDB's contains, CPU s",
                ),
                [(str(k), *map(number, row)) for k, *row in zip(LENGTHS, kernel, *columns, strict=True)],
                figures=5,
            ),
        ],
    )


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
    """Search for the first letters of a k-mer, and return bases, and seconds per length."""
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
    clock, cpu = zip(*(least_seconds(partial(ours, k)) for k in LENGTHS), strict=True)
    return {
        "bases": ours(1).bases_searched,
        "clock": clock,
        "ours": cpu,
        "both": [least_seconds(partial(ours, k, "both"))[1] for k in LENGTHS],
        "duckdb": [least_seconds(partial(theirs, k))[1] for k in LENGTHS],
    }


def least_seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that work takes by the clock, and of the CPU by all threads: the least of several rounds."""
    seconds = []
    for _ in range(ROUNDS):
        started, cpu = time.perf_counter(), time.process_time()
        work()
        seconds.append((time.perf_counter() - started, time.process_time() - cpu))
    clock, used = map(min, zip(*seconds, strict=True))
    return clock, used
