"""The search page in headless Chromium: what is pasted, seen, opened, saved and linked; by mouse, by keys, on a phone.

Pictures of the page lie beside the home, in the temporary folder that pytest keeps of its last runs.
"""

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Download, Locator, Page, expect

from opengenome_assets.search import Hit, SearchIndex, find_kmer, read_queries
from opengenome_assets_tests.search.server.conftest import FILES, QUERY, Server, letters, make, running

DESKTOP, PHONE = (1200, 900), (390, 844)


@pytest.fixture(scope="module")
def served_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "home"
    make(folder)
    return folder


@pytest.fixture(scope="module")
def server(served_home: Path) -> Iterator[Server]:
    variables = {
        "OPENGENOME_SEARCH_REQUESTS_PER_MINUTE": "0",
        "OPENGENOME_SEARCH_DAGSTER_URL": "http://127.0.0.1:3000",
        "OPENGENOME_SEARCH_MAX_BODY_BYTES": "50000",
    }
    with running(served_home, **variables) as server:
        yield server


@contextmanager
def opened(chromium: Browser, url: str, size: tuple[int, int] = DESKTOP) -> Iterator[Page]:
    """Open the page in a fresh browser; nothing may be asked of another site, and nothing fail in silence."""
    context: BrowserContext = chromium.new_context(
        viewport={"width": size[0], "height": size[1]}, accept_downloads=True
    )
    page = context.new_page()
    failures: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda message: "Content Security" in message.text and failures.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    yield page
    context.close()
    own = url.partition("#")[0]
    assert [address for address in asked if not address.startswith((own, "blob:"))] == []
    assert failures == []


@pytest.fixture
def page(chromium: Browser, server: Server) -> Iterator[Page]:
    """The page on a desktop, ready to search."""
    with opened(chromium, f"{server.url}/") as page:
        expect(page.locator("#corpus")).to_have_text("34 sequences of 3 sources, tfidf_index version 0")
        yield page


def search(page: Page, text: str) -> None:
    page.get_by_label("Query", exact=True).fill(text)
    page.get_by_role("button", name="Search", exact=True).click()


def found(page: Page) -> list[tuple[str, str]]:
    """Return identifiers and values of the hits that are shown."""
    hits = page.locator("#similar-results .hit")
    expect(hits.first).to_be_visible()
    rows: list[tuple[str, str]] = hits.evaluate_all(
        "hits => hits.map(hit => [hit.querySelector('b').innerText, hit.querySelector('.value').innerText"
        ".match(/[01]\\.\\d{4}/)[0]])"
    )
    return [(name, value) for name, value in rows]


def expected(home: Path, text: str, **options: Any) -> list[Hit]:
    return [hit for hits in SearchIndex.open(str(home)).similar(read_queries(text), **options) for hit in hits]


def shown(hits: list[Hit]) -> list[tuple[str, str]]:
    return [(hit.seq_id, f"{hit.similarity:.4f}") for hit in hits]


def is_within(page: Page) -> bool:
    """Tell whether nothing stands out of the page to the right."""
    within: bool = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    return within


def picture(page: Page, home: Path, name: str) -> None:
    page.screenshot(path=home.with_name(f"{name}.png"), full_page=True, animations="disabled")


