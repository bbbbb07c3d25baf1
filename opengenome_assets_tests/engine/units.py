"""Units of work for tests of engines: small functions that workers import, and count what they do in files."""

import errno
import os
import signal
import sys
import threading
import time
from pathlib import Path

LOADED = os.getpid()  # the process that imported this module


class PickyError(Exception):
    """An error that cannot be pickled as it is: it wants two arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def square(number: int) -> int:
    return number * number


def fail_on_three(number: int) -> int:
    if number == 3:
        raise ValueError("three is not a number")
    return number


def fail_with_no_space(number: int) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail_pickily(number: int) -> int:
    raise PickyError("one", "two")


def give_no_bytes(_: int) -> object:
    """Return what cannot be pickled."""
    return threading.Lock()


def process(_: int) -> int:
    return os.getpid()


def processes(_: int) -> tuple[int, int, int]:
    """Where this module was imported, where this runs, and how many threads a product of matrices may use."""
    time.sleep(0.2)
    return LOADED, os.getpid(), int(os.environ["OMP_NUM_THREADS"])


def modules(_: int) -> list[str]:
    return sorted(sys.modules)


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def end(number: int) -> int:
    os._exit(0)


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def sleep_and_sign(place: tuple[Path, float]) -> None:
    """Write a file when the unit starts, named after the moment."""
    folder, seconds = place
    (folder / f"{time.monotonic_ns()}-{os.getpid()}").write_text(str(seconds))
    time.sleep(seconds)
