"""The shipped samples, from reads to annotations: against their known sequences, other tools, and changes."""

import gzip
import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pysam
import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants import tools
from opengenome_assets.variants.index import NAME
from opengenome_assets.variants.settings import SAMPLE_FOLDER
from opengenome_assets.variants.sheet import read_sheet
from opengenome_assets.variants.tables import (
    ALIGNMENTS,
    ANNOTATIONS,
    CLASSES,
    CLINVAR,
    CONSEQUENCES,
    GENOTYPES,
    RAW_READS,
    READ_DEPTH,
    READ_FILES,
    REFERENCE,
    SAMPLE_QC,
    VARIANT_FILES,
    VARIANTS,
    VARIANTS_RAW,
)
from opengenome_assets.variants.variant_files import files_read_back
from opengenome_assets_tests.corpora import failure
from opengenome_assets_tests.plots.wide import wider
from opengenome_assets_tests.shared import once
from opengenome_assets_tests.test_transcripts import compare
from opengenome_assets_tests.variants.samples import Cohort, metadata

pytestmark = pytest.mark.long

SAMPLES = ("HG03478", "HG03706")
FIXTURES = Path(__file__).parents[1] / "fixtures"
# Found by the check of mixed samples: minor alleles of 7 to 26 % at most of this sample's variants.
MIXED = ("sample_qc", "samples_look_usual")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """The shipped samples, made once; to be read, not changed."""

    def make(folder):
        made = Cohort(Home(str(folder)))
        result = made.materialize()
        checks = {
            (each.asset_key.to_user_string(), each.check_name): each.passed
            for each in result.get_asset_check_evaluations()
        }
        return made, checks

    return once(tmp_path_factory, "cohort", make)


@pytest.fixture
def copy(cohort, tmp_path):
    """A copy, to be changed."""
    return Cohort(Home(str(shutil.copytree(cohort[0].home.uri, tmp_path / "home"))))


def passing(made, sample):
    return [row for row in made.rows(GENOTYPES) if row["sample"] == sample and row["filter"] == "PASS"]


def fasta(made):
    return f"{made.home.uri}/{made.rows(REFERENCE)[0]['folder']}/{NAME}"


def file_of(made, row):
    return f"{made.home.uri}/{row['path']}"


def test_every_check_passes_but_that_of_mixture(cohort):
    _, checks = cohort
    assert len(checks) > 20
    assert [check for check, passed in checks.items() if not passed] == [MIXED]


@pytest.mark.parametrize(("sample", "number"), zip(SAMPLES, (35, 23), strict=True))
def test_every_known_snv_is_called_and_no_other(cohort, sample, number):
    made, _ = cohort
    with pysam.FastaFile(fasta(made)) as reference:
        letters = reference.fetch("chrM")
    known = (FIXTURES / f"{sample}.consensus.txt").read_text().strip()
    truth = {
        (place, ref, alt)
        for place, (ref, alt) in enumerate(zip(letters, known, strict=True), 1)
        if ref != alt and {ref, alt} <= set("ACGT")
    }
    called = {
        (row["pos"], row["ref"], row["alt"]) for row in passing(made, sample) if len(row["ref"] + row["alt"]) == 2
    }
    assert len(truth) == number
    assert called == truth


def test_the_placeholder_of_the_reference_is_no_deletion(cohort):
    made, _ = cohort
    found = [row for row in made.rows(GENOTYPES) if row["pos"] in range(3_100, 3_110)]
    assert {(row["variant_key"], row["filter"]) for row in found} == {("chrM-3105-AC-A", "NearN")}
    assert not [row for row in made.rows(VARIANTS) if row["pos"] in range(3_100, 3_110)]


