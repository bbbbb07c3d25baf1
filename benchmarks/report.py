"""Report: targets, figures, and the page of results.

Belongs here: the form of results. Does not belong here: measuring, and describing the machine (``machine.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.machine import describe_machine


@dataclass(frozen=True)
class Target:
    """A figure and its bound.

    Attributes
    ----------
    name
        The quantity measured.
    value, bound
        The figure measured, and its bound, which it may equal.
    unit
        The unit of both, as it stands behind a number.
    least
        Whether the bound is a minimum; else it is a maximum.
    """

    name: str
    value: float
    bound: float
    unit: str = ""
    least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure keeps to its bound."""
        return self.value >= self.bound if self.least else self.value <= self.bound

    def cells(self) -> tuple[str, str, str, str]:
        """Return its name, the figure, the bound, and whether the figure keeps to it, in words."""
        measured, bound = (f"{number(value)}{self.unit}" for value in (self.value, self.bound))
        return self.name, measured, f"{'≥' if self.least else '≤'} {bound}", "yes" if self.is_met else "**no**"


@dataclass(frozen=True)
class Row:
    """A line of the table of targets, met when all its figures keep to their bounds.

    Attributes
    ----------
    work
        The work measured.
    targets
        The figures that have a bound.
    notes
        Further figures, a Markdown paragraph or table each.
    """

    work: str
    targets: Sequence[Target]
    notes: Sequence[str] = ()

    @property
    def is_met(self) -> bool:
        """Whether every figure keeps to its bound."""
        return all(target.is_met for target in self.targets)


def tally(rows: Sequence[Row]) -> str:
    """Return the number of rows that are met, in words."""
    return f"{sum(row.is_met for row in rows)} of {len(rows)} targets met"


def summary(row: Row) -> str:
    """Return a row as lines of text, for a terminal."""
    lines = [f"{'met   ' if row.is_met else 'MISSED'}  {row.work}"]
    for target in row.targets:
        name, measured, bound, _ = target.cells()
        lines.append(f"        {name}: {measured} (target {bound})")
    return "\n".join(lines)


def page(rows: Sequence[Row], bases: int, picture: str | None) -> str:
    """Return the results as a Markdown page.

    Parameters
    ----------
    rows
        The table's rows.
    bases
        Size of the corpus.
    picture
        Name of the file of the plot, if there is one.
    """
    cells = [(row.work if target is row.targets[0] else "", *target.cells()) for row in rows for target in row.targets]
    parts = [
        "# Benchmark results",
        f"Written by `make bench BASES={bases}` on {datetime.now(UTC):%Y-%m-%d}: **{tally(rows)}**. A target is a row; "
        "it is met if all its figures are. CPU time is user and system time of all processes; speeds are per CPU "
        "second, and ratios are of figures of this run. All results were compared with those of the other tools and "
        "ways, and are equal.",
        table(("work", "figure", "measured", "target", "met"), cells),
        *([f"![CPU time and memory of whole runs against the size of the corpus]({picture})"] if picture else []),
        *(f"## {row.work}\n\n" + "\n\n".join(row.notes) for row in rows if row.notes),
        "## Machine and versions",
        table(("", ""), list(describe_machine().items())),
    ]
    return "\n\n".join(parts) + "\n"


def table(names: Sequence[str], rows: Sequence[Sequence[str]], figures: int = 0) -> str:
    """Return a Markdown table, whose last columns hold figures."""
    rules = ["---"] * (len(names) - figures) + ["---:"] * figures
    return "\n".join(f"| {' | '.join(line)} |" for line in (names, rules, *rows))


def number(value: float) -> str:
    """Return a figure with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
