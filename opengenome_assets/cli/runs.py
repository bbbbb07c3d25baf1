"""The command ``runs`` with its subcommands ``tag`` and ``note``.

Belongs here: their arguments and output. Does not belong here: gathering runs (``lineage/runs.py``).
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from opengenome_assets.cli.platform import settings_in_use
from opengenome_assets.settings import dagster_home
from opengenome_assets.terminal import aligned, clock, known, refusals, section, setting_errors, written

if TYPE_CHECKING:
    from dagster import DagsterInstance

WIDEST = 40


@click.group(invoke_without_command=True)
@click.option("--compare", nargs=2, metavar="A B", help="Show two runs side by side, differences first.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Maximum number.")
@click.option("--format", "output", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True)
@click.pass_context
def runs(context: click.Context, compare: tuple[str, str] | None, limit: int, output: str) -> None:
    """Show runs, newest first: start, status, parameters, metrics, tags and notes.

    JSON and CSV have every parameter and metric. The beginning of an id is enough. If Dagster does not know a run, the
    records of tables, figures and report are shown.
    """
    if context.invoked_subcommand:
        return
    settings = settings_in_use()
    from opengenome_assets.lineage import runs as known_runs  # imports Dagster
    from opengenome_assets.storage.tables import Home

    tables = Home(settings.home)
    with setting_errors(), refusals(), _instance() as instance:
        if compare:
            sides = [known_runs.find_run(tables, instance, run_id) for run_id in compare]
            rows = known_runs.compare_runs(*sides)
            heading = ["", *(side.run_id[:8] for side in sides)]
            table = [{"name": row.name, "before": row.before, "after": row.after} for row in rows]
            differing = [[row.name, _cell(row.before), _cell(row.after)] for row in rows if row.differs]
            lines = aligned([heading, *differing]) if differing else ["nothing"]
            same = [row.name for row in rows if not row.differs and row.before not in (None, "")]
        else:
            found = known_runs.list_runs(tables, instance, limit)
            table = [asdict(run) for run in found] if output == "json" else [known_runs.flat(run) for run in found]
    if output == "json":
        click.echo(json.dumps(table, indent=2))
    elif output == "csv":
        _write_csv(table)
    elif compare:
        section("What differs", lines)
        section("The same", [", ".join(same) or "nothing"])
    else:
        heading = ["run", "started (UTC)", "status", "seconds", "job", "checks", "tags and note"]
        rows_of = [
            [
                run.run_id[:8],
                known(clock, run.started),
                run.status.lower(),
                known("{:,.1f}".format, run.seconds),
                run.job or "—",
                _checks(run.metrics),
                " ".join([*(f"{name}={value}" for name, value in run.tags.items()), run.note]).strip(),
            ]
            for run in found
        ]
        section(
            f"Runs at {settings.home}", aligned([heading, *rows_of], right=(3,)) if found else ["none yet: make run"]
        )


@runs.command()
@click.argument("run")
@click.argument("tags", nargs=-1, required=True, metavar="KEY=VALUE...")
def tag(run: str, tags: Sequence[str]) -> None:
    """Tag RUN."""
    pairs = [pair.partition("=") for pair in tags]
    if wrong := [name + equals for name, equals, value in pairs if not (name and equals and value)]:
        raise click.UsageError(f"expected KEY=VALUE, found {', '.join(wrong)}")
    click.echo(f"run {_add(run, {name: value for name, _, value in pairs})}: {' '.join(tags)}")


@runs.command()
@click.argument("run")
@click.argument("text")
def note(run: str, text: str) -> None:
    """Write a note on RUN; it replaces the earlier one."""
    from opengenome_assets.lineage.runs import NOTE_TAG  # imports Dagster

    click.echo(f"run {_add(run, {NOTE_TAG: text})}: {text}")


def _add(run: str, tags: Mapping[str, str]) -> str:
    """Tag a run and return its whole id."""
    settings = settings_in_use()
    from opengenome_assets.lineage.runs import add_tags
    from opengenome_assets.storage.tables import Home

    with setting_errors(), refusals(), _instance() as instance:
        if instance is None:
            raise click.ClickException(
                "Dagster keeps tags and notes, and there is no dagster.yaml in this folder. Set DAGSTER_HOME to the "
                "folder that has it"
            )
        return add_tags(Home(settings.home), instance, run, tags)


@contextmanager
def _instance() -> Iterator[DagsterInstance | None]:
    """Open Dagster's instance; None without a ``dagster.yaml``, since opening would create one."""
    from opengenome_assets.lineage.failures import open_instance

    if not (dagster_home() / "dagster.yaml").exists():
        yield None
        return
    with open_instance() as instance:
        yield instance


def _checks(metrics: Mapping[str, float]) -> str:
    passed, failed = metrics.get("checks.passed"), metrics.get("checks.failed")
    return "—" if passed is None or failed is None else f"{passed:.0f} of {passed + failed:.0f}"


def _cell(value: Any) -> str:
    text = known(written, value)
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"


def _write_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
