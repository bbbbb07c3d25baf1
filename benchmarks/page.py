"""Page: RESULTS.md, drawn from the results of all processors, a column each.

Belongs here: the form of the page. Does not belong here: the results (``results.py``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmarks.report import Figure, table, tally
from benchmarks.results import Measured, Processor


def page(processors: Sequence[Processor], order: Sequence[str], picture: str | None = None) -> str:
    """Return the results as a Markdown page.

    Parameters
    ----------
    processors
        The results.
    order
        The names of the rows; others are left out.
    picture
        Name of the file of the plot, if there is one.
    """
    processors = _by_the_newest_targets(processors)
    rows = [name for name in order if any(name in processor.rows for processor in processors)]
    cells = [line for name in rows for line in _lines(name, processors)]
    tallies = ", ".join(
        f"{processor.name}: {tally([each.row for each in processor.rows.values()])}" for processor in processors
    )
    parts = [
        "# Benchmark results",
        "Drawn by `make bench` from the files in `results/`, one per processor. `make bench ROWS=search` measures one "
        "row again. A target is a ratio: to another tool, or to a limit that the same run measures on the same "
        "machine. Memory is bounded in bytes. A row is met if all its figures keep to their targets, those of its "
        "newest measurement. Figures without a target are information: they say what one machine does. Bold figures "
        "miss their target; an empty field was not measured there. CPU time is user and system time of all processes. "
        "What a ratio compares is done in turn: the ratio is the median of the rounds, and their least and largest "
        "follow in brackets. All results were compared with those of the other tools and ways, and are equal.",
        f"{tallies}.",
        table(("work", "figure", "target", *(processor.name for processor in processors)), cells),
        *([f"![CPU time and memory of whole runs against the size of the corpus]({picture})"] if picture else []),
        *(part for name in rows for part in _notes(name, processors)),
        "## Machines and versions",
        _machines(processors),
    ]
    return "\n\n".join(parts) + "\n"


def _by_the_newest_targets(processors: Sequence[Processor]) -> list[Processor]:
    """Return the processors with the targets of a row's newest measurement in all of its measurements."""
    newest: dict[tuple[str, str], Figure] = {}
    for name in {name for processor in processors for name in processor.rows}:
        for measured in _measured(name, processors):
            for figure in measured.row.figures:
                newest.setdefault((name, figure.name), figure)

    def judged(name: str, measured: Measured) -> Measured:
        by = [newest[name, figure.name] for figure in measured.row.figures]
        figures = [
            replace(figure, bound=target.bound, least=target.least)
            for figure, target in zip(measured.row.figures, by, strict=True)
        ]
        return replace(measured, row=replace(measured.row, figures=figures))

    return [
        replace(processor, rows={name: judged(name, measured) for name, measured in processor.rows.items()})
        for processor in processors
    ]


def _measured(name: str, processors: Sequence[Processor]) -> list[Measured]:
    """Return a row as measured on each processor that has it, the newest first."""
    found = [processor.rows[name] for processor in processors if name in processor.rows]
    return sorted(found, key=lambda measured: measured.date, reverse=True)


def _lines(name: str, processors: Sequence[Processor]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of a row: its figures, those of the newest measurement first."""
    found = _measured(name, processors)
    newest: dict[str, Figure] = {}
    for measured in found:
        for figure in measured.row.figures:
            newest.setdefault(figure.name, figure)
    work = found[0].row.work
    for figure in newest.values():
        yield work, figure.name, figure.target, *(_cell(name, figure.name, processor) for processor in processors)
        work = ""


def _cell(name: str, figure: str, processor: Processor) -> str:
    figures = processor.rows[name].row.figures if name in processor.rows else ()
    found = next((each for each in figures if each.name == figure), None)
    if found is None:
        return ""
    return found.measured if found.is_met else f"**{found.measured}**"


def _notes(name: str, processors: Sequence[Processor]) -> Iterator[str]:
    if not any(measured.row.notes for measured in _measured(name, processors)):
        return
    yield f"## {_measured(name, processors)[0].row.work}"
    yield f"`make bench ROWS={name}`"
    for processor in processors:
        measured = processor.rows.get(name)
        if measured and measured.row.notes:
            load = "" if measured.load is None else f", load {measured.load:.1f} when it began"
            yield f"**{processor.name}, {measured.date}{load}**"
            yield from measured.row.notes


def _machines(processors: Sequence[Processor]) -> str:
    machines = {
        f"{processor.name}, {day}": machine for processor in processors for day, machine in processor.machines.items()
    }
    names = dict.fromkeys(name for machine in machines.values() for name in machine if name != "processor")
    rows = [(name, *(machine.get(name, "") for machine in machines.values())) for name in names]
    return table(("", *machines), rows)
