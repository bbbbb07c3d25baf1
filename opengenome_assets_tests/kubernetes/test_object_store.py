"""A home in an object store: the chart's way for several nodes without a shared volume."""

import json
import os
import socket
import uuid
from collections.abc import Iterator

import pytest

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.kubernetes.release import Release, command, released
from opengenome_assets_tests.object_store import object_store
from opengenome_assets_tests.same import assert_same

ASSETS = ("raw_fasta", "rejected_records", "sequence_shards", "kmer_", "kmer_freq_k6")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SETTINGS = ("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AWS_REGION")


def address_towards_the_node() -> str:
    """Return the address of this machine at which the cluster's node reaches it."""
    (node, *_) = json.loads(command("kubectl", "get", "nodes", "--output", "json"))["items"]
    (internal,) = (each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((internal, 9))
        address: str = sender.getsockname()[0]
        return address


@pytest.fixture(scope="module")
def stored(image: str) -> Iterator[tuple[Release, Home]]:
    """A release whose home is in a bucket, without a volume of its own; and that home."""
    with pytest.MonkeyPatch.context() as patch, object_store(patch, address_towards_the_node()) as bucket:
        home = f"{bucket}/home"
        settings = [f"settings.{name}={os.environ[name]}" for name in SETTINGS]
        values = [f"home.uri={home}", "home.volume.enabled=false", "envSecrets={keys}", *settings]
        keys = {name: os.environ[name] for name in KEYS}
        with released(f"opengenome-test-{uuid.uuid4().hex[:8]}", image, *values, secret=keys) as release:
            yield release, Home(home)


def test_tables_in_a_bucket_are_those_of_a_local_run_bit_for_bit(
    stored: tuple[Release, Home], local_sample: Home
) -> None:
    release, home = stored
    assert len(release.succeed(release.launch(*ASSETS), 900)) == 1
    assert_same(home, local_sample, *ASSETS)
    assert {claim["metadata"]["name"] for claim in release.get("pvc")} == {"data-trial-opengenome-postgresql-0"}
