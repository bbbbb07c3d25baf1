"""Long names of sources: every figure shows them whole, within its edges, and beside each other."""

import pytest
from matplotlib.figure import Figure

from opengenome_assets.corpus.plots import codons, kmers, profiles, sequences
from opengenome_assets_tests.corpus.plots.tables import random_corpus, tables_of
from opengenome_assets_tests.plots.names import assert_names_are_whole

FIGURES = ["gc", "lengths", "kmers", "spectrum", "usage", "rscu", "pca"]


def name(number: int) -> str:
    """A name of 40 characters that differs in its middle."""
    return f"vertebrate_mitochondria_{number:02}_of.2026-11-28"[:40]


@pytest.fixture(scope="module", params=[3, 6, 12])
def figures(request: pytest.FixtureRequest) -> tuple[list[str], dict[str, Figure]]:
    """Every figure of a corpus of some sources with long names."""
    corpus = dict(zip(map(name, range(request.param)), random_corpus(request.param, 2, 150).values(), strict=True))
    tables = tables_of(corpus, ks=(4,))
    index = tables.tfidf_index
    matrix = profiles.kmer_profiles(index)
    pictures = [
        sequences.gc_histogram(tables.sequence_stats),
        sequences.length_distribution(tables.sequence_stats),
        kmers.top_kmers(tables.kmer_freq[4], 4),
        kmers.kmer_spectrum(tables.kmer_freq),
        codons.codon_usage(tables.codon_rscu),
        codons.rscu_heatmap(tables.codon_rscu),
        profiles.kmer_pca(matrix, index["source"].tolist(), index["length"].tolist()),
    ]
    return list(corpus), {key: picture.figure for key, picture in zip(FIGURES, pictures, strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("key", FIGURES)
def test_names_of_40_characters_are_whole_and_inside_the_figure(
    figures: tuple[list[str], dict[str, Figure]], key: str
) -> None:
    names, drawn = figures
    assert all(len(each) == 40 for each in names)
    assert_names_are_whole(drawn[key], names)
