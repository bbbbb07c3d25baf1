"""Reports: what they say, and that the same tables give the same bytes."""

import zlib
from dataclasses import replace

import pandas as pd
import pysam
import pytest

from opengenome_assets.plots.images import ink, to_png
from opengenome_assets.plots.report_page import (
    Fact,
    Illustration,
    Notice,
    Report,
    ReportColumn,
    ReportTable,
    Section,
    render,
)
from opengenome_assets.plots.report_pdf import _WIDTH, _widths, render_pdf
from opengenome_assets.variants.pileup import pile_up
from opengenome_assets.variants.plots import samples
from opengenome_assets.variants.plots.pileups import pileup
from opengenome_assets.variants.report import warnings
from opengenome_assets.variants.report_pictures import ReportPictures


def report(picture, rows):
    columns = [ReportColumn("Variant", "code"), ReportColumn("Share", "percent"), ReportColumn("Words")]
    return Report(
        title="Variants of <S>",
        generated="by a test",
        summary=[Fact("reads", "7", "all & more")],
        sections=[Section("Part", "Text.", [picture], [ReportTable("Caption.", columns, rows)])],
        provenance=[],
        notices=[Notice("Mind this.")],
    )


@pytest.fixture(scope="module")
def picture():
    drawn = samples.fractions(pd.DataFrame({"sample": ["s", "s"], "vaf": [0.5, 1.0]}))
    return Illustration(drawn.title, drawn.caption, drawn.alt, to_png(drawn.figure, dpi=40), "image/png")


@pytest.mark.long
def test_the_same_report_gives_the_same_bytes_and_many_pages(picture):
    rows = [(f"chr1:{place} A>G", place / 300, "long words " * 9) for place in range(300)]
    first = render_pdf(report(picture, rows), "not for diagnosis")
    assert first == render_pdf(report(picture, rows), "not for diagnosis")
    assert first.startswith(b"%PDF-")
    assert first.count(b"/Type /Page\n") > 5
    assert render_pdf(report(picture, rows[:-1]), "not for diagnosis") != first


def test_a_cell_longer_than_a_page_s_width_is_broken(picture):
    content = render_pdf(report(picture, [("A" * 400, None, "x" * 400)]), "foot")
    assert len(zlib.compress(content)) > 1_000


def test_no_heading_and_no_number_of_a_table_is_broken():
    heads, cells = [40, 30, 55, 20], [300, 90, 10, 15]
    widths = _widths(heads, cells, [False, True, False, False])
    assert sum(widths) == pytest.approx(_WIDTH)
    assert all(width >= head for width, head in zip(widths, heads, strict=True))
    assert widths[1] >= 90
    assert widths[0] > widths[2]
    assert sum(_widths([400, 400], [9, 9], [False, False])) == pytest.approx(_WIDTH)  # too much: all get less


def test_densities_and_lengths_are_counted():
    calls = pd.DataFrame({"sample": ["s"] * 4, "contig": ["c"] * 4, "pos": [1, 50, 51, 300], "ref": "A", "alt": "C"})
    drawn = samples.density(calls, pd.DataFrame({"contig": ["c"], "length": [301]}))
    assert "30.0 variants per 1,000 letters" in drawn.alt  # three of the first 100 letters
    indels = pd.DataFrame({"sample": ["s"] * 3, "ref": ["A", "ACG", "A"], "alt": ["AC", "A", "C"]})
    assert samples.indel_lengths(indels).alt == "1 deletion and 1 insertion."


def test_a_picture_is_drawn_again_for_another_content_or_code_version(tmp_path):
    def draw():
        return samples.fractions(pd.DataFrame({"sample": ["s"], "vaf": [0.5]}))

    def shown(code_version, *content):
        pictures = ReportPictures(str(tmp_path / "s"), code_version)
        picture = pictures.show(draw, *content)
        pictures.write()
        return pictures.drawn, picture

    drawn, first = shown("1", "fractions", ["a"])
    assert (drawn, shown("1", "fractions", ["a"])) == (1, (0, first))
    assert [shown(*given)[0] for given in (("1", "fractions", ["b"]), ("2", "fractions", ["b"]))] == [1, 1]
    assert shown("1", "fractions", ["a"]) == (1, first)  # only what the last report showed is kept


READS = [
    # name, flag, position from 0, CIGAR, letters
    ("match", 0, 90, "20M", "ACGT" * 5),
    ("soft", 16, 95, "5S20M", "TTTTT" + "ACGT" * 5),
    ("inserted", 0, 95, "5M2I5M", "ACGTAGGCGTAC"),
    ("deleted", 16, 95, "4M3D8M", "ACGTACGTACGT"),
    ("duplicate", 1024, 95, "12M", "ACGTACGTACGT"),
    ("before", 0, 10, "12M", "ACGTACGTACGT"),
]


