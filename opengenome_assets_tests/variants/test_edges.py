"""Edges: odd names, N, no coverage, origins of circles, several alleles, indels between regions, and kills."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants import index
from opengenome_assets.variants.plans import fasta_of
from opengenome_assets.variants.reference import Contig, UnusableReferenceError, read_reference, refuse_unusable, row
from opengenome_assets.variants.settings import SAMPLE_FOLDER
from opengenome_assets.variants.tables import (
    ALIGNMENTS,
    ANNOTATIONS,
    GENOTYPES,
    READ_DEPTH,
    READ_FILES,
    REFERENCE,
    VARIANTS_RAW,
)
from opengenome_assets_tests.variants.reads import letters, simulate, write_fastq
from opengenome_assets_tests.variants.samples import Cohort, metadata

REPOSITORY = Path(__file__).parents[2]


def test_the_rcrs_has_its_names_and_the_chrm_of_hg19_has_not():
    (contig,) = read_reference(Home("/h"), "sample")
    found = row(contig, 0, "f")
    assert {"MT", "M", "NC_012920.1"} <= set(found["aliases"])
    assert (found["circular"], found["genetic_code"], found["unknown"]) == (True, 2, 1)
    other = row(Contig("chrM", "", contig.letters[:-1]), 0, "f")
    assert "NC_012920.1" not in other["aliases"]
    assert row(Contig("chr7", "", b"ACG"), 0, "f")["aliases"] == ["7"]
    assert row(Contig("scaffold:1", "circular", b"ACG"), 0, "f")["circular"]
    assert [row(Contig(name, "", b"A"), 0, "f")["ploidy_male"] for name in ("X", "chrY", "chr1")] == [1, 1, 2]


@pytest.mark.parametrize(
    ("contigs", "message"),
    [
        ([Contig("a", "", b"AC"), Contig("a", "", b"AC")], "contig 2, 'a': this name is there twice"),
        ([Contig("a", "", b"")], "contig 1, 'a': expected letters, found none"),
        ([Contig("a", "", b"ACXG")], "contig 1, 'a': letter 3 is 'X'. Expected IUPAC"),
        ([Contig("a,b", "", b"AC")], "contig 1, 'a,b': expected a name that SAM allows"),
    ],
)
def test_a_reference_that_tools_cannot_use_is_refused_by_contig(contigs, message):
    with pytest.raises(UnusableReferenceError, match=message):
        refuse_unusable(contigs, "x.fa")


def test_a_reference_for_which_memory_is_short_is_refused_with_the_number(monkeypatch):
    monkeypatch.setattr(index, "BYTES_PER_LETTER", 10**15)
    with pytest.raises(UnusableReferenceError, match=r"its index needs about 4,000,000 GB of memory once"):
        refuse_unusable([Contig("a", "", b"AC")], "x.fa")


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A sample with two haplotypes of a contig with a colon in its name, and a contig without reads."""
    folder = tmp_path_factory.mktemp("odd")
    text = letters(4_000, 1)
    reference = f"{text[:3_500]}{'N' * 20}{text[3_520:]}"
    haplotypes = []
    for allele in ("G", "T"):  # an allele each at 2,001, a deletion of 7 across the edge of regions at 1,000
        alternative = allele if text[2_000] != allele else "A"
        changed = text[:996] + text[1_003:2_000] + alternative + text[2_001:]
        haplotypes.append(changed)
    (folder / "x.fa").write_text(f">HLA*01:02 circular\n{reference}\n>empty\n{letters(1_500, 2)}\n")
    pairs = [pair for number, each in enumerate(haplotypes) for pair in simulate(each, f"h{number}.", 3 * number)]
    for mate in (1, 2):
        records = "".join(f"@{pair[0]}\n{pair[mate]}\n+\n{'I' * 100}\n" for pair in pairs)
        (folder / f"{mate}.fq").write_text(f"{records}@n\n{'N' * 100}\n+\n{'#' * 100}\n")  # a read of N alone
    (folder / "s.csv").write_text("sample,sex,fastq_1,fastq_2\nodd,XX,1.fq,2.fq\n")
    given = {"samples": str(folder / "s.csv"), "reference": str(folder / "x.fa"), "clinvar": "none", "gnomad": "none"}
    made = Cohort(Home(str(folder / "home")), given)
    made.materialize()
    return made, text, haplotypes, len(pairs) + 1


