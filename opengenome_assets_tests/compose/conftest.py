"""One cluster for all tests, made from nothing and removed with all its data, also after a failure."""

import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.compose.cluster import Cluster, docker
from opengenome_assets_tests.compose.made import Corpus
from opengenome_assets_tests.processes import REPOSITORY, free_port
from opengenome_assets_tests.same import made_here


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """Build the image under a tag of its own."""
    tag = f"opengenome-assets:test-{uuid.uuid4().hex[:8]}"
    docker("build", "--file", "docker/Dockerfile", "--target", "platform", "--tag", tag, ".", timeout=1800)
    yield tag
    docker("image", "rm", "--force", tag)


@pytest.fixture(scope="session")
def secrets() -> Iterator[Path]:
    """Make secrets as a user does, in a folder of their own."""
    # Not pytest's folder, which the containers' users might not be let into.
    with tempfile.TemporaryDirectory(prefix="opengenome-secrets-") as folder:
        subprocess.run(["make", "--silent", "secrets", f"SECRETS={folder}/secrets"], cwd=REPOSITORY, check=True)
        yield Path(folder, "secrets")


@pytest.fixture(scope="session")
def cluster(image: str, secrets: Path) -> Iterator[Cluster]:
    """A running cluster with two workers of one core, whose services are healthy."""
    started = Cluster(
        project=image.partition(":")[2].replace("test", "opengenome-test"),
        files=[REPOSITORY / "docker-compose.yml", Path(__file__).with_name("small-disk.yml")],
        settings={
            "OPENGENOME_IMAGE": image,
            "OPENGENOME_SECRETS": str(secrets),
            "OPENGENOME_LOG_FORMAT": "json",
            "DAGSTER_UI_PORT": str(free_port()),
            "SPARK_UI_PORT": str(free_port()),
            "SEARCH_UI_PORT": str(free_port()),
            "STATUS_UI_PORT": str(free_port()),
        },
    )
    try:
        try:
            started.compose("up", "--detach", "--wait", "--no-build")
        except AssertionError:
            print(started.compose("logs", "--no-color", "--tail", "50", ok=False))
            raise
        yield started
    finally:
        started.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


@pytest.fixture(scope="session")
def local_tables(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """What a run on this machine makes of the sample, with the embedded engine."""
    return made_here(tmp_path_factory.mktemp("local") / "home")


@pytest.fixture(scope="session")
def corpus(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Put a corpus into the cluster's volume whose runs can be interrupted."""
    return Corpus.make(cluster, tmp_path_factory.mktemp("corpus") / "made")
