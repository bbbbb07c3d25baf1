"""Damage to Dagster's own records, as an error of any command.

Belongs here: telling such an error from others, and its words. Does not belong here: a place that cannot be written
(``deployment/instance.py``).
"""

from __future__ import annotations

import sqlite3
from traceback import walk_tb
from typing import Any

import click

from opengenome_assets.settings import local_home, read_home

# Modules that read stored records. Their own errors name neither file nor remedy.
READERS = ("alembic.", "dagster._core.storage.", "dagster._serdes", "dagster_shared.serdes.")


class Commands(click.Group):
    """Commands that may use Dagster's records at ``$OPENGENOME_HOME/dagster``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; damaged records are an error that names their folder."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if isinstance(error, click.ClickException | click.exceptions.Exit | click.Abort) or not _of_records(error):
                raise
            reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            raise click.ClickException(
                f"Dagster's records at {local_home(read_home()) / 'dagster'} cannot be read: {reason}. If nothing else "
                "is at fault there, they are damaged. The tables do not need them: move that folder away, and run "
                "opengenome reindex, which tells Dagster what the tables hold"
            ) from error


def _of_records(error: BaseException) -> bool:
    if isinstance(getattr(error, "orig", None), sqlite3.Error):
        return True
    # The innermost frames tell who failed: a reader of records, or something that a reader called.
    names = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    return any(name.startswith(READERS) for name in names[-6:])
