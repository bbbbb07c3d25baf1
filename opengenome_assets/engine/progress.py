"""How far a pass is, in words that are the same for every engine.

Belongs here: the line of the log and how often it comes. Does not belong here: how an engine learns what is done.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class Progress:
    """A pass that is under way.

    Attributes
    ----------
    label
        What is done.
    weights
        Size of each unit.
    unit
        What the weights count.
    started
        When the pass began, on the monotonic clock.
    """

    label: str
    weights: Sequence[int]
    unit: str
    started: float = field(default_factory=time.monotonic)

    def words(self, units: int, done: int) -> str:
        """Return a line that gives the units and weights done, the speed and the time left."""
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
