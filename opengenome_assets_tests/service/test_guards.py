"""What a request has to get past: the token, the pace, the number at once, the size; and what no failure gives away."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from opengenome_assets.search import SearchIndex
from opengenome_assets.service import guards
from opengenome_assets.service import pace as paces
from opengenome_assets.service.access.audit import audit_log_of
from opengenome_assets.service.access.tokens import tokens_of
from opengenome_assets.service.guards import Guard
from opengenome_assets.service.live import Live
from opengenome_assets.service.metrics import Metrics
from opengenome_assets.service.pace import Pace
from opengenome_assets.service.problems import ProblemError, problem_response
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets_tests.processes import wait_for
from opengenome_assets_tests.service.conftest import QUERY, serving
from opengenome_assets_tests.service.test_api import problem

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def closed(home: Path) -> Iterator[TestClient]:
    """A server that asks for a token."""
    with serving(home, token=TOKEN) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/api/index", "/api/kmers/ACGT", "/api/tables", "/metrics", "/report", "/api/nothing"]
)
def test_a_token_is_asked_for(closed: TestClient, path: str) -> None:
    for sent in (
        {},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
    ):
        answer = closed.get(path, headers=sent)
        assert "Authorization: Bearer" in problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert TOKEN not in answer.text
    assert closed.get(path, headers={"Authorization": f"bearer {TOKEN}"}).status_code in (200, 404)


@pytest.mark.parametrize("path", ["/", "/page/page.js", "/health/live", "/health/ready", "/openapi.json"])
def test_what_holds_nothing_of_the_corpus_is_open(closed: TestClient, path: str) -> None:
    assert closed.get(path).status_code == 200


def test_the_description_says_that_a_token_is_needed(closed: TestClient, client: TestClient) -> None:
    def security(server: TestClient) -> object:
        return server.get("/openapi.json").json()["paths"]["/api/similar"]["post"].get("security")

    assert security(closed) == [{"HTTPBearer": []}]
    assert security(client) is None


@pytest.mark.long
def test_a_large_body_is_refused_whether_or_not_its_size_is_said(home: Path) -> None:
    with serving(home, max_body_bytes=1000) as client:
        large = b'{"queries": "' + b"A" * 1000 + b'"}'
        assert "at most 1,000 bytes, found 1,015" in problem(client.post("/api/similar", content=large), 413)
        headers = {"Content-Type": "application/json"}
        chunks = (large[place : place + 100] for place in range(0, len(large), 100))
        said = problem(client.post("/api/similar", content=chunks, headers=headers), 413)
        assert "at most 1,000 bytes, found 1,015 or more" in said
        assert client.post("/api/similar", json={"queries": QUERY}).status_code == 200
        assert 'opengenome_refusals_total{reason="size"} 2.0' in client.get("/metrics").text


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guards, "PATIENCE_SECONDS", 0.2)
    answered: list[Message] = []

    async def reader(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive())["more_body"]:
                pass
        except ProblemError as problem:
            await problem_response(problem)(scope, receive, send)

    async def drip() -> Message:
        await anyio.sleep(0.02)
        return {"type": "http.request", "body": b"A", "more_body": True}

    async def answer(message: Message) -> None:
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/similar", "headers": [(b"host", b"localhost")]}
    live = Live(ServerSettings(), tokens_of(str(tmp_path)), audit_log_of(str(tmp_path)))
    anyio.run(Guard(reader, live, Metrics()), scope, drip, answer)
    assert answered[0]["status"] == 408


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:3001", "127.0.0.1:3001", "[::1]:3001", "[::1]", "10.1.2.3"])
def test_addresses_and_localhost_are_hosts_by_default(client: TestClient, host: str) -> None:
    assert client.get("/api/index", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3001", "localhost.evil.example", "1.2.3.4.evil.example", ""]
)
@pytest.mark.parametrize("path", ["/api/index", "/", "/metrics", "/report", "/openapi.json"])
def test_a_name_that_nobody_gave_the_server_is_refused(client: TestClient, host: str, path: str) -> None:
    said = problem(client.get(path, headers={"Host": host}), 421)
    assert f"found {host!r}" in said
    assert "OPENGENOME_SEARCH_HOSTS" in said
    assert client.get("/health/live", headers={"Host": host}).status_code == 200


@pytest.mark.long
def test_names_are_given_to_the_server(home: Path) -> None:
    with serving(home, hosts="search, Genomes.example") as client:
        for host, status in (
            ("search:3001", 200),
            ("genomes.example", 200),
            ("other.example", 421),
            ("localhost", 200),
        ):
            assert client.get("/api/index", headers={"Host": host}).status_code == status
    with serving(home, hosts="*") as client:
        assert client.get("/api/index", headers={"Host": "other.example"}).status_code == 200


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_a_body_in_another_encoding_is_refused(client: TestClient, encoding: str) -> None:
    body = f'{{"queries": "{QUERY}"}}'
    headers = {"Content-Type": "application/json"}
    assert client.post("/api/similar", content=body.encode(), headers=headers).status_code == 200
    assert "JSON in UTF-8" in problem(client.post("/api/similar", content=body.encode(encoding), headers=headers), 422)


def test_long_headers_are_refused_although_all_has_come(client: TestClient) -> None:
    assert client.get("/api/index", headers={"X-Long": "a" * 15_000}).status_code == 200
    for asked in ({"headers": {"X-Long": "a" * 16_384}}, {"headers": {f"X-{n}": "a" * 1000 for n in range(17)}}):
        assert "at most 16,384 bytes" in problem(client.get("/api/index", **asked), 431)
    assert "at most 16,384 bytes" in problem(client.get("/api/kmers/" + "A" * 17_000), 431)


def test_the_pace_of_a_client_is_bounded(home: Path) -> None:
    with serving(home, requests_per_minute=3) as client:
        answers = [client.get("/api/index") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert "at most 3 requests per minute" in problem(answers[-1], 429)
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
        assert client.get("/health/live").status_code == client.get("/").status_code == 200


def test_a_bucket_fills_evenly_and_is_each_client_s_own() -> None:
    moment = 100.0
    pace = Pace(60, lambda: moment)
    assert [pace.wait("a") for _ in range(61)] == [0] * 60 + [1]
    assert pace.wait("b") == 0
    moment += 1
    assert [pace.wait("a"), pace.wait("a")] == [0, 1]
    moment += 3600
    assert [pace.wait("a") for _ in range(61)] == [0] * 60 + [1]


def test_clients_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paces, "CLIENTS", 3)
    pace = Pace(1, lambda: 0.0)
    assert [pace.wait(client) for client in "abca"] == [0, 0, 0, 60]
    assert [pace.wait(client) for client in "dab"] == [0, 60, 0]


def test_requests_at_once_are_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()
    similar = SearchIndex.similar

    def slow(*arguments: Any, **options: Any) -> Any:
        begun.release()
        assert go_on.wait(60)
        return similar(*arguments, **options)

    with serving(home, requests_at_once=3) as client, ThreadPoolExecutor() as pool:
        monkeypatch.setattr(SearchIndex, "similar", slow)
        waiting = [pool.submit(client.post, "/api/similar", json={"queries": QUERY}) for _ in range(3)]
        assert begun.acquire(timeout=60)
        wait_for(lambda: "in_flight 4.0" in client.get("/metrics").text, "three requests beside this one")
        refused = client.post("/api/similar", json={"queries": QUERY})
        assert "at most 3 requests of all clients" in problem(refused, 503)
        assert refused.headers["retry-after"] == "1"
        assert client.get("/health/ready").status_code == 200
        go_on.set()
        assert [each.result().status_code for each in waiting] == [200] * 3
        assert client.post("/api/similar", json={"queries": QUERY}).status_code == 200


@pytest.mark.long
def test_a_turn_is_not_waited_for_for_ever(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Semaphore(0), threading.Event()

    def slow(*arguments: object, **options: object) -> list[object]:
        begun.release()
        assert go_on.wait(60)
        return [[]]

    monkeypatch.setattr(paces, "AT_A_TIME", 1)
    with serving(home) as client, ThreadPoolExecutor() as pool:
        monkeypatch.setattr(SearchIndex, "similar", slow)
        first = pool.submit(client.post, "/api/similar", json={"queries": QUERY})
        assert begun.acquire(timeout=60)
        monkeypatch.setattr(paces, "PATIENCE_SECONDS", 0.2)
        refused = client.post("/api/similar", json={"queries": QUERY})
        assert "No search could begin" in problem(refused, 503)
        assert refused.headers["retry-after"] == "5"
        go_on.set()
        assert first.result().status_code == 200


def test_a_failure_is_in_the_log_and_only_there(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*arguments: object, **options: object) -> object:
        raise RuntimeError("a detail of the inside")

    with serving(home) as client:
        monkeypatch.setattr(SearchIndex, "similar", failing)
        answer = client.post("/api/similar", json={"queries": QUERY})
        detail = problem(answer, 500)
        identity = answer.json()["id"]
        assert re.fullmatch("[0-9a-f]{32}", identity)
        assert identity in detail
        assert "inside" not in answer.text
        assert "Traceback" not in answer.text
        (record,) = [record for record in caplog.records if identity in record.getMessage()]
        assert record.exc_info
        assert "inside" in str(record.exc_info[1])
        assert answer.headers["x-frame-options"] == "DENY"
        assert 'route="/api/similar",status="500"} 1.0' in client.get("/metrics").text


def test_metrics_name_routes_and_not_what_was_asked_for(home: Path) -> None:
    with serving(home) as client:
        client.get("/api/kmers/ACGTACGTAAA")
        client.post("/api/similar", json={"queries": f">a\n{QUERY}\n>b\n{QUERY}"})
        client.get("/api/unheard/of")
        metrics = client.get("/metrics").text
        assert 'opengenome_requests_total{route="/api/kmers/{kmer}",status="200"} 1.0' in metrics
        assert 'opengenome_requests_total{route="none",status="404"} 1.0' in metrics
        assert 'opengenome_searches_total{kind="similar"} 2.0' in metrics
        assert 'opengenome_request_seconds_count{route="/api/similar"} 1.0' in metrics
        assert "opengenome_index_version 0.0" in metrics
        assert "opengenome_index_sequences 34.0" in metrics
        assert "process_resident_memory_bytes" in metrics
        assert "ACGTACGTAAA" not in metrics
        assert "unheard" not in metrics
