"""Sequences as points: principal components of their k-mer profiles.

Belongs here: profiles of single sequences and their projection (PCA). Does not belong here: k-mer tables of whole
sources (`kmers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from opengenome_assets import words
from opengenome_assets.plots import style
from opengenome_assets.plots.style import Picture, SourceStyle

_ROWS_AT_ONCE = 4096
_MANY = 2000  # points beyond which an SVG holds them as one image, not as shapes


def kmer_profiles(tfidf_index: pd.DataFrame, k: int = 6) -> npt.NDArray[np.float32]:
    """Relative k-mer frequencies of each sequence.

    Parameters
    ----------
    tfidf_index
        Columns kmers (number of windows), codes (k-mer codes seen) and counts (of these codes).
    k
        Length of the k-mers.

    Returns
    -------
    ndarray
        float32, shape (sequences, 4**k); a row sums to 1, or to 0 where a sequence has no valid window.
    """
    profiles = np.zeros((len(tfidf_index), 4**k), dtype=np.float32)
    rows = zip(tfidf_index["kmers"], tfidf_index["codes"], tfidf_index["counts"], strict=True)
    for profile, (windows, codes, counts) in zip(profiles, rows, strict=True):
        profile[np.asarray(codes, dtype=np.int64)] = np.asarray(counts) / max(windows, 1)
    return profiles


def principal_components(
    profiles: npt.NDArray[np.floating], n: int = 2
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Project profiles onto their first principal components.

    The smaller of the two matrices of products, between sequences or between k-mers, is decomposed. So neither many
    sequences nor many k-mers make it large.

    Parameters
    ----------
    profiles
        Floating point, shape (sequences, features).
    n
        Number of components.

    Returns
    -------
    scores : ndarray
        float64, shape (sequences, n). The sign of a component is such that its largest loading is positive.
    explained : ndarray
        float64, shape (n,): share of the total variance. Components beyond the rank of the profiles are 0.
    """
    rows, features = profiles.shape
    scores, explained = np.zeros((rows, n)), np.zeros(n)
    if rows < 2:
        return scores, explained
    mean = profiles.mean(axis=0, dtype=np.float64)
    if rows <= features:
        centred = profiles - mean
        products = centred @ centred.T
    else:
        products = np.zeros((features, features))
        for start in range(0, rows, _ROWS_AT_ONCE):
            block = profiles[start : start + _ROWS_AT_ONCE] - mean
            products += block.T @ block
    variances, vectors = np.linalg.eigh(products)
    total = float(np.trace(products))
    # Rounding leaves directions without variance a little above zero, for equal profiles too; they are dropped.
    rounding = max(1e-12 * total, 1e-24 * rows * float(mean @ mean))
    kept = [i for i in range(1, min(n, len(variances)) + 1) if variances[-i] > rounding]
    for component, index in enumerate(kept):
        vector, variance = vectors[:, -index], variances[-index]
        loadings = centred.T @ vector / np.sqrt(variance) if rows <= features else vector
        loadings = loadings * np.sign(loadings[np.argmax(np.abs(loadings))])
        scores[:, component] = profiles @ loadings - mean @ loadings
        explained[component] = variance / total
    return scores, explained


