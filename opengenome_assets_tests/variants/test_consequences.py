"""Genes and consequences: against ClinVar's own changes of amino acids, and on a gene made by hand."""

import csv
import gzip
import io
import re

import pysam
import pytest

from opengenome_assets.variants.consequences import csq, hgvs_c, hgvs_p, rows_of
from opengenome_assets.variants.databases import DatabaseError
from opengenome_assets.variants.gene_models import SHIPPED, read_gff3
from opengenome_assets.variants.settings import SAMPLE_FOLDER

MITOCHONDRION = {"contig": "chrM", "number": 0, "length": 16_569}


def allele(contig, pos, ref, alt):
    return {"variant_key": f"{contig}-{pos}-{ref}-{alt}", "contig": contig, "pos": pos, "ref": ref, "alt": alt}


def judged(alleles, models, contigs, code, fasta):
    """Return the rows of each allele, by key."""
    found = csq(alleles, list(enumerate(models)), contigs, code, str(fasta))
    return {each["variant_key"]: list(rows_of(each, found.get(each["variant_key"], []), models)) for each in alleles}


@pytest.fixture(scope="module")
def mitochondrial(tmp_path_factory):
    """ClinVar's SNVs on the rCRS with their consequences, and what ClinVar says of the protein."""
    fasta = tmp_path_factory.mktemp("rcrs") / "x.fa"
    fasta.write_bytes((SAMPLE_FOLDER / "rCRS.fasta").read_bytes())
    pysam.faidx(str(fasta))
    with (SAMPLE_FOLDER / SHIPPED).open() as file:
        models = [{**each, "contig": "chrM"} for each in read_gff3(file)]
    stated = {}
    (path,) = SAMPLE_FOLDER.glob("clinvar*")
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            _, before, ref, alt = row["Canonical SPDI"].split(":")
            each = allele("chrM", int(before) + 1, ref, alt)
            changes = {change.strip() for change in row["Protein change"].split(",")} - {""}
            stated[each["variant_key"]] = each, changes
    rows = judged([each for each, _ in stated.values()], models, [MITOCHONDRION], 2, fasta)
    return rows, {key: changes for key, (_, changes) in stated.items()}, models


def test_the_genes_of_the_mitochondrion_are_all_there(mitochondrial):
    _, _, models = mitochondrial
    kinds = [model["biotype"] for model in models]
    assert [kinds.count(kind) for kind in ("protein_coding", "Mt_tRNA", "Mt_rRNA")] == [13, 22, 2]
    assert sum(model["strand"] == "-" for model in models) == 9


def test_changes_of_amino_acids_are_those_that_clinvar_states(mitochondrial):
    rows, stated, _ = mitochondrial
    assert len(rows) == 2_750
    different = []
    for key, own in rows.items():
        found = [re.fullmatch(r"(\d+)(.)>\d+(.)", row.get("amino_acids") or "") for row in own]
        changes = {f"{each[2]}{each[1]}{each[3]}" for each in found if each}
        if changes != stated[key]:
            different.append(key)
            lost = [row for row in own if row["consequence"] == "stop_lost"]
            assert lost, key  # ClinVar's column has no change of a stop
            assert changes - stated[key] == {
                f"*{row['amino_acids'][:-1].split('*')[0]}{row['amino_acids'][-1]}" for row in lost
            }
    assert len(different) == 6


def test_the_code_of_the_mitochondrion_decides(mitochondrial):
    rows, _, _ = mitochondrial
    (row,) = rows["chrM-14905-G-A"]
    assert (row["gene"], row["consequence"], row["hgvs_c"], row["hgvs_p"]) == (
        "MT-CYB",
        "synonymous_variant",  # ATG to ATA: both are methionine here, and not in the standard code
        "c.159G>A",
        "p.(Met53=)",
    )
    assert {row["consequence"] for row in rows["chrM-263-A-G"]} == {"intergenic_variant"}
    (rna,) = rows["chrM-1555-A-G"]
    assert (rna["gene"], rna["biotype"], rna["consequence"]) == ("MT-RNR1", "Mt_rRNA", "non_coding_transcript_variant")
    both = rows["chrM-8570-T-C"]  # two genes overlap
    assert {row["gene"]: row["impact"] for row in both} == {"MT-ATP8": "HIGH", "MT-ATP6": "MODERATE"}


