"""What a user types: each command in a shell of its own, on files of the user's, and what is there afterwards."""

import bz2
import gzip
import json
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import zstandard
from deltalake import DeltaTable

from opengenome_assets_tests.processes import DEFAULT_ENGINE, processes_of, started, typed, wait_for

MODULE = "opengenome_assets.definitions"
CORPUS = "tag:group=corpus,tag:group=search"
# What the Makefile sets too: Dagster's remarks on its own future, at every `asset materialize`.
QUIET = {"PYTHONWARNINGS": "ignore::FutureWarning,ignore:Parameter"}
MANY = 60  # files, parsed two at a time: long enough to be interrupted in their midst
# Where Spark, the engine that a user gets, is not what is looked at: Java takes longer to start than most commands.
PROCESSES = {"OPENGENOME_ENGINE": "processes"}
KMER_TABLES = ("kmer_freq_k6", "kmer_freq_k7", "kmer_freq_k8")

# Each takes seconds to some tens of them; the limit is for a machine that is busy with other things.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Corpus:
    """FASTA files, the sequences in them, and a home that tables are made in."""

    folder: Path
    home: Path
    sequences: dict[tuple[str, str], str]  # (source, identifier) -> letters, upper case

    @property
    def settings(self) -> dict[str, str]:
        """What the user has set, in the environment."""
        return {"OPENGENOME_SOURCE": str(self.folder), **DEFAULT_ENGINE, **QUIET}

    def type(self, command: str, **settings: str) -> str:
        """Type a command, see it succeed, and return what it printed."""
        return typed(command, self.home, **{**self.settings, **settings})

    def uri(self, name: str) -> str:
        return str(self.home / "tables" / name)

    def rows(self, name: str) -> pd.DataFrame:
        frame: pd.DataFrame = DeltaTable(self.uri(name)).to_pandas()
        return frame

    def versions(self) -> dict[str, int]:
        names = [folder.name for folder in (self.home / "tables").iterdir()]
        return {name: DeltaTable(self.uri(name)).version() for name in names}

    def check_sequences(self) -> None:
        """Compare sequence_shards with the sequences."""
        rows = self.rows("sequence_shards")
        assert (
            dict(zip(zip(rows["source"], rows["seq_id"], strict=True), rows["sequence"], strict=True)) == self.sequences
        )
        assert len(rows) == len(self.sequences)

    def check_kmers(self) -> None:
        """Compare kmer_freq_k6, of every source and of all together, with counts taken letter by letter."""
        table = self.rows("kmer_freq_k6")
        sources = {source for source, _ in self.sequences}
        assert set(table["source"]) == {*sources, "all"}
        for source, rows in table.groupby("source"):
            texts = [text for (of, _), text in self.sequences.items() if source in (of, "all")]
            windows = Counter(text[i : i + 6] for text in texts for i in range(len(text) - 5))
            expected = {kmer: count for kmer, count in windows.items() if set(kmer) <= set("ACGT")}
            assert dict(zip(rows["kmer"], rows["count"], strict=True)) == expected