def test_a_sequence_is_pasted_searched_and_a_hit_opened(page: Page, served_home: Path) -> None:
    expect(page.get_by_text("Paste a sequence, or begin with an example.")).to_be_visible()
    expect(page.get_by_role("link", name="Dagster")).to_have_attribute("href", "http://127.0.0.1:3000")
    search(page, f">mine\n{QUERY}")
    hits = expected(served_home, QUERY)
    assert found(page) == shown(hits)
    expect(page.locator("#similar-status")).to_have_text(re.compile(r"10 hits in \d+ ms, tfidf_index version 0\."))
    expect(page.get_by_role("heading", name="mine")).to_contain_text("300 letters")
    widths = page.locator("#similar-results .bar i").evaluate_all(
        "bars => bars.map(bar => bar.offsetWidth / bar.parentElement.offsetWidth)"
    )
    assert widths == pytest.approx([hit.similarity for hit in hits], abs=0.02)
    hit = page.get_by_role("button", name=re.compile("plant7"))
    hit.click()
    why = page.get_by_role("region", name="Why plant7 is similar")
    index = SearchIndex.open(str(served_home))
    explanation = index.explain(read_queries(QUERY)[0], hits[0])
    rows = why.locator("tbody tr")
    expect(rows).to_have_count(20)
    heaviest = explanation.terms[0]
    expect(rows.first).to_contain_text(heaviest.kmer)
    expect(rows.first).to_contain_text(f"{heaviest.share * 100:.2f} %")
    expect(why.get_by_text(f"20 of {explanation.shared} shared 6-mers")).to_be_visible()
    drawing = why.get_by_role("img", name=re.compile("4,096 6-mers in mine, upwards, and in plant7"))
    assert all("v" in (drawing.locator(f".{side}").get_attribute("d") or "") for side in ("query", "subject"))
    picture(page, served_home, "search")
    hit.click()
    expect(why).to_be_hidden()


def test_several_queries_and_options(page: Page, served_home: Path) -> None:
    reverse = QUERY[::-1].translate(str.maketrans("ACGT", "TGCA"))
    page.get_by_label("Hits").fill("3")
    page.locator("#source").select_option("plants")
    page.locator("#both-strands").check()
    text = f">forth\n{QUERY}\n>back\n{reverse}\n"
    search(page, text)
    hits = expected(served_home, text, top_n=3, source="plants", both_strands=True)
    assert found(page) == shown(hits)
    assert [hit.strand for hit in hits][::3] == ["+", "-"]
    back = page.get_by_role("region", name="back")
    expect(back.locator(".hit").first).to_contain_text("reverse")
    # The second query's own record is what its hit is explained with.
    back.locator(".hit").first.click()
    expect(back.get_by_text("that of its reverse complement")).to_be_visible()
    expect(back.get_by_role("img", name=re.compile("in back, upwards"))).to_be_visible()


def test_a_search_that_finds_nothing_is_no_failure(page: Page) -> None:
    page.get_by_label("Least similarity").fill("1")
    search(page, "ACGT" * 10)
    expect(page.locator("#similar-status")).to_have_text(re.compile("No hits"))
    expect(page.get_by_text("No sequence of the corpus is at least 1 similar to it.")).to_be_visible()
    expect(page.locator(".notice:visible")).to_have_count(0)


@pytest.mark.parametrize(
    ("text", "said"), [("", "found nothing"), (">a\nACGT!ACGT", "!"), ("ACGT", "longer sequence"), ("ACGU" * 9, "U")]
)
def test_what_cannot_be_searched_is_said(page: Page, text: str, said: str) -> None:
    search(page, text)
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text(said)
    search(page, QUERY)
    assert found(page)[0][0] == "plant7"
    expect(page.get_by_role("alert").filter(visible=True)).to_have_count(0)


def test_a_server_that_is_gone_is_said(chromium: Browser, tmp_path: Path) -> None:
    make(tmp_path / "home")
    with running(tmp_path / "home") as server:
        page = chromium.new_page()
        page.goto(f"{server.url}/")
        expect(page.locator("#corpus")).to_contain_text("34 sequences")
    search(page, QUERY)
    expect(page.get_by_role("alert").filter(visible=True)).to_have_text(
        "The server does not answer. Is it still running?"
    )
    page.close()