def test_other_tools_read_the_files_and_count_the_same(cohort):
    made, _ = cohort
    reads = Counter()
    for lane in read_sheet(SAMPLE_FOLDER / "samples.csv"):
        for name in lane.files:
            with gzip.open(name) as file:
                reads[lane.sample] += sum(1 for _ in file) // 4
    for row in made.rows(ALIGNMENTS):
        with pysam.AlignmentFile(file_of(made, row), reference_filename=fasta(made)) as file:
            records = list(file.fetch(until_eof=True))
            assert {group["SM"] for group in file.header["RG"]} == {row["sample"]}
            assert "UR" not in file.header["SQ"][0]  # a path of this machine
        primary = [each for each in records if not each.is_secondary and not each.is_supplementary]
        assert len(primary) == row["reads"] == reads[row["sample"]]
        assert sum(not each.is_unmapped for each in primary) == row["mapped"]
        assert sum(each.is_proper_pair for each in primary) == row["properly_paired"]
        assert sum(each.is_duplicate for each in primary) == row["duplicates"]
        assert len(records) - len(primary) == row["secondary"]
        assert Path(f"{file_of(made, row)}.stats").read_text().startswith("# This file was produced by samtools stats")
    merged = {row["sample"]: row for row in made.rows(VARIANT_FILES)}
    with pysam.VariantFile(file_of(made, merged["all"])) as file:
        assert tuple(file.header.samples) == SAMPLES
        assert sum(1 for _ in file.fetch("chrM", 0, 16_569)) == merged["all"]["records"]


def test_depth_is_that_of_pysam(cohort):
    made, _ = cohort
    row = made.rows(ALIGNMENTS)[0]
    depth = Counter()
    with pysam.AlignmentFile(file_of(made, row), reference_filename=fasta(made)) as file:
        covered = {}
        for read in file.fetch(until_eof=True):
            if read.is_unmapped or read.is_secondary or read.is_duplicate or read.is_qcfail:
                continue
            for place in read.get_reference_positions():
                covered.setdefault(place, set()).add(read.query_name)  # mates count once
    depth = {place: len(names) for place, names in covered.items()}
    for window in made.rows(READ_DEPTH):
        if window["sample"] == row["sample"]:
            letters = [depth.get(place, 0) for place in range(window["start"] - 1, window["end"])]
            # Of mates that overlap samtools leaves out letters of one, also where the other has a deletion.
            assert window["mean"] == pytest.approx(sum(letters) / len(letters), abs=0.1)
            assert window["share_20"] == pytest.approx(sum(each >= 20 for each in letters) / len(letters), abs=0.005)


@pytest.mark.peer
def test_alignments_are_those_of_bwa_mem(cohort, tool, tmp_path):
    made, _ = cohort
    shutil.copy(fasta(made), tmp_path / "x.fa")
    subprocess.run([tool("bwa"), "index", tmp_path / "x.fa"], check=True, capture_output=True)
    theirs = {}
    for lane in read_sheet(SAMPLE_FOLDER / "samples.csv"):
        if lane.sample == SAMPLES[1]:
            command = [tool("bwa"), "mem", "-v", "1", "-K", "10000000", tmp_path / "x.fa", *lane.files]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
            for line in answer.stdout.splitlines():
                if not line.startswith("@"):
                    name, flag, _, pos, mapq, cigar, *_ = line.split("\t")
                    if not int(flag) & 0x900:
                        theirs[name, int(flag) >> 6 & 3] = (int(flag), int(pos), int(mapq), cigar)
    row = made.rows(ALIGNMENTS)[1]
    with pysam.AlignmentFile(file_of(made, row), reference_filename=fasta(made)) as file:
        ours = {
            (each.query_name, each.flag >> 6 & 3): (
                each.flag & ~0x400,
                each.reference_start + 1,
                each.mapping_quality,
                each.cigarstring or "*",
            )
            for each in file.fetch(until_eof=True)
            if not each.flag & 0x900
        }
    assert ours.keys() == theirs.keys()
    assert sum(ours[key] != theirs[key] for key in ours) <= len(ours) * 1e-4


