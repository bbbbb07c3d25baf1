"""Reports: what they say, and that the same tables give the same bytes."""

import zlib

import pandas as pd
import pytest

from opengenome_assets.plots.images import ink, to_png
from opengenome_assets.plots.report_page import Fact, Illustration, Notice, Report, ReportColumn, ReportTable, Section
from opengenome_assets.plots.report_pdf import render_pdf
from opengenome_assets.variants.plots import samples


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


def test_a_figure_must_be_a_png(picture):
    svg = Illustration("t", "c", "a", b"<svg/>", "image/svg+xml")
    with pytest.raises(ValueError, match="t: expected a PNG, found image/svg"):
        render_pdf(report(svg, []), "foot")


CYCLES = {"sample": ["s"], "mate": [1], "cycle": [1], "reads": [3], "mean_quality": [30.0]}
WINDOWS = {"sample": ["s"], "contig": ["c"], "start": [1], "end": [1_000], "mean": [9.0]}
CALLS = {"sample": ["s", "s"], "ref": ["A", "C"], "alt": ["G", "CT"], "vaf": [0.4, 1.0]}


@pytest.mark.pictures
@pytest.mark.parametrize(
    ("draw", "frame"),
    [
        (samples.qualities, CYCLES),
        (samples.insert_sizes, {"sample": ["s"], "reads": [3], "insert_sizes": [[0, 1, 2, 0, 4]]}),
        (samples.depth, WINDOWS),
        (samples.fractions, CALLS),
        (samples.substitutions, CALLS),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
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
