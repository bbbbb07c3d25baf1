"""Commands as a user types them, and the processes behind them, none of which may outlive its test."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

REPOSITORY = Path(__file__).parents[1]
INSTALLATION = Path(__file__).with_name("installation")
SETTINGS = ("OPENGENOME_", "DAGSTER_", "SPARK_")
# A blank setting counts as none: with this one a command runs on the engine that a user gets.
DEFAULT_ENGINE = {"OPENGENOME_ENGINE": ""}


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The environment of a user's shell: the virtual environment active, and only these settings made.

    Of the libraries of the tests, those hide that Numba would import if they were there: a user's installation has
    none. Unless a setting says otherwise, the engine is processes: starting Java takes longer than most commands.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "VIRTUAL_ENV": sys.prefix,
        "PYTHONPATH": str(INSTALLATION),
        "DAGSTER_HOME": str(REPOSITORY),
        "OPENGENOME_HOME": str(home),
        "OPENGENOME_ENGINE": "processes",
        **settings,
    }


def typed(command: str, home: Path, *, seconds: float = 240.0, **settings: str) -> str:
    """Run a line in a shell, in the repository's folder, and return all that it printed; it has to succeed."""
    answer = subprocess.run(
        ["sh", "-c", command],
        cwd=REPOSITORY,
        env=environment(home, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )
    assert answer.returncode == 0, f"{command}: exit code {answer.returncode}\n{answer.stdout}"
    return answer.stdout


@contextmanager
def started(arguments: Sequence[str], home: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command in a session of its own; at the end kill what is left of all that it started.

    What it prints goes to a file beside the home, ``<home>.log``.
    """
    with Path(f"{home}.log").open("ab") as log:
        process = subprocess.Popen(
            arguments,
            cwd=REPOSITORY,
            env=environment(home, **settings),
            stdout=log,
            stderr=log,
            start_new_session=True,
            # A shell's background jobs, and so what they start, ignore SIGINT; a user's Ctrl-C is not ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        yield process
    finally:
        # More than one look: a process may be starting another while it is killed, and one that holds much memory
        # is there for a while after its death.
        wait_for(lambda: not kill(processes_of(home)), "end of all that was started", every=0.05)
        process.wait()


def kill(pids: Sequence[int]) -> Sequence[int]:
    """Kill processes, and return their ids."""
    for pid in pids:
        with suppress(ProcessLookupError):  # ended by itself in the meantime
            os.kill(pid, signal.SIGKILL)
    return pids


def processes_of(home: Path) -> list[int]:
    """Ids of the processes that work in a home: their environment names it, whatever group they have moved to."""
    setting = os.fsencode(f"OPENGENOME_HOME={home}")
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # ended in the meantime, or somebody else's
            continue
        if setting in variables:
            found.append(int(folder.name))
    return found


def wait_for(look: Callable[[], Found], what: str, seconds: float = 120.0, *, every: float = 0.005) -> Found:
    """Look again and again until there is something to see."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"no {what} within {seconds:.0f} s"
        time.sleep(every)
    return found


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