def test_kmers_are_found_with_their_places(page: Page, served_home: Path) -> None:
    page.get_by_role("tab", name="k-mers").click()
    page.get_by_label("k-mer", exact=True).fill("acgtc")
    page.get_by_label("Least count").fill("2")
    page.locator("#kmer-both-strands").check()
    page.get_by_label("Positions").check()
    page.get_by_role("button", name="Search", exact=True).click()
    matches = find_kmer("ACGTC", home=str(served_home), both_strands=True, min_count=2, positions=50)
    hits = page.locator("#kmers-results .hit")
    expect(hits).to_have_count(matches.sequences)
    assert matches.sequences > 5
    expect(page.locator("#kmers-status")).to_contain_text(
        f"{matches.occurrences} occurrences in {matches.sequences} of 34 sequences"
    )
    expect(hits.first.locator("b")).to_have_text(matches.hits[0].seq_id)
    sign = {"+": "", "-": " \N{MINUS SIGN}"}
    places = [f"{each.start}{sign[each.strand]}" for each in matches.hits[0].occurrences]
    assert page.locator(".positions").first.locator("li").all_inner_texts() == places
    picture(page, served_home, "kmers")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as TSV").click()
    rows = [line.split("\t") for line in content(waiting.value).splitlines() if not line.startswith("#")]
    assert rows[0] == ["rank", "seq_id", "source", "count", "reverse", "length", "description", "occurrences", "file"]
    assert rows[1][7] == ",".join(f"{each.start}{each.strand}" for each in matches.hits[0].occurrences)
    page.get_by_label("k-mer", exact=True).fill("ACGNA")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("letter 4 of the k-mer is 'N'")
    page.get_by_label("k-mer", exact=True).fill("A" * 30)
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"No sequence holds {'A' * 30} at least 2 times.")).to_be_visible()


def test_headers_of_the_corpus_are_text_and_no_markup(page: Page) -> None:
    search(page, FILES["animals/animals.fasta"]["<b>bold</b> of markup"])
    expect(page.locator(".hit b").first).to_have_text("<b>bold</b>")
    assert page.locator(".hit b b").count() == 0


def test_a_link_reproduces_a_search(page: Page, chromium: Browser) -> None:
    page.get_by_label("Hits").fill("4")
    page.locator("#both-strands").check()
    search(page, f">mine\n{QUERY}")
    hits = found(page)
    assert len(hits) == 4
    with opened(chromium, page.url) as another:
        assert found(another) == hits
        expect(another.get_by_label("Query", exact=True)).to_have_value(f">mine\n{QUERY}")
        expect(another.locator("#both-strands")).to_be_checked()
    search(page, letters(300, 5))
    others = found(page)
    assert others != hits
    page.go_back()
    expect(page.get_by_label("Query", exact=True)).to_have_value(f">mine\n{QUERY}")
    expect(page.get_by_role("heading", name="mine")).to_be_visible()
    assert found(page) == hits


def test_an_example_is_linked_by_its_place_in_the_corpus(page: Page, chromium: Browser) -> None:
    page.locator("#examples button").last.click()
    hits = found(page)
    assert hits[0][0] == "plant29"
    assert "plant29" in page.url
    assert "ACGT" not in page.url
    with opened(chromium, page.url) as another:
        assert found(another) == hits


def test_what_is_too_long_for_a_link_is_searched_all_the_same(page: Page) -> None:
    search(page, letters(10_000, 4))
    assert found(page)
    assert "#" not in page.url
    page.get_by_role("button", name="Copy link to this search").click()
    expect(page.locator("#similar-status")).to_contain_text("too long for a link")


def test_a_kmer_search_is_linked_too(chromium: Browser, server: Server) -> None:
    link = f"{server.url}/#search=kmers&kmer=ACGTA&min_count=2&limit=5&both_strands=true&positions=50"
    with opened(chromium, link) as page:
        expect(page.locator("#kmers-results .hit")).to_have_count(5)
        expect(page.get_by_role("tab", name="k-mers")).to_have_attribute("aria-selected", "true")
        assert page.url == link


def content(download: Download) -> str:
    return download.path().read_text()


