"""The overlays of docker/: a folder as volume, runs in containers, a proxy with passwords, an object store."""

import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.compose.cluster import Cluster, docker
from opengenome_assets_tests.processes import REPOSITORY, free_port
from opengenome_assets_tests.webserver import wait_for

BUCKET = "genomes"


def overlaid(cluster: Cluster, overlay: str, **settings: str) -> Cluster:
    """The same cluster with an overlay, which changes the services that it is about."""
    changed = replace(
        cluster,
        files=[*cluster.files, REPOSITORY / "docker" / f"compose.{overlay}.yml"],
        settings={**cluster.settings, **settings},
    )
    changed.compose("up", "--detach", "--wait", "--no-build", "--remove-orphans")
    return changed


def test_a_folder_serves_as_volume(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, 1000, 1000)
    mounted = replace(
        cluster,
        project=f"{cluster.project}-folder",
        files=[REPOSITORY / "docker-compose.yml", REPOSITORY / "docker" / "compose.bind-mount.yml"],
        settings={**cluster.settings, "OPENGENOME_FOLDER": str(folder)},
    )
    try:
        mounted.compose("run", "--rm", "--no-deps", "spark-worker", "touch", "/data/written")
        assert (folder / "written").stat().st_uid == 1000
    finally:
        mounted.compose("down", "--volumes")


