"""The page of jobs in headless Chromium: files are dropped, jobs followed and cancelled, results sorted and saved.

Pictures of the page lie beside the home, in the temporary folder that pytest keeps of its last runs.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from opengenome_assets import groups
from opengenome_assets.proteins.settings import SAMPLE_FOLDER as PROTEINS
from opengenome_assets.service.access.tokens import SCOPES, Scope, tokens_of
from opengenome_assets.service.jobs.store import Jobs
from opengenome_assets.settings import Settings
from opengenome_assets.variants.settings import SAMPLE_FOLDER as SAMPLES
from opengenome_assets_tests.service.conftest import Server, running
from opengenome_assets_tests.service.pages import DESKTOP, PHONE, content, is_within, opened, picture

ISOLATE = PROTEINS / "escherichia-prot_proteins.fasta"
MAY = {
    "read": "look at jobs and their results, but not send any",
    "submit": "send jobs, and cancel your own",
    "admin": "send jobs, and cancel your own and those of others",
}
DROP = """([place, name, text]) => {
  const given = new DataTransfer();
  given.items.add(new File([text], name));
  document.querySelector(place).dispatchEvent(new DragEvent("drop", { dataTransfer: given, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs_page") / "home"


@pytest.fixture(scope="module")
def texts(home: Path) -> dict[str, str]:
    """Tokens, by scope."""
    return {scope: tokens_of(str(home)).create(f"{scope}er", scope, 1)[1] for scope in SCOPES}


@pytest.fixture(scope="module")
def server(home: Path, texts: dict[str, str]) -> Iterator[Server]:
    with running(home, ready=False, OPENGENOME_SEARCH_REQUESTS_PER_MINUTE="0") as server:
        yield server


@contextmanager
def jobs_page(
    chromium: Browser, server: Server, texts: dict[str, str], scope: Scope, size: tuple[int, int] = DESKTOP
) -> Iterator[Page]:
    with opened(chromium, f"{server.url}/", size, "jobs") as page:
        page.get_by_role("textbox", name="Token").fill(texts[scope])
        page.get_by_role("button", name="Go on").click()
        expect(page.locator("#who")).to_contain_text(f"Known here as {scope}er, you may {MAY[scope]}.")
        yield page


@pytest.fixture
def page(chromium: Browser, server: Server, texts: dict[str, str]) -> Iterator[Page]:
    with jobs_page(chromium, server, texts, "submit") as page:
        yield page


def send(page: Page, kind: str, *files: Path, **options: str) -> None:
    page.get_by_label("Kind").select_option(kind)
    for name, value in options.items():
        page.get_by_label(name).fill(value)
    page.locator("#files").set_input_files(list(files))
    page.get_by_role("button", name="Send", exact=True).click()


@pytest.mark.slow
def test_proteins_are_sent_and_their_results_sorted_filtered_and_saved(page: Page, home: Path) -> None:
    send(page, "proteins", ISOLATE, organism="Escherichia")
    expect(page.locator("#job-title")).to_have_text(re.compile("Job [0-9a-f]{12}: done"), timeout=60_000)
    rows = page.locator("#results tbody tr")
    expect(rows).to_have_count(3)
    symbols = page.locator("#results td[data-label=symbol]")
    heading = page.locator("#results thead").get_by_role("button", name="symbol")
    heading.click()
    expect(symbols).to_have_text(["nfsA_K141STOP", "nfsA_R15C", "pmrB_C84R"])
    heading.click()
    expect(symbols).to_have_text(["pmrB_C84R", "nfsA_R15C", "nfsA_K141STOP"])
    expect(page.locator("#results th[aria-sort=descending]")).to_contain_text("symbol")
    page.get_by_label("Filter rows of mutation_calls").fill("pmrb c84")
    expect(symbols).to_have_text(["pmrB_C84R"])
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert saved.value.suggested_filename.endswith("_mutation_calls.tsv")
    assert content(saved.value).count("\n") == 4
    page.get_by_label("Form").select_option("hamronization")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert content(saved.value).splitlines()[0].startswith("input_file_name\t")
    page.get_by_label("Table").select_option("mutation_status")
    expect(page.locator("#results td[data-label=outcome]").first).to_be_visible()
    picture(page, home, "jobs")


def test_what_is_dropped_and_cannot_be_used_is_refused_in_the_server_s_words(page: Page, home: Path) -> None:
    page.get_by_label("Kind").select_option("sample")
    page.evaluate(DROP, ["#drop", "samples.csv", "sample,fastq_1,fastq_2\n<b>A</b>,a_1.fq,a_2.fq\n"])
    expect(page.locator("#chosen b")).to_have_text("samples.csv")
    expect(page.get_by_label("Role of samples.csv")).to_have_value("")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#send-problem")).to_contain_text("samples.csv, line 2: sample is '<b>A</b>'. Expected letters")
    page.get_by_role("button", name="Remove samples.csv").click()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#send-problem")).to_contain_text("expected one sample sheet, found none")
    picture(page, home, "jobs_refused")


def test_samples_wait_are_followed_and_cancelled_on_a_phone(
    chromium: Browser, server: Server, home: Path, texts: dict[str, str]
) -> None:
    with jobs_page(chromium, server, texts, "submit", PHONE) as page:
        reads = sorted(SAMPLES.glob("HG03706*.fastq.gz"))
        sheet = home.with_name("samples.csv")
        sheet.write_text(
            "\n".join(line for line in (SAMPLES / "samples.csv").read_text().splitlines() if "HG03478" not in line)
        )
        send(page, "sample", sheet, *reads)
        expect(page.locator("#job-title")).to_contain_text("waiting, place 1", timeout=30_000)
        expect(page.locator("#job-body")).to_contain_text("Reads are aligned to the human mitochondrial genome")
        (job,) = Jobs(Settings(home=str(home)), groups.job_kinds()).waiting(groups.job_kinds()["sample"])
        with job.claimed():
            expect(page.locator("#jobs progress")).to_be_visible(timeout=15_000)
            expect(page.locator("#jobs")).to_contain_text("0 of 16 parts, 0 %")
            assert is_within(page)
            picture(page, home, "jobs_phone")
        page.get_by_role("button", name="Cancel this job").click()
        expect(page.locator("#job-title")).to_contain_text("cancelled")
        page.get_by_label("Filter jobs").fill("cancelled sample")
        expect(page.locator("#jobs tbody tr")).to_have_count(1)
        page.get_by_label("Filter jobs").fill("nothing")
        expect(page.locator("#jobs tbody tr")).to_have_count(0)
        assert is_within(page)


def test_who_may_only_read_sees_no_form(chromium: Browser, server: Server, texts: dict[str, str]) -> None:
    with jobs_page(chromium, server, texts, "read") as page:
        expect(page.get_by_role("button", name="Send", exact=True)).to_be_hidden()
        page.get_by_role("link", name="Search").click()
        expect(page.get_by_role("link", name="Jobs")).to_be_visible()
