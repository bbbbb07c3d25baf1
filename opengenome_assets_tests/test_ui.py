"""The user interface: what a user sees who starts it, presses "Materialize all" and looks at the result."""

import os
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from opengenome_assets_tests.processes import processes_of, started, wait_for

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MILLISECONDS = 60_000  # for a page to show what it has to show; a run has RUN_MILLISECONDS
RUN_MILLISECONDS = 240_000

pytestmark = pytest.mark.timeout(480)


@pytest.fixture(scope="module")
def browser_page(tool: Callable[[str], str]) -> Iterator[Page]:
    chromium = tool("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(MILLISECONDS)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ui") / "home"


@pytest.fixture(scope="module")
def address(home: Path, browser_page: Page) -> Iterator[str]:
    """Address of the page that `make ui` opens; the browser is asked for first, being the quicker to be missing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert server.poll() is None, Path(f"{home}.log").read_text()
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=5):
                return True
        except OSError:
            return False

    with started(["dagster", "dev", "--host", "127.0.0.1", "--port", str(port)], home) as server:
        wait_for(answers, "answer of the web server")
        yield url
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
        wait_for(lambda: not processes_of(home), "end of the processes of `dagster dev`", 30)


@pytest.fixture(scope="module")
def page(address: str, browser_page: Page, home: Path) -> Page:
    """The browser after a run of everything, started by the button and seen to succeed."""
    page = browser_page
    page.goto(f"{address}/locations/opengenome_assets.definitions/asset-groups/corpus/lineage")
    page.get_by_role("button", name="Materialize all").click()
    expect(page.get_by_text("Launched run")).to_be_visible()
    page.goto(f"{address}/runs")
    page.locator("a[href^='/runs/']").first.click()
    ended = page.get_by_text(re.compile("^(Success|Failure|Canceled)$")).first
    ended.wait_for(timeout=RUN_MILLISECONDS)
    assert ended.inner_text() == "Success", Path(f"{home}.log").read_text()
    return page


def test_the_graph_shows_every_asset_as_made(page: Page, address: str, tmp_path: Path) -> None:
    page.goto(f"{address}/locations/opengenome_assets.definitions/asset-groups/corpus/lineage")
    page.wait_for_timeout(4000)
    open("/tmp/h/ui/graph.html", "w").write(page.content())
    page.screenshot(path="/tmp/h/ui/t1.png")
