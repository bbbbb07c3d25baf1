"""Figures of the sequences' composition and size, drawn from `sequence_stats`.

Belongs here: histograms of GC content and of length. Does not belong here: k-mers and codons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from opengenome_assets import words
from opengenome_assets.plots import style
from opengenome_assets.plots.style import Picture, SourceStyle

_GC_STEPS = (1, 2, 5, 10, 20, 50)  # widths of a drawn bin, in stored bins of 0.1 %
_GC_BINS_DRAWN = 50
_NO_SEQUENCES = "no sequences"
_CROWDED = 3  # columns of panels from which texts must be short


@style.house_style()
def gc_histogram(sequence_stats: pd.DataFrame, *, sources: Iterable[str] | None = None) -> Picture:
    """Histogram of the sequences' GC content, one panel per source, with its median.

    Parameters
    ----------
    sequence_stats
        Columns source, sequences, gc_median (share) and gc_histogram (1,000 counts, bins of 0.1 %).
    sources
        Every source of the corpus, so that colours stay when this table lacks one; default: the table's.
    """
    stats, remark, styles = _choose(sequence_stats, sources)
    histograms = [np.asarray(row, dtype=np.int64) for row in stats["gc_histogram"]]
    width, low, high = _gc_bins(histograms)
    columns = style.panel_columns(len(stats))
    titles = _panel_titles({str(source): [words.count(row["sequences"])] for source, row in stats.iterrows()}, columns)
    figure, axes = style.panels(len(stats), columns, _height(titles), share_x=True)
    for ax, (source, row), histogram in zip(axes, stats.iterrows(), histograms, strict=False):
        coarse = histogram[low:high].reshape(-1, width).sum(axis=1)
        edges = np.arange(low, high + 1, width) / 10
        median = float(row["gc_median"])
        text = f"{'median ' if columns < _CROWDED else ''}{words.percent(median)}"
        ax.set_xlim(edges[0], edges[-1])
        without = "no A, C, G or T" if row["sequences"] else _NO_SEQUENCES
        _histogram(ax, coarse, edges, styles[str(source)], 100 * median, text, without)
        ax.set_title(titles[str(source)])
        ax.xaxis.set_major_locator(MaxNLocator(nbins=8 // columns + 2, steps=[1, 2, 5, 10]))
    _outer_labels(axes, columns, "GC content (% of A, C, G and T)", "GC content (%)", stats.empty)
    title = "GC content of the sequences"
    style.heading(figure, title, remark, _sizes(stats), f"bins of {width / 10:g} %", "line: median")
    medians = [f"{source} {words.percent(row['gc_median'])}" for source, row in stats.iterrows()]
    return Picture(
        figure,
        title,
        "Number of sequences by GC content, G + C over A + C + G + T in each sequence. Other IUPAC letters "
        f"do not count. Bins of {width / 10:g} %, one panel per source, each with its own scale of counts. The "
        "line is the median over its sequences.",
        f"Histograms of GC content. Median: {words.listing(medians)}." if medians else "No sequences.",
    )


@style.house_style()
def length_distribution(sequence_stats: pd.DataFrame, *, sources: Iterable[str] | None = None) -> Picture:
    """Histogram of sequence lengths on a logarithmic axis, one panel per source, with its N50.

    Parameters
    ----------
    sequence_stats
        Columns source, sequences, bases, n50, length_edges (bases, ascending) and length_histogram (counts,
        one fewer than edges).
    sources
        Every source of the corpus, so that colours stay when this table lacks one; default: the table's.
    """
    stats, remark, styles = _choose(sequence_stats, sources)
    low, high = _length_limits(stats)
    columns = style.panel_columns(len(stats))
    sizes = {
        str(source): [words.count(row["sequences"]), words.bases(row["bases"])][: 2 if columns < _CROWDED else 1]
        for source, row in stats.iterrows()
    }
    titles = _panel_titles(sizes, columns)
    figure, axes = style.panels(len(stats), columns, _height(titles), share_x=True)
    for ax, (source, row) in zip(axes, stats.iterrows(), strict=False):
        edges = np.maximum(np.asarray(row["length_edges"], dtype=np.float64), 0.5)  # zero has no logarithm
        counts = np.asarray(row["length_histogram"], dtype=np.int64)
        ax.set_xlim(low, high)
        style.log_axis(ax, "x", "bases", ticks=8 if columns < _CROWDED else 6)
        n50 = float(row["n50"])
        text = f"{'N50 ' if columns < _CROWDED else ''}{words.bases(n50)}"
        _histogram(ax, counts, edges, styles[str(source)], n50, text, _NO_SEQUENCES)
        ax.set_title(titles[str(source)])
    _outer_labels(axes, columns, "sequence length (log scale)", "length (log scale)", stats.empty)
    title = "Length of the sequences"
    style.heading(figure, title, remark, _sizes(stats), "log-spaced bins", "line: N50")
    n50s = [f"{source} {words.bases(row['n50'])}" for source, row in stats.iterrows()]
    return Picture(
        figure,
        title,
        "Number of sequences by length in log-spaced bins, one panel per source, each with its own scale of "
        "counts. The line is the N50: sequences of at least this length hold half of the source's bases.",
        f"Histograms of sequence length. N50: {words.listing(n50s)}." if n50s else "No sequences.",
    )


def _choose(
    sequence_stats: pd.DataFrame, sources: Iterable[str] | None
) -> tuple[pd.DataFrame, str, dict[str, SourceStyle]]:
    """Rows to draw indexed by source, the heading's remark, and the styles."""
    stats = sequence_stats.set_index("source")
    chosen, remark = style.sources_to_draw(stats["sequences"])
    return stats.loc[chosen], remark, style.source_styles(stats.index if sources is None else sources)