@pytest.mark.peer
def test_annotations_are_those_of_bcftools_annotate(cohort, tmp_path):
    made, _ = cohort
    table = tmp_path / "clinvar.tsv"
    entries = sorted(made.rows(CLINVAR), key=lambda row: row["pos"])
    table.write_text("".join(f"chrM\t{e['pos']}\t{e['ref']}\t{e['alt']}\t{e['accession']}\n" for e in entries))
    pysam.tabix_index(str(table), seq_col=0, start_col=1, end_col=1)
    header = tmp_path / "header"
    header.write_text('##INFO=<ID=ACC,Number=.,Type=String,Description="x">\n')
    (merged,) = (row for row in made.rows(VARIANT_FILES) if row["sample"] == "all")
    split, out = tmp_path / "split.vcf", tmp_path / "out.vcf"
    tools.run(("bcftools", "norm", "-m", "-any", "-f", fasta(made), file_of(made, merged)), output=split)
    columns = "CHROM,POS,REF,ALT,ACC"
    tools.run(
        ("bcftools", "annotate", "-a", f"{table}.gz", "-c", columns, "-h", str(header), str(split)),
        output=out,
    )
    with pysam.VariantFile(str(out)) as file:
        theirs = {f"chrM-{r.pos}-{r.ref}-{r.alts[0]}": ";".join(r.info["ACC"]) for r in file if "ACC" in r.info}
    ours = {row["variant_key"]: row["clinvar"] for row in made.rows(ANNOTATIONS) if row["clinvar"]}
    assert ours == {key: theirs[key] for key in ours}
    assert theirs.keys() <= {row["variant_key"] for row in made.rows(GENOTYPES)}
    assert set(theirs) & {row["variant_key"] for row in made.rows(VARIANTS)} == ours.keys()


def test_a_statement_without_review_is_no_finding_and_absent_is_not_listed(cohort):
    made, _ = cohort
    rows = {row["variant_key"]: row for row in made.rows(ANNOTATIONS)}
    asserted = [key for key, row in rows.items() if row["class"] in CLASSES[:2]]
    assert asserted == ["chrM-14905-G-A", "chrM-15301-G-A"]
    for key in asserted:
        assert (rows[key]["class"], rows[key]["stars"]) == (CLASSES[1], 0)
        assert rows[key]["gnomad_af"] > 0.05
    absent = [row for row in rows.values() if row["class"] == CLASSES[6]]
    assert absent
    assert {(row["clinvar"], row["significance"], row["stars"]) for row in absent} == {(None, None, None)}


def test_any_cut_into_regions_gives_the_same_records_and_is_not_made_again(copy):
    before = {table.name: copy.rows(table) for table in (VARIANTS_RAW, GENOTYPES, READ_DEPTH)}
    result = copy.materialize(
        "genotypes,variants_raw,read_depth", genotypes={"region_bases": 4_000}, read_depth={"region_bases": 4_000}
    )
    assert metadata(result, "genotypes")["units"] == 10
    assert {table.name: copy.rows(table) for table in (VARIANTS_RAW, GENOTYPES, READ_DEPTH)} == before


def parts(made, *tables):
    """Return the parts of tables, as files with their times."""
    found = [path for table in tables for path in Path(made.home.uri, "tables", table.name).glob("*/*.parquet")]
    return {str(path): path.stat().st_mtime_ns for path in found}


