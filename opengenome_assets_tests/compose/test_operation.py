"""A cluster in operation: a backup put back elsewhere, and log lines as JSON."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets_tests.compose.cluster import Cluster, logs
from opengenome_assets_tests.processes import REPOSITORY, free_port

SERVICES = {"dagster-webserver", "dagster-daemon", "dagster-code", "spark-master", "spark-worker", "search", "metrics"}
# What Dagster prints before it has loaded its instance, Java of its modules, and a server of its address.
AT_ITS_START = ("\x1b[", "20", "WARNING: Using incubator modules", "Search page: ", "Status page: ")
ROWS = """
import json, os
from opengenome_assets.storage.tables import Home
home = Home(os.environ["OPENGENOME_HOME"])
print(json.dumps({name: home.table(name).at().rows for name in home.names()}))
"""


def overlay(name: str) -> Path:
    return REPOSITORY / "docker" / f"compose.{name}.yml"


def rows(cluster: Cluster, *command: str) -> dict[str, int]:
    """The rows of each table, by a command that runs Python in a container."""
    found: dict[str, int] = json.loads(cluster.compose(*command, "python", "-c", ROWS).splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def run_id(cluster: Cluster) -> str:
    """A run of the sample, whatever source the home had before."""
    config = {"raw_fasta": {"source": "sample"}, "sequence_shards": {"min_length": 18}}
    run_id = cluster.launch("raw_fasta", "sequence_shards", "kmer_", config=config)
    cluster.succeed(run_id)
    return run_id


def test_log_lines_are_json_in_every_service_and_name_the_run(cluster: Cluster, run_id: str) -> None:
    of_run: Counter[str] = Counter()
    seen = set()
    for service in SERVICES:
        printed = [line for each in cluster.containers(service) for line in logs(each["Id"]).splitlines()]
        for line in filter(None, printed):
            if not line.startswith("{"):
                assert line.startswith(AT_ITS_START), f"{service}: {line}"
                continue
            entry: dict[str, Any] = json.loads(line)
            assert entry.keys() >= {"time", "level", "service", "message"}, line
            seen.add(service)
            of_run[service] += entry.get("run_id") == run_id
    assert seen == SERVICES
    assert of_run["dagster-code"]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for backups, of the containers' user."""
    # Not pytest's folder, which the containers' user might not be let into.
    with tempfile.TemporaryDirectory(prefix="opengenome-backup-") as name:
        os.chown(name, 1000, 1000)
        yield Path(name)


@pytest.fixture
def elsewhere(cluster: Cluster, place: Path) -> Iterator[Cluster]:
    """Another cluster, with nothing in it."""
    ports = {f"{name}_UI_PORT": str(free_port()) for name in ("DAGSTER", "SPARK", "SEARCH", "STATUS")}
    empty = replace(
        cluster,
        project=f"{cluster.project}-elsewhere",
        # On the disk: what lies in memory is gone when no container uses it.
        files=[REPOSITORY / "docker-compose.yml", overlay("backup")],
        settings={**cluster.settings, **ports, "OPENGENOME_BACKUP_FOLDER": str(place)},
    )
    try:
        yield empty
    finally:
        empty.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


def test_a_backup_is_put_back_into_an_empty_cluster_by_one_command_each(
    cluster: Cluster, run_id: str, elsewhere: Cluster, place: Path
) -> None:
    backed_up = replace(
        cluster,
        files=[*cluster.files, overlay("backup")],
        settings={**cluster.settings, "OPENGENOME_BACKUP_FOLDER": str(place)},
    )
    backed_up.compose("run", "--rm", "--no-deps", "backup", "opengenome", "backup", "/backup")
    expected = rows(cluster, "exec", "-T", "dagster-webserver")
    answer = elsewhere.compose("run", "--rm", "backup", "opengenome", "restore-backup", "/backup")
    assert "Verified at" in answer
    run = ("run", "--rm", "--no-deps", "-T", "backup")
    assert rows(elsewhere, *run) == expected
    assert run_id[:8] in elsewhere.compose(*run, "opengenome", "runs")
