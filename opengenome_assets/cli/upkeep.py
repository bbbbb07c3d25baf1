"""The command ``upkeep``: wording and exit code; what it does is the job in ``corpus/upkeep.py``."""

from __future__ import annotations

import json
from typing import Any

import click

from opengenome_assets.cli.forms import (
    aligned,
    format_option,
    in_bytes,
    ranges,
    section,
    setting_errors,
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
    from opengenome_assets.definitions import build_defs  # imports Dagster
    from opengenome_assets.failures import newest_run, open_instance

    config = {
        "ops": {"keep_up": {"config": {"dry_run": dry_run, "retention_days": retention_days}}},
        "loggers": {"console": {"config": {"log_level": "WARNING"}}},
    }
    with setting_errors(), open_instance() as instance:
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