def test_a_new_clinvar_makes_annotations_again_and_no_call_and_diff_says_what_changed_class(copy, tmp_path):
    before = copy.home.table(GENOTYPES).at().version
    calls = parts(copy, GENOTYPES, VARIANTS_RAW, ALIGNMENTS, READ_DEPTH)
    reports = {path.name: path.read_bytes() for path in Path(copy.home.uri, "reports", "samples").glob("*.html")}
    (file,) = SAMPLE_FOLDER.glob("clinvar*")
    lines = gzip.decompress(file.read_bytes()).decode().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if "VCV000143919" in line)
    # The same statement, now reviewed; and another entry of the same allele is no change of the first.
    lines[number] = lines[number].replace("no assertion criteria provided", "criteria provided, single submitter")
    (tmp_path / "new.txt").write_text("".join(lines))
    copy.given["clinvar"] = str(tmp_path / "new.txt")
    result = copy.materialize()
    assert copy.home.table(GENOTYPES).at().version == before
    assert parts(copy, GENOTYPES, VARIANTS_RAW, ALIGNMENTS, READ_DEPTH) == calls
    for name in ("read_quality", "read_alignments", "read_depth", "genotypes", "variant_files"):
        facts = metadata(result, name)
        assert (facts["units_reused"], facts["compute_cpu_seconds"]) == (facts["units"], 0), name
    answer = CliRunner().invoke(main, ["diff", "annotations"], env={"OPENGENOME_HOME": copy.home.uri})
    assert "0 rows added, 0 removed, 1 changed" in answer.output
    changed = r"changed  chrM-14905-G-A\n.*class +asserted pathogenic, 0 stars -> asserted pathogenic, 1 star or more\n"
    assert re.search(changed, answer.output, re.DOTALL)
    assert re.search(r"stars +0 -> 1$", answer.output, re.MULTILINE)
    compare("variants.md", "opengenome diff annotations", answer.output.splitlines())
    new = {path.name: path.read_bytes() for path in Path(copy.home.uri, "reports", "samples").glob("*.html")}
    assert {name for name in new if new[name] != reports[name]} == set(reports)
    assert b"criteria provided, single submitter" in new["HG03478.html"]
    # No picture shows what ClinVar states. A report whose pictures are drawn again is the same.
    assert metadata(result, "variant_report")["pictures_drawn"] == 0
    folder = Path(copy.home.uri, "reports", "samples")
    kept, pdf = folder / "HG03478.pictures.json", (folder / "HG03478.pdf").read_bytes()
    kept.write_bytes(kept.read_bytes().replace(b'"caption": "', b'"caption": "not ', 1))
    (folder / "HG03478.html").unlink()
    facts = metadata(copy.materialize("variant_report"), "variant_report")
    assert (facts["reports_written"], facts["pictures_drawn"]) == (1, 12)
    assert (folder / "HG03478.html").read_bytes() == new["HG03478.html"]
    assert (folder / "HG03478.pdf").read_bytes() == pdf


def test_new_genes_make_consequences_again_and_no_call(copy, tmp_path):
    calls = parts(copy, GENOTYPES, VARIANTS_RAW, ALIGNMENTS, READ_DEPTH, ANNOTATIONS)
    text = (SAMPLE_FOLDER / "rCRS.gff3").read_text()
    assert "MT-CYB" in text
    (tmp_path / "new.gff3").write_text(text.replace("MT-CYB", "CYTB"))
    copy.given["genes"] = str(tmp_path / "new.gff3")
    copy.materialize()
    assert parts(copy, GENOTYPES, VARIANTS_RAW, ALIGNMENTS, READ_DEPTH, ANNOTATIONS) == calls
    assert {row["gene"] for row in copy.rows(CONSEQUENCES)} & {"CYTB", "MT-CYB"} == {"CYTB"}


def test_a_file_of_other_records_is_found_by_reading_it_back(copy):
    (row,) = (each for each in copy.rows(VARIANT_FILES) if each["sample"] == SAMPLES[0])
    path = Path(file_of(copy, row))
    lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    path.write_bytes(gzip.compress("".join(lines[:-1]).encode()))
    pos = int(lines[-1].split("\t")[1])
    (problem,) = files_read_back.problems(copy.home)
    assert problem.startswith(f"sample {SAMPLES[0]}: chrM:{pos:,} ")
    assert "is only in the table (1)" in problem
    path.write_bytes(path.read_bytes()[:-20])
    (problem,) = files_read_back.problems(copy.home)
    assert "materialise variant_files again" in problem


def test_a_cram_that_is_lost_is_made_again_with_the_same_bytes(copy):
    row = copy.rows(ALIGNMENTS)[0]
    shutil.rmtree(Path(copy.home.uri, "alignments"))
    result = copy.materialize("reference_contigs,read_alignments")
    assert metadata(result, "read_alignments")["units_reused"] == 0
    again = copy.rows(ALIGNMENTS)[0]
    assert again == row


def sheet(folder, *rows):
    path = folder / "samples.csv"
    path.write_text("\n".join(["sample,sex,lane,fastq_1,fastq_2", *rows, ""]))
    return str(path)


