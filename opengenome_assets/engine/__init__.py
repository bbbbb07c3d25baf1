"""Engines: a function is mapped over units of work, by Spark or by processes of this machine.

Belongs here: the protocol, its two implementations, and Java for Spark. Does not belong here: the computation itself.
Engines ship work, not sequences: a task gets paths, reads and writes files by itself, and returns a small result. Only
this room imports PySpark.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class Engine(Protocol):
    """The place where an asset's work runs."""

    @property
    def width(self) -> int | None:
        """Number of units that run side by side; None if only the cluster knows."""
        ...

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
            Importable by the workers. It is called once per unit, and again if an engine retries a failed task.
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
        Exception
            The function's own error, or the engine's if a worker or a cluster is lost.
        """
        ...
