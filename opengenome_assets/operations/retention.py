"""Retention of runs: records and step logs of old runs, which Dagster itself keeps for ever.

Belongs here: which runs are old, and removing them. Does not belong here: versions of tables (``upkeep.py``), whose log
keeps the provenance of every version. Ticks are Dagster's own to remove (``retention`` in ``dagster.yaml``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from opengenome_assets.operations.pins import TAG

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
RUNS_READ = 500  # records of runs in memory at a time


def old_runs(instance: dg.DagsterInstance, before: datetime) -> list[str]:
    """Return the ids of the runs that ended before a moment and that nobody needs.

    Needed are the last run of each job, the last that made each asset, and pinned ones.
    """
    made = (record.asset_entry.last_materialization for record in instance.get_asset_records())
    needed = {event.run_id for event in made if event}
    jobs: set[str] = set()
    found = []
    for record in _records(instance):
        run = record.dagster_run
        is_last = run.job_name not in jobs
        jobs.add(run.job_name)
        pinned = run.tags.get(TAG) == "true"
        if record.update_timestamp < before and not is_last and not pinned and run.run_id not in needed:
            found.append(run.run_id)
    return found


def remove_runs(instance: dg.DagsterInstance, run_ids: list[str]) -> None:
    """Remove the records of runs and the logs of their steps."""
    for run_id in run_ids:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)


def _records(instance: dg.DagsterInstance) -> Iterator[dg.RunRecord]:
    """Yield the ended runs, newest first."""
    cursor = None
    while records := instance.get_run_records(dg.RunsFilter(statuses=ENDED), limit=RUNS_READ, cursor=cursor):
        yield from records
        cursor = records[-1].dagster_run.run_id
