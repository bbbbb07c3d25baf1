"""The last release is replaced in place, as docs/deployment.md says; a drill, since it builds a second image.

``make test-compose SELECT=drill LAST=COMMIT`` names another commit than that of the newest tag.
"""

import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from opengenome_assets_tests.compose.cluster import Cluster, docker
from opengenome_assets_tests.processes import REPOSITORY, free_port
from opengenome_assets_tests.same import assert_same
from opengenome_assets_tests.webserver import wait_for

pytestmark = pytest.mark.drill
SAMPLE = {"raw_fasta": {"source": "sample"}}
SMALL = ("raw_fasta", "sequence_shards", "kmer_")
SERVICES = ("dagster-code", "dagster-daemon", "dagster-webserver", "spark-master", "spark-worker", "search", "metrics")


@pytest.fixture(scope="module")
def last_files() -> Iterator[Path]:
    """The files of the last release, in a folder as a user has them."""
    commit = os.environ.get("LAST")
    git = ["git", "-C", str(REPOSITORY)]
    if not commit:
        answer = subprocess.run([*git, "describe", "--tags", "--abbrev=0"], capture_output=True, text=True)
        assert answer.returncode == 0, f"no tag of a release: name its commit with LAST=. {answer.stderr}"
        commit = answer.stdout.strip()
    with tempfile.TemporaryDirectory(prefix="opengenome-last-") as folder:
        archive = subprocess.run([*git, "archive", commit], capture_output=True, check=True).stdout
        subprocess.run(["tar", "--extract", "--directory", folder], input=archive, check=True)
        yield Path(folder)


@pytest.fixture(scope="module")
def last_image(last_files: Path) -> Iterator[str]:
    """The image of the last release."""
    tag = f"opengenome-assets:last-{uuid.uuid4().hex[:8]}"
    dockerfile = str(last_files / "docker" / "Dockerfile")
    docker("build", "--file", dockerfile, "--target", "platform", "--tag", tag, str(last_files), timeout=1800)
    yield tag
    docker("image", "rm", "--force", tag)


@pytest.fixture
def last(last_files: Path, last_image: str, secrets: Path) -> Iterator[Cluster]:
    """A cluster of the last release."""
    started = Cluster(
        project=last_image.partition(":")[2].replace("last", "opengenome-upgrade"),
        files=[last_files / "docker-compose.yml"],
        settings={
            "OPENGENOME_IMAGE": last_image,
            "OPENGENOME_SECRETS": str(secrets),
            **{f"{name}_UI_PORT": str(free_port()) for name in ("DAGSTER", "SPARK", "SEARCH", "STATUS")},
        },
    )
    try:
        started.compose("up", "--detach", "--wait", "--no-build", timeout=600)
        yield started
    finally:
        started.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


@pytest.mark.timeout(2700)
def test_the_last_release_is_replaced_in_mid_run_and_tables_records_and_the_run_go_on(
    last: Cluster, image: str, tmp_path: Path
) -> None:
    first = last.launch(*SMALL, config=SAMPLE)
    last.succeed(first, 900)
    before = last.fetch_tables(tmp_path / "before")
    last.compose("kill", "spark-worker")  # without workers a run goes on, and waits
    under_way = last.launch(*SMALL, config={**SAMPLE, "sequence_shards": {"min_length": 18}})
    wait_for(lambda: last.runs(under_way)[0].steps.get("sequence_shards") == "IN_PROGRESS", "run under way", 240)

    new = replace(
        last, files=[REPOSITORY / "docker-compose.yml"], settings={**last.settings, "OPENGENOME_IMAGE": image}
    )
    new.compose("stop", "dagster-daemon")
    new.compose("run", "--rm", "--no-deps", "dagster-daemon", "dagster", "instance", "migrate")
    new.compose("up", "--detach", "--wait", "--no-build", timeout=900)
    assert {each["Config"]["Image"] for each in new.containers(*SERVICES)} == {image}

    assert new.runs(first)[0].status == "SUCCESS"
    lost, retried = new.succeed(under_way, 900)
    assert "Execution was interrupted unexpectedly" in new.story(lost.run_id)
    assert "raw_fasta" not in retried.steps
    tables = new.fetch_tables(tmp_path / "after")
    for name in SMALL:
        kept = before.table(name)
        assert tables.table(name).at(kept.history().newest).read().equals(kept.read()), name
    new.succeed(new.launch(*SMALL, config=SAMPLE), 900)
    assert_same(new.fetch_tables(tmp_path / "again"), before, *SMALL)
