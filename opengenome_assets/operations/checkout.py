"""Checkout: the version of each table when a run ended.

Runs of a home come one after the other, so a run leaves the versions that are newest at its end. They follow from the
tables' logs, and from Dagster's event log if Dagster still knows the run.

Belongs here: finding these versions. Does not belong here: restoring them (``restore.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from opengenome_assets.lineage.runs import UnknownRunError, only
from opengenome_assets.storage.history import History
from opengenome_assets.storage.tables import Home


@dataclass(frozen=True)
class Checkout:
    """The tables as a run left them.

    Attributes
    ----------
    run_id
        The run's id.
    ended
        End of its last step in Dagster's event log, or else the time of its last commit.
    versions
        The version of each table at that time, by the number that lineage names.
    later
        Tables that were made later.
    """

    run_id: str
    ended: datetime
    versions: dict[str, int]
    later: list[str]


def state_after(home: Home, instance: dg.DagsterInstance, run: str) -> Checkout:
    """Return the tables as a run left them.

    Parameters
    ----------
    home
        The home.
    instance
        Dagster's instance; if it does not know the run, the tables' records are used.
    run
        The run's id, or its beginning.

    Raises
    ------
    UnknownRunError
        If no run or several have this beginning, or the run goes on, or ended before its first step did.
    """
    run_id = whole_id(home, instance, run)
    histories = {name: home.table(name).history() for name in home.names()}
    own = {name: numbers[-1] for name, history in histories.items() if (numbers := _made_by(history, run_id))}
    record = instance.get_run_record_by_id(run_id)
    if record and not record.dagster_run.is_finished:
        raise UnknownRunError(f"run {run_id} goes on. Wait until it has ended")
    times = [histories[name].versions[number].made for name, number in own.items()]
    # The end of its last step, since the next run may begin before this one has ended.
    times += [
        datetime.fromtimestamp(step.end_time, UTC) for step in instance.get_run_step_stats(run_id) if step.end_time
    ]
    if not times:
        raise UnknownRunError(f"run {run_id} ended before any of its steps: it left no state of the tables")
    ended = max(times)
    then = {name: own.get(name, history.newest_at(ended)) for name, history in histories.items()}
    return Checkout(
        run_id,
        ended,
        {name: histories[name].origin(number).number for name, number in then.items() if number is not None},
        [name for name, number in then.items() if number is None],
    )


def whole_id(home: Home, instance: dg.DagsterInstance, run: str) -> str:
    """Return the id with this beginning, of a run that Dagster or a table knows.

    Raises
    ------
    UnknownRunError
        If no run or more than one has it.
    """
    known = {record.dagster_run.run_id for record in instance.get_run_records()}
    known |= {run_id for name in home.names() for run_id in home.table(name).history().made_by().values()}
    return only(known, run)


def _made_by(history: History, run_id: str) -> list[int]:
    """Return the versions that a run committed, ascending."""
    return [number for number, by in history.made_by().items() if by == run_id]
