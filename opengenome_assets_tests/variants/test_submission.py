"""Submission: samples added to a sheet by command, and what is refused."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets.variants.sheet import read_sheet
from opengenome_assets.variants.submission import submit
from opengenome_assets_tests.variants.reads import letters, simulate, write_aligned, write_fastq

TEXT = letters(600, 3)
PAIRS = list(simulate(TEXT, "r", step=40))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_fastq(tmp_path, name, PAIRS)
    return tmp_path


def command(folder, *arguments, sheet="s.csv"):
    environment = {"OPENGENOME_HOME": str(folder / "home"), "OPENGENOME_SAMPLES": str(folder / sheet)}
    return CliRunner().invoke(main, ["variants", "submit", *arguments], env=environment)


@pytest.mark.long
def test_a_sheet_is_begun_and_grows_by_samples_and_lanes(folder):
    answer = command(folder, "--sample", "A", "--fastq", "a_1.fq.gz", "a_2.fq.gz", "--sex", "XX")
    advice = "Make it with: opengenome run --select 'group:variants'"
    assert answer.output == f"{folder}/s.csv, line 2: sample A, lane 1. {advice}\n"
    answer = command(folder, "--sample", "A", "--sex", "XX", "--lane", "L2", "--fastq", "b_1.fq.gz", "b_2.fq.gz")
    assert answer.exit_code == 0, answer.output
    write_aligned(folder / "c.bam", PAIRS, ("c", TEXT))
    answer = command(folder, "--sample", "C", "--patient", "P", "--bam", "c.bam")
    assert answer.exit_code == 0, answer.output
    lanes = read_sheet(folder / "s.csv")
    assert [(lane.patient, lane.sample, lane.sex, lane.lane) for lane in lanes] == [
        ("A", "A", "XX", "1"),
        ("A", "A", "XX", "L2"),
        ("P", "C", "NA", "1"),
    ]
    assert [lane.files for lane in lanes] == [
        (f"{folder}/a_1.fq.gz", f"{folder}/a_2.fq.gz"),
        (f"{folder}/b_1.fq.gz", f"{folder}/b_2.fq.gz"),
        (f"{folder}/c.bam",),
    ]


def test_lines_of_a_sheet_stay_as_they_were_written(folder):
    text = 'sample, fastq_1 ,fastq_2\n"old",x.fq, "y.fq"'
    (folder / "s.csv").write_text(text)
    assert command(folder, "--sample", "A", "--fastq", "a_1.fq.gz", "a_2.fq.gz").exit_code == 0
    assert (folder / "s.csv").read_text() == f"{text}\nA,{folder}/a_1.fq.gz,{folder}/a_2.fq.gz\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--sample A --fastq b_1.fq.gz b_2.fq.gz", "sample A is there already, lane 1 on line 2. Name another lane"),
        ("--sample A --lane 1 --fastq b_1.fq.gz b_2.fq.gz", "line 3: sample A, lane 1 is on line 2 too"),
        ("--sample B --fastq a_1.fq.gz a_2.fq.gz", "line 3: .*a_1.fq.gz is on line 2 too. Its reads would count twice"),
        ("--sample B/C --fastq b_1.fq.gz b_2.fq.gz", "sample is 'B/C'. Expected letters"),
        ("--sample B --fastq b_1.fq.gz none.fq.gz", "none.fq.gz: No such file or directory"),
        ("--sample B --fastq b_1.fq.gz other.fq", "has the read 'r0', .*other.fq has 'x'. Expected mates"),
        ("--sample B --fastq b_1.fq.gz s.csv", "record 1, line 1: expected a line that starts with '@'"),
        ("--sample B", "line 3: fastq_1 is empty. Expected two files"),
        ("--sample B --bam s.csv", "expected a whole BAM or CRAM file"),
        ("--sample B --bam b.bam --fastq b_1.fq.gz b_2.fq.gz", "fastq_1 and fastq_2 and bam are filled"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_the_sheet_stays(folder, arguments, message):
    (folder / "other.fq").write_text("@x\nACGT\n+\nIIII\n")
    before = "sample,fastq_1,fastq_2\nA,a_1.fq.gz,a_2.fq.gz\n"
    (folder / "s.csv").write_text(before)
    answer = command(folder, *arguments.split())
    assert answer.exit_code == 1
    assert re.search(message, answer.output), answer.output
    assert (folder / "s.csv").read_text() == before
    assert sorted(path.name for path in folder.iterdir() if ".new" in path.name) == []


def test_the_shipped_sheet_is_not_added_to(folder):
    environment = {"OPENGENOME_HOME": str(folder / "home")}
    arguments = ["variants", "submit", "--sample", "A", "--fastq", "a_1.fq.gz", "a_2.fq.gz"]
    answer = CliRunner().invoke(main, arguments, env=environment)
    assert (answer.exit_code, "OPENGENOME_SAMPLES is not set: expected the sheet to add to" in answer.output) == (
        1,
        True,
    )


def _submit(folder: str, number: int) -> None:
    name = f"s{number}"
    one, two = write_fastq(Path(folder), name, [(name, "ACGT", "ACGT")])
    submit(Path(folder, "s.csv"), {"sample": name, "fastq_1": f"{folder}/{one}", "fastq_2": f"{folder}/{two}"})


def test_samples_that_are_submitted_at_once_are_all_there(tmp_path):
    """Threads wait for each other as processes do, since each submission opens the folder by itself."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: _submit(str(tmp_path), number), range(12)))
    assert {lane.sample for lane in read_sheet(tmp_path / "s.csv")} == {f"s{number}" for number in range(12)}
