"""The launcher: starting runs in the code server, and noticing a run whose process is gone.

Belongs here: what Dagster's own launcher lacks on a cluster. Does not belong here: the choice of a launcher, which each
deployment makes in its ``dagster.yaml``.
"""

from __future__ import annotations

import json

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


class MonitoredRunLauncher(DefaultRunLauncher):
    """Dagster's launcher, which also reports runs that are gone because their code server was restarted.

    Run monitoring asks it about each run in progress. A run that is gone fails, so that its slot in the queue becomes
    free and Dagster's retry policy can start the remaining steps.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: run monitoring asks this launcher."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run is alive.

        Runs of a code server that cannot be reached count as alive until it answers again.
        """
        address = run.tags.get(GRPC_INFO_TAG)
        if address is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "Not launched by a code server.")
        client = DagsterGrpcClient(**json.loads(address))
        try:
            current = deserialize_value(client.get_current_runs(), GetCurrentRunsResult)
        except DagsterUserCodeUnreachableError as error:
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"The code server cannot be reached: {error}")
        if run.run_id in current.current_runs:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, "The code server no longer runs it: its process died, or the server was restarted"
        )
