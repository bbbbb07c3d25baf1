"""Figures of mutations: who has which, where they lie, how frequent they are, and how good the alignments are.

Belongs here: drawing from data frames. Does not belong here: reading tables, and the report.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from opengenome_assets import words
from opengenome_assets.plots import style
from opengenome_assets.plots.style import Picture
from opengenome_assets.proteins.differences import NO_EARLIER
from opengenome_assets.proteins.settings import Level

MAX_ROWS, MAX_COLUMNS, MAX_GENES, TOP = 40, 40, 8, 30
MAX_SYMBOL, MAX_LINE = 48, 40  # letters of a line; a longer name goes on in the next
Frame = Any  # a data frame; the stubs of pandas give each cell the type of every scalar
_NONE = "no known mutation was found"
_OUTCOMES = {
    "mutated": ("#D55E00", "known mutation"),
    "wild_type": ("#56B4E9", "examined, not found"),
    "not examined": ("#d0d0d0", "not examined"),
}
_CHANGES = {"gained": "#D55E00", "lost": "#0072B2", "renamed": "#CC79A7", "level": "#9a9a9a"}
_COLORS = dict(zip(("HIGH", "MEDIUM", "LOW", "FAILED"), ("#009E73", "#0072B2", "#E69F00", "#595959"), strict=True))


@style.house_style()
def mutation_matrix(calls: Frame, status: Frame, entries: Collection[tuple[str, str]]) -> Picture:
    """Matrix of accessions and known mutations: found, wild type, or not examined.

    Parameters
    ----------
    calls
        Columns accession, gene, symbol, position.
    status
        Columns accession, organism, gene, examined.
    entries
        Organism and symbol of each entry of the catalogue; an empty organism stands for any.
    """
    title = "Known mutations by accession"
    organisms = dict(zip(status["accession"], status["organism"], strict=True))
    seen = set(zip(*(status[status["examined"]][name] for name in ("accession", "gene")), strict=True))
    ranked = calls.drop_duplicates(["accession", "symbol"])["symbol"].value_counts()
    chosen = calls[calls["symbol"].isin(ranked.index[:MAX_COLUMNS])]
    columns = list(
        chosen.sort_values(["gene", "position", "symbol"])[["gene", "symbol"]]
        .drop_duplicates()
        .itertuples(index=False, name=None)
    )
    counts = calls.groupby("accession")["symbol"].nunique()
    accessions = sorted(set(status["accession"]), key=lambda name: (-counts.get(name, 0), name))
    rows = accessions[:MAX_ROWS]
    found = set(zip(calls["accession"], calls["symbol"], strict=True))
    symbols = [style.label(symbol, width=MAX_SYMBOL) for _, symbol in columns]
    # A letter at 8 pt is 0.062 inch wide on average.
    below = 0.062 * max((len(line) for text in symbols for line in text.split("\n")), default=0)
    figure, (ax,) = style.panels(1, 1, 0.6 + below + 0.22 * max(len(rows), 3))
    if not columns:
        style.say_empty(ax, _NONE)
    else:
        kinds = np.array(
            [
                [
                    0
                    if (row, symbol) in found
                    else 3
                    if not {(organisms[row], symbol), ("", symbol)} & {*entries}
                    else 1
                    if (row, gene) in seen
                    else 2
                    for gene, symbol in columns
                ]
                for row in rows
            ]
        )
        palette = [color for color, _ in _OUTCOMES.values()]
        for kind, color in enumerate(palette):
            y, x = np.nonzero(kinds == kind)
            ax.barh(y, 0.9, 0.86, left=x - 0.45, color=color)
        ax.set_xlim(-0.5, len(columns) - 0.5)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_xticks(range(len(columns)), symbols, rotation=90, fontsize=8 if style.lines_in(symbols) == 1 else 6)
        ax.set_yticks(range(len(rows)), [style.label(row) for row in rows], fontsize=8)
        handles = [Patch(color=color, label=label) for color, label in _OUTCOMES.values()]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9)
    style.heading(
        figure,
        title,
        _share(len(rows), len(accessions), "accession"),
        _share(len(columns), len(ranked), "mutation"),
        "white: no entry of the organism's catalogue",
    )
    names = [f"{row}: {counts.get(row, 0)}" for row in rows]
    return Picture(
        figure,
        title,
        "Each column is a known mutation that was found in some accession, by gene and position. Not examined: "
        "the gene is "
        "absent, cut, diverged or ambiguous at some known site (mutation_status says which). White: the catalogue of "
        "the accession's organism does not have the mutation.",
        f"Known mutations found. {words.listing(names)}." if columns else f"{_NONE.capitalize()}.",
    )


@style.house_style()
def lollipop(changes: Frame) -> Picture:
    """Changes along the references: in how many accessions each is, known against novel, one panel per reference.

    Parameters
    ----------
    changes
        Columns reference, gene, organism, length (of the reference), position, symbol (empty if not known), accessions
        (count).
    """
    title = "Changes along each gene"
    known = changes[changes["symbol"] != ""]
    ranked = known.groupby("reference")["accessions"].sum().sort_values(ascending=False, kind="stable")
    shown = list(ranked.index[:MAX_GENES])
    figure, axes = style.panels(max(len(shown), 1), 1, 1.25)
    if not shown:
        style.say_empty(axes[0], _NONE)
    names = []
    for ax, reference in zip(axes, shown, strict=False):
        own = changes[changes["reference"] == reference]
        length = int(own["length"].max())
        for part, color, size in (
            (own[own["symbol"] == ""], "#9a9a9a", 12),
            (own[own["symbol"] != ""], "#D55E00", 26),
        ):
            ax.vlines(part["position"], 0, part["accessions"], color=color, linewidth=0.9)
            ax.scatter(part["position"], part["accessions"], s=size, color=color, zorder=3, linewidths=0)
        for row, side in _apart(own[own["symbol"] != ""].nlargest(12, "accessions"), length):
            place = row.position, row.accessions
            ax.annotate(row.symbol, place, (0, 6), textcoords="offset points", ha=side, fontsize=8)
        ax.set_xlim(0, length + 1)
        ax.set_ylim(0, own["accessions"].max() * 1.5)
        style.count_axis(ax, "y", 3)
        first = own.iloc[0]
        names.append(" of ".join(filter(None, (first["gene"], first["organism"]))))
        ax.set_title(style.label(names[-1], reference))
    if shown:
        axes[-1].set_xlabel("position on the reference (amino acids; of DNA bases)")
        axes[len(shown) // 2].set_ylabel("accessions")
        handles = [Patch(color=color, label=label) for color, label in (("#D55E00", "known"), ("#9a9a9a", "not known"))]
        figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9)
    style.heading(figure, title, _share(len(shown), len(ranked), "reference"), "those with known mutations")
    return Picture(
        figure,
        title,
        "Accessions with each change of the reference, by position; one panel a reference. Changes that no entry of "
        "the catalogue names are grey: most are of no known meaning. The most frequent known ones have their names, "
        "where there is room. The number in a name is the published one; of DNA it can differ from the position.",
        f"References with the most known mutations: {words.listing(names)}." if names else f"{_NONE.capitalize()}.",
    )


def _apart(ranked: Frame, length: int) -> list[tuple[Any, Literal["left", "center", "right"]]]:
    """Return the rows whose labels do not touch that of an earlier row, and where each is anchored within the panel."""
    chosen: list[tuple[Any, Literal["left", "center", "right"]]] = []
    taken: list[tuple[float, float]] = []
    for row in ranked.itertuples():
        # A letter at 8 pt is 0.068 inch wide on average, a panel about 6.5 inches.
        place, width = row.position / length, 0.068 * (len(row.symbol) + 1) / 6.5
        side: Literal["left", "center", "right"] = (
            "left" if place < width / 2 else "right" if place > 1 - width / 2 else "center"
        )
        begin = place - {"left": 0, "center": width / 2, "right": width}[side]
        if all(begin >= end or begin + width <= start for start, end in taken):
            chosen.append((row, side))
            taken.append((begin, begin + width))
    return chosen[:6]


def wilson(found: np.ndarray, number: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of a share by Wilson's score interval (1927), of 95 % for z = 1.96."""
    share = found / number
    middle = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = z * np.sqrt(share * (1 - share) / number + z * z / (4 * number * number)) / (1 + z * z / number)
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


