"""Sample sheets: what is read, and what is refused with its line."""

from pathlib import Path

import pytest

from opengenome_assets.variants.raw_reads import sheet_path
from opengenome_assets.variants.sheet import SheetError, read_sheet

HEADER = "patient,sample,sex,lane,fastq_1,fastq_2\n"


def sheet(folder, text):
    path = folder / "samples.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_sheet_names_files_that_exist():
    lanes = read_sheet(sheet_path("sample"))
    assert {(lane.sample, len(lane.lane) > 0, lane.sex) for lane in lanes} == {
        ("HG03478", True, "NA"),
        ("HG03706", True, "NA"),
    }
    assert all(Path(name).read_bytes()[:2] == b"\x1f\x8b" for lane in lanes for name in lane.files)


def test_columns_of_sarek_in_any_order_with_defaults(tmp_path):
    path = sheet(
        tmp_path, "\ufefffastq_2, sample ,fastq_1,sex\nb.fq,s1,sub/a.fq,male\n\nhf://datasets/o/n/d.fq,s2,/c.fq,\n"
    )
    first, second = read_sheet(path)
    assert (first.patient, first.sample, first.sex, first.lane) == ("s1", "s1", "XY", "1")
    assert first.files == (str(tmp_path / "sub/a.fq"), str(tmp_path / "b.fq"))
    assert (first.line, second.line) == (2, 4)
    assert (second.files, second.sex) == (("/c.fq", "hf://datasets/o/n/d.fq"), "NA")


def test_bam_and_cram_stand_beside_fastq_with_the_indexes_of_sarek(tmp_path):
    rows = "a,x.bam,x.bam.bai,,,,\nb,,,/y.cram,y.cram.crai,,\nc,,,,,1.fq,2.fq\n"
    lanes = read_sheet(sheet(tmp_path, f"sample,bam,bai,cram,crai,fastq_1,fastq_2\n{rows}"))
    assert [(lane.columns, lane.named) for lane in lanes] == [
        (("bam",), ("x.bam",)),
        (("cram",), ("/y.cram",)),
        (("fastq_1", "fastq_2"), ("1.fq", "2.fq")),
    ]
    assert lanes[0].files == (str(tmp_path / "x.bam"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: columns sample, fastq_1, fastq_2 are missing"),
        ("sample,fastq_1\n", "line 1: columns fastq_2 are missing"),
        ("sample,fastq_1,fastq_2,tumour\n", "line 1: unknown columns 'tumour'. Expected patient, sample"),
        ("sample,sample,fastq_1,fastq_2\n", "line 1: a column is there twice"),
        (HEADER, "expected at least one row"),
        (HEADER + "p,a/b,XX,1,1.fq,2.fq\n", "line 2: sample is 'a/b'. Expected letters"),
        (HEADER + "p,a:b,XX,1,1.fq,2.fq\n", "sample is 'a:b'"),
        (HEADER + "p,a b,XX,1,1.fq,2.fq\n", "sample is 'a b'"),
        (HEADER + "p,a,XX,1/2,1.fq,2.fq\n", "lane is '1/2'"),
        (HEADER + "p,,XX,1,1.fq,2.fq\n", "sample is ''"),
        (HEADER + "p,a,2,1,1.fq,2.fq\n", "line 2: sex is '2'. Expected XX, XY or NA"),
        (HEADER + "p,a,XX,1,1.fq,\n", "line 2: fastq_2 is empty"),
        (HEADER + "p,a,XX,1,1.fq,1.fq\n", "are the same file, 1.fq"),
        (HEADER + "p,a,XX,1,1.fq\n", "line 2: expected as many values as columns"),
        (HEADER + "p,a,XX,1,1.fq,2.fq,3\n", "line 2: expected as many values as columns"),
        (HEADER + "p,a,XX,1,1.fq,2.fq\np,a,XX,1,3.fq,4.fq\n", "line 3: sample a, lane 1 is on line 2 too"),
        (HEADER + "p,a,XX,1,1.fq,2.fq\np,a,XY,2,3.fq,4.fq\n", "line 3: sample a has sex XY, but XX on line 2"),
        (HEADER + "p,a,XX,1,1.fq,2.fq\nq,a,XX,2,3.fq,4.fq\n", "line 3: sample a has patient q, but p on line 2"),
        (HEADER + "p,a,XX,1,1.fq,2.fq\np,b,XX,1,3.fq,2.fq\n", "line 3: .*2.fq is on line 2 too"),
        ("sample,bam,fastq_1,fastq_2\na,x.bam,1.fq,2.fq\n", "fastq_1 and fastq_2 and bam are filled. Expected either"),
        ("sample,bam,cram\na,x.bam,x.cram\n", "line 2: bam and cram are filled"),
        ("sample,bam\na,\n", "line 2: fastq_1 is empty. Expected two files, .*or one in bam or cram"),
        ("sample,bam\na,x.bam\nb,x.bam\n", "line 3: .*x.bam is on line 2 too"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(SheetError, match=message):
        read_sheet(sheet(tmp_path, text))


def test_a_sheet_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(SheetError, match=r"none.csv: the sample sheet cannot be read.*OPENGENOME_SAMPLES"):
        read_sheet(tmp_path / "none.csv")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SheetError, match="cannot be read"):
        read_sheet(tmp_path / "x.csv")
