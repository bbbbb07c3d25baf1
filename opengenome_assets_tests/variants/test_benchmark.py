"""Known alleles: reading them, judging calls by them against bcftools isec and by hand, and 12 kb of a real genome."""

import gzip
import io
import random
import shutil
from pathlib import Path

import dagster as dg
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.storage.tables import Home
from opengenome_assets.variants import tools
from opengenome_assets.variants.benchmark import Regions, counted, matched
from opengenome_assets.variants.comparison import clusters, compare, spell
from opengenome_assets.variants.databases import DatabaseError, Tally
from opengenome_assets.variants.tables import BENCHMARK, TRUTH_VARIANTS
from opengenome_assets.variants.truth import read_bed, read_truth
from opengenome_assets_tests.variants.samples import Cohort, metadata

FIXTURES = Path(__file__).parents[1] / "fixtures"
#       0         1         2
#       0123456789012345678901234567890
TEXT = "GATTACACACACGTTTGCAAAATCGGCTAGC"


def letters(_, first, end):
    return TEXT[first:end]


def allele(pos, ref, alt):
    assert TEXT[pos - 1 : pos - 1 + len(ref)] == ref
    return "c", pos, ref, alt


def verdict(known, called):
    """Return whether all known alleles are found, and all calls are right."""
    found = compare(known, called, letters)
    return all(one.right for one in found.known), all(one.right for one in found.called)


