"""Views of Arrow text and the meaning of codes."""

from itertools import pairwise, product

import numpy as np
import pyarrow as pa
import pytest
from Bio.Seq import reverse_complement

from opengenome_assets.kernels.bases import arrow_text, kernel_text, kmer_strings, reverse_complement_codes

SEQUENCES = ["ACGT", "", "GGNNaCC", "T", "CATCAT"]


@pytest.mark.parametrize(("arrow_type", "offset_type"), [(pa.string(), np.int32), (pa.large_string(), np.int64)])
@pytest.mark.parametrize(("start", "length"), [(0, 5), (1, 3), (4, 1), (5, 0), (0, 0), (2, 0)])
def test_arrow_text_honours_slices(arrow_type: pa.DataType, offset_type: type, start: int, length: int) -> None:
    data, offsets = arrow_text(pa.array(SEQUENCES, arrow_type).slice(start, length))
    found = [data[a:b].tobytes().decode() for a, b in pairwise(offsets)]
    assert found == SEQUENCES[start : start + length]
    assert offsets.dtype == offset_type
    assert not data.flags.writeable
    assert not offsets.flags.writeable


def test_arrow_text_copies_nothing() -> None:
    array = pa.array(SEQUENCES)
    data, offsets = arrow_text(array.slice(2))
    assert data.ctypes.data == array.buffers()[2].address
    assert offsets.ctypes.data == array.buffers()[1].address + 2 * 4


@pytest.mark.parametrize("sequences", [[], [""], ["", ""]])
def test_arrow_text_without_letters(sequences: list[str]) -> None:
    data, offsets = arrow_text(pa.array(sequences, pa.string()))
    assert data[offsets[0] : offsets[-1]].tobytes() == b""
    assert len(offsets) == len(sequences) + 1


def test_arrow_text_refuses_nulls() -> None:
    with pytest.raises(ValueError, match="1 of 3 sequences are null; drop them"):
        arrow_text(pa.array(["A", None, "C"]))
    data, offsets = arrow_text(pa.array(["A", None, "C"]).slice(2))
    assert data[offsets[0] : offsets[1]].tobytes() == b"C"


def test_arrow_text_refuses_other_types() -> None:
    with pytest.raises(TypeError, match="expected an Arrow string or large_string array, found int64"):
        arrow_text(pa.array([1, 2]))


@pytest.mark.parametrize("offsets", [[-1, 2], [0, 5], [0, 3, 2], [3, 1, 4]])
def test_kernel_text_refuses_offsets_outside_the_data(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match=r"offsets must ascend .* the 4 letters given"):
        kernel_text(np.zeros(4, np.uint8), np.array(offsets))


def test_kernel_text_refuses_other_arrays() -> None:
    with pytest.raises(ValueError, match="found no offset"):
        kernel_text(np.zeros(4, np.uint8), np.zeros(0, np.int64))
    with pytest.raises(TypeError, match="found int8"):
        kernel_text(np.zeros(4, np.int8), np.array([0, 4]))
    with pytest.raises(TypeError, match="contiguous"):
        kernel_text(np.zeros(8, np.uint8)[::2], np.array([0, 4]))
    with pytest.raises(TypeError, match="found float64"):
        kernel_text(np.zeros(4, np.uint8), np.array([0.0, 4.0]))


@pytest.mark.parametrize("k", range(1, 7))
def test_kmer_strings_are_in_lexicographic_order(k: int) -> None:
    assert kmer_strings(k).tolist() == ["".join(letters) for letters in product("ACGT", repeat=k)]


@pytest.mark.parametrize("k", range(1, 7))
def test_reverse_complement_codes_are_biopythons(k: int) -> None:
    kmers = kmer_strings(k)
    codes = reverse_complement_codes(k)
    assert kmers[codes].tolist() == [reverse_complement(kmer) for kmer in kmers.tolist()]
    assert codes.dtype == np.int64
