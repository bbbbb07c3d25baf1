"""The common look: it stays inside, and a source keeps its colour."""

import matplotlib
import pandas as pd
import pytest

from opengenome_assets.corpus.plots import codons, kmers, sequences
from opengenome_assets.plots import style
from opengenome_assets_tests.corpus.plots.tables import Tables


def test_drawing_leaves_matplotlib_as_it_was(sample: Tables) -> None:
    with matplotlib.rc_context({"font.size": 33, "axes.grid": True}):
        # reading the backend would choose one
        before = {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}
        picture = sequences.gc_histogram(sample.sequence_stats)
        assert all(matplotlib.rcParams[name] == value for name, value in before.items())
    # and a user's own settings do not reach the figure
    assert picture.figure.axes[0].xaxis.label.get_size() == 10.5


def test_a_source_keeps_its_colour_whatever_else_is_drawn(sample: Tables) -> None:
    both = ["plastids", "mitochondria", "all"]
    assert style.source_styles(both) == style.source_styles(reversed(both))
    plastids = style.source_styles(both)["plastids"].color
    assert style.source_styles(both)["all"] == style.ALL_STYLE

    lone = sample.kmer_freq[6].query("source == 'plastids'")
    figure = kmers.top_kmers(lone, 6, sources=both).figure
    assert matplotlib.colors.same_color(figure.axes[0].patches[0].get_facecolor()[:3], plastids)
    lone = sample.codon_rscu.query("source == 'plastids'")
    figure = codons.codon_usage(lone, sources=both).figure
    assert matplotlib.colors.same_color(figure.axes[0].patches[0].get_facecolor(), plastids)


def test_as_many_sources_as_a_figure_draws_look_different() -> None:
    styles = style.source_styles(f"s{number:02}" for number in range(style.MAX_SOURCES))
    del styles[style.ALL]
    assert len(set(styles.values())) == style.MAX_SOURCES


def test_only_the_largest_sources_are_drawn_and_the_figure_says_so() -> None:
    sizes = pd.Series({f"s{number:02}": number // 2 for number in range(30)} | {"all": 999})
    chosen, remark = style.sources_to_draw(sizes)
    assert chosen == [f"s{number:02}" for number in range(6, 30)]
    assert remark == "24 largest of 30 sources"
    assert style.sources_to_draw(sizes[["s03", "all", "s02"]]) == (["s02", "s03"], "")
    assert style.sources_to_draw(sizes[["all"]]) == (["all"], "")


@pytest.mark.filterwarnings("error")
def test_an_underscore_does_not_drop_a_source_from_the_legend() -> None:
    table = pd.DataFrame({"source": ["_a", "b"], "kmer": ["AAAA"] * 2, "count": [3, 4]})
    figure = kmers.kmer_spectrum({4: table}).figure
    assert [text.get_text().strip("\u200b") for text in figure.legends[0].get_texts()] == ["_a", "b"]
