"""The search page in a browser: opening it, searching, and reading what it shows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Download, Page, expect

from opengenome_assets.search import Hit, SearchIndex, read_queries

DESKTOP, PHONE = (1200, 900), (390, 844)


@contextmanager
def opened(chromium: Browser, url: str, size: tuple[int, int] = DESKTOP, path: str = "") -> Iterator[Page]:
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
    page.goto(f"{url}{path}")
    yield page
    context.close()
    own = url.partition("#")[0]
    assert [address for address in asked if not address.startswith((own, "blob:"))] == []
    assert failures == []


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


def content(download: Download) -> str:
    """Return what was saved."""
    return download.path().read_text()
