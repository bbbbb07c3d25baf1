"""What goes wrong around a job: a disk that is full or read-only, bodies that stop or are cut, clocks that differ."""

import hashlib
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx
import pytest

from opengenome_assets.service import guards
from opengenome_assets.service.app import create_app
from opengenome_assets.service.jobs.records import Attempt, Outcome
from opengenome_assets.service.jobs.retention import remove_ended
from opengenome_assets.service.jobs.work import due
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets_tests.processes import wait_for
from opengenome_assets_tests.service.conftest import running
from opengenome_assets_tests.service.lines import KIND, jobs_in, send
from opengenome_assets_tests.service.test_job_api import LARGE, detail, post, serving, work

CONTENT = b"line\n" * 400_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """Mount something in a folder, which takes root's rights."""
    folder.mkdir()
    if subprocess.run(["mount", *options, folder], capture_output=True).returncode:
        pytest.skip("to mount a disk takes the rights of root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def disk(folder: Path, size: str) -> AbstractContextManager[Path]:
    """Mount a small disk."""
    return mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")


def test_a_disk_that_is_full_is_said_and_the_upload_goes_on_when_it_has_space(tmp_path):
    with disk(tmp_path / "disk", "2m") as folder, serving(folder / "home") as client:
        (folder / "other").write_bytes(b"x" * 1_000_000)
        said = "The server cannot write: its disk is full. Tell its operator, and try again later"
        refused = client.put(f"/api/uploads/{SHA256}", content=CONTENT)
        assert (detail(refused, 507), refused.headers["retry-after"]) == (said, "60")
        assert detail(post(client, LARGE), 507) == said
        assert jobs_in(folder / "home").all() == []
        assert client.get("/api/jobs").json()["total"] == 0  # reading goes on
        (folder / "other").unlink()
        subprocess.run(["mount", "-o", "remount,size=8m", folder], check=True)
        there = int(client.get(f"/api/uploads/{SHA256}").headers["upload-offset"])
        assert 0 < there < len(CONTENT)
        headers = {"Upload-Offset": str(there)}
        assert client.put(f"/api/uploads/{SHA256}", content=CONTENT[there:], headers=headers).json()["complete"]
        body = {"files": [{"name": "a.txt", "sha256": SHA256}]}
        assert client.post("/api/lines", json=body).json()["units"] == 400_000


@pytest.mark.long
def test_a_home_that_is_read_only_still_says_what_stands_there(tmp_path):
    home = tmp_path / "writable" / "home"
    with serving(home) as client:
        done, waiting = post(client).json(), post(client, LARGE).json()
    bound = mounted(tmp_path / "read-only", "--bind", "-o", "ro", str(home.parent))
    with bound as folder, serving(folder / "home") as client:
        said = "The server cannot write to its home. Tell its operator, and try again later"
        assert detail(post(client, LARGE, factor=3), 503) == said
        assert detail(client.put(f"/api/uploads/{SHA256}", content=CONTENT), 503) == said
        assert detail(client.delete(f"/api/lines/{waiting['id']}"), 503) == said
        path = f"/api/lines/{done['id']}"
        assert client.get(f"{path}/results").json()["rows"] == [{"file": "a.txt", "lines": 2}]
        states = {job["id"]: job["state"] for job in client.get("/api/lines").json()}
        assert states == {done["id"]: "done", waiting["id"]: "waiting"}
    work(home)
    assert {job.state for job in jobs_in(home).all()} == {"done"}


def test_a_body_that_stops_is_refused_and_what_came_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(guards, "PATIENCE_SECONDS", 0.3)
    app = create_app(Settings(home=str(tmp_path / "home")), ServerSettings(), {KIND.name: KIND})

    async def drip() -> AsyncIterator[bytes]:
        yield CONTENT[:10]
        await anyio.sleep(10)
        yield CONTENT[10:]

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            return [
                await client.put(f"/api/uploads/{SHA256}", content=drip()),
                await client.get(f"/api/uploads/{SHA256}"),
                await client.post("/api/lines?name=a.txt", content=drip()),
            ]

    stopped, there, whole = anyio.run(ask)
    said = "Expected at least 10,000 bytes per second, found fewer. Send the rest"
    assert detail(stopped, 408) == detail(whole, 408) == said
    assert there.headers["upload-offset"] == "10"
    assert jobs_in(tmp_path / "home").all() == []
    assert list(jobs_in(tmp_path / "home").inbox.folder.glob("*.new")) == []


@pytest.mark.slow
def test_a_body_that_is_cut_leaves_no_job_and_its_beginning(tmp_path):
    home = tmp_path / "home"
    inbox = jobs_in(home).inbox
    with running(home, ready=False) as server:
        host, port = server.url.removeprefix("http://").split(":")
        for method, path in (("PUT", f"/api/uploads/{SHA256}"), ("POST", "/api/alignments/batch?name=a.faa")):
            with socket.create_connection((host, int(port))) as client:
                head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
                client.sendall(head.encode() + CONTENT[:5000])
                wait_for(lambda: any(inbox.folder.glob("*")), "first bytes")
        wait_for(lambda: inbox.length(SHA256) == 5000, "beginning of the file")
        wait_for(lambda: not any(inbox.folder.glob("*.new")), "end of the other")
        assert server.ask("/api/jobs")["total"] == 0
        assert server.ask(f"/api/uploads/{SHA256}") == {"sha256": SHA256, "bytes": 5000, "complete": False}


def test_jobs_of_a_machine_whose_clock_is_ahead_are_done_and_kept(tmp_path):
    jobs = jobs_in(tmp_path / "home")
    job = send(jobs, tmp_path / "sent")
    ahead = datetime.now(UTC) + timedelta(days=3)
    job.note(Attempt(number=1, started=ahead), "an error that may pass")
    assert due(job)  # nobody waits for that moment
    with job.claimed():
        status = jobs.status(job)
        assert (status.state, status.seconds_left) == ("running", None)
    job.end(Outcome(state="cancelled", at=ahead))
    assert remove_ended(jobs, datetime.now(UTC) - timedelta(days=30)) == (0, 0)
    assert jobs.status(job).state == "cancelled"
