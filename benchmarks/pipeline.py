"""Runs of the whole platform: a command in a process of its own, and the cost of each step.

Belongs here: starting Dagster as a user does, and dividing the cost of a run among its steps. Does not belong here: the
corpora, and the targets.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster import DagsterEventType, DagsterInstance
from deltalake import DeltaTable

from benchmarks.measure import REPOSITORY, Cost, run

MASTER = "local[2]"
CORPUS = "tag:group=corpus"
"""All assets of the corpus: those of the other groups have rows of their own."""


@dataclass(frozen=True)
class Run:
    """A run of the platform.

    Attributes
    ----------
    cost
        Cost of the command and all its processes.
    steps
        CPU seconds of the whole tree during each of Dagster's steps, in order; a check counts to the step of its table.
    """

    cost: Cost
    steps: Mapping[str, float]


def materialize(source: Path, home: Path, select: str = "*", **settings: str) -> Run:
    """Materialise assets from a folder or a file, as a user does, and return the run."""
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "--select", select]
    environment = {
        "DAGSTER_HOME": str(REPOSITORY),
        "OPENGENOME_HOME": str(home),
        "OPENGENOME_SOURCE": str(source),
        "OPENGENOME_GENETIC_CODES": "",
        "OPENGENOME_KS": "",
        "SPARK_MASTER": MASTER,
        **settings,
    }
    cost = run([*command, "--module-name", "opengenome_assets.definitions"], environment=environment, folder=REPOSITORY)
    return Run(cost, step_cpu(home, cost))


def step_cpu(home: Path, cost: Cost) -> dict[str, float]:
    """Return the CPU seconds during each step of the newest run in a home, with checks added to their table."""
    (home / "dagster" / "dagster.yaml").touch()  # without one, even an empty one, Dagster warns
    with DagsterInstance.local_temp(str(home / "dagster")) as instance:
        run_id = instance.get_runs(limit=1)[0].run_id
        events = [entry.dagster_event for entry in instance.all_logs(run_id) if entry.dagster_event]
        times = {step.step_key: (step.start_time, step.end_time) for step in instance.get_run_step_stats(run_id)}
    makers = {event.asset_key: event.step_key for event in events if event.is_step_materialization}
    checked = {
        event.step_key: event.asset_check_evaluation_data.asset_key
        for event in events
        if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION
    }
    steps: dict[str, float] = {}
    for step, (start, end) in times.items():
        name = makers[checked[step]] if step in checked else step
        if name and start and end:
            steps[name] = steps.get(name, 0.0) + cost.cpu_between(start, end)
    return steps


def read_table(home: Path, name: str) -> Any:
    """Return a table of the platform as a data frame."""
    return DeltaTable(str(home / "tables" / name)).to_pandas()
