"""TF-IDF weights against scikit-learn."""

from itertools import pairwise

import numpy as np
import pytest

from opengenome_assets.kernels.bases import kmer_strings
from opengenome_assets.kernels.profiles import document_frequency, sequence_kmers
from opengenome_assets.kernels.tfidf import inverse_document_frequency, tfidf
from opengenome_assets_tests.kernels.texts import sample, text


def weigh(sequences: list[str]) -> np.ndarray:
    from scipy.sparse import csr_array

    kmers = sequence_kmers(*text([sequence.encode() for sequence in sequences])[1:])
    idf = inverse_document_frequency(document_frequency(kmers), len(sequences))
    matrix = csr_array((tfidf(kmers, idf), kmers.codes, kmers.row_offsets), (len(sequences), 4096))
    return matrix.toarray()


def unambiguous_sample() -> list[str]:
    everything = [*sample("plastids").values(), *sample("mitochondria").values()]
    return [sequence for sequence in everything if set(sequence) <= set("ACGT")]


@pytest.mark.peer
def test_sample_equals_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    sequences = [*unambiguous_sample(), "ACGTACGTAC", "GGGGGG"]
    assert len(sequences) > 20
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(6, 6), lowercase=False)
    expected = vectorizer.fit_transform(sequences).toarray()
    seen = np.searchsorted(kmer_strings(6), vectorizer.get_feature_names_out())
    found = weigh(sequences)
    np.testing.assert_allclose(found[:, seen], expected, atol=1e-6)
    assert found.sum() == pytest.approx(found[:, seen].sum())


@pytest.mark.long
def test_ambiguous_letters_equal_scikit_learn_with_our_vocabulary() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    sequences = [sequence[:20_000] for sequence in sample("plastids").values()]
    sequences += ["ACGTNNACGTACGTNACGTTTTTTT", "NNNNNNNNN", "ACG"]
    vectorizer = TfidfVectorizer(
        analyzer="char", ngram_range=(6, 6), lowercase=False, vocabulary=kmer_strings(6).tolist()
    )
    np.testing.assert_allclose(weigh(sequences), vectorizer.fit_transform(sequences).toarray(), atol=1e-6)


def test_rows_have_the_length_1_or_are_empty() -> None:
    sequences = ["", "ACGTACG", "ACGTN", "TTTTTTTTTTTTACGTCA", ""]
    assert np.linalg.norm(weigh(sequences), axis=1).tolist() == pytest.approx([0, 1, 0, 1, 0])


@pytest.mark.parametrize("sequences", [[], [""], ["ACGTA", "N"]])
def test_nothing_to_weigh(sequences: list[str]) -> None:
    kmers = sequence_kmers(*text([sequence.encode() for sequence in sequences])[1:])
    assert tfidf(kmers, np.ones(4096)).shape == (0,)


def test_rarer_kmers_weigh_more() -> None:
    idf = inverse_document_frequency(np.array([0, 1, 5, 10]), 10)
    assert idf[3] == 1
    assert all(rarer > commoner for rarer, commoner in pairwise(idf))
    assert idf[1] == pytest.approx(np.log(11 / 2) + 1)


def test_rows_that_do_not_fit_together_are_refused() -> None:
    """They are read unchecked afterwards."""
    good = sequence_kmers(*text([b"ACGTACGT", b"TTTTTT"])[1:])
    with pytest.raises(ValueError, match="codes from 0 to 4,095, found -30,000 to"):
        tfidf(good._replace(codes=np.array([-30_000, *good.codes[1:]], np.int16)), np.ones(4096))
    with pytest.raises(ValueError, match="codes from 0 to 9, found"):
        tfidf(good, np.ones(10))
    with pytest.raises(ValueError, match="as many counts as codes, found 3 and 4"):
        tfidf(good._replace(counts=good.counts[1:]), np.ones(4096))
