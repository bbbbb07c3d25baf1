"""A PostgreSQL server of its own, without a password, and Dagster's instance in it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from opengenome_assets_tests.processes import free_port, wait_for


@contextmanager
def server(tool: Callable[[str], str]) -> Iterator[str]:
    """Run a server; yield the address of its database."""
    tool("pg_createcluster")  # of the package that has the server
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    port = free_port()
    # Not below pytest's folder, which other users may not enter. The server does not run as root.
    with TemporaryDirectory() as folder:
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)
        subprocess.run(
            [
                programs / "initdb",
                "--pgdata",
                f"{folder}/data",
                "--username",
                "dagster",
                "--auth",
                "trust",
                "--no-sync",
            ],
            user=user,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        options = f"-c fsync=off -c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
        process = subprocess.Popen(
            [programs / "postgres", "-D", f"{folder}/data", *options.split()],
            user=user,
            cwd=folder,
            stderr=subprocess.DEVNULL,
        )
        try:
            ready = [programs / "pg_isready", "--host", "127.0.0.1", "--port", str(port), "--quiet"]
            wait_for(lambda: subprocess.run(ready).returncode == 0, "answer of PostgreSQL", 60, every=0.1)
            yield f"postgresql://dagster@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            process.wait(30)


def instance(url: str, folder: Path) -> dg.DagsterInstance:
    """Open the instance of a database; the folder gets its configuration."""
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(
        f"storage:\n  postgres:\n    postgres_url: {url}\n"
        f"local_artifact_storage:\n  module: dagster.core.storage.root\n  class: LocalArtifactStorage\n"
        f"  config: {{base_dir: {folder}}}\ntelemetry: {{enabled: false}}\n"
    )
    return dg.DagsterInstance.from_config(str(folder))
