"""Calls: every entry of the shipped catalogue, AMRFinderPlus' own test, and the traps."""

import random
from pathlib import Path

import pytest

from opengenome_assets.proteins import Catalogue, ProteinCalls, call, calls, read_catalogue
from opengenome_assets_tests.kernels.proteins import AMINO_ACIDS, random_protein

DATA = Path(__file__).parent / "amrfinder"

# A protein shorter than this shares too few k-mers with anything to be assigned.
ASSIGNED = 16


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


def symbols(found: ProteinCalls) -> list[str]:
    return [each.mutation.symbol for each in found.calls]


def wild_type(catalogue: Catalogue, symbol: str) -> str:
    return next(entry.reference.sequence for entry in catalogue.mutations if entry.symbol == symbol)


@pytest.mark.long
def test_every_entry_put_into_its_reference_is_called_back_and_nothing_else(catalogue: Catalogue) -> None:
    """Of entries that give the same protein all are called."""
    short = []
    for organism in catalogue.organisms:
        entries = catalogue.of(organism).mutations
        found = call({str(entry.line): entry.mutant() or "M" for entry in entries}, catalogue, organism=organism)
        for entry in entries:
            if len(entry.mutant()) < ASSIGNED:
                short.append(entry.symbol)
                continue
            same = [e for e in entries if e.reference == entry.reference and e.mutant() == entry.mutant()]
            assert [each.mutation for each in found[str(entry.line)].calls] == same, entry.symbol
    assert sorted(short) == ["mexR_Y3STOP", "mexZ_E8STOP", "mexZ_Q10STOP", "ompF_L15STOP", "oprD_W6STOP"]


@pytest.mark.long
def test_no_wild_type_has_a_call(catalogue: Catalogue) -> None:
    found = call({entry.accession: entry.sequence + "*" for entry in catalogue.references}, catalogue)
    assert {name: symbols(one) for name, one in found.items() if one.calls} == {}
    assert {one.alignment.identity for one in found.values() if one.alignment} == {1}


def test_amrfinderplus_own_test(catalogue: Catalogue) -> None:
    """Its protein run expects pmrB_C84R and nfsA_R15C, its DNA run nfsA_K141STOP too."""
    records = [record.partition("\n") for record in (DATA / "test_prot.fa").read_text().split(">")[1:]]
    proteins = {header.split()[0]: "".join(sequence.split()) for header, _, sequence in records}
    found = call(proteins, catalogue, organism="Escherichia")
    assert list(found) == list(proteins)
    assert sorted(symbol for one in found.values() for symbol in symbols(one)) == [
        "nfsA_K141STOP",
        "nfsA_R15C",
        "pmrB_C84R",
    ]


def test_a_far_relative_is_not_examined(catalogue: Catalogue) -> None:
    """A gyrA of Campylobacter has an alanine at position 83, which is no mutation of Escherichia's."""
    record = (DATA / "test_prot.fa").read_text().split(">gyrA")[1].split(">")[0]
    found = call({"gyrA": "".join(record.split("\n")[1:])}, catalogue, organism="Escherichia")["gyrA"]
    assert (symbols(found), found.reference is not None) == ([], True)
    assert found.reason.endswith("is 0.46, below 0.8.")


def test_the_last_residue(catalogue: Catalogue) -> None:
    wild = wild_type(catalogue, "mgrB_W47R")
    assert symbols(call({"a": wild[:-1] + "R"}, catalogue)["a"]) == ["mgrB_W47R"]


def test_an_early_end_is_no_call_where_the_contig_ends(catalogue: Catalogue) -> None:
    cut = wild_type(catalogue, "nfsA_K141STOP")[:140]
    found = call({"whole": cut + "*", "inside": cut + "*MKT", "edge": cut}, catalogue, partial_3={"edge"})
    assert {name: symbols(one) for name, one in found.items()} == {
        "whole": ["nfsA_K141STOP"],
        "inside": ["nfsA_K141STOP"],
        "edge": [],
    }


def test_calls_among_other_changes_and_beside_a_second_protein(catalogue: Catalogue) -> None:
    """A fused protein, one in lower case, and one with a tenth of its other letters changed."""
    chance = random.Random(4)
    entry = next(entry for entry in catalogue.mutations if entry.symbol == "gyrA_S83L")
    mutant = entry.mutant()
    changed = [
        chance.choice(AMINO_ACIDS) if chance.random() < 0.1 and place != 82 else x for place, x in enumerate(mutant)
    ]
    proteins = {"fused": random_protein(chance, 400) + mutant, "lower": mutant.lower(), "diverged": "".join(changed)}
    for name, found in call(proteins, catalogue, organism=entry.organism).items():
        assert "gyrA_S83L" in symbols(found), name


def test_a_protein_that_cannot_be_read_costs_only_itself(catalogue: Catalogue) -> None:
    mutant = next(entry for entry in catalogue.mutations if entry.symbol == "gyrA_S83L").mutant()
    found = call({"bad": "MK1", "empty": "", "stop": "**MK", "far": "W" * 50, "good: one": mutant}, catalogue)
    assert {name: one.reason for name, one in found.items()} == {
        "bad": "'1' at position 3 is no letter of a protein.",
        "empty": "A protein has no letters.",
        "stop": "The protein begins with a stop.",
        "far": "No reference shares enough k-mers.",
        "good: one": "",
    }
    assert "gyrA_S83L" in symbols(found["good: one"])


def test_proteins_in_blocks_are_called_as_all_at_once(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = catalogue.mutations[:40]
    proteins = {str(place): entry.mutant() or "M" for place, entry in enumerate(entries)}
    proteins |= {f"again {name}": protein.lower() for name, protein in proteins.items()}
    whole = call(proteins, catalogue)
    monkeypatch.setattr(calls, "_BLOCK", 7)
    assert call(proteins, catalogue) == whole
    assert list(whole) == list(proteins)
    assert sum(bool(each.calls) for each in whole.values()) > 40


def test_an_unknown_organism_is_an_error_and_not_an_empty_answer(catalogue: Catalogue) -> None:
    with pytest.raises(ValueError, match=r"no organism 'Eschericha'. Known: .*Escherichia"):
        call({"a": "MKT"}, catalogue, organism="Eschericha")
