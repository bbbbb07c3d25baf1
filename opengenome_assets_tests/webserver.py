"""A webserver of Dagster as its page uses it, by GraphQL: start runs, cancel them, read what they say."""

import json
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from opengenome_assets_tests import processes

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


class Webserver(ABC):
    """A webserver, and so its instance."""

    @abstractmethod
    def address(self) -> str:
        """Return where it answers, as ``http://HOST:PORT``."""

    def graphql(self, query: str, **variables: Any) -> Any:
        """Ask the webserver."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.address()}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

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


def wait_for(look: Callable[[], Found], what: str, seconds: float = 120.0, *, every: float = 0.5) -> Found:
    """Look again and again, as often as a cluster should be asked."""
    return processes.wait_for(look, what, seconds, every=every)
