"""Both engines make the same parts, byte for byte, of the same folders of DNA and of proteins."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from opengenome_assets import groups
from opengenome_assets.corpus.passes import pieces
from opengenome_assets.engine.processes import Processes
from opengenome_assets.engine.spark import Spark
from opengenome_assets.proteins import read_catalogue
from opengenome_assets.storage.parts import MANIFEST
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus
from opengenome_assets_tests.parts import parts
from opengenome_assets_tests.proteins.mutants import mutants
from opengenome_assets_tests.proteins.runs import Run
from opengenome_assets_tests.proteins.runs import fasta as written

pytestmark = pytest.mark.slow

TABLES = ["raw_fasta", "rejected_records", "sequence_shards", "shard_stats", "kmer_", "codon_counts", "tfidf_index"]
PROTEINS = ["raw_proteins", "distinct_proteins", "protein_alignments", "substitutions", "mutation_calls"]


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    """Five files of different sizes, some records of which are refused."""
    chance = random.Random(1)
    folder = tmp_path / "fasta"
    folder.mkdir()
    for number in range(5):
        records = [f">{number}_{n}\n{''.join(chance.choices('ACGTN', k=200 * (n + 1)))}\n" for n in range(number + 3)]
        (folder / f"{number}.fasta").write_text("".join([*records, ">refused\nACGT!\n"]))
    return folder


@pytest.fixture
def proteins(tmp_path: Path) -> Path:
    """Four files of mutants, more of them in each."""
    folder = tmp_path / "proteins"
    folder.mkdir()
    for number in range(4):
        truth = mutants(read_catalogue(), 10 * (number + 1), seed=number)
        records = {f"p{place}": one.protein for place, one in enumerate(truth)}
        (folder / f"a{number}_proteins.fasta").write_text(written(records))
    return folder


def make(engine: Any, fasta: Path, proteins: Path, home: Path) -> tuple[Home, Home]:
    """Materialise every table whose passes an engine runs."""
    made = Corpus(Home(str(home / "corpus")), str(fasta))
    made.materialize(",".join(TABLES), resources={"engine": engine}, sequence_shards={"max_rejected_share": 0.9})
    aligned = Run(Home(str(home / "proteins")), {"source": str(proteins)}, engine)
    aligned.materialize("*mutation_calls", checks=False)
    return made.home, aligned.home


def test_both_engines_make_the_same_parts_byte_for_byte(tmp_path: Path, fasta: Path, proteins: Path) -> None:
    if session := SparkSession.getActiveSession():
        session.stop()
    engines: dict[str, Callable[[], Any]] = {
        "spark": lambda: Spark(master="local[2]", preload=groups.passes()),
        "processes": lambda: Processes(2, groups.passes()),
    }
    homes = {name: make(engine(), fasta, proteins, tmp_path / name) for name, engine in engines.items()}
    spark, processes = (parts(tmp_path / name) for name in engines)
    assert sum(name.endswith(".parquet") for name in spark) >= 5 * (len(TABLES) - 2)
    assert sum(name.endswith(MANIFEST) for name in spark) >= 5 * (len(TABLES) - 2)
    assert processes == spark
    for place, names in enumerate((TABLES, PROTEINS)):
        for name in names:
            recorded = [each[place].table(name).provenance().data_version for each in homes.values()]
            assert recorded[0] == recorded[1], name


def test_both_engines_make_a_large_file_in_pieces_and_its_parts_are_those_of_one_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if session := SparkSession.getActiveSession():
        session.stop()
    chance, folder = random.Random(2), tmp_path / "fasta"
    folder.mkdir()
    records = [f">{n}\n{''.join(chance.choices('ACGTN', k=3000))}\n" for n in range(40)]
    (folder / "large.fasta").write_text("".join([*records, ">refused\nACGT!\n", ">0 again\nACGT\n"]))

    def made(engine: Any, name: str) -> tuple[dict[str, Any], list[str]]:
        corpus = Corpus(Home(str(tmp_path / name)), str(folder))
        corpus.materialize(
            "*shard_stats,rejected_records", resources={"engine": engine}, sequence_shards={"max_records_per_shard": 7}
        )
        versions = [corpus.home.table(table).provenance().data_version for table in ("sequence_shards", "shard_stats")]
        return parts(tmp_path / name), versions

    whole = made(Processes(1), "one")
    monkeypatch.setattr(pieces, "LARGE", 1)
    monkeypatch.setattr(pieces, "LEAST_WORKERS", 1)
    monkeypatch.setattr(pieces, "PIECE_BASES", 1)  # a piece per shard
    spans: list[object] = []
    run = pieces.publish
    monkeypatch.setattr(
        pieces, "publish", lambda task, found, results: spans.append(results) or run(task, found, results)
    )
    assert made(Processes(2, groups.passes()), "processes") == whole
    assert made(Spark(master="local[2]", preload=groups.passes()), "spark") == whole
    assert [len(results) for results in spans] == [7, 7]  # six shards, and the file's checksum
