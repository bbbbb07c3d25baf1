"""Where work runs: a function is mapped over units of work, by Spark or by processes of this machine.

Belongs here: the protocol, its two implementations, and Java for Spark. Does not belong here: what is computed. Engines
ship work, not sequences: a task gets paths, reads and writes files by itself, and returns a small result. This is the
one room that imports PySpark.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class Engine(Protocol):
    """Maps a function over units of work."""

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
        """Apply a function to every unit of work, and return the results in order."""
