"""Which tables of a report are wider than a page of 1,280 pixels."""

from pathlib import Path

from playwright.sync_api import Browser

_WIDER = "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.getAttribute('aria-label'))"


def wider(chromium: Browser, report: Path) -> list[str]:
    """Return the captions of the tables that do not fit."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    try:
        page.goto(report.as_uri())
        found: list[str] = page.locator(".table").evaluate_all(_WIDER)
        assert page.locator(".table").count() > 3
        return found
    finally:
        page.close()