class TestProxy:
    """The user interface behind TLS and passwords."""

    @pytest.fixture(scope="class")
    def proxied(self, cluster: Cluster, secrets: Path) -> Iterator[Cluster]:
        """The cluster behind a proxy, with a certificate and two passwords as docs/deployment.md makes them."""
        certificate = (
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
            "-addext subjectAltName=DNS:localhost -keyout tls_key -out tls_certificate"
        )
        subprocess.run(certificate.split(), cwd=secrets, check=True, capture_output=True)
        for user, file in (("ada", "team_passwords"), ("guest", "guest_passwords")):
            digest = subprocess.check_output(["openssl", "passwd", "-6", f"{user}-password"], text=True)
            (secrets / file).write_text(f"{user}:{digest}")
        for file in secrets.iterdir():
            file.chmod(0o444)
        image = f"{cluster.settings['OPENGENOME_IMAGE']}-proxy"
        docker("build", "--file", "docker/Dockerfile", "--target", "proxy", "--tag", image, ".", timeout=900)
        port = str(free_port())
        try:
            yield overlaid(cluster, "proxy", OPENGENOME_PROXY_IMAGE=image, PROXY_ADDRESS="127.0.0.1", PROXY_PORT=port)
            cluster.compose("up", "--detach", "--wait", "--no-build", "--remove-orphans")
        finally:
            docker("image", "rm", "--force", image)

    def ask(
        self,
        proxied: Cluster,
        secrets: Path,
        path: str,
        user: str = "",
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
    ) -> tuple[int, Any]:
        """Ask over TLS, for the version unless it is a GET, and return the status and the answer."""
        address = f"https://localhost:{proxied.settings['PROXY_PORT']}{path}"
        query = {"query": "{ version canBulkTerminate runsOrError(limit: 1) { __typename } }"}
        body = json.dumps(query).encode() if method == "POST" else None
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        if user:
            password = base64.b64encode(f"{user}:{user}-password".encode()).decode()
            request.add_header("Authorization", f"Basic {password}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        trust = ssl.create_default_context(cafile=str(secrets / "tls_certificate"))
        try:
            with urllib.request.urlopen(request, timeout=30, context=trust) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, None

    def test_the_team_works_and_guests_look(self, proxied: Cluster, secrets: Path) -> None:
        status, answer = self.ask(proxied, secrets, "/graphql", "ada")
        assert (status, answer["data"]["canBulkTerminate"]) == (200, True)
        status, answer = self.ask(proxied, secrets, "/guest/graphql", "guest")
        assert (status, answer["data"]["canBulkTerminate"]) == (200, False)

    @pytest.mark.parametrize(
        ("path", "user", "headers", "status"),
        [
            ("/graphql", "", {}, 401),
            ("/graphql", "nobody", {}, 401),
            ("/graphql", "guest", {}, 401),
            ("/guest/graphql", "", {}, 401),
            ("/guest/../graphql", "guest", {}, 401),
            ("/graphql", "ada", {"Origin": "https://elsewhere.example"}, 403),
            ("/graphql", "ada", {"Origin": "null"}, 403),
        ],
    )
    def test_others_are_refused(
        self, proxied: Cluster, secrets: Path, path: str, user: str, headers: dict[str, str], status: int
    ) -> None:
        assert self.ask(proxied, secrets, path, user, headers)[0] == status

    @pytest.mark.parametrize(("path", "user"), [("/search/", "ada"), ("/guest/search/", "guest")])
    def test_the_search_is_in_either_s_folder(self, proxied: Cluster, secrets: Path, path: str, user: str) -> None:
        assert self.ask(proxied, secrets, f"{path}health/live", user, method="GET") == (200, {"live": True})
        status, answer = self.ask(proxied, secrets, f"{path}openapi.json", user, method="GET")
        assert (status, answer["servers"]) == (200, [{"url": "."}])
        assert self.ask(proxied, secrets, f"{path}health/live", method="GET")[0] == 401

    def test_only_the_proxy_and_the_pages_of_operators_are_published(self, proxied: Cluster) -> None:
        ports = {
            container["Config"]["Labels"]["com.docker.compose.service"]
            for container in proxied.containers()
            if any(container["NetworkSettings"]["Ports"].values())
        }
        assert ports == {"proxy", "spark-master", "metrics"}


@pytest.mark.drill
def test_runs_in_containers_of_their_own_are_confined_and_followed(cluster: Cluster, secrets: Path) -> None:
    gid = str(os.stat("/var/run/docker.sock").st_gid)
    split = overlaid(cluster, "run-containers", DOCKER_GID=gid)
    run_id = split.launch("raw_fasta", "sequence_shards", "kmer_", config={"sequence_shards": {"min_length": 17}})

    def own() -> list[str]:
        return docker("ps", "--quiet", "--no-trunc", "--filter", f"label=dagster/run_id={run_id}").split()

    (container,) = wait_for(own, "container of the run")
    (facts,) = json.loads(docker("inspect", container))
    assert facts["HostConfig"]["ReadonlyRootfs"]
    assert facts["HostConfig"]["CapDrop"] == ["ALL"]
    assert not any("docker.sock" in mount.get("Source", "") for mount in facts["Mounts"])
    for name in ("postgres_password", "spark_secret"):
        assert (secrets / name).read_text() not in json.dumps(facts)
    holders = {
        each["Config"]["Labels"]["com.docker.compose.service"]
        for each in split.containers()
        if any("docker.sock" in mount.get("Source", "") for mount in each["Mounts"])
    }
    assert holders == {"socket-guard"}
    # Killed in mid-run, it is followed by another that goes on.
    wait_for(lambda: split.runs(run_id)[0].steps.get("raw_fasta") == "SUCCESS", "first step of the run", every=0.1)
    docker("kill", container)
    lost, retried = split.succeed(run_id)
    assert lost.status == "FAILURE"
    assert "137" in split.story(lost.run_id)
    assert "raw_fasta" not in retried.steps


@pytest.fixture
def store(cluster: Cluster) -> Iterator[str]:
    """An object store with the S3 API on this machine, where the cluster's containers reach it."""
    (network,) = json.loads(docker("network", "inspect", f"{cluster.project}_cluster"))
    host, port = network["IPAM"]["Config"][0]["Gateway"], free_port()
    # A process of its own: the tables' library waits for answers without letting other threads go on.
    server = subprocess.Popen(
        [sys.executable, "-m", "opengenome_assets_tests.s3_server", host, str(port)], cwd=REPOSITORY
    )

    def answers() -> bool:
        with socket.socket() as client:
            return client.connect_ex((host, port)) == 0

    try:
        wait_for(answers, "object store")
        yield f"http://{host}:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.drill
def test_an_object_store_serves_as_home(
    cluster: Cluster, store: str, secrets: Path, local_tables: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "object-store-secret"}
    (secrets / "object_store_keys").write_text("".join(f"{name}={value}\n" for name, value in keys.items()))
    settings = {"AWS_ENDPOINT_URL": store, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    for name, value in {**keys, **settings}.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    stored = overlaid(cluster, "object-store", OPENGENOME_HOME=f"s3://{BUCKET}/home", **settings)
    stored.succeed(stored.launch())
    tables = Home(f"s3://{BUCKET}/home")
    assert tables.names() == local_tables.names()
    for name in set(tables.names()) - {"raw_fasta"}:
        assert tables.table(name).read().equals(local_tables.table(name).read(), check_metadata=True), name
    assert boto3.client("s3").head_object(Bucket=BUCKET, Key="home/reports/corpus_report.html")["ContentLength"] > 1e5
    assert keys["AWS_SECRET_ACCESS_KEY"] not in json.dumps(stored.containers()) + stored.compose("config")
