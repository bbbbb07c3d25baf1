"""Health check: ``healthcheck.py SERVICE`` exits with 0 if the service does its work, else names the fault.

A process that runs is not enough: a worker has to be known to the master, the webserver has to reach the database and
the code server, the daemon's loops have to be alive.
"""

import json
import os
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

TIMEOUT_SECONDS = 10
# The answer needs the database and the code location.
WEBSERVER_QUERY = """{
  runsOrError(limit: 1) { __typename }
  repositoriesOrError { __typename ... on RepositoryConnection { nodes { name } } }
}"""
# Maximum age of a heartbeat. A loop that is busy, with many runs to start, reports less often than every 30 s.
HEARTBEAT_SECONDS = 120
HEARTBEATS = """
select daemon_type, extract(epoch from (now() at time zone 'utc') - timestamp) from daemon_heartbeats
where daemon_id = (select daemon_id from daemon_heartbeats order by timestamp desc limit 1)
"""


class UnhealthyError(Exception):
    """The service runs, but does not do its work; the message names the fault."""


def read_json(url: str, body: Any = None) -> Any:
    """Return the answer of an address."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        return json.load(response)


def check_master() -> None:
    """Check that the master leads, and is not recovering from a crash."""
    status = read_json("http://127.0.0.1:8080/json/")["status"]
    if status != "ALIVE":
        raise UnhealthyError(f"the master is {status}, expected ALIVE")


def check_worker() -> None:
    """Check that the master knows this worker as alive."""
    own = read_json("http://127.0.0.1:8081/json/")["id"]
    workers = read_json("http://spark-master:8080/json/")["workers"]
    if own not in {worker["id"] for worker in workers if worker["state"] == "ALIVE"}:
        raise UnhealthyError(f"the master does not know {own} as alive")


def check_code() -> None:
    """Check that the code server has loaded the definitions and serves them."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel("127.0.0.1:4000") as channel:
        request = health_pb2.HealthCheckRequest(service="DagsterApi")
        status = health_pb2_grpc.HealthStub(channel).Check(request, timeout=TIMEOUT_SECONDS).status
    if status != health_pb2.HealthCheckResponse.SERVING:
        raise UnhealthyError(f"the code server's state is {status}, expected {health_pb2.HealthCheckResponse.SERVING}")


def check_webserver() -> None:
    """Check that the webserver reads the database, and shows the code server's assets."""
    prefix = os.environ.get("DAGSTER_PATH_PREFIX", "")
    answer = read_json(f"http://127.0.0.1:3000{prefix}/graphql", {"query": WEBSERVER_QUERY})
    data = answer.get("data") or {}
    if data.get("runsOrError", {}).get("__typename") != "Runs":
        raise UnhealthyError(f"no runs could be read from the database: {answer}")
    if not data["repositoriesOrError"].get("nodes"):
        raise UnhealthyError(f"the code server's definitions are not loaded: {answer}")


def check_search() -> None:
    """Check that the search server answers, also without an index."""
    if read_json("http://127.0.0.1:3001/health/live") != {"live": True}:
        raise UnhealthyError("the search server answers something else than that it lives")


def check_metrics() -> None:
    """Check that the exporter has read the instance lately, with success or not."""
    if read_json("http://127.0.0.1:3002/health/live") != {"live": True}:
        raise UnhealthyError("the exporter's last reading is old: expected one every 15 s")


def check_daemon() -> None:
    """Check that each loop of the newest daemon has reported lately.

    Dagster's own check imports all of Dagster each time, and believes a loop for half an hour.
    """
    if not (url := os.environ.get("DAGSTER_POSTGRES_URL")):  # a database that is named otherwise
        os.execvp("dagster-daemon", ["dagster-daemon", "liveness-check"])
    import psycopg2

    connection = psycopg2.connect(url, connect_timeout=TIMEOUT_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(HEARTBEATS)
        ages = dict(cursor.fetchall())
    connection.close()
    if not ages:
        raise UnhealthyError("the daemon has not reported yet")
    if old := [f"{kind} {age:.0f} s ago" for kind, age in ages.items() if age > HEARTBEAT_SECONDS]:
        raise UnhealthyError(f"loops of the daemon reported last: {', '.join(old)}; expected one every 30 s")


CHECKS: dict[str, Callable[[], None]] = {
    "master": check_master,
    "worker": check_worker,
    "code": check_code,
    "webserver": check_webserver,
    "daemon": check_daemon,
    "search": check_search,
    "metrics": check_metrics,
}

if __name__ == "__main__":
    try:
        CHECKS[sys.argv[1]]()
    except Exception as error:  # every fault of a service, also a missing answer
        sys.exit(f"unhealthy: {type(error).__name__}: {error}")
