"""What a client can cost that sends no request, half of one, or too much of one, and what the others notice."""

import json
import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn

from opengenome_assets.service import connections, lingering
from opengenome_assets.service.app import create_app
from opengenome_assets.service.connections import configure
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets_tests.processes import wait_for
from opengenome_assets_tests.service.conftest import running

pytestmark = pytest.mark.long

HALF = b"GET /api/index HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
WHOLE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"

Address = tuple[str, int]


@contextmanager
def listening(home: Path, **limits: object) -> Iterator[Address]:
    """Run the server in a thread of this process, over a home without an index."""
    settings = ServerSettings.of(limits)
    app = create_app(Settings(home=str(home)), settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(configure(app, settings, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        wait_for(lambda: server.started, "start of the server")
        yield listener.getsockname()
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Address]:
    with listening(tmp_path / "home") as address:
        yield address


def answer(client: socket.socket) -> tuple[int, str]:
    """Read an answer to its end, or to the end of the connection; (0, "") if there is none."""
    received = b""
    client.settimeout(20)
    try:
        while chunk := client.recv(65536):
            received += chunk
            head, found, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            if found and length and len(body) >= int(length[1]):
                break
    except ConnectionError:
        pass
    head, _, body = received.partition(b"\r\n\r\n")
    return (int(head.split()[1]), body.decode()) if head else (0, "")


def ask(address: Address, sent: bytes = WHOLE) -> tuple[int, str]:
    with socket.create_connection(address) as client:
        client.sendall(sent)
        return answer(client)


def is_open(client: socket.socket) -> bool:
    """Tell whether the server has not ended a connection on which it owes nothing."""
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


@pytest.mark.parametrize(
    "header", [b"X-Long: " + b"a" * 20_000, b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(20))]
)
def test_a_header_is_refused_after_16_kilobytes_although_it_has_no_end(address: Address, header: bytes) -> None:
    with socket.create_connection(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + header[:17_000])
        status, body = answer(client)
    assert status == 431
    assert json.loads(body)["detail"].startswith("Expected at most 16,384 bytes before the body, found more.")


@pytest.mark.parametrize("sent", [b"nonsense", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b"])
def test_what_is_no_request_is_refused_as_a_problem(address: Address, sent: bytes) -> None:
    status, body = ask(address, sent + b"\r\n\r\n")
    assert (status, json.loads(body)["status"]) == (400, 400)


@pytest.mark.parametrize("first", [b"", HALF])
@pytest.mark.long
def test_a_header_that_does_not_come_is_not_waited_for(
    address: Address, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
    with socket.create_connection(address) as client:
        client.sendall(first)

        def drip() -> bool:  # each byte comes in time, and the whole does not
            try:
                client.send(b"a" if first else b"")
            except ConnectionError:
                return True
            return not is_open(client)

        wait_for(drip, "end of the connection", 10, every=0.02)
    assert ask(address)[0] == 200


def test_a_connection_that_is_kept_ends_the_same_way(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_connection(address) as client:
        client.sendall(WHOLE)
        assert answer(client)[0] == 200
        monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
        client.sendall(WHOLE)
        assert answer(client)[0] == 200
        client.setblocking(True)
        client.sendall(HALF)
        wait_for(lambda: not is_open(client), "end of the connection", 10)


def test_a_body_that_drips_after_its_answer_does_not_keep_the_connection(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "LINGER_SECONDS", 0.2)
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.2)
    with socket.create_connection(address) as client:
        client.sendall(WHOLE[:-2] + b"Content-Length: 100000\r\n\r\n")
        assert answer(client)[0] == 200
        client.setblocking(True)

        def drip() -> bool:
            try:
                client.send(b"a")
            except ConnectionError:
                return True
            return not is_open(client)

        wait_for(drip, "end of the connection", 10, every=0.02)


def test_a_body_is_not_asked_for_without_the_token(tmp_path: Path) -> None:
    with listening(tmp_path / "home", token="a-token-of-the-tests") as address:
        request = WHOLE.replace(b"GET /health/live", b"POST /api/similar")[:-2]
        status, body = ask(address, request + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n")
    assert (status, json.loads(body)["status"]) == (401, 401)


@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
@pytest.mark.long
def test_a_client_that_still_sends_gets_the_answer(address: Address, connection: bytes) -> None:
    request = b"POST /api/similar HTTP/1.1\r\nHost: localhost\r\nConnection: %s\r\nContent-Length: 9000000\r\n\r\n"
    with socket.create_connection(address) as client:
        client.sendall(request % connection)
        assert select.select([client], [], [], 20)[0]  # it is answered before its body has come
        for _ in range(9):
            client.sendall(b"x" * 1_000_000)
            time.sleep(0.01)
        status, body = answer(client)
        assert (status, json.loads(body)["status"]) == (413, 413)
        if connection == b"keep-alive":
            client.sendall(WHOLE)
            assert answer(client)[0] == 200


def test_the_connection_whose_body_drips_after_its_answer_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS", 1)
    with listening(tmp_path / "home") as address, socket.create_connection(address) as client:
        client.sendall(WHOLE[:-2] + b"Connection: close\r\nContent-Length: 100000\r\n\r\n")
        assert answer(client)[0] == 200
        assert ask(address)[0] == 200
        wait_for(lambda: not is_open(client), "end of the connection", 10)


def test_the_connection_that_has_waited_longest_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS", 5)
    monkeypatch.setattr(connections, "HEADER_SECONDS", 60.0)  # which a busy machine would use up
    with listening(tmp_path / "home") as address, ExitStack() as stack:
        clients = []
        for _ in range(5):
            clients.append(stack.enter_context(socket.create_connection(address)))
            clients[-1].sendall(HALF)
            time.sleep(0.01)
        assert all(map(is_open, clients))
        assert ask(address)[0] == 200
        wait_for(lambda: not is_open(clients[0]), "end of the first connection", 10)
        assert all(map(is_open, clients[1:]))


@pytest.mark.long
def test_a_client_that_does_not_read_is_not_waited_for(
    address: Address, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)
    ended, end = threading.Event(), connections.Connection.end

    def seen(connection: connections.Connection) -> None:
        end(connection)
        ended.set()

    monkeypatch.setattr(connections.Connection, "end", seen)
    reports = tmp_path / "home" / "reports"
    reports.mkdir(parents=True)
    page = b"x" * 30_000_000
    (reports / "corpus_report.html").write_bytes(page)
    request = WHOLE.replace(b"/health/live", b"/report")
    with socket.create_connection(address) as client:
        client.sendall(request)
        assert ended.wait(60)
        received = 0
        try:
            while chunk := client.recv(1 << 20):
                received += len(chunk)
        except ConnectionError:
            pass
        assert received < len(page)
    with socket.create_connection(address) as client:  # and one that reads slowly gets all
        client.sendall(request)
        received = 0
        while received < len(page):
            received += len(client.recv(1 << 20))
            time.sleep(0.02)


@pytest.mark.long
def test_another_address_each_time_is_believed_from_proxies_only(tmp_path: Path) -> None:
    def statuses(address: Address) -> list[int]:
        sent = WHOLE.replace(b"/health/live", b"/api/index")[:-2]
        return [ask(address, sent + b"X-Forwarded-For: 10.0.0.%d\r\n\r\n" % n)[0] for n in range(4)]

    with listening(tmp_path / "home", requests_per_minute=2) as address:
        assert statuses(address) == [503, 503, 429, 429]  # there is no index yet
    with listening(tmp_path / "home", requests_per_minute=2, proxies="10.9.0.0/16, 127.0.0.0/8") as address:
        assert statuses(address) == [503] * 4
    with listening(tmp_path / "home", requests_per_minute=2, proxies="10.9.0.0/16") as address:
        assert statuses(address) == [503, 503, 429, 429]


@pytest.mark.slow
def test_abuse_costs_a_server_neither_memory_nor_its_health(tmp_path: Path) -> None:
    with running(tmp_path / "home", ready=False) as server:
        host, port = server.url.removeprefix("http://").split(":")
        address = host, int(port)
        before = server.peak()
        for header in (b"a" * 65_536, b"X-Many: " + b"a" * 1000 + b"\r\n"):
            with socket.create_connection(address) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
                assert _send_until_refused(client, header) < 10e6
        with ExitStack() as stack:
            slow = [stack.enter_context(socket.create_connection(address)) for _ in range(900)]
            for each in slow:
                each.sendall(HALF)
            started = time.monotonic()
            assert all(server.is_live() for _ in range(20))
            assert time.monotonic() - started < 20
            wait_for(lambda: sum(map(is_open, slow)) <= connections.CONNECTIONS, "end of those too many", 20)
        assert server.peak() - before < 60e6
    assert "Too many open files" not in Path(f"{tmp_path / 'home'}.log").read_text()


def _send_until_refused(client: socket.socket, piece: bytes) -> int:
    """Send without an end, and return how many bytes went until the server ended the connection."""
    sent = 0
    client.settimeout(20)
    try:
        while sent < 100e6:
            sent += client.send(piece)
    except ConnectionError:
        pass
    return sent
