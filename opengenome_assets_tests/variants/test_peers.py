"""The shipped samples' numbers and files, as samtools, fastp, bcftools and MultiQC of others count and read them."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from opengenome_assets.variants.settings import SAMPLE_FOLDER
from opengenome_assets.variants.sheet import read_sheet
from opengenome_assets.variants.tables import (
    ALIGNMENTS,
    GENOTYPES,
    READ_FILES,
    READ_QUALITY,
    VARIANT_FILES,
    VARIANTS_RAW,
)
from opengenome_assets_tests.variants.test_cohort import cohort, fasta, file_of

pytestmark = [pytest.mark.long, pytest.mark.peer]

__all__ = ["cohort"]  # the fixture, made once for both modules


def answer(*command):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def files(cohort):
    """Rows of read_files, with those of read_quality, by path."""
    made, _ = cohort
    cycles = {}
    for row in made.rows(READ_QUALITY):
        cycles.setdefault((row["sample"], row["lane"], row["mate"]), []).append(row)
    found = {}
    for lane in read_sheet(SAMPLE_FOLDER / "samples.csv"):
        for mate, path in enumerate(lane.files, 1):
            (row,) = (
                each
                for each in made.rows(READ_FILES)
                if (each["sample"], each["lane"], each["mate"]) == (lane.sample, lane.lane, mate)
            )
            own = sorted(cycles[lane.sample, lane.lane, mate], key=lambda cycle: cycle["cycle"])
            found[str(path)] = row, own
    return found


def test_counts_of_reads_are_those_of_fastp(files, tool, tmp_path):
    paths = list(files)
    for one, two in zip(paths[::2], paths[1::2], strict=True):
        report = tmp_path / "fastp.json"
        # Nothing is filtered or trimmed, so that what it counts before is all there is.
        answer(tool("fastp"), "-A", "-Q", "-L", "-G", "-i", one, "-I", two, "-j", report, "-h", tmp_path / "x.html")
        theirs = json.loads(report.read_text())
        rows = [files[one][0], files[two][0]]
        before = theirs["summary"]["before_filtering"]
        letters = sum(row["letters"] for row in rows)
        assert before["total_reads"] == sum(row["reads"] for row in rows)
        assert before["total_bases"] == letters
        for share in ("q20", "q30"):
            assert before[f"{share}_bases"] == round(sum(row[share] * row["letters"] for row in rows))
        assert before["gc_content"] == pytest.approx(
            sum(row["gc"] * row["letters"] for row in rows) / letters, abs=1e-3
        )
        for number, path in ((1, one), (2, two)):
            curves = theirs[f"read{number}_before_filtering"]
            cycles = files[path][1]
            assert curves["quality_curves"]["mean"] == pytest.approx([row["mean_quality"] for row in cycles], abs=1e-3)
            for base in "ACGT":
                shares = [row[base.lower()] / row["reads"] for row in cycles]
                assert curves["content_curves"][base] == pytest.approx(shares, abs=1e-4)


def test_qualities_by_cycle_are_those_of_samtools_stats(cohort, files, tool):
    made, _ = cohort
    for row in made.rows(ALIGNMENTS):
        text = answer(tool("samtools"), "stats", "--reference", fasta(made), file_of(made, row))
        for mate, kind in ((1, "FFQ"), (2, "LFQ")):
            lines = [line.split("\t")[2:] for line in text.splitlines() if line.startswith(f"{kind}\t")]
            theirs = np.array(lines, np.int64)
            ours = np.zeros((len(theirs), 94), np.int64)
            for file, cycles in files.values():
                if (file["sample"], file["mate"]) == (row["sample"], mate):
                    ours[: len(cycles)] += np.array([cycle["qualities"] for cycle in cycles])
            assert np.array_equal(ours[:, : theirs.shape[1]], theirs)
            assert not ours[:, theirs.shape[1] :].any()


def test_samtools_and_bcftools_of_the_system_read_the_files(cohort, tool):
    made, _ = cohort
    for row in made.rows(ALIGNMENTS):
        counts = answer(tool("samtools"), "flagstat", "-O", "json", file_of(made, row))
        found = json.loads(counts)["QC-passed reads"]
        assert (found["primary"], found["primary mapped"], found["primary duplicates"]) == (
            row["reads"],
            row["mapped"],
            row["duplicates"],
        )
        reads = answer(tool("samtools"), "view", "-c", "-T", fasta(made), file_of(made, row), "chrM:1-100")
        assert int(reads) > 0  # by the index
    records = Counter(row["sample"] for row in made.rows(VARIANTS_RAW))
    for row in made.rows(VARIANT_FILES):
        stats = answer(tool("bcftools"), "stats", file_of(made, row))
        numbers = {
            cells[2].rstrip(":"): int(cells[3])
            for line in stats.splitlines()
            if (cells := line.split("\t"))[0] == "SN" and len(cells) == 4
        }
        assert numbers["number of records"] == row["records"] == records.get(row["sample"], row["records"])
        assert numbers["number of samples"] == (2 if row["sample"] == "all" else 1)
        if row["sample"] != "all":
            snvs = {
                (each["pos"], each["ref"], each["alt"])
                for each in made.rows(GENOTYPES)
                if each["sample"] == row["sample"] and len(each["ref"]) == len(each["alt"]) == 1
            }
            assert numbers["number of SNPs"] == len({pos for pos, *_ in snvs})
        by_region = answer(tool("bcftools"), "view", "-H", "-r", "chrM:1-1000", file_of(made, row))
        assert all(int(line.split("\t")[1]) <= 1_000 for line in by_region.splitlines())
        assert by_region


@pytest.mark.slow
def test_multiqc_reads_the_statistics(cohort, tool, tmp_path):
    made, _ = cohort
    home = Path(made.home.uri)
    answer(tool("multiqc"), "-q", "--no-ansi", "-o", tmp_path, home / "alignments", home / "variants")
    data = json.loads((tmp_path / "multiqc_data" / "multiqc_data.json").read_text())
    sources = data["report_data_sources"]
    assert {name.lower() for name in sources} >= {"samtools", "bcftools"}
    text = json.dumps(sources)
    for row in made.rows(ALIGNMENTS):
        assert f"{row['sample']}.cram" in text
