"""Regions: the cut of contigs, and ploidy by sex."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.variants.regions import cut, ploidies


def contig(name, length, female=2, male=2):
    return {"contig": name, "length": length, "md5": name, "ploidy_female": female, "ploidy_male": male}


@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=2), st.sampled_from([1_000, 7_000]))
def test_regions_cover_every_letter_once(lengths, size):
    contigs = [contig(f"HLA*{number}:01", length) for number, length in enumerate(lengths)]
    found = [(region.contig, place) for region in cut(contigs, size) for place in range(region.start, region.end + 1)]
    assert found == [(each["contig"], place) for each in contigs for place in range(1, each["length"] + 1)]


def test_padding_ends_with_the_contig_and_names_with_colons_are_protected():
    first, _, last = cut([contig("HLA*1:01", 2_500)], 1_000)
    assert (first.padded(1_000), last.padded(1_000)) == ("HLA*1:01\t1\t2000\n", "HLA*1:01\t1001\t2500\n")
    assert last.braced == "{HLA*1:01}:2001-2500"
    with pytest.raises(ValueError, match="expected a multiple of 1,000"):
        list(cut([contig("c", 10)], 1_500))


def test_ploidy_by_sex_with_pseudo_autosomal_regions():
    x, y, mt = contig("chrX", 156_040_895, 2, 1), contig("chrY", 57_227_415, 0, 1), contig("chrM", 16_569, 1, 1)
    assert ploidies([contig("chr1", 9), mt], "NA") == [("chrM", 1, 16_569, 1)]
    assert ploidies([x, y], "XX") == [("chrY", 1, 57_227_415, 0)]
    assert ploidies([x, y], "NA") == []
    assert ploidies([x, y], "XY") == [
        ("chrX", 1, 10_000, 1),
        ("chrX", 2_781_480, 155_701_382, 1),
        ("chrX", 156_030_896, 156_040_895, 1),
        ("chrY", 1, 57_227_415, 1),
    ]
