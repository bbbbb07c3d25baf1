"""One pair, as people use it."""

import pytest

from opengenome_assets.proteins import align
from opengenome_assets.proteins.alignment import Scoring

WILD = "MKWHPSDYTRHLLVAGMKWHPSDYTRHLLVAGAARND"


def test_measures() -> None:
    found = align("mkwhpldytrhllvagMKWHPSDYTRHLLVAGAARND*", WILD)
    assert found.cigar == "5=1X31="
    assert (found.identity, found.coverage_query, found.coverage_reference) == (36 / 37, 1, 1)
    assert found.level == "HIGH"


def test_coverage_never_exceeds_1_and_a_part_of_a_protein_is_no_high_level() -> None:
    found = align(WILD[10:], WILD)
    assert (found.coverage_query, found.coverage_reference) == (1, 27 / 37)
    assert (found.identity, found.level) == (1, "MEDIUM")


def test_two_proteins_that_have_nothing_in_common_fail() -> None:
    assert align("W", "P").level == "FAILED"


def test_text_for_people() -> None:
    assert align("MKWHPLDYTRHLLVG", "MKWHPSDYTRHLLVAG").text(10) == (
        "reference      1 MKWHPSDYTR 10\n"
        "                 |||||.||||\n"
        "query          1 MKWHPLDYTR 10\n"
        "\n"
        "reference     11 HLLVA 15\n"
        "                 ||||.\n"
        "query         11 HLLVG 15\n"
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [("", "no letters"), ("*", "no letters"), ("MK-W", "'-' at position 3"), ("MK W", "' ' at position 3")],
)
def test_what_is_no_protein_is_refused(query: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        align(query, WILD)


def test_scoring_by_name() -> None:
    assert align("W", "W", Scoring("PAM250")).score == 17
    with pytest.raises(ValueError, match=r"multiples of 0\.5"):
        align("W", "W", Scoring(gap_extend=0.3))
