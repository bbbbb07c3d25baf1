"""A small corpus whose tables have two versions, made once, and copies of it for tests that change them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from opengenome_assets.lineage.failures import open_instance
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, write_files
from opengenome_assets_tests.processes import REPOSITORY
from opengenome_assets_tests.shared import copied, once

FILES = {"a/x.fa": ">s1\nACGTACGTAC\n>s2\nGGGTTTACGTNCGTAGCTAGTTTT\n", "b/y.fa": f">s3\n{'ACGTTGCA' * 9}\n"}
LONG = {"sequence_shards": {"min_length": 20}}


@dataclass
class Twice:
    """Everything made twice, the second time without the short sequence; and the two runs."""

    corpus: Corpus
    runs: tuple[str, str]

    @property
    def home(self) -> Home:
        return self.corpus.home

    def rows(self, version: int | None = None) -> dict[str, object]:
        """The rows of every table, at the newest version or at one that each has."""
        return {name: self.home.table(name).at(version).read().to_pylist() for name in self.home.names()}


@pytest.fixture(scope="session")
def made_twice(tmp_path_factory: pytest.TempPathFactory) -> Twice:
    """Everything made twice; to be read, not changed."""
    return once(tmp_path_factory, "twice", _make_twice)


def _make_twice(root: Path) -> Twice:
    write_files(root / "fasta", FILES)
    corpus = Corpus(Home(str(root / "home")), str(root / "fasta"))
    with pytest.MonkeyPatch.context() as patch:
        use(patch, corpus.home.uri)
        with open_instance() as instance:
            runs = (corpus.materialize(instance=instance).run_id, corpus.materialize(instance=instance, **LONG).run_id)
    return Twice(corpus, runs)


@pytest.fixture
def twice(made_twice: Twice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Twice:
    """A copy in a home that the commands use."""
    home = copied(made_twice.home.uri, tmp_path / "home")
    use(monkeypatch, str(home))
    return Twice(Corpus(Home(str(home)), made_twice.corpus.source), made_twice.runs)


@pytest.fixture
def instance(twice: Twice) -> Iterator[dg.DagsterInstance]:
    """What Dagster remembers of that home."""
    with open_instance() as opened:
        yield opened


def use(patch: pytest.MonkeyPatch, home: str) -> None:
    """Let commands in this process use a home."""
    patch.setenv("OPENGENOME_HOME", home)
    patch.setenv("DAGSTER_HOME", str(REPOSITORY))
    patch.setenv("OPENGENOME_KS", "2,6")
    patch.setenv("OPENGENOME_ENGINE", "processes")
