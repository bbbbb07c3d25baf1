"""The routes of jobs under a fuzzer that reads their description, and under five hundred jobs at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import uvicorn

from opengenome_assets.engine.processes import Processes
from opengenome_assets.service.app import create_app
from opengenome_assets.service.jobs.work import work_on_waiting
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.processes import free_port, wait_for
from opengenome_assets_tests.service.lines import KIND, jobs_in

ROUTES = [
    ("GET", "/api/jobs"),
    ("POST", "/api/lines"),
    ("GET", "/api/lines"),
    ("GET", "/api/lines/{identity}/status"),
    ("GET", "/api/lines/{identity}/events"),
    ("GET", "/api/lines/{identity}/results"),
    ("DELETE", "/api/lines/{identity}"),
    ("POST", "/api/uploads"),
    ("GET", "/api/uploads/{sha256}"),
    ("PUT", "/api/uploads/{sha256}"),
]
JOBS = 500
SENDERS = 20


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed") / "home"


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    """A server in a thread of this process, over HTTP."""
    limits = ServerSettings(requests_per_minute=0, max_jobs_waiting=10_000, max_upload_bytes=100_000)
    app = create_app(Settings(home=str(home)), limits, {KIND.name: KIND})
    server = uvicorn.Server(uvicorn.Config(app, port=(port := free_port()), log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started, "start of the server")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
@pytest.mark.long
def test_a_fuzzer_finds_no_failure_and_no_answer_that_is_not_described(url: str, route: tuple[str, str]) -> None:
    from opengenome_assets_tests.service.fuzzing import fuzz

    fuzz(url, route, share(20))


def test_the_fuzzer_knows_every_route_of_jobs(url: str) -> None:
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    found = {
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if path.startswith(("/api/jobs", "/api/lines", "/api/uploads"))
    }
    assert found == set(ROUTES)


@pytest.mark.adversary
def test_five_hundred_jobs_that_are_sent_at_once_are_each_done_once(url: str, home: Path) -> None:
    def send(number: int) -> str:
        parameters = {"name": "a.txt", "factor": number}
        answer = client.post("/api/lines", params=parameters, content=b"a\nb\nc\nd\n")
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    # Every tenth is sent twice, by two senders at a time.
    numbers = [number for number in range(JOBS) for _ in range(1 + (number % 10 == 0))]
    with ThreadPoolExecutor(SENDERS) as pool, httpx.Client(base_url=url, timeout=120) as client:
        ids = set(pool.map(send, numbers))
    assert len(ids) == JOBS
    jobs = jobs_in(home)
    # Two runs at a time, as after a lapse: each job is still done once.
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(work_on_waiting, jobs, KIND, Processes(1), f"run {number}", lambda _: None)
            for number in range(2)
        ]
        assert [run.result() for run in runs] == [[], []]
    done = [job for job in jobs.all() if job.id in ids]
    assert len(done) == JOBS
    for job in done:
        status = jobs.status(job)
        assert (status.state, status.attempts, status.tables[0].version) == ("done", 1, 0)
    assert jobs.waiting(KIND) == []