def _gc_bins(histograms: list[npt.NDArray[np.int64]]) -> tuple[int, int, int]:
    """Width of a drawn bin and the limits of the drawn range, all in stored bins."""
    filled = np.flatnonzero(sum(histograms)) if histograms else np.array([], dtype=np.int64)
    if not len(filled):
        return 10, 0, 1000
    span = filled[-1] - filled[0] + 1
    width = next((step for step in _GC_STEPS if span <= step * _GC_BINS_DRAWN), _GC_STEPS[-1])
    # A margin of two bins on either side, and at least ten bins, so that a single sequence does not fill the panel.
    air = max(2, (10 - span // width) // 2)
    return (
        width,
        max(0, (filled[0] // width - air) * width),
        min(1000, (filled[-1] // width + 1 + air) * width),
    )


def _length_limits(stats: pd.DataFrame) -> tuple[float, float]:
    """Range of lengths that holds every sequence, at least a factor of ten wide."""
    low, high = np.inf, 0.0
    for edges, counts in zip(stats["length_edges"], stats["length_histogram"], strict=True):
        filled = np.flatnonzero(np.asarray(counts))
        if len(filled):
            low, high = min(low, edges[filled[0]]), max(high, edges[filled[-1] + 1])
    if high == 0:
        return 1.0, 1000.0
    low = max(low, 0.5)
    air = max(1.15, (10 * low / high) ** 0.5)
    return low / air, high * air


def _histogram(
    ax: Axes,
    counts: npt.NDArray[np.int64],
    edges: npt.NDArray[np.float64],
    look: SourceStyle,
    mark: float,
    mark_text: str,
    without: str,
) -> None:
    """Draw one panel; ``without`` is the reason shown if it is empty."""
    if not counts.sum():
        ax.text(0.5, 0.5, without, transform=ax.transAxes, ha="center", va="center", color=style.MUTED)
        ax.set_yticks([])
        return
    ax.stairs(counts, edges, fill=True, facecolor=look.color, alpha=0.45, linewidth=0)
    ax.stairs(counts, edges, color=look.color, linewidth=1.2)
    ax.set_ylim(0, counts.max() * 1.35)
    style.count_axis(ax)
    ax.axvline(mark, color=style.INK, linewidth=1.4)
    left, right = ax.get_xlim()
    place = np.log(mark / left) / np.log(right / left) if ax.get_xscale() == "log" else (mark - left) / (right - left)
    side = -1 if place > 0.5 else 1
    ax.annotate(
        mark_text,
        (mark, 0.98),
        xycoords=("data", "axes fraction"),
        xytext=(5 * side, 0),
        textcoords="offset points",
        ha="left" if side > 0 else "right",
        va="top",
        fontsize=10,
    )


def _outer_labels(axes: list[Axes], columns: int, x_label: str, short: str, is_empty: bool) -> None:
    """Label only the outer axes; panels share their x axis."""
    if is_empty:
        style.say_empty(axes[0], "no sequences in the corpus")
    for index, ax in enumerate(axes):
        lowest = index + columns >= len(axes)
        ax.tick_params(labelbottom=lowest, labelsize=9.5 if columns < _CROWDED else 8.5)
        if lowest:
            ax.set_xlabel(x_label if columns < _CROWDED else short)
        if index % columns == 0:
            ax.set_ylabel("sequences")


def _height(titles: Mapping[str, str]) -> float:
    return (2.6 if len(titles) == 1 else 1.75) + 0.17 * (style.lines_in(titles.values()) - 1)


def _panel_titles(sizes: Mapping[str, Sequence[str]], columns: int) -> dict[str, str]:
    """Title of each source's panel, in lines as long as a panel is wide."""
    width = {1: 90, 2: 42}.get(columns, 26)
    return {source: style.label(source, f"n = {', '.join(own)}", width=width) for source, own in sizes.items()}


def _sizes(stats: pd.DataFrame) -> str:
    return f"n = {words.plural(int(stats['sequences'].sum()), 'sequence')}"
