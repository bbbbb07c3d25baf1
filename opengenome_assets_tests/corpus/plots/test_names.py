"""Long names of sources: every figure shows them whole, within its edges, and beside each other."""

from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from opengenome_assets.corpus.plots import codons, kmers, profiles, sequences
from opengenome_assets_tests.corpus.plots.tables import random_corpus, tables_of

FIGURES = ["gc", "lengths", "kmers", "spectrum", "usage", "rscu", "pca"]


def name(number: int) -> str:
    """A name of 40 characters that differs in its middle."""
    return f"vertebrate_mitochondria_{number:02}_of.2026-11-28"[:40]


@pytest.fixture(scope="module", params=[3, 6, 12])
def figures(request: pytest.FixtureRequest) -> tuple[list[str], dict[str, Figure]]:
    """Every figure of a corpus of some sources with long names, laid out."""
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
    for picture in pictures:
        picture.figure.draw_without_rendering()
    return list(corpus), {key: picture.figure for key, picture in zip(FIGURES, pictures, strict=True)}


def texts(figure: Figure) -> list[Text]:
    """The visible texts of a figure, without the empty ones."""
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


@pytest.mark.slow
@pytest.mark.parametrize("key", FIGURES)
def test_names_of_40_characters_are_whole_and_inside_the_figure(
    figures: tuple[list[str], dict[str, Figure]], key: str
) -> None:
    names, drawn = figures
    figure = drawn[key]
    named = {each: [text for text in texts(figure) if each in text.get_text().replace("\n", "")] for each in names}
    assert all(len(each) == 40 for each in names)
    assert [each for each, found in named.items() if not found] == []
    assert not [text for text in texts(figure) if "…" in text.get_text()]
    edge = figure.bbox
    for found in named.values():
        for text in found:
            box = text.get_window_extent()
            assert box.x0 >= edge.x0 - 1
            assert box.x1 <= edge.x1 + 1
            assert box.y0 >= edge.y0 - 1
            assert box.y1 <= edge.y1 + 1
    boxes = [text.get_window_extent() for found in named.values() for text in found]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
