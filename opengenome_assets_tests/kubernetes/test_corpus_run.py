"""The first steps of a user: install the chart, press "Materialize all", look at the results.

These tests come before the faults: a home keeps the source that a run was given.
"""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.kubernetes.release import SERVICES, Release, command
from opengenome_assets_tests.same import assert_same
from opengenome_assets_tests.webserver import Run, wait_for

COMPONENTS = ["webserver", "daemon", "code", "search", "metrics"]
COMPONENT = "app.kubernetes.io/component"


def test_the_image_with_what_kubernetes_needs_is_bounded(image: str) -> None:
    (facts,) = json.loads(command("docker", "image", "inspect", image))
    assert facts["Size"] < 1.65e9


def test_every_service_is_ready_and_none_was_started_again(release: Release) -> None:
    pods = release.pods(SERVICES) + release.pods(f"{COMPONENT}=postgresql")
    assert {pod["metadata"]["labels"][COMPONENT] for pod in pods} == {*COMPONENTS, "postgresql"}
    for pod in pods:
        (container,) = pod["status"]["containerStatuses"]
        assert container["ready"], pod["metadata"]["name"]
        assert container["restartCount"] == 0, pod["metadata"]["name"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_no_service_is_root_or_can_write_to_its_image(release: Release, component: str) -> None:
    probe = "id -u; touch /opt/opengenome/x 2>&1; grep -E 'CapEff|NoNewPrivs' /proc/self/status; ls /run/secrets"
    said = release.execute(component, "sh", "-c", f"{probe} 2>&1; true")
    assert said.startswith("1000\n")
    assert "Read-only file system" in said
    assert "CapEff:\t0000000000000000" in said
    assert "NoNewPrivs:\t1" in said
    assert ("kubernetes.io" in said) is (component in {"webserver", "daemon"})


@pytest.fixture(scope="module")
def run(release: Release) -> Run:
    """The sample, materialised through the webserver."""
    (run,) = release.succeed(release.launch(), seconds=1200)
    return run


def test_every_asset_and_check_succeeds(run: Run) -> None:
    assert len(run.steps) > 50
    # There are no queries: what would check their hits is left out.
    left_out = {step for step in run.steps if step.startswith("query_hits_")}
    assert {run.steps[step] for step in left_out} == {"SKIPPED"}
    assert {run.steps[step] for step in run.steps.keys() - left_out} == {"SUCCESS"}


def test_every_table_is_that_of_a_local_run_bit_for_bit(
    release: Release, run: Run, local_sample: Home, tmp_path: Path
) -> None:
    assert_same(release.fetch_tables(tmp_path / "cluster"), local_sample)


def test_the_run_was_a_job_and_had_two_executors_that_ended_with_it(release: Release, run: Run) -> None:
    (job,) = release.get("jobs", "--selector", f"dagster/run-id={run.run_id}")
    assert job["status"]["succeeded"] == 1
    assert "k8s://https://kubernetes.default.svc" in release.story(run.run_id)
    started = {
        event["involvedObject"]["name"]
        for event in release.get("events", "--field-selector", "reason=Started")
        if "-exec-" in event["involvedObject"]["name"]
    }
    assert len(started) >= 2
    wait_for(lambda: not release.pods(f"{COMPONENT}=executor"), "end of the executors", 60, every=1)


def test_run_and_executors_belong_to_the_release(release: Release, run: Run) -> None:
    # Else its NetworkPolicy would keep the run from the database.
    (pod,) = release.pods(f"dagster/run-id={run.run_id}")
    labels = pod["metadata"]["labels"]
    assert (labels["app.kubernetes.io/instance"], labels["app.kubernetes.io/name"]) == ("trial", "opengenome")


def test_the_search_finds_what_was_made(release: Release, run: Run, local_sample: Home) -> None:
    def index() -> Any:
        try:
            return read_json(f"{release.forward('search', 3001)}/api/index")
        except OSError:  # there was no index a moment ago
            return None

    described = wait_for(index, "index in the search", 120)
    assert described["sequences"] == local_sample.table("tfidf_index").read().num_rows
    sequence = local_sample.table("sequence_shards").read(["seq_id", "sequence"]).slice(0, 1).to_pylist()[0]
    body = {"queries": sequence["sequence"], "top_n": 1}
    answer = read_json(f"{release.forward('search', 3001)}/api/similar", body)
    ((hit,),) = (result["hits"] for result in answer["results"])
    assert (hit["seq_id"], round(hit["similarity"], 9)) == (sequence["seq_id"], 1)


def read_json(address: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def test_the_logs_of_a_run_are_in_the_volume(release: Release, run: Run) -> None:
    found = release.execute(
        "webserver", "find", "/data/dagster/compute_logs", "-path", f"*{run.run_id}*", "-name", "*.err"
    )
    assert found


def test_the_command_line_in_a_pod_knows_the_home(release: Release, run: Run) -> None:
    answer = json.loads(release.execute("webserver", "opengenome", "info", "--format", "json"))
    states = {table["name"]: table["state"] for table in answer["tables"]}
    assert set(states.values()) == {"current"}
    assert "kmer_freq_k8" in states
