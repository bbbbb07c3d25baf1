"""A filtering proxy of the Docker engine's socket, for Dagster's ``DockerRunLauncher``.

Access to the engine's socket is root access to the machine, so no container of Dagster has it. This service has it, and
passes on the requests of a launcher only. It creates containers of this project's image, network and volumes, confined
like the others. It starts, stops and inspects these containers. It refuses everything else, with the reason.

The policy comes from the environment: GUARD_IMAGE, GUARD_NETWORK, GUARD_VOLUMES (``name:/path:mode``, separated by
commas), and GUARD_LABEL (``name=value``), a label that each container must have.
"""

import http.client
import json
import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 2375
TIMEOUT_SECONDS = 120
VERSION = r"(?:/v\d+\.\d+)?"
# Fields that the description of a run's container may have. All others must be empty or absent.
KNOWN = {"AttachStderr", "AttachStdin", "AttachStdout", "Cmd", "Env", "HostConfig", "Image", "Labels"}
KNOWN |= {"NetworkDisabled", "NetworkingConfig", "OpenStdin", "StdinOnce", "StopTimeout", "Tty", "User", "Volumes"}
HOST_KNOWN = {"Binds", "CapDrop", "LogConfig", "Memory", "MemorySwap", "NanoCpus", "NetworkMode", "PidsLimit"}
HOST_KNOWN |= {"ReadonlyRootfs", "SecurityOpt", "Tmpfs"}


@dataclass(frozen=True)
class Policy:
    """The policy: image, network, volumes and label that a container may have."""

    image: str
    network: str
    volumes: frozenset[str]
    label: tuple[str, str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Policy":
        """Read the policy; a missing variable is an error."""
        name, _, value = environment["GUARD_LABEL"].partition("=")
        volumes = frozenset(environment["GUARD_VOLUMES"].split(","))
        return cls(environment["GUARD_IMAGE"], environment["GUARD_NETWORK"], volumes, (name, value))

    def objection(self, body: Mapping[str, Any]) -> str | None:
        """Return the rule that the description of a container breaks; None if it breaks none."""
        host = body.get("HostConfig") or {}
        networks = set((body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {})
        unknown = {name for name, value in body.items() if value} - KNOWN
        unknown |= {f"HostConfig.{name}" for name, value in host.items() if value and name not in HOST_KNOWN}
        rules = {
            f"{', '.join(sorted(unknown))} may not be set": not unknown,
            f"the image has to be {self.image}": body.get("Image") == self.image,
            f"the network has to be {self.network}": {host.get("NetworkMode"), *networks} == {self.network},
            f"volumes may be {', '.join(sorted(self.volumes))}": set(host.get("Binds") or ()) <= self.volumes,
            "the user has to be 1000:1000": body.get("User") == "1000:1000",
            "all capabilities have to be dropped": host.get("CapDrop") == ["ALL"],
            "no-new-privileges has to be set, alone": host.get("SecurityOpt") == ["no-new-privileges:true"],
            "the root has to be read-only": host.get("ReadonlyRootfs") is True,
            "memory, processors and processes have to be limited": all(
                host.get(name) for name in ("Memory", "NanoCpus", "PidsLimit")
            ),
            f"the label {'='.join(self.label)} has to be set": self.owns(body.get("Labels")),
        }
        return next((rule for rule, kept in rules.items() if not kept), None)

    def owns(self, labels: Mapping[str, str] | None) -> bool:
        """Return whether the labels are those of a container that this service created."""
        name, value = self.label
        return (labels or {}).get(name) == value and "dagster/run_id" in (labels or {})


@dataclass(frozen=True)
class Answer:
    """An answer of the engine."""

    status: int
    body: bytes
    kind: str = "application/json"


class Engine:
    """The engine behind its socket."""

    def __init__(self, path: str) -> None:
        self.path = path

    def ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Pass a request on."""
        connection = http.client.HTTPConnection("docker")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(TIMEOUT_SECONDS)
        try:
            connection.sock.connect(self.path)
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            return Answer(response.status, response.read(), response.getheader("Content-Type") or "application/json")
        except OSError as error:
            return refusal(502, f"the engine at {self.path} does not answer ({error})")
        finally:
            connection.close()


def refusal(status: int, reason: str) -> Answer:
    """Return a refusal in the engine's form, so that its clients show the reason."""
    return Answer(status, json.dumps({"message": f"socket guard: {reason}"}).encode())


def decide(policy: Policy, engine: Engine, method: str, target: str, body: bytes | None) -> Answer:
    """Pass a request on if the policy allows it, and answer it."""
    path = target.partition("?")[0]
    if method in ("GET", "HEAD") and re.fullmatch(VERSION + "/(_ping|version)", path):
        return engine.ask(method, target)
    if method == "POST" and re.fullmatch(VERSION + "/containers/create", path):
        try:
            objection = policy.objection(json.loads(body or b""))
        except (ValueError, AttributeError, TypeError) as error:
            objection = f"not the description of a container ({error})"
        return refusal(403, objection) if objection else engine.ask(method, target, body)
    found = re.fullmatch(VERSION + "/containers/([0-9a-f]{12,64})/(json|start|stop)", path)
    if found and (method, found[2]) in {("GET", "json"), ("POST", "start"), ("POST", "stop")}:
        if body not in (None, b"", b"{}", b"null"):
            return refusal(403, f"{found[2]} takes no body")
        facts = engine.ask("GET", f"/containers/{found[1]}/json")
        if facts.status == 200 and not policy.owns(json.loads(facts.body)["Config"]["Labels"]):
            return refusal(403, f"{found[1]} is not the container of a run")
        return facts if found[2] == "json" or facts.status != 200 else engine.ask(method, target, body)
    return refusal(403, f"{method} {path} is not allowed")


def build_server(policy: Policy, engine: Engine, address: tuple[str, int]) -> ThreadingHTTPServer:
    """Return a server that guards an engine."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            answer = decide(policy, engine, self.command, self.path, body)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            if answer.status in (403, 502):
                print(answer.body.decode(), file=sys.stderr, flush=True)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            if not self.path.endswith("_ping"):  # the health check's
                super().log_request(code, size)

    for method in ("DELETE", "GET", "HEAD", "POST", "PUT"):
        setattr(Door, f"do_{method}", Door.answer)
    return ThreadingHTTPServer(address, Door)


if __name__ == "__main__":
    guard = build_server(Policy.from_environment(os.environ), Engine("/var/run/docker.sock"), ("0.0.0.0", PORT))
    guard.serve_forever()
