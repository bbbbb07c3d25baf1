"""Report: figures with their targets, rows of them, and their form as text.

Belongs here: what a row is, and how figures are written. Does not belong here: measuring, keeping what was measured
(``results.py``), and the page (``page.py``).

A target is a ratio: to a peer, or to a limit that the same run measures on the same machine. So it holds on every
processor. Bytes of memory and shares of right results are targets as they are, since no processor changes them.
Seconds and speeds stand beside the ratios, without a target.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Figure:
    """A figure, with its target if it has one.

    Attributes
    ----------
    name
        The quantity measured.
    value
        The figure measured; of several rounds, their median.
    bound
        The target, which the figure may equal; without one, the figure is information.
    unit
        The unit of both, as it stands behind a number.
    least
        Whether the target is a minimum; else it is a maximum.
    spread
        Least and largest of the rounds.
    """

    name: str
    value: float
    bound: float | None = None
    unit: str = ""
    least: bool = False
    spread: tuple[float, float] | None = None

    @property
    def is_met(self) -> bool:
        """Whether the figure keeps to its target, if it has one."""
        return self.bound is None or (self.value >= self.bound if self.least else self.value <= self.bound)

    @property
    def measured(self) -> str:
        """The figure and its spread."""
        spread = f" ({' to '.join(map(number, self.spread))})" if self.spread else ""
        return f"{number(self.value)}{self.unit}{spread}"

    @property
    def target(self) -> str:
        """The target, or nothing."""
        return "" if self.bound is None else f"{'≥' if self.least else '≤'} {number(self.bound)}{self.unit}"


@dataclass(frozen=True)
class Row:
    """Some work with its figures, met when all of them keep to their targets.

    Attributes
    ----------
    work
        The work measured.
    figures
        The figures.
    notes
        What was measured and how, and further figures: a Markdown paragraph or table each.
    series
        Figures of several sizes, for the picture: of equal lengths, by name.
    """

    work: str
    figures: Sequence[Figure]
    notes: Sequence[str] = ()
    series: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        """Whether every figure keeps to its target."""
        return all(figure.is_met for figure in self.figures)


def ratio(
    name: str,
    ours: npt.ArrayLike,
    theirs: npt.ArrayLike,
    bound: float | None = None,
    *,
    least: bool = False,
) -> Figure:
    """Return the median and the spread of the ratios of things timed in turn.

    Parameters
    ----------
    name
        What it is the ratio of.
    ours, theirs
        float arrays of shape (rounds,): the numerator and the denominator. A single value is that of every round.
    bound, least
        The target, and whether it is a minimum.
    """
    ratios = np.atleast_1d(np.asarray(ours, float) / np.asarray(theirs, float))
    spread = (float(ratios.min()), float(ratios.max())) if len(ratios) > 1 else None
    return Figure(name, float(np.median(ratios)), bound, " x", least, spread)


def tally(rows: Sequence[Row]) -> str:
    """Return how many of the rows with targets are met, in words."""
    judged = [row for row in rows if any(figure.bound is not None for figure in row.figures)]
    return f"{sum(row.is_met for row in judged)} of {len(judged)} targets met"


def summary(row: Row) -> str:
    """Return a row as lines of text, for a terminal."""
    lines = [f"{'met   ' if row.is_met else 'MISSED'}  {row.work}"]
    for figure in row.figures:
        target = f" (target {figure.target}{'' if figure.is_met else ', missed'})" if figure.target else ""
        lines.append(f"        {figure.name}: {figure.measured}{target}")
    return "\n".join(lines)


def table(names: Sequence[str], rows: Sequence[Sequence[str]], figures: int = 0) -> str:
    """Return a Markdown table, whose last columns hold figures."""
    rules = ["---"] * (len(names) - figures) + ["---:"] * figures
    return "\n".join(f"| {' | '.join(line)} |" for line in (names, rules, *rows))


def number(value: float) -> str:
    """Return a figure with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
