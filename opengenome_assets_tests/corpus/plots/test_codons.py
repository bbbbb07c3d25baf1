"""Figures of codon usage show the numbers of the table, under the right amino acid."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from opengenome_assets.corpus.plots import codon_names, codons
from opengenome_assets.plots import images
from opengenome_assets_tests.corpus.plots.tables import Tables


def test_columns_are_grouped_by_amino_acid_with_stops_last(sample: Tables) -> None:
    columns = codon_names.codon_columns(sample.codon_rscu.query("source == 'plastids'"))
    assert len(columns) == 64
    assert columns[:4] == [("Ala", "GCA"), ("Ala", "GCC"), ("Ala", "GCG"), ("Ala", "GCT")]
    assert [codon for _, codon in columns[-3:]] == ["TAA", "TAG", "TGA"]
    groups = [amino_acid for amino_acid, _ in columns]
    assert len(list(dict.fromkeys(groups))) == 21
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)


def test_a_codon_of_two_meanings_has_two_columns(sample: Tables) -> None:
    columns = codon_names.codon_columns(sample.codon_rscu)
    assert {("Ile", "ATA"), ("Met", "ATA"), ("Stop", "TGA"), ("Trp", "TGA"), ("Arg", "AGA"), ("Ser", "AGA")} < set(
        columns
    )
    assert {("Stop", "AGA"), ("Stop", "AGG")} < set(columns)  # in vertebrates
    assert len(columns) == 70


def _usage(figure: Figure, sources: int) -> dict[tuple[int, str, str], float]:
    """Heights by source, amino acid and codon, read off the axes."""
    heights = {}
    for ax in figure.axes:
        names = [text.get_text() for text in ax.get_xticklabels()]
        places = ax.get_xticks()
        heads = iter(text.get_text() for text in sorted(ax.texts, key=lambda text: text.xy[0]))
        groups = np.cumsum(np.diff(places, prepend=-9) > 1.01)
        head_of = dict(zip(sorted(set(groups)), heads, strict=True))
        for source in range(sources):
            for bar, name, place, group in zip(ax.containers[source], names, places, groups, strict=True):
                assert abs(bar.get_x() + bar.get_width() / 2 - place) < 0.5
                heights[source, head_of[group], name] = bar.get_height()
    return heights


@pytest.mark.parametrize("frame", [0, 2])
def test_bars_are_per_thousand_where_the_source_reads_the_codon(sample: Tables, frame: int) -> None:
    table = sample.codon_rscu[sample.codon_rscu["frame"] == frame]
    heights = _usage(codons.codon_usage(sample.codon_rscu, frame).figure, 3)
    assert np.isnan(heights[0, "Ile", "ATA"])
    assert np.isnan(heights[1, "Met", "ATA"])
    for number, source in enumerate(["mitochondria", "plastids", "vertebrate_mitochondria"]):
        for row in table[table["source"] == source].itertuples():
            assert heights[number, codon_names.three_letters(row.amino_acid), row.codon] == row.per_thousand


def test_codon_usage_is_of_genes_unless_a_frame_is_asked_for(sample: Tables) -> None:
    picture = codons.codon_usage(sample.codon_rscu)
    heights = _usage(picture.figure, 3)
    for row in sample.codon_rscu.query("basis == 'genes' and source == 'plastids'").itertuples():
        assert heights[1, codon_names.three_letters(row.amino_acid), row.codon] == row.per_thousand
    assert picture.title == "Codon usage in genes"
    assert codon_names.OF_GENES in picture.caption


def test_codon_usage_says_that_these_are_not_genes(sample: Tables) -> None:
    picture = codons.codon_usage(sample.codon_rscu, 1)
    words = " ".join(text.get_text() for text in picture.figure.texts)
    assert "Codon usage in reading frame 1" in words
    assert codon_names.NOT_GENES in " ".join(words.split())
    assert "genes or not" in picture.caption
    legend = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert legend == [
        "mitochondria (genetic code 5)",
        "plastids (genetic code 11)",
        "vertebrate_mitochondria (genetic code 2)",
    ]


def test_heatmap_cells_are_rscu_and_the_scale_is_centred_on_one(sample: Tables) -> None:
    figure = codons.rscu_heatmap(sample.codon_rscu).figure
    cells, absent = [], 0
    for ax in figure.axes[:-1]:
        assert [text.get_text() for text in ax.get_yticklabels()][:5] == [
            "genes",
            "frame 0",
            "frame 1",
            "frame 2",
            "genes",
        ]
        assert {"mitochondria", "plastids"} <= {text.get_text() for text in ax.texts}
        for mesh in ax.collections:
            values = mesh.get_array()
            assert values.shape[0] == 12
            cells += values.compressed().tolist()
            absent += int(np.ma.getmaskarray(values).sum())
            assert mesh.norm(1.0) == 0.5
    expected = sample.codon_rscu.query("source != 'all'")["rscu"]
    np.testing.assert_allclose(sorted(cells), sorted(expected.dropna()))
    columns = codon_names.codon_columns(sample.codon_rscu)
    assert absent == expected.isna().sum() + 4 * sum(len(columns) - 64 for _ in range(3))  # meanings of other codes


def test_many_sources_are_drawn_as_marks_and_one_frame(twenty: Tables) -> None:
    figure = codons.codon_usage(twenty.codon_rscu).figure
    assert all(len(ax.lines) == 20 and not ax.patches for ax in figure.axes)
    figure = codons.rscu_heatmap(twenty.codon_rscu).figure
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [f"source_{n:02}" for n in range(20)]
    assert codon_names.OF_GENES in figure.texts[1].get_text()


@pytest.mark.long
def test_unusual_corpora_are_drawn(unusual: Tables) -> None:
    for picture in (codons.codon_usage(unusual.codon_rscu), codons.rscu_heatmap(unusual.codon_rscu)):
        assert not images.ink(images.to_png(picture.figure, dpi=60)).is_blank
        assert picture.title
        assert picture.caption
        assert picture.alt


def test_a_table_without_rows_is_said_to_be_empty(sample: Tables) -> None:
    for draw in (codons.codon_usage, codons.rscu_heatmap):
        figure = draw(sample.codon_rscu.head(0)).figure
        assert "no codons in the corpus" in [text.get_text() for text in figure.axes[0].texts]
        assert images.to_svg(figure)


def test_the_heading_says_both_reasons_for_grey(sample: Tables) -> None:
    table = sample.codon_rscu.query("source == 'plastids' and frame == 0").copy()
    table.loc[table["amino_acid"] == "W", "rscu"] = np.nan
    figure = codons.rscu_heatmap(table).figure
    assert sum(int(np.ma.getmaskarray(mesh.get_array()).sum()) for ax in figure.axes[:-1] for mesh in ax.collections)
    words = " ".join(figure.texts[1].get_text().split())
    assert "grey: not a codon of this amino acid in the source's code, or the amino acid never occurs" in words
