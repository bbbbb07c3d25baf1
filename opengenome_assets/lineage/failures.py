"""Failures: why a run failed, in the words of its steps and checks, without stack traces.

Belongs here: reading the reasons from Dagster's event log, also after the process has ended. Does not belong here: how
they are shown (``cli``).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg
from dagster import DagsterEvent, DagsterEventType

from opengenome_assets.framework.private import SerializableErrorInfo
from opengenome_assets.settings import SettingsError, dagster_home, local_home, read_home

EVENTS = {DagsterEventType.STEP_FAILURE, DagsterEventType.ASSET_CHECK_EVALUATION, DagsterEventType.RUN_FAILURE}
# Dagster's wrappers of a failed check or an exception; the reason stands in another event, or in the cause.
CHECK_FAILED = "DagsterAssetCheckFailedError"
INTERRUPTED = "DagsterExecutionInterruptedError"
WRAPPERS = ("DagsterExecutionStepExecutionError", "DagsterResourceFunctionError", "RetryRequested")
MAX_LINES = 25


@dataclass(frozen=True)
class Failure:
    """A failed step or check and its reason; the step is empty if the run itself failed."""

    step: str
    reason: str


@dataclass(frozen=True)
class FailedRun:
    """A run in Dagster's words; it has no failures if it succeeded, goes on, or was killed."""

    run_id: str
    status: str
    failures: list[Failure]


def open_instance() -> dg.DagsterInstance:
    """Open the instance of `dagster_home`."""
    return dg.DagsterInstance.from_config(str(dagster_home()))


@contextmanager
def open_records() -> Iterator[dg.DagsterInstance]:
    """Open the same instance only to read it, also if its folder is full or read-only.

    SQLite writes beside its files even to read them. So a copy is read then.
    """
    with ExitStack() as stack:
        try:
            instance = open_instance()
        except SettingsError:
            folder = local_home(read_home()) / "dagster"
            if not folder.is_dir():
                raise
            copy = stack.enter_context(tempfile.TemporaryDirectory())
            for file in (path for path in folder.rglob("*") if path.is_file()):
                place = Path(copy, file.relative_to(folder))
                place.parent.mkdir(parents=True, exist_ok=True)  # without the rights of the original, which has none
                shutil.copyfile(file, place)
            Path(copy, "dagster.yaml").touch()
            instance = dg.DagsterInstance.local_temp(copy)
        yield stack.enter_context(instance)


def newest_run(instance: dg.DagsterInstance, since: datetime | None = None) -> FailedRun | None:
    """Return the newest run with its failures; None if no run started after that moment."""
    records = instance.get_run_records(dg.RunsFilter(created_after=since), limit=1)
    if not records:
        return None
    return failures_of(instance, records[0].dagster_run)


def failures_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> FailedRun:
    """Return a run with its failures."""
    events = [entry.dagster_event for entry in instance.all_logs(run.run_id, of_type=EVENTS)]
    failures = [failure for event in events if event and (failure := _failure(event))]
    # A run fails because a step failed; its own reason counts only where no step failed.
    reasons = [failure for failure in failures if failure.step] or failures
    return FailedRun(run.run_id, run.status.value, reasons)


def _failure(event: DagsterEvent) -> Failure | None:
    if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
        check = event.asset_check_evaluation_data
        if check.passed:
            return None
        return Failure(f"{check.asset_key.to_user_string()}, check {check.check_name}", check.description or "failed")
    if event.event_type == DagsterEventType.RUN_FAILURE:
        # Of a run whose pod or process was lost, only the message is known.
        error = getattr(event.event_specific_data, "error", None)
        return Failure("", _reason(error) or event.message or "")
    data = event.step_failure_data
    if data.error and data.error.cls_name == CHECK_FAILED:
        return None
    description = data.user_failure_data and data.user_failure_data.description
    return Failure(event.step_key or "", description or _reason(data.error))


def _reason(error: SerializableErrorInfo | None) -> str:
    while error and error.cause and error.cls_name in WRAPPERS:
        error = error.cause
    if error and error.cls_name == INTERRUPTED:
        return "stopped by Ctrl-C, or by a signal. The same command goes on with the rest"
    lines = error.message.strip().splitlines() if error else []
    message = [line for line in lines if not line.startswith("\tat ")]  # frames of Java
    return "\n".join([*message[:MAX_LINES], *(["…"] if len(message) > MAX_LINES else [])])