SAME = {
    "a block of two letters": ({allele(2, "AT", "CG"): 2}, {allele(2, "A", "C"): 2, allele(3, "T", "G"): 2}),
    "a phase that is possible": ({allele(2, "AT", "CG"): 1}, {allele(2, "A", "C"): 1, allele(3, "T", "G"): 1}),
    "another place in a repeat": ({allele(5, "ACA", "A"): 2}, {allele(9, "ACA", "A"): 2}),
    "two steps of one deletion": ({allele(5, "ACACA", "A"): 2}, {allele(5, "ACA", "A"): 2, allele(9, "ACA", "A"): 2}),
    "one copy each of two": ({allele(5, "ACA", "A"): 2}, {allele(5, "ACA", "A"): 1, allele(9, "ACA", "A"): 1}),
    "a letter before an insertion": ({allele(13, "G", "CT"): 1}, {allele(13, "G", "C"): 1, allele(13, "G", "GT"): 1}),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_haplotypes_are_equal_however_they_are_written(name):
    one, two = SAME[name]
    assert verdict(one, two) == verdict(two, one) == (True, True)


def test_other_haplotypes_are_not_equal():
    snv, other = allele(2, "A", "C"), allele(3, "T", "G")
    assert verdict({snv: 1}, {snv: 2}) == (False, False)
    assert verdict({snv: 1}, {allele(2, "A", "G"): 1}) == (False, False)
    # On one haplotype or on two: the phase of calls is not known, that of a block is.
    assert verdict({allele(2, "AT", "CG"): 1, snv: 1}, {snv: 2, other: 2}) == (False, False)
    found = compare({snv: 1, other: 1}, {snv: 1}, letters)
    assert [(one.allele, one.right) for one in found.known] == [(snv, True), (other, False)]
    assert [one.right for one in found.called] == [True]


@st.composite
def sets(draw):
    """Alleles that do not overlap, each with a zygosity."""
    chosen, at = {}, 1
    while (at := at + draw(st.integers(0, 9))) < len(TEXT) - 3:
        ref = TEXT[at - 1 : at - 1 + draw(st.integers(1, 3))]
        alt = draw(st.text("ACGT", min_size=1, max_size=3).filter(lambda alt, ref=ref: alt != ref))
        chosen[allele(at, ref, alt)] = draw(st.sampled_from((1, 2)))
        at += len(ref)
    return chosen


@given(sets(), st.data())
def test_equal_sets_are_right_and_an_allele_less_is_missed(known, data):
    assert verdict(known, known) == (True, True)
    if known:
        lost = data.draw(st.sampled_from(sorted(known)))
        rest = {one: zygosity for one, zygosity in known.items() if one != lost}
        found = {one.allele: one.right for one in compare(known, rest, letters).known}
        assert not found[lost] or any(one != lost for one in rest)
        assert verdict(known, {}) == (False, True)


@given(sets())
def test_a_haplotype_is_the_reference_with_its_alleles_from_the_right(alleles):
    twin = TEXT
    for _, pos, ref, alt in sorted(alleles, reverse=True):
        twin = twin[: pos - 1] + alt + twin[pos - 1 + len(ref) :]
    assert spell(sorted(alleles), TEXT, 0) == twin


def test_clusters_end_where_a_gap_or_a_contig_does():
    places = [("a", 1, "A", "C"), ("a", 32, "A", "C"), ("a", 64, "A", "C"), ("b", 65, "A", "C")]
    assert [len(cluster) for cluster in clusters(places)] == [2, 1, 1]


@pytest.mark.peer
def test_alleles_of_both_sets_are_those_of_bcftools_isec(tmp_path):
    number = random.Random(7)
    text = "".join(number.choices("ACGT", k=20_000))
    made = [{}, {}]
    for pos in range(10, 19_000, 13):
        ref = text[pos - 1 : pos - 1 + number.choice((1, 1, 1, 3))]
        alt = number.choice([each for each in "ACGT" if each != ref[0]]) if len(ref) == 1 else ref[0]
        for side in made:
            if number.random() < 0.7:
                side["c", pos, ref, alt if number.random() < 0.9 or len(ref) > 1 else ref + alt] = number.choice((1, 2))
    for name, alleles in zip("ab", made, strict=True):
        lines = [
            "##fileformat=VCFv4.2",
            "##contig=<ID=c,length=20000>",
            "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
        ]
        lines += [f"c\t{pos}\t.\t{ref}\t{alt}\t.\t.\t." for _, pos, ref, alt in sorted(alleles)]
        (tmp_path / name).write_text("\n".join([*lines, ""]))
        tools.run(("bcftools", "view", "-Oz", "-o", str(tmp_path / f"{name}.vcf.gz"), str(tmp_path / name)))
        tools.run(("bcftools", "index", str(tmp_path / f"{name}.vcf.gz")))
    both = tmp_path / "both"
    files = [str(tmp_path / f"{name}.vcf.gz") for name in "ab"]
    tools.run(("bcftools", "isec", "-c", "none", "-n=2", *files), output=both)
    theirs = {tuple(line.split("\t")[:4]) for line in both.read_text().splitlines()}
    found = compare(*made, lambda _, first, end: text[first:end])
    for side in (found.known, found.called):
        assert {tuple(map(str, one.allele)) for one in side if one.other} == theirs
    assert len(theirs) > 500
    # What isec does not count, ours counts only if the haplotypes are the same.
    assert sum(one.right for one in found.known) < len(theirs)


TRUTH = """##fileformat=VCFv4.2
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb
c\t2\t.\tAT\tCT,AG\t.\tPASS\t.\tGT:DP\t1|2:9\t./.:0
c\t9\t.\tACA\tA\t.\t.\t.\tGT\t0/1\t1
c\t12\t.\tC\t<DEL>,*\t.\tPASS\t.\tGT\t1/2\t0/0
c\t14\t.\tT\tA\t.\tLowQual\t.\tGT\t1/1\t1/1
d\t1\t.\tA\tC\t.\tPASS\t.\tGT\t1/1\t1/1
c\t20\t.\tG\tC\t.\tPASS\t.\tGT\t1/1\t1/1
"""


@pytest.fixture
def fasta(tmp_path):
    (tmp_path / "c.fa").write_text(f">c\n{TEXT}\n")
    pysam.faidx(str(tmp_path / "c.fa"))
    with pysam.FastaFile(str(tmp_path / "c.fa")) as file:
        yield file


CONTIGS = {"c": {"contig": "c", "length": len(TEXT)}}


def test_a_truth_is_read_by_sample_left_aligned_and_what_is_unusable_is_counted(fasta):
    tally = Tally()
    rows = list(read_truth(io.StringIO(TRUTH), CONTIGS, fasta, tally))
    assert [(row["sample"], row["variant_key"], row["copies"], row["ploidy"]) for row in rows] == [
        ("a", "c-2-A-C", 1, 2),
        ("a", "c-3-T-G", 1, 2),
        ("a", "c-4-TAC-T", 1, 2),
        ("b", "c-4-TAC-T", 1, 1),
    ]
    assert (tally.entries, tally.elsewhere) == (5, 1)
    assert tally.mismatches == ["line 8, c:20: REF is G, the reference has A"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x\n", "line 1: expected ##fileformat=VCF"),
        ("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n", "line 2: expected samples"),
        (TRUTH.replace("1|2:9", "1|3"), "line 3: expected a genotype of 3 alleles, found '1|3'"),
        (TRUTH.replace("\t./.:0", ""), "line 3: expected VCF with the columns of its header"),
    ],
)
def test_what_is_no_truth_is_named_by_line(fasta, text, words):
    with pytest.raises(DatabaseError, match=words.replace("|", r"\|")):
        list(read_truth(io.StringIO(text), CONTIGS, fasta, Tally()))


