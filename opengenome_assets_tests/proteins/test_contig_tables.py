"""What contigs say that proteins do not: broken genes, early stops, copies of ribosomal RNA, and what is read again."""

import random
import re
from pathlib import Path

import pytest
from Bio.Seq import reverse_complement

from opengenome_assets.proteins import Catalogue, read_catalogue
from opengenome_assets.proteins.catalogue import DNA_MUTATIONS, DNA_REFERENCES, Mutation
from opengenome_assets.proteins.nucleotide_alignments import coding_sequences_give_the_protein, copies_hold
from opengenome_assets.proteins.tables import CODING_SEQUENCES, NUCLEOTIDE_ALIGNMENTS
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.proteins.amrfinder import sequences
from opengenome_assets_tests.proteins.runs import Run, changed, fasta, folder, said

pytestmark = pytest.mark.long

# Codons that are frequent in Escherichia coli, so that Prodigal takes a back-translation for a gene.
CODONS = dict(
    zip(
        "ACDEFGHIKLMNPQRSTVWY*",
        re.findall("...", "GCGTGCGATGAATTTGGCCATATTAAACTGATGAACCCGCAGCGTAGCACCGTGTGGTATTAA"),
        strict=True,
    )
)
SHEET = "accession\torganism\n"


def gene(protein: str) -> str:
    """DNA that codes for a protein, with a place where ribosomes bind before it."""
    return "TTAAGGAGGTAACAT" + "".join(CODONS[letter] for letter in protein) + "TAA"


def broken_early(entry: Mutation) -> str:
    """The whole gene of an entry, with its stop."""
    wild = entry.reference.sequence
    return gene(wild[: entry.position - 1] + "*" + wild[entry.position :])


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Run:
    """Broken genes of Escherichia and Pseudomonas, and ribosomal RNA, in contigs of random letters."""
    path = tmp_path_factory.mktemp("contigs")
    chance = random.Random(3)
    pmrb = gene(next(entry.reference.sequence for entry in catalogue.mutations if entry.symbol == "pmrB_C84R"))

    def contig(text: str) -> str:
        sides = ["".join(chance.choices("ACGT", k=300)) for _ in range(2)]
        return sides[0] + text + sides[1]

    dna = read_catalogue(DNA_MUTATIONS, DNA_REFERENCES)
    rrna = next(entry for entry in dna.mutations if entry.symbol == "23S_A2058T")
    records = {
        "shifted": contig(pmrb[:500] + pmrb[501:]),
        "copies": contig(rrna.reference.sequence) + contig(reverse_complement(rrna.mutant())),
        "edge": rrna.reference.sequence[:2000],
    }
    early = {entry.symbol: entry for entry in catalogue.mutations if entry.symbol in EARLY}
    files = {
        "e.fna": fasta(records),
        "p.fna": fasta({name: contig(broken_early(early[name])) for name in EARLY if not name.startswith("ompF")}),
        "o.fna": fasta({"ompF": contig(broken_early(early["ompF_L15STOP"]))}),
        "samples.tsv": SHEET + "e\tEscherichia coli\np\tPseudomonas aeruginosa\no\tEscherichia coli\n",
    }
    run = Run(Home(str(path / "home")), {"source": folder(path / "in", files)})
    run.materialize("*mutation_calls")
    return run


EARLY = ("mexR_Y3STOP", "mexZ_E8STOP", "mexZ_Q10STOP", "oprD_W6STOP", "ompF_L15STOP")


def test_stops_that_leave_too_little_of_a_protein_are_called_from_the_dna(broken: Run) -> None:
    """The five entries that no protein can show, since fewer than 16 letters are left."""
    calls = {row["symbol"]: row for row in broken.rows("mutation_calls") if row["accession"] in ("p", "o")}
    assert set(calls) == set(EARLY)
    assert {row["evidence"] for row in calls.values()} <= {"disruption", "protein_end"}


