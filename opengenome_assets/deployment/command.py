"""Dagster's command line, in the process of a run that ``opengenome run`` starts.

Belongs here: what is around that command in its process. Does not belong here: the process that waits for it
(``cli/run.py``).
"""

from __future__ import annotations

import gc
import sys
from difflib import get_close_matches

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
        click.echo(f"Error: --select {selected!r} names no assets. {_advice(selected, error)}", err=True)
        raise SystemExit(2) from None


def _advice(selected: str, error: Exception) -> str:
    """Return what is meant, if it is nearly an asset's name; else what Dagster says."""
    from opengenome_assets.definitions import defs

    known = [key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()]
    near = get_close_matches(selected, known, 1)
    return f"Is {near[0]} meant?" if near else str(error).splitlines()[0]


if __name__ == "__main__":
    main()
