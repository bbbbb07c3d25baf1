"""Pages of text: what is read is what was written, or an error; and they are small."""

import contextlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.storage.parquet.pages import read_pages, write_pages

TEXTS = st.lists(st.text("ACGTN", max_size=40), min_size=1, max_size=60)


def text(values: list[str]) -> pa.LargeStringArray:
    return pa.array(values, pa.large_string())


def stored(array: pa.LargeStringArray, page_bytes: int) -> bytes:
    return b"".join(page.head + page.body for page in write_pages(array, page_bytes=page_bytes))


def read(data: bytes, lengths: list[int]) -> list[list[str]]:
    return [page.to_pylist() for _, page in read_pages(pa.py_buffer(data), np.array(lengths, np.int64))]


def random_text(size: int) -> str:
    return np.random.default_rng(7).choice(np.frombuffer(b"ACGT", np.uint8), size).tobytes().decode()


@given(TEXTS, st.integers(1, 100), st.integers(0, 5))
def test_values_come_back_in_pages_as_full_as_they_may_be(values, page_bytes, skipped):
    array = text(["skipped"] * skipped + values).slice(skipped)
    pages = read(stored(array, page_bytes), [len(value) for value in values])
    assert [value for page in pages for value in page] == values
    for page in pages:
        assert len(page) == 1 or sum(map(len, page)) <= page_bytes
    for page, following in pairwise(pages):
        assert sum(map(len, page)) + len(following[0]) > page_bytes


@given(TEXTS, st.integers(1, 100), st.sets(st.integers(0, 59)))
def test_pages_without_wanted_values_are_skipped(values, page_bytes, wanted):
    rows = sorted(row for row in wanted if row < len(values))
    data, lengths = stored(text(values), page_bytes), np.array([len(value) for value in values])
    found = list(read_pages(pa.py_buffer(data), lengths, rows))
    every = list(read_pages(pa.py_buffer(data), lengths))
    held = [(first, page) for first, page in every if set(rows) & set(range(first, first + len(page)))]
    assert found == held
    assert {
        row: page[row - first].as_py() for first, page in found for row in rows if first <= row < first + len(page)
    } == {row: values[row] for row in rows}


def test_a_header_whose_fields_are_of_other_types_is_refused():
    data = stored(text(["ACGT"]), 10)
    for place in range(40):
        for byte in range(256):
            damaged = bytearray(data)
            damaged[place] = byte
            with contextlib.suppress(OSError):
                assert read(bytes(damaged), [4]) == [["ACGT"]]


def test_no_values_have_no_pages():
    assert stored(text([]), 10) == b""
    assert read(b"", []) == []


def test_a_value_that_is_missing_is_refused():
    with pytest.raises(ValueError, match="1 of 2 texts are null"):
        stored(text(["ACGT", None]), 10)


def test_any_changed_byte_is_found_or_changes_no_letter():
    values = ["ACGTTGCA" * 9, "", "NNNNNNNNN", "A"]
    lengths = [len(value) for value in values]
    data = stored(text(values), 80)
    harmless = 0
    for place in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            try:
                found = read(bytes(damaged), lengths)
            except OSError:
                continue
            harmless += 1
            assert [value for page in found for value in page] == values
    assert harmless < len(data)  # what a header says of nulls, rows and the like


def test_pages_that_are_cut_are_refused():
    values = ["ACGT" * 30, "GATTACA"]
    data = stored(text(values), 120)
    for size in range(len(data)):
        with pytest.raises(OSError, match="page"):
            read(data[:size], [len(value) for value in values])


@pytest.mark.parametrize("lengths", [[4, 4], [4, 3, 1], [9, 4], [4], [], [2**40, 3], [8, -1]])
def test_other_lengths_than_those_of_the_values_are_refused(lengths):
    with pytest.raises(OSError, match="stated"):
        read(stored(text(["ACGT", "GAT"]), 100), lengths)


def test_letters_take_little_more_than_two_bits_and_what_is_repeated_next_to_nothing():
    size = 1 << 20
    letters = random_text(size)
    assert len(stored(text([letters]), size)) < 0.26 * size
    assert len(stored(text(["N" * size]), size)) < 0.001 * size
    assert len(stored(text([letters[:50_000]] * 20), size)) < 0.05 * size  # a record that occurs again


def test_the_same_values_give_the_same_bytes():
    array = text([random_text(1000)] * 3)
    assert stored(array, 1500) == stored(array, 1500)
