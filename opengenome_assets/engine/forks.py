"""The process that the workers of ``Processes`` are forked from (a fork server), and the loop of a worker.

Belongs here: the workers' side. Does not belong here: which worker gets which unit (``processes.py``).

The process preloads the modules that every worker needs, and stays single-threaded, so that forking is safe. The caller
holds the other end of a socket. Each byte ``FORK`` brings a connection for one more worker; the byte ``END`` ends all
workers. When the socket closes, because the caller stopped or was killed, all processes end.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from opengenome_assets.engine.preload import preload

READY, FORK, END = b"\0", b"f", b"e"


def main(handle: int, modules: Sequence[str]) -> None:
    """Preload the modules, report success or the traceback, and fork workers until the socket closes."""
    with socket.socket(fileno=handle) as control, contextlib.suppress(ConnectionError):  # the caller was killed
        try:
            preload(modules)
        except Exception:
            control.sendall(traceback.format_exc().encode())
            sys.exit(1)
        control.sendall(READY)
        serve(control)


def serve(control: socket.socket) -> None:
    """Fork and end workers at the caller's request."""
    workers: list[int] = []
    try:
        while True:
            request, handles, _, _ = socket.recv_fds(control, 1, 1)
            if request == FORK:
                (handle,) = handles
                workers.append(_fork(control, handle))
                os.close(handle)
            elif request == END:
                control.sendall(bytes([end(workers)]))
            else:
                return
    finally:
        end(workers)


def end(workers: list[int]) -> int:
    """Kill all workers. Return the signal that killed one of them earlier; 0 if none was killed."""
    found = 0
    while workers:
        pid = workers.pop()
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        elif os.WIFSIGNALED(status):
            found = os.WTERMSIG(status)
    return found


def _fork(control: socket.socket, handle: int) -> int:
    """Fork a worker and return its process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:  # the child must never return into the loop of its parent
        control.close()
        work(Connection(handle))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def work(connection: Connection) -> None:
    """Receive a function, then apply it to one unit after another until the connection closes."""
    with connection, contextlib.suppress(EOFError, ConnectionError):
        packed = connection.recv_bytes()
        function: Callable[[Any], Any] | None = None
        while True:
            unit = connection.recv_bytes()
            try:
                if function is None:
                    function = pickle.loads(packed)
                answer = pickle.dumps((function(pickle.loads(unit)), None, ""))
            except BaseException as error:
                answer = _failure(error)
            connection.send_bytes(answer)
            gc.collect()


def _failure(error: BaseException) -> bytes:
    """Return a pickled error with its traceback. An error that cannot be pickled becomes a `RuntimeError`."""
    text = "".join(traceback.format_exception(error))
    try:
        packed = pickle.dumps((None, error, text))
        pickle.loads(packed)
    except Exception:  # an error's own pickling may raise anything
        packed = pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}"), text))
    return packed
