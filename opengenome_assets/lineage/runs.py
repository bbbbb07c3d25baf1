"""Runs: what each was asked for, what it made and what came of it, for comparing them.

The tables' commits tell which run made which version, with which settings, when and how long; Dagster tells the rest if
it remembers the run: how it ended, its parameters, the numbers of all its materialisations, its checks, tags and notes.

Belongs here: gathering and comparing runs, and writing tags and notes. Does not belong here: starting or stopping them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster import DagsterEventType

from opengenome_assets.lineage.records import beside_tables
from opengenome_assets.storage.record import Provenance, abbreviated
from opengenome_assets.storage.snapshot import MissingTableError
from opengenome_assets.storage.tables import Home

NOTE_TAG = "opengenome/note"
EVENTS = {DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_CHECK_EVALUATION}
UNKNOWN = "not known to Dagster"


class UnknownRunError(LookupError):
    """No run, or more than one, has an id that begins like this; the message says which."""


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes
    ----------
    run_id, job
        Which run, and of which job; the job is empty where Dagster does not know the run.
    status
        How it ended, in Dagster's words, or that Dagster does not know it.
    started
        When, in ISO 8601 and UTC; of a run that Dagster does not know when the first thing that it made was begun.
    seconds
        How long it took; of a run that Dagster does not know from the first start to the last end recorded.
    parameters
        Its settings: those in the records of what it made, as ``asset.setting``, and those in its run config, as
        ``config.asset.setting``.
    metrics
        Numbers by ``asset.number``; ``checks.passed`` and ``checks.failed``.
    tags, note
        What people and Dagster tagged it with, without Dagster's own tags.
    """

    run_id: str
    job: str = ""
    status: str = UNKNOWN
    started: str | None = None
    seconds: float | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    note: str = ""


def list_runs(home: Home, instance: dg.DagsterInstance | None, limit: int | None = None) -> list[Run]:
    """Return the runs that Dagster or the tables know, newest first.

    Parameters
    ----------
    tables
        The tables, with figures and report beside them.
    instance
        Where Dagster keeps its runs; None tells what the tables know alone.
    limit
        At most so many.
    """
    recorded = _recorded(home)
    runs = {run_id: _from_records(run_id, made) for run_id, made in recorded.items()}
    if instance is not None:
        for known in instance.get_run_records(limit=limit):
            base = runs.get(known.dagster_run.run_id, Run(known.dagster_run.run_id))
            runs[base.run_id] = _from_dagster(instance, known, base)
    return sorted(runs.values(), key=lambda run: run.started or "", reverse=True)[:limit]


def find_run(home: Home, instance: dg.DagsterInstance | None, run_id: str) -> Run:
    """Return the run whose id begins with these letters.

    Raises
    ------
    UnknownRunError
        If none does, or more than one.
    """
    recorded = _recorded(home)
    known = {} if instance is None else {run.run_id: run for run in instance.get_runs()}
    whole = only({*recorded, *known}, run_id)
    run = _from_records(whole, recorded.get(whole, []))
    if instance is None or whole not in known:
        return run
    (record,) = instance.get_run_records(dg.RunsFilter(run_ids=[whole]))
    return _from_dagster(instance, record, run)


def add_tags(home: Home, instance: dg.DagsterInstance, run_id: str, tags: Mapping[str, str]) -> str:
    """Tag the run whose id begins with these letters, and return its whole id.

    Raises
    ------
    UnknownRunError
        If none does, or more than one, or only the tables know it: tags are Dagster's.
    """
    known = {run.run_id for run in instance.get_runs()}
    whole = only({*_recorded(home), *known}, run_id)
    if whole not in known:
        raise UnknownRunError(
            f"Dagster has forgotten run {whole}: only the records of what it made know it. Tags and notes are kept by "
            f"Dagster, so it can have none. To keep what it made: opengenome pin {whole[:8]}"
        )
    instance.add_run_tags(whole, dict(tags))
    return whole


@dataclass(frozen=True)
class Row:
    """A parameter or a number of two runs, and whether they differ; None where a run has none."""

    name: str
    before: Any
    after: Any

    @property
    def differs(self) -> bool:
        """Whether the two are not equal."""
        return bool(self.before != self.after)


def compare_runs(before: Run, after: Run) -> list[Row]:
    """Return what is known of two runs, side by side: first what differs, parameters before numbers before times."""
    rows = [
        Row("job", before.job, after.job),
        Row("status", before.status, after.status),
        Row("started", before.started, after.started),
        Row("seconds", before.seconds, after.seconds),
        Row("note", before.note, after.note),
        *_rows("tags.", before.tags, after.tags),
        *_rows("params.", before.parameters, after.parameters),
        *_rows("metrics.", before.metrics, after.metrics),
    ]
    # No two runs take the same time, so times tell least.
    return sorted(rows, key=lambda row: (not row.differs, row.name.endswith("seconds")))