def write(path: Path, sequences: dict[str, str]) -> None:
    """Write a FASTA file, compressed as its name says."""
    openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".zst": zstandard.open}
    path.parent.mkdir(parents=True, exist_ok=True)
    with openers.get(path.suffix, open)(path, "wb") as file:
        file.write("".join(f">{name} a record\n{letters}\n" for name, letters in sequences.items()).encode())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Sub-folders with files plain and compressed; everything was made of them once."""
    folder = tmp_path_factory.mktemp("commands")
    generator = np.random.default_rng(1)
    sequences = {}
    records = {"algae/a.fasta": 120, "algae/b.fa.gz": 3, "plants/moss/c.fna.bz2": 2, "plants/fern/d.fasta.zst": 4}
    for name, number in records.items():
        path = folder / "genomes" / name
        lengths = generator.integers(40, 400, number)
        named = {f"{path.name[0]}{i}": "".join(generator.choice(list("ACGTacgtN"), n)) for i, n in enumerate(lengths)}
        write(path, named)
        sequences.update({(path.parent.name, key): letters.upper() for key, letters in named.items()})
    corpus = Corpus(folder / "genomes", folder / "home", sequences)
    corpus.type(f"dagster asset materialize --select '{CORPUS}' -m {MODULE}", **PROCESSES)
    return corpus


def test_sub_folders_are_sources_and_every_compression_is_read(corpus: Corpus) -> None:
    corpus.check_sequences()
    corpus.check_kmers()
    assert set(corpus.rows("raw_fasta")["source"]) == {"algae", "moss", "fern"}


@pytest.mark.parametrize(
    ("command", "settings", "remade"),
    [
        pytest.param(
            "dagster asset materialize --select kmer_*",
            {"DAGSTER_CLI_ASSET_MATERIALIZE_MODULE_NAME": MODULE},
            ("kmer_", *KMER_TABLES),
            id="bare",
        ),
        pytest.param(f"dagster asset materialize -m {MODULE} --select 'key:\"kmer_*\"'", {}, KMER_TABLES, id="key"),
        pytest.param("dg launch --assets 'kmer_*'", {}, KMER_TABLES, id="dg"),
    ],
)
def test_kmer_tables_are_made(corpus: Corpus, command: str, settings: dict[str, str], remade: tuple[str, ...]) -> None:
    versions = corpus.versions()
    for name in remade:
        shutil.rmtree(corpus.uri(name))
    printed = corpus.type(command, **settings)
    corpus.check_kmers()
    assert all(len(corpus.rows(name)) > 0 for name in KMER_TABLES)
    # All were at their first version, those made again are, and the others did not change.
    assert corpus.versions() == versions
    reused = "kmer_" not in remade
    assert ("0 shards scanned, 4 reused" in printed) == reused
    assert ("Spark 4" in printed) != reused
    for noise in ("Warning:", "telemetry", "DEBUG", "To suppress"):
        assert noise not in printed


def test_a_preset_is_a_config_file_and_a_job(corpus: Corpus, tmp_path: Path) -> None:
    home = Path(shutil.copytree(corpus.home, tmp_path / "home"))
    few = Corpus(corpus.folder, home, {key: text for key, text in corpus.sequences.items() if int(key[1][1:]) < 100})
    assert len(few.sequences) == len(corpus.sequences) - 20
    preset = "opengenome_assets/corpus/presets/minimal.yaml"
    tables = "group:intake,group:kmers,group:codons_and_genes,group:search"  # the figures are drawn by the job
    printed = few.type(f"dagster asset materialize --select '{tables}' --config {preset} -m {MODULE}", **PROCESSES)
    few.check_sequences()
    few.check_kmers()
    # The three files with fewer records than the preset asks for gave the same rows, but by another setting.
    assert "parsing FASTA: 4 of 4 units" in printed

    versions = few.versions()
    printed = few.type(f"dagster job execute -m {MODULE} -j corpus_minimal", **PROCESSES)
    assert few.versions() == versions
    assert "4 files of" in printed
    assert "; 0 hashed" in printed
    passes = re.findall(r"(\d+) shards scanned, (\d+) reused", printed)
    assert passes == [("0", "4")] * 5


def test_tables_are_read_with_pandas_polars_duckdb_and_deltalake(corpus: Corpus) -> None:
    import polars as pl

    path = corpus.uri("kmer_freq_k6")
    by_pandas = DeltaTable(path).to_pandas()
    by_polars = pl.read_delta(path)
    with duckdb.connect() as database:
        database.register("kmers", DeltaTable(path).to_pyarrow_dataset())
        by_duckdb = database.execute("SELECT source, sum(count) FROM kmers GROUP BY source").fetchall()
    expected = by_pandas.groupby("source")["count"].sum().to_dict()
    assert dict(by_polars.group_by("source").agg(pl.col("count").sum()).iter_rows()) == expected
    assert {source: int(count) for source, count in by_duckdb} == expected
    for name in corpus.versions():
        assert len(pl.read_delta(corpus.uri(name))) == DeltaTable(corpus.uri(name)).to_pyarrow_table().num_rows
    assert DeltaTable(path).history()[0]["version"] == DeltaTable(path).version()


def test_the_summary_is_read_as_json_and_csv(corpus: Corpus) -> None:
    reports = corpus.home / "reports"
    summary: dict[str, Any] = json.loads((reports / "summary.json").read_text())
    statistics = pd.read_csv(reports / "summary.csv")
    total = sum(map(len, corpus.sequences.values()))
    (overall,) = statistics[statistics["source"] == "all"].to_dict("records")
    assert (overall["sequences"], overall["bases"]) == (len(corpus.sequences), total)
    assert {row["source"]: row["bases"] for row in summary["statistics"]} == dict(
        zip(statistics["source"], statistics["bases"], strict=True)
    )
    for name, table in summary["tables"].items():
        assert table["path"] == corpus.uri(name)
        assert table["rows"] == len(corpus.rows(name))
    assert all(Path(figure["png"]).is_file() for figure in summary["figures"].values())
    assert "<html" in (reports / "corpus_report.html").read_text()


@pytest.fixture
def many(tmp_path: Path) -> Corpus:
    """Many files, and nothing made of them yet."""
    generator = np.random.default_rng(2)
    sequences = {}
    for number in range(MANY):
        source, name = f"s{number % 3}", f"r{number}"
        letters = generator.choice(np.frombuffer(b"ACGT", np.uint8), 20_000).tobytes().decode()
        write(tmp_path / "genomes" / source / f"{name}.fasta", {name: letters})
        sequences[source, name] = letters
    return Corpus(tmp_path / "genomes", tmp_path / "home", sequences)


def test_a_run_that_was_killed_leaves_no_trace_in_the_tables(many: Corpus) -> None:
    command = f"dagster asset materialize -m {MODULE} --select"
    chosen = "raw_fasta,sequence_shards,kmer_,kmer_freq_k6"

    def end_within(table: str, by: signal.Signals) -> int:
        """Run, send a signal as soon as a part of that table is finished, and return the exit code."""
        folder = many.home / "tables" / table
        with started([*command.split(), chosen], many.home, **many.settings, SPARK_MASTER="local[2]") as process:

            def begun() -> bool:
                assert process.poll() is None, Path(f"{many.home}.log").read_text()
                return any(folder.glob("*/_manifest.json"))

            wait_for(begun, f"part of {table}")
            process.send_signal(by)
            code = process.wait(60)
            wait_for(lambda: not processes_of(many.home), "end of Java and of the Python workers", 60)
        assert len(list(folder.glob("*/_manifest.json"))) < MANY
        assert not DeltaTable.is_deltatable(many.uri(table))
        return code

    assert end_within("sequence_shards", signal.SIGKILL) == -signal.SIGKILL
    assert end_within("kmer_", signal.SIGINT) == 1
    many.check_sequences()
    printed = many.type(f"{command} {chosen}")
    assert re.search(r"\d+ shards scanned, [1-9]\d* reused", printed)
    many.check_sequences()
    many.check_kmers()
    assert set(many.versions().values()) == {0}