def shipped(sample, lane):
    return tuple(str(SAMPLE_FOLDER / f"{sample}_{lane}_{mate}.fastq.gz") for mate in (1, 2))


def test_one_sample_s_failure_costs_no_other_and_is_named(tmp_path):
    one, two = shipped("HG03478", "ERR184271")
    bad = tmp_path / "bad.fq"
    with gzip.open(two, "rt") as file:
        lines = file.read().splitlines(keepends=True)
    bad.write_text("".join(lines[4:8] + lines[:4] + lines[8:]))  # the first two reads changed places
    samples = sheet(tmp_path, f"good,NA,1,{one},{two}", f"bad,NA,1,{tmp_path / 'one.fq'},{bad}")
    (tmp_path / "one.fq").write_bytes(gzip.decompress(Path(one).read_bytes()))
    cohort = Cohort(Home(str(tmp_path / "home")), {"samples": samples})
    result = cohort.materialize("reference_contigs,raw_reads,read_quality,read_alignments", ok=False)
    words = failure(result)
    assert "1 of 2 units failed; the others are committed" in words
    assert "bad: record 1, line 1:" in words
    assert "Expected mates in the same order" in words
    assert [row["sample"] for row in cohort.rows(ALIGNMENTS)] == ["good"]
    bad.write_text("".join(lines))
    result = cohort.materialize("reference_contigs,raw_reads,read_quality,read_alignments")
    assert (metadata(result, "read_alignments")["units"], metadata(result, "read_alignments")["units_reused"]) == (2, 1)
    assert [row["sample"] for row in cohort.rows(ALIGNMENTS)] == ["bad", "good"]


@pytest.mark.parametrize("fault", ["truncated", "phred64", "unequal", "empty", "twice", "missing"])
def test_bad_files_are_named(tmp_path, fault):
    one, two = shipped("HG03478", "ERR184271")
    other = tmp_path / "two.fq.gz"
    if fault == "truncated":
        other.write_bytes(Path(two).read_bytes()[:40_000])
    elif fault == "twice":
        shutil.copy(one, other)
    elif fault in ("unequal", "phred64"):
        with gzip.open(two, "rt") as file:
            lines = file.read().splitlines()
        if fault == "phred64":
            lines[3::4] = [line.translate({code: code + 31 for code in range(33, 95)}) for line in lines[3::4]]
        with gzip.open(other, "wt") as file:
            file.write("\n".join([*lines[: -4 if fault == "unequal" else None], ""]))
    elif fault == "empty":
        other.write_bytes(b"")
        (tmp_path / "one.fq").write_bytes(b"\n")
        one = tmp_path / "one.fq"
    cohort = Cohort(Home(str(tmp_path / "home")), {"samples": sheet(tmp_path, f"s,NA,1,{one},{other}")})
    expected = {
        "truncated": "two.fq.gz: the gzip stream ends early",
        "phred64": "Expected Phred scores with offset 33; these have offset 64",
        "unequal": "lane 1: 893 reads of mate 1 and 892 of mate 2",
        "empty": "sample s: its files hold no reads",
        "twice": "holds the same bytes as",
        "missing": "line 2 of the sample sheet, fastq_2: .*two.fq.gz: No such file",
    }[fault]
    result = cohort.materialize("reference_contigs,raw_reads,read_quality,read_files,read_alignments", ok=False)
    checks = " ".join(each.description or "" for each in result.get_asset_check_evaluations())
    assert re.search(expected, failure(result) + checks)


def test_the_reads_of_the_shipped_samples_are_counted(cohort):
    made, _ = cohort
    assert len(made.rows(RAW_READS)) == len(made.rows(READ_FILES)) == 12
    assert {row["longest"] for row in made.rows(READ_FILES)} == {100}
    qc = {row["sample"]: row for row in made.rows(SAMPLE_QC)}
    assert [(qc[sample]["snvs"], qc[sample]["indels"]) for sample in SAMPLES] == [(35, 1), (23, 2)]


