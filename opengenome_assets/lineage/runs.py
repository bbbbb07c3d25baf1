"""Runs: the parameters, metrics and outcome of each, for comparing them.

The tables' commits hold the settings, times and results of each run. Dagster's event log adds status, run config,
metrics of all materialisations, checks, tags and notes, as long as Dagster knows the run.

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
    """No run, or more than one, has an id with this beginning; the message says which."""


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes
    ----------
    run_id, job
        Its id and job; the job is empty if Dagster does not know the run.
    status
        Dagster's status, or that Dagster does not know the run.
    started
        Time in ISO 8601 and UTC; the first recorded start if Dagster does not know the run.
    seconds
        Duration; from the first start to the last end recorded if Dagster does not know the run.
    parameters
        Settings in the records of its results, as ``asset.setting``, and in its run config, as
        ``config.asset.setting``.
    metrics
        Numbers by ``asset.number``; ``checks.passed`` and ``checks.failed``.
    tags, note
        Tags and note, without Dagster's own tags.
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
    home
        The home, with tables, figures and report.
    instance
        Dagster's instance; None if only the tables are read.
    limit
        Maximum number of runs.
    """
    recorded = _recorded(home)
    runs = {run_id: _from_records(run_id, records) for run_id, records in recorded.items()}
    if instance is not None:
        for known in instance.get_run_records(limit=limit):
            base = runs.get(known.dagster_run.run_id, Run(known.dagster_run.run_id))
            runs[base.run_id] = _from_dagster(instance, known, base)
    return sorted(runs.values(), key=lambda run: run.started or "", reverse=True)[:limit]


def find_run(home: Home, instance: dg.DagsterInstance | None, run_id: str) -> Run:
    """Return the run whose id has this beginning.

    Raises
    ------
    UnknownRunError
        If no run or more than one has it.
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
    """Tag the run whose id has this beginning, and return its whole id.

    Raises
    ------
    UnknownRunError
        If no run or more than one has it, or only the tables know the run: Dagster keeps the tags.
    """
    known = {run.run_id for run in instance.get_runs()}
    whole = only({*_recorded(home), *known}, run_id)
    if whole not in known:
        raise UnknownRunError(
            f"Dagster has forgotten run {whole}: only the records of its results name it. Dagster keeps tags and "
            f"notes, so it can have none. To keep its tables: opengenome pin {whole[:8]}"
        )
    instance.add_run_tags(whole, dict(tags))
    return whole


@dataclass(frozen=True)
class Row:
    """A parameter or metric of two runs; None where a run has none."""

    name: str
    before: Any
    after: Any

    @property
    def differs(self) -> bool:
        """Whether the two are not equal."""
        return bool(self.before != self.after)


def compare_runs(before: Run, after: Run) -> list[Row]:
    """Return two runs side by side: differences first, parameters before metrics before times."""
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
    # Times of two runs always differ, so they come last.
    return sorted(rows, key=lambda row: (not row.differs, row.name.endswith("seconds")))


def flat(run: Run) -> dict[str, Any]:
    """Return a run as one row, with a column per parameter, metric and tag, named as in MLflow's exports."""
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
    """Return the one id with this beginning.

    Raises
    ------
    UnknownRunError
        If no run or more than one has it.
    """
    found = sorted(run_id for run_id in ids if run_id.startswith(beginning))
    if len(found) != 1:
        several = f"{len(found)} do: {', '.join(found[:5])}. Give more of it" if found else "none does"
        raise UnknownRunError(f"expected one run whose id begins with {beginning!r}; {several}. See: opengenome runs")
    return found[0]


def _recorded(home: Home) -> dict[str, list[Provenance]]:
    """Return the provenance records of tables, figures and report, by run."""
    found: dict[str, list[Provenance]] = {}
    for name in home.names():
        try:
            history = home.table(name).history()
        except MissingTableError:
            continue
        for number, version in history.versions.items():
            provenance = history.provenance(number) if version.record else None
            if provenance is not None:
                found.setdefault(provenance.run_id, []).append(provenance)
    for record in beside_tables(home.uri):
        found.setdefault(record.provenance.run_id, []).append(record.provenance)
    found.pop("", None)
    return found


def _from_records(run_id: str, records: Sequence[Provenance]) -> Run:
    starts = [each.started for each in records if each.started]
    ends = [each.started.timestamp() + (each.seconds or 0) for each in records if each.started]
    times = {"seconds": "seconds", "cpu_seconds": "driver_cpu_seconds"}
    return Run(
        run_id,
        started=min(starts).isoformat(timespec="seconds") if starts else None,
        seconds=round(max(ends) - min(starts).timestamp(), 2) if starts else None,
        parameters={
            f"{each.name}.{name}": value for each in records for name, value in abbreviated(each.settings).items()
        },
        metrics={
            f"{each.name}.{name}": value
            for each in records
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
        materialization = event.step_materialization_data.materialization
        asset = materialization.asset_key.to_user_string()
        for name, value in materialization.metadata.items():
            if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue) and value.value is not None:
                metrics[f"{asset}.{name.removeprefix('dagster/')}"] = value.value
        record = materialization.metadata.get("provenance")
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
