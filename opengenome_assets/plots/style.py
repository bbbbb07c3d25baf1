"""The one look of all figures: fonts, colours of the sources, headings, panels.

Belongs here: everything that figures must share to look alike. Does not belong here: the content of a single figure,
and its encoding (`images`).

Figures are plain `matplotlib.figure.Figure` objects without pyplot, so none stays behind in global state.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import matplotlib.style
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from opengenome_assets import words

ALL = "all"
"""Source name of the rows over all sources."""

MAX_SOURCES = 24
"""Maximum number of sources in a figure; of more, the largest are drawn and the heading says so."""

LONGEST_NAME = 80
"""Maximum number of characters of a source's name in a figure; the middle of a longer one is left out."""

WIDTH = 7.5
"""Width of a figure in inches: the text width of a page."""

INK = "#262626"
MUTED = "#595959"
RULE = "#d0d0d0"
MONOSPACE = "DejaVu Sans Mono"

LineStyle = Literal["-", "--", ":", "-."]

# Okabe & Ito (2008), the palette made for all kinds of colour vision, without black (kept for text) and
# yellow (too pale for lines on white).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES: tuple[LineStyle, ...] = ("-", "--", ":", "-.")
_MARKERS = ("o", "^", "s", "D")

_RC = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same picture on every machine
    "font.size": 10.5,
    "text.color": INK,
    "text.parse_math": False,  # a source may be called "a$b"
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.labelsize": 10.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "svg.hashsalt": "opengenome-assets",
    "svg.fonttype": "path",  # letters as outlines: no viewer needs the font
}


@dataclass(frozen=True)
class Picture:
    """A figure with its title, caption and text alternative.

    Attributes
    ----------
    figure
        Drawn figure; `images` turns it into PNG or SVG.
    title
        A few words, the same as in the figure.
    caption
        Content and method, in sentences.
    alt
        The finding in words, for those who cannot see the figure.
    """

    figure: Figure
    title: str
    caption: str
    alt: str


@dataclass(frozen=True)
class SourceStyle:
    """How one source is drawn in every figure."""

    color: str
    linestyle: LineStyle
    marker: str


