"""Principal components against scikit-learn, and what the sample's profiles show."""

import numpy as np
import pytest

from opengenome_assets.corpus.plots import profiles
from opengenome_assets.plots import images, style
from opengenome_assets_tests.corpus.plots.tables import Tables


@pytest.mark.parametrize("shape", [(3, 40), (29, 4096), (40, 40), (5000, 16), (9000, 64)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.peer
def test_components_equal_scikit_learn(shape: tuple[int, int], dtype: type) -> None:
    from sklearn.decomposition import PCA

    random = np.random.default_rng(5)
    data = (random.normal(size=shape) * np.geomspace(9, 0.1, shape[1]) + 3).astype(dtype)
    scores, explained = profiles.principal_components(data, 2)
    twin = PCA(2, svd_solver="full").fit(data.astype(np.float64))
    np.testing.assert_allclose(scores, twin.transform(data.astype(np.float64)), atol=1e-8 * np.abs(scores).max())
    np.testing.assert_allclose(explained, twin.explained_variance_ratio_, rtol=1e-9)


def test_components_beyond_the_rank_are_zero() -> None:
    line = np.outer(np.arange(5.0), [1.0, 2.0, 2.0])
    scores, explained = profiles.principal_components(line)
    np.testing.assert_allclose(scores, np.c_[3 * (np.arange(5.0) - 2), np.zeros(5)], atol=1e-12)
    np.testing.assert_allclose(explained, [1, 0])
    for data in (np.ones((4, 3)), np.ones((1, 3)), np.ones((0, 3))):
        scores, explained = profiles.principal_components(data)
        assert scores.shape == (len(data), 2)
        assert not scores.any()
        assert not explained.any()


def test_profiles_are_relative_frequencies(sample: Tables) -> None:
    matrix = profiles.kmer_profiles(sample.tfidf_index)
    assert matrix.shape == (29, 4096)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)
    row = sample.tfidf_index.iloc[3]
    code, count = row["codes"][7], row["counts"][7]
    np.testing.assert_allclose(matrix[3, code], count / row["kmers"], rtol=1e-6)


def test_plastids_and_mitochondria_fall_apart(sample: Tables) -> None:
    from sklearn.metrics import silhouette_score
    from sklearn.svm import SVC

    matrix = profiles.kmer_profiles(sample.tfidf_index)
    scores, explained = profiles.principal_components(matrix)
    sources = sample.tfidf_index["source"].to_numpy()
    scaled = scores / scores.std()
    assert SVC(kernel="linear", C=1e4).fit(scaled, sources).score(scaled, sources) == 1
    assert silhouette_score(scores, sources) > 0.4
    assert explained[0] > 0.5


def test_each_sequence_is_a_mark_of_its_source(sample: Tables) -> None:
    index = sample.tfidf_index
    matrix = profiles.kmer_profiles(index)
    picture = profiles.kmer_pca(matrix, index["source"].tolist(), index["length"].tolist())
    ax = picture.figure.axes[0]
    scores, explained = profiles.principal_components(matrix)
    drawn = {len(marks.get_offsets()): marks for marks in ax.collections}
    for source, number in (("plastids", 13), ("mitochondria", 15), ("vertebrate_mitochondria", 1)):
        np.testing.assert_allclose(drawn[number].get_offsets(), scores[index["source"] == source])
    assert drawn[13].get_sizes().min() > drawn[15].get_sizes().max(), "plastids are longer"
    assert ax.get_xlabel() == f"PC1 ({100 * explained[0]:.1f} % of variance)"
    legend = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert legend == ["mitochondria (n = 15)", "plastids (n = 13)", "vertebrate_mitochondria (n = 1)"]


def test_many_sequences_do_not_swell_the_svg() -> None:
    random = np.random.default_rng(0)
    many = random.random((6000, 16), dtype=np.float32)
    picture = profiles.kmer_pca(many, ["a", "b"] * 3000, [100] * 6000, k=2)
    assert len(images.to_svg(picture.figure)) < 800_000


@pytest.mark.long
def test_unusual_corpora_are_drawn(unusual: Tables) -> None:
    index = unusual.tfidf_index
    matrix = profiles.kmer_profiles(index)
    picture = profiles.kmer_pca(matrix, index["source"].tolist(), index["length"].tolist())
    assert not images.ink(images.to_png(picture.figure, dpi=60)).is_blank
    if len(index) < 2:
        assert "at least two sequences" in picture.figure.axes[0].texts[0].get_text()


def _words(picture: style.Picture) -> str:
    """Heading, axes and panel, as one line."""
    ax = picture.figure.axes[0]
    texts = [*(text.get_text() for text in [*picture.figure.texts, *ax.texts]), ax.get_xlabel(), ax.get_ylabel()]
    return " ".join(" ".join(texts).split())


def test_the_heading_says_how_many_of_the_sequences_are_drawn() -> None:
    random = np.random.default_rng(3)
    sources = [f"source_{number:02}" for number in range(30) for _ in range(10 if number < 6 else 4)]
    picture = profiles.kmer_pca(random.random((len(sources), 16)), sources, [100] * len(sources), k=2)
    assert sum(len(marks.get_offsets()) for marks in picture.figure.axes[0].collections) == 132
    assert "24 largest of 30 sources · n = 132 of 156 sequences ·" in _words(picture)
    assert picture.alt.startswith("Scatter of 132 of 156 sequences;")


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_where_there_is_nothing_to_compare_no_share_of_variance_is_given(rows: int) -> None:
    alike = np.tile(np.random.default_rng(2).random(16), (rows, 1))
    picture = profiles.kmer_pca(alike, ["a"] * rows, [100] * rows, k=2)
    why = "a comparison needs at least two sequences" if rows < 2 else "all sequences have the same 2-mer frequencies"
    assert why in _words(picture)
    assert "variance" not in _words(picture) + picture.caption + picture.alt
    assert not picture.figure.axes[0].collections


def test_the_heading_says_of_how_many_and_outliers_have_their_names() -> None:
    """Twenty sequences around one point, and one far away; a source of one is no outlier."""
    random = np.random.default_rng(2)
    matrix = np.vstack([0.25 + 0.001 * random.standard_normal((20, 4)), [[0.5, 0.1, 0.2, 0.2], [0.1, 0.2, 0.3, 0.4]]])
    sources, names = ["many"] * 21 + ["one"], [f"s{number}" for number in range(22)]
    picture = profiles.kmer_pca(matrix, sources, [100] * 22, k=1, identifiers=names, total=300_005)
    assert "n = 22 of 300,005 sequences" in _words(picture)
    assert [text.get_text() for text in picture.figure.axes[0].texts] == ["s20"]
    assert "far from the others of its source" in picture.caption
    assert profiles.outliers(np.zeros((9, 2)), np.array(["a"] * 9, object)) == []
