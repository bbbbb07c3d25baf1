"""The command line: ``opengenome`` and its commands.

Belongs here: arguments, wording and exit codes, one module per subject. Does not belong here: the work of the commands,
and the commands of a group (``commands.py`` in its room). A command imports Dagster or Spark only if it needs them,
since that takes a second.
"""

from __future__ import annotations

import click

from opengenome_assets import __version__, groups
from opengenome_assets.cli.backup import backup, restore_backup
from opengenome_assets.cli.lineage import diff, lineage, reindex
from opengenome_assets.cli.records import Commands
from opengenome_assets.cli.run import run
from opengenome_assets.cli.runs import runs
from opengenome_assets.cli.serve import metrics, serve, ui
from opengenome_assets.cli.show import show
from opengenome_assets.cli.slurm import slurm
from opengenome_assets.cli.state import failures, info, validate
from opengenome_assets.cli.submit import cancel, results, status, submit
from opengenome_assets.cli.tokens import tokens
from opengenome_assets.cli.upkeep import pin, prune, unpin, upkeep
from opengenome_assets.cli.versions import checkout, pull, push, reproduce, restore


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="opengenome")
def main() -> None:
    """Genomic data as Dagster assets: runs, tables, data lineage, versions, search and upkeep."""


for command in (
    validate,
    run,
    info,
    show,
    failures,
    lineage,
    diff,
    runs,
    reindex,
    restore,
    checkout,
    reproduce,
    push,
    pull,
    pin,
    unpin,
    prune,
    backup,
    restore_backup,
    serve,
    metrics,
    slurm,
    submit,
    status,
    results,
    cancel,
    tokens,
    ui,
    upkeep,
    *(command for group in groups.GROUPS for command in group.commands()),
):
    main.add_command(command)
