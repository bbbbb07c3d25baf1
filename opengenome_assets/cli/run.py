"""The command ``run``: everything made, and what was found.

Belongs here: what comes before and after Dagster's own command. Does not belong here: making assets.
"""

from __future__ import annotations

import sys
import time
from contextlib import redirect_stdout, suppress

import click

from opengenome_assets import groups
from opengenome_assets.cli.platform import settings_in_use
from opengenome_assets.cli.processes import MODULE, dagster_environment, program, together
from opengenome_assets.cli.state import failures, info
from opengenome_assets.terminal import refusals

INTERRUPTED = 130  # as a shell says of what Ctrl-C ended
GRACE = 60  # seconds for a run to end its work


@click.command()
@click.option("--select", default="*", show_default=True, help="Assets, as for `dagster asset materialize`.")
@click.pass_context
def run(context: click.Context, select: str) -> None:
    """Make every asset, and show the result.

    What is made already and is current is used again. Input that is not there is refused before anything starts.
    """
    settings = settings_in_use()
    with refusals():
        groups.refuse(settings)
        environment = dagster_environment()
    started = time.time()
    command = [program("dagster"), "asset", "materialize", "--select", select, "--module-name", MODULE]
    if status := together(command, environment=environment, grace=GRACE, asked_status=INTERRUPTED):
        with suppress(SystemExit), redirect_stdout(sys.stderr):
            click.echo()
            context.invoke(failures, since=int(started), output="text")
        raise SystemExit(status)
    context.invoke(info, output="text")
    with suppress(SystemExit):
        context.invoke(failures, since=int(started), output="text")  # checks that warn
