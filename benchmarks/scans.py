"""A Spark scan of shards, against a Python dict in mapInPandas."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
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
from benchmarks.measure import in_fresh_process, must_equal, tree_cpu
from benchmarks.pipeline import MASTER
from benchmarks.report import Row, Target, number
from opengenome_assets import groups
from opengenome_assets.corpus.passes.kmers import count_kmers
from opengenome_assets.corpus.passes.parse import parse_file
from opengenome_assets.corpus.tables import KMERS
from opengenome_assets.engine.spark import Spark
from opengenome_assets.framework.shards import Output, ScanTask, Shard, run_scan
from opengenome_assets.kernels.bases import kmer_strings
from opengenome_assets.storage.parts import Part

SAMPLE_BASES = 2_000_000
MOST_BASES = 1_000_000_000
ROUNDS = 5
MIN_SHARDS = 4


def scan_row(bases: int, folder: Path) -> Row:
    """Measure a scan of up to a billion bases, and the dict on two million similar ones."""
    result, _ = in_fresh_process("benchmarks.scans", "measure", min(bases, MOST_BASES), str(folder))
    speed, peer = result["scan"], result["dict"]
    return Row(
        f"Spark scan of zstd shards, {MASTER}, warm",
        [
            Target("speed", speed / 1e6, 750, " million bases per CPU second", least=True),
            Target("against a dict in mapInPandas", speed / peer, 500, " x", least=True),
        ],
        [
            f"k = 6, 7 and 8 in one pass over {result['bases']:,} bases; CPU of driver, JVM and workers, on "
            f"average over {ROUNDS} scans. The dict makes {number(peer / 1e6)} million bases per CPU second."
        ],
    )


def measure(bases: int, folder: str) -> dict[str, float]:
    """Scan shards, and count a sample with a dict: bases per CPU second of each."""
    shards = make_shards(bases, Path(folder, "scan"))
    sample = make_shards(min(bases, SAMPLE_BASES), Path(folder, "sample"))
    spark = Spark(master=MASTER, preload=groups.passes())
    try:
        found = add_up(scan(spark, sample, Path(folder)), Path(folder, "kmer_"))
        expected = with_dict(spark.spark_session, sample)
        for k in KS:
            must_equal(f"{k}-mers of the scan and of the dict", found[k], expected[k])
        total, small = (sum(shard.bases for shard in some) for some in (shards, sample))
        return {
            "bases": total,
            "scan": total / mean_cpu(lambda: scan(spark, shards, Path(folder)), ROUNDS),
            "dict": small / mean_cpu(lambda: with_dict(spark.spark_session, sample), 1),
        }
    finally:
        spark.stop()


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


def mean_cpu(work: Callable[[], object], rounds: int) -> float:
    """Return the mean CPU seconds of all processes for the work, after a first round."""
    work()
    before = tree_cpu()
    for _ in range(rounds):
        work()
    return (tree_cpu() - before) / rounds
