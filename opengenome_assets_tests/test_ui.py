"""The user interface: what a user sees who opens it, presses "Materialize all" and looks at the result.

Pictures of the pages lie beside the home, in the temporary folder that pytest keeps of its last runs.
"""

import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Browser, Page, expect

from opengenome_assets.corpus.tables import KMER_FREQUENCIES
from opengenome_assets.definitions import defs
from opengenome_assets.storage.columns import comment
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.processes import DEFAULT_ENGINE, free_port, processes_of, started, typed, wait_for

GROUP = "locations/opengenome_assets.definitions/asset-groups/{}/lineage"
JOB = "locations/opengenome_assets.definitions/jobs/corpus_full"
WIDTH = 1280
PAGE_MILLISECONDS = 60_000
RUN_MILLISECONDS = 300_000
# The run is waited for, however long it takes on a machine that is busy with other things.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def browser(chromium: Browser) -> Page:
    """A page of headless Chromium."""
    expect.set_options(timeout=PAGE_MILLISECONDS)
    page = chromium.new_page(viewport={"width": WIDTH, "height": 1000})
    page.set_default_timeout(PAGE_MILLISECONDS)
    return page


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ui") / "home"


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    """Dagster's and the search's."""
    return free_port(), free_port()


@pytest.fixture(scope="module")
def address(browser: Page, home: Path, ports: tuple[int, int]) -> Iterator[str]:
    """Address of the user interface, served as `make ui` serves it; it is ended as Ctrl-C ends it."""
    port, search_port = ports
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert server.poll() is None, printed(home)
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=5):
                return True
        except OSError:
            return False

    command = ["make", "--silent", "ui", f"PORT={port}", f"SEARCH_PORT={search_port}"]
    with started(command, home, **DEFAULT_ENGINE) as server:
        wait_for(answers, "answer of the web server", RUN_MILLISECONDS / 1000)
        yield url
        os.killpg(server.pid, signal.SIGINT)
        server.wait(60)
        wait_for(lambda: not processes_of(home), "end of everything that was started", 30)


@pytest.fixture(scope="module")
def page(browser: Page, address: str, home: Path) -> Page:
    """The browser after a run of everything, started by the button and seen to succeed."""
    browser.goto(f"{address}/{JOB}")
    browser.get_by_role("button", name="Materialize all").click()
    expect(browser.get_by_text("Launched run")).to_be_visible()
    browser.goto(f"{address}/runs")
    browser.locator("a[href^='/runs/']").first.click()
    end = browser.get_by_text(re.compile("^(Success|Failure|Canceled)$")).first
    end.wait_for(timeout=RUN_MILLISECONDS)
    assert end.inner_text() == "Success", printed(home)
    return browser


def printed(home: Path) -> str:
    """Return what was printed."""
    return Path(f"{home}.log").read_text()


def described(asset: str) -> str:
    """Return an asset's description."""
    return defs.resolve_asset_graph().get(dg.AssetKey(asset)).description or ""


def metadata(page: Page) -> dict[str, str]:
    """Return what an asset's page says of the newest materialisation."""
    table = page.locator("table").filter(has=page.get_by_text("Timestamp", exact=True))
    expect(table.get_by_text("provenance", exact=True)).to_be_visible()
    rows: dict[str, str] = table.evaluate(
        "table => Object.fromEntries([...table.tBodies[0].rows]"
        ".map(row => [row.cells[0].innerText.trim(), row.cells[2].innerText.trim()]))"
    )
    return rows


def passed(page: Page, address: str, asset: str) -> set[str]:
    """Return the names of an asset's checks, all of which have to be shown as passed."""
    names = {key.name for key in defs.resolve_asset_graph().get_check_keys_for_assets({dg.AssetKey(asset)})}
    page.goto(f"{address}/assets/{asset}?view=checks")
    expect(page.get_by_text(f"Checks ({len(names)})")).to_be_visible()
    expect(page.get_by_text("Succeeded", exact=True)).to_have_count(len(names))
    for name in names:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    return names


