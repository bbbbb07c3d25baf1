"""The command ``run``: everything made, and what was found.

Belongs here: what comes before and after Dagster's own command. Does not belong here: making assets.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stdout, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from opengenome_assets import groups, words
from opengenome_assets.cli.platform import pages, settings_in_use
from opengenome_assets.cli.processes import MODULE, dagster_environment, together
from opengenome_assets.cli.state import failures
from opengenome_assets.lineage import last_run
from opengenome_assets.logs import LogSettings
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Home
from opengenome_assets.terminal import aligned, refusals, section

COMMAND = "opengenome_assets.deployment.command"  # Dagster's, in the run's process
INTERRUPTED = 130  # as a shell says of what Ctrl-C ended
GRACE = 60  # seconds for a run to end its work


@click.command()
@click.option("--select", default="*", show_default=True, help="Assets, as for `dagster asset materialize`.")
@click.option("--config", type=click.Path(exists=True), help="Run config: a file of YAML, such as a preset.")
@click.option("--config-json", metavar="JSON", help="Run config as JSON.")
@click.pass_context
def run(context: click.Context, select: str, config: str | None, config_json: str | None) -> None:
    """Make every asset, and show the result.

    What is made already and is current is used again; if nothing at all has changed since the last run, none is
    started. Input that is not there is refused before anything starts. The settings of one run, the run config, are
    listed in docs/running.md.
    """
    if config and config_json:
        raise click.UsageError("--config and --config-json are both given: choose one of them")
    settings = settings_in_use()
    with refusals():
        groups.refuse(settings)
        environment = dagster_environment()
    decided = _decision(settings, select, config, config_json)
    if same := last_run.recall(settings.home, decided):
        _tell_again(settings, same)
        return
    started = time.time()
    plain = LogSettings.from_environment(environment).log_format == "json"
    with tempfile.NamedTemporaryFile() as told:
        command = [sys.executable, "-m", COMMAND, told.name, "asset", "materialize"]
        command += ["--select", select, "--module-name", MODULE]
        for option, value in (("--config", config), ("--config-json", config_json)):
            command += [option, value] if value else []
        status = together(
            command,
            environment=environment if plain else {**environment, "OPENGENOME_LOG_FORMAT": "json"},
            grace=GRACE,
            asked_status=INTERRUPTED,
            read=None if plain else _show,
        )
        ended = json.loads(told.read() or "null")
    if status == INTERRUPTED:
        click.echo("\nStopped. What is finished is kept: the same command goes on with the rest.", err=True)
        raise SystemExit(status)
    if status:
        with suppress(SystemExit), redirect_stdout(sys.stderr):
            click.echo()
            context.invoke(failures, since=int(started), output="text")
        raise SystemExit(status)
    with refusals():
        _tell(settings, started, ended, decided)


def _show(lines: Iterable[str]) -> None:
    """Show the lines of a run's process."""
    from opengenome_assets.cli import steps

    with steps.opened() as display:
        steps.follow(lines, display)


def _decision(settings: Settings, select: str, config: str | None, config_json: str | None) -> str | None:
    """Return the decision of a run; None if it cannot be told, and the run itself says what is wrong."""
    from opengenome_assets.intake.hub.request import RemoteError

    try:
        asked = [select, Path(config).read_text() if config else None, config_json]
        return last_run.decision(settings, asked, groups.reads(settings))
    except (OSError, ValueError, RemoteError):
        return None


def _tell(settings: Settings, started: float, ended: Mapping[str, Any] | None, decided: str | None) -> None:
    """Print what the run that has just ended found, what it made, and what to do next.

    Parameters
    ----------
    settings, started
        The settings, and the moment of the start.
    ended
        What the run's process told (``deployment/command.py``); None if it found no record of the run.
    decided
        The run's decision, to remember it by.
    """
    from opengenome_assets.framework.table import Role
    from opengenome_assets.lineage.outcome import outcome

    home = Home(settings.home)
    found = list(_found(home))
    click.echo()
    for title, lines in found:
        section(title, lines)
    if ended is None:  # its records are somebody else's, or were removed
        return
    specs = groups.specs()
    result = outcome(home, specs, ended["run_id"])
    everything = len(result.made) + len(result.kept)
    rows = [
        ("took", f"{time.time() - started:.0f} s"),
        ("made", f"{len(result.made)} of {everything} tables, figures and reports; the others are as they were"),
    ]
    for catalogue, files in result.files.items():
        counts = {name: len(getattr(files, name)) for name in ("added", "removed", "changed", "moved")}
        named = ", ".join(f"{words.count(number)} {name}" for name, number in counts.items() if number)
        rows.append((catalogue, f"files since the last run: {named or 'the same'}"))
    if same := [name for name in result.kept if specs.role(name) is Role.CATALOGUE]:
        rows.append(("unchanged", f"{words.listing(same)}: the same files as the last run"))
    warnings = []
    for catalogue, names in ended["left_out"].items():
        listed = words.listing([os.path.basename(name) for name in names], 5)
        warnings.append((catalogue, f"files left out, of another kind by their name: {listed}"))
    warnings += [("warning", f"{each['step']}: {words.shorten(each['reason'], 300)}") for each in ended["failures"]]
    section(f"Run {ended['run_id'][:8]}", aligned([*rows, *warnings, *_where(settings)]))
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    told = last_run.Told(ended["run_id"], moment, found, warnings)
    last_run.remember(settings.home, decided, told, started, result.made)


def _tell_again(settings: Settings, told: last_run.Told) -> None:
    """Print what the last run found, for a run that would find nothing to make."""
    click.echo()
    for title, lines in told.found:
        section(title, lines)
    ended = datetime.fromisoformat(told.ended).strftime("%Y-%m-%d %H:%M UTC")
    rows = [
        ("made", "nothing, and no run was started: program, settings, input and tables are those of that run"),
        *((name, text) for name, text in told.warnings),
    ]
    section(f"Unchanged since run {told.run_id[:8]} of {ended}", aligned([*rows, *_where(settings)]))


def _found(home: Home) -> Iterator[tuple[str, list[str]]]:
    """Yield for each group that has findings a title and lines."""
    from opengenome_assets.framework.table import Specs
    from opengenome_assets.lineage.outcome import is_sample

    for group in groups.GROUPS:
        if lines := group.findings(home):
            cells = aligned([(line.subject, "!" if line.warns else " ", line.text) for line in lines])
            sample = ", of the shipped sample" if is_sample(home, Specs(group.tables)) else ""
            yield group.name.capitalize() + sample, cells


def _where(settings: Settings) -> list[tuple[str, str]]:
    """Return where the results lie, as cells of two columns."""
    from opengenome_assets.lineage.inventory import reports

    return [
        *(("report", report) for report in reports(settings.home)),
        ("tables", f"{settings.home}/tables; opengenome info shows their state, settings and versions"),
        ("pages", "; ".join(pages())),
    ]