def test_reports_say_what_is_stated_and_are_written_again_only_after_a_change(copy):
    folder = Path(copy.home.uri, "reports", "samples")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    endings = ("html", "pdf", "pictures.json")
    assert sorted(before) == sorted(f"{sample}.{ending}" for sample in SAMPLES for ending in endings)
    page = before["HG03478.html"].decode()
    for words in ("not for diagnosis", "chrM:14,905 G&gt;A", "no assertion criteria provided", "bwa-mem3 0.4"):
        assert words in page
    assert "11 of 36 calls are mixed (fewer than 90% of the reads have the allele); it may be contaminated." in page
    assert "Warnings of the checks" not in before["HG03706.html"].decode()
    facts = metadata(copy.materialize("variant_report"), "variant_report")
    assert (facts["reports_written"], facts["reports_reused"]) == (0, 2)
    (folder / "HG03478.html").unlink()
    (folder / "HG03478.pdf").unlink()
    facts = metadata(copy.materialize("variant_report"), "variant_report")
    assert (facts["reports_written"], facts["reports_reused"]) == (1, 1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_every_table_of_a_report_fits_a_desk(cohort, chromium):
    made, _ = cohort
    assert wider(chromium, Path(made.home.uri, "reports", "samples", "HG03478.html")) == []


def type_command(home, *arguments):
    return CliRunner().invoke(main, ["variants", *arguments], env={"OPENGENOME_HOME": home.uri})


def test_status_says_how_far_each_sample_is(copy):
    steps = json.loads(type_command(copy.home, "status", "--format", "json").output)
    assert {(step["sample"], step["label"]): (step["done"], step["units"]) for step in steps} == {
        (sample, label): (files if label == "quality" else 1, files if label == "quality" else 1)
        for sample, files in zip(SAMPLES, (8, 4), strict=True)
        for label in ("quality", "alignment", "coverage", "calling")
    }
    part = next(Path(copy.home.uri, "tables", "genotypes").glob("*/_manifest.json"))
    sample = json.loads(part.read_text())["facts"]["unit"].split(":")[0]
    part.unlink()  # as if a run had been killed before
    answer = type_command(copy.home, "status", sample)
    assert re.search(r"calling +0 of 1 region, about \d+ s left", answer.output)
    assert re.search(r"coverage +1 of 1 region$", answer.output, re.MULTILINE)
    answer = type_command(copy.home, "status", "none")
    assert (answer.exit_code, answer.output) == (1, "Error: no sample is called none: expected HG03478, HG03706\n")


def lineage(made, *arguments):
    return CliRunner().invoke(main, ["lineage", "variants", *arguments], env={"OPENGENOME_HOME": made.home.uri})


def test_a_call_is_traced_to_its_reads_reference_and_tools(cohort):
    made, _ = cohort
    words = lineage(made, "--key", "chrM-14905-G-A", "--sample", "HG03478").output
    row = next(row for row in made.rows(ALIGNMENTS) if row["sample"] == "HG03478")
    shas = [file["sha256"] for file in made.rows(RAW_READS) if file["source"] == "HG03478"]
    assert len(shas) == 8
    chain = (
        "genotype 1, ",
        row["path"],
        row["sha256"],
        "c68f52674c9fb33aef52dcf399755519",
        *shas,
        "VCV000143919",
    )
    places = [words.index(part) for part in chain]
    assert places == sorted(places)  # from the call to its files
    for tool in ("bwa-mem3 0.4", "bcftools 1.24", "samtools 1.24"):
        assert tool in words
    both = json.loads(lineage(made, "--key", "chrM-263-A-G", "--format", "json").output)
    assert [each["title"] for each in both] == [f"chrM-263-A-G in {sample}" for sample in SAMPLES]
    answer = lineage(made, "--key", "chrM-14905-G-A", "--sample", "HG03706")
    assert answer.exit_code == 1
    assert "not called in sample HG03706; it is in HG03478" in answer.output
    assert "no sample has this variant" in lineage(made, "--key", "chrM-1-G-A").output
    command = ["lineage", "kmer_", "--key", "x"]
    answer = CliRunner().invoke(main, command, env={"OPENGENOME_HOME": made.home.uri})
    assert answer.output == "Error: kmer_ has no chains of rows: expected a table of the group variants\n"
