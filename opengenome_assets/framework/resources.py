"""The resources that steps get from Dagster: the home, held by one run at a time, and the engine.

Belongs here: how a run gets them and gives them back. Does not belong here: tables (``storage``) and engines
(``engine``) themselves, which know no run.
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
        Root of everything the platform writes.
    """

    uri: str

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Home]:
        """Wait until no other run writes to the same home, and keep others out while this one lasts."""
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
        Modules that workers import before their first task.
    """

    workers: int | None = None
    preload: list[str] = Field(default_factory=list)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Processes]:
        """End the processes with the run."""
        with Processes(self.workers, self.preload) as engine:
            yield engine


def engine_resource(settings: Settings, preload: Sequence[str]) -> Any:
    """Return the engine that the settings name, as a resource."""
    if settings.engine == "processes":
        return ProcessesResource(preload=list(preload))
    from opengenome_assets.engine.spark import Spark  # without it, neither PySpark nor Java is needed

    return Spark(master=settings.spark_master, preload=list(preload))
