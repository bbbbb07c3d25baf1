"""The door to the Docker engine, in front of an engine that notes what it is asked: what passes, and what does not."""

import json
import runpy
import socketserver
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

GUARD = runpy.run_path(str(Path(__file__).parents[1] / "docker" / "socket_guard.py"))
OURS, FOREIGN = "a" * 64, "b" * 64
LABELS = {"project": "genomes", "dagster/run_id": "1"}
VOLUMES = ("genomes_data:/data:rw", "genomes_private:/run/opengenome:ro")


def description() -> dict[str, Any]:
    """What Dagster's launcher asks for."""
    return {
        "Image": "assets:1",
        "Cmd": ["dagster", "api", "execute_run"],
        "Env": ["SPARK_MASTER=spark://spark-master:7077"],
        "Labels": dict(LABELS),
        "User": "1000:1000",
        "AttachStdin": False,
        "NetworkingConfig": {"EndpointsConfig": {"genomes_cluster": None}},
        "HostConfig": {
            "NetworkMode": "genomes_cluster",
            "Binds": list(VOLUMES),
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "ReadonlyRootfs": True,
            "Memory": 2**30,
            "NanoCpus": 10**9,
            "PidsLimit": 100,
            "Tmpfs": {"/tmp": "exec"},
        },
    }


class Guarded:
    """A guard, and what came through it to the engine."""

    def __init__(self, address: str, passed: list[str]) -> None:
        self.address = address
        self.passed = passed

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["message"]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    passed: list[str] = []

    class EngineDouble(BaseHTTPRequestHandler):
        def do_ask(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            passed.append(f"{self.command} {self.path}")
            known = {OURS: LABELS, FOREIGN: {"project": "other", "dagster/run_id": "1"}}
            found = next((labels for name, labels in known.items() if name in self.path), {})
            body = json.dumps({"Config": {"Labels": found}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "guard"

    for method in ("GET", "POST", "DELETE"):
        setattr(EngineDouble, f"do_{method}", EngineDouble.do_ask)
    policy = GUARD["Policy"]("assets:1", "genomes_cluster", frozenset(VOLUMES), ("project", "genomes"))
    with (
        socketserver.ThreadingUnixStreamServer(str(tmp_path / "engine"), EngineDouble) as engine,
        GUARD["build_server"](policy, GUARD["Engine"](str(tmp_path / "engine")), ("127.0.0.1", 0)) as guard,
    ):
        for server in (engine, guard):
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Guarded(f"http://127.0.0.1:{guard.server_address[1]}", passed)
        guard.shutdown()
        engine.shutdown()


def test_a_run_is_launched_watched_and_stopped(guarded: Guarded) -> None:
    asked = [
        ("GET", "/version"),
        ("POST", "/v1.41/containers/create"),
        ("POST", f"/v1.41/containers/{OURS}/start"),
        ("GET", f"/v1.41/containers/{OURS}/json"),
        ("POST", f"/v1.41/containers/{OURS}/stop?t=30"),
    ]
    for method, path in asked:
        assert guarded.ask(method, path, description() if "create" in path else None)[0] == 200
    assert [f"{method} {path}" for method, path in asked if "json" not in path] == [
        line for line in guarded.passed if "json" not in line
    ]


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("Image", "debian", "the image has to be assets:1"),
        ("User", "", "the user has to be 1000:1000"),
        ("Labels", {"project": "genomes"}, "the label project=genomes has to be set"),
        ("Entrypoint", ["sh"], "Entrypoint may not be set"),
        ("NetworkingConfig", {"EndpointsConfig": {"bridge": None}}, "the network has to be genomes_cluster"),
        ("HostConfig.NetworkMode", "host", "the network has to be genomes_cluster"),
        ("HostConfig.Binds", ["/:/host"], "volumes may be"),
        ("HostConfig.Binds", ["genomes_private:/run/opengenome:rw"], "volumes may be"),
        ("HostConfig.Mounts", [{"Type": "bind", "Source": "/", "Target": "/host"}], "HostConfig.Mounts may not be set"),
        ("HostConfig.Privileged", True, "HostConfig.Privileged may not be set"),
        ("HostConfig.PidMode", "host", "HostConfig.PidMode may not be set"),
        ("HostConfig.Devices", [{"PathOnHost": "/dev/sda"}], "HostConfig.Devices may not be set"),
        ("HostConfig.CapAdd", ["SYS_ADMIN"], "HostConfig.CapAdd may not be set"),
        ("HostConfig.CapDrop", [], "all capabilities have to be dropped"),
        ("HostConfig.SecurityOpt", ["no-new-privileges:true", "seccomp=unconfined"], "no-new-privileges"),
        ("HostConfig.ReadonlyRootfs", False, "the root has to be read-only"),
        ("HostConfig.Memory", 0, "have to be limited"),
    ],
)
def test_other_containers_are_refused_with_the_reason(guarded: Guarded, path: str, value: Any, reason: str) -> None:
    body = description()
    group, _, name = path.rpartition(".")
    (body[group] if group else body)[name] = value
    status, message = guarded.ask("POST", "/v1.41/containers/create", body)
    assert status == 403
    assert reason in message
    assert guarded.passed == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/containers/json"),
        ("DELETE", f"/containers/{OURS}"),
        ("POST", f"/containers/{OURS}/exec"),
        ("GET", f"/containers/{OURS}/archive?path=/run"),
        ("POST", "/images/create?fromImage=debian"),
        ("GET", "/version/../containers/json"),
        ("POST", "/containers/create/../../build"),
    ],
)
def test_all_else_is_refused(guarded: Guarded, method: str, path: str) -> None:
    status, message = guarded.ask(method, path)
    assert (status, "is not allowed" in message) == (403, True)
    assert guarded.passed == []


@pytest.mark.parametrize(("method", "action"), [("GET", "json"), ("POST", "stop"), ("POST", "start")])
def test_containers_of_others_are_left_alone(guarded: Guarded, method: str, action: str) -> None:
    status, message = guarded.ask(method, f"/containers/{FOREIGN}/{action}")
    assert (status, "is not the container of a run" in message) == (403, True)
    assert guarded.passed == [f"GET /containers/{FOREIGN}/json"]


def test_what_is_no_description_is_refused(guarded: Guarded) -> None:
    for body in ([], "text", {"HostConfig": "text"}, {"Labels": []}):
        assert guarded.ask("POST", "/containers/create", body)[0] == 403
    assert guarded.passed == []


def test_an_engine_that_is_away_is_an_answer(tmp_path: Path) -> None:
    answer = GUARD["Engine"](str(tmp_path / "nowhere")).ask("GET", "/_ping")
    assert answer.status == 502
    assert "does not answer" in json.loads(answer.body)["message"]
