"""Commands on retention: ``upkeep``, ``prune``, ``pin`` and ``unpin``.

Belongs here: their arguments and output. Does not belong here: vacuum and compaction (``operations/upkeep.py``), and
pins (``operations/pins.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from opengenome_assets.cli.platform import next_step, settings_in_use
from opengenome_assets.settings import Settings
from opengenome_assets.terminal import aligned, format_option, in_bytes, ranges, refusals, section, setting_errors

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from opengenome_assets.cli.jobs import Report
    from opengenome_assets.storage.tables import Home

Keeping = tuple[str, int]


@click.command()
@click.option("--dry-run", is_flag=True, help="Show the changes without making them.")
@click.option(
    "--retention-days",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    help="Days for which a version is kept after it was the newest.",
)
@click.option(
    "--jobs-days",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    help="Days for which files and results of a job are kept after its end; 0 keeps all.",
)
@format_option
def upkeep(dry_run: bool, retention_days: float, jobs_days: float, output: str) -> None:
    """Remove files that no kept version needs (vacuum), and pack small ones together (compaction).

    Keeps the versions of the last days, and all inputs of these, the figures and the report. Removes records and step
    logs of runs that ended 90 days ago, without the last of each job and asset, and jobs that were sent and ended 30
    days ago. Runs the job `upkeep`, which waits until no other run uses the tables. Exits with status 1 if it fails.
    """
    settings = settings_in_use()
    from opengenome_assets.cli.jobs import run_job  # imports Dagster
    from opengenome_assets.operations.upkeep import NAME, OP

    config = {"dry_run": dry_run, "retention_days": retention_days, "jobs_days": jobs_days}
    report = run_job(settings, NAME, OP, config)
    _show(settings, report, dry_run, output)
    if output != "json" and (number := report.op.get("jobs_removed", 0)):
        word = "would be removed" if dry_run else "removed"
        size = in_bytes(report.op["job_bytes_freed"])
        section("Jobs that were sent", [f"{number:,} that ended {jobs_days:g} days ago {word}, {size}"])


class Keep(click.ParamType[Keeping]):
    """A number of versions to keep, or of days with a ``d`` after it."""

    name = "VERSIONS|DAYSd"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Keeping:
        """Return the setting of the job and its value."""
        found = re.fullmatch(r"(\d+)(d?)", str(value))
        if not found or not (int(found[1]) or found[2]):
            self.fail(f"{value!r}: expected a number of versions, e.g. 5, or of days, e.g. 30d", parameter, context)
        return ("retention_days" if found[2] else "keep_versions", int(found[1]))


@click.command()
@click.option(
    "--keep",
    "keeping",
    type=Keep(),
    multiple=True,
    required=True,
    help="Number of newest versions kept per table (5), or days for which a version is kept after it was the newest "
    "(30d). Given twice, a version stays that either keeps.",
)
@click.option("--raw", is_flag=True, help="Also files fetched from the Hub that no kept version of a catalogue names.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@format_option
def prune(keeping: tuple[Keeping, ...], raw: bool, yes: bool, output: str) -> None:
    """Remove files that no kept version of the tables needs, after showing them and asking.

    The inputs of a kept version, a figure, the report or a pinned run stay. Runs the job `upkeep` without compaction,
    which waits until no other run uses the tables. --format json is a dry run unless --yes is given.
    """
    settings = settings_in_use()
    from opengenome_assets.cli.jobs import run_job  # imports Dagster
    from opengenome_assets.operations.upkeep import NAME, OP

    config = {
        "retention_days": 0,
        "small_megabytes": 0,
        "runs_days": 0,
        "jobs_days": 0,
        "raw_files": raw,
        **dict(keeping),
    }
    if not yes:
        planned = run_job(settings, NAME, OP, {**config, "dry_run": True})
        _show(settings, planned, True, output)
        nothing = not any(each["files_removed"] + each.get("raw_files_removed", 0) for each in planned.tables.values())
        if output == "json" or nothing or not click.confirm("Remove these files?"):
            return
    _show(settings, run_job(settings, NAME, OP, config), False, output)


@click.command()
@click.argument("run")
def pin(run: str) -> None:
    """Keep the tables as RUN left them, whatever their age, until it is unpinned.

    RUN is an id or its beginning. Dagster gets a tag, and a file in the home names the versions.
    """
    from opengenome_assets.operations import pins  # imports Dagster

    with _home() as (tables, instance):
        state = pins.pin(tables, instance, run)
    click.echo(f"Pinned: run {state.run_id}, with a version of each of {len(state.versions)} tables")


@click.command()
@click.argument("run")
def unpin(run: str) -> None:
    """Remove the pin of RUN; its tables are then kept like others."""
    from opengenome_assets.operations import pins  # imports Dagster

    with _home() as (tables, instance):
        run_id = pins.unpin(tables, instance, run)
    click.echo(f"No longer pinned: run {run_id}")


@contextmanager
def _home() -> Iterator[tuple[Home, DagsterInstance]]:
    """Open the home and Dagster's instance; a missing run or version is an error of the command."""
    settings = settings_in_use()
    from opengenome_assets.lineage.failures import open_instance
    from opengenome_assets.storage.tables import Home

    with setting_errors(), refusals(), open_instance() as instance:
        yield Home(settings.home), instance


def _show(settings: Settings, report: Report, dry_run: bool, output: str) -> None:
    tables = report.tables
    if output == "json":
        click.echo(json.dumps({"tables": tables, **report.op}, indent=2))
        return
    heading = ("table", "files removed", "freed", "versions readable", "versions removed", "Parquet files", "packed")
    rows = [
        (
            name,
            f"{each['files_removed']:,}",
            in_bytes(each["bytes_freed"]),
            ranges(each["versions_readable"]),
            ranges(each["versions_removed"]) or "none",
            f"{each['parquet_files_before']:,} -> {each['parquet_files_after']:,}",
            f"{each['parts_packed']:,}",
        )
        for name, each in tables.items()
    ]
    title = f"Planned changes to the tables at {settings.home}" if dry_run else f"Tables at {settings.home}"
    section(title, aligned([heading, *rows], right=(1, 2, 6)) if rows else [f"none yet: {next_step('run')}"])
    for each in tables.values():
        if "raw_files_removed" in each:
            section(
                "Files fetched from the Hub", [f"{each['raw_files_removed']:,}, {in_bytes(each['raw_bytes_freed'])}"]
            )
