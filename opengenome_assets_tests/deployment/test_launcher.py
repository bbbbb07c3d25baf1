"""What run monitoring is told of runs, by a launcher that asks a real code server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test, instance_for_test
from dagster._grpc.client import DagsterGrpcClient

from opengenome_assets.deployment import launcher
from opengenome_assets.deployment.launcher import MonitoredRunLauncher
from opengenome_assets_tests.processes import free_port, wait_for


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    overrides = {"module": MonitoredRunLauncher.__module__, "class": MonitoredRunLauncher.__name__}
    with instance_for_test(overrides={"run_launcher": overrides, "run_monitoring": {"enabled": True}}) as made:
        yield made


@contextmanager
def served(folder: Path, port: int) -> Iterator[None]:
    """A code server that was started after the runs it is asked about."""
    (folder / "empty.py").write_text("import dagster as dg\n\ndefs = dg.Definitions()\n")
    command = [sys.executable, "-m", "dagster", "api", "grpc", "--port", str(port), "--python-file"]
    process = subprocess.Popen([*command, str(folder / "empty.py")])
    try:

        def answers() -> bool:
            try:
                return bool(DagsterGrpcClient(host="localhost", port=port).ping("")["echo"] == "")
            except dg.DagsterError:
                return False

        wait_for(answers, "code server")
        yield
    finally:
        process.terminate()
        process.wait()


def status_of(instance: dg.DagsterInstance, tags: dict[str, str]) -> WorkerStatus:
    run = create_run_for_test(instance, "corpus", status=dg.DagsterRunStatus.STARTED, tags=tags)
    assert instance.run_launcher.supports_check_run_worker_health
    return instance.run_launcher.check_run_worker_health(run).status


@pytest.mark.slow
def test_a_run_that_the_code_server_does_not_know_is_gone_once_definitions_are_loaded_again(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    tags = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "port": port})}
    with served(tmp_path, port):
        assert status_of(instance, tags) == WorkerStatus.NOT_FOUND
    with served(tmp_path, port):
        assert [status_of(instance, tags) for _ in range(2)] == [WorkerStatus.RUNNING] * 2
        monkeypatch.setattr(launcher, "SETTLING_SECONDS", 0)
        assert status_of(instance, tags) == WorkerStatus.NOT_FOUND


def test_a_code_server_that_is_away_says_nothing_of_its_runs(instance: dg.DagsterInstance) -> None:
    address = json.dumps({"host": "localhost", "port": free_port()})
    assert status_of(instance, {GRPC_INFO_TAG: address}) == WorkerStatus.RUNNING


def test_a_run_from_the_command_line_is_left_alone(instance: dg.DagsterInstance) -> None:
    assert status_of(instance, {}) == WorkerStatus.RUNNING
