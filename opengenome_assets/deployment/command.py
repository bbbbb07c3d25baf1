"""Dagster's command line, in the process of a run that ``opengenome run`` starts.

Belongs here: what is around that command in its process. Does not belong here: the process that waits for it
(``cli/run.py``).
"""

from __future__ import annotations

import gc
import sys

import click


def main() -> None:
    """Be Dagster's command, with the arguments of this process; a selection of nothing is told in a sentence."""
    # The collector would look a dozen times through what is imported. The definitions' module lets it work again.
    gc.disable()
    from dagster import DagsterInvalidSubsetError

    from opengenome_assets.framework.private import DagsterInvalidAssetSelectionError, command_line

    try:
        command_line()
    except (DagsterInvalidAssetSelectionError, DagsterInvalidSubsetError) as error:
        selected = sys.argv[sys.argv.index("--select") + 1]
        click.echo(f"Error: --select {selected!r} names no assets. {str(error).splitlines()[0]}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