@style.house_style()
def kmer_pca(
    profiles: npt.NDArray[np.floating],
    sequence_sources: Sequence[str],
    lengths: Sequence[int],
    *,
    k: int = 6,
    identifiers: Sequence[str] | None = None,
    total: int | None = None,
    sources: Iterable[str] | None = None,
) -> Picture:
    """First two principal components of the sequences' k-mer profiles, one mark per sequence.

    A sequence far from the median of its source, among eight or more, is an outlier and has its identifier beside it.

    Parameters
    ----------
    profiles
        Relative k-mer frequencies, shape (sequences, 4**k), as `kmer_profiles` gives them.
    sequence_sources, lengths
        Source and length in bases of each sequence.
    k
        Length of the k-mers, for title and caption.
    identifiers
        Identifier of each sequence, for the outliers.
    total
        Number of sequences that these were chosen from; default: as many.
    sources
        Every source of the corpus, so that colours stay when it lacks one here; default: those given.
    """
    names, sizes = np.asarray(sequence_sources, dtype=object), np.asarray(lengths, dtype=np.float64)
    scores, explained = principal_components(profiles)
    styles = style.source_styles(names if sources is None else sources)
    present = pd.Series(names).value_counts()
    chosen, remark = style.sources_to_draw(present)
    figure, (ax,) = style.panels(1, 1, 4.2)
    title = f"{k}-mer profiles of the sequences"
    if without := _nothing_to_compare(len(names), explained, k):
        style.say_empty(ax, without)
        style.heading(figure, title, f"n = {words.plural(len(names), 'sequence')}")
        return Picture(figure, title, f"Nothing to compare: {without}.", f"No points: {without}.")
    _draw_points(ax, scores, names, _areas(sizes), {source: styles[source] for source in chosen})
    marks = [Line2D([], [], ls="", marker=styles[s].marker, color=styles[s].color) for s in chosen]
    labels = [style.label(source, f"n = {words.count(present[source])}") for source in chosen]
    style.legend_below(figure, marks, labels, most=3)
    ax.set_xlabel(f"PC1 ({words.percent(explained[0])} of variance)")
    ax.set_ylabel(f"PC2 ({words.percent(explained[1])} of variance)")
    drawn = int(present[chosen].sum())
    every = max(len(names), total or 0)
    number = words.plural(every, "sequence")
    if drawn < every:
        number = f"{words.count(drawn)} of {number}"
    far = outliers(scores, names) if identifiers is not None else []
    for place in far:
        _label(ax, scores[place], str(identifiers[place]) if identifiers is not None else "")
    style.heading(
        figure,
        title,
        remark,
        f"n = {number}",
        f"principal components of relative {k}-mer frequencies, centred",
        f"area of a mark grows with length, {words.bases(sizes.min())} to {words.bases(sizes.max())}",
    )
    shares = " and ".join(words.percent(share) for share in explained)
    return Picture(
        figure,
        title,
        f"Each mark is a sequence, placed by the first two principal components of its relative {k}-mer "
        f"frequencies ({4**k:,} k-mers, strand as given, centred, not scaled). Near marks have similar k-mer usage. "
        "The axes give their share of the variance between the sequences chosen. Of a large source the sequences are "
        "chosen evenly; a small one is drawn whole. A mark's area grows with the logarithm of the length."
        + (" The identifier stands beside a sequence that is far from the others of its source." if far else ""),
        f"Scatter of {number}; two components hold {shares} of the variance.",
    )


def _nothing_to_compare(sequences: int, explained: npt.NDArray[np.float64], k: int) -> str:
    """Reason why there are no principal components, or "" if there are."""
    if sequences < 2:
        return "a comparison needs at least two sequences"
    return "" if explained.any() else f"all sequences have the same {k}-mer frequencies"


def outliers(
    scores: npt.NDArray[np.float64], sources: npt.NDArray[np.object_], most: int = 6, limit: float = 8.0
) -> list[int]:
    """Places of the sequences that are farthest from their source's median, the farthest first.

    Farther than ``limit`` times the median distance, in a source of eight sequences or more.
    """
    ratios = np.zeros(len(scores))
    for source in set(sources):
        own = np.flatnonzero(sources == source)
        if len(own) >= 8:
            distances = np.linalg.norm(scores[own] - np.median(scores[own], axis=0), axis=1)
            ratios[own] = distances / max(float(np.median(distances)), 1e-12)
    ranked = np.argsort(-ratios, kind="stable")[:most]
    return [int(place) for place in ranked if ratios[place] > limit]


def _label(ax: Axes, point: npt.NDArray[np.float64], text: str) -> None:
    left = point[0] > np.mean(ax.get_xlim())
    ax.annotate(
        style.label(text, width=40),
        (point[0], point[1]),
        xytext=(-6 if left else 6, 4),
        textcoords="offset points",
        ha="right" if left else "left",
        fontsize=8,
        color=style.INK,
    )


def _draw_points(
    ax: Axes,
    scores: npt.NDArray[np.float64],
    names: npt.NDArray[np.object_],
    areas: npt.NDArray[np.float64],
    styles: dict[str, SourceStyle],
) -> None:
    many = len(names) > _MANY
    ax.axhline(0, color=style.RULE, linewidth=0.8, zorder=0)
    ax.axvline(0, color=style.RULE, linewidth=0.8, zorder=0)
    # Sources with many sequences first: a small one must not vanish below them.
    for source in sorted(styles, key=lambda source: -np.count_nonzero(names == source)):
        own = names == source
        ax.scatter(
            scores[own, 0],
            scores[own, 1],
            s=areas[own],
            marker=styles[source].marker,
            facecolor=styles[source].color,
            edgecolor="none" if many else "white",
            linewidth=0.5,
            alpha=0.4 if many else 0.75,
            rasterized=many,
        )
    ax.ticklabel_format(style="plain", useOffset=False)


def _areas(lengths: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Marks' areas in square points, growing with the logarithm of the length."""
    if len(lengths) > _MANY:
        return np.full(len(lengths), 8.0)
    logs = np.log10(np.maximum(lengths, 1))
    span = np.ptp(logs) if len(logs) else 0.0
    return 30 + 60 * (logs - logs.min()) / span if span > 0 else np.full(len(lengths), 50.0)
