"""The resources that steps get from Dagster: the home, locked by one run at a time, and the engine.

Belongs here: how a run acquires and releases them. Does not belong here: tables (``storage``) and engines (``engine``)
themselves, which do not depend on a run.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from pydantic import Field

from opengenome_assets.engine.processes import Processes
from opengenome_assets.settings import Settings
from opengenome_assets.storage.lock import only_writer
from opengenome_assets.storage.tables import Home


class HomeResource(dg.ConfigurableResource[Home]):
    """The home of a run.

    Parameters
    ----------
    uri
        Root of everything that the platform writes.
    """

    uri: str

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Home]:
        """Wait until no other run writes to the home, and keep others out until this run ends."""
        if context.run is None:
            yield Home(self.uri)
            return
        tell = context.log.info if context.log else lambda _: None
        with only_writer(self.uri, f"run {context.run.run_id}", tell) as lease:
            yield Home(self.uri, lease)


class ProcessesResource(dg.ConfigurableResource[Processes]):
    """Worker processes of this machine, kept for a run.

    Parameters
    ----------
    workers
        Maximum number of workers; the usable cores if None.
    preload
        Modules that workers preload before their first task.
    """

    workers: int | None = None
    preload: list[str] = Field(default_factory=list)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Processes]:
        """End the processes at the end of the run."""
        with Processes(self.workers, self.preload) as engine:
            yield engine


def engine_resource(settings: Settings, preload: Sequence[str]) -> Any:
    """Return the engine of the settings as a resource."""
    if settings.engine == "processes":
        return ProcessesResource(preload=list(preload))
    from opengenome_assets.engine.spark import Spark  # processes need neither PySpark nor Java

    return Spark(master=settings.spark_master, preload=list(preload))
