"""The command line: ``opengenome validate``, ``info``, ``failures``, ``source`` and ``upkeep``.

Belongs here: arguments, wording and exit codes. Does not belong here: the checks (``validate.py``), what there
is (``inventory.py``) and why a run failed (``failures.py``), which scripts may call themselves.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
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
    """Genomic corpora as Dagster assets: set-up checks, what has been made, and dry runs."""


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
            *(_known("{:,}".format, value) for value in (each.rows, each.version, each.files)),
            _known(_bytes, each.bytes),
            _known(_clock, each.made),
            each.state,
        )
        for each in inventory.tables
    ]
    heading = ("table", "rows", "version", "files", "size", "made (UTC)", "state")
    lines = _aligned([heading, *tables], right=(1, 2, 3, 4)) if tables else ["none yet: make run"]
    _section(f"Tables at {settings.home}/tables", lines)
    figures = [
        (each.name, ", ".join(path.rpartition(".")[2] for path in each.files), each.state) for each in inventory.figures
    ]
    _section(f"Figures at {settings.home}/figures", _aligned(figures) or ["none yet"])
    _section("Report", inventory.reports or ["none yet"])
    _section("User interface", ["make ui, then open http://127.0.0.1:3000"])


@main.command()
@click.option("--since", type=float, help="Only a run started after this moment, in seconds as `date +%s` gives them.")
@format_option
def failures(since: float | None, output: str) -> None:
    """Say why the newest run failed, without stack traces.

    Reads what Dagster keeps of the runs in this folder or DAGSTER_HOME. Exits with status 1 unless that run succeeded.
    """
    _settings()
    from opengenome_assets.failures import newest_run, open_instance  # imports Dagster

    with _setting_errors(), open_instance() as instance:
        run = newest_run(instance, None if since is None else datetime.fromtimestamp(since, UTC))
    if output == "json":
        click.echo(json.dumps(run and asdict(run), indent=2))
    elif run is None:
        click.echo("No run was started.")
    elif run.failures:
        click.echo(f"Run {run.run_id[:8]} failed:")
        for failure in run.failures:
            click.echo(textwrap.indent(f"{failure.step}: {failure.reason}" if failure.step else failure.reason, "  "))
    else:
        click.echo(f"Run {run.run_id[:8]}: {run.status.lower()}")
    if run is None or run.status != "SUCCESS":
        raise SystemExit(1)


@contextmanager
def _setting_errors() -> Iterator[None]:
    """Show a setting that cannot be used as an error of the command."""
    try:
        yield
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("specification", required=False)
@format_option
def source(specification: str | None, output: str) -> None:
    """List the files that SPECIFICATION names and what would be fetched. Changes nothing.

    SPECIFICATION is as in OPENGENOME_SOURCE, which is its default. Exits with status 1 if a run could not have the
    files.
    """
    settings = _settings()
    from opengenome_assets.preview import preview  # imports Dagster
    from opengenome_assets.resources.sources import SourceError
    from opengenome_assets.resources.transfer import RemoteError

    try:
        found = preview(specification or settings.source, settings.home)
    except (SourceError, RemoteError) as error:
        raise click.ClickException(str(error)) from error
    if output == "json":
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        rows = [(each.source, each.path, _bytes(each.bytes), each.sha256 or "", each.state) for each in found.files]
        _section(found.source, _aligned([("source", "path", "size", "SHA-256", "state"), *rows], right=(2,)))
        if found.left_out:
            _section("Left out, no FASTA ending", found.left_out)
        sums = [("files", f"{len(found.files):,}, {_bytes(found.bytes)}")]
        if found.bytes_free is not None:
            sums += [
                ("commit", ", ".join(found.commits)),
                ("to fetch", _bytes(found.bytes_to_fetch)),
                ("free", f"{_bytes(found.bytes_free)} for {found.store}"),
            ]
        _section("Together", _aligned(sums))
    if not found.fits:
        raise click.ClickException(
            f"{found.bytes_to_fetch:,} bytes are to be fetched to {found.store}, whose disk has {found.bytes_free:,} "
            "free. Free some, choose fewer files, or set OPENGENOME_HOME to a larger disk"
        )


@main.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option(
    "--retention-days",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    help="Keep every version that was the newest within so many days.",
)
@format_option
def upkeep(dry_run: bool, retention_days: float, output: str) -> None:
    """Remove files of the tables that no kept version needs, and pack small ones together.

    Kept are the versions of the last days and all that they, the figures and the report were made from. Runs the job
    `upkeep`, which waits until no other run uses the tables. Exits with status 1 if it fails.
    """
    settings = _settings()
    from opengenome_assets.definitions import build_defs  # imports Dagster
    from opengenome_assets.failures import newest_run, open_instance

    config = {
        "ops": {"keep_up": {"config": {"dry_run": dry_run, "retention_days": retention_days}}},
        "loggers": {"console": {"config": {"log_level": "WARNING"}}},
    }
    with _setting_errors(), open_instance() as instance:
        job = build_defs(settings).resolve_job_def("upkeep")
        result = job.execute_in_process(run_config=config, instance=instance, raise_on_error=False)
        if not result.success:
            run = newest_run(instance)
            raise click.ClickException("\n".join(failure.reason for failure in run.failures) if run else "no run")
    done = [event.asset_observation_data.asset_observation for event in result.get_asset_observation_events()]
    tables: dict[str, dict[str, Any]] = {
        each.asset_key.to_user_string(): {name: value.value for name, value in each.metadata.items()} for each in done
    }
    if output == "json":
        click.echo(json.dumps(tables, indent=2))
        return
    heading = ("table", "files removed", "freed", "versions readable", "versions removed", "Parquet files", "packed")
    rows = [
        (
            name,
            f"{each['files_removed']:,}",
            _bytes(each["bytes_freed"]),
            _ranges(each["versions_readable"]),
            _ranges(each["versions_removed"]) or "none",
            f"{each['parquet_files_before']:,} -> {each['parquet_files_after']:,}",
            f"{each['parts_packed']:,}",
        )
        for name, each in tables.items()
    ]
    title = f"What would be done to the tables at {settings.home}" if dry_run else f"Tables at {settings.home}"
    _section(title, _aligned([heading, *rows], right=(1, 2, 6)) if rows else ["none yet: make run"])


def _settings() -> Settings:
    with _setting_errors():
        return Settings.from_environment()


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


def _ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers, neighbours as ranges: 0-3, 7."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _known(write: Callable[[Any], str], value: object) -> str:
    """Write a value, or a dash where there is none."""
    return "—" if value is None else write(value)


def _clock(moment: str) -> str:
    return moment.replace("T", " ").removesuffix("+00:00")