def test_a_pile_up_has_each_read_s_letters_in_its_columns(tmp_path):
    (tmp_path / "x.fa").write_text(">c\n" + "ACGT" * 50 + "\n")
    pysam.faidx(str(tmp_path / "x.fa"))
    path = str(tmp_path / "x.bam")
    with pysam.AlignmentFile(path, "wb", reference_names=["c"], reference_lengths=[200]) as file:
        for name, flag, first, cigar, letters in sorted(READS, key=lambda read: read[2]):
            read = pysam.AlignedSegment(file.header)
            read.query_name, read.flag, read.reference_id, read.reference_start = name, flag, 0, first
            read.query_sequence, read.cigarstring, read.mapping_quality = letters, cigar, 60
            file.write(read)
    pysam.index(path)
    pile = pile_up(path, str(tmp_path / "x.fa"), "c", 101, 1)
    assert (pile.start, len(pile.reference), pile.reads, len(pile.lines)) == (71, 61, 4, 4)
    with pysam.AlignmentFile(path) as file:
        used = [read for read in file.fetch("c", 100, 101) if not read.is_duplicate]
        for read, line in zip(used, pile.lines, strict=True):
            twin = [" "] * 61
            for at, place in read.get_aligned_pairs():
                if place is not None and 70 <= place < 131:
                    twin[place - 70] = "-" if at is None else read.query_sequence[at]
            assert line.letters == "".join(twin)
            assert line.reverse is read.is_reverse
    assert [line.inserted for line in pile.lines if line.inserted] == [{29: 2}]
    drawn = pileup(pile, "c:101 A>C", 101, 1)
    assert drawn.title == "Reads at c:101 A>C"
    assert drawn.alt.endswith("of the 4 reads shown differ from the reference there.")
    assert pile_up(path, str(tmp_path / "x.fa"), "c", 1, 1).lines == []
    assert not ink(to_png(pileup(pile_up(path, str(tmp_path / "x.fa"), "c", 1, 1), "n", 1, 1).figure, dpi=60)).is_blank


def test_a_figure_must_be_a_png(picture):
    svg = Illustration("t", "c", "a", b"<svg/>", "image/svg+xml")
    with pytest.raises(ValueError, match="t: expected a PNG, found image/svg"):
        render_pdf(report(svg, []), "foot")


CYCLES = {"sample": ["s"], "mate": [1], "cycle": [1], "reads": [3], "mean_quality": [30.0]}
WINDOWS = {"sample": ["s"], "contig": ["c"], "start": [1], "end": [1_000], "mean": [9.0]}
CALLS = {"sample": ["s", "s"], "ref": ["A", "C"], "alt": ["G", "CT"], "vaf": [0.4, 1.0]}


def along(genotypes):
    return samples.density(genotypes, pd.DataFrame({"contig": ["c"], "length": [5_000]}))


@pytest.mark.pictures
@pytest.mark.parametrize(
    ("draw", "frame"),
    [
        (samples.qualities, CYCLES),
        (samples.gc_content, {"sample": ["s"], "reads": [3], "gc": [0.5], "gc_histogram": [[0] * 50 + [3] + [0] * 50]}),
        (samples.insert_sizes, {"sample": ["s"], "reads": [3], "insert_sizes": [[0, 1, 2, 0, 4]]}),
        (samples.depth, WINDOWS),
        (samples.fractions, CALLS),
        (samples.substitutions, CALLS),
        (samples.indel_lengths, CALLS),
        (along, {**CALLS, "contig": ["c", "c"], "pos": [7, 5_000]}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.long
def test_a_figure_shows_something_and_says_so_if_there_is_nothing(draw, frame):
    whole = pd.DataFrame(frame)
    for rows in (whole, whole.iloc[:0]):
        drawn = draw(rows)
        assert not ink(to_png(drawn.figure, dpi=60)).is_blank
        assert drawn.title
        assert drawn.alt.endswith(".")


@pytest.mark.parametrize(
    ("change", "expected"), [("AG", "T>C"), ("CT", "C>T"), ("GA", "C>T"), ("GT", "C>A"), ("TG", "T>G"), ("AC", "T>G")]
)
def test_substitutions_are_those_of_the_pyrimidine_s_strand(change, expected):
    assert samples.substitution(*change) == expected
    assert expected in samples.SUBSTITUTIONS


def test_what_the_checks_warn_about_a_sample_is_in_its_report(picture):
    qc = {"reads": 10, "mapped_share": 0.5, "snvs": 600, "indels": 0, "low_fraction": 300, "ti_tv": None}
    alignments = pd.DataFrame({"unpaired_reads": [3], "reads": [10]})
    found = warnings("S", qc, alignments, pd.DataFrame())
    assert found == [
        "Sample S: 50.0% of its reads are aligned.",
        "Sample S: 300 of 600 calls are mixed (fewer than 90% of the reads have the allele); it may be contaminated.",
        "Sample S: Ti/Tv is 0.00, expected 1.8 to 3.5.",
        "Sample S: 3 reads are left out, since the file has no mate of them; 10 are aligned.",
        "Sample S has no variant; compare its coverage, and its reference with that of its reads.",
    ]
    sound = {**qc, "mapped_share": 1.0, "low_fraction": 0, "ti_tv": 2.1}
    assert warnings("S", sound, alignments.assign(unpaired_reads=0), alignments) == []
    page = report(picture, [])
    assert found[1] in render(replace(page, warnings=found))
    assert len(render_pdf(replace(page, warnings=found), "foot")) > len(render_pdf(page, "foot"))
