"""A release for a team: ``values-team.yaml`` in sizes that fit one node of two cores.

Its home is in an object store, without a volume; its database is not the chart's; executors come and go with the tasks.
"""

import json
import os
import socket
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.kubernetes.release import NAME, SERVICES, Release, command, released
from opengenome_assets_tests.object_store import object_store
from opengenome_assets_tests.same import assert_same
from opengenome_assets_tests.webserver import wait_for

ASSETS = ("raw_fasta", "rejected_records", "sequence_shards", "kmer_", "kmer_freq_k6", "tfidf_index")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SETTINGS = ("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AWS_REGION")
TOKEN = "token-of-the-test"
PASSWORD = "password-of-the-test"
MOST = 2

SIZES = (
    "search.resources.requests.cpu=100m",
    "search.resources.requests.memory=512Mi",
    "runLauncher.config.k8sRunLauncher.resources.requests.cpu=250m",
    "runLauncher.config.k8sRunLauncher.resources.requests.memory=1Gi",
    "spark.driverMemory=1g",
    "spark.executor.cores=1",
    "spark.executor.memory=512m",
    "spark.executor.memoryOverhead=1g",
    "spark.executor.requestCores=100m",
    f"spark.dynamicAllocation.maxExecutors={MOST}",
    # A minute by default, in which a run of the sample never leaves an executor idle.
    r"spark.config.spark\.dynamicAllocation\.executorIdleTimeout=1s",
)
# What a cluster may have no API for, and the values that do without.
OPTIONAL = {
    "policy/v1": ("search.podDisruptionBudget.enabled=false",),
    "autoscaling/v2": ("search.autoscaling.enabled=false",),
    "monitoring.coreos.com/v1": ("monitoring.serviceMonitor.enabled=false", "monitoring.prometheusRule.enabled=false"),
}


def address_towards_the_node() -> str:
    """Return the address of this machine at which the cluster's node reaches it."""
    (node, *_) = json.loads(command("kubectl", "get", "nodes", "--output", "json"))["items"]
    (internal,) = (each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((internal, 9))
        address: str = sender.getsockname()[0]
        return address


def database(release: Release) -> None:
    """Start a PostgreSQL of the team's own, and make the Secrets that the values name."""
    labels = {"app": "database"}
    container = {
        "name": "postgresql",
        "image": "postgres:16-bookworm",
        "imagePullPolicy": "Never",
        "env": [
            {"name": "POSTGRES_USER", "value": "dagster"},
            {"name": "POSTGRES_DB", "value": "dagster"},
            {"name": "POSTGRES_PASSWORD", "value": PASSWORD},
        ],
        # No process is started for it: on a busy node that takes too long, and the database would lose its clients.
        "readinessProbe": {"tcpSocket": {"port": 5432}},
    }
    release.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "database", "labels": labels},
         "spec": {"containers": [container]}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "database"},
         "spec": {"selector": labels, "ports": [{"port": 5432}]}},
        *(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
            for name, data in {
                "keys": {name: os.environ[name] for name in KEYS},
                "opengenome-database": {"postgresql-password": PASSWORD},
                "opengenome-search": {"search_token": TOKEN},
            }.items()
        ),
    )  # fmt: skip
    release.kubectl("wait", "--for=condition=Ready", "pod/database", "--timeout=120s")


@pytest.fixture(scope="module")
def team(image: str) -> Iterator[tuple[Release, Home]]:
    """The release, and its home in a bucket."""
    known = command("kubectl", "api-versions").split()
    without = [value for version, values in OPTIONAL.items() if version not in known for value in values]
    with pytest.MonkeyPatch.context() as patch, object_store(patch, address_towards_the_node()) as bucket:
        home = f"{bucket}/home"
        settings = [f"settings.{name}={os.environ[name]}" for name in SETTINGS]
        values = [f"home.uri={home}", "home.volume.enabled=false", "envSecrets={keys}", *settings, *SIZES, *without]
        release = Release(
            f"opengenome-test-{uuid.uuid4().hex[:8]}",
            image,
            ("postgresql.postgresqlHost=database", *values),
            preset="values-team.yaml",
        )
        with released(release, before=database):
            yield release, Home(home)


@pytest.fixture(scope="module")
def run_id(team: tuple[Release, Home]) -> str:
    """A run with executors as its tasks need them; return its id."""
    release, _ = team
    run_id = release.launch(*ASSETS)
    assert len(release.succeed(run_id, 900)) == 1
    return run_id


def test_tables_in_a_bucket_are_those_of_a_local_run_bit_for_bit(
    team: tuple[Release, Home], run_id: str, local_sample: Home
) -> None:
    release, home = team
    assert_same(home, local_sample, *ASSETS)
    assert release.get("pvc") == []


def test_executors_come_and_go_with_the_tasks(team: tuple[Release, Home], run_id: str) -> None:
    release, _ = team
    assert release.events(run_id)
    started = [
        event["involvedObject"]["name"]
        for event in release.get("events", "--field-selector", "reason=Started")
        if "-exec-" in event["involvedObject"]["name"]
    ]
    # More than there may be at once, so some had left.
    assert len(set(started)) > MOST
    assert release.executors() == []


def test_pods_have_the_priorities_of_the_release(team: tuple[Release, Home], run_id: str) -> None:
    release, _ = team
    (run,) = release.pods(f"dagster/run-id={run_id}")
    assert run["spec"]["priority"] == 500
    services = release.pods(SERVICES)
    assert {pod["spec"]["priority"] for pod in services} == {1000}
    webservers = [pod for pod in services if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "webserver"]
    assert len(webservers) == 2


def test_each_host_has_an_ingress_with_tls_to_its_service(team: tuple[Release, Home]) -> None:
    release, _ = team
    rules = {
        rule["host"]: (each["spec"]["tls"][0]["hosts"], rule["http"]["paths"][0]["backend"]["service"]["name"])
        for each in release.get("ingresses.networking.k8s.io")
        for rule in each["spec"]["rules"]
    }
    assert rules == {
        "dagster.example.org": (["dagster.example.org"], f"{NAME}-webserver"),
        "search.example.org": (["search.example.org"], f"{NAME}-search"),
    }


def test_the_search_asks_for_the_token_of_its_secret(team: tuple[Release, Home], run_id: str) -> None:
    release, home = team
    request = urllib.request.Request(f"{release.forward('search', 3001)}/api/index")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=60)
    request.add_header("Authorization", f"Bearer {TOKEN}")

    def index() -> Any:
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code != 503:  # the search has not seen the new index yet
                raise
            return None

    described = wait_for(index, "index in the search", 120)
    assert described["sequences"] == home.table("tfidf_index").read().num_rows
