"""An object store with the S3 API on this machine."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest

from opengenome_assets_tests.processes import REPOSITORY, free_port, wait_for

BUCKET = "genomes"


@contextmanager
def object_store(patch: pytest.MonkeyPatch, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve a bucket, and let this process and those it starts find it; yield the bucket's URI."""
    port = free_port()
    # A process of its own: the tables' library waits for answers without letting other threads go on.
    server = subprocess.Popen(
        [sys.executable, "-m", "opengenome_assets_tests.s3_server", host, str(port)],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        with socket.socket() as client:
            return client.connect_ex((host, port)) == 0

    settings = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
    }
    for name, value in settings.items():
        patch.setenv(name, value)
    try:
        wait_for(answers, "object store")
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield f"s3://{BUCKET}"
    finally:
        server.terminate()
        server.wait()
