"""The command ``upkeep``: wording and exit code; what it does is the job in ``corpus/upkeep.py``."""

from __future__ import annotations

import json

import click

from opengenome_assets.cli.forms import (
    aligned,
    format_option,
    in_bytes,
    ranges,
    section,
    settings_in_use,
)


@click.command()
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
    settings = settings_in_use()
    from opengenome_assets.cli.jobs import run_job  # imports Dagster

    tables = run_job(settings, "upkeep", "keep_up", {"dry_run": dry_run, "retention_days": retention_days})
    if output == "json":
        click.echo(json.dumps(tables, indent=2))
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
    title = f"What would be done to the tables at {settings.home}" if dry_run else f"Tables at {settings.home}"
    section(title, aligned([heading, *rows], right=(1, 2, 6)) if rows else ["none yet: make run"])
