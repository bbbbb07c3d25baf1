"""Changes against the alignment that they come from, and names against those that people write."""

from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.proteins.alignment import align
from opengenome_assets.proteins.changes import Change, apply, normal_form

LETTERS = "MKWD"


@given(st.data())
def test_the_changes_put_into_the_reference_give_the_query_back(data: st.DataObject) -> None:
    """Round trip over the aligned part; letters repeat, so that gaps can stand in many places."""
    reference = data.draw(st.text(LETTERS, min_size=10, max_size=40))
    query = data.draw(st.text(LETTERS, min_size=1, max_size=8)).join((reference[:6], reference[8:]))
    found = align(query, reference)
    part = apply(reference, found.changes)
    ends = len(reference) - found.reference_end
    assert part[found.reference_start : len(part) - ends] == query[found.query_start : found.query_end]


@given(st.text(LETTERS, min_size=8, max_size=20), st.integers(1, 8), st.integers(0, 3), st.text(LETTERS, max_size=3))
def test_alleles_of_the_same_protein_with_one_length_have_one_normal_form(
    reference: str, position: int, length: int, alt: str
) -> None:
    """Of an insertion or deletion, wherever it was written: every other place that gives the same protein."""
    ref = reference[position - 1 : position - 1 + length]
    protein = reference[: position - 1] + alt + reference[position - 1 + len(ref) :]
    form = normal_form(reference, position, ref, alt)
    assert apply(reference, form) == protein
    if len(form) != 1 or form[0].kind not in ("insertion", "deletion"):
        return
    size = abs(len(protein) - len(reference))
    longer, shorter = sorted((reference, protein), key=len, reverse=True)
    for start in range(len(longer) - size + 1):
        if longer[:start] + longer[start + size :] == shorter:
            moved = longer[start : start + size]
            old, new = (moved, "") if form[0].kind == "deletion" else ("", moved)
            assert normal_form(reference, start + 1, old, new) == form


def test_names() -> None:
    reference = "MKTAYWRDDTA"
    assert Change(4, "A", "L").hgvs(reference) == "p.Ala4Leu"
    assert Change(4, "A", "L").short() == "A4L"
    assert Change(6, "WR", "").hgvs(reference) == "p.Trp6_Arg7del"
    assert Change(8, "D", "").hgvs(reference) == "p.Asp9del"  # the 3' rule
    assert Change(5, "", "G").hgvs(reference) == "p.Tyr5_Trp6insGly"
    assert Change(7, "", "D").hgvs(reference) == "p.Asp9_Thr10insAsp"
    assert Change(3, "T", "*").hgvs(reference) == "p.Thr3Ter"
    assert Change(3, "TA", "G").hgvs(reference) == "p.Thr3_Ala4delinsGly"


def test_an_ambiguous_letter_is_no_substitution() -> None:
    assert align("MKTXYWRDDTA", "MKTAYWRDDTA").changes == ()