@style.house_style()
def prevalence(shares: Frame) -> Picture:
    """The most frequent mutations with their share of the examined accessions, and 95 % Wilson intervals.

    Parameters
    ----------
    shares
        Columns organism, symbol, found, examined (counts of accessions).
    """
    title = "Prevalence of known mutations"
    top = shares.sort_values(["found", "organism", "symbol"], ascending=[False, True, True], kind="stable").head(TOP)
    labels = [
        "\n".join(
            words.wrap(
                f"{row.symbol}, {row.organism.replace('_', ' ') or 'any'} ({row.found}/{row.examined})", MAX_LINE
            )
        )
        for row in top.itertuples()
    ]
    figure, (ax,) = style.panels(1, 1, 0.8 + (0.06 + 0.14 * style.lines_in(labels)) * max(len(top), 3))
    if top.empty:
        style.say_empty(ax, _NONE)
    else:
        found, number = top["found"].to_numpy(float), top["examined"].to_numpy(float)
        low, high = wilson(found, number)
        places, share = np.arange(len(top)), found / number
        ax.errorbar(
            share, places, xerr=[share - low, high - share], fmt="o", color="#0072B2", ecolor="#9a9a9a", markersize=5
        )
        ax.set_ylim(len(top) - 0.5, -0.5)
        ax.set_xlim(-0.02, 1.02)
        ax.set_yticks(places, labels, fontsize=8)
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        ax.set_xlabel("share of the examined accessions of the organism")
    style.heading(figure, title, _share(len(top), len(shares), "mutation"), "lines: 95 % Wilson intervals")
    names = [f"{row.symbol} {row.found} of {row.examined}" for row in top.itertuples()]
    return Picture(
        figure,
        title,
        "Accessions with a mutation, divided by those of its organism in which its gene was examined or the "
        "mutation found. "
        "Intervals are Wilson's, of 95 %. Accessions are no random sample of a population.",
        f"Most frequent: {words.listing(names)}." if names else f"{_NONE.capitalize()}.",
    )


