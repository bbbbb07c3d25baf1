"""The daemon of Spark's Python workers, asked as Spark asks it."""

import os
import socket
import struct
import subprocess
import sys
import time
from typing import Any

import pytest

SECRET = b"secret"
ASKED = {
    "PYTHON_WORKER_FACTORY_SECRET": SECRET.decode(),
    "PYTHON_DAEMON_KILL_WORKER_ON_FLUSH_FAILURE": "1",  # as Spark sets it
    "SPARK_REUSE_WORKER": "1",
}


def told(module: str, linger: bool) -> str:
    """Ask for a worker, leave before it answers, and return what the daemon and its workers said."""
    settings: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", module, "pyspark.worker"]
    with subprocess.Popen(command, env={**os.environ, **ASKED}, **settings) as daemon:
        assert daemon.stdin is not None
        assert daemon.stdout is not None
        assert daemon.stderr is not None
        (port,) = struct.unpack("!i", daemon.stdout.read(4))
        with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as answers:
            struct.unpack("!i", answers.read(4))
            connection.sendall(struct.pack("!i", len(SECRET)) + SECRET)
            # Closed with an answer that was not read, or at once: the worker's next write fails in either case.
            if linger:
                time.sleep(0.5)
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(1)
        daemon.stdin.close()  # as Spark ends it
        return daemon.stderr.read().decode()


@pytest.mark.long
@pytest.mark.parametrize("linger", [True, False])
def test_a_worker_that_spark_has_left_ends_without_a_trace(linger: bool) -> None:
    assert "Error" in told("pyspark.daemon", linger)
    assert told("opengenome_assets.engine.daemon", linger) == ""
