"""The page is valid, accessible, self-contained, and nothing in it is taken for markup."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pandas as pd
import pytest
from PIL import Image, ImageStat
from playwright.sync_api import Browser, Page

from opengenome_assets.corpus.plots import codons, kmers, profiles, report_sections, sequences
from opengenome_assets.plots import images
from opengenome_assets.plots.report_page import (
    MAX_SVG_BYTES,
    Illustration,
    Notice,
    Origin,
    Report,
    ReportColumn,
    ReportTable,
    Section,
    render,
)
from opengenome_assets.plots.style import Picture
from opengenome_assets_tests.corpus.plots.tables import Tables

HOSTILE = "\"><script src=http://evil.example/x.js>alert('1')</script><img src=x onerror=alert(1)>&amp;{{ 7*7 }}"
VOID = {"meta", "img", "br", "hr", "link", "input", "wbr"}


class Parsed(HTMLParser):
    """Elements with their attributes; every end tag must close the element opened last."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), "an attribute twice"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


def _illustrate(picture: Picture) -> Illustration:
    svg, png = images.to_svg(picture.figure), images.to_png(picture.figure)
    return Illustration.of(picture.title, picture.caption, picture.alt, svg=svg, png=png)


@pytest.fixture(scope="module")
def report(sample: Tables) -> Report:
    index = sample.tfidf_index
    pca = profiles.kmer_pca(profiles.kmer_profiles(index), index["source"].tolist(), index["length"].tolist())
    of_corpus = [sequences.gc_histogram(sample.sequence_stats), sequences.length_distribution(sample.sequence_stats)]
    of_kmers = [*(kmers.top_kmers(table, k) for k, table in sample.kmer_freq.items())]
    of_kmers += [kmers.kmer_spectrum(sample.kmer_freq), pca]
    of_codons = [codons.codon_usage(sample.codon_rscu), codons.rscu_heatmap(sample.codon_rscu)]
    rejected = pd.DataFrame(
        [("s", "f.fa", 1, 1, HOSTILE, HOSTILE, HOSTILE)],
        columns=["source", "file", "record", "line", "header", "kind", "reason"],
    )
    return Report(
        "Corpus report",
        "2026-11-20 09:00 UTC",
        report_sections.summary(sample.sequence_stats, rejected),
        [
            report_sections.corpus(sample.sequence_stats, [_illustrate(picture) for picture in of_corpus]),
            report_sections.kmers(sample.kmer_freq, [_illustrate(picture) for picture in of_kmers]),
            report_sections.codons(sample.codon_rscu, None, [_illustrate(picture) for picture in of_codons]),
            report_sections.rejected(rejected),
        ],
        [
            Origin(
                "sequence_stats",
                3,
                1,
                "1",
                {"bins": HOSTILE},
                {"sequence_shards": "2"},
                "run-1",
                "today",
                "5 of 5 passed",
            ),
            Origin("codon_rscu", 7, 12345, "2"),
        ],
        [
            Notice("codon_rscu was made from another corpus.", remedy="To make it:", command="opengenome run"),
            Notice("2 files left out:", ["a.fa: cut", "b.fa: empty"], "Mend these files."),
        ],
        warnings=["a sample may be contaminated"],
    )


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return render(report)


def test_page_is_well_formed_html5(html: str) -> None:
    page = Parsed(html)
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert not page.open
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("title")) == len(page.all("h1")) == len(page.all("main")) == 1
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    linked = {str(attributes["href"]) for attributes in page.all("a")}
    assert linked == {"#summary", "#section-1", "#section-2", "#section-3", "#section-4", "#provenance"}
    assert linked < {f"#{name}" for name in names}


def test_page_loads_nothing(html: str) -> None:
    page = Parsed(html)
    assert not page.all("script", "link", "iframe", "object", "embed", "base")
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "action", "style"):
            value = str(attributes.get(name, "#"))
            assert value.startswith(("#", "data:image/")), value
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import|@font-face", style)


def test_page_is_small(html: str) -> None:
    assert len(html.encode()) < 3_000_000


def test_page_is_accessible(html: str) -> None:
    page = Parsed(html)
    assert len(page.all("img")) == 9
    assert all(attributes["alt"] for attributes in page.all("img"))
    assert all(attributes["scope"] in ("col", "row") for attributes in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) == 7
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_hostile_text_stays_text(html: str) -> None:
    page = Parsed(html)
    assert HOSTILE in page.words
    assert "<script" not in html
    assert "onerror=alert" in html
    assert not any("onerror" in attributes for _, attributes in page.elements)
    hidden = _page_of(HOSTILE)
    assert "<script" not in hidden
    assert HOSTILE in Parsed(hidden).words


def _page_of(title: str) -> str:
    """A page whose every free text is `title`."""
    figure = Illustration(title, title, title, b"<svg/>", "image/svg+xml")
    rejected = report_sections.rejected(pd.DataFrame())
    empty = Report(title, title, [], [rejected], [], [Notice(title, [title], title, title)], [title], [title])
    section = replace(empty.sections[0], title=title, text=title, figures=[figure])
    return render(replace(empty, sections=[section]))


