"""The proxy with passwords, as its image runs it: what the team and guests may send to the server of jobs."""

import subprocess
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from opengenome_assets_tests.processes import REPOSITORY, free_port, wait_for
from opengenome_assets_tests.service.conftest import Server, running

CONF = REPOSITORY / "docker" / "proxy" / "nginx.conf"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("proxy") / "home", ready=False, OPENGENOME_SEARCH_HOSTS="*") as server:
        yield server


@pytest.fixture(scope="module")
def url(server: Server, tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Iterator[str]:
    """Run nginx before it, and yield its address."""
    folder = tmp_path_factory.mktemp("nginx")
    certificate = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout tls_key"
    subprocess.run([*certificate.split(), "-out", "tls_certificate"], cwd=folder, check=True, capture_output=True)
    for user, file in (("ada", "team_passwords"), ("guest", "guest_passwords")):
        digest = subprocess.check_output(["openssl", "passwd", "-6", "a-password"], text=True)
        (folder / file).write_text(f"{user}:{digest}")
    port, content = free_port(), CONF.read_text()
    places = {"/tmp/": f"{folder}/", "8443": f"127.0.0.1:{port}", "search:3001": server.url.removeprefix("http://")}
    for word, place in {**places, "/run/secrets/": f"{folder}/"}.items():
        assert word in content
        content = content.replace(word, place)
    (folder / "nginx.conf").write_text(f"user root;\n{content}")
    command = [tool("nginx"), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    with (folder / "nginx.log").open("wb") as log:
        proxy = subprocess.Popen(command, stdout=log, stderr=log)
    address = f"https://127.0.0.1:{port}"

    def answers() -> bool:
        assert proxy.poll() is None, (folder / "nginx.log").read_text()
        try:
            return httpx.get(f"{address}/alive", verify=False).status_code == 204
        except httpx.TransportError:
            return False

    try:
        wait_for(answers, "answer of the proxy", 30, every=0.1)
        yield address
    finally:
        proxy.terminate()
        proxy.wait(30)


def client(url: str, user: str) -> httpx.Client:
    return httpx.Client(base_url=url, auth=(user, "a-password"), verify=False, timeout=30)


def test_the_team_sends_files_of_any_size_and_the_server_says_what_is_too_large(url: str) -> None:
    with client(url, "ada") as team:
        sent = team.post("/search/api/uploads", content=b"x" * 6_000_000)
        assert (sent.status_code, sent.json()["bytes"]) == (200, 6_000_000)
        large = team.post("/search/api/similar", content=b"x" * 6_000_000)
        assert (large.status_code, large.headers["content-type"]) == (413, "application/problem+json")
        proteins = {"name": "a.faa"}
        refused = team.post("/search/api/alignments/batch", params=proteins, content=b">a\nMK1\n")
        assert "illegal letter '1'" in refused.json()["detail"]


def test_events_come_through_as_they_happen(url: str, server: Server) -> None:
    with client(url, "ada") as team:
        # More proteins than are done at once, so that the job waits.
        content = "".join(f">p{number}\nMKTAYIAKQR\n" for number in range(2_001))
        job = team.post("/search/api/alignments/batch", params={"name": "many.faa"}, content=content).json()
        path = f"/search/api/alignments/batch/{job['id']}"
        started = time.monotonic()
        with team.stream("GET", f"{path}/events") as stream:
            first = next(stream.iter_lines())
        assert (first, time.monotonic() - started < 10) == ("event: status", True)
        assert team.delete(path).json()["state"] == "cancelled"


def test_guests_search_and_read_and_send_no_jobs(url: str) -> None:
    with client(url, "guest") as guest:
        assert guest.get("/guest/search/api/jobs").status_code == 200
        assert guest.post("/guest/search/api/similar", json={"queries": "ACGT"}).status_code == 503  # no index yet
        for method, path in (
            ("POST", "api/alignments/batch?name=a.faa"),
            ("POST", "api/uploads"),
            ("PUT", f"api/uploads/{'0' * 64}"),
            ("DELETE", f"api/searches/{'0' * 64}"),
            ("POST", "api/similar/../uploads"),
            ("POST", "api//uploads"),
        ):
            assert guest.request(method, f"/guest/search/{path}", content=b"x").status_code == 403, path
        assert guest.get("/search/api/jobs").status_code == 401