def picture(page: Page, home: Path, name: str, height: int) -> None:
    """Take a picture of the page, beside the home."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.screenshot(path=home.with_name(f"{name}.png"), animations="disabled")


def test_the_landing_page_shows_runs_of_the_command_line(browser: Page, address: str, home: Path) -> None:
    typed("opengenome run --select raw_fasta", home)
    browser.set_viewport_size({"width": WIDTH, "height": 800})
    browser.goto(address)
    expect(browser.get_by_text("Jobless asset materializations").first).to_be_visible(timeout=RUN_MILLISECONDS)
    picture(browser, home, "ui-landing", 800)


@pytest.mark.parametrize("box", ["intake", "kmers", "codons_and_genes", "figures_and_report"])
def test_each_box_of_the_graph_shows_its_assets_with_their_checks_passed(
    page: Page, address: str, home: Path, box: str
) -> None:
    page.set_viewport_size({"width": WIDTH, "height": 2400})  # so that all nodes are in view, and drawn
    page.goto(f"{address}/{GROUP.format(box)}")
    graph = defs.resolve_asset_graph()
    assets = dg.AssetSelection.groups(box).resolve(graph)
    for key in assets:
        expect(page.locator("foreignObject").get_by_text(key.to_user_string(), exact=True)).to_be_visible()
    checked = [key for key in assets if graph.get_check_keys_for_assets({key})]
    expect(page.locator("foreignObject [style*='accent-green']")).to_have_count(len(checked))
    picture(page, home, f"ui-{box}", 2400)


def test_the_graph_of_all_shows_a_box_for_each_part(page: Page, address: str, home: Path) -> None:
    assert f"Asset graph: {address}/asset-groups" in printed(home)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{address}/asset-groups")
    for box in ("intake", "kmers", "codons_and_genes", "search", "proteins", "variants"):
        expect(page.get_by_text(box, exact=True).first).to_be_visible()
    picture(page, home, "ui-asset-graph", 900)


def test_the_address_of_runs_shows_the_run(page: Page, address: str, home: Path) -> None:
    assert f"Runs:        {address}/runs" in printed(home)
    assert "Checking for new runs for sensor" not in printed(home)
    page.goto(f"{address}/runs")
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()


def test_a_table_says_what_it_holds_and_how_it_was_made(page: Page, address: str, home: Path) -> None:
    page.goto(f"{address}/assets/kmer_freq_k6")
    facts = metadata(page)
    expect(page.get_by_text(described("kmer_freq_k6"))).to_be_visible()
    for column in KMER_FREQUENCIES.template.schema:
        line = page.get_by_role("row").filter(has=page.get_by_text(column.name, exact=True)).first
        expect(line).to_contain_text(str(column.type))
        expect(line).to_contain_text(comment(column) or "no comment")
    tables = Home(str(home))
    expect(page.get_by_text(f"{tables.table('kmer_freq_k6').read().num_rows:,}", exact=True)).to_be_visible()
    assert facts["table_version"] == str(tables.table("kmer_freq_k6").history().newest)
    assert facts["path"] == tables.table("kmer_freq_k6").uri == f"{home}/tables/kmer_freq_k6"
    assert 0 < float(facts["seconds"]) < RUN_MILLISECONDS / 1000
    picture(page, home, "ui-table", 1900)
    assert passed(page, address, "kmer_freq_k6") >= {"columns", "counts_and_ranks"}


@pytest.mark.parametrize(("asset", "reused"), [("sequence_shards", "files_reused"), ("kmer_", "shards_reused")])
def test_a_table_says_how_much_was_reused(page: Page, address: str, asset: str, reused: str) -> None:
    page.goto(f"{address}/assets/{asset}")
    facts = metadata(page)
    assert (facts[reused.removesuffix("_reused")], facts[reused]) == ("3", "0")
    assert "columns" in passed(page, address, asset)


def test_a_figure_is_seen(page: Page, address: str, home: Path) -> None:
    page.goto(f"{address}/assets/figure_kmer_pca")
    facts = metadata(page)
    expect(page.get_by_text(described("figure_kmer_pca"))).to_be_visible()
    for ending in ("png", "svg"):
        assert facts[ending] == f"{home}/figures/figure_kmer_pca.{ending}"
        assert Path(facts[ending]).stat().st_size > 0
    page.get_by_role("row").filter(has_text="picture").get_by_text("[Show Markdown]").click()
    image = page.locator("img[src^='data:image/png;base64,']")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") >= 300
    assert image.get_attribute("alt")
    picture(page, home, "ui-figure", 1000)
    assert passed(page, address, "figure_kmer_pca") == {"not_blank"}


def test_the_search_page_is_there_too_and_finds_what_was_made(
    page: Page, address: str, home: Path, ports: tuple[int, int]
) -> None:
    search = f"http://127.0.0.1:{ports[1]}/"
    assert f"Search page: {search[:-1]}" in printed(home)
    page.goto(search)
    expect(page.locator("#corpus")).to_have_text("29 sequences of 3 sources, tfidf_index version 0")
    expect(page.get_by_role("link", name="Dagster")).to_have_attribute("href", address)
    page.locator("#examples button").first.click()
    expect(page.locator(".hit b").first).to_be_visible()
    example = page.locator("#query").input_value().split()[0].removeprefix(">")
    expect(page.locator(".hit b").first).to_have_text(example)
    page.get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.url == f"{search}report"
