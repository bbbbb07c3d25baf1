"""Traps in which other tools were caught: each a case of its own, some from their issues."""

import random
from pathlib import Path

import pytest

from opengenome_assets.proteins import Catalogue, ProteinCalls, call, read_catalogue
from opengenome_assets.proteins.changes import apply
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.kernels.proteins import random_protein
from opengenome_assets_tests.proteins.runs import Run, fasta, folder

WILD = "MKTAYIAKQRGGGGGGQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVVHSLAKWKR"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Entries of several letters whose middle is unchanged, in a repeat, at both ends, and across each other."""
    rows = [
        ("AYI", 4, "GYV"),  # the middle letter is that of the reference
        ("G", 11, "GG"),  # an insertion anywhere in the repeat is the same
        ("G", 16, ""),
        ("R", 84, "L"),  # the last letter
        ("K", 2, "N"),
        ("S", 23, "L"),
        ("SH", 23, "LL"),  # a complex that holds the entry before it
        ("Q", 28, "STOP"),
    ]
    path = tmp_path_factory.mktemp("traps")
    text = "gene\tposition\tref\talt\n" + "".join(f"x\t{at}\t{ref}\t{alt or 'del'}\n" for ref, at, alt in rows)
    (path / "m.tsv").write_text(text)
    (path / "r.fasta").write_text(fasta({"x": WILD}))
    catalogue = read_catalogue(path / "m.tsv", path / "r.fasta")
    assert [entry.reason for entry in catalogue.rejected] == []
    return catalogue


def names(found: ProteinCalls) -> list[str]:
    return [each.mutation.short for each in found.calls]


@pytest.mark.parametrize(
    ("protein", "expected"),
    [
        (WILD[:3] + "GYV" + WILD[6:], ["AYI4GYV"]),
        (WILD[:3] + "GYI" + WILD[6:], []),  # half of a complex is none
        (WILD[:3] + "GFV" + WILD[6:], ["AYI4GYV"]),  # its letters are there, and another change between them
        (WILD[:10] + "G" + WILD[10:], ["G11GG"]),
        (WILD[:13] + "G" + WILD[13:], ["G11GG"]),
        (WILD[:15] + WILD[16:], ["G16del"]),
        (WILD[:11] + WILD[12:], ["G16del"]),
        (WILD[:10] + "GG" + WILD[10:], []),  # two letters more are another insertion
        (WILD[:-1] + "L", ["R84L"]),
        (WILD[:-1], []),
        ("MN" + WILD[2:], ["K2N"]),
        (WILD[:22] + "L" + WILD[23:], ["S23L"]),
        (WILD[:22] + "LL" + WILD[24:], ["S23L", "SH23LL"]),
        (WILD[:27] + "*" + WILD[28:], ["Q28*"]),
        (WILD[:22].lower() + "l" + WILD[23:].lower(), ["S23L"]),
        (WILD[:22] + "X" + WILD[23:], []),
        (WILD + WILD[:22] + "L" + WILD[23:], []),  # the whole copy before it aligns better
    ],
    ids=range(17),
)
def test_alleles(own: Catalogue, protein: str, expected: list[str]) -> None:
    assert names(call({"a": protein}, own)["a"]) == expected


def test_a_name_says_nothing(own: Catalogue) -> None:
    """A protein that is named as an allele and has others of its letters is not that allele: ncbi/amr#147."""
    found = call({"x_S23L": WILD, "x S23L: a name, with spaces": WILD[:22] + "T" + WILD[23:]}, own)
    assert [names(one) for one in found.values()] == [[], []]


def test_a_protein_as_long_as_titin(own: Catalogue) -> None:
    """35,000 letters, of which few are the reference's: scores and places do not overflow."""
    chance = random.Random(1)
    long = random_protein(chance, 20_000) + WILD[:22] + "L" + WILD[23:] + random_protein(chance, 15_000)
    found = call({"long": long}, own)["long"]
    assert names(found) == ["S23L"]
    assert found.alignment is not None
    assert found.alignment.query_start == 20_000
    itself = call({"long": long}, _of(long))["long"].alignment
    assert itself is not None
    assert (itself.identity, itself.columns) == (1, len(long))
    assert itself.score > 2**16


def _of(protein: str) -> Catalogue:
    from opengenome_assets.proteins.catalogue import Mutation, Reference

    reference = Reference("long", "long", protein)
    entry = Mutation(reference, "", "long_x", 5, 5, protein[4], "*", None, "", "", 2)
    return Catalogue((reference,), (entry,), (), "")


@pytest.mark.long
def test_header_dialects_and_awkward_names_through_the_assets(tmp_path: Path, own: Catalogue) -> None:
    """One protein in every dialect, in two accessions: it is aligned once, and called in each of its records."""
    mutant = WILD[:22] + "L" + WILD[23:]
    headers = {
        "b:c d|x|10-258|-|contig 1|0123456789abcdef": "x",
        "contig_7 # 551 # 802 # -1 # ID=1_1;partial=00;start_type=ATG": "",
        "WP_000000001.1 protein X [Escherichia coli]": "",
        "lcl|NC_1.1_prot_WP_000000002.1_1 [gene=x] [protein=X] [location=complement(10..258)]": "x",
        "LOCUS_00001 hypothetical protein": "",
    }
    text = fasta(dict.fromkeys(headers, mutant))
    entries = "".join(f"x\t{e.position}\t{e.ref}\t{e.alt or 'del'}\n" for e in own.mutations if e.alt != "*")
    catalogue = folder(
        tmp_path / "own", {"m.tsv": "gene\tposition\tref\talt\n" + entries, "r.fasta": fasta({"x": WILD})}
    )
    source = folder(tmp_path / "in", {"b:c d_proteins.fasta": text, "Ä 2.faa": text.replace(mutant, mutant.lower())})
    settings = {"source": source, "catalogue": f"{catalogue}/m.tsv,{catalogue}/r.fasta"}
    run = Run(Home(str(tmp_path / "home")), settings)
    run.materialize("*mutation_calls")
    assert len(run.rows("protein_alignments")) == 1
    calls = run.rows("mutation_calls")
    assert [row["accession"] for row in calls] == ["b:c d"] * 5 + ["Ä 2"] * 5
    assert {row["symbol"] for row in calls} == {"x_S23L"}
    hints = {row["gene"] for row in run.rows("raw_proteins")}
    assert hints == set(headers.values())


@pytest.mark.parametrize("changes", [1, 3])
def test_changes_put_into_the_reference_give_the_protein_back(changes: int) -> None:
    from opengenome_assets.proteins import align

    chance = random.Random(changes)
    protein = WILD[:30] + random_protein(chance, changes) + WILD[30 + 2 * changes :]
    assert apply(WILD, align(protein, WILD).changes) == protein