def flat(run: Run) -> dict[str, Any]:
    """Return a run as one row: a column a parameter, number and tag, called as MLflow's exports call them."""
    return {
        "run_id": run.run_id,
        "job": run.job,
        "status": run.status,
        "started": run.started,
        "seconds": run.seconds,
        "note": run.note,
        **{f"tags.{name}": value for name, value in run.tags.items()},
        **{f"params.{name}": value for name, value in run.parameters.items()},
        **{f"metrics.{name}": value for name, value in run.metrics.items()},
    }


def _rows(prefix: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Row]:
    for name in dict.fromkeys([*before, *after]):
        yield Row(f"{prefix}{name}", before.get(name), after.get(name))


def only(ids: Iterable[str], beginning: str) -> str:
    """Return the one id that begins like this.

    Raises
    ------
    UnknownRunError
        If none does, or more than one.
    """
    found = sorted(run_id for run_id in ids if run_id.startswith(beginning))
    if len(found) != 1:
        several = f"{len(found)} do: {', '.join(found[:5])}. Give more of it" if found else "none does"
        raise UnknownRunError(f"expected one run whose id begins with {beginning!r}; {several}. See: opengenome runs")
    return found[0]


def _recorded(home: Home) -> dict[str, list[Provenance]]:
    """Return the records in tables, figures and report, by the run that made them."""
    found: dict[str, list[Provenance]] = {}
    for name in home.names():
        try:
            history = home.table(name).history()
        except MissingTableError:
            continue
        for number, version in history.versions.items():
            made = history.provenance(number) if version.record else None
            if made is not None:
                found.setdefault(made.run_id, []).append(made)
    for record in beside_tables(home.uri):
        found.setdefault(record.provenance.run_id, []).append(record.provenance)
    found.pop("", None)
    return found


def _from_records(run_id: str, made: Sequence[Provenance]) -> Run:
    starts = [each.started for each in made if each.started]
    ends = [each.started.timestamp() + (each.seconds or 0) for each in made if each.started]
    times = {"seconds": "seconds", "cpu_seconds": "driver_cpu_seconds"}
    return Run(
        run_id,
        started=min(starts).isoformat(timespec="seconds") if starts else None,
        seconds=round(max(ends) - min(starts).timestamp(), 2) if starts else None,
        parameters={
            f"{each.name}.{name}": value for each in made for name, value in abbreviated(each.settings).items()
        },
        metrics={
            f"{each.name}.{name}": value
            for each in made
            for attribute, name in times.items()
            if (value := getattr(each, attribute)) is not None
        },
    )


def _from_dagster(instance: dg.DagsterInstance, known: dg.RunRecord, base: Run) -> Run:
    run = known.dagster_run
    parameters, metrics = dict(base.parameters), dict(base.metrics)
    checks = {True: 0, False: 0}
    for entry in instance.all_logs(run.run_id, of_type=EVENTS):
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            checks[event.asset_check_evaluation_data.passed] += 1
            continue
        told = event.step_materialization_data.materialization
        asset = told.asset_key.to_user_string()
        for name, value in told.metadata.items():
            if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue) and value.value is not None:
                metrics[f"{asset}.{name.removeprefix('dagster/')}"] = value.value
        record = told.metadata.get("provenance")
        if isinstance(record, dg.JsonMetadataValue) and isinstance(record.data, dict):
            settings = record.data.get("settings", {})
            parameters = {f"{asset}.{name}": value for name, value in settings.items()} | parameters
    steps: Any = run.run_config.get("ops", {})
    for op, config in steps.items():
        parameters |= {f"config.{op}.{name}": value for name, value in config.get("config", {}).items()}
    if sum(checks.values()):
        metrics |= {"checks.passed": checks[True], "checks.failed": checks[False]}
    began = known.start_time or known.create_timestamp.timestamp()
    return Run(
        run.run_id,
        job=run.job_name,
        status=run.status.value,
        started=datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        seconds=round(known.end_time - began, 2) if known.end_time else None,
        parameters=parameters,
        metrics=metrics,
        tags={
            name: value for name, value in run.tags.items() if not name.startswith((".dagster", "dagster/", NOTE_TAG))
        },
        note=run.tags.get(NOTE_TAG, ""),
    )
