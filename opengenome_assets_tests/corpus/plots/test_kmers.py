"""Figures of k-mer tables show the numbers of the tables."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from Bio.Seq import Seq
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.corpus.plots import kmers
from opengenome_assets.plots import images
from opengenome_assets_tests.corpus.plots.tables import Tables


@given(st.text("ACGT", max_size=12))
def test_reverse_complement_equals_biopython(kmer: str) -> None:
    assert kmers.reverse_complement(kmer) == str(Seq(kmer).reverse_complement())


@pytest.mark.parametrize("k", [6, 8])
def test_bars_and_circles_are_the_frequencies(sample: Tables, k: int) -> None:
    table = sample.kmer_freq[k]
    picture = kmers.top_kmers(table, k, top=5)
    for ax, source in zip(picture.figure.axes, ["mitochondria", "plastids", "vertebrate_mitochondria"], strict=True):
        own = table[table["source"] == source].set_index("kmer")
        shown = [text.get_text() for text in ax.get_yticklabels()]
        assert shown == own.sort_values("rank").index[:5].tolist()
        bars = [bar.get_width() for bar in ax.patches]
        np.testing.assert_allclose(bars, 100 * own.loc[shown, "frequency"])
        circles = ax.collections[0].get_offsets()[:, 0]
        mates = [str(Seq(kmer).reverse_complement()) for kmer in shown]
        np.testing.assert_allclose(circles, [100 * own["frequency"].get(mate, 0.0) for mate in mates])
        assert ax.get_xlim()[1] > max([*bars, *circles])
        assert f"n = {own['count'].sum():,}" in ax.get_title(loc="left")


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=300))
def test_spectrum_counts_every_kmer_once(counts: list[int]) -> None:
    x, y = kmers.spectrum(np.array(counts, dtype=np.int64))
    twin = Counter(counts)
    for count in (1, 2, 3):
        np.testing.assert_allclose(y[np.isclose(x, count)].sum(), twin[count])
    edges = sorted({round(10 ** (step / 8)) for step in range(60)})
    for middle, density in zip(x, y, strict=True):
        low, high = max(e for e in edges if e <= middle), min(e for e in edges if e > middle)
        values = [count for count in range(low, high) if count <= max(counts)]
        np.testing.assert_allclose(density, sum(twin[count] for count in values) / len(values))
        np.testing.assert_allclose(middle, (values[0] * values[-1]) ** 0.5)


def test_spectrum_draws_a_line_a_source_in_a_panel_a_k(sample: Tables) -> None:
    picture = kmers.kmer_spectrum(sample.kmer_freq)
    assert [ax.get_title(loc="left").split(":")[0] for ax in picture.figure.axes] == ["k = 6", "k = 7", "k = 8"]
    assert [text.get_text() for text in picture.figure.legends[0].get_texts()] == [
        "mitochondria",
        "plastids",
        "vertebrate_mitochondria",
        "all",
    ]
    for k, ax in zip(sample.kmer_freq, picture.figure.axes, strict=True):
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert len(ax.lines) == 4
        own = sample.kmer_freq[k].query("source == 'mitochondria'")["count"].to_numpy()
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), kmers.spectrum(own)[1])
    assert "64,723 of 65,536 seen" in picture.alt


def test_twenty_sources_stay_apart(twenty: Tables) -> None:
    figure = kmers.top_kmers(twenty.kmer_freq[4], 4, top=3).figure
    assert len(figure.axes) == 20
    assert not images.ink(images.to_png(figure, dpi=50)).is_blank
    figure = kmers.kmer_spectrum(twenty.kmer_freq).figure
    assert len(figure.axes[0].lines) == 21


@pytest.mark.long
def test_unusual_corpora_are_drawn(unusual: Tables) -> None:
    for picture in (kmers.top_kmers(unusual.kmer_freq[6], 6), kmers.kmer_spectrum(unusual.kmer_freq)):
        assert not images.ink(images.to_png(picture.figure, dpi=60)).is_blank
        assert picture.title
        assert picture.caption
        assert picture.alt


def test_without_kmers_the_figures_say_so() -> None:
    none = pd.DataFrame({"source": [], "kmer": [], "count": [], "frequency": [], "rank": []})
    for figure in (
        kmers.top_kmers(none, 6).figure,
        kmers.kmer_spectrum({6: none}).figure,
        kmers.kmer_spectrum({}).figure,
    ):
        assert any("no " in text.get_text() for text in figure.axes[0].texts)
