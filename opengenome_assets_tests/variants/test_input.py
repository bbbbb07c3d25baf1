"""Input: reads as FASTQ, BAM and CRAM, good ones beside every kind of bad ones, in one home."""

import gzip
import json
import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pysam
import pytest

from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.settings import SettingsError
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.alignments import reads_are_conserved, reads_have_mates
from opengenome_assets.variants.passes.extraction import Target, refuse_other_reference
from opengenome_assets.variants.passes.pairs import SeenNames
from opengenome_assets.variants.plans import fasta_of
from opengenome_assets.variants.plots.report_sections import findings
from opengenome_assets.variants.settings import ADAPTERS, SAMPLE_FOLDER, VariantsSettings
from opengenome_assets.variants.sums import NAME, write_sums
from opengenome_assets.variants.tables import ALIGNMENTS, ANNOTATIONS, CLINVAR, GENOTYPES, GNOMAD, RAW_READS, READ_FILES
from opengenome_assets.variants.work import UnusableReadsError
from opengenome_assets_tests.corpora import failure
from opengenome_assets_tests.shared import once
from opengenome_assets_tests.variants.reads import COMPLEMENT, fastq, letters, simulate, write_aligned, write_fastq
from opengenome_assets_tests.variants.samples import Cohort, metadata

pytestmark = pytest.mark.slow

TEXT = letters(3_000, 5)
SAMPLE = f"{TEXT[:1_500]}{'A' if TEXT[1_500] != 'A' else 'C'}{TEXT[1_501:]}"  # one SNV
STEPS = "reference_contigs,raw_reads,read_quality,read_files,read_alignments"

