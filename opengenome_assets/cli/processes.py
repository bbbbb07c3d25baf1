"""Processes that commands start: Dagster's own commands, and several programs side by side.

Belongs here: where the programs are, what Dagster needs around it, and ending them together. Does not belong here: any
command.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import FrameType

from opengenome_assets.settings import dagster_home

MODULE = "opengenome_assets.definitions"
GRACE = 15  # seconds to end before a program is killed
LAST_LINES = 5  # seconds for what an ended program wrote; a process that it left behind may hold the pipe open
# Dagster's configuration where there is no checkout: that of the repository, without its comments.
CONFIGURATION = """\
instance_class:
  module: opengenome_assets.deployment.instance
  class: LocalInstance
python_logs:
  python_log_level: INFO
telemetry:
  enabled: false
nux:
  enabled: false
"""


def program(name: str) -> str:
    """Return the path of a program of this environment."""
    return str(Path(sys.executable).parent / name)


def dagster_environment() -> dict[str, str]:
    """Return the environment for Dagster's commands. Without a ``dagster.yaml``, one is written to the home's folder.

    Raises
    ------
    SettingsError
        If the home cannot be a path.
    OSError
        If the folder cannot be written to.
    """
    folder = dagster_home()
    if not (folder / "dagster.yaml").exists() and "DAGSTER_HOME" not in os.environ:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dagster.yaml").write_text(CONFIGURATION)
    # Dagster's remarks on its own future, at every `asset materialize`.
    quiet = "ignore::FutureWarning,ignore:Parameter `include_sources`"
    return {"PYTHONWARNINGS": quiet, **os.environ, "DAGSTER_HOME": str(folder)}


def together(
    *commands: Sequence[str],
    environment: Mapping[str, str],
    grace: int = GRACE,
    asked_status: int = 0,
    read: Callable[[Iterable[str]], None] | None = None,
) -> int:
    """Run commands, each in a session of its own, until one ends; then end the others.

    Ctrl-C, SIGTERM and SIGHUP are passed on to each command once. After ``grace`` seconds the rest is killed, with its
    children. Returns the exit status, ``asked_status`` if a signal ended them.

    ``read`` gets the lines that they write, in a thread of its own; without it they write where this process does.
    """
    processes: list[subprocess.Popen[bytes]] = []
    asked = False

    def interrupt() -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        signal.alarm(grace)

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        interrupt()

    def kill(number: int, frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    # Set first: children inherit an ignored signal, as SIGINT is in a script's background.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    signal.signal(signal.SIGALRM, kill)
    output, errors = (subprocess.PIPE, subprocess.STDOUT) if read else (None, None)
    for command in commands:
        processes.append(
            subprocess.Popen(command, env=environment, start_new_session=True, stdout=output, stderr=errors)
        )
    readers = [Thread(target=_read, args=(process, read), daemon=True) for process in processes if read]
    for reader in readers:
        reader.start()
    if asked:
        interrupt()  # the signal came before all had started
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)  # until one ends; it stays waitable
    if not asked:
        interrupt()
    statuses = [process.wait() for process in processes]
    for reader in readers:
        reader.join(LAST_LINES)
    signal.alarm(0)
    return asked_status if asked else max(map(abs, statuses))


def _read(process: subprocess.Popen[bytes], read: Callable[[Iterable[str]], None]) -> None:
    assert process.stdout is not None
    with io.TextIOWrapper(process.stdout, errors="replace") as lines:
        try:
            with suppress(BrokenPipeError):  # nobody reads what is shown
                read(lines)
        finally:  # whatever becomes of the reader, a full pipe must not stop the program
            for _ in lines:
                pass
