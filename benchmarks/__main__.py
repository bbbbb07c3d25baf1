"""Measure rows: ``python -m benchmarks [BASES] [ROW ...]``, or ``make bench BASES=... ROWS="..."``.

2.8 billion bases, the size of the organelle corpus, are the default. All rows are measured, or those that are named.
What was measured is kept in ``benchmarks/results``, and ``benchmarks/RESULTS.md`` is drawn from it. Fewer bases are
the quick form: rows that need more are left out unless they are named, and the results go to ``benchmarks/quick``,
which git ignores.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.measure import CommandError, UnequalError
from benchmarks.page import page
from benchmarks.peers import MissingToolError, require_tools
from benchmarks.picture import cost_against_size, series_of
from benchmarks.report import Row, summary, tally
from benchmarks.results import Measured, keep, read_all
from benchmarks.rows import FULL, ROWS
from opengenome_assets.kernels.warm import warm
from opengenome_assets.plots.images import to_svg

FOLDER = Path(__file__).parent
PICTURE = "cost.svg"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure; exit with code 1 if results differ or a command fails. A missed target is a result."""
    given = _parse(arguments)
    results: Path = given.results or FOLDER / ("results" if given.bases >= FULL else "quick")
    names = given.rows or [name for name, work in ROWS.items() if given.bases >= work.needs]
    try:
        require_tools(sorted({tool for name in names for tool in ROWS[name].tools}))
    except MissingToolError as error:
        sys.exit(f"MissingToolError: {error}")
    warm()  # compiled once, or the first row that needs a kernel would pay for it
    machine, rows, failures = describe_machine(), list[Row](), list[str]()
    for name in names:
        try:
            measured = measure(name, given.bases)
        except (CommandError, UnequalError) as error:
            failures.append(name)
            print(f"FAILED  {name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            continue
        rows.append(measured.row)
        print(summary(measured.row), flush=True)
        keep(results, machine, {name: measured})
        print(f"        written: {draw(results)}", flush=True)
    print(tally(rows))
    if failures:
        sys.exit(f"results differ or a command failed in {len(failures)} of {len(names)} rows: {', '.join(failures)}")


def measure(name: str, bases: int) -> Measured:
    """Measure a row in a folder of its own, which is removed afterwards."""
    load, _, _ = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="opengenome-benchmark-") as folder:
        row = ROWS[name].measure(bases, Path(folder))
    return Measured(f"{datetime.now(UTC):%Y-%m-%d}", bases, row, round(load, 1))


def draw(results: Path) -> Path:
    """Write the page of a folder of results beside it, and return its file."""
    processors = read_all(results)
    file = results.with_name("RESULTS.md" if results.name == "results" else f"{results.name}.md")
    series = {processor.name: found for processor in processors if (found := series_of(processor))}
    drawn = results.name == "results" and bool(series)
    if drawn:
        file.with_name(PICTURE).write_bytes(to_svg(cost_against_size(series)))
    file.write_text(page(processors, list(ROWS), PICTURE if drawn else None))
    return file


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and memory.")
    parser.add_argument("what", nargs="*", metavar="BASES | ROW", help=f"size, {FULL} by default; {', '.join(ROWS)}")
    parser.add_argument("--results", type=Path, help="folder of the results; the page is written beside it")
    given = parser.parse_args(arguments)
    sizes = [each for each in given.what if each.isdigit()]
    given.rows = [each for each in given.what if not each.isdigit()]
    given.bases = int(sizes[0]) if sizes else FULL
    if len(sizes) > 1:
        parser.error(f"expected one number of bases, found {', '.join(sizes)}")
    if unknown := [each for each in given.rows if each not in ROWS]:
        parser.error(f"no row is called {', '.join(unknown)}. The rows: {', '.join(ROWS)}")
    return given


if __name__ == "__main__":
    main()
