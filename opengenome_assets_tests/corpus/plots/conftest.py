"""The sample's tables, computed once for all tests of this room."""

from __future__ import annotations

import pytest

from opengenome_assets.corpus.settings import SAMPLE_FOLDER
from opengenome_assets_tests.corpus.plots.tables import Tables, random_corpus, sample_corpus, tables_of
from opengenome_assets_tests.shared import once


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """13 plastid and 16 mitochondrial genomes, read with genetic codes 11, 5 and 2."""
    codes = {"plastids": 11, "mitochondria": 5, "vertebrate_mitochondria": 2}
    return once(tmp_path_factory, "sample-tables", lambda _: tables_of(sample_corpus(SAMPLE_FOLDER), codes))


@pytest.fixture(scope="session")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Twenty sources of very different GC content and size."""
    return once(tmp_path_factory, "twenty-tables", lambda _: tables_of(random_corpus(20), ks=(4,)))


@pytest.fixture(scope="session", params=["one sequence", "no sequence", "empty and N-only sources", "odd name"])
def unusual(request: pytest.FixtureRequest) -> Tables:
    """Corpora at the edges of what a figure must be able to draw."""
    corpora = {
        "one sequence": {"only": [("a", "ACGTTGCAAC" * 40)]},
        "no sequence": {},
        "empty and N-only sources": {"a": [], "b": [("x", "N" * 12)], "c": [("y", "ACGGCATTAGCCGAT" * 30)]},
        "odd name": {"_a$b_{^\\" + "x" * 60 + "\n": [("a", "ACGTTGCAAC" * 40), ("b", "ACCA" * 5)]},
    }
    return tables_of(corpora[request.param], ks=(6,))
