"""Histograms of GC content and length show the numbers of the table."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from opengenome_assets.corpus.plots import sequences
from opengenome_assets.plots import images
from opengenome_assets_tests.corpus.plots.tables import Tables, tables_of


def _bars(ax: Axes) -> tuple[np.ndarray, np.ndarray]:
    values, edges, _ = ax.patches[0].get_data()
    return np.asarray(values), np.asarray(edges)


def _mark(ax: Axes) -> float:
    return float(ax.lines[0].get_xdata()[0])


def test_gc_histogram_counts_every_sequence_where_it_belongs() -> None:
    gc = {0.10: 3, 0.249: 2, 0.25: 4, 0.90: 1}
    corpus = {
        "a": [
            (f"{share}.{n}", "G" * int(1000 * share) + "A" * (1000 - int(1000 * share)))
            for share, number in gc.items()
            for n in range(number)
        ]
    }
    figure = sequences.gc_histogram(tables_of(corpus, ks=()).sequence_stats).figure
    values, edges = _bars(figure.axes[0])
    for low, high, number in zip(edges, edges[1:], values, strict=False):
        assert number == sum(n for share, n in gc.items() if low <= 100 * share < high)
    assert values.sum() == 10


def test_gc_histogram_marks_the_median(sample: Tables) -> None:
    picture = sequences.gc_histogram(sample.sequence_stats)
    stats = sample.sequence_stats.set_index("source")
    for ax, source in zip(picture.figure.axes, ["mitochondria", "plastids", "vertebrate_mitochondria"], strict=True):
        assert _mark(ax) == 100 * stats.loc[source, "gc_median"]
        assert _bars(ax)[0].sum() == stats.loc[source, "sequences"]
        assert ax.get_title(loc="left") == f"{source} (n = {stats.loc[source, 'sequences']})"
    assert "mitochondria 22.6 %, plastids 37.5 %" in picture.alt
    assert picture.figure.axes[-1].get_xlabel() == "GC content (% of A, C, G and T)"


def test_length_distribution_marks_n50_on_a_logarithmic_axis(sample: Tables) -> None:
    picture = sequences.length_distribution(sample.sequence_stats)
    stats = sample.sequence_stats.set_index("source")
    for ax, source in zip(picture.figure.axes, ["mitochondria", "plastids", "vertebrate_mitochondria"], strict=True):
        assert ax.get_xscale() == "log"
        assert _mark(ax) == stats.loc[source, "n50"]
        assert _bars(ax)[0].sum() == stats.loc[source, "sequences"]
        low, high = ax.get_xlim()
        assert low < 14_950 < 162_489 < high
    picture.figure.draw_without_rendering()
    labels = [text.get_text() for text in picture.figure.axes[-1].get_xticklabels()]
    assert {"20 kb", "50 kb", "100 kb"} <= set(labels)


def test_rows_over_all_sources_are_drawn_only_when_alone(sample: Tables) -> None:
    whole = sample.sequence_stats.query("source == 'all'")
    assert len(sequences.gc_histogram(whole).figure.axes) == 1
    assert len(sequences.gc_histogram(sample.sequence_stats).figure.axes) == 3


@pytest.mark.long
def test_unusual_corpora_are_drawn(unusual: Tables) -> None:
    for draw in (sequences.gc_histogram, sequences.length_distribution):
        picture = draw(unusual.sequence_stats)
        assert not images.ink(images.to_png(picture.figure, dpi=60)).is_blank
        assert picture.title
        assert picture.caption
        assert picture.alt


def test_twenty_sources_stay_apart(twenty: Tables) -> None:
    figure = sequences.gc_histogram(twenty.sequence_stats).figure
    assert [ax.get_title(loc="left") for ax in figure.axes[::19]] == ["source_00 (n = 3)", "source_19 (n = 3)"]
    assert not images.ink(images.to_png(figure, dpi=50)).is_blank


def test_a_table_without_rows_is_said_to_be_empty(sample: Tables) -> None:
    for draw in (sequences.gc_histogram, sequences.length_distribution):
        figure = draw(sample.sequence_stats.head(0)).figure
        assert "no sequences in the corpus" in [text.get_text() for text in figure.axes[0].texts]


def test_a_source_without_acgt_is_not_said_to_have_no_sequences() -> None:
    corpus = {"blank": [("x", "N" * 12), ("y", "N" * 9)], "none": [], "some": [("z", "ACGT" * 9)]}
    axes = sequences.gc_histogram(tables_of(corpus, ks=()).sequence_stats).figure.axes
    assert [ax.get_title(loc="left") for ax in axes] == ["blank (n = 2)", "none (n = 0)", "some (n = 1)"]
    assert [ax.texts[0].get_text() for ax in axes] == ["no A, C, G or T", "no sequences", "median 50.0 %"]