def test_results_are_saved(page: Page, served_home: Path) -> None:
    search(page, f">mine\n{QUERY}")
    hits = expected(served_home, QUERY)
    found(page)

    def save(name: str) -> Download:
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name).click()
        return waiting.value

    table = save("Save as TSV")
    assert table.suggested_filename == "similar.tsv"
    *comments, heading = content(table).splitlines()[:6]
    assert comments[:2] == ['# table: "tfidf_index"', "# version: 0"]
    rows = content(table).splitlines()[6:]
    assert heading.split("\t")[:5] == ["query", "rank", "seq_id", "source", "similarity"]
    assert [row.split("\t")[:5] for row in rows] == [
        ["mine", str(hit.rank), hit.seq_id, hit.source, str(hit.similarity)] for hit in hits
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
    page.get_by_label("Query", exact=True).evaluate(
        "(field, text) => { const files = new DataTransfer(); files.items.add(new File([text], 'dropped.fa'));"
        "field.dispatchEvent(new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true})); }",
        f">dropped\n{QUERY}\n",
    )
    expect(page.get_by_label("Query", exact=True)).to_have_value(f">dropped\n{QUERY}\n")


def focused(page: Page) -> Locator:
    return page.locator(":focus")


def test_keys_alone_do(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(focused(page)).to_have_text("Skip to the search")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    query = page.get_by_label("Query", exact=True)
    query.focus()
    page.keyboard.insert_text(QUERY)
    page.keyboard.press("Control+Enter")
    found(page)
    first = page.locator(".hit").first
    seen = set()
    while first.evaluate("hit => document.activeElement !== hit"):
        page.keyboard.press("Tab")
        seen.add(focused(page).evaluate("each => each.id || each.innerText"))
        assert len(seen) < 30
    assert {"top-n", "threshold", "source", "both-strands", "Search"} <= seen
    assert first.evaluate("hit => getComputedStyle(hit).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator(".why:visible .terms")).to_be_visible()
    page.keyboard.press("Space")
    expect(page.locator(".why:visible")).to_have_count(0)
    tab = page.get_by_role("tab", name="Similar sequences")
    tab.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="k-mers")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="k-mers")).to_be_visible()
    expect(page.get_by_role("tabpanel", name="Similar sequences")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(tab).to_be_focused()


def test_every_control_has_a_name(page: Page) -> None:
    search(page, QUERY)
    found(page)
    nameless = page.locator("input:not([hidden]), select, textarea, button").evaluate_all(
        "all => all.filter(each => !(each.labels?.length || each.innerText.trim() || each.ariaLabel))"
        ".map(each => each.id)"
    )
    assert nameless == []


def test_a_phone_shows_all_of_it(chromium: Browser, server: Server, served_home: Path) -> None:
    with opened(chromium, f"{server.url}/", PHONE) as page:
        expect(page.locator("#examples")).to_be_visible()
        assert is_within(page)
        search(page, f">mine\n{QUERY}")
        found(page)
        assert is_within(page)
        page.locator(".hit").first.click()
        expect(page.locator(".terms")).to_be_visible()
        assert is_within(page)
        picture(page, served_home, "search-phone")
        page.get_by_role("tab", name="k-mers").click()
        assert is_within(page)
        page.get_by_label("k-mer", exact=True).fill("ACGT")
        page.get_by_label("Positions").check()
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator(".positions").first).to_be_visible()
        assert is_within(page)


def test_a_token_is_asked_for_and_kept_while_the_tab_is_open(chromium: Browser, tmp_path: Path) -> None:
    make(tmp_path / "home")
    with (
        running(tmp_path / "home", OPENGENOME_SEARCH_TOKEN="the-token") as server,
        opened(chromium, f"{server.url}/") as page,
    ):
        dialog = page.get_by_role("dialog", name="This server asks for a token")
        field = page.get_by_label("Token", exact=True)
        field.fill("another")
        page.get_by_role("button", name="Go on").click()
        expect(dialog).to_contain_text("does not accept that token")
        field.fill("the-token")
        page.keyboard.press("Enter")
        expect(page.locator("#corpus")).to_contain_text("34 sequences")
        expect(dialog).to_be_hidden()
        page.reload()
        search(page, QUERY)
        assert found(page)[0][0] == "plant7"
        with opened(chromium, f"{server.url}/") as another:
            another.get_by_role("button", name="Cancel").click()
            expect(another.get_by_role("alert").filter(visible=True)).to_contain_text(
                "only for those who have its token"
            )


def test_an_index_that_is_made_later_appears(chromium: Browser, tmp_path: Path) -> None:
    with running(tmp_path / "home", ready=False) as server, opened(chromium, f"{server.url}/") as page:
        expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("make run", timeout=20_000)
        make(tmp_path / "home")
        expect(page.locator("#corpus")).to_contain_text("34 sequences", timeout=30_000)
        expect(page.get_by_role("alert").filter(visible=True)).to_have_count(0)
        search(page, QUERY)
        assert found(page)[0][0] == "plant7"
