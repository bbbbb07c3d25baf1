"""Dagster's command line, in the process of a run that ``opengenome run`` starts.

Belongs here: what is around that command in its process. Does not belong here: the process that waits for it
(``cli/run.py``).
"""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import click


def main() -> None:
    """Be Dagster's command, with the arguments of this process behind the first, a file for what there is to tell.

    A selection of nothing is told in a sentence.
    """
    told, started = Path(sys.argv.pop(1)), datetime.now(UTC)
    # The collector would look a dozen times through what is imported. The definitions' module lets it work again.
    gc.disable()
    from dagster import DagsterInvalidSubsetError

    from opengenome_assets.framework.private import DagsterInvalidAssetSelectionError, command_line

    try:
        command_line()
    except SystemExit as ended:
        if not ended.code:
            told.write_text(json.dumps(_told(started)))
        raise
    except (DagsterInvalidAssetSelectionError, DagsterInvalidSubsetError) as error:
        selected = sys.argv[sys.argv.index("--select") + 1]
        click.echo(f"Error: --select {selected!r} names no assets. {_advice(selected, error)}", err=True)
        raise SystemExit(2) from None


def _told(started: datetime) -> dict[str, Any] | None:
    """Return the run that began since then, what its checks warn of and the files that it left out.

    Told here, so that the process that waits need not import Dagster.
    """
    from opengenome_assets.lineage.failures import newest_run, open_records
    from opengenome_assets.lineage.outcome import passed_over

    with open_records() as instance:
        run = newest_run(instance, started)
        return {**asdict(run), "left_out": passed_over(instance, run.run_id)} if run else None


def _advice(selected: str, error: Exception) -> str:
    """Return what is meant, if it is nearly an asset's name; else what Dagster says."""
    module = import_module(sys.argv[sys.argv.index("--module-name") + 1])
    known = [key.to_user_string() for key in module.defs.resolve_asset_graph().get_all_asset_keys()]
    near = get_close_matches(selected, known, 1)
    return f"Is {near[0]} meant?" if near else str(error).splitlines()[0]


if __name__ == "__main__":
    main()
