"""Recall and precision on a seeded truth, and of the assignment on both sides of its bound."""

import pytest

from opengenome_assets.proteins import Catalogue, align, read_catalogue
from opengenome_assets.proteins.changes import apply
from opengenome_assets_tests.proteins.mutants import CLOSE, KINDS, crowded, mutants, scored, shortened


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


@pytest.mark.long
def test_every_change_is_found_and_no_other(catalogue: Catalogue) -> None:
    """Changes that stand apart; mutants with 21 substitutions and an indel among them."""
    truth = mutants(catalogue, 60, seed=2)
    found = scored(catalogue, truth)
    assert (found.assigned, found.elsewhere) == (len(truth), 0)
    assert min(found.put[kind] for kind in KINDS) >= 1
    assert {kind: (found.recall(kind), found.precision(kind)) for kind in KINDS} == dict.fromkeys(KINDS, (1, 1))


@pytest.mark.long
def test_changes_that_stand_close_are_found_too(catalogue: Catalogue) -> None:
    truth = mutants(catalogue, 40, seed=3, apart=CLOSE)
    found = scored(catalogue, truth)
    assert {kind: (found.recall(kind), found.precision(kind)) for kind in KINDS} == dict.fromkeys(KINDS, (1, 1))


@pytest.mark.long
def test_changes_crowded_around_a_gap_are_told_in_another_way_at_worst(catalogue: Catalogue) -> None:
    """Several alignments may have one score. Whichever is taken, its changes give the protein."""
    truth = crowded(catalogue, 60, seed=4)
    found = scored(catalogue, truth)
    assert min(found.recall(kind) for kind in KINDS) >= 0.9
    assert min(found.precision(kind) for kind in KINDS) >= 0.85
    for mutant in truth:
        alignment = align(mutant.protein, mutant.reference.sequence)
        assert apply(mutant.reference.sequence, alignment.changes) == mutant.protein


def test_assignment_is_lossless_within_its_bound(catalogue: Catalogue) -> None:
    truth = shortened(catalogue, 0.35, 0.81, 60)
    assert scored(catalogue, truth).assigned == len(truth)


def test_what_is_far_beyond_the_bound_is_not_assigned(catalogue: Catalogue) -> None:
    truth = shortened(catalogue, 0.2, 0.5, 60)
    assert scored(catalogue, truth).assigned < len(truth) / 2
