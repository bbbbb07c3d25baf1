"""A terabase on many cores, on paper: ``python -m benchmarks.simulation`` prints the tables of docs/scale.md.

Each pass is dealt to cores by the functions that the engine uses. Costs of tasks and of the driver are measured
(``RESULTS.md``, ``parts.py``). Bandwidth, latency and stragglers are assumptions. Belongs here: the model. Does not
belong here: any measurement.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from opengenome_assets.engine.order import deal, heaviest_first
from opengenome_assets.engine.spark import MAX_TASKS
from opengenome_assets.storage.packs import REQUESTS

BASES = 10**12
PARTS = 100_000

# Measured: CPU seconds per billion bases, the slopes of the growth table between 0.1 and 2.8 billion bases.
PASSES = {
    "sequence_shards": 3.07,
    "shard_stats": 0.59,
    "kmer_": 0.85,
    "codon_counts": 0.78,
    "tfidf_index": 1.70,
}
# Measured: CPU seconds per unit and pass beside its bases, from 10,000 files of 20,000 bases.
UNIT_SECONDS = 0.0036
# Measured: the driver's CPU seconds per pass and 100,000 parts: open, find upstream and own parts, commit.
DRIVER_SECONDS = {"open": 0.7, "find": 2 * 3.4, "commit": 2.3}
# Measured: everything that is no pass: interpreter, sums, figures, report.
FIXED_SECONDS = 16.5
# Bytes read per base by each pass: compressed FASTA is assumed to have 0.3, shards have 0.28 (measured).
BYTES_PER_BASE = 0.3


@dataclass(frozen=True)
class Cluster:
    """Assumptions: cores, bytes per second of all storage, seconds of a request, share and slowness of stragglers."""

    cores: int
    bandwidth: float
    latency: float
    stragglers: float = 0.01
    slowness: float = 5.0


def pass_seconds(cluster: Cluster, slope: float, sizes: np.ndarray, random: np.random.Generator) -> tuple[float, float]:
    """Return the elapsed seconds of a pass's tasks, and those of perfect balance.

    Parameters
    ----------
    cluster
        The cluster.
    slope
        CPU seconds per billion bases.
    sizes
        int64 (units,), bases of each unit.
    random
        Source of the stragglers.
    """
    places = list(range(len(sizes)))
    hands = deal(heaviest_first(places, sizes.tolist()), min(len(places), MAX_TASKS))
    slow = random.random(len(hands)) < cluster.stragglers
    free = [0.0] * cluster.cores
    total = 0.0
    for hand, is_slow in zip(hands, slow, strict=True):
        seconds = sum(slope * weight / 1e9 + UNIT_SECONDS for _, weight, _ in hand)
        total += seconds
        heapq.heapreplace(free, free[0] + seconds * (cluster.slowness if is_slow else 1.0))
    reading = sizes.sum() * BYTES_PER_BASE / cluster.bandwidth
    return max(max(free), reading), max(total / cluster.cores, reading)


def driver_seconds(cluster: Cluster, at_once: int) -> float:
    """Return the driver's seconds per pass, with two requests per part for the upstream's parts and its own."""
    requests = 4 * PARTS * cluster.latency / at_once
    return DRIVER_SECONDS["open"] + DRIVER_SECONDS["commit"] + max(DRIVER_SECONDS["find"], requests)


def main() -> None:
    """Print a table per kind of storage."""
    random = np.random.default_rng(1)
    sizes = random.lognormal(0, 1, PARTS)
    sizes = np.minimum(sizes * BASES / sizes.sum(), 128 * 2**20).astype(np.int64)
    print(f"{PARTS:,} units, median {np.median(sizes) / 1e6:.1f} and largest {sizes.max() / 1e6:.0f} million bases\n")
    print("| cores | storage | passes, s | of perfect balance | driver, s | ... requests one at a time | all, s |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    for name, bandwidth, latency in (("file system", 20e9, 0.0005), ("object store", 20e9, 0.02)):
        for cores in (64, 1024):
            cluster = Cluster(cores, bandwidth, latency)
            both = [pass_seconds(cluster, slope, sizes, random) for slope in PASSES.values()]
            passes, ideal = (sum(values) for values in zip(*both, strict=True))
            driver, alone = (len(PASSES) * driver_seconds(cluster, at_once) for at_once in (REQUESTS, 1))
            print(
                f"| {cores:,} | {name} | {passes:,.0f} | {ideal:,.0f} | {driver:,.0f} | {alone:,.0f} | "
                f"{passes + driver + FIXED_SECONDS:,.0f} |"
            )


if __name__ == "__main__":
    main()
