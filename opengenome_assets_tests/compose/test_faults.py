"""Faults in mid-run: the run succeeds, from the failed step on, and counts nothing twice."""

import re
from pathlib import Path

import pytest

from opengenome_assets_tests.compose.cluster import Cluster
from opengenome_assets_tests.compose.made import FILES, Corpus
from opengenome_assets_tests.webserver import wait_for


def kill(cluster: Cluster, *services: str) -> None:
    """Take containers away, as a machine that loses power does."""
    cluster.compose("kill", *services)


def test_a_lost_worker_costs_its_tasks_only(cluster: Cluster, corpus: Corpus, tmp_path: Path) -> None:
    run_id, before = corpus.scanning()
    cluster.crash("spark-worker", index=1)
    assert cluster.parts("kmer_") - before < FILES
    assert len(cluster.succeed(run_id)) == 1
    corpus.check(tmp_path / "home")


def test_all_workers_are_lost_and_come_back(cluster: Cluster, corpus: Corpus, tmp_path: Path) -> None:
    run_id, before = corpus.scanning()
    kill(cluster, "spark-worker")
    assert cluster.parts("kmer_") - before < FILES
    cluster.compose("start", "spark-worker")
    assert len(cluster.succeed(run_id)) == 1
    corpus.check(tmp_path / "home")


def test_the_master_is_lost_and_comes_back(cluster: Cluster, corpus: Corpus, tmp_path: Path) -> None:
    run_id, before = corpus.scanning()
    kill(cluster, "spark-master", "spark-worker")
    assert cluster.parts("kmer_") - before < FILES
    cluster.compose("start", "spark-master", "spark-worker")
    assert len(cluster.succeed(run_id)) == 1
    corpus.check(tmp_path / "home")


def test_a_lost_code_server_is_noticed_and_the_run_goes_on_from_its_step(
    cluster: Cluster, corpus: Corpus, tmp_path: Path
) -> None:
    run_id, before = corpus.scanning()
    cluster.crash("dagster-code")
    done = cluster.parts("kmer_") - before
    assert done < FILES
    lost, retried = cluster.succeed(run_id)
    assert lost.status == "FAILURE"
    assert "The code server no longer runs it" in cluster.story(lost.run_id)
    assert lost.steps["sequence_shards"] == "SUCCESS"
    assert "sequence_shards" not in retried.steps
    # The executors may finish a part more after their driver is gone.
    found = re.search(r"(\d+) shards scanned, (\d+) reused", cluster.story(retried.run_id))
    assert found
    assert int(found[1]) + int(found[2]) == FILES
    assert int(found[2]) >= done
    corpus.check(tmp_path / "home")


def test_a_cancelled_run_ends_at_once_and_leaves_nothing(cluster: Cluster, corpus: Corpus, tmp_path: Path) -> None:
    version = cluster.fetch_tables(tmp_path / "before").table("kmer_").history().newest
    run_id, _ = corpus.scanning()
    cluster.terminate(run_id)
    (run,) = cluster.finish(run_id, seconds=30)
    assert run.status == "CANCELED"
    wait_for(lambda: not cluster.spark()["activeapps"], "end of the application", 10)
    wait_for(lambda: "java" not in cluster.execute("dagster-code", "ps", "-A"), "end of the driver", 10)
    wait_for(lambda: "Executor" not in cluster.execute("spark-worker", "ps", "-Af"), "end of the executor", 10)
    assert cluster.fetch_tables(tmp_path / "after").table("kmer_").history().newest == version


@pytest.mark.drill  # it waits for a minute
def test_a_full_disk_that_is_mended_costs_one_step(cluster: Cluster, corpus: Corpus, tmp_path: Path) -> None:
    run_id, _ = corpus.scanning()
    cluster.execute("dagster-webserver", "sh", "-c", "cat /dev/zero > /data/filler", ok=False)
    try:
        wait_for(lambda: "STEP_UP_FOR_RETRY" in str(cluster.events(run_id)), "step that waits", 180)
        assert "No space left on device" in cluster.story(run_id)
    finally:
        cluster.execute("dagster-webserver", "rm", "/data/filler")
    assert len(cluster.succeed(run_id)) == 1
    assert "0 reused" not in cluster.story(run_id)
    corpus.check(tmp_path / "home")


def test_refused_data_are_not_tried_again(cluster: Cluster) -> None:
    cluster.execute("dagster-webserver", "sh", "-c", "mkdir -p /data/bad && printf '>x\\nACG!T\\n' > /data/bad/x.fa")
    run_id = cluster.launch(
        "raw_fasta", "rejected_records", "sequence_shards", config={"raw_fasta": {"source": "/data/bad"}}
    )
    (run,) = cluster.finish(run_id)
    assert run.status == "FAILURE"
    assert "1 of 1 records were refused" in cluster.story(run_id)
    assert "STEP_UP_FOR_RETRY" not in str(cluster.events(run_id))