# The samples whose reads cannot be used, and what is said of each.
BAD = {
    "truncated": r"truncated_2.fq.gz: the gzip stream ends early",
    "corrupt": r"corrupt_2.fq.gz: .*(damaged|gzip|checksum|invalid)",
    "unequal": r"unequal_2.fq.gz has 374 reads, unequal_1.fq.gz has more. Expected as many in both",
    "reordered": r"record 1, line 1: reordered_1.fq.gz has the read 'r0', reordered_2.fq.gz has 'r8'",
    "names": r"names_1.fq.gz: record 2, line 5: the read name 'same' is there twice. Expected each once",
    "empty": r"sample empty: its files hold no reads. Remove it from the sample sheet",
    "phred64": r"phred64_1.fq: qualities are from 'h' to 'h'. Expected Phred scores with offset 33; .* offset 64",
    "letters": r"letters_1.fq: record 1, line 2: expected IUPAC letters of DNA, found",
    "cut_bam": r"cut.bam: expected a whole BAM or CRAM file, found one that is truncated",
    "headless_bam": r"headless.bam: expected a whole BAM or CRAM file",
    "cut_cram": r"cut.cram: expected a whole BAM or CRAM file, found one that is truncated",
    "no_bam": r"no.bam: expected a whole BAM or CRAM file, found one that is truncated or of another format",
    "other_length": r"length.bam: it was aligned to another reference: contig c has length 3001, expected 3000 as c",
    "other_md5": r"md5.bam: it was aligned to another reference: contig c has MD5 0{32}, expected",
    "other_names": r"names.bam: it was aligned to another reference: its contigs are z, those of the reference are c",
    "other_cram": r"other.cram: it was aligned to another reference: contig c has MD5",
    "twice_bam": r"twice.bam: 750 primary reads, of which 2 have the name and mate of another one",
    "single_bam": r"sample single_bam: expected pairs of reads, found none: 375 reads are without a mate",
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A home with good samples of every form, and one bad sample of each kind."""

    def make(folder):
        pairs = list(simulate(SAMPLE, "r"))
        (folder / "x.fa").write_text(f">c\n{TEXT}\n")
        (folder / "y.fa").write_text(f">c\n{SAMPLE}\n")
        pysam.faidx(str(folder / "x.fa"))
        pysam.faidx(str(folder / "y.fa"))
        rows = {}

        def named(sample, pairs):
            rows[sample] = (*write_fastq(folder, sample, pairs), "", "")
            return folder / f"{sample}_2.fq.gz"

        def aligned(sample, name, pairs, contig=("c", TEXT), **more):
            column = ("", "", name, "") if name.endswith(".bam") else ("", "", "", name)
            rows[sample] = column
            write_aligned(folder / name, pairs, contig, **more)
            return folder / name

        named("plain", pairs)
        aligned("bam", "good.bam", pairs[::-1], unpaired=[("alone", TEXT[:90])])
        aligned("cram", "good.cram", pairs[1:], fasta=folder / "x.fa")
        named("one", pairs[:1])
        named("swapped", [(name, two, one) for name, one, two in pairs[2:]])
        named("names", [("same", *pair[1:]) for pair in pairs[3:13]])

        path = named("truncated", pairs[4:])
        path.write_bytes(path.read_bytes()[:-200])
        path = named("corrupt", pairs[5:])
        content = bytearray(path.read_bytes())
        content[-2000:-1990] = bytes(10)
        path.write_bytes(content)
        path = named("unequal", pairs)
        with gzip.open(path, "wt") as file:
            file.write(fastq(pairs[:-1], 2))
        path = named("reordered", pairs)
        with gzip.open(path, "wt") as file:
            file.write(fastq([pairs[1], pairs[0], *pairs[2:]], 2))
        rows["empty"] = ("empty_1.fq", "empty_2.fq", "", "")
        (folder / "empty_1.fq").write_text("")
        (folder / "empty_2.fq").write_text("\n")
        rows["phred64"] = ("phred64_1.fq", "phred64_2.fq", "", "")
        rows["letters"] = ("letters_1.fq", "letters_2.fq", "", "")
        for mate in (1, 2):
            (folder / f"phred64_{mate}.fq").write_text(fastq(pairs, mate, "h"))
            (folder / f"letters_{mate}.fq").write_text(fastq(pairs[6:], mate).replace("A", "E", 1))
        path = aligned("cut_bam", "cut.bam", pairs)
        path.write_bytes(path.read_bytes()[:-28])  # without the block that ends a file: at the edge of a block
        path = aligned("headless_bam", "headless.bam", pairs)
        path.write_bytes(path.read_bytes()[:60])
        path = aligned("cut_cram", "cut.cram", pairs[7:], fasta=folder / "x.fa")
        path.write_bytes(path.read_bytes()[:-500])
        rows["no_bam"] = ("", "", "no.bam", "")
        (folder / "no.bam").write_bytes(gzip.compress(fastq(pairs[9:], 1).encode()))
        aligned("other_length", "length.bam", pairs, length=3_001)
        aligned("other_md5", "md5.bam", pairs, md5="0" * 32)
        aligned("other_names", "names.bam", pairs, ("z", TEXT))
        aligned("other_cram", "other.cram", pairs, ("c", SAMPLE), fasta=folder / "y.fa")
        aligned("twice_bam", "twice.bam", [*pairs[1:], pairs[1]])
        aligned("single_bam", "single.bam", [], unpaired=[pair[:2] for pair in pairs])
        lines = [",".join((sample, *row)) for sample, row in rows.items()]
        (folder / "s.csv").write_text("\n".join(["sample,fastq_1,fastq_2,bam,cram", *lines, ""]))
        given = {
            "samples": str(folder / "s.csv"),
            "reference": str(folder / "x.fa"),
            "clinvar": "none",
            "gnomad": "none",
            "genes": "none",
        }
        made = Cohort(Home(str(folder / "home")), given)
        results = [made.materialize(STEPS, ok=False), made.materialize("read_alignments", ok=False)]
        made.materialize("genotypes")
        return made, pairs, [failure(each) for each in results]

    return once(tmp_path_factory, "mixed", make)


@pytest.mark.parametrize("sample", BAD)
def test_each_bad_sample_is_named_with_its_fault(mixed, sample):
    _, _, words = mixed
    assert re.search(BAD[sample], "\n".join(words))


@pytest.fixture
def copy(mixed, tmp_path):
    """A copy, to be changed."""
    made = mixed[0]
    return Cohort(Home(str(shutil.copytree(made.home.uri, tmp_path / "home"))), dict(made.given))


def test_good_samples_beside_them_are_aligned_and_the_next_run_makes_none_again(mixed, copy):
    made, _, words = mixed
    good = ["bam", "cram", "one", "plain", "swapped"]
    assert sorted(row["sample"] for row in made.rows(ALIGNMENTS)) == good
    assert f"{len(BAD)} of {len(BAD) + len(good)} units failed" in words[1]
    result = copy.materialize("read_alignments", ok=False)
    assert f"{len(BAD)} of {len(BAD) + len(good)} units failed" in failure(result)
    assert not list(Path(made.home.uri, "alignments").glob("*/*.cram.*[!is]"))  # no half file is left


def test_every_read_of_good_samples_is_kept(mixed):
    made, *_ = mixed
    listed = {row["sample"] for row in made.rows(ALIGNMENTS)}
    assert not list(reads_are_conserved.problems(made.home))
    files = {(row["sample"], row["mate"]): row for row in made.rows(READ_FILES) if row["sample"] in listed}
    assert len(files) == 2 * len(listed)
    for mate in (1, 2):
        # Of a BAM file sorted by place, half of it unmapped, and with copies of a read: the same reads as its FASTQ.
        assert files["bam", mate]["digest"] == files["plain", mate]["digest"]
        assert files["cram", mate]["reads"] == files["plain", mate]["reads"] - 1
        assert files["swapped", mate]["gc_histogram"] != files["plain", mate]["gc_histogram"]


def test_reads_of_a_bam_file_without_a_mate_are_left_out_and_counted(mixed):
    made, pairs, _ = mixed
    rows = {row["sample"]: row for row in made.rows(ALIGNMENTS)}
    assert {name: row["unpaired_reads"] for name, row in rows.items() if row["unpaired_reads"]} == {"bam": 1}
    assert rows["bam"]["reads"] == 2 * len(pairs)
    assert list(reads_have_mates.problems(made.home)) == [
        "sample bam: 1 reads are left out, since the file has no mate of them; 750 are aligned"
    ]


def test_reads_from_bam_and_cram_are_called_like_those_from_fastq(mixed):
    made, *_ = mixed
    called = {row["sample"]: row["variant_key"] for row in made.rows(GENOTYPES)}
    snv = f"c-1501-{TEXT[1_500]}-{SAMPLE[1_500]}"
    assert called == dict.fromkeys(("plain", "bam", "cram", "swapped"), snv)


def test_a_name_that_comes_again_is_found_among_more_names_than_are_kept():
    names = [f"r{number}".encode() for number in range(1_000)]
    exact, bounded = SeenNames(), SeenNames(most=100)
    assert not any(each.again(name) for each in (exact, bounded) for name in names)
    assert all(exact.again(name) for name in names)
    assert 50 <= sum(bounded.again(name) for name in names) <= 100  # of a file joined to itself


def test_one_pair_of_reads_is_a_sample(mixed):
    made, *_ = mixed
    (row,) = (each for each in made.rows(ALIGNMENTS) if each["sample"] == "one")
    assert (row["reads"], row["mapped"], row["letters"]) == (2, 2, 200)


def test_the_catalogue_has_one_row_of_a_bam_file(mixed):
    made, *_ = mixed
    assert [row["mate"] for row in made.rows(RAW_READS) if row["source"] == "bam"] == [0]


def test_a_region_that_fails_costs_no_other_is_named_and_made_alone_afterwards(mixed, copy):
    """Reads of sample one lie in the first region alone, so that damage to its file is met only there.

    Its sum is written again, or both regions would refuse the file before the tool reads it.
    """
    (row,) = (each for each in copy.rows(ALIGNMENTS) if each["sample"] == "one")
    path = Path(copy.home.uri, row["path"])
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[-200:-150] = bytes(50)
    names = [file.name for file in path.parent.iterdir() if file.name != NAME]
    path.write_bytes(damaged)
    write_sums(path.parent, names)
    result = copy.materialize("genotypes", ok=False, genotypes={"region_bases": 2_000})
    words = failure(result)
    assert "1 of 10 units failed; the others are committed" in words
    assert re.search(r"^- one:c:1-2000: bcftools mpileup failed with", words, re.MULTILINE)
    calls = {row["sample"] for row in copy.rows(GENOTYPES)}
    assert calls == {"plain", "bam", "cram", "swapped"}
    path.write_bytes(whole)
    write_sums(path.parent, names)
    facts = metadata(copy.materialize("genotypes", genotypes={"region_bases": 2_000}), "genotypes")
    assert (facts["units"], facts["units_reused"], facts["units_failed"]) == (10, 9, 0)
    assert copy.rows(GENOTYPES) == mixed[0].rows(GENOTYPES)


def test_shipped_databases_are_left_out_of_another_reference_and_that_is_said(copy):
    for name in ("clinvar", "gnomad", "genes"):
        copy.given[name] = "sample"
    result = copy.materialize("read_depth,variants,clinvar,gnomad,annotations")
    facts = metadata(result, "annotations")
    assert (facts["contigs_without_clinvar"], facts["alleles_without_clinvar"]) == (["c"], 1)
    assert (facts["contigs_without_gnomad"], facts["alleles_without_gnomad"]) == (["c"], 1)
    for table in (CLINVAR, GNOMAD):
        assert copy.home.table(table).at().provenance.settings == {"file": "none"}
        assert copy.rows(table) == []
    copy.given["clinvar"] = str(next(SAMPLE_FOLDER.glob("clinvar*")))  # named by the user, it is refused
    words = failure(copy.materialize("clinvar", ok=False))
    assert "clinvar_chrM_2022-05-25.txt.gz: none of 2,750 entries is on a contig of the reference" in words


def clinvar(folder, entries):
    lines = [f"{c}\t{pos}\t{pos}\t{ref}\t{alt}\t.\t.\tCLNSIG=Benign;CLNREVSTAT=x" for c, pos, ref, alt in entries]
    path = folder / "clinvar.vcf"
    path.write_text("\n".join(["##fileformat=VCFv4.1", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", *lines, ""]))
    return str(path)


def test_entries_of_clinvar_whose_ref_disagrees_are_left_out_and_counted(copy, tmp_path):
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    good = [("c", pos, TEXT[pos - 1], other[TEXT[pos - 1]]) for pos in range(1_480, 1_520) if pos != 1_501]
    good.append(("c", 1_501, TEXT[1_500], SAMPLE[1_500]))
    bad = [("c", pos, other[TEXT[pos - 1]], TEXT[pos - 1]) for pos in (5, 6, 7)]
    copy.given["clinvar"] = clinvar(tmp_path, [*good, *bad[:1], ("z", 1, "A", "C")])
    facts = metadata(copy.materialize("read_depth,variants,clinvar,gnomad,annotations"), "clinvar")
    assert (facts["entries"], facts["other_ref"], facts["other_contigs"]) == (42, 1, 1)
    assert facts["contigs"] == ["c"]
    assert len(copy.rows(CLINVAR)) == len(good)
    (annotation,) = copy.rows(ANNOTATIONS)
    assert (annotation["class"], annotation["clinvar"]) == ("asserted benign", "1501")
    copy.given["clinvar"] = clinvar(tmp_path, [*good, *bad])
    words = failure(copy.materialize("clinvar", ok=False))
    assert f"REF of 3 of 43 entries is not in the reference, first c-5-{bad[0][2]}-{bad[0][3]}: the ref" in words
    assert "The file is of another assembly" in words


def test_the_report_names_contigs_that_clinvar_has_not():
    calls = pd.DataFrame({"class": ["not listed"], "contig": ["c"]})
    page = findings(calls, {"clinvar": "x.vcf"}, ["c"])
    assert "The file has no entry on c: alleles there are not listed for that reason alone." in page.text
    assert "has no entry" not in findings(calls, {"clinvar": "x.vcf"}, []).text


HG19 = "@HD\tVN:1.6\n@SQ\tSN:chrM\tLN:16571\n"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HG19, "x.bam: it was aligned to another reference: contig chrM has length 16571, expected 16569 as chrM"),
        ("@SQ\tSN:MT\tLN:16569\tM5:c68f52674c9fb33aef52dcf399755519\n@SQ\tSN:chr1\tLN:5\n", ""),
        ("@HD\tVN:1.6\n", ""),  # unaligned reads
    ],
)
def test_another_reference_is_told_by_length_and_md5_under_any_name_of_a_contig(tmp_path, header, message):
    (tmp_path / "x.sam").write_text(header)
    aliases = ("M", "MT", "NC_012920.1", "chrMT")
    target = Target("x.fa", (("chrM", 16_569, "c68f52674c9fb33aef52dcf399755519", aliases),))
    file = StoredFile("x.bam", str(tmp_path / "x.sam"))
    with pytest.raises(UnusableReadsError, match=message) if message else nullcontext():
        refuse_other_reference(file, target)


def test_adapters_are_removed_where_a_setting_asks_for_it(tmp_path):
    inserts = [TEXT[at : at + 30 + at % 120] for at in range(0, 2_800, 7)]
    pairs = []
    for number, insert in enumerate([*inserts, TEXT[:9]]):  # the last is too short
        mates = insert, insert.translate(COMPLEMENT)[::-1]
        read = zip(mates, ADAPTERS["illumina"], strict=True)
        pairs.append((f"r{number}", *(f"{mate}{adapter}{'ACGT' * 20}"[:100] for mate, adapter in read)))
    one, two = write_fastq(tmp_path, "s", pairs)
    (tmp_path / "x.fa").write_text(f">c\n{TEXT}\n")
    (tmp_path / "s.csv").write_text(f"sample,fastq_1,fastq_2\ns,{one},{two}\n")
    given = {"samples": str(tmp_path / "s.csv"), "reference": str(tmp_path / "x.fa"), "trimming": "illumina"}
    made = Cohort(Home(str(tmp_path / "home")), given)
    result = made.materialize(STEPS)
    assert all(each.passed for each in result.get_asset_check_evaluations())
    (row,) = made.rows(ALIGNMENTS)
    assert (row["reads"], row["short_reads"]) == (2 * len(inserts), 2)
    assert row["trimming"].startswith("cutadapt -a AGATCGGAAGAGC")
    found = {}
    with pysam.AlignmentFile(f"{made.home.uri}/{row['path']}", reference_filename=fasta_of(made.home)) as file:
        for read in file.fetch(until_eof=True):
            if not read.flag & 0x900:
                found[read.query_name, 1 if read.is_read1 else 2] = read.get_forward_sequence()
    cut = [insert[:100] for insert in inserts]
    left = [(found[f"r{number}", 1], insert) for number, insert in enumerate(cut)]
    # Fewer than three letters of an adapter are no evidence. With a tenth of errors some letters before it go too.
    assert sum(read == insert for read, insert in left) >= 0.95 * len(cut)
    assert {len(read) - len(insert) for read, insert in left} <= {*range(-8, 3)}
    assert all(insert.startswith(read) or read.startswith(insert) for read, insert in left)
    assert row["letters"] == sum(map(len, found.values())) == 200 * len(pairs) - row["trimmed_letters"]
    report = json.loads(Path(f"{made.home.uri}/{row['path']}.1.cutadapt.json").read_text())
    assert report["read_counts"]["filtered"]["too_short"] == 1
    made.given["trimming"] = "none"
    facts = metadata(made.materialize("read_alignments"), "read_alignments")
    assert facts["units_reused"] == 0
    (row,) = made.rows(ALIGNMENTS)
    assert (row["trimming"], row["letters"], row["trimmed_letters"]) == ("none", 200 * len(pairs), 0)


@pytest.mark.parametrize("text", ["trueseq", "ACGT,ACGT", "ACGTACGT"])
def test_unknown_adapters_are_refused_with_what_there_is(text):
    with pytest.raises(SettingsError, match=r"OPENGENOME_TRIMMING is .*expected none, illumina, nextera, or the adap"):
        VariantsSettings.from_environment({"OPENGENOME_TRIMMING": text})
    assert VariantsSettings(trimming="ACGTA,TTTTT").adapters == ("ACGTA", "TTTTT")
