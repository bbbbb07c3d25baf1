"""A FASTA file to k-mer tables, against KMC and jellyfish, which count one k where ours count three.

There are two ways. The kernels in one process read the file and count, as the peers do. The platform also catalogues,
verifies, stores and checks, and starts Spark.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.corpus import organelle_lengths, write_fasta
from benchmarks.count import KS
from benchmarks.measure import Cost, in_fresh_process, must_equal
from benchmarks.peers import K, jellyfish, kmc
from benchmarks.pipeline import MASTER, materialize, read_table
from benchmarks.report import Row, number, ratio, table
from opengenome_assets.kernels.bases import kmer_strings

TABLES = ("raw_fasta", "rejected_records", "sequence_shards", "kmer_", *(f"kmer_freq_k{k}" for k in KS))
ROUNDS = 3


def counting_row(bases: int, folder: Path) -> Row:
    """Count the k-mers of a FASTA file of this number of bases in every way."""
    fasta = folder / "source" / "corpus.fasta"
    totals = write_fasta(fasta, organelle_lengths(bases))
    counted = [(_count(fasta, folder), kmc(fasta, folder)) for _ in range(ROUNDS)]
    kmc_cost, expected = counted[-1][1]
    jellyfish_cost, others = jellyfish(fasta, folder)
    must_equal("8-mers of KMC and of jellyfish", expected, others)
    ours = counted[-1][0]
    own, peer = np.array([(mine.cpu, theirs.cpu) for mine, (theirs, _) in counted]).T
    with open(folder / "tables.npy", "rb") as saved:
        tables = {k: np.load(saved) for k in KS}
    must_equal("8-mers of KMC and of the kernels", tables[K], expected)
    run = materialize(fasta, folder / "home", select=",".join(TABLES))
    for k in KS:
        must_equal(f"{k}-mers of the kernels and of the platform", platform_counts(folder / "home", k), tables[k])
    costs = {
        "kernels, k = 6, 7 and 8": ours,
        "platform, k = 6, 7 and 8": run.cost,
        "KMC, k = 8": kmc_cost,
        "jellyfish, k = 8": jellyfish_cost,
    }
    return Row(
        "FASTA file to the three k-mer tables, against KMC and jellyfish, which count one k",
        [
            ratio("CPU / KMC's", own, peer, 0.5),
            ratio("CPU / jellyfish's", own, jellyfish_cost.cpu, 0.1),
            ratio("peak memory / KMC's", ours.peak, kmc_cost.peak, 1.0),
        ],
        [
            f"{totals.bases:,} bases in one FASTA file; two threads each, the kernels one; the platform on {MASTER}, "
            f"with Dagster, catalogue, shards and checks. Kernels and KMC took turns, {ROUNDS} rounds; the table has "
            "the last:",
            cost_table(costs),
        ],
    )


def _count(fasta: Path, folder: Path) -> Cost:
    _, cost = in_fresh_process("benchmarks.count", "count", str(fasta), str(folder / "tables.npy"))
    return cost


def cost_table(costs: dict[str, Cost]) -> str:
    """Return costs as a Markdown table."""
    rows = [(name, number(cost.cpu), number(cost.wall), number(cost.peak / 1e9)) for name, cost in costs.items()]
    return table(("", "CPU s", "wall s", "peak memory, GB"), rows, figures=3)


def platform_counts(home: Path, k: int) -> npt.NDArray[np.int64]:
    """Return the counts of a k-mer table over all sources, in alphabetical order, shape (4**k,)."""
    rows = read_table(home, f"kmer_freq_k{k}")
    counted = rows[rows["source"] == "all"].set_index("kmer")["count"]
    counts: npt.NDArray[np.int64] = counted.reindex(kmer_strings(k), fill_value=0).to_numpy(np.int64)
    return counts
