"""Pictures of the reads around a variant.

Belongs here: drawing a `Pileup`. Does not belong here: reading it (``pileup.py``).
"""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

from opengenome_assets import words
from opengenome_assets.plots import style
from opengenome_assets.plots.style import Picture
from opengenome_assets.variants.pileup import GAP, NOTHING, Pileup

LETTERS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00", "N": style.MUTED}
FORWARD, REVERSE, DELETED, INSERTED = "#e6e6e6", "#cfd8e3", "#262626", "#CC79A7"
ROW = 0.085  # inches


@style.house_style()
def pileup(pile: Pileup, name: str, first: int, length: int) -> Picture:
    """Draw the reads, with the letters that differ from the reference.

    Parameters
    ----------
    pile
        The reads.
    name
        The variant, for the title.
    first, length
        Position of the variant's first letter from 1, and number of letters of its REF.
    """
    columns = len(pile.reference)
    figure, (axes,) = style.panels(1, 1, max(1.0, ROW * len(pile.lines)) + 0.9)
    cells = np.ones((max(1, len(pile.lines)), columns, 3))
    for row, line in enumerate(pile.lines):
        for place, (letter, known) in enumerate(zip(line.letters, pile.reference, strict=True)):
            if letter == NOTHING:
                continue
            same = REVERSE if line.reverse else FORWARD
            color = DELETED if letter == GAP else same if letter == known else LETTERS.get(letter, style.MUTED)
            cells[row, place] = to_rgb(color)
        for place in line.inserted:
            axes.plot([place + 0.5] * 2, [row - 0.5, row + 0.5], color=INSERTED, linewidth=3, zorder=3)
    axes.imshow(cells, aspect="auto", interpolation="nearest", extent=(-0.5, columns - 0.5, len(cells) - 0.5, -0.5))
    begin = first - pile.start
    for edge in (begin - 0.5, begin + length - 0.5):
        axes.axvline(edge, color=style.INK, linewidth=0.7, linestyle=":")
    for place, letter in enumerate(pile.reference):
        color = LETTERS.get(letter, style.MUTED)
        axes.text(place, -0.9, letter, ha="center", va="bottom", fontsize=6.5, family=style.MONOSPACE, color=color)
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.set_yticks([])
    ticks = [place for place in range(columns) if (pile.start + place) % 10 == 0]
    axes.set_xticks(ticks, [f"{pile.start + place:,}" for place in ticks])
    axes.set_xlabel(f"position on {pile.contig}")
    axes.set_ylabel("reads")
    keys = [Patch(color=color, label=letter) for letter, color in LETTERS.items() if letter != "N"]
    keys += [Patch(color=DELETED, label="deletion"), Patch(color=INSERTED, label="insertion")]
    keys += [Patch(color=FORWARD, label="as reference"), Patch(color=REVERSE, label="as reference, reverse")]
    style.legend_below(figure, keys, [str(key.get_label()) for key in keys], 8)
    if not pile.lines:
        style.say_empty(axes, "no reads")
    title = f"Reads at {name}"
    shown = f"{len(pile.lines)} of {words.count(pile.reads)} reads" if len(pile.lines) < pile.reads else ""
    style.heading(figure, title, shown or words.plural(pile.reads, "read"))
    differ = sum(
        any(line.letters[at] not in (NOTHING, pile.reference[at]) or at in line.inserted for at in span)
        for line in pile.lines
        for span in [range(max(0, begin), min(columns, begin + length))]
    )
    return Picture(
        figure,
        title,
        "Each line is a read, grey where it has the reference's letter, written above. The variant is between the "
        "dotted lines. Duplicates are left out.",
        f"{differ} of the {len(pile.lines)} reads shown differ from the reference there.",
    )
