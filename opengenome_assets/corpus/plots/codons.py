"""Figures of codon usage, drawn from `codon_rscu`: of genes first, and beside them of the frames of whole sequences.

Belongs here: codons laid out by amino acid. Does not belong here: counting them, and the formula of RSCU.

Sources may have different genetic codes, so a codon can belong to two amino acids (ATA: Ile, and Met in mitochondria).
Each source is drawn only at the amino acid of its own code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from opengenome_assets import words
from opengenome_assets.corpus.plots.codon_names import (
    GENES,
    NOT_GENES,
    OF_GENES,
    CodonColumn,
    codon_columns,
    frame_name,
    three_letters,
    with_frames,
)
from opengenome_assets.plots import style
from opengenome_assets.plots.style import Picture, SourceStyle

_WIDTH = 9.0
_BANDS = 3
_GAP = 0.6  # between two amino acids, in widths of a codon
_MAX_BARS = 4  # maximum of sources as bars side by side; with more, a bar is thinner than its outline
_MAX_HEATMAP_ROWS = 24
_NOT_READ = "#d9d9d9"
_NAME = 24  # letters of a line of a source's name beside a heatmap


@style.house_style()
def codon_usage(codon_rscu: pd.DataFrame, frame: int = GENES, *, sources: Iterable[str] | None = None) -> Picture:
    """Codons per thousand, grouped by amino acid, with the sources side by side.

    Parameters
    ----------
    codon_rscu
        Columns source, basis, frame, codon, amino_acid, count, per_thousand and genetic_code.
    frame
        What to draw: `GENES`, or a reading frame of the whole sequences, 0, 1 or 2.
    sources
        Every source of the corpus, so that colours stay when this table lacks one; default: the table's.
    """
    table = with_frames(codon_rscu)
    table = table[table["frame"] == frame]
    totals = table.groupby("source")["count"].sum()
    chosen, remark = style.sources_to_draw(totals)
    table = table[table["source"].isin(chosen)]
    styles = style.source_styles(codon_rscu["source"].unique() if sources is None else sources)
    figure, bands = _banded_figure(codon_columns(table), 1.75)
    highest = np.nanmax(table["per_thousand"].to_numpy(dtype=np.float64), initial=1)
    for ax, _, columns in bands:
        places = _places(columns)
        for index, source in enumerate(chosen):
            own = table[table["source"] == source]
            names = zip(own["amino_acid"].map(three_letters), own["codon"], strict=True)
            usage = dict(zip(names, own["per_thousand"], strict=True))
            heights = np.array([usage.get(column, np.nan) for column in columns], dtype=np.float64)
            _draw_source(ax, places, heights, index, len(chosen), styles[source])
        _amino_acids(ax, columns, places)
        ax.set_ylim(0, highest * 1.05)
        ax.set_ylabel("per thousand")
        ax.grid(True, axis="y")
    codes = table.groupby("source")["genetic_code"].first()
    if chosen:
        handles = [_legend_mark(styles[source], len(chosen)) for source in chosen]
        labels = [style.label(source, f"genetic code {codes[source]}") for source in chosen]
        style.legend_below(figure, handles, labels, most=3)
    place = frame_name(frame)
    title = f"Codon usage in {place}"
    counted = OF_GENES if frame == GENES else NOT_GENES
    style.heading(figure, title, remark, counted, f"n = {words.count(totals.reindex(chosen).sum())} codons")
    return Picture(
        figure,
        title,
        f"Codons per thousand codons of {place}, grouped by amino acid. The counts are of {counted}"
        f"{'' if frame == GENES else ': coding and non-coding sequence alike, on the strand as given'}. Each source is "
        "read with its own genetic code, so a codon may belong to two amino acids.",
        f"Bars of codons per thousand by amino acid in {place}. " + _most_used(table, chosen),
    )


@style.house_style()
def rscu_heatmap(codon_rscu: pd.DataFrame) -> Picture:
    """Heatmap of relative synonymous codon usage (RSCU), centred on 1.

    Rows are sources, for each its genes and then its reading frames; columns are codons grouped by amino acid.

    If that gives more than 24 rows, only genes are drawn, and the heading says so.

    Parameters
    ----------
    codon_rscu
        Columns source, basis, frame, codon, amino_acid, count, rscu (null where its family was never seen) and
        genetic_code.
    """
    chosen, remark = style.sources_to_draw(codon_rscu.groupby("source")["count"].sum())
    table = with_frames(codon_rscu)
    table = table[table["source"].isin(chosen)]
    frames = sorted(int(frame) for frame in table["frame"].unique())
    if len(chosen) * len(frames) > _MAX_HEATMAP_ROWS:
        frames = frames[:1]
    table = table[table["frame"].isin(frames)]
    rows = [(source, frame) for source in chosen for frame in frames]
    columns = codon_columns(table)
    values = _grid(table, rows, columns)
    highest = max(2, math.ceil(np.nanmax(values, initial=0)))
    names = {source: style.label(source, width=_NAME) for source in chosen}
    # A group of rows is as high as its name, if that has more lines than the group has rows.
    height = 0.2 * max(1.0, style.lines_in(names.values()) / max(len(frames), 1))
    figure, bands = _banded_figure(columns, 0.62 + height * max(len(rows), 1))
    norm = TwoSlopeNorm(vcenter=1, vmin=0, vmax=highest)
    colours = colormaps["RdBu_r"].with_extremes(bad=_NOT_READ)
    for ax, start, band in bands:
        places = _places(band)
        for group in _groups(band):
            edges = places[group[0]] - 0.5 + np.arange(len(group) + 1)
            cells = np.ma.masked_invalid(values[:, start + group[0] : start + group[-1] + 1])
            ax.pcolormesh(edges, np.arange(len(rows) + 1), cells, cmap=colours, norm=norm, ec="white", lw=0.6)
        _amino_acids(ax, band, places)
        _row_names(ax, rows, frames, names)
        ax.set_ylim(max(len(rows), 1), 0)
        ax.tick_params(axis="y", length=0)
        ax.spines[:].set_visible(False)
        for line in range(len(frames), len(rows), max(len(frames), 1)):
            ax.axhline(line, color="white", linewidth=3.5)
    if rows:
        _colour_bar(figure, [ax for ax, _, _ in bands], ScalarMappable(norm, colours), highest)
    title = "Relative synonymous codon usage (RSCU)"
    whole = [str(frame) for frame in frames if frame != GENES]
    frame_words = [OF_GENES] * (GENES in frames)
    frame_words += [f"reading frame {', '.join(whole)}: {NOT_GENES}"] * bool(whole)
    style.heading(
        figure,
        title,
        remark,
        *frame_words,
        "grey: not a codon of this amino acid in the source's code, or the amino acid never occurs",
    )
    return Picture(
        figure,
        title,
        "RSCU of each codon (Sharp, Tuohy & Mosurski 1986): its count over the mean count of the codons of the same "
        f"amino acid, so 1 means no preference. Stops are a family of their own. The counts are of "
        f"{'; '.join(frame_words)}. Grey cells: the codon has another meaning in the source's genetic code, or its "
        "amino acid was never seen.",
        "Heatmap of RSCU by source and codon. " + _most_preferred(table, chosen),
    )


def _groups(columns: list[CodonColumn]) -> list[list[int]]:
    """Indices of the columns of each amino acid."""
    return [list(group) for _, group in groupby(range(len(columns)), key=lambda index: columns[index][0])]


def _places(columns: list[CodonColumn]) -> npt.NDArray[np.float64]:
    """Positions of the codons along the axis, with a gap between amino acids."""
    places = np.empty(len(columns))
    for gap, group in enumerate(_groups(columns)):
        places[group] = np.array(group) + _GAP * gap
    return places


def _banded_figure(
    columns: list[CodonColumn], band_height: float
) -> tuple[Figure, list[tuple[Axes, int, list[CodonColumn]]]]:
    """Lay the codons out in bands of about the same width, broken between amino acids.

    Returns
    -------
    tuple of Figure and list
        For each band its axes, the index of its first column, and its columns.
    """
    bands: list[list[CodonColumn]] = [[] for _ in range(_BANDS)]
    for group in _groups(columns):
        middle = (group[0] + group[-1]) / 2 / len(columns)
        bands[int(middle * _BANDS)] += [columns[index] for index in group]
    filled = [band for band in bands if band] or [[]]
    figure, axes = style.panels(len(filled), 1, band_height, width=_WIDTH)
    starts = np.cumsum([0, *(len(band) for band in filled)])
    reach = max((_places(band)[-1] for band in filled if band), default=1.0)
    for ax, band in zip(axes, filled, strict=True):
        ax.set_xlim(-0.8, reach + 0.8)  # the same width of a codon in every band
        if not band:
            style.say_empty(ax, "no codons in the corpus")
    return figure, [(ax, int(start), band) for ax, start, band in zip(axes, starts, filled, strict=False) if band]


def _amino_acids(ax: Axes, columns: list[CodonColumn], places: npt.NDArray[np.float64]) -> None:
    """Write the codons below the axis and the amino acids above it."""
    ax.set_xticks(places, [codon for _, codon in columns], fontfamily=style.MONOSPACE, fontsize=8.2)
    ax.tick_params(axis="x", length=0)
    for group in _groups(columns):
        middle = (places[group[0]] + places[group[-1]]) / 2
        ax.annotate(
            columns[group[0]][0],
            (middle, 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=9.5,
            fontweight="bold",
        )


def _grid(table: pd.DataFrame, rows: list[tuple[str, int]], columns: list[CodonColumn]) -> npt.NDArray[np.float64]:
    """RSCU, float64, shape (rows, columns); NaN where the codon has another meaning in the source."""
    row_of, column_of = (
        {row: i for i, row in enumerate(rows)},
        {column: i for i, column in enumerate(columns)},
    )
    values = np.full((len(rows), len(columns)), np.nan)
    cells = zip(*(table[name] for name in ("source", "frame", "amino_acid", "codon", "rscu")), strict=True)
    for source, frame, amino_acid, codon, rscu in cells:
        values[row_of[source, frame], column_of[three_letters(amino_acid), codon]] = rscu
    return values


def _row_names(ax: Axes, rows: list[tuple[str, int]], frames: list[int], names: Mapping[str, str]) -> None:
    """Write each row's frame beside it, and left of the frames of a source its name; of one frame only the name."""
    places = np.arange(len(rows)) + 0.5
    if len(frames) == 1:
        ax.set_yticks(places, [names[source] for source, _ in rows], fontsize=9)
        return
    ax.set_yticks(places, ["genes" if frame == GENES else f"frame {frame}" for _, frame in rows], fontsize=9)
    for first in range(0, len(rows), max(len(frames), 1)):
        ax.annotate(
            names[rows[first][0]],
            (0, first + len(frames) / 2),
            xycoords=ax.get_yaxis_transform(),
            xytext=(-52, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=9,
        )


def _colour_bar(figure: Figure, axes: list[Axes], colours: ScalarMappable, highest: int) -> None:
    bar = figure.colorbar(colours, ax=axes, location="bottom", shrink=0.6, aspect=45)
    bar.set_label("RSCU (1: no preference)")
    bar.set_ticks([0, 0.5, 1, *range(2, highest + 1)])
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.minorticks_off()


def _draw_source(
    ax: Axes,
    places: npt.NDArray[np.float64],
    heights: npt.NDArray[np.float64],
    index: int,
    sources: int,
    look: SourceStyle,
) -> None:
    """Draw one of several sources: bars beside the others, or marks where bars would be too thin."""
    if sources <= _MAX_BARS:
        width = 0.86 / sources
        shift = (index - (sources - 1) / 2) * width
        ax.bar(places + shift, heights, width, color=look.color, edgecolor="white", linewidth=0.3)
    else:
        shift = (index / (sources - 1) - 0.5) * 0.6
        ax.plot(places + shift, heights, look.marker, color=look.color, markersize=3.2, alpha=0.9)


def _legend_mark(look: SourceStyle, sources: int) -> Patch | Line2D:
    if sources <= _MAX_BARS:
        return Patch(color=look.color)
    return Line2D([], [], linestyle="", marker=look.marker, color=look.color, markersize=5)


def _most_used(table: pd.DataFrame, chosen: list[str]) -> str:
    return _leaders(table, chosen, "per_thousand", "Most used", "per thousand")


def _most_preferred(table: pd.DataFrame, chosen: list[str]) -> str:
    return _leaders(table, chosen, "rscu", "Highest", "RSCU")


def _leaders(table: pd.DataFrame, chosen: list[str], column: str, superlative: str, unit: str) -> str:
    """Name each source's highest codon in words."""
    parts = []
    for source in chosen:
        own = table[(table["source"] == source) & table[column].notna()]
        if not own.empty:
            row = own.loc[own[column].idxmax()]
            parts.append(f"{source} {row['codon']} ({three_letters(str(row['amino_acid']))}) {row[column]:.1f}")
    return f"{superlative}, {unit}: {words.listing(parts)}." if parts else "No codons."