@style.house_style()
def identity_coverage(assigned: Frame, levels: Sequence[Level]) -> Picture:
    """Identity against coverage of the assigned proteins, with the borders of the levels.

    Parameters
    ----------
    assigned
        Columns identity, coverage (the smaller one), level.
    levels
        The levels with their borders.
    """
    title = "Identity and coverage of the assigned proteins"
    figure, (ax,) = style.panels(1, 1, 3.9)
    if assigned.empty:
        style.say_empty(ax, "no protein has a reference")
    else:
        for level, color in _COLORS.items():
            own = assigned[assigned["level"] == level]
            label = f"{level} ({words.count(len(own))})"
            ax.scatter(own["coverage"], own["identity"], s=16, color=color, label=label, alpha=0.7, linewidths=0)
        for name, identity, coverage, _ in levels:
            ax.plot(
                [coverage, coverage, 1.02],
                [1.02, identity, identity],
                color=_COLORS.get(name, style.MUTED),
                linewidth=0.9,
            )
        ax.set_xlim(min(0.25, float(assigned["coverage"].min()) - 0.02), 1.02)
        ax.set_ylim(min(0.45, float(assigned["identity"].min()) - 0.02), 1.02)
        ax.set_xlabel("coverage, the smaller of protein and reference")
        ax.set_ylabel("identity")
        figure.legend(loc="outside lower center", ncols=4, fontsize=9)
    style.heading(figure, title, words.plural(len(assigned), "protein"), "lines: borders of the levels")
    counts = assigned["level"].value_counts()
    listed = words.listing([f"{level} {counts.get(level, 0)}" for level in _COLORS])
    return Picture(
        figure,
        title,
        "Each point is a protein with its best reference. A level also asks for a least score by letter, so that "
        "a point "
        "inside the borders may be of a lower level.",
        f"Proteins by level: {listed}.",
    )


