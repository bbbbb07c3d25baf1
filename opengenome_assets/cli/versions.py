"""Commands that act on versions of tables: ``restore`` and ``checkout``.

Does not belong here: what they do, which is the job in ``corpus/restore.py`` and the modules of ``versioning``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from opengenome_assets.cli.forms import aligned, clock, format_option, section, settings_in_use
from opengenome_assets.settings import Settings

dry_run_option = click.option("--dry-run", is_flag=True, help="Only tell what would be done.")


@click.command()
@click.argument("table")
@click.option("--version", type=click.IntRange(min=0), required=True, help="The version whose rows it shall have.")
@dry_run_option
@format_option
def restore(table: str, version: int, dry_run: bool, output: str) -> None:
    """Make TABLE hold again what an earlier version of it holds.

    Nothing is lost: it is a new version with the old rows and the record of what made them. Runs the job `restore`,
    which waits until no other run uses the tables, and says what no longer fits to the table then.
    """
    settings = settings_in_use()
    _restore(settings, {table: version}, {}, dry_run, output)


@click.command()
@click.option("--run", "run", required=True, metavar="ID", help="The run, by its id or the beginning of it.")
@dry_run_option
@format_option
def checkout(run: str, dry_run: bool, output: str) -> None:
    """Make all tables hold again what they held when a run had ended.

    Tables that did not exist then stay as they are and are named. Figures and the report are kept only as they are now;
    they are made again from the tables.
    """
    settings = settings_in_use()
    from opengenome_assets.failures import open_instance  # imports Dagster
    from opengenome_assets.resources.tables import Tables
    from opengenome_assets.versioning.checkout import UnknownRunError, state_after

    try:
        with open_instance() as instance:
            state = state_after(Tables(home=settings.home), instance, run)
    except UnknownRunError as error:
        raise click.ClickException(str(error)) from error
    about = {
        "run": state.run_id,
        "ended": state.ended.isoformat(timespec="seconds"),
        "tables_made_later": state.later,
    }
    _restore(settings, state.versions, about, dry_run, output)


def _restore(
    settings: Settings, versions: Mapping[str, int], about: Mapping[str, Any], dry_run: bool, output: str
) -> None:
    from opengenome_assets.cli.jobs import run_job  # imports Dagster
    from opengenome_assets.corpus.restore import outdated
    from opengenome_assets.resources.tables import Tables

    tags = {"opengenome/checkout": about["run"]} if about else None
    done = run_job(settings, "restore", "restore_versions", {"versions": dict(versions), "dry_run": dry_run}, tags)
    tables = Tables(home=settings.home)
    then = {name: tables.provenance(name, version).data_version for name, version in versions.items()}
    stale = outdated(tables, then)
    if output == "json":
        click.echo(json.dumps({**about, "dry_run": dry_run, "tables": done, "outdated": stale}, indent=2))
        return
    title = "What would be restored" if dry_run else "Restored"
    if about:
        title += f" to what run {about['run'][:8]} left at {clock(about['ended'])}"
    rows = [
        (
            name,
            str(each["version_before"]),
            str(each["restored_version"]) if each["restored_version"] != each["version_before"] else "as it is",
            f"{each['rows_before']:,} -> {each['rows']:,}",
            clock(each["made"]),
            each["made_by"][:8],
        )
        for name, each in done.items()
    ]
    heading = ("table", "version", "rows of", "rows", "first made (UTC)", "by run")
    section(title, aligned([heading, *rows], right=(1, 2)))
    if later := about.get("tables_made_later"):
        section("Did not exist then, and stay as they are", later)
    if stale:
        when = "would then be" if dry_run else "are now"
        command = f"dagster asset materialize -m opengenome_assets.definitions --select '{','.join(stale)}'"
        section(f"These {when} of another state than what they were made from", [*stale, "", f"-> {command}"])
