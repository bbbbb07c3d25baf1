"""Edges: odd names, N, no coverage, origins of circles, several alleles, indels between regions, and kills."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
from opengenome_assets_tests.variants.samples import Cohort, metadata

REPOSITORY = Path(__file__).parents[2]
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def letters(length, seed):
    return "".join(random.Random(seed).choices("ACGT", k=length))


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


def simulate(template, name, start=0, step=8, length=100):
    """Yield pairs of reads at even distances, without errors, around a circle; their insert sizes differ."""
    around = template + template[:400]
    for place in range(start, len(template), step):
        piece = around[place : place + 240 + 37 * place % 120]
        yield f"{name}{place}", piece[:length], piece[::-1].translate(COMPLEMENT)[:length]


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
Cohort(Home(sys.argv[1]), {"samples": sys.argv[2]}).materialize()
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["alignments/*/*.cram.*/*", "tables/genotypes/*/*.parquet"])
def test_a_run_that_is_killed_goes_on_and_gives_the_same_rows(tmp_path, moment):
    files = [SAMPLE_FOLDER / f"HG03478_ERR184271_{mate}.fastq.gz" for mate in (1, 2)]
    sheet = tmp_path / "s.csv"
    sheet.write_text(f"sample,fastq_1,fastq_2\na,{files[0]},{files[1]}\n")
    homes = [Cohort(Home(str(tmp_path / name)), {"samples": str(sheet)}) for name in ("whole", "killed")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", KILLED, homes[1].home.uri, str(sheet)]
    run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while run.poll() is None and not list(Path(homes[1].home.uri).glob(moment)) and time.monotonic() < deadline:
        time.sleep(0.002)
    assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.wait()
    homes[0].materialize("reference_contigs,raw_reads,read_quality,read_alignments,genotypes")
    result = homes[1].materialize("reference_contigs,raw_reads,read_quality,read_alignments,genotypes")
    assert metadata(result, "read_quality")["units_reused"] == 2
    assert metadata(result, "read_alignments")["units_reused"] == int("genotypes" in moment)
    for table in (REFERENCE, READ_FILES, ALIGNMENTS, VARIANTS_RAW, GENOTYPES):
        assert homes[1].rows(table) == homes[0].rows(table), table.name
    with open(fasta_of(homes[1].home), "rb") as whole:
        assert whole.read().startswith(b">chrM\n")