@pytest.mark.slow
def test_odd_contigs_and_reads_are_aligned_called_and_reported(odd):
    made, text, haplotypes, pairs = odd
    (sample,) = made.rows(ALIGNMENTS)
    assert sample["reads"] == 2 * pairs
    assert sample["mapped"] == 2 * pairs - 2  # but the read of N
    assert [file["n"] for file in made.rows(READ_FILES)] == [pytest.approx(1 / pairs)] * 2
    empty = [window for window in made.rows(READ_DEPTH) if window["contig"] == "empty"]
    assert [(window["start"], window["end"], window["mean"]) for window in empty] == [(1, 1_000, 0), (1_001, 1_500, 0)]
    calls = [each for each in made.rows(GENOTYPES) if each["filter"] == "PASS"]
    (deletion,) = (each for each in calls if len(each["ref"]) > 1)
    assert len(deletion["ref"]) - len(deletion["alt"]) == 7
    first = deletion["pos"] - 1
    applied = text[:first] + deletion["alt"] + text[first + len(deletion["ref"]) :]
    assert applied[:1_500] == haplotypes[0][:1_500]
    two = [each for each in calls if each["pos"] == 2_001]
    here = {each[1_993] for each in haplotypes} - {text[2_000]}
    assert {each["alt"] for each in two} == here
    assert len(two) == len(here)
    assert len(calls) == 1 + len(here)
    report = Path(made.home.uri, "reports", "samples", "odd.html").read_text()
    assert "HLA*01:02" in report
    assert "ClinVar was left out" in report
    assert {each["class"] for each in made.rows(ANNOTATIONS)} == {"not listed"}


@pytest.mark.slow
def test_an_indel_at_a_region_s_edge_is_one_record_whatever_the_cut(odd):
    made, *_ = odd
    before = {table.name: made.rows(table) for table in (VARIANTS_RAW, GENOTYPES)}
    result = made.materialize("genotypes", genotypes={"region_bases": 1_000})
    assert metadata(result, "genotypes")["units"] == 6
    assert {table.name: made.rows(table) for table in (VARIANTS_RAW, GENOTYPES)} == before


KILLED = """
import sys
from opengenome_assets_tests.variants.samples import Cohort
from opengenome_assets.storage.tables import Home
Cohort(Home(sys.argv[1]), {"samples": sys.argv[2], "region_bases": 1_000}).materialize()
"""
MADE = "reference_contigs,raw_reads,read_quality,read_alignments,genotypes"


