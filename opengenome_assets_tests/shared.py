"""Things that are expensive to make, made once for all processes of a test run."""

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Thing = TypeVar("Thing")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Thing]) -> Thing:
    """Make a thing in a folder of that name unless another process of this run has made it; return it.

    The first process makes it under a lock. The others wait, and get a copy of what it returned; what lies in the
    folder is shared, so that tests read it and change only copies.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    kept, folder = shared / f"{name}.pickle", shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            folder.mkdir()
            kept.write_bytes(pickle.dumps(make(folder)))
    thing: Thing = pickle.loads(kept.read_bytes())
    return thing


def copied(home: str, place: Path) -> Path:
    """Copy a home to a place, while other processes may read it.

    SQLite's files beside a database of Dagster go when the last of them ends. Then the copy is made again.
    """
    for _ in range(5):
        try:
            return Path(shutil.copytree(home, place))
        except shutil.Error:
            shutil.rmtree(place)
    return Path(shutil.copytree(home, place))
