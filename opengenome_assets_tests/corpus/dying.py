"""A run that is killed at the commit of a table: ``python -m opengenome_assets_tests.corpus.dying TABLE before|after``.

What it makes and where is in the environment, as for any run.
"""

import os
import signal
import sys
from typing import Any

import dagster as dg

from opengenome_assets import groups
from opengenome_assets.definitions import build_defs
from opengenome_assets.lineage.failures import open_instance
from opengenome_assets.storage.tables import Commit, Home, Table

if __name__ == "__main__":
    name, when = sys.argv[1:]
    commit = Table.commit

    def dying(table: Table, *arguments: Any) -> Commit:
        """Commit, or die just before or just after."""
        if table.name == name and when == "before":  # all files are written
            os.kill(os.getpid(), signal.SIGKILL)
        done = commit(table, *arguments)
        if table.name == name:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    Table.commit = dying  # type: ignore[method-assign]
    settings = groups.read_settings()
    defs = build_defs(settings, resource_overrides={"home": Home(settings.home)})
    assets = [each for each in defs.assets or [] if isinstance(each, dg.AssetsDefinition)]
    with open_instance() as instance:
        dg.materialize(assets, selection=f"*{name}", resources=defs.resources, instance=instance)
