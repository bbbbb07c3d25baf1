"""The search page in headless Chromium: what is pasted, seen and opened; by mouse, by keys, on a phone.

Pictures of the page lie beside the home, in the temporary folder that pytest keeps of its last runs.
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from opengenome_assets.search import SearchIndex, find_kmer, read_queries
from opengenome_assets_tests.service.conftest import FILES, QUERY, Server, make, running
from opengenome_assets_tests.service.pages import (
    PHONE,
    content,
    expected,
    found,
    is_within,
    opened,
    picture,
    search,
    shown,
)


def test_a_sequence_is_pasted_searched_and_a_hit_opened(page: Page, page_home: Path) -> None:
    expect(page.get_by_text("Paste a sequence, or begin with an example.")).to_be_visible()
    expect(page.get_by_role("link", name="Dagster")).to_have_attribute("href", "http://127.0.0.1:3000")
    search(page, f">mine\n{QUERY}")
    hits = expected(page_home, QUERY)
    assert found(page) == shown(hits)
    expect(page.locator("#similar-status")).to_have_text(re.compile(r"10 hits in \d+ ms, tfidf_index version 0\."))
    expect(page.get_by_role("heading", name="mine")).to_contain_text("300 letters")
    widths = page.locator("#similar-results .bar i").evaluate_all(
        "bars => bars.map(bar => bar.offsetWidth / bar.parentElement.offsetWidth)"
    )
    assert widths == pytest.approx([hit.similarity for hit in hits], abs=0.02)
    hit = page.get_by_role("button", name=re.compile("plant7"))
    expect(hit.locator(".held")).to_contain_text("100\N{NO-BREAK SPACE}%")
    expect(hit.locator(".held")).to_contain_text("identity \N{ALMOST EQUAL TO} 100\N{NO-BREAK SPACE}%")
    assert hit.locator(".label").evaluate_all("all => all.map(each => each.offsetWidth)") == [1, 1]  # in the headings
    expect(hit.locator(".value")).to_contain_text("as given")
    expect(page.locator("#similar-results .held").last).to_contain_text("0\N{NO-BREAK SPACE}%")
    expect(page.locator("#similar-results .value").last).to_have_text(re.compile(r"^similarity 0\.\d{4}$"))
    expect(
        page.get_by_text("Containment is the share of the query\N{RIGHT SINGLE QUOTATION MARK}s distinct 19-mers")
    ).to_be_visible()
    hit.click()
    why = page.get_by_role("region", name="Why plant7 is similar")
    index = SearchIndex.open(str(page_home))
    explanation = index.explain(read_queries(QUERY)[0], hits[0])
    rows = why.locator(".terms:not(.stretches) tbody tr")
    expect(rows).to_have_count(20)
    heaviest = explanation.terms[0]
    expect(rows.first).to_contain_text(heaviest.kmer)
    expect(rows.first).to_contain_text(f"{heaviest.share * 100:.2f} %")
    expect(why.get_by_text(f"20 of {explanation.shared} shared 6-mers")).to_be_visible()
    drawing = why.get_by_role("img", name=re.compile("4,096 6-mers in mine, upwards, and in plant7"))
    assert all("v" in (drawing.locator(f".{side}").get_attribute("d") or "") for side in ("query", "subject"))
    stretch = index.matches(read_queries(QUERY)[0], hits[0]).stretches[0]
    expect(why.locator(".stretches tbody tr").first).to_contain_text(f"{stretch.hit_start}\N{EN DASH}{stretch.hit_end}")
    expect(why.get_by_text("stretch of shared 19-mers on 100.0 % of the query's letters.")).to_be_visible()
    dots = why.get_by_role("img", name=re.compile("^Dot plot of mine, from left to right, and of letters .* of plant7"))
    assert dots.locator(".query").get_attribute("d").startswith("M")
    picture(page, page_home, "search")
    hit.click()
    expect(why).to_be_hidden()


def test_several_queries_and_options(page: Page, page_home: Path) -> None:
    reverse = QUERY[::-1].translate(str.maketrans("ACGT", "TGCA"))
    page.get_by_label("Hits").fill("3")
    page.locator("#source").select_option("plants")
    expect(page.locator("#both-strands")).to_be_checked()
    text = f">forth\n{QUERY}\n>back\n{reverse}\n"
    search(page, text)
    hits = expected(page_home, text, top_n=3, source="plants")
    assert found(page) == shown(hits)
    assert [hit.strand for hit in hits][::3] == ["+", "-"]
    back = page.get_by_role("region", name="back")
    expect(back.locator(".hit").first).to_contain_text("reverse complement")
    # The second query's own record is what its hit is explained with.
    back.locator(".hit").first.click()
    expect(back.get_by_text("that of its reverse complement")).to_be_visible()
    expect(back.get_by_role("img", name=re.compile("in back, upwards"))).to_be_visible()


def test_a_record_that_cannot_be_searched_is_named_and_the_others_are_searched(page: Page, page_home: Path) -> None:
    search(page, f">empty\n\n>mine\n{QUERY}\n")
    assert found(page) == shown(expected(page_home, QUERY))
    expect(page.get_by_role("alert").filter(visible=True)).to_have_text("Not searched: query empty: empty sequence")
    page.locator(".hit").first.click()
    expect(page.get_by_text(re.compile("of the query's letters"))).to_be_visible()  # of the second record


def test_a_hit_that_shares_no_stretch_says_so(page: Page) -> None:
    search(page, f">mine\n{QUERY}")
    page.locator(".hit").last.click()
    expect(page.get_by_text("share no 19-mer outside repeats")).to_be_visible()


def test_hits_are_sorted_by_containment(page: Page, page_home: Path) -> None:
    text = f">both\n{QUERY[:200]}{FILES['animals/animals.fasta']['twin in animals'][:80]}\n>short\nACGTACGTACGT"
    page.get_by_label("Sort by").select_option("containment")
    page.get_by_label("Hits").fill("2")
    search(page, text)
    hits = expected(page_home, text, top_n=2, sort="containment")
    assert found(page) == shown(hits)
    assert [hit.seq_id for hit in hits[:2]] == ["plant7", "twin"]
    expect(page.locator("#similar-status")).to_contain_text(
        "Sorted by containment among the 20 most similar sequences."
    )
    short = page.get_by_role("region", name="short")
    expect(short).to_contain_text("Containment needs 17 letters of A, C, G, T in a row")
    expect(short.locator("ol .held").first).to_have_text("containment \N{EN DASH}")


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


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [
        ("Hits", "", "Hits: expected a whole number from 1 to 1,000, found none."),
        ("Hits", "1.5", "Hits: expected a whole number from 1 to 1,000, found 1.5."),
        ("Least similarity", "", "Least similarity: expected a number from 0 to 1, found none."),
        ("Least similarity", "2", "Least similarity: expected a number from 0 to 1, found 2."),
    ],
)
def test_a_field_without_its_number_is_named(page: Page, label: str, value: str, said: str) -> None:
    page.get_by_label(label).fill(value)
    search(page, QUERY)
    expect(page.get_by_role("alert").filter(visible=True)).to_have_text(said)


def test_a_kmer_that_cannot_be_searched_is_refused_and_not_cut(page: Page) -> None:
    page.get_by_role("tab", name="k-mers").click()
    alert = page.get_by_role("alert").filter(visible=True)
    for kmer, said in [
        ("", "k-mer: expected 1 to 31 of the letters A, C, G, T, found none."),
        ("ACGT" * 8, "the k-mer has 32 letters; expected 1 to 31"),
        ("ACGT" * 40, "the k-mer has 160 letters; expected 1 to 31"),
    ]:
        page.get_by_label("k-mer", exact=True).fill(kmer)
        page.keyboard.press("Enter")
        expect(alert).to_have_text(said)
    page.get_by_label("k-mer", exact=True).fill("ACG")
    page.get_by_label("Least count").fill("")
    page.keyboard.press("Enter")
    expect(alert).to_have_text("Least count: expected a whole number of at least 1, found none.")
    page.get_by_label("Least count").fill("1")
    page.keyboard.press("Enter")
    expect(page.locator("#kmers-results .hit").first).to_be_visible()


def test_the_direction_of_a_name_ends_with_it(page: Page) -> None:
    name = "\N{RIGHT-TO-LEFT OVERRIDE}eman"
    search(page, f">{name}\n{QUERY}")
    heading = page.get_by_role("heading", name="300 letters")
    expect(heading.locator("bdi")).to_have_text(name)
    assert heading.evaluate("h2 => h2.querySelector('bdi').offsetLeft < h2.querySelector('small').offsetLeft")


@pytest.mark.parametrize("width", [1280, 1024, 1000, 990, 900])
def test_forms_are_no_wider_than_the_page(chromium: Browser, page_server: Server, width: int) -> None:
    with opened(chromium, f"{page_server.url}/", (width, 800)) as page:
        for tab in ("Similar sequences", "k-mers"):
            page.get_by_role("tab", name=tab).click()
            form = page.get_by_role("tabpanel", name=tab).locator(".options")
            right = "each => each.getBoundingClientRect().right"
            assert form.locator("> :last-child").evaluate(right) <= form.evaluate(right) + 0.5


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


def test_kmers_are_found_with_their_places(page: Page, page_home: Path) -> None:
    page.get_by_role("tab", name="k-mers").click()
    page.get_by_label("k-mer", exact=True).fill("acgtc")
    page.get_by_label("Least count").fill("2")
    expect(page.locator("#kmer-both-strands")).to_be_checked()
    page.get_by_label("Positions").check()
    page.get_by_role("button", name="Search", exact=True).click()
    matches = find_kmer("ACGTC", home=str(page_home), min_count=2, positions=50)
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
    picture(page, page_home, "kmers")
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
    assert {"top-n", "threshold", "source", "sort", "both-strands", "Search"} <= seen
    assert first.evaluate("hit => getComputedStyle(hit).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator(".why:visible .terms:not(.stretches)")).to_be_visible()
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


def test_a_phone_shows_all_of_it(chromium: Browser, page_server: Server, page_home: Path) -> None:
    with opened(chromium, f"{page_server.url}/", PHONE) as page:
        expect(page.locator("#examples")).to_be_visible()
        assert is_within(page)
        search(page, f">mine\n{QUERY}")
        found(page)
        hit = page.locator(".hit").first
        assert hit.locator(".value").inner_text().startswith("similarity 0.")
        assert hit.locator(".held").inner_text().startswith("containment 100")
        assert all(box["width"] > 20 for box in (label.bounding_box() for label in hit.locator(".label").all()) if box)
        expect(page.locator(".hit").first).to_be_in_viewport(ratio=1)  # without a scroll of the reader's own
        page.screenshot(path=page_home.with_name("search-phone-fold.png"), animations="disabled")
        assert is_within(page)
        page.locator(".hit").first.click()
        expect(page.locator(".terms:not(.stretches)")).to_be_visible()
        assert is_within(page)
        picture(page, page_home, "search-phone")
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
        for unsendable in ("tok\N{LATIN SMALL LETTER E WITH ACUTE}n", "\N{GREEK SMALL LETTER TAU}oken"):
            field.fill(unsendable)
            page.get_by_role("button", name="Go on").click()
            expect(field).to_have_value("")
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
