"""The plot of cost against size."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmarks.line import Line
from benchmarks.results import Processor
from opengenome_assets import words
from opengenome_assets.plots import style

Series = Mapping[str, Sequence[float]]


def series_of(processor: Processor) -> Series:
    """Return the sizes and costs of the row ``growth``, or nothing if it was not measured."""
    measured = processor.rows.get("growth")
    return measured.row.series if measured else {}


@style.house_style()
def cost_against_size(series: Mapping[str, Series]) -> Figure:
    """Draw CPU time and peak memory of whole runs against the size of the corpus, with a line for each processor.

    Parameters
    ----------
    series
        By processor: ``bases``, ``cpu`` (seconds) and ``peak`` (bytes), of equal lengths.
    """
    figure, (cpu, memory) = style.panels(2, 2, 2.6)
    fits = []
    for colour, (name, costs) in zip(style.PALETTE, series.items(), strict=False):
        fit = Line.through(costs["bases"], costs["cpu"])
        size = np.array(costs["bases"])
        line = np.array([0, size.max()])
        cpu.plot(line, [fit.at(bases) for bases in line], color=colour, linewidth=1)
        cpu.plot(size, costs["cpu"], "o", color=colour)
        memory.plot(size, np.array(costs["peak"]) / 1e9, "o-", color=colour, label=name)
        fits.append(f"{name}: {fit.fixed:.0f} s + {fit.per_billion:.1f} s per billion bases")
    cpu.set_title("CPU time (s)")
    memory.set_title("Peak memory (GB)")
    ticks = sorted({bases for costs in series.values() for bases in costs["bases"]})
    for axes in (cpu, memory):
        axes.set_xlim(0)
        axes.set_ylim(0, 1.1 * axes.dataLim.ymax)
        axes.set_xticks(ticks, [words.bases(int(bases)) for bases in ticks])
        axes.set_xlabel("corpus")
    if len(series) > 1:
        memory.legend(loc="lower right")
    style.heading(figure, "Cost of all assets against the size of the corpus", *fits)
    return figure
