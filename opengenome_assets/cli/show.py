"""The command ``show``: rows of a table.

Belongs here: its arguments and the forms of its output. Does not belong here: reading tables (``storage/snapshot.py``)
and what rows a condition chooses (``storage/conditions.py``).
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from opengenome_assets import groups, words
from opengenome_assets.cli.platform import settings_in_use
from opengenome_assets.terminal import aligned, refusals

if TYPE_CHECKING:
    from opengenome_assets.storage.conditions import Condition
    from opengenome_assets.storage.snapshot import Snapshot

FEW = 20
WIDEST = 40  # characters of a cell on the terminal
LAST = 160  # of one in the last column, where a reason stands
AT_ONCE = 10_000  # rows that are Python objects at one time


@click.command()
@click.argument("table")
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Only rows that fit, as 'count >= 5', 'source = plastids', 'reason ~ truncated' (~: contains). Repeatable.",
)
@click.option("--columns", help="Only these columns, separated by commas.")
@click.option(
    "--limit", type=click.IntRange(min=0), help=f"Maximum number of rows. Default: {FEW} as a table, else all."
)
@click.option("--version", type=click.IntRange(min=0), help="A version of the table; default: the newest.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="Form of the rows. A table shortens long cells; CSV and JSON have them whole.",
)
def show(
    table: str, where: Sequence[str], columns: str | None, limit: int | None, version: int | None, output: str
) -> None:
    """Show rows of TABLE, for example `opengenome show rejected_records`.

    Reads one row group at a time, whatever the size of the table.
    """
    settings = settings_in_use()
    from opengenome_assets.storage.conditions import read_condition
    from opengenome_assets.storage.tables import Home

    with refusals():
        home = Home(settings.home)
        if not home.table(table).exists():
            groups.specs().find(table)
        snapshot = home.table(table).at(version)
        conditions = [read_condition(text, snapshot.schema) for text in where]
        names = _named(columns, snapshot.schema.names)
        rows = _rows(snapshot, names, conditions)
        if output == "csv":
            _write_csv(names, islice(rows, limit))
        elif output == "json":
            _write_json(names, islice(rows, limit))
        else:
            _write_table(table, snapshot, names, rows, FEW if limit is None else limit)


def _named(columns: str | None, known: Sequence[str]) -> list[str]:
    if columns is None:
        return list(known)
    names = [name.strip() for name in columns.split(",")]
    if missing := [name for name in names if name not in known]:
        raise ValueError(f"--columns: there is no column {missing[0]}; there are {', '.join(known)}")
    return names


def _rows(snapshot: Snapshot, names: Sequence[str], conditions: Sequence[Condition]) -> Iterator[list[Any]]:
    """Yield the rows that fit, in the table's order."""
    needed = list(dict.fromkeys([*names, *(each.column for each in conditions)]))
    equal = next((each.equals for each in conditions if each.equals), None)
    for group in snapshot.row_groups(needed, equal):
        for condition in conditions:
            group = condition.rows(group)
        for batch in group.select(list(names)).to_batches(AT_ONCE):
            yield from map(list, zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _write_csv(names: Sequence[str], rows: Iterator[list[Any]]) -> None:
    """Write lines; a list is written as JSON, a missing value as nothing."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in row])


def _write_json(names: Sequence[str], rows: Iterator[list[Any]]) -> None:
    """Write a list of objects, a line each; a number that is none (NaN) is null."""
    before = "[\n"
    for row in rows:
        click.echo(before + json.dumps(dict(zip(names, map(_plain, row), strict=True)), default=str), nl=False)
        before = ",\n"
    click.echo("[]" if before == "[\n" else "\n]")


def _plain(cell: Any) -> Any:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _write_table(table: str, snapshot: Snapshot, names: Sequence[str], rows: Iterator[list[Any]], limit: int) -> None:
    import pyarrow as pa

    limits = [*[WIDEST] * (len(names) - 1), LAST]
    shown = [
        [words.shorten(_cell(cell), widest) for cell, widest in zip(row, limits, strict=True)]
        for row in islice(rows, limit)
    ]
    types = [snapshot.schema.field(name).type for name in names]
    numbers = [place for place, of in enumerate(types) if pa.types.is_integer(of) or pa.types.is_floating(of)]
    for line in aligned([names, *shown], right=numbers):
        click.echo(line)
    more = len(shown) == limit and next(rows, None) is not None
    told = ", more fit: --limit, or --format csv for all" if more else ""
    click.echo(
        f"\n{words.plural(len(shown), 'row')} shown{told}; {table} version {snapshot.version} has {snapshot.rows:,}.",
        err=True,
    )


def _cell(cell: Any) -> str:
    if words.is_missing(cell):
        return words.MISSING
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
