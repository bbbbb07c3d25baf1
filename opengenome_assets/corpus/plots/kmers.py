"""Figures of the k-mer frequency tables: the most frequent k-mers, and the k-mer spectrum.

Belongs here: figures drawn from `kmer_freq_k*`. Does not belong here: profiles of single sequences (`profiles`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from opengenome_assets import words
from opengenome_assets.plots import style
from opengenome_assets.plots.style import Picture, SourceStyle

_COMPLEMENT = str.maketrans("ACGT", "TGCA")
_BINS_PER_DECADE = 8
_SPECTRUM_COLUMNS = 3


@style.house_style()
def top_kmers(kmer_freq: pd.DataFrame, k: int, top: int = 20, *, sources: Iterable[str] | None = None) -> Picture:
    """Bars of the most frequent k-mers, one panel per source, with their reverse complements' frequency.

    Parameters
    ----------
    kmer_freq
        Columns source, kmer, count, frequency (share) and rank, observed k-mers only.
    k
        Length of the k-mers.
    top
        Number of k-mers a panel shows.
    sources
        Every source of the corpus, so that colours stay when this table lacks one; default: the table's.
    """
    totals = kmer_freq.groupby("source")["count"].sum()
    chosen, remark = style.sources_to_draw(totals)
    styles = style.source_styles(kmer_freq["source"].unique() if sources is None else sources)
    columns = min(3, max(len(chosen), 1)) if len(chosen) <= 9 else 4
    bars = min(top, int(kmer_freq["rank"].max())) if chosen else top
    names = {source: style.label(source, width={1: 90, 2: 40}.get(columns, 66 // columns)) for source in chosen}
    lines = style.lines_in(names.values())
    figure, axes = style.panels(len(chosen), columns, 0.17 * (bars + lines - 1) + 0.75)
    leaders = []
    for index, (ax, source) in enumerate(zip(axes, chosen, strict=False)):
        table = kmer_freq[kmer_freq["source"] == source]
        leaders.append(f"{source} {_bars(ax, table.set_index('kmer'), bars, styles[source])}")
        ax.set_title(f"{names[source]}\nn = {words.count(totals[source])}")
        if index + columns >= len(chosen):
            ax.set_xlabel(f"frequency (% of {k}-mers)" if columns < 4 else f"% of {k}-mers")
    title = f"Most frequent {k}-mers"
    if not chosen:
        style.say_empty(axes[0], f"no {k}-mers in the corpus")
    else:
        reach = 1.06 * max(ax.get_xlim()[1] for ax in axes)
        for ax in axes:
            ax.set_xlim(0, reach)
        _bar_legend(figure)
    style.heading(
        figure,
        title,
        remark,
        f"top {top} of each source",
        f"n = windows of {k} letters A, C, G, T, strand as given",
    )
    return Picture(
        figure,
        title,
        f"The {top} most frequent {k}-mers of each source, in percent of its windows of {k} letters A, C, G "
        "and T, on the strand as given. The circle is the frequency of the reverse complement: where it is at "
        "the bar's end, both strands have the word equally often. Palindromes are their own reverse complement.",
        f"Bars of the {top} most frequent {k}-mers. First: {words.listing(leaders)}." if chosen else f"No {k}-mers.",
    )


@style.house_style()
def kmer_spectrum(tables: Mapping[int, pd.DataFrame], *, sources: Iterable[str] | None = None) -> Picture:
    """Number of distinct k-mers against their count, on logarithmic axes: one panel per k, one line per source.

    Parameters
    ----------
    tables
        For each k its table with columns source, kmer and count, observed k-mers only.
    sources
        Every source of the corpus, so that colours stay when a table lacks one; default: those of the tables.
    """
    known: set[str] = set().union(*(table["source"] for table in tables.values()))
    sizes = pd.concat([table.groupby("source")["count"].sum() for table in tables.values()] or [pd.Series(dtype=float)])
    chosen, remark = style.sources_to_draw(sizes.groupby(level=0).max())
    drawn = [*chosen, style.ALL] if len(chosen) > 1 and style.ALL in known else chosen
    styles = style.source_styles(known if sources is None else sources)
    figure, axes = style.panels(len(tables), _SPECTRUM_COLUMNS, 2.9)
    limits: list[tuple[float, float, float, float]] = []
    for ax, (k, table) in zip(axes, sorted(tables.items()), strict=False):
        for source in drawn:
            counts = table.loc[table["source"] == source, "count"].to_numpy()
            if len(counts):
                x, y = spectrum(counts)
                limits.append((x.min(), x.max(), y.min(), y.max()))
                look = styles[source]
                ax.plot(x, y, look.linestyle, color=look.color, linewidth=1.6, marker=look.marker, markersize=2.6)
        ax.set_title(f"k = {k}: {words.count(table['kmer'].nunique())}\nof {words.count(4**k)} seen")
        ax.set_xlabel("count of a k-mer")
    if limits:
        low_x, high_x, low_y, high_y = np.array(limits).T
        for index, ax in enumerate(axes):
            ax.set_xlim(_a_decade_or_more(low_x.min(), high_x.max()))
            ax.set_ylim(_a_decade_or_more(low_y.min(), high_y.max()))
            style.log_axis(ax, "x", ticks=4)
            style.log_axis(ax, "y")
            ax.grid(True, which="major")
            ax.tick_params(labelleft=index % _SPECTRUM_COLUMNS == 0)
            if index % _SPECTRUM_COLUMNS == 0:
                ax.set_ylabel("distinct k-mers with that count")
        handles = [
            Line2D(
                [],
                [],
                color=styles[s].color,
                linestyle=styles[s].linestyle,
                marker=styles[s].marker,
                markersize=4,
            )
            for s in drawn
        ]
        style.legend_below(figure, handles, [style.label(source) for source in drawn], most=4)
    else:
        style.say_empty(axes[0], "no k-mers in the corpus")
    title = "k-mer spectrum"
    style.heading(
        figure,
        title,
        remark,
        f"mean over log-spaced bins of the count, {_BINS_PER_DECADE} per decade",
        "strand as given",
    )
    return Picture(
        figure,
        title,
        "The number of distinct k-mers with each count, as "
        f"mean over log-spaced bins of the count ({_BINS_PER_DECADE} per decade; single counts up to 3). Unseen "
        "k-mers are left out. Counts are of the strand as given.",
        "Lines of the number of distinct k-mers against their count for "
        + ", ".join(
            f"k = {k} ({words.count(table['kmer'].nunique())} of {words.count(4**k)} seen)"
            for k, table in sorted(tables.items())
        )
        + ".",
    )


def reverse_complement(kmer: str) -> str:
    """Reverse complement of a word of A, C, G and T."""
    return kmer.translate(_COMPLEMENT)[::-1]


def spectrum(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Spectrum of counts, averaged over log-spaced bins of whole numbers.

    Parameters
    ----------
    counts
        Count of each observed k-mer, int64, shape (kmers,), all at least 1.

    Returns
    -------
    tuple of ndarray
        For each bin that holds a k-mer: its geometric middle, and the number of its k-mers divided by the
        number of whole numbers in it; both float64 of one shape.
    """
    steps = np.arange(_BINS_PER_DECADE * math.ceil(np.log10(counts.max()) + 1))
    edges = np.unique(np.round(10 ** (steps / _BINS_PER_DECADE)).astype(np.int64))
    edges = np.append(edges[edges <= counts.max()], counts.max() + 1)
    number, _ = np.histogram(counts, edges)
    filled = number > 0
    middle = np.sqrt(edges[:-1] * (edges[1:] - 1.0))
    return middle[filled], (number / np.diff(edges))[filled]