ALL_STYLE = SourceStyle(color="#4d4d4d", linestyle="-", marker="o")


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the look within a `with` block or a decorated function; outside, matplotlib stays as it was.

    It starts from matplotlib's defaults, so that a user's matplotlibrc does not change the figures.
    """
    with matplotlib.style.context(["default", _RC]):
        yield


def source_styles(sources: Iterable[str]) -> dict[str, SourceStyle]:
    """Style of each source, by its place in the sorted names; rows over all sources are dark grey.

    Colours repeat after six sources, then with another line style and marker.
    """
    styles = {ALL: ALL_STYLE}
    for index, source in enumerate(sorted(set(sources) - {ALL})):
        color, turn = PALETTE[index % len(PALETTE)], index // len(PALETTE)
        styles[source] = SourceStyle(
            color,
            _LINES[turn % len(_LINES)],
            _MARKERS[turn % len(_MARKERS)],
        )
    return styles


def sources_to_draw(sizes: pd.Series[int] | pd.Series[float], limit: int = MAX_SOURCES) -> tuple[list[str], str]:
    """Choose the sources a figure draws, sorted by name, and the remark its heading needs.

    Parameters
    ----------
    sizes
        Size of each source, indexed by source; rows over all sources are left out unless they are alone.
    limit
        Maximum number of sources; the largest are chosen.

    Returns
    -------
    tuple of list of str and str
        The sources, and "" or a remark such as "24 largest of 60 sources".
    """
    own = sizes[sizes.index != ALL]
    if own.empty:
        own = sizes
    if len(own) <= limit:
        return sorted(own.index), ""
    # By size, then by name: equal sizes must not make the choice depend on the order of rows.
    ranked = sorted(own.index, key=lambda source: (-own[source], source))
    return sorted(ranked[:limit]), f"{limit} largest of {words.count(len(own))} sources"


def label(source: str, *sizes: str, width: int = LONGEST_NAME) -> str:
    """Name of a source as a figure shows it, with sizes in brackets: whole, in lines of up to ``width`` characters.

    Only a name longer than `LONGEST_NAME` is cut. matplotlib leaves out legend entries that begin with an underscore; a
    zero-width space keeps them in.
    """
    name = words.shorten(source, LONGEST_NAME)
    text = "\n".join(words.wrap(f"{name} ({', '.join(sizes)})" if sizes else name, width))
    return f"\u200b{text}" if text.startswith("_") else text


def lines_in(labels: Iterable[str]) -> int:
    """Maximum number of lines of some labels; 1 without any."""
    return max((text.count("\n") + 1 for text in labels), default=1)


def legend_below(figure: Figure, handles: Sequence[Artist], labels: Sequence[str], most: int) -> None:
    """Write a legend below the panels, in up to ``most`` columns that hold the whole labels, and make room for it."""
    width, height = figure.get_size_inches()
    # A letter at 10 pt is 0.076 inch wide on average; a mark and its margins take 0.6 inch.
    longest = max(len(line) for text in labels for line in text.split("\n"))
    columns = max(1, min(most, len(labels), int(width / (0.6 + 0.076 * longest))))
    rows = -(-len(labels) // columns)
    figure.set_size_inches(width, height + 0.2 * rows * lines_in(labels))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def panel_columns(panels: int) -> int:
    """Columns of a grid of small multiples that keeps a panel readable."""
    return 1 if panels <= 4 else 2 if panels <= 10 else 3


def panels(
    number: int, columns: int, panel_height: float, *, width: float = WIDTH, share_x: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of `number` panels (at least one), filled row by row; `panel_height` is in inches."""
    number = max(number, 1)
    columns = min(columns, number)
    rows = -(-number // columns)
    figure = Figure(figsize=(width, rows * panel_height + 1.1), layout="constrained")
    axes: list[Axes] = []
    for index in range(number):
        shared = axes[0] if share_x and axes else None
        axes.append(figure.add_subplot(rows, columns, index + 1, sharex=shared))
    return figure, axes


def heading(figure: Figure, title: str, *remarks: str) -> None:
    """Write the title and below it the remarks (sample size, settings), both flush left, and make room."""
    width, height = figure.get_size_inches()
    # A letter at 9.5 pt is 0.068 inch wide on average.
    lines = textwrap.wrap(" · ".join(remark for remark in remarks if remark), int((width - 0.2) / 0.068))
    room = 0.38 + 0.18 * len(lines)
    left = 0.1 / width
    figure.text(left, 1 - 0.08 / height, title, va="top", fontsize=13, fontweight="bold")
    figure.text(left, 1 - 0.34 / height, "\n".join(lines), va="top", fontsize=9.5, color=MUTED)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(rect=(0, 0, 1, 1 - room / height))


def say_empty(axes: Axes, words: str) -> None:
    """Write into an empty panel why it is empty: a blank one would look like a failure."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color=MUTED)


def count_axis(axes: Axes, which: str = "y", ticks: int = 4) -> None:
    """Label a linear axis of counts: whole numbers with thousands separators."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(nbins=ticks, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: words.count(value)))


def log_axis(axes: Axes, which: str, texts: str = "count", ticks: int = 8) -> None:
    """Make an axis logarithmic, labelled in plain numbers ("count") or in bases ("bases").

    About `ticks` values are labelled: 1, 2 and 5 of each decade if decades are few, else only some decades.
    Call it after the limits are set.
    """
    axis = axes.yaxis if which == "y" else axes.xaxis
    if which == "y":
        axes.set_yscale("log")
    else:
        axes.set_xscale("log")
    low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
    steps: Sequence[float] = (1, 2, 5) if high / low < 10 ** (ticks / 4) else (1,)
    write = words.bases if texts == "bases" else _log_count
    axis.set_major_locator(LogLocator(base=10, subs=steps, numticks=ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    axis.set_minor_formatter(NullFormatter())


def _log_count(value: float) -> str:
    return words.count(value) if value >= 1 else f"{value:g}"