@style.house_style()
def call_changes(changes: Frame, versions: str) -> Picture:
    """Calls that only one of two versions has, or that have another name: accessions by entry and cause.

    Parameters
    ----------
    changes
        Columns change (gained, lost, renamed or level), name, cause, accession.
    versions
        The versions compared, in words; empty if there is one version only.
    """
    title = "What became of the known mutations"
    keys = ["change", "name", "cause"]
    counts = changes.groupby(keys)["accession"].nunique().reset_index(name="accessions")
    top = counts.sort_values(["accessions", *keys], ascending=[False, True, True, True], kind="stable").head(TOP)
    figure, (ax,) = style.panels(1, 1, 1.0 + 0.2 * max(len(top), 3))
    if top.empty:
        style.say_empty(ax, "no call differs" if versions else "there is no earlier version to compare with")
    else:
        places = np.arange(len(top))
        signs = top["change"].map({"lost": -1}).fillna(1).to_numpy()
        colors = top["change"].map(_CHANGES).tolist()
        ax.barh(places, signs * top["accessions"].to_numpy(), color=colors, height=0.7)
        ax.axvline(0, color=style.INK, linewidth=0.8)
        most = int(top["accessions"].max())
        ax.set_xlim(-1.1 * most if (signs < 0).any() else 0, 1.1 * most)
        ax.set_ylim(len(top) - 0.5, -0.5)
        ax.set_yticks(places, [f"{words.shorten(row.name_, 34)}, {row.cause}" for row in _named(top)], fontsize=8)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.xaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
        ax.set_xlabel("accessions" + (": lost to the left, others to the right" if (signs < 0).any() else ""))
        kinds = [kind for kind in _CHANGES if kind in set(top["change"])]
        figure.legend(
            handles=[Patch(color=_CHANGES[kind], label=kind) for kind in kinds],
            loc="outside lower center",
            ncols=4,
            fontsize=9,
        )
    style.heading(figure, title, versions or "one version", _share(len(top), len(counts), "change"))
    numbers = changes.groupby("change").size()
    listed = words.listing([f"{kind} {numbers.get(kind, 0)}" for kind in _CHANGES])
    return Picture(
        figure,
        title,
        "Calls that only one of two versions of mutation_calls has, or that have another name, by mutation and cause. "
        "The command opengenome diff mutation_calls names each.",
        f"Calls {listed}." if versions else NO_EARLIER,
    )


def _named(frame: Frame) -> Iterator[Any]:
    yield from frame.rename(columns={"name": "name_"}).itertuples()


@style.house_style()
def drug_classes(calls: Frame, accessions: int) -> Picture:
    """Accessions with a known mutation by class of drugs, and the combinations of classes (an UpSet plot).

    Parameters
    ----------
    calls
        Columns accession, drug_class.
    accessions
        Number of all accessions.
    """
    title = "Classes of drugs with known mutations"
    pairs = calls[calls["drug_class"] != ""][["accession", "drug_class"]].drop_duplicates()
    totals = pairs["drug_class"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    sets = pairs.groupby("accession")["drug_class"].agg(lambda names: tuple(sorted(names)))
    combined = sets.value_counts().sort_index().sort_values(ascending=False, kind="stable").head(TOP)
    names = list(totals.index[:20])
    labels = ["\n".join(words.wrap(f"{name.capitalize()} ({totals[name]})", MAX_LINE)) for name in names]
    figure, axes = style.panels(2, 1, 1.2 + (0.02 + 0.1 * style.lines_in(labels)) * max(len(names), 3))
    bars, grid = axes
    if not names:
        for ax in axes:
            style.say_empty(ax, _NONE)
    else:
        bars.bar(range(len(combined)), combined.to_numpy(), color="#0072B2", width=0.6)
        bars.set_ylabel("accessions")
        style.count_axis(bars)
        _combinations(grid, names, labels, list(combined.index))
        for ax in axes:
            ax.set_xlim(-0.7, len(combined) - 0.3)
            ax.set_xticks([])
    style.heading(figure, title, f"{words.plural(accessions, 'accession')}, {len(sets):,} with a known mutation")
    listed = [f"{name.lower()} {number}" for name, number in totals.items()]
    return Picture(
        figure,
        title,
        "Above: accessions with each combination of classes of drugs to which a known mutation is attributed. "
        "Below: the "
        "classes of each combination, with the number of accessions that have each.",
        f"Accessions by class: {words.listing(listed)}." if listed else f"{_NONE.capitalize()}.",
    )


def _combinations(ax: Axes, names: Sequence[str], labels: Sequence[str], combined: Sequence[tuple[str, ...]]) -> None:
    for place, members in enumerate(combined):
        rows = [row for row, name in enumerate(names) if name in members]
        ax.scatter([place] * len(names), range(len(names)), s=22, color=style.RULE)
        ax.scatter([place] * len(rows), rows, s=26, color=style.INK)
        if rows:
            ax.vlines(place, min(rows), max(rows), color=style.INK, linewidth=1)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_yticks(range(len(names)), labels, fontsize=8)


def _share(shown: int, number: int, noun: str) -> str:
    return words.plural(number, noun) if shown == number else f"{shown} of {words.plural(number, noun)}"
