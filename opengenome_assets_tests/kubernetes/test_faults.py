"""Pods that are lost in mid-run: the run succeeds, from what is finished on, and counts nothing twice."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from opengenome_assets_tests.compose import made
from opengenome_assets_tests.compose.made import ASSETS, FILES
from opengenome_assets_tests.kubernetes.release import SERVICES, Release
from opengenome_assets_tests.webserver import wait_for


@dataclass
class Corpus:
    """Files in the release's volume, and how often each 6-mer occurs in them."""

    release: Release
    counts: np.ndarray
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def scanning(self) -> tuple[str, int]:
        """Start a run that finds nothing made before, and wait until it is in mid-scan; return its id and its parts."""
        # A minimum length that is new, and changes no row.
        config = {"raw_fasta": {"source": "/data/made"}, "sequence_shards": {"min_length": next(self.numbers)}}
        before = self.release.parts("kmer_")
        run_id = self.release.launch(*ASSETS, config=config)
        self.release.wait_for_parts("kmer_", before + 4)
        return run_id, before

    def check(self, folder: Path) -> None:
        """Assert that every file is counted, and once."""
        made.check(self.release.fetch_tables(folder), self.counts)


@pytest.fixture(scope="module")
def corpus(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Put the files into the volume."""
    folder = tmp_path_factory.mktemp("corpus") / "made"
    counts = made.write(folder)
    release.send(folder, "/data/made")
    return Corpus(release, counts)


def test_a_lost_executor_costs_its_tasks_only(release: Release, corpus: Corpus, tmp_path: Path) -> None:
    run_id, before = corpus.scanning()
    lost, *_ = release.executors()
    release.kill(lost)
    done = release.parts("kmer_") - before
    assert done < FILES
    assert len(release.succeed(run_id, 900)) == 1
    corpus.check(tmp_path / "home")
    # The third may wait for a processor until the run is over.
    asked_for = {
        event["involvedObject"]["name"]
        for event in release.get("events")
        if event["involvedObject"]["name"].startswith(lost.rpartition("-")[0])
    }
    assert len(asked_for) == 3


def test_a_lost_run_is_taken_up_from_its_parts(release: Release, corpus: Corpus, tmp_path: Path) -> None:
    run_id, before = corpus.scanning()
    (pod,) = release.pods(f"dagster/run-id={run_id}")
    executors = release.executors()
    release.kill(pod["metadata"]["name"])
    done = release.parts("kmer_") - before
    assert done < FILES
    lost, retried = release.succeed(run_id, 1200)
    assert lost.status == "FAILURE"
    assert lost.steps["sequence_shards"] == "SUCCESS"
    assert "sequence_shards" not in retried.steps
    # The executors may finish a part more after their driver is gone.
    found = re.search(r"(\d+) shards scanned, (\d+) reused", release.story(retried.run_id))
    assert found
    assert int(found[1]) + int(found[2]) == FILES
    assert int(found[2]) >= done
    corpus.check(tmp_path / "home")
    wait_for(lambda: not set(executors) & set(release.executors()), "end of the lost run's executors", 120, every=1)


def test_a_cancelled_run_ends_and_leaves_no_pod(release: Release, corpus: Corpus, tmp_path: Path) -> None:
    version = release.fetch_tables(tmp_path / "before").table("kmer_").history().newest
    run_id, _ = corpus.scanning()
    release.terminate(run_id)
    (run,) = release.finish(run_id, 120)
    assert run.status == "CANCELED"
    wait_for(lambda: not release.executors(), "end of the executors", 120, every=1)
    wait_for(lambda: not release.pods(f"dagster/run-id={run_id}"), "end of the run's pod", 120, every=1)
    assert release.fetch_tables(tmp_path / "after").table("kmer_").history().newest == version


def test_after_all_that_every_service_is_ready(release: Release, corpus: Corpus) -> None:
    # The exporter among them, which tells of the lost run.
    def waiting() -> list[str]:
        states = {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0] for pod in release.pods(SERVICES)}
        return [name for name, state in states.items() if not state["ready"]]

    wait_for(lambda: not waiting(), "readiness of every service", 300, every=2)
