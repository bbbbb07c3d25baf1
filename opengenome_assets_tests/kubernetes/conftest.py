"""The image, a release in a cluster that exists, and what a run without it makes; all removed at the end."""

import os
import shlex
import uuid
from collections.abc import Iterator

import pytest

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.kubernetes.release import Release, command, missing, released
from opengenome_assets_tests.same import made_here


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """Build the image, or take the one of `make test-kubernetes IMAGE=...`; bring it to the node."""
    if absent := missing():
        pytest.exit(f"{absent}. docs/kubernetes.md says what these tests need", returncode=1)
    given = os.environ.get("IMAGE")
    tag = given or f"opengenome-assets:test-{uuid.uuid4().hex[:8]}"
    if not given:
        command(
            "docker", "build", "--file", "docker/Dockerfile", "--target", "kubernetes", "--tag", tag, ".", timeout=1800
        )
    load(tag, "postgres:16-bookworm")
    yield tag
    if not given:
        command("docker", "image", "rm", "--force", tag)


def load(*images: str) -> None:
    """Bring images to the node, where it does not use those of this machine: LOAD='kind load docker-image'."""
    if loading := os.environ.get("LOAD"):
        command(*shlex.split(loading), *images, timeout=900)


@pytest.fixture(scope="session")
def newer_image(image: str) -> Iterator[str]:
    """The image under a second tag, for an upgrade."""
    tag = f"{image}-newer"
    command("docker", "tag", image, tag)
    load(tag)
    yield tag
    command("docker", "image", "rm", "--force", tag)


@pytest.fixture(scope="session")
def release(image: str) -> Iterator[Release]:
    """A release whose pods are ready."""
    with released(Release(f"opengenome-test-{uuid.uuid4().hex[:8]}", image)) as running:
        yield running


@pytest.fixture(scope="session")
def local_sample(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """What a run on this machine makes of the sample, without Spark."""
    return made_here(tmp_path_factory.mktemp("local") / "home")
