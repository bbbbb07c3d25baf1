"""A run that is killed at the commit of a table: ``python -m opengenome_assets_tests.corpus.dying TABLE before|after``.

What it makes and where is in the environment, as for any run.
"""

import os
import signal
import sys
from collections.abc import Iterable
from typing import Literal

import dagster as dg
import pyarrow as pa

from opengenome_assets.definitions import build_defs
from opengenome_assets.engine.spark import Spark
from opengenome_assets.lineage.failures import open_instance
from opengenome_assets.settings import Settings
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Commit, Home


class DyingTables(Home):
    """Tables whose process is killed just before or just after one of them is committed."""

    table: str
    when: Literal["before", "after"]

    def commit(self, name: str, schema: pa.Schema, parts: Iterable[Part], provenance: Provenance) -> Commit:
        """Commit, or die."""
        pieces = list(parts)  # all files are written
        if (name, self.when) == (self.table, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        commit = super().commit(name, schema, pieces, provenance)
        if name == self.table:
            os.kill(os.getpid(), signal.SIGKILL)
        return commit


if __name__ == "__main__":
    settings = Settings.from_environment()
    tables = DyingTables(home=settings.home, table=sys.argv[1], when=sys.argv[2])
    resources = {"tables": tables, "spark": Spark(master=settings.spark_master)}
    assets = [each for each in build_defs(settings).assets or [] if isinstance(each, dg.AssetsDefinition)]
    with open_instance() as instance:
        dg.materialize(assets, selection=f"*{sys.argv[1]}", resources=resources, instance=instance)
