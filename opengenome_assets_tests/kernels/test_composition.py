"""Counts of bases against a loop over letters and Biopython."""

import numpy as np
import pytest
from Bio.SeqUtils import gc_fraction
from hypothesis import given, settings

from opengenome_assets.kernels.composition import composition
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.kernels.texts import Text, sample, sample_text, text, texts


@settings(max_examples=share(100))
@given(given_text=texts())
def test_counts_equal_a_loop(given_text: Text) -> None:
    acgt, gc = composition(given_text.data, given_text.offsets)
    assert acgt.dtype == gc.dtype == np.int64
    assert acgt.tolist() == [sum(letter in b"ACGTacgt" for letter in one) for one in given_text.sequences]
    assert gc.tolist() == [sum(letter in b"GCgc" for letter in one) for one in given_text.sequences]


@pytest.mark.parametrize("copies", [1, 63, 64, 65, 200])
def test_every_byte_value(copies: int) -> None:
    """Each by itself, once where 64 letters are read at once and once at the end of the buffer."""
    acgt, gc = composition(*text([bytes([value]) * copies for value in range(256)])[1:])
    assert {value for value in range(256) if acgt[value]} == set(b"ACGTacgt")
    assert {value for value in range(256) if gc[value]} == set(b"GCgc")
    assert set(acgt.tolist()) == {0, copies}


@pytest.mark.parametrize("source", ["plastids", "mitochondria"])
def test_gc_of_the_sample_is_biopythons(source: str) -> None:
    acgt, gc = composition(*sample_text(source)[1:])
    expected = [gc_fraction(sequence, ambiguous="remove") for sequence in sample(source).values()]
    # Biopython takes S (C or G) and W (A or T) for known: no sequence here has S, one mitochondrion has one W
    np.testing.assert_allclose(gc / acgt, expected, rtol=1e-4)
    plain = [set(sequence) <= set("ACGT") for sequence in sample(source).values()]
    np.testing.assert_allclose((gc / acgt)[plain], np.array(expected)[plain], rtol=1e-15)