def test_every_part_is_there(report: Report, html: str) -> None:
    words = " ".join(" ".join(Parsed(html).words).split())
    for text in (
        "Summary", "2.23 Mb", "Corpus", "k-mers", "Most frequent 8-mers", "Codons", "RSCU", "Rejected records",
        "How this was made", "version 3, 1 row", "version 7, 12,345 rows", "5 of 5 passed", "run-1",
        "codon_rscu was made from another corpus. To make it: opengenome run",
        "2 files left out: a.fa: cut b.fa: empty Mend these files.",
        "Warnings of the checks a sample may be contaminated",
    ):  # fmt: skip
        assert text in words, text
    assert "All are present and were made from the same corpus" not in words
    assert "missing or stale" in words
    sound = render(replace(report, notices=[]))
    assert "All are present and were made from the same corpus" in sound
    assert "missing or stale" not in sound


@pytest.mark.parametrize(
    ("kind", "cell", "text"),
    [
        ("count", 1234567, "1,234,567"),
        ("bases", 16569, "16.6 kb"),
        ("percent", 0.25, "25.00 %"),
        ("number", 1234.567, "1,234.57"),
        ("text", 7, "7"),
        ("code", "ACGT", "ACGT"),
        ("count", None, "—"),
        ("number", float("nan"), "—"),
    ],
)
def test_cells_are_written_by_kind(kind: str, cell: float | str | None, text: str) -> None:
    assert ReportColumn("x", kind).write(cell) == text


def test_a_large_svg_is_replaced_by_its_png() -> None:
    small = Illustration.of("t", "c", "a", svg=b"<svg/>", png=b"png")
    large = Illustration.of("t", "c", "a", svg=b"x" * (MAX_SVG_BYTES + 1), png=b"png")
    assert small.uri == "data:image/svg+xml;base64,PHN2Zy8+"
    assert large.uri == "data:image/png;base64,cG5n"


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)], ids=["phone", "desk"])
def test_it_fits_its_width_and_begins_with_contents_and_a_summary_on_one_screen(
    chromium: Browser, html: str, width: int, height: int
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": height})
    try:
        page.set_content(html)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        titles = page.locator("main h2").evaluate_all(
            "all => all.map(each => each.id).filter(id => !/notices|warnings/.test(id))"
        )
        assert page.locator(".notices > ul > li > ul > li").all_inner_texts() == ["a.fa: cut", "b.fa: empty"]
        linked = page.locator("nav a").evaluate_all("all => all.map(each => each.getAttribute('href').slice(1))")
        assert linked == titles
        summary = page.locator("section[aria-labelledby='summary']").bounding_box()
        assert summary is not None
        assert summary["height"] <= height
    finally:
        page.close()


def _edge(page: Page, name: str) -> float:
    """How dark the right edge of a part that scrolls is: 0 for the paper of the page."""
    part = page.get_by_role("region", name=name)
    box = part.bounding_box()
    assert box is not None
    clip = {"x": box["x"] + box["width"] - 4, "y": box["y"] + box["height"] / 2, "width": 2, "height": 8}
    with Image.open(io.BytesIO(page.screenshot(clip=clip, full_page=True))) as picture:
        return 255 - ImageStat.Stat(picture.convert("L")).mean[0]


def test_what_is_wider_than_a_phone_goes_on_behind_a_shadow_and_its_caption_is_whole(
    chromium: Browser, report: Report
) -> None:
    columns = [ReportColumn(f"Column {number}", "code") for number in range(6)]
    cells = [[f"VCV00014391{number}" for number in range(6)]]
    wide = ReportTable("A caption that has more letters than a phone has room for in one line.", columns, cells)
    narrow = ReportTable("Narrow", columns[:1], [["x"]])
    figure = report.sections[0].figures[0]
    section = Section("Part", figures=[figure], tables=[wide, narrow, replace(wide, caption="Broken genes.", rows=[])])
    page = chromium.new_page(viewport={"width": 390, "height": 844}, color_scheme="light")
    try:
        page.set_content(render(Report("Wide", "today", [], [section], [])))
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        caption = page.locator("caption span").first.bounding_box()
        assert caption is not None
        assert caption["x"] + caption["width"] <= 390
        assert page.locator("img").evaluate("each => each.clientWidth") > 600  # its letters are readable
        assert _edge(page, "Narrow") == 0
        for name in (wide.caption, figure.title):
            assert _edge(page, name) > 20
            page.get_by_role("region", name=name).evaluate("each => { each.scrollLeft = 9999 }")
            assert _edge(page, name) < 2
        assert page.get_by_text("Broken genes: none.").is_visible()
        assert page.locator("table").count() == 2
    finally:
        page.close()
