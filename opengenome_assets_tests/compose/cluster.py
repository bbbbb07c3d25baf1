"""A cluster of the tests' own, as a user would handle it: Compose's commands, and the webserver's GraphQL.

Its project name, ports, secrets and image tag are its own, so that a cluster that runs on this machine is not touched.
"""

import json
import os
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.processes import REPOSITORY
from opengenome_assets_tests.webserver import Webserver, wait_for


@dataclass(frozen=True)
class Cluster(Webserver):
    """A Compose project.

    Attributes
    ----------
    project
        Its name.
    files
        Its Compose files.
    settings
        What a user would write into ``.env``.
    """

    project: str
    files: Sequence[Path]
    settings: Mapping[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str, ok: bool = True, timeout: float = 300, text: str | None = None) -> str:
        """Run ``docker compose``; return what it printed, and assert that it succeeded unless told."""
        files = [part for file in self.files for part in ("--file", str(file))]
        return docker("compose", "--project-name", self.project, *files, *arguments, ok=ok, timeout=timeout, text=text,
                      environment=self.settings)  # fmt: skip

    def execute(self, service: str, *command: str, ok: bool = True, index: int = 1, timeout: float = 300) -> str:
        """Run a command in a service's container, as ``docker compose exec`` does."""
        return self.compose("exec", "-T", "--index", str(index), service, *command, ok=ok, timeout=timeout)

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """Return what the engine knows of the containers of some services, or of all."""
        ids = self.compose("ps", "--all", "--quiet", *services).split()
        found: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
        return found

    def crash(self, service: str, index: int = 1) -> None:
        """Kill everything in a container but its first process, which then ends: the engine starts it again."""
        self.execute(service, "sh", "-c", "kill -KILL -1", ok=False, index=index)

    def wait_healthy(self, *services: str, seconds: float = 120) -> None:
        """Wait until all containers of some services are healthy."""

        def healthy() -> bool:
            states = [container["State"] for container in self.containers(*services)]
            return bool(states) and all(state.get("Health", {}).get("Status") == "healthy" for state in states)

        wait_for(healthy, f"health of {', '.join(services)}", seconds)

    # What the two user interfaces know.

    def address(self) -> str:
        """Return where the webserver answers."""
        return f"http://127.0.0.1:{self.settings['DAGSTER_UI_PORT']}"

    def spark(self) -> Any:
        """Return the state of Spark's master."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.settings['SPARK_UI_PORT']}/json/", timeout=10) as response:
            return json.load(response)

    def fetch_tables(self, folder: Path) -> Home:
        """Copy the tables out of the volume into a new home."""
        folder.mkdir(parents=True)
        self.compose("cp", "dagster-webserver:/data/tables", str(folder / "tables"))
        return Home(str(folder))

    def parts(self, table: str) -> int:
        """Return how many parts of a table are finished, of all the versions that there were."""
        found = self.execute("dagster-webserver", "find", f"/data/tables/{table}", "-name", "_manifest.json", ok=False)
        return len(found.splitlines())


def docker(
    *arguments: str,
    ok: bool = True,
    timeout: float = 300,
    text: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a command of the engine's client and return what it printed."""
    answer = subprocess.run(
        ["docker", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
        input=text,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    said = f"{answer.stdout}\n{answer.stderr}"
    assert not ok or answer.returncode == 0, f"docker {' '.join(arguments)}: {answer.returncode}\n{said}"
    return answer.stdout


def logs(container: str) -> str:
    """Return what a container has printed."""
    answer = subprocess.run(["docker", "logs", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return answer.stdout
