"""The straight line through the cost of runs of several sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Line:
    """CPU seconds of runs of several sizes, and the straight line through them.

    Attributes
    ----------
    bases, cpu
        The sizes, ascending, and the CPU seconds of a run of each.
    fixed, per_billion
        CPU seconds of the line at no bases, and for each billion of them.
    """

    bases: Sequence[float]
    cpu: Sequence[float]
    fixed: float
    per_billion: float

    @classmethod
    def through(cls, bases: Sequence[float], cpu: Sequence[float]) -> "Line":
        """Fit the line to the relative costs, so that the small corpus counts as much as the large."""
        per_billion, fixed = np.polyfit(np.array(bases) / 1e9, cpu, 1, w=1 / np.array(cpu))
        return cls(bases, cpu, float(fixed), float(per_billion))

    def at(self, bases: float) -> float:
        """Return the CPU seconds on the line."""
        return self.fixed + self.per_billion * bases / 1e9

    @property
    def off(self) -> float:
        """Largest distance of a run from the line, as a share of the line's value."""
        return max(abs(cpu / self.at(bases) - 1) for bases, cpu in zip(self.bases, self.cpu, strict=True))
