"""A cluster of the tests' own, as a user would handle it: Compose's commands, and the webserver's GraphQL.

Its project name, ports, secrets and image tag are its own, so that a cluster that runs on this machine is not touched.
"""

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests import processes
from opengenome_assets_tests.processes import REPOSITORY

Found = TypeVar("Found")

LOCATION = "opengenome_assets.definitions"
FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}

LAUNCH = """mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}"""
TERMINATE = """mutation ($id: String!) { terminateRun(runId: $id) { __typename } }"""
RUNS = """query ($id: ID!) {
  runGroupOrError(runId: $id) {
    ... on RunGroup {
      runs { runId status startTime endTime tags { key value } stepStats { stepKey status } }
    }
  }
}"""
EVENTS = """query ($id: ID!) {
  logsForRun(runId: $id) {
    ... on EventConnection {
      events {
        ... on MessageEvent { message stepKey timestamp eventType }
        ... on ErrorEvent { error { message causes { message } } }
      }
    }
  }
}"""
ASSETS = """{ assetNodes { assetKey { path } } }"""


@dataclass(frozen=True)
class Run:
    """A run as the webserver shows it; its steps by their state."""

    run_id: str
    status: str
    steps: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def is_over(self) -> bool:
        """Whether it has ended and no automatic retry will follow, which Dagster decides a moment after a failure."""
        return self.status in FINISHED and (self.status != "FAILURE" or self.tags.get("dagster/will_retry") == "false")


@dataclass(frozen=True)
class Cluster:
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

    def graphql(self, query: str, **variables: Any) -> Any:
        """Ask the webserver."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"http://127.0.0.1:{self.settings['DAGSTER_UI_PORT']}/graphql"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def spark(self) -> Any:
        """Return the state of Spark's master."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.settings['SPARK_UI_PORT']}/json/", timeout=10) as response:
            return json.load(response)

    # Runs.

    def launch(self, *assets: str, config: Mapping[str, Any] | None = None) -> str:
        """Materialise some assets, or all, as the button of the user interface does; return the run's id."""
        if not assets:
            assets = tuple("/".join(node["assetKey"]["path"]) for node in self.graphql(ASSETS)["assetNodes"])
        selector = {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": [name]} for name in assets],
        }
        ops = {name: {"config": value} for name, value in (config or {}).items()}
        params = {"selector": selector, "mode": "default", "runConfigData": {"ops": ops}}
        answer = self.graphql(LAUNCH, params=params)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        run_id: str = answer["run"]["runId"]
        return run_id

    def terminate(self, run_id: str) -> None:
        """Cancel a run."""
        answer = self.graphql(TERMINATE, id=run_id)["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def runs(self, run_id: str) -> list[Run]:
        """Return a run and its retries, the first first."""
        found = self.graphql(RUNS, id=run_id)["runGroupOrError"]["runs"]
        return [
            Run(
                run["runId"],
                run["status"],
                {step["stepKey"]: step["status"] for step in run["stepStats"]},
                {tag["key"]: tag["value"] for tag in run["tags"]},
            )
            for run in sorted(found, key=lambda run: run["startTime"] or float("inf"))
        ]

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """Return the events of a run."""
        found: list[dict[str, Any]] = self.graphql(EVENTS, id=run_id)["logsForRun"]["events"]
        return found

    def story(self, run_id: str) -> str:
        """Return what the events of a run say, errors with their causes."""
        lines = []
        for event in self.events(run_id):
            lines.append(event.get("message", ""))
            if error := event.get("error"):
                lines += [error["message"], *(cause["message"] for cause in error["causes"])]
        return "\n".join(lines)

    def finish(self, run_id: str, seconds: float = 240) -> list[Run]:
        """Wait until a run and its automatic retries are over; return them."""

        def over() -> list[Run]:
            try:
                runs = self.runs(run_id)
            except OSError:  # the webserver answers again after a while when its database was away
                return []
            return runs if runs[-1].is_over else []

        return wait_for(over, f"end of run {run_id}", seconds)

    def succeed(self, run_id: str, seconds: float = 240) -> list[Run]:
        """Wait until a run or its last retry has succeeded."""
        runs = self.finish(run_id, seconds)
        assert runs[-1].status == "SUCCESS", self.story(runs[-1].run_id)
        return runs

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


def wait_for(look: Callable[[], Found], what: str, seconds: float = 120.0, *, every: float = 0.5) -> Found:
    """Look again and again, as often as a cluster should be asked."""
    return processes.wait_for(look, what, seconds, every=every)
