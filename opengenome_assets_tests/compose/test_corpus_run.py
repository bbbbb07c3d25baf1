"""What a user does first: start the cluster, press "Materialize all", look at the results."""

import json
from pathlib import Path

import pytest

from opengenome_assets.resources.tables import Tables
from opengenome_assets_tests.compose.cluster import Cluster, Run, wait_for


@pytest.fixture(scope="module")
def run(cluster: Cluster) -> Run:
    """The sample, materialised through the webserver."""
    (run,) = cluster.succeed(cluster.launch())
    return run


def test_every_asset_and_check_succeeds(run: Run) -> None:
    assert len(run.steps) > 50
    assert set(run.steps.values()) == {"SUCCESS"}


def test_every_table_is_that_of_a_local_run_bit_for_bit(
    cluster: Cluster, run: Run, local_tables: Tables, tmp_path: Path
) -> None:
    tables = cluster.fetch_tables(tmp_path / "cluster")
    assert tables.names() == local_tables.names()
    for name in tables.names():
        mine, theirs = tables.read(name), local_tables.read(name)
        if name == "raw_fasta":  # says where the files lie
            mine, theirs = (each.drop_columns(["uri"]) for each in (mine, theirs))
        assert mine.equals(theirs, check_metadata=True), name


def test_the_application_is_named_after_the_run_and_had_every_worker(cluster: Cluster, run: Run) -> None:
    (application,) = (app for app in cluster.spark()["completedapps"] if run.run_id in app["name"])
    assert (application["state"], application["cores"]) == ("FINISHED", 2)
    logs = cluster.compose("logs", "--no-color", "spark-worker").splitlines()
    launched = {line.split()[0] for line in logs if "Asked to launch" in line and run.run_id in line}
    assert len(launched) == 2


def test_the_command_line_in_a_container_uses_the_cluster_and_the_database(cluster: Cluster) -> None:
    printed = cluster.execute("dagster-webserver", "sh", "-c", "dagster asset materialize --select 'kmer_*' 2>&1")
    assert "2 reused" in printed
    answer = json.loads(cluster.execute("dagster-webserver", "opengenome", "info", "--format", "json"))
    states = {table["name"]: table["state"] for table in answer["tables"]}
    assert set(states.values()) == {"current"}
    assert "kmer_freq_k8" in states


def test_validate_finds_the_cluster_ready(cluster: Cluster) -> None:
    answer = json.loads(cluster.execute("dagster-webserver", "opengenome", "validate", "--format", "json"))
    verdicts = {verdict["subject"]: verdict for verdict in answer["verdicts"]}
    assert answer["ok"], answer
    assert "spark://spark-master:7077" in verdicts["Spark"]["finding"]


def test_one_run_at_a_time_and_a_worker_more_for_the_next(cluster: Cluster) -> None:
    first = cluster.launch("raw_fasta", "sequence_shards", config={"sequence_shards": {"compression": "lz4"}})
    second = cluster.launch("raw_fasta", "sequence_shards", config={"sequence_shards": {"compression": "gzip"}})
    wait_for(lambda: cluster.runs(first)[0].status == "STARTED", "start of the first run")
    assert cluster.runs(second)[0].status == "QUEUED"
    cluster.compose("up", "--detach", "--no-recreate", "--no-build", "--scale", "spark-worker=3", "spark-worker")
    cluster.succeed(first)
    cluster.succeed(second)
    (application,) = (app for app in cluster.spark()["completedapps"] if second in app["name"])
    assert application["cores"] == 3
    cluster.compose("up", "--detach", "--no-recreate", "--no-build", "--scale", "spark-worker=2", "spark-worker")
