"""A release is replaced and removed; what it has made stays."""

from pathlib import Path

import pytest

from opengenome_assets_tests.kubernetes.release import NAME, SERVICES, Release
from opengenome_assets_tests.same import assert_same
from opengenome_assets_tests.webserver import wait_for

SMALL = ("raw_fasta", "sequence_shards")


@pytest.fixture(scope="module")
def first(release: Release) -> str:
    """A run before the release is replaced; return its id."""
    run_id = release.launch(*SMALL)
    release.succeed(run_id, 900)
    return run_id


def images(release: Release) -> set[str]:
    """Return the images of the services' containers, without the database's."""
    pods = release.pods(SERVICES)
    return {container["image"] for pod in pods for container in pod["spec"]["containers"]}


def test_an_upgrade_lets_runs_go_on_and_keeps_their_records(
    release: Release, first: str, newer_image: str, tmp_path: Path
) -> None:
    before = release.fetch_tables(tmp_path / "before")
    under_way = release.launch(*SMALL, config={"sequence_shards": {"min_length": 1001}})
    wait_for(lambda: release.runs(under_way)[0].status == "STARTED", "start of the run", 300, every=2)
    release.install(image=newer_image)
    wait_for(lambda: images(release) == {newer_image}, "end of the old pods", 120, every=2)
    release.execute("daemon", "dagster", "instance", "migrate")
    assert release.runs(first)[0].status == "SUCCESS"
    assert len(release.succeed(under_way, 900)) == 1
    later = release.launch(*SMALL)
    release.succeed(later, 900)
    (pod,) = release.pods(f"dagster/run-id={later}")
    assert pod["spec"]["containers"][0]["image"] == newer_image
    assert_same(release.fetch_tables(tmp_path / "after"), before)


def test_uninstalling_leaves_tables_and_records_to_the_next_release(
    release: Release, first: str, tmp_path: Path
) -> None:
    before = release.fetch_tables(tmp_path / "before")
    release.uninstall()
    assert release.get("deployments") == []
    assert {claim["metadata"]["name"] for claim in release.get("pvc")} == {NAME, f"data-{NAME}-postgresql-0"}
    assert f"{NAME}-postgresql" in {secret["metadata"]["name"] for secret in release.get("secrets")}
    release.install()
    assert release.runs(first)[0].status == "SUCCESS"
    assert_same(release.fetch_tables(tmp_path / "after"), before)
