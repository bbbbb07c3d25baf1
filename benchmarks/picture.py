"""The plot of cost against size."""

import numpy as np
from matplotlib.figure import Figure

from benchmarks.growth import Growth
from opengenome_assets import words
from opengenome_assets.plots import style


@style.house_style()
def cost_against_size(growth: Growth) -> Figure:
    """Draw CPU time and peak memory of whole runs against the size of the corpus, with the line fitted to the first."""
    figure, (cpu, memory) = style.panels(2, 2, 2.6)
    size = np.array(growth.bases)
    line = np.array([0, size.max()])
    colour = style.PALETTE[0]
    cpu.plot(line, [growth.at(bases) for bases in line], color=style.MUTED, linewidth=1)
    cpu.plot(size, [run.cost.cpu for run in growth.runs], "o", color=colour)
    cpu.set_title("CPU time (s)")
    memory.plot(size, [run.cost.peak / 1e9 for run in growth.runs], "o-", color=colour)
    memory.set_title("Peak memory (GB)")
    for axes in (cpu, memory):
        axes.set_xlim(0)
        axes.set_ylim(0, 1.1 * axes.dataLim.ymax)
        axes.set_xticks(size, [words.bases(bases) for bases in size])
        axes.set_xlabel("corpus")
    title = "Cost of all assets against the size of the corpus"
    fitted = f"line: {growth.fixed:.0f} s + {growth.per_billion:.1f} s for each billion bases"
    style.heading(figure, title, "user and system time of all processes", fitted)
    return figure
