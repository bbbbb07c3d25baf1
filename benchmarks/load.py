"""A hundred users of one server, who search and send jobs, against one user alone.

Belongs here: the users and the measurement, by locust. Does not belong here: searching itself (``search.py``).

A user searches the sample's corpus for a query of 300 letters, looks at the jobs, and now and then sends a job of a few
proteins. All jobs were sent once before, so that one user and many ask for the same work. Between two requests a user
waits 1 to 3 s. One user alone waits a tenth of that: else a minute had too few requests for a percentile. The ratio of
the 95th percentiles says what the others cost one user; times alone would be the machine's.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from benchmarks.report import Figure, Row, number, table
from opengenome_assets.proteins.settings import SAMPLE_FOLDER
from opengenome_assets_tests.service.conftest import QUERY, make, running

USERS = 100
SECONDS = 60
WAIT = (1.0, 3.0)  # seconds between two requests of a user
NAMES = [f"isolate{number}_proteins.fasta" for number in range(20)]
ISOLATE = SAMPLE_FOLDER / "escherichia-prot_proteins.fasta"
USERS_FILE = """
import random
from locust import HttpUser, between, task

QUERY = {query!r}
PROTEINS = open({proteins!r}, "rb").read()


class Guest(HttpUser):
    wait_time = between(*{wait})

    @task(8)
    def search(self):
        self.client.post("/api/similar", json={{"queries": QUERY}})

    @task(3)
    def look(self):
        self.client.get("/api/jobs")

    @task(1)
    def send(self):
        name = random.choice({names!r})
        parameters = {{"name": name, "organism": "Escherichia"}}
        self.client.post("/api/alignments/batch", params=parameters, data=PROTEINS, name="/api/alignments/batch")
"""


def load_row(bases: int, folder: Path) -> Row:
    """Measure the answers that many users get, and those of one user, of a server in a process of its own."""
    home = folder / "load"
    make(home)
    # The limits are those of one client; here all come from one address.
    unlimited = {"OPENGENOME_SEARCH_REQUESTS_PER_MINUTE": "0", "OPENGENOME_SEARCH_REQUESTS_AT_ONCE": "1000"}
    with running(home, ready=True, **unlimited) as server:
        with httpx.Client(base_url=server.url, timeout=300) as client:
            for name in NAMES:
                parameters = {"name": name, "organism": "Escherichia"}
                answer = client.post("/api/alignments/batch", params=parameters, content=ISOLATE.read_bytes())
                answer.raise_for_status()
        measure(folder, server.url, 2, 10, WAIT)  # machine code
        alone = measure(folder, server.url, 1, SECONDS, (WAIT[0] / 10, WAIT[1] / 10))
        many = measure(folder, server.url, USERS, SECONDS, WAIT)
    cells = [
        (
            f"{count:,}",
            f"{each['requests']:,}",
            f"{each['failures']:,}",
            *(number(each[name]) for name in ("p50", "p95")),
        )
        for count, each in ((1, alone), (USERS, many))
    ]
    return Row(
        f"{USERS} users of one server for {SECONDS} s, who search and send jobs",
        [
            Figure("requests that failed", many["failures"] + alone["failures"], 0),
            Figure("95th percentile / that of one user", many["p95"] / alone["p95"], unit=" x"),
        ],
        [
            table(("users", "requests", "failed", "median, ms", "95th percentile, ms"), cells),
        ],
    )


def measure(folder: Path, url: str, users: int, seconds: int, wait: tuple[float, float]) -> dict[str, Any]:
    """Return requests, failures, and percentiles in ms over all requests of some users."""
    script = folder / "users.py"
    script.write_text(USERS_FILE.format(query=QUERY, proteins=str(ISOLATE), names=NAMES, wait=wait))
    command = [
        sys.executable,
        "-m",
        "locust",
        "--locustfile",
        str(script),
        "--host",
        url,
        "--headless",
        "--only-summary",
    ]
    command += [
        "--users",
        str(users),
        "--spawn-rate",
        str(users),
        "--run-time",
        f"{seconds}s",
        "--json",
        "--exit-code-on-error",
        "0",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    requests = failures = 0
    times: dict[float, int] = {}
    for each in json.loads(answer.stdout):
        requests += each["num_requests"]
        failures += each["num_failures"]
        for milliseconds, count in each["response_times"].items():
            times[float(milliseconds)] = times.get(float(milliseconds), 0) + count
    return {"requests": requests, "failures": failures, "p50": _percentile(times, 0.5), "p95": _percentile(times, 0.95)}


def _percentile(times: dict[float, int], share: float) -> float:
    """Return the time within which a share of the requests was answered."""
    left = share * sum(times.values())
    for milliseconds, count in sorted(times.items()):
        left -= count
        if left <= 0:
            return milliseconds
    raise ValueError("no request was answered")
