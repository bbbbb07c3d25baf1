"""Telling: which messages a reading is worth, by the settings.

Belongs here: choosing messages of problems and of ended runs. Does not belong here: sending them (``messages.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

from dagster import DagsterRunStatus

from opengenome_assets.lineage.failures import failures_of
from opengenome_assets.monitoring.instance import InstanceMetrics
from opengenome_assets.monitoring.messages import Message, Messenger, of_problem
from opengenome_assets.monitoring.problems import RUNBOOK, Problem, duration

RUN_FAILED = "RunFailed"


class Teller:
    """Tells a messenger of the problems and the runs that somebody wants to hear of."""

    def __init__(self, instance: InstanceMetrics, topics: frozenset[str]) -> None:
        self.instance = instance
        self.topics = topics

    def __call__(self, messenger: Messenger, begun: Sequence[Problem], over: Sequence[Problem]) -> None:
        """Tell of one reading. A failed run has a message of its own, with the reasons."""
        if "problems" in self.topics:
            for problem in begun:
                if problem.rule.name != RUN_FAILED or "failures" not in self.topics:
                    messenger.tell(of_problem(problem, over=False))
            for problem in over:
                messenger.tell(of_problem(problem, over=True))
        for message in self._of_runs():
            messenger.tell(message)

    def _of_runs(self) -> list[Message]:
        messages = []
        for record in self.instance.ended:
            run, status = record.dagster_run, record.dagster_run.status
            name = f"Run {run.run_id[:8]} of {run.job_name}"
            took = (record.end_time or 0) - (record.start_time or record.end_time or 0)
            if status == DagsterRunStatus.FAILURE and "failures" in self.topics and self.instance.instance:
                failed = failures_of(self.instance.instance, run)
                reasons = [f"{each.step}: {each.reason}" if each.step else each.reason for each in failed.failures]
                text = "\n".join(reasons) or "Its process was killed, or ended without a reason."
                messages.append(Message(f"{name} failed", text, f"{RUNBOOK}#runfailed"))
            elif status == DagsterRunStatus.SUCCESS and "successes" in self.topics:
                messages.append(Message(f"{name} is done", f"It took {duration(took)}."))
        return messages
