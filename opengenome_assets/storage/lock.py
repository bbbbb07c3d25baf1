"""The home's lock: one writer at a time, so that each builds on what it made itself."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.5


@contextmanager
def only_writer(home: str, holder: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Wait until nobody else writes to a home, then keep others out; on an object store there is no lock.

    Parameters
    ----------
    home
        The home.
    holder
        Who asks, in a word or two that others are told while they wait.
    tell
        Called with a sentence if there is somebody to wait for.
    """
    if "://" in home:
        yield
        return
    Path(home).mkdir(parents=True, exist_ok=True)
    # The system releases the lock if this process dies.
    descriptor = os.open(Path(home, ".lock"), os.O_RDWR | os.O_CREAT)
    try:
        if not _locked(descriptor):
            tell(f"{home} is in use: waiting for {os.pread(descriptor, 100, 0).decode()} to end")
            while not _locked(descriptor):
                time.sleep(POLL_SECONDS)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
