"""Terminal output that commands share: errors, the form of results, numbers and tables.

Belongs here: functions that more than one command uses, in ``cli`` or in a group. Does not belong here: any command.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from opengenome_assets.settings import SettingsError

format_option: Callable[[Any], Any] = click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the result.",
)


@contextmanager
def setting_errors() -> Iterator[None]:
    """Show a faulty setting as an error of the command."""
    try:
        yield
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def refusals() -> Iterator[None]:
    """Show anything missing or unreadable as an error of the command."""
    from opengenome_assets.storage.record import NewerRecordError

    try:
        yield
    except BrokenPipeError:  # the reader, such as `head`, has enough; click ends without a word
        raise
    except OSError as error:
        raise click.ClickException(_in_words(error)) from error
    except (LookupError, ValueError, NewerRecordError) as error:
        raise click.ClickException(str(error.args[0] if error.args else error)) from error


def _in_words(error: OSError) -> str:
    """Say what failed and what to do; the system and the clients of object stores say only the first."""
    words = " ".join(click.unstyle(error.strerror or str(error)).replace("↳", "").split())
    if error.filename is not None:
        return f"{error.filename}: {words}. Check the path, and that you may read and write there"
    if "AWS Error" in words or "S3 error" in words:
        return f"{words}. Check the address, and AWS_ENDPOINT_URL and the credentials in the environment"
    return words


def section(title: str, lines: Sequence[str]) -> None:
    """Print lines below a title."""
    click.echo(click.style(title, bold=True))
    for line in lines:
        click.echo(f"  {line}")
    click.echo()


def folded(text: str) -> str:
    """Fold a sentence to lines of up to 100 characters."""
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def indented(text: str) -> str:
    """Fold a text beside a column of 21 characters to lines of up to 100 characters."""
    lines = textwrap.wrap(text, 79, break_long_words=False, break_on_hyphens=False)
    return f"\n{'':<21}".join(lines)


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Pad each column to its widest cell; the columns in ``right`` are flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def cells(row: Sequence[str]) -> Iterator[str]:
        for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
            yield cell.rjust(width) if index in right else cell.ljust(width)

    return ["  ".join(cells(row)).rstrip() for row in rows]


def in_bytes(count: int) -> str:
    """Write a number of bytes with about three digits: 1.5 MB."""
    size, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"


def ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers, neighbours as ranges: 0-3, 7."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def known(write: Callable[[Any], str], value: object) -> str:
    """Write a value, or a dash where there is none."""
    return "—" if value is None else write(value)


def written(value: object) -> str:
    """Write a setting or number; a mapping sorted by key, since the order of keys differs between places."""
    return str(dict(sorted(value.items())) if isinstance(value, dict) else value)


def clock(moment: str) -> str:
    """Write a moment in ISO 8601 and UTC without its T and its offset."""
    return moment.replace("T", " ").removesuffix("+00:00")
