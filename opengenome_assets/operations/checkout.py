"""Checkout: which version each table had when a run ended.

Runs that share a home come one after the other, so a run left behind what was newest when it ended, made by itself or
not. It is worked out from the tables' own logs, and from what Dagster remembers of the run if it does.
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
        The run.
    ended
        When its last step ended, as Dagster remembers it, or else when it made its last table.
    versions
        The version of each table then, by the number that lineage names.
    later
        Tables that did not exist then.
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
        The tables.
    instance
        What remembers runs; the tables' records serve where it does not.
    run
        The run's id, or the beginning of it.

    Raises
    ------
    UnknownRunError
        If there is no such run, several ids begin like that, or the run goes on or ended before it did anything.
    """
    run_id = find_run(home, instance, run)
    histories = {name: home.table(name).history() for name in home.names()}
    own = {name: numbers[-1] for name, history in histories.items() if (numbers := _made_by(history, run_id))}
    record = instance.get_run_record_by_id(run_id)
    if record and not record.dagster_run.is_finished:
        raise UnknownRunError(f"run {run_id} goes on: what it leaves behind is known when it has ended")
    made = [histories[name].versions[number].made for name, number in own.items()]
    # When its last step ended; the next run may begin before this one has tidied up after itself.
    made += [
        datetime.fromtimestamp(step.end_time, UTC) for step in instance.get_run_step_stats(run_id) if step.end_time
    ]
    if not made:
        raise UnknownRunError(f"run {run_id} ended before any step of it did: nothing says what the tables were then")
    ended = max(made)
    then = {name: own.get(name, history.newest_at(ended)) for name, history in histories.items()}
    return Checkout(
        run_id,
        ended,
        {name: histories[name].origin(number).number for name, number in then.items() if number is not None},
        [name for name, number in then.items() if number is None],
    )


def find_run(home: Home, instance: dg.DagsterInstance, run: str) -> str:
    """Return the id of the run that begins so, known to Dagster or to a table.

    Raises
    ------
    UnknownRunError
        If there is none, or more than one.
    """
    known = {record.dagster_run.run_id for record in instance.get_run_records()}
    known |= {run_id for name in home.names() for run_id in home.table(name).history().made_by().values()}
    return only(known, run)


def _made_by(history: History, run_id: str) -> list[int]:
    """Return the versions that a run committed, ascending."""
    return [number for number, by in history.made_by().items() if by == run_id]
