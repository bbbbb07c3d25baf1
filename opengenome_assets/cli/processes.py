"""Processes that commands start: Dagster's own commands, and several programs side by side.

Belongs here: where the programs are, what Dagster needs around it, forks, and ending them together. Does not belong
here: any command.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import IO, Protocol, Self

from opengenome_assets.settings import dagster_home

MODULE = "opengenome_assets.definitions"
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Dagster's remarks on its own future, at every `asset materialize`.
QUIET = "ignore::FutureWarning,ignore:Parameter `include_sources`"
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
    return {"PYTHONWARNINGS": QUIET, **os.environ, "DAGSTER_HOME": str(folder)}


class Process(Protocol):
    """A started process, as `subprocess.Popen` has it."""

    pid: int
    stdout: IO[bytes] | None

    def poll(self) -> int | None:
        """Return the exit status, negative after a signal; None if it has not ended."""

    def wait(self) -> int:
        """Wait for the end, and return the exit status."""

    def send_signal(self, number: int, /) -> None:
        """Send a signal, if it has not ended."""


class Fork:
    """A function in a copy of this process (``fork``), which has all imports already, in a session of its own.

    The copy waits for `start`; if this process or the ``with`` ends before, the copy ends too. So it can be made while
    there is no other thread, which a copy would not have and may wait for. In the copy `SystemExit` leaves the caller's
    frames, and it ends with all hooks that run at exit: the caller must hold nothing open that only the original may
    close.

    Parameters
    ----------
    function
        The function. It may raise `SystemExit`.
    piped
        Whether ``stdout`` gets what the copy writes on standard output and standard error.
    """

    def __init__(self, function: Callable[[], None], *, piped: bool) -> None:
        sys.stdout.flush()  # else both would write what is buffered
        sys.stderr.flush()
        held, gate = os.pipe()
        reader, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            for number in PASSED_ON:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            os.close(gate)
            os.close(reader)
            if piped:
                os.dup2(writer, 1)
                os.dup2(writer, 2)
            os.close(writer)
            with os.fdopen(held, "rb") as sent:
                environment = sent.read()
            if not environment:
                os._exit(1)  # it is not to start
            os.environ.clear()
            os.environ.update(pickle.loads(environment))
            function()
            raise SystemExit
        os.close(held)
        os.close(writer)
        self.stdout: IO[bytes] | None = os.fdopen(reader, "rb")
        self._gate = os.fdopen(gate, "wb")
        self._status: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._gate.closed:
            self._gate.close()
            self.wait()

    def start(self, environment: Mapping[str, str]) -> None:
        """Let the copy begin, with these environment variables and no others."""
        with self._gate:
            pickle.dump(dict(environment), self._gate)

    def poll(self) -> int | None:
        """Return the exit status, negative after a signal; None if it has not ended."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int:
        """Wait for the end, and return the exit status."""
        status = self._wait(0)
        assert status is not None
        return status

    def send_signal(self, number: int, /) -> None:
        """Send a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _wait(self, options: int) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self.pid, options)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status


def together(
    *commands: Sequence[str] | Fork,
    environment: Mapping[str, str],
    grace: int = GRACE,
    asked_status: int = 0,
    read: Callable[[Iterable[str]], None] | None = None,
) -> int:
    """Run commands, each in a session of its own, until one ends; then end the others. A `Fork` is started.

    Ctrl-C, SIGTERM and SIGHUP are passed on to each command once. After ``grace`` seconds the rest is killed, with its
    children. Returns the exit status, ``asked_status`` if a signal ended them.

    ``read`` gets the lines that they write, in a thread of its own; without it they write where this process does.
    """
    processes: list[Process] = []
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
    for number in PASSED_ON:
        signal.signal(number, end)
    signal.signal(signal.SIGALRM, kill)
    output, errors = (subprocess.PIPE, subprocess.STDOUT) if read else (None, None)
    for command in commands:
        if isinstance(command, Fork):
            processes.append(command)
            command.start(environment)
        else:
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


def _read(process: Process, read: Callable[[Iterable[str]], None]) -> None:
    assert process.stdout is not None
    with io.TextIOWrapper(process.stdout, errors="replace") as lines:
        try:
            with suppress(BrokenPipeError):  # nobody reads what is shown
                read(lines)
        finally:  # whatever becomes of the reader, a full pipe must not stop the program
            for _ in lines:
                pass
