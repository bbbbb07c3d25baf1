"""A PostgreSQL server of its own, without a password, and Dagster's instance in it."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from opengenome_assets_tests.processes import free_port, wait_for


@dataclass
class Postgres:
    """A server that can be killed, and started again with the same data."""

    programs: Path
    folder: str
    port: int
    user: str | None
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of its database."""
        return f"postgresql://dagster@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = (
            f"-c fsync=off -c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder}"
        )
        command = [self.programs / "postgres", "-D", f"{self.folder}/data", *options.split()]
        ready = [self.programs / "pg_isready", "--host", "127.0.0.1", "--port", str(self.port), "--quiet"]

        def answers() -> bool:
            if self.process is None or self.process.poll() is not None:  # the memory of a killed one was not free yet
                self.process = subprocess.Popen(command, user=self.user, cwd=self.folder, stderr=subprocess.DEVNULL)
            return subprocess.run(ready).returncode == 0

        wait_for(answers, "answer of PostgreSQL", 60, every=0.1)

    def kill(self) -> None:
        """Kill all its processes at once, as a power cut does."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (self.process.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


@contextmanager
def serving(tool: Callable[[str], str]) -> Iterator[Postgres]:
    """Run a server of its own."""
    tool("pg_createcluster")  # of the package that has the server
    # Not below pytest's folder, which other users may not enter. The server does not run as root.
    with TemporaryDirectory() as folder:
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)
        postgres = Postgres(max(Path("/usr/lib/postgresql").glob("*/bin")), folder, free_port(), user)
        initdb = [postgres.programs / "initdb", "--pgdata", f"{folder}/data", "--username", "dagster"]
        subprocess.run(
            [*initdb, "--auth", "trust", "--no-sync"], user=user, cwd=folder, check=True, capture_output=True
        )
        try:
            postgres.start()
            yield postgres
        finally:
            postgres.stop()


def instance(url: str, folder: Path) -> dg.DagsterInstance:
    """Open the instance of a database; the folder gets its configuration."""
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(
        f"storage:\n  postgres:\n    postgres_url: {url}\n"
        f"local_artifact_storage:\n  module: dagster.core.storage.root\n  class: LocalArtifactStorage\n"
        f"  config: {{base_dir: {folder}}}\ntelemetry: {{enabled: false}}\n"
    )
    return dg.DagsterInstance.from_config(str(folder))
