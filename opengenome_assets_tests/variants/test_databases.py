"""Databases: alleles in the form of calls, ClinVar's words and stars, and classes."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.variants.annotations import CLASSES, class_of, kind
from opengenome_assets.variants.databases import (
    DatabaseError,
    Tally,
    clinvar_table,
    clinvar_vcf,
    gnomad_vcf,
    left_aligned,
    refuse_other_assembly,
)

VCF = "##INFO\n#CHROM\n"


@given(st.text("AC", min_size=8, max_size=30), st.data())
def test_every_form_of_an_allele_gives_the_leftmost_shortest_one(text, data):
    first = data.draw(st.integers(1, len(text) - 3))
    length = data.draw(st.integers(0, min(3, len(text) - first - 1)))
    inserted = data.draw(st.text("AC", max_size=3))
    ref = text[first : first + length]
    changed = text[:first] + inserted + text[first + length :]
    if changed == text:
        return
    found = left_aligned(lambda at: text[at - 1], first + 1, ref, inserted)
    # The slow twin: of all forms with a letter on both sides, the shortest, and of those the leftmost.
    forms = [
        (len(text) - right - left, left + 1, text[left : len(text) - right], changed[left : len(changed) - right])
        for left in range(len(text))
        for right in range(len(text) - left)
        if text[:left] == changed[:left]
        and text[len(text) - right :] == changed[len(changed) - right :]
        and left + right < min(len(text), len(changed))
    ]
    assert found == min(forms)[1:]


def test_clinvar_s_words_stay_as_they_are_and_unknown_statuses_are_noted():
    tally = Tally()
    line = (
        "MT\t11\t9\tA\tG,T\t.\t.\tCLNSIG=Likely_pathogenic;CLNREVSTAT=criteria_provided,_multiple_submitters,"
        "_no_conflicts;CLNSIGCONF=x(1)|y(2);CLNDN=A_b\n"
    )
    other = "MT\t12\t8\tA\tG\t.\t.\tCLNREVSTAT=brand_new\n"
    first, *_, last = clinvar_vcf("", io.StringIO(VCF + line + other), tally)
    assert (first["significance"], first["conflicts"], first["condition"]) == ("Likely pathogenic", "x(1)|y(2)", "A b")
    assert (last["significance"], last["stars"], tally.unknown_status) == ("not provided", None, {"brand new"})


def test_the_table_of_the_website_is_read_and_rows_without_an_allele_are_counted():
    head = (
        "Name\tGene(s)\tProtein change\tCondition(s)\tClinical significance (Last reviewed)\tReview status\tAccession\t"
        "Canonical SPDI\n"
    )
    rows = (
        "x\tg\t\tA|B\tPathogenic(Last reviewed: May 1, 2020)\treviewed by expert panel\tVCV1\tNC_1:262:A:G\n"
        "y\tg\t\t\tBenign\tno assertion provided\tVCV2\t\n"
    )
    tally = Tally()
    (entry,) = clinvar_table(head, io.StringIO(rows), tally)
    assert (entry["contig"], entry["pos"], entry["ref"], entry["alt"]) == ("NC_1", 263, "A", "G")
    assert (entry["significance"], entry["evaluated"], entry["stars"]) == ("Pathogenic", "May 1, 2020", 3)
    assert (entry["condition"], tally.elsewhere) == ("A; B", 1)


def test_frequencies_of_several_alleles_each_have_their_own():
    line = "1\t5\t.\tA\tG,T\t.\tPASS\tAC=3,4;AN=10;AF=0.3,0.4\n"
    entries = list(gnomad_vcf("", io.StringIO(VCF + line), Tally()))
    assert [(entry["alt"], entry["ac"], entry["an"], entry["af"]) for entry in entries] == [
        ("G", 3, 10, 0.3),
        ("T", 4, 10, 0.4),
    ]


def test_a_file_of_another_assembly_is_refused_and_single_mismatches_are_not():
    refuse_other_assembly("x", Tally(entries=100, mismatches=["a"] * 5))
    with pytest.raises(DatabaseError, match=r"REF of 6 of 100 entries is not in the reference.*another assembly"):
        refuse_other_assembly("x", Tally(entries=100, mismatches=["a"] * 6))
    with pytest.raises(DatabaseError, match="none of 9 entries is on a contig"):
        refuse_other_assembly("x", Tally(entries=9, elsewhere=9))
    with pytest.raises(DatabaseError, match="line 4: expected 8 columns of VCF"):
        list(gnomad_vcf("", io.StringIO(VCF + "1\tx\n"), Tally()))


@pytest.mark.parametrize(
    ("significance", "stars", "expected"),
    [
        ("Pathogenic", 1, CLASSES[0]),
        ("Likely pathogenic", 0, CLASSES[1]),
        ("Pathogenic/Likely pathogenic", None, CLASSES[1]),
        ("Conflicting interpretations of pathogenicity", 1, CLASSES[2]),
        ("Uncertain significance", 3, CLASSES[3]),
        ("Benign/Likely benign", 2, CLASSES[4]),
        ("drug response", 2, CLASSES[5]),
        ("not provided", 0, CLASSES[5]),
        (None, None, CLASSES[6]),
    ],
)
def test_a_class_says_what_is_stated_and_how_well_it_was_reviewed(significance, stars, expected):
    assert class_of(significance, stars) == expected


def test_kinds_of_alleles():
    assert [kind(*each) for each in (("A", "G"), ("A", "AG"), ("AG", "A"), ("AC", "GT"), ("ACG", "TT"))] == [
        "snv",
        "insertion",
        "deletion",
        "other",
        "other",
    ]
