"""Genes of contigs: AMRFinderPlus' own test, and genes broken in each way."""

import random

import pytest
from Bio.Seq import Seq, reverse_complement
from Bio.SeqUtils import seq3

from opengenome_assets.proteins.catalogue import Catalogue, Reference, read_catalogue
from opengenome_assets.proteins.contigs import call_contigs, read_gene
from opengenome_assets_tests.proteins.amrfinder import expected_dna, sequences

CONTIGS = sequences("test_dna.fa")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


def test_amrfinderplus_own_test(catalogue: Catalogue) -> None:
    """Its POINTX rows, nfsA_K141Ter too, in a gene that begins at its contig's edge."""
    expected = [(row["Contig id"], row["Element symbol"].replace("Ter", "STOP")) for row in expected_dna("POINTX")]
    found = call_contigs(CONTIGS, catalogue, organism="Escherichia")
    calls = [
        (gene.contig, each.mutation.symbol)
        for gene, result in zip(found.genes, found.calls, strict=True)
        for each in result.calls
    ]
    assert len(expected) == 4
    assert sorted(calls) == sorted(expected)
    assert [(one.contig, one.kind, one.name) for one in found.disruptions] == [("contig16", "stop", "p.Lys141Ter")]


def test_an_early_stop_at_a_contigs_missing_end_is_none(catalogue: Catalogue) -> None:
    """A gene cut at its 3' end on either strand, at the place where an entry says that the protein stops."""
    gene = CONTIGS["contig16"]
    cut = gene[: 3 * 140]
    found = call_contigs({"cut": cut, "reverse": reverse_complement(cut)}, catalogue, organism="Escherichia")
    assert [gene.partial_3 for gene in found.genes] == [True, True]
    assert [[each.mutation.symbol for each in one.calls] for one in found.calls] == [["nfsA_R15C"], ["nfsA_R15C"]]
    assert found.disruptions == ()


@pytest.fixture(scope="module")
def gene() -> tuple[str, Reference]:
    """A copy of pmrB as it stands in AMRFinderPlus' test, without its stop, and its protein."""
    found = CONTIGS["contig14"][1092:2181]
    return found, Reference("pmrB", "pmrB", _translated(found))


def _translated(dna: str) -> str:
    return str(Seq(dna).translate(11))


@pytest.mark.parametrize("strand", [1, -1])
def test_each_way_of_breaking_a_gene(gene: tuple[str, Reference], catalogue: Catalogue, strand: int) -> None:
    """Names are those of the translation as a ribosome makes it; the twin below reads it letter by letter."""
    dna, reference = gene
    chance = random.Random(strand)
    flank = ["".join(chance.choices("ACGT", k=600)) for _ in range(2)]
    broken = {
        "whole": dna,
        "less": dna[:500] + dna[501:],
        "more": dna[:401] + "G" + dna[401:],
        "two more": dna[:700] + "CA" + dna[700:],
        "stop": dna[:300] + "TAA" + dna[303:],
        "insertion": dna[:540] + "".join(chance.choices("ACGT", k=900)) + dna[540:],
        "end": dna[:600],
        "start": dna[500:],
    }
    found = {}
    for name, text in broken.items():
        contig = flank[0] + text + "TAA" + flank[1]
        start, end = len(flank[0]) + 30, len(flank[0]) + 300
        found[name] = [(one.kind, one.position) for one in read_gene(name, contig, start, end, reference)]
        for one in read_gene(name, contig, start, end, reference):
            if one.kind == "frameshift":
                assert one.name == slow_name(text + "TAA" + flank[1], reference.sequence)
    assert found["whole"] == []
    assert [kind for name in ("less", "more", "two more") for kind, _ in found[name]] == ["frameshift"] * 3
    assert found["stop"] == [("stop", 101)]
    ((kind, position),) = found["insertion"]
    assert kind == "insertion"
    assert abs(position - 181) <= 3
    ((kind, position),) = found["end"]
    assert kind == "end_lost"
    assert abs(position - 201) <= 20  # chance may pair some letters of what follows
    assert found["start"] == [("start_lost", 1)]


def slow_name(dna: str, wild: str) -> str:
    """HGVS name of a frameshift from the whole translation."""
    protein = _translated(dna[: len(dna) // 3 * 3])
    place = next(place for place, letter in enumerate(wild) if protein[place] != letter)
    after = protein[place:].index("*") + 1
    return f"p.{seq3(wild[place])}{place + 1}{seq3(protein[place])}fsTer{after}"


def test_a_frameshift_in_a_contig_is_found_where_genes_are_parted(catalogue: Catalogue) -> None:
    """From the contig alone, on both strands: the genes found are parts, and the disruption names what broke them."""
    dna = CONTIGS["contig14"][1092:2184]
    broken = dna[:500] + dna[501:]
    broken_contigs = {"forward": "ACGT" * 30 + broken + "TTGACA" * 20}
    broken_contigs["reverse"] = reverse_complement(broken_contigs["forward"])
    found = call_contigs(broken_contigs, catalogue, organism="Escherichia").disruptions
    assert [(one.contig, one.strand, one.kind) for one in found] == [
        ("forward", 1, "frameshift"),
        ("reverse", -1, "frameshift"),
    ]
    assert len({(one.position, one.name) for one in found}) == 1
    assert found[0].start == len(broken_contigs["reverse"]) - found[1].end
