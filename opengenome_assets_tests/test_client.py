"""The Python client against a server that listens on a port."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from opengenome_assets.client import Client, ServerError
from opengenome_assets.engine.processes import Processes
from opengenome_assets.service.app import create_app
from opengenome_assets.service.connections import configure
from opengenome_assets.service.jobs.store import Jobs
from opengenome_assets.service.jobs.work import work_on_waiting
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets_tests.processes import wait_for
from opengenome_assets_tests.service.lines import KIND, jobs_in

KINDS = {KIND.name: KIND}
TOKEN = "a-token"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("client") / "home"


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    """A server in a thread of this process, on a port."""
    limits = ServerSettings(requests_per_minute=0, token=TOKEN, max_upload_bytes=10_000_000)
    server = uvicorn.Server(configure(create_app(Settings(home=str(home)), limits, KINDS), limits, log_config=None))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_for(lambda: server.started, "server")
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    listener.close()


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, TOKEN, kinds=KINDS) as client:
        yield client


@pytest.fixture
def jobs(home: Path) -> Jobs:
    return jobs_in(home)


def file(folder: Path, text: str, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_small_job_is_done_when_it_is_sent(client, tmp_path):
    job = client.submit("lines", [file(tmp_path, "a\nb\n")], factor=2)
    assert (job.state, job.results) == ("done", [{"file": "a.txt", "lines": 4}])
    assert list(client.rows(job)) == job.results == client.table(job).to_pylist()
    assert client.text(job, "shout") == "1!\n"
    assert client.status(job.id).id == job.id
    assert job.id in [each.id for each in client.jobs("lines")]


def test_a_large_job_is_followed_to_its_end_and_read_page_by_page(client, jobs, tmp_path):
    files = [file(tmp_path, "a\nb\n", f"f{number}.txt") for number in range(7)]
    job = client.submit("lines", files, roles={"other": [file(tmp_path, "more\n", "o.txt")]})
    assert (job.state, job.units) == ("waiting", 15)
    worker = threading.Thread(target=work_on_waiting, args=(jobs, KIND, Processes(1), "", lambda _: None))
    worker.start()
    ended = client.wait(job)
    worker.join()
    assert ended.state == "done"
    assert [row["file"] for row in client.rows(ended, page=3)] == [f"f{number}.txt" for number in range(7)] + ["o.txt"]
    assert client.table(ended, "line_counts").num_rows == 8


def test_a_job_is_cancelled(client, tmp_path):
    job = client.submit("lines", [file(tmp_path, "cancelled\n" * 9)])
    assert client.cancel(job).state == client.cancel(job).state == client.wait(job).state == "cancelled"
    with pytest.raises(ServerError, match="is cancelled, and has no results") as error:
        list(client.rows(job))
    assert error.value.status == 409


def test_what_is_refused_says_why(client, url, tmp_path):
    with pytest.raises(ServerError, match=r"a\.txt: expected good lines, found bad") as error:
        client.submit("lines", [file(tmp_path, "bad\n")])
    assert error.value.status == 422
    with pytest.raises(ServerError, match="there is no job 000000000000 at"):
        client.status("0" * 12)
    with Client(url, "another", kinds=KINDS) as other, pytest.raises(ServerError, match="Expected the header"):
        other.submit("lines", [tmp_path / "a.txt"])
    with pytest.raises(ServerError, match="Expected a body of at most 10,000,000 bytes"):
        client.upload(file(tmp_path, "x" * 10_000_001))


def test_an_upload_sends_only_what_is_not_there(client, jobs, tmp_path):
    content = b"0123456789" * 1000
    path = tmp_path / "part.txt"
    path.write_bytes(content)
    with jobs.inbox.resuming(hashlib.sha256(content).hexdigest(), 0) as receiver:
        receiver.write(content[:4321])
    sent: list[httpx.Request] = []
    client._http.event_hooks["request"].append(sent.append)
    assert client.upload(path).complete
    (put,) = [request for request in sent if request.method == "PUT"]
    assert put.headers["upload-offset"] == "4321"
    assert client.upload(path).complete
    assert [request.method for request in sent] == ["GET", "PUT", "GET"]


def test_an_upload_that_is_cut_goes_on(client, url, jobs, tmp_path, monkeypatch):
    """A connection that is closed in the midst of a body leaves what arrived, and the client sends the rest."""
    content = b"abcdefghij" * 100_000
    path = tmp_path / "cut.txt"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"PUT /api/uploads/{sha256} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n"
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content[:300_000])
        wait_for(lambda: jobs.inbox.length(sha256) > 0, "first bytes")
    assert client.upload(path).complete
    found = jobs.inbox.find(sha256)
    assert found is not None
    assert found.path.read_bytes() == content


def test_a_server_that_is_not_there_is_an_error_of_the_connection(tmp_path):
    with Client("http://127.0.0.1:9", kinds=KINDS) as client, pytest.raises(httpx.ConnectError):
        client.submit("lines", [file(tmp_path, "a\n")])