def test_a_broken_gene_is_disrupted_and_no_wild_type(broken: Run) -> None:
    (row,) = [row for row in broken.rows("disruptions") if row["contig"] == "shifted"]
    assert (row["gene"], row["kind"], row["strand"]) == ("pmrB", "frameshift", 1)
    (status,) = [row for row in broken.rows("mutation_status") if (row["accession"], row["gene"]) == ("e", "pmrB")]
    assert status["outcome"] == "disrupted"
    assert row["name"] in status["reason"]
    assert f"shifted:{row['start']}-{row['end']}" in status["reason"]


def test_each_copy_on_either_strand_is_answered(broken: Run) -> None:
    (call,) = [row for row in broken.rows("mutation_calls") if row["molecule"] == "dna"]
    assert (call["symbol"], call["contig"], call["strand"], call["evidence"]) == (
        "23S_A2058T",
        "copies",
        -1,
        "nucleotide",
    )
    assert call["nucleotide_change"] == "n.2058A>T"
    assert call["contig_start"] == call["contig_end"]
    (status,) = [row for row in broken.rows("mutation_status") if (row["accession"], row["gene"]) == ("e", "23S")]
    assert status["reason"].startswith("23S_A2058T. 1 of 3 copies.")


def test_a_wrong_table_of_contigs_fails_its_check(broken: Run) -> None:
    for spec, column, value, rule in (
        (NUCLEOTIDE_ALIGNMENTS, "cigar", "10=", copies_hold),
        (NUCLEOTIDE_ALIGNMENTS, "score", 1.0, copies_hold),
        (CODING_SEQUENCES, "sequence", "ATGAAA", coding_sequences_give_the_protein),
    ):
        table = broken.home.table(spec)
        right = table.at().version
        assert list(rule.problems(broken.home)) == []
        changed(broken, spec, column, value)
        try:
            assert list(rule.problems(broken.home))
        finally:
            table.restore(right, "test")


def test_only_what_is_new_is_read_again(tmp_path: Path, catalogue: Catalogue) -> None:
    """Another entry reads nothing, a new reference of DNA is aligned alone; the rows are those of a fresh home."""
    dna = read_catalogue(DNA_MUTATIONS, DNA_REFERENCES)
    wild = {each.gene: each.sequence for each in dna.references if each.gene in ("23S", "ampC", "blaTEM")}
    wild["23S"] = next(entry.reference.sequence for entry in dna.mutations if entry.symbol == "23S_A2058T")
    pmrb = sequences("test_dna.fa")["contig14"][1092:2184]
    source = folder(tmp_path / "in", {"a.fna": fasta({"c": pmrb + wild["23S"][:1500] + wild["ampC"]})})
    header = "gene\tposition\tref\talt\n"
    protein = next(entry for entry in catalogue.mutations if entry.symbol == "pmrB_C84R")
    entry = f"23S\t9\t{wild['23S'][8]}\t{'A' if wild['23S'][8] != 'A' else 'C'}\n"
    own = {
        "m.tsv": f"{header}pmrB\t84\tC\tR\n",
        "r.fasta": fasta({"pmrB": protein.reference.sequence}),
        "d.tsv": header + entry,
        "d.fasta": fasta(wild),
    }
    path = folder(tmp_path / "own", own)
    settings = {"source": source, "catalogue": ",".join(f"{path}/{name}" for name in own)}
    run = Run(Home(str(tmp_path / "home")), settings)

    def facts() -> tuple[int, int]:
        told = said(run.materialize("*mutation_calls", checks=False), "nucleotide_alignments")
        return told["files_reused"], told["references_aligned"]

    assert facts() == (0, 1)
    assert facts() == (1, 0)
    more = f"23S\t10\t{wild['23S'][9]}\t{'A' if wild['23S'][9] != 'A' else 'C'}\n"
    folder(tmp_path / "own", {"d.tsv": header + entry + more})
    assert facts() == (1, 0)
    folder(tmp_path / "own", {"d.tsv": f"{header}{entry}ampC\t12\t{wild['ampC'][11]}\tA\n"})
    assert facts() == (0, 1)
    fresh = Run(Home(str(tmp_path / "fresh")), settings)
    fresh.materialize("*mutation_calls", checks=False)
    for name in fresh.home.names():
        assert run.rows(name) == fresh.rows(name), name
    assert {row["reference"] for row in run.rows("nucleotide_alignments")} == {"23S", "ampC"}
