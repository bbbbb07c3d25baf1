"""Processes: an engine of worker processes on this machine, without Java.

Belongs here: which worker gets which unit, progress, and the end of every process. Does not belong here: the loop of a
worker (``forks.py``), and the computation itself.

Workers are forked from a process of their own, a fork server that has preloaded their modules. The caller's process is
never forked, since it may have threads. Workers do not import the caller's main module, unlike those of
multiprocessing.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Self

from opengenome_assets.engine import Result, Work
from opengenome_assets.engine.forks import END, FORK, READY
from opengenome_assets.engine.order import heaviest_first
from opengenome_assets.engine.progress import FIRST_SECONDS, Progress

LONG_START = 5.0  # seconds

# The command of the fork server, which gets the search path of this process.
FORKS = (
    "import json, sys; handle, path, modules = map(json.loads, sys.argv[1:]); sys.path[:] = path; "
    "from opengenome_assets.engine import forks; forks.main(handle, modules)"
)


class WorkersNotStartedError(RuntimeError):
    """The process that workers are forked from did not start. The message says why."""


class WorkerLostError(RuntimeError):
    """A worker ended within a unit of work. The failure is transient if memory was short."""


class WorkerError(Exception):
    """An error's traceback in the worker, as text: the cause of the error that ``map`` raises."""

    def __str__(self) -> str:
        """Return the traceback below the line that names the error."""
        return f"\n{self.args[0]}"