def status(home):
    environment = {"OPENGENOME_HOME": home.uri, "OPENGENOME_REGION_BASES": "1000"}
    return CliRunner().invoke(main, ["variants", "status", "a"], env=environment).output


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sample whose run was not killed."""
    folder = tmp_path_factory.mktemp("whole")
    files = [SAMPLE_FOLDER / f"HG03478_ERR184271_{mate}.fastq.gz" for mate in (1, 2)]
    sheet = folder / "s.csv"
    sheet.write_text(f"sample,fastq_1,fastq_2\na,{files[0]},{files[1]}\n")
    made = Cohort(Home(str(folder / "home")), {"samples": str(sheet)})
    made.materialize(MADE)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["aligning", "calling"])
def test_a_run_that_is_killed_goes_on_and_gives_the_same_rows(tmp_path, whole, moment):
    """While it runs, status says how far it is. The cut of the other run is another, and its records are the same."""
    sheet = whole.given["samples"]
    killed = Cohort(Home(str(tmp_path / "killed")), {**whole.given, "region_bases": 1_000})
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", KILLED, killed.home.uri, sheet]
    run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    done, said = 0, ""
    while run.poll() is None and time.monotonic() < deadline:
        if moment == "aligning" and list(Path(killed.home.uri).glob("alignments/*/*.cram.*/*")):
            break
        if moment == "calling" and list(Path(killed.home.uri).glob("tables/genotypes/*/_manifest.json")):
            said = status(killed.home)
            if found := re.search(r"calling +([1-9][0-9]?) of 17 regions, about [0-9]+ s left$", said, re.MULTILINE):
                done = int(found[1])
                break
        time.sleep(0.002)
    assert run.poll() is None, said
    run.send_signal(signal.SIGKILL)
    run.wait()
    result = killed.materialize(MADE)
    assert metadata(result, "read_alignments")["units_reused"] == int(moment == "calling")
    facts = metadata(result, "genotypes")
    assert facts["units"] == 17
    assert facts["units_reused"] >= done
    assert bool(done) is (moment == "calling")
    for table in (REFERENCE, READ_FILES, ALIGNMENTS, VARIANTS_RAW, GENOTYPES):
        assert killed.rows(table) == whole.rows(table), table.name
    with open(fasta_of(killed.home), "rb") as file:
        assert file.read().startswith(b">chrM\n")


@pytest.mark.slow
def test_any_cut_of_a_contig_gives_the_same_records(tmp_path):
    """Whole, in pieces of 200,000 and of 50,000 letters, with indels at every edge of both."""
    length, chosen = 460_000, random.Random(7)
    text = letters(length, 7)
    changed, last = [], 0
    for place in range(50_000, length, 50_000):  # a deletion, a SNV and an insertion around each edge
        for at, old, new in (
            (place - 3, 6, ""),
            (place + 40, 1, "T" if text[place + 40] != "T" else "A"),
            (place + 90, 0, "GATTACA"),
        ):
            changed += [text[last:at], new]
            last = at + old
    haplotype = "".join([*changed, text[last:]])
    around = [slice(max(0, at - 1_500), at + 1_500) for at in range(50_000, length, 50_000)]
    pairs = [
        pair for n, here in enumerate(around) for pair in simulate(haplotype[here], f"{n}.", chosen.randrange(8), 12)
    ]
    (tmp_path / "x.fa").write_text(f">c\n{text}\n")
    one, two = write_fastq(tmp_path, "s", pairs)
    (tmp_path / "s.csv").write_text(f"sample,fastq_1,fastq_2\ns,{one},{two}\n")
    made = Cohort(
        Home(str(tmp_path / "home")), {"samples": str(tmp_path / "s.csv"), "reference": str(tmp_path / "x.fa")}
    )
    made.materialize("reference_contigs,raw_reads,read_quality,read_alignments,genotypes")
    tables = VARIANTS_RAW, GENOTYPES
    before = [made.rows(table) for table in tables]
    assert len([row for row in before[1] if row["filter"] == "PASS"]) >= 3 * len(around)
    for size, units in ((200_000, 3), (50_000, 10)):
        result = made.materialize("genotypes", genotypes={"region_bases": size})
        assert (metadata(result, "genotypes")["units"], metadata(result, "genotypes")["units_reused"]) == (units, 0)
        assert [made.rows(table) for table in tables] == before


@pytest.mark.slow
def test_one_of_ten_samples_changed_costs_an_eighth_of_the_work_at_most(tmp_path):
    """Of ten samples side by side, each with a SNV of its own, one gets other reads."""
    text = letters(2_000, 9)
    (tmp_path / "x.fa").write_text(f">c\n{text}\n")

    def write(number, place):
        other = "ACGT"["ACGT".index(text[place]) - 1]
        write_fastq(tmp_path, f"s{number}", list(simulate(f"{text[:place]}{other}{text[place + 1 :]}", "r", number)))

    for number in range(10):
        write(number, 500 + 10 * number)
    rows = [f"s{number},s{number}_1.fq.gz,s{number}_2.fq.gz" for number in range(10)]
    (tmp_path / "s.csv").write_text("\n".join(["sample,fastq_1,fastq_2", *rows, ""]))
    given = {"samples": str(tmp_path / "s.csv"), "reference": str(tmp_path / "x.fa")}
    made = Cohort(Home(str(tmp_path / "home")), given)
    chosen = "reference_contigs,raw_reads,read_quality,read_alignments,read_depth,genotypes,variants_raw,variant_files"
    names = "read_quality", "read_alignments", "read_depth", "genotypes", "variant_files"
    first = [metadata(result, name) for result in [made.materialize(chosen)] for name in names]
    calls = {row["sample"]: row["pos"] for row in made.rows(GENOTYPES)}
    assert calls == {f"s{number}": 501 + 10 * number for number in range(10)}
    write(3, 700)
    second = [metadata(result, name) for result in [made.materialize(chosen)] for name in names]
    assert {row["sample"]: row["pos"] for row in made.rows(GENOTYPES)} == {**calls, "s3": 701}
    units = sum(facts["units"] for facts in first)
    new = [facts["units"] - facts["units_reused"] for facts in second]
    assert (units, new) == (61, [2, 1, 1, 1, 2])  # the last two: the sample's VCF file, and that of all
    assert sum(new) <= 0.12 * units
