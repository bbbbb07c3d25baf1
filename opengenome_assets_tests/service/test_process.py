"""The server as a user starts it: many clients at once, new versions under load, and what a fuzzer makes of it."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from opengenome_assets.search import SearchIndex, read_queries
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.processes import free_port, processes_of, started, typed, wait_for
from opengenome_assets_tests.service.conftest import Server, letters, make, running

pytestmark = pytest.mark.slow

CLIENTS = 50
UNLIMITED = {"OPENGENOME_SEARCH_REQUESTS_PER_MINUTE": "0"}


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of which new versions are made."""
    folder = tmp_path_factory.mktemp("served") / "home"
    make(folder)
    return folder


@pytest.fixture(scope="module")
def server(own_home: Path) -> Iterator[Server]:
    """The server over it; it ends in order, as by Ctrl-C."""
    with running(own_home, **UNLIMITED) as server:
        yield server
        os.kill(server.pid, signal.SIGINT)
        wait_for(lambda: not processes_of(own_home), "end of the server", 30)
    log = Path(f"{own_home}.log").read_text()
    assert f"Search page: {server.url}" in log
    assert "Application shutdown complete" in log
    assert "Traceback" not in log


def test_fifty_clients_get_what_the_library_finds_in_bounded_memory(server: Server, own_home: Path) -> None:
    index = SearchIndex.open(str(own_home))
    texts = [f">q{number}\n{letters(20_000, 1000 + number)}" for number in range(CLIENTS)]
    server.ask("/api/similar", {"queries": texts[0]})
    before = server.peak()
    together = threading.Barrier(CLIENTS)

    def client(number: int) -> list[Any]:
        together.wait(60)
        asked = {"queries": texts[number], "top_n": 34}
        return [server.ask("/api/similar", asked)["results"][0]["hits"] for _ in range(4)]

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(client, range(CLIENTS)))
    for text, found in zip(texts, answers, strict=True):
        (expected,) = index.similar(read_queries(text), top_n=34)
        assert found == [[vars(hit) for hit in expected]] * 4
    assert server.peak() - before < 100e6


def test_new_versions_take_over_without_a_failed_request(server: Server, own_home: Path) -> None:
    stop = threading.Event()
    seen: set[tuple[int, str]] = set()

    def client() -> None:
        while not stop.is_set():
            answer = server.ask("/api/similar", {"queries": letters(400, 5), "top_n": 1})
            seen.add((answer["searched"]["tfidf_index"], answer["results"][0]["hits"][0]["seq_id"]))

    def answered(version: int) -> bool:
        return version in {searched for searched, _ in tuple(seen)}

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(client) for _ in range(4)]
        try:
            wait_for(partial(answered, 0), "answer from the first version")
            for version in (1, 2):
                make(own_home, new={f"newcomer{version}": letters(400, 5)})
                wait_for(partial(answered, version), "answer from the new version")
        finally:
            stop.set()
    for each in clients:
        each.result()
    assert {version for version, _ in seen} == {0, 1, 2}
    assert {name for version, name in seen if version > 0} == {"newcomer1", "newcomer2"}
    assert all(name == f"newcomer{version}" for version, name in seen if version > 0)


def test_a_port_that_is_taken_is_an_error(server: Server, own_home: Path) -> None:
    port = server.url.rpartition(":")[2]
    said = typed(f"opengenome serve --port {port} || echo status $?", own_home)
    assert said.startswith(f"Error: 127.0.0.1:{port} cannot be listened at: [Errno 98] Address already in use")
    assert said.endswith("End what listens there, or choose another port with --port\nstatus 1\n")


def test_a_client_that_sends_no_more_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    with running(tmp_path / "home", ready=False) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"POST /api/similar HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
            wait_for(lambda: b"in_flight 2.0" in urlopen(f"{server.url}/metrics").read(), "request beside this one")
            os.kill(server.pid, signal.SIGTERM)
            wait_for(lambda: not processes_of(tmp_path / "home"), "end of the server", 15)


def test_a_setting_that_cannot_be_used_is_an_error(own_home: Path) -> None:
    said = typed("opengenome serve || echo status $?", own_home, OPENGENOME_SEARCH_MAX_HITS="x")
    assert said == "Error: OPENGENOME_SEARCH_MAX_HITS is 'x': expected a whole number from 1\nstatus 1\n"


def test_neither_of_the_two_user_interfaces_stays_without_the_other(server: Server, own_home: Path) -> None:
    taken = server.url.rpartition(":")[2]
    home = own_home.with_name("beside")
    with started(["opengenome", "ui", "--port", str(free_port()), "--search-port", taken], home) as process:
        assert process.wait(120) != 0
        assert processes_of(home) == []
    assert f"127.0.0.1:{taken} cannot be listened at" in Path(f"{home}.log").read_text()


@pytest.mark.parametrize(
    "route",
    [
        ("GET", "/api/index"),
        ("POST", "/api/similar"),
        ("POST", "/api/explain"),
        ("GET", "/api/kmers/{kmer}"),
        ("GET", "/api/sequences"),
        ("GET", "/api/sequences/fasta"),
        ("GET", "/api/tables"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/metrics"),
    ],
)
def test_a_fuzzer_finds_no_failure_and_no_answer_that_is_not_described(server: Server, route: tuple[str, str]) -> None:
    from opengenome_assets_tests.service.fuzzing import fuzz

    fuzz(server.url, route, share(150))
