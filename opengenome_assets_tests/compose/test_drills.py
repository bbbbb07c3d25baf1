"""Faults that take minutes: ``make test-compose SELECT=drill`` (docs/deployment.md lists their outcomes)."""

import time
from pathlib import Path

import pytest

from opengenome_assets_tests.compose.cluster import Cluster, docker
from opengenome_assets_tests.compose.made import Corpus
from opengenome_assets_tests.webserver import wait_for

pytestmark = pytest.mark.drill
OUTAGE_SECONDS = 60
# Where the system counts what it killed for memory: version 1 of control groups, and version 2.
OOM_KILLS = ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events")


def test_the_daemon_is_lost_and_the_queue_goes_on(cluster: Cluster, corpus: Corpus, tmp_path: Path) -> None:
    first, _ = corpus.scanning()
    second = corpus.launch()
    cluster.crash("dagster-daemon")
    assert len(cluster.succeed(first)) == 1
    assert len(cluster.succeed(second)) == 1
    corpus.check(tmp_path / "home")


def test_the_database_is_away_for_a_minute(cluster: Cluster, corpus: Corpus, tmp_path: Path) -> None:
    run_id, _ = corpus.scanning()
    cluster.compose("stop", "postgres")
    time.sleep(OUTAGE_SECONDS)
    cluster.compose("start", "postgres")
    cluster.wait_healthy("postgres", "dagster-code", "dagster-daemon", "dagster-webserver")
    for run in cluster.succeed(run_id)[1:]:
        assert "sequence_shards" not in run.steps
    corpus.check(tmp_path / "home")


def test_a_worker_without_memory_is_done_without(cluster: Cluster, corpus: Corpus, tmp_path: Path) -> None:
    worker = cluster.containers("spark-worker")[0]["Id"]
    # Enough for Spark's own processes, too little for a task beside them.
    docker("update", "--memory", "400m", "--memory-swap", "400m", worker)
    try:
        assert len(cluster.succeed(corpus.launch())) == 1
        counted = docker("exec", worker, "sh", "-c", f"cat {' '.join(OOM_KILLS)} 2>/dev/null || true")
        assert int(counted.split("oom_kill ")[1].split()[0]) > 0
    finally:
        docker("update", "--memory", "2g", "--memory-swap", "4g", worker)
    corpus.check(tmp_path / "home")


def test_a_run_that_finds_no_master_waits_for_it(cluster: Cluster, corpus: Corpus, tmp_path: Path) -> None:
    cluster.compose("kill", "spark-master")
    run_id = corpus.launch()
    wait_for(lambda: "STEP_UP_FOR_RETRY" in str(cluster.events(run_id)), "step that waits", 240)
    cluster.compose("start", "spark-master")
    assert len(cluster.succeed(run_id)) == 1
    corpus.check(tmp_path / "home")
