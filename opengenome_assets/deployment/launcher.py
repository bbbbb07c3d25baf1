"""The launcher: starting runs in the code server, and noticing a run whose process is gone.

Belongs here: what Dagster's own launcher lacks on a cluster. Does not belong here: the choice of a launcher, which each
deployment makes in its ``dagster.yaml``.
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

from dagster import DagsterRun

from opengenome_assets.framework.private import (
    GRPC_INFO_TAG,
    CheckRunHealthResult,
    DagsterGrpcClient,
    DagsterUserCodeUnreachableError,
    DefaultRunLauncher,
    GetCurrentRunsResult,
    WorkerStatus,
    deserialize_value,
)

# Once the code server is back, the daemon loads the definitions again, which takes seconds. A retry that comes earlier
# fails, and Dagster does not try it another time.
SETTLING_SECONDS = 30.0


class MonitoredRunLauncher(DefaultRunLauncher):
    """Dagster's launcher, which also reports runs that are gone because their code server was restarted.

    Run monitoring asks it about each run in progress. A run that is gone fails, so that its slot in the queue becomes
    free and Dagster's retry policy can start the remaining steps.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Of each address, the id of its server, empty if it was away, and since when. That found first counts as old:
        # a daemon begins with loading the definitions.
        self._servers: dict[str, tuple[str, float]] = {}

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: run monitoring asks this launcher."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run is alive.

        Runs of a code server that cannot be reached count as alive until it answers again, and has done so for
        ``SETTLING_SECONDS``.
        """
        address = run.tags.get(GRPC_INFO_TAG)
        if address is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "Not launched by a code server.")
        client = DagsterGrpcClient(**json.loads(address))
        now = time.monotonic()
        try:
            server = client.get_server_id()
            current = deserialize_value(client.get_current_runs(), GetCurrentRunsResult)
        except DagsterUserCodeUnreachableError as error:
            self._servers[address] = ("", now)
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"The code server cannot be reached: {error}")
        known, since = self._servers.get(address, (server, -math.inf))
        since = since if known == server else now
        self._servers[address] = (server, since)
        if run.run_id in current.current_runs:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if now - since < SETTLING_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "The code server has just been started")
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, "The code server no longer runs it: its process died, or the server was restarted"
        )
