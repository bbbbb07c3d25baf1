"""Numbers and names as strings."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 bp"),
        (999, "999 bp"),
        (999.4, "999 bp"),
        (999.6, "1 kb"),
        (1000, "1 kb"),
        (16_569, "16.6 kb"),
        (154_478, "154 kb"),
        (999_600, "1 Mb"),
        (1_971_102, "1.97 Mb"),
        (2_816_827_506, "2.82 Gb"),
        (math.nan, words.MISSING),
    ],
)
def test_bases_have_three_digits_and_a_unit(value: float, text: str) -> None:
    assert words.bases(value) == text


def test_counts_and_shares() -> None:
    assert words.count(2_229_250) == "2,229,250"
    assert words.percent(0.22644) == "22.6 %"
    assert words.percent(0.22646, 2) == "22.65 %"
    assert words.percent(math.nan) == words.MISSING
    assert words.plural(1, "sequence") == "1 sequence"
    assert words.plural(1200, "sequence") == "1,200 sequences"


def test_shorten_keeps_both_ends_on_one_line() -> None:
    assert words.shorten("plastids") == "plastids"
    assert words.shorten("a\n b") == "a b"
    assert words.shorten("a\x1b[31mred\x07 \u202eb \u03b1") == "a?[31mred? ?b \u03b1"
    short = words.shorten("eukaryotic_genic_windows_part_01", 20)
    assert len(short) == 20
    assert short.startswith("eukaryoti")
    assert short.endswith("_part_01")


def test_listing_says_how_many_are_left_out() -> None:
    assert words.listing(["a", "b"]) == "a, b"
    assert words.listing(["a", "b", "c", "d"], limit=2) == "a, b and 2 more"


NAME = "invertebrate_mitochondria.2026-11_part_01"  # 41 letters


def test_a_name_is_wrapped_between_its_pieces() -> None:
    assert words.wrap("plastids", 20) == ["plastids"]
    assert words.wrap(NAME, 26) == ["invertebrate_mitochondria.", "2026-11_part_01"]
    assert words.wrap("two words, and more", 10) == ["two words,", "and more"]
    assert words.wrap("a" * 45, 20) == ["a" * 20, "a" * 20, "a" * 5]


@given(st.text("ab_-. /", min_size=1, max_size=60), st.integers(4, 30))
def test_wrapping_loses_nothing_but_blanks(name: str, width: int) -> None:
    lines = words.wrap(name, width)
    assert "".join("".join(lines).split()) == "".join(name.split())
    assert all(len(line) <= width for line in lines)
    assert "".join(words.pieces(name)) == name
