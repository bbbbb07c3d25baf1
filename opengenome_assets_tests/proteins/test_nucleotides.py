"""Mutations of ribosomal RNA and promoters: every entry of the shipped catalogue, and AMRFinderPlus' own test."""

import random
import re
from pathlib import Path

import pytest
from Bio.Seq import reverse_complement

from opengenome_assets.proteins.catalogue import DNA_MUTATIONS, DNA_REFERENCES, Catalogue, read_catalogue
from opengenome_assets.proteins.nucleotides import Locus, call_nucleotides
from opengenome_assets_tests.proteins.amrfinder import expected_dna, sequences

# One base between two genes, numbered from each of them.
SAME_BASE = {"mtrC_C-120T": {"mtrR_G-131A"}, "mtrR_G-131A": {"mtrC_C-120T"}}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue(DNA_MUTATIONS, DNA_REFERENCES)


def symbols(loci: list[Locus]) -> list[str]:
    return sorted({found.mutation.symbol for locus in loci for found in locus.calls})


def wild_type(catalogue: Catalogue, symbol: str) -> str:
    return next(entry.reference.sequence for entry in catalogue.mutations if entry.symbol == symbol)


def random_dna(chance: random.Random, length: int) -> str:
    return "".join(chance.choices("ACGT", k=length))


def test_the_shipped_catalogue_agrees_with_its_references(catalogue: Catalogue) -> None:
    assert (len(catalogue.mutations), len(catalogue.references), catalogue.rejected) == (102, 25, ())
    assert {entry.organism for entry in catalogue.mutations} == set(catalogue.organisms)
    assert {"Escherichia", "Neisseria_gonorrhoeae"} < set(catalogue.organisms)
    entry = next(entry for entry in catalogue.mutations if entry.symbol == "ampC_T-14TGT")
    assert (entry.reference.accession, entry.reference.gene) == ("NZ_CP041538.1:1149245-1149489", "ampC")
    assert (entry.position, entry.numbering, entry.kind) == (40, -14, "insertion")


def test_an_entry_that_disagrees_with_its_reference_is_refused_by_name(tmp_path: Path) -> None:
    table = tmp_path / "AMR_DNA-mutation.tsv"
    lines = DNA_MUTATIONS.read_text().splitlines()
    place = next(number for number, line in enumerate(lines) if "\tampC_C-42A\t" in line)
    lines[place] = lines[place].replace("\t12\t", "\t13\t")
    table.write_text("\n".join(lines))
    (refused,) = read_catalogue(table, DNA_REFERENCES).rejected
    assert (refused.line, refused.symbol) == (place + 1, "ampC_C-42A")
    assert re.fullmatch("The reference has [AGT] at 13, not C.", refused.reason)


@pytest.mark.slow
def test_every_entry_put_into_its_reference_is_called_back_and_nothing_else(catalogue: Catalogue) -> None:
    """On either strand, between random letters; of entries that give the same DNA all are called."""
    chance = random.Random(1)
    for organism in catalogue.organisms:
        entries = catalogue.of(organism).mutations
        contigs = {}
        for number, entry in enumerate(entries):
            contig = random_dna(chance, 90) + entry.mutant() + random_dna(chance, 90)
            contigs[str(entry.line)] = reverse_complement(contig) if number % 2 else contig.lower()
        loci = call_nucleotides(contigs, catalogue, organism=organism)
        for entry in entries:
            found = [locus for locus in loci if locus.contig == str(entry.line)]
            own = [locus for locus in found if locus.reference == entry.reference]
            assert len(own) == 1
            assert [call.mutation for locus in own for call in locus.calls] == [
                other for other in entries if other.reference == entry.reference and other.mutant() == entry.mutant()
            ], entry.symbol
            assert set(symbols(found)) - {entry.symbol} <= SAME_BASE.get(entry.symbol, set())
            assert (own[0].start, own[0].end) == (90, 90 + len(entry.mutant()))


@pytest.mark.long
def test_no_wild_type_has_a_call(catalogue: Catalogue) -> None:
    contigs = {entry.accession: entry.sequence for entry in catalogue.references}
    for organism in catalogue.organisms:
        own = {entry.reference.accession for entry in catalogue.of(organism).mutations}
        loci = call_nucleotides({name: contigs[name] for name in own}, catalogue, organism=organism)
        assert (symbols(loci), {locus.reference.accession for locus in loci}) == ([], own)


def test_amrfinderplus_own_test(catalogue: Catalogue) -> None:
    """Its POINTN rows: contig, strand, symbol, and start and end to within the letters beside the reference."""
    rows = expected_dna("POINTN")
    expected = [(row["Contig id"], "+", row["Element symbol"], row["Closest reference accession"]) for row in rows]
    loci = call_nucleotides(sequences("test_dna.fa"), catalogue, organism="Escherichia")
    found = [
        (locus.contig, "-+"[locus.strand > 0], call.mutation.symbol, locus.reference.accession)
        for locus in loci
        for call in locus.calls
    ]
    assert len(rows) == 5
    assert sorted(found) == sorted(expected)
    assert {locus.start for locus in loci if locus.calls} == {0}
    copies = [locus for locus in loci if locus.contig == "contig15" and locus.reference.gene == "23S"]
    assert [len(locus.calls) for locus in copies] == [1, 0]


def test_a_part_of_a_reference_at_a_contigs_edge(catalogue: Catalogue) -> None:
    entry = next(entry for entry in catalogue.mutations if entry.symbol == "23S_G2032A")
    contigs = {"with": entry.mutant()[1500:], "without": entry.mutant()[:1500], "short": entry.mutant()[:500]}
    loci = call_nucleotides(contigs, catalogue, organism=entry.organism)
    assert [(locus.contig, len(locus.calls)) for locus in loci] == [("with", 1), ("without", 0)]


def test_a_far_relative_is_not_examined(catalogue: Catalogue) -> None:
    wild = next(entry.reference for entry in catalogue.mutations if entry.symbol == "23S_C2220T")
    loci = call_nucleotides({"a": wild.sequence}, catalogue, organism="Enterococcus_faecalis")
    assert [(locus.calls, locus.reason.partition(" is ")[0]) for locus in loci] == [
        ((), "Diverged: its identity to NZ_CP041738.1:216195-219090")
    ]


def test_letters_that_are_no_base_are_no_mutation(catalogue: Catalogue) -> None:
    entry = next(entry for entry in catalogue.mutations if entry.symbol == "16S_C1192T")
    start = entry.position - 3
    wild = entry.reference.sequence
    contigs = {"N": wild[:start] + "NNNNN" + wild[start + 5 :], "RNA": entry.mutant().replace("T", "U")}
    loci = call_nucleotides(contigs, catalogue, organism=entry.organism)
    assert [symbols([locus for locus in loci if locus.contig == name]) for name in contigs] == [[], ["16S_C1192T"]]


def test_an_unknown_organism_is_an_error(catalogue: Catalogue) -> None:
    with pytest.raises(ValueError, match="no organism 'Yersinia'"):
        call_nucleotides({"a": "ACGT"}, catalogue, organism="Yersinia")
