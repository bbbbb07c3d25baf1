"""What a user types: each command in a shell of its own, on files of the user's, as the README gives it."""

import bz2
import gzip
import json
import shutil
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import zstandard
from deltalake import DeltaTable

from opengenome_assets_tests.processes import processes_of, started, typed, wait_for

MODULE = "opengenome_assets.definitions"
QUIET = {"PYTHONWARNINGS": "ignore::FutureWarning,ignore:Parameter `include_sources`"}  # as the Makefile has it
K = 6

# A minute and a half on an idle machine; the limit is for one that is busy with other things.
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Corpus:
    """FASTA files, what is in them, and the home that tables are made in."""

    folder: Path
    home: Path
    sequences: dict[tuple[str, str], str]  # (source, identifier) -> sequence

    def type(self, command: str, **settings: str) -> str:
        """Type a command; the settings that a user makes once are made."""
        return typed(command, self.home, OPENGENOME_SOURCE=str(self.folder), **QUIET, **settings)

    def table(self, name: str) -> DeltaTable:
        return DeltaTable(str(self.home / "tables" / name))

    def versions(self) -> dict[str, int]:
        return {folder.name: self.table(folder.name).version() for folder in (self.home / "tables").iterdir()}

    def copied(self, home: Path) -> "Corpus":
        """The same with a home of its own, in which the same was made."""
        return Corpus(self.folder, Path(shutil.copytree(self.home, home)), self.sequences)

    def kmers(self, source: str) -> Counter[str]:
        """Counts of a source's k-mers, taken letter by letter."""
        counts: Counter[str] = Counter()
        for (of, _), letters in self.sequences.items():
            if source in (of, "all"):
                windows = (letters[i : i + K] for i in range(len(letters) - K + 1))
                counts.update(window for window in windows if set(window) <= set("ACGT"))
        return counts

    def check_kmers(self) -> None:
        """Compare the k-mer table of every source, and of all together, with counts taken letter by letter."""
        rows = self.table(f"kmer_freq_k{K}").to_pandas()
        assert set(rows["source"]) == {"algae", "fern", "moss", "all"}
        for source, part in rows.groupby("source"):
            assert dict(zip(part["kmer"], part["count"], strict=True)) == self.kmers(str(source))
        assert self.table("kmer_freq_k7").to_pandas()["count"].sum() > 0
        assert self.table("kmer_freq_k8").to_pandas()["count"].sum() > 0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A folder with sub-folders, files plain and compressed; everything was materialised once."""
    folder = tmp_path_factory.mktemp("commands")
    generator = np.random.default_rng(1)
    sequences = {}
    writers = {"": lambda path: open(path, "wb"), ".gz": gzip.open, ".bz2": bz2.open, ".zst": zstandard.open}
    contents = {
        "algae/one.fasta": 120,
        "algae/two.fa.gz": 3,
        "moss/peat/three.fna.bz2": 2,
        "fern/four.fasta.zst": 4,
    }
    for name, records in contents.items():
        path = folder / "genomes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        source = "peat" if "peat" in name else path.parent.name
        with writers[path.suffix if path.suffix in writers else ""](path, "wb") as file:
            for number in range(records):
                letters = "".join(generator.choice(list("ACGTacgtN"), int(generator.integers(40, 400))))
                identifier = f"{path.name.partition('.')[0]}_{number}"
                sequences[source, identifier] = letters.upper()
                file.write(f">{identifier} of {source}\n{letters}\n".encode())
    corpus = Corpus(folder / "genomes", folder / "home", sequences)
    corpus.type(f"dagster asset materialize --select '*' -m {MODULE}")
    return corpus
