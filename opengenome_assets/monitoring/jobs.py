"""Metrics of jobs that were sent: how many are in each state, how long the oldest waits, and the time of their work.

Belongs here: turning jobs into samples. Does not belong here: what a state is (``service/jobs``).
"""

from __future__ import annotations

from collections import Counter
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric

from opengenome_assets.service.jobs.records import State
from opengenome_assets.service.jobs.store import Jobs


def job_metrics(jobs: Jobs, now: float) -> list[Metric]:
    """Return the metrics of all jobs of a home; none if no job was sent.

    Parameters
    ----------
    jobs
        The jobs.
    now
        Seconds since the epoch.
    """
    count = GaugeMetricFamily("opengenome_jobs", "Jobs that were sent", labels=["kind", "state"])
    waits = GaugeMetricFamily(
        "opengenome_jobs_oldest_waiting_seconds", "Time for which the oldest waiting job has waited", labels=["kind"]
    )
    spent = GaugeMetricFamily("opengenome_jobs_work_seconds", "Time of the work of all that are done", labels=["kind"])
    found: dict[str, Counter[State]] = {}
    oldest: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for job in jobs.all():
        kind, state = job.kind.name, job.state
        found.setdefault(kind, Counter())[state] += 1
        if state == "waiting":
            oldest[kind] = min(job.submission.received.timestamp(), oldest.get(kind, now))
        elif state == "done" and (outcome := job.outcome):
            seconds[kind] = seconds.get(kind, 0.0) + outcome.seconds
    for kind, states in sorted(found.items()):
        for each in get_args(State):
            count.add_metric([kind, each], states[each])
        waits.add_metric([kind], now - oldest.get(kind, now))
        spent.add_metric([kind], seconds.get(kind, 0.0))
    return [count, waits, spent] if found else []
