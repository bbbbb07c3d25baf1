"""A corpus whose 6-mers are known, large enough that its scan can be interrupted."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from opengenome_assets.kernels.kmers import KmerCounter
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.compose.cluster import Cluster
from opengenome_assets_tests.webserver import wait_for

FILES = 80
BASES = 2_000_000
ASSETS = ("raw_fasta", "rejected_records", "sequence_shards", "kmer_", "kmer_freq_k6")


def write(folder: Path) -> np.ndarray:
    """Write the files into a new folder, which everybody may read; return the occurrences of each 6-mer."""
    folder.mkdir(mode=0o755)
    random, counter = np.random.default_rng(20261120), KmerCounter((6,))
    for number in range(FILES):
        letters = np.frombuffer(b"ACGT", np.uint8)[random.integers(0, 4, BASES, np.uint8)]
        counter.add(letters, np.array([0, BASES]))
        (folder / f"{number:02d}.fa").write_bytes(b">made-%d\n%b\n" % (number, letters.tobytes()))
    return counter.counts()[6]


def check(tables: Home, counts: np.ndarray) -> None:
    """Assert that every file is counted, and once."""
    assert tables.table("kmer_").read().num_rows == 3 * FILES
    rows = tables.table("kmer_freq_k6").read().to_pandas()
    rows = rows[rows["source"] == "all"].sort_values("kmer")
    np.testing.assert_array_equal(rows["count"], counts)


@dataclass
class Corpus:
    """Files in the data volume, and what they hold.

    Attributes
    ----------
    counts
        Occurrences of each 6-mer, in alphabetical order.
    """

    cluster: Cluster
    counts: np.ndarray
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def make(cls, cluster: Cluster, folder: Path) -> "Corpus":
        """Write the files into a new folder, and copy it into the volume."""
        counts = write(folder)
        cluster.compose("cp", str(folder), "dagster-webserver:/data/made")
        return cls(cluster, counts)

    def launch(self) -> str:
        """Start a run that finds nothing made before, since its settings are new; they change no row."""
        config = {"raw_fasta": {"source": "/data/made"}, "sequence_shards": {"min_length": next(self.numbers)}}
        return self.cluster.launch(*ASSETS, config=config)

    def scanning(self) -> tuple[str, int]:
        """Start a run and wait until it is in mid-scan; return its id, and the parts that were there before."""
        before = self.cluster.parts("kmer_")
        run_id = self.launch()

        def under_way() -> bool:
            assert not self.cluster.runs(run_id)[0].is_over, self.cluster.story(run_id)
            return self.cluster.parts("kmer_") >= before + 4

        wait_for(under_way, "part of the scan", 240, every=0.1)
        return run_id, before

    def check(self, folder: Path) -> None:
        """Assert that every file is counted, and once."""
        check(self.cluster.fetch_tables(folder), self.counts)