class Processes:
    """Worker processes of this machine.

    Each call of ``map`` starts the processes that it needs and ends them. As a context manager, the engine keeps the
    fork server between calls, so that only the first call pays for preloading. No process outlives the caller's.

    Parameters
    ----------
    workers
        Maximum number of workers; the usable cores if None.
    preload
        Modules to import once, before workers are forked.
    """

    def __init__(self, workers: int | None = None, preload: Sequence[str] = ()) -> None:
        self.workers = workers or usable_cores()
        self.preload = tuple(preload)
        self._kept = False
        self._server: _Server | None = None
        self._turn = threading.Lock()

    @property
    def width(self) -> int:
        """Maximum number of workers."""
        return self.workers

    def __enter__(self) -> Self:
        self._kept = True
        return self

    def __exit__(self, *_: object) -> None:
        self._kept = False
        self.stop()

    def stop(self) -> None:
        """End every process that this engine started."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def map(
        self,
        function: Callable[[Work], Result],
        work: Sequence[Work],
        *,
        weights: Sequence[int],
        label: str,
        unit: str,
        log: logging.Logger,
    ) -> list[Result]:
        """Apply a function to every unit of work, in worker processes, and return the results in order.

        A single unit runs in the caller's process, and so do all units with a single worker. Concurrent calls take
        turns.

        Parameters
        ----------
        function
            Importable by the workers, and outside the main module. It is called once per unit.
        work
            The units.
        weights
            Size of each unit, for load balancing and progress. The largest start first, so that none is left for the
            end.
        label
            Name of the pass, for the log.
        unit
            Unit of the weights, for the log.
        log
            Gets the progress, every ten seconds in a long pass: units done of total, speed and time left.

        Raises
        ------
        WorkersNotStartedError
            If the modules to preload cannot be imported, or the kernels cannot be compiled.
        WorkerLostError
            If a worker is killed. A retry can help.
        Exception
            The error that the function raised first, with the worker's traceback as its cause.
        """
        queue = heaviest_first(work, weights)
        results: dict[int, Result] = {}
        done = 0
        with self._outcomes(function, queue, log) as outcomes:
            progress = Progress(label, weights, unit)
            reported = progress.started
            for outcome in outcomes:
                if outcome is not None:
                    place, result = outcome
                    results[place] = result
                    done += weights[place]
                if time.monotonic() - reported >= progress.interval and len(results) < len(work):
                    reported = time.monotonic()
                    progress.report(log, len(results), done)
            if work:
                progress.report(log, len(results), done)
        return [results[place] for place in range(len(work))]

    @contextmanager
    def _outcomes(
        self, function: Callable[[Work], Result], queue: list[tuple[int, int, Work]], log: logging.Logger
    ) -> Iterator[Iterator[tuple[int, Result] | None]]:
        """Give an iterator over places and results of finished units; None where only progress may be due."""
        count = min(self.workers, len(queue))
        if count <= 1:
            yield ((place, function(item)) for place, _, item in queue)
            return
        packed = pickle.dumps(function)
        with self._workers(count, log) as (server, workers):
            log.info("%d processes on this machine", count)
            yield _side_by_side(packed, queue, server, workers)

    @contextmanager
    def _workers(self, count: int, log: logging.Logger) -> Iterator[tuple[_Server, list[Connection]]]:
        """Give a map its workers and end them after it, also the fork server unless it is kept."""
        with self._turn:
            try:
                if self._server is None or not self._server.alive:
                    self.stop()
                    self._server = _Server()
                    self._server.start(self.preload, log)
                workers = self._server.fork(count)
                yield self._server, workers
                for worker in workers:
                    worker.close()
                self._server.end_workers()
            except BaseException:
                self.stop()
                raise
            if not self._kept:
                self.stop()


class _Server:
    """The caller's side of the fork server, the process that workers are forked from."""

    def __init__(self) -> None:
        self.control, self._other = socket.socketpair()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, modules: Sequence[str], log: logging.Logger) -> None:
        """Start the process and wait until it has preloaded the modules. The log says so if that takes long.

        Raises
        ------
        WorkersNotStartedError
            If it ends before that.
        """
        handle = self._other.fileno()
        arguments = [json.dumps(each) for each in (handle, list(map(str, sys.path)), list(modules))]
        with self._other:
            self.process = subprocess.Popen(
                [sys.executable, "-c", FORKS, *arguments],
                stdin=subprocess.DEVNULL,
                # As in Spark, no worker may use all cores for one product of matrices.
                env={"OMP_NUM_THREADS": "1", **os.environ},
                pass_fds=[handle],
                # An interrupt at the terminal reaches only the caller, which then kills this process group.
                start_new_session=True,
            )
        if not wait([self.control], timeout=LONG_START):
            log.info("workers are starting: at the first use of an installation, the kernels are compiled for a minute")
        if (answer := self.control.recv(1)) != READY:
            while more := self.control.recv(65536):
                answer += more
            reason = answer.decode(errors="replace") or f"it ended with status {self.process.wait()}"
            raise WorkersNotStartedError(f"the process that workers are forked from did not start: {reason}")

    def fork(self, count: int) -> list[Connection]:
        """Return connections to new workers."""
        connections = []
        for _ in range(count):
            here, there = Pipe()
            with there:
                socket.send_fds(self.control, [FORK], [there.fileno()])
            connections.append(here)
        return connections

    def end_workers(self) -> int:
        """End the workers. Return the signal that killed one of them earlier, or 0."""
        with suppress(ConnectionError):  # the process itself was killed
            self.control.sendall(END)
            return next(iter(self.control.recv(1)), 0)
        return 0

    def stop(self) -> None:
        """Kill the process and its workers, and wait until it has ended."""
        self.control.close()
        self._other.close()
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of ended processes
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _side_by_side(
    function: bytes, queue: list[tuple[int, int, Any]], server: _Server, idle: list[Connection]
) -> Iterator[tuple[int, Any] | None]:
    """Hand units to idle workers. Yield place and result of each finished unit, and None several times per second."""
    for worker in idle:
        with suppress(ConnectionError):  # a killed worker is noticed below
            worker.send_bytes(function)
    busy: dict[Connection, int] = {}
    waiting = iter(queue)
    while True:
        while idle and (unit := next(waiting, None)):
            place, _, item = unit
            worker = idle.pop()
            busy[worker] = place
            with suppress(ConnectionError):
                worker.send_bytes(pickle.dumps(item))
        if not busy:
            return
        ready = wait(list(busy), timeout=FIRST_SECONDS / 4)
        for worker in [each for each in busy if each in ready]:
            place = busy.pop(worker)
            try:
                answer = worker.recv_bytes()
            except (EOFError, ConnectionError):
                time.sleep(0.1)  # the connection closes before the worker has its exit status
                raise WorkerLostError(_loss(server.end_workers(), place, len(queue))) from None
            result, error, text = pickle.loads(answer)
            if error is not None:
                raise error from WorkerError(text)
            idle.append(worker)
            yield place, result
        yield None


def _loss(number: int, place: int, total: int) -> str:
    killed = f"was killed by {signal.Signals(number).name}" if number else "ended"
    return (
        f"a worker process {killed} within unit {place + 1:,} of {total:,}. The system kills processes if memory is "
        "short: run it again, with fewer workers if it happens again"
    )


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
