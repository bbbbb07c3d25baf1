"""The resources that steps get from Dagster: the home, held by one run at a time, and the engine.

Belongs here: how a run gets them and gives them back. Does not belong here: tables (``storage``) and engines
(``engine``) themselves, which know no run.
"""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg

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