# Two exons on the reverse strand; the coding sequence is ATG GCT AAA | GGT TAA, on letters 69-61 and 36-31.
EXONS = {31: "TTAACC", 61: "TTTAGCCAT"}
GFF = """##gff-version 3
c:1\tx\tgene\t26\t80\t.\t-\t.\tID=gene:G;Name=ABC%3B1;biotype=protein_coding
c:1\tx\tmRNA\t26\t80\t.\t-\t.\tID=transcript:T;Parent=gene:G;biotype=protein_coding
c:1\tx\texon\t26\t36\t.\t-\t.\tParent=transcript:T
c:1\tx\texon\t61\t80\t.\t-\t.\tParent=transcript:T
c:1\tx\tCDS\t31\t36\t.\t-\t0\tParent=transcript:T
c:1\tx\tCDS\t61\t69\t.\t-\t0\tParent=transcript:T
"""


def test_a_spliced_gene_on_the_reverse_strand(tmp_path):
    letters = list("G" * 100)
    for first, text in EXONS.items():
        letters[first - 1 : first - 1 + len(text)] = text
    text = "".join(letters)
    (tmp_path / "x.fa").write_text(f">c:1\n{text}\n")
    pysam.faidx(str(tmp_path / "x.fa"))
    models = list(read_gff3(io.StringIO(GFF)))
    assert models[0]["gene"] == "ABC;1"
    cases = {
        65: ("T", "missense_variant", "MODERATE", "c.5C>A", "p.(Ala2Asp)"),
        61: ("C", "synonymous_variant", "LOW", "c.9A>G", "p.(Lys3=)"),
        68: ("G", "start_lost", "HIGH", "c.2T>C", "p.(Met1?)"),
        33: ("G", "stop_lost", "HIGH", "c.13T>C", None),
        31: ("C", "stop_retained_variant", "LOW", "c.15A>G", "p.(Ter5=)"),
        40: ("T", "splice_region_variant", "LOW", None, None),
        60: ("T", "splice_donor_variant", "HIGH", None, None),
        37: ("T", "splice_acceptor_variant", "HIGH", None, None),
        50: ("T", "intron_variant", "MODIFIER", None, None),
        75: ("T", "5_prime_UTR_variant", "MODIFIER", None, None),
        28: ("T", "3_prime_UTR_variant", "MODIFIER", None, None),
        90: ("T", "intergenic_variant", "MODIFIER", None, None),
    }
    alleles = [allele("c:1", pos, text[pos - 1], case[0]) for pos, case in cases.items()]
    alleles.append(allele("c:1", 63, "TA", "T"))
    contig = {"contig": "c:1", "number": 0, "length": len(text)}
    rows = judged(alleles, models, [contig], 1, tmp_path / "x.fa")
    found = {row["pos"]: row for own in rows.values() for row in own}
    for pos, (_, consequence, impact, coding, protein) in cases.items():
        row = found[pos]
        assert consequence in row["consequence"].split("&"), (pos, row)
        assert row["impact"] == impact, (pos, row)
        assert row.get("hgvs_c") == coding, (pos, row)
        if protein:
            assert row["hgvs_p"] == protein, (pos, row)
    assert found[63]["consequence"].startswith("frameshift_variant")
    assert found[63]["hgvs_p"] is None


def test_words_for_proteins():
    assert hgvs_p(["missense_variant"], "30Y>30H") == "p.(Tyr30His)"
    assert hgvs_p(["stop_gained"], "30Y>30*") == "p.(Tyr30Ter)"
    assert hgvs_p(["synonymous_variant"], "30Y") == "p.(Tyr30=)"
    assert hgvs_p(["frameshift_variant"], "30YA>30HCD*") is None
    assert hgvs_p(["intron_variant"], None) is None
    assert hgvs_c({"cds_starts": [], "cds_ends": [], "strand": "+"}, 5, "A", "C") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("c\tx\tgene\t1\n", "line 1: expected 9 columns of GFF3, found 4"),
        ("#x\nc\tx\tgene\t9\t2\t.\t+\t.\tID=g\n", "line 2: expected a start from 1 to the end, found '9' and '2'"),
        ("c\tx\texon\t1\t2\t.\t+\t.\tParent=no\n", "line 1: the exon has the parent 'no', which is not in the file"),
    ],
)
def test_what_is_no_gff3_is_named_by_line(text, words):
    with pytest.raises(DatabaseError, match=re.escape(words)):
        list(read_gff3(io.StringIO(text)))


def test_the_form_of_ncbi_has_coding_genes_without_transcripts():
    text = "".join(
        f"c\tRefSeq\t{kind}\t1\t9\t.\t+\t{phase}\t{attributes}\n"
        for kind, phase, attributes in [
            ("gene", ".", "ID=gene-A;Name=A;gene_biotype=protein_coding"),
            ("CDS", "0", "ID=cds-1;Parent=gene-A"),
            ("region", ".", "ID=c:1..9"),
        ]
    )
    (row,) = read_gff3(io.StringIO(text))
    assert (row["gene"], row["transcript"], row["exon_starts"], row["cds_ends"]) == ("A", "A", [1], [9])
