"""Steps: what a run says while it goes on, a line for each step.

Belongs here: reading the run's lines, and their form, at a terminal and elsewhere. Does not belong here: the process of
the run (``processes.py``), and its closing summary (``run.py``).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import click

from opengenome_assets import words

if TYPE_CHECKING:
    from rich.progress import Progress

NAME_WIDTH = 25  # of the longest name of a shipped asset
TIME_WIDTH = 11  # of 12 h 05 min
LOUD = ("WARN", "WARNING", "ERROR", "FATAL", "CRITICAL")
ALWAYS = "WARNING: Using incubator modules"  # Java, whenever Spark starts
QUIET = 30  # seconds without a line, where no bar is


@dataclass
class Step:
    """A step so far.

    Attributes
    ----------
    name
        Its asset or check.
    started
        Its start.
    made
        The assets that it has made, each with a table's rows; a check makes none.
    progress
        The numbers of its newest pass, as ``engine.progress`` reports them; empty before the first.
    message
        Its newest message.
    """

    name: str
    started: datetime
    made: list[dict[str, Any]] = field(default_factory=list)
    progress: dict[str, Any] = field(default_factory=dict)
    message: str = ""


class Display(Protocol):
    """Where the steps are shown."""

    def line(self, text: str, style: str = "") -> None:
        """Show a line that stays."""

    def under_way(self, step: Step | None) -> None:
        """Show the step that goes on; None if none does."""


def follow(lines: Iterable[str], display: Display) -> None:
    """Show the lines of a run: one of each step that made something, warnings, and lines of other programs as they are.

    Parameters
    ----------
    lines
        What the run's process writes, in the form that ``OPENGENOME_LOG_FORMAT=json`` gives.
    display
        Where to show them.
    """
    step: Step | None = None
    for line in lines:
        entry = _entry(line)
        if entry is None:
            if not line.startswith(ALWAYS):
                display.line(line.rstrip("\n"))
            continue
        name, event, message = entry.get("step", ""), entry.get("event"), entry["message"].strip()
        moment = datetime.fromisoformat(entry["time"])
        if event == "STEP_START":
            step = Step(name, moment)
        elif event in ("STEP_SUCCESS", "STEP_SKIPPED"):
            if step and step.made:
                took = _took((moment - step.started).total_seconds())
                display.line(f"{step.name:<{NAME_WIDTH}}  {took:>{TIME_WIDTH}}  {_outcome(step)}")
            step = None
        elif event == "STEP_FAILURE":
            display.line(f"{name:<{NAME_WIDTH}}  failed", "bold red")
            step = None
        elif event == "ASSET_MATERIALIZATION":
            if step:
                step.made.append(entry["made"])
        elif entry["level"] in LOUD:
            if step and name in ("", step.name):  # what Dagster says of other steps follows from one that failed
                display.line(f"{step.name:<{NAME_WIDTH}}  {message}", "yellow")
        elif step:
            step.progress = entry.get("progress") or step.progress
            step.message = message
        display.under_way(step)


def _entry(line: str) -> dict[str, Any] | None:
    """Return the object in a line; None if the line is something else, as a line of Java's."""
    try:
        entry = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"time", "level", "message"} <= entry.keys() else None


def amount(progress: dict[str, Any]) -> str:
    """Return what a pass has done of its total, its speed and the time left, in words."""
    done, total, unit, seconds = (progress[name] for name in ("done", "total", "unit", "seconds"))
    text = f"{done:,} of {total:,} {unit}" if done < total else f"{total:,} {unit}"
    if seconds > 0 and done:
        text += f", {done / seconds:,.0f} {unit}/s"
        if done < total:
            text += f", {_took((total - done) / (done / seconds))} left"
    return text


def _outcome(step: Step) -> str:
    if step.progress.get("total"):
        return amount({**step.progress, "done": step.progress["total"]})
    if all(each["as_it_was"] for each in step.made):
        return "as it was"
    rows = next((each["rows"] for each in step.made if each["asset"] == step.name), step.made[0]["rows"])
    return step.message.partition("\n")[0] or ("made" if rows is None else words.plural(rows, "row"))


def _took(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


@contextmanager
def opened() -> Iterator[Display]:
    """Give the display for this process's standard error: one that moves at a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield Plain()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Plain()
        return
    columns = (
        SpinnerColumn(),
        TextColumn(f"{{task.description:<{NAME_WIDTH}}}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[amount]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield Moving(bars)


class Plain:
    """Lines that stay, for a file or another program.

    Parameters
    ----------
    clock
        Gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def line(self, text: str, style: str = "") -> None:
        """Write a line."""
        click.echo(text, err=True)
        self._last = self._clock()

    def under_way(self, step: Step | None) -> None:
        """Write how far the step is, where nothing was written for a while."""
        if step and step.progress and self._clock() - self._last >= QUIET:
            self.line(f"{step.name:<{NAME_WIDTH}}  {'':>{TIME_WIDTH}}  {amount(step.progress)}")


class Moving:
    """A line for each step that has ended, and below them a bar for the one that goes on.

    Parameters
    ----------
    bars
        The bars of a console at a terminal.
    """

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("starting", total=None, amount="")
        self._step: Step | None = None

    def line(self, text: str, style: str = "") -> None:
        """Write a line above the bar, cut at the terminal's width."""
        self._bars.console.print(text, style=style or None, markup=False, overflow="fold")

    def under_way(self, step: Step | None) -> None:
        """Draw the bar of a step. Its clock starts with the step."""
        if step:
            if step is not self._step:
                self._bars.reset(self._task, description=step.name, total=None, amount="")
                self._step = step
            text = amount(step.progress) if step.progress else step.message.partition("\n")[0][:60]
            total, done = step.progress.get("total") or None, step.progress.get("done", 0)
            self._bars.update(self._task, total=total, completed=done, amount=text)
