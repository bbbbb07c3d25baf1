"""Servers and the database are killed while jobs are sent and worked on; then jobs are counted: each done once."""

import hashlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from opengenome_assets.client import Client, ServerError
from opengenome_assets.engine.processes import Processes
from opengenome_assets.service.jobs.job import Job
from opengenome_assets.service.jobs.results import read_page
from opengenome_assets.service.jobs.store import Jobs
from opengenome_assets.service.jobs.work import work_on_waiting
from opengenome_assets_tests.postgres import Postgres, serving
from opengenome_assets_tests.processes import REPOSITORY, free_port, processes_of, started, wait_for
from opengenome_assets_tests.service.conftest import Server
from opengenome_assets_tests.service.lines import KIND, LINES, jobs_in, send

SENDERS, JOBS_OF_EACH, MOST_OF_EACH, KILLS = 4, 6, 60, 12
BYTES = 300_000  # of a file that is uploaded in pieces

pytestmark = pytest.mark.slow


def lines_of(sender: int, number: int) -> int:
    """Lines of a job: small ones are done at once, others wait, and some are uploaded in pieces."""
    return (2, 4, BYTES // 10)[(sender + number) % 3]


def until_it_is_taken(ask: Callable[[], str]) -> str:
    """Ask again while the server is being killed, as a patient sender does."""
    end = time.monotonic() + 120
    while True:
        try:
            return ask()
        except (httpx.TransportError, ServerError):
            assert time.monotonic() < end
            time.sleep(0.02)


def upload(url: str, content: bytes) -> str:
    """Upload in pieces, each after a look at how much is there."""
    sha256 = hashlib.sha256(content).hexdigest()

    def pieces(offset: int) -> Iterator[bytes]:
        for place in range(offset, len(content), 10_000):
            time.sleep(0.005)
            yield content[place : place + 10_000]

    with httpx.Client(base_url=url, timeout=30) as client:
        there = client.get(f"/api/uploads/{sha256}")
        offset = int(there.headers.get("upload-offset", 0))
        headers = {"Upload-Offset": str(offset)}
        answer = client.put(f"/api/uploads/{sha256}", content=pieces(offset), headers=headers)
        if answer.status_code != 200:
            raise ServerError(answer.status_code, answer.text)
    return sha256


def counted(jobs: Jobs, sent: dict[str, int]) -> None:
    """Assert that each job that was sent is there once, done once, and that nothing is half."""
    assert Counter(job.id for job in jobs.all()) == dict.fromkeys(sent, 1)
    for job in jobs.all():
        assert job.state == "done", jobs.status(job)
        assert job.outcome
        (table,) = job.outcome.tables
        assert table.version == 0, "it was done twice"
        assert read_page(job).rows.to_pylist() == [{"file": "a.txt", "lines": sent[job.id]}]
    assert jobs.waiting(KIND) == []
    assert list((jobs.folder / "waiting" / KIND.name).iterdir()) == []
    jobs.tidy(older=-1)
    assert {path.name for path in jobs.folder.iterdir()} <= {*sent, "inbox", "waiting", f"{KIND.name}.lock"}
    assert list(jobs.inbox.folder.iterdir()) == []
    for job in jobs.all():
        assert {path.name for path in job.folder.iterdir()} >= {"job.json", "outcome.json", "attempt.json", "tables"}


@pytest.mark.timeout(300)
def test_a_server_that_is_killed_at_any_moment_loses_no_job_and_none_is_done_twice(tmp_path: Path) -> None:
    home, port, dice = tmp_path / "home", free_port(), random.Random(7)
    jobs, url = jobs_in(home), f"http://127.0.0.1:{port}"
    killed, over = threading.Event(), threading.Event()
    seen = Counter[str]()

    def sender(number: int) -> dict[str, int]:
        sent = {}
        for each in range(MOST_OF_EACH):
            if each >= JOBS_OF_EACH and killed.is_set():
                break
            lines = lines_of(number, each)
            content = f"{number:03} {each:03} x\n"[-10:].encode() * lines
            (folder := tmp_path / f"sent-{number}-{each}").mkdir()
            (folder / "a.txt").write_bytes(content)

            def submit(content: bytes = content, path: Path = folder / "a.txt", lines: int = lines) -> str:
                seen["tries"] += 1
                if lines > 100:
                    upload(url, content)
                with Client(url, kinds={KIND.name: KIND}, timeout=30) as client:
                    return client.submit(KIND.name, [path]).id

            sent[until_it_is_taken(submit)] = lines
        return sent

    def reader() -> None:
        while not over.is_set():
            with suppress(httpx.TransportError, KeyError), httpx.Client(base_url=url, timeout=30) as client:
                for job in client.get("/api/jobs").json()["jobs"]:
                    answer = client.get(f"/api/lines/{job['id']}/results")
                    assert answer.status_code in (200, 409), answer.text
                    if answer.status_code == 200:  # what is there is whole
                        assert answer.json()["rows"][0]["lines"] in (2, 4, BYTES // 10)
                        seen["results"] += 1
            time.sleep(0.2)

    def worker() -> None:
        while not over.is_set():
            work_on_waiting(jobs, KIND, Processes(1), "run", lambda _: None, pause=0)
            time.sleep(0.2)

    command = [sys.executable, "-m", "opengenome_assets_tests.service.revived", str(home), str(port)]
    with started(command, home) as parent, ThreadPoolExecutor(SENDERS + 2) as pool:
        log = Path(f"{home}.log")
        wait_for(lambda: log.exists() and log.read_text().split(), "server")
        readers = [pool.submit(reader), pool.submit(worker)]
        senders = [pool.submit(sender, number) for number in range(SENDERS)]
        try:
            for _ in range(KILLS):
                wait_for(Server(url, 0).is_live, "answer of the server")
                time.sleep(dice.uniform(0, 0.3))
                os.kill(int(log.read_text().split()[-1]), signal.SIGKILL)
            killed.set()
            sent = {job: lines for each in senders for job, lines in each.result(120).items()}
            wait_for(lambda: all(job.state == "done" for job in jobs.all()), "results", every=0.2)
        finally:
            killed.set()
            over.set()
        for each in readers:
            each.result(60)
        assert parent.poll() is None
    assert len(log.read_text().split()) == KILLS + 1  # servers
    assert len(sent) >= SENDERS * JOBS_OF_EACH
    assert seen["tries"] > len(sent), "no request was cut"
    assert seen["results"]
    counted(jobs, sent)


@contextmanager
def daemon(home: Path, postgres: Postgres) -> Iterator[None]:
    """Run Dagster's daemon with its records in a database; when it ends, start it again, as a cluster does."""
    folder = home.with_name("dagster")
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(
        f"storage:\n  postgres:\n    postgres_url: {postgres.url}\n"
        f"local_artifact_storage:\n  module: dagster.core.storage.root\n  class: LocalArtifactStorage\n"
        f"  config: {{base_dir: {folder}}}\ntelemetry: {{enabled: false}}\n"
    )
    module = "opengenome_assets_tests.service.definitions_of_lines"
    command = [
        "sh",
        "-c",
        f"while :; do dagster-daemon run --module-name {module} --working-directory {REPOSITORY}; sleep 1; done",
    ]
    with started(command, home, DAGSTER_HOME=str(folder)):
        yield


@pytest.mark.timeout(900)
def test_a_database_that_is_killed_while_jobs_wait_and_run_loses_none(
    tmp_path: Path, tool: Callable[[str], str]
) -> None:
    home = tmp_path / "home"
    jobs = jobs_in(home)

    def sent(number: int, name: str) -> Job:
        return send(jobs, tmp_path / f"sent{number}", text="a\nb\n" * number, name=name)

    with serving(tool) as postgres:
        first = [sent(1, "a.txt"), sent(2, "wait.txt"), sent(3, "a.txt")]
        with daemon(home, postgres):
            wait_for(lambda: first[1].state == "running", "work", 400, every=0.2)
            postgres.kill()  # within a job's work
            second = [sent(4, "a.txt"), sent(5, "wait2.txt")]  # what is sent meanwhile is taken
            (home / "go").touch()
            wait_for(lambda: first[1].state == "done", "end of the work without the database", 100, every=0.2)
            postgres.start()
            wait_for(lambda: all(job.state == "done" for job in (*first, *second)), "results", 400, every=0.5)
            (home / "go").unlink()
            third = [sent(6, "wait.txt"), sent(7, "a.txt")]
            wait_for(lambda: third[0].state == "running", "work of another run", 400, every=0.2)
            postgres.kill()
            postgres.start()
            (home / "go").touch()
            wait_for(lambda: all(job.state == "done" for job in third), "results", 400, every=0.5)
        assert processes_of(home) == []
    everything = [*first, *second, *third]
    assert len(jobs.all()) == len(everything)
    for number, job in enumerate(everything, 1):
        assert job.outcome
        assert job.outcome.tables[0].version == 0, "it was done twice"
        (row,) = job.home().table(LINES).read().to_pylist()
        assert row["lines"] == 2 * number
    assert jobs.waiting(KIND) == []
