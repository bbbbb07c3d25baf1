"""A small corpus with an index, and the server over it: within the test's process, or in one of its own."""

import json
import random
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect

from opengenome_assets.service.app import create_app
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.processes import free_port, started, wait_for
from opengenome_assets_tests.search.corpora import fasta, make_corpus
from opengenome_assets_tests.service.pages import opened
from opengenome_assets_tests.shared import once


def letters(count: int, seed: int) -> str:
    """Random bases."""
    return "".join(random.Random(seed).choices("ACGT", k=count))


FILES = {
    "plants/plants.fasta": {f"plant{number} a plant, of file 1": letters(700 + number, number) for number in range(30)},
    "animals/animals.fasta": {
        "odd/../name a difficult identifier": letters(900, 99),
        "<b>bold</b> of markup": letters(800, 98),
        "twin in animals": letters(500, 97),
    },
    "more/more.fasta": {"twin in more": letters(500, 96)},
}
QUERY = FILES["plants/plants.fasta"]["plant7 a plant, of file 1"][100:400]


def make(home: Path, **changes: dict[str, str]) -> Home:
    """Make the corpus, or its next version with other files."""
    files = {**FILES, **{f"{source}/{source}.fasta": records for source, records in changes.items()}}
    return make_corpus(home, {path: fasta(records) for path, records in files.items() if records})


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, to be read and not changed."""

    def fill(folder: Path) -> Path:
        make(folder)
        return folder

    return once(tmp_path_factory, "search", fill)


@contextmanager
def serving(home: Path, *, ready: bool = True, **limits: Any) -> Iterator[TestClient]:
    """Run the application over a home, and wait until it has an index."""
    app = create_app(Settings(home=str(home)), ServerSettings(**{"requests_per_minute": 0, **limits}))
    with TestClient(app, base_url="http://localhost") as client:
        if ready:
            wait_for(lambda: client.get("/health/ready").status_code == 200, "index")
        yield client


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[TestClient]:
    """The server over the corpus, without a limit on its pace."""
    with serving(home) as client:
        yield client


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    url: str
    pid: int

    def ask(self, path: str, body: Any = None) -> Any:
        """Ask, and return the answer; a refusal is an error."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def is_live(self) -> bool:
        """Tell whether it answers."""
        try:
            return bool(self.ask("/health/live")["live"])
        except OSError:
            return False

    def is_ready(self) -> bool:
        """Tell whether it can search."""
        try:
            return bool(self.ask("/health/ready")["ready"])
        except OSError:
            return False

    def searches(self, version: int) -> bool:
        """Tell whether a version of the index is what it searches."""
        return bool(self.ask("/health/ready")["tfidf_index"] == version)

    def peak(self) -> int:
        """The most memory that it ever had, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@contextmanager
def running(home: Path, *, ready: bool = True, **variables: str) -> Iterator[Server]:
    """Run the server in a process of its own, as a user starts it, and wait until it answers or has an index."""
    port = free_port()
    with started(["opengenome", "serve", "--port", str(port)], home, **variables) as process:
        server = Server(f"http://127.0.0.1:{port}", process.pid)
        wait_for(server.is_ready if ready else server.is_live, "answer of the server")
        yield server


@pytest.fixture(scope="session")
def page_home(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus that the page searches; pictures of the page lie beside it."""
    # A copy of its own for each process: beside it lies the log of that process's server.
    return Path(shutil.copytree(home, tmp_path_factory.mktemp("page") / "home"))


@pytest.fixture(scope="session")
def page_server(page_home: Path) -> Iterator[Server]:
    """The server of the page."""
    variables = {
        "OPENGENOME_SEARCH_REQUESTS_PER_MINUTE": "0",
        "OPENGENOME_SEARCH_DAGSTER_URL": "http://127.0.0.1:3000",
        "OPENGENOME_SEARCH_MAX_BODY_BYTES": "50000",
    }
    with running(page_home, **variables) as server:
        yield server


@pytest.fixture
def page(chromium: Browser, page_server: Server) -> Iterator[Page]:
    """The page on a desktop, ready to search."""
    with opened(chromium, f"{page_server.url}/") as page:
        expect(page.locator("#corpus")).to_have_text("34 sequences of 3 sources, tfidf_index version 0")
        yield page
