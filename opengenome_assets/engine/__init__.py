"""Where work runs: a function is mapped over units of work, by Spark or by processes of this machine.

Belongs here: the protocol, its two implementations, and Java for Spark. Does not belong here: what is computed. Engines
ship work, not sequences: a task gets paths, reads and writes files by itself, and returns a small result. This is the
one room that imports PySpark.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class Engine(Protocol):
    """What an asset needs of the place where its work runs."""

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
        """Apply a function to every unit of work, side by side, and return the results in order.

        Parameters
        ----------
        function
            Importable by the workers; called once per unit, and again if an engine repeats a task that failed.
        work
            The units.
        weights
            Size of each unit, for balance and progress; the largest start first, so that none is left for the end.
        label
            What is done, for the log.
        unit
            What the weights count, for the log.
        log
            Gets the progress every ten seconds: units done of total, speed and time left.

        Raises
        ------
        Exception
            The function's own error, or the engine's if a worker or a cluster is lost.
        """
        ...
