"""Work: one unit, in a worker, into its parts or an error in words.

Belongs here: a worker's code that all passes share. Does not belong here: which units there are, and commits
(``units.py``).
"""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from opengenome_assets.framework.shards import Output
from opengenome_assets.intake.streams import StreamError
from opengenome_assets.kernels.fastq import FastqError
from opengenome_assets.storage.files import DamagedError
from opengenome_assets.storage.parts import Part, PartWriter
from opengenome_assets.variants.tools import ToolError

Work = Callable[..., Mapping[str, Any] | None]


class UnusableReadsError(ValueError):
    """Reads cannot be used together. The message names files and records."""


@dataclass(frozen=True)
class Unit:
    """One piece of work.

    Attributes
    ----------
    name
        Its name for people, such as ``sample:region``.
    sample
        Its sample, or a name for several.
    content
        Everything that determines its rows, beside the code version.
    weight
        Its size.
    work
        What the pass gets.
    """

    name: str
    sample: str
    content: Any
    weight: int
    work: Any


@dataclass(frozen=True)
class Task:
    """A unit in a worker: ``compute(work, *writers)`` writes its rows and may return facts for the manifests."""

    compute: Work
    unit: Unit
    key: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class Outcome:
    """The parts of a unit, or its error; and processor seconds: all, and those of the worker's own process."""

    parts: list[Part]
    error: str = ""
    seconds: float = 0.0
    own: float = 0.0
    process: int = 0


def attempt(task: Task) -> Outcome:
    """Run a pass over a unit, and return its parts, or its error in words."""
    own, children = _seconds(resource.RUSAGE_SELF), _seconds(resource.RUSAGE_CHILDREN)
    parts, error, started = [], "", time.monotonic()
    collected = gc.isenabled()
    gc.disable()  # a unit makes many small objects and no cycles: looking for some takes a tenth of an alignment's time
    try:
        with ExitStack() as stack:
            writers = [stack.enter_context(PartWriter(each.uri, task.key, each.schema)) for each in task.outputs]
            facts = task.compute(task.unit.work, *writers) or {}
            seconds = round(time.monotonic() - started, 2)
            parts = [writer.finish(unit=task.unit.name, seconds=seconds, **facts) for writer in writers]
    except (DamagedError, FastqError, StreamError, ToolError, UnusableReadsError) as problem:
        error = str(problem)
    finally:
        if collected:
            gc.enable()
    own = _seconds(resource.RUSAGE_SELF) - own
    return Outcome(parts, error, own + _seconds(resource.RUSAGE_CHILDREN) - children, own, os.getpid())


def _seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime
