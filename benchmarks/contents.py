"""The check of a shard's content before its first read, against the scan that it protects."""

import time
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmarks.count import KS
from benchmarks.measure import ROUNDS, in_fresh_process, in_turn, must_equal
from benchmarks.report import Figure, Row, ratio
from benchmarks.scans import make_shards
from opengenome_assets.corpus.passes.kmers import count_kmers
from opengenome_assets.corpus.tables import KMERS
from opengenome_assets.framework.shards import Output, ScanTask, Shard, run_scan
from opengenome_assets.kernels.warm import warm
from opengenome_assets.storage.contents import content_of

MOST_BASES = 400_000_000


def contents_row(bases: int, folder: Path) -> Row:
    """Measure both on the same shards, of up to 400 million bases, in one process."""
    result, _ = in_fresh_process("benchmarks.contents", "measure", min(bases, MOST_BASES), str(folder))
    check_cpu, scan_cpu = (np.array(result[name]) for name in ("check", "scan"))
    return Row(
        "content of shards: size, CRC-32 of all bytes, digest of the footer",
        [
            ratio("CPU / a scan for k-mers", check_cpu, scan_cpu, 0.02),
            Figure("speed", result["bytes"] / 1e9 / float(np.median(check_cpu)), unit=" GB per CPU second"),
        ],
        [
            f"{result['bytes'] / 1e6:,.0f} MB of Parquet, {result['bases']:,} bases, page cache warm. The "
            f"scan is for k = 6, 7 and 8, in one process; CPU time of all threads, {ROUNDS} rounds in turn. A process "
            "checks each file once."
        ],
    )


def measure(bases: int, folder: str) -> dict[str, object]:
    """Return the CPU seconds of the check and of the scan of the same shards."""
    import_module("pandas")  # pyarrow needs it for the first array that it makes of NumPy's
    warm()
    shards = make_shards(bases, Path(folder, "contents"))
    sizes = [Path(shard.uri).stat().st_size for shard in shards]
    must_equal("sizes of the shards and in their contents", [int(c.split(" ")[0]) for c in check(shards)], sizes)
    seconds = in_turn(lambda: check(shards), lambda: scan(shards, Path(folder)), clock=time.process_time)
    return {
        "bases": sum(shard.bases for shard in shards),
        "bytes": sum(sizes),
        "check": seconds[0].tolist(),
        "scan": seconds[1].tolist(),
    }


def check(shards: list[Shard]) -> list[str]:
    """Take the content of every shard, as the first read in a process does."""
    for shard in shards:
        Path(shard.uri).touch()  # a content is taken again if the file's times change
    return [content_of(shard.uri) for shard in shards]


def scan(shards: list[Shard], folder: Path) -> None:
    """Count the k-mers of every shard, as a worker does for the asset kmer_."""
    outputs = (Output(str(folder / "kmer_"), KMERS.schema),)
    for number, shard in enumerate(shards):
        run_scan(ScanTask(partial(count_kmers, ks=KS), shard, str(number), outputs))
