"""Permissions of the containers, and access from outside."""

import json
import socket
from collections.abc import Iterator

import dagster
import pyspark
import pytest

from opengenome_assets_tests.compose.cluster import Cluster, docker, logs
from opengenome_assets_tests.webserver import wait_for

CLIENT = """
from pyspark.sql import SparkSession
session = SparkSession.builder.master("spark://spark-master:7077").appName("stranger").getOrCreate()
print("computed", session.sparkContext.parallelize(range(4), 2).sum())
"""
PORTS = {
    "postgres": 5432,
    "spark-master": 7077,
    "spark-worker": 8081,
    "dagster-code": 4000,
    "dagster-webserver": 3000,
    "search": 3001,
    "metrics": 3002,
}


def test_the_image_is_small_and_has_no_build_tools(image: str) -> None:
    (facts,) = json.loads(docker("image", "inspect", image))
    assert facts["Size"] < 1.5e9
    assert facts["Config"]["User"] == "1000:1000"
    search = "command -v gcc cc make uv pip pip3 git curl wget || true"
    assert docker("run", "--rm", "--entrypoint", "sh", image, "-c", search) == ""


def test_every_container_is_confined(cluster: Cluster) -> None:
    for container in cluster.containers():
        name, host = container["Name"], container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert min(host["Memory"], host["NanoCpus"], host["PidsLimit"]) > 0, name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", name
        assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}, name
        assert container["State"]["Health"]["Status"] == "healthy", name
        assert not any("docker.sock" in mount["Source"] for mount in container["Mounts"]), name
        if "postgres" not in name:
            assert container["Config"]["User"] == "1000:1000", name
            assert not host["CapAdd"], name


def test_the_image_lists_its_packages(image: str) -> None:
    shown = docker("run", "--rm", "--entrypoint", "cat", image, "/opt/opengenome/sbom.cdx.json")
    listed = json.loads(shown)
    assert listed["bomFormat"] == "CycloneDX"
    assert listed["metadata"]["component"]["name"] == "opengenome-assets"
    versions = {component["name"]: component["version"] for component in listed["components"]}
    assert versions["pyspark"] == pyspark.__version__
    assert versions["dagster"] == dagster.__version__


def test_secrets_show_neither_in_the_engine_nor_in_compose_nor_in_a_process(cluster: Cluster, image: str) -> None:
    secrets = [
        cluster.execute("dagster-webserver", "cat", f"/run/secrets/{name}")
        for name in ("postgres_password", "spark_secret")
    ]
    processes = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ"
    shown = [
        json.dumps(cluster.containers()),
        cluster.compose("config"),
        docker("image", "history", "--no-trunc", image),
        *(cluster.execute(service, "sh", "-c", processes, ok=False) for service in ("dagster-code", "dagster-daemon")),
    ]
    assert all(len(secret) == 64 for secret in secrets)
    for text in shown:
        assert len(text) > 100
        assert not any(secret in text for secret in secrets)
    # Others on the machine cannot enter the folder that holds them.
    assert "700" in docker("run", "--rm", "--entrypoint", "stat", image, "--format=%a", "/run/opengenome")


def test_only_the_user_interfaces_are_published_and_on_loopback(cluster: Cluster) -> None:
    published = {
        (binding["HostIp"], binding["HostPort"])
        for container in cluster.containers()
        for bindings in container["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    }
    names = ("DAGSTER_UI_PORT", "SPARK_UI_PORT", "SEARCH_UI_PORT", "STATUS_UI_PORT")
    ports = {cluster.settings[name] for name in names}
    assert published == {("127.0.0.1", port) for port in ports}
    outside = socket.gethostbyname(socket.gethostname())
    if not outside.startswith("127."):
        for port in ports:
            with socket.socket() as client:
                assert client.connect_ex((outside, int(port))) != 0


@pytest.fixture
def another_network(cluster: Cluster) -> Iterator[str]:
    name = f"{cluster.project}-outside"
    docker("network", "create", name)
    yield name
    docker("network", "rm", name)


def test_from_another_network_nothing_is_reached(cluster: Cluster, image: str, another_network: str) -> None:
    addresses = {}
    for service, port in PORTS.items():
        (network,) = cluster.containers(service)[0]["NetworkSettings"]["Networks"].values()
        addresses[service] = (network["IPAddress"], port)
    probe = (
        "import json, socket, sys\n"
        "for name, address in json.loads(sys.argv[1]).items():\n"
        "    with socket.socket() as client:\n"
        "        client.settimeout(2)\n"
        "        print(name, client.connect_ex(tuple(address)) == 0)\n"
    )

    def reached(network: str) -> dict[str, str]:
        command = ("python", "-c", probe, json.dumps(addresses))
        lines = docker("run", "--rm", "--network", network, image, *command).splitlines()
        return dict(line.split() for line in lines)

    assert reached(f"{cluster.project}_cluster") == dict.fromkeys(PORTS, "True")
    assert reached(another_network) == dict.fromkeys(PORTS, "False")


def test_an_application_without_the_secret_is_refused(cluster: Cluster, image: str) -> None:
    name = f"{cluster.project}-stranger"
    command = ("run", "--detach", "--name", name, "--network", f"{cluster.project}_cluster", image, "python", "-c")
    docker(*command, CLIENT)
    try:
        wait_for(lambda: "Unknown challenge message" in logs(name), "refusal")
        state = cluster.spark()
        assert "stranger" not in json.dumps(state["activeapps"] + state["completedapps"])
        assert "computed" not in logs(name)
    finally:
        docker("rm", "--force", name)