def _a_decade_or_more(low: float, high: float) -> tuple[float, float]:
    """Limits of a logarithmic axis with a margin, wide enough for labels."""
    air = max(1.5, (10 * low / high) ** 0.5)
    return low / air, high * air


def _bars(ax: Axes, table: pd.DataFrame, top: int, look: SourceStyle) -> str:
    """Draw one source's bars, most frequent on top; return the first k-mer with its frequency in words."""
    first = table.nsmallest(top, "rank")
    percent = 100 * first["frequency"].to_numpy(dtype=np.float64)
    mates = [reverse_complement(str(kmer)) for kmer in first.index]
    mate_percent = 100 * table["frequency"].reindex(mates).fillna(0).to_numpy(dtype=np.float64)
    places = np.arange(len(first))
    ax.barh(places, percent, height=0.78, color=look.color, alpha=0.75, edgecolor="white")
    ax.scatter(mate_percent, places, s=16, facecolor="white", edgecolor=style.INK, linewidth=0.9, zorder=3)
    ax.set_yticks(places, [str(kmer) for kmer in first.index], fontfamily=style.MONOSPACE, fontsize=9)
    ax.set_ylim(top - 0.4, -0.6)
    ax.set_xlim(0, max(percent.max(), mate_percent.max()))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(True, axis="x")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return f"{first.index[0]} {words.percent(percent[0] / 100, 2)}"


def _bar_legend(figure: Figure) -> None:
    circle = Line2D([], [], linestyle="", marker="o", markerfacecolor="white", markeredgecolor=style.INK, markersize=5)
    figure.legend(
        [Patch(color=style.ALL_STYLE.color, alpha=0.75), circle],
        ["frequency of the k-mer", "frequency of its reverse complement"],
        loc="outside lower center",
        ncols=2,
    )
