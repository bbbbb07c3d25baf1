"""The image as a SIF, a cluster of two nodes, and what a run without it makes; all removed at the end."""

import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.compose import made
from opengenome_assets_tests.compose.cluster import docker
from opengenome_assets_tests.same import made_here
from opengenome_assets_tests.slurm.cluster import Slurm, cluster, missing

SELECT = " or ".join(f"key:{name}" for name in made.ASSETS)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A short path, as sockets need, on the machine's disk."""
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture(scope="session")
def sif(folder: Path) -> Path:
    """Build the image, and a SIF from it as docs/slurm.md says, unless `make test-slurm SIF=...` names one."""
    if absent := missing():
        pytest.exit(f"not installed: {', '.join(absent)}. docs/slurm.md says what these tests need", returncode=1)
    if given := os.environ.get("SIF"):
        return Path(given).absolute()
    tag = f"opengenome-assets:test-{uuid.uuid4().hex[:8]}"
    path = folder / "opengenome.sif"
    docker("build", "--file", "docker/Dockerfile", "--target", "platform", "--tag", tag, ".", timeout=1800)
    try:
        subprocess.run(["apptainer", "--silent", "build", path, f"docker-daemon:{tag}"], check=True, timeout=1800)
    finally:
        docker("image", "rm", "--force", tag)
    return path


@pytest.fixture(scope="session")
def slurm(folder: Path, sif: Path) -> Iterator[Slurm]:
    """A running cluster."""
    with cluster(folder / "cluster") as running:
        yield running


@pytest.fixture(scope="session")
def local_sample(folder: Path) -> Home:
    """What a run on this machine makes of the sample, without Spark."""
    return made_here(folder / "local")


@pytest.fixture(scope="session")
def genomes(folder: Path) -> Path:
    """Write a corpus whose scan can be interrupted."""
    made.write(folder / "genomes")
    return folder / "genomes"


@pytest.fixture(scope="session")
def local_genomes(folder: Path, genomes: Path) -> Home:
    """What a run on this machine makes of that corpus."""
    return made_here(folder / "local-genomes", *made.ASSETS, OPENGENOME_SOURCE=str(genomes))
