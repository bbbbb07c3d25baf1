"""A Spark scan of shards, against decompression and kernel in one process, and a Python dict in mapInPandas."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from benchmarks.corpus import organelle_lengths, write_fasta
from benchmarks.count import KS
from benchmarks.ingestion import parse_task
from benchmarks.measure import in_fresh_process, must_equal, timed, tree_cpu
from benchmarks.pipeline import MASTER
from benchmarks.report import Figure, Row, number, ratio
from opengenome_assets import groups
from opengenome_assets.corpus.passes.kmers import count_kmers
from opengenome_assets.corpus.passes.parse import parse_file
from opengenome_assets.corpus.tables import KMERS
from opengenome_assets.engine.spark import Spark
from opengenome_assets.framework.shards import Output, ScanTask, Shard, run_scan, sequences
from opengenome_assets.kernels.bases import kmer_strings
from opengenome_assets.kernels.kmers import KmerCounter
from opengenome_assets.storage.parts import Part

SAMPLE_BASES = 2_000_000
MOST_BASES = 1_000_000_000
ROUNDS = 5
MIN_SHARDS = 4


def scan_row(bases: int, folder: Path) -> Row:
    """Measure a scan of up to a billion bases, and the dict on two million similar ones."""
    result, _ = in_fresh_process("benchmarks.scans", "measure", min(bases, MOST_BASES), str(folder))
    speed, alone = (result["bases"] / np.array(result[name]) for name in ("scan", "alone"))
    peer = result["sample"] / result["dict"]
    return Row(
        f"Spark scan of zstd shards, {MASTER}, warm",
        [
            ratio("CPU / decompression and kernel in one process", alone, speed, 1.4),
            ratio("speed / that of a dict in mapInPandas", speed, peer, 500, least=True),
            Figure("speed", float(np.median(speed)) / 1e6, unit=" million bases per CPU second"),
        ],
        [
            f"k = 6, 7 and 8 in one pass over {result['bases']:,} bases; CPU of driver, JVM and workers, {ROUNDS} "
            f"scans in turn with one process that decompresses the same pages and runs the same kernel, "
            f"{number(float(np.median(alone)) / 1e6)} million bases per CPU second. The dict makes "
            f"{number(peer / 1e6)} million bases per CPU second."
        ],
    )


def measure(bases: int, folder: str) -> dict[str, object]:
    """Scan shards in both ways, and count a sample with a dict: bases, and CPU seconds of each round."""
    shards = make_shards(bases, Path(folder, "scan"))
    sample = make_shards(min(bases, SAMPLE_BASES), Path(folder, "sample"))
    spark = Spark(master=MASTER, preload=groups.passes())
    try:
        found = add_up(scan(spark, sample, Path(folder)), Path(folder, "kmer_"))
        expected = with_dict(spark.spark_session, sample)
        alone = in_one_process(sample)
        for k in KS:
            must_equal(f"{k}-mers of the scan and of the dict", found[k], expected[k])
            must_equal(f"{k}-mers of the scan and of one process", found[k], alone[k])
        scan(spark, shards, Path(folder))
        seconds = [
            (timed(lambda: scan(spark, shards, Path(folder)), tree_cpu), timed(lambda: in_one_process(shards)))
            for _ in range(ROUNDS)
        ]
        scans, alones = zip(*seconds, strict=True)
        return {
            "bases": sum(shard.bases for shard in shards),
            "sample": sum(shard.bases for shard in sample),
            "scan": scans,
            "alone": alones,
            "dict": timed(lambda: with_dict(spark.spark_session, sample), tree_cpu),
        }
    finally:
        spark.stop()


def in_one_process(shards: list[Shard]) -> dict[int, npt.NDArray[np.int64]]:
    """Count the k-mers of shards in this thread."""
    counter = KmerCounter(KS)
    for shard in shards:
        for text in sequences(shard):
            counter.add(*text)
    return counter.counts()


def make_shards(bases: int, folder: Path) -> list[Shard]:
    """Generate sequences and parse them into shards."""
    file = folder / "corpus.fasta.gz"
    write_fasta(file, organelle_lengths(bases))
    task = parse_task(file, folder)
    # So many shards that every core has some: Spark is left out where there is only one.
    shorter = min(task.settings.max_bases_per_shard, bases // MIN_SHARDS)
    part = parse_file(replace(task, settings=replace(task.settings, max_bases_per_shard=shorter))).accepted
    if part is None:
        raise RuntimeError(f"{file} was not parsed")
    places = zip(part.files, part.facts["shard_bases"], strict=True)
    return [
        Shard(f"{part.key}/{number}", f"{folder}/sequence_shards/{file.path}", "generated", bases)
        for number, (file, bases) in enumerate(places)
    ]


def scan(spark: Spark, shards: list[Shard], folder: Path) -> list[list[Part]]:
    """Count the k-mers of shards as the asset kmer_ does, and return the parts that were written."""
    outputs = (Output(str(folder / "kmer_"), KMERS.schema),)
    return spark.map(
        run_scan,
        [ScanTask(partial(count_kmers, ks=KS), shard, shard.name.replace("/", "-"), outputs) for shard in shards],
        weights=[shard.bases for shard in shards],
        label="counting k-mers",
        unit="bases",
        log=logging.getLogger(__name__),
    )


def add_up(made: list[list[Part]], table: Path) -> dict[int, npt.NDArray[np.int64]]:
    """Return the sums of the counts in parts of kmer_."""
    sums = {k: np.zeros(4**k, np.int64) for k in KS}
    for (part,) in made:
        for file in part.files:
            for row in pq.read_table(table / file.path).to_pylist():
                sums[row["k"]] += row["counts"]
    return sums


def with_dict(session: SparkSession, shards: list[Shard]) -> dict[int, npt.NDArray[np.int64]]:
    """Count the same k-mers with a dict in Python, sequence by sequence."""

    def count(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        counts: Counter[str] = Counter()
        for frame in frames:
            for sequence in frame["sequence"]:
                for k in KS:
                    for start in range(len(sequence) - k + 1):
                        counts[sequence[start : start + k]] += 1
        yield pd.DataFrame({"kmer": counts.keys(), "count": counts.values()})

    rows = session.read.parquet(*(shard.uri for shard in shards)).select("sequence")
    counted = rows.mapInPandas(count, "kmer string, count long").groupBy("kmer").sum("count").toPandas()
    total = counted.set_index("kmer")["sum(count)"]
    return {k: total.reindex(kmer_strings(k), fill_value=0).to_numpy(np.int64) for k in KS}
