"""Launching runs in the code server, and noticing when one is gone.

Belongs here: what Dagster's own launcher lacks on a cluster. Which launcher a deployment has is said in its
``dagster.yaml``; on one machine Dagster's default serves.
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
    """Dagster's launcher, whose runs are seen to be gone when the code server that ran them was restarted.

    Run monitoring asks it about each run in progress; a run that is gone fails, so that its slot in the queue becomes
    free and Dagster's run retries can start what it did not finish.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Tell run monitoring to ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run is there.

        A code server that cannot be reached says nothing about its runs: they are judged once it answers again.
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
