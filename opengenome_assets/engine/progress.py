"""Progress: the state of a pass, in the same words for every engine.

Belongs here: the line of the log and its interval. Does not belong here: how an engine learns about finished units.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

PROGRESS_SECONDS = 10.0  # between two lines of a long pass
FIRST_SECONDS = 1.0


@dataclass(frozen=True)
class Progress:
    """A running pass.

    Attributes
    ----------
    label
        Name of the pass.
    weights
        Size of each unit.
    unit
        Unit of the weights.
    started
        Start of the pass, on the monotonic clock.
    """

    label: str
    weights: Sequence[int]
    unit: str
    started: float = field(default_factory=time.monotonic)

    @property
    def interval(self) -> float:
        """Seconds to the next line: one in a pass that has just begun, ten in a long one."""
        return min(PROGRESS_SECONDS, max(FIRST_SECONDS, (time.monotonic() - self.started) / 2))

    def report(self, log: logging.Logger, units: int, done: int) -> None:
        """Log the units and weights done, in words, and in ``progress`` as the numbers that a bar is drawn from."""
        log.info(self.words(units, done), extra={"progress": self.numbers(units, done)})

    def numbers(self, units: int, done: int) -> dict[str, Any]:
        """Return the state as an object: label, unit, done, total and seconds; units are counted if nothing weighs."""
        total = sum(self.weights)
        weighed = {"unit": self.unit, "done": done, "total": total}
        counted = {"unit": "units", "done": units, "total": len(self.weights)}
        seconds = round(time.monotonic() - self.started, 2)
        return {"label": self.label, **(weighed if total else counted), "seconds": seconds}

    def words(self, units: int, done: int) -> str:
        """Return a line with the units and weights done, the speed and the time left."""
        total = sum(self.weights)
        seconds = max(time.monotonic() - self.started, 1e-9)
        speed = done / seconds
        text = (
            f"{self.label}: {units:,} of {len(self.weights):,} units, "
            f"{done:,} of {total:,} {self.unit}, {speed:,.0f} {self.unit}/s"
        )
        if 0 < done < total:
            text += f", about {(total - done) / speed:,.0f} s left"
        finished = units == len(self.weights)
        return text + (f" in {seconds:.1f} s" if finished else f" ({seconds:.1f} s so far)")
