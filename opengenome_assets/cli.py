"""The command line: ``opengenome validate`` and ``opengenome info``.

Belongs here: arguments, wording and exit codes. Does not belong here: the checks (``validate.py``) and what
there is (``inventory.py``), which scripts may call themselves.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from opengenome_assets import __version__
from opengenome_assets.settings import Settings, SettingsError

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}

format_option: Callable[[Any], Any] = click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the result.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="opengenome")
def main() -> None:
    """Genomic corpora as Dagster assets: set-up checks, and what has been made."""


@main.command()
@format_option
def validate(output: str) -> None:
    """Check Python, packages, Java, Spark, storage and the source.

    Exits with status 1 if the pipeline cannot run on this machine with these settings.
    """
    settings = _settings()
    from opengenome_assets import validate as checks  # Spark and Dagster take a second to import

    verdicts = []
    for verdict in checks.validate(settings):
        verdicts.append(verdict)
        if output == "text":
            click.secho(f"{verdict.status:<9}", fg=COLOURS[verdict.status], nl=False)
            click.echo(f"{verdict.subject:<12}{_indented(verdict.finding)}")
            if verdict.remedy:
                click.echo(f"{'':<21}{_indented(f'-> {verdict.remedy}')}")
    failed = [verdict.subject for verdict in verdicts if verdict.status == "failed"]
    if output == "json":
        click.echo(json.dumps({"ok": not failed, "verdicts": [asdict(each) for each in verdicts]}, indent=2))
    else:
        click.echo(f"\nNot ready: {', '.join(failed)}." if failed else "\nReady. Next: make run")
    if failed:
        raise SystemExit(1)


@main.command()
@format_option
def info(output: str) -> None:
    """Show settings, versions, storage use, tables, figures and the report."""
    settings = _settings()
    from opengenome_assets.inventory import take_inventory  # imports Dagster

    inventory = take_inventory(settings)
    if output == "json":
        click.echo(json.dumps(asdict(inventory), indent=2))
        return
    _section("Settings", _aligned([(each.name, each.value, f"({each.origin})") for each in inventory.settings]))
    _section("Versions", _aligned(list(inventory.versions.items())))
    usage = [(each.part, f"{each.files:,}", _bytes(each.bytes)) for each in inventory.storage]
    lines = _aligned([("part", "files", "size"), *usage], right=(1, 2)) if usage else ["nothing yet"]
    _section(f"Storage at {settings.home}", lines)
    tables = [
        (
            each.name,
            f"{each.rows:,}",
            str(each.version),
            f"{each.files:,}",
            _bytes(each.bytes),
            _clock(each.made),
        )
        for each in inventory.tables
    ]
    heading = ("table", "rows", "version", "files", "size", "made (UTC)")
    lines = _aligned([heading, *tables], right=(1, 2, 3, 4)) if tables else ["none yet: make run"]
    _section(f"Tables at {settings.home}/tables", lines)
    forms: dict[str, list[str]] = {}
    for path in inventory.figures:
        name, _, form = path.rpartition("/")[2].rpartition(".")
        forms.setdefault(name, []).append(form)
    figures = _aligned([(name, ", ".join(endings)) for name, endings in forms.items()]) or ["none yet"]
    _section(f"Figures at {settings.home}/figures", figures)
    _section("Report", inventory.reports or ["none yet"])
    _section("User interface", ["make ui, then open http://127.0.0.1:3000"])


def _settings() -> Settings:
    try:
        return Settings.from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def _section(title: str, lines: Sequence[str]) -> None:
    click.echo(click.style(title, bold=True))
    for line in lines:
        click.echo(f"  {line}")
    click.echo()


def _indented(text: str) -> str:
    """Fold a text that stands beside two columns of 21 letters, so that it fits a window of 100."""
    lines = textwrap.wrap(text, 79, break_long_words=False, break_on_hyphens=False)
    return f"\n{'':<21}".join(lines)


def _aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Pad each column to its widest cell, the given ones to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def cells(row: Sequence[str]) -> Iterator[str]:
        for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
            yield cell.rjust(width) if index in right else cell.ljust(width)

    return ["  ".join(cells(row)).rstrip() for row in rows]


def _bytes(count: int) -> str:
    size, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"


def _clock(moment: str) -> str:
    return moment.replace("T", " ").removesuffix("+00:00")