def test_regions_are_merged_and_bad_ones_named():
    text = "track x\nc\t4\t9\nc\t2\t5\tname\nd\t0\t9\nc\t30\t99\n"
    rows = list(read_bed(io.StringIO(text), CONTIGS))
    assert rows == [{"contig": "c", "start": 3, "end": 9}, {"contig": "c", "start": 31, "end": 31}]
    regions = Regions(rows)
    assert [pos for pos in range(1, 40) if regions.has("c", pos)] == [*range(3, 10), 31]
    assert not regions.has("d", 3)
    with pytest.raises(DatabaseError, match="line 1: expected contig, start and end of BED"):
        list(read_bed(io.StringIO("c\t9\t2\n"), CONTIGS))
    with pytest.raises(DatabaseError, match="none of 1 regions is on a contig"):
        list(read_bed(io.StringIO("d\t1\t2\n"), CONTIGS))


def test_samples_are_matched_by_name_unless_there_is_one_of_both():
    assert matched(["x"], ["NA12878"]) == {"x": "NA12878"}
    assert matched(["x", "y"], ["y", "z"]) == {"y": "y"}
    assert matched(["x", "y"], []) == {}
    with pytest.raises(dg.Failure, match="no sample has known alleles: the sheet has x, y, the truth has z"):
        matched(["x", "y"], ["z"])


def test_shares_without_alleles_are_empty():
    rows = list(
        counted("s", compare({}, {allele(2, "A", "C"): 1}, letters), Regions([{"contig": "c", "start": 1, "end": 31}]))
    )
    assert [(row["kind"], row["precision"], row["recall"], row["f1"]) for row in rows] == [
        ("snv", 0.0, None, None),
        ("indel", None, None, None),
    ]


@pytest.mark.slow
def test_twelve_kilobases_of_a_real_genome_have_their_fourteen_genotypes(tmp_path):
    folder = FIXTURES / "chr22"
    (tmp_path / "q.fa").write_bytes(gzip.decompress((folder / "q.fa.gz").read_bytes()))
    for name in ("reads_1.fastq.gz", "reads_2.fastq.gz", "truth.vcf.gz"):
        shutil.copy(folder / name, tmp_path)
    (tmp_path / "samples.csv").write_text("sample,fastq_1,fastq_2\nNA12878,reads_1.fastq.gz,reads_2.fastq.gz\n")
    given = {"samples": "samples.csv", "reference": "q.fa", "truth": "truth.vcf.gz"}
    paths = {name: str(tmp_path / file) for name, file in given.items()}
    none = dict.fromkeys(("clinvar", "gnomad", "genes"), "none")
    cohort = Cohort(Home(str(tmp_path / "home")), {**paths, **none})
    result = cohort.materialize("+++++benchmark,read_files")
    assert len(cohort.rows(TRUTH_VARIANTS)) == 14
    rows = {row["kind"]: row for row in cohort.rows(BENCHMARK)}
    snv = rows["snv"]
    assert (snv["known"], snv["found"], snv["missed"], snv["wrong"], snv["f1"]) == (14, 14, 0, 0, 1.0)
    assert rows["indel"]["known"] == 0  # the truth has SNVs only: our indels are not judged by it
    assert metadata(result, "benchmark")["alleles_that_differ"] == rows["indel"]["called"]
    # Confident regions leave out what lies outside of them.
    (tmp_path / "half.bed").write_text("q\t0\t5000\n")
    cohort.given["truth_regions"] = str(tmp_path / "half.bed")
    cohort.materialize("truth_regions,benchmark")
    assert 0 < next(row for row in cohort.rows(BENCHMARK) if row["kind"] == "snv")["known"] < 14
