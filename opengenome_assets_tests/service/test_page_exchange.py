"""What goes into the search page and comes out of it besides typing and seeing: links, files, saved results."""

import bz2
import gzip
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, Page, expect

from opengenome_assets.search import SearchIndex
from opengenome_assets.search.rows import SIMILAR_SCHEMA
from opengenome_assets_tests.service.conftest import QUERY, Server, letters
from opengenome_assets_tests.service.pages import content, expected, found, opened, search


def test_a_link_reproduces_a_search(page: Page, chromium: Browser) -> None:
    page.get_by_label("Hits").fill("4")
    page.locator("#both-strands").uncheck()
    page.get_by_label("Sort by").select_option("containment")
    search(page, f">mine\n{QUERY}")
    hits = found(page)
    assert len(hits) == 4
    with opened(chromium, page.url) as another:
        assert found(another) == hits
        expect(another.get_by_label("Query", exact=True)).to_have_value(f">mine\n{QUERY}")
        expect(another.locator("#both-strands")).not_to_be_checked()
        expect(another.get_by_label("Sort by")).to_have_value("containment")
    search(page, letters(300, 5))
    expect(page.get_by_role("heading", name="query")).to_be_visible()
    assert found(page) != hits
    page.go_back()
    expect(page.get_by_label("Query", exact=True)).to_have_value(f">mine\n{QUERY}")
    expect(page.get_by_role("heading", name="mine")).to_be_visible()
    assert found(page) == hits


def test_an_example_is_linked_by_its_place_in_the_corpus(page: Page, chromium: Browser) -> None:
    example = page.locator("#examples button").last
    name = example.get_attribute("title")
    example.click()
    hits = found(page)
    assert hits[0][0] == name
    assert f"query_seq_id={name}" in page.url
    assert "ACGT" not in page.url
    with opened(chromium, page.url) as another:
        assert found(another) == hits


def test_what_is_too_long_for_a_link_is_searched_all_the_same(page: Page) -> None:
    search(page, letters(10_000, 4))
    assert found(page)
    assert "#" not in page.url
    page.get_by_role("button", name="Copy link to this search").click()
    expect(page.locator("#similar-status")).to_contain_text("too long for a link")


def test_a_kmer_search_is_linked_too(chromium: Browser, page_server: Server) -> None:
    link = f"{page_server.url}/#search=kmers&kmer=ACGTA&min_count=2&limit=5&strand=both&positions=50"
    with opened(chromium, link) as page:
        expect(page.locator("#kmers-results .hit")).to_have_count(5)
        expect(page.get_by_role("tab", name="k-mers")).to_have_attribute("aria-selected", "true")
        assert page.url == link


@pytest.mark.parametrize("asked", ["search=similar&query=ACGTACGTACGT", "search=kmers&kmer=ACGTA"])
def test_a_link_with_a_source_that_is_not_there_does_not_search_all(
    chromium: Browser, page_server: Server, asked: str
) -> None:
    with opened(chromium, f"{page_server.url}/#{asked}&source=gone") as page:
        alert = page.get_by_role("alert").filter(visible=True)
        expect(alert).to_contain_text("no source is called")
        expect(alert).to_contain_text("gone")
        expect(page.locator(".hit")).to_have_count(0)
        page.locator("select.sources:visible").select_option("plants")
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator(".hit").first).to_be_visible()


def number(value: float | None) -> str:
    """Write a number as JavaScript does."""
    return "" if value is None else f"{value:g}" if value == int(value) else str(value)


def test_results_are_saved(page: Page, page_home: Path) -> None:
    search(page, f">mine\n{QUERY}\n>odd\nACGT!")
    hits = expected(page_home, QUERY)
    found(page)

    def save(name: str) -> Download:
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name).click()
        return waiting.value

    table = save("Save as TSV")
    assert table.suggested_filename == "similar.tsv"
    *comments, heading = content(table).splitlines()[:10]
    facts = {name: json.loads(value) for name, value in (line[2:].split(": ", 1) for line in comments)}
    settings = {"top_n": 10, "threshold": 0, "source": None, "strand": "both", "sort": "similarity"}
    assert facts.pop("data_version") == SearchIndex.open(str(page_home)).data_version
    (odd,) = facts.pop("refused")
    assert (odd["name"], odd["record"], odd["line"]) == ("odd", 2, 3)
    assert odd["reason"].startswith("query odd: illegal letter '!'")
    assert facts == {
        "table": "tfidf_index",
        "version": 0,
        "sequences_searched": 34,
        "settings": settings,
        "candidates": 10,
        "queries": 1,
        "queries_without_hits": [],
    }
    rows = content(table).splitlines()[10:]
    assert heading.split("\t") == SIMILAR_SCHEMA.names
    assert [row.split("\t")[:8] for row in rows] == [
        [
            "mine",
            str(hit.rank),
            hit.seq_id,
            hit.source,
            *map(number, (hit.similarity, hit.containment, hit.identity, hit.k)),
        ]
        for hit in hits
    ]
    answer = json.loads(content(save("Save as JSON")))
    assert answer["results"][0]["hits"] == [vars(hit) for hit in hits]
    assert content(save("Save the identifiers")).split() == [hit.seq_id for hit in hits]
    page.get_by_role("button", name=re.compile("plant7")).click()
    record = save("Save as FASTA")
    assert record.suggested_filename == "plant7.fasta"
    assert content(record).startswith(">plant7 a plant, of file 1\n")
    page.get_by_role("button", name="Search with this sequence").click()
    expect(page.locator("#query-size")).to_have_text("1 sequence, 707 letters")
    expect(page.locator(".hit .value").first).to_have_text(re.compile("1.0000"))


def test_files_are_read(page: Page, tmp_path: Path) -> None:
    text = f">filed\n{QUERY}\n"
    (tmp_path / "query.fasta").write_text(text)
    (tmp_path / "query.fasta.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "large.fasta").write_text(f">large\n{'ACGT' * 20_000}\n")
    for name in ("query.fasta", "query.fasta.gz"):
        page.get_by_role("button", name="Clear").click()
        page.locator("#file").set_input_files(tmp_path / name)
        expect(page.get_by_label("Query", exact=True)).to_have_value(text)
        expect(page.locator("#query-size")).to_have_text("1 sequence, 300 letters")
    page.locator("#file").set_input_files(tmp_path / "large.fasta")
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("more than the 50,000 bytes")
    (tmp_path / "packed.fasta").write_bytes(bz2.compress(text.encode()))
    (tmp_path / "wide.fasta").write_text(text, "utf-16")
    for name in ("packed.fasta", "wide.fasta"):
        page.locator("#file").set_input_files(tmp_path / name)
        expect(page.get_by_role("alert").filter(visible=True)).to_contain_text(f"{name} holds no text")
    (tmp_path / "no-ending").write_bytes(gzip.compress(text.encode()))
    page.locator("#file").set_input_files(tmp_path / "no-ending")
    expect(page.get_by_label("Query", exact=True)).to_have_value(text)
    page.get_by_label("Query", exact=True).evaluate(
        "(field, text) => { const files = new DataTransfer(); files.items.add(new File([text], 'dropped.fa'));"
        "field.dispatchEvent(new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true})); }",
        f">dropped\n{QUERY}\n",
    )
    expect(page.get_by_label("Query", exact=True)).to_have_value(f">dropped\n{QUERY}\n")
