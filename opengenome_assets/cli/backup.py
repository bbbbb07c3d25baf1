"""Commands on backups: ``backup`` and ``restore-backup``.

Belongs here: their arguments and output, and the pause between scheduled backups. Does not belong here: their work
(``operations/backup.py``).
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from opengenome_assets import groups, words
from opengenome_assets.cli.platform import settings_in_use
from opengenome_assets.settings import Settings, absolute, local_home
from opengenome_assets.terminal import aligned, format_option, in_bytes, refusals, section, setting_errors

if TYPE_CHECKING:
    from opengenome_assets.operations.backup import Outcome

RETRY_SECONDS = 900  # after a scheduled backup that failed


@click.command()
@click.argument("place")
@click.option(
    "--keep", type=click.IntRange(min=1), default=14, show_default=True, help="Number of newest backups to keep."
)
@click.option("--with-raw", is_flag=True, help="Carry the FASTA files too.")
@click.option("--every", type=click.FloatRange(min=0, min_open=True), metavar="HOURS", help="Go on, one each HOURS.")
@format_option
def backup(place: str, keep: int, with_raw: bool, every: float | None, output: str) -> None:
    """Back up tables, figures, report, pins and Dagster's records to PLACE: a folder, or s3://BUCKET/PATH.

    Runs may go on. Only missing files of tables travel, and each is verified on arrival. Step logs are left out, and
    FASTA files unless asked for.
    """
    settings = settings_in_use()
    if every is None:
        _show(_back_up(settings, absolute(place), keep, with_raw), output)
        return
    while True:
        try:
            # A restarted process goes on with the schedule, so that restarts do not push old backups out.
            time.sleep(_due(absolute(place), every * 3600))
            _show(_back_up(settings, absolute(place), keep, with_raw), output)
            _note(settings, absolute(place), every)
        except click.ClickException as error:
            _note(settings, absolute(place), every, error.message)
            pause = min(every * 3600, RETRY_SECONDS)
            click.echo(f"Error: {error.message}\nTried again in {pause / 60:.0f} min", err=True)
            time.sleep(pause)


@click.command("restore-backup")
@click.argument("place")
@click.option("--backup", "stamp", default="", metavar="NAME", help="The backup; the newest unless given.")
@click.option("--with-raw", is_flag=True, help="Restore the FASTA files too.")
@click.option("--list", "listing", is_flag=True, help="Only list the backups.")
@format_option
def restore_backup(place: str, stamp: str, with_raw: bool, listing: bool, output: str) -> None:
    """Restore a backup at PLACE into a home without runs.

    Everything is verified: the files of tables, their rows, figures, report and records. An interrupted restoration
    goes on. Runs that went on when the backup was made are marked as failed.
    """
    settings = settings_in_use()
    from opengenome_assets.lineage.failures import open_instance
    from opengenome_assets.operations.backup import backups, put_back
    from opengenome_assets.storage.lock import only_writer
    from opengenome_assets.storage.tables import Home

    source = Home(absolute(place))
    with setting_errors(), refusals():
        if listing:
            section(f"Backups at {source.uri}", backups(source) or ["none"])
            return
        raw = f"{local_home(settings.home)}/raw" if with_raw else ""
        with only_writer(settings.home, "a restoration", click.echo) as lease, open_instance() as instance:
            outcome = put_back(source, Home(settings.home, lease), instance, stamp, raw)
    _show(outcome, output)


def _note(settings: Settings, place: str, every: float, error: str = "") -> None:
    """Write in the home what the status page and the alerts say of this backup."""
    from opengenome_assets.operations.backup import Note, backups, began, write_note  # imports Dagster
    from opengenome_assets.storage.tables import Home

    last = None
    with suppress(OSError, ValueError):  # the place itself may be what fails
        last = max(map(began, backups(Home(place))), default=None)
    try:
        write_note(Home(settings.home), Note(place=place, every_hours=every, last=last, error=error))
    except OSError as failure:  # a full disk: the backup itself is no worse
        click.echo(f"Error: the home cannot be written to: {failure}", err=True)


def _due(place: str, every: float) -> float:
    """Return the seconds until the next backup is due, this many after the newest."""
    from opengenome_assets.operations.backup import backups, began  # imports Dagster
    from opengenome_assets.storage.tables import Home

    with setting_errors(), refusals():
        stamps = backups(Home(place))
    return max(0.0, began(stamps[-1]).timestamp() + every - time.time()) if stamps else 0.0


def _back_up(settings: Settings, place: str, keep: int, with_raw: bool) -> Outcome:
    from opengenome_assets.framework.table import Role
    from opengenome_assets.lineage.failures import open_instance  # imports Dagster
    from opengenome_assets.operations.backup import back_up
    from opengenome_assets.storage.lock import only_writer
    from opengenome_assets.storage.tables import Home

    raw = (groups.specs().named(Role.CATALOGUE), f"{local_home(settings.home)}/raw") if with_raw else ((), "")
    with setting_errors(), refusals(), open_instance() as instance:
        if not Home(settings.home).names():
            raise LookupError(f"there are no tables at {settings.home}/tables")
        with only_writer(place, "a backup", click.echo) as lease:
            return back_up(Home(settings.home), instance, Home(place, lease), keep=keep, raw=raw)


def _show(outcome: Outcome, output: str) -> None:
    if output == "json":
        click.echo(outcome.model_dump_json(indent=2))
        return
    manifest = outcome.manifest
    lines = [
        ("records", f"{words.plural(manifest.runs, 'run')}, {manifest.kind}"),
        ("tables", f"{len(manifest.tables):,}, {sum(each.rows for each in manifest.tables.values()):,} rows"),
        ("carried", f"{words.plural(outcome.tables_files, 'file')}, {in_bytes(outcome.tables_bytes)}"),
        ("figures, report, pins", words.plural(len(manifest.files), "file")),
        ("FASTA files carried", f"{outcome.raw_files:,}"),
    ]
    if outcome.removed:
        lines.append(("backups removed", ", ".join(outcome.removed)))
    if outcome.ended:
        lines.append(("marked as failed", ", ".join(run[:8] for run in outcome.ended)))
    section(f"Backup {manifest.stamp}", aligned(lines))
    click.echo(f"Verified at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC.")
