"""Commands that show a state and change nothing: ``validate``, ``info`` and ``failures``.

Belongs here: their arguments and output. Does not belong here: the checks (``operations/validate.py``), the inventory
(``lineage/inventory.py``), and the reasons of a failure (``lineage/failures.py``).
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

import click

from opengenome_assets import groups, words
from opengenome_assets.cli.platform import next_step, pages, settings_in_use
from opengenome_assets.settings import DEFAULT
from opengenome_assets.terminal import aligned, clock, format_option, in_bytes, indented, known, section, setting_errors

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command()
@format_option
def validate(output: str) -> None:
    """Check Python, packages, the engine, storage and the source.

    Exits with status 1 if the pipeline cannot run on this machine with these settings.
    """
    settings = settings_in_use()
    from opengenome_assets.corpus.settings import SAMPLE_FOLDER, CorpusSettings
    from opengenome_assets.corpus.sources import source_of
    from opengenome_assets.operations import validate as checks  # Spark and Dagster take a second to import
    from opengenome_assets.storage.tables import Home

    verdicts = []
    try:
        source = source_of(Home(settings.home), settings.section(CorpusSettings).source)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    for verdict in checks.validate(settings, source, SAMPLE_FOLDER):
        verdicts.append(verdict)
        if output == "text":
            click.secho(f"{verdict.status:<9}", fg=COLOURS[verdict.status], nl=False)
            click.echo(f"{verdict.subject:<12}{indented(verdict.finding)}")
            if verdict.remedy:
                click.echo(f"{'':<21}{indented(f'-> {verdict.remedy}')}")
    failed = [verdict.subject for verdict in verdicts if verdict.status == "failed"]
    if output == "json":
        click.echo(json.dumps({"ok": not failed, "verdicts": [asdict(each) for each in verdicts]}, indent=2))
    else:
        click.echo(f"\nNot ready: {', '.join(failed)}." if failed else f"\nReady. Next: {next_step('run')}")
    if failed:
        raise SystemExit(1)


@click.command()
@format_option
def info(output: str) -> None:
    """Show settings, versions, storage use, tables, figures and the report."""
    settings = settings_in_use()
    from opengenome_assets.lineage.inventory import take_inventory

    inventory = take_inventory(settings, groups.specs(), partial(groups.outside, settings))
    if output == "json":
        click.echo(json.dumps(asdict(inventory), indent=2))
        return
    settings_shown = [
        (each.variable, each.value, "(default)" if each.origin == DEFAULT else "") for each in inventory.settings
    ]
    section("Settings", aligned(settings_shown))
    section("Versions", aligned(list(inventory.versions.items())))
    usage = [(each.part, f"{each.files:,}", in_bytes(each.bytes)) for each in inventory.storage]
    lines = aligned([("part", "files", "size"), *usage], right=(1, 2)) if usage else ["nothing yet"]
    section(f"Storage at {settings.home}", lines)
    tables = [
        (
            each.name,
            *(known("{:,}".format, value) for value in (each.rows, each.version, each.files)),
            known(in_bytes, each.bytes),
            known(clock, each.made),
            each.state,
        )
        for each in inventory.tables
    ]
    heading = ("table", "rows", "version", "files", "size", "made (UTC)", "state")
    lines = aligned([heading, *tables], right=(1, 2, 3, 4)) if tables else [f"none yet: {next_step('run')}"]
    section(f"Tables at {settings.home}/tables", lines)
    figures = [
        (each.name, ", ".join(path.rpartition(".")[2] for path in each.files), each.state) for each in inventory.figures
    ]
    section(f"Figures at {settings.home}/figures", aligned(figures) or ["none yet"])
    section("Report", inventory.reports or ["none yet"])
    if inventory.unusable:
        shown = [indented(f"- {words.shorten(reason, 300)}") for reason in inventory.unusable[:20]]
        section(f"LEFT OUT: {words.plural(len(inventory.unusable), 'file')} that cannot be used", shown)
    section("User interface", pages())


@click.command()
@click.option("--since", type=float, help="Only a run started after this time, in seconds as of `date +%s`.")
@format_option
def failures(since: float | None, output: str) -> None:
    """Say why the newest run failed, or which of its checks warn, without stack traces.

    Reads Dagster's event log of DAGSTER_HOME or this folder. Exits with status 1 unless that run succeeded.
    """
    settings_in_use()
    from opengenome_assets.lineage.failures import newest_run, open_records  # imports Dagster

    with setting_errors(), open_records() as instance:
        run = newest_run(instance, None if since is None else datetime.fromtimestamp(since, UTC))
    if output == "json":
        click.echo(json.dumps(run and asdict(run), indent=2))
    elif run is None:
        click.echo("No run was started.")
    elif run.failures:
        click.echo(f"Run {run.run_id[:8]} {'succeeded, with warnings' if run.status == 'SUCCESS' else 'failed'}:")
        for failure in run.failures:
            click.echo(textwrap.indent(f"{failure.step}: {failure.reason}" if failure.step else failure.reason, "  "))
    else:
        click.echo(f"Run {run.run_id[:8]}: {run.status.lower()}")
    if run is None or run.status != "SUCCESS":
        raise SystemExit(1)
